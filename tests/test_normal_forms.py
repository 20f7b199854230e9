"""Normal forms against finite differences of the numeric drift, and planted bifurcations."""

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq, fsolve

import meanfield as mf

PLANTED = [
    {"n1 m1": 1.0, "n2 m1": 0.5, "n1 m2": 0.25, "n2 m2": -0.5, "n1 A": 0.5, "mean n1": 0.3, "mean m2": 0.4, "m1 A": 0.2}
]


def numeric_coefficients(f, point):
    """Eigenvalue, quadratic and cubic from differences of the numeric Jacobian."""
    jacobian = f.jacobian(point)
    values, right = np.linalg.eig(jacobian)
    k = np.abs(values).argmin()
    value, r = values[k].real, right[:, k].real
    r = r / np.linalg.norm(r) * np.sign(r[np.abs(r).argmax()])
    left_values, left = np.linalg.eig(jacobian.T)
    left = left[:, np.abs(left_values).argmin()].real
    left = left / (left @ r)

    def second(x, a, b, step=1e-3):
        """F''(x)[a, b] by a fourth-order difference of the Jacobian along a."""
        d = [f.jacobian(x + s * step * a) for s in (-2, -1, 1, 2)]
        return (d[0] - 8 * d[1] + 8 * d[2] - d[3]) @ b / (12 * step)

    bend = second(point, r, r)
    h = np.linalg.lstsq(
        np.vstack([jacobian - 2 * value * np.eye(len(r)), left]), np.append(-(bend - r * (left @ bend)), 0), rcond=None
    )[0]
    step = 2e-2
    x = [second(point + s * step * r, r, r) for s in (-2, -1, 1, 2)]
    third = (x[0] - 8 * x[1] + 8 * x[2] - x[3]) / (12 * step)
    return value, left @ bend / 2, left @ third / 6 + left @ second(point, h, r) / 2


@pytest.mark.parametrize("transfer", ["tanh", "erf", "softplus", "sin"])
def test_coefficients_against_differences_of_the_jacobian(transfer):
    """Means, correlated inputs, rank 2, a fixed point away from the origin."""
    c = mf.Connectivity.from_overlaps(PLANTED, rank=2, inputs=("A",))
    f = mf.reduce(c, transfer, {"A": 0.7})
    point = fsolve(f, [0.5, 0.1], fprime=f.jacobian, xtol=1e-13)
    form = mf.derive(c, transfer).normal_form(at=point, inputs={"A": 0.7})
    value, quadratic, cubic = numeric_coefficients(f, point)
    assert float(form.eigenvalue) == pytest.approx(value, rel=1e-9)
    assert float(form.quadratic) == pytest.approx(quadratic, rel=1e-6, abs=1e-8)  # fourth-order differences, step 1e-3
    assert float(form.cubic) == pytest.approx(cubic, rel=1e-4, abs=1e-6)  # fourth-order differences, step 2e-2
    assert abs(quadratic) > 1e-3 and abs(cubic) > 1e-3
    assert float((form.left.T * form.right)[0]) == pytest.approx(1, abs=1e-12)


def test_general_pitchfork_coefficient():
    """tau y' = (sigma_nm phi'(0) - 1) y + sigma_nm sigma_mm phi'''(0)/2 y^3 for any phi."""
    eq = mf.derive(rank=1)
    form = eq.normal_form()
    assert str(form.eigenvalue) == "sigma_n_m*<phi'>(0) - 1"
    assert str(form.cubic) == "sigma_m_m*sigma_n_m*<phi'''>(0)/2"
    assert form.quadratic == 0 and form.kind == "pitchfork"
    assert r"\phi'''\left(0\right)" in form.latex()
    numbers = mf.derive(rank=1, transfer="tanh").substitute(sigma_n_m=1, sigma_m_m=3).normal_form()
    assert (numbers.cubic, numbers.kind) == (-3, "supercritical pitchfork")


def test_pitchfork_of_two_populations_in_symbols():
    form = mf.derive(rank=1, populations=2, transfer="tanh").normal_form()
    expected = "-alpha_1*sigma_m_m_p1*sigma_n_m_p1 - alpha_2*sigma_m_m_p2*sigma_n_m_p2"
    assert str(form.cubic) == expected


def test_orthogonal_input_replaces_the_slope_by_the_gain():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1, inputs=("A",))
    form = mf.derive(c, "tanh").normal_form(inputs={"A": 1.5})
    gain1, gain3 = mf.gaussian_average("tanh", mean=0.0, variance=2.25, order=[1, 3])
    assert float(form.eigenvalue) == pytest.approx(2 * gain1 - 1, rel=1e-12)
    assert float(form.cubic) == pytest.approx(gain3, rel=1e-12)


def test_rank_two_pitchfork_is_exact():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 1, "n2 m1": 0.5, "n2 m2": 0.25}], rank=2)
    form = mf.derive(c, "tanh").normal_form()
    assert (form.eigenvalue, form.quadratic, form.cubic) == (0, 0, -1)
    assert form.right == sp.Matrix([3, 2]) / sp.sqrt(13)


def test_nearby_fixed_points_are_those_of_the_closed_form():
    """Next to the onset the normal form's pair is the closed form's, up to the relative order of the distance."""
    distance = 1e-3
    eq = mf.derive(rank=1, transfer="erf").substitute(sigma_n_m=1 + sp.Rational(1, 1000), sigma_m_m=2)
    exact = eq.fixed_points()[1].evalf()[0]
    near = max(float(k[0].evalf()) for k in eq.normal_form().nearby())
    assert abs(near / float(exact) - 1) < 2 * distance


