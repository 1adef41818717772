"""Makes one work of a group of versions, and asks a person about the other links."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.matching.decisions import Decision, Pair, Record, Verdicts, pair_of
from bytecover_tf.matching.grouping import Group, Grouping
from bytecover_tf.matching.questions import keep_queue, queue


@dataclass(frozen=True)
class Merging:
    """What was done with the groups that were found.

    Attributes:
        changed: the number of recordings whose work changed.
        questions: the number of questions that are open.
    """

    changed: int
    questions: int


def act_on(
    catalogue: Catalogue, found: Grouping, record: Record, merge: bool = False
) -> Merging:
    """Merge the groups that were found if asked to, and queue the links left open.

    Args:
        catalogue: is changed if the groups are merged.
        found: what `find_groups` found in it.
        record: stores the changes; the queue lies beside it.
        merge: whether to give the recordings of each group the same work.

    Raises:
        CatalogueError: the catalogue cannot be written.
        DataError: the record or the queue is something else.
    """
    changed = merge_groups(catalogue, found.groups, record) if merge else 0
    keep_queue(record, found.open)
    return Merging(changed, len(queue(catalogue, record)))


def merge_groups(
    catalogue: Catalogue, groups: Iterable[Group], record: Record | None = None
) -> int:
    """Give all recordings of each group the same work.

    A group with several named works is left as it is: a person has to say which one is
    right, or whether they are the same. So is one of which somebody decided something
    since it was found.

    Args:
        catalogue: is changed.
        groups: what `find_groups` found in it.
        record: stores the changes; by default the record in the catalogue's folder.

    Returns:
        The number of recordings whose work changed.

    Raises:
        ConfigError: the catalogue is on a server and no record is given.
    """
    changing = [
        group
        for group in groups
        if group.work is not None
        and any(recording.work != group.work for recording in group.recordings)
    ]
    if not changing:
        return 0
    record = record or Record(catalogue)

    def decide(recordings: dict[str, Recording]) -> Decision:
        rejected = Verdicts(record.read(), recordings.values()).rejected
        changes: dict[str, tuple[str, str]] = {}
        for group in changing:
            now = [
                recordings[found.id]
                for found in group.recordings
                if found.id in recordings
            ]
            if _is_as_found(group, now, rejected):
                changes |= {
                    each.id: (each.work, str(group.work))
                    for each in now
                    if each.work != group.work
                }
        return Decision("group", changes)

    return len(record.take(decide).changes)


def _is_as_found(
    group: Group, now: Sequence[Recording], rejected: Collection[Pair]
) -> bool:
    """Tell whether nobody has decided about a group since it was found.

    Args:
        group: as it was found.
        now: its recordings, as they are.
        rejected: pairs that persons keep apart.
    """
    found = {recording.id: recording.work for recording in group.recordings}
    return all(each.work == found[each.id] for each in now) and not any(
        one.work != other.work and pair_of(one.id, other.id) in rejected
        for one, other in combinations(now, 2)
    )
