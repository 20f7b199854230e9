"""Lyapunov exponents and eigenvalues: against derivatives by differences, closed forms, and two paths that part."""

import dataclasses

import numpy as np
import pytest
from meanfield.validation.lyapunov import LyapunovStatus, Tangent, lyapunov
from meanfield.validation.lyapunov import _slope as slope_of
from meanfield.validation.networks import draw
from meanfield.validation.simulation import relax, simulate
from meanfield.validation.spectrum import bulk_radius, jacobian_eigenvalues, jacobian_spectrum, outliers
from meanfield.validation.stepping import METHODS, Block, System, march, stages

import meanfield as mf

TAU = 2.0
C = mf.Connectivity.from_overlaps([{"n1 m1": 1.4, "n1 A": 0.5}], 1, ("A",), g=0.5)
PLAIN = mf.Connectivity.from_overlaps([{}], 1, ("A",))


def rng(seed=0):
    return np.random.default_rng(seed)


def network(c=C, n=60, seed=0, **others):
    return dataclasses.replace(draw(c, n, seed), tau=TAU, **others)


def growth(z, method):
    """R(z) of a method of Runge and Kutta: the factor by which a mode of eigenvalue z / dt grows per step."""
    return {"euler": 1 + z, "rk4": 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24}[method]


# ---- the tangent map


