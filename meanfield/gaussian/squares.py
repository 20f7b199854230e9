"""Averages <d^k/dx^k phi(x)^2> of the square of a transfer function, as flat arrays (n,) with their errors.

The square is a transfer function too (:func:`square`), so the variance that random connectivity hands on obeys the same
algebra as the collective variables do. For most named functions phi^2 is a combination of phi and its derivatives; for
erf the derivatives of the average are a density times an erf (docs: :eq:`square-erf`).
"""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import special

from ..functions.elementary import MAX_ORDER, hermite
from ..transfer import Transfer, get_transfer
from . import closed_forms
from .quadrature import Doubling
from .single import _ROUNDING, _U, averages

_ERF, _SIN, _TANH, _LOGISTIC, _RELU, _STEP, _SOFTPLUS = (
    get_transfer(name) for name in ("erf", "sin", "tanh", "logistic", "relu", "step", "softplus")
)
#: phi^2 as a combination of phi^(k + shift): pairs (shift, factor), and a constant.
_LINEAR = {
    _TANH: (((1, -1.0),), 1.0),
    _LOGISTIC: (((0, 1.0), (1, -1.0)), 0.0),
    _RELU: (((-1, 2.0),), 0.0),
    _STEP: (((0, 1.0),), 0.0),
}


@lru_cache(maxsize=64)
def square(t):
    """phi^2 as a :class:`~meanfield.transfer.Transfer`, with derivatives by Leibniz' rule; its averages: here."""
    bounds = tuple(
        sum(math.comb(k, j) * _product_bound(t, j, k - j) for j in range(k + 1)) for k in range(MAX_ORDER + 1)
    )
    if t in _LINEAR:  # sharper where phi^2 is one derivative
        (parts, constant) = _LINEAR[t]
        for k in range(MAX_ORDER):
            if all(0 <= k + shift <= MAX_ORDER for shift, _ in parts):
                other = sum(abs(f) * t.bounds[k + shift] for shift, f in parts) + (constant if k == 0 else 0.0)
                bounds = (*bounds[:k], min(bounds[k], other), *bounds[k + 1 :])

    def jet(x, order):
        rows = t.jet(x, order)
        return [sum(math.comb(k, j) * rows[j] * rows[k - j] for j in range(k + 1)) for k in range(order + 1)]

    noise = tuple(
        sum(2 * math.comb(k, j) * _times(t.noise[j], min(t.bounds[k - j], 1.0)) for j in range(k + 1))
        for k in range(MAX_ORDER + 1)
    )
    return Transfer(
        f"{t.name}^2",
        False,
        t.kinks,
        bounds,
        (math.nan, math.nan),
        lambda x, k: jet(x, k)[k],
        None,
        f"({t.expression})**2",
        shared=jet,
        noise=noise,
        symmetry="mirror" if t.odd else "",
        singular=t.singular,
        proved_averages=t.proved_averages,
        base=t,
    )


def has_proved_square(t):
    """True where the errors of the averages of phi^2 are bounds, not estimates from step halving."""
    return t.proved_averages and (t in _LINEAR or t in (_ERF, _SIN))


def grown_square(t, reach):
    """:func:`square` of a function that is not bounded, where sqrt(<x^2>) <= reach: its bounds hold for averages.

    With |phi(x)| <= |phi(0)| + sup|phi'| |x|, <phi^2>^(1/2) <= a and <phi^4>^(1/4) <= b. Cauchy-Schwarz gives
    <|He_j phi phi^(k)|> <= sqrt(j!) a sup|phi^(k)|, and sqrt(j!) < 2 <|He_j|> for j <= 6: what
    :func:`meanfield.proof.bounds.gain_bound` asks of a supremum, twice a sup|phi^(k)| and twice b^2 fulfil.
    """
    offset, reach = abs(float(t(np.array(0.0)))), reach * (1 + 1e-6) + 1e-9  # a margin for rounding
    a, b = offset + _times(t.bounds[1], reach), offset + _times(t.bounds[1], 3**0.25 * reach)
    tops = [2 * b * b] + [
        4 * _times(a, t.bounds[k]) + sum(math.comb(k, j) * _product_bound(t, j, k - j) for j in range(1, k))
        for k in range(1, MAX_ORDER + 1)
    ]
    squared = square(t)
    return replace(squared, bounds=tuple(map(min, squared.bounds, tops)))


def _product_bound(t, j, k):
    """Upper bound of |phi^(j) phi^(k)|."""
    low, high = min(j, k), max(j, k)
    if t is _SOFTPLUS and low == 0 and 2 <= high <= 4:
        return 2 / math.e  # softplus <= |x| + ln 2, and |phi^(k)| <= exp(-|x|) for k = 2, 3, 4
    return _times(t.bounds[low], t.bounds[high])


def _times(a, b):
    return 0.0 if a == 0 or b == 0 else a * b


