"""Trajectories of a vector field in time.

Knows no neuroscience. An autonomous field offers ``rank``, ``tau``, ``f(kappa)`` and ``f.jacobian(kappa)``, batched; a
driven one offers ``rank``, ``tau``, ``f.drive(t)`` and the same two functions of ``(t, state)``, a state being kappa
followed by v.
"""

import enum
import itertools
from dataclasses import dataclass

import numpy as np

#: Integrators of scipy.integrate.solve_ivp that solve no linear system; a batch of starts is one system to them.
EXPLICIT = ("DOP853", "RK45", "RK23")
#: Those that do; they use the field's analytic Jacobian, and take one start after the other.
IMPLICIT = ("Radau", "BDF", "LSODA")

# Below this the rounding errors of the field, not the integrator, set the error (scipy refuses less than 2.2e-14).
_RTOL_LOW, _RTOL_HIGH = 1e-13, 1e-2
_RTOL_FLOOR = 2.5e-14


class Status(enum.Enum):
    """How a trajectory ended; the value is the sentence a person reads."""

    REACHED = "reached the end of the time interval"
    FAILED = "the integrator stopped early and the points after that are nan"
    FIXED_POINT = "ended next to a fixed point"
    BOX = "left the box"
    TIME = "still under way at max_time"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A solution of the reduced equations, or a batch of them, at the times ``t``.

    Attributes
    ----------
    t : ndarray (T,)
        Times, in the unit of tau; decreasing when integrated backward.
    kappa : ndarray (..., T, R)
        Collective variables.
    v : ndarray (..., T, S) or None
        Input variables of a driven field; None for an autonomous one.
    status : Status
    message : str
        The integrator's own words when it failed, else the status's.
    error : ndarray (..., T) or None
        Estimated error of kappa, largest over its components and over the times so far, where it was asked for.
    evaluations : int
        How often the field was evaluated.
    field : the vector field
    breakpoints : tuple of float
        Where the integrator was restarted.
    """

    t: np.ndarray
    kappa: np.ndarray
    v: np.ndarray | None
    status: Status
    message: str
    error: np.ndarray | None
    evaluations: int
    field: object
    breakpoints: tuple = ()

    @property
    def success(self):
        """False when the integrator stopped early."""
        return self.status is not Status.FAILED

    @property
    def end(self):
        """The last state, kappa followed by v where there is one: (..., R) or (..., R + S). Fit to be a start."""
        return self.kappa[..., -1, :] if self.v is None else np.concatenate([self.kappa, self.v], axis=-1)[..., -1, :]

    def __str__(self):
        starts = f"{int(np.prod(self.kappa.shape[:-2]))} trajectories" if self.kappa.ndim > 2 else "trajectory"
        error = "" if self.error is None else f"; estimated error at most {np.max(self.error):.1e}"
        return f"{starts} from t = {self.t[0]:g} to {self.t[-1]:g}, {len(self.t)} times; {self.message}{error}"


@dataclass(frozen=True, eq=False)
class Reversed:
    """A field with the direction of time reversed."""

    field: object

    @property
    def rank(self):
        """Number of collective variables."""
        return self.field.rank

    @property
    def tau(self):
        """Time constant."""
        return self.field.tau

    def __call__(self, kappa):
        """-dkappa/dt, (..., R)."""
        return -self.field(kappa)

    def jacobian(self, kappa):
        """Its Jacobian, (..., R, R)."""
        return -self.field.jacobian(kappa)


def trajectory(f, start, t, *, rtol=1e-10, atol=1e-12, method="DOP853", breakpoints=(), max_step=None, samples=201,
               with_error=False):  # fmt: skip
    """Integrate the reduced equations :eq:`reduced-drift` in time, from one start or from many.

    Parameters
    ----------
    f : VectorField or DrivenField
    start : array_like (..., R) or, for a driven field, (..., R + S)
        Initial kappa; leading axes are a batch. With kappa alone, a driven field starts with v relaxed at the inputs of
        that time.
    t : number, pair or array_like (T,)
        Duration, counted from 0; or (first, last), with ``samples`` evenly spaced times; or three or more output times,
        all increasing or all decreasing. Backward integration is allowed.
    rtol, atol : float
        Tolerances of the error per step, for each trajectory of the batch.
    method : str
        An integrator of scipy.integrate.solve_ivp: "DOP853", "RK45", "RK23", or the implicit "Radau", "BDF", "LSODA".
    breakpoints : array_like
        Times at which an input jumps or has a kink. The integrator is restarted there, with the input's limit from the
        side it is on. Name them: an integrator that steps over a jump loses accuracy, and one that steps over a short
        pulse misses it.
    max_step : float, optional
        Longest step. Default: unlimited for an autonomous field, tau for a driven one.
    samples : int
        Number of output times where ``t`` does not list them.
    with_error : bool
        Integrate again with a hundredth of ``rtol`` and ``atol``, for the estimate :eq:`trajectory-error` of the
        integrator's error. That of the field itself is not in it.

    Returns
    -------
    Trajectory
        When the integrator stops early, ``status`` is FAILED and the points that were not reached are nan.

    Raises
    ------
    ValueError
        A start, a time or an option that makes no sense.
    """
    driven = callable(getattr(f, "drive", None))
    times = _times(t, samples)
    start = _start(f, start, times[0], driven)
    options = _options(f, rtol, atol, method, max_step, driven)
    cuts = _cuts(breakpoints, times, driven)

    states, message, evaluations = _integrate(f, start, times, cuts, options, driven)
    error = None
    if with_error:
        finer = options | {"rtol": max(rtol / 100, _RTOL_FLOOR), "atol": atol / 100}
        again, second, more = _integrate(f, start, times, cuts, finer, driven)
        message, evaluations = message or second, evaluations + more
        apart = 2 * np.abs(states - again) + 8 * np.finfo(float).eps * np.abs(states)
        error = np.maximum.accumulate(apart[..., : f.rank].max(-1), axis=-1)
    status = Status.FAILED if message else Status.REACHED
    v = states[..., f.rank :] if driven else None
    kappa = states[..., : f.rank]
    return Trajectory(times, kappa, v, status, message or status.value, error, evaluations, f, tuple(cuts.tolist()))


def _times(t, samples):
    times = np.array(t, dtype=float)
    if times.ndim > 1 or not np.isfinite(times).all():
        raise ValueError(f"t must be a duration, a pair (first, last) or a list of output times, all finite: got {t!r}")
    if times.size < 3:
        first, last = (0.0, float(times)) if times.ndim == 0 else (times[0], times[-1]) if times.size else (0.0, 0.0)
        if samples < 2:
            raise ValueError(f"samples must be at least 2, the first and the last time: got {samples}")
        times = np.linspace(first, last, samples)
    steps = np.diff(times)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError(f"output times must all increase or all decrease: got t = {t!r}")
    return times


def _start(f, start, first, driven):
    start = np.array(start, dtype=float)
    size = f.rank + len(f.drive(first)) if driven else f.rank
    shapes = f"(..., {f.rank})" + (f" (kappa) or (..., {size}) (kappa, then v)" if driven else "")
    if start.ndim == 0 or start.shape[-1] not in (f.rank, size) or start.size == 0:
        raise ValueError(f"start must have shape {shapes}: got {start.shape}")
    if not np.isfinite(start).all():
        raise ValueError(f"start must be finite: got {start.tolist()}")
    if start.shape[-1] < size:
        v = np.broadcast_to(f.drive(first), start.shape[:-1] + (size - f.rank,))
        start = np.concatenate([start, v], axis=-1)
    return start


def _options(f, rtol, atol, method, max_step, driven):
    if method not in EXPLICIT + IMPLICIT:
        raise ValueError(f"unknown method {method!r}: known are {', '.join(EXPLICIT + IMPLICIT)}")
    if not _RTOL_LOW <= rtol <= _RTOL_HIGH:
        raise ValueError(f"rtol must lie between {_RTOL_LOW:g} and {_RTOL_HIGH:g}: got {rtol!r}")
    if not (np.isfinite(atol) and atol > 0):
        raise ValueError(f"atol must be a positive number: got {atol!r}")
    if max_step is None:
        max_step = f.tau if driven else np.inf
    if not max_step > 0:
        raise ValueError(f"max_step must be positive: got {max_step!r}")
    return {"rtol": rtol, "atol": atol, "method": method, "max_step": max_step}


def _cuts(breakpoints, times, driven):
    """The breakpoints inside the interval, in the order in which they are met."""
    cuts = np.unique(np.array(breakpoints, dtype=float))
    if cuts.size and not driven:
        raise ValueError("breakpoints are times at which an input jumps, but this field is not driven: leave them out")
    if not np.isfinite(cuts).all():
        raise ValueError(f"breakpoints must be finite times: got {breakpoints!r}")
    low, high = sorted((times[0], times[-1]))
    cuts = cuts[(cuts > low) & (cuts < high)]
    return cuts if times[0] < times[-1] else cuts[::-1]


def _integrate(f, start, times, cuts, options, driven):
    """States (..., T, n) from all starts, the first failure's message or "", and the number of evaluations."""
    flat = start.reshape(-1, start.shape[-1])
    if options["method"] in EXPLICIT and len(flat) > 1:
        # One step size for the whole batch: its mean square error, with this factor, bounds each trajectory's own.
        share = 1 / np.sqrt(len(flat))
        shared = options | {"rtol": max(options["rtol"] * share, _RTOL_FLOOR), "atol": options["atol"] * share}
        states, message, evaluations = _solve_pieces(f, flat, times, cuts, shared, driven)
        if not message:
            return _unflatten(states, start, times), message, evaluations
    results = [_solve_pieces(f, row[None], times, cuts, options, driven) for row in flat]
    states = np.concatenate([r[0] for r in results])
    message = next((r[1] for r in results if r[1]), "")
    return _unflatten(states, start, times), message, sum(r[2] for r in results)


