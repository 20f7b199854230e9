"""A trained network against its mixture: what the theory says of it holds, and a wrong mixture is noticed."""

from dataclasses import replace

import numpy as np
import pytest
from meanfield.validation import decisions, redrawn, scores, trained
from meanfield.validation.analysis import Condition, portrait
from meanfield.validation.decisions import RecordedTrials, load_trials
from meanfield.validation.networks import draw, load_network
from meanfield.validation.sections import default_conditions
from meanfield.validation.tasks.scores import binomial

import meanfield as mf
from meanfield.finite_size import topology
from meanfield.finite_size.neurons import neuron
from meanfield.fluctuations import spread

DMS = "pop__dms_retrained_2pop"
# Largest of some hundred z-scores of a right theory (expected: 1e-3 of them above), and a chi-square's probability.
LARGEST, LEAST = 4.5, 1e-4
STEP = 0.2


def choice(drive=1.5, n_neurons=400, seed=3, **changed):
    """A network that decides about the sign of an input, drawn from two populations, of which one hardly sees it."""
    first = {"weight": 0.75, "n1 m1": 1.6, "n1 A": drive, "w m1": 2.0}
    second = {"weight": 0.25, "n1 m1": 1.2, "A A": 0.04, "w m1": 1.0}
    c = mf.Connectivity.from_overlaps([first | changed, second], rank=1, inputs=("A",), readouts=("w",))
    net = draw(c, n_neurons, seed)
    return redrawn.redraw(replace(net, dt=STEP), n_neurons, [seed], "sizes")


def pulses(net, amplitudes=(-0.6, -0.3, 0.3, 0.6), steps=60):
    """Trials of that task, recorded from the network itself."""
    u = np.zeros((len(amplitudes), steps, 1))
    u[:, 5:20, 0] = np.array(amplitudes)[:, None]
    labels = [f"{a:g}" for a in amplitudes]
    blank = np.zeros((len(u), steps))
    what = {"target": np.sign(amplitudes), "labels": labels, "window": (steps - 10, steps)}
    empty = RecordedTrials(u=u, z=blank, kappa=blank[..., None], **what)
    run = decisions.run_trials(net, empty)
    return replace(empty, z=run.z[:, 1:, 0], kappa=run.kappa[:, 1:])


def fields(trials):
    """As they stand in a file."""
    names = ("u", "z", "kappa", "target", "labels", "window", "drift_kappa", "drift_v", "drift_F")
    return {name: getattr(trials, name) for name in names if getattr(trials, name) is not None}


@pytest.fixture(scope="module")
def small():
    net = choice()
    return net, pulses(net)


@pytest.fixture(scope="module")
def dms(shared_networks):
    return load_network(shared_networks / f"{DMS}.npz"), load_trials(shared_networks / "oracle" / f"{DMS}.npz")


def briefly(patch):
    for name, value in (("SIZES_QUICK", (128, 256)), ("DRAWS_QUICK", 5), ("TWINS_QUICK", 60), ("FOLLOWED_QUICK", 20)):
        patch.setattr(trained, name, value)
    # folds are looked for on a grid and then refined: a coarser one finds the same ones here
    patch.setitem(topology.GRID, 2, 21)


def all_scores(net, conditions, matched):
    out = []
    for condition in conditions:
        mixture = portrait(net.mixture, net.transfer, condition, cycles=False)
        own = portrait(net.connectivity, net.transfer, condition, cycles=False).fixed_points
        out.append(scores.jacobian_score(net, condition, matched))
        out += scores.point_scores(net, mixture, own, spread(mixture.fixed_points, matched))[0]
    return out


# The networks of others, where they are at hand.


