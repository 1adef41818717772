"""Draw a large training set from scores: features and notes, without sound.

    python -m bytecover_tf.synth.draw --out DIR --lieder openscore_lieder.zip
        --pop909 pop909.zip

The command reads all collections of free scores, gathers them into works, and draws
some versions of each (`bytecover_tf.synth.drawing.spectral`), some dozens a second on
each core. The result has the layout of the embedded data set: train with `--data packed
--data-root DIR`. Works that may be in the embedded set's validation or test split are
left out. A run that was killed continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bytecover_tf import cli
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.cli.repertoire import add_repertoire_options, read_works
from bytecover_tf.cores import processes
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import FeatureStoreWriter
from bytecover_tf.stores.note_store import NoteWriter, add_with_notes, remove_unscored
from bytecover_tf.synth.drawing.spectral import STEP_FRAMES, draw_with_score
from bytecover_tf.synth.playing.cover import cover
from bytecover_tf.synth.scores.works import (
    Work,
    check_same_works,
    join_csv,
    source_rows,
    track_row,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = cli.parser("synth.draw", __doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the data set"
    )
    add_repertoire_options(
        parser, "work", "the order of the works and which of them validate"
    )
    parser.add_argument(
        "--bins-per-octave",
        type=int,
        choices=(12, 36),
        default=12,
        help="bins of the features; 36 are for networks that read heard notes",
    )
    parser.add_argument(
        "--pool",
        type=cli.positive_int,
        help="frames of the transform in one of the features, a multiple of 5 "
        "(default: 20, or 5 for 36 bins an octave)",
    )
    options = parser.parse_args(arguments)
    cli.require_extra("synth", "music21", "mido")
    if options.pool and options.pool % STEP_FRAMES:
        parser.error(f"--pool must be a multiple of {STEP_FRAMES}")

    works = read_works(options, options.out)
    octave = options.bins_per_octave
    frontend = Frontend(
        n_bins=7 * octave,
        bins_per_octave=octave,
        pool=options.pool or (20 if octave == 12 else 5),
        estimated=octave == 36,
    )
    draw(works, options.out, options.versions, frontend, options.workers)
    print(f"{len(works)} works, {options.versions} versions each: {options.out}")
    return cli.OK


def draw(
    works: Sequence[Work], out: Path, versions: int, frontend: Frontend, workers: int
) -> None:
    """Write the data set: store with scores, `tracks.csv` and `sources.csv`.

    Args:
        works: what is played.
        out: the data set's folder.
        versions: number of versions of each work; a work's scores take turns.
        frontend: parameters of the features.
        workers: processes.

    Raises:
        DataError: the folder has versions of other works of the same names.
        WorkerError: a process was killed.
    """
    sources = source_rows(works)
    check_same_works(out / "sources.csv", sources)
    store = out / "store"
    with (
        FeatureStoreWriter(store, frontend) as writer,
        NoteWriter(store, frontend.n_bins) as scores,
        processes(workers) as pool,
        progress_bar(total=len(works), unit="work", desc="drawn") as bar,
    ):
        remove_unscored(writer, scores)
        # First, so that a run that goes on can tell whether the works are the same.
        join_csv(out / "sources.csv", sources)
        # Some hundred works at a time, so that few results wait in memory.
        for batch in _batches(works, 50 * workers):
            todo = []
            for work in batch:
                entry = writer.find(f"{work.id}-{versions - 1}")
                if entry is None or entry not in scores:
                    todo.append(work)
            drawn = pool.map(
                _draw_work, todo, [versions] * len(todo), [frontend] * len(todo)
            )
            for work, recordings in zip(todo, drawn, strict=True):
                for number, (features, score) in enumerate(recordings):
                    add_with_notes(
                        writer, scores, f"{work.id}-{number}", features, score
                    )
            bar.update(len(batch))
    join_csv(
        out / "tracks.csv",
        [
            track_row(
                f"{work.id}-{number}",
                work.id,
                work.split,
                work.scores[number % len(work.scores)].title,
            )
            for work in works
            for number in range(versions)
        ],
    )


def _batches(works: Sequence[Work], size: int) -> Iterator[Sequence[Work]]:
    for start in range(0, len(works), size):
        yield works[start : start + size]


def _draw_work(
    work: Work, versions: int, frontend: Frontend
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return features (n_bins, T) and score (2, n_bins, T) of each version."""
    drawn = []
    for number in range(versions):
        performance, rng = cover(work, number)
        drawn.append(draw_with_score(performance, frontend, rng))
    return drawn


if __name__ == "__main__":
    cli.run(main, continues=True)
