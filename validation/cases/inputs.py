"""Thesis, section 4.3.1 (Fig. 4.5, 4.6) and the DMS poster: an input changes the functional connectivity, and with it
the flow."""

import numpy as np

from meanfield import plotting
from meanfield.connectivity import Connectivity

from ..analysis import Condition, Figure
from ..transients import Pulse
from . import checks, derivations
from .record import Case

_NEURONS = 1000
_THESIS = "thesis 4.3.1"

# Thesis 4.3.1: overlaps (11, 12, 21, 22) and standard deviation of the input for each of two populations of equal size.
OVERLAPS = np.array([[[3.0, 1.0], [1.0, 2.5]], [[3.0, 1.0], [-1.0, 2.5]]])
INPUT_VARIANCES = np.array([100.0, 0.01])
VARIANCE_M = 2.0
# phi'(I) < 0.5 is the thesis's word for saturated
_SATURATED = np.arctanh(np.sqrt(0.5))


def _built_by_hand():
    """n1 = s11 x1 + s12 x2, n2 = s21 x3 + s22 x4, m1 = x1 + x3, m2 = x2 + x4, I = std x5."""
    covariances = []
    for s, variance in zip(OVERLAPS, INPUT_VARIANCES, strict=True):
        loadings = np.zeros((5, 5))
        loadings[0, [0, 2]] = loadings[1, [1, 3]] = 1.0
        loadings[2, [0, 1]], loadings[3, [2, 3]] = s
        loadings[4, 4] = np.sqrt(variance)
        covariances.append(loadings @ loadings.T)
    return Connectivity([0.5, 0.5], np.zeros((2, 5)), covariances, rank=2, inputs=("I",))


def weighted_jacobian(overlaps, variances):
    """F' at kappa = 0: sum_p sigma^p <phi'>(variance_p)/2 - 1, for two zero-mean populations of equal size."""
    gains = [derivations.gain(1, v) for v in variances]
    return sum(0.5 * g * s for g, s in zip(gains, overlaps, strict=True)) - np.eye(2)


def _jacobian(portrait, expected, text, source):
    found = portrait.field.jacobian(np.zeros(2))
    return checks.claim(
        text, np.allclose(found, expected, rtol=0, atol=1e-12), checks.matrix(found), checks.matrix(expected), source
    )


