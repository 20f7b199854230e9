"""A network whose mixture is known, against that mixture: is what it does the theory of the mixture, up to chance?

Everything is compared with the spread that the theory predicts for networks of this size drawn from the mixture as this
one was; nothing is fitted.
"""

from dataclasses import dataclass

import numpy as np

from meanfield.fluctuations import changes, spread, unchanged_probability

from . import decisions, predictions, redrawn, scores
from .analysis import Portrait, Statement, portrait
from .decisions import RecordedTrials, load_trials
from .predictions import place
from .sections import default_conditions
from .tasks.scores import binomial
from .verdict import LEADING_ORDER, LEVEL

__all__ = ["examine", "load_trials"]

SIZES, DRAWS = (256, 1024, 4096, 16384), 20
SIZES_QUICK, DRAWS_QUICK = (256, 1024), 8
#: Networks redrawn at the network's own size: for the drift at many states, and to follow on the trials.
TWINS, FOLLOWED = 400, 200
TWINS_QUICK, FOLLOWED_QUICK = 100, 50
# Followed at once: few enough to keep memory small.
_TOGETHER = 10
# The path's spread counts where it is above this share of its largest: at the start all networks are at one place.
_STARTED = 2e-2
_ORACLE = "the trials' own record"
#: What the draws that a network is compared with share, for people.
FIXED = {"nothing": "all neurons independent", "sizes": "with the same sizes of populations"}


@dataclass(frozen=True, eq=False)
class Expected:
    """The mixture under one condition.

    Attributes
    ----------
    portrait : Portrait
    spread : FixedPointSpread, or None where the portrait is not proved to be isolated points
    changes : tuple of Change
        Ways in which the portrait of a draw can differ.
    """

    portrait: Portrait
    spread: object = None
    changes: tuple = ()


def expected_of(net, condition, smallest, matched):
    """What the theory says of networks of ``smallest`` neurons or more, drawn as ``net`` was.

    Returns
    -------
    Expected
    """
    mixture = portrait(net.mixture, net.transfer, condition, cycles=False)
    if not mixture.fixed_points.complete:
        return Expected(mixture)
    sp = spread(mixture.fixed_points, matched)
    return Expected(mixture, sp, changes(sp, smallest))


def portrait_statement(net, mixture, own):
    """Whether the network has the fixed points of the mixture and, if not, how likely that is and what differs.

    Parameters
    ----------
    net : Network
    mixture : Expected
    own : FixedPoints
        Of the network under the same inputs.
    """
    theory, listed, n = mixture.portrait.fixed_points, mixture.changes, net.n_neurons
    chance = 1 - unchanged_probability(listed, n)
    what = redrawn.difference(theory, own, listed)
    value = f"{redrawn.in_words(redrawn.counts(own))} ({own.status.name.lower()})" + (f": {what}" if what else "")
    expected = redrawn.in_words(redrawn.counts(theory))
    expected += f"; {chance:.2g} of the networks of {n} neurons have others"
    if listed:
        near, distance = listed[0], listed[0].distance * np.sqrt(n)
        expected += f"; nearest change: {near.kind} at {place(near.kappa)}, {distance:.2g} standard deviations away"
    # the probability is good to leading order only
    holds = bool(not what or LEADING_ORDER * chance > LEVEL) if own.complete else None
    return Statement(f"fixed points, {mixture.portrait.condition.label}", value, expected, holds, "distance to folds")


def oracle_statement(net, trials, run):
    """Our simulation against what the trials recorded."""
    gaps = decisions.oracle_gaps(net, trials, run)
    value = "largest difference " + ", ".join(f"{gap:.1e} ({name})" for name, gap in gaps.items())
    text = f"our Euler steps on {len(trials)} trials give the recorded readouts and coordinates"
    tolerance = decisions.ORACLE_TOLERANCE
    return Statement(text, value, f"at most {tolerance:g}", max(gaps.values()) <= tolerance, _ORACLE)


