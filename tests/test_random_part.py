"""Networks with a random part: what is drawn, read and written, and integrated, against a dense twin."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.validation import networks, stepping
from meanfield.validation.networks import Network, draw, load_network, save_network
from meanfield.validation.simulation import relax, simulate
from scipy.integrate import solve_ivp

import meanfield as mf

TAU = 2.0

# Sums over 60 neurons in another order, through up to a hundred steps of networks that amplify by at most exp(3).
ROUNDING = 1e-12

MIXTURE = mf.Connectivity.from_overlaps(
    [
        {"weight": 0.3, "n1 m1": 2.0, "n2 m2": 1.6, "n1 A": 0.5, "w m1": 1.0},
        {"weight": 0.7, "n1 m1": 1.0, "n1 m2": 0.5, "n2 B": 0.7, "mean m1": 0.5},
    ],
    2, ("A", "B"), ("w",), g=0.8,
)  # fmt: skip
BLOCKS = np.array([[0.0, 1.0], [0.5, 2.0]])


def with_g(g):
    return dataclasses.replace(MIXTURE, g=g)


def network(seed=0, n=60, **others):
    return dataclasses.replace(draw(MIXTURE, n, seed), tau=TAU, **others)


def rng(seed=0):
    return np.random.default_rng(seed)


# ---- what is drawn


def test_loadings_are_those_without_a_random_part_and_chi_does_not_know_g():
    low, one, two = (draw(with_g(g), 50, 3) for g in (0.0, 1.0, 2.0))
    assert low.random is None and not low.has_random and one.has_random
    for field in ("m", "n", "I", "w", "population"):
        np.testing.assert_array_equal(getattr(one, field), getattr(low, field))
    np.testing.assert_array_equal(two.random, 2 * one.random)
    assert one.random.flags.f_contiguous
    np.testing.assert_array_equal(draw(with_g(1.0), 50, 3).random, one.random)
    assert np.abs(draw(with_g(1.0), 50, 4).random - one.random).max() > 0.1
    blocks = draw(with_g(BLOCKS), 50, 3)
    expected = BLOCKS[blocks.population[:, None], blocks.population] * one.random
    np.testing.assert_allclose(blocks.random, expected, rtol=1e-15)


@pytest.mark.parametrize("make", [lambda: 7, lambda: [7, 1], lambda: np.random.SeedSequence(7), lambda: rng(7)])
def test_every_kind_of_seed_can_be_repeated(make):
    first, second = (draw(with_g(1.0), 30, make()) for _ in range(2))
    np.testing.assert_array_equal(first.random, second.random)
    np.testing.assert_array_equal(first.m, second.m)
    seed = make()
    if not isinstance(seed, np.random.Generator):
        np.testing.assert_array_equal(draw(with_g(1.0), 30, seed).random, draw(with_g(1.0), 30, seed).random)


def test_chi_has_variance_1_over_n_and_knows_nothing_of_the_loadings():
    N = 400
    net = draw(with_g(1.0), N, 0)
    chi = net.random * np.sqrt(N)
    scores = [chi.mean() * N, (np.mean(chi**2) - 1) * N / np.sqrt(2), (np.mean(chi**4) - 3) * N / np.sqrt(96)]
    scores += [(chi * chi.T)[np.triu_indices(N, 1)].mean() * np.sqrt(N * (N - 1) / 2)]
    for a in (net.m[:, 0], net.n[:, 1]):
        scores += [a @ chi @ a / (a @ a), np.corrcoef(chi[0], a)[0, 1] * np.sqrt(N)]
    assert np.abs(scores).max() < 4, scores


def test_matched_moments_hold_with_a_random_part():
    net = draw(MIXTURE, 100, 0, match_moments=True)
    own = dataclasses.replace(net, random=None).connectivity
    np.testing.assert_allclose(own.overlap("n", "m"), MIXTURE.overlap("n", "m"), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(net.random, draw(MIXTURE, 100, 0).random)


# ---- the record


def test_a_random_part_is_checked_and_frozen_and_not_copied_twice():
    net = network()
    assert not net.random.flags.writeable and "rank 2 and a random part" in repr(net)
    assert dataclasses.replace(net, tau=3.0).random is net.random
    loose = net.random.copy()
    kept = dataclasses.replace(net, random=loose)
    loose[0, 0] = 99.0
    assert kept.random[0, 0] == net.random[0, 0]
    for bad, message in (
        (np.zeros((60, 59)), "random: got shape"),
        (np.full((60, 60), np.nan), "random must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(net, random=bad)
    bad = np.full((60, 60), np.nan)
    bad.setflags(write=False)
    with pytest.raises(ValueError, match="random must be finite"):
        dataclasses.replace(net, random=bad)


def test_too_many_bytes_are_refused_before_they_are_asked_for(monkeypatch):
    with pytest.raises(ValueError, match=r"100000 neurons takes 80000000000 bytes.* at most 32768 neurons"):
        draw(MIXTURE, 100_000, 0)
    draw(with_g(0.0), 100_000, 0)
    monkeypatch.setattr(networks, "MOST_BYTES", 8 * 10**2)
    draw(MIXTURE, 10, 0)
    with pytest.raises(ValueError, match="968 bytes"):
        draw(MIXTURE, 11, 0)


def test_the_reduced_equations_of_such_a_network_are_refused():
    with pytest.raises(ValueError, match=r"random part.*simulate it.*replace\(net, random=None\)"):
        network().connectivity  # noqa: B018


def test_files_keep_the_random_part(tmp_path):
    net = network()
    save_network(net, tmp_path / "net.npz")
    back = load_network(tmp_path / "net.npz")
    np.testing.assert_array_equal(back.random, net.random)
    assert back.notes == net.notes and not back.random.flags.writeable
    np.testing.assert_array_equal(back.mixture.g, net.mixture.g)
    fields = {"m": net.m, "n": net.n, "I": net.I, "w": net.w}
    np.savez(tmp_path / "single.npz", **fields, random=net.random.astype(np.float32))
    foreign = load_network(tmp_path / "single.npz", scaling="none")
    np.testing.assert_array_equal(foreign.random, net.random.astype(np.float32))
    assert "random" not in " ".join(foreign.notes)
    for bad, message in (
        (net.random[:-1], r"bad.npz: random: got shape \(59, 60\), expected \(60, 60\)"),
        (np.where(net.random > 0.3, np.nan, 0.0), "bad.npz: random must be finite"),
        (np.array("text"), "bad.npz: random must be an array of real numbers"),
        (np.array([{}]), "bad.npz: .*object array"),
    ):
        np.savez(tmp_path / "bad.npz", **fields, random=bad)
        with pytest.raises(ValueError, match=message):
            load_network(tmp_path / "bad.npz")


# ---- N units in time, against a dense J


def drive(t):
    return np.sin(3 * t) + 0.5


def dense(net):
    return net.random + net.m @ net.n.T / net.n_neurons


def dense_twin(net, start, kappa, duration):
    """x and the filtered overlap at the end, by a general integrator."""
    full, N = dense(net), net.n_neurons

    def slope(t, state):
        x, phi = state[:N], np.tanh(state[:N])
        rate = -x + full @ phi + net.I[:, 0] * drive(t) + 0.3 * net.I[:, 1]
        return np.concatenate([rate, -state[N:] + net.n.T @ phi / N]) / net.tau

    state = np.concatenate([start, kappa])
    end = solve_ivp(slope, (0, duration), state, rtol=1e-12, atol=1e-13, method="DOP853").y[:, -1]
    return end[:N], end[N:]


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("exponential", 2), ("rk4", 4)])
def test_orders_against_a_dense_network(method, order):
    net, duration = network(), 4.0
    start = rng(1).standard_normal(60)
    first = (np.linalg.pinv(np.hstack([net.m, net.I])) @ start)[:2]
    x, kappa = dense_twin(net, start, first, duration)
    steps = (0.2, 0.1, 0.05) if method == "rk4" else (0.1, 0.05, 0.025)
    runs = [
        simulate(net, {"A": drive, "B": 0.3}, duration, dt, start=start, method=method, with_error=True) for dt in steps
    ]
    np.testing.assert_allclose([run.kappa[0] for run in runs], [first] * 3, rtol=0, atol=ROUNDING)
    for found, expected in (("end", x), ("kappa", kappa)):
        ends = [run.end if found == "end" else run.kappa[-1] for run in runs]
        errors = np.array([np.abs(end - expected).max() for end in ends])
        rates = np.log2(errors[:-1] / errors[1:])
        assert (np.abs(rates - order) < 0.3).all(), (found, rates)
    for run in runs[1:]:
        assert 0.7 * np.abs(run.kappa[-1] - kappa).max() < run.error[-1]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["euler", "exponential", "rk4"]))
def test_euler_steps_and_the_filters_identity(seed, method):
    """x - m kappa - I v obeys the filter of what the random part sends, whatever the method; Euler's rule is a loop."""
    net, dt = network(seed), 0.1
    start = rng(seed).standard_normal((3, 60))
    run = simulate(net, {"A": 0.7}, 2.0, dt, start=start, method=method)
    rest = run.x - run.kappa @ net.m.T - run.v @ net.I.T
    np.testing.assert_allclose(run.outside, np.sqrt(np.mean(rest**2, axis=-1)), rtol=1e-12)
    if method == "euler":
        x, kappa, full = start.copy(), run.kappa[:, 0].copy(), dense(net)
        for k in range(20):
            np.testing.assert_allclose(run.kappa[:, k], kappa, rtol=0, atol=ROUNDING)
            phi = np.tanh(x)
            kappa += dt / TAU * (-kappa + phi @ net.n / 60)
            x += dt / TAU * (-x + phi @ full.T + 0.7 * net.I[:, 0])
        np.testing.assert_allclose(run.end, x, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("method", stepping.METHODS)
def test_a_random_part_of_zeros_changes_nothing(method):
    low = dataclasses.replace(network(), random=None)
    zero = dataclasses.replace(low, random=np.zeros((60, 60)))
    options = {"kappa": [[1.0, -0.5], [0.2, 0.3]], "method": method}
    runs = [simulate(net, {"A": drive}, 3.0, 0.1, **options) for net in (low, zero)]
    for name in ("x", "kappa", "v", "z", "outside"):
        found, expected = (getattr(run, name) for run in runs)
        np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING)
    if method != "rk4":
        runs = [simulate(net, None, 3.0, 0.1, 5, trials=3, noise=0.4, method=method) for net in (low, zero)]
        np.testing.assert_allclose(runs[0].x, runs[1].x, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("method", stepping.METHODS)
def test_trials_and_networks_are_what_they_are_alone(method, monkeypatch):
    nets, start = [network(seed) for seed in range(3)], rng(1).standard_normal((3, 5, 60))
    options = {"inputs": {"A": drive}, "duration": 2.0, "dt": 0.1, "method": method}
    if method != "rk4":
        options |= {"noise": 0.3, "seed": 2}
    together = simulate(nets, start=start, **options)
    alone = simulate(nets[0], start=start[0], **options)
    np.testing.assert_allclose(together.x[0], alone.x, rtol=0, atol=ROUNDING)
    one = simulate(nets[0], start=start[0, :1], **options)
    np.testing.assert_allclose(together.kappa[0, :1], one.kappa, rtol=0, atol=ROUNDING)
    for block, trials in ((1, 1), (90, 2), (400, 64)):
        monkeypatch.setattr(stepping, "_BLOCK", block)
        monkeypatch.setattr(stepping, "_TOGETHER", trials)
        cut = simulate(nets, start=start, **options)
        np.testing.assert_allclose(cut.x, together.x, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(cut.kappa, together.kappa, rtol=0, atol=ROUNDING)


def test_float32_is_close_to_float64_and_takes_no_copy_of_what_fits():
    net = network(n=200)
    assert stepping.System.of((net,), np.dtype(float)).random[0] is net.random
    runs = [simulate(net, {"A": drive}, 4.0, 0.1, kappa=np.eye(2), dtype=dtype) for dtype in ("float64", "float32")]
    assert runs[1].x.dtype == np.float32
    apart = np.abs(runs[1].x - runs[0].x).max()
    assert 0 < apart < 1000 * np.finfo(np.float32).eps * np.abs(runs[0].x).max()


def test_what_does_not_fit_together_is_refused():
    net = network()
    with pytest.raises(ValueError, match="same has_random: got True first, and False for network 1"):
        simulate([net, dataclasses.replace(net, random=None)], None, 1.0)


def test_m_need_not_determine_kappa_where_the_filter_does():
    net = network()
    alike = dataclasses.replace(net, m=net.m[:, [0, 0]])
    run = simulate(alike, None, 1.0, 0.1, kappa=[1.0, 0.5])
    np.testing.assert_allclose(run.kappa[0], [1.0, 0.5])
    with pytest.raises(ValueError, match="m has rank 1"):
        simulate(dataclasses.replace(alike, random=None), None, 1.0, 0.1)


# ---- rest


def test_units_come_to_rest_at_fixed_points_of_the_dense_network():
    net, u = dataclasses.replace(draw(MIXTURE.scale_overlap("n1", "m1", 2.0), 60, 0), tau=TAU), {"A": 0.03}
    ends = relax(net, rng(0).uniform(-3, 3, (8, 2)), u, tolerance=1e-11)
    assert ends.success
    phi = np.tanh(ends.x)
    slope = -ends.x + phi @ dense(net).T + 0.03 * net.I[:, 0]
    np.testing.assert_allclose(np.abs(slope).max(axis=-1) / TAU, ends.speed, rtol=0, atol=1e-13)
    np.testing.assert_allclose(ends.kappa, phi @ net.n / 60, rtol=0, atol=1e-9)
    assert len(np.unique(ends.time)) > 1 and len(np.unique(ends.kappa.round(6), axis=0)) > 1


@pytest.mark.parametrize("g", [0.5, 0.8])
def test_without_structure_a_weak_random_part_dies_out(g):
    """For g < 1 zero is stable; the activity ends below exp((g - 1) t) times a factor from the non-normal start."""
    c = mf.Connectivity.from_overlaps([{}], 1, ("A",), g=g)
    net = draw(c, 300, 0)
    start, t = rng(1).standard_normal((4, 300)), 60.0
    run = simulate(net, None, t, 0.1, start=start, record_x=False)
    assert (np.abs(run.end).max(axis=-1) < 30 * np.exp((g * 1.1 - 1) * t)).all()
    moving = simulate(draw(dataclasses.replace(c, g=1.6), 300, 0), None, t, 0.1, start=start, record_x=False)
    assert (moving.outside[:, -1] > 0.3).all()


def test_an_explosion_is_said_and_stops_at_its_trial():
    c = mf.Connectivity.from_overlaps([{"mean m1": 1.0, "n1 m1": 2.0, "mean n1": 2.0}], 1, ("A",), ("w",), g=0.3)
    net = draw(c, 100, 0, transfer="relu")
    run = simulate(net, None, 100.0, 0.1, kappa=[[1.0], [0.0]])
    assert run.exploded.tolist() == [True, False] and np.isnan(run.kappa[0, -1]).all() and not run.kappa[1].any()
    ends = relax(net, [[1.0], [0.0]])
    assert ends.status.tolist() == ["exploded", "fixed point"] and np.isnan(ends.kappa[0]).all()


def test_a_readout_of_x_itself_and_other_functions():
    net = Network(*(getattr(network(), kind) for kind in ("m", "n", "I", "w")), transfer="erf", random=network().random)
    phi, x = mf.get_transfer("erf"), np.zeros(60)
    run = simulate(dataclasses.replace(net, readout_transfer="identity"), {"A": 1.0}, 1.0, 0.1, method="euler")
    for _ in range(10):
        x += 0.1 * (-x + dense(net) @ phi(x) + net.I[:, 0])
    np.testing.assert_allclose(run.end, x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.z[:, 0], run.x @ net.w[:, 0] / 60, rtol=0, atol=ROUNDING)
