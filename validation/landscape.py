"""What a network with a random part can do under one condition: its stationary states, and those that fluctuate."""

from dataclasses import dataclass

import numpy as np

from meanfield import dmft, plotting
from meanfield.dmft.chaotic import ChaoticStates
from meanfield.dmft.plots import plot_decay, plot_spectrum
from meanfield.dmft.stationary import StationaryStates

from .analysis import Condition, Figure

#: The mean-field equations, as a page shows them.
EQUATIONS = (
    r"\Delta_p(0) = V_p(\kappa, v) + \sum_q g_{pq}^2 \, \alpha_q \, \langle \phi^2 \rangle_q \quad\text{(at rest)}",
    r"\left(1 - \partial_\tau^2\right) D_p(\tau) = \sum_q g_{pq}^2 \, \alpha_q \,"
    r" \langle \phi(x(t)) \, \phi(x(t+\tau)) \rangle_q , \qquad \Delta_p(\tau) = V_p(\kappa, v) + D_p(\tau)",
    r"\kappa_r = \sum_{p} \alpha_p \left[ \mu_{n_r}^{p} \langle \phi \rangle_p"
    r" + \sum_s \sigma_{n_r m_s}^{p} \langle \phi' \rangle_p \, \kappa_s"
    r" + \sum_s \sigma_{n_r I_s}^{p} \langle \phi' \rangle_p \, v_s \right]",
)
#: Lags of a picture, in tau, and states shown in one row.
LAGS, SHOWN = np.linspace(0.0, 25.0, 251), 4


@dataclass(frozen=True, eq=False)
class Landscape:
    """All states of a network with a random part under one condition.

    Attributes
    ----------
    condition : Condition
    stationary : StationaryStates
        With what is proved of them.
    fluctuating : ChaoticStates
        Chaotic ones; found numerically.
    """

    condition: Condition
    stationary: StationaryStates
    fluctuating: ChaoticStates

    @property
    def attractors(self):
        """The states that a network settles in: stable stationary ones, and fluctuating ones that attract."""
        return (*self.stationary.stable, *(s for s in self.fluctuating if s.attracting))


def landscape(c, transfer="tanh", condition=None, progress=None, **search):
    """All stationary and fluctuating states; ``search``: options of :func:`meanfield.dmft.stationary`.

    Returns
    -------
    Landscape
    """
    condition = condition or Condition()
    found = dmft.stationary(c, transfer, condition.inputs, progress=progress, **search)
    return Landscape(condition, found, dmft.chaotic(c, transfer, condition.inputs))


def landscape_figures(landscapes):
    """The spectrum at the stationary states, and Delta(tau) of the fluctuating ones, of one network's landscapes."""
    figures = []
    for k, scape in enumerate(landscapes):
        number = str(k + 1) if len(landscapes) > 1 else ""
        states = one_of_each_pair(scape.stationary)[:SHOWN]
        if states:
            figures.append(_spectra(scape, states, f"spectrum{number}"))
        moving = one_of_each_pair(scape.fluctuating)
        if moving:
            figures.append(_decays(scape, moving, f"decay{number}"))
    return tuple(figures)


def one_of_each_pair(states):
    """Of states that differ by the sign of kappa and the mean alone, the one with positive leading kappa."""
    kept = []
    for state in states:
        leading = state.kappa[np.argmax(np.abs(state.kappa))]
        twin = any(
            np.allclose(state.kappa, -other.kappa, atol=1e-9) and np.allclose(state.delta0, other.delta0, atol=1e-9)
            for other in states
            if other is not state
        )
        if leading >= -1e-9 or not twin:
            kept.append(state)
    return kept


def name_of(state):
    """A state in a few words, for titles and rows."""
    kappa = ", ".join(f"{x + 0.0:.3g}" for x in np.round(state.kappa, 9))
    return (
        f"{state.kind} state at kappa = ({kappa})" if len(state.kappa) > 1 else f"{state.kind} state, kappa = {kappa}"
    )


def _spectra(scape, states, name):
    data = {}
    for k, state in enumerate(states):
        data |= {f"kappa{k}": state.kappa, f"outliers{k}": state.outliers, f"visible{k}": state.visible}
        data |= {f"bulk_radius{k}": np.array(state.bulk_radius)}

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, len(states), width=4.2, height=3.8)
            for ax, state in zip(axes[0], states, strict=True):
                plot_spectrum(ax, state).set_title(name_of(state))
        return figure

    caption = (
        f"{_capital(scape.condition.label)}. Spectrum of the full network's Jacobian at its stationary states: the "
        "disc of the bulk, and the outliers outside it, which follow perturbations of kappa, mean and variance."
    )
    return Figure(name, caption, draw, data)


def _decays(scape, states, name):
    deltas = np.concatenate([state.delta(LAGS * state.problem.tau).T for state in states])
    labels = [
        name_of(state) + (f", population {p + 1}" if len(state.delta0) > 1 else "")
        for state in states
        for p in range(len(state.delta0))
    ]

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=6.4, height=3.8)
            plot_decay(axes[0, 0], LAGS, deltas, labels)
        return figure

    caption = f"{_capital(scape.condition.label)}. Autocorrelation of the input of fluctuating states."
    return Figure(name, caption, draw, {"lags": LAGS, "delta": deltas})


def _capital(text):
    return text[:1].upper() + text[1:]
