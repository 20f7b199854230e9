from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

import meanfield as mf
from meanfield.dmft.chaotic import chaotic
from meanfield.dmft.knobs import knob
from meanfield.dmft.problem import pose
from meanfield.dmft.selfconsistency import symmetric
from meanfield.dmft.solving import solve
from meanfield.dmft.transitions import (
    _Path,
    _quiescent_onset,
    chaos_onset,
    noise_suppression,
    structure_end,
)

# what the roots have to reach: ten digits
DIGITS = 1e-10


def plain(g, overlap=0.0, **entries):
    return mf.Connectivity.from_overlaps([{"n1 m1": overlap} | entries], rank=1, g=g)


def shifted(g=1.0):
    """One population with means: the structured network of Mastrogiuseppe and Ostojic (2018)."""
    return mf.Connectivity.from_overlaps([{"mean m1": 1.1, "mean n1": 2.0, "m1 m1": 1.0, "n1 n1": 1.0}], rank=1, g=g)


def per_pair():
    return replace(shifted().split(0, 0.5), g=np.ones((2, 2)))


def test_structured_chaos_of_2018():
    """g = 1.796: chaos begins on the structured branch. g = 2.136: structured chaos ends at kappa = 0."""
    rest, structured = chaos_onset(shifted(), bracket=(0.5, 3.0))
    assert rest.value == pytest.approx(1.0, abs=1e-13) and rest.error < 1e-12 and not rest.kappa.any()
    assert structured.value == pytest.approx(1.796, abs=5e-4) and structured.error < DIGITS
    assert structured.kind == "onset of chaos" and "bulk radius passes 1" in str(structured)
    (end,) = structure_end(shifted(), bracket=(1.5, 3.0))
    assert end.value == pytest.approx(2.136, abs=5e-4) and end.error < DIGITS
    assert end.kind == "end of structured chaos" and end.kappa[0] == 0

    # both once more, from averages alone. Onset: three equations, by a root of three nested ones
    def average(order, power, kappa, delta0):
        return mf.gaussian_average("tanh", mean=1.1 * kappa, variance=delta0, order=order, power=power)

    kappa, delta0, g = structured.kappa[0], structured.delta0[0], structured.value
    assert 2.0 * average(0, 1, kappa, delta0) == pytest.approx(kappa, abs=1e-12)
    assert kappa**2 + g**2 * average(0, 2, kappa, delta0) == pytest.approx(delta0, abs=1e-12)
    assert g**2 * average(1, 2, kappa, delta0) == pytest.approx(1.0, abs=DIGITS)
    # end: 2.2 <phi'> = 1 fixes Delta0 of the state at kappa = 0
    delta0 = brentq(lambda d: 2.2 * average(1, 1, 0.0, d) - 1, 0.1, 10.0, xtol=1e-13)
    assert end.delta0[0] == pytest.approx(delta0, abs=1e-10)


def test_values_to_ten_digits():
    """Regression: the two values above, computed once with 1e-12."""
    assert chaos_onset(shifted(), bracket=(1.5, 2.0))[-1].value == pytest.approx(1.7958993004, abs=DIGITS)
    assert structure_end(shifted(), bracket=(2.0, 2.3))[0].value == pytest.approx(2.1357916902, abs=DIGITS)


@given(st.floats(1.6, 4.0))
@settings(max_examples=4)
def test_end_of_structure_in_closed_form(overlap):
    """erf, zero mean: <phi'> = (1 + pi Delta/2)^(-1/2) = 1/overlap, and the energy equation then gives g."""
    delta0 = 2 / np.pi * (overlap**2 - 1)
    r = (np.pi / 2) / overlap**2
    # D0^2 / 2 = g^2 int_0^D0 C, C = (2/pi) arcsin(r x)
    primitive = 2 / np.pi * (delta0 * np.arcsin(r * delta0) + (np.sqrt(1 - (r * delta0) ** 2) - 1) / r)
    exact = np.sqrt(delta0**2 / 2 / primitive)
    (end,) = structure_end(plain(1.0, overlap), "erf", bracket=(0.5 * exact, 1.3 * exact))
    assert abs(end.value - exact) <= end.error + 1e-13 and end.error < DIGITS
    np.testing.assert_allclose(end.delta0, delta0, rtol=1e-10)


