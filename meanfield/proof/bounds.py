"""Rigorous bounds of the reduced equations: a-priori box, evaluation error, Hessian over a box.

What every bound rests on, and how rounding is covered, is written out in the theory page on fixed points (equations
:eq:`stein-bound` to :eq:`rounding`). In short: Stein's lemma moves derivatives from the transfer function onto the
Gaussian, so an average of a high derivative over a wide Gaussian is small; the algebra of
:mod:`meanfield.equations`, fed with magnitudes, then bounds the Hessian over a whole box of kappa.
"""

import math

import numpy as np

from .. import equations
from ..averages import gaussian_average

# E|He_j(z)| for j = 0..6, rounded up in the last digit
HERMITE_MOMENTS = (1.0, 0.7978845609, 0.9678828981, 1.5100130002, 2.8006003009, 5.9100858214, 13.8155970472)

# Stands for "no bound": large enough that no box is settled with it, small enough that its products with zero are zero.
UNBOUNDED = 1e100

# Stands for the limit of vanishing variance where a kink makes averages of higher order diverge.
_SPECK = 1e-200

# Eigenvalues of a correlation matrix below _SINGULAR may be zero, and rounding moves them by less than _BLUR. Along
# such a direction n may have this share of its correlation by rounding, not more.
_SINGULAR, _BLUR, _SHARE = 1e-12, 2.0**-50, 1e-7

# Unit roundoff times this covers the longest chain of operations that is not a sum over populations (see doc
# :eq:`rounding`).
_OPERATIONS = 256
_EPS = np.finfo(float).eps


class NoSearchBox(ValueError):
    """No bounded box is known to contain all fixed points (the transfer function grows too fast)."""


def rounding_factor(b):
    """Relative rounding error of any sum of the reduced equations, as a multiple of the sum of magnitudes."""
    terms = b.weights.shape[0] + b.mean_m.shape[-1] + b.mean_I.shape[-1]
    return (_OPERATIONS + terms) * _EPS


def magnitudes(b):
    """The blocks with every entry replaced by its absolute value."""
    return b._replace(**{name: np.abs(getattr(b, name)) for name in b._fields if name != "spread"})


def gain_bound(transfer, order, variance, centred, mean_low=None, mean_high=None):
    """Upper bound of |<phi^(order)>| for every Gaussian with at least this variance and mean in the given interval.

    min over j of sup|phi^(order - j)| E|He_j| / variance^(j/2): Stein's lemma applied j times (:eq:`stein-bound`).

    Parameters
    ----------
    transfer : Transfer
    order : int, 0 to 5
    variance : ndarray, any shape; lower bounds of the variance
    centred : bool ndarray broadcastable to it
        True where the mean is exactly zero, so that only the part of phi^(order) that is even in x contributes.
    mean_low, mean_high : ndarray, optional; used where the variance is exactly zero (point masses)
    """
    if mean_low is not None:
        return np.minimum(transfer.bound(order, mean_low, mean_high), UNBOUNDED)
    root = np.sqrt(variance)
    best = np.full(root.shape, UNBOUNDED)
    for j in range(order + 1):
        if math.isfinite(transfer.bounds[order - j]):
            with np.errstate(divide="ignore", over="ignore"):
                best = np.minimum(best, transfer.bounds[order - j] * HERMITE_MOMENTS[j] / root**j)
    return np.where(centred, np.minimum(best, transfer.centred_bound(order)), best)


def search_box(b, transfer, v, variance_n):
    """A box that contains every fixed point: half-widths (R,), centred on 0 (:eq:`a-priori-box`).

    For bounded phi, |kappa_r| <= sup|phi| sum_p alpha_p (|mu_nr| + sqrt(2/pi) sd(n_r)). For linear growth, |kappa|
    <= a + M |kappa| componentwise, which bounds kappa when the spectral radius of M is below 1.

    Parameters
    ----------
    variance_n : ndarray (P, R); variance of n within each population

    Raises
    ------
    NoSearchBox
        When phi grows and M is not a contraction.
    """
    magnitude = magnitudes(b)
    moment = HERMITE_MOMENTS[1]
    if math.isfinite(transfer.bounds[0]):
        explained = np.maximum(variance_n, explained_variance(b))
        half = transfer.bounds[0] * (b.weights @ (magnitude.mean_n + moment * np.sqrt(explained)))
    else:
        half = _linear_growth_box(magnitude, transfer, np.abs(v), moment)
    return half * (1 + 1e-6) + 1e-9


