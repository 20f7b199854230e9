"""The cross-check with a random part: right theories pass, wrong ones do not, and it says what it could not tell."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation import random_check, random_confirmation
from meanfield.validation.landscape import landscape, landscape_figures, name_of, one_of_each_pair
from meanfield.validation.verdict import Outcome

import meanfield as mf
from meanfield import validation as mv

SHIFTED = mf.Connectivity.from_overlaps(
    [{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, readouts=("w",), g=0.8
)
PLAIN = mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=2.0)
QUIET = {"seed": 3, "progress": False, "workers": 1}


@functools.cache
def at_rest():
    return mv.crosscheck(SHIFTED, sizes=(200, 800), draws=10, matched="moments", **QUIET)


@functools.cache
def fluctuating():
    return random_check.random_crosscheck(PLAIN, sizes=(150, 600), draws=5, duration=60.0, **QUIET)


def test_a_right_theory_of_states_at_rest_agrees_and_the_planted_error_is_rejected():
    check = at_rest()
    assert check.agrees and check.rejected and "n1 m1 larger by 5%" in check.planted
    names = [r.observable.name for r in check.rows]
    assert names == ["balance of kappa_1", "balance of <phi^2>", "kappa_1", "mean", "Delta_0"]  # w is uncorrelated
    assert len(check.z_scores) == 100 and 0.75 < check.calibration < 1.25
    assert all(np.isfinite(r.z_std) for r in check.rows) and "agree with the theory" in check.summary


def test_free_draws_spread_more_and_agree_too():
    check = mv.crosscheck(SHIFTED, sizes=(200, 800), draws=10, planted=False, **QUIET)
    assert check.agrees and check.rejected is None
    free, matched = ({r.observable.name: r.predicted_std[-1] for r in c.rows} for c in (check, at_rest()))
    assert free["kappa_1"] > 1.5 * matched["kappa_1"]


def test_a_wrong_theory_of_states_at_rest_is_contradicted():
    wrong = SHIFTED.scale_overlap("n1", "m1", 1.15)
    check = mv.crosscheck(SHIFTED, sizes=(200, 800), draws=10, matched="moments", theory=wrong, planted=False, **QUIET)
    assert check.outcome is Outcome.DISAGREES and any("standard errors off" in text for text in check.failures)


def test_the_balance_is_the_drift_of_the_limit_at_the_measured_point():
    d, (state, _) = at_rest().draws[0], at_rest().states[0]
    kappa, sent = d.values["kappa", 0, 0], d.values["sent", 0, 0]
    variance = kappa**2 + 0.64 * sent
    phi, square = (mf.gaussian_average("tanh", mean=1.1 * kappa, variance=variance, power=q) for q in (1, 2))
    assert d.values["balance", 0, 0] == pytest.approx(2.0 * phi - kappa, abs=1e-12)
    assert d.values["balance", 0, 1] == pytest.approx(square - sent, abs=1e-12)
    assert state.kappa[0] > 0


def test_fluctuating_states_agree_with_a_measured_spread():
    check = fluctuating()
    names = [r.observable.name for r in check.rows]
    assert names == ["kappa_1", "Delta_0", "Delta_inf", "Delta(1)", "Delta(3)", "lambda_max"][-len(names) :]
    assert not check.failures and not check.predicted_rows and all(np.isnan(r.z_std) for r in check.rows)
    assert "g larger by 5%" in check.planted


def test_a_wrong_theory_of_fluctuating_states_is_contradicted():
    wrong = replace(PLAIN, g=2.6)
    states = [(s, name_of(s)) for s in one_of_each_pair(landscape(wrong).attractors)]
    found = [o for i, (s, name) in enumerate(states) for o in random_check.observables(s, name, i)]
    rows = random_check.table(found, fluctuating().draws, (150, 600))
    assert any(r.off for r in rows if r.observable.name == "Delta_0")


def test_a_network_that_is_silent_has_nothing_to_compare():
    check = mv.crosscheck(replace(PLAIN, g=0.5), sizes=(100, 200), draws=5, **QUIET)
    assert check.outcome is Outcome.WEAK and check.rows == () and check.rejected is None
    assert any("silent" in text for text in check.remarks)


def test_bad_input():
    with pytest.raises(ValueError, match="matched must be"):
        mv.crosscheck(SHIFTED, matched="all")
    with pytest.raises(ValueError, match="a size must be an integer"):
        mv.crosscheck(SHIFTED, sizes=(10,))


def test_figures_and_statements_of_a_check():
    figures, statements = random_confirmation.confirm(at_rest())
    statements = list(statements)
    assert [s.holds for s in statements] == [True, True]
    for figure in (*figures, *random_confirmation.confirm(fluctuating())[0]):
        FigureCanvasAgg(figure.draw()).draw()
        assert {"sizes", "spread", "predicted"} <= set(figure.data)


def test_a_landscape_has_all_states_and_draws_one_of_each_pair():
    scape = landscape(replace(SHIFTED, g=1.9))
    assert scape.stationary.complete and len(scape.fluctuating) == 3
    assert sorted(round(float(s.kappa[0]), 6) for s in scape.attractors) == [-0.467154, 0.467154]
    assert [s.kappa[0] > 0 for s in one_of_each_pair(scape.attractors)] == [True]
    names = [figure.name for figure in landscape_figures([scape])]
    assert names == ["spectrum", "decay"]
    for figure in landscape_figures([scape]):
        FigureCanvasAgg(figure.draw()).draw()


def test_a_transfer_function_of_ones_own_is_drawn_with():
    phi = mf.Transfer.from_expression("tanh(2*x)/2")
    check = mv.crosscheck(replace(SHIFTED, g=0.5), phi, sizes=(100, 200), draws=5, planted=False, **QUIET)
    assert check.rows and not check.failures
