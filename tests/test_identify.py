import csv
import io
import json
import shutil
import subprocess
import sys

import keras
import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.catalogue import main as catalogue_main
from bytecover_tf.data import tunes
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.identify import main
from bytecover_tf.index import main as index_main
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from export.bundle import export

pytest.importorskip("lancedb")

FILES = tunes.audio_files()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The address of a catalogue of sixteen recordings, made with an export."""
    folder = tmp_path_factory.mktemp("library")
    keras.utils.set_random_seed(0)
    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    save_model(model, folder / "encoder.keras", Frontend(), {})
    export(folder / "encoder.keras", folder / "bundle", ["onnx"], ["features"])
    # From here on there is only the export.
    (folder / "encoder.keras").unlink()
    lines = ["work,path", *(f"{path.stem.rpartition('-')[0]},{path}" for path in FILES)]
    (folder / "known.csv").write_text("\n".join(lines))
    address = str(folder / "catalogue")
    made = index_main(
        [
            *("--catalogue", address, "--encoder", str(folder / "bundle")),
            *("--manifest", str(folder / "known.csv"), "--workers", "2"),
        ]
    )
    assert made == 0
    return address


@pytest.fixture
def clips(tmp_path):
    """A folder with the first 12 s of two recordings, and the two works."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in (1, 9):
        samples, rate = soundfile.read(FILES[number])
        soundfile.write(folder / f"{number}.mp3", samples[: 12 * rate], rate)
    return folder, [FILES[number].stem.rpartition("-")[0] for number in (1, 9)]


def test_json_has_a_line_for_each_query(library, clips, tmp_path, capsys):
    folder, works = clips
    (tmp_path / "bad.wav").write_bytes(b"bad")
    options = ["--catalogue", library, "--json", "--top", "3"]
    assert main([*options, str(tmp_path / "bad.wav"), str(folder)]) == 1
    told = capsys.readouterr()
    assert "probabilities by alignment alone" in told.err
    bad, *answers = map(json.loads, told.out.splitlines())
    assert bad.keys() == {"query", "error"}
    assert [answer["query"] for answer in answers] == sorted(map(str, folder.iterdir()))
    for answer, work in zip(answers, works, strict=True):
        assert answer["verdict"] == "version"
        assert len(answer["matches"]) == 3
        best = answer["matches"][0]
        assert best["work"] == work
        assert best["recording"] in map(str, FILES)
        assert 0 < best["probability"] <= 1
        assert best["similarity"] > 0.9
        assert best["transposition"] == 0
        assert best["tempo_ratio"] == pytest.approx(1, abs=0.05)


def test_csv_has_a_line_for_each_match(library, clips, tmp_path, capsys):
    folder, works = clips
    missing = str(tmp_path / "none.mp3")
    options = ["--catalogue", library, "--csv", "--top", "2"]
    assert main([*options, str(folder), missing]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["rank"] for row in rows] == ["1", "2", "1", "2", ""]
    assert [row["work"] for row in rows[::2]] == [*works, ""]
    assert "none.mp3" in rows[-1]["error"]
    assert not rows[0]["error"]


def test_the_table_says_where_and_how_sure(library, clips, tmp_path, capsys):
    folder, works = clips
    shutil.copy(FILES[4], tmp_path / "same.ogg")
    assert main(["--catalogue", library, str(folder), str(tmp_path / "same.ogg")]) == 0
    first, second, third = capsys.readouterr().out.split("\n\n")
    assert f"1.mp3: a version of {FILES[1].stem} (probability " in first
    row = next(line for line in first.splitlines() if FILES[1].stem in line[10:])
    assert works[0] in row
    assert " same  x 1.0" in first.splitlines()[2]
    assert f"9.mp3: a version of {FILES[9].stem}" in second
    assert f"same.ogg: the same recording as {FILES[4]}" in third
    assert len(third.splitlines()) == 12


def test_nothing_done(library, tmp_path, capsys):
    assert main(["--catalogue", library, str(tmp_path / "none.mp3")]) == 2
    assert "failed: " in capsys.readouterr().err
    told = subprocess.run(
        [
            *(sys.executable, "-m", "bytecover_tf.identify"),
            *("--catalogue", str(tmp_path / "none"), str(FILES[0])),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert told.stderr == f"error: {tmp_path / 'none'}: there is no catalogue\n"


def test_an_export_needs_nothing_heavy(library):
    program = (
        "import sys; from bytecover_tf.identify import main; "
        f"assert main(['--catalogue', {library!r}, {str(FILES[0])!r}]) == 0; "
        "heavy = {'tensorflow', 'keras', 'torch', 'librosa', 'scipy.signal', "
        "'scipy.special', 'scipy.stats', 'sklearn', 'matplotlib'}; "
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_another_encoder_is_refused(library, tmp_path):
    from bytecover_tf.errors import CatalogueError

    model = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4))
    model.build((None, 84, None, 1))
    save_model(model, tmp_path / "encoder.keras", Frontend(), {})
    options = ["--catalogue", library, "--encoder", str(tmp_path)]
    with pytest.raises(CatalogueError, match="made with the encoder"):
        main([*options, str(FILES[0])])
    # It was closed, not harmed.
    assert catalogue_main(["verify", "--catalogue", library]) == 0
