"""Results to axes: flows, drifts, potentials, fixed points, loadings, matrices.

Every function draws into an axes of the caller and returns it. Nothing here solves or simulates; a vector field is at
most evaluated on a grid (:func:`flow_values`, :func:`drift_values`), and the functions that draw a field take those
values just as well, so that a figure and its stored numbers are the same numbers. Matplotlib is imported when
something is drawn.

Fixed points bear the markers of the thesis: upward triangle source, cross saddle, downward triangle stable. Where a
set could not be resolved into points (a ring, a bifurcation point) its proved enclosure is drawn.
"""

from collections.abc import Mapping
from contextlib import contextmanager

import numpy as np

#: kind of fixed point -> marker, face colour, label; colours of Okabe and Ito, told apart by colour-blind readers
MARKERS = {
    "stable": ("v", "#D55E00", "stable"),
    "saddle": ("X", "#000000", "saddle"),
    "source": ("^", "#FFFFFF", "source"),
    "undecided": ("D", "#999999", "undecided"),
}
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_CYCLE = "#CC79A7"
_SPEED = r"speed $|\mathrm{d}\kappa/\mathrm{d}t|$ (1/$\tau$)"


@contextmanager
def style():
    """Matplotlib settings of our figures: readable fonts, no top and right spines, colours of Okabe and Ito."""
    import matplotlib as mpl
    from matplotlib import cycler

    settings = {
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.labelsize": 10,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=COLOURS),
        "lines.linewidth": 1.6,
        "figure.dpi": 110,
        "savefig.dpi": 150,
        "svg.hashsalt": "meanfield",
    }
    with mpl.rc_context(settings):
        yield


def figure(rows=1, columns=1, width=4.2, height=3.6, **options):
    """A new figure with rows x columns axes (always a 2-d array), laid out by matplotlib; width and height of one axes
    in inches."""
    from matplotlib.figure import Figure

    new = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return new, new.subplots(rows, columns, squeeze=False, **options)


def view(fixed_points=None, cycles=(), trajectories=(), margin=0.3):
    """Axis limits (R, 2) that show fixed points, unresolved sets, cycles and trajectories with the origin, and room
    around them.

    Where nothing but the origin is to be shown, the box that was searched for fixed points.
    """
    points = [np.asarray(path).reshape(-1, np.shape(path)[-1]) for path in (*(c.orbit for c in cycles), *trajectories)]
    if fixed_points is not None:
        points += [fixed_points.kappa] + [np.stack([u.low, u.high]) for u in fixed_points.unresolved]
    if not points:
        raise ValueError(
            "view needs something to show: give fixed_points, cycles or trajectories, or set the limits yourself"
        )
    points = np.concatenate([*points, np.zeros((1, points[0].shape[-1]))])
    low, high = points.min(0), points.max(0)
    span = high - low
    if span.max() < 1e-3 and fixed_points is not None:
        return np.array(fixed_points.box.T)
    # a direction in which nothing extends still shows a neighbourhood
    pad = margin * np.maximum(span, 0.0) + np.where(span < 0.3 * span.max(), 0.35 * span.max(), 0.0)
    return np.stack([low - pad, high + pad], axis=-1)


def flow_values(f, window, points=41, axes=(0, 1), through=None):
    """The field on a grid of the plane of two coordinates, the others held at ``through`` (default 0).

    Parameters
    ----------
    f : VectorField
    window : array_like (2, 2)
        Limits of the two coordinates.
    points : int
        Grid points along each.

    Returns
    -------
    dict
        ``x`` (n,), ``y`` (n,), and ``drift`` (n, n, 2) = tau dkappa/dt of the two coordinates, rows along y.
    """
    if f.rank < 2:
        raise ValueError("a flow in a plane needs rank 2 or more: got rank 1; use plot_drift and plot_potential")
    x, y = (np.linspace(low, high, points) for low, high in window)
    kappa = (
        np.zeros((points, points, f.rank))
        if through is None
        else np.tile(np.asarray(through, float), (points, points, 1))
    )
    kappa[..., axes[0]], kappa[..., axes[1]] = x, y[:, None]
    return {"x": x, "y": y, "drift": f.tau * f(kappa)[..., list(axes)]}


