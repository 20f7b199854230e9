"""Train a network or a mixture on a task, by gradients through time."""

import json
import time
import zlib
from dataclasses import fields, is_dataclass, replace

import numpy as np

from meanfield.conventions import check_array, check_integer
from meanfield.progress import progress_bar
from meanfield.traced import double_precision, import_fit, traced_transfer
from meanfield.transfer import get_transfer

from ..npz import check_number
from ..tasks.scores import binomial
from ..tasks.trials import Trials
from . import checkpoints
from .batches import SCREENING, START, TEST, TRAINING, VALIDATION, Ahead, batch_of, picked
from .results import Status, Trained
from .rollout import Rule
from .stepper import stepper_of

#: A loss so many times its first value (or 1) counts as exploded.
EXPLODED = 1e3

#: Trials on which the result is tested.
TEST_TRIALS = 1000


def train(task, parametrisation, *, steps=1000, batch=64, learning_rate=5e-3, optimizer="adam", clip=1.0,
          noise_std=0.05, transfer="tanh", shaping=(), advance=0.95, accuracy=None, loss=None, patience=None,
          validate_every=50, validation_trials=512, trials=None, start=None, starts=1, screening=300, checkpoint=None,
          dtype="float32", device=None, seed=0, progress=None):  # fmt: skip
    """Train on a task by gradients of the weighted mean squared error of the readout, with fresh trials at each step.

    Parameters
    ----------
    task : Task
        Or anything with ``inputs``, ``readouts``, ``dt``, ``tau`` and ``trials(count, seed)``.
    parametrisation : FullRank, LowRank, Mixture or MixtureLimit
        What is trained.
    steps : int
        At most so many, those before a checkpoint included.
    batch : int
        Trials per step.
    learning_rate : float, or an optax schedule
    optimizer : str, or an optax optimizer
        By name, e.g. "adam", "adamw", "sgd"; an object brings its own learning rate.
    clip : float or None
        Largest global norm of the gradients.
    noise_std : float
        Standard deviation of the noise on x **per Euler step**, private to each neuron.
    transfer : str
    shaping : sequence
        Stages before the task itself: easier tasks, or fractions f that stand for ``task.shaped(f)``. The next stage
        begins when the share of right decisions on fresh trials reaches ``advance``.
    accuracy, loss : float or None
        The goal on fresh trials of the task itself: training ends when the share of right decisions is at least, and
        the error at most this.
    patience : int or None
        Training ends after so many validations without a lower error.
    validate_every, validation_trials : int
        Steps between validations; trials of each, rounded up to whole batches.
    trials : Trials or None
        Train on these only instead of on fresh ones (there is then no shaping).
    start : Network, Connectivity, Trained or dict, optional
        Where to begin: a network (cut to the rank of a :class:`LowRank` parametrisation), a mixture, an earlier
        result, or parameters.
    starts, screening : int
        Begin with so many random starts, take ``screening`` steps of the first stage with all of them at once, and go
        on from the one with the lowest error. Cheap where parameters are few, as those of a :class:`MixtureLimit`.
    checkpoint : path-like, optional
        A ``.npz`` file, written at each validation and at the end. Where it exists, training goes on from there, to
        the same bits on the same device.
    dtype : "float32" or "float64"
    device : str or None
        "cpu", "gpu", ..; None: a GPU where there is one.
    seed : int
        The same seed gives the same result, on the same device.
    progress : bool or None
        Show a bar; None: on a terminal only.

    Returns
    -------
    Trained
        The parameters with the lowest error on fresh trials of the task itself, or those that reached the goal. Of a
        training that diverged or was interrupted, the last good ones; ``status`` and ``message`` say so.

    Raises
    ------
    ImportError
        The extra ``fit`` is not installed.
    ValueError
        Arguments that make no sense, a start of another shape, a checkpoint of another training.
    """
    given = dict(locals())
    fit = import_fit()
    options = _options(**{key: given[key] for key in given if key not in ("progress", "checkpoint", "device")})
    with double_precision(dtype == "float64"), fit.jax.default_device(_device(fit.jax, device)):
        run = _Run(task, parametrisation, options, given)
        state = run.begin(start)
        state = state if checkpoint is None else checkpoints.resume(checkpoint, options, state)
        if starts > 1 and not state.step:
            run.screen(state, progress)
        status, message = run.loop(state, checkpoint, progress)
        return run.result(state, status, message)


