"""The model of the paper: backbone, pooling, BNNeck and the two losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
from keras import ops

from bytecover_tf.audio.chroma import PITCH_CLASSES
from bytecover_tf.layers.bnneck import BNNeck
from bytecover_tf.layers.collective import agree_on_finite, gather, share_of_mean
from bytecover_tf.layers.gem import GeM
from bytecover_tf.layers.registers import Registers
from bytecover_tf.layers.ring import fold_octaves
from bytecover_tf.layers.salience import Salience
from bytecover_tf.losses.contrastive import supervised_contrastive
from bytecover_tf.losses.distillation import distillation
from bytecover_tf.losses.triplet import batch_hard_triplet
from bytecover_tf.models.cqtnet import CQTNet
from bytecover_tf.models.kicnn import KiCNN
from bytecover_tf.models.move import MOVE
from bytecover_tf.models.resnet_ibn import ResNetIBN
from bytecover_tf.models.tppnet import TPPNet

OTHER_NETWORKS = {"cqtnet": CQTNet, "kicnn": KiCNN, "move": MOVE, "tppnet": TPPNet}
"""What the paper compares itself with: from features to embeddings, (batch, dim)."""

# What makes an embedding, in order.
PARTS = ("salience", "backbone", "pool", "projection", "neck")


@keras.saving.register_keras_serializable(package="bytecover_tf")
class ByteCover(keras.Model):
    """Embeds recordings so that versions of one work lie close in cosine distance.

    Training minimises `CE(softmax(W f_c), work) + [d_p - d_n + margin]_+`, the
    second term on f_t (paper, equations 2 and 3). Each rung of the paper's
    ablation (table 3) is a choice of arguments; so is each network of table 1, which
    then makes f_t in place of backbone, pooling and projection.

    Args:
        num_works: classes of the classifier; None leaves it out, which is enough
            to embed.
        blocks: bottlenecks in each stage of the backbone.
        width: channels of the backbone's stem, or of another network's first layer.
        ibn: False gives the plain ResNet.
        pooling: `gem`, or `average` over the map.
        bnneck: False makes f_c the same vector as f_t.
        embedding_dim: size of f_t and f_c after a dense projection; None keeps
            the backbone's `32 * width` (paper, table 2), or the size that another
            network has as published.
        margin: margin of the triplet loss; None trains by classification alone.
        label_smoothing: share of the target spread over all works.
        input_power: exponent applied to the features; 0.5 compresses loud bins,
            1 is the paper's plain amplitude.
        salience: channels of a `Salience` layer before the backbone, which then reads
            the notes that the layer hears; None, as in the paper, for none.
        pitch_classes: whether the backbone reads the 12 pitch classes on a ring, the
            octaves laid upon each other, in place of the paper's 84 bins. What it
            embeds is then the same in every key.
        registers: number of registers into which a `Registers` layer folds the
            features before the backbone reads them: `pitch_classes` without a note
            layer; None for none.
        temperature: of a supervised contrastive loss on f_c that takes the place of
            both losses of the paper; None for the paper's.
        mining: where the pairs of the triplet or contrastive loss come from when a
            batch is spread over several replicas: `global`, the whole batch, or
            `replica`, each replica's share alone.
        network: `resnet`, or one of `OTHER_NETWORKS`, for which `blocks`, `ibn` and
            `pooling` mean nothing.
        classification: False trains by the triplet loss alone.
        distil: True adds a loss of embedding recordings where another model embeds
            their scores, see `learn_from`.
        **kwargs: as for any Keras model.

    Input shape:
        `(batch, bins, frames, 1)`, any number of frames from 1. In training, a model
        with `salience` also takes a dictionary of these `features`, the `score` of
        what is played, `(batch, bins, frames, 2)` as `Salience` should return it, and
        `given`, booleans (batch,): recordings of which the backbone reads the score
        itself. The layer then learns from the score, and the backbone has notes to
        learn from before the layer hears any.

    Output:
        `{"f_t": (batch, dim), "f_c": (batch, dim)}` in float32. Compare
        recordings by the cosine of f_c.

    Example:
        >>> model = ByteCover(num_works=10, blocks=(1, 1, 1, 1), width=8)
        >>> model(keras.random.uniform((2, 84, 40, 1)))["f_c"].shape
        TensorShape([2, 256])
    """

    def __init__(
        self,
        num_works: int | None = None,
        blocks: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        ibn: bool = True,
        pooling: Literal["gem", "average"] = "gem",
        bnneck: bool = True,
        embedding_dim: int | None = None,
        margin: float | None = 0.3,
        label_smoothing: float = 0.0,
        input_power: float = 1.0,
        salience: int | None = None,
        pitch_classes: bool = False,
        registers: int | None = None,
        temperature: float | None = None,
        mining: Literal["global", "replica"] = "global",
        network: Literal["resnet", "cqtnet", "kicnn", "move", "tppnet"] = "resnet",
        classification: bool = True,
        distil: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if pooling not in ("gem", "average"):
            raise ValueError(
                f"`pooling` must be 'gem' or 'average'. Received: pooling={pooling}"
            )
        if mining not in ("global", "replica"):
            raise ValueError(
                f"`mining` must be 'global' or 'replica'. Received: mining={mining}"
            )
        if network not in ("resnet", *OTHER_NETWORKS):
            raise ValueError(
                "`network` must be 'resnet' or one of "
                f"{sorted(OTHER_NETWORKS)}. Received: network={network}"
            )
        if not classification and margin is None and temperature is None:
            raise ValueError(
                "Without `classification` a model needs `margin` or `temperature`. "
                "Received: neither"
            )
        if registers is not None and (not pitch_classes or salience is not None):
            raise ValueError(
                "`registers` needs `pitch_classes`, and no `salience`. Received: "
                f"registers={registers}, pitch_classes={pitch_classes}, "
                f"salience={salience}"
            )
        if not input_power > 0:
            raise ValueError(
                f"`input_power` must be positive. Received: input_power={input_power}"
            )
        self.num_works = num_works
        self.blocks = tuple(blocks)
        self.width = width
        self.ibn = ibn
        self.pooling = pooling
        self.bnneck = bnneck
        self.embedding_dim = embedding_dim
        self.margin = margin
        self.label_smoothing = label_smoothing
        self.input_power = input_power
        self.pitch_classes = pitch_classes
        self.temperature = temperature
        self.mining = mining
        self.network = network
        self.classification = classification
        self.distil = distil
        self._teacher: Callable[[Any], Any] | None = None

        self.salience = (
            None
            if salience is None
            else Salience(salience, name="salience", dtype=self.dtype_policy)
        )
        # It has no weights, and sums over whole recordings overflow float16.
        self.registers = (
            None
            if registers is None
            else Registers(registers, name="registers", dtype="float32")
        )
        policy = {"name": "backbone", "dtype": self.dtype_policy}
        self.backbone: keras.layers.Layer
        # Other networks have their own.
        self.pool: keras.layers.Layer = None
        self.projection: keras.layers.Layer = None
        if network == "resnet":
            self.backbone = ResNetIBN(blocks, width, ibn, pitch_classes, **policy)
            # All that follows the backbone is small and is kept in float32.
            self.pool = (
                GeM(name="pool", dtype="float32")
                if pooling == "gem"
                else keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")
            )
            if embedding_dim is not None:
                self.projection = keras.layers.Dense(
                    embedding_dim, name="projection", dtype="float32"
                )
        else:
            size = {} if embedding_dim is None else {"dim": embedding_dim}
            self.backbone = OTHER_NETWORKS[network](width, **size, **policy)
        self.neck = BNNeck(name="neck") if bnneck else None
        self.classifier = (
            None
            if num_works is None or temperature is not None or not classification
            else keras.layers.Dense(
                num_works,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
                name="classifier",
                dtype="float32",
            )
        )
        # 1 in the paper; a trainer may let the triplet loss join later.
        self.triplet_weight = (
            None
            if margin is None or num_works is None or temperature is not None
            else self.add_weight(
                name="triplet_weight", shape=(), initializer="ones", trainable=False
            )
        )
        names = ["loss"]
        if temperature is None:
            names += ["classification", "accuracy"] if classification else []
            names += ["triplet"]
        else:
            names += ["contrastive"]
        if salience is not None:
            names += ["hearing"]
        if distil:
            names += ["distillation"]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}

    @property
    def dim(self) -> int:
        """Size of an embedding."""
        if self.network != "resnet":
            return self.backbone.dim
        return self.embedding_dim or 32 * self.width

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        if isinstance(input_shape, dict):
            input_shape = input_shape["features"]
        if self.salience is not None:
            self.salience.build(input_shape)
            input_shape = self.salience.compute_output_shape(input_shape)
        if self.registers is not None:
            self.registers.build(input_shape)
            input_shape = self.registers.compute_output_shape(input_shape)
        elif self.pitch_classes:
            batch, _, *rest = input_shape
            input_shape = (batch, PITCH_CLASSES, *rest)
        self.backbone.build(input_shape)
        features = self.backbone.compute_output_shape(input_shape)
        if self.pool is not None:
            self.pool.build(features)
        if self.projection is not None:
            self.projection.build((None, features[-1]))
        if self.neck is not None:
            self.neck.build((None, self.dim))
        if self.classifier is not None:
            self.classifier.build((None, self.dim))

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        """Return f_t and f_c of each recording."""
        outputs = {}
        x = inputs["features"] if isinstance(inputs, dict) else inputs
        x = self._compress(x)
        if self.salience is not None:
            x = self.salience(x, training=training, logits=True)
            if isinstance(inputs, dict):
                outputs["heard"] = x
            x = ops.sigmoid(x)
            if isinstance(inputs, dict):
                given = inputs["given"][:, None, None, None]
                x = ops.where(given, ops.cast(inputs["score"], x.dtype), x)
        if self.registers is not None:
            x = self.registers(x)
        elif self.pitch_classes:
            x = fold_octaves(x)
        return {**self._embed(x, training), **outputs}

    def hear(self, features: Any) -> Any:
        """Return what the layer in front hears: shares of the frames, 0 to 1.

        Args:
            features: `(batch, bins, frames, 1)`. The model must have `salience`.

        Returns:
            `(batch, bins, frames, 2)`: the melody and all notes.

        Raises:
            ValueError: the model has no `salience`.
        """
        if self.salience is None:
            raise ValueError("a model without `salience` hears no notes")
        return self.salience(self._compress(features), training=False)

    def embed_score(self, score: Any) -> Any:
        """Return f_c of a score, as if its notes were heard without a mistake.

        Args:
            score: `(batch, bins, frames, 2)`, as in training. The model must have
                `salience`.
        """
        x = fold_octaves(score) if self.pitch_classes else score
        return self._embed(x, training=False)["f_c"]

    def _compress(self, features: Any) -> Any:
        power = self.input_power
        return features if power == 1 else ops.power(features, power)

    def _embed(self, x: Any, training: bool | None) -> dict[str, Any]:
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

    # -- training ---------------------------------------------------------------

    def learn_from(self, teacher: ByteCover) -> None:
        """Set the teacher, whose embedding of a score is the target for a recording.

        Telling tunes apart by scores is easy to learn. A model that has learned it can
        show another where to embed recordings. The model must have been made with
        `distil`.

        Args:
            teacher: a trained model with `salience` and of the same `dim`; it is
                neither trained nor saved with this one.

        Raises:
            ValueError: the teacher embeds in another number of values.
        """
        if teacher.dim != self.dim:
            raise ValueError(
                f"the teacher embeds in {teacher.dim} values, this model in {self.dim}"
            )
        # Its method, as Keras would train and save a model.
        self._teacher = teacher.embed_score

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means that `fit` shows and resets."""
        return list(self.trackers.values())

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the sum of the losses and record each.

        Args:
            x: what `call` was given; read only for the score.
            y: integer label of each recording's work, (batch,).
            y_pred: what `call` returned.
            sample_weight: not used.
            training: not used.

        Raises:
            ValueError: the model has neither a classifier nor a contrastive loss.
        """
        y = ops.reshape(y, (-1,))
        if self.temperature is not None:
            loss = supervised_contrastive(
                *self._candidates(y_pred["f_c"], y), self.temperature
            )
            self.trackers["contrastive"].update_state(loss)
        else:
            loss = self._paper_losses(y, y_pred)
        if "heard" in y_pred:
            hearing = self._hearing_loss(x["score"], y_pred["heard"])
            self.trackers["hearing"].update_state(hearing)
            loss = loss + hearing
        if self.distil:
            distilled = self._distillation_loss(x, y, y_pred["f_c"])
            self.trackers["distillation"].update_state(distilled)
            loss = loss + distilled
        self.trackers["loss"].update_state(loss)
        return loss

    def _paper_losses(self, y: Any, y_pred: Any) -> Any:
        """Return classification on f_c plus triplet on f_t (paper, equation 2)."""
        if self.num_works is None:
            raise ValueError(
                "Training needs to know the works. "
                "Received: num_works=None at construction"
            )
        triplet, loss = ops.zeros(()), ops.zeros(())
        if self.classifier is not None:
            loss = self._classification_loss(y, self.classifier(y_pred["f_c"]))
        if self.margin is not None:
            triplet = batch_hard_triplet(
                *self._candidates(y_pred["f_t"], y), self.margin
            )
            loss = loss + self.triplet_weight * triplet
        self.trackers["triplet"].update_state(triplet)
        return loss

    def _classification_loss(self, y: Any, logits: Any) -> Any:
        loss = ops.mean(
            ops.categorical_crossentropy(
                self._targets(y, logits), logits, from_logits=True
            )
        )
        hits = ops.equal(ops.cast(ops.argmax(logits, axis=1), y.dtype), y)
        self.trackers["classification"].update_state(loss)
        self.trackers["accuracy"].update_state(ops.cast(hits, "float32"))
        return loss

    def _candidates(self, embeddings: Any, y: Any) -> tuple[Any, Any]:
        """Return the embeddings and works that a loss takes its pairs from."""
        if self.mining == "replica":
            return embeddings, y
        return gather(embeddings), gather(y)

    def _hearing_loss(self, score: Any, heard: Any) -> Any:
        """Return the cross-entropy of a frame's notes, summed over its pitches."""
        logits, score = ops.cast(heard, "float32"), ops.cast(score, "float32")
        each = ops.softplus(logits) - score * logits
        return ops.mean(ops.sum(each, axis=(1, 3)))

    def _distillation_loss(self, x: Any, y: Any, f_c: Any) -> Any:
        """Return how far a replica's embeddings are from those of the teacher."""
        if self._teacher is None or not isinstance(x, dict):
            raise ValueError(
                "`distil` needs a teacher, see `learn_from`, and batches with scores"
            )
        return distillation(f_c, ops.stop_gradient(self._teacher(x["score"])), y)

    def _targets(self, y: Any, logits: Any) -> Any:
        one_hot = ops.one_hot(y, logits.shape[-1], dtype=logits.dtype)
        share = self.label_smoothing / logits.shape[-1]
        return (1.0 - self.label_smoothing) * one_hot + share

    def train_step(self, *args: Any) -> Any:
        """Take one optimiser step on a batch.

        TensorFlow passes `(features, works)`; other backends pass their state as
        well and are served by Keras's own step, which calls `compute_loss` too.
        """
        if keras.backend.backend() != "tensorflow":
            return super().train_step(*args)
        import tensorflow as tf

        features, works, _ = keras.utils.unpack_x_y_sample_weight(*args)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(
                x=features,
                y=works,
                y_pred=self(features, training=True),
                training=True,
            )
            # Under mixed precision, small float16 gradients would vanish.
            scaled = self.optimizer.scale_loss(share_of_mean(loss))
        gradients = tape.gradient(scaled, self.trainable_weights)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients = agree_on_finite(gradients)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_weights, strict=True)
        )
        return self.get_metrics_result()

    # -- persistence ------------------------------------------------------------

    def encoder(self, earlier: ByteCover | None = None) -> ByteCover:
        """Return a float32 copy without the classifier, with weights of its own.

        Args:
            earlier: such a copy, to bring up to date instead of making a new one.
        """
        copy = earlier or self.without_classifier()
        kept = {self._relative(variable): variable for variable in self.variables}
        for variable in copy.variables:
            # By way of NumPy: JAX would share the buffer, and training frees it.
            value = ops.convert_to_numpy(kept[copy._relative(variable)])
            variable.assign(value)
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

    def without_classifier(self, **changes: Any) -> ByteCover:
        """Return a float32 model for inference alone, with new weights.

        Args:
            **changes: to the constructor's arguments.
        """
        config = {**self.get_config(), "num_works": None, "dtype": "float32"}
        config |= {"temperature": None, "distil": False, **changes}
        copy = type(self).from_config(config)
        copy.build((None, 84, None, 1))
        return copy

    def _relative(self, variable: Any) -> str:
        """Name a variable independently of the model's own name."""
        return variable.path.removeprefix(self.name + "/")

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Create the weights of a model that is loaded.

        Keras's own method warns of any error and leaves the model without weights.
        """
        self.build(config["input_shape"])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_works": self.num_works,
            "blocks": self.blocks,
            "width": self.width,
            "ibn": self.ibn,
            "pooling": self.pooling,
            "bnneck": self.bnneck,
            "embedding_dim": self.embedding_dim,
            "margin": self.margin,
            "label_smoothing": self.label_smoothing,
            "input_power": self.input_power,
            "salience": None if self.salience is None else self.salience.filters,
            "pitch_classes": self.pitch_classes,
            "registers": None if self.registers is None else self.registers.count,
            "temperature": self.temperature,
            "mining": self.mining,
            "network": self.network,
            "classification": self.classification,
            "distil": self.distil,
        }
