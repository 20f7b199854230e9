"""Thesis, chapter 2: rank one. Fig. 2.1, Fig. 2.3, and where its rule for the number of fixed points ends."""

import numpy as np

from meanfield.averages import gaussian_average
from meanfield.connectivity import Connectivity
from meanfield.fixed_points import fixed_points

from ..analysis import Condition
from ..transients import Pulse
from . import checks, derivations
from .record import Case

_CHAPTER = "Valente, master's thesis (2019), chapter 2"


def _autonomous(result, quick, seed):
    case, portrait = result.case, result.portraits[0]
    overlap = float(case.connectivity.overlap("n1", "m1"))
    source = "thesis 2.1"
    expected = {"stable": 2, "source": 1} if overlap > 1 else {"stable": 1}
    f = portrait.field
    slope = float(f.jacobian(np.zeros(1))[0, 0]) + 1
    statements = [
        checks.count(portrait, expected, f"{source}: 3 fixed points for an overlap above 1, else one"),
        checks.number("slope F'(0) is the overlap n.m/N", slope, overlap, 1e-14, f"{source}, eq. 2.4"),
        checks.one_population(portrait, [[overlap]], 1.0),
    ]
    if overlap > 1:
        kappa = portrait.fixed_points.stable[:, 0]
        wells = f.potential(kappa)
        holds = np.all(wells < 0) and abs(wells[0] - wells[1]) < 1e-12
        statements.append(
            checks.claim(
                "the stable points are equal minima of V, and V(0) = 0 is its maximum",
                holds,
                f"V = {wells[0]:.10g}",
                "V < 0",
                f"{source}, eq. 2.5",
            )
        )
    return (), statements


#: Errata of the sources that concern no single example.
GENERAL_ERRATA = (
    "Thesis eq. 1.2: the random part chi must have variance 1/N, not 1.",
    "The sources use three scalings of the low-rank part (1/N, 1/sqrt(N) in each factor, none) and read out x in one "
    "place, phi(x) in others. Here J = (1/N) m n^T and z = (1/N) w phi(x) throughout.",
    "The lecture notes' relation Delta_x = g^2 Delta_phi + ... is the static one; for a Delta that depends on tau it "
    "reads (1 - d^2/dtau^2) Delta_x = g^2 Delta_phi + ....",
)


def _figure_21(overlap, letter, words, errata=()):
    return Case(
        name=f"fig-2.1-{letter}",
        title=f"One population, overlap {overlap:g}: {words}",
        source=f"{_CHAPTER}, Fig. 2.1 {letter}",
        text=f"Rank 1, one Gaussian population, (1/N) n.m = {overlap:g} as in the figure. Variance of m: 1 (ours; it "
        "only scales kappa).",
        connectivity=Connectivity.from_overlaps([{"n1 m1": overlap}], rank=1),
        check=_autonomous,
        errata=errata,
    )


OVERLAP, INPUT_OVERLAP = 2.0, 1.0
ALIGNED, ORTHOGONAL = 1.0, 2.0


def _three_inputs(result, quick, seed):
    none, aligned, orthogonal = result.portraits
    c = result.case.connectivity
    delta = derivations.variance_at_gain(1 / OVERLAP)
    gain = derivations.gain(1, ALIGNED**2)
    f0 = float(aligned.field(np.zeros(1))[0])
    statements = [
        checks.count(none, {"stable": 2, "source": 1}, "thesis Fig. 2.3, top"),
        checks.one_population(none, [[OVERLAP]], 1.0),
        checks.count(aligned, {"stable": 1}, "thesis Fig. 2.3, middle: shifted until only one stable point remains"),
        checks.number(
            "F(0) with the aligned input is its overlap with n times <phi'>(u^2)",
            f0,
            INPUT_OVERLAP * ALIGNED * gain,
            1e-13,
        ),
        checks.claim(
            "F(0) is about n.I/N while the input is small",
            None,
            f"{f0:.6g}",
            f"{INPUT_OVERLAP * ALIGNED:g} to first order in u",
            "thesis 2.2, an approximation",
        ),
        checks.count(orthogonal, {"stable": 1}, "thesis Fig. 2.3, bottom: the effective overlap falls below 1"),
        *_saddle_node(c),
        *_pitchfork(c, delta),
    ]
    return (), statements


def _saddle_node(c):
    u, kappa = derivations.saddle_node_amplitude(OVERLAP, INPUT_OVERLAP)
    step = checks.bracket(c, "tanh", "aligned", u, before=3, after=1)
    value = f"{u:.12f}, kappa = {kappa:.10f}" + (
        f"; proved: 3 fixed points at u - {step:g}, 1 at u + {step:g}" if step else "; not bracketed"
    )
    yield checks.claim(
        "saddle-node of the aligned input: its amplitude u, from u^2 = Delta/(1 + q^2) at its largest",
        step is not None,
        value,
        "the number of fixed points changes from 3 to 1 there",
        "thesis 2.2 (value derived here)",
    )


