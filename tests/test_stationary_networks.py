"""The spectrum of the theory beside that of networks drawn from the mixture."""

import math

import numpy as np
import pytest
from random_part import mean_driven
from scipy.sparse.linalg import eigs

import meanfield as mf
from meanfield.dmft import stationary
from meanfield.dmft.field import StationaryField


def test_silent_neurons_have_no_variance_that_grows_by_itself():
    """At x = 0 the spectrum is the circular law and the overlap: nothing at g^2."""
    s = next(s for s in stationary(mean_driven(1.5)) if s.delta0[0] == 0)
    np.testing.assert_allclose(s.outliers, [1.2, -1.0], atol=1e-12)
    assert s.visible.tolist() == [True, False] and abs(s.growth - 1.2) < 1e-12
    rng, N = np.random.default_rng(0), 600
    loadings = mean_driven(1.5).sample(N, seed=1, match_moments=True)
    J = 1.5 * rng.standard_normal((N, N)) / math.sqrt(N) + loadings.m @ loadings.n.T / N
    outside = [z for z in eigs(J, k=4, which="LM", return_eigenvectors=False) if abs(z) > 1.75]
    assert len(outside) == 1 and abs(outside[0] - 2.2) < 0.25


def drawn(c, state, n_neurons, seed, v):
    """J phi' of a network at its own fixed point, found from the theory's by iteration."""
    rng = np.random.default_rng(seed)
    loadings = c.sample(n_neurons, seed=seed, match_moments=True)
    labels = np.repeat(np.arange(c.n_populations), np.round(c.weights * n_neurons).astype(int))
    g = np.broadcast_to(c.g, (c.n_populations,) * 2)
    J = g[labels][:, labels] * rng.standard_normal((n_neurons, n_neurons)) / math.sqrt(n_neurons)
    J += loadings.m @ loadings.n.T / n_neurons
    x, drive = loadings.m @ state.kappa, loadings.I @ v
    for _ in range(3000):
        change = J @ np.tanh(x) + drive - x
        x = x + 0.5 * change
        if np.abs(change).max() < 1e-7:
            return J * (1 - np.tanh(x) ** 2), x
    raise AssertionError("the network did not settle")


def slaved_rate(state):
    """The naive rate, Q eliminated: what the outlier is not."""
    field, R = StationaryField(state.problem), len(state.kappa)
    J = field.jacobian(np.append(state.kappa, state.handed_on))
    return (J[:R, :R] - J[:R, R:] @ np.linalg.solve(J[R:, R:], J[R:, :R]))[0, 0]


NETWORKS = {
    "means": (mf.Connectivity.from_overlaps([{"mean m1": 1.0, "mean n1": 1.3}], rank=1, g=0.7), {}, 12),
    "covariances": (mf.Connectivity.from_overlaps([{"n1 m1": 1.3}], rank=1, g=0.6), {}, 6),
    "blocks": (
        mf.Connectivity.from_overlaps(
            [
                {"weight": 0.5, "mean m1": 1.0, "mean n1": 2.0},
                {"weight": 0.5, "n1 m1": -4.0, "mean A": 0.5, "n1 A": 3.0},
            ],
            rank=1,
            inputs=("A",),
            g=[[0.8, 0.2], [1.2, 0.6]],
        ),
        {"A": 1.0},
        6,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_outliers_are_eigenvalues_of_drawn_networks(name):
    c, inputs, draws = NETWORKS[name]
    state = stationary(c, inputs=inputs).stable[-1]
    assert state.visible.sum() == 1
    expected = state.outliers[state.visible][0] + 1
    found = []
    for seed in range(draws):
        matrix, x = drawn(c, state, 1000, seed, state.problem.v)
        z = eigs(matrix, k=3, which="LM", return_eigenvectors=False)
        found.append(z[np.argmin(np.abs(z - expected))].real)
        if seed == 0:
            variances = [x[i * 500 : (i + 1) * 500].var() for i in range(2)] if name == "blocks" else [x.var()]
            np.testing.assert_allclose(variances, state.delta0, rtol=0.35)  # one draw: a few times 1/sqrt(N)
    error = np.std(found, ddof=1) / math.sqrt(draws)
    # three standard errors, of few draws, and the shift of order 1/N
    assert abs(np.mean(found) - expected.real) < 4 * error + 0.01
    assert error < (0.05 if name == "blocks" else 0.02)
    if name == "means":  # the difference is largest there
        assert abs(np.mean(found) - (slaved_rate(state) + 1)) > 4 * error + 0.01


def test_the_bulk_fills_its_disc():
    c, inputs, _ = NETWORKS["means"]
    state = stationary(c, inputs=inputs).stable[-1]
    matrix, _ = drawn(c, state, 800, 1, state.problem.v)
    size = np.sort(np.abs(np.linalg.eigvals(matrix)))[::-1]
    # the edge is blurred by N^(-1/2); kappa of this draw moves the radius by as much
    assert abs(size[3] - state.bulk_radius) < 0.05
