"""A fit to trajectories on a page: what each stage did, held-out prediction by rank, and the network that was found."""

from dataclasses import replace

import numpy as np

from meanfield import plotting

from ..analysis import Figure, Statement
from ..sections import network_section
from .fitting import LintFit
from .prediction import run_free
from .ranks import RankSelection

#: Held-out trials, and neurons, that are drawn.
TRIALS, NEURONS = 3, 4


def fitted_section(name, path, fit: LintFit, ranks: RankSelection | None = None):
    """The section of a fitted network, not yet worked out, and its check for :func:`sections.worked_out`."""
    section = network_section(name, path, fit.network)
    text = (
        f"Fitted to {len(fit.train)} trials of {fit.network.n_neurons} neurons, judged on {len(fit.held_out)} others."
    )
    section = replace(section, title=f"A network of rank {fit.rank}, fitted", text=f"{text} {section.text}")

    def check(portraits, say):
        figures = [*(() if ranks is None else (ranks.figure,)), traces_figure(fit), coordinates_figure(fit)]
        return tuple(figures), fit_statements(fit, ranks)

    return section, check


def fit_statements(fit, ranks=None):
    """What the fit came to, stage by stage, as lines of a report."""
    source = f"{len(fit.held_out)} held-out trials"
    lines = [Statement(f"stage: {stage.name}", stage.text, "", None, "the fit") for stage in fit.stages]
    lines.append(Statement("R^2 of held-out rates, running free", str(fit.r2), fit.status.value, fit.success, source))
    lines.append(Statement("R^2 of held-out rates, one step ahead", str(fit.one_step), "", None, source))
    lines.append(Statement("variance of x in the span of m and I", f"{fit.explained:.1%}", "", None, source))
    value = f"{fit.determined:.0f} of {fit.network.n_neurons}"
    lines.append(
        Statement("directions along which the data determine n", value, "", None, "eigenvalues of the activity")
    )
    if ranks is not None:
        pairs = zip(ranks.ranks, ranks.r2, ranks.error, strict=True)
        value = ", ".join(f"{r}: {r2:.4f} ± {e:.1g}" for r, r2, e in pairs)
        text = "the smallest rank within one standard error of the best"
        lines.append(Statement(text, f"{ranks.chosen} (R^2 by rank: {value})", "", None, source))
    return tuple(lines)


def traces_figure(fit):
    """Rates of some neurons on held-out trials, recorded and by the network running free."""
    some = fit.held_out[:TRIALS]
    runs = {b: fit.activity.transfer(x) for b, x in run_free(fit.network, fit.activity, some)}
    first = fit.activity.rates[some[0]]
    neurons = np.argsort(-first.var(axis=0), kind="stable")[:NEURONS]
    data = {"neurons": neurons}
    for k, b in enumerate(some):
        data |= {f"recorded_{k}": fit.activity.rates[b][:, neurons], f"fitted_{k}": runs[b][:, neurons]}
    caption = (
        "The neurons that vary most, on held-out trials: recorded (grey) and by the fitted network, running free from "
        "the first sample."
    )
    return Figure("traces", caption, lambda: _draw_traces(data, len(some)), data)


def _draw_traces(data, count):
    with plotting.style():
        figure, axes = plotting.figure(len(data["neurons"]), count, width=3.2, height=1.5, sharex="col", sharey="row")
        for k in range(count):
            for i, neuron in enumerate(data["neurons"]):
                axes[i, k].plot(data[f"recorded_{k}"][:, i], color="0.7")
                axes[i, k].plot(data[f"fitted_{k}"][:, i], color=plotting.COLOURS[0])
                axes[i, 0].set_ylabel(f"neuron {neuron}")
            axes[-1, k].set_xlabel("sample")
            axes[0, k].set_title(f"held-out trial {k}")
    return figure


def coordinates_figure(fit):
    """Held-out trials in the coordinates kappa of the fitted network."""
    data = {}
    for k, b in enumerate(fit.held_out[: 8 * TRIALS]):
        data[f"kappa_{k}"] = fit.coordinates(fit.activity.x[b])[0]
    caption = "Held-out trials in the coordinates kappa of the fitted network, x = m kappa + I v in least squares."
    return Figure("coordinates", caption, lambda: _draw_coordinates(data), data)


def _draw_coordinates(data):
    with plotting.style():
        figure, axes = plotting.figure(1, 1, width=4.2, height=3.4)
        ax, flat = axes[0, 0], next(iter(data.values())).shape[-1] > 1
        for kappa in data.values():
            if flat:
                ax.plot(kappa[:, 0], kappa[:, 1], lw=0.8, alpha=0.7)
            else:
                ax.plot(kappa[:, 0], lw=0.8, alpha=0.7)
        ax.set(xlabel=r"$\kappa_1$" if flat else "sample", ylabel=r"$\kappa_2$" if flat else r"$\kappa$")
    return figure
