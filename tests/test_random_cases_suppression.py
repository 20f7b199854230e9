"""The report case on noise and frozen inputs: what it says, the closed forms behind it, and that it can fail."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation.cases import random_suppression, simulated, suppression
from meanfield.validation.stepping import noise_scale, stages
from worked_cases import worked_once

from meanfield import dmft

(CASE,) = random_suppression.CASES
worked_out, result, data = worked_once(CASE)


@worked_out
def test_statements_hold():
    statements = result().statements
    assert [s.text for s in statements if s.holds is not True] == []
    assert len(statements) >= 20 and len({s.text for s in statements}) == len(statements)
    assert all(s.text and s.value and s.expected and s.source for s in statements)
    assert sum("planted wrong theory" in s.text for s in statements) == 3


@worked_out
def test_figures_draw_their_data():
    figures = {f.name: f for f in result().figures}
    assert {"suppression", "autocorrelation", "momentary", "planes"} <= set(figures)
    for figure in figures.values():
        drawn = figure.draw()
        FigureCanvasAgg(drawn).draw()
        assert figure.caption and all(axis.has_data() for axis in drawn.axes)
        assert all(np.isfinite(values).all() for values in figure.data.values())


@worked_out
def test_the_two_drives_end_chaos_in_two_ways():
    d = data("suppression")
    first, second, end = d["transitions"]
    # noise: the exponent changes sign while the bulk radius is above 1
    assert ((d["noise_lyapunov"] > 0) == (d["noise"] < first)).all()
    assert ((d["noise_rate"] > 0) == (d["noise"] < second)).all() and second > 2 * first
    # a frozen input: positive to the end of chaos, where the state at rest becomes stable
    assert (d["input_variance_lyapunov"] > 0).all() and d["input_variance"].max() < end
    assert ((d["rest_rate"] < 0) == (d["rest"] > end)).all()
    assert (d["input_variance_delta_inf"] < d["input_variance_delta0"]).all()


@worked_out
def test_the_planes_agree_with_single_states():
    d, c = data("planes"), CASE.connectivity
    for g, s in ((0.9, 0.5), (1.5, 0.3), (1.5, 0.8), (2.4, 1.2), (2.4, 2.0), (1.6, 3.0)):
        state = dmft.chaotic(replace(c, g=g), noise=s)[0]
        kind = 0 if state.lyapunov > 0 else 1 if suppression.radius(g, state.delta0[0]) > 1 else 2
        i, j = np.abs(d["noise_y"] - s).argmin(), np.abs(d["g"] - g).argmin()
        assert d["noise_kinds"][i, j] == kind, (g, s)
    for g, v in ((0.9, 0.5), (1.8, 0.4), (1.8, 1.5), (2.4, 4.0), (2.4, 6.0)):
        i, j = np.abs(d["input_variance_y"] - v).argmin(), np.abs(d["g"] - g).argmin()
        chaos = suppression.frozen_rate(replace(c, g=g), v) > 0
        assert d["input_variance_kinds"][i, j] == (0 if chaos else 1), (g, v)


@pytest.mark.parametrize(("g", "variance"), [(1.3, 0.4), (2.0, 2.1), (3.0, 20.0)])
def test_averages_of_the_closed_forms_against_mpmath(g, variance):
    def average(f):
        return mp.quad(lambda z: f(mp.sqrt(variance) * z) * mp.npdf(z), [-14, -4, -1, 0, 1, 4, 14])

    with mp.workdps(25):
        square = average(lambda x: mp.tanh(x) ** 2)
        slope = average(lambda x: mp.sech(x) ** 4)
        spread = average(lambda x: mp.log(mp.cosh(x)) ** 2) - average(lambda x: mp.log(mp.cosh(x))) ** 2
        noise = (4 * (mp.mpf(variance) ** 2 - 2 * g**2 * spread)) ** mp.mpf("0.25")
    assert suppression.square(variance) == pytest.approx(float(square), abs=1e-13)
    assert suppression.radius(g, variance) == pytest.approx(g * float(mp.sqrt(slope)), abs=1e-13)
    assert suppression.noise_at(g, variance) == pytest.approx(float(noise), rel=1e-11)


def test_the_transitions_meet_at_the_onset_without_drive():
    steps = np.array([0.02, 0.01])
    first, second, variance = np.array([suppression.edges(1 + e) for e in steps]).T
    # in proportion to e for the noise, to its cube for the frozen input
    assert first[0] / first[1] == pytest.approx(2, rel=0.02) and second[0] / second[1] == pytest.approx(2, rel=0.02)
    assert variance[0] / variance[1] == pytest.approx(8, rel=0.05)


def test_wrong_transitions_fail():
    c = CASE.connectivity
    noise = dmft.noise_suppression(c, bracket=(0.0, 4.0))
    (end,) = dmft.chaos_onset(c, bracket=(0.1, 4.0), along="input_variance")
    assert all(s.holds for s in suppression.transitions(c, noise, end, "source"))
    off = [replace(q, value=q.value + 1e-6) for q in (*noise, end)]
    verdicts = [s.holds for s in suppression.transitions(c, off[:2], off[2], "source")]
    assert verdicts[:4] == [False] * 4
    swapped = [s.holds for s in suppression.transitions(c, noise[::-1], end, "source")]
    assert swapped == [False]


def step_factor(h, gain):
    """By what one step of the integrator multiplies x of the linear tau dx/dt = -x + gain x."""
    x, slopes = 1.0, []
    for ratio, coefficients in stages("exponential", h):
        slopes.append(gain * x)
        x = ratio * x + float(np.dot(coefficients, slopes))
    return x


def test_split_noise_is_of_second_order():
    """The stationary variance of a linear unit, s^2/(2 (1 - gain)), with noise as the integrator adds it."""
    gain, s, steps = -1.5, 1.3, np.array([0.2, 0.1, 0.05])

    def variance(strength, h):
        return noise_scale("exponential", strength, h, 1.0) ** 2 / (1 - step_factor(h, gain) ** 2)

    exact = s**2 / (2 * (1 - gain))
    split, plain = [], []
    for h in steps:
        strength, kick = simulated.split_noise(s, h)
        split.append(abs(variance(strength, h) - kick - exact))
        plain.append(abs(variance(s, h) - exact))
    assert np.log2(np.divide(split[:-1], split[1:])) == pytest.approx(2, abs=0.2)
    assert np.log2(np.divide(plain[:-1], plain[1:])) == pytest.approx(1, abs=0.2)
    # alone, the noise keeps up its variance with any step
    strength, kick = simulated.split_noise(s, 0.7)
    assert noise_scale("exponential", strength, 0.7, 1.0) ** 2 / -np.expm1(-1.4) - kick == pytest.approx(s**2 / 2)


def test_networks_without_coupling_have_the_noise_they_are_asked_for():
    c, s = CASE.connectivity, 1.4
    job = simulated.Job(1e-9, 4000, 0, np.zeros(1), s**2 / 2, noise=s, step=0.5)
    options = {"duration": 32.0, "discard": 5.0, "trials": 4, "theory_step": 0.1}
    found, theory = simulated.measured((c, options, 0), job), simulated.expected(c, job, options)
    exact = s**2 / 2 * np.exp(-simulated.LAGS)
    assert theory["delta"] == pytest.approx(exact, abs=1e-6)
    # 4000 neurons, some 16 independent times, 4 trials: 0.3 % of s^2/2
    assert found["delta"] == pytest.approx(exact, abs=5 * 0.003 * s**2 / 2)
    assert abs(theory["kappa"]) < 1e-12 and found["delta0"] == found["delta"][0]


def test_the_window_of_the_theory_tends_to_the_stationary_state():
    c, state = CASE.connectivity, dmft.chaotic(CASE.connectivity, input_variance=0.2)[0]
    job = simulated.Job(2.0, 0, 0, np.zeros(1), state.delta0[0] - 0.2, inputs={"y": np.sqrt(0.2)})
    off = []
    for before in (10.0, 40.0):
        found = simulated.expected(c, job, {"duration": 64.0, "discard": before, "theory_step": 0.2})
        off.append(np.abs(found["delta"] - state.delta(simulated.LAGS)[:, 0]).max())
    assert off[1] < off[0] / 3 and off[1] < 0.02
    # what the activity remembers beyond 14 tau counts as frozen, not more
    assert 0 < found["delta_inf"] - state.delta_inf[0] < state.delta(14.0)[0] - state.delta_inf[0]


def test_a_wrong_theory_of_the_networks_fails():
    options, rng, c = random_suppression.QUICK, np.random.default_rng(0), CASE.connectivity
    states = {s: dmft.chaotic(c, noise=s)[0] for s in options["noise"]}
    windows = {s: {"delta0": q.delta0[0], "delta": q.delta(simulated.LAGS)[:, 0]} for s, q in states.items()}
    found = {}
    for s, n in ((s, n) for s in states for n in options["sizes"]):
        noise, many = 0.3 * rng.standard_normal(6) / np.sqrt(n), windows[s]["delta"]
        found[s, n] = {
            "delta0": many[0] + noise,
            "delta": many + noise[:, None],
            "lyapunov": states[s].lyapunov + noise,
        }

    def failed(windows, states):
        one = random_suppression.Driven("noise", "noise", states, windows, found)
        return [s.text for s in random_suppression._agree(one, options) if not s.holds]

    assert failed(windows, states) == []
    off = {s: {key: 1.3 * value for key, value in w.items()} for s, w in windows.items()}
    assert len(failed(off, states)) == 2
    without = dict.fromkeys(states, dmft.chaotic(c)[0])  # the noise left out
    assert len(failed(windows, without)) == 4
