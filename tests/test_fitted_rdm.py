"""Random-dots networks that come with the package: they are what their record says, and the report's section holds."""

import functools
import shlex
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation.cases import FITTED, fitted_rdm, rdm_figures, rdm_statements
from meanfield.validation.fitted.store import STORED, fitted, task_of
from meanfield.validation.networks import draw
from numpy.testing import assert_allclose

import meanfield as mf
from meanfield import cli
from meanfield.commands import train as train_command

NAMES = (*fitted_rdm.HELD, *fitted_rdm.BRIEF)
HAND_BUILT = (fitted_rdm.HAND, fitted_rdm.HAND_LIMIT)
LARGEST = 200_000  # bytes of a file


@functools.cache
def worked():
    """The section, quick, and the findings it is made of."""
    kept, find = [], fitted_rdm.find

    def keep(*args):
        kept.append(find(*args))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitted_rdm, "find", keep)
        section = FITTED["rdm-trained"].section(True, 0, lambda message: None)
    return section, kept[0]


once = pytest.mark.xdist_group("rdm-trained")


# The store.


@pytest.mark.parametrize("name", (*NAMES, *HAND_BUILT))
def test_a_stored_training_is_what_its_command_asks_for(name):
    stored = STORED[name]
    assert stored.path.stat().st_size < LARGEST
    args = cli.parser().parse_args(shlex.split(stored.command)[1:])
    trained, task = fitted(name), train_command._task(args)
    asked = {key: getattr(args, key) for key in ("seed", "steps", "batch", "accuracy", "loss", "dtype")}
    assert asked == {key: trained.options[key] for key in asked}
    assert (args.learning_rate, args.noise) == (trained.options["learning_rate"], trained.options["noise_std"])
    assert task_of(trained) == task
    kind = type(train_command._parametrisation(args)).__name__ if args.kind == "low-rank" else None
    assert trained.options["parametrisation"]["kind"] == (kind or _kind(args.kind))
    assert trained.success and trained.test_accuracy >= args.accuracy
    assert args.out == stored.file


def _kind(word):
    return {"hand-built": "Mixture", "hand-built-limit": "MixtureLimit"}[word]


def test_the_command_line_builds_the_six_parameters_by_hand():
    pytest.importorskip("jax")
    for word in ("hand-built", "hand-built-limit"):
        args = cli.parser().parse_args(["train", "rdm", "--kind", word, "--neurons", "64"])
        made = train_command._parametrisation(args)
        assert (type(made).__name__, made.structure.name, made.rank) == (_kind(word), "hand_built", 1)


