"""Readouts along trials: of the network, and of the infinite network of a mixture."""

import numpy as np

from meanfield import plotting

from ..analysis import Figure


def readout_figure(trials, network, limit, some):
    """One panel per trial: the readout of the network over that of the infinite network.

    Parameters
    ----------
    trials : Trials
    network, limit : (B, T + 1)
        The start included.
    some : sequence of int
        Which trials.

    Returns
    -------
    Figure
    """
    some = np.asarray(some)
    data = {
        "steps": np.arange(network.shape[-1]),
        "labels": np.array(trials.labels)[some],
        "target": trials.target[some],
        "window": trials.window[some],
        "input": trials.u[some].any(axis=-1),
        "network": network[some],
        "limit": limit[some],
    }
    caption = (
        "Readout along the trials. Line: the infinite network of the mixture; dashed: the network. Grey: an input is "
        "on. Red: the side of the right decision, in the window in which it is taken."
    )
    return Figure("readouts", caption, lambda: _draw(data), data)


def _draw(data):
    count, columns = len(data["labels"]), min(len(data["labels"]), 4)
    with plotting.style():
        figure, axes = plotting.figure(-(-count // columns), columns, width=3.0, height=2.6, sharex=True, sharey=True)
        for ax in axes.flat[count:]:
            ax.axis("off")
        reach = 1.1 * max(np.abs(data[key]).max() for key in ("network", "limit"))
        for b, ax in enumerate(axes.flat[:count]):
            for k in np.flatnonzero(data["input"][b]):
                ax.axvspan(k, k + 1, color="0.92", lw=0)
            ax.axhline(0, color="0.6", lw=0.8)
            ax.plot(data["steps"], data["limit"][b], color=plotting.COLOURS[0], label="mixture")
            ax.plot(data["steps"], data["network"][b], "k--", lw=1.2, label="network")
            ax.plot(data["window"][b], [0.9 * reach * np.sign(data["target"][b])] * 2, color=plotting.COLOURS[5], lw=4)
            ax.set(title=data["labels"][b], xlabel="Euler steps", ylim=(-reach, reach))
        axes[0, 0].set_ylabel("readout $z$")
        axes[0, 0].legend(loc="best")
    return figure
