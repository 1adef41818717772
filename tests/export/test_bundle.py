import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx.reference
import onnxruntime
import pytest
import tensorflow as tf

import bytecover_tf
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.encoders import encoder as encoder_module
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.encoders.runtimes import KerasNetwork
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.evaluation.protocol import evaluate_tracks
from bytecover_tf.models.ensemble import Ensemble
from bytecover_tf.stores.feature_store import FeatureStore
from export import PRECISIONS, inference, onnx_graphs, parity
from export import bundle as bundle_module
from export.__main__ import main
from export.parity import BATCHES, FRAMES, ParityError, in_float64

VARIANTS = [
    (f"encoder_{source}{suffix}.onnx", source, precision)
    for source in ("features", "waveform")
    for suffix, precision in (
        ("", "float32"),
        ("_float16", "float16"),
        ("_int8", "int8"),
    )
]


@pytest.fixture(scope="module")
def manifest(bundle):
    return json.loads((bundle / "manifest.json").read_text())


@pytest.fixture(scope="module")
def recordings():
    return tunes.audio_files()[:3]


@pytest.fixture(scope="module")
def expected(encoder_path, recordings):
    return load_encoder(encoder_path).embed_audio(recordings)


def test_manifest_names_what_is_there(bundle, manifest, encoder_path):
    listed = {file["path"] for file in manifest["files"]}
    assert listed == {name for name, _, _ in VARIANTS} | {
        "saved_model/1/saved_model.pb"
    }
    for file in manifest["files"]:
        content = (bundle / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["bytes"] == len(content)
        assert file["parity"]["min_cosine"] >= file["parity"]["required_cosine"]
    assert Frontend.from_dict(manifest["frontend"]) == Frontend()
    assert manifest["dim"] == 256
    assert manifest["encoder"]["seed"] == 3
    original = encoder_path.read_bytes()
    assert manifest["encoder_sha256"] == hashlib.sha256(original).hexdigest()
    assert {"tensorflow", "keras", "tf2onnx", "onnxruntime"} <= set(
        manifest["versions"]
    )
    assert manifest["min_samples"] == Frontend().min_samples == 50688
    assert manifest["axes"]["features"] == ["batch", 84, "frames"]
    assert manifest["licence"] is None
    assert manifest["version"] == bytecover_tf.__version__
    everything = {
        path.relative_to(bundle).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in bundle.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", "SHA256SUMS")
    }
    assert manifest["sums"] == everything


@pytest.mark.slow
def test_an_export_agrees_on_every_batch_of_every_length(
    encoder_path, tmp_path, monkeypatch
):
    # Other tests compare on fewer. An export that differed would raise.
    monkeypatch.setattr(parity, "BATCHES", BATCHES)
    monkeypatch.setattr(parity, "FRAMES", FRAMES)
    made = bundle_module.export(encoder_path, tmp_path / "b", precisions=PRECISIONS)
    assert len(made["files"]) == len(VARIANTS) + 2
    for file in made["files"]:
        assert file["parity"]["batches"] == (1, 3, 8)
        assert file["parity"]["frames"] == (2, 13, 40, 110)


def test_int8_reports_its_loss_of_map(manifest):
    reports = [file["tunes"] for file in manifest["files"] if "tunes" in file]
    assert len(reports) == 2  # both lower precisions, from features
    for report in reports:
        assert report["loss"] == report["map_of_model"] - report["map"]
        assert abs(report["loss"]) < 0.02


@pytest.mark.parametrize("pool", [20, 50, 7])
def test_lower_precisions_of_encoders_of_other_frames(
    make_model, tmp_path, monkeypatch, pool
):
    calibrated_on = []

    def to_int8(model, features, kept):
        calibrated_on.extend(features)
        return model

    monkeypatch.setattr(onnx_graphs, "to_int8", to_int8)
    path = tmp_path / "encoder.keras"
    save_model(make_model(), path, Frontend(pool=pool), {})
    made = bundle_module.export(
        path, tmp_path / "bundle", ["onnx"], ["features"], ["float16", "int8"]
    )
    report = made["files"][0]["tunes"]
    assert {item.shape[0] for item in calibrated_on} == {84}
    seconds = np.median([item.shape[1] for item in calibrated_on]) * pool * 512 / 22050
    if pool == 7:  # nothing can be drawn in such frames
        assert report is None
        assert len(calibrated_on) < 100
        return
    assert len(calibrated_on) == 100
    assert 50 < seconds < 110  # whole recordings of training works
    if pool == 50:  # the embedded test works have no such frames
        assert report is None
        return
    tracks = [track for track in tunes.load() if track.split == "test"]
    found = evaluate_tracks(load_encoder(path), tracks, FeatureStore(tunes.STORE))
    # A network that has met other lengths before is compiled otherwise and sums in
    # another order, so that two that tie but for the last digit may change places.
    assert report["map_of_model"] == pytest.approx(found.metrics["map"], abs=1e-6)
    assert abs(report["loss"]) < 0.02


@pytest.mark.parametrize("front", [{"salience": 2}, {"registers": 2}])
def test_layers_before_the_backbone_are_exported_too(make_model, tmp_path, rng, front):
    path, out = tmp_path / "encoder.keras", tmp_path / "bundle"
    model = make_model(pitch_classes=True, width=4, **front)
    save_model(model, path, Frontend(pool=20), {})
    bundle_module.export(path, out, ["onnx"], ["features"], ["float32"])
    features = [rng.random((84, n)).astype(np.float32) for n in (1, 7, 130)]
    np.testing.assert_allclose(
        load_encoder(out).embed_features(features),
        load_encoder(path).embed_features(features),
        atol=1e-5,
    )


def test_ensemble_is_exported_in_every_precision(make_model, tmp_path, rng):
    path, out = tmp_path / "encoder.keras", tmp_path / "bundle"
    members = [
        make_model(width=4, pitch_classes=True, **front)
        for front in ({"input_power": 0.5}, {"registers": 2})
    ]
    model = Ensemble(members)
    model.build((None, 84, None, 1))
    save_model(model, path, Frontend(pool=20), {})
    bundle_module.export(path, out, ["onnx"], precisions=PRECISIONS)
    features = [rng.random((84, n)).astype(np.float32) for n in (1, 7, 130)]
    exact = Encoder(KerasNetwork(in_float64(model), Frontend(pool=20)))
    expected = exact.embed_features(features)
    for suffix, least in (("", 0.9999), ("_float16", 0.999), ("_int8", 0.95)):
        found = load_encoder(out / f"encoder_features{suffix}.onnx")
        cosines = (found.embed_features(features) * expected).sum(axis=1)
        assert cosines.min() >= least


def jittered(model, features, relative):
    """Embed by a copy whose weights are off by a share that rounding might make."""
    copy = in_float64(model)
    rng = np.random.default_rng(0)
    for member in getattr(copy, "members", [copy]):
        for variable in member.backbone.trainable_variables:
            noise = 1 + relative * rng.standard_normal(variable.shape)
            variable.assign(np.asarray(variable) * noise)
    return Encoder(KerasNetwork(copy, Frontend())).embed_features(features)


@pytest.mark.parametrize("salience", [None, 2])
def test_what_parity_compares_is_well_conditioned(make_model, rng, salience):
    model = make_model(salience=salience, pitch_classes=salience is not None)
    for frames in FRAMES:
        features = rng.random((3, 84, frames)).astype(np.float32) ** 6
        difference = jittered(model, features, 0) - jittered(model, features, 1e-6)
        # Else a network's embedding would depend on the order of its sums, which each
        # processor and runtime chooses for itself.
        assert 0 < np.abs(difference).max() < 5e-5


def test_reference_of_parity_is_the_model_in_float64(make_model, rng):
    model = make_model(width=4, pitch_classes=True, registers=2)
    members = [model, make_model(width=4, pitch_classes=True, input_power=0.5)]
    ensemble = Ensemble(members, [2, 1])
    ensemble.build((None, 84, None, 1))
    features = rng.random((2, 84, 7, 1)).astype(np.float32)
    for original in (model, ensemble):
        exact = in_float64(original)
        for copy in getattr(exact, "members", [exact]):
            kernels = copy.backbone.trainable_variables
            assert {variable.dtype for variable in kernels} == {"float64"}
        np.testing.assert_allclose(
            exact(features)["f_c"], original(features)["f_c"], atol=1e-4
        )


@pytest.mark.parametrize(("name", "source", "precision"), VARIANTS)
def test_graph_is_typed_named_and_standard(bundle, name, source, precision):
    model = onnx.load(bundle / name)
    onnx.checker.check_model(model, full_check=True)
    assert {o.domain for o in model.opset_import} <= {"", "ai.onnx.ml"}
    # Some runtimes refuse any other length than that of shapes within the graph.
    assert not model.graph.value_info
    session = onnxruntime.InferenceSession(
        bundle / name, providers=["CPUExecutionProvider"]
    )
    (inputs,), (output,) = session.get_inputs(), session.get_outputs()
    axes = ["batch", 84, "frames"] if source == "features" else ["batch", "samples"]
    assert (inputs.name, inputs.type, inputs.shape) == (source, "tensor(float)", axes)
    assert (output.name, output.type) == ("embedding", "tensor(float)")
    assert output.shape == ["batch", 256]
    info = json.loads(session.get_modelmeta().custom_metadata_map["bytecover"])
    assert Frontend.from_dict(info["frontend"]) == Frontend()
    assert (info["dim"], info["input"], info["precision"]) == (256, source, precision)
    assert (info["min_samples"], info["licence"]) == (50688, None)
    assert info["axes"]["embedding"] == ["batch", 256]
    assert model.producer_name == "bytecover_tf"
    assert model.producer_version == bytecover_tf.__version__
    wanted = {"waveform": "Reads mono samples", "features": "constant-Q transform"}
    assert wanted[source] in model.doc_string == info["documentation"]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("encoder_waveform.onnx", 0.9999),
        ("encoder_waveform_float16.onnx", 0.999),
        ("encoder_waveform_int8.onnx", 0.95),
    ],
)
def test_waveforms_give_the_embedding_of_the_file(
    bundle, name, least, recordings, expected
):
    session = onnxruntime.InferenceSession(
        bundle / name, providers=["CPUExecutionProvider"]
    )
    for path, embedding in zip(recordings, expected, strict=True):
        (found,) = session.run(None, {"waveform": load_audio(path)[None]})
        assert found[0] @ embedding >= least


