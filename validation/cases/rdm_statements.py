"""What is claimed of the random-dots networks, and whether it holds."""

from collections import Counter
from dataclasses import replace

import numpy as np

from ..analysis import Statement
from ..populations.explanation import explain
from ..tasks.scores import Fit, accuracy, binomial
from . import checks, draws
from .rdm_figures import THESIS, ideal, stable_readouts

SOURCE = "Valente 2019, 3.3"
#: A share may be above its bound, and a count off its probability, by chance: once in ten thousand times.
LEVEL = draws.LEVEL
#: What the training asked for, on fresh trials.
GOAL = 0.99


def wrong_theories(known):
    """Planted wrong theories against the network: (what is wrong, what must reject it, its explanation)."""
    c, facts = known.connectivity, known.facts
    overlap = c.overlap("n", "m")[0, 0]
    wrong = (
        ("n.m = 0.9", "portraits", with_overlap(c, "m", 0.9 / overlap)),
        ("n.I = 0", "portraits", with_overlap(c, "I", 0.0)),
        ("n.I of the other sign", "decisions", with_overlap(c, "I", -1.0)),
    )
    return tuple((what, by, explain(facts, mixture)) for what, by, mixture in wrong)


def with_overlap(c, kind, factor):
    """One population of rank one, its overlap of n with m or I multiplied, and no other changed.

    The covariance takes the change alone; the variance of n, which the infinite network does not depend on, grows where
    the covariance would not be one.
    """
    covariance, n, other = c.covariances[0].copy(), c.slice("n").start, c.slice(kind).start
    covariance[[n, other], [other, n]] += (factor - 1) * c.overlap("n", kind)[0, 0]
    rest = np.delete(np.arange(len(covariance)), n)
    cross = covariance[n, rest]
    least = cross @ np.linalg.solve(covariance[np.ix_(rest, rest)], cross)
    covariance[n, n] = max(covariance[n, n], 1.01 * least)
    return replace(c, covariances=covariance[None])


def statements(found):
    """All of them, in the order of the thesis."""
    parts = (_behaviour, _training, _mechanism, _limit, _planted, _drawn, _hand)
    return [statement for part in parts for statement in part(found)]


def _far(level=LEVEL):
    from scipy.stats import norm

    return float(norm.isf(level / 2))


def _behaviour(found):
    task, exam, sizes = found.task, found.exam, _sizes(found)
    easy = exam.trials.at(np.abs(exam.trials.condition("coherence")) >= 1)
    z = exam.z[np.abs(exam.trials.condition("coherence")) >= 1]
    done = accuracy(easy, z)
    yield checks.claim(
        "perfect psychometric curve: right decisions at the coherences of the training, +-1, +-2, +-4",
        done.share + _far() * done.error >= 1, done, "1 (Fig. 3.2), within its error", SOURCE,
    )  # fmt: skip
    level = (easy.mean_readout(z) * easy.target).mean()
    rms = np.sqrt(((easy.mean_readout(z) - easy.target) ** 2).mean())
    yield checks.claim(
        "the readout is +-1 at the decision", rms < 0.1, f"mean {level:.3f}, rms error {rms:.3f}",
        "1; below 0.1, the root of the training's goal", SOURCE,
    )  # fmt: skip
    best = ideal(task, sizes)
    above = (exam.share - best) / exam.error
    yield checks.claim(
        "no decision is better than that of an observer who sums the stimulus, Phi(sqrt(T) c / noise)",
        above.max() < _far(), _list(sizes, exam.share, exam.error), _list(sizes, best), "signal detection",
    )  # fmt: skip
    times = crossing(found, sizes[sizes >= 1])
    yield checks.claim(
        "the readout is there the earlier the easier the trial: time from stimulus to |z| = 1/2, mean readout",
        bool((np.diff(times) < 0).all()),
        ", ".join(f"{t:.0f} ms at {c:g}" for t, c in zip(times, sizes[sizes >= 1], strict=True)),
        "decreasing with |coherence|", "Valente 2019, Fig. 3.2",
    )  # fmt: skip
    kappa, z = found.rest
    near, plus = np.abs(np.abs(z[:, -1]) - stable_readouts(found).max()), int((kappa[:, -1] > 0).sum())
    chosen = int((near < 0.5 * stable_readouts(found).max()).sum())
    yield checks.claim(
        "without input, private noise alone takes the network from 0 to one of its two stable points",
        chosen == len(z), f"{chosen} of {len(z)} runs, {plus} to the positive one", f"all {len(z)}", SOURCE,
    )  # fmt: skip


