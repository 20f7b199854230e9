"""A function of a Gaussian, expanded in Hermite polynomials: averages over correlated pairs become power series.

With x = mean + s z and orthonormal h_k = He_k / sqrt(k!), c_k = <phi(x) h_k(z)>. For a pair of correlation rho Mehler's
formula gives <phi(x) phi(x')> = sum_k c_k c'_k rho^k (docs: :eq:`mehler`), and Parseval's bounds what is left out:
|rest after K| <= |rho|^(K+1) sqrt(t t') with the tails t = <phi^2> - sum_{k <= K} c_k^2.
"""

import math

import numpy as np

_REACH = 12.5  # exp(-z^2/4), which the integrand carries, is 1e-17 there
_BATCH = 1 << 20


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
    # Error of the trapezoid exp(-2 pi d / h): d is the strip in z where phi is regular; the polynomials have
    # wavenumbers up to sqrt(4 k + 2), which add to those of phi.
    widest = s.max(initial=0.0)
    # exp(-pi^2 / (s h)) for poles at distance pi / (2 s), exp(-(2 pi / h - q)^2) for wavenumbers q of the polynomial
    step = min(2 * math.pi / (12.5 + 1.1 * math.sqrt(4 * count + 2)), math.pi**2 / (40 * max(widest, 0.25)))
    nodes = 2 * math.ceil(_REACH / step) + 1
    z = np.linspace(-_REACH, _REACH, nodes)
    basis = _hermite_functions(z, count) * (np.exp(-z * z / 4) * (z[1] - z[0]) / (2 * math.pi) ** 0.25)
    for start in range(0, mean.size, max(1, _BATCH // nodes)):
        part = slice(start, start + max(1, _BATCH // nodes))
        out[part] = t(mean[part, None] + s[part, None] * z) @ basis.T
    return out.reshape(*shape, count)


def _hermite_functions(z, count):
    """psi_k(z) = h_k(z) exp(-z^2/4) / (2 pi)^(1/4) for k = 0 .. count - 1: (count, nodes), by the stable recurrence."""
    out = np.empty((count, z.size))
    out[0] = np.exp(-z * z / 4) / (2 * math.pi) ** 0.25
    if count > 1:
        out[1] = z * out[0]
    for k in range(2, count):
        out[k] = (z * out[k - 1] - math.sqrt(k - 1) * out[k - 2]) / math.sqrt(k)
    return out