@pytest.mark.parametrize("form", ["bundle", "onnx", "saved_model"])
def test_load_encoder_reads_every_form(
    bundle, form, recordings, expected, tmp_path, encoder_path
):
    path = {"bundle": bundle, "onnx": bundle / "encoder_features.onnx"}.get(form)
    if path is None:  # a bundle without ONNX
        path = tmp_path / "bundle"
        shutil.copytree(bundle, path, ignore=shutil.ignore_patterns("*.onnx"))
    encoder = load_encoder(path)
    assert encoder.dim == 256
    assert encoder.frontend == Frontend()
    np.testing.assert_allclose(encoder.embed_audio(recordings), expected, atol=1e-5)
    checksum = hashlib.sha256(encoder_path.read_bytes()).hexdigest()
    assert encoder.info["encoder_sha256"] == checksum
    if form != "onnx":
        original = load_encoder(encoder_path).info
        assert encoder.info == {**original, "encoder_sha256": checksum}


@pytest.mark.parametrize(
    ("kept", "least"),
    [
        ("encoder_features_float16.onnx", 0.999),
        ("encoder_features_int8.onnx", 0.95),
        ("encoder_waveform.onnx", 0.9999),
        ("encoder_waveform_float16.onnx", 0.999),
        ("encoder_waveform_int8.onnx", 0.95),
        ("saved_model/1/saved_model.pb", 0.9999),
    ],
)
def test_load_encoder_takes_what_a_bundle_has(
    bundle, kept, least, recordings, expected, tmp_path, encoder_path
):
    path = tmp_path / "bundle"
    facts = json.loads((bundle / "manifest.json").read_text())
    # From the waveform, where there is a choice.
    facts["files"] = [item for item in facts["files"] if item["path"] == kept][-1:]
    (path / kept).parent.mkdir(parents=True)
    if kept.startswith("saved"):
        shutil.rmtree((path / kept).parent)
        shutil.copytree(bundle / "saved_model" / "1", path / "saved_model" / "1")
    else:
        shutil.copy(bundle / kept, path / kept)
    (path / "manifest.json").write_text(json.dumps(facts))
    encoder = load_encoder(path)
    found = encoder.embed_audio(recordings)
    assert (found * expected).sum(axis=1).min() >= least
    checksum = hashlib.sha256(encoder_path.read_bytes()).hexdigest()
    assert encoder.info["encoder_sha256"] == checksum
    if facts["files"][0]["input"] == "features":
        return
    samples = [load_audio(file) for file in recordings]
    np.testing.assert_allclose(encoder.embed_waveforms(samples), found, atol=1e-6)
    short = Frontend().min_samples - 1
    encoder.embed_waveforms([samples[0][:short], 0 * samples[0], samples[0][:, None]])
    assert [reason.split(": ")[1][:9] for reason in encoder.errors.values()] == [
        "shorter t",
        "is silent",
        "expected ",
    ]
    with pytest.raises(EncoderError, match="export it with --inputs features"):
        encoder.embed_features([np.ones((84, 5))])