def _sizes(found):
    return np.unique(np.abs(found.exam.trials.condition("coherence")))


def crossing(found, sizes):
    """Time (ms) after the start of the stimulus at which the mean of z times the target reaches 1/2, at each size."""
    exam, begin = found.exam, found.task._periods()[0]
    c = np.abs(exam.trials.condition("coherence"))
    means = [(exam.z * exam.trials.target[:, None])[np.isclose(c, size)].mean(0) for size in sizes]
    return np.array([(np.argmax(mean >= 0.5) - begin + 1) * found.task.dt for mean in means])


def _list(sizes, share, error=None):
    if error is None:
        return ", ".join(f"{c:g}: {p:.3f}" for c, p in zip(sizes, share, strict=True))
    return ", ".join(f"{c:g}: {p:.3f} ± {e:.3f}" for c, p, e in zip(sizes, share, error, strict=True))


def _training(found):
    for seeds, words in ((found.held, "to hold the decision"), (found.brief, "to decide after 100 ms, in one step")):
        recorded = [s.trained.test_accuracy for s in seeds]
        steps = [len(s.trained.loss) for s in seeds]
        yield checks.claim(
            f"{len(seeds)} trainings {words}, from random loadings: the goal was reached",
            all(s.trained.success and right >= GOAL for s, right in zip(seeds, recorded, strict=True)),
            f"right {min(recorded):.3f} to {max(recorded):.3f}, after {min(steps)} to {max(steps)} steps",
            f"{GOAL:g} or more, and an error of at most {seeds[0].trained.options['loss']:g}", "loss on fresh trials",
        )  # fmt: skip
    values = np.array([s.overlap for s in found.held])
    low, high = THESIS
    yield checks.claim(
        "overlap m.n/N of the networks trained to hold, the only eigenvalue of their connectivity",
        bool(((values[:, 0] > low) & (values[:, 0] < high)).all()),
        _overlaps(values), f"{low} to {high} for most trainings", SOURCE,
    )  # fmt: skip
    brief = np.array([s.overlap for s in found.brief])
    below = [s for s in found.brief if s.overlap[0] < 1]
    yield checks.claim(
        "read at once, networks decide without bistability: overlaps of those, and accuracy where it is below 1",
        len(below) > 0 and min(s.trained.test_accuracy for s in below) >= GOAL,
        f"{_overlaps(brief)}; right: {min((s.trained.test_accuracy for s in below), default=np.nan):.3f} or more",
        f"some below 1, and there {GOAL:g} right: an unstable 0 holds a decision, it is not needed to take one",
        checks.OURS,
    )  # fmt: skip
    yield checks.claim(
        "to hold the decision takes more overlap than to give it at once",
        values[:, 0].min() > brief[:, 0].max(),
        f"at least {values[:, 0].min():.3f} beside at most {brief[:, 0].max():.3f}",
        "the smallest of the ones above the largest of the others", checks.OURS,
    )  # fmt: skip
    held, forgot = (np.array([s.level for s in seeds]) for seeds in (found.held, found.brief))
    yield checks.claim(
        "asked to hold it, the networks trained for the short delay lose it: mean readout times the target",
        forgot.max() < held.min() and forgot.max() < 1 - 0.1,
        f"{forgot.min():.2f} to {forgot.max():.2f}; those trained to hold it: {held.min():.2f} to {held.max():.2f}",
        "below 0.9, and below those", checks.OURS,
    )  # fmt: skip


def level_of(trials, z):
    """Mean readout in the window times the target, over the trials of the training's coherences, 1 and more."""
    easy = np.abs(trials.condition("coherence")) >= 1
    return float((trials.mean_readout(z) * trials.target)[easy].mean())


def _overlaps(values):
    return ", ".join(f"{value:.3f} ± {error:.3f}" for value, error in values)


