"""Training of an embedding network by an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import keras
from keras import ops

from bytecover_tf.layers.collective import agree_on_finite, gather, share_of_mean
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.losses.contrastive import contrastive, supervised_contrastive
from bytecover_tf.losses.distance_distillation import distance_distillation
from bytecover_tf.losses.distillation import distillation
from bytecover_tf.losses.normalized_softmax import cosine_logits
from bytecover_tf.losses.triplet import batch_hard_triplet
from bytecover_tf.losses.windows import window_similarities
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.objective import Objective


@keras.saving.register_keras_serializable(package="bytecover_tf")
class Learner(keras.Model):
    """Trains a network, with a classifier of works where the objective needs one.

    Args:
        network: what is trained.
        objective: the losses; by default the paper's.
        num_works: classes of the classifier; None if there is none, because a
            contrastive loss needs no classifier.
        teacher: a trained model, neither trained nor saved. If the objective teaches
            `scores`, it has `salience` and the same `dim`: telling tunes apart by
            scores is easy to learn, and a model that has learned it can show another
            where to embed recordings. So its embedding of a score becomes the target
            for the recording. If the objective teaches `distances`, it reads the same
            features, and how far apart it holds two recordings is what is learned. One
            that teaches `wholes` is not asked: batches hold what it has embedded.
        **kwargs: as for any Keras model.

    Input:
        features `(batch, bins, frames, 1)`, or a dictionary of these `features`, the
        `score` of what is played, `(batch, bins, frames, 2)` as `Salience` should
        return it, and `given`, booleans (batch,): recordings of which the backbone
        reads the score itself. A salience layer then learns from the score, and the
        backbone has notes to learn from before the layer hears any. Or a dictionary of
        `notes`, `(batch, semitones, frames, 2)`, which the backbone reads as if they
        had just been heard. To learn from `wholes`, further the `target` of each crop,
        (batch, dim).

    Output:
        that of the network, with scores the logits that the salience layer `heard`,
        and in training by windows the f_c of these `windows`, (batch, windows, dim).

    Raises:
        ValueError: a teacher of scores embeds in another number of values.

    Example:
        >>> from bytecover_tf import ByteCover
        >>> from bytecover_tf.models.architecture import Architecture
        >>> network = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
        >>> learner = Learner(network, num_works=2)
        >>> learner.compile("adam", jit_compile=False)
        >>> features = keras.random.uniform((4, 84, 20, 1))
        >>> history = learner.fit(features, ops.arange(4) // 2, verbose=0).history
        >>> sorted(history)
        ['accuracy', 'classification', 'loss', 'triplet']
    """

    def __init__(
        self,
        network: ByteCover,
        objective: Objective | None = None,
        num_works: int | None = None,
        teacher: ByteCover | None = None,
        **kwargs: Any,
    ) -> None:
        # Under mixed precision, Keras scales the loss by the policy of this model.
        super().__init__(**{"dtype": network.dtype_policy, **kwargs})
        self.objective = objective = objective or Objective()
        # Keep the teacher's methods, not the model: Keras would train and save the
        # model.
        self._embed_score = self._embed_taught = None
        if teacher is not None and objective.teaching == "scores":
            if teacher.dim != network.dim:
                raise ValueError(
                    f"the teacher embeds in {teacher.dim} values, "
                    f"the network in {network.dim}"
                )
            self._embed_score = teacher.embed_notes
        elif teacher is not None and objective.teaching == "distances":
            self._embed_taught = partial(teacher.__call__, training=False)
        self.network = network
        self.num_works = num_works
        by_the_paper = num_works is not None and objective.temperature is None
        if objective.classifier == "cosine":
            # Only the directions of a normalised softmax's weights count, and a step
            # turns a vector by the more the shorter it is.
            spread = 1.0
        elif network.neck is not None:
            spread = 0.001  # "bag of tricks", whose BNNeck gives f_c unit variance
        else:
            # As PyTorch's dense layer. Nearer to zero, it hardly moves a ResNet, whose
            # last ReLU may even die.
            spread = (3 * network.dim) ** -0.5
        self.classifier = (
            keras.layers.Dense(
                num_works,
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=spread),
                name="classifier",
                dtype="float32",
            )
            if by_the_paper and objective.classification
            else None
        )
        # 1 in the paper; the triplet loss may join later.
        self.triplet_weight = (
            self.add_weight(
                name="triplet_weight", shape=(), initializer="ones", trainable=False
            )
            if by_the_paper and objective.margin is not None
            else None
        )
        names = self._names_of_losses(is_taught=teacher is not None)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        if objective.teaching == "wholes" and network.salience is not None:
            # No score tells it which notes sound, so it keeps what it has learned.
            network.salience.trainable = False

    def _names_of_losses(self, is_taught: bool) -> list[str]:
        objective = self.objective
        if objective.teaching == "wholes":
            return ["loss", "distillation"]
        names = ["loss"]
        if objective.temperature is None:
            names += ["classification", "accuracy"] if objective.classification else []
            names += ["triplet"]
        else:
            names += ["contrastive"]
            names += ["windows"] if objective.windows > 1 else []
        if self.network.salience is not None:
            names += ["hearing"]
        if is_taught:
            names += ["distillation"]
        return names

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running means that `fit` shows and resets."""
        return list(self.trackers.values())

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        if isinstance(input_shape, dict):
            input_shape = input_shape["features"]
        if not self.network.built:
            self.network.build(input_shape)
        if self.classifier is not None:
            self.classifier.build((None, self.network.dim))

    def call(self, inputs: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Return the network's output."""
        adapts = training and not self.objective.keep_statistics
        windows = self.objective.windows if training else 1
        read_notes = partial(self.network.embed_notes, training=adapts)
        if isinstance(inputs, dict) and "notes" in inputs:
            return self._embed(read_notes, inputs["notes"], windows)
        features = inputs["features"] if isinstance(inputs, dict) else inputs
        reads_scores = isinstance(inputs, dict) and "score" in inputs
        if not reads_scores or self.network.salience is None:
            read_features = partial(self.network.__call__, training=adapts)
            return self._embed(read_features, features, windows)
        heard = self.network.hear(features, adapts, logits=True)
        given = inputs["given"][:, None, None, None]
        notes = ops.where(
            given, ops.cast(inputs["score"], heard.dtype), ops.sigmoid(heard)
        )
        return {**self._embed(read_notes, notes, windows), "heard": heard}

    def _embed(
        self, embed: Callable[[Tensor], dict[str, Tensor]], x: Tensor, count: int
    ) -> dict[str, Tensor]:
        """Embed crops, and so many windows of each too if there are several."""
        whole = embed(x)
        if count == 1:
            return whole
        _, bins, _, channels = x.shape
        length = ops.shape(x)[2] // count
        parts = ops.reshape(
            x[:, :, : count * length], (-1, bins, count, length, channels)
        )
        parts = ops.reshape(
            ops.transpose(parts, (0, 2, 1, 3, 4)), (-1, bins, length, channels)
        )
        f_c = embed(parts)["f_c"]
        return {**whole, "windows": ops.reshape(f_c, (-1, count, self.network.dim))}

    def compute_output_shape(self, input_shape: Any) -> dict[str, Any]:
        """Return the shapes of f_t and f_c."""
        return self.network.compute_output_shape(input_shape)

    # -- losses -----------------------------------------------------------------

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Return the sum of the losses and record each.

        Args:
            x: what `call` was given; read only for the score.
            y: integer label of each recording's work, (batch,).
            y_pred: what `call` returned.
            sample_weight: not used.
            training: not used.

        Raises:
            ValueError: there is neither a classifier nor a contrastive loss, or a
                teacher but no score.
        """
        y = ops.reshape(y, (-1,))
        if self.objective.teaching == "wholes":
            loss = self._distilled(y, y_pred, x["target"])
        elif self.objective.temperature is not None:
            loss = self._contrastive_losses(y, y_pred, self.objective.temperature)
        else:
            loss = self._paper_losses(y, y_pred)
        if "heard" in y_pred:
            hearing = self._hearing_loss(x["score"], y_pred["heard"])
            self.trackers["hearing"].update_state(hearing)
            loss = loss + hearing
        if self._embed_score is not None:
            if not isinstance(x, dict):
                raise ValueError("a teacher needs batches with scores")
            target = ops.stop_gradient(self._embed_score(x["score"])["f_c"])
            loss = loss + self._distilled(y, y_pred, target)
        if self._embed_taught is not None:
            features = x["features"] if isinstance(x, dict) else x
            target = ops.stop_gradient(self._embed_taught(features)["f_t"])
            ours, _ = self._candidates(y_pred["f_t"], y)
            theirs, _ = self._candidates(target, y)
            distilled = distance_distillation(ours, theirs)
            self.trackers["distillation"].update_state(distilled)
            loss = loss + distilled
        self.trackers["loss"].update_state(loss)
        return loss

    def _distilled(self, y: Tensor, y_pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss of embedding where a teacher does."""
        ours, works = self._candidates(y_pred["f_c"], y)
        theirs, _ = self._candidates(target, y)
        loss = distillation(ours, theirs, works)
        self.trackers["distillation"].update_state(loss)
        return loss

    def _contrastive_losses(
        self, y: Tensor, y_pred: Tensor, temperature: float
    ) -> Tensor:
        """Return the contrastive loss of recordings, and that of their windows."""
        loss = supervised_contrastive(*self._candidates(y_pred["f_c"], y), temperature)
        self.trackers["contrastive"].update_state(loss)
        if "windows" in y_pred:
            windows, works = self._candidates(y_pred["windows"], y)
            # Gathered from several replicas, they have no static shape.
            shape = (-1, self.objective.windows, self.network.dim)
            alike = window_similarities(ops.reshape(windows, shape), works)
            by_windows = contrastive(alike, works, temperature)
            self.trackers["windows"].update_state(by_windows)
            loss = loss + by_windows
        return loss

    def _paper_losses(self, y: Tensor, y_pred: Tensor) -> Tensor:
        """Return classification on f_c plus triplet on f_t (paper, equation 2)."""
        if self.num_works is None:
            raise ValueError(
                "Training needs to know the works. "
                "Received: num_works=None at construction"
            )
        triplet, loss = ops.zeros(()), ops.zeros(())
        if self.classifier is not None:
            logits = (
                cosine_logits(y_pred["f_c"], self.classifier.kernel)
                if self.objective.classifier == "cosine"
                else self.classifier(y_pred["f_c"])
            )
            loss = self._classification_loss(y, logits)
        if self.objective.margin is not None:
            triplet = batch_hard_triplet(
                *self._candidates(y_pred["f_t"], y),
                self.objective.margin,
                self.objective.distance,
            )
            loss = loss + self.triplet_weight * triplet
        self.trackers["triplet"].update_state(triplet)
        return loss

    def _classification_loss(self, y: Tensor, logits: Tensor) -> Tensor:
        loss = ops.mean(
            ops.categorical_crossentropy(
                self._targets(y, logits), logits, from_logits=True
            )
        )
        hits = ops.equal(ops.cast(ops.argmax(logits, axis=1), y.dtype), y)
        self.trackers["classification"].update_state(loss)
        self.trackers["accuracy"].update_state(ops.cast(hits, "float32"))
        return loss

    def _candidates(self, embeddings: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings and works that a loss takes its pairs from."""
        if self.objective.mining == "replica":
            return embeddings, y
        return gather(embeddings), gather(y)

    def _hearing_loss(self, score: Tensor, heard: Tensor) -> Tensor:
        """Return the cross-entropy of a frame's notes, summed over its pitches."""
        logits, score = ops.cast(heard, "float32"), ops.cast(score, "float32")
        each = ops.softplus(logits) - score * logits
        return ops.mean(ops.sum(each, axis=(1, 3)))

    def _targets(self, y: Tensor, logits: Tensor) -> Tensor:
        smoothing = self.objective.label_smoothing
        one_hot = ops.one_hot(y, logits.shape[-1], dtype=logits.dtype)
        return (1.0 - smoothing) * one_hot + smoothing / logits.shape[-1]

    # -- steps ------------------------------------------------------------------

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

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Create the weights of a model that is loaded.

        Keras's own method warns of any error and leaves the model without weights.
        """
        self.build(config["input_shape"])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the teacher excepted."""
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "objective": asdict(self.objective),
            "num_works": self.num_works,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: Any = None,
        teacher: ByteCover | None = None,
    ) -> Learner:
        """Return a model of new weights."""
        network = keras.saving.deserialize_keras_object(config["network"])
        objective = Objective(**config["objective"])
        given = {**config, "network": network, "objective": objective}
        return cls(**given, teacher=teacher)
