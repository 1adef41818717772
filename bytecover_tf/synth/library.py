"""All collections of scores, read once and kept."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tqdm import tqdm

from bytecover_tf.errors import DataError
from bytecover_tf.feature_store import write_atomically
from bytecover_tf.synth.corpora import COLLECTIONS, Collection, list_files, read_file
from bytecover_tf.synth.score import Score, score_from_dict


def add_archive_options(parser: argparse.ArgumentParser, done: str) -> None:
    """Add an option for each collection that is an archive of its own.

    Args:
        parser: of a command.
        done: what the command does with scores, for the help, as in `drawn`.
    """
    for collection in COLLECTIONS:
        if collection.option:
            parser.add_argument(
                f"--{collection.option}",
                type=Path,
                help=f"archive of {collection.name}; without it, none of it is {done}",
            )


def chosen_archives(options: argparse.Namespace) -> dict[str, Path]:
    """Return the archives that such options name, by their collection."""
    return {
        collection.name: getattr(options, collection.option)
        for collection in COLLECTIONS
        if collection.option and getattr(options, collection.option)
    }


def read_scores(
    cache: Path,
    archives: Mapping[str, Path],
    workers: int,
    samples: Mapping[str, int] | None = None,
    seed: int = 0,
) -> list[Score]:
    """Read all collections, or what an earlier call kept of them.

    Args:
        cache: JSON lines, one score each; written if it is not there.
        archives: file of each collection that is not part of music21, by its name;
            the others are left out.
        workers: processes.
        samples: by a collection's name, how many of its files to draw.
        seed: draws the samples.

    Returns:
        The scores in the collections' order. Those that cannot be read are named on
        the terminal.
    """
    if not cache.exists():
        tasks: list[tuple[Collection, str]] = []
        for collection in COLLECTIONS:
            files = list_files(collection, archives.get(collection.name))
            sample = (samples or {}).get(collection.name)
            if sample is not None:
                random.Random(seed).shuffle(files)
                files = files[:sample]
            tasks += [(collection, file) for file in files]
        lines: list[str] = []
        with ProcessPoolExecutor(workers) as pool:
            read = pool.map(partial(_read_lines, archives), tasks, chunksize=4)
            for scores, errors in tqdm(read, total=len(tasks), desc="scores"):
                lines += scores
                for error in errors:
                    tqdm.write(f"skipped: {error}")
        write_atomically(cache, "".join(lines))
    with open(cache, encoding="utf-8") as file:
        return [score_from_dict(json.loads(line)) for line in file]


def _read_lines(
    archives: Mapping[str, Path], task: tuple[Collection, str]
) -> tuple[list[str], list[str]]:
    collection, file = task
    scores, errors = [], []
    for item in read_file(collection, file, archives.get(collection.name)):
        if isinstance(item, DataError):
            errors.append(str(item))
        else:
            scores.append(json.dumps(asdict(item)) + "\n")
    return scores, errors
