"""Two-time mean-field theory: exact linear theory, stationary and chaotic answers, orders, identities, bad input."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import SEEDS, random_basis, random_connectivity
from numpy.testing import assert_allclose
from scipy import integrate, interpolate, optimize, special

import meanfield as mf
from meanfield import Connectivity, progress
from meanfield.dmft.transient import transient
from meanfield.dmft.two_time import weights
from meanfield.transfer import Transfer

LINEAR = Transfer.from_expression("x")
RELU = Transfer.from_expression("Max(x, 0) + 0*x", "own relu")  # not known to have closed forms
EMPTY = Connectivity.from_overlaps([{}], 1)  # no structure: kappa stays at zero
BISTABLE = {"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}
DRIVEN = [
    {"weight": 0.4, "n1 m1": 1.8, "n1 A": 0.8, "mean m1": 0.5, "mean n1": 0.3},
    {"weight": 0.6, "n1 m1": 0.9, "n1 A": -0.4, "mean A": 0.3},
]


def with_g(c, g):
    return replace(c, g=g)


def extrapolated(function, dt):
    """A quantity without its error of order dt^2, and the size of that error."""
    coarse, fine = function(dt), function(dt / 2)
    return (4 * fine - coarse) / 3, np.max(np.abs(fine - coarse))


# ---- phi(x) = x: known in closed form --------------------------------------------------------------


def linear_errors(dt, g=0.8, delta=1.3, duration=5.0):
    run = transient(with_g(EMPTY, g), LINEAR, duration=duration, dt=dt, delta=delta)
    s, t = run.t[:, None], run.t
    exact = delta * np.exp(-s - t) * special.iv(0, 2 * g * np.sqrt(s * t))
    return np.abs(run.D - exact).max(), exact.max(), run


def test_a_random_start_decays_as_the_linear_theory_says_with_order_two():
    coarse, size, run = linear_errors(0.1)
    fine = linear_errors(0.05)[0]
    assert coarse < 1e-3 * size and abs(math.log2(coarse / fine) - 2) < 0.1
    assert_allclose(run.kappa, 0, atol=0)
    assert_allclose(run.activity[..., 0], run.D, rtol=1e-9, atol=1e-9)


def test_linear_response_to_noise():
    """Spectrum 2 sigma2 / (1 + w^2 - g^2): variance sigma2 / sqrt(1 - g^2), decay rate sqrt(1 - g^2)."""
    g, noise = 0.6, 0.9
    rate, sigma2 = 0.8, noise**2 / 2

    def late(dt):
        D = transient(with_g(EMPTY, g), LINEAR, duration=24.0, dt=dt, noise=noise).D
        return D[-1, -1 - np.round(np.array([0, 0.4, 2.0]) / dt).astype(int)]

    value, step = extrapolated(late, 0.1)
    # what is left is of order dt^3, from the kink of C on the diagonal
    assert_allclose(value, sigma2 / rate * np.exp(-rate * np.array([0, 0.4, 2.0])), rtol=0, atol=step / 4)
    assert 1e-6 < step < 1e-4


def test_linear_kappa_does_not_see_the_random_part():
    c = Connectivity.from_overlaps([{"n1 m1": 0.5, "n2 m1": 1.0, "n2 m2": -0.4}], 2, g=0.7)
    value, step = extrapolated(lambda dt: transient(c, LINEAR, duration=4.0, dt=dt, kappa=[1, 0.3]).kappa[-1], 0.1)
    exact = np.array([math.exp(-2.0), 0.0])
    exact[1] = 0.3 * math.exp(-5.6) + (math.exp(-2.0) - math.exp(-5.6)) / 0.9
    assert_allclose(value, exact, atol=step**1.5)


def test_noise_and_spread_without_recurrence_are_exact():
    run = transient(EMPTY, duration=3.0, dt=0.5, noise=0.8, delta=0.7, tau=1.0)
    s, t = run.t[:, None], run.t
    free = 0.7 * np.exp(-s - t) + 0.32 * (np.exp(-np.abs(s - t)) - np.exp(-s - t))
    assert_allclose(run.D, free, rtol=1e-14, atol=1e-15)


# ---- late times ------------------------------------------------------------------------------------


@pytest.mark.parametrize("input_variance", [0.0, 0.4])
def test_late_times_are_the_stationary_state(input_variance):
    """Rank one (Mastrogiuseppe & Ostojic 2018): kappa = 2 <phi>, Delta = kappa^2 + g^2 <phi^2>; exact at any dt."""
    c, g = Connectivity.from_overlaps([BISTABLE], rank=1, g=0.8), 0.8
    kappa, delta = 1.0, 1.0
    for _ in range(400):
        gains = [mf.gaussian_average("tanh", mean=1.1 * kappa, variance=delta, power=q) for q in (1, 2)]
        kappa, delta = 2 * gains[0], kappa**2 + input_variance + g**2 * gains[1]
    run = transient(c, duration=60.0, dt=0.2, kappa=0.7, delta=0.3, input_variance=input_variance)
    assert_allclose(run.kappa[-1], kappa, rtol=1e-8)
    assert_allclose(run.variance[-1], delta, rtol=1e-8)
    assert_allclose(run.covariance[-20:, -20:, 0], delta, rtol=1e-7)
    assert_allclose(run.phi[-1], gains[0], rtol=1e-8)


def test_late_times_are_chaotic_as_the_energy_says():
    """Delta'' = Delta - g^2 C(Delta), Delta' = 0 at both ends: Delta_0, and when Delta has fallen to a given part."""
    g = 2.0

    def energy(delta, delta0):
        """Delta'^2 / 2."""
        primitive = [
            mf.pair_average("tanh", mean=0.0, variance=delta0, correlation=rho, order=-1) for rho in (delta / delta0, 0)
        ]
        return delta**2 / 2 - g**2 * (primitive[0] - primitive[1])

    delta0 = optimize.brentq(lambda d: energy(d, d), 0.5, 4.0, xtol=1e-13)
    parts = np.array([0.8, 0.5])

    def time(part):
        """int dDelta / |Delta'| from part * Delta_0 to Delta_0, with Delta = Delta_0 (1 - x^2)."""

        def rate(x):
            return 2 * delta0 * x / math.sqrt(2 * energy(delta0 * (1 - x * x), delta0))

        return integrate.quad(rate, 1e-3, math.sqrt(1 - part), epsabs=1e-6)[0] + 1e-3 * rate(1e-3)

    lags = np.array([0.0, *map(time, parts)])

    def late(dt):
        """D(t, t - lag) / Delta_0 at t = 30, 60 and 90: the start is forgotten slowly, but exponentially."""
        run = transient(with_g(EMPTY, g), duration=90.0, dt=dt, delta=1.0, tolerance=1e-7)
        rows = [run.D[round(t / dt), : round(t / dt) + 1] for t in (30, 60, 90)]
        return np.array([interpolate.CubicSpline(run.t[: len(row)], row)(run.t[len(row) - 1] - lags) for row in rows])

    values, step = extrapolated(lambda dt: late(dt) / delta0, 0.2)
    first, second = np.diff(values, axis=0)
    assert (first / second > 5).all()
    limit = values[2] + second**2 / (first - second)  # geometric
    assert 1e-4 < step < 1e-2 and np.abs(limit - values[2]).max() < 3e-4
    assert_allclose(limit, [1.0, *parts], atol=1e-4)  # and what dt^3 and the interpolation leave


