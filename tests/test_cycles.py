from dataclasses import replace

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_fields import Bistable, BlowUp, Circles, Filter, Pendulum, Rossler, SaddleNodeOnCircle, Scaled, VanDerPol

import meanfield as mf
from meanfield.cycles import CycleStatus, NoCycle, limit_cycle
from meanfield.orbits.cycle_search import limit_cycles
from meanfield.orbits.shooting import LOOSE, TIGHT, variational
from meanfield.trajectories import trajectory

# Period of the van der Pol oscillator at mu = 1, and its largest x; test_reference_period verifies both
VAN_DER_POL, AMPLITUDE = 6.663286859323130189, "2.00861986087484313650940188"


def one_population(overlap, transfer="erf", tau=1.0, **entries):
    overlap = np.array(overlap)
    names = {f"n{i + 1} m{j + 1}": overlap[i, j] for i in range(len(overlap)) for j in range(len(overlap))}
    c = mf.Connectivity.from_overlaps([names | entries], rank=len(overlap))
    return mf.reduce(c, transfer=transfer, tau=tau)


def integral_of_trace(cycle):
    """Over one period, by the trapezoidal rule, which is spectrally accurate on a periodic function."""
    return np.trace(cycle.field.jacobian(cycle.orbit[:-1]), axis1=-2, axis2=-1).mean() * cycle.period


def test_reference_period():
    """Half a period after (x, 0) the orbit passes (-x, 0): Taylor integration at 20 digits."""
    with mpmath.workdps(20):
        start = [mpmath.mpf(AMPLITUDE), mpmath.mpf(0)]
        flow = mpmath.odefun(lambda _, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], 0, start)
        half = mpmath.findroot(lambda t: flow(t)[1], 3.3316)
        assert abs(flow(half)[0] + start[0]) < 1e-17
        assert abs(2 * half - VAN_DER_POL) < 1e-15


def test_van_der_pol():
    cycle = limit_cycle(VanDerPol(1.0), [0.1, 0.1])
    assert cycle.status is CycleStatus.CONVERGED and cycle.stable and cycle.kind == "stable"
    assert abs(cycle.period - VAN_DER_POL) <= cycle.period_error < 1e-10
    assert abs(cycle.amplitude[0] - 2 * float(AMPLITUDE)) < 1e-10
    assert cycle.trivial_error < 1e-10 and cycle.residual < 1e-10
    assert cycle.orbit.shape == (401, 2) and cycle.t[-1] == cycle.period


@pytest.mark.parametrize("mu", [0.1, 5.0])
def test_product_of_multipliers_is_the_exponential_of_the_trace(mu):
    cycle = limit_cycle(VanDerPol(mu), [0.5, 0.0], samples=4001)
    product = np.prod(cycle.multipliers)
    assert np.log(product.real) == pytest.approx(integral_of_trace(cycle), abs=1e-8)
    if mu < 1:  # at mu = 5 the determinant is 1e-37 and lost in the rounding of the matrix
        assert np.linalg.det(cycle.monodromy) == pytest.approx(product.real, rel=1e-8)


def test_planted_circle():
    cycle = limit_cycle(Circles([1.0], omega=3.0), [0.2, -0.1])
    assert abs(cycle.period - 2 * np.pi / 3) <= cycle.period_error < 1e-11
    assert cycle.multipliers[1] == pytest.approx(np.exp(-2 * cycle.period), rel=1e-9)
    np.testing.assert_allclose(cycle.amplitude, 2.0, rtol=1e-11)
    np.testing.assert_allclose(np.linalg.norm(cycle.orbit, axis=1), 1.0, rtol=1e-9)


@pytest.mark.parametrize("transfer", ["erf", "tanh"])
def test_thesis_figure_4_1d(transfer):
    """Period 2 pi a / b for one centred population with eigenvalues a +- ib of the overlap matrix, whatever phi."""
    exact = 2 * np.pi * 2.25 / np.sqrt(1 - 0.0625)
    cycle = limit_cycle(one_population([[2.5, -1.0], [1.0, 2.0]], transfer), [0.1, 0.1])
    assert cycle.period == pytest.approx(exact, rel=1e-9) and cycle.stable
    # the field's own error (at most 1e-12) comes on top of the estimate
    assert abs(cycle.period - exact) <= cycle.period_error + 1e-11


@given(st.floats(1.3, 3.0), st.floats(0.3, 2.0), st.floats(-0.5, 0.5), st.floats(-0.4, 0.4), st.floats(0.2, 5.0))
@settings(max_examples=3)
def test_period_in_closed_form(a, b, shear, covariance, tau):
    basis = np.array([[1.0, shear], [0.0, 1.0]])
    overlap = basis @ np.array([[a, -b], [b, a]]) @ np.linalg.inv(basis)
    f = one_population(overlap, tau=tau, **{"m1 m2": covariance})
    cycle = limit_cycle(f, [0.1, 0.2])
    assert cycle.period == pytest.approx(2 * np.pi * a / b * tau, rel=1e-9)


