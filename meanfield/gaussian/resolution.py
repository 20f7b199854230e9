"""Averages of expressions whose bounds tell how short a scale they vary on (docs: :eq:`eq-average-resolution`)."""

import math

import numpy as np

from ..functions.elementary import density
from .quadrature import _REACH, Doubling, _panels

_BATCH = 1 << 20  # numbers per array
_FIRST = 64  # nodes of the coarsest level of Doubling
_MOST = 1 << 13  # sections of that many nodes


def shortest_scale(bounds):
    """min (B_j / B_k)^(1/(k - j)) over the finite bounds; inf where fewer than two are finite."""
    known = [(k, b) for k, b in enumerate(bounds) if 0 < b < math.inf]
    scales = [math.exp((math.log(a) - math.log(b)) / (k - j)) for j, a in known for k, b in known if j < k]
    return min(scales, default=math.inf)


def resolved(t, integrand, mean, variance, orders, power, ceiling):
    """Doubling whose coarsest level already sees the shortest scale, or whose error says that it does not."""
    s = np.sqrt(variance)
    spacing = 2 * _REACH * s / _FIRST * (5.2 if t.kinks else 1.0)  # double-exponential nodes are 5.2 times as far apart
    wanted = spacing / shortest_scale(t.bounds)
    sections = np.where(wanted > _MOST, 1, 2 ** np.ceil(np.log2(np.maximum(wanted, 1)))).astype(int)
    values, errors = np.empty((2, len(orders), mean.size))
    for count in np.unique(sections):
        pick = np.flatnonzero(sections == count)
        if count == 1:
            values[:, pick], errors[:, pick] = Doubling().average(
                integrand, mean[pick], variance[pick], t.kinks, ceiling
            )
            continue
        rule = Doubling(max_nodes=max(4 * _FIRST, (1 << 15) // int(count)))
        size = max(1, _BATCH // (4 * _FIRST * int(count)))
        for part in (pick[i : i + size] for i in range(0, pick.size, size)):
            m = mean[part]
            base = _panels(m, s[part], t.kinks) if t.kinks else _uniform(m, s[part])
            found = rule.integrate(integrand, _sections(base, int(count)), part.size, np.abs(m), np.array(ceiling))
            values[:, part] = found[0]
            errors[:, part] = found[1] + rule.beyond(integrand, m, s[part], np.array(ceiling))
    lost = wanted > _MOST
    for i, k in enumerate(orders):
        errors[i, lost] += np.abs(values[i, lost]) + _largest(t, k, power, mean[lost], s[lost])
    return values, errors


def _largest(t, order, power, mean, s):
    """Bound of |<(phi^(order))^power>|, from the bounds alone; the part with Dirac masses is not in it."""
    if order < 0:
        return (t.bounds[0] * np.sqrt(mean * mean + s * s)) ** power
    if order >= t.singular:
        return np.full(s.shape, math.inf)
    top = t.bounds[order] ** power
    if power == 1 and not t.kinks and math.isfinite(t.bounds[0]):
        return np.minimum(top, t.bounds[0] * math.sqrt(math.factorial(order)) / s**order)
    return np.full(s.shape, top)


def _uniform(mean, s):
    """Fractions 0..1 -> x and weights, evenly over |z| <= 9.5."""

    def place(fraction, index):
        z = _REACH * (2 * fraction - 1)
        return mean[index, None] + s[index, None] * z, np.broadcast_to(
            2 * _REACH * density(z), (index.size, fraction.size)
        )

    return place


def _sections(place, count):
    """The same map, its range of fractions cut into ``count`` sections that run in parallel."""

    def parallel(fraction, index):
        inner = np.where((fraction == 0) | (fraction == 1), 0.5, 1.0) / count  # neighbours share their ends
        x, weight = place(((np.arange(count)[:, None] + fraction) / count).ravel(), index)
        share = np.tile(inner, count)
        return x, (weight.reshape(index.size, -1, share.size) * share).reshape(x.shape)

    return parallel
