"""Spread of trajectories and of limit cycles: the linear response of a path to the loadings of one neuron.

A finite network's drift differs from its limit by a mean over neurons of independent terms. To first order a path
differs by the mean of its responses to each of them; their covariance is taken over a low-discrepancy sample of
loadings, and replicates of that sample give its standard error.
"""

from dataclasses import dataclass

import numpy as np

from .neurons import MATCHED, root

#: Loadings per replicate (a power of two, for the Sobol sequence) and independent replicates.
POINTS, REPLICATES = 512, 8
#: Longest step of the response, in tau: its fourth-order rule then errs by far less than the sample.
STEP = 0.1
#: Fewest steps along a path.
STEPS = 200
# The sample and its replicates are the same on every call.
_SEED = 20


@dataclass(frozen=True, eq=False)
class TrajectorySpread:
    """How far trajectories of networks of N neurons lie from that of the limit, started on the same kappa.

    Attributes
    ----------
    trajectory : Trajectory
    matched : str
        "nothing" or "sizes", see :func:`meanfield.spread`.
    covariance : ndarray (T, R, R)
        N times the covariance of kappa at each time (:eq:`path-response`).
    covariance_error : ndarray (T, R, R)
        Its standard error, from replicates of the sample of loadings.
    readout : ndarray (T, W);  readout_covariance : ndarray (T, W, W)
    """

    trajectory: object
    matched: str
    covariance: np.ndarray
    covariance_error: np.ndarray
    readout: np.ndarray
    readout_covariance: np.ndarray

    def std(self, n_neurons):
        """Standard deviation of kappa over draws of ``n_neurons`` neurons, (T, R)."""
        return root(self.covariance, n_neurons)

    def readout_std(self, n_neurons):
        """Standard deviation of the readouts, (T, W)."""
        return root(self.readout_covariance, n_neurons)

    def __str__(self):
        return f"spread of a trajectory at {len(self.covariance)} times; largest {self.std(1).max():.3g}/sqrt(N)"


@dataclass(frozen=True, eq=False)
class CycleSpread:
    """How far the limit cycles of networks of N neurons differ from that of the limit, in period and extent.

    Attributes
    ----------
    cycle : LimitCycle
    matched : str
    covariance : ndarray (1 + R, 1 + R)
        N times the covariance of the period and the amplitude of each component (:eq:`cycle-response`).
    covariance_error : ndarray (1 + R, 1 + R)
        Its standard error, from replicates of the sample of loadings.
    """

    cycle: object
    matched: str
    covariance: np.ndarray
    covariance_error: np.ndarray

    def period_std(self, n_neurons):
        """Standard deviation of the period over draws of ``n_neurons`` neurons."""
        return float(root(self.covariance, n_neurons)[0])

    def amplitude_std(self, n_neurons):
        """Standard deviation of the amplitudes, (R,)."""
        return root(self.covariance, n_neurons)[1:]

    def __str__(self):
        parts = ", ".join(
            f"{a:.4g} +- {s:.2g}" for a, s in zip(self.cycle.amplitude, self.amplitude_std(1000), strict=True)
        )
        return f"period {self.cycle.period:.6g} +- {self.period_std(1000):.2g}, amplitude ({parts}) at N = 1000"


def trajectory_spread(trajectory, matched="nothing"):
    """See :func:`meanfield.spread`."""
    _check(matched)
    f = trajectory.field
    if trajectory.kappa.ndim != 2 or not trajectory.success or trajectory.t[-1] <= trajectory.t[0]:
        raise ValueError(
            "the spread is that of one trajectory, forward in time, which reached its end: take one of a batch"
        )
    path = _Path.of_trajectory(trajectory)
    sample = _sample(f.connectivity)
    moves, _ = path.responses(sample, path.output)
    times = len(moves)
    readout, reads = np.zeros((times, 0)), np.zeros((times, *sample.weights.shape, 0))
    if f.connectivity.readouts:
        readout, reads = path.readouts(sample, moves)
    covariance, error = _covariance(moves, sample, matched)
    return TrajectorySpread(trajectory, matched, covariance, error, readout, _covariance(reads, sample, matched)[0])


