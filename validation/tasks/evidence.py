"""Decisions about noisy evidence: one stream, two streams of which the context names one, two senses.

Timing and scaling by default as in Dubreuil, Valente et al. 2022 (Nature Neuroscience 25, 783). The condition
``coherence`` is the evidence that decides.
"""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..npz import check_number
from .task import Task, chosen

#: What reaches the subject of the multisensory task, and the number of that condition.
MODALITIES = {"visual": 1, "auditory": 2, "both": 3}


@dataclass(frozen=True, kw_only=True, repr=False)
class Evidence(Task):
    """A stimulus of some coherence, a delay, and a decision about the sign of the coherence.

    Parameters
    ----------
    inputs, readouts, dt, tau, noise_std, fixation, decision
        As for every task. Here ``noise_std`` = 0.1 and ``decision`` = 20 ms.
    coherences : tuple of float
        Signed strengths of the evidence, all as likely. At 0 a coin says what is right.
    scale : float
        Input per unit of coherence.
    stimulus, delay : float, ms
    """

    _times: ClassVar[tuple] = ("fixation", "delay")
    _lasting: ClassVar[tuple] = ("stimulus", "decision")

    noise_std: float = 0.1
    decision: float = 20.0
    coherences: tuple[float, ...] = (-4.0, -2.0, -1.0, 1.0, 2.0, 4.0)
    scale: float = 0.1
    stimulus: float = 800.0
    delay: float = 100.0

    def __post_init__(self):
        """Check every parameter and freeze it."""
        super().__post_init__()
        self._levels("coherences")
        self._set("scale", check_number("scale", self.scale, positive=True))

    def _evidence(self, conditions):
        return conditions["coherence"]

    def _shaped(self, fraction):
        return replace(self, delay=fraction * self.delay)

    def _periods(self, before=0):
        """Steps at which the stimulus begins and ends, and at which the decision begins and ends."""
        begin = self._steps("fixation") + before
        end = begin + self._steps("stimulus")
        first = end + self._steps("delay")
        return begin, end, first, first + self._steps("decision")


@dataclass(frozen=True, kw_only=True, repr=False)
class PerceptualDecision(Evidence):
    """Random dots: does one noisy stream go right (+1) or left (-1)? All parameters are those of :class:`Evidence`.

    Conditions: ``coherence``.
    """

    name: ClassVar[str] = "rdm"
    source: ClassVar[str] = "Britten et al. 1992; Dubreuil, Valente et al. 2022"
    _stimuli: ClassVar[int] = 1
    _choices: ClassVar[int] = 1

    inputs: tuple[str, ...] = ("A",)

    def _draw(self, uniform):
        return {"coherence": chosen(self.coherences, uniform[:, 0])}

    def _every(self):
        return {"coherence": np.array(self.coherences)}

    def _course(self, conditions):
        begin, end, first, steps = self._periods()
        coherence = conditions["coherence"]
        u = np.zeros((len(coherence), steps, 1))
        u[:, begin:end, 0] = self.scale * coherence[:, None]
        return u, np.full(len(u), first)

    def _label(self, values):
        return f"{values['coherence']:g}"


@dataclass(frozen=True, kw_only=True, repr=False)
class TwoStreams(Evidence):
    """Two streams of evidence and two inputs that say which count. Other parameters as for :class:`Evidence`.

    Parameters
    ----------
    scale_context : float
        Amplitude of the context inputs.
    context_only : float, ms
        After fixation, with the context on and no stimulus yet; 350 ms are 17 steps of 20 ms.
    """

    _times: ClassVar[tuple] = ("fixation", "context_only", "delay")
    _stimuli: ClassVar[int] = 2
    _choices: ClassVar[int] = 3
    _context_in_delay: ClassVar[bool]

    scale_context: float = 0.1
    context_only: float = 350.0

    def __post_init__(self):
        """Check every parameter and freeze it."""
        super().__post_init__()
        self._set("scale_context", check_number("scale_context", self.scale_context, positive=True))

    def _streams(self, coherence, on):
        """Inputs for coherences (B, 2) and contexts (B, 2), on or off, and the step at which the decision begins."""
        begin, end, first, steps = self._periods(self._steps("context_only"))
        until = first if self._context_in_delay else end
        u = np.zeros((len(coherence), steps, 4))
        u[:, begin:end, :2] = self.scale * coherence[:, None]
        u[:, self._steps("fixation") : until, 2:] = self.scale_context * on[:, None]
        return u, np.full(len(u), first)


