r"""Averages of products over two Gaussians of one mean and variance, for functions with kinks.

phi is a sum of truncated powers J (x - theta)_+^n / n!, one for every jump J of the n-th derivative at a kink theta,
and of a rest that is smooth enough for a Hermite series. The products of two truncated powers have closed forms
(docs: :eq:`kinked-powers`); what is left is a series again, whose terms fall fast (:eq:`kinked-split`). Piecewise
polynomials leave a polynomial, whose series ends.
"""

import itertools
import math
from functools import cached_property

import numpy as np
from scipy import special

from ..averages import pair_average
from ..functions.elementary import density
from ..gaussian.hermite import hermite_coefficients, hermite_functions

# Terms of the series of the rest: the first number, and the last.
_FIRST, _MOST = 32, 2048
# Products of truncated powers up to this sum of their degrees are closed forms, the others join the series: it still
# ends early enough, and powers of a high degree, which cancel against the rest, do not meet each other.
_TOGETHER = 6
# Coefficients over which the end of a series is judged: some of them vanish by symmetry.
_LAST = 8
# Kinks further than so many standard deviations from every mean are not felt.
_REACH = 9.0
# Share of the slope that the series may leave out, and rounding relative to the size of the truncated powers.
# Beyond so many standard deviations a density is 0. Stands for a variance of 0.
_FAR, _TINY = 50.0, 1e-300
_GOAL, _ROUNDING = 1e-11, 8 * np.finfo(float).eps


class KinkedPairs:
    """<phi(x) phi(x')> and <phi'(x) phi'(x')> for means and variances (...) at correlations (..., n).

    Parameters
    ----------
    t : Transfer
        With kinks.
    mean, variance : ndarray (...)
    """

    def __init__(self, t, mean, variance):
        self.mean, self.variance = np.broadcast_arrays(np.asarray(mean, float), np.asarray(variance, float))
        self._s = np.sqrt(self.variance)
        felt = (np.abs(self.mean - kink) <= _REACH * self._s for kink in t.kinks)
        self.kinks = [
            (float(kink), {n: size for n, size in enumerate(jumps) if size})
            for kink, jumps, near in zip(t.kinks, t.jumps, felt, strict=True)
            if near.any()
        ]
        self._orders = sorted({n for _, jumps in self.kinks for n in jumps})
        rest, count = _Rest(t, self.kinks), _FIRST
        while True:
            r, p = hermite_coefficients(rest, self.mean, self.variance, count), self._coefficients(count)
            self._w = (r + sum(p.values())) ** 2 - sum(p[n] * p[m] for n in p for m in p if n + m <= _TOGETHER)
            self._left = np.abs(self._w[..., -_LAST:]).max(-1)
            if count >= _MOST or (self._left * count**2 <= self._enough).all():
                break
            count *= 4

    @cached_property
    def _rounding(self):
        """Estimated rounding errors of values and slopes: (2, ...)."""

        def size(order):
            rows = {n: self._size(n, order) for n in self._orders}
            return sum(rows[n] * rows[m] for n in rows for m in rows if n + m <= _TOGETHER)

        every = sum((self._size(n, 0) for n in self._orders), np.zeros(self.mean.shape))
        return _ROUNDING * np.stack([size(0) + every, size(1) + every])

    def _size(self, n, order):
        """Bound of the root mean square of the order-th derivative of the truncated powers n: (...)."""
        if n < order:
            return np.zeros(self.mean.shape)
        k, total = n - order, 0.0
        for kink, jumps in self.kinks:
            reach = np.abs(self.mean - kink) + np.sqrt(k) * self._s
            total = total + abs(jumps.get(n, 0.0)) * reach**k / math.factorial(k)
        return total

    @property
    def _enough(self):
        value, slope = self._rounding
        return np.maximum(value, self.variance * np.maximum(slope, _GOAL * self._size(1, 1) ** 2))

    @cached_property
    def error(self):
        """Estimated absolute errors of :meth:`value` and :meth:`slope`: (2, ...)."""
        count = self._w.shape[-1]
        left = self._left * np.stack([np.full(self.mean.shape, count), count**2 / np.maximum(self.variance, _TINY)])
        return left + self._rounding

    def weighted_error(self, ratio):
        """Estimated absolute error of int_0^1 (1 - s) <phi' phi'> ds, s from a correlation (...) up to 1.

        The series' term k enters with k/2 or, if that is less, with 1/(k (1 - ratio)^2), over the variance.
        """
        count = self._w.shape[-1]
        share = np.minimum(count / 2, 1 / (count * np.maximum(1 - ratio, _TINY**0.25) ** 2))
        return self._left * count * share / np.maximum(self.variance, _TINY) + self._rounding[1] / 2

    def value(self, correlation):
        """<phi(x) phi(x')>, the shape of correlation."""
        return self._powers(correlation, 0) + _series(self._w, correlation)

    def slope(self, correlation):
        """<phi'(x) phi'(x')>, the shape of correlation; inf at correlation 1 where phi jumps."""
        k = np.arange(1, self._w.shape[-1])
        weights = k * self._w[..., 1:] / np.maximum(self.variance, _TINY)[..., None]
        return self._powers(correlation, 1) + _series(weights, correlation)

    def _powers(self, correlation, order):
        """Products of truncated powers of degrees n, m with n + m <= _TOGETHER."""
        total = np.zeros(np.broadcast_shapes(np.shape(correlation), (*self.mean.shape, 1)))
        for i, (first, left) in enumerate(self.kinks):
            for second, right in self.kinks[: i + 1]:
                product = Products(self.mean[..., None], self.variance[..., None], first, second, correlation)
                twice = 1 if first == second else 2
                for n, m in itertools.product(left, right):
                    if n + m <= _TOGETHER:
                        total += twice * left[n] * right[m] * product(n - order, m - order)
        return total

    def _coefficients(self, count):
        """Per degree n the coefficients sum J s^k <(x - theta)_+^(n - k) / (n - k)!> / sqrt(k!): n -> (..., count)."""
        out = {n: np.zeros((*self.mean.shape, count)) for n in self._orders}
        k = np.arange(count)
        for kink, jumps in self.kinks:
            u = np.clip((kink - self.mean) / np.maximum(self._s, _TINY), -_FAR, _FAR)
            # h_j(u) times the density: of the j-th derivative of a Dirac mass
            h = hermite_functions(u.ravel(), count).T.reshape(*u.shape, count)
            h = h * np.exp(-(u**2) / 4)[..., None] / (2 * math.pi) ** 0.25
            moments = _truncated(self.mean - kink, self._s, max(jumps))
            for n, jump in jumps.items():
                for j in range(n + 1):
                    out[n][..., j] += jump * self._s**j * moments[n - j] / math.sqrt(math.factorial(j))
                ratio = np.exp((special.gammaln(k[n + 1 :] - n) - special.gammaln(k[n + 1 :] + 1)) / 2)
                out[n][..., n + 1 :] += jump * (self._s**n)[..., None] * h[..., : count - n - 1] * ratio
        return out


