"""What a music file says about itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from bytecover_tf.audio.decoding import read_metadata
from bytecover_tf.catalogues.identifiers import EXPECTED, SEPARATOR, tidy


@dataclass(frozen=True)
class Tags:
    """The fields that are read from tags; several values are joined by `; `.

    Attributes:
        title: the file's name without its ending if there is no tag.
        artist: empty if there is no tag, like the fields below.
        album: its title.
        composer: who wrote the work.
        year: when it was recorded or released; the date as written if it does not begin
            with a year.
        isrc: of the recording; kept as written if it is malformed.
        iswc: of the work.
        musicbrainz_recording: id of the recording in MusicBrainz.
        musicbrainz_work: id of the work in MusicBrainz.
    """

    title: str
    artist: str = ""
    album: str = ""
    composer: str = ""
    year: str = ""
    isrc: str = ""
    iswc: str = ""
    musicbrainz_recording: str = ""
    musicbrainz_work: str = ""


TAGS_READ = 1
"""Version of `read_tags`; raised when it reads more, so that files are read again."""

TAG_NAMES = tuple(field.name for field in fields(Tags))
"""The fields of `Tags`; a manifest may have columns of these names."""

# The names of the fields, as `_plain` writes them: in ID3, in MP4, then elsewhere.
_NAMES = {
    "title": ("tit2", "©nam", "title"),
    "artist": ("tpe1", "©art", "artist", "author"),
    "album": ("talb", "©alb", "album", "albumtitle"),
    "composer": ("tcom", "©wrt", "composer"),
    "year": ("tdrc", "©day", "date", "year", "daterecorded", "datereleased"),
    "isrc": ("tsrc", "isrc"),
    "iswc": ("iswc",),
    # For historical reasons, tags of MusicBrainz call recordings tracks.
    "musicbrainz_recording": ("ufid:http:musicbrainz.org", "musicbrainztrackid"),
    "musicbrainz_work": ("musicbrainzworkid",),
}
_PREFIXES = re.compile(r"^(txxx:|----:com\.apple\.itunes:|wm/)")
_YEAR = re.compile(r"\d{4}")


def read_tags(path: str | Path) -> Tags:
    """Read a file's tags in any format.

    Mutagen comes first, as it keeps several artists apart. FFmpeg adds what mutagen
    does not find.

    Args:
        path: a music file. One that cannot be read counts as one without tags.
    """
    found: dict[str, str] = {}
    with suppress(Exception):  # a parser of any input; tags are optional
        import mutagen

        file = mutagen.File(path)
        tags = (file.tags if file is not None else None) or {}
        # Iterating over Vorbis comments does not yield their keys.
        keys = list(tags.keys())
        found = _chosen((key, texts_of(tags[key])) for key in keys)
    if not all(found.get(name) for name in ("title", "artist", "album")):
        with suppress(Exception):
            metadata = read_metadata(path)
            found = _chosen((key, [text]) for key, text in metadata.items()) | found
    if year := _YEAR.match(found.get("year", "")):
        found["year"] = year[0]
    for kind in EXPECTED.keys() & found.keys():
        found[kind] = tidy(kind, found[kind])
    return Tags(**{"title": Path(path).stem, **found})


def _chosen(items: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
    """Return the fields, each from the first of its names that has a value."""
    texts: Mapping[str, list[str]] = {_plain(key): values for key, values in items}
    found = {}
    for field, names in _NAMES.items():
        for name in names:
            values = [text.strip() for text in texts.get(name, ())]
            text = SEPARATOR.join(value for value in dict.fromkeys(values) if value)
            if text:
                found[field] = text
                break
    return found


def _plain(key: str) -> str:
    """Return a tag's name without what differs between formats and programs."""
    return re.sub(r"[ _/]", "", _PREFIXES.sub("", key.lower()))


def texts_of(value: object) -> list[str]:
    """Return the texts of a tag's value, whichever type mutagen has for it."""
    return list(_each_text(value))


def _each_text(value: object) -> Iterator[str]:
    if hasattr(value, "text"):  # an ID3 frame of text
        yield from map(str, value.text)
    elif hasattr(value, "data"):  # UFID of ID3
        yield value.data.decode("utf-8", "replace")
    elif isinstance(value, bytes):  # free form of MP4
        yield value.decode("utf-8", "replace")
    elif isinstance(value, list):
        for each in value:
            yield from _each_text(each)
    else:  # of APEv2 and ASF
        yield from str(value).split("\0")
