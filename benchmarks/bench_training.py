"""One step of training (noise, forward, backward, update) beside the same in PyTorch: N = 512, rank 2, 75 steps, 64
trials, private noise at each step, float32.

Ratios within one run, medians, with one thread each and with two each; and how far the gradients differ. PyTorch is no
dependency: pip install torch==2.13.0. Run: python benchmarks/bench_training.py
"""

import os
import subprocess
import sys

N, RANK, STEPS, TRIALS, NOISE, STEP, RATE, CLIP = 512, 2, 75, 64, 0.05, 0.2, 5e-3, 1.0
ROUNDS = 15


def limit(threads):
    """So many threads and cores for all libraries; before they are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    eigen = "true" if threads > 1 else "false"
    os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))


def task_and_trials():
    """A task whose trials have 75 steps and two inputs, and a set of them."""
    from meanfield.validation.tasks.memory import DelayedMatch

    task = DelayedMatch(fixation=100, stimulus=200, delay_min=500, delay_max=500, decision=500)
    trials = task.trials(TRIALS, seed=0)
    assert trials.u.shape == (TRIALS, STEPS, 2)
    return task, trials


def ours(task, trials, start):
    """A function that takes one step, and one that gives the gradients on given noise."""
    import jax
    from meanfield.validation.training.batches import Ahead, batch_of
    from meanfield.validation.training.parametrisations import LowRank
    from meanfield.validation.training.rollout import Rule
    from meanfield.validation.training.stepper import Stepper

    kind = LowRank(N, RANK)
    stepper = Stepper(kind, Rule(STEP, NOISE), "adam", RATE, CLIP)
    params, state = stepper.begin(start, "float32")
    ahead = Ahead(lambda step, stage: batch_of(trials, kind, NOISE, step, "float32"))
    at = {"params": params, "state": state, "step": 0}

    def one():
        batch = ahead(at["step"], 0, True)
        at["params"], at["state"], loss = stepper.update(at["params"], at["state"], batch)
        at["step"] += 1
        return float(loss)

    def gradients(noise):
        batch = batch_of(trials, kind, 0, 0, "float32")._replace(noise=noise)
        return jax.grad(stepper.error)(params, batch)

    return one, gradients


def theirs(trials, start, threads):
    """The same in PyTorch, as it is usually written."""
    import torch

    torch.set_num_threads(threads)
    params = {key: torch.nn.Parameter(torch.tensor(value, dtype=torch.float32)) for key, value in start.items()}
    u, wanted, weight = (torch.tensor(getattr(trials, key), dtype=torch.float32) for key in ("u", "wanted", "weight"))
    adam = torch.optim.Adam(params.values(), lr=RATE)

    def error(noise):
        m, n, I, w = (params[key] for key in "mnIw")
        x = torch.zeros(TRIALS, N)
        r, z = torch.tanh(x), []
        for t in range(STEPS):
            x = x + NOISE * noise[:, t] + STEP * (-x + r @ n @ m.t() / N + u[:, t] @ I.t())
            r = torch.tanh(x)
            z.append(r @ w / N)
        squares = ((torch.stack(z, 1) - wanted) ** 2).mean(-1)
        return ((weight * squares).sum(1) / weight.sum(1)).mean()

    def one():
        adam.zero_grad()
        loss = error(torch.randn(TRIALS, STEPS, N))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params.values(), CLIP)
        adam.step()
        return loss.item()

    def gradients(noise):
        adam.zero_grad()
        error(torch.tensor(noise.transpose(2, 0, 1))).backward()
        return {key: value.grad.numpy().copy() for key, value in params.items()}

    return one, gradients


def compare(threads):
    import numpy as np
    from meanfield.validation.training.batches import standard_normal
    from meanfield.validation.training.parametrisations import LowRank
    from pinned import medians

    task, trials = task_and_trials()
    start = LowRank(N, RANK).init(task, 0)
    one, gradients = ours(task, trials, start)
    one()
    try:
        other, other_gradients = theirs(trials, start, threads)
    except ImportError:
        t = medians(ROUNDS, {"ours": one})
        print(f"{threads} thread(s): {1e3 * t['ours']:.1f} ms per step; PyTorch is not installed", flush=True)
        return
    noise = standard_normal((STEPS, N, TRIALS), 1, "float32")
    pairs = [(np.asarray(gradients(noise)[key]), value) for key, value in other_gradients(noise).items()]
    apart = max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)
    other()
    t = medians(ROUNDS, {"ours": one, "theirs": other})
    print(f"{threads} thread(s): {1e3 * t['ours']:.1f} ms per step, PyTorch {1e3 * t['theirs']:.1f} ms", end=" ")
    print(f"({t['theirs'] / t['ours']:.2f}x); gradients differ by {apart:.1e} of the largest", flush=True)


def main():
    """Each number of threads in a process of its own: libraries read it once."""
    if len(sys.argv) > 1:
        limit(int(sys.argv[1]))
        compare(int(sys.argv[1]))
        return
    for threads in (1, 2):
        subprocess.run([sys.executable, __file__, str(threads)], check=True)


if __name__ == "__main__":
    main()
