"""LINT in the report: stored networks of full rank, fits to them and to those of low rank, and what was learned."""

import functools
import shlex
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from meanfield.validation.cases import FITTED, fitted_full, fitted_lint, full_statements
from meanfield.validation.fitted.store import STORED, fitted
from meanfield.validation.lint import stages
from meanfield.validation.lint.comparison import compare_connectivity
from meanfield.validation.tasks.catalogue import get_task
from meanfield.validation.training.learned import start_of
from meanfield.validation.training.parametrisations import connections

from meanfield import cli
from meanfield.commands import train as train_command

pytestmark = pytest.mark.xdist_group("fitted_lint")
FULL = [name for name in STORED if name.startswith("full-")]
LOW = fitted_lint.Effort(40, 20, 2, (8, 24), (0.0, 0.05), 2)
HIGH = fitted_full.Effort(40, 40, (1, 2), (0.5,), 2, 3, 40, 400)


def _without_extra():
    raise ImportError("the extra is not there")


@functools.cache
def worked(name):
    """A section with little effort and without the extra, and what its statements and figures are made of."""
    kept = []

    def keep(function):
        def kept_too(*args):
            kept.append(function(*args))
            return kept[-1]

        return kept_too

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "import_fit", _without_extra)
        patch.setattr(fitted_lint, "QUICK", LOW)
        patch.setattr(fitted_full, "QUICK", HIGH)
        patch.setattr(fitted_lint, "study", keep(fitted_lint.study))
        patch.setattr(fitted_full, "find", keep(fitted_full.find))
        return FITTED[name].section(True, 0, lambda message: None), tuple(kept)


# The store.


@pytest.mark.parametrize("name", FULL)
def test_stored_networks_of_full_rank_are_what_their_command_asks_for(name):
    stored, trained = STORED[name], fitted(name)
    assert stored.path.stat().st_size < 200_000 and trained.success
    args = cli.parser().parse_args(shlex.split(stored.command)[1:])
    asked = {key: getattr(args, key) for key in ("seed", "steps", "batch", "accuracy", "loss", "learning_rate")}
    assert asked == {key: trained.options[key] for key in asked}
    assert (args.noise, list(args.shaping)) == (trained.options["noise_std"], list(trained.options["shaping"]))
    assert (args.kind, args.neurons, args.out) == ("full-rank", trained.network.n_neurons, stored.file)
    assert fitted_full.task_of(trained) == train_command._task(args)
    assert trained.options["parametrisation"]["kind"] == "FullRank"


def by_hand(net, J, trials, noise, seed):
    """The network on trials, step by step, every connection by itself: the readout after each step (B, T)."""
    rng, step = np.random.default_rng(seed), trials.dt / trials.tau
    x, z = np.zeros((len(trials), len(J))), []
    for k in range(trials.steps):
        drive = np.tanh(x) @ J.T + trials.u[:, k] @ net.I.T
        x = (1 - step) * x + step * drive + noise * rng.standard_normal(x.shape)
        z.append(np.tanh(x) @ net.w[:, 0] / len(J))
    return np.array(z).T


@pytest.mark.parametrize("name", FULL)
def test_they_do_their_task_in_a_simulation_of_our_own_and_not_from_where_they_began(name):
    trained = fitted(name)
    J, net = trained.params["J"] / trained.network.n_neurons, trained.network
    np.testing.assert_allclose(connections(net), J, rtol=0, atol=1e-12)
    trials = get_task(trained.options["task"]["name"]).trials(80, seed=3)
    z, before = (
        by_hand(net, J, trials, trained.options["noise_std"], 4),
        by_hand(net, start_of(trained), trials, 0.0, 0),
    )
    assert trials.right(z).mean() > trained.test_accuracy - 4 * np.hypot(trained.test_error, 1 / 80)
    # the readout is to be +1 or -1
    level, first = ((trials.mean_readout(x) * np.sign(trials.target)).mean() for x in (z, before))
    assert first < 0.2 < 0.7 < level


# The sections.


