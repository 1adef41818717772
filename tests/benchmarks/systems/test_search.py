import os

import numpy as np
import pytest

from benchmarks.common.vectors import read_vectors, write_vectors
from benchmarks.systems import search, search_systems

ROWS, DIM = 300, 16


@pytest.fixture
def vectors(tmp_path):
    queries = write_vectors(tmp_path / "vectors", ROWS, DIM, 12, seed=0)
    (stored,) = read_vectors(tmp_path / "vectors", DIM)
    nearest = np.argsort(-(queries @ stored.T), axis=1)[:, : search_systems.TOP]
    return tmp_path / "vectors", queries, nearest


def build_and_open(system, path):
    system.build(read_vectors(path, DIM))
    system.open()
    return system


def test_the_catalogue_and_its_table_find_the_nearest(vectors, tmp_path):
    pytest.importorskip("lancedb")
    path, queries, nearest = vectors
    exact = search_systems.InExactCatalogue(str(tmp_path / "exact"), DIM)
    np.testing.assert_array_equal(build_and_open(exact, path).search(queries), nearest)
    table = search_systems.LanceTable(exact.place, DIM)
    table.open()
    np.testing.assert_array_equal(table.search(queries), nearest)
    np.testing.assert_array_equal(table.search(queries[:1]), nearest[:1])


def test_an_indexed_copy_leaves_the_exact_catalogue_as_it_was(vectors, tmp_path):
    pytest.importorskip("lancedb")
    path, queries, nearest = vectors
    exact = search_systems.InExactCatalogue(str(tmp_path / "exact"), DIM)
    build_and_open(exact, path)
    copy = search_systems.IndexedCopy(str(tmp_path / "copy"), DIM, exact.place)
    assert search.recall(build_and_open(copy, path).search(queries), nearest) > 0.9
    assert copy._catalogue._table.list_indices()
    assert not exact._catalogue._table.list_indices()


@pytest.mark.parametrize("kind", ["FaissFlat", "FaissHnsw"])
def test_faiss_finds_the_nearest(vectors, tmp_path, kind):
    pytest.importorskip("faiss")
    path, queries, nearest = vectors
    system = getattr(search_systems, kind)(str(tmp_path / kind), DIM)
    found = build_and_open(system, path).search(queries)
    assert search.recall(found, nearest) > (0.9 if kind == "FaissHnsw" else 0.999)


def test_recall_counts_what_was_found():
    truth = np.array([[1, 2], [3, 4]])
    assert search.recall(np.array([[2, 1], [4, 9]]), truth) == 0.75


def test_asking_stops_after_its_time_but_not_before_three():
    class Slow:
        def search(self, queries):
            return np.zeros((len(queries), search_systems.TOP), int)

    found, seconds = search.ask(Slow(), np.zeros((9, DIM)), 0)
    assert len(found) == len(seconds) == 3
    assert len(search.ask(Slow(), np.zeros((9, DIM)), 60)[1]) == 9


def test_what_does_not_fit_is_said(tmp_path):
    assert search.shortage(1000, 256, False, tmp_path) is None
    assert "GB of memory" in search.shortage(10**9, 2048, False, tmp_path)


def test_memory_and_disk_are_measured(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(bytes(1000))
    assert search.disk(tmp_path) == 1000
    now = search.memory(os.getpid())
    assert search.memory(os.getpid(), peak=True) >= now > 10_000_000
