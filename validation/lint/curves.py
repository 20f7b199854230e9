"""How low a rank, and how few neurons, describe a network that does a task: fits beside truncations of its J."""

import math
from dataclasses import dataclass, replace

import numpy as np

from meanfield import plotting
from meanfield.conventions import check_array, check_integer, closest
from meanfield.progress import tracked

from ..analysis import Figure
from ..decisions import run_trials
from ..networks import Network
from ..npz import check_number
from ..tasks.scores import Accuracy, accuracy
from ..training.parametrisations import connections, leading
from .fitting import Problem
from .prediction import Score, free_score
from .stages import METHODS, refine

#: Ridge of a readout refitted to some neurons, relative to the mean square of their rates.
READOUT_RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class RankCurve:
    """Fits of several ranks to a network, beside its J cut to that rank; all on trials that no fit saw.

    R^2 is :class:`~meanfield.validation.lint.prediction.Score`: 1 - (squared errors of the rates, running free) /
    (squares about each neuron's mean over trials and time), both summed over trials, samples and neurons.

    Attributes
    ----------
    ranks : tuple of K int
    fits : tuple of K LintFit
    truncated : tuple of K Score
        Of the networks of the first singular vectors of J.
    fit_accuracy, truncated_accuracy : tuple of K Accuracy
        Decisions by the teacher's own readout.
    teacher_accuracy : Accuracy
    dimension : float
        Participation ratio (sum c)^2 / sum c^2 of the eigenvalues of the covariance of the teacher's rates.
    """

    ranks: tuple
    fits: tuple
    truncated: tuple
    fit_accuracy: tuple
    truncated_accuracy: tuple
    teacher_accuracy: Accuracy
    dimension: float

    @property
    def r2(self):
        """Of the fits, (K,)."""
        return np.array([fit.r2.r2 for fit in self.fits])

    @property
    def figure(self):
        """R^2 and accuracy against the rank."""
        data = {"ranks": np.array(self.ranks), "teacher": np.array(self.teacher_accuracy.share)}
        for key, scores in (("fit", [fit.r2 for fit in self.fits]), ("truncated", self.truncated)):
            data |= {f"{key}_r2": np.array([s.r2 for s in scores]), f"{key}_error": np.array([s.error for s in scores])}
            shares = getattr(self, f"{key}_accuracy")
            data |= {f"{key}_accuracy": np.array([s.share for s in shares])}
            data |= {f"{key}_accuracy_error": np.array([s.error for s in shares])}
        caption = (
            "Held-out $R^2$ of the rates, running free (left), and right decisions by the teacher's readout (right), "
            "against the rank: networks fitted to the activity, and the teacher's J cut to its first singular vectors. "
            "Dotted: the teacher itself. $R^2$ below -0.3 is not drawn."
        )
        return Figure("rank-curve", caption, lambda: _draw_ranks(data), data)

    def __str__(self):
        rows = [
            f"{rank:4d}   {fit.r2.r2:8.4f} +- {_error(fit.r2)}   {right.share:.3f} +- {right.error:.3f}"
            f"   {cut.r2:8.4f} +- {_error(cut)}   {cut_right.share:.3f} +- {cut_right.error:.3f}"
            for rank, fit, right, cut, cut_right in zip(
                self.ranks, self.fits, self.fit_accuracy, self.truncated, self.truncated_accuracy, strict=True
            )
        ]
        return "\n".join(
            [
                f"teacher: {self.teacher_accuracy}; rates of dimension {self.dimension:.2f}",
                "rank   R^2 of the fit       accuracy          R^2 of J cut         accuracy",
                *rows,
            ]
        )

    def __repr__(self):
        return f"RankCurve(ranks {self.ranks}, R^2 {self.r2.round(4).tolist()})"


def rank_curve(teacher, trials, test, ranks=(1, 2, 3, 4, 5), *, noise_std=0.0, method="auto", seed=0, **options):
    """Fit networks of several ranks to the activity of one, of any rank, on trials of a task.

    Parameters
    ----------
    teacher : Network
        With a readout.
    trials, test : Trials
        To fit to, and held out; of the same length.
    ranks : sequence of int
    noise_std : float
        Added to each x of the teacher per step, in all trials.
    method, **options
        As for :func:`~meanfield.validation.lint.stages.refine`.
    seed : int

    Returns
    -------
    RankCurve

    Raises
    ------
    ValueError
        No rank, an unknown method, trials of different lengths, and as for ``lint``.
    """
    _known(method)
    ranks = tuple(check_integer("ranks", rank, 1) for rank in np.atleast_1d(ranks).tolist())
    if not ranks:
        raise ValueError("ranks must hold at least one rank: got none")
    x, z = _recorded(teacher, trials, test, noise_std, seed)
    problem = _problem(teacher, x, trials, test, teacher.w)
    fits = tuple(_fit(problem, rank, method, seed, options) for rank in tracked(ranks, "rank"))
    J, held_out = connections(teacher), problem.held_out
    cut = [replace(fits[0].network, m=m, n=n, I=teacher.I) for m, n in (leading(J, rank) for rank in ranks)]
    return RankCurve(
        ranks,
        fits,
        tuple(free_score(net, problem.activity, held_out) for net in cut),
        tuple(_accuracy(fit.network, test) for fit in fits),
        tuple(_accuracy(net, test) for net in cut),
        accuracy(test, z[len(trials) :]),
        dimension(np.concatenate(problem.activity.rates)),
    )


