"""One stationary state over many parameters at once: a phase diagram as one Newton iteration on an array."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..conventions import brief, check_array, check_integer
from ..transfer import Transfer
from . import field
from .grid import broadcast, parameters
from .problem import pose

#: Newton's first step is as long as one of the implicit Euler rule with this dt / tau; it grows as the residual falls.
FIRST_STEP = 2.0
#: The largest tolerance of the residual, and the size of kappa, relative to its start, that counts as 0.
LOOSEST, VANISHED = 1e-3, 1e-6


@dataclass(frozen=True, eq=False)
class StationaryBranch:
    """Stationary states over a grid of parameters; every array leads with the grid's axes.

    Attributes
    ----------
    kappa : ndarray (..., R)
    delta0, mean : ndarray (..., P)
    residual : ndarray (...)
        Largest |tau d(kappa, Q)/dt|.
    error : ndarray (...)
        Size of the last Newton step: the estimated error of (kappa, Q).
    status : ndarray (...) of str
        "converged"; "converged to kappa = 0: ..." where a state with kappa ends up without; or "not converged: ..."
        with the knob to turn, and kappa and delta0 are nan there.
    parameters : dict
        What was varied, as arrays of the grid's shape.
    """

    kappa: np.ndarray
    delta0: np.ndarray
    mean: np.ndarray
    residual: np.ndarray
    error: np.ndarray
    status: np.ndarray
    parameters: dict
    transfer: Transfer
    tau: float
    _coupling: np.ndarray
    _spectrum: np.ndarray

    @property
    def converged(self):
        """(...) bool."""
        return np.char.startswith(self.status, "converged")

    @cached_property
    def bulk_radius(self):
        """tau times the radius of the bulk of eigenvalues around -1/tau, (...)."""
        return self._everywhere(
            lambda ok: field.bulk_radius(self.transfer, self._coupling[ok], self.mean[ok], self.delta0[ok])[0]
        )

    @cached_property
    def outliers(self):
        """Growth rates of perturbations of kappa, mean and variance, (..., R + K), fastest first."""
        return self._everywhere(
            lambda ok: field.growth_rates(self._spectrum[ok], self.tau), (self._spectrum.shape[-1],), complex
        )

    @property
    def stable(self):
        """Where the full network returns to the state, (...) bool."""
        return self.converged & (self.bulk_radius < 1) & (self.outliers.real.max(-1) < 0)

    def _everywhere(self, function, tail=(), dtype=float):
        out = np.full((*self.status.shape, *tail), np.nan, dtype)
        if self.converged.any():
            out[self.converged] = function(self.converged)
        return out

    def __repr__(self):
        good = int(self.converged.sum())
        return (
            f"StationaryBranch({good} of {self.status.size} points converged; {', '.join(map(str, self.parameters))})"
        )


def stationary_branch(c, transfer="tanh", inputs=None, *, vary, start, input_variance=0.0, tau=1.0, tolerance=1e-12,
                      max_iterations=80):  # fmt: skip
    """Follow one stationary state over a grid of parameters: batched Newton on (kappa, Q), all points at once.

    Newton's steps are those of the implicit Euler rule for d(kappa, Q)/dt with a growing dt, so each point ends where
    the flow from its start leads, if that is a stable zero; from a start next to an unstable one it ends there.

    Parameters
    ----------
    c, transfer, inputs, input_variance, tau
        As for :func:`stationary`; what is in ``vary`` replaces theirs.
    vary : mapping
        Arrays that broadcast to the grid, by name: "g" (the strength; with g per pair of populations a factor of all
        of them), ``("g", p, q)`` (one of these), an input's name (its amplitude), "input_variance", "n1 m1" and the
        like (that covariance in every population; variances of n do not matter), "mean n1" and the like; ``(name, p)``
        varies population p alone, and wins over the name alone.
    start : StationaryState, or (kappa, delta0)
        Where to begin, broadcast over the grid: kappa (..., R), delta0 (..., P).
    tolerance : float
        Of the residual.
    max_iterations : int

    Returns
    -------
    StationaryBranch

    Raises
    ------
    ValueError
        As :func:`stationary`; unknown names in ``vary``, shapes that do not broadcast, negative g, covariances of (m,
        I) that are not positive semi-definite.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, tau=tau)
    check_integer("max_iterations", max_iterations, 1)
    if not (isinstance(tolerance, int | float) and 0 < tolerance <= LOOSEST):
        raise ValueError(f"tolerance must be a number above 0, at most {LOOSEST:g}: got {tolerance!r}")
    shape, grid = broadcast(vary)
    b, v, coupling, variance = parameters(problem, grid, shape)
    blocks = field.augmented(b, coupling, problem.scalar, variance)
    v = np.concatenate([v, np.ones((*v.shape[:-1], 1))], axis=-1)
    y = _start(problem, start, shape)
    many = [_spread_out(block, shape) for block in blocks]
    began = np.abs(y[:, : problem.rank]).max(-1)
    y, value, jacobian, step, going = _newton(many, problem.transfer, y, v, problem.rank, tolerance, max_iterations)
    size = int(np.prod(shape, dtype=int))
    first = many[0]
    mean = field.equations.mean(first, y, v)
    delta0 = np.maximum(field.equations.variance(first, y, v), 0.0)
    residual = np.abs(value).max(-1)
    words = f"not converged: residual above {tolerance:g}; start closer, or raise max_iterations"
    gone = (began > 0) & (np.abs(y[:, : problem.rank]).max(-1) <= VANISHED * began)
    lost = "converged to kappa = 0: no state with kappa is reached from this start"
    status = np.where(going, words, np.where(gone, lost, "converged"))
    for array in (y, mean, delta0):
        array[going] = np.nan
    arrays = (y[:, : problem.rank], delta0, mean, residual, step, status)
    arrays = [a.reshape(shape + a.shape[1:]) for a in arrays]
    matrix = field.spectrum_matrix(jacobian, y[:, problem.rank :], problem.rank, 2 * step)
    tail = (size, *coupling.shape[-2:])
    wide = np.broadcast_to(coupling, (*shape, *coupling.shape[-2:])).reshape(tail)
    return StationaryBranch(
        *arrays, grid, problem.transfer, problem.tau, wide.reshape(*shape, *tail[1:]),
        matrix.reshape(shape + matrix.shape[1:]),
    )  # fmt: skip


