import importlib
import sys

import pytest

from benchmarks import __main__ as runner
from benchmarks.common.summary import RESULTS


@pytest.fixture
def benchmarks(monkeypatch):
    """Stand-ins: one writes a section, one fails."""
    section = "write_section('search', 'Good', 'c', 'text')"
    programs = {
        "good": f"from benchmarks.common.report import write_section; {section}",
        "bad": "raise SystemExit(3)",
        "rich": "",
    }
    quick = {"good": [], "bad": [], "long": None, "rich": []}
    monkeypatch.setattr(runner, "QUICK", quick)
    monkeypatch.setattr(runner, "FULL", {"rich": None})
    started = runner.subprocess.run

    def run(command, **options):
        name = command[2].removeprefix("benchmarks.")
        return started([sys.executable, "-c", programs[name]], **options)

    monkeypatch.setattr(runner.subprocess, "run", run)


def test_one_failure_does_not_stop_the_rest(benchmarks, tmp_path, capsys):
    report = tmp_path / "report.md"
    status = runner.main(["--only", "bad", "good", "--report", str(report)])
    assert status == 1
    assert "## Good" in report.read_text()
    assert "failed: bad" in capsys.readouterr().err
    assert runner.main(["--only", "good", "--report", str(report)]) == 0
    assert runner.main(["--only", "bad", "--report", str(report)]) == 2


def contents():
    return {path: path.read_bytes() for path in RESULTS.rglob("*") if path.is_file()}


def test_quick_leaves_the_results_alone(benchmarks, capsys):
    before = contents()
    assert runner.main(["--quick"]) == 1
    assert "## Good" in capsys.readouterr().out
    assert contents() == before


def test_list(benchmarks, capsys):
    assert runner.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == ["good", "bad", "long"]
    assert runner.main(["--list", "--quick"]) == 0
    assert capsys.readouterr().out.split() == ["good", "bad", "rich"]


@pytest.mark.parametrize(
    "arguments",
    [["--only", "none"], ["--quick", "--only", "long"], ["--only", "good", "rich"]],
)
def test_wrong_usage_is_refused(benchmarks, arguments):
    with pytest.raises(SystemExit, match="2"):
        runner.main(arguments)


@pytest.mark.parametrize("name", runner.QUICK)
def test_every_benchmark_is_there(name):
    assert importlib.util.find_spec(f"benchmarks.{name}")
