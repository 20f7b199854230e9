"""Spread of the stationary states of networks with a random part over draws of loadings and of chi.

Given what the neurons send, the fields g chi phi(x) are independent Gaussians whose variance is that of the network
itself. So a neuron counts as one of a mixture with one more input, of that variance; the means over N neurons of n phi
and phi^2 fluctuate as sums of independent terms; and kappa and Q follow by the linear response of the joint field
(docs: :eq:`state-spread`). Corrections to the covariance are of relative order 1/N.
"""

from dataclasses import dataclass

import numpy as np

from .. import equations
from ..dmft.field import StationaryField, gains
from ..dmft.stationary import StationaryState
from ..gaussian.quadrature import Doubling
from .neurons import root
from .points import SINGULAR


@dataclass(frozen=True, eq=False)
class StateSpread:
    """Where a network of N neurons has a stationary state of its limit: N times covariances over draws, leading order.

    Attributes
    ----------
    state : StationaryState
    matched : str
        What the draws of the loadings hold fixed, see :func:`meanfield.spread`; chi is always drawn anew.
    covariance : ndarray (R + K, R + K)
        Of (kappa, Q); nan where the Jacobian of the joint field is singular.
    mean_covariance, delta0_covariance : ndarray (P, P)
        Of the mean and of the variance of x over the neurons of each population.
    readout_covariance : ndarray (W, W)
    balance_covariance : ndarray (R + K, R + K)
        Of the joint field of the limit at the network's own (kappa, Q): the covariance of what one neuron contributes,
        without the amplification by the network. It is 0 on average, also where the state itself moves far.
    error : ndarray (R + K, R + K)
        Bound of the quadrature error of ``covariance``.
    """

    state: StationaryState
    matched: str
    covariance: np.ndarray
    mean_covariance: np.ndarray
    delta0_covariance: np.ndarray
    readout_covariance: np.ndarray
    balance_covariance: np.ndarray
    error: np.ndarray

    def std(self, n_neurons):
        """Standard deviation of kappa over draws of ``n_neurons`` neurons, (R,)."""
        return root(self.covariance, n_neurons)[: self.state.problem.rank]

    def handed_on_std(self, n_neurons):
        """Standard deviation of Q, (K,)."""
        return root(self.covariance, n_neurons)[self.state.problem.rank :]

    def mean_std(self, n_neurons):
        """Standard deviation of the mean of x over the neurons of each population, (P,)."""
        return root(self.mean_covariance, n_neurons)

    def delta0_std(self, n_neurons):
        """Standard deviation of the variance of x over the neurons of each population, (P,)."""
        return root(self.delta0_covariance, n_neurons)

    def readout_std(self, n_neurons):
        """Standard deviation of the readouts, (W,)."""
        return root(self.readout_covariance, n_neurons)

    def __str__(self):
        pairs = zip(self.state.kappa, self.std(1000), strict=True)
        kappa = ", ".join(f"{k + 0.0:.4f} +- {s:.2g}" for k, s in pairs)
        pairs = zip(self.state.delta0, self.delta0_std(1000), strict=True)
        delta0 = ", ".join(f"{d:.4f} +- {s:.2g}" for d, s in pairs)
        return f"spread at N = 1000: kappa ({kappa}), delta0 ({delta0}); all fall like 1/sqrt(N)"


