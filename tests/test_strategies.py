"""The strategies draw what they promise, and find what they should; the theory under them; the page about them."""

import importlib.util
import math
import random
import re
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from meanfield.validation import Network
from meanfield.validation import strategies as mfst
from numpy.testing import assert_allclose

import meanfield as mf
from meanfield.transfer import get_transfer

PAGE = Path(__file__).resolve().parents[1] / "docs/property-tests.md"
ALL = ("tanh", "erf", "logistic", "softplus", "relu", "step", "sin")


FINDING = settings(max_examples=500, database=None, derandomize=True, phases=[Phase.generate])
SHRINKING = settings(FINDING, phases=[Phase.generate, Phase.shrink])


def some(strategy, condition):
    """A draw with a property; hypothesis raises when it finds none."""
    return find(strategy, condition, settings=FINDING, random=random.Random(0))


def simplest(strategy, condition=lambda drawn: True):
    """The draw that an example with a property shrinks to."""
    return find(strategy, condition, settings=SHRINKING, random=random.Random(0))


# Mixtures


def rank_of(covariance):
    return np.linalg.matrix_rank(covariance, hermitian=True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inputs": ("A", "B"), "readouts": ("w",), "populations": 3},
        {"rank": range(2, 5), "max_mean": 0.3, "max_variance": 0.1, "inputs": ("I",)},
        {"max_variance": 50.0, "zero_mean": True, "readouts": ("y", "z")},
        {"rank": 6, "populations": range(5, 9), "inputs": ("A", "B")},
    ],
)
@given(data=st.data())
def test_mixtures_keep_their_bounds(options, data):
    c = data.draw(mfst.connectivities(**options))
    bound, largest = options.get("max_mean", 2.0), options.get("max_variance", 4.0)
    sizes = [options.get(name, range(1, 4)) for name in ("rank", "populations")]
    for number, size in zip((c.rank, c.n_populations), sizes, strict=True):
        assert number in (size if isinstance(size, range) else (size,))
    assert (c.inputs, c.readouts, c.g) == (options.get("inputs", ()), options.get("readouts", ()), 0.0)
    assert c.weights.max() <= 10.0 * c.weights.min() * (1 + 1e-15)
    assert np.all((c.means == 0) | (np.abs(c.means) >= bound / 1024)) and np.all(np.abs(c.means) <= bound)
    assert not (options.get("zero_mean") and c.means.any())
    assert np.all(np.abs(c.covariances) <= largest * (1 + 1e-14))
    assert np.all(np.abs(c.overlap("n", "m")) <= (largest + bound**2) * (1 + 1e-14))


@pytest.mark.parametrize("max_variance", [0.1, 4.0, 30.0])
@given(data=st.data())
def test_regular_covariances_have_the_documented_condition(max_variance, data):
    c = data.draw(mfst.connectivities(inputs=("A",), readouts=("w",), singular=False, max_variance=max_variance))
    q = max(4.0, 2.0 * math.sqrt(max_variance))
    assert np.linalg.cond(c.covariances).max() <= len(c.names) * (q * (1 + q * math.sqrt(c.rank + 1))) ** 2


def test_the_condition_that_the_docstring_rounds():
    assert 8 * (4 * (1 + 4 * math.sqrt(4))) ** 2 == pytest.approx(1e4, rel=0.1)


@pytest.mark.parametrize(
    "condition",
    [
        lambda c: c.n_populations == 2 and c.weights[0] < 0.3,
        lambda c: c.n_populations == 3 and c.rank == 3,
        lambda c: c.point_masses and c.means.any(),
        lambda c: any(s.any() for s in c.covariances) and not all(s.any() for s in c.covariances),
        lambda c: any(0 < rank_of(s) < len(s) for s in c.covariances),
        lambda c: c.rank == 2 and not all(np.diag(c.covariances[0])[:2]),  # some m is the same for all neurons
        lambda c: (
            c.rank == 2 and c.covariance("m1", "m2")[0] ** 2 > 0.25 * np.prod(c.covariances[0].diagonal()[:2])
        ),  # m1 with m2
        lambda c: np.abs(np.linalg.eigvals(c.overlap("n", "m"))).max() > 3,
        lambda c: np.linalg.eigvals(c.overlap("n", "m")).imag.any(),
        lambda c: c.covariance("n", "I").any() and c.covariance("w", "m").any() and c.covariance("m", "I").any(),
        lambda c: c.covariance("m", "m").max() > 3.5,
        lambda c: np.all(c.means != 0) and np.all(c.covariance("n", "m") != 0) and c.n_populations > 1,
    ],
)
def test_mixtures_of_each_sort_are_found(condition):
    some(mfst.connectivities(inputs=("A",), readouts=("w",)), condition)


