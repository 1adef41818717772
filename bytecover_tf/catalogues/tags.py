"""What a music file says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    """Read a file's tags, in whichever of the usual formats they are.

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

    return Tags(text("title") or Path(path).stem, text("artist"), text("album"))
