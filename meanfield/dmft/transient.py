"""Networks with a random part on their way: kappa(t) and the covariances between all pairs of times.

    dkappa/dt = -kappa + drift gains,   (d_t + 1)(d_t' + 1) D_p(t, t') = sum_q G_pq C_q(t, t') + 2 sigma2 delta(t - t')

in units of tau (docs: :eq:`two-time-equation`), with C_q over the Gaussian pair x(t), x(t') that D_q is part of.
"""

import enum
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .. import equations
from ..conventions import brief, check_array, counted
from ..dynamics import DrivenField, known_inputs
from ..progress import progress_bar
from .problem import Problem, pose
from .two_time import EXPLODED, ActivityPairs, Exploded, Spread, TwoTime, weights

#: duration / dt may differ from a whole number by this, relatively: decimals are rounded, mistakes are larger.
STEP_TOLERANCE = 1e-9
#: Longest step that is chosen where none is given, in units of tau.
DEFAULT_STEP = 1 / 20
#: D may take this many bytes without being asked for more.
MEMORY = 2e9

# Inputs are asked for this many roundings of t inside a step, so that a jump on the grid is not seen from outside.
_INSIDE = 4 * np.finfo(float).eps


class Status(enum.Enum):
    """How a transient ended; the value is the sentence a person reads."""

    REACHED = "reached the end"
    EXPLODED = (
        "kappa or a variance exploded and everything after that is nan: "
        "end before, lower g or the overlaps, or take a bounded phi"
    )


@dataclass(frozen=True, eq=False)
class Transient:
    """The infinite network on a grid of times, from random initial conditions.

    Attributes
    ----------
    problem : Problem
        With the inputs at t = 0.
    t : ndarray (T,)
        In the unit of tau.
    kappa, v : ndarray (T, R), (T, S)
    mean, variance : ndarray (T, P)
        Of x over a population at one time: structure, static input and random part together.
    phi : ndarray (T, P)
        <phi>, the mean activity.
    z : ndarray (T, W)
        Readouts.
    D : ndarray (T, T) or (T, T, P)
        Covariance between times of the random part, noise and initial spread included; one for all populations where
        it is the same.
    status : Status
    terms : int
        Of the Hermite series; 0 where closed forms were used.
    truncation : float
        Bound of what the series leaves out of any C(t, t'), relative to sqrt(<phi^2> <phi'^2>).
    error : ndarray (T,) or None
        Estimated error of kappa from the finite step, largest over its components and the times so far, if asked for.
    error_D : ndarray (T,) or None
        The same of D, over populations and all pairs of times so far.
    tolerance : float
    """

    problem: Problem
    t: np.ndarray
    kappa: np.ndarray
    v: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    phi: np.ndarray
    z: np.ndarray
    D: np.ndarray
    status: Status
    terms: int
    truncation: float
    error: np.ndarray | None
    error_D: np.ndarray | None
    tolerance: float

    @property
    def success(self):
        """False when it exploded."""
        return self.status is Status.REACHED

    @property
    def nbytes(self):
        """Bytes that D takes; a covariance of every population takes T * T * P * 8."""
        return self.D.nbytes

    @cached_property
    def covariance(self):
        """Cov_p(x(t), x(t')) with structure and static input: (T, T, P)."""
        states = np.concatenate([self.kappa, self.v], axis=1)
        structure = np.moveaxis(Spread(self.problem, 0.0).structure(states, states), 0, -1)
        return structure + (self.D if self.D.ndim == 3 else self.D[..., None])

    @cached_property
    def activity(self):
        """C_p(t, t') = <phi(x(t)) phi(x(t'))>_p, (T, T, P); computed when first asked for, about as long as the run.

        Summed with the weights alpha_p it is (1/N) sum_i phi(x_i(t)) phi(x_i(t')) of the network.
        """
        T, P = self.mean.shape
        pairs = ActivityPairs(self.problem.transfer, P, T, self.tolerance)
        out = np.full((T, T, P), np.nan)
        reached = int(np.isfinite(self.variance[:, 0]).sum())
        with progress_bar(reached, "step") as bar:
            for n in range(reached):
                pairs.enter(n, self.mean[n], self.variance[n])
                out[n, : n + 1] = out[: n + 1, n] = pairs.row(n, self.covariance[n, :n].T).T
                bar.update()
        return out

    def __str__(self):
        P = self.mean.shape[1]
        parts = [
            f"{counted(P, 'population')}, t = 0 to {self.t[-1]:g}, {len(self.t)} times; {self.status.value}",
            f"D takes {self.nbytes / 1e6:.3g} MB",
        ]
        if self.truncation:
            parts.append(f"Hermite series of {self.terms} terms, error at most {self.truncation:.1e} of <phi^2>")
        if self.error is not None:
            kappa, D = (f"{np.nanmax(e):.1e}" for e in (self.error, self.error_D))
            parts.append(f"estimated error at most {kappa} (kappa), {D} (D)")
        return "; ".join(parts)

    def __repr__(self):
        return f"Transient({self})"


