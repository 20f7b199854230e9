"""What a mean-field problem of a network with a random part consists of, checked at the border.

    tau dx/dt = -x + (g chi + (1/N) m n^T) phi(x) + I u + y + tau s xi(t)

with a quenched input y, drawn once per neuron with variance ``input_variance``, and independent white noises xi of unit
strength; s is ``noise``.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .. import equations
from ..connectivity import Connectivity
from ..conventions import brief, check_array
from ..dynamics import amplitudes
from ..transfer import Transfer, get_transfer


@dataclass(frozen=True, eq=False)
class Problem:
    """Statistics of the connectivity, constant inputs and noise; made by :func:`pose`.

    Attributes
    ----------
    connectivity : Connectivity
    transfer : Transfer
    v : ndarray (S,)
        Relaxed input variables, v = u.
    input_variance : ndarray (P,)
        Variance over neurons of an independent static input.
    noise : float
        s: over a time t the variance of each x grows by s^2 t (before the leak), as in
        :func:`meanfield.validation.simulate`.
    tau : float
    """

    connectivity: Connectivity
    transfer: Transfer
    v: np.ndarray
    input_variance: np.ndarray
    noise: float = 0.0
    tau: float = 1.0

    @cached_property
    def blocks(self):
        """Statistics of the loadings, :class:`~meanfield.equations.Blocks`."""
        return self.connectivity.blocks()

    @property
    def rank(self):
        """R."""
        return self.connectivity.rank

    @property
    def n_populations(self):
        """P."""
        return self.connectivity.n_populations

    @property
    def inputs(self):
        """Input amplitudes by name."""
        return dict(zip(self.connectivity.inputs, self.v.tolist(), strict=True))

    @property
    def scalar(self):
        """True when g is one number: then the random part adds the same variance to every population."""
        return np.ndim(self.connectivity.g) == 0

    @cached_property
    def coupling(self):
        """G_pq = g_pq^2 alpha_q, (P, P): Var_p of the random part is sum_q G_pq <phi^2>_q; see :eq:`dmft-variance`."""
        P = self.n_populations
        return np.broadcast_to(np.square(self.connectivity.g), (P, P)) * self.connectivity.weights

    @property
    def noise_variance(self):
        """s^2 tau / 2, the variance of x that the noise alone would keep up."""
        return self.noise**2 * self.tau / 2

    def mean(self, kappa):
        """Mean input of each population at kappa (..., R): (..., P)."""
        return equations.mean(self.blocks, kappa, self.v)

    def structure_variance(self, kappa):
        """V_p: static variance over neurons from loadings and ``input_variance``, without the random part: (..., P)."""
        return np.maximum(equations.variance(self.blocks, kappa, self.v), 0.0) + self.input_variance

    def drift(self, kappa, gain):
        """tau dkappa/dt for gains <phi>, <phi'> (2, ..., P) at the full variance: (..., R)."""
        return equations.drift(self.blocks, kappa, self.v, gain)

    def with_g(self, g):
        """The same problem at another strength of the random part."""
        return replace(self, connectivity=replace(self.connectivity, g=g))


def pose(c, transfer="tanh", inputs=None, *, input_variance=0.0, noise=0.0, tau=1.0):
    """A checked :class:`Problem`.

    Parameters
    ----------
    c : Connectivity
    transfer : Transfer or str
    inputs : mapping name -> number
        Unlisted inputs are off.
    input_variance : float or (P,) array
        >= 0.
    noise : float
        >= 0; see :class:`Problem`.
    tau : float

    Raises
    ------
    ValueError
        No connectivity, unknown input, amplitude that is not a finite number, negative variance or noise, tau <= 0.
    """
    if not isinstance(c, Connectivity):
        raise ValueError(f"dmft needs a Connectivity: got {type(c).__name__}; see Connectivity.from_overlaps")
    P = c.n_populations
    variance = check_array("input_variance", input_variance)
    if variance.shape not in ((), (P,)):
        raise ValueError(f"input_variance: got shape {variance.shape}, expected a number or ({P},), one per population")
    if (variance < 0).any():
        raise ValueError(f"input_variance must be >= 0: got {variance.min()} (a variance, not a standard deviation)")
    noise = _number("noise", noise)
    if noise < 0:
        raise ValueError(f"noise must be >= 0: got {noise}; the variance of x grows by noise**2 per unit of time")
    tau = _number("tau", tau)
    if tau <= 0:
        raise ValueError(f"tau must be a positive number: got {tau}")
    v = amplitudes(c, inputs)
    return Problem(c, get_transfer(transfer), v, np.broadcast_to(variance, (P,)), noise, tau)


def _number(what, value):
    number = check_array(what, value)
    if number.ndim:
        raise ValueError(f"{what} must be one number: got {brief(value)}")
    return float(number)
