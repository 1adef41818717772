"""How many recordings a second does a GPU train on?

    [KERAS_BACKEND=jax] python -m benchmarks.speed.gpu_step [--batches 32,128,512]
        [--peak PRECISION=TFLOPS ...]

Trains the paper's network (ResNet50-IBN, its two losses, Adam) on one batch again and
again, through Keras's backend, TensorFlow or JAX: in float32 with and without
TensorFloat-32, and in mixed precision. With the GPU's peaks, from its data sheet, it
says what share of them the convolutions reach. --small rehearses on any machine, and
prints what it finds.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

import keras
import numpy as np

from benchmarks.common.report import table, write_section
from benchmarks.speed.training_step import (
    FULL,
    LEARNING_RATE,
    SMALL,
    WORKS,
    Batch,
    seeded_model,
)
from bytecover_tf.models.learner import Learner

# Name, Keras's policy, and whether float32 products may round to TensorFloat-32.
PRECISIONS = (
    ("float32", "float32", False),
    ("tensorfloat32", "float32", True),
    ("mixed_bfloat16", "mixed_bfloat16", True),
    ("mixed_float16", "mixed_float16", True),
)
EPOCHS = 4
# A backward pass has a product for the weights and one for the input.
PASSES = 3


class Repeated(keras.utils.PyDataset):
    """One batch, so many times."""

    def __init__(self, batch: Batch, steps: int) -> None:
        super().__init__()
        self._arrays, self._steps = batch.arrays(), steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._arrays


class Stopwatch(keras.callbacks.Callback):
    """Keeps the seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop."""
        self.seconds.append(time.perf_counter() - self._began)


def gpu_name() -> str | None:
    """Return the name of the backend's GPU, or None if it has none."""
    if keras.backend.backend() == "jax":
        import jax

        return next((d.device_kind for d in jax.devices() if d.platform == "gpu"), None)
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_device_details(gpu)["device_name"]
    return None


def allow_tensorfloat32(allow: bool) -> None:
    """Let products of float32 round their factors to 10 bits, or not."""
    if keras.backend.backend() == "jax":
        import jax

        precision = "tensorfloat32" if allow else "highest"
        jax.config.update("jax_default_matmul_precision", precision)
    else:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(allow)


def make_model(policy: str, blocks: Sequence[int], width: int) -> Learner:
    """Return the network, ready to train."""
    model = seeded_model(blocks, width, policy)
    model.compile(keras.optimizers.Adam(LEARNING_RATE))
    return model


def convolution_flops(model: Learner, frames: int) -> int:
    """Return the operations of all convolutions on one recording, forwards."""
    total = 0
    call = keras.layers.Conv2D.call

    def counted(layer: keras.layers.Conv2D, inputs: Any) -> Any:
        nonlocal total
        outputs = call(layer, inputs)
        total += 2 * math.prod(outputs.shape[1:]) * math.prod(layer.kernel.shape[:3])
        return outputs

    with mock.patch.object(keras.layers.Conv2D, "call", counted):
        model(np.zeros((1, 84, frames, 1), np.float32))
    return total


def recordings_per_second(model: Learner, batch: Batch, steps: int) -> float:
    """Return the median over epochs, but for the first, which compiles."""
    watch = Stopwatch()
    data = Repeated(batch, steps)
    model.fit(data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[watch])
    return batch.size * steps / float(np.median(watch.seconds[1:]))


def read_peaks(texts: Sequence[str]) -> dict[str, float]:
    """Return TFLOPS by the name of a precision, of texts as `float32=67`.

    Raises:
        ValueError: a text is none.
    """
    peaks = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in [name for name, _, _ in PRECISIONS]:
            raise ValueError(f"{text!r} names no precision")
        peaks[name] = float(value)
    return peaks


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--batches", default="32,128,512", help="numbers of recordings in a batch"
    )
    parser.add_argument(
        "--frames", type=int, default=103, help="frames of each recording"
    )
    parser.add_argument("--steps", type=int, default=30, help="steps of an epoch")
    parser.add_argument(
        "--peak",
        nargs="+",
        default=[],
        metavar="PRECISION=TFLOPS",
        help="teraflops of the GPU at its peak, for "
        + ", ".join(name for name, _, _ in PRECISIONS),
    )
    parser.add_argument(
        "--small", action="store_true", help="use a network of 4 blocks"
    )
    options = parser.parse_args(arguments)
    try:
        peaks = read_peaks(options.peak)
    except ValueError as error:
        parser.error(f"--peak: {error}")
    gpu = gpu_name()
    if gpu is None and not options.small:
        parser.error("the backend sees no GPU; --small rehearses without")
    blocks, width = SMALL if options.small else FULL
    rows = []
    for name, policy, rounded in PRECISIONS:
        allow_tensorfloat32(rounded)
        for size in map(int, options.batches.split(",")):
            model = make_model(policy, blocks, width)
            flops = PASSES * convolution_flops(model, options.frames)
            batch = Batch(size, options.frames)
            speed = recordings_per_second(model, batch, options.steps)
            tera = speed * flops / 1e12
            share = f"{tera / peaks[name]:.0%}" if name in peaks else "-"
            rows.append([name, str(size), f"{speed:,.0f}", f"{tera:.2f}", share])
            print(*rows[-1], flush=True)
    header = ["precision", "batch", "recordings a second", "TFLOPS", "share of peak"]
    if gpu is None:
        print(table(header, rows))
        return
    stated = ", ".join(f"{name} {value:g}" for name, value in peaks.items())
    body = (
        f"{gpu}, Keras on {keras.backend.backend()}. Recordings of 84 x "
        f"{options.frames}, stages of {'-'.join(map(str, blocks))} bottlenecks, width "
        f"{width}, {WORKS:,} works: forward, both losses, backward and Adam by `fit` "
        f"on one batch in the host's memory; medians of {EPOCHS - 1} epochs of "
        f"{options.steps} steps. TFLOPS are those of the convolutions alone. Peaks as "
        f"given: {stated or 'none'}.\n\n" + table(header, rows)
    )
    command = " ".join(
        [f"KERAS_BACKEND={keras.backend.backend()} python -m benchmarks.speed.gpu_step"]
        + [f"--batches {options.batches} --frames {options.frames}"]
        + ["--small"] * options.small
        + (["--peak", *options.peak] if options.peak else [])
    )
    write_section("training", "Training step on a GPU", command, body)


if __name__ == "__main__":
    main()
