"""Finite networks over their theory: axes with measured numbers beside predicted ones. Draws only what it is given."""

import numpy as np

from meanfield.plotting import COLOURS, MARKERS

#: A bivariate normal lies within this many standard deviations with probability 0.95, a single one within the second.
ELLIPSE, BAND = 2.4477, 1.96
_DRAWN, _THEORY, _WRONG = "#777777", COLOURS[0], COLOURS[5]


def plot_points(ax, theory, kinds, covariance, drawn, drawn_kinds, n_neurons, axes=(0, 1)):
    """Fixed points of drawn networks around those of the theory, with the predicted 95 % ellipses.

    Parameters
    ----------
    theory : ndarray (K, R);  kinds : (K,) of str;  covariance : ndarray (K, R, R), of one neuron
    drawn : ndarray (D, R);  drawn_kinds : (D,) of str
    """
    pick = list(axes)
    for kind, (_, colour, _) in MARKERS.items():
        chosen = drawn_kinds == kind
        face = "#BBBBBB" if colour == "#FFFFFF" else colour
        ax.plot(*drawn[chosen][:, pick].T, ".", ms=4, color=face, alpha=0.6, zorder=3)
    for kappa, kind, sigma in zip(theory, kinds, covariance, strict=True):
        marker, colour, _ = MARKERS[kind]
        ax.plot(*kappa[pick], marker, ms=7, mfc=colour, mec="white" if kind == "saddle" else "black", zorder=5)
        if np.isfinite(sigma).all():
            curve = ellipse(kappa[pick], sigma[np.ix_(pick, pick)] / n_neurons)
            ax.plot(*curve.T, color=_THEORY, lw=1.4, zorder=4)
    ax.set(title=f"N = {n_neurons}", xlabel=_kappa(axes[0]), ylabel=_kappa(axes[1]))
    return ax


def ellipse(centre, covariance, points=121):
    """The curve inside which a normal with this covariance (2, 2) lies with probability 0.95, (points, 2)."""
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return centre + ELLIPSE * (circle * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def plot_scatter(ax, value, covariance, drawn, n_neurons, names):
    """Two measured numbers of each draw (D, 2) around the predicted pair, with the 95 % ellipse."""
    ax.plot(*drawn.T, ".", ms=5, color=_DRAWN, label="drawn networks")
    ax.plot(*ellipse(value, covariance / n_neurons).T, color=_THEORY, label="95 % predicted")
    ax.plot(*value, "o", ms=7, color=_THEORY)
    ax.set(title=f"N = {n_neurons}", xlabel=names[0], ylabel=names[1])
    ax.legend(loc="best")
    return ax


def plot_band(ax, x, value, std, curves=(), label="drawn networks"):
    """A predicted curve with its 95 % band, and measured curves (D, T)."""
    ax.fill_between(x, value - BAND * std, value + BAND * std, color=_THEORY, alpha=0.22, lw=0, label="95 % predicted")
    for k, curve in enumerate(curves):
        ax.plot(x, curve, color=_DRAWN, lw=0.7, alpha=0.8, label=label if k == 0 else None)
    ax.plot(x, value, color=_THEORY, lw=1.8, label="theory")
    return ax


def plot_funnel(ax, sizes, rows, drawn):
    """Fixed points at rank 1 over N: draws as dots, prediction with its 95 % interval.

    ``rows``: (value, bias, variance) each; ``drawn``: pairs (sizes (D,), values (D,)).
    """
    fine = np.geomspace(0.8 * min(sizes), 1.25 * max(sizes), 60)
    for value, bias, variance in rows:
        middle, half = value + np.nan_to_num(bias) / fine, BAND * np.sqrt(variance / fine)
        ax.fill_between(fine, middle - half, middle + half, color=_THEORY, alpha=0.22, lw=0)
        ax.plot(fine, middle, color=_THEORY)
    ax.plot(*drawn, ".", ms=4, color=_DRAWN, alpha=0.7)
    ax.set(xscale="log", xlabel="neurons N", ylabel=r"fixed points $\kappa$")
    _ticks(ax, sizes)
    return ax


def plot_spread(ax, sizes, measured, predicted, labels):
    """Measured spreads (Q, L) over N beside the predicted lines, in logarithms."""
    for k, (found, line, label) in enumerate(zip(measured, predicted, labels, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        ax.loglog(sizes, line, color=colour, lw=1.0)
        ax.loglog(sizes, found, "o", ms=4, color=colour, label=label)
    ax.set(xlabel="neurons N", ylabel="spread over draws")
    _ticks(ax, sizes)
    columns = 1 if max(map(len, labels), default=0) > 34 else 2
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=7, ncols=columns)
    return ax


def plot_scores(ax, scores, wrong=None, wrong_label="planted wrong theory"):
    """Histogram of z-scores beside the standard normal, and that of a wrong theory."""
    edges = np.linspace(-5, 5, 41)
    z = np.linspace(-5, 5, 201)
    ax.hist(np.clip(scores, -5, 5), edges, density=True, color=_DRAWN, alpha=0.6, label=f"{len(scores)} z-scores")
    if wrong is not None and len(wrong):
        ax.hist(np.clip(wrong, -5, 5), edges, density=True, histtype="step", color=_WRONG, lw=1.5, label=wrong_label)
    ax.plot(z, np.exp(-z * z / 2) / np.sqrt(2 * np.pi), color=_THEORY, label="standard normal")
    ax.set(xlabel="z = (measured - predicted) / predicted spread", ylabel="density", xlim=(-5, 5))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=8)
    return ax


def _ticks(ax, sizes):
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.minorticks_off()


def _kappa(axis):
    return rf"$\kappa_{{{axis + 1}}}$"