def by_hand(net, count, seed, delay, decision, coherence=1.0, noise=0.1):
    """Trials and network in one plain loop, written without the package: share of right signs, mean z times target."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], count)
    steps = {"before": 5, "on": 40, "delay": delay // 20, "decision": max(1, decision // 20)}
    end = sum(steps.values())
    x, z = np.zeros((count, net.n_neurons)), []
    for k in range(end):
        on = steps["before"] <= k < steps["before"] + steps["on"]
        u = 0.1 * coherence * sign * on + noise * rng.standard_normal(count)
        kappa = np.tanh(x) @ net.n / net.n_neurons
        x = 0.8 * x + 0.2 * (kappa @ net.m.T + u[:, None] @ net.I.T) + 0.05 * rng.standard_normal(x.shape)
        z.append((np.tanh(x) @ net.w)[:, 0] / net.n_neurons)
    decided = np.mean(z[end - steps["decision"] :], axis=0)
    return (np.sign(decided) == sign).mean(), (decided * sign).mean(), ((decided - sign) ** 2).mean()


@pytest.mark.parametrize("name", NAMES)
def test_stored_networks_do_their_task_in_another_simulation(name):
    delay, decision = (500, 300) if name in fitted_rdm.HELD else (100, 20)
    net, goal = fitted(name).network, fitted(name).options["loss"]
    right, level, error = by_hand(net, 60, 7, delay, decision)
    # the weakest coherence of the training: its errors are the largest; the goal is a mean over three coherences
    assert right >= 0.97
    assert abs(level - 1) < 2 * np.sqrt(goal) and error < 3 * goal


def test_bistability_goes_with_the_task():
    overlap = {name: float(np.mean(fitted(name).network.m * fitted(name).network.n)) for name in NAMES}
    assert all(1.1 < overlap[name] < 1.5 for name in fitted_rdm.HELD)
    assert sum(overlap[name] < 1 for name in fitted_rdm.BRIEF) >= 3
    # a network below 1 forgets what one above 1 holds
    assert by_hand(fitted("rdm-brief-0").network, 30, 3, 2000, 100)[1] < 0.3
    assert by_hand(fitted("rdm-0").network, 30, 3, 2000, 100)[1] > 0.9


@pytest.mark.parametrize("name", HAND_BUILT)
def test_the_six_parameters_make_the_stored_mixture(name):
    """Equations (3.1)-(3.4) of the thesis, drawn by hand; overlaps do not depend on the normal form."""
    p = {key: float(value) for key, value in fitted(name).params.items()}
    x1, x2, x3, x4 = np.random.default_rng(5).standard_normal((4, 400_000))
    n, m = np.sqrt(p["rho"]) * x1 + p["alpha_n"] * x2, np.sqrt(p["rho"]) * x1 + p["alpha_m"] * x3
    inputs, w = x4 + p["sigma_n"] * x2 + p["sigma_m"] * x3, p["w_o"] * m
    c = fitted(name).connectivity
    for value, (a, b) in ((np.mean(m * n), "nm"), (np.mean(inputs**2), "II"), (np.mean(w * inputs), "wI")):
        assert_allclose(c.covariance(a, b)[0, 0, 0], value, atol=0.02)
    scale = np.sqrt(np.mean(m**2) / c.covariance("m", "m")[0, 0, 0])
    assert_allclose(c.covariance("n", "I")[0, 0, 0] / scale, np.mean(n * inputs), atol=0.02)
    # at a stable point <phi'> = 1/rho, so z* = w_o var(m) kappa / rho
    stable = mf.fixed_points(mf.reduce(c)).stable.max()
    z = mf.reduce(c).readout(np.array([stable]))[0]
    wm = c.covariance("w", "m")[0, 0, 0]
    assert_allclose(abs(z), abs(wm) * stable / p["rho"], rtol=1e-9)


# The parts of the section.


def test_the_error_of_a_cosine_is_its_spread_over_samples():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        a, b = rng.standard_normal((2, 200))
        found.append(fitted_rdm.cosine(a, b + 0.7 * a))
    values, errors = np.array(found).T
    assert_allclose(values.mean(), 0.7 / np.sqrt(1.49), atol=0.01)
    assert_allclose(errors.mean(), values.std(), rtol=0.15)


def test_the_spread_of_an_overlap_is_that_of_drawn_networks():
    covariance = np.diag([1.5, 2.0, 1.0, 1.0])
    covariance[0, 1] = covariance[1, 0] = 0.6
    c = mf.Connectivity([1.0], [[0.8, -0.5, 0, 0]], covariance[None], rank=1, inputs=("A",), readouts=("w",))
    net = draw(c, 400_000, 3)
    assert_allclose(fitted_rdm.product_std(c), (net.m * net.n).std(), rtol=0.02)


@pytest.mark.parametrize(("kind", "factor"), [("m", 0.6), ("I", 0.0), ("I", -1.0)])
def test_a_planted_wrong_theory_has_one_overlap_wrong(kind, factor):
    net = fitted("rdm-0").network
    c = fitted_rdm.of_moments(
        replace(net, mixture=mf.Connectivity([1.0], np.ones((1, 4)), np.eye(4)[None], 1, ("A",), ("w",)))
    )
    wrong = rdm_statements.with_overlap(c, kind, factor)
    for a, b in (*fitted_rdm.PAIRS, "mm", "II", "wI"):
        scale = factor if a + b == "n" + kind or b + a == "n" + kind else 1.0
        assert_allclose(wrong.overlap(a, b), scale * c.overlap(a, b), atol=1e-12)


def test_nobody_beats_the_ideal_observer():
    task = fitted_rdm.exam_task(task_of(fitted("rdm-0")))
    trials = task.trials(20_000, 2)
    summed = trials.u[:, 5:45, 0].sum(1)
    for c in (-0.4, -0.1, 0.2):
        some = trials.condition("coherence") == c
        assert_allclose((summed > 0)[some].mean(), rdm_figures.ideal(task, c), atol=0.05)


# The section.


@once
def test_statements_hold():
    statements = worked()[0].statements
    assert [s.text for s in statements if s.holds is False] == []
    assert sum(s.holds is True for s in statements) >= 30
    assert sum("planted wrong theory" in s.text for s in statements) == 3
    assert all(s.text and s.value and s.source for s in statements)


@once
def test_portraits_are_proved():
    section = worked()[0]
    assert [len(p.fixed_points) for p in section.portraits] == [3, 3, 1]
    assert all(p.fixed_points.complete for p in section.portraits)


@once
def test_figures_show_finite_numbers():
    figures = worked()[0].figures
    assert len({f.name for f in figures}) == len(figures)
    assert {"behaviour", "overlaps", "redrawn", "portraits", "choice"} <= {f.name for f in figures}
    for figure in figures:
        canvas = FigureCanvasAgg(figure.draw())
        canvas.draw()
        assert np.asarray(canvas.buffer_rgba()).std() > 5
        for key, values in figure.data.items():
            if np.asarray(values).dtype.kind in "fc":
                assert np.isfinite(values).all(), (figure.name, key)


@once
def test_statements_fail_where_they_should():
    found = worked()[1]

    def failing(**changed):
        return " ".join(s.text for s in rdm_statements.statements(replace(found, **changed)) if s.holds is False)

    brief = failing(held=found.brief)
    assert "overlap m.n/N" in brief and "more overlap" in brief and "lose it" in brief
    exam = found.exam
    assert "perfect psychometric curve" in failing(exam=fitted_rdm.examined(exam.trials, -exam.z))
    better = exam.z + 10 * exam.trials.target[:, None]
    assert "observer who sums" in failing(exam=fitted_rdm.examined(exam.trials, better))
    own = found.own
    assert "bistable as the infinite one" in failing(own=replace(own, points=np.ones_like(own.points)))
    assert "moments of each draw" in failing(own=replace(own, predicted=own.predicted + 0.2))
    assert "mean-field limit" in failing(gap=-0.4)
    assert "is rejected" in failing(wrong=(("nothing", "portraits", found.choices[0].chosen),))
