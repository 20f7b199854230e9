"""The theory on one screen: mean, variance, drift, Jacobian and Hessian of the collective variables.

Plain algebra: only ``+``, ``*``, ``@``, ``.sum``, ``.reshape``, transposition and indexing with ``None``. The same
lines therefore run on floats, on object arrays of sympy expressions or mpmath numbers, and on arrays that a tracer
(JAX) follows. Averages of the transfer function enter as arguments (``gain[k]`` is the Gaussian average of its k-th
derivative, one value per population), so no function here knows the transfer function or the ensemble it works for.

All sums have positive signs except the leak. Fed with magnitudes (absolute values of the blocks and upper bounds of
``|gain[k]|``) the same functions therefore return rigorous upper bounds: the proof of completeness in
:mod:`meanfield.fixed_points` and the numbers come from one formula.
"""

from typing import Any, NamedTuple


class Blocks(NamedTuple):
    """The statistics of the loadings that enter the reduced equations, cut into blocks.

    Arrays of floats, sympy expressions or mpmath numbers; P populations, R ranks, S inputs. Every array but the weights
    may have leading batch axes: many mixtures at once.
    """

    weights: Any  #: (P,)
    mean_m: Any  #: (P, R)
    mean_n: Any  #: (P, R)
    mean_I: Any  #: (P, S)
    cov_mm: Any  #: (P, R, R)
    cov_mI: Any  #: (P, R, S)
    cov_II: Any  #: (P, S, S)
    cov_nm: Any  #: (P, R, R), first axis n
    cov_nI: Any  #: (P, R, S), first axis n
    spread: bool = True  #: False when every covariance is zero (a finite network): their terms are then left out


#: Sums over axes up to this long are written out where arrays are larger than this: numpy reduces short axes slowly.
_SHORT, _LARGE = 6, 256


def _contract(a, b, axis=-1):
    """(a * b).sum(axis), for arrays that have the same length along that axis, counted from the end."""
    length = a.shape[axis]
    if not 0 < length <= _SHORT or max(a.size, b.size) < _LARGE:
        return (a * b).sum(axis)
    rest = (slice(None),) * (-axis - 1)
    terms = [a[(..., k, *rest)] * b[(..., k, *rest)] for k in range(length)]
    return sum(terms[1:], terms[0])


def _apply(matrices, vector):
    """(P, A, B) matrices on (..., B) vectors -> (..., P, A)."""
    return _contract(matrices, vector[..., None, None, :])


def _over_populations(b, gain, block, inner):
    """sum_p alpha_p gain_p block_p for (..., P) and (..., P, A, B, ...), ``inner`` axes after P: (..., A, B, ...)."""
    if block.ndim > 1 + inner:
        return _contract((b.weights * gain)[(..., *(None,) * inner)], block, -1 - inner)
    weighted = b.weights[:, None] * block.reshape(block.shape[0], -1)
    return (gain @ weighted).reshape(gain.shape[:-1] + block.shape[1:])


def _along(loadings, vector):
    """loadings . vector of each population, (..., P, A) and (..., A) -> (..., P)."""
    return vector @ loadings.T if loadings.ndim == 2 else _contract(loadings, vector[..., None, :])


def mean(b, kappa, v):
    """Mean input of each population, mu_m.kappa + mu_I.v: shape (..., P)."""
    recurrent = _along(b.mean_m, kappa)
    return recurrent + _along(b.mean_I, v) if b.mean_I.shape[-1] else recurrent


def variance(b, kappa, v):
    """Variance of the input over each population, the quadratic form of (kappa, v): shape (..., P)."""
    if not b.spread:
        return 0 * mean(b, kappa, v)
    cross = _apply(b.cov_mI, v)
    return (
        _contract(_apply(b.cov_mm, kappa), kappa[..., None, :])
        + 2 * _contract(cross, kappa[..., None, :])
        + _contract(_apply(b.cov_II, v), v[..., None, :])
    )


def half_variance_gradient(b, kappa, v):
    """Half the gradient of the variance in kappa, cov_mm kappa + cov_mI v: shape (..., P, R)."""
    return _apply(b.cov_mm, kappa) + _apply(b.cov_mI, v)


def covariance_with_n(b, kappa, v):
    """Covariance of n with the input, cov_nm kappa + cov_nI v; it multiplies <phi'> in the drift: shape (..., P, R)."""
    return _apply(b.cov_nm, kappa) + _apply(b.cov_nI, v)


