"""N units in time: finite networks, drawn or trained, with many trials and several networks at once.

    tau dx/dt = -x + J phi(x) + I u(t) + tau noise xi(t),    J = (1/N) m n^T (+ a random part),    z = (1/N) w.phi(x),

with white noises xi of unit strength, independent between neurons, trials and networks.
"""

import enum
import math
from dataclasses import dataclass

import numpy as np

from meanfield.conventions import counted
from meanfield.progress import progress_bar

from .npz import check_number
from .protocol import Grid, check_inputs, check_networks, check_noise, check_start, constant_inputs, streams_of
from .stepping import METHODS, Block, System, march, noise_scale, stages

#: x counts as exploded when kappa, or the rest of x, exceeds this: far beyond any network that works.
EXPLODED = 1e8

#: x is stored without being asked for up to this many bytes.
STORED_BYTES = 256_000_000

#: The smallest tolerance of relax, in roundings of the dtype: the speed does not fall below some of them.
LOWEST_TOLERANCE = 500

# relax: steps of this many tau, since only the end counts; the speed is looked at once per so many, to cost little.
_RELAX_METHOD, _RELAX_STEP, _ROUND = "rk4", 1 / 5, 5


class Status(enum.Enum):
    """How a simulation ended; the value is the sentence a person reads."""

    REACHED = "reached the end"
    EXPLODED = "x exploded (see .exploded) and the points of these trials after that are nan"


