import numpy as np
import pytest

from benchmarks.speed import evaluation


def test_both_ways_find_the_same(tmp_path):
    path = tmp_path / "embeddings.npy"
    evaluation.write_embeddings(path, 300, 32)
    embeddings, labels = np.load(path), evaluation.works(300)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    expected = evaluation.argsort(embeddings, labels)
    found = evaluation.ours(embeddings, labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert 0.05 < expected["map"] < 1
    _, counts = np.unique(labels, return_counts=True)
    assert counts.max() == evaluation.VERSIONS
    assert (counts == 1).sum() == 40
