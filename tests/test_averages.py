"""Gaussian averages: 30-digit references, identities, seams between rules, and errors that are kept."""

import json
import math
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield.averages import gaussian_average, mp_average, pair_average
from meanfield.gaussian.quadrature import Doubling, GaussHermite
from meanfield.gaussian.tanh_errors import ROWS, WIDE_ROWS
from meanfield.transfer import Transfer, get_transfer

HERE = Path(__file__).parent / "references"
SINGLES = json.loads((HERE / "averages.json").read_text())
PAIRS = json.loads((HERE / "pairs.json").read_text())
REFERENCE = 1e-24  # the stored digits, and what the references' own integrals leave out, relative to the scale
SMOOTH = ("tanh", "erf", "softplus", "logistic", "sin")
LEAKY = Transfer.from_expression("tanh(x) + x/10")

means = st.floats(-20, 20)
variances = st.floats(-8, 4).map(lambda e: 10.0**e)
correlations = st.floats(-1, 1)
quick = settings(max_examples=40, deadline=None)


def _true_errors(values, exact):
    """|value - exact| with the exact value in 25 digits."""
    with mp.workdps(30):
        return np.array([float(abs(mp.mpf(float(v)) - mp.mpf(e))) for v, e in zip(values, exact, strict=True)])


def _scale(name, order, power, mean, variance):
    """Size of the function over the Gaussian: its bound, or its growth where it is not bounded."""
    t = get_transfer(name)
    if order >= 0 and math.isfinite(t.bounds[order]):
        return t.bounds[order] ** power + 0 * variance
    growth = {("tanh", -1): 1, ("erf", -1): 1, ("sin", -1): 0, ("relu", 0): 1, ("relu", -1): 2, ("step", -1): 1}
    growth |= {("softplus", 0): 1, ("softplus", -1): 2, ("logistic", -1): 1}
    if (name, order) in growth:
        return 3 * (1 + np.abs(mean) + np.sqrt(variance)) ** (growth[name, order] * power)
    return 10 * variance ** (-(order - t.singular + 1) / 2)  # a derivative of the density


@pytest.mark.parametrize("row", sorted(SINGLES["rows"]))
def test_single_averages_against_references(row):
    name, order, power = row.split()
    order, power = int(order), int(power)
    mean, variance = (
        a.ravel() for a in np.meshgrid(*(np.array(SINGLES[q], float) for q in ("means", "variances")), indexing="ij")
    )
    value, error = gaussian_average(name, mean=mean, variance=variance, order=order, power=power, with_error=True)
    true = _true_errors(value, SINGLES["rows"][row])
    scale = _scale(name, order, power, mean, variance)
    assert np.all(true <= 1e-12 * scale)
    assert np.all(true <= error + REFERENCE * scale)
    assert np.all(error <= 2e-12 * scale)


@pytest.mark.parametrize("row", sorted(PAIRS["rows"]))
def test_pair_averages_against_references(row):
    name, order = row.split()
    order = int(order)
    for case, exact in zip(PAIRS["cases"], PAIRS["rows"][row], strict=True):
        mx, my, vx, vy, rho = map(float, case)
        arguments = {"mean": (mx, my), "variance": (vx, vy), "correlation": rho, "order": order}
        if exact is None:
            with pytest.raises(ValueError, match="Dirac"):
                pair_average(name, **arguments)
            continue
        value, error = pair_average(name, **arguments, with_error=True)
        (true,) = _true_errors([value], [exact])
        scale = math.prod(float(_scale(name, order, 1, m, v)) for m, v in ((mx, vx), (my, vy)))
        scale = max(scale, abs(value))  # a density of the pair diverges near |rho| = 1
        assert true <= 1e-11 * scale, case
        assert true <= error + REFERENCE * scale, case
        assert error <= 1e-11 * scale, case


# ---- identities ----------------------------------------------------------------------------------


def _central(f, x, h):
    """Fourth-order central difference."""
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


