"""Planted networks and their recordings, for tests of fits."""

from dataclasses import replace

import numpy as np
from meanfield.validation.lint.fitting import lint
from meanfield.validation.lint.recovery import activity_of
from meanfield.validation.networks import draw

import meanfield as mf

A = 0.2
#: Noise per step of the planted recordings.
NOISE = 0.05


def teacher(rank=1, size=60, seed=0, inputs=1):
    """A network with memory (rank 1), or a plane of states, that knows its Euler step."""
    # of n, about half lies outside the span of m and I
    listed = {"n1 m1": 1.6, "n1 A": 0.5, "n1 n1": 6.0, "w m1": 1.0}
    listed |= {"n2 m2": 1.4, "n2 m1": 0.5, "n2 n2": 5.0} if rank == 2 else {}
    c = mf.Connectivity.from_overlaps([listed], rank, ("A", "B")[:inputs], ("w",))
    return replace(draw(c, size, seed), dt=A)


def drive(count, steps=30, seed=0, inputs=1):
    """Pulses of random size."""
    rng = np.random.default_rng(seed)
    u = np.zeros((count, steps, inputs))
    u[:, 3:12] = rng.standard_normal((count, 1, inputs))
    return u


def recorded(net, count=40, noise=NOISE, seed=1, **options):
    u = drive(count, inputs=net.I.shape[1], seed=seed, **options)
    return activity_of(net, u, noise, seed), u


def fitted(net, x, u, rank=None, **options):
    return lint(x, u, rank or net.rank, dt=net.dt, tau=net.tau, variable="current", **options)


def dense(net):
    return net.m @ net.n.T / net.n_neurons
