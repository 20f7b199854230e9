"""One step of a training, compiled: gradients, clipping, the optimizer; and what it is asked on fresh trials."""

import functools
import math

import numpy as np

from meanfield.traced import import_fit

from ..tasks.trials import squared_error
from .batches import batch_of

#: Names of optimizers that an error message lists.
OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd", "lion")


@functools.lru_cache(maxsize=16)
def stepper_of(parametrisation, rule, optimizer, learning_rate, clip):
    """The :class:`Stepper` of these; the same one for the same arguments, so that nothing is compiled twice."""
    return Stepper(parametrisation, rule, optimizer, learning_rate, clip)


class Stepper:
    """The compiled functions of trainings with one parametrisation, rule and optimizer.

    Attributes
    ----------
    rule : Rule
    readouts : callable
        (params, u (B, T, S), noise) -> z (B, T, W).
    update : callable
        (params, state of the optimizer, Batch) -> the next ones, and the error before.
    """

    def __init__(self, parametrisation, rule, optimizer="adam", learning_rate=5e-3, clip=1.0):
        fit = import_fit()
        self.parametrisation, self.rule = parametrisation, rule
        self.optimizer = _optimizer(fit.optax, optimizer, learning_rate, clip)
        self.readouts = fit.jax.jit(functools.partial(parametrisation.run, rule=rule))
        self.update = fit.jax.jit(self._update)
        self.begin_all = fit.jax.vmap(self.optimizer.init)
        self.update_all = fit.jax.jit(fit.jax.vmap(self._update, (0, 0, None)))

    def begin(self, params, dtype):
        """Parameters of that dtype, and the optimizer's first state."""
        params = {key: import_fit().numpy.asarray(value, dtype) for key, value in params.items()}
        return params, self.optimizer.init(params)

    def error(self, params, batch):
        """Weighted mean squared error of the readout over the trials of a batch."""
        z = self.parametrisation.run(params, batch.u, batch.noise, self.rule)
        return squared_error(z, batch.wanted, batch.weight).mean()

    def _update(self, params, state, batch):
        fit = import_fit()
        value, slopes = fit.jax.value_and_grad(self.error)(params, batch)
        change, state = self.optimizer.update(slopes, state, params)
        return fit.optax.apply_updates(params, change), state, value

    def best_of(self, starts, batches, dtype, done):
        """The start with the lowest error over the last fifth of these batches, after a step on each; None where all
        diverged. ``done`` is called after each step.
        """
        errors = []
        every = {key: np.stack([np.asarray(one[key], dtype) for one in starts]) for key in starts[0]}
        state = self.begin_all(every)
        for batch in batches:
            every, state, error = self.update_all(every, state, batch)
            errors.append(np.asarray(error))
            done()
        late = np.mean(errors[-max(1, len(errors) // 5) :], axis=0)
        if not np.isfinite(late).any():
            return None
        best = int(np.nanargmin(late))
        return {key: value[best] for key, value in every.items()}

    def measure(self, params, task, count, batch, seed, dtype):
        """On at least ``count`` fresh trials: (error, number of right decisions, number of trials)."""
        error, right, rounds = [], 0, math.ceil(count / batch)
        for k in range(rounds):
            trials = task.trials(batch, [*seed, k, 0])
            drawn = batch_of(trials, self.parametrisation, self.rule.noise_std, [*seed, k, 1], dtype)
            z = np.asarray(self.readouts(params, drawn.u, drawn.noise), float)
            error.append(squared_error(z, trials.wanted, trials.weight).mean())
            right += int(trials.right(z[..., 0]).sum())
        return float(np.mean(error)), right, rounds * batch


def _optimizer(optax, optimizer, learning_rate, clip):
    if isinstance(optimizer, str):
        make = getattr(optax, optimizer, None)
        if not callable(make):
            raise ValueError(f"unknown optimizer {optimizer!r}: expected one of optax, e.g. {', '.join(OPTIMIZERS)}")
        optimizer = make(learning_rate)
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise ValueError(f"optimizer must be a name of one of optax's, or one of them: got {optimizer!r}")
    return optimizer if clip is None else optax.chain(optax.clip_by_global_norm(clip), optimizer)
