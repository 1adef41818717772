"""What an encoder was trained on, so that it is never measured on the same works.

A `.keras` file keeps it under `trained_on`. Works are compared within one data set,
because another set gives them other names. Recordings are compared by content, whatever
set they are in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bytecover_tf.data.track import Track
from bytecover_tf.files import JsonObject
from bytecover_tf.stores.feature_store import FeatureStore

# Packed sets were once read as `tunes`, whose scores they share. Both publications of
# SHS100K number its sets alike, but split them otherwise.
_SAME_NAMES = {"packed": "tunes", "shs100k2": "shs100k"}


@dataclass(frozen=True)
class Provenance:
    """The works and recordings that an encoder was trained on.

    Attributes:
        works: labels of works by the name of their data set.
        content: the first twelve digits of the content hash of each recording.
        is_whole: whether that is all; another encoder that it began as, or learned
            from, may not say what it was trained on.
    """

    works: Mapping[str, frozenset[str]] = field(default_factory=dict)
    content: frozenset[str] = frozenset()
    is_whole: bool = True

    @classmethod
    def of(cls, data: str, tracks: Sequence[Track], store: FeatureStore) -> Provenance:
        """Describe the tracks that an encoder is trained on.

        Args:
            data: name of their data set.
            tracks: the training recordings.
            store: knows the tracks' content.

        Raises:
            StoreError: the store lacks a track.
        """
        return cls(
            {_SAME_NAMES.get(data, data): frozenset(track.work for track in tracks)},
            frozenset(
                map(_mark, store.content(track.path for track in tracks).values())
            ),
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any] | None) -> Provenance:
        """Read what `to_dict` returned.

        Args:
            record: as stored with an encoder. One of the first format names a single
                data set under `data`; None stands for an encoder that knows nothing.
        """
        if record is None:
            return cls(is_whole=False)
        works = record["works"]
        if "data" in record:
            works = {record["data"]: works}
        joined: dict[str, frozenset[str]] = {}
        for data, names in works.items():
            name = _SAME_NAMES.get(data, data)
            joined[name] = joined.get(name, frozenset()) | frozenset(names)
        content = frozenset(record["content"])
        says_something = bool(content or any(joined.values()))
        return cls(joined, content, record.get("is_whole", says_something))

    @classmethod
    def recorded_in(cls, info: Mapping[str, Any]) -> Provenance:
        """Return what the facts stored with an encoder say that it was trained on."""
        record = info.get("trained_on")
        known = cls.from_dict(record)
        if record is None or "is_whole" in record:
            return known
        # Older encoders do not say whether those say all that they began as.
        origins = [info.get(name) for name in ("init", "teacher")]
        earlier = [origin["trained_on"] for origin in origins if origin]
        return known.merge(*map(cls.from_dict, earlier))

    def to_dict(self) -> JsonObject:
        """Return the record that is stored with an encoder, ready for JSON."""
        return {
            "works": {data: sorted(self.works[data]) for data in sorted(self.works)},
            "content": sorted(self.content),
            "is_whole": self.is_whole,
        }

    def merge(self, *others: Provenance) -> Provenance:
        """Return the works and recordings of this and of others together."""
        works = dict(self.works)
        for other in others:
            for data, names in other.works.items():
                works[data] = works.get(data, frozenset()) | names
        return Provenance(
            works,
            self.content.union(*(other.content for other in others)),
            self.is_whole and all(other.is_whole for other in others),
        )

    def overlap(
        self, data: str, tracks: Sequence[Track], content: Mapping[str, str]
    ) -> tuple[list[str], list[str]]:
        """Find what an encoder was trained on among tracks.

        Args:
            data: name of the tracks' data set.
            tracks: recordings that should be unseen.
            content: the SHA-256 of their files by path. Tracks that it lacks are
                compared by work alone.

        Returns:
            The works and the paths of the recordings that were trained on.
        """
        known = self.works.get(_SAME_NAMES.get(data, data), frozenset())
        works = sorted({track.work for track in tracks} & known)
        paths = [
            track.path
            for track in tracks
            if _mark(content.get(track.path, "")) in self.content
        ]
        return works, paths


def _mark(key: str) -> str:
    return key[:12]
