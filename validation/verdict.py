"""Prediction and measurements become a verdict: z-scores, their calibration, slopes in N, and the portrait's topology.

All tests share one level: a right theory fails somewhere by chance about once in a thousand times, however many numbers
are compared. What is compared is restricted to where first order in the fluctuations holds.
"""

import enum
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from meanfield.fluctuations import unchanged_probability

from .predictions import Observable, Prediction

#: Probability that a right theory fails somewhere by chance.
LEVEL = 1e-3
#: The standard deviation of z-scores may always be this far from 1: what is left out is of relative order 1/N, and the
#: distribution of a draw is Gaussian only to 1/sqrt(N).
CALIBRATION = 0.15
#: Probabilities of another portrait are of leading order: good within this factor.
LEADING_ORDER = 4.0


class Outcome(enum.Enum):
    """What a cross-check comes to; the value is the sentence a person reads."""

    AGREES = "the drawn networks agree with the theory"
    DISAGREES = "the drawn networks contradict the theory"
    WEAK = "nothing contradicts the theory, but the check is too weak to tell: use more draws or larger networks"


@dataclass(frozen=True, eq=False)
class Row:
    """One observable over all draws. Axis L: sizes; nan at those below ``observable.smallest``.

    Attributes
    ----------
    observable : Observable
    count, mean, std : ndarray (L,)
        Of the measured values.
    predicted_std : ndarray (L,)
    z : float
        Standard normal when the theory is right: mean of the z-scores times the root of their number; where the 1/N
        shift is not predicted, the gap extrapolated to N to infinity over its standard error.
    z_std : float
        Standard deviation of the z-scores within their sizes; 1 when the spread is right.
    z_count : int
    slope, slope_error : float
        Of log(spread) in log(N); -1/2 when right.
    gap, gap_error : ndarray (L,)
        Mean of (value - limit), for kappa without its first-order part, which has mean zero and is known in each draw.
    gap_slope, gap_slope_error : float
        Of log|gap| in log(N), at most -1 when right; nan where the gap is not resolved at two sizes or more.
    failures : tuple of str
        What contradicts the theory.
    off : bool
        Whether z is among it.
    """

    observable: Observable
    count: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    predicted_std: np.ndarray
    z: float
    z_std: float
    z_count: int
    slope: float
    slope_error: float
    gap: np.ndarray
    gap_error: np.ndarray
    gap_slope: float
    gap_slope_error: float
    failures: tuple[str, ...]
    off: bool = False

    @property
    def agrees(self):
        """Whether nothing of this observable contradicts the theory."""
        return not self.failures


@dataclass(frozen=True, eq=False)
class Topology:
    """How many draws of one size have the portrait of the limit, and how many should."""

    n_neurons: int
    draws: int
    same: int
    probability: float
    proved: int
    others: tuple[str, ...]
    judged: bool = True
    level: float = LEVEL

    @property
    def agrees(self):
        """Whether the number of other portraits is likely for a probability within a factor LEADING_ORDER; True
        where the probability is not known well enough to be judged."""
        from scipy.stats import binom

        changed, p = self.draws - self.same, 1 - self.probability
        low, high = p / LEADING_ORDER, min(1.0, LEADING_ORDER * p)
        above, below = binom.sf(changed - 1, self.draws, high), binom.cdf(changed, self.draws, low)
        return not self.judged or bool(min(above, below) > self.level / 2)


def table(prediction, draws, sizes):
    """Rows of all observables of a prediction that some of the sizes can be compared with."""
    observables = [o for o in prediction.observables if o.variance > 0 and o.smallest <= max(sizes)]
    level = single_level(len(observables), len(sizes))
    return tuple(row(o, draws, sizes, level) for o in observables)


def single_level(observables, sizes):
    """The level of one test: four for each observable, one for each size, the ring and the calibration."""
    return LEVEL / (4 * observables + sizes + 2)


