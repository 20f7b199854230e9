"""Trials of a task, done by a network and by its infinite limit: their courses, and their decisions.

Network and limit are stepped by the same Euler rule, so that they differ in the number of neurons only.
"""

import math
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from meanfield import plotting
from meanfield.dynamics import DrivenField, reduce
from meanfield.fluctuations import spread
from meanfield.trajectories import trajectory
from meanfield.transfer import get_transfer

from .analysis import Figure
from .archive import Archive, read_array
from .networks import MAX_BYTES
from .npz import check_number
from .simulation import simulate
from .tasks.trials import Trials, mean_in

#: Two programs with the same rule differ by the rounding of sums over thousands of neurons in hundreds of steps.
ORACLE_TOLERANCE = 1e-12
#: Of more trials than this, so many are drawn, and followed in redrawn networks.
MOST_TRIALS = 8

_RECORD = {"z": "BT", "kappa": "BTR"}
_DRIFT = {"drift_kappa": "DR", "drift_v": "DS", "drift_F": "DR"}
_FIELDS = ("u", *_RECORD, "target", "labels", "window")

#: dt / tau of trials and network may differ by this, relatively: decimals are rounded, mistakes are larger.
STEP_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RecordedTrials(Trials):
    """Noise-free trials, with what a network of rank R with one readout gave on them; read-only arrays.

    Attributes
    ----------
    z, kappa : (B, T), (B, T, R)
        Readout, and coordinates in x = m kappa + I v, after each step.
    drift_kappa, drift_v, drift_F : (D, R), (D, S), (D, R), or None
        States, and tau dkappa/dt of the network there.

    Raises
    ------
    ValueError
        As for :class:`~meanfield.validation.tasks.trials.Trials`; some fields of the drift, but not all.
    """

    z: np.ndarray
    kappa: np.ndarray
    drift_kappa: np.ndarray | None = None
    drift_v: np.ndarray | None = None
    drift_F: np.ndarray | None = None

    def __post_init__(self):
        """Check every field once and freeze it."""
        absent = [key for key in _DRIFT if getattr(self, key) is None]
        if 0 < len(absent) < len(_DRIFT):
            raise ValueError(f"field {min(absent)!r} is missing: the drift needs all of {', '.join(_DRIFT)}")
        super().__post_init__()

    @classmethod
    def _shapes(cls):
        return super()._shapes() | _RECORD | _DRIFT


