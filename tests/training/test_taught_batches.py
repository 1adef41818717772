import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.errors import StoreError
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.batches import CropBatches, StoreReader, tf_dataset
from bytecover_tf.training.sampler import PKSampler
from bytecover_tf.training.taught_batches import (
    TaughtBatches,
    embed_heard,
    embed_wholes,
)


@pytest.fixture
def recordings(tmp_path, rng):
    """Six recordings of three works, of different lengths, and their store."""
    tracks = [Track(f"r{n}", f"w{n // 2}", f"r{n}", "train") for n in range(6)]
    with FeatureStoreWriter(tmp_path / "store", Frontend()) as writer:
        for number, track in enumerate(tracks):
            writer.add(
                track.path, f"{number:012}", rng.random((84, 20 + number)) + 0.01
            )
    return tracks, FeatureStore(tmp_path / "store")


@pytest.fixture
def crops(recordings):
    tracks, store = recordings
    works = np.arange(6) // 2
    sampler = PKSampler(works, 2, 2, 0)
    return CropBatches(
        StoreReader(store, tracks), works, sampler, (8,), Augment(), n_bins=84
    )


def test_every_crop_has_the_target_of_its_recording(crops, rng):
    targets = rng.random((6, 5)).astype(np.float32)
    batches = TaughtBatches(crops, targets)
    for number in range(5):
        inputs, works = batches(number)
        features, same_works = crops(number)
        np.testing.assert_array_equal(inputs["features"], features)
        np.testing.assert_array_equal(works, same_works)
        np.testing.assert_array_equal(
            inputs["target"], targets[crops.sampler.batch(number)]
        )
        part, _ = batches(number, slice(1, 3))
        np.testing.assert_array_equal(part["target"], inputs["target"][1:3])


def test_tensorflow_reads_the_same_batches(crops, rng):
    batches = TaughtBatches(crops, rng.random((6, 5)).astype(np.float32))
    for number, (inputs, works) in enumerate(tf_dataset(batches, 0, 3)):
        expected, labels = batches(number)
        assert set(inputs) == {"features", "target"}
        for name, array in expected.items():
            np.testing.assert_array_equal(inputs[name], array)
        np.testing.assert_array_equal(works, labels)


def test_whole_recordings_are_embedded_by_the_teacher(recordings):
    tracks, store = recordings
    teacher = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2))
    teacher.build((None, 84, None, 1))
    found = embed_wholes(teacher, tracks, store)
    assert found.dtype == np.float32
    for track, vector in zip(tracks, found, strict=True):
        features = store.features(track.path).astype(np.float32)
        features = features / features.max()
        f_c = np.asarray(teacher(features[None, ..., None])["f_c"])[0]
        np.testing.assert_allclose(vector, f_c / np.linalg.norm(f_c), atol=1e-5)


def test_a_recording_that_the_teacher_cannot_embed_is_named(recordings):
    tracks, store = recordings
    teacher = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2))
    teacher.build((None, 84, None, 1))
    for weight in teacher.trainable_variables:
        weight.assign(np.full(weight.shape, np.nan, np.float32))
    with pytest.raises(StoreError, match="store: r0: its embedding is not finite"):
        embed_wholes(teacher, tracks, store)


def test_what_was_heard_is_embedded_without_hearing_again(rng):
    teacher = ByteCover(
        Architecture(blocks=(1, 1, 1, 1), width=2, heard=24, pitch_classes=True)
    )
    teacher.build((None, 252, None, 1))
    notes = [rng.integers(0, 256, (n, 84, 2), np.uint8) for n in (30, 41)]
    found = embed_heard(teacher, notes)
    assert found.shape == (2, teacher.dim)
    for each, vector in zip(notes, found, strict=True):
        given = np.moveaxis(each, 0, 1)[None] / np.float32(255)
        expected = np.asarray(teacher.embed_notes(given)["f_c"])[0]
        np.testing.assert_allclose(vector, expected, atol=1e-5)
