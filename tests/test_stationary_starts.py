"""Stationary states in more unknowns than can be proved complete: product structures, split populations, continua."""

import dataclasses
import math

import numpy as np
import pytest
from mixtures import random_connectivity
from random_part import averaged, centred
from scipy.optimize import brentq

import meanfield as mf
from meanfield.dmft import stationary
from meanfield.fixed_points import Status

CLOSE = 1e-9


def key(s, c=None):
    return tuple(np.round(np.concatenate([s.kappa, s.delta0]), 7) + 0.0)


def assert_same(found, proved):
    """The same states, with the same spectra, however they were found."""
    assert len(found) == len(proved)
    for s in proved:
        (twin,) = [
            t for t in found if np.abs(t.kappa - s.kappa).max() < CLOSE and np.abs(t.delta0 - s.delta0).max() < CLOSE
        ]
        assert twin.kind == s.kind and twin.index == s.index and twin.proved == s.proved
        assert abs(twin.bulk_radius - s.bulk_radius) < 1e-8


# -- rank six --------------------------------------------------------------------------------------------------------

GAINS, G = np.array([2.6, 2.6, 2.6, 0.5, 0.5, 0.5]), 0.9


def separate(turn, g=G):
    """Six populations, each with a collective variable of its own; they share the variance g^2 Q alone."""
    entries = []
    for r in range(6):
        e = {"weight": 1 / 6} | {f"m{k} m{k}": 0.0 for k in range(1, 7)}
        e |= {f"mean m{k + 1}": turn[k, r] for k in range(6)}
        e |= {f"mean n{k + 1}": 6 * GAINS[r] * turn[k, r] for k in range(6)}
        entries.append(e)
    return mf.Connectivity.from_overlaps(entries, rank=6, g=g)


def levels(delta):
    """The values of one variable of gain 2.6 at a variance: kappa = 2.6 <tanh(kappa + sqrt(delta) z)>."""
    f = lambda k: 2.6 * averaged(math.tanh, k, delta) - k  # noqa: E731
    return [0.0, brentq(f, 0.05, 3.0, xtol=1e-13)] if f(0.05) > 0 else [0.0]


def planted():
    """(number of active variables, their size, delta0) of every state."""
    square = lambda x: math.tanh(x) ** 2  # noqa: E731

    def excess(delta, active):
        size = levels(delta)[-1] if active else 0.0
        q = (active * averaged(square, size, delta) + (6 - active) * averaged(square, 0.0, delta)) / 6
        return G**2 * q - delta

    out = [(0, 0.0, 0.0)]
    for active in (1, 2, 3):
        delta = brentq(excess, 1e-9, 2.0, args=(active,), xtol=1e-13)
        out.append((active, levels(delta)[-1], delta))
    return out


def test_six_variables_that_share_a_variance():
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    states = stationary(separate(turn))
    assert states.status is Status.FOUND and not states.complete and states.points.index_sum == 1
    assert len(states) == 27 and all(s.proved for s in states) and len(states.stable) == 8
    text = str(states)
    assert text.startswith("27 stationary states: not proved complete") and "starts led to these" in text
    along = np.array([s.kappa for s in states]) @ turn
    for active, size, delta in planted():
        rows = [k for k in range(27) if (np.abs(along[k]) > 0.1).sum() == active]
        assert len(rows) == math.comb(3, active) * 2**active
        for k in rows:
            on = np.abs(along[k]) > 0.1
            np.testing.assert_allclose(np.abs(along[k, on]), size, atol=CLOSE)
            np.testing.assert_allclose(along[k, ~on], 0.0, atol=CLOSE)
            np.testing.assert_allclose(states[k].delta0, delta, atol=CLOSE)


def test_a_quiescent_state_that_is_pushed_out_does_not_count():
    states = stationary(separate(np.eye(6), g=1.4))
    assert states.status is Status.FOUND and states.points.index_sum == 1
    quiet = [s for s in states if not s.handed_on.any()]
    assert len(quiet) == 1 and sum(s.index for s in states) - quiet[0].index == 1


