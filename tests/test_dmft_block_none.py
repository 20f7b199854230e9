"""What an empty search says where g differs between pairs of populations: its status, and advice that is true."""

import re
from dataclasses import replace

import numpy as np
import pytest

import meanfield as mf
from meanfield.dmft import chaos_onset, chaotic
from meanfield.dmft.states import SearchStatus

G2 = np.array([[1.5, 0.5], [0.3, 1.2]])
HARD = mf.Transfer.from_expression("Max(-1, Min(1, x))")


def two(g, *entries):
    first, second = entries or ({}, {})
    return mf.Connectivity.from_overlaps([{"weight": 0.4} | first, {"weight": 0.6} | second], rank=1, g=g)


@pytest.mark.parametrize("transfer", ["tanh", HARD], ids=["tanh", "hard tanh"])
def test_the_factor_that_is_named_is_where_rest_loses_its_stability(transfer):
    none = chaotic(two(0.5 * G2), transfer)
    assert not none and none.status is SearchStatus.NONE and "chaos_onset tells" in none.note
    factor = float(re.search(r"all g are multiplied by ([\d.]+)", none.note)[1])
    assert factor == pytest.approx(2 / np.sqrt(np.linalg.eigvals(G2**2 * [0.4, 0.6]).real.max()), rel=1e-5)
    assert not chaotic(two(0.5 * G2 * factor * 0.99), transfer)
    (state,) = chaotic(two(0.5 * G2 * factor * 1.01), transfer)
    assert state.chaotic and state.attracting
    if transfer == "tanh":
        (onset,) = chaos_onset(two(0.5 * G2), bracket=(0.5 * factor, 1.5 * factor))
        assert onset.value == pytest.approx(factor, rel=1e-5)


def test_no_factor_is_named_where_an_input_keeps_the_network_from_being_silent():
    none = chaotic(two(0.5 * G2), input_variance=1.0)
    assert none.status is SearchStatus.NONE and "multiplied by" not in none.note and "chaos_onset tells" in none.note


def test_a_range_of_kappa_that_is_a_guess_proves_nothing():
    inhibited = {"m1 m1": 0.0, "mean m1": 1.0, "mean n1": -4.0}
    pair = chaotic(two(0.3 * G2, inhibited, inhibited), "softplus")
    one = chaotic(mf.Connectivity.from_overlaps([inhibited], rank=1, g=0.3), "softplus")
    for none in (pair, one):
        assert not none and none.status is SearchStatus.FAILED
        assert "a guess" in none.note and "pass starts= beyond that range" in none.note


@pytest.mark.parametrize("g", [1.001, 1.05, 1.2])
def test_near_the_onset_of_hard_tanh(g):
    """D_0 does not vanish linearly there, as for tanh: within [-1, 1] the network is linear."""
    c = mf.Connectivity.from_overlaps([{}], rank=1, g=g)
    (one,), (pair,) = chaotic(c, HARD), chaotic(replace(c.split(0, 0.3), g=np.full((2, 2), g)), HARD)
    np.testing.assert_allclose(pair.delta0, one.delta0[0], rtol=1e-9)
    assert abs(one.lyapunov - pair.lyapunov) <= one.lyapunov_error + pair.lyapunov_error
    assert one.chaotic and one.lyapunov_error < 1e-4 * one.lyapunov


@pytest.mark.parametrize("seed", range(3))
def test_quiet_blocks_of_many_populations(seed):
    """Variances that decay to nothing stay variances."""
    rng = np.random.default_rng(seed)
    entries = {"weight": 1 / 6, "n1 m1": 1.5}
    mixture = [entries | {"mean m1": 0.4 * rng.normal(), "mean n1": 0.4 * rng.normal()} for _ in range(6)]
    c = mf.Connectivity.from_overlaps(mixture, rank=1, g=0.3 + 0.3 * rng.random((6, 6)))
    assert len(mf.dmft.chaotic(c)) == 0
