"""What a fit recovers of a known teacher, against the number of trials and the noise; and averages over trials."""

from dataclasses import dataclass

import numpy as np

from meanfield import plotting
from meanfield.conventions import check_array, check_integer
from meanfield.progress import tracked
from meanfield.transfer import get_transfer

from ..analysis import Figure
from ..npz import check_number
from ..simulation import simulate
from .activity import prepare
from .comparison import compare_connectivity
from .fitting import lint
from .prediction import free_score

#: Measured of each fit: name -> what it is, for figures.
MEASURES = {
    "r2": "$R^2$, noisy rates",
    "clean": "$R^2$, noise-free rates",
    "cosine": "cosine of $J$",
    "expected": "expected cosine",
    "identifiable": "cosine of $J$ on span($m$, $I$)",
    "acting": "cosine of $J\\phi$ on noise-free trials",
}


@dataclass(frozen=True, eq=False)
class Recovery:
    """Fits to one teacher; axes: noises Q, numbers of trials C, repetitions K.

    Attributes
    ----------
    noises : (Q,)
        Standard deviation added to each x per step.
    counts : (C,)
        Trials fitted to.
    values : dict of str to ndarray (Q, C, K)
        By the names of :data:`MEASURES`: held-out R^2 of free runs against noisy and noise-free rates; cosine between
        the two J, as it is, as the fit expects it, on the span of m and I, and of what the two J do to the rates of
        noise-free trials.
    ceiling : ndarray (Q, K)
        R^2 of the teacher itself against the noisy rates, free-running.
    """

    noises: np.ndarray
    counts: np.ndarray
    values: dict
    ceiling: np.ndarray

    def mean(self, name):
        """Mean over the repetitions (Q, C), and its standard error (nan for one)."""
        values = self.values[name]
        K = values.shape[-1]
        error = values.std(-1, ddof=1) / np.sqrt(K) if K > 1 else np.full(values.shape[:-1], np.nan)
        return values.mean(-1), error

    @property
    def figure(self):
        """Every measure against the number of trials, one line per noise."""
        data = {"noises": self.noises, "counts": self.counts, "ceiling": self.ceiling}
        for name in MEASURES:
            data[name], data[f"{name}: error"] = self.mean(name)
        caption = (
            "Fits to one teacher against the number of trials, one line per noise added to each $x$ per step; bars: "
            "standard error over repetitions. Without noise the activity is reproduced and $J$ is not identified; what "
            "$J$ does to states that occur is."
        )
        return Figure("recovery", caption, lambda: _draw(data), data)

    def __str__(self):
        rows = []
        for q, noise in enumerate(self.noises):
            for k, count in enumerate(self.counts):
                found = "  ".join(f"{name} {self.mean(name)[0][q, k]:.4f}" for name in MEASURES)
                rows.append(f"noise {noise:<6g} {count:5d} trials  {found}  (teacher {self.ceiling[q].mean():.4f})")
        return "\n".join(rows)

    def __repr__(self):
        return f"Recovery(noises {self.noises.tolist()}, trials {self.counts.tolist()})"


def activity_of(net, u, noise_std, seed):
    """x (B, T + 1, N) of a network on inputs u (B, T, S), by Euler's rule, with noise_std added to each x per step."""
    if net.dt is None:
        raise ValueError("the network does not know its Euler step: dataclasses.replace(net, dt=...) sets it")
    noise = check_number("noise_std", noise_std) / np.sqrt(net.dt)
    return simulate(
        net, u, u.shape[1] * net.dt, net.dt, seed if noise else None, method="euler", noise=noise, record_x=True,
        progress=False,
    ).x  # fmt: skip