def dimension(rates):
    """Participation ratio of the covariance of rates (samples, N)."""
    c = np.cov(np.asarray(rates, float).T)
    return float(np.trace(c) ** 2 / (c**2).sum())


@dataclass(frozen=True, eq=False)
class Subsampling:
    """Fits to random subsets of a network's neurons, K sizes with D subsets each.

    Attributes
    ----------
    neurons : ndarray (K,) of int
    size : int
        N of the teacher.
    rank : int
    r2 : ndarray (K, D)
        Held-out R^2 of the rates of the neurons in the subset, running free.
    accuracy : ndarray (K, D)
        Of the fitted network, with a readout fitted to the recorded rates of the subset.
    recorded_accuracy : ndarray (K, D)
        Of the same readout on the recorded rates themselves.
    teacher_accuracy : Accuracy
    """

    neurons: np.ndarray
    size: int
    rank: int
    r2: np.ndarray
    accuracy: np.ndarray
    recorded_accuracy: np.ndarray
    teacher_accuracy: Accuracy

    def mean(self, key):
        """Mean of one of r2, accuracy, recorded_accuracy over the subsets and its standard error, (K,) each."""
        values = getattr(self, key)
        D = values.shape[1]
        error = values.std(1, ddof=1) / math.sqrt(D) if D > 1 else np.full(len(values), np.nan)
        return values.mean(1), error

    @property
    def figure(self):
        """R^2 and accuracy against the share of neurons."""
        data = {"share": self.neurons / self.size, "neurons": self.neurons}
        data["teacher"] = np.array(self.teacher_accuracy.share)
        for key in ("r2", "accuracy", "recorded_accuracy"):
            data |= {key: getattr(self, key), f"{key}_mean": self.mean(key)[0], f"{key}_error": self.mean(key)[1]}
        caption = (
            f"Fits of rank {self.rank} to random subsets of {self.size} neurons: held-out $R^2$ of the rates of the "
            "subset, running free (left); right decisions with a readout fitted to the subset (right), by the fitted "
            "network and by the recorded rates. Points: single subsets; lines: means with standard errors."
        )
        return Figure("subsampling", caption, lambda: _draw_shares(data), data)

    def __str__(self):
        columns = [self.mean(key) for key in ("r2", "accuracy", "recorded_accuracy")]
        rows = [
            f"{count:7d}  {count / self.size:6.1%}"
            + "".join(f"   {mean[k]:7.4f} +- {error[k]:.4f}" for mean, error in columns)
            for k, count in enumerate(self.neurons)
        ]
        head = f"teacher: {self.teacher_accuracy}; fits of rank {self.rank}, {self.r2.shape[1]} subset(s) of each size"
        return "\n".join(
            [head, "neurons   share   R^2                  accuracy             accuracy as recorded", *rows]
        )

    def __repr__(self):
        return f"Subsampling(rank {self.rank}, neurons {self.neurons.tolist()})"


def subsampling(teacher, trials, test, rank, shares=(1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01), *, subsets=3,
                noise_std=0.0, method="auto", seed=0, **options):  # fmt: skip
    """Fit networks to random subsets of the neurons of a teacher, as if only these had been recorded.

    Parameters
    ----------
    teacher, trials, test, noise_std, method, seed, **options
        As for :func:`rank_curve`.
    rank : int
    shares : sequence of float in (0, 1]
        Of the neurons; at least as many as the rank are taken.
    subsets : int
        Of each size.

    Returns
    -------
    Subsampling
    """
    _known(method)
    shares, N = np.atleast_1d(check_array("shares", shares)), teacher.n_neurons
    if not shares.size or not ((shares > 0) & (shares <= 1)).all():
        raise ValueError(f"shares must lie in (0, 1]: got {shares.tolist()}")
    rank, subsets = check_integer("rank", rank, 1), check_integer("subsets", subsets, 1)
    counts = np.maximum(np.round(shares * N).astype(int), rank)
    x, z = _recorded(teacher, trials, test, noise_std, seed)
    found = np.empty((3, len(counts), subsets))
    for k, d in tracked([(k, d) for k in range(len(counts)) for d in range(subsets)], "subset"):
        neurons = np.sort(np.random.default_rng([seed, k, d]).choice(N, counts[k], replace=False))
        found[:, k, d] = _of_subset(teacher, neurons, x, trials, test, rank, method, seed, options)
    return Subsampling(counts, N, rank, *found, accuracy(test, z[len(trials) :]))


