"""From points near a solution to solutions, for one g: full precision, error, stability of the slow flow of kappa."""

from dataclasses import dataclass, replace

import numpy as np

from ..averages import gaussian_average
from ..equations import half_variance_gradient
from ..gaussian.hermite import hermite_coefficients
from . import correlations
from .continuation import direct
from .decay import Decay
from .selfconsistency import Equations
from .states import ChaoticState, Status, stability

# Rounding of a residual beside its terms: of long sums, and of averages over pairs.
_ROUNDING, _QUADRATURE = 16 * np.finfo(float).eps, 1e-13
#: Error of a state, relative to its variance, from which it is not called converged.
COARSE = 1e-6
# D_inf counts as equal to D_0, and a state as static, when they differ by less than this share of D_0.
_STATIC = 1e-9
# A residual beyond this is not explained by rounding, with series or with quadrature.
_RESIDUAL = 1e-10
# Singular values of the Jacobian, relative to the largest, and eigenvalues of the slow flow, that count as zero.
_SINGULAR = 1e-9
# Error of functions of a solution, from its averages.
_NOISE = 1e-13
# Series are evaluated with this many terms more, relatively, than the start needs: the solution may need more.
_MARGIN = 1.15


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved point (kappa, D_0, D_inf); ``D_inf`` is missing from the point of a static one.

    Attributes
    ----------
    equations : Equations
    x : ndarray (R + 2,) or (R + 1,)
    residual : float
    jacobian : ndarray
        At x.
    """

    equations: Equations
    x: np.ndarray
    residual: float
    jacobian: np.ndarray

    @property
    def kappa(self):
        """(R,)."""
        return self.equations.split(self.x)[0]

    @property
    def problem(self):
        """The problem that it solves."""
        return self.equations.problem

    @property
    def d0(self):
        """Variance of the random part."""
        return float(self.equations.split(self.x)[1])

    @property
    def d_inf(self):
        """Frozen variance of the random part."""
        return float(self.equations.split(self.x)[2])

    size = d0

    @property
    def gap(self):
        """Share of D_0 that fluctuates; None for a static state."""
        return None if self.equations.static else 1 - self.d_inf / self.d0

    @property
    def variances(self):
        """Delta_0 and Delta_inf of each population: (2, P)."""
        return np.stack([q[0] for q in self.equations.variances(self.x[None])[1:]])

    def moved(self, problem):
        """The solution of a neighbouring problem, found from this one, or None."""
        found = solve(problem, self.x, self.equations.static, known=self)
        if found is None:
            return None
        scale = np.full(len(self.x), max(self.d0, found.d0))
        scale[: len(self.kappa)] = np.sqrt(scale[-1])
        there = found.equations.step(self.x) / scale
        back = replace(found.equations, problem=self.problem).step(found.x) / scale
        return found if direct(there, back, (found.x - self.x) / scale) else None

    @property
    def uncertainty(self):
        """Errors of x (size,), estimated from those of the averages, from rounding and the inverse of the Jacobian."""
        scale = np.ones(len(self.x))
        scale[: len(self.kappa)] = np.abs(self.kappa).max(initial=0.0) + np.sqrt(self.d0)
        scale[-1] = self.d0 if self.equations.static else self.d_inf
        rounding = self.residual + (_ROUNDING if self.equations.terms else _QUADRATURE)
        missed = rounding * scale + self.equations.missed(self.x)
        # along a ring, a singular direction, the point is arbitrary and the variances do not depend on it
        return np.abs(np.linalg.pinv(self.jacobian, rcond=_SINGULAR)) @ missed

    @property
    def singular(self):
        """True where the Jacobian has no inverse, up to rounding: a fold, a bifurcation, a ring."""
        values = np.linalg.svd(self.jacobian, compute_uv=False)
        return bool(values[-1] <= _SINGULAR * values[0])

    @property
    def eigenvalues(self):
        """Of the slow flow of kappa with slaved variances (R,), the fastest growing first, in units of 1/tau = 1."""
        try:
            matrix = self.equations.slaved_jacobian(self.jacobian)
        except np.linalg.LinAlgError:
            return np.full(len(self.kappa), np.nan)
        values = np.linalg.eigvals(matrix)
        return values[np.argsort(-values.real)]

    @property
    def runaway(self):
        """True where the variances, at fixed kappa, would move away from their values.

        That is where the frozen equation, with D_inf on the energy equation, increases in D_0 (:eq:`chaos-slaved`).
        """
        R = len(self.kappa)
        J = self.jacobian[R:, R:]
        if self.equations.static:
            return bool(J[0, 0] > 0)
        return bool(J[1, 0] - J[1, 1] * J[0, 0] / J[0, 1] > 0)

    @property
    def squared_radius(self):
        """sum_q G_q <phi'^2>_q at Delta_0: the square of the radius of the bulk."""
        p, (mean, delta0, _) = self.problem, self.equations.variances(self.x)
        if p.transfer.singular <= 1:
            return np.inf
        return float(gaussian_average(p.transfer, mean=mean, variance=delta0, order=1, power=2) @ p.coupling[0])

    @property
    def noise(self):
        """Error of the eigenvalues, the bulk's radius and the exponent, from that of the averages."""
        radius = self.squared_radius
        return _NOISE * (1 + radius if np.isfinite(radius) else 1) + self.equations.missed(self.x).max()

    @property
    def lyapunov(self):
        """The largest Lyapunov exponent in units of 1/tau."""
        return self.state().decay.lyapunov()[0]

    def state(self, ring=False):
        """The :class:`~meanfield.dmft.states.ChaoticState` of this solution; ``ring``: it represents a ring."""
        equations, problem = self.equations, self.problem
        mean, delta0, delta_inf = (q[0] for q in equations.variances(self.x[None]))
        structure = problem.structure_variance(self.kappa)
        error = self.uncertainty
        rise = 2 * np.abs(half_variance_gradient(problem.blocks, self.kappa, problem.v))
        total = float(error[-2:].max() + (rise @ error[:-2]).max())
        decay = Decay(problem, mean, structure, self.d0, self.d_inf, total)
        attracting, reason = stability(self.eigenvalues, self.runaway, ring, problem.tau)
        status = Status.NEUTRAL if self.singular else Status.CONVERGED
        if not total <= COARSE * delta0.max():
            status = Status.COARSE
        activity = gaussian_average(problem.transfer, mean=mean, variance=delta0)
        return ChaoticState(
            self.kappa, delta0, delta_inf, activity, self.residual, status, attracting, reason, problem, decay
        )


