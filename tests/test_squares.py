"""Averages of squares and Hermite coefficients: mpmath, Stein's lemma, step halving, Parseval, Mehler, closed forms."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield.averages import Doubling, gaussian_average, pair_average
from meanfield.gaussian.hermite import hermite_coefficients
from meanfield.gaussian.squares import both, grown_square, square
from meanfield.transfer import Transfer, get_transfer

NAMED = ("tanh", "erf", "sin", "logistic", "softplus", "relu", "step")
SMOOTH = ("tanh", "erf", "sin", "logistic", "softplus")
LEAKY = Transfer.from_expression("tanh(x) + x/10")
CLIPPED = Transfer.from_expression("Min(Max(x, -1), 1)")
POINTS = ((0.0, 1.0), (0.7, 0.04), (-1.3, 2.5), (2.0, 9.0))
means, variances = st.floats(-6, 6), st.floats(-5, 2).map(lambda e: 10.0**e)
REFERENCE = 1e-17  # what the 25-digit integrals below leave out


def function(name):
    return name if isinstance(name, Transfer) else get_transfer(name)


def by_stein(t, mean, variance, order):
    """<(phi^2)^(k)> = <phi^2 He_k(z)> / s^k in 25 digits: no derivative of phi, no formula of the package."""
    with mp.workdps(25):
        m, s = mp.mpf(mean), mp.sqrt(mp.mpf(variance))
        hermites = (lambda z: 1, lambda z: z, lambda z: z * z - 1, lambda z: z**3 - 3 * z)
        cuts = sorted({mp.mpf(c) for c in range(-14, 15)} | {(mp.mpf(k) - m) / s for k in t.kinks})
        cuts = [c for c in cuts if abs(c) <= 14]
        return mp.quad(lambda z: t.mp(m + s * z) ** 2 * hermites[order](z) * mp.npdf(z), cuts) / s**order


@pytest.mark.parametrize("name", [*NAMED, LEAKY, CLIPPED], ids=str)
def test_averages_of_squares_against_25_digits_within_the_reported_error(name):
    t = function(name)
    mean, variance = np.array(POINTS).T
    value, error = gaussian_average(square(t), mean=mean, variance=variance, order=(0, 1, 2, 3), with_error=True)
    for k in range(4):
        for i, (m, v) in enumerate(POINTS):
            true = abs(float(by_stein(t, m, v, k) - mp.mpf(value[k, i])))
            scale = v ** (-k / 2) * max(1.0, m * m + v)
            assert true <= error[k, i] + REFERENCE * scale, (k, m, v)
            assert true <= 1e-11 * scale, (k, m, v)


@settings(max_examples=30)
@given(st.sampled_from(SMOOTH), means, variances, st.integers(0, 3))
def test_squares_agree_with_plain_step_halving(name, mean, variance, order):
    t = square(get_transfer(name))
    value, error = gaussian_average(t, mean=mean, variance=variance, order=order, with_error=True)
    slow, slow_error = gaussian_average(t, mean=mean, variance=variance, order=order, rule=Doubling(), with_error=True)
    assert abs(value - slow) <= error + slow_error


@settings(max_examples=30)
@given(st.sampled_from((*SMOOTH, "relu")), means, variances, st.integers(0, 2))
def test_each_order_is_the_derivative_of_the_one_below(name, mean, variance, order):
    t = square(get_transfer(name))
    h = 0.01 * math.sqrt(min(variance, 1.0))
    rows = gaussian_average(t, mean=mean + h * np.array([-2, -1, 1, 2]), variance=variance, order=order)
    difference = (rows @ np.array([1, -8, 8, -1])) / (12 * h)
    exact = gaussian_average(t, mean=mean, variance=variance, order=order + 1)
    # h^4/30 times the fifth derivative, which Stein bounds by phi^2 / s^(order + 5), and rounding over h
    size = (1 + mean**2 + variance) / min(variance, 1.0) ** (order / 2)
    assert abs(difference - exact) <= size * (2e-8 / math.sqrt(min(variance, 1.0)) + 1e-12 / h)


@settings(max_examples=30)
@given(st.sampled_from(NAMED), means, variances)
def test_order_zero_is_the_average_of_the_square_that_the_public_door_gives(name, mean, variance):
    value, error = gaussian_average(square(get_transfer(name)), mean=mean, variance=variance, with_error=True)
    other, other_error = gaussian_average(name, mean=mean, variance=variance, power=2, with_error=True)
    assert abs(value - other) <= error + other_error


@pytest.mark.parametrize("name", [*NAMED, LEAKY, CLIPPED], ids=str)
def test_both_rows_are_the_separate_averages(name):
    t = function(name)
    mean, variance = np.array(POINTS).T
    values, squares = both(t, mean, variance, 3)
    np.testing.assert_array_equal(values, gaussian_average(t, mean=mean, variance=variance, order=(0, 1, 2, 3)))
    expected, error = gaussian_average(square(t), mean=mean, variance=variance, order=(0, 1, 2), with_error=True)
    assert (np.abs(squares - expected) <= error).all()


@pytest.mark.parametrize("name", [*SMOOTH, LEAKY], ids=str)
def test_at_variance_zero_the_square_itself(name):
    t = function(name)
    x = np.array([-1.7, 0.0, 0.4, 3.0])
    value, error = gaussian_average(square(t), mean=x, variance=0 * x, order=(0, 1, 2), with_error=True)
    f, f1, f2 = t.jet(x, 2)
    expected = np.stack([f * f, 2 * f * f1, 2 * (f1 * f1 + f * f2)])
    assert (np.abs(value - expected) <= error + 1e-15 * (1 + np.abs(expected))).all()


def test_a_square_has_no_average_where_it_jumps():
    with pytest.raises(ValueError, match="jumps"):
        gaussian_average(square(get_transfer("step")), mean=0.0, variance=0.0, order=1)


@pytest.mark.parametrize("name", [*SMOOTH, "relu", "step"])
def test_bounds_of_the_square_hold_on_the_line(name):
    t = square(get_transfer(name))
    x = np.linspace(-30, 30, 20001)[1:]
    x = x[~np.isin(x, t.kinks)]
    for k, top in enumerate(t.bounds):
        if math.isfinite(top):
            assert np.abs(t(x, k)).max() <= top * (1 + 1e-14), k
    assert all(math.isfinite(b) for b in t.bounds[:6]) or name in ("softplus", "relu", "step")


@settings(max_examples=40)
@given(st.sampled_from(("softplus", "relu", LEAKY)), means, variances, st.integers(0, 4), st.integers(0, 4))
def test_grown_bounds_hold_for_averages_with_hermite_polynomials(name, mean, variance, order, j):
    """What gain_bound asks: |<(phi^2)^(k) He_j(z)>| <= bounds[k] <|He_j|>, with kinks where the sum stays regular."""
    t = function(name)
    bound = grown_square(t, math.sqrt(mean**2 + variance)).bounds[order]
    if not math.isfinite(bound) or order + j > 5 or order >= square(t).singular:
        return
    moment = (1.0, 0.7978845609, 0.9678828981, 1.5100130002, 2.8006003009)[j]
    exact = gaussian_average(square(t), mean=mean, variance=variance, order=order + j)
    assert abs(exact) <= bound * moment / variance ** (j / 2) * (1 + 1e-9) + 1e-10


def test_grown_bounds_are_never_worse_and_are_finite():
    for name in ("softplus", LEAKY):
        t = function(name)
        tops, grown = square(t).bounds, grown_square(t, 2.0).bounds
        assert all(a <= b for a, b in zip(grown, tops, strict=True))
        assert all(map(math.isfinite, grown[:5])) and not math.isfinite(tops[0])


# -- Hermite coefficients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMOOTH)
def test_parseval(name):
    mean, variance = np.array(POINTS).T
    c = hermite_coefficients(get_transfer(name), mean, variance, 1500)
    total = gaussian_average(name, mean=mean, variance=variance, power=2)
    assert c.shape == (4, 1500)
    np.testing.assert_allclose((c**2).sum(-1), total, rtol=0, atol=1e-13 * (1 + total.max()))


@settings(max_examples=20)
@given(st.sampled_from(SMOOTH), st.floats(-3, 3), st.floats(0.01, 3), st.floats(-0.95, 0.95), st.integers(0, 2))
def test_mehler_with_coefficients_of_derivatives(name, mean, variance, rho, order):
    count, s = 400, math.sqrt(variance)
    c = hermite_coefficients(get_transfer(name), np.array(mean), np.array(variance), count)
    for _ in range(order):  # phi' has coefficients sqrt(k + 1) c_(k + 1) / s
        c = np.sqrt(np.arange(1, len(c))) * c[1:] / s
    series = (c**2) @ rho ** np.arange(len(c))
    exact, error = pair_average(name, mean=mean, variance=variance, correlation=rho, order=order, with_error=True)
    rounding = 1e-15 * (count / variance) ** order * (1 + mean**2 + variance)
    assert abs(series - exact) <= error + 10 * rounding + 0.95**count * 10 / variance**order


@pytest.mark.parametrize("variance", [0.1, 1.0, 7.0])
def test_closed_coefficients(variance):
    k = np.arange(40)
    c = hermite_coefficients(get_transfer("sin"), np.array(0.6), np.array(variance), 40)
    factorials = np.sqrt([float(math.factorial(j)) for j in k])
    expected = variance ** (k / 2) / factorials * math.exp(-variance / 2) * np.sin(0.6 + k * np.pi / 2)
    np.testing.assert_allclose(c, expected, rtol=0, atol=1e-14)
    # erf: the arcsine law term by term, <phi phi>(rho) = (2/pi) arcsin(rho q), q = variance / (variance + 2/pi)
    c = hermite_coefficients(get_transfer("erf"), np.array(0.0), np.array(variance), 40)
    q = variance / (variance + 2 / np.pi)
    j = np.arange(20)
    arcsin = [math.comb(2 * i, i) / 4.0**i / (2 * i + 1) for i in j]
    np.testing.assert_allclose(c[1::2] ** 2, 2 / np.pi * np.array(arcsin) * q ** (2 * j + 1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(c[::2], 0.0, atol=1e-15)


def test_coefficients_are_averages_with_orthonormal_polynomials():
    c = hermite_coefficients(get_transfer("tanh"), np.array([0.4]), np.array([1.7]), 6)[0]
    s = math.sqrt(1.7)
    for k in range(6):  # Stein: <phi h_k> = s^k <phi^(k)> / sqrt(k!)
        exact, error = gaussian_average("tanh", mean=0.4, variance=1.7, order=k, with_error=True)
        assert abs(c[k] - s**k * exact / math.sqrt(math.factorial(k))) <= s**k * error + 1e-15


@pytest.mark.parametrize("variance", [0.25, 9.0, 36.0])
@pytest.mark.parametrize("count", [6, 400])
def test_few_coefficients_of_wide_gaussians_and_many_of_narrow_ones(variance, count):
    """Nodes for the function's poles and nodes for the polynomials' oscillations: either may ask for more."""
    s, k = math.sqrt(variance), np.arange(count)
    c = hermite_coefficients(get_transfer("tanh"), np.array(0.4), np.array(variance), count)
    for j in range(6):
        exact, error = gaussian_average("tanh", mean=0.4, variance=variance, order=j, with_error=True)
        assert abs(c[j] - s**j * exact / math.sqrt(math.factorial(j))) <= s**j * error + 5e-15
    c = hermite_coefficients(get_transfer("sin"), np.array(0.6), np.array(variance), count)
    size = np.exp(k / 2 * math.log(variance) - [math.lgamma(j + 1) / 2 for j in k] - variance / 2)
    np.testing.assert_allclose(c, size * np.sin(0.6 + k * np.pi / 2), rtol=0, atol=2e-14)


def test_shapes_and_the_limit_of_no_variance():
    mean, variance = np.array([[0.0], [1.0]]), np.array([0.0, 0.5, 2.0])
    c = hermite_coefficients(get_transfer("tanh"), mean, variance, 7)
    assert c.shape == (2, 3, 7)
    np.testing.assert_allclose(c[:, 0, 0], np.tanh([0.0, 1.0]), atol=1e-15)
    np.testing.assert_allclose(c[:, 0, 1:], 0.0, atol=1e-15)
    for i in range(2):
        for j in range(3):
            alone = hermite_coefficients(get_transfer("tanh"), mean[i, 0], variance[j], 7)
            np.testing.assert_allclose(c[i, j], alone, atol=3e-15)
    assert hermite_coefficients(get_transfer("tanh"), np.array(0.0), np.array(1.0), 1).shape == (1,)


def test_with_a_kink_the_coefficients_fall_algebraically_and_carry_the_rules_error():
    """relu at mean 0 in closed form: c_k = phi^(k)-averages of a density; the trapezoid errs by its step there."""
    c = hermite_coefficients(get_transfer("relu"), np.array(0.0), np.array(1.0), 41)
    k = np.arange(2, 41, 2)
    exact = [
        abs(gaussian_average("relu", mean=0.0, variance=1.0, order=int(j))) / math.sqrt(math.factorial(j))
        for j in (2, 4)
    ]
    np.testing.assert_allclose(np.abs(c[[2, 4]]), exact, atol=2e-3)
    slope = np.polyfit(np.log(k), np.log(np.abs(c[k])), 1)[0]
    assert -1.6 < slope < -1.0  # k^(-5/4): no geometric decay, so pair averages are to be used instead
