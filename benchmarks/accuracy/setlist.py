"""How well is the timeline of a long recording found?

    python -m benchmarks.accuracy.setlist --catalogue ADDRESS --others DIR --talk DIR

Sets are made of real recordings. Most songs are of the catalogue, played in another
key and tempo that drifts, some in another room and on another medium; others are of
recordings that it does not hold. Some songs are faded into one another, some are
parted by talk or by a noise like applause; there are medleys of short parts, and songs
that are played twice. Each set is written as a file and read as
`identify --setlist` reads it.

A song counts as found if one of its work covers at least half of what the two cover
together. The figures of boundaries are of songs that were found.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
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
from bytecover_tf.synth.rerecord import Take, play
from bytecover_tf.synth.sound.sound_effects import (
    SAMPLE_RATE,
    record,
    release,
    write_sound,
)

# What a place of a set holds: a song of the catalogue, another one, a medley.
KINDS, SHARES = ("known", "unknown", "medley"), (0.65, 0.2, 0.15)
MEDLEY, MEDLEY_SECONDS = 3, (30.0, 50.0)
SONG_SECONDS = (60.0, 240.0)
SEMITONES, TEMPO, DRIFT = 2, (0.9, 1.1), 0.02
REMADE = 0.5
AGAIN = 0.15
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
    """

    work: str
    start: float
    end: float


@dataclass(frozen=True)
class Counts:
    """What was found of one set.

    Attributes:
        played: songs of the catalogue in it.
        found: songs in the timeline.
        right: songs that were found.
        in_order: the longest sequence of works that both have in the same order.
        errors: of the boundaries of those found, in seconds: (right, 2).
    """

    played: int
    found: int
    right: int
    in_order: int
    errors: np.ndarray


def count(played: Sequence[Played], found: Sequence[Song]) -> Counts:
    """Compare a timeline with what was played."""
    songs = [song for song in found if song.match]
    pairs = []
    left = list(songs)
    for one in played:
        best = max(left, key=lambda song: _shared(one, song), default=None)
        if best is not None and _shared(one, best) >= 0.5:
            left.remove(best)
            pairs.append((one, best))
    errors = [
        (abs(song.start - one.start), abs(song.end - one.end)) for one, song in pairs
    ]
    order = _common([one.work for one in played], [str(song.work) for song in songs])
    return Counts(
        len(played),
        len(songs),
        len(pairs),
        order,
        np.array(errors).reshape(-1, 2),
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
    """

    def __init__(
        self,
        known: Sequence[Recording],
        others: Sequence[Path],
        talk: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
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
                played.append(Played(one.work, start / SAMPLE_RATE, end))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", required=True, metavar="ADDRESS")
    parser.add_argument(
        "--others", type=Path, required=True, help="recordings that it does not hold"
    )
    parser.add_argument("--talk", type=Path, required=True, help="recordings of speech")
    parser.add_argument("--sets", type=int, default=6, help="number of sets")
    parser.add_argument("--minutes", type=float, default=20.0, help="length of each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    talk = [load_audio(path, SAMPLE_RATE) for path in recordings(options.talk)]
    catalogue, encoder = open_with_encoder(options.catalogue)
    counts: list[Counts] = []
    total = spent = 0.0
    with catalogue, tempfile.TemporaryDirectory() as folder:
        known = sorted(catalogue.recordings(), key=lambda one: one.path)
        known = [one for one in known if one.duration >= MEDLEY_SECONDS[0]]
        maker = Maker(known, recordings(options.others), np.concatenate(talk), rng)
        for number in progress_bar(range(options.sets), unit="set"):
            sound, played = maker.make(options.minutes * 60)
            path = Path(folder) / f"{number}.flac"
            write_sound(path, sound)
            start = time.perf_counter()
            found = timeline(catalogue, encoder, path)
            spent += time.perf_counter() - start
            total += len(sound) / SAMPLE_RATE
            counts.append(count(played, found))
            print(counts[-1], flush=True)
    print(*row(counts))
    write_section(
        "calibration",
        "Setlists",
        "python -m benchmarks.accuracy.setlist --catalogue ADDRESS --others DIR "
        "--talk DIR",
        f"{len(counts)} sets of {options.minutes:g} minutes, made of recordings of a "
        f"library of {len(known)} and of others; reading took one "
        f"{total / spent:.0f}th of their length, other work beside it.\n\n"
        + table(HEADER, [row(counts)]),
    )


HEADER = [
    *("songs played", "precision", "recall", "in order"),
    *("median error of start (s)", "of end (s)", "90 % of boundaries within (s)"),
]


def row(counts: Sequence[Counts]) -> list[str]:
    """Return the figures of several sets as cells of a table."""
    played, found, right, in_order = (
        sum(getattr(one, name) for one in counts)
        for name in ("played", "found", "right", "in_order")
    )
    errors = np.concatenate([one.errors for one in counts])
    start, end = np.median(errors, axis=0)
    return [
        str(played),
        f"{right / max(found, 1):.2f}",
        f"{right / max(played, 1):.2f}",
        f"{in_order / max(played, 1):.2f}",
        f"{start:.1f}",
        f"{end:.1f}",
        f"{np.quantile(errors, 0.9):.1f}",
    ]


if __name__ == "__main__":
    main()
