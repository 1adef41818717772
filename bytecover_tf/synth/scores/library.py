"""All collections of scores, read once and kept."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bytecover_tf.cores import processes
from bytecover_tf.errors import DataError
from bytecover_tf.progress import progress_bar
from bytecover_tf.synth.scores.corpora import (
    COLLECTIONS,
    Collection,
    list_files,
    read_file,
)
from bytecover_tf.synth.scores.score import Score, score_from_dict
from bytecover_tf.terminal import warn

A_FEW = {collection.name: 5 for collection in COLLECTIONS}
"""Files to read of each collection for a sample; tune books are a few large ones."""


def add_archive_options(parser: argparse.ArgumentParser, done: str) -> None:
    """Add an option for each collection that is an archive of its own.

    Args:
        parser: parser of a command.
        done: the verb for what the command does with scores, such as `drawn`, for the
            help.
    """
    for collection in COLLECTIONS:
        if collection.option:
            parser.add_argument(
                f"--{collection.option}",
                type=_archive,
                help=f"the archive of {collection.name}; without it, the collection is "
                f"not {done}",
            )


def _archive(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text}: there is no such file")
    return Path(text)


def chosen_archives(options: argparse.Namespace) -> dict[str, Path]:
    """Return the archives that such options name, by their collection."""
    return {
        collection.name: getattr(options, collection.option)
        for collection in COLLECTIONS
        if collection.option and getattr(options, collection.option)
    }


@dataclass
class ReadFile:
    """A file of a collection, read: a line of the cache.

    Attributes:
        collection: its name.
        file: a name from `list_files`.
        scores: scores of the pieces that could be read.
        errors: reasons why others could not.
    """

    collection: str
    file: str
    scores: list[Score]
    errors: list[str]


def read_scores(
    cache: Path,
    archives: Mapping[str, Path],
    workers: int,
    samples: Mapping[str, int] | None = None,
    seed: int = 0,
) -> list[Score]:
    """Read all collections, except files that an earlier call has read.

    Args:
        cache: JSON lines, one for each file. It grows as files are read, so a call that
            was killed continues where it stopped, and a call with a new archive reads
            only the new files. A file is known by its name within its collection.
        archives: file of each collection that is not part of music21, by its name;
            the others are left out.
        workers: processes.
        samples: number of files to draw from a collection, by its name.
        seed: seed of the samples.

    Returns:
        The scores in the collections' order. Those that cannot be read are named on
        the terminal.

    Raises:
        DataError: the file is not such a cache.
        WorkerError: a process was killed.
    """
    wanted: list[tuple[Collection, str]] = []
    for collection in COLLECTIONS:
        files = list_files(collection, archives.get(collection.name))
        sample = (samples or {}).get(collection.name)
        if sample is not None:
            random.Random(seed).shuffle(files)
            files = files[:sample]
        wanted += [(collection, file) for file in files]
    done = _read_cache(cache) if cache.exists() else {}
    todo = [(c, file) for c, file in wanted if (c.name, file) not in done]
    with (
        open(cache, "a", encoding="utf-8") as kept,
        processes(workers) as pool,
        progress_bar(
            total=len(wanted),
            initial=len(wanted) - len(todo),
            unit="file",
            desc="scores",
        ) as bar,
    ):
        for line in pool.map(partial(_read, archives), todo, chunksize=4):
            kept.write(line)
            kept.flush()
            read = _parse(line)
            done[read.collection, read.file] = read
            bar.update()
    chosen = [done[collection.name, file] for collection, file in wanted]
    for read in chosen:
        for error in read.errors:
            warn(f"skipped: {error}")
    return [score for read in chosen for score in read.scores]


def _read_cache(cache: Path) -> dict[tuple[str, str], ReadFile]:
    """Return the lines of the cache; an unfinished last line is cut off."""
    done = {}
    with open(cache, "r+b") as kept:
        whole = 0
        for number, line in enumerate(kept, 1):
            if not line.endswith(b"\n"):
                kept.truncate(whole)
                break
            whole += len(line)
            try:
                read = _parse(line.decode())
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    f"{cache}: line {number} is not a file of scores as this version "
                    "keeps them; remove the cache to have all read again"
                ) from error
            done[read.collection, read.file] = read
    return done


def _parse(line: str) -> ReadFile:
    fields = json.loads(line)
    scores = [score_from_dict(score) for score in fields["scores"]]
    return ReadFile(**{**fields, "scores": scores})


def _read(archives: Mapping[str, Path], task: tuple[Collection, str]) -> str:
    """Return a file's line."""
    collection, file = task
    read = ReadFile(collection.name, file, [], [])
    for item in read_file(collection, file, archives.get(collection.name)):
        if isinstance(item, DataError):
            read.errors.append(str(item))
        else:
            read.scores.append(item)
    return json.dumps(asdict(read)) + "\n"
