"""What a network has learned, J - J0, taken back from the matrices, and the theory of what was recovered."""

import numpy as np

from meanfield import dmft, plotting
from meanfield.connectivity import Connectivity
from meanfield.fluctuations import spread

from ..analysis import Condition, Figure
from ..learned import learned_structure
from ..networks import draw
from ..random_pictures import plot_eigenvalues, plot_singular_values
from ..simulation import relax
from ..workers import over
from . import checks, draws
from .record import Case

_SOURCE = "Schuessler et al. 2020"
OVERLAP, ALIGNED, G, AMPLITUDE = 2.0, 0.6, 0.8, 0.4
#: Strength of the noise in the change, in the scale of g.
NOISE = 0.15
#: How much of J0 m the correlated change has in n.
CORRELATED = 3.0
#: Neurons and draws, in full and in brief.
FULL, QUICK = (1000, 8), (400, 8)
_REST = 1e-8


def planted(c, n_neurons, seed, correlated=False):
    """(J, J0, m, n, I): J0 = g chi, J = J0 + (1/N) m n^T + noise; ``correlated``: n = 3 J0 m, and no noise."""
    net = draw(c, n_neurons, seed)
    J0, m, n = net.random, net.m[:, 0], net.n[:, 0]
    if correlated:
        n = CORRELATED * J0 @ m
        return J0 + np.outer(m, n) / n_neurons, J0, m, n, net.I[:, 0]
    noise = np.random.default_rng([*seed, 1]).standard_normal(J0.shape) * NOISE / np.sqrt(n_neurons)
    return J0 + np.outer(m, n) / n_neurons + noise, J0, m, n, net.I[:, 0]


def recover(c, job):
    """A worker's job: one network, what is found in it, its own state and that of the recovered statistics."""
    n_neurons, seed = job
    J, J0, m, n, I = planted(c, n_neurons, seed)
    s = learned_structure(J, J0, inputs={"I": I})
    # the one that the input favours; m and n come back with a common sign that may be either
    state = max(dmft.stationary(s.connectivity, "tanh", {"I": AMPLITUDE}), key=lambda q: abs(q.kappa[0]))
    end = relax(s.network, state.kappa, {"I": AMPLITUDE}, tolerance=_REST, progress=False)
    sp = spread(state, "moments")
    other = learned_structure(*planted(c, n_neurons, seed, correlated=True)[:2])
    return {
        "significant": s.significant, "singular": s.singular_values, "threshold": s.threshold, "g": (s.g, s.g_error),
        "g_rest": s.g_rest, "p": s.p_value, "independent": s.independent, "random": s.looks_random,
        "cosine": [abs(_cosine(s.m[:, 0], m)), abs(_cosine(s.n[:, 0], n))],
        "expected": [_seen(m, n, n_neurons), float(n @ m / n_neurons)], "overlap": float(s.overlaps[0, 0, 0]),
        "kappa": (float(end.kappa[0]) if end.success else np.nan, state.kappa[0], sp.std(n_neurons)[0]),
        "delta0": (end.x.var(), state.delta0[0], sp.delta0_std(n_neurons)[0]),
        "other_p": other.p_value, "other_independent": other.independent, "largest": other.largest,
        "outliers": (other.outliers.eigenvalues, other.outliers.roots, other.outliers.by_series[-1]),
        "by_overlap": other.outliers.by_overlap,
    }  # fmt: skip


def _cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _seen(m, n, n_neurons):
    """Singular value S of the structure, (1/N) |m| |n|."""
    return float(np.linalg.norm(m) * np.linalg.norm(n) / n_neurons)


def _learned(result, quick, seed):
    c, (n, many) = result.case.connectivity, QUICK if quick else FULL
    jobs = [(n, [seed, n, k]) for k in range(many)]
    found = over(recover, c, jobs)
    statements = [
        *_structure(found, n),
        *_random_part(found, n),
        *_theory(found, n),
        *_correlated(found, n),
    ]
    J, J0, *_ = planted(c, n, jobs[0][1])
    K, K0, *_ = planted(c, n, jobs[0][1], correlated=True)
    return (_figure(learned_structure(J, J0), J, learned_structure(K, K0), K, n, many),), statements


