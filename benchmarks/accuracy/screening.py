"""What is lost when only the likely candidates are aligned, and what is saved?

    python -m benchmarks.accuracy.screening --source DIR [--encoder NAME]

DIR holds labelled recordings as for `benchmarks.accuracy.covers`. Songs of the set
`songs` lie there as passages of half a minute: every second passage of a song makes one
recording, the others make its version. The songs of the set `folk` that last 90 seconds
or more join them. Each recording is searched among all others.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy.covers import (
    Embeddings,
    Item,
    Search,
    is_held_out,
    ranked,
    read,
)
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.chroma import HEARD_PARTS, seconds_per_frame
from bytecover_tf.audio.constant_q import Transform
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.matching.alignment import NOTHING, Alignment, align_many
from bytecover_tf.matching.calibration import choose_calibration
from bytecover_tf.matching.screening import align_likely
from bytecover_tf.metrics import bootstrap_interval
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.labelled_store import LabelledStore

# Halves of a song with fewer passages are shorter than a minute.
_LEAST_PASSAGES = 4
_LEAST_SECONDS = 90.0

Align = Callable[[np.ndarray, list[np.ndarray], np.ndarray], list[Alignment]]


def halves(passages: list[Item]) -> list[Item]:
    """Join the passages of each song to two recordings of it."""
    songs = defaultdict(list)
    for passage in passages:
        songs[passage.work].append(passage)
    return [
        _joined(song[first::2])
        for song in songs.values()
        if len(song) >= _LEAST_PASSAGES
        for first in (0, 1)
    ]


def _joined(passages: list[Item]) -> Item:
    names = ("cqt", "fine", "plain", "heard")
    joined = {
        name: np.concatenate([getattr(one, name) for one in passages], axis=1)
        for name in names
    }
    return replace(passages[0], **joined)


def long_searches(store: LabelledStore) -> Search:
    """Return the search of each long recording among the others."""
    songs = halves(read(store, lambda one: one.set == "songs" and is_held_out(one)))
    folk = read(
        store,
        lambda one: (
            (one.set, one.role) == ("folk", "dev") and one.seconds >= _LEAST_SECONDS
        ),
    )
    # Labels of different sets may be the same.
    folk = [replace(one, work=f"folk {one.work}") for one in folk]
    every = [*songs, *folk]
    return Search("long recordings", every, every, np.eye(len(every), dtype=bool))


def scores_of(
    search: Search, align: Align, cosine: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the score of each pair, where it was aligned, and the seconds taken."""
    scores = np.zeros_like(search.itself, float)
    was_aligned = np.zeros_like(search.itself)
    spent = time.process_time()
    for row, query in enumerate(progress_bar(search.queries, unit="query")):
        others = np.flatnonzero(~search.itself[row])
        references = [search.references[number].heard for number in others]
        found = align(query.heard, references, cosine[row, others])
        scores[row, others] = [one.score for one in found]
        was_aligned[row, others] = [one is not NOTHING for one in found]
    return scores, was_aligned, time.process_time() - spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--encoder", default="bytecover-base")
    options = parser.parse_args()
    search = long_searches(LabelledStore(options.source))
    encoder = load_encoder(options.encoder)
    cosine = Embeddings(encoder).cosines(search)
    checksum = Identity.of(encoder, options.encoder).encoder
    fitted = choose_calibration(checksum, options.encoder, parts=HEARD_PARTS)
    works = [np.array(labels) for labels in search.works]
    is_version = np.equal.outer(*works) & ~search.itself
    ways: dict[str, Align] = {
        "all": lambda query, references, _: align_many(query, references, 1),
        "the likely ones": lambda *every: align_likely(*every, workers=1),
    }
    rows, seconds = [], []
    for name, align in ways.items():
        scores, was_aligned, spent = scores_of(search, align, cosine)
        seconds.append(spent)
        found = search.score(ranked(fitted, search, scores, cosine))
        low, high = bootstrap_interval(found, search.works[0])
        rows.append(
            [
                name,
                f"{was_aligned.sum(axis=1).mean():.0f}",
                f"{was_aligned[is_version].mean():.3f}",
                f"{found.average_precision.mean():.3f} [{low:.3f}, {high:.3f}]",
                f"{seconds[-1] / seconds[0]:.2f}",
            ]
        )
    frames = np.median([one.heard.shape[1] for one in search.queries])
    minutes = frames * seconds_per_frame(Transform()) / 60
    write_section(
        "alignment",
        "Aligning the likely candidates",
        command_of("accuracy.screening", parser, options),
        f"{len(search.queries)} recordings of {minutes:.1f} minutes in the median, "
        f"each searched among the others by `{options.encoder}` and alignment as "
        "`identify` joins them. CPU time is that of aligning, as a share of that for "
        "all. Recordings under a minute are always aligned. Versions are sung folk "
        "songs, to which the probability that joins the two was fitted, and the odd "
        "and the even passages of one recording of a song that no encoder was trained "
        "on.\n\n"
        + table(
            [
                "aligned",
                "of them a query",
                "versions aligned",
                "MAP",
                "CPU time",
            ],
            rows,
        ),
    )


if __name__ == "__main__":
    main()
