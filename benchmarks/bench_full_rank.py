"""Networks with a random part (N = 4096, 16 trials): a step beside the bare product, and one trial at a time.

Ratios within one run, medians, one thread. Run: python benchmarks/bench_full_rank.py
"""

from pinned import medians, pin

pin()

import numpy as np  # noqa: E402
from meanfield.validation.activity import measure_activity  # noqa: E402
from meanfield.validation.lyapunov import lyapunov  # noqa: E402
from meanfield.validation.networks import draw  # noqa: E402
from meanfield.validation.simulation import simulate  # noqa: E402

import meanfield as mf  # noqa: E402

N, TRIALS, DT, ROUNDS, STEPS = 4096, 16, 0.1, 5, 16
EVALUATIONS = {"euler": 1, "exponential": 2, "rk4": 4}


def compare(net, start, dtype):
    def run(steps, method="euler", x=start):
        return lambda: simulate(
            net, {"A": 0.5}, DT * steps, DT, start=x, method=method, every=steps, record_x=False, dtype=dtype
        )

    random, phi = np.asarray(net.random, dtype, order="F"), np.asarray(start, dtype)
    out = np.empty_like(phi)

    def bare():
        for _ in range(STEPS):
            np.matmul(phi, random.T, out=out)

    # what a run does once is left out: pairs of runs that differ by STEPS evaluations of J phi
    runs = {
        (name, extra): run(2 + extra * STEPS // count, name) for name, count in EVALUATIONS.items() for extra in (0, 1)
    }
    runs |= {("one", extra): run(2 + extra * 4 * STEPS, x=start[:1]) for extra in (0, 1)}
    t = medians(ROUNDS, runs | {"bare": bare})
    took = {name: t[name, 1] - t[name, 0] for name in (*EVALUATIONS, "one")}
    print(
        f"{dtype}, {TRIALS} trials: the bare product {1e3 * t['bare'] / STEPS:.1f} ms; over its products, a step:",
        end=" ",
    )
    print(", ".join(f"{name} {took[name] / t['bare']:.2f}x" for name in EVALUATIONS))
    print(f"  one trial at a time is {TRIALS * took['one'] / 4 / took['euler']:.1f}x slower than all together")


def statistics_beside_a_run(c):
    """What averages and exponents cost over simulating as many rows for as long."""
    net, size, duration = draw(c, 1000, seed=0), 8, 64.0
    start = np.random.default_rng(1).standard_normal((2 * size, 1000))
    t = medians(
        ROUNDS,
        {
            "eight": lambda: simulate(net, None, 30 + duration, DT, start=start[:size], every=940, record_x=False),
            "sixteen": lambda: simulate(net, None, 30 + duration, DT, start=start, every=940, record_x=False),
            "activity": lambda: measure_activity(net, None, duration, DT, start=start[:size], discard=10, max_lag=20),
            "lyapunov": lambda: lyapunov(net, None, duration, DT, 0, start=start[:size], discard=30),
        },
    )
    print(f"1000 neurons, 8 trials: averages and lags to 20 tau {t['activity'] / t['eight']:.2f}x a run", end=", ")
    print(f"one exponent {t['lyapunov'] / t['sixteen']:.2f}x a run of 16 trials")


def main():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5, "n1 A": 0.5}], 2, ("A",), g=1.5)
    net = draw(c, N, seed=0)
    start = np.random.default_rng(1).standard_normal((TRIALS, N))
    for dtype in ("float64", "float32"):
        compare(net, start, dtype)
    statistics_beside_a_run(c)


if __name__ == "__main__":
    main()
