"""State dictionaries: which classes are known by their keys, and the loadings and mixtures that follow."""

import numpy as np
import pytest
import torch_files as tf
from meanfield.validation import load_network
from meanfield.validation.networks import SCALINGS

from meanfield import Connectivity

N, R, S = 12, 2, 3
EPS = np.finfo(float).eps


def rng(seed=0):
    return np.random.default_rng(seed)


def connectivity_and_readout(net):
    """J and the vector of z = (...).phi(x), which no choice of scaling may change."""
    return net.m @ net.n.T / net.n_neurons, net.w / net.n_neurons


def low_rank_state(seed=0, w=1):
    draw = rng(seed).standard_normal
    shapes = {"m": (N, R), "n": (N, R), "wi": (S, N), "wo": (N, w), "si": (S,), "so": (w,), "h0": (N,)}
    return {key: draw(shape).astype("f4") for key, shape in shapes.items()}


def mixture_state(seed=0, left_out=0):
    draw, basis, populations = rng(seed).standard_normal, 5, 2
    shapes = {"m_weights": (R, populations, basis), "n_weights": (R, populations, basis)}
    shapes |= {"wi_weights": (S, populations, basis), "wo_weights": (1, populations, basis)}
    shapes |= {"m_biases": (R, populations), "n_biases": (R, populations), "wi_biases": (S, populations)}
    shapes |= {"h0_weights": (populations, basis), "gaussian_basis": (basis, N)}
    supports = np.zeros((populations, N))
    supports[0, :4] = supports[1, 4 : N - left_out] = 1
    state = {key: draw(shape) for key, shape in shapes.items()}
    return {key: np.asarray(value, "f4") for key, value in (state | {"supports": supports}).items()}


def write_pt(path, state, container=tf.in_zip):
    path.write_bytes(container(*tf.plain(state)))
    return path


@pytest.fixture(params=tf.CONTAINERS.values(), ids=tf.CONTAINERS)
def container(request):
    return request.param


def test_a_low_rank_state_dictionary(tmp_path, container):
    state = low_rank_state(w=2)
    net = load_network(write_pt(tmp_path / "lr.pt", state, container))
    double = {key: value.astype(float) for key, value in state.items()}
    for field in ("m", "n"):
        np.testing.assert_array_equal(getattr(net, field), double[field])
    np.testing.assert_array_equal(net.I, (double["wi"] * double["si"][:, None]).T)
    np.testing.assert_array_equal(net.w, double["wo"] * double["so"])
    np.testing.assert_array_equal(net.x0, double["h0"])
    assert "LowRankRNN" in net.notes[1] and "'1/N' (assumed)" in net.notes[0] and net.dt is None and net.name == "lr"


def test_the_user_may_tell_the_scaling_of_a_state_dictionary(tmp_path):
    path = write_pt(tmp_path / "lr.pt", low_rank_state())
    told, assumed = load_network(path, scaling="none"), load_network(path)
    for a, b in zip(connectivity_and_readout(told), connectivity_and_readout(assumed), strict=True):
        np.testing.assert_allclose(a, N * b, atol=100 * EPS)
    assert set(SCALINGS) == {"1/N", "none"}


def test_optional_keys_may_be_missing_or_zero(tmp_path):
    state = low_rank_state()
    least = {key: state[key] for key in ("m", "n", "wi", "wo")}
    net = load_network(write_pt(tmp_path / "a.pt", least | {"b": np.zeros(N), "rec_noise": np.zeros(())}))
    np.testing.assert_array_equal(net.I, state["wi"].T)
    assert not net.x0.any() and "rec_noise" in "\n".join(net.notes)


