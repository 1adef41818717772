"""Draw recordings whose melody is known, to train the network that hears notes.

    python -m bytecover_tf.synth.draw_melodies --out DIR --pop909 pop909.zip
        --recordings labelled

The command draws versions of works, as `bytecover_tf.synth.draw` does, and versions of
what was heard in labelled recordings, in other keys and tempos and by other players.
The result is a store of labelled recordings with features and the exact melody: train
with `python -m bytecover_tf.train_hearing --labelled labelled DIR`. What cannot be
drawn is named and skipped. A run that was killed continues where it stopped.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from bytecover_tf import cli
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.cli.repertoire import add_repertoire_options, read_works
from bytecover_tf.errors import DataError, explain
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.labelled_store import (
    FRONTENDS,
    HEARD_PITCHES,
    PITCHES,
    LabelledFeatures,
    LabelledRecording,
    LabelledStore,
    LabelledStoreWriter,
)
from bytecover_tf.stores.process_map import ProcessMap
from bytecover_tf.synth.drawing.spectral import draw_features, draw_score
from bytecover_tf.synth.playing.cover import cover
from bytecover_tf.synth.playing.performance import Performance
from bytecover_tf.synth.playing.reperform import reperform
from bytecover_tf.synth.playing.transcribe import Transcription, transcribe
from bytecover_tf.synth.scores.works import Work

SET = "drawn"

_FRONTEND = FRONTENDS["cqt36"]
_SECONDS = _FRONTEND.seconds_per_frame
# One bin for each labelled pitch, from A0 up.
_KEYS = Frontend(pool=_FRONTEND.pool, n_bins=PITCHES, fmin=27.5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = cli.parser("synth.draw_melodies", __doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the store")
    add_repertoire_options(
        parser,
        "work and recording",
        "the order of works and of the versions of recordings",
    )
    parser.add_argument(
        "--recordings",
        nargs="+",
        type=LabelledStore,
        default=[],
        metavar="STORE",
        help="stores of labelled recordings; versions of their training recordings are "
        "drawn too",
    )
    options = parser.parse_args(arguments)
    cli.require_extra("synth", "music21", "mido")

    works = read_works(options, options.out)
    report = draw(
        [*map(FromScores, works), *heard_in(options.recordings, options.seed)],
        options.out,
        options.versions,
        options.workers,
    )
    for reason in report.failed:
        cli.warn(reason)
    print(
        f"{report.drawn} versions drawn, {report.present} were there, "
        f"{len(report.failed)} failed: {options.out}"
    )
    return cli.status_of(len(report.failed), report.drawn + report.present)


@dataclass(frozen=True)
class FromScores:
    """A work as a source of versions."""

    work: Work

    @property
    def id(self) -> str:
        """Names its versions."""
        return f"score-{self.work.id}"

    def perform(self, number: int) -> tuple[Performance, np.random.Generator]:
        """Return a version, and the generator for the rest of its random choices."""
        return cover(self.work, number)

    def described(self, number: int) -> dict[str, str]:
        """Return what the store says of a version."""
        score = self.work.scores[number % len(self.work.scores)]
        work = self.work.scores[0].title
        return {"work": work, "source": score.collection, "name": score.title}


@dataclass(frozen=True)
class FromRecording:
    """A labelled recording as a source of versions.

    Attributes:
        store: where it is.
        recording: its line there.
        seed: of its versions.
    """

    store: LabelledStore
    recording: LabelledRecording
    seed: int

    @property
    def id(self) -> str:
        """Names its versions."""
        return f"heard-{self.recording.id}"

    def perform(self, number: int) -> tuple[Performance, np.random.Generator]:
        """Return a version, and the generator for the rest of its random choices."""
        seed = f"{self.seed}/{self.recording.id}/{number}".encode()
        rng = np.random.default_rng(zlib.crc32(seed))
        return reperform(self._transcription, rng), rng

    def described(self, number: int) -> dict[str, str]:
        """Return what the store says of a version."""
        one = self.recording
        return {"work": one.work, "source": one.source, "name": one.name}

    @cached_property
    def _transcription(self) -> Transcription:
        features = self.store.features(self.recording)
        if features.notes is None or features.onsets is None:
            raise DataError("its notes are not labelled")
        melody = np.zeros(features.notes.shape, np.float32)
        if features.melody is not None:
            melody[:] = features.melody
        else:
            # Two frames in one.
            heard = DEFAULT_HEARING.hear(features.amplitudes("cqt36"))[2]
            frames = np.repeat(heard, 2, axis=1)
            melody[HEARD_PITCHES, : frames.shape[1]] = frames
        return transcribe(features.notes / 255, features.onsets / 255, melody, _SECONDS)


Source = FromScores | FromRecording


def heard_in(stores: Iterable[LabelledStore], seed: int) -> list[FromRecording]:
    """Return the recordings of stores that are there to train on.

    Those that `train_hearing` may hold out are none of them: their versions would be
    trained on.
    """
    return [
        FromRecording(store, recording, seed)
        for store in stores
        for recording in store
        if recording.role == "train" and not recording.is_spared
    ]


@dataclass
class DrawingReport:
    """What a run did.

    Attributes:
        drawn: number of versions added.
        present: number that the store had already.
        failed: reason for each version, or each source, that was skipped.
    """

    drawn: int = 0
    present: int = 0
    failed: list[str] = field(default_factory=list)


def draw(
    sources: Sequence[Source], out: Path, versions: int, workers: int | None = None
) -> DrawingReport:
    """Add versions of sources to a store of labelled recordings.

    Args:
        sources: what is played; no two have the same id.
        out: the store's folder.
        versions: number of versions of each.
        workers: processes; by default one per core.

    Returns:
        What was done and what failed.

    Raises:
        StoreError: another process is writing to the store, or it is damaged.
        DataError: the store has versions of something else under these names.
    """
    report = DrawingReport()
    with LabelledStoreWriter(out) as writer:
        for source in sources:
            _check_same(writer, source, versions)
        missing = {
            source.id: [
                number
                for number in range(versions)
                if f"{source.id}-{number}" not in writer
            ]
            for source in sources
        }
        report.present = sum(versions - len(numbers) for numbers in missing.values())
        todo = [id for id, numbers in missing.items() if numbers]
        drawer = Drawer({source.id: source for source in sources}, missing)
        with progress_bar(total=len(todo), unit="source", desc="drawn") as bar:
            for _, result in ProcessMap(drawer, workers).map(todo):
                bar.update()
                if isinstance(result, str):
                    report.failed.append(result)
                    continue
                drawn = [one for one in result if not isinstance(one, str)]
                report.failed += [one for one in result if isinstance(one, str)]
                report.drawn += len(drawn)
                writer.add_all(drawn)
    return report


def _check_same(writer: LabelledStoreWriter, source: Source, versions: int) -> None:
    for number in range(versions):
        there = writer.find(f"{source.id}-{number}")
        here = source.described(number)
        if there and here != {name: getattr(there, name) for name in here}:
            raise DataError(
                f"{writer.path}: {there.id} is {there.name} ({there.source}) there and "
                f"{here['name']} ({here['source']}) now, as of other scores or another "
                "--seed; name another --out"
            )


Drawn = tuple[LabelledRecording, LabelledFeatures]


@dataclass(frozen=True)
class Drawer:
    """Draws versions of a source, in any process.

    Attributes:
        sources: by id.
        missing: numbers of the versions to draw, by the source's id.
    """

    sources: dict[str, Source]
    missing: dict[str, list[int]]

    def __call__(self, id: str) -> list[Drawn | str]:
        """Return each version, or the reason why there is none."""
        return [self._version(self.sources[id], number) for number in self.missing[id]]

    def _version(self, source: Source, number: int) -> Drawn | str:
        name = f"{source.id}-{number}"
        try:
            performance, rng = source.perform(number)
            features = draw_labelled(performance, rng, name)
        except Exception as error:  # one bad source must not stop a batch
            reason = explain(error, name)
            return reason if reason.startswith(name) else f"{name}: {reason}"
        seconds = features.cqt36.shape[1] * _SECONDS
        described = source.described(number)
        return LabelledRecording(
            name, SET, "train", kind="melody", seconds=seconds, **described
        ), features


def draw_labelled(
    performance: Performance, rng: np.random.Generator, name: str
) -> LabelledFeatures:
    """Return the features of one of many recordings of a performance, and its melody.

    Args:
        performance: what is played.
        rng: source of the recording.
        name: what an error message calls it.

    Raises:
        DataError: the performance has no notes.
    """
    lead_in = float(rng.uniform(0.0, 2.0))
    # From the same state, so that both transforms last equally long.
    state = rng.bit_generator.state
    cqt = {}
    for key, frontend in FRONTENDS.items():
        rng.bit_generator.state = state
        cqt[key] = draw_features(performance, frontend, rng, lead_in)
    shares, _ = draw_score(performance, _KEYS, lead_in, cqt["cqt36"].shape[1])
    return LabelledFeatures.of(**cqt, melody=shares > 0.5, name=name)


if __name__ == "__main__":
    cli.run(main, continues=True)
