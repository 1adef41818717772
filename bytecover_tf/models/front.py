"""The layers in front of the backbone."""

from __future__ import annotations

from typing import Any

from keras import layers

from bytecover_tf.layers.octaves import Octaves
from bytecover_tf.layers.power import Power
from bytecover_tf.layers.registers import Registers
from bytecover_tf.layers.salience import Salience
from bytecover_tf.layers.semitones import Semitones
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.heard_notes import HeardNotes


def front_layers(architecture: Architecture, dtype: Any) -> dict[str, layers.Layer]:
    """Return the layers that turn the input into the map that the backbone reads.

    Each takes a map `(batch, rows, frames, channels)` and returns one. The first takes
    the features, `(batch, bins, frames, 1)`. To put another layer in front, give
    `Architecture` a setting and add the layer here.

    Args:
        architecture: says which layers there are.
        dtype: precision of the layers.

    Returns:
        New layers by name, in order.
    """
    front: dict[str, layers.Layer] = {}
    if architecture.heard is not None:
        front["heard"] = HeardNotes(architecture.heard, name="heard", dtype="float32")
    if architecture.semitones is not None:
        front["semitones"] = Semitones(
            architecture.semitones, name="semitones", dtype="float32"
        )
    if architecture.input_power != 1:
        front["power"] = Power(architecture.input_power, name="power", dtype=dtype)
    if architecture.salience is not None:
        front["salience"] = Salience(
            architecture.salience, name="salience", dtype=dtype
        )
    if architecture.registers is not None:
        # It has no weights, and sums over whole recordings overflow float16.
        front["registers"] = Registers(
            architecture.registers, name="registers", dtype="float32"
        )
    elif architecture.pitch_classes:
        front["octaves"] = Octaves(name="octaves", dtype=dtype)
    return front
