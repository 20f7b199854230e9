"""From runs of finite networks to the numbers that the theory predicts, with their errors."""

import enum
from dataclasses import dataclass

import numpy as np

#: A return counts as the same place when kappa misses it by less than this share of the loop's extent.
CLOSE = 0.1
#: Turns that a cycle's record must hold: one to forget the start, and two to compare.
TURNS = 3


class CycleStatus(enum.Enum):
    """What a record of kappa shows; the value is the sentence a person reads."""

    MEASURED = "returns to itself"
    SHORT = "fewer than three turns in the record: simulate longer"
    RESTING = "does not move: it has come to rest"
    UNSETTLED = "successive turns still differ by more than a hundredth: simulate longer, or it is not periodic"


@dataclass(frozen=True, eq=False)
class MeasuredCycle:
    """Period and amplitudes of a simulated cycle.

    Attributes
    ----------
    period, period_error : float
        Mean over the turns of the second half of the record, and the larger of its standard error and half the change
        between its last two turns. The integrator's error is not in it.
    amplitude, amplitude_error : ndarray (R,)
        Largest minus smallest value over the last turn, and its change since the turn before.
    turns : int
        In the whole record.
    status : CycleStatus
        Where it is not MEASURED the numbers are nan.
    """

    period: float
    period_error: float
    amplitude: np.ndarray
    amplitude_error: np.ndarray
    turns: int
    status: CycleStatus

    @property
    def success(self):
        """Whether there is a period."""
        return self.status is CycleStatus.MEASURED

    def __str__(self):
        if not self.success:
            return self.status.value
        extent = ", ".join(f"{a:.4g}" for a in self.amplitude)
        return f"period {self.period:.6g} +- {self.period_error:.1e}, amplitude ({extent}), {self.turns} turns"


def measure_cycle(t, kappa):
    """Period and amplitude of an oscillation, from a record of kappa that is fine enough for cubic interpolation.

    Parameters
    ----------
    t : ndarray (T,)
        Even or uneven times, a few dozen per turn at least.
    kappa : ndarray (T, R)

    Returns
    -------
    MeasuredCycle
    """
    from scipy.interpolate import CubicSpline

    t, kappa = np.asarray(t, float), np.asarray(kappa, float)
    if t.ndim != 1 or kappa.shape[:1] != t.shape or kappa.ndim != 2 or len(t) < 8 or not np.isfinite(kappa).all():
        raise ValueError(f"t (T,) and kappa (T, R) must be finite, with T >= 8: got {t.shape} and {kappa.shape}")
    nothing = np.full(kappa.shape[1], np.nan)
    late = kappa[len(t) // 2 :]
    extent = np.ptp(late, axis=0)
    if extent.max() <= 1e-6 * (1 + np.abs(late).max()):
        return MeasuredCycle(np.nan, np.nan, nothing, nothing, 0, CycleStatus.RESTING)
    path, component = CubicSpline(t, kappa), int(extent.argmax())
    returns = _returns(path, t, component, late, extent)
    turns = max(len(returns) - 1, 0)
    if turns < TURNS:
        return MeasuredCycle(np.nan, np.nan, nothing, nothing, turns, CycleStatus.SHORT)
    periods = np.diff(returns)
    last = periods[len(periods) // 2 :] if len(periods) >= 4 else periods[-2:]
    error = max(last.std(ddof=1) / np.sqrt(len(last)), 0.5 * abs(last[-1] - last[-2]))
    now, before = _extent(path, *returns[-2:]), _extent(path, *returns[-3:-1])
    period = float(last.mean())
    settled = error <= 1e-2 * period and np.abs(now - before).max() <= 1e-2 * extent.max()
    if not settled:
        return MeasuredCycle(np.nan, np.nan, nothing, nothing, turns, CycleStatus.UNSETTLED)
    return MeasuredCycle(period, float(error), now, np.abs(now - before), turns, CycleStatus.MEASURED)


def _returns(path, t, component, late, extent):
    """Times at which a component rises through its middle at one place of the loop, one per turn."""
    from scipy.interpolate import PPoly

    middle = 0.5 * (late[:, component].max() + late[:, component].min())
    single = PPoly(path.c[:, :, component], path.x)
    times = np.unique(single.solve(middle, extrapolate=False))
    times = times[np.isfinite(times) & (single(times, 1) > 0)]
    if len(times) < 2:
        return times
    apart = np.linalg.norm(path(times) - path(times[-1]), axis=-1)
    turn = path(times, 1)
    aside = np.linalg.norm(turn - turn[-1], axis=-1)
    return times[(apart <= CLOSE * np.linalg.norm(extent)) & (aside <= 3 * CLOSE * np.linalg.norm(turn[-1]))]


def _extent(path, start, end):
    """Largest minus smallest value of each component between two times, (R,)."""
    inner = np.linspace(start, end, 400)
    values = path(inner)
    out = []
    for component, which in ((c, w) for c in range(values.shape[1]) for w in (1, -1)):
        k = int(np.clip((which * values[:, component]).argmax(), 1, len(inner) - 2))
        a, b, c = which * values[k - 1 : k + 2, component]
        curve = a - 2 * b + c
        out.append(which * (b - (c - a) ** 2 / (8 * curve) if curve < 0 else b))
    return np.array(out).reshape(-1, 2) @ [1.0, -1.0]
