"""Chaos without structure: Sompolinsky, Crisanti and Sommers 1988, against finite networks of several sizes."""

from dataclasses import replace

import numpy as np

from meanfield import dmft, plotting
from meanfield.averages import gaussian_average
from meanfield.connectivity import Connectivity
from meanfield.dmft import plots
from meanfield.dmft.following import follow
from meanfield.dmft.transitions import chaos_onset

from ..analysis import Figure
from ..networks import draw
from ..spectrum import jacobian_spectrum
from ..workers import over
from . import checks, draws, simulated
from .record import Case

SCS = "Sompolinsky, Crisanti & Sommers 1988"
#: Strengths at which networks are drawn, and which of them are next to the onset.
STRENGTHS, CRITICAL = (1.2, 1.5, 2.0, 3.0), 1.2
#: Two sizes, draws of each; time measured and before it, in tau; trials, which share each product with the matrix.
FULL = {"sizes": (1000, 2000), "draws": 6, "duration": 60.0, "discard": 50.0, "trials": 3}
QUICK = {"sizes": (300, 500), "draws": 6, "duration": 40.0, "discard": 30.0, "trials": 4}
#: The planted wrong theory has g larger by this factor.
PLANTED = 1.2


def _compare(found, states, wrong, sizes):
    """Networks at all strengths against the theory, and against that of a larger g."""
    drawn = {name: np.array([[found[g, n][name] for n in sizes] for g in STRENGTHS]) for name in ("delta0", "lyapunov")}
    spreads = [draws.pooled(sizes, one) for one in drawn["delta0"]]
    std, freedom = np.array([s for s, _ in spreads]), spreads[0][1]
    last, names = drawn["delta0"][:, -1], ", ".join(f"{g:g}" for g in STRENGTHS)
    value = [states[g].delta0[0] for g in STRENGTHS]
    yield draws.mean_agrees(f"Delta_0 at g = {names}", last.T, value, sizes[-1], std, freedom)
    for g, exponents in zip(STRENGTHS, drawn["lyapunov"], strict=True):
        yield draws.limit_agrees(f"lambda_max at g = {g:g}", sizes, exponents, states[g].lyapunov)
    text = f"a planted wrong theory, g larger by {PLANTED - 1:.0%}: its Delta_0 is rejected at g = {STRENGTHS[-1]:g}"
    yield draws.is_rejected(text, last[-1], wrong.delta0[0], sizes[-1], std[-1], freedom)


def _chaos(result, quick, seed):
    c, options = result.case.connectivity, QUICK if quick else FULL
    values = np.unique(np.concatenate([np.linspace(1.02, 3.0, 12 if quick else 34), STRENGTHS]))[::-1]
    branch = {round(p.value, 9): p.state for p in follow(c, values=values)}
    states = {g: branch[g] for g in STRENGTHS}
    jobs = [
        (g, n, k, False, np.zeros(1), states[g].delta0[0])
        for n in sorted(options["sizes"], reverse=True)
        for g in STRENGTHS
        for k in range(options["draws"])
    ]
    runs = over(simulated.measured, (c, options, seed, True), jobs)
    found = {}
    for job, run in zip(jobs, runs, strict=True):
        found.setdefault(job[:2], []).append(run)
    found = {key: simulated.gather(values, values[0]) for key, values in found.items()}
    wrong = dmft.chaotic(replace(c, g=PLANTED * STRENGTHS[-1]))[0]
    spectrum_figure, spectrum = _spectrum(result, 500 if quick else 1000, seed)
    statements = [_onset(c), *_near_onset(c), _closed_form(c), *_equation(branch), *spectrum]
    statements += _compare(found, states, wrong, options["sizes"])
    statements.append(_spread_near_onset(found, options["sizes"]))
    figures = (_decay_figure(states, found, options), _onset_figure(branch, found, options), spectrum_figure)
    return figures, statements


def _number(state, name):
    return float(np.ravel(getattr(state, name))[0])


