"""The theory's quantities as sympy objects: statistics of loadings, Gaussian averages, the variance that gives a gain.

Only :mod:`meanfield.symbolic` and what it calls import this module: it loads sympy.
"""

from functools import lru_cache

import mpmath as mp
import numpy as np
import sympy as sp
from mpmath.libmp import prec_to_dps
from sympy.core.expr import AtomicExpr
from sympy.core.function import ArgumentIndexError

from ..averages import gaussian_average, mp_average
from ..transfer import get_transfer

#: Transfer functions whose <phi'> over N(0, Delta) falls strictly from phi'(0) to 0 as Delta grows: phi' is even and
#: falls with |x|, or the closed form says so. Each value of the gain is then met once.
FALLING_GAIN = ("tanh", "erf", "logistic", "sin", "step")

#: Variances at which <phi'> is sampled to bracket roots; with 20 points a decade, two roots closer than 12 % can be
#: missed where the gain is not monotone.
_SCAN = np.logspace(-10, 6, 321)

#: Floats with at most this many binary places are taken as the fractions they are.
_BINARY_PLACES = 12

_X, _MEAN = sp.Symbol("x", real=True), sp.Symbol("mu", real=True)
_VARIANCE = sp.Symbol("Delta", positive=True)


def number(x, exact=False):
    """A number for sympy: short binary fractions (0.5, 2.25) become the fractions they are, other floats stay floats.

    ``exact`` reads every float as the simplest fraction within 1e-14; sympy expressions pass through.
    """
    if isinstance(x, sp.Basic):
        return x
    if exact:
        return sp.nsimplify(float(x), rational=True, tolerance=1e-14)
    fraction = sp.Rational(float(x))
    return fraction if fraction.q <= 1 << _BINARY_PLACES else sp.Float(float(x), 15)


class Statistic(sp.Symbol):
    """A mean or covariance of loadings: a plain name for the keyboard, the seeds' notation for the page."""

    def __new__(cls, name, latex=None, **assumptions):
        """A symbol called ``name`` that prints as ``latex``."""
        symbol = sp.Symbol.__new__(cls, name, **assumptions)
        if latex is not None:
            symbol.latex_name = latex
        return symbol

    def __getnewargs_ex__(self):
        return (self.name, self.latex_name), self._assumptions_orig

    def _latex(self, printer):
        return self.latex_name


class Phi(AtomicExpr):
    """A transfer function as a sympy atom; without a transfer function it is the unspecified phi of the theory."""

    __slots__ = ("transfer",)
    is_commutative = True

    def __new__(cls, transfer=None):
        """The atom of a :class:`~meanfield.transfer.Transfer`, of its name, or of nothing in particular."""
        atom = AtomicExpr.__new__(cls)
        atom.transfer = None if transfer is None else get_transfer(transfer)
        return atom

    @property
    def name(self):
        """Name of the transfer function."""
        return "phi" if self.transfer is None else self.transfer.name

    @property
    def is_number(self):
        """True when averages of phi can be evaluated."""
        return self.transfer is not None

    @property
    def odd(self):
        """True when phi is known to be odd."""
        return self.transfer is not None and self.transfer.odd

    def is_one_of(self, names):
        """True when this is the built-in transfer function of one of these names."""
        return self.transfer is not None and self.name in names and self.transfer is get_transfer(self.name)

    def derivative(self, order, x):
        """phi^(order)(x) as a sympy expression; None where phi is unspecified or the derivative is no function."""
        if self.transfer is None or order < 0 or (self.transfer.kinks and order >= self.transfer.singular):
            return None
        return _derivative(self.transfer, order).subs(_X, x)

    def _hashable_content(self):
        return (self.name, id(self.transfer))

    def __getnewargs__(self):
        return (self.transfer,)

    def _sympystr(self, printer):
        return self.name

    def _latex(self, printer):
        return r"\phi"


@lru_cache
def _derivative(transfer, order):
    return sp.diff(transfer.sympy(_X), _X, order)


# <phi> over N(mu, Delta) where it is an elementary expression; the higher orders are its derivatives in mu.
_CLOSED = {
    "erf": sp.erf(sp.sqrt(sp.pi) * _MEAN / 2 / sp.sqrt(1 + sp.pi * _VARIANCE / 2)),
    "sin": sp.sin(_MEAN) * sp.exp(-_VARIANCE / 2),
    "step": (1 + sp.erf(_MEAN / sp.sqrt(2 * _VARIANCE))) / 2,
    "relu": _MEAN * (1 + sp.erf(_MEAN / sp.sqrt(2 * _VARIANCE))) / 2
    + sp.sqrt(_VARIANCE / (2 * sp.pi)) * sp.exp(-(_MEAN**2) / (2 * _VARIANCE)),
}


