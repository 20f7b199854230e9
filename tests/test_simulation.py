"""N units in time: trained networks to the last digit, orders against a dense twin, noise within its standard error."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.validation import simulation, stepping
from meanfield.validation.networks import draw, load_network
from meanfield.validation.simulation import Status, relax, simulate
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield import progress

EPS = np.finfo(float).eps
TAU = 2.0

# Sums over neurons in another order, through up to a hundred steps of a network that amplifies by at most exp(2 t/tau).
ROUNDING = 1e-12

WORKING = mf.Connectivity.from_overlaps(
    [{"n1 m1": 2.0, "n2 m2": 1.6, "n1 m2": 0.5, "n1 A": 0.5, "n2 B": 0.7, "w m1": 1.0}], 2, ("A", "B"), ("w",)
)


def network(seed=0, n=40, **others):
    return dataclasses.replace(draw(WORKING, n, seed), tau=TAU, mixture=None, **others)


def rng(seed=0):
    return np.random.default_rng(seed)


def stepped(net, duration, dt, **options):
    return simulate(net, options.pop("inputs", None), duration, dt, **options)


# ---- the networks of others


@pytest.mark.parametrize("name", ["pop__rdm_lr_fig2", "pop__romo_rank2_500", "pop__dms_retrained_2pop"])
def test_trained_networks_give_what_their_authors_code_gives(shared_networks, name):
    """1e-12 is asked for; 2e-15 is found."""
    net, oracle = load_network(shared_networks / f"{name}.npz"), np.load(shared_networks / "oracle" / f"{name}.npz")
    u = oracle["u"]
    run = simulate(net, u, u.shape[1] * net.dt, net.dt, method="euler")
    np.testing.assert_allclose(run.z[:, 1:, 0], oracle["z"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(run.kappa[:, 1:], oracle["kappa"], rtol=0, atol=1e-12)
    assert np.ptp(oracle["z"]) > 0.5 and run.outside.max() < 1e-12
    assert net.noise == pytest.approx(net.noise_std / np.sqrt(20.0))


# ---- the slow obvious twin: a dense J and a general integrator


def drive(t):
    return np.sin(3 * t) + 0.5


def dense_twin(net, start, duration):
    full = net.m @ net.n.T / net.n_neurons

    def slope(t, x):
        return (-x + full @ np.tanh(x) + net.I[:, 0] * drive(t) + 0.3 * net.I[:, 1]) / net.tau

    return solve_ivp(slope, (0, duration), start, rtol=1e-12, atol=1e-13, method="DOP853").y[:, -1]


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("exponential", 2), ("rk4", 4)])
def test_orders_and_estimated_errors_against_a_dense_network(method, order):
    net, duration = network(), 4.0
    start = rng(1).standard_normal(40)
    exact = dense_twin(net, start, duration)
    projector = np.linalg.pinv(np.hstack([net.m, net.I]))[:2]
    runs = [
        simulate(net, {"A": drive, "B": 0.3}, duration, dt, start=start, method=method, with_error=True)
        for dt in (0.1, 0.05, 0.025)
    ]
    errors = np.array([np.abs(run.end - exact).max() for run in runs])
    rates = np.log2(errors[:-1] / errors[1:])
    assert (np.abs(rates - order) < 0.15).all(), rates
    for run in runs[1:]:
        true, estimated = np.abs(run.kappa[-1] - projector @ exact).max(), run.error[-1]
        assert 0.7 * true < estimated and run.error.shape == run.t.shape
        assert (np.diff(run.error) >= 0).all() and f"{run.error[-1]:.1e}" in str(run)


def test_held_inputs_converge_to_the_exact_jumps():
    """An array is held over its steps, so at half the step it is the same input."""
    net, u = network(), rng(3).standard_normal((20, 2))
    coarse = [simulate(net, np.repeat(u, k, axis=0), 4.0, 0.2 / k, every=k) for k in (1, 2, 4, 32)]
    errors = [np.abs(run.kappa - coarse[-1].kappa).max() for run in coarse[:-1]]
    assert 3 < errors[0] / errors[1] < 5 and 3 < errors[1] / errors[2] < 5
    error = simulate(net, u, 4.0, 0.2, with_error=True).error
    assert 0.7 * errors[0] < error[-1] < 1.5 * errors[0]


def test_inputs_that_jump_on_the_grid_are_seen_from_inside_the_step():
    net = network()
    steps = np.where(np.arange(40) >= 13, 1.0, 0.0)
    for method in stepping.METHODS:
        run = simulate(net, {"A": lambda t: float(t >= 1.3)}, 4.0, 0.1, method=method)
        held = simulate(net, {"A": steps}, 4.0, 0.1, method=method)
        np.testing.assert_array_equal(run.x, held.x)


@pytest.mark.parametrize("transfer", ["relu", "erf", "logistic", "sin", "softplus", "step"])
def test_other_transfer_functions_and_readouts(transfer):
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.5, "w m1": 1.0, "mean m1": 0.3}], 1, ("A",), ("w",))
    net = draw(c, 50, 0, transfer=transfer)
    phi = mf.get_transfer(transfer)
    for readout in (transfer, "identity", "tanh"):
        run = simulate(dataclasses.replace(net, readout_transfer=readout), {"A": 1.0}, 1.0, 0.1, method="euler")
        x = np.zeros(50)
        for _ in range(10):
            x += 0.1 * (-x + net.m @ (net.n.T @ phi(x)) / 50 + net.I[:, 0])
        np.testing.assert_allclose(run.end, x, rtol=0, atol=ROUNDING)
        rho = {"identity": lambda x: x, transfer: phi, "tanh": np.tanh}[readout]
        np.testing.assert_allclose(run.z[:, 0], rho(run.x) @ net.w[:, 0] / 50, rtol=0, atol=ROUNDING)


# ---- coordinates


def test_what_starts_inside_the_span_stays_there_and_the_rest_decays():
    net, kappa = network(), np.array([1.0, -0.5])
    inside = simulate(net, {"A": drive, "B": 0.3}, 4.0, 0.1, kappa=kappa)
    np.testing.assert_allclose(inside.kappa[0], kappa, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(inside.v[0], [drive(0.0), 0.3], rtol=0, atol=ROUNDING)
    assert inside.outside.max() < ROUNDING
    x = inside.kappa @ net.m.T + inside.v @ net.I.T
    np.testing.assert_allclose(inside.x, x, rtol=0, atol=ROUNDING)
    np.testing.assert_array_equal(inside.x[-1], inside.end)

    perpendicular = rng(5).standard_normal(40)
    span = np.hstack([net.m, net.I])
    perpendicular -= span @ (np.linalg.pinv(span) @ perpendicular)
    outside = simulate(net, {"A": drive, "B": 0.3}, 4.0, 0.1, start=inside.x[0] + perpendicular)
    expected = np.sqrt(np.mean(perpendicular**2)) * np.exp(-outside.t / TAU)
    np.testing.assert_allclose(outside.outside, expected, rtol=1e-11)


def test_v_is_the_filtered_input_and_kappa_the_least_squares_coordinate():
    net = network()
    run = simulate(net, {"A": 1.0}, 4.0, 0.4, start=rng(2).standard_normal((3, 40)))
    rest = run.x - run.v @ net.I.T - run.kappa @ net.m.T
    np.testing.assert_allclose(rest @ net.m, 0, atol=40 * ROUNDING)
    np.testing.assert_allclose(rest[:, 0] @ net.I, 0, atol=40 * ROUNDING)
    expected = run.v[:, :1] * np.exp(-run.t / TAU)[:, None] + [1, 0] * -np.expm1(-run.t / TAU)[:, None]
    np.testing.assert_allclose(run.v, expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("method", stepping.METHODS)
def test_inputs_along_m_and_inputs_of_zero_are_no_problem(method):
    """x alone could not tell v from kappa; the filter can."""
    net = network()
    net = dataclasses.replace(net, I=np.stack([0.5 * net.m[:, 0], np.zeros(40)], axis=1))
    run = simulate(net, {"A": drive, "B": 1.0}, 2.0, 0.1, method=method, kappa=[0.3, 0.1])
    held = simulate(network(), {"A": drive, "B": 1.0}, 2.0, 0.1, method=method, kappa=[0.3, 0.1])
    np.testing.assert_allclose(run.v, held.v, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.kappa[0], [0.3, 0.1], rtol=0, atol=ROUNDING)
    assert run.outside.max() < ROUNDING


def test_fixed_points_are_exact_at_any_step():
    net = network()
    kappa = relax(net, [1.0, 1.0], {"A": 0.2}).kappa
    run = simulate(net, {"A": 0.2}, 20 * TAU, TAU, kappa=kappa)
    np.testing.assert_allclose(run.kappa, np.broadcast_to(kappa, run.kappa.shape), atol=1e-9)


def test_the_end_is_a_start():
    net, start = network(), rng(1).standard_normal((3, 40))
    whole = stepped(net, 4.0, 0.1, start=start)
    half = stepped(net, 2.0, 0.1, start=start)
    np.testing.assert_array_equal(stepped(net, 2.0, 0.1, start=half.end).end, whole.end)


# ---- batches


def test_trials_are_what_they_are_one_by_one():
    net, start, u = network(), rng(1).standard_normal((5, 40)), rng(2).standard_normal((5, 30, 2))
    together = simulate(net, u, 3.0, 0.1, start=start)
    assert together.kappa.shape == (5, 31, 2) and together.x.shape == (5, 31, 40) and together.z.shape == (5, 31, 1)
    for b in range(5):
        alone = simulate(net, u[b], 3.0, 0.1, start=start[b])
        for name in ("kappa", "v", "z", "outside", "x", "end"):
            np.testing.assert_allclose(getattr(together, name)[b], getattr(alone, name), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("method", stepping.METHODS)
def test_networks_are_what_they_are_alone(method):
    nets = [network(seed) for seed in range(4)]
    start = rng(1).standard_normal((4, 3, 40))
    together = simulate(nets, {"A": drive}, 2.0, 0.1, start=start, method=method)
    assert together.kappa.shape == (4, 3, 21, 2) and together.outside.shape == (4, 3, 21)
    for d, net in enumerate(nets):
        alone = simulate(net, {"A": drive}, 2.0, 0.1, start=start[d], method=method)
        np.testing.assert_allclose(together.x[d], alone.x, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(together.kappa[d], alone.kappa, rtol=0, atol=ROUNDING)


def test_how_the_work_is_cut_changes_nothing(monkeypatch):
    nets, start = [network(seed) for seed in range(4)], rng(1).standard_normal((5, 40))
    options = {"start": start, "noise": 0.3, "seed": 1}
    whole = simulate(nets, {"A": drive}, 2.0, 0.1, **options)
    for size in (1, 90, 500):
        monkeypatch.setattr(stepping, "_BLOCK", size)
        cut = simulate(nets, {"A": drive}, 2.0, 0.1, **options)
        np.testing.assert_allclose(cut.x, whole.x, rtol=0, atol=ROUNDING)


def test_float32_is_close_to_float64():
    net = network(n=200)
    options = {"kappa": rng(1).standard_normal((4, 2)), "inputs": {"A": drive}}
    double, single = (stepped(net, 4.0, 0.1, dtype=dtype, **options) for dtype in ("float64", "float32"))
    assert single.x.dtype == single.kappa.dtype == single.z.dtype == np.float32 and double.x.dtype == np.float64
    apart = np.abs(single.x - double.x).max()
    assert 0 < apart < 200 * np.finfo(np.float32).eps * np.abs(double.x).max()


# ---- symmetries


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_signs_and_names_of_neurons_change_nothing(seed):
    """For an odd phi, the sign of all loadings of a neuron and of its x; for any phi, the order of the neurons."""
    net, r = network(seed), rng(seed)
    signs, order = r.choice([-1.0, 1.0], 40), r.permutation(40)
    start = r.standard_normal(40)
    run = simulate(net, {"A": 0.7}, 2.0, 0.1, start=start)
    for act in (lambda a: (a.T * signs).T, lambda a: a[order]):
        moved = {kind: act(getattr(net, kind)) for kind in ("m", "n", "I", "w")}
        other = simulate(dataclasses.replace(net, **moved), {"A": 0.7}, 2.0, 0.1, start=act(start))
        np.testing.assert_allclose(other.kappa, run.kappa, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(other.z, run.z, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(other.end, act(run.end), rtol=0, atol=ROUNDING)


# ---- noise


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("dt", [0.2, 0.5])
@pytest.mark.parametrize("method", ["euler", "exponential"])
def test_the_variance_that_noise_makes(method, dt, dtype):
    """Without recurrence: noise^2 tau / 2, by Euler's rule over 1 - dt / 2 tau; all neurons and trials independent."""
    net, strength = network(n=1000), 0.7
    net = dataclasses.replace(net, n=0 * net.n)
    run = simulate(net, None, 20.0, dt, 3, trials=20, noise=strength, method=method, every=round(2 / dt), dtype=dtype)
    variance = strength**2 * TAU / 2 / (1 - dt / (2 * TAU) if method == "euler" else 1)
    decay = (1 - dt / TAU) ** (2 / dt) if method == "euler" else np.exp(-2 / TAU)
    last, before = run.x[:, -1].astype(float) / np.sqrt(variance), run.x[:, -2].astype(float) / np.sqrt(variance)
    count = last.size
    forgotten = np.exp(-2 * 20 / TAU)
    scores = [
        (np.mean(last**2) - 1 + forgotten) / np.sqrt(2 / count),
        (np.mean(last * before) - decay) / np.sqrt((1 + decay**2) / count),
        np.mean(last) * np.sqrt(count),
        np.mean(last[1:] * last[:-1]) * np.sqrt(count),
        np.mean(last[:, 1:] * last[:, :-1]) * np.sqrt(count),
    ]
    assert np.abs(scores).max() < 4, scores
    np.testing.assert_allclose(run.outside[:, -1] ** 2, np.mean(run.x[:, -1] ** 2, axis=-1), rtol=0.05)


