r"""The correlations C_q of a population's activity, and what the equations of time-dependent states need of them.

Mehler's formula (docs: :eq:`mehler`) makes C_q a power series in the correlation rho = Delta/Delta_0, and the weighted
integral of its slope a power series in rho_inf = Delta_inf/Delta_0, both with coefficients >= 0 (:eq:`chaos-series`):
nothing cancels. For functions with kinks, and for very wide Gaussians, the series are too long, and averages over pairs
and quadrature replace them.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np

from ..averages import gaussian_average, pair_average
from ..gaussian.hermite import hermite_coefficients
from .kinked import KinkedPairs

#: Longest series; a function that needs more terms is served by averages over pairs.
MAX_TERMS = 4096
#: Terms of a series that only guides Newton's method.
FEW_TERMS = 160
#: A series ends where its terms, times k^2 to bound what follows, are this small beside the sum of k c_k^2.
NEGLIGIBLE = 1e-16
# Coefficients over which the end of a series is judged: some of them vanish by symmetry.
_LAST = 8
# Points where the parity of a function is tried.
_NEAR, _FAR, _PROBES = 1e-3, 40.0, 97
# Panels of the quadrature that replaces a series, finer towards correlation 1, and Gauss-Legendre nodes on each.
_ENDS, _NODES = (0.0, 0.05, 0.25, 1.0), 24
# Relative step of the differences that only guide Newton's method.
_DIFFERENCE = 1e-5


class Terms(NamedTuple):
    """C = C_q(Delta_inf) and W = int_0^1 (1-s) C_q'(Delta_inf + s (Delta_0 - Delta_inf)) ds, with their derivatives.

    Every field has the shape (..., P). The derivatives are those in the population's mean, in Delta_0 and in
    Delta_inf.
    """

    C: Any
    C_mean: Any
    C_delta0: Any
    C_delta_inf: Any
    W: Any
    W_mean: Any
    W_delta0: Any
    W_delta_inf: Any
    gain: Any  #: <phi>, <phi'>, <phi''>, <phi'''>: (4, ..., P)


def smooth(t):
    """Whether the series serve this transfer function at all."""
    return not t.kinks


def odd(t):
    """Whether phi(-x) = -phi(x), by its values where its parity is not known."""
    if t.odd:
        return True
    if t.symmetry == "mirror":
        return False
    x = np.concatenate([[0.0], np.geomspace(_NEAR, _FAR, _PROBES), np.abs(t.kinks) * (1 + _NEAR)])
    with np.errstate(all="ignore"):
        x = x[~np.isin(x, t.kinks)]  # at a jump the value is one of its sides
        right, left = t(x), t(-x)
        error = np.maximum(t.point_error(right, x, 0), t.point_error(left, -x, 0))
        return bool((np.abs(right + left) <= 2 * error).all())


def coefficients(t, mean, variance, start=FEW_TERMS):
    """c_k (..., P, K) with K large enough for full precision; None where that takes more than ``MAX_TERMS``."""
    if not smooth(t):
        return None
    count = start
    while True:
        c = hermite_coefficients(t, mean, variance, count)
        error = series_error(c).max()
        if error <= NEGLIGIBLE:
            return c
        # next to poles c_k falls like exp(-const sqrt(k)): no use going on where that misses the goal
        if count >= MAX_TERMS or (count > FEW_TERMS and error > NEGLIGIBLE ** np.sqrt(count / MAX_TERMS)):
            return None
        count = min(2 * count, MAX_TERMS)


def series_error(c):
    """Estimated relative size (..., P) of what the sum of k c_k^2, the longest one, leaves out."""
    k = np.arange(c.shape[-1])
    total = (k * c**2).sum(-1)
    last = (c[..., -_LAST:] ** 2).max(-1) * c.shape[-1] ** 2
    return np.divide(last, total, out=np.zeros_like(last), where=total > 0)


def needed(c):
    """How many of the coefficients c (..., P, K) keep :func:`series_error` negligible."""
    k = np.arange(c.shape[-1])
    total = (k * c**2).sum(-1, keepdims=True)
    kept = np.flatnonzero(((k + 1) ** 2 * c**2 > NEGLIGIBLE * total).reshape(-1, c.shape[-1]).any(0))
    return min(c.shape[-1], int(kept[-1]) + 1 + _LAST if kept.size else _LAST)


def powers(x, count):
    """x^0 .. x^(count - 1): (..., count)."""
    out = np.empty((*np.shape(x), count))
    out[..., 0] = 1.0
    out[..., 1:] = np.asarray(x)[..., None]
    return np.multiply.accumulate(out, axis=-1, out=out)


def series_terms(c, variance, delta_inf):
    """:class:`Terms` from the coefficients c (..., P, K + 2) at Delta_0 = ``variance``; see :eq:`chaos-series`."""
    K = c.shape[-1] - 2
    k, s = np.arange(K), np.sqrt(variance)[..., None]
    head, w = c[..., :K], c[..., :K] ** 2
    w_mean = 2 * head * np.sqrt(k + 1) * c[..., 1:-1] / s
    w_delta0 = head * (np.sqrt((k + 1) * (k + 2)) * c[..., 2:] + k * head) / variance[..., None]
    a = delta_inf / variance
    power = powers(a, K)
    sums, slopes = np.zeros_like(power), np.zeros_like(power)
    np.cumsum((k[:-1] + 1) * power[..., :-1], axis=-1, out=sums[..., 1:])
    np.cumsum(((k + 1) * (k + 2))[: K - 2] * power[..., : K - 2], axis=-1, out=slopes[..., 2:])
    sums, slopes = (x / ((k + 1) * variance[..., None]) for x in (sums, slopes))
    C, W = _dot(w, power), _dot(w, sums)
    C_a, W_a = _dot(k[1:] * w[..., 1:], power[..., :-1]), _dot(w, slopes)
    return Terms(
        C,
        _dot(w_mean, power),
        _dot(w_delta0, power) - C_a * a / variance,
        C_a / variance,
        W,
        _dot(w_mean, sums),
        _dot(w_delta0, sums) - (W + W_a * a) / variance,
        W_a / variance,
        gains_from(c, variance),
    )


def _dot(a, b):
    return np.einsum("...k,...k->...", a, b)


def gains_from(c, variance):
    """<phi^(j)> = sqrt(j!) c_j / s^j for j = 0..3: (4, ..., P)."""
    s = np.sqrt(variance)
    return np.stack([c[..., 0], c[..., 1] / s, np.sqrt(2) * c[..., 2] / s**2, np.sqrt(6) * c[..., 3] / s**3])


class AveragePairs:
    """<phi(x) phi(x')> and <phi'(x) phi'(x')> of a smooth function for means and variances (...), by quadrature."""

    def __init__(self, t, mean, variance):
        self._t, self._mean, self._variance = t, mean[..., None], variance[..., None]
        self.error = np.zeros((2, *np.shape(mean)))

    def weighted_error(self, ratio):
        """As :meth:`~meanfield.dmft.kinked.KinkedPairs.weighted_error`."""
        return np.zeros(np.shape(ratio))

    def value(self, correlation):
        """<phi(x) phi(x')> at correlations (..., n)."""
        return pair_average(self._t, mean=self._mean, variance=self._variance, correlation=correlation)

    def slope(self, correlation):
        """<phi'(x) phi'(x')> at correlations (..., n)."""
        return pair_average(self._t, mean=self._mean, variance=self._variance, correlation=correlation, order=1)


def pairs_of(t, mean, variance):
    """Averages over pairs without a series, :class:`AveragePairs` or :class:`~meanfield.dmft.kinked.KinkedPairs`.

    Both have ``value`` and ``slope`` = dC/dDelta, which diverges at correlation 1 where phi jumps, and ``error``, the
    absolute errors of the two beyond rounding.
    """
    return (AveragePairs if smooth(t) else KinkedPairs)(t, mean, variance)


def pair_terms(t, mean, variance, delta_inf, static=False):
    """:class:`Terms` with C, W and the gains by quadrature; derivatives of C and W by differences.

    With ``static``, Delta_inf = Delta_0 throughout: the derivative in Delta_0 then is the one along both, and W, which
    static states do not need, is 0.
    """
    gap = variance if static else variance - delta_inf
    steps = _DIFFERENCE * np.stack([np.sqrt(variance), gap, gap])
    moved = np.zeros((3, 7, *mean.shape))
    for i, step in enumerate(steps):
        moved[i, 1 + i], moved[i, 4 + i] = step, -step
    if static:
        moved[2] = moved[1]
    C, W = _by_pairs(t, mean + moved[0], variance + moved[1], delta_inf + moved[2], static)
    derivatives = ((q[1:4] - q[4:]) / (2 * steps) for q in (C, W))
    gain = gaussian_average(t, mean=mean, variance=variance, order=(0, 1, 2, 3))
    return Terms(C[0], *next(derivatives), W[0], *next(derivatives), gain)


def _by_pairs(t, mean, variance, delta_inf, static):
    a, pairs = np.clip(delta_inf / variance, -1.0, 1.0)[..., None], pairs_of(t, mean, variance)
    C = pairs.value(a)[..., 0]
    return C, np.zeros_like(C) if static else _weighted(pairs, a, _NODES)


def _weighted(pairs, a, nodes):
    """W: 1 - s = x^2 takes the square root out of C' at correlation 1."""
    x, weight = (np.concatenate(q) for q in zip(*_panels(nodes), strict=True))
    return pairs.slope(1 - (1 - a) * x**2) @ (2 * weight * x**3)


def _panels(nodes):
    x, weight = unit_nodes(nodes)
    return [(low + (high - low) * x, (high - low) * weight) for low, high in itertools.pairwise(_ENDS)]


def pair_error(t, mean, variance, delta_inf, static=False):
    """Estimated absolute errors (..., P) of C and W by :func:`pair_terms`."""
    pairs, a = pairs_of(t, mean, variance), np.clip(delta_inf / variance, -1.0, 1.0)[..., None]
    if static:
        return pairs.error[0], np.zeros(mean.shape)
    coarse = np.abs(_weighted(pairs, a, _NODES // 2) - _weighted(pairs, a, _NODES))
    # the error of a Gauss rule falls by at least this power when its nodes are doubled
    return pairs.error[0], pairs.weighted_error(a[..., 0]) + coarse**1.5


def unit_nodes(count):
    """Gauss-Legendre nodes and weights on [0, 1]."""
    x, weight = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, weight / 2
