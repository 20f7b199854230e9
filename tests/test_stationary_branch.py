"""One state over a grid of parameters: the same states as the proved ones, every key of ``vary``, honest failures."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_part import centred, mean_driven

import meanfield as mf
from meanfield.dmft import stationary, stationary_branch
from meanfield.dmft.grid import broadcast, parameters
from meanfield.dmft.knobs import knob
from meanfield.dmft.problem import pose

CLOSE = 1e-9  # both end at residuals of 1e-12; the Jacobians here have condition numbers below 10^3
START = ([1.0], [1.5])


def two_populations(g=0.8, mean_n=2.5, overlap=1.2, drive=0.4):
    return mf.Connectivity.from_overlaps(
        [
            {"weight": 0.4, "mean m1": 1.0, "mean n1": mean_n, "n1 m1": 0.4, "n1 n1": 3.0},
            {"weight": 0.6, "mean m1": -0.3, "mean n1": 0.5, "n1 m1": overlap, "n1 n1": 3.0, "mean A": drive},
        ],
        rank=1,
        inputs=("A",),
        g=g,
    )


def nearest(states, kappa, delta0):
    return min(states, key=lambda s: max(np.abs(s.kappa - kappa).max(), np.abs(s.delta0 - delta0).max()))


def assert_is_state(branch, index, states):
    s = nearest(states, branch.kappa[index], branch.delta0[index])
    np.testing.assert_allclose(branch.kappa[index], s.kappa, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(branch.delta0[index], s.delta0, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(branch.mean[index], s.mean, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(branch.bulk_radius[index], s.bulk_radius, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(branch.outliers[index], s.outliers, rtol=0, atol=1e-6)  # close pairs: square roots
    assert branch.stable[index] == s.stable


def test_a_diagram_holds_the_proved_states():
    g, overlap = np.array([0.3, 0.9, 1.4, 1.7]), np.array([1.6, 2.0, 2.6])
    branch = stationary_branch(mean_driven(0.0), vary={"g": g[:, None], "mean n1": overlap}, start=START)
    assert branch.kappa.shape == (4, 3, 1) and branch.delta0.shape == (4, 3, 1) and branch.status.shape == (4, 3)
    assert branch.outliers.shape == (4, 3, 2) and branch.bulk_radius.shape == (4, 3)
    assert branch.converged.all() and branch.residual.max() <= 1e-12 and branch.error.max() < 1e-9
    for i, j in itertools.product(range(4), range(3)):
        assert_is_state(branch, (i, j), stationary(mean_driven(g[i], overlap[j])))
    np.testing.assert_array_equal(branch.parameters["g"], np.broadcast_to(g[:, None], (4, 3)))
    assert "12 of 12 points converged; g, mean n1" in repr(branch)


def test_centred_overlaps_and_variances():
    branch = stationary_branch(
        centred(1.5, 0.7), vary={"n1 m1": np.array([1.4, 2.0, 3.0]), "m1 m1": np.array([1.0, 2.0, 0.5])}, start=START
    )
    for i, (overlap, variance) in enumerate(((1.4, 1.0), (2.0, 2.0), (3.0, 0.5))):
        assert_is_state(branch, i, stationary(centred(overlap, 0.7, variance)))


@pytest.mark.parametrize(
    ("key", "values", "change"),
    [
        ("g", [0.5, 1.1], lambda x: {"c": two_populations(g=x)}),
        ("A", [-0.3, 0.6], lambda x: {"inputs": {"A": x}}),
        ("input_variance", [0.0, 0.5], lambda x: {"input_variance": x}),
        (("input_variance", 1), [0.1, 0.5], lambda x: {"input_variance": [0.2, x]}),
        (("mean n1", 0), [2.0, 3.0], lambda x: {"c": two_populations(mean_n=x)}),
        (("mean A", 1), [0.1, 0.9], lambda x: {"c": two_populations(drive=x)}),
        (("n1 m1", 1), [0.8, 1.6], lambda x: {"c": two_populations(overlap=x)}),
        (("m1 n1", np.int64(1)), [0.8, 1.6], lambda x: {"c": two_populations(overlap=x)}),
    ],
)
def test_every_kind_of_key(key, values, change):
    base = {"c": two_populations(), "inputs": {"A": 0.3}, "input_variance": 0.2}
    branch = stationary_branch(**base, vary={key: values}, start=([1.0], [1.5, 1.5]))
    assert branch.converged.all()
    for i, x in enumerate(values):
        assert_is_state(branch, i, stationary(**(base | change(x))))
    assert abs(branch.delta0[0] - branch.delta0[1]).max() > 1e-3  # the key did something


BLOCK = np.array([[0.6, 0.3], [0.9, 0.4]])


@pytest.mark.parametrize("order", [1, -1])
def test_strengths_of_a_block(order):
    """A common factor, and single strengths, which win over the factor in whatever order they are given."""
    values, alone = np.array([0.5, 1.5]), np.array([0.2, 0.7])
    vary = dict([("g", values), (("g", 0, 1), alone)][::order])
    branch = stationary_branch(two_populations(BLOCK), inputs={"A": 0.3}, vary=vary, start=([1.0], [1.5, 1.5]))
    assert branch.converged.all() and abs(branch.delta0[0] - branch.delta0[1]).max() > 0.1
    for i in range(2):
        g = values[i] * BLOCK
        g[0, 1] = alone[i]
        assert_is_state(branch, i, stationary(two_populations(g), inputs={"A": 0.3}))


def test_the_special_key_wins():
    vary = {("n1 m1", 0): [0.4, 0.5], "n1 m1": [1.2, 0.9]}
    branch = stationary_branch(two_populations(), inputs={"A": 0.3}, vary=vary, start=([1.0], [1.5, 1.5]))
    swapped = dict(reversed(vary.items()))
    other = stationary_branch(two_populations(), inputs={"A": 0.3}, vary=swapped, start=([1.0], [1.5, 1.5]))
    np.testing.assert_array_equal(branch.kappa, other.kappa)
    assert_is_state(branch, 0, stationary(two_populations(), inputs={"A": 0.3}))


@settings(max_examples=20)
@given(
    st.sampled_from(
        ["g", "input_variance", ("input_variance", 1), "A", "mean n1", ("mean m1", 0), ("n1 m1", 1), ("g", 1, 0)]
    ),
    st.floats(0.0, 1.5),
    st.booleans(),
)
def test_a_knob_is_a_grid_of_one_point(key, value, block):
    """The problem that the knob makes has the statistics that the grid puts into the equations."""
    problem = pose(two_populations(BLOCK if block or key == ("g", 1, 0) else 0.8), inputs={"A": 0.3})
    turned = knob(problem, key)(value)
    b, v, coupling, variance = parameters(problem, *broadcast({key: [value]})[::-1])
    for name in b._fields:
        got, expected = np.asarray(getattr(b, name)), getattr(turned.blocks, name)
        np.testing.assert_allclose(np.broadcast_to(got, (1, *np.shape(expected)))[0], expected, rtol=1e-15)
    np.testing.assert_array_equal(v[0], turned.v)
    np.testing.assert_allclose(np.broadcast_to(coupling, (1, 2, 2))[0], turned.coupling, rtol=1e-15)
    np.testing.assert_array_equal(np.broadcast_to(variance, (1, 2))[0], turned.input_variance)


def test_covariances_with_inputs_over_all_populations():
    def build(x):
        entries = [{"weight": 0.5, "n1 A": x, "m1 A": x / 3, "n1 m1": 1.2, "n1 n1": 5.0} for _ in range(2)]
        return mf.Connectivity.from_overlaps(entries, rank=1, inputs=("A",), g=[[0.5, 0.9], [0.2, 0.7]])

    x = np.array([0.2, 0.9])
    branch = stationary_branch(
        build(0.5), inputs={"A": 1.0}, vary={"n1 A": x, "A m1": x / 3}, start=([0.5], [1.0, 1.0])
    )
    for i in range(2):
        assert_is_state(branch, i, stationary(build(x[i]), inputs={"A": 1.0}))


def test_it_starts_from_a_state_and_from_a_branch_and_follows_an_unstable_one():
    states = stationary(mean_driven(1.5))
    saddle = next(s for s in states if abs(s.kappa[0]) < 1e-9 and s.delta0[0] > 0)
    near = stationary_branch(mean_driven(1.5), vary={"g": np.linspace(1.5, 1.52, 3)}, start=saddle)
    assert near.converged.all() and np.abs(near.kappa).max() < 1e-9 and not near.stable.any()
    assert (np.diff(near.delta0[:, 0]) > 0).all()
    again = stationary_branch(mean_driven(1.5), vary={"g": np.linspace(1.5, 1.52, 3)}, start=near)
    np.testing.assert_allclose(again.delta0, near.delta0, rtol=0, atol=CLOSE)
    upper = stationary_branch(mean_driven(1.5), vary={"g": np.linspace(0.2, 1.5, 4)}, start=states[-1])
    assert upper.stable.all() and (np.diff(upper.kappa[:, 0]) < 0).all()


def test_to_silence_and_its_spectrum():
    branch = stationary_branch(centred(0.5, 0.0), vary={"g": np.array([0.0, 0.4, 0.9])}, start=([0.2], [0.5]))
    assert branch.converged.all() and branch.stable.all()
    assert np.abs(branch.kappa).max() < 1e-11 and branch.delta0.max() < 1e-10
    np.testing.assert_allclose(branch.bulk_radius, [0.0, 0.4, 0.9], atol=1e-9)
    np.testing.assert_allclose(branch.outliers.real, [[-0.5, -1.0]] * 3, atol=1e-9)


def test_a_saddle_with_a_quiet_bulk_is_not_stable():
    branch = stationary_branch(mean_driven(0.0), vary={"g": np.array([0.2, 0.5])}, start=([0.0], [0.0]))
    assert branch.converged.all() and (branch.bulk_radius < 1).all() and not branch.stable.any()
    np.testing.assert_allclose(branch.outliers.real, [[1.2, -1.0]] * 2, atol=1e-12)


@settings(max_examples=10)
@given(st.floats(0.1, 1.9), st.floats(1.2, 3.0), st.sampled_from(("tanh", "erf", "logistic", "softplus")))
def test_each_point_solves_its_own_equations(g, overlap, transfer):
    if transfer == "softplus":
        g, overlap = g / 4, overlap / 10
    c = mean_driven(g, overlap)
    branch = stationary_branch(c, transfer, vary={"g": [g, g / 2]}, start=START, tau=3.0)
    assert branch.converged.all()
    for i, strength in enumerate((g, g / 2)):
        k, d = branch.kappa[i], branch.delta0[i]
        rows = [mf.gaussian_average(transfer, mean=1.1 * k, variance=d, power=q) for q in (1, 2)]
        assert abs(overlap * rows[0] - k)[0] < 1e-11 and abs(k**2 + strength**2 * rows[1] - d)[0] < 1e-11


def test_units_of_time():
    one, ten = (stationary_branch(mean_driven(1.0), vary={"g": [0.6]}, start=START, tau=t) for t in (1.0, 10.0))
    np.testing.assert_allclose(one.outliers, 10 * ten.outliers, rtol=1e-12)
    np.testing.assert_array_equal(one.bulk_radius, ten.bulk_radius)


def test_one_point_without_axes():
    branch = stationary_branch(mean_driven(1.0), vary={"g": 0.7}, start=START)
    assert branch.kappa.shape == (1,) and branch.status.shape == () and bool(branch.converged)
    assert_is_state(branch, (), stationary(mean_driven(0.7)))


def test_what_did_not_converge_says_so_and_gives_no_number():
    branch = stationary_branch(mean_driven(1.0), vary={"g": [0.3, 0.6]}, start=START, max_iterations=1)
    assert not branch.converged.any() and not branch.stable.any()
    assert all("start closer, or raise max_iterations" in s for s in branch.status)
    for array in (branch.kappa, branch.delta0, branch.mean, branch.bulk_radius, branch.outliers):
        assert np.isnan(array).all()
    assert (branch.residual > 1e-12).all()


def test_a_point_that_fails_leaves_the_others_alone():
    """The residual cannot fall below rounding: a tolerance of 0 is met where it is exactly 0 alone."""
    good = stationary_branch(mean_driven(1.0), vary={"g": [0.3, 0.6]}, start=START)
    strict = stationary_branch(
        mean_driven(1.0), vary={"g": [0.3, 0.6]}, start=([[1.0], [0.0]], [[1.5], [0.0]]), tolerance=1e-300,
        max_iterations=5,
    )  # fmt: skip
    assert strict.status[1] == "converged" and strict.kappa[1, 0] == 0  # starts on the quiescent state
    assert strict.status[0] != "converged" and np.isnan(strict.kappa[0, 0]) and good.converged.all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vary": {}}, "vary must map names"),
        ({"vary": [1.0]}, "vary must map names"),
        ({"vary": {"h": [1.0]}}, "unknown parameter 'h'"),
        ({"vary": {"n9 m1": [1.0]}}, "n9"),
        ({"vary": {"mean q": [1.0]}}, "q"),
        ({"vary": {"g": [1.0, np.nan]}}, "g"),
        ({"vary": {"g": [-1.0]}}, "g must be finite and >= 0"),
        ({"vary": {("g", 0, 1): [-1.0]}, "c": two_populations(np.full((2, 2), 0.5))}, "g must be finite and >= 0"),
        ({"vary": {"input_variance": [-1.0]}}, "input_variance must be finite and >= 0"),
        ({"vary": {"noise": [0.1]}}, "none is at rest"),
        ({"vary": {"g": [1.0, 2.0], "A": [1.0, 2.0, 3.0]}}, "broadcast to one grid"),
        ({"vary": {"m1 A": [1.0, 1.5]}}, "positive semi-definite"),
        ({"vary": {("n1 m1", 2): [1.0]}}, "population p from 0 to 1"),
        ({"vary": {("n1 m1", -1): [1.0]}}, "population p from 0 to 1"),
        ({"vary": {("n1", "m1"): [1.0]}}, "population p from 0 to 1"),
        ({"vary": {("g", 0): [1.0]}}, r"pair of populations, \('g', p, q\)"),
        ({"vary": {("g", 0, 1): [1.0]}}, "g is one number here.*np.full"),
        ({"vary": {("g", 0, 2): [1.0]}, "c": two_populations(np.full((2, 2), 0.5))}, "p and q from 0 to 1"),
        ({"vary": {("n1 m1", 0, 1): [1.0]}}, "a key is a name"),
        ({"vary": {("noise", 0): [1.0]}}, "one for all populations"),
        ({"vary": {("A", 0): [1.0]}}, "one for all populations"),
        ({"start": ([1.0, 2.0], [1.0, 1.0])}, "do not broadcast"),
        ({"start": ([1.0], [1.0, 1.0, 1.0])}, "do not broadcast"),
        ({"start": ([1.0], [1.0, -1.0])}, "delta0 must be >= 0"),
        ({"start": ([np.nan], [1.0, 1.0])}, "start kappa"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"inputs": {"B": 1.0}}, "unknown input"),
        ({"input_variance": -1.0}, "input_variance must be >= 0"),
    ],
)
def test_bad_input(arguments, message):
    valid = {"c": two_populations(), "vary": {"g": [0.5]}, "start": ([1.0], [1.0, 1.0])}
    with pytest.raises(ValueError, match=message):
        stationary_branch(**(valid | arguments))


def test_a_branch_says_what_was_varied():
    c = mf.Connectivity.from_overlaps([{"weight": 0.5, "n1 m1": 2.0}] * 2, rank=1, g=np.full((2, 2), 0.5))
    branch = mf.dmft.stationary_branch(c, vary={("g", 0, 1): [0.4, 0.6]}, start=mf.dmft.stationary(c)[-1])
    assert str(branch) == "StationaryBranch(2 of 2 points converged; ('g', 0, 1))"
