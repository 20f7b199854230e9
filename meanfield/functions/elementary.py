"""The built-in transfer functions as plain functions: values, derivatives, primitives, and where derivatives peak."""

import math

import numpy as np
from scipy import special

MAX_ORDER = 5  #: highest derivative every built-in transfer function provides
_EPS = np.finfo(float).eps
_SIGMA = math.sqrt(2 / math.pi)  # phi' of "erf" is 2x the density of N(0, 2/pi)


# ---- tanh and its relatives ----------------------------------------------------------------------


def tanh_polynomials(t, order):
    """Derivatives 0..order of tanh as polynomials in t = tanh x and s = 1 - t^2."""
    jet = [t]
    if order >= 1:
        s = (1 - t) * (1 + t)
        jet.append(s)
    if order >= 2:
        jet.append(-2 * t * s)
    if order >= 3:
        jet.append(s * (4 - 6 * s))
    if order >= 4:
        jet.append(t * s * (24 * s - 8))
    if order >= 5:
        jet.append(s * (16 + s * (120 * s - 120)))
    return jet


def log_cosh(x):
    """log cosh x = |x| - log 2 + log(1 + exp(-2|x|)), accurate near 0."""
    x = np.abs(x)
    small = np.minimum(x, 0.5)
    near = 0.5 * np.log1p(np.sinh(small) ** 2)
    return np.where(x < 0.5, near, x - math.log(2) + np.log1p(np.exp(-2 * x)))


def tanh_jet(x, order):
    """Derivatives 0..order of tanh."""
    return tanh_polynomials(np.tanh(x), order)


def logistic_jet(x, order):
    """Derivatives 0..order of the logistic function (1 + tanh(x/2))/2."""
    jet = tanh_jet(x / 2, order)
    return [special.expit(x)] + [jet[k] / 2 ** (k + 1) for k in range(1, order + 1)]


def softplus(x):
    """log(1 + e^x)."""
    return np.logaddexp(0.0, x)


def softplus_jet(x, order):
    """Derivatives 0..order of the softplus function."""
    return [softplus(x)] + (logistic_jet(x, order - 1) if order else [])


def softplus_primitive(x):
    """-Li2(-e^x) - pi^2/12, through scipy's spence(z) = Li2(1 - z); near 0 by Gauss-Legendre, where that cancels."""
    tail = special.spence(1 + np.exp(-np.abs(x)))
    value = np.where(x > 0, x * x / 2 + math.pi**2 / 12 + tail, -tail - math.pi**2 / 12)
    near = np.abs(x) < 1
    if near.any():
        nodes, weights = np.polynomial.legendre.leggauss(16)
        half = x[near] / 2
        value[near] = half * (softplus(half[:, None] * (1 + nodes)) @ weights)
    return value


def tanh_extrema():
    """Zeros of the next derivative, as x >= 0 from s = 1 - tanh^2; both signs."""
    levels = (
        (),
        (1.0,),
        (2 / 3,),
        (1.0, 1 / 3),
        (0.5 + math.sqrt(6720) / 240, 0.5 - math.sqrt(6720) / 240),
        (1.0, (240 + math.sqrt(34560)) / 720, (240 - math.sqrt(34560)) / 720),
    )
    return tuple(_both_signs(math.atanh(math.sqrt(1 - s)) for s in row) for row in levels)


def _both_signs(points):
    return tuple(sorted({sign * x for x in points for sign in (-1.0, 1.0)}))


def suprema(shared, extrema, start):
    """Outward rounded largest value of each derivative over its extrema; start gives the ones known exactly."""
    rest = [
        max(abs(float(shared(np.float64(x), k)[k])) for x in extrema[k]) * (1 + 16 * _EPS) for k in range(len(start), 6)
    ]
    return (*start, *(float(x) for x in rest))


# ---- erf, sine and the threshold functions -------------------------------------------------------


def hermite(order, u):
    """Probabilists' Hermite polynomial He_order(u), order >= 0."""
    if order == 0:
        return np.ones_like(u)
    before, now = 1.0, u
    for k in range(1, order):
        before, now = now, u * now - k * before
    return now


def density(u):
    """Standard normal density."""
    return np.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)


def erf_value(x, order):
    """Derivatives of erf(sqrt(pi) x / 2)."""
    if order == 0:
        return special.erf(x * (math.sqrt(math.pi) / 2))
    u = x / _SIGMA
    return (-1) ** (order - 1) * 2 * hermite(order - 1, u) * density(u) / _SIGMA**order


def erf_primitive(x):
    """int_0^x of erf(sqrt(pi) t / 2)."""
    return x * erf_value(x, 0) + (2 / math.pi) * np.expm1(-math.pi / 4 * x * x)


def erf_extrema():
    """Zeros of the next derivative: roots of a Hermite polynomial."""
    r6, r10 = math.sqrt(6), math.sqrt(10)
    roots = (
        (),
        (0.0,),
        (1.0,),
        (0.0, math.sqrt(3)),
        (math.sqrt(3 - r6), math.sqrt(3 + r6)),
        (0.0, math.sqrt(5 - r10), math.sqrt(5 + r10)),
    )
    return tuple(_both_signs(_SIGMA * u for u in row) for row in roots)


def sin_value(x, order):
    """Derivatives of the sine."""
    return (np.sin(x), np.cos(x), -np.sin(x), -np.cos(x))[order % 4]


def sin_primitive(x):
    """1 - cos x, without cancellation."""
    return 2 * np.sin(x / 2) ** 2


def threshold_value(first_jump):
    """Derivatives of x^first_jump for x > 0, 0 below: a jump at order first_jump, Dirac masses beyond."""

    def value(x, order):
        at_zero = x == 0
        if order < first_jump:
            return np.where(x > 0, x, 0.0)
        if order == first_jump:
            return np.where(at_zero, 0.5, np.where(np.isnan(x), np.nan, 1.0 * (x > 0)))
        return np.where(at_zero, np.inf, np.where(np.isnan(x), np.nan, 0.0))

    return value


def relu_primitive(x):
    """x_+^2 / 2."""
    return 0.5 * np.where(x > 0, x, 0.0) ** 2


def step_primitive(x):
    """x_+."""
    return np.where(x > 0, x, 0.0)
