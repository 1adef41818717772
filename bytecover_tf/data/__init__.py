"""Data sets as lists of `Track`, each read by the module named after it."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

__all__ = ["DATASETS", "Track", "load_dataset", "read_tracks"]

DATASETS = {
    name: f"bytecover_tf.data.{name}"
    for name in (
        "tunes",
        "packed",
        "shs100k",
        "shs100k2",
        "covers80",
        "datacos",
        "youtube350",
        "discogs_vi",
        "lyriccovers",
        "coversbr",
        "folder",
        "manifest",
    )
}
"""The module behind each data set's name."""


def load_dataset(
    name: str, root: str | os.PathLike[str] | None = None, **options: Any
) -> list[Track]:
    """Read a data set's tracks.

    Args:
        name: a key of `DATASETS`.
        root: the folder that holds the data set, or the file for `manifest`. Only
            `tunes`, which comes with the package, can do without.
        **options: further arguments of that module's `load`.

    Returns:
        Its tracks.

    Raises:
        DataError: if the name is unknown, the root is missing, or what lies there
            is malformed.
    """
    if name not in DATASETS:
        raise DataError(
            f"data set {name!r} is unknown; expected one of {', '.join(DATASETS)}"
        )
    if root is None and name != "tunes":
        raise DataError(f"data set {name!r}: expected the path where it lies")
    load = import_module(DATASETS[name]).load
    return cast(list[Track], load(None if root is None else Path(root), **options))


def read_tracks(
    name: str, root: str | os.PathLike[str] | None, split_seed: int | None
) -> list[Track]:
    """Read a data set's tracks, and divide its works if that is asked for.

    Args:
        name: as for `load_dataset`.
        root: likewise.
        split_seed: seed of the division; None for data that comes with a split, and
            to have all in `test`.

    Raises:
        DataError: as of `load_dataset`, or there are too few works, or the data has a
            split of its own, which is not to be lost.
    """
    from bytecover_tf.data.split import by_work

    tracks = load_dataset(name, root)
    if split_seed is None:
        return tracks
    if any(track.split != "test" for track in tracks):
        raise DataError(
            f"data set {name!r}: has a split of its own; leave out --split-seed"
        )
    return by_work(tracks, seed=split_seed)
