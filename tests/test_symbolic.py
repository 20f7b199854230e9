"""Derived equations against the numeric vector field: one algebra, two readers."""

import pickle
import time

import latex2mathml.converter
import numpy as np
import pytest
import sympy as sp

import meanfield as mf
from meanfield.formulas.symbols import GainVariance, GaussianAverage, Phi

# Drift and Jacobian are sums of a few dozen products of numbers of order 1 to 10: 1e-12 is some thousand roundings.
ROUNDING = 1e-12


def mixture(rank, populations, inputs=(), means=True, seed=0):
    """A random mixture with full covariances."""
    rng = np.random.default_rng(seed)
    size = 2 * rank + len(inputs)
    roots = rng.normal(size=(populations, size, size))
    weights = rng.uniform(1, 2, populations)
    mu = rng.normal(size=(populations, size)) * means
    return mf.Connectivity(weights / weights.sum(), mu, roots @ roots.swapaxes(1, 2), rank=rank, inputs=inputs)


def equal(a, b):
    """Whether two sympy matrices are equal after expanding."""
    return (sp.Matrix(a) - sp.Matrix(b)).applyfunc(sp.expand).is_zero_matrix


# ---- one algebra
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["tanh", "erf", "softplus", "sin"])
@pytest.mark.parametrize(("rank", "populations", "inputs"), [(1, 1, ()), (2, 2, ("A", "B")), (3, 1, ("A",))])
def test_drift_and_jacobian_agree_with_the_vector_field(transfer, rank, populations, inputs):
    c = mixture(rank, populations, inputs, seed=rank)
    rng = np.random.default_rng(1)
    u = {name: rng.normal() for name in inputs}
    f, eq = mf.reduce(c, transfer, u), mf.derive(c, transfer)
    kappa = rng.normal(size=(2, 3, rank))
    v = np.array(list(u.values()))
    np.testing.assert_allclose(eq.lambdify()(kappa, v), f(kappa), rtol=ROUNDING, atol=ROUNDING * 10)
    np.testing.assert_allclose(eq.lambdify("jacobian")(kappa, v), f.jacobian(kappa), rtol=ROUNDING, atol=ROUNDING * 10)
    fixed = mf.derive(c, transfer, inputs=u)
    np.testing.assert_allclose(fixed.lambdify()(kappa), f(kappa), rtol=ROUNDING, atol=ROUNDING * 10)


@pytest.mark.parametrize(
    "eq",
    [
        mf.derive(rank=1, populations=2, means=True, inputs=("A",)),
        mf.derive(rank=2, populations=2, means=True, inputs=("A",)),
        mf.derive(rank=3, populations=1),
    ],
    ids=["rank 1", "rank 2", "rank 3"],
)
def test_jacobian_is_what_sympy_gets_by_differentiating_the_drift(eq):
    assert equal(eq.jacobian, eq.drift.jacobian(list(eq.kappa)))


def test_functional_connectivity_agrees_with_the_vector_field():
    c = mixture(2, 2, ("A", "B"))
    f, eq = mf.reduce(c, "erf", {"A": 0.3, "B": -1.0}), mf.derive(c, "erf", inputs={"A": 0.3, "B": -1.0})
    kappa = np.array([0.4, -0.7])
    at = dict(zip(eq.kappa, kappa, strict=True))
    numbers = {key: float(x.subs(at).doit()) for key, x in eq.functional_connectivity.items()}
    n_m, n_I = f.functional_connectivity(kappa), f.functional_connectivity(kappa, "n", "I")
    for (a, b), value in numbers.items():
        r = int(a[1]) - 1
        expected = n_m[r, int(b[1]) - 1] if b[0] == "m" else n_I[r, c.inputs.index(b)]
        assert value == pytest.approx(expected, rel=ROUNDING)


def test_functional_connectivity_is_not_the_jacobian_in_general():
    eq = mf.derive(mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1), "erf")
    difference = eq.jacobian[0] - (eq.functional_connectivity["n1", "m1"] - 1)
    assert float(difference.subs(eq.kappa[0], 1).doit()) < -0.5
    assert difference.subs(eq.kappa[0], 0) == 0


def test_finite_network_is_its_exact_sum():
    rng = np.random.default_rng(3)
    m, n = rng.normal(size=(2, 4, 1))
    c = mf.Connectivity(np.full(4, 0.25), np.hstack([m, n]), np.zeros((4, 2, 2)), rank=1)
    eq = mf.derive(c, "tanh")
    expected = -0.7 + (n[:, 0] * np.tanh(0.7 * m[:, 0])).mean()
    assert float(eq.drift[0].subs(eq.kappa[0], 0.7)) == pytest.approx(expected, rel=1e-13)


