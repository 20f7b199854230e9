"""Time-dependent states where g differs between pairs of populations: one autocorrelation per population.

No energy is conserved here, so the autocorrelations themselves are the unknowns, together with kappa: a boundary value
problem on lags >= 0 (docs: Chaos with block-structured g). A constant D_p always solves it too; what is returned
fluctuates, D_p(0) > D_p(infinity), or is named as none.
"""

import itertools
from dataclasses import replace

import numpy as np

from ..averages import gaussian_average
from ..proof.bounds import NoSearchBox
from .block_profile import Grid, Profile, iterate, newton
from .block_solving import is_solution, refine, slaved_rates
from .correlations import smooth
from .field import StationaryField, bulk_radius
from .problem import Problem
from .selfconsistency import symmetric
from .slaved import undriven
from .states import ChaoticStates, SearchStatus, in_order

_COARSE = 48  # degree of the grid of a guess
_LATTICE = {1: 15, 2: 7, 3: 4}  # values of kappa per axis to start from
_POINT = 1e-6  # half-width of a box of kappa that holds 0 alone
_UNBOUNDED = 10.0  # half-width of the lattice where no box is known
_SPAN, _ITERATIONS = 60.0, 40  # lags and iterations of the first guess
_HUGE = 1e8  # a variance beyond which phi has no static state
_SAME = 1e-6  # relative distance of two results that are one solution, and on coarse grids 100 times that
_COARSELY_NEUTRAL = 1e-5  # a growth rate of kappa that a coarse grid cannot tell from 0
_ENOUGH = 25.0  # time constants of the decay that a grid must span
_SIZES = 4.0 ** np.arange(-3, 5)  # variances to try where phi grows
_GOAL = 2.0  # squared bulk radius at which fluctuations are easily found


def chaotic_block(problem: Problem, starts=()):
    """Time-dependent states of a problem whose g may differ between pairs of populations.

    Solves D_p - D_p'' = sum_q G_pq C_q + 2 sigma2 delta(tau) (:eq:`block-equation`) for all populations together with
    dkappa/dt = 0. A scalar g is allowed too.

    Parameters
    ----------
    problem : Problem
    starts : array_like (K, R)
        Values of kappa to start from, besides 0 and a lattice in the box that holds every kappa.

    Returns
    -------
    ChaoticStates
        Completeness is numerical: a solution that no start leads to is missed.
    """
    if not problem.coupling.any() and not problem.noise:
        note = "g = 0 and no noise: nothing makes the network fluctuate; raise g or noise"
        return ChaoticStates((), SearchStatus.NONE, note, problem)
    kappas, note, bounded = _starts(problem, np.asarray(starts, float).reshape(-1, problem.rank))
    largest, unstable, rough, found = 0.0, 0, [], []
    for kappa in kappas:
        guesses, radius = fluctuating(problem, kappa)
        largest, unstable = max(largest, radius), unstable + (radius > 1)
        for guess in guesses:
            _collect(rough, newton(guess))
    for x in rough:
        _collect(found, newton(replace(x, rough=False)))
    if symmetric(problem):
        for x in list(found):
            _collect(found, replace(x, kappa=-x.kappa))
    found, rings = _one_per_ring(found)
    refined = [(r, x in rings) for x in found if (r := refine(x)) is not None]
    if not refined:
        return ChaoticStates((), *_why_none(problem, largest, unstable, len(kappas), note, bounded), problem)
    states = in_order(r.state(ring) for r, ring in refined)
    return ChaoticStates(tuple(states), SearchStatus.RING if rings else SearchStatus.FOUND, note, problem)


def _one_per_ring(found):
    """The coarse solutions with one of every ring, where D_p is the same and kappa free to move; and those ones."""
    kept, rings = [], []
    for x in found:
        # one kappa has no ring to move on: where its rate is 0 the state merges with another
        free = len(x.kappa) > 1 and np.abs(slaved_rates(x)).min() < _COARSELY_NEUTRAL
        others = [y for y in kept if free and _same_law(x, y)]
        if others:
            rings += [y for y in others if y not in rings]
        else:
            kept.append(x)
    return kept, rings