def _unflatten(states, start, times):
    return states.reshape(start.shape[:-1] + (len(times), start.shape[-1]))


def _solve_pieces(f, rows, times, cuts, options, driven):
    """States (B, T, n) of one system made of all rows, restarted at the cuts."""
    out = np.full((len(times), rows.size), np.nan)
    out[0], y, evaluations = rows.ravel(), rows.ravel(), 0
    direction = np.sign(times[-1] - times[0])
    for a, b in itertools.pairwise([times[0], *cuts, times[-1]]):
        inside = np.flatnonzero((direction * times > direction * a) & (direction * times <= direction * b))
        wanted = np.append(times[inside], b) if not len(inside) or times[inside[-1]] != b else times[inside]
        rhs, jac = _right_hand_side(f, rows.shape, (a, b), driven)
        solution = solve(rhs, (a, b), y, jac=jac, t_eval=wanted, **options)
        evaluations += solution.nfev
        reached = min(len(solution.t), len(inside))
        if reached:
            out[inside[:reached]] = solution.y[:, :reached].T
        if solution.status != 0 or not np.isfinite(solution.y).all():
            message = f"{Status.FAILED.value}, between t = {a:g} and {b:g}: {solution.message}"
            return _split_rows(out, rows.shape), message, evaluations
        y = solution.y[:, -1]
    return _split_rows(out, rows.shape), "", evaluations


