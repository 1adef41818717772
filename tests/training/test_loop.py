import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from small_run import SMALL, given_encoder

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import (
    load_learner,
    load_model,
    load_single,
    read_info,
    save_model,
)
from bytecover_tf.errors import (
    ConfigError,
    DataError,
    EncoderError,
    FrontendMismatch,
)
from bytecover_tf.evaluation.protocol import evaluate_tracks
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble
from bytecover_tf.stores.feature_store import FeatureStore, FeatureStoreWriter
from bytecover_tf.stores.note_store import NoteWriter
from bytecover_tf.training import loop
from bytecover_tf.training.config import override
from bytecover_tf.training.loop import train


def test_a_run_leaves_a_better_encoder_and_its_figures(small_set, tmp_path):
    tracks, store = small_set
    run = tmp_path / "run"
    config = override(SMALL, ["epochs=8"])
    figures = train(config, tracks, store, run, seed=1, data="small")
    assert {path.name for path in run.iterdir()} == {
        "encoder.keras",
        "checkpoint.keras",
        "log.csv",
        "metrics.json",
        "tensorboard",
        "training.png",
    }
    assert json.loads((run / "metrics.json").read_text()) == figures
    for record in (figures, figures["before"]):
        assert {"map", "p_at_10", "mr1", "map_interval", "queries"} <= set(record)
    assert figures["queries"] == 8

    log = (run / "log.csv").read_text().splitlines()
    assert len(log) == 9
    rows = [dict(zip(log[0].split(","), map(float, row.split(",")), strict=True))
            for row in log[1:]]  # fmt: skip
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {"classification", "triplet", "validation_map"} <= set(rows[0])
    best = max(rows, key=lambda row: (row["validation_map"], row["epoch"]))
    assert best["epoch"] == figures["best_epoch"]

    # The figures are those of the file, measured anew.
    encoder = load_encoder(run)
    test = [track for track in tracks if track.split == "test"]
    again = evaluate_tracks(encoder, test, store).metrics
    assert again["map"] == pytest.approx(figures["map"])
    seen = encoder.info["trained_on"]
    assert seen["works"] == {"small": sorted(f"work {n}" for n in range(8))}
    assert len(seen["content"]) == 32
    assert list((run / "tensorboard").rglob("events.*"))


