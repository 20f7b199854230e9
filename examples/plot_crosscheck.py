"""
Is the theory right?
====================

Networks of finite size are drawn from a mixture, all their units are simulated, and what they do is compared with
the theory, within the spread that the theory itself predicts for their size.
"""

import matplotlib.pyplot as plt
import numpy as np
from meanfield.validation import pictures

import meanfield as mf
from meanfield import plotting
from meanfield import validation as mv

c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}], rank=2)
check = mv.crosscheck(c, sizes=(250, 1000, 4000), draws=25, seed=0)
print(check)

# %%
# The fixed points of all drawn networks, and the ellipses in which the theory puts 95 % of them. Nothing is fitted: the
# ellipses follow from the covariance of one neuron's contribution to the drift, carried through the Jacobian.

fp = check.prediction.portrait.fixed_points
spread = mf.spread(fp)
with plotting.style():
    figure, axes = plt.subplots(1, 2, figsize=(8.8, 4.0), layout="constrained")
    for ax, size in zip(axes, (250, 4000), strict=True):
        group = [d for d in check.draws if d.n_neurons == size]
        points = np.concatenate([d.points for d in group])
        kinds = np.concatenate([d.point_kinds for d in group])
        pictures.plot_points(ax, fp.kappa, fp.kind, spread.covariance, points, kinds, size)
        ax.set(xlim=(-2.8, 2.8), ylim=(-1.8, 1.8))

# %%
# How far an agreement can be trusted: the z-scores of all observables are standard normal, and those of a planted
# wrong theory, one overlap off by 5 %, are not.

with plotting.style():
    figure, ax = plt.subplots(figsize=(5.0, 4.2), layout="constrained")
    pictures.plot_scores(ax, check.z_scores, check.planted.scores, check.planted.what)

# %%
# Next to a saddle-node small networks have another number of fixed points than their limit, and the theory says how
# often.

near = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n1 A": 1.0}], rank=1, inputs=("A",))
fold = mv.crosscheck(near, inputs={"A": 0.35}, sizes=(100, 400, 1600), draws=40, planted=False)
SAME = [(t.n_neurons, t.same / t.draws, t.probability) for t in fold.topology]
for n_neurons, found, expected in SAME:
    print(f"N = {n_neurons}: {found:.2f} of the networks have three fixed points, expected {expected:.2f}")
CHECK = check
