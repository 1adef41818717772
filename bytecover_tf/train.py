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
from bytecover_tf.configs import config_names, default_config, load_config
from bytecover_tf.errors import ConfigError
from bytecover_tf.settings import take
from bytecover_tf.training.config import override


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; return the exit status."""
    parser = cli.parser("train", __doc__)
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="the experiment: " + ", ".join(config_names()) + ", or a .py file, "
        "which is run (default: tunes for the data tunes and packed, else bytecover)",
    )
    cli.add_data_arguments(parser, default="tunes")
    parser.add_argument(
        "--waveforms",
        action="store_true",
        help="compute features of random crops of the audio files in place of stored "
        "features; for small sets",
    )
    parser.add_argument(
        "--without-datacos",
        type=Path,
        metavar="DIR",
        help="for shs100k: do not train on recordings of the Da-TACOS benchmark, whose "
        "metadata is in DIR",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: runs/DATA-CONFIG, numbered if taken)",
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="PATH",
        help="start from the weights of this encoder instead of random ones; it must "
        "have the same architecture; the name of one that comes with the package "
        "(bytecover-small), a run directory or a .keras file; an ensemble "
        "(bytecover-base) gives the member that fits; the classifier is new",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="PATH",
        help="learn to embed recordings where this encoder embeds their scores; it "
        "must have a note layer (salience), as bytecover-small has; for drawn data "
        "sets. With --config remove: a MOVE, whose distances are learned",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting of the experiment, such as epochs=3 or "
        "frontend.pool=20; may be repeated",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --run-dir with the settings, data and weights it has",
    )
    parser.add_argument(
        "--seed", type=cli.natural_int, default=0, help="seed of all random choices"
    )
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
