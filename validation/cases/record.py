"""A case: an example of the literature as data, and how it is worked out."""

from collections.abc import Callable
from dataclasses import dataclass

from meanfield.connectivity import Connectivity
from meanfield.symbolic import derive

from ..analysis import Condition, Figure, Portrait, Statement, portrait, standard_figures


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


@dataclass(frozen=True, eq=False)
class CaseResult:
    """A case worked out: its equations (the record of :func:`meanfield.derive`), portraits, figures and statements."""

    case: Case
    equations: object
    portraits: tuple[Portrait, ...]
    figures: tuple[Figure, ...] = ()
    statements: tuple[Statement, ...] = ()


def run(case, quick=False, seed=0, progress=None):
    """Work out a case.

    Parameters
    ----------
    case : Case
    quick : bool
        Coarser pictures and smaller samples; the same fixed points, cycles and statements.
    seed : int
        For the sampled networks; the result is the same for the same seed.
    progress : callable, optional
        ``progress(message)``, called before each step.

    Returns
    -------
    CaseResult
    """
    say = progress or (lambda message: None)
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
    return CaseResult(case, equations, tuple(portraits), (*figures, *extra), tuple(statements))
