import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from bytecover_tf import ensemble
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import load_model, load_single, save_model
from bytecover_tf.errors import (
    ConfigError,
    DataError,
    EncoderError,
    FrontendMismatch,
)
from bytecover_tf.evaluation.protocol import check_unseen
from bytecover_tf.layers.semitones import Semitones
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble

FRONTEND = Frontend(pool=20)
NAMES = ("first", "second")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two networks that differ in all but the frontend, and both in one file."""
    folder = tmp_path_factory.mktemp("files")
    networks = [
        {"width": 2, "embedding_dim": 8},
        {"width": 3, "salience": 2, "pitch_classes": True, "bnneck": False},
    ]
    seen = {
        "first": {"data": "tunes", "works": ["b", "a"], "content": ["2"]},
        "second": {"data": "folder", "works": ["c"], "content": ["2", "1"]},
    }
    keras.utils.set_random_seed(0)
    for name, arguments in zip(NAMES, networks, strict=True):
        model = ByteCover(Architecture(blocks=(1, 1, 1, 1), **arguments))
        model.build((None, 84, None, 1))
        facts = {"trained_on": seen[name], "seed": name}
        save_model(model, folder / f"{name}.keras", FRONTEND, facts)
    members = [str(folder / f"{name}.keras") for name in NAMES]
    out = folder / "folder" / "both.keras"
    assert ensemble.main([*members, "--out", str(out)]) == 0
    return folder


@pytest.fixture
def members(files, tmp_path):
    """Files of the two networks, which a test may change."""
    return [shutil.copy(files / f"{name}.keras", tmp_path) for name in NAMES]


@pytest.fixture
def joined(files):
    return files / "folder" / "both.keras"


def test_similarity_is_the_mean_of_the_members(members, joined, rng):
    features = [rng.random((84, n)).astype(np.float32) for n in (1, 30, 30, 47)]
    encoder = load_encoder(joined)
    found = encoder.embed_features(features)
    assert found.shape == (4, encoder.dim) == (4, 8 + 96)
    alone = [load_encoder(member).embed_features(features) for member in members]
    expected = np.mean([e @ e.T for e in alone], axis=0)
    np.testing.assert_allclose(found @ found.T, expected, atol=1e-5)
    assert np.abs(alone[0] @ alone[0].T - expected).max() > 0.01


def test_shares_weigh_the_members(members, tmp_path, rng):
    features = rng.random((3, 84, 30)).astype(np.float32)
    out = tmp_path / "weighted.keras"
    ensemble.main([*members, "--shares", "3", "1", "--out", str(out)])
    found = load_encoder(out).embed_features(features)
    first, second = (
        embedded @ embedded.T
        for embedded in (load_encoder(m).embed_features(features) for m in members)
    )
    np.testing.assert_allclose(found @ found.T, 0.75 * first + 0.25 * second, atol=1e-5)
    assert load_model(out)[0].shares == [3.0, 1.0]


def test_an_ensemble_gives_its_members(members, joined, tmp_path, rng):
    out = tmp_path / "three.keras"
    ensemble.main([str(joined), members[0], "--shares", "1", "2", "--out", str(out)])
    model, info = load_model(out)
    assert model.shares == [0.5, 0.5, 2.0]
    assert [member["seed"] for member in info["members"]] == [
        *("first", "second", "first")
    ]
    features = rng.random((2, 84, 30)).astype(np.float32)
    pair, alone, three = (
        np.prod(load_encoder(path).embed_features(features), axis=0).sum()
        for path in (joined, members[0], out)
    )
    assert three == pytest.approx((pair + 2 * alone) / 3, abs=1e-5)


def test_encoders_of_12_bins_join_one_of_36(members, tmp_path, rng):
    fine = Frontend(n_bins=252, bins_per_octave=36, pool=5, estimated=True)
    settings = {"heard": 2, "pitch_classes": True, "embedding_dim": 8}
    notes = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=2, **settings))
    notes.build((None, 252, None, 1))
    save_model(notes, tmp_path / "notes.keras", fine, {})
    out = tmp_path / "both.keras"
    ensemble.main([members[0], str(tmp_path / "notes.keras"), "--out", str(out)])
    encoder = load_encoder(out)
    assert encoder.frontend == fine
    features = rng.random((252, 41)).astype(np.float32)
    folded = np.asarray(Semitones(4)(features[None, ..., None]))[0, ..., 0]
    parts = [
        load_encoder(members[0]).embed_features([folded]),
        load_encoder(tmp_path / "notes.keras").embed_features([features]),
    ]
    expected = np.concatenate(parts, axis=1) / np.sqrt(2)
    found = encoder.embed_features([features])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_encoder_reads_heard_notes_in_place_of_its_own(tmp_path, rng):
    keras.utils.set_random_seed(0)
    settings = {"width": 2, "pitch_classes": True, "embedding_dim": 8}
    own = ByteCover(Architecture(blocks=(1, 1, 1, 1), salience=2, **settings))
    own.build((None, 84, None, 1))
    save_model(own, tmp_path / "own.keras", FRONTEND, {"seed": "own"})
    member, out = str(tmp_path / "own.keras"), tmp_path / "both.keras"
    ensemble.main([member, f"notes:{member}", "--out", str(out)])
    amplitudes = rng.gamma(0.3, 3.0, (252, 40)).astype(np.float32)
    notes, _, melody = DEFAULT_HEARING.hear(amplitudes).reshape(3, 84, 10, 2).mean(-1)
    above = notes - notes.mean(axis=1, keepdims=True)
    given = np.stack([1.5 * melody, 2 * above], axis=-1).clip(0, 1)
    expected = np.asarray(own.embed_notes(given[None])["f_c"])[0]
    found = load_encoder(out).embed_features([amplitudes])[0, 8:]
    np.testing.assert_allclose(
        found * np.sqrt(2), expected / np.linalg.norm(expected), atol=1e-3
    )
    assert [one["seed"] for one in load_model(out)[1]["members"]] == ["own", "own"]


def test_only_a_network_that_reads_notes_can_read_heard_ones(members, tmp_path):
    out = str(tmp_path / "both.keras")
    with pytest.raises(ConfigError, match=r"notes:.*first.keras: cannot read heard"):
        ensemble.main([str(members[1]), f"notes:{members[0]}", "--out", out])


def test_it_knows_what_its_members_learned_from(joined):
    model, info = load_model(joined)
    assert isinstance(model, Ensemble)
    assert Frontend.from_dict(info["frontend"]) == FRONTEND
    assert [member["seed"] for member in info["members"]] == ["first", "second"]
    assert info["trained_on"] == {
        "works": {"tunes": ["a", "b"], "folder": ["c"]},
        "content": ["1", "2"],
        "is_whole": True,
    }


def test_no_member_s_training_set_can_be_measured_on(joined, small_set):
    tracks, store = small_set
    content = store.content([tracks[0].path])
    encoder = load_encoder(joined)
    for data, work in (("tunes", "a"), ("folder", "c")):
        track = replace(tracks[0], work=work)
        with pytest.raises(DataError, match=f"1 of these works.*{work}"):
            check_unseen(encoder, data, [track], content)
    check_unseen(encoder, "folder", [replace(tracks[0], work="a")], content)


def test_members_that_learned_from_nothing_known_say_nothing(members, tmp_path):
    for name in members:
        model, _ = load_single(name)
        save_model(model, tmp_path / name, FRONTEND, {})
    ensemble.main([*members, "--out", str(tmp_path / "new.keras")])
    seen = load_encoder(tmp_path / "new.keras").info["trained_on"]
    assert seen == {"works": {}, "content": [], "is_whole": False}


def test_config_round_trip(joined):
    model, _ = load_model(joined)
    again = Ensemble.from_config(model.get_config())
    assert again.get_config()["members"] == model.get_config()["members"]
    again.build((None, 84, None, 1))
    shape = (2, 84, 20, 1)
    assert again.compute_output_shape(shape) == {"f_c": (2, 8 + 96)}
    assert again(keras.ops.ones(shape))["f_c"].shape == (2, 8 + 96)


def test_what_cannot_be_joined_is_refused(members, tmp_path):
    out = ["--out", str(tmp_path / "new.keras")]
    with pytest.raises(ConfigError, match="two encoders or more"):
        ensemble.main([members[0], *out])
    with pytest.raises(ConfigError, match=r"must end in \.keras"):
        ensemble.main([*members, "--out", str(tmp_path / "new")])
    for shares in (["1"], ["1", "2", "3"]):
        with pytest.raises(ConfigError, match="--shares must be 2 numbers"):
            ensemble.main([*members, "--shares", *shares, *out])
    with pytest.raises(SystemExit):
        ensemble.main([*members, "--shares", "1", "0", *out])
    other = tmp_path / "other.keras"
    save_model(load_single(members[0])[0], other, Frontend(pool=50), {})
    with pytest.raises(FrontendMismatch, match=r"other\.keras.*pool"):
        ensemble.main([members[0], str(other), *out])
    assert not (tmp_path / "new.keras").exists()
    with pytest.raises(ValueError, match="two or more"):
        Ensemble([ByteCover()])
    with pytest.raises(ValueError, match="shares"):
        Ensemble([ByteCover(), ByteCover()], [1.0])


@pytest.fixture
def alike(members, tmp_path):
    """Files of two networks of one architecture."""
    model, info = load_single(members[0])
    other = model.fresh()
    path = tmp_path / "alike.keras"
    seen = {"data": "tunes", "works": ["d"], "content": ["3"]}
    save_model(other, path, FRONTEND, {**info, "trained_on": seen, "seed": "alike"})
    return [members[0], str(path)]


@pytest.mark.parametrize("shares", [None, (3, 1)])
def test_the_mean_of_weights_is_one_encoder(alike, tmp_path, capsys, shares, rng):
    out = tmp_path / "mean.keras"
    given = ["--shares", *map(str, shares)] if shares else []
    arguments = [*alike, "--mean-weights", *given, "--out", str(out)]
    assert ensemble.main(arguments) == 0
    assert f"2 encoders, 8 values; written: {out}" in capsys.readouterr().out
    first, second = (load_single(path)[0].get_weights() for path in alike)
    share = shares[0] / sum(shares) if shares else 0.5
    mean, info = load_single(out)
    for one, other, found in zip(first, second, mean.get_weights(), strict=True):
        np.testing.assert_allclose(found, share * one + (1 - share) * other, atol=1e-6)
    assert info["trained_on"]["works"] == {"tunes": ["a", "b", "d"]}
    assert [each["seed"] for each in info["averaged"]] == ["first", "alike"]
    assert load_encoder(out).embed_features(rng.random((1, 84, 30))).shape == (1, 8)


def test_a_mean_with_an_encoder_that_reads_heard_notes(tmp_path, rng):
    settings = {"blocks": (1, 1, 1, 1), "width": 2, "pitch_classes": True}
    model = ByteCover(Architecture(salience=2, **settings))
    model.build((None, 84, None, 1))
    save_model(model, tmp_path / "small.keras", FRONTEND, {})
    name = f"notes:{tmp_path / 'small.keras'}"
    out = tmp_path / "mean.keras"
    ensemble.main([name, name, "--mean-weights", "--out", str(out)])
    found, info = load_single(out)
    assert found.heard is not None
    assert Frontend.from_dict(info["frontend"]).bins_per_octave == 36
    np.testing.assert_allclose(
        found.backbone.get_weights()[0], model.backbone.get_weights()[0], rtol=1e-6
    )


def test_weights_without_a_mean_are_refused(members, alike, joined, tmp_path):
    out = ["--mean-weights", "--out", str(tmp_path / "new.keras")]
    with pytest.raises(ConfigError, match=r"second\.keras: has another architecture"):
        ensemble.main([*members, *out])
    with pytest.raises(EncoderError, match=r"both\.keras: is an ensemble"):
        ensemble.main([alike[0], str(joined), *out])
    other = tmp_path / "other.keras"
    save_model(load_single(members[0])[0], other, Frontend(pool=50), {})
    with pytest.raises(FrontendMismatch, match=r"other\.keras.*pool"):
        ensemble.main([members[0], str(other), *out])
    assert not (tmp_path / "new.keras").exists()
