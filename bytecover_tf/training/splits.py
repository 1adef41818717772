"""The tracks of a data set by their part in a training."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from bytecover_tf.data.leakage import check_leakage, near_duplicates
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.evaluation.protocol import check_measurable
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.terminal import warn


@dataclass(frozen=True)
class Splits:
    """Tracks by their part in the training, disjoint by work and content.

    Attributes:
        train: seen by the optimiser.
        validation: choose the best epoch.
        test: measured before and after the training; the validation tracks if the data
            has no test split.
    """

    train: list[Track]
    validation: list[Track]
    test: list[Track]

    @classmethod
    def of(cls, tracks: Sequence[Track], store: FeatureStore) -> Splits:
        """Sort tracks by split and check that nothing leaks between them.

        Raises:
            DataError: nothing to train on or to validate with, a single work to train
                on, no validation query has a version, or a work or a recording is in
                more than one split.
        """
        parts = {
            name: [track for track in tracks if track.split == name]
            for name in ("train", "validation", "test")
        }
        for name in ("train", "validation"):
            if not parts[name]:
                raise DataError(
                    f"no usable track of split {name!r} to train with; for data "
                    "without a split, --split-seed divides the works"
                )
        if len(trained := {track.work for track in parts["train"]}) < 2:
            raise DataError(
                f"a single work to train on, {trained.pop()!r}; training learns to "
                "tell works apart and needs two or more of split 'train'"
            )
        check_measurable(parts["validation"])
        content = store.content(track.path for track in tracks)
        for ours, theirs in itertools.combinations(parts, 2):
            leak = check_leakage(parts[ours], parts[theirs], content)
            leak.raise_if_any(ours, theirs)
        return cls(
            parts["train"], parts["validation"], parts["test"] or parts["validation"]
        )

    @property
    def unseen(self) -> str:
        """Name of the split that `test` comes from."""
        return self.test[0].split

    @property
    def unseen_tracks(self) -> list[Track]:
        """Tracks that nothing may have been trained on."""
        return [*self.validation, *self.test]

    def fingerprints(self, store: FeatureStore) -> dict[str, str]:
        """Return a digest of what each measured split holds, by its name.

        Digests of two runs are the same if the recordings and their works are, whatever
        the files are called.

        Args:
            store: knows the tracks' content.
        """
        return {
            part: _fingerprint(tracks, store)
            for part, tracks in (
                ("validation", self.validation),
                (self.unseen, self.test),
            )
        }


def _fingerprint(tracks: list[Track], store: FeatureStore) -> str:
    content = store.content(track.path for track in tracks)
    pairs = sorted((track.work, content[track.path]) for track in tracks)
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


def warn_of_few(splits: Splits) -> None:
    """Warn of validation and test works that nothing can be taken for."""
    parts = {"validation": splits.validation, splits.unseen: splits.test}
    for part, tracks in parts.items():
        if len({track.work for track in tracks}) < 2:
            warn(
                f"warning: there is a single {part} work, so figures on it say nothing "
                "and choose no epoch; a split needs two or more works"
            )


def warn_of_copies(splits: Splits, store: FeatureStore) -> None:
    """Warn of recordings that seem to be in training and in test in two encodings.

    Similarity does not prove a copy, so this does not stop the training.
    """
    unseen = list(dict.fromkeys([*splits.validation, *splits.test]))
    pairs = near_duplicates(
        (store.features(track.path) for track in splits.train),
        (store.features(track.path) for track in unseen),
    )
    for ours, theirs in pairs[:10]:
        warn(
            f"warning: {splits.train[ours].path} (train) sounds like "
            f"{unseen[theirs].path} ({unseen[theirs].split}); a copy would make the "
            "figures too good"
        )
    if len(pairs) > 10:
        warn(f"warning: and {len(pairs) - 10} more pairs")
