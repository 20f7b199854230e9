r"""Where chaos begins, where structured chaos ends, and how much noise suppresses chaos: roots along one parameter.

Every transition is the root of a scalar function of the parameter along a branch of solutions: of the squared bulk
radius minus 1 (:eq:`chaos-onset`), of an eigenvalue of the slow flow of kappa (:eq:`chaos-structure-end`), or of the
Lyapunov exponent.
"""

from dataclasses import dataclass

import numpy as np

from ..conventions import check_array
from .block_onset import onsets
from .chaotic import TERMS, candidates, chaotic_states, check_averages, search_values
from .correlations import odd
from .knobs import knob
from .problem import pose
from .selfconsistency import Equations, symmetric
from .slaved import slaved, undriven
from .solving import continues, solve, state

# Values of the parameter between which sign changes are looked for.
_SAMPLES = 9
# Error of the scalar functions: of averages and of the solution behind them.
_NOISE = 1e-13
# Agreement of roots, relative to the bracket, that makes them one.
_SAME_ROOT = 1e-7
# A branch that is lost has met kappa = 0 if kappa, relative to sqrt(D_0), has become as small as this.
_NEAR_ZERO = 0.3
# Smallest step along a branch, relative to the whole one; a root where the function is not as small as this is a jump.
_FINEST, _ROOT = 2.0**-8, 1e-7


@dataclass(frozen=True, eq=False)
class Transition:
    """A value of a parameter at which the network's state changes its nature.

    Attributes
    ----------
    value, error : float
        Of the parameter; the error is an estimate that covers the root finder and the averages.
    along : str
        The parameter.
    kind : str
        "onset of chaos", "end of structured chaos", "largest Lyapunov exponent zero" or "bulk radius one".
    kappa : ndarray (R,);  delta0, delta_inf : ndarray (P,)
        The state at the transition.
    note : str
        What is on either side.
    """

    value: float
    error: float
    along: str
    kind: str
    kappa: np.ndarray
    delta0: np.ndarray
    delta_inf: np.ndarray
    note: str

    def __str__(self):
        kappa = ", ".join(f"{round(float(x), 6) + 0.0:.6g}" for x in self.kappa)
        return f"{self.kind} at {self.along} = {self.value:.12g} +- {self.error:.0e}, kappa ({kappa}): {self.note}"


