"""Measures an encoder on a data set by the set's protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf import metrics
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.terminal import warn

if TYPE_CHECKING:
    from bytecover_tf.encoders.encoder import Embedded, Encoder


class Figures(metrics.Metrics):
    """The metrics of a search.

    Attributes:
        map_interval: bounds of a 95% interval of MAP, by resampling works.
        references: number of references that were searched.
    """

    map_interval: list[float]
    references: int


@dataclass(frozen=True)
class Evaluation:
    """A search of all queries among all references.

    Attributes:
        queries: tracks that were searched for.
        references: tracks that were searched among.
        block: gives the similarities, a block of queries at a time.
        scores: scores of each query.
        metrics: its figures.
    """

    queries: list[Track]
    references: list[Track]
    block: metrics.Block
    scores: metrics.QueryScores
    metrics: Figures


def evaluate_tracks(
    encoder: Encoder,
    tracks: Sequence[Track],
    store: FeatureStore,
) -> Evaluation:
    """Embed whole tracks and search each among the others.

    Tracks that cannot be embedded are named on standard error and left out.

    Args:
        encoder: the encoder to measure.
        tracks: recordings with their roles; a query is not compared with itself.
        store: holds their features, made with the encoder's frontend.

    Raises:
        DataError: no track can be embedded, or no query has a version among the
            references.
        FrontendMismatch: the features were made otherwise.
        StoreError: the store lacks a track.
    """
    encoder.frontend.check_same(store.frontend, str(store.path))
    features = (store.features(track.path) for track in tracks)
    found = encoder.try_features(features, [track.path for track in tracks])
    return search(*embedded_tracks(tracks, found))


def embedded_tracks(
    tracks: Sequence[Track], found: Embedded
) -> tuple[list[Track], np.ndarray]:
    """Leave out tracks that could not be embedded, and name them on standard error.

    Args:
        tracks: recordings.
        found: what an encoder returned of them.

    Returns:
        The tracks that are left and their embeddings, (tracks, dim), unit norm.

    Raises:
        DataError: none could be embedded.
    """
    for reason in found.errors.values():
        warn(f"skipped: {reason}")
    usable = [index for index in range(len(tracks)) if index not in found.errors]
    if tracks and not usable:
        raise DataError(f"none of {len(tracks)} recordings can be embedded")
    return [tracks[index] for index in usable], found.vectors[usable]


def search(tracks: Sequence[Track], embeddings: np.ndarray) -> Evaluation:
    """Score the search of each query track among the reference tracks.

    Args:
        tracks: recordings with their roles.
        embeddings: (tracks, dim), unit norm.

    Raises:
        DataError: no query has a version among the references.
    """
    asks = [i for i, track in enumerate(tracks) if track.role != "reference"]
    answers = [i for i, track in enumerate(tracks) if track.role != "query"]
    queries = [tracks[i] for i in asks]
    references = [tracks[i] for i in answers]
    block = metrics.similarities(
        embeddings[asks],
        embeddings[answers],
        [track.id for track in queries],
        [track.id for track in references],
    )
    return score(queries, references, block)


def score(
    queries: list[Track], references: list[Track], block: metrics.Block
) -> Evaluation:
    """Score a search by any similarity.

    Args:
        queries: tracks to search for.
        references: tracks to search among.
        block: gives the similarities of both.

    Raises:
        DataError: no query has a version among the references.
    """
    _check_versions(queries, references, "queries")
    works = [track.work for track in queries]
    scores = metrics.score_queries(block, works, [track.work for track in references])
    figures = summarize(scores, works, len(references))
    return Evaluation(queries, references, block, scores, figures)


def summarize(
    scores: metrics.QueryScores, works: Sequence[str], references: int
) -> Figures:
    """Return `Evaluation.metrics`.

    Args:
        scores: scores of the queries.
        works: labels of all queries.
        references: number of references that were searched.
    """
    return {
        **scores.summary(),
        "map_interval": list(metrics.bootstrap_interval(scores, works)),
        "references": references,
    }


def describe(figures: Figures) -> str:
    """Return the metrics as one line."""
    low, high = figures["map_interval"]
    return (
        f"MAP {figures['map']:.3f} [{low:.3f}, {high:.3f}]  "
        f"P@10 {figures['p_at_10']:.3f}  MR1 {figures['mr1']:.2f}  "
        f"({figures['queries']} queries, {figures['references']} references)"
    )


def describe_further(figures: Figures) -> str:
    """Return the metrics that `describe` leaves out as one line."""
    return (
        f"first at 1 {figures['hit_at_1']:.3f}  within 10 {figures['hit_at_10']:.3f}  "
        f"MRR {figures['mrr']:.3f}  median rank {figures['median_rank']:g}  "
        f"NAR {figures['nar']:.4f}  "
        f"found at 1% false alarms {figures['open_set_recall']:.3f}"
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


def check_measurable(tracks: Sequence[Track]) -> None:
    """Refuse tracks on which nothing can be measured.

    Raises:
        DataError: no query has a version among the references.
    """
    queries, references = by_role(tracks)
    _check_versions(queries, references, f"{tracks[0].split} queries")


def _check_versions(
    queries: Sequence[Track], references: Sequence[Track], what: str
) -> None:
    """Refuse a search in which no query has a version to find."""
    versions: dict[str, set[str]] = defaultdict(set)
    for track in references:
        versions[track.work].add(track.id)
    if not any(versions[track.work] - {track.id} for track in queries):
        raise DataError(
            f"nothing to measure: none of {len(queries)} {what} has another version "
            f"among {len(references)} references"
        )


def by_role(tracks: Sequence[Track]) -> tuple[list[Track], list[Track]]:
    """Return the queries and the references among tracks."""
    queries = [track for track in tracks if track.role != "reference"]
    return queries, [track for track in tracks if track.role != "query"]


def check_unseen(
    encoder: Encoder, name: str, tracks: Sequence[Track], content: Mapping[str, str]
) -> None:
    """Refuse tracks that the encoder was trained on; warn if it does not say all.

    Args:
        encoder: the encoder, which records the works and recordings of its training.
        name: name of the data set.
        tracks: recordings to evaluate.
        content: the SHA-256 of their files by path.

    Raises:
        DataError: a work or a recording was trained on.
    """
    seen = Provenance.recorded_in(encoder.info)
    if not seen.is_whole:
        warn(
            "warning: the encoder does not say all that it was trained on, so it may "
            f"know these recordings of {name}"
        )
    works, copies = seen.overlap(name, tracks, content)
    if works or copies:
        raise DataError(
            f"{name}: the encoder was trained on {len(works)} of these works and "
            f"{len(copies)} of these recordings, such as "
            f"{', '.join([*works[:3], *copies[:3]])}; figures on them mean nothing"
        )
