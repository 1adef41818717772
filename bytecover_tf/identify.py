"""Tell which recordings of a catalogue a recording is a version of, and how surely.

A query may be a whole track, a clip of some seconds, or a long set. Its embedding
chooses candidates, alignment of the chroma compares them and says where they match.

The table names for each match its probability, the similarity of the embeddings, the
stretches that match (of the query = of the recording), by how many semitones the
recording is higher, and its tempo over the query's. The verdict is `version` if the
probability is at least 0.5 and so high that 1 in 100 queries without a version reached
it when the probabilities were fitted, `unsure` if 5 in 100 reached it, else `none`.

--json prints {"query", "verdict", "matches": [{"work", "recording", "similarity",
"probability", ...}]}, the most probable first, or {"query", "error"}.

--setlist divides each QUERY among works and the unknown. The table names for each
stretch its start and end, the probability, and where it matches the recording; --json
prints a line for each: {"query", "start", "end", "work", "probability", ...}, `work`
null where it is unknown.

Examples:
  python -m bytecover_tf.identify --catalogue music.catalogue unknown.mp3
  python -m bytecover_tf.identify --catalogue music.catalogue clips --json > found.jsonl
  python -m bytecover_tf.identify --catalogue music.catalogue --setlist concert.mp3
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.answers import write_answers
from bytecover_tf.cli.identify_options import check_form, identify_parser
from bytecover_tf.cli.setlists import write_timelines


def main(arguments: Sequence[str] | None = None) -> int:
    """Identify recordings; return the exit status."""
    parser = identify_parser(__doc__)
    options = cli.parse_paths(parser, arguments)

    from bytecover_tf.catalogues.opening import open_with_encoder
    from bytecover_tf.matching.calibration import calibration_for
    from bytecover_tf.matching.identification import identify
    from bytecover_tf.memory import return_large_blocks

    return_large_blocks()
    files = cli.find_recordings(options.queries)
    paths = [str(path) for path in files.recordings]
    check_form(parser, options, len(paths))
    catalogue, encoder = open_with_encoder(
        options.catalogue, options.encoder, cli.hearing_of(options.hearing)
    )
    with catalogue:
        calibration = calibration_for(
            catalogue.identity, options.calibration, options.encoder
        )
        cli.warn(calibration)
        search = (catalogue, encoder, paths, calibration)
        how = {
            "candidates": options.candidates,
            "workers": options.workers,
            "allow_truncated": options.allow_truncated,
        }
        if options.setlist:
            failed = write_timelines(*search, options.form, least=options.least, **how)
        else:
            answers = identify(*search, top=options.top, **how)
            failed = write_answers(answers, options.form)
    return cli.status_of(failed + len(files.unreadable), len(paths) - failed)


if __name__ == "__main__":
    cli.run(main)
