"""Transfer functions with kinks, given as expressions: averages over pairs, and the states that follow from them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meanfield as mf
from meanfield.averages import pair_average
from meanfield.dmft import chaotic, follow, noise_suppression, structure_end, transient
from meanfield.dmft.correlations import pair_error, pair_terms
from meanfield.dmft.kinked import KinkedPairs, Products
from meanfield.dmft.states import SearchStatus, Status

HARD = mf.Transfer.from_expression("Max(-1, Min(1, x))")
#: Pieces that are no polynomials: the truncated powers leave a rest.
RECTIFIED = mf.Transfer.from_expression("Max(0, tanh(x))")
BENT = mf.Transfer.from_expression("Piecewise((x/2 - 1, x < 0), (tanh(2*x) + x/10, True))")
SQUARE = mf.Transfer.from_expression("Piecewise((0, x < 0), (x**2, x < 1), (2*x - 1, True))")
RHO = np.array([-1.0, -0.4, 0.0, 0.3, 0.9, 0.999, 1.0])


def shifted(g):
    return mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g)


def inhibited(g=2.0, **entries):
    population = {"m1 m1": 0.0, "mean m1": 1.0, "mean n1": -3.0, "n1 n1": 0.0, "mean A": 1.0, "A A": 0.0}
    return mf.Connectivity.from_overlaps([population | entries], rank=1, inputs=("A",), g=g)


def averages(t, mean, variance, rho=RHO):
    """<phi phi>, <phi' phi'> and their errors, of one Gaussian."""
    pairs = KinkedPairs(t, np.array([mean]), np.array([variance]))
    return pairs.value(rho[None])[0], pairs.slope(rho[None])[0], *pairs.error[:, 0]


@given(st.floats(-3, 3), st.floats(0.05, 8.0))
@settings(max_examples=15)
def test_hard_tanh_is_a_sum_of_threshold_linear_functions(mean, variance):
    """relu(x + 1) - relu(x - 1) - 1, with the closed forms of relu for all products."""
    value, slope, error, slope_error = averages(HARD, mean, variance)
    total, slopes = np.ones(RHO.size), np.zeros(RHO.size)
    for a, weight in ((mean + 1, 1.0), (mean - 1, -1.0)):
        total -= 2 * weight * mf.gaussian_average("relu", mean=a, variance=variance)
        for b, other in ((mean + 1, 1.0), (mean - 1, -1.0)):
            pair = {"mean": (a, b), "variance": variance, "correlation": RHO}
            total += weight * other * pair_average("relu", **pair)
            slopes += weight * other * pair_average("relu", **pair, order=1)
    assert np.abs(value - total).max() < 1e-13 * (1 + mean**2 + variance)
    assert np.abs(slope - slopes).max() < 1e-13
    assert error < 1e-12 and slope_error < 1e-12


@pytest.mark.parametrize("name", ["relu", "step"])
@pytest.mark.parametrize(("mean", "variance"), [(0.3, 1.0), (-2.0, 0.1), (1.0, 9.0)])
def test_named_functions_as_expressions(name, mean, variance):
    t = mf.get_transfer(name)
    expression = mf.Transfer.from_expression(str(t.expression))
    rho = RHO if name == "relu" else RHO[1:-1]
    exact = [pair_average(t, mean=mean, variance=variance, correlation=rho, order=k) for k in (0, 1)]
    for found in (averages(expression, mean, variance, rho), averages(t, mean, variance, rho)):
        for k in (0, 1):
            assert np.abs(found[k] - exact[k]).max() < 1e-13 * (1 + variance)
    jump = averages(expression, mean, variance, np.ones(1))[1]
    assert np.isinf(jump) if name == "step" else np.isfinite(jump)


@pytest.mark.parametrize("t", [RECTIFIED, BENT, SQUARE], ids=lambda t: t.name)
@pytest.mark.parametrize(("mean", "variance"), [(0.3, 1.0), (-0.5, 0.2), (0.8, 6.0)])
def test_nested_quadrature_agrees_within_the_errors(t, mean, variance):
    rho = np.array([0.4, 0.95, 1.0]) if t.singular > 1 else np.array([0.4, 0.95])
    value, slope, error, slope_error = averages(t, mean, variance, rho)
    one = {"mean": mean, "variance": variance, "correlation": rho, "with_error": True}
    expected, e = pair_average(t, **one)
    slopes, es = pair_average(t, **one, order=1)
    assert (np.abs(value - expected) <= error + e).all() and error < 1e-6
    assert (np.abs(slope - slopes) <= slope_error + es).all()
    # the error of the slope is that at correlation 1; further down the series ends early enough
    assert np.abs(slope - slopes)[:2].max() < 1e-9


def test_smoothed_by_a_gaussian():
    """Averaging phi over N(x, e^2) first adds e^2 to the variances and leaves the covariance: a smooth twin."""
    e, mean, variance = 0.5, 0.4, 1.3
    part = "((x+({0}))*(1+erf((x+({0}))/({1}*sqrt(2))))/2 + {1}*exp(-(x+({0}))**2/(2*{1}**2))/sqrt(2*pi))"
    smooth = mf.Transfer.from_expression(f"{part.format(1, e)} - {part.format(-1, e)} - 1")
    twin = pair_average(smooth, mean=mean, variance=variance, correlation=RHO)
    value, *_ = averages(HARD, mean, variance + e**2, RHO * variance / (variance + e**2))
    assert np.abs(value - twin).max() < 1e-12


@given(st.floats(-2, 2), st.floats(0.2, 3.0), st.floats(-2, 2), st.floats(-2, 2), st.floats(-0.95, 0.95))
@settings(max_examples=20)
def test_products_of_truncated_powers(mean, variance, first, second, rho):
    """A density times the average that x leaves of x', by quadrature; and d/dcovariance lowers both degrees."""

    def product(shift=0.0):
        return Products(np.array(mean), np.array(variance), first, second, np.array(rho + shift))

    s, (node, weight) = np.sqrt(variance), np.polynomial.legendre.leggauss(120)
    x = first + 8 * s * (node + 1)  # from the threshold to far beyond the mean
    density = np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    left = 8 * s * weight * density * (x - first)
    other = {"mean": mean + rho * (x - mean) - second, "variance": variance * (1 - rho**2)}
    exact = product()
    assert exact(1, 1) == pytest.approx(left @ mf.gaussian_average("relu", **other), abs=1e-10)
    squared = mf.gaussian_average("relu", **other, order=-1)
    assert exact(2, 2) == pytest.approx((left * (x - first) / 2) @ squared, abs=1e-10)
    assert exact(2, 0) == pytest.approx((left * (x - first) / 2) @ mf.gaussian_average("step", **other), abs=1e-10)
    assert exact(1, -1) == pytest.approx(left @ mf.gaussian_average("step", **other, order=1), abs=1e-10)
    h = 1e-5
    for n, m in ((1, 1), (2, 1), (0, 2), (3, 3)):
        by_covariance = (product(h)(n, m) - product(-h)(n, m)) / (2 * h * variance)
        assert by_covariance == pytest.approx(exact(n - 1, m - 1), abs=1e-6, rel=1e-6)


