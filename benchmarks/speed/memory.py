"""How much memory do `index` and `identify` take, whatever the length of a recording?

    python -m benchmarks.speed.memory --music DIR [--folder WORK]

An mp3 of each length is made of a recording of DIR in WORK, by the ffmpeg command, and
put into a catalogue of its own; then a catalogue of some recordings of DIR is asked for
it. Each command runs in a process of its own, by each encoder of the package. On two
cores all this takes half an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Sequence
from importlib import import_module
from itertools import islice, product
from pathlib import Path

from benchmarks.common.heard import heard
from benchmarks.common.processes import measured
from benchmarks.common.report import table, write_section
from benchmarks.speed.end_to_end import FORMAT, make_track
from bytecover_tf.encoders.pretrained import DEFAULT, FINDS_MOST

LENGTHS = {"4 minutes": 240, "1 hour": 3600, "6 hours": 21_600}
ENCODERS = (DEFAULT, FINDS_MOST)
# Recordings in the catalogue that is asked.
KNOWN = 10
_MIB = 2**20


def run(command: str, arguments: Sequence[str]) -> None:
    """Run a command of the package in this process, without what it prints."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        status = import_module(f"bytecover_tf.{command}").main(arguments)
    assert status == 0, (command, arguments)


def index(catalogue: Path, encoder: str, paths: Sequence[Path]) -> int:
    """Put recordings into a new catalogue; return the peak of memory in bytes."""
    named = ["--catalogue", str(catalogue), "--encoder", encoder, *map(str, paths)]
    return measured(run, "index", named).peak


def identify(catalogue: Path, path: Path) -> int:
    """Ask a catalogue for a recording; return the peak of memory in bytes."""
    return measured(run, "identify", ["--catalogue", str(catalogue), str(path)]).peak


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--music", type=Path, required=True, metavar="DIR", help="folder of recordings"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="WORK",
        help="folder for the long recordings; those that are there already are used",
    )
    options = parser.parse_args(arguments)
    known = list(islice(heard(options.music), KNOWN))
    peaks: dict[tuple[str, str], list[int]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or Path(made)
        files = [folder / f"{seconds}.mp3" for seconds in LENGTHS.values()]
        for file, seconds in zip(files, LENGTHS.values(), strict=True):
            make_track(known[0], file, seconds, *FORMAT)
        for encoder in ENCODERS:
            asked = Path(made, f"known-{encoder}")
            index(asked, encoder, known)
            peaks["index", encoder] = [
                index(Path(made, f"{encoder}-{file.stem}"), encoder, [file])
                for file in files
            ]
            peaks["identify", encoder] = [identify(asked, file) for file in files]
            print(encoder, peaks, flush=True)
    rows = [
        [
            f"`{command}`, `{encoder}`",
            *(f"{peak / _MIB:,.0f}" for peak in peaks[command, encoder]),
        ]
        for command, encoder in product(("index", "identify"), ENCODERS)
    ]
    body = (
        "Peak memory in MiB of a command and the processes that it starts, with all "
        "libraries; what they share counts once. One mp3 of 44.1 kHz in stereo, put "
        f"into an empty catalogue or asked for in one of {len(known)} recordings. The "
        "aim for six hours is 700 MB, 668 MiB.\n\n" + table(["", *LENGTHS], rows)
    )
    write_section(
        "audio", "Peak memory", "python -m benchmarks.speed.memory --music DIR", body
    )


if __name__ == "__main__":
    main()