def _input_makes_a_cycle(result, quick, seed):
    rest, driven = result.portraits
    c = result.case.connectivity
    overlap = c.overlap("n", "m")
    gains = [derivations.gain(1, v) for v in INPUT_VARIANCES]
    with_input = driven.field.jacobian(np.zeros(2))
    eigenvalue = np.linalg.eigvals(with_input)[0]
    statements = [
        checks.printed("overlap matrix; the thesis prints it as F'(0)", overlap, [[3, 1], [0, 2.5]], 1, _THESIS),
        _jacobian(rest, [[2, 1], [0, 1.5]], "F'(0), by eq. 4.4 the overlap matrix minus 1", f"{_THESIS}, erratum"),
        checks.count(
            rest, {"stable": 2, "saddle": 2, "source": 1}, f"{_THESIS}: four fixed points, 2 of them stable, besides 0"
        ),
        checks.one_population(rest, overlap, VARIANCE_M),
        _jacobian(
            driven,
            weighted_jacobian(OVERLAPS, INPUT_VARIANCES),
            "F'(I), with weights 1/2 and the gains of both populations",
            f"{_THESIS}, erratum: it prints (2 1; -1 1.5)",
        ),
        checks.claim(
            "gains <phi'> of the two populations under the input",
            None,
            f"{gains[0]:.6f}, {gains[1]:.6f}",
            "0 and 1 (saturated, untouched)",
            f"{_THESIS}, an approximation",
        ),
        checks.claim(
            "F'(I) has complex eigenvalues with positive real part",
            eigenvalue.real > 0 and eigenvalue.imag != 0,
            f"{eigenvalue.real:.6f} ± {abs(eigenvalue.imag):.6f}i",
            "a source that spirals",
            _THESIS,
        ),
        checks.closed_orbit(driven, "with the input a limit cycle replaces bistability", "thesis Fig. 4.5"),
        _no_other_fixed_point(driven),
        *(checks.liouville(cycle) for cycle in driven.cycles[:1]),
    ]
    figure, regressions = _split(c, _NEURONS // (2 if quick else 1), seed)
    return (figure,), [*statements, *regressions]


def _no_other_fixed_point(portrait):
    """kappa is a fixed point when L(r) kappa = kappa; L depends on r = |kappa| alone, so det(L(r) - 1) must vanish."""
    reach = float(np.abs(portrait.fixed_points.box).max()) * np.sqrt(2)
    radii = np.linspace(0, reach, 400)
    det = [np.linalg.det(weighted_jacobian(OVERLAPS, VARIANCE_M * r * r + INPUT_VARIANCES)) for r in radii]
    return checks.claim(
        "no fixed point but 0: det(sum_p alpha_p sigma_p <phi'>_p - 1), a function of |kappa| alone, stays positive",
        min(det) > 0,
        f"at least {min(det):.5f} on a grid",
        "> 0",
    )


def saturation(variance):
    """P(phi'(I) < 1/2) for an input of zero mean and this variance."""
    from scipy.special import erfc

    return erfc(_SATURATED / np.sqrt(2 * np.asarray(variance)))


def _split(c, neurons, seed):
    """Fig. 4.6: regressions of n2 on m1 in all, saturated and other neurons, predicted and drawn."""
    net = c.sample(neurons, seed=seed)
    x, y, saturated = net.m[:, 0], net.n[:, 1], np.abs(net.I[:, 0]) > _SATURATED
    probability = saturation(INPUT_VARIANCES)
    groups = {
        "all": (np.ones(2), np.ones(neurons, bool)),
        "saturated": (probability, saturated),
        "not saturated": (1 - probability, ~saturated),
    }
    statements = [
        checks.claim(
            "fraction of neurons with phi'(I) < 1/2 in each population",
            None,
            ", ".join(f"{p:.6g}" for p in probability),
            "most of population 1, none of 2",
            _THESIS,
        )
    ]
    lines, colours = [], ("#0072B2", "#D55E00", "#009E73")
    for (name, (share, chosen)), colour in zip(groups.items(), colours, strict=True):
        # m and n are independent of I, so a group is a mixture of the populations with weights alpha_p P(group | p)
        predicted = float(share @ OVERLAPS[:, 1, 0] / share.sum() / VARIANCE_M)
        slope, intercept, error = regression(x[chosen], y[chosen])
        lines.append((slope, intercept, f"{name}: slope {slope:.2f}", colour))
        statements.append(
            checks.claim(
                f"regression of n2 on m1, {name} ({chosen.sum()} drawn neurons)",
                abs(slope - predicted) < 4 * error,
                f"slope {slope:.3f} ± {error:.3f}",
                f"{predicted:.6f}, from the weights of the populations in the group (4 standard errors)",
                "thesis Fig. 4.6: positive when saturated, negative when not",
            )
        )
    return _split_figure(net, saturated, lines), statements


def _split_figure(net, saturated, lines):
    x, y = net.m[:, 0], net.n[:, 1]
    options = {"names": ("$m_1$", "$n_2$"), "size": 9}

    def draw():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=4.4)
            plotting.plot_loadings(axes[0, 0], x, y, slopes=lines[:1], **options)
            groups, labels = np.where(saturated, 5, 2), {5: "saturated", 2: "not saturated"}
            plotting.plot_loadings(axes[0, 1], x, y, groups, labels, lines, **options)
        return figure

    caption = (
        f"{len(x)} drawn neurons with regression lines (thesis Fig. 4.6). Left: all. Right: those with phi'(I) < 1/2, "
        "and the others."
    )
    slopes = np.array([line[:2] for line in lines])
    data = {"m1": x, "n2": y, "I": net.I[:, 0], "saturated": saturated, "slopes": slopes}
    return Figure("saturated", caption, draw, data)


