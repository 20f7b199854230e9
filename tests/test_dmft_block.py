from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import random_connectivity

import meanfield as mf
from meanfield.averages import gaussian_average, pair_average
from meanfield.dmft.block import chaotic_block, fluctuating
from meanfield.dmft.block_lyapunov import exponent, lowest
from meanfield.dmft.block_profile import Grid, Profile, newton, pairs, system
from meanfield.dmft.block_solving import is_solution
from meanfield.dmft.chaotic import chaotic
from meanfield.dmft.problem import pose
from meanfield.dmft.states import SearchStatus, Status

G2 = np.array([[1.5, 0.5], [0.3, 1.2]])
LAGS = np.array([0.0, 0.3, 1.0, 4.0, 15.0])


def two(g, first=None, second=None, weight=0.4):
    return mf.Connectivity.from_overlaps(
        [{"weight": weight} | (first or {}), {"weight": 1 - weight} | (second or {})], rank=1, g=g
    )


def one(g, **entries):
    return mf.Connectivity.from_overlaps([{k.replace("_", " "): v for k, v in entries.items()}], rank=1, g=g)


def solved(c, *args, **kwargs):
    return chaotic_block(pose(c, *args, **kwargs))


STRUCTURED = two(3 * G2, {"n1 m1": 5.0, "mean m1": 0.3}, {"n1 m1": 2.0, "mean n1": 0.6})


# The scalar theory is another algorithm altogether: energy integral, quadrature, Riccati equation.
SCALAR = {
    "kappa = 0": (one(1.5, n1_m1=1.0), "tanh", {}),
    "weak noise, hardly bound": (one(0.5), "tanh", {"noise": 0.05}),
    "structured": (one(3.0, n1_m1=4.0), "tanh", {}),
    "noise and input": (one(2.0, n1_m1=2.6, mean_m1=0.5, mean_n1=0.5), "tanh", {"noise": 0.3, "input_variance": 0.1}),
    "populations": (two(2.2, {"n1 m1": 3.0}, {"n1 m1": -1.0, "mean m1": 1.0}), "erf", {"noise": 0.1}),
    "step": (one(1.5, **{"m1 m1": 0.0, "mean_m1": 1.0, "mean_n1": 0.5}), "step", {"input_variance": 0.5}),
    "relu": (one(2.0, **{"m1 m1": 0.0, "mean_m1": 1.0, "mean_n1": -3.0, "n1_n1": 0.0}), "relu", {"input_variance": 1}),
}


@pytest.mark.parametrize("name", SCALAR)
def test_a_scalar_g_gives_what_the_scalar_theory_gives(name):
    c, transfer, options = SCALAR[name]
    P = c.n_populations
    expected = chaotic(c, transfer, **options)
    found = solved(replace(c, g=c.g * np.ones((P, P))), transfer, **options)
    assert len(found) == len(expected) and found.status is expected.status
    for a, b in zip(expected, found, strict=True):
        assert np.abs(a.kappa - b.kappa).max() < 1e-10
        assert np.abs(a.delta0 - b.delta0).max() < 1e-10 * a.delta0.max()
        assert np.abs(a.delta_inf - b.delta_inf).max() < 1e-10 * a.delta0.max()
        (x, ex), (y, ey) = (s.delta(LAGS, with_error=True) for s in (a, b))
        assert np.abs(x - y).max() < 1e-10 * a.delta0.max()
        assert (np.abs(x - y) <= 2 * (ex + ey) + 1e-13).all()
        assert np.abs(a.activity(LAGS) - b.activity(LAGS)).max() < 1e-10
        assert np.abs(a.mean_activity - b.mean_activity).max() < 1e-10
        assert a.attracting == b.attracting and a.kind == b.kind and b.status is Status.CONVERGED
        assert a.lyapunov == b.lyapunov or abs(a.lyapunov - b.lyapunov) <= 2 * b.lyapunov_error + a.lyapunov_error
        assert b.residual < 1e-13


