import numpy as np
import pytest

from benchmarks.speed import indexing


def test_the_least_of_each_stage_counts_in_turns(monkeypatch):
    turns = []
    clock = iter([0, 9, 9, 11, 20, 23, 30, 31, 40, 44, 50, 56])  # before and after
    monkeypatch.setattr(indexing, "_processor", lambda: next(clock))
    stages = {name: lambda name=name: turns.append(name) for name in ("a", "b")}
    assert indexing.least_seconds(stages, 3) == {"a": 3, "b": 1}
    assert turns == ["a", "b"] * 3


def test_stages_add_up():
    spent = {"12 bins": 2.0, "both": 5.0, "every": 9.0, "hear": 4.0, "chroma": 5.0}
    for suffix in indexing.FORMATS:
        spent |= {f"{suffix} ffmpeg": 4.0, f"{suffix} decoding": 2.0}
        spent |= {f"{suffix} all": 14.0, f"{suffix} unheard": 4.0}
    rows = {name: rest for name, *rest in indexing.stage_rows(spent)}
    assert rows["transform for hearing, 36 bins, estimated"] == ["3.000", "0.75"]
    assert rows["chroma"] == ["1.000", "0.25"]
    parts = list(rows.values())[1:6]
    assert sum(float(seconds) for seconds, _ in parts) == 12
    assert indexing.format_rows(spent)[0] == [
        *("mp3", "4.000", "2.000", "14.000", "0.50", "3.50")
    ]


def test_the_difference_is_that_of_the_means(monkeypatch):
    means = np.full((252, 4), 2.0, np.float32)
    means[:36] = 1e-9  # not heard
    monkeypatch.setattr(indexing, "estimated_means", lambda *_: means * 1.01)
    monkeypatch.setattr(indexing, "magnitudes", lambda *_: np.repeat(means, 5, axis=1))
    rows = indexing.error_rows(np.zeros(9, np.float32))
    assert rows[0] == ["33 Hz", "-", "1.00%"]
    assert rows[1] == ["65 Hz", "1.00%", "1.00%"]
    assert len(rows) == 7


@pytest.mark.parametrize("suffix", ["mp3", "flac"])
def test_every_stage_runs(suffix, tmp_path, music):
    import soundfile

    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, music(6), 22050)
    stages = indexing.stages_of_files({suffix: path})
    del stages[f"{suffix} ffmpeg"]  # which need not be installed
    stages |= indexing.stages_of_samples(music(6))
    assert all(seconds >= 0 for seconds in indexing.least_seconds(stages, 1).values())
