"""Networks trained on delayed match-to-sample: they do the task, which solution they found, and what inputs change."""

import argparse
import json
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation.cases import FITTED, dms_figures, dms_mixture
from meanfield.validation.cases.dms_overlaps import effective, regression, split
from meanfield.validation.cases.dms_solutions import ANOTHER, FIRST, SECOND, epochs, judge, solution
from meanfield.validation.cases.fitted_dms import FOUR, NETWORK, SEEDS, overlap_statements
from meanfield.validation.fitted.store import STORED, fitted, task_of
from meanfield.validation.networks import draw
from meanfield.validation.tasks.memory import DelayedMatch
from meanfield.validation.training.trainer import _described

from meanfield.commands import train

pytestmark = pytest.mark.xdist_group("fitted_dms")
DMS = [name for name in STORED if name.startswith("dms-")]


@cache
def found(name):
    trained = fitted(name)
    return solution(trained.network or trained.connectivity)


def by_hand(net, trials, noise, seed):
    """The network on trials, step by step: the readout after each step (B, T)."""
    rng, step = np.random.default_rng(seed), trials.dt / trials.tau
    x, z = np.zeros((len(trials), net.n_neurons)), []
    for k in range(trials.steps):
        x = (
            x
            + step * (-x + np.tanh(x) @ net.n @ net.m.T / net.n_neurons + trials.u[:, k] @ net.I.T)
            + noise * rng.standard_normal(x.shape)
        )
        z.append(np.tanh(x) @ net.w[:, 0] / net.n_neurons)
    return np.array(z).T


@pytest.mark.parametrize("name", DMS)
def test_stored_ones_are_small_and_know_the_command_that_made_them(name):
    stored, trained = STORED[name], fitted(name)
    assert stored.path.stat().st_size < 200_000 and trained.success and trained.test_accuracy > 0.99
    args = parsed(stored.command)
    assert args.out == stored.file and args.rank == 2
    asked = {"seed", "steps", "batch", "learning_rate", "clip", "accuracy", "loss", "starts", "screening", "dtype"}
    assert {key: getattr(args, key) for key in asked} == {key: trained.options[key] for key in asked}
    assert args.noise == trained.options["noise_std"] and task_of(trained).parameters() == DelayedMatch().parameters()
    kind, stages = train._parametrisation(args), train._shaping(args)
    assert json.loads(json.dumps(_described(kind))) == trained.options["parametrisation"]
    shown = [x if np.isscalar(x) else json.loads(json.dumps(_described(x))) for x in stages]
    assert shown == trained.options["shaping"]


def parsed(command):
    """The options of a command line of ``meanfield train``."""
    parser = argparse.ArgumentParser()
    train.add(parser.add_subparsers())
    return parser.parse_args(command.split()[1:])


def test_options_that_a_kind_does_not_have_are_refused():
    for words, message in (
        ("--kind full-rank --overlap 1", "--overlap: there is nothing of the kind"),
        ("--kind hand-built --hold w", "--hold: there is nothing of the kind"),
        ("--width 1", "--width: there is nothing of the kind in --kind low-rank"),
        ("--hold q", "held must be among m, n, I, w"),
    ):
        with pytest.raises(ValueError, match=message):
            train._parametrisation(parsed(f"meanfield train dms {words}"))


@pytest.mark.parametrize("name", SEEDS)
def test_networks_do_the_task_in_a_simulation_of_our_own(name):
    trained = fitted(name)
    trials = DelayedMatch().trials(60, seed=[3, *name.encode()])
    right = trials.right(by_hand(trained.network, trials, trained.options["noise_std"], 4))
    assert right.mean() > trained.test_accuracy - 4 * np.hypot(trained.test_error, 1 / 60)


def test_the_mixture_does_the_task_at_infinity_and_large_draws_nearly():
    trained = fitted(dms_mixture.MIXTURE)
    assert dms_mixture.limit_statement(trained, 800, 5).holds
    trials = DelayedMatch().grid()
    share = {n: [trials.right(by_hand(draw(trained.connectivity, n, k), trials, 0.0, 0)).mean() for k in range(3)]
             for n in (200, 3000)}  # fmt: skip
    assert np.mean(share[200]) < 0.9 < 0.95 < np.mean(share[3000])


def test_the_first_solution_is_recognised():
    one = found(NETWORK)
    assert one.which == FIRST and one.right.all() and "input B carries it to the other point along a limit" in one.why
    assert [len(p.fixed_points.stable) for p in one.portraits] == [2, 2, 0]
    first, second = (one.trials.conditions[key] for key in ("first", "second"))
    assert (one.answer[second > 0] == one.memory[second > 0]).all() and (one.answer != one.memory)[second < 0].all()
    assert len(set(one.memory[first > 0])) == 1 and "a (z = +0" in one.sequences and "first solution" in str(one)


def test_another_solution_and_a_wrong_network_are_called_so():
    four = found(FOUR)
    assert four.which == ANOTHER and "4 stable points and 4 saddles at rest" in four.why and four.right.all()
    net = fitted(NETWORK).network
    wrong = solution(replace(net, w=-net.w), portraits=found(NETWORK).portraits)
    assert wrong.which == ANOTHER and "8 of 8 trial types are decided wrong" in wrong.why
    swapped = solution(replace(net, I=net.I[:, ::-1]))
    assert swapped.which == FIRST and "input B leaves the state" in swapped.why and "input A carries it" in swapped.why
    with pytest.raises(ValueError, match="two inputs"):
        solution(replace(net, I=net.I[:, :1], input_names=("A",)))


