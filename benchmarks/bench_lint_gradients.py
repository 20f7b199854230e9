"""A network fitted to one of full rank, N = 512, that does the delayed match-to-sample task: R^2 against time.

The teacher is trained first (minutes), or read from a file. Each stage is timed with one thread: the closed form, the
same on projected activity, and gradients through time from three starts. Beside them the teacher's J cut to the rank.
Run: python benchmarks/bench_lint_gradients.py [--teacher FILE.npz] [--rank 2] [--steps 500]
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from pinned import pin

pin()

import numpy as np  # noqa: E402
from meanfield.validation.lint.curves import dimension  # noqa: E402
from meanfield.validation.lint.fitting import Problem  # noqa: E402
from meanfield.validation.lint.gradients import descend  # noqa: E402
from meanfield.validation.lint.prediction import free_score  # noqa: E402
from meanfield.validation.lint.recovery import activity_of  # noqa: E402
from meanfield.validation.lint.stages import refine  # noqa: E402
from meanfield.validation.networks import load_network  # noqa: E402
from meanfield.validation.tasks.catalogue import get_task  # noqa: E402
from meanfield.validation.tasks.scores import accuracy  # noqa: E402
from meanfield.validation.training.parametrisations import FullRank, connections, leading  # noqa: E402
from meanfield.validation.training.trainer import train  # noqa: E402

N, COUNT, TESTED, TARGET = 512, 100, 100, 0.94


def taught(gain):
    """A full-rank network trained on the task, with delays that grow."""
    quick = [(0, 0, 200), (100, 200, 300), (100, 500, 500)]
    stages = [
        get_task("dms", fixation=20, stimulus=stimulus, delay_min=low, delay_max=high, decision=300)
        for low, high, stimulus in quick
    ]
    stages.append(get_task("dms", delay_max=1000, decision=500))
    return train(
        get_task("dms"), FullRank(N, gain=gain), steps=1500, batch=32, learning_rate=0.02, noise_std=0.05,
        validate_every=25, validation_trials=64, shaping=stages, advance=0.9, accuracy=0.98, loss=0.06, seed=0,
    )  # fmt: skip


def looks(name, before, descent):
    """R^2 of the trials that a descent looks at, against time; ``before``: seconds that its start took."""
    print(f"  gradients from {name}: {descent.message}")
    for k in np.unique(np.linspace(0, len(descent.looked) - 1, 8).astype(int)):
        print(f"    {before + descent.seconds_at[k]:7.1f} s   step {descent.looked[k]:4d}   R^2 {descent.r2[k]:.4f}")
    reached = np.flatnonzero(descent.r2 >= TARGET)
    if len(reached):
        print(f"    R^2 {TARGET} after {before + descent.seconds_at[reached[0]]:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--gain", type=float, default=0.8, help="of the teacher's J before its training")
    parser.add_argument("--rank", type=int, default=2)
    parser.add_argument("--steps", type=int, default=500)
    given = parser.parse_args()
    if given.teacher:
        net = load_network(given.teacher)
    else:
        result = taught(given.gain)
        print(result)
        net = result.network
    trials = get_task("dms").trials(COUNT + TESTED, seed=1)
    test = trials.at(np.arange(COUNT, COUNT + TESTED))
    x = activity_of(net, trials.u, 0.0, None)
    print(
        f"{COUNT} trials of {trials.steps} steps, rates of dimension {dimension(np.tanh(x[:COUNT]).reshape(-1, N)):.2f}"
    )

    began = time.perf_counter()
    problem = Problem.of(
        x, trials.u, net.dt, net.tau, "current", net.transfer, None, range(COUNT, COUNT + TESTED), 0, None, 1, net.w,
        "evidence",
    )  # fmt: skip
    closed = problem.fit(given.rank)
    first = time.perf_counter() - began
    projected = refine(closed, "projected")
    second = time.perf_counter() - began
    for name, fit, seconds in (("closed form", closed, first), ("projected", projected, second)):
        right = accuracy(test, activity_readout(fit.network, test))
        print(f"  {name}: {seconds:.1f} s, held-out R^2 {fit.r2}, right decisions {right.share:.3f}")
    m, n = leading(connections(net), given.rank)
    cut = replace(closed.network, m=m, n=n, I=net.I)
    print(f"  the teacher's J cut to rank {given.rank}: R^2 {free_score(cut, closed.activity, closed.held_out)}")

    rng, size = np.random.default_rng(0), (N, given.rank)
    random = replace(closed.network, m=rng.standard_normal(size), n=rng.standard_normal(size), I=0 * net.I)
    look, rest = closed.train[:16], closed.train[16:]
    windows = {"a random start": (0.1, 0.3, 1.0)}
    starts = {"the projected form": (projected.network, second), "the closed form": (closed.network, first)}
    for name, (start, before) in (starts | {"a random start": (random, 0.0)}).items():
        descent = descend(start, closed.activity, rest, look, steps=given.steps, windows=windows.get(name, (1.0,)))
        looks(name, before, descent)
        print(f"    held-out R^2 {free_score(descent.network, closed.activity, closed.held_out)}", flush=True)


def activity_readout(net, test):
    """z (B, T) of a network on trials."""
    x = activity_of(net, test.u, 0.0, None)[:, 1:]
    return np.tanh(x) @ net.w[:, 0] / net.n_neurons


if __name__ == "__main__":
    main()
