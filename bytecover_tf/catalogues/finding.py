"""What is to be indexed: the recordings in folders and in a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bytecover_tf.catalogues.tags import TAG_NAMES
from bytecover_tf.data import manifest as manifests
from bytecover_tf.data.files import Found, search_all
from bytecover_tf.errors import DataError


@dataclass
class Files:
    """What is to be indexed.

    Attributes:
        paths: of the recordings, absolute.
        works: label of the composition by path, for what a manifest lists.
        facts: by path, what the manifest says in columns named like fields of `Tags`.
        found: what the folders hold, including what is left out.
    """

    paths: list[str]
    works: dict[str, str]
    facts: dict[str, dict[str, str]]
    found: Found


def find_files(
    folders: Iterable[str | Path],
    manifest: Path | None = None,
    may_be_empty: bool = False,
) -> Files:
    """Look for recordings in folders and in a manifest.

    Args:
        folders: folders or single files.
        manifest: as `bytecover_tf.data.manifest` reads it.
        may_be_empty: whether it is no error if there are none.

    Raises:
        DataError: a folder is missing, the manifest is malformed, or there are no
            recordings.
    """
    works, facts = {}, {}
    if manifest is not None:
        for track in manifests.load(manifest, may_lack_files=True):
            works[os.path.abspath(track.path)] = track.work
        columns = manifests.load_columns(manifest, TAG_NAMES)
        facts = {os.path.abspath(path): told for path, told in columns.items()}
    folders = list(folders)
    for folder in folders:
        if not os.path.exists(folder):
            raise DataError(f"{folder}: expected a folder or a file, found none")
    found = search_all(folders)
    paths = [*works, *(os.path.abspath(path) for path in found.recordings)]
    if not paths and not may_be_empty:
        reasons = [f"{path}: {reason}" for path, reason in found.unreadable.items()]
        raise DataError(
            f"{', '.join(map(str, folders))}: expected recordings, found none"
            + "".join(f"; {reason}" for reason in reasons)
        )
    return Files(list(dict.fromkeys(paths)), works, facts, found)
