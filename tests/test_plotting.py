"""What is drawn: the numbers in the axes, not the pixels."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_hex

from meanfield import plotting
from meanfield.connectivity import Connectivity
from meanfield.dynamics import reduce
from meanfield.fixed_points import fixed_points


def field(rank, **overlaps):
    keys = {key.replace("_", " "): value for key, value in overlaps.items()}
    return reduce(Connectivity.from_overlaps([keys], rank=rank))


@pytest.fixture(scope="module")
def plane():
    f = field(2, n1_m1=2.5, n2_m1=0.5, n2_m2=1.5)
    return f, fixed_points(f)


@pytest.fixture(scope="module")
def line():
    f = field(1, n1_m1=2.0)
    return f, fixed_points(f)


@pytest.fixture(scope="module")
def ring():
    f = field(2, n1_m1=2.0, n2_m2=2.0)
    return f, fixed_points(f)


@pytest.fixture
def ax():
    return plotting.figure()[1][0, 0]


def marked(ax):
    """{marker: points (K, 2)} of everything drawn with a marker."""
    return {
        line.get_marker(): np.column_stack(line.get_data())
        for line in ax.lines
        if line.get_marker() not in ("None", "s")
    }


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_importing_does_not_import_matplotlib():
    code = "import sys, meanfield.plotting; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_flow_values_are_the_field(plane):
    f, _ = plane
    values = plotting.flow_values(f, [(-2, 1), (-1, 3)], points=7)
    assert (values["x"][0], values["x"][-1], values["y"][0], values["y"][-1]) == (-2, 1, -1, 3)
    for i, j in ((0, 0), (2, 5), (6, 1)):
        at = f(np.array([values["x"][j], values["y"][i]]))
        assert np.allclose(values["drift"][i, j], at, rtol=0, atol=1e-15)  # batches may sum in another order


def test_flow_values_are_in_units_of_tau():
    slow = reduce(field(2, n1_m1=2.0).connectivity, tau=0.1)
    fast = reduce(slow.connectivity, tau=1.0)
    one, two = (plotting.flow_values(f, [(-1, 1), (-1, 1)], points=5)["drift"] for f in (slow, fast))
    assert np.allclose(one, two, rtol=1e-14)


def test_flow_in_another_plane_of_rank_three():
    f = field(3, n1_m1=2.5, n2_m2=2.0, n3_m3=1.5, n1_m3=0.5)
    values = plotting.flow_values(f, [(-1, 1), (-2, 2)], points=5, axes=(0, 2), through=[9.0, 0.3, 9.0])
    at = f(np.array([values["x"][1], 0.3, values["y"][4]]))
    assert np.allclose(values["drift"][4, 1], at[[0, 2]], rtol=0, atol=1e-15)


def test_rank_one_has_no_plane(line):
    with pytest.raises(ValueError, match="rank 2 or more: got rank 1; use plot_drift"):
        plotting.flow_values(line[0], [(-1, 1), (-1, 1)])


def test_markers_stand_on_the_fixed_points_by_kind(ax, plane):
    f, fp = plane
    plotting.plot_flow(ax, f, fp, points=9)
    found = marked(ax)
    assert set(found) == {"v", "X", "^"}
    for kind, marker in (("stable", "v"), ("saddle", "X"), ("source", "^")):
        assert np.array_equal(found[marker], fp.kappa[fp.kind == kind])
    assert labels(ax) == ["stable", "saddle", "source"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"$\kappa_{1}$", r"$\kappa_{2}$")


def test_streamlines_are_coloured_by_speed_from_zero(ax, plane):
    f, fp = plane
    values = plotting.flow_values(f, plotting.view(fp), points=15)
    plotting.plot_flow(ax, values, fp)
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    fastest = np.linalg.norm(values["drift"], axis=-1).max()
    assert lines.get_clim() == (0.0, fastest)
    assert 0 <= lines.get_array().min() and lines.get_array().max() <= fastest * (1 + 1e-12)
    assert lines.get_cmap().name == "viridis"
    bar = [a for a in ax.figure.axes if a is not ax]
    assert "tau" in bar[0].get_ylabel()


def test_view_shows_everything_with_room(plane, ring):
    for _, fp in (plane, ring):
        low, high = plotting.view(fp).T
        shown = np.concatenate([fp.kappa, *(u.points for u in fp.unresolved), np.zeros((1, 2))])
        span = np.ptp(shown, axis=0)
        assert (shown > low + 0.2 * span).all() and (shown < high - 0.2 * span).all()
    orbit = SimpleNamespace(orbit=np.array([[5.0, 0.0], [0.0, -7.0]]))
    low, high = plotting.view(plane[1], [orbit]).T
    assert high[0] > 5 and low[1] < -7
    assert plotting.view(trajectories=[np.array([[0.0, 3.0], [1.0, 2.0]])])[1, 1] > 3
    with pytest.raises(ValueError, match="something to show"):
        plotting.view()


def test_view_of_a_single_point_is_the_searched_box():
    fp = fixed_points(field(1, n1_m1=0.8))
    assert np.array_equal(plotting.view(fp), fp.box.T)


def test_a_ring_is_drawn_as_its_enclosure(ax, ring):
    f, fp = ring
    plotting.plot_flow(ax, f, fp, points=9)
    (patches,) = [c for c in ax.collections if isinstance(c, PatchCollection)]
    assert len(patches.get_paths()) == sum(len(u.boxes) for u in fp.unresolved)
    corners = np.concatenate([path.vertices for path in patches.get_paths()])
    assert np.allclose(corners.min(0), fp.unresolved[0].low) and np.allclose(corners.max(0), fp.unresolved[0].high)
    assert "continuum, enclosed" in labels(ax)


def test_a_bifurcation_point_is_drawn_as_a_point(ax):
    f = field(1, n1_m1=1.0)
    fp = fixed_points(f)
    assert [u.kind for u in fp.unresolved] == ["degenerate"]
    plotting.plot_drift(ax, f, fp, limits=(-2, 2))
    ((x, y),) = marked(ax)["D"]
    # somewhere in the enclosure, which contains 0
    assert abs(x) < 1e-2 and x == y


def test_cycles_are_closed_and_dashed_when_they_repel(ax):
    angle = np.linspace(0, 2 * np.pi, 30)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    cycles = [SimpleNamespace(orbit=circle, stable=True), SimpleNamespace(orbit=2 * circle, stable=False)]
    plotting.plot_cycles(ax, cycles)
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--"]
    assert np.array_equal(np.column_stack(ax.lines[1].get_data()), 2 * circle)


def test_trajectories_start_at_a_square(ax, plane):
    path = np.array([[1.0, 1.0], [1.5, 0.9]])
    plotting.plot_flow(ax, plane[0], trajectories=[path], points=9)
    (start,) = [line for line in ax.lines if line.get_marker() == "s"]
    assert np.array_equal(np.ravel(start.get_data()), path[0])


def test_drift_crosses_the_diagonal_at_the_fixed_points(ax, line):
    f, fp = line
    values = plotting.drift_values(f, (-2, 2), points=41)
    assert np.allclose(values["F"] - values["kappa"], f(values["kappa"][:, None])[:, 0], rtol=0, atol=1e-15)
    plotting.plot_drift(ax, values, fp)
    assert np.array_equal(ax.lines[0].get_ydata(), values["F"])
    assert np.array_equal(ax.lines[1].get_ydata(), values["kappa"])
    assert np.array_equal(marked(ax)["v"], np.tile(fp.stable, 2))
    assert np.array_equal(marked(ax)["^"], [[0, 0]])


def test_potential_has_its_markers_on_the_curve(ax, line):
    f, fp = line
    plotting.plot_potential(ax, f, fp)
    x, y = marked(ax)["v"].T
    # the curve is interpolated linearly between 401 points
    assert np.allclose(y, f.potential(x), rtol=0, atol=1e-4)
    assert ax.lines[0].get_ydata().min() >= y.min() - 1e-9


def test_loadings_are_split_by_group_with_their_lines(ax):
    x, y = np.arange(6.0), np.arange(6.0) ** 2
    group = np.array([0, 1, 0, 1, 0, 2])
    plotting.plot_loadings(ax, x, y, group, ["a", "b", "c"], [(2.0, -1.0, "fit", "black")], ("$m_1$", "$n_1$"))
    assert [len(c.get_offsets()) for c in ax.collections] == [3, 2, 1]
    assert np.array_equal(ax.collections[1].get_offsets(), [[1, 1], [3, 9]])
    ends, heights = ax.lines[0].get_data()
    assert np.allclose(heights, 2 * ends - 1)
    assert labels(ax) == ["a", "b", "c", "fit"]


def test_matrix_prints_its_entries_and_is_white_at_zero(ax):
    plotting.plot_matrix(ax, [[4.0, 1e-17], [-4.0, 0.5]], labels=["1", "2"])
    assert [t.get_text() for t in ax.texts] == ["4", "0", "-4", "0.5"]
    (image,) = ax.images
    assert image.get_clim() == (-4.0, 4.0)
    assert np.array_equal(image.get_array(), [[4.0, 1e-17], [-4.0, 0.5]])
    middle = np.array(image.to_rgba(np.array([[0.0]])))[0, 0, :3]
    assert middle.min() > 0.95


def test_graph_has_an_arrow_for_every_connection_green_or_red(ax):
    plotting.plot_population_graph(ax, [[4.0, -2.0], [0.0, 4.0]], ["one", "two"])
    arrows = [a.arrow_patch for a in ax.texts if getattr(a, "arrow_patch", None)]
    assert len(arrows) == 3
    assert sorted(to_hex(a.get_edgecolor()) for a in arrows) == sorted(["#009e73", "#009e73", "#d55e00"])
    # from population 2 to population 1, thinner than a connection of twice its strength
    assert arrows[1].get_linewidth() < arrows[0].get_linewidth()
    assert {t.get_text() for t in ax.texts} >= {"one", "two"}


def test_style_leaves_no_trace():
    import matplotlib as mpl

    before = mpl.rcParams["legend.frameon"]
    with plotting.style():
        assert mpl.rcParams["legend.frameon"] is False
    assert mpl.rcParams["legend.frameon"] == before
