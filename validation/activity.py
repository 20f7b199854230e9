"""Statistics of the activity of finite networks in a stationary state, as the theory of the random part predicts them.

    delta(lag) = [x_i(t) x_i(t + lag)] - [x_i(t)] [x_i(t + lag)],

with [.] over the neurons of a population, averaged over time: delta_0 = delta(0), and delta_inf, its limit, is the
variance over neurons of what each does on average. A state at rest has delta_0 = delta_inf.
"""

import enum
import math
from dataclasses import dataclass

import numpy as np

from meanfield.conventions import counted
from meanfield.progress import progress_bar

from .npz import check_number
from .protocol import TRIALS, Grid, check_networks, check_noise, random_starts, streams_of
from .simulation import EXPLODED, check_dtype
from .stepping import METHODS, Block, System, march, noise_scale, stages

#: The record is cut into this many blocks of time. Errors come from how much they differ, so each should be longer than
#: the activity remembers; delta_inf comes from pairs of blocks at least APART blocks from each other.
BLOCKS, APART = 32, 8

#: Halves of a record that differ by more standard errors than this, and by more than a millionth, are not stationary.
DRIFT = 5.0

# Steps and spacing of samples where none are given, in units of tau: rounded down to what divides the duration.
_STEP, _SPACING, _LAG = 1 / 10, 1 / 5, 20.0
# Bytes of samples held at once, fewest that are multiplied together, fewest blocks with a standard deviation.
_HELD, _CHUNK, _FEWEST = 1 << 28, 64, 8


class ActivityStatus(enum.Enum):
    """Whether the record is that of a stationary state; the value is the sentence a person reads."""

    MEASURED = "stationary"
    DRIFTING = "the two halves of the record differ by more than their errors: raise discard, or duration"
    EXPLODED = "x exploded: there is no stationary state from this start"


@dataclass(frozen=True, eq=False)
class Activity:
    """Time averages over all trials. The axis ``...`` is (D,), networks, where a sequence of them was given.

    Each comes with ``.._error``, a standard error from blocks of time and from the trials: how well this network is
    known. Another draw of the network differs by more, of order 1/sqrt(N).

    Attributes
    ----------
    mean : ndarray (..., P)
        [x] of each population.
    rate : ndarray (..., P)
        [phi(x)].
    delta0, delta_inf : ndarray (..., P)
        Variance over neurons of x, and of its time average. Unbiased in the number of neurons; delta_inf averages
        over lags of at least 7/32 of the duration, so what the activity remembers beyond them is counted in.
    lags : ndarray (L,)
        From 0 on, in the unit of tau.
    delta : ndarray (..., P, L)
        Autocovariance at these lags.
    kappa : ndarray (..., R)
    trial_kappa : ndarray (..., B, R)
        Time average of each trial: different ones tell of several stationary states.
    duration : float
    status : ActivityStatus
        Where x exploded, all numbers are nan.
    """

    mean: np.ndarray
    mean_error: np.ndarray
    rate: np.ndarray
    rate_error: np.ndarray
    delta0: np.ndarray
    delta0_error: np.ndarray
    delta_inf: np.ndarray
    delta_inf_error: np.ndarray
    lags: np.ndarray
    delta: np.ndarray
    delta_error: np.ndarray
    kappa: np.ndarray
    kappa_error: np.ndarray
    trial_kappa: np.ndarray
    duration: float
    status: ActivityStatus

    @property
    def success(self):
        """Whether these are averages of a stationary state."""
        return self.status is ActivityStatus.MEASURED

    def __str__(self):
        names = {"kappa": "kappa", "delta_0": "delta0", "delta_inf": "delta_inf"}
        found = [f"{text} {_pairs(getattr(self, key), getattr(self, key + '_error'))}" for text, key in names.items()]
        who = f"{counted(self.trial_kappa.shape[-2], 'trial')} of {self.duration:g}"
        return f"{who}: {', '.join(found)}; {self.status.value}"

    def __repr__(self):
        return f"Activity({self})"


