"""Files as torch.save writes them, made without PyTorch: a small assembler of pickles, and two containers."""

import io
import struct
import zipfile

import numpy as np

TYPES = {"f8": "Double", "f4": "Float", "f2": "Half"}
TYPES |= {"i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char", "u1": "Byte"}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    data = value.to_bytes(max(1, (value.bit_length() + 8) // 8), "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def stacked_name(module, attribute):
    """The same as `name` in protocol 4."""
    return b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute)) + b"\x93"


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def call(function, *arguments):
    return function + tuple_of(*arguments) + b"R"


def program(body, protocol=2):
    return b"\x80" + bytes([protocol]) + body + b"."


ORDERED_DICT = name("collections", "OrderedDict")
EMPTY = ORDERED_DICT + b")R"
REBUILD = name("torch._utils", "_rebuild_tensor_v2")


def storage(key, numel, kind="f4", view=None):
    """A persistent id; `view` is None for the short form, () for an explicit None, or (key, start, size)."""
    storage_type = name("torch", f"{TYPES.get(kind, kind)}Storage")
    tail = () if view is None else (b"N",) if view == () else (tuple_of(text(view[0]), *map(number, view[1:])),)
    return tuple_of(text("storage"), storage_type, text(key), text("cpu"), number(numel), *tail) + b"Q"


def tensor(stored, shape, strides, offset=0):
    sizes = tuple_of(*map(number, shape)), tuple_of(*map(number, strides))
    return call(REBUILD, stored, number(offset), *sizes, b"\x89", EMPTY)


def state(entries):
    """A state dictionary of {key: pickled value}, with the _metadata attribute that PyTorch adds."""
    items = b"".join(text(key) + value for key, value in entries.items())
    metadata = b"}" + text("_metadata") + EMPTY + b"s"
    return EMPTY + b"(" + items + b"u" + metadata + b"b"


def plain(arrays, kind="f4", view=None):
    """State dictionary of contiguous arrays, and its storages {key: array}."""
    entries, storages = {}, {}
    for index, (key, array) in enumerate(arrays.items()):
        array = np.ascontiguousarray(array, kind)
        strides = [stride // array.itemsize for stride in array.strides]
        entries[key] = tensor(storage(str(index), array.size, kind, view), array.shape, strides)
        storages[str(index)] = array
    return state(entries), storages


def in_zip(body, storages=(), order="<", byteorder=None, root="archive/"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{root}data.pkl", program(body))
        if byteorder is not None:
            archive.writestr(f"{root}byteorder", byteorder)
        for key, array in dict(storages).items():
            archive.writestr(f"{root}data/{key}", array.astype(array.dtype.newbyteorder(order)).tobytes())
        archive.writestr(f"{root}version", "3\n")
    return buffer.getvalue()


def in_legacy(body, storages=(), counts=()):
    """The legacy stream; `counts` overrides the lengths written before the storages."""
    storages, counts = dict(storages), dict(counts)
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    system = b"}" + text("little_endian") + b"\x88s"
    data = b"".join(map(program, (number(MAGIC), number(PROTOCOL), system, body, keys)))
    for key, array in storages.items():
        data += struct.pack("<q", counts.get(key, array.size)) + array.astype(array.dtype.newbyteorder("<")).tobytes()
    return data


CONTAINERS = {"zip": in_zip, "legacy": in_legacy}
