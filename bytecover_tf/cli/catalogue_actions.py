"""What `catalogue` does, by the name of the action; each returns the exit status."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bytecover_tf.cli.catalogue_reports import (
    list_as_csv,
    list_as_json,
    list_as_table,
    print_info,
    print_verification,
)
from bytecover_tf.cli.status import NOTHING_DONE, OK, SOME_FAILED, status_of
from bytecover_tf.terminal import warn

if TYPE_CHECKING:
    from bytecover_tf.catalogues import Catalogue


def _info(catalogue: Catalogue, _options: argparse.Namespace) -> int:
    print_info(catalogue)
    return OK


def _list(catalogue: Catalogue, options: argparse.Namespace) -> int:
    from bytecover_tf.catalogues.listing import find_recordings

    found = find_recordings(catalogue, " ".join(options.names))
    write = (
        list_as_json if options.json else list_as_csv if options.csv else list_as_table
    )
    write(found)
    return OK if found else NOTHING_DONE


def _verify(catalogue: Catalogue, options: argparse.Namespace) -> int:
    from bytecover_tf.catalogues.finding import find_files

    paths: list[str] = []
    if options.names:
        asked = find_files(options.names)
        paths = asked.paths
        for line in asked.found.left_out():
            warn(line)
    found = catalogue.verify(paths, options.look_again)
    print_verification(catalogue.address, found)
    return OK if found.is_sound else SOME_FAILED


def _remove(catalogue: Catalogue, options: argparse.Namespace) -> int:
    from bytecover_tf.catalogues.listing import find_ids

    ids = find_ids(catalogue, options.names)
    missing = [name for name, found in ids.items() if found is None]
    for name in missing:
        warn(f"not in the catalogue: {name}")
    chosen = {found for found in ids.values() if found}
    catalogue.remove(sorted(chosen))
    print(f"{catalogue.address}: {len(chosen)} removed, {catalogue.count()} left")
    return status_of(len(missing), len(chosen))


ACTIONS = {"info": _info, "list": _list, "verify": _verify, "remove": _remove}
