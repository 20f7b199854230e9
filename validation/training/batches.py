"""Trials and noise of each step of a training, drawn ahead by a thread while the step before is taken.

What a step gets follows from the seed and the number of the step alone, so a training that goes on from a checkpoint
gets the same.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

# The purposes that numbers are drawn for: streams of their own, whatever the seed.
TRAINING, VALIDATION, TEST, START, SCREENING = range(5)


class Batch(NamedTuple):
    """What one step of a training takes, of the training's dtype."""

    u: np.ndarray  #: (B, T, S)
    wanted: np.ndarray  #: (B, T, W)
    weight: np.ndarray  #: (B, T)
    noise: np.ndarray | None  #: (T, N, B), of variance 1


def standard_normal(shape, seed, dtype):
    """Independent normal numbers by SFC64, the fastest of numpy's generators; None for no shape."""
    if shape is None:
        return None
    return np.random.Generator(np.random.SFC64(seed)).standard_normal(shape, dtype)


def batch_of(trials, parametrisation, noise_std, seed, dtype):
    """The trials with noise of this seed, which is None where there is none."""
    shape = parametrisation.noise_shape(trials.steps, len(trials)) if noise_std else None
    arrays = (np.asarray(getattr(trials, key), dtype) for key in ("u", "wanted", "weight"))
    return Batch(*arrays, standard_normal(shape, seed, dtype))


class Ahead:
    """Calls ``draw(step, stage)`` for the step after the one that is asked for, in a thread; use it as a context."""

    def __init__(self, draw):
        self._draw, self._next, self._pool = draw, (None, None), ThreadPoolExecutor(1)

    def __call__(self, step, stage, more):
        """What belongs to the step; ``more``: whether another one will follow."""
        key, future = self._next
        found = future.result() if key == (step, stage) else self._draw(step, stage)
        key = (step + 1, stage)
        self._next = (key, self._pool.submit(self._draw, *key)) if more else (None, None)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._pool.shutdown(wait=False, cancel_futures=True)


def picked(trials, count, seed):
    """``count`` of the trials at random, each at most once; all of them where there are no more."""
    if count >= len(trials):
        return trials
    return trials.at(np.random.default_rng(seed).choice(len(trials), count, replace=False))
