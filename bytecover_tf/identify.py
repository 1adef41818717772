"""The command line of identification; the work is in `matching.identification`."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bytecover_tf import cli
from bytecover_tf.cli.tables import place, print_columns

if TYPE_CHECKING:
    from bytecover_tf.matching.identification import Answer, Match


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
        "for less)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="one JSON object per query and line"
    )
    form.add_argument("--csv", action="store_true", help="one line per match")
    parser.add_argument(
        "--workers",
        type=cli.positive_int,
        metavar="N",
        help="threads (default: one a core)",
    )
    options = cli.parse_paths(parser, arguments)

    from bytecover_tf.catalogues.opening import open_with_encoder
    from bytecover_tf.matching.calibration import choose_calibration
    from bytecover_tf.matching.identification import identify

    paths, unreadable = _files(options.queries)
    catalogue, encoder = open_with_encoder(
        options.catalogue, options.encoder, cli.hearing_of(options.hearing)
    )
    write = _write_json if options.json else _write_csv if options.csv else _write_table
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
    if failed == len(paths):
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


# -- output -----------------------------------------------------------------------


def _write_json(answer: Answer, _is_first: bool) -> None:
    cli.show_json(answer.to_dict())


_COLUMNS = (
    *("query", "verdict", "rank", "work", "recording", "similarity", "probability"),
    *("title", "artist", "id", "same_recording", "score", "query_start", "query_end"),
    *("recording_start", "recording_end", "transposition", "tempo_ratio", "error"),
)


def _write_csv(answer: Answer, is_first: bool) -> None:
    writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
    if is_first:
        writer.writeheader()
    shared = {"query": answer.query, "verdict": answer.verdict, "error": answer.error}
    # A query without a match has a line too.
    matches: list[dict[str, Any]] = [match.to_dict() for match in answer.matches]
    for rank, match in enumerate(matches or [{}], 1):
        row = {**shared, "rank": rank if match else "", **match}
        writer.writerow({name: cli.csv_cell(value) for name, value in row.items()})
    sys.stdout.flush()


def _write_table(answer: Answer, is_first: bool) -> None:
    if answer.error:
        cli.warn(f"failed: {answer.error}")
        return
    if not is_first:
        print()
    cli.show(f"{answer.query}: {_verdict(answer)}")
    if answer.matches:
        head = ("prob.", "similar", "recording", "work", "where", "key", "tempo")
        print_columns([head, *map(_cells, answer.matches)])
    sys.stdout.flush()


def _verdict(answer: Answer) -> str:
    if not answer.matches:
        return "none; the catalogue is empty"
    best = answer.matches[0]
    sure = f"probability {best.probability:.2f}"
    if best.is_same:
        return f"the same recording as {best.recording.path}"
    return {
        "version": f"a version of {best.recording.label} ({sure})",
        "unsure": f"unsure, perhaps a version of {best.recording.label} ({sure})",
        "none": f"none; no version in the catalogue (best {sure})",
    }[answer.verdict]


def _cells(match: Match) -> tuple[str, ...]:
    recording = match.recording
    return (
        f"{match.probability:.2f}",
        f"{match.similarity:.2f}",
        recording.label,
        recording.work if recording.has_named_work else "",
        *place(match),
    )


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

examples:
  python -m bytecover_tf.identify --catalogue music.catalogue unknown.mp3
  python -m bytecover_tf.identify --catalogue music.catalogue clips --json > found.jsonl
"""


if __name__ == "__main__":
    cli.run(main)
