import csv
from dataclasses import replace

import numpy as np
import pytest
from random_tunes import tune
from store_contents import contents

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.cli.repertoire import choose_works
from bytecover_tf.data import load_dataset
from bytecover_tf.errors import DataError
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore
from bytecover_tf.synth import draw


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def drawn(tmp_path):
    works = choose_works([tune(i) for i in range(50)], seed=0)[:3]
    draw.draw(works, tmp_path, versions=2, frontend=Frontend(pool=20), workers=1)
    return works, tmp_path


def test_what_is_written_is_a_data_set(drawn):
    works, folder = drawn
    tracks = load_dataset("tunes", folder)
    assert [track.id for track in tracks] == [
        f"{work.id}-{number}" for work in works for number in range(2)
    ]
    assert {row["title"] for row in read_csv(folder / "sources.csv")} == {
        work.scores[0].title for work in works
    }
    store = FeatureStore(folder / "store")
    assert store.frontend.pool == 20
    scores = NoteStore(store)
    for track in tracks:
        features = store.features(track.path)
        melody, notes = scores.rows(store.entry(track.path), 0, 10_000).T.swapaxes(1, 2)
        assert melody.T.shape == features.shape
        assert (notes >= melody - 1e-6).all()
        assert (melody.max(axis=1) > 0.5).mean() > 0.5


def test_the_score_is_what_sounds_when_it_sounds(drawn):
    _, folder = drawn
    store = FeatureStore(folder / "store")
    scores = NoteStore(store)
    for entry in store:
        features = np.sqrt(store.rows(entry).astype(float))
        notes = scores.rows(entry, 0, entry.frames)[..., 1]
        by_time = [np.sum(features * np.roll(notes, s, 0)) for s in range(-4, 5)]
        assert np.argmax(by_time) == 4
        by_pitch = [np.sum(features * np.roll(notes, s, 1)) for s in range(-4, 5)]
        assert np.argmax(by_pitch) == 4


def test_a_second_run_draws_nothing_and_a_killed_one_goes_on(drawn, monkeypatch):
    works, folder = drawn
    expected = contents(folder)
    assert len(expected) == 6
    # As left by a run that was killed within the second work.
    index = folder / "store" / "index.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:3]))
    draw.draw(works, folder, versions=2, frontend=Frontend(pool=20), workers=1)
    assert contents(folder) == expected
    rows = (folder / "store" / "features.f16").read_bytes()
    monkeypatch.setattr(draw, "_draw_work", None)
    draw.draw(works, folder, versions=2, frontend=Frontend(pool=20), workers=1)
    assert (folder / "store" / "features.f16").read_bytes() == rows


def test_other_works_of_the_same_names_are_refused(drawn, monkeypatch):
    works, folder = drawn
    tables = {
        name: (folder / name).read_text() for name in ("tracks.csv", "sources.csv")
    }
    others = choose_works([tune(i) for i in range(50)], seed=1)[:3]
    monkeypatch.setattr(draw, "_draw_work", None)
    with pytest.raises(DataError, match="work 00000 is .* name another --out"):
        draw.draw(others, folder, versions=2, frontend=Frontend(pool=20), workers=1)
    assert {name: (folder / name).read_text() for name in tables} == tables
    # Works that are drawn no more stay, as do recordings that were made anew.
    draw.draw(works[:1], folder, versions=2, frontend=Frontend(pool=20), workers=1)
    for name in tables:
        rows = [{**row} for row in read_csv(folder / name)]
        assert sorted(map(str, rows)) == sorted(
            map(str, csv.DictReader(tables[name].splitlines()))
        )


def test_frames_that_cannot_be_drawn_are_refused_at_once(tmp_path, capsys):
    with pytest.raises(SystemExit):
        draw.main(["--out", str(tmp_path / "set"), "--pool", "7"])
    assert "--pool must be a multiple of 5" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_it_trains_by_the_readmes_command(tmp_path):
    from bytecover_tf import train

    works = choose_works([tune(i) for i in range(26)], seed=0)[:10]
    # Two of ten to validate with.
    works = [replace(w, split="validation" if i < 2 else "train")
             for i, w in enumerate(works)]  # fmt: skip
    draw.draw(
        works, tmp_path / "drawn", versions=2, frontend=Frontend(pool=20), workers=1
    )
    settings = ["blocks=(1,1,1,1)", "width=4", "salience=2", "crop_frames=(32,)",
                "works_per_batch=4", "versions_per_work=2", "steps_per_epoch=3",
                "epochs=1"]  # fmt: skip
    status = train.main(
        [
            *("--config", "small", "--data", "tunes"),
            *("--data-root", str(tmp_path / "drawn"), "--run-dir", str(tmp_path / "r")),
            *(part for setting in settings for part in ("--set", setting)),
        ]
    )
    assert status == 0
    columns = (tmp_path / "r" / "log.csv").read_text().splitlines()[0].split(",")
    assert {"contrastive", "hearing"} <= set(columns)
