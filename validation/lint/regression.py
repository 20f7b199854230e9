"""The closed form: reduced-rank regression of what drives x on the rates and the inputs, :eq:`lint-regression`.

    y_t = (x_(t+1) - (1 - a) x_t) / a = J phi(x_t) + I u_t + noise,    a = dt / tau

is linear in (J, I). The sums over the data are taken once; ridges and ranks then cost no pass over the data.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meanfield.mixture.transformations import _dominant

#: Ridges that the evidence is asked about, relative to the mean square of the rates (summed over the steps).
GRID = 10.0 ** np.arange(-14, 3.01, 0.125)
#: The strongest directions of the activity, of which the evidence assumes nothing; at most an eighth of all.
FREE = 10
#: Residuals below this share of what drives the neurons are no noise: rounding, or rates stored with few digits.
CLEAN = 1e-6
#: Singular values beyond the rank that are kept, to be looked at.
SHOWN = 10
#: Directions of the activity below this share of the strongest one are rounding.
ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over steps of products of z = (phi(x), u) and y.

    Attributes
    ----------
    zz : ndarray (N + S, N + S)
    zy : ndarray (N + S, N)
    yy : ndarray (N, N)
    rows : int
        Number of steps, less those that means took.
    inputs : int
        S.
    """

    zz: np.ndarray
    zy: np.ndarray
    yy: np.ndarray
    rows: int
    inputs: int


def moments(pieces):
    """Sums over pieces ``(phi, u, y)`` of steps.

    Returns
    -------
    Moments
    """
    zz = zy = yy = 0.0
    rows = inputs = 0
    for phi, u, y in pieces:
        z = np.hstack([phi, u]) if u.shape[1] else phi
        zz, zy, yy = zz + z.T @ z, zy + z.T @ y, yy + y.T @ y
        rows, inputs = rows + len(y), u.shape[1]
    return Moments(zz, zy, yy, rows, inputs)


@dataclass(frozen=True, eq=False)
class Loadings:
    """A fitted connectivity J = (1/N) m n^T with inputs I, in the basis of :eq:`svd-normal-form`.

    Attributes
    ----------
    m, n, I : ndarray (N, R), (N, R), (N, S)
    m_error, n_error, I_error : ndarray
        Standard errors. Of n, the posterior standard deviation under the ridge as a prior; of m and I, for given n.
    noise : ndarray (N,)
        Standard deviation of the residuals of y.
    ridge : float
        Relative to the mean of sum_t phi_i(t)^2 over the neurons.
    determined : float
        Effective number of directions, out of N, along which the data determine n: sum c / (c + ridge).
    expected_cosine : float
        Of the fitted with the true J, if noise is private and white and the ridge is the right prior. nan without
        noise: then rounding decides what is seen.
    singular_values : ndarray
        The first of J in the metric of the activity, :eq:`lint-metric`, decreasing: R and a few more.
    """

    m: np.ndarray
    n: np.ndarray
    I: np.ndarray
    m_error: np.ndarray
    n_error: np.ndarray
    I_error: np.ndarray
    noise: np.ndarray
    ridge: float
    determined: float
    expected_cosine: float
    singular_values: np.ndarray


