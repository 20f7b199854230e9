"""Which rank the data ask for: held-out R^2 of every rank from one regression."""

from dataclasses import dataclass

import numpy as np

from meanfield import plotting
from meanfield.conventions import check_integer, closest
from meanfield.progress import tracked

from ..analysis import Figure
from .fitting import Problem
from .prediction import difference_error, free_errors, squares_about_mean
from .stages import METHODS, refine

#: A rank that is worse by less than this share of what the best leaves unexplained is as good.
NEGLIGIBLE = 0.01


@dataclass(frozen=True, eq=False)
class RankSelection:
    """Fits of several ranks, K of them.

    Attributes
    ----------
    ranks : tuple of K int
    fits : tuple of K LintFit
    shortfall, shortfall_error : ndarray (K,)
        R^2 of the best rank less that of each, and the standard error of this difference over the held-out trials:
        what makes a trial hard for all ranks does not count in it.
    chosen : int
        The smallest rank whose shortfall is within one standard error, or negligible: below NEGLIGIBLE of what the best
        rank leaves unexplained.
    """

    ranks: tuple
    fits: tuple
    shortfall: np.ndarray
    shortfall_error: np.ndarray
    chosen: int

    @property
    def r2(self):
        """Held-out R^2 of the free runs, (K,)."""
        return np.array([fit.r2.r2 for fit in self.fits])

    @property
    def error(self):
        """Its standard error over trials, (K,)."""
        return np.array([fit.r2.error for fit in self.fits])

    @property
    def one_step(self):
        """Held-out R^2 one step ahead, (K,)."""
        return np.array([fit.one_step.r2 for fit in self.fits])

    @property
    def fit(self):
        """The fit of the chosen rank."""
        return self.fits[self.ranks.index(self.chosen)]

    @property
    def figure(self):
        """R^2 against the rank."""
        data = {"ranks": np.array(self.ranks), "r2": self.r2, "error": self.error, "one_step": self.one_step}
        data |= {"one_step_error": np.array([fit.one_step.error for fit in self.fits]), "chosen": np.array(self.chosen)}
        caption = (
            "Held-out $R^2$ of the rates against the rank of the fit, with its standard error over trials: running "
            "free, and one step ahead. Dashed: the smallest rank that is as good as the best within one standard error "
            f"of their difference, {self.chosen}."
        )
        return Figure("ranks", caption, lambda: _draw(data), data)

    def __str__(self):
        rows = [
            f"rank {r:3d}   running free {fit.r2.r2:8.4f} +- {fit.r2.error:.1g} (short of the best by {less:.1g} +- "
            f"{error:.1g})   one step ahead {fit.one_step.r2:.4f}{'   <-' if r == self.chosen else ''}"
            for r, fit, less, error in zip(self.ranks, self.fits, self.shortfall, self.shortfall_error, strict=True)
        ]
        return "\n".join(["R^2 of held-out rates", *rows])

    def __repr__(self):
        return f"RankSelection(ranks {self.ranks}, chosen {self.chosen})"


def select_rank(rates, inputs, ranks, *, dt=None, tau=1.0, variable="rate", transfer="tanh", clip=None,
                ridge="evidence", held_out=0.2, seed=0, method="closed form", conditions=None, n_unknown=1, w=None,
                gradients=None):  # fmt: skip
    """Fits of several ranks from one pass over the data, and the smallest that predicts about as well as the best.

    "About" is the one-standard-error rule, on differences between ranks on the same trials: the error of R^2 itself is
    mostly that some trials are harder than others, for all ranks alike.

    Parameters
    ----------
    ranks : sequence of int
    method : {"closed form", "auto", "projected", "gradients"}
        The last stage, taken for every rank before one is chosen; see :func:`lint`.
    rates, inputs, dt, tau, variable, transfer, clip, ridge, held_out, seed, conditions, n_unknown, w, gradients
        As for :func:`lint`.

    Returns
    -------
    RankSelection

    Raises
    ------
    ValueError
        No rank, and as for :func:`lint`.
    """
    ranks = tuple(sorted({check_integer("ranks", r, 1) for r in np.atleast_1d(ranks).tolist()}))
    if not ranks:
        raise ValueError("ranks must hold at least one rank: got none")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; {closest(method, METHODS)}")
    problem = Problem.of(
        rates, inputs, dt, tau, variable, transfer, clip, held_out, seed, conditions, n_unknown, w, ridge, ranks[-1]
    )
    fits = tuple(problem.fit(rank) for rank in tracked(ranks, "rank"))
    if method != "closed form":
        further = tracked(fits, "rank")
        fits = tuple(refine(fit, method, seed=seed, progress=False, **(gradients or {})) for fit in further)
    test, activity = problem.held_out, fits[0].activity
    squares = squares_about_mean(activity, test)
    errors = [free_errors(fit.network, fit.activity, test) for fit in fits]
    best = int(np.nanargmax([fit.r2.r2 for fit in fits]))
    apart = np.array([fits[best].r2.r2 - fit.r2.r2 for fit in fits])
    spread = np.array([difference_error((e, squares), (errors[best], squares)) for e in errors])
    within = apart <= np.maximum(np.nan_to_num(spread), NEGLIGIBLE * (1 - fits[best].r2.r2))
    return RankSelection(ranks, fits, apart, spread, ranks[int(np.argmax(within))])


def _draw(data):
    with plotting.style():
        figure, axes = plotting.figure(width=4.6)
        ax = axes[0, 0]
        for key, label in (("r2", "running free"), ("one_step", "one step ahead")):
            error = data["error" if key == "r2" else "one_step_error"]
            ax.errorbar(data["ranks"], data[key], error, fmt="o-", capsize=3, label=label)
        ax.axvline(float(data["chosen"]), color="k", ls="--", lw=1)
        ax.set(xlabel="rank", ylabel="held-out $R^2$", ylim=(max(-0.1, min(data["r2"].min() - 0.05, 0.9)), 1.02))
        ax.set_xticks(data["ranks"])
        ax.legend()
    return figure
