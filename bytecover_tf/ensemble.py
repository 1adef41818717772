r"""Join trained encoders into one that finds more.

Their embeddings are put side by side, at the cost of all encoders. The similarity of
two recordings becomes the mean of the members' similarities, weighted by --shares. Join
encoders that make different mistakes, because they were trained separately, on other
data, or on another input. An ensemble that you name is taken apart into its members. If
one encoder reads 36 bins an octave (--config notes), those that read 12 get them folded
out of the 36. With `notes:` before its name, an encoder that has a salience layer reads
in place of that what the network hears that comes with the package.

With --mean-weights the result is one encoder with the mean of their weights, as quick
as each. Use it for an encoder and what it became when it was trained on, or for several
that were trained on from the same weights: the mean often finds more in recordings
unlike those of the training.

Nothing is trained. You can evaluate, index, calibrate and export the result like any
other encoder. An ensemble cannot be trained further, but a mean can.

Examples:
  python -m bytecover_tf.ensemble runs/first runs/second --out both.keras
  python -m bytecover_tf.ensemble bytecover-small runs/second --shares 2 1 \
      --out weighted.keras
  python -m bytecover_tf.ensemble runs/first notes:bytecover-small --out three.keras
  python -m bytecover_tf.ensemble notes:bytecover-small runs/packed-notes \
      --mean-weights --out notes.keras
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Join encoders; return the exit status."""
    parser = cli.parser("ensemble", __doc__)
    parser.add_argument(
        "members",
        nargs="+",
        metavar="ENCODER",
        help="two or more encoders that read the same features: names of encoders that "
        "come with the package, run directories of train or .keras files",
    )
    parser.add_argument(
        "--shares",
        nargs="+",
        type=cli.positive_float,
        metavar="SHARE",
        help="how much the similarity or the weights of each count, such as 2 1 "
        "(default: equally)",
    )
    parser.add_argument(
        "--mean-weights",
        action="store_true",
        help="make one encoder with the mean of their weights, which must be of the "
        "same architecture",
    )
    cli.add_out_argument(parser)
    options = parser.parse_args(arguments)
    cli.require_training()

    from bytecover_tf.encoders.joining import average, join
    from bytecover_tf.encoders.model_file import save_model

    make = average if options.mean_weights else join
    model, frontend, facts = make(options.members, options.shares)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_model(model, options.out, frontend, facts)
    count = len(facts["averaged" if options.mean_weights else "members"])
    print(f"{count} encoders, {model.dim} values; written: {options.out}")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
