"""What the package's ears hear in the recordings of a feature store.

`heard-CHECKSUM.u8` lies in the store's folder and is named for the network that heard.
It has a row of semitones x 2 bytes for each four frames of the features, in 255ths: the
melody and the notes as `HeardNotes` gives them to a backbone. The file can be made
again, so damage to it is mended by deleting it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from keras import ops

from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.cores import begun_early, usable_cores
from bytecover_tf.files import lock_if_possible, naming
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE
from bytecover_tf.models.heard_notes import FRAMES, map_of_notes
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import Entry, FeatureStore


def heard_notes(store: FeatureStore, entries: Sequence[Entry]) -> list[np.ndarray]:
    """Return what is heard in recordings, hearing what nobody has heard yet.

    That is kept beside the features. Progress is shown. If it is interrupted, the next
    call goes on from there.

    Args:
        store: features of 36 bins an octave, as the package's ears read them.
        entries: recordings of the store. All that lie before the last of these are
            heard along with them.

    Returns:
        For each uint8 (frames // 4, semitones, 2), mapped into memory; one silent frame
        for a recording of fewer than four.

    Raises:
        StoreError: features are not finite, or the file cannot be written.
    """
    path = store.path / f"heard-{DEFAULT_HEARING.checksum[:12]}.u8"
    row = (store.frontend.n_bins // BINS_PER_SEMITONE, 2)
    row_bytes = int(np.prod(row))
    with naming(path):
        _hear_missing(store, entries, path, row_bytes)
        # One mapping for all, as a process may not have many.
        written = path.stat().st_size // row_bytes
        rows: np.ndarray = np.empty((0, *row), np.uint8)
        if written:
            rows = np.memmap(path, np.uint8, "r", shape=(written, *row))
    silence = np.zeros((1, *row), np.uint8)
    places = map(_place, entries)
    return [rows[at : at + count] if count else silence for at, count in places]


def _hear_missing(
    store: FeatureStore, entries: Sequence[Entry], path: Path, row_bytes: int
) -> None:
    """Write what has not been heard to its place in the file, in order."""
    last = max(map(_place, entries))
    # Recordings of the same content share their place.
    # And what no file has now may be found in one again.
    places = {_place(entry): entry for entry in store.stored}
    wanted = [
        entry
        for (at, count), entry in sorted(places.items(), key=lambda item: item[0])
        if (at, count) <= last and count
    ]

    def missing() -> list[Entry]:
        rows = path.stat().st_size // row_bytes
        return [entry for entry in wanted if sum(_place(entry)) > rows]

    if not path.exists():
        path.touch()
    if not missing():
        return
    # Another process may hear in the same store: what it has written is not cut.
    with (
        lock_if_possible(path.with_name(f"{path.name}.lock"), wait=True),
        open(path, "ab") as file,
        ThreadPoolExecutor(usable_cores()) as pool,
    ):
        todo = missing()
        # No further ahead: should writing fail, the rest is not heard for nothing.
        heard = begun_early(pool, partial(_hear, store), todo, 2 * usable_cores())
        bar = progress_bar(todo, unit="recording", desc="hear")
        for entry, notes in zip(bar, heard, strict=True):
            file.truncate(_place(entry)[0] * row_bytes)
            file.write(notes.tobytes())
            file.flush()


def _hear(store: FeatureStore, entry: Entry) -> np.ndarray:
    whole = entry.frames // FRAMES * FRAMES
    features = store.rows(entry, count=whole).T.astype(np.float32)
    heard = DEFAULT_HEARING.hear(features).transpose(1, 2, 0)
    notes = ops.convert_to_numpy(map_of_notes(heard[None]))[0]
    return np.rint(255 * notes.transpose(1, 0, 2)).astype(np.uint8)


def _place(entry: Entry) -> tuple[int, int]:
    """Return the first row of a recording in the file, and the number of its rows.

    Rows of different recordings never overlap, as ceil(a) + floor(b) <= ceil(a + b).
    """
    return -(-entry.start // FRAMES), entry.frames // FRAMES
