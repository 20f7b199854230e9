r"""Variances slaved to kappa: D_0 and D_inf that solve their own equations at many given kappa at once.

At fixed D_0 the energy equation decreases in D_inf and has one root or none in [0, D_0]; put into the equation of the
frozen part it leaves one function of D_0, :eq:`chaos-slaved`, whose sign changes on a grid are all solutions that the
grid resolves. Short series serve here: the results are starts for Newton's method.
"""

from typing import NamedTuple

import numpy as np

from ..gaussian.hermite import hermite_coefficients
from .correlations import odd, powers

# Grid of D_0: points, and smallest value beside the largest. Without a static input the onset of chaos is at D_0 = 0.
_POINTS, _RANGE, _WIDE = 28, 1e-5, 1e-10
# Where no bound of D_0 is known, so many times the scale of the inputs is searched.
_UNBOUNDED = 1e2
# Terms of the series here.
_TERMS = 96
# Numbers held at once.
_BATCH = 1 << 21
_STEPS, _REFINEMENTS = 9, 10
# A root with D_inf this close to D_0, relatively, is a static state.
_STATIC = 1e-7
# Relative size of a frozen drive that counts as zero.
_ZERO = 1e-12


class Branch(NamedTuple):
    """One root of the slaved equations: the index of its kappa, D_0, D_inf, and whether it fluctuates."""

    index: int
    d0: float
    d_inf: float
    moving: bool
    slope: float  #: sum G <phi'^2> at D_0, the square of the bulk radius


def largest_d0(problem, kappa):
    """An upper bound of D_0 for bounded phi, G sup phi^2 + sigma2; a guess otherwise."""
    top = problem.transfer.bounds[0]
    if np.isfinite(top):
        return problem.coupling[0].sum() * top**2 + problem.noise_variance
    scale = 1 + problem.structure_variance(kappa).max() + np.abs(problem.mean(kappa)).max() ** 2
    return _UNBOUNDED * (scale + problem.noise_variance)


