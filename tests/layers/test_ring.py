import numpy as np
import pytest

from bytecover_tf.layers.ring import fold_octaves, pad_ring
from bytecover_tf.models.resnet_ibn import Bottleneck, ResNetIBN


def randomised(layer, shape, rng):
    layer.build(shape)
    for variable in layer.variables:
        noise = 0.1 * rng.standard_normal(variable.shape)
        variable.assign(np.asarray(variable) + noise)
    return layer


def test_octaves_are_laid_upon_each_other(rng):
    x = rng.random((2, 84, 5, 3)).astype(np.float32)
    expected = np.stack([x[:, k::12].max(axis=1) for k in range(12)], axis=1)
    np.testing.assert_array_equal(fold_octaves(x), expected)


def test_bins_that_are_no_octaves_are_refused():
    with pytest.raises(ValueError, match="whole octaves"):
        fold_octaves(np.zeros((1, 80, 5, 1), np.float32))


def test_a_ring_goes_on_at_its_ends(rng):
    x = rng.random((2, 12, 5, 3)).astype(np.float32)
    expected = np.take(x, np.arange(-4, 16) % 12, axis=1)
    expected = np.pad(expected, [(0, 0), (0, 0), (2, 2), (0, 0)])
    np.testing.assert_array_equal(pad_ring(x, 4, 2), expected)
    np.testing.assert_array_equal(pad_ring(x, 0, 0), x)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_bottleneck_on_a_ring_is_one_on_an_endless_band(stride, rng):
    """On twelve octaves of the same classes the band's edges are far away."""
    x = rng.random((2, 12, 9, 8)).astype(np.float32)
    ring = randomised(Bottleneck(4, stride, ibn=False, ring=True), x.shape, rng)
    flat = Bottleneck(4, ibn=False)
    band = np.tile(x, (1, 3, 1, 1))
    if stride == 1:
        flat.build(band.shape)
        # 8 channels come in and 16 leave: both have a shortcut of 1 x 1.
        for mine, theirs in zip(ring.variables, flat.variables, strict=True):
            theirs.assign(mine)
        expected = np.asarray(flat(band))[:, 12:24]
        np.testing.assert_allclose(ring(x), expected, atol=1e-5)
    assert ring(x).shape == ring.compute_output_shape(x.shape)
    assert ring(x).shape == (2, 12, -(-9 // stride), 16)


@pytest.mark.parametrize("frames", [1, 16, 33])
def test_a_map_turns_with_its_input(frames, rng):
    x = rng.random((2, 12, frames, 2)).astype(np.float32)
    backbone = ResNetIBN((1, 2, 1, 1), width=4, ring=True)
    backbone = randomised(backbone, x.shape, rng)
    expected = np.asarray(backbone(x))
    assert expected.shape == backbone.compute_output_shape(x.shape)
    assert expected.shape == (2, 12, -(-frames // 16), 128)
    turned = np.asarray(backbone(np.roll(x, 5, axis=1)))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(turned, np.roll(expected, 5, axis=1), atol=1e-5 * scale)
    assert np.abs(turned - expected).max() > 0.1 * scale


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_strided_bottleneck_is_right_in_half_precision(ring, frames, rng):
    """One frame that comes out, too."""
    x = rng.normal(size=(12, 12, frames, 64)).astype(np.float32)
    exact = randomised(Bottleneck(16, 2, ibn=False, ring=ring), x.shape, rng)
    brief = Bottleneck(16, 2, ibn=False, ring=ring, dtype="mixed_bfloat16")
    brief.build(x.shape)
    brief.set_weights(exact.get_weights())
    expected = np.asarray(exact(x))
    found = np.asarray(brief(x), np.float32)
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())