def row(observable, draws, sizes, level):
    """Compare one observable with its draws; ``level``: of a single test."""
    o, sizes = observable, np.array(sizes, float)
    used = sizes >= o.smallest
    groups = [[d for d in draws if d.n_neurons == n and np.isfinite(d.values.get(o.key, np.nan))] for n in sizes]
    count = np.where(used, [len(group) for group in groups], 0)
    predicted = np.sqrt(o.variance / sizes)
    if (count[used] < 2).any():
        nan, why = np.full(len(sizes), np.nan), (f"found in {count.sum()} draws only",)
        single = [np.nan] * 2
        return Row(o, count, nan, nan, predicted, *single, int(count.sum()), *single, nan, nan, *single, why)
    values = [np.array([d.values[o.key] for d in group]) for group in groups]
    rest = [v - o.value - [d.linear.get(o.key, 0.0) for d in group] for v, group in zip(values, groups, strict=True)]
    mean, std, gap, gap_error = np.full((4, len(sizes)), np.nan)
    for k in np.flatnonzero(used):
        mean[k], std[k] = values[k].mean(), values[k].std(ddof=1)
        gap[k], gap_error[k] = rest[k].mean(), rest[k].std(ddof=1) / np.sqrt(len(rest[k]))
    some = [a[used] for a in (mean, predicted, count, sizes, std, gap, gap_error)]
    z = _mean_score(o, *some[:4])
    freedom = int(count.sum() - used.sum())
    z_std = float(np.sqrt(((some[2] - 1) * (some[4] / some[1]) ** 2).sum() / freedom))
    slope = _slope(some[3], np.log(some[4]), 1 / np.sqrt(2 * (some[2] - 1)))
    gap_slope = _gap_slope(some[3], *some[5:])
    found = Row(o, count, mean, std, predicted, z, z_std, int(count.sum()), *slope, gap, gap_error, *gap_slope, ())
    centred = np.concatenate([(values[k] - mean[k]) / std[k] for k in np.flatnonzero(used)])
    return _judged(found, level, freedom / (1 + max(0.0, (centred**4).mean() - 3) / 2))


def _judged(row, level, freedom):
    """The row with its failures; ``freedom`` is that of its variance, less where the draws have heavy tails."""
    from scipy.stats import norm

    far = norm.isf(level / 2)
    (low, high), failures = limits(freedom, level), []
    if abs(row.z) > far:
        failures.append(f"the mean is {row.z:+.1f} standard errors off")
    if not low <= row.z_std <= high:
        failures.append(f"the spread is {row.z_std:.2f} times the predicted one")
    if abs(row.slope + 0.5) > far * row.slope_error + 0.05:
        failures.append(f"the spread falls like N^{row.slope:.2f}")
    if row.gap_slope + 1 > far * row.gap_slope_error + 0.1:
        failures.append(f"the mean gap falls like N^{row.gap_slope:.2f}")
    return replace(row, failures=tuple(failures), off=bool(abs(row.z) > far))


def independent(z):
    """How many independent numbers z-scores (D, Q) of D independent draws are worth, for their mean square."""
    second = z.T @ z / len(z)
    return len(z) * np.trace(second) ** 2 / (second**2).sum()


def limits(freedom, level=LEVEL):
    """Within which a standard deviation of so many z-scores must lie: by chance, and within CALIBRATION of 1."""
    from scipy.stats import chi2

    low, high = np.sqrt(chi2.ppf([level / 2, 1 - level / 2], freedom) / freedom)
    return float(min(low, 1 - CALIBRATION)), float(max(high, 1 + CALIBRATION))


def calibration_limits(rows, draws):
    """Limits of the standard deviation of all z-scores of a table."""
    z = np.zeros((len(draws), len(rows)))
    for j, row in enumerate(rows):
        o = row.observable
        for i, d in enumerate(draws):
            if d.n_neurons >= o.smallest:
                z[i, j] = (d.values.get(o.key, np.nan) - o.value) / np.sqrt(o.variance / d.n_neurons)
    level = single_level(len(rows), len({d.n_neurons for d in draws}))
    return limits(independent(np.nan_to_num(z)), level) if z.any() else (0.0, np.inf)