def _mechanism(found):
    every = (*found.held, *found.brief)
    proved = all(s.points.complete for s in every)
    same = [(len(s.points), len(s.points.stable)) == ((3, 2) if s.overlap[0] > 1 else (1, 1)) for s in every]
    above = sum(s.overlap[0] > 1 for s in every)
    yield checks.claim(
        "bistable where the overlap is above 1, one fixed point where it is below: all fixed points of each network",
        proved and all(same),
        f"{sum(same)} of {len(same)} networks, {above} of them above 1 ({'' if proved else 'not all '}proved complete)",
        "all (exact for above: 0 is unstable; for below: a theorem of one Gaussian population)", SOURCE,
    )  # fmt: skip
    middle = [np.abs(s.points.kappa[:, 0]).argmin() for s in found.held]
    rates = np.array([[s.points.eigenvalues[k, 0].real, s.overlap[0]] for k, s in zip(middle, found.held, strict=True)])
    yield checks.claim(
        "0 is unstable but slow: its eigenvalue is the overlap less 1",
        bool(np.abs(rates[:, 0] - (rates[:, 1] - 1)).max() < 1e-9 and (rates[:, 0] > 0).all()),
        f"growth in {1 / rates[:, 0].max():.1f} to {1 / rates[:, 0].min():.1f} tau", "positive, equal (1e-9)", SOURCE,
    )  # fmt: skip
    words = {"nI": "the input is aligned with n", "mI": "the input is aligned with m", "wm": "the readout with m"}
    for pair, text in words.items():
        values = np.array([s.cosines[pair] for s in found.held])
        z = np.abs(values[:, 0]) / values[:, 1]
        listed = ", ".join(f"{abs(v):.2f} ± {e:.2f}" for v, e in values)
        yield checks.claim(
            f"{text}: |cosine| in the networks trained to hold", z.min() > _far(), listed,
            f"above 0 by more than {_far():.1f} jackknife errors", SOURCE,
        )  # fmt: skip
    signs = [np.sign(s.cosines["nI"][0] * s.cosines["wm"][0]) for s in every]
    yield checks.claim(
        "input and readout agree: I.n and w.m have one sign, so that the sign of the input comes out",
        min(signs) > 0, f"{sum(s > 0 for s in signs)} of {len(signs)} networks", "all", checks.OURS,
    )  # fmt: skip
    number = [len(p.fixed_points) for p in found.portraits]
    labels = [p.condition.label for p in found.portraits]
    yield checks.claim(
        "a strong input leaves one fixed point: the other choice vanishes in a saddle-node bifurcation",
        number[0] == 3 and number[-1] == 1 and all(p.fixed_points.complete for p in found.portraits),
        ", ".join(f"{n} ({label})" for n, label in zip(number, labels, strict=True)), "3, .., 1 (Fig. 2.3)",
        "Valente 2019, 2.2",
    )  # fmt: skip


def _limit(found):
    count = Counter(choice.n_populations for choice in found.choices)
    words = ", ".join(f"{p}: {n} of {len(found.choices)} networks" for p, n in count.items())
    bic = ", ".join(str(choice.by_bic) for choice in found.choices)
    yield checks.claim(
        "populations that the dynamics needs, modulo the sign of each neuron", set(count) == {1}, words,
        f"1 (Gaussian loadings suffice); BIC alone: {bic}", "Dubreuil, Valente et al. 2022",
    )  # fmt: skip
    from scipy.stats import t

    own = found.own
    yield draws.mean_agrees(
        "right decisions at weak coherence of networks drawn from that population, less those of the infinite network "
        "with the moments of each draw on the same trials", own.gap, 0.0, _N,
    )  # fmt: skip
    count, spread = len(own.gap), own.gap.std(ddof=1)
    far = float(t.isf(LEVEL / 2, count - 1)) * spread * np.sqrt(1 + 1 / count)
    yield checks.claim(
        "right decisions at weak coherence of the trained network, less those of its mean-field limit, same trials",
        abs(found.gap - own.gap.mean()) < far, f"{found.gap:+.4f}",
        f"{own.gap.mean():+.4f} ± {spread:.4f} over {count} draws; allowed {far:.3f}, Student's t", draws.NETWORKS,
    )  # fmt: skip
    yield Statement(
        "psychometric curve of the trained network", _slope(found.exam.curve),
        f"limit: {_slope(own.limit.curve)}", None, "logistic fits",
    )  # fmt: skip


_N = 512


def _slope(curve):
    if curve.status is not Fit.CONVERGED:
        return curve.status.value
    return f"slope {curve.slope:.2f} ± {curve.slope_error:.2f} per unit of coherence, bias {curve.bias:.3f} ± " + (
        f"{curve.bias_error:.3f}"
    )


