"""Model files: bit by bit there and back, readable by a person, never half-written, and errors that help."""

import os
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meanfield.io as io
from meanfield import Connectivity
from meanfield.mixture import modelfile

SMALL = """
title = "bistable"
transfer = "erf"
rank = 2
inputs = ["A"]
readouts = ["w"]

[[population]]
weight = 0.25
"n1 m1" = 3
"mean n1" = 1.0

[[population]]
weight = 0.75
"m1 m1" = 2.0
"A n2" = -0.5
"""


def identical(c, d):
    assert (c.rank, c.inputs, c.readouts) == (d.rank, d.inputs, d.readouts)
    for field in ("weights", "means", "covariances", "g"):
        assert np.asarray(getattr(c, field)).tobytes() == np.asarray(getattr(d, field)).tobytes(), field


def random_connectivity(seed, rank=2, inputs=("A", "B"), readouts=("w",), populations=3, deficient=0):
    rng = np.random.default_rng(seed)
    size = 2 * rank + len(inputs) + len(readouts)
    weights = rng.dirichlet(np.ones(populations))
    factors = rng.standard_normal((populations, size, size - deficient)) * 10.0 ** rng.integers(
        -3, 3, (populations, 1, 1)
    )
    g = rng.uniform(0, 1, (populations, populations)) if seed % 2 else float(rng.uniform())
    means = rng.standard_normal((populations, size)) * rng.integers(0, 2, (populations, size))
    return Connectivity(weights, means, factors @ factors.swapaxes(1, 2), rank, inputs, readouts, g)


def test_small_file():
    c = io.loads(SMALL)
    expected = Connectivity.from_overlaps(
        [{"weight": 0.25, "n1 m1": 3.0, "mean n1": 1.0}, {"weight": 0.75, "m1 m1": 2.0, "n2 A": -0.5}],
        rank=2,
        inputs=("A",),
        readouts=("w",),
    )
    identical(c, expected)


@given(seed=st.integers(0, 10**6), deficient=st.integers(0, 3))
def test_round_trip_is_exact(seed, deficient):
    c = random_connectivity(seed, deficient=deficient)
    identical(c, io.loads(io.dumps(c)))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: st.floats(-0.4, 0.4)
            for key in ("m1 m2", "m1 A", "n1 m1", "n2 m1", "n1 A", "w m2", "mean m1", "mean n2", "mean w", "n1 n2")
        }
        | {"m1 m1": st.floats(0.9, 3.0), "n1 n1": st.floats(1.0, 9.0), "w w": st.floats(0.8, 9.0)},
    )
)
def test_round_trip_of_sparse_models_is_exact(population):
    try:
        c = Connectivity.from_overlaps([population], rank=2, inputs=("A",), readouts=("w",))
    except ValueError as error:
        assert "positive semi-definite" in str(error)
        return
    identical(c, io.loads(io.dumps(c)))


@pytest.mark.parametrize("value", [5e-324, 1e-5, 1e16, 1.7e308, 0.1, 2.0, 1 / 3, 123456789.125])
def test_every_float_survives(value):
    c = Connectivity([1.0], [[value, -value]], np.zeros((1, 2, 2)), 1)
    identical(c, io.loads(io.dumps(c)))


def test_round_trip_of_a_finite_network():
    net = random_connectivity(3).sample(200, seed=0)
    c = Connectivity.from_network(net)
    d = io.loads(io.dumps(c))
    identical(c, d)
    assert d.point_masses


def test_only_what_differs_is_listed():
    text = io.dumps(Connectivity.from_overlaps([{"mean m1": 0.5}], rank=2, inputs=("A",)))
    assert tomllib.loads(text) == {"rank": 2, "inputs": ["A"], "population": [{"weight": 1.0, "mean m1": 0.5}]}


def test_saved_file(tmp_path):
    c = random_connectivity(1)
    path = tmp_path / "model.toml"
    c.save(path, title='quotes " and \\ and é and \x7f\n', transfer="tanh")
    identical(c, io.load(path))
    _, extras = io.read_model(str(path))
    assert extras == {"title": 'quotes " and \\ and é and \x7f\n', "transfer": "tanh"}
    io.save(path, io.loads(SMALL))
    assert io.read_model(path)[1] == {}
    assert os.listdir(tmp_path) == ["model.toml"]


def test_names_with_odd_characters(tmp_path):
    c = Connectivity.from_overlaps([{'n1 a"b': 1.0, "n1 c\\d": 0.5}], rank=1, inputs=('a"b', "c\\d", "é"))
    identical(c, io.loads(io.dumps(c)))


