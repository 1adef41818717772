import csv
import hashlib
import json
from collections import defaultdict

import numpy as np
import pytest
import soundfile

from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.synth import build_tunes
from bytecover_tf.synth.playing.performance import Performance
from bytecover_tf.synth.playing.style import Style
from bytecover_tf.synth.playing.versions import list_versions, read_versions
from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import make_score


def tune(number, collection="Aird's Airs"):
    steps = np.random.default_rng(number).choice([-5, -3, -2, -1, 1, 2, 3, 4], 128)
    pitches = 66 + np.cumsum(steps) % 19
    notes = [Note(float(i), 1.0, int(p)) for i, p in enumerate(pitches)]
    bars = [4.0 * i for i in range(33)]
    return make_score(f"Tune {number}", collection, notes, bars)


@pytest.fixture
def works():
    return build_tunes.select_works([tune(i) for i in range(30)], 133, seed=0)


def test_works_are_split_by_share(works):
    counts = defaultdict(int)
    for work in works:
        counts[work.split] += 1
    # 133 works give this collection a quota of 20.
    assert counts == {"train": 14, "validation": 2, "test": 4}
    assert len({work.id for work in works}) == 20


def test_features_are_made_once_and_packed(works, tmp_path, monkeypatch):
    calls = []

    def perform(version):
        calls.append(version.id)
        rng = np.random.default_rng(version.seed)
        samples = rng.uniform(-0.5, 0.5, 6 * 22050).astype(np.float32)
        return Performance((), ((0, 0.0),), 6.0, 0.0), Style(), "none", samples

    monkeypatch.setattr(build_tunes, "perform", perform)
    works = [
        next(work for work in works if work.split == split)
        for split in ("train", "test")
    ]
    versions = list_versions(works, 2, seed=0)
    for name in ("pool20", "facts"):
        (tmp_path / name).mkdir()
    tested = [version for version in versions if version.split == "test"]
    for version in tested * 2:
        assert build_tunes.make_features(tmp_path, version) is None
    assert calls == [version.id for version in tested]

    out = tmp_path / "tunes"
    for _ in range(2):
        build_tunes.pack(versions, works, tmp_path, out)
    store = FeatureStore(out / "store")
    assert store.frontend.pool == 20
    assert [entry.source for entry in store] == [version.id for version in tested]
    for version in tested:
        cqt = np.load(tmp_path / "pool20" / f"{version.id}.npy")
        np.testing.assert_allclose(
            store.features(version.id), cqt / cqt.max(), rtol=0.017, atol=1e-6
        )
    drawn = [version for version in versions if version.split == "train"]
    assert read_versions(out / "versions.jsonl.xz") == drawn

    with open(out / "tracks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "work", "path", "split", "role", "title"]
    assert [row["path"] for row in rows] == [version.id for version in versions]
    with open(out / "sources.csv", newline="") as file:
        assert {row["work"] for row in csv.DictReader(file)} == {w.id for w in works}
    facts = json.loads((tmp_path / "facts" / f"{tested[0].id}.json").read_text())
    samples = perform(tested[0])[3]
    assert facts["key"] == hashlib.sha256(samples.tobytes()).hexdigest()


def test_excerpts_begin_with_the_first_section_and_skip_other_licences(
    works, tmp_path, monkeypatch
):
    def perform(version):
        font = "TimGM6mb" if version.work == skipped else "FluidR3_GM"
        samples = np.zeros(40 * 22050, np.float32)
        samples[10 * 22050 :] = np.random.default_rng(0).uniform(-0.5, 0.5, 30 * 22050)
        sections = ((1, 0.0), (0, 10.0))
        return Performance((), sections, 40.0, 0.0), Style(), font, samples

    skipped = next(work.id for work in works if work.split == "test")
    monkeypatch.setattr(build_tunes, "perform", perform)
    versions = list_versions(works, 5, seed=0)
    build_tunes.write_excerpts(versions, tmp_path)
    files = sorted((tmp_path / "audio").iterdir())
    others = {work.id for work in works if work.split == "test"} - {skipped}
    assert {path.stem for path in files} == {
        f"{w}-{i}" for w in others for i in range(4)
    }
    samples, rate = soundfile.read(files[0])
    assert rate == 22050
    assert len(samples) == 17 * 22050
    assert np.abs(samples[:2205]).max() > 0.1
