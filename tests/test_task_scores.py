"""Scores of trials with planted answers; environments of others as trials."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meanfield.validation.tasks.environments import from_neurogym
from meanfield.validation.tasks.scores import Fit, accuracy, psychometric_curve
from meanfield.validation.tasks.trials import Trials

# Scores.


def answers(levels, count, bias, slope, lapse, seed):
    """Trials at each level, decided by coins of known odds; and their readout."""
    x = np.repeat(levels, count)
    p = lapse + (1 - 2 * lapse) / (1 + np.exp(-slope * (x - bias)))
    z = np.where(np.random.default_rng(seed).random(x.size) < p, 1.0, -1.0)[:, None]
    trials = Trials(
        u=np.zeros((x.size, 1, 1)), target=np.where(x > 0, 1, -1), window=(0, 1), conditions={"coherence": x}
    )
    return trials, z


def test_accuracy_says_its_error_chance_and_ties():
    trials = Trials(u=np.zeros((3, 6, 1)), target=[1, -2, 1], window=[(0, 2), (3, 6), (5, 6)])
    z = np.array([[1.0] * 6, [1.0] * 6, [0.0] * 6])
    found = accuracy(trials, z)
    assert (found.right, found.undecided, found.count) == (1, 1, 3) and found.share == pytest.approx(1 / 3)
    assert found.chance == pytest.approx(2 / 3)
    # Wilson's: half the width of its interval at one standard deviation
    n, p = 3, 1 / 3
    assert found.error == pytest.approx(np.sqrt(p * (1 - p) / n + 1 / (4 * n * n)) / (1 + 1 / n))
    assert str(found) == "0.333 ± 0.239 (1 of 3 right, 1 undecided; chance 0.67)"
    assert accuracy(trials.at([0]), z[:1]).error > 0
    with pytest.raises(ValueError, match="one network at a time"):
        accuracy(trials, z[None])
    with pytest.raises(ValueError, match="without the start"):
        accuracy(trials, np.zeros((3, 7)))


@pytest.mark.parametrize("lapse", [0.0, 0.1])
def test_the_psychometric_curve_recovers_what_was_planted_within_its_errors(lapse):
    levels, true = np.array([-4, -2, -1, -0.5, 0.5, 1, 2, 4.0]), (0.3, 1.7, lapse)
    scores = []
    for seed in range(60):
        trials, z = answers(levels, 200, *true, seed)
        found = psychometric_curve(trials, z, lapse=bool(lapse))
        assert found.success
        names = ("bias", "slope", "lapse")[: 2 + bool(lapse)]
        scores.append(
            [(getattr(found, k) - t) / getattr(found, f"{k}_error") for k, t in zip(names, true, strict=False)]
        )
    scores = np.array(scores)
    # 60 draws: five standard errors of a mean, and of a standard deviation
    assert (np.abs(scores.mean(0)) < 5 / np.sqrt(60) + 0.1).all()
    assert (np.abs(scores.std(0) - 1) < 5 / np.sqrt(120)).all()


def test_the_fit_is_the_maximum_of_the_likelihood():
    from scipy.optimize import minimize

    trials, z = answers(np.array([-3.0, -1, 0, 2]), 30, -0.4, 0.8, 0.0, 1)
    found = psychometric_curve(trials, z)

    def cost(parameters):
        p = 1 / (1 + np.exp(-parameters[1] * (trials.condition("coherence") - parameters[0])))
        return -np.log(np.where(z[:, 0] > 0, p, 1 - p)).sum()

    best = minimize(cost, [0, 1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    np.testing.assert_allclose([found.bias, found.slope], best.x, atol=1e-6)
    np.testing.assert_allclose(
        found.at(found.levels), 1 / (1 + np.exp(-best.x[1] * (found.levels - best.x[0]))), atol=1e-6
    )
    # the errors are those of the curvature of the cost: at the maximum of a logistic, its expectation
    h = 1e-4 * np.eye(2)
    hessian = [
        [(cost(best.x + a + b) - cost(best.x + a - b) - cost(best.x - a + b) + cost(best.x - a - b)) / 4e-8 for a in h]
        for b in h
    ]
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    np.testing.assert_allclose([found.bias_error, found.slope_error], errors, rtol=1e-3)


def test_what_has_no_slope_says_so():
    levels = np.array([-2.0, -1, 1, 2])
    trials, z = answers(levels, 20, 0.0, 100.0, 0.0, 0)
    perfect = psychometric_curve(trials, z)
    assert perfect.status is Fit.JUMP and perfect.between == (-1, 1) and np.isnan(perfect.slope)
    assert "closer to the change" in str(perfect) and "(between -1 and 1)" in str(perfect)
    assert psychometric_curve(trials, -z).between == (-1, 1)
    assert psychometric_curve(trials, np.ones_like(z)).status is Fit.ONE_ANSWER
    assert psychometric_curve(trials.at([0, 79]), z[[0, 79]], lapse=True).status is Fit.NO_LEVELS
    flat = psychometric_curve(trials, np.where(np.arange(80)[:, None] % 2, 1.0, -1.0))
    assert flat.status is Fit.FLAT and (flat.share == 0.5).all()
    flawed = z.copy()
    flawed[::10] *= -1  # errors at all levels alike: a lapse, and a jump beside it
    assert psychometric_curve(trials, flawed, lapse=True).status is Fit.JUMP
    assert psychometric_curve(trials, flawed).success
    half = np.where(np.arange(80)[:, None] % 2, z, 0.0)
    ties = psychometric_curve(trials, half)
    assert ties.undecided.tolist() == [10] * 4 and ties.share.tolist() == [0, 0, 1, 1] and "40 of 80" in str(ties)
    assert np.isnan(psychometric_curve(trials, 0 * z).share).all()
    for curve in (perfect, ties, psychometric_curve(trials, flawed)):
        curve.figure().draw().draw_without_rendering()
    with pytest.raises(ValueError, match="unknown condition 'coherances'; did you mean 'coherence'"):
        psychometric_curve(trials, z, "coherances")


@given(
    rows=st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([-1.0, 0.0, 1.0])), min_size=1, max_size=60),
    lapse=st.booleans(),
)
def test_whatever_the_decisions_the_fit_is_finite_or_says_why_not(rows, lapse):
    x, z = np.array(rows).T
    trials = Trials(u=np.zeros((x.size, 1, 1)), target=np.ones(x.size), window=(0, 1), conditions={"coherence": x})
    found = psychometric_curve(trials, z[:, None], lapse=lapse)
    numbers = [found.bias, found.slope, found.lapse, found.bias_error, found.slope_error]
    assert np.isfinite(numbers).all() if found.success else np.isnan(numbers).all()
    assert 0 <= found.lapse < 0.5 or not found.success
    assert found.count.sum() == len(rows) and found.undecided.sum() == (z == 0).sum() and str(found)


# Environments of others.


class Dots:
    """Two choices after a stimulus of random length, by the protocol of neurogym's TrialEnv."""

    def __init__(self, dt=20, actions=3):
        self.dt, self.action_space = dt, SimpleNamespace(n=actions)
        self.observation_space = SimpleNamespace(shape=(3,))

    def seed(self, seed=None):
        self.rng = np.random.RandomState(seed)
        return [seed]

    def new_trial(self, **kwargs):
        self.trial = {"ground_truth": self.rng.choice(2), "coh": self.rng.choice([0, 25.6]), "kind": "dots"}
        steps = self.rng.randint(4, 9)
        self.ob, self.gt = np.zeros((steps + 2, 3), np.float32), np.zeros(steps + 2, int)
        self.ob[:, 0] = 1
        self.ob[:steps, 1 + self.trial["ground_truth"]] = self.trial["coh"]
        self.ob[:steps, 1:] += self.rng.randn(steps, 2)
        self.gt[steps:] = 1 + self.trial["ground_truth"]
        return self.trial


