"""
Structure and chaos
===================

A rank-one structure on top of random connections of strength g: at rest, chaotic around the structure, or chaotic
without it. All states at rest are proved, and the transitions are roots, not scans.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import plotting
from meanfield.dmft.plots import plot_decay, plot_spectrum


def network(g):
    """Means of m and n 1.1 and 2, variances 1: Mastrogiuseppe & Ostojic (2018), Fig. 1."""
    return mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g)


print(mf.dmft.stationary(network(1.5)))

# %%
# Where the structured state becomes chaotic, and where structured chaos ends.

onset = [t for t in mf.dmft.chaos_onset(network(1.5), bracket=(1.2, 2.5)) if np.abs(t.kappa).max() > 0.1][0]
end = mf.dmft.structure_end(network(1.5), bracket=(1.2, 2.5))[0]
print(onset, end, sep="\n")

# %%
# The structured state at rest over g (solid where it is stable), and chaos around it, up to where it ends.

start = mf.dmft.stationary(network(0.1)).stable[-1]
g = np.linspace(0.1, onset.value, 60)
rest = mf.dmft.stationary_branch(network(0.1), vary={"g": g}, start=start)
values = np.linspace(onset.value + 0.01, end.value - 0.01, 16)
chaos = mf.dmft.follow(network(1.9), values=values)
with plotting.style():
    figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.6), layout="constrained")
    axes[0].plot(g, rest.kappa[:, 0], label="at rest")
    axes[0].plot(values, [abs(s.kappa[0]) for s in chaos.states], label="chaotic")
    axes[1].plot(g, rest.delta0[:, 0], label=r"$\Delta_0$ at rest")
    axes[1].plot(values, [s.delta0[0] for s in chaos.states], label=r"$\Delta_0$ chaotic")
    axes[1].plot(values, [s.delta_inf[0] for s in chaos.states], "--", label=r"$\Delta_\infty$ chaotic")
    for ax, name in zip(axes, (r"$\kappa$", r"variance $\Delta$"), strict=True):
        ax.axvline(onset.value, color="black", lw=0.7, ls=":")
        ax.axvline(end.value, color="black", lw=0.7, ls=":")
        ax.set(xlabel="g", ylabel=name, ylim=(0, None))
        ax.legend()

# %%
# The spectrum of the full network at the quiescent state, and the autocorrelation of chaotic ones.

state = mf.dmft.stationary(network(0.6))[1]
lags = np.linspace(0, 30, 121)
picked = [mf.dmft.chaotic(network(value))[0] for value in (1.9, 2.05, 2.3)]
with plotting.style():
    figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.6), layout="constrained")
    plot_spectrum(axes[0], state)
    labels = [f"g = {value}" for value in (1.9, 2.05, 2.3)]
    plot_decay(axes[1], lags, np.array([s.delta(lags)[:, 0] for s in picked]), labels)
ONSET, END, EXPONENTS = onset.value, end.value, [s.lyapunov for s in picked]
