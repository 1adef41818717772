"""Sets that come packed: a table of tracks and a store of their features in one folder.

`bytecover_tf.synth.draw` and `bytecover_tf.synth.rerecord` write such folders. The
embedded data set `tunes` has the same layout.
"""

from __future__ import annotations

from pathlib import Path

from bytecover_tf.data import tunes
from bytecover_tf.data.track import Track


def load(root: Path) -> list[Track]:
    """Return the tracks of a packed set.

    Args:
        root: the folder, which holds `tracks.csv`.

    Raises:
        DataError: there is no such table.
    """
    return tunes.load(root)
