import os
import tempfile

import numpy as np
import pytest

from bytecover_tf.stores import handover
from bytecover_tf.stores.handover import Parcel
from bytecover_tf.stores.process_map import ProcessMap

SHAPE = (252, 20_000)  # of features of 39 minutes
PATHS = [f"{number}.mp3" for number in range(3)]


def features(path):
    """What no path shares with another, 19 MiB."""
    return np.random.default_rng(int(path[0])).random(SHAPE, np.float32)


def read(path):
    return path, features(path), np.arange(5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(handover, "_LARGE", 100)
    return str(tmp_path)


def test_large_arrays_come_from_other_processes_by_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mapped = []

    def noted(name, real=handover._mapped):
        mapped.append(name)
        return real(name)

    monkeypatch.setattr(handover, "_mapped", noted)
    results = dict(ProcessMap(read, 2).map(PATHS))
    assert results.keys() == set(PATHS)
    for path, (name, large, small) in results.items():
        assert name == path
        np.testing.assert_array_equal(large, features(path))
        assert small.tolist() == [0, 1, 2, 3, 4]
    assert len(mapped) == 3
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_unpacked_is_what_was_packed(folder, order, rng):
    large = np.asarray(rng.random((3, 40)), order=order)
    small = np.arange(4)
    parcel = Parcel.pack({"large": [large, small], "name": "x"}, folder)
    assert [os.path.getsize(name) for name in parcel.files] == [large.nbytes]
    assert len(parcel.content) < large.nbytes
    found = parcel.unpack()
    assert os.listdir(folder) == []
    np.testing.assert_array_equal(found["large"][0], large)
    np.testing.assert_array_equal(found["large"][1], small)
    assert found["name"] == "x"
    found["large"][0][:] = 0  # it can be written to


def test_without_room_for_files_the_pipe_does_it(folder, rng):
    large = rng.random(100)
    parcel = Parcel.pack(large, os.path.join(folder, "gone"))
    assert parcel.files == ()
    np.testing.assert_array_equal(parcel.unpack(), large)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_file_that_cannot_be_written_is_removed(folder, rng, monkeypatch):
    real = open

    def on_a_full_disk(file, mode):
        real(file, mode).close()
        return real("/dev/full", mode, buffering=0)

    monkeypatch.setattr("builtins.open", on_a_full_disk)
    parcel = Parcel.pack(rng.random(100), folder)
    monkeypatch.undo()
    assert parcel.files == ()
    assert os.listdir(folder) == []
