"""The command line of grouping; the work is in `matching.grouping`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bytecover_tf import cli
from bytecover_tf.cli.tables import place, print_columns
from bytecover_tf.matching.merges import FILE_NAME

if TYPE_CHECKING:
    from bytecover_tf.matching.grouping import Group


def main(arguments: Sequence[str] | None = None) -> int:
    """Find groups of versions; return the exit status."""
    parser = cli.parser("group", DESCRIPTION)
    cli.add_catalogue_argument(parser)
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.9,
        metavar="P",
        help="least probability at which two recordings are linked",
    )
    parser.add_argument(
        "--candidates",
        type=cli.positive_int,
        default=100,
        metavar="N",
        help="number of nearest recordings to compare each with",
    )
    cli.add_calibration_argument(parser)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="file for groups and links"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="file for a line per link"
    )
    parser.add_argument(
        "--merge",
        action="store_true",
        help="give the recordings of a group the same work in the catalogue",
    )
    parser.add_argument(
        "--undo",
        action="store_true",
        help="take the latest --merge back, and do nothing else",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help=f"what --merge changed, for --undo (default: {FILE_NAME} in the folder of "
        "the catalogue; needed for one on a server)",
    )
    parser.add_argument(
        "--workers",
        type=cli.positive_int,
        metavar="N",
        help="number of threads (default: one per core)",
    )
    options = parser.parse_args(arguments)
    if not 0 < options.threshold <= 1:
        parser.error("--threshold is a probability: above 0, at most 1")
    record = options.record
    if record is None and Path(options.catalogue).is_dir():
        record = Path(options.catalogue) / FILE_NAME
    if record is None and (options.merge or options.undo):
        parser.error("a catalogue on a server needs --record for --merge and --undo")

    from bytecover_tf.catalogues import open_catalogue
    from bytecover_tf.files import write_atomically
    from bytecover_tf.matching.calibration import choose_calibration
    from bytecover_tf.matching.grouping import find_groups, merge, undo

    with open_catalogue(options.catalogue) as catalogue:
        if options.undo:
            count = undo(catalogue, record)
            cli.show(f"{catalogue.address}: {count} recordings have their work again")
            return cli.OK
        made_with = catalogue.identity
        calibration = choose_calibration(
            made_with.encoder,
            made_with.encoder_path,
            options.calibration,
            made_with.parts,
        )
        groups = find_groups(
            catalogue,
            calibration,
            options.threshold,
            options.candidates,
            options.workers,
        )
        for group in groups:
            _print(group)
        if options.json:
            facts = [group.to_dict() for group in groups]
            text = json.dumps(facts, indent=1)
            write_atomically(options.json, text + "\n")
        if options.csv:
            write_atomically(options.csv, _csv(groups))
        grouped = sum(len(group.recordings) for group in groups)
        print(
            f"{catalogue.address}: {len(groups)} groups of {grouped} recordings "
            f"({calibration})"
        )
        if options.merge:
            count = merge(catalogue, groups, record)
            hint = "; --undo takes that back" if count else ""
            print(f"{count} recordings have another work now{hint}")
    return cli.OK


def _print(group: Group) -> None:
    if group.work is None:
        names = f"several works, which are not merged: {', '.join(group.works)}"
    else:
        names = f"work {group.work}"
    cli.show(f"{names} ({len(group.recordings)} recordings)")
    for recording in group.recordings:
        cli.show(f"  {recording.label}  {recording.path}")
    print_columns(
        [
            (
                f"{link.match.probability:.2f}",
                link.recording.label,
                link.match.recording.label,
                *place(link.match),
            )
            for link in group.links
        ]
    )
    print()


def _csv(groups: Sequence[Group]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [
        {"group": number, "work": group.work or "", **link.to_dict()}
        for number, group in enumerate(groups, 1)
        for link in group.links
    ]
    writer.writerow(rows[0] if rows else ("group", "work"))
    writer.writerows(map(cli.csv_cell, row.values()) for row in rows)
    return text.getvalue()


DESCRIPTION = """\
Find the groups of versions inside a catalogue.

Each recording is compared with its nearest neighbours; two are linked from a threshold
of probability on. Links join recordings into groups, the most probable first, unless
most of the pairs between the two groups say no; what has the same work already is a
group from the start. Every link is shown with its evidence: the stretches that match,
by how many semitones the second is higher, and its tempo over the first's.

Two recordings that match over half of one of them or less are not joined: an album in
one file and a medley are no versions of their tracks.

--merge gives the recordings of a group one work: the named one if there is one, else
the id of a recording. Groups that hold several named works are left as they are. The
same command again changes nothing; --undo takes the latest merge back.

examples:
  python -m bytecover_tf.group --catalogue music.catalogue --csv links.csv
  python -m bytecover_tf.group --catalogue music.catalogue --threshold 0.95 --merge
"""


if __name__ == "__main__":
    cli.run(main)