def regression(x, y):
    """Least-squares slope, intercept, and the slope's standard error for residuals of unequal variance (White)."""
    centred = x - x.mean()
    slope = centred @ y / (centred @ centred)
    intercept = y.mean() - slope * x.mean()
    residual = y - intercept - slope * x
    return float(slope), float(intercept), float(np.sqrt(centred**2 @ residual**2) / (centred @ centred))


FIGURE_45 = Case(
    name="fig-4.5",
    title="An input turns bistability into a limit cycle",
    source="Valente, master's thesis (2019), section 4.3.1, Fig. 4.5 and 4.6",
    text=(
        "Two populations of weight 1/2 that differ in sigma_21 alone, +1 and -1: n_1 = s_11 x_1 + s_12 x_2, "
        "n_2 = s_21 x_3 + s_22 x_4, m_1 = x_1 + x_3, m_2 = x_2 + x_4 (so m has variance 2), "
        "with s_11 = 3, s_12 = 1, s_22 = 2.5. The input has standard deviation 10 on population 1 and 0.1 on "
        "population 2: it saturates population 1. All values are the thesis's."
    ),
    connectivity=_built_by_hand(),
    conditions=(Condition("no input"), Condition("input on", {"I": 1.0})),
    errata=(
        "Thesis 4.3.1 prints F'(0) = (3 1; 0 2.5). That is the overlap matrix; by its own eq. 4.4, F'(0) = (2 "
        "1; 0 1.5).",
        "Thesis 4.3.1 prints F'(I) = (2 1; -1 1.5). That leaves out the weights 1/2 of the populations and the "
        "gain 0.079 that the saturated population keeps: "
        "F'(I) = (0.604 0.535; -0.455 0.337). The conclusion, a limit cycle, stands.",
    ),
    check=_input_makes_a_cycle,
    pulses=(Pulse("I", 1.0, 3.0, 10.0),),
    duration=20.0,
)


# DMS poster: sigma_21 = +1 and -1 and the Jacobian under input A are printed; the rest is the solution of these
# equations.
PRINTED_A = np.array([[1.1, 0.3], [0.3, 0.8]])
SPARED, SATURATED_GAIN = 1.0, 0.4
_TWO = [[2 * (PRINTED_A + np.eye(2))[i, j] / (SPARED + SATURATED_GAIN) for j in (0, 1)] for i in (0, 1)]
POSTER = np.array([[_TWO[0], [sign, _TWO[1][1]]] for sign in (1.0, -1.0)])


def _poster_network():
    variance = derivations.variance_at_gain(SATURATED_GAIN)
    inputs = ({"A A": 0.0, "B B": variance}, {"A A": variance, "B B": 0.0})
    keys = ("n1 m1", "n1 m2", "n2 m1", "n2 m2")
    return Connectivity.from_overlaps(
        [
            {"weight": 0.5, **dict(zip(keys, s.ravel().tolist(), strict=True)), **v}
            for s, v in zip(POSTER, inputs, strict=True)
        ],
        rank=2,
        inputs=("A", "B"),
    )


def _poster(result, quick, seed):
    rest, a, b = result.portraits
    source = "DMS poster"
    flipped = PRINTED_A * [[1, 1], [-1, 1]]
    bistable = {"stable": 2, "saddle": 2, "source": 1}
    at_zero = {p.condition.label: p.field.functional_connectivity(np.zeros(2))[1, 0] for p in result.portraits}
    return (), [
        checks.number(
            "functional overlap sigma~_21 without input: 1 x 1 + (-1) x 1, halved",
            at_zero[rest.condition.label],
            0.0,
            1e-14,
            source,
        ),
        checks.printed(
            "F'(I_A), by construction: the overlaps were solved from it",
            a.field.jacobian(np.zeros(2)),
            PRINTED_A,
            1,
            source,
        ),
        _jacobian(
            a,
            weighted_jacobian(POSTER, (0.0, derivations.variance_at_gain(SATURATED_GAIN))),
            "F'(I_A) from the gains 1 and 0.4",
            "derived here",
        ),
        _jacobian(b, flipped, "F'(I_B): sigma~_21 changes sign", "derived here, by symmetry"),
        checks.count(rest, bistable, f"{source}: 2 fixed points for memory"),
        checks.count(a, bistable, f"{source}: input A keeps them"),
        checks.closed_orbit(b, "input B replaces them by a limit cycle", f"{source}: an input-induced limit cycle"),
        checks.printed(
            "F'(I_A) rebuilt from the overlaps 3, 2.5, ±1 of thesis 4.3.1 and sigma_12 = 0.4, gains 1 and 0.4",
            0.5 * (np.array([[3, 0.4], [1, 2.5]]) + SATURATED_GAIN * np.array([[3, 0.4], [-1, 2.5]])) - np.eye(2),
            PRINTED_A,
            1,
            source,
        ),
        *_printed_spectra(),
    ]