def test_continuing_gives_the_same_result_as_never_stopping(small_set, tmp_path):
    tracks, store = small_set
    whole = train(SMALL, tracks, store, tmp_path / "whole", seed=2)
    half = override(SMALL, ["epochs=2"])
    # The schedule must be the whole run's, as it is when a run is killed.
    train_until(half.epochs, tracks, store, tmp_path / "parts")
    info = read_info(tmp_path / "parts" / "checkpoint.keras")
    assert len(info["history"]) == 2
    parts = train(SMALL, tracks, store, tmp_path / "parts", seed=2, resume=True)
    assert parts["epochs"] == 4
    for name in ("whole", "parts"):
        log = (tmp_path / name / "log.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in log[1:]] == list("1234")
    losses = [
        [row["loss"] for row in read_info(tmp_path / n / "checkpoint.keras")["history"]]
        for n in ("whole", "parts")
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    assert parts["before"] == whole["before"]


def test_the_triplet_loss_joins_at_its_epoch(small_set, tmp_path):
    tracks, store = small_set
    config = override(SMALL, ["triplet_from_epoch=2", "augment.transpose=0.0"])
    train(config, tracks, store, tmp_path)
    for row in read_info(tmp_path / "checkpoint.keras")["history"]:
        assert row["triplet"] > 0
        counted = row["classification"] + row["triplet"] * (row["epoch"] > 2)
        assert row["loss"] == pytest.approx(counted, rel=1e-4)


def train_until(epoch, tracks, store, run):
    """Train with SMALL and break off after some epochs."""

    class Stop(Exception):
        pass

    class Recorder(loop.Recorder):
        def on_epoch_end(self, number, logs=None):
            super().on_epoch_end(number, logs)
            if number + 1 == epoch:
                raise Stop

    original = loop.Recorder
    loop.Recorder = Recorder
    try:
        with pytest.raises(Stop):
            train(SMALL, tracks, store, run, seed=2)
    finally:
        loop.Recorder = original


def test_a_finished_run_resumes_to_its_figures(small_set, tmp_path):
    tracks, store = small_set
    config = override(SMALL, ["epochs=1"])
    first = train(config, tracks, store, tmp_path, seed=3)
    assert train(config, tracks, store, tmp_path, seed=3, resume=True) == first
    fewer = [track for track in tracks if track.work != "work 0"]
    longer = override(config, ["epochs=2"])
    with pytest.raises(ConfigError, match="trained on 8 works, the data has 7"):
        train(longer, fewer, store, tmp_path, resume=True)
    # As many works, of which one has another name.
    other = [
        replace(track, work="other") if track.work == "work 0" else track
        for track in tracks
    ]
    with pytest.raises(ConfigError, match="other works than the data has now; 2 diff"):
        train(longer, other, store, tmp_path, resume=True)


def test_what_was_trained_on_is_not_forgotten(small_set, tmp_path):
    """A recording that the data has no longer was trained on all the same."""
    tracks, store = small_set
    config = override(SMALL, ["epochs=1", "steps_per_epoch=1"])
    train(config, tracks, store, tmp_path)
    longer = override(config, ["epochs=2"])
    tested = next(track for track in tracks if track.split == "test")
    moved = replace(tracks[0], work=tested.work, split="test")
    with pytest.raises(ConfigError, match="trained on 1 recordings .* another split"):
        train(longer, [moved, *tracks[1:]], store, tmp_path, resume=True)
    train(longer, tracks[1:], store, tmp_path, resume=True)
    known = load_encoder(tmp_path / "checkpoint.keras").info["trained_on"]["content"]
    assert store.entry(tracks[0].path).key[:12] in known


def test_changed_recordings_are_told(small_set, tmp_path, capsys):
    tracks, store = small_set
    config = override(SMALL, ["epochs=1", "steps_per_epoch=1"])
    train(config, tracks, store, tmp_path)
    assert "since the run began" not in capsys.readouterr().err
    train(config, tracks[1:], store, tmp_path, resume=True)
    assert "1 of the training recordings have come" in capsys.readouterr().err


@pytest.mark.parametrize("split", ["validation", "test"])
def test_changed_measures_are_told(small_set, tmp_path, capsys, split):
    tracks, store = small_set
    config = override(SMALL, ["epochs=1", "steps_per_epoch=1"])
    train(config, tracks, store, tmp_path)
    train(config, tracks[::-1], store, tmp_path, resume=True)
    assert "since the run began" not in capsys.readouterr().err
    gone = next(track for track in tracks if track.split == split)
    fewer = [track for track in tracks if track is not gone]
    warning = f"the {split} recordings or their works have changed since"
    # Each time: what was measured first stays in the log.
    for epochs in (2, 3):
        longer = override(config, [f"epochs={epochs}"])
        train(longer, fewer, store, tmp_path, resume=True)
        assert warning in capsys.readouterr().err


def test_sound_is_not_cropped_where_there_is_none(small_set, tmp_path):
    tracks, store = small_set
    with pytest.raises(ConfigError, match=r"/music/0/0: is no audio file"):
        train(SMALL, tracks, store, tmp_path, waveforms=True)


def test_a_single_work_to_validate_on_is_warned_of(small_set, tmp_path, capsys):
    tracks, store = small_set
    unseen = {track.work for track in tracks if track.split == "validation"}
    few = [
        track
        for track in tracks
        if track.split != "validation" or track.work == min(unseen)
    ]
    config = override(SMALL, ["epochs=2", "steps_per_epoch=1"])
    figures = train(config, few, store, tmp_path)
    assert "a single validation work" in capsys.readouterr().err
    # Both epochs find everything; the second has learned longer.
    assert figures["best_epoch"] == 2


def test_what_a_checkpoint_holds_cannot_change_on_the_way(small_set, tmp_path):
    tracks, store = small_set
    config = override(SMALL, ["epochs=1"])
    train(config, tracks, store, tmp_path)
    before = (tmp_path / "checkpoint.keras").read_bytes()
    changes = ["epochs=2", "margin=0.9", "width=7", "steps_per_epoch=7"]
    with pytest.raises(ConfigError, match="cannot change width, margin, steps_per"):
        train(override(config, changes), tracks, store, tmp_path, resume=True)
    assert (tmp_path / "checkpoint.keras").read_bytes() == before


def test_a_longer_run_gets_a_longer_schedule(small_set, tmp_path):
    tracks, store = small_set
    for epochs in (1, 2):
        config = override(SMALL, [f"epochs={epochs}"])
        train(config, tracks, store, tmp_path, resume=True)
        model, _ = load_learner(tmp_path / "checkpoint.keras")
        schedule = model.optimizer.get_config()["learning_rate"]["config"]
        assert schedule["decay_steps"] == 6 * epochs - 3
    assert int(model.optimizer.iterations) == 12
    shorter = override(SMALL, ["epochs=1"])
    with pytest.raises(ConfigError, match="trained for 2 epochs; .* found epochs=1"):
        train(shorter, tracks, store, tmp_path, resume=True)


def test_a_loss_that_is_not_a_number_ends_the_run_with_a_reason(small_set, tmp_path):
    tracks, store = small_set
    config = override(SMALL, ["learning_rate=1e30", "warmup_steps=0"])
    with pytest.raises(ConfigError, match="no longer a number"):
        train(config, tracks, store, tmp_path)


def test_without_test_works_the_validation_works_are_measured(small_set, tmp_path):
    tracks, store = small_set
    some = [track for track in tracks if track.split != "test"]
    figures = train(override(SMALL, ["epochs=1"]), some, store, tmp_path)
    assert figures["split"] == "validation"


def test_likely_copies_are_named_but_do_not_stop(
    small_set, tmp_path, capsys, rng, monkeypatch
):
    class Begun(Exception):
        pass

    def begin(*_):
        raise Begun

    monkeypatch.setattr(loop, "_new", begin)
    tracks, store = small_set
    with pytest.raises(Begun):
        train(SMALL, tracks, store, tmp_path / "clean")
    assert "sounds like" not in capsys.readouterr().err
    features = store.features(tracks[0].path)
    with FeatureStoreWriter(store.path, Frontend()) as writer:
        noisy = features * rng.uniform(0.95, 1.05, features.shape)
        writer.add("/copy.mp3", "other bytes", noisy / noisy.max())
    copy = Track("copy", "another work", "/copy.mp3", "test")
    reopened = type(store)(store.path)
    with pytest.raises(Begun):
        train(SMALL, [*tracks, copy], reopened, tmp_path / "copied")
    err = capsys.readouterr().err
    assert f"{tracks[0].path} (train) sounds like /copy.mp3 (test)" in err


@pytest.mark.parametrize(
    "precision",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_mixed_precision_ends_in_a_float32_encoder(small_set, tmp_path, precision):
    tracks, store = small_set
    config = override(SMALL, [f"precision={precision}", "epochs=1"])
    train(config, tracks, store, tmp_path)
    train(override(config, ["epochs=2"]), tracks, store, tmp_path, resume=True)
    encoder = load_encoder(tmp_path)
    assert encoder._network._model.compute_dtype == "float32"


def test_weights_of_another_encoder_are_the_start(small_set, tmp_path):
    tracks, store = small_set
    earlier = [track for track in tracks if track.work in ("work 0", "work 1")]
    later = [track for track in tracks if track not in earlier]
    path = given_encoder(tmp_path / "given.keras", store, earlier)
    # A rate too small to change a weight.
    still = override(SMALL, ["epochs=1", "learning_rate=1e-30"])
    run = tmp_path / "run"
    figures = train(still, later, store, run, seed=5, data="small", init=path)

    test = [track for track in tracks if track.split == "test"]
    measured = evaluate_tracks(load_encoder(path), test, store).metrics
    assert figures["before"]["map"] == pytest.approx(measured["map"])
    source, _ = load_model(path)
    model, _ = load_model(run / "checkpoint.keras")
    for part in ("backbone", "pool", "neck"):
        for mine, theirs in zip(
            getattr(model, part).trainable_variables,
            getattr(source, part).trainable_variables,
            strict=True,
        ):
            np.testing.assert_allclose(mine, theirs, atol=1e-6)

    # Where the weights came from, and all that they have seen, is remembered.
    info = read_info(run / "encoder.keras")
    assert info["init"]["path"] == str(path)
    trained = {track.work for track in later if track.split == "train"}
    assert set(info["trained_on"]["works"]["small"]) == trained | {"work 0", "work 1"}
    assert len(info["trained_on"]["content"]) == 4 * len(trained) + 8


def test_a_continued_run_does_not_need_the_encoder_it_started_from(small_set, tmp_path):
    tracks, store = small_set
    path = given_encoder(tmp_path / "given.keras", store, [])
    run = tmp_path / "run"
    config = override(SMALL, ["epochs=1"])
    first = train(config, tracks, store, run, init=path)
    path.unlink()
    longer = override(config, ["epochs=2"])
    second = train(longer, tracks, store, run, resume=True, init=path)
    assert second["before"] == first["before"]
    assert read_info(run / "checkpoint.keras")["init"]["path"] == str(path)


def test_an_encoder_that_does_not_fit_is_refused_by_name(small_set, tmp_path):
    tracks, store = small_set
    run = tmp_path / "run"
    path = given_encoder(tmp_path / "given.keras", store, [])
    wide = override(SMALL, ["width=8", "input_power=0.5"])
    with pytest.raises(
        ConfigError,
        match=r"width: 4 in .*given\.keras, 8 in the settings; input_power: 1\.0 in"
        r".*--set 'width=4' --set 'input_power=1\.0'$",
    ):
        train(wide, tracks, store, run, init=path)
    with FeatureStoreWriter(tmp_path / "finer", Frontend(pool=50)) as writer:
        for track in tracks:
            writer.add(track.path, track.id, store.features(track.path))
    finer = type(store)(tmp_path / "finer")
    with pytest.raises(FrontendMismatch, match="pool: expected 100, found 50"):
        train(SMALL, tracks, finer, run, init=path)
    with pytest.raises(EncoderError, match=r"nothing\.keras: no such file"):
        train(SMALL, tracks, store, run, init=tmp_path / "nothing.keras")


def test_of_an_ensemble_the_member_that_fits_is_the_start(small_set, tmp_path):
    tracks, store = small_set
    path = given_encoder(tmp_path / "given.keras", store, [])
    fitting, _ = load_single(path)
    wide = override(SMALL, ["width=8"])
    other = ByteCover(wide.architecture)
    other.build((None, 84, None, 1))
    joined = tmp_path / "joined.keras"
    both = Ensemble([other, fitting])
    both.build((None, 84, None, 1))
    save_model(both, joined, store.frontend, {})

    still = override(SMALL, ["epochs=1", "learning_rate=1e-30"])
    run = tmp_path / "run"
    figures = train(still, tracks, store, run, init=joined)
    test = [track for track in tracks if track.split == "test"]
    alone = evaluate_tracks(load_encoder(path), test, store).metrics
    together = evaluate_tracks(load_encoder(joined), test, store).metrics
    assert figures["before"]["map"] == pytest.approx(alone["map"])
    assert figures["before"]["map"] != pytest.approx(together["map"])
    assert read_info(run / "encoder.keras")["init"]["path"] == str(joined)

    # If none does, the nearest is named.
    near = override(wide, ["bnneck=False"])
    with pytest.raises(ConfigError, match=r"add --set 'bnneck=True'$"):
        train(near, tracks, store, tmp_path / "other", init=joined)


def test_an_encoder_trained_on_unseen_works_is_refused(small_set, tmp_path):
    tracks, store = small_set
    unseen = [track for track in tracks if track.split != "train"]
    path = given_encoder(tmp_path / "given.keras", store, unseen)
    with pytest.raises(DataError, match="trained on 4 of these works and 16 of these"):
        train(SMALL, tracks, store, tmp_path / "run", data="small", init=path)


@pytest.fixture
def scored_set(small_set):
    """The small set, and what is loud in it as if that were its score."""
    tracks, store = small_set
    with NoteWriter(store.path, 84) as writer:
        for track in tracks:
            features = store.features(track.path)
            loud = (features > 0.3).astype(np.float32)
            writer.add(store.entry(track.path), np.stack([loud, features]))
    return tracks, store


def test_training_with_scores_teaches_to_hear_and_resumes(scored_set, tmp_path):
    tracks, store = scored_set
    settings = ["salience=4", "temperature=0.1", "easy_steps=12", "learning_rate=0.02"]
    config = override(SMALL, settings)
    train(override(config, ["epochs=2"]), tracks, store, tmp_path / "run")
    train(config, tracks, store, tmp_path / "run", resume=True)
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    hearing = rows[0].split(",").index("hearing")
    losses = [float(row.split(",")[hearing]) for row in rows[1:]]
    assert len(losses) == 4
    assert losses[-1] < 0.9 * losses[0]

    # The same architecture learns on from recordings without scores.
    (store.path / "scores.u8").unlink()
    fine = tmp_path / "fine"
    figures = train(config, tracks, store, fine, init=tmp_path / "run")
    assert figures["before"]["map"] == pytest.approx(
        json.loads((tmp_path / "run" / "metrics.json").read_text())["map"]
    )


@pytest.fixture
def fine_set(tmp_path):
    """12 works of 36 bins an octave, each a tune of its own, in 4 versions."""
    rng = np.random.default_rng(2)
    fine = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)
    tracks = []
    with FeatureStoreWriter(tmp_path / "fine-store", fine) as writer:
        for work in range(12):
            tune = 3 * rng.integers(24, 60, 40) + 1
            for version in range(4):
                features = rng.random((252, 160)) / 50
                for frame in range(160):
                    pitch = tune[(frame + 8 * version) // 4 % 40]
                    for partial, strength in ((0, 1.0), (36, 0.5), (57, 0.3)):
                        features[pitch + partial, frame] += strength
                name = f"{work}-{version}"
                writer.add(name, name, features)
                split = "train" if work < 8 else "validation" if work < 10 else "test"
                tracks.append(Track(name, f"work {work}", name, split))
    return tracks, FeatureStore(tmp_path / "fine-store")


HEARD = [
    *("heard=24", "pitch_classes=True", "hear_once=True", "temperature=0.1"),
    *("frontend.n_bins=252", "frontend.bins_per_octave=36", "frontend.pool=5"),
    *("frontend.estimated=True", "crop_frames=(64,)", "epochs=2", "windows=2"),
]


def test_training_on_what_was_heard_once_learns_and_resumes(fine_set, tmp_path):
    tracks, store = fine_set
    config = override(SMALL, HEARD)
    train(override(config, ["epochs=1"]), tracks, store, tmp_path / "run")
    (heard,) = store.path.glob("heard-*.u8")
    before = heard.stat().st_mtime_ns
    train(config, tracks, store, tmp_path / "run", resume=True)
    assert heard.stat().st_mtime_ns == before
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    for loss in ("contrastive", "windows"):
        column = rows[0].split(",").index(loss)
        first, second = (float(row.split(",")[column]) for row in rows[1:])
        assert second < first
    # The encoder that it leaves hears features itself.
    encoder = load_encoder(tmp_path / "run")
    assert evaluate_tracks(encoder, tracks[40:], store).metrics["map"] > 0.5
    taught = ["teaching=wholes", "windows=1", "epochs=1", "crop_frames=(24,)"]
    taught = override(config, taught)
    named = {"init": tmp_path / "run", "teacher": tmp_path / "run"}
    train(taught, tracks, store, tmp_path / "taught", **named)
    assert "distillation" in (tmp_path / "taught" / "log.csv").read_text()
    with pytest.raises(ConfigError, match="leave out --waveforms"):
        train(config, tracks, store, tmp_path / "other", waveforms=True)
    with pytest.raises(ConfigError, match="train without --teacher"):
        train(config, tracks, store, tmp_path / "other", teacher=tmp_path / "run")


def new_teacher(path, trained_on=None, **arguments):
    arguments = {"salience": 2, "embedding_dim": 16, **arguments}
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2, **arguments))
    model.build((None, 84, None, 1))
    save_model(model, path, Frontend(), {"trained_on": trained_on})
    return path


def test_a_run_with_a_teacher_follows_it_and_resumes(scored_set, tmp_path):
    tracks, store = scored_set
    teacher = new_teacher(tmp_path / "teacher.keras")
    settings = ["pitch_classes=True", "registers=2", "temperature=0.1",
                "embedding_dim=16", "learning_rate=0.02"]  # fmt: skip
    config = override(SMALL, settings)
    run = tmp_path / "run"
    train(override(config, ["epochs=2"]), tracks, store, run, teacher=teacher)
    train(config, tracks, store, run, resume=True, teacher=teacher)
    rows = (run / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("distillation")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    info = read_info(run / "encoder.keras")
    nothing_known = {"works": {}, "content": [], "is_whole": False}
    assert info["teacher"] == {"path": str(teacher), "trained_on": nothing_known}


def test_teachers_that_cannot_teach_are_refused(small_set, scored_set, tmp_path):
    tracks, store = scored_set
    config = override(SMALL, ["embedding_dim=16"])
    run = tmp_path / "run"
    deaf = new_teacher(tmp_path / "deaf.keras", salience=None)
    with pytest.raises(ConfigError, match="deaf.keras: cannot read scores"):
        train(config, tracks, store, run, teacher=deaf)
    larger = new_teacher(tmp_path / "larger.keras", embedding_dim=24)
    with pytest.raises(ConfigError, match="--set embedding_dim=24"):
        train(config, tracks, store, run, teacher=larger)
    work = next(track.work for track in tracks if track.split == "test")
    seen = {"data": "small", "works": [work], "content": []}
    knowing = new_teacher(tmp_path / "knowing.keras", trained_on=seen)
    with pytest.raises(DataError, match="trained on 1 of these works"):
        train(config, tracks, store, run, teacher=knowing, data="small")
    (store.path / "scores.u8").unlink()
    teacher = new_teacher(tmp_path / "teacher.keras")
    with pytest.raises(ConfigError, match="has no scores, which a teacher reads"):
        train(config, tracks, store, run, teacher=teacher)
    assert not (run / "checkpoint.keras").exists()


def test_clips_learn_where_the_teacher_embeds_wholes(small_set, tmp_path):
    tracks, store = small_set
    teacher = tmp_path / "teacher"
    settings = ["pitch_classes=True", "salience=2", "temperature=0.1"]
    train(override(SMALL, settings), tracks, store, teacher)
    settings += ["teaching=wholes", "keep_statistics=True", "crop_frames=(6,)"]
    config = override(SMALL, settings)
    run, named = tmp_path / "run", {"init": teacher, "teacher": teacher}
    train(override(config, ["epochs=2"]), tracks, store, run, **named)
    train(config, tracks, store, run, resume=True, **named)
    rows = (run / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("distillation")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert len(losses) == config.epochs
    assert losses[-1] < losses[0]
    # Clips of recordings that neither was trained on are nearer to the wholes.
    wholes = [store.features(track.path) for track in tracks[-8:]]
    clips = [array[:, 3:9] for array in wholes]
    before, after = (load_encoder(folder) for folder in (teacher, run))
    target = before.embed_features(wholes)
    near = [
        np.sum(target * encoder.embed_features(clips), axis=1).mean()
        for encoder in (before, after)
    ]
    assert near[1] > near[0]
    with pytest.raises(ConfigError, match="teaching=wholes needs a teacher"):
        train(config, tracks, store, tmp_path / "other")


MOVES = override(
    SMALL,
    ["network=move", "width=4", "bnneck=False", "classification=False", "margin=1.0",
     "teaching=distances", "reconfigure=True", "learning_rate=0.01"],
)  # fmt: skip


def new_move(path, tracks, store, width=4):
    # Not the seed of the training, which would draw the same weights.
    keras.utils.set_random_seed(5)
    model = ByteCover(
        Architecture(network="move", width=width, embedding_dim=64, bnneck=False)
    )
    model.build((None, 84, None, 1))
    # A trained one knows by what to standardise.
    features = np.stack([store.features(one.path)[:, :20, None] for one in tracks])
    model.backbone.standardise.momentum = 0.0
    model(features, training=True)
    model.backbone.standardise.momentum = 0.9
    save_model(model, path, Frontend(), {"trained_on": None})
    return path


def test_a_small_move_is_taught_by_a_large_one_and_resumes(small_set, tmp_path):
    tracks, store = small_set
    teacher = new_move(tmp_path / "move.keras", tracks, store)
    config = override(MOVES, ["embedding_dim=8"])
    run = tmp_path / "run"
    train(override(config, ["epochs=2"]), tracks, store, run, teacher=teacher)
    train(config, tracks, store, run, resume=True, teacher=teacher)
    rows = (run / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("distillation")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert len(losses) == config.epochs
    assert all(loss > 0 for loss in losses)
    assert load_encoder(run).dim == 8
    assert read_info(run / "encoder.keras")["teacher"]["path"] == str(teacher)


def test_the_latent_space_alone_is_new(small_set, tmp_path):
    tracks, store = small_set
    teacher = new_move(tmp_path / "move.keras", tracks, store)
    # At a rate that leaves weights as they were.
    still = override(MOVES, ["embedding_dim=8", "epochs=1", "learning_rate=1e-12"])
    train(still, tracks, store, tmp_path / "a", teacher=teacher)
    fresh = override(still, ["reconfigure=False"])
    train(fresh, tracks, store, tmp_path / "b", teacher=teacher)
    theirs, ours, others = (
        load_model(path)[0].backbone.over_time[1].get_weights()[0]
        for path in (
            teacher,
            tmp_path / "a" / "encoder.keras",
            tmp_path / "b" / "encoder.keras",
        )
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.abs(others - theirs).max() > 1e-3


def test_the_cosine_classifier_learns(small_set, tmp_path):
    tracks, store = small_set
    teacher = new_move(tmp_path / "move.keras", tracks, store)
    more = ["embedding_dim=8", "classification=True", "classifier=cosine"]
    train(override(MOVES, more), tracks, store, tmp_path / "run", teacher=teacher)
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    column = rows[0].split(",").index("classification")
    losses = [float(row.split(",")[column]) for row in rows[1:]]
    assert losses[-1] < losses[0]


def test_teachers_of_distances_must_fit(small_set, tmp_path):
    tracks, store = small_set
    run = tmp_path / "run"
    with pytest.raises(ConfigError, match="needs a teacher"):
        train(MOVES, tracks, store, run)
    wider = new_move(tmp_path / "wider.keras", tracks, store, width=6)
    with pytest.raises(ConfigError, match="--set 'width=6'"):
        train(MOVES, tracks, store, run, teacher=wider)
    other = new_teacher(tmp_path / "other.keras")
    with pytest.raises(ConfigError, match="not resnet and move"):
        train(MOVES, tracks, store, run, teacher=other)
