"""Onset of chaos with g per pair of populations: bulk radius 1 on the states at rest, followed along a parameter."""

import numpy as np

from .field import StationaryField, bulk_radius
from .stationary import stationary

_STEPS = 30
# Newton's method has converged; a neighbour on the branch lies within this share of the sizes.
_SOLVED, _JUMP = 1e-12, 0.3


def onsets(at, values):
    """(value, error, kappa, delta0) of every onset between neighbouring ``values``.

    Parameters
    ----------
    at : callable
        Value -> Problem.
    values : ndarray
        All states at rest are found at each, with proof, and followed to the next.
    """
    out = []
    lists = [_states(at(v)) for v in values]
    for i, j in [(i, i + 1) for i in range(len(values) - 1)] + [(i + 1, i) for i in range(len(values) - 1)]:
        for y in lists[i]:
            found = _root(at, y, values[i], values[j])
            if found is not None:
                out.append(found)
    return out


def _states(problem):
    """(kappa, Q) of all states at rest; of mirror images one."""
    found = stationary(problem.connectivity, problem.transfer, problem.inputs,
                       input_variance=problem.input_variance, tau=problem.tau)  # fmt: skip
    kept = []
    for s in reversed(found):
        if not any(np.allclose(s.kappa, -t.kappa) and np.allclose(s.delta0, t.delta0) for t in kept):
            kept.append(s)
    return [np.append(s.kappa, s.handed_on) for s in kept]


def _solved(problem, y):
    """The state next to y, or None."""
    field, start = StationaryField(problem), y
    for _ in range(_STEPS):
        value, jacobian = field.values(y)
        step = np.linalg.lstsq(jacobian, -value, rcond=None)[0]
        y = np.maximum(y + step, field.floor)
        if np.abs(step).max() <= _SOLVED * (1 + np.abs(y).max()):
            near = np.abs(y - start).max() <= _JUMP * (0.1 + np.abs(start).max())
            return y if near else None
    return None


def _excess(problem, y):
    """Bulk radius less 1, and its error."""
    field = StationaryField(problem)
    radius, error = bulk_radius(problem.transfer, problem.coupling, field.mean(y)[None], field.variance(y)[None])
    return float(radius[0]) - 1, float(error[0])


def _root(at, y, a, b):
    """Where the bulk radius passes 1 on the state y at a, followed to b, or None."""
    from scipy.optimize import brentq

    solved = {a: y}
    for value in np.linspace(a, b, 9)[1:]:
        y = _solved(at(value), y)
        if y is None:
            break
        solved[float(value)] = y
    values = list(solved)
    excess = [_excess(at(v), solved[v])[0] for v in values]
    k = next((k for k in range(len(values) - 1) if (excess[k] > 0) != (excess[k + 1] > 0)), None)
    if k is None:
        return None

    def function(value):
        if value not in solved:
            near = min(solved, key=lambda v: abs(v - value))
            solved[value] = _solved(at(value), solved[near])
            if solved[value] is None:
                del solved[value]
                raise ArithmeticError
        return _excess(at(value), solved[value])[0]

    low, high = sorted(values[k : k + 2])
    try:
        x = brentq(function, low, high, xtol=1e-14 * (1 + abs(high)), rtol=4e-15)
        left = abs(function(x))
    except ArithmeticError:
        return None
    slope = abs(excess[k + 1] - excess[k]) / (high - low)
    problem, y = at(x), solved[x]
    error = (left + _excess(problem, y)[1]) / slope + 1e-14 * (1 + abs(x))
    return x, error, y[: problem.rank], StationaryField(problem).variance(y)