def _starts(problem, given):
    """Values of kappa (K, R) to start from, a sentence about them, and whether their range is known to hold all."""
    R, known = problem.rank, ""
    try:
        low, high = (x[:R] for x in StationaryField(problem).search_region())
    except NoSearchBox:
        high = np.full(R, _UNBOUNDED * (1 + np.abs(problem.v).max(initial=0.0)))
        low, known = -high, f" up to {high[0]:.4g}, a guess: phi grows, and no bound of kappa is known"
    axes = [np.linspace(a, b, _LATTICE.get(R, 3)) if b > _POINT else [0.0] for a, b in zip(low, high, strict=True)]
    kappas = np.concatenate([np.zeros((1, R)), np.array(list(itertools.product(*axes))), given])
    if symmetric(problem):  # of kappa and -kappa, the one whose first component that is not 0 is positive
        first = np.take_along_axis(kappas, (kappas != 0).argmax(1)[:, None], 1)
        kappas = np.where(first < 0, -kappas, kappas)
    kappas = kappas[np.sort(np.unique(kappas, axis=0, return_index=True)[1])]
    note = f"Newton's method from {len(kappas)} value{'s' * (len(kappas) > 1)} of kappa{known}"
    return kappas, note, not known


def _why_none(problem, largest, unstable, tried, note, bounded):
    """Status and note of an empty list."""
    if largest == 0.0 and not problem.noise and np.isfinite(problem.transfer.bounds[0]):
        status = SearchStatus.NONE if bounded else SearchStatus.FAILED
        return status, f"no variances of the random part but 0 solve their own equations ({note})"
    if largest == 0.0:
        return SearchStatus.FAILED, f"neither static nor fluctuating states were met: does phi grow too fast? ({note})"
    if problem.noise:
        return SearchStatus.FAILED, (
            "with noise a state should exist unless variances or kappa run away, but none was met "
            f"({note}): pass starts="
        )
    further = "chaos_onset tells whether and where chaos begins along a common factor of all g, or an input"
    if not bounded:
        further = f"pass starts= beyond that range, or see transient; {further}"
    # where the searched range is a guess, a state beyond it is not excluded
    none = SearchStatus.NONE if bounded and unstable < tried else SearchStatus.FAILED
    if unstable:
        return none, (
            f"the bulk of the static states is unstable at {unstable} of {tried} values of kappa, but kappa comes to "
            f"rest at no state that fluctuates ({note}): {further}"
        )
    return none, (
        f"without noise the fluctuations need a bulk radius above 1, and it is at most {np.sqrt(largest):.4g} at the "
        f"static states met ({note}): {_where_rest_ends(problem)}{further}"
    )


def _where_rest_ends(problem):
    """The factor of all g at which the silent network's bulk radius is 1, in words; nothing where it is not silent."""
    t, zero = problem.transfer, np.zeros((1, problem.rank))
    if t(0.0) != 0 or 0.0 in t.kinks or not undriven(problem, zero)[0]:
        return ""
    silent = np.zeros(problem.n_populations)
    radius = float(bulk_radius(t, problem.coupling, silent, silent)[0])
    if not radius > 0:
        return ""
    return f"the state of rest loses its stability where all g are multiplied by {1 / radius:.6g}; "


def static_states(problem, kappa, scale=1.0):
    """Constant D_p that solve the equation at fixed kappa, from small and from large values: list of (P,)."""
    mean, structure, G = problem.mean(kappa), problem.structure_variance(kappa), problem.coupling * scale
    out = []
    for start in (1e-6, 10.0):
        d = G.sum(1) * start + problem.noise_variance
        for _ in range(300):
            square = gaussian_average(problem.transfer, mean=mean, variance=structure + d, power=2)
            d, before = G @ square + problem.noise_variance, d
            if np.abs(d - before).max() <= 1e-6 * d.max() or d.max() > _HUGE:
                break
        if d.max() < _HUGE and not any(np.allclose(d, other, rtol=1e-2) for other in out):
            out.append(d)
    return out