def state_spread(state, matched="nothing"):
    """See :func:`meanfield.spread`."""
    p = state.problem
    R, P, W, K = p.rank, p.n_populations, len(p.connectivity.readouts), len(state.handed_on)
    covariance, error = _neuron(state, matched)
    y = np.append(state.kappa, state.handed_on)
    field = StationaryField(p)
    jacobian, outputs = field.values(y)[1], _output_rows(field, y)
    sizes = (R + K, P, P, W)
    if np.linalg.cond(jacobian) > SINGULAR:
        lost = [np.full((n, n), np.nan) for n in sizes]
        return StateSpread(state, matched, *lost, covariance[: R + K, : R + K], np.full((R + K, R + K), np.nan))
    moves = np.zeros((sum(sizes), len(covariance)))
    moves[: R + K, : R + K] = -np.linalg.inv(jacobian)
    moves[R + K :] = outputs @ moves[: R + K]
    moves[R + K :, R + K :] += np.eye(2 * P + W)
    total = moves @ covariance @ moves.T
    cuts = np.cumsum((0, *sizes))
    blocks = [total[a:b, a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    size = np.abs(moves[: R + K])
    return StateSpread(state, matched, *blocks, covariance[: R + K, : R + K], size @ error @ size.T)


def _output_rows(field, y):
    """d(mean, Delta_0, readouts)/d(kappa, Q): (2 P + W, R + K)."""
    c, first = field.problem.connectivity, field._blocks[0]
    slope = equations.half_variance_gradient(first, y, field.v)
    extra = len(y) - c.rank

    def wider(block, columns):
        return np.pad(block, [(0, 0)] * (block.ndim - 1) + [(0, columns)])

    rows = first._replace(
        mean_n=c.mean("w"), cov_nm=wider(c.covariance("w", "m"), extra), cov_nI=wider(c.covariance("w", "I"), 1)
    )
    gain = gains(field.problem.transfer, field.mean(y), field.variance(y))[0]
    readout = equations.jacobian(rows, y, field.v, gain, np.zeros((len(c.readouts), len(y))))
    return np.concatenate([first.mean_m, 2 * slope, readout])


def _neuron(state, matched):
    """Covariance and error (T, T) of what one neuron contributes: n phi, phi^2, x, its square, w phi."""
    c = state.problem.connectivity
    size = c.rank + len(state.handed_on) + 2 * c.n_populations + len(c.readouts)
    second, error, together = np.zeros((size, size)), np.zeros((size, size)), np.zeros(size)
    for p, weight in enumerate(c.weights):
        at, part = _places(state, p), _population(state, p, matched)
        second[np.ix_(at, at)] += weight * part[0]
        error[np.ix_(at, at)] += weight * part[1]
        together[at] += weight * part[2]
    if matched == "nothing":
        second = second - np.outer(together, together)
    return second, error


def _places(state, p):
    """Where the contributions of neurons of population p go: n phi (R of them), w phi, phi^2, x and its square."""
    c = state.problem.connectivity
    R, P, K = c.rank, c.n_populations, len(state.handed_on)
    last = R + K + 2 * P
    own = [R + (0 if K == 1 else p), R + K + p, R + K + P + p]
    return np.r_[:R, last : last + len(c.readouts), own].astype(int)


def _population(state, p, matched):
    """Second moments (less what is held fixed), their error and first moments of the contributions in population p."""
    problem = state.problem
    c, t = problem.connectivity, problem.transfer
    rows = np.r_[c.slice("n"), c.slice("w")].astype(int)
    places, size = slice(0, len(rows)), len(rows) + 3
    s, mean, weight = np.sqrt(state.delta0[p]), state.mean[p], c.weights[p]
    names = np.r_[c.slice("m"), c.slice("I")]
    with_x = c.covariances[p][:, names] @ np.append(state.kappa, problem.v)  # Cov(loadings, x)
    slope = with_x / s if s > 0 else 0 * with_x
    rest = c.covariances[p] - np.outer(slope, slope)
    white = _whiten(c.covariances[p])
    along, inside = white.T @ slope, white.T @ rest @ white  # E[u | z] = along z, Cov(u | z)
    cross = rest[rows] @ white  # Cov(loading, u | z)
    unit = white.T @ c.covariances[p] @ white

    def integrand(z, index):
        z = z.ravel()
        phi = t(mean + s * z)
        contribution = np.zeros((size, z.size))
        contribution[places] = (c.means[p][rows][:, None] + slope[rows][:, None] * z) * phi
        contribution[-3] = phi**2 if problem.scalar else phi**2 / weight
        contribution[-2], contribution[-1] = s * z / weight, s * s * (z * z - 1) / weight
        second = contribution[:, None] * contribution[None]
        second[places, places] += rest[np.ix_(rows, rows)][..., None] * phi**2
        out = [second.reshape(-1, z.size), contribution]
        if matched == "moments":
            spread = np.zeros((size, len(cross[0]), z.size))
            spread[places] = cross[..., None] * phi
            linear = contribution[:, None] * (along[:, None] * z) + spread
            u = along[:, None] * z
            pair = u[:, None] * u[None] + (inside - unit)[..., None]
            twice = contribution[:, None, None] * pair[None] + spread[:, :, None] * u[None, None] * 1.0
            twice += spread[:, None] * u[None, :, None]
            out += [linear.reshape(-1, z.size), twice.reshape(-1, z.size)]
        return np.concatenate(out)[:, None, :]

    values, errors = Doubling().standardised(integrand, np.array([mean]), np.array([max(s, 1e-150)]), t.kinks)
    values, errors = values[:, 0], errors[:, 0]
    second, error = (q[: size * size].reshape(size, size) for q in (values, errors))
    first = values[size * size : size * size + size]
    if matched != "nothing":
        second = second - np.outer(first, first)
    if matched == "moments":
        features = values[size * size + size :]
        A = white.shape[1]
        linear, twice = features[: size * A].reshape(size, A), features[size * A :].reshape(size, A * A) / np.sqrt(2)
        second = second - linear @ linear.T - twice @ twice.T
    return second, error, first


def _whiten(covariance):
    """Columns that turn centred loadings into uncorrelated ones of variance 1; none along what is determined."""
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 1e-12 * max(values[-1], 1e-300)
    return vectors[:, keep] / np.sqrt(values[keep])
