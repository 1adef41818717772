"""What the base install and the extra `catalogue` can do, without what they lack."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bytecover_tf.data import tunes

ROOT = Path(__file__).parents[1]
# What only other extras bring.
LACKING = {
    *("tensorflow", "keras", "librosa", "tensorboard", "scipy", "sklearn"),
    *("matplotlib", "tf2onnx", "onnx", "sympy", "torch", "jax", "grpc", "soundfile"),
    *("pymilvus", "ray", "music21", "mido", "pedalboard", "h5py"),
}
HIDE = f"""
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec

def find_what_is_there(name, path=None, target=None):
    lacking = {sorted(LACKING)!r}
    return None if name.split(".")[0] in lacking else find_spec(name, path, target)

PathFinder.find_spec = find_what_is_there
"""


@pytest.fixture
def bytecover(tmp_path):
    """Runs a command line where the packages of other extras cannot be imported."""
    # In a module that Python runs at its start, so that worker processes lack them too.
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HIDE)
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])

    def run(*command):
        return subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )

    return run


def test_covers_are_found(bytecover, tmp_path):
    library = tmp_path / "music"
    library.mkdir()
    *stored, query = tunes.audio_files()[:4]
    for file in (*stored, tunes.audio_files()[4]):
        shutil.copy(file, library)
    catalogue = ("--catalogue", "music.catalogue")
    indexed = bytecover("bytecover_tf.index", *catalogue, library)
    assert indexed.returncode == 0, indexed.stderr
    found = bytecover("bytecover_tf.identify", *catalogue, query)
    assert found.returncode == 0, found.stderr
    assert "a version of because-he-was-bonny-lad-" in found.stdout
    grouped = bytecover("bytecover_tf.group", *catalogue)
    assert grouped.returncode == 0, grouped.stderr
    assert grouped.stdout.startswith("work "), grouped.stdout
    compared = bytecover("bytecover_tf.compare", query, stored[0])
    assert compared.returncode == 0, compared.stderr
    assert "probability 1.00" in compared.stdout


def test_features_are_extracted_and_an_encoder_is_measured(bytecover, tmp_path):
    for file in tunes.audio_files()[:8]:
        work, version = file.stem[:-2], file.stem[-1]
        (tmp_path / "covers" / work).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "covers" / work / f"{version}.ogg")
    data = ("--data", "folder", "--data-root", tmp_path / "covers")
    extracted = bytecover("bytecover_tf.features", *data, "--out", "store")
    assert extracted.returncode == 0, extracted.stderr
    options = ("--encoder", "bytecover-small", "--json", "found.json")
    measured = bytecover("bytecover_tf.evaluate", *options, *data)
    assert measured.returncode == 0, measured.stderr
    assert (tmp_path / "found.json").exists()


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("bytecover_tf.train", "train"),
        ("bytecover_tf.whiten --encoder e --data folder --out o.keras", "train"),
        ("bytecover_tf.ensemble a b --out o.keras", "train"),
        ("bytecover_tf.train_hearing --labelled l --run-dir out", "train"),
        ("bytecover_tf.calibrate --catalogue c --out out", "train"),
        ("bytecover_tf.evaluate --encoder e --data tunes --plots out", "plots"),
        ("bytecover_tf.compare a.mp3 b.mp3 --plot match.png", "plots"),
        ("bytecover_tf.synth.draw --out out", "synth"),
        ("bytecover_tf.synth.draw_melodies --out out", "synth"),
        ("bytecover_tf.synth.rerecord --recordings r --out out", "synth"),
        ("bytecover_tf.synth.listen --out out", "synth"),
        ("export --out out", "export"),
        ("export.publish --encoder e --name bytecover-x --card c", "export"),
    ],
)
def test_a_command_names_the_extra_that_it_needs(command, extra, bytecover, tmp_path):
    result = bytecover(*command.split())
    assert result.returncode == 2
    assert f"pip install 'bytecover_tf[{extra}]'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_trained_encoder_names_the_extra_that_reads_it(bytecover, tmp_path):
    shutil.copy(ROOT / "bytecover_tf/weights/bytecover-small/encoder.keras", tmp_path)
    files = tunes.audio_files()[:2]
    result = bytecover("bytecover_tf.compare", *files, "--encoder", "encoder.keras")
    assert result.returncode == 2
    assert "needs keras; pip install 'bytecover_tf[train]'" in result.stderr
