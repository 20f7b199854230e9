"""The mixture: its checks, its constructors against independent constructions, and its names."""

import copy
import pickle
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import ROUNDING, SEEDS, random_connectivity, same, stacked, thesis
from numpy.testing import assert_allclose

from meanfield import Connectivity

# Constructors


def test_fields_are_checked_copies():
    means = np.zeros((1, 3))
    c = Connectivity([1], means, [np.eye(3)], rank=1, readouts=["w"])
    means[0, 0] = 5.0
    assert c.means[0, 0] == 0.0 and c.weights.dtype == c.covariances.dtype == np.float64
    assert c.inputs == () and c.readouts == ("w",) and c.g == 0.0
    for field in ("weights", "means", "covariances"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(c, field)[0] = 1.0
    with pytest.raises(AttributeError):
        c.rank = 2


def test_pickle_and_copy_stay_checked():
    for c in (random_connectivity(0, g=0.3), Connectivity.from_network(random_connectivity(0).sample(50, seed=1))):
        for d in (pickle.loads(pickle.dumps(c)), copy.deepcopy(c)):
            same(c, d, 0.0)
            assert not d.means.flags.writeable and not d.covariances.flags.writeable


EYE = [np.eye(2)]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([], np.zeros((0, 2)), np.zeros((0, 2, 2)), 1), r"weights: got shape \(0,\)"),
        (([[1.0]], np.zeros((1, 2)), EYE, 1), r"weights: got shape \(1, 1\), expected \(populations,\)"),
        (([0.5, 0.4], np.zeros((2, 2)), EYE * 2, 1), r"weights must sum to 1: got 0.9 \(2 populations\); divide by"),
        (([1.0, 0.0], np.zeros((2, 2)), EYE * 2, 1), r"population 1 \(second\) is empty"),
        (([1.5, -0.5], np.zeros((2, 2)), EYE * 2, 1), r"population 1 \(second\) has the negative weight -0.5"),
        (([np.nan], np.zeros((1, 2)), EYE, 1), "weights must be finite: got nan at index 0"),
        (
            ([1.0], np.zeros((1, 3)), EYE, 1),
            r"means: got shape \(1, 3\), expected \(1, 2\) \(populations, loadings m1 n1",
        ),
        (([1.0], [[0.0, np.inf]], EYE, 1), r"means must be finite: got inf at index \(0, 1\)"),
        (([1.0], np.zeros((1, 2)), np.eye(2), 1), r"covariances: got shape \(2, 2\), expected \(1, 2, 2\)"),
        (([1.0], np.zeros((1, 2)), [[[1.0, np.nan], [np.nan, 1.0]]], 1), "covariances must be finite"),
        (([1.0], np.zeros((1, 2)), np.full((1, 2, 2), np.nan), 1), "covariances must be finite"),
        (
            ([1.0], np.zeros((1, 2)), [[[1.0, 0.1], [0.2, 1.0]]], 1),
            r"population 0 \(first\): .*not symmetric: m1 n1 is 0.1",
        ),
        (([1.0], np.zeros((1, 2)), [[[-1.0, 0.0], [0.0, 1.0]]], 1), "smallest eigenvalue is -1, along m1"),
        (([1.0], np.zeros((1, 2)), [[[-1.0, 0.0], [0.0, -2.0]]], 1), "smallest eigenvalue is -2, along n1"),
        (([1.0], np.zeros((1, 2)), EYE, 1, (), (), -0.1), "g must not be negative: got -0.1"),
        (([1.0], np.zeros((1, 2)), EYE, 1, (), (), [0.1, 0.1]), r"g: got shape \(2,\), expected a number or \(1, 1\)"),
        (([1.0], np.zeros((1, 2)), EYE, 1, (), (), np.nan), "g must be finite: got nan"),
        (([1.0], np.zeros((1, 2)), EYE, 1, "A"), r"write \('A',\)"),
    ],
)
def test_bad_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        Connectivity(*arguments)


