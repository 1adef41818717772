"""Which recordings of a catalogue are versions of one another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.identifiers import EXPECTED, is_work_identifier
from bytecover_tf.catalogues.rows import Recording, Row
from bytecover_tf.files import JsonObject
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Pair, Verdicts, pair_of
from bytecover_tf.matching.identification import (
    CANDIDATES,
    Match,
    Query,
    align_hits,
    nearest,
)
from bytecover_tf.matching.kept_alignments import KeptAlignments
from bytecover_tf.matching.relation import SAME_PERFORMANCE, SAME_RECORDING
from bytecover_tf.progress import progress_bar

# Recordings that are read at once.
_BLOCK = 100
# Two versions must match over more than this share of each. When two tunes follow each
# other in a recording, such as an album in one file or a medley, at most one of them
# fills more than half of it. So the recording never joins the two, even if a match ends
# some seconds late. Of 242 pairs of anthems with a probability of .9 or more, 88 %
# match over more than this.
_WHOLE = 0.55
# From this probability on, or a lower threshold, two recordings are a reason to join
# their groups.
_LIKELY = 0.5


@dataclass(frozen=True)
class Link:
    """Evidence that two recordings are versions.

    Attributes:
        recording: the one that was compared, as a query.
        match: the other one.
    """

    recording: Recording
    match: Match

    @property
    def pair(self) -> Pair:
        """The ids of the two, in order."""
        return pair_of(self.recording.id, self.match.recording.id)

    @property
    def is_part(self) -> bool:
        """Whether only a part of one matches, as with a track and its album."""
        match = self.match
        shares = (
            (match.query_end - match.query_start) / self.recording.duration,
            (match.recording_end - match.recording_start) / match.recording.duration,
        )
        return min(shares) <= _WHOLE

    @property
    def same_performance(self) -> float:
        """How likely the two are one performance: versions, and this kind of them."""
        relation = self.match.relation
        if relation is None:
            return 0.0
        is_same = relation.kind in (SAME_RECORDING, SAME_PERFORMANCE)
        share = relation.probability if is_same else 1 - relation.probability
        return self.match.probability * share

    def to_dict(self) -> JsonObject:
        """Return the link as a JSON object, or as a row of CSV."""
        facts = self.match.to_dict()
        sides = {"query": self.recording, "recording": self.match.recording}
        measured = (
            *("similarity", "probability", "score", "transposition", "tempo_ratio"),
            *("query_start", "query_end", "recording_start", "recording_end"),
        )
        return {
            "query": self.recording.path,
            "recording": facts["recording"],
            **{name: facts[name] for name in measured},
            "relation": facts["relation"],
            "relation_probability": facts["relation_probability"],
            "is_part": self.is_part,
            **{
                f"{side}_{name}": getattr(recording, name)
                for side, recording in sides.items()
                for name in EXPECTED
            },
        }


@dataclass
class Group:
    """Recordings that are joined by links, or that have the same work already.

    Attributes:
        recordings: two or more, by path.
        links: between them, the most probable first.
    """

    recordings: list[Recording]
    links: list[Link] = field(default_factory=list)

    @property
    def works(self) -> list[str]:
        """The named works of the recordings."""
        return sorted({item.work for item in self.recordings if item.has_named_work})

    @property
    def work(self) -> str | None:
        """The name for the work of all; None if they have several named works.

        A name comes before an ISWC or a MusicBrainz id, if there is only one of each.
        """
        if self.works:
            named = [work for work in self.works if not is_work_identifier(work)]
            is_one = len(named) <= 1 and len(self.works) - len(named) <= 1
            return [*named, *self.works][0] if is_one else None
        labels = Counter(recording.work for recording in self.recordings)
        return min(labels, key=lambda label: (-labels[label], label))

    def to_dict(self) -> JsonObject:
        """Return the group as a JSON object."""
        return {
            "work": self.work,
            "works": self.works,
            "recordings": [recording.to_dict() for recording in self.recordings],
            "links": [link.to_dict() for link in self.links],
        }


@dataclass(frozen=True)
class OpenLink:
    """A link that a person should decide about.

    Attributes:
        link: the evidence.
        reason: `unsure`, if its probability is below the threshold; `part`, if one
            recording matches only a part of the other; `outvoted`, if most pairs
            between the two groups are not versions; `several works`, if both are in a
            group that has several named works.
    """

    link: Link
    reason: str


@dataclass
class Grouping:
    """What was found in a catalogue.

    Attributes:
        groups: of versions, by their first path.
        open: links that joined nothing, the most probable first.
    """

    groups: list[Group]
    open: list[OpenLink]


def find_groups(
    catalogue: Catalogue,
    calibration: Calibration,
    threshold: float,
    candidates: int = CANDIDATES,
    workers: int | None = None,
    verdicts: Verdicts | None = None,
    kept: KeptAlignments | None = None,
    tell: Callable[[int, int], object] | None = None,
) -> Grouping:
    """Find the groups of versions in a catalogue.

    Each recording is compared with those whose embeddings are nearest to its own. The
    most probable links are taken first. A link joins two groups only if at least half
    of the compared pairs between them are likely versions; otherwise, one chance
    resemblance would make one group of two. A link between a recording and a part of
    another joins nothing: a track is not a version of its album or medley. Recordings
    with the same ISWC or MusicBrainz id of their work are versions without a
    comparison. What a person has decided overrides all of this.

    Args:
        catalogue: to be searched.
        calibration: gives the probabilities.
        threshold: the least probability at which two recordings are linked.
        candidates: how many recordings to compare each with.
        workers: threads; by default one per core.
        verdicts: what people have decided about pairs.
        kept: alignments of earlier runs; by default all is aligned.
        tell: takes how many recordings have been compared, and how many there are.

    Returns:
        The groups, and the links that a person should decide about. These are at least
        as probable as what the calibration calls unsure.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    known = {recording.id: recording for recording in catalogue.recordings()}
    verdicts = verdicts or Verdicts([], [])
    least = min(threshold, calibration.unsure)
    likely_from = min(threshold, _LIKELY)
    # Whether each compared pair is likely, by its first and its second id: a quarter of
    # the memory of a dict by pairs.
    likely: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    links = []
    for link in compared_pairs(
        catalogue, calibration, known, candidates, workers, kept, tell
    ):
        first_id, second_id = link.pair
        likely[first_id][second_id] = link.match.probability >= likely_from
        if link.match.probability >= least:
            links.append(link)
    links.sort(key=lambda link: -link.match.probability)
    joined = _Partition(known)
    first: dict[str, str] = {}
    for recording in known.values():
        joined.join(recording.id, first.setdefault(recording.work, recording.id))
    for pair in verdicts.accepted:
        if known.keys() >= set(pair) and pair not in verdicts.rejected:
            joined.join(*pair)
    _join_by_identifier(joined, known.values(), verdicts)
    reasons = {}
    for link in links:
        one, other = map(joined.of, link.pair)
        if one is other or not verdicts.rejected.isdisjoint(_between(one, other)):
            continue
        if link.match.probability < threshold:
            reasons[link.pair] = "unsure"
        elif link.is_part:
            reasons[link.pair] = "part"
        elif not _agree(one, other, likely):
            reasons[link.pair] = "outvoted"
        else:
            joined.join(*link.pair)
    groups = _groups(joined, known.values())
    open_links = []
    for link in links:
        one, other = map(joined.of, link.pair)
        if one is not other:
            if link.pair in reasons:
                open_links.append(OpenLink(link, reasons[link.pair]))
            continue
        group = groups[id(one)]
        if link.match.probability >= threshold:
            group.links.append(link)
            works = {known[name].work for name in link.pair}
            if group.work is None and len(works) > 1:
                open_links.append(OpenLink(link, "several works"))
    return Grouping(list(groups.values()), open_links)


