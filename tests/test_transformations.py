"""What transformations must leave alone, the normal form against the SVD of finite networks, and samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import ROUNDING, SEEDS, random_basis, random_connectivity, same, stacked
from numpy.testing import assert_allclose

from meanfield import Connectivity
from meanfield.mixture.sampling import population_sizes

# Transformations


@given(seed=SEEDS, rank=st.integers(1, 4))
def test_rotation_and_back(seed, rank):
    c, a = random_connectivity(seed, rank), random_basis(seed, rank)
    same(c, c.rotate(a).rotate(np.linalg.inv(a)), 1e-11)  # condition numbers up to 10, squared


@given(seed=SEEDS, rank=st.integers(1, 4))
def test_rotation_leaves_the_connectivity_matrix_and_the_dynamics(seed, rank):
    """J and x = m kappa + I v stay; so do the statistics of the input and the eigenvalues of the overlap."""
    c, a = random_connectivity(seed, rank), random_basis(seed, rank)
    d = c.rotate(a)
    kappa = np.random.default_rng(seed).standard_normal(rank)
    new = np.linalg.solve(a, kappa)
    assert_allclose(d.mean("m") @ new, c.mean("m") @ kappa, rtol=0, atol=1e-11)
    assert_allclose(d.mean("n") @ a.T, c.mean("n"), rtol=0, atol=1e-11)
    for p in range(3):
        assert_allclose(new @ d.covariance("m", "m")[p] @ new, kappa @ c.covariance("m", "m")[p] @ kappa, rtol=1e-10)
        assert_allclose(a @ d.covariance("n", "m")[p] @ new, c.covariance("n", "m")[p] @ kappa, rtol=0, atol=1e-10)
        # E[m n^T], the expected weight between two neurons of the population (sum over ranks)
        assert_allclose(np.sum(d.mean("m")[p] * d.mean("n")[0]), np.sum(c.mean("m")[p] * c.mean("n")[0]), atol=1e-11)
    assert_allclose(
        np.poly(d.overlap("n", "m")),
        np.poly(c.overlap("n", "m")),
        rtol=0,
        atol=1e-9 * np.abs(np.poly(c.overlap("n", "m"))).max(),
    )
    assert_allclose(d.covariance("I", "w"), c.covariance("I", "w"), rtol=0, atol=1e-14)


def test_rotation_of_a_finite_network_keeps_j():
    net = random_connectivity(1).sample(40, seed=0)
    c, a = Connectivity.from_network(net), random_basis(5)
    d = c.rotate(a)
    assert d.point_masses
    assert_allclose(d.mean("m") @ d.mean("n").T, net.m @ net.n.T, rtol=0, atol=1e-12)


def test_bad_rotations():
    c = random_connectivity(0)
    with pytest.raises(ValueError, match="invertible: its singular values run from 2 to"):
        c.rotate(np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"matrix: got shape \(3, 3\), expected \(2, 2\)"):
        c.rotate(np.eye(3))
    with pytest.raises(ValueError, match="finite"):
        c.rotate([[1.0, np.nan], [0.0, 1.0]])


@given(seed=SEEDS, p=st.integers(0, 2), fraction=st.floats(0.01, 0.99))
def test_split_and_merge(seed, p, fraction):
    c = random_connectivity(seed, g=np.random.default_rng(seed).uniform(0, 1, (3, 3)))
    d = c.split(p, fraction)
    assert d.n_populations == 4 and (d.covariances[p] == d.covariances[p + 1]).all()
    for pair in (("n", "m"), ("I", "w")):
        assert_allclose(d.overlap(*pair), c.overlap(*pair), rtol=0, atol=1e-13)
    same(c, d.merge([p, p + 1]))
    same(c, d.merge([p + 1, p]))


@given(seed=SEEDS)
def test_merge_keeps_every_overlap(seed):
    c = random_connectivity(seed, populations=4)
    for populations in ([0, 2], [3, 1, 2], [0, 1, 2, 3]):
        d = c.merge(populations)
        assert d.n_populations == 5 - len(populations)
        for a in "mnIw":
            assert_allclose(d.overlap("n", a), c.overlap("n", a), rtol=0, atol=1e-12)
            assert_allclose(d.weights @ d.mean(a), c.weights @ c.mean(a), rtol=0, atol=1e-12)


def test_merge_of_two_points_is_their_spread():
    c = Connectivity([0.25, 0.75], [[0.0, 0.0], [4.0, 2.0]], np.zeros((2, 2, 2)), 1, g=[[0.0, 2.0], [2.0, 0.0]])
    d = c.merge([0, 1])
    assert d.means.tolist() == [[3.0, 1.5]] and d.covariances.tolist() == [[[3.0, 1.5], [1.5, 0.75]]]
    assert_allclose(d.g, [[np.sqrt(2 * 0.25 * 0.75 * 4)]])  # the mean squared random weight


def test_bad_populations():
    c = random_connectivity(0)
    for call in (lambda: c.split(3, 0.5), lambda: c.merge([0, 3]), lambda: c.flip(3), lambda: c.flip([0, 3])):
        with pytest.raises(ValueError, match=r"population 3 \(4th\) does not exist: there are 3, counted from 0"):
            call()
    for call in (lambda: c.split(-1, 0.5), lambda: c.flip(-1), lambda: c.flip("a"), lambda: c.permute([0, 1, 1.5])):
        with pytest.raises(ValueError, match="population must be an integer, at least 0"):
            call()
    for fraction in (0.0, 1.0, np.nan, 2):
        with pytest.raises(ValueError, match="fraction must"):
            c.split(0, fraction)
    for few in ([], [1], [1, 1]):
        with pytest.raises(ValueError, match="at least two different populations"):
            c.merge(few)
    with pytest.raises(ValueError, match="each of the 3 populations once"):
        c.permute([0, 1, 1])


@given(seed=SEEDS, order=st.permutations([0, 1, 2]))
def test_permutation(seed, order):
    g = np.random.default_rng(seed).uniform(0, 1, (3, 3))
    c = random_connectivity(seed, g=g)
    d = c.permute(order)
    for p, q in enumerate(order):
        assert d.weights[p] == c.weights[q] and (d.means[p] == c.means[q]).all() and d.g[p, 0] == g[q, order[0]]
    same(c, d.permute(np.argsort(order)), 0.0)
    assert_allclose(d.overlap("n", "m"), c.overlap("n", "m"), rtol=0, atol=1e-14)


@given(seed=SEEDS, populations=st.sets(st.integers(0, 2), min_size=1))
def test_flip_is_an_involution_that_no_overlap_sees(seed, populations):
    c = random_connectivity(seed)
    d = c.flip(sorted(populations))
    same(c, d.flip(sorted(populations)), 0.0)
    assert (d.covariances == c.covariances).all() and (d.means[min(populations)] == -c.means[min(populations)]).all()
    assert_allclose(d.overlap("n", "m"), c.overlap("n", "m"), rtol=0, atol=1e-14)
    assert (c.flip(1).means == c.flip([1]).means).all()


def test_flip_leaves_the_dynamics_for_odd_phi_only():
    from meanfield import reduce

    c, kappa = random_connectivity(0), np.array([[0.3, -0.7], [1.0, 0.4]])
    for transfer, unchanged in (("erf", True), ("relu", False)):
        drifts = [reduce(d, transfer=transfer, inputs={"A": 0.5})(kappa) for d in (c, c.flip([0, 2]))]
        assert np.allclose(*drifts, rtol=0, atol=1e-13) == unchanged


def test_new_inputs_are_independent():
    c = random_connectivity(0)
    d = c.with_inputs({"B": 4.0, "C": {"mean": [1.0, 2.0, 3.0], "variance": [0.0, 1.0, 2.0]}, "D": {}})
    assert d.names == ("m1", "m2", "n1", "n2", "A", "B", "C", "D", "w")
    old = [d.index(name) for name in c.names]
    assert (d.covariances[:, np.array(old)[:, None], old] == c.covariances).all() and (d.means[:, old] == c.means).all()
    assert d.covariance("B", "B").tolist() == [4.0] * 3 and d.covariance("C", "C").tolist() == [0.0, 1.0, 2.0]
    assert d.mean("C").tolist() == [1.0, 2.0, 3.0] and d.covariance("D", "D").tolist() == [1.0] * 3
    assert not d.covariance("B", "m").any() and not d.covariance("w", "C").any() and not d.covariance("B", "C").any()
    for inputs, message in (
        ({"A": 1.0}, "'A' is used twice"),
        ({"B": -1.0}, r"population 0 \(first\): .*smallest eigenvalue is -1"),
        ({"B": [1.0, 2.0]}, r"variance of input 'B': got shape \(2,\), expected a number or \(3,\)"),
        ({"B": {"var": 1.0}}, "unknown key 'var'"),
        (["B"], "inputs must map names to variances"),
    ):
        with pytest.raises(ValueError, match=message):
            c.with_inputs(inputs)


# Spectrum and normal form


def test_spectrum_of_a_complex_pair():
    """Thesis Fig. 4.1 d: overlap (2.5, -1; 1, 2) has the eigenvalues 2.25 +- i sqrt(0.9375)."""
    c = Connectivity.from_overlaps([{"n1 m1": 2.5, "n1 m2": -1.0, "n2 m1": 1.0, "n2 m2": 2.0}], rank=2)
    found = c.eigen()
    assert_allclose(found.eigenvalues, [2.25 + 1j * 0.9375**0.5, 2.25 - 1j * 0.9375**0.5], rtol=1e-15)
    assert found.residual < 1e-14


@given(seed=SEEDS, rank=st.integers(1, 5))
def test_spectrum(seed, rank):
    c = random_connectivity(seed, rank)
    found = c.eigen()
    scale = np.linalg.norm(c.overlap("n", "m"))
    assert found.residual <= 1e-13 * scale
    assert (np.diff(found.eigenvalues.real) <= 0).all()
    assert_allclose(np.linalg.norm(found.eigenvectors, axis=0), 1.0, rtol=1e-14)
    assert abs(found.eigenvalues.sum() - np.trace(c.overlap("n", "m"))) <= 1e-13 * rank * scale
    # the same numbers are the non-zero eigenvalues of J
    net = c.sample(60, seed)
    d = Connectivity.from_network(net)
    values = np.linalg.eigvals(net.m @ net.n.T / 60)
    kept = values[np.argsort(-np.abs(values))[:rank]]
    for value in d.eigen().eigenvalues:
        assert np.abs(kept - value).min() < 1e-6 * (1 + scale)  # eigenvalues of J may be ill-conditioned


@given(seed=SEEDS, rank=st.integers(1, 4))
def test_svd_normal_form_is_the_svd_of_a_network_with_these_moments(seed, rank):
    c = random_connectivity(seed, rank, populations=2).split(0, 0.5)
    c = Connectivity([0.25, 0.25, 0.5], c.means, c.covariances, rank, c.inputs, c.readouts)
    net = c.sample(80, seed, match_moments=True)  # 20, 20 and 40 neurons: the weights exactly
    form = c.svd_normal_form()
    j = net.m @ net.n.T / 80
    s = np.linalg.svd(j, compute_uv=False)
    assert_allclose(form.singular_values, s[:rank], rtol=1e-9)
    for kind in "mn":
        moment = form.connectivity.overlap(kind, kind)
        assert_allclose(moment, np.diag(form.singular_values), rtol=0, atol=1e-10 * s[0])
    same(form.connectivity, c.rotate(form.matrix), 0.0)
    # thesis 1.2.1: m = U sqrt(S), n = V sqrt(S) up to the sqrt(N) of the scaling and the joint sign of each column
    u, s, vt = np.linalg.svd(j)
    for r in range(rank):
        if np.abs(np.delete(s, r) - s[r]).min() > 1e-3 * s[0]:
            m, n = net.m @ form.matrix[:, r], net.n @ np.linalg.inv(form.matrix)[r]
            sign = np.sign(m @ u[:, r])
            assert_allclose(sign * m, u[:, r] * np.sqrt(80 * s[r]), rtol=0, atol=1e-7 * np.sqrt(80 * s[0]))
            assert_allclose(sign * n, vt[r] * np.sqrt(80 * s[r]), rtol=0, atol=1e-7 * np.sqrt(80 * s[0]))


@given(seed=SEEDS)
def test_normal_form_of_a_normal_form_changes_nothing(seed):
    form = random_connectivity(seed).svd_normal_form()
    if np.diff(form.singular_values)[0] < -1e-3 * form.singular_values[0]:
        assert_allclose(form.connectivity.svd_normal_form().matrix, np.eye(2), rtol=0, atol=1e-9)
    dominant = np.abs(form.matrix).argmax(axis=0)
    assert (form.matrix[dominant, [0, 1]] > 0).all() or np.abs(
        np.abs(form.matrix[0]) / np.abs(form.matrix[1]) - 1
    ).min() < 1e-3


def test_normal_form_needs_the_full_rank():
    c = Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=2)
    with pytest.raises(ValueError, match="the n's are linearly dependent, so J has a rank below 2"):
        c.svd_normal_form()
    with pytest.raises(ValueError, match="the n's are linearly dependent"):
        Connectivity.from_overlaps([{}], rank=1).svd_normal_form()


# Samples


@given(seed=SEEDS, deficient=st.integers(0, 4), n_neurons=st.integers(60, 90))
def test_matched_samples_have_the_moments_exactly(seed, deficient, n_neurons):
    c = random_connectivity(seed, deficient=deficient)
    net = c.sample(n_neurons, seed, match_moments=True)
    loadings = stacked(net)
    assert len(loadings) == n_neurons
    for p in range(3):
        block = loadings[net.population == p]
        assert abs(len(block) - n_neurons * c.weights[p]) < 1
        assert_allclose(block.mean(axis=0), c.means[p], rtol=0, atol=1e-13)
        assert_allclose(np.cov(block.T, ddof=0), c.covariances[p], rtol=0, atol=ROUNDING)


def test_matched_samples_still_vary():
    c = random_connectivity(0)
    one, two = (c.sample(60, seed, match_moments=True).m for seed in (0, 1))
    assert np.abs(one - two).max() > 0.1
    assert (c.sample(60, 0, match_moments=True).m == one).all() and (c.sample(60, 0).m == c.sample(60, 0).m).all()


def test_plain_samples_lie_within_their_standard_errors():
    """z-scores of all means and covariances of 200 draws: variance 1, none beyond 5 of some thousand."""
    c, n_neurons, draws = random_connectivity(3), 200, 200
    scores = []
    for seed in range(draws):
        net = c.sample(n_neurons, seed)
        loadings = stacked(net)
        for p in range(3):
            block = loadings[net.population == p]
            size, s = len(block), c.covariances[p]
            offset = block - c.means[p]
            scores.append(offset.mean(axis=0) / np.sqrt(np.diag(s) / size))
            spread = np.sqrt((np.outer(np.diag(s), np.diag(s)) + s**2) / size)
            scores.append(((offset.T @ offset / size - s) / spread)[np.triu_indices(6)])
    scores = np.concatenate(scores)
    assert np.abs(scores).max() < 6  # skewed by chi-squares: 5 alone is reached by one in 10^5
    assert abs(np.mean(scores**2) - 1) < 0.05  # 600 x 27 correlated squares: standard error about 0.015
    sizes = np.array([np.bincount(c.sample(n_neurons, seed).population, minlength=3) for seed in range(draws)])
    chi2 = ((sizes - n_neurons * c.weights) ** 2 / (n_neurons * c.weights)).sum(axis=1)
    assert abs(chi2.mean() - 2) < 5 * 2 / np.sqrt(draws)  # multinomial: P - 1 = 2 degrees of freedom, variance 4


def test_sizes_of_populations():
    assert population_sizes(np.array([1.0]), 7).tolist() == [7]
    assert population_sizes(np.full(3, 1 / 3), 100).tolist() == [34, 33, 33]
    assert population_sizes(np.array([0.001, 0.999]), 10).tolist() == [0, 10]
    assert population_sizes(np.full(7, 1 / 7), 7).tolist() == [1] * 7


def test_samples_of_a_network_and_round_trip():
    net = random_connectivity(0).sample(30, seed=0)
    c = Connectivity.from_network(net)
    again = c.sample(30, seed=0, match_moments=True)
    assert (again.m == net.m).all() and (again.w == net.w).all() and again.input_names == ("A",)
    bootstrap = c.sample(30, seed=0)
    assert set(map(tuple, bootstrap.m)) < set(map(tuple, net.m))


def test_bad_samples_are_refused():
    c = random_connectivity(0)
    with pytest.raises(ValueError, match="needs a seed"):
        c.sample(10, None)
    with pytest.raises(ValueError, match="n_neurons must be an integer, at least 1: got 0"):
        c.sample(0, seed=0)
    with pytest.raises(
        ValueError, match=r"population . \(\w+\) gets \d neurons, but a covariance of rank 6 needs at least 7"
    ):
        c.sample(15, seed=0, match_moments=True)
