"""All fixed points: planted zeros, closed forms, symmetries, and the soundness of every bound the proof rests on."""

import itertools

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root

import meanfield as mf
from meanfield import equations
from meanfield.fixed_points import Status
from meanfield.proof import bounds


def one_population(overlaps, **kwargs):
    overlaps = np.atleast_2d(overlaps)
    entries = {f"n{i + 1} m{j + 1}": x for (i, j), x in np.ndenumerate(overlaps) if x}
    return mf.Connectivity.from_overlaps([entries], rank=len(overlaps), **kwargs)


def random_mixture(rng, rank=2, populations=2):
    entries = []
    for _ in range(populations):
        e = {"weight": 1.0 / populations}
        for i in range(1, rank + 1):
            e[f"mean n{i}"], e[f"mean m{i}"] = rng.normal(size=2)
            e.update({f"n{i} m{j}": rng.normal() * 2 for j in range(1, rank + 1)})
            e[f"n{i} A"] = rng.normal()
        entries.append(e)
    entries[-1]["weight"] = 1 - sum(e["weight"] for e in entries[:-1])
    return mf.Connectivity.from_overlaps(entries, rank=rank, inputs=("A",))


class Cubic:
    """F_i = y_i - y_i^3 with y = A x + shift: 3^R planted zeros, exact Hessian bound."""

    tau = 1.0

    def __init__(self, matrix, shift=0.0):
        self.matrix, self.rank, self.shift = np.asarray(matrix, float), len(matrix), shift

    def values_with_error(self, x):
        y = x @ self.matrix.T + self.shift
        value, jacobian = y - y**3, (1 - 3 * y**2)[..., None] * self.matrix
        return value, np.full_like(value, 1e-14), jacobian, np.full_like(jacobian, 1e-13)

    def jacobian(self, x):
        return self.values_with_error(x)[2]

    def hessian_bound(self, x, r):
        size = np.abs(self.matrix)
        y = np.abs(x @ self.matrix.T + self.shift) + r @ size.T
        return 6 * y[..., :, None, None] * size[:, :, None] * size[:, None, :]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_planted_zeros_are_all_found(rank):
    matrix = np.eye(rank) + 0.2 * np.random.default_rng(rank).normal(size=(rank, rank))
    fp = mf.fixed_points(Cubic(matrix, 0.1), box=(-4 * np.ones(rank), 4 * np.ones(rank)))
    planted = [np.linalg.solve(matrix, np.array(y) - 0.1) for y in itertools.product((-1, 0, 1), repeat=rank)]
    assert fp.complete and not fp.everywhere and len(fp) == 3**rank
    for zero in planted:
        distance = np.abs(fp.kappa - zero)
        assert (distance <= fp.radius + 1e-15).all(-1).sum() == 1  # 1e-15: rounding of the planted zero itself


def test_zeros_on_the_faces_of_the_bisection_are_found_once():
    fp = mf.fixed_points(Cubic(np.eye(2)), box=(-2 * np.ones(2), 2 * np.ones(2)))
    assert fp.complete and len(fp) == 9


@pytest.mark.parametrize("overlap", [0.3, 0.999, 1.000001, 1.2, 2.0, 20.0])
def test_rank_one_against_the_implicit_closed_form(overlap):
    fp = mf.fixed_points(mf.reduce(one_population(overlap)))
    assert fp.complete and fp.everywhere and fp.index_sum == 1
    if overlap < 1:
        assert fp.kind.tolist() == ["stable"] and abs(fp.kappa[0, 0]) <= fp.radius[0, 0]
        return
    with mp.workdps(25):  # <phi'>(Delta) = 1/overlap, by mpmath's own quadrature

        def excess(kappa):
            slope = mp.quad(lambda z: mp.sech(kappa * z) ** 2 * mp.npdf(z), mp.linspace(-10, 10, 41))
            return slope - 1 / mp.mpf(overlap)

        kappa = mp.findroot(excess, (fp.kappa[2, 0] * 0.9, fp.kappa[2, 0] * 1.1), solver="anderson", tol=1e-20)
    assert fp.kind.tolist() == ["stable", "source", "stable"]
    assert abs(fp.kappa[2, 0] - float(kappa)) <= fp.radius[2, 0]
    assert fp.radius.max() < 1e-8


def test_erf_closed_form():
    fp = mf.fixed_points(mf.reduce(one_population([[2.5, 0], [0.5, 0.5]]), "erf"))
    delta = 2 * (2.5**2 - 1) / np.pi
    direction = np.array([1, 0.25]) / np.hypot(1, 0.25)
    np.testing.assert_allclose(fp.kappa[2], np.sqrt(delta) * direction, rtol=0, atol=1e-11)
    assert fp.kind.tolist() == ["stable", "saddle", "stable"]