def connect(recordings: Iterable[Recording], links: Iterable[Link]) -> list[Group]:
    """Return the groups that links make, each with its links, by their first path.

    Args:
        recordings: those that the links are between, and others.
        links: all of them count.
    """
    recordings, links = list(recordings), list(links)
    joined = _Partition(recording.id for recording in recordings)
    for link in links:
        joined.join(*link.pair)
    groups = _groups(joined, recordings)
    for link in links:
        groups[id(joined.of(link.pair[0]))].links.append(link)
    return list(groups.values())


def _groups(joined: _Partition, recordings: Iterable[Recording]) -> dict[int, Group]:
    """Return the groups of two or more, by the identity of their set."""
    groups: dict[int, Group] = {}
    for recording in sorted(recordings, key=lambda item: (item.path, item.id)):
        members = joined.of(recording.id)
        if len(members) > 1:
            group = groups.setdefault(id(members), Group([]))
            group.recordings.append(recording)
    return groups


def _join_by_identifier(
    joined: _Partition, recordings: Iterable[Recording], verdicts: Verdicts
) -> None:
    """Join recordings whose work has the same identifier, but what is kept apart."""
    # By identifier, a recording of each group that has it.
    found: defaultdict[str, list[str]] = defaultdict(list)
    for recording in sorted(recordings, key=lambda each: each.id):
        for identifier in recording.work_identifiers:
            for other in found[identifier]:
                one, group = joined.of(recording.id), joined.of(other)
                if one is group:
                    break
                if verdicts.rejected.isdisjoint(_between(one, group)):
                    joined.join(recording.id, other)
                    break
            else:
                found[identifier].append(recording.id)


