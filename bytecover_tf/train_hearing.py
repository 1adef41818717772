"""Train the network that hears notes, on recordings that are labelled with them.

Labels come from a teacher (`python -m bytecover_tf.label`), those of melodies from
scores (`python -m bytecover_tf.synth.draw_melodies`) or from singers. One recording of
twenty is held out; how well the network hears these is recorded in its file. Killed at
any moment, the same command continues.

On two cores 2 600 steps take 20 to 60 minutes. With a GPU, set KERAS_BACKEND=jax, and
take larger batches and more steps: recordings lie in the GPU's memory, and crops are
cut and changed there.

Examples:
  python -m bytecover_tf.train_hearing --labelled labelled --run-dir runs/hearing
  python -m export --hearing runs/hearing/hearing.keras --out hearing.onnx
  python -m bytecover_tf.index --catalogue music.catalogue --hearing hearing.onnx music
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a network that hears notes; return the exit status."""
    parser = cli.parser("train_hearing", __doc__)
    parser.add_argument(
        "--labelled",
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="recordings with the notes that are heard in them",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder of this run; made if there is none",
    )
    parser.add_argument(
        "--steps",
        type=cli.positive_int,
        default=2600,
        metavar="N",
        help="how many steps to train, a multiple of 100",
    )
    parser.add_argument(
        "--batch",
        type=cli.positive_int,
        default=12,
        metavar="N",
        help="how many crops of 15 s a step takes",
    )
    parser.add_argument(
        "--learning-rate",
        type=cli.positive_float,
        default=2e-3,
        metavar="RATE",
        help="its peak, after a hundred steps",
    )
    parser.add_argument(
        "--filters",
        type=cli.positive_int,
        default=24,
        metavar="N",
        help="channels of the hidden convolutions",
    )
    parser.add_argument(
        "--seed",
        type=cli.natural_int,
        default=0,
        help="seed of the first weights and of the crops",
    )
    options = parser.parse_args(arguments)
    cli.require_extra("train", "tensorflow", "keras", "librosa")

    from bytecover_tf.training.hearing import HearingRequest, train_hearing

    request = HearingRequest(
        tuple(options.labelled),
        options.steps,
        options.batch,
        options.learning_rate,
        filters=options.filters,
        seed=options.seed,
    )
    path = train_hearing(request, options.run_dir)
    print(f"written: {path}")
    print(f"export it: python -m export --hearing {path} --out hearing.onnx")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
