"""All fixed points of a vector field, with the proof that none is missing; beyond five variables without it."""

import enum
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .conventions import check_integer
from .proof import search as _search
from .proof.survey import Starts
from .proof.survey import survey as _survey

#: Boxes examined before giving up, by rank.
BUDGET = {1: 20_000, 2: 100_000, 3: 300_000, 4: 1_000_000, 5: 2_000_000}
#: Starts of the search in more variables than these, at most.
STARTS = 2**14


class Status(enum.Enum):
    """How far the search got; the value is the sentence a person reads."""

    COMPLETE = "proved complete: every part of the box is settled"
    ENCLOSED = "proved enclosure: every fixed point is listed or lies in one of the unresolved sets"
    CONTRADICTED = "not proved: the indices do not add up to +1 or enclosures overlap, which points to a wrong bound"
    BUDGET = "not settled within the budget: raise max_boxes, or search a smaller box"
    FOUND = "not proved complete: found from many starts, the last of which led to nothing new"
    STARTS = "not proved complete: the starts ran out while there were signs of more: raise starts"
    MISSING = "not complete: the indices do not add up to +1, so some are missing: raise starts"

    @property
    def settled(self):
        """True when something is proved: completeness, or an enclosure."""
        return self in (Status.COMPLETE, Status.ENCLOSED)


