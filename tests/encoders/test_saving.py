import os
import shutil

import numpy as np
import pytest

from bytecover_tf.encoders import pretrained
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.errors import EncoderError
from bytecover_tf.matching.calibration import FILE_NAMES

SHIPPED = pretrained.WEIGHTS / pretrained.DEFAULT


@pytest.fixture
def source(request, tmp_path):
    """An encoder as a name, a run directory, a file of either kind, or a copy."""
    name = request.param
    if name == "name":
        return pretrained.DEFAULT
    folder = tmp_path / "run"
    folder.mkdir()
    if name == "run":
        (folder / "checkpoint.keras").write_bytes(b"large")
        for file in ("encoder.keras", "encoder_features.onnx", *FILE_NAMES):
            shutil.copy(SHIPPED / file, folder)
        return folder
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True)
    return folder if name == "bundle" else folder / name


@pytest.mark.parametrize(
    "source",
    ["name", "run", "bundle", "encoder.keras", "encoder_features.onnx"],
    indirect=True,
)
def test_it_is_the_same_encoder_in_its_new_place(source, tmp_path, rng):
    features = [rng.random((84, 30)).astype(np.float32)]
    encoder, folder = load_encoder(source), tmp_path / "saved"
    encoder.save_pretrained(folder)
    saved = load_encoder(folder)
    np.testing.assert_array_equal(
        saved.embed_features(features), encoder.embed_features(features)
    )
    assert saved.frontend == encoder.frontend
    assert all((folder / file).exists() for file in FILE_NAMES)
    assert not (folder / "checkpoint.keras").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "saved"}


def test_a_folder_that_holds_something_is_left_alone(tmp_path, monkeypatch):
    encoder = load_encoder(pretrained.DEFAULT)
    (tmp_path / "note").write_text("mine")
    with pytest.raises(EncoderError, match="is not empty"):
        encoder.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
    with pytest.raises(EncoderError, match="note: is not empty"):
        encoder.save_pretrained(tmp_path / "note")
    (tmp_path / "empty").mkdir()
    encoder.save_pretrained(tmp_path / "empty")
    assert load_encoder(tmp_path / "empty").dim == encoder.dim
    # What a call that was killed has left is no obstacle.
    (tmp_path / "begun" / ".encoder.part").mkdir(parents=True)
    encoder.save_pretrained(tmp_path / "begun")
    assert load_encoder(tmp_path / "begun").dim == encoder.dim
    assert not (tmp_path / "begun" / ".encoder.part").exists()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    encoder.save_pretrained(".")
    assert load_encoder(".").dim == encoder.dim


def test_nothing_is_moved_into_a_folder_from_outside(tmp_path, monkeypatch):
    """As that fails where the folder is a file system of its own."""
    (tmp_path / "volume").mkdir()
    moved = []

    def replace(source, target):
        moved.append(source)
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    load_encoder(pretrained.DEFAULT).save_pretrained(tmp_path / "volume")
    assert moved
    assert all((tmp_path / "volume") in path.parents for path in moved)


def test_what_a_folder_cannot_hold_is_refused(tmp_path):
    shutil.copy(SHIPPED / "encoder_features.onnx", tmp_path)
    alone = load_encoder(tmp_path / "encoder_features.onnx")
    with pytest.raises(EncoderError, match=r"manifest\.json is not beside it"):
        alone.save_pretrained(tmp_path / "saved")
    with pytest.raises(EncoderError, match="not loaded from a file"):
        Encoder(alone._network).save_pretrained(tmp_path / "saved")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder_features.onnx"]
