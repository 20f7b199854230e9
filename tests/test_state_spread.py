"""The spread of states at rest over draws: against the low-rank theory at g = 0, and against drawn networks."""

from dataclasses import replace

import numpy as np
import pytest
from mixtures import random_connectivity

import meanfield as mf

SHIFTED = mf.Connectivity.from_overlaps(
    [{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0, "w m1": 0.5}], rank=1, readouts=("w",), g=0.6
)


@pytest.mark.parametrize("matched", ["nothing", "sizes", "moments"])
@pytest.mark.parametrize("seed", [1, 4])
def test_without_a_random_part_it_is_that_of_the_fixed_points(matched, seed):
    c = random_connectivity(seed, rank=2, populations=2)
    found = mf.fixed_points(mf.reduce(c, inputs={"A": 0.5}))
    expected = mf.spread(found, matched)
    for state in mf.dmft.stationary(c, inputs={"A": 0.5}):
        k = np.argmin(np.abs(found.kappa - state.kappa).max(-1))
        one = mf.spread(state, matched)
        size = np.abs(expected.covariance[k]).max()
        # both are exact up to quadrature; the place of the point is known to 1e-11
        assert np.abs(one.covariance[:2, :2] - expected.covariance[k]).max() < 1e-8 * size
        assert np.abs(one.readout_covariance - expected.readout_covariance[k]).max() < 1e-8 * size


def test_splitting_a_population_or_scaling_loadings_changes_nothing():
    (state,) = (s for s in mf.dmft.stationary(SHIFTED) if s.kappa[0] > 0)
    (half,) = (s for s in mf.dmft.stationary(SHIFTED.split(0, 0.5)) if s.kappa[0] > 0)
    one, two = mf.spread(state), mf.spread(half)
    assert one.covariance == pytest.approx(two.covariance, rel=1e-9)
    # the variance over all neurons is the mean of those over the halves, plus that of their means
    assert one.readout_std(100) == pytest.approx(two.readout_std(100), rel=1e-9)


def relaxed(c, n_neurons, seed, start):
    """(kappa, Q, mean, Delta_0, z) of a drawn network at its fixed point, by damped iteration."""
    loadings = c.sample(n_neurons, [seed, n_neurons])
    m, n, w = loadings.m, loadings.n, loadings.w
    J = c.g * np.random.default_rng([seed, 5]).standard_normal((n_neurons, n_neurons)) / np.sqrt(n_neurons)
    x = m @ start
    for _ in range(400):
        phi = np.tanh(x)
        change = -x + J @ phi + m @ (n.T @ phi) / n_neurons
        x = x + 0.5 * change
    assert np.abs(change).max() < 1e-6
    phi = np.tanh(x)
    return [(n.T @ phi)[0] / n_neurons, (phi**2).mean(), x.mean(), x.var(), (w.T @ phi)[0] / n_neurons]


def test_drawn_networks_spread_as_predicted():
    """Standard deviations of 150 draws: each is known within 1 / sqrt(300), and the theory within a few percent."""
    state = next(s for s in mf.dmft.stationary(SHIFTED) if s.stable and s.kappa[0] > 0)
    sp, size, draws = mf.spread(state), 400, 150
    found = np.array([relaxed(SHIFTED, size, seed, state.kappa) for seed in range(draws)])
    predicted = [f(size)[0] for f in (sp.std, sp.handed_on_std, sp.mean_std, sp.delta0_std, sp.readout_std)]
    assert np.abs(found.std(axis=0, ddof=1) / predicted - 1).max() < 4 / np.sqrt(2 * draws) + 0.05
    limit = [state.kappa[0], state.handed_on[0], state.mean[0], state.delta0[0], state.readout[0]]
    assert (np.abs(found.mean(axis=0) - limit) < 4 * np.array(predicted) / np.sqrt(draws) + 10 / size).all()


def test_the_random_part_alone_spreads_the_state():
    """With all moments matched what is left comes from chi; it grows with g."""
    states = [next(s for s in mf.dmft.stationary(replace(SHIFTED, g=g)) if s.kappa[0] > 0) for g in (0.0, 0.4, 0.8)]
    widths = [mf.spread(s, "moments").std(1000)[0] for s in states]
    assert widths[0] < widths[1] < widths[2]
