import numpy as np
import pytest

from benchmarks.paper.simple_join import by_simple, profiles


def test_profiles_are_the_nearest_distances(rng):
    query, reference = rng.random((12, 30)), rng.random((12, 41))
    of_query, of_reference = profiles(query, reference, 5)
    profile = reference.sum(axis=1)
    keys = [np.roll(query.sum(axis=1), key) @ profile for key in range(12)]
    query = np.roll(query, int(np.argmax(keys)), axis=0)
    distances = np.array(
        [
            [
                np.linalg.norm(query[:, i : i + 5] - reference[:, j : j + 5])
                for j in range(37)
            ]
            for i in range(26)
        ]
    )
    np.testing.assert_allclose(of_query, distances.min(axis=1), rtol=1e-6)
    np.testing.assert_allclose(of_reference, distances.min(axis=0), rtol=1e-6)


def test_profiles_agree_with_stumpy(rng):
    stumpy = pytest.importorskip("stumpy")
    query, reference = rng.random((12, 26)), rng.random((12, 40))
    # Far the loudest, so that no transposition is better.
    query[3], reference[3] = 5 + query[3], 5 + reference[3]
    squares = np.zeros((7, 21))
    for a, b in zip(query, reference, strict=True):
        for i in range(7):
            squares[i] += stumpy.mass(a[i : i + 20], b, normalize=False) ** 2
    of_query, of_reference = profiles(query, reference)
    np.testing.assert_allclose(of_query, np.sqrt(squares.min(axis=1)), rtol=1e-4)
    np.testing.assert_allclose(of_reference, np.sqrt(squares.min(axis=0)), rtol=1e-4)


def test_a_transposed_version_is_found_and_short_ones_are_compared(rng):
    # Some pitch classes are louder than others, as in any key.
    song, other = (rng.random((12, 60)) * rng.random((12, 1)) for _ in range(2))
    chromas = [song, np.roll(song, 4, axis=0)[:, 5:50], other, other[:, :3]]
    scores = by_simple(chromas)
    assert scores[1, 0] == pytest.approx(0, abs=1e-4)
    assert scores[1, 0] > scores[1, 2]
    assert scores[3, 2] == pytest.approx(0, abs=1e-4)
