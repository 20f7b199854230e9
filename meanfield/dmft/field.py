"""The stationary mean-field equations with a random part, as one vector field of (kappa, Q).

Q is what the random part hands on: sum_p alpha_p <phi^2>_p for one strength g, <phi^2>_q of each population for a block
g_pq. The variance of x depends on kappa by a quadratic form and on Q linearly. Written with a formal input of amplitude
1 whose covariance with a formal loading of Q is half that slope, it is the variance of a low-rank mixture with K ranks
more. So :mod:`meanfield.equations` holds for the whole, the solvers take it as it is, and its Jacobian's eigenvalues
are the outliers of the full network (docs: :eq:`dmft-field`, :eq:`dmft-outliers`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import equations
from ..averages import gaussian_average
from ..gaussian.squares import both, grown_square, has_proved_square, square
from ..proof import bounds
from .problem import Problem


def augmented(b, coupling, scalar, input_variance):
    """The blocks of (kappa, Q), those that phi is averaged with and those of phi^2; leading batch axes are kept.

    Parameters
    ----------
    b : Blocks
    coupling : ndarray (..., P, P); G_pq = g_pq^2 alpha_q
    scalar : bool
        One Q for all populations.
    input_variance : ndarray (..., P)
    """
    P, R = b.mean_m.shape[-2:]
    S, K = b.mean_I.shape[-1], 1 if scalar else P
    slope = coupling[..., :1] / b.weights[0] if scalar else coupling  # (..., P, K), d variance_p / d Q_k

    def wider(block, rows, columns, batch=()):
        out = np.zeros((*np.broadcast_shapes(block.shape[:-2], batch), rows, columns))
        out[..., : block.shape[-2], : block.shape[-1]] = block
        return out

    cov_mI = wider(b.cov_mI, R + K, S + 1, slope.shape[:-1])
    cov_mI[..., R:, S] = slope / 2
    cov_II = wider(b.cov_II, S + 1, S + 1, input_variance.shape)
    cov_II[..., S, S] = input_variance
    first = b._replace(
        mean_m=wider(b.mean_m, P, R + K),
        mean_n=wider(b.mean_n, P, R + K),
        mean_I=wider(b.mean_I, P, S + 1),
        cov_mm=wider(b.cov_mm, R + K, R + K),
        cov_mI=cov_mI,
        cov_II=cov_II,
        cov_nm=wider(b.cov_nm, R + K, R + K),
        cov_nI=wider(b.cov_nI, R + K, S + 1),
        spread=True,
    )
    handed_on = np.zeros((P, R + K))
    handed_on[:, R:] = 1.0 if scalar else np.diag(1 / b.weights)
    second = first._replace(mean_n=handed_on, cov_nm=np.zeros((P, R + K, R + K)), cov_nI=np.zeros((P, R + K, S + 1)))
    return first, second


@dataclass(frozen=True, eq=False)
class StationaryField:
    """d(kappa, Q)/dt at constant inputs, for (kappa, Q) of shape (..., R + K), where Q >= 0.

    Its zeros are the stationary states. Off them, Q is not a dynamical variable of the network, but the growth rates at
    a zero are those of the network (:eq:`dmft-outliers`).

    Attributes
    ----------
    problem : Problem
        Without noise.
    """

    problem: Problem

    @property
    def tau(self):
        """Time constant."""
        return self.problem.tau

    @property
    def rank(self):
        """R + K, the number of unknowns."""
        return self._blocks[0].mean_m.shape[-1]

    @cached_property
    def _blocks(self):
        p = self.problem
        return augmented(p.blocks, p.coupling, p.scalar, p.input_variance)

    @cached_property
    def v(self):
        """Input variables, and the formal one."""
        return np.append(self.problem.v, 1.0)

    def _transfers(self, y, radius=0.0):
        """phi, and phi^2 with bounds that hold over y +- radius."""
        transfer = self.problem.transfer
        if np.isfinite(transfer.bounds[0]):
            return transfer, square(transfer)
        size, most = bounds.magnitudes(self._blocks[0]), (np.abs(y) + radius).reshape(-1, self.rank)
        v = np.abs(self.v)
        second_moment = equations.mean(size, most, v) ** 2 + equations.variance(size, most, v)
        return transfer, grown_square(transfer, float(np.sqrt(second_moment.max(initial=0.0))))

    def mean(self, y):
        """Mean input of each population, (..., P)."""
        return equations.mean(self._blocks[0], np.asarray(y, float), self.v)

    def variance(self, y):
        """Delta_0 of each population: loadings, static inputs and the random part, (..., P)."""
        return np.maximum(equations.variance(self._blocks[0], np.asarray(y, float), self.v), 0.0)

    def moved(self, y, radius):
        """By how much mean and variance differ within y +- radius, to first order: (..., P) each."""
        b = self._blocks[0]
        slope = np.abs(equations.half_variance_gradient(b, y, self.v))
        return radius @ np.abs(b.mean_m).T, 2 * (slope * radius[..., None, :]).sum(-1)

    def __call__(self, y):
        """d(kappa, Q)/dt, (..., R + K), in units of 1/time."""
        return self.values(np.asarray(y, float))[0] / self.tau

    def jacobian(self, y):
        """Its Jacobian, (..., R + K, R + K), in units of 1/time."""
        return self.values(np.asarray(y, float))[1] / self.tau

    def values(self, y):
        """tau times value and Jacobian, one evaluation of the averages for both."""
        return values(self._blocks, self.problem.transfer, y, self.v)

    @property
    def assumption(self):
        """What a proof about this field rests on beyond the theorems."""
        transfer = self.problem.transfer
        if has_proved_square(transfer):
            return ""
        what = f"{transfer.name}^2" if transfer.proved_averages else transfer.name
        return f"given the error estimates of the averages of {what}"

    @cached_property
    def floor(self):
        """Smallest values of the unknowns, (R + K,): Q is not negative."""
        return np.where(np.arange(self.rank) < self.problem.rank, -np.inf, 0.0)

    @cached_property
    def known_zeros(self):
        """The quiescent state (kappa, Q) = 0, where it is one: phi(0) = 0 and no input reaches any neuron."""
        origin, transfer = np.zeros(self.rank), self.problem.transfer
        silent = not self.mean(origin).any() and not self.variance(origin).any()
        smooth = 0.0 not in transfer.kinks  # else the field has no Jacobian there
        return (origin,) if silent and smooth and float(transfer(np.array(0.0))) == 0 else ()

    @property
    def index_outside(self):
        """Index of the quiescent state where it lies at the border of Q >= 0 and is pushed out of it, else 0.

        A source of variance, however small, moves that state inside when the variance decays there, and outside when
        it grows (a non-negative matrix, :eq:`dmft-index`); only states inside add up to +1.
        """
        if not self.known_zeros:
            return 0
        matrix = self.values(self.known_zeros[0])[1]
        R = self.problem.rank
        grows = np.linalg.eigvals(matrix[R:, R:]).real.max() > 0
        return int(np.sign(np.linalg.det(-matrix))) if grows else 0

    def search_region(self):
        """Corners of a box that holds every stationary state."""
        p, b = self.problem, self.problem.blocks
        variance_n = np.maximum(np.diagonal(p.connectivity.covariance("n", "n"), axis1=-2, axis2=-1), 0.0)
        K, top = self.rank - p.rank, p.transfer.bounds[0]
        if np.isfinite(top):
            half, most = bounds.search_box(b, p.transfer, p.v, variance_n), np.full(K, top**2)
        else:
            half, most = self._linear_growth()
        half = half + 1e-9  # where nothing but 0 is possible too
        low, high = -half * 1.0371, half * 1.0953  # not centred: see fixed_points
        return np.append(low, np.zeros(K)), np.append(high, most * (1 + 1e-6) + 1e-9)

    def _linear_growth(self):
        """|phi(x)| <= |phi(0)| + slope |x|: bounds of |kappa| and of the root mean square of phi, by a linear map."""
        p, b = self.problem, bounds.magnitudes(self.problem.blocks)
        slope, offset, v = p.transfer.bounds[1], abs(float(p.transfer(np.array(0.0)))), np.abs(p.v)
        if not np.isfinite(slope):
            raise bounds.NoSearchBox(
                f"no finite bound of |phi| or |phi'| is known for {p.transfer.name}, so no box for all stationary "
                "states: declare bounds= in Transfer.from_expression if there are any, or pass box=(low, high)"
            )
        root = np.sqrt(np.diagonal(b.cov_mm, axis1=-2, axis2=-1))  # (P, R)
        still = b.mean_I @ v + np.sqrt(((b.cov_II @ v) * v).sum(-1)) + np.sqrt(p.input_variance)
        # root mean square of x in p: reach_p . kappa + still_p + sum_q sqrt(G_pq) q_q, with q the rms of phi
        reach, gain = b.mean_m + root, np.sqrt(p.coupling)
        P, R = reach.shape
        size = b.weights[:, None] * b.mean_n
        matrix, constant = np.zeros((R + P, R + P)), np.zeros(R + P)
        # |<phi>| <= rms, |Cov(n, phi)| <= slope |Cov(n, (m, I))| |(kappa, v)|
        matrix[:R, R:] = size.T
        matrix[:R, :R] = slope * (b.weights[:, None, None] * b.cov_nm).sum(0)
        constant[:R] = slope * (b.weights[:, None] * (b.cov_nI @ v)).sum(0)
        matrix[R:, :R], matrix[R:, R:], constant[R:] = slope * reach, slope * gain, offset + slope * still
        radius = np.abs(np.linalg.eigvals(matrix)).max()
        if radius >= 1 - 1e-9:
            raise bounds.NoSearchBox(
                f"{p.transfer.name} grows linearly and the bound on the recurrent gain is {radius:.3g} >= 1, so "
                "stationary states may lie arbitrarily far out; pass box=(low, high) in (kappa, Q) to search a region"
            )
        solution = np.linalg.solve(np.eye(R + P) - matrix, constant)
        rms = solution[R:]
        return solution[:R], np.atleast_1d(p.blocks.weights @ rms**2) if p.scalar else rms**2

    def values_with_error(self, y):
        """tau times value and Jacobian with rigorous bounds of their evaluation error, as VectorField's."""
        first, second = (
            bounds.values_with_error(b, t, y, self.v) for b, t in zip(self._blocks, self._transfers(y), strict=True)
        )
        eps = np.finfo(float).eps
        drift, drift_error, jacobian, jacobian_error = (x + z for x, z in zip(first, second, strict=True))
        leak = np.eye(self.rank)
        return drift + y, drift_error + 2 * eps * np.abs(y), jacobian + leak, jacobian_error + 2 * eps * leak

    def hessian_bound(self, y, radius):
        """Upper bound of tau times the second derivatives' magnitude over the part Q >= 0 of y +- radius."""
        transfers = self._transfers(y, radius)
        return sum(bounds.hessian_bound(b, t, y, radius, self.v) for b, t in zip(self._blocks, transfers, strict=True))


