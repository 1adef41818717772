"""How soon, and how surely, does `monitor` tell which song is played?

    python -m benchmarks.accuracy.monitor --catalogue FOLDER --others DIR --talk DIR

Streams are the sets of `benchmarks.common.played_sets`, heard in blocks as they come.
A song that is told is right if it is played, or was until at most `LATE` seconds ago.
The delay is the time from the true beginning of a song to the moment of the stream at
which it was told first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.common.played_sets import Played, SetMaker, add_set_arguments
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.catalogues.opening import open_with_encoder
from bytecover_tf.matching.calibration import calibration_for
from bytecover_tf.matching.monitoring import LEAST, WINDOW_SECONDS, Change, changes
from bytecover_tf.progress import progress_bar
from bytecover_tf.synth.sound.sound_effects import SAMPLE_RATE

# A window that still holds the song before.
LATE = WINDOW_SECONDS


@dataclass(frozen=True)
class Told:
    """What was told of one stream.

    Attributes:
        played: songs of the catalogue in it.
        told: times that a song was told.
        right: of these, times that it was played.
        delays: of each song that was told at all, in seconds.
    """

    played: int
    told: int
    right: int
    delays: Sequence[float]


def judge(played: Sequence[Played], told: Sequence[Change]) -> Told:
    """Compare what was told of a stream with what was played."""
    songs = [change for change in told if change.match]

    def is_of(song: Played, change: Change) -> bool:
        assert change.match is not None
        is_then = song.start <= change.at <= song.end + LATE
        return is_then and change.match.recording.work == song.work

    right = sum(any(is_of(song, each) for song in played) for each in songs)
    delays = [
        min(each.at - song.start for each in songs if is_of(song, each))
        for song in played
        if any(is_of(song, each) for each in songs)
    ]
    return Told(len(played), len(songs), right, delays)


def blocks(sound: np.ndarray, seconds: float = 1.0) -> Iterator[np.ndarray]:
    """Yield a sound as a stream brings it."""
    size = round(seconds * SAMPLE_RATE)
    for start in range(0, len(sound), size):
        yield sound[start : start + size]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_set_arguments(parser)
    parser.add_argument("--streams", type=int, default=3, help="number of streams")
    parser.add_argument("--minutes", type=float, default=15.0, help="length of each")
    options = parser.parse_args()
    found: list[Told] = []
    catalogue, encoder = open_with_encoder(str(options.catalogue))
    if encoder.frontend.sample_rate != SAMPLE_RATE:
        parser.error(f"expected an encoder that hears {SAMPLE_RATE} Hz")
    with catalogue:
        calibration = calibration_for(catalogue.identity)
        held = catalogue.count()
        maker = SetMaker.of(catalogue, options)
        for _ in progress_bar(range(options.streams), unit="stream"):
            sound, played = maker.make(options.minutes * 60)
            told = list(changes(catalogue, encoder, blocks(sound), calibration))
            found.append(judge(played, told))
            print(found[-1], flush=True)
    played, told_of, right = (
        sum(getattr(one, name) for one in found) for name in ("played", "told", "right")
    )
    delays = [delay for one in found for delay in one.delays]
    low, middle, high = np.quantile(delays or [np.nan], (0.1, 0.5, 0.9))
    cells = [
        str(played),
        f"{len(delays) / max(played, 1):.2f}",
        str(told_of),
        f"{right / max(told_of, 1):.2f}",
        f"{middle:.0f}",
        f"{low:.0f} to {high:.0f}",
    ]
    write_section(
        "calibration",
        "Monitor",
        command_of("accuracy.monitor", parser, options),
        f"{len(found)} streams of {options.minutes:g} minutes, made of recordings of a "
        f"library of {held} and of others. A song is told from a probability of "
        f"{LEAST:g} on. A song told is right if it is played, or was until "
        f"{LATE:.0f} s ago.\n\n" + table(HEADER, [cells]),
    )


HEADER = [
    *("songs played", "of them told", "times a song was told", "of them right"),
    *("median delay (s)", "tenths at both ends (s)"),
]


if __name__ == "__main__":
    main()
