"""Transfer functions phi: values, derivatives, primitive, and the bounds that the proofs use."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .functions import elementary as el
from .functions.elementary import MAX_ORDER

_EPS = np.finfo(float).eps
_INF6 = (math.inf,) * (MAX_ORDER + 1)


@dataclass(frozen=True, eq=False)
class Transfer:
    """A transfer function phi with its derivatives, its primitive and proved bounds.

    Take one by name with :func:`get_transfer`, or make one with :meth:`from_expression`.

    Parameters
    ----------
    name : str
    odd : bool
        phi(-x) = -phi(x).
    kinks : tuple of float
        Points where phi or phi' jumps; phi is smooth between them.
    bounds : tuple of float
        Upper bounds of |phi^(k)| over the real line, k = 0..5; ``math.inf`` where unbounded or not known.
    slopes : tuple of float
        Limits of phi' at -inf and +inf; nan where not known.
    """

    name: str
    odd: bool
    kinks: tuple[float, ...]
    bounds: tuple[float, ...]
    slopes: tuple[float, float]
    value: Callable = field(repr=False)  #: (x, order) -> phi^(order)(x), order 0..MAX_ORDER
    primitive: Callable = field(repr=False)  #: x -> int_0^x phi
    expression: object = field(repr=False)  #: sympy expression in the symbol x, or its text
    extrema: tuple | None = field(default=None, repr=False)  #: per order, every point where |phi^(order)| peaks
    shared: Callable | None = field(default=None, repr=False)  #: (x, order) -> list phi..phi^(order), sharing work
    noise: tuple = field(default=(0.0,) * 6, repr=False)  #: per order, rounding noise; an estimate for expressions
    symmetry: str = field(default="", repr=False)  #: "point": phi - phi(0) is odd; "mirror": phi - phi'(0) x is even
    singular: int = field(
        default=MAX_ORDER + 1, repr=False
    )  #: lowest order whose derivative has a Dirac mass at a kink
    jumps: tuple = field(default=(), repr=False)  #: per kink, by how much phi, phi', .. jump there
    rounding: Callable | None = field(default=None, repr=False)  #: (x, order) -> absolute rounding error of the value
    proved_averages: bool = field(default=False, repr=False)  #: averages have a proved error, not an estimated one
    base: "Transfer | None" = field(default=None, repr=False)  #: this function is the square of that one

    def __call__(self, x, order=0):
        """phi^(order)(x); order -1 is the primitive int_0^x phi. Shape of x."""
        x = np.asarray(x, float)
        check_order(order)
        if order < 0:
            return np.asarray(self.primitive(np.atleast_1d(x))).reshape(x.shape)
        return self.shared(x, order)[order] if self.shared else self.value(x, order)

    def jet(self, x, order):
        """phi, phi', .., phi^(order) at x: shape (order + 1, *x.shape)."""
        x = np.asarray(x, float)
        check_order(order, lowest=0)
        return np.stack(self.shared(x, order) if self.shared else [self.value(x, k) for k in range(order + 1)])

    def evaluation_error(self, values, x):
        """Bound of the rounding error of ``values``, the :meth:`jet` at x: same shape (orders, *x.shape).

        Relative to the value where the formula keeps its sign, absolute where it cancels (saturated neurons); for
        expressions the absolute part is an estimate, ``noise``.
        """
        values, x = np.asarray(values, float), np.asarray(x, float)
        return np.stack([self.point_error(row, x, k) for k, row in enumerate(values)])

    def point_error(self, value, x, order):
        """Bound of the rounding error of ``value`` = phi^(order)(x); order -1 is the primitive."""
        check_order(order)
        relative = 8 * _EPS * np.abs(value)
        if order < 0:
            return relative + 8 * _EPS * np.minimum(1.0, np.abs(x))
        return relative + self.noise[order] + (self.rounding(x, order) if self.rounding else 0.0)

    def bound(self, order, low, high):
        """Upper bound of |phi^(order)| over [low, high], outward rounded: broadcast shape of low and high.

        Where the extrema of the derivative are known (every built-in function) it is tight, elsewhere it is
        ``bounds[order]``.
        """
        check_order(order, lowest=0)
        low, high = np.broadcast_arrays(np.asarray(low, float), np.asarray(high, float))
        if np.any(np.isnan(low) | np.isnan(high) | (low > high)):
            raise ValueError("bound needs intervals low <= high without nan: sort the ends")
        top = self.bounds[order]
        if self.extrema is None:
            return np.full(low.shape, top)
        result = np.maximum(_magnitude(self, low, order), _magnitude(self, high, order))
        for point in self.extrema[order]:
            slack = 8 * _EPS * max(1.0, abs(point))
            inside = (low <= point + slack) & (high >= point - slack)
            result = np.where(inside, np.maximum(result, _magnitude(self, np.float64(point), order)), result)
        floor = top if math.isfinite(top) else 1.0
        return np.minimum(result * (1 + 32 * _EPS) + 32 * _EPS * floor, top)

    def centred_bound(self, order):
        """Upper bound of the part of phi^(order) that is even in x: all of it that a Gaussian of mean zero sees."""
        if (self.odd or self.symmetry == "point") and order % 2 == 0:
            return abs(float(self(0.0))) if order == 0 else 0.0
        if self.symmetry == "mirror" and order % 2 == 1:
            return abs(float(self(0.0, 1))) if order == 1 else 0.0
        return self.bounds[order]

    def sympy(self, x=None):
        """phi as a sympy expression in the symbol x (a real symbol ``x`` when not given)."""
        from .functions import expressions

        return expressions.source(self.expression, x)

    def mp(self, x, order=0):
        """phi^(order)(x) as an mpmath number, in mpmath's working precision; order -1 by mpmath's quadrature."""
        from .functions import expressions

        check_order(order, highest=None)
        return expressions.mp_value(self.expression, self.kinks, x, order)

    @classmethod
    def from_expression(cls, expression, name=None, **declared):
        """A transfer function from a sympy expression or its text, in the one symbol x.

        Derivatives to order 5 follow symbolically. Parity, kinks, limits of the slope and bounds are derived when they
        are not declared: a bound is a proved one or ``math.inf``.

        Parameters
        ----------
        expression : sympy expression or str
            For example ``"tanh(x) + x/10"``; only the functions of the table in the documentation are known.
        name : str, optional
            The expression's text by default.
        **declared
            Any of ``odd``, ``kinks``, ``bounds`` (6 numbers), ``slopes`` and ``primitive`` (expression or callable):
            declared wins, but bounds are infinite from the first derivative with a Dirac mass on, whatever is declared.

        Raises
        ------
        ValueError
            Unknown functions or symbols, undeclarable names, an expression that is not a function of x, declared kinks
            that miss one.
        """
        from .functions import expressions

        return cls(**expressions.build(expression, name, declared))

    def __reduce__(self):
        if _BUILTIN.get(self.name) is self:
            return get_transfer, (self.name,)
        declared = {"odd": self.odd, "kinks": self.kinks, "bounds": self.bounds, "slopes": self.slopes}
        return _rebuild, (str(self.expression), self.name, declared)


