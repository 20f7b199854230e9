"""How a network solves delayed match-to-sample: which attractors its trials visit, and which known solution that is.

Valente 2019, chapter 5, describes two. First: bistable at rest; one stimulus leaves the state where it is, the other
turns the bistability into a rotation and carries it over. Second: four stable points and four saddles at rest, two for
the memory and two for the answer, and each stimulus leaves two.
"""

from dataclasses import dataclass, field

import numpy as np

from meanfield.connectivity import Connectivity

from ..analysis import Condition
from ..decisions import Limit, limit_on_trials
from ..populations.portraits import in_words_of, portrait_of
from ..tasks.memory import DelayedMatch

#: Without input for so many tau, in steps of STEP, a state comes to its attractor ..
SETTLED, STEP = 300.0, 0.1
#: .. which is a stable point where it ends this near to one.
NEAR = 1e-3
#: Trial types, in the order of the task's grid.
TYPES = ("A-A", "A-B", "B-A", "B-B")
FIRST, SECOND, ANOTHER = "first", "second", "another"


@dataclass(frozen=True, eq=False)
class Solution:
    """What a network, finite or infinite, does on noise-free trials; made by :func:`solution`.

    Attributes
    ----------
    which : str
        "first", "second" or "another".
    why : str
        In words.
    portraits : tuple of Portrait
        Without input, under input A, under input B; fixed points proved complete.
    trials : Trials
        The four types with the shortest and the longest delay.
    path : Limit
        kappa, v and z on them, without noise.
    right : (B,) of bool
    memory, answer : (B,) of int
        Stable point without input (-1: none) that the state at the end of the first stimulus and of the trial goes to.
    level : (Q,)
        Readout at each stable point without input.
    """

    which: str
    why: str
    portraits: tuple = field(repr=False)
    trials: object = field(repr=False)
    path: Limit = field(repr=False)
    right: np.ndarray = field(repr=False)
    memory: np.ndarray = field(repr=False)
    answer: np.ndarray = field(repr=False)
    level: np.ndarray = field(repr=False)

    @property
    def sequences(self):
        """The attractors of each trial type with the longest delay, in words: memory, then answer."""
        last = len(self.trials) - 4
        return "; ".join(
            f"{label}: {self._named(self.memory[last + b])} -> {self._named(self.answer[last + b])}"
            for b, label in enumerate(TYPES)
        )

    def _named(self, point):
        return "no point" if point < 0 else f"{letter(point)} (z = {self.level[point]:+.2f})"

    @property
    def topology(self):
        """Fixed points and cycles under the three conditions, in words."""
        return "; ".join(f"{p.condition.label}: {in_words_of(p)}" for p in self.portraits)

    def __str__(self):
        return f"{self.which} solution: {self.why}\n{self.topology}\n{self.sequences}"


def solution(net, transfer="tanh", task=None, portraits=None):
    """Which of the two known solutions a network has found.

    The verdict rests on the proved portraits without input and under each input, and on the attractors without input
    to which the states after the first and after the second stimulus belong.

    Parameters
    ----------
    net : Network or Connectivity
        Of rank 2, with inputs A and B in this order.
    transfer : str
    task : DelayedMatch, optional
    portraits : tuple of Portrait, optional
        Without input, under A and under B, where they are known.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        Not two inputs.
    """
    c = net if isinstance(net, Connectivity) else net.connectivity
    if len(c.inputs) != 2:
        raise ValueError(f"delayed match-to-sample has two inputs: got {len(c.inputs)}, {c.inputs}")
    trials = (task or DelayedMatch()).grid()
    portraits = portraits or tuple(portrait_of(c, transfer, condition) for condition in conditions_of(c.inputs))
    path = limit_on_trials(c, transfer, trials)
    right, (first, last) = trials.right(path.z[:, 1:]), ends(trials)
    every = np.arange(len(trials))
    rest = portraits[0]
    memory, answer = (settle(rest, path.kappa[every, at]) for at in (first, last))
    level = rest.field.readout(rest.fixed_points.stable)[:, 0] if len(rest.fixed_points.stable) else np.zeros(0)
    which, why = judge(portraits, trials, memory, answer, right)
    return Solution(which, why, portraits, trials, path, right, memory, answer, level)


def conditions_of(names):
    """No input, and each input alone."""
    return (Condition(), *(Condition(f"input {name}", {name: 1.0}) for name in names))


