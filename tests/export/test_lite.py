import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.errors import EncoderError
from bytecover_tf.models.ensemble import Ensemble
from export.bundle import export

interpreter = pytest.importorskip("ai_edge_litert.interpreter")
# Each conversion takes a minute.
pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "export/examples/python/compare_litert.py"
SIGNATURES = {"features": "features", "waveform": "serving_default"}


@pytest.fixture(scope="module")
def lite_bundle(encoder_path, tmp_path_factory):
    out = tmp_path_factory.mktemp("lite") / "bundle"
    export(encoder_path, out, ("tflite",), precisions=("float32", "int8"))
    return out


def bad_batch(source, rng):
    """Something to embed, silence, NaN in one place, and infinity."""
    shape = (84, 6) if source == "features" else (2 * Frontend().min_samples,)
    good = np.abs(rng.normal(size=shape)).astype(np.float32)
    poisoned, infinite = good.copy(), good.copy()
    poisoned[..., 3], infinite[..., 3] = np.nan, np.inf
    return np.stack([good, 0 * good, poisoned, infinite])


@pytest.mark.parametrize("name", ["encoder.tflite", "encoder_int8.tflite"])
def test_files_have_both_signatures_and_built_in_operations_only(lite_bundle, name):
    # The plain interpreter refuses a file with operations of TensorFlow.
    lite = interpreter.Interpreter(model_path=str(lite_bundle / name))
    lite.allocate_tensors()
    assert lite.get_signature_list() == {
        key: {"inputs": [source], "outputs": ["embedding"]}
        for source, key in SIGNATURES.items()
    }


@pytest.mark.parametrize("source", SIGNATURES)
@pytest.mark.parametrize("name", ["encoder.tflite", "encoder_int8.tflite"])
def test_silence_and_nan_give_nan(lite_bundle, name, source, rng):
    lite = interpreter.Interpreter(model_path=str(lite_bundle / name))
    run = lite.get_signature_runner(SIGNATURES[source])
    found = run(**{source: bad_batch(source, rng)})["embedding"]
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


def test_every_file_was_compared_with_the_model(lite_bundle):
    facts = json.loads((lite_bundle / "manifest.json").read_text())
    measured = {
        (item["path"], item["input"]): item["parity"]["min_cosine"]
        for item in facts["files"]
    }
    assert set(measured) == {
        (name, source)
        for name in ("encoder.tflite", "encoder_int8.tflite")
        for source in SIGNATURES
    }
    assert min(measured["encoder.tflite", source] for source in SIGNATURES) > 0.9999


@pytest.mark.parametrize("source", SIGNATURES)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_load_encoder_reads_it(lite_bundle, encoder_path, tmp_path, source, precision):
    path = tmp_path / "bundle"
    shutil.copytree(lite_bundle, path)
    facts = json.loads((path / "manifest.json").read_text())
    facts["files"] = [
        item
        for item in facts["files"]
        if (item["input"], item["precision"]) == (source, precision)
    ]
    (path / "manifest.json").write_text(json.dumps(facts))
    files = tunes.audio_files()[:8:4]
    expected = load_encoder(encoder_path).embed_audio(files)
    cosine = (load_encoder(path).embed_audio(files) * expected).sum(axis=1).min()
    assert cosine > (0.9999 if precision == "float32" else 0.95)


def test_a_damaged_file_is_named(lite_bundle, tmp_path):
    from bytecover_tf.encoders.runtimes import LiteNetwork

    path = tmp_path / "encoder.tflite"
    path.write_bytes((lite_bundle / path.name).read_bytes()[:100])
    with pytest.raises(EncoderError, match=r"encoder\.tflite: cannot be loaded"):
        LiteNetwork(path, Frontend())


def test_an_ensemble_that_hears_notes_converts_too(make_model, tmp_path):
    path = tmp_path / "encoder.keras"
    members = [make_model(), make_model(salience=8)]
    save_model(Ensemble(members), path, Frontend(), {})
    # Export itself compares the file with the model.
    assert export(path, tmp_path / "bundle", ("tflite",), ("features",))["files"]


def test_example(lite_bundle, encoder_path, tmp_path):
    songs = []
    for source in tunes.audio_files()[:8:4]:
        samples, rate = soundfile.read(source, dtype="float32")
        songs.append(tmp_path / f"{source.stem}.wav")
        soundfile.write(songs[-1], samples, rate)
    command = [sys.executable, EXAMPLE, lite_bundle, *songs]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = load_encoder(encoder_path).embed_audio(songs)
    assert result.stdout.startswith("cosine similarity ")
    figure = float(result.stdout.rsplit(" ", 1)[1])
    assert figure == pytest.approx(first @ second, abs=2e-3)
