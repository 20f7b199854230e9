"""Structure and chaos in one network: Mastrogiuseppe and Ostojic 2018, Fig. 1, without input."""

from dataclasses import replace

import numpy as np

from meanfield import dmft, plotting
from meanfield.averages import gaussian_average
from meanfield.connectivity import Connectivity
from meanfield.dmft import plots, stationary_branch
from meanfield.dmft.following import follow
from meanfield.dmft.transitions import chaos_onset, structure_end
from meanfield.fluctuations import spread

from .. import pictures
from ..analysis import Figure
from ..landscape import landscape, one_of_each_pair
from ..networks import draw
from ..random_check import random_crosscheck
from ..simulation import relax
from ..workers import over
from . import checks, draws, simulated
from .record import Case

MO18 = "Mastrogiuseppe & Ostojic, Neuron 2018, Fig. 1"
MEAN_M, MEAN_N, G = 1.1, 2.0, 0.8
#: The transitions as quoted for these parameters: onset of chaos in the structured state, end of the structure.
QUOTED_C, QUOTED_B = 1.796, 2.136
#: Strengths at which networks are drawn: at rest with structure, chaotic with structure, chaotic without.
AT_REST, STRUCTURED, UNSTRUCTURED = (0.4, 0.8, 1.2), (1.9,), (2.4,)
#: Neurons and draws of each strength and kind; times in tau; sizes and draws of the trend.
FULL = {"n": 1000, "draws": 8, "duration": 60.0, "discard": 50.0, "trials": 4, "trend": (1000, 2000, 4000), "many": 6}
QUICK = {"n": 500, "draws": 6, "duration": 40.0, "discard": 30.0, "trials": 4, "trend": (300, 600), "many": 8}
#: The plane of the phase diagram, and its regions.
SPAN_G, SPAN_OVERLAP = (0.02, 2.6), (0.2, 3.0)
REGIONS = ("decay to rest", "structured, static", "structured, chaotic", "chaotic, no structure")
KINDS = {"nothing": "free draws", "moments": "matched overlaps"}
LABELS = {"kappa": r"$\kappa$", "delta0": r"$\Delta_0$", "delta_inf": r"$\Delta_\infty$"}
#: The planted wrong theory has an overlap of the means larger by this factor.
PLANTED = 1.1
# Units that move by less are at rest; kappa below this is none.
_REST, _NONE = 1e-6, 1e-6


def network(g, overlap=MEAN_M * MEAN_N):
    """The connectivity of the figure, with the mean of n for this overlap of the means."""
    parameters = {"mean m1": MEAN_M, "mean n1": overlap / MEAN_M, "m1 m1": 1.0, "n1 n1": 1.0}
    return Connectivity.from_overlaps([parameters], rank=1, g=g)


def at_rest(shared, job):
    """kappa, Delta_0 and Delta_inf of a drawn network that comes to rest."""
    c, seed = shared
    g, n_neurons, number, matched, kappa, _ = job
    net = draw(replace(c, g=g), n_neurons, [seed, n_neurons, number, round(1000 * g)], matched)
    end = relax(net, kappa, tolerance=_REST, progress=False)
    variance = end.x.var(ddof=1) if end.success else np.nan
    return {"kappa": end.kappa[0] if end.success else np.nan, "delta0": variance, "delta_inf": variance}


def branches(points):
    """Every state against g: arrays over one grid, nan where there is none, by name."""
    g = np.linspace(0.0, 2.6, points)
    c = network(G)
    onset = next(q for q in chaos_onset(c, bracket=(1.3, 2.3)) if abs(q.kappa[0]) > _NONE)
    (end,) = structure_end(c, bracket=(1.5, 2.6))
    g = np.sort([*g, onset.value - 1e-9, onset.value + 1e-9])
    anchor = dmft.stationary(c)[-1]
    static = stationary_branch(c, vary={"g": g}, start=anchor)
    there = static.converged & (static.kappa[:, 0] > _NONE)
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
    states = [p.state for p in follow(c, values=values)]
    found = {f"{name}_g": values}
    for key in ("kappa", "delta0", "delta_inf"):
        found[f"{name}_{key}"] = np.array([np.nan if s is None else abs(getattr(s, key)[0]) for s in states])
    return found


