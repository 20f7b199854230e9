import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_fields import Bistable, BlowUp, Filter, Rossler, Saddle, VanDerPol

import meanfield as mf
from meanfield.orbits.manifolds import manifold
from meanfield.trajectories import EXPLICIT, IMPLICIT, Reversed, Status, trajectory

# x' = x - x^3 from x0: x^2 = x0^2 e^{2t} / (1 - x0^2 + x0^2 e^{2t})
STARTS = np.array([[0.1, 1.0], [-0.7, 0.3], [1.9, -2.0]])

# Van der Pol (mu = 1) from (2, 0) at t = 10: Taylor series at 25 digits, mpmath.odefun
AT_TEN = np.array([-2.008340782579712332780730163, 0.0329070658633240644314717095])


def bistable(start, t):
    x, y = start[..., :1], start[..., 1:]
    grown = np.exp(2 * t)
    return np.stack([np.sign(x) * np.sqrt(x * x * grown / (1 - x * x + x * x * grown)), y * np.exp(-t)], axis=-1)


def single_population(lam, **inputs):
    c = mf.Connectivity.from_overlaps([{"n1 m1": lam, "n1 A": 0.8}], rank=1, inputs=("A",))
    return mf.reduce(c, transfer="erf", inputs=inputs)


@pytest.mark.parametrize("method", EXPLICIT + IMPLICIT)
def test_every_method_meets_its_tolerance(method):
    rtol = 1e-8
    result = trajectory(Bistable(), STARTS, 5.0, method=method, rtol=rtol, atol=1e-10)
    assert result.success and result.kappa.shape == (3, 201, 2) and result.v is None
    # errors of single steps add up; implicit methods of order 1 to 5 take some thousand steps here
    assert np.abs(result.kappa - bistable(STARTS, result.t)).max() < 300 * rtol


@pytest.mark.parametrize("method", ["DOP853", "RK45"])
def test_error_falls_in_proportion_to_the_tolerance(method):
    tolerances = 10.0 ** -np.arange(4, 11)
    options = [{"method": method, "rtol": x, "atol": x} for x in tolerances]
    ends = [trajectory(VanDerPol(1.0), [2.0, 0.0], 10.0, **option).end for option in options]
    errors = np.abs(ends - AT_TEN).max(-1)
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    assert 0.8 < slope < 1.25


def test_estimated_error_covers_the_true_one():
    for rtol in (1e-6, 1e-9, 1e-12):
        result = trajectory(Bistable(), STARTS, 6.0, rtol=rtol, atol=rtol, with_error=True)
        true = np.abs(result.kappa - bistable(STARTS, result.t)).max(-1)
        assert (true <= result.error + 1e-15).all()
        # ... without exaggerating: some hundred steps at this tolerance
        assert result.error.max() < 1e3 * rtol


def test_error_is_not_estimated_unasked():
    assert trajectory(Bistable(), STARTS, 1.0).error is None


def test_a_batch_equals_its_members():
    batch = trajectory(VanDerPol(1.0), STARTS[None], (0, 8))
    assert batch.kappa.shape == (1, 3, 201, 2)
    for i, start in enumerate(STARTS):
        alone = trajectory(VanDerPol(1.0), start, (0, 8))
        np.testing.assert_allclose(batch.kappa[0, i], alone.kappa, atol=1e-8)


@given(st.floats(0.1, 2.0), st.floats(-1.0, 1.0))
@settings(max_examples=15)
def test_forward_and_back_is_the_identity(x, y):
    there = trajectory(VanDerPol(0.5), [x, y], 2.0, rtol=1e-11)
    back = trajectory(VanDerPol(0.5), there.end, (2.0, 0.0), rtol=1e-11)
    again = trajectory(Reversed(VanDerPol(0.5)), there.end, 2.0, rtol=1e-11)
    assert back.t[-1] == 0.0
    np.testing.assert_allclose(back.end, [x, y], atol=1e-8)
    np.testing.assert_allclose(again.end, [x, y], atol=1e-8)


def test_output_times_are_the_ones_asked_for():
    t = np.array([0.0, 0.3, 2.0, 2.5])
    result = trajectory(Bistable(), STARTS[0], t)
    np.testing.assert_array_equal(result.t, t)
    np.testing.assert_allclose(result.kappa, bistable(STARTS[0], t), atol=1e-8)
    assert trajectory(Bistable(), STARTS[0], (1.0, 4.0), samples=7).t.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]


def test_a_failed_integration_ends_in_nan_and_says_so():
    result = trajectory(BlowUp(), [[1.0, 1.0], [-1.0, 1.0]], np.linspace(0, 2, 41))
    assert result.status is Status.FAILED and not result.success and "stopped early" in str(result)
    assert np.isnan(result.kappa[0, -1]).all()
    reached = result.t < 0.9
    np.testing.assert_allclose(result.kappa[0, reached, 0], 1 / (1 - result.t[reached]), rtol=1e-7)
    np.testing.assert_allclose(result.kappa[1, :, 0], -1 / (1 + result.t), rtol=1e-8)  # the other is not harmed