def _printed_spectra():
    """Thesis 5.2 and 5.3 give Jacobians of trained networks and no parameters: all that can be said is their
    spectrum."""
    solutions = {
        "5.2": {"0": [[2.2, -0.4], [1.4, 0.8]], "I_A": [[1.1, 0.0], [0.8, 0.1]], "I_B": [[1.1, -0.6], [0.9, 0.1]]},
        "5.3": {"0": [[2.1, -0.5], [-0.1, 1.5]], "I_A": [[1.15, 0.0], [-0.3, 0.5]], "I_B": [[0.9, -0.4], [0.0, 0.5]]},
    }
    for section, jacobians in solutions.items():
        spectra = {name: np.sort_complex(np.linalg.eigvals(np.array(j))) for name, j in jacobians.items()}
        value = "; ".join(f"F'({name}): {_pair(e)}" for name, e in spectra.items())
        note = {
            "5.2": "bistable at rest and under A, a cycle under B; the printed F'(0) is complex too, real only within "
            "its rounding, so its bistability is not read off at 0",
            "5.3": "real throughout: four or two stable points, no cycle",
        }[section]
        yield checks.claim(
            f"eigenvalues of the Jacobians printed for a trained network, thesis {section}",
            None,
            value,
            note,
            f"thesis {section}",
        )


def _pair(eigenvalues):
    first = eigenvalues[0]
    if first.imag:
        return f"{first.real:.3g} ± {abs(first.imag):.2g}i"
    return ", ".join(f"{e.real:.3g}" for e in eigenvalues)


DMS = Case(
    name="dms-poster",
    title="Delayed match-to-sample: two inputs, one of them makes a cycle",
    source="Valente, Dubreuil and Ostojic, poster: Processing information stored in working memory by modulating "
    "effective connectivity",
    text=(
        "Printed: two populations, sigma_21 = 1 and -1; input A saturates population 2, input B population 1; "
        "F'(I_A) = (1.1 0.3; 0.3 0.8). Ours: weights 1/2, an input that spares its "
        "other population (gain 1), all other overlaps equal in the two populations, variance of m 1. Then "
        "sigma~_21 = (1 - gain)/2 = 0.3 fixes the gain of the saturated population, 0.4 (an input "
        "variance of 3.2), and F'(I_A) the remaining overlaps: 3, 3/7 and 18/7. The thesis's own 3 and 2.5, "
        "with sigma_12 = 0.4, round to the same printed matrix. Thesis 5.2 and 5.3 describe "
        "trained networks by their Jacobians alone; they are listed with their eigenvalues."
    ),
    connectivity=_poster_network(),
    conditions=(Condition("no input"), Condition("input A", {"A": 1.0}), Condition("input B", {"B": 1.0})),
    errata=(
        "The poster writes sigma~_ab = sigma_ab^(1) <phi'>_1 + sigma_ab^(2) <phi'>_2: the weights alpha_p of "
        "the populations are missing. Its printed F'(I_A) agrees with weights 1/2: without "
        "them sigma_21 = ±1 and sigma~_21 = 0.3 would need gains that differ by 0.3 only.",
        "sigma~ - 1 is the Jacobian at kappa = 0; elsewhere terms with <phi'''> are added.",
    ),
    check=_poster,
    pulses=(Pulse("A", 1.0, 2.0, 7.0), Pulse("B", 1.0, 14.0, 19.0)),
    duration=27.0,
)

CASES = (FIGURE_45, DMS)
