import importlib.util
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import onnxruntime
import pytest
import soundfile
import soxr

from bytecover_tf import load_encoder
from bytecover_tf.audio.frontend import LONGEST_WORK
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import PART

EXAMPLES = Path(__file__).parents[2] / "export" / "examples"
LEAST_COSINE = 0.9999


@pytest.fixture(scope="module")
def stereo(tmp_path_factory):
    """Two flac files at 44.1 kHz whose channels differ."""
    folder = tmp_path_factory.mktemp("stereo")
    songs = []
    for index, source in enumerate(tunes.audio_files()[:8:4]):
        samples, rate = soundfile.read(source, dtype="float32")
        left = 0.5 * soxr.resample(samples, rate, 44100)
        songs.append(folder / f"{index}.flac")
        soundfile.write(songs[-1], np.stack([left, 0.3 * left[::-1]], axis=1), 44100)
    return songs


@pytest.fixture(scope="module")
def wavs(tmp_path_factory):
    """Stereo WAV files at 22 050 Hz, one of 16-bit integers and one of floats."""
    folder = tmp_path_factory.mktemp("wavs")
    songs = []
    sources = tunes.audio_files()[:8:4]
    for source, subtype in zip(sources, ("PCM_16", "FLOAT"), strict=True):
        samples, rate = soundfile.read(source, dtype="float32")
        channels = np.stack([0.5 * samples, 0.2 * samples[::-1]], axis=1)
        songs.append(folder / f"{subtype}.wav")
        soundfile.write(songs[-1], channels, rate, subtype)
    return songs


def load_example(name):
    path = EXAMPLES / "python" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_same(embeddings, encoder_path, songs):
    expected = load_encoder(encoder_path).embed_audio(songs)
    assert np.sum(expected * embeddings, axis=1).min() >= LEAST_COSINE
    # Random weights may map all songs close together, so the error must also be small
    # beside the songs' distance.
    error = np.linalg.norm(expected - embeddings, axis=1).max()
    assert error < 0.1 * np.linalg.norm(expected[0] - expected[1])


def test_onnxruntime_example(bundle, encoder_path, stereo):
    compare = load_example("compare.py")
    session = onnxruntime.InferenceSession(
        bundle / "encoder_waveform.onnx", providers=["CPUExecutionProvider"]
    )
    embeddings = [compare.embed(session, path) for path in stereo]
    assert_same(embeddings, encoder_path, stereo)


