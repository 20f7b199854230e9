"""Closed-form fixed points and cycles against the numeric solvers."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import meanfield as mf
from meanfield.averages import mp_average
from meanfield.formulas.spectrum import eigenspaces
from meanfield.formulas.symbols import GainVariance

# Points are evaluated to 15 digits; the drift and Jacobian multiply their errors by factors of order 10.
CLOSE = 1e-12


def one_population(overlap, covariance=None):
    """One zero-mean population with these overlaps and this covariance of m, and an uncorrelated input A."""
    overlap = np.atleast_2d(overlap)
    rank = len(overlap)
    covariance = np.eye(rank) if covariance is None else np.atleast_2d(covariance)
    entry = {f"n{r + 1} m{s + 1}": overlap[r, s] for r in range(rank) for s in range(rank)}
    entry |= {f"m{r + 1} m{s + 1}": covariance[r, s] for r in range(rank) for s in range(r, rank)}
    return mf.Connectivity.from_overlaps([entry], rank=rank, inputs=("A",))


def check_points(points, f):
    """Each point is a zero of the numeric drift, with the stated eigenvalues and kind."""
    for point in points:
        kappa = np.array(point.evalf(), dtype=float)
        scale = 1 + np.abs(kappa).max()
        assert np.abs(f(kappa)).max() < CLOSE * scale
        expected = np.linalg.eigvals(f.jacobian(kappa))
        stated = np.array([complex(x.subs({s: 0 for s in point.parameters}).evalf(15)) for x in point.eigenvalues])
        assert np.abs(np.poly(expected) - np.poly(stated)).max() < 1e-10  # products of R eigenvalues


TABLE = [
    ("bistable", [[2.5, 0], [0.5, 0.5]], 3),
    ("two saddles", [[2.5, 0], [0.5, 1.5]], 5),
    ("one", [[0.5, 0.2], [0.1, 0.7]], 1),
    ("rank 1", [[2.0]], 3),
    ("thesis 4.3.1", [[3, 1], [0, 2.5]], 5),
    ("rank 3", [[3, 1, 0], [0.5, 2.5, 0], [0, 0, 1.5]], 7),
]


@pytest.mark.parametrize("transfer", ["tanh", "erf"])
@pytest.mark.parametrize(("overlap", "number"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_all_fixed_points_in_closed_form(transfer, overlap, number):
    rank = len(overlap)
    c = one_population(overlap, np.eye(rank) + 0.3)
    points = mf.derive(c, transfer).fixed_points()
    f = mf.reduce(c, transfer)
    check_points(points, f)
    assert len(points) == number
    numeric = mf.fixed_points(f)
    assert numeric.complete and len(numeric) == number
    for point in points:
        distance = np.abs(numeric.kappa - np.array(point.evalf(), dtype=float)).max(1)
        assert distance.min() < 1e-9
        assert numeric.kind[distance.argmin()] == point.kind


@pytest.mark.parametrize(
    ("transfer", "scale"), [("sin", 1.3), ("step", 1.0), ("logistic", 5.0), ("softplus", 1.0), ("relu", 1.0)]
)
def test_other_transfer_functions(transfer, scale):
    c = one_population(scale * np.array([[2.5, 0], [0.5, 1.5]]), [[1, 0.4], [0.4, 2]])
    points = mf.derive(c, transfer, exact=True).fixed_points()
    assert len(points) == {"softplus": 1, "relu": 1, "step": 4}.get(transfer, 5)
    check_points([p for p in points if p.variance != 0], mf.reduce(c, transfer))


def random_matrices(size):
    return st.lists(st.integers(-12, 12), min_size=size * size, max_size=size * size).map(
        lambda x: np.reshape(x, (size, size)) / 4
    )


@settings(max_examples=25, deadline=None)
@given(overlap=random_matrices(2), root=random_matrices(2))
def test_erf_fixed_points_of_random_overlaps(overlap, root):
    c = one_population(overlap, root @ root.T + np.eye(2))
    check_points(mf.derive(c, "erf").fixed_points(), mf.reduce(c, "erf"))


def test_exact_parameters_give_exact_numbers():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}], rank=2)
    points = mf.derive(c, "erf").fixed_points()
    assert points[1].kappa == sp.Matrix([sp.sqrt(210 / sp.pi) / 5, sp.sqrt(210 / sp.pi) / 10])
    assert points[1].eigenvalues == (sp.Rational(-21, 25), sp.Rational(-2, 5))
    assert [p.kind for p in points] == ["source", "stable", "stable", "saddle", "saddle"]
    assert mf.derive(c, "sin").fixed_points()[1].variance == 2 * sp.log(sp.Rational(5, 2))
    decimal = one_population([[2.2]])
    assert mf.derive(decimal, "erf").fixed_points()[1].variance.is_Float
    assert mf.derive(decimal, "erf", exact=True).fixed_points()[1].variance == 2 * (sp.Rational(121, 25) - 1) / sp.pi


def test_symbolic_overlap():
    eq = mf.derive(rank=1, transfer="erf")
    sigma_nm = next(s for s in eq.parameters if str(s) == "sigma_n_m")
    origin, up, down = eq.fixed_points()
    assert up.exists == (sigma_nm - 1 > 0) and up.kind == ""
    assert sp.simplify(up.variance - 2 * (sigma_nm**2 - 1) / sp.pi) == 0
    assert sp.simplify(up.eigenvalues[0] - (sigma_nm**-2 - 1)) == 0
    assert origin.eigenvalues == (sigma_nm - 1,) and down.kappa == -up.kappa


def test_tanh_to_any_number_of_digits():
    point = mf.derive(one_population([[2.0]]), "tanh").fixed_points()[1]
    with mp.workdps(60):
        kappa = point.evalf(50)[0]
        assert abs(mp_average("tanh", 0, kappa**2, 1, 50) - mp.mpf(1) / 2) < mp.mpf(10) ** -48
    assert float(point.variance.evalf(15)) == pytest.approx(float(kappa) ** 2, rel=1e-14)


@pytest.mark.parametrize("slope", [1 + 2.0**-40, 1.001, 50.0])
def test_gain_variance_close_to_and_far_from_the_onset(slope):
    phi = mf.derive(rank=1, transfer="tanh").phi
    variance = GainVariance(phi, sp.Rational(slope)).evalf(15)
    with mp.workdps(30):
        gain = mp_average("tanh", 0, mp.mpf(variance._mpf_), 1, 25)
        assert abs(gain * slope - 1) < 1e-13 * min(1, 10 * (slope - 1)) + 1e-15
    assert GainVariance(phi, sp.Rational(1, 2)).evalf() is sp.nan


# ---- continua
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["tanh", "erf"])
def test_ring(transfer):
    covariance = np.array([[1, 0.5], [0.5, 3]])
    c = one_population(2 * np.eye(2), covariance)
    origin, ring = mf.derive(c, transfer).fixed_points()
    assert (ring.continuum, ring.kind, len(ring.parameters)) == ("ring", "stable", 1)
    f = mf.reduce(c, transfer)
    for angle in np.linspace(0, 6, 7):
        kappa = np.array(ring.kappa.subs(ring.parameters[0], angle).evalf(15), dtype=float)[:, 0]
        assert np.abs(f(kappa)).max() < CLOSE
        assert kappa @ covariance @ kappa == pytest.approx(float(ring.variance.evalf(15)), rel=1e-12)
        values = np.sort(np.linalg.eigvals(f.jacobian(kappa)).real)
        assert values[1] == pytest.approx(0, abs=CLOSE)
        assert values[0] == pytest.approx(float(ring.eigenvalues[0].evalf(15)), rel=1e-11)


def test_ellipsoid_and_a_pair_across_it():
    c = one_population(np.diag([2, 2, 2, 3.0]))
    points = mf.derive(c, "erf").fixed_points()
    sphere = next(p for p in points if p.continuum)
    assert (sphere.continuum, len(sphere.parameters), sphere.kind) == ("ellipsoid", 2, "saddle")
    numbers = dict(zip(sphere.parameters, (0.3, 1.2), strict=True))
    kappa = np.array(sphere.kappa.subs(numbers).evalf(15), dtype=float)[:, 0]
    assert np.abs(mf.reduce(c, "erf")(kappa)).max() < CLOSE


def test_a_double_eigenvalue_with_one_eigenvector_is_no_ring():
    points = mf.derive(one_population([[2, 1], [0, 2]]), "erf").fixed_points()
    assert [p.continuum for p in points] == ["", "", ""]
    assert points[1].kind == "undecided" and points[1].kappa[1] == 0


@pytest.mark.parametrize("transfer", ["relu", "softplus"])
def test_threshold_linear_has_a_line_at_overlap_two_only(transfer):
    c = one_population([[2, 0], [0, 1]])
    origin, line = mf.derive(c, transfer).fixed_points()
    assert (line.continuum, line.kind) == ("line", "stable")
    f = mf.reduce(c, transfer)
    for s in (-3.0, 0.5, 20.0):
        kappa = np.array(line.kappa.subs(line.parameters[0], s), dtype=float)[:, 0]
        assert np.abs(f(kappa)).max() < CLOSE * 20
    assert len(mf.derive(one_population([[2.25, 0], [0, 1]]), transfer).fixed_points()) == 1


# ---- mixtures, inputs, other transfer functions
# -----------------------------------------------------------------------------


def test_populations_that_share_their_input_count_as_one():
    """Thesis 4.3.1 without input: two populations, one overlap matrix (3 1; 0 2.5)."""
    entries = [
        {"weight": 0.5, "m1 m1": 2, "m2 m2": 2, "n1 m1": 3, "n2 m2": 2.5, "n1 m2": 1, "n2 m1": s} for s in (1, -1)
    ]
    c = mf.Connectivity.from_overlaps(entries, rank=2)
    points = mf.derive(c, "tanh").fixed_points()
    check_points(points, mf.reduce(c, "tanh"))
    assert [p.kind for p in points] == ["source", "stable", "stable", "saddle", "saddle"]


def test_orthogonal_input_and_its_critical_amplitude():
    c = one_population([[2.0]])
    eq = mf.derive(c, "erf")
    for amplitude in (0.5, 1.3):
        points = eq.fixed_points({"A": amplitude})
        check_points(points, mf.reduce(c, "erf", {"A": amplitude}))
        assert len(points) == 3
    critical = sp.sqrt(GainVariance(eq.phi, 2))
    assert critical == sp.sqrt(6 / sp.pi)
    assert len(eq.fixed_points({"A": critical * 1.001})) == 1
    assert len(eq.fixed_points({"A": critical * 0.999})) == 3
    assert eq.fixed_points({"A": critical})[0].eigenvalues == (0,)


def test_own_transfer_function_with_several_roots():
    """phi' = sech^2 + a bump of the gain: <phi'> is not monotone and each crossing is a pair."""
    transfer = mf.Transfer.from_expression("tanh(x) - 3*tanh(x/3) + 3*tanh(x/3)**3 + x/2")
    variances = np.logspace(-4, 3, 300)
    gain = mf.gaussian_average(transfer, mean=0.0, variance=variances, order=1)
    level = (gain.min() + min(gain[0], gain[-1])) / 2
    crossings = np.count_nonzero(np.diff(np.sign(gain - level)))
    assert crossings == 2
    c = one_population([[1 / level]])
    points = mf.derive(c, transfer).fixed_points()
    assert len(points) == 1 + 2 * crossings
    check_points(points, mf.reduce(c, transfer))


@pytest.mark.parametrize(
    ("entries", "inputs", "message"),
    [
        ([{"n1 m1": 2, "mean m1": 1}], {}, "mean input of zero"),
        ([{"n1 m1": 2, "m1 A": 0.5}], {"A": 1}, "uncorrelated with m"),
        ([{"n1 m1": 2, "n1 A": 0.5}], {"A": 1}, "uncorrelated with n"),
        ([{"weight": 0.5, "n1 m1": 2}, {"weight": 0.5, "n1 m1": 2, "m1 m1": 3}], {}, "same covariance of m"),
    ],
)
def test_where_no_closed_form_exists_the_message_says_why(entries, inputs, message):
    c = mf.Connectivity.from_overlaps(entries, rank=1, inputs=("A",))
    with pytest.raises(ValueError, match=message):
        mf.derive(c, "tanh").fixed_points(inputs)


def test_mean_of_n_matters_only_for_a_transfer_function_that_is_not_odd():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2, "mean n1": 1}], rank=1)
    check_points(mf.derive(c, "tanh").fixed_points(), mf.reduce(c, "tanh"))
    with pytest.raises(ValueError, match="odd transfer function"):
        mf.derive(c, "logistic").fixed_points()


# ---- cycles
# -----------------------------------------------------------------------------------------------------------------


def measured_period(f, start, period):
    """Time between upward crossings of kappa_1 = 0, after 30 time constants (the radius settles like e^-t/2)."""

    def crossing(t, k):
        return k[0]

    crossing.direction = 1
    precise = {"rtol": 1e-10, "atol": 1e-11, "method": "DOP853"}
    end = solve_ivp(lambda t, k: f(k), (0, 30), start, **precise).y[:, -1]
    times = solve_ivp(lambda t, k: f(k), (0, 2.1 * period), end, events=crossing, **precise).t_events[0]
    return times[1] - times[0]


@pytest.mark.parametrize("transfer", ["tanh", "erf"])
def test_period_against_integration(transfer):
    """Thesis Fig. 4.1d, with an anisotropic covariance of m: T = 2 pi a/b whatever phi and the covariance."""
    c = one_population([[2.5, -1], [1, 2]], [[1, 0.5], [0.5, 2]])
    (cycle,) = mf.derive(c, transfer).cycles()
    assert cycle.period == 6 * sp.sqrt(15) * sp.pi / 5 and cycle.kind == "stable" and cycle.orbit is None
    period = float(cycle.period)
    assert measured_period(mf.reduce(c, transfer), [1.0, 0.2], period) == pytest.approx(period, rel=1e-7)


def test_period_holds_under_an_orthogonal_input_until_the_cycle_dies():
    c = one_population([[2, -1], [1, 2]])
    eq = mf.derive(c, "erf")
    (cycle,) = eq.cycles({"A": 1})
    period = float(cycle.period)
    assert measured_period(mf.reduce(c, "erf", {"A": 1.0}), [1.0, 0.2], period) == pytest.approx(period, rel=1e-7)
    assert eq.cycles({"A": sp.sqrt(6 / sp.pi) * 1.01}) == []
    assert mf.derive(one_population([[0.9, -1], [1, 0.9]]), "erf").cycles() == []


def test_circular_orbit_solves_the_equations():
    c = one_population([[2, -1], [1, 2]])
    (cycle,) = mf.derive(c, "tanh").cycles()
    t = next(iter(cycle.orbit.free_symbols))
    f = mf.reduce(c, "tanh")
    for time in (0.0, 1.7):
        kappa, rate = (
            np.array(x.subs(t, time).evalf(15), dtype=float)[:, 0] for x in (cycle.orbit, cycle.orbit.diff(t))
        )
        np.testing.assert_allclose(f(kappa), rate, atol=CLOSE)


def test_floquet_exponent_across_the_plane():
    """The monodromy matrix of a rank-3 cycle has the multiplier exp(T (c/a - 1))."""
    c = one_population([[2, -1, 0.5], [1, 2, 0], [0, 0, 1.25]])
    (cycle,) = mf.derive(c, "erf").cycles()
    assert cycle.exponents == (sp.Rational(5, 8) - 1,)
    f, period = mf.reduce(c, "erf"), float(cycle.period)

    def variational(t, state):
        return np.concatenate([f(state[:3]), (f.jacobian(state[:3]) @ state[3:].reshape(3, 3)).ravel()])

    start = np.array(cycle.orbit.subs({s: 0 for s in cycle.orbit.free_symbols}).evalf(), dtype=float)[:, 0]
    end = solve_ivp(variational, (0, period), np.concatenate([start, np.eye(3).ravel()]), rtol=1e-9, atol=1e-10).y[
        :, -1
    ]
    multipliers = np.linalg.eigvals(end[3:].reshape(3, 3))
    for expected in (1.0, np.exp(period * float(cycle.exponents[0]))):
        assert np.abs(multipliers - expected).min() < 1e-6


def test_cycles_need_a_falling_gain_and_numbers():
    rotating = one_population([[2.5, -1], [1, 2.5]])
    assert mf.derive(rotating, "relu").cycles() == []
    with pytest.raises(ValueError, match="gain that falls to zero"):
        mf.derive(rotating, mf.Transfer.from_expression("tanh(x) + x/10")).cycles()
    with pytest.raises(ValueError, match="substitute"):
        mf.derive(rank=2, transfer="tanh").cycles()


# ---- eigenvectors
# -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        [[2, 1, 0], [0, 2, 1], [1, 0, 3]],
        [[1, 2, 3], [4, 5, 6], [7, 8, 10]],
        [[2, 0, 0], [0, 2, 0], [1, 1, 2]],
        [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]],
    ],
)
def test_eigenspaces_are_exact(rows):
    matrix = sp.Matrix(rows)
    spaces = eigenspaces(matrix)
    assert sum(s.multiplicity for s in spaces) == len(rows)
    for space in spaces:
        assert len(space.basis) == len(rows) - np.linalg.matrix_rank(
            np.array((matrix - space.value * sp.eye(len(rows))).evalf(20), dtype=complex), tol=1e-9
        )
        for vector in space.basis:
            number, value = vector.evalf(35), space.value.evalf(35)
            assert max(abs(complex(x)) for x in (matrix * number - value * number).expand()) < 1e-30


def test_eigenvalues_of_large_symbolic_matrices_are_refused():
    with pytest.raises(ValueError, match="no usable form"):
        mf.derive(rank=3, transfer="tanh").fixed_points()
