"""One pinned thread for every benchmark: import this before numpy does any work."""

import os


def pin():
    """Keep this process on one core, with one thread in the linear algebra libraries."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