def chaos_onset(c, transfer="tanh", inputs=None, *, bracket, along="g", input_variance=0.0, tau=1.0):
    """Where stationary states turn chaotic: sum_q g^2 alpha_q <phi'^2>_q = 1 on them, :eq:`chaos-onset`.

    Along "input_variance" or an input this is where the input suppresses chaos.

    Parameters
    ----------
    c, transfer, inputs, input_variance, tau
        As :func:`~meanfield.dmft.chaotic.chaotic`; what ``along`` names is overruled.
    bracket : (float, float)
        Range of the parameter that is searched.
    along : str
        "g" (with g per pair of populations: a factor of all of them), "input_variance", or the name of an input.

    Returns
    -------
    tuple of Transition
        All that were met on the stationary states found at 9 values across the bracket, by increasing value. Of states
        that are mirror images of each other only one is listed.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.problem.pose`; a bracket that is not two increasing numbers; along "noise".
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, tau=tau)
    if along == "noise":
        raise ValueError("with noise no state is stationary: use noise_suppression")
    if problem.transfer.singular <= 1:
        raise ValueError(f"{problem.transfer.name} jumps: its slope has no mean square, and every state is chaotic")
    at, (low, high) = _prepared(problem, along, bracket, True)
    samples = np.linspace(low, high, _SAMPLES)
    if not problem.scalar:
        note = "a stationary state turns chaotic as its bulk radius passes 1"
        found = onsets(at, samples)
        return _separate([Transition(x, e, along, "onset of chaos", k, d, d, note) for x, e, k, d in found], high - low)
    out = _quiescent_onset(at, along, low, high)
    states = [_stationary(at(v)) for v in samples]
    ends = [(i, i + 1) for i in range(_SAMPLES - 1)] + [(i + 1, i) for i in range(_SAMPLES - 1)]
    for i, j in ends:
        for s in states[i]:
            branch = _Line(at, s, samples[i])
            root = branch.root(samples[j], lambda q: q.squared_radius - 1)
            if root is not None:
                note = "a stationary state turns chaotic as its bulk radius passes 1"
                out.append(_transition(root, along, "onset of chaos", note))
    return _separate(out, high - low)


def structure_end(c, transfer="tanh", inputs=None, *, bracket, along="g", input_variance=0.0, noise=0.0, tau=1.0):
    """Where structured chaos (kappa != 0) meets the state at kappa = 0: an eigenvalue of the latter's slow flow is 0.

    At kappa = 0 these eigenvalues are those of the overlap matrix times <phi'> minus 1, :eq:`chaos-structure-end`, for
    zero-mean loadings.

    Parameters
    ----------
    bracket : (float, float)
        Range of the parameter that is searched.
    along : str
        "g", "noise", or "input_variance".

    Returns
    -------
    tuple of Transition
        By increasing value. Only where kappa = 0 fluctuates: below the onset of chaos there is nothing to find.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.chaotic.chaotic`; g per pair of populations; a problem without the symmetry
        kappa -> -kappa, which has no state at kappa = 0.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, noise=noise, tau=tau)
    check_averages(problem.transfer, "structure_end")
    if not symmetric(problem):
        raise ValueError(
            "structure_end needs the symmetry kappa -> -kappa, an odd transfer function and no constant input: "
            "without it structured chaos ends in a fold or an onset; see follow and chaos_onset"
        )
    at, (low, high) = _prepared(problem, along, bracket)
    samples, out = np.linspace(low, high, _SAMPLES), []
    solutions = [_unstructured(at(v)) for v in samples]
    for i in range(_SAMPLES - 1):
        # where kappa = 0 does not fluctuate at one end, the transition may still lie between
        left, right = solutions[i], solutions[i + 1]
        if right is None and left is None:
            continue
        here, there = (i, i + 1) if left is not None else (i + 1, i)
        for k in range(problem.rank):
            branch = _Line(at, solutions[here], samples[here])
            root = branch.root(samples[there], lambda q, k=k: q.eigenvalues[k].real)
            if root is not None and root[2].eigenvalues[k].imag == 0:
                note = "states with kappa != 0 merge with the one at kappa = 0"
                out.append(_transition(root, along, "end of structured chaos", note))
    return _separate(out, high - low)


def noise_suppression(c, transfer="tanh", inputs=None, *, bracket, input_variance=0.0, tau=1.0, start=None):
    """How much white noise suppresses chaos: where the largest Lyapunov exponent of a branch falls to 0.

    The curve on which the bulk radius at Delta_0 passes 1, sum_q g^2 alpha_q <phi'^2>_q = 1, is another one with
    noise, and lies at weaker or stronger noise; both are returned. Where kappa of the branch meets 0 on the way, the
    state at kappa = 0 that takes over is followed from there, and the note says so.

    Parameters
    ----------
    bracket : (float, float)
        Range of ``noise`` that is searched.
    start : ChaoticState, optional
        On the branch, at the lower end of the bracket; by default the attracting state there.

    Returns
    -------
    tuple of Transition
        The zero of the exponent and the unit bulk radius, each if the bracket holds it, in this order.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.chaotic.chaotic`; g per pair of populations; no time-dependent state at the lower end
        of the bracket.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, tau=tau)
    check_averages(problem.transfer, "noise_suppression")
    at, (low, high) = _prepared(problem, "noise", bracket)
    if start is None:
        found = chaotic_states(at(low))
        if not len(found):
            raise ValueError(f"no time-dependent state at noise = {low:.6g}: {found.note}")
        start = found[0]
    d = start.problem.structure_variance(start.kappa)
    first = solve(at(low), np.array([*start.kappa, (start.delta0 - d)[0], (start.delta_inf - d)[0]]))
    if first is None:
        raise ValueError(f"the start leads to no time-dependent state at noise = {low:.6g}: give one that lies there")
    tests = (
        ("largest Lyapunov exponent zero", lambda q: state(q).lyapunov * tau, "chaos at {} noise, driven at {}"),
        ("bulk radius one", lambda q: q.squared_radius - 1, "above 1 at {} noise, below 1 at {}"),
    )
    out, samples = [], np.linspace(low, high, _SAMPLES)
    for kind, test, note in tests:
        sides = ("weaker", "stronger") if test(first) > 0 else ("stronger", "weaker")
        root, taken_over = _first_root(at, first, samples, test)
        if root is not None:
            out.append(_transition(root, "noise", kind, note.format(*sides) + taken_over))
    return tuple(out)


