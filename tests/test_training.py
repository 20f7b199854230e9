"""Training by gradients: the gradients, what becomes of the parameters, and how a training ends and goes on."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from meanfield.validation import decisions, draw, load_network, simulate
from meanfield.validation.tasks.catalogue import get_task

import meanfield as mf

jax = pytest.importorskip("jax", reason="the extra fit is not installed")
pytest.importorskip("optax", reason="the extra fit is not installed")

from meanfield.validation.training.batches import batch_of  # noqa: E402
from meanfield.validation.training.mixtures import Gaussian, Mixture, MixtureLimit, Structure, hand_built  # noqa: E402
from meanfield.validation.training.parametrisations import FullRank, LowRank, connections, read_out  # noqa: E402
from meanfield.validation.training.results import Status, Trained  # noqa: E402
from meanfield.validation.training.rollout import Rule  # noqa: E402
from meanfield.validation.training.stepper import Stepper  # noqa: E402
from meanfield.validation.training.trainer import train  # noqa: E402

from meanfield.traced import double_precision, traced_averages  # noqa: E402

#: Seven steps.
SHORT = get_task("rdm", fixation=20, stimulus=60, delay=20, decision=40)
SLOW = pytest.mark.slow
SLOW_LIMIT = pytest.param("limit", marks=SLOW)
TWO = Gaussian(2, 2, means="mnIw")
KINDS = {
    "full": FullRank(6),
    "low": LowRank(6, 2),
    "mixture": Mixture(TWO, 6),
    "limit": MixtureLimit(TWO),
    "hand": Mixture(hand_built(), 6),
    "hand limit": MixtureLimit(hand_built()),
}
FAST = {"steps": 4, "batch": 4, "validate_every": 2, "validation_trials": 4}


@pytest.fixture(autouse=True, scope="module")
def compiled_quickly():
    """These functions are small: compiling them well takes longer than running them."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def parameters(kind, seed=0):
    """Those of a kind, float64, as JAX has them; inside double_precision only."""
    return {key: jax.numpy.asarray(value) for key, value in kind.init(SHORT, seed).items()}


def readouts(kind, u, noise=None, noise_std=0.0, transfer="tanh", seed=0):
    with double_precision():
        run = jax.jit(lambda params, u, noise: kind.run(params, u, noise, Rule(0.2, noise_std, transfer)))
        return np.asarray(run(parameters(kind, seed), u, noise))


def inputs(steps=12, count=3, size=1):
    return np.random.default_rng(5).standard_normal((count, steps, size))


# ---- averages and gradients ----------------------------------------------------------------------


@pytest.mark.parametrize("transfer", ["tanh", "erf", "logistic", "softplus"])
def test_traced_averages_and_their_gradients_are_the_averages(transfer):
    mean, variance = (x.ravel() for x in np.meshgrid(np.linspace(-6, 6, 13), np.logspace(-8, 3, 23)))
    wanted = mf.gaussian_average(transfer, mean=mean, variance=variance, order=(0, 1, 2, 3))
    with double_precision():
        f = traced_averages(transfer)
        ones, none = np.ones_like(mean), np.zeros_like(mean)
        both = jax.jit(lambda *along: jax.jvp(f, (mean, variance), along))
        (value, by_mean), (_, by_variance) = both(ones, none), both(none, ones)
    # the error is that of rounding: a few units in the last place of the largest derivative, 4
    np.testing.assert_allclose(value, wanted[:2], atol=1e-14, rtol=1e-15)
    np.testing.assert_allclose(by_mean, wanted[1:3], atol=1e-14, rtol=0)
    np.testing.assert_allclose(by_variance, wanted[2:4] / 2, atol=1e-14, rtol=0)
    single = jax.jit(traced_averages(transfer, nodes=48))(mean.astype("f4"), variance.astype("f4"))
    np.testing.assert_allclose(single, wanted[:2], atol=1e-6, rtol=1e-6)


def test_an_average_at_variance_0_has_a_finite_gradient():
    with double_precision():
        slope = jax.grad(lambda v: traced_averages()(jax.numpy.asarray(0.7), v)[0])(0.0)
    assert float(slope) == pytest.approx(mf.get_transfer("tanh")(0.7, 2) / 2, abs=1e-14)


