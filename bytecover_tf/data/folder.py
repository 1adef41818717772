"""A plain folder: one subfolder a work, one file a recording.

    <root>/<work>/<recording>.<ext>

or, with a split of its own, these three folders at the top and no others with
recordings:

    <root>/train/<work>/<recording>.<ext>
    <root>/validation/<work>/<recording>.<ext>
    <root>/test/<work>/<recording>.<ext>
"""

from pathlib import Path
from typing import get_args

from bytecover_tf.data import files
from bytecover_tf.data.track import Split, Track
from bytecover_tf.errors import DataError

_SPLITS: tuple[Split, ...] = get_args(Split)


def load(root: Path) -> list[Track]:
    """Read every recording under a folder.

    Audio of any format and `.npy` features count; other files are ignored.

    Args:
        root: the folder.

    Returns:
        Tracks, sorted, whose id is the path below `root`. Without a split of its own
        all are in `test`; `split.by_work` divides them for training.

    Raises:
        DataError: if there is no recording, one lies elsewhere than in the folder of
            a work, or the folders of a split are not complete.
    """
    root = files.existing_folder(root)
    top = {path.name for path in _subfolders(root)}
    if top > set(_SPLITS):  # such as a folder of notebooks
        top = {name for name in top if name in _SPLITS or _may_hold(root / name)}
    if top == set(_SPLITS):
        tracks = [track for split in _SPLITS for track in _read(root, split)]
    elif top & set(_SPLITS):
        raise DataError(
            f"{root}: expected either the folders {', '.join(_SPLITS)} and no others, "
            f"or none of them; found {', '.join(sorted(top))}"
        )
    else:
        tracks = _read(root)
    if not tracks:
        raise DataError(f"{root}: expected <work>/<recording>.<ext>, found none")
    return tracks


def _read(root: Path, split: Split | None = None) -> list[Track]:
    top = root / split if split else root
    for path in top.iterdir():
        if path.is_file() and files.is_recording(path):
            raise DataError(f"{path}: expected recordings in the folder of their work")
    tracks = []
    for work in _subfolders(top):
        for path in files.recordings(work):
            if path.parent != work:
                raise DataError(
                    f"{path}: expected <work>/<recording>.<ext> in {top}, found a "
                    "folder below the work's"
                )
            track_id = path.relative_to(root).as_posix()
            label = files.composed(work.name)
            tracks.append(Track(track_id, label, str(path), split or "test"))
    return tracks


def _may_hold(folder: Path) -> bool:
    """Whether a folder holds recordings, for all that can be seen."""
    found = files.search(folder)
    return bool(found.recordings or found.unreadable)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir()
        and not files.is_rubbish_folder(path.name)
        and not (path / "store.json").exists()  # their features
    )
