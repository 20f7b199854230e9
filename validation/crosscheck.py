"""The cross-check: a theory against networks drawn from its mixture, with a verdict that can be held to account."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import brief, check_integer
from meanfield.dynamics import reduce
from meanfield.fluctuations import changes, spread

from .analysis import Condition, portrait
from .ensemble import Draw, measure_all
from .planted import PLANTED, planted_overlap, wrong_overlaps
from .predictions import Prediction, partners, predict
from .random_check import DRAWS as RANDOM_DRAWS
from .random_check import SIZES as RANDOM_SIZES
from .random_check import random_crosscheck
from .verdict import (
    Outcome,
    RingCount,
    Row,
    Topology,
    calibration_limits,
    ring_count,
    scores,
    single_level,
    table,
    topology,
)

SIZES, DRAWS = (500, 1000, 2000, 4000), 50
#: The smallest network whose spread is worth comparing, and the fewest draws with a standard deviation.
SMALLEST, FEWEST = 50, 5


@dataclass(frozen=True, eq=False)
class Planted:
    """A wrong theory, put to the same test: it has to be rejected, else the test has no power.

    Attributes
    ----------
    what : str
        Which overlap is off.
    rejected : bool
    z : float
        The largest |z| of its rows; inf where its portrait differs.
    why : str
        The observable that rejects it most clearly.
    scores : ndarray (D,)
        The z-scores of that observable in all draws, under the wrong theory.
    """

    what: str
    rejected: bool
    z: float
    why: str
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)

    def __str__(self):
        score = f" (z = {self.z:.1f})" if np.isfinite(self.z) else ""
        return f"{self.what}: {'rejected' if self.rejected else 'not rejected'} by {self.why}{score}"


@dataclass(frozen=True, eq=False)
class CrossCheck:
    """The verdict on a theory, and all that it rests on.

    Attributes
    ----------
    outcome : Outcome
    rows : tuple of Row
        One per observable.
    topology : tuple of Topology
        One per size.
    ring : RingCount or None
    planted : Planted or None
    prediction : Prediction
    draws : tuple of Draw
    sizes : tuple of int
    seed : int
    """

    outcome: Outcome
    rows: tuple[Row, ...]
    topology: tuple[Topology, ...]
    ring: RingCount | None
    planted: Planted | None
    prediction: Prediction
    draws: tuple[Draw, ...] = field(repr=False)
    sizes: tuple[int, ...]
    seed: int

    @property
    def agrees(self):
        """True when nothing contradicts the theory and the planted wrong one is rejected."""
        return self.outcome is Outcome.AGREES

    @property
    def z_scores(self):
        """All z-scores of the rows' draws about the mean of their size, flat: normal when the spread is right."""
        parts = [scores(r.observable, self.draws, dict(zip(self.sizes, r.mean, strict=True))) for r in self.rows]
        return np.concatenate(parts) if parts else np.zeros(0)

    @property
    def calibration(self):
        """Standard deviation of all z-scores."""
        freedom = sum(r.z_count - np.isfinite(r.mean).sum() for r in self.rows)
        return float(np.sqrt((self.z_scores**2).sum() / freedom)) if freedom else np.nan

    @property
    def calibration_limits(self):
        """Within which the calibration must lie; observables count by how little they correlate."""
        return calibration_limits(self.rows, self.draws)

    @property
    def failures(self):
        """Everything that contradicts the theory, as sentences."""
        found = [f"{r.observable.label}: {why}" for r in self.rows for why in r.failures]
        found += [
            f"{t.draws - t.same} of {t.draws} networks of {t.n_neurons} neurons have another portrait, "
            f"expected with probability {1 - t.probability:.2g}"
            for t in self.topology
            if not t.agrees
        ]
        low, high = self.calibration_limits
        if len(self.z_scores) and not low <= self.calibration <= high:
            found.append(
                f"the z-scores together have standard deviation {self.calibration:.3f}, not {low:.2f} to {high:.2f}"
            )
        if self.ring is not None and not self.ring.agrees:
            found.append(
                f"{self.ring.mean:.2f} +- {self.ring.error:.2f} points on the ring, not {self.ring.expected:.2f}"
            )
        return tuple(found)

    @property
    def resolution(self):
        """The relative error of each overlap of n from which on the compared drifts alone reject a theory: a dict."""
        from scipy.stats import norm

        f, found = self.prediction.field, {}
        drifts = [o for o in self.prediction.observables if o.key[0] == "drift"]
        std = np.sqrt([o.variance for o in drifts]) / np.sqrt(sum(d.n_neurons for d in self.draws))
        far = norm.isf(single_level(len(self.rows), len(self.sizes)) / 2)
        for (a, b), wrong in wrong_overlaps(f.connectivity, f.v):
            moved = f.tau * (
                reduce(wrong, f.transfer, f.inputs, f.tau)(self.prediction.states) - f(self.prediction.states)
            )
            score = np.abs([moved[o.key[1], o.key[2]] for o in drifts] / std).max()
            found[f"{a} {b}"] = float((PLANTED - 1) * far / score) if score else np.inf
        return found

    @property
    def summary(self):
        """The plain-language line."""
        good, number = sum(r.agrees for r in self.rows), len(self.rows)
        text = f"{self.outcome.value[0].upper()}{self.outcome.value[1:]}: {good} of {number} observables fit; "
        text += f"{len(self.z_scores)} z-scores have standard deviation {self.calibration:.3f}"
        slopes = np.array([r.slope for r in self.rows if np.isfinite(r.slope)])
        if len(slopes):
            text += f"; the spread falls like N^{slopes.mean():.2f}"
        if self.topology:
            same, total = (sum(getattr(t, name) for t in self.topology) for name in ("same", "draws"))
            text += f"; {same} of {total} networks have the same portrait"
        if self.planted is not None:
            text += f"; planted error, {self.planted}"
        return text + "."

    def __str__(self):
        columns = ("theory", "measured", "spread", "predicted", "z", "sd z", "slope in N")
        head = f"{f'observable, at N = {self.sizes[-1]}':44s}" + "".join(f"{x:>11s}" for x in columns)
        lines = [self.summary, head]
        for r in self.rows:
            numbers = (r.observable.value, r.mean[-1], r.std[-1], r.predicted_std[-1], r.z, r.z_std)
            row = "".join(f"{x:11.{d}f}" for x, d in zip(numbers, (4, 4, 4, 4, 2, 2), strict=True))
            slope = f"{r.slope:.2f}+-{r.slope_error:.2f}" if np.isfinite(r.slope) else ""
            lines.append(f"{r.observable.label[:44]:44s}{row}{slope:>11s}" + ("" if r.agrees else "  <--"))
        lines += [f"contradiction: {text}" for text in self.failures]
        seen = ", ".join(f"{name} {100 * x:.2g} %" for name, x in self.resolution.items() if np.isfinite(x))
        lines.append(f"errors of an overlap that the drifts alone would show: {seen or 'none'}")
        remarks = Counter(text for d in self.draws for text in d.remarks)
        lines += [f"remark, {number} draws: {text}" for text, number in remarks.most_common()]
        lines += [f"not compared: {text}" for text in self.prediction.left_out]
        return "\n".join(lines)

    def _repr_html_(self):
        import html

        cells = [
            (r.observable.label, f"{r.observable.value:.5g}", f"{r.mean[-1]:.5g}",
             f"{r.std[-1]:.2g}", f"{r.predicted_std[-1]:.2g}", f"{r.z:.2f}", f"{r.z_std:.2f}", f"{r.slope:.2f}",
             "yes" if r.agrees else "; ".join(r.failures))
            for r in self.rows
        ]  # fmt: skip
        head = ("observable", "theory", "mean", "spread", "predicted", "z", "sd of z", "slope in N", "agrees")
        rows = ["".join(f"<td>{html.escape(x)}</td>" for x in row) for row in cells]
        body = "".join(f"<tr>{row}</tr>" for row in ["".join(f"<th>{x}</th>" for x in head), *rows])
        return (
            f"<p>{html.escape(self.summary)}</p><table>{body}</table><p>Means and spreads at N = {self.sizes[-1]}.</p>"
        )


