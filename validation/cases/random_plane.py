"""The plane of the strength of the random part and the overlap of the means: what attracts where."""

import numpy as np

from meanfield import dmft, plotting
from meanfield.averages import gaussian_average
from meanfield.connectivity import Connectivity
from meanfield.dmft import plots

from ..analysis import Figure
from ..landscape import landscape
from . import checks

MEAN_M, MEAN_N, G = 1.1, 2.0, 0.8
#: The plane of the phase diagram, and its regions.
SPAN_G, SPAN_OVERLAP = (0.02, 2.6), (0.2, 3.0)
REGIONS = ("decay to rest", "structured, static", "structured, chaotic", "chaotic, no structure")
#: kappa below this is none.
NONE = 1e-6


def network(g, overlap=MEAN_M * MEAN_N):
    """The connectivity of the figure, with the mean of n for this overlap of the means."""
    parameters = {"mean m1": MEAN_M, "mean n1": overlap / MEAN_M, "m1 m1": 1.0, "n1 n1": 1.0}
    return Connectivity.from_overlaps([parameters], rank=1, g=g)


def diagram(quick, onset, end):
    """The phase diagram as a figure, and statements: its lines, what attracts beside them.

    ``onset`` and ``end`` are the transitions at the overlap of the example, which the lines must pass through.
    """
    lines, regions = _lines_and_regions(quick)
    return _diagram_figure(lines, regions), [_line_agrees(lines, onset, end), *_kinds_that_attract(quick)]


def end_of_structure(g):
    """The overlap of the means below which the structure ends: 1 where rest attracts, 1/<phi'> of chaos above g = 1."""
    chaos = dmft.follow(network(g.max(), 0.5), values=g[g > 1][::-1])
    gains = [float(gaussian_average("tanh", mean=0.0, variance=p.state.delta0[0], order=1)) for p in chaos]
    return np.concatenate([np.ones((g <= 1).sum()), 1 / np.array(gains[::-1])])


def onset_of_chaos(overlaps, low, high, steps=42):
    """g at which the bulk radius of the structured state at rest passes 1, for many overlaps at once, by bisection."""
    low, high = np.broadcast_to(low, overlaps.shape).copy(), np.asarray(high, float).copy()
    start = dmft.stationary(network(G))[-1]
    for _ in range(steps):
        middle = (low + high) / 2
        state = dmft.stationary_branch(network(G), vary={"g": middle, "mean n1": overlaps / MEAN_M}, start=start)
        # a state without kappa is past the end of the structure
        calm = (state.kappa[:, 0] > NONE) & (state.bulk_radius < 1)
        low, high = np.where(calm, middle, low), np.where(calm, high, middle)
    return (low + high) / 2


def _lines_and_regions(quick):
    """Lines of the phase diagram, and what attracts on a grid: stationary states at once, chaos from the lines."""
    g = np.linspace(1.0, SPAN_G[1], 12 if quick else 40)
    end = end_of_structure(g)
    overlaps = np.append(np.linspace(1.02, SPAN_OVERLAP[1], 11 if quick else 28), MEAN_M * MEAN_N)
    overlaps.sort()
    onset = onset_of_chaos(overlaps, 0.9, np.full(len(overlaps), SPAN_G[1] + 1))
    fine_g, fine = (np.linspace(*span, 60 if quick else 160) for span in (SPAN_G, SPAN_OVERLAP))
    grid_g, grid = np.meshgrid(fine_g, fine)
    vary = {"g": grid_g, "mean n1": grid / MEAN_M}
    state = dmft.stationary_branch(network(G), vary=vary, start=dmft.stationary(network(G))[-1])
    structured = np.abs(state.kappa[..., 0]) > 1e-4
    above = grid > np.interp(grid_g, g, end)
    kinds = np.where(grid_g < 1, 0, 3)
    kinds = np.where(above, np.where(state.stable & structured, 1, 2), kinds)
    lines = {"g": g, "end": end, "overlap": overlaps, "onset": onset}
    return lines, {"grid_g": fine_g, "grid_overlap": fine, "kinds": kinds}


