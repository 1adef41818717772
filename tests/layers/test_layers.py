"""What every layer of the package must do, and the numbers of each."""

import keras
import numpy as np
import pytest

from bytecover_tf.layers import IBN, BNNeck, GeM
from bytecover_tf.layers.octaves import Octaves
from bytecover_tf.layers.power import Power
from bytecover_tf.layers.salience import HARMONICS, Salience, stack_harmonics

MAP_SHAPE = (3, 5, 7, 6)


@pytest.fixture
def maps(rng):
    return rng.normal(2.0, 3.0, MAP_SHAPE).astype(np.float32)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (IBN, (4, 8)),
        (IBN, (1, 2, 3, 1)),
        (GeM, (4, 8)),
        (BNNeck, MAP_SHAPE),
        (Salience, MAP_SHAPE),
    ],
)
def test_wrong_input_shape_is_refused(layer, shape):
    with pytest.raises(ValueError, match="Received"):
        layer().build(shape)


def test_power_is_that_of_each_value(maps):
    found = Power(3.0)(np.abs(maps))
    np.testing.assert_allclose(found, np.abs(maps) ** 3, rtol=1e-5)
    with pytest.raises(ValueError, match="exponent=0"):
        Power(0)


def test_octaves_keep_the_largest_of_each_pitch_class(rng):
    inputs = rng.random((2, 84, 7, 3)).astype(np.float32)
    expected = inputs.reshape(2, 7, 12, 7, 3).max(axis=1)
    np.testing.assert_array_equal(Octaves()(inputs), expected)
    with pytest.raises(ValueError, match="whole octaves"):
        Octaves()(inputs[:, :80])


@pytest.mark.parametrize("fraction", [0, 1, -0.5])
def test_ibn_refuses_impossible_fractions(fraction):
    with pytest.raises(ValueError, match="instance_fraction"):
        IBN(instance_fraction=fraction)


def test_ibn_normalises_one_half_per_instance_and_the_other_per_batch(maps):
    result = np.asarray(IBN()(maps, training=True))
    for channel in range(6):
        if channel < 3:
            groups = [
                (maps[i, ..., channel], result[i, ..., channel]) for i in range(3)
            ]
        else:
            groups = [(maps[..., channel], result[..., channel])]
        for before, after in groups:
            expected = (before - before.mean()) / np.sqrt(before.var() + 1e-5)
            np.testing.assert_allclose(after, expected, atol=1e-4)


def test_ibn_at_inference_uses_moving_statistics_for_one_half_only(maps):
    layer = IBN()
    result = np.asarray(layer(maps, training=False))
    # New moving statistics are mean 0 and variance 1.
    np.testing.assert_allclose(result[..., 3:], maps[..., 3:], rtol=1e-4)
    first = maps[0, ..., 0]
    expected = (first - first.mean()) / np.sqrt(first.var() + 1e-5)
    np.testing.assert_allclose(result[0, ..., 0], expected, atol=1e-4)


def test_ibn_instance_half_ignores_gain_and_offset_of_a_recording(maps):
    layer = IBN()
    plain = np.asarray(layer(maps))[..., :3]
    changed = np.asarray(layer(10 * maps + 3))[..., :3]
    np.testing.assert_allclose(changed, plain, atol=1e-3)


def test_ibn_has_gamma_and_beta_for_all_channels(maps):
    layer = IBN()
    layer(maps)
    assert sum(int(np.prod(w.shape)) for w in layer.trainable_weights) == 2 * 6


def test_gem_by_hand():
    maps = np.zeros((1, 1, 3, 2), np.float32)
    maps[0, 0, :, 0] = [1, 2, 3]
    maps[0, 0, :, 1] = [0, 0, -5]  # below epsilon
    result = np.asarray(GeM(p=3.0)(maps))
    np.testing.assert_allclose(
        result, [[((1 + 8 + 27) / 3) ** (1 / 3), 1e-6]], rtol=1e-5
    )


@pytest.mark.parametrize(("p", "expected"), [(1.0, 2.0), (200.0, 3.0)])
def test_gem_runs_from_average_to_maximum(p, expected):
    maps = np.array([1, 2, 3], np.float32).reshape(1, 1, 3, 1) / 3
    assert float(GeM(p=p)(maps)[0, 0]) * 3 == pytest.approx(expected, rel=0.01)


def test_gem_keeps_its_precision_under_mixed_float16():
    maps = np.full((1, 2, 2, 1), 100.0, np.float16)  # 100 ** 3 overflows float16
    layer = GeM(dtype="mixed_float16")
    result = layer(maps)
    assert keras.backend.standardize_dtype(result.dtype) == "float16"
    assert float(result[0, 0]) == pytest.approx(100, rel=1e-3)
    assert keras.backend.standardize_dtype(layer.p.dtype) == "float32"


