r"""Train an encoder and measure it on works that it has not seen.

Without arguments, the command trains a small network in some five minutes of two cores
on `tunes`, a data set that comes with the package: the config `quick`. The epoch with
the best MAP on the validation works becomes encoder.keras; metrics.json holds the
figures on unseen works before and after, training.png a picture of them.
All GPUs of the host are used, and those of other hosts if TF_CONFIG names them.

Examples:
  python -m bytecover_tf.train
  python -m bytecover_tf.train --config bytecover --data shs100k2 --data-root SHS100K
  python -m bytecover_tf.train --set epochs=3 --set augment.noise=0.5
  python -m bytecover_tf.train --data folder --data-root MY --split-seed 0 \
      --config quick --init runs/tunes-quick --set learning_rate=5e-4
  python -m bytecover_tf.train --resume --run-dir runs/tunes-quick
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from bytecover_tf import cli
from bytecover_tf.cli.train_options import train_parser
from bytecover_tf.configs import config_names, default_config, load_config
from bytecover_tf.errors import ConfigError
from bytecover_tf.settings import take
from bytecover_tf.training.config import override

if TYPE_CHECKING:
    from bytecover_tf.training.run import TrainingRun


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; return the exit status."""
    parser = train_parser(__doc__)
    options = parser.parse_args(arguments)
    cli.require_training()

    # Only now: they load TensorFlow.
    from bytecover_tf.training.run import REQUEST, TrainingRun

    if options.resume:
        if options.run_dir is None:
            raise ConfigError("--resume needs --run-dir, the run to continue")
        if options.config is not None:
            raise ConfigError(
                "--resume continues with the run's own config; drop --config"
            )
        run = TrainingRun.begun(options.run_dir, options.set)
        # What is there before stays where nothing was typed.
        untyped = dict.fromkeys([field.name for field in fields(TrainingRun)], ...)
        typed = parser.parse_args(arguments, argparse.Namespace(**untyped))
        given = {
            name: value
            for name, value in vars(typed).items()
            if name in untyped and value is not ...
        }
        asked = replace(run, **given)
        others = [name for name in given if getattr(asked, name) != getattr(run, name)]
        if others:
            raise ConfigError(
                "--resume continues with what the run began with; drop "
                + ", ".join(f"--{name.replace('_', '-')}" for name in others)
            )
    else:
        name = options.config or default_config(options.data)
        config = override(load_config(name), options.set)
        named = {"config": config, "config_name": Path(name).stem}
        run = take(TrainingRun, {**vars(options), **named})
    run_dir: Path = options.run_dir or run.free_dir()
    try:
        outcome = run.train(
            run_dir, options.resume, options.workers, options.allow_truncated
        )
    except KeyboardInterrupt:
        begun = (run_dir / REQUEST).exists()
        place = quote(str(run_dir))
        again = f"with --resume --run-dir {place}" if begun else "by the same command"
        cli.warn(f"interrupted; continue {again}")
        return cli.NOTHING_DONE
    if outcome.figures:
        split = outcome.figures["split"]
        data = _data_options(run) + (f" --split {split}" if split != "test" else "")
        print(_next_steps(run_dir, data))
        name = run.config_name
        is_known = name in config_names() and load_config(name) == run.config
        if run.data != "folder" and is_known and run.teacher is None:
            print(_on_own_recordings(run_dir, name))
    return cli.SOME_FAILED if outcome.left_out else cli.OK


def _data_options(run: TrainingRun) -> str:
    """Return the options that name a run's data for other commands."""
    options = {
        "data": run.data if run.data != "tunes" else None,
        "data-root": run.data_root,
        "features": run.features,
        "split-seed": run.split_seed,
        "source-pool": run.source_pool,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return "".join(f" --{name} {quote(str(value))}" for name, value in given.items())


def _next_steps(run_dir: Path, data: str) -> str:
    encoder = quote(str(run_dir))
    return (
        f"\nThe encoder is {run_dir / 'encoder.keras'}. {run_dir / 'training.png'} "
        f"shows what it has learned, {run_dir / 'metrics.json'} has the figures.\n\n"
        "Measure it further:\n"
        f"  python -m bytecover_tf.evaluate --encoder {encoder}{data} --plots plots\n"
        "Search your music with it:\n"
        f"  python -m bytecover_tf.index --catalogue my.catalogue --encoder {encoder} "
        "MY_MUSIC"
    )


def _on_own_recordings(run_dir: Path, name: str) -> str:
    return (
        "Train on your own recordings, in folders named after their works "
        "(MY_COVERS/work/recording.mp3):\n"
        "  python -m bytecover_tf.train --data folder --data-root MY_COVERS "
        f"--split-seed 0 --config {name} --init {quote(str(run_dir))}"
    )


if __name__ == "__main__":
    cli.run(main)
