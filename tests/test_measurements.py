"""Periods and amplitudes read off records whose period and amplitude are known."""

import numpy as np
import pytest
from meanfield.validation.measurements import CycleStatus, measure_cycle
from numpy.testing import assert_allclose
from toy_fields import Circles, VanDerPol

import meanfield as mf

PERIOD = 7.3


def circle(t, period=PERIOD):
    angle = 2 * np.pi * t / period + 0.4
    return np.stack([1.5 * np.sin(angle) + 2.0, 0.5 * np.cos(angle)], axis=-1)


def two_harmonics(t):
    """The first component rises through its middle twice per turn, at two places of the plane."""
    angle = 2 * np.pi * t / PERIOD
    return np.stack([np.sin(angle) + 0.9 * np.sin(2 * angle), 0.5 * np.cos(angle + 1) + 0.3], axis=-1)


def two_harmonics_amplitude():
    angle = np.linspace(0, 2 * np.pi, 200_001)
    return np.ptp(np.sin(angle) + 0.9 * np.sin(2 * angle)), 1.0


def test_circle():
    m = measure_cycle(t := np.linspace(0, 60, 3001), circle(t))
    assert m.status is CycleStatus.MEASURED and m.success
    assert m.period == pytest.approx(PERIOD, abs=1e-9)
    assert_allclose(m.amplitude, [3.0, 1.0], rtol=1e-8)
    assert m.period_error < 1e-9 and m.amplitude_error.max() < 1e-8
    assert 60 / PERIOD - 2 < m.turns <= 60 / PERIOD
    assert str(m).startswith("period 7.3 +- ") and f"{m.turns} turns" in str(m)


def test_two_crossings_per_turn_are_one_turn():
    m = measure_cycle(t := np.linspace(0, 60, 3001), two_harmonics(t))
    assert m.period == pytest.approx(PERIOD, abs=1e-9) and m.turns in (7, 8)
    assert_allclose(m.amplitude, two_harmonics_amplitude(), rtol=1e-6)


@pytest.mark.parametrize("record", [circle, two_harmonics])
def test_error_falls_with_the_fourth_power_of_the_interval(record):
    """Cubic interpolation, over phases of the grid; extremes only down to what 400 points per turn resolve."""
    wide = (3.0, 1.0) if record is circle else two_harmonics_amplitude()
    errors = []
    for n in (300, 600, 1200):
        found = [measure_cycle(t := np.linspace(s, 60 + s, n), record(t)) for s in np.linspace(0, 0.19, 7)]
        errors.append(
            (max(abs(m.period - PERIOD) for m in found), max(np.abs(m.amplitude - wide).max() for m in found))
        )
    (period, amplitude), steps = np.transpose(errors), np.log2([1, 2, 4])
    assert np.polyfit(steps, np.log2(period), 1)[0] < -3 and period[0] < 1e-4
    assert (amplitude < 1e-3 / 8**steps + 1e-6).all()


def test_names_units_and_places_do_not_matter():
    t = np.linspace(0, 60, 2001)
    m = measure_cycle(t, two_harmonics(t))
    swapped = measure_cycle(t, two_harmonics(t)[:, ::-1])
    moved = measure_cycle(3 * t + 100, 1e-3 * two_harmonics(t) - 5.0)
    backward = measure_cycle(t, two_harmonics(60 - t))
    assert_allclose([swapped.period, moved.period / 3, backward.period], m.period, rtol=1e-8)
    assert_allclose([swapped.amplitude[::-1], 1e3 * moved.amplitude, backward.amplitude], 3 * [m.amplitude], rtol=1e-6)


def test_uneven_times():
    t = np.sort(np.random.default_rng(1).uniform(0, 60, 4000))
    m = measure_cycle(t, circle(t))
    assert m.period == pytest.approx(PERIOD, abs=1e-5)
    assert_allclose(m.amplitude, [3.0, 1.0], atol=1e-4)


def test_the_start_is_forgotten():
    t = np.linspace(0, 100, 4001)
    m = measure_cycle(t, circle(t) + np.exp(-t / 5)[:, None])
    assert m.success and abs(m.period - PERIOD) < 3 * m.period_error < 1e-3


