"""The ledger of a finite network by groups of neurons, and its populations' contributions against its mixture."""

from dataclasses import dataclass, replace

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_array
from meanfield.dynamics import reduce
from meanfield.finite_size.neurons import neuron
from meanfield.mechanism import ledger

from ..redrawn import how_drawn


def moments(net, labels=None):
    """The mixture with the sample moments of the groups of neurons, the network's populations by default."""
    loadings = np.hstack([net.m, net.n, net.I, net.w])
    labels = net.population if labels is None else labels
    names = {"inputs": net.input_names, "readouts": net.readout_names}
    return Connectivity.from_samples(loadings, labels, rank=net.rank, **names)


def network_ledger(net, kappa, inputs=None, labels=None, v=None, label=""):
    """The ledger of a finite network by groups of neurons, whose contributions sum to its exact drift and readouts.

    Each group is a Gaussian population with the group's own moments; what the neurons do beyond that stands in
    ``rest`` (:eq:`ledger-rest`). ``local`` is exact: (1/N) sum_i n_i phi'(x_i) m_i over the group.

    Parameters
    ----------
    net : Network
        Low rank.
    kappa : array_like (..., R)
    inputs : mapping of str to float, optional
    labels : (N,) of int, optional
        Groups from 0; default the network's populations.
    v : array_like (..., S), optional
        Instead of inputs, where they change along the states.
    label : str

    Returns
    -------
    Ledger

    Raises
    ------
    ValueError
        A random part, no labels.
    """
    labels = net.population if labels is None else check_array("labels", labels, (net.n_neurons,))
    if labels is None:
        raise ValueError("the populations of the neurons are not known: pass labels, one per neuron")
    exact = ledger(reduce(net.connectivity, net.transfer, inputs), kappa, v, label).grouped(labels)
    gaussian = ledger(reduce(moments(net, labels), net.transfer, inputs), kappa, v, label)
    return replace(gaussian, rest=exact.contribution - gaussian.contribution, local=exact.local)


@dataclass(frozen=True, eq=False)
class PopulationScores:
    """What each population of a network contributes, beside its mixture, with the spread that the theory predicts.

    Attributes
    ----------
    names : tuple of str
        What is contributed to: the drift and readouts, and the local overlaps with m.
    theory, network, std : ndarray (P, Q)
    matched : {"nothing", "sizes"}
        Whether the sizes of the populations are taken as drawn or as fixed.
    """

    names: tuple[str, ...]
    theory: np.ndarray
    network: np.ndarray
    std: np.ndarray
    matched: str

    @property
    def z(self):
        """Deviations in standard deviations, (P, Q); 0 where all networks agree, as at the origin."""
        apart = self.network - self.theory
        return np.divide(apart, self.std, out=np.zeros_like(apart), where=self.std > 1e-12)

    def __str__(self):
        lines = [f"{'population':>10s}  {'contribution to':16s}{'theory':>10s}{'network':>10s}{'std':>9s}{'z':>7s}"]
        for p, columns in enumerate(zip(self.theory, self.network, self.std, self.z, strict=True)):
            for name, a, b, s, z in zip(self.names, *columns, strict=True):
                lines.append(f"{p:10d}  {name:16s}{a:10.4f}{b:10.4f}{s:9.4f}{z:7.2f}")
        return "\n".join(lines)


def population_scores(net, kappa, inputs=None, v=None):
    """Each population's contributions in one state: the network's, its mixture's, and the predicted spread.

    Parameters
    ----------
    net : Network
        With its mixture and the populations of its neurons.
    kappa : array_like (R,)
    inputs : mapping of str to float, optional
    v : array_like (S,), optional
        Instead of inputs.

    Returns
    -------
    PopulationScores

    Raises
    ------
    ValueError
        The mixture or the populations are not known.
    """
    c = net.mixture
    if c is None or net.population is None or net.population.max() >= c.n_populations:
        raise ValueError("population_scores needs a network with its mixture and the populations of its neurons")
    matched, rank = how_drawn(net)[0], net.rank
    f = reduce(c, net.transfer, inputs)
    f = f if v is None else replace(f, v=np.asarray(v, float))
    theory = ledger(f, kappa)
    found = np.zeros((c.n_populations, theory.contribution.shape[-1] * (1 + rank)))
    present = np.unique(net.population)
    exact = ledger(reduce(net.connectivity, net.transfer, inputs), kappa, f.v)
    found[present] = _flat(exact.grouped(np.searchsorted(present, net.population)), rank)
    expected, std = _flat(theory, rank), np.empty(found.shape)
    for p, weight in enumerate(c.weights):
        alone = replace(c, weights=[1.0], means=c.means[[p]], covariances=c.covariances[[p]])
        nu = neuron(replace(f, connectivity=alone), np.asarray(kappa, float), "sizes", with_error=False)
        variance = weight * np.maximum(np.diagonal(nu.covariance), 0.0)
        if matched == "nothing":  # the size of the population varies too
            variance = variance + expected[p] ** 2 * (1 / weight - 1)
        std[p] = np.sqrt(variance / net.n_neurons)
    names = (*theory.rows, *(f"{a}.{b}, local" for a in theory.rows for b in theory.columns[:rank]))
    return PopulationScores(names, expected, found, std, matched)


def _flat(one, rank):
    """Contributions, then local overlaps with m, of a ledger of one state: (P, Q)."""
    local = one.local[..., :rank]
    return np.concatenate([one.contribution, local.reshape(len(local), -1)], axis=-1)