def _between(one: list[str], other: list[str]) -> Iterator[Pair]:
    return (pair_of(*names) for names in product(one, other))


def _agree(
    one: list[str], other: list[str], likely: dict[str, dict[str, bool]]
) -> bool:
    """Tell whether at least half of the compared pairs of two groups are likely."""
    votes = [
        likely[first][second]
        for first, second in _between(one, other)
        if second in likely.get(first, ())
    ]
    return 2 * sum(votes) >= len(votes)


def compared_pairs(
    catalogue: Catalogue,
    calibration: Calibration,
    known: dict[str, Recording],
    candidates: int,
    workers: int | None = None,
    kept: KeptAlignments | None = None,
    tell: Callable[[int, int], object] | None = None,
) -> Iterator[Link]:
    """Compare each recording with those nearest to it; yield every pair once.

    Args:
        catalogue: to be searched.
        calibration: gives the probabilities.
        known: its recordings by id.
        candidates: how many recordings to compare each with.
        workers: threads; by default one per core.
        kept: alignments of earlier runs, to which those of this one are added; by
            default all is aligned.
        tell: takes how many recordings have been compared, and how many there are.
    """
    kept = kept or KeptAlignments(None)
    # By name, those that were compared with it before its turn. They are forgotten
    # then, as all pairs of a large catalogue take gigabytes.
    compared: defaultdict[str, set[str]] = defaultdict(set)
    with progress_bar(total=len(known), unit="recording", desc="compare") as bar:
        for number, row in enumerate(_whole(catalogue, sorted(known)), 1):
            bar.update()
            name = row.recording.id
            hits = nearest(catalogue, row.embedding[None], candidates + 1)
            done = {name, *compared.pop(name, ())}
            pairs = [
                hit
                for hit in hits
                if hit.recording.id in known and hit.recording.id not in done
            ]
            for hit in pairs:
                if hit.recording.id > name:
                    compared[hit.recording.id].add(name)
            assert row.chroma is not None
            query = Query(
                row.recording.path,
                np.empty((0, 0)),
                row.chroma,
                artist=row.recording.artist,
            )
            found = align_hits(catalogue, query, pairs, len(known), workers, kept.align)
            for match in found.matches(calibration):
                yield Link(row.recording, match)
            if tell is not None:
                tell(number, len(known))
    kept.forget_others()


def _whole(catalogue: Catalogue, ids: list[str]) -> Iterator[Row]:
    for start in range(0, len(ids), _BLOCK):
        rows = catalogue.rows(ids[start : start + _BLOCK])
        whole = [row for row in rows if row.segment == 0]
        yield from sorted(whole, key=lambda row: row.key)


class _Partition:
    """Disjoint sets of names that can be joined."""

    def __init__(self, names: Iterable[str]) -> None:
        self._sets = {name: [name] for name in names}

    def of(self, name: str) -> list[str]:
        """Return the set of a name, the same object for all names in it."""
        return self._sets[name]

    def join(self, one: str, other: str) -> None:
        """Make one set of two."""
        less, more = sorted((self.of(one), self.of(other)), key=len)
        if less is not more:
            more += less
            self._sets.update(dict.fromkeys(less, more))
