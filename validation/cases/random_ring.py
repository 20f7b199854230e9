"""Rank two with a random part: a ring of states, at rest and chaotic."""

import numpy as np

from meanfield import dmft, plotting
from meanfield.connectivity import Connectivity
from meanfield.dmft.following import follow

from ..analysis import Figure
from ..networks import draw
from ..random_pictures import plot_draws, plot_plane
from ..simulation import simulate
from ..workers import over
from . import checks, derivations, draws
from .record import Case

_MO18 = "Mastrogiuseppe & Ostojic, Neuron 2018"
BLUE, ORANGE = plotting.COLOURS[0], plotting.COLOURS[5]
#: Overlap, strength of the random part on the ring at rest and on the chaotic one.
OVERLAP, G, CHAOTIC = 3.0, 0.8, 2.4
#: Sizes and draws, in full and in brief.
FULL, QUICK = ((400, 800, 1600), 8), ((250, 500, 750), 6)
#: Starts around the ring, and how long each is followed, in tau.
ANGLES, DURATION = 6, 24.0
#: When the ring at rest is measured: kappa has come to rest across it, but has not yet drifted to the stable points
#: that single networks have. These lie farther out, by order 1/sqrt(N). And from when on the chaotic ring is measured.
AT_REST, CHAOTIC_FROM = (4.0, 12.0), 12.0
# Steps of simulated networks in tau, by rk4: its error is far below any spread.
_STEP = 0.2
_VARIANCE = derivations.variance_at_gain(1 / OVERLAP)


def mean_square_slope(variance):
    """<tanh'^2> over N(0, variance): tanh''' = 4 tanh' - 6 tanh'^2."""
    return (4 * derivations.gain(1, variance) - derivations.gain(3, variance)) / 6


def ring_radius(g):
    """|kappa| at rest: <phi'> = 1/overlap fixes Delta_0, <phi^2> = 1 - <phi'>, and kappa is what is left."""
    return np.sqrt(_VARIANCE - g * g * (1 - 1 / OVERLAP))


def drift(shared, job):
    """A worker's job: kappa (B, T, R) of one network from starts all around the ring, with its overlaps exactly."""
    c, radius = shared
    n_neurons, seed = job
    net = draw(c, n_neurons, seed, match_moments=True)
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    start = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    noise = np.random.default_rng([*seed, 1]).standard_normal((ANGLES, n_neurons))
    x = start @ net.m.T + np.sqrt(_VARIANCE - radius**2) * noise
    run = simulate(
        net, duration=DURATION, dt=_STEP, start=x, method="rk4", dtype="float32", record_x=False, progress=False
    )
    return run.kappa


def _ring(result, quick, seed):
    states, (sizes, many) = result.landscapes[0].stationary, QUICK if quick else FULL
    onset, r = 1 / np.sqrt(mean_square_slope(_VARIANCE)), ring_radius(G)
    moving = dmft.chaotic(_ring_network(CHAOTIC))
    on_ring = max(moving, key=lambda s: np.linalg.norm(s.kappa))
    jobs = [(n, [seed, n, k]) for n in sizes[::-1] for k in range(many)]
    runs = _grouped(over(drift, (_ring_network(G), r), jobs), sizes, many)
    wild = over(drift, (_ring_network(CHAOTIC), np.linalg.norm(on_ring.kappa)), [j for j in jobs if j[0] == sizes[-1]])
    early = slice(*(int(time / _STEP) for time in AT_REST))
    sizes_of = np.linalg.norm(runs[:, :, :, early], axis=-1).mean(axis=(2, 3))
    wild_size = np.linalg.norm(np.array(wild)[:, :, int(CHAOTIC_FROM / _STEP) :], axis=-1).mean(axis=(1, 2))
    speed = np.array([[_speed(q[:, early]) for q in group] for group in runs])
    n, r_wild = sizes[-1], float(np.linalg.norm(on_ring.kappa))
    statements = [
        *_enclosed(states, r),
        _at_all_g(onset),
        *_chaotic_ring(moving, on_ring, onset),
        draws.limit_agrees(f"|kappa| at g = {G:g}, not that of g = 0", sizes, sizes_of, r, ring_radius(0.0)),
        draws.slope_is_half("the speed of the drift along the ring", sizes, np.sqrt((speed**2).mean(-1)), many - 1),
        draws.mean_agrees(f"|kappa| at g = {CHAOTIC:g}, chaotic, mean over the ring and time", wild_size, r_wild, n),
    ]  # fmt: skip
    return (_ring_figure(runs, wild, sizes, sizes_of, wild_size, speed, onset, on_ring),), statements