@lru_cache
def _closed_form(name, order):
    return sp.diff(_CLOSED[name], _MEAN, order)


def phi_text(order, big="Phi", small="phi", power="^({})"):
    """phi, phi', .. phi''', phi^(4), ..; order -1 is the primitive Phi."""
    if order < 0:
        return big
    return small + ("'" * order if order <= 3 else power.format(order))


class GaussianAverage(sp.Function):
    """<phi^(order)> over N(mean, variance): ``GaussianAverage(phi, order, mean, variance, population)``.

    ``population`` only labels what is printed: p for <phi'>_p, 0 where there is a single population; without it the
    mean and the variance are shown. Derivatives follow d<phi^(k)>/dmean = <phi^(k+1)> and d<phi^(k)>/dvariance =
    <phi^(k+2)>/2 (:eq:`gain-derivatives`); ``doit()`` gives the closed form of erf, sin, relu and step; ``evalf(n)``
    any number of digits.
    """

    nargs = (4, 5)
    is_real = True

    @classmethod
    def eval(cls, phi, order, mean, variance, population=None):
        """Zero by parity; phi^(order)(mean) at zero variance; at a point the population does not matter."""
        if phi.odd and order.is_even and mean.is_zero:
            return sp.S.Zero
        if variance.is_zero:
            value = phi.derivative(int(order), mean)
            if value is not None:
                return value
        if population is not None and not (mean.free_symbols | variance.free_symbols):
            return cls(phi, order, mean, variance)
        return None

    @property
    def order(self):
        """Order of the derivative of phi."""
        return int(self.args[1])

    def _moved(self, steps):
        return self.func(self.args[0], self.args[1] + steps, *self.args[2:])

    def fdiff(self, argindex=3):
        """Derivative in the mean (argument 3) or the variance (argument 4)."""
        if argindex == 3:
            return self._moved(1)
        if argindex == 4:
            return self._moved(2) / 2
        raise ArgumentIndexError(self, argindex)

    def doit(self, **hints):
        """The closed form where there is one."""
        phi, order, mean, variance = self.args[:4]
        if hints.get("deep", True):
            mean, variance = mean.doit(**hints), variance.doit(**hints)
        if phi.is_one_of(_CLOSED) and order >= 0:
            return _closed_form(phi.name, int(order)).subs({_MEAN: mean, _VARIANCE: variance})
        return self.func(phi, order, mean, variance, *self.args[4:])

    def _eval_rewrite_as_Integral(self, phi, order, mean, variance, *population, **kwargs):
        z = sp.Dummy("z", real=True)
        x = mean + sp.sqrt(variance) * z
        value = phi.derivative(int(order), x)
        if value is None:
            value = sp.Subs(sp.Derivative(sp.Function("phi")(_X), (_X, order)), _X, x)
        return sp.Integral(sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi) * value, (z, -sp.oo, sp.oo))

    def _eval_evalf(self, prec):
        phi, order, mean, variance = self.args[:4]
        if phi.transfer is None or not (mean.is_number and variance.is_number):
            return None
        digits = _digits(prec)
        if phi.is_one_of(_CLOSED) and order >= 0:
            return self.doit(deep=False).evalf(digits)._eval_evalf(prec)
        with mp.workdps(digits):
            mean, variance = (_mpf(a, digits) for a in (mean, variance))
            return _float(_average(phi.transfer, mean, variance, int(order), digits), prec)

    def _arguments(self, printer):
        mean, variance = self.args[2:4]
        return ("" if mean.is_zero else printer._print(mean) + ", ") + printer._print(variance)

    def _sympystr(self, printer):
        text = f"<{phi_text(self.order)}>"
        if len(self.args) == 4:
            return f"{text}({self._arguments(printer)})"
        return text + (f"_{self.args[4]}" if self.args[4] else "")

    def _latex(self, printer, exp=None):
        text = phi_text(self.order, r"\Phi", r"\phi", "^{{({})}}")
        if len(self.args) == 4 and self.args[3].is_zero:
            text = rf"{text}\left({printer._print(self.args[2])}\right)"
        elif len(self.args) == 4:
            text = rf"\langle {text} \rangle\left({self._arguments(printer)}\right)"
        else:
            text = rf"\langle {text} \rangle" + (f"_{{{self.args[4]}}}" if self.args[4] else "")
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def _float(value, prec):
    return sp.Float._new(value._mpf_, prec)