def cycle_spread(cycle, matched="nothing"):
    """See :func:`meanfield.spread`."""
    _check(matched)
    f, rank = cycle.field, cycle.field.rank
    sample, path = _sample(f.connectivity), _Path.of_cycle(cycle)
    extremes = [path.extreme(component, which) for component in range(rank) for which in (np.argmax, np.argmin)]
    response, tangent = path.responses(sample, [*(k + j for k, _ in extremes for j in (-1, 0, 1)), len(path.step)])
    along = f(path.kappa[0]) * f.tau
    # closing the perturbed orbit: (1 - M) start - F dT = response, and start across the flow
    system = np.zeros((rank + 1, rank + 1))
    system[:rank, :rank] = np.eye(rank) - tangent[-1]
    system[:rank, rank], system[rank, :rank] = -along / f.tau, along / np.linalg.norm(along)
    closing = np.linalg.inv(system)[:, :rank]
    solved = np.einsum("ab,rlb->rla", closing, response[-1])
    rows = [solved[..., rank]]
    for component in range(rank):
        high, low = (
            solved[..., :rank] @ (share @ tangent[3 * k : 3 * k + 3, component])
            + np.tensordot(share, response[3 * k : 3 * k + 3, ..., component], 1)
            for k, share in ((k, extremes[k][1]) for k in (2 * component, 2 * component + 1))
        )
        rows.append(high - low)
    covariance, error = _covariance(np.stack(rows, axis=-1)[None], sample, matched)
    return CycleSpread(cycle, matched, covariance[0], error[0])


def _check(matched):
    if matched not in MATCHED[:2]:
        raise ValueError(f"matched must be 'nothing' or 'sizes' for paths: got {matched!r}")


@dataclass(frozen=True, eq=False)
class _Sample:
    """Loadings (reps, P L, A), L of each population, with weights (reps, P L) that sum to 1."""

    loadings: np.ndarray
    weights: np.ndarray
    population: np.ndarray