def test_a_kink_cannot_be_averaged_by_this_rule():
    with pytest.raises(ValueError, match="kink"):
        traced_averages("relu")


@pytest.mark.parametrize(
    ("name", "transfer"),
    [
        *((name, "tanh") for name in KINDS),
        ("full", "erf"),
        ("low", "logistic"),
        pytest.param("limit", "erf", marks=SLOW),
    ],
)
def test_gradients_are_those_of_finite_differences(name, transfer):
    kind, rng = KINDS[name], np.random.default_rng(3)
    stepper = Stepper(kind, Rule(0.2, 0.1, transfer))
    batch = batch_of(SHORT.trials(3, 1), kind, 0.1, 2, np.float64)
    with double_precision():
        at, both = parameters(kind), jax.jit(jax.value_and_grad(stepper.error))
        slopes = both(at, batch)[1]
        along = {key: rng.standard_normal(value.shape) for key, value in at.items()}
        there = [{key: at[key] + h * along[key] for key in at} for h in (1e-3, -1e-3, 5e-4, -5e-4)]
        a, b, c, d = (float(both(p, batch)[0]) for p in there)
        expected = sum(float((slopes[key] * along[key]).sum()) for key in at)
    wide, narrow = (a - b) / 2e-3, (c - d) / 1e-3
    richardson = narrow + (narrow - wide) / 3  # its error is far below the correction
    assert expected == pytest.approx(richardson, abs=1e-9 + 0.05 * abs(narrow - wide))


# ---- what a rollout is ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["full", "low", "hand"])
def test_a_rollout_is_the_simulation_of_the_result(name):
    kind, u = KINDS[name], inputs()
    with double_precision():
        params = {key: np.asarray(value) for key, value in parameters(kind).items()}
        if name == "hand":
            parts = kind.loadings(parameters(kind), 1)
            net = mf.validation.Network(*(np.asarray(x) for x in parts[:4]), dt=20.0, tau=100.0)
        else:
            net, _ = kind.result(params, SHORT, {"dt": 20.0, "tau": 100.0})
    run = simulate(net, u, u.shape[1] * net.dt, net.dt, method="euler", progress=False)
    np.testing.assert_allclose(readouts(kind, u), run.z[:, 1:], atol=1e-13)


def test_low_rank_is_full_rank_with_the_product():
    low, full, u = LowRank(9, 2), FullRank(9), inputs()
    noise = np.random.default_rng(0).standard_normal((12, 9, 3))
    with double_precision():
        p = parameters(low)
        q = {"J": p["m"] @ p["n"].T, "I": p["I"], "w": p["w"]}
        z = [np.asarray(kind.run(x, u, noise, Rule(0.2, 0.3))) for kind, x in ((low, p), (full, q))]
    np.testing.assert_allclose(*z, atol=1e-14)
    assert np.abs(z[0] - readouts(low, u)).max() > 0.01  # the noise does something


@pytest.mark.parametrize("transfer", ["tanh", pytest.param("erf", marks=SLOW)])
def test_the_limit_is_that_of_the_exact_averages(transfer):
    kind, u = KINDS["limit"], inputs()
    with double_precision():
        c = kind.connectivity(parameters(kind), SHORT)
    trials = type("", (), {"u": u})
    limit = decisions.limit_on_trials(c, transfer, trials, 0.2, np.zeros(2), np.zeros(1))
    np.testing.assert_allclose(readouts(kind, u, transfer=transfer)[..., 0], limit.z[:, 1:], atol=1e-13)


def test_mixtures_of_more_neurons_approach_the_limit_like_one_over_the_root():
    u, sizes = inputs(), np.array([64, 256, 1024, 4096])
    limit, rule = readouts(MixtureLimit(TWO), u), Rule()
    with double_precision():
        run, params = jax.jit(read_out, static_argnums=3), parameters(MixtureLimit(TWO))
        z = [[run(Mixture(TWO, n, b).loadings(params, 1), u, None, rule) for b in range(12)] for n in sizes.tolist()]
    gaps = np.sqrt(np.square(np.array(z) - limit).mean((1, 2, 3, 4)))
    # each gap is known to about 20 %: the slope over a factor of 64 to 0.1
    assert np.polyfit(np.log(sizes), np.log(gaps), 1)[0] == pytest.approx(-0.5, abs=0.2)