def _first_root(at, first, samples, test):
    """The first root of a test on a branch, and on kappa = 0 once that has taken over; and a note on this."""
    line, note = _Line(at, first, samples[0]), ""
    for target in samples[1:]:
        root = line.root(target, test)
        if root is None and line.lost:
            merger = _merger(at, line, target)
            if merger is None:
                return None, note
            # the rest of the way to the merger, on the branch, whose steps become finer there
            line.lost, value = False, merger[0]
            root = line.root(value, test)
            near, last = line.solved[-1]
            if root is None and (test(last) > 0) != (test(merger[2]) > 0):
                return (value, abs(value - near), merger[2]), note  # in the rest that was not resolved
            if root is None:
                note = f"; on the state at kappa = 0, which the branch met at noise = {value:.7g}"
                line = _Line(at, merger[2], value)
                root = line.root(target, test)
        if root is not None or line.lost:
            return root, note
    return None, note


def _merger(at, line, beyond):
    """Where a lost branch met the state at kappa = 0, as (value, error, solution), or None.

    That is so if kappa has become small, and an eigenvalue of the slow flow at kappa = 0 changes its sign there.
    """
    value, last = line.solved[-1]
    size = np.abs(last.kappa).max()
    problem = at(beyond)
    if not (symmetric(problem) and 0 < size < _NEAR_ZERO * np.sqrt(last.d0)):
        return None
    zero = _unstructured(problem)
    if zero is None:
        return None
    for k in range(problem.rank):
        root = _Line(at, zero, beyond).root(value, lambda q, k=k: q.eigenvalues[k].real)
        if root is not None and root[2].eigenvalues[k].imag == 0:
            return root
    return None


def _prepared(problem, along, bracket, blocks=False):
    if not (problem.scalar or blocks):
        raise ValueError("this transition needs one g for all populations; give a scalar g")
    ends = check_array("bracket", bracket)
    if ends.shape != (2,) or not ends[0] < ends[1]:
        raise ValueError(f"bracket must be two increasing numbers: got {bracket!r}")
    at = knob(problem, along)
    for v in ends:
        at(v)
    return at, ends


