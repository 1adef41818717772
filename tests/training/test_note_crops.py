import numpy as np
import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.training.note_crops import (
    Augmentation,
    EpochClock,
    NoteCrops,
    middles,
)
from bytecover_tf.training.note_table import FRAMES, KNOTS, NOISE_FRAMES, Place

BOTH, ALONE, WITHOUT = (True, True), (False, True), (True, False)


def places(*kinds, frames=FRAMES + 6):
    """Recordings one after another, told apart by their steps."""
    return [
        Place(k * frames, frames, 0.01 * (k + 1), *kind) for k, kind in enumerate(kinds)
    ]


def crops_of(recordings, batch=4, batches=5, seed=0, how=None):
    return NoteCrops(recordings, batch, batches, seed, how or Augmentation())


def test_random_crops_begin_anywhere():
    (place,) = places(WITHOUT)
    inputs, _ = crops_of([place], batch=100)[0]
    assert set(inputs["first"]) == set(range(7))
    inputs, _ = crops_of([Place(50, FRAMES, 0.1, True, False)], batch=9)[0]
    assert set(inputs["first"]) == {50}


def test_a_crop_names_its_recordings_rows():
    recordings = places(WITHOUT, BOTH, ALONE, WITHOUT)
    inputs, targets = crops_of(recordings, batch=300)[0]
    steps = {np.float32(one.step): one for one in recordings}
    assert set(inputs["step"]) == set(steps)
    for k, step in enumerate(inputs["step"]):
        place = steps[step]
        assert place.first <= inputs["first"][k]
        assert inputs["first"][k] + FRAMES <= place.first + place.frames
        found = targets["has_notes"][k], targets["has_melody"][k]
        assert found == (place.has_notes, place.has_melody)


def test_the_middle_is_not_changed():
    recordings = places(WITHOUT, ALONE, frames=FRAMES + 7)
    inputs, targets = middles(recordings)
    assert inputs["first"].tolist() == [3, FRAMES + 7 + 3]
    for name in ("decibels", "noise", "bins", "semitones"):
        assert not inputs[name].any()
    assert targets["has_notes"].tolist() == [True, False]
    assert targets["has_melody"].tolist() == [False, True]
    drawn, _ = crops_of(recordings)[0]
    assert {k: (v.dtype, v.shape[1:]) for k, v in drawn.items()} == {
        k: (v.dtype, v.shape[1:]) for k, v in inputs.items()
    }


def test_crops_are_changed_as_often_and_as_much_as_asked():
    count = 4000
    inputs, _ = crops_of(places(WITHOUT), batch=count)[0]
    four_deviations = 2 / np.sqrt(count)
    assert set(inputs["semitones"]) == set(range(-5, 6))
    detuned = inputs["bins"] - 3 * inputs["semitones"]
    assert set(detuned) == {-1, 0, 1}
    assert (detuned != 0).mean() == pytest.approx(0.27, abs=four_deviations)
    assert detuned.mean() == pytest.approx(0, abs=four_deviations)
    noisy = inputs["noise"] > 0
    assert noisy.mean() == pytest.approx(0.25, abs=four_deviations)
    assert 0.38 < inputs["noise"].max() <= 0.4
    assert inputs["noise_first"].min() >= 0
    assert inputs["noise_first"].max() <= NOISE_FRAMES - FRAMES
    equalised = np.ptp(inputs["decibels"], axis=1) > 1e-6
    assert equalised.mean() == pytest.approx(0.6, abs=four_deviations)
    curves = inputs["decibels"][equalised]
    assert curves.std(axis=1, ddof=1).mean() == pytest.approx(3.5 * 0.965, rel=0.05)
    gains = 10 ** (inputs["decibels"][~equalised, 0] / 20)
    assert 0.6 <= gains.min() < 0.61
    assert 1.49 < gains.max() <= 1.5
    assert gains.mean() == pytest.approx(1.05, abs=0.03)


def test_nothing_is_changed_if_nothing_is_asked():
    still = Augmentation((1, 1), 0, 3, 0, 1, 0, 0)
    inputs, _ = crops_of(places(WITHOUT), batch=50, how=still)[0]
    assert inputs["decibels"].shape == (50, KNOTS)
    for name in ("decibels", "noise", "bins", "semitones"):
        assert not inputs[name].any()


def test_the_same_seed_epoch_and_number_give_the_same_batch():
    recordings = places(BOTH, WITHOUT, ALONE)

    def batch(seed=1, epoch=2, number=3):
        crops = crops_of(recordings, 6, 5, seed)
        crops.epoch = epoch
        return crops[number]

    (inputs, targets), (again, same) = batch(), batch()
    for found, expected in ((again, inputs), (same, targets)):
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
    for other in (batch(seed=2), batch(epoch=1), batch(number=0)):
        for name in ("first", "decibels"):
            assert not np.array_equal(other[0][name], inputs[name])
    assert len(crops_of(recordings, batches=5)) == 5


def test_the_clock_sets_the_epoch():
    crops = crops_of(places(WITHOUT))
    EpochClock(crops).on_epoch_begin(7)
    assert crops.epoch == 7


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        # notes alone, notes and melody, melody alone
        ([WITHOUT, BOTH, ALONE], (20, 4, 6)),
        ([WITHOUT, BOTH], (20, 10, 0)),
        ([WITHOUT, ALONE], (20, 0, 10)),
        ([BOTH, ALONE], (0, 12, 18)),
        ([WITHOUT], (30, 0, 0)),
        ([BOTH], (0, 30, 0)),
        ([ALONE], (0, 0, 30)),
    ],
)
def test_a_third_of_a_batch_has_its_melody(kinds, expected):
    _, targets = crops_of(places(*kinds, *kinds), batch=30)[0]
    notes, melody = targets["has_notes"], targets["has_melody"]
    found = ((notes & ~melody).sum(), (notes & melody).sum(), (~notes & melody).sum())
    assert found == expected


def test_longer_recordings_are_drawn_more_often_up_to_a_limit():
    lengths = (200, 600, 4000)
    recordings = [Place(0, n, n, True, False) for n in lengths]
    inputs, _ = crops_of(recordings, batch=300)[0]
    counts = [np.count_nonzero(inputs["step"] == n) for n in lengths]
    assert sum(counts) == 300
    expected = 300 * np.array([200, 600, 2000]) / 2800
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()


def test_no_recordings_are_refused():
    with pytest.raises(DataError, match="no labelled recordings"):
        crops_of([])
