"""Compare two recordings: do they perform the same work, and where do they match?

Chroma is aligned in all keys, and the embeddings are compared. The probability takes
the two, before they are heard, to be as likely versions as not. Key and tempo are those
of B relative to A.

The picture shows both transforms, how alike each two moments are once A is raised to
the key of B, and the path along which they match.

Examples:
  python -m bytecover_tf.compare original.flac cover.mp3 --plot match.png
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bytecover_tf import cli
from bytecover_tf.cli.tables import place
from bytecover_tf.encoders.pretrained import FINDS_MOST

if TYPE_CHECKING:
    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.audio.hearing import Hearing
    from bytecover_tf.matching.identification import Match, Query
    from bytecover_tf.matching.picture import Pictured

# Frames of the transform in one column of the picture, if that divides the pooling.
_POOL = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two recordings; return the exit status."""
    parser = cli.parser("compare", __doc__)
    parser.add_argument("first", metavar="A", help="a recording of any format")
    parser.add_argument("second", metavar="B", help="another one")
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
        "--plot", type=Path, metavar="FILE", help="draw where they match, as PNG"
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

    encoder = load_encoder(options.encoder)
    files = (options.first, options.second)
    if options.hearing:
        hearing = cli.hearing_of(options.hearing)
    else:
        hearing = hearing_for(encoder.frontend, files)
    identity = Identity.of(encoder, options.encoder, hearing=hearing)
    calibration = calibration_for(identity, options.calibration, options.encoder)
    (first, first_picture), (second, second_picture) = (
        _read(path, encoder.frontend, hearing, options.allow_truncated)
        for path in files
    )
    compared = compare(first, second, encoder)
    (match,) = compared.matches(calibration)
    facts = _facts(first, match)
    if options.json:
        cli.show_json(facts)
    else:
        for line in (f"A: {first.name}", f"B: {second.name}", *_lines(facts, match)):
            cli.show(line)
    if options.plot:
        from bytecover_tf.matching.picture import plot_comparison

        (alignment,) = compared.alignments
        title = "\n".join(_lines(facts, match))
        plot_comparison(first_picture, second_picture, alignment, title, options.plot)
        cli.warn(f"written: {options.plot}")
    return cli.OK


def _read(
    path: str, frontend: Frontend, hearing: Hearing | None, allow_truncated: bool
) -> tuple[Query, Pictured]:
    """Read a recording once, to compare it and to draw it."""
    from bytecover_tf.catalogues.tags import read_tags
    from bytecover_tf.matching.identification import Query
    from bytecover_tf.matching.picture import Pictured
    from bytecover_tf.stores.extraction import read_file

    fine = replace(frontend, pool=gcd(_POOL, frontend.pool), normalization="none")
    read = read_file(
        path,
        fine,
        with_chroma=True,
        hearing=hearing,
        allow_truncated=allow_truncated,
    )
    assert read.features is not None
    assert read.chroma is not None
    features = frontend.from_cqt(read.features, fine.pool, path)
    pictured = Pictured(Path(path).name, read.features, fine, read.chroma)
    artist = read_tags(path).artist
    return Query(path, features, read.chroma, read.key, artist), pictured


def _facts(first: Query, match: Match) -> dict[str, Any]:
    from bytecover_tf.catalogues.tags import read_tags

    known = match.to_dict()
    measured = (
        *("similarity", "probability", "score", "same_recording", "transposition"),
        *("tempo_ratio", "relation", "relation_probability"),
        *("query_start", "query_end", "recording_start", "recording_end"),
    )
    return {
        "query": first.name,
        "recording": known["recording"],
        **{name: known[name] for name in measured},
        "query_tags": asdict(read_tags(first.name)),
        "recording_tags": asdict(read_tags(known["recording"])),
    }


def _figures(facts: dict[str, Any]) -> str:
    names = ("probability", "score", "similarity")
    return ", ".join(f"{name} {facts[name]:.2f}" for name in names)


def _lines(facts: dict[str, Any], match: Match) -> tuple[str, str]:
    where, key, tempo = place(match)
    if match.is_same:
        found = "the same recording"
    elif match.tempo_ratio is None:
        found = "nothing matches"
    else:
        found = f"A {where} B; B relative to A: key {key}, tempo {tempo}"
        if match.relation:
            kind = match.relation
            found += f"; {kind.kind} (probability {kind.probability:.2f})"
    return _figures(facts), found


if __name__ == "__main__":
    cli.run(main)
