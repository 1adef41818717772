"""The encoders that come with the package, on the recordings that do."""

import json
import shutil

import numpy as np
import pytest

from bytecover_tf import compare, evaluate, identify, index, load_encoder, metrics
from bytecover_tf.audio.chroma import HEARD_PARTS
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.data import tunes
from bytecover_tf.encoders import pretrained
from bytecover_tf.encoders.model_file import encoder_file
from bytecover_tf.errors import EncoderError
from bytecover_tf.matching.calibration import choose_calibration


@pytest.fixture(scope="module", params=["bytecover-small", "bytecover-base"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def encoder(name):
    return load_encoder(name)


def test_it_finds_versions_among_the_embedded_recordings(encoder):
    # Works that it was not trained on, rendered and transformed as real audio is.
    files = tunes.audio_files()
    embeddings = encoder.embed_audio(files)
    assert not encoder.errors
    works = [path.stem.rpartition("-")[0] for path in files]
    found = metrics.evaluate(
        embeddings @ embeddings.T, works, works, exclude=np.eye(len(files), dtype=bool)
    )
    rng = np.random.default_rng(0)
    chance = rng.standard_normal(embeddings.shape)
    at_random = metrics.evaluate(
        chance @ chance.T, works, works, exclude=np.eye(len(files), dtype=bool)
    )
    assert found["map"] > at_random["map"] + 0.3


def test_it_is_measured_on_the_embedded_set(tmp_path, capsys):
    out = tmp_path / "figures.json"
    asked = ["--encoder", pretrained.DEFAULT, "--json", str(out)]
    assert evaluate.main([*asked, "--align", "5"]) == 0
    figures = json.loads(out.read_text())
    assert figures["queries"] == figures["aligned"]["queries"] == 405
    assert figures["map"] > 0.9
    assert figures["aligned"]["map"] > 0.9
    assert figures["aligned"]["map"] != figures["map"]
    assert "5 candidates aligned: MAP" in capsys.readouterr().out


def test_a_folder_of_its_name_does_not_take_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / pretrained.DEFAULT).mkdir()
    assert pretrained.locate(pretrained.DEFAULT).parent == pretrained.WEIGHTS
    assert pretrained.lasting(pretrained.DEFAULT) == pretrained.DEFAULT
    own = f"./{pretrained.DEFAULT}"
    assert pretrained.lasting(own) == str(tmp_path / pretrained.DEFAULT)
    with pytest.raises(EncoderError, match="neither a run directory"):
        load_encoder(own)


def test_both_of_its_forms_are_one_encoder(name, encoder, rng):
    bins = encoder.frontend.n_bins
    features = [rng.random((bins, n)).astype(np.float32) for n in (5, 150)]
    other = load_encoder(encoder_file(name))
    expected = other.embed_features(features)
    graph = load_encoder(pretrained.WEIGHTS / name / "encoder_features.onnx")
    np.testing.assert_allclose(graph.embed_features(features), expected, atol=1e-4)
    # The weights that hear are rounded in the file and not in the network that is run.
    cosines = (encoder.embed_features(features) * expected).sum(axis=1)
    assert cosines.min() > 0.9999
    identity = Identity.of(encoder, name)
    assert identity == Identity.of(other, encoder_file(name))
    assert identity.encoder_path == name
    calibration = choose_calibration(identity.encoder, name, parts=HEARD_PARTS)
    assert calibration.encoder == identity.encoder


def test_it_is_the_default_of_the_commands(tmp_path, capsys):
    files = [str(path) for path in tunes.audio_files()[:3]]
    folder = tmp_path / "catalogue"
    where = ["--catalogue", str(folder)]
    (tmp_path / "list.csv").write_text(
        "id,work,path\n" + "".join(f"{i},w{i},{path}\n" for i, path in enumerate(files))
    )
    manifest = ["--manifest", str(tmp_path / "list.csv"), "--workers", "1"]
    assert index.main([*where, *manifest]) == 0
    with open_catalogue(folder) as catalogue:
        assert catalogue.identity.encoder_path == pretrained.FINDS_MOST
    capsys.readouterr()
    assert identify.main([*where, "--json", files[1]]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["matches"][0]["work"] == "w1"
    assert answer["matches"][0]["similarity"] == pytest.approx(1, abs=1e-3)
    assert compare.main([files[0], files[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["similarity"] == pytest.approx(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: [file.pop("sha256") for file in facts["files"]],
        lambda facts: [file.update(path=None) for file in facts["files"]],
        lambda facts: facts.update(files="x"),
        lambda facts: facts.update(encoder=None),
        lambda facts: facts["frontend"].update(sample_rate=10**400),
        lambda facts: facts["frontend"].update(bins_per_octave=10**400),
        lambda facts: facts["frontend"].update(fmin="x"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, change):
    for name in ("manifest.json", "encoder_features.onnx"):
        shutil.copy(pretrained.locate(pretrained.DEFAULT) / name, tmp_path)
    facts = json.loads((tmp_path / "manifest.json").read_text())
    change(facts)
    (tmp_path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(EncoderError, match=r"manifest\.json: not a manifest of export"):
        load_encoder(tmp_path)
