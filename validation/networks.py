"""Finite networks from files: the one border where foreign scalings become ours.

Here every network is ``tau dx/dt = -x + J phi(x) + I u``, with the readout ``z = (1/N) w.phi(x)``. J is (1/N) m n^T
plus a random part if there is one, whatever the authors had. Reading executes nothing in a file and trusts none of the
sizes that it declares.
"""

import io
import json
import math
import stat
import string
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from meanfield.connectivity import Connectivity
from meanfield.conventions import check_array, check_integer, loading_names
from meanfield.mixture import modelfile
from meanfield.transfer import get_transfer

from . import npz, state_dicts
from .archive import Archive, check_shapes
from .npz import check_number
from .torch_pickle import read_state_dict

#: Largest file and largest unpacked content that is read, in bytes, unless told otherwise.
MAX_BYTES = 1 << 29

#: More loadings than this, 32 GiB of them, are taken for a mistake in the number of neurons.
MOST_LOADINGS = 1 << 32

#: A random part of more bytes than this (N = 32768) is taken for the same mistake.
MOST_BYTES = 1 << 33

#: What each scaling of a file is, and the factors that bring (m, n) and w of N neurons to ours.
SCALINGS = {
    "1/N": ("J = (1/N) m n^T and z = (1/N) w.phi(x), as here: nothing is rescaled", lambda n: (1.0, 1.0)),
    "none": ("J = m n^T and z = w.phi(x): m and n are multiplied by sqrt(N), w by N", lambda n: (math.sqrt(n), n)),
}


