"""Where the mean-field theory with a random part is asked for too much: errors that say what to do, honest statuses."""

from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.dmft.states import SearchStatus

SHIFTED = mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=1.5)
NEAR = ([1.0], [1.5])


def branch(**options):
    return mf.dmft.stationary_branch(SHIFTED, **{"vary": {"g": [1.0, 1.2]}, "start": NEAR} | options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: branch(tolerance=float("nan")), "tolerance must be a number above 0"),
        (lambda: branch(tolerance=1e9), "at most 0.001"),
        (lambda: branch(tolerance="a"), "tolerance must be a number"),
        (lambda: branch(start=5), "start must be a state at rest, or a pair"),
        (lambda: branch(vary={"g": []}), "is empty"),
        (lambda: mf.dmft.stationary(SHIFTED, inputs=[1.0]), "inputs must map names"),
        (lambda: mf.dmft.chaotic(replace(SHIFTED, g=1e8)), "bring the variance of the input to the scale"),
    ],
)
def test_errors_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_state_that_ends_within_the_grid_is_said_to_be_gone():
    found = branch(vary={"g": [1.5, 2.3]})
    assert found.status[0] == "converged" and found.status[1].startswith("converged to kappa = 0")
    assert found.converged.all() and found.kappa[0, 0] > 0.8 and abs(found.kappa[1, 0]) < 1e-9


def test_a_population_that_nothing_reaches_stays_silent():
    one = {"mean m1": 1.1, "mean n1": 2.0}
    c = mf.Connectivity.from_overlaps([{"weight": 0.3, **one}, {"weight": 0.7, **one}], 1, g=np.diag([2.0, 0.5]))
    states = mf.dmft.chaotic(c)
    (state,) = (s for s in states if abs(s.kappa[0]) < 1e-9)
    assert state.delta0[0] > 0.1 and state.delta0[1] == pytest.approx(0.0, abs=1e-12)
    assert state.lyapunov > 0 and state.status.settled


def halves(g):
    return mf.Connectivity.from_overlaps([{"weight": 0.4}, {"weight": 0.6}], rank=1, g=g)


def test_two_populations_with_nothing_to_find():
    states = mf.dmft.chaotic(halves(np.zeros((2, 2))))
    assert not states and states.status is SearchStatus.NONE and "raise g or noise" in states.note
    too_fast = mf.dmft.chaotic(halves(np.full((2, 2), 3.0)), "relu")
    assert not too_fast and too_fast.status is SearchStatus.FAILED and "grow too fast" in too_fast.note
