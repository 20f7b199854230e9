"""Recordings from files: .npy, .npz and .mat, and NWB where the extra [nwb] is installed; nothing in a file is run.

Sizes that a file declares are checked before anything is unpacked, and an error starts with the path.
"""

import io
import math
import stat
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from meanfield.conventions import check_array, check_integer, counted

from ..archive import Archive, read_array
from ..npz import check_number

#: Largest file, and largest unpacked content, that is read, in bytes, unless told otherwise.
MAX_BYTES = 1 << 30
#: Names under which arrays of rates and of inputs are found where a file has several.
RATES = ("rates", "x", "data", "activity")
INPUTS = ("inputs", "u")

_MAT_COMPRESSED = 15
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Recording:
    """Trials of recorded activity.

    Attributes
    ----------
    rates : ndarray (B, T, N), or tuple of B arrays (T_b, N)
        Read-only; whether they are rates or input currents is for :func:`lint` to be told.
    inputs : ndarray (B, T, S), tuple of arrays (T_b, S), or None
    dt : float or None
        Time between two samples.
    names : tuple of N str
        Of the neurons or channels; default: their numbers.
    name : str

    Raises
    ------
    ValueError
        Not finite numbers, no sample, shapes that do not fit together.
    """

    rates: object
    inputs: object = None
    dt: float | None = None
    names: tuple = ()
    name: str = ""

    def __post_init__(self):
        """Check every field once and freeze it."""
        rates = _trials("rates", self.rates, "(trials, samples, neurons)")
        names = tuple(map(str, self.names)) or tuple(map(str, range(rates[0].shape[1])))
        if len(names) != rates[0].shape[1]:
            raise ValueError(f"names: got {len(names)} for {rates[0].shape[1]} neurons")
        inputs = self.inputs
        if inputs is not None:
            inputs = _trials("inputs", inputs, "(trials, samples, inputs)")
            if len(inputs) != len(rates):
                raise ValueError(f"inputs are of {counted(len(inputs), 'trial')}, the rates of {len(rates)}")
            for b, (u, r) in enumerate(zip(inputs, rates, strict=True)):
                if len(u) not in (len(r), len(r) - 1):
                    raise ValueError(f"inputs of trial {b} have {len(u)} samples, its rates {len(r)}")
        dt = None if self.dt is None else check_number("dt", self.dt, positive=True)
        for key, value in (("rates", rates), ("inputs", inputs), ("dt", dt), ("names", names)):
            object.__setattr__(self, key, value)

    def __len__(self):
        return len(self.rates)

    @property
    def n_neurons(self):
        """N."""
        return self.rates[0].shape[1]

    def cut(self, samples):
        """The same recording in segments of so many samples; what is left over at the end of a trial is left out.

        Raises
        ------
        ValueError
            Fewer than two samples, or more than the longest trial has.
        """
        samples = check_integer("samples", samples, 2)
        starts = [(b, k) for b, r in enumerate(self.rates) for k in range(0, len(r) - samples + 1, samples)]
        if not starts:
            raise ValueError(f"no trial has {samples} samples: the longest has {max(map(len, self.rates))}")

        def pieces(trials):
            return np.stack([trials[b][k : k + samples] for b, k in starts])

        inputs = self.inputs
        if inputs is not None and any(len(u) < len(r) for u, r in zip(inputs, self.rates, strict=True)):
            inputs = [np.pad(u, ((0, len(r) - len(u)), (0, 0))) for u, r in zip(inputs, self.rates, strict=True)]
        return replace(self, rates=pieces(self.rates), inputs=None if inputs is None else pieces(inputs))

    def thinned(self, every):
        """Every so many samples only, of trials without inputs: for activity that is smooth on the scale of dt."""
        every = check_integer("every", every, 1)
        if self.inputs is not None:
            raise ValueError("a recording with inputs cannot be thinned: its inputs are held for one sample only")
        return replace(self, rates=[r[::every] for r in self.rates], dt=None if self.dt is None else every * self.dt)

    def neurons(self, chosen):
        """The recording of some of the neurons: a smaller sample of the same network."""
        chosen = np.arange(self.n_neurons)[chosen]
        names = tuple(self.names[i] for i in chosen)
        return replace(self, rates=[r[:, chosen] for r in self.rates], names=names)

    def shuffled(self, seed):
        """A surrogate: each neuron takes its trials from another order, drawn for it alone.

        What a neuron does by itself stays; what neurons do together on a trial is lost. All trials need one length.
        """
        if not isinstance(self.rates, np.ndarray):
            raise ValueError("trials of different length cannot be exchanged: cut them first")
        rng, rates = np.random.default_rng(check_integer("seed", seed, 0)), np.array(self.rates)
        for i in range(self.n_neurons):
            rates[:, :, i] = rates[rng.permutation(len(rates)), :, i]
        return replace(self, rates=rates)

    def __repr__(self):
        """One line: sizes, not arrays."""
        lengths = sorted({len(r) for r in self.rates})
        samples = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
        dt = "" if self.dt is None else f", dt = {self.dt:g}"
        return f"Recording({self.name!r}, {len(self)} trials of {samples} samples, {self.n_neurons} neurons{dt})"


