"""How near and how fast is the transform inside the graph?

    python -m benchmarks.speed.cqt

Compares `CQT` and `Frontend.features` with librosa's transform on the package's
rendered tunes and on test signals; then times librosa, `Frontend.features`, the layer
as a tf.function and as an ONNX model in turns.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import librosa
import numpy as np

import bytecover_tf.data
from benchmarks.common.report import table, write_section
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.frontend import Frontend

FRONTEND = Frontend()
RATE = FRONTEND.sample_rate
SIZES = [(seconds, batch) for seconds in (30, 240, 600) for batch in (1, 8)]
SECONDS_PER_SIZE = 20
LARGEST = (600, 8)

Extractor = Callable[[np.ndarray], Any]


def signals() -> dict[str, list[np.ndarray]]:
    """Return groups of signals by name."""
    rng = np.random.default_rng(0)
    t = np.arange(30 * RATE) / RATE
    sweep = np.log(4000 / 20) / 30
    impulses = np.zeros(len(t))
    impulses[:: RATE // 3] = 1
    short = FRONTEND.min_samples
    groups = {
        "tones at 40, 110, 440, 1000, 2000, 3951 Hz": [
            np.sin(2 * np.pi * f * t) for f in (40, 110, 440, 1000, 2000, 3951)
        ],
        "tones beyond the top bin, 4500 and 8000 Hz": [
            np.sin(2 * np.pi * f * t) for f in (4500, 8000)
        ],
        "chirp from 20 to 4000 Hz": [
            np.sin(2 * np.pi * 20 / sweep * np.expm1(sweep * t))
        ],
        "white noise": [rng.normal(size=len(t))],
        "white noise of one to two pooled frames": [
            rng.normal(size=short + extra) for extra in (0, 1, 63, 511, 20_001)
        ],
        "brown noise": [np.cumsum(rng.normal(size=len(t))) / 100],
        "impulses from the first sample on": [impulses],
    }
    tunes = Path(bytecover_tf.data.__file__).parent / "tunes/audio"
    return {
        "rendered tunes": [load_audio(path) for path in sorted(tunes.glob("*.ogg"))],
        **{
            name: [(0.2 * samples).astype(np.float32) for samples in group]
            for name, group in groups.items()
        },
    }


def by_librosa(samples: np.ndarray, sparsity: float = 0.01) -> np.ndarray:
    """Return librosa's features; without sparsity, its filters are not cut."""
    transform = librosa.cqt(
        samples,
        sr=RATE,
        hop_length=FRONTEND.hop_length,
        fmin=FRONTEND.fmin,
        n_bins=FRONTEND.n_bins,
        bins_per_octave=FRONTEND.bins_per_octave,
        window=FRONTEND.window,
        sparsity=sparsity,
    )
    return FRONTEND.from_cqt(np.abs(transform))


