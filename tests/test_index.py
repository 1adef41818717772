import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogue import main as catalogue_main
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.catalogues.catalogue import IndexQuality
from bytecover_tf.catalogues.lance import LanceCatalogue
from bytecover_tf.encoders.encoder import load_encoder
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.index import main
from bytecover_tf.models.bytecover import ByteCover

pytest.importorskip("lancedb")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory with an untrained encoder."""
    folder = tmp_path_factory.mktemp("run")
    model = ByteCover(blocks=(1, 1, 1, 1), width=4)
    model.build((None, 84, None, 1))
    save_model(model, folder / "encoder.keras", Frontend(pool=20), {})
    return folder


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
    assert "not there: unknown" in told.err
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
    assert "expected a folder, found none" in told(*new, tmp_path / "none")
    assert not (tmp_path / "catalogue").exists()


def test_another_encoder_or_other_windows_are_refused(tmp_path, run, folder, music):
    from bytecover_tf.errors import CatalogueError

    options = ["--catalogue", str(tmp_path / "catalogue"), "--workers", "1"]
    with_windows = ["--segments", "2", "1"]
    assert main([*options, "--encoder", str(run), *with_windows, str(folder)]) == 0
    assert main([*options, str(folder)]) == 0
    with open_catalogue(options[1]) as catalogue:
        before = sorted(row.key for row in catalogue.rows())
    assert len(before) > 3
    other = tmp_path / "other"
    other.mkdir()
    model = ByteCover(blocks=(1, 1, 1, 1), width=4)
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
