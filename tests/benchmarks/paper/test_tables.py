import argparse
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.paper import ablation, comparison, embedding_size, tables
from benchmarks.paper.finished import Finished
from benchmarks.paper.tables import (
    Collection,
    Difference,
    mean_scores,
    same_score,
    verdict,
)
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.errors import ConfigError
from bytecover_tf.stores.feature_store import FeatureStoreWriter


@pytest.fixture
def options(tmp_path):
    """A set of the layout of `tunes`: 12 works, each a pattern, 4 noisy versions."""
    rng = np.random.default_rng(1)
    root = tmp_path / "set"
    root.mkdir()
    rows = ["id,work,path,split,role"]
    with FeatureStoreWriter(root / "store", Frontend()) as writer:
        for work in range(12):
            pattern = rng.random((84, 24)) ** 6
            split = "train" if work < 8 else "validation"
            for version in range(4):
                name = f"w{work}-{version}"
                features = pattern * rng.uniform(0.5, 1, pattern.shape)
                writer.add(name, f"{work:02}{version:010}", features / features.max())
                rows.append(f"{name},w{work},{name},{split},both")
    (root / "tracks.csv").write_text("\n".join(rows))
    parser = argparse.ArgumentParser()
    tables.add_arguments(parser, steps=3)
    return parser.parse_args(
        [
            *("--data-root", str(root), "--work-dir", str(tmp_path / "runs")),
            *("--width", "2"),
        ]
    )


def collection(works, excluded=None):
    count = len(works)
    excluded = np.eye(count, dtype=bool) if excluded is None else excluded
    return Collection("some", "some", list(works), [], excluded)


def test_only_another_score_counts_as_a_human_variant(tmp_path):
    (tmp_path / "sources.csv").write_text(
        "work,title,collection,rights\na,x,1,r\na,y,2,r\nb,z,1,r\n"
    )
    names, works = ["a-0", "a-1", "a-2", "b-0", "b-1"], ["a", "a", "a", "b", "b"]
    excluded = same_score(names, works, tmp_path / "sources.csv")
    expected = np.zeros((5, 5), bool)
    for group in ((0, 2), (1,), (3, 4)):
        expected[np.ix_(group, group)] = True
    np.testing.assert_array_equal(excluded, expected)
    # Of b there is one score, so its versions ask nothing.
    scores = collection(works, excluded).search(np.eye(5))
    assert scores.query.tolist() == [0, 1, 2]


