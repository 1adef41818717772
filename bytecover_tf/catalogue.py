"""Look after a catalogue of recordings.

  info    show what it holds, and which encoder made it
  list    show its recordings, or those in which all words occur: in title, artist,
          album, composer, year, work, path or an identifier
  verify  compare it with the files: which are gone, changed or not in it; and with
          its own checksums: which recordings are damaged
  remove  take recordings out of it; their files stay

Examples:
  python -m bytecover_tf.catalogue list --catalogue music.catalogue hallelujah cohen
  python -m bytecover_tf.catalogue info --catalogue music.catalogue
  python -m bytecover_tf.catalogue verify --catalogue music.catalogue ~/Music
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bytecover_tf import cli
from bytecover_tf.cli.catalogue_reports import (
    list_as_csv,
    list_as_json,
    list_as_table,
    print_info,
    print_verification,
)

if TYPE_CHECKING:
    from bytecover_tf.catalogues import Catalogue


def main(arguments: Sequence[str] | None = None) -> int:
    """Show, verify or change a catalogue; return the exit status."""
    parser = cli.parser("catalogue", __doc__)
    parser.add_argument("action", choices=_ACTIONS, help="what to do")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="for list, words to search; for verify, folders that should be in it; for "
        "remove, paths or ids of recordings",
    )
    cli.add_catalogue_argument(parser)
    cli.add_again_argument(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="list one JSON object per recording"
    )
    form.add_argument("--csv", action="store_true", help="list one line per recording")
    options = cli.parse_paths(parser, arguments)

    from bytecover_tf.catalogues import open_catalogue

    with open_catalogue(options.catalogue) as catalogue:
        return _ACTIONS[options.action](catalogue, options)


def _info(catalogue: Catalogue, _options: argparse.Namespace) -> int:
    print_info(catalogue)
    return cli.OK


def _list(catalogue: Catalogue, options: argparse.Namespace) -> int:
    from bytecover_tf.catalogues.listing import find_recordings

    found = find_recordings(catalogue, " ".join(options.names))
    write = (
        list_as_json if options.json else list_as_csv if options.csv else list_as_table
    )
    write(found)
    return cli.OK if found else cli.NOTHING_DONE


def _verify(catalogue: Catalogue, options: argparse.Namespace) -> int:
    from bytecover_tf.catalogues.indexing import find_files

    paths: list[str] = []
    if options.names:
        asked = find_files(options.names)
        paths = asked.paths
        for line in asked.found.left_out():
            cli.warn(line)
    found = catalogue.verify(paths, options.look_again)
    print_verification(catalogue.address, found)
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


_ACTIONS = {"info": _info, "list": _list, "verify": _verify, "remove": _remove}

if __name__ == "__main__":
    cli.run(main)
