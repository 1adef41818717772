import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from catalogue_rows import DIM, IDENTITY, whole

from bytecover_tf.catalogues import Identity, lance, open_catalogue
from bytecover_tf.catalogues.catalogue import CatalogueMissing
from bytecover_tf.errors import CatalogueError

pytest.importorskip("lancedb")


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "song.flac").write_bytes(b"x")
    with pytest.raises(CatalogueError, match=r"other files, such as song\.flac"):
        open_catalogue(tmp_path, IDENTITY, create=True)
    assert (tmp_path / "song.flac").read_bytes() == b"x"
    assert os.listdir(tmp_path) == ["song.flac"]
    with pytest.raises(CatalogueError, match="expected a folder, found a file"):
        open_catalogue(tmp_path / "song.flac", IDENTITY, create=True)


def test_a_damaged_catalogue_is_one_message(tmp_path, rng):
    folder = tmp_path / "catalogue"
    with open_catalogue(folder, IDENTITY, create=True) as made:
        made.add([whole(1, rng.standard_normal(DIM))])
    for part in (folder / "recordings.lance").rglob("*"):
        if part.is_file():
            part.write_bytes(b"damaged")
    with pytest.raises(CatalogueError, match=str(folder)) as caught:
        list(open_catalogue(folder).recordings())
    assert "\n" not in str(caught.value)


def test_what_a_full_disk_left_of_a_new_catalogue_is_made_good(tmp_path, rng):
    versions = tmp_path / "recordings.lance" / "_versions"
    versions.mkdir(parents=True)
    (tmp_path / "lock").touch()
    with pytest.raises(CatalogueMissing):
        open_catalogue(tmp_path)
    row = whole(1, rng.standard_normal(DIM))
    with open_catalogue(tmp_path, IDENTITY, create=True) as made:
        made.add([row])
    with open_catalogue(tmp_path) as opened:
        assert [found.key for found in opened.rows()] == [row.key]


def test_a_lost_version_is_told(tmp_path, rng):
    with open_catalogue(tmp_path, IDENTITY, create=True) as made:
        made.add([whole(1, rng.standard_normal(DIM))])
        made.add([whole(2, rng.standard_normal(DIM))])
    # LanceDB counts down, so the latest comes first.
    manifests = sorted(tmp_path.glob("recordings.lance/_versions/*.manifest"))
    assert len(manifests) == 3
    for left in (2, 1):
        manifests[2 - left].unlink()
        for create in (False, True):
            with pytest.raises(CatalogueError, match=r"version 3 is lost.*remove .*/v"):
                open_catalogue(tmp_path, IDENTITY, create=create)
    manifests[2].unlink()
    for create in (False, True):
        with pytest.raises(CatalogueError, match="damaged; every version"):
            open_catalogue(tmp_path, IDENTITY, create=create)
    # As older versions made them, without the number.
    (tmp_path / "version").unlink()
    with pytest.raises(CatalogueError, match="damaged; every version"):
        open_catalogue(tmp_path, IDENTITY, create=True)
    assert len(list(tmp_path.glob("recordings.lance/data/*"))) == 2


def test_what_is_left_can_be_used_on_purpose(tmp_path, rng):
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(2)]
    with open_catalogue(tmp_path, IDENTITY, create=True) as made:
        made.add(rows[:1])
        made.add(rows[1:])
    min(tmp_path.glob("recordings.lance/_versions/*.manifest")).unlink()
    (tmp_path / "version").unlink()
    with open_catalogue(tmp_path, IDENTITY) as opened:
        assert [row.key for row in opened.rows()] == [rows[0].key]
        opened.add(rows[1:])
    with open_catalogue(tmp_path, IDENTITY) as opened:
        assert opened.count() == 2


