"""What all tasks share: parameters with names and units, random trials for a seed, every condition once.

Times are in ms, as in the literature, and are rounded down to whole Euler steps. Inputs are in units of themselves: the
amplitude that a network sees is that of its loadings. Noise is drawn anew at each step, with a standard deviation per
step that does not scale with dt.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

import numpy as np

from meanfield.conventions import check_array, check_integer, loading_names

from ..npz import check_number
from .trials import Trials, held

# Durations are rounded down to whole steps; a quotient this close below a whole number is that number.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Task:
    """Named parameters of a task with one readout, and the trials that follow from them.

    Parameters
    ----------
    inputs : tuple of str
        Names of the inputs, in the order of the trials' last axis; name them as a network's inputs if you like.
    readouts : tuple of str
        Name of the readout.
    dt, tau : float, ms
        Euler step and time constant of the networks that do the task.
    noise_std : float
        Standard deviation, per step, of the noise on the inputs that carry a stimulus; it lasts all the trial.
    fixation, decision : float, ms
        Before the first stimulus; in which the decision is taken.

    Raises
    ------
    ValueError
        A parameter that makes no sense; the message names it.
    """

    #: Word by which :func:`~meanfield.validation.tasks.catalogue.get_task` knows the task.
    name: ClassVar[str]
    #: Where the task, its timing and its scaling come from.
    source: ClassVar[str]
    # how many inputs carry a stimulus: the first ones; and how many uniform numbers choose the condition of a trial
    _stimuli: ClassVar[int]
    _choices: ClassVar[int]
    # which parameters are times: those of the second kind last a step at least
    _times: ClassVar[tuple] = ("fixation",)
    _lasting: ClassVar[tuple] = ("decision",)

    inputs: tuple[str, ...]
    readouts: tuple[str, ...] = ("w",)
    dt: float = 20.0
    tau: float = 100.0
    noise_std: float
    fixation: float = 100.0
    decision: float

    def __post_init__(self):
        """Check every parameter and freeze it."""
        kinds = {"inputs": type(self).__dataclass_fields__["inputs"].default, "readouts": ("w",)}
        for key, default in kinds.items():
            names = getattr(self, key)
            names = tuple(names) if isinstance(names, tuple | list) else (names,)
            if len(names) != len(default):
                raise ValueError(f"{key}: got {len(names)} names {names}, expected {len(default)}, e.g. {default}")
            self._set(key, names)
        loading_names(1, self.inputs, self.readouts)
        for key in ("dt", "tau"):
            self._set(key, check_number(key, getattr(self, key), positive=True))
        if self.dt >= 2 * self.tau:
            raise ValueError(f"dt = {self.dt:g} must be below 2 tau = {2 * self.tau:g}: Euler's rule diverges there")
        for key in ("noise_std", *self._times, *self._lasting):
            self._set(key, check_number(key, getattr(self, key)))
        for key in self._lasting:
            if not self._steps(key):
                raise ValueError(f"{key} = {getattr(self, key):g} ms is shorter than a step of {self.dt:g} ms")

    def trials(self, count, seed):
        """``count`` random trials with input noise; the first ones of a seed are the same for every count.

        Parameters
        ----------
        count : int
        seed : int, or whatever else ``numpy.random.SeedSequence`` takes, but not None

        Returns
        -------
        Trials

        Raises
        ------
        ValueError
            No trial, or no seed.
        """
        count = check_integer("count", count, 1)
        choices, noise = streams(seed)
        uniform = choices.random((count, self._choices + 1))
        coin = np.where(uniform[:, -1] < 0.5, -1.0, 1.0)
        return self._made(self._draw(uniform), coin, noise)

    def grid(self):
        """Every condition once, without noise. Where the evidence is 0 the target is +1.

        Returns
        -------
        Trials
        """
        return self._made(self._every(), 1.0)

    def shaped(self, fraction):
        """The same task with shorter delays, to train in stages: 0 is the easiest, 1 the task itself.

        A delay of fixed length is multiplied by ``fraction``. A random one keeps its least length, and its largest one
        grows from that in proportion to ``fraction``.

        Parameters
        ----------
        fraction : float in [0, 1]

        Returns
        -------
        Task

        Raises
        ------
        ValueError
            A fraction outside [0, 1].
        """
        fraction = check_number("fraction", fraction)
        if fraction > 1:
            raise ValueError(f"fraction must be in [0, 1]: got {fraction:g}; 1 is the task itself")
        return self._shaped(fraction)

    def parameters(self):
        """All parameters by name, fit for JSON; ``get_task(task.name, **task.parameters())`` is the task again."""
        return asdict(self)

    def __repr__(self):
        """One line: what is not the default."""
        defaults = {f.name: f.default for f in fields(self)}
        changed = {k: v for k, v in self.parameters().items() if v != defaults[k]}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in changed.items())})"

    # What each task says of itself.

    def _draw(self, uniform):
        """Conditions {name: (B,)} from uniform numbers (B, _choices)."""
        raise NotImplementedError

    def _every(self):
        """Each condition once, {name: (B,)}."""
        raise NotImplementedError

    def _course(self, conditions):
        """Inputs without noise (B, T, S), and the step (B,) at which the decision begins."""
        raise NotImplementedError

    def _evidence(self, conditions):
        """A number (B,) whose sign is the right decision; 0: a coin decides."""
        raise NotImplementedError

    def _answer(self, conditions, target):
        """Wanted readout in the decision period, (B,)."""
        return target

    def _label(self, values):
        """One trial for people, from its conditions {name: number}."""
        raise NotImplementedError

    def _shaped(self, fraction):
        raise NotImplementedError

    # What they share.

    def _made(self, conditions, coin, noise=None):
        evidence = self._evidence(conditions)
        target = np.where(evidence == 0, coin, np.sign(evidence))
        u, first = self._course(conditions)
        if noise is not None:
            u[..., : self._stimuli] += self.noise_std * noise.standard_normal((*u.shape[:2], self._stimuli))
        window = np.stack([first, first + self._steps("decision")], axis=-1)
        judged = held(u.shape[1], *window.T)
        rows = zip(*conditions.values(), strict=True)
        return Trials(
            u=u,
            wanted=(judged * self._answer(conditions, target)[:, None])[..., None],
            weight=judged.astype(float),
            target=target,
            window=window,
            conditions=conditions,
            labels=[self._label(dict(zip(conditions, row, strict=True))) for row in rows],
            dt=self.dt,
            tau=self.tau,
        )

    def _set(self, key, value):
        object.__setattr__(self, key, value)

    def _steps(self, duration):
        """Whole steps in a duration in ms, given or by name."""
        ms = getattr(self, duration) if isinstance(duration, str) else duration
        return math.floor(ms / self.dt + _ROUNDING)

    def _levels(self, key):
        """Check a parameter that is a tuple of different numbers."""
        values = np.atleast_1d(check_array(key, getattr(self, key)))
        if values.ndim != 1 or not values.size or len(np.unique(values)) < values.size:
            raise ValueError(f"{key} must be one or more different numbers: got {getattr(self, key)!r}")
        self._set(key, tuple(values.tolist()))


def streams(seed):
    """Two independent random generators: for the conditions of trials, and for their noise.

    Raises
    ------
    ValueError
        No seed, or one that numpy does not take.
    """
    if seed is None:
        raise ValueError("trials are random: give a seed, e.g. seed=0")
    try:
        two = np.random.SeedSequence(seed).spawn(2)
    except (TypeError, ValueError) as error:
        raise ValueError(f"seed must be an integer at least 0, or a sequence of them: got {seed!r}") from error
    return tuple(np.random.Generator(np.random.SFC64(one)) for one in two)


def chosen(values, uniform):
    """One of the values (K,) for each uniform number in [0, 1), all with the same probability."""
    values = np.asarray(values, dtype=float)
    return values[np.minimum((uniform * len(values)).astype(int), len(values) - 1)]
