import numpy as np
import pytest

from benchmarks.common.made_up_chroma import LENGTHS, MadeUpChroma
from bytecover_tf.matching.alignment import align

FRAMES = 260


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    sources = [rng.integers(0, 256, (24, 700), np.uint8) for _ in range(2)]
    return MadeUpChroma(sources, FRAMES)


def test_versions_of_a_work_align_and_those_of_two_do_not(made):
    rng = np.random.default_rng(1)
    works = [made.work(rng) for _ in range(2)]
    one, again, other = (made.version(works[number], rng) for number in (0, 0, 1))
    assert align(one, again).score > 4
    assert align(one, other).score < 2


def test_every_frame_is_one_of_the_sources_in_some_key(made):
    source = np.arange(24, dtype=np.uint8).reshape(24, 1)
    chroma = MadeUpChroma([source], 40).version(
        np.zeros((2, 99), int), np.random.default_rng(3)
    )
    assert chroma.shape[0] == 24
    assert LENGTHS[0] * 40 - 1 <= chroma.shape[1] <= LENGTHS[1] * 40 + 1
    # Both parts are in the same key.
    (key,) = {column.tolist().index(0) for column in chroma.T}
    expected = np.concatenate([np.roll(source[:12], key), np.roll(source[12:], key)])
    np.testing.assert_array_equal(chroma, np.repeat(expected, chroma.shape[1], axis=1))