def test_largest_general_form_is_quick():
    start = time.perf_counter()
    eq = mf.derive(rank=3, populations=3, inputs=("A", "B"), means=True)
    assert eq.jacobian.shape == (3, 3)
    assert eq.latex()
    assert time.perf_counter() - start < 10


# ---- the seeds' notation
# ----------------------------------------------------------------------------------------------------


def test_equations_of_the_posters():
    """LINT and DMS posters: kappa' = -kappa + sigma~ kappa + sigma~ v, and the weights and the prime."""
    eq = mf.derive(rank=2, populations=2, inputs=("in",))
    assert str(eq).splitlines()[:3] == [
        "tau dkappa_1/dt = -kappa_1 + sigma~_n1_m1*kappa_1 + sigma~_n1_m2*kappa_2 + sigma~_n1_in*v_in",
        "tau dkappa_2/dt = -kappa_2 + sigma~_n2_m1*kappa_1 + sigma~_n2_m2*kappa_2 + sigma~_n2_in*v_in",
        "sigma~_n1_m1 = alpha_1*sigma_n1_m1_p1*<phi'>_1 + alpha_2*sigma_n1_m1_p2*<phi'>_2",
    ]
    latex = eq.latex()
    recurrent = r"\tilde{\sigma}_{n_1 m_1} \kappa_{1} + \tilde{\sigma}_{n_1 m_2} \kappa_{2}"
    assert rf"- \kappa_{{1}} + {recurrent} + \tilde{{\sigma}}_{{n_1 I}} v" in latex
    assert r"\alpha_{1} \sigma_{n_1 m_1}^{(1)} \langle \phi' \rangle_{1} + \alpha_{2}" in latex


def test_equations_equal_the_drift():
    eq = mf.derive(mixture(2, 2, ("A",)), "tanh")
    named = {eq._sigma_tilde(*key): x for key, x in eq.functional_connectivity.items()}
    right = sp.Matrix([line.rhs.doit().xreplace(named) for line in eq.equations()])
    assert equal(right, eq.drift)


def test_terms_that_vanish_are_left_out():
    text = str(mf.derive(mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=2, inputs=("A",)), "tanh"))
    assert "n1_m2" not in text and "n1_A" not in text and "n2" not in text
    assert "tau dkappa_2/dt = -kappa_2\n" in text


@pytest.mark.parametrize(
    "eq",
    [
        mf.derive(rank=1, means=True, inputs=("A", "B_two")),
        mf.derive(rank=3, populations=2),
        mf.derive(mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1), "relu"),
    ],
)
def test_latex_is_plain(eq):
    text = eq.latex()
    assert text.count("{") == text.count("}")
    page = latex2mathml.converter.convert(text)
    assert "\\" not in page and "<mi>&</mi>" not in page
    assert eq._repr_latex_() == f"$$ {text} $$"
    assert r"\langle \phi''' \rangle" in sp.latex(eq.jacobian) or eq.phi.name == "relu"


def test_gains_print_their_order_and_population():
    phi, mu, delta = Phi(), sp.Symbol("mu"), sp.Symbol("Delta")
    gains = [GaussianAverage(phi, k, mu, delta, 2) for k in (-1, 0, 1, 4)]
    assert [str(g) for g in gains] == ["<Phi>_2", "<phi>_2", "<phi'>_2", "<phi^(4)>_2"]
    assert sp.latex(gains[3]) == r"\langle \phi^{(4)} \rangle_{2}"
    assert str(GaussianAverage(phi, 1, 0, 3, 2)) == "<phi'>(3)"
    assert sp.latex(GaussianAverage(phi, 3, 0, 0)) == r"\phi'''\left(0\right)"
    assert sp.latex(gains[2] ** 2) == r"\left(\langle \phi' \rangle_{2}\right)^{2}"


# ---- parameters
# -------------------------------------------------------------------------------------------------------------


def test_symbols_keep_the_numbers_for_later():
    c = mixture(2, 2, ("A",))
    eq = mf.derive(c, "tanh", symbols=True)
    assert float(eq.values[next(s for s in eq.values if str(s) == "sigma_n1_m2_p2")]) == c.covariances[1, 2, 1]
    assert equal(eq.substitute().drift, mf.derive(c, "tanh").drift)
    sparse = mf.derive(mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=2), symbols=True)
    assert {str(s) for s in sparse.parameters} == {"sigma_n1_m1", "sigma_m1_m1", "sigma_m2_m2"}


def test_substitution_by_name_gives_the_particular_case():
    general = mf.derive(rank=1, transfer="tanh", inputs=("A",))
    eq = general.substitute(sigma_n_m=2, sigma_m_m=1, sigma_n_A=sp.Rational(1, 2), sigma_m_A=0, sigma_A_A=1, v_A=3)
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 A": 0.5}], rank=1, inputs=("A",))
    assert equal(eq.drift, mf.derive(c, "tanh", inputs={"A": 3}).drift)


