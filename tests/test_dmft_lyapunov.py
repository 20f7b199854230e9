from dataclasses import replace
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

import meanfield as mf
from meanfield.dmft.chaotic import chaotic
from meanfield.dmft.lyapunov import ground_state, nodes_and_derivative


def plain(g, overlap=0.0):
    return mf.Connectivity.from_overlaps([{"n1 m1": overlap}], rank=1, g=g)


def shifted(g):
    return mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g)


class SechWell:
    """A planted well: S'(tau) - S'(inf) = l (l + 1) / cosh(tau)^2, ground state cosh(tau)^-l; u = tanh(tau)."""

    rounding = relative_error = 1e-15

    def __init__(self, level, end, count=32):
        self.level, self.bottom, self.count = level, end, count
        self.profile = SimpleNamespace(slope=self.slope)

    def slope(self, u):
        return self.bottom + self.level * (self.level + 1) * (1 - u**2)

    def part(self, u):
        return u

    def rate(self, u):
        return 1 / (1 + u)

    def time(self, u):
        return np.arctanh(u)

    @cached_property
    def grid(self):
        u = nodes_and_derivative(self.count)[0]
        return u, self.rate(u), None, 0.0

    @property
    def slopes(self):
        return self.slope(self.grid[0])


@given(st.floats(0.05, 6.0), st.floats(0.0, 0.9))
@settings(max_examples=25)
def test_planted_ground_state(level, end):
    """E_0 = 1 - end - l^2, so lambda = -1 + sqrt(end + l^2)."""
    value, error = ground_state(SechWell(level, end))
    assert abs(value - (np.sqrt(end + level**2) - 1)) <= error < 1e-11


def test_without_a_well_the_noise_rules():
    assert ground_state(SechWell(0.0, 0.36))[0] == pytest.approx(-0.4, abs=1e-12)


@given(st.floats(1e-4, 0.05), st.floats(0.0, 0.9))
@settings(max_examples=25)
def test_planted_state_that_is_hardly_bound(level, end):
    value, error = ground_state(SechWell(level, end))
    assert abs(value - (np.sqrt(end + level**2) - 1)) <= error < 1e-11


def shot(s, reach=60.0):
    """lambda by shooting in tau: psi' = 0 at lag 0, psi' = -sqrt(gamma^2 - E) psi at ``reach``."""
    lag = reach * np.linspace(0, 1, 4001) ** 4  # the well is a narrow peak
    rho = np.clip(s.delta(lag) / s.delta0, 0, 1)
    well = mf.pair_average("tanh", mean=0.0, variance=s.delta0, correlation=rho, order=1)[:, 0]
    well *= s.problem.coupling[0, 0]
    potential = CubicSpline(lag, 1 - well)

    def miss(eta):
        def rhs(t, w):
            return w**2 - potential(t) + potential(reach) - eta**2

        return solve_ivp(rhs, (reach, 0.0), [eta], rtol=1e-11, atol=1e-13, method="DOP853").y[0, -1]

    eta = brentq(miss, 1e-4, 1.2, xtol=1e-14)
    return -1 + np.sqrt(1 - potential(reach) + eta**2)


@pytest.mark.parametrize(("g", "noise"), [(1.5, 8.0), (1.5, 12.0), (3.0, 10.0), (3.0, 30.0), (3.0, 100.0)])
def test_strong_noise(g, noise):
    """The well is shallow and narrow there, and its state hardly bound."""
    s = chaotic(plain(g), noise=noise)[0]
    assert s.lyapunov_error < 1e-9 and s.kind == "noise-driven"
    assert s.lyapunov == pytest.approx(shot(s), abs=1e-6)


def test_the_exponent_runs_without_a_gap_over_the_noise():
    exponents = [chaotic(plain(1.5), noise=x)[0].lyapunov for x in np.geomspace(0.1, 300, 25)]
    assert np.isfinite(exponents).all() and (np.diff(exponents[5:]) < 0).all() and min(exponents) > -1


def test_blocks_without_coupling():
    c = replace(plain(1.0).split(0, 0.5), g=np.zeros((2, 2)))
    s = chaotic(c, noise=0.8)[0]
    assert s.lyapunov == pytest.approx(-1.0, abs=1e-12) and s.kind == "noise-driven"


def even_states(s, reach, count=300):
    """The lowest eigenvalues of the even and of the odd sector: collocation in tau itself, with a wall at ``reach``.

    The potential is made of averages over pairs at the state's own Delta(tau).
    """
    u, D = nodes_and_derivative(count)
    lag, D = reach * u, D / reach
    p = s.problem
    rho = np.clip(s.delta(lag) / s.delta0, -1, 1)
    well = (
        mf.pair_average(p.transfer, mean=p.mean(s.kappa), variance=s.delta0, correlation=rho, order=1) @ p.coupling[0]
    )
    operator = -(D @ D) + np.diag(1 - well)
    # odd: psi = 0 at both ends. even: psi' = 0 at lag 0 eliminates the first value
    odd = np.linalg.eigvals(operator[1:-1, 1:-1])
    first = -D[0, 1:-1] / D[0, 0]
    even = np.linalg.eigvals(operator[1:-1, 1:-1] + np.outer(operator[1:-1, 0], first))
    return even.real.min(), odd.real.min()