def test_gem_refuses_an_exponent_that_is_not_positive():
    with pytest.raises(ValueError, match="p=0"):
        GeM(p=0)


def test_bnneck_normalises_without_a_shift(rng):
    f_t = rng.normal(5.0, 2.0, (64, 4)).astype(np.float32)
    layer = BNNeck()
    f_c = np.asarray(layer(f_t, training=True))
    expected = (f_t - f_t.mean(0)) / np.sqrt(f_t.var(0) + 1e-5)
    np.testing.assert_allclose(f_c, expected, atol=1e-4)
    assert [w.path.split("/")[-1] for w in layer.trainable_weights] == ["gamma"]


@pytest.mark.parametrize("layer", [IBN, GeM])
def test_layers_pass_gradients(layer, maps):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    training = {"training": True} if layer is IBN else {}
    layer = layer()
    x = tf.constant(maps)
    layer(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x, **training) ** 3)
    for gradient in tape.gradient(loss, [x, *layer.trainable_weights]):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def test_harmonics_are_stacked_upon_their_note(rng):
    inputs = rng.random((2, 84, 3)).astype(np.float32)
    stacked = np.asarray(stack_harmonics(inputs))
    assert stacked.shape == (2, 84, 3, len(HARMONICS))
    for channel, shift in enumerate(HARMONICS):
        for k in range(84):
            inside = 0 <= k + shift < 84
            expected = inputs[:, k + shift] if inside else 0.0
            np.testing.assert_array_equal(stacked[:, k, :, channel], expected)


def test_salience_without_hidden_layers_weighs_harmonics(rng):
    layer = Salience(filters=8, kernels=())
    inputs = rng.random((2, 84, 3, 1)).astype(np.float32)
    layer.build(inputs.shape)
    kernel, bias = rng.normal(size=(1, 1, 8, 2)), rng.normal(size=2)
    layer.output_conv.set_weights([kernel, bias])
    expected = np.asarray(stack_harmonics(inputs[..., 0])) @ kernel[0, 0] + bias
    np.testing.assert_allclose(layer(inputs, logits=True), expected, rtol=1e-4)
    np.testing.assert_allclose(layer(inputs), 1 / (1 + np.exp(-expected)), rtol=1e-4)


def test_salience_against_convolutions_by_hand(rng):
    kernels = ((3, 3), (5, 1), (1, 5))
    layer = Salience(filters=4, kernels=kernels)
    inputs = rng.random((2, 84, 20, 1)).astype(np.float32)
    layer.build(inputs.shape)
    for variable in layer.variables:
        scale = 0.3 if "kernel" in variable.path else 1.0
        variable.assign(scale * rng.normal(size=variable.shape))
    for norm in layer.norms:
        norm.moving_variance.assign(rng.uniform(0.2, 1.0, 4))

    x = np.asarray(stack_harmonics(inputs[..., 0]))
    for i, (convolution, norm) in enumerate(
        zip(layer.convolutions, layer.norms, strict=True)
    ):
        kernel = np.asarray(convolution.kernel)
        height, width = kernels[i]
        y = np.zeros((*x.shape[:3], 4))
        for down in range(height):
            for along in range(width):
                at = (down - height // 2, along - width // 2)
                y += moved(x, *at) @ kernel[down, along]
        gamma, beta, mean, variance = map(np.asarray, norm.get_weights())
        y = np.maximum((y - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta, 0)
        if i == 0:
            means = y.mean(axis=(1, 2))
            hidden = np.maximum(dense(means, layer.squeeze), 0)
            gains = 2 / (1 + np.exp(-dense(hidden, layer.excite)))
            assert 0.1 < gains.min() < gains.max() - 0.2 < 1.7
            assert np.ptp(gains, axis=0).max() > 1e-3
            x = y * gains[:, None, None]
        else:
            x = x + y
    kernel, bias = map(np.asarray, layer.output_conv.get_weights())
    expected = x @ kernel[0, 0] + bias
    np.testing.assert_allclose(
        layer(inputs, logits=True), expected, rtol=1e-4, atol=1e-5
    )


def moved(x, down, along):
    """Return at each place what lies so many bins and frames further, or 0."""
    padded = np.pad(x, [(0, 0), (10, 10), (10, 10), (0, 0)])
    return padded[
        :, 10 + down : 10 + down + x.shape[1], 10 + along : 10 + along + x.shape[2]
    ]


def dense(x, layer):
    kernel, bias = map(np.asarray, layer.get_weights())
    return x @ kernel + bias