def drift_values(f, window, points=401):
    """Rank 1: ``kappa`` (n,), ``F`` = kappa + tau dkappa/dt (the function whose crossings with y = x are the fixed
    points), ``potential``."""
    kappa = np.linspace(*window, points)
    return {"kappa": kappa, "F": kappa + f.tau * f(kappa[:, None])[:, 0], "potential": f.tau * f.potential(kappa)}


def plot_flow(ax, f, fixed_points=None, cycles=(), trajectories=(), limits=None, points=41, axes=(0, 1), colorbar=True):
    """Streamlines of a flow in a plane, coloured by speed (blue slow, yellow fast), with fixed points, cycles and
    trajectories.

    Parameters
    ----------
    ax : matplotlib Axes
    f : VectorField, or the dict of :func:`flow_values`
    fixed_points : FixedPoints, optional
    cycles : sequence of records with ``orbit`` (T, R)
    trajectories : sequence of ndarray (T, R)
    limits : array_like (R, 2), optional
        Default: :func:`view` of what is shown.
    axes : pair of int
        Which two coordinates.
    """
    if not isinstance(f, Mapping):
        window = view(fixed_points, cycles, trajectories) if limits is None else np.asarray(limits)
        f = flow_values(f, window[list(axes)], points, axes)
    speed = np.linalg.norm(f["drift"], axis=-1)
    lines = ax.streamplot(
        f["x"],
        f["y"],
        *np.moveaxis(f["drift"], -1, 0),
        color=speed,
        cmap="viridis",
        density=1.1,
        linewidth=0.9,
        arrowsize=0.8,
    )
    lines.lines.set_clim(0.0, speed.max())
    if colorbar:
        ax.figure.colorbar(lines.lines, ax=ax, label=_SPEED, shrink=0.85)
    for path in trajectories:
        path = np.asarray(path)
        ax.plot(path[:, axes[0]], path[:, axes[1]], color="#555555", lw=1.2)
        ax.plot(*path[0, list(axes)], "s", color="#555555", ms=4)
    plot_cycles(ax, cycles, axes)
    if fixed_points is not None:
        plot_fixed_points(ax, fixed_points, axes)
    ax.set(xlim=(f["x"][0], f["x"][-1]), ylim=(f["y"][0], f["y"][-1]), xlabel=_kappa(axes[0]), ylabel=_kappa(axes[1]))
    return ax


def plot_cycles(ax, cycles, axes=(0, 1)):
    """Closed orbits: full where stable, dashed where not."""
    for k, cycle in enumerate(cycles):
        orbit = np.asarray(cycle.orbit)[:, list(axes)]
        dashed = not getattr(cycle, "stable", True)
        ax.plot(
            *orbit.T, color=_CYCLE, lw=3, ls="--" if dashed else "-", zorder=4, label="limit cycle" if k == 0 else None
        )
    return ax


def plot_fixed_points(ax, fixed_points, axes=(0, 1), legend=True):
    """Markers at the fixed points, and the enclosures of what could not be resolved into points.

    At rank 1 they stand on the horizontal axis, unless :func:`plot_drift` or :func:`plot_potential` draw them.
    """
    points = fixed_points.kappa if fixed_points.field.rank > 1 else np.pad(fixed_points.kappa, ((0, 0), (0, 1)))
    for unresolved in fixed_points.unresolved:
        _plot_unresolved(ax, unresolved, axes)
    _mark(ax, *points[:, list(axes)].T, fixed_points.kind)
    if legend and (len(points) or fixed_points.unresolved):
        _legend(ax)
    return ax


