"""Autocorrelations D_p(tau) of all populations together: Chebyshev collocation on [0, L] and Newton's method.

    D_p - D_p'' = sum_q G_pq C_q(V_q + D_q(tau); V_q + D_q(0)) + 2 sigma2 delta(tau),  D_p'(0+) = -sigma2,  D_p''(L) = 0

(docs: :eq:`block-equation`, :eq:`block-collocation`). The operator on the left is inverted once, so that the discrete
equation is D = A (G C) + sigma2 h with a smoothing A: its Jacobian is well conditioned on any grid.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np

from .. import equations
from ..averages import gaussian_average
from ..gaussian.hermite import hermite_coefficients
from .correlations import FEW_TERMS, coefficients, pairs_of, powers, smooth
from .problem import Problem

_TINY = 1e-20  # stands for a variance of 0, where a correlation coefficient has no meaning
_NARROW, _NARROW_TERMS = 1e-8, 8  # a variance below which the series ends after a few terms
_STEP = 1e-5  # relative step of the central differences that replace the series: their error is _STEP^2
_SLOWEST = 1e-7  # a rate of decay that rounding cannot tell from 0
_UNDETERMINED = 1e-9  # singular value of the slaved flow of kappa that counts as 0
_DIVERGED = 1e8  # a change by which an iteration has gone astray
_DECAYED = 36.0  # exp(-36) is the unit roundoff


@functools.lru_cache(maxsize=16)
def chebyshev(n):
    """Nodes -1 .. 1 (n + 1,), their differentiation matrix, and barycentric weights."""
    j = np.arange(n + 1)
    weights = (-1.0) ** j
    weights[[0, -1]] /= 2
    apart = 2 * np.sin(np.pi * (j[:, None] + j) / (2 * n)) * np.sin(np.pi * (j[:, None] - j) / (2 * n))
    np.fill_diagonal(apart, 1.0)
    matrix = weights / weights[:, None] / apart
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(1))  # constants have derivative 0 exactly
    return -np.cos(np.pi * j / n), matrix, weights


@dataclass(frozen=True, eq=False)
class Grid:
    """Chebyshev nodes on lags 0 .. length.

    Attributes
    ----------
    n : int
        Degree; there are n + 1 nodes.
    length : float
    """

    n: int
    length: float

    @functools.cached_property
    def tau(self):
        """Nodes, (n + 1,), from 0 to ``length``."""
        return (chebyshev(self.n)[0] + 1) * (self.length / 2)

    @functools.cached_property
    def derivative(self):
        """Differentiation matrix on the nodes."""
        return chebyshev(self.n)[1] * (2 / self.length)

    @functools.cached_property
    def inverse(self):
        """(A, h): A f + s h solves D - D'' = f with D'(0) = -s and D(length) = f(length)."""
        matrix = np.eye(self.n + 1) - self.derivative @ self.derivative
        matrix[0], matrix[-1] = self.derivative[0], np.eye(self.n + 1)[-1]
        inverse = np.linalg.inv(matrix)
        impulse = -inverse[:, 0].copy()
        inverse[:, 0] = 0.0
        return inverse, impulse

    def at(self, values, lags):
        """Polynomial through ``values`` (P, n + 1) at lags (...) within the grid: (..., P), barycentric formula."""
        lags, weights = np.asarray(lags, float), chebyshev(self.n)[2]
        apart = lags.ravel()[:, None] - self.tau
        hit = apart == 0
        terms = weights / np.where(hit, 1.0, apart)
        found = (terms @ values.T) / terms.sum(1, keepdims=True)
        rows, columns = np.nonzero(hit)
        found[rows] = values.T[columns]
        return found.reshape(*lags.shape, len(values))


@dataclass(frozen=True, eq=False)
class Pairs:
    """C_q and its derivatives at nodes: (P, n + 1) each.

    Attributes
    ----------
    value : C, a function of the correlation coefficient rho, the variance and the mean
    slope : dC/dDelta = <phi' phi'> at fixed variance
    variance_slope, mean_slope : derivatives at fixed rho
    exact : bool
        False where the Hermite series was too long, or the function has kinks: ``value`` and ``slope`` then come from
        pair averages, and the other two, which only guide Newton's method, from a short series or differences.
    """

    value: np.ndarray
    slope: np.ndarray
    variance_slope: np.ndarray
    mean_slope: np.ndarray
    error: np.ndarray
    exact: bool


