"""The transform in the graph against librosa's, and the estimate of its means."""

import keras
import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import ConfigError
from bytecover_tf.layers import CQT

RATE = 22050
SHORTEST = Frontend().min_samples
ESTIMATED = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)


@pytest.fixture(scope="module")
def layer():
    return CQT(Frontend())


@pytest.fixture(scope="module")
def traced(layer):
    return trace(layer)


def trace(layer):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("traces with TensorFlow")
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None), tf.float32, name="waveform")]
    return tf.function(lambda waveform: layer(waveform), input_signature=signature)


def check(result, frontend, samples):
    """Median error under 1e-4, the worst under 1e-3 down to 60 dB below the peak.

    Bins below that are leakage of the filters, of which only the size must agree.
    """
    expected = frontend.features(samples)
    result = np.asarray(result)[..., 0]
    assert result.shape == expected.shape
    heard = expected > 1e-3 * expected.max()
    error = np.abs(result - expected)
    relative = error[heard] / expected[heard]
    assert np.median(relative) < 1e-4
    assert relative.max() < 1e-3
    assert error.max() < 1e-4 * expected.max()


def signal(kind, count=10 * RATE + 137):
    rng = np.random.default_rng(3)
    t = np.arange(count) / RATE
    if kind == "tones":
        samples = sum(np.sin(2 * np.pi * f * t) for f in (33, 110, 439, 1990, 3900))
    elif kind == "chirp":
        samples = np.sin(2 * np.pi * 20 / np.log(1.7) * (1.7**t - 1))
    elif kind == "noise":
        samples = rng.normal(size=count)
    elif kind == "rumble":
        samples = np.cumsum(rng.normal(size=count)) / 100
    elif kind == "impulses":
        samples = np.zeros(count)
        samples[::7919] = 1
    return (0.2 * samples).astype(np.float32)


@pytest.mark.parametrize("kind", ["tones", "chirp", "noise", "rumble", "impulses"])
def test_signals_match_librosa(layer, kind):
    samples = signal(kind)
    check(layer(samples[np.newaxis])[0], Frontend(), samples)


def test_music_matches_librosa(layer, music):
    samples = music(30)
    check(layer(samples[np.newaxis])[0], Frontend(), samples)


@pytest.mark.parametrize(
    "count", [SHORTEST, SHORTEST + 1, SHORTEST + 63, 2 * SHORTEST + 512, 123_457]
)
def test_ends_match_librosa(layer, count):
    samples = signal("noise", count)
    check(layer(samples[np.newaxis])[0], Frontend(), samples)


def test_long_recordings_of_odd_length(traced):
    # TensorFlow's convolution wanted 8 GB for each such operation.
    samples = signal("noise", 5_655_825)
    check(traced(samples[np.newaxis])[0], Frontend(), samples)


@pytest.mark.parametrize(
    "changes",
    [
        {"pool": 20},
        {"hop_length": 256},
        {"hop_length": 320, "sample_rate": 16000},
        {"n_bins": 80},
        {"n_bins": 60},  # librosa decimates by 4 before the first octave
        {"n_bins": 96},
        {"n_bins": 168, "bins_per_octave": 24},
        {"n_bins": 12, "fmin": 440.0, "hop_length": 441},
        {"n_bins": 1, "fmin": 440.0, "window": "hamming"},
        {"normalization": "none"},
        {"pool": 20, "estimated": True},
        {"n_bins": 96, "pool": 3, "hop_length": 384, "estimated": True},
    ],
)
def test_other_frontends_match(changes, music):
    frontend = Frontend(**changes)
    samples = music(7, sample_rate=frontend.sample_rate)
    layer = CQT(frontend)
    result = layer(samples[np.newaxis])
    assert result.shape == layer.compute_output_shape((1, len(samples)))
    check(result[0], frontend, samples)


def test_each_recording_is_divided_by_its_own_maximum(layer, music):
    samples = music(6)
    batch = np.stack([samples, 1e-3 * samples, samples[::-1]])
    result = np.asarray(layer(batch))
    np.testing.assert_allclose(result.max(axis=(1, 2, 3)), 1)
    np.testing.assert_allclose(result[1], result[0], atol=1e-6)
    assert np.abs(result[2] - result[0]).max() > 0.1


def test_one_trace_takes_any_length_and_batch(traced, music):
    for seconds, batch in [(3, 2), (11.3, 1), (5, 3)]:
        rows = np.stack([music(seconds, seed) for seed in range(batch)])
        for row, result in zip(rows, traced(rows), strict=True):
            check(result, Frontend(), row)
    assert traced.experimental_get_tracing_count() == 1


def test_what_the_frontend_refuses(layer, traced, music):
    assert layer(music(6)[np.newaxis, : SHORTEST - 1]).shape == (1, 84, 0, 1)
    batch = np.stack([music(6)] * 5)
    expected = np.asarray(layer(batch[:1]))[0]
    batch[1] = 0
    batch[2, 70_000] = np.nan
    batch[3] *= 1e25  # its power overflows
    batch[4, -1] = np.inf  # in the dropped tail
    for normalization in ("max", "none"):
        result = np.asarray(CQT(Frontend(normalization=normalization))(batch))
        assert np.isfinite(result[[0, 4]]).all()
        assert np.isnan(result[1:4]).all()
    result = np.asarray(traced(batch))
    np.testing.assert_allclose(result[0], expected, atol=1e-6)
    assert np.isnan(result[1:4]).all()
    with pytest.raises(ValueError, match="Received"):
        CQT(Frontend())(batch[..., np.newaxis])
    with pytest.raises(ConfigError, match="half the sample rate"):
        CQT(Frontend(n_bins=100, fmin=36.0))


def in_onnx(traced):
    """Return a session of ONNX Runtime."""
    tf2onnx = pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, _ = tf2onnx.convert.from_function(
        traced, input_signature=traced.input_signature, opset=17
    )
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def test_onnx_estimates_the_same_at_any_length(music):
    layer = CQT(ESTIMATED)
    session = in_onnx(trace(layer))
    samples = music(7)
    for count in (2048, 5462, 15702, 128342):
        part = samples[np.newaxis, :count]
        check(layer(part)[0], ESTIMATED, part[0])
        (result,) = session.run(None, {"waveform": part})
        check(result[0], ESTIMATED, part[0])


def test_onnx_gives_the_same_at_other_lengths(traced, music):
    session = in_onnx(traced)
    for seconds, batch in [(2.4, 1), (10.7, 3)]:
        rows = np.stack([music(seconds, seed) for seed in range(batch)])
        (result,) = session.run(None, {"waveform": rows})
        for row, features in zip(rows, result, strict=True):
            check(features, Frontend(), row)
    rows[0] = 0
    rows[1, 5000] = np.nan
    (result,) = session.run(None, {"waveform": rows})
    assert np.isnan(result[:2]).all()
    assert np.isfinite(result[2]).all()
    (result,) = session.run(None, {"waveform": rows[:, : SHORTEST - 1]})
    assert result.shape == (3, 84, 0, 1)
