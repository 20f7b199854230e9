"""Gaussian averages on flat arrays, one rule per regime (see :mod:`meanfield.averages` for the public door)."""

import math

import numpy as np

from ..transfer import get_transfer
from . import closed_forms
from .quadrature import Doubling
from .resolution import resolved
from .tanh import tanh_averages

_U = np.finfo(float).eps / 2
_CLOSED = frozenset(get_transfer(name) for name in ("erf", "relu", "step", "sin"))
_TANH, _LOGISTIC, _SOFTPLUS = (get_transfer(name) for name in ("tanh", "logistic", "softplus"))
_ROUNDING = 64  # units in the last place of the scale of a closed form


def averages(t, mean, variance, orders, power=1, rule="auto"):
    """Values and errors (len(orders), n) on flat arrays."""
    if rule == "auto":
        if power == 1 and t is _TANH:
            return tanh_averages(mean, variance, orders)
        if power == 1 and t in (_LOGISTIC, _SOFTPLUS) and (t is _LOGISTIC or min(orders) >= 0):
            return _rescaled(mean, variance, orders, 0 if t is _LOGISTIC else -1)
        if power == 2 and t in (_TANH, _LOGISTIC) and set(orders) <= {0, 1}:
            return _squares(t, mean, variance, orders)
    values, errors = np.empty((2, len(orders), mean.size))
    spread = variance > 0
    if not spread.all():
        still = ~spread
        values[:, still], errors[:, still] = _points(t, mean[still], orders, power)
    if spread.any():
        values[:, spread], errors[:, spread] = _spread(t, mean[spread], variance[spread], orders, power, rule)
    return values, errors


def _points(t, mean, orders, power):
    """Variance 0: the function itself."""
    plain = np.stack([t(mean, k) for k in orders])
    values = plain**power
    for k, row in zip(orders, values, strict=True):
        if not np.isfinite(row).all() or (k >= t.singular and np.isin(mean, t.kinks).any()):
            raise ValueError(
                f"the average of derivative {k} of {t.name} does not exist at variance 0 and a mean where it jumps "
                f"({', '.join(map(str, t.kinks))}): it is a Dirac mass there; give a positive variance"
            )
    errors = np.stack([t.point_error(row, mean, k) for k, row in zip(orders, plain, strict=True)])
    return values, errors if power == 1 else errors * (2 * np.abs(plain) + errors) + 2 * _U * values


def _spread(t, mean, variance, orders, power, rule):
    if rule == "auto" and t in _CLOSED:
        rows = []
        for k in orders:
            if power == 2 and k >= t.singular:
                raise ValueError(
                    f"the square of derivative {k} of {t.name} is a squared Dirac mass: its average does not exist"
                )
            value, scale = closed_forms.single(t.name, mean, variance, k, power)
            rows.append((value, _ROUNDING * _U * (scale + np.abs(value))))
        return np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
    resolve = isinstance(rule, str) and rule == "auto" and not t.proved_averages
    rule = Doubling() if isinstance(rule, str) and rule == "auto" else rule
    if not hasattr(rule, "average"):
        raise ValueError(f'rule must be "auto", GaussHermite(...) or Doubling(...): got {rule!r}')
    if power == 2 and max(orders) >= t.singular:
        raise ValueError(
            f"the square of derivative {max(orders)} of {t.name} is a squared Dirac mass: its average does not exist"
        )

    def integrand(x, index):
        return np.stack([_regular(t, x, k) for k in orders]) ** power

    ceiling = [t.bounds[k] ** power if 0 <= k < t.singular else math.inf for k in orders]
    if resolve:
        values, errors = resolved(t, integrand, mean, variance, orders, power, ceiling)
    else:
        values, errors = rule.average(integrand, mean, variance, t.kinks, ceiling)
    for i, k in enumerate(orders):
        if k >= 0:
            errors[i] += t.noise[k] * (2 * np.sqrt(np.abs(values[i])) + t.noise[k] if power == 2 else 1.0)
        if k >= t.singular:
            extra, scale = _dirac_part(t, mean, variance, k)
            values[i] += extra
            errors[i] += _ROUNDING * _U * scale
    return values, errors


def _regular(t, x, order):
    """phi^(order) without its Dirac masses."""
    value = t(x, order)
    return np.where(np.isinf(value) & np.isin(x, t.kinks), 0.0, value) if order >= t.singular else value


def _dirac_part(t, mean, variance, order):
    """Contribution of the Dirac masses of phi^(order): jumps of lower derivatives times derivatives of the density."""
    s = np.sqrt(variance)
    total, scale = np.zeros((2, mean.size))
    for kink, jumps in zip(t.kinks, t.jumps, strict=True):
        u = (kink - mean) / s
        for k, jump in enumerate(jumps[:order]):
            if jump:
                q = order - 1 - k
                total += jump * closed_forms.density_derivative(-u, s, q)
                scale += abs(jump) * closed_forms.density_scale(u, s, q) * (1 + abs(kink) / s)  # the kink is rounded
    return total, scale


def _rescaled(mean, variance, orders, shift):
    """Logistic (shift 0) and softplus (shift -1) from tanh: logistic^(k)(x) = 2^-(k+1) tanh^(k)(x/2), plus x/2 at k =
    -1 and 1/2 at 0.
    """
    inner = tuple(k + shift for k in orders)
    values, errors = tanh_averages(mean / 2, variance / 4, inner)
    for i, k in enumerate(inner):
        values[i] *= 0.5 ** (k + 1)
        errors[i] *= 0.5 ** (k + 1)
        if k == 0:
            values[i] += 0.5
        if k == -1:
            values[i] += mean / 2 + (math.log(2) if shift else 0.0)
            errors[i] += 4 * _U * np.abs(mean)
    still = variance == 0
    if still.any():
        values[:, still], errors[:, still] = _points(_SOFTPLUS if shift else _LOGISTIC, mean[still], orders, 1)
    return values, errors


def _squares(t, mean, variance, orders):
    """<phi^2> and <phi'^2> of tanh and logistic: polynomials in tanh are combinations of its derivatives."""
    half = t is _LOGISTIC
    (first, third), (e1, e3) = tanh_averages(*((mean / 2, variance / 4) if half else (mean, variance)), (1, 3))
    values, errors = np.empty((2, len(orders), mean.size))
    for i, k in enumerate(orders):
        if k == 0 and half:
            (zero, e0) = (q[0] for q in tanh_averages(mean / 2, variance / 4, (0,)))
            values[i], errors[i] = (2 + 2 * zero - first) / 4, (2 * e0 + e1) / 4
        elif k == 0:
            values[i], errors[i] = 1 - first, e1
        else:
            factor = 1 / 16 if half else 1.0
            values[i], errors[i] = factor * (4 * first - third) / 6, factor * (4 * e1 + e3) / 6
    np.maximum(values, 0.0, out=values)  # differences of rounded numbers; the true ones are not negative
    errors += 4 * _U
    still = variance == 0
    if still.any():
        values[:, still], errors[:, still] = _points(t, mean[still], orders, 2)
    return values, errors