def _spread_near_onset(found, sizes):
    """What finite networks do at the strength next to the onset, without a verdict."""
    lines = []
    for n in sizes:
        drawn = found[CRITICAL, n]
        rest = int((drawn["lyapunov"] <= 0).sum())
        lines.append(
            f"N = {n}: Delta_0 spread over draws {drawn['delta0'].std(ddof=1) / drawn['delta0'].mean():.0%}, "
            f"lambda {drawn['lyapunov'].mean():+.3f} with spread {drawn['lyapunov'].std(ddof=1):.3f}, "
            f"{rest} of {len(drawn['delta0'])} draws not chaotic"
        )
    return checks.claim(
        f"g = {CRITICAL:g}, next to the onset: how far single networks are from the limit",
        None,
        "; ".join(lines),
        "no verdict: lambda_max of the theory is smaller than the spread, and small networks may come to rest",
        draws.NETWORKS,
    )


def _onset(c):
    found = chaos_onset(c, bracket=(0.5, 1.5))
    slope = 1.0  # phi'(0) of tanh
    if len(found) != 1:
        return checks.claim("onset of chaos", False, f"{len(found)} transitions", "1 transition", SCS)
    text = "onset of chaos, a root of sum_q g^2 alpha_q <phi'^2>_q = 1: g phi'(0) = 1"
    return checks.number(text, found[0].value * slope, 1.0, found[0].error, SCS)


def _near_onset(c, steps=(0.02, 0.01)):
    """Delta_0 = e + 7/6 e^2 + .. and lambda = e^2/2 + .. for g = 1 + e; the limits by Richardson's extrapolation."""
    states = [dmft.chaotic(replace(c, g=1 + e))[0] for e in steps]
    scaled = {
        "(Delta_0/e - 1)/e": ([(s.delta0[0] / e - 1) / e for s, e in zip(states, steps, strict=True)], 7 / 6),
        "lambda_max/e^2": ([s.lyapunov / e**2 for s, e in zip(states, steps, strict=True)], 1 / 2),
    }
    for text, ((first, second), expected) in scaled.items():
        # a line in e through both: what it leaves out is of order e^2, smaller than its own last step
        limit, error = 2 * second - first, abs(second - first)
        yield checks.number(f"next to the onset, g = 1 + e: {text} as e -> 0", limit, expected, error, SCS)


def erf_variance(g):
    """Delta_0 of chaos for phi = erf(sqrt(pi) x/2), whose correlation is (2/pi) arcsin(b Delta): the energy is zero."""
    from scipy.optimize import brentq

    def energy(d):
        b = (np.pi / 2) / (1 + np.pi * d / 2)
        area = d * np.arcsin(b * d) + (np.sqrt(1 - (b * d) ** 2) - 1) / b
        return g**2 * (2 / np.pi) * area / d**2 - 0.5

    return brentq(energy, 1e-6, 10 * g**2, xtol=1e-14, rtol=1e-14)


def _closed_form(c):
    state = dmft.chaotic(c, "erf")[0]
    text = "phi = erf: Delta_0 by the Hermite series against the arcsine law in closed form"
    # both solve one equation to rounding, and its root magnifies that a few times
    return checks.number(text, state.delta0[0], erf_variance(c.g), 1e-12, "derived here")


