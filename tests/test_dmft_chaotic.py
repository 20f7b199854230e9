from functools import cache

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import random_basis, random_connectivity
from scipy.optimize import brentq

import meanfield as mf
from meanfield.dmft import correlations
from meanfield.dmft.chaotic import chaotic
from meanfield.dmft.correlations import coefficients, series_terms
from meanfield.dmft.problem import pose
from meanfield.dmft.profiles import PairProfile, SeriesProfile
from meanfield.dmft.selfconsistency import Equations
from meanfield.dmft.states import SearchStatus, Status
from meanfield.transfer import get_transfer

# Newton's method ends at rounding; where the Jacobian is mild the unknowns are known to this
SOLVED = 1e-11


def plain(g, overlap=0.0, **entries):
    return mf.Connectivity.from_overlaps([{"n1 m1": overlap} | entries], rank=1, g=g)


def shifted(g):
    """One population with means: the structured network of Mastrogiuseppe and Ostojic (2018)."""
    return mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g)


@cache
def structured(noise=0.0, transfer="tanh"):
    return chaotic(shifted(2.0), transfer, noise=noise)[0]


def balanced(g, **inputs):
    """Excitatory drive against inhibitory feedback through the means."""
    population = {"mean m1": 1.0, "m1 m1": 0.0, "mean n1": -4.0, "mean A": 1.0, "A A": 0.0}
    return mf.Connectivity.from_overlaps([population], rank=1, inputs=("A",), g=g)


# --- the solution, against independent equations ---


def sine_reference(g, digits=30):
    """For phi = sin without structure, C(Delta) = exp(-Delta0) sinh(Delta): Delta0, the time to fall, all by mpmath."""
    with mp.workdps(digits):
        energy = lambda d, d0: d**2 / 2 - g**2 * mp.exp(-d0) * (mp.cosh(d) - 1)  # noqa: E731
        d0 = mp.findroot(lambda x: energy(x, x), (0.5 * mp.log(g) + 0.5, 2 * mp.log(g) + 1), solver="anderson")

        def time(d):
            # d = d0 (1 - s^2) takes out the turning point
            rate = lambda s: 2 * d0 * s / mp.sqrt(2 * energy(d0 * (1 - s**2), d0))  # noqa: E731
            return mp.quad(rate, [mp.mpf(10) ** -10, mp.sqrt(1 - mp.mpf(d) / d0)]) + rate(mp.mpf(10) ** -10) * 1e-10

        return d0, time


@pytest.mark.parametrize("g", [1.2, 2.0, 4.0])
def test_sine_network_in_thirty_digits(g):
    d0, time = sine_reference(mp.mpf(g))
    s = chaotic(plain(g), "sin")[0]
    value, error = s.delta(0.0, with_error=True)
    assert abs(value[0] - d0) <= error[0] < 1e-12
    for share in (0.9, 0.5, 0.1, 1e-3, 1e-6):
        with mp.workdps(30):
            d, lag = share * d0, time(share * d0)
        value, error = s.delta(float(lag), with_error=True)
        slope = abs(s.delta(float(lag) + 1e-6) - s.delta(float(lag) - 1e-6))[0] / 2e-6
        assert abs(value[0] - d) <= error[0] + slope * 1e-16 * lag, share  # the lag itself is rounded
        assert error[0] < 1e-12


