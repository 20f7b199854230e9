"""The two-time equations of a random part, stepped row by row: the numbers behind :mod:`meanfield.dmft.transient`.

Time is in units of tau. Rows of the covariance between times are filled from the diagonal's side: at each step all of
row n + 1 up to the diagonal follows from row n (docs: :eq:`two-time-recursion`).
"""

import itertools
import math

import numpy as np

from .. import equations
from ..averages import gaussian_average, pair_average
from ..gaussian.hermite import REACH, hermite_coefficients, hermite_functions, wavenumber
from ..transfer import get_transfer

#: Beyond this kappa, or the square root of a variance, counts as exploded.
EXPLODED = 1e8

#: Most terms of the Hermite series; what it leaves out is part of the stated bound.
MOST_TERMS = 2048

_FEWEST_TERMS, _GROWTH = 32, 1.5
# Coefficients decay algebraically at kinks: more terms gain little, and each time needs a quadrature of its own.
_KINKED_TERMS = 512
# Functions with kinks and closed forms of C.
_CLOSED = (get_transfer("relu"), get_transfer("step"))
# Half the nodes of a panel of that quadrature, and its half-width in radians of the fastest polynomial.
_PANEL = 10
# Terms summed between two looks at which correlations still need them.
_CHUNK = 24
# Values one step ahead of the last one, two, three, newest first. Linear extrapolation would leave an error of order
# dt^3, which for all practical steps hides that the scheme is of order 2.
_EXTRAPOLATION = {1: (1,), 2: (2, -1), 3: (3, -3, 1)}
_PAST = 3
# Evaluations per step while there is less than that to extrapolate from.
_START_ROUNDS = 3
# Where phi has kinks the derivative's average at variance 0 exists only as a limit.
_SPECK = 1e-200


class Exploded(Exception):
    """The state left the range in which averages can be computed."""


