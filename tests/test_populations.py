"""Populations fitted to loadings: planted mixtures come back, whatever the signs, units and order of the neurons."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.validation.networks import Network, draw, load_network
from meanfield.validation.populations.climbing import climb
from meanfield.validation.populations.comparing import compare_populations
from meanfield.validation.populations.fitting import TooManyPopulations, fit_populations
from meanfield.validation.populations.gauge import adjusted_rand, half_space, matching
from meanfield.validation.populations.mixture_em import moments, problem, statistics, step
from meanfield.validation.populations.starts import starts

import meanfield as mf

# two climbs that reach one maximum may stop within this of each other: twice the tolerance of a climb
LEVEL = 2e-4
NAMES = {"rank": 1, "inputs": ("A",), "readouts": ("w",)}


def planted(means, n_populations=2, seed=3):
    """A mixture of four loadings with means of the given size, in one half space, and different covariances."""
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((n_populations, 4, 4)) / 2
    covariances = roots @ roots.swapaxes(1, 2) + 0.1 * np.eye(4)
    centres = means * (np.array([1.5, 0, 0, 0]) + rng.standard_normal((n_populations, 4)))
    weights = np.arange(n_populations, 0, -1.0)
    return mf.Connectivity(weights / weights.sum(), centres, covariances, **NAMES)


def opposite(strength=0.6):
    """Two populations without means, of opposite correlations: as one, they are a round cloud."""
    off = np.array([[0, strength, 0, 0], [strength, 0, 0, 0], [0, 0, 0, 0.3], [0, 0, 0.3, 0]])
    return mf.Connectivity([0.5, 0.5], np.zeros((2, 4)), [np.eye(4) + off, np.eye(4) - off], **NAMES)


def flipped(net, seed):
    """The same network in another sign gauge."""
    s = np.where(np.random.default_rng(seed).random(net.n_neurons) < 0.5, -1.0, 1.0)[:, None]
    return Network(net.m * s, net.n * s, net.I * s, net.w * s, population=net.population)


def agreement(fit, labels):
    own, theirs = (
        (x == np.arange(fit.connectivity.n_populations)[:, None]).astype(float) for x in (fit.labels, labels)
    )
    return (matching(theirs, own)[labels] == fit.labels).mean()


def scikit_learn(n_components, y):
    """Its mixture with full covariances; one thread, since its k-means slows down on busy cores."""
    mixture, threads = pytest.importorskip("sklearn.mixture"), pytest.importorskip("threadpoolctl")
    with threads.threadpool_limits(1):
        return mixture.GaussianMixture(n_components, n_init=5, random_state=0).fit(y)


@pytest.fixture(scope="module")
def modulo():
    c = planted(1.3)
    net = flipped(draw(c, 800, 4), 5)
    return c, net, fit_populations(net, 2, restarts=20)


def gaussian(y, mean, covariance):
    precision, d = np.linalg.inv(covariance), y - mean
    volume = np.linalg.det(2 * np.pi * covariance)
    return math.exp(-0.5 * d @ precision @ d) / math.sqrt(volume)


@pytest.mark.parametrize(("gauge", "means"), [(True, True), (False, True), (True, False)])
def test_step_equals_plain_loops(gauge, means):
    rng = np.random.default_rng(1)
    y, counts = rng.standard_normal((12, 2)), rng.integers(0, 3, 12).astype(float)
    weights, centres = np.array([0.3, 0.7]), rng.standard_normal((2, 2)) * means
    covariances = np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.7, -0.2], [-0.2, 1.5]]])
    p = problem(y, gauge, means)
    new, level = step(p, statistics(p, weights, centres, covariances)[None], counts[None])
    total, first, second, expected = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2, 2)), 0.0
    for x, count in zip(y, counts, strict=True):
        joint = {}
        for k in range(2):
            for sign, prior in ((1, 0.5), (-1, 0.5)) if gauge else ((1, 1.0),):
                joint[k, sign] = weights[k] * prior * gaussian(sign * x, centres[k], covariances[k])
        density = sum(joint.values())
        expected += count * math.log(density)
        for (k, sign), value in joint.items():
            r = count * value / density
            total[k] += r
            first[k] += r * sign * x
            second[k] += r * np.outer(x, x)
    centre = first / total[:, None] * means
    wanted = total / counts.sum(), centre, second / total[:, None, None] - centre[:, :, None] * centre[:, None]
    for ours, theirs in zip(moments(p, new[0]), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    assert abs(level[0] - expected) < 1e-12 * abs(expected)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), gauge=st.booleans(), means=st.booleans(), k=st.integers(2, 3))
def test_likelihood_never_decreases(seed, gauge, means, k):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((150, 3)) * rng.choice([0.5, 2], size=(150, 1)) + rng.standard_normal(3)
    p = problem(y, gauge, means)
    stats = starts(p, y, 4, k, rng)
    last, first = np.full(4, -np.inf), step(p, stats)[1]
    for _ in range(12):
        stats, level = step(p, stats)
        assert (level >= last - 1e-9 * np.abs(level)).all()
        last = level
    ended = climb(p, stats, cycles=5)
    sound = ~ended.collapsed
    assert (ended.log_likelihood[sound] >= last[sound] - 1e-9 * np.abs(last[sound])).all()
    assert (ended.log_likelihood[sound] >= first[sound]).all()


def test_means_come_back_modulo_sign(modulo):
    c, net, fit = modulo
    assert fit.gauge and fit.converged and fit.restarts.collapsed < 20
    assert fit.log_likelihood >= fit.log_likelihood_of(c)
    truth = fit.match(c)
    replicates = fit.bootstrap(50, seed=1)
    z = np.concatenate([part.ravel() for part in replicates.z_scores(truth)])
    # 42 numbers, errors known to 10 %: |z| above 4.5 would be one case in thousands
    assert np.abs(z).max() < 4.5 and np.sqrt(np.mean(z**2)) < 1.5
    # without a common half space the distance would be twice the means
    assert np.abs(truth.means - fit.connectivity.means).max() < 0.5 < np.abs(c.means).max()
    assert agreement(fit, net.population) > 0.9
    assert (fit.connectivity.means @ fit.connectivity.means[0] > 0).all()
    wrong = replace(truth, means=truth.means + 0.5)
    assert np.abs(replicates.z_scores(wrong)[1]).max() > 4.5


def test_half_space_of_means():
    means, basis = np.array([[-2.0, 0.1], [1.5, 0.3], [-1.0, 1.0]]), np.diag([1.0, 3.0])
    for signs in np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, 8).T:
        turned = half_space(np.ones(3) / 3, means * signs[:, None], basis) * signs
        assert turned.tolist() == [-1, 1, -1]  # they lie along the first direction, which they shift up
    assert half_space(np.ones(3) / 3, means * 0, basis).tolist() == [1, 1, 1]


def test_where_other_mixtures_lose_the_means(modulo):
    c, net, fit = modulo
    theirs = scikit_learn(1, np.column_stack([net.m, net.n, net.I, net.w]))
    assert np.abs(theirs.means_).max() < 0.2 < np.abs(np.average(fit.connectivity.means, axis=0)).max()
    y = fit.whitened.y
    bic = [scikit_learn(k, y).bic(y) for k in (1, 2, 3)]
    assert np.argmin(bic) > 1  # a population and its mirror image count twice
    ours = [fit_populations(net, k, restarts=12).bic for k in (1, 3)]
    assert fit.bic < min(ours)


def test_populations_that_differ_by_covariance_only():
    c = opposite()
    net = draw(c, 500, 0)
    one, two, three = (fit_populations(net, k, means=False, restarts=20) for k in (1, 2, 3))
    assert two.bic < one.bic and two.bic < three.bic
    assert two.log_likelihood >= two.log_likelihood_of(c)
    assert agreement(two, net.population) > 0.65  # 0.74 for the truth itself
    z = two.bootstrap(40, seed=2).z_scores(two.match(c))
    assert max(np.abs(part).max() for part in z) < 4.5
    bic = [scikit_learn(k, two.whitened.y).bic(two.whitened.y) for k in (1, 2)]
    assert bic[0] < bic[1]  # means that are not there cost it more than the covariances gain


@settings(max_examples=4)
@given(seed=st.integers(0, 1000))
def test_what_the_answer_does_not_depend_on(modulo, seed):
    _, net, fit = modulo
    rng = np.random.default_rng(seed)
    order, scale = rng.permutation(net.n_neurons), 10 ** rng.uniform(-2, 2, 4)
    loadings = np.column_stack([net.m, net.n, net.I, net.w])[order] * scale
    signs = np.where(rng.random(len(loadings)) < 0.5, -1.0, 1.0)
    other = fit_populations(loadings * signs[:, None], 2, gauge=True, restarts=12, seed=seed, **NAMES)
    level = other.log_likelihood + net.n_neurons * np.log(scale).sum()
    assert abs(level - fit.log_likelihood) < LEVEL
    ours, theirs = fit.connectivity, other.connectivity
    np.testing.assert_allclose(theirs.weights, ours.weights, atol=1e-3)
    # within 0.014 standard errors, which are a few percent of the largest entry
    np.testing.assert_allclose(theirs.covariances / np.outer(scale, scale), ours.covariances, atol=3e-3)
    np.testing.assert_allclose(np.abs(theirs.means / scale), np.abs(ours.means), atol=3e-3)
    assert (other.labels == fit.labels[order]).mean() > 0.995


def test_basis_of_rank_space_is_not_seen():
    rng = np.random.default_rng(8)
    loadings = rng.standard_normal((300, 6)) * rng.choice([0.5, 1.5], (300, 1)) @ rng.standard_normal((6, 6))
    matrix = rng.standard_normal((2, 2))
    turned = loadings.copy()
    turned[:, :2], turned[:, 2:4] = loadings[:, :2] @ matrix, loadings[:, 2:4] @ np.linalg.inv(matrix).T
    names = {"rank": 2, "inputs": ("A",), "readouts": ("w",), "gauge": True, "means": False, "restarts": 6}
    ours, theirs = fit_populations(loadings, 2, **names), fit_populations(turned, 2, **names)
    assert abs(ours.log_likelihood - theirs.log_likelihood) < LEVEL  # the map has determinant 1
    rotated = ours.connectivity.rotate(matrix)
    np.testing.assert_allclose(theirs.connectivity.covariances, rotated.covariances, rtol=1e-3, atol=1e-3)


def test_one_population_is_its_moments():
    net = draw(planted(1.0, 1), 200, 1)
    loadings = np.column_stack([net.m, net.n, net.I, net.w])
    fit = fit_populations(net, 1, gauge=False)
    sample = mf.Connectivity.from_samples(loadings, **NAMES)
    np.testing.assert_allclose(fit.connectivity.means, sample.means, atol=1e-12)
    np.testing.assert_allclose(fit.connectivity.covariances, sample.covariances, atol=1e-12)
    centred = loadings - loadings.mean(axis=0)
    det = np.linalg.slogdet(2 * np.pi * sample.covariances[0])[1]
    quadratic = np.einsum("ia,ab,ib->", centred, np.linalg.inv(sample.covariances[0]), centred)
    assert abs(fit.log_likelihood + 0.5 * (200 * det + quadratic)) < 1e-9 * abs(fit.log_likelihood)
    zero = fit_populations(net, 1, means=False).connectivity
    np.testing.assert_allclose(zero.covariances[0], loadings.T @ loadings / 200, atol=1e-12)
    errors = fit.bootstrap(200, seed=3).errors()[1][0]
    np.testing.assert_allclose(errors, np.sqrt(np.diag(sample.covariances[0]) / 200), rtol=0.25)  # 5 sigma of 200


def test_singular_loadings_are_part_of_the_answer():
    rng = np.random.default_rng(2)
    m, n = rng.standard_normal((2, 300, 1))
    net = Network(m, n + m, np.zeros((300, 1)), 2 * m)
    fit = fit_populations(net, 1, gauge=False)
    assert "2 combinations of loadings the same for all neurons" in fit.status and fit.n_parameters == 5
    c = fit.connectivity
    np.testing.assert_allclose(c.covariance("w", "w").ravel(), 4 * c.covariance("m1", "m1"))
    assert not c.covariance("A", "A").any() and len(fit.whitened.singular) == 2
    # an input that only a tenth of the neurons receive
    heard = np.where(np.arange(300) < 60, 1.0, 0.0)[:, None]
    net = Network(m, n + m, heard * rng.standard_normal((300, 1)), rng.standard_normal((300, 1)))
    fit = fit_populations(net, 2, means=False, restarts=20)
    assert (fit.labels == (np.arange(300) < 60)).all() and fit.at_floor.tolist() == [1, 0]
    assert "population 0 has no width in 1 direction" in fit.status
    assert fit.connectivity.covariance("A", "A")[0] < 1e-12 and fit.converged


def test_errors_say_what_to_do():
    net = draw(planted(1.0, 1), 60, 1)
    loadings = np.column_stack([net.m, net.n, net.I, net.w])
    with pytest.raises(ValueError, match="rank=, inputs= and readouts="):
        fit_populations(loadings, 1)
    with pytest.raises(ValueError, match="gauge=True for an odd"):
        fit_populations(loadings, 1, **NAMES)
    with pytest.raises(ValueError, match="expected .neurons, 4. in the order m1 n1 A w"):
        fit_populations(loadings[:, :3], 1, gauge=True, **NAMES)
    with pytest.raises(ValueError, match="need at least 70 neurons: got 60"):
        fit_populations(net, 7)
    with pytest.raises(ValueError, match="the same loadings"):
        fit_populations(np.zeros((60, 4)), 1, gauge=True, **NAMES)
    with pytest.raises(ValueError, match="must be finite"):
        fit_populations(np.where(loadings > 1, np.nan, loadings), 1, gauge=True, **NAMES)
    with pytest.raises(ValueError, match="cannot be squared"):
        fit_populations(loadings * 1e200, 2, gauge=True, **NAMES)
    for key in ({"seed": None}, {"gauge": "maybe"}, {"restarts": 0}):
        with pytest.raises(ValueError, match=next(iter(key))):
            fit_populations(net, 2, **key)
    # a dozen copies of one neuron among others: whatever starts there collapses, and is not the answer
    fit = fit_populations(np.vstack([loadings, np.tile(loadings[:1], (8, 1))]), 2, gauge=True, restarts=20, **NAMES)
    assert fit.connectivity.weights.min() * 68 >= fit.problem.least
    assert not fit_populations(replace(net, transfer="relu"), 1).gauge
    tight = np.vstack([np.tile(loadings[:1], (5, 1)), 1e-3 * loadings[:15]])
    with pytest.raises(TooManyPopulations, match="do not support 2 populations"):
        fit_populations(tight, 2, gauge=False, restarts=1, seed=0, **NAMES)


@pytest.mark.parametrize("gauge", [True, False])
def test_a_population_that_lost_its_neurons_stays_finite(gauge):
    """As extrapolation or underflow leave it; it is a climb that collapsed, no error."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((80, 3))
    p = problem(y, gauge, True)
    stats = starts(p, y, 3, 2, rng)
    stats[0, 1], stats[1, 1] = 0.0, stats[1, 1] * 1e-310
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        assert all(np.isfinite(part).all() for part in step(p, stats))
        ended = climb(p, stats, cycles=20)
    assert ended.collapsed.tolist()[:2] == [True, True] and np.isfinite(ended.stats).all()
    assert ended.log_likelihood[0] == -np.inf < ended.log_likelihood[2]


