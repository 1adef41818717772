"""Features of the embedded data set: those of training works are drawn on first use.

The package has rendered features of the test works, and the scores of all others. From
these their versions are drawn with their notes (`synth.drawing`), on all cores, into a
folder of the user's cache. That takes half a minute, and a fiftieth of the room in the
package that drawn features would take.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.files import lock, user_cache
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.stores.note_store import NoteWriter, add_with_notes
from bytecover_tf.stores.process_map import ProcessMap
from bytecover_tf.synth import drawing, playing, scores
from bytecover_tf.synth.drawing.spectral import draw_with_score
from bytecover_tf.synth.playing.versions import Version, arranged, read_versions
from bytecover_tf.terminal import warn

_TESTED = Frontend(pool=20)


def is_fit(frontend: Frontend) -> bool:
    """Tell whether the embedded data set has such features."""
    pool = _TESTED.pool
    return frontend.pool % pool == 0 and replace(frontend, pool=pool) == _TESTED


def store(frontend: Frontend, tracks: Sequence[Track]) -> Path:
    """Return a feature store of embedded tracks; draw it unless it is there.

    Args:
        frontend: parameters of its features.
        tracks: the tracks that it must have.

    Raises:
        DataError: the data set has no such features.
        OSError: the user's cache cannot be written.
    """
    if not is_fit(frontend):
        raise DataError(
            f"the data set tunes has features of {_TESTED.n_bins} bins, averaged over "
            f"{_TESTED.pool} frames or a multiple of that; expected were {frontend}"
        )
    if frontend == _TESTED and all(track.split == "test" for track in tracks):
        return tunes.STORE
    folder = user_cache() / f"tunes-{_fingerprint()}-pool{frontend.pool}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder.with_name("tunes.lock"), wait=True):
            if not folder.exists():
                _make(folder, frontend)
    return folder


def sample(count: int, frontend: Frontend) -> list[np.ndarray]:
    """Draw some training recordings, without their notes, and keep nothing.

    Args:
        count: number of recordings.
        frontend: parameters of their features.

    Returns:
        Float arrays (n_bins, T).

    Raises:
        ConfigError: nothing can be drawn in such frames.
    """
    trained = [v for v in _versions(tunes.SCORES).values() if v.split == "train"]
    chosen = trained[:: len(trained) // count][:count]
    return [draw(version, frontend)[0] for version in chosen]


def draw(version: Version, frontend: Frontend) -> tuple[np.ndarray, np.ndarray]:
    """Draw a version: features (n_bins, T) and notes (2, n_bins, T)."""
    performance, _, rng = arranged(version)
    return draw_with_score(performance, frontend, rng)


def _make(folder: Path, frontend: Frontend) -> None:
    """Write a store of all embedded tracks with their notes."""
    names = list(_versions(tunes.SCORES))
    warn(f"drawing {len(names)} recordings of the data set tunes, once: {folder}")
    processes = ProcessMap(partial(_draw_named, tunes.SCORES, frontend))
    drawn = dict(
        progress_bar(
            processes.map(names), total=len(names), unit="recording", desc="drawn"
        )
    )
    packed = FeatureStore(tunes.STORE)
    beside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    with (
        FeatureStoreWriter(beside, frontend) as writer,
        NoteWriter(beside, frontend.n_bins) as notes,
    ):
        for track in tunes.load():
            if track.path not in drawn:
                entry = packed.entry(track.path)
                cqt = packed.features(track.path)
                features = frontend.from_cqt(cqt, _TESTED.pool, track.path)
                entry = writer.add(track.path, entry.key, features)
                # Nobody is to learn from the notes of test works.
                notes.add(entry, np.zeros((2, frontend.n_bins, entry.frames)))
                continue
            result = drawn[track.path]
            if isinstance(result, str):
                raise DataError(result)
            add_with_notes(writer, notes, track.path, *result)
    beside.rename(folder)


def _draw_named(
    path: Path, frontend: Frontend, name: str
) -> tuple[np.ndarray, np.ndarray]:
    return draw(_versions(path)[name], frontend)


@cache
def _versions(path: Path) -> dict[str, Version]:
    return {version.id: version for version in read_versions(path)}


def _fingerprint() -> str:
    """Return digits that change with the scores and with the code that draws them."""
    digest = hashlib.sha256(tunes.SCORES.read_bytes())
    for package in (scores, playing, drawing):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