def _rebuild(text, name, declared):
    return Transfer.from_expression(text, name, **declared)


def _magnitude(transfer, x, order):
    return np.abs(transfer.value(x, order))


def check_order(order, lowest=-1, highest=MAX_ORDER):
    """Refuse an order that is not an integer of lowest..highest."""
    if isinstance(order, bool) or not isinstance(order, int | np.integer):
        raise ValueError(f"order must be an integer: got {order!r}; -1 is the primitive, 0 phi, 1 its derivative")
    if order < lowest or (highest is not None and order > highest):
        raise ValueError(f"order must lie in {lowest}..{'' if highest is None else highest}: got {order}")


def get_transfer(transfer):
    """The transfer function of that name; a :class:`Transfer` is handed through.

    Raises
    ------
    ValueError
        Unknown name; the message lists the known ones.
    """
    if isinstance(transfer, Transfer):
        return transfer
    if isinstance(transfer, str) and transfer in _BUILTIN:
        return _BUILTIN[transfer]
    raise ValueError(
        f"unknown transfer function {transfer!r}: expected one of {', '.join(sorted(_BUILTIN))}, "
        "or Transfer.from_expression(...) for your own"
    )


def _saturation(bounds):
    """Rounding noise of derivatives that are polynomials in tanh, where they ought to vanish."""
    return (0.0, *(4 * _EPS * b for b in bounds[1:]))


