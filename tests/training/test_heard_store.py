import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.configs import load_config
from bytecover_tf.encoders.notes import take_hearing
from bytecover_tf.files import lock
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.training import heard_store
from bytecover_tf.training.heard_store import heard_notes

FINE = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)
# One starts and ends at every remainder of a division by four.
LENGTHS = (41, 38, 3, 44, 43, 57, 80)


@pytest.fixture
def store(tmp_path, rng):
    with FeatureStoreWriter(tmp_path / "store", FINE) as writer:
        for number, frames in enumerate(LENGTHS):
            writer.add(str(number), str(number), rng.gamma(0.3, 3.0, (252, frames)))
    return FeatureStore(tmp_path / "store")


@pytest.fixture(scope="module")
def network():
    """A network with the package's ears."""
    network = ByteCover(load_config("notes").architecture)
    network.build((None, 252, None, 1))
    take_hearing(network)
    return network


def heard_by(network, store, entry):
    frames = entry.frames // 4 * 4
    features = store.rows(entry).T[None, :, :frames, None].astype(np.float32)
    return np.asarray(network.heard(features))[0].transpose(1, 0, 2)


def test_it_has_what_the_network_hears(store, network):
    entries = list(store)
    for entry, notes in zip(entries, heard_notes(store, entries), strict=True):
        assert notes.dtype == np.uint8
        if entry.frames < 4:
            assert notes.shape == (1, 84, 2)
            assert not notes.any()
            continue
        assert notes.shape == (entry.frames // 4, 84, 2)
        np.testing.assert_allclose(
            notes / 255, heard_by(network, store, entry), atol=0.004
        )


def test_only_what_is_new_is_heard(store, monkeypatch):
    entries = list(store)
    before = [notes.copy() for notes in heard_notes(store, entries[:3])]
    again = []
    hear = heard_store._hear

    def counted(store, entry):
        again.append(entry.source)
        return hear(store, entry)

    monkeypatch.setattr(heard_store, "_hear", counted)
    found = heard_notes(store, entries)
    assert sorted(again) == ["3", "4", "5", "6"]
    heard_notes(store, entries)
    assert len(again) == 4
    for mine, notes in zip(found, before, strict=False):
        np.testing.assert_array_equal(mine, notes)


def test_what_a_killed_run_left_unfinished_is_heard_anew(store):
    heard_notes(store, list(store))
    (path,) = store.path.glob("heard-*.u8")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + 5])
    heard_notes(store, list(store))
    assert path.read_bytes() == whole


def test_what_comes_back_is_heard(tmp_path, rng):
    """Content that no file had when its neighbours were heard."""
    features = rng.gamma(0.3, 3.0, (3, 252, 40))
    with FeatureStoreWriter(tmp_path / "store", FINE) as writer:
        for source, number in (("a", 0), ("a", 1), ("b", 2)):
            writer.add(source, str(number), features[number])
    store = FeatureStore(tmp_path / "store")
    heard_notes(store, list(store))
    with FeatureStoreWriter(tmp_path / "store", FINE) as writer:
        writer.add("c", "0")
    store = FeatureStore(tmp_path / "store")
    (found,) = heard_notes(store, [store.entry("c")])
    np.testing.assert_array_equal(found, heard_store._hear(store, store.entry("c")))
    assert found.any()


def test_one_content_in_two_places_is_heard_in_both(tmp_path, rng):
    """As where one source of it was extracted anew."""
    features = rng.gamma(0.3, 3.0, (252, 40))
    with FeatureStoreWriter(tmp_path / "store", FINE) as writer:
        writer.add("b", "0", features)
        writer.forget([writer.add("a", "0")])
        writer.add("a", "0", features)
    store = FeatureStore(tmp_path / "store")
    assert store.entry("a").start != store.entry("b").start
    first, second = heard_notes(store, [store.entry("a"), store.entry("b")])
    assert first.any()
    np.testing.assert_array_equal(first, second)


def test_processes_that_hear_one_store_take_turns(store):
    (expected,) = heard_notes(store, list(store)[:1])
    (path,) = store.path.glob("heard-*.u8")
    with ThreadPoolExecutor(1) as pool:
        with lock(path.with_name(f"{path.name}.lock")):
            before = path.read_bytes()
            waiting = pool.submit(heard_notes, store, list(store))
            time.sleep(0.3)
            assert not waiting.done()
            assert path.read_bytes() == before
        np.testing.assert_array_equal(waiting.result()[0], expected)


def test_a_store_of_very_short_recordings(tmp_path, rng):
    with FeatureStoreWriter(tmp_path / "store", FINE) as writer:
        writer.add("short", "short", rng.random((252, 3)))
    store = FeatureStore(tmp_path / "store")
    (notes,) = heard_notes(store, list(store))
    assert notes.shape == (1, 84, 2)
