import pytest

from bytecover_tf.synth.playing.accompany import GROOVES, KICK, PATTERNS, SNARE, groove
from bytecover_tf.synth.scores.harmony import Chord

CHORDS = [
    Chord(0.0, 3.0, 7, False),
    Chord(3.0, 3.0, 0, False),
    Chord(6.0, 6.0, 9, True),
    Chord(12.0, 6.0, 2, False, added=10),
]


@pytest.mark.parametrize("pattern", sorted(set(PATTERNS) - {"drums", "bass"}))
@pytest.mark.parametrize("beat", [0.5, 1.0, 1.5])
def test_notes_belong_to_the_chord_that_sounds(pattern, beat):
    notes = PATTERNS[pattern](CHORDS, beat)
    for chord in CHORDS:
        end = chord.onset + chord.duration
        struck = [n for n in notes if chord.onset <= n.onset < end]
        assert {n.pitch % 12 for n in struck} == set(chord.pitch_classes)
        assert all(n.end <= end + 1e-9 and n.duration > 0 for n in struck)


def test_bass_has_the_root_on_every_change():
    notes = PATTERNS["bass"](CHORDS, 1.0)
    for chord in CHORDS:
        assert next(n for n in notes if n.onset == chord.onset).pitch % 12 == chord.root


def test_drums_alternate_kick_and_snare():
    notes = PATTERNS["drums"]([Chord(0.0, 4.0, 0, False)], 1.0)
    beats = [n.pitch for n in notes if n.pitch != 42]
    assert beats == [36, 38, 36, 38]
    assert sum(n.pitch == 42 for n in notes) == 8


@pytest.mark.parametrize("name", GROOVES)
def test_grooves_begin_anew_on_each_chord_and_end_with_it(name):
    strikes = GROOVES[name]
    chords = [Chord(0.0, 3.0, 0, False), Chord(3.0, 4.0, 7, False)]
    notes = groove(chords, 1.0, strikes)
    assert max(n.onset for n in notes) < 7
    for drum, places in strikes.items():
        struck = sorted(n.onset for n in notes if n.pitch == drum)
        expected = [bar + at for bar in (0, 2) for at in places if bar + at < 3]
        assert struck == expected + [bar + at for bar in (3, 5) for at in places]


def test_a_groove_goes_by_the_beat():
    strikes = GROOVES["ballad"]
    notes = groove([Chord(0.0, 4.0, 0, False)], 1.5, strikes)
    assert [(n.onset, n.pitch) for n in notes] == [(0, KICK), (1.5, SNARE), (3, KICK)]


@pytest.mark.parametrize(
    ("added", "cycle"), [(None, [52, 55, 60, 55]), (10, [52, 55, 58, 60, 58, 55])]
)
def test_arpeggios_go_up_and_down(added, cycle):
    notes = PATTERNS["arpeggio"]([Chord(0.0, 6.0, 0, False, added)], 1.0)
    assert [note.pitch for note in notes] == (3 * cycle)[:12]


def test_pad_holds_through_equal_chords():
    notes = PATTERNS["pad"]([Chord(0.0, 2.0, 0, False), Chord(2.0, 2.0, 0, False)], 1.0)
    assert [(n.onset, n.duration) for n in notes] == [(0.0, 4.0)] * 3

    notes = PATTERNS["pad"](
        [Chord(0.0, 2.0, 0, False), Chord(2.0, 2.0, 0, False, 9)], 1.0
    )
    assert [note.onset for note in notes] == [0.0] * 3 + [2.0] * 4
