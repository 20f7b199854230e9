"""Zip archives and their .npy members from an untrusted hand: sizes are checked before anything is unpacked."""

import io
import math
import zipfile

import numpy as np

from meanfield.conventions import check_array

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Archive:
    """The members of a zip file held in memory.

    ``sizes`` maps the name of each member to its unpacked size; their sum is at most ``max_bytes`` bytes. Names that
    point out of the archive, duplicates, and compression methods without a bound on memory raise ValueError.
    """

    def __init__(self, data, max_bytes):
        self._zip = zipfile.ZipFile(io.BytesIO(data))
        self.sizes = {}
        for info in self._zip.infolist():
            self._check(info)
            if not info.is_dir():
                self.sizes[info.filename] = info.file_size
        total = sum(self.sizes.values())
        if total > max_bytes:
            raise ValueError(
                f"its members unpack to {total} bytes, more than the limit of {max_bytes}; "
                "if you trust the file, pass a larger max_bytes"
            )

    def _check(self, info):
        name = info.orig_filename
        if name.startswith("/") or "\0" in name or "\\" in name or ":" in name or ".." in name.split("/"):
            raise ValueError(f"member name {name!r} points out of the archive; numpy and PyTorch write no such name")
        if info.filename in self.sizes:
            raise ValueError(f"member {name!r} stands in the archive twice")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            method = info.compress_type
            raise ValueError(f"member {name!r} uses compression method {method}; expected stored or deflated")

    def read(self, name):
        """Bytes of one member, never more than its declared size."""
        if name not in self.sizes:
            raise ValueError(f"member {name!r} is missing; the archive has {sorted(self.sizes)[:20]}")
        with self._zip.open(name) as member:
            # the size is passed on purpose: without it, zipfile unpacks first and cuts to the declared size afterwards
            data = member.read(self.sizes[name])
        if len(data) != self.sizes[name]:
            raise ValueError(f"member {name!r} is truncated: got {len(data)} of {self.sizes[name]} bytes")
        return data


def read_array(data, name):
    """Array of numbers or text in the bytes of a .npy file; object arrays (pickles) are refused.

    Raises
    ------
    ValueError
        Object or structured dtype, or a declared shape that does not match the bytes that follow.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"{name} has .npy format version {version}; expected one of {sorted(_HEADERS)}")
    shape, fortran_order, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name} is an object array: pickled Python objects are never loaded; save plain numbers")
    if dtype.kind not in "biufU":
        raise ValueError(f"{name} has dtype {dtype}; expected real numbers or text")
    if any(size < 0 for size in shape):
        raise ValueError(f"{name} declares the shape {shape}, with a negative size")
    count, found = math.prod(shape), len(data) - stream.tell()
    if count * dtype.itemsize != found or (dtype.itemsize == 0 and count > 1):
        raise ValueError(f"{name} declares shape {shape} of {dtype}, {count * dtype.itemsize} bytes: got {found} bytes")
    return np.ndarray(shape, dtype, buffer=data, offset=stream.tell(), order="F" if fortran_order else "C")


def check_shapes(arrays, shapes):
    """Read-only float64 copies of those ``arrays`` that ``shapes`` names, checked against each other.

    In ``shapes``, e.g. ``{"m": "NR", "n": "NR", "h0": "N"}``, each letter is a size; the first array with it sets it.

    Raises
    ------
    ValueError
        Not finite numbers, or sizes that do not fit together.
    """
    checked, sizes = {}, {}
    for name, letters in shapes.items():
        if name not in arrays:
            continue
        array = check_array(name, arrays[name])
        known = [sizes.get(letter, size) for letter, size in zip(letters, array.shape, strict=False)]
        if array.ndim != len(letters) or list(array.shape) != known:
            given = "".join(f", {letter} = {sizes[letter]}" for letter in dict.fromkeys(letters) if letter in sizes)
            axes = ", ".join(letters) + ("," if len(letters) == 1 else "")
            raise ValueError(f"{name}: got shape {array.shape}, expected ({axes}){given}")
        sizes.update(zip(letters, array.shape, strict=True))
        checked[name] = array
    return checked
