"""Does a mixture explain a network? In planted ones the right number of populations is chosen, a wrong one refused."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from meanfield.validation import redrawn
from meanfield.validation.analysis import Condition
from meanfield.validation.decisions import run_trials
from meanfield.validation.networks import draw
from meanfield.validation.populations import choice, portraits
from meanfield.validation.populations import drift_error as drifts
from meanfield.validation.populations.choice import choose_populations
from meanfield.validation.populations.drift_error import drift_error, neuron_covariance
from meanfield.validation.populations.explanation import decides, explain, facts_of, margins
from meanfield.validation.populations.fitting import fit_populations
from meanfield.validation.populations.resampling import resample
from meanfield.validation.populations.shown import left_out, silenced_statements
from meanfield.validation.populations.uncertainty import uncertainty
from meanfield.validation.tasks.trials import Trials

import meanfield as mf
from meanfield.finite_size.neurons import neuron
from meanfield.finite_size.topology import Change
from meanfield.fixed_points import Status
from meanfield.fluctuations import unchanged_probability

# Least probability of a right theory among a few dozen.
LEAST = 1e-4


def context_mixture():
    """Two populations that see one input each, and are saturated in the context of the other."""
    common = {"weight": 0.5, "n1 m1": 1.1, "w m1": 2.0}
    sees_A = common | {"n1 A": 2.0, "ctxA ctxA": 0.04, "ctxB ctxB": 25.0}
    sees_B = common | {"n1 B": 2.0, "ctxA ctxA": 25.0, "ctxB ctxB": 0.04}
    return mf.Connectivity.from_overlaps([sees_A, sees_B], 1, ("A", "B", "ctxA", "ctxB"), ("w",))


def context_trials(amplitude=0.3, steps=50):
    """Two contexts times the signs of both inputs; the context says which of them is asked for."""
    signs = np.array(list(itertools.product((0, 1), (1, -1), (1, -1))))
    u = np.zeros((8, steps, 4))
    u[:, 10:40, :2] = amplitude * signs[:, None, 1:]
    u[np.arange(8), :, 2 + signs[:, 0]] = 1.0
    target = np.where(signs[:, 0] == 0, signs[:, 1], signs[:, 2])
    labels = ["".join(f"{x:+d}" for x in row) for row in signs]
    return Trials(u=u, target=target, window=(45, 50), labels=labels, dt=0.2, tau=1.0)


def line(overlap=1.6, **others):
    """One population, rank 1, one input."""
    listed = {"n1 m1": overlap, "n1 A": 0.5, "w m1": 1.0} | others
    return mf.Connectivity.from_overlaps([listed], 1, ("A",), ("w",))


@pytest.fixture(scope="module")
def context():
    net = draw(context_mixture(), 1000, 0)
    return choose_populations(net, context_trials(), (1, 2), restarts=10)


# The choice


def test_the_context_network_needs_two_populations(context):
    one, two = context.candidates
    assert context.n_populations == 2 and context.chosen is two.explanation
    assert one.explanation.rejected_by == ("decisions", "drift") and not one.explains
    assert two.explanation.verdicts == {"portraits": True, "decisions": True, "drift": True}
    assert one.explanation.accuracy == 5 / 8 and two.explanation.accuracy == 1
    # the network is a sample of two populations, and not of one
    assert two.explanation.closer.p > LEAST > one.explanation.closer.p
    assert (margins(two.explanation) > 0).all() and context.by_bic == 2
    assert decides(context.facts, two.fit.connectivity) and not decides(context.facts, one.fit.connectivity)


def test_the_table_says_which_criterion_rejects(context):
    head, first, second, last = str(context).splitlines()
    assert head.split()[:4] == ["P", "BIC", "portraits", "right"]
    assert "5 of 8" in first and first.endswith("rejected: decisions, drift") and second.endswith("explains")
    assert last.startswith("2 populations: the fewest") and "2 populations" in repr(context)
    rejected = explain(context.facts.net, context.candidates[0].fit, context_trials(), [Condition()])
    said = {x.text: x for x in rejected.statements()}
    assert said["does 1 population explain the network?"].holds is False
    assert "5 of 8 right; wrong: " in said["decisions of the infinite network"].value
    assert "FAILS  decisions" in str(rejected) and "rejected by decisions, drift" in repr(rejected)
    one, two, chosen = context.statements()
    # a candidate that is rejected is a finding, not a statement that fails
    assert one.holds is two.holds is None and chosen.holds is True
    assert one.value.startswith("rejected; ") and two.value.startswith("explains the network; ")


def test_figures_draw_their_data(context):
    shown = context.figures()
    assert [figure.name for figure in shown] == ["choice", "portraits", "readouts"]
    errors = [c.explanation.drift.rms for c in context.candidates]
    assert shown[0].data["drift_error"].tolist() == errors and shown[0].data["drift"].tolist() == ["no", "yes"]
    two = explain(context.facts.net, context.chosen.fit, context_trials().at([0, 1]), [Condition()])
    for figure in (shown[0], *two.figures()):
        figure.draw().draw_without_rendering()
    assert shown[1].data["0_mixture_kinds"].tolist() == shown[1].data["0_network_kinds"].tolist()
    assert shown[2].data["limit"].shape == shown[2].data["network"].shape == (8, 51)


def test_of_many_maxima_the_first_that_explains_is_taken(context):
    one, two = (c.fit for c in context.candidates)
    found = choice._tried([one, one, two], context.facts, 0.01, 0)
    assert (found.tried, found.found) == (3, 3) and found.explanation.fit is two and found.explains
    assert found.below == pytest.approx(one.log_likelihood - two.log_likelihood)
    assert "(maximum 3 of 3)" in found.cells()[-1]
    none = choice._tried([one, one], context.facts, 0.01, 0)
    assert none.tried == 2 and none.explanation.fit is one and not none.explains and none.below == 0


def test_populations_of_the_loadings_that_do_nothing_are_not_needed():
    """Neurons of two kinds, as BIC sees; n differs by a part that no input and no m knows of."""
    quiet, loud = ({"weight": 0.5, "n1 m1": 1.5, "n1 A": 0.5, "w m1": 1.0, "n1 n1": s} for s in (3.0, 30.0))
    net = draw(mf.Connectivity.from_overlaps([quiet, loud], 1, ("A",), ("w",)), 800, 1)
    found = choose_populations(replace(net, mixture=None), None, (1, 2), restarts=10)
    assert (found.n_populations, found.by_bic) == (1, 2) and "BIC chooses 2" in str(found)
    assert found.chosen.verdicts["decisions"] is None and found.chosen.right is None


def test_a_smaller_drift_error_can_have_the_wrong_portrait():
    net = draw(line(1.05), 500, 2, match_moments=True)
    near, far = line(0.98), line(1.6)
    found = choose_populations(net, None, [near, far], level=0.0)
    wrong, right_one = (next(c for c in found.candidates if c.explanation.connectivity is m) for m in (near, far))
    assert wrong.explanation.drift.rms < right_one.explanation.drift.rms
    assert wrong.explanation.rejected_by == ("portraits",) and found.chosen is right_one.explanation
    assert found.fallacies == ((1, 1, ("portraits",)),) and "smaller drift error" in str(found)
    pair = wrong.explanation.pairs[0]
    assert pair.same is False and pair.words.startswith("the network has 1 source, 2 stable, the mixture 1 stable")
    # draws of the mixture cross the pitchfork now and then
    assert 0.1 < pair.odds < 0.5


def test_nothing_explains_and_nothing_to_try():
    net = draw(line(), 60, 0)
    found = choose_populations(net, None, [line(), 4], level=1.0, restarts=3)
    assert found.chosen is None and found.n_populations is None and found.figures()
    assert "none of the candidates" in found.status and "drift (" in found.status
    few = choose_populations(net, None, (1, 40), restarts=3)
    assert few.n_populations == 1 and "need at least" in str(few) and few.candidates[1].fit is None
    with pytest.raises(ValueError, match=r"needs a candidate: .* range\(1, 6\)"):
        choose_populations(net, None, [])
    with pytest.raises(ValueError, match="must be a Connectivity or a PopulationFit: got Network"):
        explain(net, net)
    with pytest.raises(ValueError, match="rank, inputs and readouts are"):
        explain(net, context_mixture())


# The drift against its sampling error


@pytest.fixture(scope="module")
def fits_of_one_population():
    """Many networks from one population, each fitted with one: closed form without the gauge."""
    kappa, v = np.array([[0.4], [1.2], [-0.8]]), np.array([[0.0], [1.0], [0.5]])
    found = []
    for k in range(120):
        net = draw(line(), 300, [3, k])
        fit = fit_populations(net, 1, gauge=False, progress=False)
        found.append((replace(net, mixture=fit.connectivity), fit))
    return kappa, v, found


def test_what_a_fit_leaves_of_the_sampling_error(fits_of_one_population):
    """Against the drifts of many networks and their fits, and against the theory of matched moments."""
    kappa, v, found = fits_of_one_population
    apart = np.array(
        [
            drifts.drift_at(net.connectivity, "tanh", kappa, v) - drifts.drift_at(net.mixture, "tanh", kappa, v)
            for net, _ in found
        ]
    )[..., 0]
    net, fit = found[0]
    left, whole = (neuron_covariance(replace(net, mixture=line()), kappa, v, f) for f in (fit, None))
    # 5 standard errors of a standard deviation from 120 draws, and 10 % for a fit that is not the truth
    measured = apart.std(axis=0) * np.sqrt(300)
    np.testing.assert_allclose(measured / np.sqrt(np.diagonal(left)), 1, atol=5 / np.sqrt(240) + 0.1)
    assert (np.diagonal(left) < 0.5 * np.diagonal(whole)).all()
    for k, inputs in enumerate(v[:, 0]):
        f = mf.reduce(line(), "tanh", {"A": inputs})
        matched, nothing = (neuron(f, kappa[k], how).covariance[0, 0] for how in ("moments", "nothing"))
        # one Gaussian: what maximum likelihood uses up are the moments
        np.testing.assert_allclose([left[k, k], whole[k, k]], [matched, nothing], rtol=0.12)


def test_the_tests_of_the_drift_are_calibrated(fits_of_one_population, monkeypatch):
    kappa, v, found = fits_of_one_population
    monkeypatch.setattr(drifts, "NEURONS", 1 << 13)
    closer = np.array([drift_error(net, kappa, v, fit).p for net, fit in found[:60]])
    fresh = np.array([drift_error(replace(net, mixture=line()), kappa, v).p for net, _ in found[:60]])
    for p in (closer, fresh):
        assert p.min() > LEAST and 0.35 < p.mean() < 0.65 and (p < 0.1).mean() < 0.3
    # and a mixture that was fitted is nearer than chance puts a draw
    net, fit = found[0]
    assert drift_error(net, kappa, v).sampling > 1.4 * drift_error(net, kappa, v, fit).sampling


def test_the_law_of_the_drift_error_against_weighted_squares():
    """The sum of squares of a Gaussian vector, drawn; the multiple of a chi-square is good to a few hundredths."""
    net = replace(draw(line(), 300, 11), mixture=line(1.75))
    kappa, v = np.array([[0.4], [1.2], [-0.8]]), np.array([[0.0], [1.0], [0.5]])
    found = drift_error(net, kappa, v)
    values = np.linalg.eigvalsh(neuron_covariance(net, kappa, v)) / 300
    squares = np.random.default_rng(0).chisquare(1, (20_000, 3)) @ values
    assert found.p == pytest.approx((squares >= 3 * found.rms**2).mean(), abs=0.03) and 0.05 < found.p < 0.8
    assert found.sampling == pytest.approx(np.sqrt(values.sum() / 3)) and 1 < found.freedom < 3


@pytest.mark.parametrize("gauge", [True, False])
def test_the_scores_vanish_at_the_maximum(gauge):
    """Over the neurons of a fit the mean of what is expected of their statistics are the statistics of the mixture."""
    first = {"weight": 0.6, "n1 m1": 1.5, "n1 A": 0.5, "w m1": 1.0, "mean m1": 1.5, "mean A": 1.0}
    second = {"weight": 0.4, "n1 A": 2.0, "A A": 4.0, "mean n1": -2.0}
    net = draw(mf.Connectivity.from_overlaps([first, second], 1, ("A",), ("w",)), 600, 4)
    fit = fit_populations(net, 2, gauge=gauge, restarts=5, progress=False)
    mean = drifts.scores(fit, np.hstack([net.m, net.n, net.I, net.w])).mean(axis=0)
    size = fit.problem.size
    plain, linear, square = np.split(fit.stats, [1, 1 + size], axis=1)
    expected = np.concatenate([plain.ravel(), square.ravel(), linear.ravel()])
    # the likelihood is at its maximum up to a hundredth of a standard error, 1 / sqrt(600)
    np.testing.assert_allclose(mean, expected, rtol=0, atol=2e-3)


def test_wrong_mixtures_are_rejected_by_the_drift():
    net = draw(line(), 2000, 5)
    kappa, v = np.array([[0.5], [1.0]]), np.zeros((2, 1))
    assert drift_error(net, kappa, v).p > LEAST
    wrong = drift_error(replace(net, mixture=line(2.2)), kappa, v)
    assert wrong.p < 1e-6 and np.abs(wrong.z).max() > 5 and "drift error" in str(wrong)
    # the network itself as its mixture: nothing is left to chance
    alone = mf.Connectivity.from_overlaps(
        [{"n1 m1": 0.0, "m1 m1": 0.0, "A A": 0.0, "mean m1": 1.0, "mean n1": 2.0}], 1, ("A",)
    )
    point = draw(alone, 20, 0)
    assert drift_error(point, kappa, v).p == 1 and drift_error(point, kappa, v).rms < 1e-14


# Portraits and their odds


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("gained", [0, 2, 4])
def test_odds_against_all_subsets_of_changes(mirrored, gained):
    kinds = ("fold", "pitchfork", "Hopf", "fold")
    listed = tuple(Change(kind, np.zeros(1), d) for kind, d in zip(kinds, (0.05, 0.1, 0.08, 0.02), strict=True))
    p = [change.probability(100) for change in listed]
    total = 0.0
    for happen in itertools.product((False, True), repeat=4):
        some = [kind for kind, yes in zip(kinds, happen, strict=True) if yes]
        moved = sum({"fold": 4 if mirrored else 2, "pitchfork": 2, "Hopf": 0}[kind] for kind in some)
        if moved >= gained if gained else "Hopf" in some or len(some) > 1:
            total += np.prod([q if yes else 1 - q for q, yes in zip(p, happen, strict=True)])
    assert portraits.odds_of(listed, 100, gained, mirrored) == pytest.approx(total, rel=1e-12)


def test_odds_of_the_same_portrait_are_those_of_the_theory(context):
    pair = context.chosen.pairs[0]
    assert pair.same and pair.odds == unchanged_probability(pair.changes, 1000) and len(context.chosen.pairs) == 11


def test_the_odds_are_seen_in_draws():
    """Next to a pitchfork, with 200 neurons."""
    net = replace(draw(line(1.15), 200, 6), mixture=line(1.15))
    own = portraits.portrait_of(net.connectivity, "tanh", Condition())
    pair = portraits.PortraitPair(portraits.portrait_of(net.mixture, "tanh", Condition()), own, 200)
    twins = [redrawn.redraw(net, 200, [7, k], "nothing").connectivity for k in range(40)]
    like = sum(
        portraits.topology(portraits.portrait_of(c, "tanh", Condition())) == portraits.topology(own) for c in twins
    )
    share, error = redrawn.binomial(like, 40)
    assert abs(share - pair.odds) < 4 * error


def test_conditions_are_the_inputs_of_the_trials():
    net = draw(context_mixture(), 50, 0)
    labels = [c.label for c in portraits.conditions_of(net, context_trials())]
    assert labels[0] == "no input" and len(labels) == 11 and "ctxA = 1" in labels
    assert len(portraits.conditions_of(net, None)) == 5
    one = draw(line(), 50, 0)
    u = np.array([0.5, -0.5, 0.2])[:, None, None] * np.ones((3, 4, 1))
    trials = Trials(u=u, target=[1, -1, 1], window=(3, 4))
    # tanh: portraits under u and -u are mirror images
    assert [c.inputs for c in portraits.conditions_of(one, trials)] == [{}, {"A": 0.2}, {"A": 0.5}]
    assert len(portraits.conditions_of(replace(one, transfer="relu"), trials)) == 4
    noisy = replace(trials, u=np.random.default_rng(0).standard_normal((3, 40, 1)), wanted=None, weight=None)
    assert [c.label for c in portraits.conditions_of(one, noisy)] == ["no input", "A = 1"]


def test_cycles_are_compared_where_no_point_is_stable():
    spiral = mf.Connectivity.from_overlaps([{"n1 m1": 2.0, "n2 m2": 2.0, "n1 m2": 1.5, "n2 m1": -1.5}], 2)
    found = portraits.portrait_of(spiral, "tanh", Condition())
    assert portraits.topology(found) == ((("source", 1),), 1)
    assert portraits.in_words_of(found) == "1 source, 1 stable cycle"
    net = draw(spiral, 300, 0)
    pair = portraits.PortraitPair(found, portraits.portrait_of(net.connectivity, "tanh", Condition()), 300)
    assert pair.same
    portraits.portraits_figure([pair], points=5).draw().draw_without_rendering()


# Uncertainty, and networks drawn anew


def test_error_bars_are_those_of_linear_response():
    """A fixed point of the fit moves with what the fit follows of the sampling error, Cov_all - Cov_left."""
    net = draw(line(1.8), 1000, 8)
    e = explain(net, fit_populations(net, 1, gauge=False, progress=False), conditions=[Condition()])
    found = uncertainty(e, draws=80, seed=1, workers=1, progress=False)
    odds = found.conditions[0]
    assert odds.same == odds.like_network == 80 and odds.probability[0] == 1 and found.accuracy is None
    points = odds.portrait.fixed_points
    k = int(np.argmax(points.kappa[:, 0]))
    at = points.kappa[[k]], np.zeros((1, 1))
    followed = neuron_covariance(e.net, *at) - neuron_covariance(e.net, *at, e.fit)
    expected = np.sqrt(followed[0, 0] / 1000) / abs(points.eigenvalues[k, 0].real)
    assert odds.kappa_error[k, 0] == pytest.approx(expected, rel=5 / np.sqrt(160))
    # at a fixed point of one zero-mean population the effective overlap is 1
    assert odds.effective[k, 0, 0] == pytest.approx(1, abs=0.15) and odds.overlap_error.shape == (3, 1, 1)
    assert "probability of the fit's portrait 1.00" in str(found)
    found.figure().draw().draw_without_rendering()


def test_a_portrait_next_to_a_bifurcation_is_uncertain(context):
    net = draw(line(1.0), 300, 9)
    e = explain(net, fit_populations(net, 1, progress=False, restarts=5), conditions=[Condition()])
    odds = uncertainty(e, draws=40, seed=0, workers=1, progress=False).conditions[0]
    assert 0.1 < odds.probability[0] < 0.98 and len(odds.portraits) == 2
    assert sum(count for _, count in odds.portraits) == 40
    with pytest.raises(ValueError, match="was not fitted"):
        uncertainty(explain(net, line()), draws=10)


def test_networks_drawn_anew_do_the_task(context):
    growth, figure, statements = resample(context.chosen, (64, 512), 6, portraits=False)
    share, error = growth.accuracy()
    assert growth.correct.shape == (2, 6, 8) and share[1] > 0.9 and (error > 0).all()
    bad = context.candidates[0].explanation
    other, _, _ = resample(bad, (512,), 6, portraits=False)
    assert other.accuracy()[0][0] < share[1] - 0.15
    assert statements[0].expected.startswith("1 for N to infinity")
    figure.draw().draw_without_rendering()
    with pytest.raises(ValueError, match="nothing to compare"):
        resample(explain(draw(line(), 100, 0), line()), (64,), 2, portraits=False)


def test_a_network_is_examined_with_its_fit(context):
    """The record's network is what ``trained.examine`` takes."""
    net = context.chosen.net
    assert net.mixture is context.chosen.fit.connectivity and redrawn.how_drawn(net)[0] == "nothing"
    run = run_trials(net, context.facts.trials)
    np.testing.assert_array_equal(run.z[..., 0], context.facts.z)
    assert facts_of(net).trials is None and len(facts_of(net).kappa) == 10


