r"""What the decay of correlations and the Lyapunov exponent need to know of one solution: functions of the excess e.

With e = Delta - Delta_inf, e_0 its value at lag 0 and W = 1 - e/e_0 in [0, 1]:

* ``slope(W)`` = S'(e) = sum_q G_q <phi' phi'>_q,
* ``rise(W)`` = L, in f = (sigma2/e_0)^2 + W L, where de/dtau = -e sqrt(f) (docs: :eq:`chaos-decay`),
* ``activity(excess)`` = C_q.

Both are positive; from series they are sums of positive terms, so that nothing cancels near the onset of chaos.
"""

import numpy as np
from numpy.polynomial import chebyshev

from . import correlations
from .correlations import powers, unit_nodes

# Chebyshev nodes of an interpolated slope: the first number, and the last.
_FIRST, _LAST = 32, 512
_CONVERGED = 1e-14
_NODES = 40
_EPS = np.finfo(float).eps


class SeriesProfile:
    """From the coefficients c (P, K) of :func:`~meanfield.dmft.correlations.coefficients`."""

    smooth = True

    def __init__(self, problem, c, delta0, delta_inf, excess0):
        K = c.shape[-1]
        k, G = np.arange(K), problem.coupling[0]
        self.delta0, self.delta_inf, self.excess0 = delta0, delta_inf, excess0
        self.weights = c**2
        self._slope = np.zeros_like(c)
        self._slope[:, :-1] = (G / delta0)[:, None] * (k[1:] * self.weights[:, 1:])
        # int (1-t) C'(Delta_inf + t e) dt = sum_j q_j rho^j, and its divided difference between rho and 1
        ratio = delta_inf / delta0
        u = np.zeros_like(c)
        u[:, :-1] = self.weights[:, 1:] / ((k[1:] + 1) * delta0[:, None])
        q = _filtered(_filtered(u, ratio), ratio)
        above = np.zeros_like(q)
        above[:, :-1] = np.cumsum(q[:, :0:-1], axis=1)[:, ::-1]
        self._rise = (2 * G * excess0 / delta0)[:, None] * above
        self.error = 4 * _EPS + correlations.series_error(c).max()

    def _sum(self, weights, W):
        W = np.asarray(W, float)
        out = np.zeros(W.shape)
        for row, share in zip(weights, self.excess0 / self.delta0, strict=True):
            out += powers(1 - W * share, len(row)) @ row
        return out

    def slope(self, W):
        """S'(e), shape of W."""
        return self._sum(self._slope, W)

    def rise(self, W):
        """L, shape of W."""
        return self._sum(self._rise, W)

    def activity(self, excess):
        """C_q at Delta_inf + excess: (..., P)."""
        ratio = (self.delta_inf + excess) / self.delta0
        return np.einsum("...pk,pk->...p", powers(ratio, self.weights.shape[-1]), self.weights)


def _filtered(x, a):
    """y_j = sum_m a^m x_(j+m) along the last axis, by doubling: (P, K) and (P,)."""
    y, shift, factor = x.copy(), 1, a.copy()
    while shift < x.shape[-1]:
        y[:, :-shift] += factor[:, None] * y[:, shift:]
        shift, factor = 2 * shift, factor**2
    return y


class PairProfile:
    """From averages over pairs, for functions with kinks or very wide Gaussians.

    With s = sqrt(W) the function s S' is analytic on [0, 1] even where phi jumps; it is interpolated once, and
    everything else follows from the interpolant by integration.
    """

    def __init__(self, problem, mean, delta0, delta_inf, excess0, forced):
        self.problem, self.forced = problem, forced
        self._pairs = correlations.pairs_of(problem.transfer, mean, delta0)
        self.delta0, self.delta_inf, self.excess0 = delta0, delta_inf, excess0
        self.smooth = correlations.smooth(problem.transfer)
        count = _FIRST
        while True:
            s = (chebyshev.chebpts1(count) + 1) / 2
            self._m = _coefficients(s * self._exact_slope(s))
            scale = max(np.abs(self._m).max(), np.finfo(float).tiny)  # 0 where g is
            tail = np.abs(self._m[-4:]).max() / scale
            if tail <= _CONVERGED or count >= _LAST:
                break
            count *= 2
        left = self.problem.coupling[0] @ self._pairs.error[1]
        self.error = 8 * _EPS + tail + left / scale
        # secant of S times e, over e_0: 2 int_s^1 m
        primitive = chebyshev.chebint(self._m)
        self._secant = -primitive
        self._secant[0] += chebyshev.chebval(1.0, primitive)

    def _exact_slope(self, s):
        rho = 1 - (self.excess0 / self.delta0)[:, None] * s**2
        return self.problem.coupling[0] @ self._pairs.slope(rho)

    def slope(self, W):
        """S'(e), shape of W; inf at W = 0 where phi jumps."""
        s = np.sqrt(np.asarray(W, float))
        if self.problem.transfer.singular > 1:
            m = chebyshev.chebval(2 * s - 1, self._m)
            small = s < 1e-3
            out = np.divide(m, s, out=np.empty_like(m), where=~small)
            if small.any():
                out[small] = self._exact_slope(s[small])
            return out
        with np.errstate(divide="ignore"):
            return np.where(s > 0, chebyshev.chebval(2 * s - 1, self._m) / s, np.inf)

    def rise(self, W):
        """L, shape of W."""
        W = np.asarray(W, float)
        x, weight = unit_nodes(_NODES)
        front, out = W <= 0.5, np.empty(W.shape)
        # towards lag 0: (1-W)^2 L = nu^2 (2-W) - 4 int_0^1 y K(s y) dy, K the restoring force over e_0
        near = W[front]
        s = np.sqrt(near)[:, None] * x
        force = 1 - s**2 - chebyshev.chebval(2 * s - 1, self._secant)
        out[front] = (self.forced**2 * (2 - near) - 4 * force @ (weight * x)) / (1 - near) ** 2
        # towards infinity: f = 1 - 2 int_0^1 (1-t) S'(t e) dt
        far = W[~front]
        rest = (1 - far)[:, None] * x
        slope = self.slope(1 - rest)
        out[~front] = (1 - 2 * slope @ (weight * (1 - x)) - self.forced**2) / far
        return out

    def activity(self, excess):
        """C_q at Delta_inf + excess: (..., P)."""
        ratio = np.minimum((self.delta_inf + np.asarray(excess)) / self.delta0, 1.0)
        return self._pairs.value(ratio.reshape(-1, ratio.shape[-1]).T).T.reshape(ratio.shape)


def _coefficients(values):
    """Chebyshev coefficients from values at ``chebpts1`` (ascending)."""
    n = len(values)
    angle = np.pi * (np.arange(n) + 0.5) / n
    basis = np.cos(np.arange(n)[:, None] * angle)
    out = basis @ values[::-1] * (2 / n)
    out[0] /= 2
    return out
