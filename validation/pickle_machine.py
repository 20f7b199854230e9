"""A machine for the data-building part of the pickle language: it has nothing to call, so a file can run nothing.

A pickle is a program for a small stack machine. Python's own machine can import any global and call it; the one below
knows only the instructions that build numbers, strings, tuples, lists and dictionaries. A global is a name looked up in
two fixed tables, and a call can only reach the few functions of this module that are listed there.
"""

import pickletools
import struct
from dataclasses import dataclass

# A state dictionary of a dozen tensors takes 2 kB; the cap keeps a hostile program below a second.
_MAX_PROGRAM = 1 << 18
_MAX_DIMENSIONS = 8

_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "u1",
}
_STORAGES = {f"{module}.{name}": dtype for module in ("torch", "torch.cuda") for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Global:
    """The name of a global found in a pickle; it stands for the name and for nothing else."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A stretch ``start .. start + size`` of the storage ``key``, which holds ``numel`` elements."""

    key: str
    dtype: str
    numel: int
    start: int
    size: int


@dataclass(frozen=True)
class Tensor:
    """A strided view of a storage, checked to lie inside it; ``shape`` and ``strides`` count elements."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


def _natural(value, what):
    if type(value) is not int or not 0 <= value < 2**63:
        got = value if type(value) is int and abs(value) < 2**63 else type(value).__name__
        raise ValueError(f"{what} must be an integer >= 0: got {got}")
    return value


def _sizes(value, what):
    if type(value) is not tuple or len(value) > _MAX_DIMENSIONS:
        raise ValueError(f"{what} must be a tuple of at most {_MAX_DIMENSIONS} integers")
    return tuple(_natural(number, what) for number in value)


def _rebuild_tensor(storage=None, offset=0, shape=(), strides=(), *_flags):
    if type(storage) is not Storage:
        raise ValueError(f"a tensor must view a storage: got {type(storage).__name__}")
    offset = _natural(offset, "tensor offset")
    shape, strides = _sizes(shape, "tensor shape"), _sizes(strides, "tensor strides")
    if len(shape) != len(strides):
        raise ValueError(f"a tensor needs one stride per axis: got shape {shape} and strides {strides}")
    end = offset
    if all(shape):
        end += 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if end > storage.size:
        raise ValueError(f"a tensor reaches element {end} of a storage that holds {storage.size}")
    return Tensor(storage, offset, shape, strides)


def _rebuild_parameter(data=None, *_flags):
    if type(data) is not Tensor:
        raise ValueError(f"a parameter must wrap a tensor: got {type(data).__name__}")
    return data


def _ordered_dict(pairs=()):
    result = {}
    for pair in pairs if type(pairs) in (list, tuple) else (None,):
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise ValueError("an OrderedDict must be built from nothing or from (key, value) pairs")
        _set_item(result, *pair)
    return result


def _size(value=()):
    return _sizes(tuple(value) if type(value) is list else value, "torch.Size")


_CALLS = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch.Size": _size,
}


def _lookup(name):
    if name in _CALLS or name in _STORAGES:
        return Global(name)
    raise ValueError(
        f"it refers to the Python global {name[:200]!r}, which is neither loaded nor run; only a dictionary of tensors "
        "is read: save net.state_dict() with plain tensors (float, double, half or integer)"
    )


def _call(function, arguments):
    if type(function) is not Global or function.name not in _CALLS or type(arguments) is not tuple:
        name = function.name if type(function) is Global else type(function).__name__
        raise ValueError(f"it calls {name}, which is not a way to build a tensor or a dictionary; nothing was run")
    return _CALLS[function.name](*arguments)


def _storage(reference):
    """The storage that a persistent id ('storage', type, key, location, numel[, (view key, start, size)]) names."""
    if type(reference) is not tuple or len(reference) not in (5, 6) or reference[0] != "storage":
        raise ValueError("a persistent id must be ('storage', type, key, location, numel)")
    kind, key, numel, view = reference[1], reference[2], _natural(reference[4], "storage length"), (*reference, None)[5]
    if type(kind) is not Global or kind.name not in _STORAGES or type(key) is not str:
        raise ValueError("a persistent id must name a storage type and a key")
    start, size = 0, numel
    if view is not None:
        if type(view) is not tuple or len(view) != 3:
            raise ValueError("a storage view must be (key, start, size)")
        start, size = _natural(view[1], "view start"), _natural(view[2], "view size")
        if start + size > numel:
            raise ValueError(f"a storage view reaches element {start + size} of {numel}")
    return Storage(key, _STORAGES[kind.name], numel, start, size)


def _set_item(target, key, value):
    if type(target) is not dict or type(key) is not str:
        raise ValueError(f"only dictionaries with text keys are read: got a key of type {type(key).__name__}")
    target[key] = value


_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_FRESH = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}


class Machine:
    """Runs the data-building part of the pickle language; any other instruction is a ValueError that names it."""

    def __init__(self):
        self.stack, self.marked, self.memo = [], [], {}

    def run(self, stream):
        """Object built by the pickle that starts at the stream's position; the stream is left behind its STOP."""
        start = stream.tell()
        try:
            for opcode, argument, position in pickletools.genops(stream):
                if position - start > _MAX_PROGRAM:
                    raise ValueError(f"its pickle exceeds {_MAX_PROGRAM} bytes; expected a few tensors")
                self._step(opcode.name, argument)
            return self.stack.pop()
        except (IndexError, KeyError, TypeError, EOFError, OverflowError, struct.error) as error:
            raise ValueError(f"its pickle is damaged: {type(error).__name__}") from error

    def _step(self, name, argument):
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in _INSTRUCTIONS:
            _INSTRUCTIONS[name](self, argument)
        else:
            raise ValueError(f"it uses the pickle instruction {name}, which no state dictionary needs; nothing was run")

    def _pop(self, count):
        return [self.stack.pop() for _ in range(count)][::-1]

    def _pop_mark(self):
        items, self.stack = self.stack, self.marked.pop()
        return items

    def _skip(self, _):
        pass

    def _mark(self, _):
        self.marked.append(self.stack)
        self.stack = []

    def _put(self, index):
        if not 0 <= index <= _MAX_PROGRAM:
            raise ValueError("its pickle is damaged: memo index out of range")
        self.memo[index] = self.stack[-1]

    def _memoize(self, _):
        self._put(len(self.memo))

    def _get(self, index):
        self.stack.append(self.memo[index])

    def _tuple(self, _):
        items = self._pop_mark()
        self.stack.append(tuple(items))

    def _list(self, _):
        items = self._pop_mark()
        self.stack.append(items)

    def _dict(self, _):
        items = self._pop_mark()
        self.stack.append({})
        self._set_all(items)

    def _extend(self, items):
        if type(self.stack[-1]) is not list:
            raise ValueError(f"it appends to a {type(self.stack[-1]).__name__}; expected a list")
        self.stack[-1].extend(items)

    def _set_all(self, items):
        if len(items) % 2:
            raise ValueError("its pickle is damaged: a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            _set_item(self.stack[-1], key, value)

    def _global(self, name):
        self.stack.append(_lookup(name.replace(" ", ".")))

    def _stack_global(self, _):
        self.stack.append(_lookup(".".join(part for part in self._pop(2) if type(part) is str)))

    def _reduce(self, _):
        function, arguments = self._pop(2)
        self.stack.append(_call(function, arguments))

    def _build(self, _):
        # attributes of the dictionary (PyTorch keeps format versions there): dropped
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise ValueError(f"it sets attributes of a {type(self.stack[-1]).__name__}; nothing was run")

    def _persistent(self, _):
        self.stack.append(_storage(self.stack.pop()))


_INSTRUCTIONS = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), Machine._skip),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine._get),
    "MEMOIZE": Machine._memoize,
    "MARK": Machine._mark,
    "TUPLE": Machine._tuple,
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine._pop(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine._pop(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine._pop(3))),
    "LIST": Machine._list,
    "DICT": Machine._dict,
    "APPEND": lambda machine, _: machine._extend(machine._pop(1)),
    "APPENDS": lambda machine, _: machine._extend(machine._pop_mark()),
    "SETITEM": lambda machine, _: machine._set_all(machine._pop(2)),
    "SETITEMS": lambda machine, _: machine._set_all(machine._pop_mark()),
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "BUILD": Machine._build,
    "BINPERSID": Machine._persistent,
}
