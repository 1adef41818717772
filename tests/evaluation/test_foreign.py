import json
import re
from pathlib import Path

import numpy as np
import pytest

from bytecover_tf import metrics
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.evaluate import main
from bytecover_tf.evaluation.foreign import search_embeddings, search_similarities
from bytecover_tf.evaluation.protocol import search


@pytest.fixture
def tracks():
    """Queries, references and both, of five works and one of its own."""
    roles = ["both", "both", "query", "reference"]
    made = [
        Track(f"{work}-{version}", f"work {work}", f"/music/{work}-{version}.flac",
              role=role)
        for work in range(5)
        for version, role in enumerate(roles)
    ]  # fmt: skip
    return [*made, Track("noise", "noise", "/music/noise.flac", role="reference")]


@pytest.fixture
def vectors(tracks, rng):
    return rng.normal(size=(len(tracks), 8)).astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def figures(similarity, tracks):
    """The figures of a full matrix, roles and itself heeded by hand."""
    asks = [i for i, track in enumerate(tracks) if track.role != "reference"]
    answers = [i for i, track in enumerate(tracks) if track.role != "query"]
    return metrics.evaluate(
        similarity[np.ix_(asks, answers)],
        [tracks[i].work for i in asks],
        [tracks[i].work for i in answers],
        np.equal.outer(asks, answers),
    )


def same(found, expected):
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("by", ["id", "path"])
def test_embeddings_in_any_order_and_more_than_asked(tmp_path, tracks, vectors, by):
    names = [getattr(track, by) for track in tracks] + ["stranger"]
    order = np.random.default_rng(1).permutation(len(names))
    more = np.vstack([7 * vectors, np.full((1, 8), np.nan)])
    path = tmp_path / "system.npz"
    np.savez(path, ids=np.array(names)[order], vectors=more[order])
    found, failed = search_embeddings(tracks, path)
    assert not failed
    same(found, figures(unit(vectors) @ unit(vectors).T, tracks))
    same(found, {**search(tracks, unit(vectors)).scores.summary()})


def test_euclidean_embeddings(tmp_path, tracks, vectors):
    path = tmp_path / "system.npz"
    ids = [track.id for track in tracks]
    vectors[3] *= 20  # cosines would not notice
    np.savez(path, ids=ids, vectors=vectors, metric="euclidean")
    distances = np.array([[np.linalg.norm(a - b) for b in vectors] for a in vectors])
    found, _ = search_embeddings(tracks, path)
    same(found, figures(-distances, tracks))
    cosine = figures(unit(vectors) @ unit(vectors).T, tracks)
    assert found.metrics["map"] != pytest.approx(cosine["map"])


def test_euclidean_embeddings_that_are_the_same_are_ties(tmp_path, rng):
    """And ties count against the system, however a matrix product rounds them."""
    tracks = [
        Track(f"{work}-{version}", f"work {work}", f"/music/{work}-{version}.flac")
        for work in range(61)
        for version in range(2)
    ]
    vectors = np.repeat(rng.normal(size=(1, 64)).astype(np.float32), 122, axis=0)
    path = tmp_path / "system.npz"
    ids = [track.id for track in tracks]
    np.savez(path, ids=ids, vectors=vectors, metric="euclidean")
    found, _ = search_embeddings(tracks, path)
    # A query's one version comes after the 120 others that are as near.
    same(found, {"map": 1 / 121, "mr1": 121.0})


def test_what_has_no_embedding_is_named_and_left_out(tmp_path, tracks, vectors):
    path = tmp_path / "system.npz"
    vectors[4] = 0
    vectors[9, 2] = np.inf
    np.savez(path, ids=[track.id for track in tracks[1:]], vectors=vectors[1:])
    found, failed = search_embeddings(tracks, path)
    assert {name: reason.split(" in ")[0] for name, reason in failed.items()} == {
        "0-0": f"{path} has no embedding of it",
        "1-0": "its embedding",
        "2-1": "its embedding",
    }
    assert "zero" in failed["1-0"]
    assert "not finite" in failed["2-1"]
    rest = [i for i in range(len(tracks)) if i not in (0, 4, 9)]
    kept = unit(vectors[rest])
    same(found, figures(kept @ kept.T, [tracks[i] for i in rest]))


@pytest.mark.parametrize("kind", ["similarities", "distances"])
def test_matrices_of_either_sign(tmp_path, tracks, vectors, rng, kind):
    matrix = rng.normal(size=(len(tracks), len(tracks)))
    np.fill_diagonal(matrix, np.nan)  # what stands there does not matter
    ids = [track.id for track in tracks]
    path = tmp_path / "system.npz"
    np.savez(path, query_ids=ids, **{kind: matrix})
    found, failed = search_similarities(tracks, path)
    assert not failed
    np.fill_diagonal(matrix, 0)
    same(found, figures(matrix if kind == "similarities" else -matrix, tracks))


