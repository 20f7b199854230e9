"""Where climbs start: partitions of the neurons of several kinds, made of inner products only.

Inner products of whitened loadings do not change with the basis of rank space or the scale of a loading; so neither do
the starts.
"""

import numpy as np

#: Share of all neurons that is mixed into each population of a start, so that none begins with too few.
BLUR = 0.1


def starts(p, y, count, n_populations, rng, allowed=None):
    """Statistics (count, K, features) of random partitions of neurons y (N, D), of four kinds in turn.

    Neurons near random neurons that are far from each other (k-means++); in similar directions up to the sign; random
    ones; and shells between ellipsoids, for populations that differ by their width.

    Parameters
    ----------
    allowed : (count, N) bool, optional
        The neurons of each start; by default all.
    """
    kinds = (_near, _axial, _random, _shells) if p.means else (_axial, _shells, _random)
    norms = (y**2).sum(axis=1)
    out = np.empty((count, n_populations, len(p.features)))
    for k in range(count):
        chosen = np.arange(len(y)) if allowed is None else np.flatnonzero(allowed[k])
        labels, sign = kinds[k % len(kinds)](y[chosen], norms[chosen], n_populations, rng, p.gauge)
        out[k] = _statistics(p, chosen, labels, sign, n_populations)
    return out


def _statistics(p, chosen, labels, sign, n_populations):
    features = p.features if len(chosen) == p.features.shape[1] else p.features[:, chosen]
    member = (labels == np.arange(n_populations)[:, None]).astype(float)
    linear = slice(1, 1 + p.size)
    own, total = member @ features.T, features.sum(axis=1)
    own[:, linear] = (member * sign if p.signed else member * p.means) @ features[linear].T
    total[linear] = own[:, linear].sum(axis=0)
    return ((1 - BLUR) * own + BLUR * total / n_populations) / len(chosen)


def _seeds(squared, n_populations, size, rng):
    """Neurons drawn in turn with a probability proportional to the squared distance from those drawn before."""
    seeds, nearest = [int(rng.integers(size))], np.full(size, np.inf)
    while len(seeds) < n_populations:
        nearest = np.minimum(nearest, squared(seeds[-1]))
        total = nearest.sum()
        seeds.append(int(rng.choice(size, p=nearest / total) if total > 0 else rng.integers(size)))
    return seeds


def _near(y, norms, n_populations, rng, gauge):
    def squared(k):
        product = y @ y[k]
        return np.maximum(norms + norms[k] - 2 * (np.abs(product) if gauge else product), 0)

    seeds = _seeds(squared, n_populations, len(y), rng)
    labels = np.argmin([squared(k) for k in seeds], axis=0)
    return labels, _sign((y @ y[seeds].T)[np.arange(len(y)), labels])


def _axial(y, norms, n_populations, rng, gauge):
    unit = y / np.sqrt(np.maximum(norms, 1e-300))[:, None]
    seeds = _seeds(lambda k: np.maximum(1 - (unit @ unit[k]) ** 2, 0), n_populations, len(y), rng)
    cosines = unit @ unit[seeds].T
    labels = np.argmax(cosines**2, axis=1)
    return labels, _sign(cosines[np.arange(len(y)), labels])


def _random(y, norms, n_populations, rng, gauge):
    labels = rng.integers(n_populations, size=len(y))
    axes = rng.integers(len(y), size=n_populations)
    return labels, _sign((y * y[axes[labels]]).sum(axis=1))


def _shells(y, norms, n_populations, rng, gauge):
    axis = rng.integers(len(y))
    product = y @ y[axis]
    along = product**2 / max(norms[axis], 1e-300)
    depth = (norms, along, norms - along)[rng.integers(3)]
    return np.argsort(np.argsort(depth)) * n_populations // len(y), _sign(product)


def _sign(value):
    return np.where(value < 0, -1.0, 1.0)