# ---- g = 0: the reduced equations -------------------------------------------------------------------


def pulse(t):
    return 1.0 if 1 <= t < 3 else 0.2 * math.sin(t)


@pytest.mark.parametrize("g", [0.0, 1e-6])
def test_without_random_part_it_is_a_trajectory(g):
    c = Connectivity.from_overlaps(DRIVEN, 1, ("A",))
    exact = mf.trajectory(
        mf.reduce(c, inputs={"A": pulse}, tau=2.0), [0.6], np.linspace(0, 10, 101), breakpoints=(1, 3)
    )
    run = transient(with_g(c, g), inputs={"A": pulse}, duration=10.0, dt=0.1, kappa=0.6, tau=2.0, with_error=True)
    apart = np.maximum.accumulate(np.abs(run.kappa - exact.kappa)[:, 0])
    assert 1e-7 < apart[-1] < 1e-3
    assert (apart <= 1.3 * run.error + 1e-9).all() and apart[-1] > 0.6 * run.error[-1]
    assert_allclose(run.v, exact.v, atol=1e-4)
    assert np.abs(run.D).max() <= 2 * g**2
    field = mf.reduce(c, inputs={"A": pulse}, tau=2.0)
    assert_allclose(run.variance[-1], field.frozen(run.v[-1]).variance(run.kappa[-1]), atol=1e-11)


