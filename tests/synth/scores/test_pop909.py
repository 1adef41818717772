import io
import zipfile

import mido
import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.synth.scores.pop909 import list_songs, read_song

# A beat lasts 0.6 s at first and 0.4 s from beat 16 on.
BEATS = [0.6 * i for i in range(16)] + [9.6 + 0.4 * i for i in range(24)]
MELODY = [60, 62, 64, 65, 67, 69, 71, 72] * 4


def midi(tracks):
    """Two notes a beat, in time with `BEATS`."""
    file = mido.MidiFile(ticks_per_beat=480)
    tempo = mido.MidiTrack()
    tempo.append(mido.MetaMessage("set_tempo", tempo=600_000, time=0))
    tempo.append(mido.MetaMessage("set_tempo", tempo=400_000, time=16 * 480))
    file.tracks.append(tempo)
    for name, pitches in tracks.items():
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("track_name", name=name))
        for pitch in pitches:
            track.append(mido.Message("note_on", note=pitch, velocity=80, time=0))
            track.append(mido.Message("note_on", note=pitch, velocity=0, time=240))
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def archive(tmp_path, content, beats=BEATS, first=0):
    lines = [
        f"{t:.5f} {float(i % 2 == 0)} {float((i - first) % 4 == 0)}"
        for i, t in enumerate(beats)
    ]
    path = tmp_path / "pop.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("LICENSE", "MIT")
        file.writestr("007/007.mid", content)
        file.writestr("007/versions/007-v1.mid", content)
        file.writestr("007/beat_midi.txt", "\n".join(lines))
    return path


def test_notes_lie_on_the_annotated_beats(tmp_path):
    content = midi({"MELODY": MELODY, "PIANO": [48] * 64})
    path = archive(tmp_path, content, first=2)
    assert list_songs(path) == ["007/007.mid"]
    score = read_song(path, "007/007.mid")
    assert (score.title, score.collection) == ("POP909 007", "POP909")
    assert [note.pitch for note in score.melody] == MELODY
    # 32 half beats, across the change of tempo.
    assert [note.onset for note in score.melody] == [0.5 * i for i in range(32)]
    assert {note.duration for note in score.melody} == {0.5}
    # Bars begin where the downbeats are.
    assert score.bars[:4] == (0.0, 2.0, 6.0, 10.0)
    assert len(score.parts) == 1
    assert score.tonic == 0


@pytest.mark.parametrize(
    ("content", "beats", "message"),
    [
        (b"no midi", BEATS, "not MIDI"),
        (midi({"PIANO": MELODY}), BEATS, "no track MELODY"),
        (midi({"MELODY": MELODY}), BEATS[:3], "too few annotated beats"),
    ],
)
def test_bad_songs_are_named(tmp_path, content, beats, message):
    path = archive(tmp_path, content, beats)
    with pytest.raises(DataError, match=f"007/007.mid .*{message}"):
        read_song(path, "007/007.mid")


def test_a_song_without_beats_and_a_file_that_is_no_archive(tmp_path):
    path = tmp_path / "pop.zip"
    path.write_text("no zip")
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        list_songs(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("007/007.mid", b"")
    with pytest.raises(DataError, match="beat_midi.txt"):
        read_song(path, "007/007.mid")
