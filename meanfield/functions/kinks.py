"""Kinks of a sympy expression: where its pieces meet, solved exactly, and by how much its derivatives jump there.

Nothing here is decided in floating point: a jump counts as none only where sympy shows that it is exactly zero. Where
that does not succeed the kink stays, and the bounds of the higher derivatives are infinite.
"""

import math

import mpmath
import sympy

from .intervals import select

_PIECES = (sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.Heaviside)
_DIGITS = 80
_SURE = mpmath.mpf(10) ** -40  # a jump above this (and relative to the sides) is no rounding error of 80 digits
_ASIDE = mpmath.mpf(10) ** -25  # where a piece has no value at the kink itself it is taken this far aside
_SIMPLE = 300  # operations up to which sympy is asked to simplify


def rewritten(expression):
    """The expression with Abs, sign, Max, Min and Heaviside written as Piecewise."""
    return expression.rewrite(_PIECES, sympy.Piecewise) if expression.has(*_PIECES) else expression


def find_cuts(phi, x):
    """Places where the pieces of Abs, sign, Max, Min, Heaviside and Piecewise meet, or where the quantity that decides
    has a pole: exact sympy numbers, ascending.

    Raises
    ------
    ValueError
        They cannot be solved for, or two of them cannot be told apart in double precision.
    """
    points = {}
    for surface in sorted(_surfaces(phi, x), key=sympy.default_sort_key):
        try:
            found = sympy.solveset(surface, x, sympy.S.Reals)
        except (NotImplementedError, ValueError):
            found = None
        if found is sympy.S.EmptySet:
            continue
        if not isinstance(found, sympy.FiniteSet):
            raise ValueError(f"cannot solve {surface} = 0 for the kinks of the expression: declare them, kinks=(...)")
        for point in found:
            if math.isfinite(float(point)):
                points.setdefault(_number(point), point)
    ordered = sorted(points)
    exact = [points[p] for p in ordered[:1]]
    for before, after in zip(ordered[:-1], ordered[1:], strict=True):
        if after - before < 1e-50 * (1 + abs(after)):
            continue  # one point found twice, in two spellings
        if after - before < 1e-9 * (1 + abs(after)):
            raise ValueError(f"two kinks of {phi} lie closer than 1e-9 at x = {float(after)}: move them apart")
        exact.append(points[after])
    return tuple(exact)


def _surfaces(phi, x):
    surfaces = set()
    for node in sympy.preorder_traversal(phi):
        if isinstance(node, sympy.Abs | sympy.sign | sympy.Heaviside):
            surfaces.add(node.args[0])
        elif isinstance(node, sympy.Max | sympy.Min):
            surfaces |= {a - b for i, a in enumerate(node.args) for b in node.args[:i]}
        elif isinstance(node, sympy.core.relational.Relational):
            surfaces.add(node.lhs - node.rhs)
    surfaces = {s for s in surfaces if s.has(x)}
    poles = {p.base for s in surfaces for p in s.atoms(sympy.Pow) if p.exp.is_negative and p.base.has(x)}
    return surfaces | poles | {sympy.cos(t.args[0]) for s in surfaces for t in s.atoms(sympy.tan) if t.has(x)}


def _number(exact):
    with mpmath.workdps(_DIGITS):
        return mpmath.mpf(sympy.N(exact, _DIGITS))


def match(declared, cuts, phi, x):
    """Exact places of declared kinks: the cut they stand for, a root of what decides between pieces, or themselves."""
    result = []
    for kink in declared:
        near = next((c for c in cuts or () if abs(float(c) - kink) <= 1e-8 * (1 + abs(kink))), None)
        result.append(_refined(kink, phi, x) if near is None else near)
    return tuple(result)


