"""A split by work for data sets that come without one."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bytecover_tf.data.track import Split, Track
from bytecover_tf.errors import DataError

_SPLITS: tuple[Split, Split, Split] = ("train", "validation", "test")

_log = logging.getLogger(__name__)


def by_work(
    tracks: Sequence[Track],
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
) -> list[Track]:
    """Assign whole works to train, validation and test.

    Works are ranked by a hash of seed and label and the ranking is cut, so the
    outcome depends neither on the order of the tracks nor on the machine, and a work
    more or less moves only works next to a cut.

    Args:
        tracks: any tracks; the split that they have is disregarded.
        fractions: shares of train, validation and test; they sum to 1. Each that
            is not 0 gets at least one work.
        seed: picks the ranking.

    Returns:
        The same tracks in the same order with their new split.

    Raises:
        DataError: if the fractions do not fit, or there are fewer works than splits.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DataError(f"split fractions: expected to sum to 1, found {fractions}")
    works = sorted({track.work for track in tracks}, key=lambda work: _rank(work, seed))
    counts = [max(1, round(part * len(works))) if part else 0 for part in fractions]
    # rounding is made good where it matters least
    largest = counts.index(max(counts))
    counts[largest] += len(works) - sum(counts)
    if counts[largest] < 1:
        raise DataError(
            f"a split by work: expected at least {sum(map(bool, fractions))} works, "
            f"found {len(works)}"
        )
    splits = [split for split, n in zip(_SPLITS, counts, strict=True) for _ in range(n)]
    split_of = dict(zip(works, splits, strict=True))
    return [replace(track, split=split_of[track.work]) for track in tracks]


def whole_test(
    tracks: Sequence[Track], videos: Mapping[str, str] | None = None
) -> list[Track]:
    """Leave out tracks that a later split has too; how many is logged.

    Lists may give one video to two works, and then in two splits.

    Args:
        tracks: of any splits.
        videos: the video of each track by its id. Tracks without one are the same if
            their files are.
    """
    order = {split: number for number, split in enumerate(_SPLITS)}
    listed = videos or {}

    def recording(track: Track) -> str:
        return listed.get(track.id) or track.path

    latest: dict[str, Split] = {}
    for track in sorted(tracks, key=lambda track: order[track.split]):
        latest[recording(track)] = track.split
    kept = [track for track in tracks if latest[recording(track)] == track.split]
    if left_out := len(tracks) - len(kept):
        _log.warning(
            "%d recordings are also in a later split, and are left out",
            left_out,
        )
    return kept


def _rank(work: str, seed: int) -> bytes:
    # A folder's name need not be valid UTF-8.
    text = f"{seed}:{work}".encode(errors="surrogateescape")
    return hashlib.sha256(text).digest()