def slaved(problem, kappa):
    """All branches at each kappa (B, R): list of :class:`Branch`, sorted by kappa's index, then by D_0."""
    kappa = np.atleast_2d(kappa)
    high = largest_d0(problem, kappa)
    if high == 0:
        return []
    still = frozen_drive_vanishes(problem, kappa)
    out = []
    for group, lowest in ((np.flatnonzero(~still), _RANGE), (np.flatnonzero(still), _WIDE)):
        if group.size:
            low = max(lowest * high, problem.noise_variance * (1 - 1e-9))
            grid = low * (1.001 * high / low) ** np.linspace(0, 1, _POINTS)
            step = max(1, _BATCH // (len(grid) * problem.n_populations * _TERMS))
            for names in np.split(group, range(step, len(group), step)):
                out += _roots(problem, kappa[names], names, grid, lowest == _WIDE)
    return sorted(out)


def frozen_drive_vanishes(problem, kappa):
    """(B,) True where D_inf = 0 solves the frozen equation: no static input, and <phi> = 0 in every population."""
    return odd(problem.transfer) & undriven(problem, kappa)


def undriven(problem, kappa):
    """(B,) True where kappa and the static inputs give no neuron a mean input, and no variance over neurons."""
    structure, mean = problem.structure_variance(kappa), problem.mean(kappa)
    return (structure <= _ZERO).all(-1) & (np.abs(mean) <= _ZERO).all(-1)


def _roots(problem, kappa, names, grid, still):
    mean, structure = problem.mean(kappa), problem.structure_variance(kappa)

    def at(index, d0):
        """Signed function of D_0, with D_inf on the energy equation, for kappa of these indices."""
        c = _Polynomials(problem, mean[index], structure[index], d0)
        if still:
            zero = np.zeros_like(d0)
            return c.energy(zero)[0], zero, c.bulk()
        d_inf = c.frozen_root()
        return c.frozen(d_inf) - d_inf, d_inf, c.bulk()

    every = np.repeat(np.arange(len(kappa)), len(grid))
    values = at(every, np.tile(grid, len(kappa)))[0].reshape(len(kappa), len(grid))
    row, column = np.nonzero((values[:, :-1] > 0) != (values[:, 1:] > 0))
    resting = []
    if still and not problem.noise:
        # the state of rest, D_0 = 0, where nothing grows out of it
        slope = float(problem.coupling[0].sum() * problem.transfer(0.0, 1) ** 2)
        resting = [Branch(int(names[i]), 0.0, 0.0, False, slope) for i in np.flatnonzero(values[:, 0] > 0)]
    if not row.size:
        return resting
    low, high = grid[column], grid[column + 1]
    f_low = values[row, column]
    for _ in range(_REFINEMENTS):
        middle = np.sqrt(low * high)
        f, d_inf, bulk = at(row, middle)
        same = (f > 0) == (f_low > 0)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    gap = 1 - d_inf / middle
    return resting + [
        Branch(int(names[i]), float(d), float(y), bool(g > _STATIC), float(s))
        for i, d, y, g, s in zip(row, middle, d_inf, gap, bulk, strict=True)
    ]


class _Polynomials:
    """C and W of :eq:`chaos-series` as polynomials in Delta_inf/Delta_0 with coefficients >= 0, for (B,) values D_0."""

    def __init__(self, problem, mean, structure, d0):
        self.problem, self.structure, self.d0 = problem, structure, d0
        self.G = problem.coupling[0]
        self.delta0 = structure + d0[:, None]
        w = np.empty((*self.delta0.shape, _TERMS))
        # wide Gaussians take many nodes: they are kept apart from the narrow ones
        width = np.maximum(np.ceil(np.log2(self.delta0.max(-1))), 0)
        for one in np.unique(width):
            rows = width == one
            w[rows] = hermite_coefficients(problem.transfer, mean[rows], self.delta0[rows], _TERMS) ** 2
        k = np.arange(_TERMS)
        self.w = w
        per = w / ((k + 1) * self.delta0[..., None])
        above = np.zeros_like(per)
        above[..., :-1] = np.cumsum(per[..., :0:-1], axis=-1)[..., ::-1]
        self.weights = (k + 1) * above
        self.slopes = np.zeros_like(per)
        self.slopes[..., :-1] = k[1:] * self.weights[..., 1:] / self.delta0[..., None]

    def _sum(self, d_inf, *weights):
        ratio = (self.structure + d_inf[:, None]) / self.delta0
        power = powers(ratio, _TERMS)
        return [np.einsum("bpk,bpk->bp", w, power) @ self.G for w in weights]

    def frozen(self, d_inf):
        """sum_q G_q C_q(Delta_inf)."""
        return self._sum(d_inf, self.w)[0]

    def energy(self, d_inf):
        """H - (sigma2 / (D_0 - D_inf))^2, decreasing and concave in D_inf, and its slope."""
        value, slope = self._sum(d_inf, self.weights, self.slopes)
        value, slope = 1 - 2 * value, -2 * slope
        if self.problem.noise:
            gap = np.maximum(self.d0 - d_inf, np.finfo(float).tiny ** 0.3)
            forced = (self.problem.noise_variance / gap) ** 2
            value, slope = value - forced, slope - 2 * forced / gap
        return value, slope

    def bulk(self):
        """sum G <phi'^2> at Delta_0."""
        k = np.arange(_TERMS)
        return ((k * self.w).sum(-1) / self.delta0) @ self.G

    def frozen_root(self):
        """D_inf on the energy equation, at the end of [0, D_0] where it has no root there.

        Newton's method from beyond the root falls monotonically, the function being decreasing and concave.
        """
        zero, top = np.zeros_like(self.d0), self.d0 - self.problem.noise_variance
        none, beyond = self.energy(zero)[0] <= 0, self.energy(top)[0] > 0
        d_inf = np.maximum(top, 0.0)
        for _ in range(_STEPS):
            value, slope = self.energy(d_inf)
            with np.errstate(all="ignore"):
                d_inf = np.where(value < 0, np.maximum(d_inf - value / slope, 0.0), d_inf)
        return np.where(none, 0.0, np.where(beyond, self.d0, d_inf))