def fake(stable, saddles, label):
    kinds = np.array(["stable"] * stable + ["saddle"] * saddles)
    points = SimpleNamespace(kind=kinds, stable=np.zeros((stable, 2)))
    return SimpleNamespace(condition=SimpleNamespace(label=label), fixed_points=points, cycles=())


@pytest.mark.parametrize(
    ("left", "memory", "match", "other", "which"),
    [
        (2, (0, 1), 2, 3, SECOND),
        (1, (0, 1), 2, 3, ANOTHER),  # an input leaves one point
        (2, (0, 1), 0, 3, ANOTHER),  # an answer at a memory
        (2, (0, 1), 2, 2, ANOTHER),  # one answer for both
        (2, (0, 0), 2, 3, ANOTHER),  # one memory for both
        (2, (0, -1), 2, 3, ANOTHER),  # a memory at no stable point
    ],
)
def test_the_second_solution_would_be_recognised(left, memory, match, other, which):
    trials = DelayedMatch().grid()
    portraits = fake(4, 4, "no input"), fake(left, 2, "input A"), fake(2, 2, "input B")
    first, same = trials.conditions["first"], trials.conditions["match"]
    places = np.where(first > 0, *memory), np.where(same > 0, match, other)
    assert judge(portraits, trials, *places, np.ones(8, bool))[0] == which


def test_epochs_are_those_of_the_task():
    trials = DelayedMatch(delays=(500.0, 1000.0)).grid()
    assert (np.diff(epochs(trials)) == [[25, 25, 25]] * 4 + [[25, 50, 25]] * 4).all()


def test_effective_overlaps_are_the_thesis_formula_and_its_derivative():
    net, h = fitted(NETWORK).network, 1e-5
    inside = net.m @ np.linalg.pinv(net.m)
    for name, column in (("A", 0), ("B", 1)):
        one, drive = effective(net, {name: 1.0}, name), net.I[:, column]
        slope = np.cosh(drive - inside @ drive) ** -2
        assert np.allclose(one.overlap, (net.n * slope[:, None]).T @ net.m / net.n_neurons, atol=1e-12)
        assert one.gap < 1e-12
        drift = lambda k, drive=drive: net.n.T @ np.tanh(net.m @ k + drive) / net.n_neurons - k  # noqa: E731
        ends = [(drift(h * e) - drift(-h * e)) / (2 * h) for e in np.eye(2)]
        assert np.allclose(one.exact, np.transpose(ends), atol=1e-8)
    lines, figures, _, splits = overlap_statements(net, {})
    assert splits[1].name == "n1.m2" and abs(splits[1].z) > 5 and abs(splits[0].z) < 3
    assert all(x.holds is not False for x in lines) and len(figures) == 2


def test_regressions_are_least_squares_with_errors_that_cover():
    rng, slopes = np.random.default_rng(2), []
    for _ in range(300):
        x = rng.standard_normal(60)
        y = 0.7 * x - 0.2 + (0.2 + np.abs(x)) * rng.standard_normal(60)  # scatter that grows with |x|
        values, errors = regression(x, y)
        slopes.append((values[0] - 0.7) / errors[0])
    assert np.allclose(values, np.polyfit(x, y, 1))
    assert 0.85 < np.std(slopes) < 1.3  # errors for equal scatter would give 1.7
    with pytest.raises(ValueError, match="three points"):
        regression(x[:2], y[:2])


def test_splits_see_a_planted_group_and_nothing_where_there_is_none():
    net = fitted(NETWORK).network
    rng = np.random.default_rng(6)
    n_neurons = 600
    group = np.arange(n_neurons) < 300
    m, n = rng.standard_normal((2, n_neurons, 2))
    n[:, 0] += np.where(group, 0.8, -0.8) * m[:, 1]
    inputs = np.stack([np.where(group, 4.0, 0.1), rng.standard_normal(n_neurons)], 1) * rng.standard_normal(
        (n_neurons, 1)
    )
    planted = replace(net, m=m, n=n, I=inputs, w=np.ones((n_neurons, 1)), x0=np.zeros(n_neurons), mixture=None)
    seen, none = split(planted, "A"), split(replace(planted, I=rng.standard_normal((n_neurons, 2))), "A")
    assert seen.pair == (0, 1) and seen.z < -5 and seen.split[0, 0] < -0.4 and seen.split[1, 0] > 0.4
    assert abs(none.z) < 4


def test_figures_are_drawn_from_finite_data():
    s, net = found(NETWORK), fitted(NETWORK).network
    figures = [
        dms_figures.trajectories(s, 5),
        dms_figures.loadings(net),
        dms_figures.gallery([s], ["a"], 7),
    ]
    for figure in (*figures, *overlap_statements(net, {})[1]):
        canvas = FigureCanvasAgg(figure.draw())
        canvas.draw()
        assert np.asarray(canvas.buffer_rgba()).std() > 5
        assert all(np.isfinite(v).all() for v in map(np.asarray, figure.data.values()) if v.dtype.kind in "fc")


def test_inputs_of_the_mixture_change_overlaps_in_words():
    lines = list(dms_mixture.mechanism_statements(dms_mixture.ledgers_of(fitted(dms_mixture.MIXTURE).connectivity)))
    assert "input A saturates population 1" in lines[0].value and "input B saturates population 0" in lines[2].value
    assert lines[1].value.endswith("turns") and lines[3].value.endswith("does not turn")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FITTED if name.startswith("dms-")])
def test_every_statement_of_the_pages_holds(name):
    section = FITTED[name].section(True, 0, lambda message: None)
    assert [x for x in section.statements if x.holds is False] == []
    assert sum(x.holds is True for x in section.statements) >= 5
    assert len({f.name for f in section.figures}) == len(section.figures)
