import logging

import pytest

from bytecover_tf.data import load_dataset
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError

ANNOTATIONS = "work_id,track_id\n1,19629\n1,23880\n7,18644\n"
METADATA = """\
work_id;Music_Name;track_id;Artist_Name;Source
1;ADMIRAVEL GADO NOVO;19629;CASSIA ELLER;CD
1;ADMIRAVEL GADO NOVO;23880;"RAMALHO; ZE";CD
7;ANJO;18644;;
"""


@pytest.fixture
def root(tmp_path):
    for name in ("1/19629.h5", "1/23880.h5", "other/note.txt"):
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CoversBR_annotations.csv", ANNOTATIONS),
        ("CoversBR_metadata.csv", METADATA),
        ("CoversBR_annotations.csv", "\ufeff" + ANNOTATIONS),
    ],
)
def test_works_and_published_features(root, caplog, name, text):
    (root / name).write_text(text, encoding="utf-8")
    (root / "audio" / "live.mp3").touch()
    with caplog.at_level(logging.WARNING):
        tracks = load_dataset("coversbr", root)
    assert tracks == [
        Track("19629", "1", str(root / "audio/1/19629.h5")),
        Track("23880", "1", str(root / "audio/1/23880.h5")),
    ]
    assert "1 of 3 recordings have no file" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("work,track\n1,2\n", "columns work_id and track_id separated by ','"),
        ("work_id;track_id\n1;2\n", "found work_id;track_id"),
        ("work_id,track_id\n1\n", ":2: expected 2 fields"),
        ("work_id,track_id\n1,2\n7,2\n", ":3: 2 is in 1 already"),
        ("work_id,track_id\n1,2\n", "none that is listed"),
    ],
)
def test_malformed_lists(root, text, message):
    (root / "CoversBR_annotations.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset("coversbr", root)


def test_a_quotation_mark_that_nothing_closes_costs_no_other_line(root):
    text = METADATA.replace("7;ANJO;18644;;", '7;ANJO;18644;"SEU JORGE;')
    (root / "CoversBR_metadata.csv").write_text(text + "8;HINO;5;A;CD\n")
    assert [track.id for track in load_dataset("coversbr", root)] == ["19629", "23880"]
    (root / "CoversBR_metadata.csv").write_text(METADATA.replace(";ANJO", ';"ANJO'))
    with pytest.raises(DataError, match="metadata.csv:4: expected 5 fields"):
        load_dataset("coversbr", root)


def test_no_list(root):
    with pytest.raises(DataError, match="expected CoversBR_annotations.csv or"):
        load_dataset("coversbr", root)