def pairs(transfer, mean, variance, rho, rough=False):
    """:class:`Pairs` of populations with mean and variance (P,) at correlation coefficients rho (P, n + 1).

    ``rough`` takes a short series whatever it leaves out: for guesses.
    """
    variance = np.maximum(variance, _TINY)
    rho = np.clip(rho, -1.0, 1.0)
    if rough:
        c = hermite_coefficients(transfer, mean, variance, FEW_TERMS)
    else:
        c = _coefficients(transfer, mean, variance)
    if c is None:
        return _by_quadrature(transfer, mean, variance, rho)
    K = c.shape[-1] - 2
    k, v = np.arange(K), variance[:, None]
    first, second = np.sqrt(k + 1) * c[:, 1:-1], np.sqrt((k + 1) * (k + 2)) * c[:, 2:]
    c = c[:, :K]
    series = np.stack([c**2, first**2 / v, (k * c**2 + c * second) / v, 2 * c * first / np.sqrt(v)], axis=1)
    return Pairs(*np.moveaxis(series @ powers(rho, K).mT, 1, 0), np.zeros((2, len(mean))), exact=True)


def _coefficients(transfer, mean, variance):
    """Hermite coefficients (P, K) of full precision, None where they are too many; a few where nearly all is linear."""
    narrow = variance < _NARROW
    if not smooth(transfer) or not narrow.any():
        return coefficients(transfer, mean, variance)
    few = hermite_coefficients(transfer, mean[narrow], variance[narrow], _NARROW_TERMS)
    c = coefficients(transfer, mean[~narrow], variance[~narrow]) if not narrow.all() else few
    if c is None:
        return None
    out = np.zeros((len(mean), c.shape[-1]))
    out[~narrow], out[narrow, :_NARROW_TERMS] = c if not narrow.all() else 0.0, few
    return out


def _by_quadrature(transfer, mean, variance, rho):
    here = pairs_of(transfer, mean, variance)
    if smooth(transfer):
        rough = pairs(transfer, mean, variance, rho, rough=True)
        return Pairs(here.value(rho), here.slope(rho), rough.variance_slope, rough.mean_slope, here.error, exact=False)
    by_mean, by_variance = _STEP * np.sqrt(variance), _STEP * variance
    moved = np.zeros((2, 4, len(mean)))
    moved[0, :2], moved[1, 2:] = [by_mean, -by_mean], [by_variance, -by_variance]
    up_mean, down_mean, up, down = pairs_of(transfer, mean + moved[0], variance + moved[1]).value(rho)
    return Pairs(
        here.value(rho),
        here.slope(rho),
        (up - down) / (2 * by_variance)[:, None],
        (up_mean - down_mean) / (2 * by_mean)[:, None],
        here.error,
        exact=False,
    )