class _Line:
    """A solution moved along the parameter, from wherever it was solved last."""

    def __init__(self, at, solution, value):
        self.at, self.lost = at, False
        self.solved = [(float(value), solution)]

    def solution(self, value):
        """The solution at a value, by steps from the nearest solved one; None where the branch is lost."""
        near, start = min(self.solved, key=lambda q: abs(q[0] - value))
        whole = step = value - near
        while near != value:
            target = value if abs(value - near) <= abs(step) * (1 + 1e-9) else near + step
            found = solve(self.at(target), start.x, start.equations.static, known=start)
            if found is not None and continues(start, found):
                self.solved.append((target, found))
                near, start, step = target, found, 2 * step
            elif abs(step) > abs(whole) * _FINEST:
                step = min(abs(step), abs(value - near)) / 2 * np.sign(whole)
            else:
                self.lost = True
                return None
        return start

    def root(self, target, test):
        """(value, error, solution) where the test changes sign between the last solved value and a target, or None."""
        from scipy.optimize import brentq

        value, here = self.solved[-1]
        there = self.solution(target)
        if there is None:
            target, there = self.solved[-1]
            if target == value:
                return None
        a, b = test(here), test(there)
        if not (np.isfinite(a) and np.isfinite(b)) or (a > 0) == (b > 0):
            return None
        seen = {value: a, target: b}

        def function(v):
            if v not in seen:
                found = self.solution(v)
                if found is None:
                    raise _Lost
                seen[v] = test(found)
            return seen[v]

        try:
            x = brentq(function, value, target, xtol=1e-14 * (1 + abs(target)), rtol=4e-15)
        except _Lost:
            return None
        slope = abs(b - a) / abs(target - value)
        near = sorted(seen, key=lambda v: abs(v - x))
        apart = [v for v in near if abs(v - x) > 1e-7 * abs(target - value)]
        if apart:
            slope = abs(seen[apart[0]] - function(x)) / abs(apart[0] - x)
        found = self.solution(x)
        if not abs(function(x)) < _ROOT:
            return None
        error = abs(function(x)) + _NOISE * (1 + found.squared_radius if np.isfinite(found.squared_radius) else 1)
        return float(x), float(error / slope + 1e-14 * (1 + abs(x))), found


class _Lost(Exception):
    """The branch was lost between two of its points."""


def _transition(root, along, kind, note):
    value, error, found = root
    _, delta0, delta_inf = (q[0] for q in found.equations.variances(found.x[None]))
    return Transition(value, error, along, kind, found.kappa, delta0, delta_inf, note)


def _separate(transitions, width):
    """Sorted by value, each once."""
    out = []
    for t in sorted(transitions, key=lambda t: t.value):
        same = (
            abs(t.value - o.value) < _SAME_ROOT * width
            and np.abs(np.abs(t.kappa) - np.abs(o.kappa)).max() < 1e-5
            and np.abs(t.delta0 - o.delta0).max() < 1e-5
            for o in out
        )
        if not any(same):
            out.append(t)
    return tuple(out)


def _quiescent_onset(at, along, low, high):
    """Onset in the state of rest, kappa = 0 without any variance, where that is a state: sum_q G_q phi'(0)^2 = 1.

    It is one if phi(0) = 0 and nothing drives it. Where phi' jumps at 0 the state of rest has no bulk radius.
    """
    from scipy.optimize import brentq

    rest = np.zeros((1, at(low).rank))

    def excess(value):
        problem = at(value)
        return problem.coupling[0].sum() * float(problem.transfer(0.0, 1)) ** 2 - 1

    t = at(low).transfer
    if abs(float(t(0.0))) > t.point_error(0.0, 0.0, 0) or 0.0 in t.kinks:
        return []
    if not all(undriven(at(v), rest)[0] for v in (low, high)) or (excess(low) > 0) == (excess(high) > 0):
        return []
    value = brentq(excess, low, high, xtol=1e-15, rtol=4e-16 * 4)
    zero = np.zeros(at(low).n_populations)
    what = "state of rest turns chaotic" if odd(t) else "bulk radius of the state of rest passes 1,"
    note = f"the {what} as g phi'(0) passes 1"
    return [Transition(value, 1e-14 * (1 + abs(value)), along, "onset of chaos", rest[0], zero, zero, note)]


def _stationary(problem):
    """Stationary states met by Newton's method from the variances slaved to the kappa of a search."""
    kappa = search_values(problem)
    branches = slaved(problem, kappa)
    points = np.array([[*kappa[b.index], b.d0] for b in branches if b.d0 > 0])
    if not points.size:
        return []
    found = (solve(problem, x, static=True) for x in candidates(Equations(problem, TERMS, static=True), points))
    return [s for s in found if s is not None]


def _unstructured(problem):
    """The time-dependent state at kappa = 0, None where there is none."""
    branches = [b for b in slaved(problem, np.zeros((1, problem.rank))) if b.moving]
    if not branches:
        return None
    b = branches[-1]
    return solve(problem, np.array([*np.zeros(problem.rank), b.d0, b.d_inf]))
