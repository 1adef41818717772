import shutil
import sys

import pytest

from benchmarks.common.processes import Measured, run_command
from benchmarks.common.staged import STAGES, noted, segments
from benchmarks.speed import large_catalogue
from benchmarks.speed.growth import write_music


def test_the_stages_of_a_process_add_up():
    spans = [
        *(("open", 2.0, 2.0), ("decode and hear", 5.0, 9.0), ("embed", 9.5, 10.0)),
        *(("search", 10.0, 10.25), ("read chroma", 10.25, 10.5), ("align", 11.0, 13.0)),
        ("end", 14.0, 14.0),
    ]
    found = segments(spans, 1.0, 16.0)
    assert tuple(found) == STAGES
    # What lies between the stages counts as printing: 0.5 + 0.5 + 1.
    assert [*found.values()] == [1.0, 3.0, 4.0, 0.5, 0.25, 0.25, 2.0, 2.0, 2.0]


def test_a_noted_function_does_what_it_did():
    spans = []
    assert noted("max", max, spans)(3, 5, key=lambda value: -value) == 3
    with pytest.raises(ValueError, match="empty"):
        noted("max", max, spans)([])
    assert [name for name, begin, end in spans if begin <= end] == ["max", "max"]


def test_a_command_is_measured():
    code = "x = bytes(300_000_000); print('done')"
    ran = run_command([sys.executable, "-c", code])
    assert ran.output == "done\n"
    assert ran.peak > 300_000_000
    assert ran.seconds > 0
    with pytest.raises(RuntimeError, match="exit status 3"):
        run_command([sys.executable, "-c", "raise SystemExit(3)"])


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize(
    "needed",
    ["lancedb", pytest.param("milvus", marks=pytest.mark.milvus)],
)
def test_a_small_catalogue_is_measured(tmp_path, monkeypatch, needed):
    pytest.importorskip(needed)
    music, report = tmp_path / "music", tmp_path / "report.md"
    music.mkdir()
    write_music(2, music)
    monkeypatch.setenv("BYTECOVER_REPORT", str(report))
    monkeypatch.setattr(large_catalogue, "ASKED", 1)
    monkeypatch.setattr(large_catalogue, "SOURCES", 1)
    monkeypatch.setattr(large_catalogue, "ADDED", 20)
    monkeypatch.setattr(large_catalogue, "QUERY_SECONDS", 30.0)
    # In this process, as others would import everything anew.
    monkeypatch.setattr(
        large_catalogue, "measured", lambda do, *given: Measured(do(*given), 1)
    )
    sizes = []
    measure = large_catalogue.measure

    def kept(*arguments):
        for size in measure(*arguments):
            sizes.append(size)
            yield size

    monkeypatch.setattr(large_catalogue, "measure", kept)
    large_catalogue.main(
        [
            *("--music", str(music), "--sizes", "40", "--runs", "1"),
            *("--encoder", "bytecover-small", "--seconds", "60", "--compared", "2"),
            *("--work-dir", str(tmp_path)),
            *(["--milvus"] if needed == "milvus" else []),
        ]
    )
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["music"]
    assert [size.found for size in sizes] == [1]
    for size in sizes:
        assert min(size.stages[0].values()) > 0
        assert size.disk > size.rows * 60 / 240 * 15_000
        assert size.added["written"] > 20 * 60 / 240 * 15_000
        assert size.compared["compare"] > 0
        assert (size.server is not None) == (needed == "milvus")
    text = report.read_text()
    assert "| 40 |" in text
    assert "1 of 1" in text
