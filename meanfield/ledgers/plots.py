"""Ledgers to axes: stacked bars per overlap and condition, stacked areas along a trial. Draws only what it is given."""

import numpy as np

from ..plotting import COLOURS


def _pairs(ledger, pairs):
    """Places (row, column) of names such as ("n2", "m1"); by default all between n and m."""
    if pairs is None:
        rank = ledger.kappa.shape[-1]
        return [(i, j) for i in range(rank) for j in range(rank)]
    try:
        return [(ledger.rows.index(a), ledger.columns.index(b)) for a, b in pairs]
    except ValueError:
        raise ValueError(
            f"pairs must name a row and a column: got {list(pairs)}, rows {ledger.rows}, columns {ledger.columns}"
        ) from None


def plot_overlaps(ax, ledgers, pairs=None):
    """Stacked bars of the populations' contributions to effective overlaps: one bar per condition, a line its total.

    Parameters
    ----------
    ax : matplotlib axes
    ledgers : sequence of Ledger, of one state each
        With the same populations; their labels stand below the bars.
    pairs : sequence of (row, column), optional
        Names; default: all of n with m.
    """
    ledgers = list(ledgers)
    if any(one.kappa.ndim > 1 for one in ledgers):
        raise ValueError("plot_overlaps shows one state per ledger: take .at(k), or draw them with plot_course")
    chosen = _pairs(ledgers[0], pairs)
    width = 0.8 / len(ledgers)
    values = np.array([one.overlap[:, i, j] for i, j in chosen for one in ledgers])  # (bars, P)
    place = np.array(
        [q + width * (k - (len(ledgers) - 1) / 2) for q in range(len(chosen)) for k in range(len(ledgers))]
    )
    _stack(ax, place, values, width * 0.92, ledgers[0].populations)
    ax.hlines(values.sum(1), place - width / 2, place + width / 2, color="black", lw=2.2, label="total", zorder=3)
    ax.axhline(0, color="black", lw=0.6)
    labels = [f"${_tex(ledgers[0].rows[i])}\\cdot {_tex(ledgers[0].columns[j])}$" for i, j in chosen]
    if len(ledgers) > 1:
        ax.set_xticks(place, [one.label or str(k) for _ in chosen for k, one in enumerate(ledgers)], rotation=60)
        for q, text in enumerate(labels):
            ax.text(q, 1.02, text, transform=ax.get_xaxis_transform(), ha="center")
    else:
        ax.set_xticks(place, labels)
    ax.set_ylabel(r"effective overlap $\tilde\sigma_{ab}$")
    ax.legend()
    return ax


def _stack(ax, place, values, width, populations):
    for sign in (1, -1):
        bottom = np.zeros(len(place))
        for p, name in enumerate(populations):
            height = np.where(np.sign(values[:, p]) == sign, values[:, p], 0.0)
            label = f"population {name}" if sign > 0 else None
            ax.bar(place, height, width, bottom, color=COLOURS[p % len(COLOURS)], alpha=0.75, label=label)
            bottom += height


def plot_course(ax, t, ledger, pair):
    """Stacked areas of the populations' contributions to one effective overlap along a trial, and their sum as a line.

    Parameters
    ----------
    ax : matplotlib axes
    t : array_like (T,)
    ledger : Ledger
        Of states (T,).
    pair : (row, column)
        Names, such as ("n2", "m1").
    """
    if ledger.kappa.ndim != 2 or len(ledger.kappa) != len(t):
        raise ValueError(f"plot_course needs a ledger of {len(t)} states, one per time: got {ledger.kappa.shape[:-1]}")
    ((i, j),) = _pairs(ledger, [pair])
    values = ledger.overlap[..., i, j]
    for sign in (1, -1):
        bottom = np.zeros(len(values))
        for p, name in enumerate(ledger.populations):
            top = bottom + np.where(sign * values[:, p] > 0, values[:, p], 0.0)
            label = f"population {name}" if sign > 0 else None
            ax.fill_between(t, bottom, top, color=COLOURS[p % len(COLOURS)], alpha=0.6, lw=0, label=label)
            bottom = top
    ax.plot(t, values.sum(-1), color="black", label="total")
    ax.axhline(0, color="black", lw=0.6)
    ax.set(xlabel=r"time ($\tau$)", ylabel=rf"${_tex(pair[0])}\cdot {_tex(pair[1])}$, effective")
    ax.legend()
    return ax


def _tex(name):
    return rf"{name[0]}_{{{name[1:]}}}" if name[0] in "mn" and name[1:].isdigit() else rf"\mathrm{{{name}}}"