def test_the_errors_say_where_phi_is_too_steep_for_its_input():
    steep = mf.Transfer.from_expression("Abs(tanh(12*x - 1))")
    _, _, error, slope_error = averages(steep, 0.0, 10.0)
    assert error > 1e-6 and slope_error > error
    C, W = pair_error(steep, np.array([0.0]), np.array([10.0]), np.array([3.0]))
    fine = pair_error(HARD, np.array([0.0]), np.array([10.0]), np.array([3.0]))
    assert C > 1e-6 and W > 1e-7 and max(fine) < 1e-10


def test_the_weighted_integral_of_the_slope():
    """W of hard tanh from the weights of quadrants alone, by the trapezoid: second order, and a cusp at s = 1."""
    terms = pair_terms(HARD, np.array([0.2]), np.array([10.0]), np.array([3.0]))
    s = np.linspace(0.0, 1.0, 40001)
    slope = sum(
        a * b * pair_average("step", mean=(0.2 + a, 0.2 + b), variance=10.0, correlation=0.3 + 0.7 * s)
        for a in (1, -1)
        for b in (1, -1)
    )
    assert terms.W[0] == pytest.approx(np.trapezoid((1 - s) * slope, s), abs=1e-8)


@pytest.fixture(scope="module")
def hard():
    return chaotic(shifted(1.8), HARD)[0]


