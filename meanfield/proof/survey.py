"""Zeros of a vector field from many starts, each proved for itself: for more variables than branch and prune settles.

That none is missing is not proved. Three signs say whether the search may stop: the indices add up to +1, the last
round of starts found nothing new, and each zero was met from two starts (docs: :eq:`unseen`).
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

from ..progress import progress_bar
from .descent import ARRIVED, descend, reflections, spectrum, values
from .search import around_known, enclose, holds, polish

#: Starts of the first round; each round is twice as large as the one before.
ROUND = 256
# Half-widths, relative to the box, within which a zero is tried to be proved the only one.
_REACHES = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
# A side of the box that is shorter than this, relative to the longest, counts as this long.
_FLAT = 1e-6
# A step along what a singular Jacobian sends to 0, relative to the box: on a continuum it leads to another zero.
_ALONG = 1e-2
# Zeros that cannot be proved are one when they are this close, relative to the box; degenerate ones are known to a root
# of the residual, here the third. Points of one continuum have eigenvalues that are equal to the last number.
_SAME = 1e-6
_BLUR = {"undecided": _SAME, "degenerate": 4 * ARRIVED ** (1 / 3), "continuum": _SAME}
_ALIKE = 1e-4
# Newton's method moves a point that has arrived by less than this, relative to the box.
_NEAR = 1e-3
# So many points of a continuum are kept; the search ends when this many zeros could not be proved.
_KEPT, _MANY = 256, 100
# Sizes of the copies of the box that starts lie in.
_RADII = (1.0, 0.5, 0.25, 0.1)


@dataclass(frozen=True, eq=False)
class Starts:
    """Where the starts of a search that proves no completeness ended.

    Attributes
    ----------
    made, lost : int
        Starts made, and those that led to no zero in the box.
    unresolved : int
        Those that ended at zeros that are not proved.
    hits : ndarray (K,)
        Those that ended at each listed point, or at a mirror image of it.
    """

    made: int
    lost: int
    unresolved: int
    hits: np.ndarray

    def __str__(self):
        words = [f"{self.made - self.lost - self.unresolved} of {self.made} starts led to these"]
        words += [f"{self.unresolved} to unresolved sets"] * (self.unresolved > 0)
        words += [f"{self.lost} to no zero"] * (self.lost > 0)
        once = int((self.hits == 1).sum())
        words += [f"{once} of them met once only"] * (once > 0)
        return ", ".join(words)


@dataclass
class Loose:
    """Zeros that could not be proved: one point, or the points met on a continuum."""

    kind: str  #: "continuum", "degenerate" or "undecided"
    points: list
    rates: np.ndarray
    hits: int = 1


@dataclass
class Survey:
    """What many starts led to.

    Attributes
    ----------
    zeros : list of Found;  hits : list of int
        Proved zeros, and how many starts ended at each (or at a mirror image of it).
    loose : list of Loose
    starts, lost, unproved : int
        Starts made, those that ended at no zero in the box, and those that ended at zeros that could not be proved.
    missing, settled : bool
        The indices do not add up to +1, as they must; nothing speaks for more zeros.
    """

    zeros: list = field(default_factory=list)
    hits: list = field(default_factory=list)
    loose: list = field(default_factory=list)
    starts: int = 0
    lost: int = 0
    unproved: int = 0
    missing: bool = False
    settled: bool = False


def survey(f, low, high, everywhere, starts, progress=None):
    """Newton's method from many points of a box to all zeros that these lead to.

    Starts lie on the axes and on eigenvectors of the Jacobian at the centre, evenly over the box and shrunk copies of
    it, and between zeros that were found. Reflections of the variables that leave the field as it is complete the list.

    Parameters
    ----------
    f : field
        As for :func:`meanfield.proof.search.search`; where it has ``values`` (value and Jacobian at once), that is
        used to get near the zeros.
    low, high : ndarray (R,)
    everywhere : bool
        All zeros lie in the box, so that their indices add up to +1.
    starts : int
        At most; fewer are made where all three signs say that none is missing.
    progress : callable, optional
        Called with the number of starts left and made; by default a bar on a terminal after two seconds.

    Returns
    -------
    Survey
    """
    return _Surveyor(f, low, high, everywhere).run(starts, progress)


class _Surveyor:
    def __init__(self, f, low, high, everywhere):
        self.f, self.low, self.high, self.everywhere = f, low, high, everywhere
        self.size = np.maximum(high - low, _FLAT * (high - low).max())
        self.floor = np.broadcast_to(getattr(f, "floor", -np.inf), low.shape)
        floored = np.isfinite(self.floor)
        self.centre = np.where(floored, low, np.where((low < 0) & (high > 0), 0.0, 0.5 * (low + high)))
        self.signs = reflections(f, low, high, floored) if everywhere else np.ones((1, len(low)))
        self.out = Survey()
        for point in getattr(f, "known_zeros", ()):
            if (zero := around_known(f, point, self.size)) is not None:
                self._keep(zero, 0)
        self.given = len(self.out.zeros)

    def run(self, starts, progress):
        out, count = self.out, ROUND
        with progress_bar(starts, "start", False if progress else None) as bar:
            points = self._first(min(count, starts))
            while True:
                known = len(out.zeros) + len(out.loose)
                for i in range(0, len(points), ROUND):
                    self._follow(points[i : i + ROUND])
                    bar.update(len(points[i : i + ROUND]))
                    if progress:
                        progress(starts - out.starts, out.starts)
                out.missing = self._missing()
                out.settled = len(out.zeros) + len(out.loose) == known and self._enough() and not out.missing
                if out.settled or out.starts >= starts or len(out.loose) > _MANY:
                    break
                count *= 2
                points = self._next(min(count, starts - out.starts))
        self._unfold()
        return out

    def _enough(self):
        """Two rounds of starts have arrived somewhere, and at least two of them at each zero."""
        # a start lies on the centre: that it is met once says nothing about how easily the others are
        apart = [(np.abs(z.point - self.centre) > z.reach).any() for z in self.out.zeros[self.given :]]
        met = [hits for hits, far in zip(self.out.hits[self.given :], apart, strict=True) if far]
        met += [s.hits for s in self.out.loose]
        return self.out.starts - self.out.lost >= 2 * ROUND and min(met, default=2) > 1

    def _missing(self):
        """The indices of a complete list would add up to +1, and these do not."""
        if not self.everywhere or self.out.loose:
            return False
        total = sum(int(np.sign(np.linalg.det(-z.jacobian))) * len(self._images(z.point)) for z in self.out.zeros)
        return total != 1 + (self.f.index_outside if self.given else 0)

    # -- where to start ----------------------------------------------------------------------------------------------

    def _first(self, count):
        """The centre and rays along axes and eigenvectors; the rest spread over the box."""
        floored, rank, rays = np.isfinite(self.floor), len(self.low), [self.centre]
        bases = [np.where(floored, self.low + share * (self.high - self.low), self.centre) for share in (0.05, 0.4)]
        for base in bases:
            vectors = np.linalg.eig(values(self.f, base[None])[1][0])[1]
            directions = np.unique(np.concatenate([vectors.real.T, vectors.imag.T, np.eye(rank)]).round(9), axis=0)
            directions = directions[(np.abs(directions) > 1e-6).any(-1)]
            for t, sign, r in itertools.product(directions, (1, -1), _RADII):
                rays.append(base + sign * r * t / np.max(np.abs(t) / (0.5 * self.size)))
        rays = np.array(rays)[: max(count // 2, 1)]
        return np.concatenate([rays, self._spread(0, count - len(rays))])

    def _next(self, count):
        """Half of them spread over the box, a quarter between known zeros, a quarter mixed from their coordinates."""
        zeros = [z.point for z in self.out.zeros] + [p for s in self.out.loose for p in s.points[:5]]
        if not zeros:
            return self._spread(self.out.starts, count)
        rng = np.random.default_rng(self.out.starts)
        zeros = np.concatenate([self._images(zeros[i]) for i in rng.permutation(len(zeros))[:count]])
        spread = self._spread(self.out.starts, count - 2 * (count // 4))
        a, b = (zeros[rng.integers(len(zeros), size=count // 4)] for _ in range(2))
        c, d = (zeros[rng.integers(len(zeros), size=count // 4)] for _ in range(2))
        between = a + rng.uniform(-0.5, 1.5, (len(a), 1)) * (b - a)
        mixed = np.where(rng.random(c.shape) < 0.5, c, d)
        moved = np.concatenate([between, mixed]) + 0.02 * self.size * rng.standard_normal((2 * len(a), len(self.size)))
        return np.concatenate([spread, moved])

    def _spread(self, first, count):
        """Points of an additive low-discrepancy sequence (Roberts 2018), over the box and shrunk copies of it."""
        rank, ratio = len(self.low), 2.0
        for _ in range(60):
            ratio = (1 + ratio) ** (1 / (rank + 1))  # the root of x^(rank + 1) = x + 1
        number = np.arange(first, first + count)[:, None]
        unit = (0.5 + (number + 1) * ratio ** -(1.0 + np.arange(rank))) % 1
        shrunk = np.array(_RADII)[number % len(_RADII)]
        return self.centre + shrunk * (self.low + unit * (self.high - self.low) - self.centre)

    # -- what they lead to -------------------------------------------------------------------------------------------

    def _follow(self, points):
        self.out.starts += len(points)
        points, arrived = descend(self.f, np.maximum(points, self.floor), self.size, self.floor)
        if not self.everywhere:
            slack = _SAME * self.size
            arrived &= ((points >= self.low - slack) & (points <= self.high + slack)).all(-1)
        self.out.lost += int((~arrived).sum())
        points = self._fold(points[arrived])
        points = points[~self._known(points)]
        if not len(points):
            return
        singular, direction, rates = spectrum(self.f, points, self.size)
        if singular.any():
            self._hold_singular(points[singular], direction[singular], rates[singular])
        points, rates = points[~singular], rates[~singular]
        while len(points):
            point = np.maximum(polish(self.f, points[:1], _NEAR * self.size), self.floor)
            if not (np.abs(point - points[:1]) <= _NEAR * self.size).all():
                point = points[:1]
            found = enclose(self.f, point, self._reaches(), self.size)[0]
            if found is None:
                singular = spectrum(self.f, point, self.size)[0][0]
                self._hold_loose(point[0], "degenerate" if singular else "undecided", rates[0])
            else:
                self._keep(found, 1)
            points, rates = points[1:], rates[1:]
            known = self._known(points)
            points, rates = points[~known], rates[~known]

    def _reaches(self):
        return [share * self.size for share in _REACHES]

    def _known(self, points):
        """Which points lie at zeros that are known; their starts are counted."""
        known = np.zeros(len(points), bool)
        for k, z in enumerate(self.out.zeros):
            here = ~known & (np.abs(points - z.point) <= np.maximum(z.reach, 10 * z.radius)).all(-1)
            self.out.hits[k] += int(here.sum())
            known |= here
        for loose in self.out.loose:
            if loose.kind != "continuum":
                here = ~known & (np.abs(points - loose.points[0]) <= _BLUR[loose.kind] * self.size).all(-1)
                loose.hits += int(here.sum())
                self.out.unproved += int(here.sum())
                known |= here
        return known

    def _keep(self, zero, hits):
        for k, z in enumerate(self.out.zeros):
            if holds(z, zero) or holds(zero, z):
                self.out.hits[k] += hits
                return
        self.out.zeros.append(zero)
        self.out.hits.append(hits)

    def _hold_singular(self, points, direction, rates):
        """Points of a continuum have other zeros next to them, along what the Jacobian sends to 0."""
        beside = np.maximum(points + _ALONG * self.size * direction, self.floor)
        beside, arrived = descend(self.f, beside, self.size, self.floor)
        far = np.linalg.norm((beside - points) / self.size, axis=-1)
        along = arrived & (far > _ALONG / 2) & (far < 2 * _ALONG)
        for point, many, rate in zip(points, along, rates, strict=True):
            self._hold_loose(point, "continuum" if many else "degenerate", rate)

    def _hold_loose(self, point, kind, rates):
        self.out.unproved += 1
        near = _BLUR[kind] * self.size
        for s in self.out.loose:
            close = s.kind == kind and (np.abs(np.array(s.points) - point) <= near).all(-1).any()
            alike = s.kind == kind == "continuum" and np.abs(s.rates - rates).max() <= _ALIKE
            if close or alike:
                s.hits += 1
                if alike and len(s.points) < _KEPT:
                    s.points.append(point)
                return
        self.out.loose.append(Loose(kind, [point], rates))

    # -- mirror images -----------------------------------------------------------------------------------------------

    def _fold(self, points):
        """One point of each set of mirror images: the last in the order of the coordinates."""
        if not len(points):
            return points
        images = self.signs * points[:, None]  # (n, G, R)
        coarse = np.round(images / (_SAME * self.size)) + 0.0
        best = [np.lexsort(c.T[::-1])[-1] for c in coarse]
        folded = images[np.arange(len(points)), best]
        if not (np.linalg.norm(values(self.f, folded)[0], axis=-1) <= 10 * ARRIVED).all():
            self.signs = self.signs[:1]  # a reflection that only seemed to leave the field as it is
            return points
        return folded

    def _images(self, point):
        """The mirror images of a point, itself first: (G', R)."""
        images = self.signs * point
        _, first = np.unique(np.round(images / (_SAME * self.size)) + 0.0, axis=0, return_index=True)
        return images[np.sort(first)]

    def _unfold(self):
        """List mirror images too, each with a proof of its own."""
        out = self.out
        zeros, hits, loose = out.zeros, out.hits, out.loose
        out.zeros, out.hits, out.loose = [], [], []
        points, radii, reaches = (np.array([getattr(z, name) for z in zeros]) for name in ("point", "radius", "reach"))
        for k, (zero, hit) in enumerate(zip(zeros, hits, strict=True)):
            out.zeros.append(zero)
            out.hits.append(hit)
            images = self._images(zero.point)[1:]
            for image in enclose(self.f, images, self._reaches(), self.size) if len(images) else ():
                # images of different zeros differ, unless one of them is listed itself
                if image is None:
                    continue
                far = np.abs(points - image.point)
                listed = (far + image.radius <= reaches).all(-1) | (far + radii <= image.reach).all(-1)
                listed[k] = False
                if not listed.any():
                    out.zeros.append(image)
                    out.hits.append(hit)
        for s in loose:
            images = [self._images(point) for point in s.points]
            if s.kind == "continuum":
                points = np.random.default_rng(0).permutation(np.concatenate(images))[:_KEPT]
                out.loose.append(Loose(s.kind, list(points), s.rates, s.hits))
            else:
                out.loose += [Loose(s.kind, [point], s.rates, s.hits) for point in images[0]]