@pytest.mark.parametrize("options", [{}, {"singular": False}, {"zero_mean": True}, {"inputs": ("A",)}])
def test_the_simplest_mixture(options):
    c = simplest(mfst.connectivities(**options))
    assert (c.rank, c.weights.tolist(), c.means.any()) == (1, [1.0], False)
    assert (c.covariances == np.eye(len(c.names))).all()
    assert (simplest(mfst.connectivities(max_variance=0.25)).covariances == 0.25 * np.eye(2)).all()


def test_what_is_found_is_simple():
    c = simplest(mfst.connectivities(rank=range(1, 4), zero_mean=True), lambda c: c.overlap("n", "m")[-1, 0] >= 1)
    assert c.rank == 1 and c.n_populations <= 2 and 1 <= c.overlap("n", "m") <= 2  # a shrinker may stop a step early
    c = simplest(mfst.connectivities(), lambda c: c.n_populations > 1)
    assert c.n_populations == 2 and c.rank == 1 and not c.means.any()


@given(c=mfst.connectivities(st.sampled_from([2, 5]), st.sampled_from([(), ("A", "B")]), populations=st.just(2)))
def test_sizes_and_names_may_be_strategies(c):
    assert c.rank in (2, 5) and c.inputs in ((), ("A", "B")) and c.n_populations == 2


def test_draws_are_reproducible_and_many_are_no_trouble():
    """Health checks (of filters, of size, of time) are on."""

    def draws():
        drawn = []

        @settings(max_examples=60, database=None, derandomize=True)
        @given(c=mfst.connectivities(rank=8, populations=range(1, 13), inputs=("A", "B"), readouts=("w",)))
        def collect(c):
            drawn.append(c)

        collect()
        return drawn

    one, two = draws(), draws()
    assert len(one) == len(two) >= 60
    for c, d in zip(one, two, strict=True):
        assert (c.covariances.shape, c.means.tolist()) == (d.covariances.shape, d.means.tolist())
        assert (c.covariances == d.covariances).all() and (c.weights == d.weights).all()


# Transfer functions, kappas, inputs, networks


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ALL),
        ({"odd": True}, ("tanh", "erf", "sin")),
        ({"smooth": False}, ("relu", "step")),
        ({"bounded": True}, ("tanh", "erf", "logistic", "step", "sin")),
        ({"bounded": False, "smooth": True}, ("softplus",)),
        ({"odd": False, "bounded": True, "smooth": True}, ("logistic",)),
    ],
)
def test_transfer_functions_by_property(wanted, names):
    strategy = mfst.transfers(**wanted)
    assert simplest(strategy) == names[0]
    for name in names:
        some(strategy, lambda drawn, name=name: drawn == name)

    @given(name=strategy)
    def no_others(name):
        assert name in names

    no_others()


@pytest.mark.parametrize("batch", [(), 5, (2, 3), (1000,), (0, 4), [3]])
@given(data=st.data())
def test_kappas(batch, data):
    kappa = data.draw(mfst.kappas(2, batch, radius=1.5))
    assert kappa.dtype == float and kappa.shape == (*np.atleast_1d(batch).astype(int), 2)
    assert np.all((kappa == 0) | (np.abs(kappa) >= 1.5 / 1024)) and np.all(np.abs(kappa) <= 1.5)


def test_special_kappas_are_found():
    assert simplest(mfst.kappas(3)).tolist() == [0.0, 0.0, 0.0]
    for condition in (
        lambda k: np.count_nonzero(k) == 1 and k[2] < -2,
        lambda k: np.count_nonzero(k) == 2,
        lambda k: np.all(k > 1),
        lambda k: np.linalg.norm(k) > 5,
    ):
        some(mfst.kappas(3), condition)
    some(mfst.kappas(2, 3), lambda k: len(set(np.count_nonzero(k, axis=1))) > 1)  # rows of different kinds
    some(mfst.kappas(2, 100), lambda k: len(np.unique(k[:32], axis=0)) > 25 and (k[32:64] == k[:32]).all())


@given(c=mfst.connectivities(inputs=("A", "B", "C")), data=st.data())
def test_inputs_and_ranks_of_what_was_drawn(c, data):
    u = data.draw(mfst.inputs(c, amplitude=0.5))
    f = mf.reduce(c, inputs=u)
    assert set(u) <= set(c.inputs) and all(abs(value) <= 0.5 for value in u.values())
    assert f(data.draw(mfst.kappas(f, 2))).shape == data.draw(mfst.kappas(c, 2)).shape == (2, c.rank)


def test_inputs_are_off_and_on():
    c = simplest(mfst.connectivities(inputs=("A", "B")))
    assert simplest(mfst.inputs(c)) == simplest(mfst.inputs(("A",))) == simplest(mfst.inputs(())) == {}
    assert simplest(mfst.inputs(c), lambda u: u.get("B", 0) > 1.5) == {"B": 2.0}
    some(mfst.inputs(c), lambda u: all(u.get(name, 0) < 0 for name in "AB"))


