"""Finite networks with silenced neurons."""

from dataclasses import replace

import numpy as np

from meanfield.conventions import brief
from meanfield.ledgers.silencing import shares, silence

from .finite import moments


def silence_network(net, neurons=None, *, population=None, fraction=1.0, seed=None):
    """The network in which some neurons send nothing, J = (1/N) m n^T with the original N: n = w = 0 for them.

    Their m and I stay, so they still listen; so do their columns of a random part vanish, and not their rows.

    Parameters
    ----------
    net : Network
    neurons : sequence of int, or mask (N,) of bool
        Which; else ``population``.
    population : int, or sequence of int
        Of ``net.population``: a random ``fraction`` of its neurons, rounded to a whole number.
    fraction : float, or one per population named
    seed : required when not all of a population is silenced

    Returns
    -------
    Network
        Where a population was named, ``mixture`` is that of :func:`meanfield.mechanism.silence` and ``population``
        follows its order; else the mixture is not known.

    Raises
    ------
    ValueError
        Neither or both of neurons and population, labels that are not known, a neuron that does not exist, no seed.
    """
    if (neurons is None) == (population is None):
        raise ValueError("silence_network needs either neurons or a population")
    mixture, labels = None, net.population
    if population is None:
        chosen = _mask(neurons, net.n_neurons)
    else:
        chosen, mixture, labels = _of_population(net, population, fraction, seed)
    n, w = (np.where(chosen[:, None], 0.0, block) for block in (net.n, net.w))
    random = None if net.random is None else np.where(chosen, 0.0, net.random)
    note = f"{chosen.sum()} of {net.n_neurons} neurons are silenced: n = w = 0."
    return replace(net, n=n, w=w, random=random, mixture=mixture, population=labels, notes=(*net.notes, note))


def _mask(neurons, size):
    array = np.asarray(neurons)
    if array.dtype == bool and array.shape == (size,):
        return array
    if array.ndim != 1 or array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"neurons must be numbers of neurons, or a mask of {size}: got {brief(neurons)}")
    if array.size and not (0 <= array.min() and array.max() < size):
        raise ValueError(f"neurons must lie between 0 and {size - 1}: got {array.min()} to {array.max()}")
    mask = np.zeros(size, bool)
    mask[array.astype(int)] = True
    return mask


def _of_population(net, population, fraction, seed):
    """Mask, mixture and labels of a silenced population."""
    if net.population is None:
        raise ValueError("the populations of the neurons are not known: replace(net, population=labels), or neurons=")
    known = net.mixture or moments(net)
    share = shares(known, population, fraction)
    part = (share > 0) & (share < 1)
    if part.any() and seed is None:
        raise ValueError("silencing a part of a population draws its neurons: pass a seed, e.g. seed=0")
    rng = np.random.default_rng(seed)
    chosen, labels = np.zeros(net.n_neurons, bool), net.population.copy()
    for p in np.flatnonzero(share):
        inside = np.flatnonzero(net.population == p)
        some = inside if share[p] == 1 else rng.choice(inside, round(share[p] * len(inside)), replace=False)
        chosen[some] = True
        if part[p]:
            labels[some] = known.n_populations + part[:p].sum()
    mixture = None if net.mixture is None else silence(net.mixture, population, fraction)
    return chosen, mixture, labels
