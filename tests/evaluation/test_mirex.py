import numpy as np
import pytest

from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.evaluation.foreign import search_similarities
from bytecover_tf.evaluation.mirex import (
    read_distances,
    write_distances,
    write_evaluation,
)
from bytecover_tf.evaluation.protocol import search

# As the task's pages show it, but for a pair that has no distance.
EXAMPLE = """\
Example distance matrix 0.1
1\t/path/to/audio/file/track1.wav
2\t/path/to/audio/file/track2.wav
3\t/path/to/audio/file/track3.wav
Q/R\t1\t2\t3
1\t0.00000\t1.24100\t0.2e-4
3\t50.2678\tinf\t0.05
"""


def test_the_published_layout(tmp_path):
    path = tmp_path / "answers.txt"
    path.write_text(EXAMPLE)
    found = read_distances(path)
    names = [f"/path/to/audio/file/track{number}.wav" for number in (1, 2, 3)]
    assert found.references == names
    assert found.queries == [names[0], names[2]]
    np.testing.assert_allclose(
        found.distances, [[0, 1.241, 2e-5], [50.2678, np.inf, 0.05]], rtol=1e-6
    )


def test_what_is_written_is_read(tmp_path, rng):
    path = tmp_path / "answers.txt"
    distances = rng.random((2, 4)).astype(np.float32)
    names = [f"/music/{number} é.wav" for number in range(4)]
    write_distances(path, "mine", names, [(3, distances[0]), (1, distances[1])])
    assert path.read_text(encoding="utf-8").splitlines()[0] == "mine"
    found = read_distances(path)
    assert found.references == names
    assert found.queries == [names[3], names[1]]
    np.testing.assert_allclose(found.distances, distances, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_the_ranking_is_kept_whatever_the_scale(tmp_path, rng, scale):
    tracks = [Track(str(n), str(n // 2), f"/{n}") for n in range(40)]
    distances = scale * (1 + 1e-7 * rng.random((40, 40)))
    np.savez(tmp_path / "d.npz", query_ids=np.arange(40), distances=distances)
    before = search_similarities(tracks, tmp_path / "d.npz").evaluation
    write_evaluation(tmp_path / "d.txt", before)
    after = search_similarities(tracks, tmp_path / "d.txt").evaluation
    assert before.metrics["map"] < 0.5
    assert after.metrics["map"] == before.metrics["map"]


def test_recordings_in_one_file_go_by_their_ids(tmp_path, rng):
    tracks = [Track(name, "a", "/same") for name in "xy"] + [Track("z", "b", "/z")]
    write_evaluation(tmp_path / "d.txt", search(tracks, np.eye(3)))
    assert read_distances(tmp_path / "d.txt").references == ["x", "y", "z"]
    found = search_similarities(tracks, tmp_path / "d.txt").evaluation
    assert found.metrics["queries"] == 2


def test_names_that_a_writer_of_csv_has_quoted(tmp_path):
    path = tmp_path / "answers.txt"
    quoted = EXAMPLE.replace("/path/to/audio/file/track2.wav", '"/a/7"" version.wav"')
    path.write_text(quoted)
    assert read_distances(path).references[1] == '/a/7" version.wav'


def test_names_need_not_be_utf_8(tmp_path):
    names = ["caf\udce9.mp3", "b.mp3"]
    rows = [(0, np.array([0.0, 1.0]))]
    write_distances(tmp_path / "d.txt", "system", names, rows)
    assert read_distances(tmp_path / "d.txt").references == ["caf?.mp3", "b.mp3"]


def test_queries_that_are_not_searched_are_far_from_all(tmp_path, rng):
    tracks = [
        Track("q", "a", "/q", role="query"),
        Track("r", "a", "/r", role="reference"),
        Track("b", "b", "/b"),
        Track("c", "b", "/c"),
    ]
    vectors = rng.normal(size=(4, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    path = tmp_path / "answers.txt"
    write_evaluation(path, search(tracks, vectors))
    found = read_distances(path)
    assert found.references == ["/r", "/b", "/c", "/q"]
    assert found.queries == ["/q", "/b", "/c"]
    q, r, b, c = vectors
    searched = [
        [1 - q @ r, 1 - q @ b, 1 - q @ c],
        [1 - b @ r, 0, 1 - b @ c],
        [1 - c @ r, 1 - c @ b, 0],
    ]
    np.testing.assert_allclose(found.distances[:, :3], searched, rtol=1e-5)
    assert found.distances[0, 3] == 0
    far = found.distances[1:, 3]
    assert np.isfinite(far).all()
    assert far.min() > np.max(searched)


def test_no_distance_is_infinite(tmp_path):
    path = tmp_path / "answers.txt"
    path.write_text(EXAMPLE)
    names = [f"/path/to/audio/file/track{number}.wav" for number in (1, 2, 3)]
    tracks = [Track(name, "a", name) for name in names]
    write_evaluation(path, search_similarities(tracks, path).evaluation)
    found = read_distances(path).distances
    expected = [[0, 1.241, 0.00002], [50.2678, 51.2678, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_no_distance_is_negative(tmp_path, rng):
    """Neither where rounding takes a cosine beyond 1, nor for scores without bounds."""
    tracks = [Track(str(n), str(n // 2), f"/{n}") for n in range(40)]
    vectors = rng.normal(size=(20, 3)).astype(np.float32).repeat(2, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors @ vectors.T).max() > 1
    path = tmp_path / "answers.txt"
    write_evaluation(path, search(tracks, vectors))
    found = read_distances(path).distances
    np.testing.assert_allclose(found, 1 - vectors @ vectors.T, atol=1e-6)
    assert found.min() == 0

    scores = 50 * rng.random((40, 40))
    np.savez(tmp_path / "qmax.npz", query_ids=np.arange(40), similarities=scores)
    write_evaluation(
        path, search_similarities(tracks, tmp_path / "qmax.npz").evaluation
    )
    found = read_distances(path).distances
    others = ~np.eye(40, dtype=bool)
    expected = scores[others].max() - scores
    np.testing.assert_allclose(found[others], expected[others], rtol=1e-5)
    assert (np.diag(found) == 0).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2\t/path", "4\t/path", ":3: expected 2, a tab and a path"),
        ("Q/R\t1\t2\t3", "Q/R\t1\t2", ":5: expected Q/R and the numbers 1 to 3"),
        ("3\t50", "7\t50", ":7: expected a query's number from 1 to 3, found '7'"),
        ("\tinf", "", ":7: expected 3 distances, found 2"),
        ("inf", "far", ":7: expected numbers"),
        ("Q/R", "R/Q", ":5: expected 4, a tab and a path, or Q/R"),
    ],
)
def test_malformed_lines_are_named(tmp_path, old, new, message):
    path = tmp_path / "answers.txt"
    path.write_text(EXAMPLE.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_distances(path)


def test_missing_rows_and_files(tmp_path):
    path = tmp_path / "answers.txt"
    with pytest.raises(DataError, match="expected a file of distances"):
        read_distances(path)
    path.write_text("system\n1\t/a\n")
    with pytest.raises(DataError, match="begins with Q/R and rows"):
        read_distances(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_distances(path)


def test_names_that_would_break_lines_are_refused(tmp_path):
    path = tmp_path / "answers.txt"
    with pytest.raises(DataError, match="holds a tab"):
        write_distances(path, "mine", ["a\tb"], [])
    assert not path.exists()
