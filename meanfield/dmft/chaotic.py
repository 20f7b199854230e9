"""Time-dependent states of a network with a random part: all that a search meets, the attracting one first."""

from dataclasses import dataclass, replace

import numpy as np

from ..conventions import check_array
from ..proof import bounds
from .correlations import pair_error, smooth
from .problem import pose
from .selfconsistency import Equations, symmetric
from .slaved import slaved
from .solving import COARSE, solve
from .states import ChaoticStates, SearchStatus, in_order

# Values of kappa at rank 1; directions at higher rank, at most, and distances along each, relative to the box.
# At rank 1 a few more lie close to 0, where pairs of mirror images emerge.
_CLOSE = np.geomspace(1e-4, 0.02, 12)
_VALUES, _DIRECTIONS, _DISTANCES = 48, 24, (0.03, 0.1, 0.25, 0.5, 0.9)
# With kinks, fewer starts, because averages over pairs are slower; where to start D_inf beside D_0 on static branches.
_FEW, _BELOW = 30, 0.95
# Points where averages are tried.
_TRIED = 8
# Half-width of the searched region where no bound of kappa is known.
_UNBOUNDED = 10.0
#: Terms of the series while searching, and agreement of points that are refined once.
TERMS, _ROUGH = 128, 1e-4
# Agreement of solutions, relative to sqrt(D_0), that makes them one; the same for members of a ring.
_SAME, _ON_RING = 1e-7, 1e-6


