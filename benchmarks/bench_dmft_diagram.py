"""A 50 x 50 phase diagram of one stationary state beside the damped iteration that is commonly run per point.

The twin iterates (kappa, Delta_0) <- (1 - a)(kappa, Delta_0) + a (right-hand sides) at one point of the diagram after
the other, on 200 fixed Gauss-Hermite nodes with one function per average, as published codes do (with a = 0.1 or 0.2),
until nothing would change by more than 1e-10. It runs on a random sample of the points and is extrapolated per point.
Where it is slow, next to a transition, that rule stops it away from the state; the residual of Newton's method is below
1e-10 everywhere.
Ratios within one run, medians, one thread; no number here is a test. Run: python benchmarks/bench_dmft_diagram.py
"""

import statistics
import time

from pinned import pin

pin()

import numpy as np  # noqa: E402

import meanfield as mf  # noqa: E402

POINTS, SAMPLE, REPEATS, MOST = 50, 60, 9, 20_000
LOADING, START = 1.1, (1.0, 1.5)
Z, W = np.polynomial.hermite_e.hermegauss(200)
W = W / W.sum()


def network(g=0.0, overlap=2.0):
    """Rank one, the overlap in the means (Mastrogiuseppe & Ostojic 2018)."""
    return mf.Connectivity.from_overlaps(
        [{"mean m1": LOADING, "mean n1": overlap, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g
    )


def average(mean, delta):
    """<phi>."""
    return W @ np.tanh(mean + np.sqrt(delta) * Z)


def mean_square(mean, delta):
    """<phi^2>."""
    return W @ np.tanh(mean + np.sqrt(delta) * Z) ** 2


def iterate(g, overlap, damping):
    """The twin at one point: kappa, Delta_0, number of iterations (``MOST``: did not converge)."""
    kappa, delta = START
    change, count = np.inf, 0
    while change >= 1e-10 and count < MOST:
        mean = LOADING * kappa
        new_kappa, new_delta = overlap * average(mean, delta), kappa**2 + g**2 * mean_square(mean, delta)
        change = max(abs(new_kappa - kappa), abs(new_delta - delta))
        kappa += damping * (new_kappa - kappa)
        delta += damping * (new_delta - delta)
        count += 1
    return kappa, delta, count


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main():
    """Print times per point and their ratio."""
    g, overlap = np.linspace(0.1, 2.0, POINTS), np.linspace(1.2, 4.0, POINTS)
    runs = [
        timed(
            lambda: mf.dmft.stationary_branch(
                network(),
                vary={"g": g[:, None], "mean n1": overlap},
                start=([START[0]], [START[1]]),
                tolerance=1e-10,
            )
        )
        for _ in range(REPEATS)
    ]
    ours, branch = statistics.median(t for t, _ in runs), runs[-1][1]
    good = branch.converged
    print(
        f"stationary_branch: {POINTS} x {POINTS} points in {ours * 1e3:.0f} ms, {good.sum()} converged, residual at "
        f"most {branch.residual[good].max():.1e}, estimated error at most {branch.error[good].max():.1e}"
    )
    rows, columns = np.random.default_rng(0).integers(0, POINTS, (2, SAMPLE))
    for damping in (0.1, 0.2, 0.5):
        seconds, found = timed(
            lambda a=damping: [iterate(g[i], overlap[j], a) for i, j in zip(rows, columns, strict=True)]
        )
        kappa, delta, counts = np.array(found).T
        done = (counts < MOST) & branch.converged[rows, columns]
        gap = np.maximum(
            np.abs(kappa - branch.kappa[rows, columns, 0]), np.abs(delta - branch.delta0[rows, columns, 0])
        )[done]
        whole = seconds / SAMPLE * POINTS**2
        print(
            f"damping {damping}: {whole:.1f} s for the diagram ({SAMPLE} random points, extrapolated), "
            f"{whole / ours:.0f} x as long; {np.median(counts):.0f} iterations in the median, at most "
            f"{counts.max():.0f} ({np.sum(counts == MOST)} did not end); states differ by {np.median(gap):.0e} in the "
            f"median, {gap.max():.0e} at most"
        )


if __name__ == "__main__":
    main()
