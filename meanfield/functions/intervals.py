"""Rigorous upper bounds of |f| over the real line, by interval arithmetic and bisection on a sympy expression.

Intervals are pairs of arrays, one entry per box, rounded outwards after every operation; elementary functions of numpy
and scipy are trusted to 8 units in the last place.
"""

import math
from functools import lru_cache

import numpy as np
import sympy
from scipy import special

_FAR = 64.0  # beyond this the line is one box on either side
_BOXES = 20000
_TIGHT = 1e-6  # relative width at which a bound is good enough
_INCREASING = {
    sympy.exp: np.exp,
    sympy.tanh: np.tanh,
    sympy.sinh: np.sinh,
    sympy.asinh: np.arcsinh,
    sympy.atan: np.arctan,
    sympy.erf: special.erf,
    sympy.log: np.log,
    sympy.sign: np.sign,
}


def supremum(expression, x, cuts=()):
    """A proved upper bound of |expression| over the real line without the cuts, tight to about 1e-6; inf where none is
    shown.

    ``cuts`` are the places where its Piecewise parts change, each known to a unit in the last place: a segment reaches
    a little beyond its ends.
    """
    ends = [-math.inf, *cuts, math.inf]
    try:
        with np.errstate(all="ignore"):
            tops = [_segment(expression, x, a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        return math.inf if any(math.isnan(top) for top in tops) else max(tops)
    except (NotImplementedError, TypeError, sympy.PolynomialError):
        return math.inf


def select(expression, point, x):
    """The expression with every Piecewise replaced by the piece that holds around the point."""
    while expression.has(sympy.Piecewise):
        chosen = {}
        for node in expression.atoms(sympy.Piecewise):
            chosen[node] = _piece(node, point, x)
        expression = expression.xreplace(chosen)
    return expression


def _piece(node, point, x):
    for piece, condition in node.args:
        holds = condition.subs(x, point)
        if holds == sympy.true:
            return piece
        if holds != sympy.false:
            break
    raise NotImplementedError("it cannot be told which piece holds here")


@lru_cache(maxsize=512)
def in_tanh(f, x):
    """(rational function of T, T, c) when f is a rational function of exp(c x) or tanh(c x / 2), with T = tanh(c x /
    2); or None.

    Unlike quotients of exponentials it neither overflows nor loses its value far out.
    """
    arguments = {a.args[0] for a in f.atoms(sympy.exp)} | {2 * a.args[0] for a in f.atoms(sympy.tanh)}
    ratios = {a / x for a in arguments}
    if not ratios or not all(r.is_number and r.is_rational for r in ratios):
        return None
    c = sympy.gcd_list(list(ratios)) if len(ratios) > 1 else abs(ratios.pop())
    t = sympy.Symbol("T", real=True)
    e = (1 + t) / (1 - t)
    image = f.replace(sympy.tanh, lambda u: 1 - 2 / (sympy.exp(2 * u) + 1))
    image = image.replace(sympy.exp, lambda u: e ** (u / (c * x)) if (u / (c * x)).is_integer else sympy.nan)
    if image.has(sympy.nan) or image.has(x) or not image.is_rational_function(t):
        return None
    return sympy.cancel(image), t, c


def _segment(f, x, low, high):
    """Supremum over one open segment without cuts."""
    sample = (low + high) / 2 if math.isfinite(low + high) else (low + 1 if math.isfinite(low) else min(high, 1.0) - 1)
    f = select(f, sympy.Rational(sample) if sample else sympy.Integer(0), x)
    if not f.has(x):
        return _outward(float(abs(f)))
    rational = in_tanh(f, x)
    if rational is not None:
        g, t, c = rational
        if not g.has(t):
            return _outward(float(abs(g)))
        image = np.tanh(float(c) * np.array([low, high]) / 2)
        return _branch_and_bound(g, t, np.linspace(max(image[0] - 1e-12, -1), min(image[1] + 1e-12, 1), 300), 0.0)
    tails = [_tail(f, x, sign) for sign, end in ((-1, low), (1, high)) if not math.isfinite(end)]
    if not all(map(math.isfinite, tails)):
        return math.inf
    tails = max(tails, default=0.0)
    reach = (
        max(_FAR, *(2 * abs(e) for e in (low, high) if math.isfinite(e)))
        if math.isfinite(low) or math.isfinite(high)
        else _FAR
    )
    low, high = (e + sign * 4e-16 * abs(e) for e, sign in ((low, -1), (high, 1)))  # the cuts themselves are rounded
    grid = np.geomspace(1e-3, reach, 200)
    edges = np.concatenate([-grid[::-1], [0.0], grid])
    edges = np.unique(np.clip(edges, max(low, -reach), min(high, reach)))
    return _branch_and_bound(f, x, edges, tails)


def _branch_and_bound(f, x, edges, start):
    """Upper bound over [edges[0], edges[-1]], and at least ``start``; enclosures directly and in mean-value form."""
    slope = sympy.diff(f, x)
    low, high = edges[:-1], edges[1:]
    best, seen = start, low.size
    while True:
        middle, radius = (low + high) / 2, (high - low) * (0.5 + 1e-15)
        sample = _magnitude(f, x, middle, middle)
        bound = np.fmin(_magnitude(f, x, low, high), sample + _magnitude(slope, x, low, high) * radius * (1 + 1e-15))
        best = max(best, np.max(np.where(np.isfinite(sample), sample, 0.0), initial=0.0))
        keep = ~(bound <= best * (1 + _TIGHT) + 1e-300)
        if not keep.any():
            return _outward(best * (1 + _TIGHT))
        if seen > _BOXES or not np.isfinite(best):
            top = np.max(bound)
            return _outward(top) if top <= 1.5 * best else math.inf
        left, right, mid = low[keep], high[keep], middle[keep]
        low, high = np.concatenate([left, mid]), np.concatenate([mid, right])
        seen += low.size


def _magnitude(f, x, low, high):
    """Upper bound of |f| on every box."""
    a, b = _enclose(f, x, (low, high))
    result = np.maximum(np.abs(a), np.abs(b))
    return np.where(np.isnan(a) | np.isnan(b), np.inf, result) * np.ones_like(low)


def _tail(f, x, sign):
    """Upper bound of |f| beyond the far boxes; a sum is bounded term by term where its terms are polynomial x
    exp(polynomial).
    """
    low, high = (np.array([_FAR]), np.array([np.inf])) if sign > 0 else (np.array([-np.inf]), np.array([-_FAR]))
    direct = float(_magnitude(f, x, low, high)[0])
    if math.isfinite(direct):
        return direct
    if not f.has(sympy.exp, sympy.tanh, sympy.erf, sympy.sin, sympy.cos):
        u = sympy.Symbol("u", positive=True)
        image = sympy.simplify(f.subs(x, sign / u))
        return float(_magnitude(image, u, np.array([0.0]), np.array([1 / _FAR]))[0])
    return sum(_decaying(term, x, sign) for term in sympy.Add.make_args(sympy.expand(f, power_exp=False)))


def _decaying(term, x, sign):
    """Upper bound of |p(x) exp(q(x))| beyond the far boxes, where it falls: past Cauchy's bound of the zeros of p' +
    q' p.
    """
    exponent = sympy.Integer(0)
    rest = []
    for factor in sympy.Mul.make_args(term):
        if isinstance(factor, sympy.exp):
            exponent += factor.args[0]
        elif not isinstance(factor, sympy.sin | sympy.cos | sympy.tanh | sympy.erf):  # these stay below 1
            rest.append(factor)
    p = sympy.Mul(*rest).subs(x, sign * x)
    q = exponent.subs(x, sign * x)
    if not (p.is_polynomial(x) and q.is_polynomial(x)) or not q.has(x):
        return math.inf
    if sympy.Poly(q, x).LC() >= 0:
        return math.inf
    slope = sympy.Poly(sympy.expand(sympy.diff(p, x) + sympy.diff(q, x) * p), x).all_coeffs()
    if 1 + max((abs(float(c / slope[0])) for c in slope[1:]), default=0) > _FAR:
        return math.inf
    return _outward(abs(float((p * sympy.exp(q)).subs(x, sympy.Float(_FAR, 30)))))


def _outward(value):
    return float(value) * (1 + 1e-14)


# ---- enclosures ----------------------------------------------------------------------------------


def _wide(a, b, ulps=1):
    """Round outwards."""
    slack = ulps * np.finfo(float).eps
    return np.nextafter(a - slack * np.abs(a), -np.inf), np.nextafter(b + slack * np.abs(b), np.inf)


def _enclose(f, x, box):
    if f == x:
        return box
    if f.is_number:
        value = float(f)
        return _wide(value, value)
    if isinstance(f, sympy.Add):
        return _sum([_enclose(a, x, box) for a in f.args])
    if isinstance(f, sympy.Mul):
        result = _enclose(f.args[0], x, box)
        for a in f.args[1:]:
            result = _product(result, _enclose(a, x, box))
        return result
    if isinstance(f, sympy.Pow):
        return _power(f, x, box)
    if isinstance(f, sympy.Abs):
        return _absolute(_enclose(f.args[0], x, box))
    if isinstance(f, sympy.cosh):
        a, b = _absolute(_enclose(f.args[0], x, box))
        return _wide(np.maximum(np.cosh(a) * (1 - 1e-15), 1 - 1e-15), np.cosh(b), 8)
    if isinstance(f, sympy.sin | sympy.cos):
        return _wave(f, x, box)
    if isinstance(f, sympy.Max | sympy.Min):
        pick = np.maximum if isinstance(f, sympy.Max) else np.minimum
        parts = [_enclose(a, x, box) for a in f.args]
        return tuple(pick.reduce(np.broadcast_arrays(*side)) for side in zip(*parts, strict=True))
    if f.func in _INCREASING:
        a, b = _enclose(f.args[0], x, box)
        function = _INCREASING[f.func]
        low, high = _wide(function(a), function(b), 8)
        if f.func is sympy.log:
            low, high = np.where(a > 0, low, -np.inf), np.where(a >= 0, high, np.inf)
        if f.func in (sympy.tanh, sympy.erf):
            low, high = np.maximum(low, -1.0), np.minimum(high, 1.0)
        return (np.maximum(low, 0.0), high) if f.func is sympy.exp else (low, high)
    raise NotImplementedError(f"no enclosure for {f.func}")


def _sum(parts):
    a, b = parts[0]
    for low, high in parts[1:]:
        a, b = _wide(a + low, b + high)
    return a, b


def _product(p, q):
    corners = [np.where((u == 0) | (v == 0), 0.0, u * v) for u in p for v in q]  # 0 x inf: the 0 is exact at a corner
    return _wide(np.minimum.reduce(corners), np.maximum.reduce(corners))


def _absolute(p):
    a, b = p
    high = np.maximum(np.abs(a), np.abs(b))
    return np.where((a <= 0) & (b >= 0), 0.0, np.minimum(np.abs(a), np.abs(b))), high


def _power(f, x, box):
    base, exponent = f.args
    if not exponent.is_number or not exponent.is_real:
        raise NotImplementedError("a power with x in the exponent")
    a, b = _enclose(base, x, box)
    n = float(exponent)
    if exponent.is_integer and n > 0:
        low, high = (a, b) if n % 2 else _absolute((a, b))
        return _wide(low**n, high**n, 4)
    if exponent.is_integer:
        if (-n) % 2 == 0:
            a, b = _absolute((a, b))
        straddles = (a <= 0) & (b >= 0)
        low, high = _wide(b**n, a**n, 4)
        return np.where(straddles, -np.inf, low), np.where(straddles, np.inf, high)
    good = a >= 0
    low, high = (a**n, b**n) if n > 0 else (b**n, a**n)
    low, high = _wide(low, high, 8)
    return np.where(good, low, -np.inf), np.where(good, high, np.inf)  # anything, where the base may be negative


def _wave(f, x, box):
    a, b = _enclose(f.args[0], x, box)
    shift = math.pi / 2 if isinstance(f, sympy.sin) else 0.0
    function = np.sin if isinstance(f, sympy.sin) else np.cos
    slack = 1e-12 * (1 + np.abs(a) + np.abs(b))
    turns_low, turns_high = (a - shift - slack) / (2 * math.pi), (b - shift + slack) / (2 * math.pi)
    has_top = np.floor(turns_high) >= np.ceil(turns_low)
    has_bottom = np.floor(turns_high - 0.5) >= np.ceil(turns_low - 0.5)
    low, high = np.minimum(function(a), function(b)) - 1e-15, np.maximum(function(a), function(b)) + 1e-15
    unbounded = ~np.isfinite(a) | ~np.isfinite(b)
    return np.where(has_bottom | unbounded, -1.0, low), np.where(has_top | unbounded, 1.0, high)