def test_onnxruntime_command(bundle, encoder_path, stereo):
    result = subprocess.run(
        [
            sys.executable,
            EXAMPLES / "python" / "compare.py",
            bundle / "encoder_waveform.onnx",
            *stereo,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = load_encoder(encoder_path).embed_audio(stereo)
    name, figure = result.stdout.strip().rsplit(" ", 1)
    assert name == "cosine similarity"
    assert float(figure) == pytest.approx(first @ second, abs=2e-3)


def test_saved_model_example(bundle, encoder_path, wavs, tmp_path):
    import tensorflow as tf

    compare = load_example("compare_saved_model.py")
    encoder = tf.saved_model.load(bundle / "saved_model" / "1")
    signature = encoder.signatures["serving_default"]
    # TensorFlow decodes no floats.
    songs = [wavs[0], tmp_path / "second.wav"]
    soundfile.write(songs[1], *soundfile.read(wavs[1]), "PCM_16")
    facts = json.loads((bundle / "manifest.json").read_text())
    embeddings = [compare.embed(signature, facts, str(path)) for path in songs]
    assert_same(embeddings, encoder_path, songs)


def test_saved_model_example_refuses_another_rate(tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.zeros(100), 44100, "PCM_16")
    with pytest.raises(SystemExit, match="song.wav: its rate is 44100 Hz"):
        load_example("compare_saved_model.py").embed(None, BRIEF, str(path))


BRIEF = {"frontend": {"sample_rate": 22050}, "min_samples": 1, "longest_seconds": 2}


def test_examples_refuse_what_is_embedded_in_parts(tmp_path):
    path = tmp_path / "set.wav"
    soundfile.write(path, np.full(3 * 22050, 0.1), 22050, "PCM_16")
    about = SimpleNamespace(custom_metadata_map={"bytecover": json.dumps(BRIEF)})
    model = SimpleNamespace(get_modelmeta=lambda: about)
    for name, arguments in {
        "compare.py": (model,),
        "compare_saved_model.py": (None, BRIEF),
    }.items():
        with pytest.raises(SystemExit, match=r"set\.wav: so long a recording"):
            load_example(name).embed(*arguments, str(path))


def test_python_examples_refuse_silence(bundle, tmp_path):
    import tensorflow as tf

    path = tmp_path / "song.wav"
    soundfile.write(path, np.zeros(60_000), 22050, "PCM_16")
    session = onnxruntime.InferenceSession(
        bundle / "encoder_waveform.onnx", providers=["CPUExecutionProvider"]
    )
    saved = tf.saved_model.load(bundle / "saved_model" / "1")
    facts = json.loads((bundle / "manifest.json").read_text())
    for name, arguments in {
        "compare.py": (session,),
        "compare_saved_model.py": (saved.signatures["serving_default"], facts),
    }.items():
        with pytest.raises(SystemExit, match=r"song\.wav: is silent"):
            load_example(name).embed(*arguments, str(path))


def test_bundles_say_what_is_embedded_in_parts(bundle):
    facts = json.loads((bundle / "manifest.json").read_text())
    assert (facts["longest_seconds"], facts["part_seconds"]) == (LONGEST_WORK, PART)


def test_expected_prints_the_embeddings(encoder_path, stereo, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["expected.py", encoder_path, *map(str, stereo)])
    runpy.run_path(str(EXAMPLES / "expected.py"))
    embeddings = np.array(json.loads(capsys.readouterr().out))
    assert_same(embeddings, encoder_path, stereo)


# -- Node.js --------------------------------------------------------------------------

needs_node = pytest.mark.skipif(not shutil.which("node"), reason="node is missing")


def run_node(*arguments):
    return subprocess.run(["node", *arguments], capture_output=True, text=True)


def read_wav(path):
    module = (EXAMPLES / "node" / "wav.mjs").as_uri()
    return run_node(
        "--input-type=module",
        "--eval",
        f"import {{ readWav }} from {json.dumps(module)};"
        f"const samples = await readWav({json.dumps(str(path))}, 22050);"
        "console.log(JSON.stringify([...samples]));",
    )


@needs_node
@pytest.mark.parametrize(
    ("subtype", "format"),
    [("PCM_16", "WAV"), ("FLOAT", "WAV"), ("PCM_16", "WAVEX"), ("FLOAT", "WAVEX")],
)
def test_node_reads_wav(subtype, format, tmp_path):
    path = tmp_path / "song.wav"
    samples = np.random.default_rng(0).uniform(-1, 1, (2001, 3))
    soundfile.write(path, samples, 22050, subtype, format=format)
    mean = soundfile.read(path)[0].mean(axis=1)
    np.testing.assert_allclose(json.loads(read_wav(path).stdout), mean, atol=1e-6)


@needs_node
@pytest.mark.parametrize(
    ("rate", "subtype", "format", "message"),
    [
        (44100, "PCM_16", "WAV", "its rate is 44100 Hz"),
        (22050, "PCM_24", "WAV", "24 bits"),
        (22050, "PCM_16", "FLAC", "is not a WAV file"),
    ],
)
def test_node_refuses_other_files(rate, subtype, format, message, tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.zeros(100), rate, subtype, format=format)
    result = read_wav(path)
    assert result.returncode != 0
    assert message in result.stderr
    assert f"ffmpeg -i {path}" in result.stderr


@pytest.fixture(scope="module")
def node_example(tmp_path_factory):
    """The example with its packages, which this may have to download."""
    if (EXAMPLES / "node" / "node_modules").exists():
        return EXAMPLES / "node"
    if not shutil.which("npm"):
        pytest.skip("npm is missing")
    copy = tmp_path_factory.mktemp("examples") / "node"
    shutil.copytree(EXAMPLES / "node", copy)
    try:
        subprocess.run(
            ["npm", "install"], cwd=copy, check=True, capture_output=True, timeout=120
        )
    except subprocess.SubprocessError as error:
        # What is wrong with the list of packages, not with the network.
        ours = (b"ETARGET", b"ERESOLVE", b"EJSONPARSE", b"EINVALIDTAGNAME")
        told = error.stderr or b""
        if any(code in told for code in ours):
            pytest.fail(told.decode())
        pytest.skip(f"npm install of onnxruntime-node fails: {error}")
    return copy


@needs_node
def test_node_refuses_what_is_embedded_in_parts(node_example, bundle, wavs, tmp_path):
    model = tmp_path / "encoder_waveform.onnx"
    shutil.copy(bundle / model.name, model)
    (tmp_path / "manifest.json").write_text(json.dumps(BRIEF))
    result = run_node(node_example / "compare.mjs", model, *wavs)
    assert result.returncode == 1
    assert "so long a recording is embedded in parts" in result.stderr


@needs_node
def test_the_page_is_served(tmp_path):
    for name in ("encoder.onnx", "manifest.json", "secret"):
        (tmp_path / name).write_text(name)
    link = tmp_path / "link"
    link.symlink_to(EXAMPLES / "browser")
    command = ["node", link / "serve.mjs", tmp_path / "encoder.onnx", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().strip()

            def get(path):
                with urlopen(f"{address}{path}", timeout=30) as answer:
                    return answer.read()

            assert b"<html" in get("/")
            assert get("/encoder_waveform.onnx") == b"encoder.onnx"
            assert get("/manifest.json") == b"manifest.json"
            for path in ("/none", "/..%5Cserve.mjs", "/%2e%2e/%2e%2e/secret"):
                with pytest.raises(HTTPError, match="404"):
                    get(path)
        finally:
            server.kill()


@needs_node
def test_node_example(node_example, bundle, encoder_path, wavs):
    model = bundle / "encoder_waveform.onnx"
    result = run_node(node_example / "compare.mjs", "--json", model, *wavs)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert_same(found["embeddings"], encoder_path, wavs)
    first, second = np.array(found["embeddings"])
    assert found["cosine"] == pytest.approx(first @ second)


@needs_node
@pytest.mark.parametrize(
    ("samples", "message"), [(50_687, "shorter than 2.30 s"), (50_688, "is silent")]
)
def test_node_example_refuses(node_example, bundle, wavs, samples, message, tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, np.zeros(samples), 22050)
    model = bundle / "encoder_waveform.onnx"
    result = run_node(node_example / "compare.mjs", model, path, wavs[0])
    assert result.returncode == 1
    assert f"song.wav: {message}" in result.stderr


@needs_node
def test_node_example_gives_the_golden_embedding(node_example, bundle):
    clip, model = bundle / "golden" / "clip.wav", bundle / "encoder_waveform.onnx"
    result = run_node(node_example / "compare.mjs", "--json", model, clip, clip)
    assert result.returncode == 0, result.stderr
    golden = np.fromfile(bundle / "golden" / "embedding.f32", "<f4")
    tolerance = json.loads((bundle / "golden" / "golden.json").read_text())["tolerance"]
    found = json.loads(result.stdout)["embeddings"][0]
    assert np.abs(found - golden).max() < tolerance
