"""A time-dependent state followed along a parameter, to where it ends."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from ..conventions import check_array
from ..progress import tracked
from .chaotic import chaotic_states
from .continuation import Line
from .knobs import knob
from .problem import pose
from .solutions import started
from .states import ChaoticState


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
        The last value that was reached, and one that was not: where Newton's method lost the branch, its end may lie
        further on.
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
    along : str or tuple
        "g", "noise", "input_variance", the name of an input, or whatever else :func:`~meanfield.dmft.knobs.knob` turns.
    start : ChaoticState, optional
        On the branch, near ``values[0]``. By default the attracting state at the first value, or the first of the list.

    Returns
    -------
    Followed
        One record per value; those beyond the end of the branch have no state, and say where it ends and how.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.chaotic.chaotic` and :func:`~meanfield.dmft.knobs.knob`; a start of another form.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, noise=noise, tau=tau)
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
    return Followed(along, *_followed(at, along, start, values.tolist()))


def _followed(at, along, start, values):
    """The points, and the end."""
    first = started(at(values[0]), start)
    if first is None:
        note = f"Newton's method from the given start led to no solution at {along} = {values[0]:.6g}"
        return tuple(FollowedPoint(v, None, FollowStatus.ENDED, note) for v in values), (values[0], values[0])
    line, points, ends = Line(at, first, values[0]), [], {}
    for v in tracked(values, "value"):
        note = next((note for (last, past), note in ends.items() if (v - last) * (past - last) > 0), None)
        solution = line.solution(v) if note is None else None
        if solution is None and note is None:
            end, how = line.end(v)
            solution = line.solution(v)  # where the finer steps towards the end reached it
        if solution is not None:
            points.append(FollowedPoint(v, solution.state(), FollowStatus.FOLLOWED))
            continue
        if note is None:
            note = ends[end] = f"at {along} = {end[0]:.7g} ({how})"
        points.append(FollowedPoint(v, None, FollowStatus.ENDED, note))
    return tuple(points), next(iter(ends), None)
