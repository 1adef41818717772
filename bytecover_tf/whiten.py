r"""Add a last linear map to a trained encoder, and shorten its embeddings.

Linear discriminant analysis fits the map on the recordings of a data set's train split:
directions in which versions of a work differ count less afterwards. The map becomes
part of the network. The command shows MAP on the validation split without and with it.
Nothing is trained; the command only embeds all these recordings.

Examples:
  python -m bytecover_tf.whiten --encoder runs/packed-small --data packed \
      --data-root drawn --dim 384 --out whitened.keras
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Whiten an encoder; return the exit status."""
    parser = cli.parser("whiten", __doc__)
    cli.add_encoder_argument(parser, "; an export alone will not do", required=True)
    cli.add_out_argument(parser)
    parser.add_argument(
        "--dim",
        type=cli.positive_int,
        metavar="N",
        help="keep only this many values of an embedding, the best ones (default: all)",
    )
    parser.add_argument(
        "--shrinkage",
        type=float,
        default=0.25,
        help="strength of regularisation, between 0 and 1; fewer recordings need more",
    )
    cli.add_data_arguments(parser, default=None)
    options = parser.parse_args(arguments)
    cli.require_training("scipy")

    from bytecover_tf.evaluation.protocol import choose_split, describe
    from bytecover_tf.training.whitening import SPLITS, Whitening

    whitening = Whitening(options.encoder, options.dim, options.shrinkage)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    tracks = cli.read_tracks(options)
    wanted = [track for split in SPLITS for track in choose_split(tracks, split)]
    usable, store = cli.open_features(options, wanted, whitening.frontend)
    result = whitening.fit(options.data, usable, store)
    for name, dim, figures in (
        ("before", whitening.model.dim, result.before),
        ("whitened", result.model.dim, result.after),
    ):
        print(f"{name}, {dim} values, validation works: {describe(figures)}")
    result.save(options.out)
    print(f"written: {options.out}")
    return cli.status_of(len(wanted) - len(usable) + result.skipped, len(usable))


if __name__ == "__main__":
    cli.run(main)
