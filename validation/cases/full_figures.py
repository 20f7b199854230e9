"""Pictures of networks of full rank: fits by rank and stage, what the fit does, and what was learned."""

from dataclasses import replace

import numpy as np

from meanfield import plotting

from ..analysis import Figure
from ..random_pictures import plot_eigenvalues


def figures(found):
    """All of them."""
    curves = [replace(curve.figure, name=f"rank-curve-{name}", caption=f"The teacher {name}. {curve.figure.caption}")
              for name, curve in found.curves.items()]  # fmt: skip
    return *curves, stages(found), courses(found), found.subsets.figure, learned(found)


def stages(found):
    """R^2 of each stage on the trials that decide between them, by rank."""
    data = {}
    for name, curve in found.curves.items():
        numbers = [{k: v for stage in fit.stages for k, v in stage.numbers.items()} for fit in curve.fits]
        data[f"{name}: ranks"] = np.array(curve.ranks)
        for key in ("r2_before", "r2", "bound"):
            data[f"{name}: {key}"] = np.array([x.get(key, np.nan) for x in numbers], float)
    caption = (
        "What each stage did: $R^2$ of rates, running free, on trials of those to fit to that decide between stages: "
        "after the closed form, after the regression on projected activity, and of the projection of the activity "
        "itself on as many directions (on all trials), which no network of that rank can much exceed."
    )
    return Figure("stages", caption, lambda: _draw_stages(data, list(found.curves)), data)


def _draw_stages(data, names):
    labels = {"r2_before": ("closed form", "s--"), "r2": ("projected", "o-"), "bound": ("the projection itself", "k:")}
    with plotting.style():
        figure, axes = plotting.figure(1, len(names), width=4.4)
        for ax, name in zip(axes[0], names, strict=True):
            for key, (label, fmt) in labels.items():
                ax.plot(data[f"{name}: ranks"], data[f"{name}: {key}"], fmt, label=label)
            low = np.nanmin(data[f"{name}: r2_before"])
            ax.set(xlabel="rank", ylabel="$R^2$", title=name, ylim=(max(low - 0.05, -0.3), 1.02))
            ax.set_xticks(data[f"{name}: ranks"])
        axes[0, 0].legend(loc="lower right")
    return figure


def courses(found):
    """Readout and latent course of one trial of each type, of the teacher and of the fit."""
    net, fit, grid = found.net, found.fit, found.grid
    types = np.flatnonzero(grid.condition("delay") == grid.condition("delay").max())
    x, own = found.course[0].x[types], found.course[1].x[types]
    data = {
        "t": net.dt * np.arange(x.shape[1]),
        "z": found.course[0].z[types, :, 0],
        "z_fit": found.course[1].z[types, :, 0],
        "kappa": fit.coordinates(x)[0],
        "kappa_fit": fit.coordinates(own)[0],
        "labels": np.array([grid.labels[k] for k in types]),
    }
    caption = (
        "Noise-free trials of the longest delay, one of each type: the teacher of full rank (lines), and the fit of "
        "rank 2 that runs free (dashed). Left: readout by the teacher's own weights. Right: coordinates of x along the "
        "two m of the fit."
    )
    return Figure("courses", caption, lambda: _draw_courses(data), data)


def _draw_courses(data):
    with plotting.style():
        figure, axes = plotting.figure(1, 2, width=4.6)
        left, right = axes[0]
        for k, label in enumerate(data["labels"]):
            colour = plotting.COLOURS[k % len(plotting.COLOURS)]
            left.plot(data["t"], data["z"][k], color=colour, lw=2.2, alpha=0.6, label=str(label))
            left.plot(data["t"], data["z_fit"][k], "--", color=colour, lw=1.0)
            right.plot(*data["kappa"][k].T, color=colour, lw=2.2, alpha=0.6)
            right.plot(*data["kappa_fit"][k].T, "--", color=colour, lw=1.0)
        left.set(xlabel="time (ms)", ylabel="readout z")
        left.legend(fontsize=8, loc="lower left")
        right.set(xlabel=r"$\kappa_1$", ylabel=r"$\kappa_2$")
    return figure


def learned(found):
    """Singular values of the change, eigenvalues of J, and what the change does, cut and beside other J0."""
    one = found.learned
    s, N = one.structure, found.net.n_neurons
    data = {
        "singular_values": s.singular_values,
        "eigenvalues": np.linalg.eigvals(s.random + s.m @ s.n.T / N),
        "outliers": s.outliers.roots,
        "series": s.outliers.by_series[-1],
        "radius": np.array(s.g_rest),
        "ranks": one.ranks,
        "fresh": np.array([[a.share for a in nets] for nets in one.fresh]),
    }
    for key in ("beside", "alone"):
        data |= {key: np.array([[a.share, a.error] for a in getattr(one, key)])}
    caption = (
        "What training changed. Left: singular values of J - J0. Middle: eigenvalues of J, the bulk of its random "
        "part, and outliers: by the determinant with all of J0, and by the overlaps n.J0^k m up to k = 3; the overlap "
        "n.m alone, all that an independent structure has, gives none. Right: right decisions, without noise, of the "
        f"change cut to a rank: beside J0, without it, and beside {len(one.fresh)} other random J0 of the same g."
    )
    return Figure("learned", caption, lambda: _draw_learned(data), data)


def _draw_learned(data):
    with plotting.style():
        figure, axes = plotting.figure(1, 3, width=4.0, height=4.0)
        values, plane, done = axes[0]
        values.semilogy(np.arange(1, len(data["singular_values"]) + 1), data["singular_values"], "o", ms=4)
        values.set(xlabel="rank", ylabel="singular value of the change")
        plot_eigenvalues(
            plane,
            data["eigenvalues"],
            float(data["radius"]),
            data["outliers"],
            [(data["series"], "powers of J0 up to 3")],
        )
        plane.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8)
        for key, label, colour in (("beside", "beside J0", 0), ("alone", "without J0", 1)):
            done.errorbar(data["ranks"], *data[key].T, fmt="o-", color=plotting.COLOURS[colour], capsize=3, label=label)
        for k, shares in enumerate(data["fresh"]):
            done.plot(data["ranks"], shares, ".", color="0.5", label=None if k else "beside other J0")
        done.set(xlabel="rank of the change kept", ylabel="right decisions", ylim=(0, 1.05))
        done.set_xticks(data["ranks"])
        done.legend(loc="lower right")
    return figure