def _equation(branch):
    """Residuals along the branch; the flat start; and the differential equation by differences of Delta itself."""
    worst = max(s.residual for s in branch.values())
    yield checks.claim(
        f"residual of the equations at {len(branch)} values of g from {min(branch):g} to {max(branch):g}",
        worst < 1e-12,
        f"at most {worst:.0e}",
        "< 1e-12, rounding",
    )
    h, lags, gaps, bounds, slopes = 0.05, np.linspace(0.0, 8.0, 33), [], [], []
    for g in STRENGTHS:
        s = branch[g]
        around = {k: s.delta(lags + k * h)[:, 0] for k in range(-4, 5)}
        # fourth-order differences with steps h and 2 h, which also tell the error of the first
        fine, coarse = (
            (16 * (around[k] + around[-k]) - around[2 * k] - around[-2 * k] - 30 * around[0]) / (12 * (k * h) ** 2)
            for k in (1, 2)
        )
        left = around[0] - fine - g**2 * s.activity(lags)[:, 0]
        gaps.append(np.abs(left).max() / s.delta0[0])
        bounds.append((np.abs(fine - coarse).max() / 15 + 1e-9) / s.delta0[0])
        bend = s.delta0[0] - g**2 * float(gaussian_average("tanh", mean=0.0, variance=s.delta0[0], power=2))
        small = 1e-3
        rise = (s.delta(small)[0] - s.delta0[0]) / small
        slopes.append(abs(rise - bend * small / 2) / abs(bend * small / 2))
    yield checks.claim(
        "(1 - d^2/dtau^2) Delta = g^2 <phi phi>, by differences of Delta(tau)",
        all(gap <= 2 * bound for gap, bound in zip(gaps, bounds, strict=True)),
        f"off by {max(gaps):.0e} of Delta_0",
        f"within the error of the differences, {max(bounds):.0e}",
        SCS,
    )
    yield checks.claim(
        "Delta'(0) = 0: the first step of 0.001 tau is that of the curvature Delta_0 - g^2 <phi^2>",
        max(slopes) < 1e-4,
        f"to {max(slopes):.0e} of it",
        "< 1e-4",
        SCS,
    )


def _spectrum(result, n_neurons, seed):
    """Eigenvalues of one network at the origin, on the disc of radius g phi'(0) around -1."""
    c = result.case.connectivity
    origin = next(s for s in result.landscapes[0].stationary if s.delta0[0] == 0)
    found = jacobian_spectrum(draw(c, n_neurons, seed), np.zeros(n_neurons))
    square = np.mean(np.abs(found.eigenvalues + 1) ** 2)
    # the sum of |z|^2/g^2 over the eigenvalues of a real Ginibre matrix has the standard deviation 1 (linear
    # statistics: Cipolloni, Erdos and Schroder 2021)
    error = 5 * c.g**2 / n_neurons
    statements = (
        checks.number(
            f"mean |eigenvalue + 1|^2 of one network of N = {n_neurons} at the origin: g^2/2, that of an even disc "
            "(error: 5 standard deviations over draws)",
            square,
            origin.bulk_radius**2 / 2,
            error,
            draws.NETWORKS,
        ),
        checks.claim(
            "no eigenvalue beyond the disc by more than 3/sqrt(N) of its radius",
            len(found.outliers) == 0,
            f"{len(found.outliers)} beyond; largest |eigenvalue + 1| {np.abs(found.eigenvalues + 1).max():.4f}",
            f"radius {origin.bulk_radius:g}",
            draws.NETWORKS,
        ),
    )
    data = {"eigenvalues": found.eigenvalues, "bulk_radius": np.array(origin.bulk_radius)}

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=5.0, height=4.6)
            plots.plot_spectrum(axes[0, 0], origin, data["eigenvalues"])
        return figure

    caption = (
        f"Theory (circle): the bulk of the Jacobian at the origin for g = {c.g:g}, radius g phi'(0) around -1. "
        f"Measured (dots): all eigenvalues of one network of N = {n_neurons}."
    )
    return Figure("origin", caption, draw_it, data), statements