def _sample(c):
    """A low-discrepancy sample of the loadings, the same number of points for every population."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    if c.point_masses:
        raise ValueError("a finite network is what it is: only the networks drawn from a mixture have a spread")
    size = c.means.shape[1]
    values, vectors = np.linalg.eigh(c.covariances)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    replicates = []
    for r in range(REPLICATES):
        uniform = qmc.Sobol(size, scramble=True, seed=np.random.default_rng([_SEED, r])).random(POINTS)
        normal = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
        replicates.append(np.concatenate([mean + normal @ root.T for mean, root in zip(c.means, roots, strict=True)]))
    population = np.repeat(np.arange(c.n_populations), POINTS)
    weights = np.broadcast_to(c.weights[population] / POINTS, (REPLICATES, len(population)))
    return _Sample(np.array(replicates), weights, population)


def _covariance(values, sample, matched):
    """Covariance over the loadings of values (T, reps, L, Q), and its standard error over replicates: (T, Q, Q)."""
    if matched == "sizes":
        means = np.stack(
            [values[:, :, sample.population == p].mean(2) for p in range(sample.population.max() + 1)], axis=2
        )
        values = values - means[:, :, sample.population]
    else:
        values = values - np.einsum("rl,trlq->trq", sample.weights, values)[:, :, None]
    each = np.einsum("rl,trlq,trls->rtqs", sample.weights, values, values)
    return each.mean(0), each.std(0, ddof=1) / np.sqrt(len(each))


@dataclass(frozen=True, eq=False)
class _Path:
    """A path of the limit on a fine grid with midpoints (2 K + 1): kappa, v, and tau times the Jacobian."""

    field: object
    kappa: np.ndarray
    v: np.ndarray
    jacobian: np.ndarray
    step: float | np.ndarray
    output: np.ndarray

    @classmethod
    def of_trajectory(cls, trajectory):
        """Every interval between output times is cut into the same whole number of steps."""
        from ..trajectories import subdivide
        from ..trajectories import trajectory as integrate

        f, t = trajectory.field, trajectory.t
        longest = np.diff(t).max() / f.tau
        parts = int(np.ceil(max(longest / STEP, STEPS / (len(t) - 1))))
        times = subdivide(t, 2 * parts)
        driven = callable(getattr(f, "drive", None))
        start = trajectory.kappa[0] if trajectory.v is None else np.concatenate([trajectory.kappa[0], trajectory.v[0]])
        fine = integrate(f, start, times, rtol=1e-8, atol=1e-10, breakpoints=trajectory.breakpoints)
        v = fine.v if driven else np.broadcast_to(f.v, (len(times), len(f.v)))
        if driven:
            state = np.concatenate([fine.kappa, fine.v], axis=-1)
            jacobian = np.stack([f.jacobian(s, x)[: f.rank, : f.rank] for s, x in zip(times, state, strict=True)])
        else:
            jacobian = f.jacobian(fine.kappa)
        return cls(f, fine.kappa, v, f.tau * jacobian, np.diff(times)[::2] * 2 / f.tau, np.arange(len(t)) * parts)

    @classmethod
    def of_cycle(cls, cycle):
        """Once around."""
        from ..trajectories import trajectory as integrate

        f = cycle.field
        count = max(STEPS, int(np.ceil(cycle.period / f.tau / STEP)))
        times = np.linspace(0.0, cycle.period, 2 * count + 1)
        fine = integrate(f, cycle.orbit[0], times, rtol=1e-10, atol=1e-12)
        v = np.broadcast_to(f.v, (len(times), len(f.v)))
        steps = np.full(count, cycle.period / count / f.tau)
        return cls(f, fine.kappa, v, f.tau * f.jacobian(fine.kappa), steps, np.arange(count + 1))

    def extreme(self, component, which):
        """Where a component is largest or smallest: a step, and weights of it and its neighbours."""
        values = self.kappa[::2, component]
        k = int(np.clip(which(values), 1, len(values) - 2))
        a, b, c = values[k - 1 : k + 2]
        u = np.clip(0.5 * (a - c) / (a - 2 * b + c), -1.0, 1.0)
        return k, np.array([0.5 * u * (u - 1), 1 - u * u, 0.5 * u * (u + 1)])

    def rates(self, loadings, k):
        """phi of the input of each neuron at grid point k: (reps, L)."""
        c, f = self.field.connectivity, self.field
        x = loadings[..., c.slice("m")] @ self.kappa[k] + loadings[..., c.slice("I")] @ self.v[k]
        return f.transfer(x)

    def responses(self, sample, keep):
        """Responses of kappa to each neuron at the steps ``keep``, by Runge-Kutta steps, and the flow's derivative
        there.

        tau d/dt response = J response + n phi(x) - <n phi(x)>, from 0: (len(keep), reps, L, R) and (len(keep), R, R).
        """
        rank, n = self.field.rank, sample.loadings[..., self.field.connectivity.slice("n")]

        def forcing(k):
            values = n * self.rates(sample.loadings, k)[..., None]
            return values - np.einsum("rl,rlq->q", sample.weights, values) / len(values)

        response, flow, now = np.zeros((*sample.weights.shape, rank)), np.eye(rank), forcing(0)
        kept = {0: (response, flow)}
        for k, h in enumerate(self.step):
            middle, after = forcing(2 * k + 1), forcing(2 * k + 2)
            jacobians = self.jacobian[2 * k : 2 * k + 3]
            response = _runge_kutta(response, jacobians, (now, middle, after), h)
            flow, now = _runge_kutta(flow.T, jacobians, (0.0, 0.0, 0.0), h).T, after
            if k + 1 in keep:
                kept[k + 1] = response, flow
        return tuple(np.stack([kept[k][part] for k in keep]) for part in (0, 1))

    def readouts(self, sample, moves):
        """Readouts along the path (T, W), and each neuron's part in their displacement (T, reps, L, W)."""
        from .points import derivatives

        c, rank, values, reads = self.field.connectivity, self.field.rank, [], []
        w = sample.loadings[..., c.slice("w")]
        for k, move in zip(self.output, moves, strict=True):
            f = self.field if hasattr(self.field, "v") else self.field.frozen(self.v[2 * k])
            values.append(f.readout(self.kappa[2 * k]))
            slope = derivatives(f, self.kappa[2 * k])[0][rank:]
            reads.append(w * self.rates(sample.loadings, 2 * k)[..., None] + move @ slope.T)
        return np.array(values), np.array(reads)


def _runge_kutta(state, jacobians, forcing, h):
    """One classical step of d state/dt = J state + forcing for rows of states, given at the start, middle and end."""
    first, middle, last = (j.T for j in jacobians)
    a = state @ first + forcing[0]
    b = (state + 0.5 * h * a) @ middle + forcing[1]
    c = (state + 0.5 * h * b) @ middle + forcing[1]
    d = (state + h * c) @ last + forcing[2]
    return state + h / 6 * (a + 2 * b + 2 * c + d)
