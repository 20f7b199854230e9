"""Networks from files: fields, scalings, names, the mixture behind them, and the exact drift of trained networks."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from meanfield.validation import Network, load_network, save_network
from meanfield.validation.networks import default_input_names

from meanfield import Connectivity, reduce

N, R, S = 12, 2, 3
EPS = np.finfo(float).eps


def rng(seed=0):
    return np.random.default_rng(seed)


def network(seed=0, n=N, r=R, s=S, w=1, **others):
    draw = rng(seed).standard_normal
    return Network(draw((n, r)), draw((n, r)), draw((n, s)), draw((n, w)), **others)


def write_npz(path, net, **others):
    fields = {"m": net.m, "n": net.n, "I": net.I, "w": net.w, "h0": net.x0} | others
    np.savez(path, **{key: value for key, value in fields.items() if value is not None})
    return path


# ---- the record


def test_fields_are_frozen_and_have_defaults():
    net = network(name="x")
    assert (net.rank, net.n_neurons) == (R, N)
    assert net.input_names == ("A", "B", "C") and net.readout_names == ("w",)
    assert net.transfer == net.readout_transfer == "tanh" and net.dt is None and net.noise_std is None
    assert not net.x0.any()
    for array in (net.m, net.n, net.I, net.w, net.x0):
        assert array.dtype == np.float64 and not array.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.tau = 2.0


@pytest.mark.parametrize("count", [0, 1, 8, 9, 30])
def test_default_input_names_are_names_of_a_connectivity(count):
    names = default_input_names(count)
    assert len(set(names)) == count
    assert network(s=count).connectivity.inputs == names


def test_a_readout_may_be_a_vector_and_there_may_be_several():
    net = network(w=2)
    assert net.readout_names == ("w1", "w2") and net.connectivity.readouts == ("w1", "w2")
    assert Network(net.m, net.n, net.I, net.w[:, 0]).w.shape == (N, 1)
    assert network(w=0).readout_names == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": np.zeros((N, R + 1))}, r"n: got shape \(12, 3\), expected \(N, R\), N = 12, R = 2"),
        ({"m": np.zeros(N)}, r"m: got shape \(12,\), expected \(N, R\)"),
        ({"I": np.zeros((N + 1, S))}, r"I: got shape \(13, 3\)"),
        ({"w": np.full(N, np.nan)}, "w must be finite: got nan at index"),
        ({"m": np.full((N, R), np.inf)}, "m must be finite"),
        ({"m": np.zeros((N, R), complex)}, "real numbers"),
        ({key: np.zeros((0, 1)) for key in "mnIw"}, "at least one neuron"),
        ({"m": np.zeros((N, 0)), "n": np.zeros((N, 0))}, "rank 1"),
        ({"x0": np.zeros(3)}, r"x0: got shape \(3,\)"),
        ({"tau": 0.0}, "tau must be positive"),
        ({"dt": -1.0}, "dt must be positive"),
        ({"noise_std": -1.0}, "noise_std must be at least 0"),
        ({"tau": np.nan}, "tau must be finite"),
        ({"transfer": "cosh"}, "unknown transfer function 'cosh': expected one of .*tanh"),
        ({"readout_transfer": "cosh"}, "unknown transfer function 'cosh'"),
        ({"input_names": ("A",)}, "got 1 names .* for 3 columns"),
        ({"input_names": ("A", "A", "B")}, "used twice"),
        ({"readout_names": ("m1",)}, "already means something else"),
        ({"population": np.full(N, -1)}, "integers >= 0"),
        ({"population": np.zeros(3)}, "population: got shape"),
        ({"mixture": Connectivity.from_overlaps([{}], 1, ("A", "B", "C"), ("w",))}, "mixture: rank"),
    ],
)
def test_bad_fields_are_refused(change, message):
    net = network()
    with pytest.raises(ValueError, match=message):
        Network(**{"m": net.m, "n": net.n, "I": net.I, "w": net.w} | change)


def test_the_exact_drift_of_a_network():
    net = network(n=40)
    kappa, v = rng(1).standard_normal((7, R)), rng(2).standard_normal(S)
    expected = -kappa + np.tanh(kappa @ net.m.T + net.I @ v) @ net.n / 40
    found = reduce(net.connectivity, net.transfer, dict(zip(net.input_names, v, strict=True)))(kappa)
    np.testing.assert_allclose(found, expected, atol=40 * EPS * np.abs(net.n).max())


# ---- our own files


def fields_of(net):
    return {field.name: getattr(net, field.name) for field in dataclasses.fields(net) if field.name != "mixture"}


SIZES = st.integers(1, 9), st.integers(1, 3), st.integers(0, 3), st.integers(0, 2)


@given(st.integers(0, 2**32 - 1), *SIZES, st.booleans())
def test_saved_networks_come_back_bit_by_bit(tmp_path_factory, seed, n, r, s, w, full):
    others = {"name": "plain"}
    if full:
        others = {"name": "näme", "notes": ("one", ""), "tau": 100.0, "dt": 20.0, "noise_std": 0.1, "transfer": "erf"}
        others |= {"task": "t", "task_options": {"a": [1]}, "population": np.arange(n), "x0": np.arange(n)}
    net = network(seed, n, r, s, w, readout_transfer="identity", **others)
    path = tmp_path_factory.mktemp("saved") / "net.npz"
    save_network(net, path)
    back = load_network(path)
    np.testing.assert_equal(fields_of(back), fields_of(net))
    assert back.mixture is None


def test_a_drawn_network_keeps_its_mixture_and_names(tmp_path):
    c = Connectivity.from_overlaps([{"n1 m1": 2.0}], rank=1, inputs=("go",), readouts=("z",), g=0.5)
    loadings = c.sample(20, seed=0)
    save_network(loadings, tmp_path / "drawn.npz")
    save_network(Network.from_loadings(loadings, mixture=c), tmp_path / "full.npz")
    back = load_network(tmp_path / "full.npz")
    assert load_network(tmp_path / "drawn.npz").connectivity.inputs == back.mixture.inputs == ("go",)
    for field in ("weights", "means", "covariances", "g", "rank", "readouts"):
        np.testing.assert_array_equal(getattr(back.mixture, field), getattr(c, field))
    np.testing.assert_array_equal(back.population, loadings.population)
    np.testing.assert_array_equal(back.m, loadings.m)


def test_only_npz_is_written(tmp_path):
    with pytest.raises(ValueError, match="use 'net.npz'"):
        save_network(network(), tmp_path / "net.pt")


# ---- .npz files of others


def test_fields_of_the_format(tmp_path):
    others = {"tau": 100.0, "dt": 20.0, "alpha": 0.2, "noise_std": 0.05, "nonlinearity": "tanh"}
    others |= {"readout_nonlinearity": "identity", "task": "mante", "task_options": json.dumps({"scale_ctx": 0.5})}
    net = load_network(write_npz(tmp_path / "trained.v1.npz", network(), **others, source="somebody", zzz=np.zeros(3)))
    assert (net.name, net.tau, net.dt, net.noise_std) == ("trained.v1", 100, 20, 0.05)
    assert (net.transfer, net.readout_transfer) == ("tanh", "identity")
    assert (net.task, net.task_options) == ("mante", {"scale_ctx": 0.5})
    notes = "\n".join(net.notes)
    expected = ("Scaling '1/N' (assumed)", "per Euler step, not scaled by sqrt(dt)", "on x itself", "source: somebody")
    for part in (*expected, "zzz"):
        assert part in notes


def test_what_a_file_does_not_say_is_noted(tmp_path):
    net = load_network(write_npz(tmp_path / "bare.npz", network()))
    assert net.tau == 1 and net.dt is None and net.noise_std is None
    assert "tau = 1 is assumed" in "\n".join(net.notes) and "phi = tanh is assumed" in "\n".join(net.notes)


@pytest.mark.parametrize(
    ("given", "tau", "dt"),
    [({"alpha": 0.2}, 1.0, 0.2), ({"alpha": 0.5, "tau": 10.0}, 10.0, 5.0), ({"alpha": 0.5, "dt": 5.0}, 10.0, 5.0)],
)
def test_alpha_is_dt_over_tau(tmp_path, given, tau, dt):
    net = load_network(write_npz(tmp_path / "a.npz", network(), **given))
    assert (net.tau, net.dt) == (tau, dt)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": None}, "field 'w' is missing: got .*'m'.*, expected"),
        ({"I": None}, "field 'I' is missing"),
        ({"m": np.zeros(N)}, r"m: got shape \(12,\), expected \(N, R\)"),
        ({"n": np.full((N, R), np.nan)}, "n must be finite"),
        ({"h0": np.zeros(3)}, "h0: got shape"),
        ({"m": np.array([["a"] * R] * N)}, "m must be an array of real numbers"),
        ({"tau": np.zeros(2)}, "tau: got shape"),
        ({"alpha": 0.2, "tau": 100.0, "dt": 10.0}, "alpha must be dt / tau: got alpha = 0.2, dt = 10"),
        ({"alpha": 0.0}, "alpha must be positive"),
        ({"nonlinearity": "cosh"}, "unknown transfer function 'cosh'"),
        ({"nonlinearity": 3}, "nonlinearity must be a text"),
        ({"input_names": "ABC"}, "input_names must be a list of texts"),
        ({"task_options": "{"}, "JSON object"),
        ({"task_options": "[1]"}, "got list"),
        ({"task_options": "[" * 100_000}, "damaged|JSON"),
        ({"mix_weights": np.ones(1)}, "field 'mix_mean' is missing"),
        ({"mix_weights": np.ones(1), "mix_mean": np.zeros((1, 9)), "mix_cov": np.zeros((1, 9, 9))}, "need 8 loadings"),
        ({"mix_weights": np.ones(1), "mix_mean": np.zeros((1, 8)), "mix_cov": -np.eye(8)[None]}, "eigenvalue|variance"),
        ({"mix_weights": np.full(1, 0.9), "mix_mean": np.zeros((1, 8)), "mix_cov": np.zeros((1, 8, 8))}, "sum to 1"),
    ],
)
def test_bad_npz_files_are_refused(tmp_path, change, message):
    path = write_npz(tmp_path / "bad.npz", network(), **change)
    with pytest.raises(ValueError, match=f"bad.npz: (.|\n)*({message})"):
        load_network(path)


def test_a_single_array_and_an_unknown_scaling_are_refused(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros((N, R)))
    with pytest.raises(ValueError, match="single array"):
        load_network(tmp_path / "m.npy")
    with pytest.raises(ValueError, match="unknown scaling '1/n': expected one of"):
        load_network(write_npz(tmp_path / "a.npz", network()), scaling="1/n")


def test_the_scaling_without_1_over_n_gives_the_same_network(tmp_path):
    size = 2 * R + S + 1
    root = rng(5).standard_normal((2, size, size))
    mix = {"mix_weights": np.full(2, 0.5), "mix_mean": rng(6).standard_normal((2, size))}
    mix["mix_cov"] = root @ root.swapaxes(1, 2)
    path = write_npz(tmp_path / "a.npz", network(), **mix)
    raw = np.load(path)
    net, plain = load_network(path, scaling="none"), load_network(path)
    np.testing.assert_allclose(net.m @ net.n.T / N, raw["m"] @ raw["n"].T, rtol=0, atol=100 * EPS)
    np.testing.assert_allclose(net.w / N, raw["w"], rtol=4 * EPS)
    np.testing.assert_array_equal(net.I, raw["I"])
    np.testing.assert_allclose(net.mixture.overlap("n", "m"), N * plain.mixture.overlap("n", "m"), rtol=100 * EPS)
    np.testing.assert_allclose(net.mixture.means[:, -1], N * plain.mixture.means[:, -1], rtol=4 * EPS)
    np.testing.assert_allclose(net.mixture.covariance("I", "w"), N * plain.mixture.covariance("I", "w"), rtol=4 * EPS)
    assert "as told" in net.notes[0] and "assumed" in plain.notes[0]


# ---- the trained networks


TORCH = [
    "lint__rdm_rank1_512",
    "pop__dms_rank2_500",
    "pop__dms_retrained_2pop",
    "pop__rdm_lr_fig2",
    "pop__romo_rank2_500",
]
NAMES = [*TORCH, "lint__dms_fitlr_512", "lint__dms_rank2_512", "lint__mante_monkeyF_subspace_rank2_5"]
NAMES += ["lint__rdm_fitlr_512", "pop__mante_rank1_4096", "pop__raposo_lr_fig1"]


def test_every_trained_network_is_in_the_list(shared_networks):
    assert sorted(path.stem for path in shared_networks.glob("*.npz")) == sorted(NAMES)
    assert sorted(path.stem for path in (shared_networks / "pt").glob("*.pt")) == sorted(TORCH)


@pytest.mark.parametrize("name", NAMES)
def test_the_drift_of_trained_networks(shared_networks, name):
    """1e-12 is asked for; sums of N terms below 10 / N leave some 1e-15."""
    net = load_network(shared_networks / f"{name}.npz")
    assert net.tau == 100 and net.dt == 20 and net.transfer == "tanh"
    oracle = shared_networks / "oracle" / f"{name}.npz"
    if oracle.exists():
        samples = np.load(oracle)
        kappas, vs, drifts = (samples[key] for key in ("drift_kappa", "drift_v", "drift_F"))
        assert np.abs(drifts).max() > 0.01
    else:
        kappas, vs = rng().standard_normal((8, net.rank)), rng(1).standard_normal((8, len(net.input_names)))
        drifts = -kappas + np.tanh(kappas @ net.m.T + vs @ net.I.T) @ net.n / net.n_neurons
    for kappa, v, drift in zip(kappas, vs, drifts, strict=True):
        f = reduce(net.connectivity, net.transfer, dict(zip(net.input_names, v, strict=True)))
        np.testing.assert_allclose(f(kappa), drift, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", TORCH)
def test_state_dictionaries_agree_with_the_converted_files(shared_networks, name):
    """The tensors are float32 and every product is taken in float64, so nothing but the order of a sum can differ."""
    net = load_network(shared_networks / "pt" / f"{name}.pt")
    converted = load_network(shared_networks / f"{name}.npz")
    for field in ("m", "n", "I", "w", "x0"):
        ours, theirs = getattr(net, field), getattr(converted, field)
        slack = 20 * EPS * np.abs(theirs).max() if net.mixture else 0.0
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=slack, err_msg=field)
    assert (net.mixture is None) == (converted.mixture is None)
    if net.mixture:
        for field in ("weights", "means", "covariances"):
            ours, theirs = getattr(net.mixture, field), getattr(converted.mixture, field)
            slack = 20 * EPS * max(1, np.abs(theirs).max())
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=slack, err_msg=field)
        np.testing.assert_array_equal(net.population, converted.population)
