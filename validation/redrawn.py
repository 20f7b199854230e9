"""Networks redrawn from the mixture of a network: what of it is chance, and what changes with the number of neurons."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from meanfield import plotting
from meanfield.dynamics import reduce
from meanfield.fixed_points import fixed_points
from meanfield.fluctuations import unchanged_probability
from meanfield.mixture.sampling import population_sizes
from meanfield.transfer import get_transfer

from .analysis import Figure
from .decisions import drift_at, right, run_trials
from .networks import Network
from .predictions import partners, place
from .tasks.scores import binomial
from .verdict import Topology
from .workers import over

#: Neurons that the covariance of the drift over states is estimated from: good to a percent for a hundred numbers.
NEURONS = 1 << 18
#: Directions of a covariance below this share of the largest are rounding.
NULL = 1e-10


def how_drawn(net):
    """What a network shares with every draw of its mixture, decided by its labels: "sizes" or "nothing"; and why.

    Returns
    -------
    matched : str
        As for :func:`meanfield.spread`.
    words : str
    """
    c = net.mixture
    if net.population is None:
        return "nothing", "the populations of its neurons are not known: they are taken as drawn independently"
    counts = np.bincount(net.population, minlength=c.n_populations)
    found = ", ".join(map(str, counts))
    if len(counts) > c.n_populations:
        return "nothing", f"its labels name {len(counts)} populations, the mixture has {c.n_populations}"
    # rounding N alpha_p to whole neurons shifts it by less than one, which no spread of sizes does in large networks
    if np.abs(counts - net.n_neurons * c.weights).max() < 1:
        return "sizes", f"the sizes of its populations, {found}, are N times the weights: they are taken as fixed"
    expected = ", ".join(f"{x:.4g}" for x in net.n_neurons * c.weights)
    return "nothing", f"the sizes of its populations, {found}, are not N times the weights, {expected}: they are random"


def redraw(net, n_neurons, seed, matched):
    """A network of ``n_neurons`` from the mixture of ``net``, with its functions, times and start, drawn as it was.

    It starts at the same coordinates of x on m and I; what ``net.x0`` has outside of their span is left out.

    Parameters
    ----------
    net : Network
    n_neurons : int
    seed : sequence of int
    matched : {"nothing", "sizes"}

    Returns
    -------
    Network
    """
    c = net.mixture
    if matched == "sizes":
        sizes = population_sizes(c.weights, n_neurons)
        parts = [
            replace(c, weights=[1.0], means=c.means[[p]], covariances=c.covariances[[p]]).sample(int(size), [*seed, p])
            for p, size in enumerate(sizes)
            if size
        ]
        population = np.repeat(np.arange(len(sizes)), sizes)
    else:
        parts = [c.sample(n_neurons, seed)]
        population = parts[0].population
    m, n, I, w = (np.concatenate([getattr(part, kind) for part in parts]) for kind in ("m", "n", "I", "w"))
    x0 = np.hstack([m, I]) @ np.linalg.lstsq(np.hstack([net.m, net.I]), net.x0)[0] if net.x0.any() else None
    shared = ("input_names", "readout_names", "tau", "dt", "transfer", "readout_transfer", "mixture")
    return Network(m, n, I, w, x0=x0, population=population, **{key: getattr(net, key) for key in shared})


@dataclass(frozen=True)
class JointTest:
    """The drift at many states at once: a chi-square whose law is measured on redrawn networks.

    Attributes
    ----------
    value, freedom : float, int
        N d^T C^-1 d for the deviation d from the mixture and the covariance C of one neuron's contributions, estimated
        from a sample of neurons; and the rank of C.
    mean : float
        Of the same number over the redrawn networks; ``freedom`` where they deviate as Gaussians.
    p : float
        Probability of a larger value: of the chi-square law stretched to the mean and variance of the redrawn ones.
    rank : float
        The same without any law: share of the redrawn networks, and this one, with a value as large.
    draws : int
    """

    value: float
    freedom: int
    mean: float
    p: float
    rank: float
    draws: int


def joint_test(net, kappa, v, draws, seed, matched):
    """The drift of the network at states kappa (D, R), v (D, S) against that of networks drawn from its mixture.

    Returns
    -------
    JointTest
    """
    limit = drift_at(net.mixture, net.transfer, kappa, v).ravel()
    own = drift_at(net.connectivity, net.transfer, kappa, v).ravel() - limit
    deviations, moments, seen = [], None, 0
    for k in range(draws):
        twin = redraw(net, net.n_neurons, [seed, net.n_neurons, k], matched)
        parts = contributions(twin, kappa, v)
        deviations.append(parts.mean(0) - kappa.ravel() - limit)
        if seen < NEURONS:
            seen += len(parts)
            each = _pooled(parts, twin.population if matched == "sizes" else np.zeros(len(parts), int))
            moments = each if moments is None else moments + each
    covariance = moments / seen
    values, vectors = np.linalg.eigh(covariance)
    kept = values > NULL * values[-1]
    scale = vectors[:, kept] / np.sqrt(values[kept] / net.n_neurons)
    score, theirs = float(((own @ scale) ** 2).sum()), ((np.array(deviations) @ scale) ** 2).sum(-1)
    rank = (1 + (theirs >= score).sum()) / (1 + draws)
    return JointTest(score, int(kept.sum()), float(theirs.mean()), tail(score, theirs), float(rank), draws)


def contributions(net, kappa, v):
    """n phi(x) of each neuron at each state, (N, D R)."""
    rates = get_transfer(net.transfer)(net.m @ kappa.T + net.I @ v.T)
    return (rates[:, :, None] * net.n[:, None, :]).reshape(net.n_neurons, -1)


def _pooled(parts, group):
    """Sum over the neurons of the squares about the mean of their group, unbiased: (Q, Q)."""
    out = 0.0
    for p in np.unique(group):
        inside = parts[group == p]
        centred = inside - inside.mean(0)
        out = out + centred.T @ centred * (len(inside) / max(1, len(inside) - 1))
    return out


def tail(value, sample):
    """Probability of ``value`` or more, for a multiple of a chi-square with the mean and variance of the sample."""
    from scipy.stats import gamma

    mean, variance = sample.mean(), sample.var(ddof=1)
    return float(gamma.sf(value, mean**2 / variance, scale=variance / mean))


def counts(found):
    """How many fixed points of each kind, sorted."""
    return tuple(sorted(Counter(found.kind.tolist()).items()))


def in_words(kinds):
    """Counts of kinds for people."""
    return ", ".join(f"{number} {kind}" for kind, number in kinds) or "none"


def difference(theory, found, listed):
    """What another portrait has more and less than the theory's, and the change next to it: a sentence, or ""."""
    ours, theirs = Counter(theory.kind.tolist()), Counter(found.kind.tolist())
    if ours == theirs:
        return ""
    both = ((theirs - ours, "more"), (ours - theirs, "less"))
    words = [f"{in_words(sorted(kinds.items()))} {how}" for kinds, how in both if kinds]
    partner = partners(theory, found)
    alone = [theory.kappa[partner < 0], found.kappa[np.setdiff1d(np.arange(len(found)), partner)]]
    near = _nearest(np.concatenate(alone), listed)
    return " and ".join(words) + (f", near the {near.kind} at {place(near.kappa)}" if near else "")


