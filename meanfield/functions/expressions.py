"""User-given transfer functions: reading an expression safely, and deriving derivatives, kinks, parity and slopes from
it.

Imported only when an expression is needed, because sympy is heavy.
"""

import ast
import math
from functools import lru_cache

import mpmath
import numpy as np
import sympy

from .intervals import in_tanh, select, supremum
from .kinks import find_cuts, jumps, match, rewritten

X = sympy.Symbol("x", real=True)
MAX_ORDER = 5

_NAMES = "Abs Heaviside Max Min Piecewise asinh atan cos cosh erf erfc exp log sign sin sinh sqrt tan tanh"
_FUNCTIONS = {name: getattr(sympy, name) for name in _NAMES.split()}
_FUNCTIONS |= {"abs": sympy.Abs, "max": sympy.Max, "min": sympy.Min, "ln": sympy.log, "arctan": sympy.atan}
_CONSTANTS = {"pi": sympy.pi, "E": sympy.E, "e": sympy.E}
_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Lt: sympy.Lt,
    ast.LtE: sympy.Le,
    ast.Gt: sympy.Gt,
    ast.GtE: sympy.Ge,
}


# ---- reading -------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def read(expression):
    """The expression as a sympy expression in the real symbol ``X``; nothing in a text is ever executed.

    Raises
    ------
    ValueError
        Anything but numbers, x, the arithmetic operators and the known functions.
    """
    if isinstance(expression, str):
        return _read_text(expression)
    if not isinstance(expression, sympy.Expr):
        raise ValueError(f"expected a sympy expression or its text: got {type(expression).__name__}")
    symbols = expression.free_symbols
    if len(symbols) != 1:
        raise ValueError(
            f"expected a function of one symbol: got {sorted(map(str, symbols)) or 'a constant'}; "
            "substitute the parameters"
        )
    known = tuple(f for f in _FUNCTIONS.values() if isinstance(f, type))
    for f in expression.atoms(sympy.Function):
        if not isinstance(f, known):
            raise ValueError(f"unknown function {f.func}: expected one of {_names()}")
    if expression.has(sympy.Integral, sympy.Derivative, sympy.Sum, sympy.I, sympy.zoo, sympy.nan):
        raise ValueError("expected a closed real expression without integrals, derivatives, sums or complex numbers")
    exact = {f: sympy.Rational(repr(float(f))) for f in expression.atoms(sympy.Float)}
    return expression.xreplace(exact).subs(symbols.pop(), X)


@lru_cache(maxsize=256)
def _read_text(text):
    if len(text) > 2000:
        raise ValueError(f"expression of {len(text)} characters: at most 2000 are read")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        result = sympy.sympify(_build(tree.body))
    except (SyntaxError, RecursionError, MemoryError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"cannot read the expression {text[:80]!r}: {error}") from None
    if result.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I):
        raise ValueError(f"the expression {text[:80]!r} holds a division by zero, an infinity or a complex number")
    if X not in result.free_symbols:
        raise ValueError(f"expected a function of x: got {text[:80]!r}")
    return result


def _build(node):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return sympy.Rational(repr(node.value))
    if isinstance(node, ast.Constant) and node.value is True:
        return sympy.true
    if isinstance(node, ast.Name):
        if node.id == "x":
            return X
        if node.id in _CONSTANTS:
            return _CONSTANTS[node.id]
        raise ValueError(
            f"unknown name {node.id!r} in the expression: expected x, {', '.join(_CONSTANTS)} or one of {_names()}"
        )
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _build(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _build(node.left), _build(node.right)
        if isinstance(node.op, ast.Pow):
            if right.is_number and (
                abs(right) > 64 or (left.is_number and abs(float(sympy.log(abs(left) + 1)) * right) > 700)
            ):
                raise ValueError(f"power {right} in the expression: at most 64, and its value below 1e300")
            return left**right
        if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPERATORS:
        return _OPERATORS[type(node.ops[0])](_build(node.left), _build(node.comparators[0]))
    if isinstance(node, ast.Tuple):
        return tuple(_build(item) for item in node.elts)
    if isinstance(node, ast.Call) and not node.keywords and isinstance(node.func, ast.Name):
        if node.func.id in _FUNCTIONS:
            return _FUNCTIONS[node.func.id](*[_build(argument) for argument in node.args])
        raise ValueError(f"unknown function {node.func.id!r} in the expression: expected one of {_names()}")
    hint = "; a power is **" if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor) else ""
    raise ValueError(f"the expression holds {type(node).__name__}, which is not part of a formula in x{hint}")


