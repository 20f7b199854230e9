"""Chaos without structure: Sompolinsky, Crisanti and Sommers 1988, against finite networks of several sizes."""

from dataclasses import replace

import numpy as np

from meanfield import dmft, plotting
from meanfield.averages import gaussian_average
from meanfield.connectivity import Connectivity
from meanfield.dmft import plots

from ..analysis import Figure
from ..networks import draw
from ..spectrum import jacobian_spectrum
from ..workers import over
from . import checks, draws, simulated
from .record import Case

SCS = "Sompolinsky, Crisanti & Sommers 1988"
#: Strengths at which networks are drawn, and which of them are next to the onset.
STRENGTHS, CRITICAL = (1.2, 1.5, 2.0, 3.0), 1.2
#: Sizes, draws of each; time measured and before it, in tau; trials, which share each product with the matrix; step of
#: the two-time theory; where single limits tell the planted theory from the right one. The step of networks, 0.2, moves
#: averages by less than their errors: at g = 3 one of 0.4 lowers the exponent by 0.008 +- 0.002.
FULL = {"sizes": (1000, 2000, 4000), "draws": 6, "duration": 32.0, "discard": 30.0, "trials": 8}
FULL |= {"exponent_trials": 4, "theory_step": 0.1, "told_apart": {"delta0": (1.5, 2.0, 3.0), "lyapunov": (2.0, 3.0)}}
QUICK = {"sizes": (250, 1000), "draws": 6, "duration": 32.0, "discard": 25.0, "trials": 4}
QUICK |= {"exponent_trials": 4, "theory_step": 0.2, "told_apart": {"delta0": (2.0, 3.0), "lyapunov": ()}}
#: The planted wrong theory has g larger by this factor.
PLANTED = 1.2
#: Next to the onset: lags of Delta that are continued to infinite N, how much longer the longer window is, and the size
#: from which on networks differ from infinite ones by 1/N: smaller ones are mostly not chaotic.
SLOW_LAGS, LONGER, LARGE = (1, 5, 10), 4, 1000


def _compare(found, states, windows, wrong, options):
    """Networks at all strengths against the theory, in their window of time, and against that of a larger g."""
    sizes = options["sizes"]
    drawn = {name: np.array([[found[g, n][name] for n in sizes] for g in STRENGTHS]) for name in ("delta0", "lyapunov")}
    right = {"delta0": [windows[g]["delta0"] for g in STRENGTHS], "lyapunov": [states[g].lyapunov for g in STRENGTHS]}
    other = {name: [_number(wrong[g], name) for g in STRENGTHS] for name in right}
    spreads = [draws.pooled(sizes, one) for one in drawn["delta0"]]
    std, freedom = np.array([s for s, _ in spreads]), spreads[0][1]
    for k, n in enumerate(sizes[1:], 1):
        text, at_n = f"Delta_0 at g = {_named(STRENGTHS)}", drawn["delta0"][:, k].T
        yield draws.mean_agrees(text, at_n, right["delta0"], n, std * np.sqrt(sizes[-1] / n), freedom)
    far = [k for k, g in enumerate(STRENGTHS) if g != CRITICAL or sizes[0] >= LARGE]
    for name, label in (("delta0", "Delta_0"), ("lyapunov", "lambda_max")):
        values, others = np.array(right[name])[far], np.array(other[name])[far]
        text = f"{label} at g = {_named(STRENGTHS[k] for k in far)}"
        yield draws.limits_agree(text, sizes, drawn[name][far], values, others)
        for k in far:
            g, told = STRENGTHS[k], STRENGTHS[k] in options["told_apart"][name]
            text, theirs = f"{label} at g = {g:g}", other[name][k] if told else None
            yield draws.limit_agrees(text, sizes, drawn[name][k], right[name][k], theirs)
    text = f"a planted wrong theory, g larger by {PLANTED - 1:.0%}: its Delta_0 is rejected at g = {STRENGTHS[-1]:g}"
    yield draws.is_rejected(text, drawn["delta0"][-1, -1], other["delta0"][-1], sizes[-1], std[-1], freedom)


