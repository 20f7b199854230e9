"""Learned structure: planted changes come back, dependence on J0 is noticed, and the theory holds where it should."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.validation import simulate
from meanfield.validation.learned import learned_structure
from meanfield.validation.outliers import series_roots
from meanfield.validation.random_matrices import null_moments, randomness, significance, strength
from numpy.testing import assert_allclose
from scipy.stats import chi2, kstest

import meanfield as mf

G = 0.8
# Largest of some hundred z-scores of a right theory, and the least probability of a statistic of many draws.
LARGEST, LEAST = 4.5, 1e-4
# Rounding of J = J0 + P relative to P, for matrices whose entries in J0 are up to a hundred times those of P.
ROUNDING = 1e-12


def gaussian(rng, N, g=G):
    return g * rng.standard_normal((N, N)) / np.sqrt(N)


def planted(seed, N, rank=1, overlap=1.6, noise=0.0, g=G):
    """J, J0, m, n: n = overlap_r m_r and a part of its own, and noise of variance noise^2/N in the change."""
    rng = np.random.default_rng(seed)
    J0, m = gaussian(rng, N, g), rng.standard_normal((N, rank))
    n = m * (overlap / np.arange(1, rank + 1)) + rng.standard_normal((N, rank))
    return J0 + m @ n.T / N + gaussian(rng, N, noise), J0, m, n


# The change


@pytest.mark.parametrize(("rank", "N"), [(1, 400), (2, 400), (2, 1000)])
def test_an_exact_change_comes_back_in_our_scaling(rank, N):
    J, J0, m, n = planted(rank, N, rank)
    s = learned_structure(J, J0)
    assert s.rank == s.significant == rank and s.floor == 0.0
    assert_allclose(s.m @ s.n.T, m @ n.T, rtol=0, atol=ROUNDING * N)
    normal = mf.Connectivity.from_samples(np.hstack([m, n]), rank=rank).svd_normal_form()
    assert_allclose(s.singular_values[:rank], normal.singular_values, rtol=ROUNDING)
    for loadings in (s.m, s.n):
        assert_allclose(loadings.T @ loadings / N, np.diag(normal.singular_values), rtol=0, atol=ROUNDING)
    assert_allclose(s.connectivity.overlap("n", "m"), s.overlaps[0], rtol=0, atol=ROUNDING)
    sign = np.sign((s.m * (m @ normal.matrix)).sum(axis=0))  # of the two normal forms against each other
    assert_allclose(s.m, m @ normal.matrix * sign, rtol=0, atol=1e-9)
    assert (s.m[np.argmax(np.abs(s.m) > 0.999 * np.abs(s.m).max(axis=0), axis=0), np.arange(rank)] > 0).all()
    assert s.explained[rank - 1] == pytest.approx(1, abs=1e-12)
    squares = normal.singular_values**2
    assert s.participation_ratio == pytest.approx(squares.sum() ** 2 / (squares**2).sum(), rel=1e-9)
    assert_allclose(s.network.random + s.network.m @ s.network.n.T / N, J, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("rank", "N", "noise"), [(1, 400, 0.3), (2, 400, 0.1), (2, 1000, 0.2)])
def test_a_change_with_a_noise_floor(rank, N, noise):
    J, J0, m, n = planted(10 + rank, N, rank, noise=noise)
    s = learned_structure(J, J0)
    assert s.rank == rank and s.independent
    assert s.floor * np.sqrt(N) == pytest.approx(noise, rel=2 / np.sqrt(N))
    true = np.linalg.svd(m @ n.T / N, compute_uv=False)[:rank]
    # a singular value of the structure is lifted by noise^2 / s and spreads by about noise / sqrt(N)
    assert_allclose(s.singular_values[:rank], true + noise**2 / true, rtol=0, atol=4 * noise / np.sqrt(N))
    eigenvalues = (np.sort(np.linalg.eigvals(q).real) for q in (s.overlaps[0], n.T @ m / N))
    assert_allclose(*eigenvalues, rtol=0, atol=6 * noise / np.sqrt(N) + 4 * (noise / true[-1]) ** 4)
    assert s.g_rest == pytest.approx(np.hypot(G, noise), rel=4 / N)
    assert s.network.mixture.g == s.g_rest > s.g


def test_significance_begins_at_the_edge_of_the_noise():
    """A structure of strength theta stands out of noise of strength 1 where theta > 1: theta + 1/theta against 2."""
    N, rng = 400, np.random.default_rng(5)
    u, v = (q / np.linalg.norm(q) for q in rng.standard_normal((2, N)))
    found = {}
    for theta in (0.7, 1.4):
        s = np.linalg.svd(theta * np.outer(u, v) + gaussian(rng, N, 1.0), compute_uv=False)
        found[theta] = significance(s, 0.0)[0]
    assert found == {0.7: 0, 1.4: 1}


def test_noise_alone_is_no_structure():
    """At a level of 1e-3 per matrix."""
    rng = np.random.default_rng(6)
    false = sum(significance(np.linalg.svd(gaussian(rng, 60), compute_uv=False), 0.0)[0] > 0 for _ in range(400))
    assert false <= 4
    J0 = gaussian(rng, 60)
    with pytest.raises(ValueError, match="looks like noise without structure"):
        learned_structure(J0 + gaussian(rng, 60), J0)


@pytest.mark.parametrize("stored", [(np.float32, np.float32), (np.float32, np.float64)])
def test_rounding_of_a_file_is_not_structure(stored):
    J, J0, m, n = planted(7, 400, 2)
    J, J0 = (q.astype(t) for q, t in zip((J, J0), stored, strict=True))
    for s in (learned_structure(J, J0), learned_structure(J.astype(float), J0.astype(float))):
        assert s.rank == 2 and s.floor < 1e-8
        assert_allclose(s.m @ s.n.T, m @ n.T, rtol=0, atol=1e-3)  # N roundings of 6e-8 times entries of 0.1


def test_without_a_gap_there_is_no_automatic_rank():
    J, J0, *_ = planted(8, 200)
    u, _, vt = np.linalg.svd(J)
    J = J0 + u / (1 + np.arange(200)) @ vt
    with pytest.raises(ValueError, match=r"the change has no gap: more than 10% .* pass rank="):
        learned_structure(J, J0)
    s = learned_structure(J, J0, rank=3)
    assert s.rank == 3 and s.significant is None
    assert_allclose(s.singular_values, 1 / (1 + np.arange(200)), rtol=1e-10)
    assert "no gap among the singular values" in str(s)


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.1, 10))
@settings(max_examples=25)
def test_identities(seed, factor):
    """Another unit of weight, the transposed network and other numbers of neurons."""
    J, J0, *_ = planted(seed, 30, 2)
    s = learned_structure(J, J0, rank=2)
    scaled = learned_structure(factor * J, factor * J0, rank=2)
    assert scaled.g == pytest.approx(factor * s.g) and scaled.p_value == pytest.approx(s.p_value, rel=1e-6)
    assert_allclose(scaled.m, np.sqrt(factor) * s.m, rtol=0, atol=1e-9 * factor)
    turned = learned_structure(J.T, J0.T, rank=2)
    assert_allclose(turned.m @ turned.n.T, s.n @ s.m.T, rtol=0, atol=1e-10)
    assert_allclose(np.abs(turned.z), np.abs(s.z.transpose(0, 2, 1)), rtol=0, atol=1e-8)
    order = np.random.default_rng(seed).permutation(30)
    other = learned_structure(J[np.ix_(order, order)], J0[np.ix_(order, order)], rank=2)
    assert other.p_value == pytest.approx(s.p_value, rel=1e-6)
    assert other.randomness == pytest.approx(s.randomness, abs=1e-8)


# J0


LAWS = {
    "gaussian": lambda rng, N: rng.standard_normal((N, N)),
    "signs": lambda rng, N: rng.choice([-1.0, 1.0], (N, N)),
    "sparse": lambda rng, N: rng.standard_normal((N, N)) * (rng.random((N, N)) < 0.05) / np.sqrt(0.05),
    "no self-connections": lambda rng, N: rng.standard_normal((N, N)) * ~np.eye(N, dtype=bool),
}


@pytest.mark.parametrize("law", LAWS)
def test_g_and_the_tests_of_j0_are_calibrated(law):
    """z-scores over many draws: mean 0 and variance 1, for any law."""
    N, draws, rng = 100, 300, np.random.default_rng(11)
    scores = []
    for _ in range(draws):
        J0 = G * LAWS[law](rng, N) / np.sqrt(N)
        g, error = strength(J0)
        scores.append({"g": (g - G) / max(error, 1e-12)} | randomness(J0))
    for name in scores[0]:
        z = np.array([score[name] for score in scores])
        if law == "signs" and name == "g":
            continue  # known without error: all |J_ij| are equal
        if law == "signs" and name.endswith("variances"):
            assert not z.any()
            continue
        assert abs(z.mean()) < LARGEST / np.sqrt(draws), name
        low, high = chi2.ppf([LEAST, 1 - LEAST], draws) / draws
        # chi-squares of 100 terms are a little skew, and so their variances spread a little more than normal ones do
        assert 0.95 * low < z.var() < 1.1 * high, name


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (lambda x, rng: x + 0.1, "mean"),
        (lambda x, rng: x + 0.3 * rng.choice([-1, 1], len(x)), "column means"),  # excitatory and inhibitory neurons
        (lambda x, rng: x + 0.3 * rng.standard_normal((len(x), 1)), "row means"),
        (lambda x, rng: x * np.repeat([0.8, 1.2], len(x) // 2)[:, None], "row variances"),
        (lambda x, rng: x * np.repeat([0.8, 1.2], len(x) // 2), "column variances"),
        (lambda x, rng: x + 0.2 * x.T, "reciprocity"),
    ],
)
def test_a_j0_that_is_not_what_the_theory_takes_it_for(wrong, name):
    _, J0, m, n = planted(12, 200)
    J0 = wrong(J0 * np.sqrt(200), np.random.default_rng(1)) / np.sqrt(200)
    s = learned_structure(J0 + m @ n.T / 200, J0)
    assert name in s.suspicious and not s.looks_random
    assert f"J0 does not look like independent entries of one law with mean 0: {s.suspicious[0]}" in str(s)
    assert "theory of g chi + (1/N) m n^T applies" not in str(s)


# Independence


def gaussian_moment(entries):
    """E of a product of entries of a standard Gaussian matrix, each given by its indices."""
    return np.prod([np.prod(np.arange(1, count, 2)) if count % 2 == 0 else 0 for count in Counter(entries).values()])


@pytest.mark.parametrize("power", [1, 2, 3])
def test_null_moments_are_exact(power):
    """By summing over all paths, at N = 3; odd moments vanish, even ones are those of independent Gaussians."""
    N, rng = 3, np.random.default_rng(13)
    n, m = rng.standard_normal((2, N))
    paths = list(itertools.product(range(N), repeat=power + 1))
    weight = {p: n[p[0]] * m[p[-1]] / N for p in paths}
    entries = {p: list(itertools.pairwise(p)) for p in paths}
    scale = (G / np.sqrt(N)) ** power
    mean = scale * sum(weight[p] * gaussian_moment(entries[p]) for p in paths)
    second = sum(weight[p] * weight[q] * gaussian_moment(entries[p] + entries[q]) for p in paths for q in paths)
    found = null_moments(power, G, N, n @ n, m @ m, n @ m)
    assert_allclose(found, [mean, scale**2 * second - mean**2], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("law", ["gaussian", "signs"])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_scores_of_independent_structures_are_calibrated(law, noise):
    N, draws, rng = 100, 300, np.random.default_rng(14)
    z, p = [], []
    for seed in range(draws):
        J, J0, *_ = planted(seed, N, 2, noise=noise)
        new = G * LAWS[law](rng, N) / np.sqrt(N)
        I = rng.standard_normal(N)
        s = learned_structure(J - J0 + new, new, inputs=I, readouts=I + rng.standard_normal(N), rank=2)
        z.append(s.z)
        p.append(s.p_value)
    z = np.array(z)
    assert np.abs(z.mean(axis=0)).max() < LARGEST / np.sqrt(draws)
    # overlaps with powers k > 1 are normal up to 1/N: their squares spread by more than sqrt(2) by a few percent
    assert np.abs((z**2).mean(axis=0) - 1).max() < 1.2 * LARGEST * np.sqrt(2 / draws)
    assert kstest(p, "uniform").pvalue > LEAST


def correlated(seed, N, strength=3.0):
    """n = strength J0 m: no overlap with m, but n.J0 m/N = strength g^2."""
    rng = np.random.default_rng(seed)
    J0, m = gaussian(rng, N), rng.standard_normal(N)
    return J0 + np.outer(m, strength * J0 @ m) / N, J0


def test_a_structure_that_was_learned_from_j0_is_noticed_and_its_outliers_are_exact():
    N = 400
    J, J0 = correlated(15, N)
    s = learned_structure(J, J0)
    assert not s.independent and s.rank == 1
    assert s.largest[0] == "n1 J0 m1" and s.largest[1] > 15
    assert "the structure is correlated with J0" in str(s)
    assert s.overlaps[1, 0, 0] == pytest.approx(3 * G**2, rel=5 / np.sqrt(N))
    out = s.outliers
    assert len(out.by_overlap) == 0 and len(out.eigenvalues) == 2  # two outliers of a change of rank one
    assert_allclose(out.roots, out.eigenvalues, rtol=1e-10)
    assert_allclose(np.linalg.eigvals(J)[np.abs(np.linalg.eigvals(J)) > out.edge].sum(), out.eigenvalues.sum())
    assert_allclose(out.by_series[0], [np.sqrt(3) * G, -np.sqrt(3) * G], rtol=6 / np.sqrt(N))
    # the first term left out, of the null's size: g^4 / lambda^5 |m||n|/N / sqrt(N) at most, times 5, in 1 - sum
    left_out = 5 * G**4 * s.singular_values[0] / np.sqrt(N) / np.abs(out.eigenvalues) ** 5
    assert (np.abs(out.by_series[2] - out.eigenvalues) < left_out * np.abs(out.eigenvalues)).all()
    assert "roots of the determinant" in str(out) and "by the overlap alone      none" in str(out)


def test_complex_outliers():
    N, rng = 400, np.random.default_rng(16)
    J0, m = gaussian(rng, N), rng.standard_normal((N, 2))
    n = m @ np.array([[1.0, -1.5], [1.5, 1.0]]) + rng.standard_normal((N, 2))
    out = learned_structure(J0 + m @ n.T / N, J0).outliers
    assert len(out.eigenvalues) == 2 and out.eigenvalues[0].imag > 1
    assert_allclose(out.roots, out.eigenvalues, rtol=1e-10)
    assert re.search(r"\d\+1\.\d+i, ", str(out))


@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(1, 3), terms=st.integers(1, 4))
def test_series_roots(seed, rank, terms):
    t = np.random.default_rng(seed).standard_normal((terms, rank, rank))
    roots = series_roots(t)
    assert len(roots) == terms * rank
    for root in roots[np.abs(roots) > 0.1]:
        parts = [t[k] / root ** (k + 1) for k in range(terms)]
        size = 1 + sum(np.abs(part).sum() for part in parts)
        assert abs(np.linalg.det(np.eye(rank) - sum(parts))) < 1e-9 * size**rank


def test_dependence_through_an_input_needs_the_input_to_be_seen():
    """n along the response J0 I to an input, as gradients have it."""
    N, rng = 400, np.random.default_rng(17)
    J0, (I, m, own) = gaussian(rng, N), rng.standard_normal((3, N))
    J = J0 + np.outer(m, own + J0 @ I) / N
    assert learned_structure(J, J0).independent
    s = learned_structure(J, J0, inputs={"go": I})
    assert not s.independent and s.largest[0] == "n1 J0 go"


def test_loadings_that_depend_on_each_other_are_counted_once():
    J, J0, m, n = planted(18, 200)
    s, bare = learned_structure(J, J0, inputs=np.hstack([m, 0 * m]), readouts=n), learned_structure(J, J0)
    assert s.p_value == pytest.approx(bare.p_value, rel=1e-6)
    assert_allclose(np.abs(s.z[:, :, 1]), np.abs(s.z[:, :, 0]), rtol=1e-9)
    assert not s.z[:, :, 2].any() and s.input_names == ("A", "B") and s.readout_names == ("w",)


# What the theory then says of the network


def rest(J, drive, x):
    """A fixed point by damped iteration."""
    for _ in range(4000):
        step = J @ np.tanh(x) + drive - x
        x = x + 0.5 * step
        if np.abs(step).max() < 1e-12:
            return x
    raise AssertionError("no fixed point")


@pytest.mark.parametrize(("rank", "noise"), [(1, 0.0), (2, 0.0), (1, 0.2)])
def test_states_of_the_recovered_mixture_are_those_of_the_network(rank, noise):
    N, u, scores = 600, 0.4, []
    for seed in range(8):
        J, J0, m, _ = planted(100 + seed, N, rank, overlap=2.2, noise=noise)
        I = np.random.default_rng(seed).standard_normal(N)
        s = learned_structure(J, J0, inputs=I)
        state = mf.dmft.stationary(s.connectivity, "tanh", {"A": u}).stable[-1]
        x = rest(J, u * I, s.m @ state.kappa + u * I)
        spread = mf.spread(state, matched="moments")
        scores.append((s.n.T @ np.tanh(x) / N - state.kappa) / spread.std(N))
        scores[-1] = np.append(scores[-1], (x.var() - state.delta0[0]) / spread.delta0_std(N)[0])
    z = np.array(scores)
    assert np.abs(z).max() < LARGEST
    # the z-scores of one network are correlated: count them as if each were worth half
    low, high = chi2.ppf([LEAST, 1 - LEAST], z.size // 2) / (z.size // 2)
    assert low < (z**2).mean() < high


def test_states_are_wrong_where_the_structure_is_correlated():
    """The control of the test before: n = J0 m moves the fixed point by many standard deviations."""
    N, rng = 600, np.random.default_rng(20)
    J0, m = gaussian(rng, N), rng.standard_normal(N)
    s = learned_structure(J0 + np.outer(m, 2.2 * m + 2.5 * J0 @ m) / N, J0)
    assert not s.independent
    state = mf.dmft.stationary(s.connectivity).stable[-1]
    x = rest(s.network.random + s.m @ s.n.T / N, 0.0, s.m @ state.kappa)
    z = (s.n.T @ np.tanh(x) / N - state.kappa) / mf.spread(state, matched="moments").std(N)
    assert abs(z[0]) > 8


def test_the_network_is_the_trained_one():
    J, J0, m, _ = planted(21, 200, 2, noise=0.1)
    labels = np.repeat(["b", "a"], 100)
    s = learned_structure(J, J0, {"go": m[:, 0]}, m[:, 1], labels=labels, tau=2.0, transfer="erf")
    net = s.network
    assert (net.tau, net.transfer, net.input_names, net.rank) == (2.0, "erf", ("go",), 2)
    assert net.mixture.n_populations == 2 and net.population[0] == 1 and net.population[-1] == 0
    assert_allclose(net.mixture.mean("m1"), [s.m[100:, 0].mean(), s.m[:100, 0].mean()], rtol=1e-10)
    x = np.random.default_rng(1).standard_normal(200)
    run = simulate(net, {"go": 0.3}, duration=0.002, dt=0.001, start=x, method="euler", record_x=True)
    phi = mf.get_transfer("erf")(x)
    assert_allclose((run.x[1] - x) / 0.001 * 2.0, -x + J @ phi + 0.3 * m[:, 0], rtol=0, atol=1e-9)


def test_chaos_of_the_recovered_mixture():
    J, J0, *_ = planted(22, 400, overlap=0.5, g=1.6)
    s = learned_structure(J, J0)
    found = mf.dmft.chaotic(s.connectivity)
    assert found and found[0].delta0 > 0.5


# The border


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"J": np.zeros((30, 20))}, r"J must be a square matrix, .* got shape \(30, 20\)"),
        ({"J": np.zeros(30)}, r"J must be a square matrix"),
        ({"J": np.full((40, 40), np.nan)}, "J must be finite: got nan"),
        ({"J0": "words"}, "J0 must be an array of real numbers"),
        ({"J": np.zeros((4, 4))}, "J has 4 neurons, at least 20"),
        ({"J": np.eye(30)}, r"J and J0 must have one shape: got \(30, 30\) and \(40, 40\)"),
        ({"J0": np.zeros((40, 40))}, "J0 does not vary"),
        ({"J0": np.ones((40, 40))}, "J0 does not vary"),
        ({"J": None}, "J equals J0 within rounding"),
        ({"rank": 0}, "rank must be an integer, at least 1"),
        ({"rank": 3}, "rank must be at most that of the change, 1, and below N: got 3"),
        ({"level": 1.0}, "level must lie between 0 and 1"),
        ({"level": 0}, "level must be positive"),
        ({"tau": -1}, "tau must be positive"),
        ({"inputs": np.ones(3)}, r"inputs: got shape \(3, 1\), expected \(40 neurons"),
        ({"readouts": {"z": np.ones(3)}}, r"readouts 'z': got shape \(3,\), expected \(40,\)"),
        ({"labels": [1, 2]}, r"labels: got shape \(2,\)"),
        ({"transfer": "tangh"}, "tanh"),
    ],
)
def test_bad_input(change, message):
    J, J0, *_ = planted(23, 40)
    arguments = {"J": J, "J0": J0} | change
    if arguments["J"] is None:
        arguments["J"] = J0 * (1 + 1e-16)
    with pytest.raises(ValueError, match=message):
        learned_structure(**arguments)
