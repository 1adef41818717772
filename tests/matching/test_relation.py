import numpy as np
import pytest

from bytecover_tf.matching.alignment import (
    Alignment,
    align,
    frame_similarities,
    similarities_along,
)
from bytecover_tf.matching.relation import (
    SAME_ARTIST,
    SAME_PERFORMANCE,
    SAME_RECORDING,
    VERSION,
    probability_of_same,
    relation,
    straightness,
)


def chroma(frames, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (12, frames), np.uint8)


def noisy(frames, share, seed=9):
    """Chroma of which a share is something else."""
    other = chroma(frames.shape[1], seed)
    return (frames * (1 - share) + other * share).astype(np.uint8)


def stretched(frames, tempo):
    at = np.arange(0, frames.shape[1], tempo)[: round(frames.shape[1] / tempo)]
    return frames[:, at.astype(int)]


def test_a_copy_is_straight_and_another_tempo_is_not():
    whole = chroma(200)
    copy = noisy(whole[:, 20:180], 0.2)
    assert straightness(whole, copy, align(whole, copy)) > 0.8
    slower = noisy(stretched(whole, 0.93), 0.2)
    assert straightness(whole, slower, align(whole, slower)) < 0.5


def test_straightness_is_a_quartile_of_correlations_along_a_line():
    one, other = chroma(60), noisy(chroma(60), 0.5)
    found = straightness(one, other, Alignment(1.0, 0, 10, 50, 12, 52))

    def mean_correlation(lag):
        """Of frames and their neighbours; what lies outside counts nothing."""
        inside, beyond = one[:, 10:50], other[:, 8:56]
        values = []
        for i in range(40):
            total = 0.0
            for step in (-1, 0, 1):
                j = i + step
                k = j + 10 + lag - 8
                if 0 <= j < 40 and 0 <= k < beyond.shape[1]:
                    total += np.corrcoef(inside[:, j], beyond[:, k])[0, 1]
            values.append(total / 3)
        return values

    single = [np.corrcoef(one[:, i], other[:, i])[0, 1] for i in range(10, 50)]
    smoothed = mean_correlation(0)
    lower, upper = sorted(np.quantile(values, 0.25) for values in (single, smoothed))
    assert lower - 0.02 <= found <= upper + 0.02


@pytest.mark.parametrize("lag", [-70, -9, 0, 5, 49, 80])
def test_similarities_along_a_line_are_those_of_all_frames(lag):
    one, other = chroma(60), noisy(chroma(50), 0.5)
    (found,) = similarities_along(one, other, [lag])
    expected = np.diagonal(frame_similarities(one, other, 0), lag)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_another_key_or_a_moment_is_no_copy():
    whole = chroma(100)
    assert straightness(whole, whole, Alignment(1.0, 2, 0, 100, 0, 100)) == -1
    assert straightness(whole, whole, Alignment(1.0, 0, 0, 10, 0, 10)) == -1
    assert straightness(whole, whole, Alignment(0.0, 0, 0, 0, 0, 0)) == -1
    assert probability_of_same(-1) == 0


def test_the_more_alike_the_more_likely_a_copy():
    likely = [probability_of_same(x) for x in np.linspace(-0.9, 1, 20)]
    assert likely == sorted(likely)
    assert likely[0] < 0.01
    assert likely[-1] > 0.9


def test_kinds():
    assert relation(0.2, True) == relation(1.0, True)
    assert relation(0.2, True).kind == SAME_RECORDING
    assert relation(0.99).kind == SAME_PERFORMANCE
    # Tags do not tell a copy from another performance.
    assert relation(0.99, False, "A", "A").kind == SAME_PERFORMANCE
    same = relation(0.1, False, "The Band", "the band ")
    assert same.kind == SAME_ARTIST
    assert same.probability == pytest.approx(1 - probability_of_same(0.1))
    assert relation(0.1, False, "The Band", "Others").kind == VERSION
    assert relation(0.1, False, "!!!", "!!! ").kind == SAME_ARTIST
    for other in ("", "\u2020\u2020\u2020"):
        assert relation(0.1, False, "!!!", other).kind == VERSION
    assert relation(0.1, False, "", "").kind == VERSION
    assert relation(-1.0).probability == 1
