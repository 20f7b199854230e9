"""Rings of fixed points in finite networks: the ring turns into a slow drift with a few fixed points left on it."""

from dataclasses import dataclass

import numpy as np

from ..conventions import check_integer
from .neurons import neuron

#: Points on a ring: the quantities on it are smooth and periodic, their means converge faster than any power.
POINTS = 128


@dataclass(frozen=True, eq=False)
class RingSpread:
    """A ring of fixed points of a field of rank 2, and the drift along it in networks of N neurons.

    Attributes
    ----------
    matched : str
    points : ndarray (K, 2)
        Around the ring once, counterclockwise, evenly spaced in angle seen from its centre, in coordinates in which the
        ring is as wide as it is long.
    tangent : ndarray (K, 2)
        Unit vectors.
    left : ndarray (K, 2)
        Left null vectors l of the Jacobian with l . tangent = 1: they read the drift along the ring off a perturbation.
    drift_variance : ndarray (K,)
        N times the variance of tau dkappa/dt along the ring (:eq:`ring-drift`); its mean is 0.
    normal_variance : ndarray (K,)
        N times the variance of the displacement across the ring, of the slow curve of the finite network.
    expected_zeros : float
        Mean number of fixed points on the ring, the same for all N (:eq:`ring-zeros`).
    """

    matched: str
    points: np.ndarray
    tangent: np.ndarray
    left: np.ndarray
    drift_variance: np.ndarray
    normal_variance: np.ndarray
    expected_zeros: float

    def drift_std(self, n_neurons):
        """Standard deviation over draws of the drift along the ring, tau |dkappa/dt|, at each point (K,)."""
        return np.sqrt(self.drift_variance / check_integer("n_neurons", n_neurons, 1))

    def __str__(self):
        rms = np.sqrt(self.drift_variance.mean())
        return f"ring: drift {rms:.4g}/sqrt(N) along it, on average {self.expected_zeros:.3g} fixed points on it"


def ring_spread(f, unresolved, matched="nothing"):
    """See :func:`meanfield.spread`."""
    if f.rank != 2:
        raise ValueError(f"the spread of a continuum is known for rings at rank 2: this field has rank {f.rank}")
    points = _curve(f, unresolved)
    jacobian = f.tau * f.jacobian(points)
    u, values, vt = np.linalg.svd(jacobian)
    ahead = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    tangent = vt[:, -1] * np.sign((vt[:, -1] * ahead).sum(-1))[:, None]
    left = u[:, :, -1] / (u[:, :, -1] * tangent).sum(-1)[:, None]
    length = _derivative(points)
    turning = _derivative(left) / np.linalg.norm(length, axis=-1)[:, None]
    across = np.stack([-tangent[:, 1], tangent[:, 0]], axis=-1)
    drift, normal, density = [], [], []
    for kappa, t, lft, turn, out, jac in zip(points, tangent, left, turning, across, jacobian, strict=True):
        nu = neuron(f, kappa, matched)
        along, rate = np.zeros((2, len(nu.covariance)))
        along[nu.drift], rate[nu.drift] = lft, turn
        rate[nu.slope.start : nu.slope.start + 4] = np.outer(lft, t).ravel()
        a, b, c = (x @ nu.covariance @ y for x, y in ((along, along), (rate, rate), (along, rate)))
        stiff = out - (out @ t) * lft  # reads what is left of a perturbation once the drift along the ring is taken out
        normal.append(stiff @ nu.covariance[nu.drift, nu.drift] @ stiff / (out @ jac @ out) ** 2)
        drift.append(a)
        density.append(np.sqrt(np.maximum(a * b - c * c, 0.0)) / a)
    step = np.linalg.norm(length, axis=-1) * 2 * np.pi / POINTS
    zeros = float(np.array(density) @ step / np.pi)
    return RingSpread(matched, points, tangent, left, np.array(drift), np.array(normal), zeros)


def _curve(f, unresolved):
    """The ring as a closed curve, from the numerical zeros on it."""
    from scipy.interpolate import CubicSpline

    zeros = unresolved.points
    if unresolved.kind != "continuum" or len(zeros) < 8:
        raise ValueError(f"no ring was found in this set: {unresolved}")
    centre = 0.5 * (unresolved.low + unresolved.high)
    # angles are those in coordinates in which the set is as wide as it is long: a flat ellipse becomes a circle
    angle = np.arctan2(*np.linalg.solve(np.linalg.cholesky(np.cov(zeros.T)), (zeros - centre).T)[::-1])
    order = np.argsort(angle)
    angle, zeros = angle[order], zeros[order]
    keep = np.append(np.diff(angle) > 1e-9, True)
    angle, zeros = angle[keep], zeros[keep]
    if np.diff(np.append(angle, angle[0] + 2 * np.pi)).max() > 0.5:
        raise ValueError("the numerical zeros do not surround a centre: this continuum is no ring")
    spline = CubicSpline(np.append(angle, angle[0] + 2 * np.pi), np.vstack([zeros, zeros[:1]]), bc_type="periodic")
    points = spline(angle[0] + 2 * np.pi * np.arange(POINTS) / POINTS)
    for _ in range(6):  # onto the zero set, along the directions in which the field varies
        points = points - (np.linalg.pinv(f.jacobian(points), rcond=1e-6) @ f(points)[..., None])[..., 0]
    return points


def _derivative(values):
    """Derivative of a smooth periodic function in its angle, from even samples (K, ..)."""
    spectrum = np.fft.rfft(values, axis=0)
    return np.fft.irfft(spectrum * 1j * np.arange(len(spectrum))[:, None], len(values), axis=0)
