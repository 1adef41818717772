from dataclasses import replace
from types import SimpleNamespace

import milvus_server
import numpy as np
import pytest
from catalogue_rows import DIM, IDENTITY, chroma, whole

from benchmarks.common.processes import free_ports
from bytecover_tf.catalogues import milvus, open_catalogue
from bytecover_tf.errors import CatalogueError

pytest.importorskip("pymilvus")
grpc = pytest.importorskip("grpc")


@pytest.mark.parametrize(
    "address", ["milvus://host", "milvus://host:1/", "milvus://h:1/a-b", "milvus://h/a"]
)
def test_malformed_addresses_say_what_was_expected(address):
    with pytest.raises(CatalogueError, match="expected milvus://host:port/collection"):
        open_catalogue(address)


def test_a_server_that_is_not_there_is_one_message(monkeypatch):
    monkeypatch.setattr(milvus, "_CONNECT_TIMEOUT", 0.5)
    (port,) = free_ports(1)
    address = f"milvus://127.0.0.1:{port}/music"
    with pytest.raises(CatalogueError, match=address) as caught:
        open_catalogue(address, IDENTITY, create=True)
    assert "\n" not in str(caught.value)


def test_an_error_of_the_connection_is_one_message():
    class TooLate(grpc.RpcError, grpc.Call):
        def details(self):
            return "Deadline Exceeded"

    explained = milvus.MilvusCatalogue._explained
    TooLate.__abstractmethods__ = frozenset()
    with (
        pytest.raises(CatalogueError, match="milvus://h: Deadline Exceeded"),
        explained(SimpleNamespace(address="milvus://h")),
    ):
        raise TooLate


@pytest.mark.milvus
def test_a_collection_of_something_else_is_no_catalogue():
    pytest.importorskip("milvus")
    from pymilvus import MilvusClient

    address = milvus_server.new_address()
    client = MilvusClient(f"http://{milvus_server.start()}")
    client.create_collection(address.rsplit("/", 1)[1], dimension=4)
    with pytest.raises(CatalogueError, match="not a catalogue"):
        open_catalogue(address)


@pytest.mark.milvus
def test_a_password_is_sent(rng, monkeypatch):
    pytest.importorskip("milvus")
    server = milvus_server.start(guarded=True)
    address = f"milvus://{server}/guarded"
    monkeypatch.setattr(milvus, "_CONNECT_TIMEOUT", 2)
    monkeypatch.setenv("BYTECOVER_MILVUS_TOKEN", milvus_server.ROOT)
    with open_catalogue(address, IDENTITY, create=True) as made:
        made.add([whole(1, rng.standard_normal(DIM))])
    monkeypatch.delenv("BYTECOVER_MILVUS_TOKEN")
    with open_catalogue(f"milvus://{milvus_server.ROOT}@{server}/guarded") as opened:
        assert opened.address == address
        assert opened.count() == 1
    for wrong in (address, f"milvus://root:wrong@{server}/guarded"):
        with pytest.raises(CatalogueError, match=address) as caught:
            open_catalogue(wrong)
        assert "wrong" not in str(caught.value)


@pytest.mark.milvus
def test_a_collection_without_digests_is_read_and_added_to(rng, monkeypatch):
    pytest.importorskip("milvus")
    from pymilvus import CollectionSchema

    add_field = CollectionSchema.add_field

    def add_others(self, name, *arguments, **options):
        if name != "digest":
            add_field(self, name, *arguments, **options)

    address = milvus_server.new_address()
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(CollectionSchema, "add_field", add_others)
        with open_catalogue(address, IDENTITY, create=True) as made:
            made.add(rows[:1])
    with open_catalogue(address, IDENTITY) as opened:
        opened.add(rows[1:])
        assert {row.key: row.digest for row in opened.rows()} == {
            row.key: "" for row in rows
        }
        assert not opened.verify().damaged


@pytest.mark.milvus
def test_more_rows_than_one_request_holds(rng, monkeypatch):
    pytest.importorskip("milvus")
    monkeypatch.setattr(milvus, "_PARTS_AT_ONCE", 10)
    monkeypatch.setattr(milvus, "_ROWS_AT_ONCE", 20)
    monkeypatch.setattr(milvus, "_IDS_AT_ONCE", 7)
    rows = [whole(number, rng.standard_normal(DIM)) for number in range(55)]
    with open_catalogue(milvus_server.new_address(), IDENTITY, create=True) as made:
        made.add(rows)
        assert {row.key for row in made.rows()} == {row.key for row in rows}
        assert len(list(made.recordings())) == made.count() == 55
        ids = [row.recording.id for row in rows[:20]]
        assert sorted(row.recording.id for row in made.rows(ids)) == sorted(ids)
        heard = made.chroma([*ids, "unknown"])
        assert sorted(heard) == sorted(ids)
        np.testing.assert_array_equal(heard[ids[3]], rows[3].chroma)
        made.remove(ids)
        assert made.count() == 35


@pytest.mark.milvus
def test_a_change_of_index_that_was_cut_off_is_made_good(rng):
    pytest.importorskip("milvus")
    from pymilvus import MilvusClient

    address = milvus_server.new_address()
    row = whole(1, rng.standard_normal(DIM))
    with open_catalogue(address, IDENTITY, create=True) as made:
        made.add([row])
    client = MilvusClient(f"http://{milvus_server.start()}")
    name = address.rsplit("/", 1)[1]
    client.release_collection(name)
    client.drop_index(name, "embedding")
    with open_catalogue(address, IDENTITY) as opened:
        (hits,) = opened.search(row.embedding[None])
        assert [hit.recording for hit in hits] == [row.recording]


@pytest.mark.milvus
def test_chroma_of_more_than_an_hour_is_cut(rng):
    pytest.importorskip("milvus")
    row = replace(whole(1, rng.standard_normal(DIM)), chroma=chroma(1, 9000))
    with open_catalogue(milvus_server.new_address(), IDENTITY, create=True) as made:
        made.add([row])
        (stored,) = made.chroma([row.recording.id]).values()
        assert not made.verify().damaged
    np.testing.assert_array_equal(stored, row.chroma[:, : stored.shape[1]])
    assert stored.shape[1] * 0.4644 > 3600
