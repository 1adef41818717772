"""Train the network that hears notes, on recordings that are labelled with them.

Labels of notes come from a teacher (`python -m bytecover_tf.label`), those of melodies
from scores (`python -m bytecover_tf.synth.draw_melodies`) or from singers. One in
twenty recordings is held out, and the network's file records how well it hears these.
If the command was killed, run it again and it continues.

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

from bytecover_tf import cli
from bytecover_tf.cli.train_hearing_options import train_hearing_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a network that hears notes; return the exit status."""
    parser = train_hearing_parser(__doc__)
    options = parser.parse_args(arguments)
    cli.require_training()

    from bytecover_tf.training.hearing import FILE_NAME, HearingRequest, train_hearing

    request = HearingRequest(
        tuple(options.labelled),
        options.steps,
        options.batch,
        options.learning_rate,
        filters=options.filters,
        seed=options.seed,
    )
    is_finished = (options.run_dir / FILE_NAME).exists()
    path = train_hearing(request, options.run_dir)
    if is_finished:
        print(f"was finished before: {path}; to train anew, name another --run-dir")
    else:
        print(f"written: {path}")
    print(f"export it: python -m export --hearing {path} --out hearing.onnx")
    return cli.OK


if __name__ == "__main__":
    cli.run(main, continues=True)