def _options(task, parametrisation, **others):
    """All arguments in a form fit for JSON, checked."""
    for key, low in {
        "steps": 0,
        "batch": 1,
        "validate_every": 1,
        "validation_trials": 1,
        "seed": 0,
        "starts": 1,
        "screening": 1,
    }.items():
        check_integer(key, others[key], low)
    if others["patience"] is not None:
        check_integer("patience", others["patience"], 1)
    for key in ("clip", "noise_std", "advance", "accuracy", "loss"):
        if others[key] is not None:
            others[key] = check_number(key, others[key], positive=key == "clip")
    if others["dtype"] not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64': got {others['dtype']!r}")
    asked = ("init", "run", "result", "adopt", "noise_shape")
    if isinstance(parametrisation, type) or not all(hasattr(parametrisation, name) for name in asked):
        raise ValueError(
            f"parametrisation must be a FullRank, LowRank, Mixture or MixtureLimit: got {parametrisation!r}"
        )
    if others["start"] is not None and others["starts"] > 1:
        raise ValueError(f"starts = {others['starts']} asks for random starts, but a start is given: leave one out")
    for key in ("accuracy", "advance"):
        if (others[key] or 0) > 1:
            raise ValueError(f"{key} is a share, at most 1: got {others[key]:g}")
    others["transfer"] = get_transfer(others["transfer"]).name
    traced_transfer(others["transfer"])
    if others["trials"] is not None and len(others["shaping"]):
        raise ValueError("shaping needs fresh trials at each step: leave out trials, or shaping")
    rate = others["learning_rate"]
    others["learning_rate"] = "a schedule" if callable(rate) else check_number("learning_rate", rate, positive=True)
    others["optimizer"] = others["optimizer"] if isinstance(others["optimizer"], str) else "an object"
    others["shaping"] = [float(s) if np.isscalar(s) else _described(s) for s in others["shaping"]]
    others["trials"] = None if others["trials"] is None else _digest(others["trials"], task)
    others["start"] = None if others["start"] is None else repr(others["start"])[:200]
    described = {"task": _described(task), "parametrisation": _described(parametrisation)} | others
    return json.loads(json.dumps(described, default=_plain))


def _digest(trials, task):
    """Given trials in a line that no other ones have, where they fit to the task."""
    if not isinstance(trials, Trials):
        raise ValueError(f"trials must be a Trials: got {type(trials).__name__}")
    step = task.dt / task.tau
    if trials.u.shape[2] != len(task.inputs) or not np.isclose(trials.alpha or step, step):
        raise ValueError(f"trials: {trials!r} have other inputs or another dt / tau than the task")
    mark = zlib.crc32(b"".join(x.tobytes() for x in (trials.u, trials.wanted, trials.weight)))
    return f"{trials!r}, {mark:08x}"


def _described(thing):
    """A record as a dictionary fit for JSON."""
    if hasattr(thing, "parameters"):
        return {"name": getattr(thing, "name", type(thing).__name__)} | thing.parameters()
    if is_dataclass(thing):
        found = {f: _plain(getattr(thing, f)) for f in (one.name for one in fields(thing)) if f != "moments"}
        return {"kind": type(thing).__name__} | found
    # not its repr, which may have an address: a checkpoint is for another process too
    return {"name": str(getattr(thing, "name", type(thing).__name__))}


