"""Steps from many points of a vector field to its zeros, and what can be told of a field from a few values.

The field ``f`` offers ``values_with_error``, or ``values``: tau times value and Jacobian, without error bounds.
"""

import numpy as np

#: The residual, beside the size of the box, at which a point has arrived at a zero.
ARRIVED = 1e-10
# The steps it has to get there; the damping of a step in units of the residual: at first, and where a start is lost.
_STEPS, _DAMPING, _STUCK = 80, 1.0, 1e12
# A Jacobian with a singular value this small, beside the largest or beside a leak of 1, is singular.
_SINGULAR = 1e-6
# Reflections are looked for in groups up to this size.
_GROUP = 1024


def spectrum(f, points, size):
    """Whether the Jacobian is singular, the direction that it nearly sends to 0, and its eigenvalues in order."""
    jacobian = values(f, points)[1]
    _, sizes, directions = np.linalg.svd(jacobian * size / size[:, None])
    rates = np.linalg.eigvals(jacobian)
    order = np.lexsort((rates.imag.round(6), rates.real.round(6)), axis=-1)
    singular = sizes[:, -1] <= _SINGULAR * np.maximum(sizes[:, 0], 1.0)
    return singular, directions[:, -1], np.take_along_axis(rates, order, -1)


def values(f, points):
    """tau times value and Jacobian."""
    if hasattr(f, "values"):
        return f.values(points)
    value, _, jacobian, _ = f.values_with_error(points)
    return value, jacobian


def descend(f, points, size, floor):
    """Levenberg-Marquardt steps, damped by the residual, in variables scaled with the box: (points, arrived).

    Unlike the flow, they lead to saddles too; unlike Newton's, they are at ease where zeros are not isolated.
    """
    points, eye = points.copy(), np.eye(len(size))
    value, jacobian = values(f, points)
    norm, damping = np.linalg.norm(value / size, axis=-1), np.full(len(points), _DAMPING)
    for _ in range(_STEPS):
        active = np.flatnonzero((norm > ARRIVED) & (damping < _STUCK))
        if not active.size:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = jacobian[active] * size / size[:, None]
            transpose = scaled.swapaxes(-1, -2)
            normal = transpose @ scaled
            least = 1e-15 * np.trace(normal, axis1=-2, axis2=-1) + 1e-300
            normal = normal + (damping[active] * norm[active] + least)[:, None, None] * eye
            step = np.linalg.solve(normal, transpose @ (value[active] / size)[..., None])[..., 0]
        step = np.where(np.isfinite(step).all(-1, keepdims=True), step, 0.0)  # next to a kink: no step
        trial = np.maximum(points[active] - step * size, floor)
        new, slope = values(f, trial)
        size_new = np.linalg.norm(new / size, axis=-1)
        better = size_new < norm[active]
        damping[active] *= np.where(better, 0.25, 8.0)
        rows = active[better]
        points[rows], value[rows], jacobian[rows], norm[rows] = (
            trial[better],
            new[better],
            slope[better],
            size_new[better],
        )
    return points, (norm <= ARRIVED) & np.isfinite(jacobian).all((-2, -1))


def reflections(f, low, high, floored):
    """Diagonals of signs (G, R) that leave the field as it is: of single variables, and of all that have both signs."""
    rank = len(low)
    # over many scales: far out the averages may vanish, and all but the leak with them
    scales = 0.6 * 10.0 ** (-np.arange(16.0)[:, None] / 4)
    points = np.where(floored, low, 0.0) + scales * np.random.default_rng(0).uniform(0.3, 1, (16, rank)) * (high - low)
    value = values(f, points)[0]
    one = np.ones(rank)

    def holds_for(sign):
        mirrored = values(f, points * sign)[0]
        size = np.abs(value).max(-1) + np.abs(points).max(-1)
        return (np.abs(mirrored - sign * value).max(-1) <= 1e-11 * size).all()

    singles = [one - 2 * np.eye(rank)[r] for r in np.flatnonzero(~floored)]
    whole = np.where(floored, 1.0, -1.0)
    found = [s for s in (*singles, whole) if holds_for(s)]
    group = one[None]
    for s in found:
        if (group == s).all(-1).any():
            continue
        if 2 * len(group) > _GROUP:
            group = np.stack([one, whole]) if any(s is whole for s in found) else one[None]
            break
        group = np.concatenate([group, group * s])
    return group
