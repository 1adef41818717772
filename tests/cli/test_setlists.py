import csv
import io
import json

import pytest
from catalogue_rows import recording

from bytecover_tf.cli import setlists
from bytecover_tf.cli.setlists import write_timeline, write_timelines
from bytecover_tf.errors import AudioError, CatalogueError
from bytecover_tf.matching.identification import Match
from bytecover_tf.matching.songs import Song

FOUND = Match(
    recording(1, work="hey", title='Say "Hey"\x1b[2J', artist="=Band"),
    *(0.5, 2.0, 0.9, 61.0, 200.0, 1.0, 150.0, -2, 0.93, False),
)
SONGS = [Song(0, 61.013), Song(61.013, 200.0, FOUND), Song(3725.52, 3800.0)]


def printed(capsys, form, is_first=True):
    write_timeline("/live/set.mp3", SONGS, form, is_first)
    return capsys.readouterr().out


def test_json_has_a_line_a_stretch(capsys):
    lines = [json.loads(line) for line in printed(capsys, "json").splitlines()]
    assert [line["work"] for line in lines] == [None, "hey", None]
    assert lines[0] == {
        "query": "/live/set.mp3",
        "start": 0,
        "end": 61.01,
        "work": None,
        "probability": None,
    }
    song = lines[1]
    assert (song["start"], song["end"], song["probability"]) == (61.01, 200, 0.9)
    assert (song["recording_start"], song["recording_end"]) == (1, 150)
    assert (song["query_start"], song["transposition"]) == (61, -2)


def test_csv_has_a_header_once(capsys):
    text = printed(capsys, "csv") + printed(capsys, "csv", False)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["work"] for row in rows] == ["", "hey", ""] * 2
    assert rows[1]["artist"] == "'=Band"
    assert rows[1]["start"] == "61.01"
    # All that JSON has.
    songs = map(json.loads, printed(capsys, "json").splitlines())
    assert {name for song in songs for name in song} == rows[1].keys() - {"error"}


def test_a_cue_sheet_counts_frames_of_a_disc(capsys):
    lines = printed(capsys, "cue").splitlines()
    assert lines[0] == 'FILE "set.mp3" MP3'
    assert [line for line in lines if "INDEX" in line] == [
        "    INDEX 01 00:00:00",
        "    INDEX 01 01:01:01",
        "    INDEX 01 62:05:39",
    ]
    assert "  TRACK 02 AUDIO" in lines
    assert "    TITLE \"Say 'Hey'\\x1b[2J\"" in lines
    assert '    PERFORMER "=Band"' in lines


def test_a_cue_sheet_of_too_many_tracks_is_told(capsys):
    write_timeline("/live/set.mp3", SONGS * 33, "cue", True)
    assert capsys.readouterr().err == ""
    write_timeline("/live/set.mp3", SONGS * 34, "cue", True)
    streams = capsys.readouterr()
    assert "TRACK 102 AUDIO" in streams.out
    assert "/live/set.mp3: its cue sheet has 102 tracks" in streams.err


def test_labels_are_of_seconds(capsys):
    assert printed(capsys, "labels").splitlines()[1].split("\t") == [
        "61.013000",
        "200.000000",
        '=Band - Say "Hey"\\x1b[2J (0.90)',
    ]


def test_a_set_list_for_mirex_has_the_known_works(capsys):
    assert printed(capsys, "mirex") == "61.013\t200.000\they\n"


def test_the_table_names_what_is_unknown(capsys):
    lines = printed(capsys, "table").splitlines()
    assert lines[0] == "/live/set.mp3: 1 song"
    assert lines[2].split()[:3] == ["0:00", "1:01", "unknown"]
    assert lines[3].split()[:3] == ["1:01", "3:20", "0.90"]
    assert lines[4].split()[:2] == ["1:02:05", "1:03:20"]


@pytest.fixture
def reading(monkeypatch):
    """What `timeline` does in place of reading: by path, songs or an error."""
    known = {}

    def timeline(_catalogue, _encoder, path, _calibration, progress, **_):
        progress(1.0, 0.0)
        if isinstance(known[path], Exception):
            raise known[path]
        return known[path]

    monkeypatch.setattr("bytecover_tf.matching.setlist.timeline", timeline)
    return known


@pytest.mark.parametrize("form", setlists.FORMS)
def test_a_bad_file_costs_only_its_timeline(reading, capsys, form):
    reading |= {"a": SONGS, "bad": AudioError("bad: is silent"), "b": SONGS}
    assert write_timelines(None, None, ["a", "bad", "b"], None, form) == 1
    out, err = capsys.readouterr()
    assert "failed: bad: is silent" in err
    if form == "json":
        lines = [json.loads(line) for line in out.splitlines()]
        assert lines[3] == {"query": "bad", "error": "bad: is silent"}
        assert len(lines) == 7
    elif form == "csv":
        assert len(list(csv.DictReader(io.StringIO(out)))) == 7


def test_a_catalogue_that_is_lost_ends_all(reading):
    reading["a"] = CatalogueError("gone")
    with pytest.raises(CatalogueError):
        write_timelines(None, None, ["a"], None, "json")
