"""What every layer of the package must do, wherever it is."""

import importlib
import inspect
import pkgutil

import keras
import numpy as np
import pytest

from bytecover_tf import layers, models
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.layers import CQT, IBN, BNNeck, GeM
from bytecover_tf.layers.auto_pool import AutoPool
from bytecover_tf.layers.batch_norm import BatchNorm, BatchNormalization
from bytecover_tf.layers.conv2d import Conv2D
from bytecover_tf.layers.octaves import Octaves
from bytecover_tf.layers.power import Power
from bytecover_tf.layers.registers import Registers
from bytecover_tf.layers.salience import Salience
from bytecover_tf.layers.semitones import Semitones
from bytecover_tf.models.convolution import ConvBlock
from bytecover_tf.models.cqtnet import CQTNet
from bytecover_tf.models.heard_notes import HeardNotes
from bytecover_tf.models.kicnn import KiCNN
from bytecover_tf.models.move import MOVE
from bytecover_tf.models.resnet_ibn import Bottleneck, ResNetIBN
from bytecover_tf.models.tppnet import TPPNet

MAPS = ((3, 12, 7, 6), (2, 12, 10, 6))
BINS = ((2, 84, 7, 1), (3, 84, 33, 1))
FINE_BINS = ((2, 72, 7, 1), (3, 72, 34, 1))
PITCH_CLASSES = ((2, 12, 7, 2), (3, 12, 33, 2))
SMALL = {"width": 4, "dim": 7}

# Layer, arguments other than the defaults, and two shapes that one layer must take.
CASES = {
    "AutoPool": (AutoPool, {}, ((3, 7, 6), (2, 10, 6))),
    "BatchNorm": (BatchNorm, {"epsilon": 1e-4, "momentum": 0.8}, MAPS),
    "BatchNormalization": (BatchNormalization, {"momentum": 0.8}, MAPS),
    "BNNeck": (BNNeck, {"epsilon": 1e-3, "momentum": 0.8}, ((9, 6), (4, 6))),
    "CQT": (
        CQT,
        {"frontend": Frontend(pool=20).to_dict()},
        ((1, 44_137), (2, 30_000)),
    ),
    "Conv2D": (
        Conv2D,
        {"filters": 3, "kernel_size": (1, 15), "padding": "same"},
        MAPS,
    ),
    "GeM": (GeM, {"p": 2.0, "epsilon": 1e-4}, MAPS),
    "IBN": (IBN, {"instance_fraction": 0.4, "epsilon": 1e-3, "momentum": 0.8}, MAPS),
    "HeardNotes": (HeardNotes, {"filters": 3}, FINE_BINS),
    "Octaves": (Octaves, {}, BINS),
    "Power": (Power, {"exponent": 0.5}, MAPS),
    "Registers": (Registers, {"count": 3}, BINS),
    "Salience": (Salience, {"filters": 3, "kernels": ((3, 3), (5, 1), (1, 3))}, BINS),
    "Semitones": (Semitones, {"frames": 3}, FINE_BINS),
    "ConvBlock": (
        ConvBlock,
        {"filters": 3, "size": (5, 3), "stride": 2, "pad_bins": 1},
        MAPS,
    ),
    "ConvBlock, dilated": (
        ConvBlock,
        {
            **{"filters": 3, "size": (5, 3), "dilation": 2},
            **{"norm": False, "activation": "prelu"},
        },
        MAPS,
    ),
    "Bottleneck": (Bottleneck, {"filters": 4, "stride": 2}, MAPS),
    "Bottleneck, ring": (
        Bottleneck,
        {"filters": 4, "stride": 2, "ibn": False, "ring": True},
        MAPS,
    ),
    "ResNetIBN": (ResNetIBN, {"blocks": (1, 2, 1, 1), "width": 4}, BINS),
    "ResNetIBN, ring": (
        ResNetIBN,
        {"blocks": (1, 1, 1, 1), "width": 4, "ibn": False, "ring": True},
        PITCH_CLASSES,
    ),
    "CQTNet": (CQTNet, SMALL, BINS),
    "KiCNN": (KiCNN, SMALL, BINS),
    "MOVE": (MOVE, {**SMALL, "kernel_frames": 18}, BINS),
    "TPPNet": (TPPNet, SMALL, BINS),
}
# Under any global policy.
ALWAYS_FLOAT32 = (BNNeck, CQT)

every_layer = pytest.mark.parametrize("case", CASES)


def made(case, **more):
    kind, arguments, _ = CASES[case]
    return kind(**arguments, **more)


def open_shape(case):
    """The shape of both inputs, None where they differ."""
    one, other = CASES[case][2]
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


