"""Several encoders that answer as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.bytecover import ByteCover


@keras.saving.register_keras_serializable("bytecover_tf")
class Ensemble(keras.Model):
    """Models of the same features whose embeddings are put side by side.

    Each member's f_c has unit norm, so the cosine of two embeddings is the mean of the
    members' cosines. Encoders that make different mistakes correct each other.

    Args:
        members: two or more trained models; their weights are shared, not copied.
        shares: how much the cosine of each member counts in the mean; None for all
            alike.
        **kwargs: as for any Keras model.

    Input shape:
        `(batch, bins, frames, 1)`, any number of frames from 1.

    Output:
        `{"f_c": (batch, dim)}`, where `dim` is the sum of the members'.

    Raises:
        ValueError: there are fewer than two members, or not as many positive shares.
    """

    def __init__(
        self,
        members: Sequence[ByteCover],
        shares: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(members) < 2:
            raise ValueError(
                f"`members` must be two or more models. Received: {len(members)}"
            )
        shares = [1.0] * len(members) if shares is None else list(map(float, shares))
        if len(shares) != len(members) or min(shares) <= 0:
            raise ValueError(
                f"`shares` must be {len(members)} positive numbers. "
                f"Received: shares={shares}"
            )
        self.members = list(members)
        self.shares = shares

    @property
    def dim(self) -> int:
        """Size of an embedding."""
        return sum(member.dim for member in self.members)

    def build(self, input_shape: Any) -> None:
        """Create the weights of members that have none."""
        for member in self.members:
            if not member.built:
                member.build(input_shape)
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Return the members' embeddings, side by side."""
        return {
            "f_c": side_by_side(
                [member(inputs, training=training)["f_c"] for member in self.members],
                self.shares,
            )
        }

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> dict[str, tuple[int | None, int]]:
        """Return the shape of f_c."""
        return {"f_c": (input_shape[0], self.dim)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Create the weights of a model that is loaded.

        Keras's own method warns of any error and leaves the model without weights.
        """
        self.build(config["input_shape"])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        members = [keras.saving.serialize_keras_object(m) for m in self.members]
        return {**super().get_config(), "members": members, "shares": self.shares}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Ensemble:
        """Return a model of new weights."""
        members = map(keras.saving.deserialize_keras_object, config["members"])
        return cls(**{**config, "members": list(members)})


def side_by_side(embeddings: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Return (batch, sum of dims); the squared norm of each part is its share."""
    parts = [
        math.sqrt(share) * ops.normalize(embedding, axis=-1)
        for embedding, share in zip(embeddings, shares, strict=True)
    ]
    return ops.concatenate(parts, axis=-1)