def integral_equation(state, lags):
    """D_p at lags from D_p = int e^-|t - s| / 2 F(s) ds + sigma2 e^-|t|: Gauss-Legendre panels, averages over pairs."""
    p = state.problem
    ends = np.unique(np.concatenate([[0.0], lags, np.linspace(0, 60, 31), [120.0, 300.0]]))
    x, w = np.polynomial.legendre.leggauss(16)
    s = ((ends[1:] + ends[:-1])[:, None] / 2 + (ends[1:] - ends[:-1])[:, None] / 2 * x).ravel()
    weight = ((ends[1:] - ends[:-1])[:, None] / 2 * w).ravel()
    rho = state.delta(s * p.tau) / state.delta0
    C = pair_average(p.transfer, mean=p.mean(state.kappa), variance=state.delta0, correlation=np.minimum(rho, 1.0))
    kernel = (np.exp(-np.abs(lags[:, None] - s)) + np.exp(-lags[:, None] - s)) / 2
    noise = p.noise_variance * np.exp(-lags)
    return (kernel * weight) @ C @ p.coupling.T + noise[:, None]


@pytest.mark.parametrize("options", [{}, {"noise": 0.6, "input_variance": [0.2, 0.0], "tau": 2.5}])
def test_integral_equation_and_drift(options):
    states = solved(STRUCTURED, **options)
    assert states.status is SearchStatus.FOUND and len(states) == 3
    for s in states:
        p = s.problem
        D = s.delta(LAGS * p.tau) - p.structure_variance(s.kappa)
        assert np.abs(integral_equation(s, LAGS) - D).max() < 1e-10 * s.delta0.max()
        gain = gaussian_average("tanh", mean=p.mean(s.kappa), variance=s.delta0, order=(0, 1))
        assert np.abs(p.drift(s.kappa, gain)).max() < 1e-12
        far = s.delta(1e6)
        assert np.abs(far - s.delta_inf).max() < 1e-12
        assert (s.delta0 > s.delta_inf).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_random_mixtures(seed):
    rng = np.random.default_rng(seed)
    c = replace(random_connectivity(seed, rank=1), g=rng.uniform(0.5, 4.0, (3, 3)))
    states = solved(c, ["tanh", "erf"][seed], {"A": 0.5}, noise=0.3 * seed)
    assert states
    for s in states:
        D = s.delta(LAGS) - s.problem.structure_variance(s.kappa)
        assert np.abs(integral_equation(s, LAGS) - D).max() < 1e-10 * s.delta0.max()
        assert s.status is Status.CONVERGED and s.decay.error < 1e-9


def test_fourier_iteration_of_erf():
    """A plain fixed-point iteration in Fourier space, with the closed form of the correlation at mean 0."""
    c = two(3 * G2)
    G = np.square(c.g) * c.weights
    n, length = 4096, 400.0
    tau = length / n * np.arange(n)
    lag = np.minimum(tau, length - tau)
    response = 1 / (1 + (2 * np.pi * np.fft.rfftfreq(n, length / n)) ** 2)
    D = np.array([4.0, 6.0])[:, None] * np.exp(-(lag**2) / 8)
    for _ in range(600):
        C = 2 / np.pi * np.arcsin(D / (D[:, :1] + 2 / np.pi))
        D = np.fft.irfft(np.fft.rfft(G @ C) * response, n)
    (state,) = solved(c, "erf")
    at = [0, 3, 20, 100, 300]
    assert np.abs(state.delta(tau[at]).T - D[:, at]).max() < 1e-9
    assert state.kappa == 0 and state.delta_inf.max() < 1e-12


