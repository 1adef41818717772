r"""Put a music library into a catalogue, to identify covers among its recordings.

Files are decoded, transformed and embedded in parallel. Run again, it adds what is
new, replaces what has changed and follows what has moved; killed at any moment, the
same command continues. A file that cannot be used is named and skipped. Works come
from the manifest; without one, each recording is its own work, unless its tags name
the work by an ISWC or a MusicBrainz id.

Examples:
  python -m bytecover_tf.index --catalogue music.catalogue ~/Music
  python -m bytecover_tf.index --catalogue milvus://db:19530/music --manifest all.csv \
      --encoder encoder.keras
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli
from bytecover_tf.cli.catalogue_reports import print_indexing, print_quality
from bytecover_tf.encoders.pretrained import FINDS_MOST
from bytecover_tf.errors import CatalogueError


def main(arguments: Sequence[str] | None = None) -> int:
    """Index folders or a manifest; return the exit status."""
    parser = cli.parser("index", __doc__)
    parser.add_argument(
        "folders", nargs="*", metavar="FOLDER", help="music, subfolders included"
    )
    cli.add_catalogue_argument(parser, "; made if there is none")
    cli.add_encoder_argument(
        parser,
        " (default: the one that the catalogue was made with, "
        f"{FINDS_MOST} for a new one)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="a list of recordings with their works, and tags if it has such columns, "
        ".csv or .jsonl",
    )
    parser.add_argument(
        "--segments",
        type=cli.positive_float,
        nargs=2,
        metavar=("SECONDS", "HOP"),
        help="for a new catalogue: embed windows of this length too, one every HOP "
        "seconds",
    )
    cli.add_again_argument(parser)
    cli.add_truncated_argument(parser)
    parser.add_argument(
        "--hearing",
        metavar="FILE|none",
        help="for a new catalogue: a network that hears the notes, in place of the one "
        "that comes with the package; none compares the transform alone, which takes "
        "two thirds of the time, finds fewer versions, and is what .npy files need; "
        "for one that is there: where its network is now",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="remove recordings below the folders whose file is gone; refused if that "
        "looks as if a disk were not mounted",
    )
    parser.add_argument(
        "--prune-many",
        action="store_true",
        help="prune even if a folder is empty now or most recordings are gone",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=cli.positive_int,
        metavar="N",
        help="processes that decode and transform (default: one a core)",
    )
    where.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="decode and transform on the machines of a Ray cluster, which need this "
        "package and the files at the same paths: host:port, ray://host:port or auto",
    )
    options = cli.parse_paths(parser, arguments)
    if not options.folders and not options.manifest:
        parser.error("expected a FOLDER or --manifest")

    from bytecover_tf.catalogues import Segmenting
    from bytecover_tf.catalogues.indexing import find_files, index_files, prune
    from bytecover_tf.catalogues.opening import open_to_index

    files = find_files(options.folders, options.manifest)
    for line in files.found.left_out():
        cli.warn(line)
    catalogue, load = open_to_index(
        options.catalogue,
        options.encoder,
        Segmenting(*options.segments) if options.segments else None,
        options.hearing,
    )
    with catalogue:
        report = index_files(
            catalogue,
            load,
            files.paths,
            files.works,
            options.workers,
            options.ray,
            options.allow_truncated,
            options.look_again,
            files.facts,
        )
        pruned, refusal = 0, ""
        if options.prune or options.prune_many:
            try:
                pruned = prune(catalogue, options.folders, options.prune_many)
            except CatalogueError as error:
                refusal = str(error)
        print_indexing(report, pruned, catalogue)
        if refusal:
            cli.warn(f"error: {refusal}")
        if pruned or report.has_changed_something:
            print_quality(catalogue.optimize())
    if len(report.failed) == len(files.paths):
        return cli.NOTHING_DONE
    is_whole = not (report.failed or files.found.unreadable or refusal)
    return cli.OK if is_whole else cli.SOME_FAILED


if __name__ == "__main__":
    cli.run(main)
