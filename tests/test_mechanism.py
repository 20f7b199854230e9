"""The ledger: contributions add up exactly, whatever the mixture, the groups or the condition."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.validation.cases.inputs import DMS, FIGURE_45
from meanfield.validation.mechanism.figures import course_figure, overlaps_figure
from meanfield.validation.mechanism.finite import network_ledger, population_scores
from meanfield.validation.networks import draw, load_network
from mixtures import SEEDS, random_connectivity
from numpy.testing import assert_allclose

import meanfield as mf
from meanfield.mechanism import NEAR, compare, ledger, silence

# Rounding of sums of some dozen terms of order ten.
ROUNDING = 1e-12
# Largest of some hundred z-scores of a right theory (expected: 1e-3 of them above).
LARGEST = 4.5
TRANSFERS = ("tanh", "logistic", "softplus", "erf")


def state(seed, c, shape=(3,)):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*shape, c.rank)), {name: rng.standard_normal() for name in c.inputs}


# What adds up


@given(seed=SEEDS, transfer=st.sampled_from(TRANSFERS), rank=st.integers(1, 3))
@settings(max_examples=25)
def test_contributions_add_up_to_the_equations(seed, transfer, rank):
    c = random_connectivity(seed, rank=rank)
    kappa, inputs = state(seed, c)
    f = mf.reduce(c, transfer, inputs, tau=2.0)
    one = ledger(f, kappa)
    assert_allclose(one.drift, f.tau * f(kappa), rtol=0, atol=ROUNDING * 10)
    assert_allclose(one.readout, f.readout(kappa), rtol=0, atol=ROUNDING * 10)
    assert_allclose(one.functional_connectivity[..., :rank, :rank], f.functional_connectivity(kappa), atol=ROUNDING)
    jacobian = one.local.sum(-3)[..., :rank, :rank] - np.eye(rank)
    assert_allclose(jacobian, f.tau * f.jacobian(kappa), rtol=0, atol=ROUNDING * 10)
    by_input = (mf.reduce(c, transfer, {"A": inputs["A"] + h}, tau=2.0)(kappa) for h in (1e-5, -1e-5))
    numeric = f.tau * np.subtract(*by_input) / 2e-5
    assert_allclose(one.local.sum(-3)[..., :rank, rank], numeric, rtol=0, atol=1e-8)


@given(seed=SEEDS, transfer=st.sampled_from(("tanh", "softplus")))
@settings(max_examples=15)
def test_each_contribution_is_that_of_its_population_by_quadrature(seed, transfer):
    c = random_connectivity(seed)
    kappa, inputs = state(seed, c, ())
    f = mf.reduce(c, transfer, inputs)
    one, y = ledger(f, kappa), np.concatenate([kappa, list(inputs.values())])
    sources, rows = np.r_[c.slice("m"), c.slice("I")], np.r_[c.slice("n"), c.slice("w")]
    x = np.linspace(-9, 9, 20001)  # the trapezoidal rule: good to rounding for functions as smooth as these
    weight = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    for p, alpha in enumerate(c.weights):
        mean, width = c.means[p, sources] @ y, np.sqrt(y @ c.covariances[p][np.ix_(sources, sources)] @ y)
        rate, at_zero, gain = (weight @ f.transfer(mu + width * x, k) for mu, k in ((mean, 0), (0, 0), (mean, 1)))
        both = np.outer(c.means[p, rows], c.means[p, sources]) * (rate - at_zero) / mean
        expected = alpha * (c.covariances[p][np.ix_(rows, sources)] * gain + both)
        assert_allclose(one.overlap[p], expected, rtol=0, atol=1e-11 / min(1, abs(mean)))
        silent = silence(c, [q for q in range(c.n_populations) if q != p])
        assert_allclose(one.contribution[p, :2], mf.reduce(silent, transfer, inputs)(kappa) + kappa, atol=1e-11)


@given(seed=SEEDS)
@settings(max_examples=15)
def test_names_of_populations_mean_nothing(seed):
    c = random_connectivity(seed)
    kappa, inputs = state(seed, c)
    one = ledger(mf.reduce(c, inputs=inputs), kappa)
    order = np.random.default_rng(seed).permutation(3)
    other = ledger(mf.reduce(c.permute(order.tolist()), inputs=inputs), kappa)
    halves = ledger(mf.reduce(c.split(1, 0.3), inputs=inputs), kappa)
    flipped = ledger(mf.reduce(c.flip(0), inputs=inputs), kappa)  # the sign of a neuron, for odd phi
    for name in ("overlap", "contribution", "local"):
        mine, split = getattr(one, name), getattr(halves, name)
        axis = 1  # populations, behind the states
        assert_allclose(getattr(other, name), np.take(mine, order, axis), rtol=0, atol=ROUNDING * 10)
        assert_allclose(np.take(split, 1, axis), 0.3 * np.take(mine, 1, axis), rtol=0, atol=ROUNDING * 10)
        assert_allclose(getattr(flipped, name), mine, rtol=0, atol=ROUNDING * 10)
        together = getattr(halves.grouped([0, 1, 1, 2]), name)
        assert_allclose(together, mine, rtol=0, atol=ROUNDING * 10)
    for name in ("gain", "rate", "mean", "variance"):
        assert_allclose(getattr(halves.grouped([0, 1, 1, 2]), name), getattr(one, name), rtol=0, atol=1e-9)


def test_the_gain_of_a_mean_input_is_smooth_through_zero():
    c = mf.Connectivity.from_overlaps([{"mean n1": 1.0, "mean m1": 1.0, "n1 m1": 0.5}], rank=1)
    f = mf.reduce(c, "softplus")
    kappa = np.array([1.001, 0.999, 0.5, 1e-3, 0.0])[:, None] * NEAR
    secant = ledger(f, kappa).secant[:, 0]
    # phi' = 1/2 and phi'' = 1/4 at 0; the error is that of NEAR, and of a variance of 1e-10
    assert_allclose(secant, 0.5 + kappa[:, 0] / 8, rtol=0, atol=1e-10)


# Two conditions


@given(seed=SEEDS)
@settings(max_examples=15)
def test_a_change_is_the_sum_of_its_parts(seed):
    c = random_connectivity(seed)
    (one, inputs), (two, others) = state(seed, c), state(seed + 1, c)
    before, after = (ledger(mf.reduce(c, "softplus", u), k) for k, u in ((one, inputs), (two, others)))
    parts = compare(before, after).terms()
    whole = after.contribution - before.contribution
    assert_allclose(sum(parts.values()), whole, rtol=0, atol=ROUNDING * 10)
    assert np.abs(parts["structure"]).max() < ROUNDING * 10
    silenced = ledger(mf.reduce(silence(c, 1), "softplus", inputs), one)
    parts = compare(before, silenced).terms()
    assert np.abs(parts["state"]).max() == 0 and np.abs(parts["gain"]).max() < ROUNDING
    assert_allclose(parts["structure"] + parts["base"], silenced.contribution - before.contribution, atol=1e-11)
    with pytest.raises(ValueError, match="same populations.*group"):
        compare(before, ledger(mf.reduce(silence(c, 1, 0.5), "softplus", inputs), one))


def conditions(case):
    at = np.zeros(case.connectivity.rank)
    return [ledger(mf.reduce(case.connectivity, inputs=x.inputs), at, label=x.label) for x in case.conditions]


def test_the_thesis_example_is_told_in_words():
    """Thesis 4.3.1: the input saturates the population whose overlap of n2 with m1 is positive."""
    rest, driven = conditions(FIGURE_45)
    assert_allclose(rest.overlap[:, 1, 0], [0.5, -0.5], atol=ROUNDING)
    gain = mf.gaussian_average("tanh", mean=0.0, variance=np.array([100.0, 0.01]), order=1)
    assert_allclose(driven.overlap[:, 1, 0], gain * [0.5, -0.5], atol=ROUNDING)
    first = compare(rest, replace(driven, label="the input")).sentences()[0]
    assert first == (
        "the input saturates population 0 (<phi'> 1.00 -> 0.08), which removes +0.46 of its +0.50 to n2.m1; "
        "the total goes from +0.00 to -0.46"
    )


def test_the_poster_example_flips_a_sign():
    """DMS poster: sigma~_21 is 0, +0.3 and -0.3 at rest and under the two inputs."""
    rest, a, b = conditions(DMS)
    assert_allclose([x.total[1, 0] for x in (rest, a, b)], [0, 0.3, -0.3], atol=ROUNDING)
    assert compare(rest, a).sentences()[0].startswith("input A saturates population 1 (<phi'> 1.00 -> 0.40)")
    assert "of its -0.50 to n2.m1" in compare(rest, a).sentences()[0]
    assert compare(rest, b).sentences()[0].startswith("input B saturates population 0")


@pytest.mark.parametrize("variances", [(9.0, 9.0), (40.0, 5.0)])
def test_nothing_is_told_of_what_cancels(variances):
    """n2.m1 is +0.5 - 0.5 at rest; the input takes both away, or leaves a total that is small beside what it took."""
    populations = [
        {"weight": 0.5, "n1 m1": 2.0, "n2 m2": 2.0, "n2 m1": sign, "A A": variance}
        for sign, variance in zip((1.0, -1.0), variances, strict=True)
    ]
    c = mf.Connectivity.from_overlaps(populations, rank=2, inputs=("A",))
    rest, driven = (ledger(mf.reduce(c, inputs={"A": u}), np.zeros(2), label="A") for u in (0.0, 1.0))
    change = compare(rest, driven)
    assert (np.abs(change.overlap[:, 1, 0]) > 0.3).all() and abs(change.overlap[:, 1, 0].sum()) < 0.12
    told = change.sentences(10)
    assert len(told) == 4 and not any("n2.m1" in text for text in told)
    assert compare(rest, rest).sentences() == ()


# Finite networks


@pytest.fixture(scope="module")
def net():
    return draw(random_connectivity(5), 300, 5)


def test_the_ledger_of_a_finite_network_is_exact(net):
    kappa, inputs = np.array([[0.7, -0.4], [0.0, 0.3]]), {"A": 0.6}
    one = network_ledger(net, kappa, inputs)
    exact = mf.reduce(net.connectivity, inputs=inputs)
    assert_allclose(one.drift, exact(kappa), rtol=0, atol=ROUNDING * 10)
    assert_allclose(one.readout, exact.readout(kappa), rtol=0, atol=ROUNDING * 10)
    x = kappa @ net.m.T + 0.6 * net.I.T
    for p in range(3):
        mine = net.population == p
        rates, slopes = np.tanh(x[:, mine]), 1 / np.cosh(x[:, mine]) ** 2
        assert_allclose(one.contribution[:, p, :2], rates @ net.n[mine] / 300, rtol=0, atol=ROUNDING * 10)
        local = np.einsum("ki,ia,ib->kab", slopes, net.n[mine], np.hstack([net.m, net.I])[mine]) / 300
        assert_allclose(one.local[:, p, :2], local, rtol=0, atol=ROUNDING * 10)
    # neurons of one group are a Gaussian only up to chance: what is left over is small, and is there
    assert 1e-6 < np.abs(one.rest).max() < LARGEST * np.abs(net.n).max() / np.sqrt(300)
    single = ledger(exact, kappa)
    assert_allclose(single.grouped(net.population).drift, exact(kappa), rtol=0, atol=ROUNDING * 10)
    assert "grouped(labels)" in str(single.at(0))


@pytest.mark.parametrize("sizes", [False, True])
def test_contributions_of_populations_spread_as_predicted(sizes):
    c, kappa, inputs = random_connectivity(8), np.array([0.6, -0.3]), {"A": 0.4}
    z = []
    for seed in range(60):
        drawn = draw(c, 400, seed)
        if sizes:  # the same sizes in every draw
            counts = mf.mixture.sampling.population_sizes(c.weights, 400)
            parts = [replace(c, weights=[1.0], means=c.means[[p]], covariances=c.covariances[[p]]).sample(n, [seed, p])
                     for p, n in enumerate(counts)]  # fmt: skip
            columns = (np.concatenate([getattr(part, kind) for part in parts]) for kind in "mnIw")
            names = ("m", "n", "I", "w")
            drawn = replace(drawn, population=np.repeat(range(3), counts), **dict(zip(names, columns, strict=True)))
        scores = population_scores(drawn, kappa, inputs)
        assert (
            scores.matched == ("sizes" if sizes else "nothing")
            or np.abs(np.bincount(drawn.population) - 400 * c.weights).max() < 1
        )
        z.append(scores.z.ravel())
    z = np.array(z)
    assert np.abs(z).max() < LARGEST + 0.5  # 60 draws of 27 numbers, with the tails of 100 neurons
    assert_allclose(z.std(0), 1, rtol=0, atol=4.5 / np.sqrt(2 * 60))
    assert np.abs(z.mean(0)).max() < LARGEST / np.sqrt(60)
    wrong = population_scores(replace(drawn, mixture=c.scale_overlap("n1", "m1", 8.0)), kappa, inputs)
    assert np.abs(wrong.z).max() > 6


def test_sizes_of_populations_that_vary_spread_contributions_more():
    first = {"weight": 0.3, "mean n1": 3.0, "mean m1": 3.0, "n1 n1": 1.0, "n1 m1": 0.0}
    c = mf.Connectivity.from_overlaps([first, {"weight": 0.7, "n1 m1": 1.5}], rank=1)
    z = np.array([population_scores(draw(c, 200, seed), [1.0]).z[0, 0] for seed in range(100)])
    # with fixed sizes it would be 2.6; networks whose sizes happen to be the expected ones are scored by those
    assert abs(z.std() - 1) < LARGEST / np.sqrt(200)


def test_a_trained_network_of_two_populations(shared_networks):
    """The mixture it was drawn from explains each population's share, at rest and under both inputs."""
    net = load_network(shared_networks / "pop__dms_retrained_2pop.npz")
    for inputs in ({}, {"A": 1.0}, {"B": 1.0}):
        assert np.abs(population_scores(net, [0.5, 0.4], inputs).z).max() < LARGEST
    rest, a = (ledger(mf.reduce(net.mixture, inputs=u), np.zeros(2), label="A") for u in ({}, {"A": 1.0}))
    told = compare(rest, a).sentences()
    assert told[0].startswith("A saturates population 0") and "n1.m2" in told[0]
    exact = mf.reduce(net.connectivity, inputs={"A": 1.0})
    assert_allclose(network_ledger(net, [0.5, 0.4], {"A": 1.0}).drift, exact([0.5, 0.4]), atol=ROUNDING)


