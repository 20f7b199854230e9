"""Every example of the literature, worked out and checked: ``run(CASES["fig-4.1a"])``."""

from . import (
    fitted_dms,
    fitted_lint,
    fitted_rdm,
    inputs,
    lint,
    random_chaos,
    random_context,
    random_inputs,
    random_learned,
    random_rank_two,
    random_ring,
    random_saddle_node,
    random_structure,
    random_suppression,
    rank_one,
    rank_two,
)
from .record import Case, CaseResult, FittedCase, run

__all__ = ["CASES", "FITTED", "Case", "CaseResult", "FittedCase", "run"]

_PARTS = (
    rank_one,
    rank_two,
    inputs,
    lint,
    random_chaos,
    random_suppression,
    random_structure,
    random_inputs,
    random_saddle_node,
    random_rank_two,
    random_ring,
    random_context,
    random_learned,
)

#: name -> case, in the order of the report
CASES: dict[str, Case] = {case.name: case for part in _PARTS for case in part.CASES}

_FITTED = (fitted_rdm, fitted_dms, fitted_lint)

#: name -> example that starts from a trained network, in the order of the report
FITTED: dict[str, FittedCase] = {case.name: case for part in _FITTED for case in part.CASES}