def functional_connectivity(b, gain, block):
    """sigma~_ab = sum_p alpha_p sigma_ab^p <phi'>_p for a covariance block (P, A, B): shape (..., A, B)."""
    return _over_populations(b, gain[1], block, 2)


def drift(b, kappa, v, gain):
    """tau dkappa/dt = -kappa + sum_p alpha_p mu_n <phi> + sigma~_nm kappa + sigma~_nI v: shape (..., R).

    Needs gain[0..1].
    """
    out = -kappa + _over_populations(b, gain[0], b.mean_n, 1)
    if b.spread:
        out = out + _contract(functional_connectivity(b, gain, b.cov_nm), kappa[..., None, :])
        out = out + _contract(functional_connectivity(b, gain, b.cov_nI), v[..., None, :])
    return out


def jacobian(b, kappa, v, gain, identity):
    """d(tau dkappa_i/dt)/d kappa_j: shape (..., R, R). Needs gain[0..3]; ``identity`` is the (R, R) unit matrix."""
    out = -identity + functional_connectivity(b, gain, b.cov_nm + b.mean_n[..., :, None] * b.mean_m[..., None, :])
    if b.spread:
        slope, push = half_variance_gradient(b, kappa, v), covariance_with_n(b, kappa, v)
        second, third = (b.weights * gain[2])[..., None], (b.weights * gain[3])[..., None]
        left = b.mean_n * second + push * third
        out = out + _contract(left[..., :, None], slope[..., None, :], -3)
        out = out + _contract((push * second)[..., :, None], b.mean_m[..., None, :], -3)
    return out


def _gain_hessian(b, slope, gain, order):
    """d^2 gain[order] / d kappa_j d kappa_k: shape (..., P, R, R)."""
    m_j, m_k = b.mean_m[..., :, None], b.mean_m[..., None, :]
    s_j, s_k = slope[..., :, None], slope[..., None, :]
    second, third, fourth = (gain[order + k][..., None, None] for k in (2, 3, 4))
    return second * (m_j * m_k + b.cov_mm) + third * (m_j * s_k + s_j * m_k) + fourth * (s_j * s_k)


def hessian(b, slope, push, gain):
    """d^2(tau dkappa_i/dt)/d kappa_j d kappa_k: shape (..., R, R, R). Needs gain[2..5].

    ``slope`` and ``push`` are :func:`half_variance_gradient` and :func:`covariance_with_n`; they are arguments so
    that their bounds over a box can take their place.
    """
    if not b.spread:
        cubic = b.mean_n[:, :, None, None] * b.mean_m[:, None, :, None] * b.mean_m[:, None, None, :]
        return _over_populations(b, gain[2], cubic, 3)
    gradient = gain[2][..., None] * b.mean_m + gain[3][..., None] * slope
    per_population = (
        b.mean_n[..., :, None, None] * _gain_hessian(b, slope, gain, 0)[..., None, :, :]
        + b.cov_nm[..., :, :, None] * gradient[..., None, None, :]
        + b.cov_nm[..., :, None, :] * gradient[..., None, :, None]
        + push[..., :, None, None] * _gain_hessian(b, slope, gain, 1)[..., None, :, :]
    )
    return (b.weights[:, None, None, None] * per_population).sum(-4)


def input_jacobian(b, kappa, v, gain):
    """d(tau dkappa_i/dt)/d v_s at fixed kappa: shape (..., R, S). Needs gain[0..3]."""
    out = functional_connectivity(b, gain, b.cov_nI + b.mean_n[..., :, None] * b.mean_I[..., None, :])
    if b.spread:
        slope = _apply(b.cov_II, v) + _apply(b.cov_mI.swapaxes(-1, -2), kappa)
        push = covariance_with_n(b, kappa, v)
        second, third = (b.weights * gain[2])[..., None], (b.weights * gain[3])[..., None]
        left = b.mean_n * second + push * third
        out = out + _contract(left[..., :, None], slope[..., None, :], -3)
        out = out + _contract((push * second)[..., :, None], b.mean_I[..., None, :], -3)
    return out


def readout(b, mean_w, cov_wm, cov_wI, kappa, v, gain):
    """z = sum_p alpha_p [ mu_w <phi>_p + (cov_wm kappa + cov_wI v) <phi'>_p ]: shape (..., W). Needs gain[0..1]."""
    out = _over_populations(b, gain[0], mean_w, 1)
    if b.spread:
        out = out + _contract(functional_connectivity(b, gain, cov_wm), kappa[..., None, :])
        out = out + _contract(functional_connectivity(b, gain, cov_wI), v[..., None, :])
    return out