def crosscheck(c, transfer="tanh", inputs=None, sizes=None, draws=None, seed=0, *, theory=None, known=None, box=None,
               planted=True, matched="nothing", workers=None, progress=None):  # fmt: skip
    """Draw networks from a mixture, measure them, and compare with what the theory says of them.

    Compared are the drift at two places, all fixed points with their eigenvalues and readouts, stable cycles with
    period and amplitudes, the drift along a ring, and the number and kinds of fixed points; each with the spread over
    draws that the theory predicts at that size (:func:`meanfield.spread`), without a free parameter.

    Parameters
    ----------
    c : Connectivity
        A mixture; networks are drawn from it. With a random part, see
        :func:`~meanfield.validation.random_check.random_crosscheck`, which is then called.
    transfer : Transfer or str
    inputs : mapping of str to float
        Constant amplitudes; unlisted inputs are off.
    sizes : sequence of int
        Numbers of neurons. Default: 500, 1000, 2000 and 4000; 400, 1000 and 2500 with a random part.
    draws : int
        Networks of each size. Default: 50; 8 with a random part.
    seed : int
    theory : Connectivity, optional
        The mixture that the prediction is made from: by default ``c``. Another one is a theory to be rejected.
    known : Portrait (with a random part: Landscape), optional
        Of the theory under these inputs, where it has been worked out already.
    box : pair of array_like (R,), optional
        Where to look for fixed points; needed for transfer functions without a bound, such as relu.
    planted : bool
        Also test a wrong theory, one overlap off by 5 %, which has to be rejected.
    matched : {"nothing", "moments"}
        Draw loadings freely, or with exactly the overlaps of the mixture (with a random part only).
    workers : int, optional
        Processes; by default one per core.
    progress : bool, optional
        Show a bar when it takes more than two seconds; by default on a terminal.

    Returns
    -------
    CrossCheck, or RandomCheck with a random part

    Raises
    ------
    ValueError
        A finite network instead of a mixture, sizes or draws that make no sense, and what
        :func:`meanfield.reduce` and :func:`meanfield.fixed_points` refuse.
    """
    random = isinstance(c, Connectivity) and bool(np.any(c.g))
    sizes = (RANDOM_SIZES if random else SIZES) if sizes is None else sizes
    draws = (RANDOM_DRAWS if random else DRAWS) if draws is None else draws
    sizes, draws, seed = _checked(c, sizes, draws, seed, inputs, workers)
    if random:
        options = {"theory": theory, "known": known, "box": box, "planted": planted, "matched": matched}
        return random_crosscheck(c, transfer, inputs, sizes, draws, seed, **options, workers=workers, progress=progress)
    if matched != "nothing":
        raise ValueError(f"matched draws are compared with a random part only: got matched={matched!r} at g = 0")
    theory = c if theory is None else theory
    condition = Condition("", dict(inputs or {}))
    search = {} if box is None else {"box": box}
    if known is None:
        known = portrait(theory, transfer, condition, **search)
    _check_known(known, reduce(theory, transfer, condition.inputs))
    prediction = predict(known, sizes[0])
    measured = measure_all(c, prediction, sizes, draws, seed, workers, progress)
    rows, kinds, ring = (
        table(prediction, measured, sizes),
        topology(prediction, measured, sizes),
        ring_count(prediction, measured),
    )
    wrong = _planted(theory, prediction, measured, sizes, search) if planted else None
    outcome = Outcome.AGREES if wrong is None or wrong.rejected else Outcome.WEAK
    check = CrossCheck(outcome, rows, kinds, ring, wrong, prediction, tuple(measured), sizes, seed)
    return replace(check, outcome=Outcome.DISAGREES) if check.failures else check


