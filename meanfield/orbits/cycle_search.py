"""All the limit cycles that the flow leads to from the fixed points, and what can be proved about their existence."""

from dataclasses import dataclass

import numpy as np

from ..cycles import NoCycle, arrived, distance, far, limit_cycle
from ..fixed_points import fixed_points
from ..trajectories import Reversed, trajectory

# Starts lie this far from a fixed point, relative to the box, and from a cycle, relative to its extent.
_STEP = 1e-3
# A direction with an eigenvalue of smaller real part (in units of 1/tau) is tried both ways in time.
_NEUTRAL = 1e-9
# Two finds are one cycle when they differ by less than ten times their errors plus these shares: of the period, of the
# multipliers, and of the extent as distance between the orbits. Different cycles this close would be taken for one.
_SAME_PERIOD, _SAME_MULTIPLIER, _SAME_PLACE = 1e-8, 1e-6, 1e-3
# Budget of starts: the search ends by itself unless cycles are nested without end.
_MAX_STARTS = 200
# The transients of all starts are followed together, for so many stretches of so long a time (in tau): long enough to
# come to rest at most fixed points, short enough to notice an escape before the numbers grow large.
_STRETCHES, _STRETCH = 10, 4.0
# Boxes examined at most for Bendixson's criterion.
_MAX_BOXES = 20_000


@dataclass(frozen=True, eq=False)
class LimitCycles:
    """The limit cycles that were found, and what is proved.

    Finding is not proving: these are the cycles to which the flow leads, forward or backward, from next to the fixed
    points, from the walls of the box and from both sides of every cycle found. Only ``excluded`` says that there are no
    others.

    Attributes
    ----------
    cycles : tuple of LimitCycle
        Sorted by period.
    guaranteed : bool
        Proved at rank 2: at least one cycle exists, by the Poincare-Bendixson theorem (:eq:`poincare-bendixson`).
    excluded : bool
        Proved: no cycle exists, at rank 2 by Bendixson's criterion (:eq:`bendixson`), at rank 1 because none can.
    starts : int
        From how many starts the flow was followed.
    unsettled : tuple of str
        What the searches said that ended neither on a cycle nor on a fixed point nor at infinity.
    """

    cycles: tuple
    guaranteed: bool
    excluded: bool
    starts: int
    unsettled: tuple

    def __len__(self):
        return len(self.cycles)

    def __iter__(self):
        return iter(self.cycles)

    def __getitem__(self, i):
        return self.cycles[i]

    @property
    def stable(self):
        """The stable ones, a tuple."""
        return tuple(c for c in self.cycles if c.stable)

    @property
    def summary(self):
        """One line: how many were found, and what is proved."""
        if self.excluded:
            return "no limit cycles: proved"
        cycles = "limit cycle" if len(self) == 1 else "limit cycles"
        found = f"{len(self)} {cycles} found ({len(self.stable)} stable) from {self.starts} starts"
        proof = "proved that at least one exists" if self.guaranteed else "others are not excluded"
        if self.guaranteed and not self.cycles:
            proof += ", so the search missed it: raise max_time"
        if self.unsettled:
            proof += f"; {len(self.unsettled)} searches ended undecided"
        return f"{found}; {proof}"

    def __str__(self):
        return "\n".join([self.summary, *(f"  {c}" for c in self.cycles)])


def limit_cycles(f, fp=None, *, max_time=None, samples=401):
    """The limit cycles to which the flow leads from the fixed points, from the walls of the box and from one another.

    From next to each fixed point the flow is followed along the unstable directions forward in time and, at rank 2,
    along the stable ones backward; at rank 2 likewise from both sides of every cycle found, until nothing new turns up.
    No proof that there are no others, except where ``excluded`` says so.

    Parameters
    ----------
    f : VectorField
        Autonomous. What is proved relies on its ``search_box`` being a box that the flow enters and never leaves.
    fp : FixedPoints or array_like (K, R), optional
        The fixed points. Default: ``fixed_points(f)``. Only a FixedPoints record lets ``guaranteed`` be True.
    max_time : float, optional
        How long to follow the flow from each start (default: that of ``limit_cycle``).
    samples : int
        Number of points on each orbit.

    Returns
    -------
    LimitCycles
        Empty at rank 1.

    Raises
    ------
    ValueError
        A field that is not autonomous.
    """
    if callable(getattr(f, "drive", None)):
        raise ValueError("limit cycles belong to autonomous fields: give every input as a number, or use f.frozen(v)")
    if f.rank < 2 or _divergence_is_negative(f):
        return LimitCycles((), False, True, 0, ())
    fp = fixed_points(f) if fp is None else fp
    points = np.array(getattr(fp, "kappa", fp), dtype=float).reshape(-1, f.rank)
    cycles, starts, unsettled = _explore(f, points, max_time, samples)
    cycles.sort(key=lambda c: (float(f"{c.period:.8g}"), tuple(np.round(c.orbit.mean(0), 6))))
    return LimitCycles(tuple(cycles), _is_guaranteed(f, fp), False, starts, tuple(unsettled))