def fluctuating(problem, kappa):
    """Coarse solutions at fixed kappa that fluctuate, and the largest spectral radius of the static states' bulk."""
    kappa = np.asarray(kappa, float)
    mean, structure = problem.mean(kappa), problem.structure_variance(kappa)
    found, largest = [], 0.0

    def keep(x):
        if is_solution(x) and not any(_same(x, y) for y in found):
            found.append(x)

    for d in static_states(problem, kappa):
        radius = float(bulk_radius(problem.transfer, problem.coupling, mean, structure + d)[0]) ** 2
        largest = max(largest, radius)
        if radius <= 1 and not problem.noise:
            continue
        x = _guess(problem, kappa, d, 1.0)
        if is_solution(x):  # the grid that suits it; a solution that the first one distorted is none there
            x = newton(x.fitted(_COARSE), free=False)
        if not is_solution(x):
            x = _follow(_guess(problem, kappa, d, max(_GOAL / radius, 1.5) if radius > 0 else 1.0))
        keep(x)
    if not np.isfinite(problem.transfer.bounds[0]):  # where phi grows, iteration flees from static states
        share = problem.coupling.sum(1) / problem.coupling.sum(1).max() if problem.coupling.any() else 0.0
        for size in _SIZES:
            keep(_guess(problem, kappa, size * share + problem.noise_variance, 1.0, iterations=0))
    return found, largest


def _guess(problem, kappa, d, scale, iterations=_ITERATIONS):
    """From a pulse of height d, by fixed-point iteration and then Newton's method; kappa stays."""
    grid = Grid(_COARSE, _SPAN)
    x = Profile(problem, kappa, grid, d[:, None] / np.cosh(grid.tau / 2), rough=True, scale=scale)
    if iterations:
        x = iterate(x, iterations).fitted(_COARSE)
    return newton(replace(x, rough=smooth(problem.transfer)), free=False)


def _follow(x):
    """From a solution at a stronger coupling down to the problem's own; None where it ends on the way."""
    if not is_solution(x):
        return None
    x = x.fitted(_COARSE)
    left = step = np.log(x.scale)
    while left > 0:
        step = min(step, left)
        y = newton(replace(x, scale=np.exp(left - step) if step < left else 1.0), free=False, iterations=12)
        if is_solution(y):
            # the grid that suits it; a solution that the old one distorted is found again
            y = newton(y.fitted(_COARSE), free=False)
        if is_solution(y) and y.grid.length * y.rate > _ENOUGH:
            x, left, step = y.fitted(_COARSE), left - step, step * 1.5
        else:
            step /= 2
            if step < 1e-3 * left:
                return None
    return x


def _same(x, y):
    size = np.sqrt(x.values[:, 0].max())
    apart = np.abs(x.kappa - y.kappa).max() / (np.abs(x.kappa).max() + size)
    apart = max(apart, np.abs(x.values[:, 0] - y.values[:, 0]).max() / size**2)
    return max(apart, np.abs(x.values[:, -1] - y.values[:, -1]).max() / size**2) < _SAME * 100


def _collect(found, x):
    """Add a refined solution to the list, unless it is none, or known."""
    if not is_solution(x) or any(_same(x, y) for y in found):
        return
    found.append(x)


def _same_law(x, y):
    """The same variances, at whatever kappa."""
    ends, size = [0, -1], x.variance.max()
    apart = np.abs(x.structure - y.structure).max(), np.abs(x.values[:, ends] - y.values[:, ends]).max()
    return max(apart) < 100 * _SAME * size
