"""Spread of fixed points: every formula against a slow obvious twin, and against networks that are drawn."""

import functools
import itertools
import sys
from dataclasses import replace
from types import SimpleNamespace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixtures import SEEDS, random_basis, random_connectivity
from numpy.testing import assert_allclose

import meanfield as mf
from meanfield.finite_size.neurons import MATCHED, neuron
from meanfield.fluctuations import spread
from meanfield.gaussian.moments import product_moments
from meanfield.transfer import get_transfer

# A measured number may lie this many of its standard errors from the predicted one.
ERRORS = 4.5
PRODUCTS = ((0,), (1,), (0, 0), (0, 1), (1, 1))
# Rounding of phi and phi' themselves, both of order one here, which no quadrature knows.
ROUNDING = 1e-16

JETS = {
    "tanh": lambda x: (mp.tanh(x), mp.sech(x) ** 2),
    "erf": lambda x: (mp.erf(mp.sqrt(mp.pi) * x / 2), mp.exp(-mp.pi * x * x / 4)),
    "relu": lambda x: (max(x, mp.mpf(0)), mp.mpf(x > 0)),
    "logistic": lambda x: (1 / (1 + mp.exp(-x)), 1 / ((1 + mp.exp(-x)) * (1 + mp.exp(x)))),
}


def rich(**others):
    """Two populations with means, rank 2, an input and a readout: nothing vanishes by symmetry."""
    first = {"weight": 0.4, "n1 m1": 1.4, "n2 m2": 0.9, "n1 m2": -1.2, "n2 m1": 1.0, "mean n1": 0.6, "mean m2": 0.3}
    second = {"weight": 0.6, "n1 m1": 0.5, "n2 m2": 1.3, "n1 m2": -0.4, "n2 m1": 0.7, "mean n2": -0.5, "mean m1": 0.4}
    first |= {"n1 A": 1.0, "w m1": 0.8, "w A": -0.5, "mean w": 0.7, "n1 n1": 7.0}
    second |= {"n2 A": -0.7, "w m2": 1.0, "m1 m2": 0.4, "w w": 3.0, "n2 n2": 6.0}
    c = mf.Connectivity.from_overlaps([first, second], rank=2, inputs=("A",), readouts=("w",))
    return mf.reduce(c, **{"transfer": "tanh", "inputs": {"A": 0.8}} | others)


@functools.cache
def legendre_rule(count):
    """Nodes and weights on (-1, 1) at 40 digits."""
    with mp.workdps(40):
        guesses = (mp.mpf(float(x)) for x in np.polynomial.legendre.leggauss(count)[0])
        nodes = [mp.findroot(lambda t: mp.legendre(count, t), x) for x in guesses]
        slopes = [count * (x * mp.legendre(count, x) - mp.legendre(count - 1, x)) / (x * x - 1) for x in nodes]
        return [(x, 2 / ((1 - x * x) * d * d)) for x, d in zip(nodes, slopes, strict=True)]


def exact_moments(name, mean, variance, count=24):
    """<z^k prod phi^(j)> for every product and k < 5, to 25 digits: |z| < 12 is cut where phi changes."""
    with mp.workdps(30):
        mean, s = mp.mpf(mean), mp.sqrt(mp.mpf(variance))
        features = [(sign * d - mean) / s for d in (0, 1, 2, 3, 5, 7, 10, 14, 20, 30, 40) for sign in (1, -1)]
        cuts = sorted({*map(mp.mpf, range(-12, 13, 2)), *(min(max(z, -12), 12) for z in features)})
        total = [[mp.mpf(0)] * 5 for _ in PRODUCTS]
        for (a, b), (node, weight) in itertools.product(itertools.pairwise(cuts), legendre_rule(count)):
            z = (a + b) / 2 + (b - a) / 2 * node
            jet, density = JETS[name](mean + s * z), weight * (b - a) / 2 * mp.npdf(z)
            for row, orders in zip(total, PRODUCTS, strict=True):
                value = density * mp.fprod(jet[j] for j in orders)
                for k in range(5):
                    row[k] += value * z**k
        return total


