"""Gaussian averages known exactly: erf, threshold-linear, step and sine.

Every function takes flat arrays and returns ``(value, scale)``; the rounding error is a few dozen units in the last
place of the scale. :func:`single` and :func:`pair` are the two doors. Formulas: docs, :eq:`eq-average-erf` to
:eq:`eq-average-owen`.
"""

import math

import numpy as np
from scipy import special

from ..functions.elementary import density, hermite

ERF_VARIANCE = 2 / math.pi  #: erf(sqrt(pi)/2 x) is the sign function averaged over N(x, 2/pi)


def single(name, mean, variance, order, power=1):
    """<(phi^(order))^power> for variance > 0, or None where no closed form is known."""
    if name in ("step", "relu"):
        index = order if name == "relu" else order + 1
        return _THRESHOLD_SQUARES[index](mean, variance) if power == 2 else _threshold(mean, variance, index)
    if power == 2:
        one = np.ones_like(mean)
        return pair(name, (mean, mean), (variance, variance), one, order)
    return _erf(mean, variance, order) if name == "erf" else _sin(mean, variance, order)


# ---- single --------------------------------------------------------------------------------------


def _erf(mean, variance, order):
    v = variance + ERF_VARIANCE
    s = np.sqrt(v)
    u = mean / s
    if order < 0:
        value, scale = _absolute(mean, s)
        return value - 2 / math.pi, scale + 1
    if order == 0:
        return special.erf(u / math.sqrt(2)), np.ones_like(u)
    return 2 * density_derivative(u, s, order - 1), 2 * density_scale(u, s, order - 1)


def _absolute(mean, s):
    """<|x|>."""
    u = mean / s
    return mean * special.erf(u / math.sqrt(2)) + 2 * s * density(u), np.abs(mean) + s


def density_derivative(u, s, order):
    """d^order/dmean^order of the density of N(mean, s^2) at 0, u = mean / s."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        gauss = density(u)
        value = (-1) ** order * hermite(order, u) * gauss / s ** (order + 1)
    return np.where(gauss == 0, 0.0, value)


def density_scale(u, s, order):
    """Size of the terms of that derivative, times 1 + u^2 for the rounding of the exponent."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        gauss = density(u)
        size = np.abs(hermite(order, 1j * np.abs(u))) * gauss * (1 + u * u) / s ** (order + 1)
    return np.where(gauss == 0, 1e-290, size)


def _threshold(mean, variance, order):
    """Orders -1, 0, 1, .. of the threshold-linear function (order k + 1 is order k of the step)."""
    s = np.sqrt(variance)
    u = mean / s
    if order < 0:
        return ((mean * mean + variance) * special.ndtr(u) + mean * s * density(u)) / 2, mean * mean + variance
    if order == 0:
        return mean * special.ndtr(u) + s * density(u), np.abs(mean) + s
    if order == 1:
        return special.ndtr(u), np.ones_like(u)
    return density_derivative(u, s, order - 2), density_scale(u, s, order - 2)


def _threshold_fourth(mean, variance):
    """<x^4 / 4; x > 0>, the mean square of the threshold-linear primitive."""
    s = np.sqrt(variance)
    u = mean / s
    m2 = mean * mean
    value = (m2 * m2 + 6 * m2 * variance + 3 * variance**2) * special.ndtr(u) + (
        m2 + 5 * variance
    ) * mean * s * density(u)
    return value / 4, (m2 + variance) ** 2 * 3


def _twice_primitive(mean, variance):
    value, scale = _threshold(mean, variance, -1)
    return 2 * value, 2 * scale


_THRESHOLD_SQUARES = {
    -1: _threshold_fourth,
    0: _twice_primitive,
    1: lambda mean, variance: _threshold(mean, variance, 1),
}


def _sin(mean, variance, order):
    damping = np.exp(-variance / 2)
    if order < 0:  # 1 - cos x
        return -np.expm1(-variance / 2) + damping * 2 * np.sin(mean / 2) ** 2, np.ones_like(mean)
    return damping * _quarter_turns(mean, order), np.ones_like(mean)


