"""Gaussian averages of tanh and its derivatives with a proved error: at most 63 evaluations of tanh at any variance.

Narrow Gaussians take the trapezoidal rule with fixed nodes, corrected by the residues of the nearest poles of tanh
(docs: :eq:`eq-average-trapezoid`); wide ones the erf of the sign function plus a Gauss rule for what is left
(docs: :eq:`eq-average-wide`). :mod:`meanfield.gaussian.tanh_errors` holds the proofs.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from ..functions.elementary import density, hermite, log_cosh, tanh_polynomials
from ..transfer import get_transfer
from .tanh_errors import BEYOND, ROWS, WIDE_ROWS, narrow_error, rounding_error, wide_error
from .tanh_rule import RULES

TANH = get_transfer("tanh")
_TOPS = np.array([row.top for row in (*ROWS, *WIDE_ROWS)])
_CHUNK = 1 << 13  # numbers at a time: they stay in the first cache, and below the allocator's threshold for fresh pages


def tanh_averages(mean, variance, orders):
    """Averages of tanh^(k) over N(mean, variance) for k in orders (-1..5), and their proved errors.

    mean, variance: flat arrays of one length n. Returns two arrays (len(orders), n).
    """
    orders = tuple(orders)
    if mean.size == 1:
        return _one_row(int(_TOPS.searchsorted(variance[0])), mean, variance, orders)
    row_of = _TOPS.searchsorted(variance)
    counts = np.bincount(row_of, minlength=_TOPS.size)
    if counts.max(initial=0) == mean.size and mean.size:
        return _one_row(int(row_of[0]), mean, variance, orders)
    values, errors = np.empty((2, len(orders), mean.size))
    for index in np.flatnonzero(counts):
        pick = np.flatnonzero(row_of == index)
        values[:, pick], errors[:, pick] = _one_row(index, mean[pick], variance[pick], orders)
    return values, errors


def _one_row(index, mean, variance, orders):
    """All variances in one row of the tables."""
    if index == 0:
        values = np.stack([TANH(mean, k) for k in orders])
        return values, np.stack([TANH.point_error(row, mean, k) for k, row in zip(orders, values, strict=True)])
    if index < len(ROWS):
        values, truncation = (
            _narrow(mean, np.sqrt(variance), orders, ROWS[index]),
            _constants(narrow_error, index, orders),
        )
    else:
        rule = WIDE_ROWS[index - len(ROWS)]
        s = np.sqrt(variance)
        values, truncation = _wide(mean, s, orders, rule.nodes), _constants(wide_error, index, orders)
    errors = np.empty_like(values)
    errors[:] = truncation + _constants(rounding_error, index, orders)
    for i in (i for i, k in enumerate(orders) if k < 0):
        errors[i] *= np.abs(mean) + 3 * np.sqrt(variance) + math.pi
    return values, errors


@lru_cache(maxsize=512)
def _constants(kind, index, orders):
    row = (*ROWS, *WIDE_ROWS)[index]
    return np.array([[kind(row, k)] for k in orders])


# ---- narrow: trapezoid and residues --------------------------------------------------------------


@lru_cache
def _trapezoid(row):
    z = (np.arange(row.nodes) - row.nodes // 2) * row.step
    return z, row.step * density(z)


def _narrow(mean, s, orders, row):
    z, weights = _trapezoid(row)
    out = np.empty((len(orders), mean.size))
    top, chunk = max(orders), _CHUNK // row.nodes
    for start in range(0, mean.size, chunk):
        part = slice(start, start + chunk)
        x = s[part, None] * z
        x += mean[part, None]
        if -1 in orders:
            primitive = log_cosh(x) @ weights
        jet = tanh_polynomials(np.tanh(x, out=x), top) if top >= 0 else ()
        for i, k in enumerate(orders):
            out[i, part] = primitive if k < 0 else jet[k] @ weights
    if row.corrections:
        near = np.flatnonzero(np.abs(mean) < BEYOND * s) if -1 not in orders else np.arange(mean.size)
        if near.size:
            out[:, near] -= _residues(mean[near], s[near], orders, row)
    return out


def _residues(mean, s, orders, row):
    """What the trapezoid adds wrongly because of the poles of tanh, differentiated in the mean: (len(orders), n)."""
    total = np.zeros((len(orders), mean.size))
    for pole, harmonic in row.corrections:
        omega = 2 * math.pi * harmonic / row.step
        z = (1j * math.pi * (pole + 0.5) - mean) / s
        gauss = np.exp(z * (1j * omega - 0.5 * z)) * (4j * math.pi / math.sqrt(2 * math.pi) / s)
        for i, k in enumerate(orders):
            total[i] += (_hermite_function(k, z - 1j * omega) * gauss).real / s**k
    return total


def _hermite_function(order, zeta):
    """He_order(zeta); at order -1 the antiderivative's factor, sqrt(pi/2) times Faddeeva's function."""
    if order >= 0:
        return hermite(order, zeta)
    sign = np.where(zeta.real < 0, -1.0, 1.0)
    return sign * math.sqrt(math.pi / 2) * special.wofz(1j * sign * zeta / math.sqrt(2))


# ---- wide: sign function and Gauss rule ----------------------------------------------------------


@lru_cache
def _signed_rule(size):
    """Nodes +-t, and weights of the density of the odd function -sign x w(|x|)."""
    table = np.array(RULES[size][1])
    t, w = table.T
    return np.concatenate([-t[::-1], t]), np.concatenate([-w[::-1], w]) / math.sqrt(2 * math.pi)


def _wide(mean, s, orders, size):
    nodes, weights = _signed_rule(size)
    out = np.empty((len(orders), mean.size))
    top, chunk = max(orders), _CHUNK // nodes.size
    for start in range(0, mean.size, chunk):
        part = slice(start, start + chunk)
        m, width = mean[part], s[part]
        u = nodes - m[:, None]
        u *= (1 / width)[:, None]
        if top >= 0:
            gauss = np.square(u)
            gauss *= -0.5
            np.exp(gauss, out=gauss)
        for i, k in enumerate(orders):
            if k < 0:
                rest = special.ndtr(-u) @ weights * math.sqrt(2 * math.pi) + math.log(2)
            else:
                rest = (hermite(k, u) * gauss if k else gauss) @ weights / width ** (k + 1)
            out[i, part] = -rest
    for i, k in enumerate(orders):
        out[i] += _sign_average(mean, s, k)
    return out


def _sign_average(mean, s, order):
    """d^order/dmean^order of <sign x> = erf(mean / (s sqrt 2)); order -1 is <|x|>."""
    u = mean / s
    if order < 0:
        return mean * special.erf(u / math.sqrt(2)) + 2 * s * density(u)
    if order == 0:
        return special.erf(u / math.sqrt(2))
    return (-1) ** (order - 1) * 2 * hermite(order - 1, u) * density(u) / s**order
