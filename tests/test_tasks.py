"""Tasks: inputs and decisions as in the literature; trials, driven through finite networks and through the limit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meanfield.validation import decisions, trained
from meanfield.validation.decisions import limit_on_trials, load_trials, run_trials
from meanfield.validation.networks import draw, load_network
from meanfield.validation.tasks.catalogue import TASKS, get_task
from meanfield.validation.tasks.scores import accuracy
from meanfield.validation.tasks.task import Task
from meanfield.validation.tasks.trials import Trials

import meanfield as mf

#: Tasks whose grid is that of a record, up to its order; the records go on after the decision, without input.
RECORDED = {
    "pop__rdm_lr_fig2": ("rdm", {"coherences": (-4, -1, 1, 4)}),
    "pop__dms_rank2_500": ("dms", {"delay_min": 1000, "delay_max": 1000}),
    "pop__romo_rank2_500": (
        "romo",
        {"pairs": ((10, 34), (18, 26), (26, 18), (34, 10)), "delay_min": 800, "delay_max": 800},
    ),
    "pop__mante_rank1_4096": ("mante", {"coherences": (-2, 2), "scale_context": 0.5}),
    "pop__raposo_lr_fig1": ("raposo", {"coherences": (-2, 2), "modalities": ("visual", "auditory")}),
}


def small(name, **changed):
    """A task with short trials."""
    short = {"dms": {"delay_max": 700, "decision": 100}, "romo": {"delay_min": 100, "delay_max": 200}}
    return get_task(name, **short.get(name, {}) | changed)


# As in the literature.


@pytest.mark.parametrize("name", RECORDED)
def test_the_grid_is_the_recorded_trials_and_their_networks_decide_them(shared_networks, name):
    record = load_trials(shared_networks / "oracle" / f"{name}.npz")
    task, parameters = RECORDED[name]
    trials = get_task(task, **parameters).grid()
    steps = trials.steps
    assert not record.u[:, steps:].any()
    # one sense only: the record repeats trials that differ in what is not shown
    order = [0, 2, 4, 5] if task == "raposo" else np.arange(len(record))
    np.testing.assert_array_equal(trials.u, record.u[order, :steps])
    np.testing.assert_array_equal(np.sign(trials.target), np.sign(record.target[order]))
    np.testing.assert_array_equal(trials.window, record.window[order])
    net = load_network(shared_networks / f"{name}.npz")
    z = run_trials(net, trials).z[:, 1:, 0]
    np.testing.assert_allclose(z, record.z[order, :steps], rtol=0, atol=decisions.ORACLE_TOLERANCE)
    assert accuracy(trials, z).share == 1
    np.testing.assert_array_equal(trials.right(z), decisions.right(run_trials(net, trials).z[..., 0], trials))


def slow_rdm(task, coherence):
    u = [0.0] * int(task.fixation / task.dt) + [task.scale * coherence] * int(task.stimulus / task.dt)
    u += [0.0] * (int(task.delay / task.dt) + int(task.decision / task.dt))
    return np.array(u)[:, None], [len(u) - int(task.decision / task.dt), len(u)]


def slow_pair(task, first, second, delay):
    steps = [int(x / task.dt) for x in (task.fixation, task.stimulus, delay, task.stimulus, task.decision)]
    ends = np.cumsum(steps)
    u = np.zeros((ends[-1] + int((task.delay_max - delay) / task.dt), len(first)))
    u[ends[0] : ends[1]], u[ends[2] : ends[3]] = first, second
    return u, ends[3:5].tolist()


def one_by_one(task, c):
    """Inputs, window and wanted readout of a trial, from the task's description."""
    if task.name == "rdm":
        return *slow_rdm(task, c["coherence"]), np.sign(c["coherence"])
    if task.name == "dms":
        shown = [[1, 0] if c[key] == 1 else [0, 1] for key in ("first", "second")]
        return *slow_pair(task, *shown, c["delay"]), 1 if shown[0] == shown[1] else -1
    if task.name == "romo":
        return *slow_pair(task, *([(c[f] - 22) / 24] for f in ("f1", "f2")), c["delay"]), (c["f1"] - c["f2"]) / 24
    u, window = slow_rdm(replace_rdm(task), 0.0)
    on, off = int(task.fixation / task.dt), window[0]
    begin, end = on + int(task.context_only / task.dt), window[0] - int(task.delay / task.dt)
    u = np.zeros((len(u), 4))
    if task.name == "context":
        u[begin:end, :2] = task.scale * np.array([c["coherence_A"], c["coherence_B"]])
        u[on:off, 1 + int(c["context"])] = task.scale_context
        return u, window, np.sign(c["coherence_A"] if c["context"] == 1 else c["coherence_B"])
    u[begin:end, :2] = task.scale * np.array([c["visual"], c["auditory"]])
    u[on:end, 2:] = task.scale_context * np.array([c["modality"] != 2, c["modality"] != 1])
    return u, window, np.sign(c["visual"] + c["auditory"])


