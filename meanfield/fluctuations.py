"""How far finite networks lie from their limit: the spread of fixed points, cycles, rings and trajectories over draws.

The drift of a network of N neurons is a mean over its neurons, so it differs from the drift of the mixture by a
Gaussian field of covariance (1/N) Cov(n phi(x)). Carried through the equations, it says by how much everything else
differs. No parameter is fitted, and no network is drawn: this is theory, in powers of 1/sqrt(N).
"""

from .cycles import LimitCycle
from .dmft.stationary import StationaryState
from .finite_size.neurons import MATCHED
from .finite_size.paths import CycleSpread, TrajectorySpread, cycle_spread, trajectory_spread
from .finite_size.points import FixedPointSpread, fixed_point_spread
from .finite_size.rings import RingSpread, ring_spread
from .finite_size.states import StateSpread, state_spread
from .finite_size.topology import Change, changes, is_odd, unchanged_probability
from .fixed_points import FixedPoints
from .trajectories import Trajectory

__all__ = [
    "Change",
    "CycleSpread",
    "FixedPointSpread",
    "RingSpread",
    "StateSpread",
    "TrajectorySpread",
    "changes",
    "is_odd",
    "ring_spread",
    "spread",
    "unchanged_probability",
]

_RULES = ((FixedPoints, fixed_point_spread), (LimitCycle, cycle_spread), (Trajectory, trajectory_spread))


def spread(result, matched="nothing"):
    """The spread of a result over networks drawn from its mixture, to leading order in the number of neurons.

    Parameters
    ----------
    result : FixedPoints, LimitCycle, Trajectory, or a StationaryState of a network with a random part
        Of a mixture (for rings see :func:`ring_spread`). A trajectory: networks start on the same kappa, x = m kappa +
        I v.
    matched : {"nothing", "sizes", "moments"}
        What the draws share with the mixture: nothing (neurons drawn independently), the sizes of the populations, or
        all means and covariances within the populations (``sample(..., match_moments=True)``; fixed points and
        stationary states only).

    Returns
    -------
    FixedPointSpread, CycleSpread, TrajectorySpread or StateSpread
        With ``std(N)`` and the like; covariances are multiplied by N.

    Raises
    ------
    ValueError
        The connectivity is a finite network (it has no spread), or the transfer function's slope jumps (step).
    """
    if matched not in MATCHED:
        raise ValueError(f"matched must be one of {', '.join(map(repr, MATCHED))}: got {matched!r}")
    if isinstance(result, StationaryState):
        return state_spread(result, matched)
    for kind, rule in _RULES:
        if isinstance(result, kind):
            if result.field.connectivity.point_masses:
                raise ValueError(
                    "this is a finite network, which has no spread; ask for that of the mixture it was drawn from"
                )
            return rule(result, matched)
    raise ValueError(
        f"spread of what? got {type(result).__name__}, expected FixedPoints, LimitCycle, Trajectory or StationaryState"
    )
