r"""The equations of states that are stationary as distributions, for scalar g, and Newton's method for many at once.

Unknowns (kappa, D_0, D_inf), where Delta_p = V_p + D (docs: :eq:`chaos-drift`, :eq:`chaos-energy`,
:eq:`chaos-frozen`); the energy equation has its double root at D_0 = D_inf divided out. Static states obey the first
and the last one with D_inf = D_0.
"""

from dataclasses import dataclass

import numpy as np

from .. import equations
from ..gaussian.hermite import hermite_coefficients
from . import correlations

# Newton's method has converged when a step is this small beside the unknowns, or no longer shrinks near rounding.
_STEP, _STALLED = 1e-14, 1e-9
# Share of the way to the border D_inf = D_0 that one step may go.
_SHARE = 0.9
# D_0 beyond this is running away; a gap below this share of D_0 is closed: the state is static.
_LOST, _CLOSED = 1e12, 1e-13
# The same with series, whose coefficients take more and more nodes.
_LOST_TO_SERIES = 1e7
_MAX_STEPS = 40
# Numbers held at once, and how many a point with averages over pairs takes.
_BATCH, _PAIRS = 1 << 19, 1 << 10


def symmetric(problem):
    """True where kappa -> -kappa maps states to states: phi odd, no constant input."""
    b = problem.blocks
    driven = (b.mean_I * problem.v).any() or (problem.v.any() and b.cov_mI.any()) or (problem.v @ b.cov_nI.mT).any()
    return not driven and correlations.odd(problem.transfer)


