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

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from bytecover_tf import cli
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.cores import usable_cores
from bytecover_tf.data import tunes
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import FeatureStoreWriter
from bytecover_tf.stores.note_store import NoteWriter, add_with_notes
from bytecover_tf.synth.drawing.spectral import draw_features, draw_score
from bytecover_tf.synth.playing.accompany import GROOVES
from bytecover_tf.synth.playing.arrange import Style, arrange, draw_style, usual_tempo
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
from bytecover_tf.synth.scores.works import (
    Work,
    drawn_split,
    track_row,
    write_csv,
    write_sources,
)

# Two tunes that share more melody than this are not both drawn.
ALIKE = 0.3
# What is played of a long score, at its usual tempo: versions then overlap.
EXCERPT_SECONDS = 85.0
SAME_ARRANGEMENT = 0.4
# Of the versions that play the score's own accompaniment, those with drums as well.
WITH_DRUMS = 0.3
# Versions that more players join, and what these play: bands and orchestras are fuller
# than the usual arrangements. Their sound is drawn later, so a program says nothing.
FULLER = 0.7
JOINING = ("bass", "pad", "strum", "arpeggio", "block", "drums")
# Of those, the versions in which others play the melody too.
DOUBLED = 0.4
# Versions with other chords, and of these the largest share of chords.
REHARMONISED, OTHER_CHORDS = 0.25, 0.6
# Versions with chords of four notes, and of these the fewest of the triads.
EXTENDED, FEWEST_EXTENDED = 0.35, 0.3
# Versions in which players fall silent for sections, and how readily; those whose
# melody is free of the beat, and by how many beats.
WITH_RESTS, RESTS = 0.4, (0.1, 0.4)
FREE, FREEDOM = 0.3, (0.02, 0.15)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = cli.parser("synth.draw", __doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the data set"
    )
    add_archive_options(parser, "drawn")
    parser.add_argument(
        "--versions",
        type=cli.positive_int,
        default=6,
        help="number of versions of each work",
    )
    parser.add_argument(
        "--works", type=cli.positive_int, help="largest number of works (default: all)"
    )
    parser.add_argument(
        "--pool",
        type=cli.positive_int,
        default=20,
        help="frames of the transform in one of the features, a multiple of 5",
    )
    parser.add_argument(
        "--seed", type=cli.natural_int, default=0, help="seed of all random choices"
    )
    parser.add_argument(
        "--workers",
        type=cli.positive_int,
        default=usable_cores(),
        help="number of processes",
    )
    options = parser.parse_args(arguments)
    cli.require_extra("synth", "music21", "mido")

    options.out.mkdir(parents=True, exist_ok=True)
    scores = read_scores(
        options.out / "scores.jsonl", chosen_archives(options), options.workers
    )
    works = choose_works(scores, options.seed)[: options.works]
    draw(works, options.out, options.versions, options.pool, options.workers)
    print(f"{len(works)} works, {options.versions} versions each: {options.out}")
    return cli.OK


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
    # The usual tempo follows from the notes, so those beyond must go.
    melody = tuple(
        note
        for note in score.melody
        if any(start <= note.onset < end for start, end in spans)
    )
    return replace(score, sections=sections, melody=melody)


def draw(
    works: Sequence[Work], out: Path, versions: int, pool: int, workers: int
) -> None:
    """Write the data set: store with scores, `tracks.csv` and `sources.csv`.

    Args:
        works: what is played.
        out: the data set's folder.
        versions: number of versions of each work; a work's scores take turns.
        pool: frames averaged into one.
        workers: processes.
    """
    frontend = Frontend(pool=pool)
    store = out / "store"
    with (
        FeatureStoreWriter(store, frontend) as writer,
        NoteWriter(store, frontend.n_bins) as scores,
        ProcessPoolExecutor(workers) as processes,
        progress_bar(total=len(works), unit="work", desc="drawn") as bar,
    ):
        # Some hundred works at a time, so that few results wait in memory.
        for batch in _batches(works, 50 * workers):
            todo = []
            for work in batch:
                entry = writer.find(f"{work.id}-{versions - 1}")
                if entry is None or entry not in scores:
                    todo.append(work)
            drawn = processes.map(
                _draw_work, todo, [versions] * len(todo), [frontend] * len(todo)
            )
            for work, recordings in zip(todo, drawn, strict=True):
                for number, (features, score) in enumerate(recordings):
                    add_with_notes(
                        writer, scores, f"{work.id}-{number}", features, score
                    )
            bar.update(len(batch))
    write_csv(
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
    write_sources(out / "sources.csv", works)


def _batches(works: Sequence[Work], size: int) -> Iterator[Sequence[Work]]:
    for start in range(0, len(works), size):
        yield works[start : start + size]


def _draw_work(
    work: Work, versions: int, frontend: Frontend
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return features (n_bins, T) and score (2, n_bins, T) of each version."""
    drawn = []
    first: Style | None = None
    for number in range(versions):
        score = work.scores[number % len(work.scores)]
        seed = f"{score.title}/{score.collection}/{number}".encode()
        rng = np.random.default_rng(zlib.crc32(seed))
        style = draw_style(score, rng)
        first = first or style
        # Covers often keep the accompaniment of the version that they cover.
        if score is work.scores[0] and rng.random() < SAME_ARRANGEMENT:
            style = replace(
                style,
                layers=first.layers,
                written=first.written,
                intro_bars=first.intro_bars,
            )
        style = vary(style, rng)
        performance = arrange(score, style, rng)
        lead_in = float(rng.uniform(0.0, 2.0))
        features = draw_features(performance, frontend, rng, lead_in)
        drawn.append(
            (
                features,
                draw_score(performance, frontend, lead_in, features.shape[1]),
            )
        )
    return drawn


def vary(style: Style, rng: np.random.Generator) -> Style:
    """Return a style with features that the embedded set's versions do not have."""
    if style.written and rng.random() < WITH_DRUMS:
        style = replace(style, layers=(("drums", 0),))
    if rng.random() < FULLER:
        style = fuller(style, rng)
    if rng.random() < REHARMONISED:
        style = replace(style, reharmonise=float(rng.uniform(0.1, OTHER_CHORDS)))
    style = replace(style, groove=str(rng.choice(["", *GROOVES])))
    if rng.random() < WITH_RESTS:
        style = replace(style, rests=float(rng.uniform(*RESTS)))
    if rng.random() < FREE:
        style = replace(style, freedom=float(rng.uniform(*FREEDOM)))
    if rng.random() < EXTENDED:
        style = replace(style, extended=float(rng.uniform(FEWEST_EXTENDED, 1.0)))
    return style


def fuller(style: Style, rng: np.random.Generator) -> Style:
    """Return a style in which one to three more players join the accompaniment."""
    joining = rng.choice(JOINING, int(rng.integers(1, 4)), replace=False)
    style = replace(style, layers=style.layers + tuple((str(p), 0) for p in joining))
    if rng.random() < DOUBLED:
        style = replace(style, doubling=(0, int(rng.integers(-1, 2))))
    return style


if __name__ == "__main__":
    cli.run(main)