def epochs(trials):
    """Steps at which each trial's stimuli begin and end, (B, 4)."""
    on = trials.u.any(axis=-1).astype(int)
    edges = np.diff(np.pad(on, ((0, 0), (1, 1))), axis=1)
    return np.array([np.sort(np.flatnonzero(row)) for row in edges])


def ends(trials):
    """Places along the path, the start counted, where the first stimulus ends and where the decision is over, (B,)
    each."""
    return epochs(trials)[:, 1], trials.window[:, 1]


def settle(portrait, kappa):
    """Stable point, by its number, to which each state (B, R) goes under a portrait's flow; -1 where it is none."""
    stable, f, kappa = portrait.fixed_points.stable, portrait.field, np.array(kappa, float)
    if not len(stable):
        return np.full(len(kappa), -1)
    for _ in range(round(SETTLED / STEP)):
        move = STEP * f.tau * f(kappa)
        kappa += move
        if np.abs(move).max() < 1e-9:
            break
    apart = np.linalg.norm(kappa[:, None] - stable, axis=-1)
    return np.where(apart.min(1) < NEAR, apart.argmin(1), -1)


def judge(portraits, trials, memory, answer, right):
    """(which, why) of a network with these portraits and attractors."""
    rest, *driven = portraits
    kinds = [{kind: int((p.fixed_points.kind == kind).sum()) for kind in ("stable", "saddle")} for p in portraits]
    stable = kinds[0]["stable"]
    if not right.all():
        return ANOTHER, f"{(~right).sum()} of {len(right)} trial types are decided wrong"
    if not stable:
        cycles = [f"{cycle.period:.3g}" for cycle in rest.cycles if cycle.stable]
        return ANOTHER, f"no stable point at rest; the memory is a phase on a cycle of period {', '.join(cycles)} tau"
    first, second, match = (trials.conditions[key] for key in ("first", "second", "match"))
    places = [set(memory[first == s]) for s in (1, -1)]
    if any(len(p) != 1 for p in places) or places[0] == places[1] or -1 in {*places[0], *places[1]}:
        return ANOTHER, "the two stimuli do not lead to two different stable points: memories are slow transients"
    if stable == 2:
        return _two(driven, kinds[1:], second, memory, answer)
    results = [set(answer[match == s]) for s in (1, -1)]
    words = f"{stable} stable points and {kinds[0]['saddle']} saddles at rest; memories at {_letters(*places)}, "
    words += f"match ends at {_letters(results[0])}, non-match at {_letters(results[1])}"
    left = ", ".join(f"{p.condition.label} leaves {k['stable']}" for p, k in zip(driven, kinds[1:], strict=True))
    alike = (stable, kinds[0]["saddle"]) == (4, 4) and all(k["stable"] == 2 for k in kinds[1:])
    apart = (
        all(len(r) == 1 for r in results) and not results[0] & results[1] and not (places[0] | places[1]) & set(answer)
    )
    return (SECOND if alike and apart else ANOTHER), f"{words}; {left}"


def letter(point):
    """Name of a stable point, "none" where there is none."""
    return "none" if point < 0 else "abcdefghijklmnop"[point]


def _letters(*points):
    return " and ".join(map(letter, sorted(set().union(*points))))


def _two(driven, kinds, second, memory, answer):
    """Two stable points at rest: the first solution, where one input leaves the state and the other carries it over."""
    for s, one in ((1, 0), (-1, 1)):
        holds, moves, mover, held = second == s, second == -s, driven[1 - one], kinds[one]["stable"]
        if (answer[holds] == memory[holds]).all() and (answer[moves] != memory[moves]).all():
            words = (
                f"bistable at rest; {driven[one].condition.label} leaves the state where it is ({held} stable points)"
            )
            words += f", {mover.condition.label} carries it to the other point"
            return _mover(mover, words)
    return ANOTHER, "bistable at rest, but no input leaves the state where it is while the other carries it over"


def _mover(mover, words):
    stable, cycles = mover.fixed_points.stable, [x for x in mover.cycles if x.stable]
    if cycles:
        return FIRST, f"{words} along a limit cycle of period {cycles[0].period:.3g} tau"
    if len(stable) == 1:
        values = np.linalg.eigvals(mover.field.jacobian(stable[0]))
        turning = "turning towards" if np.iscomplex(values).any() else "towards"
        return FIRST, f"{words}, {turning} its only stable point, near ({stable[0][0]:.2g}, {stable[0][1]:.2g})"
    return ANOTHER, f"{words}, although it has {len(stable)} stable points of its own"
