from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.dmft.chaotic import chaotic
from meanfield.dmft.following import FollowStatus, follow

# Newton's method ends at rounding; where the Jacobian is mild the unknowns are known to this
SOLVED = 1e-11


def plain(g, overlap=0.0):
    return mf.Connectivity.from_overlaps([{"n1 m1": overlap}], rank=1, g=g)


def shifted(g):
    """One population with means: the structured network of Mastrogiuseppe and Ostojic (2018)."""
    return mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g)


def driven(g):
    """Excitatory drive against inhibitory feedback through the means."""
    population = {"mean m1": 1.0, "m1 m1": 0.0, "mean n1": -4.0, "mean A": 1.0, "A A": 0.0}
    return mf.Connectivity.from_overlaps([population], rank=1, inputs=("A",), g=g)


def test_follow_agrees_with_the_search():
    values = np.linspace(1.85, 2.1, 6)
    branch = follow(shifted(2.0), values=values)
    for point in branch:
        assert point.status is FollowStatus.FOLLOWED
        s = chaotic(shifted(point.value))[0]
        np.testing.assert_allclose(np.abs(point.state.kappa), np.abs(s.kappa), atol=SOLVED)
        np.testing.assert_allclose(point.state.delta0, s.delta0, rtol=SOLVED)


def test_follow_stops_where_the_branch_ends():
    up, down = (
        follow(shifted(2.0), values=v, start=chaotic(shifted(2.0))[0]) for v in ([2.0, 2.1, 2.2, 2.3], [2.0, 1.85, 1.7])
    )
    assert [p.status.name for p in up] == ["FOLLOWED", "FOLLOWED", "ENDED", "ENDED"]
    assert up[2].state is None and "kappa meets 0" in up[2].note and up.end[0] <= 2.1357916903 <= up.end[1] + 1e-9
    assert down[2].state is None and "a static state takes over" in down[2].note
    assert down.end[1] - 1e-9 <= 1.79589930043 <= down.end[0]
    assert "2 of 4 values of g reached" in str(up) and len(up.states) == 2


def test_follow_other_parameters():
    noisy = follow(shifted(2.0), along="noise", values=[0.0, 0.2, 0.4])
    np.testing.assert_allclose(noisy[2].state.kappa, chaotic(shifted(2.0), noise=0.4)[0].kappa, rtol=1e-9)
    inhibited = follow(driven(1.8), "tanh", {"A": 0.5}, along="A", values=[0.5, 0.4], noise=0.3)
    assert inhibited[1].state.problem.inputs == {"A": 0.4} and inhibited[1].state.residual < 1e-13
    wide = follow(shifted(2.0), along="input_variance", values=[0.0, 0.1])
    assert wide[1].state.problem.input_variance[0] == 0.1
    none = follow(plain(0.5), values=[0.5, 0.6])
    assert none[0].status is FollowStatus.NOT_STARTED and none.states == ()


def test_follow_bad_input():
    with pytest.raises(ValueError, match="cannot follow along 'gain'"):
        follow(shifted(2.0), along="gain", values=[1.0])
    with pytest.raises(ValueError, match="noise must be finite and >= 0"):
        follow(shifted(2.0), along="noise", values=[0.0, -1.0])
    with pytest.raises(ValueError, match="start must be a state of the same form, rank 1, 1 populations, one g"):
        follow(shifted(2.0), values=[2.0], start=chaotic(replace(shifted(2.0), g=np.full((1, 1), 2.0)))[0])
