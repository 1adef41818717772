from dataclasses import replace

import pytest

from bytecover_tf.errors import ConfigError
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.objective import Objective
from bytecover_tf.training.config import Config


@pytest.mark.parametrize(
    "wrong",
    [
        {"pooling": "max"},
        {"network": "vgg"},
        {"width": 0},
        {"input_power": 0},
        {"blocks": (1, 2)},
        {"kernel_frames": 0, "network": "move"},
        {"kernel_frames": 36},
        {"registers": 3},
        {"registers": 3, "pitch_classes": True, "salience": 2},
    ],
)
def test_impossible_architectures_are_refused(wrong):
    for kind in (Architecture, Config):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            kind(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mining": "local"},
        {"classification": False, "margin": None},
        {"distance": "cosine"},
        {"reconfigure": True},
        {"windows": 0},
        {"windows": 2},
        {"windows": 2, "temperature": 0.1, "teaching": "wholes"},
    ],
)
def test_impossible_objectives_are_refused(wrong):
    for kind in (Objective, Config):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            kind(**wrong)


def test_a_config_has_an_architecture_and_an_objective():
    config = Config(width=8, registers=2, pitch_classes=True, margin=None)
    assert config.architecture == Architecture(width=8, registers=2, pitch_classes=True)
    assert config.objective == Objective(margin=None)
    assert Config().architecture == Architecture()
    assert Config().objective == Objective()


def test_differences_are_named_with_both_values():
    ours = Architecture(width=8, bnneck=False)
    assert ours.differences(Architecture(blocks=[3, 4, 6, 3])) == {
        "width": (8, 64),
        "bnneck": (False, True),
    }
    assert ours.differences(replace(ours)) == {}


@pytest.mark.parametrize(
    ("settings", "front"),
    [
        ({}, []),
        ({"input_power": 0.5, "salience": 2}, ["power", "salience"]),
        (
            {"input_power": 0.5, "salience": 2, "pitch_classes": True},
            ["power", "salience", "octaves"],
        ),
        ({"registers": 2, "pitch_classes": True}, ["registers"]),
    ],
)
def test_the_front_follows_from_the_architecture(settings, front):
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2, **settings))
    assert [layer.name for layer in model.front()] == front
    model.build((None, 84, None, 1))
    shape = (None, 84, None, 1)
    for layer in model.front():
        shape = layer.compute_output_shape(shape)
    ring = settings.get("pitch_classes", False)
    channels = 2 if len(settings) > 1 else 1
    assert shape == (None, 12 if ring else 84, None, channels)
    assert model.backbone.stem_conv.kernel.shape[2] == channels