@pytest.mark.parametrize(
    ("c", "transfer", "inputs", "options"),
    [
        (shifted(2.0), "tanh", None, {}),
        (shifted(2.0), "tanh", None, {"noise": 0.4}),
        (shifted(1.2), "erf", None, {"noise": 1.5, "input_variance": 0.2}),
        (plain(1.6, 0.5, **{"mean n1": 0.3}), "tanh", None, {"noise": 0.05}),
        (random_connectivity(1, g=3.0), "tanh", {"A": 0.5}, {"noise": 0.2}),
        (balanced(1.8), "relu", {"A": 3.0}, {}),
        (balanced(1.8), "relu", {"A": 3.0}, {"noise": 0.5}),
        (balanced(1.8), "logistic", {"A": 3.0}, {"noise": 0.5}),
    ],
)
def test_integro_differential_equation(c, transfer, inputs, options):
    """(1 - d^2/dtau^2) D = sum_q g^2 alpha_q C_q, all C_q by averages over pairs, D'' by differentiating a polynomial.

    The lags are Chebyshev nodes on a short interval, where the second derivative loses 4 digits at most.
    """
    s = chaotic(c, transfer, inputs, **options)[0]
    p = s.problem
    for low, high in ((0.1, 2.0), (2.0, 6.0)):
        x = np.polynomial.chebyshev.chebpts1(26)
        lags = low + (high - low) * (x + 1) / 2
        delta = s.delta(lags)
        random_part = delta[:, 0] - p.structure_variance(s.kappa)[0]
        fit = np.polynomial.chebyshev.Chebyshev(np.polynomial.chebyshev.chebfit(x, random_part, 25), [low, high])
        mean = p.mean(s.kappa)
        rho = np.clip(delta / s.delta0, -1, 1)
        pairs = mf.pair_average(p.transfer, mean=mean, variance=s.delta0, correlation=rho)
        np.testing.assert_allclose(pairs, s.activity(lags), rtol=0, atol=1e-11 * (1 + s.delta0.max()))
        inner = lags[4:-4]
        residual = (random_part - pairs @ p.coupling[0])[4:-4] - fit.deriv(2)(inner)
        assert np.abs(residual).max() < 1e-8 * (1 + s.delta0.max())
    # the equation of kappa, with averages that know nothing of the series
    gain = mf.gaussian_average(p.transfer, mean=p.mean(s.kappa), variance=s.delta0, order=(0, 1))
    np.testing.assert_allclose(p.drift(s.kappa, gain), 0.0, atol=1e-12 * (1 + s.delta0.max()))


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.5, 3.0])
def test_decay(noise):
    """Delta falls from Delta0 to Delta_inf; its slope at lag 0 is -sigma2 = -noise^2 / 2."""
    s = structured(noise)
    lags = np.linspace(0, 60, 4001)
    delta = s.delta(lags)[:, 0]
    assert (np.diff(delta) <= 1e-15).all()
    np.testing.assert_allclose(delta[0], s.delta0, rtol=1e-14)
    np.testing.assert_allclose(s.delta([np.inf, -np.inf]), np.tile(s.delta_inf, (2, 1)), rtol=1e-15)
    np.testing.assert_array_equal(s.delta(-lags)[:, 0], delta)
    h = 1e-4
    slope = (4 * s.delta(h) - s.delta(2 * h) - 3 * s.delta(0.0))[0] / (2 * h)
    assert slope == pytest.approx(-(noise**2) / 2, abs=1e-7 * (1 + noise**2))
    # the tail: one exponential of rate sqrt(1 - g^2 <phi' phi'>)
    rho = s.delta_inf / s.delta0
    mean = s.problem.mean(s.kappa)
    rate = np.sqrt(1 - 4 * mf.pair_average("tanh", mean=mean, variance=s.delta0, correlation=rho, order=1)[0])
    a, b = s.decay([60.0, 61.0])[0][:, 0]
    assert np.log(a / b) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_error_of_delta_is_honest(noise):
    """Against the plain second-order equation, started exactly and integrated in high precision by mpmath."""
    s = chaotic(plain(1.7), "erf", noise=noise)[0]
    variance, d0 = noise**2 / 2, s.delta0[0]
    with mp.workdps(25):
        ratio = lambda D0: (mp.pi / 2) / (1 + mp.pi / 2 * D0)  # noqa: E731
        g2 = mp.mpf(1.7) ** 2
        F = lambda x, r: 2 / mp.pi * (x * mp.asin(r * x) + (mp.sqrt(1 - (r * x) ** 2) - 1) / r)  # noqa: E731
        balance = lambda D: (D**2 - mp.mpf(variance) ** 2) / 2 - g2 * F(D, ratio(D))  # noqa: E731
        exact = mp.findroot(balance, mp.mpf(d0))
        assert abs(d0 - exact) <= s.delta(0.0, with_error=True)[1][0]
        r = ratio(exact)
        force = lambda _, y: [y[1], y[0] - g2 * 2 / mp.pi * mp.asin(r * y[0])]  # noqa: E731
        flow = mp.odefun(force, 0, [exact, -mp.mpf(variance)], tol=mp.mpf(10) ** -18)
        for lag in (0.1, 1.0, 4.0):
            value, error = s.delta(lag, with_error=True)
            assert abs(value[0] - flow(lag)[0]) <= error[0] < 1e-11