def test_a_catalogue_without_digests_is_read_and_added_to(tmp_path, rng, monkeypatch):
    def older(identity):
        schema = made_schema(identity)
        return schema.remove(schema.get_field_index("digest"))

    made_schema = lance._schema
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(lance, "_schema", older)
        with open_catalogue(tmp_path, IDENTITY, create=True) as made:
            made.add(rows[:2])
    (tmp_path / "version").unlink()
    with open_catalogue(tmp_path, IDENTITY) as opened:
        opened.add(rows[2:])
        assert {row.digest for row in opened.rows()} == {""}
        assert {row.key for row in opened.rows()} == {row.key for row in rows}
        assert not opened.verify().damaged


def test_a_table_of_something_else_is_no_catalogue(tmp_path):
    import lancedb

    lancedb.connect(tmp_path).create_table("recordings", [{"a": 1}])
    with pytest.raises(CatalogueError, match="not a catalogue"):
        open_catalogue(tmp_path)


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is unwritable for root")
def test_a_folder_that_may_only_be_read_can_be_searched(tmp_path, rng):
    folder = tmp_path / "catalogue"
    row = whole(1, rng.standard_normal(DIM))
    with open_catalogue(folder, IDENTITY, create=True) as made:
        made.add([row])
    os.chmod(folder, 0o500)
    with open_catalogue(folder, IDENTITY) as opened:
        assert opened.search(row.embedding[None])[0][0].recording == row.recording
        with pytest.raises(CatalogueError, match="denied"):
            opened.add([row])
    os.chmod(folder, 0o700)


def test_a_write_that_fails_leaves_what_was_there(tmp_path, rng):
    folder = tmp_path / "catalogue"
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(3)]
    with open_catalogue(folder, IDENTITY, create=True) as made:
        made.add(rows)
        data = folder / "recordings.lance" / "data"
        data.rename(tmp_path / "aside")
        data.write_text("in the way")
        with pytest.raises(CatalogueError, match=str(folder)):
            made.add([whole(3, rng.standard_normal(DIM))])
        data.unlink()
        shutil.move(tmp_path / "aside", data)
        assert made.count() == 3
        made.add([whole(3, rng.standard_normal(DIM))])
    with open_catalogue(folder) as opened:
        assert opened.count() == 4


def test_many_writes_leave_few_files(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(lance, "_TIDY", 10)
    folder = tmp_path / "catalogue"
    with open_catalogue(folder, IDENTITY, create=True) as made:
        for number in range(40):
            made.add([whole(number, rng.standard_normal(DIM))])
        fragments = made._table.stats()["fragment_stats"]["num_fragments"]
        assert fragments < 10
        assert made.count() == 40


def data_files(folder):
    return {path.name for path in (folder / "recordings.lance" / "data").iterdir()}


def test_a_large_catalogue_is_not_written_again_for_a_few_recordings(
    tmp_path, rng, monkeypatch
):
    monkeypatch.setattr(lance, "_TIDY", 4)
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(12)]
    with open_catalogue(tmp_path / "x", IDENTITY, create=True) as made:

        def fragments():
            return made._table.stats()["fragment_stats"]["num_fragments"]

        made.add(rows[:9])
        made.optimize(exact_rows=5)
        before = data_files(tmp_path / "x")
        made.add(rows[9:10])
        assert made.optimize(exact_rows=5).rows == 10
        assert len(data_files(tmp_path / "x") - before) == 1  # the new row alone
        assert fragments() == 2
        # It is found without a place in the index.
        assert made.search(rows[9].embedding[None], 1)[0][0].recording == (
            rows[9].recording
        )
        made.add(rows[10:11])
        made.add(rows[11:])
        made.optimize(exact_rows=5)
        assert fragments() < 4
        # A small one is tidied each time.
        made.optimize()
        made.optimize()
        assert fragments() == 1


def test_many_rows_may_lie_in_more_files(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(lance, "_TIDY", 1)
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(420)]
    fragments = []
    with open_catalogue(tmp_path / "x", IDENTITY, create=True) as made:
        made.add(rows[:400])
        for row in rows[400:]:
            made.add([row])
            stats = made._table.stats()["fragment_stats"]
            fragments.append(stats["num_fragments"])
        assert made.count() == 420
    # At first one file and 18 more; the next is the twentieth, and 20 * 20 < 419.
    assert fragments == [*range(2, 20), 1, 2]


