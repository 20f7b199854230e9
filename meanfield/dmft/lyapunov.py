r"""The largest Lyapunov exponent, from the ground state of a particle in the potential 1 - S'(e(tau)).

lambda = -1 + sqrt(1 - E_0) (docs: :eq:`chaos-lyapunov`). The ground state psi is even and has no zero, so w = -psi'/psi
is a smooth function that obeys a Riccati equation (:eq:`chaos-riccati`), with w(infinity) = sqrt(gamma^2 - E_0). It is
solved by collocation in the variable u of :mod:`meanfield.dmft.decay`, in which it is analytic up to infinite lag.
"""

import numpy as np

_STEPS = 60
# Collocation points: those of the decay, at most so many.
_MOST = 512
# Points of the rough start, the share of the well's depth that it neglects, and its steps for the rate of decay.
_GRID, _FLAT, _BISECTIONS = 400, 1e-4, 40
# Share of the way to w(infinity) = 0, where the state ceases to be bound, that one step may go.
_SHARE = 0.9


def ground_state(decay):
    """Exponent and error estimate in units of 1/tau; (inf, 0) where phi jumps, (nan, inf) without convergence."""
    slopes = decay.slopes
    if not np.all(np.isfinite(slopes)):
        return np.inf, 0.0
    values = []
    count = min(len(decay.grid[0]) - 1, _MOST // 2)
    for points in (count, 2 * count):
        found = _bound_state(decay, points)
        if found is None:
            return np.nan, np.inf
        values.append(found)
    end, kappa = values[-1]
    value = _exponent(end, kappa)
    difference = abs(value - _exponent(*values[0]))
    top, depth = slopes.max(), slopes.max() - slopes.min()
    root = np.sqrt(max(end + kappa**2, np.finfo(float).tiny))
    return value, np.finfo(float).eps + difference + (decay.rounding * top + decay.relative_error * depth) / root


def _exponent(end, kappa):
    """-1 + sqrt(1 - E_0) with E_0 = gamma^2 - kappa^2 and gamma^2 = 1 - end."""
    square = end + kappa**2  # 1 - E_0, which may be tiny
    return (square - 1) / (1 + np.sqrt(square))


def _bound_state(decay, count):
    """(S'(0), w(infinity)), w from (1 - u) dw/du = g (w^2 - w(inf)^2 + S'(e) - S'(0)), w = 0 at u = 0; None if lost."""
    u, D = nodes_and_derivative(count)
    if count == len(decay.grid[0]) - 1:
        g, slopes = decay.grid[1], decay.slopes
    else:
        g, slopes = decay.rate(u), decay.profile.slope(decay.part(u))
    end = slopes[-1]
    drive = slopes - end
    A = (1 - u)[:, None] * D
    w = _start(decay, u, drive)
    previous = np.inf
    for _ in range(_STEPS):
        residual = A @ w - g * (w**2 - w[-1] ** 2 + drive)
        jacobian = A - np.diag(2 * g * w)
        jacobian[:, -1] += 2 * g * w[-1]
        step = np.zeros_like(w)
        try:
            step[1:] = np.linalg.solve(jacobian[:-1, 1:], -residual[:-1])
        except np.linalg.LinAlgError:
            return None
        # a hardly bound state has w(infinity) close to 0, and beyond lie solutions that grow with lag
        w = w + step / max(1.0, -step[-1] / (_SHARE * w[-1]) if w[-1] > 0 else 1.0)
        size = np.abs(step).max()
        if not np.isfinite(size):
            return None
        scale = 1e-15 + np.abs(w).max()
        if size <= 1e-14 * scale or (size <= 1e-9 * scale and size >= previous / 2):
            break
        previous = size
    else:
        return None
    return (end, w[-1]) if w[-1] >= 0 else None


def _start(decay, u, drive):
    """A rough w: of the ground state on an even grid of lags, by finite differences.

    Beyond the grid there is no well, and psi ~ exp(-kappa tau): with this condition at the end, E = -kappa^2 has one
    root, because the level of the matrix falls as kappa falls. It holds for states that are hardly bound.
    """
    from scipy.linalg import eigh_tridiagonal

    depth = drive.max()
    if depth == 0:
        return np.zeros_like(u)
    lag = decay.time(u[:-1])
    reach = lag[np.flatnonzero(drive[:-1] > _FLAT * depth)[-1]]
    grid, h = np.linspace(0, reach, _GRID, retstep=True)
    diagonal = 2 / h**2 - np.interp(grid, lag, drive[:-1])
    off = np.full(_GRID - 1, -1 / h**2)
    off[0] *= np.sqrt(2)  # even: the mirror image of the first step, made symmetric
    off[-1] *= np.sqrt(2)  # and its last step, with psi' = -kappa psi
    low, high = 0.0, np.sqrt(depth)
    for _ in range(_BISECTIONS):
        kappa = (low + high) / 2
        ended = diagonal + 0.0
        ended[-1] += 2 * kappa / h
        value, vector = eigh_tridiagonal(ended, off, select="i", select_range=(0, 0))
        low, high = (kappa, high) if -value[0] > kappa**2 else (low, kappa)
    psi = np.abs(vector[:, 0])
    psi[[0, -1]] *= np.sqrt(2)
    out = np.interp(lag, grid, -np.gradient(np.log(np.maximum(psi, 1e-200)), h), right=kappa)
    out[0] = 0.0
    return np.append(out, kappa)


def nodes_and_derivative(count):
    """Chebyshev points on [0, 1], ascending, and the matrix that differentiates there: (count + 1,) and its square."""
    i = np.arange(count + 1)
    x = -np.cos(np.pi * i / count)
    # differences of cosines as products of sines
    half = np.pi * (i[:, None] + i) / (2 * count), np.pi * (i[:, None] - i) / (2 * count)
    difference = 2 * np.sin(half[0]) * np.sin(half[1])
    weight = (-1.0) ** i * np.where((i == 0) | (i == count), 0.5, 1.0)
    np.fill_diagonal(difference, 1.0)
    D = weight / weight[:, None] / difference
    np.fill_diagonal(D, 0.0)
    np.fill_diagonal(D, -D.sum(1))
    return (1 + x) / 2, 2 * D