@pytest.mark.parametrize("name", [fitted_lint.NAME, fitted_full.NAME])
def test_every_statement_holds_and_every_figure_draws_finite_numbers(name):
    section, _ = worked(name)
    assert [x.text for x in section.statements if x.holds is False] == []
    assert sum(x.holds is True for x in section.statements) > 15
    assert all(p.fixed_points.complete for p in section.portraits)
    names = [figure.name for figure in section.figures]
    assert len(set(names)) == len(names) >= 3
    for figure in section.figures:
        for key, value in figure.data.items():
            # the fit expects no cosine where there is no noise
            missing = np.isnan(value) if value.dtype.kind == "f" and key.startswith("expected") else False
            assert value.dtype.kind == "U" or np.isfinite(value[~np.broadcast_to(missing, value.shape)]).all(), key
        FigureCanvasAgg(figure.draw()).draw()


def failing(lines):
    return [x.text for x in lines if x.holds is False]


def test_a_fit_with_the_inputs_of_other_trials_fails_as_a_description_of_its_teacher():
    first = worked(fitted_lint.NAME)[1][0]
    compared = compare_connectivity(first.shuffled, first.net, first.test, fitted_lint.conditions_of(first.net))
    wrong = replace(
        first, noisy=first.shuffled, clean_r2=compared.r2, compared=first.compared | {"noisy": compared},
        short=(first.own.r2 - first.shuffled.r2.r2, first.short[1]),
    )  # fmt: skip
    texts = " / ".join(failing(fitted_lint.statements(wrong)))
    assert "as well as by the teacher itself" in texts and "noise-free rates" in texts and "planted" in texts


def test_a_rank_too_low_is_told():
    (found,) = worked(fitted_full.NAME)[1]
    curve = found.curves["full-dms"]
    # the fit of rank 1 in the place of that of rank 2
    low = replace(curve, fits=curve.fits[:1] * 2, fit_accuracy=curve.fit_accuracy[:1] * 2)
    assert len(failing(full_statements._by_rank("full-dms", low))) == 2
    # and a rank 1 that does the task
    high = replace(curve, fits=curve.fits[1:] * 2, fit_accuracy=curve.fit_accuracy[1:] * 2)
    assert failing(full_statements._stages(replace(found, curves={"full-dms": high}))) == [
        "planted: rank 1 is too low for the task"
    ]


def test_what_was_learned_is_needed_as_a_whole_and_with_its_own_start():
    (found,) = worked(fitted_full.NAME)[1]
    one, trained = found.learned, found.trained
    J, J0 = trained.params["J"] / trained.network.n_neurons, start_of(trained)
    u, s, vt = np.linalg.svd(J - J0)
    np.testing.assert_allclose(one.structure.singular_values, s, rtol=0, atol=1e-9)
    trials = get_task("dms").trials(40, seed=8)
    for rank, works in ((1, False), (2, True)):
        cut = J0 + (u[:, :rank] * s[:rank]) @ vt[:rank]
        share = trials.right(by_hand(trained.network, cut, trials, 0.0, 0)).mean()
        assert bool(share == 1.0) is works
    # what would be said of a change that cuts differently, works without J0, or beside any
    told = full_statements._learned, full_statements._independent
    cases = (
        ({"beside": one.alone}, "J0 and the change cut to rank 2 do the task; cut to rank 1 not"),
        ({"alone": one.beside}, "without J0 the change, of rank 1 to 3, decides by chance"),
        ({"fresh": (one.beside,)}, "and then it does not do the task"),
        ({"p_values": one.p_values * 1e-9}, "the same change beside 3 other random J0: independent of them"),
    )
    for wrong, text in cases:
        other = replace(one, **wrong)
        assert failing([*told[0](other, 0.8), *told[1](other)]) == [text]
    assert failing(told[0](one, 1.0)) == ["the random J0 before the training: g"]
    assert len(failing(told[1](replace(one, left_large=one.left_large + 1)))) == 1


def test_the_teacher_rests_where_the_fit_does():
    (found,) = worked(fitted_full.NAME)[1]
    portraits = worked(fitted_full.NAME)[0].portraits
    assert not failing(full_statements._fit(found, portraits))
    assert failing(full_statements._fit(replace(found, ends=found.ends[:1]), portraits))
    assert failing(full_statements._fit(replace(found, ends=2 * found.ends), portraits))
    J, x = connections(found.net), found.ends
    np.testing.assert_allclose(x, np.tanh(x) @ J.T, atol=1e-3)
