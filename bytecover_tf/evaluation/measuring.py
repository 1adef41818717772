"""What `evaluate` measures: an encoder, with alignment if asked, or another system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bytecover_tf.data.provenance import Provenance
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.evaluation.foreign import search_embeddings, search_similarities
from bytecover_tf.evaluation.protocol import (
    Evaluation,
    Figures,
    check_unseen,
    embedded_tracks,
    evaluate_tracks,
    search,
)
from bytecover_tf.evaluation.reranking import rerank
from bytecover_tf.files import JsonObject, content_hash
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.terminal import warn


class Aligned(Figures):
    """The figures of a search with alignment.

    Attributes:
        candidates: number of references that each query was aligned with.
    """

    candidates: int


@dataclass(frozen=True)
class Measured:
    """A search and what to record about it.

    Attributes:
        result: the search and its figures.
        facts: what was measured, and whether leakage was checked.
        aligned: the figures with alignment, if there was any.
        failed: reason by track, for each that could not be embedded or that another
            system says nothing of.
    """

    result: Evaluation
    facts: JsonObject
    aligned: Aligned | None
    failed: dict[str, str]


def measure_encoder(
    encoder: Encoder,
    path: str,
    data: str,
    tracks: Sequence[Track],
    store: FeatureStore,
    align: int | None = None,
    allow_leakage: bool = False,
) -> Measured:
    """Measure an encoder.

    Args:
        encoder: the encoder to measure.
        path: where it was loaded from.
        data: name of the data set.
        tracks: its recordings, with their roles.
        store: holds their features.
        align: how many references to align each query with; None for no alignment.
        allow_leakage: whether to measure on what the encoder was trained on.

    Raises:
        DataError: the encoder was trained on a work or recording, or no query has a
            version among the references.
        FrontendMismatch: the features were made with another frontend.
        ConfigError: the features cannot be aligned.
    """
    content = store.content(track.path for track in tracks)
    is_checked = _check_content(encoder, data, tracks, content, allow_leakage)
    result = evaluate_tracks(encoder, tracks, store)
    searched = {track.id for track in (*result.queries, *result.references)}
    failed = {
        track.path: "cannot be embedded" for track in tracks if track.id not in searched
    }
    aligned = None
    if align:
        figures = rerank(encoder, path, result, store, align)
        aligned = Aligned(candidates=align, **figures)
    return Measured(result, _facts(encoder, path, is_checked), aligned, failed)


def measure_sound(
    encoder: Encoder,
    path: str,
    data: str,
    tracks: Sequence[Track],
    allow_leakage: bool = False,
) -> Measured:
    """Measure an encoder that reads samples.

    Args:
        encoder: the encoder to measure.
        path: where it was loaded from.
        data: name of the data set.
        tracks: the recordings, with their roles; their paths are audio files.
        allow_leakage: as of `measure_encoder`.

    Raises:
        DataError: as of `measure_encoder`, or no track can be embedded.
    """
    content = {}
    for track in tracks:
        with suppress(OSError):  # embedding says what is wrong with it
            content[track.path] = content_hash(track.path)
    is_checked = _check_content(encoder, data, tracks, content, allow_leakage)
    found = encoder.try_audio(track.path for track in tracks)
    result = search(*embedded_tracks(tracks, found))
    failed = {tracks[index].path: reason for index, reason in found.errors.items()}
    return Measured(result, _facts(encoder, path, is_checked), None, failed)


def _check_content(
    encoder: Encoder,
    data: str,
    tracks: Sequence[Track],
    content: Mapping[str, str],
    allow_leakage: bool,
) -> bool:
    """Refuse what the encoder was trained on, and warn of copies among the tracks.

    Returns:
        Whether it is known that the encoder was trained on none of them.
    """
    if not allow_leakage:
        check_unseen(encoder, data, tracks, content)
    known = [
        (content[track.path], track.work) for track in tracks if track.path in content
    ]
    if copies := len(known) - len(set(known)):
        warn(
            f"warning: {copies} of {len(tracks)} recordings are copies of others; each "
            "counts as a version of the other"
        )
    if copies := len(set(known)) - len({key for key, _ in known}):
        warn(
            f"warning: {copies} of {len(tracks)} recordings are copies of others that "
            "have another work; each counts as a wrong answer to the other"
        )
    return Provenance.recorded_in(encoder.info).is_whole and not allow_leakage


def _facts(encoder: Encoder, path: str, leakage_checked: bool) -> JsonObject:
    return {
        "encoder": str(path),
        "frontend": encoder.frontend.to_dict(),
        "leakage_checked": leakage_checked,
    }


def measure_file(
    tracks: Sequence[Track],
    embeddings: Path | None = None,
    similarities: Path | None = None,
) -> Measured:
    """Measure another system by the file that it wrote.

    Args:
        tracks: the recordings, with their roles.
        embeddings: its embeddings, see `foreign.search_embeddings`; or
        similarities: its similarities, see `foreign.search_similarities`.

    Raises:
        DataError: the file is missing or malformed, or nothing is left to measure.
    """
    if embeddings is not None:
        result, failed = search_embeddings(tracks, embeddings)
    else:
        assert similarities is not None
        result, failed = search_similarities(tracks, similarities)
    facts = {"file": str(embeddings or similarities), "leakage_checked": False}
    return Measured(result, facts, None, failed)
