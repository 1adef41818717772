"""Collections of freely available scores, and how each is read.

music21 brings transcriptions of printed tune books and of Bach's chorales; the
OpenScore Lieder and POP909 are archives of their own. music21's Essen collection is
left out: its terms allow non-commercial use only.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bytecover_tf.errors import DataError
from bytecover_tf.synth.scores.archive import open_archive, read_member
from bytecover_tf.synth.scores.pop909 import POP909, list_songs, read_song
from bytecover_tf.synth.scores.score import (
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
        name: name by which it is cited.
        rights: why its music may be used.
        pattern: files in music21's corpus folder, if it is there.
        option: command-line option that names the archive, if it is one.
    """

    name: str
    rights: str
    pattern: str = ""
    option: str = ""


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
    Collection(LIEDER, "CC0 1.0: OpenScore Lieder Corpus", option="lieder"),
    Collection(
        POP909,
        "MIT licence: MIDI arrangements by the Music X Lab; the songs remain their "
        "authors', so for training only",
        option="pop909",
    ),
)


def music21_corpus() -> Path:
    """Folder of the scores that are installed with music21."""
    import music21

    return Path(music21.__file__).parent / "corpus"


def list_files(collection: Collection, archive: Path | None) -> list[str]:
    """Return the files of a collection, as `read_file` takes them, in order.

    Their names are relative to music21's corpus or to the archive.

    Args:
        collection: one of `COLLECTIONS`.
        archive: the archive, if the collection is one; None to leave it out.
    """
    if collection.pattern:
        corpus = music21_corpus()
        found = sorted(corpus.glob(collection.pattern))
        return [path.relative_to(corpus).as_posix() for path in found]
    if archive is None:
        return []
    if collection.name == POP909:
        return list_songs(archive)
    with open_archive(archive) as opened:
        return sorted(name for name in opened.namelist() if name.endswith(".mxl"))


def read_file(
    collection: Collection, file: str, archive: Path | None
) -> Iterator[Score | DataError]:
    """Read the pieces of one file.

    Args:
        collection: where the file belongs.
        file: a name from `list_files`.
        archive: the same as there.

    Yields:
        Each piece's score, or the error that kept it from being read.
    """
    if collection.name == POP909:
        yield _attempt(read_song, archive, file)
    elif collection.name == LIEDER:
        assert archive is not None
        # Below the folders of the repository, if they are in the archive.
        *_, composer, _, song, _ = ["", "", "", *file.split("/")]
        title = f"{_plain(song)} ({_plain(composer).split(',')[0]})"
        yield _attempt(_read_lieder, archive, file, title)
    elif collection.name == CHORALES:
        path = music21_corpus() / file
        bwv = re.sub(r"^bwv", "", path.stem)
        title = chorale_title(bwv)
        yield _attempt(read_musicxml, path.read_bytes(), title, collection.name)
    else:
        text = (music21_corpus() / file).read_text("utf-8", errors="replace")
        for tune in split_abc(text):
            yield _attempt(read_abc, tune, collection.name)


def _read_lieder(archive: Path, file: str, title: str) -> Score:
    with open_archive(archive) as opened:
        return read_musicxml(read_member(opened, file), title, LIEDER)


def _plain(name: str) -> str:
    return re.sub(r"^\d+[a-z]?_", "", name).replace("_", " ")


def _attempt(reader: Callable[..., Score], *arguments: object) -> Score | DataError:
    try:
        return reader(*arguments)
    except DataError as error:
        return error
