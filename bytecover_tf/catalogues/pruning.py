"""Removing recordings from a catalogue whose files are gone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.copies import Copies
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.errors import CatalogueError
from bytecover_tf.files import is_gone, nearest_folder

# It is no surprise if most of so few recordings are gone.
_FEW = 4


def prune(catalogue: Catalogue, folders: Iterable[str], even_many: bool = False) -> int:
    """Remove the recordings below some folders whose file is gone.

    A recording with a copy elsewhere stays and gets the path of the copy. A file that
    merely cannot be seen is not gone. A disk that is not mounted leaves
    an empty folder behind, so nothing is removed if a folder of recordings is empty
    now, or if most recordings are gone.

    Args:
        catalogue: to be pruned.
        folders: recordings elsewhere are kept, as their disk may not be mounted.
        even_many: whether to remove recordings in these cases too.

    Returns:
        The number of recordings removed.

    Raises:
        CatalogueError: so much is gone that a disk may not be mounted; nothing was
            removed.
    """
    tops = tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)
    below = [item for item in catalogue.recordings() if item.path.startswith(tops)]
    gone = [recording for recording in below if is_gone(recording.path)]
    if not even_many:
        _check_meant(catalogue.address, gone, len(below))
    copies = Copies(catalogue.address)
    with catalogue.writing():
        # Another process may have found some elsewhere.
        paths = {recording.id: recording.path for recording in catalogue.recordings()}
        gone = [one for one in gone if paths.get(one.id) == one.path]
        moved = [copy for one in gone if (copy := copies.another(one))]
        catalogue.update(moved)
        removed = {one.id for one in gone} - {one.id for one in moved}
        catalogue.remove([*removed])
    return len(removed)


def _check_meant(address: str, gone: Sequence[Recording], among: int) -> None:
    """Refuse a removal that looks as if a disk were not mounted."""
    emptied = {nearest_folder(recording.path) for recording in gone}
    emptied = {folder for folder in emptied if not os.listdir(folder)}
    reasons = [f"{folder} is empty now" for folder in sorted(emptied)]
    if len(gone) > _FEW and 2 * len(gone) > among:
        reasons.append(f"{len(gone)} of {among} recordings are gone")
    if reasons:
        raise CatalogueError(
            f"{address}: nothing was removed, because a disk may not be mounted: "
            f"{'; '.join(reasons)}. If they are gone for good, add --prune-many"
        )