def test_relu_needs_a_box_beyond_its_contraction():
    contracting = mf.Connectivity.from_overlaps(
        [{"n1 m1": 0.3, "mean n1": 0.5, "mean m1": 0.2, "mean I": 1.0}], rank=1, inputs=("I",)
    )
    fp = mf.fixed_points(mf.reduce(contracting, "relu", {"I": 1.0}))
    assert fp.complete and fp.everywhere and fp.kind.tolist() == ["stable"]
    growing = mf.reduce(one_population(3.0), "relu")
    with pytest.raises(bounds.NoSearchBox, match="box="):
        mf.fixed_points(growing)
    fp = mf.fixed_points(growing, box=([-2.0], [2.1]))  # zero mean: <phi'> = 1/2, the drift is kappa/2 exactly
    assert fp.complete and not fp.everywhere and fp.kind.tolist() == ["source"]
    np.testing.assert_allclose(fp.eigenvalues, 0.5, atol=1e-12)


def test_a_ring_is_enclosed_not_listed():
    fp = mf.fixed_points(mf.reduce(one_population(2 * np.eye(2))))
    (ring,) = fp.unresolved
    radius = mf.fixed_points(mf.reduce(one_population(2.0))).kappa[2, 0]
    assert fp.status is Status.ENCLOSED and not fp.complete and ring.kind == "continuum"
    assert fp.kind.tolist() == ["source"]
    np.testing.assert_allclose(np.linalg.norm(ring.points, axis=-1), radius, rtol=0, atol=1e-8)
    angles = np.linspace(0, 2 * np.pi, 1000)
    on_ring = radius * np.stack([np.cos(angles), np.sin(angles)], -1)
    inside = ((on_ring[:, None] >= ring.boxes[:, 0]) & (on_ring[:, None] <= ring.boxes[:, 1])).all(-1).any(-1)
    assert inside.all()
    corner_distance = np.linalg.norm(ring.boxes.mean(1), axis=-1)
    assert np.abs(corner_distance - radius).max() < 4 * ring.width.max()


def test_a_bifurcation_point_is_enclosed_as_degenerate():
    fp = mf.fixed_points(mf.reduce(one_population(1.0)))
    (point,) = fp.unresolved
    assert fp.status is Status.ENCLOSED and len(fp) == 0 and point.kind == "degenerate"
    assert point.low[0] <= 0 <= point.high[0] and point.high[0] - point.low[0] < 1e-4


def test_a_small_budget_is_a_status_not_an_answer():
    fp = mf.fixed_points(mf.reduce(one_population([[2.5, 0], [0.5, 1.5]])), max_boxes=20)
    assert fp.status is Status.BUDGET and not fp.complete and "max_boxes" in str(fp)
    assert all(u.kind == "undecided" for u in fp.unresolved) and fp.unresolved


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from(["tanh", "erf", "logistic", "sin"]))
def test_no_random_start_finds_what_the_search_missed(seed, transfer):
    f = mf.reduce(random_mixture(np.random.default_rng(seed)), transfer, {"A": 0.7})
    fp = mf.fixed_points(f)
    assert fp.complete and fp.index_sum == 1
    np.testing.assert_allclose(f(fp.kappa), 0, atol=1e-12)
    starts = np.random.default_rng(seed + 1).uniform(*fp.box, size=(15, 2))
    for start in starts:
        found = root(f, start, jac=f.jacobian, tol=1e-13)
        if found.success and np.abs(f(found.x)).max() < 1e-11:
            assert np.abs(fp.kappa - found.x).max(-1).min() < 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(1e-4, 1.0), st.sampled_from(["tanh", "erf", "logistic", "sin"]))
def test_the_hessian_bound_holds_over_the_box(seed, size, transfer):
    rng = np.random.default_rng(seed)
    f = mf.reduce(random_mixture(rng), transfer, {"A": rng.normal()})
    centre, radius = rng.normal(size=(1, 2)), size * rng.uniform(0.1, 1, size=(1, 2))
    bound = f.hessian_bound(centre, radius)
    kappa = centre + radius * rng.uniform(-1, 1, size=(50, 2))
    gain = mf.gaussian_average(transfer, mean=f.mean(kappa), variance=f.variance(kappa), order=tuple(range(6)))
    b = f.blocks
    slope, push = equations.half_variance_gradient(b, kappa, f.v), equations.covariance_with_n(b, kappa, f.v)
    assert (np.abs(equations.hessian(b, slope, push, gain)) <= bound + 1e-12).all()


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(1e-3, 1.0))
def test_the_hessian_bound_holds_for_finite_networks(seed, size):
    rng = np.random.default_rng(seed)
    f = mf.reduce(mf.Connectivity.from_network(random_mixture(rng).sample(30, seed=seed)), "tanh", {"A": 0.5})
    centre, radius = rng.normal(size=(1, 2)), np.full((1, 2), size)
    kappa = centre + radius * rng.uniform(-1, 1, size=(50, 2))
    b = f.blocks
    second = f.transfer(equations.mean(b, kappa, f.v), 2)
    assert (np.abs(equations.hessian(b, None, None, [None, None, second])) <= f.hessian_bound(centre, radius)).all()


