"""Every example of the literature, worked out and checked: ``run(CASES["fig-4.1a"])``."""

from . import inputs, lint, rank_one, rank_two
from .record import Case, CaseResult, run

__all__ = ["CASES", "Case", "CaseResult", "run"]

#: name -> case, in the order of the report
CASES: dict[str, Case] = {case.name: case for part in (rank_one, rank_two, inputs, lint) for case in part.CASES}
