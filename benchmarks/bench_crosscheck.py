"""A whole cross-check: 4 sizes, 50 draws each, rank 2; beside one process, and beside random starts and a dense J.

Ratios within one run. This one uses all cores; everything that it is compared with says how many. Run: python
benchmarks/bench_crosscheck.py
"""

import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
from meanfield.validation.workers import cores  # noqa: E402
from scipy.integrate import solve_ivp  # noqa: E402

import meanfield as mf  # noqa: E402
from meanfield import validation as mv  # noqa: E402

SIZES, DRAWS = (500, 1000, 2000, 4000), 50


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def notebook(net):
    """What a notebook does for one network: ten random starts, the dense J, until it seems to rest."""
    j, rng = net.m @ net.n.T / net.n_neurons, np.random.default_rng(0)
    ends = []
    for _ in range(10):
        x = net.m @ rng.standard_normal(2)
        run = solve_ivp(lambda t, x: -x + j @ np.tanh(x), (0, 40), x, rtol=1e-6, atol=1e-8)
        ends.append(np.linalg.lstsq(net.m, run.y[:, -1], rcond=None)[0])
    return np.array(ends)


def main():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}], rank=2)
    both, check = timed(lambda: mv.crosscheck(c, sizes=SIZES, draws=DRAWS, progress=True))
    one, again = timed(lambda: mv.crosscheck(c, sizes=SIZES, draws=DRAWS, progress=False, workers=1))
    same = all(a.values == b.values for a, b in zip(check.draws, again.draws, strict=True))
    print(f"whole cross-check: {both:.1f} s on {cores()} cores, {one:.1f} s on one ({one / both:.2f}x); same: {same}")
    print(check.summary)
    slow, ends = timed(lambda: notebook(mv.draw(c, 1000, 0)))
    per_network = one / (len(SIZES) * DRAWS)
    print(
        f"ten random starts with a dense J of 1000 neurons: {slow:.1f} s a network, {slow / per_network:.0f}x the mean "
        f"of the cross-check; they reach {len(np.unique(ends.round(2), axis=0))} stable points and no saddle"
    )


if __name__ == "__main__":
    main()
