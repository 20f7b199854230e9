"""What a training must not lose, and what its result must not claim: interruptions, ends, bad arguments and files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from meanfield.validation.tasks.catalogue import get_task

import meanfield as mf

pytest.importorskip("jax", reason="the extra fit is not installed")
pytest.importorskip("optax", reason="the extra fit is not installed")

from meanfield.validation.training.mixtures import Mixture, MixtureLimit, hand_built  # noqa: E402
from meanfield.validation.training.parametrisations import LowRank  # noqa: E402
from meanfield.validation.training.results import Status, Trained  # noqa: E402
from meanfield.validation.training.trainer import train  # noqa: E402

from meanfield.traced import traced_averages  # noqa: E402

#: Seven steps.
SHORT = get_task("rdm", fixation=20, stimulus=60, delay=20, decision=40)
HAND = Mixture(hand_built(), 6)
FAST = {"steps": 4, "batch": 4, "validate_every": 2, "validation_trials": 4}


class InterruptedInValidation:
    """A task during whose second validation the user presses Ctrl-C, once."""

    inputs, readouts, dt, tau = SHORT.inputs, SHORT.readouts, SHORT.dt, SHORT.tau
    again = False

    def trials(self, count, seed):
        if seed[1:3] == [1, 4] and not self.again:
            self.again = True
            raise KeyboardInterrupt
        return SHORT.trials(count, seed)


def test_a_validation_that_was_interrupted_is_made_up_for(tmp_path):
    task, many = InterruptedInValidation(), FAST | {"steps": 6}
    first = train(task, LowRank(6, 1), **many, checkpoint=tmp_path / "stand.npz")
    rest = train(task, LowRank(6, 1), **many, checkpoint=tmp_path / "stand.npz")
    whole = train(task, LowRank(6, 1), **many)
    assert first.status is Status.INTERRUPTED and first.validated.tolist() == [2]
    assert rest.validated.tolist() == whole.validated.tolist() == [2, 4, 6]
    assert np.array_equal(rest.validation_loss, whole.validation_loss) and np.array_equal(rest.loss, whole.loss)


def test_a_training_that_ended_does_not_go_on(tmp_path):
    path = tmp_path / "stand.npz"
    first, again = (train(SHORT, LowRank(6, 1), **FAST, loss=1e3, checkpoint=path) for _ in range(2))
    assert first.status is again.status is Status.REACHED and again.message == first.message
    assert len(again.loss) == len(first.loss) == 2 and np.array_equal(again.network.m, first.network.m)
    assert len(train(SHORT, LowRank(6, 1), **FAST, loss=0.0, checkpoint=path).loss) == 4  # another goal: on it goes


def test_a_validation_that_is_nan_ends_the_training_and_can_be_saved(tmp_path):
    bad = {"optimizer": "sgd", "clip": None, "learning_rate": 1e38}
    r = train(SHORT, LowRank(6, 1), **FAST | {"validate_every": 1}, **bad, checkpoint=tmp_path / "stand.npz")
    assert r.status is Status.DIVERGED and not (tmp_path / "stand.npz").exists()
    r.save(tmp_path / "r.npz")
    assert Trained.load(tmp_path / "r.npz").status is Status.DIVERGED
    several = train(SHORT, LowRank(6, 1), **FAST, **bad, starts=2, screening=3)
    assert several.status is Status.DIVERGED


def test_the_score_of_the_trained_neurons_is_not_that_of_a_network_drawn_anew():
    r = train(SHORT, HAND, **FAST)
    assert r.network.mixture is r.connectivity and "drawn anew from their mixture" in r.network.notes[1]
    assert str(r).startswith("Connectivity(")
    again = train(SHORT, HAND, **FAST, dtype="float64")  # after float32, in one process
    assert np.isfinite(again.loss).all()
    assert "drawn anew" not in " ".join(train(SHORT, LowRank(6, 1), **FAST).network.notes)


def test_arguments_of_numpy_and_those_that_do_not_fit():
    assert train(SHORT, LowRank(np.int64(6), 1, overlap=np.float32(1)), **FAST | {"steps": np.int64(1)}).loss.size == 1
    other = get_task("dms")
    bad = [({"accuracy": 95}, "accuracy is a share"), ({"shaping": (other,)}, "other inputs"),
           ({"shaping": (replace(SHORT, dt=10),)}, "another dt / tau"), ({"trials": 3}, "must be a Trials"),
           ({"trials": other.trials(2, 0)}, "other inputs")]  # fmt: skip
    for arguments, message in bad:
        with pytest.raises(ValueError, match=message):
            train(SHORT, LowRank(6, 1), **FAST | arguments)
    with pytest.raises(ValueError, match="A = 5: rank 1, inputs"):
        train(other, MixtureLimit(hand_built()), **FAST)
    with pytest.raises(ValueError, match="rho must not be 0"):
        hand_built(rho=0.0)


def test_a_task_of_ones_own_is_known_by_its_name(tmp_path):
    class Own:
        inputs, readouts, dt, tau = SHORT.inputs, SHORT.readouts, SHORT.dt, SHORT.tau

        def trials(self, count, seed):
            return SHORT.trials(count, seed)

    train(Own(), LowRank(6, 1), **FAST | {"steps": 2}, checkpoint=tmp_path / "stand.npz")
    rest = train(Own(), LowRank(6, 1), **FAST, checkpoint=tmp_path / "stand.npz")  # another object, as after a restart
    assert len(rest.loss) == 4 and rest.options["task"] == {"name": "Own"}


def test_averages_at_whole_numbers_are_averages():
    mean, variance = np.array([0, 1, 10, -50]), np.array([[0], [1], [100]])
    value = traced_averages()(mean, variance)
    np.testing.assert_allclose(
        value, mf.gaussian_average("tanh", mean=mean, variance=variance, order=(0, 1)), atol=1e-6
    )


def test_checkpoints_of_other_trials_are_refused(tmp_path):
    path = tmp_path / "stand.npz"
    train(SHORT, LowRank(6, 1), **FAST, trials=SHORT.trials(3, 0), checkpoint=path)
    with pytest.raises(ValueError, match="another trials"):
        train(SHORT, LowRank(6, 1), **FAST, trials=replace(SHORT.trials(3, 0), u=SHORT.trials(3, 1).u), checkpoint=path)


def test_hostile_files_are_refused_without_harm(tmp_path):
    train(SHORT, HAND, **FAST).save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as file:
        good = dict(file)
    about, names = (json.loads(str(good[key])) for key in ("training", "of_names"))
    bad = [
        ("training", "[" * 100_000),
        ("training", json.dumps(about | {"options": []})),
        ("training", json.dumps(about | {"test_accuracy": "1"})),
        ("of_names", json.dumps(names | {"rank": 10**12})),
        ("history_loss", "x"),
        ("history_accuracy", [0.5] * 7),
    ]
    for key, value in bad:
        np.savez(tmp_path / "bad.npz", **good | {key: np.array(value)})
        with pytest.raises(ValueError, match=r"bad.npz: it is not a whole training"):
            Trained.load(tmp_path / "bad.npz")
