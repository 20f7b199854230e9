"""Limit cycles: found by following the flow, refined by Newton shooting, with Floquet multipliers."""

import enum
from dataclasses import dataclass

import numpy as np

from .orbits.shooting import ABSOLUTE, LOOSE, ROUGH, TIGHT, ShootingFailed, newton_step, shoot
from .trajectories import Reversed, solve, subdivide

#: A cycle counts as converged when the relative error of its period is at most this.
PERIOD_TOLERANCE = 1e-9
#: How long (in tau) the flow is followed before the search for a cycle gives up.
MAX_TIME = 2000.0

# Tolerance of the transient, which only has to lead into Newton's basin of attraction.
_TRANSIENT_RTOL = 1e-7
# First stretch of transient, in tau; each is twice as long as the one before.
_WINDOW = 20.0
# A return to the section counts when it misses by less than this share of the loop's extent ...
_CLOSE = 0.1
# ... and among this many last returns, the shortest loop that closes within a factor of the best one.
_RETURNS, _FACTOR = 8, 10.0
# A loop that Newton's method shrinks to less than this share was a spiral into a fixed point.
_COLLAPSE = 0.1
# The trajectory has arrived at a fixed point when it is this close, relative to 1 + |kappa|.
_ARRIVED = 1e-6
# A start where the flow is this slow, relative to 1 + |kappa|, is a fixed point up to rounding of the averages.
_AT_REST = 1e-13
# A transient's loop belongs to a known cycle when place, extent and period agree this well: it has not converged yet.
_ALIKE = 1e-2
# An orbit meets its start again within its period, going round several times, when it misses by less than this share.
_MET = 1e-3


class NoCycle(ValueError):
    """The flow from this start leads to no cycle that could be found; the message says where it led.

    Attributes
    ----------
    cycle : LimitCycle or None
        A cycle met on the way that repels the flow, so that it is not where the flow leads.
    unsettled : bool
        True when the flow was given up on its way; False when it ended on a fixed point or at infinity.
    """

    def __init__(self, message, cycle=None, unsettled=False):
        super().__init__(message)
        self.cycle, self.unsettled = cycle, unsettled


class CycleStatus(enum.Enum):
    """How far a cycle can be trusted; the value is the sentence a person reads."""

    CONVERGED = f"converged: relative error of the period at most {PERIOD_TOLERANCE:g}"
    INACCURATE = (
        f"period known only to period_error, more than {PERIOD_TOLERANCE:g} of it: the cycle passes close to a fixed "
        "point or strongly repels its neighbours; follow it in a parameter from where it is milder"
    )
    NEUTRAL = "converged, but a second multiplier is 1 within its error: a bifurcation of cycles, or a family of them"


@dataclass(frozen=True, eq=False)
class LimitCycle:
    """A periodic orbit of an autonomous field.

    Attributes
    ----------
    period, period_error : float
        In the unit of tau; the error is an estimate (:eq:`period-error`) that covers the integrator and Newton's
        method, not the evaluation error of the field.
    t : ndarray (T,);  orbit : ndarray (T, R)
        Once around, evenly spaced in time, first and last point equal to within ``residual``.
    amplitude : ndarray (R,)
        Largest minus smallest value of each component.
    multipliers : ndarray (R,), complex
        Floquet multipliers, the trivial one first, then by decreasing magnitude. At rank 2 the other one comes from the
        integral of the trace (:eq:`liouville`), with a small relative error however small it is.
    multiplier_error : float
        Estimated absolute error of the multipliers.
    trivial_error : float
        Distance of the trivial multiplier from 1: a check of the monodromy matrix.
    monodromy : ndarray (R, R)
        Derivative of the flow over one period, at ``orbit[0]``.
    residual : float
        Distance by which the orbit fails to close.
    status : CycleStatus
    field : the vector field
    """

    period: float
    period_error: float
    t: np.ndarray
    orbit: np.ndarray
    amplitude: np.ndarray
    multipliers: np.ndarray
    multiplier_error: float
    trivial_error: float
    monodromy: np.ndarray
    residual: float
    status: CycleStatus
    field: object

    @property
    def kind(self):
        """ "stable", "unstable", or "undecided" when a multiplier's magnitude is 1 within its error."""
        largest = np.abs(self.multipliers[1:]).max()
        if abs(largest - 1) <= self.multiplier_error:
            return "undecided"
        return "stable" if largest < 1 else "unstable"

    def attracts(self, reverse=False):
        """False when some neighbours are repelled, beyond the error, as time goes on (or back, with ``reverse``)."""
        size = np.abs(self.multipliers[1:])
        return bool(size.min() >= 1 - self.multiplier_error if reverse else size.max() <= 1 + self.multiplier_error)

    @property
    def stable(self):
        """True when every nontrivial multiplier lies inside the unit circle by more than its error."""
        return self.kind == "stable"

    def __str__(self):
        others = ", ".join(f"{m.real:.4g}" if m.imag == 0 else f"{m:.4g}" for m in self.multipliers[1:])
        extent = ", ".join(f"{a:.4g}" for a in self.amplitude)
        return (
            f"{self.kind} cycle, period {self.period:.12g} +- {self.period_error:.1e}, amplitude ({extent}), "
            f"multipliers 1 (+- {self.trivial_error:.1e}), {others}; {self.status.value}"
        )