@pytest.mark.parametrize("name", ["pop__rdm_lr_fig2", "pop__romo_rank2_500", DMS])
def test_the_authors_record_is_reproduced(shared_networks, name):
    net, trials = load_network(shared_networks / f"{name}.npz"), load_trials(shared_networks / "oracle" / f"{name}.npz")
    run = decisions.run_trials(net, trials)
    gaps = decisions.oracle_gaps(net, trials, run)
    assert set(gaps) == {"z", "kappa", "drift"} and max(gaps.values()) < decisions.ORACLE_TOLERANCE
    assert trained.oracle_statement(net, trials, run).holds
    assert not trained.oracle_statement(net, replace(trials, z=trials.z + 1e-10), run).holds
    assert decisions.right(run.z[..., 0], trials).all()


def test_the_drawn_network_fits_its_mixture_in_every_number(dms):
    net, trials = dms
    matched, words = redrawn.how_drawn(net)
    assert matched == "sizes" and "3049, 1047" in words
    drift = scores.drift_score(net, *decisions.states_of(trials), matched)
    found = [drift, *all_scores(net, default_conditions(net.mixture), matched)]
    assert len(drift.z) == 64 and len(found) >= 9
    assert all(np.abs(score.z).max() < LARGEST and score.p > LEAST for score in found)
    joint = redrawn.joint_test(net, *decisions.states_of(trials), 60, 0, matched)
    assert joint.freedom == 64 and abs(joint.mean - 64) < 5 and joint.p > LEAST and joint.rank > 1 / 61


def test_the_infinite_network_does_the_task(dms):
    net, trials = dms
    limit = decisions.limit_on_trials(net.mixture, net.transfer, trials, net.dt / net.tau, np.zeros(2), np.zeros(2))
    assert decisions.right(limit.z, trials).all()
    np.testing.assert_allclose(decisions.mean_readout(limit.z, trials.window), [0.87, -0.80, -0.90, 0.86], atol=0.01)


def test_a_wrong_mixture_is_rejected(dms):
    net, trials = dms
    where = decisions.states_of(trials)
    larger = replace(net, mixture=net.mixture.scale_overlap("n1", "m1", 1.2))
    assert scores.drift_score(larger, *where, "sizes").p < 1e-6
    assert scores.jacobian_score(larger, Condition(), "sizes").p < 1e-6
    one = replace(net, mixture=net.mixture.merge([0, 1]))
    matched, words = redrawn.how_drawn(one)
    assert matched == "nothing" and "2 populations, the mixture has 1" in words
    assert scores.jacobian_score(one, Condition("A", {"A": 1.0}), matched).p < 1e-20
    assert redrawn.joint_test(one, *where, 60, 0, matched).p < 1e-20
    # all overlaps are there, and without input so is the Jacobian: what one population cannot do is the task
    assert scores.jacobian_score(one, Condition(), matched).p > 0.01
    limit = decisions.limit_on_trials(one.mixture, net.transfer, trials, net.dt / net.tau, np.zeros(2), np.zeros(2))
    assert decisions.right(limit.z, trials).sum() == 2


def test_the_delayed_match_to_sample_network_is_explained(dms):
    messages = []
    net, trials = dms
    with pytest.MonkeyPatch.context() as patch:
        briefly(patch)
        figures, statements = trained.examine(net, trials.at([1, 2]), quick=True, progress=messages.append)
    by_text = {x.text: x for x in statements}
    assert not [x for x in statements if x.holds is False]
    assert by_text["decisions of the infinite network"].value.startswith("2 of 2 right")
    under_b = by_text["fixed points, B = 1"]
    assert "1 saddle, 1 stable more, near the fold at (-0.08" in under_b.value and "0.47 of" in under_b.expected
    assert statements[-1].text == "does the mixture explain this network?" and statements[-1].value.startswith("yes")
    assert "B = 1: it has 1 saddle, 1 stable more" in statements[-1].value
    assert len(messages) > 10 and [figure.name for figure in figures] == ["trials", "growing"]
    band, network, limit = (figures[0].data[key] for key in ("std", "network", "limit"))
    assert network.shape == limit.shape == band.shape == (2, 156, 2)
    assert (np.abs(network - limit) <= 2 * band + 1e-3).mean() > 0.8