def transient(c, transfer="tanh", inputs=None, *, duration, dt=None, kappa=0.0, v=None, delta=0.0, input_variance=0.0,
              noise=0.0, tau=1.0, with_error=False, tolerance=1e-10, memory=MEMORY, progress=None):  # fmt: skip
    """Dynamical mean-field theory in time: kappa(t) and the covariances between all pairs of times.

    At t = 0, x_i = m_i.kappa + I_i.v + y_i + h_i: y_i is the static input and h_i are independent and Gaussian.

    Parameters
    ----------
    c : Connectivity
        With a random part of any strength g, also 0 or one per pair of populations.
    transfer : Transfer or str
    inputs : mapping name -> number, or function of time
        Unlisted inputs are off. Put jumps on the grid of steps.
    duration, dt : float
        In the unit of tau; a whole number of steps. Default of dt: the largest up to tau / 20 that divides duration.
    kappa : float or (R,) array
        At t = 0.
    v : float or (S,) array, optional
        Filtered inputs at t = 0; relaxed to u(0) by default. 0 for inputs that are switched on at t = 0.
    delta : float or (P,) array
        Variance of h_i(0).
    input_variance : float or (P,) array
        Variance of y_i.
    noise : float
        Over a time t the variance of each x grows by noise**2 * t (before the leak).
    with_error : bool
        Integrate again at dt / 2 and estimate the errors of kappa and D (:eq:`two-time-error`); about five times the
        time and the memory.
    tolerance : float
        What the Hermite series may leave out of C(t, t'), relative to <phi^2>.
    memory : float
        D larger than this many bytes is refused. It is stored in full: T * T * 8 bytes, and P times as many where the
        populations differ.
    progress : bool, optional
        Show a bar on stderr when it takes longer than two seconds; by default on a terminal only.

    Returns
    -------
    Transient
        When it explodes (phi unbounded), ``status`` says so and the rest is nan.

    Raises
    ------
    ValueError
        Statistics, inputs, times or options that make no sense; an average that does not exist; too little memory.
    """
    problem = pose(c, transfer, None, input_variance=input_variance, noise=noise, tau=tau)
    field = DrivenField(c, problem.transfer, known_inputs(c, inputs), problem.tau)
    problem = replace(problem, v=field.drive(0.0))
    duration, steps = _steps(duration, dt, problem.tau)
    delta = _start("delta", delta, problem.n_populations, "population")
    if (delta < 0).any():
        raise ValueError(f"delta must be >= 0: got {delta.min()} (a variance, not a standard deviation)")
    kappa = _start("kappa", kappa, problem.rank, "rank")
    v = problem.v if v is None else _start("v", v, len(c.inputs), "input")
    tolerance = _between("tolerance", tolerance, 1e-13, 0.1)
    _check_memory(problem, delta, steps, with_error, memory)
    run = [_integrate(problem, field, duration, steps, kappa, v, delta, tolerance, progress)]
    if with_error:
        run.append(_integrate(problem, field, duration, 2 * steps, kappa, v, delta, tolerance, progress))
    return _record(problem, tolerance, *run)


def _integrate(problem, field, duration, steps, kappa, v, delta, tolerance, progress):
    """The equations on a grid of times: the times, the solved :class:`TwoTime`, its D, and how it ended."""
    t, dt = duration / steps * np.arange(steps + 1), duration / steps / problem.tau
    status = Status.REACHED
    with np.errstate(all="ignore"), progress_bar(steps, "step", progress) as bar:
        path = _filtered_inputs(field, t, dt, v)
        try:
            two = TwoTime(problem, path, kappa, delta, dt, tolerance)
        except Exploded:
            raise ValueError(
                f"kappa or a variance at t = 0 is beyond {EXPLODED:g} (its square for a variance): start smaller"
            ) from None
        try:
            for _ in range(steps):
                two.step()
                bar.update()
        except Exploded:
            status = Status.EXPLODED
    return t, two, two.covariance(), status