@dataclass(frozen=True, eq=False)
class Profile:
    """An approximate or exact solution: kappa, and D_p on a grid.

    Attributes
    ----------
    problem : Problem
    kappa : ndarray (R,)
    grid : Grid
    values : ndarray (P, n + 1)
        D_p, the covariance of the random part (and of the noise), at the nodes.
    rough : bool
        Short Hermite series: for guesses.
    scale : float
        Factor of the coupling G, 1 in the end; the search follows solutions in it.
    residual, step : float
        Largest residual and last Newton step, relative; inf before :func:`newton`.
    """

    problem: Problem
    kappa: np.ndarray
    grid: Grid
    values: np.ndarray
    rough: bool = False
    scale: float = 1.0
    residual: float = np.inf
    step: float = np.inf

    @functools.cached_property
    def mean(self):
        """Mean input of each population, (P,)."""
        return self.problem.mean(self.kappa)

    @functools.cached_property
    def structure(self):
        """V_p, the variance without the random part, (P,)."""
        return self.problem.structure_variance(self.kappa)

    @property
    def variance(self):
        """Delta_p(0), (P,)."""
        return self.structure + self.values[:, 0]

    @property
    def coupling(self):
        """G_pq times ``scale``."""
        return self.problem.coupling * self.scale

    @functools.cached_property
    def rho(self):
        """Delta_p(tau) / Delta_p(0) at the nodes."""
        return (self.structure[:, None] + self.values) / np.maximum(self.variance, _TINY)[:, None]

    @functools.cached_property
    def pairs(self):
        """:class:`Pairs` at the nodes."""
        return pairs(self.problem.transfer, self.mean, self.variance, self.rho, self.rough)

    @functools.cached_property
    def image(self):
        """A (G C) + sigma2 h: what the equation says D is, (P, n + 1)."""
        inverse, impulse = self.grid.inverse
        return (self.coupling @ self.pairs.value) @ inverse.T + self.problem.noise_variance * impulse

    @functools.cached_property
    def rates(self):
        """Squared rates 1 - eigenvalues of G_pq <phi' phi'>_q at infinite lag; the smallest real part first."""
        values = 1 - np.linalg.eigvals(self.coupling * self.pairs.slope[:, -1])
        return values[np.argsort(values.real)]

    @property
    def rate(self):
        """Rate at which D_p approaches its limit in the end; 0 where it does not."""
        return float(np.sqrt(max(self.rates[0].real, 0.0)))

    @property
    def amplitude(self):
        """Largest D_p(0) - D_p(infinity), relative to the largest Delta_p(0)."""
        return float((self.values[:, 0] - self.values[:, -1]).max() / max(self.variance.max(), _TINY))

    def on(self, grid):
        """The same functions on another grid; beyond the present one they keep their last value."""
        lags = np.minimum(grid.tau, self.grid.length)
        return replace(self, grid=grid, values=self.grid.at(self.values, lags).T)

    def fitted(self, n):
        """On a grid of degree n whose length is that of the decay, or the present one where nothing decays."""
        return self.on(Grid(n, _DECAYED / self.rate if self.rate > _SLOWEST else self.grid.length))


def system(x, free):
    """Residual, Jacobian and sizes of the unknowns (D, and kappa where ``free``), flat."""
    P, N, p, G = *x.values.shape, x.pairs, x.coupling
    inverse, _ = x.grid.inverse
    v = np.maximum(x.variance, _TINY)[:, None]
    along = np.where((np.arange(N) > 0) & np.isfinite(p.slope), p.slope, 0.0)  # at lag 0 rho is 1 whatever D is
    own = p.variance_slope - x.rho * along
    matrix = -(inverse[:, None, None, :] * (G[:, :, None] * along)[None]).transpose(1, 0, 2, 3)  # (P, N, P, N)
    matrix[..., 0] -= np.einsum("pq,ij,qj->piq", G, inverse, own)
    matrix = matrix.reshape(P * N, P * N)
    matrix[np.diag_indices(P * N)] += 1.0
    residual = (x.values - x.image).ravel()
    sizes = np.full(P * N, max(x.values[:, 0].max(), _TINY))
    if not free:
        return residual, matrix, sizes
    b, R = x.problem.blocks, x.problem.rank
    stretch = p.variance_slope + along * (1 - x.rho)
    variance_slope = 2 * equations.half_variance_gradient(b, x.kappa, x.problem.v)  # (P, R)
    change = p.mean_slope[..., None] * b.mean_m[:, None] + stretch[..., None] * variance_slope[:, None]
    full = np.zeros((P * N + R, P * N + R))
    full[: P * N, : P * N] = matrix
    full[: P * N, P * N :] = -np.einsum("pq,ij,qjr->pir", G, inverse, change).reshape(P * N, R)
    drift, by_kappa, by_variance = drift_of(x.problem, x.kappa, x.mean, v[:, 0])
    full[P * N :, P * N :] = by_kappa
    full[P * N :, : P * N : N] = by_variance
    spread = max(np.abs(x.kappa).max(), np.sqrt(sizes[0]))
    return np.append(residual, drift), full, np.append(sizes, np.full(R, spread))


