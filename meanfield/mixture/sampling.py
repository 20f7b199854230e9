"""From a mixture to the loadings of a finite network, and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..conventions import check_array, check_integer, ordinal, rounding_tolerance


@dataclass(frozen=True, eq=False)
class Loadings:
    """The loadings of N neurons; ``Connectivity.from_network`` takes it as it is."""

    m: np.ndarray  #: (N, R)
    n: np.ndarray  #: (N, R)
    I: np.ndarray  #: (N, S)
    w: np.ndarray  #: (N, W)
    population: np.ndarray  #: (N,), the population of each neuron, increasing
    input_names: tuple[str, ...]
    readout_names: tuple[str, ...]

    def __repr__(self) -> str:
        names = " ".join((*self.input_names, *self.readout_names))
        return f"Loadings({len(self.m)} neurons, rank {self.m.shape[1]}{names and ', ' + names})"


def population_sizes(weights: np.ndarray, n_neurons: int) -> np.ndarray:
    """``n_neurons * weights`` rounded to whole numbers with the right sum: largest remainders, ties to the first."""
    exact = n_neurons * weights / weights.sum()
    sizes = np.floor(exact).astype(int)
    sizes[np.argsort(sizes - exact, kind="stable")[: n_neurons - sizes.sum()]] += 1
    return sizes


def sample(c, n_neurons: int, seed, match_moments: bool = False) -> Loadings:
    """Draw the loadings of ``n_neurons`` neurons, ordered by population.

    Plain (the default): the neurons are independent draws of the mixture, so the sizes of the populations are
    multinomial. With ``match_moments`` the sizes are ``n_neurons * weights``, rounded by largest remainders, and
    within each population the draws are standardised: mean and covariance (sums over neurons divided by their number)
    equal those of the population exactly. So does then every overlap (1/N) a.b, where the sizes needed no rounding.
    ``g`` is not used here: the random part of J is not a loading.

    ``seed`` is anything that ``numpy.random.default_rng`` takes, except None.

    Raises
    ------
    ValueError
        No seed; with ``match_moments``, a population with too few neurons for the rank of its covariance.
    """
    if seed is None:
        raise ValueError("sample needs a seed, e.g. seed=0: every draw can be repeated")
    n_neurons = check_integer("n_neurons", n_neurons, 1)
    rng = np.random.default_rng(seed)
    if match_moments:
        sizes = population_sizes(c.weights, n_neurons)
    else:
        sizes = rng.multinomial(n_neurons, c.weights / c.weights.sum())
    population = np.repeat(np.arange(len(sizes)), sizes)
    loadings = c.means[population]
    if not c.point_masses:
        normal = rng.standard_normal(loadings.shape)
        for p, block in enumerate(np.split(normal, np.cumsum(sizes)[:-1])):
            values, vectors = np.linalg.eigh(c.covariances[p])
            values = np.where(values > rounding_tolerance(len(values)) * values[-1], values, 0.0)
            if match_moments:
                block = _standardise(block, vectors[:, values > 0], p)
            loadings[population == p] += block @ (vectors * np.sqrt(values)) @ vectors.T
    return Loadings(*(loadings[:, c.slice(kind)] for kind in ("m", "n", "I", "w")), population, c.inputs, c.readouts)


def _standardise(normal: np.ndarray, basis: np.ndarray, p: int) -> np.ndarray:
    """The nearest draws within the span of ``basis`` whose mean is 0 and whose covariance is the projector on it."""
    n, k = len(normal), basis.shape[1]
    if k == 0:
        return normal
    if n <= k:
        raise ValueError(
            f"match_moments: population {ordinal(p)} gets {n} neurons, "
            f"but a covariance of rank {k} needs at least {k + 1}; draw more neurons or leave match_moments out"
        )
    inside = normal @ basis
    inside = inside - inside.mean(axis=0)
    u, _, vt = np.linalg.svd(inside, full_matrices=False)
    exact = u @ vt
    return np.sqrt(n) * (exact - exact.mean(axis=0)) @ basis.T


def sample_moments(loadings, labels, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances of labelled loadings (N, A); one population per label, in sorted order.

    Sums over neurons are divided by their number, so that sum_p alpha_p (sigma_p + mu_p mu_p^T) is exactly (1/N) a.b.

    Raises
    ------
    ValueError
        Wrong shapes, NaN, a label with fewer neurons than loadings + 1 (its covariance would be singular by
        construction).
    """
    loadings = check_array("loadings", loadings)
    if loadings.ndim != 2 or loadings.shape[1] != len(names):
        raise ValueError(
            f"loadings: got shape {loadings.shape}, expected (neurons, {len(names)}) in the order {' '.join(names)}"
        )
    labels = np.zeros(len(loadings), dtype=int) if labels is None else np.asarray(labels)
    if labels.shape != loadings.shape[:1]:
        raise ValueError(f"labels: got shape {labels.shape}, expected one label per neuron, {loadings.shape[:1]}")
    known, member = np.unique(labels, return_inverse=True)
    sizes = np.bincount(member, minlength=len(known))
    if len(loadings) == 0 or sizes.min() <= len(names):
        short = known[np.argmin(sizes)].item() if len(known) else None
        raise ValueError(
            f"label {short!r} has {sizes.min(initial=len(loadings))} neurons: the covariance of {len(names)} loadings "
            f"needs at least {len(names) + 1}; use fewer populations, or from_network for the network itself"
        )
    means, covariances = np.empty((len(known), len(names))), np.empty((len(known), len(names), len(names)))
    for p in range(len(known)):
        block = loadings[member == p]
        means[p] = block.mean(axis=0)
        centred = block - means[p]
        covariances[p] = centred.T @ centred / len(block)
    return sizes / len(loadings), means, covariances