def decision_statement(who, z, trials, source):
    """Which trials are decided right, with the mean readouts behind the decisions."""
    correct, means = decisions.right(z, trials), decisions.mean_readout(z, trials.window)
    listed = zip(trials.labels[: decisions.MOST_TRIALS], means, trials.target, strict=False)
    value = f"{correct.sum()} of {len(trials)} right; mean readouts "
    value += ", ".join(f"{label}: {mean:.3f} ({target:+g})" for label, mean, target in listed)
    return Statement(f"decisions of {who}", value, f"{len(trials)} right", bool(correct.all()), source)


def path_statements(net, trials, own, limit, std, draws, seed, matched, say):
    """The network's paths, and those of redrawn networks of its size, against the limit's and its predicted spread.

    Linear response does not know of networks that decide otherwise, so the law of the mean squared deviation is taken
    from the redrawn ones, by rank.
    """
    seen = std > _STARTED * std.max(axis=(1, 2), keepdims=True)
    scale = np.where(seen, std, np.inf) / np.sqrt(net.n_neurons)

    def measure(kappa):
        z = (kappa - limit) / scale
        within = ((np.abs(z) <= 2) & seen).sum(axis=(-3, -2, -1)) / seen.sum()
        return (z**2).sum(axis=(-3, -2, -1)) / seen.sum(), within

    (score, within), theirs, inside, correct = measure(own), [], [], []
    for k in range(0, draws, _TOGETHER):
        say(f"redrawn networks of {net.n_neurons} neurons on the trials: {k} of {draws}")
        some = range(k, min(k + _TOGETHER, draws))
        nets = [redrawn.redraw(net, net.n_neurons, [seed, net.n_neurons, j], matched) for j in some]
        twins = decisions.run_trials(nets, trials)
        for into, found in zip((theirs, inside), measure(twins.kappa), strict=True):
            into.extend(found)
        correct += decisions.right(twins.z[..., 0], trials).all(-1).tolist()
    above = int((np.array(theirs) >= score).sum())
    source = f"spread along the path; {draws} redrawn networks of {net.n_neurons} neurons"
    yield Statement(
        "kappa(t) on the trials about that of the mixture: mean squared deviation in predicted variances",
        f"{score:.3g}, {within:.0%} of the points within the band; p = {(1 + above) / (1 + draws):.2g} by rank",
        f"median {np.median(theirs):.3g} and {np.median(inside):.0%} in redrawn networks; not the largest of all",
        above > 0,
        source,
    )
    share, error = binomial(sum(correct), draws)
    text = f"redrawn networks of {net.n_neurons} neurons that decide all of {len(trials)} trials right"
    yield Statement(text, f"{share:.3f} ± {error:.3f}", "1 for N to infinity, if the mixture does", None, source)


def growth_statements(growth, mixtures, limit):
    """Right decisions and portraits of redrawn networks, and what the other portraits differ in."""
    sizes, source = growth.sizes, f"{growth.draws} redrawn networks of each size"
    if growth.correct is not None:
        share, error = growth.accuracy()
        gap = np.abs(share - limit)
        value = ", ".join(f"N = {n}: {s:.3f} ± {e:.3f}" for n, s, e in zip(sizes, share, error, strict=True))
        holds = gap[-1] <= gap[0] + 2 * np.hypot(error[0], error[-1])
        text = "right decisions of redrawn networks approach those of the infinite one"
        yield Statement(text, value, f"{limit:g} for N to infinity", bool(holds), source)
    for x, rows, counted in zip(mixtures, growth.topology, growth.differences, strict=True):
        label, unproved = x.portrait.condition.label, sum(t.draws - t.proved for t in rows)
        value = ", ".join(f"N = {t.n_neurons}: {t.same} of {t.draws}" for t in rows)
        value += f" ({unproved} not proved complete)" if unproved else ""
        expected = "probability " + ", ".join(f"{t.probability:.2f}" for t in rows)
        if x.changes:
            far = (2 / x.changes[0].distance) ** 2
            expected += f"; the nearest change is two standard deviations away at N = {far:.2g}"
        text, holds = f"redrawn networks with the portrait of the mixture, {label}", all(t.agrees for t in rows)
        yield Statement(text, value, expected, holds, f"{source}; distance to folds")
        if counted:
            words = "; ".join(f"{number} have {what}" for what, number in counted.most_common(3))
            yield Statement(f"what the others have, {label}", words, "pairs at the listed changes", None, source)