def _pairs(values, errors):
    pairs = zip(np.ravel(values), np.ravel(errors), strict=True)
    return "(" + ", ".join(f"{value:.4g} +- {error:.1g}" for value, error in pairs) + ")"


def measure_activity(net, inputs=None, duration=200.0, dt=None, seed=None, *, kappa=None, start=None, trials=None,
                     start_variance=1.0, discard=100.0, max_lag=None, every=None, method="exponential", noise=0.0,
                     dtype="float64", progress=None):  # fmt: skip
    """Simulate to a stationary state and take its statistics, without storing the activity.

    Parameters
    ----------
    net : Network, or sequence of D of them
        Neurons are sorted by ``net.population``; without it they are one population.
    inputs : mapping name -> number
    duration, dt : float
        Time over which averages are taken, in the unit of tau, a whole number of steps; default of dt: the largest up
        to tau / 10. Averages are off by order dt^2 with "exponential", by order dt with noise.
    seed : int, or whatever else ``numpy.random.default_rng`` takes
    kappa : array_like (..., R), optional
        Trials start at m kappa + I u plus independent Gaussian numbers of variance ``start_variance``; default 0.
    start : array_like (..., N), optional
        Instead: the initial x, as it is.
    trials : int, optional
        Default 4, where kappa and start do not say it.
    discard : float
        Time before, to forget the start.
    max_lag : float, optional
        Longest lag of ``delta``; default 20 tau.
    every : int, optional
        Take a sample each so many steps; by default about each tau / 5.
    method, noise, dtype, progress
        As for :func:`~meanfield.validation.simulate`.

    Returns
    -------
    Activity

    Raises
    ------
    ValueError
        As for :func:`~meanfield.validation.simulate`; inputs that change in time; fewer than 64 samples; no seed where
        something is random.
    """
    nets, many = check_networks(net)
    grid, lags, before = _times(duration, dt, discard, max_lag, every, nets[0].tau, method)
    noise, entropy = check_noise(noise, seed, method, with_error=False)
    system = System.of(nets, check_dtype(dtype))
    x, low, u = random_starts(
        "measure_activity", nets, system, inputs, grid, seed,
        kappa=kappa, start=start, trials=trials, variance=start_variance,
    )  # fmt: skip
    node, steps = METHODS[method].node, before + grid.steps
    tableau, scale = stages(method, grid.dt / system.tau), noise_scale(method, noise, grid.dt, system.tau)
    u, held = np.broadcast_to(u, (1 + max(node), steps, len(u))), max(1, _HELD // (2 * lags * x[0, 0].nbytes))
    pieces = [(d, slice(b, min(b + held, x.shape[1]))) for d in range(len(nets)) for b in range(0, x.shape[1], held)]
    found = [[] for _ in nets]
    with progress_bar(steps * len(pieces), "step", progress) as bar, np.errstate(over="ignore", invalid="ignore"):
        for d, b in pieces:
            one = slice(d, d + 1)
            block = Block(system.some(one), x[one, b], low[one, b], tableau)
            record = _Record(block, _members(nets, d), lags, grid.steps // grid.every)
            for k in march(block, steps, u, node, scale, streams_of(entropy, one, b, x.shape)):
                bar.update(min(k, 1))
                if (k - before) % grid.every == 0 and not record.take((k - before) // grid.every):
                    break
            found[d].append(record.samples())
    found = [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]} for parts in found]
    return _activity(found, many, grid.dt * grid.every * np.arange(lags), grid.steps * grid.dt)


def _times(duration, dt, discard, max_lag, every, tau, method):
    """The grid of the record, the number of lags, and the steps before the record."""
    if duration is not None and dt is None:
        duration = check_number("duration", duration, positive=True)
        dt = duration / math.ceil(duration / (_STEP * tau))
    grid = Grid.of(duration, dt, 1, tau, method)
    if every is None:
        most = max(1, int(_SPACING * tau / grid.dt * (1 + 1e-9)))
        every = next(e for e in range(most, 0, -1) if grid.steps % e == 0)
    grid = Grid.of(duration, grid.dt, every, tau, method)
    samples, spacing = grid.steps // every, every * grid.dt
    if samples < 2 * BLOCKS:
        raise ValueError(
            f"averages need at least {2 * BLOCKS} samples: got {samples}, one each {spacing:g}; "
            "raise duration, or lower every"
        )
    max_lag = check_number("max_lag", _LAG * tau if max_lag is None else max_lag)
    lags = 1 + int(max_lag / spacing * (1 + 1e-9))
    if lags > samples:
        raise ValueError(f"max_lag must be shorter than duration: got {max_lag:g}, at least {samples * spacing:g}")
    return grid, lags, math.ceil(check_number("discard", discard) / grid.dt) + (lags - 1) * every


def _members(nets, d):
    """The neurons of each population, as slices where they are sorted."""
    net = nets[d]
    if net.population is None:
        return [slice(None)]
    count = max(1 + int(one.population.max()) for one in nets if one.population is not None)
    count = count if net.mixture is None else net.mixture.n_populations
    found = [np.flatnonzero(net.population == p) for p in range(count)]
    return [slice(a[0], a[-1] + 1) if len(a) and a[-1] - a[0] + 1 == len(a) else a for a in found]


class _Record:
    """Sums over neurons and time of the trials of one network, by block of time."""

    def __init__(self, block, members, lags, samples):
        self.block, self.members, self.lags = block, members, lags
        (trials, size), rank, P = block.x.shape[1:], block.system.rank, len(members)
        self.sizes = np.array([len(np.arange(size)[part]) for part in members])
        self.blocks = np.arange(samples) * BLOCKS // samples  # the block of time of each sample
        tails = {"mean": (P,), "rate": (P,), "kappa": (rank,), "delta": (P, lags), "units": (size,)}
        self.sums = {name: np.zeros((trials, BLOCKS, *tail)) for name, tail in tails.items()}
        # x less the mean of its population: as far as lags reach back, and then what has not been correlated yet
        self.window = np.empty((trials, lags - 1 + max(lags, _CHUNK), size), block.x.dtype)
        self.filled, self.first = 0, 0

    def take(self, sample):
        """Sample 1, 2, .. of the record, or one before it, 0, -1, ..; False when x has exploded."""
        if sample < 2 - self.lags:
            return True
        x, phi = self.block.x[0], self.block.phi[0]
        if not np.abs(x).max() <= EXPLODED:
            self.sums = {name: np.full_like(value, np.nan) for name, value in self.sums.items()}
            return False
        mean, row = self._mean(x), self.window[:, self.filled]
        for p, part in enumerate(self.members):
            row[:, part] = x[:, part] - mean[:, p : p + 1]
        self.filled += 1
        if sample > 0:
            k = self.blocks[sample - 1]
            values = {"mean": mean, "rate": self._mean(phi), "kappa": self.block.kappa[0], "units": x}
            for name, value in values.items():
                self.sums[name][:, k] += value
        if self.filled == self.window.shape[1] or sample == len(self.blocks):
            self._correlate()
        return True

    def _mean(self, a):
        """Averages over the neurons of each population, (B, P); nan where there are none."""
        return np.stack([a[:, part].sum(axis=-1, dtype=float) for part in self.members], axis=-1) / self.sizes

    def _correlate(self):
        """Products of the new samples with those before them: a product of matrices, of which the band is taken."""
        back = self.lags - 1
        new = self.filled - back
        columns = back + np.arange(new)[:, None] - np.arange(self.lags)
        blocks = self.blocks[self.first : self.first + new]
        for p, part in enumerate(self.members):
            units = self.window[:, : self.filled, part]
            products = np.matmul(units[:, back:], units.swapaxes(1, 2))
            band = products[:, np.arange(new)[:, None], columns]
            for k in np.unique(blocks):
                self.sums["delta"][:, k, p] += band[:, blocks == k].sum(axis=1, dtype=float)
        self.window[:, :back] = self.window[:, new : self.filled]
        self.filled, self.first = back, self.first + new

    def samples(self):
        """Averages over each block of time, (B, BLOCKS, ...), and ``across``: covariances between blocks (B, P, ..)."""
        counts = np.bincount(self.blocks, minlength=BLOCKS)
        means = {name: value / counts.reshape(-1, *(1,) * (value.ndim - 2)) for name, value in self.sums.items()}
        means["delta"] /= (self.sizes - 1)[:, None]
        units, across = means.pop("units"), []
        for part in self.members:
            apart = units[..., part] - units[..., part].sum(axis=-1, keepdims=True) / units[0, 0, part].size
            across.append(np.matmul(apart, apart.swapaxes(1, 2)))
        means["across"] = np.stack(across, axis=1) / (self.sizes - 1)[:, None, None]
        return means


def standard_error(samples):
    """Standard error of the mean of trials and successive blocks of time (B, K, ...), which may be correlated.

    The largest over blocks, pairs of blocks, pairs of pairs, .., down to eight per trial, and over whole trials from
    four on (Flyvbjerg and Petersen 1989): naive errors grow until a block is longer than the memory.
    """
    trials, found, level = len(samples), [], samples
    while level.shape[1] >= _FEWEST:
        count = trials * level.shape[1]
        found.append(level.std(axis=(0, 1), ddof=1) / math.sqrt(count))
        even = level[:, : level.shape[1] // 2 * 2]
        level = 0.5 * (even[:, ::2] + even[:, 1::2])
    if trials >= TRIALS:
        found.append(samples.mean(axis=1).std(axis=0, ddof=1) / math.sqrt(trials))
    return np.max(found, axis=0)


def _static(across):
    """delta_inf (P,) and its error, from the covariances (B, P, K, K) of blocks of time that are far apart."""
    trials, K = len(across), across.shape[-1]
    far = np.abs(np.subtract.outer(np.arange(K), np.arange(K))) >= APART
    products = np.where(far, across, 0.0)
    total, rows = products.sum(axis=(-2, -1)), products.sum(axis=-1)
    value = total / far.sum()
    without = (total[..., None] - 2 * rows) / (far.sum() - 2 * far.sum(axis=-1))  # the same without one block
    jackknife = np.sqrt((K - 1) * without.var(axis=-1).sum(axis=0)) / trials
    spread = value.std(axis=0, ddof=1) / math.sqrt(trials) if trials >= TRIALS else 0.0
    return value.mean(axis=0), np.maximum(jackknife, spread)


def _drifts(samples):
    """Whether the halves of (B, K, ...) differ by more than chance explains."""
    halves = np.split(samples, 2, axis=1)
    first, last = (half.mean(axis=(0, 1)) for half in halves)
    error, apart = np.hypot(*(standard_error(half) for half in halves)), np.abs(first - last)
    return bool(((apart > DRIFT * error) & (apart > 1e-6 * (1 + np.abs(first)))).any())


def _activity(found, many, lags, duration):
    """The record of networks whose samples are ``found``."""
    status = ActivityStatus.MEASURED
    if any(np.isnan(one["kappa"]).any() for one in found):
        status = ActivityStatus.EXPLODED
    elif any(_drifts(one[name]) for one in found for name in ("kappa", "mean", "rate")) or any(
        _drifts(one["delta"][..., 0]) for one in found
    ):
        status = ActivityStatus.DRIFTING
    fields = {}
    for name in ("mean", "rate", "kappa", "delta"):
        fields[name] = [one[name].mean(axis=(0, 1)) for one in found]
        fields[f"{name}_error"] = [standard_error(one[name]) for one in found]
    static = [_static(one["across"]) for one in found]
    fields |= {"delta_inf": [value for value, _ in static], "delta_inf_error": [error for _, error in static]}
    fields["trial_kappa"] = [one["kappa"].mean(axis=1) for one in found]
    fields |= {key.replace("delta", "delta0"): [a[..., 0] for a in fields[key]] for key in ("delta", "delta_error")}
    arrays = {name: np.stack(values) if many else values[0] for name, values in fields.items()}
    return Activity(**arrays, lags=lags, duration=duration, status=status)
