"""How many populations the loadings themselves ask for: information criteria, held-out likelihood, stability."""

from dataclasses import dataclass

import numpy as np

from meanfield.conventions import check_integer
from meanfield.progress import progress_bar

from .fitting import PopulationFit, TooManyPopulations, fit_populations, search
from .gauge import adjusted_rand, matching
from .mixture_em import evaluate, problem


@dataclass(frozen=True, eq=False)
class PopulationRow:
    """One number of populations.

    Attributes
    ----------
    n_populations : int
    fit : PopulationFit or None
        None where the neurons do not support so many; ``status`` says why.
    held_out : (N,) or None
        Logarithm of the density of each neuron, by the mixture fitted without the fold that it is in.
    rand, agreement : (pairs,)
        Adjusted Rand index, and share of equal labels after optimal matching, between fits to two subsamples on the
        neurons that both have.
    status : str
    """

    n_populations: int
    fit: PopulationFit | None
    held_out: np.ndarray | None
    rand: np.ndarray
    agreement: np.ndarray
    status: str


@dataclass(frozen=True, eq=False)
class PopulationComparison:
    """A row for each number of populations; ``print`` shows the table."""

    rows: tuple

    def chosen(self, criterion="bic"):
        """The number of populations with the smallest "bic" or "aic", or the highest "held_out" likelihood."""
        fitted = [row for row in self.rows if row.held_out is not None]
        if criterion not in ("bic", "aic", "held_out"):
            raise ValueError(f"unknown criterion {criterion!r}: expected 'bic', 'aic' or 'held_out'")
        if not fitted:
            raise ValueError("no number of populations could be fitted: " + self.rows[0].status)
        if criterion == "held_out":
            return max(fitted, key=lambda row: row.held_out.mean()).n_populations
        return min(fitted, key=lambda row: getattr(row.fit, criterion)).n_populations

    def gain(self, row):
        """Held-out log-likelihood per neuron above that of the best row, and the standard error of the difference."""
        best = next(r for r in self.rows if r.n_populations == self.chosen("held_out"))
        difference = row.held_out - best.held_out
        return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))

    def __str__(self):
        lines = [" P  parameters  log-likelihood        BIC        AIC  held out, below best    Rand index  agreement"]
        for row in self.rows:
            if row.held_out is None:
                lines.append(f"{row.n_populations:2d}  {row.status}")
                continue
            gain, error = self.gain(row)
            f, rand = row.fit, f"{row.rand.mean():5.2f} +- {row.rand.std():.2f}"
            lines.append(
                f"{row.n_populations:2d}  {f.n_parameters:10d}  {f.log_likelihood:14.2f} {f.bic:10.1f} {f.aic:10.1f}  "
                f"{gain:9.4f} +- {error:.4f}  {rand}  {row.agreement.mean():9.2f}"
                + ("" if f.converged else "  not converged")
            )
        return "\n".join(lines)

    def __repr__(self):
        return f"PopulationComparison({', '.join(str(row.n_populations) for row in self.rows)} populations)"


def compare_populations(
    net,
    populations=range(1, 6),
    *,
    folds=5,
    subsamples=20,
    fraction=0.8,
    subsample_restarts=10,
    restarts=50,
    seed=0,
    progress=None,
    **options,
):
    """Fit several numbers of populations and compare them by the statistics of the loadings alone.

    Stability as in Dubreuil, Valente et al. 2022: fits to ``subsamples`` random ``fraction`` parts of the neurons, and
    for every two of them the adjusted Rand index of the labels of the neurons that both have. The spread over pairs is
    no standard error, since pairs share subsamples.

    Parameters
    ----------
    net : Network or (N, A) array
    populations : sequence of int
    folds : int
        Of the cross-validation of the likelihood.
    subsample_restarts : int
        Starts of each fit to a part of the neurons; all from the data of that part alone.
    options
        Further arguments of :func:`fit_populations`.

    Returns
    -------
    PopulationComparison

    Raises
    ------
    ValueError
        As :func:`fit_populations`; too many neurons are never an error, too few are a row without a fit.
    """
    folds, subsamples = check_integer("folds", folds, 2), check_integer("subsamples", subsamples, 2)
    if not 0.5 <= fraction < 1:
        raise ValueError(f"fraction must be at least 0.5, below 1: got {fraction}; then any two parts overlap")
    counts, rows = [check_integer("populations", k, 1) for k in populations], []
    with progress_bar(len(counts) * (1 + folds + subsamples), "fit", progress) as bar:
        for k in counts:
            try:
                fit = fit_populations(net, k, restarts=restarts, seed=seed, progress=False, **options)
            except TooManyPopulations as error:
                rows.append(PopulationRow(k, None, None, np.empty(0), np.empty(0), str(error)))
                bar.update(1 + folds + subsamples)
                continue
            bar.update()
            rows.append(_row(fit, folds, subsamples, fraction, subsample_restarts, seed, bar))
    return PopulationComparison(tuple(rows))


def _row(fit, folds, subsamples, fraction, restarts, seed, bar):
    y, size, k = fit.whitened.y, len(fit.labels), fit.connectivity.n_populations
    rng = np.random.default_rng([seed, k])
    fold = rng.permutation(np.arange(size) % folds)
    held_out = np.empty(size)
    try:
        for f in range(folds):
            stats = _refit(fit, y[fold != f], restarts, rng)
            held_out[fold == f] = _density(fit, y[fold == f], stats)[0]
            bar.update()
        parts = []
        for _ in range(subsamples):
            chosen = np.sort(rng.choice(size, int(fraction * size), replace=False))
            labels = np.full(size, -1)
            labels[chosen] = _density(fit, y[chosen], _refit(fit, y[chosen], restarts, rng))[1].argmax(axis=0)
            parts.append(labels)
            bar.update()
    except TooManyPopulations as error:
        return PopulationRow(k, fit, None, np.empty(0), np.empty(0), f"on parts of the neurons: {error}")
    rand, agreement = zip(*(_agreement(a, b, k) for i, a in enumerate(parts) for b in parts[:i]), strict=True)
    return PopulationRow(k, fit, held_out - fit.whitened.log_volume, np.array(rand), np.array(agreement), fit.status)


def _refit(fit, y, restarts, rng):
    p = problem(y, fit.gauge, fit.means)
    return search(p, y, fit.connectivity.n_populations, restarts, rng)[0]


def _density(fit, y, stats):
    density, share, _ = evaluate(problem(y, fit.gauge, fit.means), stats[None])
    return density[0], share[0]


def _agreement(a, b, n_populations):
    """Adjusted Rand index and share of equal labels of the neurons that both parts have."""
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    member = [(labels == np.arange(n_populations)[:, None]).astype(float) for labels in (a, b)]
    order = matching(*member)
    return adjusted_rand(a, b), float((order[a] == b).mean())