def test_the_limit_knows_the_variance_of_private_noise():
    u, n, kind = np.repeat(inputs(10, 1), 2, axis=0), 20_000, Gaussian(1, 1)
    noise = np.random.default_rng(1).standard_normal((10, n, 1)) * [1.0, -1.0]  # what is odd in the noise cancels
    finite = (readouts(Mixture(kind, n), u, noise, 0.5) - readouts(Mixture(kind, n), u)).mean(0)
    wanted = (readouts(MixtureLimit(kind), u, noise_std=0.5) - readouts(MixtureLimit(kind), u)).mean(0)
    assert np.abs(wanted).max() > 0.03
    np.testing.assert_allclose(finite, wanted, atol=0.006)  # n^-1/2 times loadings of order 1


def test_a_mixture_is_adopted_as_it_is():
    kind = MixtureLimit(Gaussian(2, 2, means="mn"))
    with double_precision():
        params = kind.init(SHORT, 4) | {"weights": np.array([0.3, -0.2])}
        c = kind.connectivity(params, SHORT)
        again = kind.connectivity(kind.adopt(c, SHORT, 0), SHORT)
    np.testing.assert_allclose(again.covariances, c.covariances, atol=1e-8)  # the ridge of its factors
    np.testing.assert_allclose(again.means, c.means, atol=1e-8)
    np.testing.assert_allclose(again.weights, c.weights)
    with pytest.raises(ValueError, match="it has means of m; pass means"):
        Gaussian(2, 2).adopt(c, SHORT)


# ---- training ------------------------------------------------------------------------------------


def test_a_low_rank_network_learns_perceptual_decisions():
    r = train(get_task("rdm"), LowRank(64, 1), steps=300, accuracy=0.95, learning_rate=0.01)
    assert r.status is Status.REACHED and r.success and r.test_accuracy > 0.93
    trials = get_task("rdm").trials(400, 77)
    run = simulate(r.network, trials.u, trials.steps * 20.0, 20.0, method="euler", record_x=False, progress=False)
    assert trials.right(run.z[:, 1:, 0]).mean() == pytest.approx(r.test_accuracy, abs=0.05)
    assert "of fresh trials right" in str(r) and "REACHED" in repr(r)


@pytest.mark.parametrize("name", ["low", pytest.param("limit", marks=SLOW)])
def test_a_training_goes_on_from_its_checkpoint_to_the_same_bits(name, tmp_path):
    whole = train(SHORT, KINDS[name], **FAST)
    path = tmp_path / "stand.npz"
    train(SHORT, KINDS[name], **FAST | {"steps": 2}, checkpoint=path)
    rest = train(SHORT, KINDS[name], **FAST, checkpoint=path)
    assert np.array_equal(rest.loss, whole.loss) and rest.test_accuracy == whole.test_accuracy
    assert all(np.array_equal(rest.params[key], whole.params[key]) for key in whole.params)
    assert np.array_equal(rest.validation_loss, whole.validation_loss)
    assert not np.array_equal(train(SHORT, KINDS[name], **FAST, seed=1).loss, whole.loss)


def test_checkpoints_of_another_training_are_refused(tmp_path):
    path = tmp_path / "stand.npz"
    train(SHORT, LowRank(6, 1), **FAST, checkpoint=path)
    with pytest.raises(ValueError, match="checkpoint is of a training with another parametrisation"):
        train(SHORT, LowRank(6, 2), **FAST, checkpoint=path)
    with pytest.raises(ValueError, match="another task"):
        train(replace(SHORT, scale=0.2), LowRank(6, 1), **FAST, checkpoint=path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="damaged"):
        train(SHORT, LowRank(6, 1), **FAST, checkpoint=path)
    np.savez(path, m=np.ones(3))
    with pytest.raises(ValueError, match="another kind of file"):
        train(SHORT, LowRank(6, 1), **FAST, checkpoint=path)


class Interrupting:
    """A task during whose fourth batch the user presses Ctrl-C."""

    inputs, readouts, dt, tau = SHORT.inputs, SHORT.readouts, SHORT.dt, SHORT.tau

    def trials(self, count, seed):
        if seed[1:3] == [0, 3]:
            raise KeyboardInterrupt
        return SHORT.trials(count, seed)