def pulse(t):
    return 0.0 if t < 1 or t >= 3 else 2.0


def filtered(t, order):
    """Response of one (v) or two (kappa) filters to the pulse of height 2 from 1 to 3."""

    def step(s):
        s = np.maximum(s, 0.0)
        return 1 - np.exp(-s) if order == 1 else 1 - (1 + s) * np.exp(-s)

    return 2.0 * (step(t - 1) - step(t - 3))


@pytest.mark.parametrize("method", ["DOP853", "Radau"])
def test_a_pulse_with_breakpoints_is_filtered_exactly(method):
    t = np.linspace(0, 8, 81)  # holds both jumps
    result = trajectory(Filter(pulse), [0.0], t, breakpoints=(1.0, 3.0), method=method)
    np.testing.assert_allclose(result.v[:, 0], filtered(t, 1), atol=2e-9)
    np.testing.assert_allclose(result.kappa[:, 0], filtered(t, 2), atol=2e-9)


def test_breakpoints_are_what_makes_it_exact_and_cheap():
    t = np.linspace(0, 8, 81)
    cut = trajectory(Filter(pulse), [0.0], t, breakpoints=(1.0, 3.0), rtol=1e-8, atol=1e-10)
    uncut = trajectory(Filter(pulse), [0.0], t, rtol=1e-8, atol=1e-10)
    assert np.abs(cut.v[:, 0] - filtered(t, 1)).max() < 1e-7 < np.abs(uncut.v[:, 0] - filtered(t, 1)).max()
    assert cut.evaluations < uncut.evaluations


def test_backward_through_a_jump():
    t = np.linspace(2, 0, 21)
    start = [filtered(2.0, 2), filtered(2.0, 1)]
    result = trajectory(Filter(pulse), start, t, breakpoints=[1.0])
    np.testing.assert_allclose(result.v[:, 0], filtered(t, 1), atol=1e-8)


def test_a_driven_start_is_relaxed_unless_v_is_given():
    field = Filter(lambda t: 1.5)
    result = trajectory(field, [[0.0], [1.0]], 3.0)
    assert np.abs(result.v - 1.5).max() < 1e-12
    np.testing.assert_allclose(trajectory(field, [0.0, 0.0], 3.0).v[:, 0], 1.5 * (1 - np.exp(-result.t)), atol=1e-9)
    assert result.end.shape == (2, 2)
    np.testing.assert_array_equal(result.end, np.concatenate([result.kappa, result.v], -1)[:, -1])


def test_a_network_with_inputs_in_time():
    field = single_population(1.5, A=lambda t: pulse(t / 2))
    tau = field.tau
    t = np.linspace(0, 20, 101)
    result = trajectory(field, [0.3], t, breakpoints=(2.0, 6.0))
    s1, s2 = np.maximum(t - 2, 0), np.maximum(t - 6, 0)
    np.testing.assert_allclose(result.v[:, 0], 2 * (np.exp(-s2 / tau) - np.exp(-s1 / tau)), atol=1e-9)
    # once the pulse is over and v has decayed, kappa settles on one of the autonomous field's fixed points
    late = trajectory(field, result.end, (20.0, 80.0))
    stable = mf.fixed_points(single_population(1.5)).stable
    assert np.abs(stable - late.kappa[-1]).min() < 1e-8


def test_a_constant_input_given_as_a_function_is_the_autonomous_field():
    driven, constant = single_population(2.0, A=lambda t: 0.7), single_population(2.0, A=0.7)
    np.testing.assert_allclose(
        trajectory(driven, [0.1], 10.0).kappa, trajectory(constant, [0.1], 10.0).kappa, atol=1e-8
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": [0.1]}, r"start must have shape \(..., 2\): got \(1,\)"),
        ({"start": [0.1, np.nan]}, "start must be finite"),
        ({"t": [0, 2, 1]}, "all increase or all decrease"),
        ({"t": 0.0}, "all increase or all decrease"),
        ({"t": np.inf}, "all finite"),
        ({"method": "euler"}, "unknown method 'euler': known are DOP853"),
        ({"rtol": 1e-16}, "rtol must lie between"),
        ({"atol": 0.0}, "atol must be a positive number"),
        ({"max_step": -1.0}, "max_step must be positive"),
        ({"samples": 1}, "samples must be at least 2"),
        ({"breakpoints": [1.0]}, "this field is not driven"),
    ],
)
def test_errors_of_trajectory(change, words):
    with pytest.raises(ValueError, match=words):
        trajectory(Bistable(), **({"start": [0.1, 0.2], "t": 1.0} | change))