def beyond_error(name, mean, variance):
    """The largest ratio of the true error to the stated one plus the rounding of phi."""
    exact = exact_moments(name, mean, variance)
    value, error = product_moments(get_transfer(name), np.array([mean]), np.array([variance]), PRODUCTS, 4)
    apart = np.array([float(abs(mp.mpf(x) - y)) for x, y in zip(value.ravel(), sum(exact, []), strict=True)])
    size = 1.0 if name != "relu" else 1.0 + mean * mean + variance
    assert error.max() < 1e-11 * size
    return (apart / (error.ravel() + ROUNDING * size)).max()


def test_the_reference_moments_have_25_digits():
    with mp.workdps(30):
        pairs = zip(exact_moments("tanh", 0.7, 4.0), exact_moments("tanh", 0.7, 4.0, count=36), strict=True)
        assert max(abs(a - b) for rows in pairs for a, b in zip(*rows, strict=True)) < 1e-25


@pytest.mark.parametrize("name", JETS)
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 0.3), (0.7, 4.0), (-3.0, 0.3), (100.0, 4.0), (0.0, 1e-16)])
def test_moments_of_products_are_within_their_error(name, mean, variance):
    assert beyond_error(name, mean, variance) <= 1


@pytest.mark.parametrize(("mean", "variance"), [(0.7, 1e-8), (-3.0, 1e-24), (100.0, 1e-16)])
def test_moments_under_a_variance_far_below_the_mean(mean, variance):
    assert max(beyond_error(name, mean, variance) for name in JETS) <= 1


def test_moments_where_there_is_no_average():
    """Of a constant; and of the square of a Dirac mass, which has none."""
    value, _ = product_moments(get_transfer("tanh"), np.array([0.3]), np.zeros(1), PRODUCTS, 4)
    t, s = np.tanh(0.3), 1 - np.tanh(0.3) ** 2
    assert_allclose(value[..., 0], np.outer([t, s, t * t, t * s, s * s], [1, 0, 1, 0, 3]), rtol=1e-15)
    step = mf.reduce(mf.Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1), transfer="step")
    with pytest.raises(ValueError, match="order 1 of step has a Dirac mass"):
        spread(mf.fixed_points(step))


def contributions(f, kappa, y):
    """n phi, w phi and (n, w) phi' m of neurons with the loadings y (.., A): (.., K)."""
    c = f.connectivity
    m, rows = y[..., c.slice("m")], np.concatenate([y[..., c.slice("n")], y[..., c.slice("w")]], axis=-1)
    phi, slope = f.transfer.jet((m * kappa).sum(-1) + y[..., c.slice("I")] @ f.v, 1)
    turning = (rows * slope[..., None])[..., :, None] * m[..., None, :]
    return np.concatenate([rows * phi[..., None], turning.reshape(*y.shape[:-1], -1)], axis=-1)


def gauss(count):
    z, weight = np.polynomial.hermite_e.hermegauss(count)
    return z, weight / weight.sum()


def over_loadings(c, p, nodes):
    """A product rule over a population's loadings: many nodes along (m, I), three along (n, w), which come squared."""
    inner = [k for k, name in enumerate(c.names) if name[0] == "m" or name in c.inputs]
    order = inner + [k for k in range(len(c.names)) if k not in inner]
    rules = [gauss(nodes)] * len(inner) + [gauss(3)] * (len(order) - len(inner))
    z = np.stack([a.ravel() for a in np.meshgrid(*(rule[0] for rule in rules), indexing="ij")], axis=-1)
    weight = np.prod([a.ravel() for a in np.meshgrid(*(rule[1] for rule in rules), indexing="ij")], axis=0)
    y = np.empty_like(z)
    y[:, order] = z @ np.linalg.cholesky(c.covariances[p][np.ix_(order, order)]).T
    return y + c.means[p], weight, z


def unexplained(h, u, weight, matched):
    """What a least-squares fit leaves of h: by a constant or, for moments, by 1, u and u u."""
    i, j = np.triu_indices(u.shape[1])
    known = np.ones((len(u), 1))
    known = np.concatenate([known, u, u[:, i] * u[:, j]], axis=1) if matched == "moments" else known
    weighted = known * weight[:, None]
    return h - known @ np.linalg.solve(weighted.T @ known, weighted.T @ h)


