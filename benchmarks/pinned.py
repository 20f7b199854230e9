"""One pinned thread for every benchmark: import this before numpy does any work. And how alternatives are timed."""

import os
import statistics
import time


def pin():
    """Keep this process on one core, with one thread in the linear algebra libraries."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def medians(rounds, functions):
    """Median seconds of each, taken in turns so that whatever else slows the machine slows all of them."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
