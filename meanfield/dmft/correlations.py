r"""The correlations C_q of a population's activity, and what the equations of time-dependent states need of them.

Mehler's formula (docs: :eq:`mehler`) makes C_q a power series in the correlation rho = Delta/Delta_0, and the weighted
integral of its slope a power series in rho_inf = Delta_inf/Delta_0, both with coefficients >= 0 (:eq:`chaos-series`):
nothing cancels. For functions with kinks the series are too long, and averages over pairs and quadrature replace them.
"""

from typing import Any, NamedTuple

import numpy as np

from ..averages import gaussian_average, pair_average
from ..gaussian.hermite import hermite_coefficients

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
# Nodes of the quadrature that replaces a series.
_NODES = 48
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
    a = np.clip(delta_inf / variance, -1.0, 1.0)
    C = pair_average(t, mean=mean, variance=variance, correlation=a)
    if static:
        return C, np.zeros_like(C)
    # 1 - s = x^2 takes the square root out of C' at rho = 1
    x, weight = unit_nodes(_NODES)
    rho = 1 - (1 - a)[..., None] * x**2
    return C, slope(t, mean[..., None], variance[..., None], rho) @ (2 * weight * x**3)


def slope(t, mean, variance, correlation):
    """dC/dDelta = <phi'(x) phi'(x')> (Price's theorem); inf where it diverges."""
    if t.singular > 1:
        return pair_average(t, mean=mean, variance=variance, correlation=correlation, order=1)
    mean, variance, correlation = np.broadcast_arrays(mean, variance, correlation)
    out, inside = np.full(correlation.shape, np.inf), correlation < 1
    out[inside] = pair_average(
        t, mean=mean[inside], variance=variance[inside], correlation=correlation[inside], order=1
    )
    return out


def unit_nodes(count):
    """Gauss-Legendre nodes and weights on [0, 1]."""
    x, weight = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, weight / 2