def _quarter_turns(x, order):
    """sin(x + order pi/2)."""
    return (np.sin(x), np.cos(x), -np.sin(x), -np.cos(x))[order % 4]


# ---- pairs ---------------------------------------------------------------------------------------


class _Pair:
    """Standardised bivariate normal: h, k, rho, r = sqrt(1 - rho^2), with differences formed without cancellation near
    |rho| = 1.
    """

    def __init__(self, means, variances, correlation, extra=0.0):
        """``extra`` is added to both variances, not to the covariance."""
        (mx, my), (vx, vy) = means, variances
        self.mx, self.my = mx, my
        self.sx, self.sy = np.sqrt(vx + extra), np.sqrt(vy + extra)
        sxy = np.sqrt(vx) * np.sqrt(vy)
        self.covariance = correlation * sxy
        product = self.sx * self.sy
        self.h = np.clip(mx / self.sx, -1e4, 1e4) + 0.0
        self.k = np.clip(my / self.sy, -1e4, 1e4) + 0.0
        self.rho = self.covariance / product if extra else correlation
        rest = (extra / product) * ((vx + vy + extra) / product)
        r2 = (1 - correlation) * (1 + correlation) * (sxy / product) ** 2 + rest
        self.one_minus = np.where(self.rho > 0, r2 / (1 + np.abs(self.rho)), 1 - self.rho)
        self.one_plus = np.where(self.rho > 0, 1 + self.rho, r2 / (1 + np.abs(self.rho)))
        self.r = np.sqrt(r2)
        self.k_given_h = self._conditional(self.k, self.h)
        self.h_given_k = self._conditional(self.h, self.k)

    def _conditional(self, k, h):
        """(k - rho h) / r; 0 where it is 0/0 (|rho| = 1 and the two thresholds agree)."""
        difference = np.where(self.rho > 0, (k - h) + self.one_minus * h, (k + h) - self.one_plus * h)
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient = difference / self.r
        return np.where(np.isnan(quotient), 0.0, quotient)

    def signs(self):
        """<sign x sign y> by Owen's T function."""
        with np.errstate(divide="ignore", invalid="ignore"):
            a_h, a_k = self.k_given_h / self.h, self.h_given_k / self.k
        a_h, a_k = (np.where(np.isnan(a), 0.0, a) for a in (a_h, a_k))
        opposite = np.where((self.h * self.k < 0) | ((self.h * self.k == 0) & (self.h + self.k < 0)), 2.0, 0.0)
        general = 1 - 4 * special.owens_t(self.h, a_h) - 4 * special.owens_t(self.k, a_k) - opposite
        centred = (2 / math.pi) * np.arctan2(self.rho, self.r)
        return np.where((self.h == 0) & (self.k == 0), centred, general)

    def quadrant(self):
        """P(x > 0, y > 0)."""
        return 0.25 * (1 + self.signs() + special.erf(self.h / math.sqrt(2)) + special.erf(self.k / math.sqrt(2)))

    def thresholds(self):
        """<x_+ y_+>, and its scale."""
        value = (
            (self.mx * self.my + self.covariance) * self.quadrant()
            + self.mx * self.sy * density(self.k) * special.ndtr(self.h_given_k)
            + self.my * self.sx * density(self.h) * special.ndtr(self.k_given_h)
            + self.sx * self.sy * self.r * density(self.h) * density(self.k_given_h)
        )
        return value, (np.abs(self.mx) + self.sx) * (np.abs(self.my) + self.sy)

    def density_derivative(self, order):
        """d^order/dmx^order d^order/dmy^order of the joint density at (0, 0), and its scale."""
        det = (self.sx * self.sy * self.r) ** 2
        q = self.h**2 + self.k_given_h**2
        p = np.exp(-q / 2) / (2 * math.pi * np.sqrt(det))
        first, cross, second = self.sy**2 / det, -self.covariance / det, self.sx**2 / det
        ux = self.h_given_k / (self.r * self.sx)
        uy = self.k_given_h / (self.r * self.sy)
        factor = _bivariate_hermite(order, -ux, -uy, -first, -cross, -second)
        # sizes: the terms themselves, and what the cancellation in ux, uy and q does to them
        loss = (np.abs(self.h) + np.abs(self.k)) / self.r
        size, moved = (
            _bivariate_hermite(
                order,
                np.abs(ux) + shift * loss / (self.r * self.sx),
                np.abs(uy) + shift * loss / (self.r * self.sy),
                first,
                np.abs(cross),
                second,
            )
            for shift in (0.0, 1e-8)
        )
        return factor * p, p * (size * (1 + q + np.abs(self.k_given_h) * loss) + (moved - size) * 1e8)


