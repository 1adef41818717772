import json

import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.configs import config_names, default_config, load_config
from bytecover_tf.data import drawn_tunes
from bytecover_tf.errors import ConfigError
from bytecover_tf.training.config import Config, override


def test_the_default_is_the_paper():
    config = load_config("bytecover")
    assert config == Config()
    assert config.frontend == Frontend()
    assert (config.blocks, config.width) == ((3, 4, 6, 3), 64)
    assert config.works_per_batch * config.versions_per_work == 32
    assert (config.optimizer, config.learning_rate) == ("adam", 4e-4)
    assert config.margin == 0.3
    assert config.label_smoothing == 0


def test_each_rung_of_the_ablation_adds_one_part():
    names = ("ibn", "pooling", "bnneck", "margin")
    rungs = [
        tuple(getattr(load_config(name), part) for part in names)
        for name in ("baseline", "ibn", "bnneck", "bytecover")
    ]
    assert rungs == [
        (False, "average", False, None),
        (True, "average", False, None),
        (True, "average", True, 0.3),
        (True, "gem", True, 0.3),
    ]
    naive = load_config("naive")
    assert not naive.bnneck
    assert naive.margin == 0.3


def test_each_data_set_has_a_config_of_its_own():
    names = [default_config(data) for data in ("tunes", "packed", "shs100k", "folder")]
    assert names == ["quick", "small", "bytecover", "bytecover"]
    # The first one learns from the notes that are drawn with the embedded data set.
    quick = load_config("quick")
    assert quick.salience is not None
    assert drawn_tunes.is_fit(quick.frontend)
    assert drawn_tunes.is_fit(load_config("tunes").frontend)


@pytest.mark.parametrize("name", config_names())
def test_every_config_loads_and_survives_json(name):
    config = load_config(name)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert (
        "python -m bytecover_tf.train"
        in __import__(f"bytecover_tf.configs.{name}", fromlist=["config"]).__doc__
    )


def test_a_file_is_run_only_by_name(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from bytecover_tf.training.config import Config\nconfig = Config(epochs=3)\n"
    )
    assert load_config(str(path)).epochs == 3
    path.write_text("x = 1\n")
    with pytest.raises(ConfigError, match="variable `config`"):
        load_config(str(path))
    with pytest.raises(ConfigError, match="no such config file"):
        load_config(str(tmp_path / "none.py"))
    with pytest.raises(ConfigError, match="unknown config 'mine'.*bytecover"):
        load_config("mine")


def test_override():
    config = override(
        Config(),
        [
            "epochs=3",
            "crop_frames=(20, 30)",
            "augment.noise=0.5",
            "frontend.pool=20",
            "margin=None",
            "pooling=average",
            "ibn=False",
            "embedding_dim=128",
            "learning_rate=1",
        ],
    )
    assert config.epochs == 3
    assert config.crop_frames == (20, 30)
    assert config.augment.noise == 0.5
    assert config.frontend.pool == 20
    assert config.margin is None
    assert config.pooling == "average"
    assert config.ibn is False
    assert config.embedding_dim == 128
    assert config.learning_rate == 1
    assert override(config, ["crop_frames=40"]).crop_frames == (40,)


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("epochs", "key=value"),
        ("epoch=3", "unknown setting"),
        ("augment.hiss=1", "augment.hiss"),
        ("width.height=1", "no parts"),
        ("epochs=many", "expected a value like 100"),
        ("epochs=0", "positive"),
        ("epochs=1.5", "epochs"),
        ("learning_rate=None", "learning_rate"),
        ("ibn=1", "ibn"),
        ("pooling=max", "gem, average"),
        ("crop_frames=()", "crop_frames"),
        ("crop_frames=long", "numbers"),
        ("crop_frames=(40, 3)", "windows=4 needs crop_frames"),
        ("blocks=(1, 2)", "blocks must be 4"),
        ("augment.noise=2", "probability"),
        ("augment.tilt_knots=0", "augment.tilt_knots must be 1 or more, not 0"),
        ("augment.transpose_bins=-1", "augment.transpose_bins must be 0 or more"),
        ("augment.noise_level=-0.1", "augment.noise_level must be 0 or more"),
        ("augment.mask_frames_max=-1", "augment.mask_frames_max is a probability"),
        ("note_augment.semitones=-1", "note_augment.semitones must be 0 or more"),
        ("score_share=7", "score_share is a probability"),
        ("easy_steps=-5", "easy_steps must be 0 or more"),
        ("warmup_steps=-5", "warmup_steps must be 0 or more"),
        ("weight_decay=-1", "weight_decay must be 0 or more"),
        ("weight_decay=0.1", "weight_decay=0.1 needs optimizer=adamw, not adam"),
        ("label_smoothing=3", "label_smoothing is a probability"),
        ("temperature=-1", "temperature must be positive"),
        ("margin=-1", "margin must be 0 or more"),
        ("frontend.hop_length=100", "multiple of"),
        ("registers=4", "registers needs pitch_classes=True"),
        ("augment=0", "augment: has parts to change, such as augment.stretch"),
        ("frontend=5", "such as frontend."),
        ("augment.stretch_range=0.7", "two positive factors"),
        ("embedding_dim=-3", "embedding_dim must be positive"),
        ("embedding_dim=1.5", "embedding_dim: expected a value like 0"),
        ("salience=many", "salience: expected a value like 0"),
        ("blocks=(1.5, 2, 2, 1)", "blocks: expected whole numbers"),
    ],
)
def test_wrong_assignments_are_refused(assignment, reason):
    with pytest.raises(ConfigError, match=reason):
        override(Config(temperature=0.1, windows=4), [assignment])


@pytest.mark.parametrize(
    "frontend", [{"n_bins": 80}, {"n_bins": 72, "bins_per_octave": 24}]
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pitch_classes", True),
        ("salience", 4),
        ("network", "move"),
        ("network", "kicnn"),
    ],
)
def test_what_folds_octaves_needs_whole_ones(name, value, frontend):
    config = {name: value, "bnneck": False} if value == "move" else {name: value}
    Config(**config)
    with pytest.raises(ConfigError, match=f"{name}.* whole octaves of 12 bins"):
        Config(**config, frontend=Frontend(**frontend))
