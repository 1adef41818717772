import argparse
from pathlib import Path

import pytest

from benchmarks.common import front_page, report, summary
from benchmarks.common.summary import FOUND, RESULTS, SPENT, TOPICS, Figure

SECTION = """
| split | search | MAP |
| --- | --- | --- |
| test | alignment | 0.5 |

below this

| split | MAP | P@10 |
| --- | --- | --- |
| test | 0.7 | 0.1 |
"""


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Empty results of two topics."""
    for module in (summary, report):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
        monkeypatch.setattr(module, "TOPICS", {"one": "First", "two": "Second"})
    monkeypatch.setattr(summary, "FOUND", [])
    monkeypatch.setattr(summary, "SPENT", [])
    monkeypatch.delenv("BYTECOVER_REPORT", raising=False)
    for topic in ("one", "two"):
        (tmp_path / f"{topic}.md").write_text("# Title\n")
    return tmp_path


def test_the_page_is_that_of_the_results_as_they_are():
    assert (RESULTS / "README.md").read_text() == summary.summary()


def test_the_table_of_the_readme_is_that_of_the_results_as_they_are(tmp_path):
    text = front_page.README.read_text()
    assert f"<!-- figures -->\n{front_page.figures()}\n\n" in text
    changed = tmp_path / "README.md"
    changed.write_text("# Title\n\n<!-- figures -->\n| MAP |\n| --- |\n\nMore.\n")
    front_page.write_figures(changed)
    assert changed.read_text().endswith(f"{front_page.figures()}\n\nMore.\n")


def test_every_topic_has_a_file_and_every_file_a_topic():
    files = {path.stem for path in RESULTS.glob("*.md")} - {"README"}
    assert files == set(TOPICS)


@pytest.mark.parametrize("figure", [*FOUND, *SPENT], ids=lambda figure: figure.meaning)
def test_every_figure_of_the_page_is_measured(figure):
    assert any(character.isdigit() for character in summary.find(figure))


def test_a_section_goes_to_its_topic_and_the_page_follows(results, monkeypatch):
    cells = {"meaning": "found", "topic": "one", "section": "A (b, c's)"}
    figure = Figure(**cells, row=("test", "alignment"), column="MAP")
    monkeypatch.setattr(summary, "FOUND", [figure])
    report.write_section("two", "Other", "command", "text")
    assert "| found | not measured |" in (results / "README.md").read_text()
    report.write_section("one", "A (b, c's)", "command", SECTION)
    page = (results / "README.md").read_text()
    assert "| found | 0.5 | [A (b, c's)](one.md#a-b-cs) |" in page
    assert "| [Second](two.md) | [Other](two.md#other) | 20" in page
    report.write_section("one", "A (b, c's)", "command", SECTION.replace("0.5", "0.6"))
    assert "| found | 0.6 |" in (results / "README.md").read_text()
    assert (results / "one.md").read_text().count("## A") == 1


def test_a_figure_is_looked_for_below_a_text(results):
    report.write_section("one", "A", "command", SECTION)
    below = Figure("", "one", "A", ("test",), "MAP", "below this")
    assert summary.find(below) == "0.7"
    with pytest.raises(ValueError, match=r"one\.md, A: no row train"):
        summary.find(Figure("", "one", "A", ("train",), "MAP"))


def test_all_sections_go_to_the_file_that_the_environment_names(
    results, tmp_path, monkeypatch
):
    monkeypatch.setenv("BYTECOVER_REPORT", str(tmp_path / "all" / "report.md"))
    (tmp_path / "all").mkdir()
    report.write_section("one", "A", "command", "text")
    report.write_section("two", "B", "command", "text")
    text = (tmp_path / "all" / "report.md").read_text()
    assert text.startswith("# Results\n")
    assert [*map(text.count, ("## A", "## B"))] == [1, 1]
    assert (results / "one.md").read_text() == "# Title\n"
    with pytest.raises(ValueError, match="topic: expected one of one, two"):
        report.write_section("three", "C", "command", "text")


def test_a_command_names_what_is_not_the_default():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path("runs"))
    parser.add_argument("--encoder", nargs="*", default=["a"])
    parser.add_argument("--works", type=int, default=24)
    parser.add_argument("--tried", action="store_true")
    parser.add_argument("--cache", type=Path)

    def command(*arguments):
        options = parser.parse_args(["--source", "/music", *arguments])
        return report.command_of("room.name", parser, options, ["cache"])

    assert command() == "python -m benchmarks.room.name --source SOURCE"
    given = ["--encoder", "a", "b", "--works", "3", "--tried", "--cache", "/tmp"]
    assert command("--work-dir", "there", *given) == (
        "python -m benchmarks.room.name --source SOURCE --work-dir WORK_DIR "
        "--encoder a b --works 3 --tried"
    )
