"""Writing what a catalogue knows into the tags of files, and taking it back.

Two fields are written: `work`, the title of the composition, where each format keeps
it, and `versions`, the other recordings of it, as BYTECOVER_VERSIONS. All other tags
stay as they are, and so does the sound: a copy of the file is changed, its packets of
sound and its other tags are compared with those of the file, and only then does it take
the file's place.

An undo file holds a line of JSON per file: what the fields were and what they become.
It is written before the first file is changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bytecover_tf.audio.decoding import iter_packets
from bytecover_tf.catalogues.catalogue import Catalogue, check_in_place
from bytecover_tf.catalogues.copies import Copies
from bytecover_tf.catalogues.identifiers import SEPARATOR, is_work_identifier
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.catalogues.tags import texts_of
from bytecover_tf.errors import AudioError, DataError, explain
from bytecover_tf.files import (
    content_hash,
    json_object,
    modified_ns,
    replacing,
    write_atomically,
)

FIELDS = ("work", "versions")

# The versions of ID3 that mutagen writes.
_WRITTEN = ((2, 3), (2, 4))

Fields = Mapping[str, Sequence[str]]
"""The values of each field; none if the tags lack it."""

# What most formats call a field; `_key` knows the exceptions.
_OWN_NAME = {"work": "WORK", "versions": "BYTECOVER_VERSIONS"}


@dataclass(frozen=True)
class TagChange:
    """The change of one file's tags.

    Attributes:
        path: the file.
        before: the fields as they are.
        after: the fields as they will be.
        had_tags: whether the file has tags of any kind now.
    """

    path: str
    before: Fields
    after: Fields
    had_tags: bool

    @property
    def back(self) -> TagChange:
        """The change that undoes this one."""
        return TagChange(self.path, self.after, self.before, self.had_tags)


def plan_tags(
    catalogue: Catalogue, paths: Iterable[str] = (), overwrite: bool = False
) -> tuple[list[TagChange], dict[str, str]]:
    """Compare the tags of files with what a catalogue knows.

    The title of a work is written if the work has a name; else it is left alone. The
    versions of a recording are the other recordings of its work; where there are none
    any more, the field is taken away. Copies of a recording get the same tags, so that
    they stay copies; they come before it, so that a run that is interrupted can be
    continued.

    Args:
        catalogue: holds works and versions.
        paths: files or folders; by default all in the catalogue.
        overwrite: whether to change the title of a work that a file has already.

    Returns:
        The changes that are needed, by path of the recordings, and the reasons by path
        why some files cannot be tagged, or a path names none.
    """
    versions: dict[str, list[Recording]] = defaultdict(list)
    for recording in catalogue.recordings():
        versions[recording.work].append(recording)
    tops = tuple(os.path.abspath(path) for path in paths)
    changes: list[TagChange] = []
    failed: dict[str, str] = {}
    everything = [each for works in versions.values() for each in works]
    copies = Copies(catalogue.address).by_content()
    for top in tops:
        if not any(_is_below(each.path, [top]) for each in everything):
            failed[top] = f"{top}: holds no recording of {catalogue.address}"
    for recording in sorted(everything, key=lambda each: each.path):
        path = recording.path
        if tops and not _is_below(path, tops):
            continue
        wanted = _wanted(recording, versions[recording.work])
        try:
            file, had_tags = _open(path)
            before = _read(file)
        except Exception as error:  # a parser of any input
            if wanted:
                failed[path] = explain(error, path)
            continue
        if before["versions"]:
            wanted.setdefault("versions", [])
        if any(before["work"]) and not overwrite:
            wanted.pop("work", None)
        after = {**before, **wanted}
        if after == before:
            continue
        try:
            check_in_place(recording)
        except DataError as error:
            failed[path] = str(error)
        else:
            others = _others_than(path, copies.get(recording.content, []))
            changes += [
                TagChange(each, before, after, had_tags)
                for each in (*others, path)
                if not tops or _is_below(each, tops)
            ]
    return changes, failed


def write_tags(
    catalogue: Catalogue, changes: Sequence[TagChange], undo_file: Path
) -> tuple[int, dict[str, str]]:
    """Change the tags of files, each completely or not at all.

    The catalogue is updated, so that it knows the new content of the files. A run that
    was interrupted is continued with the same undo file.

    Args:
        catalogue: holds the recordings.
        changes: as `plan_tags` returned them.
        undo_file: for `undo_tags`; written first. What it holds already is kept.

    Returns:
        The number of files whose tags are as planned, and the reasons by path why
        others are not, or why the catalogue does not know it.

    Raises:
        DataError: the undo file is something else.
        OSError: it cannot be written; no file was changed.
    """
    if not changes:
        return 0, {}
    kept = [*_read_changes(undo_file)] if undo_file.exists() else []
    lines = [json.dumps(vars(change)) + "\n" for change in (*kept, *changes)]
    write_atomically(undo_file, "".join(lines))
    return _apply(catalogue, changes, "index the files again")


def undo_tags(catalogue: Catalogue, undo_file: Path) -> tuple[int, dict[str, str]]:
    """Take back what `write_tags` wrote.

    A field that somebody has changed since is left alone.

    Args:
        catalogue: is updated, as in `write_tags`.
        undo_file: what `write_tags` wrote.

    Returns:
        The number of files whose tags were restored, and the reasons by path why others
        were left as they were.

    Raises:
        DataError: the file is something else.
    """
    changes = [change.back for change in _read_changes(undo_file)]
    return _apply(
        catalogue,
        changes[::-1],
        "if it has been moved, change its path in the undo file",
    )


def _apply(
    catalogue: Catalogue, changes: Sequence[TagChange], advice: str
) -> tuple[int, dict[str, str]]:
    known = {each.path: each for each in catalogue.recordings()}
    copies = Copies(catalogue.address)
    try:
        return _apply_to(catalogue, known, copies, changes, advice)
    finally:
        copies.save({each.content for each in known.values()})


def _apply_to(
    catalogue: Catalogue,
    known: dict[str, Recording],
    copies: Copies,
    changes: Sequence[TagChange],
    advice: str,
) -> tuple[int, dict[str, str]]:
    """Apply changes; `known` and `copies` follow."""
    changed = set()
    failed = {}
    for change in changes:
        path = change.path
        try:
            before = content_hash(path)
            is_copy = copies.content(path) == before
            _change_file(change)
        except FileNotFoundError:
            failed[path] = f"{path}: is not there any more; {advice}"
            continue
        except Exception as error:  # one bad file must not stop the batch
            failed[path] = explain(error, path)
            continue
        changed.add(path)
        failed.pop(path, None)
        try:
            if path in known and known[path].content == before:
                known[path] = _follow(catalogue, known[path])
            elif is_copy:
                status = os.stat(path)
                content = content_hash(path)
                copies.note(path, status.st_size, modified_ns(status), content)
        except Exception as error:
            failed[path] = (
                f"{path}: its tags are changed, but not what the catalogue knows of "
                f"it; index the file again ({explain(error, path)})"
            )
    return len(changed), failed


def _change_file(change: TagChange) -> None:
    """Change the fields of a file, if they are what they were."""
    # Follow links: otherwise the file would replace the link.
    path = Path(change.path).resolve(strict=True)
    original, _ = _open(path)
    present = _read(original)
    if present == change.after:
        return
    if present != change.before:
        raise DataError(f"{path}: its tags have been changed since; left as they are")
    with replacing(path) as beside:
        shutil.copy2(path, beside)
        _keep_owner(path, beside)
        file, _ = _open(beside)
        for field in FIELDS:
            _set(file.tags, field, change.after[field])
        if not change.had_tags and not file.tags:
            file.delete()
        else:
            _save(file)
        if _sound(beside) != _sound(path):
            raise AudioError(f"{path}: tags cannot be written without changing sound")
        if _others(_open(beside)[0]) != _others(original):
            raise DataError(f"{path}: tags cannot be written without changing others")


def _keep_owner(path: Path, beside: Path) -> None:
    """Give a copy the owner and the group of the file, or at least the group.

    Raises:
        OSError: not even that is allowed.
    """
    ours, theirs = beside.stat(), path.stat()
    if (ours.st_uid, ours.st_gid) == (theirs.st_uid, theirs.st_gid):
        return
    try:
        os.chown(beside, theirs.st_uid, theirs.st_gid)
    except PermissionError:
        if ours.st_gid != theirs.st_gid:
            os.chown(beside, -1, theirs.st_gid)


def _follow(catalogue: Catalogue, recording: Recording) -> Recording:
    """Tell a catalogue about the new content of a file; return what it is now."""
    content = content_hash(recording.path)
    status = os.stat(recording.path)
    new = replace(
        recording,
        id=content[:16],
        content=content,
        size=status.st_size,
        mtime_ns=modified_ns(status),
    )
    # The work may have been changed since the catalogue was first read.
    with catalogue.writing():
        before = list(catalogue.rows([recording.id]))
        # Another file may have become what this one was.
        is_its_own = all(row.recording.path == recording.path for row in before)
        # The digest of a damaged row stays, so that it does not seem to be sound.
        rows = [
            replace(
                row,
                recording=replace(new, work=row.recording.work),
                digest="" if row.is_as_stored else row.digest,
            )
            for row in before
        ]
        catalogue.add(rows)
        if content != recording.content and is_its_own:
            catalogue.remove([recording.id])
    return new


def _is_below(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(os.path.join(top, "")) for top in tops)


def _others_than(path: str, copies: Iterable[str]) -> Iterator[str]:
    """Return the copies that are no symbolic links to the file at a path."""
    file = os.path.realpath(path)
    return (copy for copy in copies if os.path.realpath(copy) != file)


def _wanted(
    recording: Recording, versions: Sequence[Recording]
) -> dict[str, list[str]]:
    wanted = {}
    if recording.has_named_work and not is_work_identifier(recording.work):
        wanted["work"] = [recording.work]
    others = sorted({each.label for each in versions if each.id != recording.id})
    if others:
        # As one text, as ID3v2.3 has no lists.
        wanted["versions"] = [SEPARATOR.join(others)]
    return wanted


def _open(path: str | Path) -> tuple[Any, bool]:
    """Open a file to write tags, and tell whether it has any.

    Raises:
        DataError: mutagen writes no tags in its format.
    """
    import mutagen

    file = mutagen.File(path)
    try:
        had_tags = file.tags is not None
        if not had_tags:
            file.add_tags()
        elif _is_id3(file.tags) and file.tags.version[:2] in _WRITTEN:
            # Otherwise what belongs to another version would be translated or dropped.
            file.tags = type(file.tags)()
            file.tags.load(os.fspath(path), translate=False)
    except (AttributeError, NotImplementedError):
        raise DataError(
            f"{path}: tags cannot be written in files of this format"
        ) from None
    return file, had_tags


def _others(file: Any) -> dict[str, Any]:
    """Return all tags but those that are written here."""
    # Case counts in some formats alone.
    ours = {_key(file.tags, field).lower() for field in FIELDS}
    # Not all tags of mutagen are mappings.
    keys = file.tags.keys()
    return {str(key): file.tags[key] for key in keys if str(key).lower() not in ours}


def _read(file: Any) -> dict[str, list[str]]:
    return {field: _get(file.tags, field) for field in FIELDS}


def _key(tags: Any, field: str) -> str:
    """Return what a field is called in tags of this kind."""
    kind = type(tags).__name__
    name = _OWN_NAME[field]
    if kind == "MP4Tags":
        return "©wrk" if field == "work" else f"----:com.apple.iTunes:{name}"
    if kind == "ASFTags":
        return "WM/Work" if field == "work" else name
    return f"TXXX:{name}" if _is_id3(tags) else name


def _is_id3(tags: Any) -> bool:
    return hasattr(tags, "getall")


def _get(tags: Any, field: str) -> list[str]:
    key = _key(tags, field)
    return texts_of(tags[key]) if key in tags else []


def _set(tags: Any, field: str, values: Sequence[str]) -> None:
    key = _key(tags, field)
    if not values:
        if key in tags:
            del tags[key]
    elif _is_id3(tags):
        from mutagen.id3 import TXXX

        tags.add(TXXX(encoding=3, desc=_OWN_NAME[field], text=list(values)))
    elif key.startswith("----"):
        tags[key] = [value.encode() for value in values]
    else:
        tags[key] = list(values)


def _save(file: Any) -> None:
    """Save tags, keeping the version of ID3 that the file has."""
    if _is_id3(file.tags) and file.tags.version[:2] == (2, 3):
        file.save(v2_version=3, v23_sep=None)
    else:
        file.save()


def _sound(path: Path) -> str:
    """Return a digest of the packets of sound of a file."""
    digest = hashlib.sha256()
    for packet in iter_packets(path):
        digest.update(packet)
    return digest.hexdigest()


def _read_changes(path: Path) -> Iterator[TagChange]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        where = f"{path}:{number}"
        values = json_object(line, where, DataError)
        try:
            yield TagChange(**values)
        except TypeError:
            raise DataError(f"{where}: expected the undo file of `tag`") from None
