"""Lyapunov exponents of finite networks: how fast neighbouring paths of the N units part.

The tangent vectors q are carried by the derivative of the integrator's own step: its stages with the same numbers, and
phi'(x) q where x has phi(x). They ride along as further rows, so each stage is one product of matrices for all of them.
"""

import enum
import math
from dataclasses import dataclass

import numpy as np

from meanfield.conventions import check_integer, counted
from meanfield.progress import progress_bar
from meanfield.transfer import get_transfer

from .activity import standard_error
from .npz import check_number
from .protocol import Grid, check_networks, check_noise, check_seed, random_starts, stream
from .simulation import EXPLODED, check_dtype
from .stepping import METHODS, Block, System, march, noise_scale, stages

#: Fewest stretches between two orthonormalisations that averages and errors are taken from.
FEWEST = 16

# Longest step where none is given, and time between two orthonormalisations, in units of tau.
_STEP, _INTERVAL = 1 / 10, 1.0
# Random numbers of tangent vectors, beside those of starts and of noise.
_TANGENTS = 1


class LyapunovStatus(enum.Enum):
    """How it ended; the value is the sentence a person reads."""

    MEASURED = "averaged over the whole record"
    EXPLODED = "x exploded: there are no exponents from this start"


@dataclass(frozen=True, eq=False)
class LyapunovExponents:
    """The largest k Lyapunov exponents. The axis ``...`` is (D,), networks, where a sequence of them was given.

    Attributes
    ----------
    values, error : ndarray (..., k)
        In units of 1/time, from the largest on: averages over time and trials, with a standard error that knows of
        correlations in time (:func:`~meanfield.validation.activity.standard_error`). The error of the finite step, of
        its order, and the difference to other draws of the network are not in it.
    trial_values : ndarray (..., B, k)
        Of each trial: different ones tell of several attractors.
    t, history : ndarray (T,), ndarray (..., T, k)
        The running estimate, mean over trials, and the time after ``discard`` that it has averaged over.
    method, dt : str, float
    status : LyapunovStatus
        Where x exploded, all numbers are nan.
    """

    values: np.ndarray
    error: np.ndarray
    trial_values: np.ndarray
    t: np.ndarray
    history: np.ndarray
    method: str
    dt: float
    status: LyapunovStatus

    @property
    def success(self):
        """Whether there are exponents."""
        return self.status is LyapunovStatus.MEASURED

    def __str__(self):
        pairs = zip(self.values.ravel()[:8], self.error.ravel(), strict=False)
        found = ", ".join(f"{value:.4g} +- {error:.1g}" for value, error in pairs)
        who = f"{counted(self.trial_values.shape[-2], 'trial')} of {self.t[-1]:g} ({self.method}, dt = {self.dt:g})"
        return f"exponents ({found}{', ..' if self.values.size > 8 else ''}), {who}; {self.status.value}"

    def __repr__(self):
        return f"LyapunovExponents({self})"


