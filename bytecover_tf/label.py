"""Label recordings with the notes that Basic Pitch hears in them, to train hearing on.

Features, notes and onsets of each file go into one folder. Files are decoded and heard
in parallel. A file that cannot be used is named and skipped. Killed at any moment, the
same command continues; run again, it adds only what is new.

Basic Pitch is needed here and nowhere else:
  pip install --no-deps basic-pitch==0.4.0

Examples:
  python -m bytecover_tf.label --recordings ~/Music --out labelled
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Label a folder's recordings; return the exit status."""
    parser = cli.parser("label", __doc__)
    parser.add_argument(
        "--recordings",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="music, subfolders included",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where features and labels go; made if there is none",
    )
    parser.add_argument(
        "--set",
        metavar="NAME",
        help="the name of this collection in recordings.csv (default: the folder's "
        "name)",
    )
    parser.add_argument(
        "--role", default="train", help="the role of these recordings in recordings.csv"
    )
    parser.add_argument(
        "--workers",
        type=cli.positive_int,
        metavar="N",
        help="number of processes that decode and listen (default: one per core)",
    )
    cli.add_truncated_argument(parser)
    options = parser.parse_args(arguments)

    from bytecover_tf.data.files import existing_folder, recordings
    from bytecover_tf.errors import DataError
    from bytecover_tf.stores.labelling import label_files

    folder = existing_folder(options.recordings)
    paths = [path for path in recordings(folder) if path.suffix.lower() != ".npy"]
    if not paths:
        raise DataError(f"{folder}: expected recordings, found none")
    name = options.set or folder.resolve().name
    report = label_files(
        paths,
        options.out,
        name,
        options.role,
        options.workers,
        options.allow_truncated,
    )
    for reason in report.failed.values():
        cli.warn(f"skipped: {reason}")
    print(
        f"{options.out}: {report.labelled} labelled, {report.present} already there, "
        f"{len(report.failed)} failed"
    )
    return cli.status_of(len(report.failed), report.labelled + report.present)


if __name__ == "__main__":
    cli.run(main)
