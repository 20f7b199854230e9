"""
The network and its mixture
===========================

A finite network is a mixture of point masses, so the same search finds all its fixed points, exactly and with the same
proof. Drawn larger and larger, networks approach the fixed points of the mixture they come from.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import plotting

c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}], rank=2)
limit = mf.fixed_points(mf.reduce(c))
print(limit.summary)

# %%
# Networks of 100 and of 3000 neurons, and the mixture (markers as in the flow fields).

with plotting.style():
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
    for ax, n_neurons in zip(axes.flat, (100, 3000), strict=True):
        for seed in range(8):
            net = c.sample(n_neurons, seed=seed)
            fp = mf.fixed_points(mf.reduce(mf.Connectivity.from_network(net)))
            ax.plot(*fp.kappa.T, ".", color="0.6", markersize=4)
        plotting.plot_fixed_points(ax, limit)
        ax.set(title=f"N = {n_neurons}", xlabel=r"$\kappa_1$", ylabel=r"$\kappa_2$")
        ax.set(xlim=(-2.6, 2.6), ylim=(-1.8, 1.8))

# %%
# Not every small network has the portrait of its mixture: a saddle and a memory can meet and vanish. The count is exact
# for each of them.

counts = {
    n_neurons: [
        len(mf.fixed_points(mf.reduce(mf.Connectivity.from_network(c.sample(n_neurons, seed=seed)))))
        for seed in range(10)
    ]
    for n_neurons in (30, 100, 3000)
}
for n_neurons, found in counts.items():
    print(f"N = {n_neurons}: number of fixed points in ten networks {sorted(found)}")

# %%
# The distance (median over fifteen networks) of the stable point from its limit, over sizes.

sizes = np.array([500, 2000, 8000])
distance = []
for n_neurons in sizes:
    gaps = []
    for seed in range(15):
        fp = mf.fixed_points(mf.reduce(mf.Connectivity.from_network(c.sample(n_neurons, seed=seed))))
        gaps.append(np.linalg.norm(fp.kappa - limit.stable[-1], axis=-1).min())
    distance.append(np.median(gaps))
SLOPE = np.polyfit(np.log(sizes), np.log(distance), 1)[0]
print(f"distance ~ N^{SLOPE:.2f}")

figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
ax.loglog(sizes, distance, "o-", label="drawn networks")
ax.loglog(sizes, distance[0] * (sizes / sizes[0]) ** -0.5, "k--", label=r"$N^{-1/2}$")
ax.set(xlabel="neurons N", ylabel="distance from the limit")
ax.set_xticks(sizes, map(str, sizes), minor=False)
ax.minorticks_off()
ax.legend(frameon=False)