@dataclass(frozen=True, kw_only=True, repr=False)
class ContextDecision(TwoStreams):
    """Two streams, A and B, with independent coherences; the context says which one decides, until the decision.

    Conditions: ``coherence`` of the stream that counts, ``coherence_A``, ``coherence_B``, ``context`` (1: A, 2: B).
    """

    name: ClassVar[str] = "context"
    source: ClassVar[str] = "Mante et al. 2013; Dubreuil, Valente et al. 2022"
    _context_in_delay: ClassVar[bool] = True

    inputs: tuple[str, ...] = ("A", "B", "context_A", "context_B")

    def _draw(self, uniform):
        a, b = (chosen(self.coherences, uniform[:, k]) for k in range(2))
        return self._named(chosen([1, 2], uniform[:, 2]), a, b)

    def _every(self):
        every = itertools.product([1.0, 2.0], self.coherences, self.coherences)
        return self._named(*np.array(list(every)).T)

    @staticmethod
    def _named(context, a, b):
        return {"coherence": np.where(context == 1, a, b), "coherence_A": a, "coherence_B": b, "context": context}

    def _course(self, conditions):
        coherence = np.stack([conditions["coherence_A"], conditions["coherence_B"]], axis=-1)
        on = conditions["context"][:, None] == np.array([1, 2])
        return self._streams(coherence, on)

    def _label(self, values):
        return f"context {'AB'[int(values['context']) - 1]}: {values['coherence_A']:g} {values['coherence_B']:g}"


@dataclass(frozen=True, kw_only=True, repr=False)
class MultisensoryDecision(TwoStreams):
    """Evidence from one sense or from both; the context inputs say, until the stimulus ends, which are there.

    Where both are there, each has its own coherence, of one sign. Conditions: ``coherence``, the mean of those that are
    there; ``visual`` and ``auditory``, 0 where absent; ``modality``, 1: visual, 2: auditory, 3: both. Other parameters
    as for :class:`TwoStreams`.

    Parameters
    ----------
    modalities : tuple of "visual", "auditory", "both"
        All as likely.
    """

    name: ClassVar[str] = "multisensory"
    source: ClassVar[str] = "Raposo et al. 2014; Dubreuil, Valente et al. 2022"
    _context_in_delay: ClassVar[bool] = False

    inputs: tuple[str, ...] = ("visual", "auditory", "context_visual", "context_auditory")
    modalities: tuple[str, ...] = tuple(MODALITIES)

    def __post_init__(self):
        """Check every parameter and freeze it."""
        super().__post_init__()
        modalities = tuple(self.modalities) if isinstance(self.modalities, tuple | list) else (self.modalities,)
        if not modalities or not set(modalities) <= set(MODALITIES) or len(set(modalities)) < len(modalities):
            raise ValueError(f"modalities must be one or more of {tuple(MODALITIES)}: got {self.modalities!r}")
        self._set("modalities", modalities)

    @property
    def _numbers(self):
        return [float(MODALITIES[name]) for name in self.modalities]

    def _draw(self, uniform):
        first = chosen(self.coherences, uniform[:, 0])
        second = np.empty_like(first)
        for sign in np.unique(np.sign(self.coherences)):
            same = [value for value in self.coherences if np.sign(value) == sign]
            there = np.sign(first) == sign
            second[there] = chosen(same, uniform[there, 1])
        return self._named(chosen(self._numbers, uniform[:, 2]), first, second)

    def _every(self):
        one = [(number, c, c) for number in self._numbers if number < 3 for c in self.coherences]
        pairs = itertools.product(self.coherences, self.coherences) if 3.0 in self._numbers else ()
        both = [(3.0, a, b) for a, b in pairs if np.sign(a) == np.sign(b)]
        return self._named(*np.array(one + both).T)

    @staticmethod
    def _named(modality, first, second):
        visual, auditory = np.where(modality == 2, 0.0, first), np.where(modality == 1, 0.0, second)
        mean = (visual + auditory) / np.where(modality == 3, 2, 1)
        return {"coherence": mean, "visual": visual, "auditory": auditory, "modality": modality}

    def _course(self, conditions):
        coherence = np.stack([conditions["visual"], conditions["auditory"]], axis=-1)
        on = (conditions["modality"][:, None].astype(int) & np.array([1, 2])) > 0
        return self._streams(coherence, on)

    def _label(self, values):
        parts = [
            f"{name} {values[name]:g}" for name in ("visual", "auditory") if int(values["modality"]) & MODALITIES[name]
        ]
        return " ".join(parts)
