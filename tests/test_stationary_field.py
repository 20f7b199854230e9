"""The field of (kappa, Q): an independent twin, finite differences, sampled curvature, 22 digits; bulk and outliers."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_part import PHI, QUAD, averaged, random_problem

from meanfield.dmft.field import StationaryField, bulk_radius, spectrum_matrix
from meanfield.transfer import get_transfer


def direct(c, phi, amplitudes, input_variance, y):
    """The stationary equations straight from the network: Gaussian inputs, regressions, sums over populations.

    E_p[n_r phi(x)] = mu_n <phi> + Cov(n_r, x) <z phi>/s, without Stein's lemma and without the package's algebra.
    """
    R, P = c.rank, c.n_populations
    kappa, Q = y[:R], y[R:]
    g = np.broadcast_to(c.g, (P, P))
    m, n, inputs = (list(range(*c.slice(kind).indices(c.means.shape[1]))) for kind in "mnI")
    weight = np.zeros(c.means.shape[1])
    weight[m], weight[inputs] = kappa, amplitudes
    drift, squares = -np.array(kappa), np.zeros(P)
    for p in range(P):
        mean = c.means[p] @ weight
        if np.ndim(c.g) == 0:
            random = c.g**2 * Q[0]
        else:
            random = sum(g[p, q] ** 2 * c.weights[q] * Q[q] for q in range(P))
        variance = weight @ c.covariances[p] @ weight + input_variance[p] + random
        first = averaged(phi, mean, variance)
        slope = averaged(lambda x: phi(x) * (x - mean), mean, variance) / variance  # noqa: B023
        for r in range(R):
            drift[r] += c.weights[p] * (c.means[p, n[r]] * first + c.covariances[p, n[r]] @ weight * slope)
        squares[p] = averaged(lambda x: phi(x) ** 2, mean, variance)
    handed_on = [c.weights @ squares] if np.ndim(c.g) == 0 else squares
    return np.append(drift, np.array(handed_on) - Q)


def random_point(field, seed):
    rng = np.random.default_rng(seed + 3)
    R = field.problem.rank
    return np.append(rng.normal(size=R), rng.uniform(0.05, 0.9, field.rank - R))


@pytest.mark.parametrize("transfer", PHI)
@pytest.mark.parametrize("block", [False, True])
def test_the_field_is_the_equations_written_down_directly(transfer, block):
    field = StationaryField(random_problem(len(transfer), block, transfer))
    p = field.problem
    for seed in range(2):
        y = random_point(field, seed)
        expected = direct(p.connectivity, PHI[transfer], p.v, p.input_variance, y)
        np.testing.assert_allclose(field(y), expected, rtol=0, atol=QUAD * (1 + np.abs(y).max()))


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(("tanh", "erf", "softplus", "sin")))
def test_jacobian_by_finite_differences(seed, block, transfer):
    field = StationaryField(random_problem(seed, block, transfer))
    y = random_point(field, seed)
    h = 1e-3
    for j in range(field.rank):
        e = h * np.eye(field.rank)[j]
        difference = (8 * (field(y + e) - field(y - e)) - field(y + 2 * e) + field(y - 2 * e)) / (12 * h)
        # h^4/30 times fifth derivatives, of order 10^3 at most for these loadings, and rounding over h
        np.testing.assert_allclose(field.jacobian(y)[:, j], difference, rtol=1e-8, atol=1e-8)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(("tanh", "logistic", "softplus", "relu")))
def test_second_differences_stay_below_the_hessian_bound(seed, block, transfer):
    field = StationaryField(random_problem(seed, block, transfer))
    rng = np.random.default_rng(seed)
    centre = random_point(field, seed)
    radius = rng.uniform(0.01, 0.3, field.rank)
    bound = field.hessian_bound(centre[None], radius[None])[0]
    h = 1e-4
    for _ in range(5):
        y = np.maximum(centre + rng.uniform(-1, 1, field.rank) * radius, field.floor + 2 * h)
        if (np.abs(y - centre) > radius).any():
            continue
        for k in range(field.rank):
            e = h * np.eye(field.rank)[k]
            second = np.abs(field.jacobian(y + e) - field.jacobian(y - e)) / (2 * h)  # (i, j) at k
            assert (second <= bound[:, :, k] * (1 + 1e-6) + 1e-6).all()


@pytest.mark.parametrize("transfer", ["tanh", "erf", "softplus"])
@pytest.mark.parametrize("block", [False, True])
def test_reported_errors_cover_the_values_in_22_digits(transfer, block):
    field = StationaryField(random_problem(5, block, transfer))
    p, c, t = field.problem, field.problem.connectivity, get_transfer(transfer)
    y = random_point(field, 1)
    value, error, jacobian, jacobian_error = (q[0] for q in field.values_with_error(y[None]))
    plain, slope = field.values(y)
    with mp.workdps(22):
        exact = exact_values(c, t, p, [mp.mpf(x) for x in y])
        for i in range(field.rank):
            assert abs(exact[i] - mp.mpf(value[i])) <= error[i]
            assert abs(exact[i] - mp.mpf(plain[i])) <= error[i]
    # both routes evaluate one Jacobian
    assert (np.abs(jacobian - slope) <= 2 * jacobian_error + 1e-13).all()
    assert error.max() < 1e-11 and jacobian_error.max() < 1e-10


def exact_values(c, t, p, y):
    """:func:`direct` in mpmath, with Stein's lemma replaced by the regression on x."""
    R, P = c.rank, c.n_populations
    weight = [mp.mpf(0)] * c.means.shape[1]
    for r in range(R):
        weight[r] = y[r]
    weight[2 * R] = mp.mpf(p.v[0])
    out = [-x for x in y]
    for q in range(P):
        mean = mp.fdot(map(mp.mpf, c.means[q]), weight)
        rows = [mp.fdot(map(mp.mpf, row), weight) for row in c.covariances[q]]
        if np.ndim(c.g) == 0:
            random = mp.mpf(c.g) ** 2 * y[R]
        else:
            random = mp.fsum(mp.mpf(c.g[q, k]) ** 2 * mp.mpf(c.weights[k]) * y[R + k] for k in range(P))
        variance = mp.fdot(rows, weight) + mp.mpf(p.input_variance[q]) + random
        s = mp.sqrt(variance)
        cuts = [mp.mpf(k) for k in range(-12, 13, 2)]
        phi, first, square_ = (
            mp.quad(lambda z: f(t.mp(mean + s * z), z) * mp.npdf(z), cuts)  # noqa: B023
            for f in (lambda v, z: v, lambda v, z: v * z / s, lambda v, z: v * v)  # noqa: B023
        )
        for r in range(R):
            out[r] += mp.mpf(c.weights[q]) * (mp.mpf(c.means[q, R + r]) * phi + rows[R + r] * first)
        if np.ndim(c.g) == 0:
            out[R] += mp.mpf(c.weights[q]) * square_
        else:
            out[R + q] += square_
    return out


