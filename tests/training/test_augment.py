import numpy as np
import pytest

from bytecover_tf.errors import ConfigError
from bytecover_tf.training.augment import Augment, resize_frames, transpose


@pytest.fixture
def crop(rng):
    return rng.random((84, 50)).astype(np.float32) + 0.1


def test_the_default_changes_nothing(crop, rng):
    augment = Augment()
    np.testing.assert_array_equal(augment(crop, rng), crop)
    assert augment.draw_stretch(rng) == 1


@pytest.mark.parametrize(
    "only", ["transpose", "mask_bins", "mask_frames", "tilt", "noise"]
)
def test_each_change_is_made_on_a_copy_and_stays_an_amplitude(only, crop, rng):
    augment = Augment(**{only: 1.0})
    kept = crop.copy()
    results = [augment(crop, rng) for _ in range(20)]
    np.testing.assert_array_equal(crop, kept)
    for result in results:
        assert result.shape == crop.shape
        assert result.dtype == np.float32
        assert (result >= 0).all()
    assert not all(np.array_equal(result, crop) for result in results)


def test_probability_is_how_often(crop):
    rng = np.random.default_rng(0)
    augment = Augment(noise=0.3)
    changed = sum(not np.array_equal(augment(crop, rng), crop) for _ in range(1000))
    assert changed == pytest.approx(300, abs=50)


@pytest.mark.parametrize("shift", [-5, 0, 7])
def test_transpose_moves_bins_and_leaves_the_edge_empty(shift, crop):
    moved = transpose(crop, shift)
    for bin in range(84):
        source = bin - shift
        expected = crop[source] if 0 <= source < 84 else np.zeros(50)
        np.testing.assert_array_equal(moved[bin], expected)


def test_transposition_stays_in_range(crop):
    rng = np.random.default_rng(0)
    augment = Augment(transpose=1.0, transpose_bins=2)
    shifts = set()
    for _ in range(100):
        result = augment(crop, rng)
        shifts.add(
            next(s for s in range(-84, 85) if (transpose(crop, s) == result).all())
        )
    assert shifts == {-2, -1, 0, 1, 2}


def test_masks_silence_whole_bins_or_frames_up_to_their_width(crop):
    rng = np.random.default_rng(0)
    bins = [
        (Augment(mask_bins=1.0, mask_bins_max=6)(crop, rng) == 0) for _ in range(50)
    ]
    for mask in bins:
        assert (mask.all(axis=1) == mask.any(axis=1)).all()
        assert mask.all(axis=1).sum() <= 2 * 6
    assert max(mask.all(axis=1).sum() for mask in bins) > 6
    mask = Augment(mask_frames=1.0, mask_frames_max=0.1)(crop, rng) == 0
    assert (mask.all(axis=0) == mask.any(axis=0)).all()
    assert mask.all(axis=0).sum() <= 2 * 5


@pytest.mark.parametrize("knots", [2, 4])
def test_tilt_is_straight_in_decibels_between_its_knots(knots, crop):
    rng = np.random.default_rng(0)
    augment = Augment(tilt=1.0, tilt_decibels=6.0, tilt_knots=knots)
    gain = 20 * np.log10(augment(crop, rng) / crop)
    np.testing.assert_allclose(gain, np.repeat(gain[:, :1], 50, axis=1), atol=1e-3)
    bends = np.abs(np.diff(gain[:, 0], 2)) > 1e-3
    assert bends.sum() <= 2 * (knots - 2)  # a knot between two bins bends twice
    assert bends.any() == (knots > 2)
    assert np.abs(gain).max() <= 6.001
    other = 20 * np.log10(augment(crop, rng) / crop)
    assert not np.allclose(other, gain)


def test_stretch_factors_lie_in_the_range_and_are_balanced():
    rng = np.random.default_rng(0)
    augment = Augment(stretch=1.0, stretch_range=(0.5, 2.0))
    factors = np.array([augment.draw_stretch(rng) for _ in range(2000)])
    assert factors.min() >= 0.5
    assert factors.max() <= 2
    assert (factors < 1).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("frames", [1, 2, 33, 50, 120])
def test_resize_equals_numpy_interpolation(frames, crop):
    resized = resize_frames(crop, frames)
    assert resized.shape == (84, frames)
    at = np.linspace(0, 49, frames)
    for bin in (0, 40, 83):
        expected = np.interp(at, np.arange(50), crop[bin])
        np.testing.assert_allclose(resized[bin], expected, atol=1e-4)


def test_resize_of_one_frame_repeats_it(crop):
    resized = resize_frames(crop[:, :1], 3)
    np.testing.assert_allclose(resized, np.repeat(crop[:, :1], 3, axis=1))


@pytest.mark.parametrize(
    "wrong", [{"noise": 1.5}, {"tilt": -0.1}, {"stretch_range": (2.0, 0.5)}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Augment(**wrong)