def replace_rdm(task):
    """The timing of two streams as that of one with a longer fixation."""
    fixation = task.fixation + task.dt * int(task.context_only / task.dt)
    shared = {key: getattr(task, key) for key in ("dt", "tau", "stimulus", "delay", "decision", "scale")}
    return get_task("rdm", fixation=fixation, **shared)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("dt", [20.0, 10.0])
def test_trials_are_what_the_task_describes(name, dt):
    task = small(name, noise_std=0.0, dt=dt)
    for trials in (task.trials(40, 3), task.grid()):
        for b in range(len(trials)):
            u, window, wanted = one_by_one(task, {key: value[b] for key, value in trials.conditions.items()})
            np.testing.assert_allclose(trials.u[b], u, rtol=0, atol=1e-15)
            assert trials.window[b].tolist() == window and trials.target[b] == np.sign(wanted)
            inside = np.isin(np.arange(trials.steps), np.arange(*window))
            np.testing.assert_allclose(trials.wanted[b, :, 0], inside * wanted, rtol=0, atol=1e-15)
            np.testing.assert_array_equal(trials.weight[b], inside)
    assert (trials.dt, trials.tau, trials.alpha) == (dt, 100.0, dt / 100)


@pytest.mark.parametrize("name", TASKS)
def test_every_condition_stands_in_the_grid_once_and_is_drawn_as_often(name):
    task = small(name)
    if name in ("dms", "romo"):
        task = replace(task, delays=(task.delay_min, task.delay_max))
    if name == "romo":
        task = replace(task, pairs=task.pairs[:6])
    grid, trials = task.grid(), task.trials(6000, 5)
    keys = [tuple(row) for row in zip(*grid.conditions.values(), strict=True)]
    drawn = list(zip(*(value.tolist() for value in trials.conditions.values()), strict=True))
    assert len(set(keys)) == len(keys) == len(set(grid.labels)) and set(drawn) == set(keys)
    if name != "multisensory":  # where those of both senses are more, and rarer
        count = np.array([drawn.count(key) for key in keys])
        mean = 6000 / len(keys)
        # chi-square, five standard deviations
        assert ((count - mean) ** 2 / mean).sum() < len(keys) + 5 * np.sqrt(2 * len(keys))


@given(name=st.sampled_from(sorted(TASKS)), seed=st.integers(0, 2**32), count=st.integers(1, 9))
def test_a_seed_gives_the_same_trials_whatever_their_number(name, seed, count):
    task = small(name)
    few, many = task.trials(count, seed), task.trials(count + 5, seed)
    for key in ("u", "wanted", "weight", "target", "window"):
        np.testing.assert_array_equal(getattr(few, key), getattr(many, key)[:count])
    assert few.labels == many.labels[:count]
    assert not np.array_equal(few.u, task.trials(count, seed + 1).u)


@pytest.mark.parametrize("name", TASKS)
def test_noise_is_on_the_stimuli_and_has_the_size_that_was_asked(name):
    task = small(name)
    noise = task.trials(400, 1).u - replace(task, noise_std=0.0).trials(400, 1).u
    stimuli = noise[..., : task._stimuli]
    assert not noise[..., task._stimuli :].any()
    assert abs(stimuli.std() / task.noise_std - 1) < 5 / np.sqrt(2 * stimuli.size)
    assert abs(np.corrcoef(stimuli[:, 1:].ravel(), stimuli[:, :-1].ravel())[0, 1]) < 5 / np.sqrt(stimuli.size)


def test_delays_grow_with_shaping():
    dms = get_task("dms", delay_min=500, delay_max=2000)
    assert [dms.shaped(f).delay_max for f in (0, 0.2, 1)] == [500, 800, 2000] and dms.shaped(1) == dms
    assert dms.shaped(0.2).trials(50, 0).conditions["delay"].max() <= 800
    listed = replace(dms, delays=(500, 1000, 2000))
    assert listed.shaped(0.5).delays == (500, 1000) and set(listed.trials(99, 0).conditions["delay"]) == {
        500,
        1000,
        2000,
    }
    assert [get_task("context", delay=200).shaped(f).delay for f in (0, 0.5, 1)] == [0, 100, 200]
    with pytest.raises(ValueError, match=r"fraction must be in \[0, 1\]"):
        dms.shaped(1.1)