@dataclass(frozen=True, eq=False)
class Equations:
    """Residuals and Jacobian at points (..., R + 2); ``static`` drops the energy equation and the last unknown.

    Attributes
    ----------
    problem : Problem
    terms : int or None
        Length of the series; None: averages over pairs.
    static : bool
    """

    problem: object
    terms: int | None
    static: bool = False

    @property
    def size(self):
        """Number of unknowns."""
        return self.problem.rank + (1 if self.static else 2)

    def split(self, x):
        """kappa (..., R), D_0 (...), D_inf (...)."""
        R = self.problem.rank
        return x[..., :R], x[..., R], x[..., R if self.static else R + 1]

    def variances(self, x):
        """Mean input, Delta_0 and Delta_inf of each population: (..., P) each."""
        kappa, d0, d_inf = self.split(x)
        structure = self.problem.structure_variance(kappa)
        return self.problem.mean(kappa), structure + d0[..., None], structure + d_inf[..., None]

    def local(self, x):
        """:class:`~meanfield.dmft.correlations.Terms` at x."""
        t = self.problem.transfer
        mean, delta0, delta_inf = self.variances(x)
        if self.terms is None:
            return correlations.pair_terms(t, mean, delta0, delta_inf, self.static)
        return correlations.series_terms(hermite_coefficients(t, mean, delta0, self.terms + 2), delta0, delta_inf)

    def __call__(self, x):
        """Residuals (..., size), their Jacobian (..., size, size), and the terms they were made from."""
        p, b, R = self.problem, self.problem.blocks, self.problem.rank
        kappa, d0, d_inf = self.split(x)
        T, G = self.local(x), p.coupling[0]
        shape = x.shape[:-1]
        out, jacobian = np.empty((*shape, self.size)), np.zeros((*shape, self.size, self.size))

        out[..., :R] = equations.drift(b, kappa, p.v, T.gain)
        jacobian[..., :R, :R] = equations.jacobian(b, kappa, p.v, T.gain, np.eye(R))
        push = equations.covariance_with_n(b, kappa, p.v)
        by_variance = b.mean_n * T.gain[2][..., None] + push * T.gain[3][..., None]
        jacobian[..., :R, R] = 0.5 * (b.weights[:, None] * by_variance).sum(-2)

        tilt = b.mean_m
        rise = 2 * equations.half_variance_gradient(b, kappa, p.v)

        def in_kappa(by_mean, by_delta0, by_delta_inf):
            return ((G * by_mean)[..., None] * tilt + (G * (by_delta0 + by_delta_inf))[..., None] * rise).sum(-2)

        out[..., -1] = T.C @ G - d_inf
        jacobian[..., -1, :R] = in_kappa(T.C_mean, T.C_delta0, T.C_delta_inf)
        jacobian[..., -1, R] = T.C_delta0 @ G
        jacobian[..., -1, -1] += T.C_delta_inf @ G - 1
        if not self.static:
            gap = d0 - d_inf
            forced = (p.noise_variance / gap) ** 2
            out[..., R] = 1 - 2 * T.W @ G - forced
            jacobian[..., R, :R] = -2 * in_kappa(T.W_mean, T.W_delta0, T.W_delta_inf)
            jacobian[..., R, R] = -2 * T.W_delta0 @ G + 2 * forced / gap
            jacobian[..., R, R + 1] = -2 * T.W_delta_inf @ G - 2 * forced / gap
        self._keep_symmetry(kappa, out, jacobian)
        return out, jacobian, T

    def missed(self, x, relative=False):
        """Estimated errors of the residuals at one point (size,), from averages over pairs; beyond rounding.

        With ``relative`` the largest one, as in :meth:`relative`.
        """
        out = np.zeros(self.size)
        if self.terms is None:
            p, G = self.problem, self.problem.coupling[0]
            C, W = correlations.pair_error(p.transfer, *self.variances(x), self.static)
            out[-1] = G @ C
            if not self.static:
                out[p.rank] = 2 * G @ W
        return np.abs(self.relative(out, x)).max() if relative else out

    def _keep_symmetry(self, kappa, out, jacobian):
        """At kappa = 0 of a symmetric problem kappa stays exactly 0, also where its own equation is singular."""
        R = self.problem.rank
        still = (kappa == 0).all(-1) & symmetric(self.problem)
        out[still, :R] = 0.0
        jacobian[still, :R, R:] = 0.0
        jacobian[still, R:, :R] = 0.0

    def slaved_jacobian(self, jacobian):
        """d(tau dkappa/dt)/dkappa with the variances slaved to kappa, the Schur complement: (..., R, R)."""
        R = self.problem.rank
        A, B = jacobian[..., :R, :R], jacobian[..., :R, R:]
        return A - B @ np.linalg.solve(jacobian[..., R:, R:], jacobian[..., R:, :R])

    def relative(self, residual, x):
        """Residuals relative to the sizes of the terms they are made of: (..., size)."""
        kappa, d0, d_inf = self.split(x)
        R = self.problem.rank
        out = np.empty_like(residual)
        scale = np.abs(kappa).max(-1, initial=0.0) + np.sqrt(d0)
        out[..., :R] = residual[..., :R] / scale[..., None]
        out[..., -1] = residual[..., -1] / d0
        if not self.static:
            out[..., R] = residual[..., R]
        return out

    def step(self, x):
        """A full step of Newton's method at one point: (size,)."""
        residual, jacobian, _ = self(x[None])
        return _solve(jacobian, -residual)[0]

    def newton(self, x, steps=_MAX_STEPS):
        """Newton's method from many points (B, size) at once: (points, residuals relative, converged, Jacobians).

        Steps are shortened where they would leave 0 <= D_inf < D_0; singular directions are stepped over (least
        squares), so that on a ring of solutions the nearest point is found.
        """
        step = max(1, _BATCH // (self.problem.n_populations * (self.terms or _PAIRS)))
        if len(x) > step:
            parts = [self.newton(part, steps) for part in np.split(x, range(step, len(x), step))]
            return tuple(np.concatenate(q) for q in zip(*parts, strict=True))
        x = np.array(x, float)
        converged = np.zeros(len(x), bool)
        previous = np.full(len(x), np.inf)
        active = np.isfinite(x).all(-1)
        error, jacobians = np.full(len(x), np.inf), np.zeros((len(x), self.size, self.size))
        for _ in range(steps):
            index = np.flatnonzero(active)
            if not index.size:
                break
            largest = _LOST if self.terms is None else _LOST_TO_SERIES
            lost = ~(x[index, self.problem.rank] < largest) | self._closed(x[index])
            active[index[lost]] = False
            index = index[~lost]
            residual, jacobian, _ = self(x[index])
            jacobians[index] = jacobian
            error[index] = np.abs(self.relative(residual, x[index])).max(-1)
            fine = np.isfinite(jacobian).all((-1, -2)) & np.isfinite(residual).all(-1)
            active[index[~fine]] = False
            index, residual, jacobian = index[fine], residual[fine], jacobian[fine]
            new, size = self._stepped(x[index], _solve(jacobian, -residual))
            x[index] = new
            done = (size <= _STEP) | ((size <= _STALLED) & (size >= previous[index] / 2))
            previous[index] = size
            converged[index[done]] = True
            active[index[done]] = False
        return x, error, converged, jacobians

    def _closed(self, x):
        """Where the gap between D_0 and D_inf has closed, down to rounding."""
        _, d0, d_inf = self.split(x)
        return np.zeros(len(x), bool) if self.static else ~(d0 - d_inf > _CLOSED * d0)

    def _stepped(self, x, step):
        """The point after a step, and the size of the step relative to the unknowns."""
        R = self.problem.rank
        kappa, d0, d_inf = self.split(x)
        scale = np.abs(kappa).max(-1, initial=0.0) + np.sqrt(d0)
        size = np.maximum(np.abs(step[..., :R]).max(-1, initial=0.0) / scale, np.abs(step[..., R]) / d0)
        if not self.static:
            gap, change = d0 - d_inf, step[..., R] - step[..., R + 1]
            size = np.maximum(size, np.abs(change) / gap)
        factor = 1 / np.maximum(1.0, size / _SHARE)
        new = x + factor[..., None] * step
        if not self.static:
            new[..., R + 1] = np.maximum(new[..., R + 1], 0.0)
        return new, size


def _solve(matrix, right):
    """Least-squares solutions of (B, n, n) systems whose directions of size eps are left out."""
    scale = np.abs(matrix).max(-1, keepdims=True)
    scale = np.where(scale > 0, scale, 1.0)
    u, s, vh = np.linalg.svd(matrix / scale)
    inverse = np.where(s > 1e-13 * s[..., :1], 1 / np.where(s > 0, s, 1.0), 0.0)
    left = (u.mT @ (right / scale[..., 0])[..., None])[..., 0]
    return (vh.mT @ (inverse * left)[..., None])[..., 0]
