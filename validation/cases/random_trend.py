"""Networks of growing size with structure: at rest with their predicted spread, and in structured chaos."""

import numpy as np

from meanfield import plotting
from meanfield.fluctuations import spread

from .. import pictures
from ..analysis import Figure
from ..landscape import landscape, one_of_each_pair
from ..random_check import random_crosscheck
from ..random_pictures import plot_draws
from ..workers import over
from . import checks, draws, simulated
from .random_plane import G, network

KINDS = {"nothing": "free draws", "moments": "matched overlaps"}
LABELS = {"kappa": r"$\kappa$", "delta0": r"$\Delta_0$", "delta_inf": r"$\Delta_\infty$"}
#: The planted wrong theory has an overlap of the means larger by this factor.
PLANTED = 1.1
#: Structured chaos far from both of its ends: g, and the overlap of the means. Next to the end of the structure
#: networks of thousands of neurons still turn between kappa and -kappa.
FAR_G, FAR_OVERLAP = 3.2, 4.5
#: Chaotic networks from this size on tell the planted theory from the right one.
TELLING = 2000


def rest_trend(result, options, seed):
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


def chaotic_networks(c, points, theory, options, seed):
    """Fluctuating networks by (g, matched, N), and what the theory has in their window of time by g: numbers by name.

    ``points`` gives the sizes for each g; options as for :func:`~simulated.measured`, and ``chaotic_draws``.
    """
    jobs = [
        simulated.Job(g, n, k, theory[g].kappa, bulk(theory[g]), matched)
        for g, sizes in points.items()
        for n in sizes
        for matched in (False, True)
        for k in range(options["chaotic_draws"])
    ]
    # the largest first, whatever their g: the cores finish together
    jobs.sort(key=lambda job: -job.n_neurons)
    found = {}
    for job, run in zip(jobs, over(simulated.measured, (c, options, seed), jobs), strict=True):
        found.setdefault((job.g, job.matched, job.n_neurons), []).append(run)
    windows = {g: simulated.expected(c, next(job for job in jobs if job.g == g), options) for g in points}
    return {key: simulated.gather(runs, tuple(LABELS)) for key, runs in found.items()}, windows


def far_chaos(options, seed):
    """Structured chaos far from its ends: (found, windows) of networks, as :func:`chaotic_networks` gives them."""
    c = network(FAR_G, FAR_OVERLAP)
    (state,) = one_of_each_pair(landscape(c).attractors)
    return chaotic_networks(c, {FAR_G: options["far"]}, {FAR_G: state}, options, seed)


def bulk(state):
    """The part of Delta_0 that is not structure."""
    return float(max((state.delta0 - state.problem.structure_variance(state.kappa))[0], 0.0))


def chaos_agrees(text, g, sizes, found, windows):
    """Free and matched networks in chaos: means at each size but the smallest, and their limits for infinite N."""
    values = np.array([windows[g][name] for name in LABELS])
    drawn = np.array([[_numbers(found[g, matched, n]) for n in sizes] for matched in (False, True)])
    for one, words in zip(drawn, KINDS.values(), strict=True):
        std, freedom = draws.pooled(sizes, one)
        for k, n in enumerate(sizes[1:], 1):
            line = f"{text}, {words}: kappa, Delta_0 and Delta_inf"
            yield draws.mean_agrees(line, one[k], values, n, std * np.sqrt(sizes[-1] / n), freedom)
    both = np.concatenate(drawn, axis=1)
    for k, name in enumerate(LABELS):
        yield draws.limit_agrees(f"{text}, free and matched draws: {name}", sizes, both[..., k], values[k])
    if len(sizes) > 2:
        scaled = both / np.sqrt(both.var(axis=1, ddof=1) * np.array(sizes)[:, None]).mean(axis=0)
        line = f"{text}, free and matched draws: the spread of kappa, Delta_0 and Delta_inf"
        yield draws.falls_like_root(line, sizes, scaled)


def far_agrees(sizes, found, windows):
    """:func:`chaos_agrees` far from the ends of structured chaos, and a planted wrong theory."""
    text = f"structured chaos far from its ends, g = {FAR_G:g} and overlap {FAR_OVERLAP:g}"
    yield from chaos_agrees(text, FAR_G, sizes, found, windows)
    if sizes[-1] < TELLING:
        return
    drawn = [found[FAR_G, True, n]["kappa"] for n in sizes]
    text = f"a planted wrong theory, overlap larger by {PLANTED - 1:.0%}: its kappa is rejected at g = {FAR_G:g}"
    yield draws.is_rejected(text, drawn[-1], wrong_kappa(), sizes[-1], *draws.pooled(sizes, drawn))


def wrong_kappa():
    """kappa of structured chaos in a network with a larger overlap."""
    return one_of_each_pair(landscape(network(FAR_G, PLANTED * FAR_OVERLAP)).attractors)[0].kappa[0]


def near_the_end(g, sizes, found, window):
    """What networks next to the end of the structure do, without a verdict."""
    lines = []
    for n in sizes:
        drawn = np.concatenate([found[g, matched, n]["kappa"] for matched in (False, True)])
        lost = int((drawn < window["kappa"] / 2).sum())
        numbers = f"kappa {drawn.mean():.3f} with spread {drawn.std(ddof=1):.3f}"
        lines.append(f"N = {n}: {numbers}, below half of the theory's in {lost} of {len(drawn)}")
    return checks.claim(
        f"g = {g:g}, structured chaos of the example, free and matched draws",
        None,
        "; ".join(lines),
        f"{window['kappa']:.4f} for infinite N, which the two-time theory keeps. No verdict: networks of this size "
        "turn between kappa and -kappa, or come to rest; far from both ends they are compared below",
        draws.NETWORKS,
    )


def _numbers(drawn):
    return np.stack([drawn[name] for name in LABELS], axis=-1)


def chaos_figure(found, windows, options):
    """kappa, Delta_0 and Delta_inf of structured chaos against the size of the networks."""
    g, sizes = FAR_G, options["far"]
    data = {"sizes": np.array(sizes), "theory": np.array([windows[g][name] for name in LABELS])}
    for matched, words in ((False, "free"), (True, "matched")):
        data[words] = np.array([_numbers(found[g, matched, n]) for n in sizes])

    def draw_it():
        with plotting.style():
            figure, axes = plotting.figure(1, 3, width=4.0, height=3.6)
            for k, (ax, label) in enumerate(zip(axes[0], LABELS.values(), strict=True)):
                ax.axhline(data["theory"][k], color=plotting.COLOURS[0], label="theory")
                for words, marker, shift in (("free", "o", 0.97), ("matched", "s", 1.03)):
                    plot_draws(ax, shift * data["sizes"], data[words][..., k].T, plotting.COLOURS[5], words, marker)
                ax.set(xlabel="neurons N", ylabel=label, xscale="log", xlim=(0.8 * sizes[0], 1.25 * sizes[-1]))
                ax.set_xticks(sizes, [str(n) for n in sizes])
                ax.minorticks_off()
            axes[0, 0].legend(loc="best")
        return figure

    caption = (
        f"Structured chaos far from its ends, g = {g:g} and overlap {FAR_OVERLAP:g}. Lines: theory, in the window of "
        f"time of the networks. Points: mean and standard deviation over {options['chaotic_draws']} networks of each "
        "size, drawn freely or with exactly the overlaps of the theory."
    )
    return Figure("chaos-trend", caption, draw_it, data)
