import dataclasses
import math

import numpy as np
import pytest

from bytecover_tf.audio import chroma
from bytecover_tf.audio.chroma import (
    HEARD_PARTS,
    chroma_of_cqt,
    chroma_of_notes,
    note_means,
    overall_weights,
    part_weights,
)
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import AudioError, ConfigError


def reference(magnitudes, per_semitone=1, size=20):
    """The chroma of a |CQT| of seven octaves from C1, in plain loops."""
    bins, frames = magnitudes.shape
    count = frames // size
    means = [
        [magnitudes[b, size * t : size * (t + 1)].mean() for t in range(count)]
        for b in range(bins)
    ]
    overall = np.mean(means)
    loudest = {}
    for b in range(bins):
        frequency = 32.70319566257483 * 2 ** (b / per_semitone / 12)
        semitones = 12 * math.log2(frequency / 740)
        weight = math.exp(-0.5 * (semitones / 14) ** 2)
        compressed = [math.log(1 + 10 * value / overall) for value in means[b]]
        median = np.median(compressed)
        for t in range(count):
            # Of bins as near to the next semitone as to the last, the next.
            key = math.floor(b / per_semitone + 0.5), t
            value = weight * max(compressed[t] - median, 0)
            loudest[key] = max(loudest.get(key, 0), value)
    result = np.zeros((12, count))
    for (semitone, t), value in loudest.items():
        result[semitone % 12, t] += value
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


@pytest.mark.parametrize("per_semitone", [2, 3])
def test_of_finer_bins_the_loudest_of_a_semitone_counts(per_semitone, rng):
    bins = 84 * per_semitone
    fine = Frontend(n_bins=bins, bins_per_octave=12 * per_semitone)
    magnitudes = rng.random((bins, 215)) ** 8
    found = chroma_of_cqt(magnitudes, transform=fine)
    expected = reference(magnitudes, per_semitone)
    np.testing.assert_allclose(found, expected, atol=0.501)


def test_a_tone_a_quarter_of_a_semitone_sharp_is_in_its_class():
    fine = Frontend(n_bins=252, bins_per_octave=36)
    t = np.arange(22050 * 10) / 22050
    tuned = np.sin(2 * np.pi * 440 * 2 ** (0.25 / 12) * t)
    tone = np.where(t < 3, tuned, 1e-3 * np.sin(700 * t)).astype(np.float32)
    found = fine.features_with_chroma(tone)[1]
    assert (found[:, :5].argmax(axis=0) == 9).all()


def reference_of_notes(heard):
    """Chroma of what is heard, in plain loops."""
    count = heard.shape[2] // 2
    parts = []
    for channel, lowest in ((0, 0), (1, 0), (0, 32), (2, 0)):
        part = np.zeros((12, count))
        for semitone in range(lowest, 84):
            row = heard[channel, semitone].astype(float)
            means = [(row[2 * t] + row[2 * t + 1]) / 2 for t in range(count)]
            for t in range(count):
                part[semitone % 12, t] += max(means[t] - np.median(means), 0)
        for t in range(count):
            part[:, t] *= 255 / max(part[:, t].max(), 1e-30)
        parts.append(part)
    return np.concatenate(parts)


@pytest.mark.parametrize("frames", [40, 41])
def test_chroma_of_notes_equals_plain_loops(rng, frames):
    heard = (rng.random((3, 84, frames)) ** 8).astype(np.float32)
    heard[:, :, 10:12] = 0
    found = chroma_of_notes(note_means(heard))
    assert found.dtype == np.uint8
    assert found.shape == (48, 20)
    np.testing.assert_allclose(found, reference_of_notes(heard), atol=0.501)
    assert not found[:, 5].any()


def test_each_part_of_the_notes_has_its_own():
    heard = np.zeros((3, 84, 40), np.float32)
    # A note below the higher ones, one among them, its onset, and a melody.
    heard[0, 31, 4:8] = 0.9
    heard[0, 37, 12:16] = 0.9
    heard[1, 37, 12:14] = 0.5
    heard[2, 62, 20:24] = 0.2
    expected = np.zeros((4, 12, 20))
    expected[0, 7, 2:4] = expected[0, 1, 6:8] = 255
    expected[1, 1, 6] = 255
    expected[2, 1, 6:8] = 255
    expected[3, 2, 10:12] = 255
    np.testing.assert_array_equal(
        chroma_of_notes(note_means(heard)).reshape(4, 12, 20), expected
    )


@pytest.mark.parametrize("parts", [1, 2, HEARD_PARTS])
def test_the_weights_of_the_parts_add_up_to_one(parts):
    weights = part_weights(parts)
    assert weights.shape[1:] == (parts,)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    overall = overall_weights(parts)
    assert overall.shape == (parts,)
    assert (overall > 0).all()
    assert overall.sum() == pytest.approx(1)


def test_partly_pooled_gives_the_same(rng):
    magnitudes = rng.random((84, 240))
    partly = magnitudes.reshape(84, 60, 4).mean(axis=2)
    difference = chroma_of_cqt(partly, 4).astype(int) - chroma_of_cqt(magnitudes)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("source_pool", [1, 20])
def test_what_is_folded_does_not_change(source_pool, rng):
    magnitudes = rng.random((84, 40), np.float32)
    heard = rng.random((3, 84, 10), np.float32)
    before = magnitudes.copy(), heard.copy()
    chroma_of_cqt(magnitudes, source_pool)
    chroma_of_notes(note_means(heard))
    np.testing.assert_array_equal(magnitudes, before[0])
    np.testing.assert_array_equal(heard, before[1])


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


def test_wrong_input_is_refused():
    with pytest.raises(AudioError, match=r"song\.npy: expected.*\(84, frames\)"):
        chroma_of_cqt(np.ones((83, 100)), name="song.npy")
    with pytest.raises(AudioError, match="finite"):
        chroma_of_cqt(np.full((84, 100), np.nan))
    with pytest.raises(AudioError, match="negative"):
        chroma_of_cqt(-np.ones((84, 100)))
    with pytest.raises(ConfigError, match="averages of 30 frames"):
        chroma_of_cqt(np.ones((84, 100)), 30)
    odd = dataclasses.replace(Frontend(), bins_per_octave=14)
    with pytest.raises(ConfigError, match="multiple of 12"):
        chroma_of_cqt(np.ones((84, 100)), transform=odd)
