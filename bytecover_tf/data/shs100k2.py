"""SHS100K2: SHS100K as its authors published it again, in the split of the papers.

github.com/NovaFrost/SHS100K2. The lists have the format of SHS100K
(`bytecover_tf.data.shs100k`), but `list` and `SHS100K-TRAIN` lie in `meta`:

    SHS100K-VAL
    SHS100K-TEST
    meta/list
    meta/SHS100K-TRAIN
    audio/    as for SHS100K

All may lie in one folder as well. The split is 8:1:1, and the test searches all 10 547
recordings of SHS100K-TEST among all. Sets and versions have the numbers that SHS100K
gives them, but its validation and test sets are others: what is trained on one of the
two is not to be measured on the other.
"""

from pathlib import Path

from bytecover_tf.data import shs100k
from bytecover_tf.data.track import Track


def load(root: Path, audio: Path | None = None) -> list[Track]:
    """Read the tracks in their official split.

    Args:
        root: as of `shs100k.load`, with some of the lists in `meta`.
        audio: as of `shs100k.load`.

    Returns:
        As `shs100k.load`.

    Raises:
        DataError: as `shs100k.load`.
    """
    return shs100k.load(root, audio)
