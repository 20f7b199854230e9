"""From the loadings of a network to a mixture of populations: maximum likelihood modulo the sign of each neuron."""

from dataclasses import dataclass, field

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_array, check_integer, counted, loading_names, shorten
from meanfield.progress import progress_bar
from meanfield.transfer import get_transfer

from .bootstrap import align, bootstrap, replace_parameters
from .climbing import CYCLES, climb
from .gauge import half_space
from .mixture_em import FLOOR, evaluate, moments, problem, statistics
from .starts import starts
from .whitening import Whitened, whiten

#: Stages of a search: how many of the best climbs go on, and for how many cycles of three iterations.
STAGES = ((None, 6), (24, 24), (10, CYCLES))
#: Climbs that end within this of the best log-likelihood have found the same maximum.
SAME = 0.05


class TooManyPopulations(ValueError):
    """Too few neurons for so many, or all climbs ended with a population of fewer neurons than determine it."""


@dataclass(frozen=True, eq=False)
class Restarts:
    """What became of the climbs from many starts.

    Attributes
    ----------
    log_likelihoods : (count,)
        Where each of them ended, decreasing; those that collapsed: minus infinity.
    climbed : int
        How many went on until they converged: the best ones.
    reached : int
        How many of these found the best maximum.
    collapsed : int
        How many ended with a population of fewer than ``least`` neurons; their likelihood means nothing.
    least : int
    iterations : int
        Steps of expectation and maximisation of all climbs together.
    """

    log_likelihoods: np.ndarray
    climbed: int
    reached: int
    collapsed: int
    least: int
    iterations: int

    @property
    def spread(self):
        """Standard deviation of the log-likelihood over the climbs that went on."""
        return float(np.std(self.log_likelihoods[: self.climbed]))

    def __str__(self):
        return (
            f"{self.reached} of the best {self.climbed} of {counted(len(self.log_likelihoods), 'start')} reached it "
            f"(spread {self.spread:.2g}), {self.collapsed} collapsed onto fewer than {self.least} neurons"
        )


@dataclass(frozen=True, eq=False)
class PopulationFit:
    """A mixture fitted to the loadings of N neurons by maximum likelihood.

    Attributes
    ----------
    connectivity : Connectivity
        Populations by decreasing weight. With the gauge, their means lie in one half space (:eq:`half-space`).
    responsibilities : (N, P)
        Probability of each population, given the loadings of a neuron.
    labels : (N,) int
        The most probable population.
    signs : (N,)
        +1 or -1: the more probable sign of a neuron within that population; all 1 without the gauge.
    log_likelihood : float
        Natural logarithm of the density of all loadings, :eq:`symmetrised-density`, on the span of those that are
        linearly independent. Only differences mean anything: it depends on the units of the loadings.
    n_parameters : int
        Free parameters: P - 1 weights, means where there are any, covariances, on that span.
    gauge, means : bool
        Whether the sign of each neuron is a latent variable; whether means may differ from 0.
    converged : bool
    status : str
        What a reader should know: whether it converged, what is singular.
    restarts : Restarts
    at_floor : (P,) int
        Directions in which a population is narrower than a thousandth of all neurons, where the likelihood takes a
        thousandth instead (:data:`~meanfield.validation.populations.mixture_em.FLOOR`); ``connectivity`` has the true
        width.
    whitened : Whitened
        With ``whitened.singular``, the combinations of loadings that are the same for all neurons.
    """

    connectivity: Connectivity
    responsibilities: np.ndarray
    labels: np.ndarray
    signs: np.ndarray
    log_likelihood: float
    n_parameters: int
    gauge: bool
    means: bool
    converged: bool
    status: str
    restarts: Restarts
    at_floor: np.ndarray
    whitened: Whitened = field(repr=False)
    problem: object = field(repr=False)
    stats: np.ndarray = field(repr=False)

    @property
    def bic(self):
        """-2 log likelihood + parameters log N, :eq:`bic`: smaller is better, differences of ten are strong."""
        return -2 * self.log_likelihood + self.n_parameters * np.log(len(self.labels))

    @property
    def aic(self):
        """-2 log likelihood + 2 parameters."""
        return -2 * self.log_likelihood + 2 * self.n_parameters

    @property
    def entropy(self):
        """Mean entropy of the responsibilities, in nats per neuron: 0 where it is clear who belongs where."""
        r = self.responsibilities
        return max(0.0, float(-np.sum(r * np.log(np.where(r > 0, r, 1))) / len(r)))

    def bootstrap(self, draws=100, seed=0, progress=None):
        """Standard errors from ``draws`` fits to neurons drawn with replacement.

        Returns
        -------
        PopulationBootstrap

        Raises
        ------
        ValueError
            Fewer than two draws, no seed, or all draws collapsed.
        """
        return bootstrap(self, draws, seed, progress)

    def match(self, c):
        """Another mixture of the same loadings, its populations in the order and with the signs of this one.

        Raises
        ------
        ValueError
            Another number of populations, other loadings, or a mixture that this fit cannot express.
        """
        return replace_parameters(c, *self.parameters(align(self, self.statistics_of(c))))

    def log_likelihood_of(self, c):
        """The log-likelihood of another mixture of the same loadings, in the units of ``log_likelihood``."""
        density = evaluate(self.problem, self.statistics_of(c)[None])[0]
        return float(density.sum() - len(self.labels) * self.whitened.log_volume)

    def statistics_of(self, c):
        """The statistics (P, features) of a mixture of these loadings in whitened coordinates."""
        own = self.connectivity
        if c.names != own.names or c.n_populations != own.n_populations:
            raise ValueError(f"expected a mixture of the form of {own!r}: got {c!r}")
        inverse = np.linalg.pinv(self.whitened.basis, rcond=1e-9)
        means = (c.means - self.whitened.centre) @ inverse.T
        if not self.means and means.any():
            raise ValueError("this fit has zero means, the mixture has others: fit with means=True")
        return statistics(self.problem, c.weights, means, inverse @ c.covariances @ inverse.T)

    def parameters(self, stats):
        """Weights, means and covariances of the loadings, of whitened statistics (P, features)."""
        weights, means, covariances = moments(self.problem, stats)
        return to_loadings(self.whitened, weights, means, covariances)

    def __repr__(self):
        gauge = "modulo sign" if self.gauge else "with signs"
        return f"PopulationFit({self.connectivity!r}, {len(self.labels)} neurons {gauge}, {self.status})"

    def __str__(self):
        c = self.connectivity
        lines = [
            f"{counted(c.n_populations, 'population')} of {counted(len(self.labels), 'neuron')}, "
            f"{'modulo the sign of each' if self.gauge else 'signs fixed'}, means {'free' if self.means else '0'}",
            f"log-likelihood {self.log_likelihood:.2f}, {self.n_parameters} parameters, BIC {self.bic:.1f}, "
            f"AIC {self.aic:.1f}, entropy {self.entropy:.3f}",
            f"{self.status}; {self.restarts}",
        ]
        for p in range(c.n_populations):
            means = ", ".join(f"{a} {x:.3g}" for a, x in zip(c.names, c.means[p], strict=True))
            lines.append(f"population {p}: weight {c.weights[p]:.3f}, means {means}")
        return "\n".join(lines)


