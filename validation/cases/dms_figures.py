"""Pictures of networks that match to sample: trials in the plane, Jacobians, who saturates, how loadings lie."""

import numpy as np

from meanfield import plotting

from ..analysis import Figure, common_limits, portrait_data
from .dms_solutions import TYPES, epochs

EPOCHS = ("first stimulus", "delay", "second stimulus", "after it")


def readouts(trials, run, neurons):
    """Readout and two neurons on the eight noise-free trials, with the network's own noise (thesis, Fig. 5.2)."""
    data = {
        "t": trials.dt / 1000 * np.arange(trials.steps + 1),
        "u": trials.u,
        "window": trials.window,
        "z": run.z[..., 0],
        "x": np.tanh(run.x[..., neurons]),
        "neurons": np.asarray(neurons),
        "labels": np.array(trials.labels),
    }
    caption = (
        "Readout, and rates of two neurons drawn at random, with the private noise of training. Left: shortest, right: "
        "longest delay. Full: the second stimulus matches; dashed: it does not. Grey: a stimulus. Line: decision."
    )
    return Figure("activity", caption, lambda: _draw_readouts(data), data)


def _draw_readouts(data):
    with plotting.style():
        figure, axes = plotting.figure(3, 2, width=5.2, height=1.9, sharex=True)
        for column, some in enumerate((range(4), range(4, 8))):
            rows = [data["z"], data["x"][..., 0], data["x"][..., 1]]
            for ax, values in zip(axes[:, column], rows, strict=True):
                for k in np.flatnonzero(data["u"][some[0]].any(axis=-1)):
                    ax.axvspan(data["t"][k], data["t"][k + 1], color="0.92", lw=0)
                for b in some:
                    match = TYPES[b % 4][0] == TYPES[b % 4][2]
                    colour = plotting.COLOURS[b % 4]
                    ax.plot(data["t"], values[b], color=colour, ls="-" if match else "--", lw=1.2, label=TYPES[b % 4])
                ax.set_ylim(-1.4, 1.4)
            ends = data["t"][data["window"][some[0]]]
            axes[0, column].plot(ends, [0.03, 0.03], "k", lw=3, transform=axes[0, column].get_xaxis_transform())
            axes[-1, column].set_xlabel("time (s)")
        for ax, label in zip(axes[:, 0], ("readout", *(f"neuron {k}" for k in data["neurons"])), strict=True):
            ax.set_ylabel(label)
        axes[0, 0].legend(ncols=4, fontsize=7, loc="upper left")
    return figure


def trajectories(solution, points=17):
    """The four trial types in the plane, epoch by epoch, over the flow then present (thesis, 5.3, 5.4, 5.7, 5.8)."""
    few = range(len(solution.trials) - 4, len(solution.trials))
    paths = solution.path.kappa[few]
    edges = epochs(solution.trials)[few]
    edges = np.column_stack([np.zeros(4, int), edges[:, 1], edges[:, 2], edges[:, 3], solution.trials.window[few, 1]])
    window = _window(solution, paths)
    flows = [plotting.flow_values(p.field, window, points) for p in solution.portraits]
    shown = np.array([[1 + "AB".index(x[0]), 0, 1 + "AB".index(x[2]), 0] for x in TYPES])  # portrait of each epoch
    data = {"kappa": paths, "edges": edges, "shown": shown}
    data |= {f"{k}_{key}": value for k, flow in enumerate(flows) for key, value in flow.items()}
    for k, p in enumerate(solution.portraits):
        data |= portrait_data(p, f"{k}_")
    caption = (
        "Each column: a trial type with the longest delay; each row: an epoch. Arrows: flow under the input that is on "
        "(direction; colour: speed), with its fixed points (triangle down: stable, cross: saddle, triangle up: source) "
        "and limit cycle. Black: where the noise-free trial goes in this epoch, from the square on; inputs build up "
        "over one tau, so that paths need not follow the arrows at once."
    )
    return Figure("trajectories", caption, lambda: _draw_trajectories(data, solution.portraits), data)


def _window(solution, paths):
    shown = common_limits(solution.portraits)
    reach = paths.reshape(-1, paths.shape[-1])
    pad = 0.08 * np.ptp(shown, axis=1)
    low, high = np.minimum(shown[:, 0], reach.min(0) - pad), np.maximum(shown[:, 1], reach.max(0) + pad)
    return np.column_stack([low, high])


