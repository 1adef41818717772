"""How many candidates must be aligned to find what aligning all would find?

    python -m benchmarks.accuracy.reranking --source DIR --encoder RUN_OR_FILE

DIR holds the national anthems as `python -m benchmarks.accuracy.anthems` reads them. On
the validation and the test split, each recording is searched among the others of its
split as `identify` does it: the nearest embeddings are the candidates, and these are
ranked by what similarity and alignment say together. The weights of the two are fitted
on the validation split.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.alignment import search
from benchmarks.common.labelled import POOL, SECONDS, Labelled, read_anthems
from benchmarks.common.report import cells, table, write_section
from bytecover_tf.audio.chroma import chroma_of_cqt
from bytecover_tf.catalogues.packing import pack, unpack
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.matching.alignment import align_many
from bytecover_tf.matching.calibration import Calibration, Pairs
from bytecover_tf.matching.fitting import Labels, fit

SPLITS = ("validation", "test")
CANDIDATES = (0, 10, 20, 50, 100)
TIMED = 20


@dataclass(frozen=True)
class Split:
    """A split, and what both stages say of each pair of its N recordings.

    Attributes:
        works: of the recordings.
        features: as the encoder reads them.
        chroma: as a catalogue gives it back.
        similarity: (N, N), row by row of a query to all, cosine of the embeddings.
        score: (N, N), of the alignment.
        disparity: (N, N), of their lengths.
    """

    works: np.ndarray
    features: list[np.ndarray]
    chroma: list[np.ndarray]
    similarity: np.ndarray
    score: np.ndarray
    disparity: np.ndarray

    @classmethod
    def of(cls, items: list[Labelled], encoder: Encoder) -> Split:
        """Embed and align all recordings."""
        features = [
            encoder.frontend.from_cqt(item.cqt, POOL, item.name) for item in items
        ]
        chroma = [unpack(pack(chroma_of_cqt(item.cqt, POOL))) for item in items]
        embeddings = encoder.embed_features(features)
        assert not encoder.errors
        scores = [[a.score for a in align_many(one, chroma)] for one in chroma]
        frames = np.array([item.cqt.shape[1] for item in items])
        return cls(
            np.array([item.work for item in items]),
            features,
            chroma,
            embeddings @ embeddings.T,
            np.array(scores),
            Pairs.disparity_of(frames[:, np.newaxis], frames),
        )

    def __len__(self) -> int:
        return len(self.works)

    @property
    def others(self) -> np.ndarray:
        """Which pairs are not of a recording with itself: bool (N, N)."""
        return ~np.eye(len(self), dtype=bool)

    @property
    def is_version(self) -> np.ndarray:
        """Which pairs are of one work: bool (N, N)."""
        return (self.works[:, np.newaxis] == self.works) & self.others

    def pairs(self) -> tuple[Pairs, Labels]:
        """Return all pairs but those of a recording with itself."""
        chosen = self.others
        pairs = Pairs(
            self.score[chosen],
            self.similarity[chosen],
            self.disparity[chosen],
            len(self),
        )
        return pairs, Labels(np.nonzero(chosen)[0], self.is_version[chosen])

    def probability(self, calibration: Calibration) -> np.ndarray:
        """Return the probability that each pair is one of versions: (N, N)."""
        pairs = Pairs(self.score, self.similarity, self.disparity, len(self))
        return calibration.probability(pairs)

    def candidates(self, count: int) -> np.ndarray:
        """Return which recordings are the nearest to each query: bool (N, N)."""
        similarity = np.where(self.others, self.similarity, -np.inf)
        order = np.argsort(-similarity, axis=1, kind="stable")
        chosen = np.zeros(similarity.shape, bool)
        np.put_along_axis(chosen, order[:, :count], True, axis=1)
        return chosen & self.others


def ranked(candidates: np.ndarray, second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return values that put candidates first, by the second stage; all (N, N)."""
    return np.where(candidates, 2 + second, first)


def milliseconds(split: Split, encoder: Encoder, count: int) -> float:
    """Return the median time to embed a query, find candidates and align them."""
    embeddings = encoder.embed_features(split.features)
    times = []
    for query in np.linspace(0, len(split) - 1, TIMED).astype(int):
        start = time.perf_counter()
        embedding = encoder.embed_features([split.features[query]])[0]
        nearest = np.argsort(-embeddings @ embedding)[:count]
        align_many(split.chroma[query], [split.chroma[one] for one in nearest])
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--encoder", required=True)
    options = parser.parse_args()
    encoder = load_encoder(options.encoder)
    splits = {
        name: Split.of(read_anthems(options.source, name), encoder) for name in SPLITS
    }
    fitted = fit(*splits["validation"].pairs(), "validation", encoder="measured")
    frames = [chroma.shape[1] for split in splits.values() for chroma in split.chroma]
    median = np.median(frames) * SECONDS
    rows = []
    for name, split in splits.items():
        label = f"{name}, {len(split)} recordings"
        both = split.probability(fitted)
        everyone = len(split) - 1
        for count in [*(few for few in CANDIDATES if few < everyone), everyone]:
            chosen = split.candidates(count)
            figures = search(
                ranked(chosen, both, split.similarity), split.works.tolist()
            )
            rows.append(
                [
                    label,
                    "all" if count == everyone else f"{count}",
                    f"{chosen[split.is_version].mean():.2f}",
                    *cells(figures),
                    f"{milliseconds(split, encoder, count):.0f}",
                ]
            )
            print(*rows[-1], flush=True)
        alone = search(split.score, split.works.tolist())
        rows.append([label, "all, by alignment alone", "1.00", *cells(alone), ""])
    body = (
        f"The encoder is `{options.encoder}`. Real recordings of national anthems, "
        f"{median:.0f} s in the median, each searched among the others of its split: "
        "the given number of nearest embeddings are aligned and ranked by the "
        f"log-odds {fitted.formula}; the others follow by similarity. The weights "
        "were fitted on the validation split, so its own figures are somewhat "
        "favourable. Milliseconds are those of one query, from its features on and "
        "without a catalogue: embedding, comparing with all embeddings, aligning on "
        "all cores.\n\n"
        + table(
            [
                "split",
                "aligned",
                "versions among them",
                *("MAP [95%]", "P@10", "MR1", "ms"),
            ],
            rows,
        )
    )
    write_section(
        "alignment",
        f"Re-ranking what {Path(options.encoder).name} finds",
        "python -m benchmarks.accuracy.reranking --source DIR "
        f"--encoder {options.encoder}",
        body,
    )


if __name__ == "__main__":
    main()