def _nearest(points, listed):
    """The change closest to any of the points or, since mirror pairs are listed once, to its mirror image."""
    apart = [np.linalg.norm(np.concatenate([points, -points]) - change.kappa, axis=-1).min() for change in listed]
    return listed[int(np.argmin(apart))] if listed else None


@dataclass(frozen=True, eq=False)
class Growth:
    """Redrawn networks of growing size on the trials and under each condition.

    Attributes
    ----------
    sizes : tuple of int
    draws : int
    correct : ndarray (L, draws, B) of bool, or None without trials
    topology : tuple of tuple of Topology
        For each condition, one per size.
    differences : tuple of Counter
        For each condition, what the other portraits differ in: sentence -> number of networks of all sizes.
    """

    sizes: tuple
    draws: int
    correct: np.ndarray | None
    topology: tuple
    differences: tuple

    def accuracy(self):
        """Share of right decisions (L,) and its error: binomial in networks, as trials of one are not independent."""
        return binomial(self.correct.mean(axis=(1, 2)) * self.draws, self.draws)


def grow(net, mixtures, trials, sizes, draws, seed, matched, progress=None):
    """Redraw networks of each size, let them decide, and find all their fixed points.

    Parameters
    ----------
    net : Network
    mixtures : sequence
        For each condition ``portrait``, that of the mixture, and ``changes`` that a draw can make of it.
    trials : Trials or None
    sizes : sequence of int
    draws, seed : int
    matched : {"nothing", "sizes"}
    progress : callable, optional
        Called with a message after each network.

    Returns
    -------
    Growth
    """
    jobs = [(n, k) for n in sorted(sizes, reverse=True) for k in range(draws)]
    done = iter(range(1, len(jobs) + 1))
    tell = partial(_tell, progress, done, len(jobs)) if progress else None
    known = [(x.portrait.fixed_points, x.portrait.field.inputs, x.changes) for x in mixtures]
    found = dict(zip(jobs, over(_one, (net, known, trials, seed, matched), jobs, None, tell), strict=True))
    correct = None if trials is None else np.array([[found[n, k][0] for k in range(draws)] for n in sizes])
    rows, differences = [], []
    for i, (theory, _, changes) in enumerate(known):
        same = counts(theory)
        rows.append(tuple(_topology(n, [found[n, k][1][i] for k in range(draws)], same, changes) for n in sizes))
        differences.append(Counter(one[1][i][2] for one in found.values() if one[1][i][2]))
    return Growth(tuple(sizes), draws, correct, tuple(rows), tuple(differences))


