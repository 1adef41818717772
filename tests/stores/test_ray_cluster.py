import os
import signal
import sys

import numpy as np
import pytest
import soundfile
from projection import DIM, FRONTEND, Projection, Serial

from bytecover_tf.catalogues import Identity, indexing, open_catalogue
from bytecover_tf.catalogues.indexing import index_files
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import ClusterError
from bytecover_tf.stores.ray_cluster import map_on_cluster


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("here", "expected host:port"),
        ("127.0.0.1:1", "no Ray cluster can be reached"),
        ("ray://127.0.0.1:1", "no Ray cluster can be reached"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_message(address, reason):
    pytest.importorskip("ray")
    with pytest.raises(ClusterError, match=reason) as caught:
        list(map_on_cluster(address, str.upper, ["a"]))
    assert str(caught.value).startswith(f"{address}: ")
    assert "\n" not in str(caught.value)


def test_without_ray_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"bytecover_tf\[ray\]"):
        list(map_on_cluster("auto", str.upper, ["a"]))


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of two machines of one CPU each, both of them this one."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.other = made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.mark.ray
def test_each_path_once_and_a_deadly_one_costs_only_itself(cluster):
    def read(path):
        if path == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        return path.upper()

    paths = ["deadly", *(f"song {number}" for number in range(20))]
    found = list(map_on_cluster(cluster.address, read, paths))
    assert len(found) == 21
    results = dict(found)
    assert "WorkerCrashedError" in results.pop("deadly")
    assert results == {path: path.upper() for path in paths[1:]}


@pytest.mark.ray
def test_a_worker_and_a_machine_die_and_nothing_is_lost_or_doubled(
    cluster, tmp_path, music, monkeypatch
):
    pytest.importorskip("lancedb")
    paths = []
    for number in range(24):
        paths.append(str(tmp_path / f"{number}.flac"))
        soundfile.write(paths[-1], music(5, seed=number), 22050)
    bad = tmp_path / "bad.mp3"
    bad.write_text("no audio\n" * 99)
    paths.insert(5, str(bad))
    flag = tmp_path / "a worker has died"

    class Mortal(indexing.Reader):
        def __call__(self, path):
            if path.endswith("/3.flac") and not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(path)

    identity = Identity("e" * 64, FRONTEND, DIM)
    encoder = Encoder(Projection())
    monkeypatch.setattr(indexing, "ProcessMap", Serial)
    with open_catalogue(tmp_path / "alone", identity, create=True) as alone:
        index_files(alone, lambda: encoder, paths)
        expected = {row.key: row for row in alone.rows()}
    assert len(expected) == 24

    with open_catalogue(tmp_path / "cluster", identity, create=True) as catalogue:
        add, batches = catalogue.add, []

        def add_and_kill(rows):
            add(rows)
            batches.append(len(rows))
            if len(batches) == 1:
                cluster.remove_node(cluster.other, allow_graceful=False)

        monkeypatch.setattr(catalogue, "add", add_and_kill)
        monkeypatch.setattr(indexing, "Reader", Mortal)
        report = index_files(catalogue, lambda: encoder, paths, ray=cluster.address)
        found = {row.key: row for row in catalogue.rows()}
    assert flag.exists()
    assert sum(batches) == report.added == 24
    assert list(report.failed) == [str(bad)]
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key].recording == row.recording
        np.testing.assert_allclose(found[key].embedding, row.embedding, atol=1e-5)
        np.testing.assert_array_equal(found[key].chroma, row.chroma)