def brute_force(f, kappa, matched):
    c, means, covariance = f.connectivity, [], 0.0
    for p in range(c.n_populations):
        y, weight, u = over_loadings(c, p, nodes=80)
        h = contributions(f, kappa, y)
        rest = unexplained(h, u, weight, matched)
        covariance = covariance + c.weights[p] * (rest * weight[:, None]).T @ rest
        means.append(weight @ h)
    between = np.cov(np.transpose(means), aweights=c.weights, ddof=0)
    return covariance + (between if matched == "nothing" else 0.0)


@pytest.mark.parametrize("matched", MATCHED)
@pytest.mark.parametrize("transfer", ["tanh", "erf", "logistic"])
@pytest.mark.parametrize(("rank", "inputs"), [(1, ("A",)), (2, ())])
def test_covariance_of_a_neuron_by_brute_force(rank, inputs, transfer, matched):
    c = random_connectivity(3, rank=rank, inputs=inputs, populations=2)
    f = mf.reduce(c, transfer=transfer, inputs=dict.fromkeys(inputs, 0.3))
    kappa = np.array([0.4, -0.3])[:rank]
    nu, twin = neuron(f, kappa, matched), brute_force(f, kappa, matched)
    assert (np.abs(nu.covariance - twin) <= nu.error + 1e-13 * np.abs(twin).max()).all()
    assert nu.error.max() < 1e-12


@pytest.mark.parametrize("matched", MATCHED)
def test_covariance_of_a_neuron_in_a_wide_nonlinear_regime(matched):
    """Standard errors of a sample instead of a quadrature: relu has a kink, and variances are large."""
    c = random_connectivity(5, rank=2, inputs=("A",), readouts=("w",), populations=1)
    f, kappa = mf.reduce(c, transfer="relu", inputs={"A": 1.0}), np.array([2.0, -1.5])
    u = np.random.default_rng(8).standard_normal((200_000, len(c.names)))
    h = contributions(f, kappa, c.means[0] + u @ np.linalg.cholesky(c.covariances[0]).T)
    rest = unexplained(h, u, np.ones(len(u)), matched)
    products = rest[:, :, None] * rest[:, None, :]
    apart = neuron(f, kappa, matched).covariance - products.mean(0)
    assert np.abs(apart / (products.std(0) / np.sqrt(len(h)))).max() < ERRORS


def isserlis(mean, covariance, together=None):
    """Cov(y_a y_b, y_c y_d) of a Gaussian, or, with weights, of the mixture: (A, A, A, A)."""
    if together is not None:
        products = covariance + mean[:, :, None] * mean[:, None, :]
        overall = np.tensordot(together, products, 1)
        between = np.einsum("p,pab,pcd->abcd", together, products, products) - np.multiply.outer(overall, overall)
        return between + sum(a * isserlis(m, s) for a, m, s in zip(together, mean, covariance, strict=True))
    square = np.multiply.outer(mean, mean)
    crossed = np.einsum("ac,bd->abcd", covariance, covariance) + np.einsum("ac,bd->abcd", covariance, square)
    crossed = crossed + np.einsum("ac,bd->abcd", square, covariance)
    return crossed + crossed.swapaxes(2, 3)


@pytest.mark.parametrize("matched", MATCHED)
def test_linear_neurons_in_closed_form(matched):
    """Far above threshold phi(x) = x: contributions are products of two loadings, and Gaussian moments do the rest."""
    c = random_connectivity(2, rank=2, inputs=("A",), readouts=("w",), populations=3)
    means = c.means.copy()
    means[:, c.index("A")] = [40.0, 45.0, 50.0]
    c = replace(c, means=means)
    f, kappa = mf.reduce(c, transfer="relu", inputs={"A": 1.0}), np.array([0.7, -0.4])
    x = np.array([*kappa, 0.0, 0.0, 1.0, 0.0])  # of (m, n, A, w)
    rows = np.eye(len(c.names))[[*range(2, 4), c.index("w")]]
    form = np.array([np.outer(row, x) for row in rows] + [np.outer(r, m) for r in rows for m in np.eye(len(x))[:2]])
    exact = np.zeros((len(form), len(form)))
    if matched == "nothing":
        exact = np.einsum("iab,abcd,jcd->ij", form, isserlis(c.means, c.covariances, c.weights), form)
    elif matched == "sizes":
        every = sum(a * isserlis(m, s) for a, m, s in zip(c.weights, c.means, c.covariances, strict=True))
        exact = np.einsum("iab,abcd,jcd->ij", form, every, form)
    nu = neuron(f, kappa, matched)
    assert (np.abs(nu.covariance - exact) <= nu.error).all()
    assert nu.error.max() < 1e-11 * 50**2


