"""Make a training set from your own recordings: several versions of each.

    python -m bytecover_tf.synth.rerecord --recordings MUSIC --out DIR

Each recording becomes a work. The command takes a passage of it and makes versions that
another player might have recorded elsewhere: in another key and tempo, cut, in another
room, on another medium. Only their features are kept. The notes that the encoder hears
in the passage itself serve as the score of all versions, so that a network in training
learns to hear them in spite of the changes.

DIR may be a set that `bytecover_tf.synth.draw` has drawn; the recordings then join it.
Train with `--data packed --data-root DIR`. Files that cannot be used are named and
skipped. A run that was killed continues where it stopped.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bytecover_tf import cli
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import files
from bytecover_tf.encoders.pretrained import DEFAULT
from bytecover_tf.errors import AudioError, ConfigError, DataError, explain
from bytecover_tf.files import content_hash
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import FeatureStoreWriter
from bytecover_tf.stores.note_store import (
    NoteWriter,
    add_with_notes,
    has_notes,
    remove_unscored,
)
from bytecover_tf.stores.process_map import ProcessMap
from bytecover_tf.synth.scores.works import drawn_split, join_csv, track_row
from bytecover_tf.synth.sound.sound_effects import (
    SAMPLE_RATE,
    record,
    release,
    write_sound,
)
from bytecover_tf.synth.sound.takes import draw_take, play

PREFIX = "recording-"
COLLECTION, RIGHTS = "recordings", "those of the recording"
# What is taken of a recording.
PASSAGE_SECONDS, SHORTEST_SECONDS = 85.0, 20.0
# Recordings made in a room of their own; the others are as they were mixed.
ANOTHER_ROOM = 0.7
WITH_BACKGROUND = 0.4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = cli.parser("synth.rerecord", __doc__)
    parser.add_argument(
        "--recordings", type=Path, required=True, help="a folder of music"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the data set"
    )
    parser.add_argument(
        "--versions",
        type=cli.positive_int,
        default=4,
        help="number of versions of each recording",
    )
    parser.add_argument(
        "--noise",
        type=Path,
        metavar="DIR",
        help="folder of sounds that may be laid under the music: crowds, rain, traffic",
    )
    parser.add_argument(
        "--sound",
        type=Path,
        metavar="DIR",
        help="folder for the versions as FLAC files, to listen to",
    )
    cli.add_encoder_argument(parser, "; it must have a note layer", default=DEFAULT)
    cli.add_seed_argument(parser)
    parser.add_argument(
        "--workers",
        type=cli.positive_int,
        help="number of processes (default: one per core)",
    )
    options = parser.parse_args(arguments)
    cli.require_extra("synth", "pedalboard")
    cli.require_training()
    if options.versions < 2:
        parser.error(f"--versions: expected at least 2, received {options.versions}")

    paths = _music(options.recordings)
    noises = _usable(_music(options.noise)) if options.noise else ()
    hear, frontend = hearing(options.encoder)
    for folder in filter(None, (options.out, options.sound)):
        folder.mkdir(parents=True, exist_ok=True)
    make = Rerecorder(
        frontend, options.versions, noises, options.seed, sound=options.sound
    )
    report = rerecord(paths, options.out, make, hear, options.workers)
    print(f"{report.made} recordings made into works, {len(report.failed)} failed")
    return cli.status_of(len(report.failed), report.made)


def hearing(
    encoder: str | Path,
) -> tuple[Callable[[np.ndarray], np.ndarray], Frontend]:
    """Return a function that hears notes, and the frontend of the features it reads.

    Args:
        encoder: one with a `Salience` layer.

    Returns:
        A function from features (n_bins, T) to a score (2, n_bins, T), and their
        frontend.

    Raises:
        EncoderError: the encoder is missing, damaged or an ensemble.
        ConfigError: it hears no notes.
    """
    from keras import ops

    from bytecover_tf.encoders.model_file import encoder_file, load_single

    file = encoder_file(encoder)
    model, info = load_single(file)
    if model.salience is None:
        raise ConfigError(
            f"{file}: cannot hear notes, which is required here (no salience)"
        )

    def hear(features: np.ndarray) -> np.ndarray:
        heard = model.hear(features[None, ..., None].astype(np.float32))
        return ops.convert_to_numpy(heard)[0].transpose(2, 0, 1)

    return hear, Frontend.from_dict(info["frontend"])


@dataclass
class RerecordReport:
    """What a run did.

    Attributes:
        made: number of works that the set now has of the recordings.
        failed: reason by path, for each recording that was skipped.
    """

    made: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def rerecord(
    paths: Sequence[Path],
    out: Path,
    make: Rerecorder,
    hear: Callable[[np.ndarray], np.ndarray],
    workers: int | None = None,
) -> RerecordReport:
    """Add versions of recordings to a data set.

    Args:
        paths: the recordings. Of two with the same content one is taken.
        out: the data set's folder, empty or as `bytecover_tf.synth.draw` leaves it.
        make: makes the versions.
        hear: what is heard in features (n_bins, T), as a score (2, n_bins, T).
        workers: processes; by default one per core.

    Returns:
        What was done and what failed.

    Raises:
        FrontendMismatch: the data set has other features.
        DataError: it has no scores.
    """
    report = RerecordReport()
    titles: dict[str, str] = {}
    store = out / "store"
    with FeatureStoreWriter(store, make.frontend) as writer:
        if writer.keys and not has_notes(writer):
            raise DataError(f"{store}: expected a set with scores, found one without")
        with (
            NoteWriter(store, make.frontend.n_bins) as scores,
            progress_bar(total=len(paths), unit="file", desc="made anew") as bar,
        ):
            remove_unscored(writer, scores)
            make = replace(make, done=_complete(writer, scores, make.versions))
            for path, made in ProcessMap(make, workers).map(
                [str(path) for path in paths]
            ):
                bar.update()
                if isinstance(made, str):
                    report.failed[path] = made
                    print(f"skipped: {made}", file=sys.stderr)
                    continue
                # A name need not be valid UTF-8.
                title = os.fsencode(Path(path).stem).decode(errors="replace")
                titles[made.work] = title
                for number, (features, passage) in enumerate(made.versions):
                    name = f"{made.work}-{number}"
                    add_with_notes(writer, scores, name, features, hear(passage))
    report.made = len(titles)
    if titles:
        _list(out, titles, make.versions)
    return report


def _complete(
    writer: FeatureStoreWriter, scores: NoteWriter, versions: int
) -> frozenset[str]:
    """Return the works of which an earlier run made all versions."""
    last = f"-{versions - 1}"
    return frozenset(
        entry.source.removesuffix(last)
        for entry in writer.entries
        if entry.source.startswith(PREFIX)
        and entry.source.endswith(last)
        and entry in scores
    )


def _list(out: Path, titles: Mapping[str, str], versions: int) -> None:
    """Write works into `tracks.csv` and `sources.csv`, beside those that are there."""
    tracks = [
        track_row(f"{work}-{number}", work, drawn_split(int(work[-4:], 16)), title)
        for work, title in sorted(titles.items())
        for number in range(versions)
    ]
    sources = [
        {"work": work, "title": title, "collection": COLLECTION, "rights": RIGHTS}
        for work, title in sorted(titles.items())
    ]
    join_csv(out / "tracks.csv", tracks)
    join_csv(out / "sources.csv", sources)


def _music(folder: Path) -> list[Path]:
    found = [
        path
        for path in files.recordings(files.existing_folder(folder))
        if path.suffix.lower() != files.FEATURES
    ]
    if not found:
        raise DataError(f"{folder}: expected recordings, found none")
    return found


def _usable(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files that can be read; name the others."""
    usable = []
    for path in paths:
        try:
            load_audio(path, SAMPLE_RATE)
        except AudioError as error:
            print(f"skipped: {error}", file=sys.stderr)
        else:
            usable.append(path)
    return tuple(usable)


