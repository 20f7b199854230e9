"""Fixed points with their proof beside what one would otherwise run: scipy.optimize.root from 100 random starts.

Ratios within one run, medians, one thread. Run: python benchmarks/bench_fixed_points.py
"""

import statistics
import time

import numpy as np
from pinned import pin
from scipy.optimize import root

pin()

import meanfield as mf  # noqa: E402  (after pinning)


def one_population(overlaps):
    entries = {f"n{i + 1} m{j + 1}": float(x) for (i, j), x in np.ndenumerate(np.asarray(overlaps)) if x}
    return mf.Connectivity.from_overlaps([entries], rank=len(overlaps))


def bimodal():
    """Thesis Fig. 4.2: four populations at (+-1, +-1), variance 1."""
    signs = [(a, b) for a in (1, -1) for b in (1, -1)]
    spread = {"n1 n1": 1.0, "n2 n2": 1.0}
    scale = 2**0.5
    populations = [
        {
            "weight": 0.25,
            "mean m1": a * scale,
            "mean n1": a * scale,
            "mean m2": b * scale,
            "mean n2": b * scale,
            **spread,
        }
        for a, b in signs
    ]
    return mf.Connectivity.from_overlaps(populations, rank=2)


def three_by_three(seed=0):
    """Rank 3, three populations with means and covariances."""
    rng = np.random.default_rng(seed)
    populations = []
    for weight in (0.5, 0.3, 0.2):
        entry = {"weight": weight}
        for i in (1, 2, 3):
            entry[f"mean m{i}"], entry[f"mean n{i}"] = rng.normal(size=2) * 0.5
            entry.update({f"n{i} m{j}": 1.8 * (i == j) + 0.4 * rng.normal() for j in (1, 2, 3)})
        populations.append(entry)
    return mf.Connectivity.from_overlaps(populations, rank=3)


SYSTEMS = {
    "thesis 4.1a": one_population([[2.5, 0], [0.5, 0.5]]),
    "thesis 4.1b": one_population([[2.5, 0], [0.5, 1.5]]),
    "thesis 4.1c (ring)": one_population([[2, 0], [0, 2]]),
    "thesis 4.1d": one_population([[2.5, -1], [1, 2]]),
    "thesis 4.2": bimodal(),
    "rank 3, 3 populations": three_by_three(),
    "rank 4": one_population(np.diag([2.4, 2.0, 1.7, 1.3]) + np.diag([0.5, 0.4, 0.3], 1)),
    "N = 500, rank 2": mf.Connectivity.from_network(bimodal().sample(500, seed=0)),
}


def timed(function, repeats):
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations), result


def random_starts(f, box, seed):
    found = []
    for start in np.random.default_rng(seed).uniform(*box, size=(100, f.rank)):
        try:
            r = root(f, start, jac=f.jacobian)
        except ValueError:  # the solver ran off to nan
            continue
        if r.success and not any(np.abs(r.x - x).max() < 1e-6 for x in found):
            found.append(r.x)
    return found


def main():
    heads = ("points", 6), ("status", 9), ("boxes", 7), ("proof", 9), ("100 starts", 11), ("ratio", 6), ("missed", 7)
    print(f"{'system':24s} " + " ".join(f"{head:>{width}s}" for head, width in heads))
    for name, c in SYSTEMS.items():
        f = mf.reduce(c)
        duration, fp = timed(lambda f=f: mf.fixed_points(f), 5)
        other, found = timed(lambda f=f, fp=fp: random_starts(f, fp.box, 0), 1)
        missed = sum(1 for k in fp.kappa if not any(np.abs(k - x).max() < 1e-5 for x in found))
        print(
            f"{name:24s} {len(fp):6d} {fp.status.name.lower():>9s} {fp.examined:7d} {duration:8.3f}s {other:10.3f}s "
            f"{duration / other:6.2f} {missed:7d}"
        )


if __name__ == "__main__":
    main()