def test_boundary_value_solver_with_noise():
    """scipy's solver of boundary value problems, with D_p(0) as parameters, far from its start."""
    from scipy.integrate import solve_bvp

    c, noise = two(1.3 * G2), 0.8
    (state,) = solved(c, "erf", noise=noise, input_variance=[0.3, 0.0])
    G, sigma2, V = np.square(c.g) * c.weights, noise**2 / 2, np.array([0.3, 0.0])[:, None]

    def right(_, y, p):
        C = 2 / np.pi * np.arcsin((V + y[:2]) / (V + p[:, None] + 2 / np.pi))
        return np.concatenate([y[2:], y[:2] - G @ C])

    def ends(start, end, p):
        return np.concatenate([start[2:] + sigma2, start[:2] - p, end[2:]])

    tau = np.linspace(0, 60, 200)
    start = np.outer([1.0, 1.0, -0.5, -0.5], np.exp(-tau / 2))
    twin = solve_bvp(right, ends, tau, start, p=[1.0, 1.0], tol=1e-9, max_nodes=20000)
    assert twin.success
    assert np.abs(twin.sol(LAGS)[:2] + V - state.delta(LAGS).T).max() < 1e-7
    assert state.delta(1e-3)[0] - state.delta0[0] == pytest.approx(-1e-3 * sigma2, rel=1e-2)


def test_uncoupled_populations_are_two_scalar_problems():
    g = np.diag([3.0, 2.2])
    weights = np.array([0.4, 0.6])
    (state,) = [s for s in solved(two(g), "erf") if (s.delta0 > 0.1).all()]
    parts = [chaotic(one(g[p, p] * np.sqrt(weights[p])), "erf")[0] for p in range(2)]
    expected = np.concatenate([s.delta(LAGS) for s in parts], axis=-1)
    assert np.abs(state.delta(LAGS) - expected).max() < 1e-10
    assert state.lyapunov == pytest.approx(max(s.lyapunov for s in parts), abs=1e-9)


def test_splitting_and_reordering_populations_change_nothing():
    c = two(2 * G2, {"n1 m1": 4.0, "mean m1": 0.3}, {"n1 m1": 1.5, "mean n1": 0.6})
    whole = solved(c, noise=0.2)
    for changed, back in ((c.split(1, 0.3), [0, 1, 1]), (c.permute([1, 0]), [1, 0])):
        states = solved(changed, noise=0.2)
        assert len(states) == len(whole) == 3
        for a, b in zip(whole, states, strict=True):
            assert np.abs(a.kappa - b.kappa).max() < 1e-10
            assert np.abs(a.delta(LAGS)[:, back] - b.delta(LAGS)).max() < 1e-10 * a.delta0.max()
            assert a.lyapunov == pytest.approx(b.lyapunov, abs=1e-9)


def test_time_constant():
    (a,), (b,) = solved(two(1.5 * G2)), solved(two(1.5 * G2), tau=3.0)
    assert np.abs(a.delta(LAGS) - b.delta(3 * LAGS)).max() < 1e-12
    assert b.lyapunov == pytest.approx(a.lyapunov / 3, rel=1e-9)


def test_onset():
    """Just above spectral radius 1: D_p(0) = v_p eps / (2 b), lambda = c D(0)^2 / 2, with errors of higher order."""
    G = np.square(G2) * [0.4, 0.6]
    values, vectors = np.linalg.eig(G)
    v = np.abs(vectors[:, values.argmax()])
    lower = np.linalg.eig(G.T)
    u = np.abs(lower[1][:, lower[0].argmax()])
    u /= u @ v
    relative = []
    for eps in (0.02, 0.01, 0.005):
        (state,) = solved(two(G2 * np.sqrt((1 + eps) / values.max())))
        d0 = eps / (2 * u @ v**2)
        relative.append([*(state.delta0 / (v * d0) - 1), state.lyapunov / ((u @ v**3) * d0**2 / 2) - 1])
        assert state.chaotic and state.lyapunov_error < 1e-3 * state.lyapunov
    relative = np.abs(relative)
    assert (relative[-1] < 0.03).all()
    assert (np.abs(relative[:-1] / relative[1:] - 2) < 0.2).all()  # of first order
    below = solved(two(G2 * np.sqrt(0.999 / values.max())))
    assert not below and below.status is SearchStatus.NONE and "bulk radius above 1" in below.note