class Regression:
    """All ridges and ranks from the moments of one set of steps."""

    def __init__(self, data):
        self.data = data
        self.n_neurons = data.zy.shape[1]
        self.scale = float(np.trace(data.zz[: self.n_neurons, : self.n_neurons])) / self.n_neurons

    @cached_property
    def _partial(self):
        """Eigenvalues c and vectors of the rates' moments, their products with y, and y's, less what u explains."""
        N, d = self.n_neurons, self.data
        cross, inverse = d.zz[:N, N:], self._inputs_inverse
        c, q = np.linalg.eigh(d.zz[:N, :N] - cross @ inverse @ cross.T)
        c = np.where(c > ROUNDING * max(c[-1], 0.0), c, 0.0)
        k = q.T @ (d.zy[:N] - cross @ inverse @ d.zy[N:])
        k[c == 0] = 0.0  # rounding, and no information
        return c, q, k, d.yy - d.zy[N:].T @ inverse @ d.zy[N:]

    @cached_property
    def _inputs_inverse(self):
        """Of the inputs' moments; those that are 0, or that others explain, get the loading of least norm."""
        block = self.data.zz[self.n_neurons :, self.n_neurons :]
        return np.linalg.pinv(block, rcond=ROUNDING * max(len(block), 1), hermitian=True)

    @property
    def idle_inputs(self):
        """Number of inputs that are 0 throughout, or a combination of others."""
        return self.data.inputs - int(np.linalg.matrix_rank(self._inputs_inverse, hermitian=True))

    def _directions(self, ridge, rank):
        """Leading singular values and left singular vectors of J L, with L L^T the rates' moments and the ridge."""
        from scipy.linalg import eigh

        c, _, k, _ = self._partial
        ours = k / np.sqrt(np.maximum(c + ridge * self.scale, np.finfo(float).tiny))[:, None]
        N = self.n_neurons
        values, vectors = eigh(ours.T @ ours, subset_by_index=[N - rank, N - 1])
        return np.sqrt(np.maximum(values[::-1], 0.0)), vectors[:, ::-1]

    def evidence(self, left):
        """Log evidence of each ridge of ``GRID`` for n along output directions ``left`` (N, R): (G,).

        n is Gaussian with one variance, the noise along each direction has its most likely variance,
        :eq:`lint-evidence`. Of the strongest directions of the activity nothing is assumed: training aligns n with
        these, and the variance is asked for along the others.
        """
        c, _, k, yy = self._partial
        free = min(FREE, self.n_neurons // 8, int(np.count_nonzero(c)))
        T, ridges = self.data.rows - free, GRID * self.scale
        squares, total = (k @ left).T ** 2, np.einsum("nr,nm,mr->r", left, yy, left)
        strong = len(c) - free
        total = total - (squares[:, strong:] / c[strong:]).sum(1)
        asked = (c > 0) & (np.arange(len(c)) < strong)
        squares, c = squares[:, asked], c[asked]
        explained = squares @ (1 / (c[:, None] + ridges))
        rest = np.maximum(total[:, None] - explained, ROUNDING * total[:, None])
        penalty = np.log1p(c[:, None] / ridges).sum(0)
        return -0.5 * (T * np.log(rest / T) + penalty).sum(0)

    def best_ridge(self, rank, start=1e-4, rounds=2):
        """The ridge of largest evidence at that rank; the output directions are found with it."""
        for _ in range(rounds):
            found = float(GRID[np.argmax(self.evidence(self._directions(start, rank)[1]))])
            if found == start:
                break
            start = found
        return start

    def fit(self, rank, ridge="evidence"):
        """The best J of that rank in the metric of the activity, :eq:`lint-truncation`, and the inputs beside it.

        Parameters
        ----------
        rank : int
        ridge : "evidence" or float
            A number is relative to the mean of sum_t phi_i(t)^2.

        Returns
        -------
        Loadings
        """
        ridge = self.best_ridge(rank) if ridge == "evidence" else float(ridge)
        c, q, k, yy = self._partial
        N, d = self.n_neurons, self.data
        singular, left = self._directions(ridge, min(N, rank + SHOWN))
        left = left[:, :rank]
        shrunk = np.where(c > 0, 1 / np.maximum(c + ridge * self.scale, np.finfo(float).tiny), 0.0)
        right = q @ (shrunk[:, None] * (k @ left))  # J = left right^T
        I = (self._inputs_inverse @ (d.zy[N:] - d.zz[N:, :N] @ right @ left.T)).T
        variance = np.maximum(np.einsum("nr,nm,mr->r", left, yy, left) - (k @ left * (q.T @ right)).sum(0), 0) / d.rows
        prior = np.where(c > 0, shrunk, 1 / (ridge * self.scale) if ridge else 0.0)
        lost, kept = float(variance.sum() * prior.sum()), float((right**2).sum())
        m, n, mix = _normal_form(left, right, N)
        spread = np.sqrt((q**2 @ prior)[:, None] * (variance @ mix**2))
        noise, gram = self._residuals(m, n, I)
        own = np.sqrt(np.maximum(np.diagonal(np.linalg.pinv(gram, hermitian=True)), 0.0))
        error = noise[:, None] * own
        determined = float((c / np.maximum(c + ridge * self.scale, np.finfo(float).tiny)).sum())
        clean = (noise**2).sum() * d.rows <= CLEAN**2 * np.trace(yy)
        cosine = float("nan") if clean or not kept else float(np.sqrt(kept / (kept + lost)))
        return Loadings(m, n, I, error[:, :rank], spread, error[:, rank:], noise, ridge, determined, cosine, singular)

    def _residuals(self, m, n, I):
        """Standard deviation of y less what the loadings explain (N,), and the moments of what they multiply."""
        N, d = self.n_neurons, self.data
        latent = np.zeros((len(d.zz), m.shape[1] + d.inputs))
        latent[:N, : m.shape[1]] = n / N
        latent[N:, m.shape[1] :] = np.eye(d.inputs)
        gram, both = latent.T @ d.zz @ latent, np.hstack([m, I])
        squares = np.diagonal(d.yy) - 2 * (both * (d.zy.T @ latent)).sum(1) + (both @ gram * both).sum(1)
        return np.sqrt(np.maximum(squares, 0) / d.rows), gram


def _normal_form(left, right, size):
    """m, n (N, R) with J = left right^T = (1/N) m n^T in normal form, and the matrix with n = right @ mix."""
    basis, triangle = np.linalg.qr(right)
    u, s, vt = np.linalg.svd(triangle.T)
    m = left @ u * np.sqrt(size * s)
    sign = np.sign(m[_dominant(m), np.arange(len(s))]) if s.all() else np.ones(len(s))
    n = basis @ vt.T * np.sqrt(size * s) * sign
    mix = u * np.sqrt(size / np.where(s > 0, s, 1.0)) * sign * (s > 0)
    return m * sign, n, mix
