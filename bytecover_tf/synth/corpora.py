"""Collections of scores in the public domain, and how each is read.

music21 brings transcriptions of printed tune books and of Bach's chorales; the
OpenScore Lieder are an archive of their own. music21's Essen collection is left
out: its terms allow non-commercial use only.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bytecover_tf.errors import DataError
from bytecover_tf.synth.score import (
    Score,
    chorale_title,
    read_abc,
    read_musicxml,
    split_abc,
)


@dataclass(frozen=True)
class Collection:
    """A source of scores.

    Attributes:
        name: as cited.
        rights: why its music may be used.
        pattern: files in music21's corpus folder; empty for OpenScore Lieder.
    """

    name: str
    rights: str
    pattern: str = ""


PRINTED = "public domain: traditional tunes printed in {}; transcription from music21"
LIEDER = "OpenScore Lieder"
CHORALES = "Bach chorales"
COLLECTIONS = (
    Collection(
        "O'Neill's Music of Ireland", PRINTED.format("1903"), "oneills1850/*.abc"
    ),
    Collection(
        "Ryan's Mammoth Collection", PRINTED.format("1883"), "ryansMammoth/*.abc"
    ),
    Collection("Aird's Airs", PRINTED.format("1778-1801"), "airdsAirs/*.abc"),
    Collection(
        "Northumbrian Minstrelsy", PRINTED.format("1882"), "miscFolk/north*.abc"
    ),
    Collection(
        CHORALES,
        "public domain: J. S. Bach (1685-1750); transcription from music21",
        "bach/bwv*",
    ),
    Collection(LIEDER, "CC0 1.0: OpenScore Lieder Corpus"),
)


def music21_corpus() -> Path:
    """Folder of the scores that are installed with music21."""
    import music21

    return Path(music21.__file__).parent / "corpus"


def list_files(collection: Collection, lieder: Path | None) -> list[str]:
    """Files of a collection, as `read_file` takes them, in alphabetical order.

    Args:
        collection: one of `COLLECTIONS`.
        lieder: the archive of OpenScore Lieder, or None to go without.
    """
    if collection.pattern:
        return sorted(str(path) for path in music21_corpus().glob(collection.pattern))
    if lieder is None:
        return []
    with zipfile.ZipFile(lieder) as archive:
        return sorted(name for name in archive.namelist() if name.endswith(".mxl"))


def read_file(
    collection: Collection, file: str, lieder: Path | None
) -> Iterator[Score | DataError]:
    """Read the pieces of one file.

    Args:
        collection: where the file belongs.
        file: as listed by `list_files`.
        lieder: the archive of OpenScore Lieder.

    Yields:
        Each piece's score, or the error that kept it from being read.
    """
    if collection.name == LIEDER:
        assert lieder is not None
        with zipfile.ZipFile(lieder) as archive:
            data = archive.read(file)
        composer, _, song, _ = file.split("/")
        title = f"{_plain(song)} ({_plain(composer).split(',')[0]})"
        yield _attempt(read_musicxml, data, title, collection.name)
    elif collection.name == CHORALES:
        path = Path(file)
        bwv = re.sub(r"^bwv", "", path.stem)
        title = chorale_title(bwv)
        yield _attempt(read_musicxml, path.read_bytes(), title, collection.name)
    else:
        for tune in split_abc(Path(file).read_text("utf-8", errors="replace")):
            yield _attempt(read_abc, tune, collection.name)


def _plain(name: str) -> str:
    return re.sub(r"^\d+[a-z]?_", "", name).replace("_", " ")


def _attempt(reader: Callable[..., Score], *arguments: object) -> Score | DataError:
    try:
        return reader(*arguments)
    except DataError as error:
        return error
