"""The batches of a training run, by its settings and its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bytecover_tf.cores import begun_early, usable_cores
from bytecover_tf.data.files import FEATURES, PUBLISHED
from bytecover_tf.data.track import Track
from bytecover_tf.errors import ConfigError
from bytecover_tf.models.heard_notes import FRAMES
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.note_store import NoteStore, has_notes
from bytecover_tf.training.batches import (
    Batches,
    CropBatches,
    StoreReader,
    WaveformReader,
    tf_dataset,
)
from bytecover_tf.training.config import Config
from bytecover_tf.training.heard_batches import HeardBatches
from bytecover_tf.training.heard_store import heard_notes
from bytecover_tf.training.note_batches import NoteBatches, NoteReader
from bytecover_tf.training.sampler import PKSampler


def make_batches(
    config: Config,
    tracks: list[Track],
    works: list[str],
    store: FeatureStore,
    seed: int,
    waveforms: bool,
    taught: bool,
) -> Batches:
    """Return the batches of a run, with scores where the network learns from them.

    Args:
        config: all settings.
        tracks: recordings to train on.
        works: their works, in the order of their labels.
        store: features of the tracks.
        seed: seed of the batches and of changes to crops.
        waveforms: crop audio files instead of the features in the store.
        taught: whether there is a teacher, which needs scores.

    Raises:
        ConfigError: the settings do not fit the data.
        StoreError: what is heard in the features cannot be kept beside them.
    """
    number = {work: index for index, work in enumerate(works)}
    labels = np.array([number[track.work] for track in tracks])
    sampler = PKSampler(
        labels,
        config.works_per_batch,
        config.versions_per_work,
        seed,
        config.weighting,
    )
    if config.hear_once:
        if waveforms:
            raise ConfigError(
                "hear_once hears stored features; leave out --waveforms, or set "
                "hear_once=False"
            )
        if taught:
            raise ConfigError("hear_once reads no scores; train without --teacher")
        return HeardBatches(
            heard_notes(store, [store.entry(track.path) for track in tracks]),
            labels,
            sampler,
            tuple(max(frames // FRAMES, 1) for frames in config.crop_frames),
            config.note_augment,
            seed,
        )
    crops: dict[str, Any] = {
        "works": labels,
        "sampler": sampler,
        "crop_frames": config.crop_frames,
        "augment": config.augment,
        "n_bins": store.frontend.n_bins,
        "seed": seed,
    }
    if taught and not has_notes(store):
        raise ConfigError(
            f"{store.path}: has no scores, which a teacher reads; expected a set that "
            "bytecover_tf.synth.draw has drawn"
        )
    hears = config.salience is not None and config.teaching != "wholes"
    reads_scores = (hears or taught) and has_notes(store)
    if waveforms:
        _check_sound(tracks, reads_scores)
    if reads_scores:
        return NoteBatches(
            NoteReader(store, NoteStore(store), tracks),
            score_share=config.score_share,
            easy_steps=config.easy_steps,
            **crops,
        )
    if waveforms:
        return CropBatches(WaveformReader(store.frontend, tracks), **crops)
    return CropBatches(StoreReader(store, tracks), **crops)


def _check_sound(tracks: Sequence[Track], reads_scores: bool) -> None:
    """Refuse to crop audio files where there are none, or crops need their scores."""
    if reads_scores:
        raise ConfigError(
            "a network that hears notes learns from stored features and their scores; "
            "leave out --waveforms, or set salience=None"
        )
    for track in tracks:
        path = Path(track.path)
        if not path.is_file() or path.suffix.lower() in (FEATURES, PUBLISHED):
            raise ConfigError(
                f"{track.path}: is no audio file; leave out --waveforms to crop stored "
                "features"
            )


def stream(batches: Batches, start: int, stop: int, shares: Sequence[slice]) -> Any:
    """Return batches `start` to `stop` as this process's replicas take them."""
    if keras.backend.backend() == "tensorflow":
        return tf_dataset(batches, start, stop - start, shares)

    def generate() -> Iterator[tuple[Any, np.ndarray]]:
        cores = usable_cores()
        with ThreadPoolExecutor(cores) as pool:
            yield from begun_early(pool, batches, range(start, stop), 2 * cores)

    return generate()