@quick
@given(st.sampled_from(SMOOTH), st.integers(-1, 3), means, variances)
def test_derivative_in_the_mean_is_the_next_order(name, order, mean, variance):
    h = 1e-3
    slope = _central(lambda m: gaussian_average(name, mean=m, variance=variance, order=order), mean, h)
    # differences lose eps/h of the value and h^4/30 of the fifth derivative, at most 272 for these functions (their
    # sixth order)
    size = 1 + abs(gaussian_average(name, mean=mean, variance=variance, order=order))
    assert slope == pytest.approx(
        gaussian_average(name, mean=mean, variance=variance, order=order + 1), abs=3e-12 * size + 2e-9
    )


@quick
@given(st.sampled_from(SMOOTH), st.integers(-1, 3), means, st.floats(-1, 4).map(lambda e: 10.0**e))
def test_derivative_in_the_variance_is_half_the_second_next(name, order, mean, variance):
    h = 2e-3 * variance
    slope = _central(lambda v: gaussian_average(name, mean=mean, variance=v, order=order), variance, h)
    size = 1 + abs(gaussian_average(name, mean=mean, variance=variance, order=order))
    expected = gaussian_average(name, mean=mean, variance=variance, order=order + 2) / 2
    assert slope == pytest.approx(expected, abs=(3e-12 * size + 1e-9) * max(1, 1 / variance))


@quick
@given(st.sampled_from(("tanh", "erf", "sin")), st.integers(-1, 5), means, variances)
def test_parity(name, order, mean, variance):
    plus, error = gaussian_average(name, mean=mean, variance=variance, order=order, with_error=True)
    minus = gaussian_average(name, mean=-mean, variance=variance, order=order)
    assert abs(plus - (-1) ** (order + 1) * minus) <= 2 * error


@quick
@given(means, variances, st.integers(1, 5))
def test_rescaling_of_the_logistic_function(mean, variance, order):
    logistic = gaussian_average("logistic", mean=mean, variance=variance, order=order)
    tanh = gaussian_average("tanh", mean=mean / 2, variance=variance / 4, order=order)
    assert logistic == pytest.approx(tanh / 2 ** (order + 1), abs=1e-15)
    assert gaussian_average("softplus", mean=mean, variance=variance, order=order) == pytest.approx(
        gaussian_average("logistic", mean=mean, variance=variance, order=order - 1), abs=1e-15
    )


@quick
@given(st.sampled_from(("tanh", "erf", "logistic", "softplus", "relu", "step")), means, variances, st.floats(0.01, 3))
def test_averages_of_increasing_functions_increase(name, mean, variance, shift):
    low, error = gaussian_average(name, mean=mean, variance=variance, with_error=True)
    assert gaussian_average(name, mean=mean + shift, variance=variance) >= low - 2 * error


@quick
@given(means, variances)
def test_square_identity_of_tanh(mean, variance):
    square = gaussian_average("tanh", mean=mean, variance=variance, power=2)
    assert square == pytest.approx(
        gaussian_average("tanh", mean=mean, variance=variance, power=2, rule=Doubling()), abs=1e-13
    )
    assert square >= gaussian_average("tanh", mean=mean, variance=variance) ** 2 - 1e-13


@quick
@given(
    st.sampled_from(("tanh", "erf", "relu", "step", "logistic", "sin")),
    means,
    means,
    variances,
    variances,
    correlations,
)
def test_pairs_are_symmetric_and_obey_cauchy_schwarz(name, mx, my, vx, vy, rho):
    value, error = pair_average(name, mean=(mx, my), variance=(vx, vy), correlation=rho, with_error=True)
    swapped, other = pair_average(name, mean=(my, mx), variance=(vy, vx), correlation=rho, with_error=True)
    assert abs(value - swapped) <= error + other
    squares = [gaussian_average(name, mean=m, variance=v, power=2) for m, v in ((mx, vx), (my, vy))]
    assert abs(value) <= math.sqrt(math.prod(squares)) * (1 + 1e-12) + error + 1e-13


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "logistic"])
def test_derivative_of_a_pair_in_the_covariance_is_the_pair_of_derivatives(name):
    variance, h = 2.0, 1e-3
    for mean, rho in ((0.0, 0.4), (1.3, -0.6), (-0.5, 0.0)):
        slope = _central(
            lambda c, m=mean: pair_average(name, mean=m, variance=variance, correlation=c / variance), rho * variance, h
        )
        assert slope == pytest.approx(
            pair_average(name, mean=mean, variance=variance, correlation=rho, order=1), abs=1e-10
        )


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "step", "sin", "softplus", "logistic"])
def test_correlation_0_and_1_are_the_single_averages(name):
    mean, variance = np.array([0.0, 1.2, -7.0]), np.array([0.3, 9.0, 2500.0])
    one = pair_average(name, mean=mean, variance=variance, correlation=1.0)
    np.testing.assert_allclose(
        one, gaussian_average(name, mean=mean, variance=variance, power=2), rtol=1e-13, atol=1e-14
    )
    zero = pair_average(name, mean=mean, variance=variance, correlation=0.0)
    np.testing.assert_allclose(zero, gaussian_average(name, mean=mean, variance=variance) ** 2, rtol=1e-13, atol=1e-14)


def test_arc_cosine_and_arc_sine_laws():
    rho = np.linspace(-1, 1, 41)
    relu = (np.sqrt(1 - rho**2) + rho * (math.pi / 2 + np.arcsin(rho))) / (2 * math.pi)
    np.testing.assert_allclose(pair_average("relu", mean=0.0, variance=1.0, correlation=rho), relu, atol=1e-15)
    erf = 2 / math.pi * np.arcsin(rho * 3 / (3 + 2 / math.pi))
    np.testing.assert_allclose(pair_average("erf", mean=0.0, variance=3.0, correlation=rho), erf, atol=1e-15)


# ---- regimes -------------------------------------------------------------------------------------

SEAMS = [row.top for row in ROWS[1:]] + [WIDE_ROWS[-1].bottom]


@pytest.mark.parametrize("seam", SEAMS)
@pytest.mark.parametrize("order", range(-1, 6))
def test_no_jump_where_the_rule_changes(seam, order):
    mean = np.linspace(-20, 20, 81)
    low, high = np.nextafter(seam, 0), np.nextafter(seam, 100)
    a, error_a = gaussian_average("tanh", mean=mean, variance=low, order=order, with_error=True)
    b, error_b = gaussian_average("tanh", mean=mean, variance=high, order=order, with_error=True)
    assert np.all(np.abs(a - b) <= error_a + error_b)
    assert np.abs(a - b).max() <= 3e-14 * (20 if order == -1 else get_transfer("tanh").bounds[order])


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "softplus", "logistic", "step", "sin"])
@pytest.mark.parametrize("order", range(-1, 4))
def test_fast_path_agrees_with_its_slow_twin(name, order):
    rng = np.random.default_rng(order + 5)
    mean, variance = rng.uniform(-20, 20, 40), 10 ** rng.uniform(-8, 4, 40)
    fast, error = gaussian_average(name, mean=mean, variance=variance, order=order, with_error=True)
    slow, slow_error = gaussian_average(
        name, mean=mean, variance=variance, order=order, rule=Doubling(), with_error=True
    )
    assert np.all(np.abs(fast - slow) <= error + slow_error)


def test_at_most_64_evaluations_of_tanh(monkeypatch):
    import meanfield.gaussian.tanh as fast

    count = []
    monkeypatch.setattr(fast, "np", _Counting(count))
    for variance in (1e-6, 0.05, 0.1, 0.3, 1.0, 4.0, 10.0, 1e3):
        count.clear()
        fast.tanh_averages(np.array([0.3]), np.array([variance]), (0, 1, 2, 3))
        assert sum(count) <= 64


class _Counting:
    """numpy with a tanh that counts."""

    def __init__(self, count):
        self._count = count

    def __getattr__(self, name):
        return getattr(np, name)

    def tanh(self, x, **more):
        self._count.append(np.size(x))
        return np.tanh(x, **more)


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "softplus", "logistic", "step", "sin"])
def test_squares_of_almost_nothing_are_not_negative(name):
    variance = 10.0 ** -np.arange(2.0, 40.0)
    assert (gaussian_average(name, mean=0.0, variance=variance, power=2) >= 0).all()