def fit_populations(
    net,
    n_populations,
    *,
    means=True,
    gauge="auto",
    restarts=50,
    seed=0,
    rank=None,
    inputs=(),
    readouts=(),
    cycles=CYCLES,
    progress=None,
):
    """Fit a mixture of Gaussian populations to the loadings of a network by maximum likelihood.

    For an odd transfer function the loadings of a neuron mean the same with all signs flipped, so the sign is a latent
    variable and the density of every population is symmetrised (:eq:`symmetrised-density`). The answer does not depend
    on the units of the loadings, the basis of rank space, the order of the neurons or, with the gauge, their signs.

    Parameters
    ----------
    net : Network, or (N, A) array
        An array needs ``rank``, ``inputs`` and ``readouts``, which name its columns m1..mR, n1..nR, inputs, readouts,
        and ``gauge``.
    n_populations : int
    means : bool
        False: all means are 0.
    gauge : "auto", True or False
        "auto": True where the transfer function and that of the readout are odd.
    restarts : int
        Starts of the search. All climb a little, the best ones to the end.
    seed : int, or whatever else ``numpy.random.default_rng`` takes, but not None
    cycles : int
        Most cycles of three iterations for a climb.
    progress : bool, optional
        Whether to show a bar; None: on a terminal, once it takes long.

    Returns
    -------
    PopulationFit

    Raises
    ------
    ValueError
        Loadings that are not finite or all the same, no gauge for an array, no seed.
    TooManyPopulations
        A ValueError: too few neurons, or no start led to populations that each have enough of them.
    """
    loadings, names, gauge = read_loadings(net, gauge, rank, inputs, readouts)
    n_populations, restarts = check_integer("n_populations", n_populations, 1), check_integer("restarts", restarts, 1)
    if seed is None:
        raise ValueError("fit_populations needs a seed, e.g. seed=0: every fit can be repeated")
    whitened = whiten(loadings, centred=means and not gauge)
    p = problem(whitened.y, gauge, means)
    if len(loadings) < n_populations * p.least:
        raise TooManyPopulations(
            f"{counted(n_populations, 'population')} of {p.size} independent loadings need at least "
            f"{n_populations * p.least} neurons: got {len(loadings)}; fit fewer"
        )
    stats, converged, summary = search(p, whitened.y, n_populations, restarts, seed, cycles, progress)
    return _record(names, whitened, p, stats, converged, summary)