@dataclass(frozen=True, eq=False)
class Network:
    """The loadings of N neurons and what else a file says about them; read-only float64 arrays.

    ``tau dx/dt = -x + (random + (1/N) m n^T) phi(x) + I u``, ``z = (1/N) w.phi(x)``.

    Attributes
    ----------
    m, n : (N, R)
    I : (N, S)
        Input loadings, trained amplitudes included.
    w : (N, W), or (N,) for one readout
    input_names, readout_names : tuple of str
        Default: inputs "A", "B", ... (more than eight: "I1", "I2", ...); one readout "w", several "w1", "w2", ....
    x0 : (N,)
        Initial x; default 0.
    tau, dt : float
        Time constant and Euler step of the training, in the file's unit of time; ``dt`` is None when not known.
    transfer, readout_transfer : str
        Names of phi and of the function that the readout is applied to ("identity": z = (1/N) w.x).
    noise_std : float or None
        Standard deviation of the noise added to x **per Euler step**, not scaled by sqrt(dt).
    name, notes : str, tuple of str
        Notes say what was assumed and converted when the network was read.
    mixture : Connectivity or None
        The mixture that the loadings were drawn from, where that is known.
    population : (N,) of int, or None
        Population of the mixture that each neuron belongs to.
    task, task_options : str, dict
        The task of the training and its options, e.g. amplitudes of its inputs.
    random : (N, N), or None
        Random part of J, ``g_pq chi_ij`` with chi of variance 1/N; rows are targets. None: the connectivity is m n^T/N.

    Raises
    ------
    ValueError
        Wrong shape, NaN, unknown transfer function, or a mixture with other names or rank than the loadings.
    """

    m: np.ndarray
    n: np.ndarray
    I: np.ndarray
    w: np.ndarray
    input_names: tuple[str, ...] | None = None
    readout_names: tuple[str, ...] | None = None
    x0: np.ndarray | None = None
    tau: float = 1.0
    dt: float | None = None
    transfer: str = "tanh"
    readout_transfer: str | None = None
    noise_std: float | None = None
    name: str = ""
    notes: tuple[str, ...] = ()
    mixture: Connectivity | None = None
    population: np.ndarray | None = None
    task: str = ""
    task_options: dict = field(default_factory=dict)
    random: np.ndarray | None = None

    def __post_init__(self):
        """Check every field once and freeze it."""
        w = np.asarray(self.w)
        shapes = {"m": "NR", "n": "NR", "I": "NS", "w": "NW", "x0": "N"}
        arrays = {"m": self.m, "n": self.n, "I": self.I, "w": w[:, None] if w.ndim == 1 else w, "x0": self.x0}
        if self.x0 is None:
            arrays["x0"] = np.zeros(len(np.atleast_1d(self.m)))
        arrays = check_shapes(arrays, shapes)
        (size, rank), inputs, readouts = arrays["m"].shape, arrays["I"].shape[1], arrays["w"].shape[1]
        if not (size and rank):
            raise ValueError(f"a network needs at least one neuron and rank 1: got m of shape {(size, rank)}")
        names = _names("input_names", self.input_names, default_input_names(inputs))
        outputs = _names("readout_names", self.readout_names, default_readout_names(readouts))
        loading_names(rank, names, outputs)
        get_transfer(self.transfer)
        readout = self.transfer if self.readout_transfer is None else self.readout_transfer
        if readout != "identity":
            get_transfer(readout)
        checked = arrays | {
            "input_names": names,
            "readout_names": outputs,
            "tau": check_number("tau", self.tau, positive=True),
            "dt": None if self.dt is None else check_number("dt", self.dt, positive=True),
            "noise_std": None if self.noise_std is None else check_number("noise_std", self.noise_std),
            "readout_transfer": readout,
            "notes": tuple(self.notes),
            "task_options": dict(self.task_options),
            "population": None if self.population is None else _labels(self.population, size),
            "random": None if self.random is None else _dense(self.random, size),
        }
        for key, value in checked.items():
            object.__setattr__(self, key, value)
        ours, c = (rank, names, outputs), self.mixture
        if c is not None and (c.rank, c.inputs, c.readouts) != ours:
            theirs = (c.rank, c.inputs, c.readouts)
            raise ValueError(f"mixture: rank, inputs and readouts are {theirs}, expected {ours}")

    @classmethod
    def from_loadings(cls, loadings, **others):
        """Network of anything with ``m``, ``n``, ``I``, ``w``, ``input_names``, ``readout_names``: a drawn sample, say.

        ``others`` are further fields; ``population`` is taken over where the loadings have it.
        """
        others.setdefault("population", getattr(loadings, "population", None))
        kinds = ("m", "n", "I", "w", "input_names", "readout_names")
        return cls(*(getattr(loadings, kind) for kind in kinds), **others)

    def __repr__(self):
        """One line: the size, not the arrays."""
        and_random = " and a random part" if self.has_random else ""
        size = f"{self.n_neurons} neurons, rank {self.rank}{and_random}"
        return f"Network({self.name!r}, {size}, inputs {self.input_names})"

    @property
    def n_neurons(self):
        """Number of neurons N."""
        return self.m.shape[0]

    @property
    def rank(self):
        """Rank R of the connectivity, of its low-rank part where it has a random one too."""
        return self.m.shape[1]

    @property
    def has_random(self):
        """Whether J has a random part."""
        return self.random is not None

    @property
    def noise(self):
        """Strength of the white noise that ``noise_std`` per step of ``dt`` stands for, or None where one is not known.

        ``noise_std / sqrt(dt)``: over a time t, the variance of each x grows by ``noise**2 * t`` (before the leak).
        """
        return None if self.noise_std is None or self.dt is None else self.noise_std / math.sqrt(self.dt)

    @cached_property
    def connectivity(self):
        """The network itself as N point masses, :meth:`meanfield.Connectivity.from_network`; low rank only."""
        if self.has_random:
            raise ValueError(
                "this network has a random part, and then no finite set of equations for kappa is exact: simulate it, "
                "take the theory of its mixture, or dataclasses.replace(net, random=None) for its low-rank part alone"
            )
        return Connectivity.from_network(self)


