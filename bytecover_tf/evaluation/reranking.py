"""Measures both stages of a search on a data set whose works are known.

`identify` searches a catalogue. Here the tracks of a data set are searched among each
other by its protocol, which gives MAP, P@10 and MR1 of the whole system as
`evaluation.protocol` gives those of the embeddings.
"""

from __future__ import annotations

import numpy as np

from bytecover_tf import metrics
from bytecover_tf.audio.chroma import check_pool, chroma_of_cqt
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.evaluation.protocol import Evaluation, Figures, summarize
from bytecover_tf.matching.alignment import align_many
from bytecover_tf.matching.calibration import (
    LEAST,
    Calibration,
    Pairs,
    choose_calibration,
)
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.feature_store import FeatureStore


def check_frontend(frontend: Frontend) -> None:
    """Refuse features that chroma cannot be folded from.

    Raises:
        ConfigError: a frame of them is not a part of one of chroma.
    """
    check_pool(frontend, frontend.pool, "the encoder's features")


def rerank(
    encoder: Encoder,
    path: str,
    found: Evaluation,
    store: FeatureStore,
    count: int,
) -> Figures:
    """Measure `align_nearest` with the calibration that comes with an encoder.

    Args:
        encoder: the encoder that searched.
        path: where it was loaded from; its calibration is looked for beside it.
        found: the search by embeddings.
        store: holds the features of all tracks.
        count: how many references each query is aligned with.

    Returns:
        The metrics, as in `Evaluation.metrics`.

    Raises:
        ConfigError: a frame of the features is not a part of one of chroma.
    """
    checksum = Identity.of(encoder, path).encoder
    return align_nearest(found, store, choose_calibration(checksum, path), count)


def align_nearest(
    found: Evaluation,
    store: FeatureStore,
    calibration: Calibration,
    count: int,
    workers: int | None = None,
) -> Figures:
    """Align each query with its nearest references, and rank these first.

    They are ranked by the probability that `identify` gives in a catalogue that hears
    no notes; the other references follow by similarity. Even a long query is searched
    as a whole. For the open set, in which each query is asked once more without the
    references of its work, the nearest of the others are aligned as well.

    Args:
        found: the search by embeddings.
        store: holds the features of all tracks.
        calibration: gives the probabilities.
        count: how many references each query is aligned with.
        workers: threads; by default one per core.

    Returns:
        The metrics, as in `Evaluation.metrics`.

    Raises:
        ConfigError: a frame of the features is not a part of one of chroma.
    """
    check_frontend(store.frontend)
    asking = [_chroma(track, store) for track in found.queries]
    answering = [_chroma(track, store) for track in found.references]
    works = np.array([track.work for track in found.queries])
    answers = np.array([track.work for track in found.references])
    strangers = np.full(len(asking), -np.inf)
    with progress_bar(total=len(asking), unit="query", desc="align") as bar:

        def block(rows: slice) -> tuple[np.ndarray, np.ndarray]:
            similarity, itself = found.block(rows)
            values = similarity.astype(float)
            for row, query in enumerate(asking[rows]):
                number = rows.start + row
                order = np.argsort(-similarity[row], kind="stable")
                order = order[~itself[row, order]]
                nearest = order[:count]
                others = order[answers[order] != works[number]][:count]
                further = others[~np.isin(others, nearest)]
                chosen = np.concatenate([nearest, further])
                references = [answering[one] for one in chosen]
                pairs = Pairs.of(
                    query,
                    references,
                    align_many(query, references, workers),
                    similarity[row, chosen],
                    max(len(answering), LEAST),
                )
                # Rank them above all cosines.
                ranks = 2 + calibration.probability(pairs)
                values[row, nearest] = ranks[: len(nearest)]
                is_other = answers[chosen] != works[number]
                strangers[number] = ranks[is_other].max(initial=-np.inf)
                bar.update()
            return values, itself

        scores = metrics.score_queries(block, works.tolist(), answers.tolist())
    figures = summarize(scores, works.tolist(), len(answering))
    threshold = metrics.exceeded_by(strangers, metrics.FALSE_ALARMS)
    figures["open_set_recall"] = float(scores.found(threshold).mean())
    return figures


def _chroma(track: Track, store: FeatureStore) -> np.ndarray:
    # Chroma does not depend on a constant factor, so features do as well as amplitudes.
    frontend = store.frontend
    return chroma_of_cqt(
        store.features(track.path), frontend.pool, frontend, track.path
    )