def test_classic_onset():
    """Without structure chaos begins at g phi'(0) = 1; just above, Delta0 = e + 7 e^2/6 + .. for tanh, e = g - 1."""
    assert len(chaotic(plain(0.999))) == 0 and chaotic(plain(0.999)).status is SearchStatus.NONE
    for e in (1e-1, 1e-2, 1e-3):
        s = chaotic(plain(1 + e))[0]
        assert abs(s.delta0[0] - e - 7 / 6 * e**2) < 5 * e**3
        assert s.delta_inf[0] == pytest.approx(0, abs=1e-20)
        # there Delta is e / cosh(e tau / sqrt(3))
        lag = 2 / e
        assert s.delta(lag)[0] == pytest.approx(e / np.cosh(2 / np.sqrt(3)), rel=5 * e)
    # phi'(0) = 1/4 for logistic - but it has a mean; erf has slope 1, sin too
    assert len(chaotic(plain(0.99), "erf")) == 0 and len(chaotic(plain(1.01), "sin")) == 1


@given(st.floats(1.4, 4.0), st.floats(0.05, 0.95), st.sampled_from(["tanh", "erf"]))
@settings(max_examples=6)
def test_gain_is_the_inverse_overlap(overlap, share, transfer):
    """One zero-mean Gaussian population: kappa != 0 needs <phi'> = 1/overlap at Delta0, whatever g.

    g is chosen between the onset, g^2 <phi'^2> = 1, and the end, where kappa = 0.
    """
    gain = lambda d, **k: mf.gaussian_average(transfer, mean=0.0, variance=d, order=1, **k)  # noqa: E731
    delta0 = brentq(lambda d: gain(d) - 1 / overlap, 1e-9, 1e4, xtol=1e-13)
    onset = gain(delta0, power=2) ** -0.5
    c = coefficients(get_transfer(transfer), np.zeros(1), np.array([delta0]))
    end = (2 * series_terms(c, np.array([delta0]), np.zeros(1)).W[0]) ** -0.5
    s = chaotic(plain(onset + share * (end - onset), overlap), transfer)[0]
    assert s.attracting and abs(s.kappa[0]) > 0
    assert gain(s.delta0[0]) == pytest.approx(1 / overlap, abs=SOLVED)


# --- symmetries ---


def same_states(a, b, tolerance=SOLVED):
    assert len(a) == len(b) and len(a) > 0
    for s, t in zip(a, b, strict=True):
        np.testing.assert_allclose(s.delta0[0], t.delta0[0], rtol=tolerance)
        np.testing.assert_allclose(s.delta_inf[0], t.delta_inf[0], rtol=0, atol=tolerance * t.delta0[0])
        np.testing.assert_allclose(s.delta(2.0)[0], t.delta(2.0)[0], rtol=100 * tolerance)
        assert s.lyapunov == pytest.approx(t.lyapunov, abs=1e-9) and s.attracting == t.attracting


def test_scaling_of_the_loadings():
    """m -> a m, n -> n/a: kappa -> kappa/a, nothing else."""
    a = 1.7
    entries = {"mean m1": 1.1 * a, "mean n1": 2.0 / a, "m1 m1": a**2, "n1 n1": 1 / a**2}
    scaled = chaotic(mf.Connectivity.from_overlaps([entries], rank=1, g=2.0))
    plain_ = chaotic(shifted(2.0))
    same_states(scaled, plain_)
    for s, t in zip(scaled, plain_, strict=True):
        np.testing.assert_allclose(s.kappa, t.kappa / a, rtol=0, atol=SOLVED)