def _of_subset(teacher, neurons, x, trials, test, rank, method, seed, options):
    """R^2, accuracy of the fit and of the recorded rates."""
    count = len(trials)
    few = replace(
        teacher, m=teacher.m[neurons], n=teacher.n[neurons], I=teacher.I[neurons], w=teacher.w[neurons], x0=None,
        random=None, population=None, mixture=None,
    )  # fmt: skip
    problem = _problem(few, x[..., neurons], trials, test, None)
    rates = np.stack(problem.activity.rates)[:, 1:]
    w = _readout(rates[:count], trials)
    fit = _fit(replace(problem, w=w), rank, method, seed, options)
    return fit.r2.r2, _accuracy(fit.network, test).share, accuracy(test, rates[count:] @ w[:, 0] / len(neurons)).share


def _readout(rates, trials):
    """w (N, W) by ridge regression of the wanted readout on rates (B, T, N), where it is judged."""
    N, weight = rates.shape[-1], trials.weight[..., None]
    flat, wanted = rates.reshape(-1, N), trials.wanted.reshape(-1, trials.wanted.shape[-1])
    gram = flat.T @ (weight * rates).reshape(-1, N)
    gram += READOUT_RIDGE * np.trace(gram) / N * np.eye(N)
    return N * np.linalg.solve(gram, flat.T @ (weight * trials.wanted).reshape(wanted.shape))


def _recorded(teacher, trials, test, noise_std, seed):
    """x (B, T + 1, N) and z (B, T) of the teacher on both."""
    if not isinstance(teacher, Network):
        raise ValueError(f"teacher must be a Network: got {type(teacher).__name__}")
    if trials.steps != test.steps:
        raise ValueError(f"trials and test must be of one length: got {trials.steps} and {test.steps} steps")
    noise_std = check_number("noise_std", noise_std)
    runs = [
        run_trials(teacher, t, noise_std, [seed, k] if noise_std else None, record_x=True)
        for k, t in enumerate((trials, test))
    ]
    return np.concatenate([run.x for run in runs]), np.concatenate([run.z[:, 1:, 0] for run in runs])


def _known(method):
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; {closest(method, METHODS)}")


def _problem(teacher, x, trials, test, w):
    u = np.concatenate([trials.u, test.u])
    held_out = range(len(trials), len(u))
    dt = trials.dt / trials.tau * teacher.tau if teacher.dt is None else teacher.dt
    return Problem.of(x, u, dt, teacher.tau, "current", teacher.transfer, None, held_out, 0, None, 1, w, "evidence")


def _fit(problem, rank, method, seed, options):
    fit = problem.fit(rank)
    return fit if method == "closed form" else refine(fit, method, seed=seed, **options)


def _accuracy(net, test):
    return accuracy(test, run_trials(net, test).z[:, 1:, 0])


def _error(score: Score):
    return f"{score.error:.1g}"


def _draw_ranks(data):
    with plotting.style():
        figure, axes = plotting.figure(1, 2, width=4.4)
        for key, label in (("fit", "fit"), ("truncated", "J cut to the rank")):
            axes[0, 0].errorbar(
                data["ranks"], data[f"{key}_r2"], data[f"{key}_error"], fmt="o-", capsize=3, label=label
            )
            shares = data[f"{key}_accuracy"], data[f"{key}_accuracy_error"]
            axes[0, 1].errorbar(data["ranks"], *shares, fmt="o-", capsize=3, label=label)
        axes[0, 1].axhline(float(data["teacher"]), color="k", ls=":", lw=1)
        low = min(data["fit_r2"].min(), data["truncated_r2"].min())
        axes[0, 0].set(ylabel="held-out $R^2$", ylim=(max(low - 0.05, -0.3) if np.isfinite(low) else -0.3, 1.02))
        lowest = min(data["fit_accuracy"].min(), data["truncated_accuracy"].min())
        axes[0, 1].set(ylabel="right decisions", ylim=(min(0.45, lowest - 0.06), 1.02))
        for ax in axes[0]:
            ax.set_xlabel("rank")
            ax.set_xticks(data["ranks"])
        axes[0, 0].legend()
    return figure


def _draw_shares(data):
    with plotting.style():
        figure, axes = plotting.figure(1, 2, width=4.4)
        panels = (
            (axes[0, 0], "r2", "fit"),
            (axes[0, 1], "accuracy", "fit"),
            (axes[0, 1], "recorded_accuracy", "recorded"),
        )
        for (ax, key, label), colour in zip(panels, (0, 0, 1), strict=True):
            colour, share = plotting.COLOURS[colour], 100 * data["share"]
            error = np.nan_to_num(data[f"{key}_error"])
            ax.errorbar(share, data[f"{key}_mean"], error, fmt="-", capsize=3, color=colour, label=label)
            ax.plot(share, data[key], "o", ms=3, alpha=0.5, color=colour)
        axes[0, 0].set(ylabel="held-out $R^2$", ylim=(max(data["r2"].min() - 0.05, -0.3), 1.02))
        axes[0, 1].set(ylabel="right decisions", ylim=(min(0.45, data["accuracy"].min() - 0.05), 1.02))
        axes[0, 1].axhline(float(data["teacher"]), color="k", ls=":", lw=1)
        axes[0, 1].legend()
        for ax in axes[0]:
            ax.set(xlabel="neurons recorded (%)", xscale="log")
            ax.set_xticks(100 * data["share"], [f"{100 * s:g}" for s in data["share"]])
            ax.minorticks_off()
    return figure
