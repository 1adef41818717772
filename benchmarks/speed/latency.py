"""How long does an embedding take in each runtime, and how far is it from the model?

    python -m benchmarks.speed.latency --encoder bytecover-small
    python -m benchmarks.speed.latency --encoder runs/full-size
        --precisions float32 float16 [--map-of RUN]

The network of the paper's size is the one that `benchmarks.paper.full_size` leaves.
After so few steps its 8-bit form differs too much from it to be exported.

Exports an encoder and runs it in Keras, TensorFlow, ONNX Runtime and PyTorch, each in a
process of its own. For every batch size and length the processes take turns, so that
whatever else the machine does falls on all alike. Speeds are given as ratios to
PyTorch's; of an encoder that comes with the package, which nobody has written in
PyTorch, as ratios to Keras's.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.report import folded, report_file, table, write_section
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.encoders.pretrained import is_pretrained_name, pretrained_names

BATCHES = (1, 8, 32)
SECONDS = {"30 s": 30, "4 min": 240, "10 min": 600}
# Longer batches of waveforms than this do not fit beside each other in memory.
MOST_MINUTES = {"features": math.inf, "waveform": 80}
INTRODUCTION = (
    "Each runtime in a process of its own with as "
    "many threads as it chooses, taking turns. Errors are those of unit-norm "
    "embeddings to the Keras model on the frontend's features. From waveforms, the "
    "transform is run in the graph, but PyTorch is given the package's `Frontend`, one "
    "recording after another. Percentiles are of as many runs as the last column says. "
    "Peak is the process's resident memory.\n\n"
)

Run = Callable[[np.ndarray], np.ndarray]


# -- runtimes: each returns a function from a batch to embeddings ------------------


def keras_predict(bundle: Path, encoder: Path, source: str) -> Run:
    import keras

    model, frontend = _model(encoder)
    if source == "features":
        return lambda x: _unit(model.predict_on_batch(x[..., None])["f_c"])
    from bytecover_tf.layers.cqt import CQT

    whole = keras.Sequential([CQT(frontend), model])
    return lambda x: _unit(whole.predict_on_batch(x)["f_c"])


def tf_function(bundle: Path, encoder: Path, source: str) -> Run:
    import tensorflow as tf

    from bytecover_tf.layers.cqt import CQT

    model, frontend = _model(encoder)
    cqt = CQT(frontend)

    @tf.function(reduce_retracing=True)
    def run(x: Any) -> Any:
        features = x[..., None] if source == "features" else cqt(x)
        f_c = model(features, training=False)["f_c"]
        return tf.math.l2_normalize(f_c, -1)

    return lambda x: run(tf.constant(x)).numpy()


def saved_model(bundle: Path, encoder: Path, source: str) -> Run:
    import tensorflow as tf

    model = tf.saved_model.load(str(bundle / "saved_model/1"))
    key = "features" if source == "features" else "serving_default"
    run = model.signatures[key]
    return lambda x: run(**{source: tf.constant(x)})["embedding"].numpy()


def onnx_runtime(suffix: str, provider: str) -> Callable[[Path, Path, str], Run]:
    def load(bundle: Path, encoder: Path, source: str) -> Run:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            bundle / f"encoder_{source}{suffix}.onnx", options, providers=[provider]
        )
        return lambda x: session.run(None, {source: x})[0]

    return load


def pytorch(bundle: Path, encoder: Path, source: str) -> Run:
    import torch

    from benchmarks.common.torch_model import TorchByteCover

    model, frontend = _model(encoder)
    theirs = TorchByteCover(model).to(memory_format=torch.channels_last)
    del model

    def run(x: np.ndarray) -> np.ndarray:
        if source == "waveform":
            x = np.stack([frontend.features(row) for row in x])
        with torch.inference_mode():
            return theirs(torch.from_numpy(x)).numpy()

    return run


PYTORCH = "PyTorch, channels last"
RUNTIMES: dict[str, Callable[[Path, Path, str], Run]] = {
    PYTORCH: pytorch,
    "Keras predict": keras_predict,
    "tf.function": tf_function,
    "SavedModel": saved_model,
    "ONNX Runtime float32": onnx_runtime("", "CPUExecutionProvider"),
    "ONNX Runtime float16": onnx_runtime("_float16", "CPUExecutionProvider"),
    "ONNX Runtime int8": onnx_runtime("_int8", "CPUExecutionProvider"),
    "ONNX Runtime CUDA float32": onnx_runtime("", "CUDAExecutionProvider"),
    "ONNX Runtime CUDA float16": onnx_runtime("_float16", "CUDAExecutionProvider"),
}
EMBED = {"features": Encoder.embed_features, "waveform": Encoder.embed_waveforms}


def available(with_pytorch: bool) -> list[str]:
    """Return the runtimes that this machine has; others are compared to the first."""
    import onnxruntime

    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return [
        name
        for name in RUNTIMES
        if ("CUDA" not in name or (cuda and _has_gpu()))
        and (name != PYTORCH or with_pytorch)
    ]


def _has_gpu() -> bool:
    return Path("/dev/nvidia0").exists()


def _model(encoder: Path) -> Any:
    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.encoders.model_file import load_model

    model, info = load_model(encoder)
    return model, Frontend.from_dict(info["frontend"])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


# -- one process a runtime ---------------------------------------------------------


def serve(name: str, bundle: Path, encoder: Path, source: str, pipe: Any) -> None:
    """Load a runtime and answer `(file, repetitions)` with times and results."""
    run = RUNTIMES[name](bundle, encoder, source)
    while (request := pipe.recv()) is not None:
        path, repetitions = request
        batch = np.load(path)
        _reset_peak()
        seconds = []
        for _ in range(repetitions):
            start = time.perf_counter()
            embedding = run(batch)
            seconds.append(time.perf_counter() - start)
        pipe.send((seconds, embedding, _peak_bytes()))


def _reset_peak() -> None:
    # Where it is not allowed, the peak is that of the process's life.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])
    return 0


class Workers:
    """A process for each runtime, asked in turn."""

    def __init__(self, names: list[str], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = {}, []
        for name in names:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=serve, args=(name, *arguments, theirs), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes[name] = ours
            self._processes.append(process)

    def ask(self, name: str, path: Path, repetitions: int) -> Any:
        """Return seconds, embeddings and peak memory of `repetitions` runs."""
        self._pipes[name].send((path, repetitions))
        answer = self._pipes[name].recv()
        time.sleep(0.05)  # threads that spin after their work go to sleep
        return answer

    def close(self) -> None:
        """Stop the processes."""
        for pipe, process in zip(self._pipes.values(), self._processes, strict=True):
            pipe.send(None)
            process.join()


def measure(
    workers: Workers, names: list[str], batch: Path, budget: float
) -> dict[str, Any]:
    """Return seconds, embedding and peak memory of each runtime for one batch.

    Args:
        workers: the processes.
        names: of the runtimes.
        batch: an .npy file with their input.
        budget: seconds that each may take.
    """
    first = {name: workers.ask(name, batch, 1) for name in names}  # also warms up
    typical = {name: workers.ask(name, batch, 1)[0][0] for name in names}
    rounds = 5 if max(typical.values()) < 1 else 3
    results: dict[str, Any] = {name: ([], first[name][1], 0) for name in names}
    for _ in range(rounds):
        for name in names:
            repetitions = int(np.clip(budget / rounds / typical[name], 1, 40))
            seconds, embedding, peak = workers.ask(name, batch, repetitions)
            results[name] = (
                results[name][0] + seconds,
                embedding,
                max(results[name][2], peak),
            )
    return results


def rows_of(results: dict[str, Any], reference: np.ndarray) -> list[list[str]]:
    """Return the table's cells for one batch size and length; the first is 1."""
    base = np.median(next(iter(results.values()))[0])
    rows = []
    for name, (seconds, embedding, peak) in results.items():
        p50, p95, p99 = 1e3 * np.percentile(seconds, [50, 95, 99])
        error = np.abs(embedding - reference).max()
        cosine = (embedding * reference).sum(axis=1).min()
        rows.append(
            [
                name,
                f"{p50:.1f} / {p95:.1f} / {p99:.1f}",
                f"{1e3 * len(embedding) / p50:.1f}",
                f"{1e3 * base / p50:.2f}",
                f"{error:.1e}",
                f"{cosine:.5f}",
                f"{peak / 2**20:.0f}",
                f"{len(seconds)}",
            ]
        )
    return rows