def _structure(found, n):
    """Rank, singular value, m and n: what is left of them in noise of strength nu beside a structure of strength S."""
    ranks = [f["significant"] for f in found]
    yield checks.claim(
        f"one significant singular value in each of {len(found)} changes, noise included (networks of {n} neurons)",
        set(ranks) == {1}, ", ".join(map(str, ranks)), "1 each: the planted rank", _SOURCE,
    )  # fmt: skip
    strength = np.array([f["expected"][0] for f in found])
    first = np.array([f["singular"][0] for f in found])
    # S + nu^2/S, and a spread of nu/sqrt(N) by the projection of the noise on the structure
    yield draws.mean_agrees(
        "the singular value, S + nu^2/S", first - strength - NOISE**2 / strength, 0.0, n, NOISE / np.sqrt(n)
    )
    cosine = np.array([f["cosine"] for f in found])
    # of a singular vector: cos^2 = (1 - (nu/S)^4) / (1 + (nu/S)^2), for square noise
    ratio = (NOISE / strength) ** 2
    expected = np.sqrt((1 - ratio**2) / (1 + ratio))
    yield checks.claim(
        "m and n come back: their cosine with the planted ones",
        bool(np.abs(cosine - expected[:, None]).max() < 4 * (NOISE / strength.min()) ** 2 / np.sqrt(n)),
        f"{cosine.min():.6f} to {cosine.max():.6f}",
        f"{expected.min():.6f} to {expected.max():.6f}: noise adds a share (nu/S)^2, within 4 of its own 1/sqrt(N)",
        _SOURCE,
    )


def _random_part(found, n):
    g = np.array([f["g"] for f in found])
    z = (g[:, 0] - G) / g[:, 1]
    yield checks.claim(
        "g of J0 is recovered within its own standard error", np.abs(z).max() < 5,
        f"{g[:, 0].mean():.5f}, z-scores up to {np.abs(z).max():.2f}", f"{G:g}; below 5", _SOURCE,
    )  # fmt: skip
    rest = np.array([f["g_rest"] for f in found])
    yield checks.claim(
        "what is not structure, J0 and the noise of the change, has strength sqrt(g^2 + nu^2)",
        np.abs(rest - np.hypot(G, NOISE)).max() < 5 * g[:, 1].max() + 2 * NOISE**2 / n,
        f"{rest.min():.5f} to {rest.max():.5f}", f"{np.hypot(G, NOISE):.5f}, within 5 standard errors of g",
    )  # fmt: skip
    good = [f["independent"] and f["random"] for f in found]
    yield checks.claim(
        "J0 passes for independent entries, and the structure for independent of it", all(good),
        f"{sum(good)} of {len(good)}; p from {min(f['p'] for f in found):.2g}", "all, at a level of 0.001", _SOURCE,
    )  # fmt: skip


def _theory(found, n):
    """The state of the recovered statistics against that of each network itself, in predicted standard deviations."""
    for key, text in (("kappa", "kappa"), ("delta0", "Delta_0")):
        values = np.array([f[key] for f in found])
        z = (values[:, 0] - values[:, 1]) / values[:, 2]
        yield draws.mean_agrees(
            f"{text} less that of its recovered statistics, in predicted standard deviations",
            z,
            0.0,
            n,
            1.0,
        )
        yield draws.spread_agrees(f"{text} of networks about the theory of their own statistics", z[:, None])


