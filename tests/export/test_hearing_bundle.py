import functools
import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from onnx.reference import ReferenceEvaluator

from bytecover_tf import load_encoder
from bytecover_tf.audio.chroma import chroma_of_notes, note_means
from bytecover_tf.audio.constant_q import Transform
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.audio.streaming import StreamedTransform
from bytecover_tf.data import tunes
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.files import lock
from bytecover_tf.stores.labelled_store import FRONTENDS
from export import PRECISIONS, inference, parity
from export.__main__ import main
from export.hearing_bundle import export_hearing_bundle
from export.parity import ParityError

FRONTEND = replace(FRONTENDS["cqt36"], estimated=True)
SHIPPED = Path(DEFAULT_HEARING.path).with_suffix(".keras")
# The largest difference from the product, and the least correlation.
TOLERANCES = {"": (1e-3, 0.9999), "_float16": (5e-3, 0.9999), "_int8": (0.4, 0.98)}
GRAPHS = [(source, end) for source in ("features", "waveform") for end in TOLERANCES]
SIGNATURES = {"features": "features", "waveform": "serving_default"}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, few_cases):
    """A bundle of the package's network, which all workers of pytest share."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has a folder of its own within that
    out = base / "hearing-bundle"
    with (
        lock(base / "hearing-bundle.lock", wait=True),
        pytest.MonkeyPatch.context() as m,
    ):
        if not out.exists():
            m.setattr(tunes, "audio_files", lambda: sorted(tunes.AUDIO.glob("*-0.ogg")))
            arguments = ["--hearing", str(SHIPPED), "--out", str(out)]
            assert main([*arguments, "--precision", ",".join(PRECISIONS)]) == 0
    return out


@pytest.fixture(scope="module")
def manifest(bundle):
    return json.loads((bundle / "manifest.json").read_text())


@pytest.fixture(scope="module")
def given():
    """Two recordings, as each kind of input: 51 frames, as it was traced for none."""
    length = 51 * FRONTEND.pool * FRONTEND.hop_length
    waveform = np.stack(
        [
            load_audio(path, 22050)[length : 2 * length]
            for path in tunes.audio_files()[:2]
        ]
    )
    features = np.stack([FRONTEND.features(row) for row in waveform])
    assert features.shape == (2, 252, 51)
    return {"waveform": waveform, "features": features}


@functools.cache
def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def correlations(found, expected):
    return [
        np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for a, b in zip(found, expected, strict=True)
    ]


@pytest.mark.parametrize(("source", "end"), GRAPHS)
def test_onnx_files_hear_what_the_package_hears(bundle, given, source, end):
    (found,) = session(bundle / f"hearing_{source}{end}.onnx").run(
        None, {source: given[source]}
    )
    largest, least = TOLERANCES[end]
    assert found.shape == (2, 3, 84, 25)
    for heard, features in zip(found, given["features"], strict=True):
        expected = DEFAULT_HEARING.hear(features)
        assert np.abs(heard - expected).max() < largest
        assert min(correlations(heard, expected)) > least
        assert np.ptp(expected) > 0.2


@pytest.fixture(scope="module")
def saved_model(bundle):
    return tf.saved_model.load(str(bundle / "saved_model" / "1"))


def test_the_saved_model_hears_what_the_package_hears(saved_model, given):
    expected = [DEFAULT_HEARING.hear(features) for features in given["features"]]
    for source, key in SIGNATURES.items():
        found = saved_model.signatures[key](**{source: given[source]})["heard"].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_waveform_gives_the_chroma_of_the_product(bundle, given):
    graph = session(bundle / "hearing_waveform.onnx")
    for waveform in given["waveform"]:
        # What indexing computes.
        stream = StreamedTransform(DEFAULT_HEARING.average)
        stream.add(waveform)
        (magnitudes,) = stream.finish()
        expected = DEFAULT_HEARING.hear(magnitudes)
        (found,) = graph.run(None, {"waveform": waveform[None]})[0]
        np.testing.assert_allclose(found, expected, atol=1e-3)
        parts = [
            chroma_of_notes(note_means(heard)).astype(float)
            for heard in (found, expected)
        ]
        assert np.corrcoef(*map(np.ravel, parts))[0, 1] > 0.999


@pytest.mark.parametrize("source", ["waveform", "features"])
def test_what_is_heard_in_the_golden_clip(bundle, read_golden, source):
    golden = read_golden(bundle / "golden", "heard")
    graph = session(bundle / f"hearing_{source}.onnx")
    ((found,),) = graph.run(None, {source: golden[source][None]})
    assert np.ptp(golden["heard"]) > 0.2
    np.testing.assert_allclose(found, golden["heard"], atol=golden["tolerance"])


def test_features_may_be_of_any_gain(bundle, given):
    graph = session(bundle / "hearing_features_float16.onnx")
    expected = graph.run(None, {"features": given["features"]})[0]
    for gain in (1e-4, 1e6):
        louder = (gain * given["features"]).astype(np.float32)
        found = graph.run(None, {"features": louder})[0]
        np.testing.assert_allclose(found, expected, atol=5e-3)


def bad_batch(source, given):
    """Music, silence, NaN in one place, and infinity."""
    batch = np.stack([given[source][0]] * 4)
    batch[1] = 0
    batch[2].flat[1000] = np.nan
    batch[3].flat[500] = np.inf
    return batch


@pytest.mark.parametrize(("source", "end"), GRAPHS)
def test_silence_and_nan_give_nan(bundle, given, source, end):
    graph = session(bundle / f"hearing_{source}{end}.onnx")
    (found,) = graph.run(None, {source: bad_batch(source, given)})
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


def test_the_saved_model_gives_nan_for_silence_and_nan(saved_model, given):
    for source, key in SIGNATURES.items():
        run = saved_model.signatures[key]
        found = run(**{source: bad_batch(source, given)})["heard"].numpy()
        assert np.isfinite(found[0]).all()
        assert np.isnan(found[1:]).all()


def test_half_arithmetic_bears_silence_and_recordings_that_are_mostly_silent(bundle):
    graph = onnx.load(bundle / "hearing_features_float16.onnx")
    features = np.zeros((2, 252, 40), np.float32)
    features[0, 100, 7:9] = 0.1, 1
    # Over a tenth of the mean, as the network reads it, half precision has no number.
    assert 10 * features[0].max() / features[0].mean() > np.finfo(np.float16).max
    with np.errstate(over="ignore", invalid="ignore"):
        (found,) = ReferenceEvaluator(graph).run(None, {"features": features})
    np.testing.assert_allclose(found[0], DEFAULT_HEARING.hear(features[0]), atol=5e-3)
    assert np.isnan(found[1]).all()


def test_less_than_the_shortest_input_is_an_error(bundle, manifest, given):
    graph = session(bundle / "hearing_waveform.onnx")
    shortest = given["waveform"][:, : manifest["min_samples"]]
    assert graph.run(None, {"waveform": shortest})[0].shape == (2, 3, 84, 1)
    onnxruntime.set_default_logger_severity(4)
    try:
        with pytest.raises(Exception, match=r"shape|input"):
            graph.run(None, {"waveform": shortest[:, :-1]})
        with pytest.raises(Exception, match=r"shape|input"):
            session(bundle / "hearing_features.onnx").run(
                None, {"features": given["features"][:, :, :1]}
            )
    finally:
        onnxruntime.set_default_logger_severity(2)


def test_the_manifest_says_what_is_read_and_heard(bundle, manifest):
    assert manifest["frontend"] == FRONTEND.to_dict()
    assert manifest["channels"] == ["notes", "onsets", "melody"]
    pitches = manifest["midi_pitches"]
    assert pitches == list(
        range(librosa.note_to_midi("C1"), librosa.note_to_midi("B7") + 1)
    )
    np.testing.assert_allclose(
        librosa.midi_to_hz(pitches), Transform().frequencies, rtol=1e-6
    )
    # Ten frames of the transform make one of what is heard.
    middles = librosa.frames_to_time(np.arange(20), sr=22050, hop_length=512)
    first, second = middles.reshape(2, 10).mean(axis=1)
    assert manifest["seconds"] == pytest.approx(
        {"first": first, "step": second - first}
    )
    assert manifest["axes"]["heard"] == ["batch", 3, 84, "time"]
    assert manifest["licence"] == "Apache-2.0"
    assert (bundle / "LICENSE").exists()
    assert manifest["hearing"]["request"]["filters"] == 24
    assert (
        manifest["hearing_sha256"] == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    )
    assert {(file["path"], file["input"]) for file in manifest["files"]} == {
        *((f"hearing_{source}{end}.onnx", source) for source, end in GRAPHS),
        *(("saved_model/1/saved_model.pb", source) for source in SIGNATURES),
    }
    for file in manifest["files"]:
        assert file["parity"]["min_cosine"] >= file["parity"]["required_cosine"]
    sums = (bundle / "SHA256SUMS").read_text()
    for name, checksum in manifest["sums"].items():
        content = (bundle / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == checksum
        assert f"{checksum}  {name}\n" in sums


def test_a_bundle_without_a_precision_is_refused(tmp_path):
    out = tmp_path / "bundle"
    with pytest.raises(ConfigError, match="int8: a SavedModel is always float32"):
        export_hearing_bundle(SHIPPED, out, ("saved_model",), precisions=("int8",))
    assert not out.exists()


def test_graphs_have_names_and_facts(bundle, manifest):
    for source, end in GRAPHS:
        model = onnx.load(bundle / f"hearing_{source}{end}.onnx")
        shapes = {
            each.name: [
                size.dim_param or size.dim_value
                for size in each.type.tensor_type.shape.dim
            ]
            for each in (*model.graph.input, *model.graph.output)
        }
        assert shapes == {name: manifest["axes"][name] for name in (source, "heard")}
        (record,) = model.metadata_props
        facts = json.loads(record.value)
        assert facts["seconds"] == manifest["seconds"]
        assert facts["precision"] == (end.strip("_") or "float32")
        assert model.doc_string == manifest["documentation"][source]


def test_the_card_is_true_and_its_example_runs(bundle, manifest, monkeypatch, capsys):
    monkeypatch.chdir(bundle)
    text = Path("README.md").read_text()
    for file in manifest["files"]:
        assert f"| `{file['path']}` | {file['input']} | {file['precision']} |" in text
    assert f"{manifest['min_samples']} samples" in re.sub(r"\s+", " ", text)
    exec(re.search(r"```python\n(.*?)```", text, re.S).group(1), {})
    assert capsys.readouterr().out == "69\n"


def test_a_bundle_is_no_encoder(bundle):
    with pytest.raises(EncoderError, match=r"manifest\.json: .*hears notes"):
        load_encoder(bundle)


def test_a_folder_that_exists_is_refused(tmp_path):
    with pytest.raises(
        EncoderError, match="exists; a bundle needs a folder of its own"
    ):
        export_hearing_bundle(SHIPPED, tmp_path)


def swap_two_channels(original):
    def swapped(layer, affine):
        scale, shift = (array.copy() for array in affine)
        for array in (scale, shift):
            array[[0, 1]] = array[[1, 0]]
        return original(layer, (scale, shift))

    return swapped


def test_a_broken_graph_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "_same", swap_two_channels(inference._same))
    with pytest.raises(ParityError, match=r"saved_model\.pb: differs from the model"):
        export_hearing_bundle(
            SHIPPED, tmp_path / "bundle", ["saved_model"], ["features"]
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", range(3))
def test_8_bits_that_lose_the_notes_of_a_kind_are_refused(given, kind, rng):
    expected = np.stack([DEFAULT_HEARING.hear(row) for row in given["features"]])
    case = parity.Case(given["waveform"], given["features"], expected)
    allowed = parity.HEARING_TOLERANCES["features", "int8"]

    def check(noise):
        found = expected.copy()
        found[:, kind] += rng.normal(size=found[:, kind].shape) * noise
        return parity.check(lambda batch: found, [case], "features", allowed, "int8")

    spread = expected[:, kind].std(axis=(1, 2)).min()
    assert check(0.05 * spread)["min_cosine"] > 0.99
    with pytest.raises(ParityError, match=r"int8: differs from the model .* cosine"):
        check(0.5 * spread)


@pytest.mark.slow
def test_litert_files_hear_what_the_package_hears(tmp_path, given):
    pytest.importorskip("ai_edge_litert")
    from export import lite

    out = tmp_path / "bundle"
    export_hearing_bundle(SHIPPED, out, ("tflite",), precisions=("float32", "int8"))
    expected = np.stack([DEFAULT_HEARING.hear(row) for row in given["features"]])
    for end in ("", "_int8"):
        for source, key in SIGNATURES.items():
            run = lite.runner(out / f"hearing{end}.tflite", key, "heard")
            found = run(given[source])
            largest, least = TOLERANCES[end]
            assert np.abs(found - expected).max() < largest
            assert (
                min(correlations(found.reshape(6, -1), expected.reshape(6, -1))) > least
            )
            found = run(bad_batch(source, given))
            assert np.isfinite(found[0]).all()
            assert np.isnan(found[1:]).all()
