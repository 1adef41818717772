"""What the catalogue holds, kept in memory to be listed and searched."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from starlette.exceptions import HTTPException

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.files import JsonObject

# What is in memory is at least this fresh, in seconds, but reading it takes no more
# than a twentieth of the time.
_FRESH, _SHARE = 5.0, 20


class Library:
    """The recordings of a catalogue, read again now and then.

    Args:
        catalogue: may be changed by other processes at any time.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._reading = threading.Lock()
        self._changing = threading.Lock()
        self._stale = 0.0
        self._forgotten = 0
        self._shelf = _Shelf([])

    @property
    def address(self) -> str:
        """Where the catalogue is."""
        return self._catalogue.address

    @property
    def count(self) -> int:
        """How many recordings there are."""
        return len(self._fresh().recordings)

    @property
    def works(self) -> int:
        """How many works they perform."""
        return len(self._fresh().by_work)

    def get(self, name: str) -> Recording | None:
        """Return the recording with this id."""
        return self._fresh().by_id.get(name)

    def find(self, name: str) -> Recording:
        """Return the recording with this id.

        Raises:
            HTTPException: 404, there is none.
        """
        found = self.get(name)
        if found is None:
            raise HTTPException(404, f"{name}: there is no such recording")
        return found

    def versions(self, recording: Recording) -> list[Recording]:
        """Return all recordings of the same work."""
        return self._fresh().by_work.get(recording.work, [recording])

    def search(self, text: str = "", start: int = 0, count: int = 100) -> JsonObject:
        """Return works in which every word of a text is found.

        Args:
            text: words, or beginnings of words or parts of them, in any order, with or
                without accents.
            start: works to pass over.
            count: works to return.

        Returns:
            `total` works, the number of their `recordings`, and `works`, each with all
            of its recordings: those with most versions first, then by name.
        """
        found = self._fresh().search(text)
        part = found[start : start + count]
        return {
            "total": len(found),
            "recordings": sum(len(versions) for versions in found),
            "works": [work_facts(versions) for versions in part],
        }

    def remove(self, name: str) -> None:
        """Take a recording out of the catalogue.

        Raises:
            HTTPException: 404, there is none.
        """
        self._catalogue.remove([self.find(name).id])
        self.forget()

    def forget(self) -> None:
        """Read the catalogue again before the next answer."""
        with self._changing:
            self._forgotten += 1
            self._stale = 0.0

    def _fresh(self) -> _Shelf:
        if time.monotonic() < self._stale:
            return self._shelf
        with self._reading:
            if time.monotonic() >= self._stale:
                started, forgotten = time.monotonic(), self._forgotten
                self._shelf = _Shelf(list(self._catalogue.recordings()))
                took = time.monotonic() - started
                with self._changing:
                    # What is to be forgotten while it is read was read in vain.
                    if forgotten == self._forgotten:
                        self._stale = time.monotonic() + max(_FRESH, _SHARE * took)
        return self._shelf


def recording_facts(recording: Recording) -> JsonObject:
    """Return the recording as a JSON object."""
    return {
        "id": recording.id,
        "work": recording.work,
        "title": recording.title,
        "artist": recording.artist,
        "album": recording.album,
        "label": recording.label,
        "path": recording.path,
        "duration": round(recording.duration, 1),
    }


def work_facts(versions: Sequence[Recording]) -> JsonObject:
    """Return the work as a JSON object, by its recordings."""
    first = versions[0]
    return {
        "work": first.work,
        "name": first.work if first.has_named_work else first.title,
        "is_named": first.has_named_work,
        "recordings": [recording_facts(recording) for recording in versions],
    }


@dataclass(frozen=True)
class _Shelf:
    """What was in the catalogue at one time."""

    recordings: list[Recording]

    @cached_property
    def by_id(self) -> dict[str, Recording]:
        return {recording.id: recording for recording in self.recordings}

    @cached_property
    def by_work(self) -> dict[str, list[Recording]]:
        found = defaultdict(list)
        for recording in sorted(self.recordings, key=lambda one: one.path):
            found[recording.work].append(recording)
        return dict(found)

    @cached_property
    def _texts(self) -> list[tuple[list[Recording], str]]:
        """The works, in the order in which they are shown, with all that names them."""

        def order(versions: list[Recording]) -> tuple[int, str]:
            return -len(versions), _plain(work_facts(versions)["name"])

        works = sorted(self.by_work.values(), key=order)
        return [
            (versions, _plain(" ".join(map(_names, versions)))) for versions in works
        ]

    def search(self, text: str) -> list[list[Recording]]:
        words = _plain(text).split()
        return [
            versions
            for versions, names in self._texts
            if all(word in names for word in words)
        ]


def _names(recording: Recording) -> str:
    return " ".join(
        (
            *(recording.work, recording.title, recording.artist, recording.album),
            *(recording.path, recording.id),
        )
    )


def _plain(text: str) -> str:
    """Return a text in small letters without accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))
