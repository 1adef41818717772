import keras
import numpy as np
import pytest

from bytecover_tf.models.resnet_ibn import ResNetIBN

torch = pytest.importorskip("torch")
from benchmarks.common.torch_model import TorchResNetIBN, pairs, to_keras  # noqa: E402


def twins(blocks, dtype):
    """The same random weights in both, not trivial in any normalisation."""
    width = 8
    torch.manual_seed(3)
    theirs = TorchResNetIBN(blocks, width, ibn=True).to(getattr(torch, dtype))
    for name, tensor in theirs.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    ours = ResNetIBN(blocks, width, dtype=dtype)
    ours.build((None, 84, None, 1))
    linked = list(pairs(theirs, ours))
    assert len(linked) == len(ours.variables)
    for tensor, variable in linked:
        variable.assign(to_keras(tensor))
    return theirs, ours


BLOCKS = pytest.mark.parametrize(
    "blocks", [(1, 2, 1, 1), (3, 4, 6, 3)], ids=["small", "resnet50"]
)


@BLOCKS
@pytest.mark.parametrize("frames", [1, 50, 103])
def test_equals_torch_at_inference(blocks, frames, rng):
    theirs, ours = twins(blocks, "float32")
    x = rng.random((2, 84, frames, 1)).astype(np.float32)
    with torch.no_grad():
        expected = theirs.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    result = np.asarray(ours(x, training=False))
    np.testing.assert_allclose(
        result, expected.numpy().transpose(0, 2, 3, 1), atol=1e-4, rtol=1e-4
    )


@BLOCKS
def test_equals_torch_in_training(blocks, rng):
    """Output, batch statistics and gradients of a loss.

    In float64: in float32, rounding grows through 50 layers and their kinks.
    """
    if keras.backend.backend() != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    theirs, ours = twins(blocks, "float64")
    x = rng.random((4, 84, 70, 1))
    before = [to_keras(tensor).copy() for tensor, _ in pairs(theirs, ours)]
    output = theirs.train()(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    (output**2).mean().backward()
    with tf.GradientTape() as tape:
        result = ours(x, training=True)
        loss = tf.reduce_mean(result**2)
    np.testing.assert_allclose(
        result, output.detach().numpy().transpose(0, 2, 3, 1), atol=1e-8
    )
    paths = [variable.path for variable in ours.trainable_weights]
    gradients = dict(
        zip(paths, tape.gradient(loss, ours.trainable_weights), strict=True)
    )
    for old, (tensor, variable) in zip(before, pairs(theirs, ours), strict=True):
        if variable.trainable:
            np.testing.assert_allclose(
                gradients[variable.path], to_keras(tensor.grad), rtol=1e-6, atol=1e-10
            )
        elif "mean" in variable.path:
            np.testing.assert_allclose(variable, to_keras(tensor), atol=1e-8)
        else:
            # Torch's moving variance is the unbiased one, Keras's the biased:
            # they agree up to n / (n - 1), n the values a channel averages.
            new, theirs_new = variable.numpy() - 0.9 * old, to_keras(tensor) - 0.9 * old
            np.testing.assert_allclose(new, theirs_new, rtol=0.02, atol=1e-8)


@pytest.mark.parametrize(("frames", "columns"), [(1, 1), (16, 1), (17, 2), (103, 7)])
def test_output_is_6_by_a_sixteenth(frames, columns):
    model = ResNetIBN((1, 1, 1, 1), width=4)
    shape = (2, 84, frames, 1)
    assert model(np.zeros(shape, np.float32)).shape == (2, 6, columns, 128)
    assert model.compute_output_shape(shape) == (2, 6, columns, 128)


def test_full_size_has_2048_channels_and_the_parameters_of_resnet50():
    model = ResNetIBN()
    model.build((None, 84, None, 1))
    assert model.compute_output_shape((None, 84, 103, 1)) == (None, 6, 7, 2048)
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    # ResNet50 has 25 557 032 with a classifier of 2048 x 1000 + 1000 and three
    # colours; IN and BN halves have together what BN has alone.
    assert trainable == 25_557_032 - 2_049_000 - 2 * 64 * 49


def test_no_ibn_in_the_last_stage_nor_without_ibn():
    model = ResNetIBN((1, 1, 1, 2), width=4)
    assert [b.ibn for b in model.bottlenecks] == [True, True, True, False, False]
    plain = ResNetIBN((1, 1, 1, 2), width=4, ibn=False)
    assert not any(b.ibn for b in plain.bottlenecks)


@pytest.mark.parametrize("blocks", [(3, 4, 6), (3, 4, 0, 3)])
def test_wrong_blocks_are_refused(blocks):
    with pytest.raises(ValueError, match="blocks"):
        ResNetIBN(blocks)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"\(batch, bins, frames, channels\)"):
        ResNetIBN((1, 1, 1, 1), 4).build((None, 84, None))