def test_which_population_is_not_positive():
    bad = np.array([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match=r"population 2 \(third\): .*smallest eigenvalue is -1, along m1, n1"):
        Connectivity([0.25] * 4, np.zeros((4, 2)), [np.eye(2), np.ones((2, 2)), bad, np.eye(2)], 1)


def test_rounding_is_no_defect_but_a_small_defect_is_one():
    """The tolerance 4 A eps times the largest eigenvalue: for A = 2, 1.8e-15."""
    for excess, accepted in ((1e-15, True), (1e-14, False), (1e-9, False)):
        covariance = 1e3 * np.array([[1.0, 1.0 + excess], [1.0 + excess, 1.0]])
        if accepted:
            kept = Connectivity([1.0], np.zeros((1, 2)), [covariance], 1).covariances
            assert (kept == covariance).all()
        else:
            with pytest.raises(ValueError, match="not positive semi-definite"):
                Connectivity([1.0], np.zeros((1, 2)), [covariance], 1)
    third = [[[1.0, 0.1 + 0.2], [0.3, 1.0]]]
    c = Connectivity([1.0], np.zeros((1, 2)), third, 1)
    assert c.covariances[0, 0, 1] == c.covariances[0, 1, 0] == pytest.approx(0.3, rel=1e-15)


def test_weights_stay_as_given():
    weights = np.array([0.1] * 10) + 1e-11
    assert (Connectivity(weights, np.zeros((10, 2)), np.zeros((10, 2, 2)), 1).weights == weights).all()


# from_overlaps


def test_thesis_4_3_1_from_its_own_linear_maps():
    maps = []
    for sign, amplitude in ((1.0, 10.0), (-1.0, 0.1)):
        x = np.zeros((5, 5))  # rows m1 m2 n1 n2 I as functions of x1..x5
        x[0, [0, 2]] = x[1, [1, 3]] = 1.0
        x[2, [0, 1]] = 3.0, 1.0
        x[3, [2, 3]] = sign, 2.5
        x[4, 4] = amplitude
        maps.append(x @ x.T)
    c = thesis(variances=True)
    assert_allclose(c.covariances, maps, rtol=0, atol=1e-13)
    assert (c.overlap("n", "m") == [[3.0, 1.0], [0.0, 2.5]]).all()
    # without the variances of n only the blocks that do not enter the reduced equations differ
    sparse = thesis().blocks()
    for left, right in zip(sparse, c.blocks(), strict=True):
        assert_allclose(left, right, rtol=0, atol=1e-13)
    # and n = B m with B = C / 2 explains the least variance: 10 / 2
    assert_allclose(np.diagonal(thesis().covariance("n", "n"), axis1=1, axis2=2)[0], [5.0, 3.625], rtol=1e-15)


@given(seed=SEEDS)
def test_n_and_w_are_the_linear_functions_of_m_and_inputs(seed):
    """The conditional covariance of (n, w) given (m, I) vanishes and B reproduces the listed covariances."""
    rng = np.random.default_rng(seed)
    full = random_connectivity(seed, populations=1).covariances[0]
    names = ("m1", "m2", "n1", "n2", "A", "w")
    x, y = [0, 1, 4], [2, 3, 5]
    pairs = [(a, b) for a in x for b in x if a <= b] + [(a, b) for a in y for b in x]
    listed = {" ".join(rng.permutation([names[a], names[b]])): full[a, b] for a, b in pairs}
    c = Connectivity.from_overlaps([listed], rank=2, inputs=("A",), readouts=("w",))
    got = c.covariances[0]
    for a, b in pairs:
        assert got[a, b] == got[b, a] == full[a, b]
    schur = got[np.ix_(y, y)] - got[np.ix_(y, x)] @ np.linalg.inv(got[np.ix_(x, x)]) @ got[np.ix_(x, y)]
    assert np.abs(schur).max() <= 1e-11 * np.abs(got).max()  # condition of the covariance of (m, I) up to 100


@given(seed=SEEDS, digits=st.floats(0, 14), rank=st.integers(1, 3))
def test_ill_conditioned_lists_are_not_refused_for_their_rounding(seed, digits, rank):
    """The implied block is a Gram matrix: the whole stays positive semi-definite for any condition of (m, I)."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.standard_normal((rank + 1, rank + 1)))[0]
    s = (u * 10.0 ** -rng.uniform(0, digits, rank + 1)) @ u.T
    names = [*(f"m{r + 1}" for r in range(rank)), "A"]
    listed = {f"{a} {b}": 0.5 * (s + s.T)[i, j] for i, a in enumerate(names) for j, b in enumerate(names) if i <= j}
    listed |= {
        f"n{r + 1} {b}": rng.standard_normal() * np.sqrt(s[j, j]) for r in range(rank) for j, b in enumerate(names)
    }
    c = Connectivity.from_overlaps([listed], rank=rank, inputs=("A",))
    variances = np.diagonal(c.covariance("n", "n")[0])
    assert (variances > 0).all()


def test_defaults_and_order_of_keys():
    c = Connectivity.from_overlaps([{"m1 n1": 2.0, "mean A": -1.0}], rank=1, inputs=("A", "B"), readouts=("z",))
    d = Connectivity.from_overlaps([{"weight": 1, "n1  m1": 2}], rank=1, inputs=("A", "B"), readouts=("z",))
    assert c.names == ("m1", "n1", "A", "B", "z")
    assert (c.covariances == d.covariances).all() and c.means.tolist() == [[0, 0, -1, 0, 0]]
    assert c.covariances[0].tolist() == [[1, 2, 0, 0, 0], [2, 4, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0] * 5]


def test_dependent_loadings():
    c = Connectivity.from_overlaps([{"m1 m2": 1.0, "n1 m1": 2.0, "n1 m2": 2.0}], rank=2)
    assert_allclose(c.covariance("n1", "n1"), 4.0, rtol=1e-14)
    c = Connectivity.from_overlaps([{"m1 m1": 0.0, "mean m1": 1.0, "mean n1": 2.0}], rank=1)
    assert c.point_masses and c.overlap("n1", "m1") == 2.0
    with pytest.raises(
        ValueError, match=r"population 0 \(first\): the covariance 'n1 m. ' = .* is impossible".replace(". '", ".'")
    ):
        Connectivity.from_overlaps([{"m1 m2": 1.0, "n1 m1": 2.0, "n1 m2": 1.0}], rank=2)
    with pytest.raises(ValueError, match="'n1 m1' = 1 is impossible: m1 are linearly dependent .or of variance 0"):
        Connectivity.from_overlaps([{"m1 m1": 0.0, "n1 m1": 1.0}], rank=1)


@pytest.mark.parametrize(
    "population, message",
    [
        ({"n1 m3": 1.0}, "unknown key 'n1 m3'; 'm3' is no loading: did you mean"),
        ({"n1m1": 1.0}, "unknown key 'n1m1'; did you mean"),
        ({"wieght": 1.0}, "did you mean 'weight'"),
        ({"maen n1": 1.0}, "'maen' is no loading"),
        ({"n1 mean": 1.0}, "'mean' stands first and once"),
        ({("n1", "m1"): 1.0}, "unknown key"),
        ({"n1 m1": 1.0, "m1 n1": 1.0}, "keys 'n1 m1' and 'm1 n1' are the same entry"),
        ({"n1 m1": "1"}, "key 'n1 m1' must be a number: got '1'"),
        ({"n1 m1": np.nan}, "key 'n1 m1' must be finite: got nan"),
        ({"n1 m1": [1.0]}, r"key 'n1 m1': got shape \(1,\), expected \(\)"),
        ({"n1 m1": 2.0, "n1 n1": 3.0}, "not positive semi-definite: its smallest eigenvalue is -0.236"),
        (
            {"m1 m2": 1.1, "n1 m1": 1.0},
            "covariance of m1, m2, A is not positive semi-definite: its smallest eigenvalue is -0.1",
        ),
        ("n1 m1", "must be a mapping"),
    ],
)
def test_bad_overlaps(population, message):
    with pytest.raises(ValueError, match=message):
        Connectivity.from_overlaps([population], rank=2, inputs=("A",))


def test_bad_lists_of_overlaps():
    for populations in ({"n1 m1": 1.0}, "n1 m1", 3, None):
        with pytest.raises(ValueError, match="must be a list with one mapping per population"):
            Connectivity.from_overlaps(populations, rank=1)
    with pytest.raises(ValueError, match="at least one population"):
        Connectivity.from_overlaps([], rank=1)
    with pytest.raises(ValueError, match=r"population 1 \(second\): has no 'weight'"):
        Connectivity.from_overlaps([{"weight": 0.5}, {"n1 m1": 1.0}], rank=1)


# from_network and from_samples


def test_from_network_is_exact_fast_and_small():
    net = random_connectivity(0, populations=2).sample(16384, seed=0)
    start = time.process_time()
    c = Connectivity.from_network(net)
    b = c.blocks()
    spent = time.process_time() - start
    assert spent < 1.0, spent  # measured 0.02 s; a check of 16384 covariances one by one takes several seconds
    assert c.point_masses and not b.spread and c.covariances.strides == (0, 0, 0) == b.cov_nm.strides
    assert not random_connectivity(0).point_masses and random_connectivity(0).blocks().spread
    assert (b.mean_n == net.n).all() and (c.mean("w") == net.w).all() and c.n_populations == 16384
    assert_allclose(c.overlap("n", "I"), net.n.T @ net.I / 16384, rtol=0, atol=1e-14)


def test_networks_with_missing_parts():
    m = np.arange(1.0, 7.0).reshape(3, 2)
    net = SimpleNamespace(m=m, n=m, I=None, w=np.ones(3))
    c = Connectivity.from_network(net)
    assert c.names == ("m1", "m2", "n1", "n2", "w")
    net.I = m
    assert Connectivity.from_network(net).inputs == ("I1", "I2")
    net.input_names = ("A",)
    with pytest.raises(ValueError, match="I has 2 columns, but 1 names"):
        Connectivity.from_network(net)
    net.input_names, net.I = ("A",), np.ones((2, 1))
    with pytest.raises(ValueError, match=r"I: got shape \(2, 1\), expected \(3 neurons"):
        Connectivity.from_network(net)
    with pytest.raises(ValueError, match=r"m and n of one shape \(neurons, rank\): got \(3, 2\) and \(3, 1\)"):
        Connectivity.from_network(SimpleNamespace(m=m, n=m[:, :1]))
    with pytest.raises(ValueError, match="n must be finite"):
        Connectivity.from_network(SimpleNamespace(m=m, n=m * np.nan))


@given(seed=SEEDS)
def test_from_samples_has_the_overlaps_of_the_sample(seed):
    c = random_connectivity(seed)
    net = c.sample(300, seed)
    d = Connectivity.from_samples(
        stacked(net), np.array(["x", "b", "c"])[net.population], rank=2, inputs=("A",), readouts=("w",)
    )
    for a in "mnIw":
        for b in "mnIw":
            exact = getattr(net, a).T @ getattr(net, b) / 300
            assert_allclose(d.overlap(a, b), exact, rtol=0, atol=ROUNDING * (1 + np.abs(exact).max()))
    order = [1, 2, 0]  # labels are sorted: b, c, x
    assert_allclose(d.weights, np.bincount(net.population)[order] / 300)


def test_bad_samples():
    loadings = np.random.default_rng(0).standard_normal((10, 3))
    with pytest.raises(ValueError, match=r"loadings: got shape \(10, 3\), expected \(neurons, 2\) in the order m1 n1"):
        Connectivity.from_samples(loadings, rank=1)
    with pytest.raises(ValueError, match=r"labels: got shape \(9,\), expected one label per neuron, \(10,\)"):
        Connectivity.from_samples(loadings, np.zeros(9), rank=1, inputs=("A",))
    with pytest.raises(ValueError, match="label 7 has 3 neurons: the covariance of 3 loadings needs at least 4"):
        Connectivity.from_samples(loadings, [0] * 7 + [7] * 3, rank=1, inputs=("A",))
    with pytest.raises(ValueError, match="0 neurons"):
        Connectivity.from_samples(np.zeros((0, 3)), rank=1, inputs=("A",))


# Reaching things by name


def test_names_select():
    c = random_connectivity(0, rank=2, inputs=("A", "B"), readouts=("w",))
    assert c.index("n2") == 3 and c.slice("I") == slice(4, 6)
    assert c.mean("m").shape == (3, 2) and c.mean("B").shape == (3,) and c.mean("w").shape == (3, 1)
    assert (c.covariance("n", "I")[:, 1, 0] == c.covariance("n2", "A")).all()
    assert (c.covariance("n2", "I") == c.covariance("n", "I")[:, 1]).all()
    assert_allclose(c.overlap("n", "m")[1, 0], c.overlap("n2", "m1"), rtol=1e-15)
    total = sum(a * (s + np.outer(mu, mu)) for a, s, mu in zip(c.weights, c.covariances, c.means, strict=True))
    assert_allclose(c.overlap("n", "w"), total[c.slice("n"), c.slice("w")], rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match="unknown loading 'n3'; did you mean 'n"):
        c.mean("n3")
    with pytest.raises(ValueError, match="unknown kind of loadings 'x'"):
        c.slice("x")


def test_text():
    c = thesis()
    assert repr(c) == "Connectivity(2 populations, rank 2, inputs I)"
    assert "n2 m1 = -1" in c._repr_html_() and "<table>" in c._repr_html_()
    assert repr(Connectivity.from_overlaps([{}], rank=1, g=0.5)) == "Connectivity(1 population, rank 1, g = 0.5)"
    big = Connectivity.from_network(c.sample(1000, seed=0))
    assert len(repr(big)) < 100 and "and 992 more" in big._repr_html_() and len(big._repr_html_()) < 5000
    assert repr(c.sample(10, 0)) == "Loadings(10 neurons, rank 2, I)"
