"""Sections of `results.md`, each written by the command that measured it.

The environment variable BYTECOVER_REPORT names another file to write to.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(
    os.environ.get("BYTECOVER_REPORT") or Path(__file__).with_name("results.md")
)

_HEAD = """# Results

Every section is written by the command that it names; do not edit by hand.
"""


def write_section(title: str, command: str, body: str, report: Path = RESULTS) -> None:
    """Replace or append a section of a report.

    Args:
        title: heading, which identifies the section.
        command: what to type to measure again.
        body: Markdown.
        report: the file.
    """
    text = report.read_text() if report.exists() else _HEAD
    section = f"## {title}\n\n`{command}`, {conditions()}\n\n{body.strip()}\n"
    pattern = re.compile(rf"## {re.escape(title)}\n.*?(?=\n## |\Z)", re.S)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}"
    report.write_text(text.rstrip() + "\n")
    print(f"written: {report} ({title})")


def conditions() -> str:
    """Return date, machine and versions as one phrase."""
    packages = []
    for name in ("tensorflow", "keras", "librosa", "numpy"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores of "
        f"{_processor()}, Python {platform.python_version()}, {', '.join(packages)}."
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(figures: dict) -> list[str]:
    """Return MAP with its interval, P@10 and MR1, as a row's cells."""
    low, high = figures["map_interval"]
    return [
        f"{figures['map']:.3f} [{low:.3f}, {high:.3f}]",
        f"{figures['p_at_10']:.3f}",
        f"{figures['mr1']:.2f}",
    ]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
