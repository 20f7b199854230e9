"""A function of a Gaussian, expanded in Hermite polynomials: averages over correlated pairs become power series.

With x = mean + s z and orthonormal h_k = He_k / sqrt(k!), c_k = <phi(x) h_k(z)>. For a pair of correlation rho Mehler's
formula gives <phi(x) phi(x')> = sum_k c_k c'_k rho^k (docs: :eq:`mehler`), and Parseval's bounds what is left out:
|rest after K| <= |rho|^(K+1) sqrt(t t') with the tails t = <phi^2> - sum_{k <= K} c_k^2.
"""

import math
from functools import lru_cache

import numpy as np

from ..transfer import get_transfer
from .resolution import shortest_scale

#: exp(-z^2/4), which the integrand carries, is 1e-17 there.
REACH = 12.5
_BATCH = 1 << 20
_MOST = 1 << 27  # numbers in one basis
_TANH_SCALE = shortest_scale(get_transfer("tanh").bounds)
# Node counts are rounded up to multiples of this, so that few bases are made.
_ROUND = 32


def hermite_coefficients(t, mean, variance, count):
    """c_k for k = 0 .. count - 1 of a transfer function without kinks: shape (*batch, count).

    The trapezoidal rule is used with as many nodes as the polynomials' oscillations and the function's own scale ask
    for; each coefficient's absolute error is a few roundings of sup|phi| on the Gaussian.

    Parameters
    ----------
    t : Transfer
    mean, variance : ndarray, broadcast against each other; variance >= 0
    count : int
    """
    mean, variance = np.broadcast_arrays(np.asarray(mean, float), np.asarray(variance, float))
    shape, mean, s = mean.shape, mean.ravel(), np.sqrt(variance.ravel())
    out = np.empty((mean.size, count))
    # exp(-pi^2 / (s h)) for poles at distance pi / (2 s), exp(-(2 pi / h - q)^2 / 2) for the polynomials' wavenumbers q
    steep = max(1.0, _TANH_SCALE / shortest_scale(t.bounds))
    widest = max(s.max(initial=0.0) * min(steep, 1e3), 0.25)
    step = min(2 * math.pi / wavenumber(count), math.pi**2 / (44 * widest))
    half = _ROUND * math.ceil(REACH / step / _ROUND)
    if half * count > _MOST:
        raise ValueError(
            f"an expansion of {count} terms at standard deviation {s.max():.3g} takes more than {8 * _MOST} bytes: "
            "bring the variance of the input to the scale of the transfer function"
        )
    z, basis = _basis(half, count)
    size = max(1, _BATCH // z.size)
    for start in range(0, mean.size, size):
        part = slice(start, start + size)
        out[part] = t(mean[part, None] + s[part, None] * z) @ basis
    return out.reshape(*shape, count)


def wavenumber(count):
    """The largest wavenumber in z that the first ``count`` polynomials and the Gaussian have together."""
    return REACH + 1.1 * math.sqrt(4 * count + 2)


@lru_cache(maxsize=8)
def _basis(half, count):
    """Nodes of the trapezoid (2 half + 1,), and what the values there are multiplied with (nodes, count)."""
    z = np.linspace(-REACH, REACH, 2 * half + 1)
    weight = np.exp(-z * z / 4) * (z[1] - z[0]) / (2 * math.pi) ** 0.25
    return z, (hermite_functions(z, count) * weight).T


def hermite_functions(z, count):
    """psi_k(z) = h_k(z) exp(-z^2/4) / (2 pi)^(1/4) for k = 0 .. count - 1: (count, nodes), by the stable recurrence."""
    out = np.empty((count, z.size))
    out[0] = np.exp(-z * z / 4) / (2 * math.pi) ** 0.25
    if count > 1:
        out[1] = z * out[0]
    for k in range(2, count):
        out[k] = (z * out[k - 1] - math.sqrt(k - 1) * out[k - 2]) / math.sqrt(k)
    return out
