"""What the networks that ByteCover is compared with have in common."""

from __future__ import annotations

from typing import Any

from keras import layers


class BaselineNetwork(layers.Layer):
    """A network from features to embeddings.

    Args:
        width: channels of the first convolution.
        dim: size of the embedding.
        **kwargs: as for any Keras layer.
    """

    def __init__(self, width: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.dim = dim

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Return `(batch, dim)`."""
        return (input_shape[0], self.dim)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "width": self.width, "dim": self.dim}
