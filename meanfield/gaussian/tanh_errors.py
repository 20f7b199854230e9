"""Proved errors of the averages of tanh: which rule serves which variance, and how wrong it can be.

Derivations: docs, :eq:`eq-average-trapezoid-bound` and :eq:`eq-average-wide-bound`.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from ..transfer import get_transfer
from .tanh_rule import RULES

TANH = get_transfer("tanh")
REACH = 8.2  #: the trapezoid covers |z| <= 8.2; 2.4e-16 of the Gaussian lies beyond
BEYOND = 9.0  #: a residue is left out where |mean| > 9 s
_U = np.finfo(float).eps / 2


class Row(NamedTuple):
    """A trapezoidal rule for variances up to ``top``: number of nodes, and the (pole, harmonic) pairs of its
    residues.
    """

    top: float
    nodes: int
    corrections: tuple = ()

    @property
    def step(self):
        """Distance of the nodes."""
        return 2 * REACH / (self.nodes - 1)


class WideRow(NamedTuple):
    """A Gauss rule for variances from ``bottom`` to ``top``."""

    bottom: float
    top: float
    nodes: int


#: variance 0 first (the function itself), then the trapezoidal rules
ROWS = (
    Row(0.0, 1),
    Row(0.08, 31),
    Row(0.15, 41),
    Row(0.4, 63),
    Row(2.0, 63, ((0, 1),)),
    Row(5.0, 63, ((0, 1), (0, 2), (1, 1))),
)
WIDE_ROWS = (WideRow(5.0, 20.0, 32), WideRow(20.0, math.inf, 12))


def narrow_error(row, order):
    """Bound of the truncation error of a trapezoidal rule; at order -1 per unit of |mean| + 3 s + pi.

    Tail beyond the last node; for s >= h/2 the contour at the height where tanh is real again and the residues left
    out, each at the row's largest variance, where it is largest; for s < h/2 a contour below the first pole.
    """
    s, h = math.sqrt(row.top), row.step
    size = 1.0 if order < 0 else TANH.bounds[order]
    tail = (6 if order < 0 else 2 * size) * float(special.ndtr(-REACH))
    below = min(_below_pole(order, 0.01 * i, h) for i in range(10, 314))
    poles = 1 + max((pole for pole, _ in row.corrections), default=0)
    height = poles * math.pi / s
    contour = sum(2 * size * math.exp(height * (height / 2 - 2 * math.pi * m / h)) for m in (1, 2, 3))
    residues = 0.0
    for pole in range(poles):
        y = math.pi * (pole + 0.5) / s
        for m in range(1, 5):
            omega = 2 * math.pi * m / h
            amplitude = 4 * math.pi / math.sqrt(2 * math.pi) / s ** (order + 1) * math.exp(y * (y / 2 - omega))
            start = BEYOND if (pole, m) in row.corrections else 0.0
            residues += amplitude * _largest_hermite(order, abs(omega - y), start)
    return tail + max(below, contour + residues)


def _below_pole(order, eta, h):
    """Contour at height eta/h < pi/h: there |tanh| <= max(1, tan(s eta/h)) with s <= h/2, and its derivatives
    follow.
    """
    t = max(1.0, math.tan(eta / 2))
    d = 1 + t * t
    jet = (t, d, 2 * t * d, d * (4 + 6 * d), t * d * (24 * d + 8), d * (16 + 120 * d + 120 * d * d))
    size = 1.0 if order < 0 else jet[order]
    return 2.1 * size * math.exp((eta * eta / 2 - 2 * math.pi * eta) / (h * h))


def _largest_hermite(order, y, start):
    """Upper bound of |He_order(x + i y)| exp(-x^2/2) over real |x| >= start."""
    if order < 0:
        return math.sqrt(math.pi / 2) if start == 0 else 0.0
    total = 0.0
    for j in range(order // 2 + 1):
        power = order - 2 * j
        coefficient = math.factorial(order) / (2**j * math.factorial(j) * math.factorial(power))
        x = max(start, (math.sqrt(y * y + 4 * power) - y) / 2)  # where (x + y)^power exp(-x^2/2) peaks
        total += coefficient * (x + y) ** power * math.exp(-x * x / 2)
    return total


def wide_error(row, order):
    """Bound of the truncation error of a Gauss rule, by Cramer's inequality for Hermite functions; smallest variance
    of the row.
    """
    n, s = row.nodes, math.sqrt(row.bottom)
    log_constant = 0.5 * math.lgamma(2 * n + order + 1) - math.lgamma(2 * n + 1) + RULES[n][0]
    constant = 2 * 1.0866 * math.exp(log_constant) / math.sqrt(2 * math.pi)
    return constant * s ** -(2.0 * n + order + 1) + 1e-20  # the nodes left out weigh less than 1e-21


def rounding_error(row, order):
    """A-priori rounding error, per unit of |mean| + 3 s + pi at order -1.

    A sum of at most 64 terms (64 units), the argument mean + s z where tanh is not flat (|s z| < 60: 4 x 60 units),
    tanh and the polynomials in it (36 + 50 per order), each relative to the derivative's own bound or the next one's.
    """
    if row.top == 0:
        return 8 * _U * (1.0 if order < 0 else TANH.bounds[order])
    if order < 0:
        return 90 * _U
    return (340 + 50 * order) * _U * max(TANH.bounds[order : order + 2])
