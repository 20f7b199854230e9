"""Random matrices of independent entries: their strength, tests of it, the edge of noise, and overlaps with vectors."""

import math

import numpy as np

from meanfield.conventions import rounding_tolerance

#: Powers of J0 whose overlaps are tested.
POWERS = (1, 2, 3)

#: Singular values of a square matrix of independent entries of variance 1/N: their median, for large N.
QUARTER_CIRCLE_MEDIAN = 0.8079455066

#: Quantile 0.999 of the Tracy-Widom law (real matrices): how far noise reaches beyond the edge of its bulk.
TRACY_WIDOM = 3.2724

#: A structure of more singular values than this share of N is no low rank.
LARGEST_SHARE = 0.1


def significance(s, rounding):
    """Number of significant ones of the singular values s (N,), threshold and standard deviation of the noise.

    By :eq:`learned-edge`. The number is None where more than N/10 stand out: then there is no gap. Values up to
    ``rounding`` mean nothing, and a noise below it counts as 0.

    The median is taken over those that are not significant, so it is found together with their number.
    """
    found, rank = 0, -1
    while found > rank:
        rank = found
        size = len(s) - rank
        noise = float(np.median(s[rank:])) / (QUARTER_CIRCLE_MEDIAN * math.sqrt(size))
        threshold = max(noise * _largest_of_noise(size), rounding)
        found = int(np.count_nonzero(s > threshold))
        if found > LARGEST_SHARE * len(s):
            return None, threshold, 0.0
    return rank, threshold, noise if threshold > rounding else 0.0


def _largest_of_noise(size):
    """Largest singular value of a square matrix of independent entries of variance 1, exceeded in 1 of 1000 draws."""
    a, b = math.sqrt(size - 1), math.sqrt(size)
    return math.sqrt((a + b) ** 2 + TRACY_WIDOM * (a + b) * (1 / a + 1 / b) ** (1 / 3))


def strength(J0):
    """g = sqrt(N Var J0_ij) and its standard error, for independent entries of any law.

    A diagonal of zeros is left out.

    Var of the sample variance of K entries is (mu_4 - mu_2^2)/K, :eq:`learned-g`.
    """
    entries = J0[_inside(J0)]
    entries = entries - entries.mean()
    second, fourth = np.mean(entries**2), np.mean(entries**4)
    g = math.sqrt(len(J0) * second)
    return g, float(g / 2 * np.sqrt(max(fourth / second**2 - 1, 0.0) / entries.size))


def _inside(J0):
    """(N, N) bool: everything, but not a diagonal of zeros."""
    return ~np.eye(len(J0), dtype=bool) if not np.diagonal(J0).any() else np.ones(J0.shape, dtype=bool)


def randomness(J0):
    """z-scores of J0 against independent entries of one law with mean 0, by name.

    ``mean``; ``row means`` and ``column means`` (differences between neurons, e.g. excitatory and inhibitory ones);
    ``row variances`` and ``column variances`` (g differs between populations); ``reciprocity`` (correlation of J_ij
    with J_ji). For large N each is standard normal, for any law with finite moments.
    """
    inside, N = _inside(J0), len(J0)
    x = np.where(inside, J0, 0.0) / np.sqrt(np.mean(J0[inside] ** 2))
    squares = np.where(inside, x**2 - 1, 0.0)
    scores = {"mean": float(x.sum() / math.sqrt(inside.sum()))}
    for axis, name in ((1, "row"), (0, "column")):
        scores[f"{name} means"] = _homogeneity(x, axis, 0)
        scores[f"{name} variances"] = _homogeneity(squares, axis, 1)
    pairs = (np.triu(x, 1) * x.T).sum()
    return scores | {"reciprocity": float(pairs / math.sqrt(N * (N - 1) / 2))}


def _homogeneity(x, axis, fitted):
    """z-score of the squared sums along an axis, over their expectation by the entries: N - fitted, of variance 2 N.

    As all squares together are what they are, only products of different entries fluctuate: that holds for any law.
    Of equal entries (|J_ij|, say) nothing is learned: 0.
    """
    total, N = (x**2).sum(), len(x)
    if total < 1e-9 * N * N:
        return 0.0
    return float((N * (x.sum(axis) ** 2).sum() / total - N + fitted) / math.sqrt(2 * N))


def null_moments(power, g, N, nn, mm, nm):
    """Mean and variance of (1/N) n.J0^k m for J0 of independent Gaussian entries, :eq:`learned-null`; k = 1, 2, 3.

    ``nn``, ``mm``, ``nm`` are the sums n.n, m.m, n.m, numbers or arrays. Exact at any N.
    """
    second = g**2 / N  # of one entry
    mean = second * nm / N if power == 2 else 0 * nm
    a, b = {1: (1, 0), 2: (N, 1), 3: (N**2 + 8, 2 * N + 4)}[power]
    return mean, second**power * (a * nn * mm + b * nm**2) / N**2


def overlaps_with_powers(left, matrix, right):
    """(1/N) left^T matrix^k right for k = 0 and those of POWERS: (4, A, B)."""
    out = [left.T @ right]
    for _ in POWERS:
        right = matrix @ right
        out.append(left.T @ right)
    return np.stack(out) / len(left)


def _scores(J0, g, left, right):
    """z-scores (3, A, B) of the overlaps of columns with powers of an independent J0; 0 where a column vanishes."""
    overlaps, N = overlaps_with_powers(left, J0, right), len(left)
    nn, mm = ((q**2).sum(axis=0) for q in (left, right))
    out = np.zeros(overlaps[1:].shape)
    for k in POWERS:
        mean, variance = null_moments(k, g, N, nn[:, None], mm, N * overlaps[0])
        np.divide(overlaps[k] - mean, np.sqrt(variance), out=out[k - 1], where=variance > 0)
    return out


def dependence(J0, g, left, right):
    """z-scores of (n, w) with (m, I), and the probability of their chi-square, over orthonormal bases of the two."""
    from scipy.special import chdtrc

    left, right = np.hstack(left), np.hstack(right)
    white = _scores(J0, g, _orthonormal(left), _orthonormal(right))
    return _scores(J0, g, left, right), float(chdtrc(white.size, (white**2).sum()))


def _orthonormal(columns):
    """An orthonormal basis of their span."""
    size = np.linalg.norm(columns, axis=0)
    u, s, _ = np.linalg.svd(columns[:, size > 0] / size[size > 0], full_matrices=False)
    return u[:, s > rounding_tolerance(len(columns)) * s[0]]
