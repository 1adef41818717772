"""Every form of an exported encoder in every runtime: how far off, how large, how fast?

    python -m benchmarks.systems.runtimes [--encoder NAME] [--node FOLDER] [--note TEXT]

Exports an encoder in all forms. Each form is loaded by each runtime that reads it, in a
fresh process, and embeds a recording of 30 seconds and one of four minutes. The
embeddings are compared with those of the Keras model in float64, on the package's
features. Then it is given silence, NaN and too little. Runtimes that are not installed
are left out. For Node.js, name a copy of `export/examples/node` in which `npm install`
was run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.processes import measured
from benchmarks.common.report import command_of, table, write_section

SECONDS = {"30 s": 30, "4 min": 240}
REPEATS = 3
# A runtime that takes longer for 30 s is not given four minutes.
MOST_MILLISECONDS = 2000
# The reference evaluator is for checking, not for use.
_REFERENCE = "onnx reference evaluator"
SOURCES = ("features", "waveform")

Run = Callable[[np.ndarray], np.ndarray]


# -- runtimes: each loads a file and returns a function from a batch to embeddings -----


def keras(path: Path, source: str, node: Path | None) -> Run:
    from bytecover_tf.encoders.model_file import load_model

    model, _ = load_model(path)

    def run(batch: np.ndarray) -> np.ndarray:
        f_c = model.predict_on_batch(batch[..., None])["f_c"]
        return f_c / np.linalg.norm(f_c, axis=1, keepdims=True)

    return run


def onnx_runtime(path: Path, source: str, node: Path | None) -> Run:
    from bytecover_tf.encoders.runtimes import onnx_session

    session = onnx_session(path, ["CPUExecutionProvider"], None)
    return lambda batch: session.run(None, {source: batch})[0]


def saved_model(path: Path, source: str, node: Path | None) -> Run:
    import tensorflow as tf

    model = tf.saved_model.load(str(path.parent))
    key = "features" if source == "features" else "serving_default"
    run = model.signatures[key]
    return lambda batch: run(**{source: tf.constant(batch)})["embedding"].numpy()


def lite(path: Path, source: str, node: Path | None) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    key = "features" if source == "features" else "serving_default"
    interpreter = Interpreter(model_path=str(path))
    run = interpreter.get_signature_runner(key)
    return lambda batch: run(**{source: batch})["embedding"]


def openvino(path: Path, source: str, node: Path | None) -> Run:
    import openvino as runtime

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = runtime.Core().compile_model(str(path), "CPU", settings)
    return lambda batch: compiled(batch)["embedding"]


def tract(path: Path, source: str, node: Path | None) -> Run:
    import tract as runtime

    made: dict[tuple[int, ...], Any] = {}

    def run(batch: np.ndarray) -> np.ndarray:
        # It prepares the graph for one shape.
        if batch.shape not in made:
            graph = runtime.onnx().load(str(path))
            graph.set_input_fact(0, f"{','.join(map(str, batch.shape))},f32")
            graph.analyse()
            made[batch.shape] = graph.into_model().into_runnable()
        return made[batch.shape].run([batch])[0].to_numpy()

    return run


def reference(path: Path, source: str, node: Path | None) -> Run:
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(str(path))
    return lambda batch: evaluator.run(None, {source: batch})[0]


_NODE = """
import { InferenceSession, Tensor } from "onnxruntime-node";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