# What a person sees


def test_tables_and_figures():
    rest, driven = conditions(FIGURE_45)
    assert str(rest).splitlines()[5].split() == ["n1.m1", "+3.00", "+1.50", "+1.50"]
    assert "<td>+3.00</td>" in rest._repr_html_() and r"\tilde\sigma_{n_{2}\,m_{1}}" in driven.latex()
    change = compare(rest, driven)
    assert "1 -> 0.0795" in str(change) and "<p>" in change._repr_html_() and "->" in repr(change)
    t = np.linspace(0, 8, 81)
    f = mf.reduce(FIGURE_45.connectivity, inputs={"I": lambda t: float(2 < t < 5)})
    course = ledger(mf.trajectory(f, [1.6, 0.8], t, breakpoints=(2.0, 5.0)))
    assert course.overlap.shape == (81, 2, 2, 3) and "81" in str(course) and "81" in repr(course)
    assert abs(course.total[10, 1, 0]) < 1e-12 and course.total[45, 1, 0] < -0.1  # before and during the pulse
    with matplotlib.rc_context({"backend": "Agg"}):
        for figure in (overlaps_figure((rest, driven)), course_figure(t, course, [("n2", "m1"), ("n1", "m2")])):
            assert figure.draw().axes and all(np.isfinite(x).all() for x in figure.data.values() if x.dtype == float)
        with pytest.raises(ValueError, match="pairs must name.*n9"):
            overlaps_figure((rest,), [("n9", "m1")]).draw()


def test_bad_input_is_named():
    f = mf.reduce(FIGURE_45.connectivity)
    with pytest.raises(ValueError, match=r"kappa must have shape \(..., 2\)"):
        ledger(f, np.zeros(3))
    with pytest.raises(ValueError, match="needs a field and a state"):
        ledger(f)
    with pytest.raises(ValueError, match="change in time: pass v"):
        ledger(mf.reduce(FIGURE_45.connectivity, inputs={"I": np.sin}), np.zeros(2))
    one = ledger(f, np.zeros(2))
    for labels in ([0, 2], [0], [0.5, 1]):
        with pytest.raises(ValueError, match="labels"):
            one.grouped(labels)
    with pytest.raises(ValueError, match="one state"):
        ledger(f, np.zeros((3, 2))).latex()
    with pytest.raises(ValueError, match="single states"):
        compare(*[ledger(f, np.zeros((3, 2)))] * 2).sentences()
