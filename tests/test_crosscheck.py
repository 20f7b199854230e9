"""The cross-check: right theories pass, wrong ones are rejected, and the statistics behind the verdict are sound."""

import dataclasses

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation import confirmation, crosscheck, draw, relax, verdict
from meanfield.validation.analysis import Condition, portrait
from meanfield.validation.crosscheck import PLANTED, planted_overlap
from meanfield.validation.ensemble import Draw, measure, measure_all, network_of
from meanfield.validation.predictions import Observable, predict
from meanfield.validation.verdict import LEVEL, Outcome, RingCount, Topology, limits, row

from meanfield import Connectivity, Transfer, fixed_points, limit_cycle, reduce

BISTABLE = Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 A": 0.5, "w m1": 0.7}], 1, ("A",), ("w",))
CYCLE = Connectivity.from_overlaps([{"n1 m1": 2.5, "n1 m2": -1.5, "n2 m1": 1.5, "n2 m2": 2.0}], rank=2)
RING = Connectivity.from_overlaps([{"n1 m1": 2.0, "n2 m2": 2.0}], rank=2)


@pytest.fixture(scope="module")
def right():
    return crosscheck(BISTABLE, "tanh", {"A": 0.2}, sizes=(500, 2000), draws=60, seed=3)


# ---- the verdict on real networks


def test_a_right_theory_agrees_and_the_planted_error_is_rejected(right):
    assert right.outcome is Outcome.AGREES and right.agrees and right.failures == ()
    names = {(r.observable.name, r.observable.group.split(" point")[0]) for r in right.rows}
    assert {("kappa_1", "of the stable"), ("readout w", "of the stable"), ("kappa_1", "of the source")} <= names
    assert len(right.z_scores) >= 100 and 0.85 < right.calibration < 1.15
    assert right.planted.rejected and right.planted.z > 5
    assert all(t.proved == t.draws == 60 for t in right.topology)
    assert max(d.apart for d in right.draws) < 1e-8  # simulated and solved fixed points are the same points
    for text in (str(right), right.summary, right._repr_html_()):
        assert "agree with the theory" in text and "n1 m1 larger by 5%" in text


def test_the_spread_falls_like_the_root_and_the_gap_like_the_inverse_of_n(right):
    slopes = np.array([(r.slope, r.slope_error) for r in right.rows])
    assert np.all(np.abs(slopes[:, 0] + 0.5) < 4.5 * slopes[:, 1])
    gaps = [r for r in right.rows if np.isfinite(r.gap_slope)]
    assert all(r.gap_slope < -1 + 4.5 * r.gap_slope_error for r in gaps)


@pytest.mark.parametrize(("a", "b", "factor"), [("n1", "m1", 1.05), ("n1", "m1", 0.95), ("n1", "A", 1.25)])
def test_a_wrong_theory_is_rejected(a, b, factor):
    wrong = BISTABLE.scale_overlap(a, b, factor)
    check = crosscheck(BISTABLE, "tanh", {"A": 0.4}, sizes=(1000, 4000), draws=20, theory=wrong, planted=False)
    assert check.outcome is Outcome.DISAGREES and not check.agrees
    assert any("standard errors off" in text for text in check.failures)
    assert "contradict the theory" in check.summary


def test_a_wrong_spread_is_rejected_though_the_drift_is_right():
    """The same overlaps, with private noise in n that the theory does not know of: only the spread differs."""
    noisy = Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 n1": 12.0}], rank=1)
    plain = Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1)
    check = crosscheck(noisy, sizes=(500, 2000), draws=40, theory=plain, planted=False)
    assert check.outcome is Outcome.DISAGREES
    assert all("times the predicted one" in why for r in check.rows for why in r.failures) and check.failures


def test_too_few_networks_are_called_weak_not_right():
    check = crosscheck(BISTABLE, sizes=(50, 60), draws=5)
    assert check.outcome in (Outcome.WEAK, Outcome.DISAGREES) and not check.agrees


