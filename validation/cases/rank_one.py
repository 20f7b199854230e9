"""Thesis, chapter 2: rank one. Fig. 2.1 to 2.3, and where its rule for the number of fixed points ends."""

from dataclasses import replace

import numpy as np

from meanfield import plotting
from meanfield.averages import gaussian_average
from meanfield.connectivity import Connectivity
from meanfield.dynamics import reduce
from meanfield.fixed_points import fixed_points
from meanfield.fluctuations import spread
from meanfield.trajectories import trajectory

from ..analysis import Condition, Figure
from ..networks import draw
from ..simulation import simulate
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
# Fig. 2.2: starts and input strengths; the thesis gives none.
STARTS, STRENGTHS = (-2.0, 0.5), (0.0, 0.6, 1.2)


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
    figure, affine = _affine_lines(c, 500 if quick else 2000, seed)
    return (figure,), [*statements, *affine]


def _affine_lines(c, neurons, seed):
    """Fig. 2.2: from two starts, under three strengths of one input, x runs to the line v = u and along it."""
    net, dt, tau = draw(c, neurons, seed), 0.05, 1.0
    theory, runs = [], []
    for u in STRENGTHS:
        f = reduce(c, "tanh", {"orthogonal": lambda t, u=u: u})
        start = np.array([[kappa, 0.0, 0.0] for kappa in STARTS])
        theory.append(trajectory(f, start, np.arange(0, 12 + dt / 2, dt)))
        x = net.m @ start[:, :1].T  # v = 0: the input has just been switched on
        runs.append(simulate(net, {"orthogonal": u}, 12.0, dt, start=x.T, method="rk4", record_x=False, progress=False))
    kappa, v = (np.array([getattr(run, name)[..., -1] for run in runs]) for name in ("kappa", "v"))
    path, drive = (np.array([t.kappa[..., -1] for t in theory]), np.array([t.v[..., -1] for t in theory]))
    left = np.abs(v - np.array(STRENGTHS)[:, None, None])[1:]
    decay = left / left[..., :1] / np.exp(-runs[0].t / tau) - 1
    std = np.array([[spread(_single(t, k)).std(neurons)[:, 0] for k in range(len(STARTS))] for t in theory])
    late = runs[0].t > 2.0
    z = ((kappa - path)[..., late] / std[..., late]).reshape(-1, late.sum())
    data = {"kappa": kappa, "v": v, "theory_kappa": path, "theory_v": drive, "strengths": np.array(STRENGTHS)}

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=5.6, height=4.4)
            for j, u in enumerate(STRENGTHS):
                colour = plotting.COLOURS[j]
                axes[0, 0].axhline(u, color=colour, lw=0.8, ls=":")
                for k in range(len(STARTS)):
                    axes[0, 0].plot(
                        data["theory_kappa"][j, k], data["theory_v"][j, k], color=colour, lw=3.0, alpha=0.35
                    )
                    found = data["kappa"][j, k], data["v"][j, k]
                    axes[0, 0].plot(*found, color=colour, label=f"u = {u:g}" if k == 0 else None)
                    axes[0, 0].plot(found[0][-1], found[1][-1], "*", color=colour, ms=10)
            axes[0, 0].plot(STARTS, np.zeros(len(STARTS)), "s", color="#D55E00", ms=6)
            axes[0, 0].set(xlabel=r"$\kappa$, along m", ylabel="v, along I")
            axes[0, 0].legend(loc="center")
        return figure

    caption = (
        f"A simulated network of {neurons} neurons (thin) and reduced equations with dynamic v (broad) in the plane "
        "of m and I (thesis Fig. 2.2): from two starts (squares) under three strengths of the orthogonal input."
    )
    found = np.abs(decay).max()
    return Figure("affine", caption, draw_it, data), [
        checks.claim(
            "the activity decays to the affine line v = u as exp(-t/tau)",
            found < 1e-4,
            f"largest relative deviation {found:.1e} over 12 tau",
            "below 1e-4, the integrator's error",
            "thesis Fig. 2.2",
        ),
        checks.claim(
            f"kappa(t) of one network of {neurons} neurons, six trajectories",
            np.abs(z).max() < 4.5,
            f"at most {np.abs(z).max():.2f} predicted standard deviations from the reduced equations",
            "below 4.5",
            "thesis Fig. 2.2",
        ),
    ]


def _single(batch, k):
    """One trajectory of a batch."""
    return replace(batch, kappa=batch.kappa[k], v=batch.v[k])


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
    kappa = fixed_points(reduce(c, "tanh", {"orthogonal": below}))
    predicted = np.sqrt(delta - below**2)
    found = float(kappa.kappa.max())
    yield checks.number(
        f"kappa* = sqrt(Delta* - u^2) with the orthogonal input at u = {below:.6g}",
        found,
        predicted,
        float(kappa.radius.max()),
    )


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
    pulses=(Pulse("aligned", ALIGNED, 3.0, 13.0), Pulse("orthogonal", ORTHOGONAL, 22.0, 25.0)),
    duration=32.0,
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
