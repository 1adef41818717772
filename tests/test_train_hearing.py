import re
import zlib

import numpy as np
import pytest

from bytecover_tf.encoders.model_file import load_hearing_model
from bytecover_tf.errors import ConfigError, EncoderError, StoreError
from bytecover_tf.index import main as index
from bytecover_tf.stores.labelled_store import (
    LabelledFeatures,
    LabelledRecording,
    LabelledStoreWriter,
)
from bytecover_tf.train_hearing import main
from bytecover_tf.training import hearing


@pytest.fixture
def store(tmp_path, rng):
    """Two recordings to train on and one to hold out."""
    spared = next(k for k in range(99) if zlib.crc32(str(k).encode()) % 20 == 0)
    with LabelledStoreWriter(tmp_path / "labelled") as writer:
        for number in (100, 101, spared):
            assert (zlib.crc32(str(number).encode()) % 20 == 0) == (number == spared)
            features = LabelledFeatures.of(
                rng.random((84, 130)),
                rng.random((252, 130)),
                rng.random((88, 130)),
                rng.random((88, 130)),
            )
            row = LabelledRecording(
                str(number), "set", "train", "work", "full", 15.1, "here", "name"
            )
            writer.add(row, features)
    return tmp_path / "labelled"


def test_a_network_is_trained_and_is_no_encoder(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(hearing, "_STEPS_PER_EPOCH", 2)
    run = tmp_path / "run"
    options = ["--labelled", str(store), "--run-dir", str(run)]
    small = [
        "--steps",
        "4",
        "--batch",
        "2",
        "--filters",
        "2",
        "--learning-rate",
        "1e-3",
    ]
    small += ["--seed", "5"]
    assert main([*options, *small]) == 0
    path = run / "hearing.keras"
    told = capsys.readouterr().out
    assert "step 2 of 4: notes " in told
    assert "step 4 of 4: notes " in told
    assert f"written: {path}\n" in told
    assert f"python -m export --hearing {path}" in told
    model, info = load_hearing_model(path)
    assert np.isfinite(np.concatenate([w.ravel() for w in model.get_weights()])).all()
    asked = info["request"]
    assert (asked["steps"], asked["batch"], asked["filters"]) == (4, 2, 2)
    assert asked["learning_rate"] == 1e-3
    assert (asked["stores"], asked["seed"]) == ([str(store)], 5)

    assert main([*options, *small]) == 0
    told = capsys.readouterr().out
    assert f"was finished before: {path}; to train anew" in told
    assert "written" not in told
    with pytest.raises(ConfigError, match="other settings"):
        main([*options, *small[:-1], "6"])
    music = tmp_path / "music.flac"
    music.touch()
    catalogue = ["--catalogue", str(tmp_path / "catalogue")]
    with pytest.raises(EncoderError, match=r"hearing\.keras: holds a .*NoteNetwork"):
        index([*catalogue, "--encoder", str(path), str(music)])
    assert not (tmp_path / "catalogue").exists()


def test_wrong_usage_is_told(store, tmp_path):
    missing = str(tmp_path / "none")
    run = ["--run-dir", str(tmp_path / "run"), "--labelled"]
    with pytest.raises(ConfigError, match="steps must be a multiple of 100 .* not 150"):
        main([*run, str(store), "--steps", "150"])
    with pytest.raises(StoreError, match=re.escape(f"{missing}: no labelled record")):
        main([*run, missing])
