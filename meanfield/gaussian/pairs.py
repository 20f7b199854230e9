"""Averages of products over two correlated Gaussians, on flat arrays.

x = m_x + s_x (a z + sqrt(1 - a^2) z_1) and y likewise, with a^2 = |rho|: given the common part z the two are
independent, so the average is one integral over z of a product of two single averages (docs: :eq:`eq-average-pair`).
"""

import math

import numpy as np

from ..transfer import get_transfer
from . import closed_forms
from .quadrature import _REACH, Doubling, panel_map, sinh_map
from .single import _CLOSED, _ROUNDING, _U, averages

_TANH, _LOGISTIC = get_transfer("tanh"), get_transfer("logistic")


def pair_averages(t, means, variances, correlation, order):
    """Values and errors (n,) of <phi^(order)(x) phi^(order)(y)>."""
    values, errors = np.empty((2, correlation.size))
    alone = (correlation == 0) | (variances[0] == 0) | (variances[1] == 0)
    same = ~alone & (correlation == 1) & (means[0] == means[1]) & (variances[0] == variances[1])
    rest = ~alone & ~same
    for pick, method in ((alone, _product), (same, _square), (rest, _correlated)):
        if pick.any():
            m, v = ([q[pick] for q in pair] for pair in (means, variances))
            values[pick], errors[pick] = method(t, m, v, correlation[pick], order)
    return values, errors


def _product(t, means, variances, _, order):
    """Independent, or one of them certain."""
    (x,), (ex,) = averages(t, means[0], variances[0], (order,))
    (y,), (ey,) = averages(t, means[1], variances[1], (order,))
    return x * y, ex * np.abs(y) + ey * (np.abs(x) + ex) + 2 * _U * np.abs(x * y)


def _square(t, means, variances, _, order):
    (value,), (error,) = averages(t, means[0], variances[0], (order,), power=2)
    return value, error


def _correlated(t, means, variances, correlation, order):
    if t in _CLOSED:
        found = closed_forms.pair(t.name, means, variances, correlation, order)
        if found is not None:
            value, scale = found
            return value, _ROUNDING * _U * (scale + np.abs(value))
    if order >= t.singular and np.any(np.abs(correlation) == 1):
        raise ValueError(
            f"the product of Dirac masses of derivative {order} of {t.name} has no average at correlation -1 or 1"
        )
    if t is _LOGISTIC and order >= 0:
        return _logistic(means, variances, correlation, order)
    return _conditioned(t, means, variances, correlation, order)


def _logistic(means, variances, correlation, order):
    """logistic(x) = (1 + tanh(x/2))/2."""
    means, variances = [m / 2 for m in means], [v / 4 for v in variances]
    value, error = pair_averages(_TANH, means, variances, correlation, order)
    if order:
        return value * 0.25 ** (order + 1), error * 0.25 ** (order + 1)
    (x,), (ex,) = averages(_TANH, means[0], variances[0], (0,))
    (y,), (ey,) = averages(_TANH, means[1], variances[1], (0,))
    return (1 + x + y + value) / 4, (error + ex + ey) / 4 + 4 * _U


def _conditioned(t, means, variances, correlation, order):
    """One integral over the common part z, by step halving."""
    (mx, my), (sx, sy) = means, (np.sqrt(v) for v in variances)
    a = np.sqrt(np.abs(correlation))
    slope_x, slope_y = sx * a, np.copysign(sy * a, correlation)
    within = [v * (1 - np.abs(correlation)) for v in variances]
    twins = bool(np.all((mx == my) & (sx == sy) & (correlation > 0)))

    def one(mean, slope, variance, z, index):
        inner = (mean[index, None] + slope[index, None] * z).ravel()
        (value,), (error,) = averages(t, inner, np.broadcast_to(variance[index, None], z.shape).ravel(), (order,))
        return value.reshape(z.shape), error.reshape(z.shape)

    def integrand(z, index):
        x, ex = one(mx, slope_x, within[0], z, index)
        y, ey = (x, ex) if twins else one(my, slope_y, within[1], z, index)
        return np.stack([x * y, ex * np.abs(y) + ey * np.abs(x)])

    centre_x, centre_y = np.clip(-mx / slope_x, -_REACH, _REACH), np.clip(-my / slope_y, -_REACH, _REACH)
    width = np.minimum(1.0, math.pi / (2 * np.maximum(np.abs(slope_x), np.abs(slope_y))))
    apart = np.abs(centre_x - centre_y) > width / 2
    if t.kinks:
        apart[:] = True
    values, errors = np.empty((2, a.size))
    for pick in (np.flatnonzero(~apart), np.flatnonzero(apart)):
        if not pick.size:
            continue
        zero, one_ = np.zeros(pick.size), np.ones(pick.size)
        if apart[pick[0]]:
            cuts = [(c - m[pick]) / s[pick] for c in {0.0, *t.kinks} for m, s in ((mx, slope_x), (my, slope_y))]
            ends = np.full(pick.size, _REACH)
            z = np.sort(np.clip(np.stack([-ends, *cuts, ends], axis=1), -_REACH, _REACH), axis=1)
            place = panel_map(z, z, one_)
        else:
            place = sinh_map(zero, one_, (centre_x + centre_y)[pick] / 2, width[pick])
        reach = np.maximum(np.abs(mx), np.abs(my))[pick]
        top = (t.bounds[order] if order >= 0 else math.inf) ** 2

        def at(z, index, pick=pick):
            return integrand(z, pick[index])

        value, error = Doubling().integrate(at, place, pick.size, reach, [top, math.nan])
        tail = Doubling.beyond(at, zero, one_, [top, math.nan])
        values[pick], errors[pick] = value[0], error[0] + value[1] + tail[0]
    return values, errors