def scores(observable, draws, centre=None):
    """z-scores of one observable in all draws that have it: about the prediction, or about ``centre`` of each size."""
    o, out = observable, []
    for d in draws:
        n, value = d.n_neurons, d.values.get(o.key, np.nan)
        if n < o.smallest:
            continue
        middle = o.value + np.nan_to_num(o.bias) / n if centre is None else centre[n]
        out.append((value - middle) / np.sqrt(o.variance / n))
    return _finite(out)


def _finite(values):
    values = np.array(values, float)
    return values[np.isfinite(values)]


def _mean_score(o, mean, predicted, count, sizes):
    error = predicted / np.sqrt(count)
    gap = mean - o.value
    if np.isfinite(o.bias) or len(sizes) < 2:
        shift = o.bias / sizes if np.isfinite(o.bias) else 0.0
        return float((count * (gap - shift) / predicted).sum() / np.sqrt(count.sum()))
    # value - limit = c + b/N with free b: is c zero?
    design = np.stack([np.ones_like(sizes), 1 / sizes], axis=1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    return float((covariance @ design.T @ (gap / error))[0] / np.sqrt(covariance[0, 0]))


def _slope(sizes, logs, errors):
    """Weighted slope of logarithms in log N, and its standard error."""
    if len(sizes) < 2:
        return np.nan, np.nan
    w, x = 1 / errors**2, np.log(sizes)
    centred = x - (w @ x) / w.sum()
    return float((w * centred) @ logs / (w @ centred**2)), float(1 / np.sqrt(w @ centred**2))


def _gap_slope(sizes, gap, error):
    resolved = np.abs(gap) > 3 * error
    if resolved.sum() < 2 or len(set(np.sign(gap[resolved]))) > 1:
        return np.nan, np.nan
    return _slope(sizes[resolved], np.log(np.abs(gap[resolved])), error[resolved] / np.abs(gap[resolved]))


def topology(prediction, draws, sizes):
    """Rows about the portraits, one per size; none where the limit is not resolved into all its points."""
    found = prediction.portrait.fixed_points
    if not (found.complete and found.everywhere):
        return ()
    kinds = tuple(sorted(Counter(found.kind.tolist()).items()))
    level = single_level(len(prediction.observables), len(sizes))
    rows = []
    for n in sizes:
        group = [d for d in draws if d.n_neurons == n]
        same = sum(d.kinds == kinds for d in group)
        others = Counter(", ".join(f"{count} {kind}" for kind, count in d.kinds) for d in group if d.kinds != kinds)
        words = tuple(f"{number}x {what or 'none'}" for what, number in others.most_common())
        proved = sum(d.status == "COMPLETE" for d in group)
        judged, odds = n >= prediction.portraits_from, unchanged_probability(prediction.changes, n)
        rows.append(Topology(n, len(group), same, odds, proved, words, judged, level))
    return tuple(rows)


@dataclass(frozen=True)
class RingCount:
    """Number of fixed points on the remains of a ring: mean over draws of all sizes, and expected."""

    mean: float
    error: float
    expected: float
    level: float = LEVEL

    @property
    def agrees(self):
        """Whether the two differ by what is likely."""
        from scipy.stats import norm

        return bool(abs(self.mean - self.expected) <= norm.isf(self.level / 2) * self.error)


def ring_count(prediction: Prediction, draws):
    """The ring's row, or None."""
    if prediction.ring is None:
        return None
    counts = np.array([d.ring for d in draws], float)
    error = max(float(counts.std(ddof=1)), 1 / len(counts)) / np.sqrt(len(counts))
    level = single_level(len(prediction.observables), len({d.n_neurons for d in draws}))
    return RingCount(float(counts.mean()), error, prediction.ring.expected_zeros, level)
