import numpy as np
import pytest

from bytecover_tf.stores.note_store import NoteStore, NoteWriter
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.batches import tf_dataset
from bytecover_tf.training.note_batches import NoteBatches, NoteReader
from bytecover_tf.training.sampler import PKSampler

ALL = Augment(stretch=1.0, transpose=1.0, mask_bins=0.5, tilt=0.5, noise=0.5)


@pytest.fixture
def batches(small_set):
    """The score repeats the features, the second part at half the strength."""
    tracks, store = small_set
    with NoteWriter(store.path, 84) as writer:
        for track in tracks:
            features = store.features(track.path)
            writer.add(store.entry(track.path), np.stack([features, features / 2]))
    labels = np.array([int(track.work.split()[1]) for track in tracks])

    def make(augment=ALL, crop_frames=(12, 30), easy_steps=10):
        return NoteBatches(
            NoteReader(store, NoteStore(store), tracks),
            labels,
            PKSampler(labels, 4, 3, 0),
            crop_frames,
            augment,
            score_share=0.25,
            easy_steps=easy_steps,
            n_bins=84,
        )

    return make


def test_scores_move_with_their_features(batches):
    only_moved = Augment(stretch=1.0, transpose=1.0)
    for number in range(10, 15):
        batch, works = batches(only_moved)(number)
        frames = batch["features"].shape[2]
        assert batch["features"].shape == (12, 84, frames, 1)
        assert batch["score"].shape == (12, 84, frames, 2)
        assert works.shape == batch["given"].shape == (12,)
        np.testing.assert_allclose(
            batch["score"][..., :1], batch["features"], atol=0.003
        )
        np.testing.assert_allclose(
            batch["score"][..., 1:], batch["features"] / 2, atol=0.003
        )


def test_changes_of_sound_leave_the_score_alone(batches):
    loud = Augment(tilt=1.0, noise=1.0, noise_level=0.5)
    plain, _ = batches(Augment())(20)
    changed, _ = batches(loud)(20)
    assert changed["features"].shape[2] == plain["features"].shape[2]
    sums = changed["score"].sum(axis=(1, 2, 3)) / plain["score"].sum(axis=(1, 2, 3))
    assert np.all((sums > 0.3) & (sums < 3))
    heard = changed["features"][..., 0] - changed["score"][..., 0]
    assert np.abs(heard).max() > 0.1


def test_training_starts_with_scores_and_without_changes(batches):
    make = batches(crop_frames=(12,))
    first, _ = make(0)
    assert first["given"].all()
    np.testing.assert_allclose(first["score"][..., :1], first["features"], atol=0.003)
    shares = [make(number)[0]["given"].mean() for number in range(60)]
    assert np.mean(shares[1:5]) > 0.6
    assert np.mean(shares[10:]) == pytest.approx(0.25, abs=0.07)


def test_short_recordings_are_repeated(batches):
    batch, _ = batches(Augment(), crop_frames=(60,))(10)
    for crop in batch["features"][..., 0]:
        assert any(
            np.array_equal(crop[:, length:], crop[:, : 60 - length])
            for length in (21, 22, 23, 24)
        )


def test_dataset_gives_the_same_batches_by_name(batches):
    make = batches()
    for number, (inputs, works) in enumerate(tf_dataset(make, 3, 4), 3):
        expected, labels = make(number)
        np.testing.assert_array_equal(works, labels)
        assert inputs.keys() == expected.keys()
        for name, value in inputs.items():
            np.testing.assert_array_equal(value, expected[name])
            assert value.dtype == expected[name].dtype


def test_replicas_make_their_rows_of_the_same_batches(batches):
    make = batches()
    shares = [make.sampler.share(replica, 2) for replica in range(2)]
    elements = iter(tf_dataset(make, 3, 2, shares))
    for number in (3, 4):
        expected, labels = make(number)
        for share in shares:
            inputs, works = next(elements)
            np.testing.assert_array_equal(works, labels[share])
            for name, value in inputs.items():
                np.testing.assert_array_equal(value, expected[name][share])