def test_cycles_are_compared_by_simulation():
    check = crosscheck(CYCLE, sizes=(1000, 2000), draws=20, planted=False)
    rows = {r.observable.name: r for r in check.rows}
    assert check.agrees and {"frequency", "amplitude_1", "amplitude_2"} <= set(rows)
    assert rows["frequency"].count.sum() == 40


def test_a_ring_is_compared_by_its_drift_and_by_what_is_left_of_it():
    check = crosscheck(RING, sizes=(500, 1000), draws=24, planted=False)
    assert check.agrees and check.topology == ()
    assert sum(r.observable.key[0] == "ring" for r in check.rows) == 4
    assert check.ring.expected == pytest.approx(4.44, abs=0.01) and check.ring.mean >= 4


def test_near_a_fold_the_number_of_points_changes_as_often_as_predicted():
    c = Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 A": 1.0}], 1, ("A",))
    check = crosscheck(c, inputs={"A": 0.35}, sizes=(100, 400), draws=60, planted=False)
    changed = [t.draws - t.same for t in check.topology]
    assert all(t.agrees for t in check.topology) and min(changed) > 5
    assert check.topology[1].probability == pytest.approx(0.668, abs=0.01)
    assert "1 stable" in check.topology[0].others[0]
    assert any("not linear" in text for text in check.prediction.left_out)


def test_the_same_seed_gives_the_same_numbers_on_any_number_of_processes():
    prediction = predict(portrait(BISTABLE), 100)
    alone, again, shared = (measure_all(BISTABLE, prediction, (100, 200), 3, 5, w) for w in (1, 1, 2))
    assert [d.values for d in alone] == [d.values for d in again] == [d.values for d in shared]
    other = measure_all(BISTABLE, prediction, (100, 200), 3, 6, 1)
    assert other[0].values != alone[0].values


def test_a_draw_is_measured_as_by_hand():
    prediction = predict(portrait(BISTABLE, condition=Condition("", {"A": 0.3})), 500)
    net = network_of(BISTABLE, 500, 2, 7, "tanh")
    measured = measure(net, prediction, 2)
    own = fixed_points(reduce(net.connectivity, inputs={"A": 0.3}))
    kappa = own.kappa[own.kind == "stable"]
    for k, r in ((key[1], key[2]) for key in measured.values if key[0] == "kappa"):
        theory = prediction.portrait.fixed_points
        if theory.kind[k] == "stable":
            near = kappa[np.abs(kappa - theory.kappa[k]).argmin()]
            assert measured.values[("kappa", k, r)] == pytest.approx(near[r], abs=1e-9)
            x = net.m @ near + net.I[:, 0] * 0.3
            assert measured.values[("readout", k, 0)] == pytest.approx(net.w[:, 0] @ np.tanh(x) / 500, abs=1e-9)


def test_another_time_constant_changes_nothing_but_the_unit():
    from dataclasses import replace

    known = portrait(CYCLE)
    field = replace(known.field, tau=2.0)
    slow = replace(
        known, field=field, fixed_points=fixed_points(field), cycles=(limit_cycle(field, known.cycles[0].orbit[0]),)
    )
    one, two = (crosscheck(CYCLE, sizes=(1000, 2000), draws=12, planted=False, known=k) for k in (known, slow))
    assert one.agrees and two.agrees
    for a, b in zip(one.rows, two.rows, strict=True):
        assert a.z == pytest.approx(b.z, abs=2e-2) and a.z_std == pytest.approx(b.z_std, rel=1e-2)


def test_a_transfer_function_of_ones_own():
    own = Transfer.from_expression("tanh(x) + x/10", bounds=(np.inf, 1.1, 0.8, 2.0, 5.0, 16.0))
    check = crosscheck(BISTABLE, own, sizes=(300, 600), draws=6, box=([-6.0], [6.0]), planted=False, workers=2)
    assert check.agrees and check.rows


def test_a_spread_that_is_off_in_all_rows_alike_is_a_contradiction():
    """Each row is within its own limits, all together are not."""
    noisy = Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 n1": 9.0}], rank=1)
    quiet = Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 n1": 5.2}], rank=1)
    check = crosscheck(noisy, sizes=(250, 500, 1000), draws=60, theory=quiet, planted=False)
    assert check.outcome is Outcome.DISAGREES