def test_the_matrix_of_the_outliers():
    jacobian = np.arange(18.0).reshape(2, 3, 3)
    out = spectrum_matrix(jacobian, np.array([[0.5, 0.0], [0.0, 0.3]]), 1)
    np.testing.assert_array_equal(out[0], [[0, 1, 2], [3, 4, 5], [0, 0, -1]])
    np.testing.assert_array_equal(out[1], [[9, 10, 11], [0, -1, 0], [15, 16, 17]])
    np.testing.assert_array_equal(jacobian, np.arange(18.0).reshape(2, 3, 3))


def test_bulk_radius_of_blocks_and_its_error():
    g = np.array([[0.9, 0.4], [1.3, 0.6]])
    weights, variance, mean = np.array([0.4, 0.6]), np.array([0.7, 1.9]), np.array([0.2, -0.5])
    square_ = [averaged(lambda x: math.cosh(x) ** -4, m, v) for m, v in zip(mean, variance, strict=True)]
    expected = math.sqrt(np.abs(np.linalg.eigvals(g**2 * weights * square_)).max())
    root, error = bulk_radius(get_transfer("tanh"), g**2 * weights, mean, variance)
    assert abs(root - expected) < QUAD and error < 1e-12
    shift = 1e-4
    wide = bulk_radius(get_transfer("tanh"), g**2 * weights, mean, variance, shift, shift)[1]
    moved = bulk_radius(get_transfer("tanh"), g**2 * weights, mean + shift * np.sign(-mean), variance - shift)[0]
    assert abs(moved - root) <= wide < 1e-3
