"""Hostile and damaged files: each is a ValueError, in bounded time and memory, and nothing in it runs."""

import copyreg
import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch_files as tf
from hypothesis import given
from hypothesis import strategies as st
from meanfield.validation import Network, load_network, save_network
from meanfield.validation.archive import Archive
from meanfield.validation.torch_pickle import read_state_dict

EVAL, MAP, LIST = (tf.name("builtins", function) for function in ("eval", "map", "list"))
SYSTEM = tf.name("os", "system")
EXTENSION = 0xF3


class Reduce:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(path):
    """{name: program that creates the file `path` when Python's own pickle runs it}."""
    shell, code = f": > '{path}'", f"open({str(path)!r}, 'w').close()"
    listed, quoted = b"]" + tf.text(code) + b"a", f"S{shell!r}\n".encode()
    run = SYSTEM + tf.tuple_of(tf.text(shell)) + b"R"
    importing = tf.call(tf.name("builtins", "__import__"), tf.text("os"))
    nested = pickle.dumps(Reduce(os.system, shell), 2)
    bodies = {
        "getattr chain": tf.call(tf.call(tf.name("builtins", "getattr"), importing, tf.text("system")), tf.text(shell)),
        "INST": b"(" + quoted + b"ios\nsystem\n",
        "OBJ": b"(" + SYSTEM + quoted + b"o",
        "NEWOBJ": tf.call(LIST, MAP + tf.tuple_of(EVAL, listed) + b"\x81"),
        "dotted name": tf.call(tf.stacked_name("posixpath", "os.system"), tf.text(shell)),
        "copyreg": tf.call(LIST, tf.call(tf.name("copyreg", "__newobj__"), MAP, EVAL, listed)),
        "memo": tf.ORDERED_DICT + b"q\x000" + SYSTEM + b"q\x000h\x00" + tf.tuple_of(tf.text(shell)) + b"R",
        "state of an OrderedDict": tf.EMPTY + b"}" + tf.text("__setstate__") + SYSTEM + b"sb" + tf.text(shell) + b"b",
        "behind a dictionary": tf.state({}) + b"q\x000" + run + b"0h\x00",
        "inside a tensor": tf.state({"m": tf.call(EVAL, tf.text(code))}),
        "in a persistent id": tf.tuple_of(tf.text("storage"), run, tf.text("0"), tf.text("cpu"), tf.number(1)) + b"Q",
        "nested": tf.call(tf.name("pickle", "loads"), b"B" + struct.pack("<I", len(nested)) + nested),
        "extension": b"\x82" + bytes([EXTENSION]) + tf.tuple_of(tf.text(shell)) + b"R",
    }
    programs = {key: tf.program(body, 4) for key, body in bodies.items()}
    programs |= {f"os.system, protocol {k}": pickle.dumps(Reduce(os.system, shell), k) for k in range(6)}
    return programs | {"eval": pickle.dumps(Reduce(eval, code)), "exec": pickle.dumps(Reduce(exec, code))}


NAMES = list(hostile("x"))


def npz(fields, extra=()):
    buffer = io.BytesIO()
    np.savez(buffer, **fields)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, data in dict(extra).items():
            archive.writestr(name, data)
    return buffer.getvalue()


def good_fields(size=6):
    numbers = np.arange(1.0, 1 + size)
    return {"m": numbers[:, None], "n": numbers[:, None] / size, "I": np.ones((size, 1)), "w": numbers}


