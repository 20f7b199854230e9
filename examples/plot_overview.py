"""
Four networks, all their fixed points
=====================================

Rank-two networks that do four different things, each with every fixed point it has: two saddles and two memories,
a ring, eight points around the origin from four populations, and a memory that an input turns into an oscillation.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield import plotting

# %%
# One Gaussian population: the overlaps between n and m decide. Unlisted variances are 1 and unlisted overlaps 0.

two_memories = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}], rank=2)
ring = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n2 m2": 2.0}], rank=2)

# %%
# Four populations whose loadings sit at the corners of a square: the total overlaps are those of the ring, the
# answer is not.

corners = [(a, b) for a in (1, -1) for b in (1, -1)]
square = mf.Connectivity.from_overlaps(
    [
        {"weight": 0.25, "mean m1": a, "mean n1": 2 * a, "mean m2": b, "mean n2": 2 * b, "m1 m1": 0.5, "m2 m2": 0.5}
        for a, b in corners
    ],
    rank=2,
)

# %%
# Two populations that differ in one overlap. The input saturates the first and leaves the second in charge.

population = {"weight": 0.5, "n1 m1": 3.0, "n1 m2": 1.0, "n2 m2": 2.5, "m1 m1": 2.0, "m2 m2": 2.0}
switched = mf.Connectivity.from_overlaps(
    [{**population, "n2 m1": 1.0, "I I": 100.0}, {**population, "n2 m1": -1.0, "I I": 0.01}], rank=2, inputs=("I",)
)

fields = {
    "two memories": mf.reduce(two_memories),
    "a ring": mf.reduce(ring),
    "four populations": mf.reduce(square),
    "an input makes it oscillate": mf.reduce(switched, inputs={"I": 1.0}),
}

# %%
# Find everything, and draw it.

points = {name: mf.fixed_points(f) for name, f in fields.items()}
cycle = mf.limit_cycle(fields["an input makes it oscillate"], start=[1.0, 0.0])

with plotting.style():
    figure, axes = plt.subplots(1, 4, figsize=(13.6, 3.2), layout="constrained")
    for ax, (name, f) in zip(np.ravel(axes), fields.items(), strict=True):
        cycles = (cycle,) if name.startswith("an input") else ()
        plotting.plot_flow(ax, f, points[name], cycles, colorbar=False)
        ax.set_title(name)

for name, fp in points.items():
    print(f"{name}: {fp.summary}")
print(f"period of the cycle: {cycle.period:.9f} tau")

COUNTS = {name: len(fp) for name, fp in points.items()}

if __name__ == "__main__" and len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