def _grouped(runs, sizes, many):
    return np.array(runs).reshape(len(sizes), many, *np.shape(runs[0]))[::-1]


def _speed(kappa):
    """Root mean square over the trials of the mean speed along the ring, of kappa (B, T, 2)."""
    angle = np.unwrap(np.arctan2(kappa[..., 1], kappa[..., 0]), axis=-1)
    time = (kappa.shape[1] - 1) * _STEP
    return np.sqrt(np.mean(((angle[:, -1] - angle[:, 0]) / time) ** 2))


def _enclosed(states, r):
    (found,) = states.points.unresolved if len(states.points.unresolved) == 1 else (None,)
    single = found is not None and found.kind == "continuum" and len(states) == 1 and states[0].kind == "saddle"
    yield checks.claim(
        "besides silence, which is unstable, all stationary states lie in one proved enclosure",
        single, f"{len(states)} state; " + (f"a {found.kind} of {len(found.boxes)} boxes" if single else "no ring"),
        "1 state, 1 continuum", _MO18,
    )  # fmt: skip
    if not single:
        return
    angle = np.linspace(0, 2 * np.pi, 721)
    circle = np.stack([r * np.cos(angle), r * np.sin(angle), np.full(angle.shape, 1 - 1 / OVERLAP)], axis=-1)
    low, high = found.boxes[:, 0], found.boxes[:, 1]
    covered = all(((point >= low) & (point <= high)).all(-1).any() for point in circle)
    size = np.linalg.norm(np.abs(found.boxes[..., :2]).max(axis=1), axis=-1)
    nearest = np.linalg.norm(np.where((low[:, :2] < 0) & (high[:, :2] > 0), 0.0, np.abs(found.boxes[..., :2]).min(1)),
                             axis=-1)  # fmt: skip
    yield checks.claim(
        "the enclosure is a ring around the circle kappa^2 = Delta - g^2 <phi^2> with <phi'>(Delta) = 1/3",
        bool(covered) and size.max() < 1.05 * r and nearest.min() > 0.95 * r,
        f"|kappa| in [{nearest.min():.5f}, {size.max():.5f}]", f"{r:.10f}, all of the circle covered",
    )  # fmt: skip


def _at_all_g(onset):
    """The derived ring solves the package's equations at every g, and its bulk passes 1 at the derived onset."""
    g = np.append(np.linspace(0.0, onset, 12, endpoint=False), onset)
    kappa = np.stack([ring_radius(g), 0 * g], axis=-1)
    branch = dmft.stationary_branch(
        _ring_network(G), "tanh", vary={"g": g}, start=(kappa, np.full((len(g), 1), _VARIANCE))
    )
    off = abs(branch.bulk_radius[-1] - 1)
    return checks.claim(
        "the ring at rest for g up to the onset of chaos g_c = <phi'^2>^(-1/2)",
        bool(branch.converged.all()) and branch.residual.max() < 1e-12 and off < 1e-9 and branch.bulk_radius[-2] < 1,
        f"residual {branch.residual.max():.0e}; bulk radius at g_c = {onset:.8f}: {branch.bulk_radius[-1]:.10f}",
        "1 (1e-9), below it before",
    )  # fmt: skip


def _chaotic_ring(moving, state, onset):
    yield checks.claim(
        f"beyond, at g = {CHAOTIC:g}, the ring is chaotic and attracts",
        state.chaotic and bool(state.attracting) and moving.status.name == "RING" and np.linalg.norm(state.kappa) > 0.1,
        f"|kappa| = {np.linalg.norm(state.kappa):.6g}, Lyapunov exponent {state.lyapunov:.5g}",
        f"> 0 beyond g_c = {onset:.5g}", _MO18,
    )  # fmt: skip
    yield checks.number(
        "Delta_0 on the chaotic ring is what it was at rest, <phi'>(Delta_0) = 1/3", state.delta0[0], _VARIANCE, 1e-9
    )


