"""What a page about a network needs: its portrait under each input, the figures with their numbers, and checked
statements."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from meanfield import plotting
from meanfield.dynamics import VectorField, reduce
from meanfield.fixed_points import FixedPoints, fixed_points


@dataclass(frozen=True)
class Condition:
    """Constant inputs under which a network is looked at: a label for people, and amplitudes by name (unlisted:
    off)."""

    label: str = "no input"
    inputs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Portrait:
    """All fixed points and the cycles found of one network under one condition.

    Attributes
    ----------
    condition : Condition
    field : VectorField
    fixed_points : FixedPoints
    cycles : tuple of LimitCycle
        Found numerically; unlike the fixed points they are not proved to be all.
    cycle_search : LimitCycles or None
        How they were searched for, and what is proved about their existence; None where no cycle was looked for.
    """

    condition: Condition
    field: VectorField
    fixed_points: FixedPoints
    cycles: tuple = ()
    cycle_search: object = None


@dataclass(frozen=True, eq=False)
class Figure:
    """A picture and the numbers behind it.

    Attributes
    ----------
    name : str
        A word, fit for a file name.
    caption : str
    draw : callable
        Returns a new matplotlib figure; draws ``data`` and nothing else.
    data : dict of str to ndarray
    """

    name: str
    caption: str
    draw: Callable
    data: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Statement:
    """One checked line: what is claimed, what is found, what is expected and from where.

    ``holds`` is None where there is nothing to compare with (a number of ours that the source does not give).
    """

    text: str
    value: str
    expected: str
    holds: bool | None
    source: str


def portrait(c, transfer="tanh", condition=None, progress=None, cycles=None, **search):
    """Reduce, find all fixed points, and look for limit cycles.

    Parameters
    ----------
    c : Connectivity
    transfer : Transfer or str
    condition : Condition, optional
        Default: no input.
    progress : callable, optional
        Handed to :func:`meanfield.fixed_points`.
    cycles : bool, optional
        Whether to look for limit cycles. Default: at rank 2 and more, when a fixed point is a source or an unstable
        focus.
    **search
        ``box`` and ``max_boxes`` of :func:`meanfield.fixed_points`.

    Returns
    -------
    Portrait
    """
    condition = condition or Condition()
    f = reduce(c, transfer, condition.inputs)
    found = fixed_points(f, progress=progress, **search)
    if cycles is None:
        cycles = f.rank > 1 and _may_feed_a_cycle(found)
    if not cycles:
        return Portrait(condition, f, found)
    from meanfield.orbits.cycle_search import limit_cycles

    cycle_search = limit_cycles(f, found)
    return Portrait(condition, f, found, cycle_search.cycles, cycle_search)


def _may_feed_a_cycle(found):
    growing = found.eigenvalues.real > 0
    return bool(np.any(found.kind == "source") or np.any(growing & (found.eigenvalues.imag != 0)))


def standard_figures(portraits, points=41):
    """The figures every network gets, by rank.

    Rank 1: F(kappa) with y = x, and the potential (thesis Fig. 2.1, 2.3). Rank 2: the flow (thesis Fig. 4.1). Rank 3
    and 4: the flow and the fixed points in each coordinate plane.

    Parameters
    ----------
    portraits : sequence of Portrait
        Of one network, one per condition; they are drawn side by side on common axes.
    points : int
        Grid points along each axis of a flow.

    Returns
    -------
    tuple of Figure
    """
    portraits = tuple(portraits)
    rank = portraits[0].field.rank
    if rank == 1:
        return (_line_figure(portraits, 10 * points),)
    if rank == 2:
        return (_plane_figure(portraits, points),)
    return tuple(_projections(p, k, points) for k, p in enumerate(portraits))


def common_limits(portraits):
    """Axis limits (R, 2) that show all of these portraits."""
    windows = np.array([plotting.view(p.fixed_points, p.cycles) for p in portraits])
    return np.stack([windows[..., 0].min(0), windows[..., 1].max(0)], axis=-1)


def portrait_data(portrait, prefix=""):
    """Fixed points, unresolved sets and cycles of a portrait as arrays, named with a prefix."""
    fp = portrait.fixed_points
    data = {
        "fixed_points": fp.kappa,
        "radius": fp.radius,
        "kind": np.asarray(fp.kind, dtype=str),
        "eigenvalues": fp.eigenvalues,
    }
    if portrait.field.v.size:
        data["inputs"] = portrait.field.v
    for i, u in enumerate(fp.unresolved):
        data[f"unresolved{i}_boxes"], data[f"unresolved{i}_points"] = u.boxes, u.points
    for i, cycle in enumerate(portrait.cycles):
        data[f"cycle{i}_orbit"], data[f"cycle{i}_period"] = np.asarray(cycle.orbit), np.asarray(cycle.period)
    return {f"{prefix}{name}": value for name, value in data.items()}


def _prefix(k, portraits):
    return f"{k}_" if len(portraits) > 1 else ""


def _collect(portraits, values):
    data = {}
    for k, (p, value) in enumerate(zip(portraits, values, strict=True)):
        prefix = _prefix(k, portraits)
        data.update({f"{prefix}{name}": array for name, array in value.items()} | portrait_data(p, prefix))
    return data


def _line_figure(portraits, points):
    window = common_limits(portraits)[0]
    values = [plotting.drift_values(p.field, window, points + 1) for p in portraits]

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(len(portraits), 2, height=3.0)
            for row, p, value in zip(axes, portraits, values, strict=True):
                plotting.plot_drift(row[0], value, p.fixed_points).set_title(p.condition.label)
                plotting.plot_potential(row[1], value, p.fixed_points)
        return figure

    caption = (
        "Left: F(kappa), whose crossings with y = kappa are the fixed points. Right: the potential V, tau "
        "dkappa/dt = -dV/dkappa. "
        "Triangle up: unstable; triangle down: stable."
    )
    return Figure("drift", caption, draw, _collect(portraits, values))


def _plane_figure(portraits, points):
    window = common_limits(portraits)
    values = [plotting.flow_values(p.field, window, points) for p in portraits]
    columns = min(len(portraits), 3)

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(-(-len(portraits) // columns), columns, width=4.9, height=4.6)
            for ax, p, value in zip(axes.flat, portraits, values, strict=False):
                plotting.plot_flow(ax, value, p.fixed_points, p.cycles).set_title(p.condition.label)
            for ax in axes.flat[len(portraits) :]:
                ax.axis("off")
        return figure

    caption = (
        "Flow of the collective variables; colour: speed, blue slow, yellow fast. Triangle up: source; cross: "
        "saddle; triangle down: "
        "stable; thick line: limit cycle (dashed when it repels)."
    )
    return Figure("flow", caption, draw, _collect(portraits, values))


def _projections(portrait, k, points):
    rank, window = portrait.field.rank, plotting.view(portrait.fixed_points, portrait.cycles)
    planes = [(i, j) for i in range(rank) for j in range(i + 1, rank)]
    values = [plotting.flow_values(portrait.field, window[list(plane)], points, plane) for plane in planes]

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(-(-len(planes) // 3), 3, width=4.9, height=4.6)
            for ax, plane, value in zip(axes.flat, planes, values, strict=False):
                plotting.plot_flow(ax, value, portrait.fixed_points, portrait.cycles, axes=plane)
            figure.suptitle(portrait.condition.label)
        return figure

    data = portrait_data(portrait)
    for (i, j), value in zip(planes, values, strict=True):
        data |= {f"plane{i + 1}{j + 1}_{name}": array for name, array in value.items()}
    caption = "Fixed points projected on each plane, and the flow within the plane through the origin."
    return Figure(f"projections{k}", f"{caption} Condition: {portrait.condition.label}.", draw, data)
