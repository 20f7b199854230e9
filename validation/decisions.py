"""A task as trials: what the authors' code gave, and the decisions of a network and of its infinite limit on them.

A trial is a course of inputs; the decision is the sign of the mean readout in a window at its end. Network and limit
are stepped by the same Euler rule, so that they differ in the number of neurons only.
"""

import stat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from meanfield import plotting
from meanfield.conventions import check_array
from meanfield.dynamics import DrivenField, reduce
from meanfield.fluctuations import spread
from meanfield.trajectories import trajectory
from meanfield.transfer import get_transfer

from .analysis import Figure
from .archive import Archive, check_shapes, read_array
from .networks import MAX_BYTES
from .simulation import simulate

#: Two programs with the same rule differ by the rounding of sums over thousands of neurons in hundreds of steps.
ORACLE_TOLERANCE = 1e-12
#: Of more trials than this, so many are drawn, and followed in redrawn networks.
MOST_TRIALS = 8

_SHAPES = {"u": "BTS", "z": "BT", "kappa": "BTR", "target": "B"}
_DRIFT = {"drift_kappa": "DR", "drift_v": "DS", "drift_F": "DR"}


@dataclass(frozen=True, eq=False)
class Trials:
    """Noise-free trials of a task, with what a network of rank R with one readout gave; read-only arrays.

    Attributes
    ----------
    u : (B, T, S)
        Inputs, held over each of T Euler steps.
    z, kappa : (B, T), (B, T, R)
        Readout, and coordinates in x = m kappa + I v, after each step.
    target : (B,)
        Right where the readout has its sign.
    labels : tuple of B str
    window : (int, int)
        The decision is taken from the readouts ``z[:, first:end]``.
    drift_kappa, drift_v, drift_F : (D, R), (D, S), (D, R), or None
        States, and tau dkappa/dt of the network there.

    Raises
    ------
    ValueError
        Arrays that are not finite or do not fit together, a window outside the trial, a target of 0.
    """

    u: np.ndarray
    z: np.ndarray
    kappa: np.ndarray
    target: np.ndarray
    labels: tuple[str, ...]
    window: tuple[int, int]
    drift_kappa: np.ndarray | None = None
    drift_v: np.ndarray | None = None
    drift_F: np.ndarray | None = None

    def __post_init__(self):
        """Check every field once and freeze it."""
        given = {key: getattr(self, key) for key in (*_SHAPES, *_DRIFT) if getattr(self, key) is not None}
        if 0 < len(absent := set(_DRIFT) - set(given)) < len(_DRIFT):
            raise ValueError(f"field {min(absent)!r} is missing: the drift needs all of {', '.join(_DRIFT)}")
        checked = check_shapes(given, _SHAPES | _DRIFT)
        count, steps = checked["u"].shape[:2]
        if not (count and steps):
            raise ValueError(f"u must hold a trial of a step or more: got shape {checked['u'].shape}")
        if not checked["target"].all():
            raise ValueError("target must not be 0: a decision is a sign")
        checked["labels"], checked["window"] = _labels(self.labels, count), _window(self.window, steps)
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    def __len__(self):
        return len(self.u)

    def at(self, chosen):
        """Those with these numbers."""
        parts = {key: getattr(self, key)[chosen] for key in _SHAPES}
        return replace(self, labels=[self.labels[b] for b in chosen], **parts)

    def __repr__(self):
        """One line: sizes, not arrays."""
        return f"Trials({len(self)} trials of {self.u.shape[1]} steps, window {self.window}, {self.labels})"


def _labels(labels, count):
    labels = np.asarray(labels)
    if labels.dtype.kind != "U" or labels.shape != (count,):
        raise ValueError(f"labels must be {count} texts: got {labels.dtype} of shape {labels.shape}")
    return tuple(labels.tolist())


def _window(window, steps):
    first, end = check_array("window", window, (2,)).tolist()
    if first != int(first) or end != int(end) or not 0 <= first < end <= steps:
        raise ValueError(f"window must be whole steps with 0 <= first < end <= {steps}: got {first:g}, {end:g}")
    return int(first), int(end)


