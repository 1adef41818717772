import keras
import numpy as np
import pytest

from bytecover_tf.layers.registers import HIGHEST, LOWEST, WIDTH, Registers


def folded(cqt, count):
    """What `Registers` does to one recording (bins, frames), bin by bin."""
    bins, frames = cqt.shape
    loud = np.log1p(cqt / (0.1 * cqt.mean() + 1e-6))
    result = np.zeros((12, frames, count))
    for number in range(count):
        share = number / (count - 1) if count > 1 else 0.0
        centre = LOWEST + share * (HIGHEST - LOWEST)
        for bin in range(bins):
            weight = np.exp(-(((bin - centre) / WIDTH) ** 2) / 2)
            above = np.maximum(loud[bin] - loud[bin].mean(), 0)
            result[bin % 12, :, number] += weight * above
        peaks = result[:, :, number].max(axis=0)
        result[:, :, number] /= peaks + 0.3 * peaks.mean() + 1e-6
    return result


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("frames", [2, 31])
def test_equals_a_plain_loop(count, frames, rng):
    cqt = rng.random((3, 84, frames, 1)).astype(np.float32) ** 4
    layer = Registers(count)
    found = np.asarray(layer(cqt))
    assert (
        found.shape == layer.compute_output_shape(cqt.shape) == (3, 12, frames, count)
    )
    for ours, recording in zip(found, cqt, strict=True):
        np.testing.assert_allclose(ours, folded(recording[..., 0], count), atol=1e-5)


def test_loudness_and_timbre_do_not_matter(rng):
    """Far above the logarithm's knee an equaliser adds a constant to each bin."""
    cqt = rng.uniform(0.5, 1.0, (1, 84, 40, 1)).astype(np.float32)
    expected = np.asarray(Registers()(cqt))
    np.testing.assert_allclose(Registers()(0.01 * cqt), expected, atol=1e-3)
    gains = rng.uniform(0.8, 1.25, (1, 84, 1, 1)).astype(np.float32)
    equalised = np.asarray(Registers()(gains * cqt))
    assert np.abs(equalised - expected).max() < 0.05
    assert np.corrcoef(equalised.ravel(), expected.ravel())[0, 1] > 0.999


def test_a_note_is_heard_in_its_register():
    cqt = np.full((1, 84, 40, 1), 1e-3, np.float32)
    cqt[0, 14, :20] = cqt[0, 62, 20:] = 1.0
    found = np.asarray(Registers(4)(cqt))[0]
    assert found[14 % 12, :20, 0].min() > 0.5
    assert found[62 % 12, 20:, 3].min() > 0.5
    assert found[62 % 12, :20, 3].max() < 0.1


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_what_never_changes_is_nothing(level):
    """Silence, a hum, or a single frame."""
    for frames in (1, 20):
        found = np.asarray(Registers()(np.full((1, 84, frames, 1), level, np.float32)))
        np.testing.assert_array_equal(found, np.zeros((1, 12, frames, 4)))


def test_wrong_arguments_and_shapes_are_refused():
    with pytest.raises(ValueError, match="count=0"):
        Registers(0)
    with pytest.raises(ValueError, match="whole octaves"):
        Registers()(np.zeros((1, 80, 5, 1), np.float32))
    with pytest.raises(ValueError, match="frames, 1"):
        Registers()(keras.ops.zeros((1, 84, 5, 2)))
