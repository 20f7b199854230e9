"""Silenced populations: the mixture in which the outputs of some neurons vanish."""

from dataclasses import replace

import numpy as np

from ..conventions import brief, check_array, check_integer, ordinal


def silence(c, population, fraction=1.0):
    """The mixture in which a fraction of a population sends nothing: :eq:`silenced`.

    The silenced neurons keep m and I and lose n and w. N stays the number of all neurons, so J = (1/N) m n^T and
    z = (1/N) w.phi(x) keep their scale, and the weights still sum to 1: the weight of the others does not grow.

    Parameters
    ----------
    c : Connectivity
    population : int, or sequence of int
    fraction : float, or one per population named
        Between 0 and 1, drawn at random among the neurons of the population.

    Returns
    -------
    Connectivity
        A population that is silenced as a whole stays in its place. Of one silenced in part, the silenced neurons
        become a population of their own, after all others, in the order of the populations.

    Raises
    ------
    ValueError
        An unknown population, one named twice, a fraction below 0 or above 1.
    """
    share = shares(c, population, fraction)
    whole, part = share == 1, (c.weights * share > 0) & (share < 1)
    if not (whole.any() or part.any()):
        return c
    order = np.concatenate([np.arange(c.n_populations), np.flatnonzero(part)])
    silenced = np.concatenate([whole, np.ones(part.sum(), bool)])
    weights = np.concatenate([c.weights * np.where(part, 1 - share, 1.0), (c.weights * share)[part]])
    heard = np.ones((len(order), len(c.names)))
    for kind in "nw":
        heard[silenced, c.slice(kind)] = 0.0
    covariances = np.broadcast_to(0.0, (len(order), *c.covariances.shape[1:]))
    if not c.point_masses:
        covariances = c.covariances[order] * heard[:, :, None] * heard[:, None, :]
    g = c.g
    if np.any(g):
        g = np.broadcast_to(g, (c.n_populations,) * 2)[np.ix_(order, order)] * ~silenced
    return replace(c, weights=weights, means=c.means[order] * heard, covariances=covariances, g=g)


def shares(c, population, fraction):
    """The fraction of each population that is silenced, (P,), from the arguments of :func:`silence`."""
    named = [check_integer("population", p, 0) for p in np.atleast_1d(np.asarray(population, dtype=object))]
    for p in named:
        if p >= c.n_populations:
            raise ValueError(f"population {ordinal(p)} does not exist: there are {c.n_populations}, counted from 0")
    if len(set(named)) < len(named) or not named:
        raise ValueError(f"population must name different populations: got {brief(population)}")
    values = check_array("fraction", fraction)
    if values.shape not in ((), (len(named),)):
        raise ValueError(f"fraction: got shape {values.shape}, expected a number or one per population, {len(named)}")
    if (values < 0).any() or (values > 1).any():
        raise ValueError(f"fraction must lie between 0 and 1: got {brief(fraction)}; 0.1 for a tenth")
    share = np.zeros(c.n_populations)
    share[named] = values
    return share
