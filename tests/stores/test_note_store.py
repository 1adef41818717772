import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import StoreError
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.stores.note_store import (
    NoteStore,
    NoteWriter,
    add_with_notes,
    has_notes,
    remove_unscored,
)


def write(path, rng, lengths=(7, 4, 9), scored=3):
    scores = [rng.integers(0, 256, (2, 84, n)) / 255 for n in lengths]
    with (
        FeatureStoreWriter(path, Frontend()) as writer,
        NoteWriter(path, 84) as scores_writer,
    ):
        for i, score in enumerate(scores):
            entry = writer.find(f"r{i}") or writer.add(
                f"r{i}", f"key {i}", rng.random(score.shape[1:])
            )
            if i < scored and entry not in scores_writer:
                scores_writer.add(entry, score)
    return scores


def test_crops_of_scores_lie_where_those_of_features_do(tmp_path, rng):
    scores = write(tmp_path / "store", rng)
    store = FeatureStore(tmp_path / "store")
    read = NoteStore(store)
    for i, score in enumerate(scores):
        crop = read.rows(store.entry(f"r{i}"), 2, 5)
        np.testing.assert_allclose(crop, score[:, :, 2:7].transpose(2, 1, 0), atol=1e-6)


def test_what_a_killed_writer_left_out_is_added(tmp_path):
    write(tmp_path / "store", np.random.default_rng(0), scored=1)
    store = FeatureStore(tmp_path / "store")
    with pytest.raises(StoreError, match="holds 7 frames, but the index names 20"):
        NoteStore(store)
    scores = write(tmp_path / "store", np.random.default_rng(0))
    crop = NoteStore(store).rows(store.entry("r2"), 0, 99)
    np.testing.assert_allclose(crop, scores[2].transpose(2, 1, 0), atol=1e-6)


def test_a_recording_whose_score_is_missing_is_added_anew(tmp_path, rng):
    """As after a full disk; scores of later recordings would hide that it has none."""
    write(tmp_path, rng, lengths=(7, 4), scored=1)
    first, second = (rng.integers(0, 256, (2, 84, 4)) / 255 for _ in range(2))
    # The run that finds it is stopped as well, before its turn.
    for name, score in (("later", first), ("r1", second)):
        with (
            FeatureStoreWriter(tmp_path, Frontend()) as writer,
            NoteWriter(tmp_path, 84) as scores,
        ):
            remove_unscored(writer, scores)
            assert writer.find("r1") is None
            add_with_notes(writer, scores, name, rng.random((84, 4)), score)
    store = FeatureStore(tmp_path)
    for name, score in (("later", first), ("r1", second)):
        crop = NoteStore(store).rows(store.entry(name), 0, 5)
        np.testing.assert_allclose(crop, score.transpose(2, 1, 0), atol=1e-6)


def test_features_keep_their_score(tmp_path, rng):
    first, second = (rng.integers(0, 256, (2, 84, 5)) / 255 for _ in range(2))
    with FeatureStoreWriter(tmp_path, Frontend()) as writer:
        for score in (first, second):
            with NoteWriter(tmp_path, 84) as scores:
                add_with_notes(writer, scores, "a", rng.random((84, 5)), score)
    store = FeatureStore(tmp_path)
    crop = NoteStore(store).rows(store.entry("a"), 0, 5)
    np.testing.assert_allclose(crop, first.transpose(2, 1, 0), atol=1e-6)


def test_a_store_of_no_scores_is_damaged(small_set):
    _, store = small_set
    (store.path / "scores.u8").touch()
    with pytest.raises(StoreError, match=r"scores\.u8: holds 0 frames"):
        NoteStore(store)


def test_a_store_without_scores_says_so(small_set):
    _, store = small_set
    assert not has_notes(store)
    with pytest.raises(StoreError, match="scores.u8 is missing"):
        NoteStore(store)


def test_a_score_of_another_length_is_refused(tmp_path, rng):
    with (
        FeatureStoreWriter(tmp_path, Frontend()) as writer,
        NoteWriter(tmp_path, 84) as scores,
    ):
        entry = writer.add("r", "key", rng.random((84, 5)))
        with pytest.raises(StoreError, match=r"r: expected a score .* \(2, 84, 5\)"):
            scores.add(entry, rng.random((2, 84, 6)))
