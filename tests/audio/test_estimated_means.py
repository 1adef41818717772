import librosa
import numpy as np
import pytest

from bytecover_tf.audio import estimated_means as module
from bytecover_tf.audio.constant_q import Signal, Transform
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.estimated_means import estimated_means
from bytecover_tf.audio.streaming import mean_blocks
from bytecover_tf.data.tunes import audio_files
from bytecover_tf.errors import ConfigError

FINE = Transform(n_bins=252, bins_per_octave=36)


@pytest.fixture(scope="module")
def tune():
    return load_audio(audio_files()[0])[: 6 * 22050]


def reference(samples, transform, size, first=0):
    """Means of librosa's transform, without its sparsity."""
    cqt = librosa.cqt(
        samples,
        sr=transform.sample_rate,
        hop_length=transform.hop_length,
        fmin=transform.fmin,
        n_bins=transform.n_bins,
        bins_per_octave=transform.bins_per_octave,
        window=transform.window,
        sparsity=0,
    )
    return mean_blocks(np.abs(cqt)[:, first:], size)


def mean_error(found, expected, peak):
    """Mean relative error of what is within 40 dB of the maximum."""
    heard = expected > 1e-2 * peak
    return (np.abs(found - expected)[heard] / expected[heard]).mean()


@pytest.mark.parametrize("number", [0, 5])
def test_each_octave_is_near_the_mean_of_all_frames(number):
    tune = load_audio(audio_files()[number])[: 20 * 22050]
    found = estimated_means(Signal(tune), FINE, 5)
    expected = reference(tune, FINE, 5)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    for octave in range(6):
        rows = slice(36 * octave, 36 * octave + 36)
        error = mean_error(found[rows], expected[rows], expected.max())
        assert error < (0.004 if octave > 2 else 0.012)
        # Neither too loud nor too soft.
        assert found[rows].sum() == pytest.approx(expected[rows].sum(), rel=0.002)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 1),
        ({}, 2),
        ({}, 20),
        ({"hop_length": 256, "bins_per_octave": 12, "n_bins": 84}, 10),
        ({"hop_length": 64}, 5),  # cannot be halved an eighth time
        ({"n_bins": 100}, 5),
        ({"n_bins": 12, "fmin": 440.0, "hop_length": 441}, 3),
        ({"n_bins": 180, "window": "blackman"}, 5),
    ],
)
def test_other_transforms(tune, changes, size):
    transform = Transform(**{"n_bins": 252, "bins_per_octave": 36, **changes})
    found = estimated_means(Signal(tune), transform, size)
    expected = reference(tune, transform, size)
    assert found.shape == expected.shape
    assert mean_error(found, expected, expected.max()) < 0.01


@pytest.mark.parametrize("first", [3, 64])
def test_blocks_may_begin_later(tune, first):
    found = estimated_means(Signal(tune), FINE, 5, first)
    expected = reference(tune, FINE, 5, first)
    assert found.shape == expected.shape
    assert mean_error(found, expected, expected.max()) < 0.008


@pytest.mark.parametrize(("samples", "blocks"), [(3, 0), (2047, 0), (2048, 1)])
def test_a_last_block_of_fewer_frames_is_dropped(samples, blocks):
    signal = Signal(np.ones(samples, np.float32))
    assert estimated_means(signal, FINE, 5).shape == (252, blocks)
    assert estimated_means(signal, FINE, 5, 9).shape == (252, 0)


@pytest.mark.parametrize(("size", "values", "degree"), [(5, 2, 3), (20, 3, 5)])
def test_a_few_places_have_the_mean_of_a_polynomial(size, values, degree, rng):
    places, weights = module._quadrature(size, values)
    assert len(places) == values
    coefficients = rng.normal(size=degree + 1)
    expected = np.polyval(coefficients, np.arange(size)).mean()
    found = weights @ np.polyval(coefficients, places)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_filter_beyond_half_the_sample_rate_is_refused():
    with pytest.raises(ConfigError, match="lower fmin or n_bins"):
        estimated_means(Signal(np.ones(9999, np.float32)), Transform(8000), 5)
