"""What stands beside the graphs of a bundle, for people and programs that get it alone.

README.md               a model card, with the YAML head that model hubs read
LICENSE                 of an encoder under the package's own licence
golden/                 a clip, its features and what belongs to it, to test a port
docker-compose.yml      starts TensorFlow Serving or Triton on the bundle
config.pbtxt            describes the graph from waveforms to Triton
SHA256SUMS              of every file, as `sha256sum -c` reads it
"""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data import tunes
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.files import SUMS, JsonObject, content_hash

if TYPE_CHECKING:
    from export.parity import Run

# Licence of the package and its encoders.
LICENCE = "Apache-2.0"
_CLIP_SECONDS = 5

TEST_A_PORT = """\
## Test a port

`golden/clip.wav` holds 16-bit samples; divided by 32768 they are the waveform. Its
features are in `golden/features.f32`, and what the model gives for them in
`golden/{output}.f32`, as little-endian float32 in C order. `golden/golden.json` has
their shapes, and how far a float32 port may be off in any value. The clip is a
public-domain tune, synthesised for this package.
"""
"""Section of a card about `golden`, to be formatted with the name of the output."""

_CARD = """\
---
{head}
---

# A ByteCover encoder

It turns a recording into {dim} numbers of unit norm, so that the dot product of two
embeddings is their similarity: near 1 for versions of one composition, whoever plays
them. It was exported by bytecover_tf {version}.

| file | reads | precision | MB | smallest cosine to the model |
|---|---|---|---|---|
{files}

`waveform` is float32 (batch, samples): mono, {rate} Hz, in -1 to 1,
{min_samples} samples ({seconds:.2f} s) or more. `features` is float32
(batch, {n_bins}, frames): the constant-Q transform that `frontend` in `manifest.json`
describes. The output `embedding` is float32 (batch, {dim}). Silence, NaN and infinity
give an embedding of NaN. Rows of a batch do not affect one another.

{use}
{test_a_port}
## Limits

Clips of some seconds are found less often than whole recordings. Similarity is no proof
that a work was used.{licence}
"""

_ONNX_USE = """\
## Use it

```python
import numpy as np, onnxruntime

encoder = onnxruntime.InferenceSession("encoder_waveform.onnx")
waveform = np.random.default_rng(0).normal(size=(1, {samples})).astype(np.float32)
print(encoder.run(["embedding"], {{"waveform": waveform}})[0].shape)  # (1, {dim})
```

"""

_COMPOSE_HEAD = """\
# docker compose up SERVICE, in this folder.
services:
"""
_TENSORFLOW = """\
  tensorflow-serving:
    image: tensorflow/serving
    environment:
      MODEL_NAME: bytecover
    volumes:
      - ./saved_model:/models/bytecover:ro
    ports:
      - "127.0.0.1:8500:8500"  # gRPC
      - "127.0.0.1:8501:8501"  # REST
"""
_TRITON = """\
  triton:
    # Triton has an image for each month; take the one that suits your GPU's driver, and
    # let the container have the GPU:
    # deploy:
    #   resources:
    #     reservations:
    #       devices: [{driver: nvidia, count: all, capabilities: [gpu]}]
    image: nvcr.io/nvidia/tritonserver:${TRITON_VERSION:-25.01}-py3
    command: tritonserver --model-repository=/models
    volumes:
      - ./config.pbtxt:/models/bytecover/config.pbtxt:ro
      - ./encoder_waveform.onnx:/models/bytecover/1/model.onnx:ro
    ports:
      - "127.0.0.1:8000:8000"  # HTTP
      - "127.0.0.1:8001:8001"  # gRPC
"""

_TRITON_CONFIG = """\
name: "bytecover"
platform: "onnxruntime_onnx"
# The first axis is the batch, but requests of different lengths cannot be joined.
max_batch_size: 0
input [
  {{ name: "waveform" data_type: TYPE_FP32 dims: [ -1, -1 ] }}
]
output [
  {{ name: "embedding" data_type: TYPE_FP32 dims: [ -1, {dim} ] }}
]
"""