def test_too_few_starts_are_reported():
    for starts in (1, 20, 100):
        states = stationary(separate(np.eye(6)), starts=starts)
        assert states.status in (Status.STARTS, Status.MISSING) and not states.status.settled
        assert "raise starts" in str(states) and states.points.starts.made == starts


# -- blocks ----------------------------------------------------------------------------------------------------------


def three_populations(g, drive=0.0):
    entries = [
        {"weight": 0.5, "mean m1": 1.0, "mean n1": 3.0, "n1 m1": 0.6},
        {"weight": 0.3, "mean m1": -0.5, "mean n1": 0.4, "n1 m1": 1.8, "mean A": drive},
        {"weight": 0.2, "n1 m1": 1.0, "m1 m1": 2.0},
    ]
    return mf.Connectivity.from_overlaps(entries, rank=1, inputs=("A",), g=g)


BLOCK = np.array([[0.7, 0.4, 1.1], [0.5, 1.2, 0.3], [0.2, 0.6, 0.9]])


@pytest.mark.parametrize(("scale", "drive"), [(1.0, 0.0), (1.0, 0.6), (0.3, 0.2), (1.8, 0.0)])
def test_identical_halves_of_populations_are_the_unsplit_problem(scale, drive):
    c = three_populations(scale * BLOCK, drive)
    parts = [0, 0, 1, 1, 2]
    halves = mf.Connectivity(
        c.weights[parts] * [0.5, 0.5, 0.4, 0.6, 1.0], c.means[parts], c.covariances[parts], 1, ("A",), (),
        scale * BLOCK[parts][:, parts],
    )  # fmt: skip
    proved, found = (stationary(x, inputs={"A": 1.0}, input_variance=0.05) for x in (c, halves))
    assert proved.complete and found.status is Status.FOUND and found.points.field.rank == 6
    assert len(found) == len(proved) and all(s.proved for s in found)
    for s, t in zip(found, proved, strict=True):
        np.testing.assert_allclose(s.kappa, t.kappa, atol=CLOSE)
        np.testing.assert_allclose(s.delta0, t.delta0[parts], atol=CLOSE)
        assert s.kind == t.kind and s.index == t.index and abs(s.bulk_radius - t.bulk_radius) < 1e-8
    if scale == 1.0 and drive == 0.0:
        assert len(found) == 3


def test_silent_populations_are_listed_without_a_proof():
    """Two of five populations hear nothing: their Q lies on the border of what is possible."""
    entries = [{"weight": 0.2, "mean m1": 1.1, "mean n1": 20 / 3} for _ in range(3)]
    entries += [{"weight": 0.2, "m1 m1": 0.0} for _ in range(2)]
    g = np.zeros((5, 5))
    g[:3, :3] = 0.8
    states = stationary(mf.Connectivity.from_overlaps(entries, rank=1, g=g))
    active = [s for s in states if abs(s.kappa[0]) > 0.1]
    assert len(active) == 2 and not any(s.proved for s in active) and all(s.delta0[3] < 1e-9 for s in active)
    alone = stationary(
        mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 4.0}], rank=1, g=0.8 * math.sqrt(0.6))
    )
    expected = max(s.kappa[0] for s in alone)
    np.testing.assert_allclose(sorted(s.kappa[0] for s in active), [-expected, expected], atol=1e-8)
    assert not states.complete and "undecided" in str(states)


# -- the proved lists ------------------------------------------------------------------------------------------------


def strong(seed, g, rank=3, populations=3, scale=4.0):
    """A random mixture with n scaled up, so that there are several states."""
    c = random_connectivity(seed, rank=rank, populations=populations, inputs=(), readouts=())
    by = np.where(np.arange(2 * rank) < rank, 1.0, scale)
    return dataclasses.replace(c, means=c.means * by, covariances=c.covariances * by * by[:, None], g=g)


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 6, 8, 9, 22, 25, 31])
def test_random_mixtures_of_rank_three_have_the_proved_states(seed):
    c = strong(seed, g=(0.5, 0.9, 1.4)[seed % 3])
    proved, found = stationary(c), stationary(c, starts=2**13)
    assert proved.complete and found.status is Status.FOUND
    assert_same(found, proved)


