"""Decisions about two stimuli with a delay between: are they the same one, which has the higher frequency?

Timing and scaling by default as in Dubreuil, Valente et al. 2022 (Nature Neuroscience 25, 783).
"""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from meanfield.conventions import check_array

from .task import Task, chosen
from .trials import held


@dataclass(frozen=True, kw_only=True, repr=False)
class TwoStimuli(Task):
    """Fixation, a first stimulus, a delay of random length, a second stimulus, the decision, and nothing until T.

    T is that of the longest delay. A delay is a whole number of steps; by default all from ``delay_min`` to
    ``delay_max`` are as likely. The conditions have it as ``delay``, in ms.

    Parameters
    ----------
    inputs, readouts, dt, tau, noise_std, fixation, decision
        As for every task.
    stimulus : float, ms
        Of each stimulus.
    delay_min, delay_max : float, ms
    delays : tuple of float, ms, optional
        These delays only, all as likely, each between ``delay_min`` and ``delay_max``.
    """

    _times: ClassVar[tuple] = ("fixation", "delay_min", "delay_max")
    _lasting: ClassVar[tuple] = ("stimulus", "decision")
    _stimuli: ClassVar[int]

    stimulus: float
    delay_min: float = 500.0
    delay_max: float
    delays: tuple[float, ...] | None = None

    def __post_init__(self):
        """Check every parameter and freeze it."""
        super().__post_init__()
        low, high = self.delay_min, self.delay_max
        if low > high:
            raise ValueError(f"delay_min = {low:g} ms is longer than delay_max = {high:g} ms")
        if self.delays is not None:
            self._levels("delays")
            if not all(low <= delay <= high for delay in self.delays):
                raise ValueError(
                    f"delays must lie between delay_min = {low:g} and delay_max = {high:g}: got {self.delays}"
                )

    def _steps_of_delays(self):
        if self.delays is not None:
            return np.unique([self._steps(delay) for delay in self.delays])
        return np.arange(self._steps("delay_min"), self._steps("delay_max") + 1)

    def _drawn_delay(self, uniform):
        return self.dt * chosen(self._steps_of_delays(), uniform)

    def _every_delay(self):
        """The delays of the grid, in ms: those that were listed, or the shortest and the longest."""
        steps = self._steps_of_delays()
        return self.dt * (steps if self.delays is not None else np.unique(steps[[0, -1]])).astype(float)

    def _with_delay(self, label, delay):
        only = self.delay_min == self.delay_max if self.delays is None else len(self.delays) == 1
        return label if only else f"{label} {delay:g} ms"

    def _shaped(self, fraction):
        longest = self.delay_min + fraction * (self.delay_max - self.delay_min)
        if self.delays is None:
            return replace(self, delay_max=longest)
        shortest = min(self.delays)
        longest = max(longest, shortest)
        return replace(self, delay_max=longest, delays=tuple(x for x in self.delays if x <= longest))

    def _shown(self, delay, first, second):
        """Inputs for stimuli (B, S), and the step (B,) at which the decision begins."""
        fixation, stimulus = self._steps("fixation"), self._steps("stimulus")
        again = fixation + stimulus + np.round(delay / self.dt).astype(int)
        steps = fixation + 2 * stimulus + self._steps("delay_max") + self._steps("decision")
        u = np.zeros((len(delay), steps, first.shape[-1]))
        u[:, fixation : fixation + stimulus] = first[:, None]
        u += held(steps, again, again + stimulus)[..., None] * second[:, None]
        return u, again + stimulus


@dataclass(frozen=True, kw_only=True, repr=False)
class DelayedMatch(TwoStimuli):
    """Delayed match to sample: are the two stimuli, each A or B, the same (+1) or not (-1)?

    Each stimulus has an input of its own, 1 while it is shown. Conditions: ``first`` and ``second`` (+1: A, -1: B),
    ``match`` (+1, -1), ``delay``. Parameters are those of :class:`TwoStimuli`.
    """

    name: ClassVar[str] = "dms"
    source: ClassVar[str] = "Miller et al. 1996; Dubreuil, Valente et al. 2022"
    _stimuli: ClassVar[int] = 2
    _choices: ClassVar[int] = 3

    inputs: tuple[str, ...] = ("A", "B")
    noise_std: float = 0.03
    decision: float = 1000.0
    stimulus: float = 500.0
    delay_max: float = 3000.0

    def _draw(self, uniform):
        first, second = (chosen([1, -1], uniform[:, k]) for k in range(2))
        return self._named(first, second, self._drawn_delay(uniform[:, 2]))

    def _every(self):
        every = itertools.product(self._every_delay(), [1.0, -1.0], [1.0, -1.0])
        delay, first, second = np.array(list(every)).T
        return self._named(first, second, delay)

    @staticmethod
    def _named(first, second, delay):
        return {"match": first * second, "first": first, "second": second, "delay": delay}

    def _evidence(self, conditions):
        return conditions["match"]

    def _course(self, conditions):
        first, second = (conditions[key][:, None] == np.array([1.0, -1.0]) for key in ("first", "second"))
        return self._shown(conditions["delay"], first, second)

    def _label(self, values):
        first, second = ("A" if values[key] > 0 else "B" for key in ("first", "second"))
        return self._with_delay(f"{first}-{second}", values["delay"])


