"""Gaussian averages of a transfer function, its derivatives and its primitive, single and in pairs, each with its
error.

One rule per regime (docs: Gaussian averages): closed forms for erf, relu, step and sin; the proved fast path for tanh,
and by rescaling for logistic and softplus; step-halving quadrature for everything else.
"""

import numpy as np

from .gaussian.pairs import pair_averages
from .gaussian.quadrature import Doubling, GaussHermite
from .gaussian.squares import averages_of
from .transfer import check_order, get_transfer

__all__ = ["Doubling", "GaussHermite", "gaussian_average", "mp_average", "pair_average"]


def gaussian_average(transfer, *, mean, variance, order=0, power=1, rule="auto", with_error=False):
    r"""Average of a transfer function, or a derivative, over a Gaussian: :math:`\langle\phi^{(k)}(x)^q\rangle`.

    Parameters
    ----------
    transfer : Transfer or str
    mean, variance : array_like
        Broadcast against each other; variance >= 0, where 0 is phi(mean) exactly.
    order : int or sequence of int
        k = -1 (the primitive) .. 5; a sequence gives a new leading axis and shares the evaluations.
    power : {1, 2}
        q.
    rule : "auto", or a rule of :mod:`meanfield.gaussian.quadrature`
        ``GaussHermite(n)``, ``GaussHermite()`` or ``Doubling()``.
    with_error : bool
        Return ``(value, error)``; the true absolute error lies below ``error``. For tanh, logistic and softplus the
        truncation part is proved (docs: :eq:`eq-average-trapezoid-bound`, :eq:`eq-average-wide-bound`).

    Raises
    ------
    ValueError
        Negative or non-finite variance, non-finite mean, shapes that do not broadcast, an order or power outside the
        range, an average that does not exist (the step's derivative at variance 0, a square of a Dirac mass, a
        divergent integral).
    """
    t = get_transfer(transfer)
    mean, variance = _arguments(mean, variance)
    shape = mean.shape
    several = np.ndim(order) > 0
    orders = tuple(order) if several else (order,)
    if not orders:
        raise ValueError("order is an empty sequence: give at least one of -1..5")
    for k in orders:
        check_order(k)
    if power not in (1, 2):
        raise ValueError(f"power must be 1 or 2: got {power!r}")
    with np.errstate(all="ignore"):
        value, error = averages_of(t, mean.ravel(), variance.ravel(), orders, power, rule)
    _check_finite(value, mean, variance)
    full = (len(orders), *shape) if several else shape
    value, error = value.reshape(full)[()], error.reshape(full)[()]
    return (value, error) if with_error else value


def _arguments(mean, variance, name="variance"):
    mean, variance = np.asarray(mean, float), np.asarray(variance, float)
    if not np.isfinite(mean).all():
        raise ValueError(f"mean must be finite: got {_first_bad(mean, ~np.isfinite(mean))}")
    bad = ~np.isfinite(variance) | (variance < 0)
    if bad.any():
        raise ValueError(
            f"{name} must be finite and >= 0: got {_first_bad(variance, bad)} (a variance, not a standard deviation)"
        )
    if mean.shape == variance.shape:
        return mean, variance
    try:
        return np.broadcast_arrays(mean, variance)
    except ValueError:
        raise ValueError(f"mean and {name} must broadcast: got shapes {mean.shape} and {variance.shape}") from None


def _check_finite(value, mean, variance):
    if not np.isfinite(value).all():
        at = np.flatnonzero(~np.isfinite(value).reshape(-1, mean.size).all(axis=0))[0]
        raise ValueError(
            f"the average overflows double precision at mean {mean.flat[at]:.3g} and variance {variance.flat[at]:.3g}: "
            "bring the mean and the variance to the scale of the transfer function"
        )


def _first_bad(values, bad):
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{values[where]}" + (f" at index {where}" if where else "")


def pair_average(transfer, *, mean, variance, correlation, order=0, with_error=False):
    r"""Average of a product over two correlated Gaussians: :math:`\langle\phi^{(k)}(x)\,\phi^{(k)}(y)\rangle`.

    Parameters
    ----------
    transfer : Transfer or str
    mean, variance : array_like, or a tuple (of x, of y) where the two differ
    correlation : array_like
        In [-1, 1], both ends included.
    order : int
        k = -1 (the primitive) .. 5.
    with_error : bool
        Return ``(value, error)``; the true absolute error lies below ``error``.

    Raises
    ------
    ValueError
        As :func:`gaussian_average`; a correlation outside [-1, 1]; a product of Dirac masses at correlation -1 or 1.
    """
    t = get_transfer(transfer)
    check_order(order)
    (mx, my), (vx, vy) = (q if isinstance(q, tuple) else (q, q) for q in (mean, variance))
    mx, vx = _arguments(mx, vx)
    my, vy = _arguments(my, vy)
    correlation = np.asarray(correlation, float)
    bad = ~(np.abs(correlation) <= 1)
    if bad.any():
        raise ValueError(f"correlation must lie in [-1, 1]: got {_first_bad(correlation, bad)}")
    try:
        parts = np.broadcast_arrays(mx, my, vx, vy, correlation)
    except ValueError:
        shapes = ", ".join(str(q.shape) for q in (mx, my, vx, vy, correlation))
        raise ValueError(f"mean, variance and correlation must broadcast: got shapes {shapes}") from None
    shape = parts[0].shape
    mx, my, vx, vy, correlation = (q.ravel() for q in parts)
    with np.errstate(all="ignore"):
        value, error = pair_averages(t, (mx, my), (vx, vy), correlation, order)
    _check_finite(value, np.maximum(np.abs(mx), np.abs(my)), np.maximum(vx, vy))
    value, error = value.reshape(shape)[()], error.reshape(shape)[()]
    return (value, error) if with_error else value


def mp_average(transfer, mean, variance, order=0, digits=30):
    r"""Average :math:`\langle\phi^{(k)}\rangle` in arbitrary precision, as an mpmath number.

    Parameters
    ----------
    transfer : Transfer or str
    mean, variance : number or mpmath number
    order : int
        k >= 0, or -1 for the primitive.
    digits : int
        Significant digits aimed at, relative to the largest value of the integrand's terms.
    """
    from .gaussian import precise as mp_averages

    return mp_averages.average(get_transfer(transfer), mean, variance, order, digits)