def header(names: list[str]) -> list[str]:
    """Return the names of the table's columns."""
    return [
        "runtime",
        "p50 / p95 / p99 ms",
        "tracks/s",
        speed_to(names[0]),
        "largest error",
        "least cosine",
        "peak MiB",
        "runs",
    ]


def speed_to(name: str) -> str:
    """Return what a speed relative to a runtime is called."""
    return f"speed, {name.split(',')[0].split()[0]} = 1"


def inputs(frontend: Any, source: str, seconds: int, batch: int) -> np.ndarray:
    """Return a batch of music: the embedded recordings, one after another."""
    from bytecover_tf.audio.decoding import load_audio
    from bytecover_tf.data import tunes

    music = np.concatenate([load_audio(path) for path in tunes.audio_files()])
    samples = seconds * frontend.sample_rate
    starts = np.linspace(0, len(music), batch, endpoint=False, dtype=int)
    waveforms = [
        np.take(music, range(start, start + samples), mode="wrap") for start in starts
    ]
    if source == "waveform":
        return np.stack(waveforms)
    return np.stack([frontend.features(waveform) for waveform in waveforms])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--encoder",
        required=True,
        metavar="RUN",
        help=f"a run directory, or {' or '.join(pretrained_names())}",
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["float32", "float16", "int8"],
        help="of the exported files (default: all)",
    )
    parser.add_argument(
        "--most",
        type=float,
        default=math.inf,
        metavar="MINUTES",
        help="leave out batches that hold more sound (default: none)",
    )
    parser.add_argument(
        "--map-of",
        type=Path,
        metavar="RUN",
        help="another run, whose loss of MAP in lower precisions is reported too",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=4,
        help="seconds to measure each runtime and batch for",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, Path(folder))


