"""Find the groups of versions inside a catalogue.

Each recording is compared with its nearest neighbours, and two are linked if they are
versions with a probability of --threshold or more. Recordings with the same work are a
group from the start. Links then join groups, the most probable link first, unless most
pairs between two groups are not versions. Every link is shown with its evidence: which
stretches match, by how many semitones the second recording is higher, and its tempo
divided by the first one's.

Two recordings are joined only if the match covers more than 55% of each: an album in
one file and a medley are not versions of their tracks.

--merge gives the recordings of a group the same work: the named one if there is one,
else the id of a recording. Groups with several named works are left as they are. The
same command again changes nothing; --undo reverts the latest merge.

Comparing ten thousand recordings takes hours. What was compared is kept (of a catalogue
on a server, beside --record), so a run that was interrupted continues, and a later one
compares only what is new.

--duplicates lists recordings of one performance that are kept more than once: other
encodings, masters and edits. The longest comes first; among equally long ones, the
largest file. Files with the same content are one recording; `index` names them.

Examples:
  python -m bytecover_tf.group --catalogue music.catalogue --csv links.csv
  python -m bytecover_tf.group --catalogue music.catalogue --threshold 0.95 --merge
  python -m bytecover_tf.group --catalogue music.catalogue --duplicates
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli import group_reports as reports
from bytecover_tf.cli.group_options import check_options, group_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Find groups of versions; return the exit status."""
    parser = group_parser(__doc__)
    options = parser.parse_args(arguments)
    check_options(parser, options)

    from bytecover_tf.catalogues import open_catalogue
    from bytecover_tf.matching.calibration import calibration_for
    from bytecover_tf.matching.decisions import find_record
    from bytecover_tf.matching.duplicates import find_duplicates
    from bytecover_tf.matching.grouping import find_groups
    from bytecover_tf.matching.kept_alignments import KeptAlignments
    from bytecover_tf.matching.merging import act_on

    with open_catalogue(options.catalogue) as catalogue:
        record = find_record(catalogue, options.record)
        if record is None and (options.merge or options.undo):
            parser.error("a catalogue on a server needs --record for that")
        if options.undo:
            assert record is not None
            reports.print_undone(record.undo("group")[1], catalogue.address)
            return cli.OK
        calibration = calibration_for(catalogue.identity, options.calibration)
        with KeptAlignments.of(catalogue.address, record) as kept:
            search = (
                *(catalogue, calibration, options.threshold),
                *(options.candidates, options.workers),
                None if record is None else record.verdicts(),
                kept,
            )
            if options.duplicates:
                groups = find_duplicates(*search)
                reports.print_duplicates(groups, catalogue.address)
                reports.write_groups(groups, options.json, options.csv)
                return cli.OK
            found = find_groups(*search)
        reports.print_groups(found.groups, catalogue.address, calibration)
        reports.write_groups(found.groups, options.json, options.csv)
        if record is not None:
            outcome = act_on(catalogue, found, record, options.merge)
            reports.print_outcome(outcome, options.merge)
    return cli.OK


if __name__ == "__main__":
    cli.run(main, continues=True)
