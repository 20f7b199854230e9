"""Rank one with a random part: an input along n ends bistability."""

import numpy as np

from meanfield import dmft, plotting
from meanfield.connectivity import Connectivity
from meanfield.fluctuations import spread

from ..analysis import Condition, Figure
from ..networks import draw
from ..random_pictures import plot_draws, plot_response
from ..simulation import relax
from ..workers import over
from . import checks, derivations, draws
from .record import Case

_MO18 = "Mastrogiuseppe & Ostojic, Neuron 2018"
BLUE, GREY, GREEN = plotting.COLOURS[0], "#777777", plotting.COLOURS[2]
#: Neurons and draws, in full and in brief.
FULL, QUICK = (1000, 8), (500, 8)
# At rest: units that move by less, far below the spread of any network that is drawn.
_REST = 1e-6
G = 0.8
OVERLAP, OVERLAP_I = 2.2, 0.8
#: Fractions of the saddle-node's amplitude at which networks are simulated on the branch that opposes the input, and
#: amplitudes on the other one. Up to the first of these first order describes the spread.
BELOW, FIRST_ORDER = np.array([0.0, 0.25, 0.5, 0.7, 0.9]), 0.7
ALONG = np.array([0.0, 0.4, 0.8])
# Delta_0 at u = 0, whatever g is.
_END = derivations.variance_at_gain(1 / OVERLAP)
# Distances from the saddle-node at which the predicted spread is looked at.
_DISTANCES = np.append(10.0 ** np.arange(-6, -0.9, 0.5), 0.4)


def curve(variance, g=G):
    """(u, kappa) of the stationary state with this Delta_0, u >= 0: kappa (1 - overlap q) = n.I q u with q = <phi'>.

    Then kappa = a u/e with e = 1 - overlap q, a = n.I q; and kappa^2 + u^2 = S = Delta_0 - g^2 <phi^2> gives u.
    """
    q = derivations.gain(1, variance)
    e, a = 1 - OVERLAP * q, OVERLAP_I * q
    size = np.sqrt((variance - g * g * (1 - q)) / (e * e + a * a))
    return abs(e) * size, np.sign(e) * a * size


def saddle_node(g=G):
    """Delta_0 at the largest u with kappa against the input: d ln u^2 / d Delta_0 = 0 for u^2 = S e^2/(e^2 + a^2)."""

    def slope(variance):
        q, dq = derivations.gain(1, variance), derivations.gain(3, variance) / 2
        e, a, S = 1 - OVERLAP * q, OVERLAP_I * q, variance - g * g * (1 - q)
        return (1 + g * g * dq) / S - 2 * OVERLAP * dq / e - 2 * (OVERLAP_I * a - OVERLAP * e) * dq / (e * e + a * a)

    return derivations.root(slope, 1e-3, _END * (1 - 1e-9))


def settle(shared, job):
    """A worker's job: where kappa of one network comes to rest from each of ``shared``'s (u, kappa), (K,).

    The network's overlaps are exactly those of the mixture, so that its own saddle-node is not far from the theory's.
    """
    (c, starts), (n_neurons, seed) = shared, job
    net, out = draw(c, n_neurons, seed, match_moments=True), []
    for u, kappa in starts:
        end = relax(net, np.array([kappa]), {"I": u}, tolerance=_REST, max_time=400.0, progress=False)
        out.append(float(end.kappa[0]) if end.success else np.nan)
    return np.array(out)