def _draw_trajectories(data, portraits):
    with plotting.style():
        figure, axes = plotting.figure(4, 4, width=2.6, height=2.4, sharex=True, sharey=True)
        for column, label in enumerate(TYPES):
            for row, epoch in enumerate(EPOCHS):
                ax, k = axes[row, column], data["shown"][column, row]
                flow_arrows(ax, {key: data[f"{k}_{key}"] for key in ("x", "y", "drift")})
                plotting.plot_cycles(ax, portraits[k].cycles)
                plotting.plot_fixed_points(ax, portraits[k].fixed_points, legend=False)
                path = data["kappa"][column, data["edges"][column, row] : data["edges"][column, row + 1] + 1]
                ax.plot(*path.T, color="k", lw=2.2, zorder=7)
                ax.plot(*path[0], "s", color="k", ms=5, zorder=8)
                ax.set_title(f"{label}, {epoch}")
        for ax in axes[-1]:
            ax.set_xlabel(r"$\kappa_1$")
        for ax in axes[:, 0]:
            ax.set_ylabel(r"$\kappa_2$")
    return figure


def flow_arrows(ax, flow):
    """Directions of a flow as arrows of one length, coloured by speed."""
    speed = np.linalg.norm(flow["drift"], axis=-1)
    u, v = np.moveaxis(flow["drift"] / np.maximum(speed, 1e-12)[..., None], -1, 0)
    style = {"cmap": "viridis", "scale": len(flow["x"]) * 1.3, "width": 0.004, "pivot": "mid", "alpha": 0.75}
    ax.quiver(flow["x"], flow["y"], u, v, speed, **style)
    ax.set(xlim=flow["x"][[0, -1]], ylim=flow["y"][[0, -1]])
    ax.grid(False)


def jacobians(found):
    """Effective overlaps without and with inputs, and the eigenvalues of the Jacobian at the origin."""
    data = {key: np.array([getattr(one, key) for one in found]) for key in ("overlap", "error", "exact")}
    data["labels"] = np.array([one.label for one in found])
    data["eigenvalues"] = np.linalg.eigvals(data["exact"])
    caption = (
        "Left: effective overlaps (1/N) sum_i n_i phi'(I_i) m_i, I without its part along m (thesis, eq. 4.15), with "
        "the standard error over neurons; crosses: at kappa = 0, with all of I. Right: eigenvalues of the exact "
        "Jacobian at kappa = 0; off the line: the flow turns."
    )
    return Figure("jacobians", caption, lambda: _draw_jacobians(data), data)


def _draw_jacobians(data):
    with plotting.style():
        figure, (axes,) = plotting.figure(1, 2, width=4.8, height=3.2)
        pairs, count = [(i, j) for i in range(2) for j in range(2)], len(data["labels"])
        for k, (label, colour) in enumerate(zip(data["labels"], plotting.COLOURS, strict=False)):
            x = np.arange(4) + 0.25 * (k - (count - 1) / 2)
            values, errors = data["overlap"][k].ravel(), data["error"][k].ravel()
            axes[0].bar(x, values, 0.23, yerr=errors, color=colour, label=label, capsize=2)
            axes[0].plot(x, (data["exact"][k] + np.eye(2)).ravel(), "kx", ms=4)
            axes[1].plot(data["eigenvalues"][k].real, data["eigenvalues"][k].imag, "o", color=colour, label=label)
        axes[0].axhline(0, color="0.5", lw=0.8)
        axes[0].set_xticks(range(4), [rf"$\tilde\sigma_{{n_{i + 1}m_{j + 1}}}$" for i, j in pairs])
        axes[0].legend()
        axes[1].axhline(0, color="0.5", lw=0.8)
        axes[1].axvline(0, color="0.5", lw=0.8, ls=":")
        axes[1].set(xlabel="real part", ylabel="imaginary part")
    return figure


def saturations(found):
    """Who is saturated by each input, and what of an overlap goes with it (thesis, Figs. 4.6, 5.5, 5.6)."""
    data = {}
    for k, one in enumerate(found):
        names = ("x", "y", "slope", "saturated", "split", "line", "product_line")
        data |= {f"{k}_{key}": np.asarray(getattr(one, key)) for key in names}
        data |= {f"{k}_pair": np.array(one.pair), f"{k}_label": np.array(one.label)}
    caption = (
        "Top: loadings n_i against m_j of the overlap that each input changes most beyond the common factor <phi'>; "
        "neurons that the input saturates (phi'(I_i) < 0.5) and the others, with regressions of each group and of all "
        "(grey). Bottom: the neuron's product n_i m_j against phi'(I_i), with its regression."
    )
    return Figure("saturation", caption, lambda: _draw_saturations(data, len(found)), data)


