"""Newton shooting for periodic orbits: point and period together, with the variational equations.

The unknowns, the equations and what the two runs at different tolerances say about the error are :eq:`variational` to
:eq:`period-error` of the theory page on trajectories.
"""

from dataclasses import dataclass

import numpy as np

from ..trajectories import solve

# Tolerances of the three stages: find the cycle, converge, and converge again: the difference estimates the error.
ROUGH, LOOSE, TIGHT = 1e-7, 1e-10, 1e-12
# Absolute tolerance of kappa, as a fraction of the orbit's size times the relative tolerance.
ABSOLUTE = 1e-2
# A Newton step may move the point by this share of the orbit's size, and the period by this share of itself.
_TRUST = 0.3
# A stage ends with the step that is this small: the next one would be of the order of its square. (The rough stage may
# end earlier, the next stage goes on from there.)
_SMALL, _ROUGHLY_SMALL = 1e-6, 1e-4


class ShootingFailed(ArithmeticError):
    """Newton's method did not converge to a periodic orbit; the message says how it failed."""


@dataclass(frozen=True, eq=False)
class Shot:
    """A solution of the shooting equations at one tolerance.

    Attributes
    ----------
    point : ndarray (R,);  period : float
    monodromy : ndarray (R, R)
        Derivative of the flow over one period.
    log_determinant : float
        Integral of the trace of the Jacobian over one period (:eq:`liouville`).
    """

    point: np.ndarray
    period: float
    monodromy: np.ndarray
    log_determinant: float


def variational(f, point, duration, rtol, size):
    """Flow, its derivative, and the integral of the Jacobian's trace (:eq:`variational`, :eq:`liouville`).

    Returns
    -------
    tuple
        point (R,), matrix (R, R), integral.

    Raises
    ------
    ShootingFailed
        When the integrator stops early.
    """
    R = f.rank

    def rhs(t, y):
        jacobian = f.jacobian(y[:R])
        return np.concatenate([f(y[:R]), (jacobian @ y[R:-1].reshape(R, R)).ravel(), [np.trace(jacobian)]])

    atol = np.full(R + R * R + 1, rtol * ABSOLUTE)
    atol[:R] *= size
    start = np.concatenate([point, np.eye(R).ravel(), [0.0]])
    solution = solve(rhs, (0.0, duration), start, rtol=rtol, atol=atol)
    y = solution.y[:, -1]
    if solution.status != 0 or not np.isfinite(y).all():
        raise ShootingFailed(f"the integrator stopped at t = {solution.t[-1]:.6g}: {solution.message}")
    return y[:R], y[R:-1].reshape(R, R), y[-1]


def shoot(f, point, period, size, rtol, max_iterations=15):
    """Solve flow(point, period) = point together with a phase condition, by Newton's method (:eq:`shooting`).

    Parameters
    ----------
    f : autonomous field
    point : ndarray (R,);  period : float
        Guess.
    size : float
        Extent of the orbit, the unit in which steps of the point are measured.
    rtol : float
        Tolerance of the integrator.

    Returns
    -------
    Shot

    Raises
    ------
    ShootingFailed
        No convergence.
    """
    small = _ROUGHLY_SMALL if rtol >= ROUGH else _SMALL
    error = np.inf
    for _ in range(max_iterations):
        end, matrix, integral = variational(f, point, period, rtol, size)
        step, period_step = newton_step(f, point, period, size, end, matrix, rtol)
        error = max(np.linalg.norm(step) / size, abs(period_step) / period)
        if not np.isfinite(error):
            break
        damping = min(1.0, _TRUST / error) if error > 0 else 1.0
        point, period = point + damping * step, period + damping * period_step
        if error <= small:
            return Shot(point, float(period), matrix, float(integral))
    raise ShootingFailed(f"Newton's method did not converge in {max_iterations} iterations (last step {error:.2g})")


def newton_step(f, point, period, size, end, matrix, rtol):
    """Step of (point, period) that solves the linearised shooting equations (:eq:`shooting`): (R,) and a number."""
    R = f.rank
    along = f(point)
    system = np.zeros((R + 1, R + 1))  # in units of the size and the period
    system[:R, :R] = matrix - np.eye(R)
    system[:R, R] = f(end) * (period / size)
    system[R, :R] = along / np.linalg.norm(along)
    # Least squares without the directions lost in the integrator's noise: a family of cycles has one.
    step = np.linalg.lstsq(system, np.append(point - end, 0.0) / size, rcond=100 * rtol)[0]
    return size * step[:R], float(period * step[R])
