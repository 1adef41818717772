"""Label recordings with the notes that Basic Pitch hears in them, to train hearing on.

Features, notes and onsets of each file go into one folder. Files are decoded and heard
in parallel. A file that cannot be used is named and skipped. If the command was killed,
run it again and it continues. Later runs add only what is new.

Basic Pitch is needed here and nowhere else:
  pip install --no-deps basic-pitch==0.4.0

Examples:
  python -m bytecover_tf.label --recordings ~/Music --out labelled
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecover_tf import cli
from bytecover_tf.cli.label_options import label_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Label a folder's recordings; return the exit status."""
    options = label_parser(__doc__).parse_args(arguments)

    from bytecover_tf.data.files import FEATURES, existing_folder, recordings
    from bytecover_tf.errors import DataError
    from bytecover_tf.stores.labelling import label_files

    folder = existing_folder(options.recordings)
    paths = [path for path in recordings(folder) if path.suffix.lower() != FEATURES]
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
    cli.run(main, continues=True)
