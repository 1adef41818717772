"""Discogs-VI-YT: versions on YouTube, grouped by the metadata of Discogs.

Araz, Serra and Bogdanov, "Discogs-VI: a musical version identification dataset based on
public editorial metadata", ISMIR 2024; lists at zenodo.org/records/13983028. The audio
is not published: the videos are to be downloaded.

    Discogs-VI-YT-<date>-light.json.train    {"C-1": [{"version_id": "V-1",
    Discogs-VI-YT-<date>-light.json.val      "youtube_id": "TMHWEcSKEPI"}, ...], ...}
    Discogs-VI-YT-<date>-light.json.test
    audio/    recordings or `.npy` features, in subfolders or not, named
              <YouTube id>.<ext>

The split is by clique. The authors put the cliques of the tests of SHS100K and
Da-TACOS into the test, so training on the other two parts leaks into neither. As in
their code, a clique of which fewer than two versions are there is left out, and the
test searches all versions among all.
"""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from bytecover_tf.data import files
from bytecover_tf.data.split import whole_test
from bytecover_tf.data.track import Split, Track
from bytecover_tf.errors import DataError

_SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}

_log = logging.getLogger(__name__)


def load(root: Path, audio: Path | None = None) -> list[Track]:
    """Read the versions of all three parts.

    Versions without a file are left out, since videos vanish; how many is logged.

    Args:
        root: the folder with the three lists.
        audio: the folder with the recordings or features; `root/audio` by default.

    Returns:
        Tracks with the version's id, and the clique's id as work.

    Raises:
        DataError: if a list is missing or malformed, a version is listed twice, or no
            clique has two files.
    """
    root = files.existing_folder(root)
    audio = root / "audio" if audio is None else Path(audio)
    listed = {split: _read(_find(root, suffix)) for suffix, split in _SPLITS.items()}
    found = files.recordings_by(lambda path: path.stem, audio)
    tracks: dict[str, Track] = {}
    total = 0
    for split, cliques in listed.items():
        for clique, versions in cliques.items():
            total += len(versions)
            for version, video in versions:
                if video not in found:
                    continue
                if version in tracks:
                    raise DataError(
                        f"{root}: the version {version!r} is listed twice; expected "
                        "it once in all three lists"
                    )
                tracks[version] = Track(version, clique, str(found[video]), split)
    usable = whole_test(list(tracks.values()))
    sizes = Counter((track.split, track.work) for track in usable)
    usable = [track for track in usable if sizes[track.split, track.work] > 1]
    if not usable:
        raise DataError(
            f"{audio}: expected files named by YouTube id, two of a clique at least, "
            "found none"
        )
    if missing := total - len(usable):
        _log.warning(
            "Discogs-VI: %d of %d versions are left out, as they or all others of "
            "their clique have no file of their own in %s",
            missing,
            total,
            audio,
        )
    return usable


def _find(root: Path, suffix: str) -> Path:
    found = sorted(root.glob(f"*iscogs*light*.json.{suffix}"))
    if len(found) != 1:
        raise DataError(
            f"{root}: expected one Discogs-VI-YT-<date>-light.json.{suffix}, found "
            f"{len(found)}"
        )
    return found[0]


def _read(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the versions of each clique, with the ids of their videos."""
    try:
        cliques: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected JSON ({error})") from error
    if not isinstance(cliques, dict):
        raise DataError(f"{path}: expected an object with cliques as keys")
    read = {}
    for clique, versions in cliques.items():
        try:
            read[clique] = [
                (str(one["version_id"]), str(one["youtube_id"])) for one in versions
            ]
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path}: key {clique!r}: expected a list of objects with version_id "
                "and youtube_id"
            ) from error
    return read