@given(st.floats(1.5, 4.0))
@settings(max_examples=4)
def test_onset_in_closed_form(overlap):
    """erf, zero mean: <phi'> = 1/overlap fixes Delta, g^2 <phi'^2> = 1 with <phi'^2> = (1 + pi Delta)^(-1/2)."""
    delta0 = 2 / np.pi * (overlap**2 - 1)
    exact = (1 + np.pi * delta0) ** 0.25
    found = [t for t in chaos_onset(plain(1.0, overlap), "erf", bracket=(0.5, 1.4 * exact)) if t.kappa.any()]
    assert len(found) == 1 and abs(found[0].value - exact) <= found[0].error + 1e-13
    assert found[0].error < DIGITS


def test_static_meets_chaotic_at_the_onset():
    """Just above the onset the gap D_0 - D_inf opens from 0, and both states agree."""
    onset = chaos_onset(shifted(), bracket=(1.5, 2.0))[-1]
    gaps = []
    for e in (2e-3, 1e-3):
        s = chaotic(shifted(onset.value + e))[0]
        gaps.append(float(s.delta0[0] - s.delta_inf[0]))
        assert abs(s.delta0[0] - onset.delta0[0]) < 10 * e and abs(abs(s.kappa[0]) - abs(onset.kappa[0])) < 10 * e
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.02)
    below = chaotic(shifted(onset.value - 1e-6))
    assert not any(s.kappa.any() for s in below) and len(below) == 1


def test_static_input_suppresses_chaos():
    """zero-mean erf without structure: Delta = S + g^2 <phi^2>, g^2 <phi'^2> = 1; all closed forms."""
    g = 2.0
    with mp.workdps(30):
        # g^2 (1 + pi Delta)^(-1/2) = 1; <phi^2> = (2/pi) arcsin(pi Delta/2 / (1 + pi Delta/2))
        delta = (mp.mpf(g) ** 4 - 1) / mp.pi
        exact = delta - mp.mpf(g) ** 2 * 2 / mp.pi * mp.asin(mp.pi * delta / 2 / (1 + mp.pi * delta / 2))
    (t,) = chaos_onset(plain(g), "erf", bracket=(0.0, 5.0), along="input_variance")
    assert abs(t.value - exact) <= t.error + 1e-13 and t.error < DIGITS
    assert len(chaotic(plain(g), "erf", input_variance=t.value * 0.99)) == 1
    assert len(chaotic(plain(g), "erf", input_variance=t.value * 1.01)) == 0


def test_constant_input_suppresses_chaos():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 0.5, "n1 A": 1.0}], rank=1, inputs=("A",), g=2.0)
    (t,) = chaos_onset(c, bracket=(0.0, 4.0), along="A")
    assert t.error < DIGITS and t.along == "A"
    assert len(chaotic(c, inputs={"A": t.value - 1e-3})) == 1 and len(chaotic(c, inputs={"A": t.value + 1e-3})) == 0


def test_white_noise_suppresses_chaos():
    """The exponent is 0 at the first root; at the second the bulk radius is 1, where sigma2 differs."""
    zero, radius = noise_suppression(plain(2.0), bracket=(0.0, 3.0))
    assert zero.kind == "largest Lyapunov exponent zero" and zero.error < DIGITS
    s = chaotic(plain(2.0), noise=zero.value)[0]
    assert abs(s.lyapunov) < 1e-10
    assert chaotic(plain(2.0), noise=zero.value - 1e-3)[0].kind == "chaotic"
    assert chaotic(plain(2.0), noise=zero.value + 1e-3)[0].kind == "noise-driven"
    assert radius.kind == "bulk radius one" and radius.error < DIGITS
    slope = mf.gaussian_average("tanh", mean=0.0, variance=radius.delta0[0], order=1, power=2)
    assert 4.0 * slope == pytest.approx(1.0, abs=1e-11)
    # chaos is suppressed while the bulk of the Jacobian still reaches beyond 1 (Schuecker, Goedeke, Helias 2018)
    assert zero.value < radius.value


