"""Later stages of a fit: projected activity, gradients through time, and what they are taken for."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from lint_teachers import drive, teacher
from meanfield.validation.lint.activity import prepare
from meanfield.validation.lint.curves import dimension, rank_curve, subsampling
from meanfield.validation.lint.fitting import lint
from meanfield.validation.lint.prediction import free_errors, free_score
from meanfield.validation.lint.projection import Projection, filtered
from meanfield.validation.lint.ranks import select_rank
from meanfield.validation.lint.recovery import activity_of, noisy_rates
from meanfield.validation.lint.stages import refine, replica, step_residual
from meanfield.validation.tasks.catalogue import get_task

from meanfield.transfer import get_transfer

SIZE, STEPS = 60, 30


def closed(x, u, rank, net, **options):
    options = {"variable": "current"} | options
    return lint(x, u, rank, dt=net.dt, tau=net.tau, method="closed form", **options)


def noise_free(rank=2, count=40, **options):
    net = teacher(rank, SIZE, inputs=2)
    u = drive(count, inputs=2, **options)
    return net, activity_of(net, u, 0.0, None), u


def few_neurons():
    """The closed form of four neurons of a network of rank two."""
    net, x, u = noise_free(count=80)
    return closed(x[..., :4], u, 2, net)


def full_rank(seed=0, gain=1.2):
    """A rank-one network with a strong random part."""
    random = gain * np.random.default_rng(seed).standard_normal((SIZE, SIZE)) / np.sqrt(SIZE)
    return replace(teacher(1, SIZE), random=random)


@pytest.fixture(scope="module")
def noisy():
    """A network of rank two, noise on its recorded rates, its clean activity, and the closed form."""
    net, x, u = noise_free(count=60)
    fit = closed(noisy_rates(x, "tanh", 0.3, 3), u, 2, net, variable="rate")
    return net, prepare(x, u, net.dt, net.tau, "current", "tanh"), fit


# ---- projected activity ----------------------------------------------------------------------------


def test_filtered_inputs_are_the_sum_over_their_past():
    u, a = np.random.default_rng(0).standard_normal((9, 2)), 0.3
    direct = [sum((a * (1 - a) ** (t - 1 - s) * u[s] for s in range(t)), np.zeros(2)) for t in range(10)]
    assert np.allclose(filtered(u, a), direct, rtol=0, atol=1e-14)


def test_a_network_of_the_rank_is_left_as_it_is_by_the_projection():
    net, x, u = noise_free()
    start = np.random.default_rng(1).standard_normal((len(u), SIZE))
    runs = [activity_of(replace(net, x0=x0), one[None], 0.0, None)[0] for x0, one in zip(start, u, strict=True)]
    lengths = 12 + np.arange(len(u)) % 19  # trials of unequal length
    xs = [run[:length] for run, length in zip(runs, lengths, strict=True)]
    us = [one[: length - 1] for one, length in zip(u, lengths, strict=True)]
    activity = prepare(xs, us, net.dt, net.tau, "current", "tanh")
    projection = Projection.of(activity, range(len(us)), 4)
    for b, one in enumerate(xs):
        assert np.allclose(projection.x(b, 2), one, rtol=0, atol=1e-9)
        assert np.allclose(projection.x(b, 4), one, rtol=0, atol=1e-9)
    assert np.abs(projection.x(0, 1) - xs[0]).max() > 0.05
    assert projection.bound(2).r2 > 1 - 1e-12 > projection.bound(1).r2


def test_a_network_of_higher_rank_is_fitted_as_well_as_its_projection_allows():
    big = full_rank()
    u = drive(60)
    fit = closed(activity_of(big, u, 0.0, None), u, 1, big)
    refined = refine(fit, "projected")
    bound = Projection.of(fit.activity, fit.train, 1).bound(1, fit.held_out).r2
    gained = refined.r2.r2 - fit.r2.r2
    assert gained > 0.01 and abs(refined.r2.r2 - bound) < 0.3 * gained
    assert [stage.name for stage in refined.stages] == ["closed form", "projected"]
    assert np.isnan(refined.expected_cosine) and refined.network.rank == 1


def test_lint_takes_the_stages_that_it_is_asked_for():
    big = full_rank()
    u = drive(60)
    x, options = activity_of(big, u, 0.0, None), {"dt": big.dt, "tau": big.tau, "variable": "current", "w": big.w}
    by_method = {method: lint(x, u, 1, method=method, **options) for method in ("auto", "closed form", "projected")}
    names = {method: [stage.name for stage in fit.stages] for method, fit in by_method.items()}
    assert names["closed form"] == ["closed form"] and names["projected"] == ["closed form", "projected"]
    assert names["auto"][:2] == names["projected"]
    direct = refine(by_method["closed form"], "projected")
    assert (direct.network.n == by_method["projected"].network.n).all() and (direct.network.w == big.w).all()
    with pytest.raises(ValueError, match="closed form"):
        lint(x, u, 1, method="close form", **options)


def test_auto_leaves_alone_what_has_nothing_to_gain_and_no_stage_makes_it_worse():
    net, x, u = noise_free()
    fit = closed(x, u, 2, net)
    assert refine(fit) is fit
    forced = refine(fit, "projected")
    assert "not taken" in forced.stages[-1].text and forced.network is fit.network
    # private noise that moves kappa: a free run misses it, and nothing can be gained
    wandering = closed(activity_of(net, u, 0.1, 1), u, 2, net)
    assert "gradients" not in [stage.name for stage in refine(wandering).stages]


def test_a_replica_is_the_network_with_its_own_noise():
    net, x, u = noise_free(count=4)
    activity = prepare(x, u, net.dt, net.tau, "current", "tanh")
    same = replica(replace(net, noise_std=0.0), activity, 0)
    assert all(np.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(same.x, activity.x, strict=True))
    noisy = replica(replace(net, noise_std=0.05), activity, 0)
    found = step_residual(net, noisy, range(4))
    # 4 * 30 * 60 squares of normal numbers
    # 4 * 30 * 60 squares of normal numbers; the white part takes the autocovariances' errors too
    assert found == pytest.approx(0.05, rel=4 / np.sqrt(2 * 4 * STEPS * SIZE))
    white = step_residual(net, noisy, range(4), white=True)
    assert white == pytest.approx(0.05, rel=4 * np.sqrt((2 + 4 + 1) / 4) / np.sqrt(4 * STEPS * SIZE))
    lasting = replace(net, m=0.9 * net.m)  # a network that misses something, and no noise
    assert step_residual(lasting, activity, range(4), white=True) < 0.4 * step_residual(lasting, activity, range(4))


# ---- gradients -------------------------------------------------------------------------------------


def slow_error(params, windows, step, phi):
    """The squared error, by a loop over trials and steps."""
    total, N = 0.0, len(params["m"])
    for b in range(windows.x.shape[1]):
        x = windows.x[:, b]
        for t in range(len(windows.u)):
            kappa = params["n"].T @ phi(x) / N
            x = (1 - step) * x + step * (params["m"] @ kappa + params["I"] @ windows.u[t, :, b])
            total += windows.weight[t, b] * ((phi(x) - windows.rates[t, :, b]) ** 2).sum()
    return total


@pytest.mark.parametrize("transfer", ["tanh", "erf"])
def test_gradients_are_finite_differences_of_a_loop(transfer):
    jax = pytest.importorskip("jax", reason="the extra fit is not installed")
    from meanfield.validation.lint.gradients import Windows, squared_error

    from meanfield.traced import double_precision

    rng = np.random.default_rng(0)
    params = {"m": rng.standard_normal((5, 2)), "n": rng.standard_normal((5, 2)), "I": rng.standard_normal((5, 3))}
    x, u = rng.standard_normal((5, 4)), rng.standard_normal((6, 3, 4))
    weight = (np.arange(6)[:, None] < [6, 6, 3, 4]).astype(float)
    windows = Windows(x, u, rng.standard_normal((6, 5, 4)), weight)
    with double_precision():
        evaluate = jax.jit(squared_error(0.2, transfer))
        value, slopes = jax.tree.map(np.asarray, evaluate(params, windows))
    phi = get_transfer(transfer)
    assert np.isclose(value, slow_error(params, windows, 0.2, phi), rtol=1e-12)
    h = 1e-5  # error h^2 of the difference, 1e-16 / h of rounding
    for key, slope in slopes.items():
        for i in np.ndindex(slope.shape):
            either = []
            for sign in (1, -1):
                moved = {k: p.copy() for k, p in params.items()}
                moved[key][i] += sign * h
                either.append(slow_error(moved, windows, 0.2, phi))
            assert np.isclose(slope[i], (either[0] - either[1]) / (2 * h), rtol=1e-6, atol=1e-7 * abs(value)), key


def test_gradients_recover_what_noise_on_the_rates_hides_from_one_step(noisy):
    pytest.importorskip("jax", reason="the extra fit is not installed")
    net, clean, fit = noisy
    before = free_score(fit.network, clean, fit.held_out)
    refined = refine(fit, "gradients", steps=200, learning_rate=1e-2)
    after = free_score(refined.network, clean, fit.held_out)
    assert before.r2 < 0.96 and 1 - after.r2 < 0.7 * (1 - before.r2), (before, after)
    assert refined.stages[-1].name == "gradients" and "steps of gradients" in str(refined)
    numbers = refined.stages[-1].numbers
    assert numbers["r2"].max() > numbers["r2"][0] and (np.diff(numbers["seconds_at"]) > 0).all()
    residual = step_residual(refined.network, fit.activity, fit.train)
    assert refined.network.noise_std == pytest.approx(residual) and residual > 0
    # the recorded trials as the descent looked at them, by the simulator
    look = np.asarray(fit.train)
    errors = free_errors(refined.network, fit.activity, look)
    assert errors.sum() < free_errors(fit.network, fit.activity, look).sum()


def test_auto_takes_gradients_where_few_neurons_must_do_for_all():
    pytest.importorskip("jax", reason="the extra fit is not installed")
    fit = few_neurons()
    refined = refine(fit, steps=100, learning_rate=1e-2)
    assert refined.stages[-1].name == "gradients" and 1 - refined.r2.r2 < 0.7 * (1 - fit.r2.r2), refined


def test_a_descent_of_windows_from_a_random_start_finds_the_network():
    pytest.importorskip("jax", reason="the extra fit is not installed")
    from meanfield.validation.lint.gradients import descend

    net, x, u = noise_free(1, 30)
    rng = np.random.default_rng(0)
    start = replace(net, m=rng.standard_normal((SIZE, 1)), n=rng.standard_normal((SIZE, 1)), I=0 * net.I)
    activity = prepare(x, u, net.dt, net.tau, "current", "tanh")
    parts = activity, range(20), range(20, 30)
    options = {"learning_rate": 3e-2, "windows": (0.2, 1), "look_every": 30}
    found = descend(start, *parts, steps=180, **options)
    assert found.r2[0] < 0.3 and found.best > 0.97 and found.success, str(found)
    once, again = (descend(start, *parts, steps=3, **options) for _ in range(2))
    assert (once.network.m == again.network.m).all() and once.status.name == "OUT_OF_STEPS"
    right = descend(net, *parts, steps=50, look_every=1, patience=3, batch=20)
    assert right.status.name == "STOPPED_EARLY" and len(right.looked) == 4 and not right.looked[0]
    assert np.allclose(right.network.m @ right.network.n.T, net.m @ net.n.T, rtol=0, atol=1e-4)


def test_a_descent_that_diverges_or_is_interrupted_keeps_the_best(monkeypatch):
    pytest.importorskip("jax", reason="the extra fit is not installed")
    from meanfield.validation.lint import gradients

    net = replace(teacher(1, SIZE), transfer="relu")
    net = replace(net, n=net.n / 4)
    u = drive(10)
    activity = prepare(activity_of(net, u, 0.0, None), u, net.dt, net.tau, "current", "relu")
    start = replace(net, n=0.5 * net.n)
    wild = gradients.descend(start, activity, range(8), [8, 9], learning_rate=1e4, steps=20)
    assert wild.status.name == "DIVERGED" and not wild.success and "lower learning_rate (now 10000)" in wild.message
    assert f"at step {len(wild.error)}" in wild.message and wild.best == wild.r2[0]
    assert np.allclose(wild.network.m @ wild.network.n.T, start.m @ start.n.T, rtol=0, atol=1e-5)

    draw, calls = gradients._Samples.draw, []

    def stop(self, *args):
        calls.append(args)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return draw(self, *args)

    monkeypatch.setattr(gradients._Samples, "draw", stop)
    half = gradients.descend(start, activity, range(8), [8, 9], steps=20, look_every=1)
    assert half.status.name == "INTERRUPTED" and "after 4 steps" in half.message and half.best == half.r2.max()


def test_what_makes_no_sense_is_told(noisy, monkeypatch):
    _, _, fit = noisy
    for options, message in {
        ("gradient",): "unknown method 'gradient'",
        ("closed form",): "unknown method",
    }.items():
        with pytest.raises(ValueError, match=message):
            refine(fit, *options)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r"lowrank-meanfield\[fit\]"):
        refine(fit, "gradients")
    few = few_neurons()
    without = refine(few)
    assert "lowrank-meanfield[fit]" in without.stages[-1].text and without.stages[-1].name == "gradients"
    assert without.network.m.shape == few.network.m.shape
    monkeypatch.undo()
    pytest.importorskip("jax", reason="the extra fit is not installed")
    for key, value, message in (
        ("windows", (0.5, 2), "windows must be shares"),
        ("dtype", "float16", "dtype must be"),
        ("learning_rate", 0.0, "learning_rate"),
        ("steps", 0, "steps"),
    ):
        with pytest.raises(ValueError, match=message):
            refine(fit, "gradients", **{key: value})
    random = replace(fit, network=replace(fit.network, random=np.eye(SIZE)))
    from meanfield.validation.lint.gradients import descend

    with pytest.raises(ValueError, match="random part"):
        descend(random.network, fit.activity, fit.train, fit.train)


# ---- curves ----------------------------------------------------------------------------------------

TASK = get_task("rdm", fixation=20, stimulus=200, delay=60, decision=40)


def test_curves_over_ranks_and_over_neurons():
    big = replace(full_rank(), dt=20.0, tau=100.0)
    trials, test = TASK.trials(20, 1), TASK.trials(15, 2)
    curve = rank_curve(big, trials, test, (1, 2, SIZE), method="closed form")
    assert curve.truncated[-1].r2 == pytest.approx(1, abs=1e-12)  # J, whole
    assert curve.truncated_accuracy[-1].share == curve.teacher_accuracy.share
    assert len(curve.truncated[0].per_trial) == len(curve.fits[0].held_out) == len(test)
    assert curve.truncated[0].r2 < curve.r2[0] < curve.r2[1]
    assert 1 < curve.dimension < 10 and "R^2 of J cut" in str(curve) and "RankCurve" in repr(curve)
    part = subsampling(big, trials, test, 1, (1.0, 0.1), subsets=2, method="closed form")
    assert part.r2[0] == pytest.approx(curve.r2[0], rel=1e-9) and part.neurons.tolist() == [SIZE, 6]
    assert not np.allclose(*part.r2[1]) and (part.recorded_accuracy[0] >= 0.8).all()
    assert "10.0%" in str(part) and "Subsampling" in repr(part)
    for record in (curve, part):
        figure = record.figure
        assert len(figure.draw().axes) == 2 and figure.caption
    with pytest.raises(ValueError, match="one length"):
        rank_curve(big, trials, get_task("rdm").trials(2, 0))
    with pytest.raises(ValueError, match="unknown method"):
        subsampling(big, trials, test, 1, method="best")
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        subsampling(big, trials, test, 1, shares=(0.0,))


def test_dimension_counts_independent_rates():
    rates = np.random.default_rng(0).standard_normal((4000, 3)) @ np.eye(3, 7)
    assert dimension(rates) == pytest.approx(3, abs=0.02)


def test_every_rank_gets_its_later_stages_before_one_is_chosen():
    big = full_rank()
    u = drive(60)
    x = activity_of(big, u, 0.0, None)
    options = {"dt": big.dt, "tau": big.tau, "variable": "current"}
    plain, refined = (select_rank(x, u, (1, 2), method=m, **options) for m in ("closed form", "projected"))
    assert [[stage.name for stage in fit.stages] for fit in refined.fits] == 2 * [["closed form", "projected"]]
    assert (refined.r2 > plain.r2).all() and refined.r2[0] > plain.r2[0] + 0.01
    for fit in refined.fits:
        alone = lint(x, u, fit.rank, method="projected", **options)
        assert alone.r2.r2 == pytest.approx(fit.r2.r2, abs=1e-9)
    with pytest.raises(ValueError, match="unknown method 'adam'"):
        select_rank(x, u, 1, method="adam", **options)