def randomised(case, rng):
    """A layer of which no weight and no moving statistic is a constant."""
    layer = made(case)
    layer.build(open_shape(case))
    for variable in layer.variables:
        if not variable.path.endswith("kernel"):
            noise = rng.uniform(0, 0.2, variable.shape)
            variable.assign(np.asarray(variable) + noise)
    return layer


def as_model(layer, case):
    inputs = keras.Input(open_shape(case)[1:])
    return keras.Model(inputs, layer(inputs))


def inputs_of(case, rng):
    return [rng.random(shape).astype(np.float32) for shape in CASES[case][2]]


def dtype_of(value):
    return keras.backend.standardize_dtype(value.dtype)


def test_no_layer_is_left_out():
    found = set()
    for package in (layers, models):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            for kind in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(kind) and kind.__module__ == module.name:
                    found.add(kind)
    wanted = {
        kind
        for kind in found
        if issubclass(kind, keras.layers.Layer)
        and not issubclass(kind, keras.Model)
        and kind.__name__ != "BaselineNetwork"  # what the networks have in common
    }
    assert wanted == {kind for kind, _, _ in CASES.values()}


@every_layer
def test_shapes_are_those_computed(case, rng):
    layer = made(case)
    layer.build(open_shape(case))
    weights = len(layer.variables)
    model = as_model(layer, case)
    shapes = []
    for inputs in inputs_of(case, rng):
        output = np.asarray(layer(inputs))
        assert output.shape == tuple(layer.compute_output_shape(inputs.shape))
        assert np.isfinite(output).all()
        assert np.ptp(output) > 0
        shapes.append(output.shape)
    expected = tuple(a if a == b else None for a, b in zip(*shapes, strict=True))
    assert tuple(layer.compute_output_shape(open_shape(case))) == expected
    assert model.output.shape == expected
    assert len(layer.variables) == weights


@every_layer
def test_config_has_all_arguments(case):
    kind, arguments, _ = CASES[case]
    config = made(case, name="named").get_config()
    if "__init__" in vars(kind):
        parameters = inspect.signature(kind).parameters.values()
        assert {p.name for p in parameters if p.name != "kwargs"} <= set(config)
    for name, value in {**arguments, "name": "named"}.items():
        assert config[name] == value
    assert kind.from_config(config).get_config() == config


@every_layer
def test_saved_and_loaded_it_returns_the_same(case, rng, tmp_path):
    model = as_model(randomised(case, rng), case)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1]) is CASES[case][0]
    for inputs in inputs_of(case, rng):
        expected = np.asarray(model(inputs))
        np.testing.assert_array_equal(np.asarray(loaded(inputs)), expected)


@every_layer
def test_half_precision_is_near_and_keeps_its_weights(case, rng):
    layer = randomised(case, rng)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = made(case)
    finally:
        keras.config.set_dtype_policy("float32")
    half.build(open_shape(case))
    half.set_weights(layer.get_weights())
    exact = CASES[case][0] in ALWAYS_FLOAT32
    for inputs in inputs_of(case, rng):
        output = half(inputs)
        assert dtype_of(output) == ("float32" if exact else "float16")
        expected = np.asarray(layer(inputs))
        near = (1e-6 if exact else 0.02) * np.abs(expected).max()
        np.testing.assert_allclose(np.asarray(output), expected, atol=near)
    assert {dtype_of(variable) for variable in half.variables} <= {"float32"}


@every_layer
def test_its_parts_have_its_precision(case):
    layer = made(case, dtype="mixed_bfloat16")
    layer.build(open_shape(case))
    policies = {part.dtype_policy.name for part in layer._flatten_layers()}
    assert policies == {"mixed_bfloat16"}


def test_jax_gives_the_same(on_jax, rng, tmp_path):
    pytest.importorskip("jax")
    expected = {}
    for case in CASES:
        model = as_model(randomised(case, rng), case)
        model.save(tmp_path / f"{case}.keras")
        inputs = inputs_of(case, rng)[0]
        np.save(tmp_path / f"{case}.npy", inputs)
        expected[case] = np.asarray(model(inputs))
    on_jax(
        "import sys, jax, keras, numpy as np\n"
        "import bytecover_tf.models.bytecover\n"
        "assert keras.backend.backend() == 'jax'\n"
        "folder, *cases = sys.argv[1:]\n"
        "for case in cases:\n"
        "    model = keras.saving.load_model(f'{folder}/{case}.keras')\n"
        "    found = jax.jit(model)(np.load(f'{folder}/{case}.npy'))\n"
        "    np.save(f'{folder}/{case}, found.npy', found)",
        tmp_path,
        *CASES,
    )
    for case, output in expected.items():
        found = np.load(tmp_path / f"{case}, found.npy")
        near = 1e-4 * np.abs(output).max()
        np.testing.assert_allclose(found, output, atol=near, err_msg=case)
