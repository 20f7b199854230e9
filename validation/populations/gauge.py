"""The two freedoms of a mixture's description: the order of its populations, and the signs of their means."""

import numpy as np


def half_space(weights, means, basis):
    """Signs (K,) that bring the means (K, D) into one half space, :eq:`half-space`.

    It is the one towards the leading direction of the means; that direction is taken such that the standardised
    loading that it shifts most, it shifts up. ``basis`` (A, D) leads from the means to the loadings.
    """
    if not means.any():
        return np.ones(len(means))
    direction = np.linalg.svd(np.sqrt(weights)[:, None] * means)[2][0]
    scale = np.sqrt((basis**2).sum(axis=1))
    shift = basis @ direction / np.where(scale > 0, scale, 1)
    # of nearly equal shifts the first, so that rounding does not choose
    first = np.argmax(np.abs(shift) > (1 - 1e-6) * np.abs(shift).max())
    return np.where(means @ direction * np.sign(shift[first]) < 0, -1.0, 1.0)


def matching(ours, theirs):
    """For each of our populations the one of theirs that shares most with it, by optimal assignment.

    Parameters
    ----------
    ours, theirs : (K, N)
        Responsibilities, or memberships of 0 and 1.

    Returns
    -------
    order : (K,) int
        Of theirs.
    """
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(-(ours @ theirs.T))[1]


def relative_signs(precisions, means, others):
    """Signs (..., K) of ``others`` (..., K, D) that make them agree with ``means`` (K, D), in the metric (K, D, D)."""
    products = np.einsum("kd,kde,...ke->...k", means, precisions, others)
    return np.where(products < 0, -1.0, 1.0)


def adjusted_rand(a, b):
    """Adjusted Rand index of two labellings (N,): 1 for the same partition, 0 on average for unrelated ones.

    Hubert and Arabie 1985; :eq:`adjusted-rand`. Two partitions of one population each agree: 1.
    """
    pairs = lambda counts: (counts * (counts - 1) / 2).sum()  # noqa: E731
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a, b), 1)
    together, first, second = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = first * second / pairs(np.array([len(a)]))
    most = (first + second) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))