def _refined(kink, phi, x):
    with mpmath.workdps(_DIGITS):
        for surface in _surfaces(phi, x):
            try:
                root = mpmath.findroot(sympy.lambdify(x, surface, "mpmath"), mpmath.mpf(kink))
            except (ValueError, ZeroDivisionError, TypeError, NameError):
                continue
            if abs(root - kink) <= 1e-8 * (1 + abs(kink)):
                return sympy.Float(root, _DIGITS)
    return sympy.Rational(kink)


def jumps(phi, cuts, x, highest):
    """For every cut the jumps of phi, phi', .., phi^(highest): (numbers, lowest order not shown to be zero).

    At a cut that is only known as a number (a declared one) 40 digits decide; elsewhere sympy has to show the zero.
    """
    formula = rewritten(phi)
    numbers = [_number(c) for c in cuts]
    with mpmath.workdps(_DIGITS):
        middle = [(a + b) / 2 for a, b in zip(numbers[:-1], numbers[1:], strict=True)]
        samples = [numbers[0] - 1, *middle, numbers[-1] + 1] if numbers else []
    try:
        pieces = [select(formula, sympy.Rational(sympy.Float(s, 20)), x) for s in samples]
    except NotImplementedError:
        raise ValueError(
            f"cannot tell which piece of {phi} holds where: write its conditions in a simpler form"
        ) from None
    return [
        _jumps_at(phi, cut, place, sides, x, highest)
        for cut, place, sides in zip(cuts, numbers, zip(pieces[:-1], pieces[1:], strict=True), strict=True)
    ]


def _jumps_at(phi, cut, place, sides, x, highest):
    sizes, first = [], highest + 1
    left, right = sides
    for order in range(highest + 1):
        low, high = _value(phi, left, place, -1, x, order), _value(phi, right, place, 1, x, order)
        if order == 0:
            _check_value_at(phi, cut, low, high, x)
        jump = high - low
        sure = abs(jump) > _SURE * max(1, abs(low), abs(high))  # a smaller one still has to be shown to be zero
        if sure or not (isinstance(cut, sympy.Float) or _is_zero(right - left, cut, x)):
            first = min(first, order)
        else:
            jump = 0
        sizes.append(float(jump))
        if order < highest:
            left, right = sympy.diff(left, x), sympy.diff(right, x)
    return tuple(sizes), first


def _is_zero(difference, cut, x):
    """Whether sympy shows that the difference of two pieces vanishes at the cut."""
    if difference == 0:
        return True
    try:
        value = difference.subs(x, cut)
        if value == 0:
            return True
        if sympy.count_ops(value) > _SIMPLE:
            return False
        return sympy.expand(value) == 0 or sympy.simplify(value) == 0
    except (NotImplementedError, ValueError, TypeError, RecursionError):
        return False


def _value(phi, piece, place, side, x, order):
    """A piece at the kink in 80 digits; a hair aside where it has a value there only as a limit."""
    with mpmath.workdps(_DIGITS):
        function = sympy.lambdify(x, piece, "mpmath")
        for at in (place, place + side * _ASIDE * (1 + abs(place))):
            try:
                value = mpmath.mpmathify(function(at))
            except (ZeroDivisionError, ValueError, TypeError, OverflowError):
                continue
            if mpmath.isfinite(value) and mpmath.im(value) == 0 and abs(value) < 1e12:
                return mpmath.re(value)
    raise ValueError(
        f"derivative {order} of {phi} is not finite on both sides of x = {float(place)}: phi must be piecewise smooth"
    )


def _check_value_at(phi, cut, low, high, x):
    """Refuse a value at the kink that lies outside what the two sides span: a point of its own."""
    try:
        at = mpmath.mpf(sympy.N(phi.subs(x, cut), 40))
    except (ValueError, TypeError, ZeroDivisionError):
        return
    slack = 1e-30 * (1 + abs(low) + abs(high))
    if not min(low, high) - slack <= at <= max(low, high) + slack:
        raise ValueError(f"{phi} has a value of its own at the single point x = {float(cut)}: give it that of one side")