def test_errors_of_a_driven_start():
    with pytest.raises(ValueError, match=r"\(..., 1\) \(kappa\) or \(..., 2\) \(kappa, then v\): got \(3,\)"):
        trajectory(Filter(pulse), [0.0, 0.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="breakpoints must be finite"):
        trajectory(Filter(pulse), [0.0], 1.0, breakpoints=[np.nan])


def test_unstable_manifold_is_the_parabola():
    branches = manifold(Saddle(), [0.0, 0.0], box=((-2, -1), (2, 3)))
    for branch in branches:
        x, y = branch.kappa.T
        # starts off the curve by (1e-5 * box)^2
        assert np.abs(y - x * x / 3).max() < 1e-8
        assert branch.status is Status.BOX and abs(abs(x[-1]) - 2) < 1e-6
        spacing = np.linalg.norm(np.diff(branch.kappa, axis=0), axis=1)
        assert spacing.max() < 1.05 * spacing.min()
    assert branches[0].kappa[-1, 0] * branches[1].kappa[-1, 0] < 0


def test_stable_manifold_runs_backward():
    for branch in manifold(Saddle(), [0.0, 0.0], "stable", box=((-2, -2), (2, 2))):
        assert np.all(np.diff(branch.t) < 0) and np.abs(branch.kappa[:, 0]).max() < 1e-7
        assert abs(abs(branch.kappa[-1, 1]) - 2) < 1e-6


def test_manifold_ends_at_another_fixed_point():
    for branch in manifold(Bistable(), [0.0, 0.0], fixed_points=[[0, 0], [1, 0], [-1, 0]], box=((-2, -2), (2, 2))):
        assert branch.status is Status.FIXED_POINT and abs(abs(branch.kappa[-1, 0]) - 1) < 5e-3
    open_ended = manifold(Bistable(), [0.0, 0.0], box=((-2, -2), (2, 2)), max_time=5.0)
    assert [b.status for b in open_ended] == [Status.TIME] * 2


def test_separatrix_of_a_network_separates_its_basins():
    overlaps = {"n1 m1": 2.5, "n2 m1": 0.5, "n2 m2": 1.5}
    f = mf.reduce(mf.Connectivity.from_overlaps([overlaps], rank=2), transfer="erf")
    fp = mf.fixed_points(f)
    saddle = fp.kappa[fp.kind == "saddle"][0]
    branch = max(manifold(f, saddle, "stable", fixed_points=fp), key=lambda b: len(b.kappa) * (b.status is Status.BOX))
    on = branch.kappa[len(branch.kappa) // 2]
    normal = np.array([f(on)[1], -f(on)[0]])
    ends = trajectory(f, on + 1e-3 * np.array([[1.0], [-1.0]]) * normal / np.linalg.norm(normal), 100.0).kappa[:, -1]
    nearest = [np.argmin(np.linalg.norm(fp.stable - end, axis=1)) for end in ends]
    assert nearest[0] != nearest[1]
    assert all(np.linalg.norm(fp.stable[k] - end) < 1e-8 for k, end in zip(nearest, ends, strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"point": [0.3, 0.0]}, "point must be a fixed point"),
        ({"point": [0.0]}, r"point must have shape \(2,\)"),
        ({"kind": "slow"}, "'unstable' or 'stable'"),
        ({"box": None}, "pass box="),
        ({"box": ((1, 1), (0, 0))}, "low < high"),
        ({"box": ((1, 1), (2, 2))}, "inside the box"),
        ({"point": [1.0, 0.0]}, "has dimension 0"),
        ({"point": [1.0, 0.0], "kind": "stable"}, "has dimension 2 .* pass one real eigenvector"),
        ({"eigenvector": [0.0, 1.0]}, "of the unstable kind"),
        ({"eigenvector": [1j, 1.0]}, "real vector"),
    ],
)
def test_errors_of_manifold(change, words):
    with pytest.raises(ValueError, match=words):
        manifold(Bistable(), **({"point": [0.0, 0.0], "box": ((-2, -2), (2, 2))} | change))


def test_an_eigenvector_chooses_among_several():
    for branch in manifold(Bistable(), [1.0, 0.0], "stable", eigenvector=[0.0, 1.0], box=((-3, -3), (3, 3))):
        assert np.abs(branch.kappa[:, 0] - 1).max() < 1e-6 and abs(abs(branch.kappa[-1, 1]) - 3) < 1e-6


def test_a_three_dimensional_field_has_a_curve_too():
    c = 5.7
    root = np.sqrt(c * c - 4 * 0.2 * 0.2)
    point = np.array([(c - root) / 2, -(c - root) / 0.4, (c - root) / 0.4])
    branches = manifold(Rossler(c), point, "stable", box=((-50, -50, -50), (50, 50, 50)))
    assert all(b.success and b.kappa.shape == (201, 3) for b in branches)