def _check_known(known, f):
    """Refuse a portrait of another theory; its time constant may be any."""
    own = getattr(known, "field", None)
    parts = ("weights", "means", "covariances")
    if (
        own is None
        or (own.transfer.name, own.inputs) != (f.transfer.name, f.inputs)
        or not all(np.array_equal(getattr(own.connectivity, x), getattr(f.connectivity, x)) for x in parts)
    ):
        raise ValueError("known is not the portrait of this theory with this transfer function under these inputs")


def _checked(c, sizes, draws, seed, inputs, workers):
    if not isinstance(inputs, Mapping | None):
        raise ValueError(f"inputs must map names to amplitudes: got {brief(inputs)}")
    if workers is not None:
        check_integer("workers", workers, 1)
    if not isinstance(c, Connectivity) or c.point_masses:
        raise ValueError(
            "crosscheck draws networks from a mixture: got a finite network; give the mixture it came from"
        )
    sizes = [sizes] if np.ndim(sizes) == 0 else list(sizes)
    sizes = tuple(sorted(check_integer("a size", n, SMALLEST) for n in sizes))
    if not sizes or len(set(sizes)) < len(sizes):
        raise ValueError(f"sizes must be at least one, and different, numbers of neurons: got {sizes}")
    return sizes, check_integer("draws", draws, FEWEST), check_integer("seed", seed, 0)


