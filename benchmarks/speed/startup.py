"""How long until a fresh process answers?

    python -m benchmarks.speed.startup [--repeats N]

Times the import of the package, the help of the command, and `identify` from the start
of its process to the first line of its answer. For the last it writes an untrained
network of the paper's size as ONNX and puts the recordings that come with the package
into a catalogue. The imports of the libraries that `identify` cannot do without are
timed by themselves, along with the module of this package that leaves out LanceDB's
client for servers: no other code could start sooner.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.library import fill_catalogue, write_encoder
from benchmarks.common.report import command_of, table, write_section

# The most that each should take, in seconds.
AIMS = {"import bytecover_tf": 0.5, "bytecover --help": 0.3, "identify": 1.0}
# What `identify` imports in any case, besides LanceDB.
LIBRARIES = "av, numba, numpy, onnxruntime, scipy.linalg, soxr"
# What the package's import must not bring with it.
HEAVY = {"tensorflow", "keras", "librosa", "numba", "scipy", "lancedb", "pymilvus"}


def seconds_to_first_line(command: Sequence[str]) -> float:
    """Return the time from starting a process to the first line that it prints.

    Raises:
        RuntimeError: it prints nothing, or ends with an error.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        elapsed = time.perf_counter() - start
        _, errors = process.communicate()
    if process.returncode or not first:
        raise RuntimeError(f"{' '.join(command)}: {errors or 'printed nothing'}")
    return elapsed


def make_library(folder: Path) -> list[str]:
    """Make an encoder and a catalogue; return the arguments that ask about a file."""
    from bytecover_tf.data.tunes import audio_files

    encoder, catalogue = str(folder / "encoder.onnx"), str(folder / "catalogue")
    write_encoder(Path(encoder))
    files = audio_files()
    fill_catalogue(catalogue, files, encoder)
    return ["--catalogue", catalogue, "--json", str(files[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    light = (
        "import bytecover_tf, sys; "
        f"heavy = {HEAVY} & set(sys.modules); assert not heavy, heavy; print('light')"
    )
    libraries = (
        f"import {LIBRARIES}; "
        "from bytecover_tf.catalogues.lance import import_lancedb; "
        "import_lancedb(); print('imported')"
    )
    with tempfile.TemporaryDirectory() as folder:
        question = make_library(Path(folder))
        commands = {
            "import bytecover_tf": ["-c", light],
            "bytecover --help": ["-m", "bytecover_tf", "--help"],
            "libraries of identify": ["-c", libraries],
            "identify": ["-m", "bytecover_tf.identify", *question],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        # The first turn fills the caches of the disk and of numba.
        for turn in range(options.repeats + 1):
            for name, command in commands.items():
                elapsed = seconds_to_first_line([sys.executable, *command])
                if turn:
                    times[name].append(elapsed)
    rows = [
        [
            name,
            f"{np.median(spent):.2f}",
            f"{max(spent):.2f}",
            f"{AIMS[name]:.1f}" if name in AIMS else "",
        ]
        for name, spent in times.items()
    ]
    body = (
        "Seconds from starting a process to the first line that it prints, of "
        f"{options.repeats} processes each, taking turns. `identify` opens a catalogue "
        "of sixteen recordings, loads an ONNX encoder of the paper's size, decodes and "
        "transforms a recording, and aligns it with the sixteen; numba's cache is "
        f"filled. Its libraries: {LIBRARIES}, and lancedb without its client for "
        "servers.\n\n" + table(["", "median", "slowest", "aim"], rows)
    )
    command = command_of("speed.startup", parser, options)
    write_section("audio", "Start-up", command, body)


if __name__ == "__main__":
    main()
