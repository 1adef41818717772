import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from random_tunes import tune

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import drawn_tunes, tunes
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.stores.note_store import NoteStore
from bytecover_tf.synth.playing.versions import list_versions, write_versions
from bytecover_tf.synth.scores.works import Work

FINE = Frontend(pool=20)


@pytest.fixture
def few(tmp_path, monkeypatch, rng):
    """Two drawn recordings and a rendered one in place of the embedded set."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    versions = list_versions([Work("w", "train", (tune(0),))], 2, seed=0)
    write_versions(tmp_path / "versions.jsonl.xz", versions)
    with FeatureStoreWriter(tmp_path / "store", FINE) as writer:
        features = rng.random((84, 43))
        writer.add("t-0", "key", features / features.max())
    tracks = [Track(v.id, v.work, v.id, "train") for v in versions]
    tracks.append(Track("t-0", "t", "t-0", "test"))
    monkeypatch.setattr(tunes, "SCORES", tmp_path / "versions.jsonl.xz")
    monkeypatch.setattr(tunes, "STORE", tmp_path / "store")
    monkeypatch.setattr(tunes, "load", lambda: tracks)
    return versions, tracks


@pytest.mark.parametrize("pool", [20, 100])
def test_features_are_drawn_once(few, pool, tmp_path, capsys, monkeypatch):
    versions, tracks = few
    frontend = Frontend(pool=pool)
    path = drawn_tunes.store(frontend, tracks)
    assert path.parent == tmp_path / "cache" / "bytecover_tf"
    assert f"drawing 2 recordings of the data set tunes, once: {path}" in (
        capsys.readouterr().err
    )
    store = FeatureStore(path)
    assert store.frontend == frontend
    assert [entry.source for entry in store] == ["w-0", "w-1", "t-0"]
    notes = NoteStore(store)
    for version in versions:
        features, score = drawn_tunes.draw(version, frontend)
        entry = store.entry(version.id)
        np.testing.assert_allclose(store.features(version.id), features, atol=1e-3)
        found = notes.rows(entry, 0, entry.frames)
        np.testing.assert_allclose(found, score.transpose(2, 1, 0), atol=0.002)
        assert found.any()

    # Those of the test work are the rendered ones, and their notes stay unknown.
    entry = store.entry("t-0")
    rendered = FeatureStore(tunes.STORE).features("t-0")
    expected = rendered[:, : pool // 20 * entry.frames]
    expected = expected.reshape(84, entry.frames, -1).mean(axis=2)
    np.testing.assert_allclose(
        store.features("t-0"), expected / expected.max(), rtol=1e-3, atol=1e-6
    )
    assert entry.key == "key"
    assert not notes.rows(entry, 0, entry.frames).any()

    monkeypatch.setattr(drawn_tunes, "_make", None)
    assert drawn_tunes.store(frontend, tracks) == path
    assert capsys.readouterr().err == ""


def test_test_works_alone_are_not_drawn_for(few, tmp_path):
    _, tracks = few
    assert drawn_tunes.store(FINE, tracks[2:]) == tunes.STORE
    assert not (tmp_path / "cache").exists()


def test_other_scores_are_drawn_elsewhere(few):
    _, tracks = few
    first = drawn_tunes.store(FINE, tracks)
    drawn_tunes._versions.cache_clear()
    versions = list_versions([Work("w", "train", (tune(1),))], 2, seed=0)
    write_versions(tunes.SCORES, versions)
    second = drawn_tunes.store(FINE, tracks)
    assert second != first
    changed = FeatureStore(second).features("w-0")
    np.testing.assert_allclose(
        changed, drawn_tunes.draw(versions[0], FINE)[0], atol=1e-3
    )


def test_what_was_broken_off_is_drawn_anew(few, tmp_path, monkeypatch):
    _, tracks = few

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drawn_tunes, "add_with_notes", stop)
        with pytest.raises(KeyboardInterrupt):
            drawn_tunes.store(FINE, tracks)
    cache = tmp_path / "cache" / "bytecover_tf"
    assert {path.name.rpartition(".")[2] for path in cache.iterdir()} == {
        "lock",
        "part",
    }
    assert len(FeatureStore(drawn_tunes.store(FINE, tracks))) == 3
    assert {path.suffix for path in cache.iterdir()} == {".lock", ""}


@pytest.mark.parametrize(
    "frontend",
    [Frontend(pool=50), Frontend(pool=20, hop_length=256), Frontend(n_bins=72)],
)
def test_features_that_the_set_does_not_have_are_refused(few, frontend):
    assert not drawn_tunes.is_fit(frontend)
    with pytest.raises(DataError, match="84 bins, averaged over 20 frames.*pool="):
        drawn_tunes.store(frontend, few[1])


def test_a_sample_is_of_training_works_and_is_not_kept(few, tmp_path):
    versions, _ = few
    drawn = drawn_tunes.sample(2, FINE)
    for features, version in zip(drawn, versions, strict=True):
        np.testing.assert_array_equal(features, drawn_tunes.draw(version, FINE)[0])
    validation = [replace(v, split="validation") for v in versions[1:]]
    drawn_tunes._versions.cache_clear()
    write_versions(tunes.SCORES, versions[:1] + validation)
    assert len(drawn_tunes.sample(1, FINE)) == 1
    assert not (tmp_path / "cache").exists()


def test_processes_at_once_draw_one_set(few, tmp_path):
    """The second waits for the first, and takes what it drew."""
    code = (
        "from pathlib import Path\n"
        "from bytecover_tf.audio.frontend import Frontend\n"
        "from bytecover_tf.data import drawn_tunes, tunes\n"
        "from bytecover_tf.data.track import Track\n"
        "if __name__ == '__main__':\n"
        f"    tunes.SCORES = Path({str(tunes.SCORES)!r})\n"
        f"    tunes.STORE = Path({str(tunes.STORE)!r})\n"
        "    tracks = [Track(n, 'w', n, 'train') for n in ('w-0', 'w-1')]\n"
        "    tunes.load = lambda: tracks\n"
        "    print(drawn_tunes.store(Frontend(pool=20), tracks))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    both = [
        subprocess.Popen(
            [sys.executable, script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert outputs[0][0] == outputs[1][0] != ""
    assert sorted("drawing 2 recordings" in errors for _, errors in outputs) == [
        False,
        True,
    ]