def limit_cycle(f, start, *, reverse=False, max_time=None, samples=401, known=()):
    """The limit cycle to which the flow leads from a start, its period to 1e-9 and its Floquet multipliers.

    The transient is followed until it returns to a section across itself (:eq:`poincare-section`); Newton shooting for
    point and period (:eq:`shooting`) takes over, at ever tighter tolerances.

    Parameters
    ----------
    f : VectorField
        Autonomous, rank at least 2.
    start : array_like (R,)
    reverse : bool
        Follow the flow backward in time: finds cycles that repel in every direction, at rank 2 all unstable ones.
    max_time : float, optional
        How long to follow the flow, in the unit of tau. Default 2000 tau.
    samples : int
        Number of points on the orbit.
    known : sequence of LimitCycle
        Cycles that need not be computed again: when the flow leads to one of them, that object is returned.

    Returns
    -------
    LimitCycle

    Raises
    ------
    NoCycle
        The flow leads to a fixed point or to infinity, or no return is found within ``max_time``; the message says so.
    ValueError
        A field that is not autonomous, or a start of the wrong shape.
    """
    start, flow, max_time = _check(f, start, reverse, max_time)
    repelling = None
    try:
        for guess in _returns(flow, start, max_time, reverse):
            for cycle in known:
                if cycle.attracts(reverse) and _leads_to(cycle, guess):
                    return cycle
            try:
                cycle = _refine(f, flow, guess, reverse, samples)
            except ShootingFailed:
                continue
            if cycle.attracts(reverse):
                return cycle
            # An orbit that repels the flow cannot be where it leads: look further.
            repelling = cycle
    except NoCycle as nothing:
        nothing.cycle = repelling
        raise


def _check(f, start, reverse, max_time):
    if callable(getattr(f, "drive", None)):
        raise ValueError("limit cycles belong to autonomous fields: give every input as a number, or use f.frozen(v)")
    if f.rank < 2:
        raise NoCycle("a field of one dimension has no cycles: between its fixed points it moves one way only")
    start = np.array(start, dtype=float)
    if start.shape != (f.rank,) or not np.isfinite(start).all():
        raise ValueError(f"start must be {f.rank} finite numbers: got {start.tolist()}")
    max_time = MAX_TIME * f.tau if max_time is None else float(max_time)
    if not (np.isfinite(max_time) and max_time > 0):
        raise ValueError(f"max_time must be a positive number: got {max_time!r}")
    return start, Reversed(f) if reverse else f, max_time


@dataclass(frozen=True, eq=False)
class _Guess:
    """A loop of the transient that nearly closes."""

    point: np.ndarray
    period: float
    size: float