@pytest.mark.parametrize("name", ["tanh", "erf", "relu", "softplus", "logistic", "step", "sin"])
def test_variance_zero_is_the_function_itself(name):
    x = np.array([-3.0, 0.2, 11.0])
    t = get_transfer(name)
    for order in range(-1, 5):
        np.testing.assert_array_equal(gaussian_average(name, mean=x, variance=0.0, order=order), t(x, order))
    np.testing.assert_array_equal(gaussian_average(name, mean=x, variance=0.0, power=2), t(x) ** 2)
    np.testing.assert_allclose(
        pair_average(name, mean=(x, x + 1), variance=0.0, correlation=0.3), t(x) * t(x + 1), rtol=1e-15
    )


@pytest.mark.parametrize("name", ["tanh", "logistic", "erf", "softplus"])
def test_error_at_variance_zero_covers_saturated_neurons(name):
    x = np.linspace(-24.03, 24.01, 97)
    for order in range(6):
        for power in (1, 2):
            value, error = gaussian_average(name, mean=x, variance=0.0, order=order, power=power, with_error=True)
            with mp.workdps(60):
                t = get_transfer(name)
                exact = [t.mp(float(a), order) ** power for a in x]
                true = [float(abs(e - mp.mpf(float(v)))) for e, v in zip(exact, value, strict=True)]
            assert np.all(true <= error), (order, power)


def test_every_repeated_order_has_its_error():
    value, error = gaussian_average("tanh", mean=30.0, variance=2.0, order=(-1, -1, 0), with_error=True)
    assert value[0] == value[1] and error[0] == error[1] > 10 * error[2] / 4


def test_dirac_mass_of_a_kink_that_is_not_a_double():
    t = Transfer.from_expression("Heaviside(exp(x)-1.3)")
    value = gaussian_average(t, mean=0.1, variance=0.5, order=1)
    step = gaussian_average("step", mean=0.1 - math.log(1.3), variance=0.5, order=1)
    assert value == pytest.approx(step, rel=1e-14)


def test_outside_the_range_the_error_still_covers():
    for mean, variance in ((1e3, 1.0), (-500.0, 1e6), (0.5, 1e9), (3.0, 1e-20), (1e5, 2e10)):
        for order in (0, 1):
            value, error = gaussian_average("tanh", mean=mean, variance=variance, order=order, with_error=True)
            assert abs(mp_average("tanh", mean, variance, order) - mp.mpf(float(value))) <= error


def test_shapes_broadcast_and_orders_lead():
    mean, variance = np.zeros((3, 1)), np.ones((2, 1, 4))
    assert gaussian_average("tanh", mean=mean, variance=variance).shape == (2, 3, 4)
    both, error = gaussian_average("tanh", mean=mean, variance=variance, order=(0, 1, 3), with_error=True)
    assert both.shape == error.shape == (3, 2, 3, 4)
    np.testing.assert_array_equal(both[1], gaussian_average("tanh", mean=mean, variance=variance, order=1))
    assert np.ndim(gaussian_average("erf", mean=0.1, variance=2)) == 0
    assert gaussian_average("tanh", mean=np.zeros((0, 2)), variance=1.0, order=(0, 1)).shape == (2, 0, 2)
    assert pair_average("tanh", mean=np.zeros(3), variance=1.0, correlation=np.zeros((2, 1))).shape == (2, 3)


# ---- user expressions, Gauss-Hermite, errors -----------------------------------------------------


def test_user_expression_is_linear_in_its_parts():
    mean, variance = np.array([-20.0, 0.0, 1.0, 20.0]), np.array([1e-6, 0.5, 30.0, 1e4])
    for order, extra in ((0, mean / 10), (1, 0.1), (2, 0.0)):
        value, error = gaussian_average(LEAKY, mean=mean, variance=variance, order=order, with_error=True)
        expected = gaussian_average("tanh", mean=mean, variance=variance, order=order) + extra
        assert np.all(np.abs(value - expected) <= error + 1e-14)
        assert np.all(error <= 1e-12 * (1 + np.sqrt(variance)))


