import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import soundfile
from catalogue_rows import recording
from matplotlib.image import imread

from bytecover_tf.audio.chroma import seconds_per_frame
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.calibrate import main
from bytecover_tf.catalogues import open_catalogue
from bytecover_tf.data import tunes
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.errors import ConfigError, DataError
from bytecover_tf.index import main as index_main
from bytecover_tf.matching import calibration_fit
from bytecover_tf.matching.calibration import choose_calibration
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover

pytest.importorskip("lancedb")


@pytest.mark.parametrize("seconds", [None, 3])
def test_what_is_there_of_a_truncated_file_is_a_query(seconds, tmp_path, music, rng):
    path = tmp_path / "song.wav"
    soundfile.write(path, music(6), 22050)
    path.write_bytes(path.read_bytes()[: 4 * 2 * 22050])
    encoder = SimpleNamespace(frontend=Frontend())
    query = calibration_fit._query(
        recording(1, path=str(path)), encoder, None, seconds, rng
    )
    length = query.chroma.shape[1] * seconds_per_frame(Frontend())
    assert length == pytest.approx(seconds or 4, abs=0.5)


def test_an_encoder_gets_a_calibration_of_its_own(tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    save_model(model, run / "encoder.keras", Frontend(), {})
    files = tunes.audio_files()
    lines = ["work,path", *(f"{path.stem.rpartition('-')[0]},{path}" for path in files)]
    (tmp_path / "known.csv").write_text("\n".join(lines))
    address = str(tmp_path / "catalogue")
    made = index_main(
        [
            *("--catalogue", address, "--encoder", str(run)),
            *("--manifest", str(tmp_path / "known.csv"), "--workers", "2"),
        ]
    )
    assert made == 0
    with open_catalogue(address) as catalogue:
        identity = catalogue.identity
        recordings = list(catalogue.recordings())
    options = ["--catalogue", address, "--plot", str(tmp_path / "reliability.png")]
    capsys.readouterr()
    assert main(options) == 0
    told = capsys.readouterr()
    assert f"written: {run / 'calibration-notes.json'}" in told.out
    assert "too few" not in told.err
    assert imread(tmp_path / "reliability.png").std() > 0.05
    found = choose_calibration(identity.encoder, run, parts=identity.parts)
    assert found.encoder == identity.encoder
    assert found.score > 0
    # Each of 16 with the 15 others, 3 of them versions.
    facts = json.loads((run / "calibration-notes.json").read_text())["origin"]
    assert (facts["queries"], facts["pairs"], facts["versions"]) == (16, 240, 48)

    # Some files are gone, or others in their place, which is told.
    moved = [replace(item, path=f"{item.path}.gone") for item in recordings[:2]]
    swapped = replace(recordings[2], path=recordings[3].path, size=1)
    with open_catalogue(address) as catalogue:
        catalogue.update([*moved, swapped])
    other = tmp_path / "other.json"
    assert main([*options, "--out", str(other), "--queries", "16"]) == 1
    told = capsys.readouterr().err
    assert told.count("skipped: ") == 3
    assert f"{recordings[3].path}: is not what the catalogue knows" in told
    versions = json.loads(other.read_text())["origin"]["versions"]
    assert (f"{versions} pairs of versions are too few" in told) == (versions < 40)

    gone = [replace(item, path=f"{item.path}.gone") for item in recordings]
    with open_catalogue(address) as catalogue:
        catalogue.update(gone)
    with pytest.raises(DataError, match=r"16 of 16 could not be read, such as .*gone"):
        main([*options, "--out", str(tmp_path / "none.json")])
    with open_catalogue(address) as catalogue:
        kept = {item.id: item for item in (*recordings, *moved, swapped)}
        catalogue.update(list(kept.values()))

    few = tmp_path / "few.json"
    assert main([*options, "--out", str(few), "--queries", "4"]) in (0, 1)
    assert "are too few" in capsys.readouterr().err
    assert json.loads(other.read_text())["origin"]["queries"] == 13

    # The calibration of another encoder in that folder is not written over.
    beside = run / "calibration-notes.json"
    replace(found, encoder="e" * 64).save(beside)
    kept = beside.read_text()
    with pytest.raises(ConfigError, match="fitted with the encoder of SHA-256 eeee"):
        main(options)
    assert beside.read_text() == kept
    assert main([*options, "--out", str(beside), "--queries", "4"]) in (0, 1)

    with open_catalogue(address) as catalogue:
        catalogue.update([replace(item, work=item.id) for item in recordings])
    with pytest.raises(DataError, match="works with several recordings"):
        main(options)
