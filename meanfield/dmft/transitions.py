r"""Where chaos begins, where structured chaos ends, and how much noise suppresses chaos: roots along one parameter.

Every transition is the root of a function of the parameter along a branch of solutions: of the squared bulk radius
minus 1 (:eq:`chaos-onset`), of an eigenvalue of the slow flow of kappa (:eq:`chaos-structure-end`), or of the Lyapunov
exponent. g may be one number or one per pair of populations.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from ..conventions import check_array
from ..progress import tracked
from .chaotic import chaotic_states
from .continuation import Line
from .correlations import odd
from .knobs import knob
from .problem import pose
from .selfconsistency import symmetric
from .slaved import undriven
from .solutions import started, static, unstructured

# Values of the parameter between which sign changes are looked for.
_SAMPLES = 9
# Agreement of roots, relative to the bracket, that makes them one.
_SAME_ROOT = 1e-7
# A branch that is lost has met kappa = 0 if kappa, relative to sqrt(D_0), has become as small as this.
_NEAR_ZERO = 0.3


@dataclass(frozen=True, eq=False)
class Transition:
    """A value of a parameter at which the network's state changes its nature.

    Attributes
    ----------
    value, error : float
        Of the parameter; the error is an estimate that covers the root finder and the averages. At the end of a branch
        it is half the distance to the next value that was tried, and no bound of where the branch ends.
    along : str or tuple
        The parameter.
    kind : str
        "onset of chaos", "end of structured chaos", "largest Lyapunov exponent zero", "bulk radius one" or "end of the
        branch".
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
    """Where stationary states turn chaotic: sum_q g^2 alpha_q <phi'^2>_q = 1 on them, :eq:`chaos-onset`; with g per
    pair of populations, the spectral radius of g_pq^2 alpha_q <phi'^2>_q is 1.

    Along "input_variance" or an input this is where the input suppresses chaos.

    Parameters
    ----------
    c, transfer, inputs, input_variance, tau
        As :func:`~meanfield.dmft.chaotic.chaotic`; what ``along`` names is overruled.
    bracket : (float, float)
        Range of the parameter that is searched.
    along : str or tuple
        "g" (with g per pair of populations: a factor of all of them), "input_variance", the name of an input, or
        whatever else :func:`~meanfield.dmft.knobs.knob` turns.

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
    at, (low, high) = _prepared(problem, along, bracket)
    samples = np.linspace(low, high, _SAMPLES)
    note = "a stationary state turns chaotic as its bulk radius passes 1"
    out = _quiescent_onset(at, along, low, high) if at(low).scalar else []
    states = [static(at(v)) for v in tracked(samples, "value")]
    steps = [(i, j) for i in range(_SAMPLES) for j in (i - 1, i + 1) if 0 <= j < _SAMPLES]
    for i, j in tracked(steps, "interval"):
        for s in states[i]:
            root = Line(at, s, samples[i]).root(samples[i], samples[j], lambda q: q.squared_radius - 1)
            if root is not None:
                out.append(_transition(root, along, "onset of chaos", note))
    return _separate(out, high - low)


def structure_end(c, transfer="tanh", inputs=None, *, bracket, along="g", input_variance=0.0, noise=0.0, tau=1.0):
    """Where structured chaos (kappa != 0) meets the state at kappa = 0: an eigenvalue of the latter's slow flow is 0.

    At kappa = 0 these eigenvalues are those of the overlap matrix, each population's share times its <phi'>, minus 1:
    :eq:`chaos-structure-end`.

    Parameters
    ----------
    c, transfer, inputs, input_variance, noise, tau
        As :func:`~meanfield.dmft.chaotic.chaotic`; what ``along`` names is overruled.
    bracket : (float, float)
        Range of the parameter that is searched.
    along : str or tuple
        "g" (with g per pair of populations: a factor of all of them), "noise", "input_variance", or whatever else
        :func:`~meanfield.dmft.knobs.knob` turns that leaves kappa = 0 a state.

    Returns
    -------
    tuple of Transition
        By increasing value. Only where kappa = 0 fluctuates: below the onset of chaos there is nothing to find.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.chaotic.chaotic`; a problem without the symmetry kappa -> -kappa, which has no state
        at kappa = 0.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, noise=noise, tau=tau)
    at, (low, high) = _prepared(problem, along, bracket)
    if not all(symmetric(at(v)) for v in (low, high)):
        raise ValueError(
            "structure_end needs the symmetry kappa -> -kappa, an odd transfer function and no constant input: "
            "without it structured chaos ends in a fold or an onset; see follow and chaos_onset"
        )
    samples, out = np.linspace(low, high, _SAMPLES), []
    solutions = [unstructured(at(v)) for v in tracked(samples, "value")]
    note = "states with kappa != 0 merge with the one at kappa = 0"
    for i in tracked(range(_SAMPLES - 1), "interval"):
        # where kappa = 0 does not fluctuate at one end, the transition may still lie between
        here, there = (i, i + 1) if solutions[i] else (i + 1, i)
        for s in solutions[here]:
            roots = _neutral(Line(at, s, samples[here]), samples[here], samples[there])
            out += [_transition(root, along, "end of structured chaos", note) for root in roots]
    return _separate(out, high - low)


def _neutral(line, value, target):
    """Where real eigenvalues of the slow flow at kappa = 0 pass 0: roots on the way from a value to a target."""
    for k in range(line.at(value).rank):
        root = line.root(value, target, lambda q, k=k: q.eigenvalues[k].real)
        if root is not None and root[2].eigenvalues[k].imag == 0:
            yield root


def noise_suppression(c, transfer="tanh", inputs=None, *, bracket, input_variance=0.0, tau=1.0, start=None):
    """How much white noise suppresses chaos: where the largest Lyapunov exponent of a branch falls to 0.

    The curve on which the bulk radius at Delta_0 passes 1, as in :func:`chaos_onset`, is another one with noise, and
    lies at weaker or stronger noise; both are returned. Where kappa of the branch meets 0 on the way, the state at
    kappa = 0 that takes over is followed from there, and the note says so.

    Parameters
    ----------
    c, transfer, inputs, input_variance, tau
        As :func:`~meanfield.dmft.chaotic.chaotic`.
    bracket : (float, float)
        Range of ``noise`` that is searched.
    start : ChaoticState, optional
        On the branch, at the lower end of the bracket; by default the attracting state there.

    Returns
    -------
    tuple of Transition
        The zero of the exponent and the unit bulk radius, each if the bracket holds it, in this order. Where the branch
        ends before one of them, in a fold, a record of that end comes last, and its note says what was not met: the
        network then jumps to another state, from which a further search can start.

    Raises
    ------
    ValueError
        As :func:`~meanfield.dmft.chaotic.chaotic`; no time-dependent state at the lower end of the bracket; a start of
        another form.
    """
    problem = pose(c, transfer, inputs, input_variance=input_variance, tau=tau)
    if problem.transfer.singular <= 1:
        raise ValueError(f"{problem.transfer.name} jumps: its Lyapunov exponent is infinite at any noise")
    at, (low, high) = _prepared(problem, "noise", bracket)
    if start is None:
        found = chaotic_states(at(low))
        if not len(found):
            raise ValueError(f"no time-dependent state at noise = {low:.6g}: {found.note}")
        start = found[0]
    first = started(at(low), start)
    if first is None:
        raise ValueError(f"the start leads to no time-dependent state at noise = {low:.6g}: give one that lies there")
    tests = (
        ("largest Lyapunov exponent zero", lambda q: q.lyapunov, "chaos at {} noise, driven at {}"),
        ("bulk radius one", lambda q: q.squared_radius - 1, "above 1 at {} noise, below 1 at {}"),
    )
    out, missing, path = [], [], _Path(at, first, np.linspace(low, high, _SAMPLES))
    for kind, test, note in tests:
        sides = ("weaker", "stronger") if test(first) > 0 else ("stronger", "weaker")
        root = path.root(test)
        if root is not None:
            out.append(_transition(root, "noise", kind, note.format(*sides) + path.note))
        elif path.end is not None:
            missing.append(kind)
    if missing:
        out.append(_ended(missing, path))
    return tuple(out)


def _ended(kinds, path):
    """The record of a branch that ended before a root of each kind was met."""
    line, beyond = path.end
    (reached, beyond), how = line.end(beyond)
    note = f"the branch was followed up to there: {how}; not met on the way: {', '.join(kinds)}{path.note}"
    root = (reached + beyond) / 2, abs(beyond - reached) / 2, line.solution(reached)
    return _transition(root, "noise", "end of the branch", note)


class _Path:
    """A branch from sample to sample, and the state at kappa = 0 once that has taken over.

    Attributes
    ----------
    note : str
        That it had taken over at the last root.
    end : tuple or None
        The branch that ended, and the value it did not reach.
    """

    def __init__(self, at, first, samples):
        self.samples, self.line = samples, Line(at, first, samples[0])
        self.note, self.end = "", None
        self._at, self._merger = at, None

    def root(self, test):
        """The first root of a test, as :meth:`~meanfield.dmft.continuation.Line.root`, or None."""
        self.note = ""
        for value, target in tracked(list(itertools.pairwise(self.samples)), "interval"):
            root = self.line.root(value, target, test)
            if root is not None:
                return root
            if target in self.line.lost:
                return self._beyond(value, target, test)
        return None

    def _beyond(self, value, lost, test):
        """The root from a value on, where the branch does not reach the next one."""
        if self._merger is None:
            merger = _merger(self._at, self.line, lost)
            if merger is None:
                self.end = self.line, lost
                return None
            # the rest of the way to the merger, on the branch, whose steps become finer there
            self.line.solution(merger[0])
            self._merger = merger[0], merger[2], Line(self._at, merger[2], merger[0])
        at_zero, zero, line = self._merger
        near, last = min(self.line.solved, key=lambda q: abs(q[0] - at_zero))
        root = self.line.root(value, near, test)
        if root is not None:
            return root
        if (test(last) > 0) != (test(zero) > 0):
            return at_zero, abs(at_zero - near), last  # in the rest that was not resolved
        self.note = f"; on the state at kappa = 0, which the branch met at noise = {at_zero:.7g}"
        for value, target in itertools.pairwise([at_zero, *(v for v in self.samples if v >= lost)]):
            root = line.root(value, target, test)
            if root is not None:
                return root
            if target in line.lost:
                self.end = line, target
                return None
        return None


def _merger(at, line, beyond):
    """Where a lost branch met the state at kappa = 0, as (value, error, solution), or None.

    That is so if kappa has become small, and an eigenvalue of the slow flow at kappa = 0 changes its sign there.
    """
    value, last = min(line.solved, key=lambda q: abs(q[0] - beyond))
    problem = at(beyond)
    if not (symmetric(problem) and 0 < np.abs(last.kappa).max() < _NEAR_ZERO * np.sqrt(last.size)):
        return None
    roots = (_neutral(Line(at, zero, beyond), beyond, value) for zero in unstructured(problem))
    return next(itertools.chain.from_iterable(roots), None)


def _prepared(problem, along, bracket):
    ends = check_array("bracket", bracket)
    if ends.shape != (2,) or not ends[0] < ends[1]:
        raise ValueError(f"bracket must be two increasing numbers: got {bracket!r}")
    at = knob(problem, along)
    for v in ends:
        at(v)
    return at, ends


def _transition(root, along, kind, note):
    value, error, found = root
    return Transition(value, error, along, kind, found.kappa, *found.variances, note)


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
