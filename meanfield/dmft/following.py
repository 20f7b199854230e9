"""A time-dependent state followed along a parameter, to where it ends."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..conventions import check_array
from .chaotic import chaotic_states, check_averages
from .knobs import knob
from .problem import pose
from .solving import continues, solve, state
from .states import ChaoticState

# A step that fails is halved so often before the branch counts as ended; the end is then bisected.
_HALVINGS, _BISECTIONS = 5, 12
# At its end a branch is static, or at kappa = 0, when the gap or kappa have shrunk to this share.
_SMALL = 0.2


class FollowStatus(enum.Enum):
    """What became of one value; the value is the sentence a person reads."""

    FOLLOWED = "on the branch"
    ENDED = "the branch ends before this value"
    NOT_STARTED = "there is no time-dependent state to start from"


@dataclass(frozen=True, eq=False)
class FollowedPoint:
    """One value of the parameter.

    Attributes
    ----------
    value : float
    state : ChaoticState or None
    status : FollowStatus
    note : str
        Where and how the branch ended.
    """

    value: float
    state: ChaoticState | None
    status: FollowStatus
    note: str = ""


@dataclass(frozen=True, eq=False)
class Followed(Sequence):
    """The points of a branch in the order of the values asked for; a sequence of :class:`FollowedPoint`.

    Attributes
    ----------
    along : str
    points : tuple of FollowedPoint
    end : tuple (float, float) or None
        The last value that was reached, and one beyond the end.
    """

    along: str
    points: tuple
    end: tuple | None

    def __getitem__(self, index):
        return self.points[index]

    def __len__(self):
        return len(self.points)

    @property
    def states(self):
        """The states that were reached."""
        return tuple(p.state for p in self.points if p.state is not None)

    def __str__(self):
        lines = [f"{len(self.states)} of {len(self)} values of {self.along} reached"]
        for p in self.points:
            lines.append(f"  {self.along} = {p.value:.6g}: {p.state if p.state else p.status.value} {p.note}".rstrip())
        return "\n".join(lines)


def follow(
    c,
    transfer="tanh",
    inputs=None,
    *,
    values,
    along="g",
    start=None,
    input_variance=0.0,
    noise=0.0,
    tau=1.0,
):
    """A time-dependent state at many values of one parameter, each point started from the ones before it.

    Parameters
    ----------
    c, transfer, inputs, input_variance, noise, tau
        As :func:`~meanfield.dmft.chaotic.chaotic`; what ``along`` names is overruled by the values.
    values : (K,) array
        In the order in which they are to be followed.
    along : str
        "g", "noise", "input_variance", or the name of an input.
    start : ChaoticState, optional
        On the branch, near ``values[0]``. By default the attracting state at the first value, or the first of the list.

    Returns
    -------
    Followed
        One record per value; those beyond the end of the branch have no state, and say where it ends and how.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.chaotic.chaotic` and :func:`~meanfield.dmft.knobs.knob`; g per pair of populations.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, noise=noise, tau=tau)
    if not problem.scalar:
        raise ValueError("follow needs one g for all populations; call chaotic at every value")
    check_averages(problem.transfer, "follow")
    values = check_array("values", values).ravel()
    at = knob(problem, along)
    problems = [at(v) for v in values]
    if not values.size:
        return Followed(along, (), None)
    if start is None:
        found = chaotic_states(problems[0])
        if not len(found):
            points = (FollowedPoint(float(v), None, FollowStatus.NOT_STARTED, found.note) for v in values)
            return Followed(along, tuple(points), None)
        start = found[0]
    return _Branch(at, along, start).along_values(values)


class _Branch:
    """The points of a branch that were solved, the last two of which predict the next."""

    def __init__(self, at, along, start):
        self.at, self.along = at, along
        d = start.problem.structure_variance(start.kappa)
        self.first = np.array([*start.kappa, (start.delta0 - d)[0], (start.delta_inf - d)[0]])
        self.values, self.solutions = [], []

    def along_values(self, values):
        points, end = [], None
        for v in map(float, values):
            if end is None:
                solution = self.reach(v)
                if solution is not None:
                    points.append(FollowedPoint(v, state(solution), FollowStatus.FOLLOWED))
                    continue
                end, note = self.located(v)
            points.append(FollowedPoint(v, None, FollowStatus.ENDED, note))
        return Followed(self.along, tuple(points), end)

    def reach(self, value):
        """The solution at a value, by steps that are halved where they fail; None beyond the end."""
        if not self.values:
            found = solve(self.at(value), self.first)
            return self._keep(value, found) if found is not None else None
        if value == self.values[-1]:
            return self.solutions[-1]
        target, halvings = value, 0
        while True:
            found = self._solved(target)
            if found is not None:
                self._keep(target, found)
                if target == value:
                    return found
                target = value
                continue
            halvings += 1
            if halvings > _HALVINGS:
                return None
            target = (self.values[-1] + target) / 2

    def _keep(self, value, solution):
        self.values.append(value)
        self.solutions.append(solution)
        return solution

    def _solved(self, value):
        last = self.solutions[-1]
        starts = [last.x]
        if len(self.values) > 1 and self.values[-1] != self.values[-2]:
            share = (value - self.values[-1]) / (self.values[-1] - self.values[-2])
            ahead = last.x + share * (last.x - self.solutions[-2].x)
            if abs(share) <= 2 and 0 <= ahead[-1] < ahead[-2]:
                starts.insert(0, ahead)
        problem = self.at(value)
        for x in starts:
            found = solve(problem, x, known=last)
            if found is not None and continues(last, found):
                return found
        return None

    def located(self, beyond):
        """Where and how the branch ended: (last value reached, value beyond), note."""
        if not self.values:
            note = f"Newton's method from the given start led to no solution at {self.along} = {beyond:.6g}"
            return (beyond, beyond), note
        for _ in range(_BISECTIONS):
            middle = (self.values[-1] + beyond) / 2
            found = self._solved(middle)
            if found is None:
                beyond = middle
            else:
                self._keep(middle, found)
        last, value = self.solutions[-1], self.values[-1]
        if last.d0 - last.d_inf < _SMALL * last.d0 and not last.equations.problem.noise:
            how = "D_inf meets D_0: chaos ends there, and a static state takes over"
        elif np.abs(last.kappa).max() < _SMALL * np.sqrt(last.d0):
            how = "kappa meets 0, where the branch joins its mirror image"
        else:
            how = "it turns back in a fold, or Newton's method lost it: try smaller steps"
        return (value, beyond), f"at {self.along} = {value:.7g} ({how})"
