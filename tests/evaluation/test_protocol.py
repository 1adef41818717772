import json
from dataclasses import replace

import numpy as np
import pytest

from bytecover_tf import metrics
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Embedded, load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.errors import DataError, FrontendMismatch
from bytecover_tf.evaluate import main
from bytecover_tf.evaluation.measuring import measure_encoder
from bytecover_tf.evaluation.plots import (
    _first_works,
    _histograms,
    plot_evaluation,
    plot_training,
)
from bytecover_tf.evaluation.protocol import (
    check_unseen,
    choose_split,
    embedded_tracks,
    evaluate_tracks,
    search,
)
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover


@pytest.fixture
def run_dir(tmp_path):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    seen = {"data": "manifest", "works": ["work 0"], "content": ["000000000000"]}
    path = tmp_path / "run"
    path.mkdir()
    save_model(model, path / "encoder.keras", Frontend(), {"trained_on": seen})
    return path


def test_evaluation_is_the_metrics_of_the_embeddings(small_set, run_dir):
    tracks, store = small_set
    encoder = load_encoder(run_dir)
    embeddings = encoder.embed_features([store.features(t.path) for t in tracks])
    works = [track.work for track in tracks]
    expected = metrics.evaluate(
        embeddings @ embeddings.T, works, works, np.eye(48, dtype=bool)
    )
    figures = evaluate_tracks(encoder, tracks, store).metrics
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert figures["references"] == 48
    low, high = figures["map_interval"]
    assert low <= figures["map"] <= high


def test_roles_decide_who_asks_and_who_is_searched(rng):
    tracks = [
        Track("q", "a", "q", role="query"),
        Track("r", "a", "r", role="reference"),
        Track("b1", "b", "b1"),
        Track("b2", "b", "b2"),
        Track("noise", "n", "n", role="reference"),
    ]
    result = search(tracks, rng.normal(size=(5, 4)))
    assert [track.id for track in result.queries] == ["q", "b1", "b2"]
    assert [track.id for track in result.references] == ["r", "b1", "b2", "noise"]
    assert result.metrics["queries"] == 3
    with pytest.raises(DataError, match="none of 1 queries"):
        search(tracks[:1] + tracks[4:], rng.normal(size=(2, 4)))


def test_another_frontend_is_refused(small_set, run_dir, tmp_path):
    tracks, store = small_set
    encoder = load_encoder(run_dir)
    encoder.frontend = Frontend(pool=20)
    with pytest.raises(FrontendMismatch, match="pool"):
        evaluate_tracks(encoder, tracks, store)


def test_what_was_trained_on_is_refused(small_set, run_dir):
    tracks, store = small_set
    content = store.content(track.path for track in tracks)
    encoder = load_encoder(run_dir)
    with pytest.raises(DataError, match="1 of these works.*work 0"):
        check_unseen(encoder, "manifest", tracks, content)
    check_unseen(encoder, "other data", tracks[4:], content)
    encoder.info["trained_on"]["content"] = [store.entry(tracks[5].path).key[:12]]
    with pytest.raises(DataError, match="1 of these recordings.*/music/1/1"):
        check_unseen(encoder, "other data", tracks, content)


def test_it_is_told_where_nothing_is_known_of_a_training(small_set, run_dir, capsys):
    tracks, store = small_set
    encoder = load_encoder(run_dir)
    known = measure_encoder(encoder, "mine", "manifest", tracks[4:], store)
    assert known.facts["leakage_checked"]
    assert "warning" not in capsys.readouterr().err
    # What publishing leaves of it.
    encoder.info["trained_on"] = {"works": {"manifest": []}, "content": []}
    unknown = measure_encoder(encoder, "mine", "manifest", tracks[4:], store)
    assert not unknown.facts["leakage_checked"]
    assert "does not say all that it was trained on" in capsys.readouterr().err
    # As of an encoder that began as such a one.
    own = Provenance.from_dict({"works": {"manifest": ["work 0"]}, "content": []})
    later = own.merge(Provenance.from_dict(encoder.info["trained_on"])).to_dict()
    encoder.info["trained_on"] = later
    known = measure_encoder(encoder, "mine", "manifest", tracks[4:], store)
    assert not known.facts["leakage_checked"]
    assert "does not say all that it was trained on" in capsys.readouterr().err


def test_copies_in_a_set_are_told(small_set, run_dir, capsys):
    tracks, store = small_set
    twice = [*tracks[4:], replace(tracks[4], id="again")]
    measure_encoder(load_encoder(run_dir), "mine", "manifest", twice, store)
    told = capsys.readouterr().err
    assert "1 of 45 recordings are copies of others; each counts as a version" in told
    assert "another work" not in told
    other = [*tracks[4:], replace(tracks[4], id="again", work="work 7")]
    measure_encoder(load_encoder(run_dir), "mine", "manifest", other, store)
    told = capsys.readouterr().err
    assert "1 of 45 recordings are copies of others that have another work" in told
    assert "counts as a version" not in told