def test_one_step_of_a_trained_network_adds_noise_std():
    net = network(n=4000, noise_std=0.05, dt=0.4)
    assert net.noise == pytest.approx(0.05 / np.sqrt(0.4))
    assert network(noise_std=0.05).noise is None and network(dt=0.1).noise is None
    run = simulate(net, None, 0.4, 0.4, 0, noise=net.noise, method="euler")
    assert abs(np.mean(run.end**2) / 0.05**2 - 1) < 4 * np.sqrt(2 / 4000)


def test_noise_depends_on_the_seed_alone():
    net, other = network(0), network(1)
    options = {"noise": 0.5, "duration": 1.0, "dt": 0.1}
    run = simulate(net, trials=3, seed=7, **options)
    np.testing.assert_array_equal(simulate(net, trials=3, seed=7, **options).x, run.x)
    np.testing.assert_array_equal(simulate(net, trials=3, seed=np.random.default_rng(7), **options).x, run.x)
    more = simulate([net, other], trials=5, seed=7, **options)
    np.testing.assert_allclose(more.x[0, :3], run.x, rtol=0, atol=ROUNDING)
    assert np.abs(simulate(net, trials=3, seed=8, **options).x - run.x).max() > 0.1
    twice = simulate([net, net], seed=7, **options)
    assert np.abs(twice.x[0] - twice.x[1]).max() > 0.1
    generator = np.random.default_rng(7)
    first, second = (simulate(net, seed=generator, **options) for _ in range(2))
    assert np.abs(first.x - second.x).max() > 0.1