def test_an_environment_becomes_trials():
    env = Dots()
    trials = from_neurogym(env, 12, seed=4, fixation_weight=0.5)
    env.seed(4)
    for b in range(12):
        env.new_trial()
        steps = len(env.gt)
        np.testing.assert_array_equal(trials.u[b, :steps], env.ob)
        assert not trials.u[b, steps:].any() and trials.window[b].tolist() == [steps - 2, steps]
        assert trials.target[b] == {1: 1, 2: -1}[env.gt[-1]] and trials.conditions["coh"][b] == env.trial["coh"]
        weight = [0.5] * (steps - 2) + [1, 1] + [0] * (trials.steps - steps)
        np.testing.assert_array_equal(trials.weight[b], weight)
    assert set(trials.conditions) == {"ground_truth", "coh"} and (trials.dt, trials.tau) == (20, 100)
    few = from_neurogym(SimpleNamespace(unwrapped=env, new_trial=env.new_trial), 3, seed=4)
    np.testing.assert_array_equal(few.u, trials.u[:3, : few.steps])
    flipped = from_neurogym(env, 12, seed=4, actions={0: 0, 1: -1, 2: 1})
    np.testing.assert_array_equal(flipped.target, -trials.target)
    drawn = [from_neurogym(env, 12, seed).u for seed in ([0, 1, 2], [0, 1, 2], [0, 1, 3])]  # as trainings pass them
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0][0], drawn[2][0])


def test_what_is_no_environment_of_trials_is_refused():
    class NoChoice(Dots):
        def new_trial(self):
            super().new_trial()
            self.gt[:] = 0

    class Twice(Dots):
        def new_trial(self):
            super().new_trial()
            self.gt[[0, 1, -1]] = 1, 0, 1

    class Flat(Dots):
        def new_trial(self):
            super().new_trial()
            self.ob = self.ob[:, 0]

    cases = [
        (object(), "without new_trial"),
        (Dots(dt=200), "smaller dt"),
        (Dots(actions=4), r"4 actions, of which \[3\] have no wanted readout"),
        (NoChoice(), "trial 0 asks for no choice"),
        (Twice(), "trial 0 asks for several choices"),
        (Flat(), "env.ob and env.gt: got shapes"),
    ]
    for env, message in cases:
        with pytest.raises(ValueError, match=message):
            from_neurogym(env, 2, seed=0)