def _planted(found):
    for what, by, wrong in found.wrong:
        yield checks.claim(
            f"planted wrong theory, the same population with {what}, is rejected",
            by in wrong.rejected_by, f"by {', '.join(wrong.rejected_by) or 'nothing'}", f"by {by} at least",
            "portraits, decisions and drift of the network",
        )  # fmt: skip


def _drawn(found):
    kinds = {"its one population": found.own, "the six parameters": found.hand}
    kinds["the six parameters trained at N = infinity"] = found.hand_limit
    for words, some in kinds.items():
        overlap, count = some.mixture.overlap("n", "m")[0, 0], len(some.overlap)
        yield draws.spread_agrees(
            f"overlaps of networks drawn from {words}", (some.overlap - overlap) / some.overlap_std
        )
        right, error = binomial(some.share[:, _sizes(found) >= 1].mean(1) * some.easy, some.easy)
        far = _far(LEVEL / count)
        yield checks.claim(
            f"all networks drawn from {words} decide as asked for", bool((right + far * error >= GOAL).all()),
            f"right {right.min():.3f} to {right.max():.3f} in {count} networks",
            f"{GOAL:g} or more (Fig. 3.3), within {far:.1f} errors of {some.easy} trials", SOURCE,
        )  # fmt: skip
        yield _bistable(words, some)
        yield Statement(
            f"readout at decision in those drawn from {words}, times the target",
            f"{some.level.mean():.2f} ± {some.level.std(ddof=1):.2f} (standard deviation over the draws)",
            f"{level_of(some.limit.trials, some.limit.z):.2f} in the limit", None, draws.NETWORKS,
        )  # fmt: skip
        apart = some.level - some.predicted
        yield draws.mean_agrees(
            f"the same less that of the infinite network with the moments of each draw, from {words}", apart, 0.0, _N
        )
        ratio = apart.std(ddof=1) / some.level.std(ddof=1)
        yield checks.claim(
            f"the spread of the readout over draws from {words} is that of their moments",
            ratio < 0.5, f"{ratio:.2f} of the spread is left without it",
            f"below a half; theory at a stable point: {some.left:.2f}", draws.NETWORKS,
        )  # fmt: skip


def _bistable(words, some):
    from scipy.stats import binom

    count, alike = len(some.overlap), int((some.points == (some.expected, (some.expected + 1) // 2)).all(1).sum())
    p = min(max(some.odds, 1e-12), 1 - 1e-12)
    chance = min(1.0, 2 * min(binom.cdf(alike, count, p), binom.sf(alike - 1, count, p)))
    return checks.claim(
        f"networks drawn from {words} that are bistable as the infinite one is", chance > LEVEL,
        f"{alike} of {count} (p = {chance:.2g})", f"probability {some.odds:.3f} at N = {_N}, leading order",
        "spread of the overlap",
    )  # fmt: skip


def _hand(found):
    names = ("rho", "alpha_n", "alpha_m", "w_o", "sigma_n", "sigma_m")
    level = level_of(found.hand_limit.limit.trials, found.hand_limit.limit.z)
    yield checks.claim(
        "trained at N = infinity, the six parameters give a readout of 1 there", abs(level - 1) < 0.1, f"{level:.3f}",
        "1 within 0.1; those trained through draws have compensated for the overlaps of these draws", checks.OURS,
    )  # fmt: skip
    for words, some, params in zip(
        ("through 512 fixed draws", "at N = infinity"), (found.hand, found.hand_limit), found.hand_params, strict=True
    ):
        value = ", ".join(f"{name} = {abs(float(params[name])):.3f}" for name in names)
        yield checks.claim(
            f"the six parameters of eqs. (3.1)-(3.4), trained {words}: overlap rho above 1", params["rho"] > 1, value,
            "rho slightly above 1; before training all 1, w_o = 2", SOURCE,
        )  # fmt: skip
        easy = some.limit.share[_sizes(found) >= 1]
        yield checks.claim(
            f"the infinite network of the six parameters trained {words} decides", easy.min() >= GOAL,
            f"{easy.min():.4f} ± {some.limit.error[_sizes(found) >= 1].max():.4f}", f"{GOAL:g} or more",
            "reduced equations",
        )  # fmt: skip
