import dataclasses
import math

import numpy as np
import pytest

from bytecover_tf.audio import chroma
from bytecover_tf.audio.chroma import chroma_of_cqt
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import AudioError, ConfigError


def reference(magnitudes, size=20):
    """The chroma of a |CQT| of 84 semitones from C1, in plain loops."""
    bins, frames = magnitudes.shape
    count = frames // size
    means = [
        [magnitudes[b, size * t : size * (t + 1)].mean() for t in range(count)]
        for b in range(bins)
    ]
    overall = np.mean(means)
    result = np.zeros((12, count))
    for b in range(bins):
        frequency = 32.70319566257483 * 2 ** (b / 12)
        semitones = 12 * math.log2(frequency / 740)
        weight = math.exp(-0.5 * (semitones / 14) ** 2)
        compressed = [math.log(1 + 10 * value / overall) for value in means[b]]
        median = np.median(compressed)
        for t in range(count):
            result[b % 12, t] += weight * max(compressed[t] - median, 0)
    for t in range(count):
        result[:, t] *= 255 / max(result[:, t].max(), 1e-30)
    return result


def test_chroma_equals_plain_loops(rng):
    magnitudes = rng.random((84, 215)) ** 8
    found = chroma_of_cqt(magnitudes)
    assert found.dtype == np.uint8
    assert found.shape == (12, 10)
    np.testing.assert_allclose(found, reference(magnitudes), atol=0.501)
    assert (found.max(axis=0) == 255).all()


def test_partly_pooled_gives_the_same(rng):
    magnitudes = rng.random((84, 240))
    partly = magnitudes.reshape(84, 60, 4).mean(axis=2)
    difference = chroma_of_cqt(partly, 4).astype(int) - chroma_of_cqt(magnitudes)
    assert np.abs(difference).max() <= 1


def test_loudness_does_not_matter(rng):
    magnitudes = rng.random((84, 240)) ** 4
    np.testing.assert_array_equal(
        chroma_of_cqt(magnitudes), chroma_of_cqt(0.125 * magnitudes)
    )


def test_a_steady_hum_is_not_heard():
    magnitudes = np.zeros((84, 200))
    magnitudes[40] = 5
    magnitudes[45, 100:140] = 1
    found = chroma_of_cqt(magnitudes)
    assert not found[4].any()
    np.testing.assert_array_equal(found[9], [0] * 5 + [255] * 2 + [0] * 3)


def test_chroma_of_transposed_music_rolls():
    def play(semitones):
        rng = np.random.default_rng(3)
        t = np.arange(22050) / 22050
        chords = []
        for _ in range(20):
            notes = 57 + rng.choice(24, 3, replace=False) + semitones
            tones = [np.sin(2 * np.pi * 440 * 2 ** ((n - 69) / 12) * t) for n in notes]
            chords.append(np.exp(-2 * t) * np.sum(tones, axis=0) / 4)
        samples = np.concatenate(chords).astype(np.float32)
        return Frontend().features_with_chroma(samples)[1]

    original, raised = play(0).astype(float), play(3)
    match = [
        np.corrcoef(np.roll(original, semitones, axis=0).ravel(), raised.ravel())[0, 1]
        for semitones in range(12)
    ]
    assert match[3] > 0.95
    assert sorted(match)[-2] < 0.8


def test_a_tone_is_in_its_class():
    t = np.arange(22050 * 10) / 22050
    tone = np.where(t < 3, np.sin(2 * np.pi * 440 * t), 1e-3 * np.sin(700 * t))
    found = Frontend().features_with_chroma(tone.astype(np.float32))[1]
    assert (found[:, :5].argmax(axis=0) == 9).all()  # A, counted from C


def test_silent_frames_are_zero(rng):
    magnitudes = rng.random((84, 200))
    magnitudes[:, 60:100] = 0
    assert not chroma_of_cqt(magnitudes)[:, 3:5].any()
    assert not chroma_of_cqt(np.zeros((84, 100))).any()


def test_shorter_than_a_frame_is_empty():
    assert chroma_of_cqt(np.ones((84, 19))).shape == (12, 0)


def test_frames_follow_the_frontend(rng):
    assert chroma.frames_per_chroma(Frontend()) == 20
    assert chroma.seconds_per_frame(Frontend()) == pytest.approx(20 * 512 / 22050)
    halved = Frontend(hop_length=1024)
    assert chroma.seconds_per_frame(halved) == chroma.seconds_per_frame(Frontend())
    assert chroma_of_cqt(rng.random((84, 100)), transform=halved).shape == (12, 10)
    fine = Frontend(n_bins=168, bins_per_octave=24)
    magnitudes = rng.random((84, 100))
    np.testing.assert_allclose(
        chroma_of_cqt(np.repeat(magnitudes, 2, axis=0), transform=fine).astype(int),
        chroma_of_cqt(magnitudes),
        atol=15,  # the weights lie half a bin apart
    )


def test_wrong_input_is_refused():
    with pytest.raises(AudioError, match=r"song\.npy: expected.*\(84, frames\)"):
        chroma_of_cqt(np.ones((83, 100)), name="song.npy")
    with pytest.raises(AudioError, match="finite"):
        chroma_of_cqt(np.full((84, 100), np.nan))
    with pytest.raises(AudioError, match="negative"):
        chroma_of_cqt(-np.ones((84, 100)))
    with pytest.raises(ConfigError, match="over 30 frames"):
        chroma_of_cqt(np.ones((84, 100)), 30)
    odd = dataclasses.replace(Frontend(), bins_per_octave=14)
    with pytest.raises(ConfigError, match="multiple of 12"):
        chroma_of_cqt(np.ones((84, 100)), transform=odd)