def test_hard_tanh_solves_the_equations_of_chaos(hard):
    """The particle in its potential, from the closed forms of relu and step alone."""
    s, p = hard, hard.problem
    assert s.status is Status.CONVERGED and s.chaotic and s.kappa[0] > 0.3
    lags = np.linspace(0.0, 12.0, 13)
    mean, D = p.mean(s.kappa)[0], lambda x: s.delta(x)[:, 0] - p.structure_variance(s.kappa)[0]
    h = 1e-3
    left = D(lags[1:]) - (D(lags[1:] + h) - 2 * D(lags[1:]) + D(lags[1:] - h)) / h**2
    rho = s.delta(lags[1:])[:, 0] / s.delta0[0]
    C = np.ones(rho.size)
    for a, weight in ((mean + 1, 1.0), (mean - 1, -1.0)):
        C -= 2 * weight * mf.gaussian_average("relu", mean=a, variance=s.delta0[0])
        for b, other in ((mean + 1, 1.0), (mean - 1, -1.0)):
            C += weight * other * pair_average("relu", mean=(a, b), variance=s.delta0[0], correlation=rho)
    assert np.abs(left - 1.8**2 * C).max() < 1e-6  # second difference: h^2 and eps/h^2
    gain = mf.gaussian_average(HARD, mean=mean, variance=s.delta0, order=(0, 1))
    assert np.abs(p.drift(s.kappa, gain)).max() < 1e-12


def test_exponent_of_hard_tanh_by_finite_differences(hard):
    from scipy.linalg import eigh_tridiagonal

    mean, v, levels = hard.problem.mean(hard.kappa)[0], hard.delta0[0], []
    for n in (1000, 2000):  # second order in the step; extrapolated
        h = 40.0 / n
        rho = hard.delta(h * (np.arange(n) + 0.5))[:, 0] / v
        slope = sum(
            a * b * pair_average("step", mean=(mean + a, mean + b), variance=v, correlation=rho)
            for a in (1, -1)
            for b in (1, -1)
        )
        diagonal = 2 / h**2 + 1 - 1.8**2 * slope
        diagonal[0] -= 1 / h**2
        off = np.full(n - 1, -1 / h**2)
        levels.append(eigh_tridiagonal(diagonal, off, select="i", select_range=(0, 0))[0][0])
    level = (4 * levels[1] - levels[0]) / 3
    assert hard.lyapunov == pytest.approx(np.sqrt(1 - level) - 1, abs=1e-9) and hard.lyapunov_error < 1e-9


def test_a_transient_of_hard_tanh_ends_there(hard):
    """An explicit run in two times, of second order in its step."""
    late = [transient(shifted(1.8), HARD, duration=40.0, dt=dt, kappa=0.6, delta=1.0) for dt in (0.4, 0.2)]
    kappa, variance = ((4 * q[1] - q[0]) / 3 for q in zip(*[(r.kappa[-1], r.variance[-1]) for r in late], strict=True))
    assert kappa == pytest.approx(hard.kappa, abs=2e-4) and variance == pytest.approx(hard.delta0, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [("Max(x, 0)", "relu", {"input_variance": 1.0}), ("Heaviside(x)", "step", {"input_variance": 1.0, "noise": 0.3})],
)
def test_expressions_of_named_functions_have_the_same_states(text, name, options):
    found, expected = (chaotic(inhibited(), t, **options) for t in (mf.Transfer.from_expression(text), name))
    assert found.status is expected.status is SearchStatus.FOUND and len(found) == len(expected) == 1
    a, b = found[0], expected[0]
    np.testing.assert_allclose(a.kappa, b.kappa, rtol=1e-10)
    np.testing.assert_allclose(a.delta([0.0, 1.0, 9.0]), b.delta([0.0, 1.0, 9.0]), rtol=1e-10)
    assert a.lyapunov == b.lyapunov or abs(a.lyapunov - b.lyapunov) <= a.lyapunov_error + b.lyapunov_error