@dataclass(frozen=True, eq=False)
class UnresolvedSet:
    """A connected set of boxes that may hold fixed points and could not be settled.

    Attributes
    ----------
    kind : str
        "continuum" (boxes of finite size, nearly all next to numerical zeros: a ring, a line), "degenerate" (shrunk
        onto a point where the Jacobian is singular: a bifurcation point) or "undecided" (budget ran out). The
        enclosure is proved; the kind is read off numerically.
    low, high : ndarray (R,)
        Extent of the whole set.
    boxes : ndarray (B, 2, R)
        Lower and upper corners of the boxes; their union holds every fixed point that is not listed. From a search by
        starts, which encloses nothing: the points themselves.
    points : ndarray (K, R)
        Numerical zeros of the field in or next to the boxes (not proved).
    eigenvalues : ndarray (K, R), complex
        Jacobian eigenvalues at the points.
    """

    kind: str
    low: np.ndarray
    high: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    eigenvalues: np.ndarray

    @property
    def width(self):
        """Largest side of a single box (R,): the resolution at which the set is enclosed."""
        return (self.boxes[:, 1] - self.boxes[:, 0]).max(0)

    def __str__(self):
        span = ", ".join(f"[{a:.4g}, {b:.4g}]" for a, b in zip(self.low, self.high, strict=True))
        boxes = f"{len(self.boxes)} boxes, " if self.width.any() else ""
        return f"{self.kind} within {span} ({boxes}{len(self.points)} numerical zeros)"


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """The fixed points of a field in a box, K of them proved, and sets that could not be settled.

    Attributes
    ----------
    kappa : ndarray (K, R)
        Fixed points, sorted.
    radius : ndarray (K, R)
        Proved: the box kappa +- radius holds exactly one fixed point.
    eigenvalues : ndarray (K, R), complex; eigenvectors : ndarray (K, R, R), columns
        Of the Jacobian, the fastest growing first, in units of 1/tau.
    eigenvalue_error : ndarray (K,)
        Bound of the eigenvalues' error (Bauer-Fike).
    kind : ndarray (K,) of str
        "stable", "saddle", "source", or "undecided" when an eigenvalue's real part is within its error of 0.
    index : ndarray (K,) of int
        Sign of det(-J): +1 or -1, proved with the fixed point.
    complete : bool
        True only when every part of the box is settled.
    status : Status
    box : ndarray (2, R)
        The searched box; ``everywhere`` says that no fixed point lies outside it.
    everywhere : bool
    unresolved : tuple of UnresolvedSet
    examined : int
        Number of boxes tested.
    field : the vector field
    starts : Starts, optional
        Of a search in too many variables for a proof of completeness.
    """

    kappa: np.ndarray
    radius: np.ndarray
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    eigenvalue_error: np.ndarray
    kind: np.ndarray
    index: np.ndarray
    status: Status
    box: np.ndarray
    everywhere: bool
    unresolved: tuple
    examined: int
    field: object
    starts: Starts | None = None

    def __len__(self):
        return len(self.kappa)

    @property
    def complete(self):
        """True when the listed fixed points are proved to be all of them (in the box)."""
        return self.status is Status.COMPLETE

    @property
    def assumption(self):
        """What the proof rests on beyond the theorems, empty for the named transfer functions."""
        return getattr(self.field, "assumption", "")

    @property
    def index_sum(self):
        """Sum of the indices of the listed points; +1 by Poincare-Hopf when they are all and the box is the whole
        space.

        A zero at the border of the field's domain counts only where a small push moves it inside.
        """
        return int(self.index.sum() - _index_outside(self.field, self.kappa))

    @property
    def stable(self):
        """The stable fixed points, (K', R)."""
        return self.kappa[self.kind == "stable"]

    def refine(self, digits=50):
        """Fixed points to a requested number of digits, by Newton's method in mpmath.

        Parameters
        ----------
        digits : int

        Returns
        -------
        ndarray (K, R) of mpmath.mpf

        Raises
        ------
        ArithmeticError
            When Newton's method or an average does not reach the precision (ask for fewer digits), or when the result
            leaves the proved enclosure.
        """
        from .proof.refinement import refine

        return refine(self, digits)

    @cached_property
    def _rows(self):
        rows = []
        for k in range(len(self)):
            point = "(" + ", ".join(f"{round(x, 6) + 0.0: .6f}" for x in self.kappa[k]) + ")"
            values = ", ".join(_number(x) for x in self.eigenvalues[k])
            rows.append((point, f"{self.radius[k].max():.1e}", str(self.kind[k]), values))
        return rows

    @property
    def summary(self):
        """One line: how many, of which kinds, and what is proved."""
        kinds = ", ".join(
            f"{np.sum(self.kind == k)} {k}" for k in ("stable", "saddle", "source", "undecided") if k in self.kind
        )
        where = "" if self.everywhere else " (in the given box)"
        where += f" ({self.assumption})" if self.assumption else ""
        points = "fixed point" if len(self) == 1 else "fixed points"
        text = f"{len(self)} {points} ({kinds or 'none'}); {self.status.value}{where}; index sum {self.index_sum:+d}"
        if self.starts and self.unresolved:
            text += ", which unresolved sets may complete"
        return f"{text}; {self.starts}" if self.starts else text

    def __str__(self):
        lines = [self.summary]
        lines += [f"  {p}  +- {r}  {kind:9s} eigenvalues {e}" for p, r, kind, e in self._rows]
        lines += [f"  unresolved: {u}" for u in self.unresolved]
        return "\n".join(lines)

    def _repr_html_(self):
        body = "".join("<tr>" + "".join(f"<td>{x}</td>" for x in row) + "</tr>" for row in self._rows)
        head = "<tr><th>kappa</th><th>proved within</th><th>kind</th><th>eigenvalues</th></tr>"
        rest = "".join(f"<p>unresolved: {u}</p>" for u in self.unresolved)
        return f"<p>{self.summary}</p><table>{head}{body}</table>{rest}"


def _number(x):
    return f"{x.real:.4g}" if x.imag == 0 else f"{x.real:.4g}{x.imag:+.4g}i"