def run(options: argparse.Namespace, folder: Path) -> None:
    from bytecover_tf.encoders.model_file import encoder_file, load_model
    from export import PRECISIONS
    from export.bundle import export

    encoder = encoder_file(options.encoder)
    bundle = folder / "bundle"
    manifest = export(encoder, bundle, precisions=options.precisions, report=print)
    model = load_model(encoder)[0]
    size = f"{model.count_params() / 1e6:.1f} million weights"
    shipped = is_pretrained_name(options.encoder)
    if not shipped:
        architecture = model.architecture
        size += f", stages of {'-'.join(map(str, architecture.blocks))} bottlenecks, "
        size += f"width {architecture.width}"
    losses = map_losses(f"The network timed below ({size})", manifest)
    if options.map_of:
        other = export(
            options.map_of,
            folder / "other",
            ["onnx"],
            ["features"],
            PRECISIONS,
            report=print,
        )
        losses += map_losses(f"The network of `{options.map_of}`", other)
    reference = load_encoder(encoder)
    left_out = set(PRECISIONS).difference(options.precisions)
    names = [
        name
        for name in available(with_pytorch=not shipped)
        if left_out.isdisjoint(name.split())
    ]
    of = f" of {options.encoder}" if shipped else ""
    for source in ("features", "waveform"):
        sections, points = [], []
        workers = Workers(names, bundle, encoder, source)
        for label, seconds in SECONDS.items():
            for batch in BATCHES:
                minutes = batch * seconds / 60
                if minutes > min(options.most, MOST_MINUTES[source]):
                    continue
                array = inputs(reference.frontend, source, seconds, batch)
                np.save(folder / "batch.npy", array)
                results = measure(workers, names, folder / "batch.npy", options.seconds)
                rows = rows_of(results, EMBED[source](reference, list(array)))
                title = f"{source}, batch {batch}, {label} {array.shape}"
                figures = table(header(names), rows)
                print(f"{title}\n\n{figures}\n", flush=True)
                sections.append(folded(title, figures))
                points.append((batch, label, results))
        workers.close()
        stem = f"latency_{options.encoder}" if shipped else "latency"
        picture = plot(points, source, stem)
        write_section(
            "latency",
            f"Latency{of} from {source}",
            "python -m benchmarks.speed.latency " + " ".join(sys.argv[1:]),
            INTRODUCTION
            + losses
            + f"\n![speeds]({picture.name})\n\n"
            + "\n\n".join(sections),
        )


def map_losses(name: str, manifest: dict[str, Any]) -> str:
    """Return a line on what lower precisions cost on the embedded test works.

    Nothing, if the network reads other features than the embedded ones.
    """
    measured = [file for file in manifest["files"] if file.get("tunes")]
    if not measured:
        return ""
    parts = [f"{file['tunes']['map']:.4f} in {file['precision']}" for file in measured]
    exact = measured[0]["tunes"]["map_of_model"]
    return f"{name}: MAP on `tunes` {exact:.4f}, {', '.join(parts)}.\n"


def plot(points: list[Any], source: str, stem: str) -> Path:
    """Draw the speed of each runtime relative to the first; return the picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    panel = figure.subplots()
    names = list(points[0][2])
    for offset, name in enumerate(names):
        speeds = [
            np.median(results[names[0]][0]) / np.median(results[name][0])
            for _, _, results in points
        ]
        left = np.arange(len(points)) + 0.8 * (offset / len(names) - 0.5)
        panel.bar(left, speeds, 0.8 / len(names), align="edge", label=name)
    panel.axhline(1, color="black", linewidth=0.8)
    panel.set_xticks(
        range(len(points)), [f"{batch} x {label}" for batch, label, _ in points]
    )
    panel.set(title=f"from {source}", ylabel=speed_to(names[0]))
    panel.legend(fontsize="small", ncols=2)
    path = report_file("latency").with_name(f"{stem}_{source}.png")
    figure.savefig(path, dpi=100)
    return path


if __name__ == "__main__":
    main()