def _named(strengths):
    return ", ".join(f"{g:g}" for g in strengths)


def _chaos(result, quick, seed):
    c, options = result.case.connectivity, QUICK if quick else FULL
    values = np.unique(np.concatenate([np.linspace(1.02, 3.0, 12 if quick else 34), STRENGTHS]))[::-1]
    branch = {round(p.value, 9): p.state for p in dmft.follow(c, values=values)}
    states = {g: branch[g] for g in STRENGTHS}
    wrong = {g: dmft.chaotic(replace(c, g=PLANTED * g))[0] for g in STRENGTHS}
    found, windows, longer = _networks(c, states, options, seed)
    spectrum_figure, spectrum = _spectrum(result, 500 if quick else 1000, seed)
    statements = [_onset(c), *_near_onset(c), _closed_form(c), *_equation(branch), *spectrum]
    statements += _compare(found, states, windows, wrong, options)
    statements += _next_to_onset(found, states[CRITICAL], windows[CRITICAL], longer, options)
    figures = (
        _decay_figure(states, windows, found, options), _onset_figure(branch, found, options), spectrum_figure,
    )  # fmt: skip
    return figures, statements


def _networks(c, states, options, seed):
    """Numbers of the networks by (g, N), and of the theory in their window by g; next to the onset, in a longer window,
    Delta of networks of ``LARGE`` neurons and of the theory."""
    jobs = [
        simulated.Job(g, n, k, np.zeros(1), states[g].delta0[0], exponent=True)
        for n in sorted(options["sizes"], reverse=True)
        for g in STRENGTHS
        for k in range(options["draws"])
    ]
    found = {}
    for job, run in zip(jobs, over(simulated.measured, (c, options, seed), jobs), strict=True):
        found.setdefault((job.g, job.n_neurons), []).append(run)
    found = {key: simulated.gather(values, values[0]) for key, values in found.items()}
    windows = {g: simulated.expected(c, next(job for job in jobs if job.g == g), options) for g in STRENGTHS}
    slow = [replace(job, exponent=False) for job in jobs if (job.g, job.n_neurons) == (CRITICAL, LARGE)]
    times = options | {name: LONGER * options[name] for name in ("duration", "discard")} | {"theory_step": 0.2}
    runs = over(simulated.measured, (c, times, seed), slow)
    longer = simulated.gather(runs, ("delta",))["delta"], simulated.expected(c, slow[0], times)["delta"]
    return found, windows, longer


def _number(state, name):
    return float(np.ravel(getattr(state, name))[0])