@pytest.mark.parametrize("transfer", ["tanh", "erf"])
def test_small_kappa_is_linear(transfer):
    """phi(x) = x + O(x^3): n x in units of kappa, and exactly n m for the slopes at 0; nothing is left with moments."""
    c = random_connectivity(4, rank=2, inputs=(), readouts=(), populations=1)
    c = replace(c, means=np.zeros_like(c.means))
    f, kappa, tiny = mf.reduce(c, transfer=transfer), np.array([0.8, -0.6]), 1e-7
    every = isserlis(c.means[0], c.covariances[0])[2:, :2, 2:, :2]
    assert_allclose(neuron(f, 0 * kappa).covariance[2:, 2:], every.reshape(4, 4), rtol=1e-13, atol=1e-13)
    drift = neuron(f, tiny * kappa).covariance[:2, :2] / tiny**2
    assert_allclose(drift, np.einsum("arbs,r,s->ab", every, kappa, kappa), rtol=1e-12)
    assert np.abs(neuron(f, 0 * kappa, "moments").covariance).max() < 1e-13
    assert np.abs(neuron(f, tiny * kappa, "moments").covariance[:2, :2]).max() / tiny**2 < 1e-12


@pytest.mark.parametrize("matched", MATCHED)
def test_batches_are_their_rows(matched, monkeypatch):
    f, kappa = rich(), np.random.default_rng(1).standard_normal((3, 5, 2))
    whole = neuron(f, kappa, matched)
    monkeypatch.setattr(sys.modules[neuron.__module__], "_BATCH", 4000)  # several pieces
    pieces = neuron(f, kappa, matched)
    assert (whole.drift, whole.output, whole.slope) == (slice(0, 2), slice(2, 3), slice(3, 9))
    one = neuron(f, kappa[2, 3], matched)
    for other in (whole, pieces):
        assert_allclose(other.covariance[2, 3], one.covariance, rtol=1e-12, atol=1e-13)


def agree(a, b, kappa=None, tolerance=1e-9):
    """Two spreads are the same, up to a linear map of kappa (a = kappa b) and the order of the points."""
    kappa = np.eye(a.fixed_points.kappa.shape[1]) if kappa is None else kappa
    moved = b.fixed_points.kappa @ kappa.T
    order = [np.linalg.norm(moved - point, axis=1).argmin() for point in a.fixed_points.kappa]
    assert sorted(order) == list(range(len(order)))
    pairs = [(a.fixed_points.kappa, moved), (a.covariance, kappa @ b.covariance @ kappa.T), (a.bias, b.bias @ kappa.T)]
    for name in ("eigenvalue_covariance", "readout", "readout_covariance", "readout_bias"):
        pairs.append((getattr(a, name), getattr(b, name)))
    for x, y in pairs:
        assert_allclose(x, y[order], rtol=0, atol=tolerance * np.abs(np.nan_to_num(x)).max(initial=1.0))


@pytest.mark.parametrize("matched", MATCHED)
@given(seed=SEEDS, fraction=st.floats(0.1, 0.9))
@settings(max_examples=4)
def test_names_and_bases_do_not_matter(matched, seed, fraction):
    """The order of populations, a population cut in two, the sign gauge of neurons and the basis of rank space."""
    f, basis, p = rich(), random_basis(seed), seed % 2
    c, here = f.connectivity, spread(mf.fixed_points(f), matched)
    for other in (c.permute([1, 0]), c.split(p, fraction), c.flip(p)):
        agree(here, spread(mf.fixed_points(replace(f, connectivity=other)), matched))
    turned = spread(mf.fixed_points(replace(f, connectivity=c.rotate(basis))), matched)
    agree(here, turned, kappa=basis, tolerance=1e-7)


