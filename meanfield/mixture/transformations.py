"""What may be done to a mixture without, or with a stated, change of the network: rank space, populations, inputs.

The functions take a connectivity and return a new one; they are methods of
:class:`~meanfield.connectivity.Connectivity`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..conventions import check_array, check_integer, closest, ordinal, rounding_tolerance


@dataclass(frozen=True, eq=False)
class OverlapSpectrum:
    """Eigen-decomposition of an overlap matrix: ``overlap @ eigenvectors == eigenvectors * eigenvalues``.

    Sorted by decreasing real part, of a complex pair the one with positive imaginary part first. Eigenvectors stand
    in columns, have unit length, and their largest entry is real and positive. ``residual`` is the largest error of
    that equation.
    """

    eigenvalues: np.ndarray  #: (R,) complex
    eigenvectors: np.ndarray  #: (R, R) complex, columns
    residual: float


@dataclass(frozen=True, eq=False)
class NormalForm:
    """The result of :func:`svd_normal_form`; the old kappa is ``matrix @ kappa``."""

    connectivity: Any
    matrix: np.ndarray  #: (R, R), the matrix of the rotation that leads to it
    singular_values: np.ndarray  #: (R,), of J in the limit, decreasing


def eigen(c) -> OverlapSpectrum:
    """Eigenvalues and eigenvectors of ``overlap("n", "m")``, the non-zero eigenvalues of J for g = 0 and N to infinity.

    At kappa = 0 without input the Jacobian of the reduced dynamics is ``phi'(0) overlap - 1``.
    """
    overlap = c.overlap("n", "m")
    values, vectors = (part.astype(complex) for part in np.linalg.eig(overlap))
    order = np.lexsort((-values.imag, -values.real))
    values, vectors = values[order], vectors[:, order]
    largest = vectors[_dominant(vectors), np.arange(c.rank)]
    vectors = vectors * (np.abs(largest) / largest)
    residual = float(np.abs(overlap @ vectors - vectors * values).max())
    return OverlapSpectrum(values, vectors, residual)


def rotate(c, matrix):
    """Another basis A of rank space, m -> m A and n -> n A^-T, hence kappa -> A^-1 kappa; J, inputs and readouts stay.

    :eq:`rank-gauge`. ``matrix`` is any invertible (R, R) array, a rotation or not. J = (1/N) m n^T does not change,
    nor does x = m kappa + I v, so the dynamics are the same in other coordinates. overlap("n", "m") becomes A^-1
    overlap A.

    Raises
    ------
    ValueError
        A matrix of another shape, not finite, or singular within rounding.
    """
    matrix = check_array("matrix", matrix, (c.rank, c.rank), "(rank, rank)")
    singular = np.linalg.svd(matrix, compute_uv=False)
    if singular[-1] <= rounding_tolerance(c.rank) * singular[0]:
        raise ValueError(
            f"matrix must be invertible: its singular values run from {singular[0]:.3g} to {singular[-1]:.3g}"
        )
    full = np.eye(len(c.names))
    full[c.slice("m"), c.slice("m")] = matrix.T
    full[c.slice("n"), c.slice("n")] = np.linalg.inv(matrix)
    covariances = c.covariances if c.point_masses else _symmetric(full @ c.covariances @ full.T)
    return replace(c, means=c.means @ full.T, covariances=covariances)


def svd_normal_form(c) -> NormalForm:
    """The basis of rank space in which overlap(m, m) = overlap(n, n) = diag(S): the singular value decomposition of J.

    :eq:`svd-normal-form`. In the limit of many neurons J = (1/N) m n^T has the singular values S and m / sqrt(N S), n
    / sqrt(N S) are its singular vectors (thesis of Valente 2019, 1.2.1, with the factor 1/N of J moved into the
    overlaps). With Cholesky factors overlap(m, m) = L_m L_m^T, overlap(n, n) = L_n L_n^T and L_m^T L_n = U S V^T, the
    matrix is A = L_m^-T U S^(1/2).

    Singular vectors are determined up to a joint sign of m_r and n_r. It is chosen such that the largest entry of
    each column of A is positive (of nearly equal ones the first): each new m_r points along the old m that it
    contains most of. Where singular values coincide, their vectors may be rotated among each other and the result is
    one choice out of many.

    Raises
    ------
    ValueError
        The m (or the n) are linearly dependent: J has a lower rank than stated.
    """
    factors = []
    for kind in "mn":
        moment = c.overlap(kind, kind)
        values = np.linalg.eigvalsh(moment)
        if values[0] <= rounding_tolerance(c.rank) * values[-1] or values[-1] <= 0:
            raise ValueError(
                f"the {kind}'s are linearly dependent, so J has a rank below {c.rank}: "
                f"the eigenvalues of overlap({kind!r}, {kind!r}) run from {values[0]:.3g} to {values[-1]:.3g}; "
                "describe the connectivity with a smaller rank"
            )
        factors.append(np.linalg.cholesky(moment))
    u, s, _ = np.linalg.svd(factors[0].T @ factors[1])
    matrix = np.linalg.solve(factors[0].T, u * np.sqrt(s))
    matrix = matrix * np.sign(matrix[_dominant(matrix), np.arange(c.rank)])
    return NormalForm(rotate(c, matrix), matrix, s)


def split(c, population: int, fraction: float):
    """Cut a population in two identical ones with ``fraction`` and ``1 - fraction`` of its weight; nothing changes.

    The two stand where the one stood, so the later populations move up by one.
    """
    p = _population(c, population)
    fraction = float(check_array("fraction", fraction, ()))
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie strictly between 0 and 1: got {fraction}")
    order = np.insert(np.arange(len(c.weights)), p, p)
    weights = c.weights[order]
    weights[p], weights[p + 1] = fraction * c.weights[p], (1 - fraction) * c.weights[p]
    return _pick(c, order, weights)


def merge(c, populations: Sequence[int]):
    """Replace populations by the one Gaussian with their total weight, mean and covariance (moment matching).

        alpha = sum alpha_p,   mu = sum alpha_p mu_p / alpha,
        sigma = sum alpha_p (sigma_p + (mu_p - mu)(mu_p - mu)^T) / alpha

    :eq:`moment-matching`. All overlaps stay. The network stays the same only if the merged populations are identical;
    otherwise the true distribution is no Gaussian and the dynamics change. A (P, P) ``g`` is averaged so that the
    mean squared random weight stays. The new population stands where the first of them stood.
    """
    merged = [_population(c, p) for p in populations]
    if len(merged) < 2 or len(set(merged)) != len(merged):
        raise ValueError(f"merge needs at least two different populations: got {list(populations)}")
    first = min(merged)
    kept = [p for p in range(len(c.weights)) if p == first or p not in merged]
    at = kept.index(first)
    alpha = c.weights[merged].sum()
    share = c.weights[merged] / alpha
    mean = share @ c.means[merged]
    offset = c.means[merged] - mean
    covariance = np.tensordot(share, c.covariances[merged], 1) + (share[:, None] * offset).T @ offset
    weights, means, covariances, g = c.weights[kept], c.means[kept], c.covariances[kept], c.g
    weights[at], means[at], covariances[at] = alpha, mean, _symmetric(covariance)
    if np.ndim(g):
        mix = np.zeros((len(kept), len(c.weights)))
        mix[np.arange(len(kept)), kept] = 1.0
        mix[at] = 0.0
        mix[at, merged] = share
        g = np.sqrt(mix @ np.square(g) @ mix.T)
    return replace(c, weights=weights, means=means, covariances=covariances, g=g)


def flip(c, populations: int | Sequence[int]):
    """Change the sign of all loadings of all neurons of some populations: their means change sign, covariances stay.

    For an odd transfer function this changes nothing that can be seen (kappa, readouts, J's action): the sign gauge
    of a neuron.
    """
    chosen = [_population(c, p) for p in np.atleast_1d(np.asarray(populations, dtype=object))]
    means = c.means.copy()
    means[chosen] *= -1.0
    return replace(c, means=means)


def permute(c, order: Sequence[int]):
    """Number the populations anew: population p of the result is ``order[p]`` of the original; nothing else changes."""
    order = [_population(c, p) for p in order]
    if sorted(order) != list(range(len(c.weights))):
        raise ValueError(f"order must name each of the {len(c.weights)} populations once: got {order}")
    return _pick(c, np.array(order), c.weights[order])


def with_inputs(c, inputs: Mapping[str, Any]):
    """Add inputs whose loadings are independent of all the others, after the present inputs.

    ``inputs`` maps a name to a variance, or to ``{"variance": .., "mean": ..}``; each is a number or one number per
    population. Left out, the variance is 1 and the mean 0.
    """
    if not isinstance(inputs, Mapping):
        raise ValueError(f"inputs must map names to variances, e.g. {{'B': 1.0}}: got {inputs!r}")
    n_populations, end, added = len(c.weights), c.slice("I").stop, len(inputs)
    means, variances = np.zeros((n_populations, added)), np.ones((n_populations, added))
    for s, (name, statistics) in enumerate(inputs.items()):
        statistics = statistics if isinstance(statistics, Mapping) else {"variance": statistics}
        for key, value in statistics.items():
            if key not in ("variance", "mean"):
                raise ValueError(f"input {name!r}: unknown key {key!r}; {closest(key, ('variance', 'mean'))}")
            value = check_array(f"{key} of input {name!r}", value)
            if value.shape not in ((), (n_populations,)):
                raise ValueError(
                    f"{key} of input {name!r}: got shape {value.shape}, expected a number or {(n_populations,)}"
                )
            (means if key == "mean" else variances)[:, s] = value
    place = np.insert(np.arange(len(c.names)), end, np.full(added, -1))
    old, new = np.flatnonzero(place >= 0), np.flatnonzero(place < 0)
    covariances = np.zeros((n_populations, len(place), len(place)))
    covariances[:, old[:, None], old] = c.covariances
    covariances[:, new, new] = variances
    all_means = np.zeros((n_populations, len(place)))
    all_means[:, old], all_means[:, new] = c.means, means
    return replace(c, means=all_means, covariances=covariances, inputs=(*c.inputs, *inputs))


def _pick(c, order: np.ndarray, weights: np.ndarray):
    g = c.g[np.ix_(order, order)] if np.ndim(c.g) else c.g
    return replace(c, weights=weights, means=c.means[order], covariances=c.covariances[order], g=g)


def _population(c, p) -> int:
    p = check_integer("population", p, 0)
    if p >= len(c.weights):
        raise ValueError(f"population {ordinal(p)} does not exist: there are {len(c.weights)}, counted from 0")
    return p


def _symmetric(covariances: np.ndarray) -> np.ndarray:
    return 0.5 * (covariances + np.swapaxes(covariances, -1, -2))


def _dominant(matrix: np.ndarray) -> np.ndarray:
    """Row of the largest entry of each column, the first of nearly equal ones: rounding must not choose."""
    magnitude = np.abs(matrix)
    return np.argmax(magnitude > 0.999 * magnitude.max(axis=0), axis=0)


def scale_overlap(c, a: str, b: str, factor: float):
    """The mixture with one overlap multiplied: of ``a``, one of n or w, with ``b``, one of m or of the inputs.

    In each population a linear function of (m, I) is added to the loading a, such that its covariance with b alone is
    multiplied. Where both have a mean, that of a is multiplied, and with it its mean overlaps with all others. The
    result is positive semi-definite by construction; the variance of a changes accordingly.

    Raises
    ------
    ValueError
        Unknown loadings, or a pair of other kinds; a factor that is not finite.
    """
    i, j = c.index(a), c.index(b)
    base = np.r_[c.slice("m"), c.slice("I")]
    if i in base or j not in base:
        raise ValueError(f"scale_overlap: got {a!r} and {b!r}, expected one of n or w and then one of m or the inputs")
    factor = float(check_array("factor", factor, ()))
    full = np.tile(np.eye(len(c.names)), (c.n_populations, 1, 1))
    inner = c.covariances[:, base][:, :, base]
    wanted = (factor - 1) * c.covariances[:, i, j][:, None] * (base == j)
    full[:, i, base] += np.einsum("pab,pb->pa", np.linalg.pinv(inner, rcond=1e-12, hermitian=True), wanted)
    if not np.allclose(np.einsum("pab,pb->pa", inner, full[:, i, base] - np.eye(len(c.names))[i, base]), wanted):
        raise ValueError(f"{b!r} depends on other loadings in some population: its overlap alone cannot change")
    means = c.means.copy()
    both = (means[:, i] != 0) & (means[:, j] != 0)
    means[both, i] *= factor
    covariances = c.covariances if c.point_masses else _symmetric(full @ c.covariances @ full.swapaxes(1, 2))
    return replace(c, means=means, covariances=covariances)
