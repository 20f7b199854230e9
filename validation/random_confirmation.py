"""A cross-check with a random part as figures and statements: what the report shows of it."""

import numpy as np

from meanfield import plotting

from . import pictures
from .analysis import Figure, Statement
from .random_check import random_crosscheck

#: Networks that confirm a landscape in a report: sizes and draws, in full and in brief.
FULL, QUICK = ((400, 1000, 2500), 8), ((200, 800), 10)
#: How long fluctuating states are measured, in tau, in brief.
BRIEF = 80.0
MOST = 8
SOURCE = "finite networks"


def against_networks(c, transfer, known, quick, seed, matched="moments"):
    """The cross-check of a landscape with networks drawn for a report, fewer and smaller with ``quick``.

    By default with exactly the overlaps of the mixture: what the sampling of the overlaps does is tested at g = 0.
    """
    sizes, draws = QUICK if quick else FULL
    more = {"duration": BRIEF} if quick else {}
    return random_crosscheck(
        c, transfer, known.condition.inputs, sizes, draws, seed, known=known, matched=matched, progress=False, **more
    )


def confirm(check, number=0):
    """Figures and statements of a check; ``number`` makes the names of the figures unique."""
    return (_spread_figure(check, number),) if check.rows else (), statements(check)


def statements(check):
    """The verdict, line by line."""
    label = check.landscape.condition.label
    where = f", {label}" if label else ""
    sizes = f"{len(check.draws) // len(check.sizes)} networks each of N = {', '.join(map(str, check.sizes))}"
    sizes += ", overlaps matched" if check.matched == "moments" else ""
    good = sum(r.agrees for r in check.rows)
    yield Statement(
        f"finite networks with a random part ({sizes}) against the theory{where}",
        f"{good} of {len(check.rows)} agree" + "".join(f"; {text}" for text in check.failures[:3]),
        "all agree; family-wise level 0.001",
        not check.failures,
        SOURCE,
    )
    if check.rejected is not None:  # not rejected: the check is too weak to tell, which contradicts nothing
        rejected = check.rejected or None
        yield Statement(f"a planted wrong theory{where}", check.planted, "rejected", rejected, SOURCE)


def _spread_figure(check, number):
    rows = check.rows[:MOST]
    labels = [r.observable.label for r in rows]
    data = {
        "sizes": np.array(check.sizes),
        "spread": np.array([r.std for r in rows]),
        "predicted": np.array([r.predicted_std for r in rows]),
        "z": check.z_scores if len(check.z_scores) else np.full(1, np.nan),
        "row_z": np.array([r.z for r in check.rows]),
    }

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=4.2)
            pictures.plot_spread(axes[0, 0], check.sizes, data["spread"], data["predicted"], labels)
            if len(check.z_scores):
                pictures.plot_scores(axes[0, 1], data["z"])
            else:
                _plot_row_scores(axes[0, 1], data["row_z"], [r.observable.label for r in check.rows])
        return figure

    caption = (
        "Left: spread over draws; dots measured, lines predicted for states at rest, and for fluctuating ones fitted "
        "with the slope -1/2. Right: z-scores of all draws, or, where no spread is predicted, of each observable."
    )
    label = check.landscape.condition.label
    caption = (f"{label[0].upper()}{label[1:]}. " if label else "") + caption
    return Figure(f"check{number + 1}" if number else "check", caption, draw, data)


def _plot_row_scores(ax, z, labels):
    ax.barh(np.arange(len(z)), z, color=plotting.COLOURS[0], alpha=0.7)
    ax.set_yticks(np.arange(len(z)), [text.split(" of the ")[0] for text in labels], fontsize=7)
    ax.axvline(0, color="black", lw=0.7)
    ax.set(xlabel="z of the mean over draws", xlim=(-5, 5))