def test_a_matrix_of_queries_by_references(tmp_path, tracks, rng):
    asks = [track for track in tracks if track.role != "reference"]
    answers = [track for track in tracks if track.role != "query"][:-1]
    matrix = rng.normal(size=(len(asks), len(answers)))
    path = tmp_path / "system.npz"
    np.savez(
        path,
        query_ids=[track.path for track in asks],
        reference_ids=[track.id for track in answers],
        similarities=matrix,
    )
    found, failed = search_similarities(tracks, path)
    assert failed == {"noise": f"{path} has no column of it as a reference"}
    itself = np.array([[a.id == b.id for b in answers] for a in asks])
    expected = metrics.evaluate(
        matrix, [t.work for t in asks], [t.work for t in answers], itself
    )
    same(found, expected)
    matrix[2, 3] = np.nan
    np.savez(
        path,
        query_ids=[track.id for track in asks],
        reference_ids=[track.id for track in answers],
        similarities=matrix,
    )
    names = f"query {asks[2].id!r} and the reference {answers[3].id!r}"
    with pytest.raises(DataError, match=names):
        search_similarities(tracks, path)


def test_a_file_may_ask_for_some_recordings_among_all(tmp_path, rng, capsys):
    """So MIREX lays it out: 330 queries in a collection of 1000."""
    tracks = [Track(f"{work}-{n}", f"{work}", "") for work in range(6) for n in (0, 1)]
    ids = [track.id for track in tracks]
    matrix = rng.normal(size=(4, 12))
    path = tmp_path / "system.npz"
    np.savez(path, query_ids=ids[:4], reference_ids=ids, similarities=matrix)
    found, failed = search_similarities(tracks, path)
    assert not failed
    works = [track.work for track in tracks]
    itself = np.eye(4, 12, dtype=bool)
    same(found, metrics.evaluate(matrix, works[:4], works, itself))
    assert "8 recordings have no row" in capsys.readouterr().err

    np.savez(path, query_ids=ids, reference_ids=ids[:4], similarities=matrix.T)
    found, failed = search_similarities(tracks, path)
    assert not failed
    same(found, metrics.evaluate(matrix.T, works, works[:4], itself.T))
    assert "8 recordings have no column" in capsys.readouterr().err


def test_double_precision_is_kept(tmp_path, tracks, rng):
    """Scores may differ by less than float32 can tell apart."""
    ids = [track.id for track in tracks]
    ranks = rng.permutation(len(ids) ** 2).reshape(len(ids), -1)
    path = tmp_path / "system.npz"
    np.savez(path, query_ids=ids, similarities=1 - 1e-9 * ranks)
    same(search_similarities(tracks, path).evaluation, figures(-ranks, tracks))


def test_other_arrays_of_a_file_are_not_read(tmp_path, tracks, vectors):
    path = tmp_path / "system.npz"
    ids = [track.id for track in tracks]
    np.savez(path, ids=ids, vectors=vectors, about=np.array({"epoch": 3}, object))
    assert not search_embeddings(tracks, path).failed


def test_a_file_of_which_nothing_is_of_use(tmp_path, tracks, vectors):
    path = tmp_path / "system.npz"
    ids = [track.id for track in tracks]
    np.savez(path, ids=ids, vectors=vectors * np.nan)
    with pytest.raises(DataError, match="none of 21 .*0-0.* is not finite"):
        search_embeddings(tracks, path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"vectors": np.ones((2, 3))}, "expected the array 'ids', found vectors"),
        ({"ids": ["a"]}, "expected the array 'vectors'"),
        ({"ids": ["a"], "vectors": np.ones((2, 3))}, "ids: expected 2 texts"),
        ({"ids": ["a", "b"], "vectors": np.ones(2)}, "vectors: expected a table"),
        ({"ids": ["a", "b"], "vectors": [["x"], ["y"]]}, "vectors: expected a table"),
        ({"ids": ["a", "a"], "vectors": np.ones((2, 3))}, "'a' comes twice"),
        (
            {"ids": np.array(["a", 1], object), "vectors": np.ones((2, 3))},
            "without Python objects",
        ),
        ({"ids": ["a", "b"], "vectors": np.ones((2, 3))}, "covers none of 21"),
        (
            {"ids": ["a"], "vectors": np.ones((1, 3)), "metric": "l1"},
            "one of cosine, euclidean, found 'l1'",
        ),
    ],
)
def test_malformed_embeddings(tmp_path, tracks, arrays, message):
    path = tmp_path / "system.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as error:
        search_embeddings(tracks, path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"query_ids": ["a"]}, "either similarities or distances, found query_ids"),
        (
            {"query_ids": ["a"], "similarities": [[1.0]], "distances": [[1.0]]},
            "found similarities and distances",
        ),
        ({"query_ids": ["a"], "distances": [[1.0, 2.0]]}, "reference_ids: expected 2"),
        ({"query_ids": ["a", "b"], "distances": [[1.0]]}, "query_ids: expected 1"),
    ],
)
def test_malformed_similarities(tmp_path, tracks, arrays, message):
    path = tmp_path / "system.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        search_similarities(tracks, path)


