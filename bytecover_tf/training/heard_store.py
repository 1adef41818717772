"""What the package's ears hear in the recordings of a feature store.

`heard-CHECKSUM.u8` lies in the store's folder and is named for the network that heard.
It has a row of semitones x 2 bytes for each four frames of the features, in 255ths: the
melody and the notes as `HeardNotes` gives them to a backbone. The file can be made
again, so damage to it is mended by deleting it.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from keras import ops

from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.cores import usable_cores
from bytecover_tf.files import naming
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE
from bytecover_tf.models.heard_notes import FRAMES, map_of_notes
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import Entry, FeatureStore

_CHANNELS = 2


class HeardStore:
    """Reads what was heard, and hears what nobody has heard yet.

    Args:
        store: features of 36 bins an octave, as the package's ears read them.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        semitones = store.frontend.n_bins // BINS_PER_SEMITONE
        self._row = (semitones, _CHANNELS)
        self._path = store.path / f"heard-{DEFAULT_HEARING.checksum[:12]}.u8"

    def notes(self, entry: Entry) -> np.ndarray:
        """Return what was heard in a recording.

        Returns:
            uint8 (frames // 4, semitones, 2), mapped into memory; one silent frame for
            a recording of fewer than four.
        """
        first, count = _rows(entry)
        if not count:
            return np.zeros((1, *self._row), np.uint8)
        row_bytes = int(np.prod(self._row))
        return np.memmap(
            self._path, np.uint8, "r", first * row_bytes, (count, *self._row)
        )

    def hear(self, entries: Iterable[Entry]) -> None:
        """Hear the recordings that have not been heard, with a progress bar.

        If this is interrupted, the next call goes on from there.

        Args:
            entries: of the store. All recordings that lie before the last of these are
                heard along with them.

        Raises:
            StoreError: features are not finite, or the file cannot be written.
        """
        last = max(_rows(entry) for entry in entries)
        places = {_rows(entry): entry for entry in self._store}
        row_bytes = int(np.prod(self._row))
        with naming(self._path), open(self._path, "ab") as file:
            heard = file.tell() // row_bytes
            todo = [
                places[rows]
                for rows in sorted(places)
                if rows <= last and sum(rows) > heard and rows[1]
            ]
            if not todo:
                return
            with ThreadPoolExecutor(usable_cores()) as pool:
                notes = pool.map(self._hear, todo)
                for entry, values in zip(
                    progress_bar(todo, unit="recording", desc="hear"),
                    notes,
                    strict=True,
                ):
                    file.truncate(_rows(entry)[0] * row_bytes)
                    file.write(values.tobytes())
                    file.flush()

    def _hear(self, entry: Entry) -> np.ndarray:
        features = self._store.rows(entry).T.astype(np.float32)
        features = features[:, : entry.frames // FRAMES * FRAMES]
        heard = DEFAULT_HEARING.hear(features).transpose(1, 2, 0)
        notes = ops.convert_to_numpy(map_of_notes(heard[None]))[0]
        return np.rint(255 * notes.transpose(1, 0, 2)).astype(np.uint8)


def _rows(entry: Entry) -> tuple[int, int]:
    """Return the first row of a recording in the file, and the number of its rows.

    Rows of different recordings never overlap, as ceil(a) + floor(b) <= ceil(a + b).
    """
    return -(-entry.start // FRAMES), entry.frames // FRAMES
