import numpy as np
import pytest

from bytecover_tf.errors import ConfigError
from bytecover_tf.training.batches import tf_dataset
from bytecover_tf.training.heard_batches import HeardBatches
from bytecover_tf.training.note_augment import NoteAugment
from bytecover_tf.training.sampler import PKSampler

NEVER = {
    name: 0.0
    for name in (
        *("rubato", "short", "moved", "transpose", "other", "register", "misheard"),
        *("levels", "no_melody"),
    )
}
UNCHANGED = NoteAugment(tempo=1.0, **NEVER)


def changed(**settings):
    return NoteAugment(**{"tempo": 1.0, **NEVER, **settings})


@pytest.fixture
def recordings(rng):
    """What was heard in 12 recordings of 6 works."""
    return [
        rng.integers(0, 256, (60 + number, 84, 2), np.uint8) for number in range(12)
    ]


@pytest.fixture
def batches(recordings):
    works = np.arange(12) // 2

    def make(augment=UNCHANGED, crop_frames=(20,)):
        sampler = PKSampler(works, 4, 2, 0)
        return HeardBatches(recordings, works, sampler, crop_frames, augment)

    return make


def test_unchanged_crops_are_stretches_of_their_recordings(batches, recordings):
    make = batches()
    batch, works = make(3)
    assert batch["notes"].shape == (8, 84, 20, 2)
    assert batch["notes"].dtype == np.float32
    for index, work, crop in zip(
        make.sampler.batch(3), works, batch["notes"], strict=True
    ):
        assert work == index // 2
        whole = recordings[index].astype(float).transpose(1, 0, 2) / 255
        # The crop begins between two frames.
        least = min(
            np.abs(
                whole[:, s : s + 20] * (1 - w) + whole[:, s + 1 : s + 21] * w - crop
            ).max()
            for s in range(whole.shape[1] - 20)
            for w in np.linspace(0, 1, 101)
        )
        assert least < 0.02


def test_all_changes_give_probabilities_of_any_length(batches):
    most = {name: 1.0 for name in NEVER} | {"levels": 0.5}
    make = batches(NoteAugment(tempo=1.5, **most), (20, 75))
    lengths = set()
    for number in range(12):
        batch, _ = make(number)
        lengths.add(batch["notes"].shape[2])
        assert batch["notes"].min() >= 0
        assert batch["notes"].max() <= 1
        assert batch["notes"].dtype == np.float32
        assert not batch["notes"][..., 0].any()
        assert batch["notes"][..., 1].any()
    assert lengths == {20, 75}


def test_short_crops_repeat(recordings, rng):
    crop = changed(short=1.0, short_share=0.25).crop(recordings[0], 40, rng)
    np.testing.assert_array_equal(crop, np.tile(crop[:10], (4, 1, 1)))


def test_a_crop_longer_than_its_recording_goes_round(rng):
    notes = np.repeat(np.arange(30, dtype=np.uint8)[:, None, None], 84, axis=1)
    crop = UNCHANGED.crop(np.tile(notes, 2), 70, rng)[:, 0, 0] * 255
    steps = np.diff(crop)
    # It passes the end twice or three times; all other steps are of one frame.
    assert np.sum(np.abs(steps - 1) > 0.01) <= 6
    assert crop.min() < 2
    assert crop.max() > 27


def test_parts_come_from_other_places(rng):
    notes = np.arange(200, dtype=np.uint8)[:, None, None] * np.ones((1, 84, 2), "u1")
    for _ in range(20):
        crop = changed(moved=1.0).crop(notes, 40, rng)[:, 0, 0] * 255
        jumps = np.flatnonzero(np.abs(np.diff(crop) - 1) > 0.01)
        assert 1 <= len(jumps) <= 8
        assert jumps[0] >= 8


def test_another_tempo_covers_more_or_less(rng):
    notes = np.arange(200, dtype=np.uint8)[:, None, None] * np.ones((1, 84, 2), "u1")
    spans = [
        np.ptp(changed(tempo=1.5).crop(notes, 40, rng)[:, 0, 0] * 255) / 39
        for _ in range(200)
    ]
    inside = [span for span in spans if span < 2]
    assert min(inside) == pytest.approx(1 / 1.5, abs=0.03)
    assert max(inside) == pytest.approx(1.5, abs=0.03)


def test_another_key_moves_both_channels(rng):
    crop = rng.random((84, 10, 2)).astype(np.float32)
    shifts = set()
    for _ in range(60):
        found = changed(transpose=1.0, semitones=3).change(crop, rng)
        (shift,) = (
            shift
            for shift in range(-3, 4)
            if np.allclose(found[3:-3], np.roll(crop, shift, 0)[3:-3])
        )
        shifts.add(shift)
        assert not found[:shift].any() if shift > 0 else True
        assert not found[shift:].any() if shift < 0 else True
    assert shifts == set(range(-3, 4))


def test_what_is_misheard(rng):
    crop = np.full((84, 200, 2), 0.5, np.float32)
    found = changed(misheard=1.0, missed=0.25, in_vain=0.0).change(crop, rng)
    is_missed = found[..., 1] == 0
    assert 0 < is_missed.mean() < 0.25
    np.testing.assert_array_equal(found[..., 0] == 0, is_missed)
    silent = np.zeros_like(crop)
    found = changed(misheard=1.0, missed=0.0, in_vain=0.1).change(silent, rng)
    assert 0 < (found[..., 1] > 0).mean() < 0.1
    assert not found[..., 0].any()


def test_another_recording_is_heard_more_softly(recordings):
    works = np.arange(12) // 2
    notes = [np.zeros_like(one) for one in recordings[:-1]]
    notes.append(np.full_like(recordings[-1], 255))
    sampler = PKSampler(works, 4, 2, 0)
    make = HeardBatches(notes, works, sampler, (20,), changed(other=1.0))
    heard = set()
    for number in range(40):
        batch, _ = make(number)
        for index, crop in zip(make.sampler.batch(number), batch["notes"], strict=True):
            if index != 11:
                heard.add(round(float(crop.max()), 3))
    assert 0 in heard
    assert len(heard) > 5
    assert 0.2 <= min(heard - {0}) <= max(heard) <= 0.6


def test_dataset_gives_the_same_batches_by_name(batches):
    make = batches(NoteAugment(), (20, 30))
    for number, (inputs, works) in enumerate(tf_dataset(make, 3, 4), 3):
        expected, labels = make(number)
        np.testing.assert_array_equal(works, labels)
        np.testing.assert_array_equal(inputs["notes"], expected["notes"])


def test_impossible_changes_are_refused():
    with pytest.raises(ConfigError, match="note_augment.other is a probability"):
        NoteAugment(other=1.5)
    with pytest.raises(ConfigError, match="tempo must be 1 or more"):
        NoteAugment(tempo=0.5)
