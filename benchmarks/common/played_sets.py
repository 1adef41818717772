"""Sets of recordings of a catalogue and of others, as a disc jockey plays them.

Most songs of a set are of the catalogue, played in another key and in a tempo that
drifts, some in another room and on another medium; others are of recordings that it
does not hold. Some songs are faded into one another, some are parted by talk or by a
noise like applause; there are medleys of short parts, and songs that are played twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.heard import heard
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.data.files import recordings
from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE, record, release
from bytecover_tf.synth.sound.takes import Take, play

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


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `SetMaker.of` reads: the catalogue, other recordings, talk, a seed."""
    parser.add_argument("--catalogue", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--others", type=Path, required=True, help="recordings that it does not hold"
    )
    parser.add_argument("--talk", type=Path, required=True, help="recordings of speech")
    parser.add_argument("--seed", type=int, default=0)


class SetMaker:
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

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        options: argparse.Namespace,
        covers: Mapping[str, Path] | None = None,
    ) -> SetMaker:
        """Return the maker of sets that a benchmark's options ask for.

        Args:
            catalogue: its recordings are played, but for those of works with a cover.
            options: of a parser with `add_set_arguments`.
            covers: a file that plays a work of the catalogue, by the label of the work.
        """
        covers = covers or {}
        held = sorted(catalogue.recordings(), key=lambda one: one.path)
        known = [
            one
            for one in held
            if one.duration >= MEDLEY_SECONDS[0] and one.work not in covers
        ]
        talk = [load_audio(path, SAMPLE_RATE) for path in recordings(options.talk)]
        others, rng = [*heard(options.others)], np.random.default_rng(options.seed)
        return cls(known, others, np.concatenate(talk), rng, covers)

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
