"""Pictures of the random-dots networks: what they do, what they have in common, what their populations do."""

import numpy as np

from meanfield import plotting

from ..analysis import Figure

#: Overlaps that the thesis reports for most of its trainings.
THESIS = (1.1, 1.5)


def figures(found):
    """Behaviour, overlaps, and networks drawn anew."""
    return behaviour(found), overlaps(found), redrawn(found)


def _means(exam, levels):
    """Mean and standard deviation of the readout (L, T) over the trials of each coherence."""
    c = exam.trials.condition("coherence")
    some = [exam.z[np.isclose(c, level)] for level in levels]
    return np.array([z.mean(0) for z in some]), np.array([z.std(0) for z in some])


SHOWN = (-4.0, -1.0, -0.2, 0.2, 1.0, 4.0)


def behaviour(found):
    """Thesis, Fig. 3.2; and what the network does without input."""
    task, exam, limit = found.task, found.exam, found.own.limit
    trials = exam.trials
    mean, std = _means(exam, SHOWN)
    line = np.linspace(-1, 1, 201)
    begin, end, first, last = task._periods()
    data = {
        "levels": exam.curve.levels,
        "share": exam.curve.share,
        "error": exam.curve.error,
        "limit": limit.curve.share,
        "line": line,
        "ideal": ideal(task, line),
        "shown": np.array(SHOWN),
        "t": task.dt * (1 + np.arange(trials.steps)),
        "mean": mean,
        "std": std,
        "limit_mean": _means(limit, SHOWN)[0],
        "periods": task.dt * np.array([begin, end, first, last]),
        "rest_t": np.arange(found.rest[1].shape[1]) * task.dt / task.tau,
        "rest": found.rest[1],
        "rest_points": stable_readouts(found),
    }
    caption = (
        f"Left: share of +1 decisions of the trained network ({len(trials)} trials, Wilson's errors) and of its mean-"
        f"field limit, one population (crosses, {len(limit.trials)} trials of their own); grey: an observer who sums "
        "the stream without loss, whom nobody can beat. Middle: mean and standard deviation of the readout over the "
        "trials of each coherence, and the mean of the limit (dashed); grey: stimulus, line below: decision. Right: "
        f"{len(found.rest[1])} runs without input from x = 0, driven by the private noise alone; dashed: readouts at "
        "the network's stable points."
    )
    return Figure("behaviour", caption, lambda: _draw_behaviour(data), data)


def ideal(task, coherence):
    """Share of +1 decisions of the sign of the summed stimulus: Phi(sqrt(T) scale c / noise)."""
    from scipy.special import ndtr

    begin, end, *_ = task._periods()
    return ndtr(np.sqrt(end - begin) * task.scale * np.asarray(coherence) / task.noise_std)


def stable_readouts(found):
    """Readouts of the network at its stable points without input."""
    portrait = found.portraits[0]
    return portrait.field.readout(portrait.fixed_points.stable)[:, 0]


