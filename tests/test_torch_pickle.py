"""PyTorch files without PyTorch: what is read, and which tensors and containers are refused."""

import io
import zipfile

import numpy as np
import pytest
import torch_files as tf
from meanfield.validation.torch_pickle import read_state_dict

LIMIT = 1 << 20
RNG = np.random.default_rng(0)


def read(data):
    return read_state_dict(data, LIMIT)


# ---- what is read


@pytest.fixture(params=tf.CONTAINERS.values(), ids=tf.CONTAINERS)
def container(request):
    return request.param


@pytest.mark.parametrize("kind", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1"])
def test_every_type_is_read_exactly(container, kind):
    arrays = {"a": RNG.integers(0, 100, (3, 4)).astype(kind), "b": np.array(7, kind), "c": np.zeros((0, 3), kind)}
    found = read(container(*tf.plain(arrays, kind)))
    assert found.keys() == arrays.keys()
    for key, array in arrays.items():
        assert found[key].dtype == np.float64
        np.testing.assert_array_equal(found[key], array, strict=False)


def test_strides_offsets_and_shared_storages(container):
    numbers = np.arange(12, dtype="f4")
    one = tf.storage("0", 12)
    entries = {
        "transposed": tf.tensor(one, (4, 3), (1, 4)),
        "part": tf.tensor(one, (2, 2), (5, 1), offset=5),
        "expanded": tf.tensor(one, (3, 2), (0, 1), offset=10),
    }
    found = read(container(tf.state(entries), {"0": numbers}))
    np.testing.assert_array_equal(found["transposed"], numbers.reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [[5, 6], [10, 11]])
    np.testing.assert_array_equal(found["expanded"], [[10, 11]] * 3)


def test_views_of_storages_and_an_explicit_none(container):
    numbers = np.arange(10, dtype="f8")
    entries = {
        "view": tf.tensor(tf.storage("0", 10, "f8", ("v", 4, 3)), (2,), (1,), offset=1),
        "whole": tf.tensor(tf.storage("0", 10, "f8", ()), (10,), (1,)),
    }
    found = read(container(tf.state(entries), {"0": numbers}))
    np.testing.assert_array_equal(found["view"], [5, 6])
    np.testing.assert_array_equal(found["whole"], numbers)


def test_parameters_dictionaries_of_pairs_and_protocol_4(container):
    one = tf.tensor(tf.storage("0", 2), (2,), (1,))
    parameter = tf.call(tf.stacked_name("torch._utils", "_rebuild_parameter"), one, b"\x88", tf.EMPTY)
    pairs = b"](" + b"](" + tf.text("p") + parameter + b"e" + b"e"
    found = read(container(tf.call(tf.ORDERED_DICT, pairs), {"0": np.array([1, 2], "f4")}))
    np.testing.assert_array_equal(found["p"], [1, 2])


@pytest.mark.parametrize(("order", "mark"), [("<", None), ("<", "little"), (">", "big")])
def test_byte_order_of_the_zip_format(order, mark):
    body, storages = tf.plain({"a": [1.0, 2.5]})
    np.testing.assert_array_equal(read(tf.in_zip(body, storages, order, mark))["a"], [1, 2.5])


def test_archives_without_a_folder_are_read():
    body, storages = tf.plain({"a": [1.0, 2.5]})
    assert read(tf.in_zip(body, storages, root=""))["a"].tolist() == [1, 2.5]


# ---- tensors that reach out of their storage, storages that are not there

ONE = {"0": np.zeros(4, "f4")}
WRONG = {
    "too long": (tf.tensor(tf.storage("0", 4), (5,), (1,)), "reaches element 5"),
    "offset": (tf.tensor(tf.storage("0", 4), (4,), (1,), offset=1), "reaches element 5"),
    "stride": (tf.tensor(tf.storage("0", 4), (2, 2), (3, 1)), "reaches element 5"),
    "huge": (tf.tensor(tf.storage("0", 4), (2**40, 2**40), (1, 1)), "reaches element"),
    "huge by stride 0": (tf.tensor(tf.storage("0", 4), (2**30, 2**30), (0, 0)), "more than the limit"),
    "too many axes": (tf.tensor(tf.storage("0", 4), (1,) * 9, (1,) * 9), "at most 8"),
    "negative size": (tf.tensor(tf.storage("0", 4), (-1,), (1,)), "integer >= 0"),
    "negative stride": (tf.tensor(tf.storage("0", 4), (2,), (-1,)), "integer >= 0"),
    "negative offset": (tf.tensor(tf.storage("0", 4), (2,), (1,), offset=-1), "integer >= 0"),
    "giant integer": (tf.tensor(tf.storage("0", 4), (1 << 900,), (1,)), "integer >= 0"),
    "axes differ": (tf.tensor(tf.storage("0", 4), (2, 2), (1,)), "one stride per axis"),
    "negative storage": (tf.tensor(tf.storage("0", -4), (0,), (1,)), "integer >= 0"),
    "view outside": (tf.tensor(tf.storage("0", 4, view=("v", 3, 2)), (2,), (1,)), "reaches element 5 of 4"),
    "outside the view": (tf.tensor(tf.storage("0", 4, view=("v", 1, 2)), (3,), (1,)), "reaches element 3"),
    "wrong length": (tf.tensor(tf.storage("0", 5), (5,), (1,)), "16 bytes: expected 20|in 20 bytes"),
    "missing storage": (tf.tensor(tf.storage("7", 4), (4,), (1,)), "missing|differs"),
    "storage outside": (tf.tensor(tf.storage("../../x", 4), (4,), (1,)), "missing|differs"),
    "unknown type": (tf.tensor(tf.storage("0", 4, "BFloat16"), (4,), (1,)), "torch.BFloat16Storage"),
    "no storage": (tf.tensor(tf.number(3), (4,), (1,)), "must view a storage"),
    "not a tensor": (tf.number(3), "are not tensors"),
    "nested": (tf.state({"m": tf.number(3)}), "are not tensors"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tensors_are_refused(container, case):
    value, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        read(container(tf.state({"a": value}), ONE))


def test_one_storage_with_two_lengths_is_refused(container):
    entries = {"a": tf.tensor(tf.storage("0", 4), (4,), (1,)), "b": tf.tensor(tf.storage("0", 2, "f8"), (2,), (1,))}
    with pytest.raises(ValueError, match="declared twice"):
        read(container(tf.state(entries), ONE))


def test_a_legacy_storage_must_have_the_length_that_its_tensors_say():
    body, storages = tf.plain({"a": [1.0, 2.0]})
    for count in (1, 3, -1, 2**62):
        with pytest.raises(ValueError, match="its own count differs"):
            read(tf.in_legacy(body, storages, {"0": count}))


@pytest.mark.parametrize("mark", ["middle", "", "little\n" * 9])
def test_an_unknown_byte_order_is_refused(mark):
    with pytest.raises(ValueError, match="byte order"):
        read(tf.in_zip(*tf.plain({"a": [1.0]}), byteorder=mark))


def test_two_programs_in_one_archive_are_refused():
    data = io.BytesIO(tf.in_zip(*tf.plain({"a": [1.0]})))
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("other/data.pkl", b"N.")
    with pytest.raises(ValueError, match="got 2"):
        read(data.getvalue())


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "C:x", "a\\x"])
def test_members_that_point_out_of_the_archive_are_refused(name):
    data = io.BytesIO(tf.in_zip(*tf.plain({"a": [1.0]})))
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr(name, b"")
    with pytest.raises(ValueError, match="points out of the archive"):
        read(data.getvalue())