def _names():
    return ", ".join(sorted(_FUNCTIONS))


# ---- derivatives ---------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def derivative(expression, order):
    """The order-th derivative between the kinks (no Dirac masses)."""
    if order == 0:
        return rewritten(expression)
    return sympy.diff(derivative(expression, order - 1), X)


@lru_cache(maxsize=512)
def _numpy_function(expression, order):
    formula = derivative(expression, order)
    rational = None if formula.has(sympy.Piecewise) else in_tanh(formula, X)
    if rational is not None:
        g, t, c = rational
        formula = (
            sympy.horner(g, t).subs(t, sympy.tanh(c * X / 2))
            if g.is_polynomial(t)
            else g.subs(t, sympy.tanh(c * X / 2))
        )
    return sympy.lambdify(X, formula, modules=["scipy", "numpy"], cse=True)


@lru_cache(maxsize=512)
def _mpmath_function(expression, order):
    return sympy.lambdify(X, derivative(expression, order), modules="mpmath")


def evaluate(expression, x, order):
    """phi^(order) on an array; points where floating point overflows on the way are taken from mpmath."""
    x = np.asarray(x, float)
    with np.errstate(all="ignore"):
        value = np.array(np.broadcast_to(_numpy_function(expression, order)(x), x.shape), float)
    bad = ~np.isfinite(value) & np.isfinite(x)
    if bad.any():
        points, back = np.unique(x[bad], return_inverse=True)
        value[bad] = np.array([_from_mpmath(expression, p, order) for p in points])[back]
    return value


def _from_mpmath(expression, x, order):
    with mpmath.workdps(30):
        try:
            value = _mpmath_function(expression, order)(mpmath.mpf(x))
            return float(value) if mpmath.im(value) == 0 else math.nan
        except (ZeroDivisionError, ValueError, TypeError):
            return math.nan


def mp_value(source_expression, kinks, x, order):
    """phi^(order)(x), or its primitive, in mpmath's working precision."""
    expression = read(source_expression)
    x = mpmath.mpf(x)
    if order >= 0:
        return mpmath.mpmathify(_mpmath_function(expression, order)(x))
    low, high = min(x, mpmath.mpf(0)), max(x, mpmath.mpf(0))
    inside = [mpmath.mpf(k) for k in kinks if low < k < high]
    scales = [sign * mpmath.mpf(4) ** k for k in range(-1, 40) for sign in (-1, 1)]
    cuts = sorted({low, high, *inside, *(c for c in scales if low < c < high)})
    total = mpmath.quad(lambda t: _mpmath_function(expression, 0)(t), cuts)
    return total if x >= 0 else -total


def source(source_expression, x=None):
    """The expression in the symbol x."""
    expression = read(source_expression)
    return expression if x is None else expression.subs(X, x)


# ---- what a Transfer needs -----------------------------------------------------------------------


def build(expression, name, declared):
    """Fields of a Transfer from an expression and what its author declares."""
    unknown = set(declared) - {"odd", "kinks", "bounds", "slopes", "primitive"}
    if unknown:
        raise ValueError(f"cannot declare {sorted(unknown)}: expected odd, kinks, bounds, slopes or primitive")
    phi = read(expression)
    places, sizes, singular, solved = _kinks(phi, declared.get("kinks"))
    kinks = tuple(float(k) for k in places)
    _check_values(phi)
    if "bounds" in declared:
        bounds = tuple(float(b) for b in declared["bounds"])
        if len(bounds) != MAX_ORDER + 1 or not all(b >= 0 for b in bounds):
            raise ValueError(
                f"bounds must be {MAX_ORDER + 1} numbers >= 0, for the derivatives 0..{MAX_ORDER}: got {bounds}"
            )
    else:
        cuts = () if solved is None else tuple(map(float, solved))
        bounds = tuple(
            supremum(derivative(phi, k), X, cuts) if k < singular and solved is not None else math.inf
            for k in range(MAX_ORDER + 1)
        )
    bounds = tuple(b if k < singular else math.inf for k, b in enumerate(bounds))  # a Dirac mass has no bound
    return {
        "name": str(name or expression),
        "odd": bool(declared["odd"]) if "odd" in declared else is_odd(phi),
        "kinks": kinks,
        "bounds": bounds,
        "slopes": tuple(map(float, declared["slopes"])) if "slopes" in declared else _slopes(phi),
        "value": lambda x, order: evaluate(phi, x, order),
        "primitive": _primitive(phi, kinks, declared.get("primitive")),
        "expression": phi,
        "singular": singular,
        "jumps": sizes,
        "noise": tuple(_noise(phi, k) for k in range(MAX_ORDER + 1)),
    }