def _draw_behaviour(data):
    from matplotlib import colormaps

    with plotting.style():
        figure, axes = plotting.figure(1, 3, width=3.9, height=3.2)
        curve, course, rest = axes[0]
        curve.plot(data["line"], data["ideal"], color="0.6", label="ideal observer")
        inside = np.abs(data["levels"]) <= 1
        x = data["levels"][inside]
        curve.errorbar(
            x, data["share"][inside], data["error"][inside], fmt="o", color=plotting.COLOURS[0], capsize=2,
            label="network",
        )  # fmt: skip
        curve.plot(x, data["limit"][inside], "x", color=plotting.COLOURS[5], ms=8, label=r"$N\to\infty$")
        curve.set(xlabel="coherence", ylabel="share of +1 decisions", ylim=(-0.05, 1.05))
        curve.legend(loc="upper left")
        begin, end, first, last = data["periods"]
        course.axvspan(begin, end, color="0.93", lw=0)
        course.plot([first, last], [0.02, 0.02], color="k", lw=3, transform=course.get_xaxis_transform())
        colours = colormaps["coolwarm"](np.linspace(0, 1, len(data["shown"])))
        for k, (level, colour) in enumerate(zip(data["shown"], colours, strict=True)):
            low, high = data["mean"][k] - data["std"][k], data["mean"][k] + data["std"][k]
            course.fill_between(data["t"], low, high, color=colour, alpha=0.2, lw=0)
            course.plot(data["t"], data["mean"][k], color=colour, label=f"{level:g}")
            course.plot(data["t"], data["limit_mean"][k], "--", color="k", lw=0.7)
        course.set(xlabel="time (ms)", ylabel="readout z")
        course.legend(title="coherence", fontsize=7, title_fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        rest.plot(data["rest_t"], data["rest"].T, color=plotting.COLOURS[0], lw=0.5, alpha=0.6)
        for z in data["rest_points"]:
            rest.axhline(z, color="k", ls="--", lw=1)
        rest.set(xlabel=r"time ($\tau$), no input", ylabel="readout z")
    return figure


def overlaps(found):
    """Overlaps and cosines over the trainings."""
    data = {"thesis": np.array(THESIS), "pairs": np.array(list(found.held[0].cosines))}
    for name, seeds in (("held", found.held), ("brief", found.brief)):
        data[f"{name}_overlap"] = np.array([s.overlap for s in seeds])
        data[f"{name}_points"] = np.array([len(s.points) for s in seeds])
        data[f"{name}_cosines"] = np.array([list(s.cosines.values()) for s in seeds])
    caption = (
        "Left: overlap m.n/N after training, with its standard error over neurons; filled: the network has three fixed "
        "points, two of them stable (proved); open: one. Blue: trained to hold the decision for 500 ms and read out "
        "for 300 ms; orange: read at one step after 100 ms. Grey: range of the thesis. Right: cosines between the "
        "loadings, with jackknife errors; signs are chosen so that I.n > 0, which the decision does not depend on."
    )
    return Figure("overlaps", caption, lambda: _draw_overlaps(data), data)


def _draw_overlaps(data):
    with plotting.style():
        figure, axes = plotting.figure(1, 2, width=4.2, height=3.2)
        left, right = axes[0]
        left.axhspan(*data["thesis"], color="0.9", lw=0)
        left.axhline(1, color="k", lw=0.8)
        for name, colour, shift in (("held", plotting.COLOURS[0], -0.08), ("brief", plotting.COLOURS[1], 0.08)):
            value, error = data[f"{name}_overlap"].T
            x = np.arange(len(value))
            left.errorbar(x + shift, value, error, fmt="none", ecolor=colour)
            face = np.where(data[f"{name}_points"] == 3, colour, "white")
            left.scatter(x + shift, value, c=face, edgecolors=colour, s=45, zorder=3)
            cosine, errors = np.moveaxis(data[f"{name}_cosines"], -1, 0)
            # the joint sign of (m, n) is free, and so is that of (I, w): input to decision
            signs = np.sign(cosine[:, [1]]) ** np.array([0, 1, 1, 1])
            places = np.arange(cosine.shape[1]) + 2 * shift
            for k in range(len(cosine)):
                right.errorbar(places + 0.05 * (k - 2), (signs * cosine)[k], errors[k], fmt="o", ms=4, color=colour)
        left.set(xlabel="seed of the training", ylabel=r"overlap $m \cdot n / N$", xticks=range(len(value)))
        labels = [f"{a}, {b}" for a, b in data["pairs"]]
        right.set(xticks=range(len(labels)), xticklabels=labels, ylabel="cosine", ylim=(0, 1))
    return figure


def redrawn(found):
    """Thesis, Fig. 3.3."""
    hand = found.hand
    data = {
        "levels": hand.first.curve.levels,
        "hand": hand.plus,
        "hand_limit": hand.limit.curve.share,
        "own": found.own.plus,
        "own_limit": found.own.limit.curve.share,
        "network": found.exam.curve.share,
        "network_error": found.exam.curve.error,
        "shown": np.array(SHOWN),
        "t": found.task.dt * (1 + np.arange(hand.first.trials.steps)),
        "mean": _means(hand.first, SHOWN)[0],
        "hand_mean": _means(hand.limit, SHOWN)[0],
        "overlap": np.stack([d.overlap for d in (found.own, hand, found.hand_limit)]),
        "level": np.stack([d.level for d in (found.own, hand, found.hand_limit)]),
        "predicted": np.stack([d.predicted for d in (found.own, hand, found.hand_limit)]),
    }
    draws = len(hand.overlap)
    caption = (
        f"Left: psychometric curves of {draws} networks of 512 neurons from the six trained parameters (thin), and of "
        "their limit (thick). Second: the same for the one population of the trained network, with that network "
        "(points). Third: readout of one of the hand-built networks by coherence, and of their limit (dashed). Right: "
        "mean readout of each drawn network at decision, times the target, against its own overlap (dots), and that of "
        "the infinite network with the moments of this draw (crosses): from the trained network's population (blue), "
        "hand-built (orange), hand-built and trained at N = infinity (green)."
    )
    return Figure("redrawn", caption, lambda: _draw_redrawn(data), data)


def _draw_redrawn(data):
    from matplotlib import colormaps

    with plotting.style():
        figure, axes = plotting.figure(1, 4, width=3.4, height=3.0)
        inside = np.abs(data["levels"]) <= 1
        x = data["levels"][inside]
        for ax, name, title in zip(axes[0], ("hand", "own"), ("six parameters", "one population"), strict=False):
            ax.plot(x, data[name][:, inside].T, color=plotting.COLOURS[0], lw=0.6, alpha=0.7)
            ax.plot(x, data[f"{name}_limit"][inside], color="k", lw=2)
            ax.set(xlabel="coherence", ylabel="share of +1 decisions", title=title, ylim=(-0.05, 1.05))
        axes[0, 1].errorbar(
            x, data["network"][inside], data["network_error"][inside], fmt="o", color=plotting.COLOURS[5], zorder=4
        )
        colours = colormaps["coolwarm"](np.linspace(0, 1, len(data["shown"])))
        for mean, limit, colour in zip(data["mean"], data["hand_mean"], colours, strict=True):
            axes[0, 2].plot(data["t"], mean, color=colour)
            axes[0, 2].plot(data["t"], limit, "--", color="k", lw=0.7)
        axes[0, 2].set(xlabel="time (ms)", ylabel="readout z", title="one of them")
        for k, colour in zip(range(len(data["overlap"])), plotting.COLOURS, strict=False):
            axes[0, 3].plot(data["overlap"][k], data["level"][k], "o", ms=4, color=colour)
            axes[0, 3].plot(data["overlap"][k], data["predicted"][k], "x", ms=5, color=colour)
        axes[0, 3].axvline(1, color="0.7", lw=0.8)
        axes[0, 3].axhline(1, color="0.7", lw=0.8)
        axes[0, 3].set(xlabel=r"overlap $m \cdot n / N$", ylabel="readout at decision")
    return figure