def test_the_best_variant_of_a_bundle_is_taken(bundle, tmp_path, monkeypatch):
    path = tmp_path / "bundle"
    shutil.copytree(bundle, path)
    taken = []
    monkeypatch.setattr(
        encoder_module,
        "_checked",
        lambda network, info, variant, file: (
            taken.append(variant) or SimpleNamespace(variant=variant)
        ),
    )
    facts = json.loads((path / "manifest.json").read_text())
    while facts["files"]:
        facts["files"].remove(load_encoder(path).variant)
        (path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(EncoderError, match=r"none of the files that manifest\.json"):
        load_encoder(path)
    order = [(item["input"], item["precision"], item["path"][:5]) for item in taken]
    assert order == [
        (source, precision, form)
        for source in ("features", "waveform")
        for precision, form in (
            ("float32", "encod"),
            ("float32", "saved"),
            ("float16", "encod"),
            ("int8", "encod"),
        )
    ]


@pytest.mark.parametrize("form", ["onnx", "saved_model"])
def test_an_export_that_gives_other_embeddings_is_refused(bundle, form, tmp_path):
    path = tmp_path / "bundle"
    left_out = "*.onnx" if form == "saved_model" else "*_waveform*"
    shutil.copytree(bundle, path, ignore=shutil.ignore_patterns(left_out))
    assert load_encoder(path).dim == 256
    facts = json.loads((path / "manifest.json").read_text())
    facts["encoder"]["probe"] = np.roll(facts["encoder"]["probe"], 1).tolist()
    (path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(EncoderError, match="does not give the embedding"):
        load_encoder(path)


@pytest.mark.parametrize(
    "name", ["encoder_features.onnx", "saved_model/1/saved_model.pb"]
)
def test_a_bundle_is_checked_against_its_manifest(bundle, name, tmp_path):
    path = tmp_path / "bundle"
    left_out = "*.onnx" if name.endswith(".pb") else "*_waveform*"
    shutil.copytree(bundle, path, ignore=shutil.ignore_patterns(left_out))
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(EncoderError, match=rf"{Path(name).name}: damaged"):
        load_encoder(path)


def test_a_manifest_gives_no_other_encoder_its_identity(bundle, tmp_path):
    path = tmp_path / "bundle"
    path.mkdir()
    shutil.copy(bundle / "encoder_features.onnx", path)
    facts = json.loads((bundle / "manifest.json").read_text())
    facts["encoder_sha256"] = "0" * 64
    (path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(EncoderError, match="made from another encoder"):
        load_encoder(path)


@pytest.mark.parametrize("suffix", ["", "_float16", "_int8"])
def test_every_precision_passes_its_own_check(bundle, suffix):
    path = bundle / f"encoder_features{suffix}.onnx"
    assert len(load_encoder(path).info["probe"]) == 256


def test_onnx_needs_no_tensorflow(bundle, recordings, expected, tmp_path):
    script = """
import sys
for name in ("tensorflow", "keras", "tf2onnx"):
    sys.modules[name] = None
import numpy, bytecover_tf
encoder = bytecover_tf.load_encoder(sys.argv[1], threads=1)
numpy.save(sys.argv[2], encoder.embed_audio(sys.argv[3:]))
"""
    out = tmp_path / "out.npy"
    subprocess.run([sys.executable, "-c", script, bundle, out, *recordings], check=True)
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


def test_saved_model_needs_only_tensorflow(bundle, recordings, expected, tmp_path):
    from bytecover_tf.audio.decoding import load_audio

    script = """
import sys
for name in ("keras", "bytecover_tf", "librosa"):
    sys.modules[name] = None
import numpy, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
waveform = tf.constant(numpy.load(sys.argv[2])[None])
result = model.signatures["serving_default"](waveform=waveform)
numpy.save(sys.argv[3], result["embedding"].numpy())
"""
    np.save(tmp_path / "waveform.npy", load_audio(recordings[0]))
    subprocess.run(
        [
            sys.executable,
            *("-c", script, bundle / "saved_model/1"),
            *(tmp_path / "waveform.npy", tmp_path / "out.npy"),
        ],
        check=True,
        cwd=tmp_path,
        env={key: os.environ[key] for key in os.environ if key != "PYTHONPATH"},
    )
    assert np.load(tmp_path / "out.npy")[0] @ expected[0] >= 0.9999


def test_saved_model_signatures_by_tensorflows_own_tool(bundle):
    tool = Path(sys.executable).with_name("saved_model_cli")
    shown = subprocess.run(
        [
            tool,
            "show",
            "--dir",
            bundle / "saved_model/1",
            "--tag_set",
            "serve",
            "--all",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    shown = re.sub(r"\s+", " ", shown)
    for key, source, shape in (
        ("serving_default", "waveform", "(-1, -1)"),
        ("features", "features", "(-1, 84, -1)"),
    ):
        assert re.search(
            rf"signature_def\['{key}'\]: The given SavedModel SignatureDef contains "
            rf"the following input\(s\): inputs\['{source}'\] tensor_info: "
            rf"dtype: DT_FLOAT shape: {re.escape(shape)} .{{,60}} The given SavedModel "
            r"SignatureDef contains the following output\(s\): "
            r"outputs\['embedding'\] tensor_info: dtype: DT_FLOAT shape: \(-1, 256\)",
            shown,
        ), shown


def test_raw_graphs_on_bad_input(bundle):
    session = onnxruntime.InferenceSession(
        bundle / "encoder_waveform.onnx", providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    good = rng.standard_normal(Frontend().min_samples * 2).astype(np.float32)
    poisoned = good.copy()
    poisoned[1000] = np.nan
    batch = np.stack([good, np.zeros_like(good), poisoned])
    (found,) = session.run(None, {"waveform": batch})
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize(("name", "source", "precision"), VARIANTS)
def test_every_graph_gives_nan_for_silence_and_nan(
    bundle, name, source, precision, rng
):
    session = onnxruntime.InferenceSession(
        bundle / name, providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {source: bad_batch(source, rng)})
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("source", ["features", "waveform"])
def test_the_saved_model_gives_nan_for_silence_and_nan(bundle, source, rng):
    signatures = tf.saved_model.load(str(bundle / "saved_model" / "1")).signatures
    key = "features" if source == "features" else "serving_default"
    found = signatures[key](**{source: bad_batch(source, rng)})["embedding"].numpy()
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


def test_half_arithmetic_gives_nan_for_silence_and_nan(bundle, rng):
    graph = onnx.load(bundle / "encoder_features_float16.onnx")
    evaluator = onnx.reference.ReferenceEvaluator(graph)
    (found,) = evaluator.run(None, {"features": bad_batch("features", rng)})
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1:]).all()


def bad_batch(source, rng):
    """Something to embed, silence, NaN in one place, and infinity."""
    shape = (84, 9) if source == "features" else (Frontend().min_samples * 2,)
    batch = np.zeros((4, *shape), np.float32)
    batch[[0, 2, 3]] = rng.random(shape)
    batch[2].flat[1000 % batch[2].size] = np.nan
    batch[3].flat[500] = np.inf
    return batch


def old_norm(x):
    return x * tf.math.rsqrt(tf.reduce_sum(x * x, axis=-1, keepdims=True))


def test_large_embeddings_do_not_overflow_in_half(make_model, tmp_path, monkeypatch):
    model = make_model()
    for variable in (model.neck.batch_norm.gamma, model.neck.batch_norm.beta):
        if variable is not None:
            variable.assign(300 * np.asarray(variable))
    path = tmp_path / "encoder.keras"
    save_model(model, path, Frontend(), {})
    features = np.random.default_rng(0).random((1, 84, 20, 1)).astype(np.float32)
    f_c = np.asarray(model(features)["f_c"])
    assert np.abs(f_c).max() < 65504 < np.square(f_c).sum()
    asked = (["onnx"], ["features"], ["float16"])
    (made,) = bundle_module.export(path, tmp_path / "bundle", *asked)["files"]
    assert made["parity"]["half_arithmetic"]["min_cosine"] > 0.999
    monkeypatch.setattr(inference, "_unit_norm", old_norm)
    with pytest.raises(ParityError, match="float16.onnx in half precision: differs"):
        bundle_module.export(path, tmp_path / "other", *asked)


def swap_two_channels(original):
    def swapped(layer, affine, ring=False):
        scale, shift = affine
        scale, shift = scale.copy(), shift.copy()
        for array in (scale, shift):
            array[[0, 1]] = array[[1, 0]]
        return original(layer, (scale, shift), ring)

    return swapped


def test_a_broken_graph_is_refused(encoder_path, tmp_path, monkeypatch):
    monkeypatch.setattr(
        inference, "_convolution", swap_two_channels(inference._convolution)
    )
    with pytest.raises(ParityError, match="differs from the model"):
        bundle_module.export(encoder_path, tmp_path / "bundle", formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_nan_is_refused(encoder_path, tmp_path, monkeypatch):
    monkeypatch.setattr(
        bundle_module,
        "Graphs",
        lambda model, frontend: Broken(bundle_module_graphs(model, frontend)),
    )
    with pytest.raises(ParityError, match="nan"):
        bundle_module.export(
            encoder_path, tmp_path / "bundle", ["saved_model"], ["features"]
        )
    assert list(tmp_path.iterdir()) == []


bundle_module_graphs = bundle_module.Graphs


class Broken:
    def __init__(self, graphs):
        self.name, self.output = graphs.name, graphs.output
        self.network = tf.function(
            lambda features: {
                "embedding": graphs.network(features)["embedding"] * np.nan
            },
            input_signature=graphs.network.input_signature,
        )


def test_command_writes_what_is_asked(encoder_path, tmp_path, capsys):
    out = tmp_path / "bundle"
    arguments = ["--encoder", str(encoder_path), "--out", str(out)]
    assert main([*arguments, "--formats", "onnx", "--inputs", "features"]) == 0
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "SHA256SUMS",
        "encoder_features.onnx",
        "golden",
        "manifest.json",
    }
    assert "cosine to the model 1.000000" in capsys.readouterr().out
    with pytest.raises(EncoderError, match="exists"):
        main(arguments)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--formats", "pb"), ("--inputs", "features,audio"), ("--precision", "")],
)
def test_command_names_a_wrong_choice(option, value, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--encoder", "x", "--out", "y", option, value])
    assert stop.value.code == 2
    assert "is none of" in capsys.readouterr().err


def test_a_bundle_without_a_model_is_refused(encoder_path, tmp_path):
    out = tmp_path / "bundle"
    with pytest.raises(ConfigError, match="LiteRT has no float16"):
        bundle_module.export(encoder_path, out, ("tflite",), precisions=("float16",))
    with pytest.raises(ConfigError, match="int8: a SavedModel is always float32"):
        bundle_module.export(encoder_path, out, ("saved_model",), precisions=("int8",))
    assert not out.exists()


def test_exporting_takes_tensorflow(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ConfigError, match="KERAS_BACKEND is jax"):
        main(["--encoder", "x", "--out", "y"])


def test_refuses_what_is_no_encoder(tmp_path):
    with pytest.raises(EncoderError, match=r"encoder\.keras"):
        bundle_module.export(tmp_path, tmp_path / "bundle")
