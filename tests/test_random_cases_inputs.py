"""Examples with a random part: inputs, rank two, learned structure; and that the checks behind them can fail."""

import functools
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation.analysis import Statement
from meanfield.validation.cases import (
    derivations,
    draws,
    random_context,
    random_inputs,
    random_learned,
    random_rank_two,
    random_ring,
    random_saddle_node,
)
from meanfield.validation.cases.record import run
from numpy.testing import assert_allclose

import meanfield as mf
from meanfield import dmft

MODULES = (random_inputs, random_saddle_node, random_rank_two, random_ring, random_context, random_learned)
CASES = {case.name: case for module in MODULES for case in module.CASES}
# name -> own figures, and number of stationary states under each condition
EXPECTED = {
    "go-nogo": ({"response"}, [1, 1, 1]),
    "input-saddle-node": ({"saddle-node"}, [3, 3, 1]),
    "oscillation": ({"cycle", "eigenvalues"}, [1]),
    "ring-with-g": ({"ring"}, [1]),
    "context-with-g": ({"contexts"}, [1, 1]),
    "learned-structure": ({"learned"}, [3]),
}
# a case is worked out once: all tests of it run in one process
ALL = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in EXPECTED]


@functools.cache
def result(name):
    return run(CASES[name], quick=True)


def statement(name, words):
    """The one statement whose text contains these words."""
    (found,) = [s for s in result(name).statements if words in s.text]
    return found


def test_every_case_is_expected_here():
    assert list(CASES) == list(EXPECTED)
    assert all(np.any(case.connectivity.g > 0) for case in CASES.values())


@pytest.mark.parametrize("name", ALL)
def test_statements_hold(name):
    statements = result(name).statements
    assert [s for s in statements if s.holds is False] == []
    assert sum(s.holds is True for s in statements) >= 7
    assert all(isinstance(s, Statement) and s.text and s.value and s.expected and s.source for s in statements)
    assert sum(s.source == draws.NETWORKS for s in statements) >= 3
    assert len({s.text for s in statements}) == len(statements)


@pytest.mark.parametrize("name", ALL)
def test_states_are_proved(name):
    scapes = result(name).landscapes
    assert [len(scape.stationary) for scape in scapes] == EXPECTED[name][1]
    assert all(scape.stationary.complete for scape in scapes) == (name != "ring-with-g")  # the ring is enclosed
    assert [scape.condition for scape in scapes] == list(CASES[name].conditions)


@pytest.mark.parametrize("name", ALL)
def test_figures_draw_their_data(name):
    figures = {f.name: f for f in result(name).figures}
    assert EXPECTED[name][0] <= set(figures) and len(figures) == len(result(name).figures)
    for figure in figures.values():
        drawn = figure.draw()
        FigureCanvasAgg(drawn).draw()
        assert figure.caption and all(axis.has_data() for axis in drawn.axes)
    for key in EXPECTED[name][0]:
        for what, values in figures[key].data.items():
            # networks that have left the branch next to the saddle-node are left out
            assert np.isfinite(values).all() or (name, what) == ("input-saddle-node", "drawn_below"), what


# Derivations


def test_the_response_without_random_part_is_that_of_the_reduced_equations():
    kappa, variance = random_inputs.response(1.3, g=0.0)
    f = mf.reduce(replace(CASES["go-nogo"].connectivity, g=0.0), "tanh", {"go": 1.3})
    assert_allclose(mf.fixed_points(f).kappa[:, 0], kappa, rtol=1e-12)
    assert variance == pytest.approx(kappa**2 + 1.3**2, abs=1e-12)


def test_the_saddle_node_without_random_part_is_that_of_the_thesis():
    overlaps = random_saddle_node.OVERLAP, random_saddle_node.OVERLAP_I
    found = random_saddle_node.curve(random_saddle_node.saddle_node(0.0), 0.0)
    assert_allclose(found, derivations.saddle_node_amplitude(*overlaps), rtol=1e-9)


