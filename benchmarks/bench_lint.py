"""LINT in closed form: time, and what comes back, on drawn teachers and on trained ones where they are at hand.

The rates have private noise of 0.05 per step. Wall time, and beside it the seconds that the processor worked, which
other programs disturb less. Run: python benchmarks/bench_lint.py [--recording EEG.npy]
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from meanfield.validation.lint.benchmarking import benchmark_recording
from meanfield.validation.lint.comparison import compare_connectivity
from meanfield.validation.lint.fitting import lint
from meanfield.validation.lint.prediction import free_score
from meanfield.validation.lint.recordings import load_recording
from meanfield.validation.lint.recovery import activity_of
from meanfield.validation.networks import draw, load_network
from meanfield.validation.tasks.catalogue import get_task

import meanfield as mf

NOISE, TESTED = 0.05, 60
SHARED = Path(os.environ.get("MEANFIELD_SHARED") or Path(__file__).resolve().parents[2] / "shared")
DRAWN = {
    "rdm": ({"n1 m1": 1.6, "n1 A": 0.6, "n1 n1": 6.0, "w m1": 2.0}, 1, ("A",)),
    "dms": ({"n1 m1": 2.6, "n1 m2": 0.1, "n2 m1": 0.8, "n2 m2": 2.1, "n1 n1": 15.0, "n2 n2": 12.0, "n2 A": 0.5,
             "n1 B": 0.5, "w m1": 1.0}, 2, ("A", "B")),
}  # fmt: skip


def drawn(task):
    listed, rank, inputs = DRAWN[task]
    net = draw(mf.Connectivity.from_overlaps([listed], rank, inputs, ("w",)), 512, 0)
    return replace(net, dt=20.0, tau=100.0)


def compare(name, net, task, count):
    trials = get_task(task).trials(count + TESTED, seed=0)
    x = activity_of(net, trials.u, NOISE, seed=1)
    for how, values in (("current", x), ("rate", np.tanh(x))):
        wall, busy = time.perf_counter(), time.process_time()
        fit = lint(values, trials.u, net.rank, dt=net.dt, tau=net.tau, variable=how, held_out=range(count, len(x)))
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        report(f"{name}, {count} trials of {trials.steps} steps, from {how}s", fit, net, trials, wall, busy)
    told = lint(x, trials.u, net.rank, dt=net.dt, tau=net.tau, variable="current", held_out=fit.held_out, ridge=1e-4)
    report("  with ridge 1e-4 of the mean diagonal", told, net, trials)


def report(what, fit, net, trials, wall=None, busy=None):
    found = compare_connectivity(fit, net, trials.at(fit.held_out))
    ceiling = free_score(net, fit.activity, fit.held_out)
    took = "" if wall is None else f" {wall:.2f} s ({busy:.2f} s of work);"
    print(
        f"{what}:{took} held-out R^2 {fit.r2.r2:.4f} +- {fit.r2.error:.1g} (the teacher itself {ceiling.r2:.4f}), "
        f"noise-free {found.r2.r2:.5f}; same decisions {found.same_decisions.sum()} of {len(found.right)}; cosine of J "
        f"{found.cosine:.3f} (expected {fit.expected_cosine:.3f}), identifiable part "
        f"{found.identifiable_correlation:.4f}"
    )


def students(folder):
    for name, rank in (("rdm", 1), ("dms", 2)):
        student, net = (load_network(folder / f"lint__{name}_{x}_512.npz") for x in ("fitlr", f"rank{rank}"))
        found = compare_connectivity(student, net, get_task(name).trials(TESTED, seed=5))
        print(f"published student, {name}:\n  " + str(found).replace("\n", "\n  "))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recording", default=SHARED / "recordings" / "eeg_S001R01.npy", type=Path)
    given = parser.parse_args()
    for task, count in (("rdm", 200), ("dms", 300)):
        compare(f"drawn teacher, {task}", drawn(task), task, count)
    folder = SHARED / "networks"
    if folder.is_dir():
        for name, count in (("rdm_rank1", 200), ("dms_rank2", 300)):
            compare(f"trained {name}", load_network(folder / f"lint__{name}_512.npz"), name[:3], count)
        students(folder)
    if given.recording.is_file():
        print(benchmark_recording(load_recording(given.recording, dt=1 / 160).cut(160)))


if __name__ == "__main__":
    main()
