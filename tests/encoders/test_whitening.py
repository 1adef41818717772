import numpy as np
import pytest

from bytecover_tf import whiten
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.encoders.model_file import load_model, save_model
from bytecover_tf.encoders.whitening import discriminants, whitened
from bytecover_tf.errors import ConfigError, DataError, EncoderError
from bytecover_tf.evaluation.protocol import evaluate_tracks
from bytecover_tf.metrics import evaluate
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.synth.scores.works import write_csv

NETWORK = {"blocks": (1, 1, 1, 1), "width": 2}


def versions(rng, works, dim=12, count=5):
    """Embeddings whose versions differ most where works do not."""
    names = np.repeat(np.arange(works), count)
    centres = rng.normal(size=(works, dim))
    centres[:, dim // 2 :] *= 0.1
    spread = np.where(np.arange(dim) < dim // 2, 0.3, 2.0)
    mixing = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    embeddings = (centres[names] + spread * rng.normal(size=(len(names), dim))) @ mixing
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), names


def mean_average_precision(embeddings, works):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return evaluate(unit @ unit.T, works, works, np.eye(len(works), dtype=bool))["map"]


def test_versions_differ_equally_in_all_directions(rng):
    embeddings, works = versions(rng, 40)
    matrix = discriminants(embeddings, works, shrinkage=0.2)
    assert matrix.dtype == np.float32
    within = np.zeros((12, 12))
    for work in range(40):
        for embedding in embeddings[works == work]:
            difference = embedding - embeddings[works == work].mean(axis=0)
            within += np.outer(difference, difference) / (len(embeddings) - 40)
    shrunk = 0.8 * within + 0.2 * np.trace(within) / 12 * np.eye(12)
    np.testing.assert_allclose(matrix.T @ shrunk @ matrix, np.eye(12), atol=1e-3)


def test_other_works_are_told_apart_better_and_by_fewer_values(rng):
    embeddings, works = versions(rng, 60)
    known, unseen = works < 40, works >= 40
    matrix = discriminants(embeddings[known], works[known])
    plain = mean_average_precision(embeddings[unseen], works[unseen])
    best, worst = (
        mean_average_precision(embeddings[unseen] @ part, works[unseen])
        for part in (matrix[:, :6], matrix[:, 6:])
    )
    assert best > plain + 0.1
    assert worst < plain


def test_works_with_one_version_change_nothing(rng):
    embeddings, works = versions(rng, 10)
    matrix = discriminants(embeddings, works)
    more = np.concatenate([embeddings, rng.normal(size=(3, 12))])
    np.testing.assert_array_equal(discriminants(more, [*works, 90, 91, 92]), matrix)
    with pytest.raises(DataError, match="found 1 among 3 works"):
        discriminants(embeddings[:4], [0, 0, 1, 2])
    with pytest.raises(ConfigError, match="between 0 and 1"):
        discriminants(embeddings, works, shrinkage=1.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"bnneck": False},
        {"embedding_dim": 8, "pooling": "average"},
        {"salience": 2, "pitch_classes": True, "input_power": 0.5},
        {"registers": 2, "pitch_classes": True},
    ],
)
def test_the_map_follows_the_network(arguments, rng):
    model = ByteCover(Architecture(**NETWORK, **arguments))
    model.build((None, 84, None, 1))
    for variable in model.variables:
        if "neck" in variable.path or "projection" in variable.path:
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
    matrix = rng.normal(size=(model.dim, 5)).astype(np.float32)
    result = whitened(model, matrix)
    assert result.dim == 5
    for frames in (24, 41):
        features = rng.random((3, 84, frames, 1)).astype(np.float32)
        expected = np.asarray(model(features)["f_c"]) @ matrix
        found = np.asarray(result(features)["f_c"])
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_another_network_has_nothing_to_whiten():
    model = ByteCover(Architecture(width=2, network="cqtnet"))
    with pytest.raises(EncoderError, match="cqtnet"):
        whitened(model, np.eye(300))


