"""Training batches of crops, each with the embedding of its whole recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder, KerasNetwork
from bytecover_tf.errors import StoreError
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.training.batches import ALL_ROWS, Batches, Spec
from bytecover_tf.training.heard_batches import HeardBatches
from bytecover_tf.training.measuring import usual_length
from bytecover_tf.training.sampler import PKSampler


@dataclass(frozen=True)
class TaughtBatches:
    """Adds to each crop where its recording is to be embedded.

    Attributes:
        crops: makes the batches.
        targets: of each recording, float32 (recordings, dim).
    """

    crops: Batches
    targets: np.ndarray

    @property
    def sampler(self) -> PKSampler:
        """Chooses the recordings of a batch."""
        return self.crops.sampler

    @property
    def spec(self) -> Spec:
        """Shapes and types of a batch."""
        inputs, works = self.crops.spec
        target = (self.sampler.batch_size, self.targets.shape[1]), "float32"
        return {**_named(inputs), "target": target}, works

    def __call__(
        self, number: int, rows: slice = ALL_ROWS
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Return batch `number`, or some of its rows.

        Returns:
            What `crops` returns by name, with `target`, float32 (batch, dim); and int32
            works (batch,).
        """
        inputs, works = self.crops(number, rows)
        target = self.targets[self.sampler.batch(number)[rows]]
        return {**_named(inputs), "target": target}, works


def taught(
    crops: Batches, teacher: ByteCover, tracks: Sequence[Track], store: FeatureStore
) -> TaughtBatches:
    """Return batches with where a teacher embeds the whole of each crop.

    Args:
        crops: batches of crops of the tracks.
        teacher: reads what the crops are cut from.
        tracks: the recordings, in the order of their indices.
        store: holds their features.

    Raises:
        StoreError: a recording cannot be embedded.
    """
    if isinstance(crops, HeardBatches):
        return TaughtBatches(crops, embed_heard(teacher, crops.notes))
    return TaughtBatches(crops, embed_wholes(teacher, tracks, store))


def embed_wholes(
    teacher: ByteCover, tracks: Sequence[Track], store: FeatureStore
) -> np.ndarray:
    """Return a teacher's embeddings of whole recordings, and show progress.

    Args:
        teacher: reads the features in the store.
        tracks: the recordings.
        store: holds their features.

    Returns:
        float32 (recordings, dim), unit norm.

    Raises:
        StoreError: a recording cannot be embedded.
    """
    encoder = Encoder(KerasNetwork(teacher, store.frontend))
    bar = progress_bar(tracks, unit="recording", desc="teach")
    wholes = (store.features(track.path) for track in bar)
    features = (array[:, : usual_length(array.shape[1])] for array in wholes)
    found = encoder.try_features(features, [track.id for track in tracks])
    for reason in found.errors.values():
        raise StoreError(f"{store.path}: {reason}")
    return found.vectors


def embed_heard(teacher: ByteCover, notes: Sequence[np.ndarray]) -> np.ndarray:
    """Return a teacher's embeddings of what was heard in whole recordings.

    Args:
        teacher: reads heard notes.
        notes: of each recording, as `heard_notes` returns them.

    Returns:
        float32 (recordings, dim).
    """
    found = []
    for each in progress_bar(notes, unit="recording", desc="teach"):
        heard = each[: usual_length(len(each))].transpose(1, 0, 2) / np.float32(255)
        found.append(ops.convert_to_numpy(teacher.embed_notes(heard[None])["f_c"])[0])
    return np.stack(found)


def _named(inputs: Any) -> dict[str, Any]:
    return inputs if isinstance(inputs, dict) else {"features": inputs}