def explained_variance(b):
    """Variance of n that (m, I) explain, c^T Sigma^-1 c with c = Cov(n, (m, I)): (P, R).

    It bounds Cov(n, x)^2 / Var(x) for every input x, even where the joint covariance with n is not positive
    semi-definite.

    Raises
    ------
    NoSearchBox
        n is correlated with a direction of (m, I) that has no variance.
    """
    if not b.spread:
        return np.zeros_like(b.mean_n)
    joint = np.concatenate([np.concatenate([b.cov_mm, b.cov_mI], -1), np.concatenate([b.cov_mI.mT, b.cov_II], -1)], -2)
    cross = np.concatenate([b.cov_nm, b.cov_nI], -1)
    scale = np.sqrt(np.maximum(np.diagonal(joint, axis1=-2, axis2=-1), 0.0))
    unit = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(joint / (unit[:, :, None] * unit[:, None, :]))
    along = (cross / unit[:, None, :]) @ vectors
    size = np.abs(along).max(-1, keepdims=True)
    lost = (values <= _SINGULAR)[:, None, :] & (np.abs(along) > _SHARE * size)
    if lost.any():
        p = int(np.argwhere(lost)[0, 0])
        raise NoSearchBox(
            f"population {p}: n is correlated with a combination of m and inputs that has (almost) no variance, so no "
            "box is known to hold all fixed points; pass box=(low, high), or give that combination a variance"
        )
    return (along**2 / np.maximum(values, _BLUR)[:, None, :]).sum(-1) * (1 + 1e-6)


def _linear_growth_box(magnitude, transfer, v, moment):
    slope, offset = transfer.bounds[1], abs(float(transfer(np.array(0.0))))
    if not math.isfinite(slope):
        raise NoSearchBox(
            f"no finite bound of |phi| or |phi'| is known for {transfer.name}, so no box for all fixed points: "
            "declare bounds= in Transfer.from_expression if there are any, or pass box=(low, high)"
        )
    sd_m = np.sqrt(np.diagonal(magnitude.cov_mm, axis1=-2, axis2=-1))
    sd_input = np.sqrt(np.maximum(((magnitude.cov_II @ v) * v).sum(-1), 0.0))
    size = magnitude.weights[:, None] * magnitude.mean_n  # (P, R)
    constant = (size * (offset + slope * (magnitude.mean_I @ v + moment * sd_input))[:, None]).sum(0)
    constant = constant + slope * (magnitude.weights[:, None] * (magnitude.cov_nI @ v)).sum(0)
    matrix = slope * (size[:, :, None] * (magnitude.mean_m + moment * sd_m)[:, None, :]).sum(0)
    matrix = matrix + slope * (magnitude.weights[:, None, None] * magnitude.cov_nm).sum(0)
    radius = max(abs(np.linalg.eigvals(matrix)))
    if radius >= 1 - 1e-9:
        raise NoSearchBox(
            f"{transfer.name} grows linearly and the bound on the recurrent gain is {radius:.3g} >= 1, "
            "so fixed points may lie arbitrarily far out; pass box=(low, high) to search a region of your choice"
        )
    return np.linalg.solve(np.eye(len(constant)) - matrix, constant)


def is_centred(b, v):
    """(P,) True where a population's mean input is zero for every kappa."""
    return (b.mean_m == 0).all(-1) & ((b.mean_I * v) == 0).all(-1)


