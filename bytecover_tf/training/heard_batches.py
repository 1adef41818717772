"""Training batches of what was heard in recordings, so that no step hears anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bytecover_tf.training.batches import ALL_ROWS, Spec, row_generators
from bytecover_tf.training.note_augment import NoteAugment
from bytecover_tf.training.sampler import PKSampler


@dataclass(frozen=True)
class HeardBatches:
    """Makes batches of notes by number.

    Attributes:
        notes: what was heard in each recording, as `heard_notes` returns it.
        works: integer label of each recording.
        sampler: chooses the recordings of a batch.
        crop_frames: lengths in frames of notes; a batch has one of them, drawn evenly.
        augment: random changes.
        seed: seed of crops and changes.
    """

    notes: Sequence[np.ndarray]
    works: np.ndarray
    sampler: PKSampler
    crop_frames: tuple[int, ...]
    augment: NoteAugment
    seed: int = 0

    @property
    def spec(self) -> Spec:
        """Shapes and types of a batch."""
        size = self.sampler.batch_size
        _, semitones, channels = self.notes[0].shape
        shape = (size, semitones, None, channels)
        return {"notes": (shape, "float32")}, ((size,), "int32")

    def __call__(
        self, number: int, rows: slice = ALL_ROWS
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return batch `number`, or some of its rows.

        Returns:
            `notes`, float32 (batch, semitones, frames, 2), and int32 works (batch,).
        """
        rng = np.random.default_rng([self.seed, 2, number])
        frames = int(rng.choice(self.crop_frames))
        indices = self.sampler.batch(number)[rows]
        draws = row_generators(self.seed, number, rows, self.sampler.batch_size)
        crops = [
            self._crop(int(index), frames, draw)
            for index, draw in zip(indices, draws, strict=True)
        ]
        return {"notes": np.stack(crops)}, self.works[indices].astype(np.int32)

    def _crop(self, index: int, frames: int, rng: np.random.Generator) -> np.ndarray:
        """Return a changed crop (semitones, frames, 2) of a recording."""
        crop = self.augment.crop(self.notes[index], frames, rng)
        if rng.random() < self.augment.other:
            other = self.notes[int(rng.integers(len(self.notes)))]
            softly = np.float32(rng.uniform(0.2, 0.6))
            crop = np.maximum(crop, softly * self.augment.crop(other, frames, rng))
        return self.augment.change(crop.transpose(1, 0, 2), rng)
