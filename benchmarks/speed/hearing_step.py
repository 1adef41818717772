"""How long do the layers that hear take to train, beside the same of Keras's layers?

    python -m benchmarks.speed.hearing_step [--rounds N]

Takes steps of the salience layer and of the network that hears notes, forwards and
back, as they are and with Keras's own convolutions and batch normalisations in them,
from the same weights and in turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common.processes import Stopwatch
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.layers.salience import Salience
from bytecover_tf.models.note_network import NoteNetwork

# What each is fed with: the shape of its input, and of its output.
LAYERS = {
    "Salience": (Salience, (64, 84, 96, 1), (64, 84, 96, 2)),
    "NoteNetwork": (NoteNetwork, (12, 252, 130, 1), (12, 84, 65, 3)),
}
SEED = 0


class PlainConv2D(keras.layers.Conv2D):
    """Keras's convolution, which is told whether it trains."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Convolve `inputs`."""
        return super().call(inputs)


def make_plain(hearing: Any) -> None:
    """Make the layers in one that hears Keras's own, which have the same weights."""
    for convolution, norm in zip(hearing.convolutions, hearing.norms, strict=True):
        convolution.__class__ = PlainConv2D
        norm.__class__ = keras.layers.BatchNormalization


def stepper(name: str, is_plain: bool) -> Callable[[], float]:
    """Return a function that takes a step and returns the loss."""
    kind, shape, output = LAYERS[name]
    keras.utils.set_random_seed(SEED)
    hearing = kind()
    hearing.build((None, shape[1], None, 1))
    if is_plain:
        make_plain(hearing)
    rng = np.random.default_rng(SEED)
    # Mostly quiet, as a transform is.
    inputs = tf.constant(rng.random(shape, np.float32) ** 4)
    weights = tf.constant(rng.standard_normal(output, np.float32))

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(weights * hearing(inputs, training=True))
        gradients = tape.gradient(loss, hearing.trainable_variables)
        # Else nobody would compute them.
        return loss + 0 * sum(map(tf.reduce_sum, gradients))

    return lambda: float(step())


def measure(rounds: int) -> list[list[str]]:
    """Return the table's rows."""
    rows = []
    for name, (_, shape, _) in LAYERS.items():
        steps = {is_plain: stepper(name, is_plain) for is_plain in (True, False)}
        losses = {is_plain: step() for is_plain, step in steps.items()}
        np.testing.assert_allclose(losses[True], losses[False], rtol=1e-3)
        spent: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for _ in range(rounds):
            for is_plain, step in steps.items():
                with Stopwatch() as watch:
                    step()
                spent[is_plain].append((watch.seconds, watch.processor))
        plain, ours = (np.median(spent[is_plain], axis=0) for is_plain in (True, False))
        size = " x ".join(map(str, shape[:3]))
        for label, (seconds, processor) in (("Keras's", plain), ("ours", ours)):
            gain = plain / (seconds, processor)
            rows.append(
                [
                    f"`{name}`, {size}",
                    *(label, f"{seconds:.2f}", f"{gain[0]:.2f}"),
                    *(f"{processor:.2f}", f"{gain[1]:.2f}"),
                ]
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="steps of each")
    options = parser.parse_args(arguments)
    header = ["", "layers", "seconds a step", "speed, Keras's = 1"]
    header += ["processor seconds", "per processor second, Keras's = 1"]
    body = (
        "Steps of the layers that hear notes, forwards and back, with Keras's own "
        "convolutions and batch normalisations in them and with ours, from the same "
        f"weights; medians of {options.rounds} steps, in turns. Ours turn kernels that "
        "are long in time, for which oneDNN has no quick gradient on processors "
        "without AVX-512, and normalise by one operation of TensorFlow.\n\n"
        + table(header, measure(options.rounds))
    )
    command = command_of("speed.hearing_step", parser, options)
    write_section("training", "Training step of the layers that hear", command, body)


if __name__ == "__main__":
    main()
