import zipfile
from pathlib import Path

import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.synth.scores.corpora import (
    CHORALES,
    COLLECTIONS,
    LIEDER,
    list_files,
    read_file,
)

BY_NAME = {collection.name: collection for collection in COLLECTIONS}


@pytest.mark.parametrize(
    "name", [name for name, collection in BY_NAME.items() if collection.pattern]
)
def test_music21_brings_the_collection(name):
    assert len(list_files(BY_NAME[name], None)) > 0


def test_no_essen_folksongs():
    # Their terms allow non-commercial use only.
    files = [file for c in COLLECTIONS for file in list_files(c, None)]
    assert not [file for file in files if "essenFolksong" in file]


def test_a_tune_of_ryans():
    ryan = BY_NAME["Ryan's Mammoth Collection"]
    file = next(f for f in list_files(ryan, None) if f.endswith("LanigansBallJig.abc"))
    (score,) = read_file(ryan, file, None)
    assert score.title == "LANIGAN'S BALL -- JIG"
    assert (score.tonic, score.minor, score.beat) == (4, True, 1.5)
    assert [n.pitch for n in score.melody[:5]] == [66, 64, 66, 67, 69]


def test_a_chorale_has_its_title_and_four_voices():
    bach = BY_NAME[CHORALES]
    file = next(f for f in list_files(bach, None) if Path(f).stem == "bwv269")
    (score,) = read_file(bach, file, None)
    assert score.title == "Aus meines Herzens Grunde"
    assert len(score.parts) == 3
    assert (score.tonic, score.minor) == (7, False)


def test_lieder_are_named_by_song_and_composer_and_bad_ones_reported(tmp_path):
    lieder = BY_NAME[LIEDER]
    archive = tmp_path / "lieder.zip"
    name = "Schubert,_Franz/Winterreise/21_Das_Wirthshaus/lc1.mxl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, b"no score")
        file.writestr("LICENSE.txt", b"CC0")
    assert list_files(lieder, archive) == [name]
    assert list_files(lieder, None) == []
    (error,) = read_file(lieder, name, archive)
    assert isinstance(error, DataError)
    assert "'Das Wirthshaus (Schubert)'" in str(error)


def test_damaged_archives_are_told(tmp_path):
    archive = tmp_path / "lieder.zip"
    archive.write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"lieder\.zip cannot be read as a zip"):
        list_files(BY_NAME[LIEDER], archive)
    name = "Schubert,_Franz/Set/1_Song/lc1.mxl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, b"a score " * 50)
    whole = archive.read_bytes()
    archive.write_bytes(whole.replace(b"a score ", b"b score ", 1))
    assert list_files(BY_NAME[LIEDER], archive) == [name]
    (error,) = read_file(BY_NAME[LIEDER], name, archive)
    assert isinstance(error, DataError)
    assert "CRC" in str(error)


@pytest.mark.parametrize(
    "name",
    [
        "Lieder-main/scores/Schubert,_Franz/Winterreise/21_Das_Wirthshaus/lc1.mxl",
        "21_Das_Wirthshaus/lc1.mxl",
    ],
)
def test_lieder_may_lie_in_other_folders(tmp_path, name):
    archive = tmp_path / "lieder.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, b"no score")
    (error,) = read_file(BY_NAME[LIEDER], name, archive)
    assert "Das Wirthshaus" in str(error)
