import numpy as np

from benchmarks.accuracy.covers import Item, Search, align_heard
from bytecover_tf.catalogues.packing import pack, unpack
from bytecover_tf.matching.screening import SECOND_LOOKS, align_likely


def item(rng, frames, is_clip):
    heard = rng.integers(256, size=(60, frames)).astype(np.uint8)
    later = np.roll(heard, 1, axis=0)[:, 1:] if is_clip else None
    nothing = np.empty((0, 0))
    return Item("work", nothing, nothing, heard[:12], heard, later)


def test_scores_are_those_that_identify_uses(rng):
    queries = [item(rng, 30, is_clip) for is_clip in (True, False, True)]
    references = [item(rng, 50, True) for _ in range(SECOND_LOOKS + 8)]
    itself = np.zeros((len(queries), len(references)), bool)
    search = Search("set", queries, references, itself)

    stored = [unpack(pack(one.heard), 5) for one in references]
    expected = [
        [
            found.score
            for found in align_likely(
                one.heard, stored, np.zeros(len(stored)), later=one.later
            )
        ]
        for one in queries
    ]
    np.testing.assert_allclose(align_heard(search), expected)