def test_rank_one_origin_in_closed_form():
    """The eigenvalue at 0 is (overlap - 1)/tau, and N Var(overlap) = s_nn s_mm + s_nm^2; the bias is odd."""
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "m1 m1": 1.5, "n1 n1": 7.0}], rank=1)
    s, slow = (spread(mf.fixed_points(mf.reduce(c, tau=tau))) for tau in (1.0, 2.0))
    assert_allclose(s.eigenvalue_covariance[1, 0], [[7.0 * 1.5 + 4.0, 0.0], [0.0, 0.0]], rtol=1e-13, atol=1e-14)
    assert_allclose(4 * slow.eigenvalue_covariance, s.eigenvalue_covariance, rtol=1e-9, atol=1e-14)
    assert s.covariance[1, 0, 0] < 1e-25 and abs(s.bias[1, 0]) < 1e-14
    for mirrored in (s, slow):
        assert_allclose(mirrored.bias[0], -s.bias[2], rtol=1e-9)
        assert_allclose(mirrored.covariance[0], s.covariance[2], rtol=1e-9)


def draw(c, n_neurons, draws, seed, matched):
    """Loadings (draws, N, A) of networks that share what is ``matched``."""
    rng = np.random.default_rng(seed)
    if matched == "moments":
        nets = [c.sample(n_neurons, int(s), match_moments=True) for s in rng.integers(0, 2**31, draws)]
        return np.array([np.hstack([net.m, net.n, net.I, net.w]) for net in nets])
    sizes = np.round(n_neurons * c.weights).astype(int)
    population = np.broadcast_to(np.repeat(np.arange(len(sizes)), sizes), (draws, n_neurons))
    if matched == "nothing":
        population = rng.choice(len(sizes), size=(draws, n_neurons), p=c.weights)
    values, vectors = np.linalg.eigh(c.covariances)
    roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    y = rng.standard_normal((draws, n_neurons, len(c.names)))
    for p, root in enumerate(roots):
        y[population == p] = y[population == p] @ root.T + c.means[p]
    return y


def finite(f, y, kappa):
    """Drift, readouts and their Jacobians in drawn networks at kappa (draws, R), with tau = 1."""
    rank, mean = f.rank, contributions(f, kappa[:, None], y).mean(1)
    rows = rank + len(f.connectivity.readouts)
    jacobian = mean[:, rows:].reshape(-1, rows, rank) - np.eye(rows, rank)
    return mean[:, :rank] - kappa, mean[:, rank:rows], jacobian[:, :rank], jacobian[:, rank:]


def drawn(f, point, y, solve=True):
    """Fixed points of drawn networks by Newton's method, and the orders of the displacement from that of the limit."""
    start, h = np.broadcast_to(point, (len(y), f.rank)), 1e-4 * np.eye(f.rank)
    force, readout, jacobian, turning = finite(f, y, start)
    inverse = -np.linalg.inv(f.jacobian(point))
    hessian = np.stack([(f.jacobian(point + s) - f.jacobian(point - s)) / 2e-4 for s in h], axis=-1)
    slope = (f.readout(point + h) - f.readout(point - h)).T / 2e-4
    bent = [(f.readout(point + h + s) - f.readout(point - h + s)).T / 2e-4 - slope for s in h]
    first = force @ inverse.T
    orders = []
    for moving, bend in ((jacobian - f.jacobian(point), hessian), (turning - slope, np.stack(bent, axis=-1) / 1e-4)):
        orders.append(np.einsum("dab,db->da", moving, first) + 0.5 * np.einsum("abc,db,dc->da", bend, first, first))
    second = orders[0] @ inverse.T
    out = {"first": first, "second": second, "reads": readout - f.readout(point) + first @ slope.T}
    out["second_reads"] = orders[1] + second @ slope.T
    kappa = start + first + second
    for _ in range(8 if solve else 0):
        force, readout, jacobian, _ = finite(f, y, kappa)
        kappa = kappa - np.linalg.solve(jacobian, force[..., None])[..., 0]
    assert not solve or np.abs(force).max() < 1e-10
    return SimpleNamespace(shift=kappa - point, readout=readout, jacobian=jacobian, **out)


