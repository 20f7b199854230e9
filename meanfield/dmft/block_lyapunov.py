"""The largest Lyapunov exponent with a block-structured random part: lowest level of a matrix Schroedinger operator.

    -psi_p'' + psi_p - sum_q G_pq C'_q(Delta_q(tau)) psi_q = E psi_p, psi even and decaying: lambda = -1 + sqrt(1 - E_0)

(docs: :eq:`block-lyapunov`). G C' has no negative entry, so the ground state is the one without sign changes
(Perron-Frobenius), and E_0 is real.
"""

import numpy as np

from .block_profile import Grid, Profile

_TURNS = 60
_START = 64  # degree of the grid of the first guess
_SIGN = 1e-6  # relative size of a negative part of the ground state that rounding may leave


def exponent(x: Profile):
    """lambda in units of 1/tau; inf where phi jumps; nan where no ground state was found."""
    if x.problem.transfer.singular <= 1:
        return np.inf  # the potential falls like -1/|tau| at lag 0, and has no lowest level
    well = x.coupling[..., None] * x.pairs.slope
    if (well == well[..., -1:]).all():  # no well at all, as for g = 0: the lowest level is where the continuum begins
        edge = float(x.rates[0].real)
        return -edge / (1 + np.sqrt(1 - edge))
    level, psi = lowest(x)
    if not np.isfinite(level) or psi.min() < -_SIGN * psi.max():
        return np.nan
    return float(-level / (1 + np.sqrt(1 - level)))


def lowest(x: Profile, odd=False):
    """Lowest level E and its function (P, n + 1), scaled to a maximum of 1, among even or odd ones.

    Beyond the grid Delta_p is constant, and psi ~ exp(-S tau), S^2 = (1 - E) 1 - G C'(Delta_inf), exactly. With this
    boundary condition the level enters nonlinearly. The unknown is the slowest rate eta, E = edge - eta^2, in which
    everything is regular even for a state that is hardly bound. E is nan where eta <= 0: no such state.
    Without noise D'_p(tau) is the odd one, at E = 0.
    """
    eta, psi = _start(x, odd)
    operator = _Operator(x, odd)
    for _ in range(_TURNS):
        matrix, slope = operator(eta)
        try:
            better = np.linalg.solve(matrix, slope(psi))
        except np.linalg.LinAlgError:  # the level to the last bit
            break
        at = np.argmax(np.abs(psi))
        step = -psi[at] / better[at]
        psi = better / better[np.argmax(np.abs(better))]
        eta += max(step, -0.9 * eta)
        if not np.isfinite(eta) or eta < 1e-12:
            return np.nan, psi.reshape(x.values.shape)
        if abs(step) <= 1e-14 * (1 + eta):
            break
    return float(operator.edge - eta**2), psi.reshape(x.values.shape)


class _Operator:
    """eta -> the matrix whose kernel is the solution, boundary conditions included, and its derivative in eta."""

    def __init__(self, x, odd):
        self.shape = P, N = x.values.shape
        d = x.grid.derivative
        self.edge = x.rates[0].real
        matrix, one = _interior(x), np.eye(P)
        nodes = np.arange(1, N - 1)
        matrix[:, nodes, :, nodes] -= self.edge * one
        matrix[:, 0] = one[..., None] * (np.eye(N)[0] if odd else d[0])
        matrix[:, -1] = one[..., None] * d[-1]
        self.matrix, self.nodes = matrix, nodes
        values, self.vectors = np.linalg.eig(x.coupling * x.pairs.slope[:, -1])
        self.above = np.maximum((1 - values).real - self.edge, 0.0) + 1j * values.imag  # rates^2 beyond the slowest

    def __call__(self, eta):
        P, N = self.shape
        matrix = self.matrix.copy()
        nodes, one = self.nodes, np.eye(P)
        matrix[:, nodes, :, nodes] += eta**2 * one
        rates = np.sqrt(self.above + eta**2)
        inverse = np.linalg.pinv(self.vectors)
        matrix[:, -1, :, -1] += ((self.vectors * rates) @ inverse).real
        end = ((self.vectors * (eta / rates)) @ inverse).real

        def slope(psi):
            out = 2 * eta * psi.reshape(P, N)
            out[:, 0], out[:, -1] = 0.0, end @ psi.reshape(P, N)[:, -1]
            return out.ravel()

        return matrix.reshape(P * N, P * N), slope


def _interior(x):
    """-d^2/dtau^2 + 1 - G C' on the nodes of all populations, (P, N, P, N)."""
    P, N = x.values.shape
    d, nodes = x.grid.derivative, np.arange(N)
    out = np.eye(P)[:, None, :, None] * (np.eye(N) - d @ d)[None, :, None, :]
    out[:, nodes, :, nodes] -= np.moveaxis(x.coupling[:, :, None] * _finite(x.pairs.slope), -1, 0)
    return out


def _finite(slope):
    """Infinite only at lag 0 where phi jumps; the row there is a boundary condition."""
    return np.where(np.isfinite(slope), slope, 0.0)


def _start(x, odd):
    """eta and function to start from: lowest level on a coarse grid, with psi' = -rate psi at its end."""
    y = x.on(Grid(min(x.grid.n, _START), x.grid.length))
    P, N = y.values.shape
    d, edge = y.grid.derivative, y.rates[0].real
    ends = np.stack([np.eye(N)[0] if odd else d[0], d[-1] + y.rate * np.eye(N)[-1]])
    extend = np.zeros((N, N - 2))  # values at all nodes from those inside
    extend[1:-1] = np.eye(N - 2)
    extend[[0, -1]] = -np.linalg.solve(ends[:, [0, -1]], ends[:, 1:-1])
    extend = np.kron(np.eye(P), extend)
    inner = np.tile(np.isin(np.arange(N), [0, N - 1]), P)
    values, vectors = np.linalg.eig((_interior(y).reshape(P * N, P * N) @ extend)[~inner])
    # spectral derivatives have spurious levels too, but none is below the bottom of the well
    deepest = np.abs(np.linalg.eigvals(np.moveaxis(y.coupling[..., None] * _finite(y.pairs.slope), -1, 0))).max()
    possible = (np.abs(values.imag) < 1e-8) & (values.real > 1 - deepest - 1e-8)
    at = np.argmin(np.where(possible, values.real, np.inf))
    psi = y.grid.at((extend @ vectors[:, at].real).reshape(P, N), x.grid.tau).T.ravel()
    eta = np.sqrt(edge - values[at].real) if values[at].real < edge else 0.0
    return max(eta, 1e-3 * y.rate), psi / psi[np.argmax(np.abs(psi))]
