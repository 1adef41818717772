"""The command line of a catalogue's upkeep; the work is in `catalogues`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bytecover_tf import cli

if TYPE_CHECKING:
    from bytecover_tf.catalogues import Catalogue


def main(arguments: Sequence[str] | None = None) -> int:
    """Show, verify or change a catalogue; return the exit status."""
    parser = cli.parser("catalogue", DESCRIPTION)
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="for verify, folders that should be in it; for remove, paths or ids of "
        "recordings",
    )
    cli.add_catalogue_argument(parser)
    cli.add_again_argument(parser)
    options = cli.parse_paths(parser, arguments)

    from bytecover_tf.catalogues import open_catalogue

    with open_catalogue(options.catalogue) as catalogue:
        return _ACTIONS[options.action](catalogue, options)


def _info(catalogue: Catalogue, _options: argparse.Namespace) -> int:
    identity = catalogue.identity
    works = {recording.work for recording in catalogue.recordings()}
    print(f"catalogue:  {catalogue.address}")
    print(f"recordings: {catalogue.count()} of {len(works)} works")
    cli.show(f"encoder:    {identity.encoder_path} (SHA-256 {identity.encoder})")
    print(f"embeddings: {identity.dim} values, {identity.segmenting}")
    print(f"frontend:   {identity.frontend.to_json()}")
    return cli.OK


def _verify(catalogue: Catalogue, options: argparse.Namespace) -> int:
    from bytecover_tf.catalogues.indexing import find_files

    paths: list[str] = []
    if options.names:
        asked = find_files(options.names)
        paths = asked.paths
        for line in asked.found.left_out():
            cli.warn(line)
    found = catalogue.verify(paths, options.look_again)
    for problem, files in (
        ("missing", found.missing),
        ("unreadable", found.unreadable),
        ("changed", found.changed),
        ("not indexed", found.unindexed),
        ("damaged", found.damaged),
    ):
        for file in files:
            cli.show(f"{problem}: {file}")
    print(
        f"{catalogue.address}: {found.recordings} recordings, "
        f"{len(found.missing)} missing, {len(found.unreadable)} unreadable, "
        f"{len(found.changed)} changed, "
        f"{len(found.unindexed)} not indexed, {len(found.damaged)} damaged"
    )
    return cli.OK if found.is_sound else cli.SOME_FAILED


def _remove(catalogue: Catalogue, options: argparse.Namespace) -> int:
    names: list[str] = options.names
    ids = {}
    for recording in catalogue.recordings():
        ids[recording.id] = ids[recording.path] = recording.id
    known = [ids.get(name) or ids.get(os.path.abspath(name)) for name in names]
    for name, found in zip(names, known, strict=True):
        if found is None:
            cli.warn(f"not there: {name}")
    chosen = {found for found in known if found}
    catalogue.remove(sorted(chosen))
    print(f"{catalogue.address}: {len(chosen)} removed, {catalogue.count()} left")
    if None not in known:
        return cli.OK
    return cli.SOME_FAILED if chosen else cli.NOTHING_DONE


_ACTIONS = {"info": _info, "verify": _verify, "remove": _remove}

DESCRIPTION = """\
Look after a catalogue of recordings.

  info    show what it holds, and which encoder made it
  verify  compare it with the files: which are gone, changed or not in it; and with
          its own checksums: which recordings are damaged
  remove  take recordings out of it; their files stay

examples:
  python -m bytecover_tf.catalogue info --catalogue music.catalogue
  python -m bytecover_tf.catalogue verify --catalogue music.catalogue ~/Music
"""


if __name__ == "__main__":
    cli.run(main)