def averages_of(t, mean, variance, orders, power=1, rule="auto"):
    """:func:`meanfield.gaussian.single.averages`, for squares of transfer functions too."""
    if t.base is None or power != 1 or not (isinstance(rule, str) and rule == "auto") or min(orders) < 0:
        return averages(t, mean, variance, orders, power, rule)
    return _squares(t, mean, variance, orders)


def both(t, mean, variance, order):
    """<phi^(k)> for k <= order and <(phi^2)^(k)> for k < order, sharing the work: arrays (order + 1, n), (order, n)."""
    if t in (_TANH, _LOGISTIC) and order < MAX_ORDER:
        values, errors = averages(t, mean, variance, tuple(range(order + 1)))
        return values, _combined(t, values, errors, range(order), 0)[0]
    values, _ = averages(t, mean, variance, tuple(range(order + 1)))
    return values, _squares(square(t), mean, variance, tuple(range(order)))[0]


def _squares(squared, mean, variance, orders):
    t = squared.base
    if t in _LINEAR and max(orders) + max(shift for shift, _ in _LINEAR[t][0]) <= MAX_ORDER:
        shifts = [shift for shift, _ in _LINEAR[t][0]]
        low, high = min(orders) + min(shifts), max(orders) + max(shifts)
        rows = averages(t, mean, variance, tuple(range(low, high + 1)))
        return _combined(t, *rows, orders, low)
    values, errors = np.empty((2, len(orders), mean.size))
    spread = variance > 0
    closed = {_ERF: _erf, _SIN: _sin}.get(t)
    if closed:
        rows = [closed(mean, variance, k) for k in orders]
        return np.stack([v for v, _ in rows]), np.stack([_ROUNDING * _U * (e + np.abs(v)) for v, e in rows])
    if not t.kinks:
        return averages(squared, mean, variance, orders)
    if not spread.all():
        values[:, ~spread], errors[:, ~spread] = averages(squared, mean[~spread], variance[~spread], orders)
    if spread.any():
        values[:, spread], errors[:, spread] = _by_parts(t, mean[spread], variance[spread], orders)
    return values, errors


def _combined(t, values, errors, orders, low):
    """phi^2 from the rows of phi^(k), k = low ..."""
    parts, constant = _LINEAR[t]
    out = np.stack([sum(f * values[k + shift - low] for shift, f in parts) for k in orders])
    error = np.stack([sum(abs(f) * errors[k + shift - low] for shift, f in parts) for k in orders])
    own = [i for i, k in enumerate(orders) if k == 0]  # phi^2 itself, which is not negative
    out[own] = np.maximum(out[own] + constant, 0.0)
    return out, error + 4 * _U * (np.abs(out) + constant)


def _sin(mean, variance, order):
    """sin^2 = (1 - cos 2x)/2."""
    damping = np.exp(-2 * variance)
    if order == 0:
        return -np.expm1(-2 * variance) / 2 + damping * np.sin(mean) ** 2, np.ones_like(mean)
    turned = 2 * mean + (order - 1) * math.pi / 2
    return 2.0 ** (order - 1) * damping * np.sin(turned), np.full_like(mean, 2.0 ** (order - 1))


def _erf(mean, variance, order):
    """<erf^2> in closed form; its derivatives in the mean: D^k of 4 N(mean; 0, s^2) erf(b mean / sqrt 2)."""
    if order == 0:
        one = np.ones_like(mean)
        return closed_forms.pair("erf", (mean, mean), (variance, variance), one, 0)
    s2 = variance + closed_forms.ERF_VARIANCE
    s = np.sqrt(s2)
    # E[sign y1 | y2 = 0] for two noisy copies of x: 1 - v/s2 = 2/(pi s2), and (s2^2 - v^2)/s2 without cancellation
    rest = closed_forms.ERF_VARIANCE / s2
    b = rest / np.sqrt(closed_forms.ERF_VARIANCE * (variance + s2) / s2)
    value, scale = np.zeros((2, *mean.shape))
    for j in range(order):
        density = closed_forms.density_derivative(mean / s, s, j)
        density_scale = closed_forms.density_scale(mean / s, s, j)
        i = order - 1 - j
        if i == 0:
            factor, size = special.erf(b * mean / math.sqrt(2)), np.ones_like(mean)
        else:
            factor = 2 * closed_forms.density_derivative(b * mean, 1 / b, i - 1)
            size = 2 * closed_forms.density_scale(b * mean, 1 / b, i - 1)
        value += 4 * math.comb(order - 1, j) * density * factor
        scale += 4 * math.comb(order - 1, j) * density_scale * size
    return value, scale


def _by_parts(t, mean, variance, orders):
    """With kinks: Stein's lemma, <(phi^2)^(k)> = <phi^2 He_k(z)> / s^k, needs no derivative of phi."""
    s = np.sqrt(variance)

    def integrand(x, index):
        z = (x - mean[index, None]) / s[index, None]
        values = t(x) ** 2
        return np.stack([values * hermite(k, z) / s[index, None] ** k for k in orders])

    return Doubling().average(integrand, mean, variance, t.kinks)