def test_an_interrupted_training_leaves_its_checkpoint_and_its_result(tmp_path):
    path = tmp_path / "stand.npz"
    r = train(Interrupting(), LowRank(6, 1), **FAST, checkpoint=path)
    assert r.status is Status.INTERRUPTED and len(r.loss) == 3 and "the same call goes on from" in r.message
    with np.load(path) as file:
        assert len(file["history_loss"]) == 3


def test_a_training_that_diverges_says_so_and_keeps_the_last_good_parameters():
    r = train(SHORT, LowRank(6, 1), **FAST, optimizer="sgd", clip=None, learning_rate=1e30)
    assert r.status is Status.DIVERGED and "lower learning_rate" in r.message and "step" in r.message
    assert all(np.isfinite(value).all() for value in r.params.values())
    start = train(SHORT, LowRank(6, 1), **FAST | {"steps": 0})
    assert np.array_equal(r.network.m, start.network.m)
    assert not r.success


def test_stages_follow_each_other_and_validation_stops():
    r = train(SHORT, LowRank(16, 1), **FAST, shaping=(0.0, SHORT.shaped(0.5)), advance=0.0)
    assert r.stage.tolist() == [0, 1] and "shaping ended in stage 3 of 3" in r.message
    still = Gaussian(1, 1, held=("weights", "m", "I", "n", "w"))
    r = train(SHORT, MixtureLimit(still), **FAST | {"steps": 40}, patience=2, noise_std=0.0)
    assert r.status in (Status.STOPPED_EARLY, Status.OUT_OF_STEPS) and len(r.loss) < 40


def test_what_is_held_stays_and_the_rest_does_not():
    start = LowRank(6, 1).init(SHORT, [0, 3])
    r = train(SHORT, LowRank(6, 1, held=("w", "I")), **FAST, dtype="float64")
    assert np.array_equal(r.params["w"], start["w"]) and np.array_equal(r.params["I"], start["I"])
    assert np.abs(r.params["m"] - start["m"]).max() > 1e-3
    with pytest.raises(ValueError, match="held must be among m, n, I, w: got 'J'"):
        LowRank(6, held=("J",))


@SLOW
def test_the_best_of_several_starts_is_taken():
    one = {"steps": 0, "batch": 8, "validation_trials": 4, "learning_rate": 0.02}
    r = train(SHORT, MixtureLimit(Gaussian(1, 1)), starts=4, screening=30, **one)
    errors = []
    for seed in range(4):
        p = MixtureLimit(Gaussian(1, 1)).init(SHORT, [0, 3, seed])
        errors.append(train(SHORT, MixtureLimit(Gaussian(1, 1)), start=p, **one | {"steps": 30}).loss[-6:].mean())
    trials = SHORT.trials(200, 5)
    with double_precision():
        z = MixtureLimit(Gaussian(1, 1)).run(r.params, trials.u, None, Rule(0.2, 0.05))
    # other trials than those of the screening: the error of the best one, within what trials differ
    assert trials.error(np.asarray(z)).mean() < np.sort(errors)[1]