def _next_to_onset(found, state, window, longer, options):
    """Why Delta(lag) of networks next to the onset is below that of the stationary state: the memory of their start."""
    sizes, k, (long, long_theory) = options["sizes"], SLOW_LAGS[-1], longer
    drawn = np.array([found[CRITICAL, n]["delta"] for n in sizes])
    text, at = f"g = {CRITICAL:g}, next to the onset", [f"Delta({lag:g})" for lag in simulated.LAGS]
    for lag in SLOW_LAGS if sizes[0] >= LARGE else ():
        yield draws.limit_agrees(f"{text}: {at[lag]}", sizes, drawn[..., lag], window["delta"][lag])
    chosen = list(SLOW_LAGS)
    yield draws.mean_agrees(
        f"{text}: {', '.join(at[lag] for lag in chosen)} in a window {LONGER} times as long, after {LONGER} times as "
        "long a start", long[:, chosen], long_theory[chosen], LARGE,
    )  # fmt: skip
    value = state.delta(simulated.LAGS[k])[0]
    missing = np.array([window["delta"][k], long_theory[k]]) / value - 1
    yield checks.claim(
        f"{text}: {at[k]} of the two-time theory, from independent numbers, comes slowly to that of the state",
        missing[0] < 3 * missing[1] < 0,
        f"{missing[0]:+.1%} in the window of the networks, {missing[1]:+.1%} in the longer one",
        f"{value:.4f}, from below, and the rest falls to less than a third",
    )
    lines = [_at_size(n, one[:, k], found[CRITICAL, n]["lyapunov"]) for n, one in zip(sizes, drawn, strict=True)]
    (_, slope), covariance, _ = draws.line(sizes, drawn[..., k])
    yield checks.claim(
        f"{text}: {at[k]} and lambda of single networks",
        None,
        f"{'; '.join(lines)}; slope of {at[k]} in 1/N: {slope:.0f} ± {np.sqrt(covariance[1, 1]):.0f}",
        f"{window['delta'][k]:.3f} in their window ({value:.3f} when stationary) and {state.lyapunov:+.3f} for "
        "infinite N. Single networks differ from each other by about as much, and small ones rest or oscillate: no "
        f"verdict, and below N = {LARGE} no law of 1/N either",
        draws.NETWORKS,
    )


def _at_size(n, delta, exponents):
    rest = int((exponents <= 0).sum())
    return (
        f"N = {n}: {delta.mean():.3f} with spread {delta.std(ddof=1):.3f}, and {exponents.mean():+.3f} with spread "
        f"{exponents.std(ddof=1):.3f}, {rest} of {len(delta)} not chaotic"
    )


def _onset(c):
    found = dmft.chaos_onset(c, bracket=(0.5, 1.5))
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


def _decay_figure(states, windows, found, options):
    n, lags = options["sizes"][-1], np.linspace(0.0, 20.0, 201)
    deltas = np.array([s.delta(lags)[:, 0] for s in states.values()])
    pairs = [simulated.mean_and_error(found[g, n]["delta"]) for g in states]
    means, errors = (np.array(q) for q in zip(*pairs, strict=True))
    data = {"lags": lags, "theory": deltas, "measured_lags": simulated.LAGS, "measured": means, "error": errors}
    data |= {"window": np.array([windows[g]["delta"] for g in states]), "delta0": deltas[:, :1]}
    labels = [f"g = {g:g}" for g in states]

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=4.6, height=3.8)
            for ax, scale in zip(axes[0], (np.ones_like(data["delta0"]), data["delta0"]), strict=True):
                points = data["measured_lags"], data["measured"] / scale
                plots.plot_decay(ax, lags, data["theory"] / scale, labels, points, data["error"] / scale)
                for k, window in enumerate(data["window"] / scale):
                    ax.plot(data["measured_lags"], window, "--", color=plotting.COLOURS[k], lw=1.0)
            axes[0, 1].set_ylabel(r"$\Delta(\tau)\,/\,\Delta_0$ of the theory")
            axes[0, 1].get_legend().remove()
        return figure

    caption = (
        "Autocorrelation of the input; right: divided by the theory's Delta_0. Lines: theory, stationary. Points: mean "
        f"and standard error over {options['draws']} networks of N = {n}, which start from independent numbers and are "
        f"measured from t = {options['discard'] + simulated.LAGS[-1]:g} on for {options['duration']:g}. Dashed: "
        f"two-time theory of that start and window; at g = {CRITICAL:g}, next to the onset, the start is forgotten "
        "slowly."
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
            "networks are smaller than those of the theory by about 13/N at all g, so they are measured at several "
            "sizes and extrapolated. Networks start from independent numbers, and next to the onset what they remember "
            "over long lags comes slowly: Delta(lag) is compared with the two-time theory of the same start in the "
            "same window, which tends to the stationary one."
        ),
        connectivity=Connectivity.from_overlaps([{"n1 m1": 0.0}], rank=1, g=2.0),
        check=_chaos,
        networks=False,
    ),
)
