"""What a person decides about the works of recordings.

`decisions.Record` keeps it; later runs of `group` respect it, and `calibrate` learns
from it. Every decision can be undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.identifiers import is_work_identifier
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.errors import DataError
from bytecover_tf.matching.decisions import Decision, Record


def decide(
    catalogue: Catalogue,
    pair: Sequence[str],
    is_version: bool,
    work: str | None = None,
    record: Record | None = None,
) -> Decision:
    """Say whether two recordings are versions of one work.

    If they are, the works of the two become one: all recordings of either get the work
    that has a name, or else the one that has more recordings. The queue need not hold
    the pair.

    Args:
        catalogue: holds the two; is changed.
        pair: ids of the two.
        is_version: whether they are versions.
        work: the name of the work; by default as said above.
        record: the decisions about the catalogue; by default those in its folder.

    Returns:
        What was decided, with the changes made.

    Raises:
        DataError: an id is not in the catalogue, or two recordings of one work are said
            to be no versions: `split` takes them apart.
        CatalogueError: the catalogue cannot be written.
    """
    if is_version:
        return _join(catalogue, "accept", pair, work, record)

    def reject(recordings: dict[str, Recording]) -> Decision:
        one, other = _chosen(catalogue, recordings, pair)
        if one.work == other.work:
            raise DataError(
                f"{one.label} and {other.label} have the same work; split them"
            )
        return Decision("reject", {}, apart=((one.id,), (other.id,)))

    return (record or Record(catalogue)).take(reject)


def merge(
    catalogue: Catalogue,
    ids: Sequence[str],
    work: str | None = None,
    record: Record | None = None,
) -> Decision:
    """Make one work of the works of several recordings.

    Args:
        catalogue: holds them; is changed.
        ids: of two recordings or more.
        work: the name of the work; by default as in `decide`.
        record: the decisions about the catalogue; by default those in its folder.

    Raises:
        DataError: there are fewer than two, or an id is not in the catalogue.
        CatalogueError: the catalogue cannot be written.
    """
    return _join(catalogue, "merge", ids, work, record)


def split(
    catalogue: Catalogue,
    ids: Sequence[str],
    work: str | None = None,
    record: Record | None = None,
) -> Decision:
    """Take recordings out of their work; together they are a work of their own.

    Args:
        catalogue: holds them; is changed.
        ids: of one recording or more, all of one work.
        work: the name of the new work; by default it has none.
        record: the decisions about the catalogue; by default those in its folder.

    Raises:
        DataError: an id is not in the catalogue, the recordings are of several works,
            nothing is left of their work without them, or `work` is what they have.
        CatalogueError: the catalogue cannot be written.
    """

    def decide(recordings: dict[str, Recording]) -> Decision:
        chosen = _chosen(catalogue, recordings, ids)
        old = chosen[0].work
        names = sorted({each.id for each in chosen})
        rest = sorted(
            each.id
            for each in recordings.values()
            if each.work == old and each.id not in names
        )
        if not rest or any(each.work != old for each in chosen):
            raise DataError(
                f"expected some of the recordings of one work, found "
                f"{', '.join(each.label for each in chosen)}"
            )
        if work == old:
            raise DataError(f"expected a work other than {work!r}")
        new = work or names[0]
        changes = {name: (old, new) for name in names}
        if new == old:
            # The work without a name was called by the one that leaves it.
            changes = {name: (old, rest[0]) for name in rest}
        elif work is None:
            # Others may be called by it from before, when it was of their work.
            namesakes = sorted(
                each.id
                for each in recordings.values()
                if each.work == new and each.id not in names
            )
            changes |= {name: (new, namesakes[0]) for name in namesakes}
        return Decision("split", changes, apart=(tuple(names), tuple(rest)))

    return (record or Record(catalogue)).take(decide)


def undo(catalogue: Catalogue, record: Record | None = None) -> tuple[Decision, int]:
    """Take the latest decision back, whoever or whatever took it.

    Args:
        catalogue: is changed.
        record: the decisions about it; by default those in its folder.

    Returns:
        What was undone, and the number of recordings that got their work back;
        recordings whose work has changed since are left alone.

    Raises:
        DataError: there is nothing to undo.
        CatalogueError: the catalogue cannot be written.
    """
    return (record or Record(catalogue)).undo()


def _join(
    catalogue: Catalogue,
    action: str,
    ids: Sequence[str],
    work: str | None,
    record: Record | None,
) -> Decision:
    def decide(recordings: dict[str, Recording]) -> Decision:
        chosen = _chosen(catalogue, recordings, ids)
        names = tuple(dict.fromkeys(each.id for each in chosen))
        if len(names) < 2:
            raise DataError(f"expected two recordings or more, found {len(names)}")
        works = {each.work for each in chosen}
        members = [each for each in recordings.values() if each.work in works]
        new = work or _common_work(members)
        changes = {each.id: (each.work, new) for each in members if each.work != new}
        return Decision(action, changes, together=names)

    return (record or Record(catalogue)).take(decide)


def _common_work(recordings: Iterable[Recording]) -> str:
    """Return the work that has a name, or else more recordings, or else comes first.

    An identifier is a name only where there is no other.
    """
    counts = Counter(
        (not each.has_named_work, is_work_identifier(each.work), each.work)
        for each in recordings
    )
    return min(counts, key=lambda key: (*key[:2], -counts[key], key[2]))[2]


def _chosen(
    catalogue: Catalogue, recordings: Mapping[str, Recording], ids: Sequence[str]
) -> list[Recording]:
    for name in ids:
        if name not in recordings:
            raise DataError(f"{catalogue.address}: expected a recording, found {name}")
    return [recordings[name] for name in ids]
