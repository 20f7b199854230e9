"""N units in time (N = 4096, rank 2, 64 trials) beside the dense network, the bare products, and kappa alone.

Ratios within one run, medians, one thread. Run: python benchmarks/bench_simulation.py
"""

from pinned import medians, pin

pin()

import numpy as np  # noqa: E402
from meanfield.validation.networks import draw  # noqa: E402
from meanfield.validation.simulation import simulate  # noqa: E402

import meanfield as mf  # noqa: E402

N, RANK, TRIALS, DT, STEPS, EVERY, INPUT = 4096, 2, 64, 0.1, 100, 10, 0.5
DENSE_STEPS, ROUNDS = 4, 7


def compare(net, kappa, dtype):
    def ours(method="euler", every=EVERY, steps=STEPS):
        options = {"kappa": kappa, "method": method, "every": every, "record_x": False, "dtype": dtype}
        return simulate(net, {"A": INPUT}, DT * steps, DT, **options)

    m, n, drive = (np.asarray(a, dtype) for a in (net.m, net.n / N, INPUT * net.I[:, 0]))
    start = np.asarray(kappa @ m.T + drive, dtype)
    full, out, low = m @ n.T, np.empty_like(start), np.empty((TRIALS, RANK), dtype)

    def dense():
        """What a notebook does: Euler's rule with the matrix J."""
        x = start.copy()
        for _ in range(DENSE_STEPS):
            x += DT * (-x + np.tanh(x) @ full.T + drive)
        return x

    def bare():
        """What cannot be left out of one evaluation per step: tanh, the sums over neurons, and back."""
        for _ in range(STEPS):
            np.tanh(start, out=out)
            np.matmul(out, n, out=low)
            np.matmul(low, m.T, out=out)

    second = {"second": lambda: ours("exponential"), "all": lambda: ours(every=1)}
    t = medians(ROUNDS, {"euler": ours, "dense": dense, "bare": bare} | second)
    dense_time = t["dense"] * STEPS / DENSE_STEPS
    apart = np.abs(ours(every=DENSE_STEPS, steps=DENSE_STEPS).end - dense()).max()
    print(f"{dtype}: {STEPS} Euler steps {t['euler']:.3f} s; with full J {dense_time:.1f} s", end=" ")
    print(f"({dense_time / t['euler']:.0f}x; largest difference {apart:.1e})")
    print(f"  over tanh and products alone ({t['bare']:.3f} s): {t['euler'] / t['bare']:.2f}x", end="; ")
    print(f"two evaluations per step {t['second'] / t['bare'] / 2:.2f}x", end="; ")
    print(f"recording every step {t['all'] / t['bare']:.2f}x")


def latent(c, net, kappa):
    """kappa alone, at about the accuracy of the exponential method with this step."""
    times = DT * EVERY * np.arange(STEPS // EVERY + 1)
    exact, mixture = (mf.reduce(source, inputs={"A": INPUT}) for source in (net.connectivity, c))
    t = medians(
        ROUNDS,
        {
            "units": lambda: simulate(net, {"A": INPUT}, DT * STEPS, DT, kappa=kappa, every=EVERY, record_x=False),
            "exact": lambda: mf.trajectory(exact, kappa, times, rtol=1e-4, atol=1e-6),
            "mixture": lambda: mf.trajectory(mixture, kappa, times, rtol=1e-4, atol=1e-6),
        },
    )
    print(f"N units {t['units']:.3f} s; kappa alone from the network {t['exact']:.3f} s", end=" ")
    print(f"({t['units'] / t['exact']:.2f}x), from the mixture {t['mixture']:.3f} s ({t['units'] / t['mixture']:.1f}x)")


def main():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5, "n1 A": 0.5}], RANK, ("A",))
    net = draw(c, N, seed=0)
    kappa = np.random.default_rng(1).uniform(-2, 2, (TRIALS, RANK))
    for dtype in ("float64", "float32"):
        compare(net, kappa, dtype)
    latent(c, net, kappa)


if __name__ == "__main__":
    main()