def _correlated(found, n):
    detected = [not f["other_independent"] for f in found]
    z = np.array([f["largest"][1] for f in found])
    yield checks.claim(
        f"a structure that knows J0, n = {CORRELATED:g} J0 m, is told: dependence on J0 detected", all(detected),
        f"{sum(detected)} of {len(found)}, by {found[0]['largest'][0]} with z = {z.min():.3g} to {z.max():.3g}",
        f"all {len(found)}", _SOURCE,
    )  # fmt: skip
    off = [_distance(f["outliers"][0], f["outliers"][1]) for f in found]
    counts = [len(f["outliers"][0]) for f in found]
    yield checks.claim(
        "its outliers: roots of det(1 - n^T (lambda - J0)^-1 m / N) are the eigenvalues of J beyond the bulk",
        max(off) < 1e-9 and set(counts) == {2},
        f"{', '.join(map(str, counts))} outliers; largest difference {max(off):.1g}",
        "2 each, the same (1e-9)", _SOURCE,
    )  # fmt: skip
    # t_1 = (1/N) n.J0 m = 3 |J0 m|^2/N = 3 g^2: lambda^2 = 3 g^2, and t_0 = t_2 = 0 for large N
    predicted = np.sqrt(CORRELATED) * G
    rightmost = np.array([f["outliers"][0].real.max() for f in found if len(f["outliers"][0])])
    yield draws.mean_agrees("the outlier on the right, sqrt(3) g for large N", rightmost, predicted, n)
    alone = [len(f["by_overlap"]) for f in found]
    yield checks.claim(
        "the overlap n.m alone, all that an independent structure has, predicts no outlier", max(alone) == 0,
        f"{sum(alone)} in {len(found)} networks", "none: the theory of independent structure does not apply", _SOURCE,
    )  # fmt: skip


def _distance(found, expected):
    """Largest distance of one set from the other; infinite where their sizes differ."""
    if len(found) != len(expected):
        return np.inf
    return max((float(np.abs(expected - x).min()) for x in found), default=0.0)


def _figure(s, J, other, K, n, many):
    data = {
        "singular_values": s.singular_values, "threshold": np.array(s.threshold), "eigenvalues": np.linalg.eigvals(J),
        "outliers": s.outliers.roots, "overlap": s.outliers.by_overlap, "radius": np.array(s.g_rest),
        "correlated_eigenvalues": np.linalg.eigvals(K), "correlated_outliers": other.outliers.roots,
        "correlated_series": other.outliers.by_series[-1], "correlated_radius": np.array(other.g_rest),
    }  # fmt: skip

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 3, width=4.0, height=4.0)
            plot_singular_values(axes[0, 0], data["singular_values"], data["threshold"], s.significant)
            named = [(data["overlap"], "overlap n.m/N alone")]
            plot_eigenvalues(axes[0, 1], data["eigenvalues"], data["radius"], data["outliers"], named)
            named = [(data["correlated_series"], "powers of J0 up to 3")]
            plot_eigenvalues(
                axes[0, 2],
                data["correlated_eigenvalues"],
                data["correlated_radius"],
                data["correlated_outliers"],
                named,
            )
            for ax, title in zip(axes[0, 1:], ("independent of J0", f"n = {CORRELATED:g} J0 m"), strict=True):
                ax.set_title(title)
                ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8)
        return figure

    caption = (
        f"One of {many} networks of {n} neurons. Left: the largest singular values of J - J0, and the predicted edge "
        "of the noise in it. Middle and right: all eigenvalues of J (measured), the bulk and the outliers (theory) for "
        "a structure that is independent of J0 and for one that is not."
    )
    return Figure("learned", caption, draw_it, data)


LEARNED = Case(
    name="learned-structure",
    title="What a network has learned, taken back from its connectivity",
    source=_SOURCE,
    text=(
        "A change of rank one, (1/N) n.m = 2 and (1/N) n.I = 0.6, with noise in it of strength 0.15, is planted in a "
        "random J0 of g = 0.8; training is only played. From J and J0 alone come its rank, m and n, g, and whether it "
        "is independent of J0; the theory of the recovered statistics is held against the network's own state under "
        "the input at 0.4. A second change, n = 3 J0 m, has no overlap n.m but is correlated with J0. All numbers "
        "are ours."
    ),
    connectivity=Connectivity.from_overlaps(
        [{"n1 m1": OVERLAP, "n1 I": ALIGNED, "n1 n1": OVERLAP**2 + ALIGNED**2 + 1.0}], rank=1, inputs=("I",), g=G
    ),
    conditions=(Condition("input on", {"I": AMPLITUDE}),),
    check=_learned,
    networks=False,
)

CASES = (LEARNED,)