def _planted(c, prediction, draws, sizes, search):
    """The wrong theory's own numbers in the place of the right one's, against the same draws."""
    (a, b), wrong = planted_overlap(c, prediction.field.v)
    what = f"{a} {b} larger by {PLANTED - 1:.0%}"
    right = prediction.portrait
    f = right.field
    condition = right.condition
    there = portrait(wrong, f.transfer, condition, cycles=False, **search)
    ours, theirs = (tuple(sorted(Counter(p.fixed_points.kind.tolist()).items())) for p in (right, there))
    settled = right.fixed_points.complete and there.fixed_points.complete and not prediction.changes
    if settled and ours != theirs and not any(d.kinds == theirs for d in draws):
        if not changes(spread(there.fixed_points), sizes[0]):  # nor could finite size make theirs look like ours
            return Planted(what, True, np.inf, f"its portrait, which none of {len(draws)} draws has")
    observables = list(_replaced(prediction, there, sizes[0]))
    rows = table(replace(prediction, observables=tuple(observables)), draws, sizes)
    worst = max(rows, key=lambda r: np.nan_to_num(abs(r.z)), default=None)
    if worst is None:
        return Planted(what, False, 0.0, "nothing: no observable is left")
    o, rejected = worst.observable, any(r.off for r in rows)
    return Planted(what, rejected, abs(worst.z), o.label, scores(o, draws))


def _replaced(prediction, there, smallest):
    """Observables of another portrait under the keys of this one: drifts there, the nearest fixed points."""
    theirs = there.fixed_points
    partner = partners(prediction.portrait.fixed_points, theirs)
    sp = spread(theirs)
    drift = there.field.tau * there.field(prediction.states)
    for o in prediction.observables:
        kind, k, *rest = o.key
        if kind == "drift":
            yield replace(o, value=float(drift[k, rest[0]]))
        elif kind in ("kappa", "eigenvalue", "readout") and partner[k] >= 0:
            yield _moved(o, sp, partner[k])


def _moved(o, sp, k):
    """The observable with the value and spread it has at the fixed point k of another theory."""
    kind, _, *rest = o.key
    r = rest[0]
    if kind == "kappa":
        value, variance, bias = sp.fixed_points.kappa[k, r], sp.covariance[k, r, r], sp.bias[k, r]
    elif kind == "readout":
        value, variance, bias = sp.readout[k, r], sp.readout_covariance[k, r, r], sp.readout_bias[k, r]
    else:
        eigenvalue, part = sp.fixed_points.eigenvalues[k, r], rest[1]
        value, bias = (eigenvalue.imag if part else eigenvalue.real), np.nan
        variance = sp.eigenvalue_covariance[k, r, part, part]
    return replace(o, value=float(value), variance=float(variance), bias=float(bias))