def test_without_evidence_a_coin_says_what_is_right():
    task = get_task("rdm", coherences=(-1, 0, 1))
    trials = task.trials(3000, 0)
    blank = trials.condition("coherence") == 0
    assert abs(trials.target[blank].mean()) < 5 / np.sqrt(blank.sum())
    assert (trials.target == trials.condition("coherence"))[~blank].all()
    assert task.grid().target.tolist() == [-1, 1, 1]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_its_parameters(name):
    task = get_task(name)
    assert get_task(task.name, **task.parameters()) == task and isinstance(task, Task) and task.source
    assert repr(replace(task, dt=10)) == f"{type(task).__name__}(dt=10.0)"
    names = ["x", "y", "z", "q"][: len(task.inputs)]
    np.testing.assert_array_equal(replace(task, inputs=names).grid().u, task.grid().u)
    mf.Connectivity.from_overlaps([{}], rank=2, inputs=task.inputs, readouts=task.readouts)


WRONG = [
    ("rdm", {"coherence": 1}, "no parameter 'coherence'; did you mean 'coherences'"),
    ("rmd", {}, "unknown task 'rmd'; did you mean 'rdm'"),
    ("rdm", {"coherences": (1, 1)}, "coherences must be one or more different numbers"),
    ("rdm", {"scale": 0}, "scale must be positive"),
    ("rdm", {"decision": 10}, "decision = 10 ms is shorter than a step of 20 ms"),
    ("rdm", {"delay": -1}, "delay must be at least 0"),
    ("rdm", {"dt": 200}, "Euler's rule diverges"),
    ("rdm", {"inputs": ("A", "B")}, "inputs: got 2 names"),
    ("rdm", {"inputs": ("m1",)}, "already means something else"),
    ("dms", {"delay_min": 4000}, "delay_min = 4000 ms is longer than delay_max = 3000 ms"),
    ("dms", {"delays": (100,)}, "delays must lie between"),
    ("romo", {"pairs": ((10, 10),)}, "two different frequencies"),
    ("romo", {"pairs": ((10, 40),)}, "between f_min = 10 and f_max = 34"),
    ("romo", {"pairs": (10, 40)}, r"pairs: got shape \(2,\)"),
    ("romo", {"f_min": 50}, "f_min must be below f_max"),
    ("context", {"scale_context": 0}, "scale_context must be positive"),
    ("multisensory", {"modalities": ("smell",)}, "modalities must be one or more of"),
]


