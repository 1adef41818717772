"""Chooses the works to draw versions of, with the options of commands that do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bytecover_tf.cli import arguments
from bytecover_tf.cores import usable_cores
from bytecover_tf.data import tunes
from bytecover_tf.synth.playing.style import usual_tempo
from bytecover_tf.synth.scores.library import (
    add_archive_options,
    chosen_archives,
    read_scores,
)
from bytecover_tf.synth.scores.score import Score
from bytecover_tf.synth.scores.variants import (
    DOUBTFUL,
    group_works,
    melody_ngrams,
    plain_title,
    similar_pairs,
)
from bytecover_tf.synth.scores.works import Work, drawn_split

# Two tunes that share more melody than this are not both drawn.
ALIKE = 0.3
# A long score is cut to this many seconds at its usual tempo, so that versions overlap.
EXCERPT_SECONDS = 85.0


def add_repertoire_options(
    parser: argparse.ArgumentParser, played: str, seeded: str
) -> None:
    """Add the options of a command that draws versions on all cores.

    Args:
        parser: parser of the command.
        played: the thing that versions are made of, for the help.
        seeded: the things that the seed decides, for the help.
    """
    add_archive_options(parser, "drawn")
    parser.add_argument(
        "--versions",
        type=arguments.positive_int,
        default=6,
        help=f"number of versions of each {played}",
    )
    parser.add_argument(
        "--works",
        type=arguments.positive_int,
        help="largest number of works (default: all)",
    )
    arguments.add_seed_argument(parser, seeded)
    parser.add_argument(
        "--workers",
        type=arguments.positive_int,
        default=usable_cores(),
        help="number of processes",
    )


def read_works(options: argparse.Namespace, out: Path) -> list[Work]:
    """Return the works that such options ask for.

    Args:
        options: of `add_repertoire_options`.
        out: folder that keeps the scores that were read; made if there is none.
    """
    out.mkdir(parents=True, exist_ok=True)
    archives = chosen_archives(options)
    scores = read_scores(out / "scores.jsonl", archives, options.workers)
    return choose_works(scores, options.seed)[: options.works]


def choose_works(scores: Sequence[Score], seed: int) -> list[Work]:
    """Gather scores into works that are new to the embedded set, and split them.

    Args:
        scores: all that there are.
        seed: draws the order of the works and with it the split.

    Returns:
        Works in random order. A long score is cut to its first sections.
    """
    fresh = [scores[i] for i in _unheld(scores)]
    groups = group_works(fresh, doubtful=ALIKE)
    order = np.random.default_rng(seed).permutation(len(groups))
    return [
        Work(
            id=f"{number:05d}",
            split=drawn_split(number),
            scores=tuple(excerpt(fresh[i]) for i in groups[index]),
        )
        for number, index in enumerate(order)
    ]


def _unheld(scores: Sequence[Score]) -> list[int]:
    """Return the scores that resemble none of the embedded set's unseen works."""
    held = tunes.unseen_sources()
    named = [(score.title, score.collection) in held for score in scores]
    titles = {plain_title(title) for title, _ in held}
    dropped = {
        i
        for i, score in enumerate(scores)
        if named[i] or plain_title(score.title) in titles
    }
    grams = [melody_ngrams(score.melody) for score in scores]
    for i, j in similar_pairs(grams, DOUBTFUL):
        if named[i]:
            dropped.add(j)
        if named[j]:
            dropped.add(i)
    return [i for i in range(len(scores)) if i not in dropped]


def excerpt(score: Score) -> Score:
    """Return a score with as many of its first sections as last `EXCERPT_SECONDS`."""
    tempo = usual_tempo(score)
    seconds = [(score.bars[b] - score.bars[a]) * 60 / tempo for a, b in score.sections]
    kept = int(np.searchsorted(np.cumsum(seconds), EXCERPT_SECONDS, side="right"))
    sections = score.sections[: max(kept, 1)]
    spans = [(score.bars[first], score.bars[last]) for first, last in sections]
    # The usual tempo depends on the notes, so remove those beyond the end.
    melody = tuple(
        note
        for note in score.melody
        if any(start <= note.onset < end for start, end in spans)
    )
    return replace(score, sections=sections, melody=melody)