def _input_saddle_node(result, quick, seed):
    c, (n, many) = result.case.connectivity, QUICK if quick else FULL
    u_c, kappa_c = curve(saddle_node())
    u_0, _ = curve(saddle_node(0.0), 0.0)
    lower = [dmft.stationary(c, "tanh", {"I": x * u_c}) for x in BELOW]
    upper = [dmft.stationary(c, "tanh", {"I": u}) for u in ALONG]
    middle = list(BELOW).index(0.5)
    without = derivations.root(lambda v: curve(v, 0.0)[0] - 0.5 * u_c, saddle_node(0.0), _END * (1 - 1e-9))
    theory = [(x * u_c, s[0]) for x, s in zip(BELOW, lower, strict=True)]
    theory += [(u, s[-1]) for u, s in zip(ALONG, upper, strict=True)]
    starts = [(u, s.kappa[0]) for u, s in theory]
    found = np.array(over(settle, (c, starts), [(n, [seed, n, k]) for k in range(many)]))
    stays = np.where(found[:, : len(BELOW)] < 0, found[:, : len(BELOW)], np.nan)
    std = np.array([spread(s, "moments").std(n)[0] for _, s in theory])
    value = np.array([s.kappa[0] for _, s in theory])
    used = np.r_[BELOW <= FIRST_ORDER, np.ones(len(ALONG), bool)]
    near = _near(c, u_c)
    statements = [
        *_proved(c, u_c, kappa_c),
        _on_the_curve(c),
        checks.claim(
            "the random part ends bistability at a weaker input",
            u_c < u_0, f"u_c = {u_c:.6g} at g = {G:g}", f"below {u_0:.6g}, that without a random part", _MO18,
        ),
        _divergence(near),
        draws.mean_agrees(
            f"kappa on both branches, against the input up to {FIRST_ORDER:g} u_c", found[:, used], value[used], n,
            std[used],
        ),
        draws.spread_agrees("kappa on both branches", ((found - value) / std)[:, used]),
        draws.is_rejected(
            "kappa against the input at u_c/2 of the theory without a random part does not fit", found[:, middle],
            curve(without, 0.0)[1], n, std[middle],
        ),
        checks.claim(
            f"networks that are still on the branch that opposes the input at {BELOW[-1]:g} u_c",
            None, f"{np.isfinite(stays[:, -1]).sum()} of {many}", "each network has a saddle-node of its own",
            draws.NETWORKS,
        ),
    ]  # fmt: skip
    return _saddle_node_figures(stays, found, value, std, u_c, near, n, many), statements


def _proved(c, u, kappa):
    """u_c between amplitudes at which three states, and one, are proved to be all."""
    proved = None
    for step in (1e-6, 1e-7, 1e-8, 1e-9):
        sides = [dmft.stationary(c, "tanh", {"I": u + sign * step}) for sign in (-1, 1)]
        if not all(side.complete for side in sides) or tuple(map(len, sides)) != (3, 1):
            break
        proved = step
    yield checks.claim(
        "saddle-node: the amplitude u_c at which the state that opposes the input ends",
        proved is not None,
        f"{u:.10f}, kappa = {kappa:.8f}; "
        + (f"proved: 3 states at u_c - {proved:g}, 1 at u_c + {proved:g}" if proved else "not bracketed"),
        "the number of stationary states changes from 3 to 1 there",
        f"{_MO18} (value derived here)",
    )


def _branch(c, count=41):
    """The whole curve: points of the derivation, and the package's states that start there; but for the saddle-node."""
    fold, last = saddle_node(), derivations.root(lambda v: curve(v)[0] - 1.0, _END * 1.001, 20.0)
    share = np.linspace(0.01, 0.99, count)
    parts = [fold * share, fold + (_END - fold) * share, _END + (last - _END) * share]
    points = np.array([curve(v) for v in np.concatenate(parts)])
    start = points[:, 1:], np.concatenate(parts)[:, None]
    return points, dmft.stationary_branch(c, "tanh", vary={"I": points[:, 0]}, start=start), count


def _on_the_curve(c):
    points, branch, count = _branch(c)
    residual = branch.residual.max()
    kinds = [set(branch.stable[k * count : (k + 1) * count].tolist()) for k in range(3)]
    return checks.claim(
        "the S-shaped curve of kappa over u: unstable, stable against the input, stable along it",
        bool(branch.converged.all()) and residual < 1e-12 and kinds == [{False}, {True}, {True}],
        f"{len(points)} points of the derived curve solve the package's equations within {residual:.0e}",
        "1e-12; one unstable and two stable parts",
    )


def _near(c, u_c):
    """Distances from the saddle-node and sqrt(N) times the predicted standard deviation of kappa."""
    std = []
    for distance in _DISTANCES:
        states = dmft.stationary(c, "tanh", {"I": u_c - distance})
        std.append(float(spread(states[0], "moments").std(1)[0]))
    return np.array(std)


def _divergence(std):
    slopes = np.diff(np.log(std)) / np.diff(np.log(_DISTANCES))
    # kappa - kappa_c is a series in sqrt(u_c - u), so slopes approach -1/2 by steps of that order
    allowed = 4 * np.sqrt(_DISTANCES[0])
    return checks.claim(
        "the predicted spread of kappa diverges as (u_c - u)^(-1/2)",
        abs(slopes[0] + 0.5) < allowed and np.all(np.diff(np.abs(slopes + 0.5)) > 0),
        f"slope {slopes[0]:.5f} at u_c - u = 1e-6, {slopes[-1]:.3f} at 0.2",
        f"-1/2 ± {allowed:.1g}, approached step by step",
    )


