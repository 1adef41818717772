"""The results: a file for each topic, with a section for each measurement.

A benchmark writes its own section. The environment variable BYTECOVER_REPORT names one
file that takes the sections of all topics instead.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.common.summary import RESULTS, TOPICS, write_summary

_HEAD = """# {title}

Every section is written by the command that it names; do not edit by hand.
"""


def report_file(topic: str) -> Path:
    """Return the file that takes the sections of a topic.

    Raises:
        ValueError: there is no such topic.
    """
    if topic not in TOPICS:
        raise ValueError(f"topic: expected one of {', '.join(TOPICS)}, got {topic}")
    elsewhere = os.environ.get("BYTECOVER_REPORT")
    return Path(elsewhere) if elsewhere else RESULTS / f"{topic}.md"


def write_section(topic: str, title: str, command: str, body: str) -> None:
    """Replace or append a section of a topic, and bring the summary up to date.

    Args:
        topic: a key of `TOPICS`.
        title: heading, which identifies the section.
        command: what to type to measure again.
        body: Markdown.
    """
    report = report_file(topic)
    if not report.exists():
        title_of_all = TOPICS[topic] if report.parent == RESULTS else "Results"
        report.write_text(_HEAD.format(title=title_of_all))
    replace_section(report, title, command, body)
    if report.parent == RESULTS:
        write_summary()


def replace_section(report: Path, title: str, command: str, body: str) -> None:
    """Replace or append a section of any Markdown file."""
    text = report.read_text()
    section = f"## {title}\n\n`{command}`, {conditions()}\n\n{body.strip()}\n"
    pattern = re.compile(rf"## {re.escape(title)}\n.*?(?=\n## |\Z)", re.S)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}"
    report.write_text(text.rstrip() + "\n")
    print(f"written: {report} ({title})")


def command_of(
    module: str,
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    without: Sequence[str] = (),
) -> str:
    """Return what to type to measure again: the options that are not the defaults.

    Args:
        module: below `benchmarks`.
        parser: of the command.
        options: what it was given; folders and files are named by their kind.
        without: options that change nothing in what is measured.
    """
    parts = [f"python -m benchmarks.{module}"]
    for name, value in vars(options).items():
        if name in without or value == parser.get_default(name):
            continue
        parts.append(f"--{name.replace('_', '-')}")
        if isinstance(value, Path):
            parts.append(name.upper())
        elif isinstance(value, list):
            parts += [
                name.upper() if isinstance(one, Path) else str(one) for one in value
            ]
        elif value is not True:
            parts.append(str(value))
    return " ".join(parts)


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
        f"{_processor()}{_accelerators()}, Python {platform.python_version()}, "
        f"{', '.join(packages)}."
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def folded(title: str, body: str) -> str:
    """Return Markdown that shows its title alone until it is clicked."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def cells(figures: dict) -> list[str]:
    """Return MAP with its interval, P@10 and MR1, as a row's cells."""
    low, high = figures["map_interval"]
    return [
        f"{figures['map']:.3f} [{low:.3f}, {high:.3f}]",
        f"{figures['p_at_10']:.3f}",
        f"{figures['mr1']:.2f}",
    ]


def _accelerators() -> str:
    """Return the GPUs that NVIDIA's driver shows, as a further part of the machine."""
    models = [
        line.split(":", 1)[1].strip()
        for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        for line in file.read_text().splitlines()
        if line.startswith("Model:")
    ]
    return f" with {', '.join(models)}" if models else ""


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
