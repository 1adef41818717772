"""Filling a catalogue from files, in parallel and resumable."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Protocol

import numpy as np

from bytecover_tf.catalogues.catalogue import Catalogue, Place, place_of
from bytecover_tf.catalogues.copies import Copies
from bytecover_tf.catalogues.identifiers import EXPECTED, is_work_identifier, tidy
from bytecover_tf.catalogues.packing import pack
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.catalogues.segments import embed_rows
from bytecover_tf.catalogues.tags import TAGS_READ, read_tags
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.files import JsonObject, is_gone, nearest_folder
from bytecover_tf.progress import progress_bar
from bytecover_tf.stores.extraction import Extracted, Reader
from bytecover_tf.stores.process_map import ProcessMap
from bytecover_tf.stores.ray_cluster import map_on_cluster

# Frames of chroma, half a second each, that it takes to recognise a recording by them.
_LEAST_SOUND = 8
# Recordings that are embedded and stored together: a killed run loses no more.
_BATCH = 16
# Or fewer, if their features take so many bytes: those of hours do.
_BATCH_BYTES = 2**26
# Recordings whose chroma is in memory at once.
_READ_AT_ONCE = 500


class Decisions(Protocol):
    """What was decided about the recordings of a catalogue, by their ids."""

    def follow(self, followed: Mapping[str, str]) -> None:
        """Take new ids by old; none to look all recordings up again."""

    def works(self) -> Mapping[str, str]:
        """Return the works that were decided, by id of recordings that have them."""


class _Undecided:
    """Nothing was decided."""

    def follow(self, followed: Mapping[str, str]) -> None:
        pass

    def works(self) -> Mapping[str, str]:
        return {}


@dataclass
class IndexingReport:
    """What indexing did.

    Attributes:
        added: number of recordings that are new.
        changed: number of files whose content replaced another.
        moved: number of recordings found at another path.
        renamed: number of recordings that now have another work.
        retagged: number of other recordings whose tags or manifest entry changed.
        present: number of recordings that needed no change.
        copies: by path of each copy, the path of the recording with the same content.
        failed: reason by path, for each file that was skipped.
        malformed: by path, what is wrong with the identifiers in a file.
        kept: number of recordings that keep a work that was decided, though they were
            given another, or identifiers of another.
    """

    added: int = 0
    changed: int = 0
    moved: int = 0
    renamed: int = 0
    retagged: int = 0
    present: int = 0
    copies: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    malformed: dict[str, str] = field(default_factory=dict)
    kept: int = 0

    @property
    def has_changed_something(self) -> bool:
        """Whether the catalogue has changed."""
        changes = self.added + self.changed + self.moved + self.renamed
        return bool(changes + self.retagged)


def index_files(
    catalogue: Catalogue,
    load: Callable[[], Encoder],
    paths: Iterable[str],
    works: Mapping[str, str] | None = None,
    workers: int | None = None,
    ray: str | None = None,
    allow_truncated: bool = False,
    again: bool = False,
    facts: Mapping[str, Mapping[str, str]] | None = None,
    tell: Callable[[int, int], None] | None = None,
    decisions: Decisions | None = None,
) -> IndexingReport:
    """Bring a catalogue up to date with files.

    A file whose size and time have not changed is not read. New content is embedded.
    Content that the catalogue already has is not embedded again: if the file that it
    was read from is gone, the recording has moved; otherwise the new file is a copy. A
    new file that sounds the same as one that is gone counts as moved too: only its tags
    have changed. A recording with copies has the path that comes first in `paths`.

    Content that a changed file no longer has, nor any copy of it, is removed. If it had
    been given a work, the new content gets that work. A recording whose work has no
    name gets the ISWC or the MusicBrainz id of its work as the name, or the work of a
    recording with the same id. If the caller names one of them, all get that name.

    Embeddings are stored as soon as they are made. An interrupted run continues where
    it stopped, and ends with the same catalogue.

    Args:
        catalogue: made with the encoder.
        load: returns the encoder; called only if there is something to embed.
        paths: audio or `.npy` files.
        works: label of the composition by absolute path. Other recordings keep their
            work, and so do those whose work was decided; a new one becomes a work of
            its own.
        workers: processes that decode and transform; by default one per core.
        ray: address of a Ray cluster that does this instead, see
            `bytecover_tf.stores.ray_cluster`.
        allow_truncated: whether to take what is there of truncated files.
        again: whether to read files even if their size and time have not changed.
        facts: fields of `Tags` by absolute path; they replace what the tags say.
        tell: called after each file with how many are done, and of how many.
        decisions: follow recordings: they are told of new ids before the old ones are
            removed, and to look all up at the beginning and, if paths have changed, at
            the end. `matching.decisions.Record` has them.

    Returns:
        What was done and what failed.

    Raises:
        CatalogueError: the catalogue cannot be read or written, or the network that
            heard its notes is gone.
        ClusterError: the cluster cannot be reached.
        DataError: what keeps the decisions is damaged.
    """
    ordered = list(dict.fromkeys(os.path.abspath(path) for path in paths))
    read = Reader(
        catalogue.identity.frontend,
        with_chroma=True,
        hearing=catalogue.identity.load_hearing(catalogue.address),
        allow_truncated=allow_truncated,
    )
    decisions = decisions or _Undecided()
    # A run that was killed may have moved some.
    decisions.follow({})
    run = _Indexing(
        catalogue, load, ordered, works or {}, facts or {}, read, again, decisions
    )
    run.run(workers, ray, tell)
    if run.has_moved:
        decisions.follow({})
    return run.report


class _Indexing:
    """One run: what the catalogue has, and what is about to be written."""

    def __init__(
        self,
        catalogue: Catalogue,
        load: Callable[[], Encoder],
        paths: Sequence[str],
        works: Mapping[str, str],
        facts: Mapping[str, Mapping[str, str]],
        read: Reader,
        again: bool,
        decisions: Decisions,
    ) -> None:
        self.report = IndexingReport()
        # Whether a recording that was known has another path or another id now.
        self.has_moved = False
        self._catalogue = catalogue
        self._load = cache(load)
        self._reader = read
        self._again = again
        self._copies = Copies(catalogue.address)
        self._decisions = decisions
        # Recordings whose file is gone, by their sound; filled when first needed.
        self._gone: dict[bytes, Recording] | None = None
        # By id of new content, the recording that sounded the same and is replaced.
        self._moved_to: dict[str, Recording] = {}
        # The works of those, by content.
        self._left: dict[str, str] = {}
        # Ids of those whose file was found elsewhere after all, so that they stay.
        self._found_again: set[str] = set()
        # Ids of new content, which gets the work of what it replaces.
        self._fresh: set[str] = set()
        self._frontend = catalogue.identity.frontend
        self._paths = paths
        self._rank = {path: rank for rank, path in enumerate(paths)}
        self._works = works
        self._facts = facts
        self._keeps_tags = catalogue.make_room()
        # Labels of works by identifier, and how many recordings each has.
        self._identified: dict[str, str] = {}
        self._sharers: Counter[str] = Counter()
        # Names that the caller gives to works, by identifier.
        self._named: dict[str, str] = {}
        self._by_content: dict[str, Recording] = {}
        self._by_path: dict[str, Recording] = {}
        for recording in sorted(catalogue.recordings(), key=lambda each: each.id):
            self._sharers[recording.work] += 1
            if recording.has_named_work:
                self._note_identifiers(recording)
            self._by_content[recording.content] = recording
            # A run that was killed may have left the old content of a changed file.
            is_second = recording.path in self._by_path
            if not is_second or recording.is_unchanged:
                self._by_path[recording.path] = recording
            if is_second:
                self._fresh.add(self._by_path[recording.path].id)
        self._decided = self._stays(decisions.works())
        # The content hash of each file that this run has looked at.
        self._seen: dict[str, str] = {}
        self._new: dict[str, tuple[Recording, Extracted]] = {}
        self._updated: dict[str, Recording] = {}
        # What those were.
        self._since: dict[str, Recording] = {}

    def run(
        self,
        workers: int | None,
        ray: str | None,
        tell: Callable[[int, int], None] | None,
    ) -> None:
        """Do all of it.

        Args:
            workers: as of `index_files`.
            ray: likewise.
            tell: likewise.
        """
        todo = [path for path in self._paths if not self._is_present(path)]
        with progress_bar(total=len(todo), unit="file", desc="index") as bar:
            read = self._read(todo, workers, ray) if todo else ()
            for done, (path, result) in enumerate(read, 1):
                bar.update()
                if tell:
                    tell(done, len(todo))
                # Not as soon as it is: after the last file no other process is left
                # that needs memory.
                if self._is_full:
                    self._store()
                if isinstance(result, str):
                    self._fail(path, result)
                else:
                    self._take(path, result)
                bar.set_postfix(failed=len(self.report.failed))
        self._name_identified()
        self._store()
        self._remove_replaced()
        self._copies.save(self._by_content)

    def _read(
        self, paths: Sequence[str], workers: int | None, ray: str | None
    ) -> Iterator[tuple[str, Extracted | str]]:
        read = replace(self._reader, known=frozenset(self._by_content))
        if ray is not None:
            return map_on_cluster(ray, read, paths)
        return ProcessMap(read, workers).map(paths)

    def _is_present(self, path: str) -> bool:
        known = self._by_path.get(path)
        if known is None and not self._again:
            return self._is_known_copy(path)
        if self._again or known is None or not known.is_unchanged:
            return False
        self._seen[path] = known.content
        new = known
        if self._keeps_tags and known.tags_read < TAGS_READ:
            new = self._tagged(known, path)
        self._keep(known, self._told(new, path, known))
        return True

    def _stays(self, decided: Mapping[str, str]) -> frozenset[str]:
        """Return the ids of recordings that keep a work that was decided.

        That they share it was decided, not what it is called. So they follow a caller
        who gives all of them one label, and no recording of another work the same.

        Args:
            decided: works by id.
        """
        labels, works = defaultdict(set), defaultdict(set)
        for recording in self._by_content.values():
            if recording.path in self._works:
                label = self._works[recording.path]
                labels[recording.work].add(label)
                works[label].add(recording.work)
        renamed = {
            work
            for work, given in labels.items()
            if len(given) == 1 and works[min(given)] == {work}
        }
        return frozenset(name for name, work in decided.items() if work not in renamed)

    def _given_work(self, path: str, before: str) -> str | None:
        """Return the work that the caller gives a file, if it is to be heeded.

        Args:
            path: of the file.
            before: id of the recording that it was.
        """
        return None if before in self._decided else self._works.get(path)

    def _is_known_copy(self, path: str) -> bool:
        content = self._copies.content(path)
        of = self._by_content.get(content)
        if of is None or not of.is_unchanged:
            return False
        if _is_one_file(of.path, path):
            if of.path not in self._rank or _is_rather_a_link(of.path, path):
                return False
            self.report.present += 1
        elif self._rank.get(of.path, -1) < self._rank[path]:
            self.report.copies[path] = of.path
        else:
            return False
        self._seen[path] = content
        return True

    def _keep(self, known: Recording, now: Recording) -> None:
        """Note what the catalogue is to know of a recording that is where it was."""
        if now.work != known.work:
            self.report.renamed += 1
        elif now.facts != known.facts:
            self.report.retagged += 1
        else:
            self.report.present += 1
        if now != known:
            self._update(now)

    def _fail(self, path: str, reason: str) -> None:
        self.report.failed[path] = reason

    def _take(self, path: str, result: Extracted) -> None:
        try:
            path.encode()
        except UnicodeEncodeError:
            self._fail(path, f"{path!r}: its name is not valid UTF-8")
            return
        if result.features is None and result.key not in self._by_content:
            # It was known when it was read, and has been replaced since.
            again = replace(self._reader, known=frozenset())(path)
            if isinstance(again, str):
                self._fail(path, again)
                return
            result = again
        self._seen[path] = result.key
        known = self._by_content.get(result.key)
        if known is None:
            self._add(path, result)
        elif known.path == path:
            # At most its time has changed, and what the caller says of it.
            self._keep(known, self._placed(known, path, result, known))
        elif place_of(known) in (Place.GONE, Place.CHANGED):
            self.report.moved += 1
            self._found_again.add(known.id)
            self._update(self._placed(known, path, result, known))
        elif _is_one_file(known.path, path):
            # A link, or a folder that is reached by another way: no copy.
            if known.path in self._rank and not _is_rather_a_link(known.path, path):
                self.report.present += 1
                self._copies.note(path, result.size, result.mtime_ns, result.key)
            else:
                if known.path in self._rank:
                    size, mtime_ns = known.size, known.mtime_ns
                    self._copies.note(known.path, size, mtime_ns, result.key)
                self.report.moved += known.id not in self._fresh
                self._update(self._placed(known, path, result, known))
        elif self._rank.get(known.path, -1) < self._rank[path]:
            self.report.copies[path] = known.path
            self._copies.note(path, result.size, result.mtime_ns, result.key)
        else:
            self.report.copies[known.path] = path
            self._copies.note(known.path, known.size, known.mtime_ns, result.key)
            self._update(self._placed(known, path, result, known))

    def _add(self, path: str, result: Extracted) -> None:
        assert result.features is not None
        duration = result.features.shape[1] * self._frontend.seconds_per_frame
        blank = Recording.of_content(result.key, path, duration)
        if result.key in self._left:
            blank = replace(blank, work=self._left[result.key])
        replaced = self._by_path.get(path)
        if replaced is None:
            replaced = self._with_the_sound_of(result)
            if replaced is not None:
                blank = replace(blank, work=replaced.work)
                # If its disk is away, it stays until it is pruned; and also if there
                # is a copy, whose place it gets then.
                is_there = os.listdir(nearest_folder(replaced.path))
                if is_there and not self._copies.another(replaced):
                    self._moved_to[blank.id] = replaced
        elif self._sounds_like(replaced, result):
            blank = replace(blank, work=replaced.work)
        recording = self._placed(blank, path, result, replaced or blank)
        self._new[recording.id] = (recording, result)
        self._by_content[recording.content] = recording
        self._fresh.add(recording.id)

    def _with_the_sound_of(self, result: Extracted) -> Recording | None:
        """Return the recording with the same sound whose file is gone."""
        if self._gone is None:
            gone = {
                recording.id: recording
                for recording in self._by_content.values()
                if recording.id not in self._new and is_gone(recording.path)
            }
            self._gone = {}
            names = [*gone]
            # All chroma of a library whose disk is away may be larger than memory.
            for start in range(0, len(names), _READ_AT_ONCE):
                chroma = self._catalogue.chroma(names[start : start + _READ_AT_ONCE])
                for name, kept in chroma.items():
                    self._gone[_sound(kept)] = gone[name]
        assert result.chroma is not None
        if result.chroma.shape[1] < _LEAST_SOUND:
            return None
        # If two files sound like it, the first one takes its place.
        found = self._gone.pop(_sound(result.chroma), None)
        return None if found is None or found.id in self._found_again else found

    def _sounds_like(self, recording: Recording, result: Extracted) -> bool:
        chroma = self._catalogue.chroma([recording.id]).get(recording.id)
        assert result.chroma is not None
        return chroma is not None and _sound(chroma) == _sound(result.chroma)

    def _placed(
        self, recording: Recording, path: str, result: Extracted, before: Recording
    ) -> Recording:
        """Return a recording with the facts of its file at a path.

        Args:
            recording: what is placed.
            path: of its file.
            result: what was read there.
            before: what was known of the recording, or of the one that it replaces.
        """
        placed = self._tagged(recording, path)
        placed = replace(placed, path=path, size=result.size, mtime_ns=result.mtime_ns)
        return self._told(placed, path, before)

    def _tagged(self, recording: Recording, path: str) -> Recording:
        """Return a recording with what a file's tags say."""
        return replace(recording, **asdict(read_tags(path)), tags_read=TAGS_READ)

    def _told(self, recording: Recording, path: str, before: Recording) -> Recording:
        """Return a recording with the work and facts that the caller gave for it.

        The identifiers of a work count only when they are new, so that they do not undo
        what a person has decided about the recording since. Nor do new ones take it out
        of a work that it was put into.
        """
        facts: JsonObject = {
            kind: tidy(kind, text) if kind in EXPECTED else text
            for kind, text in self._facts.get(path, {}).items()
        }
        told = replace(recording, **facts) if self._keeps_tags else recording
        if told.malformed and told.malformed != before.malformed:
            self.report.malformed[path] = "; ".join(
                f"{kind} {' '.join(values)!r}, expected {EXPECTED[kind]}"
                for kind, values in told.malformed.items()
            )
        if before.id in self._decided:
            self.report.kept += self._works.get(path, told.work) != told.work
        given = self._given_work(path, before.id)
        if given is not None:
            told = replace(told, work=given)
            if not is_work_identifier(given):
                self._named |= dict.fromkeys(told.work_identifiers, given)
        elif told.work_identifiers != before.work_identifiers:
            work = self._work_by_identifier(told)
            if before.id in self._decided and self._sharers[told.work] > 1:
                self.report.kept += work != told.work
            else:
                told = replace(told, work=work)
        if told.has_named_work:
            self._note_identifiers(told)
        return told

    def _work_by_identifier(self, recording: Recording) -> str:
        is_alone = self._sharers[recording.work] < 2 and not recording.has_named_work
        if is_alone or is_work_identifier(recording.work):
            for identifier in recording.work_identifiers:
                if identifier in self._identified:
                    return self._identified[identifier]
            return next(iter(recording.work_identifiers), recording.work)
        return recording.work

    def _name_identified(self) -> None:
        """Give works that are called by an identifier the name that the caller gave."""
        for recording in [*self._by_content.values()]:
            name = self._named.get(recording.work)
            is_open = recording.path not in self._works
            if name and is_open and recording.id not in self._decided:
                self.report.renamed += recording.id not in self._fresh
                self._update(replace(recording, work=name))

    def _note_identifiers(self, recording: Recording) -> None:
        for identifier in recording.work_identifiers:
            self._identified.setdefault(identifier, recording.work)

    def _update(self, recording: Recording) -> None:
        before = self._by_content[recording.content]
        self.has_moved |= recording.path != before.path
        self._by_content[recording.content] = recording
        if recording.id in self._new:
            _, extracted = self._new[recording.id]
            self._new[recording.id] = (recording, extracted)
        else:
            self._since.setdefault(recording.id, before)
            self._updated[recording.id] = recording

    @property
    def _is_full(self) -> bool:
        """Whether the new recordings should be stored before there are more."""
        sizes = [
            extracted.features.nbytes
            for _, extracted in self._new.values()
            if extracted.features is not None
        ]
        return len(sizes) >= _BATCH or sum(sizes) >= _BATCH_BYTES

    def _store(self) -> None:
        if self._new:
            recordings, extracted = zip(*self._new.values(), strict=True)
            rows, failed = embed_rows(
                self._load(),
                recordings,
                extracted,
                self._catalogue.identity.segmenting,
            )
            with self._catalogue.writing():
                works = self._works_since(recordings)
                gone = {}
                for recording in recordings:
                    before = self._count(recording, failed)
                    if before is not None:
                        gone[before.id] = recording.id
                if gone:
                    self.has_moved = True
                    self._decisions.follow(gone)
                self._catalogue.add(
                    [
                        replace(row, recording=replace(row.recording, work=work))
                        if (work := works.get(row.recording.id))
                        else row
                        for row in rows
                    ]
                )
                self._catalogue.remove([*gone])
            self._new.clear()
        self._catalogue.update(list(self._updated.values()), self._since)
        self._updated.clear()
        self._since.clear()

    def _works_since(self, recordings: Sequence[Recording]) -> dict[str, str]:
        """Return by id the works that were given to new recordings meanwhile.

        Another process may have stored the same content, or changed the work of what
        they replace.
        """
        before = {one.id: self._moved_to.get(one.id) for one in recordings}
        for one in recordings:
            former = before[one.id] or one
            if self._given_work(one.path, former.id) is not None:
                del before[one.id]
        ids = [*before, *(one.id for one in before.values() if one)]
        there = {row.recording.id: row.recording for row in self._catalogue.rows(ids)}
        found = {}
        for name, replaced in before.items():
            if name in there:
                found[name] = there[name].work
            elif replaced and replaced.id in there:
                work = there[replaced.id].work
                if work != replaced.work:
                    found[name] = work
        return found

    def _count(
        self, recording: Recording, failed: Mapping[str, str]
    ) -> Recording | None:
        """Count what was stored; return the recording that it takes the place of.

        Args:
            recording: what is new.
            failed: reasons by path why others could not be embedded.
        """
        if recording.path in failed:
            self._fail(recording.path, failed[recording.path])
            # The old content stays, since there is no new one.
            del self._by_content[recording.content], self._seen[recording.path]
            return None
        before = self._moved_to.get(recording.id)
        if before is not None and before.id in self._found_again:
            before = None
        if before is not None:
            del self._by_content[before.content]
            self._left[before.content] = before.work
        if recording.path in self._by_path:
            self.report.changed += 1
        elif before is not None:
            self.report.moved += 1
        else:
            self.report.added += 1
        return before

    def _remove_replaced(self) -> None:
        """Remove content that neither its own file nor any other file has now."""
        changed = {
            recording.id: recording.path
            for recording in self._by_content.values()
            if self._seen.get(recording.path, recording.content) != recording.content
        }
        if not changed:
            return
        with self._catalogue.writing():
            # Another process may have found it in another file.
            left = {
                row.recording.id: row.recording
                for row in self._catalogue.rows(changed)
                if row.recording.path == changed[row.recording.id]
            }
            copies = [
                copy for one in left.values() if (copy := self._copies.another(one))
            ]
            self._catalogue.update(copies)
            self.report.moved += len(copies)
            for copy in copies:
                del left[copy.id]
            # What was given a work leaves it to the new content of its file.
            replaced = {
                name: self._by_content.get(self._seen[one.path])
                for name, one in left.items()
            }
            sharers = Counter(one.work for one in self._catalogue.recordings())
            heirs = [
                replace(new, work=left[name].work)
                for name, new in replaced.items()
                if new is not None and self._inherits(new, left[name], sharers)
            ]
            self._catalogue.update(heirs)
            # Not to another recording that has been moved to its place.
            followed = {
                name: new.id
                for name, new in replaced.items()
                if new is not None
                and new.id in self._fresh
                and new.path == left[name].path
            }
            self.has_moved |= bool(followed or copies)
            if followed:
                self._decisions.follow(followed)
            self._catalogue.remove([*left])

    def _inherits(
        self, new: Recording, replaced: Recording, sharers: Mapping[str, int]
    ) -> bool:
        """Tell whether new content gets the work of what it replaces.

        Args:
            new: the content that its file has now.
            replaced: what it had before.
            sharers: how many recordings each work has.
        """
        is_given = self._given_work(new.path, replaced.id) is not None
        if new.id not in self._fresh or is_given:
            return False
        is_named = replaced.has_named_work and not is_work_identifier(replaced.work)
        was_given = replaced.work != replaced.id or sharers[replaced.work] > 1
        return new.path == replaced.path and (
            is_named or (was_given and new.work == new.id)
        )


def _is_one_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one is out of reach
        return False


def _is_rather_a_link(path: str, other: str) -> bool:
    return os.path.islink(path) and not os.path.islink(other)


def _sound(chroma: np.ndarray) -> bytes:
    """Return what is the same for recordings that sound the same."""
    return hashlib.sha256(pack(chroma)).digest()