def test_kinked_expression_has_its_dirac_masses():
    twin = Transfer.from_expression("Max(x, 0)")
    mean, variance = np.array([-1.0, 0.0, 0.7]), np.array([0.2, 1.0, 50.0])
    for order in range(5):
        np.testing.assert_allclose(
            gaussian_average(twin, mean=mean, variance=variance, order=order),
            gaussian_average("relu", mean=mean, variance=variance, order=order),
            rtol=1e-12,
            atol=1e-14,
        )
    value, error = pair_average(twin, mean=(0.3, -1.0), variance=(1.0, 4.0), correlation=0.99, with_error=True)
    assert abs(value - pair_average("relu", mean=(0.3, -1.0), variance=(1.0, 4.0), correlation=0.99)) <= error < 1e-11


def test_gauss_hermite_chooses_its_order_and_its_error_is_honest():
    variance = np.array([0.1, 0.5, 1.0, 4.0, 25.0, 100.0])
    for mean in (0.0, 0.4, 3.0):
        exact = gaussian_average("tanh", mean=mean, variance=variance)
        chosen, error = gaussian_average("tanh", mean=mean, variance=variance, rule=GaussHermite(), with_error=True)
        assert np.all(np.abs(chosen - exact) <= error)
        assert np.all(error[:3] < 1e-12)
        fixed, error = gaussian_average("tanh", mean=mean, variance=variance, rule=GaussHermite(200), with_error=True)
        assert np.all(np.abs(fixed - exact) <= error + 1e-15)
    # the figure of the documentation: 200 nodes at variance 100
    off = gaussian_average("tanh", mean=1.0, variance=100.0, rule=GaussHermite(200)) - gaussian_average(
        "tanh", mean=1.0, variance=100.0
    )
    assert abs(off) > 1e-3


@pytest.mark.parametrize("name", ["tanh", "softplus", "relu"])
def test_arbitrary_precision(name):
    value, error = gaussian_average(name, mean=0.7, variance=6.25, order=1, with_error=True)
    with mp.workdps(40):
        exact = mp_average(name, "0.7", "6.25", 1, 40)
        assert abs(exact - mp_average(name, "0.7", "6.25", 1, 55)) < mp.mpf(10) ** -38
        assert abs(exact - mp.mpf(float(value))) <= error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mean": 0.0, "variance": -1.0}, "variance must be finite and >= 0"),
        ({"mean": 0.0, "variance": math.nan}, "variance must be finite"),
        ({"mean": 0.0, "variance": math.inf}, "variance must be finite"),
        ({"mean": [0.0, math.nan], "variance": 1.0}, "mean must be finite"),
        ({"mean": np.zeros(3), "variance": np.ones(4)}, "must broadcast"),
        ({"mean": 0.0, "variance": 1.0, "order": 6}, "order must lie"),
        ({"mean": 0.0, "variance": 1.0, "order": 0.5}, "order must be an integer"),
        ({"mean": 0.0, "variance": 1.0, "order": ()}, "empty"),
        ({"mean": 0.0, "variance": 1.0, "power": 3}, "power must be 1 or 2"),
        ({"mean": 0.0, "variance": 1.0, "rule": "gauss"}, "rule must be"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gaussian_average("tanh", **arguments)


def test_averages_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="does not exist"):
        gaussian_average("step", mean=0.0, variance=0.0, order=1)
    with pytest.raises(ValueError, match="Dirac mass"):
        gaussian_average("step", mean=0.0, variance=1.0, order=1, power=2)
    with pytest.raises(ValueError, match="does not exist"):
        gaussian_average(Transfer.from_expression("exp(x**2)"), mean=0.0, variance=1e4)
    with pytest.raises(ValueError, match="Dirac"):
        pair_average("step", mean=0.0, variance=1.0, correlation=1.0, order=1)
    with pytest.raises(ValueError, match="correlation must lie"):
        pair_average("tanh", mean=0.0, variance=1.0, correlation=1.0000001)
    with pytest.raises(ValueError, match="correlation must lie"):
        pair_average("tanh", mean=0.0, variance=1.0, correlation=math.nan)