def _explore(f, points, max_time, samples):
    half = _half_widths(f, points)
    queue = [*_from_points(f, points, _STEP * half.max()), *_from_walls(half)]
    cycles, unsettled, starts = [], [], 0
    while queue and starts < _MAX_STARTS:
        starts += len(queue)
        found = []
        for reverse in (False, True):
            for start in _still_moving(f, [s for s, r in queue if r is reverse], reverse):
                try:
                    known = cycles + found
                    cycle = limit_cycle(f, start, reverse=reverse, max_time=max_time, samples=samples, known=known)
                except NoCycle as nothing:
                    cycle = nothing.cycle
                    if nothing.unsettled:
                        unsettled.append(str(nothing))
                if cycle is not None and not any(_same(cycle, other) for other in cycles + found):
                    found.append(cycle)
        cycles += found
        queue = [pair for cycle in found for pair in _from_sides(f, cycle)] if f.rank == 2 else []
    return cycles, starts, unsettled


def _still_moving(f, starts, reverse):
    """Where the flow stands after the transient, for the starts that have neither come to rest nor escaped: (B, R)."""
    flow = Reversed(f) if reverse else f
    x = np.array(starts).reshape(-1, f.rank)
    limits = np.array([far(flow, start) for start in x])
    for _ in range(_STRETCHES):
        if not len(x):
            break
        path = trajectory(flow, x, _STRETCH * f.tau, rtol=1e-7, atol=1e-10, samples=3).kappa
        middle, end = path[:, 1], path[:, 2]
        gone = ~(np.linalg.norm(end, axis=-1) <= limits)
        middle, end, limits = middle[~gone], end[~gone], limits[~gone]
        rests = arrived(flow, middle, end)[1]
        x, limits = end[~rests], limits[~rests]
    return x


def _half_widths(f, points):
    """Half-widths of a box in which the dynamics takes place."""
    try:
        return np.asarray(f.search_box(), dtype=float)
    except (AttributeError, ValueError):
        return np.full(f.rank, 2 * np.max(np.abs(points), initial=1.0))


def _from_points(f, points, step):
    """(start, reverse) next to fixed points, along the directions in which the flow leaves them that way in time."""
    for z in points:
        values, vectors = np.linalg.eig(f.jacobian(z))
        for value, vector in zip(values, vectors.T, strict=True):
            if value.imag < 0:
                continue
            direction = step * vector.real / np.linalg.norm(vector.real)
            for reverse in (False, True):
                leaves = value.real * f.tau * (-1 if reverse else 1) > -_NEUTRAL
                if leaves and (f.rank == 2 or not reverse):
                    yield z + direction, reverse
                    if value.imag == 0:
                        yield z - direction, reverse


def _from_walls(half):
    for axis in np.diag(half):
        yield axis, False
        yield -axis, False


def _from_sides(f, cycle):
    """Starts on either side of a planar cycle, in the direction of time in which it repels."""
    point = cycle.orbit[0]
    velocity = f(point)
    normal = np.array([-velocity[1], velocity[0]]) / np.linalg.norm(velocity)
    size = np.linalg.norm(cycle.amplitude)
    directions = (False, True) if cycle.kind == "undecided" else (cycle.stable,)
    return [(point + side * _STEP * size * normal, reverse) for side in (1, -1) for reverse in directions]


def _same(a, b):
    """True when two cycles agree in period and multipliers, and half of the one's points lie on the other's orbit."""
    size = np.linalg.norm(a.amplitude)
    error = 10 * (a.period_error + b.period_error) + _SAME_PERIOD * a.period
    difference = np.abs(a.multipliers - b.multipliers)
    multiplier_error = 10 * (a.multiplier_error + b.multiplier_error) + _SAME_MULTIPLIER * np.abs(a.multipliers)
    if abs(a.period - b.period) > error or (difference > multiplier_error).any():
        return False
    return np.median([distance(p, b.orbit) for p in a.orbit[::8]]) <= _SAME_PLACE * size


def _is_guaranteed(f, fp):
    """Poincare-Bendixson: a trapping box of the plane in which every fixed point is a source holds a cycle."""
    kind = getattr(fp, "kind", np.array([]))
    proved = getattr(fp, "complete", False) and getattr(fp, "everywhere", False)
    return bool(f.rank == 2 and proved and len(kind) and (kind == "source").all())


def _divergence_is_negative(f):
    """Bendixson's criterion: True only when the divergence is proved negative all over the box that traps the flow."""
    if f.rank != 2 or not all(hasattr(f, name) for name in ("search_box", "values_with_error", "hessian_bound")):
        return False
    try:
        half = np.asarray(f.search_box(), dtype=float)
    except ValueError:
        return False
    low, high, examined = -half[None], half[None], 0
    while len(low) and examined + len(low) <= _MAX_BOXES:
        examined += len(low)
        centre, radius = (low + high) / 2, (high - low) / 2 * (1 + 1e-12)
        _, _, jacobian, error = f.values_with_error(centre)
        error = error + 4 * np.finfo(float).eps * np.abs(jacobian)  # rounding of the sum
        highest = np.trace(jacobian, axis1=1, axis2=2) + np.trace(error, axis1=1, axis2=2)
        if (highest >= 0).any():
            return False
        reach = (np.diagonal(f.hessian_bound(centre, radius), axis1=1, axis2=2) * radius[:, :, None]).sum((1, 2))
        left = highest + reach * (1 + 1e-12) >= 0
        low, high = _halved(low[left], high[left])
    return not len(low)


def _halved(low, high):
    """Every box cut across its longest side."""
    rows, axis = np.arange(len(low)), np.argmax(high - low, axis=-1)
    middle = (low[rows, axis] + high[rows, axis]) / 2
    below, above = high.copy(), low.copy()
    below[rows, axis] = above[rows, axis] = middle
    return np.concatenate([low, above]), np.concatenate([below, high])
