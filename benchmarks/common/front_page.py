"""The table of the project's README, copied from the results."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.common.report import table
from benchmarks.common.summary import ALIGNED, Figure, find, reranked, searched

README = Path(__file__).parents[2] / "README.md"

# A column of the table, and that of the section on covers.
_COVERS = {
    "39 recordings of folk songs": "folk",
    "77 pop songs by their tune": "melody: full to tune",
    "100 passages of pop songs": "songs: passages",
}
# A row of the table, its figure on the anthems, and its row in the section on covers.
_ROWS: dict[str, tuple[Figure | None, str]] = {
    "embeddings alone: `bytecover-small`": (
        searched("bytecover-small"),
        "embeddings of `bytecover-small`",
    ),
    "embeddings alone: `bytecover-base`, the default": (
        None,
        "embeddings of `bytecover-base`",
    ),
    "alignment of the transform alone": (
        ALIGNED,
        "transform's chroma, 12 bins",
    ),
    "alignment of what is heard": (None, "all five parts"),
    "`bytecover-small` and alignment": (
        reranked("bytecover-small"),
        "`bytecover-small` and all five parts",
    ),
    "`bytecover-base` and alignment": (
        None,
        "`bytecover-base` and all five parts",
    ),
}


def figures() -> str:
    """Return the table as it should be by the results as they are."""
    rows = []
    for name, (anthems, row) in _ROWS.items():
        covers = [
            Figure("", "alignment", "Covers", (row,), column)
            for column in _COVERS.values()
        ]
        rows.append([name, *(_short(one) for one in (anthems, *covers))])
    return table(["MAP", "139 anthems", *_COVERS], rows)


def _short(figure: Figure | None) -> str:
    """Return the first number of a cell, rounded to hundredths."""
    return f"{float(find(figure).split()[0]):.2f}" if figure else ""


def write_figures(readme: Path = README) -> None:
    """Replace the table below `<!-- figures -->`."""
    text = readme.read_text()
    found = re.search(r"(?<=<!-- figures -->\n)(\|.*\n)+", text)
    assert found, f"{readme}: has no table below <!-- figures -->"
    readme.write_text(text[: found.start()] + figures() + "\n" + text[found.end() :])


if __name__ == "__main__":
    write_figures()
