"""Inputs switched in time: the reduced equations with dynamic v against simulated networks, transient included."""

import numpy as np
import pytest
from meanfield.validation import follow, simulate
from meanfield.validation.transients import Pulse, confirm

from meanfield import Connectivity

C = Connectivity.from_overlaps([{"n1 m1": 1.8, "n1 A": 0.8}], 1, ("A", "B"))


@pytest.fixture(scope="module")
def run():
    return follow(C, [Pulse("A", 1.0, 2.0, 8.0), Pulse("B", 1.5, 10.0, 14.0)], [-1.2], 18.0, n_neurons=2000, draws=24)


def test_networks_follow_the_reduced_equations(run):
    assert run.agrees and "agree with the theory in time" in str(run)
    assert run.z.shape[0] == 24 and 0.6 < run.z_std < 1.4
    figure, statements = confirm(run)
    assert [s.holds for s in statements] == [True, True]
    assert figure.data["drawn"].shape == run.kappa.shape
    figure.draw()


def test_the_part_outside_the_span_decays_whatever_the_network_does(run):
    assert run.decay_error < 1e-4
    np.testing.assert_allclose(run.outside[:, 0], 1.0, rtol=0.1)  # rms of 2000 draws of variance 1


def test_the_part_outside_the_span_is_not_negligible_and_the_theory_has_it():
    """Without its variance in the theory the early drift is off by far more than the spread."""
    wide = follow(C, [Pulse("A", 1.0, 1.0, 6.0)], [-1.2], 8.0, n_neurons=8000, draws=12, outside=2.0)
    narrow = follow(C, [Pulse("A", 1.0, 1.0, 6.0)], [-1.2], 8.0, n_neurons=8000, draws=12, outside=1e-6)
    assert wide.agrees
    gap = np.abs(wide.theory.kappa - narrow.theory.kappa).max()
    assert gap > 8 * wide.spread.std(8000).max() / np.sqrt(12)


def test_a_wrong_time_constant_of_the_input_would_be_seen(run):
    """The scores of a theory without the filter, v = u at once, are far off."""
    from meanfield import reduce, trajectory

    relaxed = reduce(C, inputs={"A": 1.0})
    start = run.theory.kappa[np.searchsorted(run.theory.t, 2.0)]
    jumpy = trajectory(relaxed, start, [0.0, 0.5, 1.0, 2.0]).kappa[-1]
    at = np.searchsorted(run.theory.t, 4.0)
    z = (run.kappa[:, at].mean(0) - jumpy) / (run.spread.std(2000)[at] / np.sqrt(24))
    assert np.abs(z).max() > 6


def test_a_single_input_may_be_called_I():
    c = Connectivity.from_overlaps([{"n1 m1": 1.5, "n1 I": 0.5}], 1, ("I",))
    assert follow(c, [Pulse("I", 1.0, 1.0, 3.0)], [1.0], 5.0, n_neurons=500, draws=4).kappa.shape == (4, 51, 1)


@pytest.mark.parametrize(
    ("pulses", "options", "message"),
    [
        ([Pulse("C", 1.0, 0.0, 1.0)], {}, "unknown input 'C'"),
        ([Pulse("A", 1.0, 2.0, 1.0)], {}, "0 <= start < end"),
        ([Pulse("A", np.nan, 0.0, 1.0)], {}, "finite"),
        ([Pulse("A", 1.0, 0.0, 1.0)], {"kappa": [1.0, 2.0]}, "kappa"),
        ([Pulse("A", 1.0, 0.0, 1.0)], {"duration": -1.0}, "positive"),
        ([Pulse("A", 1.0, 0.0, 1.0)], {"draws": 1}, "draws"),
        ([("A", 1.0, 0.0, 1.0)], {}, "Pulse"),
        ([Pulse("A", 1.0, 0.0, 1.0)], {"tau": 0.0}, "tau"),
        ([Pulse("A", 1.0, 0.0, 1.0)], {"duration": "a"}, "duration"),
    ],
)
def test_nonsense_is_refused(pulses, options, message):
    with pytest.raises(ValueError, match=message):
        follow(C, pulses, **{"kappa": [1.0], "duration": 2.0, "n_neurons": 100, "draws": 2} | options)


def test_another_time_constant_is_only_another_unit_of_time():
    pulses, slow = [Pulse("A", 1.0, 2.0, 6.0)], [Pulse("A", 1.0, 4.0, 12.0)]
    fast = follow(C, pulses, [-1.2], 8.0, n_neurons=500, draws=4)
    twice = follow(C, slow, [-1.2], 16.0, n_neurons=500, draws=4, tau=2.0)
    np.testing.assert_allclose(twice.kappa, fast.kappa, atol=1e-10)
    np.testing.assert_allclose(twice.z, fast.z, atol=1e-5)


def test_units_that_do_not_decay_are_seen(monkeypatch):
    """The part outside the span is measured on the units themselves."""
    from meanfield.validation import transients

    def frozen(net, *arguments, start=None, **options):
        run = simulate(net, *arguments, start=start, **options)
        rest = start - net.m @ run.kappa[0] - net.I @ run.v[0] + 0.1 * net.I[:, -1]
        object.__setattr__(run, "_x", run.x + rest)
        return run

    monkeypatch.setattr(transients, "simulate", frozen)
    wrong = follow(C, [Pulse("A", 1.0, 1.0, 3.0)], [-1.2], 12.0, n_neurons=300, draws=2)
    assert wrong.decay_error > 1


def test_nothing_outside_is_no_statement():
    run = follow(C, [Pulse("A", 1.0, 1.0, 3.0)], [-1.2], 5.0, n_neurons=300, draws=2, outside=0.0)
    assert np.isnan(run.decay_error) and len(confirm(run)[1]) == 1


def test_where_nothing_can_be_compared_it_says_so():
    with pytest.raises(ValueError, match="nothing to compare"):
        follow(C, [Pulse("A", 1.0, 0.0, 0.2)], [-1.2], 0.3, n_neurons=300, draws=2)
