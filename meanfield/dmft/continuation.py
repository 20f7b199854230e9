"""A solution followed along one parameter, roots of a test on its branch, and where the branch ends.

What is followed may be of any kind that has ``problem``, ``kappa`` (R,), ``size``, the largest variance that the random
part adds, and ``gap``, the share of it that fluctuates (None for a state at rest). Its ``moved(problem)`` gives the
solution of a neighbouring problem to which Newton's method leads from this one straight, see :func:`direct`, or None;
its ``noise`` is the error of the smooth functions of the solution that are tested.
"""

import numpy as np

from .selfconsistency import symmetric

# Smallest step along a branch, relative to the whole one; a root where the function is not as small as this is a jump.
_FINEST, _ROOT = 2.0**-8, 1e-7
# Share of its error that a function may differ from 0 at a root.
_SHARE = 0.3
# How close neighbours on a branch lie, kappa beside the root of the variance and the variance beside itself; kappa that
# has met 0, beside the root of the variance.
_NEAR, _JUMP, _MET = 0.1, 0.5, 1e-6
# How far a first step of Newton's method may miss the neighbour, relative to the step, and the rounding of both.
_MISS, _EXACT = 0.5, 1e-6
# Steps that locate the end of a branch, relative to the whole, and how many of them at most are left.
_RESOLVED, _REST = 2.0**-16, 8
# At its end a branch is static, or at kappa = 0, when gap or kappa are as small as this; and the variance, beside that
# of its beginning, as small as that.
_SMALL, _DEAD = 0.2, 1e-2


def continues(last, found):
    """Whether two neighbours can lie on one branch: no jump, and no passage through kappa = 0 by symmetry."""
    scale, size = np.sqrt(max(last.size, found.size)), np.abs(last.kappa).max()
    if np.abs(found.kappa - last.kappa).max() > _NEAR * (scale + size):
        return False
    if abs(found.size - last.size) > scale**2 * _JUMP:
        return False
    before, now = size > _MET * scale, np.abs(found.kappa).max() > _MET * scale
    return not (symmetric(found.problem) and before and (not now or found.kappa @ last.kappa <= 0))


def direct(there, back, change):
    """Whether Newton's method leads straight from one solution to its neighbour and back: else they may lie on two
    branches, as beyond a fold, near which the first step alone is long in any case.

    Parameters
    ----------
    there, back : ndarray
        The first steps, relative to the sizes of the unknowns.
    change : ndarray
        The neighbour less the solution, likewise.
    """
    ways = (there, change), (back, -change)
    return all(np.abs(way - step).max() <= _MISS * np.abs(step).max() + _EXACT for step, way in ways)


class Line:
    """A solution moved along the parameter, from wherever it was solved last.

    Attributes
    ----------
    at : callable
        Value -> Problem.
    solved : list of (value, solution)
    lost : set
        Values that were asked for and could not be reached.
    """

    def __init__(self, at, solution, value):
        self.at, self.lost = at, set()
        self.solved = [(float(value), solution)]

    def solution(self, value):
        """The solution at a value, by steps from the nearest solved one; None where the branch is lost."""
        if value in self.lost:
            return None
        near, start = min(self.solved, key=lambda q: abs(q[0] - value))
        whole = step = value - near
        while near != value:
            target = value if abs(value - near) <= abs(step) * (1 + 1e-9) else near + step
            found = self._moved(start, target)
            if found is not None:
                near, start, step = target, found, 2 * step
            elif abs(step) > abs(whole) * _FINEST:
                step = min(abs(step), abs(value - near)) / 2 * np.sign(whole)
            else:
                self.lost.add(value)
                return None
        return start

    def _moved(self, start, value):
        found = start.moved(self.at(value))
        if found is None or not continues(start, found):
            return None
        self.solved.append((float(value), found))
        return found

    def root(self, value, target, test):
        """(value, error, solution) where the test changes sign between two values, or None.

        The first one must have been reached; where the target cannot be, the last value on the way to it takes its
        place.
        """
        from scipy.optimize import brentq

        here, there = self.solution(value), self.solution(target)
        if there is None:
            target, there = min(self.solved, key=lambda q: abs(q[0] - target))
        if target == value:
            return None
        a, b = test(here), test(there)
        if not (np.isfinite(a) and np.isfinite(b)) or (a > 0) == (b > 0):
            return None
        seen = {value: a, target: b}

        def function(v):
            if v not in seen:
                found = self.solution(v)
                if found is None:
                    raise _Lost
                seen[v] = test(found)
                if abs(seen[v]) < _SHARE * found.noise:
                    seen[v] = 0.0
            return seen[v]

        try:
            x = brentq(function, value, target, xtol=1e-14 * (1 + abs(target)), rtol=4e-15)
            miss = abs(function(x))
        except _Lost:
            return None
        if not miss < _ROOT:
            return None
        slope = abs(b - a) / abs(target - value)
        apart = [v for v in sorted(seen, key=lambda v: abs(v - x)) if abs(v - x) > 1e-7 * abs(target - value)]
        if apart:
            slope = abs(seen[apart[0]] - function(x)) / abs(apart[0] - x)
        found = self.solution(x)
        return float(x), float((miss + (1 + _SHARE) * found.noise) / slope + 1e-14 * (1 + abs(x))), found

    def end(self, beyond):
        """Where the branch ends before a value that it does not reach: (last value, value beyond), and how it ends.

        Close to the end a step goes at most half of the rest of the way, so that the rest is no more than a few steps.
        Where these finer steps reach the value after all, it is no longer lost, and both values are that one.
        """
        value, last = min(self.solved, key=lambda q: abs(q[0] - beyond))
        step = beyond - value
        while value != beyond and abs(step) > abs(beyond - self.solved[0][0]) * _RESOLVED:
            step = step if abs(step) < abs(beyond - value) else beyond - value
            found = self._moved(last, value + step)
            if found is None:
                step /= 2
            else:
                value, last = value + step, found
        if value == beyond:
            self.lost.discard(beyond)
        beyond = min(value + _REST * step, beyond, key=lambda v: abs(v - value))
        if last.gap is not None and last.size < _DEAD * self.solved[0][1].size and not last.problem.noise:
            how = "the variance of the random part goes to 0: fluctuations die out there"
        elif last.gap is not None and last.gap < _SMALL and not last.problem.noise:
            how = "D_inf meets D_0: chaos ends there, and a static state takes over"
        elif symmetric(last.problem) and 0 < np.abs(last.kappa).max() < _SMALL * np.sqrt(last.size):
            how = "kappa meets 0, where the branch joins its mirror image"
        else:
            how = "it turns back in a fold, or Newton's method lost it: try smaller steps"
        return (value, float(beyond)), how


class _Lost(Exception):
    """The branch was lost between two of its points."""
