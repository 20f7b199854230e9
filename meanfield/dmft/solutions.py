"""Where solutions that can be followed come from, whether g is one number or one per pair of populations."""

from dataclasses import replace

import numpy as np

from .block import fluctuating
from .block_solving import settled
from .chaotic import TERMS, candidates, search_values
from .resting import resting
from .selfconsistency import Equations, symmetric
from .slaved import slaved
from .solving import solve


def started(problem, state):
    """The solution of a problem next to a :class:`~meanfield.dmft.states.ChaoticState` of a similar one, or None.

    Raises
    ------
    ValueError
        A state of a problem of another form: other populations, another rank, g per pair instead of one g.
    """
    p = state.problem
    if (p.scalar, p.rank, p.n_populations) != (problem.scalar, problem.rank, problem.n_populations):
        raise ValueError(
            f"start must be a state of the same form, rank {problem.rank}, {problem.n_populations} populations, "
            f"{_form(problem)}: got rank {p.rank}, {p.n_populations} populations, {_form(p)}; take one from chaotic"
        )
    if not problem.scalar:
        free = bool(state.kappa.any()) or not symmetric(problem)
        return settled(replace(state.decay.coarser, problem=problem), free)
    structure = p.structure_variance(state.kappa)
    return solve(problem, np.array([*state.kappa, (state.delta0 - structure)[0], (state.delta_inf - structure)[0]]))


def _form(problem):
    return "one g" if problem.scalar else "g per pair"


def unstructured(problem):
    """The time-dependent solutions at kappa = 0: a list."""
    zero = np.zeros(problem.rank)
    if not problem.scalar:
        return [s for x in fluctuating(problem, zero)[0] if (s := settled(x, free=False)) is not None]
    branches = [b for b in slaved(problem, zero[None]) if b.moving]
    found = solve(problem, np.array([*zero, branches[-1].d0, branches[-1].d_inf])) if branches else None
    return [] if found is None else [found]


def static(problem):
    """States at rest: those of ``stationary`` where g is per pair, for one g those that Newton's method meets."""
    if not problem.scalar:
        return resting(problem)
    kappa = search_values(problem)
    points = np.array([[*kappa[b.index], b.d0] for b in slaved(problem, kappa) if b.d0 > 0])
    if not points.size:
        return []
    found = (solve(problem, x, static=True) for x in candidates(Equations(problem, TERMS, static=True), points))
    return [s for s in found if s is not None]
