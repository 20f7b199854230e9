"""Stationary states with a random part: closed forms, scalar equations of their own, symmetries, growth and kinks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import random_connectivity
from random_part import PHI, QUAD, averaged, centred, mean_driven, random_problem
from scipy.optimize import brentq

import meanfield as mf
from meanfield.dmft import stationary
from meanfield.dmft.field import StationaryField
from meanfield.fixed_points import Status
from meanfield.transfer import Transfer

# -- states with a closed form or a scalar equation of their own ------------------------------------------------------


@settings(max_examples=8)
@given(st.integers(0, 10**4))
def test_without_a_random_part_these_are_the_fixed_points(seed):
    c = random_connectivity(seed, rank=1)
    expected = mf.fixed_points(mf.reduce(c, inputs={"A": 0.3}))
    found = stationary(c, inputs={"A": 0.3})
    assert found.complete and expected.complete
    np.testing.assert_allclose([s.kappa for s in found], expected.kappa, rtol=0, atol=1e-9)
    for s, rate, kind in zip(found, expected.eigenvalues, expected.kind, strict=True):
        assert np.abs(s.outliers - rate).min() < 1e-8 and np.abs(s.outliers + 1).min() < 1e-12  # Q is slaved
        assert s.bulk_radius == 0 and s.kind == {"stable": "stable"}.get(kind, "saddle")


def test_a_small_random_part_moves_the_states_by_order_g_squared():
    still = [s.kappa[0] for s in stationary(mean_driven(0.0))]
    moved = [[s.kappa[0] for s in stationary(mean_driven(g))] for g in (0.02, 0.04)]
    steps = np.abs(np.array(moved) - still)[:, [0, 2]]
    np.testing.assert_allclose(steps[1] / steps[0], 4.0, rtol=0.01)


@pytest.mark.parametrize("g", [0.3, 0.9, 1.3, 1.7])
@pytest.mark.parametrize("overlap", [1.6, 2.5])
def test_centred_structure_sets_the_gain_whatever_g(g, overlap):
    c = centred(overlap, g, variance_m=1.7)
    states = stationary(c)
    delta0 = brentq(lambda d: averaged(lambda x: 1 / math.cosh(x) ** 2, 0.0, d) - 1 / overlap, 1e-9, 100, xtol=1e-13)
    spare = delta0 - g**2 * averaged(lambda x: math.tanh(x) ** 2, 0.0, delta0)
    structured = [s for s in states if abs(s.kappa[0]) > 1e-6]
    assert states.complete and len(structured) == (2 if spare > 0 else 0)
    for s in structured:
        assert abs(s.delta0[0] - delta0) < 1e-9
        assert abs(s.kappa[0] ** 2 * 1.7 - spare) < 1e-9


@pytest.mark.parametrize("transfer", ["tanh", "erf", "sin"])
def test_the_quiescent_state_gives_way_at_g_one(transfer):
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1)
    below, above = (stationary(mf_with(c, g), transfer) for g in (0.98, 1.02))
    assert below.complete and [s.kind for s in below] == ["stable"] and below.points.index_sum == 1
    assert above.complete and [s.kind for s in above] == ["chaotic bulk"] * 2 and above.points.index_sum == 1
    assert above[0].delta0[0] == 0 and above[1].delta0[0] > 0
    assert [s.index for s in above] == [-1, 1]  # the first does not count
    assert below[0].bulk_radius == pytest.approx(0.98, abs=1e-14)
    with_noise = stationary(mf_with(c, 1.02), transfer, input_variance=1e-6)  # a source of variance pushes it out
    assert with_noise.complete and len(with_noise) == 1


def test_at_the_transition_nothing_is_claimed():
    states = stationary(mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=1.0))
    assert states.status is Status.ENCLOSED and [s.kind for s in states] == ["undecided"] and not states[0].proved
    assert "not proved" in str(states) and states[0].radius.max() < 1e-6


def mf_with(c, g):
    return mf.Connectivity(c.weights, c.means, c.covariances, c.rank, c.inputs, c.readouts, g)


@pytest.mark.parametrize("g", [1.2, 2.0, 5.0])
def test_arcsine_equation_for_erf(g):
    """Without structure <phi^2> = (2/pi) arcsin(D/(D + 2/pi)), D = g^2 Q; bulk from <phi'^2> in closed form."""
    equation = lambda q: 2 / math.pi * math.asin(g * g * q / (g * g * q + 2 / math.pi)) - q  # noqa: E731
    q = brentq(equation, 1e-3, 1.0, xtol=1e-15)
    states = stationary(mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=g), "erf")
    assert len(states) == 2 and abs(states[1].handed_on[0] - q) < 1e-12
    assert abs(states[1].bulk_radius - g * (1 + math.pi * g * g * q) ** -0.25) < 1e-12


