"""Fixed points from many starts: planted zeros, the proved lists of small ranks, continua, signs of what is missing."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fixed_points import Cubic, one_population, random_mixture

import meanfield as mf
from meanfield.fixed_points import BUDGET, Status
from meanfield.proof.descent import reflections


class PartlyCubic(Cubic):
    """F_i = y_i - y_i^3 for the first ``active`` of y = A x + shift, -y_i for the others: 3^active planted zeros."""

    def __init__(self, matrix, active, shift=0.1):
        super().__init__(matrix, shift)
        self.active = np.arange(self.rank) < active

    def values_with_error(self, x):
        value, error, jacobian, jacobian_error = super().values_with_error(x)
        y = x @ self.matrix.T + self.shift
        value = np.where(self.active, value, -y)
        jacobian = np.where(self.active[:, None], jacobian, -self.matrix)
        return value, error, jacobian, jacobian_error

    @property
    def planted(self):
        corners = itertools.product(*((-1, 0, 1) if a else (0,) for a in self.active))
        return np.array([np.linalg.solve(self.matrix, np.array(y) - self.shift) for y in corners])


def skew(rank):
    return np.eye(rank) + 0.2 * np.random.default_rng(rank).normal(size=(rank, rank))


def box(rank, half=4.0):
    return -half * np.ones(rank), half * np.ones(rank)


@pytest.mark.parametrize(("rank", "active"), [(1, 1), (3, 3), (6, 3), (7, 4), (12, 2)])
def test_planted_zeros_are_found_and_proved_for_themselves(rank, active):
    f = PartlyCubic(skew(rank), active)
    fp = mf.fixed_points(f, box=box(rank), starts=2**13)
    assert fp.status is Status.FOUND and not fp.complete and not fp.status.settled
    assert len(fp) == 3**active and not fp.unresolved and fp.starts.hits.min() >= 2
    for zero in f.planted:
        assert (np.abs(fp.kappa - zero) <= fp.radius + 1e-15).all(-1).sum() == 1
    assert fp.radius.max() < 1e-10
    assert fp.starts.made == fp.starts.hits.sum() + fp.starts.lost


def test_zeros_outside_the_box_do_not_count():
    f = PartlyCubic(np.eye(6), 2, shift=0.0)
    fp = mf.fixed_points(f, box=(np.array([0.5, -2, -1, -1, -1, -1]), 2 * np.ones(6)))
    np.testing.assert_allclose(fp.kappa[:, :2], [[1, -1], [1, 0], [1, 1]], atol=1e-12)
    assert fp.status is Status.FOUND and fp.starts.lost > 0 and "in the given box" in str(fp)


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from(["tanh", "erf", "logistic", "sin"]), st.sampled_from([0.0, 0.7]))
def test_the_proved_list_is_found(seed, transfer, drive):
    f = mf.reduce(random_mixture(np.random.default_rng(seed)), transfer, {"A": drive})
    proved, found = mf.fixed_points(f), mf.fixed_points(f, starts=2**12)
    assert proved.complete and found.status is Status.FOUND and found.index_sum == 1 and len(found) == len(proved)
    assert (np.abs(found.kappa - proved.kappa) <= found.radius + proved.radius).all()
    np.testing.assert_array_equal(found.kind, proved.kind)
    np.testing.assert_array_equal(found.index, proved.index)
    np.testing.assert_allclose(found.eigenvalues, proved.eigenvalues, atol=1e-6)


def test_rank_six_of_one_population_has_a_pair_for_each_large_overlap():
    """kappa = sigma <phi'> kappa: eigenvectors of the overlap matrix, at the radius of the rank-one network."""
    overlaps = np.array([3.0, 2.4, 2.0, 1.5, 0.8, 0.3])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    fp = mf.fixed_points(mf.reduce(one_population(turn @ np.diag(overlaps) @ turn.T)))
    assert 6 not in BUDGET and fp.status is Status.FOUND and len(fp) == 9 and fp.index_sum == 1
    along = fp.kappa @ turn
    for r, overlap in enumerate(overlaps[:4]):
        radius = mf.fixed_points(mf.reduce(one_population(overlap))).kappa[2, 0]
        for sign in (1, -1):
            assert (np.abs(along - sign * radius * np.eye(6)[r]).max(-1) < 1e-9).sum() == 1
    fine = fp.refine(30)
    assert (np.abs(fine.astype(float) - fp.kappa) <= fp.radius).all()


