r"""Train an encoder and measure it on works that it has not seen.

Without arguments, the command trains a small network in some minutes on `tunes`, a data
set that comes with the package. The epoch with the best MAP on the validation works
becomes encoder.keras; metrics.json holds the figures on unseen works before and after.
All GPUs of the host are used, and those of other hosts if TF_CONFIG names them.

Examples:
  python -m bytecover_tf.train
  python -m bytecover_tf.train --config bytecover --data shs100k --data-root SHS100K
  python -m bytecover_tf.train --set epochs=3 --set augment.noise=0.5
  python -m bytecover_tf.train --data folder --data-root MY --split-seed 0 \
      --config tunes --init runs/tunes --set learning_rate=5e-4
  python -m bytecover_tf.train --resume --run-dir runs/tunes
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli
from bytecover_tf.cli.train_options import train_parser
from bytecover_tf.configs import default_config, load_config
from bytecover_tf.errors import ConfigError
from bytecover_tf.settings import take
from bytecover_tf.training.config import override


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; return the exit status."""
    parser = train_parser(__doc__)
    options = parser.parse_args(arguments)
    cli.require_extra("train", "tensorflow", "keras", "librosa")

    # Only now: they load TensorFlow.
    from bytecover_tf.training.run import TrainingRun

    if options.resume:
        if options.run_dir is None:
            raise ConfigError("--resume needs --run-dir, the run to continue")
        if options.config is not None:
            raise ConfigError(
                "--resume continues with the run's own config; drop --config"
            )
        run = TrainingRun.begun(options.run_dir, options.set)
    else:
        name = options.config or default_config(options.data)
        config = override(load_config(name), options.set)
        named = {"config": config, "config_name": Path(name).stem}
        run = take(TrainingRun, {**vars(options), **named})
    run_dir: Path = options.run_dir or run.free_dir()
    outcome = run.train(
        run_dir, options.resume, options.workers, options.allow_truncated
    )
    if outcome.figures:
        print(_next_steps(run_dir))
    return cli.SOME_FAILED if outcome.left_out else cli.OK


def _next_steps(run_dir: Path) -> str:
    return (
        f"\nThe encoder is {run_dir / 'encoder.keras'}, the figures are in "
        f"{run_dir / 'metrics.json'}.\nNext:\n"
        f"  python -m bytecover_tf.evaluate --encoder {run_dir} --plots plots\n"
        "  python -m bytecover_tf.train --data folder --data-root MY_COVERS "
        "--split-seed 0\n(with your recordings as MY_COVERS/work/recording.mp3)"
    )


if __name__ == "__main__":
    cli.run(main)
