r"""The decay of correlations, Delta(tau), by quadrature of the energy integral.

The variable u in [0, 1], W = (u^2 + 2 b u)/(1 + 2 b), takes the turning point at lag 0 and the exponential tail out
of the integrand: what is left is smooth, its Chebyshev series is integrated term by term, and tau(u) is inverted by
Newton's method (docs: :eq:`chaos-quadrature`).
"""

from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev

from .correlations import coefficients
from .lyapunov import ground_state
from .profiles import PairProfile, SeriesProfile

# Chebyshev nodes: the first number, and the last. Small noise, a near singularity, asks for many.
_FIRST, _LAST = 32, 1024
_CONVERGED = 4e-15
# Lags beyond so many time constants of the tail are infinite.
_LATEST = 745.0
_STEPS = 60
# Beyond this the noise makes a free decay, W = u.
_FREE = 1e6
_EPS = np.finfo(float).eps


class Decay:
    """How Delta(tau) falls from Delta_0 to Delta_inf; see :class:`~meanfield.dmft.states.ChaoticState` for its calls.

    Everything is computed when first asked for.

    Parameters
    ----------
    problem : Problem
    mean, structure : (P,) arrays
        Mean input, and variance without the random part.
    d0, d_inf : float
    uncertainty : float
        Error of D_0 and D_inf.
    """

    def __init__(self, problem, mean, structure, d0, d_inf, uncertainty):
        self.problem, self.mean, self.uncertainty = problem, mean, uncertainty
        self.delta0, self.delta_inf, self.excess0 = structure + d0, structure + d_inf, d0 - d_inf
        self.forced = problem.noise_variance / self.excess0

    @cached_property
    def profile(self):
        """Series where they are short enough, averages over pairs elsewhere."""
        p = self.problem
        c = coefficients(p.transfer, self.mean, self.delta0)
        if c is None:
            return PairProfile(p, self.mean, self.delta0, self.delta_inf, self.excess0, self.forced)
        return SeriesProfile(p, c, self.delta0, self.delta_inf, self.excess0)

    @cached_property
    def b(self):
        """Shape of the variable u: 0 without noise, large where noise dominates."""
        if self.forced == 0 or not self.profile.smooth:
            return 0.0
        ratio = min(self.forced**2 / max(float(self.profile.rise(np.zeros(1))[0]), 1e-300), _FREE)
        return ratio + np.sqrt(ratio**2 + ratio)

    @cached_property
    def grid(self):
        """Nodes u, g = (1 - u) dtau/du there, its Chebyshev coefficients, and their relative truncation."""
        count, enough = _FIRST, max(_CONVERGED, self.profile.error)
        while True:
            u = (1 - np.cos(np.pi * np.arange(count + 1) / count)) / 2
            g = self.rate(u)
            a = _lobatto_coefficients(g)
            truncation = np.abs(a[-3:]).max() / np.abs(a).max()
            if truncation <= enough or count >= _LAST:
                return u, g, _chopped(a, truncation), truncation
            count *= 2

    @property
    def end(self):
        """1/gamma, the time constant of the tail."""
        return float(self.grid[1][-1])

    @cached_property
    def _regular(self):
        """Coefficients of int_0^u (g - g(1))/(1 - u) du."""
        return -chebyshev.chebint(_divided(self.grid[2]), lbnd=-1)

    @property
    def rounding(self):
        """Estimated relative error of S': rounding, what the series leave out, and the error of Delta_0."""
        return 8 * _EPS + self.profile.error + self.uncertainty / self.delta0.min()

    @property
    def relative_error(self):
        """Estimated relative error of the excess and of its rate of decay."""
        return self.rounding + self.grid[3] + 2 * self.uncertainty / self.excess0

    def time(self, u):
        """tau(u) < infinity."""
        return -self.end * np.log1p(-u) + chebyshev.chebval(2 * u - 1, self._regular)

    def part(self, u):
        """W at u."""
        return u * (u + 2 * self.b) / (1 + 2 * self.b)

    def rest(self, x):
        """1 - W at u = 1 - x, without cancellation."""
        return x * (2 + 2 * self.b - x) / (1 + 2 * self.b)

    def rate(self, u):
        """g = (1 - u) dtau/du."""
        W, b = self.part(u), self.b
        rise = self.profile.rise(W)
        if self.forced == 0:
            return 2 / ((1 + u) * np.sqrt(rise))
        return 2 * (u + b) / ((1 + u + 2 * b) * np.sqrt(self.forced**2 + W * rise))

    def position(self, lag):
        """u, and x = 1 - u, at finite lags >= 0 in units of tau = 1: shape of lag."""
        u, g = self.grid[:2]
        y = np.interp(lag, self.time(u[:-1]), -np.log1p(-u[:-1]), right=0.0)
        far = lag > self.time(u[-2])
        y[far] = (lag[far] - chebyshev.chebval(1.0, self._regular)) / self.end
        for _ in range(_STEPS):
            u = -np.expm1(-y)
            miss = self.end * y + chebyshev.chebval(2 * u - 1, self._regular) - lag
            step = miss / chebyshev.chebval(2 * u - 1, self.grid[2])
            y = np.maximum(y - step, y / 4)
            if np.all(np.abs(step) <= 1e-15 * (1 + y)):
                break
        return -np.expm1(-y), np.exp(-y)

    def __call__(self, lag):
        """Delta_p(lag) - Delta_p(inf) and its error: (..., P) each."""
        lag = np.asarray(lag, float)
        late = np.minimum(lag, _LATEST * self.end).ravel()
        u, x = self.position(late)
        rest = self.rest(x)
        value = np.where(np.isinf(lag).ravel(), 0.0, self.excess0 * rest)
        g, b = chebyshev.chebval(2 * u - 1, self.grid[2]), self.b
        speed = 2 * self.excess0 * x * (u + b) / ((1 + 2 * b) * g)  # -de/dtau
        error = 2 * self.uncertainty + self.relative_error * (value + speed * (late + 4 * self.end))
        P = np.shape(self.delta0)
        return tuple(np.multiply.outer(q.reshape(lag.shape), np.ones(P)) for q in (value, error))

    def activity(self, excess):
        """C_q where Delta_q - Delta_q(inf) is ``excess`` (..., P)."""
        return self.profile.activity(excess)

    @cached_property
    def slopes(self):
        """S' at the nodes of ``grid``."""
        return self.profile.slope(self.part(self.grid[0]))

    def lyapunov(self):
        """Largest Lyapunov exponent and its error, in units of 1/tau."""
        return ground_state(self)


def _lobatto_coefficients(values):
    """Chebyshev coefficients from values at cos(pi i / n) read from -1 to 1, i = n .. 0."""
    n = len(values) - 1
    down = values[::-1]
    out = np.fft.rfft(np.concatenate([down, down[-2:0:-1]])).real / n
    out[0] /= 2
    out[-1] /= 2
    return out


def _chopped(a, floor):
    """The coefficients up to the last one above the floor of rounding."""
    above = np.flatnonzero(np.abs(a) > max(floor, _EPS / 4) * np.abs(a).max())
    return a[: above[-1] + 1] if above.size else a[:1]


def _divided(a):
    """Coefficients of (p(x) - p(1))/(x - 1) for p with Chebyshev coefficients a.

    (T_k - 1)/(x - 1) = k + 2 sum_{0<j<k} (k - j) T_j.
    """
    if len(a) == 1:
        return np.zeros(1)
    above = np.cumsum(a[:0:-1])[::-1]  # sum_{k > j} a_k for j = 0 .. n - 1
    out = 2 * np.cumsum(above[::-1])[::-1]
    out[0] /= 2
    return out