def test_mirror_images_complete_the_list():
    """Equal overlaps of separate populations: 3^4 fixed points, of which one start in each class would do."""
    entries = [
        {"weight": 1 / 6, f"mean m{r}": 1.0, f"mean n{r}": 6 * (2.5 if r < 5 else 0.5), "m1 m1": 0.0}
        for r in range(1, 7)
    ]
    for e in entries:
        e.update({f"m{r} m{r}": 0.0 for r in range(1, 7)})
    fp = mf.fixed_points(mf.reduce(mf.Connectivity.from_overlaps(entries, rank=6)))
    (root,) = [k for k in mf.fixed_points(mf.reduce(mf.Connectivity.from_overlaps(
        [{"mean m1": 1.0, "mean n1": 2.5, "m1 m1": 0.0}], rank=1))).kappa[:, 0] if k > 0.1]  # fmt: skip
    assert len(fp) == 81 and fp.index_sum == 1 and fp.status is Status.FOUND
    levels = np.abs(fp.kappa[:, :4])
    assert (np.minimum(levels, np.abs(levels - root)) < 1e-9).all() and np.abs(fp.kappa[:, 4:]).max() < 1e-12
    assert len(np.unique(np.round(fp.kappa, 6), axis=0)) == 81


def test_reflections_are_told_from_averages_that_vanish():
    """Far out <sin> is 0 and the field is the leak, which every reflection leaves as it is."""
    overlaps = np.array([[90.0, 30.0], [20.0, 80.0]])
    for matrix, drive, count in ((overlaps, 0.0, 2), (np.diag([90.0, 80.0]), 0.0, 4), (overlaps, 1.0, 1)):
        entry = {f"n{i + 1} m{j + 1}": x for (i, j), x in np.ndenumerate(matrix)} | {"mean A": 0.5, "mean n1": 1.0}
        c = mf.Connectivity.from_overlaps([entry], rank=2, inputs=("A",))
        f = mf.reduce(c, "sin", {"A": drive})
        low, high = -f.search_box(), f.search_box()
        assert np.abs(f(0.3 * high) + 0.3 * high).max() < 1e-12
        assert len(reflections(f, low, high, np.zeros(2, bool))) == count
        found, proved = mf.fixed_points(f, starts=2**12), mf.fixed_points(f)
        assert found.status is Status.FOUND and proved.complete and len(found) == len(proved)


def test_a_ring_and_a_sphere_are_one_set_each():
    radii = [mf.fixed_points(mf.reduce(one_population(x))).kappa[2, 0] for x in (2.5, 2.0)]
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    overlaps = turn @ np.diag([2.5, 2.5, 2.0, 2.0, 2.0, 0.5]) @ turn.T
    fp = mf.fixed_points(mf.reduce(one_population(overlaps)))
    assert len(fp) == 1 and fp.kind[0] == "saddle" and np.abs(fp.kappa).max() < 1e-9
    assert [u.kind for u in fp.unresolved] == ["continuum"] * 2
    sizes = sorted((np.linalg.norm(u.points, axis=-1) for u in fp.unresolved), key=lambda x: -x[0])
    for found, radius in zip(sizes, radii, strict=True):
        np.testing.assert_allclose(found, radius, atol=1e-8)
    assert fp.starts.unresolved > 100 and "continuum within" in str(fp) and "boxes" not in str(fp)


def test_a_bifurcation_point_is_one_degenerate_zero():
    fp = mf.fixed_points(mf.reduce(one_population(np.eye(6))))
    (point,) = fp.unresolved
    assert point.kind == "degenerate" and len(fp) == 0 and np.abs(point.points).max() < 1e-3


