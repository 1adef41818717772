"""Measuring an encoder on a data set by the set's protocol."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bytecover_tf import cli, metrics
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.feature_store import FeatureStore, write_atomically

if TYPE_CHECKING:
    from bytecover_tf.encoder import Encoder


@dataclass(frozen=True)
class Evaluation:
    """A search of all queries among all references.

    Attributes:
        queries: tracks that asked.
        references: tracks that were searched.
        query_embeddings: (Q, dim), unit norm.
        reference_embeddings: (R, dim), unit norm.
        scores: of each query.
        metrics: `map`, `p_at_10`, `mr1`, `map_interval` (95%, resampling works),
            `queries` (those with a version to find) and `references`.
    """

    queries: list[Track]
    references: list[Track]
    query_embeddings: np.ndarray
    reference_embeddings: np.ndarray
    scores: metrics.QueryScores
    metrics: dict[str, Any]


def evaluate_tracks(
    encoder: Encoder, tracks: Sequence[Track], store: FeatureStore
) -> Evaluation:
    """Embed whole tracks and search each among the others.

    Args:
        encoder: to be measured.
        tracks: with their roles; a query is not compared with itself.
        store: holds their features, made with the encoder's frontend.

    Raises:
        FrontendMismatch: the features were made otherwise.
        StoreError: the store lacks a track.
    """
    encoder.frontend.check_same(store.frontend, str(store.path))
    embeddings = encoder.embed_features(store.features(track.path) for track in tracks)
    return search(tracks, embeddings)


def search(tracks: Sequence[Track], embeddings: np.ndarray) -> Evaluation:
    """Score the search of each query track among the reference tracks.

    Args:
        tracks: with their roles.
        embeddings: (tracks, dim), unit norm.

    Raises:
        DataError: no query has a version among the references.
    """
    asks = [i for i, track in enumerate(tracks) if track.role != "reference"]
    answers = [i for i, track in enumerate(tracks) if track.role != "query"]
    queries = [tracks[i] for i in asks]
    references = [tracks[i] for i in answers]
    works = [track.work for track in queries]
    scores = metrics.evaluate_embeddings(
        embeddings[asks],
        embeddings[answers],
        works,
        [track.work for track in references],
        [track.id for track in queries],
        [track.id for track in references],
    )
    if not len(scores.query):
        raise DataError(
            f"nothing to measure: none of {len(queries)} queries has another version "
            f"among {len(references)} references"
        )
    figures = {
        **scores.summary(),
        "map_interval": list(metrics.bootstrap_interval(scores, works)),
        "references": len(references),
    }
    return Evaluation(
        queries, references, embeddings[asks], embeddings[answers], scores, figures
    )


def describe(figures: dict[str, Any]) -> str:
    """Return the metrics as one line."""
    low, high = figures["map_interval"]
    return (
        f"MAP {figures['map']:.3f} [{low:.3f}, {high:.3f}]  "
        f"P@10 {figures['p_at_10']:.3f}  MR1 {figures['mr1']:.2f}  "
        f"({figures['queries']} queries, {figures['references']} references)"
    )


def choose_split(tracks: Sequence[Track], split: str) -> list[Track]:
    """Return the tracks of one split, or all.

    Raises:
        DataError: the split has no tracks.
    """
    chosen = [track for track in tracks if split in ("all", track.split)]
    if not chosen:
        found = ", ".join(sorted({track.split for track in tracks})) or "none"
        raise DataError(f"no track of split {split!r}; the data has {found}")
    return chosen


def check_unseen(
    encoder: Encoder, name: str, tracks: Sequence[Track], store: FeatureStore
) -> None:
    """Refuse tracks that the encoder was trained on.

    Args:
        encoder: remembers works and recordings of its training.
        name: of the data set; works are compared within one set only, since
            another names them otherwise.
        tracks: to be evaluated.
        store: knows the tracks' content.

    Raises:
        DataError: a work or a recording was trained on.
    """
    seen = encoder.info.get("trained_on")
    if seen is None:
        return
    known = set(seen["works"]) if seen["data"] == name else set()
    works = sorted({track.work for track in tracks} & known)
    content = set(seen["content"])
    copies = [track.path for track in tracks if content_mark(store, track) in content]
    if works or copies:
        raise DataError(
            f"{name}: the encoder was trained on {len(works)} of these works and "
            f"{len(copies)} of these recordings, such as "
            f"{', '.join([*works[:3], *copies[:3]])}; figures on them mean nothing. "
            "Choose another --split, or measure all the same with --allow-leakage"
        )


def content_mark(store: FeatureStore, track: Track) -> str:
    """Return twelve digits of the hash of a track's content."""
    return store.entry(track.path).key[:12]


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate an encoder; return the exit status."""
    parser = cli.parser("evaluate", DESCRIPTION)
    parser.add_argument(
        "--encoder",
        required=True,
        metavar="RUN_OR_FILE",
        help="a run directory of train, or an encoder.keras",
    )
    cli.add_data_arguments(parser, default="tunes")
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test", "all"),
        default="test",
        help="which tracks to search",
    )
    parser.add_argument(
        "--allow-leakage",
        action="store_true",
        help="measure although works or recordings were trained on",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures there"
    )
    parser.add_argument(
        "--plots",
        type=Path,
        metavar="DIR",
        help="draw the ranks of first hits and the similarities of versions and "
        "others there, as PNG",
    )
    options = parser.parse_args(arguments)

    from bytecover_tf.encoder import load_encoder
    from bytecover_tf.features import default_store, open_features

    encoder = load_encoder(options.encoder)
    tracks = choose_split(cli.read_tracks(options), options.split)
    store_path = options.features or default_store(
        options.data, options.data_root, encoder.frontend
    )
    usable, store = open_features(
        tracks, store_path, encoder.frontend, options.workers, options.source_pool
    )
    if not options.allow_leakage:
        check_unseen(encoder, options.data, usable, store)
    result = evaluate_tracks(encoder, usable, store)
    print(f"{options.data} {options.split}: {describe(result.metrics)}")
    if options.json:
        figures = {
            **result.metrics,
            "data": options.data,
            "split": options.split,
            "skipped": len(tracks) - len(usable),
            "encoder": str(options.encoder),
            "frontend": encoder.frontend.to_dict(),
            "leakage_checked": not options.allow_leakage,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.json, json.dumps(figures, indent=1) + "\n")
    if options.plots:
        from bytecover_tf.plots import plot_evaluation

        for path in plot_evaluation(result, options.plots):
            print(f"drawn: {path}")
    return cli.OK if len(usable) == len(tracks) else cli.SOME_FAILED


DESCRIPTION = """\
Measure an encoder by its data set's protocol: MAP, P@10 and MR1.

Covers80 and SHS100K-TEST search all against all, Da-TACOS 13 000 queries among
15 000 recordings, YouTube350 250 queries among 100. Works or recordings that the
encoder was trained on are refused. Missing features are extracted first.

examples:
  python -m bytecover_tf.evaluate --encoder runs/tunes
  python -m bytecover_tf.evaluate --encoder encoder.keras --data covers80 \\
      --data-root covers80 --json covers80.json --plots plots
"""


if __name__ == "__main__":
    cli.run(main)