def test_rank_three():
    f = one_population([[2.0, -1.0, 0.0], [1.0, 2.0, 0.0], [0.3, 0.1, 1.4]])
    cycle = limit_cycle(f, [0.1, 0.1, 0.1])
    assert cycle.period == pytest.approx(4 * np.pi, rel=1e-9) and cycle.stable and cycle.multipliers.shape == (3,)
    across = np.exp(4 * np.pi * (1.4 / 2 - 1))  # exp(T (lambda / a - 1)) for the third eigenvalue of the overlap matrix
    assert np.abs(cycle.multipliers - across).min() < 1e-9
    product = np.exp(integral_of_trace(cycle))
    assert np.prod(cycle.multipliers).real == pytest.approx(product, abs=10 * cycle.multiplier_error)


def test_time_reversal():
    forward = limit_cycle(Circles([1.0]), [0.5, 0.0])
    unstable = limit_cycle(Circles([1.0], sign=-1), [0.9, 0.0], reverse=True)
    assert unstable.kind == "unstable" and not unstable.stable
    assert unstable.period == pytest.approx(forward.period, rel=1e-11)
    assert unstable.multipliers[1] == pytest.approx(1 / forward.multipliers[1], rel=1e-9)
    assert np.linalg.det(unstable.monodromy) == pytest.approx(np.exp(4 * np.pi), rel=1e-6)
    # the orbit is reported forward in time (errors grow by e^pi in a quarter period)
    moved = trajectory(unstable.field, unstable.orbit[0], unstable.period / 4).end
    np.testing.assert_allclose(moved, unstable.orbit[100], atol=1e-7)


def test_tau_scales_time_only():
    slow, fast = (limit_cycle(Scaled(VanDerPol(1.0), tau), [0.5, 0.0]) for tau in (20.0, 0.01))
    assert slow.period == pytest.approx(20 * VAN_DER_POL, rel=1e-10)
    assert fast.period == pytest.approx(0.01 * VAN_DER_POL, rel=1e-10)


def test_variational_equations_converge():
    """Derivative of the flow against differences of flows, and Liouville's formula."""
    f, point = VanDerPol(1.0), np.array([1.0, -0.5])
    end, matrix, integral = variational(f, point, 2.0, TIGHT, 1.0)
    h = 1e-5
    sides = [variational(f, point + s * h * e, 2.0, TIGHT, 1.0)[0] for e in np.eye(2) for s in (1, -1)]
    differences = np.stack([(sides[0] - sides[1]) / (2 * h), (sides[2] - sides[3]) / (2 * h)], axis=1)
    np.testing.assert_allclose(matrix, differences, atol=1e-7)
    assert np.linalg.det(matrix) == pytest.approx(np.exp(integral), rel=1e-11)
    rough = variational(f, point, 2.0, 1e-6, 1.0)[0]
    loose = variational(f, point, 2.0, LOOSE, 1.0)[0]
    assert np.abs(rough - end).max() > 100 * np.abs(loose - end).max()


def test_period_doubled_cycle_is_not_taken_for_half_of_it():
    single, double = limit_cycle(Rossler(2.5), [1.0, 1.0, 1.0]), limit_cycle(Rossler(3.5), [1.0, 1.0, 1.0])
    assert single.stable and double.stable
    assert 1.8 < double.period / single.period < 2.2
    middle = trajectory(double.field, double.orbit[0], double.period / 2).end
    assert np.linalg.norm(middle - double.orbit[0]) > 0.1


@pytest.mark.slow
def test_chaos_is_no_cycle():
    with pytest.raises(NoCycle, match="no cycle found within max_time = 300") as caught:
        limit_cycle(Rossler(5.7), [1.0, 1.0, 1.0], max_time=300.0)
    assert caught.value.unsettled and caught.value.cycle.kind == "unstable"


def test_long_period_near_a_saddle_node():
    for a in (0.3, 1e-2):
        cycle = limit_cycle(SaddleNodeOnCircle(a), [-0.5, 0.1])
        exact = 2 * np.pi / np.sqrt((1 + a) ** 2 - 1)
        assert abs(cycle.period - exact) <= cycle.period_error and cycle.status is CycleStatus.CONVERGED
    with pytest.raises(NoCycle, match="raise max_time"):  # period 1987
        limit_cycle(SaddleNodeOnCircle(5e-6), [-0.5, 0.1], max_time=500.0)
    with pytest.raises(NoCycle, match="leads to the fixed point"):
        limit_cycle(SaddleNodeOnCircle(-1e-2), [-0.5, 0.1])