# ---- endings


@pytest.mark.parametrize("every", [1, 100])
def test_an_explosion_is_said_and_stops_at_its_trial(every):
    c = mf.Connectivity.from_overlaps([{"mean m1": 1.0, "n1 m1": 2.0, "mean n1": 2.0}], 1, ("A",), ("w",))
    net = draw(c, 100, 0, transfer="relu")
    run = simulate(net, None, 100.0, 0.1, kappa=[[1.0], [0.0]], every=every)
    assert run.status is Status.EXPLODED and not run.success and "nan" in str(run)
    assert run.exploded.tolist() == [True, False]
    assert np.isnan(run.end[0]).all() and not run.kappa[1].any() and not run.z[1].any()
    gone = np.isnan(run.kappa[0, :, 0])
    assert gone[-1] and not gone[0] and (np.diff(gone.astype(int)) >= 0).all()
    assert np.nanmax(np.abs(run.kappa)) <= simulation.EXPLODED
    assert simulate(net, None, 100.0, 0.1, kappa=[1.0], every=every).status is Status.EXPLODED
    still = relax(net, [[1.0], [0.0]])
    assert still.status.tolist() == ["exploded", "fixed point"] and np.isnan(still.x[0]).all()
    assert not still.success and "1 exploded, 1 fixed point" in str(still)


