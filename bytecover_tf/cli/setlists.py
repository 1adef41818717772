"""Timelines of long recordings on standard output, in the formats that others read."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bytecover_tf.cli.tables import place, print_columns
from bytecover_tf.errors import CatalogueError, explain
from bytecover_tf.progress import progress_bar
from bytecover_tf.terminal import clock, csv_cell, printable, show, show_json, warn

if TYPE_CHECKING:
    from bytecover_tf.catalogues.catalogue import Catalogue
    from bytecover_tf.encoders.encoder import Encoder
    from bytecover_tf.matching.calibration import Calibration
    from bytecover_tf.matching.songs import Song

FORMS = ("table", "json", "csv", "cue", "labels", "mirex")

# Of a compact disc, in a second.
_FRAMES = 75
_MOST_TRACKS = 99
# What a cue sheet calls the kinds of files that it knows; the others are WAVE too.
_KINDS = {".mp3": "MP3", ".aif": "AIFF", ".aiff": "AIFF"}

_COLUMNS = (
    *("query", "start", "end", "work", "probability", "recording", "title", "artist"),
    *("id", "similarity", "same_recording", "score", "query_start", "query_end"),
    *("recording_start", "recording_end", "transposition", "tempo_ratio", "relation"),
    *("relation_probability", "album", "composer", "year", "isrc", "iswc"),
    *("musicbrainz_recording", "musicbrainz_work", "error"),
)


def write_timelines(
    catalogue: Catalogue,
    encoder: Encoder,
    paths: Sequence[str],
    calibration: Calibration,
    form: str,
    **options: Any,
) -> int:
    """Find and print the timelines of recordings, with a bar of the progress of each.

    Args:
        catalogue: what to search.
        encoder: the one that made the catalogue.
        paths: of the recordings.
        calibration: gives the probabilities.
        form: one of `FORMS`.
        **options: further arguments of `matching.setlist.timeline`.

    Returns:
        How many recordings have none; why is told on standard error.
    """
    from bytecover_tf.matching.setlist import timeline

    failed = 0
    for number, path in enumerate(paths):
        with progress_bar(unit="s", desc=Path(path).name) as bar:

            def advance(done: float, declared: float, bar: Any = bar) -> None:
                bar.total = round(declared) or None
                bar.update(round(done) - bar.n)

            reason = ""
            try:
                songs = timeline(
                    catalogue,
                    encoder,
                    path,
                    calibration,
                    progress=advance,
                    **options,
                )
            except CatalogueError:
                raise
            except Exception as error:  # one bad file must not stop a batch
                reason = explain(error, path)
        if reason:
            warn(f"failed: {reason}")
            write_failure(path, reason, form, number == 0)
            failed += 1
        else:
            write_timeline(path, songs, form, number == 0)
    return failed


def write_timeline(path: str, songs: Sequence[Song], form: str, is_first: bool) -> None:
    """Print the timeline of a recording.

    Args:
        path: of the recording.
        songs: in order, with the unknown stretches.
        form: one of `FORMS`.
        is_first: whether no other was printed before it.
    """
    if form == "json":
        for song in songs:
            show_json({"query": path, **song.to_dict()})
    elif form == "csv":
        _write_csv(path, songs, is_first)
    elif form == "cue":
        _write_cue(path, songs)
    elif form == "labels":
        for song in songs:
            # Of both, the decimals that Audacity writes.
            print(f"{song.start:.6f}\t{song.end:.6f}\t{printable(_label(song))}")
    elif form == "mirex":
        from bytecover_tf.evaluation.set_lists import Played

        for song in songs:
            if song.match is not None:
                print(Played(printable(str(song.work)), song.start, song.end).line)
    else:
        _write_table(path, songs, is_first)
    sys.stdout.flush()


def write_failure(path: str, error: str, form: str, is_first: bool) -> None:
    """Print why a recording has no timeline, where the format has a place for it."""
    if form == "json":
        show_json({"query": path, "error": error})
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
        if is_first:
            writer.writeheader()
        writer.writerow({"query": csv_cell(path), "error": csv_cell(error)})


def _write_csv(path: str, songs: Sequence[Song], is_first: bool) -> None:
    writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
    if is_first:
        writer.writeheader()
    for song in songs:
        facts = {"query": path, **song.to_dict()}
        writer.writerow({name: csv_cell(value) for name, value in facts.items()})


def _write_cue(path: str, songs: Sequence[Song]) -> None:
    file = Path(path)
    if len(songs) > _MOST_TRACKS:
        warn(
            f"{path}: its cue sheet has {len(songs)} tracks; many programs read at "
            f"most {_MOST_TRACKS}"
        )
    print(f"FILE {_quoted(file.name)} {_KINDS.get(file.suffix.lower(), 'WAVE')}")
    for number, song in enumerate(songs, 1):
        frames = round(song.start * _FRAMES)
        minutes, rest = divmod(frames, 60 * _FRAMES)
        at = f"{minutes:02}:{rest // _FRAMES:02}:{rest % _FRAMES:02}"
        print(f"  TRACK {number:02} AUDIO")
        if song.match:
            print(f"    TITLE {_quoted(song.match.recording.title)}")
            if song.match.recording.artist:
                print(f"    PERFORMER {_quoted(song.match.recording.artist)}")
        else:
            print('    TITLE "Unknown"')
        print(f"    INDEX 01 {at}")


def _write_table(path: str, songs: Sequence[Song], is_first: bool) -> None:
    if not is_first:
        print()
    count = sum(song.match is not None for song in songs)
    show(f"{path}: {count} {'song' if count == 1 else 'songs'}")
    head = ("start", "end", "prob.", "recording", "work", "where", "key", "tempo")
    print_columns([head, *map(_cells, songs)])


def _cells(song: Song) -> tuple[str, ...]:
    times = clock(song.start), clock(song.end)
    match = song.match
    if match is None:
        return (*times, "", "unknown", "", "", "", "")
    recording = match.recording
    work = recording.work if recording.has_named_work else ""
    probability = f"{match.probability:.2f}"
    return (*times, probability, recording.label, work, *place(match))


def _label(song: Song) -> str:
    if song.match is None:
        return "unknown"
    return f"{song.match.recording.label} ({song.match.probability:.2f})"


def _quoted(text: str) -> str:
    """Return text for a cue sheet, which has no way to write a double quote."""
    return '"' + printable(text).replace('"', "'") + '"'
