"""Fixed points and limit cycles in closed form.

They exist where every population that drives the dynamics sees one and the same zero-mean Gaussian input: the reduced
equations are then tau kappa' = -kappa + <phi'>(Delta) L kappa with the overlap matrix L = sum_p alpha_p sigma_nm^p
and Delta = kappa.Sigma kappa + S (:eq:`isotropic-drift`), Sigma the covariance of m and S the variance of the inputs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import sympy as sp

from .spectrum import eigenspaces, exactly
from .symbols import FALLING_GAIN, GainVariance, GaussianAverage, gain_roots

_TIME = sp.Symbol("t", real=True)

#: An eigenvalue this close to zero, in units of 1/tau, leaves the kind open: what rounding of float parameters can
#: make of a zero.
_UNDECIDED = 1e-13


@dataclass(frozen=True, eq=False)
class AnalyticFixedPoint:
    """A fixed point, or a continuum of them, as sympy expressions.

    Attributes
    ----------
    kappa : Matrix (R, 1)
        Its position; on a continuum a function of ``parameters``.
    direction : sympy expression or None
        lambda, the eigenvalue of the overlap matrix on whose eigenvector it lies; None at the origin.
    variance : sympy expression
        Delta, the variance of the input there.
    exists : sympy Boolean
        When it exists; ``true`` for numbers.
    eigenvalues : tuple of R sympy expressions
        Of the Jacobian, in units of 1/tau.
    kind : str
        "stable", "saddle" or "source" (on a continuum: across it); "undecided" at a bifurcation; "" with symbols.
    continuum : str
        "" for a point; "line", "plane", "ring" or "ellipsoid".
    parameters : tuple of symbols
        What ``kappa`` depends on along the continuum.
    """

    kappa: sp.Matrix
    direction: sp.Expr | None
    variance: sp.Expr
    exists: sp.Basic
    eigenvalues: tuple
    kind: str
    continuum: str = ""
    parameters: tuple = ()

    def evalf(self, digits=15):
        """kappa as an ndarray (R,) of mpmath numbers of that many digits; on a continuum with all parameters 0."""
        import mpmath as mp

        point = self.kappa.subs({s: 0 for s in self.parameters}).evalf(digits)
        with mp.workdps(digits):
            return np.array([mp.mpf(sp.Float(x, digits)._mpf_) for x in point], dtype=object)

    def _repr_latex_(self):
        return f"$\\displaystyle \\kappa = {sp.latex(self.kappa)}$"


@dataclass(frozen=True, eq=False)
class AnalyticCycle:
    """A limit cycle in the plane of a complex pair of eigenvalues of the overlap matrix.

    Attributes
    ----------
    eigenvalue : sympy expression
        lambda = a + i b with b > 0.
    period : sympy expression
        2 pi a / b, in units of tau (:eq:`cycle-period`).
    plane : Matrix (R, 2)
        Its plane: real and imaginary part of the eigenvector.
    exists : sympy Boolean
    exponents : tuple of R - 2 sympy expressions
        Floquet exponents across the plane, Re(lambda_j)/a - 1 for each other eigenvalue, in units of 1/tau.
    kind : str
        "stable" or "saddle"; "undecided" on the border; "" with symbols.
    orbit : Matrix (R, 1) or None
        kappa as a function of ``t`` (units of tau) when the variance is constant along the cycle; None otherwise.
    """

    eigenvalue: sp.Expr
    period: sp.Expr
    plane: sp.Matrix
    exists: sp.Basic
    exponents: tuple
    kind: str
    orbit: sp.Matrix | None = None


class _Isotropic(NamedTuple):
    overlap: sp.Matrix  # L
    covariance: sp.Matrix  # Sigma
    offset: sp.Expr  # S
    phi: sp.Expr
    exact: bool  # no floats in the parameters

    def finish(self, expression):
        """Expressions of float parameters are shown as floats, those of exact ones stay exact."""
        return expression if self.exact else expression.evalf(15)


def fixed_points(eq):
    """See :meth:`meanfield.formulas.reduced.ReducedEquations.fixed_points`."""
    system = _isotropic(eq)
    spaces = eigenspaces(system.overlap, system.exact)
    spectrum = [space.value for space in spaces for _ in range(space.multiplicity)]
    found = [] if eq.phi.is_one_of(("step",)) and system.offset == 0 else [_origin(system, spectrum)]
    for space in spaces:
        if space.value.is_real is False or space.value == 0:
            continue
        others = list(spectrum)
        for _ in space.basis:
            others.remove(space.value)
        found += _along(system, space, others)
    return found


def cycles(eq):
    """See :meth:`meanfield.formulas.reduced.ReducedEquations.cycles`."""
    system = _isotropic(eq)
    if system.overlap.free_symbols:
        raise ValueError("cycles in closed form need numbers for the overlaps: call substitute() first")
    spaces = eigenspaces(system.overlap, system.exact)
    found = []
    for space in spaces:
        a, b = space.value.as_real_imag()
        if not (b.evalf(20) > 0 and a.evalf(20) > 0):
            continue
        if space.multiplicity > 1:
            raise ValueError(f"the complex eigenvalue {space.value} is repeated: its cycles are not isolated")
        exists = sp.And(_saturates(system.phi), _above_onset(system, a))
        if exists is not sp.false:
            found.append(_cycle(system, space, a, b, exists, spaces))
    return found


def _cycle(system, space, a, b, exists, spaces):
    pair = (abs(complex(space.value.evalf(20)).imag), complex(space.value.evalf(20)).real)
    others = [
        x.value for x in spaces for _ in range(x.multiplicity)
        if (abs(complex(x.value.evalf(20)).imag), complex(x.value.evalf(20)).real) != pair
    ]  # fmt: skip
    exponents = tuple(system.finish(sp.re(x) / a - 1) for x in others)
    plane = sp.Matrix.hstack(*(space.basis[0].applyfunc(part) for part in (sp.re, sp.im)))
    period = system.finish(2 * sp.pi * a / b)
    kind = _kind([-sp.S.One, *exponents])  # it attracts its own plane
    orbit = _circle(system, a, b, plane)
    return AnalyticCycle(
        system.finish(space.value), period, plane.applyfunc(system.finish), exists, exponents, kind, orbit
    )


def _circle(system, a, b, plane):
    """The orbit when the variance does not change along it: x cos - y sin turns at the rate b/a."""
    form = (plane.T * system.covariance * plane).applyfunc(_tidy)
    if form[0, 0] != form[1, 1] or form[0, 1] != 0:
        return None
    variance = GainVariance(system.phi, a)
    angle = b / a * _TIME
    path = plane[:, 0] * sp.cos(angle) - plane[:, 1] * sp.sin(angle)
    return (sp.sqrt((variance - system.offset) / form[0, 0]) * path).applyfunc(system.finish)


def _isotropic(eq):
    """L, Sigma and S, or a ValueError that says which condition fails."""
    b, v = eq.blocks, np.array(eq.v, dtype=object)
    advice = "; find them numerically with fixed_points(reduce(c, ...))"
    if not b.spread:
        raise ValueError(
            "closed forms need Gaussian loadings, but every covariance is zero (a finite network)" + advice
        )
    mean_I, cross, drive, offset = b.mean_I @ v, b.cov_mI @ v, b.cov_nI @ v, (b.cov_II @ v) @ v
    active = [p for p in range(len(b.weights)) if any(b.cov_nm[p].ravel()) or any(drive[p]) or any(b.mean_n[p])]
    active = active or [0]
    first = active[0]
    for p in active:
        where = f" (population {p})"
        if any(b.mean_m[p]) or mean_I[p] != 0:
            raise ValueError("closed forms need a mean input of zero: mu_m or mu_I v is not" + where + advice)
        if any(cross[p]):
            raise ValueError("closed forms need inputs that are uncorrelated with m" + where + advice)
        if _differ(b.cov_mm[p], b.cov_mm[first]) or sp.expand(offset[p] - offset[first]) != 0:
            raise ValueError(
                "closed forms need the same covariance of m and of the inputs in every population" + where + advice
            )
    if any(sp.expand(x) != 0 for x in _sum(b.weights, drive)):
        raise ValueError("closed forms need inputs that are uncorrelated with n" + advice)
    if not eq.phi.odd and any(sp.expand(x) != 0 for x in _sum(b.weights, b.mean_n)):
        raise ValueError("closed forms need sum_p alpha_p mu_n = 0, or an odd transfer function" + advice)
    overlap = sp.Matrix(_sum(b.weights, b.cov_nm).tolist())
    covariance = sp.Matrix(b.cov_mm[first].tolist())
    exact = not any(x.has(sp.Float) for x in [*overlap, *covariance, sp.sympify(offset[first])])
    return _Isotropic(
        overlap.applyfunc(exactly), covariance.applyfunc(exactly), exactly(sp.sympify(offset[first])), eq.phi, exact
    )


def _sum(weights, rows):
    return sum(w * row for w, row in zip(weights, rows, strict=True))


def _differ(a, b):
    return any(sp.expand(x - y) != 0 for x, y in zip(a.ravel(), b.ravel(), strict=True))


def _origin(system, spectrum):
    gain = _gain(system, 1, system.offset)
    values = tuple(system.finish(value * gain - 1) for value in spectrum)
    zero = sp.zeros(system.overlap.rows, 1)
    return AnalyticFixedPoint(zero, None, system.offset, sp.true, values, _kind(values))


def _gain(system, order, variance):
    return GaussianAverage(system.phi, order, 0, variance).doit()


def _along(system, space, others):
    """Fixed points in one eigenspace; ``others`` are the remaining eigenvalues."""
    form = _gram(system, space.basis)
    if _constant_gain(system.phi) is not None:
        return _rays(system, space, others, form)
    if form.is_zero_matrix:
        return []
    found = []
    for variance, exists in _variances(system, space.value):
        if system.offset != 0:
            exists = sp.And(exists, _positive(variance - system.offset))
        if exists is sp.false:
            continue
        radial = system.finish(_radial(system, space.value, variance))
        across = [system.finish(value / space.value - 1) for value in others]
        tangent = [sp.S.Zero] * (len(space.basis) - 1)
        kind = _kind([radial, *across])
        common = (system.finish(space.value), system.finish(variance), exists, (radial, *tangent, *across), kind)
        scale = sp.sqrt(variance - system.offset)
        if len(space.basis) == 1:
            step = space.basis[0] * scale / sp.sqrt(form[0, 0])
            found += [AnalyticFixedPoint((sign * step).applyfunc(system.finish), *common) for sign in (1, -1)]
        else:
            path, angles = _ellipsoid(space.basis, form)
            kappa = (scale * path).applyfunc(system.finish)
            found.append(AnalyticFixedPoint(kappa, *common, "ring" if len(angles) == 1 else "ellipsoid", angles))
    return found


def _radial(system, slope, variance):
    """lambda (Delta - S) <phi'''>(Delta), with lambda > 0 known."""
    positive = slope if slope.is_number else sp.Dummy(positive=True)
    value = (
        positive
        * (variance.xreplace({slope: positive}) - system.offset)
        * _gain(system, 3, variance.xreplace({slope: positive}))
    )
    return (value if slope.is_number or value.has(GaussianAverage) else sp.simplify(value)).xreplace({positive: slope})


def _rays(system, space, others, form):
    """Threshold-linear and softplus: the gain at zero mean is constant, so a whole eigenspace is fixed or none."""
    if sp.simplify(space.value * _constant_gain(system.phi) - 1) != 0:
        return []
    scales = sp.symbols(f"s_1:{len(space.basis) + 1}", real=True)
    kappa = sum((s * e for s, e in zip(scales, space.basis, strict=True)), sp.zeros(system.overlap.rows, 1))
    across = [system.finish(value / space.value - 1) for value in others]
    zeros = [sp.S.Zero] * len(scales)
    variance = sp.expand((kappa.T * system.covariance * kappa)[0]) + system.offset
    return [
        AnalyticFixedPoint(
            kappa.applyfunc(system.finish), system.finish(space.value), variance, sp.true, (*zeros, *across),
            _kind(across) if across else "stable", "line" if len(scales) == 1 else "plane", tuple(scales),
        )
    ]  # fmt: skip


def _gram(system, basis):
    """Covariance of m between the basis vectors."""
    vectors = sp.Matrix.hstack(*basis)
    return (vectors.T * system.covariance * vectors).applyfunc(_tidy)


def _tidy(x):
    return sp.expand(x) if x.has(sp.CRootOf, sp.Float) else sp.radsimp(sp.expand(x))


def _ellipsoid(basis, form):
    """Points E C^-T u with u on the unit sphere, C the Cholesky factor of the form: a ring for two basis vectors."""
    d = len(basis)
    angles = (sp.Symbol("theta", real=True),) if d == 2 else sp.symbols(f"theta_1:{d}", real=True)
    unit, rest = [], sp.S.One
    for angle in angles:
        unit.append(rest * sp.cos(angle))
        rest *= sp.sin(angle)
    unit.append(rest)
    factor = form.cholesky(hermitian=False)
    return sp.Matrix.hstack(*basis) * factor.T.LUsolve(sp.Matrix(unit)), tuple(angles)


def _constant_gain(phi):
    return sp.Rational(1, 2) if phi.is_one_of(("relu", "softplus")) else None


def _variances(system, slope):
    """[(Delta, condition)] with <phi'>(Delta) = 1/lambda."""
    phi = system.phi
    if phi.transfer is None:
        return [
            (
                GainVariance(phi, slope),
                sp.Eq(GaussianAverage(phi, 1, 0, GainVariance(phi, slope)), 1 / slope, evaluate=False),
            )
        ]
    if phi.is_one_of(FALLING_GAIN):
        return [(GainVariance(phi, slope), _above_onset(system._replace(offset=sp.S.Zero), slope))]
    if not slope.is_number:
        raise ValueError(f"the number of fixed points with {phi.name} depends on the values: substitute them first")
    roots = gain_roots(phi.transfer, float(slope))
    return [(GainVariance(phi, slope, *([sp.Float(x, 15)] if len(roots) > 1 else [])), sp.true) for x in roots]


def _above_onset(system, slope):
    """slope <phi'>(S) > 1: the origin repels along this direction."""
    phi = system.phi
    if phi.is_one_of(("step",)) and system.offset == 0:
        return _positive(slope)
    return _positive(slope * _gain(system, 1, system.offset) - 1)


def _saturates(phi):
    """Whether the gain falls strictly to zero, so that growth is bounded and the cycle unique."""
    if phi.transfer is None or phi.is_one_of(FALLING_GAIN):
        return sp.true
    if _constant_gain(phi) is not None:
        return sp.false
    raise ValueError(
        f"cycles in closed form need a gain that falls to zero: not known of {phi.name}; use limit_cycle(reduce(c))"
    )


def _positive(x):
    """x > 0 as a sympy Boolean: decided for numbers, a condition for symbols."""
    x = sp.sympify(x)
    if x.is_number and x.is_positive is None:
        x = x.evalf(20)
    return sp.sympify(x > 0)


def _kind(eigenvalues):
    if not all(x.is_number for x in eigenvalues):
        return ""
    signs = [float(sp.re(x.evalf(10))) for x in eigenvalues]
    if any(abs(s) < _UNDECIDED for s in signs):
        return "undecided"
    growing = sum(s > 0 for s in signs)
    return "stable" if growing == 0 else "source" if growing == len(signs) else "saddle"