class _Rest:
    """phi without its truncated powers, for :func:`~meanfield.gaussian.hermite.hermite_coefficients`."""

    def __init__(self, t, kinks):
        self.t, self.kinks, self.bounds = t, kinks, t.bounds

    def __call__(self, x):
        out = self.t(x)
        for kink, jumps in self.kinks:
            if 0 in jumps and (x == kink).any():  # whatever phi is there, halfway between both sides
                sides = self.t(np.array([np.nextafter(kink, -np.inf), np.nextafter(kink, np.inf)]))
                out = np.where(x == kink, sides.mean(), out)
        for kink, jumps in self.kinks:
            above = np.maximum(x - kink, 0.0)
            for n, jump in jumps.items():
                out = out - jump * (above**n / math.factorial(n) if n else np.heaviside(x - kink, 0.5))
        return out


class Products:
    """E[T_n(x - first) T_m(x' - second)], T_n(x) = x_+^n / n!, T_-1 the Dirac mass: a call for each (n, m) >= -1.

    By parts, n E[T_n T_m] = E[x T_(n-1) T_m] = mu E[T_(n-1) T_m] + v E[T_(n-2) T_m] + rho v E[T_(n-1) T_(m-1)].
    """

    def __init__(self, mean, variance, first, second, correlation):
        self.a, self.b, self.v, self.rho = mean - first, mean - second, variance, np.asarray(correlation, float)
        self.same = first == second
        self._apart, self._known = first - second, {}

    def __call__(self, n, m):
        """The average, the shape of correlation."""
        if self.same and n < m:
            n, m = m, n
        if (n, m) not in self._known:
            self._known[n, m] = self._made(n, m)
        return self._known[n, m]

    def _made(self, n, m):
        if m == -1:
            return self._beside(self.b, self.a, -self._apart, n)
        if n == -1:
            return self._beside(self.a, self.b, self._apart, m)
        if n == m == 0:
            return pair_average("step", mean=(self.a, self.b), variance=self.v, correlation=self.rho)
        c = self.rho * self.v
        if n >= m:
            return (self.a * self(n - 1, m) + self.v * self._or_zero(n - 2, m) + c * self._or_zero(n - 1, m - 1)) / n
        return (self.b * self(n, m - 1) + self.v * self._or_zero(n, m - 2) + c * self._or_zero(n - 1, m - 1)) / m

    def _or_zero(self, n, m):
        return self(n, m) if min(n, m) >= -1 else 0.0

    def _beside(self, there, here, apart, n):
        """A Dirac mass at one threshold times T_n at the other: a density times an average under the condition."""
        s = np.sqrt(self.v)
        mean = apart + (1 - self.rho) * there  # of the other variable, less its threshold
        spread = s * np.sqrt((1 - self.rho) * (1 + self.rho))
        return density(there / s) / s * _truncated(mean, spread, n)[n]


def _truncated(mean, s, highest):
    """<T_n> for n = -1 .. highest over N(mean, s^2), s >= 0: a mapping n -> array."""
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.where(mean == 0, 0.0, mean / s)
        out = {-1: np.where(s > 0, density(u) / s, np.where(mean == 0, np.inf, 0.0)), 0: special.ndtr(u)}
    if highest >= 1:
        out[1] = mean * out[0] + s * density(u)
    for n in range(2, highest + 1):
        out[n] = (mean * out[n - 1] + s**2 * out[n - 2]) / n
    return out


def _series(weights, x):
    """sum_k weights_k x^k for weights (..., K) and x (..., n), by Horner's rule."""
    out = np.zeros(np.broadcast_shapes(np.shape(x), (*weights.shape[:-1], 1)))
    for k in range(weights.shape[-1] - 1, -1, -1):
        out = out * x + weights[..., k, None]
    return out