def recovery(teacher, trials, test, counts, noises, seed, repetitions=1):
    """Fit networks of the teacher's rank to its simulated activity, and compare.

    Parameters
    ----------
    teacher : Network
    trials, test : array_like (B, T, S), (C, T, S)
        Inputs to fit to, and of held-out trials.
    counts : sequence of int
        The first so many of ``trials``.
    noises : sequence of float
        Standard deviation added to each x per step.
    seed, repetitions : int
        Of the noise.

    Returns
    -------
    Recovery
    """
    trials, test = check_array("trials", trials), check_array("test", test)
    counts = np.array([check_integer("counts", c, 1) for c in counts])
    if counts.max() > len(trials):
        raise ValueError(f"counts: at most {len(trials)} trials were given, got {counts.max()}")
    shape = len(noises), len(counts), repetitions
    values, ceiling = {name: np.empty(shape) for name in MEASURES}, np.empty((len(noises), repetitions))
    clean = prepare(activity_of(teacher, test, 0.0, None), test, teacher.dt, teacher.tau, "current", teacher.transfer)
    jobs = [(q, k) for q in range(len(noises)) for k in range(repetitions)]
    u = np.concatenate([trials[: counts.max()], test])
    for q, k in tracked(jobs, "network"):
        x = activity_of(teacher, u, noises[q], [seed, q, k])
        ends = range(counts.max(), len(u))
        for c, count in enumerate(counts):
            at = [*range(count), *ends]
            fit = lint(
                x[at], u[at], teacher.rank, dt=teacher.dt, tau=teacher.tau, variable="current",
                transfer=teacher.transfer, held_out=range(count, len(at)), method="closed form",
            )  # fmt: skip
            for name, value in _measured(fit, teacher, clean).items():
                values[name][q, c, k] = value
        ceiling[q, k] = free_score(teacher, fit.activity, fit.held_out).r2
    return Recovery(np.array(noises, float), counts, values, ceiling)


def _measured(fit, teacher, clean):
    compared = compare_connectivity(fit, teacher)
    everything = range(len(clean))
    return {
        "r2": fit.r2.r2,
        "clean": free_score(fit.network, clean, everything).r2,
        "cosine": compared.cosine,
        "expected": fit.expected_cosine,
        "identifiable": compared.identifiable_cosine,
        "acting": acting_cosine(fit.network, teacher, np.concatenate(clean.rates)),
    }


def acting_cosine(first, second, rates):
    """Cosine between J phi of two low-rank networks over given rates (T, N): what J does where activity goes."""
    ours, theirs = rates @ first.n, rates @ second.n
    gram = {
        (i, j): float(((a.T @ b) * (x.m.T @ y.m)).sum())
        for i, (a, x) in enumerate(((ours, first), (theirs, second)))
        for j, (b, y) in enumerate(((ours, first), (theirs, second)))
    }
    return gram[0, 1] / np.sqrt(gram[0, 0] * gram[1, 1])


def average_conditions(values, conditions):
    """Mean over the trials of each condition: (C, ...) for values (B, ...) and labels (B,), in the labels' order."""
    values, labels = check_array("values", values), np.asarray(conditions)
    if labels.shape != values.shape[:1]:
        raise ValueError(f"conditions: got shape {labels.shape}, expected one label per trial, {values.shape[:1]}")
    return np.stack([values[labels == c].mean(0) for c in np.unique(labels)])


def noisy_rates(x, transfer, std, seed):
    """Rates phi(x) with independent observation noise of that standard deviation."""
    rng = np.random.default_rng(check_integer("seed", seed, 0))
    return get_transfer(transfer)(x) + std * rng.standard_normal(np.shape(x))


def _draw(data):
    with plotting.style():
        figure, axes = plotting.figure(2, 3, width=3.4, height=2.9, sharex=True)
        for ax, (name, label) in zip(axes.flat, MEASURES.items(), strict=True):
            for q, (noise, colour) in enumerate(zip(data["noises"], plotting.COLOURS, strict=False)):
                shown = np.nan_to_num(data[f"{name}: error"][q])
                ax.errorbar(data["counts"], data[name][q], shown, fmt="o-", ms=4, color=colour, label=f"{noise:g}")
                if name == "r2":
                    ax.axhline(data["ceiling"][q].mean(), color=colour, ls=":", lw=1)
            ax.set(xscale="log", ylabel=label)
            ax.set_xticks(data["counts"], [str(count) for count in data["counts"]])
            ax.minorticks_off()
            ax.ticklabel_format(axis="y", useOffset=False)
        for ax in axes[1]:
            ax.set_xlabel("trials")
        axes[0, 0].legend(title="noise")
    return figure