@settings(max_examples=6)
@given(st.integers(0, 10**6))
def test_the_evaluation_error_bound_holds(seed):
    from meanfield.proof.refinement import _Equation

    rng = np.random.default_rng(seed)
    f = mf.reduce(random_mixture(rng), "tanh", {"A": 0.3})
    kappa = rng.normal(size=2) * 10 ** rng.uniform(-3, 0.5)
    value, value_error, jacobian, jacobian_error = f.values_with_error(kappa[None])
    with mp.workdps(30):
        exact, exact_jacobian = _Equation(f, 25)(np.vectorize(mp.mpf, otypes=[object])(kappa))
        assert (np.abs(exact - value[0]) <= value_error[0]).all()
        assert (np.abs(exact_jacobian - jacobian[0]) <= jacobian_error[0]).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_symmetries_of_the_description_leave_the_answer(seed):
    c = random_mixture(np.random.default_rng(seed))
    fp = mf.fixed_points(mf.reduce(c, inputs={"A": 0.5}))
    split = mf.fixed_points(mf.reduce(c.split(0, 0.3), inputs={"A": 0.5}))
    np.testing.assert_allclose(split.kappa, fp.kappa, atol=1e-10)
    flipped = mf.fixed_points(mf.reduce(c.flip([0]), inputs={"A": 0.5}))
    np.testing.assert_allclose(flipped.kappa, fp.kappa, atol=1e-10)
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    rotated = mf.fixed_points(mf.reduce(c.rotate(turn), inputs={"A": 0.5}))
    back = rotated.kappa @ turn.T  # m -> m A means kappa -> A^-1 kappa
    assert len(back) == len(fp)
    for kappa in fp.kappa:
        assert np.abs(back - kappa).max(-1).min() < 1e-10


def test_rank_three_and_four_are_complete():
    rng = np.random.default_rng(7)
    for rank in (3, 4):
        matrix = 1.6 * np.eye(rank) + 0.2 * rng.normal(size=(rank, rank))
        fp = mf.fixed_points(mf.reduce(one_population(matrix)))
        eigenvalues = np.linalg.eigvals(matrix)
        real = np.sum((np.abs(eigenvalues.imag) < 1e-12) & (eigenvalues.real > 1))
        assert fp.complete and fp.index_sum == 1 and len(fp) == 1 + 2 * real


def test_time_constant_scales_rates_only():
    c = one_population([[2.5, 0], [0.5, 1.5]])
    fast, slow = (mf.fixed_points(mf.reduce(c, tau=tau)) for tau in (1.0, 20.0))
    np.testing.assert_array_equal(fast.kappa, slow.kappa)
    np.testing.assert_allclose(slow.eigenvalues * 20, fast.eigenvalues)


def test_refinement_to_many_digits():
    fp = mf.fixed_points(mf.reduce(one_population(2.0), "erf"))
    fine = fp.refine(40)
    with mp.workdps(45):
        assert abs(fine[2, 0] - mp.sqrt(6 / mp.pi)) < mp.mpf(10) ** -40
    with pytest.raises(ValueError, match="digits"):
        fp.refine(0)


def test_refinement_of_a_finite_network():
    fp = mf.fixed_points(mf.reduce(mf.Connectivity.from_network(one_population(2.0).sample(25, seed=3))))
    fine = fp.refine(30)
    assert (np.abs(fine.astype(float) - fp.kappa) <= fp.radius).all()


def test_bad_boxes_are_refused():
    f = mf.reduce(one_population(2.0))
    for box in (([1.0], [-1.0]), ([np.nan], [1.0]), ([0.0, 0.0], [1.0, 1.0])):
        with pytest.raises(ValueError, match="low < high"):
            mf.fixed_points(f, box=box)


def test_the_printed_answer_says_what_is_proved():
    text = str(mf.fixed_points(mf.reduce(one_population(2.0))))
    assert "3 fixed points (2 stable, 1 source); proved complete" in text and "index sum +1" in text


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "logistic", "softplus", "relu", "step"])
def test_what_a_centred_gaussian_sees_is_bounded(name):
    transfer = mf.get_transfer(name)
    x = np.concatenate([np.linspace(0.01, 3, 400), np.geomspace(3, 600, 50)])
    for order in range(5):
        even_part = 0.5 * (transfer(x, order) + transfer(-x, order))
        assert (np.abs(even_part) <= transfer.centred_bound(order) + 1e-14).all()


