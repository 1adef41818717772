"""Copies of recordings and links to them, known without being read again.

`copies.json` in the folder of a catalogue holds size, time and content of each such
file. A catalogue on a server has no folder, so there each run reads them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.files import is_unchanged, write_atomically

FILE_NAME = "copies.json"


class Copies:
    """What is known of files that are no recordings of their own.

    Args:
        address: of the catalogue.
    """

    def __init__(self, address: str) -> None:
        folder = Path(address)
        self._path = folder / FILE_NAME if folder.is_dir() else None
        self._files: dict[str, tuple[int, int, str]] = {}
        self._has_changed = False
        try:
            text = self._path.read_text() if self._path else "{}"
            for path, (size, mtime_ns, content) in json.loads(text).items():
                self._files[path] = int(size), int(mtime_ns), str(content)
        except (OSError, ValueError, TypeError, AttributeError):
            # Without it files are read once more, and nothing is lost.
            self._files = {}

    def content(self, path: str) -> str:
        """Return the content hash of a file that is as it was; empty if it is not."""
        size, mtime_ns, content = self._files.get(path, (0, 0, ""))
        return content if content and is_unchanged(path, size, mtime_ns) else ""

    def another(self, recording: Recording) -> Recording | None:
        """Return a recording in the place of a copy that is as it was, or None."""
        for path, (size, mtime_ns, content) in self._files.items():
            if content == recording.content and is_unchanged(path, size, mtime_ns):
                return replace(recording, path=path, size=size, mtime_ns=mtime_ns)
        return None

    def by_content(self) -> dict[str, list[str]]:
        """Return the files that are as they were, by content hash."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for path in self._files:
            if content := self.content(path):
                found[content].append(path)
        return found

    def note(self, path: str, size: int, mtime_ns: int, content: str) -> None:
        """Keep what is known of a file."""
        self._has_changed |= self._files.get(path) != (size, mtime_ns, content)
        self._files[path] = size, mtime_ns, content

    def save(self, contents: Container[str]) -> None:
        """Write the file, if there is something new to keep.

        Args:
            contents: content hashes of the catalogue's recordings.
        """
        if self._path is None or not self._has_changed:
            return
        kept = {
            path: facts for path, facts in self._files.items() if facts[2] in contents
        }
        write_atomically(self._path, json.dumps(kept, indent=0) + "\n")
