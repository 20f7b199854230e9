"""Networks of N neurons as parameters to be trained: every connection, or the loadings of a low rank.

A parametrisation is a small record. ``init`` gives its parameters, a dictionary of arrays of order one, so that one
learning rate serves all; ``run`` gives the readouts of a batch of trials and can be differentiated; ``result`` takes
parameters to a :class:`~meanfield.validation.networks.Network` or :class:`~meanfield.Connectivity`; ``adopt`` takes
parameters from one of those.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_array, check_integer
from meanfield.traced import import_fit

from ..networks import Network, draw
from ..npz import check_number
from .rollout import Loadings, rollout

#: Standard deviation of the readout's loadings before training: large, since z = (1/N) w.phi(x) starts near 0.
READOUT_START = 4.0


@dataclass(frozen=True)
class _Neurons:
    """What both have in common: N neurons, whose private noise is drawn; parameters that are held; how they start."""

    n_neurons: int = 512
    rank: int = 1
    held: tuple[str, ...] = ()
    drive: float = 1.0
    _parts: ClassVar[tuple] = ()

    def __post_init__(self):
        """Check every field once."""
        check_integer("n_neurons", self.n_neurons, 1)
        if check_integer("rank", self.rank, 1) > self.n_neurons:
            raise ValueError(f"rank must be at most the number of neurons, {self.n_neurons}: got {self.rank}")
        check_held(self, self._parts)
        check_number("drive", self.drive)

    def noise_shape(self, steps, count):
        """Shape of the noise on a batch, (T, N, B)."""
        return steps, self.n_neurons, count

    def _loadings(self, rng, *columns):
        return [rng.standard_normal((self.n_neurons, k)) for k in columns]

    def _free(self, params):
        return without_gradients(params, self.held)

    def _sized(self, net):
        if net.n_neurons != self.n_neurons:
            raise ValueError(f"start: it has {net.n_neurons} neurons, expected n_neurons = {self.n_neurons}")
        return net


def read_out(loadings, u, noise, rule):
    """z (B, T, W) for inputs u (B, T, S): :func:`~meanfield.validation.training.rollout.rollout` with trials first."""
    return rollout(loadings, u.transpose(1, 2, 0), noise, rule).transpose(2, 0, 1)


def check_held(record, parts):
    """Freeze ``record.held`` as a tuple, every entry of which is one of ``parts``."""
    held = (record.held,) if isinstance(record.held, str) else tuple(record.held)
    object.__setattr__(record, "held", held)
    if unknown := set(held) - set(parts):
        raise ValueError(f"held must be among {', '.join(parts)}: got {min(unknown)!r}")


def without_gradients(params, held):
    """The same parameters, of which those that are held are not differentiated in."""
    stop = import_fit().jax.lax.stop_gradient
    return {key: stop(value) if key in held else value for key, value in params.items()}


@dataclass(frozen=True)
class FullRank(_Neurons):
    """J, I and w of N neurons. Parameters: ``J`` (N, N), N times the connectivity; ``I`` (N, S); ``w`` (N, W).

    J is kept multiplied by N: steps of one learning rate then change its eigenvalues by as much as those of a
    :class:`LowRank` network.

    Parameters
    ----------
    n_neurons : int
    rank : int
        The result has the first singular vectors of J as m and n, and all the rest as ``random``: nothing is lost.
    held : tuple of str
        Which of J, I, w stay as they start.
    drive : float
        Standard deviation of I before training.
    gain : float
        Before training J has independent entries of variance ``gain**2 / N``.
    """

    gain: float = 0.8
    _parts: ClassVar[tuple] = ("J", "I", "w")

    def __post_init__(self):
        """Check every field once."""
        super().__post_init__()
        check_number("gain", self.gain)

    def init(self, task, seed):
        """Parameters before training."""
        full, inputs, w = self._loadings(np.random.default_rng(seed), self.n_neurons, len(task.inputs), 1)
        return {"J": self.gain * np.sqrt(self.n_neurons) * full, "I": self.drive * inputs, "w": READOUT_START * w}

    def run(self, params, u, noise, rule):
        """Readouts (B, T, W) for inputs u (B, T, S) and noise (T, N, B) or None."""
        params = self._free(params)
        none = params["w"][:, :0]
        return read_out(Loadings(none, none, params["I"], params["w"], params["J"] / self.n_neurons), u, noise, rule)

    def result(self, params, task, about):
        """The network, and no mixture; ``about``: its fields that are no loadings."""
        J = params["J"] / self.n_neurons
        m, n = leading(J, self.rank)
        random = J - m @ n.T / self.n_neurons
        return Network(m, n, params["I"], params["w"], task.inputs, task.readouts, random=random, **about), None

    def adopt(self, source, task, seed):
        """Parameters from a network, with any random part that it has."""
        net = self._sized(as_network(source, self.n_neurons, seed))
        return {"J": self.n_neurons * connections(net), "I": net.I, "w": net.w}


@dataclass(frozen=True)
class LowRank(_Neurons):
    """m, n, I, w of N neurons, J = (1/N) m n^T, which is never formed. Parameters: these four, (N, ...).

    The result is in the normal form of J's singular value decomposition.

    Parameters
    ----------
    n_neurons, rank : int
    held : tuple of str
        Which of m, n, I, w stay as they start. Where learning does not begin, the readout has usually shrunk before
        the network can do anything: hold w.
    drive : float
        Standard deviation of I before training.
    overlap : float
        Of each n with its m before training; above 1 there are memories from the start.
    """

    overlap: float = 0.0
    _parts: ClassVar[tuple] = ("m", "n", "I", "w")

    def __post_init__(self):
        """Check every field once."""
        super().__post_init__()
        check_array("overlap", self.overlap, ())

    def init(self, task, seed):
        """Parameters before training: normal numbers, independent where ``overlap`` is 0."""
        m, n, inputs, w = self._loadings(np.random.default_rng(seed), self.rank, self.rank, len(task.inputs), 1)
        return {"m": m, "n": n + self.overlap * m, "I": self.drive * inputs, "w": READOUT_START * w}

    def run(self, params, u, noise, rule):
        """Readouts (B, T, W) for inputs u (B, T, S) and noise (T, N, B) or None."""
        return read_out(Loadings(**self._free(params)), u, noise, rule)

    def result(self, params, task, about):
        """The network, and no mixture; ``about``: its fields that are no loadings."""
        net = Network(**params, input_names=task.inputs, readout_names=task.readouts, **about)
        return normal_form(net), None

    def adopt(self, source, task, seed):
        """Parameters from a network, whose J is cut to this rank where it has a higher one; or drawn from a mixture."""
        net = self._sized(as_network(source, self.n_neurons, seed))
        if net.has_random or net.rank > self.rank:
            m, n = leading(connections(net), self.rank)
        elif net.rank < self.rank:
            raise ValueError(
                f"start: its rank is {net.rank}, expected {self.rank} or more, which is cut to {self.rank}"
            )
        else:
            m, n = net.m, net.n
        return {"m": m, "n": n, "I": net.I, "w": net.w}


def as_network(source, n_neurons, seed):
    """A network as it is, or one drawn from a mixture."""
    if isinstance(source, Network):
        return source
    if isinstance(source, Connectivity):
        return draw(replace(source, g=0.0), n_neurons, seed)
    raise ValueError(f"start must be a Network, a Connectivity or a Trained: got {type(source).__name__}")


def connections(net):
    """All of J, (N, N)."""
    low = net.m @ net.n.T / net.n_neurons
    return low if net.random is None else low + net.random


def leading(J, rank):
    """m and n (N, R) of the first singular values of J: m_r = sqrt(N s_r) u_r, n_r = sqrt(N s_r) v_r.

    Their joint sign makes the largest entry of each m_r positive.
    """
    u, s, vt = np.linalg.svd(J)
    scale = np.sqrt(len(J) * s[:rank])
    m, n = u[:, :rank] * scale, vt[:rank].T * scale
    sign = np.sign(m[np.abs(m).argmax(0), np.arange(rank)])
    return m * sign, n * sign


def normal_form(net):
    """The same network in the basis of :func:`meanfield.mixture.transformations.svd_normal_form`, where it has one."""
    try:
        c = net.connectivity.svd_normal_form().connectivity
    except ValueError as error:
        return replace(net, notes=(*net.notes, f"Not in normal form: {error}."))
    return replace(net, m=c.mean("m"), n=c.mean("n"))