# A network of our own.


def test_a_network_of_ours_is_explained_by_its_mixture(small):
    net, trials = small
    with pytest.MonkeyPatch.context() as patch:
        briefly(patch)
        figures, statements = trained.examine(net, trials.at([1, 2]), quick=True)
        without, again = (trained.examine(net, quick=True)[1] for _ in range(2))
    assert statements[-1].holds and not [x for x in statements if x.holds is False]
    assert "2 right" in next(x for x in statements if x.text == "decisions of the infinite network").value
    assert without == again and without[-1].holds and not [x for x in without if "decision" in x.text]
    for figure in figures:
        figure.draw().draw_without_rendering()


def test_the_wrong_mixture_of_a_network_of_ours_is_noticed(small):
    net, trials = small
    with pytest.MonkeyPatch.context() as patch:
        briefly(patch)
        wrong = replace(net, mixture=net.mixture.scale_overlap("n1", "m1", 1.5))
        *_, last = trained.examine(wrong, quick=True)[1]
    assert last.holds is False and last.value.startswith("no: ") and "drift at" in last.value
    turned = net.mixture.scale_overlap("n1", "A", -1.0)
    limit = decisions.limit_on_trials(turned, net.transfer, trials, STEP, np.zeros(1), np.zeros(1))
    assert trained.decision_statement("the infinite network", limit.z, trials, "").holds is False


def test_of_many_trials_some_are_followed_evenly(small):
    _, trials = small
    assert decisions.chosen(trials).tolist() == [0, 1, 2, 3]
    many = trials.at(np.repeat(np.arange(4), 50))
    picked = decisions.chosen(many)
    assert len(picked) == decisions.MOST_TRIALS and set(many.at(picked).labels) == set(trials.labels)


def test_without_a_mixture_the_rest_is_done(small):
    net, trials = small
    figures, statements = trained.examine(replace(net, mixture=None), trials)
    assert figures == () and [x.holds for x in statements] == [True, True, None]


@pytest.mark.parametrize("matched", ["sizes", "nothing"])
def test_scores_of_right_networks_are_calibrated(small, matched):
    net, _ = small
    conditions = default_conditions(net.mixture)
    kappa, v = np.array([[0.3], [1.0], [-0.5]]), np.array([[0.0], [0.5], [1.0]])
    p = []
    for k in range(20):
        twin = redrawn.redraw(net, 800, [11, k], matched)
        found = [scores.drift_score(twin, kappa, v, matched), *all_scores(twin, conditions, matched)]
        p += [score.p for score in found]
    p = np.array(p)
    # a few hundred probabilities, uniform or above: of correlated tests, hence the wide margins
    assert p.min() > LEAST and (p < 0.05).mean() < 0.12 and (p < 0.5).mean() < 0.65


@pytest.mark.parametrize("matched", ["sizes", "nothing"])
def test_the_joint_test_is_calibrated_and_its_covariance_the_predicted_one(small, matched):
    net, _ = small
    kappa, v = np.array([[0.3], [1.0], [1.02]]), np.array([[0.0], [0.5], [0.5]])
    found = [
        redrawn.joint_test(redrawn.redraw(net, 300, [12, k], matched), kappa, v, 60, k, matched) for k in range(40)
    ]
    p, rank = (np.array([getattr(one, key) for one in found]) for key in ("p", "rank"))
    assert p.min() > LEAST and 0.3 < p.mean() < 0.7 and np.abs(p - rank).max() < 0.15
    f = mf.reduce(net.mixture, "tanh", {"A": 0.5})
    twins = [redrawn.redraw(net, 300, [13, k], matched).connectivity for k in range(400)]
    drift = [mf.reduce(c, "tanh", {"A": 0.5})(np.array([1.0]))[0] for c in twins]
    # 5 standard errors of a standard deviation from 400 draws
    predicted = np.sqrt(neuron(f, [1.0], matched).covariance[0, 0] / 300)
    assert abs(np.std(drift) / predicted - 1) < 5 / np.sqrt(2 * 400)


