import keras
import numpy as np
import pytest
import tensorflow as tf

from bytecover_tf.layers.batch_norm import BatchNormalization
from bytecover_tf.layers.conv2d import Conv2D

SHAPE = (2, 9, 31, 3)


def learned(layer, inputs, weights):
    """The output in training, and the gradients of a loss by input and weights."""
    if not layer.built:
        layer.build(inputs.shape)
    layer.set_weights(weights)
    x = tf.Variable(inputs)
    with tf.GradientTape() as tape:
        output = layer(x, training=True)
        loss = tf.reduce_sum(output * tf.cos(output))
    return [output, *tape.gradient(loss, [x, *layer.trainable_variables])]


@pytest.mark.parametrize("more", [{"use_bias": False}, {"activation": "relu"}])
@pytest.mark.parametrize("size", [(1, 15), (2, 14), (3, 7), (15, 1)])
def test_it_learns_as_that_of_keras(size, more, rng):
    options = {"padding": "same", "dtype": "float64", **more}
    theirs = keras.layers.Conv2D(4, size, **options)
    theirs.build(SHAPE)
    weights = [rng.normal(size=weight.shape) for weight in theirs.get_weights()]
    inputs = rng.normal(size=SHAPE)
    expected = learned(theirs, inputs, weights)
    found = learned(Conv2D(4, size, **options), inputs, weights)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.parametrize(
    ("size", "options", "is_turned"),
    [
        ((1, 15), {"padding": "same"}, True),
        ((1, 13), {"padding": "same"}, False),
        ((15, 15), {"padding": "same"}, False),
        ((1, 15), {"padding": "valid"}, False),
        ((1, 15), {"padding": "same", "strides": 2}, False),
        ((1, 15), {"padding": "same", "dilation_rate": 2}, False),
    ],
)
def test_only_long_kernels_are_turned(size, options, is_turned, rng):
    layer = Conv2D(4, size, **options)
    run = tf.function(lambda x: layer(x, training=True))
    graph = run.get_concrete_function(tf.TensorSpec((2, 20, 40, 3))).graph
    turns = [op for op in graph.get_operations() if op.type == "Transpose"]
    assert bool(turns) == is_turned
    at_inference = tf.function(lambda x: layer(x, training=False))
    graph = at_inference.get_concrete_function(tf.TensorSpec((2, 20, 40, 3))).graph
    assert not [op for op in graph.get_operations() if op.type == "Transpose"]


def test_files_of_weights_know_both_as_those_of_keras(tmp_path, rng):
    class Listed(keras.Model):
        def __init__(self, convolution, norm):
            super().__init__()
            self.parts = [convolution, norm]

        def call(self, x):
            return self.parts[1](self.parts[0](x))

    x = rng.normal(size=SHAPE).astype(np.float32)
    theirs = Listed(keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization())
    ours = Listed(Conv2D(4, 3), BatchNormalization())
    expected = theirs(x)
    assert np.abs(np.asarray(ours(x)) - expected).max() > 0.1
    theirs.save_weights(tmp_path / "a.weights.h5")
    ours.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_allclose(ours(x), expected, atol=1e-6)