def _bivariate_hermite(order, ux, uy, first, cross, second):
    """Factor D with d_x^n d_y^n p = D p, for d_x p = ux p, d_y p = uy p and constant second derivatives of log p."""
    table = {(0, 0): np.ones_like(ux)}

    def entry(a, b):
        return table.get((a, b), 0.0)

    for b in range(order + 1):
        if b:
            table[0, b] = uy * entry(0, b - 1) + (b - 1) * second * entry(0, b - 2)
        for a in range(order):
            table[a + 1, b] = ux * entry(a, b) + a * first * entry(a - 1, b) + b * cross * entry(a, b - 1)
    return table[order, order]


def pair(name, means, variances, correlation, order):
    """<phi^(order)(x) phi^(order)(y)> for positive variances, or None where no closed form is known."""
    if name == "sin":
        return _sin_pair(means, variances, correlation, order)
    if name == "erf":
        p = _Pair(means, variances, correlation, ERF_VARIANCE)
        return _erf_pair(p, order)
    order = order if name == "relu" else order + 1
    if order < 0:
        return None
    p = _Pair(means, variances, correlation)
    if order == 0:
        return p.thresholds()
    if order == 1:
        return p.quadrant(), np.ones_like(p.h)
    if np.any(np.abs(correlation) == 1):
        raise ValueError(
            "the average of a product of Dirac masses does not exist at correlation -1 or 1: "
            "lower the order, or take a smooth transfer function"
        )
    return p.density_derivative(order - 2)


def _erf_pair(p, order):
    if order > 0:
        value, scale = p.density_derivative(order - 1)
        return 4 * value, 4 * scale
    if order == 0:
        return p.signs(), np.ones_like(p.h)
    # the primitive is <|x'|> - 2/pi over the smoothing, and |x| = 2 x_+ - x
    value, scale = p.thresholds()
    (rx, _), (ry, _) = _threshold_of(p.mx, p.sx), _threshold_of(p.my, p.sy)
    cross = rx * p.my + ry * p.mx + p.covariance * (special.ndtr(p.h) + special.ndtr(p.k))
    absolute = 4 * value - 2 * cross + p.mx * p.my + p.covariance
    (ax, _), (ay, _) = _absolute(p.mx, p.sx), _absolute(p.my, p.sy)
    return absolute - (2 / math.pi) * (ax + ay) + 4 / math.pi**2, 8 * scale + 4


def _threshold_of(mean, s):
    return _threshold(mean, s * s, 0)


def _sin_pair(means, variances, correlation, order):
    (mx, my), (vx, vy) = means, variances
    sx, sy = np.sqrt(vx), np.sqrt(vy)
    apart = np.exp(-((sx - sy) ** 2 + 2 * sx * sy * (1 - correlation)) / 2) * np.cos(mx - my)
    together = np.exp(-((sx - sy) ** 2 + 2 * sx * sy * (1 + correlation)) / 2) * np.cos(mx + my)
    one = np.ones_like(apart)
    if order >= 0:
        return (apart - (-1) ** order * together) / 2, one
    cosines = np.exp(-vx / 2) * np.cos(mx) + np.exp(-vy / 2) * np.cos(my)
    return 1 - cosines + (apart + together) / 2, 4 * one
