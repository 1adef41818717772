import numpy as np
import pytest

from bytecover_tf.losses import window_similarities


def loop(windows, works):
    """Pair by pair, crossing out the windows of each pair that was taken."""
    unit = windows / np.linalg.norm(windows, axis=2, keepdims=True)
    found = np.zeros((len(works), len(works)))
    for a, b in np.ndindex(found.shape):
        cosines = unit[a] @ unit[b].T
        if works[a] != works[b]:
            found[a, b] = cosines.max()
            continue
        best = []
        for _ in range(max(len(cosines) // 2, 1)):
            i, j = np.unravel_index(cosines.argmax(), cosines.shape)
            best.append(cosines[i, j])
            cosines = np.delete(np.delete(cosines, i, axis=0), j, axis=1)
        found[a, b] = np.mean(best)
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_equals_a_plain_loop(count, rng):
    works = np.array([0, 0, 1, 1, 1, 2])
    windows = rng.normal(size=(6, count, 5)).astype(np.float32)
    found = np.asarray(window_similarities(windows, works))
    assert found == pytest.approx(loop(windows, works), abs=1e-5)
    assert found == pytest.approx(found.T, abs=1e-6)


def likeness(windows, works):
    """How alike the first two recordings are."""
    return float(window_similarities(windows, np.array(works))[0, 1])


def test_half_of_the_windows_must_match_in_any_order(rng):
    first = rng.normal(size=(4, 64)).astype(np.float32)
    second = rng.normal(size=(4, 64)).astype(np.float32)
    second[0], second[3] = first[2], first[1]
    both = np.stack([first, second])
    assert likeness(both, [5, 5]) == pytest.approx(1)
    second[3] = -first[1]
    both = np.stack([first, second])
    assert likeness(both, [5, 5]) < 0.8
    # A stranger with one such window is as near as a version can be.
    assert likeness(both, [5, 6]) == pytest.approx(1)


def test_windows_that_are_all_equal_are_alike(rng):
    """As those of a clip that is shorter than a window, and repeated."""
    one = rng.normal(size=(1, 1, 5)).astype(np.float32)
    assert likeness(np.repeat(np.repeat(one, 4, 1), 2, 0), [0, 0]) == pytest.approx(1)