def test_unseen_works_are_the_embedded_test_works_whatever_is_trained_on(options):
    unseen, variants = tables.read_collections(options)
    test = [track for track in tunes.load() if track.split == "test"]
    assert unseen.works == [track.work for track in test]
    # Frames are those of what is trained on, 100 here, of recordings averaged over 20.
    shape = np.array([item.cqt.shape for item in tables.read_tunes()])
    assert [part.shape[1] for part in unseen.features] == list(shape[:, 1] // 5)
    count = len(variants.search(np.eye(len(test))).query)
    assert 0 < count < len(test) / 2
    assert variants.describe().startswith(f"human variants, {count} queries of ")


def test_a_rung_differs_in_its_parts_alone(options):
    configs = [
        tables.override(
            tables.load_config(rung),
            tables.settings(tables.load_config(rung), options),
        )
        for rung in ablation.RUNGS
    ]
    parts = ("ibn", "pooling", "bnneck", "margin")
    plain = {
        replace(config, **{part: getattr(configs[3], part) for part in parts})
        for config in configs
    }
    assert plain == {configs[3]}
    assert configs[3].width == 2
    assert {(c.epochs, c.triplet_from_epoch) for c in configs} == {(3, 2)}


def test_a_network_without_a_classifier_has_its_triplet_loss_from_the_start(options):
    config = tables.load_config("move")
    assert (
        tables.override(config, tables.settings(config, options)).triplet_from_epoch
        == 0
    )


def test_networks_have_the_same_share_of_their_width(options):
    options.width = 16
    widths = {
        name: tables.override(config, tables.settings(config, options)).width
        for name in comparison.NETWORKS
        for config in [tables.load_config(name)]
    }
    assert widths == {"bytecover": 16, "cqtnet": 8, "tppnet": 8, "kicnn": 8, "move": 64}


def test_a_finished_training_is_not_repeated(options, monkeypatch):
    run = tables.trained("x", "naive", options, seed=1)
    assert run.figures["seed"] == 1
    unseen, _ = tables.read_collections(options)
    similarity = run.similarity(unseen)
    # What is searched is the last epoch, whichever was the best.
    (run.folder / "encoder.keras").unlink()
    last = load_encoder(run.folder / "checkpoint.keras")
    embeddings = last.embed_features(unseen.features)
    np.testing.assert_allclose(similarity, embeddings @ embeddings.T, atol=1e-6)
    np.testing.assert_array_equal(run.similarity(unseen), similarity)
    monkeypatch.setattr(tables.TrainingRun, "train", None)
    monkeypatch.setattr(tables, "load_encoder", None)
    again = tables.trained("x", "naive", options, seed=1)
    assert again == run
    np.testing.assert_array_equal(again.similarity(unseen), similarity)
    options.steps = 12
    with pytest.raises(ConfigError, match="another config"):
        tables.trained("x", "naive", options, seed=1)


def test_differences_are_paired_and_means_over_seeds():
    works = [f"w{n // 2}" for n in range(40)]
    some = collection(works)
    rng = np.random.default_rng(0)
    same = np.equal.outer(works, works)
    first, second = (
        some.search(same * strength + rng.normal(size=same.shape))
        for strength in (0.5, 2.0)
    )
    mean = mean_scores([first, second])
    assert mean.summary()["map"] == pytest.approx(
        (first.summary()["map"] + second.summary()["map"]) / 2
    )
    gained = Difference.between(first, second, works)
    assert gained.mean == pytest.approx(
        second.summary()["map"] - first.summary()["map"]
    )
    assert gained.low < gained.mean < gained.high
    assert gained.is_clear
    assert not Difference.between(first, first, works).is_clear


def test_the_verdict_follows_the_intervals():
    clear, unclear = Difference(0.1, 0.05, 0.2), Difference(0.1, -0.05, 0.2)
    down = Difference(-0.1, -0.2, -0.05)
    assert "every step beyond chance" in verdict([("a", clear), ("b", clear)])
    assert "not every step" in verdict([("a", clear), ("b", unclear)])
    text = verdict([("a", clear), ("b", down)])
    assert "does not hold" in text
    assert "1 go up (a), 1 of them" in text
    assert "1 go down with an interval below zero (b)" in text


class Trained:
    """Stands for a run; half of what it hears is the work."""

    figures = {"seconds": 60}  # noqa: RUF012
    validation = (0.1, 0.3, 0.2)

    def similarity(self, collection):
        same = np.equal.outer(collection.works, collection.works)
        return same + np.random.default_rng(0).normal(size=same.shape)

    def encoder(self):
        return None


def test_a_network_takes_the_rate_that_lowers_its_loss_most(options, monkeypatch):
    options.rates, options.steps = ["1e-4", "1e-3", "1e-2"], 50
    asked = []

    def trained(name, config_name, options, seed=0, changes=(), teacher=None):
        asked.append((name, options.steps, seed, changes))
        run = Trained()
        run.loss = {"1e-4": (0.1, 0.5), "1e-3": (0.9, 0.3), "1e-2": (0.2, 0.4)}[
            changes[-1].removeprefix("learning_rate=")
        ]
        return run

    monkeypatch.setattr(comparison, "trained", trained)
    found = comparison.train("cqtnet", 1, options.rates, options)
    assert found.rates == {"1e-4": 0.5, "1e-3": 0.3, "1e-2": 0.4}
    assert [steps for _, steps, _, _ in asked] == [5, 5, 5, 50]
    assert asked[3] == ("cqtnet", 50, 1, ["learning_rate=1e-3"])
    assert len({name for name, *_ in asked}) == 4
    assert found.seconds == 4 * 60
    kept = Finished("", "", found.rates, [], 4, {})
    text = comparison.about_rates({"cqtnet": [kept]}, options)
    assert "CQT-Net 0.500 at 1e-4, 0.300 at 1e-3, 0.400 at 1e-2" in text

    asked.clear()
    monkeypatch.setattr(embedding_size, "trained", trained)
    others = embedding_size.train_others(options)
    assert [(name, steps) for name, steps, *_ in asked] == [
        *((f"move-16000-{rate}", 5) for rate in options.rates),
        ("move-16000", 50),
        *((f"remove-256-{rate}", 5) for rate in options.rates),
        ("remove-256", 50),
    ]
    assert asked[-1][3] == ["embedding_dim=256", "learning_rate=1e-3"]
    text = embedding_size.about_rates(others, options)
    assert "Re-MOVE 0.500 at 1e-4, 0.300" in text

    # Another rate than that of all other tables has a folder of its own, and is told.
    asked.clear()
    options.rates = ["1e-4"]
    comparison.train("cqtnet", 0, options.rates, options)
    assert asked == [("cqtnet-at-1e-4", 50, 0, ["learning_rate=1e-4"])]
    assert "a learning rate of 1e-4" in comparison.about_rates({}, options)
    assert "is 1e-4" in embedding_size.about_rates({}, options)


def test_byte_cover_has_the_rate_that_was_chosen_for_it(options, monkeypatch):
    """Its triplet loss joins the other, so that losses of few steps say nothing."""
    options.rates = ["1e-3", "1e-4"]
    asked = []

    def trained(name, config_name, options, seed=0, changes=(), teacher=None):
        asked.append((name, changes))
        return Trained()

    monkeypatch.setattr(comparison, "trained", trained)
    rates = comparison.rates_of("bytecover", options)
    assert comparison.train("bytecover", 0, rates, options).rates == {}
    assert asked == [("bytecover", ["learning_rate=1e-3"])]


def test_networks_that_are_timed_are_those_that_are_trained(options, monkeypatch):
    options.rates = ["1e-3"]
    trained = []

    class Run:
        def __init__(self, config, *_, **__):
            trained.append(config)

        def finish(self, folder):
            return {"seconds": 1.0}

    monkeypatch.setattr(tables, "TrainingRun", Run)
    for name in comparison.ALL:
        comparison.train(name, 0, options.rates, options)
        timed = comparison.untrained(name, options)
        assert timed.architecture == trained[-1].architecture
        assert timed.built
    assert len({config.network for config in trained}) == len(comparison.NETWORKS)
    assert [config.pitch_classes for config in trained] == [False] * 5 + [True]


def test_other_recordings_or_settings_are_another_training(options, monkeypatch):
    some = collection(["a", "a"])
    first = comparison.about_training("move", 0, ["1e-3"], options, [some])
    assert comparison.about_training("move", 0, ["1e-3"], options, [some]) == first
    assert comparison.about_training("move", 1, ["1e-3"], options, [some]) != first
    monkeypatch.setattr(tables, "RECIPE", [*tables.RECIPE, "augment.noise=0.5"])
    assert comparison.about_training("move", 0, ["1e-3"], options, [some]) != first
    monkeypatch.undo()
    # As many recordings, but others.
    tracks = options.data_root / "tracks.csv"
    tracks.write_text(tracks.read_text().replace("w1-", "v1-"))
    assert comparison.about_training("move", 0, ["1e-3"], options, [some]) != first
    tracks.write_text(tracks.read_text().replace("v1-", "w1-"))
    other = replace(some, features=[np.ones((84, 3))])
    assert other.describe() == some.describe()
    assert comparison.about_training("move", 0, ["1e-3"], options, [other]) != first
    assert other.digest != replace(other, cqts=other.features).digest


def test_long_trainings_have_epochs_of_about_a_thousand_steps(options):
    for steps, epochs, each in ((3, 3, 1), (6000, 6, 1000), (30000, 30, 1000)):
        options.steps = steps
        assert (tables.epochs(options), tables.steps_per_epoch(options)) == (
            epochs,
            each,
        )
    options.full_depth = True
    config = tables.load_config("bytecover")
    config = tables.override(config, tables.settings(config, options))
    assert (config.blocks, config.triplet_from_epoch) == ((3, 4, 6, 3), 20)


def test_each_command_writes_its_section(options, monkeypatch, tmp_path):
    report = tmp_path / "results.md"
    monkeypatch.setenv("BYTECOVER_REPORT", str(report))
    monkeypatch.setattr(comparison, "time_of_encoder", lambda *_: 1.25)
    works = {"butchers", "liverpool", "barney-ofinnegan"}
    some = [item for item in tables.read_tunes() if item.work in works]
    monkeypatch.setattr(tables, "read_tunes", lambda: some)
    names = []

    def trained(name, config_name, options, seed=0, changes=(), teacher=None):
        names.append(f"{name}-{seed}")
        return Trained()

    arguments = [
        *("--data-root", str(options.data_root), "--work-dir", str(options.work_dir)),
        *("--width", "4", "--steps", "2"),
    ]
    for module, more in (
        (ablation, ["--seeds", "2"]),
        (embedding_size, []),
        (comparison, ["--seeds", "2"]),
    ):
        monkeypatch.setattr(tables, "trained", trained)
        monkeypatch.setattr(module, "trained", trained, raising=False)
        monkeypatch.setattr("sys.argv", ["x", *arguments, *more])
        module.main()
    text = report.read_text()
    for module in ("ablation --seeds 2", "embedding_size", "comparison --seeds 2"):
        assert (
            f"python -m benchmarks.paper.{module} --steps 2 --width 4 --data-root"
            in text
        )
    assert str(tmp_path) not in text
    assert text.count("| unseen works |") == (5 + 1) + 6 + 6 + 2 + 1
    assert "- human variants: The paper's order" in text
    assert "128 (no projection)" in text
    assert "| MOVE | .507 / - |" in text
    assert "| MOVE, 16000 | 62.5 KiB | .507 |" in text
    assert "| Re-MOVE, 256 | 1 KiB | .524 |" in text
    assert "a frame lasts 5 times as long here" in text
    assert "(ByteCover, seed 0; ByteCover, seed 1; CQT-Net, seed 0; " in text
    # ByteCover is trained once for all three.
    assert names.count("bytecover-pitch-classes-0") == 3
    assert names.count("bytecover-0") == names.count("bytecover-1") == 1
    assert "bytecover-128-pitch-classes-0" not in names
    assert "bytecover-2048-pitch-classes-0" in names

    # What the networks found is kept, so the table can be written without training.
    def untrained(*_, **__):
        raise AssertionError("was trained before")

    monkeypatch.setattr(comparison, "trained", untrained)
    monkeypatch.setattr(tables, "trained", untrained)
    lines = [line for line in text.splitlines() if "| MOVE | .507 / - |" in line]
    report.unlink()
    comparison.main()
    again = report.read_text().splitlines()
    assert [line for line in again if "| MOVE | .507 / - |" in line] == lines
    # Other steps are another training.
    monkeypatch.setattr("sys.argv", ["x", *arguments[:-1], "30"])
    with pytest.raises(AssertionError, match="was trained before"):
        comparison.main()