def _plain(value):
    if is_dataclass(value):
        return _described(value)
    if isinstance(value, dict):
        return {key: np.asarray(v, float).tolist() for key, v in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if isinstance(value, tuple) else value


def _device(jax, name):
    try:
        return jax.devices(name)[0]
    except RuntimeError as error:
        known = ", ".join(sorted({d.platform for d in jax.devices()}))
        raise ValueError(f"device {name!r} is not there: JAX sees {known}; leave device out ({error})") from None


class _Run:
    """One training: its stages, and the loop."""

    def __init__(self, task, parametrisation, options, given):
        self.task, self.parametrisation, self.options = task, parametrisation, options
        self.stages = [*(task.shaped(s) if np.isscalar(s) else s for s in given["shaping"]), task]
        self.fixed, self.seed, self.dtype = given["trials"], options["seed"], np.dtype(options["dtype"])
        for stage in self.stages[:-1]:
            same = np.isclose(stage.dt / stage.tau, task.dt / task.tau)
            if not same or len(stage.inputs) != len(task.inputs):
                raise ValueError(f"shaping: {stage!r} has other inputs or another dt / tau than the task itself")
        rule = Rule(task.dt / task.tau, options["noise_std"], options["transfer"])
        rate = given["learning_rate"] if callable(given["learning_rate"]) else options["learning_rate"]
        self.stepper = stepper_of(parametrisation, rule, given["optimizer"], rate, options["clip"])

    def begin(self, start):
        """The first state, from random parameters or from ``start``."""
        params = self.parametrisation.init(self.task, [self.seed, START])
        if start is not None:
            params = self._adopted(start, params)
        return checkpoints.Progress(*self.stepper.begin(params, self.dtype))

    def screen(self, state, progress):
        """Put the best of several starts into a state that has taken no step."""
        count, steps = self.options["starts"], self.options["screening"]
        began = time.perf_counter()
        several = [self.parametrisation.init(self.task, [self.seed, START, k]) for k in range(count)]
        with progress_bar(steps, "screening step", progress) as bar:
            batches = (self._batch(k, 0, SCREENING) for k in range(steps))
            best = self.stepper.best_of(several, batches, self.dtype, bar.update)
        # where all diverged the training begins as without screening, and says where it diverges
        state.params = state.params if best is None else best
        state.optimizer = self.stepper.optimizer.init(state.params)
        state.seconds = time.perf_counter() - began

    def _adopted(self, start, like):
        if isinstance(start, Trained):
            same = start.options.get("parametrisation") == self.options["parametrisation"]
            start = start.params if same else start.connectivity or start.network
        if not isinstance(start, dict):
            start = self.parametrisation.adopt(start, self.task, [self.seed, START])
        if set(start) != set(like):
            raise ValueError(f"start has the parameters {sorted(start)}, expected {sorted(like)}")
        return {key: check_array(f"start: {key}", start[key], np.shape(like[key])) for key in like}

    def _batch(self, step, stage, purpose=TRAINING):
        seed, count = (self.seed, purpose, step), self.options["batch"]
        fresh = self.fixed is None
        trials = self.stages[stage].trials(count, [*seed, 0]) if fresh else picked(self.fixed, count, [*seed, 0])
        return batch_of(trials, self.parametrisation, self.options["noise_std"], [*seed, 1], self.dtype)

    def _measure(self, params, task, count, *seed):
        return self.stepper.measure(params, task, count, self.options["batch"], [self.seed, *seed], self.dtype)

    def loop(self, state, checkpoint, progress):
        """Take the steps; ``state`` is changed. Returns the status and what to say of it."""
        self.good, total = state.params, self.options["steps"]
        began, before = time.perf_counter(), state.seconds
        status, message = Status.OUT_OF_STEPS, f"{Status.OUT_OF_STEPS.value} after {total}"
        try:
            with progress_bar(total, "step", progress) as bar, Ahead(self._batch) as ahead:
                bar.update(state.step)
                # a training that goes on may have ended already, or been interrupted while it was validated
                found = self._ended(state)
                while not found and (state.step < total or self._due(state)):
                    if not self._due(state):
                        found = self._step(state, ahead, bar)
                        continue
                    found = self._validate(state) or self._ended(state)
                    state.seconds = before + time.perf_counter() - began
                    if checkpoint is not None and (not found or found[0] is not Status.DIVERGED):
                        checkpoints.save(checkpoint, self.options, state)
                if found:
                    status, message = found
        except KeyboardInterrupt:
            status, message = Status.INTERRUPTED, f"{Status.INTERRUPTED.value} after {state.step} steps"
            if checkpoint is not None:
                checkpoints.save(checkpoint, self.options, state)
                message += f"; the same call goes on from {checkpoint}"
        state.seconds = before + time.perf_counter() - began
        return status, message

    def _step(self, state, ahead, bar):
        params = state.params
        batch = ahead(state.step, state.stage, state.step + 1 < self.options["steps"])
        changed, optimizer, value = self.stepper.update(params, state.optimizer, batch)
        value = float(value)
        if found := self._exploded(state, value):
            return found
        # what belongs to a step changes together, with nothing between that an interruption could tear apart
        self.good = params
        state.params, state.optimizer, state.step, _ = changed, optimizer, state.step + 1, state.loss.append(value)
        bar.update()
        if state.step % 10 == 0:
            share = f"{state.accuracy[-1]:.3f}" if state.accuracy else "?"
            bar.set_postfix(loss=f"{value:.3g}", accuracy=share, stage=f"{state.stage + 1}/{len(self.stages)}")
        return None

    def _exploded(self, state, value):
        """Status and message where this loss is nan or out of all bounds."""
        if value <= EXPLODED * max(1.0, state.loss[0] if state.loss else 1.0):
            return None
        return Status.DIVERGED, (
            f"{Status.DIVERGED.value}: the loss is {value:.3g} at step {state.step}; take a lower learning_rate "
            f"(now {self.options['learning_rate']}) or a lower clip (now {self.options['clip']}); the last good "
            "parameters are kept"
        )

    def _due(self, state):
        """Whether fresh trials are to be asked about before the next step."""
        now = state.step % self.options["validate_every"] == 0 or state.step == self.options["steps"]
        return state.step > 0 and now and state.step not in state.validated[-1:]

    def _validate(self, state):
        """Ask about fresh trials, and go on to the next stage; returns status and message where the loss exploded."""
        asked, task = self.options, self.stages[state.stage]
        error, right, number = self._measure(state.params, task, asked["validation_trials"], VALIDATION, state.step)
        if found := self._exploded(state, error):
            return found
        share, share_error = binomial(right, number)
        state.validated.append(state.step)
        state.validation_loss.append(error)
        state.accuracy.append(float(share))
        state.accuracy_error.append(float(share_error))
        state.stages.append(state.stage)
        if state.stage < len(self.stages) - 1:
            state.stage += bool(share >= asked["advance"])
        elif error < state.best_loss:
            state.best, state.best_loss, state.waited = state.params, error, 0
        else:
            state.waited += 1
        return None

    def _ended(self, state):
        """Status and message where training ends with the validation after the last step."""
        asked = self.options
        if state.validated[-1:] != [state.step] or state.stages[-1] < len(self.stages) - 1:
            return None
        share, error, reached = state.accuracy[-1], state.validation_loss[-1], []
        if asked["accuracy"] is not None:
            reached.append(share >= asked["accuracy"])
        if asked["loss"] is not None:
            reached.append(error <= asked["loss"])
        if reached and all(reached):
            state.best, state.best_loss = state.params, error
            return Status.REACHED, f"{Status.REACHED.value} after {state.step} steps"
        if asked["patience"] is not None and state.waited >= asked["patience"]:
            return Status.STOPPED_EARLY, f"{Status.STOPPED_EARLY.value} since {state.waited} validations"
        return None

    def result(self, state, status, message):
        """The record of a training that ended."""
        last = self.good if status is Status.DIVERGED else state.params
        params = last if state.best is None else state.best
        if state.best is None and len(self.stages) > 1 and status is not Status.DIVERGED:
            message += f"; shaping ended in stage {state.stage + 1} of {len(self.stages)}, before the task itself"
        _, right, number = self._measure(params, self.task, TEST_TRIALS, TEST)
        share, share_error = (float(x) for x in binomial(right, number))
        params = {key: np.asarray(value, float) for key, value in params.items()}
        named = getattr(self.task, "name", type(self.task).__name__)
        about = {"tau": self.task.tau, "dt": self.task.dt, "transfer": self.stepper.rule.transfer, "task": named}
        about |= {
            "noise_std": self.stepper.rule.noise_std,
            "name": f"{named}, {self.options['parametrisation']['kind']}",
        }
        about["task_options"] = self.task.parameters() if hasattr(self.task, "parameters") else {}
        with double_precision():
            network, c = self.parametrisation.result(params, self.task, about)
        notes = (
            f"Trained on {named}, {len(state.loss)} steps: {message}.",
            f"{share:.2%} +- {share_error:.2%} of {number} fresh trials right"
            + (", for the neurons that were trained: these ones are drawn anew from their mixture." if c else "."),
        )
        if network is not None:
            network = replace(network, notes=(*notes, *network.notes), **({"mixture": c} if c else {}))
        keys = ("loss", "validated", "validation_loss", "accuracy", "accuracy_error")
        histories = {key: np.array(getattr(state, key)) for key in keys} | {"stage": np.array(state.stages, int)}
        return Trained(
            network=network,
            connectivity=c,
            **histories,
            test_accuracy=share,
            test_error=share_error,
            status=status,
            message=message,
            seconds=state.seconds,
            options=self.options,
            params=params,
        )