def _trials(what, value, axes):
    """Read-only (B, T, ...) array, or tuple of such trials where their lengths differ."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        value = value[None] if value.ndim == 2 else value
        array = check_array(what, value)
        if array.ndim != 3 or (what == "rates" and not array.size):
            raise ValueError(f"{what}: got shape {np.shape(value)}, expected {axes}, none of them 0")
        return array
    trials = tuple(check_array(f"{what} of trial {b}", trial) for b, trial in enumerate(value))
    if not trials:
        raise ValueError(f"{what} must hold at least one trial: got none")
    for b, trial in enumerate(trials):
        if trial.ndim != 2 or trial.shape[1] != trials[0].shape[-1] or (what == "rates" and not trial.size):
            raise ValueError(
                f"{what} of trial {b}: got shape {trial.shape}, expected {axes[len('(trials, ') :]} as in trial 0, "
                f"{trials[0].shape}"
            )
    if len({len(trial) for trial in trials}) == 1:
        return check_array(what, np.stack(trials))
    return trials


def load_recording(path, *, rates=None, inputs=None, dt=None, max_bytes=MAX_BYTES):
    """Read a :class:`Recording`; the content decides about the format, not the extension.

    Parameters
    ----------
    path : path-like
        ``.npy``: one array. ``.npz`` and ``.mat``: arrays by name, :data:`RATES` and :data:`INPUTS` unless told;
        ``dt`` and ``names`` are taken along; cells and lists are trials of different length. NWB: the first
        processed or acquired time series, or the one that ``rates`` names.
    rates, inputs : str, optional
        Names of the arrays in the file.
    dt : float, optional
        Time between two samples, where the file does not say.
    max_bytes : int

    Returns
    -------
    Recording
        An array (samples, neurons) is one trial.

    Raises
    ------
    OSError
        There is no such file, or it cannot be opened.
    ImportError
        An NWB file without the extra.
    ValueError
        A damaged or hostile file, NaN, an array of wrong shape, or none that could be meant; the message starts with
        the path.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file; name a .npy, .npz, .mat or .nwb file")
        if status.st_size > max_bytes:
            raise ValueError(
                f"it has {status.st_size} bytes, more than the limit of {max_bytes}; if you trust the file, pass a "
                "larger max_bytes"
            )
        if not status.st_size:
            raise ValueError("it is empty")
        with open(path, "rb") as file:
            head = file.read(1024)
        fields = (
            _hdf5_fields(path, rates, max_bytes) if _HDF5 in (head[:8], head[512:520]) else _fields(path, max_bytes)
        )
        return _recording(fields, rates, inputs, dt, path.name.rsplit(".", 1)[0])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _fields(path, max_bytes):
    data = path.read_bytes()
    try:
        if data.startswith(b"\x93NUMPY"):
            return {"rates": read_array(data, path.name)}
        if data.startswith(b"PK"):
            archive = Archive(data, max_bytes)
            members = {name.removesuffix(".npy"): name for name in archive.sizes if name.endswith(".npy")}
            return {key: read_array(archive.read(name), name) for key, name in members.items()}
        return _mat_fields(data, max_bytes)
    except ValueError:
        raise
    except Exception as error:  # whatever else the standard readers raise on damaged bytes
        raise ValueError(f"the file is damaged: {type(error).__name__}: {str(error)[:200]}") from error


def _mat_fields(data, max_bytes):
    """Variables of a MATLAB file up to version 7; the sizes of all are looked at before any is read."""
    from scipy.io import loadmat, whosmat

    _check_compressed(data, max_bytes)
    try:
        listed = whosmat(io.BytesIO(data))
    except Exception as error:
        raise ValueError(
            f"it is none of .npy, .npz, MATLAB up to 7.2 and HDF5 ({type(error).__name__}: {str(error)[:100]})"
        ) from error
    known = [name for name, shape, kind in listed if kind in _MATLAB]
    _check_size(sum(8 * math.prod(shape) for name, shape, kind in listed if name in known), max_bytes)
    read = loadmat(io.BytesIO(data), variable_names=known, squeeze_me=False)
    return {name: _cells(read[name]) for name in known if name in read}


_MATLAB = {"double", "single", "cell", "logical", "char", *(f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64))}


def _check_size(total, max_bytes):
    if total > max_bytes:
        raise ValueError(f"its arrays take {total} bytes, more than the limit of {max_bytes}: pass a larger max_bytes")