def _split_rows(out, shape):
    return out.reshape(len(out), *shape).swapaxes(0, 1)


def _right_hand_side(f, shape, span, driven):
    """Flat functions of (t, y); times are kept inside the open piece, so that a jump at its end is not seen early."""
    low, high = sorted((np.nextafter(span[0], span[1]), np.nextafter(span[1], span[0])))

    def at(t):
        return (min(max(t, low), high),) if driven else ()

    def rhs(t, y):
        return f(*at(t), y.reshape(shape)).ravel()

    def jac(t, y):
        return f.jacobian(*at(t), y)

    return rhs, jac


def solve(rhs, span, y, *, method="DOP853", jac=None, **options):
    """scipy's solve_ivp, silent about overflow (its status says it), with the Jacobian where the method wants one."""
    from scipy.integrate import solve_ivp

    extra = {"jac": jac} if method in IMPLICIT and jac is not None else {}
    with np.errstate(over="ignore", invalid="ignore"):
        return solve_ivp(rhs, span, y, method=method, **extra, **options)


def subdivide(t, parts):
    """Each interval of an increasing or decreasing sequence cut into ``parts`` equal ones."""
    fractions = np.arange(parts) / parts
    return np.append((t[:-1, None] + np.diff(t)[:, None] * fractions).ravel(), t[-1])