def test_a_family_of_cycles_is_reported_as_such():
    cycle = limit_cycle(Pendulum(), [1.0, 0.0])
    exact = 4 * float(mpmath.ellipk(mpmath.sin(cycle.amplitude[0] / 4) ** 2))
    assert cycle.period == pytest.approx(exact, rel=1e-9)
    assert cycle.kind == "undecided" and not cycle.stable and cycle.status is CycleStatus.NEUTRAL


@pytest.mark.parametrize(
    ("field", "start", "options", "words"),
    [
        (Bistable(), [0.1, 0.1], {}, r"leads to the fixed point kappa = \(1, .*\), reached by t = "),
        (Bistable(), [0.0, 1.0], {}, "leads to the fixed point"),  # the saddle, along its stable manifold
        (Bistable(), [0.0, 0.0], {}, "is a fixed point: start next to it"),
        (Circles([1.0], sign=-1), [1.5, 0.0], {}, "infinity|could not be followed"),
        (BlowUp(), [1.0, 0.0], {}, "infinity|could not be followed"),
        (Bistable(), [0.5, 0.5], {"reverse": True}, "backward in time"),
        (VanDerPol(1e-4), [0.001, 0.0], {"max_time": 2.0}, "no cycle found within max_time = 2"),
    ],
)
def test_no_cycle_says_where_the_flow_leads(field, start, options, words):
    with pytest.raises(NoCycle, match=words):
        limit_cycle(field, start, **options)


def test_a_slow_spiral_into_a_focus_is_no_cycle():
    f = one_population([[0.9, -1.0], [1.0, 0.9]])
    with pytest.raises(NoCycle, match=r"fixed point kappa = \("):
        limit_cycle(f, [0.5, 0.0])


def test_errors():
    with pytest.raises(NoCycle, match="one dimension"):
        limit_cycle(one_population([[2.0]]), [0.1])
    with pytest.raises(ValueError, match="autonomous"):
        limit_cycle(Filter(np.sin), [0.0])
    with pytest.raises(ValueError, match="autonomous"):
        limit_cycles(Filter(np.sin))
    with pytest.raises(ValueError, match="start must be 2 finite numbers"):
        limit_cycle(VanDerPol(1.0), [0.1])
    with pytest.raises(ValueError, match="max_time must be a positive number"):
        limit_cycle(VanDerPol(1.0), [0.1, 0.1], max_time=-1.0)


def test_nested_circles_are_all_found():
    radii = [0.6, 0.9, 1.1]
    field = Circles(radii)
    found = limit_cycles(field, [[0.0, 0.0]])
    by_size = sorted(found, key=lambda c: c.amplitude[0])
    np.testing.assert_allclose([c.amplitude[0] / 2 for c in by_size], radii, rtol=1e-9)
    assert [c.kind for c in by_size] == ["stable", "unstable", "stable"] and len(found.stable) == 2
    for i, cycle in enumerate(by_size):
        assert np.log(cycle.multipliers[1].real) == pytest.approx(np.log(field.multiplier(i)), rel=1e-7)
    assert not found.guaranteed and not found.excluded and "not excluded" in str(found)


def test_two_cycles_next_to_each_other_stay_two():
    found = limit_cycles(Circles([1.0, 1.01], sign=-1), [[0.0, 0.0]])
    assert sorted(round(c.amplitude[0] / 2, 8) for c in found) == [1.0, 1.01]


def test_a_known_cycle_is_not_computed_again():
    first = limit_cycle(VanDerPol(1.0), [0.1, 0.1])
    assert limit_cycle(VanDerPol(1.0), [3.0, 1.0], known=[first]) is first
    other = replace(first, orbit=first.orbit + 1.0)
    assert limit_cycle(VanDerPol(1.0), [3.0, 1.0], known=[other]) is not other


def test_poincare_bendixson_guarantees_a_cycle():
    f = one_population([[2.5, -1.0], [1.0, 2.0]])
    fp = mf.fixed_points(f)
    found = limit_cycles(f, fp)
    assert found.guaranteed and len(found) == 1 and found[0].stable
    # every cycle of the plane goes around fixed points of index sum +1
    angle = np.unwrap(np.arctan2(*(found[0].orbit - fp.kappa[0]).T))
    assert abs(abs(angle[-1] - angle[0]) - 2 * np.pi) < 1e-6
    # and the field has kappa -> -kappa: a cycle that is alone is its own mirror image, half a period later
    np.testing.assert_allclose(found[0].orbit[200:], -found[0].orbit[:201], atol=1e-9)


def test_bendixson_excludes_cycles():
    found = limit_cycles(one_population([[1.5, -1.5], [1.5, 0.4]]))
    assert found.excluded and len(found) == 0 and "proved" in found.summary
    assert limit_cycles(one_population([[2.0]])).excluded


def test_bistable_network_has_no_cycle_to_be_found():
    found = limit_cycles(one_population([[2.5, 0.0], [0.5, 1.5]]))
    assert len(found) == 0 and not found.guaranteed and not found.excluded and not found.unsettled