@given(net=mfst.networks(inputs=("A",), readouts=("z",), n_neurons=range(2, 61), transfer=mfst.transfers()))
def test_networks(net):
    assert isinstance(net, Network) and 2 <= net.n_neurons <= 60 and 1 <= net.rank <= 3
    assert (net.input_names, net.readout_names) == (("A",), ("z",)) and net.transfer in ALL
    loadings = np.hstack([net.m, net.n, net.I, net.w])
    assert np.abs(loadings).max() <= 3.0
    different = 64 // loadings.shape[1]
    assert (loadings[different:] == np.resize(loadings[:different], loadings.shape)[different:]).all()


def test_networks_of_each_sort_are_found():
    net = simplest(mfst.networks())
    assert (net.n_neurons, net.rank, net.transfer) == (1, 1, "tanh") and not net.m.any()
    some(mfst.networks(2), lambda net: net.n_neurons > 30 and np.abs(net.m.T @ net.n / net.n_neurons).min() > 0.2)
    some(mfst.networks(2, n_neurons=8), lambda net: net.m.all() and net.n.all() and len(np.unique(net.m[:, 0])) > 5)


C = simplest(mfst.connectivities(inputs=("A",)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mfst.connectivities("two"),
            r"rank must be an integer, at least 1: got 'two'; a range such as range\(",
        ),
        (lambda: mfst.connectivities(0), "rank must be an integer, at least 1: got 0"),
        (lambda: mfst.connectivities(range(3)), r"rank must be a range of integers, at least 1: got range\(0, 3\)"),
        (lambda: mfst.connectivities(populations=range(3, 3)), r"populations must be a range .* got range\(3, 3\)"),
        (lambda: mfst.connectivities(populations=(1, 3)), r"populations must be an integer, .* got \(1, 3\); a range"),
        (lambda: mfst.connectivities(inputs="AB"), "inputs must be a sequence of names: got the string 'AB'"),
        (lambda: mfst.connectivities(inputs=("A",), readouts=("A",)), "'A' is used twice"),
        (lambda: mfst.connectivities(zero_mean=0.0), "zero_mean must be True or False: got 0.0"),
        (lambda: mfst.connectivities(singular="no"), "singular must be True or False: got 'no'"),
        (lambda: mfst.connectivities(max_mean=-1.0), "max_mean must be a positive number: got -1.0"),
        (lambda: mfst.connectivities(max_variance=np.inf), "max_variance must be a positive number: got inf"),
        (lambda: mfst.transfers(odd="yes"), "odd must be True or False: got 'yes'"),
        (lambda: mfst.transfers(odd=True, smooth=False), "has odd=True, smooth=False; .* step: not odd bounded not sm"),
        (lambda: mfst.kappas(0), "rank must be an integer, at least 1: got 0"),
        (lambda: mfst.kappas(2, -1), "each axis of batch must be an integer, at least 0: got -1"),
        (lambda: mfst.kappas(2, (2, 1.5)), "each axis of batch must be an integer, at least 0: got 1.5"),
        (lambda: mfst.kappas(2, radius="far"), "radius must be a positive number: got 'far'"),
        (lambda: mfst.kappas(mfst.connectivities()), r"kappas needs what was drawn, not a strategy: .*data\.draw"),
        (lambda: mfst.inputs(mfst.connectivities()), r"inputs needs what was drawn, not a strategy: .*data\.draw"),
        (lambda: mfst.inputs(3), "inputs needs a Connectivity, a Network or names .* got 3"),
        (lambda: mfst.inputs("A"), "must be a sequence of names: got the string 'A'"),
        (lambda: mfst.inputs(C, amplitude=0), "amplitude must be a positive number: got 0"),
        (lambda: mfst.networks(n_neurons=0), "n_neurons must be an integer, at least 1: got 0"),
        (lambda: mfst.networks(transfer="tahn"), "unknown transfer function 'tahn'"),
        (lambda: mfst.networks(max_loading=0.0), "max_loading must be a positive number: got 0.0"),
        (lambda: simplest(mfst.connectivities(st.just(0))), "rank must be an integer, at least 1: got 0"),
        (lambda: simplest(mfst.connectivities(inputs=st.just("AB"))), "inputs must be a sequence of names"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# The theory, on whatever is drawn


def dense_average(mean, covariance, phi):
    """<n phi(x)> over a joint Gaussian of (x, n): the trapezoidal rule in the plane of its principal axes.

    With standard deviations of x below 5 the nearest singularity of tanh is 0.3 away from the plane, and the error
    exp(-2 pi 0.3 / 0.05) far below rounding.
    """
    z = np.arange(-180, 181) * 0.05
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * 0.05
    values, axes = np.linalg.eigh(covariance)
    axes = axes * np.sqrt(np.maximum(values, 0.0))
    x, n = (mean[i] + axes[i, 0] * z[:, None] + axes[i, 1] * z for i in (0, 1))
    return density @ (n * phi(x)) @ density


@given(c=mfst.connectivities(range(1, 3), ("A",), max_variance=1.0), data=st.data())
def test_the_drift_is_the_average_that_stein_integrated_by_parts(c, data):
    transfer = data.draw(mfst.transfers(smooth=True))
    u = data.draw(mfst.inputs(c, amplitude=1.5))
    kappa = data.draw(mfst.kappas(c, radius=1.5))
    along = np.zeros(len(c.names))
    along[c.slice("m")], along[c.slice("I")] = kappa, u.get("A", 0.0)
    expected = -kappa
    for r in range(c.rank):
        pick = np.stack([along, np.eye(len(c.names))[c.index(f"n{r + 1}")]])
        for alpha, mean, covariance in zip(c.weights, c.means, c.covariances, strict=True):
            expected[r] += alpha * dense_average(pick @ mean, pick @ covariance @ pick.T, get_transfer(transfer))
    assert_allclose(mf.reduce(c, transfer, u)(kappa), expected, rtol=0, atol=1e-12)


# the step is left out: rounding decides on which side of it an input of 0 lies
@given(net=mfst.networks(inputs=("A", "B"), transfer=mfst.transfers(smooth=True) | st.just("relu")), data=st.data())
def test_the_reduced_equations_of_a_finite_network_are_exact(net, data):
    u, kappa = data.draw(mfst.inputs(net)), data.draw(mfst.kappas(net, batch=2))
    x = kappa @ net.m.T + net.I @ [u.get(name, 0.0) for name in "AB"]
    expected = -kappa + get_transfer(net.transfer)(x) @ net.n / net.n_neurons
    assert_allclose(mf.reduce(net.connectivity, net.transfer, u)(kappa), expected, rtol=0, atol=1e-13 * 3 * 45)


@given(c=mfst.connectivities(), data=st.data())
def test_another_basis_of_rank_space_gives_the_same_flow(c, data):
    small = hnp.arrays(float, (c.rank, c.rank), elements=st.floats(-1, 1))
    basis = data.draw(small) + 4.0 * np.eye(c.rank)  # diagonally dominant, hence invertible
    kappa, transfer = data.draw(mfst.kappas(c)), data.draw(mfst.transfers(smooth=True))
    rotated = mf.reduce(c.rotate(basis), transfer)(np.linalg.solve(basis, kappa))
    assert_allclose(basis @ rotated, mf.reduce(c, transfer)(kappa), rtol=0, atol=1e-11)


@given(c=mfst.connectivities(populations=range(2, 4)), kappa=mfst.kappas(1), data=st.data())
def test_other_descriptions_of_the_populations_give_the_same_drift(c, kappa, data):
    kappa = np.resize(kappa, c.rank)
    p = data.draw(st.integers(0, c.n_populations - 1))
    for name, others in (
        (data.draw(mfst.transfers()), (c.split(p, 0.5), c.permute(range(c.n_populations)[::-1]))),
        (data.draw(mfst.transfers(odd=True)), (c.flip(p),)),
    ):
        for other in others:
            assert_allclose(mf.reduce(other, name)(kappa), mf.reduce(c, name)(kappa), rtol=0, atol=1e-12)


# The page


def call_in(text, name, function):
    """The arguments of the call of ``name`` that stands in a text, after handing them to ``function``."""
    call = re.search(rf"{name}\(\n.*?^\)", text, re.S | re.M)[0]
    return eval(call, {name: function, "Connectivity": mf.Connectivity, "array": np.array})


def test_the_page_runs_and_its_planted_mistake_is_found(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    path = tmp_path / "test_page.py"
    path.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("page", path)
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    tests = {name: value for name, value in vars(page).items() if name.startswith("test_")}
    wrong = "test_functional_connectivity_gives_the_jacobian"
    assert wrong in tests and len(tests) == 4
    for name in set(tests) - {wrong}:
        tests[name]()
    with pytest.raises(AssertionError) as caught:
        tests[wrong]()
    found = call_in("\n".join(caught.value.__notes__), wrong, dict)
    shown = call_in(text, wrong, dict)
    assert (found["c"].covariances == shown["c"].covariances).all() and found["kappa"] == shown["kappa"]
    assert (found["c"].weights == [1.0]).all() and not found["c"].means.any()
    with pytest.raises(AssertionError):
        call_in(text, wrong, tests[wrong].hypothesis.inner_test)