def _record(problem, tolerance, run, finer=None):
    t, two, D, status = run
    b, c = problem.blocks, problem.connectivity
    kappa, v = two.states[:, : problem.rank], two.states[:, problem.rank :]
    z = equations.readout(b, c.mean("w"), c.covariance("w", "m"), c.covariance("w", "I"), kappa, v, two.gain)
    errors = None, None
    if finer is not None:
        _, other, other_D, _ = finer
        errors = _errors(kappa, other.states[::2, : problem.rank]), _errors(_so_far(D), _so_far(other_D[::2, ::2]))
    pairs = two.pairs
    return Transient(
        problem, t, kappa, v, two.mean, two.variance, two.gain[0], z, D, status, pairs.terms, pairs.truncation, *errors,
        tolerance,
    )  # fmt: skip


def _errors(coarse, fine):
    """Errors (T,) in view of values with half the step, :eq:`two-time-error`, so far, and rounding."""
    apart = np.abs(coarse - fine) * (4 / 3) + 8 * np.finfo(float).eps * np.abs(fine)
    return np.maximum.accumulate(apart.reshape(len(apart), -1).max(axis=1))


def _so_far(D):
    """D (T, T, ...) with 0 where the second time is later than the first."""
    return np.moveaxis(np.tril(np.moveaxis(D, (0, 1), (-2, -1))), (-2, -1), (0, 1))


def _filtered_inputs(field, t, dt, start):
    """v (T, S) from dv/dt = -v + u, u linear within each step between its limits from inside."""
    a, (w0, w1) = math.exp(-dt), weights(dt)
    out = np.empty((len(t), len(start)))
    out[0] = start
    for n, (left, right) in enumerate(zip(t[:-1], t[1:], strict=True)):
        inside = _INSIDE * right
        out[n + 1] = a * out[n] + w0 * field.drive(left + inside) + w1 * field.drive(right - inside)
    return out


def _steps(duration, dt, tau):
    """Duration and its number of steps."""
    duration = _between("duration", duration, 0.0, math.inf)
    if dt is None:
        return duration, max(1, math.ceil(duration / (DEFAULT_STEP * tau) * (1 - STEP_TOLERANCE)))
    dt = _between("dt", dt, 0.0, math.inf)
    steps = max(1, round(duration / dt))
    if abs(duration / dt - steps) > STEP_TOLERANCE * steps:
        raise ValueError(
            f"duration must be a whole number of steps: got {duration:g} / {dt:g} = {duration / dt:.6g} steps; "
            f"the nearest are duration={steps * dt:.12g} or dt={duration / steps:.12g}"
        )
    return duration, steps


def _between(what, value, low, high):
    number = check_array(what, value)
    if number.ndim:
        raise ValueError(f"{what} must be one number: got {brief(value)}")
    if not low < number <= high:
        room = "positive" if low == 0 and high == math.inf else f"above {low:g} and at most {high:g}"
        raise ValueError(f"{what} must be {room}: got {float(number):g}")
    return float(number)


def _start(what, value, size, noun):
    value = check_array(what, value)
    if value.shape not in ((), (size,)):
        raise ValueError(f"{what}: got shape {value.shape}, expected a number or ({size},), one per {noun}")
    return np.broadcast_to(value, (size,))


def _check_memory(problem, delta, steps, with_error, memory):
    memory = _between("memory", memory, 0.0, math.inf)
    layers = 1 if problem.scalar and np.ptp(delta) == 0 else problem.n_populations
    needed = 8.0 * layers * ((steps + 1.0) ** 2 + with_error * (2 * steps + 1.0) ** 2)
    if needed > memory:
        fits = math.floor(steps * math.sqrt(memory / needed))
        raise ValueError(
            f"D between {steps + 1} times takes {needed:.3g} bytes ({needed / 1e9:.3g} GB), more than "
            f"memory={memory:.3g}: about {fits} steps fit; take a longer dt or a shorter duration, or raise memory"
        )
