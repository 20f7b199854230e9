"""A fit against its teacher: what is compared, and that networks of others come back from their activity."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lint_teachers import NOISE, dense, drive, fitted, teacher
from meanfield.validation.analysis import Condition
from meanfield.validation.decisions import load_trials
from meanfield.validation.lint.comparison import (
    compare_connectivity,
    correlation,
    cosine,
    identifiable_factors,
    inner,
)
from meanfield.validation.lint.prediction import Score
from meanfield.validation.lint.recovery import activity_of, recovery
from meanfield.validation.networks import load_network
from numpy.testing import assert_allclose


def test_the_standard_error_is_that_of_repetitions():
    rng = np.random.default_rng(0)
    squares = rng.uniform(1, 3, (400, 30))
    errors = squares * rng.uniform(0, 0.2, (400, 30))
    scores = [Score.of(e, s) for e, s in zip(errors, squares, strict=True)]
    assert np.mean([s.error for s in scores]) == pytest.approx(np.std([s.r2 for s in scores]), rel=0.1)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(0, 3))
def test_products_of_connectivities_are_those_of_matrices(seed, parts):
    rng = np.random.default_rng(seed)
    a, b = (
        (*rng.standard_normal((2, 7, k)), rng.standard_normal((7, 7)) if flag else None)
        for k, flag in ((1, parts & 1), (2, parts & 2))
    )
    full = [left @ right.T + (0 if rest is None else rest) for left, right, rest in (a, b)]
    assert_allclose(inner(a, b), (full[0] * full[1]).sum(), atol=1e-9)
    assert_allclose(cosine(a, b), (full[0] * full[1]).sum() / np.linalg.norm(full[0]) / np.linalg.norm(full[1]))
    assert_allclose(correlation(a, b), np.corrcoef(full[0].ravel(), full[1].ravel())[0, 1], atol=1e-9)


def test_comparison_does_not_depend_on_the_basis():
    net, other = teacher(2, 40, seed=1), teacher(2, 40, seed=2)
    turn = np.array([[2.0, 0.3], [-0.5, 1.0]])
    turned = replace(other, m=other.m @ turn, n=other.n @ np.linalg.inv(turn).T, mixture=None)
    one, two = (compare_connectivity(x, net, conditions=[Condition()]) for x in (other, turned))
    for name in ("cosine", "correlation", "identifiable_cosine", "overlaps", "eigenvalues"):
        assert_allclose(getattr(one, name), getattr(two, name), atol=1e-9)
    same = compare_connectivity(turned, other, conditions=[Condition("on", {"A": 0.5})])
    assert same.cosine == pytest.approx(1) and same.rest[0].apart < 1e-6 and same.rest[0].same
    assert_allclose(same.overlaps, same.teacher_overlaps, atol=1e-9)
    basis = np.linalg.qr(np.hstack([net.m, net.I]))[0]
    left, right, _ = identifiable_factors(net)
    assert_allclose(left @ right.T, dense(net) @ basis @ basis.T, atol=1e-12)


def test_the_unseen_part_of_n_hardly_acts():
    """n orthogonal to m and I moves the drift by O(1/sqrt(N)) only: four times fewer for sixteen times the neurons."""
    sizes = []
    for size in (250, 4000):
        moved = []
        for seed in range(20):
            net = teacher(size=size, seed=seed)
            basis = np.linalg.qr(np.hstack([net.m, net.I]))[0]
            blind = np.random.default_rng(seed).standard_normal(size)
            blind -= basis @ (basis.T @ blind)
            moved.append(blind @ np.tanh(net.m[:, 0] + 0.5 * net.I[:, 0]) / size)
        sizes.append(np.std(moved))
    assert 2.2 < sizes[0] / sizes[1] < 7  # 4, with 20 networks each: 16 % of spread


def test_recovery_improves_with_trials():
    net = teacher(size=50)
    found = recovery(net, drive(60), drive(10, seed=8), (6, 60), (0.0, NOISE), 0, repetitions=2)
    cosines, errors = found.mean("cosine")
    assert cosines[1, 1] > cosines[1, 0] + 0.05 and errors.shape == (2, 2)
    assert (found.values["acting"] > 0.98).all() and found.values["clean"][0].min() > 0.999
    assert found.figure.data["acting"].shape == (2, 2) and "noise" in str(found)


# Networks of others, where they are at hand


@pytest.mark.parametrize(("name", "trials", "least"), [("rdm_rank1", 120, 0.85), ("dms_rank2", 60, 0.9)])
def test_shared_teachers_are_recovered(shared_networks, name, trials, least):
    net = load_network(shared_networks / f"lint__{name}_512.npz")
    oracle = load_trials(shared_networks / "oracle" / f"lint__{name}_512.npz")
    u = oracle.u[np.arange(trials) % len(oracle.u)]
    x = activity_of(net, u, NOISE, 0)
    fit = fitted(net, x, u, held_out=range(trials - 8, trials))
    found = compare_connectivity(fit, net, oracle, [Condition()])
    assert found.same_decisions.all() and found.right.all()
    assert found.cosine > least and found.identifiable_correlation > 0.995 and found.r2.r2 > 0.9999
    assert abs(found.cosine - fit.expected_cosine) < 0.03
    assert found.rest[0].same and found.rest[0].apart < 0.05


@pytest.mark.parametrize(("name", "whole", "seen"), [("rdm", 0.506, 0.988), ("dms", 0.392, 0.874)])
def test_shared_students_against_their_teachers(shared_networks, name, whole, seen):
    rank = {"rdm": 1, "dms": 2}[name]
    student, net = (load_network(shared_networks / f"lint__{name}_{x}_512.npz") for x in ("fitlr", f"rank{rank}"))
    found = compare_connectivity(student, net, load_trials(shared_networks / "oracle" / f"lint__{name}_fitlr_512.npz"))
    assert found.cosine == pytest.approx(whole, abs=2e-3)
    assert found.identifiable_cosine == pytest.approx(seen, abs=2e-3)
    assert found.same_decisions.all()
