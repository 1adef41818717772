import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile

from bytecover_tf import load_encoder
from bytecover_tf.audio.frontend import Frontend
from export.companions import write_companions

CPP = Path(__file__).parents[2] / "export" / "examples" / "cpp"


@pytest.fixture(scope="module")
def golden(bundle, read_golden):
    return read_golden(bundle / "golden", "embedding")


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is missing")
def test_sums_are_of_every_file_as_sha256sum_reads_them(bundle, tmp_path):
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=bundle, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    names = {line.removesuffix(": OK") for line in checked.stdout.splitlines()}
    files = (path for path in bundle.rglob("*") if path.is_file())
    everything = {path.relative_to(bundle).as_posix() for path in files}
    assert names == everything - {"SHA256SUMS"}


@pytest.mark.parametrize("source", ["waveform", "features"])
def test_the_golden_clip_gives_the_golden_embedding(bundle, golden, source):
    path = bundle / f"encoder_{source}.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {source: golden[source][None]})
    assert np.abs(found[0] - golden["embedding"]).max() < golden["tolerance"]
    # Another clip's is further off.
    other = session.run(None, {source: golden[source][None, ..., ::-1] ** 2})[0][0]
    assert np.abs(other - golden["embedding"]).max() > 3 * golden["tolerance"]


def test_the_golden_features_are_those_of_the_frontend(golden):
    np.testing.assert_allclose(
        Frontend().features(golden["waveform"]), golden["features"], atol=1e-6
    )


def test_the_card_has_a_head_and_true_figures(bundle):
    yaml = pytest.importorskip("yaml")
    text = (bundle / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    head = yaml.safe_load(head)
    assert head["license"] == "other"  # as nobody named one
    assert head["pipeline_tag"] == "feature-extraction"
    assert "onnx" in head["tags"]
    facts = json.loads((bundle / "manifest.json").read_text())
    for item in facts["files"]:
        assert f"| `{item['path']}` | {item['input']} | {item['precision']} |" in body
    assert f"{facts['min_samples']} samples" in body


def test_the_example_of_the_card_runs(bundle, monkeypatch, capsys):
    monkeypatch.chdir(bundle)
    text = Path("README.md").read_text()
    exec(re.search(r"```python\n(.*?)```", text, re.S).group(1), {})
    assert capsys.readouterr().out == "(1, 256)\n"


def test_servers_are_given_what_is_in_the_bundle(bundle):
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((bundle / "docker-compose.yml").read_text())["services"]
    assert set(services) == {"tensorflow-serving", "triton"}
    for service in services.values():
        for volume in service["volumes"]:
            assert (bundle / volume.split(":")[0]).exists()
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_triton_is_told_the_ends_of_the_graph(bundle):
    config = (bundle / "config.pbtxt").read_text()
    found = {
        name: [int(dim) for dim in dims.split(",")]
        for name, dims in re.findall(
            r'name: "(\w+)" data_type: TYPE_FP32 dims: \[(.*?)\]', config
        )
    }
    graph = onnx.load(bundle / "encoder_waveform.onnx").graph
    expected = {
        end.name: [dim.dim_value or -1 for dim in end.type.tensor_type.shape.dim]
        for end in (*graph.input, *graph.output)
    }
    assert found == expected == {"waveform": [-1, -1], "embedding": [-1, 256]}


def test_what_is_not_exported_is_not_described(encoder_path, tmp_path):
    facts = {"licence": "Apache-2.0", "dim": 256, "version": "1"}
    write_companions(tmp_path, load_encoder(encoder_path), facts, [])
    assert "Apache License" in (tmp_path / "LICENSE").read_text()
    card = (tmp_path / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "onnxruntime" not in card
    assert {path.name for path in tmp_path.iterdir()} == {
        *("README.md", "LICENSE", "golden")
    }


def test_the_cpp_example_gives_the_golden_embedding(bundle, golden, tmp_path):
    openvino = pytest.importorskip("openvino")
    if not shutil.which("g++"):
        pytest.skip("g++ is missing")
    place, program = Path(openvino.__path__[0]), tmp_path / "embed"
    libraries = sorted((place / "libs").glob("libopenvino.so.*"))
    options = ["-I", place / "include", *libraries, f"-Wl,-rpath,{place / 'libs'}"]
    source = CPP / "embed.cpp"
    command = ["g++", "-std=c++17", "-Wall", "-Werror=return-type", source]
    subprocess.run([*command, "-o", program, *options], check=True)

    def embed(clip):
        model = bundle / "encoder_waveform.onnx"
        return subprocess.run([program, model, clip], capture_output=True, text=True)

    result = embed(bundle / "golden" / "clip.wav")
    assert result.returncode == 0, result.stderr
    found = np.array(result.stdout.split(), np.float32)
    assert np.abs(found - golden["embedding"]).max() < golden["tolerance"]

    other = "expected one channel of 16-bit samples at 22050 Hz"
    refusals = {(2, 22050): other, (1, 44100): other, (1, 22050): "is silent"}
    for (channels, rate), message in refusals.items():
        path = tmp_path / "other.wav"
        soundfile.write(path, np.zeros((60_000, channels)), rate, "PCM_16")
        refused = embed(path)
        assert refused.returncode == 1
        assert f"other.wav: {message}" in refused.stderr
