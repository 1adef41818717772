"""Makes one work of a group of versions, and asks a person about the other links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.matching.decisions import Decision, Record
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
    right, or whether they are the same.

    Args:
        catalogue: is changed.
        groups: what `find_groups` found in it.
        record: stores the changes; by default the record in the catalogue's folder.

    Returns:
        The number of recordings whose work changed.

    Raises:
        ConfigError: the catalogue is on a server and no record is given.
    """
    works = {
        recording.id: group.work
        for group in groups
        if group.work is not None
        for recording in group.recordings
        if recording.work != group.work
    }
    if not works:
        return 0

    def decide(recordings: dict[str, Recording]) -> Decision:
        present = works.keys() & recordings.keys()
        changes = {name: (recordings[name].work, works[name]) for name in present}
        return Decision("group", changes)

    record = record or Record(catalogue)
    return len(record.take(decide).changes)
