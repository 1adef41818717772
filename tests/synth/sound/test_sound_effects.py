import numpy as np
import pytest

from bytecover_tf.synth.sound.sound_effects import (
    SAMPLE_RATE,
    code,
    lay_under,
    play_worn,
    record,
    release,
)

TIME = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
TONE = 0.1 * np.sin(2 * np.pi * 440 * TIME).astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
def test_keeps_length_level_and_tone(seed):
    heard = record(TONE, np.random.default_rng(seed))
    assert heard.shape == TONE.shape
    assert heard.dtype == np.float32
    assert np.abs(heard).max() == pytest.approx(0.9, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) == round(440 * len(TIME) / SAMPLE_RATE)


def test_band_limits_and_noise_change_the_sound_by_seed():
    first, again, other = (record(TONE, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def decibels(sound, low, high):
    """Power of a sound between two frequencies."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    return 10 * np.log10(power[(hertz >= low) & (hertz < high)].sum() + 1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_released_is_the_same_music_and_never_the_same_sound(seed, music):
    played = music(4)
    heard = release(played, np.random.default_rng(seed))
    again, other = (release(played, np.random.default_rng(s)) for s in (seed, seed + 1))
    np.testing.assert_array_equal(heard, again)
    assert np.abs(heard - other).max() > 1e-2
    assert heard.shape == played.shape
    assert heard.dtype == np.float32
    assert np.abs(heard).max() == pytest.approx(0.9, abs=1e-3)
    # In time: no other shift fits as well, up to the swing of an uneven record.
    product = np.fft.rfft(heard) * np.conj(np.fft.rfft(played))
    shift = int(np.argmax(np.fft.irfft(product)))
    assert min(shift, len(played) - shift) < 0.02 * SAMPLE_RATE


def test_a_background_lies_below_and_starts_again():
    noise = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    levels = []
    for seed in range(20):
        under = lay_under(TONE, noise, np.random.default_rng(seed)) - TONE
        np.testing.assert_allclose(under[3000:6000], under[:3000], atol=1e-6)
        levels.append(20 * np.log10(under.std() / TONE.std()))
    assert -30.5 < min(levels) < -20
    assert -15 < max(levels) < -7.5


def test_a_background_takes_the_audiences_place(music):
    played = music(3)
    hiss = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    quiet, loud = (
        np.median([decibels(sound, 9000, 11000) for sound in sounds])
        for sounds in (
            [release(played, np.random.default_rng(s)) for s in range(10)],
            [release(played, np.random.default_rng(s), hiss) for s in range(10)],
        )
    )
    assert loud > quiet + 10


@pytest.mark.parametrize("seed", range(5))
def test_a_worn_record_rumbles_clicks_and_wavers(seed):
    tone = 0.3 * np.sin(2 * np.pi * 3000 * TIME).astype(np.float32)
    worn = play_worn(tone, np.random.default_rng(seed))
    assert worn.shape == tone.shape
    assert worn.dtype == np.float32
    assert decibels(worn, 5, 60) > decibels(tone, 5, 60) + 20
    aside = decibels(worn, 2970, 2999) - decibels(worn, 2999, 3001)
    assert aside > decibels(tone, 2970, 2999) - decibels(tone, 2999, 3001) + 20
    assert decibels(worn, 8000, 11000) > decibels(tone, 8000, 11000) + 20


def test_coding_loses_what_is_high_and_keeps_time():
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * SAMPLE_RATE)
    noise = noise.astype(np.float32)
    lost = []
    for seed in range(30):
        coded = code(noise, np.random.default_rng(seed))
        assert coded.shape == noise.shape
        product = np.fft.rfft(coded) * np.conj(np.fft.rfft(noise))
        assert int(np.argmax(np.fft.irfft(product))) == 0
        lost.append(decibels(noise, 5000, 7000) - decibels(coded, 5000, 7000))
    # A telephone ends at 4 kHz, mp3 of low quality not much above.
    assert 0 < np.sum(np.array(lost) > 15) < 15
    assert np.ptp(lost) > 3
