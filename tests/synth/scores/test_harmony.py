from dataclasses import replace

import numpy as np
import pytest

from bytecover_tf.synth.scores.harmony import (
    Chord,
    estimate_key,
    extend,
    infer_chords,
    reharmonise,
)
from bytecover_tf.synth.scores.note import Note


def scale(tonic, steps):
    return [Note(float(i), 1.0, 60 + tonic + step) for i, step in enumerate(steps)]


@pytest.mark.parametrize("tonic", range(12))
def test_key_of_cadences(tonic):
    major = scale(tonic, [0, 4, 7, 5, 9, 0, 7, 11, 2, 0, 4, 7, 0])
    minor = scale(tonic, [0, 3, 7, 5, 8, 0, 7, 11, 2, 0, 3, 7, 0])
    assert estimate_key(major) == (tonic, False)
    assert estimate_key(minor) == (tonic, True)


def test_signature_restricts_the_key():
    # Dwelling on B alone suggests B; one sharp allows G, E minor, D or A dorian.
    notes = scale(0, [7, 11, 11, 11, 11, 2, 7])
    assert estimate_key(notes, sharps=1) == (7, False)


def test_chords_of_a_cadence_are_found():
    triads = [(0, False), (5, False), (7, False), (9, True), (0, False)]
    notes = [
        Note(3.0 * i, 3.0, 48 + pitch_class)
        for i, (root, minor) in enumerate(triads)
        for pitch_class in Chord(0.0, 3.0, root, minor).pitch_classes
    ]
    chords = infer_chords(notes, [3.0 * i for i in range(6)], 0, False)
    assert [(chord.root, chord.minor) for chord in chords] == triads


def test_long_bars_are_halved_and_empty_bars_get_a_chord():
    chords = infer_chords([], [0.0, 1.0, 5.0, 8.0], 0, False)
    spans = [(chord.onset, chord.duration) for chord in chords]
    assert spans == [(0.0, 1.0), (1.0, 2.0), (3.0, 2.0), (5.0, 3.0)]


def test_other_chords_share_two_notes_and_hold_the_melody():
    rng = np.random.default_rng(0)
    chords = [
        Chord(2.0 * i, 2.0, i % 12, bool(minor))
        for i, minor in enumerate(rng.integers(2, size=60))
    ]
    # A long root with a short passing note.
    melody = [
        note
        for chord in chords
        for note in (
            Note(chord.onset, 1.5, 60 + chord.root),
            Note(chord.onset + 1.5, 0.5, 62 + chord.root),
        )
    ]
    others = reharmonise(chords, melody, 1.0, rng)
    for chord, other in zip(chords, others, strict=True):
        assert (other.onset, other.duration) == (chord.onset, chord.duration)
        assert other.minor != chord.minor
        assert len(set(chord.pitch_classes) & set(other.pitch_classes)) == 2
        assert chord.root in other.pitch_classes
    some = reharmonise(chords, melody, 0.5, rng)
    assert 15 < sum(a != b for a, b in zip(chords, some, strict=True)) < 45
    assert reharmonise(chords, melody, 0.0, rng) == tuple(chords)


def test_a_chord_whose_melody_no_other_holds_stays():
    chord = Chord(0.0, 4.0, 0, False)
    # F is in none of C, E minor and A minor.
    melody = [Note(0.0, 3.0, 65), Note(3.0, 1.0, 64)]
    rng = np.random.default_rng(0)
    assert reharmonise([chord], melody, 1.0, rng) == (chord,)
    assert reharmonise([chord], [], 1.0, rng) != (chord,)


def test_the_same_triad_has_the_same_fourth_note():
    triads = [(root, minor) for root in range(12) for minor in (False, True)]
    chords = [Chord(float(i), 1.0, *triad) for i, triad in enumerate(3 * triads)]
    extended = extend(chords, 0.5, np.random.default_rng(0))
    assert [replace(chord, added=None) for chord in extended] == chords
    for once, twice in zip(extended[:24], extended[24:48], strict=True):
        assert once.added == twice.added
        assert once.pitch_classes[:3] == chords[int(once.onset)].pitch_classes
        assert len(set(once.pitch_classes)) == 3 + (once.added is not None)
    assert 6 < sum(chord.added is not None for chord in extended[:24]) < 18
    assert {c.added for c in extended if c.minor} <= {None, 2, 9, 10}
    assert {c.added for c in extended if not c.minor} <= {None, 2, 9, 10, 11}
    assert extend(chords, 0.0, np.random.default_rng(0)) == tuple(chords)
    assert all(c.added for c in extend(chords, 1.0, np.random.default_rng(0)))
