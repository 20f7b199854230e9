"""Recorded activity as a fit needs it: trials of x and of the rates, the inputs between samples, one step dt.

Between two samples Euler's rule, :eq:`lint-euler`, takes x_t to x_(t+1) with the rate phi(x_t) and the input u_t.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from meanfield.conventions import brief, check_array, check_integer, counted, ordinal
from meanfield.transfer import get_transfer

from ..networks import default_input_names
from ..npz import check_number
from .recordings import Recording

#: Rates are taken to stand for |x| up to this where some lie beyond what phi can give, so that there is noise on them.
NOISY_RANGE = 3.0
#: More than this share of the rates beyond what phi can give by more than so much (of x, at the largest slope) is no
#: noise: these are no rates of that phi, or rates in other units.
MOST_FAR, FAR = 0.05, 0.5
#: Numbers worked on at once.
PIECE = 1 << 21


def _erf_inverse(r):
    from scipy.special import erfinv

    return 2 / math.sqrt(math.pi) * erfinv(r)


#: Inverse of phi; least and greatest rate; and how far rates are taken to stand for |x| without noise: from there on,
#: roundings of a rate of tanh or erf are larger than 1e-8 in x.
_INVERSES = {
    "tanh": (np.arctanh, (-1.0, 1.0), 10.0),
    "logistic": (lambda r: np.log(r) - np.log1p(-r), (0.0, 1.0), 10.0),
    "softplus": (lambda r: r + np.log(-np.expm1(-r)), (0.0, np.inf), 10.0),
    "erf": (_erf_inverse, (-1.0, 1.0), 4.8),
}


@dataclass(frozen=True, eq=False)
class Activity:
    """B trials of N neurons.

    Attributes
    ----------
    x : tuple of B arrays (T_b, N)
        Input currents.
    rates : tuple of B arrays (T_b, N)
        As they were recorded, or phi(x).
    inputs : tuple of B arrays (T_b - 1, S)
        ``inputs[b][t]`` is held from sample t to sample t + 1.
    dt, tau : float
    transfer : Transfer
    input_names : tuple of str
    clip : float, or None where x itself was recorded
        Rates beyond phi(clip) or phi(-clip) were taken to be these.
    clipped : float
        Share of such rates.
    """

    x: tuple
    rates: tuple
    inputs: tuple
    dt: float
    tau: float
    transfer: object
    input_names: tuple
    clip: float | None = None
    clipped: float = 0.0

    def __len__(self):
        return len(self.x)

    @property
    def n_neurons(self):
        """N."""
        return self.x[0].shape[1]

    @property
    def alpha(self):
        """The step dt / tau of Euler's rule."""
        return self.dt / self.tau

    @property
    def lengths(self):
        """Samples of each trial, (B,)."""
        return np.array([len(x) for x in self.x])

    def at(self, trials):
        """Those trials."""
        parts = {key: tuple(getattr(self, key)[b] for b in trials) for key in ("x", "rates", "inputs")}
        return replace(self, **parts)

    def with_inputs(self, inputs, names):
        """The same activity under other inputs."""
        return replace(self, inputs=tuple(inputs), input_names=tuple(names))

    def steps(self, trials=None):
        """Pieces ``(phi(x_t), u_t, y_t)`` of the steps of these trials, y_t as in :eq:`lint-regression`."""
        trials, a = range(len(self)) if trials is None else trials, self.alpha
        for group in _groups(trials, self.lengths * self.n_neurons):
            before = np.concatenate([self.x[b][:-1] for b in group])
            y = np.concatenate([self.x[b][1:] for b in group])
            y -= (1 - a) * before
            y /= a
            yield self.transfer(before), np.concatenate([self.inputs[b] for b in group]), y

    def __repr__(self):
        """One line: sizes, not arrays."""
        samples = f"{self.lengths.min()} to {self.lengths.max()}" if np.ptp(self.lengths) else f"{self.lengths[0]}"
        return f"Activity({len(self)} trials of {samples} samples, {self.n_neurons} neurons, dt / tau {self.alpha:.3g})"


def _groups(trials, sizes):
    """The trials in groups of about PIECE numbers, at least one each."""
    group, held = [], 0
    for b in trials:
        if group and held + sizes[b] > PIECE:
            yield group
            group, held = [], 0
        group.append(int(b))
        held += sizes[b]
    if group:
        yield group


