"""Trials of a task: a course of inputs, what the readout should do, and the decision that is read off its end.

A decision is the sign of the mean readout in a window. A mean of 0 or nan is no decision, and never right.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from meanfield.conventions import brief, check_array, closest

from ..archive import check_shapes
from ..npz import check_number

_SHAPES = {"u": "BTS", "wanted": "BTW", "weight": "BT", "target": "B"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Trials:
    """B trials of T Euler steps; read-only float64 arrays. Steps are counted from 0; step k ends at time (k + 1) dt.

    Attributes
    ----------
    u : (B, T, S)
        Inputs, held over each step.
    target : (B,)
        Not 0; the right decision is its sign.
    window : (B, 2) of int
        The decision on trial b is the sign of the mean of the readouts after the steps first to end - 1,
        ``z[b, first:end]``. Given one pair, all trials have it.
    wanted : (B, T, W)
        Wanted readout after each step. Default: the sign of the target in the window, 0 elsewhere.
    weight : (B, T)
        Weight of the squared error after each step, at least 0; 0 where nothing is asked of the readout. Default: 1 in
        the window, 0 elsewhere.
    conditions : dict, name -> (B,)
        What distinguishes the trials, as numbers: coherence, delay, ....
    labels : tuple of B str
        The same for people. Default: the numbers of the trials.
    dt, tau : float, or None where not known
        Euler step and time constant, in one unit (ms in the literature).

    Raises
    ------
    ValueError
        Arrays that are not finite or do not fit together, a window outside the trial, a target of 0, a negative weight
        or a trial that is not judged at all.
    """

    u: np.ndarray
    target: np.ndarray
    window: np.ndarray
    wanted: np.ndarray | None = None
    weight: np.ndarray | None = None
    conditions: dict = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    dt: float | None = None
    tau: float | None = None

    def __post_init__(self):
        """Check every field once and freeze it."""
        given = {key: getattr(self, key) for key in self._shapes() if getattr(self, key) is not None}
        checked = check_shapes(given, self._shapes())
        count, steps = checked["u"].shape[:2]
        if not (count and steps):
            raise ValueError(f"u must hold a trial of a step or more: got shape {checked['u'].shape}")
        if not checked["target"].all():
            raise ValueError("target must not be 0: a decision is a sign")
        checked["window"] = _windows(self.window, count, steps)
        inside = held(steps, *checked["window"].T)
        if self.wanted is None:
            checked["wanted"] = frozen((inside * np.sign(checked["target"])[:, None])[..., None])
        if self.weight is None:
            checked["weight"] = frozen(inside.astype(float))
        _check_weight(checked["weight"])
        checked["conditions"] = {
            name: check_array(f"condition {name!r}", value, (count,)) for name, value in dict(self.conditions).items()
        }
        checked["labels"] = _labels(map(str, range(count)) if self.labels is None else self.labels, count)
        for key in ("dt", "tau"):
            value = getattr(self, key)
            checked[key] = None if value is None else check_number(key, value, positive=True)
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    @classmethod
    def _shapes(cls):
        """Axes of the arrays that have one entry per trial, or belong to all trials."""
        return _SHAPES

    def __len__(self):
        return len(self.u)

    @property
    def steps(self):
        """T."""
        return self.u.shape[1]

    @property
    def alpha(self):
        """dt / tau, or None where not known."""
        return None if self.dt is None or self.tau is None else self.dt / self.tau

    def at(self, chosen):
        """Those with these numbers, or where this mask (B,) holds."""
        chosen = np.asarray(chosen)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        parts = {key: getattr(self, key)[chosen] for key, letters in self._shapes().items() if letters[0] == "B"}
        conditions = {name: value[chosen] for name, value in self.conditions.items()}
        labels = [self.labels[b] for b in chosen]
        return replace(self, **parts, window=self.window[chosen], conditions=conditions, labels=labels)

    def condition(self, name):
        """The values (B,) of one condition.

        Raises
        ------
        ValueError
            The trials have none of that name.
        """
        if name not in self.conditions:
            known = closest(name, self.conditions) if self.conditions else "these trials name no conditions"
            raise ValueError(f"unknown condition {name!r}; {known}")
        return self.conditions[name]

    def mean_readout(self, z):
        """Mean of the readout z (..., B, T), after each step, over the window of each trial: (..., B)."""
        return mean_in(self._checked(z), self.window)

    def decisions(self, z):
        """The sign of the mean readout, (..., B), for z (..., B, T): +1, -1, or 0 where there is no decision."""
        return np.sign(np.nan_to_num(self.mean_readout(z), nan=0.0))

    def right(self, z):
        """Whether the decision has the sign of the target, (..., B), for z (..., B, T)."""
        return self.decisions(z) == np.sign(self.target)

    def error(self, z):
        """Squared error of each trial, (..., B), for z (..., B, T, W): its weighted mean over the steps."""
        return squared_error(z, self.wanted, self.weight)

    def _checked(self, z):
        z = np.asarray(z, dtype=float)
        if z.ndim < 2 or z.shape[-2:] != self.u.shape[:2]:
            raise ValueError(
                f"z: got shape {z.shape}, expected (..., B, T) = (..., {len(self)}, {self.steps}): one readout after "
                "each step, without the start"
            )
        return z

    def __str__(self):
        windows = np.unique(self.window, axis=0).tolist()
        where = f"window {tuple(windows[0])}" if len(windows) == 1 else f"{len(windows)} windows"
        few = ", ".join(self.labels[:4]) + (", .." if len(self) > 4 else "")
        return f"{len(self)} trials of {self.steps} steps, {where}, ({few})"

    def __repr__(self):
        """One line: sizes, not arrays."""
        return f"{type(self).__name__}({self})"


def held(steps, first, end):
    """Whether each of ``steps`` steps is in first <= k < end, for first, end (B,): (B, T)."""
    k = np.arange(steps)
    return (np.asarray(first)[..., None] <= k) & (k < np.asarray(end)[..., None])


def mean_in(z, window):
    """Mean of z (..., B, T) over the steps window[b, 0] to window[b, 1] - 1 of each trial: (..., B)."""
    window = np.broadcast_to(np.asarray(window), (z.shape[-2], 2))
    inside = held(z.shape[-1], *window.T)
    # what stands outside the window does not count, not even a nan
    return np.where(inside, z, 0.0).sum(-1) / inside.sum(-1)


def squared_error(z, wanted, weight):
    """Weighted mean over the steps of the squared error, and mean over the readouts, of each trial: (..., B).

    Plain algebra, for numpy's arrays and for a tracer's: z (..., B, T, W), wanted (B, T, W), weight (B, T).
    """
    return (weight * ((z - wanted) ** 2).mean(-1)).sum(-1) / weight.sum(-1)


def frozen(array):
    """The same array, read-only from now on."""
    array.setflags(write=False)
    return array


def _check_weight(weight):
    if (weight < 0).any():
        raise ValueError(f"weight must be at least 0: got {weight.min():g}")
    if (idle := np.flatnonzero(~weight.any(axis=1))).size:
        raise ValueError(f"weight is 0 at every step of trial {idle[0]}: nothing would be asked of it; leave it out")


def _labels(labels, count):
    labels = np.asarray(list(labels))
    if labels.dtype.kind != "U" or labels.shape != (count,):
        raise ValueError(f"labels must be {count} texts: got {labels.dtype} of shape {labels.shape}")
    return tuple(labels.tolist())


def _windows(window, count, steps):
    pairs = check_array("window", window)
    if pairs.shape not in ((2,), (count, 2)):
        raise ValueError(f"window: got shape {pairs.shape}, expected (2,) or (B, 2) = ({count}, 2)")
    first, end = pairs[..., 0], pairs[..., 1]
    wrong = (pairs != np.round(pairs)).any(-1) | (first < 0) | (first >= end) | (end > steps)
    if np.any(wrong):
        got = brief(np.atleast_2d(pairs)[np.atleast_1d(wrong)][0].tolist())
        raise ValueError(f"window must be whole steps with 0 <= first < end <= {steps}: got {got}")
    return frozen(np.array(np.broadcast_to(pairs, (count, 2)), dtype=np.int64))
