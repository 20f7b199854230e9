"""Spread of the fixed points of finite networks, and what moves with them: readouts and eigenvalues."""

from dataclasses import dataclass

import numpy as np

from .. import equations
from ..conventions import check_integer
from ..proof import bounds
from .neurons import neuron, root

#: A fixed point whose Jacobian has a condition number above this has no spread to first order: it is at a bifurcation.
SINGULAR = 1e8


@dataclass(frozen=True, eq=False)
class FixedPointSpread:
    """Where a network of N neurons, drawn from the mixture, has the fixed points of its limit, to leading order in 1/N.

    Everything is N times a covariance or N times a mean shift: divide by N. The next order is smaller by about 1/N; the
    numbers themselves are good to ``error``.

    Attributes
    ----------
    fixed_points : FixedPoints
    matched : str
        What the draws hold fixed: "nothing", "sizes" of the populations, or their "moments".
    covariance : ndarray (K, R, R)
        Of kappa (:eq:`fixed-point-covariance`); nan where the Jacobian is singular.
    bias : ndarray (K, R)
        Mean shift of kappa (:eq:`fixed-point-bias`); nan for matched moments, where it is not known.
    eigenvalue_covariance : ndarray (K, R, 2, 2)
        Of the real and imaginary part of each eigenvalue, in the order and unit of ``fixed_points.eigenvalues``
        (:eq:`eigenvalue-fluctuation`); nan where eigenvalues coincide.
    readout : ndarray (K, W);  readout_covariance : ndarray (K, W, W);  readout_bias : ndarray (K, W)
        The readouts there.
    error : ndarray (K, R, R)
        Bound of the quadrature error of ``covariance``.
    jacobian_variance : ndarray (K, R, R)
        N times the mean square of the Jacobian's change in the basis of its eigenvectors; off the diagonal, what
        mixes them in second order.
    """

    fixed_points: object
    matched: str
    covariance: np.ndarray
    bias: np.ndarray
    eigenvalue_covariance: np.ndarray
    readout: np.ndarray
    readout_covariance: np.ndarray
    readout_bias: np.ndarray
    error: np.ndarray
    jacobian_variance: np.ndarray

    def std(self, n_neurons):
        """Standard deviation of kappa over draws of ``n_neurons`` neurons, (K, R)."""
        return root(self.covariance, n_neurons)

    def mean(self, n_neurons):
        """Mean of kappa over draws, to order 1/N, (K, R)."""
        return self.fixed_points.kappa + self.bias / check_integer("n_neurons", n_neurons, 1)

    def eigenvalue_std(self, n_neurons):
        """Standard deviations of the real and imaginary parts of the eigenvalues, (K, R, 2)."""
        return root(self.eigenvalue_covariance, n_neurons)

    def readout_std(self, n_neurons):
        """Standard deviation of the readouts, (K, W)."""
        return root(self.readout_covariance, n_neurons)

    def __str__(self):
        lines = [f"spread of {len(self.covariance)} fixed points over networks of N neurons (kappa, +- at N = 1000)"]
        for kappa, std, kind in zip(self.fixed_points.kappa, self.std(1000), self.fixed_points.kind, strict=True):
            pairs = ", ".join(f"{k + 0.0: .4f} +- {s:.2g}" for k, s in zip(kappa, std, strict=True))
            lines.append(f"  ({pairs})  {kind}")
        return "\n".join(lines)


def fixed_point_spread(found, matched="nothing"):
    """See :func:`meanfield.spread`."""
    f = found.field
    parts = [_one(f, kappa, values, vectors, matched) for kappa, values, vectors in _rows(found)]
    rank, readouts = f.rank, len(f.connectivity.readouts)
    stacked = [
        np.array([part[k] for part in parts]).reshape(len(parts), *shape)
        for k, shape in enumerate(_shapes(rank, readouts))
    ]
    return FixedPointSpread(found, matched, *stacked)


def _shapes(rank, readouts):
    square, outputs = (rank, rank), (readouts, readouts)
    return square, (rank,), (rank, 2, 2), (readouts,), outputs, (readouts,), square, square


def _rows(found):
    return zip(found.kappa, found.eigenvalues, found.eigenvectors, strict=True)


