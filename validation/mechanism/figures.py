"""Figures of ledgers and of silencing: contributions per condition and along a trial, states against the fraction."""

from dataclasses import replace

import numpy as np

from meanfield import plotting
from meanfield.fluctuations import spread
from meanfield.ledgers.plots import plot_course, plot_overlaps

from ..analysis import Figure


def overlaps_figure(ledgers, pairs=None, name="ledger"):
    """Stacked bars of the contributions to effective overlaps, one group per overlap and one bar per ledger.

    Returns
    -------
    Figure
    """
    ledgers = tuple(ledgers)

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=6.4, height=3.8)
            plot_overlaps(axes[0, 0], ledgers, pairs)
        return figure

    caption = "Contributions of the populations to the effective overlaps under each condition. Black: their sum."
    data = {f"{k}_{what}": getattr(one, what) for k, one in enumerate(ledgers) for what in ("overlap", "gain")}
    return Figure(name, caption, draw, data | {"labels": np.array([one.label for one in ledgers])})


def course_figure(t, course, pairs, name="course"):
    """Stacked areas of the contributions to effective overlaps along a trial, one panel per overlap.

    Parameters
    ----------
    t : ndarray (T,)
    course : Ledger
        Of states (T,).
    pairs : sequence of (row, column)

    Returns
    -------
    Figure
    """

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, len(pairs), width=4.4, height=3.4)
            for ax, pair in zip(axes[0], pairs, strict=True):
                plot_course(ax, t, course, pair)
        return figure

    caption = "Contributions of the populations to effective overlaps along a trial. Black: their sum."
    data = {"t": np.asarray(t), "overlap": course.overlap, "gain": course.gain, "kappa": course.kappa, "v": course.v}
    return Figure(name, caption, draw, data)


def _points(s):
    """Stable points, one of each mirror pair, as (Q, 5): fraction, |kappa|, its std for one network, and the mean over
    the networks with its standard error; the last three are nan where the point is not compared."""
    out = []
    for level in s.levels:
        found, rows = level.portrait.fixed_points, {r.observable.key: r for r in level.rows}
        for k in level.prediction.points:
            if found.kind[k] != "stable":
                continue
            value, compared = found.kappa[k], [rows.get(("kappa", k, r)) for r in range(found.kappa.shape[1])]
            size, measured = np.linalg.norm(value), [np.nan] * 3
            if size and all(compared):
                along, covariance = value / size, spread(_one(found, k)).covariance[0] / s.n_neurons
                std = np.sqrt(along @ covariance @ along)
                measured = [std, along @ [r.mean[0] for r in compared], std / np.sqrt(s.draws)]
            out.append([level.fraction, size, *measured])
    return np.array(out).reshape(-1, 5)


def _one(found, k):
    """The record with only its point k."""
    names = ("kappa", "radius", "eigenvalues", "eigenvectors", "eigenvalue_error", "kind", "index")
    return replace(found, **{name: getattr(found, name)[[k]] for name in names})


def silencing_figure(s):
    """Stable fixed points, z-scores and, with trials, right decisions against the fraction that is silenced.

    Parameters
    ----------
    s : Silencing

    Returns
    -------
    Figure
    """
    fraction, size, std, mean, error = _points(s).T
    rows = [(level.fraction, r.z) for level in s.levels for r in level.rows]
    data = {"fraction": fraction, "theory": size, "std": std, "network": mean, "error": error}
    data |= {"z": np.array(rows).reshape(-1, 2)}
    if s.levels[0].right is not None:
        theory, found, uncertain = s.accuracy()
        steps = np.array([level.fraction for level in s.levels])
        data |= {"steps": steps, "limit_accuracy": theory, "accuracy": found, "accuracy_error": uncertain}
    caption = (
        f"Silencing of population {', '.join(map(str, s.population))} in {s.draws} networks of {s.n_neurons} neurons. "
        "Left: stable fixed points, theory (line) with the band of two standard deviations of one network, and means "
        "over the networks. z-scores of all observables; grey: within 2."
    )
    return Figure("silencing", caption, lambda: _draw(data), data)


def _draw(data):
    panels = 2 + ("steps" in data)
    with plotting.style():
        figure, axes = plotting.figure(1, panels, width=4.2, height=3.4)
        ax, order = axes[0, 0], np.argsort(data["fraction"], kind="stable")
        x, y, half = (data[name][order] for name in ("fraction", "theory", "std"))
        single = len(np.unique(x)) == len(x)
        ax.plot(x, y, "-" if single else ".", color=plotting.COLOURS[0], label="theory")
        if single:
            ax.fill_between(x, y - 2 * half, y + 2 * half, color=plotting.COLOURS[0], alpha=0.2, lw=0)
        ax.errorbar(
            data["fraction"], data["network"], 2 * data["error"], fmt="o", ms=4, color="black", label="networks"
        )
        ax.set(xlabel="fraction silenced", ylabel=r"stable points $|\kappa|$", ylim=(0, None))
        ax.legend()
        ax = axes[0, 1]
        ax.axhspan(-2, 2, color="0.92", lw=0)
        ax.plot(*data["z"].T, "o", ms=4, color=plotting.COLOURS[0], alpha=0.6)
        ax.set(xlabel="fraction silenced", ylabel="$z$")
        if panels > 2:
            ax = axes[0, 2]
            ax.plot(data["steps"], data["limit_accuracy"], color=plotting.COLOURS[0], label=r"$N\to\infty$")
            ax.errorbar(data["steps"], data["accuracy"], data["accuracy_error"], fmt="o", ms=4, color="black",
                        label="networks")  # fmt: skip
            ax.set(xlabel="fraction silenced", ylabel="right decisions", ylim=(-0.03, 1.06))
            ax.legend()
    return figure
