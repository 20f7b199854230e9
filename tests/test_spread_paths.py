"""Spread of trajectories, cycles and rings, and of the phase portrait: twins by hand, and networks that are drawn."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from mixtures import random_basis, random_connectivity
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize
from scipy.stats import chi2
from test_fluctuations import ERRORS, contributions, covariance_off, draw, gauss, isserlis, rich

import meanfield as mf
from meanfield.finite_size.neurons import neuron
from meanfield.finite_size.topology import fold_distance
from meanfield.fluctuations import changes, ring_spread, spread, unchanged_probability
from meanfield.orbits.shooting import shoot

paths = sys.modules[spread(mf.trajectory(rich(), [0.1, 0.1], 1.0)).__class__.__module__]
# Relative accuracy of covariances of amplitudes.
AMPLITUDE = 1e-3
MIXING = np.array([[2.5, -1.0], [1.0, 2.0]])


def three_points():
    """Three point masses (but for an input that is off): networks differ in the sizes of the populations alone.

    So every spread is a sum over three influence functions, derivatives with respect to the weights.
    """
    angle = np.pi / 3 * np.arange(3) + 0.2
    m = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    means = np.hstack([m, m @ MIXING.T, [[0.9], [-0.4], [0.3]], np.zeros((3, 1)), [[1.0], [-0.5], [0.7]]])
    covariances = np.zeros((3, 7, 7))
    covariances[:, 5, 5] = 1.0
    weights = np.array([0.3, 0.36, 0.34])
    return mf.Connectivity(weights, means, covariances, 2, ("A", "B"), ("w",))


def influence(function, weights, h=1e-4):
    """Derivative of ``function(weights)`` towards each population alone: (P, ..)."""
    towards = np.eye(len(weights)) - weights
    return np.array([(function(weights + h * d) - function(weights - h * d)) / (2 * h) for d in towards])


class Neurons:
    """dkappa/dt = -kappa + sum_i weight_i n_i tanh(m_i.kappa), with nothing of the package in it."""

    tau = 1.0

    def __init__(self, m, n, weights):
        self.m, self.n, self.rank = m, n * np.broadcast_to(weights, len(n))[:, None], m.shape[1]

    def __call__(self, kappa):
        return np.tanh(kappa @ self.m.T) @ self.n - kappa

    def jacobian(self, kappa):
        slope = 1 - np.tanh(kappa @ self.m.T) ** 2
        return np.einsum("...i,ia,ib->...ab", slope, self.n, self.m) - np.eye(self.rank)


def period_and_amplitudes(f, near, rtol):
    shot = shoot(f, near.orbit[0], near.period, np.linalg.norm(near.amplitude), rtol)
    path = mf.trajectory(f, shot.point, shot.period, samples=301, rtol=rtol)
    curves = [CubicSpline(path.t, values) for values in path.kappa.T]
    return np.array([shot.period, *(np.ptp(curve(curve.derivative().roots(extrapolate=False))) for curve in curves)])


def pulse(t):
    return float(1.03 < t < 2.57)


@pytest.fixture(scope="module")
def linear():
    """A trajectory of tiny amplitude under a pulse, and N times the variances of kappa and z in closed form."""
    entries = {"n1 m1": 1.4, "n1 A": 0.8, "w m1": 0.5, "w A": -0.6, "n1 n1": 4.0, "w w": 2.0, "m1 A": 0.3}
    c = mf.Connectivity.from_overlaps([entries], rank=1, inputs=("A",), readouts=("w",))
    f, t, cuts = mf.reduce(c, inputs={"A": lambda t: 1e-3 * pulse(t)}), np.linspace(0.0, 4.0, 9), (1.03, 2.57)
    path = mf.trajectory(f, [5e-4], t, breakpoints=cuts)
    a, b = c.overlap("n1", "m1"), c.overlap("n1", "A")

    def rates(_, y, u):  # v, kappa, and the derivatives of kappa by the overlaps of n with m and with A
        v, kappa, by_a, by_b = y
        return [u - v, (a - 1) * kappa + b * v, (a - 1) * by_a + kappa, (a - 1) * by_b + v]

    y, states = np.array([0.0, 5e-4, 0.0, 0.0]), []
    for start, end, u in ((0.0, 1.03, 0.0), (1.03, 2.57, 1e-3), (2.57, 4.0, 0.0)):
        piece = solve_ivp(rates, (start, end), y, args=(u,), rtol=1e-11, atol=1e-16, dense_output=True)
        states += [piece.sol(x) for x in t if start <= x < end or x == end == 4.0]
        y = piece.y[:, -1]
    v, kappa, by_a, by_b = np.transpose(states)
    every = isserlis(c.means[0], c.covariances[0])
    pairs = [(c.index(x), c.index(y)) for x, y in (("n1", "m1"), ("n1", "A"), ("w", "m1"), ("w", "A"))]
    overlaps = np.array([[every[(*p, *q)] for q in pairs] for p in pairs])
    moves = np.stack([by_a, by_b, 0 * v, 0 * v], axis=-1)
    reads = c.overlap("w", "m1") * moves + np.stack([0 * v, 0 * v, kappa, v], axis=-1)
    return path, *(np.einsum("ti,ij,tj->t", x, overlaps, x) for x in (moves, reads))


def test_linear_trajectory_in_closed_form(linear):
    (_, kappa, z), s = linear, spread(linear[0])
    assert s.covariance[0, 0, 0] == 0
    assert (np.abs(s.covariance[1:, 0, 0] - kappa[1:]) < ERRORS * s.covariance_error[1:, 0, 0]).all()
    assert_allclose(s.covariance[1:, 0, 0], kappa[1:], rtol=0.1)
    assert_allclose(s.readout_covariance[:, 0, 0], z, rtol=0.1)
    assert_allclose(
        [s.std(400), s.readout_std(400)], np.sqrt([s.covariance[..., 0], s.readout_covariance[..., 0]]) / 20
    )


def test_standard_error_over_seeds(linear, monkeypatch):
    """Eight replicates: deviations in units of the stated error have a mean square of 7/5, more with long tails."""
    path, kappa, _ = linear
    z = []
    for seed in range(20):
        monkeypatch.setattr(paths, "_SEED", 100 + seed)
        z.append(((s := spread(path)).covariance[-1, 0, 0] - kappa[-1]) / s.covariance_error[-1, 0, 0])
    assert 0.7 < np.mean(np.square(z)) < 3.5
    assert abs(np.mean(z)) < 0.6


def test_finer_steps_change_nothing(linear, monkeypatch):
    """Fourth order where the input is smooth; its jumps fall inside steps."""
    smooth, jumps = mf.trajectory(rich(), [1.0, -0.5], 4.0, samples=5), linear[0]
    coarse = [spread(path).covariance[1:] for path in (smooth, jumps)]
    monkeypatch.setattr(paths, "STEPS", 4 * paths.STEPS)
    for path, before, tolerance in zip((smooth, jumps), coarse, (1e-7, 1e-4), strict=True):
        assert_allclose(spread(path).covariance[1:], before, rtol=tolerance)


@pytest.mark.parametrize("tau", [1.0, 2.5])
def test_trajectory_of_three_points(tau):
    """The spread is a sum over influence functions, exactly; with the sizes matched nothing is left."""
    c, drive = three_points(), {"A": lambda t: np.sin(t) / 2}

    def run(weights):
        f = mf.reduce(replace(c, weights=weights / weights.sum()), inputs=drive, tau=tau)
        path = mf.trajectory(f, [0.5, -0.3], np.linspace(0.0, 3.0, 4))
        reads = [f.frozen(v).readout(kappa) for kappa, v in zip(path.kappa, path.v, strict=True)]
        return path, np.concatenate([path.kappa, reads], axis=-1)

    path, values = run(c.weights)
    slopes = influence(lambda weights: run(weights)[1], c.weights)
    exact = np.einsum("p,pta,ptb->tab", c.weights, slopes, slopes)
    s = spread(path)
    assert_allclose(s.covariance, exact[:, :2, :2], rtol=1e-5, atol=1e-8)
    assert_allclose(s.readout_covariance, exact[:, 2:, 2:], rtol=1e-5, atol=1e-8)
    assert_allclose(s.readout, values[:, 2:], atol=1e-7)
    assert s.covariance_error.max() < 1e-12
    same = spread(path, "sizes")
    assert max(np.abs(same.covariance).max(), np.abs(same.readout_covariance).max()) < 1e-20


@pytest.mark.parametrize("matched", ["nothing", "sizes"])
def test_trajectories_of_drawn_networks(matched):
    """Under a pulse of input: networks are integrated by Runge-Kutta steps, with v as the filter has it."""
    size, draws, cuts, h = 1000, 80, (1.0, 2.5), 0.125
    f, start = rich(inputs={"A": lambda t: 1.5 * float(1.0 < t < 2.5)}), np.array([0.8, -0.6])
    s = spread(mf.trajectory(f, start, np.linspace(0.0, 4.0, 5), breakpoints=cuts), matched)
    v = mf.trajectory(f, start, np.linspace(0.0, 4.0, 65), breakpoints=cuts).v
    y, kappa, found = draw(f.connectivity, size, draws, 6, matched), np.tile(start, (draws, 1)), []

    def rate(kappa, k):
        mean = contributions(f.frozen(v[k]), kappa[:, None], y).mean(1)
        return mean[:, :2] - kappa, mean[:, 2:3]

    for k in range(0, 64, 2):
        a, z = rate(kappa, k)
        if k in (16, 32, 48):
            found.append((kappa, z))
        b, _ = rate(kappa + h / 2 * a, k + 1)
        c, _ = rate(kappa + h / 2 * b, k + 1)
        kappa = kappa + h / 6 * (a + 2 * b + 2 * c + rate(kappa + h * c, k + 2)[0])
    for place, (moved, z) in enumerate(found, 1):
        assert covariance_off(moved, s.covariance[place] / size) < ERRORS
        assert covariance_off(z, s.readout_covariance[place] / size) < ERRORS


@pytest.fixture(scope="module")
def cycle_of_points():
    """The cycle of three points, and its spread from differences between cycles of fields without any averages."""
    c = three_points()
    m, n = c.mean("m"), c.mean("n")
    cycle = mf.limit_cycle(mf.reduce(c), [0.1, 0.1])
    slopes = influence(lambda weights: period_and_amplitudes(Neurons(m, n, weights), cycle, 1e-10), c.weights)
    return cycle, (slopes * c.weights[:, None]).T @ slopes


def test_period_of_three_points(cycle_of_points):
    cycle, exact = cycle_of_points
    s = spread(cycle)
    assert_allclose(s.covariance[0, 0], exact[0, 0], rtol=1e-5)
    assert s.covariance_error.max() < 1e-10
    assert s.period_std(100) == pytest.approx(np.sqrt(s.covariance[0, 0]) / 10)
    assert_allclose(s.amplitude_std(100), np.sqrt(np.diag(s.covariance)[1:]) / 10)
    assert np.abs(spread(cycle, "sizes").covariance).max() < 1e-20


def test_amplitudes_of_three_points(cycle_of_points):
    """Extremes are taken at the nearest of 200 steps or more."""
    cycle, exact = cycle_of_points
    assert_allclose(spread(cycle).covariance, exact, rtol=AMPLITUDE)


def test_cycles_of_drawn_networks():
    size, names = 2000, {f"n{i + 1} m{j + 1}": MIXING[i, j] for i in range(2) for j in range(2)}
    c = mf.Connectivity.from_overlaps([names], rank=2)
    cycle = mf.limit_cycle(mf.reduce(c), [0.1, 0.1])
    s, found = spread(cycle), []
    for seed in range(20):
        net = c.sample(size, seed)
        found.append(period_and_amplitudes(Neurons(net.m, net.n, 1 / size), cycle, 1e-6))
    assert covariance_off(np.array(found), s.covariance / size) < ERRORS
    assert (s.covariance_error < 0.1 * np.diag(s.covariance).max()).all()
    assert np.abs(np.mean(found, axis=0) - [cycle.period, *cycle.amplitude]).max() < np.sqrt(s.covariance[0, 0] / size)


def ring(extra=0.0, transfer="erf", basis=None):
    entries = {"n1 m1": 2.0, "n2 m2": 2.0, "n1 n1": 4.0 + extra, "n2 n2": 4.0 + extra, "n1 n2": 0.0}
    c = mf.Connectivity.from_overlaps([entries], rank=2)
    f = mf.reduce(c if basis is None else c.rotate(basis), transfer=transfer)
    return f, mf.fixed_points(f).unresolved[0]


@pytest.mark.parametrize("extra", [0.0, 3.0])
def test_ring_in_closed_form(extra):
    """n = 2 m + xi: seen from angle 0 the drift along is (2 m_2 + xi_2) phi(rho m_1), a stationary Gaussian process."""
    f, unresolved = ring(extra)
    r = ring_spread(f, unresolved)
    (z, weight), rho = gauss(120), np.linalg.norm(r.points, axis=1).mean()
    phi, slope, _, third = f.transfer.jet(rho * z, 3)
    along = (4 + extra) * weight @ phi**2
    # d/d angle: -(2 m_1 + xi_1) phi + rho (2 m_2 + xi_2) m_2 phi'
    rate = 4 * weight @ (z * phi) ** 2 + extra * weight @ phi**2
    rate += -8 * rho * weight @ (z * phi * slope) + rho**2 * (12 + extra) * weight @ slope**2
    across = 4 * weight @ (z * phi) ** 2 + extra * weight @ phi**2 - (2 * weight @ (z * phi)) ** 2
    assert_allclose(r.drift_variance, along, rtol=1e-9)
    assert_allclose(r.normal_variance, across / (2 * rho**2 * weight @ third) ** 2, rtol=1e-9)
    assert r.expected_zeros == pytest.approx(2 * np.sqrt(rate / along), rel=1e-9)
    matched = ring_spread(f, unresolved, "moments").drift_variance
    assert_allclose(matched, (4 + extra) * (weight @ phi**2 - (weight @ (z * phi)) ** 2), rtol=1e-9)
    assert_allclose(r.drift_std(100), np.sqrt(along) / 10)
    assert_allclose(r.tangent, np.stack([-r.points[:, 1], r.points[:, 0]], axis=-1) / rho, atol=1e-7)


@pytest.mark.parametrize("seed", [2, 4, 5, 7])
def test_ring_in_another_basis(seed):
    """The number of zeros belongs to the networks; the drift is a velocity of kappa."""
    basis = random_basis(seed)
    here, there = ring_spread(*ring()), ring_spread(*ring(basis=basis))
    assert there.expected_zeros == pytest.approx(here.expected_zeros, rel=1e-5)
    stretched = there.drift_variance * np.linalg.norm(there.tangent @ basis.T, axis=1) ** 2
    assert_allclose(stretched, here.drift_variance[0], rtol=1e-7)


def test_zeros_counted_on_drawn_networks():
    f, unresolved = ring(transfer="tanh")
    r, y = ring_spread(f, unresolved), draw(f.connectivity, 500, 400, 9, "nothing")
    assert_allclose(r.drift_variance, 2.0, rtol=1e-8)  # lambda (lambda - 1), as tanh' = 1 - tanh^2
    assert r.expected_zeros == pytest.approx(4.4426, abs=1e-4)
    pairs = zip(r.points, r.tangent, strict=True)
    along = np.array([((np.tanh(y[..., :2] @ k)[..., None] * y[..., 2:4]).mean(1) - k) @ t for k, t in pairs])
    counts = (np.sign(along) != np.sign(np.roll(along, 1, axis=0))).sum(0)
    assert abs(counts.mean() - r.expected_zeros) < ERRORS * counts.std() / np.sqrt(len(counts))
    assert (counts % 2 == 0).all()
    variance = along.var(axis=1) * 500
    assert np.abs(variance / r.drift_variance - 1).max() < ERRORS * np.sqrt(2 / 400)
    assert np.abs(along.mean(1)).max() < ERRORS * r.drift_std(500).max() / 20


def zeros(f, y, grid):
    """Number of fixed points of each drawn network of rank 1, by sign changes on a grid."""
    drift = [contributions(f, np.array([k]), y)[..., 0].mean(1) - k for k in grid]
    return (np.diff(np.sign(drift), axis=0) != 0).sum(0)


def binomial(measured, predicted, draws):
    """How many standard errors a fraction is off."""
    return abs(measured - predicted) / np.sqrt(predicted * (1 - predicted) / draws)


def rank_one():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 A": 1.0}], rank=1, inputs=("A",))
    return mf.reduce(c, inputs={"A": 0.35})


def test_saddle_node():
    f, size, draws = rank_one(), 400, 600
    listed = changes(spread(mf.fixed_points(f)), size)
    predicted = unchanged_probability(listed, size)
    assert [change.kind for change in listed] == ["fold"]
    assert predicted == pytest.approx(0.668, abs=1e-3) == 1 - listed[0].probability(size)
    measured = np.mean(zeros(f, draw(f.connectivity, size, draws, 1, "nothing"), np.linspace(-3, 3, 200)) == 3)
    assert binomial(measured, predicted, draws) < ERRORS
    chances = [unchanged_probability(listed, n) for n in (100, 1000, 10_000, 100_000)]
    assert (np.diff(chances) > 0).all() and 1 - chances[-1] < 1e-9


def test_mirror_images_happen_at_once():
    """Five fixed points: two mirror folds, listed once, and a pitchfork at 0."""
    first, second = {"weight": 0.5, "n1 m1": 3.4, "m1 m1": 0.25}, {"weight": 0.5, "n1 m1": -2.4, "m1 m1": 16.0}
    f = mf.reduce(mf.Connectivity.from_overlaps([first, second], rank=1))
    listed = changes(spread(mf.fixed_points(f)), 400)
    assert [change.kind for change in listed] == ["fold", "pitchfork"]
    predicted = unchanged_probability(listed, 400)
    measured = np.mean(zeros(f, draw(f.connectivity, 400, 500, 2, "nothing"), np.linspace(1e-3, 3.5, 150)) == 2)
    assert predicted < 0.9 and binomial(measured, predicted, 500) < ERRORS
    uneven = mf.reduce(mf.Connectivity.from_overlaps([{"n1 m1": 4.6}], rank=1), transfer="logistic")
    listed = changes(spread(mf.fixed_points(uneven)), 400)  # only the limit is odd: two different folds
    assert [change.kind for change in listed] == ["fold", "fold"]


@pytest.mark.parametrize("overlap", [0.9, 1.15])
@pytest.mark.parametrize("kind", ["pitchfork", "Hopf"])
def test_changes_of_the_origin_in_closed_form(kind, overlap):
    """The real part is a mean of squares: (1/N) overlap sum m^2 - 1, for Hopf with 2 N terms and overlap / 2."""
    rank = 1 if kind == "pitchfork" else 2
    names = {f"n{r} m{r}": overlap for r in range(1, rank + 1)} | ({"n1 m2": -1.0, "n2 m1": 1.0} if rank == 2 else {})
    f = mf.reduce(mf.Connectivity.from_overlaps([names], rank=rank))
    listed = [change for change in changes(spread(mf.fixed_points(f)), 400) if np.abs(change.kappa).max() < 1e-9]
    assert [change.kind for change in listed] == [kind]
    assert listed[0].distance == pytest.approx(abs(overlap - 1) / (overlap * np.sqrt(2 / rank)), rel=1e-9)
    for size in (100, 400):  # to leading order: the exact law is chi-squared
        below = chi2.cdf(rank * size / overlap, rank * size)
        exact = below if overlap > 1 else 1 - below
        assert listed[0].probability(size) == pytest.approx(exact, abs=0.1 / np.sqrt(size))


def test_fold_distance_at_rank_one():
    """Drift and slope both vanish: the length of the only fluctuation that does it."""
    c = random_connectivity(3, rank=1, inputs=("A",), populations=2)
    f, kappa = mf.reduce(c, inputs={"A": 0.4}), np.linspace(-2, 2, 9)[:, None]
    covariance = neuron(f, kappa).covariance[:, [0, 2]][:, :, [0, 2]]
    needed = np.stack([f(kappa)[:, 0], f.jacobian(kappa)[:, 0, 0]], axis=-1)
    exact = np.einsum("ka,ka->k", needed, np.linalg.solve(covariance, needed[..., None])[..., 0]) ** 0.5
    assert_allclose(fold_distance(f, kappa), exact, rtol=1e-9)
    still = mf.reduce(mf.Connectivity.from_overlaps([{"n1 m1": 0.7}], rank=1))
    assert fold_distance(still, np.zeros(1)) == pytest.approx(0.3 / (0.7 * np.sqrt(2)))
    assert fold_distance(still, np.zeros(1), "moments") > 1e5


@pytest.mark.parametrize("seed", [0, 3, 7, 9])
def test_fold_distance_at_rank_two_is_a_minimum(seed):
    f, rng = mf.reduce(random_connectivity(seed, inputs=(), readouts=(), populations=2)), np.random.default_rng(seed)
    kappa = rng.standard_normal(2)
    root, drift, jacobian = np.linalg.cholesky(neuron(f, kappa).covariance), f(kappa), f.jacobian(kappa)

    def left(u):
        return np.append(drift + (root @ u)[:2], np.linalg.det(jacobian + (root @ u)[2:].reshape(2, 2)))

    there, tight = {"type": "eq", "fun": left}, {"ftol": 1e-13, "maxiter": 300}
    starts = rng.standard_normal((6, 6))
    runs = [minimize(lambda u: u @ u, x, method="SLSQP", constraints=there, options=tight) for x in starts]
    assert fold_distance(f, kappa) == pytest.approx(min(run.fun for run in runs if run.success) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("a", "b"), [("n1", "m2"), ("n2", "A"), ("w", "m1")])
def test_scale_overlap(a, b):
    """In every population one covariance is scaled, with m and I alone, and the mean of a where b has one."""
    c = random_connectivity(11, populations=2)
    i, j, base = c.index(a), c.index(b), [0, 1, 4]
    d, others = c.scale_overlap(a, b, 1.7), [k for k in range(6) if k != i]
    factors = np.where(np.array(base) == j, 1.7, 1.0)
    assert_allclose(d.covariances[:, i, base], c.covariances[:, i, base] * factors, rtol=1e-12, atol=1e-13)
    assert_allclose(d.covariances[:, others][:, :, others], c.covariances[:, others][:, :, others], rtol=1e-12)
    assert np.linalg.eigvalsh(d.covariances).min() > 0
    assert_allclose(d.means, c.means * np.where(np.arange(6) == i, 1.7, 1.0))
    assert d.overlap(a, b) == pytest.approx(1.7 * c.overlap(a, b))
    points = replace(c, covariances=0 * c.covariances)
    assert points.scale_overlap(a, b, 1.7).overlap(a, b) == pytest.approx(1.7 * points.overlap(a, b))
    without = replace(c, means=c.means * (np.arange(6) != j))
    assert_allclose(without.scale_overlap(a, b, 0.0).means, without.means)


def test_what_is_refused():
    f, c, (circle, unresolved) = rich(), random_connectivity(11), ring()
    net = mf.reduce(mf.Connectivity.from_network(f.connectivity.sample(50, 0)), inputs={"A": 0.8})
    line, path = rank_one(), mf.trajectory(f, [0.1, 0.1], 1.0, samples=5)
    half, pair = replace(unresolved, points=unresolved.points[unresolved.points[:, 0] > 0]), "expected one of n or w"
    refused = [
        (lambda: spread(mf.fixed_points(net)), "finite network, which has no spread"),
        (lambda: spread(mf.trajectory(net, [0.1, 0.1], 1.0)), "finite network, which has no spread"),
        (lambda: spread(path, "everything"), "'nothing', 'sizes', 'moments': got 'everything'"),
        (lambda: spread(path, "moments"), "'nothing' or 'sizes' for paths"),
        (lambda: spread(f), "spread of what.* VectorField"),
        (lambda: spread(mf.trajectory(f, np.zeros((2, 2)), 1.0)), "one of a batch"),
        (lambda: spread(mf.trajectory(f, [0.1, 0.1], (1.0, 0.0))), "forward in time"),
        (lambda: ring_spread(line, unresolved), "rings at rank 2: this field has rank 1"),
        (lambda: ring_spread(circle, replace(unresolved, kind="degenerate")), "no ring was found"),
        (lambda: ring_spread(circle, half), "do not surround a centre"),
        (lambda: c.scale_overlap("m1", "n1", 2.0), pair),
        (lambda: c.scale_overlap("n9", "m1", 2.0), "unknown loading"),
        (lambda: c.scale_overlap("n1", "m1", np.inf), "factor"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message):
            call()
