"""Populations that explain the trained networks of others: the same numbers as when they were first measured."""

from dataclasses import replace

import numpy as np
import pytest
from meanfield.validation.decisions import load_trials
from meanfield.validation.networks import load_network
from meanfield.validation.populations import portraits
from meanfield.validation.populations.choice import choose_populations
from meanfield.validation.populations.explanation import explain, facts_of, margins
from meanfield.validation.populations.fitting import fit_populations


def shared(folder, name):
    return load_network(folder / f"{name}.npz"), load_trials(folder / "oracle" / f"{name}.npz")


@pytest.mark.parametrize(("name", "error"), [("pop__rdm_lr_fig2", 0.0165), ("pop__romo_rank2_500", 0.0055)])
def test_one_population_is_enough(shared_networks, name, error):
    net, trials = shared(shared_networks, name)
    e = explain(net, fit_populations(net, 1, progress=False), trials)
    assert e.explains and e.accuracy == 1 and e.drift.p > 0.5 and len(e.pairs) == 3
    assert e.drift.rms == pytest.approx(error, abs=5e-4) and e.drift.rms < e.drift.sampling


def test_the_gauge_matters(shared_networks):
    """With their signs as they are, the means of the neurons cancel."""
    net, trials = shared(shared_networks, "pop__rdm_lr_fig2")
    gauged, plain = (explain(net, fit_populations(net, 1, gauge=g, progress=False), trials) for g in (True, False))
    assert plain.drift.rms > 2.5 * gauged.drift.rms and plain.fit.bic > gauged.fit.bic + 40
    assert gauged.closer.p < 1e-4  # not exactly Gaussian


@pytest.mark.slow
def test_two_populations_for_delayed_matching_and_their_collapse_fails(shared_networks):
    net, trials = shared(shared_networks, "pop__dms_retrained_2pop")
    found = choose_populations(replace(net, mixture=None), trials, (1, 2), means=False)
    one, two = (c.explanation for c in found.candidates)
    assert found.n_populations == 2 and two.accuracy == 1 and one.accuracy == 0.25
    assert one.rejected_by == ("portraits", "decisions", "drift") and two.closer.p > 0.01
    collapsed = explain(found.facts, net.mixture.merge([0, 1]))
    assert collapsed.rejected_by == ("portraits", "decisions", "drift") and collapsed.accuracy == 0.5
    assert explain(found.facts, net.mixture).right.all()
    assert [p.words for p in two.pairs] == [
        "2 saddle, 1 source, 2 stable",
        "1 saddle, 2 stable",
        "1 source, 1 stable cycle",
    ]


@pytest.mark.slow
def test_populations_for_the_context(shared_networks):
    net, trials = shared(shared_networks, "pop__mante_rank1_4096")
    facts = facts_of(net, trials)
    fits = [fit_populations(net, p, means=m, progress=False) for p, m in ((1, False), (2, False), (2, True), (3, True))]
    found = [explain(facts, fit) for fit in fits]
    assert [e.accuracy for e in found] == [0.75, 1.0, 1.0, 1.0]
    averages = [margins(e).mean() for e in found]
    np.testing.assert_allclose(averages, [0.467, 0.800, 0.925, 0.973], atol=5e-3)
    assert [e.rejected_by for e in found] == [("decisions", "drift"), ("drift",), ("drift",), ()]
    np.testing.assert_allclose([e.drift.rms for e in found], [0.0481, 0.0354, 0.0226, 0.0145], atol=5e-4)


@pytest.mark.slow
def test_nine_fixed_points(shared_networks):
    """Of 500 neurons the likelihood has many maxima: of three populations, a lower one has all the points."""
    net, trials = shared(shared_networks, "pop__dms_rank2_500")
    few = choose_populations(net, trials, (1, 2), seeds=5)
    assert few.chosen is None and [c.found for c in few.candidates] == [1, 1]
    assert [c.explanation.rejected_by for c in few.candidates] == [("portraits", "decisions")] * 2
    own = few.facts.portraits[0]
    assert own.fixed_points.complete and portraits.in_words_of(own) == "4 saddle, 1 source, 4 stable"
    found = choose_populations(net, trials, (3,), seeds=150, restarts=10)
    e, three = found.chosen, found.candidates[0]
    assert [p.words for p in e.pairs] == ["4 saddle, 1 source, 4 stable", "1 stable", "1 stable"] and e.accuracy == 1
    assert three.tried > 1 and 0 < three.below < 20