def object_member(pickled):
    """A .npy file that declares an object array; `pickled` is what numpy would hand to pickle."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (6,)})
    return buffer.getvalue() + pickled


def packed(program):
    """{where: file content} with the program in every place where a pickle may stand."""
    without = {key: value for key, value in good_fields().items() if key != "w"}
    body = program[2:-1] if program[:1] == b"\x80" else program[:-1]
    head = b"".join(map(tf.program, (tf.number(tf.MAGIC), tf.number(tf.PROTOCOL))))
    return {
        "plain": program,
        "zip": tf.in_zip(body),
        "legacy": tf.in_legacy(body),
        "legacy, system information": head + program,
        "legacy, storage keys": head + tf.program(b"}") + tf.program(tf.state({})) + program,
        "npz, object array": npz(without, {"w.npy": object_member(program)}),
        "npz, no array": npz(without, {"w.npy": program}),
        "npz, other member": npz(without, {"data.pkl": program}),
    }


@pytest.fixture(scope="module", autouse=True)
def extension():
    """An extension code that the process has registered, as a library might."""
    copyreg.add_extension("os", "system", EXTENSION)
    yield
    copyreg.remove_extension("os", "system", EXTENSION)


@pytest.mark.parametrize("name", NAMES)
def test_the_hostile_programs_are_potent(name, tmp_path):
    sentinel = tmp_path / "sentinel"
    machine = pickle.Unpickler(io.BytesIO(hostile(sentinel)[name]))
    machine.persistent_load = lambda reference: None
    machine.load()
    assert sentinel.exists()


@pytest.mark.parametrize("name", NAMES)
def test_hostile_programs_are_refused_and_run_nothing(name, tmp_path):
    sentinel, file = tmp_path / "sentinel", tmp_path / "net"
    for where, data in packed(hostile(sentinel)[name]).items():
        file.write_bytes(data)
        with pytest.raises(ValueError, match=str(file)) as caught:
            load_network(file)
        assert not sentinel.exists(), where
        assert isinstance(caught.value, ValueError) and len(str(caught.value)) < 2000


REFUSED = {"os.system, protocol 2": "system", "eval": "builtins.eval", "OBJ": "os.system"}


@pytest.mark.parametrize(("name", "word"), REFUSED.items())
def test_the_message_names_what_was_refused(name, word, tmp_path):
    file = tmp_path / "net.pt"
    for where in ("plain", "zip", "legacy"):
        file.write_bytes(packed(hostile(tmp_path / "sentinel")[name])[where])
        with pytest.raises(ValueError, match=f"refers to the Python global .*{word}.* neither loaded nor run"):
            load_network(file)


OTHERS = ["torch.storage _load_from_bytes", "torch._utils _rebuild_from_type_v2", "torch load"]


@pytest.mark.parametrize("function", [*OTHERS, "numpy.core.multiarray _reconstruct"])
def test_other_ways_to_build_objects_are_refused(function):
    with pytest.raises(ValueError, match="neither loaded nor run"):
        read_state_dict(tf.in_zip(tf.call(tf.name(*function.split()))), 1 << 20)


# ---- bombs

DEEP = b")" + b"\x85" * 50_000
BOMBS = {
    "memo index": b"Nr\xff\xff\xff\xff",
    "text length": b"\x8d" + struct.pack("<Q", 1 << 40) + b"x",
    "bytes length": b"\x8e" + struct.pack("<Q", 1 << 40) + b"x",
    "bytearray length": b"\x96" + struct.pack("<Q", 1 << 40) + b"x",
    "frame length": b"\x95" + struct.pack("<Q", 1 << 60) + b"N",
    "integer length": b"\x8b" + struct.pack("<i", (1 << 31) - 1) + b"x",
    "long integer": b"\x8b" + struct.pack("<i", 500_000) + b"\x7f" * 500_000,
    "decimal integer": b"L" + b"9" * 900_000 + b"L\n",
    "deep tuple": DEEP,
    "deep tuple as a key": b"}" + DEEP + b"Ns",
    "doubling tuples as a key": b"})" + b"q\x00h\x00\x86" * 60 + b"Ns",
    "doubling tuples as an entry": tf.state({"m": b")" + b"q\x00h\x00\x86" * 60}),
    "dictionary in itself": b"}q\x00" + tf.text("m") + b"h\x00s",
    "list in itself": b"]q\x00h\x00a",
    "no end": b"(" * 50_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_cost_neither_time_nor_memory(name, tmp_path):
    file = tmp_path / "net.pt"
    for pack in (tf.in_zip, tf.in_legacy, tf.program):
        file.write_bytes(pack(BOMBS[name]))
        start = time.process_time()
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="net.pt"):
                load_network(file)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 100e6  # the largest file has 1.6 MB; a bomb that went off takes gigabytes
        # a bomb that went off takes hours; under the memory trace, 3 s is normal
        assert time.process_time() - start < 20


@pytest.mark.parametrize("pack", [tf.in_zip, tf.in_legacy, tf.program])
def test_long_programs_are_refused(pack):
    with pytest.raises(ValueError, match="pickle exceeds 262144 bytes"):
        read_state_dict(pack(b"N" * 300_000), 1 << 20)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    file = tmp_path / "net.npz"
    fields = good_fields() | {"w": np.zeros(1_000_000)}
    with open(file, "wb") as stream:
        np.savez_compressed(stream, **fields)
    assert file.stat().st_size < 20_000
    with pytest.raises(ValueError, match="unpack to 8.* more than the limit of 1000000; .*max_bytes"):
        load_network(file, max_bytes=1_000_000)


def test_a_file_beyond_the_limit_is_not_opened(tmp_path):
    file = tmp_path / "net.npz"
    with open(file, "wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ValueError, match="more than the limit"):
        load_network(file)


def test_an_archive_that_lies_about_its_size_unpacks_no_more_than_it_says():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.npy", bytes(50_000_000))
    size = struct.pack("<I", 50_000_000)
    data = buffer.getvalue().replace(size, struct.pack("<I", 1000))
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, zipfile.BadZipFile)):
            Archive(data, 1 << 20).read("m.npy")
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(10**12, 2), (-6, -1), (0, 10**30), (7, 1), (6,) * 40, (2**62, 4)])
def test_declared_shapes_are_held_against_the_bytes(tmp_path, shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    fields = good_fields()
    data = buffer.getvalue() + fields.pop("m").tobytes()
    file = tmp_path / "net.npz"
    file.write_bytes(npz(fields, {"m.npy": data}))
    with pytest.raises(ValueError, match="m.npy declares"):
        load_network(file)


@pytest.mark.parametrize("descr", ["|V8", "<c16", "<M8[s]", "|S3", "<U0", [("a", "<f8")], "<U1"])
def test_members_that_are_no_numbers_are_refused(tmp_path, descr):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": (6, 1)})
    fields = good_fields()
    fields.pop("m")
    file = tmp_path / "net.npz"
    file.write_bytes(npz(fields, {"m.npy": buffer.getvalue() + bytes(6 * np.dtype(descr).itemsize)}))
    expected = "m.npy declares|m must be an array of real numbers" if str(descr).startswith("<U") else "m.npy has dtype"
    with pytest.raises(ValueError, match=expected):
        load_network(file)


# ---- damage


def good_files():
    numbers = np.arange(1.0, 7.0)
    arrays = {"m": numbers[:, None], "n": numbers[:, None], "wi": numbers[None], "wo": numbers[:, None], "si": [2.0]}
    body, storages = tf.plain(arrays)
    return {"npz": npz(good_fields()), "zip": tf.in_zip(body, storages), "legacy": tf.in_legacy(body, storages)}


GOOD = good_files()


def read_or_refuse(file, data):
    file.write_bytes(data)
    try:
        return load_network(file)
    except ValueError as error:
        assert str(file) in str(error)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "net"


@pytest.mark.parametrize("kind", GOOD)
def test_truncated_files_are_refused(kind, scratch):
    data = GOOD[kind]
    assert isinstance(read_or_refuse(scratch, data), Network)
    assert not any(read_or_refuse(scratch, data[:size]) for size in range(0, len(data), 7))


@pytest.mark.parametrize("kind", GOOD)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_bytes_give_a_network_or_a_value_error(scratch, kind, flips):
    data = bytearray(GOOD[kind])
    for place, value in flips:
        data[int(place * len(data))] = value
    net = read_or_refuse(scratch, bytes(data))
    assert net is None or np.isfinite(net.m).all()


@given(st.binary(max_size=60))
def test_noise_is_refused(scratch, noise):
    for start in (b"", b"PK\3\4", b"\x80\x02", b"\x93NUMPY\1\0"):
        assert read_or_refuse(scratch, start + noise) is None


@given(st.binary(min_size=1, max_size=80))
def test_random_programs_never_run_anything_else(scratch, noise):
    assert read_or_refuse(scratch, tf.in_zip(noise)) is None
    assert read_or_refuse(scratch, tf.in_legacy(noise)) is None


def test_folders_and_missing_files(tmp_path):
    with pytest.raises(ValueError, match="not a regular file"):
        load_network(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path / "missing.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(ValueError, match="not a regular file"):
        load_network(tmp_path / "pipe.npz")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "net.npz"
    net = Network(**good_fields())
    save_network(net, file)
    before = file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_network(net, file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["net.npz"]