# ---- before and after ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["full", pytest.param("low", marks=SLOW), "mixture", pytest.param("limit", marks=SLOW)],
)
def test_a_result_is_read_back_as_it_was(name, tmp_path):
    r = train(SHORT, KINDS[name], **FAST)
    r.save(tmp_path / "r.npz")
    again = Trained.load(tmp_path / "r.npz")
    assert again.options == r.options and again.status is r.status and again.message == r.message
    assert np.array_equal(again.loss, r.loss) and np.array_equal(again.stage, r.stage)
    assert all(np.array_equal(again.params[key], r.params[key]) for key in r.params)
    if r.network is not None:
        net = load_network(tmp_path / "r.npz")
        assert np.array_equal(net.m, r.network.m) and np.array_equal(again.network.w, r.network.w)
        assert net.task == "rdm" and get_task("rdm", **net.task_options) == SHORT
    if r.connectivity is not None:
        assert np.array_equal(again.connectivity.covariances, r.connectivity.covariances)
    on = train(SHORT, KINDS[name], **FAST, start=again)
    assert not np.array_equal(on.loss, r.loss)
    (tmp_path / "r.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="r.npz: the file is damaged"):
        Trained.load(tmp_path / "r.npz")


def test_a_full_rank_network_is_cut_to_its_leading_part():
    full = train(SHORT, FullRank(8, rank=2), **FAST, dtype="float64")
    J = connections(full.network)
    np.testing.assert_allclose(J, full.params["J"] / 8, atol=1e-14)  # nothing is lost
    low = train(SHORT, LowRank(8, 2), start=full, **FAST | {"steps": 0}, dtype="float64")
    u, s, vt = np.linalg.svd(J)
    np.testing.assert_allclose(connections(low.network), (u[:, :2] * s[:2]) @ vt[:2], atol=1e-13)
    np.testing.assert_allclose(low.network.m.T @ low.network.m / 8, np.diag(s[:2]), atol=1e-12)  # normal form
    with pytest.raises(ValueError, match="8 neurons, expected n_neurons = 9"):
        train(SHORT, LowRank(9, 2), start=full, **FAST)


def test_starts_that_do_not_fit_are_refused():
    net = draw(mf.Connectivity.from_overlaps([{"n1 m1": 1.0}], 1, ("A",), ("w",)), 8, 0)
    with pytest.raises(ValueError, match="its rank is 1, expected 2 or more"):
        train(SHORT, LowRank(8, 2), start=net, **FAST)
    with pytest.raises(ValueError, match="expected 2 populations of rank 1"):
        train(SHORT, MixtureLimit(Gaussian(2, 1)), start=net, **FAST)
    with pytest.raises(ValueError, match="start has the parameters"):
        train(SHORT, LowRank(8, 1), start={"m": np.ones((8, 1))}, **FAST)
    r = train(SHORT, MixtureLimit(Gaussian(1, 1)), start=net, **FAST | {"steps": 0})
    assert r.connectivity.overlap("n1", "m1") == pytest.approx(1.0)


def test_bad_arguments_are_named():
    bad = [({"optimizer": "adamm"}, "unknown optimizer 'adamm'"), ({"dtype": "half"}, "dtype must be"),
           ({"device": "abacus"}, "device 'abacus' is not there"), ({"learning_rate": -1}, "learning_rate must be"),
           ({"transfer": "step"}, "training knows the transfer functions"), ({"steps": -1}, "steps must be"),
           ({"start": {}, "starts": 2}, "leave one out")]  # fmt: skip
    for arguments, message in bad:
        with pytest.raises(ValueError, match=message):
            train(SHORT, LowRank(6, 1), **FAST | arguments)
    with pytest.raises(ValueError, match="parametrisation must be"):
        train(SHORT, "low rank", **FAST)


@SLOW
def test_optimizers_and_schedules_of_optax_are_taken():
    optax = pytest.importorskip("optax")
    plain = train(SHORT, LowRank(6, 1), **FAST, optimizer="adam", learning_rate=0.01)
    schedule = train(SHORT, LowRank(6, 1), **FAST, learning_rate=optax.constant_schedule(0.01))
    given = train(SHORT, LowRank(6, 1), **FAST, optimizer=optax.adam(0.01))
    for other in (schedule, given):
        np.testing.assert_allclose(other.loss, plain.loss, rtol=1e-6)
    few = train(SHORT, LowRank(6, 1), **FAST, trials=SHORT.trials(3, 0))
    assert len(few.loss) == 4


def test_a_structure_of_ones_own():
    def moments(p):
        jnp = jax.numpy
        zero, one = jnp.zeros_like(p["overlap"]), jnp.ones_like(p["overlap"])
        rows = [[one, zero], [p["overlap"], one], [zero, one], [2 * one, zero]]
        return one[None], jnp.zeros((1, 4), one.dtype), jnp.stack([jnp.stack(row) for row in rows])[None]

    kind = MixtureLimit(Structure(1, moments, {"overlap": 1.1}))
    r = train(SHORT, kind, **FAST)
    assert set(r.params) == {"overlap"} and r.params["overlap"] != 1.1
    assert r.connectivity.overlap("n1", "m1") == pytest.approx(float(r.params["overlap"]), rel=1e-6)
    with pytest.raises(ValueError, match="unknown parameter 'rh'"):
        hand_built(rh=1)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r'pip install "lowrank-meanfield\[fit\]"'):
        train(SHORT, LowRank(6, 1), **FAST)