def _mpf(x, digits):
    if isinstance(x, GainVariance):
        return x.root(digits)
    return mp.mpmathify(x.evalf(digits))


def _digits(prec):
    """Digits to work with for sympy's precision in bits, in steps of ten: its guard bits then still hit the caches."""
    return 10 * (1 + (prec_to_dps(prec) + 3) // 10)


@lru_cache(maxsize=4096)
def _average(transfer, mean, variance, order, digits):
    return mp_average(transfer, mean, variance, order, digits)


class GainVariance(sp.Function):
    """Variance at which <phi'> over N(0, Delta) is 1/lambda; ``GainVariance(phi, lambda)``, :eq:`gain-condition`.

    A closed form replaces it for erf, sin and step. Otherwise it stays, differentiates in lambda, and ``evalf(n)``
    gives any number of digits (nan where no such variance exists). ``GainVariance(phi, lambda, near)`` is the root
    next to ``near``, for a transfer function whose <phi'> is not monotone.
    """

    nargs = (2, 3)
    is_positive = True

    @classmethod
    def eval(cls, phi, slope, near=None):
        """Closed forms."""
        closed = {"erf": 2 * (slope**2 - 1) / sp.pi, "sin": 2 * sp.log(slope), "step": slope**2 / (2 * sp.pi)}
        return closed[phi.name] if phi.is_one_of(closed) else None

    def fdiff(self, argindex=2):
        """d Delta/d lambda = -2 / (lambda^2 <phi'''>)."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        return -2 / (self.args[1] ** 2 * GaussianAverage(self.args[0], 3, 0, self))

    def _eval_evalf(self, prec):
        phi, slope = self.args[:2]
        if phi.transfer is None or not slope.is_number:
            return None
        root = self.root(_digits(prec))
        return _float(root, prec) if mp.isfinite(root) else sp.nan

    def root(self, digits):
        """The variance as an mpmath number, nan where there is none."""
        near = float(self.args[2]) if len(self.args) == 3 else None
        with mp.workdps(digits + 5):
            root = _gain_root(self.args[0].transfer, _mpf(self.args[1], digits + 5), near, digits)
        return mp.nan if root is None else root

    def _sympystr(self, printer):
        return f"Delta(<phi'> = {printer._print(1 / self.args[1])})"

    def _latex(self, printer, exp=None):
        text = rf"\Delta_{{\langle\phi'\rangle = {printer._print(1 / self.args[1])}}}"
        return text if exp is None else rf"{text}^{{{exp}}}"


def gain_roots(transfer, slope):
    """Every variance where <phi'> over N(0, variance) crosses 1/slope, in floating point, ascending.

    Complete for the transfer functions of :data:`FALLING_GAIN`; for others as complete as a scan from 1e-10 to 1e6
    can be.
    """
    from scipy.optimize import brentq

    def miss(log_variance):
        return gaussian_average(transfer, mean=0.0, variance=np.exp(log_variance), order=1) - 1 / slope

    grid = np.log(_SCAN)
    sign = np.sign(miss(grid))
    return [
        float(np.exp(brentq(miss, grid[i], grid[i + 1], xtol=1e-14))) for i in np.flatnonzero(sign[:-1] * sign[1:] < 0)
    ]


@lru_cache(maxsize=1024)
def _gain_root(transfer, slope, near, digits):
    """Newton's method in mpmath from a root found in floating point; None where there is none."""
    target = 1 / slope
    delta = near or next(iter(gain_roots(transfer, float(slope))), None)
    if delta is None and not transfer.kinks and transfer.mp(0, 3):
        delta = 2 * (target - transfer.mp(0, 1)) / transfer.mp(0, 3)  # next to the bifurcation at Delta = 0
    delta = mp.mpf(delta or 0)
    for _ in range(6 + digits // 4):
        if not 0 < delta < 1e8:
            return None
        half_third = gaussian_average(transfer, mean=0.0, variance=float(delta), order=3) / 2
        step = (_average(transfer, mp.mpf(0), delta, 1, digits + 5) - target) / half_third
        delta = delta - step
        # the slope is good to 12 digits, so that a step leaves less than a millionth of itself
        if abs(step) <= mp.mpf(10) ** (6 - digits) * delta:
            return delta
    return None
