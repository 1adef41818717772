"""How well is the timeline of a long recording found?

    python -m benchmarks.accuracy.setlist --catalogue FOLDER --others DIR --talk DIR
        [--scores pop909.zip]

Sets are made of real recordings. Most songs are of the catalogue, played in another
key and tempo that drifts, some in another room and on another medium; others are of
recordings that it does not hold. Some songs are faded into one another, some are
parted by talk or by a noise like applause; there are medleys of short parts, and songs
that are played twice. Each set is written as a file and read as
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.report import table, write_section
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.catalogues.opening import open_with_encoder
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.data.files import recordings
from bytecover_tf.matching.setlist import Song, timeline
from bytecover_tf.progress import progress_bar
from bytecover_tf.synth.playing.repertoire import excerpt
from bytecover_tf.synth.rerecord import Take, play
from bytecover_tf.synth.scores.pop909 import list_songs, read_song
from bytecover_tf.synth.sound.sound_effects import (
    SAMPLE_RATE,
    record,
    release,
    write_sound,
)
from bytecover_tf.synth.sound.versions import Version, perform

# What a place of a set holds: a song of the catalogue, another one, a medley.
KINDS, SHARES = ("known", "unknown", "medley"), (0.65, 0.2, 0.15)
MEDLEY, MEDLEY_SECONDS = 3, (30.0, 50.0)
SONG_SECONDS = (60.0, 240.0)
SEMITONES, TEMPO, DRIFT = 2, (0.9, 1.1), 0.02
REMADE = 0.5
AGAIN = 0.15
# Of the songs of the catalogue outside medleys, how many are covers, if there are any.
COVERS = 0.5
# Between two songs: one is faded into the other, talk, applause, or a breath.
JOINTS, JOINT_SHARES = ("fade", "talk", "applause", "pause"), (0.4, 0.2, 0.2, 0.2)
FADE_SECONDS, TALK_SECONDS, PAUSE_SECONDS = (3.0, 10.0), (10.0, 40.0), (0.5, 2.0)


@dataclass(frozen=True)
class Played:
    """A song of a set.

    Attributes:
        work: its label.
        start: in seconds; of a song that is faded in, where that begins.
        end: in seconds; of one that is faded out, where that ends.
        kind: what it is: an altered `copy` of a recording of the catalogue, a part of
            one in a `medley`, or a `cover`.
    """

    work: str
    start: float
    end: float
    kind: str = "copy"


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


class Maker:
    """Makes sets.

    Args:
        known: recordings of the catalogue.
        others: files that it does not hold.
        talk: samples of speech, float32 (n,).
        rng: source of all random choices.
        covers: a file that plays a work of the catalogue, by the label of the work.
    """

    def __init__(
        self,
        known: Sequence[Recording],
        others: Sequence[Path],
        talk: np.ndarray,
        rng: np.random.Generator,
        covers: Mapping[str, Path] | None = None,
    ) -> None:
        self._covers = dict(covers or {})
        self._known = known
        self._others = others
        self._talk = talk
        self._rng = rng

    def make(self, seconds: float) -> tuple[np.ndarray, list[Played]]:
        """Return a set of at least so many seconds, and what it plays."""
        sound = np.zeros(0, np.float32)
        played: list[Played] = []
        earlier: list[Recording] = []
        while len(sound) < seconds * SAMPLE_RATE:
            kind = self._rng.choice(KINDS, p=SHARES)
            if kind == "unknown":
                path = self._others[int(self._rng.integers(len(self._others)))]
                sound, _ = self._append(sound, self._song(str(path), SONG_SECONDS))
                continue
            if kind == "known" and self._covers and self._rng.random() < COVERS:
                work = str(self._rng.choice(list(self._covers)))
                song = load_audio(str(self._covers[work]), SAMPLE_RATE)
                sound, start = self._append(sound, _drifting(song, self._rng))
                end = len(sound) / SAMPLE_RATE
                played.append(Played(work, start / SAMPLE_RATE, end, "cover"))
                continue
            length = MEDLEY_SECONDS if kind == "medley" else SONG_SECONDS
            for _ in range(MEDLEY if kind == "medley" else 1):
                if earlier and self._rng.random() < AGAIN:
                    one = earlier[int(self._rng.integers(len(earlier)))]
                else:
                    one = self._known[int(self._rng.integers(len(self._known)))]
                    earlier.append(one)
                song = self._song(one.path, length)
                joint = "fade" if kind == "medley" else ""
                sound, start = self._append(sound, song, joint)
                end = len(sound) / SAMPLE_RATE
                label = "medley" if kind == "medley" else "copy"
                played.append(Played(one.work, start / SAMPLE_RATE, end, label))
        return sound, played

    def _between(self, bounds: tuple[float, float]) -> float:
        return float(self._rng.uniform(*bounds))

    def _song(self, path: str, seconds: tuple[float, float]) -> np.ndarray:
        """Return a recording as another take of it, of at most so many seconds."""
        samples = load_audio(path, SAMPLE_RATE)
        length = min(len(samples), round(self._between(seconds) * SAMPLE_RATE))
        first = int(self._rng.integers(len(samples) - length + 1))
        take = Take(
            semitones=float(self._rng.integers(-SEMITONES, SEMITONES + 1)),
            tempo=self._between(TEMPO),
        )
        sound = _drifting(play(samples[first : first + length], take), self._rng)
        if self._rng.random() < REMADE:
            sound = release(record(sound, self._rng), self._rng)
        return sound / max(float(np.abs(sound).max()), 1e-9) * np.float32(0.8)

    def _append(
        self, sound: np.ndarray, song: np.ndarray, joint: str = ""
    ) -> tuple[np.ndarray, int]:
        """Return the set with a song more, and the sample where that begins."""
        joint = joint or str(self._rng.choice(JOINTS, p=JOINT_SHARES))
        if not len(sound):
            return song, 0
        if joint == "fade":
            length = round(self._between(FADE_SECONDS) * SAMPLE_RATE)
            length = min(length, len(sound) // 2, len(song) // 2)
            fade = np.linspace(0, 1, length, dtype=np.float32)
            start = len(sound) - length
            both = sound[start:] * (1 - fade) + song[:length] * fade
            return np.concatenate([sound[:start], both, song[length:]]), start
        if joint == "pause":
            between = np.zeros(round(self._between(PAUSE_SECONDS) * SAMPLE_RATE))
        else:
            between = self._interlude(joint)
        return np.concatenate([sound, between.astype(np.float32), song]), len(
            sound
        ) + len(between)

    def _interlude(self, kind: str) -> np.ndarray:
        length = round(self._between(TALK_SECONDS) * SAMPLE_RATE)
        if kind == "talk":
            first = int(self._rng.integers(max(len(self._talk) - length, 0) + 1))
            return self._talk[first : first + length]
        # Many hands: noise whose loudness flickers, and swells and falls.
        claps = np.repeat(self._rng.exponential(1, length // 400 + 1), 400)[:length]
        swell = np.sin(np.linspace(0, np.pi, length)) ** 0.5
        return 0.1 * self._rng.standard_normal(length) * claps * swell


def _drifting(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a sound whose speed drifts slowly, by some hundredths at most."""
    knots = rng.uniform(-DRIFT, DRIFT, 5)
    speed = 1 + np.interp(np.linspace(0, 4, len(sound)), np.arange(5), knots)
    at = np.cumsum(speed) - speed[0]
    at = at[at <= len(sound) - 1]
    return np.interp(at, np.arange(len(sound)), sound).astype(np.float32)


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
    """
    from bytecover_tf import index

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
    if index.main(["--catalogue", copy, str(known)]):
        raise SystemExit("some renderings cannot be indexed")
    with open_with_encoder(copy)[0] as catalogue:
        works = {Path(one.path): one.work for one in catalogue.recordings()}
    return copy, {works[known / path.name]: path for path in sorted(covers.iterdir())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, metavar="FOLDER")
    parser.add_argument(
        "--others", type=Path, required=True, help="recordings that it does not hold"
    )
    parser.add_argument("--talk", type=Path, required=True, help="recordings of speech")
    parser.add_argument("--scores", type=Path, help="archive of POP909, for covers")
    parser.add_argument("--covers", type=int, default=24, help="number of scores")
    parser.add_argument("--sets", type=int, default=6, help="number of sets")
    parser.add_argument("--minutes", type=float, default=20.0, help="length of each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    talk = [load_audio(path, SAMPLE_RATE) for path in recordings(options.talk)]
    counts: list[Counts] = []
    total = spent = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address, covers = options.catalogue, dict[str, Path]()
        if options.scores:
            address, covers = add_covers(
                address, options.scores, options.covers, folder
            )
        catalogue, encoder = open_with_encoder(address)
        with catalogue:
            held = sorted(catalogue.recordings(), key=lambda one: one.path)
            known = [
                one
                for one in held
                if one.duration >= MEDLEY_SECONDS[0] and one.work not in covers
            ]
            others, speech = recordings(options.others), np.concatenate(talk)
            maker = Maker(known, others, speech, rng, covers)
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
    command = "python -m benchmarks.accuracy.setlist --catalogue FOLDER --others DIR"
    command += " --talk DIR" + (" --scores pop909.zip" if covers else "")
    write_section(
        "calibration",
        "Setlists",
        command,
        f"{len(counts)} sets of {options.minutes:g} minutes, made of recordings of a "
        f"library of {len(held)} and of others; reading took one "
        f"{total / spent:.0f}th of their length, other work beside it. A `copy` is a "
        "recording of the library in another key and tempo; a `cover` is arranged and "
        "rendered anew from the score that one of the library was made of. A song that "
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
