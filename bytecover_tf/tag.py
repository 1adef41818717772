"""Write what a catalogue knows into the tags of its files.

If the work has a name, this goes where the format keeps the title of a work (WORK; MP4
and WMA have their own names for it). The other recordings of the work go into
BYTECOVER_VERSIONS. Without --write, the command shows the changes and makes none.

A copy of each file gets the tags, and takes the file's place only if it sounds the
same. The catalogue follows. mp3, m4a, flac, ogg, opus, wma, wav, aiff, ape and
wavpack can be tagged; others are named and left as they are.

Examples:
  python -m bytecover_tf.tag --catalogue music.catalogue
  python -m bytecover_tf.tag --catalogue music.catalogue --write undo.jsonl
  python -m bytecover_tf.tag --catalogue music.catalogue --undo undo.jsonl
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli
from bytecover_tf.cli.tag_reports import print_change, print_end


def main(arguments: Sequence[str] | None = None) -> int:
    """Write works and versions into tags, or show what would be; return the status."""
    parser = cli.parser("tag", __doc__)
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files or folders (default: all)"
    )
    cli.add_catalogue_argument(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--write",
        type=Path,
        metavar="UNDO_FILE",
        help="change the files, and keep their former tags in this file; a command "
        "that was interrupted goes on with the same one",
    )
    what.add_argument(
        "--undo",
        type=Path,
        metavar="UNDO_FILE",
        help="restore the tags from the file that --write made",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="also replace the title of a work that a file has already",
    )
    options = cli.parse_paths(parser, arguments)
    if options.undo and options.paths:
        parser.error("--undo restores all files of the undo file; name no others")
    cli.require_extra("catalogue", "mutagen")

    from bytecover_tf.catalogues import open_catalogue
    from bytecover_tf.catalogues.tag_writing import plan_tags, undo_tags, write_tags

    with open_catalogue(options.catalogue) as catalogue:
        if options.undo:
            count, failed = undo_tags(catalogue, options.undo)
            files = cli.counted(count, "file has its", "files have their")
            return print_end(f"{files} tags again", count, failed)
        changes, failed = plan_tags(catalogue, options.paths, options.overwrite)
        for change in changes:
            print_change(change)
        count = len(changes)
        if options.write is None:
            files = cli.counted(count, "file", "files")
            return print_end(f"{files} would change; --write does it", count, failed)
        count, unwritten = write_tags(catalogue, changes, options.write)
    files = cli.counted(count, "file", "files")
    told = f"{files} changed"
    if changes:
        told += f"; --undo {options.write} takes that back"
    return print_end(told, count, {**failed, **unwritten})


if __name__ == "__main__":
    cli.run(main, continues=True)
