"""Silencing: the theory of the silenced mixture holds in silenced networks, and no other one does."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meanfield.validation.mechanism import silencing
from meanfield.validation.mechanism.finite import population_scores
from meanfield.validation.mechanism.silenced import silence_network
from meanfield.validation.mechanism.silencing import check_silencing, renormalised
from meanfield.validation.networks import draw, load_network
from meanfield.validation.redrawn import counts, how_drawn
from meanfield.validation.simulation import relax, simulate
from meanfield.validation.tasks.trials import Trials
from meanfield.validation.verdict import Outcome
from mixtures import SEEDS, random_connectivity, same
from numpy.testing import assert_allclose

import meanfield as mf
from meanfield.mechanism import ledger, silence

ROUNDING = 1e-12
FRACTIONS = st.floats(0.0, 1.0)


def bistable():
    """Decides about the sign of an input that only the first population sees, and remembers it."""
    first = {"weight": 0.6, "n1 m1": 2.2, "n1 A": 0.8, "w m1": 2.0}
    second = {"weight": 0.4, "n1 m1": 1.6, "w m1": 1.0, "A A": 0.04}
    return mf.Connectivity.from_overlaps([first, second], rank=1, inputs=("A",), readouts=("w",))


def pulses():
    coherence = np.repeat([-0.4, -0.1, 0.1, 0.4], 3)
    u = np.zeros((len(coherence), 50, 1))
    u[:, 5:25, 0] = coherence[:, None] + 0.2 * np.random.default_rng(0).standard_normal((len(coherence), 20))
    return Trials(u=u, target=np.sign(coherence), window=(40, 50), conditions={"coherence": coherence})


def drift(c, kappa, inputs):
    return mf.reduce(c, inputs=inputs)(kappa)


# The silenced mixture


@given(seed=SEEDS, fraction=FRACTIONS, other=FRACTIONS)
@settings(max_examples=25)
def test_silenced_fractions_scale_contributions(seed, fraction, other):
    c, rng = random_connectivity(seed), np.random.default_rng(seed)
    kappa, inputs = rng.standard_normal((4, 2)), {"A": rng.standard_normal()}
    whole = ledger(mf.reduce(c, "softplus", inputs), kappa)
    silenced = silence(c, (0, 2), (fraction, other))
    assert abs(silenced.weights.sum() - 1) < ROUNDING
    expected = whole.contribution * np.array([1 - fraction, 1, 1 - other])[:, None]
    f = mf.reduce(silenced, "softplus", inputs)
    assert_allclose(f(kappa) + kappa, expected.sum(-2)[:, :2], rtol=0, atol=1e-11)
    assert_allclose(f.readout(kappa), expected.sum(-2)[:, 2:], rtol=0, atol=1e-11)
    for order in ((0, 2), (2, 0)):
        one_by_one = c
        for p in order:
            one_by_one = silence(one_by_one, p, (fraction, None, other)[p])
        assert_allclose(mf.reduce(one_by_one, "softplus", inputs)(kappa), f(kappa), rtol=0, atol=1e-11)


def test_the_ends_of_silencing():
    c, kappa = random_connectivity(3), np.array([[0.4, -0.7]])
    assert silence(c, 1, 0.0) is c
    same(silence(c, 1), replace(c, means=silence(c, 1).means, covariances=silence(c, 1).covariances))
    assert_allclose(drift(silence(c, range(3)), kappa, {"A": 1.0}), -kappa, rtol=0, atol=0)
    same(silence(silence(c, 0), 2), silence(c, [0, 2]))
    twice = silence(silence(c, 1, 0.5), 1, 0.5)
    assert_allclose(drift(twice, kappa, {}), drift(silence(c, 1, 0.75), kappa, {}), rtol=0, atol=ROUNDING)
    m = c.slice("m")
    assert_allclose(silence(c, 1).covariances[1, m, m], c.covariances[1, m, m])  # it still listens
    assert_allclose(silence(c, 1).overlap("m", "m"), c.overlap("m", "m"), atol=ROUNDING)


def test_a_random_part_falls_silent_by_columns():
    c = random_connectivity(3, g=0.7)
    assert_allclose(silence(c, 1).g, 0.7 * np.array([[1, 0, 1]] * 3))
    assert_allclose(silence(c, 1, 0.5).g, 0.7 * np.array([[1, 1, 1, 0]] * 4))


def test_bad_input_is_named():
    c = bistable()
    net = draw(c, 100, 0)
    for arguments, text in (((2,), "does not exist"), (([0, 0],), "different"), ((0, 1.2), "between 0 and 1"),
                            ((0, [0.1, 0.2]), "one per population"), ((1.0,), "integer")):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            silence(c, *arguments)
    wrong = (
        ({}, "either"),
        ({"population": 0, "neurons": [1]}, "either"),
        ({"neurons": [100]}, "99"),
        ({"neurons": [0.5]}, "numbers of neurons"),
        ({"population": 0, "fraction": 0.5}, "seed"),
    )
    for arguments, text in wrong:
        with pytest.raises(ValueError, match=text):
            silence_network(net, **arguments)
    with pytest.raises(ValueError, match="not known"):
        silence_network(replace(net, population=None), population=0)
    with pytest.raises(ValueError, match="finite network"):
        check_silencing(net.connectivity, 0)


# Silenced networks


def test_bad_input_of_the_check_is_named():
    small = {"n_neurons": 60, "draws": 2, "workers": 1}
    with pytest.raises(ValueError, match="fractions must be numbers"):
        check_silencing(bistable(), 0, [], **small)
    with pytest.raises(ValueError, match="input 'A' must be constant"):
        check_silencing(bistable(), 0, 0.5, inputs={"A": lambda t: 1.0}, **small)
    found = check_silencing(bistable(), 0, 0.5, **small)
    for ask in (found.accuracy, lambda: found.psychometric([1.0])):
        with pytest.raises(ValueError, match="there are no decisions.*trials="):
            ask()


def test_a_silenced_network_is_the_same_network_without_some_outputs():
    net = draw(random_connectivity(7, g=0.5), 120, 7)
    mask = np.random.default_rng(1).random(120) < 0.3
    silenced = silence_network(net, mask)
    assert_allclose(silenced.random + silenced.m @ silenced.n.T / 120, (net.random + net.m @ net.n.T / 120) * ~mask)
    assert silenced.mixture is None and (silenced.m == net.m).all() and not silenced.w[mask].any()
    same_one = silence_network(net, np.flatnonzero(mask))
    assert (same_one.n == silenced.n).all()
    one, two = (silence_network(net, population=1, fraction=0.5, seed=s) for s in (0, 1))
    inside = net.population == 1
    assert ((one.n == 0).all(1) <= inside).all() and (one.n == 0).all(1).sum() == round(inside.sum() / 2)
    assert ((one.population == 3) == (one.n == 0).all(1)).all() and (one.n != two.n).any()
    same(one.mixture, silence(net.mixture, 1, 0.5))
    assert_allclose(silence_network(net, range(120)).n, 0)


def test_the_drift_and_the_neurons_of_a_silenced_network():
    net = draw(bistable(), 400, 2)
    silenced = silence_network(net, population=0)
    kappa = np.array([[0.8]])
    own = ledger(mf.reduce(net.connectivity), kappa[0]).grouped(net.population)
    assert_allclose(mf.reduce(silenced.connectivity)(kappa)[0], own.contribution[1, :1] - kappa[0], atol=ROUNDING)
    points = mf.fixed_points(mf.reduce(silence_network(net, population=1).connectivity))
    end = relax(silence_network(net, population=1), points.stable + 0.05, progress=False)
    assert points.complete and end.success
    assert_allclose(end.kappa, points.stable, rtol=0, atol=1e-8)  # 400 neurons in time
    run = simulate(silence_network(net, range(400)), None, 3.0, 0.1, kappa=[1.0], progress=False)
    assert_allclose(run.kappa[:, 0], np.exp(-run.t), rtol=1e-9)  # pure decay


@pytest.mark.parametrize(("population", "fraction"), [(0, 0.25), (1, 0.25), (1, 1.0)])
def test_a_trained_network_keeps_what_the_theory_says_it_keeps(shared_networks, population, fraction):
    net = load_network(shared_networks / "pop__dms_retrained_2pop.npz")
    silenced = silence_network(net, population=population, fraction=fraction, seed=0)
    theory, own = (mf.fixed_points(mf.reduce(c)) for c in (silenced.mixture, silenced.connectivity))
    whole = counts(mf.fixed_points(mf.reduce(net.mixture)))
    assert theory.complete and own.complete and counts(theory) == counts(own) != whole
    assert how_drawn(silenced)[0] == "sizes"
    assert np.abs(population_scores(silenced, [0.5, 0.4], {"A": 1.0}).z).max() < 4.5


# Theory and networks


@pytest.fixture(scope="module")
def checked():
    return check_silencing(bistable(), 0, (0.0, 0.3, 0.8, 1.0), 800, 10, trials=pulses(), workers=1, progress=False)


def test_the_theory_of_silencing_holds_and_the_wrong_normalisation_is_rejected(checked):
    assert checked.agrees, str(checked)
    assert [level.rejected for level in checked.levels] == [None, True, True, True]
    assert [len(level.portrait.fixed_points) for level in checked.levels] == [3, 3, 1, 1]
    assert all(level.portrait.fixed_points.complete and level.portrait.fixed_points.everywhere
               for level in checked.levels)  # fmt: skip
    at_zero = {(f, name): z for f, name, _, _, _, z in checked.table}
    assert any("kappa_1 of the stable point" in name for f, name in at_zero if f == 0.3)
    assert "planted error" in {x.source for x in checked.statements()} and "30% of population 0" in str(checked)


def test_decisions_fall_with_the_population_that_sees_the_input(checked):
    theory, found, error = checked.accuracy()
    assert (theory[:2] == 1).all() and theory[-1] == 0  # without its input, the infinite network decides nothing
    assert (np.abs(found - theory)[:2] < 4 * error[:2]).all() and found[-1] < 0.8
    values, limit, shares, spread = checked.psychometric(pulses().condition("coherence"))
    assert (spread > 0).all()  # also where all networks decide alike
    with pytest.raises(ValueError, match="condition: got shape"):
        checked.psychometric([1.0, 2.0])
    assert_allclose(values, [-0.4, -0.1, 0.1, 0.4])
    assert_allclose(limit[0], [0, 0, 1, 1]) and limit.shape == shares.shape == spread.shape == (4, 4)
    assert (np.diff(shares[0]) >= 0).all()
    with matplotlib.rc_context({"backend": "Agg"}):
        figure = checked.figure()
        assert len(figure.draw().axes) == 3 and figure.data["fraction"].tolist() == [0.0, 0.3, 0.8, 1.0]
    assert_allclose(figure.data["theory"][2:], 0, atol=1e-9)


def test_networks_with_the_wrong_normalisation_contradict_the_theory(monkeypatch):
    def wrong(net, mask):
        right = silence_network(net, mask)
        return replace(right, n=right.n / np.mean(~mask), w=right.w / np.mean(~mask))

    monkeypatch.setattr(silencing, "silence_network", wrong)
    check = check_silencing(bistable(), 0, (0.0, 0.3), 800, 6, workers=1, progress=False)
    assert check.outcome is Outcome.DISAGREES and "<--" in str(check)
    right, off = check.statements()[0], [x for x in check.statements() if x.holds is False]
    assert right.holds and len(off) == 2  # theory contradicted, and its wrong twin not rejected


def test_the_planted_theory_is_the_one_with_fewer_neurons():
    c, kappa = bistable(), np.array([[0.6]])
    net = draw(c, 4000, 0)
    mask = np.random.default_rng(0).random(4000) < 0.5 * (net.population == 0)
    kept = replace(net, m=net.m[~mask], n=net.n[~mask], I=net.I[~mask], w=net.w[~mask], x0=None, mixture=None,
                   population=None)  # fmt: skip
    wrong, right = drift(renormalised(c, 0, 0.5), kappa, {}), drift(silence(c, 0, 0.5), kappa, {})
    assert abs(drift(kept.connectivity, kappa, {}) - wrong) < 0.07 < abs(wrong - right) - 0.07  # three spreads
    assert renormalised(c, (0, 1), 1.0) is None


@pytest.mark.slow
def test_the_theory_of_silencing_holds_in_many_networks():
    c = random_connectivity(11)
    check = check_silencing(c, (0, 2), (0.0, 0.2, 0.5, 1.0), 2000, 40, inputs={"A": 0.5}, progress=False)
    assert check.agrees, str(check)
