"""Expectation-maximisation of many Gaussian mixtures at once, with the sign of each neuron as a latent variable.

A mixture is kept as its statistics: for each population the share of the neurons, their (signed) sum of y and their
sum of the products y_a y_b, all divided by the number of neurons. These are averages of the features (1, y, y_a y_b),
so one iteration is two products of matrices (:eq:`em-features`), and they may be extrapolated linearly.
"""

from dataclasses import dataclass

import numpy as np

#: Smallest variance of a population, in units of the variance of all neurons, along any direction of the loadings.
#: A bounded likelihood needs one. Narrower populations act on the dynamics as if they had no width at all: their
#: contributions to overlaps differ by a millionth; and the quadratic forms keep ten digits.
FLOOR = 1e-6
#: Most neurons whose densities are held in memory at once, so that they stay in the cache.
CHUNK = 512


@dataclass(frozen=True, eq=False)
class Problem:
    """Neurons to be described by mixtures.

    Attributes
    ----------
    features : (1 + D + D (D + 1)/2, N)
        1, y_a, and y_a y_b for a <= b.
    size : int
        D.
    gauge : bool
        Whether the sign of each neuron is a latent variable.
    means : bool
        Whether populations may have a mean other than 0.
    """

    features: np.ndarray
    size: int
    gauge: bool
    means: bool

    @property
    def signed(self):
        """Whether signs matter: without means the densities are symmetric anyway."""
        return self.gauge and self.means

    @property
    def least(self):
        """Fewest neurons of a population: twice as many as determine its mean and covariance."""
        return 2 * (self.size + 1)


def problem(y, gauge, means):
    """The :class:`Problem` of neurons y (N, D)."""
    a, b = np.triu_indices(y.shape[1])
    features = np.vstack([np.ones(len(y)), y.T, y.T[a] * y.T[b]])
    return Problem(np.ascontiguousarray(features), y.shape[1], gauge, means)


def moments(p, stats):
    """Weights (..., K), means (..., K, D) and covariances (..., K, D, D) of statistics (..., K, features)."""
    d = p.size
    weights = np.maximum(stats[..., 0], 1e-300)  # a population that lost all its neurons stays finite
    scaled = stats[..., 1:] / weights[..., None]
    means = scaled[..., :d] if p.means else np.zeros_like(scaled[..., :d])
    second = np.empty((*weights.shape, d, d))
    a, b = np.triu_indices(d)
    second[..., a, b] = second[..., b, a] = scaled[..., d:]
    return weights, means, second - means[..., :, None] * means[..., None, :]


def statistics(p, weights, means, covariances):
    """The statistics of given parameters, the inverse of :func:`moments`."""
    a, b = np.triu_indices(p.size)
    second = (covariances + means[..., :, None] * means[..., None, :])[..., a, b]
    ones = np.ones((*np.shape(weights), 1))
    return np.asarray(weights)[..., None] * np.concatenate([ones, means, second], axis=-1)


def coefficients(p, stats):
    """Coefficients of the features in the logarithm of weight times density (..., K, features), :eq:`em-features`."""
    weights, means, covariances = moments(p, stats)
    values, vectors = np.linalg.eigh(covariances)
    values = np.maximum(values, FLOOR)
    precision = (vectors / values[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    linear = (precision @ means[..., None])[..., 0]
    log_determinant = np.log(values).sum(axis=-1) + p.size * np.log(2 * np.pi)
    constant = np.log(weights) - 0.5 * (log_determinant + (linear * means).sum(axis=-1))
    a, b = np.triu_indices(p.size)
    quadratic = precision[..., a, b] * np.where(a == b, -0.5, -1.0)
    return np.concatenate([constant[..., None], linear, quadratic], axis=-1)


def expectation(p, coefficient, at):
    """What is known of the populations and signs of the neurons ``at`` (a slice), for mixtures (B, K, features).

    Returns
    -------
    density : (B, n)
        Logarithm of the density of y, :eq:`symmetrised-density`.
    responsibility, signed : (B, K, n)
        Probability of each population, and the same times the expected sign; the latter is the former where signs do
        not matter.
    """
    batch, count = coefficient.shape[:2]
    flat = coefficient.reshape(batch * count, -1)
    features = p.features[:, at]
    if not p.signed:
        log = (flat @ features).reshape(batch, count, -1)
        top = log.max(axis=1, keepdims=True)
        share = np.exp(np.subtract(log, top, out=log), out=log)
        total = share.sum(axis=1, keepdims=True)
        share /= total
        return (top + np.log(total))[:, 0], share, share
    linear = slice(1, 1 + p.size)
    even = flat[:, 0, None] + flat[:, 1 + p.size :] @ features[1 + p.size :]
    tilt = (flat[:, linear] @ features[linear]).reshape(batch, count, -1)
    size = np.abs(tilt)
    log = even.reshape(batch, count, -1)
    log += size
    top = log.max(axis=1, keepdims=True)
    share = np.exp(np.subtract(log, top, out=log), out=log)
    share *= 0.5
    size *= -2
    other = np.exp(size, out=size)
    other *= share  # the density with the less likely sign
    signed = np.copysign(share - other, tilt, out=tilt)
    share += other
    total = share.sum(axis=1, keepdims=True)
    share /= total
    signed /= total
    return (top + np.log(total))[:, 0], share, signed


def chunks(p):
    """Slices that cover the neurons."""
    return [slice(k, k + CHUNK) for k in range(0, p.features.shape[1], CHUNK)]


def step(p, stats, counts=None):
    """One iteration of expectation and maximisation of mixtures (B, K, features), :eq:`em-update`.

    Parameters
    ----------
    counts : (B, N), optional
        How often each neuron counts in each of the mixtures; by default once.

    Returns
    -------
    stats : (B, K, features)
    log_likelihood : (B,)
        Of the mixtures that came in.
    """
    batch, count, width = stats.shape
    coefficient = coefficients(p, stats)
    new, log_likelihood = np.zeros((batch * count, width)), np.zeros(batch)
    linear = slice(1, 1 + p.size)
    for at in chunks(p):
        density, share, signed = expectation(p, coefficient, at)
        if counts is not None:
            weight = counts[:, at]
            density = density * weight
            share *= weight[:, None]
            if p.signed:
                signed *= weight[:, None]
        log_likelihood += density.sum(axis=1)
        features = p.features[:, at].T
        new += share.reshape(batch * count, -1) @ features
        if p.signed:
            new[:, linear] += signed.reshape(batch * count, -1) @ features[:, linear]
            new[:, linear] -= share.reshape(batch * count, -1) @ features[:, linear]
    if not p.means:
        new[:, linear] = 0
    new = new.reshape(stats.shape)
    return new / new[..., 0].sum(axis=1)[:, None, None], log_likelihood


def evaluate(p, stats):
    """log density (B, N), responsibilities and signed responsibilities (B, K, N) of all neurons."""
    coefficient = coefficients(p, stats)
    parts = [expectation(p, coefficient, at) for at in chunks(p)]
    return tuple(np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