def test_x_is_stored_up_to_a_size(monkeypatch):
    net = network()
    assert stepped(net, 1.0, 0.1).x.shape == (11, 40)
    monkeypatch.setattr(simulation, "STORED_BYTES", 11 * 40 * 8 - 1)
    run = stepped(net, 1.0, 0.1)
    with pytest.raises(ValueError, match="x was not stored: it has 0.00352 MB; pass record_x=True"):
        run.x  # noqa: B018
    assert stepped(net, 1.0, 0.1, record_x=True).x.shape == (11, 40)


def test_long_runs_show_their_progress(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    stepped(network(), 1.0, 0.1)
    assert capsys.readouterr().err == ""
    stepped(network(), 1.0, 0.1, progress=True)
    assert "step" in capsys.readouterr().err


def test_a_line_about_a_run():
    assert str(stepped(network(), 1.0, 0.1)) == (
        "40 neurons, t = 0 to 1, 11 times (exponential, dt = 0.1); reached the end"
    )
    assert repr(stepped([network(0), network(1)], 1.0, 0.1, trials=3)).startswith(
        "Simulation(2 networks, 3 trials, 40 neurons"
    )


# ---- rest


def test_units_come_to_rest_at_the_stable_fixed_points():
    net = network(0, n=60)
    points = mf.fixed_points(mf.reduce(net.connectivity, inputs={"A": 0.05}, tau=TAU))
    stable = points.kappa[points.kind == "stable"]
    assert points.complete and len(stable) == 2
    ends = relax(net, rng(0).uniform(-3, 3, (30, 2)), {"A": 0.05})
    assert ends.success and (ends.status == "fixed point").all() and ends.kappa.shape == (30, 2)
    assert (ends.speed * TAU <= 1e-10 * (1 + np.abs(ends.x).max(axis=-1))).all() and (ends.time > TAU).all()
    distance = np.abs(ends.kappa[:, None] - stable).max(axis=-1)
    slowest = np.abs(points.eigenvalues.real).min()
    assert (distance.min(axis=1) < 10 * ends.speed.max() / slowest).all()
    assert set(distance.argmin(axis=1)) == set(range(len(stable)))
    slope = (net.m @ (net.n.T @ np.tanh(ends.x.T)) / 60 + 0.05 * net.I[:, :1]).T - ends.x
    np.testing.assert_allclose(np.abs(slope).max(axis=-1) / TAU, ends.speed, rtol=0, atol=1e-13)


def test_a_slowly_damped_spiral_comes_to_rest():
    """Its eigenvalues are -0.02 +- 2i: an integrator of order 2 would make it grow at this step."""
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.98, "n2 m2": 0.98, "n1 m2": 2.0, "n2 m1": -2.0}], 2)
    ends = relax(draw(c, 50, 0, match_moments=True), [0.01, 0.0], tolerance=1e-6)
    rate = np.log(0.01 / np.linalg.norm(ends.kappa)) / ends.time
    assert ends.success and 0.9 < rate / 0.02 < 1.1


def test_networks_come_to_rest_together_as_alone():
    nets, kappa = [network(seed) for seed in range(3)], rng(0).uniform(-2, 2, (6, 2))
    together = relax(nets, kappa)
    assert together.kappa.shape == (3, 6, 2) and together.status.shape == (3, 6)
    for d, net in enumerate(nets):
        alone = relax(net, kappa)
        np.testing.assert_allclose(together.kappa[d], alone.kappa, rtol=0, atol=1e-11)
        np.testing.assert_array_equal(together.time[d], alone.time)
    single = relax(nets[0], kappa[0], dtype="float32", tolerance=1e-4)
    assert single.kappa.shape == (2,) and single.status.shape == () and single.success


def test_what_does_not_come_to_rest_is_moving():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n2 m2": 2.0, "n1 m2": 2.0, "n2 m1": -2.0}], 2)
    turning = relax(draw(c, 100, 0, match_moments=True), [[1.0, 0.0], [0.0, 0.0]], max_time=50)
    assert turning.status.tolist() == ["moving", "fixed point"] and turning.time.tolist() == [50, 0]
    assert turning.speed[0] > 0.1 and "1 fixed point, 1 moving; the last at t = 50" in repr(turning)
