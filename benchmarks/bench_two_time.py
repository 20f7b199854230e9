"""Two-time theory, 600 x 600 steps, rank 2, 2 populations: its time, memory and scaling, beside a plain loop.

The plain loop evaluates C(t, t') for the very same pairs, one after the other, by a 2-D Gauss-Hermite rule, on a
sub-grid of times; per pair, and with the accuracy that each has. One thread. Run: python benchmarks/bench_two_time.py
"""

import statistics
import time
import tracemalloc

from pinned import pin

pin()

import numpy as np  # noqa: E402

import meanfield as mf  # noqa: E402
from meanfield.dmft.transient import transient  # noqa: E402

STEPS, DT, G, ROUNDS, NODES, EVERY = 600, 0.05, 1.5, 3, (40, 160), 40
POPULATIONS = [
    {"weight": 0.5, "n1 m1": 2.5, "n2 m2": 1.5, "n1 A": 0.5},
    {"weight": 0.5, "n1 m1": 0.5, "n2 m2": 1.5, "mean m1": 0.5},
]


def solve(steps, **options):
    c = mf.Connectivity.from_overlaps(POPULATIONS, 2, ("A",), g=G)
    inputs = {"A": lambda t: float(5 <= t < 10)}
    return transient(c, inputs=inputs, duration=DT * steps, dt=DT, kappa=[1.0, 0.5], delta=1.0, noise=0.3,
                     progress=False, **options)  # fmt: skip


def seconds(function):
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def plain(run, nodes):
    """C (times, times, P) on every EVERY-th time, pair by pair."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    mean, total = run.mean[::EVERY], run.covariance[::EVERY, ::EVERY]
    out = np.zeros_like(total)
    for n in range(len(mean)):
        for k in range(n + 1):
            for p in range(mean.shape[1]):
                a, b, ab = total[n, n, p], total[k, k, p], total[n, k, p]
                x = mean[n, p] + np.sqrt(a) * z
                y = mean[k, p] + ab / np.sqrt(a) * z[:, None] + np.sqrt(max(b - ab * ab / a, 0.0)) * z
                out[n, k, p] = (w * np.tanh(x)) @ (np.tanh(y) @ w)
    return out


def main():
    solve(20)
    run = solve(STEPS)
    times = {steps: seconds(lambda steps=steps: solve(steps)) for steps in (STEPS // 2, STEPS, 2 * STEPS, 4 * STEPS)}
    tracemalloc.start()
    solve(STEPS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{STEPS} steps: {times[STEPS]:.2f} s; D takes {run.nbytes / 1e6:.1f} MB, everything {peak / 1e6:.1f} MB")
    print(f"  {run.terms} terms, truncation at most {run.truncation:.0e} of <phi^2>")
    sizes = np.array(list(times))
    exponents = np.diff(np.log(list(times.values()))) / np.diff(np.log(sizes))
    print("  scaling:", ", ".join(f"{t:.2f} s at {n}" for n, t in times.items()), end="; ")
    print("exponents", ", ".join(f"{e:.2f}" for e in exponents))

    points = len(run.t[::EVERY])
    pairs, all_pairs = points * (points + 1) // 2, (STEPS + 1) * (STEPS + 2) // 2
    print(f"plain loop over pairs, timed on {pairs} of {all_pairs} and extrapolated:")
    for nodes in NODES:
        loop = seconds(lambda nodes=nodes: plain(run, nodes)) / pairs * all_pairs
        off = np.tril(np.moveaxis(plain(run, nodes) - run.activity[::EVERY, ::EVERY], -1, 0))
        print(f"  {nodes} x {nodes} nodes: {loop:.0f} s, {loop / times[STEPS]:.0f}x the whole solution", end="; ")
        print(f"the two differ by at most {np.abs(off).max():.0e}")


if __name__ == "__main__":
    main()