const [path, source] = process.argv.slice(-2);
const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
console.log("{}");
for await (const line of createInterface({ input: process.stdin })) {
  const { file, dims } = JSON.parse(line);
  try {
    const values = new Float32Array((await readFile(file)).buffer);
    const start = performance.now();
    const found = await session.run({ [source]: new Tensor("float32", values, dims) });
    const seconds = (performance.now() - start) / 1000;
    const embedding = [...found.embedding.data].map((x) => (isNaN(x) ? null : x));
    console.log(JSON.stringify({ embedding, seconds }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
"""


def node_js(path: Path, source: str, node: Path | None) -> Run:
    assert node is not None
    command = ["node", "--input-type=module", "--eval", _NODE, str(path), source]
    process = subprocess.Popen(
        command, cwd=node, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    stdout.readline()
    folder = tempfile.TemporaryDirectory()
    values = Path(folder.name, "values.f32")

    def run(batch: np.ndarray) -> np.ndarray:
        assert folder  # lives as long as this function
        batch.astype("<f4").tofile(values)
        request = {"file": str(values), "dims": batch.shape}
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        reply = json.loads(stdout.readline())
        if "error" in reply:
            raise ValueError(reply["error"])
        run.seconds = reply["seconds"]  # type: ignore[attr-defined]
        return np.array([reply["embedding"]], np.float32)

    return run


# -- one row ---------------------------------------------------------------------------


def measure(
    load: Callable[[Path, str, Path | None], Run],
    path: Path,
    source: str,
    inputs: Path,
    node: Path | None,
    repeats: int,
) -> dict[str, Any]:
    """Run one form in one runtime.

    Args:
        load: a function of this module.
        path: the file.
        source: `features` or `waveform`.
        inputs: what `write_inputs` wrote.
        node: folder with the packages of Node.js.
        repeats: how often each recording is embedded; the median counts.

    Returns:
        Seconds to import and load, milliseconds by recording, the largest difference
        of a component, the smallest cosine, and what becomes of bad input.
    """
    with np.load(inputs) as data:
        arrays = dict(data)
    start = time.perf_counter()
    run = load(path, source, node)
    found: dict[str, Any] = {"start": time.perf_counter() - start}
    largest, least = 0.0, 1.0
    for name in SECONDS:
        if found.get("30 s", 0) > MOST_MILLISECONDS:
            found[name] = float("nan")  # it would take minutes
            continue
        batch, expected = arrays[f"{source} {name}"], arrays[f"expected {name}"]
        if repeats > 1:
            run(batch)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            embedding = run(batch)
            elapsed = time.perf_counter() - start
            times.append(getattr(run, "seconds", elapsed))
        found[name] = 1000 * float(np.median(times))
        largest = max(largest, float(np.abs(embedding - expected).max()))
        least = min(least, float((embedding * expected).sum()))
    found |= {"difference": largest, "cosine": least}
    good = arrays[f"{source} 30 s"]
    poisoned = good.copy()
    poisoned[..., 3] = np.nan
    short = good[..., : arrays[f"shortest {source}"] - 1]
    bad = {"silence": 0 * good, "NaN": poisoned, "too short": short}
    for name, batch in bad.items():
        found[name] = _answer(run, batch)
    return found


def _answer(run: Run, batch: np.ndarray) -> str:
    try:
        embedding = run(batch)
    except Exception:  # of any runtime
        return "error"
    if embedding.size == 0:
        return "nothing"
    return "NaN" if np.isnan(embedding).all() else "numbers"


# -- all rows --------------------------------------------------------------------------


def write_inputs(encoder: Path, path: Path) -> None:
    """Write recordings, their features and their embeddings as one file."""
    from bytecover_tf.audio.decoding import load_audio
    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.data import tunes
    from bytecover_tf.encoders.encoder import Encoder
    from bytecover_tf.encoders.model_file import load_model
    from bytecover_tf.encoders.runtimes import KerasNetwork
    from export.parity import in_float64

    model, info = load_model(encoder)
    frontend = Frontend.from_dict(info["frontend"])
    exact = Encoder(KerasNetwork(in_float64(model), frontend))
    rate = frontend.sample_rate
    music = np.concatenate([load_audio(file, rate) for file in tunes.audio_files()])
    arrays: dict[str, Any] = {
        "shortest features": 1,
        "shortest waveform": frontend.min_samples,
    }
    for name, seconds in SECONDS.items():
        samples = np.resize(music, seconds * rate)
        features = frontend.features(samples)
        arrays[f"waveform {name}"] = samples[None]
        arrays[f"features {name}"] = features[None]
        arrays[f"expected {name}"] = exact.embed_features([features])
    np.savez(path, **arrays)


def rows(bundle: Path, encoder: Path, node: Path | None) -> list[tuple[str, Any, Path]]:
    """Return form and runtime, what loads it, and the file."""
    found: list[tuple[str, Any, Path]] = [
        ("`encoder.keras` / Keras", keras, encoder),
        (
            "SavedModel / TensorFlow",
            saved_model,
            bundle / "saved_model/1/saved_model.pb",
        ),
    ]
    shipped = encoder.parent / "encoder_features.onnx"
    if shipped.exists():
        name = "ONNX of the package, float16 weights / ONNX Runtime"
        found.append((name, onnx_runtime, shipped))
    runtimes = {
        "ONNX Runtime": (onnx_runtime, "onnxruntime"),
        "OpenVINO": (openvino, "openvino"),
        "tract": (tract, "tract"),
        _REFERENCE: (reference, "onnx"),
    }
    for precision in ("float32", "float16", "int8"):
        suffix = "" if precision == "float32" else f"_{precision}"
        path = bundle / f"encoder_{{source}}{suffix}.onnx"
        for name, (load, module) in runtimes.items():
            # The reference evaluator has no 8-bit operations of opset 17.
            if _has(module) and (name, precision) != (_REFERENCE, "int8"):
                found.append((f"ONNX {precision} / {name}", load, path))
        if node is not None:
            name = f"ONNX {precision} / Node.js, onnxruntime-node"
            found.append((name, node_js, path))
        if precision != "float16" and _has("ai_edge_litert"):
            path = bundle / f"encoder{suffix}.tflite"
            found.append((f"LiteRT {precision} / ai-edge-litert", lite, path))
    return found


def _milliseconds(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.0f}"


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def megabytes(file: Path) -> float:
    """Return the size of a model, with that of the file that holds its kernels."""
    from bytecover_tf.encoders.model_file import graph_with_kernels

    kernels = graph_with_kernels(file) if file.suffix == ".keras" else None
    return sum(part.stat().st_size for part in (file, kernels) if part) / 1e6


def write_table(encoder: str, cells: list[list[str]], note: str, command: str) -> None:
    """Write the section of an encoder."""
    header = ["form / runtime", "from", "largest difference", "smallest cosine", "MB"]
    header += ["start, s", *(f"ms for {name}" for name in SECONDS)]
    header += ["silence", "NaN", "too short"]
    body = (
        f"`{encoder}`, exported in every form. Each line is a fresh process "
        "that uses as many threads as its runtime chooses. Differences are between "
        "embeddings of unit norm and those of the Keras model in float64 on the "
        "package's features, at the lengths that have a time. Start is the import of "
        "the runtime and loading. "
        f"Times are medians of {REPEATS} runs; the reference evaluator ran once, for "
        "30 s. A runtime that took longer than "
        f"{MOST_MILLISECONDS / 1000:.0f} s for 30 s was not given four minutes. "
        "tract prepares its graph for each length, which is not counted. "
        "Too short is one sample below `min_samples`, or no frame. "
        "`load_encoder` refuses bad input by name before it reaches the graph. "
        f"{note}".rstrip()
        + "\n\n"
        + table(header, cells)
    )
    title = f"Forms and runtimes of {encoder}"
    write_section("runtimes", title, command, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="bytecover-small")
    parser.add_argument("--node", type=Path, help="folder with node_modules")
    parser.add_argument("--note", default="", help="added to the conditions")
    options = parser.parse_args()

    from bytecover_tf.encoders.model_file import encoder_file
    from export import FORMATS, PRECISIONS
    from export.bundle import export

    path = encoder_file(options.encoder)
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        bundle, inputs = Path(folder, "bundle"), Path(folder, "inputs.npz")
        write_inputs(path, inputs)
        export(path, bundle, FORMATS, precisions=PRECISIONS, report=print)
        for name, load, template in rows(bundle, path, options.node):
            for source in SOURCES:
                is_shipped = template.parent == path.parent
                is_slow = name.endswith(_REFERENCE)
                if source == "waveform" and (is_shipped or is_slow):
                    continue
                file = Path(str(template).format(source=source))
                repeats = 1 if is_slow else REPEATS
                arguments = (load, file, source, inputs, options.node, repeats)
                try:
                    found = measured(measure, *arguments).result
                except RuntimeError as error:
                    print(f"{name} from {source}: {error}", flush=True)
                    continue
                cells.append(
                    [
                        name,
                        source,
                        f"{found['difference']:.1e}",
                        f"{found['cosine']:.6f}",
                        f"{megabytes(file):.1f}",
                        f"{found['start']:.2f}",
                        *(_milliseconds(found[length]) for length in SECONDS),
                        *(found[bad] for bad in ("silence", "NaN", "too short")),
                    ]
                )
                print(*cells[-1], sep="\t", flush=True)
    command = command_of("systems.runtimes", parser, options, ["note"])
    write_table(options.encoder, cells, options.note, command)


if __name__ == "__main__":
    main()