def _returns(flow, start, max_time, reverse):
    """Yield loops that nearly close, later and later; raise NoCycle at the end."""
    limit = far(flow, start)
    x, elapsed, window = start, 0.0, _WINDOW * flow.tau
    backward = ", backward in time," if reverse else ""
    if np.linalg.norm(flow(x)) * flow.tau <= _AT_REST * (1 + np.linalg.norm(x)):
        raise NoCycle(f"the start kappa = {_vector(x)} is a fixed point: start next to it, or elsewhere")
    while elapsed < max_time:
        window = min(window, max_time - elapsed)
        t, path = _follow(flow, x, window, limit, backward)
        x, elapsed, window = path[-1], elapsed + window, 2 * window
        z, rests = arrived(flow, path[len(path) // 2], x)
        if rests:
            where = f"the fixed point kappa = {_vector(z)}"
            raise NoCycle(f"the flow{backward} leads to {where}, reached by t = {elapsed:g}; start elsewhere")
        if (guess := _last_return(flow, t, path)) is not None:
            yield guess
    speed = np.linalg.norm(flow(x)) * flow.tau
    raise NoCycle(
        f"no cycle found within max_time = {max_time:g}: the flow{backward} is then at kappa = {_vector(x)} "
        f"with tau |dkappa/dt| = {speed:.3g}; raise max_time, or start elsewhere",
        unsettled=True,
    )


def _follow(flow, x, window, limit, backward):
    """The flow over one window, finely sampled: times (T,) and path (T, R)."""

    def escape(t, y):
        return limit - np.linalg.norm(y)

    escape.terminal, escape.direction = True, -1
    tolerances = {"rtol": _TRANSIENT_RTOL, "atol": 1e-3 * _TRANSIENT_RTOL}
    solution = solve(lambda t, y: flow(y), (0.0, window), x, events=escape, dense_output=True, **tolerances)
    if solution.status != 0:
        why = "goes to infinity" if solution.status == 1 else f"could not be followed ({solution.message})"
        message = f"the flow{backward} {why}: it reached kappa = {_vector(solution.y[:, -1])}; start elsewhere"
        raise NoCycle(message, unsettled=solution.status != 1)
    t = subdivide(solution.t, 8)
    return t, solution.sol(t).T


def arrived(flow, earlier, later):
    """Where the flow has come to rest, seen from points (..., R) at two times: (fixed points (..., R), bool (...)).

    It rests when it is next to a fixed point that attracts it, or next to one and comes no further away from it (it has
    met a saddle along its stable manifold).
    """
    z, unit = later, 1 + np.linalg.norm(later, axis=-1)
    for _ in range(4):
        step = (np.linalg.pinv(flow.jacobian(z), rcond=1e-10) @ flow(z)[..., None])[..., 0]
        z = z - step / np.maximum(np.linalg.norm(step, axis=-1) / unit, 1.0)[..., None]
    scale = _ARRIVED * unit
    before, now = np.linalg.norm(earlier - z, axis=-1), np.linalg.norm(later - z, axis=-1)
    attracting = np.linalg.eigvals(flow.jacobian(z)).real.max(-1) < 0
    return z, (now <= scale) & (attracting | ((before <= scale) & (now <= 2 * before)))


def far(flow, start):
    """A distance from the origin beyond which the flow from a start (R,) has escaped."""
    try:
        reach = np.linalg.norm(getattr(flow, "field", flow).search_box())
    except (AttributeError, ValueError):
        return 1e3 * (1 + np.linalg.norm(start))
    return 2 * max(reach, np.linalg.norm(start))


def _last_return(flow, t, path):
    """The last loop of a path that nearly closes, seen on the section through its end (:eq:`poincare-section`)."""
    end = path[-1]
    level = (path - end) @ flow(end)
    before = np.flatnonzero((level[:-2] < 0) & (level[1:-1] >= 0))[::-1][:_RETURNS]
    loops = []
    for i in before:
        share = level[i] / (level[i] - level[i + 1])
        point = path[i] + share * (path[i + 1] - path[i])
        period = t[-1] - t[i] - share * (t[i + 1] - t[i])
        size = float(np.linalg.norm(np.ptp(path[i:], axis=0)))
        loops.append((np.linalg.norm(point - end) / size, _Guess(end, period, size)))
    best = min((miss for miss, _ in loops), default=1.0)
    if best > _CLOSE:
        return None
    return next(guess for miss, guess in loops if miss <= _FACTOR * best)


def _leads_to(cycle, guess):
    """True when a loop of the transient has come within a hundredth of a known cycle."""
    size = np.linalg.norm(cycle.amplitude)
    near = distance(guess.point, cycle.orbit) <= _ALIKE * size
    return near and abs(guess.size / size - 1) <= _ALIKE and abs(guess.period / cycle.period - 1) <= _ALIKE


def distance(point, orbit):
    """Distance from a point to the polygon through the points of an orbit."""
    start, side = orbit[:-1], np.diff(orbit, axis=0)
    length = np.maximum((side * side).sum(-1), np.finfo(float).tiny)
    share = np.clip(((point - start) * side).sum(-1) / length, 0.0, 1.0)
    return np.linalg.norm(start + share[:, None] * side - point, axis=-1).min()


def _refine(f, flow, guess, reverse, samples):
    """Newton shooting at rising tolerances, from a loop that nearly closes to the record."""
    rough = shoot(flow, guess.point, guess.period, guess.size, ROUGH)
    size, turns = _checked_loop(flow, guess, rough)
    loose = shoot(flow, rough.point, rough.period / turns, size, LOOSE)
    tight = shoot(flow, loose.point, loose.period, size, TIGHT)
    t, orbit, amplitude = _orbit(flow, tight, size, samples)
    if abs(np.linalg.norm(amplitude) / size - 1) > 0.1:
        raise ShootingFailed("Newton's method left the loop it was started from")
    left = newton_step(flow, orbit[0], tight.period, size, orbit[-1], tight.monodromy, TIGHT)[1]
    period_error = abs(tight.period - loose.period) + 2 * abs(left) + 8 * np.finfo(float).eps * tight.period

    multipliers, trivial_error = _multipliers(tight, reverse)
    with np.errstate(invalid="ignore"):
        multiplier_error = float(np.abs(multipliers - _multipliers(loose, reverse)[0]).max()) + trivial_error
    if period_error > PERIOD_TOLERANCE * tight.period:
        status = CycleStatus.INACCURATE
    else:
        neutral = (np.abs(multipliers[1:] - 1) <= multiplier_error).any()
        status = CycleStatus.NEUTRAL if neutral else CycleStatus.CONVERGED
    return LimitCycle(
        period=tight.period,
        period_error=period_error,
        t=t,
        orbit=orbit[::-1] if reverse else orbit,
        amplitude=amplitude,
        multipliers=multipliers,
        multiplier_error=multiplier_error,
        trivial_error=trivial_error,
        monodromy=np.linalg.pinv(tight.monodromy, rcond=0.0) if reverse else tight.monodromy,
        residual=float(np.linalg.norm(orbit[-1] - orbit[0])),
        status=status,
        field=f,
    )


def _once_around(flow, shot, size, rtol):
    """The orbit as a function of time, and the integrator's times, subdivided."""
    atol = rtol * ABSOLUTE * size
    around = solve(lambda t, y: flow(y), (0.0, shot.period), shot.point, dense_output=True, rtol=rtol, atol=atol)
    return around.sol, subdivide(around.t, 8)


def _checked_loop(flow, guess, shot):
    """Extent of the orbit and how often it goes round within its period; refuses a loop that is not the guessed one."""
    path, t = _once_around(flow, shot, guess.size, ROUGH)
    size = float(np.linalg.norm(np.ptp(path(t), axis=1)))
    if size < _COLLAPSE * guess.size or np.linalg.norm(shot.point - guess.point) > guess.size:
        raise ShootingFailed("Newton's method left the loop it was started from")
    counts = np.arange(_RETURNS, 1, -1)
    misses = np.linalg.norm(path(shot.period / counts).T - shot.point, axis=-1)
    return size, int(next((n for n, miss in zip(counts, misses, strict=True) if miss <= _MET * size), 1))


def _multipliers(shot, reverse):
    """Floquet multipliers, forward in time and the trivial one first, and the trivial one's error (:eq:`floquet`)."""
    values = np.linalg.eigvals(shot.monodromy).astype(complex)
    trivial = np.argmin(np.abs(values - 1))
    others = np.delete(values, trivial)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if len(others) == 1:
            others = np.exp([shot.log_determinant + 0j])
        ordered = np.append(values[trivial], others)
        ordered = 1 / ordered if reverse else ordered
    order = np.argsort(-np.abs(ordered[1:]), kind="stable")
    return np.append(ordered[0], ordered[1:][order]), float(abs(values[trivial] - 1))


def _orbit(flow, shot, size, samples):
    """Evenly spaced points (T,), (T, R), and the extent of each component (R,), extrema polished by Newton's method."""
    path, fine = _once_around(flow, shot, size, TIGHT)
    t = np.linspace(0.0, shot.period, samples)
    values, spacing, ends = path(fine), np.diff(fine).max(), []
    for extreme in (np.argmax, np.argmin):
        times = fine[extreme(values, axis=1)]
        for _ in range(3):
            x = path(times).T
            velocity, jacobian = flow(x), flow.jacobian(x)
            acceleration = np.diagonal((jacobian @ velocity[..., None])[..., 0])
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.nan_to_num(np.diagonal(velocity) / acceleration)
            times = np.clip(times - np.clip(step, -spacing, spacing), 0.0, shot.period)
        ends.append(np.diagonal(path(times)))
    return t, path(t).T, ends[0] - ends[1]


def _vector(x):
    return "(" + ", ".join(f"{value:.6g}" for value in x) + ")"