def test_a_quiescent_population_carries_the_noise_alone():
    g = np.zeros((3, 3))
    g[:2, :2], g[:2, 2] = 2 * G2, 0.7
    entries = [{"weight": 0.3}, {"weight": 0.5}, {"weight": 0.2}]
    c = mf.Connectivity.from_overlaps(entries, rank=1, g=g)
    (state,) = solved(c, noise=0.4)
    assert np.abs(state.delta(LAGS)[:, 2] - 0.08 * np.exp(-LAGS)).max() < 1e-13
    assert state.delta(30.0)[2] == pytest.approx(0.08 * np.exp(-30.0), rel=0.05, abs=0)  # in its own tail
    (silent,) = solved(c)
    assert silent.delta0[2] == 0 and (silent.delta(LAGS)[:, 2] == 0).all()
    active = mf.Connectivity.from_overlaps([{"weight": 0.375}, {"weight": 0.625}], rank=1, g=np.sqrt(0.8) * 2 * G2)
    (alone,) = solved(active)
    assert np.abs(silent.delta(LAGS)[:, :2] - alone.delta(LAGS)).max() < 1e-11
    assert silent.lyapunov == pytest.approx(alone.lyapunov, abs=1e-11)


def test_excitation_and_inhibition():
    """Balanced rates through mean loadings; the logistic function has a mean activity, so that part of it is frozen."""
    loadings = {"m1 m1": 0.0, "mean m1": 1.0}
    c = two(
        12 * np.array([[1.0, 2.0], [1.0, 2.0]]), loadings | {"mean n1": 4.0}, loadings | {"mean n1": -20.0}, weight=0.8
    )
    (state,) = solved(c, "logistic", input_variance=0.2)
    assert state.attracting and (state.delta_inf > 0.3).all() and state.chaotic
    p, s = state.problem, state
    assert np.abs(integral_equation(s, LAGS) + 0.2 - s.delta(LAGS)).max() < 1e-10
    # equal rows: the same as one population with the mixture of outputs
    assert np.ptp(s.delta0) < 1e-12 and p.mean(s.kappa)[0] == p.mean(s.kappa)[1]


@pytest.fixture(scope="module")
def noise_free():
    return solved(two(2 * G2))[0]


def test_zero_mode_and_ground_state(noise_free):
    """D'_p is the odd function of level 0; the even ground state has no sign change and a level below."""
    x = noise_free.decay.profile
    level, psi = lowest(x, odd=True)
    assert abs(level) < 1e-11
    slope = x.values @ x.grid.derivative.T
    assert np.abs(psi / np.abs(psi).max() - slope / slope.min()).max() < 1e-7
    ground, psi = lowest(x)
    assert ground < 0 and psi.min() > -1e-12
    assert noise_free.lyapunov == pytest.approx(np.sqrt(1 - ground) - 1, rel=1e-12)


def test_lyapunov_exponent_by_finite_differences(noise_free):
    from scipy.sparse import bmat, diags
    from scipy.sparse.linalg import eigs

    p, levels = noise_free.problem, []
    for n in (1000, 2000):  # second order in the step; extrapolated
        h = 40.0 / n
        tau = h * (np.arange(n) + 0.5)  # symmetric about 0
        rho = noise_free.delta(tau) / noise_free.delta0
        slope = pair_average("tanh", mean=0.0, variance=noise_free.delta0, correlation=rho, order=1)
        main = np.full(n, 2.0)
        main[0] = 1.0
        kinetic = diags([-np.ones(n - 1), main, -np.ones(n - 1)], [-1, 0, 1]) / h**2 + diags([np.ones(n)], [0])
        G = p.coupling
        blocks = [
            [(kinetic if i == j else 0 * kinetic) - diags([G[i, j] * slope[:, j]], [0]) for j in (0, 1)] for i in (0, 1)
        ]
        levels.append(eigs(bmat(blocks).tocsc(), k=1, sigma=-1.0, return_eigenvectors=False)[0].real)
    level = (4 * levels[1] - levels[0]) / 3
    assert noise_free.lyapunov == pytest.approx(np.sqrt(1 - level) - 1, abs=1e-8)


