"""Loadings on one scale: whitened, without the directions along which no neuron differs."""

from dataclasses import dataclass

import numpy as np

#: A combination of standardised loadings whose spread is below this share of the largest is taken for exactly
#: dependent: networks are trained and stored in single precision, which leaves rounding of 1e-7, and the statistics of
#: rounding are no populations.
SINGULAR = 1e-6
#: A loading that varies by less than this share of its mean is a constant up to rounding in double precision.
CONSTANT = 1e-13
#: Loadings must be smaller than this, for products of their covariances.
HUGE = 1e70


@dataclass(frozen=True, eq=False)
class Whitened:
    """Coordinates y of neurons with unit second moment, x = centre + basis y (:eq:`whitened-loadings`).

    Attributes
    ----------
    y : (N, D)
    centre : (A,)
    basis : (A, D)
    log_volume : float
        Logarithm of the volume that a unit cube of y has among the loadings x (on their span).
    singular : (A - D, A)
        Combinations of the loadings, largest coefficient 1, that are the same for all neurons.
    """

    y: np.ndarray
    centre: np.ndarray
    basis: np.ndarray
    log_volume: float
    singular: np.ndarray


def whiten(loadings, centred):
    """Whiten loadings (N, A) by their covariance where ``centred``, otherwise by their second moment.

    Inner products of y do not change when the loadings go through any invertible linear map.

    Raises
    ------
    ValueError
        All neurons have the same loadings, or squares overflow.
    """
    size, largest = len(loadings), np.abs(loadings).max()
    if not (largest == 0 or 1 / HUGE < largest < HUGE):
        raise ValueError(f"loadings of up to {largest:.1g} cannot be squared: are they in the right unit? rescale them")
    centre = loadings.mean(axis=0) if centred else np.zeros(loadings.shape[1])
    x = loadings - centre
    scale = np.sqrt(np.mean(x**2, axis=0))
    varies = scale > CONSTANT * np.abs(centre)
    if not varies.any():
        raise ValueError(f"all {size} neurons have the same loadings: there are no populations to tell apart")
    u, s, vt = np.linalg.svd(x[:, varies] / scale[varies], full_matrices=False)
    keep = s > SINGULAR * s[0]
    basis = np.zeros((loadings.shape[1], keep.sum()))
    basis[varies] = scale[varies, None] * vt[keep].T * s[keep] / np.sqrt(size)
    dependent = np.zeros(((~keep).sum(), loadings.shape[1]))
    dependent[:, varies] = vt[~keep] / scale[varies]
    singular = np.vstack([dependent, np.eye(loadings.shape[1])[~varies]])
    leading = np.take_along_axis(singular, np.abs(singular).argmax(axis=1)[:, None], axis=1)
    volume = 0.5 * np.linalg.slogdet(basis.T @ basis)[1]
    return Whitened(np.sqrt(size) * u[:, keep], centre, basis, float(volume), singular / leading)
