"""How white noise and a frozen input suppress chaos, without structure: closed forms, statements, curves, the planes.

For phi = tanh, J = g chi. With Phi = ln cosh, the primitive of phi, and <.> over N(0, Delta_0), the energy of the
equation of motion of Delta(lag) at lag 0, where noise s makes its slope -s^2/2, and at infinity, where Delta = 0, says

    s^4 / 4 = Delta_0^2 - 2 g^2 (<Phi^2> - <Phi>^2).

At lambda_max = 0 the ground state that decides on it is Delta'(lag) itself, which then is flat at 0: Delta''(0) = 0,
so Delta_0 = g^2 <phi^2>. At a bulk radius of 1, g^2 <phi'^2> = 1. Each of the two with the energy gives a noise; the
second with Delta_0 = g^2 <phi^2> + variance gives the variance of the frozen input at which rest turns chaotic.
"""

import numpy as np

from meanfield import dmft, plotting
from meanfield.dmft import plots

from ..analysis import Figure
from . import checks, derivations

# The trapezoidal rule on analytic functions: exact to rounding while the pole of tanh, at pi/(2 sqrt(Delta_0)), is many
# steps away.
_STEP = 0.02
_Z = np.arange(-12.0, 12.0 + _STEP / 2, _STEP)
_W = _STEP * np.exp(-0.5 * _Z**2) / np.sqrt(2 * np.pi)
#: The planes of g with the noise, and with the variance of the frozen input, and their regions.
SPAN_G, SPANS = (0.8, 2.6), {"noise": (0.0, 4.5), "input_variance": (0.0, 7.5)}
REGIONS = {
    "noise": ("chaos", "no chaos, bulk radius above 1", "no chaos, bulk radius below 1"),
    "input_variance": ("chaos", "at rest"),
}
SHOWN = {"noise": (-0.05, 3.25), "input_variance": (-0.05, 4.25)}
LABELS = {"noise": "noise s", "input_variance": "variance of the frozen input"}


def _average(function, variance):
    return function(np.sqrt(variance)[..., None] * _Z) @ _W if np.ndim(variance) else function(variance**0.5 * _Z) @ _W


def square(variance):
    """<tanh^2>."""
    return _average(lambda x: np.tanh(x) ** 2, variance)


def radius(g, variance):
    """Bulk radius g sqrt(<tanh'^2>)."""
    return g * np.sqrt(_average(lambda x: (1 - np.tanh(x) ** 2) ** 2, variance))


def noise_at(g, variance):
    """The noise s under which chaos has this Delta_0, from the energy."""

    def primitive(x):
        return np.logaddexp(x, -x) - np.log(2)

    spread = _average(lambda x: primitive(x) ** 2, variance) - _average(primitive, variance) ** 2
    return (4 * (variance**2 - 2 * g * g * spread)) ** 0.25


def edges(g):
    """(noise at lambda_max = 0, noise at bulk radius 1, variance of the frozen input at bulk radius 1), for g > 1."""
    flat = derivations.root(lambda variance: variance - g * g * square(variance), 1e-9, g * g)
    unit = derivations.root(lambda variance: radius(g, variance) - 1, 1e-9, 100 * g**4)
    return noise_at(g, flat), noise_at(g, unit), unit - g * g * square(unit)


def transitions(c, noise, end, source, step=1e-3):
    """Roots of the package, ``noise_suppression`` and ``chaos_onset``, against the closed forms, and what is there."""
    kinds = ["largest Lyapunov exponent zero", "bulk radius one"]
    if [q.kind for q in noise] != kinds:
        yield checks.claim("transitions along the noise", False, ", ".join(q.kind for q in noise), ", ".join(kinds))
        return
    texts = (
        "noise at lambda_max = 0: there Delta_0 = g^2 <phi^2>, as Delta'' = 0 at lag 0",
        "noise at bulk radius 1, g^2 <phi'^2> = 1: another one",
        "variance of a frozen input at which chaos ends: bulk radius 1, Delta_0 = g^2 <phi^2> + variance",
    )
    for text, found, expected, who in zip(texts, (*noise, end), edges(c.g), (source, source, checks.OURS), strict=True):
        yield checks.number(text, found.value, expected, 2 * found.error + 1e-11, who)
    exponent = dmft.chaotic(c, noise=noise[0].value)[0]
    error = exponent.lyapunov_error + noise[0].error + 1e-12  # d lambda / ds is below 1
    yield checks.number("lambda_max at the first of them", exponent.lyapunov, 0.0, error, source)
    below, above = (frozen_rate(c, end.value + sign * step) for sign in (-1, 1))
    yield checks.claim(
        f"the frozen input: lambda_max of chaos {step:g} below its end, and bulk radius - 1 at rest {step:g} above it",
        0 < below < step and -step < above < 0,
        f"{below:+.2e}, {above:+.2e}",
        "of either sign, and both less than that: they vanish together",
    )


def frozen_rate(c, variance):
    """At which rate perturbations grow under a frozen input: lambda_max of chaos, else that of the bulk at rest."""
    found = dmft.chaotic(c, input_variance=variance)
    if len(found):
        return found[0].lyapunov
    return dmft.stationary(c, input_variance=variance)[0].bulk_radius - 1