def read_loadings(net, gauge, rank, inputs, readouts):
    """Loadings (N, A), what names them (rank, inputs, readouts), and whether their signs are free."""
    if gauge not in ("auto", True, False):
        raise ValueError(f"gauge must be 'auto', True or False: got {gauge!r}")
    if hasattr(net, "m"):
        names = (net.m.shape[1], tuple(net.input_names), tuple(net.readout_names))
        loadings = np.column_stack([net.m, net.n, net.I, net.w])
        odd = all(get_transfer(getattr(net, key, "tanh")).odd for key in ("transfer", "readout_transfer"))
        return check_array("loadings", loadings), names, odd if gauge == "auto" else gauge
    if rank is None:
        raise ValueError("an array of loadings needs rank=, inputs= and readouts=, which name its columns")
    if gauge == "auto":
        raise ValueError("gauge='auto' needs a network: say gauge=True for an odd transfer function, otherwise False")
    columns = loading_names(rank, inputs, readouts)
    loadings = check_array("loadings", net)
    if loadings.ndim != 2 or loadings.shape[1] != len(columns):
        expected = f"(neurons, {len(columns)}) in the order {shorten(columns)}"
        raise ValueError(f"loadings: got shape {loadings.shape}, expected {expected}")
    return loadings, (rank, tuple(inputs), tuple(readouts)), gauge


def search(p, y, n_populations, restarts, seed, cycles=CYCLES, progress=False):
    """Statistics (K, features) of the best mixture, whether it converged, and the :class:`Restarts`."""
    if n_populations == 1 and not p.signed:
        stats = p.features.mean(axis=1)[None]
        stats[:, 1 : 1 + p.size] *= p.means
        return stats, True, Restarts(np.array([evaluate(p, stats[None])[0].sum()]), 1, 1, 0, p.least, 0)
    stats = starts(p, y, restarts, n_populations, np.random.default_rng(seed))
    ends, collapsed, iterations = np.empty(0), 0, 0
    with progress_bar(restarts, "start", progress) as bar:
        for kept, stage in STAGES:
            ended = climb(p, stats[:kept], cycles=min(stage, cycles))
            bar.update(restarts / len(STAGES))
            order = np.argsort(-ended.log_likelihood, kind="stable")
            sound = int((~ended.collapsed).sum())
            collapsed, iterations = collapsed + len(order) - sound, iterations + ended.iterations
            ends = np.concatenate([ended.log_likelihood[order], ends[len(order) :]])
            stats, level = ended.stats[order[:sound]], ended.log_likelihood[order[:sound]]
            if not sound:
                break
    if not len(level):
        raise TooManyPopulations(
            f"the best of {restarts} starts all ended with a population of fewer than {p.least} "
            f"neurons: {y.shape[0]} neurons do not support {counted(n_populations, 'population')}; fit fewer"
        )
    climbed, reached = len(level), int((level > level[0] - SAME).sum())
    ends = np.sort(ends)[::-1]
    return stats[0], bool(ended.converged[order[0]]), Restarts(ends, climbed, reached, collapsed, p.least, iterations)


def _record(names, whitened, p, stats, converged, summary):
    rank, inputs, readouts = names
    stats = stats[np.argsort(-stats[:, 0], kind="stable")]
    weights, means, covariances = moments(p, stats)
    if p.signed:
        stats[:, 1 : 1 + p.size] *= half_space(weights, means, whitened.basis)[:, None]
    density, share, signed = (part[0] for part in evaluate(p, stats[None]))
    labels = share.argmax(axis=0)
    signs = np.where(signed[labels, np.arange(len(labels))] < 0, -1.0, 1.0)
    at_floor = (np.linalg.eigvalsh(covariances) <= FLOOR * (1 + 1e-9)).sum(axis=1)
    c = Connectivity(*to_loadings(whitened, *moments(p, stats)), rank, inputs, readouts)
    k, d = len(stats), p.size
    return PopulationFit(
        connectivity=c,
        responsibilities=share.T,
        labels=labels,
        signs=signs,
        log_likelihood=float(density.sum() - len(labels) * whitened.log_volume),
        n_parameters=k - 1 + k * d * p.means + k * d * (d + 1) // 2,
        gauge=p.gauge,
        means=p.means,
        converged=converged,
        status=_status(converged, summary, at_floor, len(whitened.singular)),
        restarts=summary,
        at_floor=at_floor,
        whitened=whitened,
        problem=p,
        stats=stats,
    )


def _status(converged, summary, at_floor, singular):
    words = ["converged" if converged else "not converged: the likelihood still rises slowly; allow more cycles"]
    if summary.reached == 1 < summary.climbed:
        words.append("reached from one start only: more restarts may find a higher maximum")
    if singular:
        words.append(f"{counted(singular, 'combination')} of loadings the same for all neurons")
    for k in np.flatnonzero(at_floor):
        words.append(f"population {k} has no width in {counted(int(at_floor[k]), 'direction')}")
    return ", ".join(words)


def to_loadings(whitened, weights, means, covariances):
    """Parameters of the loadings from those of y; covariances as squares, so that rounding keeps them semi-definite."""
    values, vectors = np.linalg.eigh(covariances)
    root = whitened.basis @ (vectors * np.sqrt(np.maximum(values, 0))[..., None, :])
    return weights / weights.sum(), whitened.centre + means @ whitened.basis.T, root @ np.swapaxes(root, -1, -2)