def test_an_index_that_is_outgrown_is_built_anew(tmp_path, rng):
    vectors = rng.standard_normal((900, DIM))
    rows = [whole(number, vector) for number, vector in enumerate(vectors)]
    with open_catalogue(tmp_path / "x", IDENTITY, create=True) as made:

        def names():
            return [index.name for index in made._table.list_indices()]

        made.add(rows[:300])
        made.optimize(exact_rows=200)
        assert names() == ["partitions_300"]
        made.add(rows[300:500])
        made.optimize(exact_rows=200)
        assert names() == ["partitions_300"]
        made.add(rows[500:])
        made.optimize(exact_rows=200)
        assert names() == ["partitions_900"]


def test_a_former_index_serves_until_it_is_replaced(tmp_path, rng):
    from lancedb.index import HnswSq

    rows = [whole(number, rng.standard_normal(DIM)) for number in range(300)]
    with open_catalogue(tmp_path / "x", IDENTITY, create=True) as made:
        made.add(rows)
        made._table.create_index(
            "embedding",
            config=HnswSq(distance_type="cosine", num_partitions=1),
            name="embedding_300",
        )
        (hits,) = made.search(rows[7].embedding[None], 1)
        assert hits[0].recording == rows[7].recording
        assert made.optimize(exact_rows=200).recall >= 0.99
        assert [one.name for one in made._table.list_indices()] == ["partitions_300"]
        (hits,) = made.search(rows[7].embedding[None], 1)
        assert hits[0].recording == rows[7].recording


def test_of_two_that_make_it_both_get_the_same(tmp_path):
    one = open_catalogue(tmp_path / "x", IDENTITY, create=True)
    other = replace(IDENTITY, encoder="f" * 64)
    with pytest.raises(CatalogueError, match="encoder"):
        open_catalogue(tmp_path / "x", other, create=True)
    assert one.identity == IDENTITY
    assert np.array_equal(one.search(np.ones((0, DIM))), [])


def test_the_effort_is_chosen_by_recall(tmp_path, rng, monkeypatch):
    # Neighbours in random directions lie in any of the partitions.
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(3000)]
    folder = tmp_path / "x"
    monkeypatch.setattr(lance, "_PARTITION_ROWS", 100)
    monkeypatch.setattr(lance, "_SHARES", (0.1, 1))
    with open_catalogue(folder, IDENTITY, create=True) as made:
        made.add(rows)
        with open_catalogue(folder) as reader:
            index = made.optimize(exact_rows=2000)
            assert reader._partitions == 30
            assert index.recall >= 0.995
        monkeypatch.setattr(lance, "_WANTED_RECALL", 0.2)
        # The index is as it was, and so is what it finds.
        assert made.optimize(exact_rows=2000) == index
        assert made._partitions == 30
        monkeypatch.setattr(made, "_is_scattered", lambda rows: True)
        # LanceDB would join partitions as small as these.
        monkeypatch.setattr(made, "_tidy", lambda: None)
        assert made.optimize(exact_rows=2000).recall < index.recall
        assert made._partitions == 3
        # What is written later changes nothing of the choice.
        made.add(rows[:10])
        made.optimize(exact_rows=2000)
        assert made._partitions == 3
        assert next(made.rows([rows[0].recording.id])).key == rows[0].key


def test_an_identity_of_a_later_version_is_one_message(tmp_path, monkeypatch):
    text = json.dumps({**json.loads(IDENTITY.to_json()), "listener": "by ear"})
    monkeypatch.setattr(Identity, "to_json", lambda self: text)
    with pytest.raises(CatalogueError, match="later version.*listener"):
        open_catalogue(tmp_path / "catalogue", IDENTITY, create=True)