def test_portraits_that_are_not_settled_are_said(context):
    """They reject nothing; the verdict says so."""
    best = context.chosen
    assert not best.reservation
    points = replace(best.pairs[0].portrait.fixed_points, status=Status.ENCLOSED)
    unsettled = portraits.PortraitPair(replace(best.pairs[0].portrait, fixed_points=points), best.pairs[0].own, 1000)
    open_one = replace(best, pairs=(unsettled, *best.pairs[1:]))
    assert unsettled.same is None and open_one.verdicts["portraits"] is None and open_one.explains
    assert "not settled: no input" in open_one.statements()[-1].value
    assert "not settled" in choice.Choice(best.facts, (choice.Candidate(2, open_one),)).status


# The network itself, silenced; and what is left out of it


def test_the_network_itself_without_a_population(context):
    """Its neurons agree with the silenced mixture, but not where the wrong ones are silenced."""
    best = context.chosen
    lines = silenced_statements(best, 0)
    assert len(lines) == 2 and all(x.holds for x in lines) and "11 of 11 inputs" in lines[0].value
    # each population decides one context
    assert "right decisions: " in lines[0].value and "8 of 8" not in lines[0].value.split("right decisions")[1]
    others = replace(best, fit=replace(best.fit, responsibilities=best.fit.responsibilities[:, ::-1]))
    assert [x.holds for x in silenced_statements(others, 0)] == [False, False]
    only = silenced_statements(explain(best.facts.net, fit_populations(best.facts.net, 1, restarts=5)), 0)
    assert len(only) == 1 and "50% of population 0" in only[0].text


@pytest.mark.parametrize(("g", "quiet"), [(0.4, True), (2.5, False)])
def test_a_random_part_is_said_to_be_left_out(g, quiet):
    net = draw(replace(context_mixture(), g=g), 300, 0)
    lines = left_out(net, context_trials())
    assert lines[0].holds is quiet and float(lines[0].value) == pytest.approx(g, rel=0.15)
    assert lines[1].holds is quiet and "of 8 trials" in lines[1].value
    assert len(left_out(net)) == 1