def errors(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[str]:
    """Return median and worst error, relative to the second array of each pair.

    Only values within 60 dB of a recording's maximum count.
    """
    relative = []
    for result, expected in pairs:
        heard = expected > 1e-3 * expected.max()
        relative.append(np.abs(result - expected)[heard] / expected[heard])
    values = np.concatenate(relative)
    return [f"{np.median(values):.0e}", f"{values.max():.0e}"]


def error_rows(layer: Extractor) -> list[list[str]]:
    rows = []
    for name, group in signals().items():
        ours = [np.asarray(layer(samples[np.newaxis]))[0, ..., 0] for samples in group]
        numpy = [FRONTEND.features(samples) for samples in group]
        theirs = [by_librosa(samples) for samples in group]
        dense = [by_librosa(samples, sparsity=0) for samples in group]
        rows.append(
            [
                name,
                *errors(list(zip(numpy, theirs, strict=True))),
                *errors(list(zip(ours, theirs, strict=True))),
                *errors(list(zip(ours, dense, strict=True))),
                *errors(list(zip(theirs, dense, strict=True))),
            ]
        )
    return rows


def with_librosa(waveforms: np.ndarray) -> np.ndarray:
    return np.stack([by_librosa(samples) for samples in waveforms])


def with_numpy(waveforms: np.ndarray) -> np.ndarray:
    return np.stack([FRONTEND.features(samples) for samples in waveforms])


def extractors() -> dict[str, Extractor]:
    """Return the ways to extract features, by name."""
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    from bytecover_tf.layers import CQT

    layer = CQT(FRONTEND)
    signature = [tf.TensorSpec((None, None), tf.float32, name="waveform")]
    function = tf.function(lambda waveform: layer(waveform), input_signature=signature)
    model, _ = tf2onnx.convert.from_function(function, signature, opset=17)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return {
        "librosa": with_librosa,
        "Frontend": with_numpy,
        "tf.function": lambda waveforms: function(tf.constant(waveforms)).numpy(),
        "ONNX Runtime": lambda waveforms: session.run(None, {"waveform": waveforms})[0],
    }


def noise(seconds: int, batch: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((batch, seconds * RATE), dtype=np.float32)


def speed_rows(ways: dict[str, Extractor]) -> list[list[str]]:
    """Time the ways in turns; ratios are of wall-clock and of processor time."""
    rows = []
    for seconds, batch in SIZES:
        waveforms = noise(seconds, batch)
        for extract in ways.values():
            extract(waveforms)
        wall: dict[str, list[float]] = {name: [] for name in ways}
        processor: dict[str, list[float]] = {name: [] for name in ways}
        end = time.monotonic() + SECONDS_PER_SIZE
        while time.monotonic() < end or len(wall["librosa"]) < 5:
            for name, extract in ways.items():
                began, used = time.perf_counter(), time.process_time()
                extract(waveforms)
                wall[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - used)
        row = [f"{batch} x {seconds} s", f"{1e3 * median(wall['librosa']):,.0f} ms"]
        for name in list(ways)[1:]:
            times = [
                median(values["librosa"]) / median(values[name])
                for values in (wall, processor)
            ]
            row.append(f"{1e3 * median(wall[name]):,.0f} ms")
            row.append(f"{times[0]:.1f} ({times[1]:.1f})")
        rows.append(row)
    return rows


def memory(name: str) -> int:
    """Return by how many bytes the largest size raises this process's peak."""
    extract = extractors()[name]
    extract(noise(30, 1))
    waveforms = noise(*LARGEST)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    extract(waveforms)
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def memory_in_fresh_process(name: str) -> int:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(memory, name).result()


def main() -> None:
    ways = extractors()
    seconds, batch = LARGEST
    grown = ", ".join(
        f"{memory_in_fresh_process(name) / 1e6:,.0f} MB ({name})" for name in ways
    )
    body = (
        "Relative error of pooled values within 60 dB of a recording's maximum, "
        "median and worst: of `Frontend` and of the layer against librosa, of the "
        "layer against librosa without its sparsity (`sparsity=0` instead of 0.01), "
        "and of librosa against itself without it. Both reproduce the sparsity, so "
        "the third difference is librosa's own.\n\n"
        + table(
            [
                "signal",
                "Frontend, librosa: median",
                "worst",
                "layer, librosa: median",
                "worst",
                "layer, sparsity=0: median",
                "worst",
                "librosa, sparsity=0: median",
                "worst",
            ],
            error_rows(ways["tf.function"]),
        )
        + "\n\nTime per call on noise, the ways in turns, medians; how many times "
        "librosa's throughput that is in wall-clock time (in processor time), which "
        "should be at least 3. librosa and `Frontend` take the recordings one after "
        "another.\n\n"
        + table(
            [
                "recordings",
                "librosa",
                "Frontend",
                "times librosa",
                "tf.function",
                "times librosa",
                "ONNX Runtime",
                "times librosa",
            ],
            speed_rows(ways),
        )
        + f"\n\nMemory beyond the {noise(*LARGEST).nbytes / 1e6:,.0f} MB of the "
        f"waveforms for {batch} recordings of {seconds} s: {grown}."
    )
    write_section(
        "audio", "Transform inside the graph", "python -m benchmarks.speed.cqt", body
    )


if __name__ == "__main__":
    main()
