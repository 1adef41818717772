"""What does the product find in real recordings, and what does each part add?

    python -m benchmarks.accuracy.covers --source DIR [--encoder NAME ...] [--write]

DIR holds labelled recordings (`stores.labelled_store`) with the sets `folk` (role
`dev`: songs as several people sing or play them), `melody` (role `dev`: excerpts of
pop recordings, and their tunes alone in another key and tempo) and `songs` (passages of
pop recordings: those of one recording share harmony and bass more than a tune; only of
songs that no encoder was trained on). On these everything was chosen: they are
development sets, and no figure here is of unseen works.

Each row is one way to compare two recordings: embeddings, alignment of one chroma or
another, or both by the probabilities that `identify` gives. To be fair to these, each
set is measured with a calibration that was fitted on another one. With --write the
calibration that is fitted on both is stored as what comes with the package, for the
encoders named and for alignment alone. Encoders of 36 bins an octave cannot read the
anthems, so for them the calibration for the transform's chroma is fitted here as well.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy.calibration import joined
from benchmarks.common.aligned import aligned, aligned_clips
from benchmarks.common.labelled import LENGTHS, length_name
from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.chroma import HEARD_PARTS, PITCH_CLASSES, chroma_of_cqt
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.audio.streaming import mean_blocks
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.matching import calibration, fitting
from bytecover_tf.matching.calibration import Calibration, Pairs
from bytecover_tf.matching.fitting import Labels
from bytecover_tf.metrics import QueryScores, bootstrap_interval, score_queries
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.labelled_store import LabelledRecording, LabelledStore

# Of the transform's frames, in one of the store.
_POOL = 5
_HZ = 22050 / 512 / _POOL
# Strangers that the calibration's libraries hold besides, from these sets.
_STRANGERS = ("songs", "game")
_STRANGERS_EACH = 60
# Queries of the set of passages.
_PASSAGES = 100
_PARTS = ("all notes", "onsets", "notes above G3", "melody", "transform, 36 bins")


@dataclass(frozen=True)
class Item:
    """A recording, ready to be compared.

    Attributes:
        work: label.
        cqt: |CQT| (84, T) averaged over five frames.
        fine: |CQT| (252, T), likewise.
        plain: uint8 chroma (12, n) of the transform alone.
        heard: uint8 chroma (12 * HEARD_PARTS, n).
        later: likewise of a clip, in frames that begin half a frame later; else None.
    """

    work: str
    cqt: np.ndarray
    fine: np.ndarray
    plain: np.ndarray
    heard: np.ndarray
    later: np.ndarray | None = None

    @classmethod
    def of(cls, work: str, cqt: np.ndarray, fine: np.ndarray) -> Item:
        """Hear the notes of a recording."""
        heard, _, later = DEFAULT_HEARING.listen(fine)
        plain = chroma_of_cqt(cqt, _POOL)
        frames = min(heard.shape[1], plain.shape[1])
        return cls(work, cqt, fine, plain[:, :frames], heard[:, :frames], later)

    def clip(self, seconds: float | None, rng: np.random.Generator) -> Item:
        """Return a part that starts anywhere; all of it if it is short."""
        frames = self.fine.shape[1]
        count = frames if seconds is None else round(seconds * _HZ)
        if frames <= count:
            return self
        start = int(rng.integers(frames - count + 1))
        part = slice(start, start + count)
        return Item.of(self.work, self.cqt[:, part], self.fine[:, part])


@dataclass(frozen=True)
class Search:
    """Queries, and what they are searched among.

    Attributes:
        name: of the set.
        queries: N recordings.
        references: M recordings.
        itself: bool (N, M), where the two are one.
    """

    name: str
    queries: list[Item]
    references: list[Item]
    itself: np.ndarray

    @property
    def works(self) -> tuple[list[str], list[str]]:
        """Labels of queries and of references."""
        return [one.work for one in self.queries], [one.work for one in self.references]

    def score(self, similarity: np.ndarray) -> QueryScores:
        """Rank the references of each query."""
        return score_queries(
            lambda rows: (similarity[rows], self.itself[rows]), *self.works
        )


Triple = tuple[Search, np.ndarray, np.ndarray]
"""A set, and the scores of alignment and the cosines of all its pairs."""


def read(
    store: LabelledStore, chosen: Callable[[LabelledRecording], bool]
) -> list[Item]:
    """Read recordings, and hear their notes."""
    items = []
    wanted = [one for one in store if chosen(one)]
    for one in progress_bar(wanted, unit="recording", desc="hear"):
        features = store.features(one)
        cqt, fine = (features.amplitudes(name) for name in ("cqt12", "cqt36"))
        items.append(Item.of(one.work, cqt, fine))
    return items


def is_held_out(one: LabelledRecording) -> bool:
    """Whether no encoder was trained on a song: half of them were taken."""
    return one.set != "songs" or zlib.crc32(one.work.encode()) % 2 == 1


def one_a_work(store: LabelledStore, name: str) -> list[Item]:
    """Read one recording of each of some works of a set."""
    wanted = [one for one in store if one.set == name and is_held_out(one)]
    first = {one.work: one.id for one in reversed(wanted)}
    chosen = set(list(first.values())[:_STRANGERS_EACH])
    # Labels of different sets may be the same.
    return [
        replace(one, work=f"{name} {one.work}")
        for one in read(store, lambda one: one.id in chosen)
    ]


def searches(store: LabelledStore) -> list[Search]:
    """Return the development sets."""
    folk = read(store, lambda one: (one.set, one.role) == ("folk", "dev"))
    full = read(store, lambda one: (one.set, one.kind) == ("melody", "full"))
    tunes = read(store, lambda one: (one.set, one.kind) == ("melody", "melody"))
    apart = np.zeros((len(full), len(tunes)), bool)
    passages = read(store, lambda one: one.set == "songs" and is_held_out(one))
    chosen = np.random.default_rng(0).permutation(len(passages))[:_PASSAGES]
    return [
        Search("folk", folk, folk, np.eye(len(folk), dtype=bool)),
        Search("melody: full to tune", full, tunes, apart),
        Search("melody: tune to full", tunes, full, apart.T),
        Search(
            "songs: passages",
            [passages[number] for number in chosen],
            passages,
            np.equal.outer(chosen, np.arange(len(passages))),
        ),
    ]


def alike(search: Search) -> np.ndarray:
    """Return where two different works share their number, bool (N, M)."""
    queries, references = search.works
    numbers = [[work[:-1] for work in works] for works in (queries, references)]
    is_numbered = np.array([number.isdigit() for number in numbers[0]], bool)
    return (
        is_numbered[:, np.newaxis]
        & np.equal.outer(*map(np.array, numbers))
        & ~np.equal.outer(np.array(queries), np.array(references))
    )


class Embeddings:
    """The embeddings of recordings by an encoder, which embeds each once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        # With each item itself, so that no other one gets its id.
        self._known: dict[int, tuple[Item, np.ndarray]] = {}

    def cosines(self, search: Search) -> np.ndarray:
        """Return the cosine of every pair of a search."""
        return self._of(search.queries) @ self._of(search.references).T

    def _of(self, items: list[Item]) -> np.ndarray:
        new = [one for one in items if id(one) not in self._known]
        for one, vector in zip(new, self._embed(new), strict=True):
            self._known[id(one)] = one, vector
        return np.stack([self._known[id(one)][1] for one in items])

    def _embed(self, items: list[Item]) -> np.ndarray:
        frontend = self.encoder.frontend
        is_fine = frontend.bins_per_octave != PITCH_CLASSES
        given = [one.fine if is_fine else one.cqt for one in items]
        coarse = [mean_blocks(one, frontend.pool // _POOL) for one in given]
        usable = [index for index, cqt in enumerate(coarse) if cqt.any()]
        found = np.zeros((len(items), self.encoder.dim), np.float32)
        found[usable] = self.encoder.embed_features(
            [frontend.from_cqt(coarse[index], frontend.pool) for index in usable]
        )
        return found


def pairs_of(
    search: Search, score: np.ndarray, cosine: np.ndarray
) -> tuple[Pairs, Labels]:
    """Return all pairs but of a recording with itself."""
    lengths = [
        np.array([one.heard.shape[1] for one in items])
        for items in (search.queries, search.references)
    ]
    others = ~search.itself
    works = [np.array(labels) for labels in search.works]
    among = max(len(search.references), calibration.LEAST)
    pairs = Pairs(
        score[others],
        cosine[others],
        Pairs.disparity_of(lengths[0][:, np.newaxis], lengths[1])[others],
        among,
    )
    return pairs, Labels(np.nonzero(others)[0], np.equal.outer(*works)[others])


def align(
    search: Search, chroma: Callable[[Item], np.ndarray], cache: Path | None = None
) -> np.ndarray:
    """Return the scores of one chroma of each query and of each reference."""
    queries, references = (
        [chroma(one) for one in items] for items in (search.queries, search.references)
    )
    return aligned(queries, references, cache)


def align_heard(search: Search, cache: Path | None = None) -> np.ndarray:
    """Return the scores of what is heard in each query and in each reference."""
    return aligned_clips(
        [one.heard for one in search.queries],
        [one.later for one in search.queries],
        [one.heard for one in search.references],
        cache,
    )


def ranked(
    fitted: Calibration, search: Search, score: np.ndarray, cosine: np.ndarray
) -> np.ndarray:
    """Return the probability of every pair."""
    pairs, _ = pairs_of(search, score, cosine)
    found = np.full(search.itself.shape, -1.0)
    found[~search.itself] = fitted.probability(pairs)
    return found


def cell(search: Search, scores: QueryScores, before: QueryScores | None) -> str:
    """Return MAP with its interval, or with that of the gain over `before`."""
    queries, _ = search.works
    figure = f"{scores.average_precision.mean():.3f}"
    if before is None:
        low, high = bootstrap_interval(scores, queries)
        return f"{figure} [{low:.3f}, {high:.3f}]"
    gained = scores.average_precision - before.average_precision
    gain = replace(scores, average_precision=gained)
    low, high = bootstrap_interval(gain, queries)
    return f"{figure} ({low:+.3f} to {high:+.3f})"


def calibrations(
    store: LabelledStore,
    embeddings: Mapping[str, Embeddings],
    sets: Sequence[Search],
    cache: Path | None = None,
) -> tuple[dict[tuple[str, int], Calibration], list[list[str]]]:
    """Fit what comes with the package, and say how well it fits by length of query.

    The queries are those of the sets, whole and as clips, among their references and
    strangers. Two songs that a court compared count neither as versions nor as
    strangers.

    Returns:
        Calibrations by the encoder's name, empty for alignment alone, and the parts of
        the chroma; and the rows of a table.
    """
    strangers = [item for name in _STRANGERS for item in one_a_work(store, name)]
    libraries = []
    for seconds in LENGTHS:
        rng = np.random.default_rng(0)
        for search in sets:
            queries = [one.clip(seconds, rng) for one in search.queries]
            apart = np.zeros((len(queries), len(strangers)), bool)
            libraries.append(
                (
                    seconds,
                    Search(
                        search.name,
                        queries,
                        [*search.references, *strangers],
                        np.concatenate([search.itself | alike(search), apart], axis=1),
                    ),
                )
            )
    by_parts = {
        HEARD_PARTS: [align_heard(one, cache) for _, one in libraries],
        1: [align(one, lambda item: item.plain, cache) for _, one in libraries],
    }
    fitted, rows = {}, []
    for name, parts in (
        *((name, HEARD_PARTS) for name in ("", *embeddings)),
        *(
            (name, 1)
            for name, one in embeddings.items()
            if one.encoder.frontend.bins_per_octave > PITCH_CLASSES
        ),
    ):
        by = embeddings.get(name)
        checksum = Identity.of(by.encoder, name).encoder if by else ""
        triples: dict[float | None, list[Triple]] = {length: [] for length in LENGTHS}
        for (seconds, one), score in zip(libraries, by_parts[parts], strict=True):
            cosine = by.cosines(one) if by else np.zeros_like(score)
            triples[seconds].append((one, score, cosine))
        data = "development sets of sung songs, and of pop songs and their tunes"
        measured = {
            length: joined([pairs_of(*one) for one in each])
            for length, each in triples.items()
        }
        found = fitting.fit(*joined(list(measured.values())), data, checksum, parts)
        fitted[name, parts] = found
        for length, each in triples.items():
            figures = fitting.quality(found, *measured[length])
            shares = ("found", "noticed", "false_versions", "false_alarms")
            rows.append(
                [
                    title(name, parts),
                    length_name(length),
                    mean_map([(one[0], one[2]) for one in each]) if by else "",
                    mean_map([(one[0], ranked(found, *one)) for one in each]),
                    *(f"{figures[share]:.2f}" for share in shares),
                    f"{figures['calibration_error']:.3f}",
                ]
            )
    return fitted, rows


def mean_map(found: Sequence[tuple[Search, np.ndarray]]) -> str:
    """Return the mean over sets of what their queries find by a similarity."""
    scores = [search.score(similarity) for search, similarity in found]
    return f"{np.mean([one.average_precision.mean() for one in scores]):.3f}"


def title(name: str, parts: int) -> str:
    """Return what a calibration is for."""
    encoder = f"`{name}`" if name else "alignment alone"
    return encoder if parts > 1 else f"{encoder}, transform's chroma"


def crosswise(triples: list[Triple], checksum: str, parts: int) -> list[QueryScores]:
    """Rank each set by a calibration that was fitted on another.

    Args:
        triples: of each set, the scores of alignment and the cosines of all pairs; the
            first is of folk songs.
        checksum: of the encoder.
        parts: of the chroma that was aligned.
    """
    found = []
    for number, triple in enumerate(triples):
        # Folk on melody, the others on folk.
        others = triples[1:] if number == 0 else triples[:1]
        known = joined([pairs_of(*one) for one in others])
        fitted = fitting.fit(*known, "the other set", checksum, parts)
        found.append(triple[0].score(ranked(fitted, *triple)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument(
        "--encoder", nargs="*", default=["bytecover-small", "bytecover-base"]
    )
    parser.add_argument("--cache", type=Path, help="folder that keeps alignment scores")
    parser.add_argument(
        "--write", action="store_true", help="keep the new calibrations"
    )
    options = parser.parse_args()
    store = LabelledStore(options.source)
    sets = searches(store)
    rows = []

    def add(name: str, found: Sequence[QueryScores], before: Sequence | None = None):
        earlier = before or [None] * len(sets)
        row = [cell(*each) for each in zip(sets, found, earlier, strict=True)]
        rows.append([name, *row])
        print(*rows[-1], flush=True)

    def part(number: int) -> Callable[[Item], np.ndarray]:
        return lambda item: item.heard[12 * number : 12 * number + 12]

    cache: Path | None = options.cache
    plain = [align(one, lambda item: item.plain, cache) for one in sets]
    by_plain = [one.score(score) for one, score in zip(sets, plain, strict=True)]
    add("transform's chroma, 12 bins", by_plain)
    for number, name in enumerate(_PARTS):
        alone = [one.score(align(one, part(number), cache)) for one in sets]
        add(f"{name} alone", alone)
    heard = [align_heard(one, cache) for one in sets]
    by_heard = [one.score(score) for one, score in zip(sets, heard, strict=True)]
    add("all five parts", by_heard, by_plain)
    embeddings = {name: Embeddings(load_encoder(name)) for name in options.encoder}
    for name in options.encoder:
        cosine = [embeddings[name].cosines(one) for one in sets]
        by_cosine = [one.score(c) for one, c in zip(sets, cosine, strict=True)]
        add(f"embeddings of `{name}`", by_cosine)
        checksum = Identity.of(embeddings[name].encoder, name).encoder
        with_plain, with_heard = (
            crosswise(list(zip(sets, scores, cosine, strict=True)), checksum, parts)
            for scores, parts in ((plain, 1), (heard, HEARD_PARTS))
        )
        add(f"`{name}` and the transform's chroma", with_plain)
        add(f"`{name}` and all five parts", with_heard, with_plain)
    fitted, quality = calibrations(store, embeddings, sets[:2], cache)
    body = "\n\n".join(
        [
            "MAP on the development sets. Square brackets hold the 95% interval over "
            "works, round brackets the interval of the gain over what is aligned by "
            "the transform's chroma alone: by itself, or together with the same "
            f"encoder. {len(sets[0].queries)} recordings of folk songs, each searched "
            f"among the others ({len(by_heard[0].query)} have a version there); "
            f"{len(sets[1].queries)} excerpts "
            f"of pop songs among {len(sets[1].references)} tunes, and the reverse; "
            f"{len(sets[3].queries)} passages of songs among "
            f"{len(sets[3].references)}, "
            "where those of the same recording count as versions. "
            "Everything was chosen on these sets.",
            table(["", *(one.name for one in sets)], rows),
            "The calibrations that come with the package are fitted on the same "
            "recordings, whole and as clips, among strangers, at most "
            f"{_STRANGERS_EACH} each of {' and '.join(_STRANGERS)}, and bounds of the "
            "verdicts are those of these queries. `bytecover-base` was trained to tell "
            "the strangers of the set game apart, each as a work of its own. What "
            "these find, the mean over both sets of MAP, by embeddings and by the "
            "probabilities "
            "that are fitted on them, and how well the latter fit:",
            table(
                [
                    "",
                    "query",
                    "MAP of embeddings",
                    "MAP",
                    "version found",
                    "at least unsure",
                    "false `version`",
                    "false `version` or `unsure`",
                    "calibration error",
                ],
                quality,
            ),
            *(
                f"{title(*what)}: log-odds {one.formula}"
                for what, one in fitted.items()
            ),
        ]
    )
    command = command_of("accuracy.covers", parser, options, ["cache", "write"])
    write_section("alignment", "Covers", command, body)
    if options.write:
        for (name, parts), one in fitted.items():
            path = (
                calibration.calibration_beside(name, parts)
                if name
                else Path(calibration.__file__).with_name(calibration.file_name(parts))
            )
            one.save(path)
            print(f"written: {path}")


if __name__ == "__main__":
    main()
