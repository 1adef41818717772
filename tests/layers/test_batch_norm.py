import keras
import numpy as np
import pytest

from bytecover_tf.layers.batch_norm import BatchNorm

if keras.backend.backend() != "tensorflow":
    pytest.skip("one operation of TensorFlow", allow_module_level=True)
import tensorflow as tf

SHAPE = (4, 5, 7, 6)


def trained(kind, maps, weights, **arguments):
    """Return output, gradients and moving statistics of a step in training."""
    layer = kind(epsilon=1e-5, momentum=0.8, **arguments)
    layer.build(SHAPE)
    layer.gamma.assign([0.5, 1, 1.5, 2, -1, 0.1])
    layer.beta.assign([0, 1, 2, 3, -4, 5])
    maps = tf.constant(maps)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        result = layer(maps, training=True)
        loss = tf.reduce_sum(tf.cast(result, "float32") ** 2 * weights)
    gradients = tape.gradient(loss, [maps, *layer.trainable_weights])
    return [result, *gradients, layer.moving_mean, layer.moving_variance]


@pytest.mark.parametrize(
    ("dtype", "arguments"),
    [("float32", {}), ("float64", {}), ("float32", {"synchronized": True})],
)
def test_a_step_equals_keras(dtype, arguments, rng):
    keras.config.set_floatx(dtype)
    try:
        maps = rng.normal(2, 3, SHAPE).astype(dtype)
        weights = rng.random(SHAPE).astype("float32")
        ours, expected = (
            trained(kind, maps, weights, **more)
            for kind, more in (
                (BatchNorm, arguments),
                (keras.layers.BatchNormalization, {}),
            )
        )
    finally:
        keras.config.set_floatx("float32")
    for found, value in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-4)


def test_inference_equals_keras(rng):
    maps = rng.normal(2, 3, SHAPE).astype("float32")
    ours, theirs = BatchNorm(), keras.layers.BatchNormalization()
    ours(maps, training=True)
    theirs.build(SHAPE)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(ours(maps), theirs(maps))
    ours.trainable = False
    before = ours.get_weights()
    np.testing.assert_array_equal(ours(maps, training=True), theirs(maps))
    np.testing.assert_array_equal(before[2], ours.get_weights()[2])


def test_it_is_one_operation_in_training():
    layer = BatchNorm()
    layer.build(SHAPE)
    run = tf.function(lambda x: layer(x, training=True))
    graph = run.get_concrete_function(tf.TensorSpec((None, *SHAPE[1:]))).graph
    assert "FusedBatchNormV3" in [
        operation.type for operation in graph.get_operations()
    ]


def test_half_precision_keeps_its_statistics_in_float32(rng):
    layer = BatchNorm(dtype="mixed_float16")
    result = layer(rng.normal(size=SHAPE).astype("float16"), training=True)
    assert keras.backend.standardize_dtype(result.dtype) == "float16"
    assert keras.backend.standardize_dtype(layer.moving_variance.dtype) == "float32"