def values(blocks, transfer, y, v):
    """tau times value and Jacobian of the field for blocks that may have leading batch axes: (..., n), (..., n, n)."""
    first, second = blocks
    mean = equations.mean(first, y, v)
    variance = np.maximum(equations.variance(first, y, v), 0.0)
    gain, squared = gains(transfer, mean, variance)
    value = equations.drift(first, y, v, gain)
    jacobian = equations.jacobian(first, y, v, gain, np.eye(y.shape[-1]))
    # what equations.drift and jacobian give for the second, without multiplying its many zeros
    sent = second.weights[:, None] * second.mean_n
    slope = equations.half_variance_gradient(first, y, v)
    value += squared[0] @ sent
    moved = squared[1][..., None] * first.mean_m + squared[2][..., None] * slope  # d<phi^2>_p / dy
    jacobian += sent.T @ moved
    return value, jacobian


def gains(transfer, mean, variance):
    """<phi^(k)>, k = 0..3, and <(phi^2)^(k)>, k = 0..2."""
    if transfer.kinks:  # as in bounds.gains: the limit of vanishing variance
        variance = np.maximum(variance, bounds._SPECK)
    flat = both(transfer, mean.ravel(), variance.ravel(), 3)
    gain, squared = (rows.reshape(len(rows), *mean.shape) for rows in flat)
    return gain, squared