def _plot_unresolved(ax, unresolved, axes):
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    axes = [a for a in axes if a < unresolved.low.shape[0]]
    if len(axes) == 2 and unresolved.kind != "degenerate":
        corners = unresolved.boxes[:, :, axes]
        patches = [Rectangle(low, *(high - low)) for low, high in corners]
        label = f"{unresolved.kind}, enclosed"
        ax.add_collection(
            PatchCollection(patches, facecolor=_CYCLE, edgecolor=_CYCLE, lw=1.5, zorder=3, alpha=0.8, label=label)
        )
        return
    centre = np.zeros(2)
    centre[: len(axes)] = 0.5 * (unresolved.low + unresolved.high)[axes]
    ax.plot(*centre, "D", mfc=_CYCLE, mec="black", ms=8, zorder=6, ls="none", label=f"{unresolved.kind}, enclosed")


def _mark(ax, x, y, kinds):
    for kind, (marker, colour, label) in MARKERS.items():
        chosen = kinds == kind
        if chosen.any():
            edge = "white" if kind == "saddle" else "black"
            ax.plot(
                x[chosen], y[chosen], marker, ms=10, mfc=colour, mec=edge, mew=1.1, ls="none", zorder=6, label=label
            )


def _legend(ax):
    handles, labels = ax.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if unique:
        ax.legend(
            unique.values(),
            unique.keys(),
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=4,
            handletextpad=0.3,
            columnspacing=1.0,
        )


def plot_drift(ax, f, fixed_points=None, limits=None, label=None):
    """Rank 1: F(kappa) = kappa + tau dkappa/dt with the line y = x; the fixed points are their crossings (thesis Fig.
    2.1).

    ``f`` is a VectorField or the dict of :func:`drift_values`.
    """
    values = _line_values(f, fixed_points, limits)
    kappa = values["kappa"]
    ax.plot(kappa, values["F"], color=COLOURS[0], label=label or r"$F(\kappa)$")
    ax.plot(kappa, kappa, color=COLOURS[1], label=r"$y=\kappa$")
    if fixed_points is not None:
        points = fixed_points.kappa[:, 0]
        _plot_unresolved_line(ax, fixed_points, lambda k: k)
        _mark(ax, points, points, fixed_points.kind)
    ax.margins(y=0.1)
    ax.set(xlabel=r"$\kappa$", ylabel=r"$F(\kappa)$", xlim=(kappa[0], kappa[-1]))
    ax.legend(loc="best")
    return ax


def plot_potential(ax, f, fixed_points=None, limits=None):
    """Rank 1: the potential V with tau dkappa/dt = -dV/dkappa and V(0) = 0; minima are stable (thesis eq. 2.5, Fig.
    2.1)."""
    values = _line_values(f, fixed_points, limits)
    ax.plot(values["kappa"], values["potential"], color=COLOURS[0])
    if fixed_points is not None:
        at = lambda k: np.interp(k, values["kappa"], values["potential"])  # noqa: E731
        _plot_unresolved_line(ax, fixed_points, at)
        _mark(ax, fixed_points.kappa[:, 0], at(fixed_points.kappa[:, 0]), fixed_points.kind)
    ax.margins(y=0.1)
    ax.set(xlabel=r"$\kappa$", ylabel=r"potential $V(\kappa)$", xlim=(values["kappa"][0], values["kappa"][-1]))
    return ax


def _line_values(f, fixed_points, window):
    if isinstance(f, Mapping):
        return f
    return drift_values(f, view(fixed_points)[0] if window is None else window)


def _plot_unresolved_line(ax, fixed_points, height):
    for u in fixed_points.unresolved:
        kappa = np.array([u.low[0], u.high[0]])
        if u.kind == "degenerate":
            kappa = kappa.mean(keepdims=True)
        ax.plot(kappa, height(kappa), "D-", color=_CYCLE, mec="black", ms=7, zorder=5, label=f"{u.kind}, enclosed")


