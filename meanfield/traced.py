"""Transfer functions and their Gaussian averages for a tracer (JAX): what the reduced equations need to be trained.

:mod:`meanfield.equations` runs on arrays that JAX follows; the averages of :mod:`meanfield.averages` do not, since they
choose their rule by the numbers. Here is one rule for all of them, and its derivatives are not those of the rule but
the exact ones, which Stein's lemma gives (docs: :eq:`traced-derivatives`).

Needs the extra ``fit``; without it only :func:`import_fit` can be called, and says so.
"""

import functools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from .functions import elementary as el
from .transfer import get_transfer

#: Nodes of the rule. From 96 on its error is rounding, for float64, means in [-6, 6] and variances up to 1e3.
NODES = 96

#: Beyond so many standard deviations the Gaussian is left out; its mass there is 2e-17.
_REACH = 8.5

_TINY = 1e-30  # stands for a variance of 0


def import_fit():
    """jax, jax.numpy (``.numpy``) and optax of the extra ``fit``, in a namespace.

    Raises
    ------
    ImportError
        They are not installed; the message says what to install.
    """
    try:
        import jax
        import jax.numpy
        import optax
    except ImportError as error:
        raise ImportError(
            f'this needs JAX and optax, which are not installed ({error}): pip install "lowrank-meanfield[fit]"; '
            "everything else works without them"
        ) from error
    return SimpleNamespace(jax=jax, numpy=jax.numpy, optax=optax)


def double_precision(on=True):
    """A context in which JAX keeps float64 (or, with ``on`` False, turns it into float32)."""
    jax = import_fit().jax
    if not hasattr(jax, "enable_x64"):  # before JAX 0.8
        from jax.experimental import enable_x64

        return enable_x64(on)
    return jax.enable_x64(on)


class Traced(NamedTuple):
    """A transfer function for a tracer."""

    value: Callable  #: x -> phi(x)
    slope: Callable  #: (x, phi(x)) -> phi'(x)
    by_value: bool  #: whether the slope follows from phi(x) alone, so that x need not be kept
    jet: Callable | None  #: (x, order) -> phi, .., phi^(order); None where kinks forbid it


@functools.cache
def traced_transfer(name):
    """The transfer function of that name, or :class:`~meanfield.transfer.Transfer`, as JAX runs it.

    Raises
    ------
    ValueError
        A function that is not one of tanh, erf, logistic, softplus and relu.
    ImportError
        See :func:`import_fit`.
    """
    name = get_transfer(name).name
    jax = import_fit().jax
    jnp, root = jax.numpy, math.sqrt(math.pi) / 2
    known = {
        "tanh": Traced(jnp.tanh, lambda x, r: 1 - r * r, True, lambda x, k: el.tanh_polynomials(jnp.tanh(x), k)),
        "logistic": Traced(jax.nn.sigmoid, lambda x, r: r * (1 - r), True, functools.partial(_logistic_jet, jnp)),
        "softplus": Traced(
            jax.nn.softplus,
            lambda x, r: -jnp.expm1(-r),
            True,
            lambda x, k: [jax.nn.softplus(x), *(_logistic_jet(jnp, x, k - 1) if k else ())],
        ),
        "relu": Traced(jax.nn.relu, lambda x, r: (r > 0).astype(r.dtype), True, None),
        "erf": Traced(
            lambda x: jax.scipy.special.erf(root * x),
            lambda x, r: jnp.exp(-((root * x) ** 2)),
            False,
            functools.partial(_erf_jet, jax, root),
        ),
    }
    if name not in known:
        raise ValueError(f"training knows the transfer functions {', '.join(known)}: got {name!r}")
    return known[name]


def _logistic_jet(jnp, x, order):
    jet = el.tanh_polynomials(jnp.tanh(x / 2), order)
    return [(1 + jet[0]) / 2, *(jet[k] / 2 ** (k + 1) for k in range(1, order + 1))]


def _erf_jet(jax, root, x, order):
    """erf(root x): the k-th derivative is (-1)^(k-1) He_(k-1)(u) exp(-u^2/2) (sqrt 2 root)^(k-1), u = sqrt 2 root x."""
    scale = math.sqrt(2) * root
    u = scale * x
    he, before = jax.numpy.exp(-0.5 * u * u), jax.numpy.zeros_like(u)
    jet = [jax.scipy.special.erf(root * x)]
    for k in range(order):
        jet.append((-scale) ** k * he)
        he, before = u * he - k * before, he
    return jet


@functools.cache
def traced_averages(transfer="tanh", order=1, nodes=NODES):
    r"""A function ``(mean, variance) -> (order + 1, ...)``: :math:`\langle\phi^{(k)}\rangle` for k = 0..order.

    Trapezoidal rule in t, where the Gaussian's argument is :math:`z = z_c + d\sinh t`, fine around the place
    ``x = 0`` of the function's features (docs: :eq:`traced-rule`). Its gradients are
    :math:`\partial_\mu\langle\phi^{(k)}\rangle = \langle\phi^{(k+1)}\rangle` and
    :math:`\partial_\Delta\langle\phi^{(k)}\rangle = \frac12\langle\phi^{(k+2)}\rangle`, by the same rule: they are
    right at variance 0 too, and nothing at the nodes is kept for them.

    Parameters
    ----------
    transfer : str
        "tanh", "logistic", "softplus" or "erf".
    order : int
        0 to 3: the gradients take two derivatives more.
    nodes : int

    Raises
    ------
    ValueError
        A function with kinks, or an order out of range.
    ImportError
        See :func:`import_fit`.
    """
    phi = traced_transfer(transfer)
    if phi.jet is None:
        raise ValueError(f"{transfer} has a kink, which this rule cannot average: take softplus or tanh")
    if not 0 <= order <= 3:
        raise ValueError(f"order must lie in 0..3: got {order}")
    jax = import_fit().jax

    @functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
    def averages(mean, variance, top):
        return _rule(jax.numpy, phi.jet, mean, variance, top, nodes)

    @averages.defjvp
    def derivative(top, primals, tangents):
        jet = _rule(jax.numpy, phi.jet, *primals, top + 2, nodes)
        return jet[: top + 1], jet[1 : top + 2] * tangents[0] + 0.5 * jet[2 : top + 3] * tangents[1]

    return lambda mean, variance: averages(mean, variance, order)


def _rule(jnp, jet, mean, variance, order, nodes):
    """Averages of phi, .., phi^(order), (order + 1, ...)."""
    s = jnp.sqrt(jnp.maximum(variance, _TINY))[..., None]
    centre = jnp.clip(-mean[..., None] / s, -_REACH, _REACH)
    width = jnp.minimum(1.0, math.pi / (2 * s))
    low, high = jnp.arcsinh((-_REACH - centre) / width), jnp.arcsinh((_REACH - centre) / width)
    t = low + (high - low) * jnp.asarray(np.linspace(0, 1, nodes), s.dtype)
    z = centre + width * jnp.sinh(t)
    weights = width * jnp.cosh(t) * jnp.exp(-0.5 * z * z)
    # divided by its own sum rather than by sqrt(2 pi): constants are then averaged exactly, in float32 too
    weights = weights / weights.sum(-1, keepdims=True)
    return jnp.stack([(value * weights).sum(-1) for value in jet(mean[..., None] + s * z, order)])