def _tell(progress, done, total):
    progress(f"redrawn networks: {next(done)} of {total}")


def _one(shared, job):
    """Decisions of one redrawn network, and for each condition: kinds, whether they are proved, what differs."""
    (net, known, trials, seed, matched), (n, k) = shared, job
    drawn = redraw(net, n, [seed, n, k], matched)
    correct = None if trials is None else right(run_trials(drawn, trials).z[..., 0], trials)
    out = []
    for theory, inputs, changes in known:
        found = fixed_points(reduce(drawn.connectivity, drawn.transfer, inputs))
        out.append((counts(found), found.complete, difference(theory, found, changes)))
    return correct, out


def _topology(n, group, same, changes):
    others = Counter(in_words(kinds) for kinds, _, _ in group if kinds != same)
    words = tuple(f"{number}x {what}" for what, number in others.most_common())
    right_ones, proved = sum(kinds == same for kinds, _, _ in group), sum(complete for _, complete, _ in group)
    return Topology(n, len(group), right_ones, unchanged_probability(changes, n), proved, words)


def growth_figure(growth, mixtures, limit):
    """Right decisions, and portraits like the limit's, against the number of neurons.

    Parameters
    ----------
    growth : Growth
    mixtures : as for :func:`grow`
    limit : float or None
        Share of right decisions of the infinite network.

    Returns
    -------
    Figure
    """
    line = np.geomspace(min(growth.sizes) / 1.5, max(growth.sizes) * 1.5, 60)
    shares = [binomial(np.array([t.same for t in rows]), growth.draws) for rows in growth.topology]
    data = {
        "sizes": np.array(growth.sizes),
        "line": line,
        "same": np.array([s for s, _ in shares]),
        "same_error": np.array([e for _, e in shares]),
        "probability": np.array([[unchanged_probability(x.changes, n) for n in line] for x in mixtures]),
        "labels": np.array([x.portrait.condition.label for x in mixtures]),
    }
    if growth.correct is not None:
        data["accuracy"], data["accuracy_error"] = growth.accuracy()
        data["limit"] = np.array(limit)
    caption = (
        f"{growth.draws} networks of each size, redrawn from the mixture. Share of those with the number and kinds of "
        "fixed points of the limit (points) and the probability that the theory gives for it (lines)."
    )
    if growth.correct is not None:
        caption += " Left: share of right decisions; dashed: of the infinite network."
    return Figure("growing", caption, lambda: _draw_growth(data), data)


def _draw_growth(data):
    panels = ("accuracy" in data) + (len(data["labels"]) > 0)
    with plotting.style():
        figure, axes = plotting.figure(1, panels, width=4.6, height=3.6)
        if "accuracy" in data:
            ax = axes[0, 0]
            ax.errorbar(data["sizes"], data["accuracy"], data["accuracy_error"], fmt="o", capsize=3, color="k")
            ax.axhline(float(data["limit"]), color="k", ls="--", lw=1, label=r"$N\to\infty$")
            ax.set_ylabel("right decisions")
            ax.legend()
        for i, (label, colour) in enumerate(zip(data["labels"], plotting.COLOURS * len(data["labels"]), strict=False)):
            ax = axes[0, -1]
            shift = 1.06 ** (i - (len(data["labels"]) - 1) / 2)  # side by side, so that error bars can be told apart
            ax.errorbar(data["sizes"] * shift, data["same"][i], data["same_error"][i], fmt="o", capsize=3, color=colour)
            ax.plot(data["line"], data["probability"][i], color=colour, label=label)
            ax.set_ylabel("portraits like the limit's")
            ax.legend()
        for ax in axes.flat:
            ax.set_xscale("log")
            ax.set_xlim(data["line"][0], data["line"][-1])
            ax.set_xticks(data["sizes"], [str(n) for n in data["sizes"]])
            ax.minorticks_off()
            ax.set_ylim(-0.03, 1.08)
            ax.set_xlabel("neurons $N$")
    return figure
