"""Stable and unstable manifolds of fixed points: the curves that separate basins of attraction."""

import numpy as np

from ..trajectories import Status, Trajectory, solve, subdivide

# A manifold starts this far along its eigenvector, relative to the box; the curve bends away by the square of that.
_OFFSET = 1e-5
# ... and ends this close to another fixed point: less than the width of a line in a figure.
_NEAR = 1e-3


def manifold(f, point, kind="unstable", *, eigenvector=None, fixed_points=(), box=None, max_time=None, samples=201,
             rtol=1e-9):  # fmt: skip
    """The two branches of a one-dimensional stable or unstable manifold of a fixed point, for drawing separatrices.

    Each branch starts a small step along the eigenvector (:eq:`manifold-start`) and is followed forward (unstable) or
    backward (stable) in time until it comes near another fixed point, leaves the box, or ``max_time`` is up. At rank 2
    the stable manifold of a saddle separates the basins of attraction.

    Parameters
    ----------
    f : VectorField
    point : array_like (R,)
        The fixed point.
    kind : str
        "unstable" or "stable".
    eigenvector : array_like (R,), optional
        Needed where more than one eigenvalue has the sign that ``kind`` asks for.
    fixed_points : FixedPoints or array_like (K, R)
        Where a branch may end.
    box : pair of array_like (R,), optional
        Lower and upper corner. Default: one and a half times the field's ``search_box``.
    max_time : float, optional
        Default 200 tau.
    samples : int
        Number of points on each branch, evenly spaced in arc length.
    rtol : float

    Returns
    -------
    tuple of two Trajectory
        Along +eigenvector and -eigenvector; ``status`` says how each ended.

    Raises
    ------
    ValueError
        Not a fixed point, no real eigenvalue of the right sign, or several and no ``eigenvector``; no box.
    """
    point, direction, sign = _departure(f, point, kind, eigenvector)
    low, high = _box(f, box)
    if not ((low < point) & (point < high)).all():
        raise ValueError(f"point must lie inside the box: got {point.tolist()} and {[low.tolist(), high.tolist()]}")
    size = (high - low).max()
    others = np.array(getattr(fixed_points, "kappa", fixed_points), dtype=float).reshape(-1, f.rank)
    others = others[np.linalg.norm(others - point, axis=-1) > _NEAR * size]
    end = sign * (200 * f.tau if max_time is None else max_time)

    def near(t, y):
        return np.linalg.norm(others - y, axis=-1).min() - _NEAR * size

    def inside(t, y):
        return np.minimum(y - low, high - y).min()

    events = {Status.FIXED_POINT: near} if len(others) else {}
    events[Status.BOX] = inside
    for event in events.values():
        event.terminal, event.direction = True, -1
    return tuple(_branch(f, point + s * _OFFSET * size * direction, end, events, samples, rtol, size) for s in (1, -1))


def _branch(f, start, end, events, samples, rtol, size):
    solution = solve(lambda t, y: f(y), (0.0, end), start, events=list(events.values()), dense_output=True, rtol=rtol,
                     atol=1e-3 * rtol * size)  # fmt: skip
    status = next((s for s, times in zip(events, solution.t_events, strict=True) if len(times)), Status.TIME)
    if solution.status < 0:
        status = Status.FAILED
    t = subdivide(solution.t, 16)
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(solution.sol(t), axis=1), axis=0)))
    t = np.interp(np.linspace(0.0, length[-1], samples), length, t)
    message = solution.message if status is Status.FAILED else status.value
    return Trajectory(t, solution.sol(t).T, None, status, message, None, solution.nfev, f)


def _departure(f, point, kind, eigenvector):
    """The fixed point (one Newton step better), the unit eigenvector, and the direction of time that leads away."""
    if kind not in ("unstable", "stable"):
        raise ValueError(f"kind must be 'unstable' or 'stable': got {kind!r}")
    point = np.array(point, dtype=float)
    if point.shape != (f.rank,):
        raise ValueError(f"point must have shape ({f.rank},): got {point.shape}")
    speed, matrix = np.linalg.norm(f(point)) * f.tau, f.jacobian(point)
    if not speed <= 1e-6 * (1 + np.linalg.norm(point)):
        raise ValueError(f"point must be a fixed point: got tau |dkappa/dt| = {speed:.3g}; see fixed_points(f)")
    point = point - np.linalg.lstsq(matrix, f(point), rcond=None)[0]
    sign = 1.0 if kind == "unstable" else -1.0
    if eigenvector is None:
        values, vectors = np.linalg.eig(matrix)
        fits = np.flatnonzero(sign * values.real > 0)
        if len(fits) != 1:
            advice = "pass one real eigenvector=" if len(fits) else "choose another kind or point"
            raise ValueError(
                f"only one-dimensional manifolds are drawn: the {kind} one of this point has dimension {len(fits)} "
                f"(eigenvalues {np.round(values, 6).tolist()}); {advice}"
            )
        return point, vectors[:, fits[0]].real, sign
    direction = np.array(eigenvector)
    if direction.shape != (f.rank,) or np.iscomplexobj(direction) and np.any(direction.imag) or not np.any(direction):
        raise ValueError(f"eigenvector must be a real vector of shape ({f.rank},): got {eigenvector!r}")
    direction = direction.real.astype(float) / np.linalg.norm(direction.real)
    image = matrix @ direction
    value = image @ direction
    if np.linalg.norm(image - value * direction) > 1e-6 * np.linalg.norm(matrix) or sign * value <= 0:
        raise ValueError(f"eigenvector must belong to an eigenvalue of the {kind} kind: got {eigenvector!r}")
    return point, direction, sign


def _box(f, box):
    if box is None:
        if not hasattr(f, "search_box"):
            raise ValueError("this field names no box of its own: pass box=(low, high), the region to draw")
        half = 1.5 * np.asarray(f.search_box())
        return -half, half
    low, high = (np.array(x, dtype=float, ndmin=1) for x in box)
    if low.shape != (f.rank,) or high.shape != (f.rank,) or not (low < high).all():
        raise ValueError(f"box must be a pair (low, high) of {f.rank} numbers each with low < high: got {box!r}")
    return low, high
