"""What one neuron of a mixture contributes to the drift, its Jacobian and the readouts: moments over its loadings.

The drift of a finite network is a mean over its neurons, so its fluctuations follow from the covariance of one neuron's
contribution. Given z = (x - mean)/sqrt(variance), the standardised input of the neuron, its loadings y are Gaussian
with a mean linear in z: every moment is a one-dimensional average of a polynomial in z, by Stein's recursion.
"""

from dataclasses import dataclass

import numpy as np

from ..conventions import check_integer
from ..gaussian.moments import product_moments

#: What a draw may hold fixed: nothing, the sizes of the populations, or all means and covariances within them.
MATCHED = ("nothing", "sizes", "moments")

# Products of derivatives of phi whose averages are needed.
_PRODUCTS = ((0,), (1,), (0, 0), (0, 1), (1, 1))
# Entries of the largest tensor that is held at once.
_BATCH = 1 << 20


@dataclass(frozen=True, eq=False)
class Neuron:
    """Covariance of what one neuron contributes at kappa; a mean over N neurons has it divided by N.

    The contributions are n phi(x), w phi(x), and (n, w) phi'(x) m row by row: R + W + (R + W) R numbers.

    Attributes
    ----------
    covariance, error : ndarray (..., K, K)
        And a bound of its quadrature error.
    rank, readouts : int
    """

    covariance: np.ndarray
    error: np.ndarray
    rank: int
    readouts: int

    @property
    def drift(self):
        """Places of n phi."""
        return slice(0, self.rank)

    @property
    def output(self):
        """Places of w phi."""
        return slice(self.rank, self.rank + self.readouts)

    @property
    def slope(self):
        """Places of n phi' m and, after them, w phi' m; empty where they were not asked for."""
        return slice(self.rank + self.readouts, self.covariance.shape[-1])


def root(covariance, n_neurons):
    """Standard deviations (..., R) from N times a covariance (..., R, R), at N = ``n_neurons``."""
    n_neurons = check_integer("n_neurons", n_neurons, 1)
    return np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0) / n_neurons)