def test_noise_suppression_from_a_given_state():
    s = chaotic(shifted(2.0))[0]
    found = noise_suppression(shifted(2.0), bracket=(0.0, 1.2), start=s)
    assert [t.kind for t in found] == ["largest Lyapunov exponent zero"] and found[0].kappa[0] == pytest.approx(
        chaotic(shifted(2.0), noise=found[0].value)[0].kappa[0], abs=1e-9
    )


def test_noise_suppression_goes_on_at_kappa_0_where_the_branch_ends():
    """The structured branch meets kappa = 0 between its two roots, of which the second lies on the latter."""
    zero, radius = noise_suppression(shifted(2.0), bracket=(0.0, 5.0))
    assert zero.kappa[0] == pytest.approx(chaotic(shifted(2.0), noise=zero.value)[0].kappa[0], abs=1e-9) != 0
    assert "kappa = 0" not in zero.note and zero.note == "chaos at weaker noise, driven at stronger"
    assert radius.kappa[0] == 0 and radius.error < DIGITS and radius.value == pytest.approx(2.3745, abs=1e-3)
    assert 4 * mf.gaussian_average("tanh", mean=0.0, variance=radius.delta0[0], order=1, power=2) == pytest.approx(1)
    # the merger that the note names is where 2.2 <phi'> = 1 at kappa = 0
    (end,) = structure_end(shifted(2.0), bracket=(0.5, 2.0), along="noise")
    assert f"met at noise = {end.value:.7g}" in radius.note
    s = chaotic(shifted(2.0), noise=radius.value)[0]
    assert s.kappa[0] == 0 and s.attracting and s.delta0[0] == pytest.approx(radius.delta0[0], abs=1e-9)


def test_roots_beside_a_merger():
    """A planted test that changes its sign just before kappa meets 0, on the branch, or just after."""
    at = knob(pose(shifted(2.0)), "noise")
    (end,) = structure_end(shifted(2.0), bracket=(0.5, 2.0), along="noise")
    s = chaotic(shifted(2.0), noise=0.8)[0]
    d = s.problem.structure_variance(s.kappa)
    first = solve(at(0.8), np.array([*s.kappa, (s.delta0 - d)[0], (s.delta_inf - d)[0]]))
    for shift in (-1e-2, -1e-4, -1e-6, 1e-6, 1e-2):
        path = _Path(at, first, np.linspace(0.8, 2.0, 4))
        value, error, found = path.root(lambda q, x=end.value + shift: x - q.problem.noise)
        assert abs(value - end.value - shift) <= error + 1e-12 and error < 1e-4
        assert found.kappa.any() == (shift < 0) and bool(path.note) == (shift > 0)


CLIPPED = "Max(-1, Min(1, x))"