def test_the_saddle_node_is_the_largest_amplitude_of_its_branch():
    fold = random_saddle_node.saddle_node()
    u = [random_saddle_node.curve(fold * x)[0] for x in (0.99, 1.0, 1.01)]
    assert u[1] > max(u[0], u[2]) and u[1] - u[0] < 1e-3


@pytest.mark.parametrize("variance", [0.3, 2.0, 9.0])
def test_mean_square_slope_against_mpmath(variance):
    with mp.workdps(20):
        expected = mp.quad(lambda z: mp.sech(mp.sqrt(variance) * z) ** 4 * mp.npdf(z), [-12, -3, -1, 0, 1, 3, 12])
    assert random_ring.mean_square_slope(variance) == pytest.approx(float(expected), abs=1e-14)


def test_the_turning_cycle_for_weak_random_parts_loses_radius_like_g_squared():
    """To first order D(0) = g^2 sum_k C_k / (1 + k^2 omega^2), with C that of g = 0."""
    (r, D), (other, twice) = (random_rank_two.turning(g) for g in (0.05, 0.1))
    assert twice / D == pytest.approx(4, rel=0.01)
    assert r**2 + D == pytest.approx(other**2 + twice, rel=1e-12)
    # frozen, C would be handed on in full: <phi^2> = 1 - <phi'> = 1/2
    assert 0 < D / 0.05**2 < 0.5


def test_a_slow_cycle_hands_on_what_a_state_at_rest_does():
    assert random_rank_two.turning(0.8, turn=1e-6)[1] == pytest.approx(0.8**2 * (1 - 1 / 2.0), rel=1e-9)


def test_the_gated_response_solves_the_equations_of_the_package():
    c = random_context.CONTEXT.connectivity
    for stimulus in ({"A": 0.7}, {"B": 1.2}):
        a, b = stimulus.get("A", 0.0), stimulus.get("B", 0.0)
        kappa, variance, _ = random_context.gated(a, b, (random_context.SATURATING, 0.0))
        (state,) = dmft.stationary(c, "tanh", {**stimulus, "context_b": 1.0})
        assert_allclose(state.kappa, kappa, rtol=1e-10)
        assert_allclose(state.delta0, variance, rtol=1e-10)


# Statements can fail


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_means_are_told_apart_by_their_errors():
    drawn = 1.0 + 0.1 * normal((10, 3))
    assert draws.mean_agrees("x", drawn, 1.0, 400, 0.1).holds
    assert draws.mean_agrees("x", drawn, 1.0, 400).holds
    assert not draws.mean_agrees("x", drawn, [1.0, 1.3, 1.0], 400, 0.1).holds
    assert not draws.mean_agrees("x", drawn, 1.6, 400).holds
    assert not draws.mean_agrees("x", np.full((10, 1), np.nan), 1.0, 400, 0.1).holds
    assert not draws.is_rejected("x", drawn[:, 0], 1.0, 400, 0.1).holds
    assert draws.is_rejected("x", drawn[:, 0], 1.4, 400, 0.1).holds


def test_a_single_level_is_kept_by_right_theories():
    """Of 2000 comparisons of a right theory, hardly one fails; half of them do when it is off by the allowance."""
    drawn = normal((2000, 8))
    held = [draws.mean_agrees("x", d, 0.0, 10**9, 1.0).holds for d in drawn]
    assert sum(held) >= 1997
    off = draws.allowance(drawn[0][:, None], 10**9, 1.0)[1][0]
    assert 800 < sum(draws.mean_agrees("x", d, off, 10**9, 1.0).holds for d in drawn) < 1200


def test_limits_for_infinite_networks_do_without_the_shift():
    sizes, noise = np.array([250, 500, 1000]), normal((3, 8), 1)
    drawn = 2.0 + 30 / sizes[:, None] + 0.3 * noise / np.sqrt(sizes)[:, None]
    assert draws.limit_agrees("x", sizes, drawn, 2.0, 2.4).holds
    assert not draws.limit_agrees("x", sizes, drawn, 2.2).holds
    assert not draws.limit_agrees("x", sizes, drawn, 2.0, 2.01).holds
    found, error, _ = draws.limit(sizes, drawn)
    assert abs(found - 2.0) < 4 * error < 0.2


