"""Run the benchmarks and rewrite their report."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bytecover_tf import cli
from bytecover_tf.progress import progress_bar

# What the sections that are published were given; None leaves one out that was given
# what is not here, so that no poorer section takes its place.
FULL: dict[str, list[str] | None] = {
    "speed.training_step": ["--tried"],
    "speed.load": None,
    "systems.search": ["--start-milvus"],
    "systems.runtimes": None,
    "accuracy.first_training": ["--seeds", "3"],
}
# What each is given for --quick; None leaves it out, as it cannot be cut short. Not
# here is what needs a folder of recordings or a trained encoder.
QUICK: dict[str, list[str] | None] = {
    "speed.startup": ["--repeats", "1"],
    "speed.alignment": ["--repeats", "1"],
    "speed.evaluation": ["--rows", "2000", "--dim", "512", "--repeats", "1"],
    "speed.training_step": ["--small", "--batch", "8", "--rounds", "3"],
    "speed.hearing_step": ["--rounds", "1"],
    "speed.load": ["--seconds", "2"],
    "systems.search": ["--sizes", "2000", "--quick"],
    "speed.growth": None,
    "systems.runtimes": None,
    "systems.install": None,
    "speed.distributed": None,
    "speed.cqt": None,
    "speed.input_pipeline": None,
    "paper.full_size": None,
    "accuracy.first_training": None,
}

DESCRIPTION = """\
Run every benchmark that needs no other data or programs, one after another, each in a
process of its own, and write its section below benchmarks/results. One that fails does
not stop the others. All take some hours on two cores; have nothing else running.

With --quick, those that can be shortened run small enough that all end in some three
minutes, and the report goes to the terminal. Its figures show that things work, not how
fast they are.

Those that need recordings, an encoder or another program run by themselves:
python -m benchmarks.ROOM.NAME --help.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks; return 0 if all ended well, 1 if some did not, 2 if none did."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=QUICK,
        metavar="NAME",
        help=f"names from {', '.join(QUICK)}",
    )
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument(
        "--quick", action="store_true", help="run small sizes and write no results"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write all sections to this file instead",
    )
    options = parser.parse_args(arguments)
    extras = QUICK if options.quick else {name: FULL.get(name, []) for name in QUICK}
    names = options.only or [name for name in QUICK if extras[name] is not None]
    left_out = [name for name in names if extras[name] is None]
    if left_out:
        reason = "cannot be cut short" if options.quick else "run by themselves"
        parser.error(f"{', '.join(left_out)}: {reason}")
    if options.list:
        print("\n".join(names))
        return cli.OK
    with tempfile.TemporaryDirectory() as folder:
        passing = Path(folder) / "results.md"
        report = options.report or (passing if options.quick else None)
        failed = run({name: extras[name] or [] for name in names}, report)
        if report == passing and report.exists():
            print(report.read_text())
    for name in failed:
        print(f"failed: {name}", file=sys.stderr)
    if not failed:
        return cli.OK
    return cli.NOTHING_DONE if len(failed) == len(names) else cli.SOME_FAILED


def run(benchmarks: Mapping[str, Sequence[str]], report: Path | None) -> list[str]:
    """Run benchmarks; return the names of those that failed.

    Args:
        benchmarks: what each is given, by its name.
        report: a file for all sections, or None for each topic's own.
    """
    failed = []
    environment = dict(os.environ)
    if report:
        environment["BYTECOVER_REPORT"] = str(report.absolute())
    with progress_bar(total=len(benchmarks), unit="benchmark") as bar:
        for name, extra in benchmarks.items():
            bar.set_postfix_str(name)
            bar.write(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
            command = [sys.executable, "-m", f"benchmarks.{name}", *extra]
            if subprocess.run(command, env=environment, check=False).returncode:
                failed.append(name)
            bar.update()
    return failed


if __name__ == "__main__":
    cli.run(main)
