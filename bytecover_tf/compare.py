"""Compare two recordings: do they perform the same work, and where do they match?

Chroma is aligned in all keys, and the embeddings are compared. The probability assumes
that two recordings are as likely to be versions as not before they are heard, and that
both are songs: speech, drums alone and noise sound alike, and may get a high one. Key
and tempo are those of B relative to A.

The picture shows both transforms, how alike any two moments are once A is raised to the
key of B, and the path along which they match.

Examples:
  python -m bytecover_tf.compare original.flac cover.mp3 --plot match.png
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.comparisons import print_comparison
from bytecover_tf.encoders.pretrained import FINDS_MOST


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two recordings; return the exit status."""
    parser = cli.parser("compare", __doc__)
    parser.add_argument("first", metavar="A", help="a recording of any format")
    parser.add_argument("second", metavar="B", help="the recording to compare it with")
    cli.add_encoder_argument(
        parser,
        ", whose embeddings are compared (default: %(default)s)",
        default=FINDS_MOST,
    )
    parser.add_argument(
        "--hearing",
        metavar="FILE|none",
        help="a network that hears the notes (default: the one that comes with the "
        "package, if it can hear them); none compares the transform alone",
    )
    cli.add_calibration_argument(parser)
    cli.add_truncated_argument(parser)
    parser.add_argument(
        "--plot",
        type=cli.picture_file,
        metavar="FILE",
        help="draw where they match, as PNG",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    options = cli.parse_paths(parser, arguments)
    if options.plot:
        cli.require_extra("plots", "matplotlib")

    from bytecover_tf.audio.hearing import hearing_for
    from bytecover_tf.catalogues.identity import Identity
    from bytecover_tf.encoders.encoder import load_encoder
    from bytecover_tf.matching.calibration import calibration_for
    from bytecover_tf.matching.identification import compare
    from bytecover_tf.matching.picture import plot_comparison, read_with_picture

    encoder = load_encoder(options.encoder)
    files = (options.first, options.second)
    named = options.hearing
    hearing = cli.hearing_of(named) if named else hearing_for(encoder.frontend, files)
    identity = Identity.of(encoder, options.encoder, hearing=hearing)
    calibration = calibration_for(identity, options.calibration, options.encoder)
    (first, first_picture), (second, second_picture) = (
        read_with_picture(path, encoder.frontend, hearing, options.allow_truncated)
        for path in files
    )
    compared = compare(first, second, encoder)
    (match,) = compared.matches(calibration)
    title = print_comparison(first, match, options.json)
    if options.plot:
        (alignment,) = compared.alignments
        plot_comparison(first_picture, second_picture, alignment, title, options.plot)
        cli.warn(f"written: {options.plot}")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