def _saddle_node_figures(stays, found, value, std, u_c, near, n, many):
    points, branch, count = _branch(_BISTABLE)
    L = len(BELOW)
    data = {
        "u": points[:, 0], "kappa": branch.kappa[:, 0], "stable": branch.stable, "u_c": np.array(u_c),
        "below": BELOW * u_c, "along": ALONG, "drawn_below": stays, "drawn_along": found[:, L:], "value": value,
        "std": std, "distances": _DISTANCES, "predicted": near, "n": np.array(n),
    }  # fmt: skip

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.8, height=3.8)
            _plot_curve(axes[0, 0], data, count)
            ax = axes[0, 1]
            ax.loglog(data["distances"], data["predicted"], color=BLUE, label="theory, against the input")
            ax.loglog(data["distances"], data["predicted"][0] * (data["distances"] / data["distances"][0]) ** -0.5,
                      ls=":", color="black", lw=1.0, label="slope -1/2")  # fmt: skip
            good = np.isfinite(data["drawn_below"]).all(axis=0)
            measured = np.sqrt(n) * data["drawn_below"][:, good].std(axis=0, ddof=1)
            ax.errorbar(u_c - data["below"][good], measured, measured / np.sqrt(2 * (many - 1)), fmt="o", ms=4.5,
                        mfc="white", color=BLUE, capsize=2, label=f"{many} networks, N = {n}")  # fmt: skip
            ax.set(xlabel=r"$u_c - u$", ylabel=r"$\sqrt{N}\,\times$ standard deviation of $\kappa$")
            ax.legend(loc="lower left")
        return figure

    caption = (
        "Left: kappa over the input; lines: theory (dashed: unstable), bands: one predicted standard deviation of "
        f"single networks; points: mean and standard deviation over {many} networks of {n} neurons with exactly these "
        "overlaps, those that have left the branch not counted. Right: the spread towards the saddle-node; points only "
        "where all networks are on the branch."
    )
    return (Figure("saddle-node", caption, draw_it, data),)


def _plot_curve(ax, data, count):
    L, u_c = len(data["below"]), float(data["u_c"])
    for k, (colour, label) in enumerate(((GREY, None), (BLUE, "against the input"), (GREEN, "along it"))):
        part = slice(k * count, (k + 1) * count)
        plot_response(ax, data["u"][part], data["kappa"][part], colour, label, dashed=not data["stable"][part].any())
    places = {"below": (slice(0, L), BLUE), "along": (slice(L, None), GREEN)}
    for key, (part, colour) in places.items():
        value, std = data["value"][part], data["std"][part]
        ax.fill_between(data[key], value - std, value + std, color=colour, alpha=0.18, lw=0)
        plot_draws(ax, data[key], data[f"drawn_{key}"], colour)
    ax.axvline(u_c, color="black", lw=0.7, ls=":")
    ax.text(u_c, ax.get_ylim()[1], r" $u_c$", va="top")
    ax.set(xlabel="input amplitude u", ylabel=r"$\kappa$", xlim=(-0.02, 1.0))
    ax.legend(loc="center right")


_BISTABLE = Connectivity.from_overlaps([{"n1 m1": OVERLAP, "n1 I": OVERLAP_I}], rank=1, inputs=("I",), g=G)

SADDLE_NODE = Case(
    name="input-saddle-node",
    title="An input along n ends bistability",
    source=f"{_MO18}, Fig. 2 and 3 (bistability, and an input along n); thesis 2.2 without a random part",
    text=(
        "Rank 1, (1/N) n.m = 2.2, with a random part of g = 0.8: two states of opposite kappa. An input with "
        "(1/N) n.I = 0.8 favours one of them; the other meets the unstable state at an amplitude u_c and is gone "
        "beyond. Next to it single networks differ widely: the spread grows without bound. The networks are drawn with "
        "exactly these overlaps, so that they differ by the random part alone. All numbers are ours."
    ),
    connectivity=_BISTABLE,
    conditions=(Condition("no input"), Condition("below the saddle-node", {"I": 0.3}), Condition("beyond", {"I": 0.8})),
    check=_input_saddle_node,
    networks=False,
)

CASES = (SADDLE_NODE,)