def load_trials(path, *, max_bytes=MAX_BYTES):
    """Read :class:`Trials` from an ``.npz`` file with the fields of that record; nothing in it is executed.

    Parameters
    ----------
    path : path-like
    max_bytes : int
        Largest file, and largest unpacked content, that is read.

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
    needed = (*_SHAPES, "labels", "window")
    try:
        archive = Archive(data, max_bytes)
        members = {name.removesuffix(".npy"): name for name in archive.sizes}
        fields = {
            key: read_array(archive.read(members[key]), members[key]) for key in (*needed, *_DRIFT) if key in members
        }
    except ValueError:
        raise
    except Exception as error:  # whatever else the standard readers raise on damaged bytes
        raise ValueError(f"the file is damaged: {type(error).__name__}: {str(error)[:200]}") from error
    if missing := [key for key in needed if key not in fields]:
        raise ValueError(f"field {missing[0]!r} is missing: got {sorted(members)[:30]}, expected {', '.join(needed)}")
    return Trials(**fields)


def run_trials(net, trials):
    """The network on the trials, N units by Euler's rule at its own dt, from its own x0.

    Parameters
    ----------
    net : Network, or sequence of them
    trials : Trials

    Returns
    -------
    Simulation
        With kappa (..., B, T + 1, R), the start included.

    Raises
    ------
    ValueError
        Another rank, number of inputs or of readouts than the trials have, or no dt.
    """
    one = net if hasattr(net, "m") else net[0]
    ours = one.rank, len(one.input_names), len(one.readout_names)
    theirs = trials.kappa.shape[-1], trials.u.shape[-1], 1
    if ours != theirs:
        raise ValueError(f"rank, inputs and readouts of the trials are {theirs}, those of the network {ours}")
    if one.dt is None:
        raise ValueError("the network does not know its Euler step: dataclasses.replace(net, dt=...) sets it")
    duration = trials.u.shape[1] * one.dt
    return simulate(net, trials.u, duration, one.dt, method="euler", record_x=False, progress=False)


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


def limit_on_trials(c, transfer, trials, step, kappa, v):
    """Integrate the reduced equations with dynamical v on the trials, by Euler's rule with ``step`` = dt/tau.

    Parameters
    ----------
    c : Connectivity
    transfer : Transfer or str
    trials : Trials
    step : float
    kappa, v : array_like (R,), (S,)
        Where all trials start.

    Returns
    -------
    Limit
    """
    count, steps, _ = trials.u.shape
    f = DrivenField(c, get_transfer(transfer), {})
    states, z = np.empty((count, steps + 1, f.rank + trials.u.shape[-1])), np.empty((count, steps + 1))
    states[:, 0] = np.concatenate([kappa, v])
    for k in range(steps):
        slope = f(0.0, states[:, k])  # with all inputs off: they are added here, since each trial has its own
        slope[:, f.rank :] += trials.u[:, k]
        states[:, k + 1] = states[:, k] + step * slope
    kappa, v = states[..., : f.rank], states[..., f.rank :]
    for k in range(steps + 1):
        z[:, k] = f.frozen(v[:, k]).readout(kappa[:, k])[:, 0]
    return Limit(kappa, v, z)


def chosen(trials):
    """Numbers of up to MOST_TRIALS of the trials, evenly over all."""
    return np.unique(np.linspace(0, len(trials) - 1, min(len(trials), MOST_TRIALS)).round().astype(int))


def mean_readout(z, window):
    """Mean over the window of z (..., T + 1), which has the start as its first time."""
    first, end = window
    return z[..., first + 1 : end + 1].mean(-1)


def right(z, trials):
    """Whether the sign of the mean readout is that of the target: (..., B) for z (..., B, T + 1)."""
    return np.sign(mean_readout(z, trials.window)) == np.sign(trials.target)


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
        "window": np.array(trials.window),
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
    t, (first, end) = data["t"], data["window"]
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
            ax.plot(t[[first, end]], [0.02, 0.02], color="k", lw=3, transform=ax.get_xaxis_transform())
            ax.set_title(data["labels"][b])
            ax.set_xlabel(r"time ($\tau$)")
        axes[0, 0].set_ylabel(r"$\kappa$")
        axes[0, 0].legend(fontsize=7)
    return figure
