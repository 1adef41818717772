"""Pop songs of the POP909 archive: MIDI with annotated beats.

Each song has the tracks MELODY (the singer), BRIDGE (instrumental lines) and PIANO
(the accompaniment), and a file of its beats in seconds. Layout: Wang et al.,
"POP909: A Pop-song Dataset for Music Arrangement Generation", ISMIR 2020.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from bytecover_tf.errors import DataError
from bytecover_tf.synth.scores.archive import open_archive, read_member
from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import Score, make_score

POP909 = "POP909"
BEATS_PER_BAR = 4
# Players are quantised to this share of a beat.
GRID = 0.125


def list_songs(archive: Path) -> list[str]:
    """Return the songs of the archive, for instance `001/001.mid`, in order.

    Other versions of a song, which the archive as published has too, have no beats.

    Raises:
        DataError: the file is not a zip archive.
    """
    with open_archive(archive) as file:
        names = set(file.namelist())
    return sorted(
        name for name in names if name.endswith(".mid") and _beats_of(name) in names
    )


def _beats_of(name: str) -> str:
    return f"{PurePosixPath(name).parent}/beat_midi.txt"


def read_song(archive: Path, name: str) -> Score:
    """Read one song.

    Args:
        archive: `pop909.zip`.
        name: a name from `list_songs`.

    Raises:
        DataError: the song lacks its beats or a track, or cannot be read.
    """
    with open_archive(archive) as file:
        midi = read_member(file, name)
        lines = read_member(file, _beats_of(name))
        try:
            beats = np.loadtxt(io.BytesIO(lines), ndmin=2)
        except ValueError as error:
            raise DataError(f"{archive}: {name}: {error}") from error
    if len(beats) < 2 * BEATS_PER_BAR or beats.shape[1] < 3:
        raise DataError(f"{archive}: {name} has too few annotated beats")
    try:
        tracks = dict(_tracks(midi, beats[:, 0]))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise DataError(f"{archive}: {name} is not MIDI: {error}") from error
    if not tracks.get("MELODY"):
        raise DataError(f"{archive}: {name} has no track MELODY")
    downbeats = np.flatnonzero(beats[:, 2])
    first = int(downbeats[0]) % BEATS_PER_BAR if len(downbeats) else 0
    last = max(note.end for notes in tracks.values() for note in notes)
    count = max(int(np.ceil((last - first) / BEATS_PER_BAR)), 1)
    bars = [float(first + BEATS_PER_BAR * bar) for bar in range(count + 1)]
    if first:
        bars.insert(0, 0.0)
    return make_score(
        f"{POP909} {Path(name).stem}",
        POP909,
        tracks["MELODY"],
        bars,
        parts=[tracks.get("BRIDGE", []), tracks.get("PIANO", [])],
    )


def _tracks(midi: bytes, beats: np.ndarray) -> Iterator[tuple[str, list[Note]]]:
    """Yield each track's name and its notes in beats."""
    import mido

    file = mido.MidiFile(file=io.BytesIO(midi))
    tempos = _tempos(file)
    for track in file.tracks:
        sounding: dict[int, int] = {}
        spans: list[tuple[int, int, int]] = []
        ticks = 0
        for message in track:
            ticks += message.time
            if message.type not in ("note_on", "note_off"):
                continue
            started = sounding.pop(message.note, None)
            if started is not None:
                spans.append((started, ticks, message.note))
            if message.type == "note_on" and message.velocity:
                sounding[message.note] = ticks
        if spans:
            yield track.name.strip(), _notes(np.array(spans), tempos, beats)


def _tempos(file: object) -> np.ndarray:
    """Return (ticks, seconds) at each change of tempo and one point beyond."""
    import mido

    points, ticks, seconds, tempo = [(0.0, 0.0)], 0, 0.0, 500_000
    assert isinstance(file, mido.MidiFile)
    for message in mido.merge_tracks(file.tracks):
        ticks += message.time
        seconds += mido.tick2second(message.time, file.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            points.append((ticks, seconds))
            tempo = message.tempo
    beyond = 10**6
    seconds += mido.tick2second(beyond, file.ticks_per_beat, tempo)
    return np.array([*points, (ticks + beyond, seconds)])


def _notes(spans: np.ndarray, tempos: np.ndarray, beats: np.ndarray) -> list[Note]:
    seconds = np.interp(spans[:, :2], tempos[:, 0], tempos[:, 1])
    # The annotated beats go on at their mean pace before the first and the last.
    pace = float(np.diff(beats).mean())
    inside = np.interp(seconds, beats, np.arange(len(beats), dtype=float))
    outside = np.minimum(seconds - beats[0], 0) + np.maximum(seconds - beats[-1], 0)
    place = np.round((inside + outside / pace) / GRID) * GRID
    return [
        Note(float(start), float(max(end - start, GRID)), int(pitch))
        for (start, end), pitch in zip(place, spans[:, 2], strict=True)
        if start >= 0
    ]
