"""
Where a fixed Gauss-Hermite rule goes wrong
===========================================

The average of a transfer function over a Gaussian is usually taken with a fixed number of Gauss-Hermite nodes. For
tanh the error of that rule falls only like exp(-c sqrt(n) / s), because tanh has poles at distance pi / (2 s) in the
variable of the rule. The error is invisible at variance 1 and reaches percents above variance 100. The rule of the
package changes with the variance, and its reported error lies above its true one everywhere.
"""

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield.gaussian.quadrature import Doubling, GaussHermite

# %%
# The error against the step-halving rule, an independent twin, largest over a few means.

variance = np.logspace(-2, 4, 61)
mean = np.array([0.1, 0.5, 1.0, 2.0, 5.0])[:, None]
reference = mf.gaussian_average("tanh", mean=mean, variance=variance, rule=Doubling())


def largest_error(**rule):
    """Largest error over the means, one number per variance."""
    value = mf.gaussian_average("tanh", mean=mean, variance=variance, **rule)
    return np.abs(value - reference).max(axis=0)


error = {n: largest_error(rule=GaussHermite(n)) for n in (20, 50, 200)}
error_ours = largest_error()
reported = mf.gaussian_average("tanh", mean=mean, variance=variance, with_error=True)[1].max(axis=0)
error_200_at_100 = error[200][np.argmin(np.abs(variance - 100))]

# %%
# Two hundred nodes lose every digit but the first two at variance 100.

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for n, color in zip(error, plt.get_cmap("viridis")([0.75, 0.5, 0.2]), strict=True):
    axes.loglog(variance, np.maximum(error[n], 1e-17), color=color, label=f"{n} Gauss-Hermite nodes")
axes.loglog(variance, np.maximum(error_ours, 1e-17), "k.", markersize=3, label="this package")
axes.loglog(variance, reported, "k--", linewidth=1, label="error it reports")
axes.axvline(100, color="0.8", zorder=0)
axes.annotate(f"{error_200_at_100:.0e}", (100, error_200_at_100), xytext=(6, -12), textcoords="offset points")
axes.set(xlabel="variance", ylabel=r"error of $\langle\tanh\rangle$", ylim=(1e-17, 1))
axes.legend(loc="center right", frameon=False)
plt.show()
