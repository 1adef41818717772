from dataclasses import replace

import numpy as np
import pytest
from random_tunes import tune

from bytecover_tf.cli import repertoire
from bytecover_tf.cli.repertoire import choose_works
from bytecover_tf.errors import DataError
from bytecover_tf.stores.labelled_store import (
    LabelledFeatures,
    LabelledRecording,
    LabelledStore,
    LabelledStoreWriter,
)
from bytecover_tf.synth import draw_melodies
from bytecover_tf.synth.draw_melodies import FromScores, draw, heard_in

SECONDS = 5 * 512 / 22050
RISING = [60 + i % 12 for i in range(36)]


def labelled(pitches, melody=True, notes=True):
    """A recording of one second a note, each with a note two octaves below."""
    frames = round(len(pitches) / SECONDS)
    rolls = np.zeros((88, frames))
    tune = np.zeros((88, frames))
    for i, pitch in enumerate(pitches):
        span = slice(round(i / SECONDS), round((i + 0.9) / SECONDS))
        rolls[pitch - 21, span] = rolls[pitch - 45, span] = 1
        tune[pitch - 21, span] = 1
    fine = np.repeat(rolls[3:87], 3, axis=0) + 0.01
    labels = rolls if notes else None
    return LabelledFeatures.of(
        fine[::3], fine, labels, labels, tune if melody else None
    )


@pytest.fixture
def recordings(tmp_path):
    with LabelledStoreWriter(tmp_path / "labelled") as writer:
        for id, role, features in (
            ("good", "train", labelled(RISING)),
            ("heard", "train", labelled(RISING, melody=False)),
            ("short", "train", labelled(RISING[:4])),
            ("alone", "train", labelled(RISING, notes=False)),
            ("dev", "dev", labelled(RISING)),
            # `train_hearing` may hold it out.
            ("6", "train", labelled(RISING, melody=False)),
        ):
            row = LabelledRecording(id, "set", role, "W", "full", 36.0, "here", "N")
            writer.add(row, features)
    return LabelledStore(tmp_path / "labelled")


@pytest.fixture
def sources(recordings):
    (work, *_) = choose_works([tune(i) for i in range(3)], seed=0)
    return [FromScores(work), *heard_in([recordings], seed=0)]


def test_versions_of_scores_and_recordings_are_drawn(sources, tmp_path):
    report = draw(sources, tmp_path / "out", versions=2, workers=2)
    assert (report.drawn, report.present) == (6, 0)
    reasons = sorted(report.failed)
    assert len(reasons) == 4
    for k in (0, 1):
        assert reasons[k] == f"heard-alone-{k}: its notes are not labelled"
        assert reasons[2 + k].startswith(f"heard-short-{k}: ")
        assert "notes are heard in a passage of 4 s" in reasons[2 + k]
    store = LabelledStore(tmp_path / "out")
    found = {row.id: row for row in store}
    assert set(found) == {
        f"{id}-{k}"
        for id in (sources[0].id, "heard-good", "heard-heard")
        for k in (0, 1)
    }
    title = sources[0].work.scores[0].title
    first = found[f"{sources[0].id}-0"]
    assert (first.work, first.name) == (title, title)
    row = found["heard-good-1"]
    assert (row.work, row.source, row.name) == ("W", "here", "N")
    for row in store:
        assert (row.set, row.role, row.kind) == ("drawn", "train", "melody")
        features = store.features(row)
        assert features.notes is None
        assert features.onsets is None
        length = features.cqt36.shape[1] * SECONDS
        assert row.seconds == pytest.approx(length, abs=0.06)
        assert features.melody.any(axis=0).mean() > 0.3


def test_other_works_of_the_same_names_are_refused(sources, tmp_path):
    draw(sources[:1], tmp_path / "out", versions=1, workers=1)
    other = sources[0].work
    score = replace(other.scores[0], title="Another tune")
    with pytest.raises(DataError, match="and Another tune"):
        draw([FromScores(replace(other, scores=(score,)))], tmp_path / "out", 1, 1)
    assert draw(sources[:1], tmp_path / "out", versions=1, workers=1).present == 1


def test_the_melody_is_where_it_sounds(sources, tmp_path):
    draw(sources[:2], tmp_path / "out", versions=3, workers=1)
    store = LabelledStore(tmp_path / "out")
    assert len(store) == 6
    for row in store:
        features = store.features(row)
        magnitudes = np.log1p(features.amplitudes("cqt36") / features.scale[1, 0])
        # C1 is the fourth of the labelled pitches, and its bin the first of three.
        melody = np.zeros_like(magnitudes)
        melody[::3] = features.melody[3:87]
        by_time = [np.sum(magnitudes * np.roll(melody, s, 1)) for s in range(-4, 5)]
        assert abs(np.argmax(by_time) - 4) <= 1
        by_pitch = [np.sum(magnitudes * np.roll(melody, s, 0)) for s in range(-5, 6)]
        assert abs(np.argmax(by_pitch) - 5) <= 1


def test_only_what_is_missing_is_drawn(sources, tmp_path):
    some = sources[:2]
    draw(some, tmp_path / "out", versions=1, workers=1)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("out/features/*")}
    assert len(before) == 2
    report = draw(some, tmp_path / "out", versions=2, workers=1)
    assert (report.drawn, report.present, report.failed) == (2, 2, [])
    for name, time in before.items():
        assert (tmp_path / "out/features" / name).stat().st_mtime_ns == time
    # As if all had been drawn at once.
    draw(some, tmp_path / "whole", versions=2, workers=1)
    resumed, whole = (LabelledStore(tmp_path / name) for name in ("out", "whole"))
    for row in whole:
        a, b = resumed.features(row), whole.features(row)
        np.testing.assert_array_equal(a.cqt36, b.cqt36)
        np.testing.assert_array_equal(a.melody, b.melody)


def test_the_seed_changes_versions_of_recordings(recordings):
    one, again, other = (heard_in([recordings], seed)[0] for seed in (1, 1, 2))
    first = one.perform(0)[0]
    assert first == again.perform(0)[0]
    assert first != other.perform(0)[0]
    assert first != one.perform(1)[0]


def test_the_command_tells_what_it_did(recordings, tmp_path, monkeypatch, capsys):
    scores = [tune(i) for i in range(3)]
    monkeypatch.setattr(repertoire, "read_scores", lambda *_: scores)
    out = tmp_path / "out"
    options = ["--out", str(out), "--works", "1", "--versions", "1", "--workers", "1"]
    assert draw_melodies.main(options) == 0
    assert "1 versions drawn, 0 were there, 0 failed" in capsys.readouterr().out
    options += ["--recordings", str(recordings.path)]
    assert draw_melodies.main(options) == 1
    told = capsys.readouterr()
    assert "2 versions drawn, 1 were there, 2 failed" in told.out
    assert "heard-alone-0: its notes are not labelled" in told.err