def draw(c, n_neurons, seed, match_moments=False, transfer="tanh"):
    """Draw a network of ``n_neurons`` neurons from a mixture; its ``mixture`` is ``c``.

    The loadings of a seed are the same for every g. So is chi, which has a stream of its own: only g in front differs.

    Parameters
    ----------
    c : Connectivity
        With g > 0 the network gets a random part, which takes 8 N^2 bytes.
    n_neurons : int
    seed : int, or whatever else ``numpy.random.default_rng`` takes, but not None
    match_moments : bool
        Standardise the draws, so that every overlap of the network is that of the mixture: see
        :meth:`meanfield.Connectivity.sample`.
    transfer : str

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        No mixture, no seed, no neuron, too few neurons to match the moments, or too many for the memory.
    """
    if not isinstance(c, Connectivity):
        raise ValueError(f"draw needs a Connectivity: got {type(c).__name__}; see Connectivity.from_overlaps")
    if check_integer("n_neurons", n_neurons, 1) * len(c.names) > MOST_LOADINGS:
        raise ValueError(f"{n_neurons} neurons need more than {MOST_LOADINGS} loadings in memory: draw fewer")
    if np.any(c.g) and 8 * n_neurons**2 > MOST_BYTES:
        raise ValueError(
            f"the random part of {n_neurons} neurons takes {8 * n_neurons**2} bytes, more than {MOST_BYTES}: draw at "
            f"most {math.isqrt(MOST_BYTES // 8)} neurons, or its low-rank part alone with dataclasses.replace(c, g=0.0)"
        )
    loadings = c.sample(n_neurons, seed, match_moments)
    random = _random_part(c.g, loadings.population, seed) if np.any(c.g) else None
    return Network.from_loadings(loadings, mixture=c, transfer=transfer, name="drawn", random=random)


def _random_part(g, population, seed):
    """g_pq chi_ij (N, N); chi is the same for every g."""
    entropy = np.random.default_rng(seed).integers(2**32, size=4).tolist()
    chi = np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy, spawn_key=(0,))))
    by_source, g = chi.standard_normal((len(population),) * 2), g / math.sqrt(len(population))
    for row, p in zip(by_source, population, strict=True):
        row *= g[population, p] if np.ndim(g) else g
    by_source.setflags(write=False)
    return by_source.T


def default_input_names(count):
    """``("A", "B", ..)`` up to eight inputs, ``("I1", "I2", ..)`` beyond: ``I`` alone means all the inputs."""
    return tuple(string.ascii_uppercase[:count] if count <= 8 else (f"I{s + 1}" for s in range(count)))


def default_readout_names(count):
    """``("w",)`` for one readout, ``("w1", "w2", ..)`` for several."""
    return ("w",) if count == 1 else tuple(f"w{k + 1}" for k in range(count))


def _names(what, names, default):
    names = default if names is None else (names,) if isinstance(names, str) else tuple(names)
    if len(names) != len(default):
        raise ValueError(f"{what}: got {len(names)} names {names} for {len(default)} columns")
    return names


def _dense(value, size):
    """A random part, checked; one that is frozen is not copied. Its columns are contiguous: products are faster so."""
    owner = value.base if isinstance(value, np.ndarray) and value.base is not None else value
    frozen = isinstance(owner, np.ndarray) and not owner.flags.writeable and value.dtype == float
    if frozen and value.shape == (size, size) and value.flags.f_contiguous and np.isfinite(value).all():
        return value
    array = np.asfortranarray(check_array("random", value, (size, size), "(target neurons, source neurons)"))
    array.setflags(write=False)
    return array


def _labels(value, size):
    labels = check_array("population", value, (size,))
    integers = labels.astype(np.int64)
    if (integers != labels).any() or (integers < 0).any():
        wrong = labels[(integers != labels) | (integers < 0)][0]
        raise ValueError(f"population must hold integers >= 0, one per neuron: got {wrong:g}")
    integers.setflags(write=False)
    return integers


def load_network(path, scaling=None, *, max_bytes=MAX_BYTES):
    """Read a network from a ``.npz`` file or a PyTorch state dictionary, without PyTorch and without running anything.

    Parameters
    ----------
    path : path-like
        The content decides about the format, not the extension.
    scaling : None, "1/N" or "none"
        Scaling of the loadings in the file, see :data:`SCALINGS`. None: "1/N" for ``.npz``; for a state dictionary, the
        scaling of the class whose keys it has. The notes of the result say what was assumed.
    max_bytes : int
        Largest file, and largest unpacked content, that is read.

    Returns
    -------
    Network

    Raises
    ------
    OSError
        There is no such file, or it cannot be opened.
    ValueError
        A damaged or hostile file, missing fields, wrong shapes, NaN, unknown keys or an unknown scaling; the message
        starts with the path.
    """
    if scaling is not None and scaling not in SCALINGS:
        raise ValueError(f"unknown scaling {scaling!r}: expected one of {list(SCALINGS)}, or None to go by the keys")
    path = Path(path)
    try:
        return _network(_read(_content(path, max_bytes), max_bytes), scaling, path.name.rsplit(".", 1)[0])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _content(path, max_bytes):
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file; name a .npz or .pt file")
    if status.st_size > max_bytes:
        raise ValueError(
            f"it has {status.st_size} bytes, more than the limit of {max_bytes}; "
            "if you trust the file, pass a larger max_bytes"
        )
    with open(path, "rb") as file:
        return file.read(status.st_size)


