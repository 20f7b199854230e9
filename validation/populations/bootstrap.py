"""Standard errors of a fitted mixture: the fit repeated on neurons drawn anew."""

from dataclasses import dataclass, field, replace

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_integer
from meanfield.progress import progress_bar

from .climbing import climb
from .gauge import matching, relative_signs
from .mixture_em import FLOOR, evaluate, moments

#: Replicates that are fitted together.
BATCH = 25


@dataclass(frozen=True, eq=False)
class PopulationBootstrap:
    """Mixtures fitted to neurons drawn with replacement, populations and signs matched to those of the fit.

    Attributes
    ----------
    fit : PopulationFit
    connectivities : tuple of Connectivity
        The replicates, to be pushed through the theory.
    weights, means, covariances : (B, P), (B, P, A), (B, P, A, A)
        Their parameters.
    collapsed, unconverged : int
        Replicates that were left out because a population shrank onto too few neurons, and ones that are kept although
        their likelihood was still rising.
    """

    fit: object = field(repr=False)
    connectivities: tuple
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    collapsed: int
    unconverged: int

    def errors(self):
        """Standard errors of weights (P,), means (P, A) and covariances (P, A, A): deviations over the replicates."""
        return tuple(part.std(axis=0, ddof=1) for part in (self.weights, self.means, self.covariances))

    def z_scores(self, other):
        """Parameters of ``other`` minus those of the fit, in standard errors: weights, means, covariances.

        Its populations must stand in the order of the fit, see :meth:`PopulationFit.match`. Parameters without any
        spread (an input that vanishes) have 0 where they agree and infinity where they do not.
        """
        own = self.fit.connectivity
        scores = []
        for name, error in zip(("weights", "means", "covariances"), self.errors(), strict=True):
            difference = getattr(other, name) - getattr(own, name)
            # an error below rounding of the parameters is none
            none = error <= 1e-12 * np.abs(getattr(own, name)).max()
            same = np.abs(difference) <= 1e-9 * np.abs(getattr(own, name)).max()
            z = difference / np.where(none, 1, error)
            scores.append(np.where(none, np.where(same, 0.0, np.inf), z))
        return tuple(scores)

    def of(self, function):
        """``function(connectivity)`` of all replicates, stacked (B, ...): e.g. its overlap, or a fixed point."""
        return np.stack([np.asarray(function(c)) for c in self.connectivities])

    def __repr__(self):
        return f"PopulationBootstrap({len(self.connectivities)} replicates of {self.fit!r})"

    def __str__(self):
        c, errors = self.fit.connectivity, self.errors()
        lines = [f"{len(self.connectivities)} replicates; {self.collapsed} collapsed, {self.unconverged} not converged"]
        for p in range(c.n_populations):
            entries = zip(c.names, c.means[p], errors[1][p], strict=True)
            means = ", ".join(f"{a} {x:.3g} +- {e:.2g}" for a, x, e in entries)
            lines.append(f"population {p}: weight {c.weights[p]:.3f} +- {errors[0][p]:.3f}; means {means}")
        return "\n".join(lines)


def bootstrap(fit, draws=100, seed=0, progress=None):
    """Fit again to neurons drawn with replacement (Efron 1979), starting from the fit.

    Since replicates start from it, the errors are those of this maximum of the likelihood: that another one may be
    higher on other neurons is not in them. See :meth:`PopulationFit.bootstrap`.

    Raises
    ------
    ValueError
        Fewer than two draws; all of them collapsed.
    """
    draws = check_integer("draws", draws, 2)
    if seed is None:
        raise ValueError("bootstrap needs a seed, e.g. seed=0: every draw can be repeated")
    p, size = fit.problem, len(fit.labels)
    counts = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws).astype(float)
    reached = []
    with progress_bar(draws, "replicate", progress) as bar:
        for k in range(0, draws, BATCH):
            own = counts[k : k + BATCH]
            start = np.broadcast_to(fit.stats, (len(own), *fit.stats.shape))
            reached.append(climb(p, start, own, done=bar.update))
    stats = np.concatenate([part.stats for part in reached])
    collapsed = np.concatenate([part.collapsed for part in reached])
    converged = np.concatenate([part.converged for part in reached])
    if collapsed.all():
        raise ValueError(
            f"in all of {draws} draws a population shrank onto fewer than {p.least} neurons: the populations of this "
            "fit are too small for standard errors; fit fewer"
        )
    aligned = np.stack([align(fit, one) for one in stats[~collapsed]])
    parts = [fit.parameters(one) for one in aligned]
    own = fit.connectivity
    replicates = tuple(replace_parameters(own, *part) for part in parts)
    fields = (np.stack([getattr(c, name) for c in replicates]) for name in ("weights", "means", "covariances"))
    return PopulationBootstrap(fit, replicates, *fields, int(collapsed.sum()), int((~converged & ~collapsed).sum()))


def replace_parameters(c, weights, means, covariances) -> Connectivity:
    """The mixture with other parameters."""
    return replace(c, weights=weights, means=means, covariances=covariances)


def align(fit, stats):
    """The statistics (K, features) of another mixture of the same neurons, in the order and signs of the fit."""
    theirs = evaluate(fit.problem, stats[None])[1][0]
    stats = stats[matching(fit.responsibilities.T, theirs)]
    if fit.problem.signed:
        _, means, covariances = moments(fit.problem, fit.stats)
        values, vectors = np.linalg.eigh(covariances)
        precisions = (vectors / np.maximum(values, FLOOR)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        signs = relative_signs(precisions, means, moments(fit.problem, stats)[1])
        stats[:, 1 : 1 + fit.problem.size] *= signs[:, None]
    return stats
