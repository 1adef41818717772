import numpy as np
import pytest

from benchmarks.speed import growth
from bytecover_tf.audio.decoding import load_audio


def test_exponent_is_that_between_the_largest_sizes():
    sizes = [1, 10, 100, 1000]
    values = [5 + 3 * size**2 for size in sizes[:2]] + [3e4, 3e6]
    assert growth.exponent(sizes, values) == pytest.approx(2)
    assert np.isnan(growth.exponent([10], [1.0]))


@pytest.mark.parametrize("task", ["training epoch", "evaluation", "indexing", "query"])
def test_tasks_return_seconds(task, tmp_path):
    if task in ("indexing", "query"):
        pytest.importorskip("lancedb")
    assert growth.TASKS[task].run(12, tmp_path) > 0


def test_files_of_music_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "SECONDS", 3)
    one, other = map(load_audio, growth.write_music(2, tmp_path))
    assert len(one) == len(other) == 3 * 22050
    assert np.abs(one - other).max() > 0.01


def test_plot_is_written(tmp_path):
    curve = growth.Curve([10, 100], [1.0, 10.0], [10**8, 10**8])
    assert curve.exponents == (pytest.approx(1), pytest.approx(0))
    growth.plot({"a": curve}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