def lyapunov(net, inputs=None, duration=200.0, dt=None, seed=None, *, n_exponents=1, kappa=None, start=None,
             trials=None, start_variance=1.0, discard=100.0, interval=None, method="exponential", noise=0.0,
             dtype="float64", progress=None):  # fmt: skip
    """The largest Lyapunov exponents of a network, by tangent vectors that are kept orthonormal (Benettin et al. 1980).

    Parameters
    ----------
    net : Network, or sequence of D of them
    inputs : mapping name -> number
    duration, dt : float
        Time over which averages are taken, in the unit of tau; default of dt: the largest up to tau / 10.
    seed : int, or whatever else ``numpy.random.default_rng`` takes
        For the tangent vectors and, unless ``start`` gives them, the starts.
    n_exponents : int
        k: each costs as much as one more trial.
    kappa, start, trials, start_variance
        As for :func:`~meanfield.validation.activity.measure_activity`; a start of variance 0 stays at a fixed point.
    discard : float
        Time before, to forget the start and to let the tangent vectors turn to where they grow.
    interval : float, optional
        Time between orthonormalisations; default: about tau. ``duration`` holds at least 16 of them.
    method, dtype, progress
        As for :func:`~meanfield.validation.simulate`.
    noise : float
        As for :func:`~meanfield.validation.simulate`; neighbouring paths see the same noise. Exponents are off by order
        dt then.

    Returns
    -------
    LyapunovExponents
        Those of the integrator's map, divided by dt; at a fixed point, ln |R(dt lambda)| / dt, with R(z) = exp(z) up to
        the order of the method.

    Raises
    ------
    ValueError
        As for :func:`~meanfield.validation.simulate`; inputs that change in time; a phi that jumps; no seed.
    """
    nets, many = check_networks(net)
    grid, before = _times(duration, dt, discard, interval, nets[0].tau, method)
    noise, _ = check_noise(noise, seed, method, with_error=False)
    system, k = System.of(nets, check_dtype(dtype)), check_integer("n_exponents", n_exponents, 1)
    if k > nets[0].n_neurons:
        raise ValueError(f"n_exponents must be at most the number of neurons, {nets[0].n_neurons}: got {k}")
    slope = _slope(nets[0].transfer)
    x, low, u = random_starts(
        "lyapunov", nets, system, inputs, grid, seed,
        kappa=kappa, start=start, trials=trials, variance=start_variance,
    )  # fmt: skip
    entropy, shape = check_seed(seed), x.shape
    held = max(1, system.pieces((1 + k) * shape[1])[0][1].stop // (1 + k))
    pieces = [(d, range(b, min(b + held, shape[1]))) for d in range(shape[0]) for b in range(0, shape[1], held)]
    tableau, scale = stages(method, grid.dt / system.tau), noise_scale(method, noise, grid.dt, system.tau)
    growth, steps = np.full((*shape[:2], grid.steps // grid.every, k), np.nan), before + grid.steps
    with progress_bar(steps * len(pieces), "step", progress) as bar, np.errstate(all="ignore"):
        for d, trials in pieces:
            tangents = [stream(entropy, d, b, _TANGENTS).standard_normal((k, shape[2])) for b in trials]
            block = Tangent.at(
                system.some(slice(d, d + 1)), slope, x[d, trials], low[d, trials], np.array(tangents), tableau
            )
            streams = [[row for b in trials for row in (stream(entropy, d, b), *[None] * k)]] if noise else None
            run = march(block, steps, block.inputs(u, method, steps), METHODS[method].node, scale, streams)
            _follow(block, run, before, grid.every, growth[d, trials.start : trials.stop], bar)
    return _exponents(growth / (grid.every * grid.dt), many, grid, method)


def _times(duration, dt, discard, interval, tau, method):
    """The grid of the record, in stretches of ``every`` steps, and the steps before it."""
    if duration is not None and dt is None:
        duration = check_number("duration", duration, positive=True)
        dt = duration / math.ceil(duration / (_STEP * tau))
    grid = Grid.of(duration, dt, 1, tau, method)
    wanted = check_number("interval", _INTERVAL * tau if interval is None else interval, positive=True)
    every = max(1, round(wanted / grid.dt))
    if interval is None:
        every = next(e for e in range(every, 0, -1) if grid.steps % e == 0)
    grid = Grid.of(duration, grid.dt, every, tau, method)
    if grid.steps < FEWEST * every:
        raise ValueError(
            f"exponents need at least {FEWEST} stretches between orthonormalisations: got {grid.steps // every}; "
            "raise duration, or lower interval"
        )
    return grid, -(-math.ceil(check_number("discard", discard) / grid.dt) // every) * every


class Tangent(Block):
    """A few trials of one network, each followed by its k tangent vectors: x (1, B (1 + k), N)."""

    count = 0  #: k

    @classmethod
    def at(cls, system, slope, x, low, tangents, stages):
        """Trials x (B, N) with tangent vectors (B, k, N) that span theirs; ``slope`` gives phi and phi'."""
        count = tangents.shape[1]
        rows = np.concatenate([x[:, None], tangents], axis=1)
        low = np.concatenate([low[:, None], np.zeros((len(low), count, low.shape[-1]))], axis=1)
        block = cls(system, rows.reshape(1, -1, rows.shape[-1]), low.reshape(1, -1, low.shape[-1]), stages)
        block.count, block.slope = count, slope
        block.orthonormalise()
        return block

    @property
    def rows(self):
        """x and its tangent vectors, (B, 1 + k, N)."""
        return self.x.reshape(-1, 1 + self.count, self.x.shape[-1])

    def inputs(self, u, method, steps):
        """Inputs (S,) of the trials, none of their tangent vectors: (nodes, steps, B (1 + k), S)."""
        all_rows = np.zeros((self.x.shape[1], len(u)))
        all_rows[:: 1 + self.count] = u
        return np.broadcast_to(all_rows, (len(METHODS[method].nodes), steps, *all_rows.shape))

    def apply(self, x, out):
        """phi(x) of the trials, phi'(x) q of their tangent vectors."""
        size = x.shape[-1]
        rows, results = x.reshape(-1, 1 + self.count, size), out.reshape(-1, 1 + self.count, size)
        phi, slope = self.slope(rows[:, 0])
        results[:, 0] = phi
        np.multiply(rows[:, 1:], slope[:, None], out=results[:, 1:])

    def orthonormalise(self):
        """Make the tangent vectors orthonormal; ln of how much each has grown aside from those before it, (B, k)."""
        vectors, triangle = np.linalg.qr(self.rows[:, 1:].swapaxes(1, 2))
        self.rows[:, 1:] = vectors.swapaxes(1, 2)
        return np.log(np.abs(np.diagonal(triangle, axis1=1, axis2=2)))


def _slope(transfer):
    """x -> phi(x), phi'(x), in the dtype of x."""
    phi = get_transfer(transfer)
    if phi.singular < 2:
        raise ValueError(f"{transfer!r} jumps: neighbouring paths part at its jumps, where tangent vectors see nothing")
    if transfer == "tanh":

        def both(x):
            value = np.tanh(x)
            return value, 1 - value * value

        return both
    return lambda x: phi.jet(x, 1).astype(x.dtype)


def _follow(block, run, before, every, growth, bar):
    """Fill growth (B, stretches, k), which stays nan where a trial explodes."""
    for step in run:
        bar.update(min(step, 1))
        if step == 0 or step % every:
            continue
        found = block.orthonormalise()
        if not np.abs(block.rows[:, 0]).max() <= EXPLODED:
            growth[...] = np.nan
            return
        if step > before:
            growth[:, (step - before) // every - 1] = found
        block.evaluate()  # the next step starts from the vectors as they are now


def _exponents(rates, many, grid, method):
    """The record of rates of growth (D, B, stretches, k)."""
    status = LyapunovStatus.EXPLODED if np.isnan(rates).any() else LyapunovStatus.MEASURED
    count = np.arange(1, rates.shape[2] + 1)
    arrays = {
        "values": rates.mean(axis=(1, 2)),
        "error": np.stack([standard_error(one) for one in rates]),
        "trial_values": rates.mean(axis=2),
        "history": np.cumsum(rates.mean(axis=1), axis=1) / count[:, None],
    }
    arrays = {name: array if many else array[0] for name, array in arrays.items()}
    t = grid.every * grid.dt * count
    return LyapunovExponents(**arrays, t=t, method=method, dt=grid.dt, status=status)
