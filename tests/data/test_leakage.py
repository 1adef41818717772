import weakref

import numpy as np
import pytest

from bytecover_tf.data.leakage import Leakage, check_leakage, near_duplicates
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError


def tracks(prefix, works):
    return [
        Track(f"{prefix}{n}", work, f"{prefix}{n}.mp3") for n, work in enumerate(works)
    ]


def test_no_leak():
    train, test = tracks("a", "uvw"), tracks("b", "xyz")
    content = {track.path: f"{n:064x}" for n, track in enumerate(train + test)}
    leakage = check_leakage(train, test, content)
    assert leakage == Leakage((), ())
    leakage.raise_if_any()


def test_shared_works_and_content():
    train, test = tracks("a", "uvvw"), tracks("b", "zwvx")
    content = {
        "a0.mp3": "1",
        "a1.mp3": "2",
        "a3.mp3": "2",
        "b0.mp3": "2",
        "b3.mp3": "3",
    }
    leakage = check_leakage(train, test, content)
    assert leakage.works == ("v", "w")
    assert leakage.recordings == ((train[1], test[0]), (train[3], test[0]))
    with pytest.raises(DataError) as error:
        leakage.raise_if_any()
    assert "2 works (v, w) and 2 pairs" in str(error.value)
    assert "a1.mp3 = b0.mp3" in str(error.value)


def test_tracks_without_hash_are_compared_by_work_alone():
    train, test = tracks("a", "uv"), tracks("b", "wx")
    assert check_leakage(train, test, {}) == Leakage((), ())
    assert check_leakage(train, test, {"b0.mp3": "1"}) == Leakage((), ())


def test_message_shows_the_first_few():
    works = [f"w{n}" for n in range(9)]
    leakage = check_leakage(tracks("a", works), tracks("b", works), {})
    with pytest.raises(DataError, match=r"9 works \(w0, w1, w2, \.\.\.\)"):
        leakage.raise_if_any()


def performance(seed, frames=200, bins=84):
    """Notes of random pitch and length over a background of constant colour."""
    rng = np.random.default_rng(seed)
    features = np.tile(np.exp(-np.arange(bins) / 30)[:, None], frames)
    for start in range(0, frames, 4):
        for pitch in rng.integers(0, bins, 3):
            features[pitch, start : start + rng.integers(2, 12)] += 1
    return features.astype(np.float32)


def altered(features, seed):
    """What a poor encoding, another gain and cut ends leave of a recording."""
    rng = np.random.default_rng(seed)
    noise = 1 + 0.1 * rng.standard_normal(features.shape)
    return (0.05 * features * noise).clip(0)[:, 2:-1].astype(np.float16)


def test_altered_copies_are_found():
    train = [performance(seed, frames=90 + 10 * seed) for seed in range(30)]
    test = [altered(train[7], 0), performance(99), altered(train[21], 1)]
    assert near_duplicates(train, test) == [(7, 0), (21, 2)]


def test_silent_ends_do_not_hide_a_copy():
    train = performance(0)
    silence = np.full((84, 25), 1e-4, np.float32)
    test = np.concatenate([silence, train, silence], axis=1)
    assert near_duplicates([train], [test]) == [(0, 0)]


def test_another_performance_in_the_same_colour_is_none():
    train, test = performance(1), performance(2)
    mean = train.mean(axis=1) @ test.mean(axis=1)
    norms = np.linalg.norm(train.mean(axis=1)) * np.linalg.norm(test.mean(axis=1))
    assert mean / norms > 0.9
    assert near_duplicates([train], [test]) == []


def test_threshold():
    train = [performance(1)]
    test = [performance(2), altered(train[0], 0)]
    assert near_duplicates(train, test, threshold=-1.0) == [(0, 0), (0, 1)]
    assert near_duplicates(train, test, threshold=0.9999) == []


def test_order_and_indices_over_several_blocks(monkeypatch):
    train = [performance(seed, 64) for seed in range(23)]
    test = [train[22], train[3], train[3]]
    expected = [(3, 1), (3, 2), (22, 0)]
    assert near_duplicates(iter(train), iter(test)) == expected
    monkeypatch.setattr("bytecover_tf.data.leakage._BLOCK", 5)
    assert near_duplicates(iter(train), iter(test)) == expected


def test_training_features_are_read_block_by_block(monkeypatch):
    monkeypatch.setattr("bytecover_tf.data.leakage._BLOCK", 4)
    alive = []

    def features():
        for seed in range(12):
            array = performance(seed, 64)
            alive.append(weakref.ref(array))
            yield array
            del array
            assert sum(reference() is not None for reference in alive) <= 2 * 4

    assert near_duplicates(features(), [performance(9, 64)]) == [(9, 0)]


@pytest.mark.parametrize("frames", [1, 3, 15, 16, 17, 1000])
def test_any_length(frames):
    features = np.random.default_rng(frames).random((84, frames))
    expected = [] if frames == 1 else [(0, 0)]
    assert near_duplicates([features], [features.copy()]) == expected


def test_what_does_not_change_matches_nothing():
    silence = np.zeros((84, 50))
    drone = np.tile(np.arange(84.0)[:, None], 50)
    assert near_duplicates([silence, drone], [silence, drone]) == []


def test_nothing_to_compare():
    assert near_duplicates([], [performance(0)]) == []
    assert near_duplicates([performance(0)], []) == []


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones(84), r"expected the shape \(bins, frames\)"),
        (np.ones((84, 0)), r"expected the shape \(bins, frames\)"),
        (np.full((84, 4), np.nan), "expected finite"),
        (np.ones((12, 40)), "expected 84 bins as in the others, found 12"),
    ],
)
def test_malformed_features(features, message):
    with pytest.raises(DataError, match=message):
        near_duplicates([features], [performance(0)])
