r"""
From connectivity to formulas
=============================

The reduced equations of a network, written down by the computer; the fixed points that have a closed form; the
pitchfork they come from; and a limit cycle whose period needs no simulation. Formulas: :eq:`reduced-drift` to
:eq:`pitchfork`.
"""

import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import meanfield as mf

# %%
# Two populations, rank two, one input: the equations in general, for any transfer function.

mf.derive(rank=2, populations=2, inputs=("A",))

# %%
# The Jacobian is not the functional connectivity minus one: the gains depend on :math:`\kappa` too.

mf.derive(rank=1).jacobian

# %%
# Closed forms
# ------------
# For one Gaussian population the nonzero fixed points lie on the eigenvectors of the overlap matrix, where the gain
# is one over the eigenvalue. With the error function everything is elementary, and exact parameters give exact
# answers.

c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}], rank=2)
points = mf.derive(c, transfer="erf").fixed_points()
for point in points:
    print(f"{point.kind:7s} kappa = {tuple(point.kappa)}, eigenvalues {point.eigenvalues}")

# %%
# They agree with the numeric search, which proves that there are no others.

numeric = mf.fixed_points(mf.reduce(c, transfer="erf"))
analytic = np.array([point.evalf() for point in points], dtype=float)
LARGEST_DIFFERENCE = max(np.abs(analytic - k).max(axis=1).min() for k in numeric.kappa)
print(numeric)
print(f"largest difference: {LARGEST_DIFFERENCE:.1e}")

# %%
# For tanh the variance of the input is a root, to any number of digits.

bistable = mf.derive(mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1), transfer="tanh")
bistable.fixed_points()[1].evalf(40)[0]

# %%
# The pitchfork
# -------------
# Overlap 1 is where the pair is born. The normal form (dashed) is the first term of what the closed form (solid) says
# in full.

rank1 = mf.derive(rank=1, transfer="erf").substitute(sigma_m_m=1)
overlap = rank1.parameters[0]
branch = sp.lambdify(overlap, rank1.fixed_points()[1].kappa[0])
form = rank1.normal_form()
parabola = sp.lambdify(overlap, sp.sqrt(-form.eigenvalue / form.cubic))
print(form.kind, form.latex())

overlaps = np.linspace(1, 2.5, 200)
fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for sign in (1, -1):
    ax.plot(overlaps, sign * branch(overlaps), color="C0", label="closed form" if sign > 0 else None)
    ax.plot(overlaps, sign * parabola(overlaps), "--", color="C1", label="normal form" if sign > 0 else None)
ax.plot([0.5, 1], [0, 0], color="C0")
ax.plot([1, 2.5], [0, 0], ":", color="C0", label="unstable")
ax.set(xlabel=r"overlap $\sigma_{nm}$", ylabel=r"$\kappa$")
ax.legend(frameon=False)

# %%
# A limit cycle's period
# ----------------------
# A complex pair :math:`a \pm ib` of the overlap matrix gives a cycle of period :math:`2\pi a/b`, whatever the
# transfer function.

rotating = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n1 m2": -1, "n2 m1": 1, "n2 m2": 2}], rank=2)
cycle = mf.derive(rotating, transfer="tanh").cycles()[0]
PERIOD = float(cycle.period)
cycle.period

# %%
plt.show()