def test_onset_where_parity_is_not_known():
    """g phi'(0) = 1 for a hard tanh, for one that is not odd, and for none whose phi(0) differs from 0."""
    (found,) = chaos_onset(plain(1.0), mf.Transfer.from_expression(CLIPPED), bracket=(0.5, 2.0))
    assert found.value == pytest.approx(1.0, abs=1e-13) and found.error < 1e-13 and "turns chaotic" in found.note
    lopsided = knob(pose(plain(1.0), mf.Transfer.from_expression("Max(-1, Min(2, 2*x))")), "g")
    (found,) = _quiescent_onset(lopsided, "g", 0.3, 1.7)
    assert found.value == pytest.approx(0.5, abs=1e-13) and "turns chaotic" not in found.note
    assert not _quiescent_onset(knob(pose(plain(1.0), "logistic"), "g"), "g", 0.5, 9.0)
    assert not _quiescent_onset(knob(pose(plain(1.0), CLIPPED_UP), "g"), "g", 0.5, 2.0)
    for c in (plain(1.0), shifted()):
        assert symmetric(pose(c, mf.Transfer.from_expression(CLIPPED)))
        assert not symmetric(pose(c, CLIPPED_UP)) and not symmetric(pose(c, "softplus"))


CLIPPED_UP = mf.Transfer.from_expression("Max(-1, Min(1, x)) + 1/10")


def test_rank_two_lists_every_branch():
    c = mf.Connectivity.from_overlaps([{"n1 m1": 2.2, "n2 m2": 1.7}], rank=2, g=1.0)
    ends = structure_end(c, bracket=(1.2, 2.6))
    alone = [structure_end(plain(1.0, x), bracket=(1.2, 2.6))[0].value for x in (1.7, 2.2)]
    np.testing.assert_allclose([t.value for t in ends], alone, atol=DIGITS)
    onsets = chaos_onset(c, bracket=(0.5, 2.6))
    assert len(onsets) == 3 and onsets[1].kappa[0] == pytest.approx(0, abs=1e-9) and abs(onsets[1].kappa[1]) > 0.1


def test_strengths_per_pair_that_are_one_strength():
    """Along "g" they are multiplied by a common factor."""
    found, expected = (chaos_onset(c, bracket=(0.5, 2.2)) for c in (per_pair(), shifted()))
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-11) and one.error < 1e-11
        assert one.kappa == pytest.approx(other.kappa, abs=1e-9)


def test_the_silent_state_of_two_populations_turns_chaotic_where_the_spectral_radius_is_one():
    g, weights = np.array([[0.8, 1.2], [0.5, 1.5]]), np.array([0.6, 0.4])
    c = mf.Connectivity.from_overlaps([{"weight": w, "n1 m1": 0.5} for w in weights], rank=1, g=g)
    (onset,) = chaos_onset(c, bracket=(0.5, 1.5))
    expected = 1 / np.sqrt(np.linalg.eigvals(g**2 * weights).real.max())
    assert onset.value == pytest.approx(expected, abs=1e-12) and abs(onset.value - expected) <= onset.error
    # and the bulk radius of the proved states says the same on both sides
    for factor, kind in ((0.999, "stable"), (1.001, "chaotic bulk")):
        states = mf.dmft.stationary(replace(c, g=factor * onset.value * g))
        assert [s.kind for s in states if not s.delta0.any()] == [kind]


def test_nothing_in_the_bracket():
    assert chaos_onset(shifted(), bracket=(2.5, 3.0)) == ()
    assert structure_end(shifted(), bracket=(0.1, 0.9)) == ()
    assert noise_suppression(plain(0.5), bracket=(0.1, 0.2)) == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chaos_onset(shifted(), bracket=(2.0, 1.0)), "two increasing numbers"),
        (lambda: chaos_onset(shifted(), bracket=(0.0, 1.0), along="noise"), "use noise_suppression"),
        (lambda: chaos_onset(shifted(), "step", bracket=(0.0, 1.0)), "step jumps"),
        (lambda: chaos_onset(shifted(), bracket=(-1.0, 1.0)), "g must be finite and >= 0"),
        (lambda: structure_end(shifted(), "logistic", bracket=(1.0, 2.0)), "needs the symmetry"),
        (lambda: noise_suppression(plain(0.5), bracket=(0.0, 1.0)), "no time-dependent state at noise = 0"),
        (lambda: chaos_onset(shifted(), bracket=(1.0, 2.0), along="h"), "cannot follow along 'h'"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