@pytest.fixture
def encoder(small_set, tmp_path):
    """The files of a data set of the layout of `tunes`, and of an encoder."""
    tracks, store = small_set
    rows = [{"id": t.id, "work": t.work, "path": t.path, "split": t.split,
             "role": t.role} for t in tracks]  # fmt: skip
    write_csv(tmp_path / "tracks.csv", rows)
    model = ByteCover(Architecture(**NETWORK))
    model.build((None, 84, None, 1))
    seen = {"data": "other", "works": ["w"], "content": ["ffffffffffff"]}
    save_model(model, tmp_path / "encoder.keras", store.frontend, {"trained_on": seen})
    return tmp_path / "encoder.keras"


def command(encoder, *more):
    return [
        *("--encoder", str(encoder), "--out", str(encoder.with_name("new.keras"))),
        *("--data", "tunes", "--data-root", str(encoder.parent), *more),
    ]


def test_the_command_writes_an_encoder(small_set, encoder, capsys):
    tracks, store = small_set
    assert whiten.main(command(encoder, "--dim", "16", "--shrinkage", "0.5")) == 0
    printed = capsys.readouterr().out
    assert "before, 64 values, validation works: MAP" in printed
    assert "whitened, 16 values, validation works: MAP" in printed

    train = [track for track in tracks if track.split == "train"]
    before, after = load_encoder(encoder), load_encoder(encoder.with_name("new.keras"))
    features = [store.features(track.path) for track in tracks]
    fitted = before.embed_features(features[: len(train)])
    matrix = discriminants(fitted, [track.work for track in train], 0.5)[:, :16]
    expected = before.embed_features(features) @ matrix
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(after.embed_features(features), expected, atol=1e-3)
    whitening = after.info["whitening"]
    assert whitening == {"data": "tunes", "recordings": 32, "shrinkage": 0.5}
    assert after.info["config"]["embedding_dim"] == 16
    validation = [track for track in tracks if track.split == "validation"]
    figures = evaluate_tracks(after, validation, store).metrics
    assert after.info["validation"]["map"] == pytest.approx(figures["map"])
    # What it was fitted on is not to be measured on, nor what came before.
    seen = after.info["trained_on"]
    assert seen["works"]["tunes"] == sorted({track.work for track in train})
    assert set(seen["content"]) > {"ffffffffffff"}
    assert len(seen["content"]) == 33


def test_recordings_that_cannot_be_embedded_are_counted(
    small_set, encoder, capsys, monkeypatch
):
    bad = [small_set[0][number].path for number in (0, 33)]
    embed = Encoder.try_features

    def try_features(self, features, names):
        found = embed(self, features, names)
        wrong = {names.index(name): f"{name}: silent" for name in bad if name in names}
        return found._replace(errors={**found.errors, **wrong})

    monkeypatch.setattr(Encoder, "try_features", try_features)
    assert whiten.main(command(encoder)) == 1
    told = capsys.readouterr().err
    assert [told.count(f"skipped: {name}: silent") for name in bad] == [1, 1]
    after = load_encoder(encoder.with_name("new.keras"))
    assert after.info["whitening"]["recordings"] == 31


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--dim", "65"), "1 to 64"),
        (("--out", "encoder.onnx"), "end in .keras"),
        (("--shrinkage", "1"), "between 0 and 1"),
    ],
)
def test_wrong_use_is_explained(encoder, more, reason):
    with pytest.raises(ConfigError, match=reason):
        whiten.main(command(encoder, *more))
    assert not encoder.with_name("new.keras").exists()


def test_validation_works_that_were_trained_on_are_refused(small_set, encoder):
    tracks, store = small_set
    model, info = load_model(encoder)
    seen = {**info["trained_on"], "content": [store.entry(tracks[33].path).key[:12]]}
    save_model(model, encoder, Frontend(), {"trained_on": seen})
    with pytest.raises(DataError, match="1 of these recordings"):
        whiten.main(command(encoder))


def test_works_of_both_splits_are_refused(encoder):
    table = encoder.with_name("tracks.csv")
    first, *lines = table.read_text().splitlines()
    shared = next(line for line in lines if ",validation," in line).split(",")[1]
    changed = [
        line.replace(line.split(",")[1], shared, 1) if number == 0 else line
        for number, line in enumerate(lines)
    ]
    table.write_text("\n".join([first, *changed]))
    with pytest.raises(DataError, match="^train and validation have in common 1 works"):
        whiten.main(command(encoder))
