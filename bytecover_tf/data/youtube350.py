"""YouTube350: 50 compositions in 7 recordings each, two of them original.

Silva, Souza and Batista, "Music shapelets for fast cover song recognition", ISMIR
2015. The audio is not published. The names are those of TPPNet and CQT-Net
(github.com/yzspku), whose protocol the ByteCover paper follows:

    <work>_<version>.<ext>    both numbers; versions 0 to 4 are the covers, 5 and 6
                              the originals

That code changes versions below 5 as queries, and ranks 250 queries against 100
references, which shows that versions 5 and 6 are the originals. `load` takes others as
`originals`.
"""

import logging
import re
from collections import Counter
from pathlib import Path

from bytecover_tf.data import files
from bytecover_tf.data.track import Role, Track
from bytecover_tf.errors import DataError

_COUNTS: Counter[Role] = Counter({"reference": 100, "query": 250})

_log = logging.getLogger(__name__)


def load(root: Path, originals: tuple[int, int] = (5, 6)) -> list[Track]:
    """Read the tracks: originals as references, covers as queries.

    Args:
        root: the folder with the recordings or `.npy` features, in subfolders or not.
        originals: numbers of the versions that are original.

    Returns:
        Tracks of the split `test`, in the order of work and version. Their id is
        `<work>_<version>`.

    Raises:
        DataError: if the folder is missing, or holds a recording whose name is not
            of that form or whose version is not in 0 to 6.
    """
    tracks = []
    for name, path in files.recordings_by(_name, root).items():
        work, version = map(int, name.split("_"))
        role: Role = "reference" if version in originals else "query"
        tracks.append((work, version, Track(name, str(work), str(path), role=role)))
    counts = Counter(track.role for *_, track in tracks)
    if counts != _COUNTS:
        _log.warning(
            "YouTube350: %d references and %d queries; %d and %d were published",
            counts["reference"],
            counts["query"],
            _COUNTS["reference"],
            _COUNTS["query"],
        )
    return [track for *_, track in sorted(tracks, key=lambda item: item[:2])]


def _name(path: Path) -> str:
    numbers = re.fullmatch(r"(\d+)_0*([0-6])", path.stem)
    if numbers is None:
        raise DataError(
            f"{path}: expected the name <work>_<version> with numbers, the version "
            "from 0 to 6"
        )
    return f"{int(numbers[1])}_{numbers[2]}"
