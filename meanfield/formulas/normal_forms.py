"""The dynamics next to a fixed point with one slow direction: centre-manifold reduction to third order."""

from dataclasses import dataclass

import mpmath as mp
import numpy as np
import sympy as sp

from .spectrum import eigenspaces
from .symbols import GaussianAverage

#: A residual of the drift above this is no fixed point (drift is of the order of kappa).
_RESIDUAL = 1e-8


@dataclass(frozen=True, eq=False)
class NormalForm:
    """tau y' = eigenvalue y + quadratic y^2 + cubic y^3 on kappa = at + y right + y^2 curvature/2 (:eq:`normal-form`).

    Attributes
    ----------
    kind : str
        "saddle-node", "transcritical", "supercritical pitchfork", "subcritical pitchfork", "pitchfork" (sign not
        known with symbols), "cusp" or "degenerate": the bifurcation that happens when ``eigenvalue`` passes through
        0.
    eigenvalue, quadratic, cubic : sympy expressions
    at, right, left, curvature : Matrix (R, 1)
        The fixed point, the slow right eigenvector (unit length, largest component positive), the left one
        (left.right = 1), and the curvature of the manifold. With another length s of ``right``, quadratic and cubic
        scale as s and s^2.
    unfolding : sympy expression or None
        left.dF/dparameter, where a parameter was named.
    """

    kind: str
    eigenvalue: sp.Expr
    quadratic: sp.Expr
    cubic: sp.Expr
    at: sp.Matrix
    right: sp.Matrix
    left: sp.Matrix
    curvature: sp.Matrix
    unfolding: sp.Expr | None = None

    def nearby(self):
        """The other fixed points that the normal form predicts, list of Matrix (R, 1); real ones only, for numbers."""
        a, b, c = self.cubic, self.quadratic, self.eigenvalue
        if a == 0:
            roots = [] if b == 0 else [-c / b]
        else:
            root = sp.sqrt(b**2 - 4 * a * c)
            roots = [] if root.is_real is False else [(-b + root) / (2 * a), (-b - root) / (2 * a)]
        return [self.at + y * self.right + y**2 * self.curvature / 2 for y in roots]

    def latex(self):
        """LaTeX of tau dy/dt = ..."""
        y = sp.Symbol("y")
        terms = zip((self.eigenvalue, self.quadratic, self.cubic), (y, y**2, y**3), strict=True)
        right = sum(sp.collect(sp.expand(k), y) * power for k, power in terms)
        return r"\tau \frac{d y}{d t} = " + sp.latex(right)

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex()}$"


def normal_form(eq, at=None, inputs=None, parameter=None, digits=15):
    """Centre-manifold reduction of the reduced equations at a fixed point with one eigenvalue next to zero.

    With F the drift, A its Jacobian there, l and r the left and right eigenvectors of the eigenvalue lambda nearest
    to 0: quadratic = l.F''[r, r]/2 and cubic = l.F'''[r, r, r]/6 + l.F''[r, h]/2, where (A - 2 lambda) h = -P F''[r,
    r] and P projects along r (:eq:`normal-form-coefficients`). All derivatives of F are taken symbolically.

    Parameters
    ----------
    eq : ReducedEquations
    at : sequence of R numbers or expressions, optional
        The fixed point; default 0.
    inputs : mapping name -> number, optional
        Input amplitudes; inputs that are symbols and not listed are off.
    parameter : symbol or name, optional
        Tells saddle-node from transcritical: does the fixed point persist when this parameter moves? Without it, it
        persists where the origin is a fixed point by symmetry or for lack of any drive.
    digits : int
        Of the numbers in the result, where they are not exact.

    Raises
    ------
    ValueError
        Not a fixed point; the eigenvalue nearest to 0 is complex or repeated; phi has a kink there; symbols at rank
        above 1.
    """
    raw = eq
    eq = (raw.substitute() if raw.values else raw).with_inputs(inputs)
    point = sp.Matrix([sp.sympify(x) for x in (at if at is not None else [0] * eq.rank)])
    if point.shape != (eq.rank, 1):
        raise ValueError(f"at must be {eq.rank} numbers: got {len(point)}")
    here = dict(zip(eq.kappa, point, strict=True))
    _check_smooth(eq, here)
    _check_fixed(eq, point, digits)
    jacobian = eq.jacobian.xreplace(here).applyfunc(sp.expand)
    eigenvalue, right, left = _slow_direction(jacobian, digits)
    y = sp.Dummy("y", real=True)
    bend = _derivative(eq, point + y * right, y, 2, digits)
    curvature = _curvature(jacobian, eigenvalue, right, left, bend, digits)
    third = _derivative(eq, point + y * right + y**2 / 2 * curvature, y, 3, digits)
    quadratic, cubic = (_shown((left.T * d)[0] / n, digits) for d, n in ((bend, 2), (third, 6)))
    unfolding = None if parameter is None else _shown((left.T * _slope(raw, eq, here, parameter))[0], digits)
    persists = _origin_persists(eq, point) if unfolding is None else _vanishes(unfolding, digits)
    kind = _kind(quadratic, cubic, persists, unfolding is not None, digits)
    return NormalForm(kind, _shown(eigenvalue, digits), quadratic, cubic, point, right, left, curvature, unfolding)


def _shown(x, digits):
    x = sp.expand(sp.sympify(x))
    if x.is_number and (x.has(sp.Float) or x.has(GaussianAverage)):
        return x.evalf(digits)
    return x


