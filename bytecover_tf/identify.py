"""The command line of identification; the work is in `matching.identification`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bytecover_tf import cli
from bytecover_tf.cli.answers import write_csv, write_json, write_table
from bytecover_tf.cli.setlists import FORMS, write_timelines


def main(arguments: Sequence[str] | None = None) -> int:
    """Identify recordings; return the exit status."""
    parser = cli.parser("identify", DESCRIPTION)
    parser.add_argument(
        "queries",
        nargs="+",
        metavar="QUERY",
        help="a recording of any length and format, or a folder of them",
    )
    cli.add_catalogue_argument(parser)
    cli.add_encoder_argument(
        parser,
        ", which starts fastest (default: the one that the catalogue was made with)",
    )
    cli.add_hearing_argument(parser)
    cli.add_calibration_argument(parser)
    cli.add_truncated_argument(parser)
    parser.add_argument(
        "--top",
        type=cli.positive_int,
        default=10,
        metavar="N",
        help="matches to show of each query",
    )
    parser.add_argument(
        "--candidates",
        type=cli.positive_int,
        metavar="N",
        help="recordings to align a query with (default: 100 for four minutes, more "
        "for less; with --setlist 50 for each minute)",
    )
    parser.add_argument(
        "--setlist",
        action="store_true",
        help="write the timeline of each QUERY, a concert, set, broadcast or album: "
        "which works it plays, and from when to when",
    )
    parser.add_argument(
        "--least",
        type=cli.positive_float,
        metavar="P",
        help="with --setlist: the least probability of a song (default: that from "
        "which a verdict is `unsure`)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="one JSON object per query and line"
    )
    form.add_argument("--csv", action="store_true", help="one line per match")
    form.add_argument(
        "--cue", action="store_true", help="with --setlist: a cue sheet of one QUERY"
    )
    form.add_argument(
        "--labels",
        action="store_true",
        help="with --setlist: a label track of one QUERY for Audacity",
    )
    parser.add_argument(
        "--workers",
        type=cli.positive_int,
        metavar="N",
        help="threads (default: one a core)",
    )
    options = cli.parse_paths(parser, arguments)
    if not options.setlist and (options.cue or options.labels or options.least):
        parser.error("--cue, --labels and --least need --setlist")

    from bytecover_tf.catalogues.opening import open_with_encoder
    from bytecover_tf.matching.calibration import choose_calibration
    from bytecover_tf.matching.identification import identify

    paths, unreadable = _files(options.queries)
    if (options.cue or options.labels) and len(paths) > 1:
        parser.error(
            f"a cue sheet or label track is of one recording, not {len(paths)}"
        )
    catalogue, encoder = open_with_encoder(
        options.catalogue, options.encoder, cli.hearing_of(options.hearing)
    )
    write = write_json if options.json else write_csv if options.csv else write_table
    failed = 0
    with catalogue:
        made_with = catalogue.identity
        calibration = choose_calibration(
            made_with.encoder,
            options.encoder or made_with.encoder_path,
            options.calibration,
            made_with.parts,
        )
        cli.warn(calibration)
        if options.setlist:
            failed = write_timelines(
                paths,
                next(
                    (name for name in FORMS if getattr(options, name, False)), FORMS[0]
                ),
                catalogue,
                encoder,
                calibration,
                least=options.least,
                candidates=options.candidates,
                workers=options.workers,
                allow_truncated=options.allow_truncated,
            )
            return _status(failed, len(paths), unreadable)
        answers = identify(
            catalogue,
            encoder,
            paths,
            calibration,
            options.top,
            options.candidates,
            options.workers,
            options.allow_truncated,
        )
        for number, answer in enumerate(answers):
            failed += bool(answer.error)
            write(answer, number == 0)
    return _status(failed, len(paths), unreadable)


def _status(failed: int, count: int, unreadable: int) -> int:
    if failed == count:
        return cli.NOTHING_DONE
    return cli.SOME_FAILED if failed or unreadable else cli.OK


def _files(queries: Iterable[str]) -> tuple[list[str], int]:
    """Return the queries, with the recordings in folders in place of these.

    What is left out of a folder is named; the second value is the number of folders
    that cannot be looked into.
    """
    from bytecover_tf.data.files import Found, search
    from bytecover_tf.errors import DataError

    found = Found()
    for query in queries:
        if os.path.isdir(query):
            found.add(search(Path(query)))
        else:
            found.recordings.append(Path(query))
    for line in found.left_out():
        cli.warn(line)
    if not found.recordings:
        raise DataError(f"{', '.join(queries)}: expected recordings, found none")
    return [str(path) for path in found.recordings], len(found.unreadable)


DESCRIPTION = """\
Tell which recordings of a catalogue a recording is a version of, and how sure that is.

A query may be a whole track, a clip of some seconds, or a long set. Its embedding
chooses candidates, alignment of the chroma compares them and says where they match.

The table names for each match its probability, the similarity of the embeddings, the
stretches that match (of the query = of the recording), by how many semitones the
recording is higher, and its tempo over the query's. The verdict is `version` from a
probability of 0.5 that hardly any stranger reaches (1 in 100 of the queries without a
version that the probabilities were fitted on), `unsure` from one that few reach (5 in
100), else `none`.

--json prints {"query", "verdict", "matches": [{"work", "recording", "similarity",
"probability", ...}]}, the most probable first, or {"query", "error"}.

--setlist divides each QUERY among works and the unknown. The table names for each
stretch its start and end, the probability, and where it matches the recording; --json
prints a line for each: {"query", "start", "end", "work", "probability", ...}, `work`
null where it is unknown.

examples:
  python -m bytecover_tf.identify --catalogue music.catalogue unknown.mp3
  python -m bytecover_tf.identify --catalogue music.catalogue clips --json > found.jsonl
  python -m bytecover_tf.identify --catalogue music.catalogue --setlist concert.mp3
"""


if __name__ == "__main__":
    cli.run(main)