def test_a_drifting_period_shows_in_its_error():
    t = np.linspace(0, 100, 4001)
    angle = t + 5e-4 * t**2
    m = measure_cycle(t, np.stack([np.sin(angle), np.cos(angle)], axis=-1))
    last = 2 * np.pi / (1 + 1e-3 * t[-1])
    assert m.success and 3e-3 * last < m.period_error and abs(m.period - last) < 10 * m.period_error


def test_a_change_in_the_last_turn_shows_in_the_error():
    """One of six turns is slower by 1 %: half of that, not a sixth, is in doubt."""
    t = np.linspace(0, 12 * PERIOD, 6001)
    late = np.maximum(t - 10.9 * PERIOD, 0.0)
    m = measure_cycle(t, circle(t - 0.01 * late))
    assert m.success and m.period_error > 0.4 * 0.009 * PERIOD


@pytest.mark.parametrize(
    ("rate", "status"),
    [(0.0005, "MEASURED"), (0.01, "UNSETTLED"), (-0.01, "UNSETTLED"), (0.15, "SHORT"), (0.5, "RESTING")],
)
def test_damped(rate, status):
    t = np.linspace(0, 100, 2001)
    m = measure_cycle(t, np.exp(-rate * t)[:, None] * (circle(t) - [2.0, 0.0]))
    assert m.status is CycleStatus[status] and m.success == (status == "MEASURED")
    if m.success:
        assert abs(m.period - PERIOD) < 1e-3 and m.amplitude_error.max() > 1e-3
    else:
        assert np.isnan([m.period, m.period_error, *m.amplitude, *m.amplitude_error]).all()
        assert str(m) == m.status.value


def test_what_is_no_cycle():
    t = np.linspace(0, 100, 2001)
    beating = np.stack([np.sin(t) + 0.3 * np.sin(np.sqrt(2) * t), np.cos(t)], axis=-1)
    assert measure_cycle(t, beating).status is CycleStatus.UNSETTLED
    assert measure_cycle(t, np.ones((2001, 2))).status is CycleStatus.RESTING
    assert measure_cycle(t, np.stack([t, -t], axis=-1)).status is CycleStatus.SHORT
    for turns, status in ((2.9, CycleStatus.SHORT), (4.1, CycleStatus.MEASURED)):
        some = t < turns * PERIOD
        assert measure_cycle(t[some], circle(t[some])).status is status


def test_period_doubling_is_seen():
    """Every other turn is alike: the period is that of both."""
    t = np.linspace(0, 120, 6001)
    angle = 2 * np.pi * t / PERIOD
    m = measure_cycle(t, circle(t) + 0.6 * np.stack([np.sin(angle / 2), np.cos(angle / 2)], axis=-1))
    assert m.period == pytest.approx(2 * PERIOD, abs=1e-7)


@pytest.mark.parametrize(
    "f", [VanDerPol(1.0), VanDerPol(5.0), Circles([1.0], omega=3.0)], ids=["mild", "stiff", "circle"]
)
def test_simulated_cycles(f):
    """The same numbers as Newton shooting gives, from a transient and a record."""
    cycle = mf.limit_cycle(f, [0.5, 0.1])
    path = mf.trajectory(f, [0.5, 0.1], 15 * cycle.period, samples=9001)
    m = measure_cycle(path.t, path.kappa)
    assert m.success and m.period == pytest.approx(cycle.period, rel=1e-6)
    assert_allclose(m.amplitude, cycle.amplitude, rtol=1e-3)


def test_refused():
    t = np.linspace(0, 1, 100)
    good = circle(t)
    broken = good.copy()
    broken[3, 1] = np.nan
    for times, kappa in ((t, good[:-1]), (t, good[:, 0]), (t[:, None], good), (t[:5], good[:5]), (t, broken)):
        with pytest.raises(ValueError, match=r"t \(T,\) and kappa \(T, R\) must be finite"):
            measure_cycle(times, kappa)
    with pytest.raises(ValueError, match="increasing"):
        measure_cycle(t[::-1], good)