def _structure(result, quick, seed):
    options = QUICK if quick else FULL
    data, onset, end = branches(40 if quick else 81)
    found, theory = _networks(options, seed)
    statements = [*_transitions(onset, end), *_points(found, theory, options), *_same_variance(quick)]
    lines, regions = _diagram(quick)
    statements += [_line_agrees(lines, onset, end), *_kinds_that_attract(quick)]
    trend, more = _trend(result, options, seed)
    figures = (_branch_figure(data, found, options, onset, end), _diagram_figure(lines, regions), trend)
    return figures, [*statements, *more]


def _transitions(onset, end):
    for name, q, quoted in (("g_C", onset, QUOTED_C), ("g_B", end, QUOTED_B)):
        text = f"{name}, {q.kind}: {q.value:.10f} ± {q.error:.0e}"
        yield checks.printed(text, q.value, quoted, 3, f"{MO18}, to three decimals")
    gain = float(gaussian_average("tanh", mean=0.0, variance=end.delta0[0], order=1))
    text = "at g_B the overlap of the means times <phi'> of chaos without structure is 1"
    yield checks.number(text, MEAN_M * MEAN_N * gain, 1.0, 10 * end.error + 1e-12)  # d<phi'>/dg is of order 1


def _networks(options, seed):
    """Networks of each strength, chaotic ones of half the size too: numbers by (g, matched, N); and the theory."""
    theory, found = {}, {}
    for g in (*AT_REST, *STRUCTURED, *UNSTRUCTURED):
        (theory[g],) = one_of_each_pair(landscape(network(g)).attractors)
    chaotic, n = (*STRUCTURED, *UNSTRUCTURED), options["n"]
    for worker, shared, strengths, sizes in (
        (at_rest, (network(G), seed), AT_REST, (n,)),
        (simulated.measured, (network(G), options, seed, False), chaotic, (n, n // 2)),
    ):
        cells = [(g, size, matched) for size in sizes for g in strengths for matched in (False, True)]
        jobs = [
            (g, size, k, matched, theory[g].kappa, _bulk(theory[g]))
            for g, size, matched in cells
            for k in range(options["draws"])
        ]
        for job, run in zip(jobs, over(worker, shared, jobs), strict=True):
            found.setdefault((job[0], job[3], job[1]), []).append(run)
    return {key: simulated.gather(v, ("kappa", "delta0", "delta_inf")) for key, v in found.items()}, theory


def _bulk(state):
    return float(max((state.delta0 - state.problem.structure_variance(state.kappa))[0], 0.0))


def _points(found, theory, options):
    """Means over draws: at rest with the predicted spread; in chaos with the measured one, continued to infinite N."""
    n = options["n"]
    for g in AT_REST:
        for matched, (name, words) in zip((False, True), KINDS.items(), strict=True):
            sp, drawn = spread(theory[g], name), found[g, matched, n]
            std, value = np.array([sp.std(n)[0], sp.delta0_std(n)[0]]), [theory[g].kappa[0], theory[g].delta0[0]]
            values = np.stack([drawn["kappa"], drawn["delta0"]], 1)
            yield draws.mean_agrees(f"g = {g:g}, {words}: kappa and Delta_0", values, value, n, std)
    for g in (*STRUCTURED, *UNSTRUCTURED):
        for name in ("kappa", "delta0", "delta_inf"):
            drawn = [np.concatenate([found[g, kind, size][name] for kind in (False, True)]) for size in (n // 2, n)]
            text = f"g = {g:g}, chaotic, free and matched draws: {name}"
            yield draws.limit_agrees(text, (n // 2, n), drawn, getattr(theory[g], name)[0])
    wrong = dmft.stationary(network(G, PLANTED * MEAN_M * MEAN_N))[-1].kappa[0]
    std = spread(theory[G], "moments").std(n)[0]
    text = f"a planted wrong theory, overlap larger by {PLANTED - 1:.0%}: its kappa is rejected at g = {G:g}, matched"
    yield draws.is_rejected(text, found[G, True, n]["kappa"], wrong, n, std)


def _same_variance(quick):
    """For loadings of zero mean kappa (overlap <phi'> - 1) = 0: where kappa is not 0, Delta_0 is one number."""
    overlap = MEAN_M * MEAN_N
    c = Connectivity.from_overlaps([{"n1 m1": overlap}], rank=1, g=G)
    values, kinds = [], []
    for g in (0.5, 0.9, 1.9) if quick else (0.0, 0.4, 0.8, 1.2, 1.5, 1.8, 1.9, 2.0):
        at = replace(c, g=g)
        states = [*dmft.stationary(at), *(dmft.chaotic(at) if g else ())]
        values += [s.delta0[0] for s in states if s.kappa[0] > _NONE]
        kinds += ["at rest" if hasattr(s, "outliers") else "chaotic" for s in states if s.kappa[0] > _NONE]
    gain, off = float(gaussian_average("tanh", mean=0.0, variance=values[0], order=1)), np.ptp(values)
    yield checks.claim(
        f"loadings of zero mean, overlap {overlap:g}: Delta_0 is the same in all states with kappa, whatever g "
        f"({kinds.count('at rest')} at rest, {kinds.count('chaotic')} chaotic)",
        off < 1e-9 and len(set(kinds)) == 2,
        f"Delta_0 = {values[0]:.10g}, apart by {off:.0e}",
        "one value, within 1e-9",
    )
    yield checks.number("there <phi'> = 1/overlap", gain, 1 / overlap, 1e-10)


def end_of_structure(g):
    """The overlap of the means below which the structure ends: 1 where rest attracts, 1/<phi'> of chaos above g = 1."""
    chaos = follow(network(g.max(), 0.5), values=g[g > 1][::-1])
    gains = [float(gaussian_average("tanh", mean=0.0, variance=p.state.delta0[0], order=1)) for p in chaos]
    return np.concatenate([np.ones((g <= 1).sum()), 1 / np.array(gains[::-1])])


def onset_of_chaos(overlaps, low, high, steps=42):
    """g at which the bulk radius of the structured state at rest passes 1, for many overlaps at once, by bisection."""
    low, high = np.broadcast_to(low, overlaps.shape).copy(), np.asarray(high, float).copy()
    start = dmft.stationary(network(G))[-1]
    for _ in range(steps):
        middle = (low + high) / 2
        state = stationary_branch(network(G), vary={"g": middle, "mean n1": overlaps / MEAN_M}, start=start)
        # a state without kappa is past the end of the structure
        calm = (state.kappa[:, 0] > _NONE) & (state.bulk_radius < 1)
        low, high = np.where(calm, middle, low), np.where(calm, high, middle)
    return (low + high) / 2


def _diagram(quick):
    """Lines of the phase diagram, and what attracts on a grid: stationary states at once, chaos from the lines."""
    g = np.linspace(1.0, SPAN_G[1], 12 if quick else 40)
    end = end_of_structure(g)
    overlaps = np.append(np.linspace(1.02, SPAN_OVERLAP[1], 11 if quick else 28), MEAN_M * MEAN_N)
    overlaps.sort()
    onset = onset_of_chaos(overlaps, 0.9, np.full(len(overlaps), SPAN_G[1] + 1))
    fine_g, fine = (np.linspace(*span, 60 if quick else 160) for span in (SPAN_G, SPAN_OVERLAP))
    grid_g, grid = np.meshgrid(fine_g, fine)
    vary = {"g": grid_g, "mean n1": grid / MEAN_M}
    state = stationary_branch(network(G), vary=vary, start=dmft.stationary(network(G))[-1])
    structured = np.abs(state.kappa[..., 0]) > 1e-4
    above = grid > np.interp(grid_g, g, end)
    kinds = np.where(grid_g < 1, 0, 3)
    kinds = np.where(above, np.where(state.stable & structured, 1, 2), kinds)
    lines = {"g": g, "end": end, "overlap": overlaps, "onset": onset}
    return lines, {"grid_g": fine_g, "grid_overlap": fine, "kinds": kinds}


def _line_agrees(lines, onset, end):
    k = int(np.argmin(np.abs(lines["overlap"] - MEAN_M * MEAN_N)))
    off = abs(lines["onset"][k] - onset.value)
    gap = abs(np.interp(end.value, lines["g"], lines["end"]) - MEAN_M * MEAN_N)
    allowed = np.diff(lines["g"])[0] ** 2 / 8  # between points of a line whose second derivative is below 1
    text = "the lines of the phase diagram pass through g_C and g_B"
    expected = f"1e-9 (bisection), {allowed:.0e} (interpolation)"
    return checks.claim(text, off < 1e-9 and gap < allowed, f"off by {off:.0e} and {gap:.0e}", expected)


def kind(g, overlap):
    """Which regions attract at a point of the plane, by a complete search for states: sorted places in REGIONS."""
    found = set()
    for s in landscape(network(g, overlap)).attractors:
        rest, structured = hasattr(s, "outliers"), abs(s.kappa[0]) > _NONE
        found.add((1 if rest else 2) if structured else 0 if rest else 3)
    return sorted(found)


def _kinds_that_attract(quick):
    """The whole search at points of every region: the regions are those of the lines, and no two kinds coexist."""
    g = np.array([0.5, 1.2, 1.9, 2.3] if quick else [0.5, 0.8, 1.05, 1.2, 1.5, 1.9, 2.1, 2.4])
    end = np.ones(len(g))
    end[g > 1] = end_of_structure(g[g > 1])
    share = (0.9, 1.1) if quick else (0.5, 0.99, 1.01, 1.1, 1.3)
    points = [(float(x), float(e * f), f > 1) for x, e in zip(g, end, strict=True) for f in share]
    overlaps = np.array([o for _, o, above in points])
    onset = onset_of_chaos(np.maximum(overlaps, 1.05), 0.5, np.full(len(points), 6.0))
    expected = [
        (1 if x < line else 2) if above else 0 if x < 1 else 3
        for (x, _, above), line in zip(points, onset, strict=True)
    ]
    found = [kind(x, o) for x, o, _ in points]
    wrong = [p[:2] for p, f, e in zip(points, found, expected, strict=True) if f != [e]]
    several = sum(len(f) > 1 for f in found)
    yield checks.claim(
        f"what attracts at {len(points)} points of the plane (all states at rest, all fluctuating ones that the search "
        "meets) is what the lines say",
        not wrong,
        f"{len(points) - len(wrong)} points agree" + "".join(f"; not g = {g:g}, overlap {o:.4g}" for g, o in wrong[:3]),
        "all",
    )
    yield checks.claim(
        "two kinds of attractor at one point: rest or chaos with structure beside another kind (the mirror image "
        "-kappa aside)",
        several == 0,
        f"at {several} of {len(points)} points, the nearest {min(abs(f - 1) for f in share):.0%} off the end",
        "none: the structure ends continuously, in a pitchfork",
    )


def _trend(result, options, seed):
    """z-scores of the state at rest, for free and matched draws of growing networks."""
    scape, sizes = result.landscapes[0], options["trend"]
    made = {
        matched: random_crosscheck(
            result.case.connectivity, sizes=sizes, draws=options["many"], seed=seed, known=scape, matched=matched,
            planted=False, progress=False,
        )
        for matched in KINDS
    }  # fmt: skip
    (state,) = one_of_each_pair(scape.attractors)
    statements, data = [], {"sizes": np.array(sizes), "kappa": state.kappa[0], "delta0": state.delta0[0]}
    for matched, words in KINDS.items():
        check = made[matched]
        text = f"g = {G:g}, {words}, {options['many']} networks each of N = {', '.join(map(str, sizes))}"
        kappa = next(r for r in check.rows if r.observable.key == ("kappa", 0, 0))
        far = (kappa.mean - state.kappa[0]) / kappa.predicted_std * np.sqrt(kappa.count)
        found = (
            f"{sum(r.agrees for r in check.rows)} of {len(check.rows)} numbers agree; z of mean kappa "
            f"{', '.join(f'{z:+.1f}' for z in far)}; z-scores have standard deviation {check.calibration:.3f}"
        )
        found += "".join(f"; {f}" for f in check.failures[:3])
        expected = "all agree; family-wise level 0.001"
        text += ": mean and spread of every number, which falls like N^(-1/2)"
        statements.append(checks.claim(text, not check.failures, found, expected, draws.NETWORKS))
        sp = spread(state, matched)
        data[f"{matched}_variance"] = np.array([sp.covariance[0, 0], sp.delta0_covariance[0, 0]])
        data[f"{matched}_n"] = np.array([d.n_neurons for d in check.draws])
        for name in ("kappa", "delta0"):
            data[f"{matched}_{name}"] = np.array([d.values.get((name, 0, 0), np.nan) for d in check.draws])
    return _trend_figure(data, options), statements


def _trend_figure(data, options):
    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(2, 2, width=4.6, height=3.0, sharey="row", sharex=True)
            for column, (matched, words) in zip(axes.T, KINDS.items(), strict=True):
                for k, (ax, name) in enumerate(zip(column, ("kappa", "delta0"), strict=True)):
                    rows = [(data[name], np.nan, data[f"{matched}_variance"][k])]
                    drawn = data[f"{matched}_n"], data[f"{matched}_{name}"]
                    pictures.plot_funnel(ax, data["sizes"], rows, drawn)
                    ax.set(xlabel="neurons N" if k else "", ylabel=LABELS[name] if ax in axes[:, 0] else "")
                column[0].set_title(words)
        return figure

    caption = (
        f"The structured state at rest, g = {G:g}. Line and band: theory and its predicted 95 % interval over draws. "
        f"Dots: {options['many']} networks of each size. Matching the overlaps leaves the spread of the random part."
    )
    return Figure("trend", caption, draw_it, data)


def _branch_figure(data, found, options, onset, end):
    strengths = np.array([*AT_REST, *STRUCTURED, *UNSTRUCTURED])
    data = data | {"strengths": strengths, "transitions": np.array([onset.value, end.value])}
    for matched, words in ((False, "free"), (True, "matched")):
        for name in ("kappa", "delta0", "delta_inf"):
            pairs = [simulated.mean_and_error(found[g, matched, options["n"]][name]) for g in strengths]
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
                    look = {"colour": 6, "marker": marker, "offset": shift, "label": f"N = {options['n']}, {words}"}
                    plots.plot_measured(ax, data["strengths"], *values, **look)
                plots.plot_transitions(ax, data["transitions"], [f"$g_{x}$ = {v:.4f}" for x, v in marks])
                ax.set(xlabel="g", ylabel=LABELS[name], xlim=(0, 2.6))
            figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        return figure

    caption = (
        "Every state with kappa >= 0 against the strength of the random part (at kappa = 0 without fluctuations, rest: "
        "not drawn). Lines: theory, solid where the state attracts, dashed elsewhere. Points: mean and standard error "
        f"over {options['draws']} networks of N = {options['n']}, drawn freely or with exactly the overlaps of the "
        "theory. Dotted: transitions; near them the variances of finite networks are off by large multiples of 1/N."
    )
    return Figure("branches", caption, draw_it, data)


def _diagram_figure(lines, regions):
    data = lines | regions

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 1, width=6.0, height=4.8)
            ax = axes[0, 0]
            plots.plot_regions(ax, data["grid_g"], data["grid_overlap"], data["kinds"], REGIONS)
            left = np.array([0.0, *data["g"]]), np.array([1.0, *data["end"]])
            ax.plot(*left, color=plotting.COLOURS[0], lw=1.8)
            ax.plot(data["onset"], data["overlap"], color=plotting.COLOURS[5], lw=1.8)
            ax.plot([1, 1], [0, 1], color=plotting.COLOURS[2], lw=1.8)
            ax.plot([0, SPAN_G[1]], [MEAN_M * MEAN_N] * 2, "k:", lw=1.0)
            ax.annotate("branches", (0.08, MEAN_M * MEAN_N), xytext=(0, 3), textcoords="offset points", fontsize=8)
            ax.set(xlabel="g", ylabel="overlap of the means", xlim=(0, SPAN_G[1]), ylim=SPAN_OVERLAP)
        return figure

    caption = (
        "What attracts, by the strength of the random part and the overlap of the means of m and n. Regions: stability "
        "of the states at rest on a grid, and the lines. Lines, roots of the theory: end of the structure (blue), "
        "onset of chaos in the structured state (orange-red), onset of chaos without structure, g = 1 (green). Dotted: "
        "the overlap of the other figure, where networks were drawn."
    )
    return Figure("diagram", caption, draw_it, data)


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
            "(1), which only the spread over draws depends on."
        ),
        connectivity=network(G),
        check=_structure,
        networks=False,
    ),
)