def test_how_a_network_was_drawn_is_read_off_its_sizes():
    net = choice()
    assert redrawn.how_drawn(net)[0] == "sizes"
    assert redrawn.how_drawn(draw(net.mixture, 400, 3))[0] == "nothing"
    assert redrawn.how_drawn(replace(net, population=None))[0] == "nothing"
    twin = redrawn.redraw(net, 402, [1], "sizes")
    assert np.bincount(twin.population).tolist() == [302, 100] and redrawn.how_drawn(twin)[0] == "sizes"
    assert (twin.dt, twin.mixture) == (net.dt, net.mixture)
    np.testing.assert_array_equal(twin.n, redrawn.redraw(net, 402, [1], "sizes").n)


def test_redrawn_networks_and_the_limit_start_where_the_network_does(small):
    net, trials = small
    moved = replace(net, x0=0.5 * net.m[:, 0] - 0.2 * net.I[:, 0])
    twin = redrawn.redraw(moved, 500, [2], "sizes")
    np.testing.assert_allclose(twin.x0, 0.5 * twin.m[:, 0] - 0.2 * twin.I[:, 0], rtol=0, atol=1e-12)
    run = decisions.run_trials(moved, trials)
    exact = decisions.limit_on_trials(net.connectivity, net.transfer, trials, STEP, run.kappa[0, 0], run.v[0, 0])
    np.testing.assert_allclose(exact.kappa, run.kappa, rtol=0, atol=1e-12)


def test_the_limit_is_the_network_itself_when_the_mixture_is(small):
    net, trials = small
    exact = decisions.limit_on_trials(net.connectivity, net.transfer, trials, STEP, np.zeros(1), np.zeros(1))
    np.testing.assert_allclose(exact.kappa[:, 1:], trials.kappa, rtol=0, atol=1e-12)
    np.testing.assert_allclose(exact.z[:, 1:], trials.z, rtol=0, atol=1e-12)
    limit = decisions.limit_on_trials(net.mixture, net.transfer, trials, STEP, np.zeros(1), np.zeros(1))
    wide = redrawn.redraw(net, 200_000, [5], "sizes")
    run = decisions.run_trials(wide, trials)
    assert np.abs(run.kappa - limit.kappa).max() < 0.05 and np.abs(run.z[..., 0] - limit.z).max() < 0.05


def test_the_band_is_the_spread_of_redrawn_networks(small):
    net, trials = small
    one = trials.at([3])
    std = decisions.path_spread(net.mixture, net.transfer, one, STEP, np.zeros(1), np.zeros(1), "sizes")[0, 20:, 0]
    runs = decisions.run_trials([redrawn.redraw(net, 4000, [6, k], "sizes") for k in range(150)], one)
    measured = runs.kappa[:, 0, 20:, 0].std(axis=0) * np.sqrt(4000)
    # 150 draws: 6 %; Euler's rule against continuous time: 3 %
    assert np.abs(measured / std - 1).max() < 0.25


def test_what_another_portrait_has_more_or_less():
    rest = mf.fixed_points(mf.reduce(choice().mixture))
    listed = (topology.Change("fold", np.array([0.9]), 0.1), topology.Change("pitchfork", np.array([0.0]), 0.2))
    alone = mf.fixed_points(mf.reduce(choice(**{"n1 m1": 0.5}).mixture.scale_overlap("n1", "m1", 0.5)))
    assert redrawn.difference(rest, rest, listed) == ""
    assert redrawn.difference(alone, rest, listed).startswith("1 source, 1 stable more, near the ")
    assert redrawn.difference(rest, alone, ()) == "1 source, 1 stable less"