def test_exact_reads_decimals_as_fractions():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.1}], rank=1)
    gain = GaussianAverage(Phi("tanh"), 1, 0, sp.Symbol("kappa", real=True) ** 2, 0)
    assert mf.derive(c, exact=True).drift[0].coeff(gain).coeff(sp.Symbol("kappa", real=True)) == sp.Rational(1, 10)
    assert mf.derive(c).drift[0].has(sp.Float)
    dyadic = mf.Connectivity.from_overlaps([{"n1 m1": 2.25}], rank=1)
    assert not mf.derive(dyadic).drift.has(sp.Float)


def test_equations_survive_pickling():
    eq = mf.derive(rank=2, populations=2, inputs=("A",), transfer="tanh")
    again = pickle.loads(pickle.dumps(eq))
    assert again.drift == eq.drift and again.latex() == eq.latex()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mf.derive(), "neither"),
        (lambda: mf.derive(mixture(1, 1), rank=1), "both"),
        (lambda: mf.derive(rank=0), "rank must be a positive integer: got 0"),
        (lambda: mf.derive(rank=1, populations=1.5), "populations must be a positive integer"),
        (lambda: mf.derive(rank=1, inputs=("A", "A")), "different names"),
        (lambda: mf.derive(mixture(1, 1), "tan"), "unknown transfer function 'tan'"),
        (lambda: mf.derive(mixture(1, 1, ("A",)), inputs={"B": 1}), "unknown input 'B'"),
        (lambda: mf.derive(mixture(1, 1, ("A",)), inputs={"A": np.nan}), "must be a finite number"),
        (
            lambda: mf.derive(mf.Connectivity([1.0], [[0, 0]], [np.eye(2)], rank=1, g=0.5)),
            "random part of strength g = 0.5",
        ),
        (lambda: mf.derive(rank=1).substitute(sigma=1), "unknown symbol 'sigma'"),
        (lambda: mf.derive(rank=1).lambdify(), "no value for sigma_m_m, sigma_n_m, phi"),
        (lambda: mf.derive(rank=1).lambdify("hessian"), 'what must be "drift" or "jacobian"'),
        (lambda: mf.derive(mixture(2, 1)).lambdify()(np.zeros(3)), r"kappa must have shape \(..., 2\)"),
        (lambda: mf.derive(mixture(2, 1, ("A",))).lambdify()(np.zeros(2)), r"v must have shape \(..., 1\)"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- Gaussian averages as sympy functions
# -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["erf", "sin", "relu", "step"])
@pytest.mark.parametrize("order", range(6))
def test_closed_forms_against_the_numeric_averages(transfer, order):
    mu, delta = sp.symbols("mu Delta", positive=True)
    form = sp.lambdify((mu, delta), GaussianAverage(Phi(transfer), order, mu, delta).doit(), ["scipy", "numpy"])
    for mean, variance in [(0.3, 0.5), (-1.0, 4.0), (2.0, 1.0)]:
        expected = mf.gaussian_average(transfer, mean=mean, variance=variance, order=order)
        assert form(mean, variance) == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("transfer", ["tanh", "softplus"])
@pytest.mark.parametrize("order", [0, 3, 5])
def test_evalf_against_the_numeric_averages(transfer, order):
    value = GaussianAverage(Phi(transfer), order, sp.Rational(1, 3), 2).evalf(20)
    expected = mf.gaussian_average(transfer, mean=1 / 3, variance=2.0, order=order)
    assert float(value) == pytest.approx(expected, abs=1e-13)


def test_evalf_of_a_high_order_against_a_closed_form():
    mu = sp.Symbol("mu")
    exact = sp.diff(GaussianAverage(Phi("erf"), 0, mu, 2).doit(), mu, 7).subs(mu, sp.Rational(1, 3)).evalf(25)
    own = Phi(mf.Transfer.from_expression("erf(sqrt(pi)*x/2)"))
    assert abs(GaussianAverage(own, 7, sp.Rational(1, 3), 2).evalf(25) - exact) < sp.Float(10) ** -22


def test_averages_differentiate_by_the_heat_equation():
    mu, delta = sp.symbols("mu Delta")
    g = GaussianAverage(Phi("tanh"), 2, mu, delta, 1)
    assert g.diff(mu) == GaussianAverage(Phi("tanh"), 3, mu, delta, 1)
    assert g.diff(delta) == GaussianAverage(Phi("tanh"), 4, mu, delta, 1) / 2
    for name in ("erf", "sin", "relu", "step"):
        closed = GaussianAverage(Phi(name), 0, mu, delta).doit()
        numbers = {mu: 0.4, delta: 1.7}
        assert float((closed.diff(delta) - closed.diff(mu, 2) / 2).subs(numbers)) == pytest.approx(0, abs=1e-14)


def test_averages_vanish_by_parity_and_know_zero_variance():
    assert GaussianAverage(Phi("tanh"), 2, 0, 3) == 0
    assert GaussianAverage(Phi("logistic"), 2, 0, 3) != 0
    assert GaussianAverage(Phi("tanh"), 3, 0, 0) == -2
    assert GaussianAverage(Phi("relu"), 2, 0, 0).func is GaussianAverage


def test_average_as_an_integral():
    integral = GaussianAverage(Phi("sin"), 0, 1, 2).rewrite(sp.Integral)
    assert float(integral.evalf(15)) == pytest.approx(np.sin(1) * np.exp(-1), rel=1e-13)


def test_potential_of_one_population():
    """V = kappa^2/2 - (sigma_nm/sigma_mm) <Phi> is minus the drift's primitive."""
    eq = mf.derive(rank=1, transfer="tanh")
    kappa = eq.kappa[0]
    parameters = {str(s): s for s in eq.parameters}
    sigma_nm, sigma_mm = parameters["sigma_n_m"], parameters["sigma_m_m"]
    potential = kappa**2 / 2 - sigma_nm / sigma_mm * GaussianAverage(eq.phi, -1, 0, sigma_mm * kappa**2, 0)
    assert sp.expand(-potential.diff(kappa) - eq.drift[0]) == 0


def test_gain_variance_differentiates():
    slope = sp.Symbol("lambda", positive=True)
    delta = GainVariance(Phi("tanh"), slope)
    step = sp.Rational(1, 10**6)
    exact = delta.diff(slope).subs(slope, 2).evalf(20)
    difference = (delta.subs(slope, 2 + step) - delta.subs(slope, 2 - step)).evalf(30) / (2 * step)
    assert abs(float(exact - difference)) < 1e-10  # the difference quotient errs by step^2


# ---- errata of the seeds
# ----------------------------------------------------------------------------------------------------

THESIS_431 = [
    {"weight": 0.5, "m1 m1": 2, "m2 m2": 2, "n1 m1": 3, "n2 m2": 2.5, "n1 m2": 1, "n2 m1": sign, "I I": variance}
    for sign, variance in ((1, 100), (-1, 0.01))
]


def test_thesis_431_without_input_subtracts_one():
    """Thesis 4.3.1 prints (3 1; 0 2.5); eq. 4.4 subtracts 1."""
    c = mf.Connectivity.from_overlaps(THESIS_431, rank=2, inputs=("I",))
    assert c.overlap("n", "m").tolist() == [[3, 1], [0, 2.5]]
    eq = mf.derive(c, "tanh", inputs={})
    assert eq.jacobian.subs(dict.fromkeys(eq.kappa, 0)) == sp.Matrix([[2, 1], [0, sp.Rational(3, 2)]])


def test_thesis_431_with_input_has_weights_and_a_residual_gain():
    """Thesis 4.3.1 prints (2 1; -1 1.5): weights 1/2 and the gain of the saturated population are missing."""
    c = mf.Connectivity.from_overlaps(THESIS_431, rank=2, inputs=("I",))
    eq = mf.derive(c, "tanh", inputs={"I": 1})
    matrix = np.array(eq.jacobian.subs(dict.fromkeys(eq.kappa, 0)).evalf(15), dtype=float)
    g1, g2 = (mf.gaussian_average("tanh", mean=0.0, variance=x, order=1) for x in (100.0, 0.01))
    assert 0.07 < g1 < 0.08 and 0.98 < g2 < 1
    s, d = (g1 + g2) / 2, (g1 - g2) / 2
    np.testing.assert_allclose(matrix, [[3 * s - 1, s], [d, 2.5 * s - 1]], rtol=ROUNDING)
    values = np.linalg.eigvals(matrix)
    assert (values.real > 0.4).all() and (np.abs(values.imag) > 0.4).all()
    assert eq.lambdify()(np.zeros(2)).tolist() == [0, 0]


def test_dms_jacobian_holds_at_the_origin_only():
    c = mf.Connectivity.from_overlaps(THESIS_431, rank=2, inputs=("I",))
    eq = mf.derive(c, "erf", inputs={"I": 1})
    tilde = sp.Matrix(2, 2, [eq.functional_connectivity[f"n{r}", f"m{s}"] for r in (1, 2) for s in (1, 2)]) - sp.eye(2)
    difference = eq.jacobian - tilde
    assert difference.subs(dict.fromkeys(eq.kappa, 0)).is_zero_matrix
    assert max(abs(float(x)) for x in difference.subs(dict.fromkeys(eq.kappa, 1)).doit()) > 0.1
