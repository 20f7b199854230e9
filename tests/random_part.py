"""Networks with a random part and adaptive quadrature, for the tests of their stationary states."""

import math

import numpy as np
from mixtures import random_connectivity
from scipy.integrate import quad

import meanfield as mf
from meanfield.dmft.problem import pose

PHI = {
    "tanh": np.tanh,
    "erf": lambda x: math.erf(math.sqrt(math.pi) / 2 * x),
    "sin": np.sin,
    "logistic": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
}
QUAD = 1e-9  # what adaptive quadrature at this tolerance leaves, over the handful of averages in an equation


def mean_driven(g, overlap=2.0, **more):
    """The rank-one network of Mastrogiuseppe & Ostojic 2018: the overlap is in the means."""
    return mf.Connectivity.from_overlaps(
        [{"mean m1": 1.1, "mean n1": overlap, "m1 m1": 1.0, "n1 n1": 1.0, **more}], rank=1, g=g
    )


def centred(overlap, g, variance_m=1.0):
    """One population of zero mean with a covariance of n and m."""
    entry = {"n1 m1": overlap, "m1 m1": variance_m, "n1 n1": 1 + overlap**2 / variance_m}
    return mf.Connectivity.from_overlaps([entry], rank=1, g=g)


def averaged(function, mean, variance):
    """<f> over a Gaussian, by adaptive quadrature."""
    s = math.sqrt(variance)
    density = lambda z: function(mean + s * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)  # noqa: E731
    return quad(density, -12, 12, epsabs=1e-12, epsrel=1e-12, limit=400)[0]


def random_problem(seed, block, transfer="tanh", rank=2):
    rng = np.random.default_rng(seed + 7)
    g = rng.uniform(0.2, 1.5, (3, 3)) if block else rng.uniform(0.2, 1.5)
    c = random_connectivity(seed, rank=rank, g=g)
    return pose(c, transfer, {"A": rng.normal()}, input_variance=rng.uniform(0, 0.5, 3))
