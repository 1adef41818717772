"""Which recordings of a catalogue a query is a version of, and how sure that is.

First the recordings with the nearest embeddings are chosen; then the chroma of these
candidates is aligned with that of the query, which tells versions from neighbours and
says where they match; both together give the probability.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.decoding import declared_duration
from bytecover_tf.audio.frontend import LONGEST_WORK, Frontend
from bytecover_tf.audio.hearing import Heard, Hearing
from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Hit, Recording
from bytecover_tf.catalogues.segments import windows_of
from bytecover_tf.catalogues.tags import read_tags
from bytecover_tf.cores import begun_early, usable_cores
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import AudioError, explain
from bytecover_tf.files import JsonObject
from bytecover_tf.matching.alignment import Alignment, prepare
from bytecover_tf.matching.calibration import (
    LEAST,
    Calibration,
    Pairs,
    calibration_for,
)
from bytecover_tf.matching.relation import Relation, relation, straightness
from bytecover_tf.matching.screening import align_likely
from bytecover_tf.stores.extraction import Extracted, Reader

CANDIDATES = 100
"""How many recordings a query of four minutes is compared with."""

# An embedding says little of a short clip, and alignment is quick: as many frames of
# chroma as 100 candidates and a query of four minutes make, and so 2 300 candidates of
# ten seconds.
_FRAMES = CANDIDATES * 520

Align: TypeAlias = Callable[
    [
        np.ndarray,
        Sequence[np.ndarray],
        np.ndarray,
        int | None,
        np.ndarray | None,
    ],
    list[Alignment],
]
"""What aligns a query with references, as `align_likely` does."""

# From this probability on, a match is taken for a version and has a kind.
_LIKELY = 0.5

# Milvus returns no more.
_MOST_HITS = 16_384


@dataclass(frozen=True)
class Query:
    """A recording to identify.

    Attributes:
        name: what the answer calls it.
        features: float32 (n_bins, T), as the encoder reads them.
        chroma: uint8 (12 * parts, n).
        content: SHA-256 of its file, if there is one.
        artist: as the tags of its file name it; empty if they do not.
        heard: the notes in it, for an encoder that reads them.
        later: of a clip, the chroma of frames that begin half a frame later, if it is
            known.
    """

    name: str
    features: np.ndarray
    chroma: np.ndarray
    content: str = ""
    artist: str = ""
    heard: Heard | None = None
    later: np.ndarray | None = None

    @classmethod
    def read(
        cls,
        path: str | Path,
        frontend: Frontend,
        hearing: Hearing | None = None,
        allow_truncated: bool = False,
    ) -> Query:
        """Read a file.

        Args:
            path: an audio file, or a `.npy` file with |CQT|.
            frontend: of the encoder.
            hearing: the network that heard the catalogue's notes.
            allow_truncated: whether to take what is there of a truncated file.

        Raises:
            AudioError: it cannot be used.
        """
        read = Reader(
            frontend, with_chroma=True, hearing=hearing, allow_truncated=allow_truncated
        ).read(str(path))
        assert read.features is not None
        return cls.of_extracted(path, read, read.features)

    @classmethod
    def of_extracted(
        cls, path: str | Path, read: Extracted, features: np.ndarray
    ) -> Query:
        """Take what was read of a file with its chroma.

        Args:
            path: the file, whose tags are read.
            read: what a `Reader` returned.
            features: (n_bins, T), as the encoder reads them.
        """
        assert read.chroma is not None
        return cls(
            str(path),
            features,
            read.chroma,
            read.key,
            read_tags(path).artist,
            read.heard,
            read.later,
        )

    @classmethod
    def of_samples(
        cls,
        samples: np.ndarray,
        frontend: Frontend,
        name: str = "waveform",
        hearing: Hearing | None = None,
    ) -> Query:
        """Take samples at the frontend's rate: float (samples,).

        Raises:
            AudioError: they are silent, not finite or too few.
        """
        sound = frontend.sound(samples, name, hearing)
        if not sound.chroma.shape[1]:
            raise AudioError(f"{name}: shorter than one frame of chroma")
        return cls(name, **sound._asdict())

    def without_features(self) -> Query:
        """Return what alignment reads of it; the features of hours take much memory."""
        return replace(self, features=np.empty((0, 0), np.float32), heard=None)


@dataclass(frozen=True)
class Match:
    """A recording that may be a version of the query, and what speaks for it.

    Attributes:
        recording: of the catalogue.
        similarity: cosine of the embeddings, the best of query and recording as a
            whole and of their windows.
        score: of the alignment.
        probability: that the two perform the same work; 1 for the same content.
        query_start: in seconds, of the stretch that matches best.
        query_end: in seconds.
        recording_start: in seconds, of the stretch that it matches.
        recording_end: in seconds.
        transposition: semitones from the query up to the recording, -5 to 6.
        tempo_ratio: the recording's tempo over the query's; None if nothing matches.
        is_same: whether both are the same content.
        relation: what kind of version it is; None if it hardly is one.
    """

    recording: Recording
    similarity: float
    score: float
    probability: float
    query_start: float
    query_end: float
    recording_start: float
    recording_end: float
    transposition: int
    tempo_ratio: float | None
    is_same: bool
    relation: Relation | None = None

    def to_dict(self) -> JsonObject:
        """Return the match as a JSON object, or a row of CSV."""
        kind = self.relation
        return {
            "work": self.recording.work,
            "recording": self.recording.path,
            "similarity": round(self.similarity, 4),
            "probability": round(self.probability, 4),
            **self.recording.facts,
            "id": self.recording.id,
            "same_recording": self.is_same,
            "score": round(self.score, 3),
            "query_start": round(self.query_start, 2),
            "query_end": round(self.query_end, 2),
            "recording_start": round(self.recording_start, 2),
            "recording_end": round(self.recording_end, 2),
            "transposition": self.transposition,
            "tempo_ratio": self.tempo_ratio and round(self.tempo_ratio, 3),
            "relation": kind and kind.kind,
            "relation_probability": kind and round(kind.probability, 4),
        }


@dataclass(frozen=True)
class Answer:
    """What was found for a query.

    Attributes:
        query: its name.
        verdict: `version`, `unsure` or `none`; empty if it could not be read.
        matches: the most probable first.
        error: why it could not be read.
    """

    query: str
    verdict: str = ""
    matches: list[Match] = field(default_factory=list)
    error: str = ""

    def to_dict(self) -> JsonObject:
        """Return the answer as a JSON object."""
        if self.error:
            return {"query": self.query, "error": self.error}
        matches = [match.to_dict() for match in self.matches]
        return {"query": self.query, "verdict": self.verdict, "matches": matches}


def identify(
    catalogue: Catalogue,
    encoder: Encoder,
    paths: Iterable[str | Path],
    calibration: Calibration | None = None,
    top: int = 10,
    candidates: int | None = None,
    workers: int | None = None,
    allow_truncated: bool = False,
) -> Iterator[Answer]:
    """Identify files, reading the next ones while one is compared.

    Args:
        catalogue: what to search.
        encoder: the one that made the catalogue.
        paths: audio files of any length.
        calibration: gives the probabilities; by default what `calibration_for`
            finds for the catalogue.
        top: how many matches to return of each.
        candidates: how many recordings to align each with; by default `CANDIDATES`,
            more for queries under four minutes.
        workers: threads; by default one per core.
        allow_truncated: whether to take what is there of truncated files.

    Yields:
        An answer for each file, in order; one that cannot be used has an error.

    Raises:
        CatalogueError: the catalogue cannot be read, or the network that heard its
            notes is gone.
    """
    identity = catalogue.identity
    hearing = identity.load_hearing(catalogue.address)
    calibration = calibration or calibration_for(identity)
    among = catalogue.count()

    def attempt(path: str | Path) -> Query | str:
        try:
            return Query.read(path, encoder.frontend, hearing, allow_truncated)
        except Exception as error:  # one bad file must not stop a batch
            return explain(error, path)

    paths = list(paths)
    threads = workers or usable_cores()
    with ThreadPoolExecutor(threads) as pool:
        # Loaded loops take as much memory as hours of frames. A long file takes so long
        # to read that they can wait.
        if not any(declared_duration(path) > LONGEST_WORK for path in paths[:1]):
            pool.submit(prepare)
        # Reading is faster than comparing, and what is read takes memory.
        queries = begun_early(pool, attempt, paths, 2 * threads)
        for path in paths:
            # Not by `zip`, which would hold the query while it is aligned.
            query = next(queries)
            if isinstance(query, str):
                yield Answer(str(path), error=query)
                continue
            try:
                hits = candidates_of(catalogue, encoder, query, candidates)
            except AudioError as error:
                yield Answer(str(path), error=str(error))
                continue
            query = query.without_features()
            found = align_hits(catalogue, query, hits, among, workers)
            matches = found.matches(calibration)
            best = matches[0].probability if matches else 0.0
            yield Answer(query.name, calibration.verdict(best), matches[:top])


@dataclass(frozen=True)
class Comparison:
    """A query beside the candidates of a catalogue.

    Attributes:
        query: what was compared.
        recordings: the candidates.
        chroma: uint8 (12 * parts, m) of each.
        alignments: of the query with each.
        pairs: what was measured of each.
        frame_seconds: duration of a frame of chroma.
    """

    query: Query
    recordings: Sequence[Recording]
    chroma: Sequence[np.ndarray]
    alignments: Sequence[Alignment]
    pairs: Pairs
    frame_seconds: float

    @classmethod
    def of(
        cls,
        query: Query,
        recordings: Sequence[Recording],
        chroma: Sequence[np.ndarray],
        similarity: np.ndarray,
        among: int,
        frame_seconds: float,
        workers: int | None = None,
        align: Align = align_likely,
    ) -> Comparison:
        """Align a query with recordings.

        Args:
            query: what to align.
            recordings: N candidates.
            chroma: uint8 (12 * parts, m) of each.
            similarity: (N,), cosine of its embedding to the query's.
            among: number of recordings in the catalogue.
            frame_seconds: duration of a frame of chroma.
            workers: threads; by default one per core.
            align: aligns them; another than the default may know some alignments.
        """
        alignments = align(query.chroma, chroma, similarity, workers, query.later)
        pairs = Pairs.of(query.chroma, chroma, alignments, similarity, among)
        return cls(query, recordings, chroma, alignments, pairs, frame_seconds)

    def matches(self, calibration: Calibration) -> list[Match]:
        """Return the candidates, the most probable first."""
        matches = [
            self._match(*parts)
            for parts in zip(
                self.recordings,
                self.chroma,
                self.alignments,
                self.pairs.similarity.tolist(),
                calibration.probability(self.pairs).tolist(),
                strict=True,
            )
        ]
        return sorted(
            matches, key=lambda match: (-match.probability, -match.similarity)
        )

    def _match(
        self,
        recording: Recording,
        chroma: np.ndarray,
        alignment: Alignment,
        similarity: float,
        probability: float,
    ) -> Match:
        ratio = 1 / alignment.tempo_ratio
        content = self.query.content  # none of samples that are in no file
        is_same = bool(content) and recording.content == content
        kind = None
        if is_same or probability >= _LIKELY:
            # The same content needs no look, and may last for hours.
            straight = (
                1.0 if is_same else straightness(self.query.chroma, chroma, alignment)
            )
            artists = self.query.artist, recording.artist
            kind = relation(straight, is_same, *artists)
        return Match(
            recording,
            similarity,
            alignment.score,
            1.0 if is_same else probability,
            alignment.query_start * self.frame_seconds,
            alignment.query_end * self.frame_seconds,
            alignment.reference_start * self.frame_seconds,
            alignment.reference_end * self.frame_seconds,
            alignment.transposition,
            None if math.isnan(ratio) else ratio,
            is_same,
            kind,
        )


def align_candidates(
    catalogue: Catalogue,
    encoder: Encoder,
    query: Query,
    among: int | None = None,
    candidates: int | None = None,
    workers: int | None = None,
) -> Comparison:
    """Compare a query with the recordings whose embeddings are nearest.

    Args:
        catalogue: what to search.
        encoder: the one that made the catalogue.
        query: what to compare.
        among: number of recordings in the catalogue, if it is known.
        candidates: how many recordings to compare with, as in `identify`.
        workers: threads; by default one per core.

    Raises:
        AudioError: the query cannot be embedded.
        CatalogueError: the catalogue cannot be read.
    """
    hits = candidates_of(catalogue, encoder, query, candidates)
    return align_hits(
        catalogue, query, hits, catalogue.count() if among is None else among, workers
    )


def candidates_of(
    catalogue: Catalogue, encoder: Encoder, query: Query, count: int | None = None
) -> list[Hit]:
    """Return the recordings that a query should be aligned with.

    Args:
        catalogue: what to search.
        encoder: the one that made the catalogue.
        query: what to compare.
        count: how many, as in `identify`.

    Raises:
        AudioError: the query cannot be embedded.
        CatalogueError: the catalogue cannot be read.
    """
    frames = query.chroma.shape[1]
    count = count or max(CANDIDATES, _FRAMES // frames)
    return nearest(catalogue, embed(encoder, query), count)


def compare(first: Query, second: Query, encoder: Encoder) -> Comparison:
    """Compare a recording with another, as if that alone were in the catalogue.

    Args:
        first: what to compare.
        second: what to compare it with.
        encoder: whose embeddings are compared.

    Raises:
        AudioError: one of them cannot be embedded.
    """
    similarity = np.max(embed(encoder, first) @ embed(encoder, second).T)[None]
    seconds = seconds_per_frame(encoder.frontend)
    duration = second.chroma.shape[1] * seconds
    recording = Recording.of_content(second.content, second.name, duration)
    recording = replace(recording, artist=second.artist)
    return Comparison.of(first, [recording], [second.chroma], similarity, 1, seconds)


def embed(encoder: Encoder, query: Query) -> np.ndarray:
    """Return the embedding of a query, and of windows of a long one: (n, dim).

    Raises:
        AudioError: it cannot be embedded.
    """
    seconds = encoder.frontend.seconds_per_frame
    spans = [(0, query.features.shape[1]), *windows_of(query.features, seconds)]
    vectors, errors = encoder.try_features(
        [query.features[:, start:end] for start, end in spans],
        [query.name] * len(spans),
        [query.heard, *[None] * (len(spans) - 1)],
    )
    if 0 in errors:
        raise AudioError(errors[0])
    # A silent window has none.
    return vectors[[index not in errors for index in range(len(spans))]]


def nearest(catalogue: Catalogue, vectors: np.ndarray, count: int) -> list[Hit]:
    """Return the best hit of each of the recordings nearest to any of some vectors.

    Args:
        catalogue: what to search.
        vectors: (n, dim) of unit norm.
        count: how many recordings to return.

    Returns:
        Hits in different recordings, the most similar first.
    """
    top = min(count, _MOST_HITS)
    while True:
        found = catalogue.search(vectors, top)
        hits = sorted(chain(*found), key=lambda hit: hit.similarity)
        best = {hit.recording.id: hit for hit in hits}
        is_all = all(len(hits) < top for hits in found)
        # A recording with windows takes several places.
        if len(best) >= count or is_all or top == _MOST_HITS:
            ranked = sorted(best.values(), key=lambda hit: -hit.similarity)
            return ranked[:count]
        top = min(4 * top, _MOST_HITS)


def align_hits(
    catalogue: Catalogue,
    query: Query,
    hits: Sequence[Hit],
    among: int,
    workers: int | None = None,
    align: Align = align_likely,
) -> Comparison:
    """Align a query with the recordings of some hits.

    Args:
        catalogue: where the recordings are.
        query: what to align.
        hits: in different recordings.
        among: number of recordings in the catalogue; at least 100 are assumed.
        workers: threads; by default one per core.
        align: as of `Comparison.of`.
    """
    chroma = catalogue.chroma([hit.recording.id for hit in hits])
    # Between the two reads a recording may have been removed.
    hits = [hit for hit in hits if hit.recording.id in chroma]
    references = [chroma[hit.recording.id] for hit in hits]
    return Comparison.of(
        query,
        [hit.recording for hit in hits],
        references,
        np.array([hit.similarity for hit in hits]),
        max(among, LEAST),
        seconds_per_frame(catalogue.identity.frontend),
        workers,
        align,
    )