def _pitchfork(c, delta):
    """<phi'>(u^2) overlap = 1 as a root of the package's averages, enclosed by their error bounds, then by counting."""
    from scipy.optimize import brentq

    def excess(u):
        value, error = gaussian_average("tanh", mean=np.zeros(()), variance=np.asarray(u * u), order=1, with_error=True)
        return OVERLAP * float(value) - 1, OVERLAP * float(error)

    u = brentq(lambda x: excess(x)[0], 0.5, 3.0, xtol=1e-15)
    half = 1e-10
    (low, low_error), (high, high_error) = excess(u - half), excess(u + half)
    enclosed = low > low_error and high < -high_error
    expected = np.sqrt(delta)
    yield checks.claim(
        "pitchfork of the orthogonal input: the amplitude u where <phi'>(u^2) overlap = 1",
        enclosed and abs(u - expected) <= half,
        f"{u:.12f} ± 1e-10, by the signs of <phi'> overlap - 1 beyond its error",
        f"{expected:.12f}, the autonomous kappa*",
        "thesis eq. 2.8",
    )
    step = checks.bracket(c, "tanh", "orthogonal", u, before=3, after=1, steps=(1e-6, 1e-7, 1e-8))
    yield checks.claim(
        "the two stable points vanish into 0 there",
        step is not None,
        f"proved: 3 fixed points at u - {step or 0:g}, 1 at u + {step or 0:g}",
        "3 before, 1 after",
        "thesis 2.2",
    )
    below = 0.5 * expected
    kappa = fixed_points(_reduced(c, {"orthogonal": below}))
    predicted = np.sqrt(delta - below**2)
    found = float(kappa.kappa.max())
    yield checks.number(
        f"kappa* = sqrt(Delta* - u^2) with the orthogonal input at u = {below:.6g}",
        found,
        predicted,
        float(kappa.radius.max()),
    )


def _reduced(c, inputs):
    from meanfield.dynamics import reduce

    return reduce(c, "tanh", inputs)


FIGURE_23 = Case(
    name="fig-2.3",
    title="Three inputs to a bistable network",
    source=f"{_CHAPTER}, Fig. 2.3",
    text=(
        "Rank 1, overlap 2 as in Fig. 2.2, all variances 1. The thesis gives no input strengths: an input of "
        "overlap 1 with n at amplitude 1 and an input "
        "orthogonal to m and n at amplitude 2 are ours, both strong enough for what the text describes. The "
        "aligned input ends bistability in a "
        "saddle-node, the orthogonal one in a pitchfork; both amplitudes are found and enclosed below."
    ),
    connectivity=Connectivity.from_overlaps(
        [{"n1 m1": OVERLAP, "n1 aligned": INPUT_OVERLAP}], rank=1, inputs=("aligned", "orthogonal")
    ),
    conditions=(
        Condition("no input"),
        Condition("input aligned with n", {"aligned": ALIGNED}),
        Condition("input orthogonal to n", {"orthogonal": ORTHOGONAL}),
    ),
    check=_three_inputs,
    pulses=(Pulse("aligned", ALIGNED, 3.0, 13.0), Pulse("orthogonal", ORTHOGONAL, 22.0, 28.0)),
    duration=34.0,
)


# A weak and a wide population of opposite signs: the wide one, negative, saturates first.
WEIGHTS, OVERLAPS, VARIANCES = (0.5, 0.5), (4.0, -3.0), (0.25, 9.0)


def _mixture(result, quick, seed):
    portrait = result.portraits[0]
    c = result.case.connectivity
    overlap = float(c.overlap("n1", "m1"))

    def factor(kappa):
        terms = zip(WEIGHTS, OVERLAPS, VARIANCES, strict=True)
        return sum(a * s * derivations.gain(1, v * kappa * kappa) for a, s, v in terms) - 1

    grid = np.linspace(0.05, 6, 120)
    signs = [factor(k) > 0 for k in grid]
    roots = [
        derivations.root(factor, a, b) for a, b, s, t in zip(grid, grid[1:], signs, signs[1:], strict=False) if s != t
    ]
    cubic = -sum(a * s * v for a, s, v in zip(WEIGHTS, OVERLAPS, VARIANCES, strict=True))
    expected = [(np.zeros(1), np.array([overlap - 1]))] + [
        (np.array([sign * r]), None) for r in roots for sign in (1, -1)
    ]
    statements = [
        checks.claim("the overlap is below 1", overlap < 1, f"{overlap:g}", "< 1"),
        checks.claim(
            "an overlap below 1 leaves one fixed point (thesis 2.1): false here",
            len(portrait.fixed_points) > 1,
            f"{len(portrait.fixed_points)} fixed points, proved complete: {portrait.fixed_points.complete}",
            "more than 1",
        ),
        checks.count(
            portrait,
            {"stable": 3, "source": 2},
            "kappa sum_p alpha_p sigma_p <phi'>(v_p kappa^2) = kappa, solved separately",
        ),
        checks.located(portrait, expected, text="fixed points at the roots of sum_p alpha_p sigma_p <phi'>_p = 1"),
        checks.claim(
            "small kappa: tau dkappa/dt = (overlap - 1) kappa + c kappa^3 with c = -sum_p alpha_p sigma_p v_p",
            cubic > 0,
            f"c = {cubic:g}: the pitchfork at overlap 1 is subcritical",
            "c > 0",
        ),
    ]
    return (), statements


MIXTURE = Case(
    name="erratum-2.1",
    title="An overlap below 1 with five fixed points",
    source=f"{_CHAPTER}, section 2.1, beyond one Gaussian population",
    text=(
        "Two zero-mean populations of weight 1/2 with n.m overlaps 4 and -3 and variances of m 1/4 and 9: the "
        "negative, wide population saturates first, and "
        "what it leaves is bistable. Construction and numbers are ours."
    ),
    connectivity=Connectivity.from_overlaps(
        [{"weight": a, "n1 m1": s, "m1 m1": v} for a, s, v in zip(WEIGHTS, OVERLAPS, VARIANCES, strict=True)], rank=1
    ),
    errata=(
        "Thesis 2.1, 'if this overlap is less than 1, then there is one single fixed point in 0', holds for "
        "one zero-mean Gaussian population. This mixture has overlap 0.5 "
        "and five fixed points, three of them stable, 0 among them.",
    ),
    check=_mixture,
)

CASES = (
    _figure_21(2.0, "left", "bistable", GENERAL_ERRATA),
    _figure_21(0.8, "right", "one fixed point"),
    FIGURE_23,
    MIXTURE,
)
