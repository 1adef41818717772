import csv
from dataclasses import replace

import numpy as np
import pytest
from random_tunes import tune

from bytecover_tf.data import load_dataset, tunes
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore
from bytecover_tf.synth import draw
from bytecover_tf.synth.playing.accompany import GROOVES, PATTERNS
from bytecover_tf.synth.playing.arrange import Style


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def drawn(tmp_path):
    works = draw.choose_works([tune(i) for i in range(50)], seed=0)[:3]
    draw.draw(works, tmp_path, versions=2, pool=20, workers=1)
    return works, tmp_path


def test_works_of_the_embedded_sets_unseen_splits_are_left_out():
    title, collection = min(tunes.unseen_sources())
    scores = [
        tune(0, title, collection=collection),
        tune(0, "The same melody"),
        tune(1, title),
        tune(2),
    ]
    (work,) = draw.choose_works(scores, seed=0)
    assert [score.title for score in work.scores] == ["Tune 2"]


def test_works_are_split_and_long_scores_cut():
    scores = [tune(i, bars=200) for i in range(50)]
    works = draw.choose_works(scores, seed=0)
    assert len({work.id for work in works}) == 50
    assert [work.split for work in works].count("validation") == 2
    whole = {score.title: score for score in scores}
    for work in works:
        (score,) = work.scores
        seconds = 60 * score.bars[score.sections[-1][1]] / draw.usual_tempo(score)
        assert 0.7 * draw.EXCERPT_SECONDS < seconds <= draw.EXCERPT_SECONDS
        # What is kept of a score goes at the tempo of the whole.
        tempo = draw.usual_tempo(whole[score.title])
        assert draw.usual_tempo(score) == pytest.approx(tempo, rel=0.05)


def test_players_join_an_arrangement():
    style = Style(layers=(("bass", 32),))
    joined, doubled = set(), set()
    for seed in range(40):
        fuller = draw.fuller(style, np.random.default_rng(seed))
        assert fuller == draw.fuller(style, np.random.default_rng(seed))
        assert fuller.layers[0] == ("bass", 32)
        added = [pattern for pattern, _ in fuller.layers[1:]]
        assert 1 <= len(added) == len(set(added)) <= 3
        joined.update(added)
        doubled.add(fuller.doubling and fuller.doubling[1])
    assert joined == set(PATTERNS) - {"oom_pah"}
    assert doubled == {None, -1, 0, 1}


def test_styles_vary_in_what_the_embedded_set_lacks():
    style = Style(layers=(("drums", 0),))
    varied = [draw.vary(style, np.random.default_rng(seed)) for seed in range(100)]
    assert varied[0] == draw.vary(style, np.random.default_rng(0))
    assert {v.groove for v in varied} == {"", *GROOVES}
    most = {"rests": 0.4, "freedom": 0.15, "reharmonise": 0.6, "extended": 1.0}
    for name, highest in most.items():
        values = [getattr(v, name) for v in varied]
        assert 10 < values.count(0.0) < 90
        assert max(values) <= highest


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
    expected = (folder / "store" / "features.f16").read_bytes()
    scores = (folder / "store" / "scores.u8").read_bytes()
    # As left by a run that was killed within the second work.
    index = folder / "store" / "index.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:3]))
    draw.draw(works, folder, versions=2, pool=20, workers=1)
    assert (folder / "store" / "features.f16").read_bytes() == expected
    assert (folder / "store" / "scores.u8").read_bytes() == scores
    monkeypatch.setattr(draw, "_draw_work", None)
    draw.draw(works, folder, versions=2, pool=20, workers=1)
    assert (folder / "store" / "features.f16").read_bytes() == expected


def test_it_trains_by_the_readmes_command(tmp_path):
    from bytecover_tf import train

    works = draw.choose_works([tune(i) for i in range(26)], seed=0)[:10]
    # Two of ten to validate with.
    works = [replace(w, split="validation" if i < 2 else "train")
             for i, w in enumerate(works)]  # fmt: skip
    draw.draw(works, tmp_path / "drawn", versions=2, pool=20, workers=1)
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
