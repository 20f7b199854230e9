"""The numbers behind two-time theory: weights of a step, and averages over pairs with their bound."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate

from meanfield.averages import pair_average
from meanfield.dmft.two_time import ActivityPairs, filtered, kinked_coefficients, weights
from meanfield.gaussian.hermite import hermite_coefficients
from meanfield.transfer import Transfer, get_transfer

RELU = Transfer.from_expression("Max(x, 0) + 0*x", "own relu")  # not known to have closed forms


@pytest.mark.parametrize("dt", [1e-6, 1e-3, 0.3])
def test_weights_integrate_linear_functions(dt):
    early, late = (
        integrate.quad(lambda s, a=a: math.exp(s - dt) * (a + (1 - 2 * a) * s / dt), 0, dt)[0] for a in (1, 0)
    )
    assert_allclose(weights(dt), [early, late], rtol=1e-9)


def test_filter_is_the_recursion():
    F = np.random.default_rng(0).standard_normal((2, 7))
    out = filtered(F, 0.9, 0.03, 0.05)
    expected = np.zeros_like(F)
    for m in range(6):
        expected[:, m + 1] = 0.9 * expected[:, m] + 0.03 * F[:, m] + 0.05 * F[:, m + 1]
    assert_allclose(out, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("transfer", "worst"),
    [("tanh", 1e-10), ("erf", 1e-10), ("sin", 1e-10), ("softplus", 1e-10), ("relu", 0), ("step", 0),
     (Transfer.from_expression("tanh(5*x)"), 1e-6), (Transfer.from_expression("x"), 1e-10), (RELU, 1e-4)],
)  # fmt: skip
def test_pairs_are_averages_over_pairs_within_the_stated_bound(transfer, worst):
    rng, times = np.random.default_rng(5), 5
    transfer = get_transfer(transfer) if isinstance(transfer, str) else transfer
    pairs = ActivityPairs(transfer, 2, times, 1e-10)
    mean, variance = rng.normal(size=(times, 2)), rng.uniform(0.2, 2.0, (times, 2))
    variance[0, 0] = 0.0
    for n in range(times):
        rho = rng.uniform(-1, 1, (2, n))
        rho[:, n // 2 : n // 2 + 1] = 1 - 1e-4
        pairs.enter(n, mean[n], variance[n])
        row = pairs.row(n, rho * np.sqrt(variance[n, :, None] * variance[:n].T))
        expected = pair_average(
            "relu" if transfer is RELU else transfer,
            mean=(mean[n, :, None], mean[:n].T), variance=(variance[n, :, None], variance[:n].T), correlation=rho,
        )  # fmt: skip
        scale = np.sqrt(pairs.square[:, n, None] * pairs.square[:, :n])
        assert (np.abs(row[:, :n] - expected) <= (pairs.truncation + 1e-12) * scale).all()
        assert_allclose(row[:, n], pairs.square[:, n])
    assert pairs.truncation <= worst


def test_coefficients_between_kinks():
    mean, variance = np.array([[0.3, -1.0]]), np.array([[0.5, 2.0]])
    smooth = Transfer.from_expression("tanh(x)", kinks=(0.2, 0.7))
    assert_allclose(
        kinked_coefficients(smooth, mean, variance, 120),
        hermite_coefficients(get_transfer("tanh"), mean, variance, 120),
        atol=1e-13,
    )