def plot_loadings(ax, x, y, group=None, labels=None, slopes=(), names=("x", "y"), size=6):
    """Scatter of two loadings, one colour per group, with regression lines through the origin of the means.

    Parameters
    ----------
    x, y : ndarray (N,)
    group : ndarray (N,) of int, optional
    labels : sequence of str, optional
        One per group.
    slopes : sequence of (slope, intercept, label, colour)
    names : pair of str
        Axis labels.
    """
    group = np.zeros(len(x), dtype=int) if group is None else np.asarray(group)
    for g in np.unique(group):
        chosen = group == g
        ax.scatter(
            x[chosen],
            y[chosen],
            s=size,
            color=COLOURS[g % len(COLOURS)],
            alpha=0.5,
            lw=0,
            label=labels[g] if labels else None,
            rasterized=len(x) > 5000,
        )
    ends = np.array(ax.get_xlim())
    for slope, intercept, label, colour in slopes:
        ax.plot(ends, slope * ends + intercept, color=colour, lw=2.2, label=label)
    ax.set(xlim=ends, xlabel=names[0], ylabel=names[1])
    if labels or slopes:
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=2,
            handletextpad=0.4,
            columnspacing=1.0,
            markerscale=2.5,
        )
    return ax


def plot_matrix(ax, matrix, labels=None, numbers=None, boundaries=(), label="", limit=None):
    """Heat map of a signed matrix, white at zero, entries printed when there are few; ``boundaries`` separate
    blocks."""
    matrix = np.asarray(matrix)
    limit = limit or np.abs(matrix).max() or 1.0
    image = ax.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest", rasterized=True)
    ax.figure.colorbar(image, ax=ax, shrink=0.85, label=label)
    for b in boundaries:
        ax.axhline(b - 0.5, color="black", lw=0.6)
        ax.axvline(b - 0.5, color="black", lw=0.6)
    if numbers or (numbers is None and matrix.size <= 64):
        for (i, j), value in np.ndenumerate(matrix):
            ax.text(
                j,
                i,
                f"{round(value / limit, 9) * limit + 0.0:.3g}",
                ha="center",
                va="center",
                color="white" if abs(value) > 0.6 * limit else "black",
            )
    if labels is not None:
        ax.set_xticks(range(len(labels)), labels)
        ax.set_yticks(range(len(labels)), labels)
    return ax


def plot_population_graph(ax, matrix, labels, threshold=1e-9):
    """Populations as nodes with their mean connections as arrows (thesis Fig. 4.4): green exciting, red inhibiting.

    Parameters
    ----------
    matrix : ndarray (P, P)
        ``matrix[p, q]``: mean connection from population q to population p.
    """
    matrix, count = np.asarray(matrix), len(matrix)
    angle = np.pi * (0.75 - 2 * np.arange(count) / count)
    place = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    strongest = np.abs(matrix).max() or 1.0
    for p, q in np.argwhere(np.abs(matrix) > threshold):
        colour = "#009E73" if matrix[p, q] > 0 else "#D55E00"
        look = {
            "arrowstyle": "-|>",
            "color": colour,
            "lw": 0.6 + 2 * abs(matrix[p, q]) / strongest,
            "shrinkA": 17,
            "shrinkB": 17,
        }
        start, end, look["connectionstyle"] = place[q], place[p], "arc3,rad=0.12"
        if p == q:
            across = 0.16 * np.array([-place[p][1], place[p][0]])
            start, end, look["connectionstyle"] = 1.12 * place[p] - across, 1.12 * place[p] + across, "arc3,rad=1.6"
            look.update(shrinkA=6, shrinkB=6)
        ax.annotate("", end, start, arrowprops=look)
    ax.plot(*place.T, "o", ms=32, mfc="white", mec="black")
    for (x, y), text in zip(place, labels, strict=True):
        ax.text(x, y, text, ha="center", va="center")
    ax.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal")
    ax.axis("off")
    return ax


def _kappa(axis):
    return rf"$\kappa_{{{axis + 1}}}$"
