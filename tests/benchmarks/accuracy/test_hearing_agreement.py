import numpy as np
import pytest

from benchmarks.accuracy.hearing import agreement
from bytecover_tf.stores.labelled_store import LabelledFeatures

FRAMES = 64


class Parrot:
    """Hears the labels, or something else."""

    def __init__(self, labels, noise=0.0):
        rng = np.random.default_rng(1)
        pairs = labels[:, 3:87].reshape(2, 84, -1, 2).mean(axis=3) / 255
        heard = (1 - noise) * pairs + noise * rng.random(pairs.shape)
        self.heard = np.concatenate([heard, heard[:1]])

    def hear(self, magnitudes):
        return self.heard


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    notes, onsets = rng.integers(0, 256, (2, 88, FRAMES), dtype=np.uint8)
    codes = [rng.integers(1, 256, (bins, FRAMES), dtype=np.uint8) for bins in (84, 252)]
    return LabelledFeatures(*codes, np.ones((2, 2), np.float32), notes, onsets, None)


def test_labels_agree_with_themselves_and_noise_agrees_less(features):
    labels = np.stack([features.notes, features.onsets])
    assert agreement(Parrot(labels), features) == pytest.approx((1, 1))
    noisy = agreement(Parrot(labels, 0.5), features)
    assert min(noisy) > 0.2
    assert max(noisy) < 0.95
    assert max(map(abs, agreement(Parrot(labels, 1.0), features))) < 0.1