def test_readouts_and_inputs_that_start_switched_off():
    c = random_connectivity(3, rank=2, g=0.0)
    run = transient(c, inputs={"A": 0.7}, duration=1.0, kappa=[0.3, -0.2], v=0.0)
    assert run.v[0] == 0 and len(run.t) == 21
    assert_allclose(run.v[:, 0], 0.7 * (1 - np.exp(-run.t)), rtol=1e-12)
    field = mf.reduce(c, inputs={"A": float(run.v[7, 0])})
    assert_allclose(run.z[7], field.readout(run.kappa[7]), rtol=1e-10)
    assert transient(c, inputs={"A": 0.7}, duration=1.0).v[0] == 0.7


# ---- orders and errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(("g", "noise"), [(1.4, 0.0), (np.array([[1.2, 0.5], [0.3, 1.6]]), 0.0), (1.4, 0.5)])
def test_order_two_and_honest_errors(g, noise):
    """Inputs that jump and move; noise puts a kink on the diagonal, whose cells add a small error of order 3."""
    c = Connectivity.from_overlaps(DRIVEN, 1, ("A",), g=g)

    def run(dt, with_error=False):
        return transient(c, inputs={"A": pulse}, duration=4.0, dt=dt, kappa=0.5, delta=[0.8, 0.5], noise=noise,
                         input_variance=[0.1, 0.2], with_error=with_error)  # fmt: skip

    runs = [run(dt) for dt in (0.1, 0.05, 0.025, 0.0125)]
    for name, every in (("kappa", np.s_[::2]), ("variance", np.s_[::2]), ("D", np.s_[::2, ::2])):
        values = [getattr(r, name) for r in runs]
        steps = [np.abs(a - b[every]).max() for a, b in zip(values[:-1], values[1:], strict=True)]
        rates = np.log2(np.divide(steps[:-1], steps[1:]))
        assert abs(rates[-1] - 2) < 0.1, (name, rates)
    estimate, best = run(0.1, with_error=True), runs[-1]
    for name, said, every in (("kappa", "error", np.s_[::8]), ("D", "error_D", np.s_[::8, ::8])):
        true = np.abs(getattr(estimate, name) - getattr(best, name)[every]).max()
        assert 0.8 < true / getattr(estimate, said)[-1] < 1.2, name
    assert "estimated error" in str(estimate)


def test_own_kinked_function_agrees_with_the_closed_forms():
    c = Connectivity.from_overlaps([{"n1 m1": 0.8}], 1, g=0.9)
    ours, closed = (transient(c, phi, duration=2.0, dt=0.1, kappa=1.0, delta=0.5) for phi in (RELU, "relu"))
    assert closed.truncation == 0 < ours.truncation < 1e-4
    assert_allclose(ours.kappa, closed.kappa, atol=ours.truncation)
    assert_allclose(ours.D, closed.D, atol=3 * ours.truncation)


# ---- identities --------------------------------------------------------------------------------------


def small(c, **options):
    options = {"kappa": [0.8, -0.3], "delta": 0.6, "noise": 0.4, "inputs": {"A": pulse}} | options
    return transient(c, duration=2.0, dt=0.2, **options)


@settings(max_examples=15)
@given(SEEDS, st.floats(0.0, 2.0))
def test_covariances_are_symmetric_and_positive(seed, g):
    run = small(random_connectivity(seed, g=g), with_error=True)
    assert_allclose(run.D, run.D.T, rtol=0, atol=0)
    for p in range(3):
        total = run.covariance[..., p]
        assert_allclose(np.diagonal(total), run.variance[:, p], rtol=1e-12)
        assert np.linalg.eigvalsh(total).min() >= -run.error_D[-1] * len(run.t) - 1e-12
        C = run.activity[..., p]
        assert np.linalg.eigvalsh(C).min() >= -run.error_D[-1] * len(run.t) - 1e-9
    assert np.linalg.eigvalsh(run.D).min() >= -run.error_D[-1] * len(run.t) - 1e-12


