"""Cost and error of the averages of tanh and its derivative, beside np.tanh and fixed 200-node Gauss-Hermite.

Run ``python benchmarks/bench_averages.py``: one pinned thread, medians and ratios of one run; no number here is a test.
"""

import statistics
import time

from pinned import pin

pin()

import numpy as np

import meanfield
from meanfield.averages import gaussian_average, pair_average
from meanfield.gaussian.quadrature import Doubling, GaussHermite

PAIRS = 10_000
REPEATS = 21


def median_times(tasks):
    """Median time of each task, all tasks taken in turn so that they see the same machine."""
    for task in tasks.values():
        task()
    times = {name: [] for name in tasks}
    for _ in range(REPEATS):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def gauss_hermite_tanh(mean, variance, z, w):
    """<tanh> and <tanh'> by a fixed rule."""
    t = np.tanh(mean[:, None] + np.sqrt(variance)[:, None] * z)
    return np.stack([t @ w, (1 - t * t) @ w])


def main():
    """Print the table."""
    rng = np.random.default_rng(0)
    mean = rng.uniform(-20, 20, PAIRS)
    variance = 10 ** rng.uniform(-4, 4, PAIRS)
    numbers = rng.normal(0, 3, 64 * PAIRS)
    z, w = np.polynomial.hermite_e.hermegauss(200)
    w = w / w.sum()

    def ours(order):
        return lambda: gaussian_average("tanh", mean=mean, variance=variance, order=order)

    times = median_times(
        {
            "np.tanh on 64e4 numbers": lambda: np.tanh(numbers),
            "order (0, 1)": ours((0, 1)),
            "order (0, 1), with error": lambda: gaussian_average(
                "tanh", mean=mean, variance=variance, order=(0, 1), with_error=True
            ),
            "order 0..3": ours((0, 1, 2, 3)),
            "Gauss-Hermite 200, order (0, 1)": lambda: gauss_hermite_tanh(mean, variance, z, w),
            "erf, order (0, 1)": lambda: gaussian_average("erf", mean=mean, variance=variance, order=(0, 1)),
            "one pair, order (0, 1)": lambda: gaussian_average("tanh", mean=0.3, variance=1.7, order=(0, 1)),
            "100 correlated pairs": lambda: pair_average(
                "tanh", mean=mean[:100], variance=variance[:100], correlation=0.5
            ),
        }
    )
    base = times["np.tanh on 64e4 numbers"]
    print(
        f"meanfield {getattr(meanfield, '__version__', '')}, numpy {np.__version__}, {PAIRS} pairs, median of {REPEATS}"
    )
    for name, seconds in times.items():
        print(f"{name:34s} {seconds * 1e3:9.3f} ms   {seconds / base:7.3f} x np.tanh")

    value, error = gaussian_average("tanh", mean=mean, variance=variance, order=(0, 1), with_error=True)
    slow = gaussian_average("tanh", mean=mean, variance=variance, order=(0, 1), rule=Doubling())
    fixed = gaussian_average("tanh", mean=mean, variance=variance, order=(0, 1), rule=GaussHermite(200))
    print(
        f"largest difference from the step-halving rule {np.abs(value - slow).max():.1e}, "
        f"largest reported error {error.max():.1e}"
    )
    print(f"largest error of 200 Gauss-Hermite nodes      {np.abs(value - fixed).max():.1e}")


if __name__ == "__main__":
    main()
