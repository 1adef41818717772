"""The model of the paper: backbone, pooling and BNNeck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import keras
from keras import ops

from bytecover_tf.layers.bnneck import BNNeck
from bytecover_tf.layers.gem import GeM
from bytecover_tf.layers.salience import Salience
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.cqtnet import CQTNet
from bytecover_tf.models.front import front_layers
from bytecover_tf.models.heard_notes import HeardNotes
from bytecover_tf.models.kicnn import KiCNN
from bytecover_tf.models.move import MOVE
from bytecover_tf.models.resnet_ibn import ResNetIBN
from bytecover_tf.models.tppnet import TPPNet
from bytecover_tf.settings import take

OTHER_NETWORKS = {"cqtnet": CQTNet, "kicnn": KiCNN, "move": MOVE, "tppnet": TPPNet}
"""The networks that the paper compares ByteCover with: features to (batch, dim)."""

# The parts that make an embedding, in order.
PARTS = ("heard", "salience", "backbone", "pool", "projection", "neck")


@keras.saving.register_keras_serializable(package="bytecover_tf")
class ByteCover(keras.Model):
    """Embeds recordings so that versions of one work lie close in cosine distance.

    The layers of `models.front` turn the features into the map that the backbone reads.
    Each rung of the paper's ablation (table 3) is an architecture; so is each network
    of table 1, which then makes f_t in place of backbone, pooling and projection. To
    train it, see `models.learner`.

    Args:
        architecture: what is computed; by default the paper's network.
        **kwargs: as for any Keras model.

    Input shape:
        `(batch, bins, frames, 1)`, any number of frames from 1.

    Output:
        `{"f_t": (batch, dim), "f_c": (batch, dim)}` in float32. Compare
        recordings by the cosine of f_c.

    Example:
        >>> model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=8))
        >>> model(keras.random.uniform((2, 84, 40, 1)))["f_c"].shape
        TensorShape([2, 256])
    """

    heard: HeardNotes | None = None
    salience: Salience | None = None

    def __init__(self, architecture: Architecture | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.architecture = architecture = architecture or Architecture()
        policy = {"dtype": self.dtype_policy}
        front = front_layers(architecture, **policy)
        # Each layer is an attribute of its own, because files of weights name
        # `salience`.
        self._front = tuple(front)
        for name, layer in front.items():
            setattr(self, name, layer)
        self.backbone: keras.layers.Layer
        # Other networks have their own.
        self.pool: keras.layers.Layer = None
        self.projection: keras.layers.Layer = None
        dim = architecture.embedding_dim
        if architecture.network == "resnet":
            self.backbone = ResNetIBN(
                architecture.blocks,
                architecture.width,
                architecture.ibn,
                architecture.pitch_classes,
                name="backbone",
                **policy,
            )
            # Everything after the backbone is small and stays in float32.
            self.pool = (
                GeM(name="pool", dtype="float32")
                if architecture.pooling == "gem"
                else keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")
            )
            if dim is not None:
                self.projection = keras.layers.Dense(
                    dim, name="projection", dtype="float32"
                )
        else:
            sizes = {"dim": dim, "kernel_frames": architecture.kernel_frames}
            given = {name: size for name, size in sizes.items() if size is not None}
            self.backbone = OTHER_NETWORKS[architecture.network](
                architecture.width, **given, name="backbone", **policy
            )
        self.neck = BNNeck(name="neck") if architecture.bnneck else None

    @property
    def dim(self) -> int:
        """Size of an embedding."""
        if self.architecture.network != "resnet":
            return self.backbone.dim
        return self.architecture.embedding_dim or 32 * self.architecture.width

    def front(self) -> list[keras.layers.Layer]:
        """Return the layers in front of the backbone, in order."""
        return [getattr(self, name) for name in self._front]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        self._built_for = shape = tuple(input_shape)
        for layer in self.front():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.backbone.build(shape)
        features = self.backbone.compute_output_shape(shape)
        if self.pool is not None:
            self.pool.build(features)
        if self.projection is not None:
            self.projection.build((None, features[-1]))
        if self.neck is not None:
            self.neck.build((None, self.dim))

    def call(self, inputs: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Return f_t and f_c of each recording."""
        x = inputs
        for layer in self.front():
            x = layer(x, training=training)
        return self._embed(x, training)

    def hear(
        self, features: Tensor, training: bool | None = False, logits: bool = False
    ) -> Tensor:
        """Return the notes that the salience layer hears: shares of the frames, 0 to 1.

        Args:
            features: `(batch, bins, frames, 1)`. The model must have `salience`.
            training: as of `call`.
            logits: whether to return the values before the logistic function.

        Returns:
            `(batch, bins, frames, 2)`: the melody and all notes.

        Raises:
            ValueError: the model has no `salience`.
        """
        if self.salience is None:
            raise ValueError("a model without `salience` hears no notes")
        x = features
        for layer in self.front()[: self._front.index("salience")]:
            x = layer(x, training=training)
        return self.salience(x, training=training, logits=logits)

    def embed_notes(
        self, notes: Tensor, training: bool | None = False
    ) -> dict[str, Tensor]:
        """Return f_t and f_c of notes, such as a score, as if they had been heard.

        Args:
            notes: `(batch, semitones, frames, 2)`, as `hear` or `HeardNotes` returns
                them. The model must have `salience` or `heard`.
            training: as of `call`.

        Raises:
            ValueError: the model reads no notes.
        """
        hearing = [name for name in ("salience", "heard") if name in self._front]
        if not hearing:
            raise ValueError("a model without `salience` or `heard` reads no notes")
        x = notes
        for layer in self.front()[self._front.index(hearing[0]) + 1 :]:
            x = layer(x, training=training)
        return self._embed(x, training)

    def _embed(self, x: Tensor, training: bool | None) -> dict[str, Tensor]:
        """Return f_t and f_c of what the backbone reads."""
        f_t = ops.cast(self.backbone(x, training=training), "float32")
        if self.pool is not None:
            f_t = self.pool(f_t)
        if self.projection is not None:
            f_t = self.projection(f_t)
        f_c = f_t if self.neck is None else self.neck(f_t, training=training)
        return {"f_t": f_t, "f_c": f_c}

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> dict[str, tuple[int | None, int]]:
        """Return the shapes of f_t and f_c."""
        shape = (input_shape[0], self.dim)
        return {"f_t": shape, "f_c": shape}

    # -- copies -----------------------------------------------------------------

    def fresh(self, dtype: str = "float32", **changes: Any) -> ByteCover:
        """Return a model for the same input, with new weights.

        Args:
            dtype: its precision.
            **changes: to the settings of the architecture.
        """
        model = ByteCover(replace(self.architecture, **changes), dtype=dtype)
        model.build(self._built_for)
        return model

    def encoder(self, earlier: ByteCover | None = None) -> ByteCover:
        """Return a float32 copy with weights of its own.

        Args:
            earlier: such a copy, to bring up to date instead of making a new one.
        """
        copy = earlier or self.fresh()
        for theirs, ours in zip(copy.variables, self.variables, strict=True):
            # Copy through NumPy: JAX would share the buffer, which training frees.
            theirs.assign(ops.convert_to_numpy(ours))
        return copy

    def take_weights(self, source: ByteCover, parts: Sequence[str] = PARTS) -> None:
        """Copy another model's weights, where this one has the part.

        Args:
            source: has these parts in the same shapes.
            parts: names from `PARTS`.
        """
        for part in parts:
            if getattr(self, part) is not None:
                getattr(self, part).set_weights(getattr(source, part).get_weights())

    def take_extractor(self, source: ByteCover) -> None:
        """Copy the weights of another MOVE, but for those of its embedding space.

        Args:
            source: the other, of the same width and any `dim`.
        """
        ours, theirs = self.backbone.extractor(), source.backbone.extractor()
        for mine, other in zip(ours, theirs, strict=True):
            mine.set_weights(other.get_weights())

    # -- persistence ------------------------------------------------------------

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Create the weights of a model that is loaded.

        Keras's own method warns of any error and leaves the model without weights.
        """
        self.build(config["input_shape"])

    def load_own_variables(self, store: Any) -> None:
        """Load nothing; earlier files store the weight of the triplet loss here."""

    def get_config(self) -> dict[str, Any]:
        """Return the settings of the architecture, each by its name."""
        return {**super().get_config(), **asdict(self.architecture)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> ByteCover:
        """Return a model of new weights.

        Settings that an older file lacks get their defaults. Older files also name the
        losses, which are ignored.
        """
        own = {name: config[name] for name in ("name", "trainable", "dtype")}
        return cls(take(Architecture, config), **own)
