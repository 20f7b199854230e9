"""Stationary states of a network with a random part: all of them, with the spectrum of the full network at each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import equations
from ..fixed_points import FixedPoints, fixed_points
from ..gaussian.squares import both
from .field import StationaryField, bulk_radius, growth_rates, spectrum_matrix
from .problem import Problem, pose


@dataclass(frozen=True, eq=False)
class StationaryState:
    """One stationary state of the infinite network; rates in units of 1/time.

    Attributes
    ----------
    kappa : ndarray (R,)
    delta0 : ndarray (P,)
        Variance of x over the neurons of each population: loadings, static inputs and the random part.
    mean : ndarray (P,)
        Mean of x.
    handed_on : ndarray (K,)
        Q: sum_p alpha_p <phi^2>_p for one g (K = 1), <phi^2>_q for a block g (K = P).
    radius : ndarray (R + K,)
        Bound of the error of (kappa, Q). Where ``proved``, the box of this radius holds exactly one state.
    outliers : ndarray (R + K,), complex
        Growth rates of perturbations of kappa, mean and variance, fastest first. Those of ``visible`` are eigenvalues
        of the network's Jacobian; the others lie within the bulk and are not seen. Silent neurons (Q_k = 0) have no
        variance that could grow by itself: their rate is the leak's.
    outlier_error : float
        Bound of their error (Bauer-Fike) where ``proved``; else a rough guess, 1e-6 of the largest.
    bulk_radius, bulk_error : float
        tau times the radius of the disc of eigenvalues around -1/tau, and its error.
    index : int
        Sign of det of minus the Jacobian of (kappa, Q).
    proved : bool
        Existence and uniqueness are proved; else a numerical zero in a set that could not be settled.
    """

    kappa: np.ndarray
    delta0: np.ndarray
    mean: np.ndarray
    handed_on: np.ndarray
    radius: np.ndarray
    outliers: np.ndarray
    outlier_error: float
    bulk_radius: float
    bulk_error: float
    index: int
    proved: bool
    problem: Problem

    @property
    def visible(self):
        """Which outliers lie outside the bulk, (R + K,) bool."""
        return np.abs(self.outliers * self.problem.tau + 1) > self.bulk_radius

    @property
    def growth(self):
        """The rightmost real part of the network's spectrum: bulk and visible outliers."""
        edge = (self.bulk_radius - 1) / self.problem.tau
        return float(max([edge, *self.outliers.real[self.visible]]))

    @property
    def stable(self):
        """True when the full network returns to this state: bulk and all outliers decay."""
        return self.kind == "stable"

    @property
    def kind(self):
        """ "stable"; "chaotic bulk" (a disc of unstable directions); "saddle" (an outlier grows); "undecided"."""
        if self.bulk_radius > 1 + self.bulk_error:
            return "chaotic bulk"
        if self.outliers.real.max() > self.outlier_error:
            return "saddle"
        certain = self.bulk_radius < 1 - self.bulk_error and self.outliers.real.max() < -self.outlier_error
        return "stable" if certain else "undecided"

    @property
    def readout(self):
        """z of the infinite network, (W,)."""
        c, b = self.problem.connectivity, self.problem.blocks
        gain = both(self.problem.transfer, self.mean, self.delta0, 1)[0]
        args = c.mean("w"), c.covariance("w", "m"), c.covariance("w", "I")
        return equations.readout(b, *args, self.kappa, self.problem.v, gain)

    def __str__(self):
        numbers = [", ".join(f"{x + 0.0:.6g}" for x in np.round(q, 9)) for q in (self.kappa, self.delta0)]
        seen = ", ".join(_rate(x) for x in self.outliers[self.visible]) or "none outside"
        return (
            f"kappa ({numbers[0]})  delta0 ({numbers[1]})  {self.kind}; bulk radius {self.bulk_radius:.4g}, "
            f"outliers {seen}{'' if self.proved else '; not proved'}"
        )


def _rate(x):
    return f"{x.real:.4g}" if abs(x.imag) < 1e-12 else f"{x.real:.4g}{x.imag:+.4g}i"


