r"""Put a music library into a catalogue, to identify covers among its recordings.

Files are decoded, transformed and embedded in parallel. A file that cannot be used is
named and skipped. If the command was killed, run it again and it continues. Later runs
add what is new, replace what has changed and follow what has moved. Works come from the
manifest; without one, each recording is its own work, unless its tags name the work by
an ISWC or a MusicBrainz id.

Examples:
  python -m bytecover_tf.index --catalogue music.catalogue ~/Music
  python -m bytecover_tf.index --catalogue milvus://db:19530/music --manifest all.csv \
      --encoder encoder.keras
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.catalogue_reports import print_indexing, print_quality
from bytecover_tf.cli.index_options import index_parser
from bytecover_tf.errors import CatalogueError


def main(arguments: Sequence[str] | None = None) -> int:
    """Index folders or a manifest; return the exit status."""
    parser = index_parser(__doc__)
    options = cli.parse_paths(parser, arguments)
    if not options.folders and not options.manifest:
        parser.error("expected a FOLDER or --manifest")
    prunes = options.prune or options.prune_many
    if prunes and not options.folders:
        parser.error("expected a FOLDER, below which to look for what is gone")

    from bytecover_tf.catalogues import Segmenting, open_catalogue
    from bytecover_tf.catalogues.finding import find_files
    from bytecover_tf.catalogues.indexing import index_files
    from bytecover_tf.catalogues.opening import open_to_index
    from bytecover_tf.catalogues.pruning import prune
    from bytecover_tf.matching.decisions import find_record

    # A folder that has been emptied can be pruned.
    files = find_files(options.folders, options.manifest, may_be_empty=prunes)
    for line in files.found.left_out():
        cli.warn(line)
    if not files.paths:
        open_catalogue(options.catalogue).close()  # none is made for nothing
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
            decisions=find_record(catalogue, options.record),
        )
        pruned, refusal = 0, ""
        if prunes:
            try:
                pruned = prune(catalogue, options.folders, options.prune_many)
            except CatalogueError as error:
                refusal = str(error)
        print_indexing(report, pruned, catalogue)
        if not (files.paths or pruned or refusal):
            folders = ", ".join(options.folders)
            refusal = f"{folders}: expected recordings, found none"
        if refusal:
            cli.warn(f"error: {refusal}")
        if pruned or report.has_changed_something:
            print_quality(catalogue.optimize())
    if len(report.failed) == len(files.paths) and not pruned:
        return cli.NOTHING_DONE
    is_whole = not (report.failed or files.found.unreadable or refusal)
    return cli.OK if is_whole else cli.SOME_FAILED


if __name__ == "__main__":
    cli.run(main, continues=True)