def output_blocks(f):
    """The blocks with (n, w) in the place of n: the same equations then give the readouts' derivatives."""
    c, b = f.connectivity, f.blocks
    stacked = {"mean_n": "n w", "cov_nm": "m", "cov_nI": "I"}
    rows = {"mean_n": np.concatenate([c.mean("n"), c.mean("w")], axis=1)}
    for key in ("cov_nm", "cov_nI"):
        other = stacked[key]
        rows[key] = np.concatenate([c.covariance("n", other), c.covariance("w", other)], axis=1)
    return b._replace(**rows)


def derivatives(f, kappa):
    """tau times the Jacobian of (drift, readouts), (R + W, R), and their second derivatives, (R + W, R, R)."""
    b = output_blocks(f)
    gain = bounds.gains(b, f.transfer, f.mean(kappa), f.variance(kappa), 5)
    identity = np.eye(b.mean_n.shape[1], f.rank)
    jacobian = equations.jacobian(b, kappa, f.v, gain, identity)
    slope, push = equations.half_variance_gradient(b, kappa, f.v), equations.covariance_with_n(b, kappa, f.v)
    return jacobian, equations.hessian(b, slope, push, gain)


def _one(f, kappa, values, vectors, matched):
    """The spread at one fixed point: all fields after ``matched``."""
    rank, nu = f.rank, neuron(f, kappa, matched)
    outputs = nu.readouts
    readout = f.readout(kappa) if outputs else np.zeros(0)
    jacobian, hessian = derivatives(f, kappa)
    drift = nu.drift
    if np.linalg.cond(jacobian[:rank]) > SINGULAR:
        nan = [np.full(shape, np.nan) for shape in _shapes(rank, outputs)]
        nan[3] = readout
        return nan
    inverse = np.linalg.inv(jacobian[:rank])
    # kappa moves by -J^-1 of the fluctuation of the drift: one row per observable, one column per contribution
    moves = np.zeros((rank, len(nu.covariance)))
    moves[:, drift] = -inverse
    covariance = moves @ nu.covariance @ moves.T
    error = np.abs(moves) @ nu.error @ np.abs(moves).T
    second = _second_order(nu, inverse, hessian, covariance)
    bias = -inverse @ second[:rank] if matched != "moments" else np.full(rank, np.nan)
    reads = jacobian[rank:] @ moves
    reads[:, nu.output] += np.eye(outputs)
    readout_bias = second[rank:] + jacobian[rank:] @ bias
    turns = _eigenbasis_moves(nu, vectors, hessian[:rank], moves) / f.tau
    size = np.einsum("ijk,kl,ijl->ij", turns, nu.covariance, turns.conj()).real
    turns = np.where(_simple(values)[:, None], np.diagonal(turns).T, np.nan)
    parts = np.stack([turns.real, turns.imag], axis=1)
    eigenvalues = parts @ nu.covariance @ parts.swapaxes(-1, -2)
    return covariance, bias, eigenvalues, readout, reads @ nu.covariance @ reads.T, readout_bias, error, size


def _simple(values):
    """Which eigenvalues coincide with no other: (R,)."""
    apart = np.abs(values[:, None] - values) + np.diag(np.full(len(values), np.inf))
    return apart.min(-1) > (np.abs(values).max() + 1.0) / SINGULAR


def _second_order(nu, inverse, hessian, covariance):
    """N times the mean of the second-order terms of (drift, readouts) at the displaced point: (R + W,)."""
    crossed = nu.covariance[nu.slope, nu.drift].reshape(nu.rank + nu.readouts, nu.rank, nu.rank)
    moving = -np.einsum("abc,bc->a", crossed, inverse)
    return moving + 0.5 * np.einsum("abc,bc->a", hessian, covariance)


def _eigenbasis_moves(nu, vectors, hessian, moves):
    """First-order change of the Jacobian in the basis of its eigenvectors, by each contribution: (R, R, K) complex."""
    rank = nu.rank
    if np.linalg.cond(vectors) > SINGULAR:
        return np.full((rank, rank, len(nu.covariance)), np.nan, dtype=complex)
    left = np.linalg.inv(vectors)
    out = np.einsum("ia,abc,bj->ijc", left, hessian, vectors) @ moves
    out[..., nu.slope.start : nu.slope.start + rank * rank] += np.einsum("ia,bj->ijab", left, vectors).reshape(
        rank, rank, rank * rank
    )
    return out
