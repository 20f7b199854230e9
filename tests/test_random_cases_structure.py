"""The report case of structure and chaos: what it says, its figures, and that it can fail."""

import numpy as np
import pytest
from meanfield.validation.cases import random_plane, random_structure, random_trend
from worked_cases import check_figures, check_statements, worked_once

from meanfield import dmft

(CASE,) = random_structure.CASES
worked_out, result, data = worked_once(CASE)


@worked_out
def test_statements_hold():
    check_statements(result().statements)


@worked_out
def test_figures_draw_their_data():
    # lines may end, where a branch does
    check_figures(result().figures, lambda name, key: name == "branches" and key.startswith(("static_", "structured_")))


@worked_out
def test_transitions_of_the_structured_network():
    at = data("branches")["transitions"]
    # the onset of chaos and the end of the structure, by separate root finders in the tests of the transitions
    assert at == pytest.approx([1.79589930043, 2.1357916902], abs=1e-9)
    onset, end = (
        type("T", (), {"value": v, "error": 1e-12, "kind": "", "delta0": d})
        for v, d in zip(at, ([2.0], [2.3133]), strict=True)
    )
    assert [s.holds for s in random_structure._transitions(onset, end)][:2] == [True, True]
    onset.value += 1e-3
    assert [s.holds for s in random_structure._transitions(onset, end)][:2] == [False, True]


@worked_out
def test_branches_are_solid_and_dashed_where_they_should_be():
    b = data("branches")
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


@worked_out
def test_regions_of_the_phase_diagram():
    d = data("diagram")

    def region(g, overlap):
        i, j = np.abs(d["grid_overlap"] - overlap).argmin(), np.abs(d["grid_g"] - g).argmin()
        return random_plane.REGIONS[d["kinds"][i, j]]

    assert region(0.5, 0.5) == region(0.9, 0.8) == "decay to rest"
    assert region(0.5, 1.5) == region(1.5, 2.2) == "structured, static"
    assert region(1.95, 2.2) == region(2.4, 2.8) == "structured, chaotic"
    assert region(1.5, 1.0) == region(2.4, 2.2) == "chaotic, no structure"
    assert (d["onset"] < np.interp(d["overlap"], d["end"], d["g"])).all()


def test_the_end_of_the_structure_is_where_its_eigenvalue_is_zero():
    g = np.array([0.5, 1.3, 2.0])
    end = random_plane.end_of_structure(g)
    assert end[0] == 1.0
    for strength, overlap in zip(g[1:], end[1:], strict=True):
        kinds = [random_plane.kind(strength, overlap * f) for f in (0.99, 1.01)]
        assert kinds == [[3], [2]]


def resting(theory, options, rng):
    """Numbers of networks at rest that lie about the theory."""
    found = {}
    for g in random_structure.AT_REST:
        for matched in (False, True):
            noise, values = 0.01 * rng.standard_normal((2, options["draws"])), (theory[g].kappa[0], theory[g].delta0[0])
            pairs = zip(("kappa", "delta0"), values, noise, strict=True)
            found[g, matched, options["n"]] = {key: v + z for key, v, z in pairs}
    return found


def test_a_wrong_theory_of_the_structure_at_rest_fails():
    theory = {g: dmft.stationary(random_plane.network(g))[-1] for g in random_structure.AT_REST}
    options = random_structure.QUICK
    found = resting(theory, options, np.random.default_rng(1))
    assert all(s.holds for s in random_structure._points(found, theory, options))
    found[1.2, True, options["n"]]["kappa"] += 0.3
    failed = [s.text for s in random_structure._points(found, theory, options) if not s.holds]
    assert len(failed) == 1 and failed[0].startswith("g = 1.2, matched")


def test_a_wrong_theory_of_structured_chaos_fails():
    """Networks about the theory's numbers, and theories that have others."""
    sizes, g = (1000, 2000, 4000), random_trend.FAR_G
    (state,) = (s for s in dmft.chaotic(random_plane.network(g, random_trend.FAR_OVERLAP)) if s.kappa[0] > 0)
    right = {"kappa": state.kappa[0], "delta0": state.delta0[0], "delta_inf": state.delta_inf[0]}
    rng = np.random.default_rng(2)
    found = {
        (g, matched, n): {key: v + rng.standard_normal(6) / np.sqrt(n) for key, v in right.items()}
        for matched in (False, True)
        for n in sizes
    }

    def failed(off=None):
        return [s.text for s in random_trend.far_agrees(sizes, found, {g: right | (off or {})}) if not s.holds]

    assert failed() == []
    assert len(failed({"delta_inf": 1.1 * right["delta_inf"]})) == 5  # two sizes of either kind, and the limit
    for n in sizes:
        found[g, True, n]["kappa"] += random_trend.wrong_kappa() - state.kappa[0]
    assert any("planted wrong theory" in text for text in failed())