def test_a_network_fitted_to_rates_has_no_readout(tmp_path):
    net = load_network(write_pt(tmp_path / "a.pt", low_rank_state() | {"wo": np.eye(N) * N, "so": np.ones(N)}))
    assert net.w.shape == (N, 0) and "fitted to rates" in "\n".join(net.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wi": None}, r"keys \['h0', 'm', .* no known class. .*LowRankRNN: m, n, wi, wo .*SupportLowRankRNN: "),
        ({"extra": np.zeros(2)}, "'extra'.* of no known class"),
        ({"m": None, "n": None, "wrec": np.zeros((N, N))}, "full-rank network"),
        ({"n": np.zeros((N, R + 1))}, r"n: got shape \(12, 3\), expected \(N, R\)"),
        ({"si": np.zeros(S + 1)}, "si: got shape"),
        ({"so": np.full(1, np.nan)}, "so must be finite"),
        ({"b": np.ones(N)}, "bias"),
    ],
)
def test_bad_state_dictionaries_are_refused(tmp_path, change, message):
    state = {key: value for key, value in (low_rank_state() | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        load_network(write_pt(tmp_path / "bad.pt", state))


@pytest.mark.parametrize("left_out", [0, 3])
def test_a_mixture_state_dictionary(tmp_path, container, left_out):
    state = mixture_state(left_out=left_out)
    net = load_network(write_pt(tmp_path / "mix.pt", state, container))
    double = {key: value.astype(float) for key, value in state.items()}

    def loading(kind):
        expected = np.zeros((N, len(double[f"{kind}_weights"])))
        bias = double.get(f"{kind}_biases", np.zeros((expected.shape[1], 2)))
        for i in range(N - left_out):
            p = 0 if i < 4 else 1
            expected[i] = double[f"{kind}_weights"][:, p] @ double["gaussian_basis"][:, i] + bias[:, p]
        return expected

    tolerance = dict(rtol=0, atol=50 * EPS * N)  # sums of 6 terms of size 10
    np.testing.assert_allclose(net.m @ net.n.T / N, loading("m") @ loading("n").T, **tolerance)
    np.testing.assert_allclose(net.I, loading("wi"), **tolerance)
    np.testing.assert_allclose(net.w / N, loading("wo"), **tolerance)
    assert np.bincount(net.population).tolist() == [4, 8 - left_out] + [left_out] * (left_out > 0)
    np.testing.assert_allclose(net.mixture.weights, np.bincount(net.population) / N)
    assert ("in no population" in "\n".join(net.notes)) == (left_out > 0)
    assert "'none' (assumed)" in net.notes[0]


def test_the_mixture_of_a_state_dictionary_is_that_of_its_loadings(tmp_path):
    """Where the basis has exact sample moments in each population, so have the loadings: those of the mixture."""
    state, n, basis = mixture_state(), 40, 5
    supports = np.repeat(np.eye(2), n // 2, axis=1)
    halves = []
    for k in range(2):
        centred = rng(k).standard_normal((n // 2, basis))
        centred -= centred.mean(0)
        halves.append(np.linalg.qr(centred)[0].T * np.sqrt(n // 2))
    state |= {"gaussian_basis": np.concatenate(halves, axis=1), "supports": supports}
    path = tmp_path / "mix.pt"
    path.write_bytes(tf.in_zip(*tf.plain(state, "f8")))
    net = load_network(path)
    sampled = Connectivity.from_samples(
        np.hstack([net.m, net.n, net.I, net.w]), net.population, rank=R, inputs=("A", "B", "C"), readouts=("w",)
    )
    scale = np.abs(sampled.covariances).max()
    np.testing.assert_allclose(net.mixture.covariances, sampled.covariances, atol=100 * EPS * scale)
    np.testing.assert_allclose(net.mixture.means, sampled.means, atol=100 * EPS * np.sqrt(scale))


@pytest.mark.parametrize(
    ("supports", "message"),
    [
        (np.ones((2, N)), "at most one population"),
        (np.full((2, N), 0.5), "must be 0 or 1"),
        (np.ones((3, N)), "weights: got shape"),
    ],
)
def test_bad_supports_are_refused(tmp_path, supports, message):
    with pytest.raises(ValueError, match=message):
        load_network(write_pt(tmp_path / "bad.pt", mixture_state() | {"supports": supports}))