def drift_of(problem, kappa, mean, variance):
    """tau dkappa/dt (R,), and its derivatives in kappa (R, R) and in the random part of the variances (R, P)."""
    b = problem.blocks
    orders = 4 if b.spread else 3
    gain = gaussian_average(problem.transfer, mean=mean, variance=variance, order=tuple(range(orders)))
    gain = np.concatenate([gain, np.zeros((4 - orders, len(mean)))])
    drift = problem.drift(kappa, gain)
    by_kappa = equations.jacobian(b, kappa, problem.v, gain, np.eye(len(kappa)))
    push = equations.covariance_with_n(b, kappa, problem.v)
    by_variance = (b.weights[:, None] / 2 * (b.mean_n * gain[2][:, None] + push * gain[3][:, None])).T
    return drift, by_kappa, by_variance


def newton(x, free=True, iterations=40):
    """Newton's method with step halving from a :class:`Profile`; ``residual`` of the result says how far it came.

    With ``free`` False kappa stays. Stops where rounding stops it, or when no part of a step lowers the residual.
    """
    residual, matrix, sizes = system(x, free)
    norm = np.abs(residual / sizes).max()
    last = np.inf
    for _ in range(iterations):
        try:
            step = newton_step(matrix, residual, x.values.size)
        except np.linalg.LinAlgError:
            break
        last = np.abs(step / sizes).max()
        y, found = _descend(x, step, norm, free)
        if y is None:
            break
        x, (residual, matrix, sizes), before = y, found, norm
        norm = np.abs(residual / sizes).max()
        if last < 1e-13 or (norm < 1e-13 and norm > before / 4):
            break
    return replace(x, residual=float(norm), step=float(last))


def slaved(matrix, n, right=None):
    """d(drift)/dkappa with D slaved to kappa (R, R), dD/dkappa (n, R), and D for ``right`` at fixed kappa."""
    columns = -matrix[:n, n:] if right is None else np.column_stack([-matrix[:n, n:], right])
    found = np.linalg.solve(matrix[:n, :n], columns)
    R = len(matrix) - n
    return matrix[n:, n:] + matrix[n:, :n] @ found[:, :R], found[:, :R], found[:, -1]


def newton_step(matrix, residual, n):
    """A full step of Newton's method; directions of kappa that nothing determines (a ring) are left alone."""
    if len(residual) == n:
        return -np.linalg.solve(matrix, residual)
    inner, follows, alone = slaved(matrix, n, residual[:n])
    u, s, vh = np.linalg.svd(inner)
    keep = s > _UNDETERMINED * max(1.0, s[0])
    kappa = vh[keep].T @ ((u.T @ (residual[n:] - matrix[n:, :n] @ alone))[keep] / s[keep])
    return -np.append(alone + follows @ kappa, kappa)


def _descend(x, step, norm, free):
    """The point a full, half, quarter .. step away that has a smaller residual."""
    P, N = x.values.shape
    factor = 1.0
    while factor > 1e-2:
        values = x.values + factor * step[: P * N].reshape(P, N)
        kappa = x.kappa + factor * step[P * N :] if free else x.kappa
        y = replace(x, values=values, kappa=kappa)
        if (y.variance > -_TINY).all() and (values[:, 0] >= values[:, -1] - 1e-3 * values[:, 0].max()).all():
            found = system(y, free)
            now = np.abs(found[0] / found[2]).max()
            if now < (1 - 0.1 * factor) * norm or now < 1e-13:
                return y, found
        factor /= 2
    return None, None


def iterate(x, times, tolerance=1e-3):
    """D -> A (G C) + sigma2 h at fixed kappa, up to ``times``: slow, but it comes close from far away."""
    for _ in range(times):
        y = replace(x, values=x.image)
        change = np.abs(y.values - x.values).max()
        if not change < _DIVERGED:
            break
        x = y
        if change <= tolerance * np.abs(x.values).max():
            break
    return x
