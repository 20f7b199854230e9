"""The uncertainty of a fit, pushed through the theory: which portrait with what probability, and how well known.

Replicates of the fit, from a bootstrap over neurons, go through the reduced equations one by one, not linearised.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from meanfield.progress import progress_bar

from ..analysis import Figure
from ..decisions import euler_step, limit_on_trials, right
from ..predictions import partners, place
from ..tasks.scores import binomial
from ..workers import over
from .portraits import in_words_of, portrait_of, topology


@dataclass(frozen=True, eq=False)
class PortraitOdds:
    """One condition over the replicates.

    Attributes
    ----------
    condition : Condition
    portrait : Portrait
        Of the fit.
    portraits : tuple of (words, count)
        Which portraits the replicates have, the most frequent first.
    same : int
        How many have the portrait of the fit.
    like_network : int or None
        How many have the portrait of the network itself.
    draws : int
    kappa : (B, K, R)
        Fixed points of the replicates that have the portrait of the fit, matched by kind and distance; nan elsewhere.
    overlaps : (B, K, R, R)
        Effective overlaps sigma~_nm there.
    effective : (K, R, R)
        Those of the fit.
    """

    condition: object
    portrait: object
    portraits: tuple
    same: int
    like_network: int | None
    draws: int
    kappa: np.ndarray
    overlaps: np.ndarray
    effective: np.ndarray

    @property
    def probability(self):
        """That the portrait is that of the fit, and its binomial standard error."""
        return binomial(self.same, self.draws)

    @property
    def kappa_error(self):
        """Standard errors of the fixed points (K, R), over the replicates with the portrait of the fit."""
        return _std(self.kappa)

    @property
    def overlap_error(self):
        """Standard errors of the effective overlaps (K, R, R)."""
        return _std(self.overlaps)

    def __str__(self):
        share, error = self.probability
        lines = [f"{self.condition.label}: probability of the fit's portrait {share:.2f} +- {error:.2f}"]
        lines += [f"  {binomial(n, self.draws)[0]:.2f}  {words}" for words, n in self.portraits]
        points = self.portrait.fixed_points
        for kappa, error, kind in zip(points.kappa, self.kappa_error, points.kind, strict=True):
            lines.append(f"  {kind} at {place(kappa)} +- {place(error)}")
        return "\n".join(lines)


def _std(values):
    """Standard deviation over the first axis of what is there; nan where fewer than two are."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    mean = np.where(there, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(there, values - mean, 0.0) ** 2
    return np.where(count > 1, np.sqrt(squares.sum(axis=0) / np.maximum(count - 1, 1)), np.nan)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What a fit's uncertainty does to what the theory says; made by :func:`uncertainty`.

    Attributes
    ----------
    conditions : tuple of PortraitOdds
    right : (B, trials) of bool, or None
        Decisions of the infinite networks of the replicates.
    bootstrap : PopulationBootstrap
    """

    conditions: tuple
    right: np.ndarray | None
    bootstrap: object = field(repr=False)

    @property
    def accuracy(self):
        """Share of right decisions at N = infinity and its standard error from the spread over the replicates; or None.

        The error is that of a fit, not of the mean over the replicates.
        """
        if self.right is None:
            return None
        shares = self.right.mean(axis=1)
        return float(shares.mean()), float(shares.std(ddof=1))

    @property
    def all_right(self):
        """Probability that the infinite network decides all trials right, and its binomial error; or None."""
        return None if self.right is None else binomial(int(self.right.all(axis=1).sum()), len(self.right))

    def __str__(self):
        lines = [f"{len(self.bootstrap.connectivities)} replicates of the fit", *map(str, self.conditions)]
        if self.right is not None:
            (share, spread), (every, error) = self.accuracy, self.all_right
            lines.append(f"right decisions at N = infinity: {share:.3f} +- {spread:.3f}")
            lines.append(f"probability that all are right: {every:.2f} +- {error:.2f}")
        return "\n".join(lines)

    def __repr__(self):
        return f"Uncertainty({len(self.bootstrap.connectivities)} replicates, {len(self.conditions)} conditions)"

    def figure(self):
        """Fixed points of the replicates about those of the fit, one panel per condition."""
        data = {"labels": np.array([c.condition.label for c in self.conditions])}
        for k, c in enumerate(self.conditions):
            points = c.portrait.fixed_points
            data |= {f"{k}_fit": points.kappa, f"{k}_kinds": np.asarray(points.kind, dtype=str)}
            data |= {f"{k}_replicates": c.kappa, f"{k}_probability": np.array(c.probability)}
        caption = (
            "Fixed points of the fit (markers) and of its replicates in a bootstrap over neurons (dots), matched by "
            "kind and distance. Above: probability of the portrait."
        )
        return Figure("replicates", caption, lambda: _draw(data), data)


def uncertainty(explanation, draws=100, seed=0, workers=None, progress=None):
    """Push the bootstrap of a fit through the theory: portraits, fixed points, effective overlaps, decisions.

    Parameters
    ----------
    explanation : Explanation
        Of a fit.
    draws, seed : int
        Of :meth:`PopulationFit.bootstrap`.
    workers : int, optional
        See :func:`meanfield.validation.workers.over`.
    progress : bool, optional

    Returns
    -------
    Uncertainty

    Raises
    ------
    ValueError
        The mixture does not come from a fit, or what ``bootstrap`` refuses.
    """
    if explanation.fit is None:
        raise ValueError("a mixture that was not fitted has no uncertainty: explain(net, fit_populations(net, P)) has")
    replicates = explanation.fit.bootstrap(draws, seed, progress)
    net, facts, count = explanation.net, explanation.facts, len(replicates.connectivities)
    own = tuple(p.condition for p in facts.portraits)
    on = None if explanation.right is None else (facts.trials, euler_step(net, facts.trials), facts.start)
    with progress_bar(count, "replicate", progress) as bar:
        found = over(_one, (net.transfer, own, on), replicates.connectivities, workers, partial(bar.update, 1))
    correct = None if on is None else np.array([one[1] for one in found])
    rows = [_odds(pair, [one[0][k] for one in found]) for k, pair in enumerate(explanation.pairs)]
    return Uncertainty(tuple(rows), correct, replicates)


def _one(shared, c):
    """Portraits of one replicate under each condition, and which trials it decides right."""
    transfer, conditions, on = shared
    found = tuple(portrait_of(c, transfer, condition) for condition in conditions)
    if on is None:
        return found, None
    trials, step, start = on
    return found, right(limit_on_trials(c, transfer, trials, step, *start).z, trials)


def _odds(pair, found):
    theory = pair.portrait.fixed_points
    kappa = np.full((len(found), *theory.kappa.shape), np.nan)
    overlaps = np.full((*kappa.shape, theory.field.rank), np.nan)
    kinds = [topology(p) for p in found]
    for b, p in enumerate(found):
        if kinds[b] == topology(pair.portrait) and len(theory):
            kappa[b] = p.fixed_points.kappa[partners(theory, p.fixed_points)]
            overlaps[b] = p.field.functional_connectivity(kappa[b])
    words = Counter(in_words_of(p) for p in found)
    network = topology(pair.own) if pair.own.fixed_points.complete else None
    return PortraitOdds(
        pair.condition,
        pair.portrait,
        tuple(words.most_common()),
        sum(kind == topology(pair.portrait) for kind in kinds),
        None if network is None else sum(kind == network for kind in kinds),
        len(found),
        kappa,
        overlaps,
        pair.portrait.field.functional_connectivity(theory.kappa) if len(theory) else overlaps[0],
    )


def _draw(data):
    from meanfield import plotting

    count = len(data["labels"])
    columns = min(count, 4)
    with plotting.style():
        figure, axes = plotting.figure(-(-count // columns), columns, width=3.3, height=3.2)
        for ax in axes.flat[count:]:
            ax.axis("off")
        for k, ax in enumerate(axes.flat[:count]):
            fit, cloud = data[f"{k}_fit"], data[f"{k}_replicates"]
            share, error = data[f"{k}_probability"]
            planar = fit.shape[-1] > 1
            for point, kind, some in zip(fit, data[f"{k}_kinds"], np.moveaxis(cloud, 1, 0), strict=True):
                marker, colour, _ = plotting.MARKERS[str(kind)]
                height = some[:, 1] if planar else np.linspace(-0.5, 0.5, len(some))
                ax.plot(some[:, 0], height, ".", ms=3, color="0.6", zorder=1)
                ax.plot(point[0], point[1] if planar else 0.0, marker, ms=8, mfc=colour, mec="k", zorder=3)
            ax.set(title=f"{data['labels'][k]}: {share:.2f} ± {error:.2f}", xlabel=r"$\kappa_1$")
            ax.set(**({"ylabel": r"$\kappa_2$"} if planar else {"yticks": [], "ylim": (-2, 2)}))
    return figure
