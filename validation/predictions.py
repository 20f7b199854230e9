"""What the theory says of networks drawn from a mixture: numbers with their spread, and where to look for them."""

from dataclasses import dataclass, field

import numpy as np

from meanfield.dynamics import VectorField
from meanfield.fluctuations import Change, changes, is_odd, ring_spread, spread

from .analysis import Portrait

#: A fixed point is compared in networks so large that its eigenvalues are this many standard deviations of the Jacobian
#: from 0: nearer to a bifurcation its displacement is not linear in the fluctuations.
AWAY = 3.0
#: And its second order, the predicted shift of the mean, must be below this share of the spread: the predicted spread
#: is then right within a few percent.
SECOND = 0.25
#: What symmetry leaves of the bend, the third order, must be below this share of a displacement by so many standard
#: deviations: it gives the distribution heavy tails.
THIRD, WIDE = 0.15, 4.0
#: An eigenvalue this many standard deviations from the imaginary axis does not cross it, linear or not.
FAR = 8.0
#: First order is worth comparing where the period of a cycle spreads by less than this share: its distribution is
#: skewed (the period diverges where the cycle ends), and at 5 % the standard deviation is off by a third.
LINEAR = 0.025
#: Angles on a ring at which the drift along it is compared.
ANGLES = 4
# Step of second differences of the Jacobian in kappa.
_STEP = 1e-3
# Sizes at which the drift is looked at over the spread of kappa.
_SIZES = np.round(np.geomspace(50, 1e6, 60))


@dataclass(frozen=True, eq=False)
class Observable:
    """One number of a finite network, as the theory of the infinite one predicts it.

    Attributes
    ----------
    name : str
        E.g. ``"kappa_1"``; ``group`` says of what, e.g. ``"of the stable point (1.6, 0.8)"``.
    key : tuple
        Under which a draw's measurement is found, see :mod:`meanfield.validation.ensemble`.
    value : float
        For N to infinity.
    variance, bias : float
        N times the variance over draws, and N times the mean shift; the bias is nan where it is not known.
    smallest : int
        The smallest network for which first order is good enough to be compared.
    """

    name: str
    group: str
    key: tuple
    value: float
    variance: float
    bias: float = np.nan
    smallest: int = 0

    @property
    def label(self):
        """Name and group."""
        return f"{self.name} {self.group}"


@dataclass(frozen=True, eq=False)
class Prediction:
    """Everything the theory says of the networks drawn from one mixture under one condition.

    Attributes
    ----------
    portrait : Portrait
    observables : tuple of Observable
    points : ndarray (K,) of int
        Which of the portrait's fixed points are compared: of a mirror pair (odd phi, no input) only one.
    ring : RingSpread or None
    changes : tuple of Change
        Ways in which the portrait of a draw can differ, with their probabilities.
    states : ndarray (M, R)
        Where the drift itself is compared.
    portraits_from : int
        The smallest network in which the probability of another portrait is known well enough to be judged.
    left_out : tuple of str
        What is not predicted, and why.
    """

    portrait: Portrait
    observables: tuple[Observable, ...]
    points: np.ndarray
    ring: object = None
    changes: tuple[Change, ...] = ()
    states: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))
    left_out: tuple[str, ...] = ()
    portraits_from: int = 0

    @property
    def field(self) -> VectorField:
        """The vector field of the limit."""
        return self.portrait.field


def predict(portrait, smallest):
    """The prediction of a portrait for networks of ``smallest`` neurons or more.

    Parameters
    ----------
    portrait : Portrait
        Of a mixture, not of a finite network.
    smallest : int

    Returns
    -------
    Prediction
    """
    found, f = portrait.fixed_points, portrait.field
    points, sp = _one_of_each_pair(found), spread(found)
    observables, left_out = [], []
    places = states(found)
    observables += _drift(f, places)
    for k in points:
        observables += _point(found, sp, k, smallest, left_out)
    for j, cycle in enumerate(portrait.cycles):
        if not cycle.stable:
            left_out.append(f"the {cycle.kind} cycle of period {cycle.period:.4g}: a simulation does not reach it")
            continue
        observables += _cycle(cycle, j)
    ring = None
    for u in found.unresolved:
        if u.kind == "continuum" and f.rank == 2 and ring is None:
            ring = ring_spread(f, u)
            observables += _ring(ring)
        else:
            left_out.append(f"the {u}: finite networks have no fixed point there to first order")
    listed = changes(sp, smallest) if found.complete and found.everywhere else ()
    if not found.everywhere:
        left_out.append("the number of fixed points: only those in the given box are known")
    least = _portraits_from(found, sp)
    if least > smallest and found.complete:
        left_out.append(f"the number of other portraits at N < {least}: an eigenvalue may cross the axis nonlinearly")
    return Prediction(portrait, tuple(observables), points, ring, listed, places, tuple(dict.fromkeys(left_out)), least)