def test_starts_that_are_lost_count_for_nothing():
    """Near a fold that has not occurred most starts end where |F| is smallest, but not 0; two rounds have to arrive."""
    states = stationary(strong(7, g=0.7), starts=2**13)
    starts = states.points.starts
    assert states.status is Status.FOUND and len(states) == 1
    assert starts.lost > 500 and starts.made - starts.lost >= 512 and "to no zero" in str(states)


@pytest.mark.parametrize("g", [0.5, 1.3])
def test_pairs_of_populations_make_several_pairs_of_states(g):
    entries = [
        {"weight": 0.5, "mean m1": 1.0, "mean n1": 5.0, "n2 m2": 2.4},
        {"weight": 0.5, "mean m2": 1.0, "mean n2": 5.0, "n1 m1": 1.2},
    ]
    c = mf.Connectivity.from_overlaps(entries, rank=2, g=g)
    proved, found = stationary(c), stationary(c, starts=2**13)
    assert proved.complete and len(proved) >= 5
    assert_same(found, proved)
    assert {key(s)[:2] for s in found} == {tuple(-np.array(key(s)[:2]) + 0.0) for s in found}


# -- continua --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("g", [0.6, 1.3])
def test_a_ring_is_one_continuum_with_a_state_of_it(g):
    overlaps = np.diag([2.5, 2.5, 2.0, 0.5, 0.3, 0.2])
    c = mf.Connectivity.from_overlaps([{f"n{r + 1} m{r + 1}": overlaps[r, r] for r in range(6)}], rank=6, g=g)
    states = stationary(c)
    (ring,) = states.continua
    alone = max(stationary(centred(2.5, g)), key=lambda s: s.kappa[0])
    assert abs(np.linalg.norm(ring.kappa) - alone.kappa[0]) < 1e-8 and not ring.proved
    np.testing.assert_allclose(ring.delta0, alone.delta0, atol=1e-8)
    assert abs(ring.bulk_radius - alone.bulk_radius) < 1e-8
    # besides: the pair of the smaller overlap, the quiescent state, and for g > 1 the heterogeneous one
    assert len(states) == (3 if g < 1 else 4) and all(s.proved for s in states)
    assert "continuum within" in str(states) and "of a continuum: kappa" in str(states)


def test_a_proved_ring_has_a_state_too():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.5, "n2 m2": 2.5}], rank=2, g=0.6)
    (ring,) = stationary(c, max_boxes=60_000).continua
    alone = max(stationary(centred(2.5, 0.6)), key=lambda s: s.kappa[0])
    assert abs(np.linalg.norm(ring.kappa) - alone.kappa[0]) < 1e-8


@pytest.mark.parametrize(("scale", "g"), [(1e6, 0.0), (1e-6, 0.0), (1e6, 0.7), (1e-6, 0.7)])
def test_units_of_the_loadings_do_not_matter(scale, g):
    """m / s and n s give the same network: as many states, all proved, whatever s."""

    def found(s):
        rng, mixture = np.random.default_rng(5), []
        for _ in range(2):
            entries = {"weight": 0.5}
            for r in range(1, 7):
                entries |= {f"n{r} m{r}": 1.6 + 0.8 * rng.random(), f"m{r} m{r}": 1 / s**2}
                entries |= {f"mean m{r}": 0.3 * rng.normal() / s, f"mean n{r}": 0.3 * rng.normal() * s}
            mixture.append(entries)
        c = mf.Connectivity.from_overlaps(mixture, rank=6, g=g)
        return mf.dmft.stationary(c).points

    one, other = found(1.0), found(scale)
    assert len(one) == len(other) == 13 and not one.unresolved and not other.unresolved
    np.testing.assert_allclose(other.kappa[:, :6] / scale, one.kappa[:, :6], rtol=0, atol=1e-9)