def _decay_figure(states, found, options):
    n, lags = options["sizes"][1], np.linspace(0.0, 20.0, 201)
    shown = simulated.LAGS[simulated.LAGS <= lags[-1]]
    deltas = np.array([s.delta(lags)[:, 0] for s in states.values()])
    pairs = [simulated.mean_and_error(found[g, n]["delta"]) for g in states]
    means, errors = (np.array(q) for q in zip(*pairs, strict=True))
    top = np.array([s.delta0[0] for s in states.values()])[:, None]
    data = {"lags": lags, "theory": deltas, "measured_lags": shown, "measured": means, "error": errors, "delta0": top}
    labels = [f"g = {g:g}" for g in states]

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=3.8)
            for ax, scale in zip(axes[0], (np.ones_like(data["delta0"]), data["delta0"]), strict=True):
                points = data["measured_lags"], data["measured"] / scale
                plots.plot_decay(ax, lags, data["theory"] / scale, labels, points, data["error"] / scale)
            axes[0, 1].set_ylabel(r"$\Delta(\tau)\,/\,\Delta_0$ of the theory")
            axes[0, 1].get_legend().remove()
        return figure

    caption = (
        "Autocorrelation of the input; right: divided by the theory's Delta_0. Lines: theory. Points: mean and "
        f"standard error over {options['draws']} networks of N = {n}. Next to the onset, at g = {CRITICAL:g}, networks "
        "of this size differ much from each other, and some are not chaotic at all."
    )
    return Figure("autocorrelation", caption, draw_it, data)


def _onset_figure(branch, found, options):
    g = np.array(sorted(branch))
    curves = {name: np.array([_number(branch[round(float(v), 9)], name) for v in g]) for name in ("delta0", "lyapunov")}
    data = {"g": g, **curves, "strengths": np.array(STRENGTHS), "sizes": np.array(options["sizes"])}
    for name in curves:
        pairs = [[simulated.mean_and_error(found[s, n][name]) for s in STRENGTHS] for n in options["sizes"]]
        data[f"{name}_measured"], data[f"{name}_error"] = np.moveaxis(np.array(pairs), -1, 0)
    # g = 1 is the onset, where both are zero
    near = np.linspace(1.0, 1.7, 50)
    data |= {"near": near, "near_delta0": near - 1, "near_lyapunov": (near - 1) ** 2 / 2}

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=3.8)
            names = {"delta0": r"$\Delta_0$", "lyapunov": r"$\lambda_{\max}$ (1/$\tau$)"}
            near_labels = {"delta0": r"$g-1$", "lyapunov": r"$(g-1)^2/2$"}
            for ax, (name, label) in zip(axes[0], names.items(), strict=True):
                line = np.append(1.0, data["g"]), np.append(0.0, data[name])
                plots.plot_curve(ax, *line, label="theory")
                ax.plot(data["near"], data[f"near_{name}"], "k--", lw=1.0, label=near_labels[name])
                for k, n in enumerate(data["sizes"]):
                    values = data[f"{name}_measured"][k], data[f"{name}_error"][k]
                    plots.plot_measured(ax, data["strengths"], *values, colour=2 - k, label=f"N = {n}")
                ax.axhline(0, color="black", lw=0.5)
                ax.set(xlabel="g", ylabel=label)
                ax.legend(loc="upper left")
        return figure

    caption = (
        "Variance and largest Lyapunov exponent of chaos. Lines: theory, and dashed its leading order next to the "
        f"onset at g = 1. Points: mean and standard error over {options['draws']} networks of each size; the "
        "exponents of finite networks lie below the theory by about 13/N."
    )
    return Figure("onset", caption, draw_it, data)


CASES = (
    Case(
        name="chaos",
        title="Chaos without structure",
        source=f"Lecture notes, Chaotic RNNs; {SCS}, Phys. Rev. Lett. 61, 259",
        text=(
            "No low-rank part: n has no variance, so kappa = 0, and J = g chi alone. The state of rest loses its "
            "stability as g phi'(0) passes 1, and the network becomes chaotic. g = 2 is ours. Exponents of finite "
            "networks are smaller than those of the theory by about 13/N at all g, so they are measured at two sizes "
            "and extrapolated; the simulations take steps of 0.2 tau, which moves averages by less than their errors."
        ),
        connectivity=Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=2.0),
        check=_chaos,
        networks=False,
    ),
)
