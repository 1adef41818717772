"""Checks that a test does not contain what was trained on.

Three ways of leaking are looked for: a work on both sides, the same file on both
sides, and one recording in two encodings.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

SAME_RECORDING = 0.8
"""Cosine of two descriptors above which `near_duplicates` reports a pair."""

_COLUMNS = 16
_SILENCE = 0.02
_BLOCK = 1024
_SHOWN = 3


@dataclass(frozen=True)
class Leakage:
    """What train and test have in common.

    Attributes:
        works: labels of the works in both, sorted.
        recordings: pairs of a training and a test track with the same content.
    """

    works: tuple[str, ...]
    recordings: tuple[tuple[Track, Track], ...]

    def raise_if_any(self, train: str = "train", test: str = "test") -> None:
        """Refuse to go on with a leak.

        Args:
            train: what the one side is called.
            test: what the other is called.

        Raises:
            DataError: with the numbers and the first few names, if there is any.
        """
        found = []
        if self.works:
            found.append(f"{len(self.works)} works ({_some(self.works)})")
        if self.recordings:
            pairs = [f"{ours.path} = {theirs.path}" for ours, theirs in self.recordings]
            found.append(f"{len(pairs)} pairs of identical recordings ({_some(pairs)})")
        if found:
            raise DataError(
                f"{train} and {test} have in common {' and '.join(found)}; expected "
                "nothing"
            )


def check_leakage(
    train: Iterable[Track], test: Iterable[Track], content: Mapping[str, str]
) -> Leakage:
    """Compare two lists of tracks by work and by content.

    Args:
        train: what is trained on.
        test: what is evaluated.
        content: a hash of the content (SHA-256, hexadecimal) by track path. Tracks
            that it lacks are compared by work alone.

    Returns:
        What they have in common.
    """
    train = list(train)
    works = {track.work for track in train}
    by_content: defaultdict[str, list[Track]] = defaultdict(list)
    for track in train:
        if track.path in content:
            by_content[content[track.path]].append(track)
    shared, recordings = set(), []
    for track in test:
        if track.work in works:
            shared.add(track.work)
        same = by_content.get(content.get(track.path, ""), [])
        recordings += [(other, track) for other in same]
    return Leakage(tuple(sorted(shared)), tuple(recordings))


def near_duplicates(
    train_features: Iterable[np.ndarray],
    test_features: Iterable[np.ndarray],
    threshold: float = SAME_RECORDING,
) -> list[tuple[int, int]]:
    """Find recordings that are on both sides in different encodings.

    Silent ends are cut, time is averaged to 16 columns, amplitudes are compressed by
    a square root, and the mean over time is subtracted from each bin, which leaves
    how the recording departs from its average; two such descriptors are compared by
    their cosine. Without the subtraction the average spectrum rules, and different
    works reach .98.

    The threshold was set by a measurement on |CQT| averaged over 20 frames (0.46 s).
    22 pieces of game music of 24 to 237 s against themselves as mp3 at 32 kbit/s and
    12 dB lower, or opus at 24 kbit/s: .989 or more; with a second of silence before:
    .991; with 2 s of silence at both ends: .901; without the first second: .803 on
    the shortest piece, .932 or more on the others. 443 recordings of anthems of 22 to
    254 s without their first second: .809 or more. Different performances of one
    anthem (389 pairs): .71 at most; of different anthems (97 512 pairs): .63 at most.
    Two more pairs are copies: one is equal to the last digit (1.0), one is faster by
    5 % (.90, and .99 when shifted by one bin). Averages over 100 frames are coarser:
    without the first second all 65 anthems over two minutes are found (.888 or more),
    281 of the 289 over one minute, 379 of all 443.

    So a pair found is a copy or sounds much like one, and is worth a look; a copy
    that lacks more than a small part, or whose speed differs much, is not found.

    Args:
        train_features: arrays (bins, frames) of amplitudes, of any number of frames;
            1024 of them are held at a time.
        test_features: the same; the descriptors of all are held. 20 000 against
            10 000 recordings took 23 s on two cores and 220 MB in all.
        threshold: cosine above which a pair is reported.

    Returns:
        Index pairs (train, test), sorted.

    Raises:
        DataError: if an array is not of shape (bins, frames) with the same number of
            bins as the others.
    """
    references = _descriptors(test_features)
    pairs: list[tuple[int, int]] = []
    if not len(references):
        return pairs
    start = 0
    for block in _blocks(train_features, _BLOCK):
        cosines = _descriptors(block, references.shape[1]) @ references.T
        rows, columns = np.nonzero(cosines > threshold)
        pairs += zip((rows + start).tolist(), columns.tolist(), strict=True)
        start += len(block)
    return pairs


def _descriptors(arrays: Iterable[np.ndarray], size: int | None = None) -> np.ndarray:
    """Stack the descriptors, which all have `size` values, or as many as the first."""
    rows = []
    for array in arrays:
        rows.append(_descriptor(array))
        size = size or rows[0].size
        if rows[-1].size != size:
            raise DataError(
                f"features: expected {size // _COLUMNS} bins as in the others, found "
                f"{rows[-1].size // _COLUMNS}"
            )
    return np.array(rows)


def _descriptor(features: np.ndarray) -> np.ndarray:
    if features.ndim != 2 or 0 in features.shape:
        raise DataError(
            f"features: expected the shape (bins, frames), found {features.shape}"
        )
    if not np.isfinite(features).all():
        raise DataError("features: expected finite amplitudes, found NaN or infinity")
    columns = np.sqrt(_resample(_without_silent_ends(features.astype(np.float32))))
    departures = columns - columns.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(departures)
    # what does not change at all has no direction, only rounding errors
    if norm <= 1e-4 * np.linalg.norm(columns):
        return np.zeros(columns.size, np.float32)
    return (departures / norm).ravel()


def _without_silent_ends(features: np.ndarray) -> np.ndarray:
    level = features.sum(axis=0)
    loud = np.flatnonzero(level >= _SILENCE * level.max())
    return features[:, loud[0] : loud[-1] + 1]


def _resample(features: np.ndarray) -> np.ndarray:
    """Average (bins, frames) over `_COLUMNS` stretches of equal length."""
    frames = features.shape[1]
    total = np.cumsum(np.pad(features, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    edges = np.linspace(0, frames, _COLUMNS + 1)
    whole = np.minimum(edges.astype(int), frames - 1)
    until = total[:, whole] + (edges - whole) * features[:, whole]
    return np.maximum(np.diff(until, axis=1), 0).astype(np.float32)


def _blocks(arrays: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    rest = iter(arrays)
    while block := list(islice(rest, size)):
        yield block


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown}, ..." if len(names) > _SHOWN else shown