@pytest.mark.parametrize("transfer", ["tanh", "erf", "softplus"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("low_rank", [False, True])
def test_tangent_vectors_are_differences_of_the_integrators_own_paths(method, transfer, low_rank):
    net = network(transfer=transfer)
    net = dataclasses.replace(net, random=None) if low_rank else net
    system, tableau, node = System.of((net,), np.dtype(float)), stages(method, 0.3), METHODS[method].node
    x, low, q = rng(1).standard_normal((2, 60)), np.zeros((2, 2)), rng(2).standard_normal((2, 3, 60))
    block = Tangent.at(system, slope_of(transfer), x, low, q, tableau)
    q = block.rows[:, 1:].copy()
    np.testing.assert_allclose(np.matmul(q, q.swapaxes(1, 2)), np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-14)
    u = np.array([0.7])
    for _ in march(block, 3, block.inputs(u, method, 3), node):
        pass

    def moved(start):
        plain = Block(system, start[None], low[None], tableau)
        for _ in march(plain, 3, np.broadcast_to(u, (1 + max(node), 3, 1)), node):
            pass
        return plain.x[0]

    np.testing.assert_allclose(block.rows[:, 0], moved(x), rtol=0, atol=1e-13)
    step = 1e-4
    for j in range(3):
        ahead, back = (moved(x + sign * step * q[:, j]) for sign in (1, -1))
        difference = (ahead - back) / (2 * step)  # off by step^2 phi''' / 6 and eps / step
        np.testing.assert_allclose(block.rows[:, 1 + j], difference, rtol=0, atol=3e-8)


# ---- known exponents


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_linear_network_has_the_real_parts_of_its_eigenvalues(method):
    """About x = 0; for all N exponents at once, in pairs where eigenvalues are complex."""
    net, dt = network(n=12), 0.5
    values = jacobian_eigenvalues(net, np.zeros(12))
    expected = np.sort(np.log(np.abs(growth(dt * values, method))) / dt)[::-1]
    found = lyapunov(net, None, 2000.0, dt, 0, n_exponents=12, start=np.zeros(12), method=method, discard=1000.0)
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=2e-3)  # turning pairs: a turn over the duration
    np.testing.assert_allclose(found.values.sum(), expected.sum(), rtol=1e-9)
    assert abs(found.values - expected)[0] < 1e-9, "a real one that leads converges like exp"
    assert values[0].imag == 0 and np.abs(values.imag).max() > 0.05
    apart = np.abs(found.values - values.real)
    assert (apart < dt * np.abs(values).max() ** 2 if method == "euler" else apart < 3e-3).all()


def test_a_stable_fixed_point_has_its_rightmost_eigenvalue():
    net = network(dataclasses.replace(C, g=0.3), n=150)
    ends = relax(net, [1.5], {"A": 0.2})
    values = jacobian_eigenvalues(net, ends.x)
    found = lyapunov(net, {"A": 0.2}, 200.0, 0.2, 3, kappa=ends.kappa, method="rk4", discard=400.0)
    assert found.success and found.values.shape == (1,) and found.trial_values.shape == (4, 1)
    assert values[0].imag == 0 and values[0].real - values[1].real > 0.05
    np.testing.assert_allclose(found.values[0], values[0].real, rtol=1e-5)
    np.testing.assert_allclose(found.trial_values[:, 0], found.values[0], rtol=1e-9)
    assert found.error[0] < 1e-9 and "4 trials of 200 (rk4, dt = 0.2)" in str(found)


def test_a_low_rank_cycle_has_one_zero_and_the_leak():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n2 m2": 2.0, "n1 m2": 2.0, "n2 m1": -2.0}], 2)
    net = draw(c, 60, 0, match_moments=True)
    f = mf.reduce(net.connectivity)
    cycle = mf.limit_cycle(f, [1.0, 0.5])
    found = lyapunov(net, None, 300.0, 0.1, 0, n_exponents=4, kappa=[1.0, 0.5], trials=2, method="rk4", discard=100.0)
    second = np.sort(np.log(np.abs(cycle.multipliers)))[0] / cycle.period
    assert abs(found.values[0]) < 2e-3 and found.error[0] < 2e-3
    rest = np.sort([second, -1.0, -1.0])[::-1]
    np.testing.assert_allclose(found.values[1:], rest, rtol=0, atol=5e-3)


def test_chaos_is_how_two_paths_part():
    """The same paths, long before rounding moves them apart, with a shadow that is pulled back each tau."""
    net = draw(dataclasses.replace(PLAIN, g=3.0), 200, 0)
    start = simulate(net, None, 100.0, 0.1, start=rng(1).standard_normal((6, 200)), record_x=False).end
    found = lyapunov(net, None, 150.0, 0.1, 2, start=start, discard=0.0)
    size, logs = 1e-7, []
    q = rng(3).standard_normal((6, 200))
    q *= size / np.linalg.norm(q, axis=-1, keepdims=True)
    x = start
    for _ in range(150):
        both = simulate(net, None, 1.0, 0.1, start=np.concatenate([x, x + q]), record_x=False, progress=False).end
        x, q = both[:6], both[6:] - both[:6]
        length = np.linalg.norm(q, axis=-1, keepdims=True)
        logs.append(np.log(length / size)[:, 0])
        q *= size / length
    late = (150 * found.history[-1] - 20 * found.history[19]) / 130  # both have turned to where paths part by then
    assert 0.05 < found.values[0] < 0.4 and abs(late[0] - np.mean(logs[20:])) < 3e-3, (late, np.mean(logs[20:]))
    assert found.error[0] < 0.03 and abs(found.history[-1, 0] - found.values[0]) < 1e-12
    assert found.t[-1] == pytest.approx(150.0) and found.history.shape == (150, 1)
    single = lyapunov(net, None, 150.0, 0.1, 2, start=start, discard=0.0, dtype="float32")
    assert abs(single.values - found.values)[0] < 4 * np.hypot(single.error, found.error)[0]


def test_noise_tames_chaos_and_shakes_no_tangent_vector():
    net = draw(dataclasses.replace(PLAIN, g=2.0), 150, 0)
    quiet, loud = (lyapunov(net, None, 100.0, 0.1, 0, noise=s, discard=50.0) for s in (0.0, 3.0))
    assert quiet.values[0] - loud.values[0] > 0.05 and loud.values[0] < 0
    rest = dataclasses.replace(net, random=0 * net.random)
    silent = lyapunov(rest, None, 32.0, 0.1, 0, n_exponents=2, noise=1.0, discard=10.0)
    np.testing.assert_allclose(silent.values, -1.0, rtol=0, atol=1e-12)


def test_networks_together_and_pieces_of_trials(monkeypatch):
    nets = [network(seed=seed, n=40) for seed in range(2)]
    options = {"duration": 64.0, "dt": 0.2, "seed": 1, "n_exponents": 2, "discard": 20.0, "noise": 0.3}
    together = lyapunov(nets, {"A": 0.2}, trials=3, **options)
    assert together.values.shape == (2, 2) and together.history.shape == (2, 32, 2)
    alone = lyapunov(nets[0], {"A": 0.2}, trials=3, **options)
    np.testing.assert_allclose(together.values[0], alone.values, rtol=0, atol=1e-10)
    monkeypatch.setattr("meanfield.validation.stepping._TOGETHER", 1)
    monkeypatch.setattr("meanfield.validation.stepping._BLOCK", 1)
    cut = lyapunov(nets, {"A": 0.2}, trials=3, **options)
    np.testing.assert_allclose(cut.trial_values, together.trial_values, rtol=0, atol=1e-10)


def test_what_has_no_exponents_is_said():
    net = network()
    for change, message in (
        ({"net": network(transfer="step")}, "'step' jumps"),
        ({"n_exponents": 61}, "at most the number of neurons, 60"),
        ({"duration": 10.0}, "at least 16 stretches"),
        ({"interval": 0.7}, "every must divide"),
        ({"seed": None}, "need a seed"),
        ({"inputs": {"A": [1.0]}}, "lyapunov needs constant inputs"),
    ):
        with pytest.raises(ValueError, match=message):
            lyapunov(**{"net": net, "duration": 64.0, "dt": 0.2, "seed": 0} | change)
    c = mf.Connectivity.from_overlaps([{"mean m1": 1.0, "n1 m1": 2.0, "mean n1": 2.0}], 1, ("A",), g=0.3)
    lost = lyapunov(draw(c, 60, 0, transfer="relu"), None, 32.0, 0.1, 0, kappa=[1.0])
    assert lost.status is LyapunovStatus.EXPLODED and not lost.success and np.isnan(lost.values).all()


# ---- eigenvalues


@pytest.mark.parametrize("low_rank", [False, True])
def test_eigenvalues_are_those_of_the_slope_by_differences(low_rank):
    net = network(n=30, transfer="erf")
    net = dataclasses.replace(net, random=None) if low_rank else net
    full = net.m @ net.n.T / 30 + (0 if low_rank else net.random)
    x, step = rng(1).standard_normal(30), 1e-5
    phi = mf.get_transfer("erf")
    ahead, back = (-(x + s * step * np.eye(30)) + phi(x + s * step * np.eye(30)) @ full.T for s in (1, -1))
    jacobian = ((ahead - back) / (2 * step)).T / TAU
    expected = np.linalg.eigvals(jacobian)
    found = jacobian_eigenvalues(net, x)
    assert found.shape == (30,) and (np.diff(found.real) <= 1e-12).all()
    distance = np.abs(found[:, None] - expected)
    assert distance.min(axis=1).max() < 1e-6 and distance.min(axis=0).max() < 1e-6
    for power in (1, 2):
        trace = np.trace(np.linalg.matrix_power(jacobian, power))
        np.testing.assert_allclose((found**power).sum(), trace, rtol=0, atol=1e-8)
    if low_rank:
        assert bulk_radius(net, x) == 0 and len(jacobian_spectrum(net, x).outliers) == 1


def test_the_bulk_of_blocks_has_the_radius_of_the_theory():
    """sqrt of the largest eigenvalue of g_pq^2 alpha_q; variances of N^2 entries are off by 1/N, edges by 1/sqrt(N)."""
    g = np.array([[0.3, 1.2], [0.7, 0.5]])
    c = mf.Connectivity.from_overlaps([{"weight": 0.25}, {"weight": 0.75}], 1, ("A",), g=g)
    expected = np.sqrt(np.linalg.eigvals(g**2 * c.weights).real.max())
    net = draw(c, 800, 0, match_moments=True)
    spectrum = jacobian_spectrum(net, np.zeros(800))
    assert abs(spectrum.radius / expected - 1) < 0.01 and not len(spectrum.outliers)
    distance = np.abs(spectrum.eigenvalues + 1)
    assert 0.93 < distance.max() / expected < 1.05
    assert spectrum.bulk_edge == pytest.approx(spectrum.radius - 1) and spectrum.stable
    alone = dataclasses.replace(draw(dataclasses.replace(c, g=0.6), 800, 0, match_moments=True), tau=TAU)
    flat = jacobian_spectrum(alone, np.zeros(800))
    assert abs(flat.radius * TAU / 0.6 - 1) < 0.01 and flat.centre == -0.5
    inside = np.mean(np.abs(flat.eigenvalues - flat.centre) < 0.5 * flat.radius)
    assert abs(inside - 0.25) < 0.02, "the disc is filled evenly"


def test_the_bulk_knows_the_slopes_of_the_state():
    net = draw(dataclasses.replace(PLAIN, g=1.5), 600, 0)
    x = 1.3 * rng(1).standard_normal(600)
    expected = 1.5 * np.sqrt(np.mean((1 - np.tanh(x) ** 2) ** 2))
    assert abs(bulk_radius(net, x) / expected - 1) < 0.02
    assert 0.93 < np.abs(jacobian_eigenvalues(net, x) + 1).max() / expected < 1.06
    assert bulk_radius(net, np.full(600, 400.0)) == 0


def test_planted_outliers_are_found_and_chance_makes_none():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 1.0, "n2 m2": 1.0, "n1 m2": 0.8, "n2 m1": -0.8}], 2, g=0.7)
    for seed in range(4):
        net = draw(c, 400, seed, match_moments=True)
        spectrum = jacobian_spectrum(net, np.zeros(400))
        assert len(spectrum.outliers) == 2, str(spectrum)
        # an outlier moves by the random part seen by m and n: g / sqrt(N) times a few
        assert np.abs(spectrum.outliers - np.array([0.8j, -0.8j])).max() < 6 * 0.7 / np.sqrt(400)
        alone = jacobian_spectrum(dataclasses.replace(net, n=0 * net.n), np.zeros(400))
        assert not len(alone.outliers) and "0 outliers" in str(alone) and "2 outliers" in repr(spectrum)


def test_outliers_alone_and_what_is_refused(monkeypatch):
    values = np.array([0.5, -1 + 0.9j, -1.0, -2.3])
    np.testing.assert_array_equal(outliers(values, 1.0, margin=0.1), [0.5, -2.3])
    np.testing.assert_array_equal(outliers(values, 1.0), [])
    np.testing.assert_array_equal(outliers(values / 2, 0.5, -0.5, 0.1), [0.25, -1.15])
    net = network()
    for call, message in (
        (lambda: outliers([np.nan], 1.0), "finite"),
        (lambda: outliers(values, -1.0), "radius must be at least 0"),
        (lambda: jacobian_spectrum(net, np.zeros(59)), r"x: got shape \(59,\)"),
        (lambda: jacobian_eigenvalues(net, np.full(60, np.nan)), "x must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    monkeypatch.setattr("meanfield.validation.spectrum.MOST_BYTES", 100)
    with pytest.raises(ValueError, match="28800 bytes, more than 100"):
        jacobian_eigenvalues(net, np.zeros(60))
