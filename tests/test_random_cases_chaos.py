"""The report case of chaos without structure: what it says, its figures, and that it can fail."""

from dataclasses import replace

import numpy as np
import pytest
from meanfield.validation.cases import random_chaos
from scipy.integrate import quad
from worked_cases import check_figures, check_statements, worked_once

from meanfield import dmft

(CASE,) = random_chaos.CASES
worked_out, result, data = worked_once(CASE)


@worked_out
def test_statements_hold():
    check_statements(result().statements)


@worked_out
def test_figures_draw_their_data():
    check_figures(result().figures)


@worked_out
def test_chaos_without_structure_has_the_known_numbers():
    onset = data("onset")
    # Delta_0 = 1.9248 and lambda = 0.11246 at g = 2: an independent quadrature of the energy is in the test below
    k = int(np.flatnonzero(onset["g"] == 2.0)[0])
    assert onset["delta0"][k] == pytest.approx(1.92481, abs=1e-5)
    assert onset["lyapunov"][k] == pytest.approx(0.112458, abs=1e-6)
    assert (np.diff(onset["delta0"]) > 0).all() and (np.diff(onset["lyapunov"]) > 0).all()
    # finite networks are less chaotic, and the larger the nearer
    gaps = onset["lyapunov_measured"] - onset["lyapunov"][np.isin(onset["g"], random_chaos.STRENGTHS)]
    assert (gaps.mean(axis=1) < 0).all() and gaps[1].mean() > gaps[0].mean()
    curves = data("autocorrelation")
    assert curves["theory"][:, 0] == pytest.approx(curves["delta0"][:, 0], abs=1e-12)


@worked_out
def test_the_eigenvalues_fill_the_disc():
    values = data("origin")
    radius = np.abs(values["eigenvalues"] + 1) / values["bulk_radius"]
    # an even disc: half of the eigenvalues within 1/sqrt(2) of the radius; their number fluctuates by less than N^(1/4)
    inside, n = int((radius < np.sqrt(0.5)).sum()), len(radius)
    assert abs(inside - n / 2) < 4 * n**0.25


@pytest.mark.parametrize("g", [1.3, 2.0, 4.0])
def test_the_closed_form_of_erf_is_a_zero_of_the_energy(g):
    d = random_chaos.erf_variance(g)
    b = (np.pi / 2) / (1 + np.pi * d / 2)
    area = quad(lambda x: (2 / np.pi) * np.arcsin(b * x), 0, d, epsabs=1e-13)[0]
    assert g**2 * area == pytest.approx(d**2 / 2, rel=1e-11)


@worked_out
@pytest.mark.parametrize(("name", "factor"), [("delta0", 1.5), ("lyapunov", 3.0)])
def test_a_wrong_theory_of_chaos_fails(name, factor):
    onset, options = data("onset"), random_chaos.QUICK
    rng, found, strengths = np.random.default_rng(0), {}, random_chaos.STRENGTHS
    at = CASE.connectivity
    states, wrong = ({g: dmft.chaotic(replace(at, g=f * g))[0] for g in strengths} for f in (1.0, 1.2))
    windows = {g: {"delta0": s.delta0[0]} for g, s in states.items()}
    for j, g in enumerate(strengths):
        for i, n in enumerate(options["sizes"]):
            # draws with the mean and spread that the networks had
            noise = rng.standard_normal((2, options["draws"])) * np.sqrt(options["draws"])
            found[g, n] = {
                key: onset[f"{key}_measured"][i, j] + onset[f"{key}_error"][i, j] * z
                for key, z in zip(("delta0", "lyapunov"), noise, strict=True)
            }

    class Off:
        def __init__(self, state):
            self.delta0, self.lyapunov = state.delta0, state.lyapunov
            setattr(self, name, getattr(state, name) * factor)

    def verdicts(theory, other):
        off = {g: {"delta0": factor * w["delta0"]} for g, w in windows.items()}
        compared = windows if theory is states or name != "delta0" else off
        return [s.holds for s in random_chaos._compare(found, theory, compared, other, options)]

    assert all(verdicts(states, wrong))
    assert verdicts({g: Off(s) for g, s in states.items()}, wrong).count(False) >= 2
    # the planted theory is not rejected when it is right: neither by all limits in one nor at the last strength
    right = verdicts(states, states)
    assert right[-1] is False and right.count(False) >= 3


@worked_out
def test_networks_next_to_the_onset_are_compared_in_their_window():
    curves = data("autocorrelation")
    theory = curves["theory"][:, [0, 50, 100]]
    window = curves["window"][:, [0, 5, 10]]
    # what the start lacks is small at equal times and away from the onset, and large at long lags next to it
    missing = window / theory - 1
    assert (missing[:, 0] < 1e-3).all() and (np.abs(missing[:, 0]) < 0.03).all()
    assert missing[0, 2] < -0.15 and abs(missing[-1, 1]) < 0.02
    assert (np.diff(missing[:, 2]) > 0).all()


def test_a_curve_that_does_not_solve_the_equation_fails():
    states = {g: dmft.chaotic(replace(CASE.connectivity, g=g))[0] for g in random_chaos.STRENGTHS}
    assert all(s.holds for s in random_chaos._equation(states))

    class Off:
        def __init__(self, state):
            self.state, self.residual, self.delta0 = state, state.residual, state.delta0

        def delta(self, lags):
            return self.state.delta(1.01 * np.asarray(lags))  # a time scale that is 1 % off

        def activity(self, lags):
            return self.state.activity(1.01 * np.asarray(lags))

    verdicts = [s.holds for s in random_chaos._equation({g: Off(s) for g, s in states.items()})]
    assert verdicts == [True, False, False]