def test_windows_text(tmp_path):
    path = tmp_path / "model.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    identical(io.load(path), io.loads(SMALL))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.toml"
    c = io.loads(SMALL)
    c.save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="UTF-8"):
        c.save(path, title="\ud800")
    with pytest.raises(ValueError, match="title must be a string"):
        c.save(path, title=3)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(modelfile.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        random_connectivity(0).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.toml"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "model.toml", tmp_path / "link.toml"
    c = io.loads(SMALL)
    c.save(path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    path.chmod(0o640)
    link.symlink_to(path)
    c.save(link)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640


def test_missing_places(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.toml"):
        io.load(tmp_path / "absent.toml")
    with pytest.raises(FileNotFoundError, match="folder .* does not exist"):
        io.loads(SMALL).save(tmp_path / "absent" / "model.toml")


BAD = {
    "empty": ("", "key 'rank' is missing"),
    "no population": ("rank = 1", "key 'population' is missing"),
    "empty populations": ("rank = 1\npopulation = []", "at least one population"),
    "single brackets": ("rank = 1\n[population]\nweight = 1.0", r"write \[\[population\]\] with two brackets"),
    "populations of numbers": ("rank = 1\npopulation = [1.0]", r"population 0 \(first\): must be a mapping"),
    "misspelt top key": (SMALL.replace("inputs", "input"), "unknown key 'input'; did you mean 'inputs'"),
    "misspelt population": (SMALL.replace("[[population]]", "[[populations]]"), "did you mean 'population'"),
    "unknown loading": (
        SMALL.replace("n1 m1", "n1 m3"),
        r"population 0 \(first\): unknown key 'n1 m3'; 'm3' is no loading",
    ),
    "misspelt weight": (SMALL.replace("weight = 0.75", "wieght = 0.75"), "unknown key 'wieght'; did you mean 'weight'"),
    "missing weight": (SMALL.replace("weight = 0.75", ""), r"population 1 \(second\): has no 'weight'"),
    "wrong sum": (SMALL.replace("0.75", "0.7"), r"weights must sum to 1: got 0.95 \(2 populations\)"),
    "weight zero": (SMALL.replace("0.75", "0.0"), r"population 1 \(second\) is empty"),
    "string": (SMALL.replace("= 3\n", '= "3"\n'), "key 'n1 m1' must be a number: got '3'"),
    "bool": (SMALL.replace("= 3\n", "= true\n"), "key 'n1 m1' must be a number: got True"),
    "date": (SMALL.replace("= 3\n", "= 2020-01-01\n"), "key 'n1 m1' must be"),
    "list": (SMALL.replace("= 3\n", "= [3]\n"), r"key 'n1 m1': got shape \(1,\)"),
    "table": (SMALL.replace("= 3\n", "= {a = 3}\n"), "key 'n1 m1' must be"),
    "dotted key": (SMALL.replace('"n1 m1"', "n1.m1"), "unknown key 'n1'"),
    "nan": (SMALL.replace("= 3\n", "= nan\n"), "key 'n1 m1' must be finite: got nan"),
    "inf": (SMALL.replace("= 3\n", "= -inf\n"), "key 'n1 m1' must be finite: got -inf"),
    "huge integer": (SMALL.replace("= 3\n", "= 0x" + "f" * 20_000 + "\n"), "key 'n1 m1' must be"),
    "twice": (SMALL.replace('"mean n1" = 1.0', '"m1 n1" = 3.0'), "keys 'n1 m1' and 'm1 n1' are the same entry"),
    "same key twice": (SMALL.replace('"mean n1" = 1.0', '"n1 m1" = 3.0'), r"not valid TOML: .*line 11"),
    "rank of a wrong type": (SMALL.replace("rank = 2", "rank = 2.0"), "key 'rank' must be an integer: got 2.0"),
    "rank true": (SMALL.replace("rank = 2", "rank = true"), "key 'rank' must be an integer"),
    "rank zero": (SMALL.replace("rank = 2", "rank = 0"), "rank must be an integer, at least 1"),
    "rank negative": (SMALL.replace("rank = 2", "rank = -7"), "rank must be an integer, at least 1"),
    "rank without bounds": (SMALL.replace("rank = 2", "rank = 1000000000000"), "too large.*check 'rank'"),
    "inputs of a wrong type": (SMALL.replace('["A"]', '"A"'), "key 'inputs' must be a list: got 'A'"),
    "inputs of numbers": (SMALL.replace('["A"]', "[1]"), "key 'inputs' must be a list of strings"),
    "input clashes": (SMALL.replace('["A"]', '["m1"]'), "input name 'm1' already means"),
    "title of a wrong type": (SMALL.replace('"bistable"', "3"), "key 'title' must be a string"),
    "g of a wrong type": ("g = '1'\n" + SMALL, "key 'g' must be a number, or a matrix"),
    "g ragged": ("g = [[1.0], [1.0, 2.0]]\n" + SMALL, "g must be an array of real numbers"),
    "g of a wrong shape": ("g = [1.0, 2.0]\n" + SMALL, r"g: got shape \(2,\), expected a number or \(2, 2\)"),
    "g negative": ("g = -1.0\n" + SMALL, "g must not be negative"),
    "not positive": (
        SMALL.replace('"mean n1"', '"n1 n1"'),
        r"population 0 \(first\): .*smallest eigenvalue is -2, along m1, n1",
    ),
    "truncated": (SMALL[: SMALL.index("0.75") - 2], r"not valid TOML: .*line 14|not valid TOML: .*end of document"),
    "truncated key": (SMALL[: SMALL.index(" n2") + 1], "not valid TOML"),
    "deep": ("rank = " + "[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_name_the_file_and_the_key(case, tmp_path):
    text, message = BAD[case]
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        io.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 400 + len(str(path))


def test_files_that_are_no_text(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="is a directory"):
        io.load(tmp_path)
    path = tmp_path / "bad.toml"
    path.write_bytes(b"rank = 1\ntitle = '\xff'\n")
    with pytest.raises(ValueError, match=r"bad.toml: is not UTF-8 text \(byte 0xff in line 2\)"):
        io.load(path)
    monkeypatch.setattr(modelfile, "LARGEST_FILE", 2**20)
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        io.load(path)


@given(cut=st.integers(0, len(SMALL)))
def test_any_truncation_is_refused_or_a_model(cut):
    """A file cut anywhere gives a ValueError or a valid connectivity, nothing else."""
    try:
        io.loads(SMALL[:cut])
    except ValueError:
        pass
