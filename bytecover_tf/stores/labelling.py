"""Labelling of recordings with a teacher's notes, in parallel and resumable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.teacher import HOP, SAMPLE_RATE, Teacher, teacher_file
from bytecover_tf.errors import explain
from bytecover_tf.files import content_hash
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.labelled_store import (
    FRONTENDS,
    LabelledFeatures,
    LabelledRecording,
    LabelledStoreWriter,
)
from bytecover_tf.stores.process_map import ProcessMap


@dataclass
class LabellingReport:
    """What a labelling did.

    Attributes:
        labelled: number of recordings added.
        present: number of files whose content was in the store already.
        failed: reason by path, for each recording that was skipped.
    """

    labelled: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def label_files(
    paths: Iterable[str | Path],
    store: str | Path,
    collection: str,
    role: str = "train",
    workers: int | None = None,
    allow_truncated: bool = False,
) -> LabellingReport:
    """Add files to a store of labelled recordings.

    A recording's id is made from its content, so content that the store has is not
    labelled again, whatever its file is called. Files that cannot be used are reported
    and skipped. Each recording is on disk as soon as it is labelled, so an interrupted
    labelling continues where it stopped.

    Args:
        paths: audio files.
        store: folder of the store, made if there is none.
        collection: what the list calls their set.
        role: what it says they are for.
        workers: processes; by default one per core.
        allow_truncated: whether to take what is there of truncated files.

    Returns:
        What was done and what failed.

    Raises:
        ConfigError: the teacher is not installed.
        StoreError: another process is writing to the store, or it is damaged.
    """
    teacher_file()  # without it, every file would fail
    report = LabellingReport()
    todo = list(dict.fromkeys(os.path.abspath(path) for path in paths))
    with (
        LabelledStoreWriter(store) as writer,
        progress_bar(total=len(todo), unit="file", desc="labels") as bar,
    ):
        label = Labeller(writer.ids, allow_truncated)
        for path, result in ProcessMap(label, workers).map(todo):
            bar.update()
            if isinstance(result, str):
                report.failed[path] = result
                bar.set_postfix(failed=len(report.failed))
            elif result.features is None or result.id in writer:
                report.present += 1
            else:
                writer.add(
                    LabelledRecording(
                        id=result.id,
                        set=collection,
                        role=role,
                        work=Path(path).stem,
                        kind="full",
                        seconds=result.seconds,
                        source=os.path.dirname(path),
                        name=os.path.basename(path),
                    ),
                    result.features,
                )
                report.labelled += 1
    return report


@dataclass(frozen=True)
class Labelled:
    """What was heard in a file.

    Attributes:
        id: the first 12 digits of the SHA-256 of its content.
        seconds: its length.
        features: with the labels, or None if this content was known already.
    """

    id: str
    seconds: float
    features: LabelledFeatures | None


@dataclass(frozen=True)
class Labeller:
    """Turns a path into labelled features, in any process.

    Attributes:
        known: ids of content that needs no labels.
        allow_truncated: whether to take what is there of a truncated file.
    """

    known: frozenset[str] = frozenset()
    allow_truncated: bool = False

    def __call__(self, path: str) -> Labelled | str:
        """Return what was heard, or the reason why nothing could be."""
        try:
            return self._label(path)
        except Exception as error:  # one bad file must not stop a batch
            return explain(error, path)

    def _label(self, path: str) -> Labelled:
        id = content_hash(path)[:12]
        if id in self.known:
            return Labelled(id, 0, None)
        samples = load_audio(path, SAMPLE_RATE, self.allow_truncated)
        features = label_samples(samples, _teacher(), path)
        return Labelled(id, len(samples) / SAMPLE_RATE, features)


def label_samples(
    samples: np.ndarray, teacher: Teacher, name: str = "waveform"
) -> LabelledFeatures:
    """Return the features of a recording and the notes that the teacher hears.

    Args:
        samples: float array (samples,) at 22 050 Hz.
        teacher: gives the labels.
        name: what an error message calls the recording.

    Raises:
        AudioError: the samples are not finite, silent, or shorter than 0.1 s.
        StoreError: what the teacher says is not finite.
    """
    cqt = {key: frontend.features(samples, name) for key, frontend in FRONTENDS.items()}
    frontend = FRONTENDS["cqt12"]
    size = frontend.pool * frontend.hop_length // HOP
    count = cqt["cqt12"].shape[1]
    notes, onsets = (
        heard.reshape(len(heard), count, size).mean(axis=2)
        for heard in teacher.listen(samples, count * size)
    )
    return LabelledFeatures.of(**cqt, notes=notes, onsets=onsets, name=name)


@cache
def _teacher() -> Teacher:
    # One thread each: the processes already use all cores.
    return Teacher(threads=1)