@dataclass(frozen=True, eq=False)
class Simulation:
    """N units in time. The axes ``...`` are (D, B): networks, where a sequence of them was given, and trials, if any.

    Attributes
    ----------
    t : ndarray (T,)
        Recorded times from 0 on, in the unit of tau.
    kappa : ndarray (..., T, R)
        Least-squares coordinates of x - I v on m, measured on the N units. With a random part, which has a component
        along m too, the filtered overlap: ``tau dkappa/dt = -kappa + (1/N) n.phi(x)``, by the same integrator.
    v : ndarray (..., T, S)
        Filtered inputs, ``tau dv/dt = -v + u``, by the same integrator.
    z : ndarray (..., T, W)
        Readouts.
    outside : ndarray (..., T)
        Root mean square over the neurons of x - m kappa - I v; without noise it decays as exp(-t/tau). With a random
        part, that is what the random part sends: it need not decay.
    end : ndarray (..., N)
        The last x; fit to be a start.
    status : Status
    error : ndarray (..., T) or None
        Estimated error of kappa from the finite step, largest over its components and over the times so far.
    method, dt : str, float
    networks : tuple of Network
    """

    t: np.ndarray
    kappa: np.ndarray
    v: np.ndarray
    z: np.ndarray
    outside: np.ndarray
    end: np.ndarray
    status: Status
    error: np.ndarray | None
    method: str
    dt: float
    networks: tuple
    _x: np.ndarray | None

    @property
    def x(self):
        """The units, (..., T, N)."""
        if self._x is None:
            size = self.kappa[..., 0].size * self.end.shape[-1] * self.end.itemsize
            raise ValueError(f"x was not stored: it has {size / 1e6:.3g} MB; pass record_x=True, or a larger every")
        return self._x

    @property
    def exploded(self):
        """Which trials exploded, (...)."""
        return ~np.isfinite(self.outside[..., -1])

    @property
    def success(self):
        """False when a trial exploded."""
        return self.status is Status.REACHED

    def __str__(self):
        what = [counted(self.end.shape[-1], "neuron"), f"t = 0 to {self.t[-1]:g}", f"{len(self.t)} times"]
        if self.outside.ndim > 1:
            what.insert(0, counted(self.exploded.size // len(self.networks), "trial"))
        if len(self.networks) > 1:
            what.insert(0, counted(len(self.networks), "network"))
        error = "" if self.error is None else f"; estimated error of kappa at most {np.max(self.error):.1e}"
        return f"{', '.join(what)} ({self.method}, dt = {self.dt:g}); {self.status.value}{error}"

    def __repr__(self):
        return f"Simulation({self})"


def simulate(net, inputs=None, duration=None, dt=None, seed=None, *, start=None, kappa=None, trials=None,
             method="exponential", noise=0.0, every=1, record_x=None, dtype="float64", with_error=False,
             progress=None):  # fmt: skip
    """Integrate N units in time: one network or several, one trial or many.

    Parameters
    ----------
    net : Network, or sequence of D of them
        Networks of one sequence have the same N, rank, names, tau and functions; results get a leading axis D.
    inputs : mapping name -> number, array or function of time; or one array (..., steps, S)
        Unlisted inputs are off. An array (steps,) or (B, steps) has one value per step, held over the step. A function
        returns a number or (B,) values; put its jumps on the grid of steps.
    duration, dt : float
        In the unit of tau; a whole number of steps. Default of dt: the largest up to tau / 20 that divides duration.
    seed : int, or whatever else ``numpy.random.default_rng`` takes
        Needed with noise. More trials or networks leave the noise of the first ones as it is.
    start : array_like (..., N), optional
        Initial x, leading axes (B,) or (D, B); default ``net.x0``. kappa and v start at its least-squares coordinates.
    kappa : array_like (..., R), optional
        Instead of start: x = m kappa + I u(0), with relaxed inputs.
    trials : int, optional
        Number of trials B, where neither inputs nor start says it.
    method : str
        "exponential": exact leak, order 2, fixed points exact at any dt. "euler": order 1, the rule of most trained
        networks, at ``dt=net.dt``. "rk4": order 4, without noise only. The orders hold for smooth phi.
    noise : float
        Over a time t the variance of each x grows by noise**2 * t (before the leak); ``net.noise`` of a trained
        network. The stationary variance without recurrence, noise**2 tau / 2, is exact with "exponential".
    every : int
        Record each so many steps.
    record_x : bool, optional
        Store x; by default when it takes at most 256 MB.
    dtype : "float64" or "float32"
    with_error : bool
        Integrate again at dt / 2 and estimate the error of kappa, :eq:`step-halving`.
    progress : bool, optional
        Show a bar on stderr when it takes longer than two seconds; by default on a terminal only.

    Returns
    -------
    Simulation
        T = steps / every + 1 times. Of a trial that explodes, ``status`` says so and the rest is nan.

    Raises
    ------
    ValueError
        Networks that do not fit together, m of deficient rank, inputs, times or options that make no sense.
    """
    nets, many = check_networks(net)
    grid = Grid.of(duration, dt, every, nets[0].tau, method)
    noise, entropy = check_noise(noise, seed, method, with_error)
    system = System.of(nets, check_dtype(dtype))
    u, first = check_inputs(inputs, nets[0].input_names, grid)
    x, low, count = check_start(nets, system, start, kappa, first, trials)
    if record_x is None:
        record_x = x.size * len(grid.times) * system.dtype.itemsize <= STORED_BYTES
    out = _integrate(system, grid, x, low, u, record_x, progress, noise, entropy)
    if with_error:
        finer = grid.halved()
        again = _integrate(system, finer, x, low, check_inputs(inputs, nets[0].input_names, finer)[0], False, progress)
        out["error"] = _halving_error(out["kappa"], again["kappa"], METHODS[method].order)
    status = Status.REACHED if np.isfinite(out["outside"][..., -1]).all() else Status.EXPLODED
    out = {name: _without_axes(array, many, count) for name, array in out.items()}
    others = {"error": out.pop("error", None), "_x": out.pop("x", None)}
    return Simulation(grid.times, **out, status=status, method=method, dt=grid.dt, networks=nets, **others)


def _integrate(system, grid, x, low, u, keep_x, progress, noise=0.0, entropy=None):
    """Everything that is recorded, by name: (D, B, T, ...) each, and ``end`` (D, B, N)."""
    times, (rank, columns) = len(grid.times), (system.rank, system.drive.shape[1])
    shapes = {"kappa": (rank,), "v": (columns - rank,), "z": (system.readout.shape[-1],), "outside": ()}
    shapes |= {"x": x.shape[-1:]} if keep_x else {}
    out = {name: np.full((*x.shape[:2], times, *tail), np.nan, system.dtype) for name, tail in shapes.items()}
    out["end"] = np.empty(x.shape, system.dtype)
    u = u if u.ndim == 4 else u[:, :, None]
    u = np.broadcast_to(u, (*u.shape[:2], x.shape[1], u.shape[-1]))
    pieces = system.pieces(x.shape[1])
    tableau = stages(grid.method, grid.dt / system.tau)
    scale = noise_scale(grid.method, noise, grid.dt, system.tau)
    with progress_bar(grid.steps * len(pieces), "step", progress) as bar, np.errstate(over="ignore", invalid="ignore"):
        for nets, trials in pieces:
            block = Block(system.some(nets), x[nets, trials], low[nets, trials], tableau)
            streams = streams_of(entropy, nets, trials, x.shape)
            part = {name: array[nets, trials] for name, array in out.items()}
            _run(block, grid, u[:, :, trials], part, scale, streams, bar)
    return out


def _run(block, grid, u, out, scale, streams, bar):
    """Take a block to the end of the grid, or to where all its trials have exploded."""
    for k in march(block, grid.steps, u, METHODS[grid.method].node, scale, streams):
        if k % grid.every == 0 and not _record(block, out, k // grid.every):
            break
        bar.update(min(k, 1))
    out["end"][...] = block.x


def _record(block, out, slot):
    """Write what is measured now; from an explosion on, a trial is nan. False when all are."""
    kappa, z, outside = block.measure()
    lost = ~((np.abs(kappa).max(axis=-1) <= EXPLODED) & (outside <= EXPLODED))
    if lost.any():
        for array in (kappa, z, outside, block.x, block.v):
            array[lost] = np.nan
    out["kappa"][:, :, slot], out["v"][:, :, slot], out["z"][:, :, slot] = kappa, block.v, z
    out["outside"][:, :, slot] = outside
    if "x" in out:
        out["x"][:, :, slot] = block.x
    return not lost.all()


def _halving_error(kappa, finer, order):
    """Error of kappa (..., T, R) in view of one with half the step: :eq:`step-halving`, so far, and rounding."""
    apart = np.abs(kappa - finer).max(axis=-1) * (2**order / (2**order - 1))
    rounding = 8 * np.finfo(kappa.dtype).eps * np.abs(finer).max(axis=-1)
    return np.maximum.accumulate(apart + rounding, axis=-1)


def _without_axes(array, many, count):
    """(D, B, ...) without the axis of trials where there are none, and without that of networks where there is one."""
    array = array if count is not None else array[:, 0]
    return array if many else array[0]


def check_dtype(dtype):
    """float64 or float32.

    Raises
    ------
    ValueError
        Anything else.
    """
    found = np.dtype(dtype)
    if found not in (np.float64, np.float32):
        raise ValueError(f"dtype must be 'float64' or 'float32': got {dtype!r}")
    return found


@dataclass(frozen=True, eq=False)
class Relaxed:
    """Where N units came to rest. The axes ``...`` are (D, B) as of the starts.

    Attributes
    ----------
    kappa : ndarray (..., R)
    x : ndarray (..., N)
    speed : ndarray (...)
        Largest |dx/dt| over the neurons, in x per unit of time. The distance to a fixed point is about this over the
        modulus of its slowest eigenvalue.
    time : ndarray (...)
        When the trial was stopped, in the unit of tau.
    status : ndarray (...) of str
        "fixed point", "moving" (at max_time) or "exploded".
    """

    kappa: np.ndarray
    x: np.ndarray
    speed: np.ndarray
    time: np.ndarray
    status: np.ndarray

    @property
    def success(self):
        """True when all trials ended at a fixed point."""
        return bool(np.all(self.status == "fixed point"))

    def __str__(self):
        kinds, counts = np.unique(self.status, return_counts=True)
        ends = ", ".join(f"{number} {kind}" for kind, number in zip(kinds, counts, strict=True))
        who = f"{counted(self.status.size, 'trial')} of {counted(self.x.shape[-1], 'neuron')}"
        return f"{who}: {ends}; the last at t = {np.max(self.time):g}"

    def __repr__(self):
        return f"Relaxed({self})"


def relax(net, kappa, inputs=None, *, tolerance=1e-10, max_time=None, dt=None, dtype="float64", progress=None):
    """Let N units come to rest at constant inputs, from x = m kappa + I u; each trial stops when it is there.

    Without noise, by "rk4": its fixed points are those of the network, and they attract as in the network, also where
    they are nearly marginal. A start exactly at an unstable fixed point stays there.

    Parameters
    ----------
    net : Network, or sequence of D of them
    kappa : array_like (..., R)
        Leading axes (B,) or (D, B).
    inputs : mapping name -> number, optional
    tolerance : float
        At rest is where tau |dx/dt| <= tolerance (1 + |x|), both the largest over the neurons.
    max_time : float
        Default 1000 tau.
    dt : float
        Below tau; default tau / 5. It follows the path to about 1e-3, so only starts that close to a separatrix may
        cross it.
    dtype, progress
        As for :func:`simulate`.

    Returns
    -------
    Relaxed

    Raises
    ------
    ValueError
        As for :func:`simulate`; a tolerance below 1e-13.
    """
    nets, many = check_networks(net)
    if kappa is None:
        raise ValueError("relax needs kappa, where to start from: x = m kappa + I u")
    tau = nets[0].tau
    dt = check_number("dt", _RELAX_STEP * tau if dt is None else dt, positive=True)
    Grid.of(dt, dt, 1, tau, _RELAX_METHOD)
    max_time = check_number("max_time", 1000 * tau if max_time is None else max_time, positive=True)
    system = System.of(nets, check_dtype(dtype))
    lowest = float(LOWEST_TOLERANCE * np.finfo(system.dtype).eps)
    if check_number("tolerance", tolerance) < lowest:
        raise ValueError(f"tolerance must be at least {lowest:.2g} in {system.dtype}: got {tolerance:g}")
    _, u = check_inputs(constant_inputs("relax", inputs), nets[0].input_names, Grid(_RELAX_METHOD, dt, 1))
    x, low, count = check_start(nets, system, None, kappa, u, None)
    shape, rounds = x.shape[:2], math.ceil(max_time / (_ROUND * dt))
    out = {"x": np.empty(x.shape, system.dtype), "kappa": np.empty((*shape, system.rank), system.dtype)}
    out |= {"speed": np.empty(shape), "time": np.empty(shape)}
    out["status"] = np.full(shape, "moving", dtype="<U11")
    pieces = system.pieces(shape[1])
    with progress_bar(rounds * len(pieces), "step", progress) as bar, np.errstate(over="ignore", invalid="ignore"):
        for some, trials in pieces:
            part = {name: array[some, trials] for name, array in out.items()}
            block = Block(system.some(some), x[some, trials], low[some, trials], stages(_RELAX_METHOD, dt / tau))
            _come_to_rest(block, u, tolerance, rounds, part, bar)
    out["time"] *= _ROUND * dt
    out["speed"] /= tau
    return Relaxed(**{name: _without_axes(array, many, count) for name, array in out.items()})


def _come_to_rest(block, u, tolerance, rounds, out, bar):
    """Fill x, speed, time (in rounds) and status; trials that are at rest in all networks are left out from then on."""
    trials, under_way = np.arange(block.x.shape[1]), np.ones(block.x.shape[:2], bool)
    for k in range(rounds + 1):
        block.evaluate()
        speed, size = block.speed(u)
        lost = ~(size <= EXPLODED)
        block.x[lost] = block.low[lost] = np.nan
        speed[lost] = np.nan
        rest = speed <= tolerance * (1 + size)
        ended = under_way & (lost | rest | (k == rounds))
        net, trial = np.nonzero(ended)
        where = net, trials[trial]
        out["x"][where], out["kappa"][where] = block.x[ended], block.kappa[ended]
        out["speed"][where], out["time"][where] = speed[ended], k
        out["status"][where] = np.where(lost[ended], "exploded", np.where(rest[ended], "fixed point", "moving"))
        under_way &= ~ended
        keep = under_way.any(axis=0)
        if not keep.any():
            return
        if not keep.all():
            block, trials, under_way = block.only(keep), trials[keep], under_way[:, keep]
        for _ in range(_ROUND):
            block.evaluate()
            block.step([u] * len(METHODS[_RELAX_METHOD].node))
        bar.update()
