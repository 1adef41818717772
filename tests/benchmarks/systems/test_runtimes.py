import numpy as np
import pytest

from benchmarks.systems import runtimes
from bytecover_tf.encoders.model_file import encoder_file

RIGHT = np.array([[0.6, 0.8]], np.float32)


def load(path, source, node):
    """A runtime that is right but for 4 minutes, where it is off by a tenth."""

    def run(batch):
        if batch.shape[-1] < 5:
            raise ValueError("too short")
        level = np.abs(batch).mean()
        off = np.float32(0.1 if batch.shape[-1] > 50 else 0)
        return np.where(level > 0, RIGHT + np.array([off, 0]), np.nan)

    return run


@pytest.fixture
def inputs(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"shortest waveform": 5, "expected 30 s": RIGHT, "expected 4 min": RIGHT}
    for name, length in (("30 s", 30), ("4 min", 240)):
        arrays[f"waveform {name}"] = rng.random((1, length)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", **arrays)
    return tmp_path / "inputs.npz"


def test_the_largest_difference_of_both_lengths_counts(inputs):
    found = runtimes.measure(load, inputs, "waveform", inputs, None, 2)
    assert found["difference"] == pytest.approx(0.1)
    assert found["cosine"] == 1
    assert (found["silence"], found["NaN"], found["too short"]) == (
        *("NaN", "NaN", "error"),
    )
    assert found["30 s"] > 0
    assert found["4 min"] > 0


def test_a_slow_runtime_is_spared_the_longer_recording(inputs, monkeypatch):
    monkeypatch.setattr(runtimes, "MOST_MILLISECONDS", 0)
    found = runtimes.measure(load, inputs, "waveform", inputs, None, 1)
    assert np.isnan(found["4 min"])
    assert found["difference"] == 0
    assert runtimes._milliseconds(found["4 min"]) == "-"


def test_numbers_for_silence_are_told(inputs):
    def constant(path, source, node):
        return lambda batch: RIGHT

    found = runtimes.measure(constant, inputs, "waveform", inputs, None, 1)
    assert {found[name] for name in ("silence", "NaN", "too short")} == {"numbers"}


def test_a_model_is_as_large_as_all_its_files():
    path = encoder_file("bytecover-small")
    kernels = path.with_name("encoder_features.onnx")
    both = path.stat().st_size + kernels.stat().st_size
    assert runtimes.megabytes(path) == both / 1e6
    assert runtimes.megabytes(kernels) == kernels.stat().st_size / 1e6