@dataclass(frozen=True)
class Rerecorded:
    """What was made of a recording.

    Attributes:
        work: its name, which follows from its content.
        versions: features (n_bins, T) of each, and those of what it was made of
            before it was recorded again. None if they had been made before.
    """

    work: str
    versions: list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Rerecorder:
    """Makes versions of a recording, in any process.

    Attributes:
        frontend: parameters of the features.
        versions: number of versions.
        noises: recordings, one of which may be heard below a version.
        seed: seed of all random choices, together with the recording's content.
        done: works of which nothing needs to be made.
        sound: a folder that gets the versions' sound, or None.
    """

    frontend: Frontend
    versions: int
    noises: tuple[Path, ...] = ()
    seed: int = 0
    done: frozenset[str] = frozenset()
    sound: Path | None = None

    def __call__(self, path: str) -> Rerecorded | str:
        """Return what was made from a file, or the reason why nothing could be."""
        try:
            work = PREFIX + content_hash(path)[:16]
            if work in self.done:
                return Rerecorded(work, [])
            return Rerecorded(work, list(self._versions(path, work)))
        except Exception as error:  # one bad file must not stop a batch
            return explain(error, path)

    def _versions(
        self, path: str, work: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng([self.seed, zlib.crc32(work.encode())])
        samples = load_audio(path, SAMPLE_RATE)
        seconds = len(samples) / SAMPLE_RATE
        if seconds < SHORTEST_SECONDS:
            raise AudioError(
                f"{path}: {seconds:.1f} s long, expected at least "
                f"{SHORTEST_SECONDS:.0f} s to make versions of"
            )
        length = min(len(samples), round(PASSAGE_SECONDS * SAMPLE_RATE))
        first = int(rng.integers(len(samples) - length + 1))
        passage = samples[first : first + length]
        for number in range(self.versions):
            # The first version stays as it is, because it is the most real one.
            played = play(passage, draw_take(rng)) if number else passage
            heard = self._recorded(played, rng) if number else passage
            if self.sound:
                write_sound(self.sound / f"{work}-{number}.flac", heard)
            features = self.frontend.features(heard, path)
            same = heard is played
            yield features, features if same else self.frontend.features(played, path)

    def _recorded(self, played: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < ANOTHER_ROOM:
            played = record(played, rng)
        background = None
        if self.noises and rng.random() < WITH_BACKGROUND:
            noise = self.noises[int(rng.integers(len(self.noises)))]
            background = load_audio(noise, SAMPLE_RATE)
        return release(played, rng, background)


if __name__ == "__main__":
    cli.run(main, continues=True)
