"""The losses that train a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bytecover_tf.errors import ConfigError
from bytecover_tf.settings import (
    check_choices,
    check_not_negative,
    check_positive,
    check_probabilities,
)


@dataclass(frozen=True)
class Objective:
    """The losses of a training; the defaults are the paper's.

    Training minimises `CE(softmax(W f_c), work) + [d_p - d_n + margin]_+`, the second
    term on f_t (paper, equations 2 and 3).

    Attributes:
        temperature: of a supervised contrastive loss on f_c that replaces the paper's
            two losses; None to use the paper's.
        windows: how many windows of equal length a crop is cut into. From 2 on, a
            second contrastive loss compares recordings by their windows, so that clips
            are found as well.
        mining: where the pairs of the triplet or contrastive loss come from when a
            batch is spread over several devices: `global`, the whole batch, or
            `replica`, each device's share alone.
        classification: False trains by the triplet loss alone.
        margin: margin of the triplet loss, or None for classification alone.
        distance: of the triplet loss: `euclidean`, or `squared` as MOVE's.
        label_smoothing: share of the target spread over all works.
        classifier: `linear`, the paper's, or `cosine` for a normalised softmax.
        teaching: what a teacher shows: where to embed the `scores` of recordings; the
            `distances` between recordings, in a space of any size; or where to embed
            the `wholes` of which crops are seen. The last replaces all other losses.
        reconfigure: whether to start from the teacher's weights, but for the last
            linear layer, which makes a space of another size.
        keep_statistics: whether batch normalisation keeps the means and variances that
            it has, so that training on from a trained encoder changes it gently.

    Raises:
        ConfigError: a value is impossible, or no loss is left.
    """

    temperature: float | None = None
    windows: int = 1
    mining: Literal["global", "replica"] = "global"
    classification: bool = True
    margin: float | None = 0.3
    distance: Literal["euclidean", "squared"] = "euclidean"
    label_smoothing: float = 0.0
    classifier: Literal["linear", "cosine"] = "linear"
    teaching: Literal["scores", "distances", "wholes"] = "scores"
    reconfigure: bool = False
    keep_statistics: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "windows")
        check_probabilities(self, "", "label_smoothing")
        if self.temperature is not None:
            check_positive(self, "temperature")
        if self.margin is not None:
            check_not_negative(self, "", "margin")
        if self.windows > 1 and self.temperature is None:
            raise ConfigError("windows need a temperature: the contrastive loss")
        if self.windows > 1 and self.teaching == "wholes":
            raise ConfigError("teaching=wholes compares no windows; add windows=1")
        if self.reconfigure and self.teaching != "distances":
            raise ConfigError("reconfigure needs teaching=distances")
        if not self.classification and self.margin is None and self.temperature is None:
            raise ConfigError(
                "classification=False needs a margin or a temperature to train by"
            )
