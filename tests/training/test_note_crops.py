import numpy as np
import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.stores.labelled_store import LabelledFeatures
from bytecover_tf.training.note_crops import (
    FRAMES,
    EpochClock,
    NoteCrop,
    NoteCrops,
    augmented,
    crop,
    stack,
)


def labelled(rng, frames=FRAMES + 6, melody=False, notes=None):
    """A recording of noise."""
    return LabelledFeatures.of(
        rng.random((84, frames)) ** 4,
        rng.random((252, frames)) ** 4,
        rng.random((88, frames)) if notes is None else np.full((88, frames), notes),
        rng.random((88, frames)),
        rng.random((88, frames)) > 0.9 if melody else None,
    )


def plain_heard(values, start, one):
    """Labels of the crop that starts at a frame, from C1 to B7, two frames to one."""
    result = np.zeros((84, FRAMES // 2))
    for semitone in range(84):
        # The lowest label is A0, three semitones below C1.
        row = values[semitone + 3].astype(float) / one
        for t in range(FRAMES // 2):
            result[semitone, t] = (row[start + 2 * t] + row[start + 2 * t + 1]) / 2
    return result


@pytest.mark.parametrize("has_melody", [False, True])
def test_a_crop_has_amplitudes_and_labels_of_its_frames(rng, has_melody):
    recording = labelled(rng, FRAMES + 7, has_melody)
    found = crop(recording)  # from the middle
    assert found.magnitudes.dtype == found.heard.dtype == np.float32
    amplitudes = recording.amplitudes("cqt36")[:, 3 : 3 + FRAMES]
    mean = 10 * recording.scale[1, 0]
    np.testing.assert_allclose(found.magnitudes, amplitudes / mean, rtol=1e-4)
    assert found.has_melody is has_melody
    for channel, values in ((0, recording.notes), (1, recording.onsets)):
        expected = plain_heard(values, 3, 255)
        np.testing.assert_allclose(found.heard[..., channel], expected, atol=1e-6)
    if has_melody:
        expected = plain_heard(recording.melody, 3, 1)
        np.testing.assert_array_equal(found.heard[..., 2], expected)
        assert set(np.unique(found.heard[..., 2])) == {0, 0.5, 1}
    else:
        assert not found.heard[..., 2].any()


def test_amplitudes_are_in_means_of_the_recording(rng):
    recording = labelled(rng, FRAMES)
    assert crop(recording).magnitudes.mean() == pytest.approx(1, abs=0.02)


def test_random_crops_begin_anywhere(rng):
    recording = labelled(rng)
    starts = {
        next(
            start
            for start in range(7)
            if np.allclose(
                found.heard[..., 0], plain_heard(recording.notes, start, 255), atol=1e-6
            )
        )
        for found in (crop(recording, rng) for _ in range(60))
    }
    assert starts == set(range(7))
    assert crop(labelled(rng, FRAMES), rng).magnitudes.shape == (252, FRAMES)


def single_note(semitone=40):
    magnitudes = np.zeros((252, FRAMES), np.float32)
    magnitudes[3 * semitone] = 100
    heard = np.zeros((84, FRAMES // 2, 3), np.float32)
    heard[semitone] = 1, 0.5, 0.25
    return NoteCrop(magnitudes, heard, True)


def test_sound_and_labels_are_moved_together(rng):
    shifts, gains = set(), []
    for _ in range(200):
        found = augmented(single_note(), rng)
        assert found.magnitudes.dtype == found.heard.dtype == np.float32
        assert found.magnitudes.shape == (252, FRAMES)
        (semitone,) = np.flatnonzero(found.heard.any(axis=(1, 2)))
        np.testing.assert_array_equal(found.heard[semitone, 0], [1, 0.5, 0.25])
        loudest = found.magnitudes.argmax(axis=0)
        np.testing.assert_array_equal(loudest, np.full(FRAMES, 3 * semitone))
        assert (found.magnitudes >= 0).all()
        assert found.has_melody
        shifts.add(int(semitone) - 40)
        gains.append(np.median(found.magnitudes.max(axis=0)) / 100)
    assert shifts == set(range(-4, 5))
    # Near the middle bin a tilt changes little.
    assert 0.6 < min(gains) < 0.8
    assert 1.2 < max(gains) < 1.4


def test_what_comes_in_at_the_edges_is_empty(rng):
    full = NoteCrop(
        np.ones((252, FRAMES), np.float32),
        np.ones((84, FRAMES // 2, 3), np.float32),
        False,
    )
    for _ in range(30):
        found = augmented(full, rng)
        rows = found.heard.any(axis=(1, 2))
        bins = found.magnitudes.any(axis=1)
        np.testing.assert_array_equal(np.repeat(rows, 3), bins)
        assert rows.sum() >= 80
        assert not found.has_melody


def test_some_are_tilted_and_some_noisy(rng):
    flat = NoteCrop(
        np.ones((252, FRAMES), np.float32),
        np.zeros((84, FRAMES // 2, 3), np.float32),
        False,
    )
    noisy, tilts = 0, []
    for _ in range(200):
        inner = augmented(flat, rng).magnitudes[20:-20]
        noisy += bool(inner.std(axis=1).max() > 1e-3)
        tilts.append(abs(20 * np.log10(inner[-1].mean() / inner[0].mean())))
    assert 25 < noisy < 75
    assert 70 < np.count_nonzero(np.array(tilts) > 0.1) < 130
    assert max(tilts) < 2 * 6


def test_the_same_seed_epoch_and_number_give_the_same_batch(rng):
    recordings = [labelled(rng, melody=k == 0) for k in range(3)]

    def batch(seed=1, epoch=2, number=3):
        crops = NoteCrops(recordings, 4, 5, seed)
        crops.epoch = epoch
        return crops[number]

    (inputs, targets), (again, same) = batch(), batch()
    np.testing.assert_array_equal(inputs, again)
    for name, values in targets.items():
        np.testing.assert_array_equal(values, same[name])
    for other in (batch(seed=2), batch(epoch=1), batch(number=0)):
        assert not np.array_equal(other[0], inputs)
    assert inputs.shape == (4, 252, FRAMES, 1)
    assert targets["heard"].shape == (4, 84, FRAMES // 2, 3)
    assert len(NoteCrops(recordings, 4, 5, 0)) == 5


def test_the_clock_sets_the_epoch(rng):
    crops = NoteCrops([labelled(rng)], 1, 2, 0)
    EpochClock(crops).on_epoch_begin(7)
    assert crops.epoch == 7


@pytest.mark.parametrize(
    ("melodies", "others", "expected"), [(2, 2, 4), (2, 0, 12), (0, 2, 0)]
)
def test_a_third_of_a_batch_has_its_melody(rng, melodies, others, expected):
    recordings = [labelled(rng, melody=k < melodies) for k in range(melodies + others)]
    _, targets = NoteCrops(recordings, 12, 1, 0)[0]
    assert targets["has_melody"].sum() == expected
    has = targets["heard"][..., 2].any(axis=(1, 2))
    np.testing.assert_array_equal(has, targets["has_melody"])


def test_longer_recordings_are_drawn_more_often_up_to_a_limit(rng):
    lengths = {0.2: 200, 0.6: 600, 1.0: 4000}
    recordings = [labelled(rng, length, notes=p) for p, length in lengths.items()]
    _, targets = NoteCrops(recordings, 300, 1, 0)[0]
    heard = targets["heard"][..., 0].max(axis=(1, 2))
    counts = [np.isclose(heard, p, atol=0.01).sum() for p in lengths]
    assert sum(counts) == 300
    expected = 300 * np.array([200, 600, 2000]) / 2800
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()


def test_no_recordings_are_refused():
    with pytest.raises(DataError, match="no labelled recordings"):
        NoteCrops([], 2, 1, 0)


def test_crops_are_stacked_in_order(rng):
    crops = [crop(labelled(rng, melody=k == 1)) for k in range(3)]
    inputs, targets = stack(crops)
    for k, one in enumerate(crops):
        np.testing.assert_array_equal(inputs[k, ..., 0], one.magnitudes)
        np.testing.assert_array_equal(targets["heard"][k], one.heard)
    np.testing.assert_array_equal(targets["has_melody"], [False, True, False])
