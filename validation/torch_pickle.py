"""PyTorch state dictionaries without PyTorch: tensors are read, nothing in the file is executed.

Two formats: the zip archive of PyTorch >= 1.6 (``NAME/data.pkl`` beside one member per storage), and the legacy stream
(magic number, protocol, system information, object, storage keys, then each storage with its length before it).
"""

import io
import math
import struct

import numpy as np

from .archive import Archive
from .pickle_machine import Machine, Tensor

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_state_dict(data, max_bytes):
    """Tensors of a PyTorch state dictionary by name, as float64 arrays.

    Parameters
    ----------
    data : bytes
        Content of the file, zip or legacy format.
    max_bytes : int
        Limit on the bytes that the archive and, separately, the float64 tensors may take.

    Raises
    ------
    ValueError
        Anything but a dictionary of tensors; the message names the global, instruction or entry that was refused.
    """
    tensors, fetch, order = (_open_zip if data.startswith(b"PK") else _open_legacy)(data, max_bytes)
    total = 8 * sum(math.prod(tensor.shape) for tensor in tensors.values())
    if total > max_bytes:
        raise ValueError(
            f"its tensors take {total} bytes, more than the limit of {max_bytes}; "
            "if you trust the file, pass a larger max_bytes"
        )
    return {name: _array(tensor, fetch(tensor.storage), order) for name, tensor in tensors.items()}


def _tensors(state):
    """The tensors by name and the storages by key, once the object is known to be a dictionary of tensors."""
    if type(state) is not dict:
        raise ValueError(f"it holds a {type(state).__name__}; expected a dictionary of tensors: save net.state_dict()")
    others = [key[:50] for key, value in state.items() if type(value) is not Tensor]
    if others:
        raise ValueError(f"its entries {others[:20]} are not tensors; save net.state_dict() alone")
    storages = {}
    for storage in (tensor.storage for tensor in state.values()):
        first = storages.setdefault(storage.key, storage)
        if (first.dtype, first.numel) != (storage.dtype, storage.numel):
            raise ValueError(f"storage {storage.key[:50]!r} is declared twice, with two lengths or types")
    return state, storages


def _array(tensor, data, order):
    if not all(tensor.shape):
        return np.zeros(tensor.shape)
    dtype = np.dtype(tensor.storage.dtype).newbyteorder(order)
    elements = np.frombuffer(data, dtype)[tensor.storage.start + tensor.offset :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.array(np.lib.stride_tricks.as_strided(elements, tensor.shape, strides, writeable=False), dtype=float)


def _bytes(storage):
    return storage.numel * np.dtype(storage.dtype).itemsize


def _open_zip(data, max_bytes):
    archive = Archive(data, max_bytes)
    programs = [name for name in archive.sizes if name.split("/")[-1] == "data.pkl"]
    if len(programs) != 1:
        found = sorted(archive.sizes)[:20]
        raise ValueError(f"a PyTorch archive has one member data.pkl: got {len(programs)} among {found}")
    root = programs[0].removesuffix("data.pkl")
    tensors, _ = _tensors(Machine().run(io.BytesIO(archive.read(programs[0]))))
    order = archive.read(root + "byteorder") if root + "byteorder" in archive.sizes else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"its byte order must be little or big: got {order[:20]!r}")

    def fetch(storage):
        content = archive.read(f"{root}data/{storage.key}")
        if len(content) != _bytes(storage):
            raise ValueError(f"storage {storage.key[:50]!r} has {len(content)} bytes: expected {_bytes(storage)}")
        return content

    return tensors, fetch, "<" if order == b"little" else ">"


def _open_legacy(data, max_bytes):
    stream = io.BytesIO(data)
    magic = Machine().run(stream)
    if type(magic) is not int or magic != _MAGIC:
        raise ValueError("it does not start with PyTorch's magic number; save net.state_dict() with torch.save")
    protocol = Machine().run(stream)
    if type(protocol) is not int or protocol != _PROTOCOL:
        raise ValueError(f"its PyTorch protocol must be {_PROTOCOL}: the file is damaged or of an unknown version")
    Machine().run(stream)  # system information: unused, storages are little-endian on every machine
    tensors, storages = _tensors(Machine().run(stream))
    keys = Machine().run(stream)
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages):
        raise ValueError("its list of storages differs from those that its tensors use; the file is damaged")
    where = {key: _skip_storage(stream, storages[key], len(data)) for key in keys}

    def fetch(storage):
        return data[where[storage.key] : where[storage.key] + _bytes(storage)]

    return tensors, fetch, "<"


def _skip_storage(stream, storage, end):
    """Position of a storage's first element; the stream is left behind its last."""
    header, needed = stream.read(8), _bytes(storage)
    start = stream.tell()
    if header != struct.pack("<q", storage.numel) or start + needed > end:
        raise ValueError(
            f"storage {storage.key[:50]!r} should hold {storage.numel} elements in {needed} bytes: "
            f"{end - start} bytes are left, or its own count differs; the file is truncated or damaged"
        )
    stream.seek(needed, 1)
    return start