@pytest.mark.parametrize(("name", "parameters", "message"), WRONG)
def test_parameters_that_make_no_sense_are_named(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        get_task(name, **parameters)


def test_trials_need_a_seed_and_a_number():
    for arguments, message in (
        ((3, None), "give a seed"),
        ((0, 0), "count must"),
        ((3, -1), "seed must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            get_task("rdm").trials(*arguments)


# The record.


def planted():
    """Three trials of six steps with windows of their own."""
    window = [(0, 2), (3, 6), (5, 6)]
    return Trials(u=np.zeros((3, 6, 1)), target=[1, -2, 1], window=window, conditions={"level": [1, 2, 1]})


def test_each_trial_is_decided_in_its_own_window():
    trials, z = planted(), np.random.default_rng(0).normal(size=(4, 3, 6))
    slow = [[row[first:end].mean() for row, (first, end) in zip(net, trials.window, strict=True)] for net in z]
    np.testing.assert_allclose(trials.mean_readout(z), slow, rtol=1e-14)
    np.testing.assert_array_equal(trials.right(z), np.sign(slow) == [1, -1, 1])
    z[0, 0, 2:], z[0, 1, 4] = np.nan, np.nan  # outside the window of one trial, inside that of the other
    assert trials.decisions(z)[0].tolist() == [np.sign(slow[0][0]), 0, np.sign(slow[0][2])]
    with_start = np.concatenate([np.full((4, 3, 1), np.nan), z], axis=-1)
    np.testing.assert_array_equal(decisions.right(with_start, trials), trials.right(z))
    wanted = z[..., None] + np.arange(6)[:, None]
    error = replace(trials, wanted=wanted[1]).error(z[1][..., None])
    np.testing.assert_allclose(error, [1 / 2, (9 + 16 + 25) / 3, 25])


def test_trials_are_chosen_by_number_or_mask():
    trials = planted()
    assert trials.at([2, 0]).labels == ("2", "0") and len(trials.at(trials.condition("level") == 1)) == 2
    assert "3 trials of 6 steps, 3 windows" in repr(trials)
    with pytest.raises(ValueError, match="read-only"):
        trials.weight[0] = 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weight": -np.ones((3, 6))}, "weight must be at least 0"),
        ({"weight": np.arange(3.0)[:, None] * np.ones((3, 6))}, "every step of trial 0"),
        ({"wanted": np.zeros((3, 5, 1))}, "wanted: got shape"),
        ({"window": [(0, 2), (3, 6), (5, 7)]}, r"0 <= first < end <= 6: got \[5.0, 7.0\]"),
        ({"window": [0, 1, 2]}, r"window: got shape \(3,\)"),
        ({"conditions": {"level": [1]}}, "condition 'level'"),
        ({"target": [0, 1, 1]}, "target must not be 0"),
    ],
)
def test_trials_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(planted(), **changed)


# Driven through the finite network and its limit.


def decider(noise=None):
    """A rank-one mixture of two populations that decides about the dots."""
    first = {"weight": 0.5, "n1 m1": 1.6, "n1 A": 2.0, "w m1": 2.0, "mean m1": 0.5}
    return mf.Connectivity.from_overlaps([first, {"weight": 0.5, "n1 m1": 1.0}], 1, ("A",), ("w",))


def test_the_limit_with_private_noise_is_that_of_large_noisy_networks():
    c, task, noise = decider(), get_task("rdm", coherences=(-2, -0.3, 0.2), stimulus=400), 0.5
    trials = task.grid()
    limit = limit_on_trials(c, "tanh", trials, noise_std=noise)
    quiet = limit_on_trials(c, "tanh", trials)
    size = 40_000
    net = draw(c, size, 0, match_moments=True)
    run = run_trials(net, trials, noise_std=noise, seed=3)
    assert run.t[1] == pytest.approx(0.2) and run.kappa.shape == limit.kappa.shape
    np.testing.assert_allclose(run.v, limit.v, rtol=0, atol=1e-15)
    # a few standard deviations of a sum over neurons, which the unstable direction multiplies by a few
    assert np.abs(run.kappa - limit.kappa).max() < 10 / np.sqrt(size)
    assert np.abs(run.z[..., 0] - limit.z).max() < 10 / np.sqrt(size)
    assert np.abs(quiet.kappa - limit.kappa).max() > 40 / np.sqrt(size)
    again = run_trials(net, trials, noise_std=noise, seed=3)
    np.testing.assert_array_equal(run.z, again.z)


def test_the_variance_of_private_noise_is_that_of_eulers_rule():
    """Without recurrence z = (w.I) v <phi'>, with an average over the inputs' spread and the noise's, known exactly."""
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.0, "w A": 0.7, "A A": 0.8}], 1, ("A",), ("w",))
    trials, noise = get_task("rdm", stimulus=200).grid(), 0.6
    limit = limit_on_trials(c, "tanh", trials, noise_std=noise)
    x, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    variance = [noise**2 * sum(0.8 ** (2 * j) for j in range(k)) for k in range(trials.steps + 1)]
    std = np.sqrt(0.8 * limit.v[..., 0] ** 2 + variance)
    slope = (weights * (1 - np.tanh(std[..., None] * x) ** 2)).sum(-1)
    np.testing.assert_allclose(limit.z, 0.7 * limit.v[..., 0] * slope, atol=1e-6)
    assert not limit.kappa.any()


def test_network_and_limit_take_trials_with_windows_of_their_own():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 1.5, "n1 A": 2.0, "n1 B": -2.0, "w m1": 1.0}], 1, ("A", "B"), ("w",))
    trials = small("dms").trials(30, 2)
    net = draw(c, 300, 1)
    exact = limit_on_trials(net.connectivity, "tanh", trials)
    run = run_trials(net, trials)
    np.testing.assert_allclose(run.kappa, exact.kappa, rtol=0, atol=1e-12)
    # this network remembers the last stimulus: right where that was A and they match, or B and they do not
    last = trials.condition("second")
    assert len(np.unique(trials.window)) > 10
    np.testing.assert_array_equal(decisions.right(run.z[..., 0], trials), last == trials.condition("match"))


def test_trials_of_a_task_are_examined_like_recorded_ones_but_for_the_record():
    net, trials = draw(decider(), 400, 0), get_task("rdm").grid()
    (decided, last) = trained.examine(replace(net, mixture=None), trials)[1]
    assert decided.text == "decisions of the network" and decided.holds and "6 of 6 right" in decided.value
    assert last.holds is None


def test_what_does_not_fit_together_is_refused():
    trials, net = get_task("rdm").grid(), draw(decider(), 50, 0)
    with pytest.raises(
        ValueError, match=r"dt / tau is 0.1 in the network and 0.2 in the trials: .* dt = 10 for tau = 100"
    ):
        run_trials(replace(net, dt=0.1), trials)
    with pytest.raises(ValueError, match="does not know its Euler step"):
        run_trials(net, replace(trials, dt=None))
    with pytest.raises(ValueError, match="pass step = dt/tau"):
        limit_on_trials(net.mixture, "tanh", replace(trials, dt=None))
    with pytest.raises(ValueError, match="the trials have 2 inputs, the connectivity 1"):
        limit_on_trials(net.mixture, "tanh", small("dms").grid())
    with pytest.raises(ValueError, match="seed"):
        run_trials(net, trials, noise_std=0.1)
