"""The report cases of chaos, with structure and without: what they say, their figures, and that they can fail."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation.cases import random_chaos, random_structure, run
from scipy.integrate import quad

from meanfield import dmft

CASES = {case.name: case for module in (random_chaos, random_structure) for case in module.CASES}
# a case is worked out once: all tests of it run in one process
ALL = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in CASES]
chaos, structure = (pytest.mark.xdist_group(name) for name in CASES)


@functools.cache
def result(name):
    return run(CASES[name], quick=True)


def data(name, figure):
    return next(f for f in result(name).figures if f.name == figure).data


@pytest.mark.parametrize("name", ALL)
def test_statements_hold(name):
    statements = result(name).statements
    assert [s for s in statements if s.holds is False] == []
    assert sum(s.holds is True for s in statements) >= 15
    assert all(s.text and s.value and s.expected and s.source for s in statements)
    assert any("planted wrong theory" in s.text for s in statements)


@pytest.mark.parametrize("name", ALL)
def test_figures_draw_their_data(name):
    figures = result(name).figures
    assert len({f.name for f in figures}) == len(figures) >= 4
    for figure in figures:
        canvas = FigureCanvasAgg(figure.draw())
        canvas.draw()
        assert np.asarray(canvas.buffer_rgba()).std() > 5  # not a blank page
        # lines may end, where a branch does
        allowed = ("static_", "structured_") if figure.name == "branches" else ()
        for key, values in figure.data.items():
            if np.asarray(values).dtype.kind in "fc" and not key.startswith(allowed):
                assert np.isfinite(values).all(), (figure.name, key)


@chaos
def test_chaos_without_structure_has_the_known_numbers():
    onset = data("chaos", "onset")
    # Delta_0 = 1.9248 and lambda = 0.11246 at g = 2: an independent quadrature of the energy is in the test below
    k = int(np.flatnonzero(onset["g"] == 2.0)[0])
    assert onset["delta0"][k] == pytest.approx(1.92481, abs=1e-5)
    assert onset["lyapunov"][k] == pytest.approx(0.112458, abs=1e-6)
    assert (np.diff(onset["delta0"]) > 0).all() and (np.diff(onset["lyapunov"]) > 0).all()
    # finite networks are less chaotic, and the larger the nearer
    gaps = onset["lyapunov_measured"] - onset["lyapunov"][np.isin(onset["g"], random_chaos.STRENGTHS)]
    assert (gaps.mean(axis=1) < 0).all() and gaps[1].mean() > gaps[0].mean()
    curves = data("chaos", "autocorrelation")
    assert curves["theory"][:, 0] == pytest.approx(curves["delta0"][:, 0], abs=1e-12)


@chaos
def test_the_eigenvalues_fill_the_disc():
    values = data("chaos", "origin")
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


@chaos
@pytest.mark.parametrize(("name", "factor"), [("delta0", 1.5), ("lyapunov", 3.0)])
def test_a_wrong_theory_of_chaos_fails(name, factor):
    onset, options = data("chaos", "onset"), random_chaos.QUICK
    rng, found = np.random.default_rng(0), {}
    states = {g: dmft.chaotic(replace(CASES["chaos"].connectivity, g=g))[0] for g in random_chaos.STRENGTHS}
    for j, g in enumerate(random_chaos.STRENGTHS):
        for i, n in enumerate(options["sizes"]):
            # draws with the mean and spread that the networks had
            noise = rng.standard_normal((2, options["draws"])) * np.sqrt(options["draws"])
            found[g, n] = {
                key: onset[f"{key}_measured"][i, j] + onset[f"{key}_error"][i, j] * z
                for key, z in zip(("delta0", "lyapunov"), noise, strict=True)
            }
    wrong = dmft.chaotic(replace(CASES["chaos"].connectivity, g=3.6))[0]

    class Off:
        def __init__(self, state):
            self.delta0, self.lyapunov = state.delta0, state.lyapunov
            setattr(self, name, getattr(state, name) * factor)

    def verdicts(theory):
        return [s.holds for s in random_chaos._compare(found, theory, wrong, options["sizes"])]

    assert all(verdicts(states))
    assert not all(verdicts({g: Off(s) for g, s in states.items()}))
    # the planted theory is not rejected when it is right
    right = random_chaos._compare(found, states, states[3.0], options["sizes"])
    assert [s.holds for s in right][-1] is False


def test_a_curve_that_does_not_solve_the_equation_fails():
    states = {g: dmft.chaotic(replace(CASES["chaos"].connectivity, g=g))[0] for g in random_chaos.STRENGTHS}
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


@structure
def test_transitions_of_the_structured_network():
    at = data("structure-and-chaos", "branches")["transitions"]
    # the onset of chaos and the end of the structure, by separate root finders in the tests of the transitions
    assert at == pytest.approx([1.79589930043, 2.1357916902], abs=1e-9)
    onset, end = (
        type("T", (), {"value": v, "error": 1e-12, "kind": "", "delta0": d})
        for v, d in zip(at, ([2.0], [2.3133]), strict=True)
    )
    assert [s.holds for s in random_structure._transitions(onset, end)][:2] == [True, True]
    onset.value += 1e-3
    assert [s.holds for s in random_structure._transitions(onset, end)][:2] == [False, True]


@structure
def test_branches_are_solid_and_dashed_where_they_should_be():
    b = data("structure-and-chaos", "branches")
    onset, end = b["transitions"]
    there = np.isfinite(b["static_kappa"])
    assert (b["static_stable"][there] == (b["g"][there] < onset)).all()
    assert (np.diff(b["static_kappa"][there]) < 0).all()
    # structured chaos begins at rest, and ends without a frozen part
    inside = b["structured_g"]
    assert onset < inside.min() and inside.max() < end
    assert b["structured_kappa"][0] == pytest.approx(
        np.interp(inside[0], b["g"][there], b["static_kappa"][there]), abs=2e-2
    )
    assert b["structured_kappa"][-1] < 0.1 and b["structured_delta_inf"][-1] < 0.1
    assert (b["structured_delta_inf"] < b["structured_delta0"]).all()


@structure
def test_regions_of_the_phase_diagram():
    d = data("structure-and-chaos", "diagram")

    def region(g, overlap):
        i, j = np.abs(d["grid_overlap"] - overlap).argmin(), np.abs(d["grid_g"] - g).argmin()
        return random_structure.REGIONS[d["kinds"][i, j]]

    assert region(0.5, 0.5) == region(0.9, 0.8) == "decay to rest"
    assert region(0.5, 1.5) == region(1.5, 2.2) == "structured, static"
    assert region(1.95, 2.2) == region(2.4, 2.8) == "structured, chaotic"
    assert region(1.5, 1.0) == region(2.4, 2.2) == "chaotic, no structure"
    assert (d["onset"] < np.interp(d["overlap"], d["end"], d["g"])).all()


def test_the_end_of_the_structure_is_where_its_eigenvalue_is_zero():
    g = np.array([0.5, 1.3, 2.0])
    end = random_structure.end_of_structure(g)
    assert end[0] == 1.0
    for strength, overlap in zip(g[1:], end[1:], strict=True):
        kinds = [random_structure.kind(strength, overlap * f) for f in (0.99, 1.01)]
        assert kinds == [[3], [2]]


@structure
def test_a_wrong_theory_of_the_structure_fails():
    """Networks of another overlap at rest: their kappa is not that of the theory."""
    theory = {g: dmft.stationary(random_structure.network(g))[-1] for g in random_structure.AT_REST}
    theory |= {g: dmft.chaotic(random_structure.network(g))[0] for g in (1.9, 2.4)}
    options, rng, found = random_structure.QUICK, np.random.default_rng(1), {}
    for g, state in theory.items():
        for matched, n in ((m, n) for m in (False, True) for n in (options["n"] // 2, options["n"])):
            noise = 0.01 * rng.standard_normal((3, options["draws"]))
            frozen = getattr(state, "delta_inf", state.delta0)
            values = (state.kappa[0], state.delta0[0], frozen[0])
            found[g, matched, n] = {
                key: v + z for key, v, z in zip(("kappa", "delta0", "delta_inf"), values, noise, strict=True)
            }
    assert all(s.holds for s in random_structure._points(found, theory, options))
    found[1.2, True, options["n"]]["kappa"] += 0.3
    for matched in (False, True):
        for n in (options["n"] // 2, options["n"]):
            found[2.4, matched, n]["delta0"] += 0.3
    failed = [s.text for s in random_structure._points(found, theory, options) if not s.holds]
    assert len(failed) == 2 and failed[0].startswith("g = 1.2, matched") and failed[1].startswith("g = 2.4")
