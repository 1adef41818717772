"""Finding recordings by what is known about them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.identifiers import EXPECTED, canonical
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.catalogues.tags import TAG_NAMES
from bytecover_tf.data.files import composed

_SEARCHED = (*TAG_NAMES, "work", "id", "path")


def find_recordings(catalogue: Catalogue, text: str = "") -> list[Recording]:
    """Return the recordings that match a search, sorted by artist, album and title.

    Args:
        catalogue: what to search.
        text: words that must all occur in title, artist, album, composer, year, work,
            path or an identifier, in any case. An ISRC or ISWC may be written with or
            without hyphens and dots. Empty text matches all.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    words = [_as_stored(word) for word in text.split()]
    found = [
        recording for recording in catalogue.recordings() if _fits(recording, words)
    ]
    return sorted(
        found, key=lambda each: (each.artist, each.album, each.title, each.path)
    )


def find_ids(catalogue: Catalogue, names: Iterable[str]) -> dict[str, str | None]:
    """Return the id of each recording that is named by its id or its path.

    Args:
        catalogue: what to search.
        names: ids, and paths that may be relative.

    Returns:
        Ids by name; None for a name that no recording has.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    known, alike = {}, {}
    for recording in catalogue.recordings():
        known[recording.id] = known[recording.path] = recording.id
        alike[composed(recording.path)] = recording.id
    found = {}
    for name in names:
        path = os.path.abspath(name)
        # Accents may be written either way, where no file is called exactly that.
        exact = known.get(name) or known.get(path)
        found[name] = exact or alike.get(composed(name)) or alike.get(composed(path))
    return found


def _as_stored(word: str) -> str:
    """Return a word of a search in lower case, an identifier as it is stored."""
    forms = (canonical(kind, word) for kind in EXPECTED)
    return composed(next(filter(None, forms), word)).casefold()


def _fits(recording: Recording, words: list[str]) -> bool:
    text = "\n".join(getattr(recording, name) for name in _SEARCHED)
    known = composed(text).casefold()
    return all(word in known for word in words)
