"""Structure and chaos in one network: Mastrogiuseppe and Ostojic 2018, Fig. 1, without input."""

from dataclasses import replace

import numpy as np

from meanfield import dmft, plotting
from meanfield.averages import gaussian_average
from meanfield.connectivity import Connectivity
from meanfield.dmft import plots
from meanfield.fluctuations import spread

from ..analysis import Figure
from ..landscape import landscape, one_of_each_pair
from ..networks import draw
from ..simulation import relax
from ..workers import over
from . import checks, draws, simulated
from .random_plane import MEAN_M, MEAN_N, NONE, G, diagram, network
from .random_trend import (
    KINDS,
    LABELS,
    PLANTED,
    chaos_agrees,
    chaos_figure,
    chaotic_networks,
    far_agrees,
    far_chaos,
    near_the_end,
    rest_trend,
)
from .record import Case

MO18 = "Mastrogiuseppe & Ostojic, Neuron 2018, Fig. 1"
#: The transitions as quoted for these parameters: onset of chaos in the structured state, end of the structure.
QUOTED_C, QUOTED_B = 1.796, 2.136
#: Strengths at which networks are drawn: at rest with structure, chaotic with structure, chaotic without.
AT_REST, STRUCTURED, UNSTRUCTURED = (0.4, 0.8, 1.2), 1.9, 2.4
#: Neurons and draws at rest; sizes and draws of the trend there; sizes of chaotic networks by g, and far from the ends
#: of structured chaos, and draws of each; time measured and before it, in tau; trials, which share each product with
#: the matrix; step of the theory.
FULL = {"n": 1000, "draws": 8, "trend": (1000, 2000, 4000), "many": 6, "chaotic_draws": 6}
FULL |= {"chaotic": {STRUCTURED: (1000, 2000), UNSTRUCTURED: (1000, 2000)}, "far": (1000, 2000, 4000)}
FULL |= {"duration": 32.0, "discard": 30.0, "trials": 8, "theory_step": 0.1}
QUICK = {"n": 500, "draws": 6, "trend": (300, 600), "many": 8, "chaotic_draws": 6}
QUICK |= {"chaotic": {STRUCTURED: (500,), UNSTRUCTURED: (250, 500)}, "far": (500, 1000)}
QUICK |= {"duration": 32.0, "discard": 25.0, "trials": 4, "theory_step": 0.2}
# Units that move by less are at rest.
_REST = 1e-6


def at_rest(shared, job):
    """kappa, Delta_0 and Delta_inf of a drawn network that comes to rest."""
    c, seed = shared
    g, n_neurons, number, matched, kappa = job
    net = draw(replace(c, g=g), n_neurons, [seed, n_neurons, number, round(1000 * g)], matched)
    end = relax(net, kappa, tolerance=_REST, progress=False)
    variance = end.x.var(ddof=1) if end.success else np.nan
    return {"kappa": end.kappa[0] if end.success else np.nan, "delta0": variance, "delta_inf": variance}


