import keras
import numpy as np
import pytest

from bytecover_tf.models.resnet_ibn import Bottleneck, ResNetIBN

torch = pytest.importorskip("torch")
nn = torch.nn


class TorchIBN(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.half = planes // 2
        self.IN = nn.InstanceNorm2d(self.half, affine=True)
        self.BN = nn.BatchNorm2d(planes - self.half)

    def forward(self, x):
        return torch.cat([self.IN(x[:, : self.half]), self.BN(x[:, self.half :])], 1)


class TorchBlock(nn.Module):
    def __init__(self, inputs, planes, stride, ibn):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.norm1 = TorchIBN(planes) if ibn else nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(4 * planes)
        self.short = None
        if stride > 1 or inputs != 4 * planes:
            self.short = nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False)
            self.short_norm = nn.BatchNorm2d(4 * planes)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        y = torch.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return torch.relu(y + (self.short_norm(self.short(x)) if self.short else x))


class TorchResNetIBN(nn.Module):
    """ResNet with IBN-a and last stride 1, in the usual torch idiom."""

    def __init__(self, blocks, width, ibn):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 7, 2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        layers, inputs = [], width
        for stage, count in enumerate(blocks):
            planes = width * 2**stage
            for block in range(count):
                stride = 2 if block == 0 and stage in (1, 2) else 1
                layers.append(TorchBlock(inputs, planes, stride, ibn and stage < 3))
                inputs = 4 * planes
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.conv(x))))
        for layer in self.layers:
            x = layer(x)
        return x


def pairs(torch_model, keras_model):
    """Yield each torch tensor beside the Keras variable that means the same."""

    def conv(a, b):
        yield a.weight, b.kernel

    def batch(a, b):
        yield a.weight, b.gamma
        yield a.bias, b.beta
        yield a.running_mean, b.moving_mean
        yield a.running_var, b.moving_variance

    def norm(a, b):
        if isinstance(a, TorchIBN):
            yield a.IN.weight, b.instance_norm.gamma
            yield a.IN.bias, b.instance_norm.beta
            yield from batch(a.BN, b.batch_norm)
        else:
            yield from batch(a, b)

    yield from conv(torch_model.conv, keras_model.stem_conv)
    yield from batch(torch_model.norm, keras_model.stem_norm)
    for a, b in zip(torch_model.layers, keras_model.bottlenecks, strict=True):
        for index in ("1", "2", "3"):
            yield from conv(getattr(a, "conv" + index), getattr(b, "conv" + index))
            yield from norm(getattr(a, "norm" + index), getattr(b, "norm" + index))
        if a.short:
            yield from conv(a.short, b.shortcut)
            yield from batch(a.short_norm, b.shortcut_norm)


def to_keras(array):
    array = array.detach().numpy()
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


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


@pytest.mark.parametrize(
    "layer", [Bottleneck(4, stride=2, ibn=False), ResNetIBN((1, 2, 1, 1), 4, False)]
)
def test_config_round_trip(layer):
    assert (
        type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    )


@pytest.mark.parametrize("blocks", [(3, 4, 6), (3, 4, 0, 3)])
def test_wrong_blocks_are_refused(blocks):
    with pytest.raises(ValueError, match="blocks"):
        ResNetIBN(blocks)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"\(batch, bins, frames, 1\)"):
        ResNetIBN((1, 1, 1, 1), 4).build((None, 84, None, 3))