def _portraits_from(found, sp):
    """The smallest network whose eigenvalues are either far from the imaginary axis or move linearly."""
    least = 0
    for k in range(len(found)):
        if not np.isfinite(sp.covariance[k]).all():
            continue
        width = sp.eigenvalue_std(1)[k, :, 0]
        far = (FAR * width / np.maximum(np.abs(found.eigenvalues[k].real), 1e-300)) ** 2
        # a real eigenvalue crosses in a fold, whose distance is found without linearising
        crossing = (found.eigenvalues[k].imag != 0) | at_origin(found.field, found.kappa[k])
        needed = np.minimum(far, eigenvalues_linear_from(found, sp, k)[:, 0])[crossing]
        least = max(least, int(min(np.ceil(np.nanmax(needed, initial=0.0)), 1e9)))
    return least


def _one_of_each_pair(found):
    """Indices of the fixed points, of kappa and -kappa only the first that is positive in its leading component."""
    keep = np.arange(len(found))
    if not is_odd(found.field):
        return keep
    leading = np.take_along_axis(found.kappa, np.abs(found.kappa).argmax(-1, keepdims=True), -1)[:, 0]
    return keep[leading >= -1e-9]


def partners(theory, found):
    """For each fixed point of the theory the one of the same kind in ``found``, or -1: the nearest pairing."""
    from scipy.optimize import linear_sum_assignment

    partner = np.full(len(theory), -1)
    for kind in set(theory.kind.tolist()):
        ours, theirs = np.flatnonzero(theory.kind == kind), np.flatnonzero(found.kind == kind)
        distance = np.linalg.norm(theory.kappa[ours][:, None] - found.kappa[theirs], axis=-1)
        rows, columns = linear_sum_assignment(distance)
        partner[ours[rows]] = theirs[columns]
    return partner


def at_origin(f, kappa):
    """True at the fixed point that symmetry holds at the origin in every draw."""
    return is_odd(f) and np.abs(kappa).max() < 1e-9


def place(kappa):
    """A point for people."""
    return "(" + ", ".join(f"{x + 0.0:.3g}" for x in np.round(kappa, 9)) + ")"


def states(found):
    """Two places away from symmetry and from the fixed points, within the region where the flow is interesting."""
    half = np.abs(found.box).max(0)
    signs = np.where(np.arange(found.field.rank) % 2, -1.0, 1.0)
    return np.array([0.25 * half, 0.45 * signs * half])


def _drift(f, states):
    from meanfield.finite_size.neurons import neuron

    for i, kappa in enumerate(states):
        nu = neuron(f, kappa)
        variance = np.diagonal(nu.covariance[nu.drift, nu.drift])
        for r, value in enumerate(f.tau * f(kappa)):
            yield Observable(f"drift_{r + 1}", f"at kappa = {place(kappa)}", ("drift", i, r), value, variance[r], 0.0)


def _point(found, sp, k, smallest, left_out):
    kappa, what = found.kappa[k], f"{found.kind[k]} point {place(found.kappa[k])}"
    if not np.isfinite(sp.covariance[k]).all():
        left_out.append(f"the {what}: its Jacobian is singular")
        return
    origin, group = at_origin(found.field, kappa), f"of the {what}"
    linear = 0 if origin else _linear_from(found, sp, k)
    if linear > smallest:
        left_out.append(f"the {what} at N < {linear}: there its displacement is not linear in the fluctuations")
    if not origin:
        for r in range(len(kappa)):
            variance = sp.covariance[k, r, r]
            yield Observable(f"kappa_{r + 1}", group, ("kappa", k, r), kappa[r], variance, sp.bias[k, r], linear)
        for j, name in enumerate(found.field.connectivity.readouts):
            values = sp.readout[k, j], sp.readout_covariance[k, j, j], sp.readout_bias[k, j]
            yield Observable(f"readout {name}", group, ("readout", k, j), *values, linear)
    yield from _eigenvalues(found, sp, k, max(smallest, linear), linear, left_out)


def _linear_from(found, sp, k):
    """The smallest network in which the point's displacement is linear in the fluctuations."""
    # the Jacobian's own fluctuation beside its eigenvalues, what mixes them included
    relative = sp.jacobian_variance[k].sum(-1) / np.abs(found.eigenvalues[k]) ** 2
    near = AWAY**2 * np.nanmax(relative, initial=0.0)
    # along the direction in which the shift is largest beside the spread
    shift = sp.bias[k] @ np.linalg.pinv(sp.covariance[k], rcond=1e-10, hermitian=True) @ sp.bias[k]
    return int(np.ceil(max(near, shift / SECOND**2, _straight_from(found.field, found.kappa[k], sp.covariance[k]))))