def _check_smooth(eq, here):
    transfer = eq.phi.transfer
    flat = [p for p, x in enumerate(eq.variance, 1) if sp.expand(x.xreplace(here)) == 0]
    if transfer is not None and transfer.kinks and flat:
        raise ValueError(
            f"{transfer.name} has a kink, and the input of population {flat[0]} has no variance here: the drift is not "
            "smooth and has no normal form; give the population an input with a variance"
        )


def _check_fixed(eq, point, digits):
    residual = [_shown(x, digits) for x in eq.drift_at(point)]
    for x in residual:
        if x != 0 and not (x.is_number and abs(x) < _RESIDUAL):
            raise ValueError(
                f"not a fixed point: the drift there is {residual}; give at= a root, e.g. from fixed_points(reduce(c))"
            )


def _slow_direction(jacobian, digits):
    """The eigenvalue nearest to zero with its right and left eigenvectors."""
    if jacobian.rows == 1:
        return jacobian[0], sp.ones(1), sp.ones(1)
    if jacobian.free_symbols or any(a.args[0].transfer is None for a in jacobian.atoms(GaussianAverage)):
        raise ValueError("normal forms with symbols are given at rank 1 only: substitute values first")
    if all(x.is_Rational for x in jacobian):
        spaces, duals = eigenspaces(jacobian), eigenspaces(jacobian.T)
        space = min(spaces, key=lambda s: abs(complex(s.value.evalf(20))))
        _check_simple(space.value.is_real, space.multiplicity, space.value)
        dual = next(d for d in duals if d.value == space.value)
        right, left = space.basis[0], dual.basis[0]
        eigenvalue = space.value
    else:
        eigenvalue, right, left = _numeric_direction(jacobian, digits)
    largest = max(right, key=lambda x: abs(float(x.evalf(15))))
    right = right / (right.norm() * sp.sign(largest))
    return eigenvalue, right, left / (left.T * right)[0]


def _numeric_direction(jacobian, digits):
    with mp.workdps(digits + 10):
        numbers = mp.matrix([[mp.mpmathify(x.evalf(digits + 10)) for x in row] for row in jacobian.tolist()])
        values, left, right = mp.eig(numbers, left=True, right=True)
        order = sorted(range(len(values)), key=lambda k: abs(values[k]))
        k = order[0]
        tiny = mp.mpf(10) ** (-digits // 2)
        multiplicity = 1 + sum(abs(values[j] - values[k]) < tiny for j in order[1:])
        _check_simple(abs(mp.im(values[k])) < tiny, multiplicity, mp.nstr(values[k], 6))
        column, row = right[:, k], left[k, :]
        column, row = (x / max(x, key=abs) for x in (column, row))
        real = [[sp.Float(mp.re(x), digits + 10) for x in vector] for vector in (column, row)]
        return sp.Float(mp.re(values[k]), digits + 10), sp.Matrix(real[0]), sp.Matrix(real[1])


def _check_simple(real, multiplicity, value):
    if not real:
        raise ValueError(
            f"the eigenvalue nearest to zero is complex, {value}: no slow line (a Hopf bifurcation is not covered)"
        )
    if multiplicity > 1:
        raise ValueError(
            f"the eigenvalue nearest to zero, {value}, is repeated: the slow manifold has more than one dimension"
        )


def _derivative(eq, path, y, order, digits):
    """d^order/dy^order of the drift along a path kappa(y), at y = 0."""
    result = eq.drift_at(path)
    for _ in range(order):
        result = result.applyfunc(
            lambda x: x.diff(y)
        )  # one at a time: sympy factors before it takes a higher derivative
    return result.xreplace({y: sp.S.Zero}).applyfunc(lambda x: _shown(x, digits + 10))


def _curvature(jacobian, eigenvalue, right, left, bend, digits):
    if jacobian.rows == 1:
        return sp.zeros(1)
    size = jacobian.rows
    shifted = jacobian.applyfunc(lambda x: _shown(x, digits + 10)) - 2 * eigenvalue * sp.eye(size)
    bordered = shifted.row_join(right).col_join(left.T.row_join(sp.zeros(1)))
    along = (left.T * bend)[0]
    return bordered.LUsolve((right * along - bend).col_join(sp.zeros(1)))[:size, :].applyfunc(
        lambda x: _shown(x, digits + 10)
    )


def _slope(raw, eq, here, parameter):
    """dF/dparameter at the fixed point."""
    known = {str(s): s for s in raw.parameters}
    if str(parameter) not in known:
        raise ValueError(f"unknown parameter {str(parameter)!r}: these equations have {', '.join(known) or 'none'}")
    numbers = {x: y for x, y in zip(raw.v, eq.v, strict=True) if x != y} | dict(raw.values) | here
    return raw.drift.diff(known[str(parameter)]).xreplace(numbers)


def _origin_persists(eq, point):
    """Whether the origin is a fixed point whatever the strength of the connectivity."""
    if any(x != 0 for x in point):
        return False
    b, v = eq.blocks, np.array(eq.v, dtype=object)
    driven = [any(row) for row in b.cov_nI @ v]
    silent = [not any(b.mean_n[p]) or (eq.phi.odd and (b.mean_I @ v)[p] == 0) for p in range(len(driven))]
    return not any(driven) and all(silent)


def _vanishes(x, digits):
    return bool(x == 0 or (x.is_number and abs(x) < sp.Float(10) ** (5 - digits)))


def _kind(quadratic, cubic, persists, unfolded, digits):
    if not _vanishes(quadratic, digits):
        return "transcritical" if persists else "saddle-node"
    if unfolded and not persists:
        return "cusp"
    if _vanishes(cubic, digits):
        return "degenerate"
    if not cubic.is_number or not cubic.is_comparable:
        return "pitchfork"
    return "supercritical pitchfork" if cubic < 0 else "subcritical pitchfork"
