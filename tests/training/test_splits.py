from dataclasses import replace

import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.stores.feature_store import FeatureStoreWriter
from bytecover_tf.training.splits import Splits


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_missing_split_is_named(small_set, split):
    tracks, store = small_set
    some = [track for track in tracks if track.split != split]
    with pytest.raises(DataError, match=f"'{split}'.*--split-seed"):
        Splits.of(some, store)


def test_a_single_work_to_train_on_is_refused(small_set):
    """Nothing can be told apart: the run would end and have learned nothing."""
    tracks, store = small_set
    some = [t for t in tracks if t.split != "train" or t.work == tracks[0].work]
    assert tracks[0].split == "train"
    with pytest.raises(DataError, match="a single work to train on, 'work 0'"):
        Splits.of(some, store)


def test_a_validation_split_that_cannot_be_measured_is_refused(small_set):
    """Not after the first epoch."""
    tracks, store = small_set
    once = {track.work: track for track in tracks if track.split == "validation"}
    some = [track for track in tracks if track.split != "validation"]
    with pytest.raises(DataError, match="none of . validation queries has another"):
        Splits.of([*some, *once.values()], store)
    answers = [replace(track, role="reference") for track in tracks]
    with pytest.raises(DataError, match="none of 0 validation queries"):
        Splits.of(answers, store)


def test_leaks_between_splits_are_refused(small_set, tmp_path):
    tracks, store = small_set
    leak = Track("x", "work 0", tracks[-1].path, "test")
    with pytest.raises(DataError, match="work 0"):
        Splits.of([*tracks[:-1], leak], store)
    with FeatureStoreWriter(store.path, Frontend()) as writer:
        writer.add("/copy.wav", store.entry(tracks[0].path).key)
    copy = Track("y", "another work", "/copy.wav", "test")
    reopened = type(store)(store.path)
    with pytest.raises(DataError, match=r"train and test have in .*/copy\.wav"):
        Splits.of([*tracks, copy], reopened)
    tested = next(track for track in tracks if track.split == "test")
    with pytest.raises(DataError, match="^validation and test have in common 1 works"):
        Splits.of([*tracks, replace(tested, split="validation")], store)