def test_splits_are_chosen_by_name(small_set):
    tracks, _ = small_set
    assert len(choose_split(tracks, "test")) == 8
    assert len(choose_split(tracks, "all")) == 48
    with pytest.raises(DataError, match="'validation'.*test, train"):
        choose_split([t for t in tracks if t.split != "validation"], "validation")


def test_histograms_count_every_pair_once(rng):
    works = [0, 0, 0, 1, 1, 2]
    tracks = [Track(str(i), str(work), str(i)) for i, work in enumerate(works)]
    embeddings = rng.normal(size=(6, 4))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    edges = np.linspace(-1, 1, 11)
    versions, others = _histograms(search(tracks, embeddings), edges)
    expected = [np.zeros(10), np.zeros(10)]
    for a in range(6):
        for b in range(6):
            if a != b:
                place = min(int((embeddings[a] @ embeddings[b] + 1) / 0.2), 9)
                expected[works[a] != works[b]][place] += 1
    np.testing.assert_array_equal(versions, expected[0])
    np.testing.assert_array_equal(others, expected[1])


def test_plots_are_pictures(rng, tmp_path):
    tracks = [Track(str(i), str(i // 3), str(i)) for i in range(30)]
    embeddings = rng.normal(size=(30, 4))
    paths = plot_evaluation(search(tracks, embeddings), tmp_path / "plots")
    assert [path.name for path in paths] == ["ranks.png", "similarities.png"]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_picture_of_a_training_shows_the_first_works_in_order(rng, tmp_path):
    tracks = [Track(str(i), f"{i % 15:02}", str(i)) for i in range(45)]
    embeddings = rng.normal(size=(45, 4))
    result = search(tracks, embeddings)
    works, similarity = _first_works(result)
    assert works == [f"{work:02}" for work in range(12) for _ in range(3)]
    # Recordings of one work need not be neighbours among the tracks.
    order = sorted(range(45), key=lambda i: (i % 15, i))
    chosen = embeddings[order[:36]]
    np.testing.assert_allclose(similarity, chosen @ chosen.T)
    plot_training([0.1, 0.3], (0.02, 0.2), result, tmp_path / "training.png")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_a_training_is_drawn_without_recordings_asked_and_searched(rng, tmp_path):
    tracks = [
        Track(str(i), str(i // 2), str(i), role=("query", "reference")[i % 2])
        for i in range(10)
    ]
    result = search(tracks, rng.normal(size=(10, 4)))
    plot_training([0.1], (0.0, 0.1), result, tmp_path / "training.png")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_a_track_that_cannot_be_embedded_is_named_and_left_out(capsys):
    tracks = [Track(str(i), "work", f"{i}.mp3") for i in range(3)]
    vectors = np.array([[1.0, 0.0], [np.nan, 0.0], [0.0, 1.0]])
    left, kept = embedded_tracks(tracks, Embedded(vectors, {1: "1.mp3: no"}))
    assert left == [tracks[0], tracks[2]]
    np.testing.assert_array_equal(kept, vectors[[0, 2]])
    assert "skipped: 1.mp3: no" in capsys.readouterr().err
    with pytest.raises(DataError, match="none of 3 recordings"):
        embedded_tracks(tracks, Embedded(vectors, dict.fromkeys(range(3), "no")))


def test_command_writes_figures_and_plots(small_set, run_dir, tmp_path, capsys):
    tracks, store = small_set
    rows = ["work,path,split"]
    for track in tracks[4:]:
        path = tmp_path / f"{track.id}.npy"
        np.save(path, store.features(track.path))
        rows.append(f"{track.work},{path.name},{track.split}")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(rows))
    out = tmp_path / "out" / "figures.json"
    arguments = [
        *("--encoder", str(run_dir), "--data", "manifest", "--source-pool", "100"),
        *("--data-root", str(manifest), "--json", str(out), "--workers", "1"),
    ]
    assert main([*arguments, "--split", "all", "--plots", str(tmp_path / "p")]) == 0
    figures = json.loads(out.read_text())
    assert figures["queries"] == figures["references"] == 44
    assert {"map", "p_at_10", "mr1", "map_interval", "encoder"} <= set(figures)
    assert figures["frontend"] == Frontend().to_dict()
    assert "MAP" in capsys.readouterr().out
    assert (tmp_path / "p" / "ranks.png").exists()
    with pytest.raises(SystemExit):
        main([*arguments, "--plots", str(manifest)])
    assert "expected a folder, " in capsys.readouterr().err

    assert main(arguments) == 0
    assert json.loads(out.read_text())["queries"] == 8
    (tmp_path / f"{tracks[-1].id}.npy").write_bytes(b"broken")
    assert main(arguments) == 1
    assert json.loads(out.read_text())["skipped"] == 1
