import numpy as np
import pytest

from bytecover_tf.stores.labelled_store import LabelledFeatures
from bytecover_tf.training.note_crops import middles
from bytecover_tf.training.note_table import FRAMES, KNOTS, NOISE_FRAMES, NoteTable

HALF = FRAMES // 2


def labelled(rng, frames=FRAMES + 6, notes=True, melody=False):
    """A recording of noise."""
    return LabelledFeatures.of(
        rng.random((84, frames)) ** 4,
        rng.random((252, frames)) ** 4,
        rng.random((88, frames)) if notes else None,
        rng.random((88, frames)) if notes else None,
        rng.random((88, frames)) > 0.9 if melody else None,
    )


def cut(table, **changes):
    """Crops as arrays, those of the middle but for the changes."""
    crops, _ = middles(table.places)
    crops = {**crops, **{k: np.array(v, crops[k].dtype) for k, v in changes.items()}}
    return {name: np.asarray(values) for name, values in table(crops).items()}


def plain_heard(values, start, one):
    """Labels of the crop that starts at a frame, from C1 to B7, two frames to one."""
    result = np.zeros((84, HALF))
    for semitone in range(84):
        # The lowest label is A0, three semitones below C1.
        row = values[semitone + 3].astype(float) / one
        for t in range(HALF):
            result[semitone, t] = (row[start + 2 * t] + row[start + 2 * t + 1]) / 2
    return result


def test_crops_have_amplitudes_and_labels_of_their_frames(rng):
    kinds = [(True, False), (True, True), (False, True)]
    recordings = [labelled(rng, FRAMES + 7 * k, *kind) for k, kind in enumerate(kinds)]
    table = NoteTable(recordings)
    assert [(p.has_notes, p.has_melody) for p in table.places] == kinds
    assert [p.frames for p in table.places] == [FRAMES, FRAMES + 7, FRAMES + 14]
    starts = np.array([0, 5, 14])
    found = cut(table, first=[p.first for p in table.places] + starts)
    assert found["magnitudes"].shape == (3, 252, FRAMES, 1)
    assert found["heard"].shape == (3, 84, HALF, 3)
    assert found["magnitudes"].dtype == found["heard"].dtype == np.float32
    units = {"notes": 255, "onsets": 255, "melody": 1}
    for k, (one, start) in enumerate(zip(recordings, starts, strict=True)):
        amplitudes = one.amplitudes("cqt36")[:, start : start + FRAMES]
        mean = 10 * one.scale[1, 0]
        magnitudes = found["magnitudes"][k, ..., 0]
        np.testing.assert_allclose(magnitudes, amplitudes / mean, rtol=1e-4)
        for channel, (name, unit) in enumerate(units.items()):
            values = getattr(one, name)
            heard = found["heard"][k, ..., channel]
            if values is None:
                assert not heard.any()
            else:
                expected = plain_heard(values, start, unit)
                np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_amplitudes_are_in_means_of_the_recording(rng):
    found = cut(NoteTable([labelled(rng, FRAMES)]))
    assert found["magnitudes"].mean() == pytest.approx(1, abs=0.02)


def test_an_equaliser_is_linear_in_decibels_between_its_knots(rng):
    table = NoteTable([labelled(rng), labelled(rng)])
    knots = rng.normal(0, 5, (2, KNOTS))
    changed = cut(table, decibels=knots)["magnitudes"]
    plain = cut(table)["magnitudes"]
    sounding = plain > 0
    for k in range(2):
        expected = np.empty(252)
        for b in range(252):
            at = b * (KNOTS - 1) / 251
            below = min(int(at), KNOTS - 2)
            part = at - below
            expected[b] = (1 - part) * knots[k, below] + part * knots[k, below + 1]
        bins, frames, _ = np.nonzero(sounding[k])
        ratio = changed[k, bins, frames, 0] / plain[k, bins, frames, 0]
        np.testing.assert_allclose(20 * np.log10(ratio), expected[bins], atol=1e-3)


def test_noise_is_added_at_its_level(rng):
    table = NoteTable([labelled(rng)] * 3)
    last = NOISE_FRAMES - FRAMES
    noise = cut(table, noise=[0, 0.2, 0.4], noise_first=[9, 0, last])["magnitudes"]
    noise = noise - cut(table)["magnitudes"]
    assert not noise[0].any()
    assert (noise[1:] > -1e-5).all()
    # The mean of the absolute value of a normal variable is sqrt(2 / pi).
    for k, level in ((1, 0.2), (2, 0.4)):
        assert noise[k].mean() == pytest.approx(level * np.sqrt(2 / np.pi), rel=0.02)
    assert abs(np.corrcoef(noise[1].ravel(), noise[2].ravel())[0, 1]) < 0.02


def test_sound_and_labels_are_moved_apart_and_their_edges_are_empty(rng):
    table = NoteTable([labelled(rng, melody=True)] * 4)
    bins, semitones = [0, 15, -16, 1], [0, 5, -5, 0]
    # What is moved is what the equaliser and the noise have made.
    same = {"noise": [0.3] * 4, "decibels": [[6.0] * KNOTS] * 4}
    moved = cut(table, bins=bins, semitones=semitones, **same)
    plain = cut(table, **same)
    for name, rows in (("magnitudes", bins), ("heard", semitones)):
        for k, shift in enumerate(rows):
            expected = np.zeros_like(plain[name][k])
            size = len(expected)
            for row in range(size):
                if 0 <= row - shift < size:
                    expected[row] = plain[name][k, row - shift]
            np.testing.assert_allclose(moved[name][k], expected, atol=1e-6)
