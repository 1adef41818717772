"""Which recordings of a catalogue are versions of one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording, Row
from bytecover_tf.errors import DataError
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.identification import (
    CANDIDATES,
    Match,
    Query,
    align_hits,
    nearest,
)
from bytecover_tf.matching.merges import read_merges, write_merges
from bytecover_tf.progress import progress_bar

# Recordings that are read at once.
_BLOCK = 100
# Two versions match over more than this share of each. Of two tunes that follow each
# other in a recording, one at most fills more than half of it, so that what holds both,
# an album in one file or a medley, never joins them; a match may end some seconds late.
# Of 242 pairs of anthems with a probability of .9 or more, 88 % match over more.
_WHOLE = 0.55
# From this probability on, two recordings speak for their groups being one.
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
    def pair(self) -> tuple[str, str]:
        """The ids of the two, in order."""
        return _pair(self.recording.id, self.match.recording.id)

    @property
    def is_part(self) -> bool:
        """Whether they match over a part of one alone, as a track and its album."""
        match = self.match
        shares = (
            (match.query_end - match.query_start) / self.recording.duration,
            (match.recording_end - match.recording_start) / match.recording.duration,
        )
        return min(shares) <= _WHOLE

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON and CSV say of a link."""
        facts = self.match.to_dict()
        measured = (
            *("similarity", "probability", "score", "transposition", "tempo_ratio"),
            *("query_start", "query_end", "recording_start", "recording_end"),
        )
        return {
            "query": self.recording.path,
            "recording": facts["recording"],
            **{name: facts[name] for name in measured},
            "is_part": self.is_part,
        }


@dataclass
class Group:
    """Recordings that links have joined, or that have one work already.

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
        """What to call the work of all; None if they have several named ones."""
        if self.works:
            return self.works[0] if len(self.works) == 1 else None
        labels = Counter(recording.work for recording in self.recordings)
        return min(labels, key=lambda label: (-labels[label], label))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON says of a group."""
        names = ("path", "id", "work", "title", "artist")
        return {
            "work": self.work,
            "works": self.works,
            "recordings": [
                {name: getattr(recording, name) for name in names}
                for recording in self.recordings
            ],
            "links": [link.to_dict() for link in self.links],
        }


def find_groups(
    catalogue: Catalogue,
    calibration: Calibration,
    threshold: float,
    candidates: int = CANDIDATES,
    workers: int | None = None,
) -> list[Group]:
    """Find the groups of versions in a catalogue.

    Each recording is compared with those whose embeddings are nearest to its own. The
    most probable links come first. One that would join two groups does so only if, of
    the pairs between them that were compared, at least half are versions rather than
    not: else one chance resemblance would make one group of two. A recording that
    matches a part of another one alone is a track in an album or a medley, say, which
    is no version of it.

    Args:
        catalogue: to be searched.
        calibration: gives the probabilities.
        threshold: two recordings are linked from this probability on.
        candidates: how many recordings to compare each with.
        workers: threads; by default one a core.

    Returns:
        The groups, by their first path.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    known = {recording.id: recording for recording in catalogue.recordings()}
    probability: dict[tuple[str, str], float] = {}
    links = []
    for link in _compared(catalogue, calibration, known, candidates, workers):
        probability[link.pair] = link.match.probability
        if link.match.probability >= threshold:
            links.append(link)
    links.sort(key=lambda link: -link.match.probability)
    joined = _Partition(known)
    first: dict[str, str] = {}
    for recording in known.values():
        joined.join(recording.id, first.setdefault(recording.work, recording.id))
    for link in links:
        one, other = map(joined.of, link.pair)
        is_new = one is not other and not link.is_part
        if is_new and _agree(one, other, probability):
            joined.join(*link.pair)
    groups: dict[int, Group] = {}
    for recording in sorted(known.values(), key=lambda item: (item.path, item.id)):
        members = joined.of(recording.id)
        if len(members) > 1:
            group = groups.setdefault(id(members), Group([]))
            group.recordings.append(recording)
    for link in links:
        one, other = map(joined.of, link.pair)
        if one is other:
            groups[id(one)].links.append(link)
    return list(groups.values())


def _agree(
    one: list[str], other: list[str], probability: dict[tuple[str, str], float]
) -> bool:
    """Tell whether at least half of the pairs between two groups are likely ones."""
    pairs = (_pair(*names) for names in product(one, other))
    likely = [probability[pair] >= _LIKELY for pair in pairs if pair in probability]
    return 2 * sum(likely) >= len(likely)


def merge(
    catalogue: Catalogue, groups: Iterable[Group], record: Path | None = None
) -> int:
    """Give all recordings of each group the same work.

    A group with several named works is left as it is: which is right, or whether they
    are one, is for a person to say.

    Args:
        catalogue: to be updated.
        groups: what `find_groups` found in it.
        record: a file that keeps what is changed, for `undo`.

    Returns:
        The number of recordings whose work changed.
    """
    changed = [
        (recording, group.work)
        for group in groups
        if group.work is not None
        for recording in group.recordings
        if recording.work != group.work
    ]
    if changed and record is not None:
        # First, so that a merge that is cut short can be undone as well.
        changes = {recording.id: (recording.work, work) for recording, work in changed}
        write_merges(record, [*read_merges(record), changes])
    catalogue.update([replace(recording, work=work) for recording, work in changed])
    return len(changed)


def undo(catalogue: Catalogue, record: Path) -> int:
    """Give recordings the works back that they had before the latest merge.

    Args:
        catalogue: to be updated.
        record: what `merge` wrote; the merge is taken out of it.

    Returns:
        The number of recordings whose work changed. Those that are gone, or have got
        another work since, are passed over.

    Raises:
        DataError: there is no merge to undo.
    """
    merges = read_merges(record)
    if not merges:
        raise DataError(f"{record}: expected the record of a merge, found none")
    changed = []
    for recording in catalogue.recordings():
        before, after = merges[-1].get(recording.id, (recording.work, ""))
        if recording.work == after:
            changed.append(replace(recording, work=before))
    catalogue.update(changed)
    write_merges(record, merges[:-1])
    return len(changed)


def _compared(
    catalogue: Catalogue,
    calibration: Calibration,
    known: dict[str, Recording],
    candidates: int,
    workers: int | None,
) -> Iterator[Link]:
    """Yield every pair that is compared, once."""
    compared: set[tuple[str, str]] = set()
    with progress_bar(total=len(known), unit="recording", desc="compare") as bar:
        for row in _whole(catalogue, sorted(known)):
            bar.update()
            name = row.recording.id
            hits = nearest(catalogue, row.embedding[None], candidates + 1)
            pairs = {hit.recording.id: hit for hit in hits}
            pairs = {
                other: hit
                for other, hit in pairs.items()
                if other in known
                and other != name
                and _pair(name, other) not in compared
            }
            compared.update(_pair(name, other) for other in pairs)
            assert row.chroma is not None
            query = Query(row.recording.path, np.empty((0, 0)), row.chroma)
            found = align_hits(
                catalogue, query, list(pairs.values()), len(known), workers
            )
            for match in found.matches(calibration):
                yield Link(row.recording, match)


def _whole(catalogue: Catalogue, ids: list[str]) -> Iterator[Row]:
    for start in range(0, len(ids), _BLOCK):
        rows = catalogue.rows(ids[start : start + _BLOCK])
        whole = [row for row in rows if row.segment == 0]
        yield from sorted(whole, key=lambda row: row.key)


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


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