@dataclass(frozen=True, eq=False)
class StationaryStates(Sequence):
    """Stationary states of a problem; a sequence of :class:`StationaryState`, sorted by kappa.

    Attributes
    ----------
    states : tuple
    points : FixedPoints
        The proof: zeros of the field of (kappa, Q), their enclosures, and sets that could not be settled.
    continua : tuple of StationaryState
        One state of each continuum (a ring of states, say), numerical; not in the sequence. Continua whose states
        have the same growth rates count as one.
    problem : Problem
    """

    states: tuple
    points: FixedPoints
    continua: tuple
    problem: Problem

    def __len__(self):
        return len(self.states)

    def __getitem__(self, index):
        return self.states[index]

    @property
    def status(self):
        """How far the search got, :class:`meanfield.fixed_points.Status`."""
        return self.points.status

    @property
    def complete(self):
        """True when these are proved to be all stationary states (in the box that was searched)."""
        return self.points.complete

    @property
    def stable(self):
        """Those that the full network returns to."""
        return tuple(s for s in self.states if s.stable)

    def __str__(self):
        text = self.points.summary.replace("fixed point", "stationary state", 1)
        head = f"{len(self)} stationary state{'s' * (len(self) != 1)}: {text.split('; ', 1)[1]}"
        rest = [f"  unresolved: {u}" for u in self.points.unresolved]
        rest += [f"  of a continuum: {s}" for s in self.continua]
        return "\n".join([head, *(f"  {s}" for s in self.states), *rest])

    def __repr__(self):
        return f"StationaryStates({len(self)}, {self.status.name})"

    def _repr_html_(self):
        import html

        head = ("kappa", "Delta_0", "kind", "bulk radius", "outliers outside the bulk")
        rows = []
        for s in self.states:
            vectors = (", ".join(f"{x + 0.0:.6g}" for x in np.round(q, 9)) for q in (s.kappa, s.delta0))
            seen = ", ".join(_rate(x) for x in s.outliers[s.visible])
            rows.append((*vectors, s.kind, f"{s.bulk_radius:.4g}", seen))
        body = "".join("<tr>" + "".join(f"<td>{x}</td>" for x in row) + "</tr>" for row in rows)
        first = html.escape(str(self).split("\n")[0])
        return f"<p>{first}</p><table><tr>{''.join(f'<th>{x}</th>' for x in head)}</tr>{body}</table>"


def stationary(c, transfer="tanh", inputs=None, *, input_variance=0.0, tau=1.0, box=None, max_boxes=None,
               progress=None, starts=None):  # fmt: skip
    """All stationary states of a network with a random part, unstable ones too, and what is proved of them.

    Solves kappa and the variance that the random part hands on together (:eq:`dmft-field`), so that states which share
    their kappa are told apart. What is proved: existence, uniqueness and completeness, as in
    :func:`meanfield.fixed_points`. What is numerical: bulk radius and outliers, within the errors given; and
    completeness, where there are more than five unknowns: R collective variables, and 1 for one g or P for g per pair
    of populations. ``status`` says which.

    Parameters
    ----------
    c : Connectivity
        With g as a number or per pair of populations; g = 0 gives the fixed points of the low-rank network.
    transfer : Transfer or str
    inputs : mapping name -> number
        Constant amplitudes; unlisted inputs are off.
    input_variance : float or (P,) array
        Variance over neurons of an independent static input.
    tau : float
    box : pair of array_like (R + K,), optional
        Corners of the region of (kappa, Q) to search, where no box is known that holds all states.
    max_boxes, progress, starts
        As for :func:`meanfield.fixed_points`.

    Returns
    -------
    StationaryStates

    Raises
    ------
    ValueError
        As :func:`meanfield.dmft.problem.pose` and :func:`meanfield.fixed_points`.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, tau=tau)
    field = StationaryField(problem)
    points = fixed_points(field, _upright(field, box), max_boxes, progress, starts)
    states = [
        _state(field, y, r, e, error, i, True)
        for y, r, e, error, i in zip(
            points.kappa, points.radius, points.eigenvalues, points.eigenvalue_error, points.index, strict=True
        )
    ]
    loose = [(u.kind == "continuum", _numerical(field, u.points[0])) for u in points.unresolved if len(u.points)]
    states += [s for spread, s in loose if not spread]
    return StationaryStates(tuple(states), points, tuple(s for spread, s in loose if spread), problem)


def _upright(field, box):
    """The box with Q >= 0, where the field is defined."""
    if box is None:
        return None
    low, high = (np.array(x, dtype=float, ndmin=1) for x in box)
    return (np.maximum(low, field.floor) if low.shape == field.floor.shape else low), high


def _state(field, y, radius, rates, error, index, proved):
    p = field.problem
    R = p.rank
    mean, variance = field.mean(y), field.variance(y)
    bulk, bulk_error = bulk_radius(p.transfer, p.coupling, mean[None], variance[None], *field.moved(y, radius))
    if (y[R:] <= radius[R:]).any():
        matrix = spectrum_matrix(field.values(y)[1], y[R:], R, radius[R:].max())
        rates = growth_rates(matrix, p.tau)
    return StationaryState(
        y[:R], variance, mean, y[R:], radius, rates, float(error), float(bulk[0]), float(bulk_error[0]), int(index),
        proved, p,
    )  # fmt: skip


def _numerical(field, y):
    """A zero that could not be proved: its error is that of the last Newton step."""
    y = np.maximum(y, field.floor)
    value, jacobian = field.values(y)
    step = np.abs(np.linalg.lstsq(jacobian, value, rcond=None)[0])
    rates = growth_rates(jacobian, field.tau)
    return _state(field, y, step + 1e-12, rates, np.abs(rates).max() * 1e-6, 0, False)