def _line_agrees(lines, onset, end):
    k = int(np.argmin(np.abs(lines["overlap"] - MEAN_M * MEAN_N)))
    off = abs(lines["onset"][k] - onset.value)
    gap = abs(np.interp(end.value, lines["g"], lines["end"]) - MEAN_M * MEAN_N)
    allowed = np.diff(lines["g"])[0] ** 2 / 8  # between points of a line whose second derivative is below 1
    text = "the lines of the phase diagram pass through g_C and g_B"
    expected = f"1e-9 (bisection), {allowed:.0e} (interpolation)"
    return checks.claim(text, off < 1e-9 and gap < allowed, f"off by {off:.0e} and {gap:.0e}", expected)


def kind(g, overlap):
    """Which regions attract at a point of the plane, by a complete search for states: sorted places in REGIONS."""
    found = set()
    for s in landscape(network(g, overlap)).attractors:
        rest, structured = hasattr(s, "outliers"), abs(s.kappa[0]) > NONE
        found.add((1 if rest else 2) if structured else 0 if rest else 3)
    return sorted(found)


def _kinds_that_attract(quick):
    """The whole search at points of every region: the regions are those of the lines, and no two kinds coexist."""
    g = np.array([0.5, 1.2, 1.9, 2.3] if quick else [0.5, 0.8, 1.05, 1.2, 1.5, 1.9, 2.1, 2.4])
    end = np.ones(len(g))
    end[g > 1] = end_of_structure(g[g > 1])
    share = (0.9, 1.1) if quick else (0.5, 0.99, 1.01, 1.1, 1.3)
    points = [(float(x), float(e * f), f > 1) for x, e in zip(g, end, strict=True) for f in share]
    overlaps = np.array([o for _, o, above in points])
    onset = onset_of_chaos(np.maximum(overlaps, 1.05), 0.5, np.full(len(points), 6.0))
    expected = [
        (1 if x < line else 2) if above else 0 if x < 1 else 3
        for (x, _, above), line in zip(points, onset, strict=True)
    ]
    found = [kind(x, o) for x, o, _ in points]
    wrong = [p[:2] for p, f, e in zip(points, found, expected, strict=True) if f != [e]]
    several = sum(len(f) > 1 for f in found)
    yield checks.claim(
        f"what attracts at {len(points)} points of the plane (all states at rest, all fluctuating ones that the search "
        "meets) is what the lines say",
        not wrong,
        f"{len(points) - len(wrong)} points agree" + "".join(f"; not g = {g:g}, overlap {o:.4g}" for g, o in wrong[:3]),
        "all",
    )
    yield checks.claim(
        "two kinds of attractor at one point: rest or chaos with structure beside another kind (the mirror image "
        "-kappa aside)",
        several == 0,
        f"at {several} of {len(points)} points, the nearest {min(abs(f - 1) for f in share):.0%} off the end",
        "none: the structure ends continuously, in a pitchfork",
    )


def _diagram_figure(lines, regions):
    data = lines | regions

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=6.0, height=4.8)
            ax = axes[0, 0]
            plots.plot_regions(ax, data["grid_g"], data["grid_overlap"], data["kinds"], REGIONS)
            left = np.array([0.0, *data["g"]]), np.array([1.0, *data["end"]])
            ax.plot(*left, color=plotting.COLOURS[0], lw=1.8)
            ax.plot(data["onset"], data["overlap"], color=plotting.COLOURS[5], lw=1.8)
            ax.plot([1, 1], [0, 1], color=plotting.COLOURS[2], lw=1.8)
            ax.plot([0, SPAN_G[1]], [MEAN_M * MEAN_N] * 2, "k:", lw=1.0)
            ax.annotate("branches", (0.08, MEAN_M * MEAN_N), xytext=(0, 3), textcoords="offset points", fontsize=8)
            ax.set(xlabel="g", ylabel="overlap of the means", xlim=(0, SPAN_G[1]), ylim=SPAN_OVERLAP)
        return figure

    caption = (
        "What attracts, by the strength of the random part and the overlap of the means of m and n. Regions: stability "
        "of the states at rest on a grid, and the lines. Lines, roots of the theory: end of the structure (blue), "
        "onset of chaos in the structured state (orange-red), onset of chaos without structure, g = 1 (green). Dotted: "
        "the overlap of the other figure, where networks were drawn."
    )
    return Figure("diagram", caption, draw_it, data)
