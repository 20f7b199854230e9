"""With what probability a finite network has another phase portrait than its limit.

Fixed points of a network of N neurons appear or vanish in pairs where the fluctuating drift reaches a fold, and change
their kind where an eigenvalue crosses the imaginary axis. The nearest such point, in units of the fluctuations, gives
the probability to leading order (:eq:`fold-distance`, :eq:`topology-probability`).
"""

from dataclasses import dataclass

import numpy as np

from .neurons import neuron

#: Changes farther away than this many standard deviations, at the smallest network asked for, are not looked for.
FARTHEST = 6.0
#: Points of the grid, along each axis, on which folds are looked for, by rank; above, only between fixed points.
GRID = {1: 401, 2: 41}
# Points on a segment between two fixed points.
_SEGMENT = 7
# Steps of Newton's method towards a singular matrix: quadratic convergence from a nearly singular one. It has converged
# where a step moves by less than this share.
_NEWTON, _SETTLED = 60, 1e-14
# Two folds closer than twice this share of the region are one.
_SAME = 0.01


@dataclass(frozen=True, eq=False)
class Change:
    """One way in which the portrait of a finite network can differ.

    Attributes
    ----------
    kind : str
        "fold" (two fixed points meet, or two appear), "pitchfork" (a real eigenvalue of a symmetric point) or "Hopf".
    kappa : ndarray (R,)
        Where.
    distance : float
        In standard deviations at N = 1; sqrt(N) times it at N.
    """

    kind: str
    kappa: np.ndarray
    distance: float

    def probability(self, n_neurons):
        """Probability that a draw of ``n_neurons`` neurons lies beyond."""
        from scipy.special import ndtr

        return float(ndtr(-self.distance * np.sqrt(n_neurons)))

    def __str__(self):
        where = ", ".join(f"{x + 0.0:.4g}" for x in self.kappa)
        return f"{self.kind} at ({where}), {self.distance:.3g} sqrt(N) standard deviations away"


def changes(spread, smallest):
    """Every change of the portrait within :data:`FARTHEST` standard deviations at N = ``smallest``, nearest first.

    Parameters
    ----------
    spread : FixedPointSpread
    smallest : int
        The smallest network of interest.

    Returns
    -------
    tuple of Change
        Of a mirror pair (odd phi, no input, mixture symmetric under a sign) only one: both happen at once.
    """
    found, f = spread.fixed_points, spread.fixed_points.field
    reach = FARTHEST / np.sqrt(smallest)
    mirrored = is_odd(f)
    listed = _eigenvalue_changes(spread, mirrored) + _folds(f, found, spread.matched, reach, mirrored)
    near = sorted((change for change in listed if change.distance <= reach), key=lambda change: change.distance)
    kept = []
    for change in near:
        mirror = [k for k in kept if k.kind == change.kind and np.allclose(k.kappa, -change.kappa, atol=1e-3)]
        if not (mirrored and mirror and np.linalg.norm(change.kappa) > 1e-3):
            kept.append(change)
    return tuple(kept)


def is_odd(f):
    """True when drift and every drawn network's drift are odd in kappa: odd phi and no input."""
    return bool(f.transfer.odd and not f.v.any())


def unchanged_probability(listed, n_neurons):
    """Probability that none of these changes happens, taken as independent."""
    return float(np.prod([1 - change.probability(n_neurons) for change in listed]))


def _eigenvalue_changes(spread, mirrored):
    found = spread.fixed_points
    out = []
    for kappa, values, std in zip(found.kappa, found.eigenvalues, spread.eigenvalue_std(1)[..., 0], strict=True):
        symmetric = mirrored and not np.abs(kappa).max() > 1e-9
        for value, width in zip(values, std, strict=True):
            hopf = value.imag > 0
            # a real eigenvalue reaches 0 in a fold, found as such, unless symmetry keeps the point
            if width > 0 and (hopf or (symmetric and value.imag == 0)):
                out.append(Change("Hopf" if hopf else "pitchfork", kappa, abs(value.real) / width))
    return out


def _folds(f, found, matched, reach, mirrored):
    """Local minima of the fold distance: from a grid, or from between the fixed points, refined one by one."""
    box = found.box
    if f.rank in GRID:
        seeds = _minima_on_grid(f, box, GRID[f.rank], matched, 2 * reach)
    else:
        seeds = _between(found.kappa)
        seeds = seeds[fold_distance(f, seeds, matched) <= 4 * reach]
    same, folds = _SAME * np.ptp(box, axis=0).max(), []
    for seed in seeds:
        kappa, distance = _refine(f, seed, matched, same)
        if mirrored and np.linalg.norm(kappa) < 2 * same:
            continue  # symmetry holds the origin: its pitchfork is listed as such
        if not any(np.linalg.norm(kappa - fold.kappa) < 2 * same for fold in folds):
            folds.append(Change("fold", kappa, distance))
    return folds