def load_trials(path, *, max_bytes=MAX_BYTES):
    """Read recorded trials from an ``.npz`` file; nothing in it is executed.

    Fields: u, z, kappa, target, labels and window, one pair or one per trial; optionally the drift at given states.

    Parameters
    ----------
    path : path-like
    max_bytes : int
        Largest file, and largest unpacked content, that is read.

    Returns
    -------
    RecordedTrials

    Raises
    ------
    OSError
        There is no such file, or it cannot be opened.
    ValueError
        A damaged or hostile file, a field that is missing or of wrong shape or type; the message starts with the path.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            raise ValueError(f"it is not a regular file of at most {max_bytes} bytes; name a .npz file")
        with open(path, "rb") as file:
            return _trials(file.read(status.st_size), max_bytes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _trials(data, max_bytes):
    try:
        archive = Archive(data, max_bytes)
        members = {name.removesuffix(".npy"): name for name in archive.sizes}
        fields = {
            key: read_array(archive.read(members[key]), members[key]) for key in (*_FIELDS, *_DRIFT) if key in members
        }
    except ValueError:
        raise
    except Exception as error:  # whatever else the standard readers raise on damaged bytes
        raise ValueError(f"the file is damaged: {type(error).__name__}: {str(error)[:200]}") from error
    if missing := [key for key in _FIELDS if key not in fields]:
        raise ValueError(f"field {missing[0]!r} is missing: got {sorted(members)[:30]}, expected {', '.join(_FIELDS)}")
    return RecordedTrials(**fields)


def run_trials(net, trials, noise_std=0.0, seed=None, record_x=False):
    """The network on the trials, N units by Euler's rule, from its own x0.

    The step is the network's own dt or, where it does not know one, the trials' dt / tau.

    Parameters
    ----------
    net : Network, or sequence of them
        Inputs are taken by position: names may differ from the task's.
    trials : Trials
    noise_std : float
        Standard deviation of the noise added to each x per Euler step, e.g. ``net.noise_std``; private to each neuron.
    seed : int, or whatever else ``numpy.random.default_rng`` takes
        Needed with noise.
    record_x : bool
        Store x.

    Returns
    -------
    Simulation
        With kappa (..., B, T + 1, R), the start included.

    Raises
    ------
    ValueError
        Another rank, number of inputs or of readouts than the trials have; no dt, or another dt / tau; noise without a
        seed.
    """
    one = net if hasattr(net, "m") else net[0]
    ours = one.rank, len(one.input_names), len(one.readout_names)
    rank = trials.kappa.shape[-1] if isinstance(trials, RecordedTrials) else one.rank
    theirs = rank, trials.u.shape[-1], trials.wanted.shape[-1]
    if ours != theirs:
        raise ValueError(f"rank, inputs and readouts of the trials are {theirs}, those of the network {ours}")
    dt = euler_step(one, trials) * one.tau
    noise = check_number("noise_std", noise_std) / math.sqrt(dt)
    options = {"method": "euler", "noise": noise, "record_x": record_x, "progress": False}
    return simulate(net, trials.u, trials.steps * dt, dt, seed, **options)


def euler_step(net, trials):
    """dt / tau with which a network does the trials: its own or, where it does not know one, the trials'.

    Raises
    ------
    ValueError
        Neither knows one, or they differ.
    """
    own, theirs = None if net.dt is None else net.dt / net.tau, trials.alpha
    if own is None and theirs is None:
        raise ValueError("the network does not know its Euler step: dataclasses.replace(net, dt=...) sets it")
    if None not in (own, theirs) and abs(own - theirs) > STEP_TOLERANCE * theirs:
        raise ValueError(
            f"dt / tau is {own:g} in the network and {theirs:g} in the trials: make the trials with "
            f"the network's step, dt = {own * trials.tau:g} for tau = {trials.tau:g}"
        )
    return theirs if own is None else own


def oracle_gaps(net, trials, run):
    """Largest differences of z, kappa and (where the trials have it) the drift from what the trials recorded."""
    gaps = {"z": np.abs(run.z[..., 1:, 0] - trials.z).max(), "kappa": np.abs(run.kappa[:, 1:] - trials.kappa).max()}
    if trials.drift_F is not None:
        gaps["drift"] = np.abs(drift_at(net.connectivity, net.transfer, *states_of(trials)) - trials.drift_F).max()
    return {name: float(gap) for name, gap in gaps.items()}


def states_of(trials):
    """The states (D, R) and (D, S) at which the drift was recorded."""
    return trials.drift_kappa, trials.drift_v


def drift_at(c, transfer, kappa, v):
    """tau dkappa/dt of a mixture or a finite network at states kappa (D, R), v (D, S)."""
    out = np.empty(kappa.shape)
    for inputs, at in by_input(v):
        out[at] = reduce(c, transfer, dict(zip(c.inputs, inputs, strict=True)))(kappa[at])
    return out


def by_input(v):
    """Each different row of v (D, S), and the places (D,) where it stands."""
    rows, which = np.unique(v, axis=0, return_inverse=True)
    return [(row, which.reshape(-1) == k) for k, row in enumerate(rows)]


@dataclass(frozen=True, eq=False)
class Limit:
    """The equations of the infinite network on the trials: kappa (B, T + 1, R), v (B, T + 1, S), z (B, T + 1)."""

    kappa: np.ndarray
    v: np.ndarray
    z: np.ndarray


def limit_on_trials(c, transfer, trials, step=None, kappa=None, v=None, noise_std=0.0):
    """Integrate the reduced equations with dynamical v on the trials, by Euler's rule with ``step`` = dt/tau.

    Noise that is private to each neuron averages out of kappa, but widens the distribution of x: by Euler's rule its
    variance over the neurons obeys Delta <- (1 - step)^2 Delta + noise_std^2 from 0 on, and adds to that of each
    population's input.

    Parameters
    ----------
    c : Connectivity
    transfer : Transfer or str
    trials : Trials
    step : float
        Default: that of the trials.
    kappa, v : array_like (R,), (S,)
        Where all trials start; default 0.
    noise_std : float
        Standard deviation of the noise added to each x per Euler step.

    Returns
    -------
    Limit

    Raises
    ------
    ValueError
        No step is known; another number of inputs than the trials have.
    """
    count, steps, columns = trials.u.shape
    step = trials.alpha if step is None else step
    if step is None:
        raise ValueError("these trials do not know their Euler step: pass step = dt/tau")
    if columns != len(c.inputs):
        raise ValueError(f"the trials have {columns} inputs, the connectivity {len(c.inputs)}: {c.inputs}")
    noise_std = check_number("noise_std", noise_std)
    f = DrivenField(_with_noise(c) if noise_std else c, get_transfer(transfer), {})
    inputs = slice(f.rank, f.rank + columns)
    states, z = np.zeros((count, steps + 1, f.rank + len(f.connectivity.inputs))), np.empty((count, steps + 1))
    for part, start in ((slice(f.rank), kappa), (inputs, v)):
        states[:, 0, part] = 0.0 if start is None else start
    for k in range(steps):
        slope = f(0.0, states[:, k])  # with all inputs off: they are added here, since each trial has its own
        slope[:, inputs] += trials.u[:, k]
        states[:, k + 1] = states[:, k] + step * slope
        if noise_std:
            states[:, k + 1, -1] = np.hypot((1 - step) * states[:, k, -1], noise_std)
    for k in range(steps + 1):
        z[:, k] = f.frozen(states[:, k, f.rank :]).readout(states[:, k, : f.rank])[:, 0]
    return Limit(states[..., : f.rank], states[..., inputs], z)


def _with_noise(c):
    """The mixture with one input more, of unit variance and independent of all else, as the noise of neurons is.

    Where that input is s, every population's variance is larger by s^2 and nothing else changes.
    """
    at = c.slice("I").stop
    covariances = np.insert(np.insert(c.covariances, at, 0.0, axis=1), at, 0.0, axis=2)
    covariances[:, at, at] = 1.0
    names = {
        "inputs": [f"input{s}" for s in range(len(c.inputs) + 1)],
        "readouts": [f"out{k}" for k in range(len(c.readouts))],
    }
    return replace(c, means=np.insert(c.means, at, 0.0, axis=1), covariances=covariances, **names)


def chosen(trials):
    """Numbers of up to MOST_TRIALS of the trials, evenly over all."""
    return np.unique(np.linspace(0, len(trials) - 1, min(len(trials), MOST_TRIALS)).round().astype(int))


def mean_readout(z, window):
    """Mean over the window, one pair or (B, 2), of z (..., B, T + 1), which has the start as its first time."""
    return mean_in(np.asarray(z)[..., 1:], window)


def right(z, trials):
    """Whether the decision is right: (..., B) for z (..., B, T + 1), which has the start as its first time."""
    return trials.right(np.asarray(z)[..., 1:])


def path_spread(c, transfer, trials, step, kappa, v, matched):
    """Standard deviation of kappa along each trial over networks drawn from c, times sqrt(N): (B, T + 1, R).

    :func:`meanfield.spread` of the trajectory in continuous time.
    """
    times = step * np.arange(trials.u.shape[1] + 1)
    start = np.concatenate([kappa, v])
    out = []
    for u in trials.u:
        held = {name: _held(times, u[:, s]) for s, name in enumerate(c.inputs)}
        jumps = times[1:-1][(np.diff(u, axis=0) != 0).any(axis=1)]
        path = trajectory(reduce(c, transfer, held), start, times, breakpoints=jumps)
        out.append(spread(path, matched).std(1))
    return np.array(out)


def _held(times, samples):
    """The input as a function of time: ``samples[k]`` from ``times[k]`` on."""
    last = len(samples) - 1
    return lambda t: samples[min(max(int(np.searchsorted(times, t, side="right")) - 1, 0), last)]


def trials_figure(trials, step, network, limit, std):
    """One panel per trial: kappa of the network over that of its limit with the band of two standard deviations.

    Parameters
    ----------
    trials : Trials
    step : float
    network, limit, std : ndarray (B, T + 1, R)
        ``std`` at the network's number of neurons.

    Returns
    -------
    Figure
    """
    data = {
        "t": step * np.arange(network.shape[1]),
        "labels": np.array(trials.labels),
        "u": trials.u,
        "window": trials.window,
        "network": network,
        "limit": limit,
        "std": std,
    }
    caption = (
        "Collective variables on each trial. Dashed: the network. Lines: the limit of infinitely many neurons, by the "
        "same Euler rule, with the band of two standard deviations over drawn networks of this size, to leading order. "
        "Grey: an input is on. Line below: decision window."
    )
    return Figure("trials", caption, lambda: _draw_trials(data), data)


def _draw_trials(data):
    count, columns = len(data["labels"]), min(len(data["labels"]), 4)
    t = data["t"]
    with plotting.style():
        figure, axes = plotting.figure(-(-count // columns), columns, width=3.3, height=3.0, sharex=True, sharey=True)
        for ax in axes.flat[count:]:
            ax.axis("off")
        for b, ax in enumerate(axes.flat[:count]):
            for k in np.flatnonzero(data["u"][b].any(axis=-1)):
                ax.axvspan(t[k], t[k + 1], color="0.9", lw=0)
            for r, colour in zip(range(data["limit"].shape[-1]), plotting.COLOURS, strict=False):
                middle, half = data["limit"][b, :, r], 2 * data["std"][b, :, r]
                ax.fill_between(t, middle - half, middle + half, color=colour, alpha=0.25, lw=0)
                ax.plot(t, middle, color=colour, label=rf"$\kappa_{r + 1}$, limit")
                ax.plot(t, data["network"][b, :, r], color=colour, ls="--", lw=2.0, label=rf"$\kappa_{r + 1}$, network")
            ax.plot(t[data["window"][b]], [0.02, 0.02], color="k", lw=3, transform=ax.get_xaxis_transform())
            ax.set_title(data["labels"][b])
            ax.set_xlabel(r"time ($\tau$)")
        axes[0, 0].set_ylabel(r"$\kappa$")
        axes[0, 0].legend(fontsize=7)
    return figure
