"""Branches and transitions where g differs between pairs of populations."""

from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.dmft import chaotic, follow, noise_suppression, structure_end
from meanfield.dmft.following import FollowStatus
from meanfield.dmft.problem import pose
from meanfield.dmft.resting import resting
from meanfield.dmft.solutions import started, unstructured

G2 = np.array([[1.5, 0.5], [0.3, 1.2]])


def shifted(g=1.0):
    """One population with means: the structured network of Mastrogiuseppe and Ostojic (2018)."""
    population = {"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0, "mean A": 1.0}
    return mf.Connectivity.from_overlaps([population], rank=1, inputs=("A",), g=g)


def halves(g=1.0, share=0.3):
    """The same in two parts, with g per pair."""
    return replace(shifted(g).split(0, share), g=np.full((2, 2), g))


def mixed(g=1.0):
    """Two populations that differ."""
    first, second = {"n1 m1": 5.0, "mean m1": 0.3}, {"n1 m1": 2.0, "mean n1": 0.6}
    return mf.Connectivity.from_overlaps([{"weight": 0.4} | first, {"weight": 0.6} | second], rank=1, g=g * G2)


def test_end_of_structured_chaos_with_equal_strengths():
    (scalar,) = structure_end(shifted(), bracket=(1.9, 2.3))
    for c in (replace(shifted(), g=np.ones((1, 1))), halves()):
        (end,) = structure_end(c, bracket=(1.9, 2.3))
        assert abs(end.value - scalar.value) <= end.error + scalar.error < 1e-10
        assert end.value == pytest.approx(2.1357916902, abs=1e-10) and not end.kappa.any()
        np.testing.assert_allclose(end.delta0, scalar.delta0[0], rtol=1e-10)


def test_noise_that_suppresses_chaos_with_equal_strengths():
    plain = mf.Connectivity.from_overlaps([{}], rank=1, g=2.0)
    zero, radius = noise_suppression(replace(plain.split(0, 0.3), g=np.full((2, 2), 2.0)), bracket=(0.8, 2.6))
    assert zero.value == pytest.approx(1.0460544875, abs=1e-10) and zero.kind == "largest Lyapunov exponent zero"
    assert radius.value == pytest.approx(2.3745554548, abs=1e-10) and radius.kind == "bulk radius one"
    assert max(zero.error, radius.error) < 1e-9


def test_a_branch_meets_kappa_0_under_noise_with_equal_strengths():
    expected = noise_suppression(shifted(2.0), bracket=(0.7, 2.5))
    found = noise_suppression(halves(2.0), bracket=(0.7, 2.5))
    for a, b in zip(expected, found, strict=True):
        assert abs(a.value - b.value) <= a.error + b.error and b.error < 1e-9
        assert a.kind == b.kind and a.note == b.note
        np.testing.assert_allclose(b.kappa, a.kappa, atol=1e-9)


def test_following_with_equal_strengths():
    values = [2.0, 2.1, 2.14]
    one, two = (follow(c, values=values) for c in (shifted(), halves()))
    for a, b in zip(one, two, strict=True):
        assert a.status is b.status
        if a.state is not None:
            np.testing.assert_allclose(b.state.kappa, a.state.kappa, atol=1e-10)
            np.testing.assert_allclose(
                b.state.delta([0.0, 2.0]), a.state.delta([0.0, 2.0]) @ np.ones((1, 2)), rtol=1e-9
            )
            assert abs(a.state.lyapunov - b.state.lyapunov) <= a.state.lyapunov_error + b.state.lyapunov_error
    for branch in (one, two):
        assert "kappa meets 0" in branch[2].note and branch.end[0] <= 2.1357916902 <= branch.end[1] + 1e-9
        assert branch.end[1] - branch.end[0] < 1e-4
    down = follow(halves(), values=[1.85, 1.78], start=two[0].state)
    assert "a static state takes over" in down[1].note
    assert down.end[1] - 1e-9 <= 1.79589930043 <= down.end[0] < down.end[1] + 1e-3


def test_end_of_structured_chaos_of_two_populations_that_differ():
    """Bisection of the searches, and <phi'> at the end: the overlaps times it have the eigenvalue 1."""
    (end,) = structure_end(mixed(), bracket=(2.9, 3.3))
    assert end.error < 1e-9
    slope = mf.gaussian_average("tanh", mean=0.0, variance=end.delta0, order=1)
    assert 0.4 * 5.0 * slope[0] + 0.6 * 2.0 * slope[1] == pytest.approx(1.0, abs=1e-10)
    low, high = 3.0, 3.15
    while high - low > 0.02:
        middle = (low + high) / 2
        structured = any(np.abs(s.kappa[0]) > 1e-3 for s in chaotic(mixed(middle)))
        low, high = (middle, high) if structured else (low, middle)
    assert low <= end.value <= high


def test_noise_that_suppresses_chaos_of_two_populations_that_differ():
    c = mf.Connectivity.from_overlaps([{"weight": 0.4}, {"weight": 0.6}], rank=1, g=2 * G2)
    zero, radius = noise_suppression(c, bracket=(0.3, 2.5))
    assert zero.error < 1e-9 and radius.error < 1e-9
    below, above = (chaotic(c, noise=zero.value + d)[0].lyapunov for d in (-1e-4, 1e-4))
    assert below > 0 > above and zero.value == pytest.approx(
        zero.value - 1e-4 + 2e-4 * below / (below - above), abs=1e-7
    )
    (s,) = chaotic(c, noise=radius.value)
    slope = mf.gaussian_average("tanh", mean=0.0, variance=s.delta0, order=1, power=2)
    assert np.linalg.eigvals(s.problem.coupling * slope).real.max() == pytest.approx(1.0, abs=1e-9)


def test_following_two_populations_along_other_parameters():
    start = chaotic(mixed(2.5))[0]
    noisy = follow(mixed(2.5), along="noise", values=[0.0, 0.4], start=start)
    direct_ = chaotic(mixed(2.5), noise=0.4)[0]
    assert noisy[1].status is FollowStatus.FOLLOWED
    np.testing.assert_allclose(np.abs(noisy[1].state.kappa), np.abs(direct_.kappa), atol=1e-9)
    np.testing.assert_allclose(noisy[1].state.delta0, direct_.delta0, rtol=1e-9)


def test_states_at_rest_are_followed_too():
    problem = pose(mixed(0.5))
    rest = next(r for r in resting(problem) if r.kappa.any())
    moved = rest.moved(problem.with_g(0.52 * G2))
    expected = next(r for r in resting(problem.with_g(0.52 * G2)) if r.kappa.any())
    assert np.abs(moved.y) == pytest.approx(np.abs(expected.y), abs=1e-9)
    assert moved.squared_radius == pytest.approx(expected.squared_radius, abs=1e-9) and moved.gap is None
    assert rest.size == pytest.approx((rest.variances[0] - problem.structure_variance(rest.kappa)).max(), rel=1e-12)


def test_where_branches_start():
    (zero,) = unstructured(pose(halves(2.0)))
    (scalar,) = unstructured(pose(shifted(2.0)))
    assert not zero.kappa.any() and zero.size == pytest.approx(scalar.size, rel=1e-10)
    assert zero.eigenvalues[0].real == pytest.approx(scalar.eigenvalues[0].real, abs=1e-10)
    assert zero.squared_radius == pytest.approx(scalar.squared_radius, rel=1e-10)
    assert zero.lyapunov == pytest.approx(scalar.lyapunov, abs=1e-9)
    assert unstructured(pose(halves(0.5))) == []
    with pytest.raises(ValueError, match="rank 1, 2 populations, g per pair: got rank 1, 1 populations, one g"):
        started(pose(halves(2.0)), scalar.state())
