"""A solved state of a problem with g per pair of populations: refinement, error, stability, neighbours on a branch."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..averages import gaussian_average
from .block_lyapunov import exponent
from .block_profile import Profile, newton, newton_step, pairs, slaved, system
from .continuation import direct
from .correlations import smooth
from .field import bulk_radius
from .selfconsistency import symmetric
from .states import NEUTRAL, ChaoticState, Status, stability

_COARSEST, _FINEST, _UNKNOWNS = 48, 768, 3000  # degrees of grids, and the largest one's unknowns
_FLUCTUATES = 1e-7  # smallest (D(0) - D(infinity)) / D(0) that is not a static state
_SOLVED = 1e-9  # relative residual from which Newton's method has converged
_PRECISE, _STALLED = 1e-11, 1e-9  # relative changes by refinement: one that ends it, one that may be rounding
_ACCEPTED, _EXACT = 1e-6, 1e-11  # largest relative error and residual of a state that is called converged
_TAIL, _TAIL_ERROR = 1e-10, 0.03  # share of the decay left to an exponential, and its relative error
_NOISE = 1e-12  # error of functions of a solution, from rounding in the derivatives on the grid


@dataclass(frozen=True, eq=False)
class BlockDecay:
    """How the correlations of one state fall: Delta_p(lag) - Delta_p(infinity), for lags in units of tau.

    Attributes
    ----------
    profile, coarser : Profile
        The solution, and the one on a grid of half the degree.
    error : float
        Estimated absolute error: the largest difference of the two.
    """

    profile: Profile
    coarser: Profile
    error: float

    @cached_property
    def _excess(self):
        return self.profile.values - self.profile.values[:, -1:]

    @cached_property
    def _tail(self):
        """Lag, value and rate (P,) from which on each population decays exponentially: before rounding takes over."""
        excess, tau = self._excess, self.profile.grid.tau
        above = excess > _TAIL * max(excess[:, 0].max(), np.finfo(float).tiny)
        last = np.maximum(above.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1), 1) * above.any(1)
        rows, before = np.arange(len(last)), np.maximum(last - 1, 0)
        value = np.maximum(excess[rows, last], 0.0) * above.any(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.log(excess[rows, before] / value) / (tau[last] - tau[before])
        return tau[last], value, np.where(np.isfinite(rate), rate, self.profile.rate)

    def __call__(self, lag):
        """Value and error, (..., P) each, at lags (...) >= 0."""
        grid, lag = self.profile.grid, np.asarray(lag, float)
        ends, last, rate = self._tail
        beyond = lag[..., None] > ends
        with np.errstate(invalid="ignore"):
            tail = last * np.exp(-rate * np.where(beyond, lag[..., None] - ends, 0.0))
        value = np.where(beyond, tail, grid.at(self._excess, np.minimum(lag, grid.length)))
        return value, self.error + np.where(beyond, _TAIL_ERROR * value, 0.0)

    def lyapunov(self):
        """The largest Lyapunov exponent in units of 1/tau, and its error."""
        fine = exponent(self.profile)
        if not np.isfinite(fine):
            return fine, 0.0 if np.isinf(fine) else np.nan
        # a level is uncertain by what the well is, and (1 + lambda)^2 with it
        missed = float((self.profile.coupling @ self.profile.pairs.error[1]).max())
        return fine, abs(fine - exponent(self.coarser)) + np.sqrt((1 + fine) ** 2 + missed) - (1 + fine) + 1e-13

    def activity(self, excess):
        """<phi(x(t)) phi(x(t'))>_p where Delta_p(t - t') - Delta_p(infinity) is ``excess`` (..., P)."""
        x = self.profile
        excess = np.asarray(excess, float)
        delta = excess.reshape(-1, excess.shape[-1]) + (x.structure + x.values[:, -1])
        rho = delta / np.maximum(x.variance, np.finfo(float).tiny)
        return pairs(x.problem.transfer, x.mean, x.variance, rho.T).value.T.reshape(excess.shape)


def is_solution(x):
    """Whether a :class:`~meanfield.dmft.block_profile.Profile` solves its equation and fluctuates."""
    return x is not None and x.residual < _SOLVED and x.amplitude > _FLUCTUATES and x.rates[0].real > 0


def slaved_rates(x):
    """Eigenvalues (R,) of tau times the slow flow of kappa with slaved D_p, the fastest growing first."""
    rates = np.linalg.eigvals(slaved(system(x, True)[1], x.values.size)[0])
    return rates[np.argsort(-rates.real)]


def runaway(x):
    """True where D -> A (G C) + sigma2 h, at fixed kappa, moves away from D without turning around it."""
    matrix = system(x, False)[1]
    return bool(np.linalg.eigvals(matrix).real.min() < 0)


def settled(x, free=True):
    """:func:`refine` from a guess with a short series."""
    return refine(newton(replace(x, rough=False), free), free)


def refine(x, free=True):
    """The :class:`BlockSolution` on finer and finer grids, from a coarse one, or None; kappa stays if not ``free``."""
    n, best = x.grid.n, np.inf
    while True:
        n *= 2
        finer = newton(x.fitted(n), free)
        if not is_solution(finer):
            return None
        size = finer.values[:, 0].max()
        apart = np.abs(finer.values - x.on(finer.grid).values).max() / size
        apart = max(apart, np.abs(finer.kappa - x.kappa).max(initial=0.0) / np.sqrt(size))
        stalled = apart < _STALLED and apart > best / 2
        if apart < _PRECISE or stalled or n >= _FINEST or 2 * n * len(finer.values) > _UNKNOWNS:
            return BlockSolution(finer, x, float(apart * size) + _missed(x))
        x, best = finer, apart


def _first_step(x, free):
    """A full step of Newton's method, and the sizes of the unknowns."""
    residual, matrix, sizes = system(x, free)
    return newton_step(matrix, residual, x.values.size), sizes


def _missed(x):
    """Largest error of D_p that the averages over pairs leave, by the linearised equation."""
    error = x.pairs.error[0]
    if not error.any():
        return 0.0
    inverse, _ = x.grid.inverse
    change = np.linalg.solve(system(x, False)[1], np.outer(x.coupling @ error, inverse.sum(1)).ravel())
    return float(np.abs(change).max())


@dataclass(frozen=True, eq=False)
class BlockSolution:
    """A refined solution.

    Attributes
    ----------
    profile, coarser : Profile
        On the finest grid, and on one of half the degree.
    error : float
        Estimated absolute error of D_p: the largest difference of the two.
    """

    profile: Profile
    coarser: Profile
    error: float

    @property
    def problem(self):
        """The problem that it solves."""
        return self.profile.problem

    @property
    def kappa(self):
        """(R,)."""
        return self.profile.kappa

    @property
    def size(self):
        """Largest variance of the random part."""
        return float(self.profile.values[:, 0].max())

    @property
    def gap(self):
        """Largest share of a variance that fluctuates."""
        return self.profile.amplitude

    @property
    def variances(self):
        """Delta_0 and Delta_inf of each population: (2, P); of a silent one they are 0 up to rounding."""
        x = self.profile
        return np.maximum(np.stack([x.variance, x.structure + x.values[:, -1]]), 0.0)

    def moved(self, problem):
        """The solution of a neighbouring problem, found from this one, or None."""
        free = bool(self.kappa.any()) or not symmetric(problem)
        here = newton(self.coarser.fitted(max(_COARSEST, self.coarser.grid.n // 2)), free)
        if not is_solution(here):
            here = self.coarser
        found = newton(replace(here, problem=problem), free)
        if not is_solution(found):
            return None
        there, sizes = _first_step(replace(here, problem=problem), free)
        back, _ = _first_step(replace(found, problem=self.problem), free)
        change = np.append(found.values - here.values, found.kappa - here.kappa if free else [])
        return refine(found, free) if direct(there / sizes, back / sizes, change / sizes) else None

    @cached_property
    def eigenvalues(self):
        """Of the slow flow of kappa with slaved D_p (R,), the fastest growing first, in units of 1/tau = 1."""
        return slaved_rates(self.profile)

    @property
    def squared_radius(self):
        """Square of the bulk's radius at Delta_0: the spectral radius of G_pq <phi'^2>_q."""
        x = self.profile
        return float(bulk_radius(x.problem.transfer, x.coupling, x.mean, self.variances[0])[0]) ** 2

    @property
    def noise(self):
        """Error of the eigenvalues, the bulk's radius and the exponent."""
        return _NOISE + self.error / self.size

    @property
    def lyapunov(self):
        """The largest Lyapunov exponent in units of 1/tau."""
        return exponent(self.profile)

    def state(self, ring=False):
        """The :class:`~meanfield.dmft.states.ChaoticState` of this solution; ``ring``: it represents a ring."""
        x, p, rates = self.profile, self.problem, self.eigenvalues
        status = Status.NEUTRAL if np.abs(rates).min(initial=np.inf) < NEUTRAL else Status.CONVERGED
        if self.error > _ACCEPTED * self.size or x.residual > _EXACT:
            status = Status.INACCURATE if smooth(p.transfer) else Status.COARSE
        attracting, reason = stability(rates, runaway(self.coarser), ring, p.tau)
        delta0, delta_inf = self.variances
        activity = gaussian_average(p.transfer, mean=x.mean, variance=delta0)
        decay = BlockDecay(x, self.coarser, self.error)
        return ChaoticState(x.kappa, delta0, delta_inf, activity, x.residual, status, attracting, reason, p, decay)
