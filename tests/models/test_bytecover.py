from dataclasses import replace

import keras
import numpy as np
import pytest

from bytecover_tf.configs import config_names, load_config
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover

SMALL = {"blocks": (1, 1, 1, 1), "width": 4}


def built(dtype="float32", **settings):
    model = ByteCover(Architecture(**{**SMALL, **settings}), dtype=dtype)
    model.build((None, 84, None, 1))
    return model


@pytest.fixture
def batch(rng):
    return rng.random((8, 84, 20, 1)).astype(np.float32), np.repeat(np.arange(4), 2)


def test_returns_f_t_and_f_c(batch):
    model = built()
    output = model(batch[0])
    assert output["f_t"].shape == output["f_c"].shape == (8, 128)
    assert model.compute_output_shape((8, 84, 20, 1)) == {
        "f_t": (8, 128),
        "f_c": (8, 128),
    }
    assert not np.allclose(model(batch[0], training=True)["f_t"], output["f_c"])


@pytest.mark.parametrize("name", config_names())
def test_all_layers_are_built_with_the_model(name):
    config = load_config(name)
    model = ByteCover(replace(config.architecture, width=8))
    model.build((None, config.frontend.n_bins, None, 1))
    # With one that is not, Keras runs a model on JAX step by step before each call.
    assert [layer.name for layer in model._flatten_layers() if not layer.built] == []


@pytest.mark.parametrize("dim", [128, 256, 512])
def test_projection_sets_the_dim(dim, batch):
    model = built(embedding_dim=dim)
    assert model.dim == dim
    assert model(batch[0])["f_c"].shape == (8, dim)


def test_without_bnneck_f_c_is_f_t(batch):
    output = built(bnneck=False)(batch[0], training=True)
    np.testing.assert_array_equal(output["f_t"], output["f_c"])


def test_average_pooling_is_the_mean(batch):
    model = built(pooling="average")
    maps = np.asarray(model.backbone(batch[0]))
    np.testing.assert_allclose(
        model(batch[0])["f_t"], maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-6
    )


def test_input_power_acts_before_the_backbone(batch):
    model = built(input_power=0.5)
    copy = built()
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(
        model(batch[0])["f_c"], copy(np.sqrt(batch[0]))["f_c"], rtol=1e-4, atol=1e-6
    )


def test_outputs_are_float32_under_mixed_precision(batch):
    output = built(dtype="mixed_float16")(batch[0])
    for name in ("f_t", "f_c"):
        assert keras.backend.standardize_dtype(output[name].dtype) == "float32"


def test_encoder_is_a_float32_copy(batch):
    model = built(dtype="mixed_bfloat16")
    encoder = model.encoder()
    assert encoder.compute_dtype == "float32"
    for ours, theirs in zip(encoder.variables, model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    model.backbone.stem_conv.kernel.assign_add(
        np.ones_like(model.backbone.stem_conv.kernel)
    )
    assert not np.array_equal(
        encoder.backbone.stem_conv.kernel, model.backbone.stem_conv.kernel
    )
    assert model.encoder(encoder) is encoder
    np.testing.assert_array_equal(
        encoder.backbone.stem_conv.kernel, model.backbone.stem_conv.kernel
    )


def test_a_fresh_model_reads_the_same_input():
    model = ByteCover(Architecture(**SMALL))
    model.build((None, 48, None, 2))
    fresh = model.fresh(embedding_dim=7)
    assert fresh.architecture == Architecture(**SMALL, embedding_dim=7)
    assert fresh(np.ones((1, 48, 9, 2)))["f_c"].shape == (1, 7)


def test_a_config_without_a_setting_has_its_default():
    config = built(width=2, embedding_dim=3).get_config()
    assert (config["width"], config["salience"]) == (2, None)
    assert ByteCover.from_config(config).get_config() == config
    # As in files from before there were registers, when the losses were named too.
    del config["registers"]
    former = ByteCover.from_config({**config, "num_works": 9, "margin": 0.3})
    assert former.architecture == Architecture(
        blocks=(1, 1, 1, 1), width=2, embedding_dim=3
    )


@pytest.fixture
def scored(rng):
    return {
        "features": rng.random((8, 84, 20, 1)).astype(np.float32),
        "score": (rng.random((8, 84, 20, 2)) < 0.1).astype(np.float32),
        "given": np.arange(8) % 2 == 0,
    }


def test_an_encoder_hears_without_scores(tmp_path, scored):
    model = built(salience=3, input_power=0.5)
    encoder = model.encoder()
    heard = np.asarray(model.hear(scored["features"]))
    np.testing.assert_allclose(
        heard, model.salience(np.sqrt(scored["features"])), rtol=1e-5
    )
    with pytest.raises(ValueError, match="hears no notes"):
        built().hear(scored["features"])
    expected = np.asarray(model(scored["features"])["f_c"])
    np.testing.assert_allclose(model.embed_notes(heard)["f_c"], expected, atol=1e-5)
    np.testing.assert_array_equal(encoder(scored["features"])["f_c"], expected)
    encoder.save(tmp_path / "encoder.keras")
    copy = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(copy(scored["features"])["f_c"], expected)


@pytest.mark.parametrize("salience", [None, 3])
def test_pitch_classes_are_the_same_in_every_key(salience, rng):
    model = built(salience=salience, pitch_classes=True, input_power=0.5)
    features = rng.random((2, 84, 30, 1)).astype(np.float32)
    read = features**0.5 if salience is None else model.salience(features**0.5)
    read = np.asarray(read).reshape(2, 7, 12, 30, -1).max(axis=1)
    f_t = np.asarray(model(features)["f_t"])
    for shift in (0, 1, 7):
        turned = model.pool(model.backbone(np.roll(read, shift, axis=1)))
        # Processors sum in different orders, and the largest values are about 1.
        np.testing.assert_allclose(turned, f_t, rtol=1e-3, atol=1e-5)


def test_pitch_classes_are_kept_with_the_encoder(tmp_path, rng):
    model = built(salience=3, pitch_classes=True)
    features = rng.random((2, 84, 30, 1)).astype(np.float32)
    expected = np.asarray(model(features)["f_c"])
    model.encoder().save(tmp_path / "encoder.keras")
    copy = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(copy(features)["f_c"], expected)


def test_registers_are_what_the_backbone_reads(tmp_path, rng):
    model = built(registers=3, pitch_classes=True, dtype="mixed_bfloat16").encoder()
    features = rng.random((2, 84, 30, 1)).astype(np.float32)
    read = np.asarray(model.registers(features))
    f_t = np.asarray(model(features)["f_t"])
    for shift in (0, 5):
        turned = model.pool(model.backbone(np.roll(read, shift, axis=1)))
        # Processors sum in different orders, and the largest values are about 1.
        np.testing.assert_allclose(turned, f_t, rtol=1e-3, atol=1e-5)
    model.save(tmp_path / "encoder.keras")
    copy = keras.saving.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(copy(features)["f_t"], f_t)
