"""What a music file says about itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bytecover_tf.audio.decoding import read_metadata


@dataclass(frozen=True)
class Tags:
    """Title, artist and album of a file.

    Attributes:
        title: the file's name without its ending if there is no tag.
        artist: several are joined by `; `; empty if there is no tag.
        album: empty if there is no tag.
    """

    title: str
    artist: str = ""
    album: str = ""


def read_tags(path: str | Path) -> Tags:
    """Read a file's tags, in whichever format they are.

    Mutagen keeps several artists apart; what it does not find, FFmpeg may.

    Args:
        path: a music file. One that cannot be read, or has no tags, is as good as
            one without.
    """
    import mutagen

    try:
        file = mutagen.File(path, easy=True)
    except Exception:  # a parser fed with anything; tags are only decoration
        file = None

    def text(name: str) -> str:
        values = (file.tags or {}).get(name, []) if file is not None else []
        values = [values] if isinstance(values, str) else values
        return "; ".join(str(value).strip() for value in values)

    found = {name: text(name) for name in ("title", "artist", "album")}
    if not all(found.values()):
        with suppress(Exception):
            metadata = read_metadata(path)
            found = {
                name: value or metadata.get(name, "").strip()
                for name, value in found.items()
            }
    return Tags(found["title"] or Path(path).stem, found["artist"], found["album"])