def chaotic(c, transfer="tanh", inputs=None, *, input_variance=0.0, noise=0.0, tau=1.0, starts=()):
    """Time-dependent states: fluctuations that are stationary as a distribution, by :eq:`chaos-drift` to
    :eq:`chaos-frozen`.

    Without noise they are chaotic. With noise there always is at least one, which below the transition to chaos is
    driven by the noise alone and has a negative Lyapunov exponent.

    Parameters
    ----------
    c : Connectivity
        With a scalar g, or g per pair of populations.
    transfer : Transfer or str
    inputs : mapping name -> number
        Constant amplitudes; unlisted inputs are off.
    input_variance : float or (P,) array
        Variance over neurons of a further static input.
    noise : float
        s: over a time t the variance of each x grows by s^2 t (before the leak).
    tau : float
    starts : array (..., R)
        Values of kappa to start from, besides those of the search.

    Returns
    -------
    ChaoticStates
        A sequence of :class:`~meanfield.dmft.states.ChaoticState`. At rank 1 the whole range of kappa is scanned, at
        higher rank Newton's method starts from many points: the list is complete numerically, not by proof. Empty where
        there is none; ``status`` and ``note`` then say why and what to change.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.problem.pose`; starts of a wrong shape.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, noise=noise, tau=tau)
    return chaotic_states(problem, _checked_starts(problem, starts))


def chaotic_states(problem, starts=None):
    """:func:`chaotic` of a checked problem, from values of kappa (K, R) besides those of the search."""
    starts = np.empty((0, problem.rank)) if starts is None else starts
    if not problem.scalar:
        from .block import chaotic_block

        return chaotic_block(problem, starts)
    if not problem.coupling.any() and problem.noise == 0:
        note = "g = 0 and no noise: nothing makes the network fluctuate; raise g or noise"
        return ChaoticStates((), SearchStatus.NONE, note, problem)
    search = _Search(problem, starts)
    solutions = search.solutions()
    if not solutions:
        return ChaoticStates((), *search.why_none(), problem)
    solutions, rings = _distinct(solutions)
    states = [s.state(s in rings) for s in solutions]
    if symmetric(problem):
        pairs = zip(states, solutions, strict=True)
        states += [mirrored(q) for q, s in pairs if s not in rings and np.any(np.abs(s.kappa) > _SAME * np.sqrt(s.d0))]
    return ChaoticStates(
        tuple(in_order(states)), SearchStatus.RING if rings else SearchStatus.FOUND, search.note, problem
    )


def _checked_starts(problem, starts):
    starts = check_array("starts", starts if np.size(starts) else np.empty((0, problem.rank)))
    if starts.ndim == 0 or starts.shape[-1] != problem.rank:
        raise ValueError(f"starts must have shape (..., {problem.rank}), values of kappa: got {starts.shape}")
    return starts.reshape(-1, problem.rank)


def mirrored(s):
    """The state at -kappa of a symmetric problem."""
    return replace(s, kappa=-s.kappa, mean_activity=-s.mean_activity)


@dataclass
class _Search:
    """Starts in kappa, the variances slaved to them, and what came of it."""

    problem: object
    starts: np.ndarray

    def __post_init__(self):
        self.half, self.bounded = box(self.problem)
        self.kappa = np.concatenate([search_values(self.problem), self.starts])
        self.branches = slaved(self.problem, self.kappa)

    @property
    def note(self):
        """What was searched."""
        if self.problem.rank == 1:
            note = f"kappa was scanned in [{-self.half[0]:.4g}, {self.half[0]:.4g}]"
        else:
            note = f"Newton's method from {len(self.kappa)} values of kappa"
        return note if self.bounded else f"{note}, a guess: phi grows, and no bound of kappa is known"

    def solutions(self):
        """Converged solutions, each refined to full precision, without repetitions of one point."""
        rank, kinked = self.problem.rank, not smooth(self.problem.transfer)
        # at rank 1 the sign of the drift tells where solutions lie, next to static variances as well; a short series
        # cannot tell whether a function with kinks fluctuates
        branches = [b for b in self.branches if b.moving or ((rank == 1 or kinked) and b.d0 > 0)]
        if not branches:
            return []
        points = np.array([[*self.kappa[b.index], b.d0, min(b.d_inf, _BELOW * b.d0)] for b in branches])
        if rank == 1:
            points = self._promising(points)
        elif kinked:
            points = points[:: max(1, len(points) // _FEW)]
        points = candidates(Equations(self.problem, None if kinked else TERMS), points)
        found = (solve(self.problem, x) for x in points)
        return [s for s in found if s is not None]

    def _promising(self, x):
        """At rank 1: where the drift changes sign in the scan or is smallest in magnitude, and the user's starts."""
        drift = Equations(self.problem, TERMS)(x)[0][:, 0]
        order = np.argsort(x[:, 0], kind="stable")
        x, drift, size = x[order], drift[order], np.abs(drift[order])
        change = np.flatnonzero((drift[:-1] > 0) != (drift[1:] > 0))
        share = (drift[change] / (drift[change] - drift[change + 1]))[:, None]
        between = x[change] * (1 - share) + x[change + 1] * share
        padded = np.concatenate([[np.inf], size, [np.inf]])
        low = np.flatnonzero((size <= padded[:-2]) & (size <= padded[2:]) | np.isin(x[:, 0], self.starts))
        near = np.unique(np.clip(np.concatenate([low - 1, low, low + 1, change, change + 1]), 0, len(x) - 1))
        return np.concatenate([x[near], between])

    def _too_steep(self):
        """Whether averages over pairs would not give a state its digits."""
        points = [(self.kappa[b.index], b) for b in self.branches[:: max(1, len(self.branches) // _TRIED)] if b.d0 > 0]
        for kappa, b in points:
            structure = self.problem.structure_variance(kappa)
            C, W = pair_error(self.problem.transfer, self.problem.mean(kappa), structure + b.d0, structure + b.d_inf)
            if (C > COARSE * (structure + b.d0)).any() or (W > COARSE).any():
                return True
        return False

    def why_none(self):
        """Status and note of an empty list."""
        if not smooth(self.problem.transfer) and self._too_steep():
            return SearchStatus.FAILED, (
                f"the averages of {self.problem.transfer.name} are not known to a millionth at the variances met: it "
                "varies on a much shorter scale than its input; take a smoother function, weaker inputs, or see "
                "meanfield.dmft.transient"
            )
        if self.problem.noise:
            return SearchStatus.FAILED, f"with noise there always is a state; {self.note}"
        if not self.branches and np.isfinite(self.problem.transfer.bounds[0]):
            note = "no variance of the random part but 0 solves its own equation: at rest it hands on nothing"
            return (SearchStatus.NONE if self.bounded else SearchStatus.FAILED), f"{note} ({self.note})"
        if not self.branches:
            note = "no variance of the random part solves its own equation: does phi grow too fast?"
            return SearchStatus.FAILED, note
        # where the searched range is a guess, a state beyond it is not excluded
        none = SearchStatus.NONE if self.bounded else SearchStatus.FAILED
        further = "chaos_onset tells whether and where chaos begins along g or an input"
        if not self.bounded:
            further = f"pass starts= beyond that range, or see transient; {further}"
        moving = [b for b in self.branches if b.moving]
        if not moving:
            radius = np.sqrt(max(b.slope for b in self.branches))
            return none, (
                f"without noise the fluctuations need a bulk radius above 1, and it is at most {radius:.4g} at the "
                f"variances met ({self.note}), at g = {self.problem.connectivity.g:.6g}: {further}"
            )
        values = self.kappa[[b.index for b in moving]]
        span = ", ".join(f"{a:.3g} to {b:.3g}" for a, b in zip(values.min(0), values.max(0), strict=True))
        return none, (
            f"the variances can fluctuate for kappa between {span}, but kappa comes to rest nowhere there "
            f"({self.note}), at g = {self.problem.connectivity.g:.6g}: {further}"
        )


def box(problem):
    """Half-widths (R,) of a box that holds every kappa, and whether it is known to."""
    variance_n = np.maximum(np.diagonal(problem.connectivity.covariance("n", "n"), axis1=-2, axis2=-1), 0.0)
    guess = np.full(problem.rank, _UNBOUNDED * (1 + np.abs(problem.v).max(initial=0.0)))
    if not np.isfinite(problem.transfer.bounds[0]):
        return guess, False
    try:
        return bounds.search_box(problem.blocks, problem.transfer, problem.v, variance_n), True
    except bounds.NoSearchBox:
        return guess, False


def search_values(problem):
    """Values of kappa from which a search starts: a scan at rank 1, points on rays at higher rank; (K, R)."""
    half = box(problem)[0]
    if problem.rank == 1:
        positive = half * np.concatenate([_CLOSE, np.linspace(0, 1, _VALUES + 1)[1:]])[:, None]
        rest = [] if symmetric(problem) else [-positive[::-1]]
        return np.concatenate([*rest, np.zeros((1, 1)), positive])
    points = [half * d * ray for ray in directions(problem) for d in _DISTANCES]
    return np.concatenate([np.zeros((1, problem.rank)), points])


def directions(problem):
    """Unit vectors (in units of the box) along which a search starts: (D, R).

    The real eigenvectors of the overlap matrix, the axes, and an even set of further directions; each with its
    opposite unless they are mirror images.
    """
    R = problem.rank
    values, vectors = np.linalg.eig(problem.connectivity.overlap("n", "m"))
    real = vectors[:, np.abs(values.imag) < 1e-12].real.T
    rng = np.random.default_rng(0)
    if R == 2:
        angle = np.pi * np.arange(12) / 12 + 0.1
        further = np.stack([np.cos(angle), np.sin(angle)], -1)
    else:
        further = rng.standard_normal((_DIRECTIONS - 2 * R, R)) if _DIRECTIONS > 2 * R else np.empty((0, R))
    rays = np.concatenate([real, np.eye(R), further])
    rays = rays / np.abs(rays).max(-1, keepdims=True)
    return rays if symmetric(problem) else np.concatenate([rays, -rays])


def candidates(equations, points):
    """Points (K, size) to which Newton's method leads with short series, inside the box, each once."""
    problem, rank = equations.problem, equations.problem.rank
    with np.errstate(all="ignore"):
        points, error, converged, _ = equations.newton(points)
    _, d0, d_inf = equations.split(points)
    good = converged & (error < _ROUGH) & (equations.static | (d0 - d_inf > _ROUGH**2 * d0))
    half, bounded = box(problem)
    if bounded:
        good &= (np.abs(points[:, :rank]) <= 1.01 * half + _ROUGH).all(-1)
    points = points[good]
    return _apart(_facing(points, rank) if symmetric(problem) else points, rank)


def _facing(points, rank):
    """Points with kappa or -kappa, whichever has its first component that is not small positive."""
    kappa = points[:, :rank]
    large = np.abs(kappa) > _ROUGH * np.sqrt(points[:, [rank]])
    first = np.take_along_axis(kappa, large.argmax(-1)[:, None], -1)
    return np.concatenate([np.where(first < 0, -kappa, kappa), points[:, rank:]], -1)


def _apart(points, rank):
    """The points without those that agree with an earlier one, relative to sqrt(D_0)."""
    kept = []
    for x in points:
        scales = np.where(np.arange(len(x)) < rank, np.sqrt(x[rank]), x[rank])
        if not any((np.abs(x - y) < _ROUGH * scales).all() for y in kept):
            kept.append(x)
    return kept


def _distinct(solutions):
    """Different solutions, with one representative of every ring; and those representatives."""
    kept, rings = [], []
    for s in solutions:
        others = [k for k in kept if max(abs(k.d0 - s.d0), abs(k.d_inf - s.d_inf)) < _ON_RING * s.d0]
        if any(np.abs(k.kappa - s.kappa).max() < _SAME * np.sqrt(s.d0) for k in others):
            continue
        # one kappa has no ring to move on: where its rate is 0 the state merges with another
        neighbours = [k for k in others if len(s.kappa) > 1 and k.singular and s.singular]
        rings += [k for k in neighbours if k not in rings]
        if not neighbours:
            kept.append(s)
    return kept, rings