def test_errors_cover_what_a_finer_grid_finds(noise_free):
    decay = noise_free.decay
    x = decay.coarser
    coarse = newton(x.on(Grid(x.grid.n // 2, x.grid.length)))
    value = coarse.grid.at(coarse.values, LAGS)
    fine = decay.profile.grid.at(decay.profile.values, LAGS)
    change = np.abs(coarse.values - decay.profile.on(coarse.grid).values).max()
    assert np.abs(value - fine).max() <= 2 * change
    assert decay.error < 1e-10 and decay.error < change  # it goes on falling with the degree
    assert abs(exponent(coarse) - noise_free.lyapunov) < 1e-3


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_jacobian(seed):
    """Central differences of the residual, at any point, kappa included."""
    rng = np.random.default_rng(seed)
    grid = Grid(6, 5.0)
    P = pose(STRUCTURED, noise=0.3, input_variance=0.1)
    values = rng.uniform(0.5, 2.0, (2, 1)) * np.exp(-grid.tau) + 0.2
    x = Profile(P, rng.uniform(-1, 1, 1), grid, values)
    _, matrix, _ = system(x, True)
    step = 1e-5
    for k in range(len(matrix)):
        shift = np.zeros(len(matrix))
        shift[k] = step
        ends = [
            system(
                replace(x, values=values + sign * shift[:-1].reshape(2, -1), kappa=x.kappa + sign * shift[-1:]), True
            )[0]
            for sign in (1, -1)
        ]
        assert np.abs((ends[0] - ends[1]) / (2 * step) - matrix[:, k]).max() < 1e-7


@pytest.mark.parametrize("transfer", ["tanh", "relu", "softplus", "step"])
def test_pairs_and_their_derivatives(transfer):
    """The series, or averages over pairs, against averages over pairs and their differences."""
    t = mf.get_transfer(transfer)
    mean, variance, rho = np.array([0.3, -0.6]), np.array([0.8, 1.9]), np.array([[0.1, 0.6, 0.95]] * 2)
    found = pairs(t, mean, variance, rho)
    assert found.exact == (transfer in ("tanh", "softplus"))

    def value(m, v, r=rho):
        return pair_average(t, mean=m[:, None], variance=v[:, None], correlation=r)

    h = 1e-5
    assert np.abs(found.value - value(mean, variance)).max() < 1e-13
    by_rho = (value(mean, variance, rho + h) - value(mean, variance, rho - h)) / (2 * h) / variance[:, None]
    assert np.abs(found.slope - by_rho).max() < 1e-6
    by_variance = (value(mean, variance + h) - value(mean, variance - h)) / (2 * h)
    assert np.abs(found.variance_slope - by_variance).max() < 1e-7
    by_mean = (value(mean + h, variance) - value(mean - h, variance)) / (2 * h)
    assert np.abs(found.mean_slope - by_mean).max() < 1e-7


def test_grid():
    """D - D'' = exp(-tau / 2), D'(0) = -0.3, and interpolation, with geometric convergence."""
    errors = []
    for n in (16, 32, 64):
        grid = Grid(n, 60.0)
        inverse, impulse = grid.inverse
        D = inverse @ np.exp(-grid.tau / 2) + 0.3 * impulse
        exact = (4 * np.exp(-grid.tau / 2) - 2 * np.exp(-grid.tau)) / 3 + 0.3 * np.exp(-grid.tau)
        errors.append(np.abs(D - exact).max())
        between = np.array([0.1, 3.0, 59.0])
        miss = np.abs(grid.at(np.exp(-grid.tau / 2)[None], between)[:, 0] - np.exp(-between / 2)).max()
    assert errors[0] / errors[1] > 50 and errors[2] < 1e-12 and miss < 1e-12


def test_a_static_state_is_never_returned():
    """A constant D_p solves the equation, and Newton's method finds it when started there; it is not a solution."""
    p = pose(two(1.5 * G2))
    grid = Grid(32, 40.0)
    x = newton(Profile(p, np.zeros(1), grid, np.ones((2, 33))))
    assert x.residual < 1e-10 and x.amplitude < 1e-7 and x.values.min() > 0.1
    assert not is_solution(x)
    stable = pose(two(0.5 * G2), input_variance=1.0)
    y = newton(Profile(stable, np.zeros(1), grid, np.full((2, 33), 0.1)))
    assert y.residual < 1e-10 and y.rate > 0 and not is_solution(y)
    assert all(s.delta0.min() > 0.1 and s.delta_inf.max() < 1e-9 for s in chaotic_block(p))


def test_strong_structure_stops_chaos_where_it_is():
    """Bistability far beyond the onset: the two structured states are static, and only kappa = 0 fluctuates."""
    (state,) = solved(two(1.5 * G2, {"n1 m1": 4.0}, {"n1 m1": 2.0}))
    assert state.kappa == 0 and state.attracting is False and "eigenvalue of the slow flow" in state.reason
    guesses, radius = fluctuating(state.problem, [1.67])
    assert not guesses and radius < 1


def test_ring():
    entries = {"weight": 0.5, "n1 m1": 4.0, "n2 m2": 4.0}
    c = mf.Connectivity.from_overlaps([entries, entries], rank=2, g=3 * np.array([[1.0, 0.8], [0.7, 1.1]]))
    states = solved(c)
    assert states.status is SearchStatus.RING and len(states) == 2
    ring = states[0]
    assert ring.status is Status.NEUTRAL and ring.attracting and "across the ring" in ring.reason
    # a member of the ring on an axis, from the problem where the overlap along the other is smaller
    other = entries | {"n2 m2": 3.9}
    axis = solved(mf.Connectivity.from_overlaps([other, other], rank=2, g=c.g))[0]
    assert np.linalg.norm(ring.kappa) == pytest.approx(np.abs(axis.kappa).max(), rel=1e-10)
    assert np.abs(ring.delta(LAGS) - axis.delta(LAGS)).max() < 1e-9
    assert axis.attracting and axis.kappa[1] == pytest.approx(0, abs=1e-9)


def test_a_function_that_jumps():
    (state,) = solved(two(1.2 * G2), "step", input_variance=0.5)
    assert state.lyapunov == np.inf and state.chaotic and state.status is Status.CONVERGED
    assert np.abs(state.delta(LAGS) - (integral_equation(state, LAGS) + 0.5)).max() < 1e-7


def test_wide_gaussians():
    """Where the series are too long, averages over pairs take over."""
    (state,) = solved(two(6 * G2))
    assert not state.decay.profile.pairs.exact
    assert np.abs(state.delta(LAGS) - integral_equation(state, LAGS)).max() < 1e-9 * state.delta0.max()
    assert abs(lowest(state.decay.profile, odd=True)[0]) < 1e-9


def test_given_starts_join_the_search():
    p = pose(two(1.5 * G2, {"n1 m1": 2.5}))
    count = [int(chaotic_block(p, starts).note.split("from ")[1].split()[0]) for starts in ((), [[0.123], [0.4]])]
    assert count[1] == count[0] + 2
    assert len(chaotic(p.connectivity, starts=[[0.1]])) == len(chaotic_block(p))