def _erf_rounding(x, order):
    """Rounding error of He(u) exp(-u^2/2): of the polynomial's terms, and 1 + u^2 for the exponent."""
    if order == 0:
        return 0.0
    u = np.abs(x) / math.sqrt(2 / math.pi)
    with np.errstate(over="ignore", invalid="ignore"):
        gauss = el.density(u)
        size = 2 * np.abs(el.hermite(order - 1, 1j * u)) * gauss * (1 + u * u) * (math.pi / 2) ** (order / 2)
    return np.where(gauss == 0, 1e-290, 8 * _EPS * size)


def _polynomial_rounding(bounds, shift=0):
    """Rounding error of polynomials in tanh (twice what 40 digits show), relative to their bound: (1-t)(1+t) cancels
    where tanh saturates.
    """
    return lambda x, order: 4 * _EPS * (1 + order) * bounds[order - shift] if order > shift else 0.0


def _builtin():
    tanh_peaks, erf_peaks = el.tanh_extrema(), el.erf_extrema()
    tanh_bounds = el.suprema(el.tanh_jet, tanh_peaks, (1.0, 1.0))
    logistic_bounds = (1.0, *(tanh_bounds[k] / 2 ** (k + 1) for k in range(1, 6)))
    logistic_peaks = tuple(tuple(2 * x for x in row) for row in tanh_peaks)
    zero_peaks = ((0.0,),) * 6
    return (
        Transfer(
            "tanh",
            True,
            (),
            tanh_bounds,
            (0.0, 0.0),
            lambda x, k: el.tanh_jet(x, k)[k],
            el.log_cosh,
            "tanh(x)",
            tanh_peaks,
            el.tanh_jet,
            noise=_saturation(tanh_bounds),
            rounding=_polynomial_rounding(tanh_bounds),
            proved_averages=True,
        ),
        Transfer(
            "erf",
            True,
            (),
            el.suprema(lambda x, k: {k: el.erf_value(x, k)}, erf_peaks, (1.0, 1.0)),
            (0.0, 0.0),
            el.erf_value,
            el.erf_primitive,
            "erf(sqrt(pi)*x/2)",
            erf_peaks,
            rounding=_erf_rounding,
            proved_averages=True,
        ),
        Transfer(
            "logistic",
            False,
            (),
            logistic_bounds,
            (0.0, 0.0),
            lambda x, k: el.logistic_jet(x, k)[k],
            lambda x: x / 2 + el.log_cosh(x / 2),
            "1/(1 + exp(-x))",
            logistic_peaks,
            el.logistic_jet,
            noise=_saturation(logistic_bounds),
            rounding=_polynomial_rounding(logistic_bounds),
            proved_averages=True,
            symmetry="point",
        ),
        Transfer(
            "softplus",
            False,
            (),
            (math.inf, *logistic_bounds[:5]),
            (0.0, 1.0),
            lambda x, k: el.softplus_jet(x, k)[k],
            el.softplus_primitive,
            "log(1 + exp(x))",
            ((), *logistic_peaks[:5]),
            el.softplus_jet,
            noise=(0.0, *_saturation(logistic_bounds)[:5]),
            rounding=_polynomial_rounding(logistic_bounds, 1),
            proved_averages=True,
            symmetry="mirror",
        ),
        Transfer(
            "relu",
            False,
            (0.0,),
            (math.inf, 1.0, *_INF6[2:]),
            (0.0, 1.0),
            el.threshold_value(1),
            el.relu_primitive,
            "Max(x, 0)",
            zero_peaks,
            symmetry="mirror",
            singular=2,
            jumps=((0.0, 1.0, 0.0, 0.0, 0.0, 0.0),),
            proved_averages=True,
        ),
        Transfer(
            "step",
            False,
            (0.0,),
            (1.0, *_INF6[1:]),
            (0.0, 0.0),
            el.threshold_value(0),
            el.step_primitive,
            "Heaviside(x, 1/2)",
            zero_peaks,
            symmetry="point",
            singular=1,
            jumps=((1.0, 0.0, 0.0, 0.0, 0.0, 0.0),),
            proved_averages=True,
        ),
        Transfer(
            "sin",
            True,
            (),
            (1.0,) * 6,
            (math.nan, math.nan),
            el.sin_value,
            el.sin_primitive,
            "sin(x)",
            proved_averages=True,
        ),
    )


_BUILTIN = {t.name: t for t in _builtin()}
