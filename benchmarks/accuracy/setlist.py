"""How well is the timeline of a long recording found?

    python -m benchmarks.accuracy.setlist --catalogue FOLDER --others DIR --talk DIR
        [--scores pop909.zip]

`benchmarks.common.played_sets` makes the sets. Each is written as a file and read as
`identify --setlist` reads it.

With --scores, half of the songs that are known are covers: two versions of each score
are arranged and rendered, in keys, tempos and instruments of their own. One of them
joins a copy of the catalogue, the other is played in the sets.

A song counts as found if one of its work covers at least half of what the two cover
together. The figures of boundaries are of songs that were found.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.library import fill_catalogue
from benchmarks.common.played_sets import Played, SetMaker, add_set_arguments
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.catalogues.opening import open_catalogue, open_with_encoder
from bytecover_tf.cli.repertoire import excerpt
from bytecover_tf.matching.setlist import timeline
from bytecover_tf.matching.songs import Song
from bytecover_tf.progress import progress_bar
from bytecover_tf.synth.playing.versions import Version
from bytecover_tf.synth.scores.pop909 import list_songs, read_song
from bytecover_tf.synth.sound.perform import perform
from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE, write_sound


@dataclass(frozen=True)
class Counts:
    """What was found of one set.

    Attributes:
        played: songs of the catalogue in it.
        found: songs in the timeline.
        in_order: the longest sequence of works that both have in the same order.
        right: the number in `played` of each song that was found.
        errors: of the boundaries of those found, in seconds: (right, 2).
    """

    played: Sequence[Played]
    found: int
    in_order: int
    right: Sequence[int]
    errors: np.ndarray


def count(played: Sequence[Played], found: Sequence[Song]) -> Counts:
    """Compare a timeline with what was played."""
    songs = [song for song in found if song.match]
    right, errors = [], []
    left = list(songs)
    for number, one in enumerate(played):
        best = max(left, key=lambda song: _shared(one, song), default=None)
        if best is not None and _shared(one, best) >= 0.5:
            left.remove(best)
            right.append(number)
            errors.append((abs(best.start - one.start), abs(best.end - one.end)))
    order = _common([one.work for one in played], [str(song.work) for song in songs])
    return Counts(
        played, len(songs), order, right, np.array(errors, float).reshape(-1, 2)
    )


def _shared(one: Played, song: Song) -> float:
    """Return intersection over union of two stretches; 0 if the works differ."""
    if one.work != song.work:
        return 0.0
    both = min(one.end, song.end) - max(one.start, song.start)
    return max(both, 0) / (max(one.end, song.end) - min(one.start, song.start))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for item in one:
        before = row
        row = [0]
        for index, value in enumerate(other):
            longer = before[index] + 1 if value == item else 0
            row.append(max(longer, before[index + 1], row[-1]))
    return row[-1]


def add_covers(
    address: str, scores: Path, count: int, folder: Path
) -> tuple[str, dict[str, Path]]:
    """Copy a catalogue and add a version of some scores; render another of each.

    Args:
        address: a catalogue in a folder.
        scores: the archive of POP909.
        count: how many of its songs.
        folder: for the copy and the recordings.

    Returns:
        The address of the copy, and the other versions by the label of their work.

    Raises:
        AudioError: FluidSynth or all soundfonts are missing.
        RuntimeError: a rendering cannot be indexed.
    """
    copy = str(folder / "copy.catalogue")
    shutil.copytree(address, copy)
    known, covers = folder / "known", folder / "covers"
    for place in (known, covers):
        place.mkdir()
    songs = list_songs(scores)[:count]
    for number, song in enumerate(progress_bar(songs, unit="score")):
        score = excerpt(read_song(scores, song))
        name = f"score {number}"
        for seed, place in enumerate((known, covers)):
            version = Version(f"{name}-{seed}", name, "", score, 2 * number + seed)
            write_sound(place / f"{name}.flac", perform(version)[-1])
    fill_catalogue(copy, [known])
    with open_catalogue(copy) as catalogue:
        works = {Path(one.path): one.work for one in catalogue.recordings()}
    return copy, {works[known / path.name]: path for path in sorted(covers.iterdir())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_set_arguments(parser)
    parser.add_argument("--scores", type=Path, help="archive of POP909, for covers")
    parser.add_argument("--covers", type=int, default=24, help="number of scores")
    parser.add_argument("--sets", type=int, default=6, help="number of sets")
    parser.add_argument("--minutes", type=float, default=20.0, help="length of each")
    options = parser.parse_args()
    counts: list[Counts] = []
    total = spent = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address, covers = str(options.catalogue), dict[str, Path]()
        if options.scores:
            address, covers = add_covers(
                address, options.scores, options.covers, folder
            )
        catalogue, encoder = open_with_encoder(address)
        with catalogue:
            held = catalogue.count()
            maker = SetMaker.of(catalogue, options, covers)
            for number in progress_bar(range(options.sets), unit="set"):
                sound, played = maker.make(options.minutes * 60)
                path = folder / f"{number}.flac"
                write_sound(path, sound)
                start = time.perf_counter()
                found = timeline(catalogue, encoder, path)
                spent += time.perf_counter() - start
                total += len(sound) / SAMPLE_RATE
                counts.append(count(played, found))
                print(*row("all", counts[-1:]), flush=True)
    kinds = sorted({one.kind for each in counts for one in each.played})
    rows = [row("all", counts), *(row(kind, counts, kind) for kind in kinds)]
    write_section(
        "calibration",
        "Setlists",
        command_of("accuracy.setlist", parser, options),
        f"{len(counts)} sets of {options.minutes:g} minutes, made of recordings of a "
        f"library of {held} and of others; reading took one "
        f"{total / spent:.0f}th of their length. A `copy` is a recording of the "
        "library in another key and tempo; a `cover` is arranged and rendered anew "
        "from the score that one of the library was made of; the encoders were trained "
        "on drawn versions of most of these scores. A song that "
        "is taken for a version of it which the library holds as another work is not "
        "found.\n\n" + table(HEADER, rows),
    )


HEADER = [
    *("songs", "played", "precision", "recall", "in order"),
    *("median error of start (s)", "of end (s)", "90 % of boundaries within (s)"),
]


def row(name: str, counts: Sequence[Counts], kind: str = "") -> list[str]:
    """Return the figures of several sets as cells of a table.

    Args:
        name: the first cell.
        counts: of the sets.
        kind: counts songs of this kind alone. What was found amiss is of no kind, so
            that there is no precision then, nor order.
    """

    def is_meant(one: Played) -> bool:
        return kind in ("", one.kind)

    played = sum(is_meant(one) for each in counts for one in each.played)
    errors = np.concatenate(
        [
            each.errors[[is_meant(each.played[number]) for number in each.right]]
            for each in counts
        ]
    )
    found = sum(each.found for each in counts)
    in_order = sum(each.in_order for each in counts)
    start, end = np.median(errors, axis=0) if len(errors) else (np.nan, np.nan)
    return [
        name,
        str(played),
        "" if kind else f"{len(errors) / max(found, 1):.2f}",
        f"{len(errors) / max(played, 1):.2f}",
        "" if kind else f"{in_order / max(played, 1):.2f}",
        f"{start:.1f}",
        f"{end:.1f}",
        f"{np.quantile(errors, 0.9):.1f}" if len(errors) else "nan",
    ]


if __name__ == "__main__":
    main()
