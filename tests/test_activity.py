"""Statistics of the activity: against a slow twin, processes with known covariances, and the theory of chaos."""

import dataclasses

import numpy as np
import pytest
from meanfield.validation import activity
from meanfield.validation.activity import ActivityStatus, measure_activity, standard_error
from meanfield.validation.networks import draw
from meanfield.validation.simulation import relax, simulate
from scipy.optimize import brentq
from scipy.signal import lfilter

import meanfield as mf

TAU = 2.0
TWO = mf.Connectivity.from_overlaps(
    [
        {"weight": 0.4, "n1 m1": 1.0, "n1 A": 0.5, "mean m1": 0.5},
        {"weight": 0.6, "n1 m1": 0.5, "mean A": 1.0},
    ],
    1, ("A",), g=1.8,
)  # fmt: skip
SILENT = mf.Connectivity.from_overlaps([{}], 1, ("A",))


def rng(seed=0):
    return np.random.default_rng(seed)


# ---- the slow twin


def twin(run, net, lags, skip):
    """The same averages from a stored x, by loops over populations and lags."""
    x, found = run.x, {"mean": [], "rate": [], "delta": [], "delta_inf": []}
    for p in range(2):
        part = x[:, :, net.population == p]
        here = part[:, skip:]
        found["mean"].append(here.mean())
        found["rate"].append(np.tanh(here).mean())
        apart, size = part - part.mean(axis=-1, keepdims=True), part.shape[-1]
        count = here.shape[1]
        delta = [(apart[:, skip:] * apart[:, skip - k : skip - k + count]).sum() for k in range(lags)]
        found["delta"].append(np.array(delta) / (len(x) * count * (size - 1)))
        blocks = np.stack([b.mean(axis=1) for b in np.array_split(here, activity.BLOCKS, axis=1)], axis=1)
        pairs = [
            np.mean([np.cov(one[i], one[j])[0, 1] for one in blocks])
            for i in range(activity.BLOCKS)
            for j in range(activity.BLOCKS)
            if abs(i - j) >= activity.APART
        ]
        found["delta_inf"].append(np.mean(pairs))
    return {name: np.array(value) for name, value in found.items()}


