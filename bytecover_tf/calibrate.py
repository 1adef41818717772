r"""Fit the probabilities of an encoder on recordings whose works are known.

Without this, probabilities use the alignment alone, by a fit that comes with the
package. First index a manifest of works that the encoder was not trained on, for
example its validation split. This command then queries its recordings, whole and as
clips, and fits how similarity and alignment together tell versions from other pairs.
A few hundred recordings are enough. The figures that it prints are of the same
recordings that it was fitted on.

Examples:
  python -m bytecover_tf.index --catalogue known.catalogue --encoder bundle \
      --manifest validation.csv
  python -m bytecover_tf.calibrate --catalogue known.catalogue
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.calibrate_options import calibrate_parser

# Fewer pairs of versions leave the fit to chance.
_FEW = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit an encoder's calibration; return the exit status."""
    options = calibrate_parser(__doc__).parse_args(arguments)
    cli.require_extra("train", "scipy")
    if options.plot:
        cli.require_extra("plots", "matplotlib")

    from bytecover_tf.catalogues.opening import open_with_encoder
    from bytecover_tf.matching.calibration import check_own
    from bytecover_tf.matching.calibration_fit import calibrate, describe, place_beside
    from bytecover_tf.matching.decisions import find_record
    from bytecover_tf.matching.questions import known_pairs

    catalogue, encoder = open_with_encoder(
        options.catalogue, options.encoder, cli.hearing_of(options.hearing)
    )
    with catalogue:
        made_with = catalogue.identity
        path = options.out or place_beside(
            options.encoder or made_with.encoder_path, made_with.parts
        )
        if options.out is None:
            check_own(path, made_with.encoder)
        record = find_record(catalogue, options.record)
        accepted, undecided = known_pairs(catalogue, record)
        fitted, failed = calibrate(
            *(catalogue, encoder, options.queries, options.workers),
            *(accepted, undecided),
        )
    for reason in failed.values():
        cli.warn(f"skipped: {reason}")
    fitted.save(path)
    if options.plot:
        from bytecover_tf.matching.picture import plot_reliability

        plot_reliability(fitted, options.plot)
    print(f"written: {path}\n{describe(fitted)}")
    versions = fitted.origin["versions"]
    if versions < _FEW:
        cli.warn(
            f"warning: {versions} pairs of versions are too few for probabilities to "
            "mean much; index more recordings whose works are known"
        )
    return cli.SOME_FAILED if failed else cli.OK


if __name__ == "__main__":
    cli.run(main)
