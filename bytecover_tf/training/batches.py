"""From recordings to training batches.

A batch, and each of its rows, is a pure function of its number, the seed and the
settings. So each replica can make its own share. tf.data runs that function ahead of
the training step in several threads; other backends can call it directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.errors import AudioError
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.training.augment import Augment, resize_frames, transpose
from bytecover_tf.training.sampler import PKSampler

if TYPE_CHECKING:
    import tensorflow as tf

Shape = tuple[int | None, ...]
# Shape and type of each array of a batch: the inputs (one array, or several by name)
# and the works.
Spec = tuple[tuple[Shape, str] | dict[str, tuple[Shape, str]], tuple[Shape, str]]

ALL_ROWS = slice(None)


class CropReader(Protocol):
    """Reads a random stretch of a recording."""

    def crop(self, index: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Return at most `frames` frames of recording `index`.

        Returns:
            (n, bins), or (n, bins, layers) of which the first are the features.
        """


class StoreReader:
    """Reads crops from a feature store.

    Args:
        store: holds the features of all tracks.
        tracks: the recordings, in the order of their indices.

    Raises:
        StoreError: the store lacks a track.
    """

    def __init__(self, store: FeatureStore, tracks: Sequence[Track]) -> None:
        self._store = store
        self._entries = [store.entry(track.path) for track in tracks]

    def crop(self, index: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Return a contiguous stretch, the whole recording if it is shorter."""
        entry = self._entries[index]
        start = int(rng.integers(max(entry.frames - frames, 0) + 1))
        return self._store.rows(entry, start, frames)


class WaveformReader:
    """Computes the features of a random stretch of audio, without any store.

    Each crop shows the transform's edge effects and has its own maximum. Every batch
    decodes again, so this is for small sets only.

    Args:
        frontend: makes the features.
        tracks: the recordings, in the order of their indices.
    """

    def __init__(self, frontend: Frontend, tracks: Sequence[Track]) -> None:
        self._frontend = frontend
        self._paths = [track.path for track in tracks]

    def crop(self, index: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Return the features of a stretch, the whole recording if it is shorter.

        Raises:
            AudioError: the file cannot be decoded.
        """
        from bytecover_tf.audio.decoding import load_audio

        path = self._paths[index]
        # Truncated files were accepted or refused when their features were extracted.
        samples = load_audio(path, self._frontend.sample_rate, allow_truncated=True)
        wanted = frames * self._frontend.pool * self._frontend.hop_length
        start = int(rng.integers(max(len(samples) - wanted, 0) + 1))
        try:
            crop = self._frontend.features(samples[start : start + wanted], path)
        except AudioError:  # a silent stretch of a recording that is not silent
            crop = self._frontend.features(samples, path)[:, :frames]
        return crop.T


@dataclass(frozen=True)
class CropBatches:
    """Makes training batches by number.

    Attributes:
        reader: where crops come from.
        works: integer label of each recording.
        sampler: chooses the recordings of a batch.
        crop_frames: lengths in frames; a batch has one of them, drawn evenly.
        augment: random changes.
        n_bins: height of the features.
        seed: seed of crops and changes.
    """

    reader: CropReader
    works: np.ndarray
    sampler: PKSampler
    crop_frames: tuple[int, ...]
    augment: Augment
    n_bins: int
    seed: int = 0

    @property
    def spec(self) -> Spec:
        """Shapes and types of a batch."""
        size = self.sampler.batch_size
        return ((size, self.n_bins, None, 1), "float32"), ((size,), "int32")

    def __call__(self, number: int, rows: slice = ALL_ROWS) -> tuple[Any, np.ndarray]:
        """Return batch `number`, or some of its rows.

        Returns:
            float32 features (batch, n_bins, frames, 1) and int32 works (batch,).
        """
        frames, _ = self._begin(number)
        return self._crops(number, rows, frames, self.augment)

    def _begin(self, number: int) -> tuple[int, np.random.Generator]:
        """Return the number of frames of a batch, and its random generator."""
        rng = np.random.default_rng([self.seed, 2, number])
        return int(rng.choice(self.crop_frames)), rng

    def _crops(
        self, number: int, rows: slice, frames: int, augment: Augment
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return float32 (batch, n_bins, frames, layers) and int32 works (batch,)."""
        indices = self.sampler.batch(number)[rows]
        draws = row_generators(self.seed, number, rows, self.sampler.batch_size)
        crops = [
            self._crop(int(index), frames, augment, draw)
            for index, draw in zip(indices, draws, strict=True)
        ]
        return np.stack(crops), self.works[indices].astype(np.int32)

    def _crop(
        self, index: int, frames: int, augment: Augment, rng: np.random.Generator
    ) -> np.ndarray:
        """Return a crop (n_bins, frames, layers), changed at random.

        A recording that is shorter is repeated. Padding with silence would change the
        statistics of instance normalisation and pooling, and the network never embeds
        padding later.
        """
        wanted = max(round(frames / augment.draw_stretch(rng)), 1)
        crop = self.reader.crop(index, wanted, rng).astype(np.float32)
        crop = np.take(crop, np.arange(wanted) % len(crop), axis=0)
        shift = augment.draw_shift(rng)
        features, *notes = (
            transpose(resize_frames(layer, frames), shift)
            for layer in np.atleast_3d(crop).transpose(2, 1, 0)
        )
        layers = [augment.change_sound(features, rng), *notes]
        return np.stack(layers, axis=-1).astype(np.float32)


def row_generators(
    seed: int, number: int, rows: slice, batch_size: int
) -> list[np.random.Generator]:
    """Return the random generators of some rows of batch `number`."""
    return [
        np.random.default_rng([seed, 3, number, row]) for row in range(batch_size)[rows]
    ]


class Batches(Protocol):
    """Makes training batches by number."""

    @property
    def sampler(self) -> PKSampler:
        """Chooses the recordings of a batch."""

    @property
    def spec(self) -> Spec:
        """Shape, None for what varies, and type of each array of a whole batch."""

    def __call__(self, number: int, rows: slice = ALL_ROWS) -> tuple[Any, np.ndarray]:
        """Return batch `number`, or some of its rows: inputs and works."""


def tf_dataset(
    batches: Batches, start: int, count: int, shares: Sequence[slice] = (ALL_ROWS,)
) -> tf.data.Dataset:
    """Return batches `start` to `start + count` as a dataset, in order.

    Args:
        batches: makes each batch.
        start: number of the first.
        count: how many.
        shares: the rows that each replica of this process takes, equally many for each.
            Every batch then comes as one element per replica.

    Returns:
        Elements as `batches` makes them, made ahead in parallel; the order and
        content do not depend on the threads.
    """
    import tensorflow as tf

    inputs, works = batches.spec
    single = not isinstance(inputs, dict)
    named = inputs if isinstance(inputs, dict) else {"": inputs}
    arrays = [*named.values(), works]
    size = len(range(batches.sampler.batch_size)[shares[0]])

    def make(element: np.ndarray) -> list[np.ndarray]:
        step, replica = divmod(int(element), len(shares))
        made, labels = batches(start + step, shares[replica])
        return [*([made] if single else (made[name] for name in named)), labels]

    def load(element: tf.Tensor) -> tuple[Any, tf.Tensor]:
        tensors = tf.numpy_function(
            make, [element], [kind for _, kind in arrays], stateful=False
        )
        for tensor, (shape, _) in zip(tensors, arrays, strict=True):
            tensor.set_shape((size, *shape[1:]))
        *made, labels = tensors
        return made[0] if single else dict(zip(named, made, strict=True)), labels

    return (
        tf.data.Dataset.range(count * len(shares))
        .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )
