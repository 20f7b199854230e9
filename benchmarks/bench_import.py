"""CPU time of ``import meanfield`` beside ``import numpy, scipy.optimize``: pairs in turn, medians.

Run: python benchmarks/bench_import.py
"""

import resource
import statistics
import subprocess
import sys


def cpu(statement):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    base, ours = (
        "import numpy, scipy.optimize",
        "import meanfield; meanfield.fixed_points; meanfield.reduce; meanfield.Connectivity",
    )
    cpu(base), cpu(ours)
    pairs = [(cpu("import meanfield"), cpu(ours), cpu(base)) for _ in range(15)]
    print(f"import meanfield: {statistics.median(a / c for a, _, c in pairs):.2f}x of numpy + scipy.optimize")
    print(f"with the solvers loaded: {statistics.median(b / c for _, b, c in pairs):.2f}x")


if __name__ == "__main__":
    main()