@pytest.mark.parametrize(
    ("c", "transfer", "options", "reach"),
    [
        (plain(1.5), "tanh", {}, 60.0),
        (plain(4.0), "tanh", {}, 30.0),
        (plain(2.0), "erf", {}, 40.0),
        (plain(2.0), "sin", {"noise": 0.4}, 40.0),
        (shifted(2.0), "tanh", {}, 80.0),
        (shifted(2.0), "tanh", {"noise": 0.3}, 80.0),
        (shifted(1.2), "tanh", {"noise": 0.5}, 400.0),
    ],
)
def test_ground_state_in_tau(c, transfer, options, reach):
    s = chaotic(c, transfer, **options)[0]
    even, odd = even_states(s, reach)
    # eigenvalues of a matrix with entries up to (count^2 / reach)^2 lose 6 digits or more
    assert s.lyapunov == pytest.approx(-1 + np.sqrt(1 - even), abs=1e-7)
    assert s.lyapunov_error < 1e-10
    if not options:
        # without noise Delta'(tau) is a zero mode
        assert odd == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize(("c", "transfer"), [(plain(1.4), "tanh"), (shifted(1.9), "erf")])
def test_zero_mode(c, transfer):
    """Rayleigh's quotient of Delta' in the potential of the exponent: int Delta''^2 + (1 - S') Delta'^2 = 0."""
    s = chaotic(c, transfer)[0]
    d = s.decay
    x, weight = np.polynomial.legendre.leggauss(80)
    u, weight = (x + 1) / 2, weight / 2
    W, g = d.part(u), d.rate(u)
    rest = d.rest(1 - u)
    L = d.profile.rise(W)
    first = -rest * np.sqrt(W * L)
    # Delta'' = e (1 - secant of S): from the energy integral, d/de (e^2 f / 2)
    u_ = np.stack([u - 1e-5, u + 1e-5])
    energy = d.rest(1 - u_) ** 2 * d.part(u_) * d.profile.rise(d.part(u_)) / 2
    second = (energy[1] - energy[0]) / (d.rest(1 - u_[1]) - d.rest(1 - u_[0]))
    time = weight * g / (1 - u)
    quotient = time @ (second**2 + (1 - d.profile.slope(W)) * first**2) / (time @ first**2)
    assert abs(quotient) < 1e-8


@pytest.mark.parametrize("e", [1e-1, 1e-2, 1e-3, 1e-4])
def test_near_the_classic_onset(e):
    """lambda = e^2/2 + O(e^3), e = g - 1, for tanh: a well 6 gamma^2 / cosh(gamma tau)^2 with gamma = e/sqrt(3)."""
    s = chaotic(plain(1 + e))[0]
    assert s.lyapunov == pytest.approx(e**2 / 2, rel=4 * e)
    # rounding of g^2 <phi'>^2 against 1 is the limit there
    assert s.lyapunov_error < 1e-14 / e + 1e-12 and s.chaotic


def test_grows_with_g():
    values = [chaotic(plain(g))[0].lyapunov for g in (1.2, 2.0, 4.0, 8.0, 16.0)]
    assert (np.diff(values) > 0).all()
    # for strong coupling the exponent grows like log g
    assert values[-1] - values[-2] == pytest.approx(np.log(2), abs=0.35)


def test_grows_with_the_square_of_the_gap_at_a_structured_onset():
    """Just above the onset of structured chaos lambda vanishes with D_0 - D_inf."""
    onset = 1.79589930043
    ratios = []
    for e in (4e-3, 2e-3, 1e-3):
        s = chaotic(shifted(onset + e))[0]
        assert s.chaotic and s.lyapunov_error < 1e-9
        ratios.append(s.lyapunov / (s.delta0[0] - s.delta_inf[0]))
    # a power law with exponent 1 in the gap, with corrections that halve with e
    differences = np.diff(ratios)
    assert differences[1] / differences[0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.1, 1.0])
def test_error_is_honest(noise):
    """Against the same state from twice the collocation points and slightly other coefficients."""
    s = chaotic(shifted(2.0), noise=noise)[0]
    t = chaotic(shifted(2.0).split(0, 0.4), noise=noise)[0]
    assert abs(s.lyapunov - t.lyapunov) <= s.lyapunov_error + t.lyapunov_error < 1e-10
