"""How much each extra brings, and how long that takes.

    python -m benchmarks.systems.install [--extras LIST] [--note TEXT]

Builds the package's wheel. Then, for the base install and each extra, downloads the
wheels that are needed and installs them into a fresh virtual environment.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common.report import table, write_section

ROOT = Path(__file__).parents[2]
# Together with what each is meant for.
EXTRAS = {
    "": "embed, compare and measure",
    "catalogue": "search a library",
    "catalogue,plots": "the README's first command",
    "train": "train",
    "export": "export",
    "gpu": "exported encoders on a GPU",
    "serving": "ask TensorFlow Serving",
    "milvus": "a catalogue on Milvus",
    "ray": "read on a cluster",
    "synth": "make training sets",
    "all": "everything",
}
# Megabytes that the base install may take.
AIM = 700


def megabytes(folder: Path) -> float:
    """Return the size of all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(path.lstat().st_size for path in files) / 1e6


def build_wheel(folder: Path) -> Path:
    """Build the package's wheel in a folder; return it."""
    command = ["pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
    _run(sys.executable, "-m", *command)
    (wheel,) = folder.glob("*.whl")
    return wheel


def measure(wheel: Path, extra: str, folder: Path) -> list[float]:
    """Install an extra into a fresh environment.

    Args:
        wheel: of the package.
        extra: its name, or several with commas between; empty for none.
        folder: an empty folder to work in.

    Returns:
        Megabytes downloaded, seconds of that; megabytes installed, seconds of that.
    """
    environment, wheels = folder / "venv", folder / "wheels"
    _run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    empty = megabytes(environment)
    asked = f"{wheel}[{extra}]" if extra else str(wheel)
    start = time.perf_counter()
    _run(python, "-m", "pip", "download", "-q", "--no-cache-dir", "-d", wheels, asked)
    downloading = time.perf_counter() - start
    start = time.perf_counter()
    local = ["--no-index", "--find-links", wheels]
    _run(python, "-m", "pip", "install", "-q", *local, asked)
    installing = time.perf_counter() - start
    installed = megabytes(environment) - empty
    return [megabytes(wheels), downloading, installed, installing]


def _run(*command: object) -> None:
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError(f"{command}: {result.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--note", default="", help="added to the conditions")
    parser.add_argument(
        "--extras",
        nargs="*",
        default=list(EXTRAS),
        choices=list(EXTRAS),
        help="measure these alone, and write no report",
    )
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        for extra in options.extras:
            with tempfile.TemporaryDirectory() as place:
                measured = measure(wheel, extra, Path(place))
            name = f"`.[{extra}]`" if extra else "`.`"
            rows.append([name, EXTRAS[extra], *(f"{value:.0f}" for value in measured)])
            print(*rows[-1], sep="\t", flush=True)
        size = wheel.stat().st_size / 1e6
    header = ["", "for", "MB to download", "s", "MB installed", "s"]
    body = (
        f"Each in a fresh virtual environment, whose own size is not counted; "
        f"bytecode is. The package's wheel has {size:.0f} MB. The base install may "
        f"take {AIM} MB. {options.note}".rstrip()
        + "\n\n"
        + table(header, rows)
    )
    if options.extras == list(EXTRAS):
        command = "python -m benchmarks.systems.install"
        write_section("install", "Install", command, body)


if __name__ == "__main__":
    main()
