"""A plug-in for beets: finds the covers in a library, and tells them from the rest.

    plugins: bytecover

    bytecover:
        catalogue: ~/music.catalogue

What is found is kept in flexible attributes of the items: `bytecover_work`, the work in
the catalogue, and `bytecover_versions`, how many other recordings of it there are.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from shlex import quote
from typing import Any, ClassVar

from beets import config, ui
from beets.dbcore import types
from beets.library import Item, Library
from beets.plugins import BeetsPlugin

from bytecover_tf.catalogues import Catalogue, Recording, open_catalogue
from bytecover_tf.catalogues.identifiers import SEPARATOR
from bytecover_tf.errors import ByteCoverError, CatalogueError
from bytecover_tf.terminal import counted

# What beets calls what a manifest may say.
_FACTS = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "composer": "composers",
    "year": "year",
    "isrc": "isrc",
    "iswc": "iswc",
    "musicbrainz_recording": "mb_trackid",
    "musicbrainz_work": "mb_workid",
}

Command = Callable[[Any, Library, Any, list[str]], None]


def _told(command: Command) -> Command:
    """Have errors of bytecover_tf end a command as beets ends one."""

    @wraps(command)
    def run(plugin: Any, lib: Library, options: Any, arguments: list[str]) -> None:
        try:
            command(plugin, lib, options, arguments)
        except BrokenPipeError:
            raise
        except (ByteCoverError, OSError) as error:
            raise ui.UserError(str(error)) from error

    return run


class BytecoverPlugin(BeetsPlugin):
    """The commands `beet bytecover` and `beet covers`."""

    item_types: ClassVar = {"bytecover_versions": types.INTEGER}

    def __init__(self) -> None:
        super().__init__()
        self.config.add({"catalogue": "bytecover.catalogue", "threshold": 0.9})

    def commands(self) -> list[ui.Subcommand]:
        """Return the commands that beets adds."""
        main = ui.Subcommand(
            "bytecover",
            help="find covers: `index [QUERY]`, `group`, `ask FILE ...`",
        )
        main.func = self.bytecover
        covers = ui.Subcommand("covers", help="list the covers of what a query finds")
        covers.func = self.covers
        return [main, covers]

    @_told
    def bytecover(self, lib: Library, _options: Any, arguments: list[str]) -> None:
        """Run `index`, `group` or `ask`."""
        actions = {"index": self._index, "group": self._group, "ask": self._ask}
        action, *rest = arguments or [""]
        if action not in actions:
            raise ui.UserError(
                f"expected {', '.join(actions)}, found {action or 'none'}"
            )
        actions[action](lib, rest)

    @_told
    def covers(self, lib: Library, _options: Any, arguments: list[str]) -> None:
        """List the other recordings of the works of what a query finds."""
        with open_catalogue(self._address) as catalogue:
            recordings = list(catalogue.recordings())
        works = _by_work(recordings)
        of_path = {recording.path: recording for recording in recordings}
        for item in lib.items(arguments):
            recording = of_path.get(_path(item))
            others = [] if recording is None else works[recording.work]
            others = [other for other in others if other != recording]
            if others:
                ui.print_(str(item))
            for other in sorted(others, key=lambda each: (each.label, each.path)):
                ui.print_(f"  {other.label}  {other.path}")

    @property
    def _address(self) -> str:
        address = self.config["catalogue"].as_str()
        if "://" in address:
            return address
        return os.path.join(config.config_dir(), os.path.expanduser(address))

    def _index(self, lib: Library, arguments: Sequence[str]) -> None:
        from bytecover_tf.catalogues.indexing import index_files
        from bytecover_tf.catalogues.opening import open_to_index
        from bytecover_tf.catalogues.pruning import prune
        from bytecover_tf.matching.decisions import find_record

        items = {_path(item): item for item in lib.items(list(arguments))}
        facts = {path: _facts(item) for path, item in items.items()}
        catalogue, load = open_to_index(self._address)
        with catalogue:
            record = find_record(catalogue, self._record)
            report = index_files(catalogue, load, items, facts=facts, decisions=record)
            for reason in report.failed.values():
                self._log.warning("skipped: {}", reason)
            for path, problem in report.malformed.items():
                self._log.warning("malformed: {}: {}", path, problem)
            for copy, original in report.copies.items():
                self._log.warning("copy: {} is the same as {}", copy, original)
            pruned = 0
            if not arguments:
                # Music that was imported where it lay is not below beets' directory.
                # A folder that is gone may be on a disk that is away.
                there = {os.path.dirname(one.path) for one in catalogue.recordings()}
                folders = _outermost(
                    {os.fsdecode(lib.directory), *filter(os.path.isdir, there)}
                )
                try:
                    pruned = prune(catalogue, folders)
                except CatalogueError as error:
                    command = f"bytecover index --catalogue {quote(self._address)}"
                    self._log.warning("{} to: {} FOLDER", error, command)
            if pruned or report.has_changed_something:
                catalogue.optimize()
            _store(catalogue, lib.items())
            updated = report.changed + report.moved + report.renamed + report.retagged
            ui.print_(
                f"{report.added} added, {updated} updated, {report.present} already "
                f"there, {pruned} removed, {len(report.failed)} failed; "
                + counted(catalogue.count(), "recording", "recordings")
            )
        if items and len(report.failed) == len(items):
            raise ui.UserError("none of the files could be indexed")

    def _group(self, lib: Library, arguments: Sequence[str]) -> None:
        from bytecover_tf.matching.calibration import calibration_for
        from bytecover_tf.matching.decisions import find_record
        from bytecover_tf.matching.grouping import find_groups
        from bytecover_tf.matching.merging import act_on

        if arguments:
            raise ui.UserError("group takes no query: it compares the whole catalogue")
        with open_catalogue(self._address) as catalogue:
            calibration = calibration_for(catalogue.identity)
            record = find_record(catalogue, self._record)
            assert record is not None
            found = find_groups(
                catalogue,
                calibration,
                self.config["threshold"].as_number(),
                verdicts=record.verdicts(),
            )
            act_on(catalogue, found, record, merge=True)
            _store(catalogue, lib.items())
        count = sum(len(group.recordings) for group in found.groups)
        groups = counted(len(found.groups), "group", "groups")
        ui.print_(f"{groups} of {count} recordings")
        if found.open:
            command = f"bytecover review --catalogue {quote(self._address)}"
            if self._record:
                command += f" --record {quote(str(self._record))}"
            ui.print_(f"some links are for a person to decide: {command}")

    @property
    def _record(self) -> Path | None:
        """Where decisions are kept, for a catalogue on a server."""
        if "://" in self._address:
            return Path(config.config_dir()) / "bytecover-decisions.json"
        return None

    def _ask(self, lib: Library, arguments: Sequence[str]) -> None:
        from bytecover_tf.catalogues.opening import open_with_encoder
        from bytecover_tf.cli.answers import write_answers
        from bytecover_tf.matching.identification import identify

        if not arguments:
            raise ui.UserError("ask takes files to identify")
        catalogue, encoder = open_with_encoder(self._address)
        with catalogue:
            failed = write_answers(identify(catalogue, encoder, arguments), "table")
        if failed == len(arguments):
            raise ui.UserError("none of the files could be read")


def _outermost(folders: Iterable[str]) -> list[str]:
    """Return folders without those that lie below another."""
    found: list[str] = []
    for folder in sorted(os.path.join(folder, "") for folder in folders):
        if not found or not folder.startswith(found[-1]):
            found.append(folder)
    return found


def _path(item: Item) -> str:
    return os.path.abspath(os.fsdecode(item.path))


def _facts(item: Item) -> dict[str, str]:
    """Return what beets knows of an item, as far as it knows it."""
    known = {name: item.get(field) for name, field in _FACTS.items()}
    return {
        name: SEPARATOR.join(value) if isinstance(value, list) else str(value)
        for name, value in known.items()
        if value
    }


def _by_work(recordings: Iterable[Recording]) -> dict[str, list[Recording]]:
    works = defaultdict(list)
    for recording in recordings:
        works[recording.work].append(recording)
    return works


def _store(catalogue: Catalogue, items: Iterable[Item]) -> None:
    """Keep in the items what the catalogue says of them."""
    recordings = list(catalogue.recordings())
    works = _by_work(recordings)
    of_path = {recording.path: recording for recording in recordings}
    for item in items:
        recording = of_path.get(_path(item))
        if recording is not None:
            item["bytecover_work"] = recording.work
            item["bytecover_versions"] = len(works[recording.work]) - 1
            item.store()
        elif "bytecover_work" in item:  # the catalogue holds it no more
            del item["bytecover_work"], item["bytecover_versions"]
            item.store()
