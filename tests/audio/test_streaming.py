import tracemalloc
from dataclasses import replace

import librosa
import numpy as np
import pytest

from bytecover_tf.audio import streaming
from bytecover_tf.audio.constant_q import Transform
from bytecover_tf.audio.streaming import Average, StreamedTransform, mean_blocks

FINE = Transform(n_bins=252, bins_per_octave=36)


def streamed(samples, averages, blocks):
    stream = StreamedTransform(*averages)
    for block in np.array_split(samples, blocks):
        stream.add(block)
    return stream.finish()


def reference(samples, transform, size):
    """Averages of librosa's transform, block by block."""
    cqt = librosa.cqt(
        samples,
        sr=22050,
        hop_length=512,
        fmin=transform.fmin,
        n_bins=transform.n_bins,
        bins_per_octave=transform.bins_per_octave,
    )
    columns = [
        np.abs(cqt[:, start : start + size]).mean(axis=1)
        for start in range(0, cqt.shape[1] - size + 1, size)
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("transform", [Transform(), FINE])
@pytest.mark.parametrize("chunk", [4000, 333])
def test_averages_equal_those_of_one_piece(transform, chunk, music, monkeypatch):
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", chunk)
    samples = music(25)
    averages = [Average(transform, size) for size in (20, 7, 1)]
    found = streamed(samples, averages, 13)
    frames = 1 + len(samples) // 512
    for average, means in zip(averages, found, strict=True):
        assert means.dtype == np.float32
        assert means.shape == (transform.n_bins, frames // average.size)
        expected = reference(samples, transform, average.size)
        np.testing.assert_allclose(means, expected, atol=1e-4 * expected.max())


@pytest.mark.parametrize("chunk", [4000, 333])
def test_several_transforms_follow_one_pass(chunk, music, monkeypatch):
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", chunk)
    samples = music(25)
    averages = [
        Average(Transform(), 20),
        Average(Transform(hop_length=1024, n_bins=72), 7),
        Average(FINE, 5, estimated=True),
    ]
    together = streamed(samples, averages, 13)
    for average, means in zip(averages, together, strict=True):
        (alone,) = streamed(samples, [average], 13)
        np.testing.assert_allclose(means, alone, atol=1e-5 * alone.max())


@pytest.mark.parametrize("chunk", [4000, 200])
def test_the_blocks_make_no_difference(chunk, music, monkeypatch):
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", chunk)
    samples = music(10)
    averages = [Average(Transform(), 5), Average(FINE, 5, estimated=True)]
    once = streamed(samples, averages, 1)
    for blocks in (3, 200):
        for found, expected in zip(
            streamed(samples, averages, blocks), once, strict=True
        ):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("hop", "estimated", "chunk"),
    [
        *[(512, False, 150), (512, True, 150), (256, False, 150), (64, False, 1200)],
        # Less than what surrounds it.
        *[(64, False, 150), (512, False, 20)],
    ],
)
def test_chunks_join_without_a_seam(hop, estimated, chunk, music, monkeypatch):
    samples = music(8)
    average = Average(replace(FINE, hop_length=hop), 5, estimated)
    (whole,) = streamed(samples, [average], 9)
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", chunk)
    (chunked,) = streamed(samples, [average], 9)
    np.testing.assert_allclose(chunked, whole, atol=1e-5 * whole.max())


def test_what_was_taken_stays_and_is_not_given_out_again(music, monkeypatch):
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", 50)
    samples = music(25)
    averages = [Average(Transform(), 5), Average(FINE, 5, estimated=True)]
    whole = streamed(samples, averages, 30)
    stream = StreamedTransform(*averages)
    taken = []
    for some in np.array_split(samples, 30):
        stream.add(some)
        taken.append(stream.take())
    taken.append(stream.finish())
    for parts, expected in zip(zip(*taken, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)


def test_memory_holds_averages_once(monkeypatch):
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", 500)
    ones = np.ones((84, 1), np.float32)
    monkeypatch.setattr(
        streaming,
        "magnitudes",
        lambda signal, transform: ones.repeat(1 + len(signal) // 512, axis=1),
    )
    samples = np.zeros(512 * 1000, np.float32)
    stream = StreamedTransform(Average(Transform(), 1))
    tracemalloc.start()
    try:
        for _ in range(100):
            stream.add(samples)
        (means,) = stream.finish()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert means.shape == (84, 100_001)
    assert peak < 1.5 * means.nbytes


def test_no_more_is_held_than_a_chunk_and_its_surroundings(rng, monkeypatch):
    monkeypatch.setattr(streaming, "_CHUNK_FRAMES", 100)
    lengths = []

    def noted(signal, transform):
        lengths.append(len(signal))
        return np.zeros((transform.n_bins, 1 + len(signal) // 512), np.float32)

    monkeypatch.setattr(streaming, "magnitudes", noted)
    samples = np.zeros(512 * 3000, np.float32)
    (found,) = streamed(samples, [Average(Transform(), 20)], 300)
    assert found.shape == (84, 150)
    assert max(lengths) <= (100 + 2 * 64) * 512


def test_blocks_are_averaged_and_a_tail_dropped(rng):
    frames = rng.random((3, 11)).astype(np.float32)
    expected = [[row[4 * k : 4 * k + 4].mean() for k in range(2)] for row in frames]
    np.testing.assert_allclose(mean_blocks(frames, 4), expected, rtol=1e-6)
    assert mean_blocks(frames, 12).shape == (3, 0)
