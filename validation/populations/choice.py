"""How many populations does a network need? The fewest whose mean-field theory explains what it does."""

from dataclasses import dataclass, field

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_integer, counted
from meanfield.progress import progress_bar

from ..analysis import Figure, Statement
from .explanation import CRITERIA, LEVEL, Facts, decides, explain, facts_of
from .fitting import SAME, TooManyPopulations, fit_populations

_MARK = {True: "yes", False: "no", None: "-"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A number of populations, and the maxima of its likelihood that were tried, the highest first.

    Attributes
    ----------
    n_populations : int
    explanation : Explanation or None
        Of the first maximum that explains the network or, where none does, of the highest. None where there was no fit.
    tried, found : int
        Maxima that were put to the test, and that were found.
    below : float
        By how much the log-likelihood of the one shown is below the highest.
    why_not : str
        Why there is no fit.
    """

    n_populations: int
    explanation: object
    tried: int = 1
    found: int = 1
    below: float = 0.0
    why_not: str = ""

    @property
    def explains(self):
        """Whether its mixture explains the network."""
        return self.explanation is not None and self.explanation.explains

    @property
    def fit(self):
        """The fit that is shown, or None."""
        return None if self.explanation is None else self.explanation.fit

    @property
    def bic(self):
        """Of the fit that is shown, or nan."""
        return np.nan if self.fit is None else float(self.fit.bic)

    def cells(self):
        """Its line in the table."""
        e = self.explanation
        if e is None:
            return [str(self.n_populations), self.why_not]
        same, all_of = sum(pair.same is True for pair in e.pairs), len(e.pairs)
        decided = "-" if e.right is None else f"{e.right.sum()} of {len(e.right)}"
        bic = "-" if self.fit is None else f"{self.bic:.0f}"
        verdict = "explains" if e.explains else "rejected: " + ", ".join(e.rejected_by)
        return [
            str(self.n_populations),
            bic,
            f"{same} of {all_of}",
            decided,
            f"{e.drift.rms:.4f}",
            f"{e.drift.sampling:.4f}",
            f"{e.drift.p:.2g}",
            "-" if e.closer is None else f"{e.closer.p:.2g}",
            verdict + (f" (maximum {self.tried} of {self.found})" if self.tried > 1 and self.explains else ""),
        ]


_HEAD = ["P", "BIC", "portraits", "right", "drift error", "sampling", "p", "p of fit", "verdict"]


@dataclass(frozen=True, eq=False)
class Choice:
    """Mixtures of more and more populations against a network; made by :func:`choose_populations`.

    Attributes
    ----------
    facts : Facts
        Of the network.
    candidates : tuple of Candidate
    """

    facts: Facts = field(repr=False)
    candidates: tuple

    @property
    def chosen(self):
        """The explanation with the fewest populations, or None: then see ``status``."""
        return next((c.explanation for c in self.candidates if c.explains), None)

    @property
    def n_populations(self):
        """Populations that the dynamics needs, or None."""
        return None if self.chosen is None else self.chosen.n_populations

    @property
    def by_bic(self):
        """Populations that BIC chooses, or None without fits."""
        fitted = [c for c in self.candidates if np.isfinite(c.bic)]
        return min(fitted, key=lambda c: c.bic).n_populations if fitted else None

    @property
    def status(self):
        """What is chosen; or what rejects the candidates, and what to try."""
        if self.chosen is not None:
            words = f"{counted(self.n_populations, 'population')}: the fewest whose theory explains the network"
            return words + self.chosen.reservation
        failed = {name: 0 for name in CRITERIA}
        for c in self.candidates:
            for name in () if c.explanation is None else c.explanation.rejected_by:
                failed[name] += 1
        words = ", ".join(f"{name} ({count})" for name, count in failed.items() if count)
        return f"none of the candidates explains the network; rejected by {words or 'no fit'}: try more, or more seeds"

    @property
    def fallacies(self):
        """Candidates with a smaller drift error than another, but a criterion wrong that the other has right."""
        known = [c.explanation for c in self.candidates if c.explanation is not None]
        found = []
        for one in known:
            for other in known:
                worse = one.drift.rms < other.drift.rms
                wrong = [k for k in CRITERIA[:2] if one.verdicts[k] is False and other.verdicts[k] is True]
                if worse and wrong:
                    found.append((one.n_populations, other.n_populations, tuple(wrong)))
        return tuple(found)

    def statements(self):
        """The choice as lines of a report."""
        lines = []
        for c in self.candidates:
            e = c.explanation
            value = c.why_not if e is None else ", ".join(f"{k}: {_MARK[v]}" for k, v in e.verdicts.items())
            text = f"the candidate of {counted(c.n_populations, 'population')}"
            verdict = "" if e is None else "explains the network; " if e.explains else "rejected; "
            lines.append(Statement(text, verdict + value, "", None, "portraits, decisions and drift"))
        for one, other, wrong in self.fallacies:
            value = f"smaller with {one} populations than with {other}, although there {' and '.join(wrong)} are wrong"
            lines.append(Statement("drift error", value, "", None, "explain"))
        lines.append(
            Statement("number of populations", self.status, f"BIC: {self.by_bic}", self.chosen is not None, "all above")
        )
        return tuple(lines)

    def figures(self):
        """What the candidates reach, and portraits and readouts of the chosen one."""
        if all(c.explanation is None for c in self.candidates):
            return ()
        return (_figure(self), *(() if self.chosen is None else self.chosen.figures()))

    def __str__(self):
        rows = [_HEAD, *(c.cells() for c in self.candidates)]
        wide = [r for r in rows if len(r) == len(_HEAD)]
        width = [max(len(r[k]) for r in wide) for k in range(len(_HEAD))]
        lines = []
        for r in rows:
            padded = [cell.rjust(w) for cell, w in zip(r[:-1], width, strict=False)]
            lines.append("  ".join([*padded, r[-1]]))
        lines.append(self.status)
        if self.by_bic not in (None, self.n_populations):
            lines.append(f"BIC chooses {self.by_bic}")
        for one, other, wrong in self.fallacies:
            lines.append(f"{one} populations have a smaller drift error than {other}, but {' and '.join(wrong)} wrong")
        return "\n".join(lines)

    def __repr__(self):
        return f"Choice({self.status})"


def choose_populations(
    net,
    trials=None,
    candidates=range(1, 6),
    *,
    conditions=None,
    level=LEVEL,
    seeds=1,
    seed=0,
    progress=None,
    **fitting,
):
    """The fewest populations whose mean-field theory explains a network.

    A mixture is rejected where under some input its portrait is not that of the network, where the infinite network
    decides a trial wrong that the network decides right, or where the drift of the network is farther from the
    mixture's than that of draws of as many neurons. BIC stands beside: it asks how the loadings are distributed, not
    what they do.

    Parameters
    ----------
    net : Network
    trials : Trials, optional
    candidates : sequence of int, or of PopulationFit and Connectivity
        Numbers of populations to fit, or mixtures; a number stands for :func:`fit_populations`.
    conditions : sequence of Condition, optional
        See :func:`explain`.
    level : float
        Of the test of the drift.
    seeds : int
        Searches for each number of populations. The likelihood of many populations on few neurons has many maxima of
        nearly the same height, and their dynamics differ: all that are found are tried, the highest first, until one
        explains the network.
    seed : int
        Of the first search; the next ones count on.
    progress : bool, optional
        Whether to show a bar; None: on a terminal, once it takes long.
    **fitting
        ``means``, ``gauge``, ``restarts`` of :func:`fit_populations`.

    Returns
    -------
    Choice
        With ``chosen``, None where nothing explains the network.

    Raises
    ------
    ValueError
        No candidates, or what :func:`explain` and :func:`fit_populations` refuse.
    """
    candidates = [candidates] if isinstance(candidates, int | Connectivity) else list(candidates)
    if not candidates:
        raise ValueError("choose_populations needs a candidate: numbers of populations such as range(1, 6), or fits")
    seeds = check_integer("seeds", seeds, 1)
    facts = facts_of(net, trials, conditions)
    rows = []
    with progress_bar(len(candidates), "candidate", progress) as bar:
        for one in candidates:
            if isinstance(one, Connectivity) or hasattr(one, "connectivity"):
                rows.append(_tried([one], facts, level, seed))
            else:
                rows.append(_number(one, facts, level, seeds, seed, fitting))
            bar.update()
    rows.sort(key=lambda row: row.n_populations)
    return Choice(facts, tuple(rows))


def _number(count, facts, level, seeds, seed, fitting):
    """The candidate with so many populations."""
    count, fits = check_integer("n_populations", count, 1), []
    for k in range(seeds):
        try:
            fits.append(fit_populations(facts.net, count, seed=seed + k, progress=False, **fitting))
        except TooManyPopulations as why:
            reason = str(why)
    if not fits:
        return Candidate(count, None, 0, 0, why_not=reason)
    fits.sort(key=lambda fit: -fit.log_likelihood)
    different = [fits[0]]
    for fit in fits[1:]:
        if different[-1].log_likelihood - fit.log_likelihood > SAME:
            different.append(fit)
    return _tried(different, facts, level, seed)


def _tried(mixtures, facts, level, seed):
    first = None
    for k, mixture in enumerate(mixtures):
        if k and not decides(facts, mixture.connectivity):
            continue
        e = explain(facts, mixture, level=level, seed=seed)
        first = first or e
        if e.explains:
            below = mixtures[0].log_likelihood - mixture.log_likelihood if k else 0.0
            return Candidate(e.n_populations, e, k + 1, len(mixtures), float(below))
    return Candidate(first.n_populations, first, len(mixtures), len(mixtures))


def _figure(choice):
    known = [c for c in choice.candidates if c.explanation is not None]
    data = {
        "populations": np.array([c.n_populations for c in known]),
        "drift_error": np.array([c.explanation.drift.rms for c in known]),
        "sampling": np.array([c.explanation.drift.sampling for c in known]),
        "bic": np.array([c.bic for c in known]),
        "explains": np.array([c.explains for c in known]),
        **{name: np.array([_MARK[c.explanation.verdicts[name]] for c in known], dtype=str) for name in CRITERIA},
    }
    caption = (
        "Left: drift error of mixtures of more and more populations (filled: all criteria hold) with the sampling "
        "error of draws of as many neurons. Middle: BIC above its minimum. Right: which criteria hold."
    )
    return Figure("choice", caption, lambda: _draw(data), data)


def _draw(data):
    from meanfield import plotting

    p = data["populations"]
    with plotting.style():
        figure, axes = plotting.figure(1, 3, width=3.6, height=3.2)
        drift, bic, table = axes[0]
        drift.plot(p, data["sampling"], color="0.6", ls="--", label="sampling error")
        drift.plot(p, data["drift_error"], color=plotting.COLOURS[0], zorder=1)
        faces = [plotting.COLOURS[0] if e else "white" for e in data["explains"]]
        drift.scatter(
            p, data["drift_error"], c=faces, edgecolors=plotting.COLOURS[0], s=50, zorder=2, label="drift error"
        )
        drift.set(xlabel="populations", xticks=p, ylim=(0, None))
        drift.legend()
        bic.plot(p, data["bic"] - np.nanmin(data["bic"]) if np.isfinite(data["bic"]).any() else p * np.nan, "o-k")
        bic.set(xlabel="populations", ylabel="BIC above its minimum", xticks=p)
        for row, name in enumerate(CRITERIA):
            for x, mark in zip(p, data[name], strict=True):
                colour = {"yes": plotting.COLOURS[2], "no": plotting.COLOURS[5], "-": "0.7"}[str(mark)]
                table.text(x, row, str(mark), color=colour, ha="center", va="center")
        table.set(xlabel="populations", xticks=p, yticks=range(len(CRITERIA)), yticklabels=CRITERIA)
        table.set(xlim=(p.min() - 0.6, p.max() + 0.6), ylim=(len(CRITERIA) - 0.5, -0.5))
    return figure
