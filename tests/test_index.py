import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Hearing
from bytecover_tf.catalogue import main as catalogue_main
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.catalogues.catalogue import IndexQuality
from bytecover_tf.catalogues.lance import LanceCatalogue
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.errors import CatalogueError, ConfigError, EncoderError
from bytecover_tf.files import content_hash
from bytecover_tf.identify import main as identify_main
from bytecover_tf.index import main
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.server.engine import EngineSettings
from export.bundle import export

pytest.importorskip("lancedb")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An export of an untrained encoder, which loads without TensorFlow."""
    folder = tmp_path_factory.mktemp("run")
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    save_model(model, folder / "encoder.keras", Frontend(pool=20), {})
    export(folder / "encoder.keras", folder / "bundle", ["onnx"], ["features"])
    return folder / "bundle"


@pytest.fixture
def folder(tmp_path, music):
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(3):
        soundfile.write(folder / f"{number}.flac", music(5, seed=number), 22050)
    return folder


def command(address, run, *more):
    return [
        *(sys.executable, "-m", "bytecover_tf.index", "--catalogue", str(address)),
        *("--encoder", str(run), "--workers", "1", *map(str, more)),
    ]


def test_a_folder_that_was_emptied_is_pruned_if_asked(tmp_path, run, folder, capsys):
    options = ["--catalogue", str(tmp_path / "catalogue"), "--workers", "1"]
    assert main([*options, "--encoder", str(run), str(folder)]) == 0
    for file in folder.iterdir():
        file.unlink()
    assert main([*options, "--prune", str(folder)]) == 2
    assert "If they are gone for good, add --prune-many" in capsys.readouterr().err
    assert main([*options, "--prune-many", str(folder)]) == 0
    assert main([*options, "--prune-many", str(folder)]) == 2
    assert f"{folder}: expected recordings, found none" in capsys.readouterr().err
    other = ["--catalogue", str(tmp_path / "other"), "--prune", str(folder)]
    with pytest.raises(CatalogueError, match="other"):
        main(other)
    assert not (tmp_path / "other").exists()
    with open_catalogue(tmp_path / "catalogue") as catalogue:
        assert catalogue.count() == 0


def test_what_is_pruned_must_be_named(tmp_path, capsys):
    options = ["--catalogue", str(tmp_path / "none"), "--manifest", "list.csv"]
    with pytest.raises(SystemExit):
        main([*options, "--prune"])
    assert "expected a FOLDER, below which" in capsys.readouterr().err


def test_index_verify_and_remove(tmp_path, run, folder, capsys):
    address = str(tmp_path / "catalogue")
    options = ["--catalogue", address, "--workers", "1"]
    assert main([*options, "--encoder", str(run), str(folder)]) == 0
    assert f"{address}: 3 added; 3 recordings" in capsys.readouterr().out
    encoder = load_encoder(run)
    files = [folder / f"{number}.flac" for number in range(3)]
    expected = encoder.embed_audio(files)
    with open_catalogue(address) as catalogue:
        rows = {row.recording.path: row.embedding for row in catalogue.rows()}
    for path, embedding in zip(files, expected, strict=True):
        np.testing.assert_allclose(rows[str(path)], embedding, atol=1e-5)

    # From here on the catalogue knows its encoder.
    assert main([*options, str(folder)]) == 0
    assert f"{address}: 3 already there; 3 recordings" in capsys.readouterr().out
    assert catalogue_main(["verify", *options[:2], str(folder)]) == 0
    (folder / "new.wav").write_bytes(b"new")
    files[0].unlink()
    assert catalogue_main(["verify", *options[:2], str(folder)]) == 1
    told = capsys.readouterr().out
    assert f"missing: {files[0]}\n" in told
    assert f"not indexed: {folder / 'new.wav'}\n" in told
    assert main([*options, "--prune", str(folder)]) == 1
    told = capsys.readouterr()
    assert "1 removed, 2 already there, 1 failed; 2 recordings" in told.out
    assert f"skipped: {folder / 'new.wav'}" in told.err

    assert catalogue_main(["info", *options[:2]]) == 0
    told = capsys.readouterr().out
    assert "2 of 2 works" in told
    assert str(run) in told
    assert "whole recordings only" in told
    remove = ["remove", *options[:2]]
    assert catalogue_main([*remove, str(files[1]), "unknown"]) == 1
    told = capsys.readouterr()
    assert "1 removed, 1 left" in told.out
    assert "not in the catalogue: unknown" in told.err
    assert catalogue_main([*remove, "unknown"]) == 2


def test_nothing_but_bad_files_is_nothing_done(tmp_path, run):
    (tmp_path / "bad.wav").write_bytes(b"bad")
    address = str(tmp_path / "catalogue")
    options = ["--catalogue", address, "--encoder", str(run), "--workers", "1"]
    assert main([*options, str(tmp_path)]) == 2


def test_wrong_usage_is_told(tmp_path, run, folder):
    def told(*options):
        result = subprocess.run(
            [sys.executable, "-m", "bytecover_tf.index", *map(str, options)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 2
        return result.stderr

    new = ["--catalogue", tmp_path / "catalogue"]
    assert "expected a FOLDER or --manifest" in told(*new)
    assert "expected a folder or a file, found none" in told(*new, tmp_path / "none")
    assert not (tmp_path / "catalogue").exists()


def test_another_encoder_or_other_windows_are_refused(tmp_path, run, folder, music):
    options = ["--catalogue", str(tmp_path / "catalogue"), "--workers", "1"]
    with_windows = ["--segments", "2", "1"]
    assert main([*options, "--encoder", str(run), *with_windows, str(folder)]) == 0
    assert main([*options, str(folder)]) == 0
    with open_catalogue(options[1]) as catalogue:
        before = sorted(row.key for row in catalogue.rows())
    assert len(before) > 3
    other = tmp_path / "other"
    other.mkdir()
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    save_model(model, other / "encoder.keras", Frontend(pool=20), {})
    soundfile.write(folder / "new.flac", music(5, seed=9), 22050)
    for wrong in (["--encoder", str(other)], ["--segments", "3", "1"]):
        with pytest.raises(CatalogueError, match="another catalogue"):
            main([*options, *wrong, str(folder)])
    with open_catalogue(options[1]) as catalogue:
        assert sorted(row.key for row in catalogue.rows()) == before


def contents(address):
    with open_catalogue(address) as catalogue:
        assert catalogue.verify().is_sound
        rows = list(catalogue.rows())
        assert catalogue.count() == len({row.recording.id for row in rows})
    assert len({row.key for row in rows}) == len(rows)
    return {row.key: (row.recording, row.start, row.end, row.embedding) for row in rows}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, (*facts, embedding) in expected.items():
        assert list(found[key][:3]) == facts
        np.testing.assert_allclose(found[key][3], embedding, atol=1e-5)


def test_killed_and_run_again_ends_the_same(address, tmp_path, run, folder, music):
    for number in range(3, 40):
        path = folder / f"{number}.flac"
        soundfile.write(path, music(10, seed=number), 22050)
    # Copies are where the order of the files could show.
    for number in range(0, 40, 9):
        (folder / f"copy {number}.flac").write_bytes(
            (folder / f"{number}.flac").read_bytes()
        )
    process = subprocess.Popen(command(address, run, folder), start_new_session=True)
    deadline = time.monotonic() + 200
    while not count(address):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < count(address) < 40
    with open_catalogue(address) as catalogue:
        assert catalogue.verify().is_sound

    again = subprocess.run(command(address, run, folder), check=False, timeout=200)
    assert again.returncode == 0
    whole = tmp_path / "uninterrupted"
    assert main(command(whole, run, folder)[3:]) == 0
    assert count(address) == 40
    assert_same(contents(address), contents(whole))


def count(address):
    try:
        with open_catalogue(address) as catalogue:
            return catalogue.count()
    except Exception:  # not made yet
        return 0


def test_two_at_once_end_as_one(address, tmp_path, run, folder, music):
    for number in range(3, 20):
        path = folder / f"{number}.flac"
        soundfile.write(path, music(5, seed=number), 22050)
    both = [subprocess.Popen(command(address, run, folder)) for _ in range(2)]
    for process in both:
        assert process.wait(200) == 0
    alone = tmp_path / "alone"
    assert main(command(alone, run, folder)[3:]) == 0
    assert count(address) == 20
    assert_same(contents(address), contents(alone))


@pytest.mark.parametrize(("recall", "is_told"), [(0.99, False), (0.98, True)])
def test_a_poor_approximate_index_is_told(
    recall, is_told, tmp_path, run, folder, monkeypatch, capsys
):
    index = IndexQuality(60_000, recall)
    monkeypatch.setattr(LanceCatalogue, "optimize", lambda _: index)
    assert main(command(tmp_path / "catalogue", run, folder)[3:]) == 0
    told = capsys.readouterr()
    assert f"recall@10 {recall:.3f}" in told.out
    assert ("warning:" in told.err) == is_told


def stored(address):
    with open_catalogue(address) as catalogue:
        rows = {row.recording.path: row.chroma for row in catalogue.rows()}
        return catalogue.identity, rows


def test_notes_are_heard_by_default(tmp_path, run, folder):
    address = tmp_path / "catalogue"
    assert main(command(address, run, folder)[3:]) == 0
    identity, rows = stored(address)
    assert identity.hearing == DEFAULT_HEARING.checksum
    assert len(rows) == 3
    for path, chroma in rows.items():
        _, expected = Frontend(pool=20).extract_with_chroma(path, DEFAULT_HEARING)
        assert chroma.shape == expected.shape == (60, 10)
        assert np.abs(chroma.astype(int) - expected).max() <= 8


def test_without_hearing_it_is_still_usable_and_says_so(
    tmp_path, run, folder, music, capsys
):
    address = tmp_path / "catalogue"
    options = command(address, run, folder)[3:]
    assert main([*options, "--hearing", "none"]) == 0
    assert "hearing" not in capsys.readouterr().err
    identity, rows = stored(address)
    assert (identity.hearing, identity.parts) == ("", 1)
    for path, chroma in rows.items():
        _, expected = Frontend(pool=20).extract_with_chroma(path)
        assert np.abs(chroma.astype(int) - expected).max() <= 8
    soundfile.write(folder / "new.flac", music(5, seed=9), 22050)
    assert main(options) == 0
    told = capsys.readouterr()
    assert f"{address}: made without hearing notes" in told.err
    assert "1 added, 3 already there; 4 recordings" in told.out
    # Whoever says that it is meant to be so is not told.
    assert main([*options, "--hearing", "none"]) == 0
    assert "hearing" not in capsys.readouterr().err
    identify = ["--catalogue", str(address), "--json", str(folder / "new.flac")]
    assert identify_main(identify) == 0
    best = json.loads(capsys.readouterr().out)["matches"][0]
    assert best["recording"] == str(folder / "new.flac")
    assert best["same_recording"]
    assert catalogue_main(["verify", "--catalogue", str(address), str(folder)]) == 0


def test_other_hearing_than_the_catalogue_has_is_refused(tmp_path, run, folder):
    address = tmp_path / "catalogue"
    options = command(address, run, folder)[3:]
    own = tmp_path / "own.onnx"
    shutil.copy(DEFAULT_HEARING.path, own)
    onnx_model = onnx.load(own)
    onnx_model.doc_string = "another"
    onnx.save(onnx_model, own)
    assert main([*options, "--hearing", str(own)]) == 0
    identity, rows = stored(address)
    assert identity.hearing == content_hash(own)
    assert identity.hearing_path == str(own)
    assert {len(chroma) for chroma in rows.values()} == {60}
    assert main(options) == 0
    assert main([*options, "--hearing", str(own)]) == 0
    for other in ("none", DEFAULT_HEARING.path):
        with pytest.raises(CatalogueError, match=f"SHA-256 {identity.hearing[:12]}, n"):
            main([*options, "--hearing", other])
    own.write_bytes(b"another")
    with pytest.raises(CatalogueError, match="heard by another network"):
        main(options)
    own.unlink()
    with pytest.raises(CatalogueError, match=r"own\.onnx: no network that hears"):
        main(options)
    assert stored(address)[1].keys() == rows.keys()


def test_hearing_that_was_moved_can_be_pointed_to(tmp_path, run, folder, music, capsys):
    address = tmp_path / "catalogue"
    options = command(address, run, folder)[3:]
    own, moved = tmp_path / "own.onnx", tmp_path / "moved.onnx"
    onnx_model = onnx.load(DEFAULT_HEARING.path)
    onnx_model.doc_string = "another"
    onnx.save(onnx_model, own)
    assert main([*options, "--hearing", str(own)]) == 0
    own.rename(moved)
    soundfile.write(folder / "late.flac", music(5, seed=9), 22050)
    identify = ["--catalogue", str(address), "--json", str(folder / "late.flac")]
    for refused in (options, identify):
        with pytest.raises(CatalogueError, match="give its new path with --hearing"):
            (main if refused is options else identify_main)(refused)
    with pytest.raises(CatalogueError, match="give its new path with --hearing"):
        EngineSettings(str(address))()
    EngineSettings(
        str(address), hearing=Hearing(str(moved))
    )()  # as `serve --hearing` does
    assert main([*options, "--hearing", str(moved)]) == 0
    capsys.readouterr()
    assert identify_main([*identify, "--hearing", str(moved)]) == 0
    best = json.loads(capsys.readouterr().out)["matches"][0]
    assert best["same_recording"]
    with pytest.raises(CatalogueError, match="made with the hearing network of"):
        identify_main([*identify, "--hearing", DEFAULT_HEARING.path])


def test_precomputed_transforms_need_a_catalogue_without_hearing(
    tmp_path, run, folder, music, capsys
):
    fine = Frontend(pool=1, normalization="none")
    np.save(folder / "3.npy", fine.features(music(5, seed=3)))
    heard, plain = tmp_path / "heard", tmp_path / "plain"
    assert main(command(heard, run, folder)[3:]) == 1
    told = capsys.readouterr()
    assert "3 added, 1 failed" in told.out
    assert f"skipped: {folder / '3.npy'}: notes are heard in sound" in told.err
    assert "--hearing none" in told.err
    assert main([*command(plain, run, folder)[3:], "--hearing", "none"]) == 0
    assert stored(plain)[1][str(folder / "3.npy")].shape == (12, 10)


def test_what_cannot_hear_makes_no_catalogue(tmp_path, run, folder):
    address = tmp_path / "catalogue"
    options = command(address, run, folder)[3:]
    with pytest.raises(EncoderError, match=r"none\.onnx: no network that hears"):
        main([*options, "--hearing", "none.onnx"])
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    with pytest.raises(EncoderError, match=r"text\.onnx: not a network that hears"):
        main([*options, "--hearing", str(text)])
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    fast = Frontend(sample_rate=44100, hop_length=1024, pool=20)
    save_model(model, tmp_path / "encoder.keras", fast, {})
    options = command(address, tmp_path / "encoder.keras", folder)[3:]
    with pytest.raises(ConfigError, match="22050 Hz .* not at 44100 Hz .* 'none'"):
        main(options)
    assert not address.exists()
    assert main([*options, "--hearing", "none"]) == 0