def _straight_from(f, kappa, covariance):
    """The smallest network in which the drift bends little, in odd orders, over WIDE standard deviations of kappa.

    A fluctuation of the drift by -F(kappa + d) moves the fixed point by d; to first order it moves it by J^-1 F.
    """
    size, along = np.linalg.eigh(covariance)
    size = np.maximum(size, 0.0)
    steps = (WIDE * np.sqrt(size) * along).T / np.sqrt(_SIZES)[:, None, None]
    ahead, back = (f(kappa + sign * steps) @ np.linalg.inv(f.jacobian(kappa)).T for sign in (1, -1))
    white = np.divide(1.0, np.sqrt(size), out=np.zeros_like(size), where=size > 1e-12 * size[-1])
    bent = np.linalg.norm((0.5 * (ahead - back) - steps) @ along * white, axis=-1).max(-1) * np.sqrt(_SIZES)
    bad = np.flatnonzero(bent > THIRD * WIDE)
    return 0 if not len(bad) else _SIZES[min(bad[-1] + 1, len(_SIZES) - 1)]


def eigenvalues_linear_from(found, sp, k):
    """The smallest network in which each eigenvalue at the point k moves linearly, real and imaginary part: (R, 2).

    In second order it moves by its curvature over the spread of kappa, and by what mixes its eigenvector with others.
    """
    f, values, vectors = found.field, found.eigenvalues[k], found.eigenvectors[k]
    size, along = np.linalg.eigh(sp.covariance[k])
    step = _STEP * along.T
    curved = f.jacobian(found.kappa[k] + step) + f.jacobian(found.kappa[k] - step) - 2 * f.jacobian(found.kappa[k])
    moved = 0.5 * np.tensordot(np.maximum(size, 0.0), curved, 1) / _STEP**2
    shift = np.abs(np.diagonal(np.linalg.inv(vectors) @ moved @ vectors))
    apart = np.abs(values[:, None] - values) + np.diag(np.full(len(values), np.inf))
    with np.errstate(divide="ignore"):
        mixed = (np.sqrt(sp.jacobian_variance[k] * sp.jacobian_variance[k].T) / apart).sum(-1)
    variance = np.diagonal(sp.eigenvalue_covariance[k], axis1=-2, axis2=-1)
    needed = np.divide(
        np.maximum(shift, mixed)[:, None] ** 2, SECOND**2 * variance, out=np.zeros_like(variance), where=variance > 0
    )
    return np.ceil(np.where(np.isnan(variance), np.inf, needed))


def _eigenvalues(found, sp, k, smallest, linear, left_out):
    values, what = found.eigenvalues[k], f"{found.kind[k]} point {place(found.kappa[k])}"
    needed = np.maximum(eigenvalues_linear_from(found, sp, k), linear)
    for j, value in enumerate(values):
        if value.imag < 0:
            continue
        covariance, group = sp.eigenvalue_covariance[k, j], f"of the {what}"
        label = f"eigenvalue {value.real:.3g}" + (f" {value.imag:+.3g}i" if value.imag else "")
        for part, x in enumerate((value.real, value.imag) if value.imag else (value.real,)):
            name, least = label + ", imaginary part" * part, needed[j, part]
            if not np.isfinite(least):
                left_out.append(f"{name} {group}: it coincides with another")
                continue
            if least > smallest:
                left_out.append(f"{name} {group} at N < {least:.0f}: there it is not linear in the fluctuations")
            yield Observable(name, group, ("eigenvalue", k, j, part), x, covariance[part, part], smallest=int(least))


def _cycle(cycle, j):
    sp, group = spread(cycle), f"of the cycle of period {cycle.period:.4g}"
    smallest = int(np.ceil(sp.covariance[0, 0] / (LINEAR * cycle.period) ** 2))
    variance = sp.covariance[0, 0] / cycle.period**4
    yield Observable("frequency", group, ("cycle", j, 0), 1 / cycle.period, variance, smallest=smallest)
    for r, amplitude in enumerate(cycle.amplitude):
        variance = sp.covariance[r + 1, r + 1]
        yield Observable(f"amplitude_{r + 1}", group, ("cycle", j, r + 1), amplitude, variance, smallest=smallest)


def _ring(ring):
    # the drift is odd under kappa -> -kappa in every draw: half of the ring holds all of it
    for i in range(ANGLES):
        at = i * len(ring.points) // (2 * ANGLES)
        group = f"along the ring at {place(ring.points[at])}"
        yield Observable("drift", group, ("ring", at), 0.0, ring.drift_variance[at], 0.0)
