"""The networks that ByteCover is compared with."""

import json

import keras
import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.configs import load_config
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.errors import ConfigError
from bytecover_tf.layers.auto_pool import AutoPool
from bytecover_tf.losses import batch_hard_triplet
from bytecover_tf.models.architecture import LEAST_ROWS
from bytecover_tf.models.bytecover import OTHER_NETWORKS, ByteCover
from bytecover_tf.models.convolution import ConvBlock
from bytecover_tf.models.learner import Learner
from bytecover_tf.models.move import MOVE
from bytecover_tf.models.pitch_classes import transposable_pitch_classes
from bytecover_tf.models.tppnet import temporal_pyramid
from bytecover_tf.training.config import Config, override
from bytecover_tf.training.loop import train

NAMES = sorted(OTHER_NETWORKS)


def built(name, dtype="float32"):
    """The network of a config, narrow."""
    config = override(load_config(name), ["width=4", "embedding_dim=16"])
    model = ByteCover(config.architecture, dtype=dtype)
    model.build((None, 84, None, 1))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_frames_has_an_embedding(name, rng):
    model = built(name)
    for frames in (1, 7):
        features = rng.random((3, 84, frames, 1)).astype(np.float32)
        output = {key: np.asarray(value) for key, value in model(features).items()}
        assert output["f_c"].shape == output["f_t"].shape == (3, 16)
        assert np.isfinite(output["f_c"]).all()
        # Not the same whatever is heard.
        assert np.ptp(output["f_c"], axis=0).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_encoder_embeds_alike(name, rng, tmp_path):
    model = built(name)
    frontend = load_config(name).frontend
    save_model(model.encoder(), tmp_path / "encoder.keras", frontend, {})
    features = rng.random((84, 30)).astype(np.float32)
    # Normalised already, as a frontend leaves them.
    features /= features.max()
    found = load_encoder(tmp_path).embed_features([features])
    f_c = np.asarray(model(features[None, ..., None])["f_c"])
    np.testing.assert_allclose(found, f_c / np.linalg.norm(f_c), atol=1e-5)


def test_sizes_are_those_published():
    sizes = {}
    for name in ("cqtnet", "tppnet", "move"):
        layer = OTHER_NETWORKS[name]()
        layer.build((None, 84, None, 1))
        sizes[name] = [
            (*weight.shape[:2], weight.shape[-1])
            for weight in layer.trainable_variables
            if weight.path.endswith("conv/kernel")
        ]
        assert layer.dim == {"move": 16000}.get(name, 300)
    assert sizes["cqtnet"][:4] == [(12, 3, 32), (13, 3, 64), (13, 3, 64), (3, 3, 64)]
    assert sizes["cqtnet"][-1] == (3, 3, 512)
    assert sizes["tppnet"] == [
        *[(36, 40, 32), (12, 3, 64), (3, 3, 128)],
        *[(1, 3, 256), (1, 3, 512), (1, 3, 512)],
    ]
    assert sizes["move"] == [(12, 180, 256), *[(1, 5, 256)] * 3, (1, 5, 512)]


@pytest.mark.parametrize(
    ("frames", "dilations"), [(180, [1, 20, 1, 13]), (36, [1, 4, 1, 3]), (7, [1] * 4)]
)
def test_the_dilations_of_move_follow_its_first_kernel(frames, dilations):
    settings = ["width=4", f"kernel_frames={frames}"]
    model = ByteCover(override(load_config("move"), settings).architecture)
    assert isinstance(model.backbone, MOVE)
    assert model.backbone.over_pitch.size == (12, frames)
    assert [block.dilation for block in model.backbone.over_time] == dilations


def test_half_of_the_channels_weight_the_other(rng):
    pool = AutoPool()
    x = rng.normal(size=(2, 7, 6)).astype(np.float32)
    np.testing.assert_allclose(pool(x), x[..., 3:].mean(axis=1), atol=1e-6)
    pool.sharpness.assign(2.0)
    expected = np.zeros((2, 3))
    for item, channel in np.ndindex(2, 3):
        weights = np.exp(2 * x[item, :, channel])
        values = x[item, :, 3 + channel]
        expected[item, channel] = (weights * values).sum() / weights.sum()
    np.testing.assert_allclose(pool(x), expected, atol=1e-5)
    with pytest.raises(ValueError, match="even number"):
        AutoPool().build((None, None, 5))


@pytest.mark.parametrize("name", sorted(LEAST_ROWS))
def test_a_config_has_the_bins_that_kernels_need(name):
    least = LEAST_ROWS[name]
    OTHER_NETWORKS[name](width=4).build((None, least, None, 1))
    Config(network=name, frontend=Frontend(n_bins=least))
    with pytest.raises(ValueError, match="at least as many bins"):
        OTHER_NETWORKS[name](width=4).build((None, least - 1, None, 1))
    with pytest.raises(ConfigError, match=f"at least {least} bins, not {least - 1}"):
        Config(network=name, frontend=Frontend(n_bins=least - 1))
    with pytest.raises(ConfigError, match=f"at least {least} bins, not 12"):
        Config(network=name, pitch_classes=True)
    octaves = (least - 1) // 12
    thirds = Frontend(n_bins=36 * octaves, bins_per_octave=36)
    with pytest.raises(ConfigError, match=f"at least {least} bins, not {12 * octaves}"):
        Config(network=name, semitones=4, frontend=thirds)