@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\x03\x04 cut short"])
def test_files_that_are_no_archives(tmp_path, tracks, content):
    path = tmp_path / "system.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"system\.npz: expected an archive"):
        search_embeddings(tracks, path)
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(path)
    with pytest.raises(DataError, match=r"found \.npy"):
        search_embeddings(tracks, path)


@pytest.fixture
def manifest(tmp_path):
    rows = ["work,path,id"]
    for work in range(4):
        for version in range(3):
            path = tmp_path / f"{work}-{version}.npy"
            path.touch()
            rows.append(f"{work},{path.name},r{work}{version}")
    file = tmp_path / "manifest.csv"
    file.write_text("\n".join(rows))
    return ["--data", "manifest", "--data-root", str(file)]


def test_command_measures_files_and_writes_mirex(tmp_path, manifest, rng, capsys):
    ids = [f"r{work}{version}" for work in range(4) for version in range(3)]
    vectors = rng.normal(size=(12, 5))
    embeddings, mirex, out = (tmp_path / name for name in ("e.npz", "m.txt", "f.json"))
    np.savez(embeddings, ids=ids, vectors=vectors)
    arguments = [*manifest, "--json", str(out)]
    given = ["--embeddings", str(embeddings), "--mirex", str(mirex)]
    assert main([*arguments, *given, "--plots", str(tmp_path / "plots")]) == 0
    first = json.loads(out.read_text())
    assert first["queries"] == 12
    assert first["file"] == str(embeddings)
    assert set(metrics.METRICS) <= set(first)
    assert "found at 1% false alarms" in capsys.readouterr().out
    assert (tmp_path / "plots" / "similarities.png").exists()
    # Read again, what was written gives the same figures.
    assert main([*arguments, "--similarities", str(mirex)]) == 0
    second = json.loads(out.read_text())
    assert {name: second[name] for name in metrics.METRICS} == pytest.approx(
        {name: first[name] for name in metrics.METRICS}
    )
    np.savez(embeddings, ids=ids[:-1], vectors=vectors[:-1])
    assert main([*arguments, "--embeddings", str(embeddings)]) == 1
    assert "skipped: r32" in capsys.readouterr().err
    assert json.loads(out.read_text())["skipped"] == 1


def example(heading):
    """The code that docs/evaluation.md shows under a heading."""
    page = Path(__file__).parents[2] / "docs" / "evaluation.md"
    section = page.read_text().split(f"### {heading}\n")[1]
    return re.search(r"^```py\n(.*?)^```", section, re.M | re.S)[1]


def test_the_examples_write_what_is_read(tmp_path, tracks, vectors, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for track, vector in zip(tracks, vectors, strict=True):
        folder = Path("embedded")
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{track.id}.npy", vector[None])
    exec(example("Discogs-VINet"), {})
    found, failed = search_embeddings(tracks, Path("vinet.npz"))
    assert not failed
    expected = figures(unit(vectors) @ unit(vectors).T, tracks)
    same(found, expected)

    # Each recording in two chunks that are alike.
    Path("embed_dir").mkdir()
    lines = []
    for track, vector in zip(tracks, vectors, strict=True):
        for start, chunk in ((0, vector), (45, vector)):
            file = f"embed_dir/{track.id}-{start}.npy"
            np.save(file, 3 * chunk)
            utt = f"{track.id}-\u2581start-{start}"
            lines.append(json.dumps({"utt": utt, "embed": file}, ensure_ascii=False))
    Path("embed_dir/query.txt").write_text("\n".join(lines), encoding="utf-8")
    exec(example("CoverHunter"), {})
    found, failed = search_similarities(tracks, Path("coverhunter.npz"))
    assert not failed
    same(found, expected)


def test_command_wants_one_system(manifest, tmp_path, capsys):
    for given in (
        [],
        ["--embeddings", "a.npz", "--similarities", "b.npz"],
        ["--embeddings", "a.npz", "--align", "3"],
    ):
        with pytest.raises(SystemExit) as error:
            main([*manifest, *given])
        assert error.value.code == 2