def test_erf_closed_forms_agree_with_the_general_path():
    as_expression = Transfer.from_expression("erf(sqrt(pi)/2*x)")
    c = mean_driven(1.4)
    closed, general = stationary(c, "erf"), stationary(c, as_expression)
    assert len(closed) == len(general) and "given the error estimates" in str(general)
    for a, b in zip(closed, general, strict=True):
        np.testing.assert_allclose(a.kappa, b.kappa, rtol=0, atol=1e-12)
        np.testing.assert_allclose(a.delta0, b.delta0, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.abs(a.outliers), np.abs(b.outliers), rtol=0, atol=1e-11)


# Number of states, and kappa, Delta_0 of the last, of the rank-one network with the overlap in the means.
PRINTED = {
    0.5: (3, 1.22451, 1.66187),
    1.0: (3, 1.08785, 1.80848),
    1.5: (4, 0.83425, 2.02371),
    1.8: (4, 0.58220, 2.17448),
    2.1: (2, 0.0, 2.44877),
}


@pytest.mark.parametrize("g", PRINTED)
def test_rank_one_over_g(g):
    states = stationary(mean_driven(g))
    count, kappa, delta0 = PRINTED[g]
    last = states[-1] if g != 1.0 else states[1]
    assert len(states) == count and (states.complete or g == 1.0)
    assert abs(last.kappa[0] - kappa) < 1e-5 and abs(last.delta0[0] - delta0) < 1e-5
    for s in states:  # the two equations of the paper, by adaptive quadrature
        if s.delta0[0] > 1e-6:
            k, d = s.kappa[0], s.delta0[0]
            assert abs(k - 2.0 * averaged(math.tanh, 1.1 * k, d)) < QUAD
            assert abs(d - k * k - g * g * averaged(lambda x: math.tanh(x) ** 2, 1.1 * k, d)) < QUAD
            slope = averaged(lambda x: math.cosh(x) ** -4, 1.1 * k, d)
            assert abs(s.bulk_radius - g * math.sqrt(slope)) < QUAD


def damped(c, phi_rows, y, rate=0.3, tolerance=1e-11):
    """What labs run: damped iteration on fixed Gauss-Hermite nodes, one population."""
    z, w = np.polynomial.hermite_e.hermegauss(200)
    w = w / w.sum()
    overlap, loading, g = c.means[0, 1], c.means[0, 0], c.g
    kappa, delta = y
    for _ in range(20000):
        f = phi_rows(loading * kappa + math.sqrt(delta) * z)
        new = overlap * (w @ f), kappa**2 + g * g * (w @ f**2)
        change = max(abs(new[0] - kappa), abs(new[1] - delta))
        kappa, delta = kappa + rate * (new[0] - kappa), delta + rate * (new[1] - delta)
        if change < tolerance:
            return kappa, delta
    raise AssertionError("the twin did not converge")


@pytest.mark.parametrize("g", [0.4, 0.8, 1.2, 1.6])
@pytest.mark.parametrize("overlap", [0.7, 1.5, 2.5])
def test_damped_iteration_reaches_a_listed_state(g, overlap):
    c = mean_driven(g, overlap)
    states = stationary(c)
    kappa, delta = damped(c, np.tanh, (1.0, 1.0))
    # the fixed rule's own error at these variances is below 1e-6
    assert min(max(abs(s.kappa[0] - kappa), abs(s.delta0[0] - delta)) for s in states) < 2e-6
    for s in states:
        if s.stable and s.delta0[0] > 0:
            back = damped(c, np.tanh, (s.kappa[0] * 1.02, s.delta0[0] * 0.98))
            assert np.allclose(back, (s.kappa[0], s.delta0[0]), rtol=0, atol=2e-6)