def test_splitting_a_population():
    """Two identical halves are one population."""
    halves = chaotic(shifted(2.0).split(0, 0.3))
    same_states(halves, chaotic(shifted(2.0)))
    np.testing.assert_allclose(halves[0].delta0[0], halves[0].delta0[1], rtol=1e-14)
    assert halves[0].delta([0.0, 1.0]).shape == (2, 2)


def test_change_of_basis():
    """x -> kappa in another basis of the same J."""
    c = random_connectivity(3, g=2.5)
    basis = random_basis(3)
    a, b = chaotic(c, inputs={"A": 0.4}, noise=0.3), chaotic(c.rotate(basis), inputs={"A": 0.4}, noise=0.3)
    same_states(a, b, 1e-10)


def test_mirror_images():
    found = chaotic(shifted(2.0))
    np.testing.assert_array_equal(found[0].kappa, -found[1].kappa)
    assert [s.attracting for s in found] == [True, True, False]
    np.testing.assert_array_equal(found[0].mean_activity, -found[1].mean_activity)
    assert np.abs(found[2].kappa).max() == 0


def test_unit_of_time():
    """tau sets the unit: the noise's variance is noise^2 tau / 2, lags and exponents scale."""
    slow = chaotic(shifted(2.0), noise=0.4 / np.sqrt(5.0), tau=5.0)[0]
    fast = structured(0.4)
    np.testing.assert_allclose(slow.delta(7.5), fast.delta(1.5), rtol=1e-12)
    assert slow.lyapunov == pytest.approx(fast.lyapunov / 5, rel=1e-10)


def test_ring():
    """A degenerate overlap matrix: any direction of kappa serves, one stands for all."""
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.2, "n2 m2": 2.2}], rank=2, g=2.0)
    found = chaotic(c)
    assert found.status is SearchStatus.RING and "ring" in str(found)
    one = chaotic(plain(2.0, 2.2))
    assert np.linalg.norm(found[0].kappa) == pytest.approx(np.abs(one[0].kappa[0]), rel=1e-9)
    np.testing.assert_allclose(found[0].delta0, one[0].delta0, rtol=1e-9)
    assert found[0].attracting and "across the ring" in found[0].reason
    assert found[0].status is Status.NEUTRAL


def test_rank_two_finds_both_structured_branches():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.2, "n2 m2": 2.1}], rank=2, g=1.95)
    found = chaotic(c)
    assert found.status is SearchStatus.FOUND and len(found) == 5
    for s in found:
        r = np.abs(s.kappa).argmax()
        if s.kappa[r] != 0:
            gain = mf.gaussian_average("tanh", mean=0.0, variance=s.delta0[0], order=1)
            assert gain == pytest.approx(1 / [2.2, 2.1][r], abs=SOLVED)
    assert [s.attracting for s in found] == [True, True, False, False, False]


# --- functions with kinks and jumps ---


def test_threshold_linear_network(monkeypatch):
    s = chaotic(balanced(1.8), "relu", {"A": 3.0})[0]
    assert s.chaotic and s.residual < 1e-12
    # without the feedback through kappa the variance would grow without bound: g^2 <phi'^2> > 1
    assert s.attracting is None and "run away" in s.reason
    # phi'' is a Dirac mass: <phi' phi'> is finite, and so is the exponent
    assert 0 < s.lyapunov_error < 1e-8 < s.lyapunov < 1
    # the equations with phi as a general expression, whose averages over pairs are quadrature instead of closed forms
    general = pose(balanced(1.8), mf.Transfer.from_expression("Max(x, 0)", name="general"), {"A": 3.0})
    d = s.problem.structure_variance(s.kappa)
    x = np.array([[*s.kappa, (s.delta0 - d)[0], (s.delta_inf - d)[0]]])
    monkeypatch.setattr(correlations, "_NODES", 12)
    np.testing.assert_allclose(Equations(general, None)(x)[0], 0.0, atol=1e-8 * s.delta0[0])


