"""Results of the mean-field theory with a random part, to axes. Draws only what it is given."""

import numpy as np

from ..plotting import COLOURS

_MEASURED, _THEORY, _OUTLIER = "#777777", COLOURS[0], COLOURS[5]
# Pale, so that lines and words on them can be read.
_REGIONS = ("#F2F2F2", "#CFE3F2", "#FBE3B5", "#CDE9DE", "#F1DCE8")


def plot_spectrum(ax, state, eigenvalues=None):
    """The spectrum of the Jacobian at a stationary state: the disc of the bulk, the outliers, the stability line.

    Parameters
    ----------
    ax : matplotlib axes
    state : StationaryState
    eigenvalues : ndarray, optional
        Of finite networks, in units of 1/time; drawn as dots.
    """
    tau, radius = state.problem.tau, state.bulk_radius
    if eigenvalues is not None:
        flat = np.ravel(eigenvalues)
        ax.plot(flat.real, flat.imag, ".", ms=2, color=_MEASURED, alpha=0.5, zorder=1, label="finite networks")
    angle = np.linspace(0, 2 * np.pi, 241)
    if np.isfinite(radius):
        ax.plot(
            (radius * np.cos(angle) - 1) / tau, radius * np.sin(angle) / tau, color=_THEORY, lw=1.6, zorder=2,
            label=f"bulk, radius {radius:.3g}",
        )  # fmt: skip
    seen = state.outliers[state.visible]
    if len(seen):
        ax.plot(seen.real, seen.imag, "o", ms=8, mfc="none", mec=_OUTLIER, mew=1.8, zorder=3, label="outliers")
    ax.axvline(0, color="black", lw=0.7, ls=":")
    ax.set(xlabel=r"growth rate (1/$\tau$)", ylabel=r"frequency (1/$\tau$)")
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    return ax


def plot_decay(ax, lags, deltas, labels, measured=None, errors=None):
    """Autocorrelations Delta(tau) against the lag, with measured ones beside them.

    Parameters
    ----------
    ax : matplotlib axes
    lags : ndarray (L,)
    deltas : ndarray (K, L);  labels : K texts
    measured : tuple (ndarray (M,), ndarray (K, M)), optional
        Lags and means over networks; ``errors`` (K, M) their standard errors.
    """
    for k, (delta, label) in enumerate(zip(deltas, labels, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(lags, delta, color=colour, label=label, zorder=2)
        if measured is not None:
            error = None if errors is None else errors[k]
            ax.errorbar(measured[0], measured[1][k], error, fmt="o", ms=4, color=colour, lw=1.0, zorder=3)
    ax.set(xlabel=r"lag (units of $\tau$)", ylabel=r"$\Delta(\tau)$", ylim=(0, None))
    ax.legend(loc="best")
    return ax


def plot_curve(ax, x, y, stable=None, colour=0, label=None):
    """A predicted quantity against a parameter: solid where the state is stable, dashed elsewhere.

    Parameters
    ----------
    ax : matplotlib axes
    x, y : ndarray (K,)
        nan where there is no such state.
    stable : ndarray (K,) of bool, optional
        Default: all.
    colour : int
        Place in the list of colours.
    label : str, optional
    """
    stable = np.ones(len(x), bool) if stable is None else np.asarray(stable, bool)
    for chosen, look in ((stable, "-"), (~stable, "--")):
        if not (chosen & np.isfinite(y)).any():
            continue
        # dashed pieces reach their solid neighbours, so that they meet
        near = np.append(False, chosen[:-1]) | np.append(chosen[1:], False)
        shown = chosen | near if look == "--" else chosen
        ax.plot(x, np.where(shown, y, np.nan), look, color=COLOURS[colour], lw=1.8 if look == "-" else 1.2, label=label)
        label = None
    return ax


def plot_measured(ax, x, mean, error, colour=0, label=None, marker="o", offset=0.0):
    """Means over finite networks with their standard errors, beside a predicted curve.

    ``offset`` moves the points sideways, so that several at one value can be told apart.
    """
    ax.errorbar(
        np.asarray(x) + offset, mean, error, fmt=marker, ms=5, color=COLOURS[colour], mfc="white", mew=1.3, lw=1.2,
        capsize=2, zorder=4, label=label,
    )  # fmt: skip
    return ax


def plot_transitions(ax, values, labels):
    """Vertical lines at transitions, with a text each above the axes, away from the middle one."""
    middle = np.mean(values)
    for value, label in zip(values, labels, strict=True):
        ax.axvline(value, color="black", lw=0.8, ls=":", zorder=0)
        ax.annotate(
            label, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
            ha="right" if value < middle else "left", va="bottom", fontsize=8,
        )  # fmt: skip
    return ax


def plot_regions(ax, x, y, kinds, names):
    """Filled regions of a plane of two parameters.

    Parameters
    ----------
    ax : matplotlib axes
    x : ndarray (K,);  y : ndarray (L,)
    kinds : ndarray (L, K) of int
        Which of ``names`` holds there; -1: none.
    names : sequence of str
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    colours = [*_REGIONS[: len(names)]]
    shown = np.ma.masked_less(np.asarray(kinds), 0)
    ax.pcolormesh(
        x, y, shown, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(names) - 0.5, shading="nearest", rasterized=True
    )
    patches = [Patch(facecolor=c, edgecolor="#999999", label=n) for c, n in zip(colours, names, strict=True)]
    ax.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return ax
