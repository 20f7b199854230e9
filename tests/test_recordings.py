"""Recordings from files: what was written comes back, and hostile files do not get in."""

import io
import sys
import types

import numpy as np
import pytest
import scipy.io
from meanfield.validation.lint import recordings
from meanfield.validation.lint.recordings import Recording, load_recording
from numpy.testing import assert_allclose

LIMIT = 1 << 20


def written(path, kind, rates, **others):
    if kind == "npy":
        np.save(path, rates)
    elif kind == "npz":
        np.savez(path, rates=rates, **others)
    else:
        scipy.io.savemat(path, {"rates": rates, **others})
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "mat"])
def test_recordings_come_back(tmp_path, kind):
    rates = np.random.default_rng(0).standard_normal((3, 7, 4))
    others = {} if kind == "npy" else {"inputs": np.ones((3, 7, 2)), "dt": 0.01}
    found = load_recording(written(tmp_path / f"a.{kind}", kind, rates, **others))
    assert_allclose(found.rates, rates)
    assert found.dt == others.get("dt") and (found.inputs is None) == (kind == "npy")
    assert found.name == "a" and len(found) == 3 and "7 samples" in repr(found)


def test_cells_of_a_mat_file_are_trials(tmp_path):
    cells = np.empty(2, object)
    cells[:] = [np.ones((5, 3)), np.zeros((4, 3))]
    found = load_recording(written(tmp_path / "a.mat", "mat", cells))
    assert [r.shape for r in found.rates] == [(5, 3), (4, 3)] and found.cut(4).rates.shape == (2, 4, 3)


def test_recordings_are_cut_thinned_and_shuffled():
    x = np.arange(24.0).reshape(12, 2)
    cut = Recording(x, dt=0.1).cut(5)
    assert_allclose(cut.rates, x[:10].reshape(2, 5, 2))
    assert Recording(x, dt=0.1).thinned(3).rates.shape == (1, 4, 2)
    mixed = Recording(x).cut(2).shuffled(0)
    assert_allclose(np.sort(mixed.rates, 0), np.sort(Recording(x).cut(2).rates, 0))
    assert not np.array_equal(mixed.rates, Recording(x).cut(2).rates)
    assert Recording(x, names=("a", "b")).neurons([1]).names == ("b",)
    with pytest.raises(ValueError, match="no trial has 13"):
        Recording(x).cut(13)


def hostile():
    good = io.BytesIO()
    np.save(good, np.ones((3, 4)))
    pickled, ragged = io.BytesIO(), io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(ragged, rates=np.ones((2, 3, 4)), inputs=np.ones((2, 9, 1)))
    two, nan = io.BytesIO(), io.BytesIO()
    np.savez(two, one=np.ones((3, 4)), other=np.ones((3, 4)))
    np.save(nan, np.array([[1.0, np.nan], [0, 0]]))
    mat = io.BytesIO()
    scipy.io.savemat(mat, {"rates": np.ones((3, 4))})
    return {
        "empty": (b"", "it is empty"),
        "text": (b"not a recording at all" * 20, "none of .npy, .npz"),
        "truncated npy": (good.getvalue()[:-5], "declares shape"),
        "pickle": (pickled.getvalue(), "object array"),
        "truncated zip": (two.getvalue()[:-40], "damaged"),
        "ragged": (ragged.getvalue(), "inputs of trial 0 have 9 samples"),
        "which": (two.getvalue(), "which array is the recording"),
        "nan": (nan.getvalue(), "must be finite"),
        "truncated mat": (mat.getvalue()[:-30], "damaged|none of"),
        "good": (good.getvalue(), None),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_are_refused_with_their_path(tmp_path, name):
    data, message = hostile()[name]
    path = tmp_path / "file.dat"
    path.write_bytes(data)
    if message is None:
        assert len(load_recording(path)) == 1
        return
    with pytest.raises(ValueError, match=message) as caught:
        load_recording(path)
    assert str(caught.value).startswith(str(path))


def test_sizes_are_limited(tmp_path):
    path = written(tmp_path / "a.npz", "npz", np.zeros((40, 50, 60)))
    with pytest.raises(ValueError, match="limit"):
        load_recording(path, max_bytes=1000)
    scipy.io.savemat(tmp_path / "a.mat", {"rates": np.zeros((40, 50, 60))}, do_compression=True)
    with pytest.raises(ValueError, match="more than the limit"):
        load_recording(tmp_path / "a.mat", max_bytes=100_000)
    cells = np.empty(1, object)
    cells[:] = [np.zeros((400, 500))]  # whose size the list of variables does not tell
    scipy.io.savemat(tmp_path / "a.mat", {"rates": cells}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 100_000
    with pytest.raises(ValueError, match="more than the limit"):
        load_recording(tmp_path / "a.mat", max_bytes=100_000)
    with pytest.raises(ValueError, match="regular file"):
        load_recording(tmp_path)


def without(monkeypatch, *names):
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_hdf5_without_the_extra_names_it(tmp_path, monkeypatch):
    path = tmp_path / "a.nwb"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    without(monkeypatch, "h5py", "pynwb")
    with pytest.raises(ImportError, match=r"lowrank-meanfield\[nwb\]"):
        load_recording(path)
    with pytest.raises(ImportError, match=r"lowrank-meanfield\[nwb\]"):
        recordings._nwb_fields(path, None, LIMIT)


def test_arrays_of_matlab_7_3_are_read(tmp_path, monkeypatch):
    class File(dict):
        attrs = {}

        def __init__(self, path, mode):
            super().__init__(rates=np.arange(24.0).reshape(2, 3, 4).T, refs=np.array(["a"]), note="text")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(File=File, Dataset=np.ndarray))
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(200))
    with pytest.raises(ValueError, match="more than the limit"):
        recordings._hdf5_fields(path, None, 100)
    assert_allclose(load_recording(path).rates, np.arange(24.0).reshape(2, 3, 4))


def test_nwb_time_series_are_read(tmp_path, monkeypatch):
    series = types.SimpleNamespace(name="spikes", data=np.ones((6, 3)), rate=50.0)

    class Reader:
        def __init__(self, path, mode):
            self.file = types.SimpleNamespace(acquisition={"spikes": series}, processing={})

        def __enter__(self):
            return types.SimpleNamespace(read=lambda: self.file)

        def __exit__(self, *_):
            return False

    monkeypatch.setitem(sys.modules, "pynwb", types.SimpleNamespace(NWBHDF5IO=Reader))
    fields = recordings._nwb_fields(tmp_path / "a.nwb", None, LIMIT)
    assert fields["rates"].shape == (6, 3) and fields["dt"] == 0.02
    with pytest.raises(ValueError, match="no time series lfp"):
        recordings._nwb_fields(tmp_path / "a.nwb", "lfp", LIMIT)
    series.rate, series.timestamps = None, np.array([0, 1, 2, 3, 4, 9.0])
    with pytest.raises(ValueError, match="equally spaced"):
        recordings._nwb_fields(tmp_path / "a.nwb", None, LIMIT)