def values_with_error(b, transfer, kappa, v):
    """Drift and Jacobian (tau = 1) with bounds of their evaluation error: (F, error, J, error).

    The errors cover the averages' own error bounds, rounding in the sums over populations, and rounding of mean
    and variance on the way into the averages.
    """
    identity = np.eye(kappa.shape[-1])
    mean, variance = equations.mean(b, kappa, v), np.maximum(equations.variance(b, kappa, v), 0.0)
    orders = 4 if b.spread else 2  # without spread the Jacobian sees <phi> and <phi'> only
    gain, quadrature = gains(b, transfer, mean, variance, orders - 1, with_error=True)
    drift = equations.drift(b, kappa, v, gain)
    jacobian = equations.jacobian(b, kappa, v, gain, identity)

    size, kappa_size, v_size = magnitudes(b), np.abs(kappa), np.abs(v)
    unit = rounding_factor(b)
    mean_error = unit * equations.mean(size, kappa_size, v_size)
    variance_error = unit * equations.variance(size, kappa_size, v_size)
    lowest = np.maximum(variance - variance_error, 0.0)
    centred = is_centred(b, v)
    local = (mean - mean_error, mean + mean_error) if not b.spread else (None, None)
    error = []
    for k in range(orders):
        moved = gain_bound(transfer, k + 1, lowest, centred, *local) * mean_error
        if b.spread:
            moved = moved + gain_bound(transfer, k + 2, lowest, centred) * variance_error / 2
        error.append(quadrature[k] + unit * np.abs(gain[k]) + moved)
    drift_error = equations.drift(size, kappa_size, v_size, error) + (1 + unit) * kappa_size
    jacobian_error = equations.jacobian(size, kappa_size, v_size, error, -unit * identity)
    rounding = equations.drift(size, kappa_size, v_size, np.abs(gain)) + 2 * kappa_size
    jacobian_rounding = equations.jacobian(size, kappa_size, v_size, np.abs(gain), -identity)
    return drift, drift_error + unit * rounding, jacobian, jacobian_error + unit * jacobian_rounding


def gains(b, transfer, mean, variance, order, with_error=False):
    """<phi^(k)> for k = 0..order, (order + 1, ..., P), with error bounds on request; phi itself at point masses."""
    if b.spread:
        if transfer.kinks:  # at a kink the averages of higher order exist only in the limit of vanishing variance
            variance = np.maximum(variance, _SPECK)
        return gaussian_average(
            transfer, mean=mean, variance=variance, order=tuple(range(order + 1)), with_error=with_error
        )
    values = transfer.jet(mean, order) if order else transfer(mean)[None]
    return (values, transfer.evaluation_error(values, mean)) if with_error else values


def jacobian_bound(b, transfer, kappa, radius, v):
    """Upper bound of |dF_i/dkappa_j| over kappa +- radius at point masses (:eq:`mean-value`): (..., R, R)."""
    size, unit = magnitudes(b), rounding_factor(b)
    mean = equations.mean(b, kappa, v)
    reach = radius @ size.mean_m.T + unit * equations.mean(size, np.abs(kappa) + radius, np.abs(v))
    slope = np.minimum(transfer.bound(1, mean - reach, mean + reach), UNBOUNDED)
    return equations.jacobian(size, None, None, [None, slope], -np.eye(kappa.shape[-1])) * (1 + 2 * unit)


def hessian_bound(b, transfer, kappa, radius, v):
    """Upper bound of |d^2 F_i / d kappa_j d kappa_k| over kappa +- radius (:eq:`hessian-bound`): (..., R, R, R)."""
    size, kappa_size, v_size = magnitudes(b), np.abs(kappa) + radius, np.abs(v)
    unit = rounding_factor(b)
    centred = is_centred(b, v)
    if b.spread:
        slope = equations.half_variance_gradient(b, kappa, v)
        reach = (size.cov_mm * radius[..., None, None, :]).sum(-1)
        push_reach = (size.cov_nm * radius[..., None, None, :]).sum(-1)
        # variance is a convex quadratic: its tangent at the centre lies below it
        lowest = equations.variance(b, kappa, v) - 2 * (np.abs(slope) * radius[..., None, :]).sum(-1)
        lowest = np.maximum(lowest - 4 * unit * equations.variance(size, kappa_size, v_size), 0.0)
        slope_bound = np.abs(slope) + reach + unit * equations.half_variance_gradient(size, kappa_size, v_size)
        push = np.abs(equations.covariance_with_n(b, kappa, v))
        push_bound = push + push_reach + unit * equations.covariance_with_n(size, kappa_size, v_size)
        gain = [None, None] + [gain_bound(transfer, k, lowest, centred) for k in range(2, 6)]
    else:
        mean = equations.mean(b, kappa, v)
        reach = radius @ size.mean_m.T
        reach = reach + unit * equations.mean(size, kappa_size, v_size)
        slope_bound = push_bound = None
        gain = [None, None, transfer.bound(2, mean - reach, mean + reach), None, None, None]
    return equations.hessian(size, slope_bound, push_bound, gain) * (1 + 2 * unit)
