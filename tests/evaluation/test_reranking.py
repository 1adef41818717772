import numpy as np
import pytest

from bytecover_tf.audio.chroma import chroma_of_cqt
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.errors import ConfigError
from bytecover_tf.evaluation.protocol import search
from bytecover_tf.evaluation.reranking import align_nearest
from bytecover_tf.matching.alignment import align_many
from bytecover_tf.matching.calibration import (
    Calibration,
    Pairs,
    default_calibration,
)
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter

FRONTEND = Frontend(pool=20)
CALIBRATION = default_calibration()


@pytest.fixture
def melodies(tmp_path, rng):
    """A store and tracks: 5 tunes as single notes, 3 versions each at other keys."""
    tracks = []
    with FeatureStoreWriter(tmp_path / "store", FRONTEND) as writer:
        for work in range(5):
            tune = np.repeat(rng.integers(36, 60, 30), 2)
            for version in range(3):
                name = f"{work}-{version}"
                features = 0.02 * rng.random((84, 60))
                features[tune + version, np.arange(60)] = 1
                writer.add(name, f"{work}{version:011}", features)
                tracks.append(Track(name, f"work {work}", name, "test"))
    return tracks, FeatureStore(tmp_path / "store")


def by_hand(tracks, store, embeddings, count, calibration=CALIBRATION):
    """Mean average precision, and the share found in an open set, query by query."""
    chroma = [
        chroma_of_cqt(store.features(track.path), 20, FRONTEND) for track in tracks
    ]
    precisions, best, strangers = [], [], []
    for query, track in enumerate(tracks):
        others = [i for i in range(len(tracks)) if i != query]
        others.sort(key=lambda i: -float(embeddings[query] @ embeddings[i]))
        probability = {}
        unlike = [i for i in others if tracks[i].work != track.work]
        for i in {*others[:count], *unlike[:count]}:
            (alignment,) = align_many(chroma[query], [chroma[i]])
            disparity = abs(np.log(chroma[query].shape[1] / chroma[i].shape[1]))
            similarity = embeddings[query] @ embeddings[i]
            one = Pairs(
                *(np.array([v]) for v in (alignment.score, similarity, disparity)), 100
            )
            probability[i] = calibration.probability(one)[0]
        first = sorted(others[:count], key=lambda i: -probability[i])
        found = [tracks[i].work == track.work for i in first + others[count:]]
        hits = np.flatnonzero(found)
        precisions.append(np.mean(np.arange(1, len(hits) + 1) / (hits + 1)))
        best.append(probability[first[0]] if found[0] else -1)
        strangers.append(max(probability[i] for i in unlike[:count]))
    # 1% of so few is none.
    return np.mean(precisions), np.mean(np.array(best) > max(strangers))


@pytest.mark.parametrize("count", [1, 4, 9, 14, 100])
def test_the_nearest_are_ranked_by_what_alignment_says(melodies, rng, count):
    tracks, store = melodies
    embeddings = rng.normal(size=(15, 4))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = search(tracks, embeddings)
    aligned = align_nearest(found, store, CALIBRATION, count, workers=1)
    precision, open_set = by_hand(tracks, store, embeddings, count)
    assert aligned["map"] == pytest.approx(precision, abs=1e-9)
    assert aligned["open_set_recall"] == pytest.approx(open_set)
    assert aligned.keys() == found.metrics.keys()
    assert aligned["queries"] == aligned["references"] == 15
    if count >= 14:
        # Alignment finds them all; vectors drawn at random do not.
        assert aligned["map"] == 1 > found.metrics["map"]


def test_versions_do_not_hide_strangers(melodies, rng):
    """Where all that is aligned are versions, an open set asks among others still."""
    tracks, store = melodies
    works = np.repeat(np.eye(5), 3, axis=0)
    embeddings = works + 0.01 * rng.normal(size=works.shape)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = search(tracks, embeddings)
    misled = Calibration(bias=0.0, score=-1.0)  # takes what differs most for versions
    aligned = align_nearest(found, store, misled, 2, workers=1)
    _, open_set = by_hand(tracks, store, embeddings, 2, misled)
    assert aligned["map"] == 1
    assert aligned["open_set_recall"] == open_set == 0


def test_frames_too_long_for_chroma_are_refused(small_set):
    tracks, store = small_set
    found = search(tracks, np.eye(len(tracks)))
    with pytest.raises(ConfigError, match="100 frames.*averages of 20"):
        align_nearest(found, store, CALIBRATION, 10)