def test_pieces_that_are_no_polynomials():
    """Rectified tanh: one g, and the same for each pair of two halves, where another algorithm solves it."""
    (s,) = chaotic(inhibited(3.0), RECTIFIED, {"A": 1.0})
    (b,) = chaotic(replace(inhibited(3.0).split(0, 0.5), g=np.full((2, 2), 3.0)), RECTIFIED, {"A": 1.0})
    assert s.status is b.status is Status.CONVERGED and s.chaotic
    assert b.kappa == pytest.approx(s.kappa, abs=1e-8)
    (x, ex), (y, ey) = (q.delta([0.0, 1.0, 5.0], with_error=True) for q in (s, b))
    assert (np.abs(x - y) <= ex + ey).all() and ex.max() < 1e-6
    assert abs(s.lyapunov - b.lyapunov) <= s.lyapunov_error + b.lyapunov_error < 1e-5


@pytest.mark.parametrize("steepness", [2, 5])
def test_averages_that_are_not_known_are_said_to_be(steepness):
    steep = mf.Transfer.from_expression(f"Max(0, tanh({steepness}*x))")
    found = chaotic(inhibited(4.0), steep, {"A": 3.0}, input_variance=4.0, noise=1.0)
    assert "on a much shorter scale" in str(found)
    if steepness == 5:
        assert not found and found.status is SearchStatus.FAILED
    else:
        assert found[0].status is Status.COARSE and not found[0].status.settled


def test_transitions_of_hard_tanh():
    """2.2 <phi'> = 1 pins Delta0 at kappa = 0 where structure ends, and <phi'> is the weight of [-1, 1]."""
    from scipy.special import ndtri

    (end,) = structure_end(shifted(1.0), HARD, bracket=(1.9, 2.3))
    delta0 = ndtri((1 + 1 / 2.2) / 2) ** -2
    assert end.delta0[0] == pytest.approx(delta0, abs=1e-10) and end.error < 1e-10
    branch = follow(shifted(1.0), HARD, values=[2.0, 2.1, 2.2])
    assert [p.state is None for p in branch] == [False, False, True] and "kappa meets 0" in branch[2].note
    assert branch.end[0] <= end.value <= branch.end[1] <= branch.end[0] + 1e-4
    plain = mf.Connectivity.from_overlaps([{}], rank=1, g=1.5)
    zero, radius = noise_suppression(plain, HARD, bracket=(0.5, 2.5))
    assert abs(chaotic(plain, HARD, noise=zero.value)[0].lyapunov) < 1e-9
    assert radius.delta0[0] == pytest.approx(ndtri((1 + 1 / 1.5**2) / 2) ** -2, abs=1e-9) and zero.value < radius.value


@pytest.mark.parametrize(
    ("one_sided", "midpoint"),
    [("Piecewise((-1, x < 0), (1, True))", "sign(x)"), ("Piecewise((0, x < 0), (1, True))", "Heaviside(x)")],
)
def test_the_value_at_a_jump_does_not_matter(one_sided, midpoint):
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=1.5)
    one, other = (mf.dmft.chaotic(c, mf.Transfer.from_expression(t))[0] for t in (one_sided, midpoint))
    assert one.status is Status.CONVERGED and abs(one.delta0[0] - other.delta0[0]) < 1e-11
    assert abs(one.delta_inf[0] - other.delta_inf[0]) < 1e-11
    if midpoint == "sign(x)":
        assert abs(one.delta0[0] - 2 * 1.5**2 * (1 - 2 / np.pi)) < 1e-11


def test_a_branch_through_its_end_and_back():
    """Close to its end no kink is felt any more; values before the end stay on the branch."""
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=1.5)
    hard = mf.Transfer.from_expression("Max(-1, Min(1, x))")
    found = mf.dmft.follow(c, hard, values=[1.2, 0.99, 1.2])
    assert [p.state is None for p in found] == [False, True, False]
    assert abs(found[0].state.delta0[0] - found[2].state.delta0[0]) < 1e-10 and 0.99 < found.end[0] < 1.001


def test_noise_alone():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=1.5)
    hard = mf.Transfer.from_expression("Max(-1, Min(1, x))")
    state = mf.dmft.follow(c, hard, noise=0.5, values=[0.5, 0.0])[1].state
    assert abs(state.lyapunov + 1) <= state.lyapunov_error + 1e-15 and state.delta0[0] == pytest.approx(0.125)
