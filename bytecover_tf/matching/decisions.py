"""What was decided about the works in a catalogue, to be respected and undone.

A JSON file holds the decisions of persons and the merges of `group`, the latest last.
It lies in the folder of a catalogue; for a catalogue on a server it has to be named.

A decision is written before the catalogue is changed, and marked when that is done: if
the process is killed in between, the next one finishes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from itertools import product
from pathlib import Path
from typing import Any

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.errors import ConfigError, DataError
from bytecover_tf.files import JsonObject, json_object, lock, write_atomically

FILE_NAME = "decisions.json"
"""In a catalogue's folder, the record of what was decided."""

ACTIONS = ("accept", "reject", "merge", "split", "group")

Pair = tuple[str, str]
"""The ids of two recordings, in order."""

# A file that has got other tags has another id, but lasts as long.
_SECONDS = 1.0


def pair_of(one: str, other: str) -> Pair:
    """Return two ids in order."""
    return (one, other) if one < other else (other, one)


@dataclass(frozen=True)
class Decision:
    """One thing that was decided.

    Attributes:
        action: `accept`, `reject`, `merge` or `split` by a person, or `group` for what
            `group --merge` did.
        changes: work before and after, by id of each recording that got another one.
        together: ids of recordings that a person says perform one work.
        apart: two lists of ids; a person says that no recording of the first performs
            the same work as one of the second.
        places: path and duration by id, to know recordings with new tags again.
        time: when it was decided, in UTC.
        is_done: whether the catalogue has been changed.
    """

    action: str
    changes: Mapping[str, tuple[str, str]]
    together: tuple[str, ...] = ()
    apart: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    places: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    time: str = ""
    is_done: bool = False

    def to_dict(self) -> JsonObject:
        """Return the decision as a JSON object."""
        return asdict(self)

    def followed(
        self, ids: Mapping[str, str], recordings: Mapping[str, Recording]
    ) -> Decision:
        """Return the decision with other ids, and the places where recordings are now.

        Args:
            ids: ids now by ids before, of those that have changed.
            recordings: those that are there, by id.
        """

        def now(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(ids.get(name, name) for name in names)

        places = dict(zip(now(self.places), self.places.values(), strict=True))
        for name in places.keys() & recordings.keys():
            places[name] = (recordings[name].path, recordings[name].duration)
        changes = dict(zip(now(self.changes), self.changes.values(), strict=True))
        one, other = map(now, self.apart)
        return replace(
            self,
            changes=changes,
            together=now(self.together),
            apart=(one, other),
            places=places,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Decision:
        """Build a decision from what `to_dict` returns.

        Raises:
            TypeError, ValueError, KeyError, AttributeError: it is something else.
        """
        one, other = values["apart"]
        changes = {
            name: (str(before), str(after))
            for name, (before, after) in values["changes"].items()
        }
        places = {
            name: (str(path), float(seconds))
            for name, (path, seconds) in values["places"].items()
        }
        return cls(
            str(values["action"]),
            changes,
            tuple(map(str, values["together"])),
            (tuple(map(str, one)), tuple(map(str, other))),
            places,
            str(values["time"]),
            bool(values["is_done"]),
        )


class Record:
    """The decisions about a catalogue.

    Several processes and threads may decide at once: they take turns.

    Args:
        catalogue: what is decided about.
        path: the file; by default `decisions.json` in the folder of the catalogue.

    Raises:
        ConfigError: the catalogue is on a server and no file is named.
    """

    def __init__(self, catalogue: Catalogue, path: Path | None = None) -> None:
        if path is None and not Path(catalogue.address).is_dir():
            raise ConfigError(
                f"{catalogue.address}: on a server, so name a file for decisions "
                "with --record"
            )
        self.path = path or Path(catalogue.address) / FILE_NAME
        self._catalogue = catalogue

    def read(self) -> list[Decision]:
        """Return the decisions, the latest last.

        Raises:
            DataError: the file is something else.
        """
        if not self.path.exists():
            return []
        text = self.path.read_bytes()
        values = json_object(text, self.path, DataError).get("decisions")
        try:
            return [Decision.from_dict(each) for each in values]  # type: ignore[union-attr]
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise DataError(
                f"{self.path}: not a record of decisions ({error})"
            ) from None

    def take(self, decide: Callable[[dict[str, Recording]], Decision]) -> Decision:
        """Take a decision: store it and change the catalogue.

        Args:
            decide: makes the decision of the recordings by id; nobody else changes
                their works meanwhile.

        Returns:
            The decision as it was stored; one that changes and says nothing is not.

        Raises:
            DataError: the file is not a record of decisions; or what `decide` raises.
            CatalogueError: the catalogue cannot be written.
        """
        with self.alone() as decisions:
            recordings = _by_id(self._catalogue)
            made = decide(recordings)
            ids = {*made.changes, *made.together, *made.apart[0], *made.apart[1]}
            if not ids:  # there is nothing to undo
                return made
            places = {
                name: (recordings[name].path, recordings[name].duration)
                for name in sorted(ids)
            }
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            made = replace(made, places=places, time=now)
            self._write([*decisions, made])
            return self._finish([*decisions, made])[-1]

    def undo(self, action: str | None = None) -> tuple[Decision, int]:
        """Take the latest decision back.

        Args:
            action: only decisions of this kind; by default of any.

        Returns:
            What was undone, and the number of recordings that got their work back.
            Recordings that are gone, or whose work has changed since, are left alone.

        Raises:
            DataError: there is nothing to undo.
        """
        with self.alone() as decisions:
            chosen = [
                number
                for number, each in enumerate(decisions)
                if action in (None, each.action)
            ]
            if not chosen:
                raise DataError(f"{self.path}: there is no decision to undo")
            latest = decisions.pop(chosen[-1])
            back = {name: (new, old) for name, (old, new) in latest.changes.items()}
            count = self._change(replace(latest, changes=back))
            self._write(decisions)
            return latest, count

    def follow(self, followed: Mapping[str, str]) -> None:
        """Know recordings again whose files have been moved or changed.

        Args:
            followed: new ids by old, as `index_files` has them; empty to look all
                recordings up again, with their places.

        Raises:
            DataError: the file is not a record of decisions.
        """
        if not self.path.exists():
            return
        with self.alone() as decisions:
            ids, recordings = followed, {}
            # Reading a large catalogue takes seconds.
            if not followed:
                recordings = _by_id(self._catalogue)
                ids = current_ids((each.places for each in decisions), recordings)
            now = [each.followed(ids, recordings) for each in decisions]
            if now != decisions:
                self._write(now)

    def works(self) -> dict[str, str]:
        """Return the works that were decided, by id of recordings that have them."""
        decisions = self.read()
        if not decisions:
            return {}
        recordings = _by_id(self._catalogue)
        now = current_ids((each.places for each in decisions), recordings)
        given = {
            now[name]: after
            for each in decisions
            for name, (_, after) in each.changes.items()
            if name in now
        }
        return {
            name: work for name, work in given.items() if recordings[name].work == work
        }

    def verdicts(self) -> Verdicts:
        """Return what persons have said about the recordings that are there."""
        return Verdicts(self.read(), self._catalogue.recordings())

    @contextmanager
    def alone(self) -> Iterator[list[Decision]]:
        """Keep others waiting; give the decisions, all of them done."""
        beside = self.path.with_name(f".{self.path.name}.lock")
        with self._catalogue.writing(), lock(beside, wait=True):
            yield self._finish(self.read())

    def _finish(self, decisions: list[Decision]) -> list[Decision]:
        """Change the catalogue by what has been decided but is not done."""
        if all(each.is_done for each in decisions):
            return decisions
        for each in decisions:
            if not each.is_done:
                self._change(each)
        done = [replace(each, is_done=True) for each in decisions]
        self._write(done)
        return done

    def _change(self, decision: Decision) -> int:
        """Give recordings that have the work before the one after; return how many."""
        recordings = _by_id(self._catalogue)
        now = current_ids([decision.places], recordings)
        changed = [
            replace(recordings[now[name]], work=after)
            for name, (before, after) in decision.changes.items()
            if name in now and recordings[now[name]].work == before
        ]
        self._catalogue.update(changed)
        return len(changed)

    def _write(self, decisions: Iterable[Decision]) -> None:
        values = [each.to_dict() for each in decisions]
        write_atomically(self.path, json.dumps({"decisions": values}, indent=1) + "\n")


def find_record(catalogue: Catalogue, path: Path | None = None) -> Record | None:
    """Return the record of a catalogue; None for one on a server without a path."""
    if path is None and not Path(catalogue.address).is_dir():
        return None
    return Record(catalogue, path)


class Verdicts:
    """What persons have said about pairs of recordings; the latest word counts.

    Attributes:
        accepted: pairs of ids that are versions of each other.
        rejected: pairs that are not.
    """

    def __init__(
        self, decisions: Iterable[Decision], recordings: Iterable[Recording]
    ) -> None:
        decisions = list(decisions)
        now = current_ids(
            (each.places for each in decisions), {each.id: each for each in recordings}
        )
        said: dict[Pair, bool] = {}
        for each in decisions:
            together = [now[name] for name in each.together if name in now]
            one, other = (
                [now[name] for name in side if name in now] for side in each.apart
            )
            # Each with the first: that makes them one set.
            said |= {pair_of(together[0], name): True for name in together[1:]}
            said |= {pair_of(*names): False for names in product(one, other)}
        self.accepted = {pair for pair, is_version in said.items() if is_version}
        self.rejected = {pair for pair, is_version in said.items() if not is_version}

    def of(self, one: str, other: str) -> str:
        """Return `accept`, `reject` or nothing for two ids."""
        pair = pair_of(one, other)
        if pair in self.accepted:
            return "accept"
        return "reject" if pair in self.rejected else ""


def _by_id(catalogue: Catalogue) -> dict[str, Recording]:
    return {recording.id: recording for recording in catalogue.recordings()}


Places = Mapping[str, tuple[str, float]]
"""Path and duration of recordings by id."""


def current_ids(
    places: Iterable[Places], recordings: Mapping[str, Recording]
) -> dict[str, str]:
    """Return by a former id the id now, of recordings that are still there.

    A file that got other tags since has another id; path and duration tell it.

    Args:
        places: where the recordings were when their ids were noted.
        recordings: those that are there, by id.
    """
    by_path = {each.path: each for each in recordings.values()}
    found = {}
    for noted in places:
        for name, (path, seconds) in noted.items():
            other = by_path.get(path)
            if name in recordings:
                found[name] = name
            elif other is not None and abs(other.duration - seconds) < _SECONDS:
                found[name] = other.id
    return found