def examine(net, trials=None, quick=False, seed=0, progress=None):
    """A network against the mixture it was drawn from: drift, fixed points, Jacobians, decisions, and growth with N.

    Parameters
    ----------
    net : Network
        Where its ``mixture`` is not known, only what needs none is done.
    trials : Trials, optional
        Of a task, or recorded, which are reproduced first.
    quick : bool
        Fewer and smaller redrawn networks.
    seed : int
        For these; the result is the same for the same seed.
    progress : callable, optional
        Called with a message before each step.

    Returns
    -------
    figures : tuple of Figure
    statements : tuple of Statement
        The last one sums up: does the mixture explain this network?

    Raises
    ------
    ValueError
        Trials of another rank or number of inputs; and what :func:`meanfield.spread` refuses, e.g. a step function.
    """
    say, statements = progress or (lambda message: None), []
    run = None if trials is None else decisions.run_trials(net, trials)
    if isinstance(trials, RecordedTrials):
        statements += [oracle_statement(net, trials, run)]
    if trials is not None:
        statements += [decision_statement("the network", run.z[..., 0], trials, "N units simulated")]
    if net.mixture is None:
        text, value = "does a mixture explain this network?", "not known: the network comes without a mixture"
        return (), (*statements, Statement(text, value, "fit one to its loadings", None, "the network's file"))
    matched, words = redrawn.how_drawn(net)
    statements.append(Statement("how the network was drawn from its mixture", words, "", None, "its labels"))
    sizes, draws = (SIZES_QUICK, DRAWS_QUICK) if quick else (SIZES, DRAWS)
    mixtures = []
    for condition in default_conditions(net.mixture):
        say(f"fixed points of the mixture and their spread, {condition.label}")
        mixtures.append(expected_of(net, condition, min(*sizes, net.n_neurons), matched))
    compared, remarks = _compared(net, trials, mixtures, quick, seed, matched, say)
    figures, decided, few, limit = _on_trials(net, trials, run, quick, seed, matched, say)
    if few is not None:
        remarks.append(f"{decided[-1].text}: {decided[-1].value}")
    settled = [x for x in mixtures if x.spread is not None]
    if few is not None or settled:
        growth = redrawn.grow(net, settled, few, sizes, draws, seed, matched, say)
        decided += growth_statements(growth, settled, limit)
        figures += (redrawn.growth_figure(growth, settled, limit),)
    against_mixture = [*compared, *decided]
    return figures, (*statements, *against_mixture, summary(against_mixture, remarks))


def _compared(net, trials, mixtures, quick, seed, matched, say):
    """Statements about the network itself: drift, portraits, Jacobians and fixed points, at one family-wise level; and
    remarks on what differs by chance."""
    statements, found, left_out, remarks = [], [], [], []
    for x in mixtures:
        condition, theory = x.portrait.condition, x.portrait.fixed_points
        found.append(scores.jacobian_score(net, condition, matched))
        if x.spread is None:
            left_out.append(f"fixed points, {condition.label}: those of the mixture are a {theory.status.value}")
            continue
        say(f"fixed points of the network, {condition.label}")
        own = portrait(net.connectivity, net.transfer, condition, cycles=False).fixed_points
        statements.append(portrait_statement(net, x, own))
        if what := redrawn.difference(theory, own, x.changes):
            chance = 1 - unchanged_probability(x.changes, net.n_neurons)
            remarks.append(f"{condition.label}: it has {what}; {chance:.0%} of the draws have another portrait")
        some, others = scores.point_scores(net, x.portrait, own, x.spread)
        found, left_out = [*found, *some], [*left_out, *others]
    recorded = isinstance(trials, RecordedTrials) and trials.drift_kappa is not None
    kappa, v = decisions.states_of(trials) if recorded else states(mixtures)
    found.insert(0, scores.drift_score(net, kappa, v, matched))
    level = LEVEL / (1 + len(found))
    say(f"drift of redrawn networks of {net.n_neurons} neurons")
    joint = redrawn.joint_test(net, kappa, v, TWINS_QUICK if quick else TWINS, seed, matched)
    source = f"spread over networks of {net.n_neurons} neurons, {FIXED[matched]}"
    drift, *others = (score.statement(level, source) for score in found)
    statements = [drift, joint_statement(joint, level), *statements, *others]
    if left_out:
        statements.append(Statement("not compared", "; ".join(left_out), "", None, "validity of linear response"))
    return statements, remarks


