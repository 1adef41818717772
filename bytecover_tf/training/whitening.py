"""An encoder whitened on a data set's train split, and measured before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.leakage import check_leakage
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.encoders.model_file import encoder_file, load_single, save_model
from bytecover_tf.encoders.runtimes import KerasNetwork
from bytecover_tf.encoders.whitening import (
    check_network,
    check_shrinkage,
    discriminants,
    whitened,
)
from bytecover_tf.errors import ConfigError
from bytecover_tf.evaluation.protocol import (
    Figures,
    check_measurable,
    check_unseen,
    choose_split,
    embedded_tracks,
    evaluate_tracks,
)
from bytecover_tf.files import JsonObject
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import FeatureStore

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Whitened:
    """An encoder with a linear map at its end.

    Attributes:
        model: the network, the map included.
        frontend: parameters of the features that it reads.
        facts: facts about it, as `save_model` takes them.
        before: metrics of the validation split without the map.
        after: the same with it.
        skipped: number of recordings of either split that could not be embedded.
    """

    model: ByteCover
    frontend: Frontend
    facts: JsonObject
    before: Figures
    after: Figures
    skipped: int

    def save(self, path: Path) -> None:
        """Write the encoder into a `.keras` file."""
        save_model(self.model, path, self.frontend, self.facts)


class Whitening:
    """What is to be whitened, checked before any recording is read.

    Args:
        encoder: the name of an encoder, a run directory or a `.keras` file.
        dim: how many values of an embedding to keep, the best; None for all.
        shrinkage: see `discriminants`.

    Raises:
        ConfigError: `dim` or `shrinkage` is out of range.
        EncoderError: the encoder cannot be read, or cannot be whitened.
    """

    def __init__(self, encoder: str, dim: int | None, shrinkage: float) -> None:
        check_shrinkage(shrinkage)
        self.model, self.info = load_single(encoder_file(encoder))
        check_network(self.model)
        if dim is not None and not 1 <= dim <= self.model.dim:
            raise ConfigError(f"--dim must be 1 to {self.model.dim}, not {dim}")
        self.frontend = Frontend.from_dict(self.info["frontend"])
        self.dim = dim
        self.shrinkage = shrinkage

    def fit(self, data: str, tracks: Sequence[Track], store: FeatureStore) -> Whitened:
        """Fit the map on the train split, and measure it on the validation split.

        Args:
            data: name of the data set.
            tracks: its recordings of both splits.
            store: their features.

        Raises:
            DataError: a split is empty, the encoder was trained on the validation
                split, both have a work or a recording in common, fewer than two works
                of the train split have versions, or none of the validation split.
        """
        train, validation = (choose_split(tracks, split) for split in SPLITS)
        before = Encoder(KerasNetwork(self.model, self.frontend), self.info)
        content = store.content(track.path for track in (*train, *validation))
        check_unseen(before, data, validation, content)
        leak = check_leakage(train, validation, content)
        leak.raise_if_any("train", "validation")
        check_measurable(validation)
        with progress_bar(train, unit="recording", desc="embed") as bar:
            features = (store.features(track.path) for track in bar)
            found = before.try_features(features, [track.path for track in train])
        embedded, vectors = embedded_tracks(train, found)
        works = [track.work for track in embedded]
        matrix = discriminants(vectors, works, self.shrinkage)
        model = whitened(self.model, matrix[:, : self.dim])
        after = Encoder(KerasNetwork(model, self.frontend))
        first = evaluate_tracks(before, validation, store)
        known = {track.id for track in (*first.queries, *first.references)}
        measured = [track for track in validation if track.id in known]
        second = evaluate_tracks(after, measured, store)
        facts = {
            **self.info,
            "config": {**self.info.get("config", {}), "embedding_dim": model.dim},
            "validation": second.metrics,
            "trained_on": Provenance.of(data, train, store)
            .merge(Provenance.recorded_in(self.info))
            .to_dict(),
            "whitening": {
                "data": data,
                "recordings": len(embedded),
                "shrinkage": self.shrinkage,
            },
        }
        skipped = len(train) - len(embedded) + len(validation) - len(measured)
        figures = (first.metrics, second.metrics)
        return Whitened(model, self.frontend, facts, *figures, skipped)
