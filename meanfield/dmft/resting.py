"""A state at rest of a problem with g per pair of populations, as a solution that can be followed along a parameter."""

from dataclasses import dataclass

import numpy as np

from .continuation import direct
from .field import StationaryField, bulk_radius
from .problem import Problem
from .stationary import stationary

_STEPS = 30
# Newton's method has converged.
_SOLVED = 1e-12


@dataclass(frozen=True, eq=False)
class Rest:
    """One state at rest.

    Attributes
    ----------
    problem : Problem
    y : ndarray (R + P,)
        (kappa, Q), a zero of :class:`~meanfield.dmft.field.StationaryField`.
    """

    problem: Problem
    y: np.ndarray

    #: Nothing fluctuates.
    gap = None

    @property
    def kappa(self):
        """(R,)."""
        return self.y[: self.problem.rank]

    @property
    def size(self):
        """Largest variance of the random part."""
        return float((self.problem.coupling @ self.y[self.problem.rank :]).max())

    @property
    def variances(self):
        """Delta_0 of each population, twice: (2, P)."""
        return np.stack([StationaryField(self.problem).variance(self.y)] * 2)

    def _radius(self):
        field = StationaryField(self.problem)
        mean, variance = field.mean(self.y)[None], field.variance(self.y)[None]
        return (float(q[0]) for q in bulk_radius(self.problem.transfer, self.problem.coupling, mean, variance))

    @property
    def squared_radius(self):
        """Square of the bulk's radius: the spectral radius of G_pq <phi'^2>_q."""
        radius, _ = self._radius()
        return radius**2

    @property
    def noise(self):
        """Error of ``squared_radius``."""
        radius, error = self._radius()
        return 2 * radius * error

    def moved(self, problem):
        """The solution of a neighbouring problem, found from this one, or None."""
        field, y = StationaryField(problem), self.y
        for _ in range(_STEPS):
            step = _step(field, y)
            y = np.maximum(y + step, field.floor)
            if np.abs(step).max() <= _SOLVED * (1 + np.abs(y).max()):
                there, back = _step(field, self.y), _step(StationaryField(self.problem), y)
                return Rest(problem, y) if direct(there, back, y - self.y) else None
        return None


def _step(field, y):
    """A full step of Newton's method."""
    value, jacobian = field.values(y)
    return np.linalg.lstsq(jacobian, -value, rcond=None)[0]


def resting(problem):
    """All states at rest that ``stationary`` finds; of mirror images one."""
    found = stationary(problem.connectivity, problem.transfer, problem.inputs,
                       input_variance=problem.input_variance, tau=problem.tau)  # fmt: skip
    kept = []
    for s in reversed(found):
        if not any(np.allclose(s.kappa, -t.kappa) and np.allclose(s.delta0, t.delta0) for t in kept):
            kept.append(s)
    return [Rest(problem, np.append(s.kappa, s.handed_on)) for s in kept]