def test_shares_and_tails():
    share, error = binomial(10, 20)
    assert share == 0.5 and error == pytest.approx(0.1091, abs=1e-4)
    assert 0 < binomial(20, 20)[1] < 0.05
    sample = np.random.default_rng(0).chisquare(5, 20_000)
    assert redrawn.tail(15.086, sample) == pytest.approx(0.01, abs=2e-3)


def test_numbers_that_all_draws_share_must_be_equal():
    zero = np.zeros((2, 2))
    assert scores.of_covariance("", np.ones(2), np.ones(2), zero).p == 1
    apart = scores.of_covariance("", np.array([1.0, 1.1]), np.ones(2), np.diag([1.0, 0.0]))
    assert apart.p == 0 and np.isinf(apart.z[1])
    largest = scores.of_largest("", np.array([1.0, 1.1]), np.ones(2), np.array([0.0, 0.1]))
    assert largest.z == pytest.approx([0, 1]) and largest.p == pytest.approx(2 * 0.3173, abs=1e-4)


# Trials from an untrusted hand, and trials that do not fit.


def test_trials_are_read_as_they_were_written(small, tmp_path):
    _, trials = small
    np.savez(tmp_path / "trials.npz", **fields(trials))
    read = load_trials(tmp_path / "trials.npz")
    for name, value in fields(trials).items():
        np.testing.assert_array_equal(getattr(read, name), value)
    assert "4 trials of 60 steps" in repr(read) and len(read) == 4
    with pytest.raises(ValueError, match="read-only"):
        read.u[0] = 0


WRONG = {
    "z": (lambda x: x[:, :-1], r"z: got shape \(4, 59\), expected \(B, T\)"),
    "u": (lambda x: np.where(x > 0, np.nan, x), "u"),
    "kappa": (lambda x: x[..., 0], r"kappa: got shape"),
    "target": (lambda x: 0 * x, "target must not be 0"),
    "labels": (lambda x: np.arange(4.0), "labels must be 4 texts"),
    "window": (lambda x: np.array([50, 61]), "0 <= first < end <= 60"),
    "drift_kappa": (lambda x: np.zeros((3, 1)), "'drift_F' is missing"),
}


@pytest.mark.parametrize("name", WRONG)
def test_fields_that_make_no_sense_are_named(small, tmp_path, name):
    given = fields(small[1])
    change, message = WRONG[name]
    np.savez(tmp_path / "trials.npz", **given | {name: change(given.get(name))})
    with pytest.raises(ValueError, match=message):
        load_trials(tmp_path / "trials.npz")


def test_files_that_are_no_trials_are_refused(small, tmp_path):
    given, path = fields(small[1]), tmp_path / "trials.npz"
    np.savez(path, **{key: value for key, value in given.items() if key != "target"})
    with pytest.raises(ValueError, match="trials.npz: field 'target' is missing"):
        load_trials(path)
    np.savez(path, **given | {"labels": np.array([{}] * 4, dtype=object)})
    with pytest.raises(ValueError, match="pickled"):
        load_trials(path)
    np.savez(path, **given)
    with pytest.raises(ValueError, match="at most 100 bytes"):
        load_trials(path, max_bytes=100)
    whole = path.read_bytes()
    for data in (b"", b"no zip at all", whole[: len(whole) // 2], whole[:200] + bytes(50) + whole[250:]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="trials.npz: "):
            load_trials(path)
    with pytest.raises(ValueError, match="regular file"):
        load_trials(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_trials(tmp_path / "none.npz")


def test_trials_of_another_network_are_refused(small):
    net, trials = small
    two = replace(trials, u=np.zeros((4, 60, 2)))
    with pytest.raises(ValueError, match=r"trials are \(1, 2, 1\), those of the network \(1, 1, 1\)"):
        trained.examine(net, two)
    with pytest.raises(ValueError, match="does not know its Euler step"):
        trained.examine(replace(net, dt=None), trials)