# ---- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (500, 500)}, "different"),
        ({"sizes": ()}, "different"),
        ({"sizes": (10, 100)}, "at least 50"),
        ({"sizes": (500.5,)}, "integer"),
        ({"draws": 1}, "draws must be an integer, at least 5"),
        ({"seed": -1}, "seed"),
        ({"workers": 0}, "workers"),
        ({"inputs": [1.0]}, "must map names"),
        ({"known": 3}, "not the portrait"),
        ({"known": portrait(BISTABLE), "transfer": "erf"}, "not the portrait"),
        ({"known": portrait(BISTABLE), "inputs": {"A": 0.5}}, "not the portrait"),
        ({"inputs": {"B": 1.0}}, "unknown input 'B'"),
        ({"transfer": "cosh"}, "unknown transfer"),
        ({"transfer": "relu"}, "box"),
        ({"transfer": "step"}, "Dirac|continuous|error bound|does not exist|smooth"),
    ],
)
def test_nonsense_is_refused_before_anything_is_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        crosscheck(BISTABLE, **arguments)


def test_a_finite_network_has_no_spread_to_check():
    with pytest.raises(ValueError, match="mixture"):
        crosscheck(draw(BISTABLE, 100, 0).connectivity)
    with pytest.raises(ValueError, match="matched"):
        crosscheck(BISTABLE, matched="moments")


def test_relu_networks_that_explode_are_remarked_on():
    """Overlap 1.6 < 2: bounded in the limit, yet in some small networks the overlap exceeds 2."""
    c = Connectivity.from_overlaps([{"n1 m1": 1.6, "n1 A": 1.0}], 1, ("A",))
    check = crosscheck(c, "relu", {"A": 0.1}, sizes=(60, 100), draws=6, box=([-5.0], [5.0]), planted=False)
    assert check.agrees and check.topology == ()
    assert any("given box" in text for text in check.prediction.left_out)
    assert any("not linear" in text for text in check.prediction.left_out)
    assert all(np.isfinite(list(d.values.values())).all() for d in check.draws)
    ends = relax(draw(c.scale_overlap("n1", "m1", 2.0), 200, 0, transfer="relu"), [[1.0]], {"A": 0.1})
    assert not ends.success and ends.status.tolist() == ["exploded"]


# ---- the statistics, on made-up draws


def made_up(values, sizes, key=("x",), linear=None):
    return [
        Draw(n, k, {key: v}, {} if linear is None else {key: linear[i][k]})
        for i, (n, group) in enumerate(zip(sizes, values, strict=True))
        for k, v in enumerate(group)
    ]


def gaussian(seed, sizes, draws, value=1.0, variance=4.0, bias=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    return [value + bias / n + scale * np.sqrt(variance / n) * rng.standard_normal(draws) for n in sizes]


SIZES = (100, 400, 1600)


def test_z_scores_of_right_predictions_are_standard_normal():
    o = Observable("x", "", ("x",), 1.0, 4.0, 0.0)
    rows = [row(o, made_up(gaussian(s, SIZES, 30), SIZES), SIZES, LEVEL) for s in range(200)]
    z = np.array([r.z for r in rows])
    assert abs(z.mean()) < 4 / np.sqrt(200) and abs(z.std() - 1) < 4 / np.sqrt(400)
    # each of the 200 rows has 87 degrees of freedom
    assert np.mean([r.z_std**2 for r in rows]) == pytest.approx(1, abs=4 * np.sqrt(2 / 87 / 200))
    slopes = np.array([(r.slope + 0.5) / r.slope_error for r in rows])
    assert abs(slopes.std() - 1) < 0.25 and abs(slopes.mean()) < 0.4
    assert sum(not r.agrees for r in rows) <= 3


def test_an_unknown_shift_of_order_1_over_n_is_no_contradiction_and_a_known_one_is_used():
    known, unknown = (Observable("x", "", ("x",), 1.0, 4.0, bias) for bias in (8.0, np.nan))
    shifted = [made_up(gaussian(s, SIZES, 60, bias=8.0), SIZES) for s in range(60)]
    for o in (known, unknown):
        z = np.array([row(o, draws, SIZES, LEVEL).z for draws in shifted])
        assert abs(z.mean()) < 4 / np.sqrt(60) and abs(z.std() - 1) < 0.4
    ignored = dataclasses.replace(known, bias=0.0)
    assert np.mean([row(ignored, draws, SIZES, LEVEL).z for draws in shifted]) > 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": 1.1}, "standard errors off"),
        ({"scale": 1.5}, "times the predicted one"),
        ({"scale": 0.6}, "times the predicted one"),
    ],
)
def test_wrong_means_and_spreads_fail(change, words):
    o = Observable("x", "", ("x",), 1.0, 4.0, 0.0)
    found = row(o, made_up(gaussian(0, SIZES, 60, **change), SIZES), SIZES, LEVEL)
    assert any(words in why for why in found.failures)