class ActivityPairs:
    """C_p(t, t') = <phi(x(t)) phi(x(t'))>_p between the newest of some times and all before it.

    Times are entered one after the other with means and variances (P,); the last one may be entered again. Closed forms
    where phi has them and the series is slow, else :eq:`two-time-mehler`.
    """

    def __init__(self, transfer, populations, times, tolerance):
        self.transfer, self.tolerance = transfer, tolerance
        self.mean, self.variance, self.square, self.tail, self._average = np.zeros((5, populations, times))
        #: Terms of the series; 0 where closed forms take its place.
        self.terms = _FEWEST_TERMS if not transfer.kinks else 0 if transfer in _CLOSED else _KINKED_TERMS
        self._most = max(self.terms, 0 if transfer.kinks else MOST_TERMS)
        #: Bound of the error of any C so far, relative to sqrt(<phi^2> <phi'^2>) at its two times.
        self.truncation = 0.0
        self._coefficients = np.empty((self.terms, populations, times))

    def enter(self, n, mean, variance):
        """Take in time n and return its gains <phi>, <phi'>: (2, P)."""
        self.mean[:, n], self.variance[:, n] = mean, variance
        gain = self.gains(mean, variance)
        self._average[:, n] = gain[0]
        return gain

    def gains(self, mean, variance):
        """<phi>, <phi'>: (2, ...)."""
        floor = np.maximum(variance, _SPECK) if self.transfer.kinks else variance
        return gaussian_average(self.transfer, mean=mean, variance=floor, order=(0, 1))

    def row(self, n, covariance):
        """C (P, n + 1) of time n with times 0 .. n, for Cov_p(x(t_n), x(t)) (P, n) at the times before."""
        self.square[:, n] = gaussian_average(self.transfer, mean=self.mean[:, n], variance=self.variance[:, n], power=2)
        scale = np.sqrt(self.variance[:, n, None] * self.variance[:, :n])
        rho = np.clip(np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0), -1.0, 1.0)
        if self.terms:
            self._expand_enough(n)
        row = self._series(n, rho) if self.terms else self._closed(n, rho)
        return np.concatenate([row, self.square[:, n, None]], axis=1)

    def _expand_enough(self, n):
        """Coefficients of time n; of all times anew when that takes more terms."""
        self._expand(slice(n, n + 1))
        while sum(self._errors(n)) > self.tolerance and self.terms < self._most:
            self.terms = min(self._most, math.ceil(_GROWTH * self.terms))
            self._coefficients = np.empty((self.terms, *self.mean.shape))
            self._expand(slice(0, n + 1))
        self.truncation = max(self.truncation, 2 * self._errors(n)[1])

    def _expand(self, some):
        expand = kinked_coefficients if self.transfer.kinks else hermite_coefficients
        found = expand(self.transfer, self.mean[:, some], self.variance[:, some], self.terms)
        self._coefficients[:, :, some] = np.moveaxis(found, -1, 0)
        self.tail[:, some] = np.abs(self.square[:, some] - np.einsum("...k,...k->...", found, found))

    def _errors(self, n):
        """What Parseval misses of <phi^2>, and the coefficients' own error as seen in c_0 = <phi>; both relative."""
        scale = np.where(self.square[:, n] > 0, self.square[:, n], 1.0)
        off = np.abs(self._coefficients[0, :, n] - self._average[:, n])
        return np.max(self.tail[:, n] / scale), np.max(off / np.sqrt(scale))

    def _closed(self, n, rho):
        mean, variance = ((q[:, n, None], q[:, :n]) for q in (self.mean, self.variance))
        return pair_average(self.transfer, mean=mean, variance=variance, correlation=rho)

    def _series(self, n, rho):
        """Horner's rule, each chunk of terms only for the latest times, from the first on that it matters to."""
        size, c = np.abs(rho), self._coefficients
        scale = np.sqrt(self.square[:, n, None] * self.square[:, :n])
        scale[scale == 0] = 1.0
        rest = size**self.terms * np.sqrt(self.tail[:, n, None] * self.tail[:, :n]) / scale
        self.truncation = max(self.truncation, rest.max(initial=0.0) + self.tolerance / 10)
        out, largest = np.zeros_like(rho), size.max(axis=0)
        scratch = np.empty_like(rho)
        for low in range((self.terms - 1) // _CHUNK * _CHUNK, -1, -_CHUNK):
            matters = largest**low > self.tolerance / 10
            first = int(np.argmax(matters)) if matters.any() else n
            part, factor, product = out[:, first:], rho[:, first:], scratch[:, first:]
            for k in range(min(low + _CHUNK, self.terms) - 1, low - 1, -1):
                part *= factor
                np.multiply(c[k, :, first:n], c[k, :, n, None], out=product)
                part += product
        return out


def kinked_coefficients(t, mean, variance, count):
    """:func:`~meanfield.gaussian.hermite.hermite_coefficients` for a phi with kinks: Gauss-Legendre between them."""
    mean, s = np.asarray(mean, float), np.sqrt(variance)
    out = np.empty((*mean.shape, count))
    width = 2 * _PANEL / wavenumber(count)
    x, w = np.polynomial.legendre.leggauss(2 * _PANEL)
    for place in np.ndindex(mean.shape):
        kinks = [(kink - mean[place]) / s[place] for kink in t.kinks] if s[place] else []
        cuts = np.sort([-REACH, REACH, *np.clip(kinks, -REACH, REACH)])
        edges = np.concatenate([np.linspace(a, b, 2 + int((b - a) / width))[:-1] for a, b in itertools.pairwise(cuts)])
        half = np.diff(edges, append=REACH)[:, None] / 2
        z, weight = (edges[:, None] + half * (1 + x)).ravel(), (half * w).ravel()
        basis = hermite_functions(z, count) * (np.exp(-z * z / 4) / (2 * math.pi) ** 0.25)
        out[place] = basis @ (weight * t(mean[place] + s[place] * z))
    return out


class Spread:
    """What is known of Cov_p(x(t), x(t')) in closed form: loadings, static input, initial spread and noise."""

    def __init__(self, problem, delta):
        b = problem.blocks
        cross = np.concatenate([b.cov_mm, b.cov_mI], axis=2), np.concatenate([b.cov_mI.swapaxes(1, 2), b.cov_II], 2)
        self._joint = np.concatenate(cross, axis=1)
        self._static = problem.input_variance
        self._delta, self._noise = np.broadcast_to(delta, self._static.shape), problem.noise_variance
        #: True where all populations start with the same variance.
        self.same = bool(np.ptp(self._delta) == 0)

    def free(self, t, others):
        """delta e^(-t-t') + sigma2 (e^(-|t-t'|) - e^(-t-t')), as without recurrence: (A,), (B,) -> (P, A, B)."""
        t = t[:, None]
        decayed = np.exp(-t - others)
        return self._delta[:, None, None] * decayed + self._noise * (np.exp(-np.abs(t - others)) - decayed)

    def structure(self, states, others):
        """Covariance from loadings and static input at states (kappa, v): (A, R + S), (B, R + S) -> (P, A, B)."""
        return (states @ self._joint) @ others.T + self._static[:, None, None]


def weights(dt):
    """w0, w1 with int_0^dt e^(s - dt) f(s) ds = w0 f(0) + w1 f(dt) for linear f (:eq:`two-time-weights`)."""
    whole = -math.expm1(-dt)
    late = 1 - whole / dt if dt > 1e-4 else dt / 2 - dt * dt / 6
    return whole - late, late


def filtered(values, a, w0, w1):
    """S with S_0 = 0 and S_(m+1) = a S_m + w0 F_m + w1 F_(m+1) along the last axis of F (Q, M)."""
    from scipy.linalg import solve_banded

    right = np.zeros_like(values)
    right[:, 1:] = w0 * values[:, :-1] + w1 * values[:, 1:]
    bands = np.ones((2, values.shape[1]))
    bands[1] = -a
    return solve_banded((1, 0), bands, right.T, overwrite_b=True, check_finite=False).T


class TwoTime:
    """kappa and the recurrent part H of the random part's covariance on a grid of times; :meth:`step` adds a time.

    H is (Q, T, T): Q = 1 for a scalar g, else P; D = H + :meth:`Spread.free`. A start too large for averages raises
    :class:`Exploded`, as a step does.
    """

    def __init__(self, problem, v, kappa, delta, dt, tolerance):
        T, R, P = len(v), problem.rank, problem.n_populations
        self.problem, self.dt, self.n = problem, dt, 0
        self.times = dt * np.arange(T)
        self.spread = Spread(problem, delta)
        self.states = np.concatenate([np.full((T, R), np.nan), v], axis=1)
        self.mean, self.variance = np.full((2, T, P), np.nan)
        self.gain = np.full((2, T, P), np.nan)
        self.coupling = problem.coupling[:1] if problem.scalar else problem.coupling
        self.H = np.full((len(self.coupling), T, T), np.nan)
        self.pairs = ActivityPairs(problem.transfer, P, T, tolerance)
        self._a, (self._w0, self._w1) = math.exp(-dt), weights(dt)
        start = kappa, self.H[:, 0, :0], np.zeros(len(self.coupling))
        self._record(0, *start)
        # the last times, newest first: number, drive, F and S with a column for every time so far
        self._past = [(0, *self._evaluate(0, *start))]

    def _moments(self, n, kappa, diagonal):
        """Mean and variance (P,) of x at time n, for H (Q,) on the diagonal."""
        b, v, t = self.problem.blocks, self.states[n, self.problem.rank :], self.times[n : n + 1]
        mean = equations.mean(b, kappa, v)
        variance = equations.variance(b, kappa, v) + self.problem.input_variance
        variance = np.maximum(variance + self.spread.free(t, t)[:, 0, 0] + diagonal, 0.0)
        if not (np.all(np.abs(kappa) <= EXPLODED) and np.all(variance <= EXPLODED**2)):
            raise Exploded
        return mean, variance

    def _evaluate(self, n, kappa, row, diagonal):
        """At time n with H (Q, n) and (Q,): kappa + drift (R,), F = sum_q G C (Q, n + 1), its filtered S (Q, n + 1)."""
        R, times = self.problem.rank, self.times
        gain = self.pairs.enter(n, *self._moments(n, kappa, diagonal))
        state = np.concatenate([kappa, self.states[n, R:]])
        drive = kappa + equations.drift(self.problem.blocks, kappa, state[R:], gain)
        if not self.coupling.any():
            return drive, *np.zeros((2, len(self.coupling), n + 1))
        covariance = self.spread.structure(state[None], self.states[:n])[:, 0] + row
        F = self.coupling @ self.pairs.row(n, covariance + self.spread.free(times[n : n + 1], times[:n])[:, 0])
        return drive, F, filtered(F, self._a, self._w0, self._w1)

    def _record(self, n, kappa, row, diagonal):
        mean, variance = self._moments(n, kappa, diagonal)
        self.gain[:, n] = self.pairs.gains(mean, variance)
        self.mean[n], self.variance[n] = mean, variance
        self.states[n, : self.problem.rank] = kappa
        self.H[:, n, :n] = self.H[:, :n, n] = row
        self.H[:, n, n] = diagonal

    def step(self):
        """Extrapolate in time what is to be evaluated, take the trapezoid, evaluate there, and take it again.

        Raises
        ------
        Exploded
            And the new time stays nan.
        """
        n, past = self.n, self._past
        factors = _EXTRAPOLATION[len(past)]

        def ahead(values):
            return sum(f * x for f, x in zip(factors, values, strict=True))

        state = self._trapezoid(
            ahead(drive for _, drive, _, _ in past),
            ahead(S for *_, S in past),
            ahead(F[:, max(j - 1, 0)] for j, _, F, _ in past),
            ahead(S[:, j] for j, _, _, S in past),
        )
        try:
            for _ in range(1 if len(past) == _PAST else _START_ROUNDS):
                drive, F, S = self._evaluate(n + 1, *state)
                state = self._trapezoid(drive, S[:, :-1], F[:, -2], S[:, -1])
            self._record(n + 1, *state)
        except ValueError:  # an average of an unbounded phi that overflows
            raise Exploded from None
        self._past = [(n + 1, drive, F, S), *(self._widened(*time, F) for time in past[: _PAST - 1])]
        self.n = n + 1

    def _advance(self, value, now, then):
        return self._a * value + self._w0 * now + self._w1 * then

    def _trapezoid(self, drive, S, side, corner):
        """kappa, the row of H (Q, n + 1) and its diagonal (Q,) at n + 1: :eq:`two-time-recursion`.

        From the drive (R,) there, S (Q, n + 1) without and ``corner`` (Q,) on the diagonal, and F (Q,) ``side`` of it.
        """
        n, (_, old, F, before) = self.n, self._past[0]
        kappa = self._advance(self.states[n, : self.problem.rank], old, drive)
        row = self._advance(self.H[:, n, : n + 1], before, S)
        above = self._advance(before[:, n], F[:, n], side)
        return kappa, row, self._advance(row[:, n], above, corner)

    def _widened(self, j, drive, F, S, new):
        """An earlier time with one more column, from F at the newest time by symmetry."""
        S = np.column_stack([S, self._advance(S[:, -1], F[:, -1], new[:, j])])
        return j, drive, np.column_stack([F, new[:, j]]), S

    def covariance(self):
        """D between all times, (T, T) or, where the populations differ, (T, T, P). It takes the place of H."""
        D, one = self.H, slice(0, 1) if self.spread.same else slice(None)
        if len(D) == 1 and not self.spread.same:
            D = np.repeat(D, self.problem.n_populations, axis=0)
        for n in range(len(self.times)):
            D[:, n] += self.spread.free(self.times[n : n + 1], self.times)[one, 0]
        return D[0] if len(D) == 1 else np.moveaxis(D, 0, -1)
