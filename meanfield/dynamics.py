"""The reduced equations as a vector field: drift, analytic Jacobian, potential, and the bounds that a proof needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import equations
from .connectivity import Connectivity
from .conventions import brief
from .proof import bounds
from .transfer import Transfer, get_transfer

# Numbers held at once while a batch is worked through: small enough for the cache, large enough to hide numpy's
# overhead.
_BATCH = 1 << 15


def reduce(c, transfer="tanh", inputs=None, tau=1.0):
    """Reduced dynamics of the collective variables: the vector field of equation :eq:`reduced-drift`.

    Parameters
    ----------
    c : Connectivity
    transfer : Transfer or str
    inputs : mapping name -> number, or function of time
        Amplitude u_s of each input; unlisted inputs are off. With numbers only, v = u has relaxed and the result is an
        autonomous :class:`VectorField` of kappa. With a function of time, v is dynamical and the result is a
        :class:`DrivenField` of (kappa, v).
    tau : float
        Time constant; all rates are in units of 1/tau's unit.

    Raises
    ------
    ValueError
        Unknown input, amplitude that is not a finite number, tau <= 0, or g > 0.
    """
    if not isinstance(c, Connectivity):
        raise ValueError(
            f"reduce needs a Connectivity: got {type(c).__name__}; see Connectivity.from_overlaps, from_network"
        )
    transfer = get_transfer(transfer)
    if not (np.isscalar(tau) and np.isfinite(tau) and tau > 0):
        raise ValueError(f"tau must be a positive number: got {tau!r}")
    if np.any(np.asarray(c.g) != 0):
        raise ValueError(
            f"reduce covers low-rank connectivity, but this one has a random part of strength g = {c.g}: for its "
            "states see meanfield.dmft.stationary and meanfield.dmft.chaotic, "
            "or set g = 0 (dataclasses.replace(c, g=0.0)) to study its low-rank part alone"
        )
    inputs = known_inputs(c, inputs)
    if any(callable(u) for u in inputs.values()):
        return DrivenField(c, transfer, inputs, float(tau))
    return VectorField(c, transfer, amplitudes(c, inputs), float(tau))


def known_inputs(c, inputs):
    """``inputs`` as a dictionary, every name of which is an input of the connectivity."""
    if not isinstance(inputs, Mapping | None):
        raise ValueError(f"inputs must map names to amplitudes: got {brief(inputs)}")
    inputs = dict(inputs or {})
    unknown = [name for name in inputs if name not in c.inputs]
    if unknown:
        raise ValueError(f"unknown input {unknown[0]!r}: this connectivity has inputs {list(c.inputs)}")
    return inputs


def amplitudes(c, inputs):
    """Constant amplitudes u_s as an array (S,), from a mapping of names to numbers; unlisted inputs are off."""
    inputs = known_inputs(c, inputs)
    return np.array([_amplitude(name, inputs.get(name, 0.0)) for name in c.inputs])


def _amplitude(name, value):
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"input {name!r} must be a finite number or a function of time: got {value!r}")
    return number


@dataclass(frozen=True, eq=False)
class VectorField:
    """dkappa/dt at constant inputs; call it on kappa of shape (..., R).

    Attributes
    ----------
    connectivity, transfer, tau : what it was made from
    v : ndarray (S,)
        Relaxed input variables, v = u.
    """

    connectivity: Connectivity
    transfer: Transfer
    v: np.ndarray
    tau: float = 1.0

    @property
    def rank(self):
        """Number of collective variables."""
        return self.connectivity.rank

    @property
    def inputs(self):
        """Input amplitudes by name."""
        return dict(zip(self.connectivity.inputs, self.v.tolist(), strict=True))

    @cached_property
    def blocks(self):
        """Statistics of the loadings as :class:`~meanfield.equations.Blocks`."""
        return self.connectivity.blocks()

    def mean(self, kappa):
        """Mean input of each population, (..., P)."""
        return equations.mean(self.blocks, self._check(kappa), self.v)

    def variance(self, kappa):
        """Variance of the input over each population, (..., P)."""
        return np.maximum(equations.variance(self.blocks, self._check(kappa), self.v), 0.0)

    def gain(self, kappa, order=0):
        """Gaussian averages <phi^(order)> of each population, (..., P)."""
        return self._gains(self._check(kappa), order)[order]

    def __call__(self, kappa):
        """dkappa/dt, (..., R), in units of 1/time."""
        kappa = self._check(kappa)
        order = 1 if self.blocks.spread else 0  # <phi'> enters with the covariances

        def one(k):
            return (equations.drift(self.blocks, k, self.v, self._gains(k, order)) / self.tau,)

        return self._batched(one, kappa)[0]

    def jacobian(self, kappa):
        """d(dkappa_i/dt)/dkappa_j, (..., R, R), in units of 1/time."""
        kappa, identity = self._check(kappa), np.eye(self.rank)
        order = 3 if self.blocks.spread else 1

        def one(k):
            return (equations.jacobian(self.blocks, k, self.v, self._gains(k, order), identity) / self.tau,)

        return self._batched(one, kappa)[0]

    def functional_connectivity(self, kappa, a="n", b="m"):
        """sigma~_ab = sum_p alpha_p sigma_ab^p <phi'>_p at kappa, for two kinds of loadings: (..., A, B)."""
        kappa = self._check(kappa)
        block = self.connectivity.covariance(a, b)
        return equations.functional_connectivity(self.blocks, self._gains(kappa, 1), block)

    def readout(self, kappa):
        """Readouts z = (1/N) w.phi(x) of the infinite network, (..., W)."""
        kappa, c = self._check(kappa), self.connectivity
        if not c.readouts:
            raise ValueError("this connectivity has no readouts: name them in readouts=")
        gain = self._gains(kappa, 1)
        return equations.readout(
            self.blocks, c.mean("w"), c.covariance("w", "m"), c.covariance("w", "I"), kappa, self.v, gain
        )

    def potential(self, kappa, with_error=False):
        """Potential V with dkappa/dt = -dV/dkappa and V(0) = 0, for rank 1 (thesis eq. 2.5).

        Integrated by Gauss-Legendre panels until two orders agree; ``with_error`` also returns their difference.

        Parameters
        ----------
        kappa : ndarray (...) or (..., 1)
        """
        if self.rank != 1:
            raise ValueError(f"a potential exists in general only at rank 1: this field has rank {self.rank}")
        kappa = np.asarray(kappa, dtype=float)
        end = kappa[..., 0] if kappa.ndim and kappa.shape[-1:] == (1,) and kappa.ndim > 1 else kappa
        panels = 1 + int(np.ceil(np.max(np.abs(end), initial=0.0)))
        for _ in range(6):
            coarse, fine = (self._integrated_drift(end, panels, nodes) for nodes in (10, 20))
            error = np.abs(fine - coarse)
            if np.all(error <= 1e-12 * (1 + np.abs(fine))):
                break
            panels *= 2
        return (-fine, error) if with_error else -fine

    def _integrated_drift(self, end, panels, nodes):
        x, w = np.polynomial.legendre.leggauss(nodes)
        fractions = (np.arange(panels)[:, None] + (x + 1) / 2).ravel() / panels
        weights = np.tile(w, panels) / (2 * panels)
        return end * (self((end[..., None] * fractions)[..., None])[..., 0] @ weights)

    @property
    def assumption(self):
        """What a proof about this field rests on beyond the theorems; empty for the named transfer functions."""
        if self.transfer.proved_averages:
            return ""
        what = "error estimates of the averages" if self.blocks.spread else "estimated rounding error"
        return f"given the {what} of {self.transfer.name}"

    # What the proof of completeness asks of a vector field; all in units of tau = 1.

    def search_box(self):
        """Half-widths (R,) of a box around 0 that contains every fixed point."""
        variance_n = np.maximum(np.diagonal(self.connectivity.covariance("n", "n"), axis1=-2, axis2=-1), 0.0)
        return bounds.search_box(self.blocks, self.transfer, self.v, variance_n)

    def values_with_error(self, kappa):
        """tau times drift and Jacobian with rigorous bounds of their evaluation error: (F, error, J, error)."""
        return self._batched(lambda k: bounds.values_with_error(self.blocks, self.transfer, k, self.v), kappa)

    def hessian_bound(self, kappa, radius):
        """Upper bound of tau times the second derivatives' magnitude over kappa +- radius: (..., R, R, R)."""
        return self._batched(
            lambda k, r: (bounds.hessian_bound(self.blocks, self.transfer, k, r, self.v),), kappa, radius
        )[0]

    def jacobian_bound(self, kappa, radius):
        """Upper bound of tau times the Jacobian's magnitude over kappa +- radius, (..., R, R); inf where none is known.

        Asked for only where the Hessian has no bound: at the kinks of the neurons of a finite network.
        """
        if self.blocks.spread:
            return np.full(kappa.shape + (self.rank,), np.inf)
        return self._batched(
            lambda k, r: (bounds.jacobian_bound(self.blocks, self.transfer, k, r, self.v),), kappa, radius
        )[0]

    def _gains(self, kappa, order):
        b = self.blocks
        mean = equations.mean(b, kappa, self.v)
        variance = np.maximum(equations.variance(b, kappa, self.v), 0.0) if b.spread else None
        return bounds.gains(b, self.transfer, mean, variance, order)

    def _check(self, kappa):
        kappa = np.asarray(kappa, dtype=float)
        if kappa.ndim == 0 or kappa.shape[-1] != self.rank:
            raise ValueError(f"kappa must have shape (..., {self.rank}): got {kappa.shape}")
        return kappa

    def _batched(self, function, *arrays):
        """Work through a large batch in pieces that stay in the cache."""
        shape = arrays[0].shape[:-1]
        flat = [a.reshape(-1, a.shape[-1]) for a in arrays]
        per_point = self.blocks.weights.shape[0] * (self.rank**2 if self.blocks.spread else 1)
        step = max(1, _BATCH // per_point)
        pieces = [function(*(a[i : i + step] for a in flat)) for i in range(0, max(len(flat[0]), 1), step)]
        return tuple(np.concatenate(x).reshape(shape + x[0].shape[1:]) for x in zip(*pieces, strict=True))


@dataclass(frozen=True, eq=False)
class DrivenField:
    """d(kappa, v)/dt under inputs u_s(t), where tau dv_s/dt = -v_s + u_s(t).

    Call it on (t, state) with state = (kappa, v) of shape (..., R + S).
    """

    connectivity: Connectivity
    transfer: Transfer
    inputs: Mapping[str, float | Callable]
    tau: float = 1.0

    @property
    def rank(self):
        """Number of collective variables."""
        return self.connectivity.rank

    def drive(self, t):
        """Inputs u at time t, (S,)."""
        values = [self.inputs.get(name, 0.0) for name in self.connectivity.inputs]
        return np.array(
            [_amplitude(n, u(t) if callable(u) else u) for n, u in zip(self.connectivity.inputs, values, strict=True)]
        )

    def frozen(self, v):
        """The autonomous field of kappa at fixed input variables v (S,)."""
        return VectorField(self.connectivity, self.transfer, np.asarray(v, dtype=float), self.tau)

    @cached_property
    def _blocks(self):
        return self.connectivity.blocks()

    def _split(self, state):
        state = np.asarray(state, dtype=float)
        size = self.rank + len(self.connectivity.inputs)
        if state.ndim == 0 or state.shape[-1] != size:
            raise ValueError(f"state must have shape (..., {size}), kappa then v: got {state.shape}")
        kappa, v = state[..., : self.rank], state[..., self.rank :]
        mean = equations.mean(self._blocks, kappa, v)
        variance = np.maximum(equations.variance(self._blocks, kappa, v), 0.0)
        return kappa, v, mean, variance

    def __call__(self, t, state):
        """d(kappa, v)/dt, (..., R + S)."""
        kappa, v, mean, variance = self._split(state)
        gain = bounds.gains(self._blocks, self.transfer, mean, variance, 1)
        drift = equations.drift(self._blocks, kappa, v, gain)
        return np.concatenate([drift, self.drive(t) - v], axis=-1) / self.tau

    def jacobian(self, t, state):
        """Jacobian of the state's rate of change, (..., R + S, R + S)."""
        kappa, v, mean, variance = self._split(state)
        gain = bounds.gains(self._blocks, self.transfer, mean, variance, 3)
        R, S = self.rank, v.shape[-1]
        out = np.zeros(kappa.shape[:-1] + (R + S, R + S))
        out[..., :R, :R] = equations.jacobian(self._blocks, kappa, v, gain, np.eye(R))
        out[..., :R, R:] = equations.input_jacobian(self._blocks, kappa, v, gain)
        out[..., R:, R:] = -np.eye(S)
        return out / self.tau