def _read(data, max_bytes):
    """Fields of a network, in the scaling of the file."""
    try:
        if data.startswith(b"\x93NUMPY"):
            raise ValueError("it is a single array (.npy); save m, n, I and w together with numpy.savez")
        if data.startswith(b"PK"):
            archive = Archive(data, max_bytes)
            if any(name.endswith(".npy") for name in archive.sizes):
                return npz.read_fields(archive)
        tensors = read_state_dict(data, max_bytes)
    except ValueError:
        raise
    except Exception as error:  # whatever else the standard readers raise on damaged bytes
        raise ValueError(f"the file is damaged: {type(error).__name__}: {str(error)[:200]}") from error
    return state_dicts.convert(tensors)


def _network(parts, scaling, stem):
    """Network in our scaling, with a note that says which one the file was taken to have."""
    own, mixture, ours = parts.pop("scaling"), parts.pop("mixture", None), parts.pop("ours", False)
    text, factors = SCALINGS[scaling or own]
    size, rank = parts["m"].shape
    recurrent, readout = factors(size)
    parts |= {"m": recurrent * parts["m"], "n": recurrent * parts["n"], "w": readout * parts["w"]}
    if scaling or not ours:
        source = "as told" if scaling else "assumed"
        parts["notes"] = [f"Scaling {scaling or own!r} ({source}): {text}.", *parts["notes"]]
    net = Network(**{"name": stem} | parts)
    if mixture is None:
        return net
    weights, means, covariances, *g = mixture
    factor = np.repeat([recurrent, 1.0, readout], [2 * rank, net.I.shape[1], net.w.shape[1]])
    try:
        means, covariances = means * factor, covariances * factor[:, None] * factor
    except ValueError:
        shapes = f"{means.shape}, {covariances.shape}"
        raise ValueError(f"mix_mean and mix_cov need {len(factor)} loadings: got shapes {shapes}") from None
    c = Connectivity(weights, means, covariances, rank, net.input_names, net.readout_names, *g)
    return replace(net, mixture=c)


def save_network(net, path):
    """Write a network, or drawn loadings, to a ``.npz`` file; :func:`load_network` gives back the same bits.

    The file is replaced as a whole or not at all.

    Raises
    ------
    ValueError
        The path does not end in ``.npz``, or the network is not one.
    OSError
        The file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"a network is saved as .npz: got {path.name!r}; use {path.with_suffix('.npz').name!r}")
    if not isinstance(net, Network):
        net = Network.from_loadings(net)
    fields = {"m": net.m, "n": net.n, "I": net.I, "w": net.w, "h0": net.x0, "tau": net.tau, "name": net.name}
    fields |= {"nonlinearity": net.transfer, "readout_nonlinearity": net.readout_transfer}
    fields |= {key: np.array(getattr(net, key), dtype=str) for key in ("input_names", "readout_names", "notes")}
    fields |= {"task": net.task, "task_options": json.dumps(net.task_options)}
    optional = {"dt": net.dt, "noise_std": net.noise_std, "population": net.population, "random": net.random}
    if (c := net.mixture) is not None:
        optional |= {"mix_weights": c.weights, "mix_mean": c.means, "mix_cov": c.covariances, "mix_g": c.g}
    buffer = io.BytesIO()
    np.savez(buffer, **fields, **{key: value for key, value in optional.items() if value is not None})
    modelfile.write(path, buffer.getvalue())