def prepare(rates, inputs, dt, tau, variable, transfer, clip=None):
    """Check a recording, and invert phi where rates were recorded.

    Parameters
    ----------
    rates : array_like (B, T, N), sequence of (T_b, N), or Recording
    inputs : array_like (B, T, S) or (B, T - 1, S), sequence of (T_b, S) or (T_b - 1, S), or None
        Of T_b samples the last is not used.
    dt, tau : float
    variable : {"rate", "current"}
    transfer : Transfer or str
    clip : float, optional

    Returns
    -------
    Activity

    Raises
    ------
    ValueError
        What does not fit together, NaN, trials shorter than two samples, dt missing or above tau, a phi without
        inverse.
    """
    transfer = get_transfer(transfer)
    if isinstance(rates, Recording):
        dt = rates.dt if dt is None else dt
        inputs = rates.inputs if inputs is None else inputs
        rates = rates.rates
    if dt is None:
        raise ValueError("dt is missing: give the time between two samples, in the unit of tau")
    dt, tau = check_number("dt", dt, positive=True), check_number("tau", tau, positive=True)
    if dt > tau:
        raise ValueError(f"dt must be at most tau: got dt = {dt:g}, tau = {tau:g}; are both in one unit?")
    trials = _trials(rates)
    if variable == "current":
        x, out = trials, tuple(transfer(trial) for trial in trials)
        clip, clipped = None, 0.0
    elif variable == "rate":
        clip = _range(trials, transfer, clip)
        out, (x, clipped) = trials, _inverted(trials, transfer, clip)
    else:
        raise ValueError(f"variable must be 'rate' (phi(x) was recorded) or 'current' (x was): got {variable!r}")
    u, names = check_drive(inputs, trials)
    if all((trial == trials[0][0]).all() for trial in trials):
        raise ValueError(
            "the rates do not vary: every neuron keeps one value on all trials, and there is nothing to fit"
        )
    return Activity(x, out, u, dt, tau, transfer, names, clip, clipped)


def _trials(rates):
    """A tuple of (T_b, N) arrays."""
    if isinstance(rates, np.ndarray) and rates.dtype != object:
        if rates.ndim != 3:
            raise ValueError(
                f"rates: got shape {rates.shape}, expected (trials, samples, neurons); one long trial is rates[None], "
                "better cut into segments: see Recording.cut"
            )
    elif not isinstance(rates, (list, tuple, np.ndarray)) or not len(rates):
        raise ValueError(
            f"rates must be an array (trials, samples, neurons) or a list of trials (samples, neurons), which may "
            f"differ in length: got {brief(rates)}"
        )
    trials = tuple(_trial(b, trial) for b, trial in enumerate(rates))
    if not trials:
        raise ValueError("rates must hold at least one trial: got none")
    for b, trial in enumerate(trials):
        if trial.shape[1] != trials[0].shape[1]:
            sizes = f"{trial.shape[1]} neurons, trial 0 has {trials[0].shape[1]}"
            raise ValueError(f"rates: trial {b} has {sizes}; all trials need the same neurons, (samples, neurons)")
        if len(trial) < 2:
            raise ValueError(f"rates: trial {b} has {counted(len(trial), 'sample')}; a step needs two: leave it out")
    return trials


def _trial(b, trial):
    trial = np.asarray(trial)
    if trial.ndim != 2 or trial.dtype.kind not in "fiu" or not trial.shape[1]:
        got = f"{trial.dtype} of shape {trial.shape}"
        raise ValueError(f"rates: trial {ordinal(b)} is {got}, expected real numbers (samples, neurons)")
    trial = np.asarray(trial, dtype=float)
    if not np.isfinite(trial).all():
        t, i = (int(k) for k in np.argwhere(~np.isfinite(trial))[0])
        raise ValueError(
            f"rates must be finite: got {trial[t, i]} in trial {b} at sample {t} of neuron {i}; if nan fills short "
            "trials up, give a list of trials, each with its own length; leave out neurons that are not recorded"
        )
    return trial