def _newton(blocks, transfer, y, v, rank, tolerance, max_iterations):
    """Flat points (n, R + K) to zeros; what has not converged is marked."""
    n, size = y.shape
    value, jacobian, eye = np.full((n, size), np.inf), np.zeros((n, size, size)), np.eye(size)
    active, part, dt, before = np.arange(n), blocks, np.full(n, FIRST_STEP), None
    for _ in range(max_iterations):
        F, J = field.values(part, transfer, y[active], v[active])
        r = np.abs(F).max(-1)
        if before is not None:  # a step per residual: dt grows as the residual falls (switched evolution relaxation)
            dt = np.clip(dt * 2 * before / (r + 1e-300), 0.1, 1e14)
        value[active], jacobian[active] = F, J
        going = ~(r <= tolerance)
        if not going.all():
            active, F, J, dt, r = (a[going] for a in (active, F, J, dt, r))
            part = [_pick(b, active) for b in blocks]
        if not active.size:
            break
        before = r
        y[active] += _solve(eye / dt[:, None, None] - J, F)
        y[:, rank:] = np.maximum(y[:, rank:], 0.0)
    step = np.abs(_solve(-jacobian, value)).max(-1)
    left = np.zeros(n, bool)
    left[active] = True
    return y, value, jacobian, step, left


def _solve(matrices, vectors):
    try:
        return np.linalg.solve(matrices, vectors[..., None])[..., 0]
    except np.linalg.LinAlgError:
        return (np.linalg.pinv(matrices) @ vectors[..., None])[..., 0]


def _pick(b, index):
    """The blocks of some of the points; fields without a batch axis are shared."""
    inner = {"weights": 1, "mean_m": 2, "mean_n": 2, "mean_I": 2}
    picked = {
        name: array[index]
        for name in b._fields
        if name != "spread" and (array := getattr(b, name)).ndim > inner.get(name, 3)
    }
    return b._replace(**picked)


def _spread_out(b, shape):
    """Every field that has batch axes with one flat axis of the grid's size."""
    inner = {"weights": 1, "mean_m": 2, "mean_n": 2, "mean_I": 2}
    size = int(np.prod(shape, dtype=int))
    changed = {}
    for name in b._fields:
        array, n = getattr(b, name), inner.get(name, 3)
        if name != "spread" and array.ndim > n:
            tail = array.shape[array.ndim - n :]
            changed[name] = np.broadcast_to(array, (*shape, *tail)).reshape(size, *tail)
    return b._replace(**changed)


def _start(problem, start, shape):
    """(kappa, Q) (n, R + K) from a state, or from kappa and delta0."""
    try:
        kappa, delta0 = (start.kappa, start.delta0) if hasattr(start, "delta0") else start
    except (TypeError, ValueError):
        raise ValueError(f"start must be a state at rest, or a pair (kappa, delta0): got {brief(start)}") from None
    R, P = problem.rank, problem.n_populations
    kappa, delta0 = np.asarray(check_array("start kappa", kappa)), np.asarray(check_array("start delta0", delta0))
    try:
        kappa = np.broadcast_to(kappa, (*shape, R)).reshape(-1, R)
        delta0 = np.broadcast_to(delta0, (*shape, P)).reshape(-1, P)
    except ValueError:
        raise ValueError(
            f"start: kappa {kappa.shape} and delta0 {delta0.shape} do not broadcast to the grid {shape} with {R} "
            f"collective variables and {P} populations"
        ) from None
    if (delta0 < 0).any():
        raise ValueError(f"start: delta0 must be >= 0: got {delta0.min()}")
    mean = field.equations.mean(problem.blocks, kappa, problem.v)
    square = field.gains(problem.transfer, mean, delta0)[1][0]
    handed_on = (square @ problem.blocks.weights)[:, None] if problem.scalar else square
    return np.concatenate([kappa, handed_on], axis=-1)
