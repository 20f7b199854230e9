"""Networks with a random part over their theory: axes with lines and bands, and points of drawn networks."""

import numpy as np

from meanfield.plotting import COLOURS

_DRAWN = "#777777"


def plot_response(ax, x, value, colour=COLOURS[0], label=None, std=None, dashed=False):
    """A curve of the theory, and the band of one predicted standard deviation of single networks."""
    if std is not None:
        ax.fill_between(x, value - std, value + std, color=colour, alpha=0.18, lw=0, zorder=1)
    ax.plot(x, value, ls="--" if dashed else "-", color=colour, label=label, zorder=2)
    return ax


def plot_draws(ax, x, drawn, colour=COLOURS[0], label=None, marker="o"):
    """Mean and standard deviation over draws (D, K) at K places; nan where a draw has no value there."""
    count = np.isfinite(drawn).sum(axis=0)
    keep = count > 1
    mean, std = np.nanmean(drawn[:, keep], axis=0), np.nanstd(drawn[:, keep], axis=0, ddof=1)
    ax.errorbar(
        np.asarray(x)[keep], mean, std, fmt=marker, ms=4.5, color=colour, mfc="white", lw=1.1, capsize=2, label=label,
        zorder=4,
    )  # fmt: skip
    return ax


def plot_plane(ax, circles=(), paths=(), ends=None, labels=()):
    """The plane of kappa: circles (radius, colour, label), paths of networks (T, 2) and their ends (E, 2)."""
    angle = np.linspace(0, 2 * np.pi, 361)
    for k, path in enumerate(paths):
        ax.plot(*np.asarray(path).T, color=_DRAWN, lw=0.6, alpha=0.7, zorder=1, label=labels[k] if labels else None)
    for radius, colour, label in circles:
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=colour, lw=2.0, label=label, zorder=3)
    if ends is not None:
        ax.plot(*np.asarray(ends).T, "o", ms=4, color=_DRAWN, mec="white", mew=0.5, zorder=4)
    ax.set(xlabel=r"$\kappa_1$", ylabel=r"$\kappa_2$")
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def plot_singular_values(ax, values, threshold, significant, shown=60):
    """The largest singular values of a change, and the edge of its noise."""
    values = np.asarray(values)[:shown]
    rank = np.arange(1, len(values) + 1)
    chosen = rank <= significant
    ax.semilogy(rank[~chosen], values[~chosen], "o", ms=3, color=_DRAWN, label="noise")
    ax.semilogy(rank[chosen], values[chosen], "o", ms=7, color=COLOURS[5], label=f"significant: {significant}")
    ax.axhline(threshold, color=COLOURS[0], label="edge of the noise")
    ax.set(xlabel="rank", ylabel="singular value of the change")
    ax.legend(loc="upper right")
    return ax


def plot_eigenvalues(ax, eigenvalues, radius, outliers, named=()):
    """Eigenvalues of J, the circle of the bulk, outliers by the determinant, and others: ``named`` (values, label)."""
    ax.plot(eigenvalues.real, eigenvalues.imag, ".", ms=2, color=_DRAWN, alpha=0.6, label="eigenvalues of J")
    angle = np.linspace(0, 2 * np.pi, 241)
    ax.plot(
        radius * np.cos(angle), radius * np.sin(angle), color=COLOURS[0], lw=1.4, label=f"bulk, radius {radius:.3g}"
    )
    ax.plot(
        outliers.real, outliers.imag, "o", ms=9, mfc="none", mec=COLOURS[5], mew=1.8, label="roots of the determinant"
    )
    for k, (values, label) in enumerate(named):
        ax.plot(np.real(values), np.imag(values), "x+"[k % 2], ms=9, color=COLOURS[2 + k], mew=1.8, label=label)
    ax.set(xlabel="real part", ylabel="imaginary part")
    ax.set_aspect("equal", adjustable="datalim")
    return ax