def solve(problem, start, static=False, known=None):
    """The :class:`Solution` to which Newton's method leads from a start (size,), None where it leads to none.

    Parameters
    ----------
    known : Solution, optional
        A neighbour, whose length of series serves as a first guess.
    """
    start = np.asarray(start, float)
    equations = Equations(problem, _length(problem, start, static, known), static)
    for _ in range(3):
        x, residual, converged, jacobian = equations.newton(start[None])
        if not converged[0] or not residual[0] <= _RESIDUAL + equations.missed(x[0], relative=True):
            return None
        longer = _length(problem, x[0], static, None) if _too_short(equations, x[0]) else equations.terms
        if longer == equations.terms:
            break
        start, equations = x[0], Equations(problem, longer, static)
    solution = Solution(equations, x[0], float(residual[0]), jacobian[0])
    if not static and not solution.d0 - solution.d_inf > _STATIC * solution.d0:
        return None
    return solution


def _length(problem, x, static, known):
    if known is not None and known.equations.static == static:
        return known.equations.terms
    mean, delta0, _ = (q[0] for q in Equations(problem, 0, static).variances(x[None]))
    c = correlations.coefficients(problem.transfer, mean, delta0)
    return None if c is None else int(_MARGIN * correlations.needed(c)) + 8


def _too_short(equations, x):
    if equations.terms is None:
        return False
    mean, delta0, _ = (q[0] for q in equations.variances(x[None]))
    c = hermite_coefficients(equations.problem.transfer, mean, delta0, equations.terms)
    return correlations.series_error(c).max() > correlations.NEGLIGIBLE