@pytest.mark.parametrize("mixed", [False, True])
def test_averages_are_those_of_the_stored_activity(mixed, monkeypatch):
    """Also for neurons in any order, and when trials are worked on in pieces; rounding of sums of 10^5 terms."""
    net = dataclasses.replace(draw(TWO, 70, 0), tau=TAU)
    if mixed:
        order = rng(1).permutation(70)
        parts = {name: getattr(net, name)[order] for name in ("m", "n", "I", "w", "population")}
        net = dataclasses.replace(net, **parts, random=net.random[order][:, order])
        monkeypatch.setattr(activity, "_HELD", 2 * 9 * 70 * 8 * 2)
    start, lags, skip = rng(2).standard_normal((3, 70)), 9, 60
    found = measure_activity(
        net, {"A": 0.3}, 64 * 2 * 0.8, 0.2, start=start, discard=(skip - lags + 1) * 0.8, max_lag=8 * 0.8, every=4
    )
    run = simulate(net, {"A": 0.3}, (128 + skip) * 0.8, 0.2, start=start, every=4)
    expected = twin(dataclasses.replace(run, _x=run.x[:, 1:]), net, lags, skip)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=0, atol=1e-11, err_msg=name)
    np.testing.assert_allclose(found.lags, 0.8 * np.arange(9), rtol=1e-14)
    np.testing.assert_array_equal(found.delta0, found.delta[:, 0])
    np.testing.assert_allclose(found.trial_kappa, run.kappa[:, 1 + skip :].mean(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.kappa, found.trial_kappa.mean(axis=0), rtol=1e-12)


# ---- planted answers


def test_noise_through_a_static_input_has_a_known_covariance():
    """Without recurrence: delta(t) = s^2 tau / 2 exp(-t / tau) + u^2 Var(I); the z-scores are standard normal."""
    net = dataclasses.replace(draw(SILENT, 400, 0), tau=TAU)
    u, s, variance = 0.8, 0.7, 0.7**2 * TAU / 2
    nets = [dataclasses.replace(net, name=str(d)) for d in range(12)]
    found = measure_activity(nets, {"A": u}, 400.0, 0.5, 3, trials=2, noise=s, discard=40.0, max_lag=6.0, every=2)
    static = u**2 * net.I[:, 0].var(ddof=1)
    expected = variance * np.exp(-found.lags / TAU) + static
    z = {
        "delta": (found.delta[:, 0] - expected) / found.delta_error[:, 0],
        "delta_inf": (found.delta_inf - static) / found.delta_inf_error,
        "mean": (found.mean - u * net.I[:, 0].mean()) / found.mean_error,
    }
    for name, score in z.items():
        assert 0.5 < np.sqrt(np.mean(score**2)) < 1.5, (name, score)
        assert abs(np.sqrt(12) * score.mean(axis=0)).max() < 4, (name, score)
    assert found.success and found.delta.shape == (12, 1, 7) and found.kappa.shape == (12, 1)
    assert (found.delta_error[:, 0] < 0.02 * variance).all()
    short = measure_activity(net, {"A": u}, 40.0, 0.5, 3, noise=s, discard=40.0, max_lag=0.0, every=1)
    assert abs(short.delta_inf - static)[0] < 4 * short.delta_inf_error[0], "no bias of order tau / duration is left"


def test_a_state_at_rest_has_one_variance():
    c = dataclasses.replace(TWO, g=0.4)
    net = draw(c.scale_overlap("n1", "m1", 3.0), 100, 0)
    ends = relax(net, [1.5], {"A": 0.5}, tolerance=1e-12)
    found = measure_activity(net, {"A": 0.5}, 64.0, start=ends.x, discard=0.0, max_lag=5.0, every=10, dtype="float64")
    for p in range(2):
        x = ends.x[net.population == p]
        np.testing.assert_allclose(found.delta[p], x.var(ddof=1), rtol=1e-9)
        np.testing.assert_allclose(found.delta_inf[p], x.var(ddof=1), rtol=1e-9)
        np.testing.assert_allclose([found.mean[p], found.rate[p]], [x.mean(), np.tanh(x).mean()], rtol=1e-9)
    assert found.success and found.delta_error.max() < 1e-9 and found.delta_inf_error.max() < 1e-9


def test_errors_know_of_correlations_in_time():
    """Mean of an autoregressive process whose memory is one block to four: errors against the spread of 400 means."""
    for memory in (0.2, 1.0, 3.0):
        a = np.exp(-1 / memory)
        noise = rng(1).standard_normal((400, 3, 200))
        path = lfilter([np.sqrt(1 - a * a)], [1, -a], noise)[:, :, 100:]
        errors = np.array([standard_error(one) for one in path])
        spread = path.mean(axis=(1, 2)).std()
        assert 0.8 < np.sqrt(np.mean(errors**2)) / spread < 1.25, (memory, np.sqrt(np.mean(errors**2)) / spread)


# ---- the theory


def chaotic_variance(g):
    """Delta_0 of a random network of strength g without structure, tanh: Delta_0^2 / 2 = g^2 Var(log cosh(x))."""
    z, weight = np.polynomial.hermite_e.hermegauss(100)
    weight = weight / weight.sum()

    def energy(variance):
        primitive = np.logaddexp(np.sqrt(variance) * z, -np.sqrt(variance) * z)
        return variance**2 / 2 - g**2 * (weight @ primitive**2 - (weight @ primitive) ** 2)

    return brentq(energy, 0.05, 50)


@pytest.mark.parametrize("g", [2.0, 3.0])
def test_chaos_has_the_variance_of_the_mean_field(g):
    nets = [draw(dataclasses.replace(SILENT, g=g), 400, seed) for seed in range(6)]
    found = measure_activity(nets, None, 100.0, seed=1, discard=50.0, max_lag=20.0)
    mean, error = found.delta0.mean(), found.delta0.std(ddof=1) / np.sqrt(6)
    assert abs(mean - chaotic_variance(g)) < 4 * error and error < 0.04 * mean, (mean, error, chaotic_variance(g))
    assert (found.delta[:, 0, -1] < 0.5 * found.delta0[:, 0]).all() and (found.kappa_error < 0.1).all()
    assert abs(found.delta_inf.mean()) < 4 * np.hypot(found.delta_inf.std(ddof=1), found.delta_inf_error.mean())


# ---- endings


def test_what_is_not_stationary_is_said():
    net = draw(mf.Connectivity.from_overlaps([{"n1 m1": 0.9}], 1, ("A",)), 50, 0, match_moments=True)
    slow = measure_activity(net, {"A": 0.1}, 64.0, 0.1, 0, discard=0.0, kappa=[1.0], start_variance=1e-4)
    assert slow.status is ActivityStatus.DRIFTING and not slow.success and "raise discard" in str(slow)
    settled = measure_activity(net, {"A": 0.1}, 64.0, 0.1, 0, discard=300.0, kappa=[1.0], start_variance=1e-4)
    assert settled.success and str(settled).startswith("4 trials of 64: kappa (")
    explosive = mf.Connectivity.from_overlaps([{"mean m1": 1.0, "n1 m1": 2.0, "mean n1": 2.0}], 1, ("A",), g=0.3)
    lost = measure_activity(draw(explosive, 60, 0, transfer="relu"), None, 64.0, 0.1, 0, kappa=[[1.0], [1.1]])
    assert lost.status is ActivityStatus.EXPLODED and np.isnan(lost.delta).all() and lost.trial_kappa.shape == (2, 1)


def test_populations_without_neurons_and_networks_without_populations():
    net = draw(TWO, 40, 0)
    lone = dataclasses.replace(net, population=np.zeros(40))
    found = measure_activity(lone, None, 64.0, 0.1, 0, discard=20.0, max_lag=1.0)
    assert np.isnan(found.mean[1]) and np.isfinite(found.mean[0]) and found.delta.shape == (2, 6)
    bare = dataclasses.replace(net, population=None, mixture=None)
    one = measure_activity(bare, None, 64.0, 0.1, 0, discard=20.0, max_lag=1.0)
    np.testing.assert_allclose(one.delta, found.delta[:1], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": None}, "need a seed"),
        ({"duration": None}, "needs a duration"),
        ({"duration": 5.0}, "at least 64 samples: got 25"),
        ({"inputs": {"A": np.sin}}, "measure_activity needs constant inputs"),
        ({"max_lag": 100.0}, "max_lag must be shorter than duration"),
        ({"discard": -1.0}, "discard must be at least 0"),
        ({"start_variance": -1.0}, "start_variance must be at least 0"),
        ({"every": 7}, "every must divide"),
        ({"noise": 1.0, "method": "rk4"}, "rk4"),
        ({"net": None}, "needs a Network"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    asked = {"net": draw(TWO, 30, 0), "duration": 64.0, "dt": 0.1, "seed": 0} | change
    with pytest.raises(ValueError, match=message):
        measure_activity(**asked)