def many(f, point, n_neurons, draws, seed, matched="nothing", **options):
    chunk = max(1, 100_000 // n_neurons)
    parts = [
        vars(drawn(f, point, draw(f.connectivity, n_neurons, min(chunk, draws - k), [seed, k], matched), **options))
        for k in range(0, draws, chunk)
    ]
    return SimpleNamespace(**{key: np.concatenate([part[key] for part in parts]) for key in parts[0]})


def covariance_off(values, predicted):
    """Largest distance of a sample covariance from the predicted one, in its standard errors."""
    variance = np.diag(predicted)
    error = np.sqrt((np.outer(variance, variance) + predicted**2) / (len(values) - 1))
    return np.abs((np.atleast_2d(np.cov(values.T)) - predicted) / error).max()


def mean_off(values, predicted):
    """The same of means."""
    return np.abs((values.mean(0) - predicted) / (values.std(0, ddof=1) / np.sqrt(len(values)))).max()


@pytest.mark.parametrize(("matched", "draws"), [("nothing", 600), ("sizes", 600), ("moments", 300)])
def test_drawn_networks(matched, draws):
    """Covariances of fixed point, readout and eigenvalues, and the bias with the first order taken off."""
    f, size = rich(), 1000
    s = spread(mf.fixed_points(f), matched)
    (point,), value = s.fixed_points.kappa, s.fixed_points.eigenvalues[0, 0]
    assert value.imag > 0.1
    d = many(f, point, size, draws, seed=3, matched=matched)
    assert covariance_off(d.shift, s.covariance[0] / size) < ERRORS
    assert covariance_off(d.readout, s.readout_covariance[0] / size) < ERRORS
    values = np.linalg.eigvals(d.jacobian)
    near = values[np.arange(draws), np.abs(values - value).argmin(-1)]
    turns = np.stack([near.real, near.imag], axis=-1)
    assert covariance_off(turns, s.eigenvalue_covariance[0, 0] / size) < ERRORS
    vectors = s.fixed_points.eigenvectors[0]
    mixed = np.linalg.inv(vectors) @ (d.jacobian - f.jacobian(point)) @ vectors
    assert mean_off(np.abs(mixed) ** 2, s.jacobian_variance[0] / size) < ERRORS
    if matched == "moments":
        assert np.isnan(s.bias).all() and np.isnan(s.readout_bias).all()
    else:
        assert mean_off(d.shift - d.first, s.bias[0] / size) < ERRORS
        assert mean_off(d.readout - s.readout[0] - d.reads, s.readout_bias[0] / size) < ERRORS


@pytest.mark.parametrize("matched", MATCHED[:2])
def test_bias_is_the_mean_of_the_second_order(matched):
    """Exactly, for networks of any size: the second order is quadratic in means over neurons."""
    f, size = rich(), 20
    s = spread(mf.fixed_points(f), matched)
    d = many(f, s.fixed_points.kappa[0], size, 20_000, seed=4, matched=matched, solve=False)
    assert mean_off(size * d.second, s.bias[0]) < ERRORS
    assert mean_off(size * d.second_reads, s.readout_bias[0]) < ERRORS
    assert covariance_off(d.first, s.covariance[0] / size) < 2 * ERRORS  # few neurons: not Gaussian


def test_orders_of_the_expansion():
    """What is left after the first order falls like 1/N, after the second like N^(-3/2)."""
    f = rich()
    point, sizes, logs = mf.fixed_points(f).kappa[0], np.array([400, 1600, 6400]), []
    for size in sizes:
        d = many(f, point, int(size), 200, seed=int(size))
        rests = [np.log(np.linalg.norm(rest, axis=-1)) for rest in (d.shift - d.first, d.shift - d.first - d.second)]
        logs.append([(rest.mean(), rest.std() / np.sqrt(len(rest))) for rest in rests])
    x = np.log(sizes) - np.log(sizes).mean()
    for (y, error), expected in zip(np.transpose(logs, (1, 2, 0)), (-1.0, -1.5), strict=True):
        slope, uncertainty = x @ y / (x @ x), np.sqrt(x**2 @ error**2) / (x @ x)
        assert abs(slope - expected) < ERRORS * uncertainty < 0.25