def _check_values(phi):
    points = np.array([-3.1, -0.7, 0.3, 1.9, 12.3])
    if not np.isfinite(evaluate(phi, points, 0)).all():
        raise ValueError(
            f"the expression {phi} is not a finite real number at every x: got {evaluate(phi, points, 0)} at {points}"
        )


def _noise(phi, order):
    """Rounding error of the formula where phi bends, measured against mpmath: four times the largest of 32 points."""
    x = np.linspace(-4.03, 4.01, 32)
    exact = np.array([_from_mpmath(phi, p, order) for p in x])
    error = np.abs(evaluate(phi, x, order) - exact)
    return 4 * float(np.max(error[np.isfinite(error)], initial=0.0))


def _kinks(phi, declared):
    """Kinks (exact numbers), the jumps of the derivatives at each, the lowest order with a Dirac mass, and every cut.

    The cuts are None where they cannot be solved for; then the kinks have to be declared.
    """
    try:
        cuts = find_cuts(phi, X)
    except ValueError:
        if declared is None:
            raise
        cuts = None
    places = cuts if declared is None else match(sorted({float(k) for k in declared}), cuts, phi, X)
    every = tuple(sorted({*places, *(cuts or ())}, key=float))
    found = dict(zip(every, jumps(phi, every, X, MAX_ORDER), strict=True))
    if declared is None:
        places = tuple(p for p in every if found[p][1] <= MAX_ORDER)
    missed = [float(p) for p in every if p not in places and found[p][1] <= MAX_ORDER]
    if missed:
        raise ValueError(f"the declared kinks miss {missed}, where {phi} is not smooth: declare them too")
    singular = min([found[p][1] + 1 for p in places], default=MAX_ORDER + 1)
    return places, tuple(found[p][0] for p in places), min(singular, MAX_ORDER + 1), cuts


def is_odd(phi):
    """phi(-x) = -phi(x): checked on numbers first, then symbolically."""
    x = np.array([0.1, 0.77, 2.3, 5.9])
    plus, minus = evaluate(phi, x, 0), evaluate(phi, -x, 0)
    if not np.allclose(plus, -minus, rtol=1e-12, atol=1e-13):
        return False
    total = phi.subs(X, -X) + phi
    return total == 0 or sympy.simplify(total) == 0


def _slopes(phi):
    """Limits of phi' at -inf and +inf; nan where sympy does not find them."""
    return tuple(_slope(derivative(phi, 1), sign) for sign in (-1, 1))


def _slope(slope, sign):
    try:
        piece = select(slope, sympy.Integer(10) ** 6 * sign, X)
        rational = in_tanh(piece, X)
        if rational is not None:
            value = rational[0].subs(rational[1], sign)
        else:
            value = sympy.limit(piece, X, sign * sympy.oo) if sympy.count_ops(piece) < 60 else sympy.nan
        return float(value) if value.is_real else math.nan
    except (NotImplementedError, ValueError, TypeError, AttributeError):
        return math.nan


def _primitive(phi, kinks, declared):
    """int_0^x phi: declared, or by Gauss-Legendre in w with t = sinh w, cut at the kinks."""
    if callable(declared) and not isinstance(declared, sympy.Expr):
        return declared
    if declared is not None:
        formula = read(declared)
        return lambda x: evaluate(formula, x, 0)
    nodes, weights = np.polynomial.legendre.leggauss(24)

    def primitive(x):
        x = np.asarray(x, float)
        total = np.zeros(x.shape)
        cuts = np.arcsinh(np.array(sorted({0.0, *kinks})))
        ends = np.concatenate([[-np.inf], cuts, [np.inf]])
        w = np.arcsinh(x)
        for left, right in zip(ends[:-1], ends[1:], strict=True):
            low = np.clip(np.minimum(w, 0), left, right)
            high = np.clip(np.maximum(w, 0), left, right)
            panels = 12
            for i in range(panels):
                a = low + (high - low) * (i / panels)
                half = (high - low) / (2 * panels)
                u = a[..., None] + half[..., None] * (1 + nodes)
                total += half * ((evaluate(phi, np.sinh(u), 0) * np.cosh(u)) @ weights)
        return np.where(w < 0, -total, total)

    return primitive
