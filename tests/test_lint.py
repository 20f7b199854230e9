"""LINT, first stage: planted networks come back as far as activity identifies them, and hostile files do not get in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lint_teachers import NOISE, A, dense, drive, fitted, recorded, teacher
from meanfield.validation import simulate
from meanfield.validation.lint import benchmarking, regression
from meanfield.validation.lint.activity import prepare, split
from meanfield.validation.lint.comparison import compare_connectivity
from meanfield.validation.lint.fitting import Stage, Status, lint
from meanfield.validation.lint.prediction import free_score, squares_about_mean
from meanfield.validation.lint.ranks import select_rank
from meanfield.validation.lint.recordings import Recording
from meanfield.validation.lint.recovery import activity_of, average_conditions, noisy_rates
from meanfield.validation.lint.regression import Regression, moments
from numpy.testing import assert_allclose

from meanfield.transfer import get_transfer


@pytest.fixture(scope="module")
def planted():
    net = teacher()
    return net, *recorded(net, 80)


# The regression against slow twins


def slow_twin(phi, u, y, ridge, rank):
    """J of the truncated ridge regression: all of it dense, the inputs as unpenalised columns."""
    N = phi.shape[1]
    z = np.hstack([phi, u])
    penalty = np.zeros(z.shape[1])
    penalty[:N] = ridge * (phi**2).sum() / N
    both = np.linalg.solve(z.T @ z + np.diag(penalty), z.T @ y).T
    rest = phi - u @ np.linalg.lstsq(u, phi)[0] if u.shape[1] else phi
    L = np.linalg.cholesky(rest.T @ rest + np.diag(penalty[:N]))
    left, s, right = np.linalg.svd(both[:, :N] @ L)
    J = np.linalg.solve(L.T, ((left[:, :rank] * s[:rank]) @ right[:rank]).T).T
    return J, np.linalg.lstsq(u, y - phi @ J.T)[0].T if u.shape[1] else np.zeros((N, 0))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(1, 3), inputs=st.integers(0, 2))
def test_the_regression_is_the_truncated_ridge_regression(seed, rank, inputs):
    rng = np.random.default_rng(seed)
    phi, u = np.tanh(rng.standard_normal((60, 6))), rng.standard_normal((60, inputs))
    y = rng.standard_normal((60, 6)) + phi @ rng.standard_normal((6, 6))
    found = Regression(moments([(phi[:25], u[:25], y[:25]), (phi[25:], u[25:], y[25:])])).fit(rank, 0.01)
    J, I = slow_twin(phi, u, y, 0.01, rank)
    assert_allclose(found.m @ found.n.T / 6, J, rtol=0, atol=1e-9)
    assert_allclose(found.I, I, rtol=0, atol=1e-9)
    for loadings in (found.m, found.n):
        gram = loadings.T @ loadings / 6
        assert_allclose(gram, np.diag(np.diagonal(gram)), rtol=0, atol=1e-9 * gram.max())
    assert_allclose(found.m.T @ found.m, found.n.T @ found.n, rtol=0, atol=1e-8)


def test_no_other_matrix_of_that_rank_fits_better():
    """Small changes of the factors only raise the penalised error, with the best inputs for each."""
    rng = np.random.default_rng(5)
    phi, u, noise = rng.standard_normal((80, 5)), rng.standard_normal((80, 1)), rng.standard_normal((80, 5))
    y = phi @ rng.standard_normal((5, 5)) + u + noise
    found = Regression(moments([(phi, u, y)])).fit(2, 0.05)

    def error(m, n):
        J = m @ n.T / 5
        rest = y - phi @ J.T
        rest = rest - u @ np.linalg.lstsq(u, rest)[0]
        return (rest**2).sum() + 0.05 * (phi**2).sum() / 5 * (J**2).sum()

    best = error(found.m, found.n)
    for _ in range(50):
        m, n = (a + 1e-3 * rng.standard_normal(a.shape) for a in (found.m, found.n))
        assert error(m, n) > best


def test_the_evidence_is_that_of_a_gaussian():
    """Against the density of y with covariance s^2 (1 + phi phi^T / ridge), at its best s."""
    rng = np.random.default_rng(2)
    phi, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 3))
    one = Regression(moments([(phi, np.zeros((12, 0)), y)]))
    values = one.evidence(np.eye(3)[:, :1])
    for g in (60, 110, 130):
        ridge = regression.GRID[g] * one.scale
        shape = np.eye(12) + phi @ phi.T / ridge
        s2 = y[:, 0] @ np.linalg.solve(shape, y[:, 0]) / 12
        exact = -6 * (1 + np.log(2 * np.pi * s2)) - np.linalg.slogdet(shape)[1] / 2
        assert_allclose(values[g] - 6 * (1 + np.log(2 * np.pi)), exact, atol=1e-8)


# Planted networks


def test_a_noise_free_network_is_reproduced_but_not_identified():
    net = teacher()
    x, u = recorded(net, 20, noise=0.0)
    fit = fitted(net, x, u)
    assert fit.r2.r2 > 1 - 1e-6 and fit.success and np.isnan(fit.expected_cosine)
    found, rates = compare_connectivity(fit, net), np.tanh(x[:, :-1]).reshape(-1, 60)
    # J phi is right wherever the activity went, J itself is not
    assert_allclose(rates @ dense(fit.network).T, rates @ dense(net).T, atol=1e-3)
    assert found.cosine < 0.98 and found.identifiable_cosine > 0.999
    # what is missing in n is orthogonal to all rates, and nothing in the activity changes with it
    basis = np.linalg.svd(rates, full_matrices=True)[2]
    blind = basis[-1]
    assert np.abs(rates @ blind).max() < 1e-6
    other = replace(net, n=net.n + 5 * blind[:, None], mixture=None)
    assert_allclose(activity_of(other, u, 0.0, None), x, atol=1e-5)


def test_private_noise_identifies_the_network(planted):
    net, x, u = planted
    fit = fitted(net, x, u)
    found = compare_connectivity(fit, net)
    assert found.cosine > 0.95 and found.identifiable_cosine > 0.999
    assert abs(found.cosine - fit.expected_cosine) < 0.03
    assert fit.network.noise_std == pytest.approx(NOISE, rel=0.03)
    clean = prepare(activity_of(net, drive(10, seed=9), 0.0, None), drive(10, seed=9), A, 1.0, "current", "tanh")
    assert free_score(fit.network, clean, range(10)).r2 > 0.999
    ceiling = free_score(net, fit.activity, fit.held_out)
    assert abs(fit.r2.r2 - ceiling.r2) < 0.02
    assert set(fit.train) | set(fit.held_out) == set(range(80)) and not set(fit.train) & set(fit.held_out)
    assert fit.explained > 0.8
    assert_allclose(fit.axes.T @ fit.axes, np.eye(2), atol=1e-12)
    kappa, v = fit.coordinates(np.array([0.7, -0.2]) @ np.hstack([fit.network.m, fit.network.I]).T)
    assert_allclose([*kappa, *v], [0.7, -0.2], atol=1e-9)


def test_errors_of_the_loadings_are_right(planted):
    """z-scores of n and I over neurons have variance one; m and n share a scale, taken from the teacher."""
    net, x, u = planted
    fit = fitted(net, x, u)
    scale = np.linalg.lstsq(fit.network.m, net.m)[0]
    n = fit.network.n @ np.linalg.inv(scale).T
    for found, true, error in (
        (n, net.n, fit.n_error * np.abs(np.linalg.inv(scale))),
        (fit.network.I, net.I, fit.I_error),
        (fit.network.m @ scale, net.m, fit.m_error * np.abs(scale)),
    ):
        z = (found - true) / error
        assert 0.7 < z.std() < 1.3


def test_rates_and_currents_give_one_fit(planted):
    net, x, u = planted
    one = fitted(net, x, u)
    two = lint(np.tanh(x), u, 1, dt=A)
    assert_allclose(one.network.n, two.network.n, rtol=1e-5, atol=1e-6)
    assert two.activity.clipped == 0 and "phi(+-10)" in two.stages[0].text


def test_noise_on_the_rates_is_clipped_and_said():
    net = teacher()
    x, u = recorded(net)
    fit = lint(noisy_rates(2 * x, "tanh", 0.02, 3), u, 1, dt=A)
    assert fit.activity.clip == 3.0 and 0 < fit.activity.clipped < 0.5 and "beyond" in fit.stages[0].text


def test_how_far_rates_stand_for_x():
    """Large x without noise is no noise: beyond 10 for softplus and logistic, into rounding for erf."""
    x = np.random.default_rng(0).uniform(-12, 30, (2, 50, 4))
    wide = prepare(get_transfer("softplus")(x), None, 0.1, 1.0, "rate", "softplus")
    assert wide.clip == 10 and 0 < wide.clipped < 0.2
    assert_allclose(wide.x, np.maximum(x, -10), rtol=1e-7)
    rates = get_transfer("logistic")(np.clip(x, -12, 12))
    assert_allclose(prepare(rates, None, 0.1, 1.0, "rate", "logistic").x, np.clip(x, -10, 10), atol=1e-9)
    close = np.clip(x, -6, 6)
    assert_allclose(
        prepare(get_transfer("erf")(close), None, 0.1, 1.0, "rate", "erf").x, np.clip(x, -4.8, 4.8), atol=1e-7
    )
    for phi in ("tanh", "erf"):
        assert np.isfinite(prepare(get_transfer(phi)(x), None, 0.1, 1.0, "rate", phi).x).all()
    with pytest.raises(ValueError, match="clip: got 30, where tanh is saturated"):
        prepare(np.tanh(x), None, 0.1, 1.0, "rate", "tanh", 30)


def test_rates_in_other_units_are_refused():
    x = np.random.default_rng(0).standard_normal((4, 20, 5))
    for rates, phi in ((3 * np.tanh(x), "tanh"), (20 * np.tanh(x), "tanh"), (np.tanh(x), "logistic"), (x, "softplus")):
        with pytest.raises(ValueError, match="of the rates lie far beyond what .* rescale them"):
            prepare(rates, None, 0.1, 1.0, "rate", phi)
    assert prepare(3 * np.tanh(x), None, 0.1, 1.0, "rate", "tanh", 3).clipped > 0.3
    # noise on saturated neurons is no unit
    noisy = noisy_rates(5 * x, "tanh", 0.2, 1)
    assert prepare(noisy, None, 0.1, 1.0, "rate", "tanh").clip == 3.0


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_rates_that_do_not_vary_are_refused(value):
    with pytest.raises(ValueError, match="the rates do not vary"):
        lint(np.full((4, 20, 5), value), np.ones((4, 20, 1)), 1, dt=0.1)


def test_trials_in_an_array_of_objects():
    trials = [0.1 * np.random.default_rng(k).standard_normal((10 + k, 3)) for k in range(3)]
    held = np.empty(3, dtype=object)
    held[:] = trials
    assert prepare(held, None, 0.1, 1.0, "rate", "tanh").lengths.tolist() == [10, 11, 12]


@pytest.mark.parametrize("phi", ["tanh", "logistic", "softplus", "erf"])
def test_every_inverse_inverts(phi):
    x = np.random.default_rng(0).uniform(-3, 3, (2, 5, 4))
    activity = prepare(get_transfer(phi)(x), None, 0.1, 1.0, "rate", phi)
    assert_allclose(activity.x, x, atol=1e-9)


def test_the_rank_of_the_teacher_is_chosen():
    net = teacher(2, 80)
    x, u = recorded(net, 40)
    found = select_rank(x, u, [1, 2, 3, 4], dt=A, variable="current")
    assert found.chosen == 2 and found.fit.rank == 2 and "<-" in str(found)
    assert found.shortfall[0] > 2 * found.shortfall_error[0]
    assert found.figure.data["r2"].shape == (4,)
    found.figure.draw()
    one = fitted(net, x, u)
    assert_allclose(found.fit.network.m, one.network.m, atol=1e-9)


def test_trials_of_unequal_length_and_no_inputs():
    net = teacher()
    x, u = recorded(net, 30)
    lengths = np.random.default_rng(0).integers(15, 31, 30)
    short = fitted(net, [a[:n] for a, n in zip(x, lengths, strict=True)],
                   [a[:n] for a, n in zip(u, lengths, strict=True)])  # fmt: skip
    assert short.r2.r2 > 0.8
    # against the score of every trial on its own
    for i, b in enumerate(short.held_out[:3]):
        alone = simulate(short.network, short.activity.inputs[b], (lengths[b] - 1) * A, A, start=x[b, 0],
                         method="euler", record_x=True).x  # fmt: skip
        assert_allclose(
            ((np.tanh(alone[1:]) - np.tanh(x[b, 1 : lengths[b]])) ** 2).sum(),
            (1 - short.r2.per_trial[i]) * _squares(short, i), rtol=1e-9,
        )  # fmt: skip
    quiet = simulate(net, None, 6.0, A, 4, start=2 * np.random.default_rng(1).standard_normal((20, 60)),
                     method="euler", noise=NOISE / np.sqrt(A), record_x=True).x  # fmt: skip
    alone = replace(net, I=np.zeros((60, 0)), input_names=(), mixture=None)
    assert compare_connectivity(fitted(alone, quiet, None), alone).cosine > 0.8


def _squares(fit, i):
    return squares_about_mean(fit.activity, fit.held_out)[i]


def test_tau_is_found_by_prediction(planted):
    net, x, u = planted
    fit = lint(x, u, 1, dt=A, tau=(0.5, 1.0, 2.0), variable="current")
    assert fit.network.tau == 1.0 and "tau = 1, chosen" in fit.stages[0].text


def test_inputs_that_repeat_are_learned_and_others_refused():
    net = teacher(inputs=1)
    base = drive(4, seed=2) * 1.5
    which = np.arange(80) % 4
    x = activity_of(net, base[which], NOISE, 3)
    fit = fitted(net, x, "unknown", conditions=which)
    found = compare_connectivity(fit, net)
    assert found.cosine > 0.9 and found.identifiable_cosine > 0.999 and found.angles["I"][0] < 1 and fit.r2.r2 > 0.7
    learned = np.stack([fit.activity.inputs[b] for b in range(4)])
    assert abs(np.corrcoef(learned.ravel(), base.ravel())[0, 1]) > 0.999
    with pytest.raises(ValueError, match="nothing tells an input from the recurrence"):
        fitted(net, x, "unknown", conditions=np.arange(80))


def test_averages_do_not_identify_what_noise_does():
    net = teacher()
    which = np.arange(120) % 6
    u = drive(6, seed=4)
    x = activity_of(net, u[which], NOISE, 5)
    mean = average_conditions(x, which)
    single, averaged = fitted(net, x, u[which]), fitted(net, mean, u)
    scores = [compare_connectivity(fit, net) for fit in (single, averaged)]
    assert scores[0].cosine > scores[1].cosine + 0.1 and scores[1].identifiable_cosine > 0.97


def test_fewer_neurons_still_tell_the_latent_course():
    net = teacher(size=120)
    x, u = recorded(net, 60)
    some = fitted(net, x[..., ::4], u)
    assert some.network.n_neurons == 30 and some.r2.r2 > 0.7
    full = np.corrcoef(some.coordinates(x[..., ::4])[0].ravel(), fitted(net, x, u).coordinates(x)[0].ravel())
    assert abs(full[0, 1]) > 0.95


def test_another_stage_starts_from_the_fit(planted):
    net, x, u = planted
    fit = fitted(net, x, u).with_network(net, Stage("gradients", "a stage"))
    assert [s.name for s in fit.stages] == ["closed form", "gradients"] and np.isnan(fit.expected_cosine)
    assert fit.network is net and fit.status is Status.FITTED


def test_a_network_beats_its_surrogate_and_the_last_sample():
    net = teacher(2, 30)
    x, _ = recorded(replace(net, I=0 * net.I, mixture=None), 60, noise=0.2)
    start = np.random.default_rng(3).standard_normal((60, 2)) @ net.m.T
    x = simulate(net, None, 8.0, A, 2, start=start, method="euler", noise=0.1 / np.sqrt(A), record_x=True).x
    found = benchmarking.benchmark_recording(Recording(x, dt=A, name="planted"), (1, 2, 3), horizons=(1, 10))
    rank, best = found.best("network", 10)
    assert rank >= 2 and best.r2 > found.best("network, surrogate", 10)[1].r2 + 0.05
    assert best.r2 > found.best("last sample", 10)[1].r2 + 0.05
    assert best.r2 > found.best("linear", 10)[1].r2
    assert found.figure.data["network: r2"].shape == (3, 2) and "two lags" in str(found)
    found.figure.draw()


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dt": None}, "dt is missing"),
        ({"dt": 3.0}, "dt must be at most tau"),
        ({"rank": 11}, "rank must be at most the number of neurons, 10"),
        ({"rank": 0}, "rank must be an integer"),
        ({"rates": np.zeros((4, 10))}, r"expected \(trials, samples, neurons\)"),
        ({"rates": [np.zeros((6, 10)), np.zeros((5, 10))]}, "inputs are of 8 trials, the rates of 2"),
        ({"rates": [np.zeros((6, 10))] * 7 + [np.zeros((5, 10))]}, "trials of different length need lists"),
        ({"rates": [np.zeros((6, 10))] * 7 + [np.zeros((6, 9))]}, "trial 7 has 9 neurons, trial 0 has 10"),
        ({"rates": [np.zeros((6, 10))] * 7 + [np.zeros((1, 10))]}, "a step needs two"),
        ({"rates": [[1, "a"]]}, "expected real numbers"),
        ({"inputs": np.zeros((8, 4, 1))}, "6 samples like its rates, or 5 steps"),
        ({"inputs": np.zeros((7, 6, 1))}, "7 trials, the rates of 8"),
        ({"inputs": "unkown"}, "'unknown'"),
        ({"variable": "spikes"}, "variable must be"),
        ({"transfer": "relu"}, "do not determine x"),
        ({"method": "gradient"}, "unknown method"),
        ({"held_out": 1.5}, "share below 1"),
        ({"held_out": [9]}, "integers from 0 to 7"),
        ({"held_out": range(8)}, "none is left"),
        ({"w": np.zeros(3)}, "expected"),
        ({"conditions": [0] * 8}, "with known inputs they have no use"),
        ({"ridge": -1.0}, "ridge must be at least 0"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(change, message):
    rates = 0.5 * np.random.default_rng(0).standard_normal((8, 6, 10)).clip(-1.9, 1.9)
    good = {"rates": rates, "inputs": np.ones((8, 6, 1)), "rank": 1, "dt": 0.2}
    with pytest.raises(ValueError, match=message):
        lint(**(good | change))


def test_nan_is_named_with_its_place():
    rates = np.zeros((3, 5, 4))
    rates[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="nan in trial 1 at sample 2 of neuron 3.*list of trials"):
        lint(rates, None, 1, dt=0.1)


def test_a_rank_that_the_data_do_not_have_is_said():
    net = teacher()
    x, u = recorded(net, 10, noise=0.0)
    fit = fitted(net, x, u, rank=5, ridge=1e-12)
    assert fit.rank <= 5 and fit.r2.r2 > 0.999
    with pytest.raises(ValueError, match="two are needed"):
        fitted(net, x[:1], u[:1])
    idle = fitted(net, x, np.concatenate([u, 0 * u], -1))
    assert "1 input of 2 never on" in idle.stages[0].text and not idle.input_loadings[:, 1].any()


def test_the_split_is_seeded():
    one, two, other = split(50, 0.2, 1), split(50, 0.2, 1), split(50, 0.2, 2)
    assert (one[1] == two[1]).all() and not np.array_equal(one[1], other[1]) and len(one[1]) == 10
