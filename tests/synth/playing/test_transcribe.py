import numpy as np

from bytecover_tf.synth.playing.transcribe import transcribe


def test_a_note_lasts_as_long_as_its_pitch_sounds():
    notes, onsets, melody = np.zeros((3, 88, 20))
    notes[5, 2:9] = 0.8
    notes[5, 12:20] = 0.4
    notes[7, 0:3] = 0.29  # too unlikely
    melody[5, 2:9] = 0.6
    found = transcribe(notes, onsets, melody, seconds=0.5)
    assert found.pitches.tolist() == [26, 26]
    np.testing.assert_allclose(found.starts, [1, 6])
    np.testing.assert_allclose(found.ends, [4.5, 10])
    np.testing.assert_allclose(found.strengths, [0.8, 0.4])
    np.testing.assert_allclose(found.melody, [0.6, 0])


def test_a_note_that_begins_anew_is_another_note():
    notes, onsets, melody = np.zeros((3, 88, 20))
    notes[0, 2:18] = 1
    # At the border it is the note's own, and a slope is no peak.
    onsets[0, [2, 3, 9, 10, 14, 17]] = 0.9, 0.5, 0.5, 0.8, 0.4, 0.9
    found = transcribe(notes, onsets, melody, seconds=1)
    assert found.starts.tolist() == [2, 10]
    assert found.ends.tolist() == [10, 18]


def test_silence_has_no_notes():
    silence = np.zeros((88, 5))
    found = transcribe(silence, silence, silence, 1)
    assert len(found) == 0
    assert len(found.where(found.strengths > 0)) == 0
