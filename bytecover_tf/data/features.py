"""The features of a data set: where they are stored, and how a command gets them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import drawn_tunes, tunes
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.stores.extraction import (
    extract_features,
    has_changed,
    print_failures,
)
from bytecover_tf.stores.feature_store import FeatureStore


def open_features(
    tracks: Sequence[Track],
    store: Path,
    frontend: Frontend,
    workers: int | None = None,
    source_pool: int | None = None,
    allow_truncated: bool = False,
) -> tuple[list[Track], FeatureStore]:
    """Return the store with all of the tracks' features, extracting what it lacks.

    Features of files that have changed are extracted again; those of files that are
    gone are kept.

    Args:
        tracks: the recordings.
        store: folder of the feature store.
        frontend: parameters that the features must have.
        workers: processes for the extraction.
        source_pool: how many frames a column of `.npy` recordings averages; None for
            what the store says, and 1 for recordings that it lacks.
        allow_truncated: whether to take what is there of truncated files.

    Returns:
        The tracks that have features, and the store. The others have been named on
        standard error.

    Raises:
        DataError: no track has features.
        FrontendMismatch: the store has other parameters.
        StoreError: the store is damaged or busy.
    """
    todo = [track.path for track in tracks]
    if (store / "store.json").exists():
        opened = FeatureStore(store)
        frontend.check_same(opened.frontend, str(store))
        entries = [opened.find(path) for path in todo]
        todo = [
            path
            for path, entry in zip(todo, entries, strict=True)
            if entry is None or has_changed(entry, source_pool)
        ]
        if not todo:
            return list(tracks), opened
    report = extract_features(
        todo, store, frontend, workers, source_pool, allow_truncated
    )
    print_failures(report)
    opened = FeatureStore(store)
    usable = [
        track for track in tracks if os.path.abspath(track.path) not in report.failed
    ]
    if not usable:
        raise DataError(f"{store}: none of {len(tracks)} recordings could be used")
    return usable, opened


def default_store(
    name: str, root: Path | None, frontend: Frontend, tracks: Sequence[Track]
) -> Path:
    """Return where a data set's features lie unless said otherwise.

    Those of the embedded data set are drawn unless they are there.

    Args:
        name: name of the data set.
        root: folder of the data set, or the file of a manifest.
        frontend: parameters of the features.
        tracks: the recordings.

    Raises:
        DataError: the data set needs a folder, or the embedded one has no such
            features.
    """
    if name == "tunes" and root is None:
        return drawn_tunes.store(frontend, tracks)
    if root is None:
        raise DataError(f"--data {name} needs --data-root")
    if name in ("packed", "tunes"):
        return root / tunes.STORE.name
    folder = root if root.is_dir() else root.parent
    return folder / f"features-{frontend.hash}"
