"""What a simulation is asked for, checked: networks that fit together, a grid of steps, inputs, starts, noise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from meanfield.conventions import brief, check_array, check_integer, closest, ordinal

from .networks import Network
from .npz import check_number
from .stepping import METHODS

#: duration / dt may differ from a whole number by this, relatively: decimals are rounded, mistakes are larger.
STEP_TOLERANCE = 1e-9

#: Longest step that is chosen where none is given, in units of tau.
DEFAULT_STEP = 1 / 20

#: More steps than this are taken for a mistake: they would run for days.
MOST_STEPS = 10**8

# Inputs are asked for this many roundings of t inside a step, so that a jump on the grid is not seen from outside.
_INSIDE = 4 * np.finfo(float).eps

# What networks that are simulated together share.
_SHARED = ("n_neurons", "rank", "input_names", "readout_names", "tau", "transfer", "readout_transfer", "has_random")


def check_networks(net):
    """One network or a sequence of them as a tuple, and whether it was a sequence.

    Raises
    ------
    ValueError
        No network, or networks that differ in size, names, time constant or functions.
    """
    if isinstance(net, Network):
        return (net,), False
    nets = tuple(net) if isinstance(net, list | tuple) else ()
    if not nets or not all(isinstance(one, Network) for one in nets):
        raise ValueError(
            f"a simulation needs a Network or a sequence of them: got {brief(net)}; draw(c, n_neurons, seed), "
            "load_network(path) and Network.from_loadings(loadings) make one"
        )
    for name in _SHARED:
        values = [getattr(one, name) for one in nets]
        for d, value in enumerate(values):
            if value != values[0]:
                raise ValueError(
                    f"networks that are simulated together need the same {name}: got {values[0]!r} first, and "
                    f"{value!r} for network {ordinal(d)}; simulate them one after the other"
                )
    return nets, True


@dataclass(frozen=True)
class Grid:
    """The steps of a method in time, of which every so many are recorded."""

    method: str
    dt: float
    steps: int
    every: int = 1
    parts: int = 1  #: steps per sample of an input that is an array

    @classmethod
    def of(cls, duration, dt, every, tau, method):
        """The grid of a duration; the ``dt`` chosen where none is given is the largest up to ``DEFAULT_STEP`` tau.

        Raises
        ------
        ValueError
            An unknown method, no duration, a dt that is too long or does not divide it, an ``every`` that does not
            divide the number of steps.
        """
        if method not in METHODS:
            raise ValueError(f"unknown method {method!r}; {closest(method, METHODS)}")
        if duration is None:
            raise ValueError("a simulation needs a duration, in the unit of tau, e.g. duration=20.0")
        duration = check_number("duration", duration, positive=True)
        if dt is None:
            dt = duration / math.ceil(duration / (DEFAULT_STEP * tau))
        dt = check_number("dt", dt, positive=True)
        limit = METHODS[method].limit
        if dt >= limit * tau:
            raise ValueError(
                f"method {method!r} needs dt < {limit:g} tau = {limit * tau:g}: got dt = {dt:g}; "
                "dt and tau are in the same unit; take a shorter step, or method='exponential'"
            )
        exact, every = duration / dt, check_integer("every", every, 1)
        if not exact <= MOST_STEPS:
            raise ValueError(
                f"{exact:.3g} steps are more than the {MOST_STEPS:g} allowed: shorten duration, or raise dt"
            )
        steps = max(1, round(exact))
        if abs(exact - steps) > STEP_TOLERANCE * steps:
            raise ValueError(
                f"duration must be a whole number of steps: got {duration:g} / {dt:g} = {exact:.6g} steps; "
                f"the nearest are duration={steps * dt:.12g} or dt={duration / steps:.12g}"
            )
        if steps % every:
            near = next(e for e in range(min(every, steps), 0, -1) if steps % e == 0)
            raise ValueError(f"every must divide the number of steps, {steps}: got {every}; the next is every={near}")
        return cls(method, dt, steps, every)

    def halved(self):
        """The same times in twice as many steps."""
        return replace(self, dt=self.dt / 2, steps=2 * self.steps, every=2 * self.every, parts=2 * self.parts)

    @property
    def times(self):
        """Recorded times."""
        return self.dt * self.every * np.arange(self.steps // self.every + 1)

    @property
    def asked(self):
        """Times at which an input that is a function of time is asked for, (nodes, steps)."""
        left = self.dt * np.arange(self.steps)
        inside = _INSIDE * (left + self.dt)
        times = left + self.dt * np.array(METHODS[self.method].nodes)[:, None]
        return np.clip(times, left + inside, left + self.dt - inside)


def check_inputs(inputs, names, grid):
    """Inputs u (nodes, steps, S), or (nodes, steps, B, S) where they differ between trials; and u(0), (S,) or (B, S).

    Raises
    ------
    ValueError
        An unknown name, a wrong number of samples or of trials, NaN, a function that returns no numbers.
    """
    if inputs is None or isinstance(inputs, Mapping):
        inputs = dict(inputs or {})
    else:
        inputs = _columns(inputs, names, grid)
    for name in inputs:
        if name not in names:
            raise ValueError(f"unknown input {name!r}; {closest(name, names) if names else 'the network has none'}")
    sampled = {name: _sampled(f"input {name!r}", value, grid) for name, value in inputs.items()}
    count = same_trials({f"input {name!r}": a.shape[-1] for name, (a, _) in sampled.items() if a.ndim == 3})
    nodes = max((a.shape[0] for a, _ in sampled.values()), default=1)
    trials = () if count is None else (count,)
    u, first = np.zeros((nodes, grid.steps, *trials, len(names))), np.zeros((*trials, len(names)))
    for name, (value, start) in sampled.items():
        s = names.index(name)
        u[..., s] = value if value.ndim == 2 + len(trials) else value[..., None]
        first[..., s] = start
    return np.broadcast_to(u, (len(METHODS[grid.method].nodes), *u.shape[1:])), first


def constant_inputs(who, inputs):
    """Inputs of what looks at stationary states: numbers only.

    Raises
    ------
    ValueError
        No mapping, or one to anything but numbers; ``who`` asks.
    """
    if not isinstance(inputs, Mapping | None):
        raise ValueError(f"{who} needs inputs as a mapping from names to numbers: got {brief(inputs)}")
    for name, value in (inputs or {}).items():
        if callable(value) or np.ndim(value):
            raise ValueError(f"{who} needs constant inputs, a number for each name: got {name!r} = {value!r}")
    return inputs


def _columns(inputs, names, grid):
    """Inputs that are given as one array (..., steps, S), by name."""
    array, shape = check_array("inputs", inputs), (grid.steps // grid.parts, len(names))
    if array.ndim not in (2, 3) or array.shape[-2:] != shape:
        raise ValueError(
            f"inputs: got shape {array.shape}, expected (steps, inputs) = {shape} or (trials, steps, inputs), for the "
            f"inputs {names}; or a mapping from names to values"
        )
    return {name: array[..., s] for s, name in enumerate(names)}


def _sampled(what, value, grid):
    """One input (nodes or 1, steps) or (nodes or 1, steps, B), and its value at 0."""
    if callable(value):
        times = grid.asked
        values = [_asked(what, value, t) for t in (0.0, *times.ravel())]
        if len({a.shape for a in values}) > 1 or values[0].ndim > 1:
            shapes = sorted({a.shape for a in values})
            raise ValueError(f"{what}: the function must return a number, or (trials,) values: got shapes {shapes}")
        return np.array(values[1:]).reshape(*times.shape, *values[0].shape), values[0]
    array, samples = check_array(what, value), grid.steps // grid.parts
    if array.ndim == 0:
        return np.broadcast_to(array, (1, grid.steps)), array
    if array.ndim > 2 or array.shape[-1] != samples or not array.size:
        raise ValueError(
            f"{what}: got shape {array.shape}, expected a number, a function of time, ({samples},) or "
            f"(trials, {samples}): one value per step, held over the step"
        )
    return np.repeat(array, grid.parts, axis=-1).T[None], array[..., 0]


def _asked(what, function, t):
    try:
        return check_array(what, function(float(t)))
    except ValueError as error:
        raise ValueError(f"{error}, at t = {t:g}") from None


def same_trials(counts):
    """The number of trials that all of ``counts`` agree on, None where nothing says one."""
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{what} has {count}" for what, count in counts.items())
        raise ValueError(f"the numbers of trials do not agree: {found}; give each the same, or no axis of trials")
    return next(iter(counts.values()), None)


def check_start(nets, system, start, kappa, first, trials):
    """Initial x (D, B, N) and (kappa, v) (D, B, R + S), and the number of trials, None where nothing says one (B = 1).

    With ``kappa``, x = m kappa + I u(0) and v = u(0) = ``first``. With ``start``, kappa and v are the least-squares
    coordinates of x = m kappa + I v; those of least norm, where an input depends on the others or on m.

    Raises
    ------
    ValueError
        Both kappa and start, wrong shapes, NaN, numbers of trials that do not agree.
    """
    if start is not None and kappa is not None:
        raise ValueError("start is x and kappa stands for x = m kappa + I u(0): give one of them")
    (D, N), R = system.shape, system.rank
    if start is None and kappa is None:
        state = np.stack([net.x0 for net in nets])
    elif kappa is not None:
        state = _state("kappa", kappa, D, R)
    else:
        state = _state("start", start, D, N)
    counts = {"trials": check_integer("trials", trials, 1)} if trials is not None else {}
    counts |= {"inputs": len(first)} if first.ndim == 2 else {}
    counts |= {"start" if kappa is None else "kappa": state.shape[1]} if state.ndim == 3 else {}
    count = same_trials(counts)
    state = state if state.ndim == 3 else state[:, None]
    if kappa is None:
        x = state
        inverses = [np.linalg.pinv(np.hstack([net.m, net.I]), rcond=N * np.finfo(float).eps) for net in nets]
        low = np.matmul(x, np.stack([inverse.T for inverse in inverses]))
    else:
        batch = D, *np.broadcast_shapes(first.shape[:-1], state.shape[1:2])
        low = np.concatenate([np.broadcast_to(a, (*batch, a.shape[-1])) for a in (state, first)], axis=-1)
        x = np.stack([k[:, :R] @ net.m.T + k[:, R:] @ net.I.T for k, net in zip(low, nets, strict=True)])
    return np.broadcast_to(x, (D, count or 1, N)), np.broadcast_to(low, (D, count or 1, low.shape[-1])), count


#: Trials where nothing says how many, of what starts at random.
TRIALS = 4


def random_starts(who, nets, system, inputs, grid, seed, *, kappa, start, trials, variance):
    """x (D, B, N), (kappa, v) (D, B, R + S) and constant u (S,): at ``start`` as it is, or about m kappa + I u.

    There, independent Gaussian numbers of that variance are added, each trial from a stream of its own: trials that
    start alike would stay alike, and chaos needs a start outside the span of the loadings. kappa is 0 by default.

    Raises
    ------
    ValueError
        As for :func:`constant_inputs` and :func:`check_start`; a negative variance; no seed.
    """
    _, u = check_inputs(constant_inputs(who, inputs), nets[0].input_names, grid)
    variance = check_number("start_variance", variance)
    if start is not None:
        return (*check_start(nets, system, start, kappa, u, trials)[:2], u)
    kappa = np.zeros(system.rank) if kappa is None else kappa
    trials = TRIALS if trials is None and np.ndim(kappa) < 2 else trials
    x, low, _ = check_start(nets, system, None, kappa, u, trials)
    x, entropy = np.array(x), check_seed(seed) if variance else None
    for d, b in np.ndindex(x.shape[:2] if variance else (0, 0)):
        x[d, b] += np.sqrt(variance) * stream(entropy, d, b, 0).standard_normal(x.shape[-1])
    return x, low, u


def _state(what, value, networks, size):
    """A state with the leading axis of networks, (D, size) or (D, B, size)."""
    array = check_array(what, value)
    if array.ndim in (1, 2) and array.shape[-1] == size and array.size:
        return np.broadcast_to(array, (networks, *array.shape))
    if array.ndim != 3 or array.shape[-1] != size or array.shape[0] != networks or not array.size:
        last = f"({size},), (trials, {size})" + (f" or ({networks}, trials, {size})" if networks > 1 else "")
        raise ValueError(f"{what}: got shape {array.shape}, expected {last}")
    return array


def check_noise(noise, seed, method, with_error):
    """The strength of the noise, and the entropy of its streams (None without noise).

    Raises
    ------
    ValueError
        A negative or unknown strength; noise without a seed, with rk4, or where the error is asked for.
    """
    if noise is None:
        raise ValueError("noise is None: the network does not know its noise_std and dt; pass a number")
    noise = check_number("noise", noise)
    if not noise:
        return 0.0, None
    if method == "rk4":
        raise ValueError("method 'rk4' has order 1 with noise, at four times the cost: use 'exponential'")
    if with_error:
        raise ValueError("with_error halves the step, and the noise would be another one: leave noise or it out")
    if seed is None:
        raise ValueError("a simulation with noise needs a seed, e.g. seed=0: every run can be repeated")
    return noise, check_seed(seed)


def check_seed(seed):
    """The entropy of the streams of a seed."""
    if seed is None:
        raise ValueError("random starts and noise need a seed, e.g. seed=0: every run can be repeated")
    return np.random.default_rng(seed).integers(2**32, size=4).tolist()


def stream(entropy, network, trial, *use):
    """The random numbers of one trial of one network, whatever else is simulated beside it."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy, spawn_key=(network, trial, *use))))


def streams_of(entropy, networks, trials, shape):
    """The streams of slices of networks and trials of ``shape`` (D, B, ..); None without entropy."""
    d, b = (range(*some.indices(size)) for some, size in zip((networks, trials), shape, strict=False))
    return entropy and [[stream(entropy, i, j) for j in b] for i in d]