def test_a_spread_that_falls_with_another_power_fails():
    o = Observable("x", "", ("x",), 1.0, 4.0, 0.0)
    rng = np.random.default_rng(0)
    values = [1 + 2 * 20 ** (-0.5 + 0.25) * n**-0.25 / 20**0 * rng.standard_normal(80) for n in SIZES]
    found = row(o, made_up(values, SIZES), SIZES, LEVEL)
    assert any("falls like N^-0.2" in why for why in found.failures)


def test_the_first_order_part_uncovers_the_gap():
    """What is left without it is b/N with a noise of order 1/N: the slope -1 shows, and -1/2 is rejected."""
    o = Observable("x", "", ("x",), 1.0, 4.0, 5.0)
    rng = np.random.default_rng(1)
    linear = [np.sqrt(4.0 / n) * rng.standard_normal(50) for n in SIZES]
    right = [1 + x + (5 + 3 * rng.standard_normal(50)) / n for x, n in zip(linear, SIZES, strict=True)]
    found = row(o, made_up(right, SIZES, linear=linear), SIZES, LEVEL)
    assert abs(found.gap_slope + 1) < 4 * found.gap_slope_error < 0.5 and found.agrees
    wrong = [1 + x + (0.5 + 0.1 * rng.standard_normal(50)) / np.sqrt(n) for x, n in zip(linear, SIZES, strict=True)]
    slow = row(o, made_up(wrong, SIZES, linear=linear), SIZES, LEVEL)
    assert any("mean gap falls like" in why for why in slow.failures)


def test_sizes_below_the_linear_range_are_left_out():
    o = Observable("x", "", ("x",), 1.0, 4.0, 0.0, smallest=300)
    values = gaussian(2, SIZES, 40)
    values[0] = values[0] + 100.0
    found = row(o, made_up(values, SIZES), SIZES, LEVEL)
    assert found.agrees and found.count.tolist() == [0, 40, 40] and np.isnan(found.mean[0])


def test_what_is_found_in_too_few_draws_is_a_failure_not_a_number():
    o = Observable("x", "", ("x",), 1.0, 4.0, 0.0)
    found = row(o, made_up([[1.0], [1.0], [1.0]], SIZES), SIZES, LEVEL)
    assert np.isnan(found.z) and "found in 3 draws only" in found.failures[0]


def test_limits_narrow_with_the_number_of_independent_scores():
    wide, narrow = limits(20), limits(1e5)
    assert wide[0] < narrow[0] == 0.85 and wide[1] > narrow[1] == 1.15
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4000, 6))
    assert verdict.independent(z) == pytest.approx(24000, rel=0.05)
    assert verdict.independent(np.repeat(z[:, :1], 6, axis=1)) == pytest.approx(4000, rel=0.05)