# -- invariances --------------------------------------------------------------------------------------------------


def assert_same_states(one, other, kappa=lambda k: k, populations=slice(None), tolerance=1e-9):
    assert len(one) == len(other) and one.status == other.status
    key = lambda s: tuple(np.round(s, 6) + 0.0)  # noqa: E731
    left = sorted(((key(np.append(kappa(s.kappa), s.delta0[populations])), s) for s in one), key=lambda x: x[0])
    right = sorted(((key(np.append(s.kappa, s.delta0)), s) for s in other), key=lambda x: x[0])
    for (_, a), (_, b) in zip(left, right, strict=True):
        np.testing.assert_allclose(kappa(a.kappa), b.kappa, rtol=0, atol=tolerance)
        np.testing.assert_allclose(a.delta0[populations], b.delta0, rtol=0, atol=tolerance)
        assert a.kind == b.kind and abs(a.bulk_radius - b.bulk_radius) < tolerance
        shown = np.sort_complex(a.outliers[a.visible]), np.sort_complex(b.outliers[b.visible])
        np.testing.assert_allclose(*shown, rtol=0, atol=1e-6)  # square roots of rounding where two coalesce


def two_populations(g):
    return mf.Connectivity.from_overlaps(
        [
            {"weight": 0.4, "mean m1": 1.0, "mean n1": 2.5, "n1 m1": 0.4, "n1 A": 0.3},
            {"weight": 0.6, "mean m1": -0.3, "mean n1": 0.5, "n1 m1": 1.2, "mean A": 0.4},
        ],
        rank=1,
        inputs=("A",),
        g=g,
    )


def test_the_scale_of_m_is_a_gauge():
    a = 1.7
    c = two_populations(0.9)
    scale = np.diag([a, 1 / a, 1.0])
    d = mf.Connectivity(c.weights, c.means @ scale, scale @ c.covariances @ scale, 1, ("A",), (), 0.9)
    one, other = (stationary(x, inputs={"A": 0.3}) for x in (c, d))
    assert_same_states(one, other, kappa=lambda k: k / a)


@pytest.mark.parametrize("g", [0.9, "block"])
def test_a_population_may_be_split_and_all_may_be_permuted(g):
    g = np.array([[0.9, 0.4], [1.3, 0.6]]) if g == "block" else g
    c = two_populations(g)
    one = stationary(c, inputs={"A": 0.3})
    if np.ndim(g) == 0:
        assert_same_states(one, stationary(c.split(0, 0.3), inputs={"A": 0.3}), populations=[0, 0, 1])
    swap = [1, 0]
    block = g[swap][:, swap] if np.ndim(g) else g
    d = mf.Connectivity(c.weights[swap], c.means[swap], c.covariances[swap], 1, ("A",), (), block)
    assert_same_states(one, stationary(d, inputs={"A": 0.3}), populations=swap)


def test_a_rotation_of_rank_space_is_a_gauge():
    angle = 0.7
    u = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    overlaps = np.array([[2.5, 0.5], [0.0, 1.8]])
    c, d = (
        mf.Connectivity.from_overlaps(
            [{f"n{i + 1} m{j + 1}": x for (i, j), x in np.ndenumerate(matrix)}], rank=2, g=0.8
        )
        for matrix in (overlaps, u @ overlaps @ u.T)
    )
    assert_same_states(stationary(c), stationary(d), kappa=lambda k: u @ k, tolerance=1e-8)


def test_equal_blocks_are_one_strength():
    one, other = (stationary(two_populations(g), inputs={"A": 0.3}) for g in (0.9, np.full((2, 2), 0.9)))
    assert_same_states(one, other)
    for a, b in zip(one, other, strict=True):
        assert a.handed_on.shape == (1,) and b.handed_on.shape == (2,)
        assert abs(a.handed_on[0] - [0.4, 0.6] @ b.handed_on) < 1e-9