def _ring_figure(runs, wild, sizes, rest, moving, speed, onset, state):
    g = np.linspace(0.0, onset, 60)
    beyond = follow(_ring_network(CHAOTIC), values=np.linspace(CHAOTIC, onset * 1.005, 9), start=state)
    above = follow(_ring_network(CHAOTIC), values=np.linspace(CHAOTIC, 2.87, 13), start=state)
    pairs = sorted((p.value, np.linalg.norm(p.state.kappa)) for f in (beyond, above) for p in f if p.state is not None)
    data = {
        "g": g, "radius": ring_radius(g), "chaotic": np.array(pairs), "onset": np.array(onset), "rest": rest,
        "moving": moving, "paths": runs[-1][0], "wild": np.array(wild[0]), "speed": speed, "sizes": np.array(sizes),
    }  # fmt: skip
    n, many = sizes[-1], rest.shape[1]

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 4, width=3.5, height=3.4)
            ax = axes[0, 0]
            ax.plot(data["g"], data["radius"], color=BLUE, label="at rest")
            ax.plot(*data["chaotic"].T, color=ORANGE, label="chaotic")
            ax.axvline(onset, color="black", lw=0.7, ls=":")
            plot_draws(ax, [G], data["rest"][-1][:, None], BLUE)
            plot_draws(ax, [CHAOTIC], data["moving"][:, None], ORANGE)
            ax.set(xlabel="g", ylabel=r"radius of the ring $|\kappa|$", ylim=(0, None))
            ax.legend(loc="lower left")
            for ax, key, value, radius, colour in (
                (axes[0, 1], "paths", G, ring_radius(G), BLUE),
                (axes[0, 2], "wild", CHAOTIC, np.linalg.norm(state.kappa), ORANGE),
            ):
                plot_plane(ax, [(radius, colour, None)], data[key], data[key][:, -1])
                ax.set_title(f"g = {value:g}")
            ax = axes[0, 3]
            size = np.sqrt((data["speed"] ** 2).mean(axis=1))
            ax.semilogx(
                data["sizes"], size[0] * np.sqrt(sizes[0] / data["sizes"]), color=BLUE, label=r"$\propto N^{-1/2}$"
            )
            ax.errorbar(
                data["sizes"], size, size / np.sqrt(2 * (many - 1)), fmt="o", mfc="white", color=BLUE, capsize=2
            )
            ax.set(xlabel="neurons N", ylabel=r"speed along the ring (rad/$\tau$)", ylim=(0, None))
            ax.set_xticks(sizes, [str(x) for x in sizes])
            ax.minorticks_off()
            ax.legend(loc="best")
        return figure

    caption = (
        f"Left: radius of the ring; lines: theory; points: mean and standard deviation over {many} networks of {n} "
        "neurons. Middle: one network each on the ring at rest and on the chaotic one, from six starts (grey; dots: "
        f"after {DURATION:g} tau), and the theory's circle. Networks drift to stable points of their own, which lie "
        "farther out by order 1/sqrt(N). Right: speed of that drift at first; the theory has none, finite networks are "
        "the slower the larger they are."
    )
    return Figure("ring", caption, draw_it, data)


def _ring_network(g):
    return Connectivity.from_overlaps([{"n1 m1": OVERLAP, "n2 m2": OVERLAP}], rank=2, g=g)


RING = Case(
    name="ring-with-g",
    title="A ring of states with a random part",
    source=f"{_MO18}, rank two; thesis Fig. 4.1c without a random part",
    text=(
        "Rank 2 with overlaps 3 times the unit matrix and a random part of g = 0.8. All directions of kappa are alike, "
        "so the stationary states form a circle. The gain 1/3 fixes the variance Delta_0 whatever g is; the larger g, "
        "the less of it is left to kappa. Beyond the onset of chaos the ring persists and fluctuates. The networks are "
        "drawn with exactly these overlaps. All numbers are ours."
    ),
    connectivity=_ring_network(G),
    check=_ring,
    networks=False,
)

CASES = (RING,)