def branches(points):
    """Every state against g: arrays over one grid, nan where there is none, by name."""
    g = np.linspace(0.0, 2.6, points)
    c = network(G)
    onset = next(q for q in dmft.chaos_onset(c, bracket=(1.3, 2.3)) if abs(q.kappa[0]) > NONE)
    (end,) = dmft.structure_end(c, bracket=(1.5, 2.6))
    g = np.sort([*g, onset.value - 1e-9, onset.value + 1e-9])
    anchor = dmft.stationary(c)[-1]
    static = dmft.stationary_branch(c, vary={"g": g}, start=anchor)
    there = static.converged & (static.kappa[:, 0] > NONE)
    data = {"g": g, "static_stable": static.stable & there}
    data["static_kappa"] = np.where(there, static.kappa[:, 0], np.nan)
    data["static_delta0"] = np.where(there, static.delta0[:, 0], np.nan)
    # denser next to both ends, where the branch rises like a square root
    share = np.sin(np.linspace(0, np.pi / 2, points // 2 + 2)[1:-1]) ** 2
    inside = onset.value + (end.value - onset.value) * share
    data |= _followed("structured", network(inside[0]), inside)
    data |= _followed("chaos", network(2.6), np.linspace(2.6, 1.01, points))
    return data | {"chaos_stable": data["chaos_g"] > end.value}, onset, end


def _followed(name, c, values):
    states = [p.state for p in dmft.follow(c, values=values)]
    found = {f"{name}_g": values}
    for key in ("kappa", "delta0", "delta_inf"):
        found[f"{name}_{key}"] = np.array([np.nan if s is None else abs(getattr(s, key)[0]) for s in states])
    return found


def _structure(result, quick, seed):
    options = QUICK if quick else FULL
    data, onset, end = branches(40 if quick else 81)
    theory = {}
    for g in (*AT_REST, STRUCTURED, UNSTRUCTURED):
        (theory[g],) = one_of_each_pair(landscape(network(g)).attractors)
    chaotic, windows = chaotic_networks(network(G), options["chaotic"], theory, options, seed)
    far, far_windows = far_chaos(options, seed)
    found = _resting_networks(theory, options, seed) | chaotic
    plane, what_attracts = diagram(quick, onset, end)
    trend, scores = rest_trend(result, options, seed)
    statements = [*_transitions(onset, end), *_points(found, theory, options), *_in_chaos(found, windows, options)]
    statements += far_agrees(options["far"], far, far_windows)
    statements += [*_same_variance(quick), *what_attracts, *scores]
    figures = (_branch_figure(data, found, options, onset, end), plane, trend, chaos_figure(far, far_windows, options))
    return figures, statements


def _transitions(onset, end):
    for name, q, quoted in (("g_C", onset, QUOTED_C), ("g_B", end, QUOTED_B)):
        text = f"{name}, {q.kind}: {q.value:.10f} ± {q.error:.0e}"
        yield checks.printed(text, q.value, quoted, 3, f"{MO18}, to three decimals")
    gain = float(gaussian_average("tanh", mean=0.0, variance=end.delta0[0], order=1))
    text = "at g_B the overlap of the means times <phi'> of chaos without structure is 1"
    yield checks.number(text, MEAN_M * MEAN_N * gain, 1.0, 10 * end.error + 1e-12)  # d<phi'>/dg is of order 1


def _resting_networks(theory, options, seed):
    """Numbers of networks at rest by (g, matched, N)."""
    n, found = options["n"], {}
    jobs = [
        (g, n, k, kind, theory[g].kappa) for g in AT_REST for kind in (False, True) for k in range(options["draws"])
    ]
    for job, run in zip(jobs, over(at_rest, (network(G), seed), jobs), strict=True):
        found.setdefault((job[0], job[3], n), []).append(run)
    return {key: simulated.gather(runs, tuple(LABELS)) for key, runs in found.items()}


def _points(found, theory, options):
    """Means over draws at rest, with the predicted spread."""
    n = options["n"]
    for g in AT_REST:
        for matched, (name, words) in zip((False, True), KINDS.items(), strict=True):
            sp, drawn = spread(theory[g], name), found[g, matched, n]
            std, value = np.array([sp.std(n)[0], sp.delta0_std(n)[0]]), [theory[g].kappa[0], theory[g].delta0[0]]
            values = np.stack([drawn["kappa"], drawn["delta0"]], 1)
            yield draws.mean_agrees(f"g = {g:g}, {words}: kappa and Delta_0", values, value, n, std)
    wrong = dmft.stationary(network(G, PLANTED * MEAN_M * MEAN_N))[-1].kappa[0]
    std = spread(theory[G], "moments").std(n)[0]
    text = f"a planted wrong theory, overlap larger by {PLANTED - 1:.0%}: its kappa is rejected at g = {G:g}, matched"
    yield draws.is_rejected(text, found[G, True, n]["kappa"], wrong, n, std)


def _in_chaos(found, windows, options):
    sizes = options["chaotic"]
    yield near_the_end(STRUCTURED, sizes[STRUCTURED], found, windows[STRUCTURED])
    yield from chaos_agrees(f"chaos, g = {UNSTRUCTURED:g}", UNSTRUCTURED, sizes[UNSTRUCTURED], found, windows)


def _same_variance(quick):
    """For loadings of zero mean kappa (overlap <phi'> - 1) = 0: where kappa is not 0, Delta_0 is one number."""
    overlap = MEAN_M * MEAN_N
    c = Connectivity.from_overlaps([{"n1 m1": overlap}], rank=1, g=G)
    values, kinds = [], []
    for g in (0.5, 0.9, 1.9) if quick else (0.0, 0.4, 0.8, 1.2, 1.5, 1.8, 1.9, 2.0):
        at = replace(c, g=g)
        states = [*dmft.stationary(at), *(dmft.chaotic(at) if g else ())]
        values += [s.delta0[0] for s in states if s.kappa[0] > NONE]
        kinds += ["at rest" if hasattr(s, "outliers") else "chaotic" for s in states if s.kappa[0] > NONE]
    gain, off = float(gaussian_average("tanh", mean=0.0, variance=values[0], order=1)), np.ptp(values)
    yield checks.claim(
        f"loadings of zero mean, overlap {overlap:g}: Delta_0 is the same in all states with kappa, whatever g "
        f"({kinds.count('at rest')} at rest, {kinds.count('chaotic')} chaotic)",
        off < 1e-9 and len(set(kinds)) == 2,
        f"Delta_0 = {values[0]:.10g}, apart by {off:.0e}",
        "one value, within 1e-9",
    )
    yield checks.number("there <phi'> = 1/overlap", gain, 1 / overlap, 1e-10)


def _branch_figure(data, found, options, onset, end):
    chaotic = {g: several[-1] for g, several in options["chaotic"].items()}
    sizes = dict.fromkeys(AT_REST, options["n"]) | chaotic
    strengths = np.array([*sizes])
    data = data | {"strengths": strengths, "transitions": np.array([onset.value, end.value])}
    for matched, words in ((False, "free"), (True, "matched")):
        for name in ("kappa", "delta0", "delta_inf"):
            pairs = [simulated.mean_and_error(found[g, matched, n][name]) for g, n in sizes.items()]
            data[f"{words}_{name}"], data[f"{words}_{name}_error"] = np.array(pairs).T

    marks = tuple(zip("CB", data["transitions"], strict=True))

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 3, width=4.4, height=4.0)
            for ax, name in zip(axes[0], ("kappa", "delta0", "delta_inf"), strict=True):
                rest = data["static_delta0" if name == "delta_inf" else f"static_{name}"]
                plots.plot_curve(ax, data["g"], rest, data["static_stable"], 0, "structured, at rest")
                plots.plot_curve(ax, data["structured_g"], data[f"structured_{name}"], None, 5, "structured, chaotic")
                chaos = data["chaos_g"], data[f"chaos_{name}"], data["chaos_stable"]
                plots.plot_curve(ax, *chaos, 2, "chaotic, no structure")
                for words, marker, shift in (("free", "o", -0.02), ("matched", "s", 0.02)):
                    values = data[f"{words}_{name}"], data[f"{words}_{name}_error"]
                    look = {"colour": 6, "marker": marker, "offset": shift, "label": f"networks, {words}"}
                    plots.plot_measured(ax, data["strengths"], *values, **look)
                plots.plot_transitions(ax, data["transitions"], [f"$g_{x}$ = {v:.4f}" for x, v in marks])
                ax.set(xlabel="g", ylabel=LABELS[name], xlim=(0, 2.6))
            figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        return figure

    caption = (
        "Every state with kappa >= 0 against the strength of the random part (at kappa = 0 without fluctuations, rest: "
        "not drawn). Lines: theory, solid where the state attracts, dashed elsewhere. Points: mean and standard error "
        f"over {options['draws']} networks of N = {options['n']} at rest, and over {options['chaotic_draws']} chaotic "
        f"ones of N = {' and '.join(map(str, chaotic.values()))}, drawn freely or with exactly the "
        "overlaps of the theory. Dotted: transitions; near them finite networks are off by large multiples of 1/N."
    )
    return Figure("branches", caption, draw_it, data)


CASES = (
    Case(
        name="structure-and-chaos",
        title="Structure in the mean of the loadings against chaos",
        source=f'{MO18}; lecture notes "Low-rank RNNs"',
        text=(
            "Rank one, m of mean 1.1 and variance 1, n of mean 2 and independent of m: the overlap 2.2 lies in the "
            "means. At small g two states at rest with kappa = ± attract; at g_C they turn chaotic without losing "
            "kappa, and at g_B kappa falls to 0: chaos without structure. The pair of mirror images is what makes the "
            "network bistable; two kinds of attractor at the same parameters were looked for and not found. The means, "
            "and the variance of m, are those of the figure; g = 0.8 for the trend in N is ours, and the variance of n "
            "(1), which only the spread over draws depends on. Next to the end of the structure networks of thousands "
            "of neurons still turn between kappa and -kappa, so that structured chaos is compared at g = 3.2 and "
            "overlap 4.5 (ours), far from both of its ends. Networks start from independent numbers about kappa m; in "
            "chaos they are compared with the two-time theory of that start, in their window of time."
        ),
        connectivity=network(G),
        check=_structure,
        networks=False,
    ),
)
