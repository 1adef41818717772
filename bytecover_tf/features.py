"""Extract the features of a data set into a feature store.

Files are decoded and transformed in parallel. A file that cannot be used is named and
skipped. If the command was killed, run it again and it continues. Later runs add only
what is new or changed.

Examples:
  python -m bytecover_tf.features --data folder --data-root my-covers
  python -m bytecover_tf.features --data shs100k2 --data-root SHS100K --out store
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Extract a data set's features; return the exit status."""
    parser = cli.parser("features", __doc__)
    cli.add_data_arguments(parser, default=None)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the same as --features"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a parameter of the frontend, such as pool=20; may be repeated",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read the whole store, and extract damaged features again",
    )
    options = parser.parse_args(arguments)

    from bytecover_tf.data.features import default_store
    from bytecover_tf.stores.extraction import extract_features, print_failures
    from bytecover_tf.training.config import Config, override

    settings = [f"frontend.{assignment}" for assignment in options.set]
    frontend = override(Config(), settings).frontend
    tracks = cli.read_tracks(options)
    store = options.out or options.features
    store = store or default_store(options.data, options.data_root, frontend, tracks)
    report = extract_features(
        [track.path for track in tracks],
        store,
        frontend,
        options.workers,
        options.source_pool,
        options.allow_truncated,
        options.verify,
    )
    paths = {os.path.abspath(track.path) for track in tracks}
    for path in report.damaged:
        is_mended = path in paths and path not in report.failed
        told = "extracted anew" if is_mended else "still damaged in the store"
        cli.warn(f"damaged: {path}: {told}")
    print_failures(report)
    print(
        f"{store}: {report.extracted} extracted, {report.present} already there, "
        f"{len(report.failed)} failed"
    )
    failed = len(report.failed) + len(set(report.damaged) - paths)
    return cli.status_of(failed, report.extracted + report.present)


if __name__ == "__main__":
    cli.run(main, continues=True)