def _draw_saturations(data, count):
    with plotting.style():
        figure, axes = plotting.figure(2, count, width=4.4, height=3.8)
        for k in range(count):
            x, y, saturated = (data[f"{k}_{key}"] for key in ("x", "y", "saturated"))
            i, j = data[f"{k}_pair"] + 1
            lines = [
                (*data[f"{k}_split"][g], label, colour)
                for g, (label, colour) in enumerate(
                    (("not saturated", plotting.COLOURS[0]), ("saturated", plotting.COLOURS[1]))
                )
            ]
            lines.append((*data[f"{k}_line"], "all", "0.5"))
            plotting.plot_loadings(
                axes[0, k], x, y, saturated.astype(int), None, lines, names=(f"$m_{j}$", f"$n_{i}$"), size=8
            )
            axes[0, k].set_title(str(data[f"{k}_label"]))
            axes[1, k].scatter(data[f"{k}_slope"], x * y, s=8, c=[plotting.COLOURS[int(s)] for s in saturated], lw=0)
            ends = np.array([0.0, 1.0])
            slope, intercept = data[f"{k}_product_line"]
            axes[1, k].plot(ends, slope * ends + intercept, color="k")
            axes[1, k].set(xlabel=r"$\phi'(I_i)$", ylabel=rf"$n_{i}m_{j}$", xlim=(-0.02, 1.02))
    return figure


GRID = 61


def loadings(net):
    """Joint distribution of m_r and n_r: neurons, and a kernel estimate (thesis, Fig. 5.9)."""
    from scipy.stats import gaussian_kde

    data = {"m": net.m, "n": net.n}
    for r in range(net.rank):
        pair = np.array([net.m[:, r], net.n[:, r]])
        axes = [np.linspace(a.min(), a.max(), GRID) for a in pair]
        grid = np.array(np.meshgrid(*axes))
        data |= {f"{r}_x": axes[0], f"{r}_y": axes[1]}
        data[f"{r}_density"] = gaussian_kde(pair)(grid.reshape(2, -1)).reshape(GRID, GRID)
    caption = "Loadings m_r and n_r of the neurons, and a Gaussian kernel estimate of their joint density."
    return Figure("loadings", caption, lambda: _draw_loadings(data), data)


def _draw_loadings(data):
    rank = data["m"].shape[1]
    with plotting.style():
        figure, axes = plotting.figure(1, 2 * rank, width=3.1, height=3.0)
        for r in range(rank):
            left, right = axes[0, 2 * r : 2 * r + 2]
            left.scatter(data["m"][:, r], data["n"][:, r], s=6, lw=0, alpha=0.6, color=plotting.COLOURS[0])
            right.contourf(data[f"{r}_x"], data[f"{r}_y"], data[f"{r}_density"], 12, cmap="viridis")
            for ax in (left, right):
                ax.set(xlabel=f"$m_{r + 1}$", ylabel=f"$n_{r + 1}$")
    return figure


def gallery(solutions, names, points=13):
    """Portraits of several networks, one row each."""
    data, rows = {"names": np.array(names)}, []
    for k, s in enumerate(solutions):
        window = _window(s, s.path.kappa[-4:])
        flows = [plotting.flow_values(p.field, window, points) for p in s.portraits]
        rows.append((s, flows))
        data |= {f"{k}_{c}_{key}": value for c, flow in enumerate(flows) for key, value in flow.items()}
        data |= {f"{k}_kappa": s.path.kappa[-4:], f"{k}_which": np.array(s.which)}
    caption = (
        "Every training, as it was found: flow, fixed points and cycles without input and under each input; black: the "
        "noise-free trials A-A, A-B, B-A, B-B with the longest delay, while that input is on (without input: delay "
        "and what follows the second stimulus)."
    )
    return Figure("seeds", caption, lambda: _draw_gallery(data, rows), data)


def _draw_gallery(data, rows):
    with plotting.style():
        figure, axes = plotting.figure(len(rows), 3, width=3.0, height=2.5)
        for row, (s, flows), name in zip(axes, rows, data["names"], strict=True):
            for c, (ax, p, flow) in enumerate(zip(row, s.portraits, flows, strict=True)):
                flow_arrows(ax, flow)
                plotting.plot_cycles(ax, p.cycles)
                plotting.plot_fixed_points(ax, p.fixed_points, legend=False)
                _paths(ax, s, c)
                ax.set_title(f"{name} ({s.which}), {p.condition.label}" if not c else p.condition.label)
    return figure


def _paths(ax, s, condition):
    """The parts of the longest trials during which the inputs are those of a portrait."""
    for b in range(len(s.trials) - 4, len(s.trials)):
        u = s.trials.u[b]
        on = u[:, condition - 1] > 0 if condition else ~u.any(axis=-1)
        on[: epochs(s.trials)[b, 0]] = False
        for part in np.split(np.flatnonzero(on), np.flatnonzero(np.diff(np.flatnonzero(on)) > 1) + 1):
            if len(part):
                ax.plot(*s.path.kappa[b, part[0] : part[-1] + 2].T, color="k", lw=1.2, zorder=7)