def test_subcritical_pitchfork_below_overlap_one():
    """Thesis 2.1 says overlap < 1 means one fixed point: not for mixtures. -k + 4 tanh(k/2) - 0.4 tanh(4k) has five."""
    c = mf.Connectivity([0.5, 0.5], [[0.5, 8], [4, -0.8]], np.zeros((2, 2, 2)), rank=1)
    assert c.overlap("n", "m")[0, 0] == pytest.approx(0.4)
    form = mf.derive(c, "tanh", exact=True).normal_form()
    assert form.kind == "subcritical pitchfork" and form.eigenvalue == sp.Rational(-3, 5)
    assert form.cubic == sp.Rational(4 * 64, 30) - sp.Rational(4, 24)  # -(1/3)(4/8 - 0.4 * 64)
    numeric = mf.fixed_points(mf.reduce(c, "tanh"))
    assert numeric.complete and len(numeric) == 5


def test_saddle_node_of_a_rank_one_network_with_input():
    """Thesis 2.2: an input along n removes a pair of fixed points; at the fold the eigenvalue is 0."""
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 A": 0.5}], rank=1, inputs=("A",))

    def lowest_point(u):
        f = mf.reduce(c, "tanh", {"A": u})
        return brentq(lambda k: f.jacobian(np.array([k]))[0, 0], -1.5, -0.2, xtol=1e-14)

    def residual(u):
        return mf.reduce(c, "tanh", {"A": u})(np.array([lowest_point(u)]))[0]

    fold = brentq(residual, 0.2, 0.8, xtol=1e-14)
    eq = mf.derive(c, "tanh")
    form = eq.normal_form(at=[lowest_point(fold)], inputs={"A": fold}, parameter="v_A")
    assert form.kind == "saddle-node" and abs(form.eigenvalue) < 1e-10
    assert float(form.unfolding) > 0.1
    # a step beyond the fold takes the pair apart as y = +- sqrt(unfolding du / quadratic)
    du = 1e-4
    f = mf.reduce(c, "tanh", {"A": fold - du})
    numeric = np.sort(mf.fixed_points(f).kappa[:, 0])
    gap = float(2 * sp.sqrt(form.unfolding * du / abs(form.quadratic)))
    assert numeric[1] - numeric[0] == pytest.approx(gap, rel=0.02)


def test_transcritical_when_the_fixed_point_persists():
    transfer = mf.Transfer.from_expression("tanh(x) + tanh(x)**2/2")
    c = mf.Connectivity([1.0], [[1, 1]], np.zeros((1, 2, 2)), rank=1)
    form = mf.derive(c, transfer, symbols=True).normal_form(parameter="mu_n")
    assert (form.kind, form.eigenvalue, form.quadratic, form.unfolding) == ("transcritical", 0, sp.Rational(1, 2), 0)
    assert mf.derive(c, transfer).normal_form().kind == "saddle-node"  # nothing said that it persists


def test_cusp_when_the_parameter_breaks_the_symmetry():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 1.0, "n1 A": 0.5}], rank=1, inputs=("A",))
    form = mf.derive(c, "tanh").normal_form(parameter="v_A")
    assert (form.kind, form.unfolding) == ("cusp", sp.Rational(1, 2))


def test_sine_is_supercritical_and_a_steeper_function_is_not():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 1.0}], rank=1)
    assert mf.derive(c, "sin").normal_form().cubic == -sp.Rational(1, 2)
    steep = mf.Transfer.from_expression("tanh(x) + tanh(x)**3")
    form = mf.derive(c, steep).normal_form()
    assert (form.kind, form.cubic) == ("subcritical pitchfork", 2)  # phi'''(0) = -2 + 6
    flat = mf.Transfer.from_expression("tanh(x) + tanh(x)**3/3")
    assert mf.derive(c, flat).normal_form().kind == "degenerate"


@pytest.mark.parametrize(
    ("entries", "call", "message"),
    [
        ([{"n1 m1": 2, "mean n1": 1}], {"transfer": "logistic"}, "not a fixed point"),
        ([{"n1 m1": 2}], {"transfer": "relu"}, "has a kink"),
        ([{"n1 m1": 1, "n1 m2": -1, "n2 m1": 1, "n2 m2": 1}], {}, "complex"),
        ([{"n1 m1": 1, "n2 m2": 1}], {}, "repeated"),
        ([{"n1 m1": 1}], {"parameter": "v_A"}, "unknown parameter 'v_A'"),
        ([{"n1 m1": 1}], {"at": [0, 0]}, "at must be 1 numbers"),
    ],
)
def test_mistakes_are_named(entries, call, message):
    rank = 2 if any("n2" in key for key in entries[0]) else 1
    eq = mf.derive(mf.Connectivity.from_overlaps(entries, rank=rank), call.pop("transfer", "tanh"))
    with pytest.raises(ValueError, match=message):
        eq.normal_form(**call)


def test_symbols_are_refused_above_rank_one():
    with pytest.raises(ValueError, match="rank 1 only"):
        mf.derive(rank=2, transfer="tanh").normal_form()


def test_relu_with_a_noisy_input_is_smooth():
    c = mf.Connectivity.from_overlaps([{"n1 m1": -1.0, "mean m1": 0.5, "mean n1": 1.0}], rank=1, inputs=("A",))
    f = mf.reduce(c, "relu", {"A": 1.0})
    point = fsolve(f, [0.3], fprime=f.jacobian, xtol=1e-13)
    form = mf.derive(c, "relu").normal_form(at=point, inputs={"A": 1.0})
    value, quadratic, cubic = numeric_coefficients(f, point)
    assert float(form.quadratic) == pytest.approx(quadratic, rel=1e-6)
    assert float(form.cubic) == pytest.approx(cubic, rel=1e-4)