@settings(max_examples=10)
@given(SEEDS)
def test_the_basis_of_the_ranks_is_free(seed):
    from meanfield.mixture.transformations import rotate

    c, basis = random_connectivity(seed, g=1.3), random_basis(seed)
    rotated = rotate(c, basis)
    ours, others = small(c), None
    # m' = m A or its inverse, by definition of rotate: read from the means
    M = np.linalg.lstsq(c.mean("m"), rotated.mean("m"), rcond=None)[0]
    others = small(rotated, kappa=np.linalg.solve(M, [0.8, -0.3]))
    scale = 1 + np.abs(ours.D).max()
    assert_allclose(others.kappa @ M.T, ours.kappa, atol=1e-7 * scale)
    assert_allclose(others.D, ours.D, atol=1e-7 * scale)
    assert_allclose(others.z, ours.z, atol=1e-7 * scale)


@settings(max_examples=10)
@given(SEEDS, st.floats(0.2, 0.8))
def test_splitting_a_population_changes_nothing(seed, fraction):
    from meanfield.mixture.transformations import split

    c = random_connectivity(seed, g=1.3)
    whole, halves = small(c), small(split(c, 1, fraction))
    assert_allclose(halves.kappa, whole.kappa, atol=1e-10)
    assert_allclose(halves.D, whole.D, atol=1e-9)


def test_a_block_g_of_equal_entries_is_a_scalar():
    c = random_connectivity(4)
    one, block = small(with_g(c, 1.2)), small(with_g(c, np.full((3, 3), 1.2)))
    assert one.D.shape == (11, 11) and block.D.shape == (11, 11, 3)
    assert_allclose(block.kappa, one.kappa, atol=1e-12)
    assert_allclose(block.D, np.repeat(one.D[..., None], 3, -1), atol=1e-12)
    apart = small(with_g(c, 1.2), delta=[0.6, 0.6, 0.1])
    assert apart.D.shape == (11, 11, 3) and apart.D[0, 0].tolist() == [0.6, 0.6, 0.1]
    s, t = apart.t[:, None], apart.t
    assert_allclose(apart.D[..., 0] - apart.D[..., 2], 0.5 * np.exp(-s - t), atol=1e-14)


def test_time_has_a_unit():
    c = random_connectivity(6, g=1.1)
    one = small(c, inputs={"A": 0.5}, noise=0.4)
    slow = transient(c, duration=20.0, dt=2.0, tau=10.0, kappa=[0.8, -0.3], delta=0.6, noise=0.4 / math.sqrt(10),
                     inputs={"A": 0.5})  # fmt: skip
    assert_allclose(slow.t, 10 * one.t)
    assert_allclose(slow.kappa, one.kappa, rtol=1e-10, atol=1e-12)
    assert_allclose(slow.D, one.D, rtol=1e-10, atol=1e-12)


# ---- a finite network --------------------------------------------------------------------------------


def test_networks_do_what_the_theory_says():
    """Means over 16 networks of 1200 units, within four standard errors and a bias of order 1/N."""
    N, draws, dt, steps, g = 1200, 16, 0.1, 40, 1.3
    c = Connectivity.from_overlaps([{"n1 m1": 1.6, "n1 A": 0.7}], 1, ("A",), g=g)
    theory = transient(c, inputs={"A": lambda t: float(t >= 1)}, duration=dt * steps, dt=dt, kappa=1.0, delta=0.8,
                       input_variance=0.3)  # fmt: skip
    kappa, cross = np.empty((draws, steps + 1)), np.empty((draws, 3))
    rng, a = np.random.default_rng(8), math.exp(-dt)
    for d in range(draws):
        m, drive, rest = rng.standard_normal((3, N))
        n = 1.6 * m + 0.7 * drive + rest
        chi, y = rng.standard_normal((N, N)) / math.sqrt(N), math.sqrt(0.3) * rng.standard_normal(N)
        k, v, h = 1.0, 0.0, math.sqrt(0.8) * rng.standard_normal(N)
        hs = []
        for step in range(steps + 1):
            kappa[d, step] = k
            hs.append(h)
            u = float(step * dt >= 1 - 1e-9)

            def rates(k, v, h):
                r = np.tanh(m * k + drive * v + y + h)  # noqa: B023
                return n @ r / N, g * chi @ r  # noqa: B023

            v1 = u + (v - u) * a
            f0, F0 = rates(k, v, h)
            f1, F1 = rates(a * k + (1 - a) * f0, v1, a * h + (1 - a) * F0)
            w0, w1 = weights(dt)
            k, h, v = a * k + w0 * f0 + w1 * f1, a * h + w0 * F0 + w1 * F1, v1
        cross[d] = [hs[-1] @ hs[-1] / N, hs[-1] @ hs[15] / N, hs[20] @ hs[5] / N]
    expected = [theory.D[-1, -1], theory.D[-1, 15], theory.D[20, 5]]
    for measured, said in ((kappa[:, 20], theory.kappa[20, 0]), (kappa[:, -1], theory.kappa[-1, 0]), (cross, expected)):
        error = measured.std(0, ddof=1) / math.sqrt(draws)
        assert (np.abs(measured.mean(0) - said) <= 4 * error + 4 / N).all(), (measured.mean(0), said, error)
        assert np.max(error) < 0.02