def fold_distance(f, kappa, matched="nothing"):
    """How unlikely a degenerate fixed point at ``kappa`` (..., R) is, in standard deviations at N = 1: (...).

    The least length of a fluctuation of (drift, Jacobian) there after which the drift and the determinant of the
    Jacobian vanish (:eq:`fold-distance`).
    """
    kappa, rank = np.asarray(kappa, float), f.rank
    nu = neuron(f, kappa, matched, with_error=False)
    drift, jacobian = f.tau * f(kappa), f.tau * f.jacobian(kappa)
    slopes = slice(nu.slope.start, nu.slope.start + rank * rank)
    within, across = nu.covariance[..., nu.drift, nu.drift], nu.covariance[..., slopes, nu.drift]
    inverse = np.linalg.pinv(within, rcond=1e-10, hermitian=True)
    needed = -(inverse @ drift[..., None])
    moved = jacobian + (across @ needed).reshape(jacobian.shape)
    left = nu.covariance[..., slopes, slopes] - across @ inverse @ across.swapaxes(-1, -2)
    singular = _nearest_singular(moved, left)
    drift_part = -(drift[..., None, :] @ needed)[..., 0, 0]
    beyond = np.linalg.norm(drift + (within @ needed)[..., 0], axis=-1) > 1e-8 * (1 + np.linalg.norm(drift, axis=-1))
    return np.where(beyond, np.inf, np.sqrt(np.maximum(drift_part, 0.0) + singular))


def _nearest_singular(matrices, covariance):
    """Squared length of the least fluctuation that makes the matrices (..., R, R) singular, covariance (..., RR, RR).

    Newton's method on the determinant, projected at each step on the shortest fluctuation (Hasofer, Lind, Rackwitz and
    Fiessler's rule for the nearest point of failure).
    """
    rank, size = matrices.shape[-1], covariance.shape[-1]
    flat, covariance = matrices.reshape(-1, rank, rank), covariance.reshape(-1, size, size)
    step, squared = np.zeros((len(flat), size)), np.zeros(len(flat))
    moving = np.arange(len(flat))
    for _ in range(_NEWTON):
        before = step[moving]
        there = flat[moving] + before.reshape(-1, rank, rank)
        slope = _adjugate(there).swapaxes(-1, -2).reshape(before.shape)
        along = (covariance[moving] @ slope[..., None])[..., 0]
        room = np.maximum((slope * along).sum(-1), 1e-12 * (slope**2).sum(-1) + 1e-300)
        length = ((slope * before).sum(-1) - np.linalg.det(there)) / room
        step[moving] = now = length[..., None] * along
        squared[moving] = length**2 * room
        moving = moving[~(np.abs(now - before).max(-1) <= _SETTLED * np.abs(now).max(-1))]
        if not moving.size:
            break
    return squared.reshape(matrices.shape[:-2])


def _adjugate(matrices):
    """det(M) M^-1, also where M is singular."""
    if matrices.shape[-1] == 2:
        (a, b), (c, d) = np.moveaxis(matrices, (-2, -1), (0, 1))
        return np.moveaxis(np.array([[d, -b], [-c, a]]), (0, 1), (-2, -1))
    u, values, vt = np.linalg.svd(matrices)
    rank = values.shape[-1]
    others = np.stack([np.delete(values, k, axis=-1).prod(-1) for k in range(rank)], axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(vt)
    return sign[..., None, None] * (vt.swapaxes(-1, -2) * others[..., None, :]) @ u.swapaxes(-1, -2)


def _between(points):
    """Places between any two fixed points (S, R)."""
    i, j = np.triu_indices(len(points), 1)
    share = np.linspace(0.2, 0.8, _SEGMENT)[:, None]
    return (points[i, None] + share * (points[j] - points[i])[:, None]).reshape(-1, points.shape[-1])


def _minima_on_grid(f, box, count, matched, reach):
    """Grid points whose fold distance is below ``reach`` and below that of all neighbours."""
    # an odd symmetry puts the origin on no grid line
    axes = [np.linspace(a, b + 1e-3 * (b - a), count) for a, b in box.T]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = fold_distance(f, grid, matched)
    values = values + 1e-9 * np.arange(values.size).reshape(values.shape) / values.size  # a plateau has one minimum
    values = np.pad(values, 1, constant_values=np.inf)
    inner = values[(slice(1, -1),) * f.rank]
    lowest = np.isfinite(inner) & (inner <= reach)
    for shift in np.ndindex(*(3,) * f.rank):
        lowest &= inner <= values[tuple(slice(k, k + count) for k in shift)]
    return grid[lowest]


def _refine(f, seed, matched, scale):
    """The local minimum of the fold distance next to a seed, to a thousandth of ``scale``."""
    from scipy.optimize import minimize

    start = seed + scale * np.vstack([np.zeros(f.rank), np.eye(f.rank)])
    options = {"xatol": 1e-3 * scale, "fatol": 1e-6, "maxfev": 60 * f.rank, "initial_simplex": start}
    result = minimize(lambda k: float(fold_distance(f, k, matched)), seed, method="Nelder-Mead", options=options)
    return result.x, float(result.fun)
