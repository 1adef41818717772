"""Identifiers of recordings and works that are used worldwide.

    isrc                   a recording (ISO 3901): GBAYE0601498
    iswc                   a work (ISO 15707): T-034.524.680-1
    musicbrainz_recording  a recording in MusicBrainz, a UUID
    musicbrainz_work       a work in MusicBrainz, a UUID

A field may hold several, joined by `; `.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SEPARATOR = "; "
"""Between several values of a tag."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")
_ISWC = re.compile(r"T(\d{3})(\d{3})(\d{3})(\d)")

EXPECTED: Mapping[str, str] = {
    "isrc": "twelve characters such as GBAYE0601498",
    "iswc": "a number with its check digit such as T-034.524.680-1",
    "musicbrainz_recording": "a UUID",
    "musicbrainz_work": "a UUID",
}
"""What each kind looks like, in words."""


def canonical(kind: str, text: str) -> str | None:
    """Return an identifier as its standard writes it, or None if it is malformed.

    Args:
        kind: a key of `EXPECTED`.
        text: one identifier, with or without hyphens, dots and spaces.
    """
    if kind.startswith("musicbrainz"):
        return text.lower() if _UUID.fullmatch(text.lower()) else None
    compact = re.sub(r"[-. ]", "", text.upper())
    if kind == "isrc":
        return compact if _ISRC.fullmatch(compact) else None
    found = _ISWC.fullmatch(compact)
    if not found or _check_digit(compact[1:10]) != int(found[4]):
        return None
    return "T-{}.{}.{}-{}".format(*found.groups())


def tidy(kind: str, field: str) -> str:
    """Return a field with its identifiers as `canonical` writes them.

    Those that are malformed stay as they are.
    """
    parts = _parts(field)
    return SEPARATOR.join(canonical(kind, part) or part for part in parts)


def malformed(kind: str, field: str) -> list[str]:
    """Return the identifiers of a field that are malformed."""
    return [part for part in _parts(field) if canonical(kind, part) is None]


def work_identifiers(iswc: str, musicbrainz_work: str) -> list[str]:
    """Return what identifies the one work of a recording, the ISWC first.

    A recording of several works, such as a medley, is not a version of any of them. A
    malformed identifier does not count.
    """
    fields = {"iswc": iswc, "musicbrainz_work": musicbrainz_work}
    if any(len(_parts(field)) > 1 for field in fields.values()):
        return []
    found = [canonical(kind, field) for kind, field in fields.items()]
    return [each for each in found if each is not None]


def is_work_identifier(label: str) -> bool:
    """Tell whether a work's label is an ISWC or a UUID rather than a name."""
    return label in (canonical("iswc", label), canonical("musicbrainz_work", label))


def _parts(field: str) -> list[str]:
    return [part.strip() for part in field.split(";") if part.strip()]


def _check_digit(digits: str) -> int:
    """Return the check digit of the nine digits of an ISWC (ISO 15707, annex A)."""
    total = 1 + sum(place * int(digit) for place, digit in enumerate(digits, 1))
    return -total % 10
