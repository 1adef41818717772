import numpy as np

from benchmarks.common.vectors import BLOCK_ROWS, read_vectors, write_vectors


def test_vectors_are_of_unit_norm_and_the_seed_decides(tmp_path):
    first = write_vectors(tmp_path / "a", 3000, 32, 20, seed=1)
    again = write_vectors(tmp_path / "b", 3000, 32, 20, seed=1)
    other = write_vectors(tmp_path / "c", 3000, 32, 20, seed=2)
    (stored,) = read_vectors(tmp_path / "a", 32)
    assert stored.shape == (3000, 32)
    assert first.shape == (20, 32)
    for vectors in (stored, first):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(first, again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert not np.allclose(first, other)


def test_a_query_has_versions_that_stand_out(tmp_path):
    queries = write_vectors(tmp_path / "a", 4000, 64, 100, seed=0)
    (stored,) = read_vectors(tmp_path / "a", 64)
    similarity = np.sort(queries @ stored.T, axis=1)
    # A version of the same work, and what half of the others stay below.
    assert np.median(similarity[:, -1]) > 0.6
    assert np.abs(np.median(similarity, axis=1)).max() < 0.2


def test_vectors_of_several_blocks_are_read_as_they_were_written(tmp_path):
    write_vectors(tmp_path / "a", BLOCK_ROWS + 5, 4, 3, seed=0)
    blocks = list(read_vectors(tmp_path / "a", 4))
    assert [len(block) for block in blocks] == [BLOCK_ROWS, 5]
    flat = np.fromfile(tmp_path / "a", np.float32)
    np.testing.assert_array_equal(np.concatenate(blocks).ravel(), flat)