def test_odd_functions_have_pairs():
    for g in (0.7, 1.6):
        states = stationary(mean_driven(g))
        kappa, delta0 = (np.array([getattr(s, name)[0] for s in states]) for name in ("kappa", "delta0"))
        np.testing.assert_allclose(np.sort(kappa), np.sort(-kappa), atol=1e-9)
        np.testing.assert_allclose(delta0[np.argsort(kappa)][[0, -1]], delta0[np.argsort(kappa)][[-1, 0]], atol=1e-9)


def test_two_states_are_born_together_at_a_fold():
    """The means alone, driven: kappa = w <tanh>(m kappa + A); the sum of the indices is 1 on both sides."""
    counts = []
    for drive in (-0.2, -0.45):
        c = mf.Connectivity.from_overlaps(
            [{"mean m1": 1.1, "mean n1": 2.5, "mean A": 1.0, "A A": 0.0}], rank=1, inputs=("A",), g=0.8
        )
        states = stationary(c, inputs={"A": drive})
        assert states.complete and states.points.index_sum == 1
        counts.append((len(states), sum(s.index for s in states)))
    assert counts == [(3, 1), (1, 1)]


@settings(max_examples=10)
@given(st.integers(0, 10**4), st.booleans())
def test_random_problems_are_proved_or_say_why_not(seed, block):
    problem = random_problem(seed, block, rank=1)
    states = stationary(
        problem.connectivity, inputs=problem.inputs, input_variance=problem.input_variance, max_boxes=60_000
    )
    assert states.status is not Status.CONTRADICTED
    field = StationaryField(problem)
    for s in states:
        y = np.append(s.kappa, s.handed_on)
        assert np.abs(field(y)).max() < 1e-8
        np.testing.assert_allclose(s.delta0, field.variance(y), atol=1e-12)
    if states.complete:
        assert states.points.index_sum == 1 and all(s.proved for s in states)


# -- functions that grow, kinks, silence -----------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["softplus", "relu"])
def test_functions_that_grow_linearly_are_proved_too(transfer):
    c = mf.Connectivity.from_overlaps(
        [{"mean m1": 0.3, "mean n1": 0.2, "mean A": 1.0}], rank=1, inputs=("A",), g=[[0.6]]
    )
    states = stationary(c, transfer, {"A": 0.5})
    assert states.complete and len(states) == 1
    phi = PHI["softplus"] if transfer == "softplus" else lambda x: max(x, 0.0)
    assert ("softplus^2" in str(states)) == (transfer == "softplus")  # its square is integrated numerically
    s = states[0]
    variance = s.kappa[0] ** 2 + 0.25 + 0.36 * s.handed_on[0]
    mean = 0.3 * s.kappa[0] + 0.5
    assert abs(variance - s.delta0[0]) < 1e-12 and abs(mean - s.mean[0]) < 1e-12
    assert abs(0.2 * averaged(phi, mean, variance) - s.kappa[0]) < 1e-8
    assert abs(averaged(lambda x: phi(x) ** 2, mean, variance) - s.handed_on[0]) < 1e-8


@pytest.mark.parametrize("transfer", ["softplus", "relu"])
def test_the_random_part_enters_the_bound_of_functions_that_grow(transfer):
    """relu at zero mean: Q = Delta/2, so Delta = s/(1 - g^2/2); the bound asks for g < 1 already."""
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1)
    states = stationary(mf_with(c, 0.9), transfer, input_variance=0.5)
    assert states.complete and len(states) == 1 and states[0].handed_on[0] < states.points.box[1, 1]
    if transfer == "relu":
        assert abs(states[0].delta0[0] - 0.5 / (1 - 0.81 / 2)) < 1e-12
    with pytest.raises(ValueError, match="recurrent gain is 1.1 >= 1"):
        stationary(mf_with(c, 1.1), transfer, input_variance=0.5)


def test_an_unbounded_expression_is_proved_in_a_box():
    t = Transfer.from_expression("tanh(x) + x/10")
    with pytest.raises(ValueError, match="grows linearly"):
        stationary(mean_driven(1.5), t)
    states = stationary(mean_driven(1.5), t, box=([-3, -1], [3, 5]))  # the part with Q < 0 is left out
    assert states.complete and len(states) == 4 and not states.points.everywhere
    k, d = states[-1].kappa[0], states[-1].delta0[0]
    assert abs(k - 2 * averaged(lambda x: math.tanh(x) + x / 10, 1.1 * k, d)) < QUAD