def check_drive(inputs, trials):
    """Inputs (T_b - 1, S) of each trial, and their names."""
    if inputs is None:
        return tuple(np.zeros((len(trial) - 1, 0)) for trial in trials), ()
    names = None
    if isinstance(inputs, Mapping):
        names = tuple(inputs)
        inputs = [np.stack([np.asarray(inputs[name][b], float) for name in names], -1) for b in range(len(trials))]
    if isinstance(inputs, str):
        raise ValueError(f"inputs must be an array, a list, a mapping, None or 'unknown': got {inputs!r}")
    if len(inputs) != len(trials):
        raise ValueError(f"inputs are of {counted(len(inputs), 'trial')}, the rates of {len(trials)}: one for each")
    out = []
    for b, (u, trial) in enumerate(zip(inputs, trials, strict=True)):
        u = check_array(f"inputs of trial {b}", u)
        u = u[:, None] if u.ndim == 1 else u
        if u.ndim != 2 or len(u) not in (len(trial) - 1, len(trial)):
            raise ValueError(
                f"inputs of trial {b}: got shape {u.shape}, expected (samples, inputs) with {len(trial)} samples like "
                f"its rates, or {len(trial) - 1} steps; trials of different length need lists of trials"
            )
        if out and u.shape[1] != out[0].shape[1]:
            raise ValueError(f"inputs: trial {b} has {u.shape[1]} inputs, trial 0 has {out[0].shape[1]}")
        out.append(u[: len(trial) - 1])
    return tuple(out), names or default_input_names(out[0].shape[1])


def _range(trials, transfer, clip):
    if transfer.name not in _INVERSES:
        raise ValueError(
            f"rates of {transfer.name} do not determine x: give x itself with variable='current', or use one of "
            f"{sorted(_INVERSES)}"
        )
    _, (low, high), clean = _INVERSES[transfer.name]
    if clip is not None:
        clip = check_number("clip", clip, positive=True)
        if float(transfer(-clip)) <= low or float(transfer(clip)) >= high:
            raise ValueError(f"clip: got {clip:g}, where {transfer.name} is saturated up to rounding: give less")
        return clip
    far = FAR * transfer.bounds[1]
    count = sum(np.count_nonzero((trial < low - far) | (trial > high + far)) for trial in trials)
    share = count / sum(trial.size for trial in trials)
    if share > MOST_FAR:
        raise ValueError(
            f"{share:.0%} of the rates lie far beyond what {transfer.name} can give, {low:g} to {high:g}: rescale "
            "them, give x itself with variable='current', or pass clip=3 to take them for saturated"
        )
    beyond = any(trial.min() <= low or trial.max() >= high for trial in trials)
    return NOISY_RANGE if beyond else clean


def _reach(transfer, clip):
    """Least and greatest rate that is inverted; rates without a greatest one are, however large."""
    greatest = _INVERSES[transfer.name][1][1]
    return float(transfer(-clip)), float(transfer(clip)) if np.isfinite(greatest) else np.inf


def _inverted(trials, transfer, clip):
    low, high = _reach(transfer, clip)
    inverse, x, count = _INVERSES[transfer.name][0], [], 0
    for trial in trials:
        count += np.count_nonzero((trial < low) | (trial > high))
        x.append(inverse(np.clip(trial, low, high)))
    return tuple(x), count / sum(trial.size for trial in trials)


def split(count, held_out, seed):
    """Numbers of the trials to fit to and of those held out, each sorted.

    Parameters
    ----------
    count : int
    held_out : float in (0, 1), or sequence of int
        Share of the trials, or which.
    seed : int

    Raises
    ------
    ValueError
        Fewer than two trials, a share that leaves none on one side, numbers that are no trials.
    """
    if count < 2:
        raise ValueError(
            f"to hold trials out, at least two are needed: got {count}; a long recording is cut by Recording.cut"
        )
    if np.ndim(held_out):
        chosen = np.unique(np.asarray(held_out))
        if chosen.dtype.kind not in "iu" or not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
            raise ValueError(f"held_out must be trials, integers from 0 to {count - 1}: got {brief(held_out)}")
        if len(chosen) == count:
            raise ValueError("held_out names all trials: none is left to fit to")
    else:
        share = check_number("held_out", held_out, positive=True)
        if share >= 1:
            raise ValueError(f"held_out must be a share below 1, or a list of trials: got {share:g}")
        number = min(max(1, round(share * count)), count - 1)
        chosen = np.sort(np.random.default_rng(check_integer("seed", seed, 0)).permutation(count)[:number])
    return np.setdiff1d(np.arange(count), chosen), chosen