def test_a_jump_makes_the_exponent_infinite():
    s = chaotic(plain(1.5, **{"mean n1": 0.3}), "step")[0]
    assert s.lyapunov == np.inf and s.kind == "chaotic"
    lags = np.linspace(0, 20, 200)
    assert (np.diff(s.delta(lags)[:, 0]) < 0).all()


# --- noise ---


def test_noise_alone():
    """g = 0: an Ornstein-Uhlenbeck process, Delta = (noise^2/2) exp(-tau), lambda = -1."""
    s = chaotic(plain(0.0), noise=0.8)[0]
    lags = np.array([0.0, 0.3, 2.0])
    np.testing.assert_allclose(s.delta(lags)[:, 0], 0.32 * np.exp(-lags), rtol=1e-12)
    assert s.lyapunov == pytest.approx(-1.0, abs=1e-12) and s.static and not s.chaotic and s.kind == "noise-driven"


def test_noise_below_the_onset_of_chaos():
    s = chaotic(plain(0.7), noise=0.5)[0]
    assert s.kind == "noise-driven" and s.lyapunov < 0 and s.delta0[0] > 0.125


@pytest.mark.parametrize("noise", [1e-2, 1e-3, 1e-4])
def test_small_noise_changes_little(noise):
    """Delta0 moves by order sigma2^2, the exponent by order sigma2."""
    s, still = structured(noise), structured()
    assert abs(s.delta0[0] - still.delta0[0]) < noise**4 + SOLVED
    assert 0 < still.lyapunov - s.lyapunov < noise**2
    assert s.lyapunov_error < 1e-10


# --- empty answers and bad input ---


def test_no_state_says_why():
    found = chaotic(plain(0.5, 2.0))
    assert found.status is SearchStatus.NONE and "at g = 0.5: chaos_onset tells" in found.note
    assert "0 time-dependent states" in str(found)
    assert "g = 0 and no noise" in chaotic(plain(0.0)).note
    assert "chaos_onset" in found._repr_html_()
    # where phi grows the range of kappa was a guess, and a state beyond it is not excluded
    for transfer in ("softplus", "relu"):
        found = chaotic(plain(0.5), transfer)
        assert not found and found.status is SearchStatus.FAILED and "no bound of kappa is known" in found.note


def test_printing():
    found = chaotic(shifted(2.0))
    assert "chaotic state, kappa (0.332285)" in str(found) and "3 time-dependent states" in found.summary
    assert "<table>" in found._repr_html_() and found[-1].kappa[0] == 0 and len(list(found)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": -1.0}, "noise must be >= 0"),
        ({"input_variance": -0.1}, "input_variance must be >= 0"),
        ({"tau": 0.0}, "tau must be a positive number"),
        ({"inputs": {"B": 1.0}}, "unknown input 'B'"),
        ({"starts": [[0.0, 1.0]]}, "starts must have shape"),
        ({"transfer": "tanhh"}, "unknown transfer function"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        chaotic(shifted(2.0), **options)


def test_lags_that_are_nan():
    with pytest.raises(ValueError, match="a lag is nan"):
        structured().delta([0.0, np.nan])


def test_series_that_are_too_long_give_way_to_pairs(monkeypatch):
    """The same state by both routes."""
    s = structured()
    assert isinstance(s.decay.profile, SeriesProfile)  # made when first asked for
    monkeypatch.setattr(correlations, "MAX_TERMS", 100)
    other = chaotic(shifted(2.0))[0]
    assert isinstance(other.decay.profile, PairProfile)
    np.testing.assert_allclose(other.kappa, s.kappa, atol=1e-10)
    value, error = other.delta([0.0, 3.0], with_error=True)
    assert (np.abs(value - s.delta([0.0, 3.0])) <= error).all() and error.max() < 1e-9
    assert other.lyapunov == pytest.approx(s.lyapunov, abs=1e-9)