# ---- what it says when it cannot ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"duration": 1.0, "dt": 0.3}, "whole number of steps"),
        ({"duration": -1.0}, "duration must be positive"),
        ({"duration": math.nan}, "duration must be finite"),
        ({"duration": 1.0, "dt": 0.0}, "dt must be positive"),
        ({"duration": 1.0, "delta": -0.1}, "delta must be >= 0"),
        ({"duration": 1.0, "delta": [0.1, 0.2]}, "one per population"),
        ({"duration": 1.0, "noise": -1.0}, "noise must be >= 0"),
        ({"duration": 1.0, "input_variance": -1.0}, "input_variance must be >= 0"),
        ({"duration": 1.0, "kappa": [1.0, 2.0]}, "one per rank"),
        ({"duration": 1.0, "kappa": math.inf}, "kappa must be finite"),
        ({"duration": 1.0, "kappa": 1e9}, "beyond 1e\\+08"),
        ({"duration": 1.0, "v": [1.0, 2.0]}, "one per input"),
        ({"duration": 1.0, "inputs": {"B": 1.0}}, "unknown input 'B'"),
        ({"duration": 1.0, "inputs": {"A": math.nan}}, "input 'A' must be a finite number"),
        ({"duration": 1.0, "inputs": {"A": lambda t: math.nan if t > 0.5 else 1.0}}, "input 'A' must be a finite"),
        ({"duration": 1.0, "tolerance": 0.0}, "tolerance must be above"),
        ({"duration": 1.0, "tau": 0.0}, "tau must be a positive number"),
        ({"duration": 1000.0, "dt": 0.01}, r"8e\+10 bytes \(80 GB\), more than memory=2e\+09: about 15811 steps fit"),
        ({"duration": 1.0, "memory": 100.0}, "more than memory=100"),
    ],
)
def test_bad_requests_are_refused(options, words):
    c = Connectivity.from_overlaps([{"n1 m1": 1.2, "n1 A": 0.5}], 1, ("A",), g=0.5)
    with pytest.raises(ValueError, match=words):
        transient(c, **options)


@pytest.mark.parametrize(("phi", "dt"), [("relu", 0.2), (Transfer.from_expression("exp(x)"), 0.02)])
def test_an_explosion_says_so(phi, dt):
    c = Connectivity.from_overlaps([{"n1 m1": 3.0}], 1, g=2.0)
    run = transient(c, phi, duration=200 * dt, dt=dt, kappa=0.2, delta=0.1, with_error=True)
    assert not run.success and "exploded" in str(run)
    alive = np.isfinite(run.kappa[:, 0])
    last = np.flatnonzero(alive)[-1]
    assert 1 < last < 200 and alive[: last + 1].all()
    assert np.isfinite(run.D[: last + 1, : last + 1]).all() and np.isnan(run.D[last + 1 :]).all()
    assert np.isfinite(run.variance[: last + 1]).all() and np.isnan(run.phi[last + 1 :]).all()


def test_nothing_starts_from_nothing():
    """Zero variance everywhere stays zero; with an input it grows, from a row of zero variance."""
    c = Connectivity.from_overlaps([{"n1 m1": 0.5}], 1, ("A",), g=1.5)
    still = transient(c, duration=1.0)
    assert not still.variance.any() and not still.D.any()
    moved = transient(c, inputs={"A": 1.0}, v=0.0, duration=1.0)
    assert moved.variance[0] == 0 < moved.D[-1, -1] and np.isfinite(moved.activity).all()


def test_progress_is_shown_only_when_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    transient(EMPTY, duration=1.0, progress=False)
    assert capsys.readouterr().err == ""
    transient(EMPTY, duration=1.0, progress=True)
    assert "/20" in capsys.readouterr().err
