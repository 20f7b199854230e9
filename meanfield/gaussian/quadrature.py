"""Quadrature rules for Gaussian averages that know their error.

Every rule has one method, ``average(function, mean, variance, kinks, ceiling)``, which integrates ``function(x,
index)`` against the density of N(mean, variance). ``mean`` and ``variance`` (> 0) are flat arrays of one length n;
``function`` gets x of shape (k, nodes) with the k places ``index`` it belongs to, and returns (Q, k, nodes): Q
integrands that share their work. ``ceiling`` (Q,) bounds the integrands (inf where unknown): rounding noise below it
is not refined.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from ..functions.elementary import density

_U = np.finfo(float).eps / 2
_REACH = 9.5  # 2e-21 of the Gaussian lies beyond 9.5 standard deviations
_BATCH = 1 << 16  # numbers per array
_DE_REACH = 3.3  # the double-exponential panels lose less than 1e-18 of their length beyond |t| = 3.3


@dataclass(frozen=True)
class Doubling:
    """Trapezoidal rule in a mapped variable, its step halved until two levels agree.

    Smooth functions take z = z_c + d sinh t with z_c = clip(-mean/s) and d = min(1, pi/(2 s)), which puts nodes on
    both scales: the Gaussian's and the function's own (unit width around 0). Functions with kinks are cut there, and
    each panel takes the double-exponential map (docs: :eq:`eq-average-sinh`). The error is the last change plus the
    rounding; where ``max_nodes`` is reached first, it says so by its size.

    Parameters
    ----------
    tolerance : float
        Relative to the average of the absolute value.
    max_nodes : int
        Cap on the number of intervals of one map.
    """

    tolerance: float = 2e-15
    max_nodes: int = 1 << 13

    def average(self, function, mean, variance, kinks=(), ceiling=math.inf):
        """(values, errors), each (Q, n)."""
        s = np.sqrt(variance)
        place = _panels(mean, s, kinks) if len(kinks) else _sinh_map(mean, s)
        values, errors = self.integrate(function, place, mean.size, np.abs(mean), ceiling)
        return values, errors + self.beyond(function, mean, s, ceiling)

    def standardised(self, function, mean, s, kinks=()):
        """The same for functions of z = (x - mean)/s, which a small s against the mean would round away."""
        zero, one = np.zeros(mean.size), np.ones(mean.size)
        if len(kinks):
            with np.errstate(over="ignore"):
                cuts = np.clip((np.sort([*kinks, 0.0]) - mean[:, None]) / s[:, None], -_REACH, _REACH)
            z = np.concatenate([np.full((mean.size, 1), -_REACH), cuts, np.full((mean.size, 1), _REACH)], axis=1)
            place = panel_map(z, z, one)
        else:
            with np.errstate(over="ignore"):
                place = sinh_map(zero, one, np.clip(-mean / s, -_REACH, _REACH), np.minimum(1.0, math.pi / (2 * s)))
        values, errors = self.integrate(function, place, mean.size, np.abs(mean))
        return values, errors + self.beyond(function, zero, one, math.inf)

    def integrate(self, function, place, n, reach, ceiling=math.inf):
        """Sum function over the nodes of ``place(fraction, index) -> x, weight``, halving the step.

        ``reach`` (n,) is the size of the function's argument. A pair (integrand, its own error) may be handed over as
        two integrands with ceiling nan for the second: it need not converge, and the first is refined no further than
        its size.
        """
        ceiling = np.atleast_1d(ceiling).astype(float)
        noise = np.where(np.isfinite(ceiling), _U * ceiling, 0.0)[:, None]
        own_error = np.isnan(ceiling)
        active, count = np.arange(n), 64
        total, size = _evaluate(function, place, np.arange(count + 1) / count, active)
        values, errors = np.full((2, *total.shape), np.inf)
        while active.size:
            more, more_size = _evaluate(function, place, (np.arange(count) + 0.5) / count, active)
            new, size = total + more, size + more_size
            change = np.abs(new / (2 * count) - total / count)
            total, count = new, 2 * count
            scale = size / count
            rounding = _U * (24 + 4 * reach[active]) * scale
            values[:, active], errors[:, active] = total / count, change + rounding
            floor = self.tolerance * scale + rounding / 4 + noise
            if own_error.any():
                floor = np.where(own_error[:, None], np.inf, floor + scale[own_error].sum(0) / 8)
            going = np.any(change > floor, axis=0) & (count < self.max_nodes)
            active, total, size = active[going], total[:, going], size[:, going]
        return values, errors

    @staticmethod
    def beyond(function, mean, s, ceiling):
        """The tails cut off: from the ceiling, or from what the ends of the interval show."""
        ends = mean[:, None] + s[:, None] * np.array([-_REACH, _REACH])
        shown = np.abs(_finite(function(ends, np.arange(mean.size)), ends)).sum(-1) * (2 * density(_REACH) / _REACH)
        proved = np.broadcast_to(2 * special.ndtr(-_REACH) * np.atleast_1d(ceiling)[:, None], shown.shape)
        return np.where(np.isfinite(proved), proved, shown)


@dataclass(frozen=True)
class GaussHermite:
    """Gauss-Hermite rule with ``nodes`` nodes, or with a self-chosen number (None): doubled from 16 until two rules
    agree.

    Its error falls only like exp(-c sqrt(nodes)/s) for functions with poles, such as tanh: at variance 100 even 300
    nodes miss by 2e-3. It is here because the field uses it; ``rule="auto"`` is better everywhere.
    """

    nodes: int | None = None

    def __post_init__(self):
        if self.nodes is not None and (not isinstance(self.nodes, int | np.integer) or not 1 <= self.nodes <= 2000):
            raise ValueError(f"GaussHermite needs 1..2000 nodes, or None to choose them itself: got {self.nodes!r}")

    def average(self, function, mean, variance, kinks=(), ceiling=math.inf):
        """(values, errors), each (Q, n); for a chosen number of nodes the error compares with the rule of twice as
        many.
        """
        counts = [16 << k for k in range(6)] if self.nodes is None else [self.nodes, 2 * self.nodes + 1]
        s = np.sqrt(variance)
        values, size = self._apply(function, mean, s, counts[0], np.arange(mean.size))
        errors = np.full(values.shape, np.inf)
        active = np.arange(mean.size)
        before = np.full(values.shape, np.inf)
        for count in counts[1:]:
            if not active.size:
                break
            new, size = self._apply(function, mean, s, count, active)
            change = np.abs(new - values[:, active])
            rounding = _U * (24 + 4 * np.abs(mean[active])) * size
            if self.nodes is not None:
                return values, 2 * change + rounding
            values[:, active] = new
            before = np.where(np.isinf(before), change, before)
            errors[:, active] = np.maximum(change, np.sqrt(change * before)) + rounding
            going = np.any(change > 4 * rounding, axis=0)
            active, before = active[going], change[:, going]
        return values, errors

    @staticmethod
    def _apply(function, mean, s, count, active):
        z, w = hermite_rule(count)
        pieces = []
        step = max(1, _BATCH // count)
        for start in range(0, active.size, step):
            index = active[start : start + step]
            x = mean[index, None] + s[index, None] * z
            f = _finite(function(x, index), x)
            pieces.append(np.stack([f @ w, np.abs(f) @ w]))
        return np.concatenate(pieces, axis=-1)


@lru_cache
def hermite_rule(count):
    """Nodes and weights (sum 1) of the Gauss rule for the standard normal density."""
    z, w = special.roots_hermitenorm(count)
    return z, w / w.sum()


def _evaluate(function, place, fraction, active):
    """Sums over the nodes at these fractions of the mapped interval: of the integrand and of its size, (Q, k) each."""
    pieces = []
    step = max(1, _BATCH // fraction.size)
    for start in range(0, active.size, step):
        index = active[start : start + step]
        x, weight = place(fraction, index)
        f = _finite(function(x, index), x)
        product = np.multiply(f, weight)
        pieces.append(np.stack([product.sum(-1), np.abs(product).sum(-1)]))
    return np.concatenate(pieces, axis=-1) if pieces else np.zeros((2, 1, 0))


def _finite(values, x):
    """Refuse integrands that are not finite where the Gaussian has weight."""
    values = np.asarray(values)
    bad = ~np.isfinite(values).all(0)
    if bad.any():
        raise ValueError(
            f"the function is not finite at x = {x[bad][0]:.6g}, inside the Gaussian: the average does not exist in "
            "double precision; check the expression, or the mean and variance"
        )
    return values


def _sinh_map(mean, s):
    """Fractions 0..1 -> x and weights of the sinh map: see :class:`Doubling`."""
    with np.errstate(over="ignore"):
        centre = np.clip(-mean / s, -_REACH, _REACH)
        width = np.minimum(1.0, math.pi / (2 * s))
    return sinh_map(mean, s, centre, width)


def sinh_map(mean, s, centre, width):
    """The map z = centre + width sinh t over |z| <= 9.5, for arrays of one length."""
    low, high = np.arcsinh((-_REACH - centre) / width), np.arcsinh((_REACH - centre) / width)

    def place(fraction, index):
        c, d, a, b = (q[index, None] for q in (centre, width, low, high))
        t = a + (b - a) * fraction
        z = c + d * np.sinh(t)
        return mean[index, None] + s[index, None] * z, (b - a) * d * np.cosh(t) * density(z)

    return place


def _panels(mean, s, kinks):
    """Panels between the kinks, 0 and the ends of the Gaussian, each with the double-exponential map."""
    cuts = np.sort(np.array([*kinks, 0.0]))
    with np.errstate(over="ignore"):
        z = np.clip((cuts - mean[:, None]) / s[:, None], -_REACH, _REACH)
    ends = np.full((mean.size, 1), _REACH)
    z = np.concatenate([-ends, z, ends], axis=1)
    inside = np.abs(z) < _REACH
    exact = np.concatenate([np.zeros(1), cuts, np.zeros(1)])
    x = np.where(inside, exact, mean[:, None] + s[:, None] * z)
    return panel_map(z, x, s)


def panel_map(z, x, s):
    """Double-exponential maps on the panels with ends z (n, m) and their images x; distances are taken from the nearer
    end.
    """

    def place(fraction, index):
        t = _DE_REACH * (2 * fraction - 1)
        share = special.expit(-math.pi * np.sinh(np.abs(t)))  # distance to the nearer end, in panel lengths
        rate = math.pi * np.cosh(t) * share * (1 - share) * 2 * _DE_REACH
        left, right = z[index, :-1, None], z[index, 1:, None]
        length = right - left
        first = t < 0
        distance = length * share
        at = np.where(first, left + distance, right - distance)
        step = s[index, None, None] * distance
        points = np.where(first, x[index, :-1, None] + step, x[index, 1:, None] - step)
        weight = length * rate * density(at)
        shape = (index.size, -1)
        return points.reshape(shape), weight.reshape(shape)

    return place
