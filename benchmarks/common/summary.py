"""The page above the results: the figures that matter most, and every section's place.

    python -m benchmarks.common.summary

Figures are copied from the tables of the sections, never typed. Every benchmark that
writes a section writes this page too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"

# The files, and the title of each.
TOPICS = {
    "encoders": "What the encoders find",
    "alignment": "What alignment adds",
    "calibration": "Identification and calibration",
    "paper": "The paper's tables",
    "audio": "From audio to embeddings",
    "latency": "Latency of the encoders",
    "search": "Search, evaluation and growth",
    "server": "The server",
    "training": "Speed of training",
    "drawing": "Drawn training data",
    "install": "Installing",
    "runtimes": "Exported encoders in every runtime",
}


@dataclass(frozen=True)
class Figure:
    """A cell of a table in the results.

    Attributes:
        meaning: what it says, in words.
        topic: the file.
        section: the heading.
        row: the cells that its row begins with.
        column: the heading of its column.
        below: text of the section that the table stands below.
    """

    meaning: str
    topic: str
    section: str
    row: tuple[str, ...]
    column: str
    below: str = ""


_TEST = "test, 139 recordings"
_MAP = "MAP [95%]"
_LATENCY = "p50 / p95 / p99 ms"
_INDEXED = ("LanceDB indexed, catalogue",)


def searched(name: str) -> Figure:
    """What the embeddings of an encoder find of the anthems."""
    return Figure(
        f"MAP by the embeddings of `{name}`, anthems, test split",
        "encoders",
        f"What {name} finds",
        (f"anthems, {_TEST}", name),
        _MAP,
    )


def reranked(name: str) -> Figure:
    """What an encoder and alignment find of them."""
    return Figure(
        f"MAP by `{name}` with 100 candidates aligned, same recordings",
        "alignment",
        f"Re-ranking what {name} finds",
        (_TEST, "100"),
        _MAP,
    )


ALIGNED = Figure(
    "MAP by alignment of the transform's chroma alone, same recordings",
    "alignment",
    "Alignment of chroma",
    (_TEST, "alignment"),
    _MAP,
)


def identified(meaning: str, length: str, column: str) -> Figure:
    """What `identify` says of queries of a length, by default."""
    return Figure(
        meaning,
        "alignment",
        "Covers",
        ("`bytecover-base`", length),
        column,
        "The calibrations that come with the package",
    )


FOUND = [
    searched("bytecover-small"),
    ALIGNED,
    reranked("bytecover-small"),
    Figure(
        "MAP by the embeddings of `bytecover-base`, folk songs (development set)",
        "alignment",
        "Covers",
        ("embeddings of `bytecover-base`",),
        "folk",
    ),
    Figure(
        "MAP by all five parts of chroma and `bytecover-base`, folk songs "
        "(development set; in round brackets the gain over the transform's chroma and "
        "`bytecover-base`)",
        "alignment",
        "Covers",
        ("`bytecover-base` and all five parts",),
        "folk",
    ),
    identified(
        "share of whole recordings, folk and pop songs (development sets), whose "
        "version `identify` finds",
        "whole",
        "version found",
    ),
    identified("the same for clips of 30 s", "30 s", "version found"),
    identified(
        "share of clips of 30 s without a version that get the verdict `version`",
        "30 s",
        "false `version`",
    ),
    Figure(
        "what BNNeck adds to MAP, short trainings, unseen works",
        "paper",
        "Ablation (the paper's table 3)",
        ("unseen works",),
        "+ BNNeck",
        "What each part adds",
    ),
]

SPENT = [
    Figure(
        "seconds of processor time to decode, transform, hear and fold 128 s of mp3",
        "audio",
        "Indexing a file",
        ("all",),
        "seconds",
    ),
    Figure(
        "speed of `bytecover index`, a process pool of librosa and PyTorch = 1",
        "audio",
        "Audio to embedding",
        ("bytecover index, ResNet50-IBN",),
        "pool = 1",
    ),
    Figure(
        "seconds from typing `identify` to its first line",
        "audio",
        "Start-up",
        ("identify",),
        "median",
    ),
    Figure(
        f"{_LATENCY} to embed features of 4 minutes, `bytecover-base`, float32",
        "latency",
        "Latency of bytecover-base from features",
        ("ONNX Runtime float32",),
        _LATENCY,
        "features, batch 1, 4 min",
    ),
    *(
        Figure(
            f"p50 / p95 ms of a query to a catalogue of {rows} recordings",
            "search",
            f"Search among {rows} x 256",
            _INDEXED,
            "p50 / p95 ms",
        )
        for rows in ("100,000", "1,000,000")
    ),
    Figure(
        "speed of evaluating 15,000 queries, numpy argsort = 1",
        "search",
        "Evaluation",
        ("15,000", "bytecover_tf.metrics"),
        "speed, argsort = 1",
    ),
    Figure(
        "speed of a training step of ResNet50-IBN, PyTorch = 1",
        "training",
        "Training step",
        ("TensorFlow",),
        "speed, PyTorch = 1",
    ),
    Figure(
        "crops a second from the input pipeline, with all augmentation",
        "training",
        "Input pipeline",
        ("108,523",),
        "with all of it",
    ),
    Figure(
        "versions drawn a second on one core",
        "drawing",
        "Versions a second",
        ("drawn", "all"),
        "versions a second",
    ),
]


def main() -> None:
    write_summary()
    print(f"written: {RESULTS / 'README.md'}")


def write_summary() -> None:
    """Write `README.md` beside the results."""
    (RESULTS / "README.md").write_text(summary())


def summary() -> str:
    """Return the page as it should be by the sections as they are."""
    parts = [
        "# Results",
        "The figures that matter most, and below them every section with the day it "
        "was measured. Each section begins with the command that repeats it. Written "
        "by `python -m benchmarks.common.summary`; do not edit by hand.",
        "## What is found",
        _figures(FOUND),
        "## What it costs",
        _figures(SPENT),
        "## All sections",
        _index(),
    ]
    return "\n\n".join(parts) + "\n"


def sections(topic: str) -> dict[str, str]:
    """Return the sections of a topic: heading and text."""
    text = (RESULTS / f"{topic}.md").read_text()
    parts = re.split(r"^## (.*)$", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def find(figure: Figure) -> str:
    """Return a figure as its table has it.

    Raises:
        ValueError: the results have no such cell.
    """
    text = sections(figure.topic).get(figure.section, "")
    columns: list[str] = []
    for cells in _rows(text[max(0, text.find(figure.below)) :]):
        if figure.column in cells:
            columns = cells
        elif columns and tuple(cells[: len(figure.row)]) == figure.row:
            return cells[columns.index(figure.column)]
    raise ValueError(
        f"{figure.topic}.md, {figure.section}: no row {' | '.join(figure.row)} with "
        f"a column {figure.column}"
    )


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _figures(figures: list[Figure]) -> str:
    lines = ["| figure |  | section |", "| --- | --- | --- |"]
    for figure in figures:
        try:
            value = find(figure)
        except ValueError:  # a section that was measured in another way than usual
            value = "not measured"
        place = _link(figure.topic, figure.section)
        lines.append(f"| {figure.meaning} | {value} | {place} |")
    return "\n".join(lines)


def _index() -> str:
    lines = ["| topic | section | measured |", "| --- | --- | --- |"]
    for topic, title in TOPICS.items():
        name = f"[{title}]({topic}.md)"
        for section, text in sections(topic).items():
            day = re.search(r"\d{4}-\d\d-\d\d", text)
            lines.append(
                f"| {name} | {_link(topic, section)} | {day[0] if day else ''} |"
            )
            name = ""
    return "\n".join(lines)


def _link(topic: str, section: str) -> str:
    anchor = re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-")
    return f"[{section}]({topic}.md#{anchor})"


if __name__ == "__main__":
    main()
