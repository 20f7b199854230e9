"""To the top of a likelihood: expectation-maximisation, accelerated, for many mixtures at once."""

from dataclasses import dataclass

import numpy as np

from .mixture_em import step

#: How far below the maximum a log-likelihood may be left: parameters are then within sqrt(2e-4) = 0.014 of a standard
#: error of their final values.
TOLERANCE = 1e-4
#: Most cycles (of three iterations) before a climb is given up.
CYCLES = 2000


@dataclass(frozen=True, eq=False)
class Climb:
    """Where climbs ended: statistics (B, K, features), their log-likelihood (B,), and how.

    ``converged`` (B,): within ``TOLERANCE`` of the maximum, as the last gains let expect. ``collapsed`` (B,): a
    population shrank onto fewer neurons than determine it. ``iterations`` is the number of steps of single mixtures.
    """

    stats: np.ndarray
    log_likelihood: np.ndarray
    converged: np.ndarray
    collapsed: np.ndarray
    iterations: int


def climb(p, stats, counts=None, cycles=CYCLES, tolerance=TOLERANCE, done=None):
    """Climb from statistics (B, K, features); the log-likelihood of no mixture ever decreases.

    Each cycle makes two iterations and extrapolates them (Varadhan and Roland 2008, :eq:`squarem`). The extrapolated
    point is kept where it is a mixture with a likelihood at least that of the first iteration.

    Parameters
    ----------
    counts : (B, N), optional
        See :func:`step`.
    done : callable, optional
        Called with the number of climbs that have ended since the last call.
    """
    stats = stats.copy()
    batch = len(stats)
    log_likelihood, gain = np.full(batch, -np.inf), np.full(batch, 1.0)
    converged, collapsed = np.zeros(batch, bool), np.zeros(batch, bool)
    neurons = np.full(batch, float(p.features.shape[1])) if counts is None else counts.sum(axis=1)
    iterations, active = 0, np.arange(batch)
    for _ in range(cycles):
        own = None if counts is None else counts[active]
        new, reached = _cycle(p, stats[active], own)
        iterations += 3 * len(active)
        gained = reached - log_likelihood[active]
        # gains shrink like a geometric series: what is left is gained * ratio / (1 - ratio)
        ratio = np.clip(gained / np.maximum(gain[active], 1e-300), 0, 1 - 1e-3)
        converged[active] = (gained < tolerance) & (gained * ratio / (1 - ratio) < tolerance)
        collapsed[active] = new[..., 0].min(axis=1) * neurons[active] < p.least
        stats[active], log_likelihood[active], gain[active] = new, reached, gained
        left = active[~converged[active] & ~collapsed[active]]
        if done is not None:
            done(len(active) - len(left))
        active = left
        if not len(active):
            break
    log_likelihood[:] = -np.inf
    sound = np.flatnonzero(~collapsed)
    if len(sound):
        log_likelihood[sound] = step(p, stats[sound], None if counts is None else counts[sound])[1]
    return Climb(stats, log_likelihood, converged & ~collapsed, collapsed, iterations)


def _cycle(p, stats, counts):
    """Two iterations and an extrapolation; also the log-likelihood of a point on the way, which never decreases."""
    first, _ = step(p, stats, counts)
    second, reached = step(p, first, counts)
    change = first - stats
    bend = second - first - change
    length = np.sqrt((change**2).sum(axis=(1, 2)) / np.maximum((bend**2).sum(axis=(1, 2)), 1e-300))
    length = np.maximum(length, 1.0)[:, None, None]
    far = stats + 2 * length * change + length**2 * bend
    possible = np.isfinite(far).all(axis=(1, 2)) & (far[..., 0] > 0).all(axis=1)
    far = np.where(possible[:, None, None], far, second)
    third, level = step(p, far, counts)
    kept = level >= reached
    return np.where(kept[:, None, None], third, second), np.where(kept, level, reached)
