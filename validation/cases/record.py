"""A case: an example of the literature as data, and how it is worked out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.symbolic import derive

from .. import confirmation, random_confirmation, transients
from ..analysis import Condition, Figure, Portrait, Statement, portrait, standard_figures
from ..crosscheck import CrossCheck
from ..landscape import EQUATIONS, Landscape, landscape, landscape_figures
from ..random_check import RandomCheck

#: Networks that are followed in time, their size and number, in full and in brief.
FOLLOWED, FOLLOWED_QUICK = (4000, 40), (1000, 8)


@dataclass(frozen=True, eq=False)
class Case:
    """An example of the literature: the parameters, what the source says, and what else is to be checked.

    Attributes
    ----------
    name : str
        Short and fit for a command line, e.g. ``fig-4.1a``.
    title, source, text : str
        Title; where it stands in the literature; what it is and which values are ours (Markdown-free plain text).
    connectivity : Connectivity
    transfer : str
    conditions : tuple of Condition
    errata : tuple of str
        What the source prints wrongly, with the right numbers.
    check : callable, optional
        ``check(result, quick, seed)`` returns (figures, statements) of this case beyond the standard ones.
    pulses : tuple of Pulse
        Inputs switched in time, from the first attractor without input on, for ``duration``.
    duration : float
    networks : bool
        Whether finite networks are drawn and compared under each condition (with a random part, where it takes long,
        ``check`` may do it for what it shows).
    """

    name: str
    title: str
    source: str
    text: str
    connectivity: Connectivity
    transfer: str = "tanh"
    conditions: tuple[Condition, ...] = (Condition(),)
    errata: tuple[str, ...] = ()
    check: Callable | None = None
    pulses: tuple[transients.Pulse, ...] = ()
    duration: float = 0.0
    networks: bool = True


@dataclass(frozen=True, eq=False)
class FittedCase:
    """An example that starts from a trained network instead of from parameters.

    Attributes
    ----------
    name, title, source : str
        As of a :class:`Case`.
    section : callable
        ``section(quick, seed, say)`` returns its :class:`~meanfield.validation.sections.Section`, worked out; ``say``
        takes messages.
    """

    name: str
    title: str
    source: str
    section: Callable


@dataclass(frozen=True, eq=False)
class CaseResult:
    """A case worked out: its equations (the record of :func:`meanfield.derive`, or lines of LaTeX), portraits,
    figures, statements, and the cross-check of each portrait with finite networks.

    With a random part, landscapes stand in the place of portraits.
    """

    case: Case
    equations: object
    portraits: tuple[Portrait, ...]
    figures: tuple[Figure, ...] = ()
    statements: tuple[Statement, ...] = ()
    crosschecks: tuple[CrossCheck | RandomCheck, ...] = ()
    landscapes: tuple[Landscape, ...] = ()


def run(case, quick=False, seed=0, progress=None):
    """Work out a case.

    Parameters
    ----------
    case : Case
    quick : bool
        Coarser pictures, fewer and smaller networks; the same fixed points, cycles and statements.
    seed : int
        For the sampled networks; the result is the same for the same seed.
    progress : callable, optional
        ``progress(message)``, called before each step.

    Returns
    -------
    CaseResult
    """
    say = progress or (lambda message: None)
    if np.any(case.connectivity.g):
        return _run_random(case, quick, seed, say)
    say(f"{case.name}: equations")
    equations = derive(case.connectivity, case.transfer)
    portraits = []
    for condition in case.conditions:
        say(f"{case.name}: fixed points and cycles, {condition.label}")
        portraits.append(portrait(case.connectivity, case.transfer, condition))
    result = CaseResult(case, equations, tuple(portraits))
    say(f"{case.name}: figures and statements")
    figures = standard_figures(result.portraits, points=21 if quick else 41)
    extra, statements = case.check(result, quick, seed) if case.check else ((), ())
    figures, statements = [*figures, *extra], list(statements)
    checks = []
    for k, known in enumerate(portraits):
        say(f"{case.name}: finite networks, {known.condition.label}")
        checks.append(confirmation.against_networks(case.connectivity, case.transfer, known, quick, seed))
        shown, lines = confirmation.confirm(checks[-1], k)
        figures, statements = [*figures, *shown], [*statements, *lines]
    if case.pulses:
        say(f"{case.name}: inputs switched in time")
        shown, lines = transients.confirm(_followed(case, portraits[0], quick, seed))
        figures, statements = [*figures, shown], [*statements, *lines]
    return CaseResult(case, equations, tuple(portraits), tuple(figures), tuple(statements), tuple(checks))


def _run_random(case, quick, seed, say):
    """:func:`run` where g > 0."""
    scapes = []
    for condition in case.conditions:
        say(f"{case.name}: states, {condition.label}")
        scapes.append(landscape(case.connectivity, case.transfer, condition))
    result = CaseResult(case, EQUATIONS, (), landscapes=tuple(scapes))
    say(f"{case.name}: figures and statements")
    extra, statements = case.check(result, quick, seed) if case.check else ((), ())
    figures, statements, checks = [*landscape_figures(scapes), *extra], list(statements), []
    for k, known in enumerate(scapes if case.networks else ()):
        say(f"{case.name}: finite networks, {known.condition.label}")
        checks.append(random_confirmation.against_networks(case.connectivity, case.transfer, known, quick, seed))
        shown, lines = random_confirmation.confirm(checks[-1], k)
        figures, statements = [*figures, *shown], [*statements, *lines]
    return replace(result, figures=tuple(figures), statements=tuple(statements), crosschecks=tuple(checks))


def _followed(case, rest, quick, seed):
    """Networks and theory under the case's pulses, from the first attractor without input."""
    stable = [*rest.fixed_points.stable, *(cycle.orbit[0] for cycle in rest.cycles if cycle.stable)]
    n_neurons, draws = FOLLOWED_QUICK if quick else FOLLOWED
    return transients.follow(
        case.connectivity, case.pulses, stable[0], case.duration, case.transfer, n_neurons, draws, seed
    )
