import json
from dataclasses import asdict

import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import (
    make_score,
    read_abc,
    read_musicxml,
    score_from_dict,
    split_abc,
)

# Two repeated strains of four bars; the first has a first and a second ending.
TUNE = """X:1
T:The Tester's Reel
M:4/4
L:1/4
K:D
|: D E F G | A A A2 | B A G F |1 E E E2 :|2 E E D2 ||
|: d c B A | A> G F2 | G A B c |1 d d d2 :|2 d d d2 |]
"""


@pytest.fixture(scope="module")
def tune():
    return read_abc(TUNE, "tests")


def test_abc_melody_has_each_strain_once_with_its_last_ending(tune):
    first = [62, 64, 66, 67, 69, 69, 69, 71, 69, 67, 66, 64, 64, 62]
    second = [74, 73, 71, 69, 69, 67, 66, 67, 69, 71, 73, 74, 74, 74]
    assert [note.pitch for note in tune.melody] == first + second
    assert tune.bars == tuple(4.0 * i for i in range(9))
    assert tune.sections == ((0, 4), (4, 8))


def test_abc_header_and_rhythm(tune):
    assert tune.title == "The Tester's Reel"
    assert tune.collection == "tests"
    assert (tune.tonic, tune.minor, tune.beat) == (2, False, 1.0)
    dotted, short = (n for n in tune.melody if 20.0 <= n.onset < 22.0)
    assert (dotted.duration, short.onset, short.duration) == (1.5, 21.5, 0.5)


def test_compound_meter_is_counted_in_dotted_quarters():
    body = "|".join(["DEF GAB", "ABc dcB"] * 4)
    tune = read_abc(f"X:1\nT:Jig\nM:6/8\nL:1/8\nK:D\n{body}|]", "tests")
    assert tune.beat == 1.5
    assert tune.bars[1] == 3.0


def test_split_abc_ignores_what_precedes_the_first_tune():
    text = f"% a book\n\n{TUNE}\n\nX:2\nT:Other\nK:C\nC\n"
    first, second = split_abc(text)
    assert first == TUNE.strip()
    assert second.startswith("X:2\nT:Other")


def test_chords_cover_the_bars_and_hold_the_tonic_triad(tune):
    assert tune.chords[0].onset == 0.0
    ends = [chord.onset + chord.duration for chord in tune.chords]
    assert ends[-1] == tune.bars[-1]
    assert ends[:-1] == [chord.onset for chord in tune.chords[1:]]
    last = tune.chords[-1]
    assert (last.root, last.minor) == (2, False)


def test_musicxml_reads_melody_and_accompaniment():
    import music21

    melody = music21.stream.Part(
        [music21.note.Note(60 + i % 8, quarterLength=1) for i in range(32)]
    )
    harmony = music21.stream.Part(
        [music21.chord.Chord([48, 52, 55], quarterLength=4) for _ in range(8)]
    )
    for part in (melody, harmony):
        part.insert(0, music21.meter.TimeSignature("4/4"))
    written = music21.stream.Score([melody, harmony])
    exporter = music21.musicxml.m21ToXml.GeneralObjectExporter(written)
    score = read_musicxml(exporter.parse(), "Song", "tests")
    assert [note.pitch for note in score.melody] == [60 + i % 8 for i in range(32)]
    assert len(score.parts) == 1
    assert {n.pitch for n in score.parts[0] if n.onset == 28.0} == {48, 52, 55}


def test_bad_input_names_the_piece():
    with pytest.raises(DataError, match="'Song' is not MusicXML"):
        read_musicxml(b"PK no archive", "Song", "tests")
    with pytest.raises(DataError, match="'Song' cannot be read as musicxml"):
        read_musicxml(b"<score", "Song", "tests")
    with pytest.raises(DataError, match="'Short' has 16 melody notes"):
        read_abc("X:1\nT:Short\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|]", "tests")


def test_one_voice_keeps_the_highest_and_ends_at_the_next_onset():
    notes = [Note(float(i), 2.0, 60 + p) for i in range(24) for p in (0, 7)]
    score = make_score("Thirds", "tests", notes, [0.0, 12.0, 24.0])
    assert {note.pitch for note in score.melody} == {67}
    assert [note.duration for note in score.melody[:-1]] == [1.0] * 23


def test_sections_without_melody_are_left_out():
    bars = [4.0 * i for i in range(25)]
    notes = [Note(float(i), 1.0, 60 + i % 5) for i in range(96) if not 32 <= i < 64]
    score = make_score("Interlude", "tests", notes, bars)
    assert score.sections == ((0, 8), (16, 24))


def test_close_marks_make_no_endless_section():
    bars = [4.0 * i for i in range(65)]
    notes = [Note(float(i), 1.0, 60 + i % 5) for i in range(256)]
    score = make_score("Marks", "tests", notes, bars, section_starts=range(0, 64, 3))
    lengths = [end - start for start, end in score.sections]
    assert sum(lengths) == 64
    assert max(lengths) < 12


def test_json_round_trip(tune):
    assert score_from_dict(json.loads(json.dumps(asdict(tune)))) == tune