def _check_compressed(data, max_bytes):
    """Unpack the compressed elements of a MATLAB 5 file piece by piece, only to count; cells hide their sizes."""
    if data[126:128] not in (b"IM", b"MI"):
        return
    order, at, total = "<" if data[126:128] == b"IM" else ">", 128, 0
    while at + 8 <= len(data):
        kind, size = struct.unpack(f"{order}II", data[at : at + 8])
        if kind == _MAT_COMPRESSED:
            unpacker, rest = zlib.decompressobj(), data[at + 8 : at + 8 + size]
            while rest and not unpacker.eof:
                total += len(unpacker.decompress(rest, 1 << 20))
                rest = unpacker.unconsumed_tail
                _check_size(total, max_bytes)
        at += 8 + size


def _cells(value):
    """A cell array as a list of arrays."""
    return [np.asarray(cell) for cell in value.ravel()] if value.dtype == object else value


def _hdf5_fields(path, wanted, max_bytes):
    """Arrays at the top of an HDF5 file (MATLAB 7.3), or the time series of an NWB file."""
    try:
        import h5py
    except ImportError:
        raise ImportError(
            f'{path}: it is an HDF5 file (MATLAB 7.3 or NWB): pip install "lowrank-meanfield[nwb]" to read it, or save '
            "it as .npz, or in MATLAB with save -v7"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            nwb = "nwb_version" in file.attrs
            held = {} if nwb else {k: v for k, v in file.items() if isinstance(v, h5py.Dataset)}
            held = {k: v for k, v in held.items() if v.dtype.kind in "biuf"}
            _check_size(sum(v.dtype.itemsize * math.prod(v.shape) for v in held.values()), max_bytes)
            # MATLAB stores arrays column by column, so that axes come in the reverse order
            found = {k: np.asarray(v).T for k, v in held.items()}
    except OSError as error:
        raise ValueError(f"the file is damaged: {str(error)[:200]}") from error
    return _nwb_fields(path, wanted, max_bytes) if nwb else found


def _nwb_fields(path, wanted, max_bytes):
    """The time series of an NWB file."""
    try:
        from pynwb import NWBHDF5IO
    except ImportError:
        raise ImportError(f'{path}: NWB files need an extra: pip install "lowrank-meanfield[nwb]"') from None
    with NWBHDF5IO(str(path), "r") as reader:
        series = _series(reader.read())
        if not series or (wanted is not None and wanted not in series):
            raise ValueError(f"no time series {wanted or 'with numbers'}: the file has {sorted(series)[:20]}")
        chosen = series[wanted or next(iter(series))]
        _check_size(8 * math.prod(np.shape(chosen.data)), max_bytes)
        rate = getattr(chosen, "rate", None)
        stamps = None if rate else np.asarray(chosen.timestamps, dtype=float)
        if stamps is not None and np.ptp(np.diff(stamps)) > 1e-3 * np.median(np.diff(stamps)):
            raise ValueError("its samples are not equally spaced in time: resample them first")
        step = 1 / rate if rate else float(np.median(np.diff(stamps)))
        return {wanted or "rates": np.asarray(chosen.data[:], dtype=float), "dt": np.array(step)}


def _series(nwb):
    """Everything with ``data`` and a time axis, processed ones first."""
    modules = [*getattr(nwb, "processing", {}).values()]
    held = [item for module in modules for item in module.data_interfaces.values()]
    held += [*getattr(nwb, "acquisition", {}).values()]
    inner = [one for item in held for one in getattr(item, "time_series", {"": item}).values()]
    return {one.name: one for one in inner if hasattr(one, "data") and np.ndim(one.data[:1]) == 2}


def _recording(fields, rates, inputs, dt, name):
    numbers = {key: v for key, v in fields.items() if isinstance(v, list) or v.dtype.kind in "biuf"}
    chosen = _chosen("rates", numbers, rates, RATES)
    if chosen is None:
        large = [key for key, v in numbers.items() if isinstance(v, list) or v.ndim in (2, 3) and v.size > 1]
        if len(large) != 1:
            raise ValueError(f"which array is the recording? It has {sorted(fields)[:20]}: pass rates=<name>")
        chosen = large[0]
    driven = _chosen("inputs", numbers, inputs, INPUTS)
    if dt is None and "dt" in numbers:
        dt = float(check_array("dt", np.squeeze(numbers["dt"]), ()))
    names = fields.get("names", ())
    names = names.tolist() if isinstance(names, np.ndarray) and names.dtype.kind == "U" and names.ndim == 1 else ()
    return Recording(numbers[chosen], None if driven is None else numbers[driven], dt, tuple(names), name)


def _chosen(what, numbers, asked, usual):
    if asked is not None and asked not in numbers:
        raise ValueError(f"{what}: there is no array {asked!r}: the file has {sorted(numbers)[:20]}")
    return asked or next((key for key in usual if key in numbers), None)