def test_too_many_populations_are_a_row_without_a_fit():
    net = draw(planted(1.0, 1), 30, 1)
    table = compare_populations(net, (1, 9), folds=2, subsamples=2, restarts=3, subsample_restarts=2)
    assert table.rows[1].fit is None and "need at least 90 neurons: got 30" in str(table)


def test_adjusted_rand_counts_pairs():
    rng = np.random.default_rng(0)
    a, b = rng.integers(3, size=(2, 30))
    pairs = [(i, j) for i in range(30) for j in range(i)]
    same = np.array([[a[i] == a[j], b[i] == b[j]] for i, j in pairs]).T
    both, expected = (same[0] & same[1]).sum(), same[0].sum() * same[1].sum() / len(pairs)
    assert abs(adjusted_rand(a, b) - (both - expected) / (same.sum() / 2 - expected)) < 1e-12
    assert adjusted_rand(a, (a + 1) % 3) == 1 and adjusted_rand(a * 0, a * 0) == 1


def test_comparison_finds_the_planted_number(modulo):
    net = flipped(draw(planted(1.3), 400, 9), 5)
    table = compare_populations(net, (1, 2, 3), folds=3, subsamples=4, restarts=10, subsample_restarts=5)
    assert table.chosen("bic") == 2 and table.chosen("held_out") in (2, 3)
    one, two, three = table.rows
    assert two.rand.mean() > 0.7 > three.rand.mean() and len(two.rand) == 6 and (one.rand == 1).all()
    gain, error = table.gain(one)
    assert gain < -3 * error < 0
    assert "Rand index" in str(table) and str(table).count("\n") == 3
    with pytest.raises(ValueError, match="unknown criterion"):
        table.chosen("taste")


def test_trained_networks_as_populations(shared_networks):
    for name, mean in (("pop__rdm_lr_fig2", 1.03), ("pop__romo_rank2_500", 0.18)):
        fit = fit_populations(load_network(shared_networks / f"{name}.npz"), 1, restarts=10)
        assert fit.gauge and fit.converged and abs(fit.connectivity.mean("m1")[0] - mean) < 0.01
    net = load_network(shared_networks / "pop__dms_retrained_2pop.npz")
    fit = fit_populations(net, 2, means=False, restarts=8)
    assert fit.log_likelihood >= fit.log_likelihood_of(net.mixture)
    assert agreement(fit, net.population) > 0.999
    z = fit.bootstrap(25, seed=1).z_scores(fit.match(net.mixture))
    assert all(np.sqrt(np.mean(part[np.isfinite(part)] ** 2)) < 1.5 for part in z)