def test_heavy_tails_widen_the_limits_of_the_spread():
    """One draw far out decides nothing in a row of thirty, yet a spread that is wrong throughout is still found."""
    o = Observable("x", "", ("x",), 1.0, 4.0, 0.0)
    values = gaussian(5, (1600,), 30)
    values[0][0] = 1 + 8.0 * np.sqrt(4 / 1600)
    assert not any("times the predicted" in why for why in row(o, made_up(values, (1600,)), (1600,), 1e-5).failures)
    wide = row(o, made_up(gaussian(5, (1600,), 60, scale=1.8), (1600,)), (1600,), 1e-5)
    assert any("times the predicted" in why for why in wide.failures)


def test_topology_allows_a_factor_of_leading_order_and_no_more():
    def at(same, probability):
        return Topology(100, 50, same, probability, 50, ()).agrees

    assert at(50, 1.0) and at(45, 0.9) and at(47, 0.99) and at(40, 0.95)
    assert not at(40, 0.999) and not at(50, 0.1) and not at(10, 0.999999)


def test_a_ring_count_knows_its_error():
    assert RingCount(4.5, 0.1, 4.44).agrees and not RingCount(5.5, 0.1, 4.44).agrees


# ---- the planted error


def test_the_planted_error_is_in_the_largest_overlap_alone():
    c = Connectivity.from_overlaps(
        [{"weight": 0.5, "n1 m1": 1.0, "n2 m1": -3.0, "n2 I": 0.4}, {"weight": 0.5, "n2 m1": -1.0, "n2 n2": 25.0}],
        rank=2,
        inputs=("I",),
    )
    (a, b), wrong = planted_overlap(c, np.array([1.0]))
    assert (a, b) == ("n2", "m1")
    for x in ("n1", "n2"):
        for y in ("m1", "m2", "I"):
            factor = PLANTED if (x, y) == (a, b) else 1.0
            expected, found = (np.ravel(k.overlap(x, y)) for k in (c, wrong))
            np.testing.assert_allclose(found, factor * expected, atol=1e-12)


def test_the_resolution_is_the_error_that_is_seen(right):
    (name, error), *_ = right.resolution.items()
    assert name == "n1 m1" and 0.002 < error < 0.05 and set(right.resolution) == {"n1 m1", "n1 A"}
    a, b = name.split()
    verdicts = [
        crosscheck(BISTABLE, "tanh", {"A": 0.2}, (500, 2000), 60, 3, theory=BISTABLE.scale_overlap(a, b, 1 + x * error),
                   planted=False).outcome
        for x in (3.0, 0.01)
    ]  # fmt: skip
    assert verdicts == [Outcome.DISAGREES, Outcome.AGREES]
    assert "errors of an overlap that the drifts alone would show: n1 m1" in str(right)


def test_the_planted_error_is_not_in_an_input_that_is_off():
    c = Connectivity.from_overlaps([{"n1 m1": 0.4, "n1 A": 3.0}], 1, ("A",))
    assert planted_overlap(c, np.array([0.0]))[0] == ("n1", "m1")
    assert planted_overlap(c, np.array([1.0]))[0] == ("n1", "A")


# ---- figures and statements


def test_figures_hold_the_numbers_and_are_drawn_inside_their_canvas(right):
    figures, statements = confirmation.confirm(right)
    assert len({f.name for f in figures}) == len(figures) == 2
    z = figures[1].data["z"]
    assert np.array_equal(z, right.z_scores)
    for figure in figures:
        drawn = figure.draw()
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
        box = drawn.get_tightbbox(canvas.get_renderer())
        assert box.x0 >= -0.02 and box.y0 >= -0.02 and box.x1 <= drawn.get_figwidth() + 0.02
    found = list(statements)
    assert [s.holds for s in found] == [True] * len(found) and len(found) >= 4
    assert confirmation.confirm(right, 2)[0][0].name == "networks3"


def test_statements_of_a_wrong_theory_fail():
    wrong = BISTABLE.scale_overlap("n1", "m1", 1.1)
    check = crosscheck(BISTABLE, sizes=(1000, 4000), draws=20, theory=wrong, planted=False)
    assert [s.holds for s in confirmation.statements(check)][0] is False
