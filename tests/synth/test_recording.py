import numpy as np
import pytest

from bytecover_tf.synth.recording import SAMPLE_RATE, record

TIME = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE


@pytest.mark.parametrize("seed", range(8))
def test_keeps_length_level_and_tone(seed):
    tone = 0.1 * np.sin(2 * np.pi * 440 * TIME).astype(np.float32)
    heard = record(tone, np.random.default_rng(seed))
    assert heard.shape == tone.shape
    assert heard.dtype == np.float32
    assert np.abs(heard).max() == pytest.approx(0.9, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) == round(440 * len(TIME) / SAMPLE_RATE)


def test_band_limits_and_noise_change_the_sound_by_seed():
    tone = 0.1 * np.sin(2 * np.pi * 440 * TIME).astype(np.float32)
    first, again, other = (record(tone, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
