import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import random_connectivity

import meanfield as mf
from meanfield.dmft.chaotic import chaotic
from meanfield.dmft.correlations import coefficients, pair_terms, series_terms
from meanfield.dmft.problem import pose
from meanfield.dmft.profiles import PairProfile, SeriesProfile
from meanfield.dmft.selfconsistency import Equations
from meanfield.transfer import get_transfer


def test_mehler_series_of_erf_are_arcsines():
    """<erf erf> = (2/pi) arcsin(r), r = (pi/2) Delta / (1 + (pi/2) Delta0), and its slope, for zero mean."""
    delta0, delta = np.array([[0.3], [1.0], [6.0]]), np.array([[0.1], [0.9], [2.0]])
    c = coefficients(get_transfer("erf"), np.zeros_like(delta0), delta0)
    T = series_terms(c, delta0, delta)
    ratio = np.pi / 2 / (1 + np.pi / 2 * delta0)
    np.testing.assert_allclose(T.C, 2 / np.pi * np.arcsin(ratio * delta), rtol=0, atol=1e-12)
    np.testing.assert_allclose(T.C_delta_inf, 2 / np.pi * ratio / np.sqrt(1 - (ratio * delta) ** 2), rtol=1e-12)
    # W = (F(Delta0) - F(Delta) - C(Delta) e) / e^2 with the primitive F of C
    primitive = lambda x: 2 / np.pi * (x * np.arcsin(ratio * x) + np.sqrt(1 - (ratio * x) ** 2) / ratio)  # noqa: E731
    e = delta0 - delta
    expected = (primitive(delta0) - primitive(delta) - T.C * e) / e**2
    np.testing.assert_allclose(T.W, expected, rtol=1e-10)


@given(st.floats(-2, 2), st.floats(0.05, 8), st.floats(0, 1), st.sampled_from(["tanh", "erf", "logistic", "sin"]))
@settings(max_examples=10)
def test_series_agree_with_averages_over_pairs(mean, variance, ratio, name):
    t = get_transfer(name)
    arguments = np.array([mean]), np.array([variance]), np.array([variance * min(ratio, 0.999)])
    series = series_terms(coefficients(t, *arguments[:2]), *arguments[1:])
    pairs = pair_terms(t, *arguments)
    for field in ("C", "W", "gain"):
        np.testing.assert_allclose(getattr(series, field), getattr(pairs, field), rtol=0, atol=1e-11)
    # the derivatives of pairs are differences with a relative step of 1e-5
    for field in ("C_mean", "C_delta0", "C_delta_inf", "W_mean", "W_delta0", "W_delta_inf"):
        np.testing.assert_allclose(getattr(series, field), getattr(pairs, field), rtol=1e-5, atol=1e-5)


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=8)
def test_jacobian_is_the_derivative_of_the_residuals(seed, static):
    """Against central differences of step h: error h^2 |f'''| + eps/h."""
    p = pose(random_connectivity(seed, g=1.7), "tanh", {"A": 0.5}, noise=0.0 if static else 0.3, input_variance=0.1)
    equations = Equations(p, 300, static)
    x = np.array([0.8, 0.3, 1.5, 0.6])[: equations.size]
    jacobian, h = equations(x[None])[1][0], 1e-5
    steps = h * np.eye(len(x))
    numeric = (equations(x + steps)[0] - equations(x - steps)[0]).T / (2 * h)
    np.testing.assert_allclose(jacobian, numeric, rtol=0, atol=1e-7 * (1 + np.abs(jacobian).max()))


def test_profiles_agree():
    """The functions behind the decay: sums of positive terms, and quadrature of averages over pairs."""
    entries = {"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}
    s = chaotic(mf.Connectivity.from_overlaps([entries], rank=1, g=2.0), noise=0.3)[0]
    d = s.decay
    c = coefficients(s.problem.transfer, d.mean, d.delta0)
    series = SeriesProfile(s.problem, c, d.delta0, d.delta_inf, d.excess0)
    pairs = PairProfile(s.problem, d.mean, d.delta0, d.delta_inf, d.excess0, d.forced)
    W = np.array([0.0, 1e-6, 0.01, 0.3, 0.499, 0.501, 0.8, 0.99, 1.0])
    for name in ("slope", "rise"):
        # pairs: m is known to 1e-14, S' to 1e-14/s and its exact value at small s
        np.testing.assert_allclose(getattr(series, name)(W), getattr(pairs, name)(W), rtol=1e-10)
    excess = np.array([[0.1], [0.5]])
    np.testing.assert_allclose(series.activity(excess), pairs.activity(excess), rtol=1e-12)