def growth_rates(matrices, tau):
    """Eigenvalues over tau of (..., n, n), fastest first: (..., n), complex."""
    values = np.linalg.eigvals(matrices).astype(complex) / tau
    return np.take_along_axis(values, np.lexsort((-values.imag, -values.real), axis=-1), -1)


def spectrum_matrix(jacobian, handed_on, rank, error=0.0):
    """The matrix whose eigenvalues are the outliers: the Jacobian, with the leak alone for the Q_k of silent neurons.

    Where Q_k = 0 (within ``error``) there is no phi(x) that a perturbation could correlate with (:eq:`dmft-outliers`).
    Shapes (..., n, n), (..., K), (...).
    """
    silent = handed_on <= np.asarray(error)[..., None]
    out = jacobian.copy()
    out[..., rank:, :][silent] = -np.eye(jacobian.shape[-1])[np.nonzero(silent)[-1] + rank]
    return out


def bulk_radius(transfer, coupling, mean, variance, mean_error=0.0, variance_error=0.0):
    """Radius of the disc of eigenvalues around -1/tau, times tau, and its error: sqrt of the spectral radius of
    G_pq <phi'^2>_q (:eq:`dmft-bulk`), for leading batch axes; inf where phi jumps.

    The error is that of the averages and of mean and variance, to first order.
    """
    if transfer.singular <= 1:
        return np.full(mean.shape[:-1], np.inf), np.zeros(mean.shape[:-1])

    def averages(mean, variance):
        return gaussian_average(transfer, mean=mean, variance=variance, order=1, power=2, with_error=True)

    def radius(square_):
        if coupling.shape[-1] == 1 or np.all(coupling == coupling[..., :1, :]):  # rank one: its trace
            return np.sqrt((coupling[..., 0, :] * square_).sum(-1))
        return np.sqrt(np.abs(np.linalg.eigvals(coupling * square_[..., None, :])).max(-1))

    square_, error = averages(mean, variance)
    if np.any(mean_error) or np.any(variance_error):
        lowest = np.maximum(variance - variance_error, 0.0)
        moved = (averages(m, v)[0] for m in (mean - mean_error, mean + mean_error)
                 for v in (lowest, variance + variance_error))  # fmt: skip
        error = error + np.max([np.abs(x - square_) for x in moved], axis=0)
    # a spectral radius grows with every entry of a non-negative matrix
    low, root, high = (radius(np.maximum(x, 0.0)) for x in (square_ - error, square_, square_ + error))
    return root, np.maximum(root - low, high - root) + 8 * np.finfo(float).eps * root
