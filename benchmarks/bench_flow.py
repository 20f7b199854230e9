"""Flow field of a large network (N = 4096, rank 2, 50 x 50 points) beside a per-point loop over the full J.

Ratios within one run, medians, one thread. Run: python benchmarks/bench_flow.py
"""

import statistics
import time

from pinned import pin

pin()

import numpy as np  # noqa: E402

import meanfield as mf  # noqa: E402

N, POINTS = 4096, 50


def main():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}], rank=2)
    loadings = c.sample(N, seed=0)
    m, n = loadings.m, loadings.n
    f = mf.reduce(mf.Connectivity.from_network(loadings))
    axis = np.linspace(-3, 3, POINTS)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    full = m @ n.T / N
    projector = np.linalg.pinv(m)

    def dense(kappa):
        """What a notebook does: the whole network at one point, projected back."""
        x = m @ kappa
        return projector @ (-x + full @ np.tanh(x))

    def factored(kappa):
        return -kappa + n.T @ np.tanh(m @ kappa) / N

    def loop(function, rows):
        start = time.perf_counter()
        values = np.array([[function(k) for k in row] for row in grid[:rows]])
        return (time.perf_counter() - start) * POINTS / rows, values

    def batched():
        start = time.perf_counter()
        values = f(grid)
        return time.perf_counter() - start, values

    ours = [batched() for _ in range(5)]
    dense_loop = [loop(dense, 4) for _ in range(3)]
    factored_loop = [loop(factored, POINTS) for _ in range(3)]
    fast, slow, lean = (statistics.median(t for t, _ in runs) for runs in (ours, dense_loop, factored_loop))
    print(f"batched {fast:.3f} s; loop with full J {slow:.1f} s ({slow / fast:.0f}x)", end="; ")
    print(f"loop with factors {lean:.3f} s ({lean / fast:.2f}x)")
    print(f"largest difference {np.abs(ours[0][1][:4] - dense_loop[0][1]).max():.1e}")


if __name__ == "__main__":
    main()
