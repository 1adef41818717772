"""The command line of training; the work is in `bytecover_tf.training.run`."""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bytecover_tf import cli
from bytecover_tf.configs import config_names, load_config
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.pretrained import lasting
from bytecover_tf.errors import ConfigError
from bytecover_tf.files import json_object, write_atomically
from bytecover_tf.training.config import Config, override


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; return the exit status."""
    parser = cli.parser("train", DESCRIPTION)
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="the experiment: " + ", ".join(config_names()) + ", or a .py file, "
        "which is run (default: tunes for the data tunes, else bytecover)",
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
        "sets",
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

    request = _resumed(options) if options.resume else _new(options)
    config = override(Config.from_dict(request["config"]), options.set)
    run_dir: Path = options.run_dir or _free_run_dir(request)
    if not options.resume and (run_dir / "run.json").exists():
        raise ConfigError(
            f"{run_dir}: holds a run already; continue it with --resume, or name "
            "another --run-dir"
        )

    from bytecover_tf.data.features import default_store, open_features
    from bytecover_tf.training.replicas import join
    from bytecover_tf.training.run import fingerprint, train

    replicas = join()
    wanted = argparse.Namespace(**request)
    root = wanted.data_root and Path(wanted.data_root)
    tracks = _tracks(wanted)
    features = wanted.features or default_store(wanted.data, root, config.frontend)
    with replicas.chief_first():
        usable, store = open_features(
            tracks,
            Path(features),
            config.frontend,
            options.workers,
            wanted.source_pool,
            options.allow_truncated,
        )
    # Runs from before there were --init and --teacher do not name them.
    init = request.get("init") and Path(request["init"])
    teacher = request.get("teacher") and Path(request["teacher"])
    checkpoint = run_dir / "checkpoint.keras" if options.resume else None
    facts = fingerprint(config, usable, store, wanted.seed, init, checkpoint, teacher)
    replicas.check_same({**facts, "waveforms": wanted.waveforms})
    if replicas.is_chief:
        run_dir.mkdir(parents=True, exist_ok=True)
        request["config"] = config.to_dict()
        write_atomically(run_dir / "run.json", json.dumps(request, indent=1) + "\n")
        print(f"run directory: {run_dir}")
    train(
        config,
        usable,
        store,
        run_dir,
        wanted.seed,
        options.resume,
        wanted.data,
        wanted.waveforms,
        init,
        teacher,
        replicas,
    )
    if replicas.is_chief:
        print(_next_steps(run_dir))
    return cli.OK if len(usable) == len(tracks) else cli.SOME_FAILED


# What a run records of itself; --init and --teacher came later.
_RECORDED = (
    *("config_name", "config", "data", "data_root", "features", "without_datacos"),
    *("split_seed", "source_pool", "waveforms", "seed"),
)


def _tracks(wanted: argparse.Namespace) -> list[Track]:
    tracks = cli.read_tracks(wanted)
    if not wanted.without_datacos:
        return tracks
    if wanted.data != "shs100k":
        raise ConfigError("--without-datacos is for --data shs100k only")
    from bytecover_tf.data.datacos import without_overlap

    unseen = [track for track in tracks if track.split != "train"]
    train = [track for track in tracks if track.split == "train"]
    kept = without_overlap(train, Path(wanted.data_root), Path(wanted.without_datacos))
    print(f"left out {len(train) - len(kept)} recordings that Da-TACOS has")
    return kept + unseen


def _new(options: argparse.Namespace) -> dict[str, Any]:
    name = options.config or ("tunes" if options.data == "tunes" else "bytecover")
    return {
        "config_name": Path(name).stem,
        "config": load_config(name).to_dict(),
        "data": options.data,
        **{
            name: getattr(options, name) and os.path.abspath(getattr(options, name))
            for name in ("data_root", "features", "without_datacos")
        },
        **{
            name: getattr(options, name) and lasting(getattr(options, name))
            for name in ("init", "teacher")
        },
        "split_seed": options.split_seed,
        "source_pool": options.source_pool,
        "waveforms": options.waveforms,
        "seed": options.seed,
    }


def _resumed(options: argparse.Namespace) -> dict[str, Any]:
    if options.run_dir is None:
        raise ConfigError("--resume needs --run-dir, the run to continue")
    if options.config is not None:
        raise ConfigError("--resume continues with the run's own config; drop --config")
    path = options.run_dir / "run.json"
    try:
        found = json_object(path.read_bytes(), path, ConfigError)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file, so there is no run to resume"
        ) from None
    missing = [name for name in _RECORDED if name not in found]
    if missing or not isinstance(found["config"], dict):
        raise ConfigError(f"{path}: damaged ({', '.join(missing) or 'config'} missing)")
    return found


def _free_run_dir(request: dict[str, Any]) -> Path:
    name = "-".join(dict.fromkeys([request["data"], request["config_name"]]))
    for number in itertools.count(1):
        path = Path("runs") / (name if number == 1 else f"{name}-{number}")
        if not path.exists():
            return path
    raise AssertionError


def _next_steps(run_dir: Path) -> str:
    return (
        f"\nThe encoder is {run_dir / 'encoder.keras'}, the figures are in "
        f"{run_dir / 'metrics.json'}.\nNext:\n"
        f"  python -m bytecover_tf.evaluate --encoder {run_dir} --plots plots\n"
        "  python -m bytecover_tf.train --data folder --data-root MY_COVERS "
        "--split-seed 0\n(with your recordings as MY_COVERS/work/recording.mp3)"
    )


DESCRIPTION = """\
Train an encoder and measure it on works that it has not seen.

Without arguments, the command trains a small network in some minutes on `tunes`, a data
set that comes with the package. The epoch with the best MAP on the validation works
becomes encoder.keras; metrics.json holds the figures on unseen works before and after.
All GPUs of the host are used, and those of other hosts if TF_CONFIG names them.

examples:
  python -m bytecover_tf.train
  python -m bytecover_tf.train --config bytecover --data shs100k --data-root SHS100K
  python -m bytecover_tf.train --set epochs=3 --set augment.noise=0.5
  python -m bytecover_tf.train --data folder --data-root MY --split-seed 0 \\
      --config tunes --init runs/tunes --set learning_rate=5e-4
  python -m bytecover_tf.train --resume --run-dir runs/tunes
"""


if __name__ == "__main__":
    cli.run(main)