def fixed_points(f, box=None, max_boxes=None, progress=None, starts=None):
    """All fixed points of a vector field, with the proof that none is missing.

    Boxes are excluded by a second-order bound, contracted and accepted by Krawczyk's test, and bisected otherwise
    (:eq:`exclusion` to :eq:`uniqueness`). ``status`` tells which of three kinds it is: proved complete; a proved
    enclosure with unresolved sets (continua such as rings, bifurcation points); not settled within the budget.

    In more than five variables, Newton's method from many starts takes the place of the boxes: each point is proved
    for itself, but not that none is missing. ``status`` then tells whether anything speaks for more (:eq:`unseen`).

    Parameters
    ----------
    f : VectorField
        Any object with ``rank``, ``tau``, ``jacobian``, ``values_with_error``, ``hessian_bound`` and, unless ``box`` is
        given, ``search_box`` (half-widths) or ``search_region`` (corners).
    box : pair of array_like (R,), optional
        Lower and upper corner of the region to search. Default: a box proved to contain every fixed point.
    max_boxes : int, optional
        Budget of boxes to examine (default :data:`BUDGET`).
    progress : callable, optional
        Called with (open boxes, examined boxes) after each generation, or with (starts left, starts made).
    starts : int, optional
        Search from at most so many starts (default in more than five variables: :data:`STARTS`), in any number of
        variables.

    Returns
    -------
    FixedPoints

    Raises
    ------
    ValueError
        A malformed box, or no known box (the transfer function grows too fast); ``max_boxes`` for a search by starts.
    """
    if not hasattr(f, "values_with_error"):
        raise ValueError(
            f"fixed_points needs an autonomous vector field: got {type(f).__name__}; "
            "make one with reduce(connectivity), or with .frozen(v) from a field with inputs that depend on time"
        )
    if max_boxes is not None and not max_boxes >= 1:
        raise ValueError(f"max_boxes must be a positive number: got {max_boxes!r}")
    if starts is None and f.rank not in BUDGET:
        starts = STARTS
    if starts is None:
        return _by_boxes(f, *_region(f, box), max_boxes or BUDGET[f.rank], progress)
    if max_boxes is not None:
        raise ValueError(
            f"max_boxes is the budget of a proof in at most {max(BUDGET)} variables, without starts=: this search in "
            f"{f.rank} is by starts; leave max_boxes out"
        )
    return _by_starts(f, *_region(f, box), check_integer("starts", starts, 1), progress)


def _by_boxes(f, low, high, everywhere, max_boxes, progress):
    outcome = _search.search(f, low, high, max_boxes, progress)
    zeros = sorted(outcome.zeros, key=_place)
    found = _stability(zeros, f)
    return FixedPoints(
        **found,
        status=_status(outcome, everywhere, found["index"].sum() - _index_outside(f, found["kappa"])),
        box=np.stack([low, high]),
        everywhere=everywhere,
        unresolved=_unresolved(f, outcome),
        examined=outcome.boxes,
        field=f,
    )


def _by_starts(f, low, high, everywhere, starts, progress):
    outcome = _survey(f, low, high, everywhere, starts, progress)
    order = sorted(range(len(outcome.zeros)), key=lambda k: _place(outcome.zeros[k]))
    unresolved = tuple(_met(f, s.kind, np.array(s.points)) for s in outcome.loose)
    return FixedPoints(
        **_stability([outcome.zeros[k] for k in order], f),
        status=Status.MISSING if outcome.missing else Status.FOUND if outcome.settled else Status.STARTS,
        box=np.stack([low, high]),
        everywhere=everywhere,
        unresolved=unresolved,
        examined=0,
        field=f,
        starts=Starts(outcome.starts, outcome.lost, outcome.unproved, np.array(outcome.hits, int)[order]),
    )


def _place(zero):
    return tuple(np.round(zero.point, 9) + 0.0)


def _met(f, kind, points):
    points = points + 0.0  # without negative zeros
    values = np.linalg.eigvals(f.jacobian(points)).astype(complex)
    return UnresolvedSet(kind, points.min(0), points.max(0), np.stack([points, points], axis=1), points, values)