@pytest.mark.parametrize("name", ["kicnn", "move"])
def test_the_octave_and_the_key_do_not_matter(name, rng):
    model = built(name)
    music = np.zeros((1, 84, 20, 1), np.float32)
    music[:, 36:48] = rng.random((1, 12, 20, 1))
    embed = lambda features: np.asarray(model(features)["f_c"])  # noqa: E731
    for bins in (12, 5):
        moved = embed(np.roll(music, bins, axis=1))
        np.testing.assert_allclose(moved, embed(music), atol=1e-5)
    # Another order of the same frames is heard.
    assert not np.allclose(embed(music[:, :, ::-1]), embed(music), atol=1e-4)


def test_pitch_classes_go_round():
    features = np.zeros((1, 24, 1, 1), np.float32)
    features[0, [1, 13, 4], 0, 0] = 0.5, 0.2, 0.25
    rows = np.asarray(transposable_pitch_classes(features))[0, :, 0, 0]
    assert rows.shape == (23,)
    assert dict(enumerate(rows)) == {
        row: {1: 1.0, 4: 0.5}.get(row % 12, 0.0) for row in range(23)
    }
    with pytest.raises(ValueError, match="whole octaves"):
        transposable_pitch_classes(features[:, :20])


@pytest.mark.parametrize("count", [1, 3, 7, 12])
def test_the_pyramid_takes_maxima_of_parts(count, rng):
    x = rng.random((2, count, 3)).astype(np.float32)
    expected = []
    for parts in (4, 3, 2, 1):
        for part in range(parts):
            start, stop = part * count // parts, -(-(part + 1) * count // parts)
            expected.append(x[:, start:stop].max(axis=1))
    np.testing.assert_array_equal(temporal_pyramid(x), np.concatenate(expected, axis=1))


def test_a_block_pads_time_and_not_bins(rng):
    block = ConvBlock(2, (3, 5), stride=2, dilation=1, norm=False, activation="prelu")
    block.build((None, 9, None, 4))
    x = rng.normal(size=(1, 9, 7, 4)).astype(np.float32)
    found = np.asarray(block(x))
    kernel, bias = np.asarray(block.conv.kernel), np.asarray(block.conv.bias)
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (0, 0)))
    expected = np.zeros((7, 4, 2))
    for row in range(7):
        for column in range(4):
            patch = padded[0, row : row + 3, 2 * column : 2 * column + 5]
            expected[row, column] = np.einsum("ijc,ijcf->f", patch, kernel) + bias
    expected = np.where(expected > 0, expected, 0.01 * expected)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    assert block.compute_output_shape((1, 9, 7, 4)) == found.shape
    with pytest.raises(ValueError, match="3 bins"):
        ConvBlock(2, (3, 5)).build((None, 2, None, 4))


def test_move_trains_by_the_triplet_loss_on_a_standard_space(rng):
    model = Learner(built("move"), load_config("move").objective, num_works=4)
    assert model.classifier is None
    # Chords that last, so that recordings differ.
    features = np.tile(rng.random((8, 84, 1, 1)) ** 6, (1, 1, 20, 1))
    features = features.astype(np.float32)
    works = np.repeat(np.arange(4), 2)
    output = model(features, training=True)
    f_t = np.asarray(output["f_t"])
    np.testing.assert_allclose(f_t.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose((f_t**2).sum(axis=1).mean(), 1, rtol=0.03)
    loss = float(model.compute_loss(y=works, y_pred=output))
    expected = float(batch_hard_triplet(f_t, works, 1.0, "squared"))
    assert loss == pytest.approx(expected, rel=1e-4)
    assert set(model.get_metrics_result()) == {"loss", "triplet"}


@pytest.mark.parametrize("name", ["cqtnet", "move"])
def test_each_is_trained_by_the_trainer(name, small_set, tmp_path):
    tracks, store = small_set
    narrow = ["frontend.pool=100", "width=4", "embedding_dim=16", "crop_frames=(16,)",
              "works_per_batch=4", "versions_per_work=2", "learning_rate=2e-3",
              "steps_per_epoch=10", "epochs=2"]  # fmt: skip
    config = override(load_config(name), narrow)
    figures = train(config, tracks, store, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    rows = (tmp_path / "log.csv").read_text().splitlines()
    loss = rows[0].split(",").index("loss")
    first, last = (float(row.split(",")[loss]) for row in rows[1:])
    assert last < first
    other = override(load_config("kicnn"), narrow)
    with pytest.raises(ConfigError, match="network: "):
        train(other, tracks, store, tmp_path / "other", init=tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"network": "vgg"}, {"classification": False, "margin": None}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        override(Config(), [f"{name}={value}" for name, value in wrong.items()])


def test_mixed_precision_returns_float32(rng):
    features = rng.random((2, 84, 9, 1)).astype(np.float32)
    for name in NAMES:
        f_t = built(name, dtype="mixed_bfloat16")(features)["f_t"]
        assert keras.backend.standardize_dtype(f_t.dtype) == "float32"
