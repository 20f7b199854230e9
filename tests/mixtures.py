"""Random mixtures and comparisons that several test files share."""

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from meanfield import Connectivity

# Relative error of sums of a dozen products of numbers of order one, with the condition numbers (< 100) below.
ROUNDING = 1e-12
SEEDS = st.integers(0, 10**6)


def random_connectivity(seed, rank=2, inputs=("A",), readouts=("w",), populations=3, deficient=0, g=0.0):
    """Means and full covariances of order one; conditions are bounded by adding a multiple of the unit matrix."""
    rng = np.random.default_rng(seed)
    size = 2 * rank + len(inputs) + len(readouts)
    factors = rng.standard_normal((populations, size, size - deficient))
    covariances = factors @ factors.swapaxes(1, 2) / size + (0.1 * np.eye(size) if not deficient else 0.0)
    weights = 0.5 * rng.dirichlet(np.ones(populations)) + 0.5 / populations
    return Connectivity(weights, rng.standard_normal((populations, size)), covariances, rank, inputs, readouts, g)


def random_basis(seed, rank=2):
    """An invertible matrix with a condition number of at most 10."""
    rng = np.random.default_rng(seed + 1)
    u, v = (np.linalg.qr(rng.standard_normal((rank, rank)))[0] for _ in range(2))
    return u * rng.uniform(0.3, 3.0, rank) @ v


def same(c, d, tolerance=ROUNDING):
    assert (c.rank, c.inputs, c.readouts) == (d.rank, d.inputs, d.readouts)
    for field in ("weights", "means", "covariances", "g"):
        scale = 1 + np.abs(getattr(c, field)).max()
        assert_allclose(getattr(c, field), getattr(d, field), rtol=0, atol=tolerance * scale, err_msg=field)


def stacked(net):
    return np.hstack([net.m, net.n, net.I, net.w])


THESIS = {"m1 m1": 2.0, "m2 m2": 2.0, "n1 m1": 3.0, "n2 m2": 2.5, "n1 m2": 1.0}


def thesis(variances=False):
    """The network of thesis 4.3.1: n1 = s11 x1 + s12 x2, n2 = s21 x3 + s22 x4, m1 = x1 + x3, m2 = x2 + x4, I = a x5."""
    populations = []
    for sign, amplitude in ((1.0, 10.0), (-1.0, 0.1)):
        p = {"weight": 0.5, **THESIS, "n2 m1": sign, "I I": amplitude**2}
        populations.append(p | ({"n1 n1": 10.0, "n2 n2": 7.25, "n1 n2": 0.0} if variances else {}))
    return Connectivity.from_overlaps(populations, rank=2, inputs=("I",))
