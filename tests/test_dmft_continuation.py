"""The engine that follows solutions: ends of branches, folds, roots."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.dmft import chaotic, follow, noise_suppression
from meanfield.dmft.continuation import Line, direct


def shifted(g):
    """One population with means: the structured network of Mastrogiuseppe and Ostojic (2018)."""
    population = {"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0, "mean A": 1.0}
    return mf.Connectivity.from_overlaps([population], rank=1, inputs=("A",), g=g)


def weakly_driven():
    """A small input makes the state on the other side end in a fold as noise grows, at noise = 0.892."""
    s = chaotic(shifted(2.0), inputs={"A": 0.005})
    return next(x for x in s if x.kappa[0] < -0.1)


def test_a_branch_that_ends_in_a_fold_says_so():
    start = weakly_driven()
    (end,) = noise_suppression(shifted(2.0), "tanh", {"A": 0.005}, bracket=(0.0, 3.0), start=start)
    assert end.kind == "end of the branch" and "in a fold" in end.note and end.error < 1e-3
    assert "not met on the way: largest Lyapunov exponent zero, bulk radius one" in end.note
    followed = follow(shifted(2.0), "tanh", {"A": 0.005}, along="noise", values=[0.0, 0.8, 1.0, 1.5], start=start)
    assert [p.state is None for p in followed] == [False, False, True, True]
    assert "fold" in followed[2].note and abs(followed.end[0] - end.value) < 1e-3
    # the search finds the state just before the end, and not beyond it
    counts = [
        sum(x.kappa[0] < 0 for x in chaotic(shifted(2.0), inputs={"A": 0.005}, noise=end.value + d))
        for d in (-2e-3, 2e-3)
    ]
    assert counts[0] == counts[1] + 2  # a pair that annihilates
    # a root before the fold is still found, and the fold named beside it
    early = noise_suppression(shifted(2.0), "tanh", {"A": 0.005}, bracket=(0.0, 3.0))
    assert [t.kind for t in early] == ["largest Lyapunov exponent zero", "bulk radius one"]


class Parabola:
    """x with x^2 = -p: a fold at p = 0, Newton's method beyond it wanders off."""

    gap, noise, size = None, 1e-14, 1.0

    def __init__(self, problem, x):
        self.problem, self.kappa = problem, np.array([x])

    def moved(self, problem):
        x = float(self.kappa[0])
        first = -(x**2 + problem.p) / (2 * x)
        if problem.p > 0:
            return None
        found = np.sqrt(-problem.p)
        back = -(found**2 + self.problem.p) / (2 * found)
        return Parabola(problem, found) if direct(*np.array([[first], [back], [found - x]])) else None


class Dial:
    """What Line asks of a problem."""

    def __init__(self, p):
        self.p, self.noise = p, 0.0
        self.blocks = shifted(1.0).blocks()
        self.v, self.transfer = np.ones(1), mf.get_transfer("logistic")


def test_a_planted_fold():
    line = Line(Dial, Parabola(Dial(-1.0), 1.0), -1.0)
    value, error, found = line.root(-1.0, -0.01, lambda q: q.kappa[0] - 0.3)
    assert value == pytest.approx(-0.09, abs=1e-13) and abs(value + 0.09) <= error < 1e-12
    assert line.solution(0.5) is None and line.lost
    (last, beyond), how = line.end(0.5)
    assert last < 0 <= beyond < last + 1e-3 and "fold" in how
    assert line.root(-1.0, 0.5, lambda q: q.kappa[0] - 2.0) is None


def test_a_jump_is_no_root():
    line = Line(Dial, Parabola(Dial(-1.0), 1.0), -1.0)
    assert line.root(-1.0, -0.25, lambda q: 1.0 if q.problem.p < -0.5 else -1.0) is None


class Cubic:
    """x^3 - x/1000 = -p, by Newton's method: two folds whose branches lie closer together than neighbours may."""

    gap, noise, size = None, 1e-14, 1.0

    def __init__(self, problem, x):
        self.problem, self.kappa = problem, np.array([x])

    def moved(self, problem):
        step = lambda x, p: -(x**3 - x / 1000 + p) / (3 * x**2 - 1 / 1000)  # noqa: E731
        start = x = float(self.kappa[0])
        for _ in range(60):
            x += step(x, problem.p)
        steps = np.array([[step(start, problem.p)], [step(x, self.problem.p)], [x - start]])
        return Cubic(problem, x) if abs(step(x, problem.p)) < 1e-12 and direct(*steps) else None


def test_a_fold_with_another_branch_close_by():
    fold = 2e-3 / 3 * np.sqrt(1e-3 / 3)
    line = Line(Dial, Cubic(Dial(0.0), np.sqrt(1e-3)), 0.0)
    assert line.solution(0.9 * fold).kappa[0] > 0
    for beyond in (1.3 * fold, 2 * fold, 4 * fold):
        assert line.solution(beyond) is None
    (last, end), how = line.end(2 * fold)
    assert last < fold < end and "fold" in how