def test_a_degenerate_direction_beside_a_settled_one_is_a_point_not_a_crowd():
    # overlap exactly 1 along kappa_2, two populations: only the second direction is degenerate at the origin
    populations = [{"weight": 0.5, "n1 m1": 3.0, "n2 m2": 2.0}, {"weight": 0.5, "n1 m1": 1.0}]
    fp = mf.fixed_points(mf.reduce(mf.Connectivity.from_overlaps(populations, rank=2)))
    (point,) = fp.unresolved
    assert fp.status is Status.ENCLOSED and point.kind == "degenerate" and fp.examined < 2000
    assert (point.low <= 0).all() and (point.high >= 0).all() and (point.high - point.low < 1e-5).all()


@pytest.mark.parametrize(
    ("entries", "inputs", "readouts"),
    [
        ({"n1 m1": 1.5, "n1 n1": 1.0, "I I": 1e15}, ("I",), ()),
        ({"n1 m1": 3.0, "n1 n1": 0.0, "w w": 1e16}, (), ("w",)),
        ({"m1 m1": 1e-14, "n1 m1": 4.0, "n1 n1": 1e8}, (), ()),
    ],
)
def test_the_box_holds_where_one_huge_variance_hides_an_indefinite_block(entries, inputs, readouts):
    # positive semi-definite up to rounding of the largest entry only: sd(n) alone would give a box that is too small
    c = mf.Connectivity.from_overlaps([entries], rank=1, inputs=inputs, readouts=readouts)
    fp = mf.fixed_points(mf.reduce(c))
    overlap, variance = entries["n1 m1"], entries.get("m1 m1", 1.0)
    one = mf.fixed_points(mf.reduce(one_population(overlap))).kappa / np.sqrt(variance)
    assert fp.complete and fp.index_sum == 1
    np.testing.assert_allclose(fp.kappa, one, rtol=1e-9, atol=1e-9)


def test_no_box_where_n_follows_a_direction_without_variance():
    blocks = one_population(2.0).blocks()._replace(cov_mm=np.zeros((1, 1, 1)))
    with pytest.raises(bounds.NoSearchBox, match="population 0.*box="):
        bounds.search_box(blocks, mf.get_transfer("tanh"), np.zeros(0), np.ones((1, 1)))


@pytest.mark.parametrize(
    ("box", "kinds"), [(([1e-4], [2.0]), ["stable"]), (([-1.0], [-1e-4]), []), (([-1.0], [0.5]), ["source"])]
)
def test_only_what_lies_in_the_given_box_is_listed(box, kinds):
    fp = mf.fixed_points(mf.reduce(one_population(2.0)), box=box)
    assert fp.complete and fp.kind.tolist() == kinds


def test_a_wrong_bound_is_caught_by_the_index():
    class Liar(Cubic):
        """Claims a box around everything that leaves two of its three zeros outside."""

        def search_box(self):
            return np.array([0.5])

    fp = mf.fixed_points(Liar(np.eye(1)))
    assert fp.status is Status.CONTRADICTED and not fp.complete and "not proved" in str(fp)


def test_the_proof_names_what_it_rests_on():
    f = mf.reduce(one_population(2.0), mf.Transfer.from_expression("tanh(2*x)/2 + tanh(x)/4"))
    assert "error estimates of the averages" in mf.fixed_points(f).summary
    assert mf.fixed_points(mf.reduce(one_population(2.0))).assumption == ""
    network = mf.Connectivity.from_network(one_population(2.0).sample(20, seed=1))
    assert "estimated rounding error" in mf.reduce(network, f.transfer).assumption


def test_what_is_no_field_is_refused_with_the_next_step():
    c = one_population(2.0, inputs=("A",))
    with pytest.raises(ValueError, match="reduce"):
        mf.fixed_points(c)
    with pytest.raises(ValueError, match="frozen"):
        mf.fixed_points(mf.reduce(c, inputs={"A": np.sin}))
    with pytest.raises(ValueError, match="from_overlaps"):
        mf.reduce("model.toml")


def test_a_budget_is_a_positive_number():
    with pytest.raises(ValueError, match="max_boxes"):
        mf.fixed_points(mf.reduce(one_population(2.0)), max_boxes=0)


def test_a_finite_network_of_kinked_neurons():
    c = mf.Connectivity.from_overlaps(
        [{"n1 m1": 0.4, "mean n1": 0.3, "mean m1": 0.2, "n1 I": 1.0, "mean I": 0.5}], rank=1, inputs=("I",)
    )
    f = mf.reduce(mf.Connectivity.from_network(c.sample(60, seed=2)), "relu", {"I": 1.5})
    box = ([-20.0], [20.0])
    fp = mf.fixed_points(f, box=box)
    grid = np.linspace(-20, 20, 20001)
    assert fp.complete and len(fp) == np.sum(np.diff(np.sign(f(grid[:, None])[:, 0])) != 0)