def curves(c, count):
    """Delta_0, exponents and radii against the noise and the variance of the frozen input, as arrays by name."""
    s = np.linspace(0.0, 3.2, count)
    states = [p.state for p in dmft.follow(c, values=s, along="noise")]
    data = {"noise": s, "noise_delta0": np.array([q.delta0[0] for q in states])}
    data["noise_lyapunov"] = np.array([q.lyapunov for q in states])
    data["noise_rate"] = radius(c.g, data["noise_delta0"]) - 1
    # dense next to where Delta_inf rises from 0
    v = (edges(c.g)[2] - 1e-3) * np.linspace(0.0, 1.0, count) ** 2
    states = [p.state for p in dmft.follow(c, values=v, along="input_variance")]
    data |= {"input_variance": v, "input_variance_lyapunov": np.array([q.lyapunov for q in states])}
    for name in ("delta0", "delta_inf"):
        data[f"input_variance_{name}"] = np.array([getattr(q, name)[0] for q in states])
    rest = np.linspace(derivations.root(lambda x: x - c.g**2 * square(x), 1e-9, c.g**2), 7.0, 4 * count)
    data |= {"rest": rest - c.g**2 * square(rest), "rest_delta0": rest, "rest_rate": radius(c.g, rest) - 1}
    return data


def plot_curves(axes, data, along):
    """Delta_0 and the exponents of :func:`curves` in two axes, with the transitions."""
    variances, rates = axes
    plots.plot_curve(variances, data[along], data[f"{along}_delta0"], None, 5, r"$\Delta_0$")
    if along == "noise":
        rate = data[along], data["noise_rate"]
        plots.plot_transitions(rates, data["transitions"][:2], [f"s = {x:.4f}" for x in data["transitions"][:2]])
        plots.plot_transitions(variances, data["transitions"][:2], ["", ""])
    else:
        stable = data["rest_rate"] < 0
        plots.plot_curve(variances, data[along], data[f"{along}_delta_inf"], None, 2, r"$\Delta_\infty$")
        plots.plot_curve(variances, data["rest"], data["rest_delta0"], stable, 0, "at rest")
        rate = data["rest"], data["rest_rate"]
        for ax, text in zip(axes, ("", f"{data['transitions'][2]:.4f}"), strict=True):
            plots.plot_transitions(ax, data["transitions"][2:], [text])
    plots.plot_curve(rates, data[along], data[f"{along}_lyapunov"], None, 5, r"$\lambda_{\max}$")
    words = "bulk radius - 1" + (" at rest" if along != "noise" else "")
    plots.plot_curve(rates, *rate, np.zeros(len(rate[0]), bool) if along == "noise" else rate[1] < 0, 0, words)
    rates.axhline(0.0, color="black", lw=0.7)
    variances.set(xlabel=LABELS[along], ylabel=r"$\Delta$", xlim=SHOWN[along])
    rates.set(xlabel=LABELS[along], ylabel=r"rate (1/$\tau$)", xlim=SHOWN[along], ylim=(-0.42, 0.45))


def plot_disc(ax, eigenvalues, radius, lyapunov):
    """Eigenvalues of a Jacobian, the circle of its bulk, 0 and the mean rate at which perturbations grow."""
    angle = np.linspace(0, 2 * np.pi, 241)
    ax.plot(eigenvalues.real, eigenvalues.imag, ".", ms=2, color="#777777", label="one network, one moment")
    ax.plot(
        radius * np.cos(angle) - 1,
        radius * np.sin(angle),
        color=plotting.COLOURS[0],
        label=f"bulk, radius {radius:.3g}",
    )
    ax.axvline(0, color="black", lw=0.7, ls=":")
    ax.axvline(lyapunov, color=plotting.COLOURS[5], lw=1.2, ls="--", label=r"$\lambda_{\max}$")
    ax.set(xlabel=r"growth rate (1/$\tau$)", ylabel=r"frequency (1/$\tau$)")
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)


def diagram(count, marks):
    """The planes (g, noise) and (g, variance of the frozen input) as a figure; ``marks``: g and strengths of each."""
    g, beyond = np.linspace(*SPAN_G, count), np.linspace(1.0, SPAN_G[1], count)
    regions, lines = (np.array([edges(x) if x > 1.001 else (0.0, 0.0, 0.0) for x in values]) for values in (g, beyond))
    data = {"g": g, "g_lines": beyond}
    for (along, span), (at, strengths), part in zip(SPANS.items(), marks, (slice(2), slice(2, 3)), strict=True):
        y = np.linspace(*span, count)
        data |= {f"{along}_y": y, f"{along}_lines": lines[:, part]}
        data[f"{along}_kinds"] = (y[:, None, None] >= regions[:, part]).sum(axis=-1)
        data[f"{along}_marks"] = np.array([(at, x) for x in strengths])

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 2, width=5.0, height=4.4)
            for ax, (along, names) in zip(axes[0], REGIONS.items(), strict=True):
                plots.plot_regions(ax, data["g"], data[f"{along}_y"], data[f"{along}_kinds"], names)
                for k, line in enumerate(data[f"{along}_lines"].T):
                    colour = plotting.COLOURS[(5, 0)[k] if along == "noise" else 0]
                    ax.plot(data["g_lines"], line, color=colour, lw=1.8)
                ax.plot(*data[f"{along}_marks"].T, "o", color="black", ms=4)
                ax.set(xlabel="g", ylabel=LABELS[along], xlim=SPAN_G, ylim=SPANS[along])
        return figure

    caption = (
        "Where chaos ends, by the strength of the random part and the drive. Left, white noise: lambda_max = 0 "
        "(orange-red) and bulk radius 1 (blue), two curves. Right, a frozen input: one curve, where the bulk radius at "
        "rest is 1. Lines: closed forms. Dots: networks of the other figures."
    )
    return Figure("planes", caption, draw_it, data)