def test_a_sum_of_indices_that_cannot_be_is_said():
    """The first start is the centre, a source of index -1: something must be missing."""
    fp = mf.fixed_points(mf.reduce(one_population(2.0)), starts=1)
    assert fp.status is Status.MISSING and fp.index_sum == -1 and fp.starts.made == 1
    assert "not complete: the indices do not add up to +1" in str(fp) and "raise starts" in str(fp)


def test_too_few_starts_are_said():
    f = mf.reduce(one_population(np.diag([3.0, 2.4, 2.0, 1.5, 0.8, 0.3])))
    few = mf.fixed_points(f, starts=60)
    assert few.status in (Status.STARTS, Status.MISSING) and "raise starts" in few.summary
    hard = PartlyCubic(skew(6), 6)
    fp = mf.fixed_points(hard, box=box(6), starts=1000)
    assert fp.status is Status.STARTS and len(fp) < 3**6 and fp.starts.hits.min() == 1
    assert (np.abs(fp.kappa[:, None] - hard.planted) <= fp.radius[:, None] + 1e-15).all(-1).any(-1).all()


@pytest.mark.parametrize("seed", [0, 5, 6, 7])
def test_the_last_round_of_starts_finds_nothing_new(seed):
    """Rounds of 256, 512, 1024, ...: the search ends one round after it has all."""
    f = PartlyCubic(np.eye(5) + 0.25 * np.random.default_rng(seed).normal(size=(5, 5)), 4)
    fp = mf.fixed_points(f, box=box(5, 6.0), starts=2**14)
    before = mf.fixed_points(f, box=box(5, 6.0), starts=(fp.starts.made - 256) // 2)
    assert fp.status is Status.FOUND and len(fp) == len(before) == 81 and before.status is Status.STARTS
    assert fp.starts.hits.min() >= 2


@pytest.mark.parametrize("transfer", ["relu", "step", "softplus"])
def test_kinks_and_jumps(transfer):
    entries = {f"n{r} m{r}": 0.1 for r in range(1, 7)} | {"mean n1": 0.5, "mean A": 1.0}
    f = mf.reduce(mf.Connectivity.from_overlaps([entries], rank=6, inputs=("A",)), transfer, {"A": 0.5})
    fp = mf.fixed_points(f)
    assert len(fp) == 1 and fp.index_sum == 1 and np.abs(f(fp.kappa)).max() < 1e-12


def test_a_finite_network():
    c = one_population(np.diag([3.0, 2.0, 0.5, 0.5, 0.3, 0.3])).sample(40, seed=1)
    f = mf.reduce(mf.Connectivity.from_network(c))
    fp = mf.fixed_points(f)
    assert fp.index_sum == 1 and len(fp) % 2 == 1 and np.abs(f(fp.kappa)).max() < 1e-12
    assert {tuple(k) for k in np.round(fp.kappa, 8) + 0.0} == {tuple(k) for k in np.round(-fp.kappa, 8) + 0.0}


def test_progress_and_bad_input():
    f, seen = mf.reduce(one_population(np.diag([2.0, 0.5, 0.5, 0.5, 0.5, 0.5]))), []
    fp = mf.fixed_points(f, progress=lambda left, made: seen.append((left, made)))
    assert seen[-1][1] == fp.starts.made and all(a + b == seen[0][0] + seen[0][1] for a, b in seen)
    with pytest.raises(ValueError, match="max_boxes is the budget of a proof in at most 5 variables"):
        mf.fixed_points(f, max_boxes=1000)
    with pytest.raises(ValueError, match="max_boxes"):
        mf.fixed_points(mf.reduce(one_population(2.0)), max_boxes=1000, starts=100)
    with pytest.raises(ValueError, match="starts must be an integer, at least 1"):
        mf.fixed_points(f, starts=0)
    with pytest.raises(ValueError, match="low < high"):
        mf.fixed_points(f, box=([1.0] * 6, [-1.0] * 6))