def write_companions(
    folder: Path,
    original: Encoder,
    facts: JsonObject,
    files: Sequence[JsonObject],
) -> None:
    """Write all of them but the sums.

    Args:
        folder: the bundle.
        original: the model in Keras.
        facts: `licence`, `version` and the rest of the manifest's facts.
        files: the graphs, as the manifest lists them.
    """
    paths = {item["path"] for item in files}
    embed = original.embed_features
    write_golden(folder / "golden", original.frontend, "embedding", embed)
    card = _card(original.frontend, facts, files)
    (folder / "README.md").write_text(card, encoding="utf-8")
    write_licence(folder, facts["licence"])
    services = ""
    if (folder / "saved_model").exists():
        services += _TENSORFLOW
    if "encoder_waveform.onnx" in paths:
        services += _TRITON
        config = _TRITON_CONFIG.format(dim=facts["dim"])
        (folder / "config.pbtxt").write_text(config)
    if services:
        (folder / "docker-compose.yml").write_text(_COMPOSE_HEAD + services)


def write_golden(folder: Path, frontend: Frontend, output: str, answer: Run) -> None:
    """Write a clip with its features and what the model gives for them.

    Args:
        folder: to be made.
        frontend: parameters of the features.
        output: what the graphs call what they give.
        answer: gives it for a batch of features.
    """
    length = max(_CLIP_SECONDS * frontend.sample_rate, frontend.min_samples)
    music = load_audio(tunes.audio_files()[0], frontend.sample_rate)[:length]
    whole = np.round(music * 32767).astype("<i2")
    features = frontend.features(whole.astype(np.float32) / 32768)
    (found,) = answer(features[np.newaxis])
    folder.mkdir()
    with wave.open(str(folder / "clip.wav"), "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(frontend.sample_rate)
        clip.writeframes(whole.tobytes())
    arrays = {"features": features, output: found}
    for name, array in arrays.items():
        (folder / f"{name}.f32").write_bytes(array.astype("<f4").tobytes())
    shapes = {"waveform": whole.shape}
    shapes |= {name: array.shape for name, array in arrays.items()}
    golden = {"shapes": shapes, "sample_rate": frontend.sample_rate, "tolerance": 1e-3}
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


def write_licence(folder: Path, licence: str | None) -> None:
    """Write the text of the package's own licence if it is that one."""
    if licence == LICENCE and (text := _licence_text()):
        (folder / "LICENSE").write_text(text, encoding="utf-8")


def write_sums(folder: Path) -> None:
    """Write the checksums of everything in a folder."""
    lines = [
        f"{content_hash(file)}  {file.relative_to(folder).as_posix()}\n"
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != SUMS
    ]
    (folder / SUMS).write_text("".join(lines))


def _card(frontend: Frontend, facts: JsonObject, files: Sequence[JsonObject]) -> str:
    licence = facts["licence"]
    head = {
        "license": licence.lower() if licence else "other",
        "library_name": "bytecover_tf",
        "pipeline_tag": "feature-extraction",
        "tags": "[music, audio, cover-song-identification, onnx, tensorflow]",
    }
    rows = [
        f"| `{item['path']}` | {item['input']} | {item['precision']} | "
        f"{item['bytes'] / 1e6:.1f} | {item['parity']['min_cosine']:.6f} |"
        for item in files
    ]
    has_waveform = any(item["path"] == "encoder_waveform.onnx" for item in files)
    example = {"samples": 2 * frontend.min_samples, "dim": facts["dim"]}
    return _CARD.format(
        head="\n".join(f"{name}: {value}" for name, value in head.items()),
        dim=facts["dim"],
        version=facts["version"],
        files="\n".join(rows),
        rate=frontend.sample_rate,
        min_samples=frontend.min_samples,
        seconds=frontend.min_samples / frontend.sample_rate,
        n_bins=frontend.n_bins,
        use=_ONNX_USE.format(**example) if has_waveform else "",
        test_a_port=TEST_A_PORT.format(output="embedding"),
        licence=f"\n\n## Licence\n\n{licence}." if licence else "",
    )


def _licence_text() -> str | None:
    """Return the package's licence, from its source or from what was installed."""
    beside = Path(__file__).parents[1] / "LICENSE"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        return distribution("bytecover_tf").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        return None
