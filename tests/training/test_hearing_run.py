import json
import zlib
from functools import partialmethod
from types import SimpleNamespace

import numpy as np
import pytest

from bytecover_tf.audio.hearing import Hearing
from bytecover_tf.encoders.model_file import load_hearing_model, read_info
from bytecover_tf.errors import ConfigError, DataError, EncoderError, StoreError
from bytecover_tf.stores.labelled_store import (
    FRONTENDS,
    LabelledFeatures,
    LabelledRecording,
    LabelledStoreWriter,
)
from bytecover_tf.training import hearing
from bytecover_tf.training.hearing import HearingRequest, train_hearing
from bytecover_tf.training.note_crops import NoteCrops
from bytecover_tf.training.note_table import FRAMES, NoteTable
from export.__main__ import main as export

KINDS = ("bytecover_tf>NoteNetwork",)


def is_spared(id):
    return zlib.crc32(id.encode()) % 20 == 0


SPARED = [id for id in map(str, range(500)) if is_spared(id)]
OTHERS = [id for id in map(str, range(500)) if not is_spared(id)]


def features(seed, frames=FRAMES + 10, melody=False, notes=True):
    """Notes that each sound for a while, as strong as their bins."""
    rng = np.random.default_rng(seed)
    sounding = np.repeat(rng.random((88, -(-frames // 8))) > 0.9, 8, axis=1)[:, :frames]
    semitones = sounding[3:87].astype(float)
    noise = 0.01 * rng.random((252, frames))
    return LabelledFeatures.of(
        semitones + 0.01,
        np.repeat(semitones, 3, axis=0) + noise,
        sounding.astype(float) if notes else None,
        np.diff(sounding, axis=1, prepend=False).astype(float) if notes else None,
        sounding if melody else None,
    )


def fill(path, *rows):
    with LabelledStoreWriter(path) as writer:
        for id, set, role, made in rows:
            seconds = 360.0
            row = LabelledRecording(id, set, role, id, "full", seconds, "here", id)
            writer.add(row, made)
    return str(path)


ROWS = (
    (OTHERS[0], "pop", "train", features(0)),
    (OTHERS[1], "pop", "train", features(1)),
    (SPARED[0], "pop", "train", features(2)),
    (OTHERS[2], "songs", "train", features(3, melody=True)),
    # A melody is never held out.
    (SPARED[1], "songs", "train", features(4, melody=True)),
    (OTHERS[3], "pop", "dev", features(5)),
    (OTHERS[4], "pop", "train", features(6, FRAMES - 1)),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("store") / "labelled", *ROWS)


@pytest.fixture(scope="module", autouse=True)
def short_epochs():
    """Have epochs of two steps, and networks that XLA need not compile first.

    tests/test_train_hearing.py trains as users do.
    """
    model = hearing._TrainedOnTable
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hearing, "_STEPS_PER_EPOCH", 2)
        without_xla = partialmethod(model.compile, jit_compile=False)
        patch.setattr(model, "compile", without_xla)
        yield


def request(store, **changes):
    small = {"steps": 6, "batch": 2, "filters": 2, "kernels": ((3, 3),)}
    small["seed"] = 3
    return HearingRequest((store,), **{**small, **changes})


class Killed(Exception):
    pass


def kill_after(lines):
    told = []

    def report(line):
        told.append(line)
        if len(told) == lines:
            raise Killed

    return report


@pytest.fixture(scope="module")
def finished(store, short_epochs, tmp_path_factory):
    """A run from beginning to end, with all that it read and told."""
    run = SimpleNamespace(lines=[], drawn=[], held=[], trained_on=[])
    made, get, hold = NoteCrops.__init__, NoteCrops.__getitem__, NoteTable.__init__

    def noted_table(self, recordings):
        run.held.extend(recordings)
        hold(self, recordings)
        run.places = self.places

    def noted(self, places, *arguments):
        run.trained_on.extend(run.held[run.places.index(one)] for one in places)
        made(self, places, *arguments)

    def noted_batch(self, number):
        run.drawn.append((self.epoch, number))
        return get(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NoteTable, "__init__", noted_table)
        patch.setattr(NoteCrops, "__init__", noted)
        patch.setattr(NoteCrops, "__getitem__", noted_batch)
        folder = tmp_path_factory.mktemp("finished") / "run"
        run.path = train_hearing(request(store), folder, run.lines.append)
    assert run.path == folder / "hearing.keras"
    run.model, run.info = load_hearing_model(run.path)
    return run


def test_resumed_training_ends_as_uninterrupted_training(store, finished, tmp_path):
    for _ in range(2):
        with pytest.raises(Killed):
            train_hearing(request(store), tmp_path, kill_after(1))
    lines = []
    path = train_hearing(request(store), tmp_path, lines.append)
    # Only what was left is trained.
    assert len(lines) == 1
    assert lines[0].startswith("step 6 of 6: notes ")
    found, info = load_hearing_model(path)
    for a, b in zip(finished.model.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)
    assert info["held_out"] == pytest.approx(finished.info["held_out"], abs=1e-4)


def test_a_backup_is_replaced_as_a_whole(store, finished, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        train_hearing(request(store), tmp_path, kill_after(1))
    backup = tmp_path / "backup.keras"
    before = backup.read_bytes()

    def save_half(self, path):
        path.write_bytes(before[:1000])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("keras.Model.save", save_half)
        with pytest.raises(Killed):
            train_hearing(request(store), tmp_path, lambda line: None)
    assert backup.read_bytes() == before
    lines = []
    train_hearing(request(store), tmp_path, lines.append)
    assert [line.split(" of")[0] for line in lines] == ["step 4", "step 6"]
    # The finished network takes its place.
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"run.json", "hearing.keras"}


def test_a_damaged_backup_says_what_to_do(store, tmp_path):
    with pytest.raises(Killed):
        train_hearing(request(store), tmp_path, kill_after(1))
    backup = tmp_path / "backup.keras"
    half = backup.read_bytes()[: backup.stat().st_size // 2]
    backup.write_bytes(half)
    with pytest.raises(EncoderError, match=r"backup\.keras: .*; remove it to begin"):
        train_hearing(request(store), tmp_path)
    assert backup.read_bytes() == half


def test_each_hundred_steps_are_told(finished):
    told = [line.split(":")[0] for line in finished.lines]
    assert told == [f"step {done} of 6" for done in (2, 4, 6)]


def test_each_epoch_has_its_own_batches_once(finished):
    # Before it trains, Keras looks at the first ones to know their shapes.
    expected = [(epoch, number) for epoch in range(3) for number in range(2)]
    assert finished.drawn[-6:] == expected
    assert set(finished.drawn) == set(expected)


def test_the_file_says_what_it_was_trained_on(store, finished):
    model, info = finished.model, finished.info
    assert (model.filters, model.kernels) == (2, ((3, 3),))
    assert info["frontend"] == FRONTENDS["cqt36"].to_dict()
    assert info["request"]["stores"] == [store]
    assert (info["request"]["steps"], info["request"]["seed"]) == (6, 3)
    assert info["augmentation"]["semitones"] == 5
    # Neither what is for development nor what is shorter than a crop.
    assert info["sets"] == {
        "pop": {"recordings": 3, "hours": 0.3},
        "songs": {"recordings": 2, "hours": 0.2},
    }


def test_what_is_held_out_is_not_trained_on(finished):
    expected = [features(0), features(1), features(3, melody=True)]
    expected.append(features(4, melody=True))
    found = {one.notes.tobytes() for one in finished.trained_on}
    assert found == {one.notes.tobytes() for one in expected}


def test_what_is_measured_is_what_the_network_hears_held_out(finished):
    measured = finished.info["held_out"]
    assert measured["loss"] == pytest.approx(
        measured["notes"] + measured["onsets"] + 3 * measured["melody"], rel=1e-4
    )
    # None of what is held out has a melody.
    assert measured["melody"] == 0
    held_out = features(2)
    start = (held_out.cqt36.shape[1] - FRAMES) // 2
    frames = slice(start, start + FRAMES)
    relative = held_out.amplitudes("cqt36") / (10 * held_out.scale[1, 0])
    logits = np.asarray(finished.model(relative[None, :, frames, None]), np.float64)
    found = 1 / (1 + np.exp(-logits[0]))
    for channel, name in enumerate(("notes", "onsets")):
        labels = getattr(held_out, name)[3:87, frames] / 255
        labels = labels.reshape(84, -1, 2).mean(axis=2)
        p = found[..., channel]
        entropy = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
        assert measured[name] == pytest.approx(entropy, rel=1e-4)
        correlation = np.corrcoef(p.ravel(), labels.ravel())[0, 1]
        assert measured[f"{name}_correlation"] == pytest.approx(correlation, abs=1e-3)


def test_it_learns_which_notes_sound(store, tmp_path):
    asked = request(store, steps=40, learning_rate=0.03, filters=4)
    path = train_hearing(asked, tmp_path / "run", lambda line: None)
    measured = read_info(path, KINDS)["held_out"]
    assert measured["notes_correlation"] > 0.7


@pytest.mark.slow
def test_it_learns_and_resumes_on_jax(on_jax, store, tmp_path):
    pytest.importorskip("jax")
    melodies = fill(
        tmp_path / "drawn",
        *(
            (OTHERS[k], "drawn", "train", features(k, melody=True, notes=False))
            for k in range(10, 13)
        ),
    )
    code = (
        "import sys, keras, numpy as np\n"
        "from pathlib import Path\n"
        "from bytecover_tf.encoders.model_file import load_hearing_model\n"
        "from bytecover_tf.training import hearing\n"
        "assert keras.backend.backend() == 'jax'\n"
        "hearing._STEPS_PER_EPOCH = 20\n"
        "request = hearing.HearingRequest(tuple(sys.argv[2:]), 60, 6, 0.03, 4,\n"
        "                                 ((3, 3),))\n"
        "class Killed(Exception): pass\n"
        "def report(line):\n"
        "    print(line)\n"
        "    raise Killed\n"
        "whole, killed = (Path(sys.argv[1]) / name for name in ('whole', 'killed'))\n"
        "hearing.train_hearing(request, whole)\n"
        "try: hearing.train_hearing(request, killed, report)\n"
        "except Killed: pass\n"
        "hearing.train_hearing(request, killed)\n"
    )
    told = on_jax(code, tmp_path, store, melodies).splitlines()
    assert [line.split(":")[0] for line in told] == [
        f"step {done} of 60" for done in (20, 40, 60, 20, 40, 60)
    ]
    for name in ("notes", "onsets", "melody"):
        losses = [float(line.split(f"{name} ")[1].split(",")[0]) for line in told[:3]]
        assert losses[2] < losses[0] / 2
    # Another backend reads what one has written.
    whole, killed = (
        load_hearing_model(tmp_path / name / "hearing.keras")
        for name in ("whole", "killed")
    )
    for a, b in zip(whole[0].get_weights(), killed[0].get_weights(), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-3)
    assert "jax" in whole[1]["versions"]
    assert whole[1]["held_out"]["notes_correlation"] > 0.7
    onnx = tmp_path / "hearing.onnx"
    trained = tmp_path / "killed" / "hearing.keras"
    assert export(["--hearing", str(trained), "--out", str(onnx)]) == 0
    one = features(2)
    heard = Hearing(str(onnx)).hear(one.amplitudes("cqt36"))
    labels = one.notes[3:87].reshape(84, -1, 2).mean(axis=2)
    assert np.corrcoef(heard[0].ravel(), labels.ravel())[0, 1] > 0.7


def test_a_run_of_other_settings_is_refused(store, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train_hearing(request(store), run, kill_after(1))
    noted = (run / "run.json").read_text()
    for other in (request(store, seed=1), request(store, filters=3)):
        with pytest.raises(ConfigError, match=r"run\.json: holds a run with"):
            train_hearing(other, run)
    assert (run / "run.json").read_text() == noted
    assert json.loads(noted)["batch"] == 2


def test_a_run_goes_on_with_the_same_recordings_alone(store, finished, tmp_path):
    own = fill(tmp_path / "own", *ROWS[::-1])
    run = tmp_path / "run"
    with pytest.raises(Killed):
        train_hearing(request(own), run, kill_after(1))
    backup = (run / "backup.keras").read_bytes()
    fill(tmp_path / "own", (OTHERS[8], "pop", "train", features(8)))
    with pytest.raises(ConfigError, match=r"backup\.keras: was trained on other"):
        train_hearing(request(own), run)
    assert (run / "backup.keras").read_bytes() == backup


def test_the_order_of_a_store_means_nothing(finished, tmp_path):
    path = train_hearing(
        request(fill(tmp_path / "turned", *ROWS[::-1])), tmp_path / "run", print
    )
    found, _ = load_hearing_model(path)
    for a, b in zip(finished.model.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)


def test_a_loss_that_is_no_number_ends_the_run(store, tmp_path):
    with pytest.raises(ConfigError, match="no longer a number after step"):
        train_hearing(request(store, learning_rate=1e30), tmp_path / "run", print)
    assert not (tmp_path / "run" / "hearing.keras").exists()


def test_too_little_is_refused(tmp_path):
    only = fill(tmp_path / "one", (OTHERS[0], "pop", "train", features(0)))
    with pytest.raises(DataError, match="one: 1 recordings of 15 s .* 0 to hold out"):
        train_hearing(request(only), tmp_path / "run")
    short = fill(tmp_path / "short", (SPARED[0], "pop", "train", features(0, 90)))
    assert not (tmp_path / "run").exists()
    with pytest.raises(DataError, match="short: 0 recordings"):
        train_hearing(request(short), tmp_path / "another")


def test_several_stores_are_read(store, tmp_path):
    more = fill(tmp_path / "more", (OTHERS[9], "jazz", "train", features(9)))
    asked = HearingRequest((store, more), 4, 2, filters=2, kernels=((3, 3),))
    path = train_hearing(asked, tmp_path / "run", lambda line: None)
    assert set(read_info(path, KINDS)["sets"]) == {"jazz", "pop", "songs"}
    missing = HearingRequest((store, str(tmp_path / "none")), 4)
    with pytest.raises(StoreError, match="none: no labelled recordings"):
        train_hearing(missing, tmp_path / "another")


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"steps": 100},
        {"steps": 250},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
    ],
)
def test_impossible_numbers_are_refused(wrong, monkeypatch):
    monkeypatch.setattr(hearing, "_STEPS_PER_EPOCH", 100)
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        HearingRequest(("labelled",), **wrong)
