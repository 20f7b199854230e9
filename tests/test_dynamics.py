"""The reduced vector field against slow obvious twins: finite differences, explicit sums, finite networks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meanfield as mf
from meanfield import equations

TWO_POPULATIONS = [
    {
        "weight": 0.3,
        "n1 m1": 3.0,
        "n2 m1": 1.0,
        "m1 m1": 2.0,
        "mean n1": 0.7,
        "mean m1": 0.4,
        "mean m2": -0.3,
        "n1 A": 0.8,
        "mean A": 0.2,
    },
    {
        "weight": 0.7,
        "n1 m1": 0.5,
        "n1 m2": -1.0,
        "n2 m2": 2.5,
        "mean n2": -0.5,
        "m1 m2": 0.3,
        "m2 A": 0.4,
        "n2 B": 1.5,
        "B B": 4.0,
    },
]


def mixture():
    return mf.Connectivity.from_overlaps(TWO_POPULATIONS, rank=2, inputs=("A", "B"))


def centred_difference(function, point, step=1e-6):
    return np.stack(
        [(function(point + step * e) - function(point - step * e)) / (2 * step) for e in np.eye(point.shape[-1])], -1
    )


def test_drift_is_the_sum_written_out():
    c, v = mixture(), np.array([0.6, -0.4])
    f = mf.reduce(c, "tanh", {"A": 0.6, "B": -0.4})
    kappa = np.array([0.9, -1.3])
    expected = -kappa
    for p, weight in enumerate(c.weights):
        index = {name: i for i, name in enumerate(c.names)}
        coordinate = {"m1": kappa[0], "m2": kappa[1], "A": v[0], "B": v[1]}
        mean = sum(c.means[p, index[a]] * x for a, x in coordinate.items())
        variance = sum(
            c.covariances[p, index[a], index[b]] * x * y for a, x in coordinate.items() for b, y in coordinate.items()
        )
        phi, slope = (mf.gaussian_average("tanh", mean=mean, variance=variance, order=k) for k in (0, 1))
        for r, n in enumerate(("n1", "n2")):
            push = sum(c.covariances[p, index[n], index[a]] * x for a, x in coordinate.items())
            expected[r] += weight * (c.means[p, index[n]] * phi + push * slope)
    np.testing.assert_allclose(f(kappa), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("transfer", ["tanh", "erf", "logistic", "sin", "softplus"])
def test_jacobian_is_the_derivative_of_the_drift(transfer):
    f = mf.reduce(mixture(), transfer, {"A": 0.6}, tau=3.0)
    kappa = np.random.default_rng(1).normal(size=(7, 2))
    # a centred difference with step 1e-6 errs by about eps / step
    np.testing.assert_allclose(f.jacobian(kappa), centred_difference(f, kappa), rtol=0, atol=2e-9)


def test_hessian_is_the_derivative_of_the_jacobian():
    c, v = mixture(), np.array([0.6, 0.0])
    b, f = c.blocks(), mf.reduce(c, "erf", {"A": 0.6})
    kappa = np.random.default_rng(2).normal(size=(5, 2))
    gain = mf.gaussian_average("erf", mean=f.mean(kappa), variance=f.variance(kappa), order=tuple(range(6)))
    slope, push = equations.half_variance_gradient(b, kappa, v), equations.covariance_with_n(b, kappa, v)
    np.testing.assert_allclose(
        equations.hessian(b, slope, push, gain), centred_difference(f.jacobian, kappa), rtol=0, atol=5e-9
    )


def test_batch_axes_lead():
    f = mf.reduce(mixture(), "tanh")
    kappa = np.random.default_rng(3).normal(size=(3, 4, 2))
    assert f(kappa).shape == (3, 4, 2) and f.jacobian(kappa).shape == (3, 4, 2, 2)
    np.testing.assert_allclose(f(kappa)[1, 2], f(kappa[1, 2]), rtol=0, atol=1e-14)
    assert f(np.zeros((0, 2))).shape == (0, 2)


def test_a_finite_network_is_its_own_exact_mixture():
    rng = np.random.default_rng(4)
    n_neurons = 40
    loadings = mixture().sample(n_neurons, seed=4)
    f = mf.reduce(mf.Connectivity.from_network(loadings), "tanh", {"A": 1.2, "B": 0.3})
    kappa = rng.normal(size=(6, 2))
    x = kappa @ loadings.m.T + loadings.I @ np.array([1.2, 0.3])
    np.testing.assert_allclose(f(kappa), -kappa + np.tanh(x) @ loadings.n / n_neurons, rtol=0, atol=1e-13)
    np.testing.assert_allclose(f.jacobian(kappa), centred_difference(f, kappa), rtol=0, atol=2e-9)


def test_a_drawn_network_approaches_the_mixture():
    c = mixture()
    loadings = c.sample(200_000, seed=5)
    kappa = np.array([0.9, -0.4])
    x = loadings.m @ kappa + 0.5 * loadings.I[:, 0]
    terms = loadings.n * np.tanh(x)[:, None]
    drawn, spread = terms.mean(0), terms.std(0) / np.sqrt(len(x))
    assert (np.abs(drawn - kappa - mf.reduce(c, inputs={"A": 0.5})(kappa)) < 5 * spread).all()


@given(st.floats(-3, 3))
def test_the_potential_slopes_against_the_drift(kappa):
    c = mf.Connectivity.from_overlaps(
        [{"n1 m1": 2.0, "mean n1": 0.3, "mean m1": 0.5, "n1 I": 0.4}], rank=1, inputs=("I",)
    )
    f = mf.reduce(c, "tanh", {"I": 0.7})
    step = 1e-5
    slope = (f.potential(np.array(kappa + step)) - f.potential(np.array(kappa - step))) / (2 * step)
    assert abs(slope + f(np.array([kappa]))[0]) < 1e-9


def test_the_potential_of_one_population_in_closed_form():
    # one zero-mean population: V = kappa^2/2 - overlap/var(m) (<Phi>(Delta) - Phi(0))
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "m1 m1": 1.7}], rank=1)
    kappa = np.linspace(-4, 4, 9)
    value, error = mf.reduce(c).potential(kappa, with_error=True)
    primitive = mf.gaussian_average("tanh", mean=0.0, variance=1.7 * kappa**2, order=-1)
    np.testing.assert_allclose(value, kappa**2 / 2 - 2.0 / 1.7 * primitive, rtol=0, atol=1e-11)
    assert (error < 1e-11).all()


def test_driven_field_has_the_inputs_as_variables():
    f = mf.reduce(mixture(), inputs={"A": lambda t: np.sin(t), "B": 0.5}, tau=2.0)
    state = np.array([0.3, -0.2, 0.4, 0.9])
    rate = f(0.7, state)
    np.testing.assert_allclose(rate[2:], (np.array([np.sin(0.7), 0.5]) - state[2:]) / 2.0)
    np.testing.assert_allclose(rate[:2], f.frozen(state[2:])(state[:2]))
    np.testing.assert_allclose(
        f.jacobian(0.7, state), centred_difference(lambda y: f(0.7, y), state), rtol=0, atol=2e-9
    )


def test_functional_connectivity_gives_the_drift_of_zero_mean_mixtures():
    c = mf.Connectivity.from_overlaps(
        [{"weight": 0.5, "n1 m1": 3.0}, {"weight": 0.5, "n1 m2": 1.0, "n2 m2": 2.0}], rank=2
    )
    f, kappa = mf.reduce(c), np.array([0.8, 0.5])
    np.testing.assert_allclose(f(kappa), -kappa + f.functional_connectivity(kappa) @ kappa, atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": {"C": 1.0}}, "unknown input 'C'.*'A', 'B'"),
        ({"inputs": {"A": np.nan}}, "finite number"),
        ({"inputs": {"A": "loud"}}, "finite number"),
        ({"tau": 0.0}, "tau must be a positive"),
        ({"transfer": "tahn"}, "tanh"),
    ],
)
def test_mistakes_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        mf.reduce(mixture(), **arguments)


def test_random_connectivity_is_refused_for_now():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1, g=0.5)
    with pytest.raises(ValueError, match="g = 0.5"):
        mf.reduce(c)


def test_wrong_shapes_are_named():
    f = mf.reduce(mixture())
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\).*got \(3,\)"):
        f(np.zeros(3))
    with pytest.raises(ValueError, match="rank 1"):
        f.potential(np.zeros(2))