def test_states_at_a_kink_are_left_open_not_dropped():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.2}], rank=1, g=0.5)
    states = stationary(c, "relu")
    assert states.status is Status.ENCLOSED and len(states.points.unresolved) == 1
    assert np.abs(states.points.unresolved[0].high).max() < 1e-6


def test_a_jump_makes_the_bulk_infinite():
    states = stationary(mean_driven(1.0), "step")
    assert states[0].kind == "chaotic bulk" and states[0].bulk_radius == math.inf


def test_silent_populations_beside_active_ones():
    c = mf.Connectivity.from_overlaps(
        [{"weight": 0.5, "mean m1": 1.1, "mean n1": 4.0}, {"weight": 0.5, "m1 m1": 0.0}],
        rank=1,
        g=[[1.5, 0.0], [0.0, 0.5]],
    )
    states = stationary(c)  # the second population never wakes: its Q lies on the border at every state
    assert states.status is Status.ENCLOSED
    active = [s for s in states if abs(s.kappa[0]) > 0.1]
    assert len(active) == 2 and all(s.delta0[1] < 1e-9 for s in active)


# -- what cannot be asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 3}, "needs a Connectivity"),
        ({"input_variance": -0.1}, "input_variance must be >= 0"),
        ({"input_variance": [0.1, 0.2]}, r"expected a number or \(1,\)"),
        ({"input_variance": math.nan}, "input_variance"),
        ({"inputs": {"B": 1.0}}, "unknown input 'B'"),
        ({"inputs": {"A": math.nan}}, "finite number"),
        ({"inputs": {"A": lambda t: t}}, "finite number"),
        ({"tau": 0.0}, "tau must be a positive number"),
        ({"tau": math.inf}, "tau"),
        ({"transfer": "tangent"}, "tangent"),
        ({"transfer": Transfer.from_expression("x**3")}, "pass box"),
        ({"box": ([-3], [3])}, "pair"),
        ({"box": ([-3, -2], [3, -1])}, "low < high"),
        ({"max_boxes": 0}, "max_boxes"),
    ],
)
def test_bad_input(arguments, message):
    c = mf.Connectivity.from_overlaps([{"n1 m1": 1.0}], rank=1, inputs=("A",), g=0.5)
    with pytest.raises(ValueError, match=message):
        stationary(**({"c": c} | arguments))


def test_a_small_budget():
    states = stationary(mean_driven(1.5), max_boxes=3)
    assert states.status is Status.BUDGET and not states.complete


def test_times_and_readouts():
    c = mf.Connectivity.from_overlaps(
        [{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0, "w m1": 0.6, "mean w": 0.4}],
        rank=1,
        readouts=("w",),
        g=0.8,
    )
    fast, slow = stationary(c), stationary(c, tau=10.0)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a.outliers, 10 * b.outliers, atol=1e-12)
        assert a.bulk_radius == b.bulk_radius and abs(a.growth - 10 * b.growth) < 1e-12
        outside = [rate.real for rate in a.outliers if abs(rate + 1) > a.bulk_radius]
        assert a.growth == max([a.bulk_radius - 1, *outside]) and (a.growth < 0) == a.stable
        k, d = a.kappa[0], max(a.delta0[0], 1e-30)
        slope = averaged(lambda x: math.cosh(x) ** -2, 1.1 * k, d)
        assert abs(a.readout[0] - 0.4 * averaged(math.tanh, 1.1 * k, d) - 0.6 * k * slope) < QUAD


def test_what_is_printed():
    states = stationary(mean_driven(1.5))
    text = str(states)
    assert text.splitlines()[0].startswith("4 stationary states: proved complete")
    assert "bulk radius 0.8083" in text and "chaotic bulk" in text and "none outside" in text
    assert "<table>" in states._repr_html_() and repr(states) == "StationaryStates(4, COMPLETE)"
    assert states[0] is states.states[0] and len(states.stable) == 2