def neuron(f, kappa, matched="nothing", with_error=True):
    """The covariance of a neuron's contributions at ``kappa`` (..., R): docs, :eq:`neuron-covariance`.

    Parameters
    ----------
    f : VectorField
    matched : str
        One of :data:`MATCHED`: what every draw has in common with the mixture.
    with_error : bool
        Bound the quadrature error; without, it is 0 in the result, and half of the work is saved.
    """
    c = f.connectivity
    kappa = np.asarray(kappa, float)
    batch, flat = kappa.shape[:-1], kappa.reshape(-1, c.rank)
    # inputs act through x alone, unless their own moments are held fixed
    kinds = "mnIw" if matched == "moments" else "mnw"
    keep = np.concatenate([np.r_[c.slice(kind)] for kind in kinds]).astype(int)
    step = max(1, _BATCH // (c.n_populations * len(keep) ** 4))
    parts = [_covariances(f, flat[k : k + step], matched, keep, with_error) for k in range(0, len(flat), step)]
    size = c.rank + len(c.readouts)
    size += size * c.rank
    covariance, error = (np.concatenate(part).reshape(*batch, size, size) for part in zip(*parts, strict=True))
    return Neuron(covariance, error, c.rank, len(c.readouts))


def _covariances(f, kappa, matched, keep, with_error):
    """Covariances and their error bounds (B, K, K) for kappa (B, R); populations and kappas share the leading axis."""
    c = f.connectivity
    loadings = _Loadings(f, kappa, keep)
    mean, variance = f.mean(kappa).ravel(), f.variance(kappa).ravel()
    moments, errors = product_moments(f.transfer, mean, variance, _PRODUCTS, 4)
    bounds = [e.T if with_error else None for e in errors]
    phi, slope, phi_phi, phi_slope, slope_slope = zip((q.T for q in moments), bounds, strict=True)
    m, n = np.arange(c.rank), np.arange(c.rank, 2 * c.rank)  # places among the kept ones
    rows = np.r_[n, len(keep) - len(c.readouts) : len(keep)]
    pair = (np.repeat(rows, c.rank), np.tile(m, len(rows)))  # (a, b) of n_a phi' m_b
    s, a = slice(0, len(rows)), slice(len(rows), len(rows) + len(pair[0]))
    first, second, error = np.zeros((len(mean), a.stop)), *np.zeros((2, len(mean), a.stop, a.stop))
    first[:, s] = loadings.average(1, *phi)[0][:, rows]
    first[:, a] = loadings.average(2, *slope)[0][:, pair[0], pair[1]]
    squares, crossed, slopes = (
        loadings.average(degree, *product) for degree, product in ((2, phi_phi), (3, phi_slope), (4, slope_slope))
    )
    for target, part in ((second, 0), (error, 1))[: 1 + with_error]:
        target[:, s, s] = squares[part][:, rows][:, :, rows]
        target[:, a, s] = crossed[part][:, pair[0], pair[1]][:, :, rows]
        target[:, s, a] = target[:, a, s].swapaxes(1, 2)
        target[:, a, a] = slopes[part][:, pair[0], pair[1]][:, :, pair[0], pair[1]]
    if matched != "nothing":
        second -= first[:, :, None] * first[:, None, :]
    if matched == "moments":
        features = [_features(loadings, 1, phi[0], (rows,)), _features(loadings, 2, slope[0], pair)]
        explained = np.concatenate(features, axis=1)
        second -= explained @ explained.swapaxes(1, 2)

    def over_populations(values):
        return np.tensordot(c.weights, values.reshape(len(kappa), c.n_populations, *values.shape[1:]), ([0], [1]))

    covariance = over_populations(second)
    if matched == "nothing":
        together = over_populations(first)
        covariance = covariance - together[:, :, None] * together[:, None, :]
    return covariance, over_populations(error)


def _features(loadings, degree, moments, pick):
    """What the sample means and covariances of the loadings determine of contributions: (P, K, F).

    Averages of the contributions (``degree`` loadings times a function of x) with the orthonormal functions u_i and
    (u_i u_j - delta_ij)/sqrt(2) of the whitened loadings u.
    """
    at = (slice(None), *pick)
    plain = loadings.average(degree, moments)[0][at]
    once = loadings.average(degree + 1, moments)[0][at] @ loadings.whiten
    shift = (loadings.mean[:, None, :] @ loadings.whiten)[:, 0]
    linear = once - plain[:, :, None] * shift[:, None, :]
    white = loadings.whiten[:, None]
    twice = white.swapaxes(-1, -2) @ loadings.average(degree + 2, moments)[0][at] @ white
    crossed = linear[..., :, None] * shift[:, None, None, :]
    outer = (shift[:, :, None] * shift[:, None, :])[:, None] + loadings.white_unit[:, None]
    centred = twice - crossed - crossed.swapaxes(-1, -2) - plain[..., None, None] * outer
    return np.concatenate([linear, centred.reshape(*centred.shape[:2], -1) / np.sqrt(2)], axis=-1)


class _Loadings:
    """Conditional moments of all loadings of a neuron given its input; kappas and populations make the leading axis."""

    def __init__(self, f, kappa, keep):
        c, count = f.connectivity, len(kappa)
        self.mean = np.tile(c.means[:, keep], (count, 1))
        self.covariance = np.tile(c.covariances[:, keep][:, :, keep], (count, 1, 1))
        names = np.r_[c.slice("m"), c.slice("I")]
        x = np.concatenate([kappa, np.broadcast_to(f.v, (len(kappa), len(f.v)))], axis=-1)
        with_input = np.einsum("pab,kb->kpa", c.covariances[:, keep][:, :, names], x).reshape(self.mean.shape)
        width = np.sqrt(f.variance(kappa).reshape(-1, 1))
        slope = np.divide(with_input, width, out=np.zeros_like(with_input), where=width > 0)
        self.rest = self.covariance - slope[:, :, None] * slope[:, None, :]
        self.line = np.stack([self.mean, slope], axis=-1)  # polynomial in z, lowest power first

    @property
    def whiten(self):
        """Columns that turn centred loadings into uncorrelated ones of variance 1, 0 where a loading is determined."""
        values, vectors = np.linalg.eigh(self.covariance)
        tiny = values <= 1e-12 * np.maximum(values[:, -1:], 1e-300)
        return np.where(tiny[:, None, :], 0.0, vectors / np.sqrt(np.where(tiny, 1.0, values))[:, None, :])

    @property
    def white_unit(self):
        """Covariance of the whitened loadings: a diagonal of ones and zeros (P, A, A)."""
        w = self.whiten
        return np.round(w.swapaxes(1, 2) @ self.covariance @ w)

    def average(self, degree, moments, errors=None):
        """<y_a y_b .. h(x)> for ``degree`` loadings and the moments (P, 5) of h: values and error bounds (P, A, ..)."""
        value = _contract(_polynomial(self.line, self.rest, degree), moments)
        if errors is None:
            return value, None
        return value, _contract(_polynomial(np.abs(self.line), np.abs(self.rest), degree), errors)


def _contract(polynomial, moments):
    """Polynomials in z (P, .., d + 1) with the moments (P, 5) of each power."""
    shape = (len(moments),) + (1,) * (polynomial.ndim - 2) + (-1,)
    return (polynomial * moments[:, : polynomial.shape[-1]].reshape(shape)).sum(-1)


def _polynomial(line, rest, degree):
    """E[y_a y_b .. | z] as polynomials (P, A, .., d + 1), by E[y_a q] = line_a E[q] + sum_b rest_ab E[dq/dy_b]."""
    if degree == 1:
        return line
    lower = _polynomial(line, rest, degree - 1)
    out = _times(line, lower)
    if degree == 2:
        out[..., 0] += rest
        return out
    below = _polynomial(line, rest, degree - 2)
    product = np.einsum("pab,p...k->pab...k", rest, below)
    for place in range(degree - 1):
        # y_a pairs with the loading at this place of the product
        out[..., : product.shape[-1]] += np.moveaxis(product, 2, 2 + place)
    return out


def _times(line, polynomial):
    """Product of y_a's line with a polynomial: (P, A, .., d + 2)."""
    product = np.einsum("pai,p...k->pa...ik", line, polynomial)
    out = np.zeros((*product.shape[:-2], polynomial.shape[-1] + 1))
    out[..., :-1] += product[..., 0, :]
    out[..., 1:] += product[..., 1, :]
    return out