def joint_statement(joint, level):
    """The drift at all states together."""
    value = f"chi-square {joint.value:.1f}; p = {joint.p:.2g}, by rank {joint.rank:.2g}"
    expected = f"{joint.freedom} on average ({joint.mean:.1f} in {joint.draws} redrawn networks); p above {level:.1g}"
    text = "drift at these states, all at once with their correlations"
    source = "covariance from a sample of neurons, law from redrawn networks"
    return Statement(text, value, expected, bool(joint.p > level), source)


def states(mixtures):
    """Where to compare the drift when the trials do not say: two places per condition, kappa (D, R) and v (D, S)."""
    portraits = [x.portrait for x in mixtures]
    kappa = np.concatenate([predictions.states(p.fixed_points) for p in portraits])
    return kappa, np.repeat([p.field.v for p in portraits], len(kappa) // len(portraits), axis=0)


def _on_trials(net, trials, run, quick, seed, matched, say):
    """Figures, statements, the trials that are followed and the limit's share of right decisions on these.

    Nothing where there are no trials to decide.
    """
    if trials is None:
        return (), [], None, None
    if net.readout_transfer != net.transfer:
        words = f"the readout is of {net.readout_transfer}(x), that of the theory of {net.transfer}(x)"
        return (), [Statement("decisions of the infinite network", words, "", None, "the network's file")], None, None
    say("the infinite network on the trials")
    step, kappa, v = decisions.euler_step(net, trials), run.kappa[0, 0], run.v[0, 0]
    limit = decisions.limit_on_trials(net.mixture, net.transfer, trials, step, kappa, v)
    source, outside = "reduced equations, same Euler rule", run.outside[0, 0]
    if outside > decisions.ORACLE_TOLERANCE:
        source += f"; x0 has {outside:.2g} (root mean square) outside the span of m and I, left out"
    statements = [decision_statement("the infinite network", limit.z, trials, source)]
    some = decisions.chosen(trials)
    few, own, theirs = trials.at(some), run.kappa[some], limit.kappa[some]
    std = decisions.path_spread(net.mixture, net.transfer, few, step, kappa, v, matched)
    draws = FOLLOWED_QUICK if quick else FOLLOWED
    statements += path_statements(net, few, own, theirs, std, draws, seed, matched, say)
    figure = decisions.trials_figure(few, step, own, theirs, std / np.sqrt(net.n_neurons))
    return (figure,), statements, few, float(decisions.right(limit.z[some], few).mean())


def summary(statements, remarks=()):
    """The plain-language answer; ``remarks``: on what is chance."""
    against = [x.text for x in statements if x.holds is False]
    tested = sum(x.holds is not None for x in statements)
    value = f"no: {len(against)} of {tested} statements fail: {'; '.join(against)}"
    if not against:
        value = f"yes: all {tested} statements hold, and nothing tells this network from one drawn from the mixture"
        value += "".join(f". {remark[0].upper()}{remark[1:]}" for remark in remarks)
    return Statement("does the mixture explain this network?", value, "yes", not against, "all comparisons above")
