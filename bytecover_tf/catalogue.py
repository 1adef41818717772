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

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.catalogue_actions import ACTIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Show, verify or change a catalogue; return the exit status."""
    parser = cli.parser("catalogue", __doc__)
    parser.add_argument("action", choices=ACTIONS, help="what to do")
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
    if options.action == "remove" and not options.names:
        parser.error("remove needs the paths or ids of recordings")
    if options.action != "list" and (options.json or options.csv):
        parser.error(f"--json and --csv are for list, not for {options.action}")

    from bytecover_tf.catalogues import open_catalogue

    with open_catalogue(options.catalogue) as catalogue:
        return ACTIONS[options.action](catalogue, options)


if __name__ == "__main__":
    cli.run(main)