def _pairs(low=10, high=34, step=8):
    """All pairs of whole frequencies whose difference is a multiple of ``step``, but not 0."""
    every = itertools.product(range(low, high + 1), repeat=2)
    return tuple((float(a), float(b)) for a, b in every if a != b and (a - b) % step == 0)


@dataclass(frozen=True, kw_only=True, repr=False)
class WorkingMemory(TwoStimuli):
    """Parametric working memory: by how much is the first frequency above the second?

    A frequency f is an input (f - middle) / span while it lasts, for middle and span of ``f_min`` to ``f_max``. The
    wanted readout is continuous, (f1 - f2) / span; its sign is the decision. Conditions: ``difference`` f1 - f2,
    ``f1``, ``f2``, ``delay``. Other parameters as for :class:`TwoStimuli`.

    Parameters
    ----------
    pairs : tuple of (f1, f2), Hz
        All as likely; by default 10 to 34 Hz with differences of 8, 16 and 24 Hz.
    f_min, f_max : float, Hz
    """

    name: ClassVar[str] = "romo"
    source: ClassVar[str] = "Romo et al. 1999; Dubreuil, Valente et al. 2022"
    _stimuli: ClassVar[int] = 1
    _choices: ClassVar[int] = 2

    inputs: tuple[str, ...] = ("A",)
    noise_std: float = 0.01
    decision: float = 100.0
    stimulus: float = 100.0
    delay_max: float = 1000.0
    pairs: tuple[tuple[float, float], ...] = _pairs()
    f_min: float = 10.0
    f_max: float = 34.0

    def __post_init__(self):
        """Check every parameter and freeze it."""
        super().__post_init__()
        low, high = (float(check_array(key, getattr(self, key), ())) for key in ("f_min", "f_max"))
        if low >= high:
            raise ValueError(f"f_min must be below f_max: got {low:g} and {high:g}")
        pairs = check_array("pairs", self.pairs)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
            raise ValueError(f"pairs: got shape {pairs.shape}, expected one or more pairs of frequencies (f1, f2)")
        if not ((pairs >= low) & (pairs <= high)).all():
            raise ValueError(f"pairs must lie between f_min = {low:g} and f_max = {high:g} Hz")
        if (pairs[:, 0] == pairs[:, 1]).any():
            raise ValueError("pairs must be of two different frequencies: of equal ones none is the higher")
        for key, value in {"f_min": low, "f_max": high, "pairs": tuple(map(tuple, pairs.tolist()))}.items():
            self._set(key, value)

    def _draw(self, uniform):
        f1, f2 = np.array(self.pairs)[chosen(np.arange(len(self.pairs)), uniform[:, 0]).astype(int)].T
        return self._named(f1, f2, self._drawn_delay(uniform[:, 1]))

    def _every(self):
        every = itertools.product(self._every_delay(), self.pairs)
        delay, f1, f2 = np.array([(delay, *pair) for delay, pair in every]).T
        return self._named(f1, f2, delay)

    @staticmethod
    def _named(f1, f2, delay):
        return {"difference": f1 - f2, "f1": f1, "f2": f2, "delay": delay}

    def _evidence(self, conditions):
        return conditions["difference"]

    def _answer(self, conditions, target):
        return conditions["difference"] / (self.f_max - self.f_min)

    def _course(self, conditions):
        middle, span = (self.f_max + self.f_min) / 2, self.f_max - self.f_min
        first, second = ((conditions[key][:, None] - middle) / span for key in ("f1", "f2"))
        return self._shown(conditions["delay"], first, second)

    def _label(self, values):
        return self._with_delay(f"{values['f1']:g}-{values['f2']:g} Hz", values["delay"])