def test_several_limits_in_one_keep_their_level():
    """Weights that are measured widen the error: a right theory is kept, where each limit alone says little."""
    sizes, values = np.array([250, 1000]), np.array([0.02, 0.1, 0.3, -0.2])
    spread = np.array([0.3, 0.3, 1.0, 0.5])[:, None, None] / np.sqrt(sizes)[:, None]
    noise = normal((1000, 4, 2, 6), 3) * spread
    drawn = values[:, None, None] - 3 / sizes[:, None] + noise
    held = sum(draws.limits_agree("x", sizes, one, values).holds for one in drawn)
    assert held >= 998
    assert sum(draws.limits_agree("x", sizes, one, 2.0 * values).holds for one in drawn[:100]) < 5
    assert sum(draws.limits_agree("x", sizes, one, values, 2.0 * values).holds for one in drawn[:100]) > 90
    assert not any(draws.limits_agree("x", sizes, one, values, 1.001 * values).holds for one in drawn[:100])


def test_spreads_and_their_slope_are_told_apart():
    z = normal((40, 5))
    assert draws.spread_agrees("x", z).holds
    assert not draws.spread_agrees("x", 2.0 * z).holds and not draws.spread_agrees("x", 0.3 * z).holds
    sizes = [100, 1000, 10000]
    size = np.sqrt(np.array(sizes, float))[:, None, None]
    assert draws.falls_like_root("x", sizes, normal((3, 30, 1)) / size).holds
    assert not draws.falls_like_root("x", sizes, normal((3, 30, 1)) / size**2).holds
    assert not draws.falls_like_root("x", sizes, normal((3, 30, 1))).holds


@pytest.mark.xdist_group("input-saddle-node")
def test_the_saddle_node_is_proved_only_where_it_is():
    c = random_saddle_node.SADDLE_NODE.connectivity
    u, kappa = random_saddle_node.curve(random_saddle_node.saddle_node())
    (right,), (wrong,) = (list(random_saddle_node._proved(c, x, kappa)) for x in (u, u + 1e-4))
    assert right.holds and not wrong.holds


@pytest.mark.xdist_group("ring-with-g")
def test_a_ring_of_another_radius_is_not_in_the_enclosure():
    states, r = result("ring-with-g").landscapes[0].stationary, random_ring.ring_radius(random_ring.G)
    assert all(s.holds for s in random_ring._enclosed(states, r))
    assert not all(s.holds for s in random_ring._enclosed(states, 1.01 * r))


@pytest.mark.xdist_group("oscillation")
def test_another_radius_is_not_where_the_two_time_equations_end():
    theory = dmft.transient(
        CASES["oscillation"].connectivity, "tanh", duration=15.0, dt=0.1, kappa=(1.2, 0.0), with_error=True
    )
    r, D = random_rank_two.turning(random_rank_two.G)
    assert all(s.holds for s in random_rank_two._two_time(theory, r, D))
    assert not any(s.holds for s in random_rank_two._two_time(theory, 1.01 * r, 1.01 * D))


def test_the_period_of_a_known_turn():
    t = np.arange(0.0, 60.0, 0.2)
    angle = 2 * np.pi * t / 8.37
    kappa = 1.3 * np.stack([np.cos(angle), -np.sin(angle)], axis=-1)
    assert random_rank_two.period_of(t, kappa) == pytest.approx(8.37, rel=1e-12)


@pytest.mark.xdist_group("learned-structure")
def test_a_structure_of_another_g_is_noticed():
    job = (300, [5, 300, 0])
    found = [random_learned.recover(random_learned.LEARNED.connectivity, job)]
    assert all(s.holds for s in random_learned._random_part(found, 300))
    found[0]["g"] = (found[0]["g"][0] * 1.02, found[0]["g"][1])
    found[0]["g_rest"] *= 1.02
    assert [s.holds for s in random_learned._random_part(found, 300)][:2] == [False, False]
    found[0]["other_independent"] = True
    assert not next(iter(random_learned._correlated(found * 2, 300))).holds
