"""Structured chaos followed over 40 values of g from its onset to its end, and one full Delta(tau) with its exponent.

Medians, one thread. Run: python benchmarks/bench_chaos.py
"""

import statistics
import time

from pinned import pin

pin()

import numpy as np  # noqa: E402

import meanfield as mf  # noqa: E402
from meanfield.dmft.chaotic import chaotic  # noqa: E402
from meanfield.dmft.following import follow  # noqa: E402
from meanfield.dmft.transitions import chaos_onset, structure_end  # noqa: E402

POINTS = 40


def network(g):
    return mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g)


def timed(function):
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def main():
    str(chaotic(network(2.0))[0])  # warm up: imports
    seconds, (onset, end) = timed(
        lambda: (
            chaos_onset(network(1.0), bracket=(1.5, 2.0))[-1],
            structure_end(network(1.0), bracket=(2.0, 2.3))[0],
        )
    )
    print(f"onset {onset.value:.10f}, end {end.value:.10f}: {seconds:.2f} s")
    values = onset.value + (end.value - onset.value) * np.linspace(1e-3, 1 - 1e-3, POINTS)

    total, branch = timed(lambda: follow(network(1.0), values=values))
    exponents = [timed(lambda s=p.state: s.lyapunov)[0] for p in branch]
    print(f"follow, {len(branch.states)} of {POINTS} values: {total:.2f} s", end="; ")
    print(f"exponents {sum(exponents):.2f} s, worst {max(exponents) / statistics.median(exponents):.1f} x median")

    # point by point, each from the one before
    each, start = [], branch[0].state
    for v in values[1:]:
        seconds, found = timed(lambda v=v, s=start: follow(network(1.0), values=[v], start=s))
        start = found[0].state
        each.append(seconds)
    print(
        f"one value: median {statistics.median(each) * 1e3:.0f} ms, worst {max(each) / statistics.median(each):.1f} x"
    )

    def full():
        s = chaotic(network(2.0), starts=[[0.33]])[0]
        return s.delta(np.linspace(0, 50, 1000), with_error=True)[1].max(), s.lyapunov_error

    runs = [timed(full) for _ in range(5)]
    (error, exponent_error), seconds = runs[0][1], statistics.median(t for t, _ in runs)
    print(f"search, Delta at 1000 lags and exponent: {seconds:.3f} s, errors {error:.0e}, {exponent_error:.0e}")
    s = chaotic(network(2.0))[0]
    runs = []
    for _ in range(5):
        point = follow(network(2.0), values=[2.0], start=s)[0].state
        runs.append(timed(lambda q=point: (q.delta(np.linspace(0, 50, 1000), with_error=True), q.lyapunov))[0])
    print(f"Delta at 1000 lags and exponent of a solved state: {statistics.median(runs) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