def _status(outcome, everywhere, index_sum):
    if not _search.disjoint(outcome.zeros) or (everywhere and not outcome.reason and index_sum != 1):
        return Status.CONTRADICTED
    if "budget" in outcome.reason:
        return Status.BUDGET
    return Status.ENCLOSED if outcome.reason else Status.COMPLETE


def _index_outside(f, points):
    """Index of a listed zero at the border of the field's domain that does not count, else 0."""
    known = getattr(f, "known_zeros", ())
    return f.index_outside if any((points == z).all(-1).any() for z in known) else 0


def _region(f, box):
    if box is None:
        if hasattr(f, "search_region"):
            return *f.search_region(), True
        half = f.search_box()
        # Not centred on the origin, where symmetric systems have a zero: on a corner of the bisection it would be
        # met 2^R times.
        return -half * 1.0371, half * 1.0953, True
    low, high = (np.array(x, dtype=float, ndmin=1) for x in box)
    if (
        low.shape != (f.rank,)
        or high.shape != (f.rank,)
        or not (np.isfinite(low) & np.isfinite(high) & (low < high)).all()
    ):
        raise ValueError(f"box must be a pair (low, high) of {f.rank} finite numbers each with low < high: got {box!r}")
    return low, high, False


def _stability(zeros, f):
    R = f.rank
    matrices = np.array([z.jacobian for z in zeros]).reshape(-1, R, R)
    errors = np.array([z.jacobian_error for z in zeros]).reshape(-1, R, R)
    points = np.array([z.point for z in zeros]).reshape(-1, R)
    radius = np.array([z.radius for z in zeros]).reshape(-1, R)
    values, vectors = np.linalg.eig(matrices) if len(zeros) else (np.zeros((0, R)), np.zeros((0, R, R)))
    order = np.lexsort((-values.imag, -values.real), axis=-1)  # fastest growing first
    values = np.take_along_axis(values, order, -1)
    vectors = np.take_along_axis(vectors, order[:, None, :], -1)
    if len(zeros):
        moved = (f.hessian_bound(points, radius) * radius[:, None, None, :]).sum(-1)
        size = np.linalg.norm(errors + moved + 32 * np.finfo(float).eps * np.abs(matrices), axis=(-2, -1))
        error = np.linalg.cond(vectors) * size
    else:
        error = np.zeros(0)
    growing, decaying = (values.real > error[:, None]).sum(-1), (values.real < -error[:, None]).sum(-1)
    kind = np.select(
        [decaying == R, growing == R, growing + decaying == R], ["stable", "source", "saddle"], "undecided"
    )
    return {
        "kappa": points,
        "radius": radius,
        "eigenvalues": values.astype(complex) / f.tau,
        "eigenvectors": vectors,
        "eigenvalue_error": error / f.tau,
        "kind": kind,
        "index": np.sign(np.linalg.det(-matrices)).astype(int),
    }


def _unresolved(f, outcome):
    if not outcome.reason:
        return ()
    low, high = np.concatenate(outcome.open_low), np.concatenate(outcome.open_high)
    reason = np.array(outcome.reason)
    sets = []
    for why, kind in (("continuum", "continuum"), ("narrow", "degenerate"), ("budget", "undecided")):
        rows = np.flatnonzero(reason == why)
        if not len(rows):
            continue
        # Around a degenerate zero the last survivors lie scattered: one point, not many.
        label = _search.components(low[rows], high[rows], margin=20.0 if kind == "degenerate" else 0.5)
        sets += [_one_set(f, kind, low[rows[label == k]], high[rows[label == k]]) for k in range(label.max() + 1)]
    return tuple(sets)


def _one_set(f, kind, low, high):
    some = _search.sample(np.lexsort(low.T))
    points, near = _search.next_to_zero(f, low[some], high[some])
    points = points[near]
    values = np.linalg.eigvals(f.jacobian(points)) if len(points) else np.zeros((0, f.rank))
    return UnresolvedSet(kind, low.min(0), high.max(0), np.stack([low, high], axis=1), points, values.astype(complex))
