"""A Milvus server of the tests' own, from the PyPI package `milvus`."""

import atexit
import os
import tempfile
import uuid
from functools import cache
from pathlib import Path

from benchmarks.common.processes import free_ports

ROOT = "root:Milvus"
"""Name and password that a new server knows, if it asks for any."""


@cache
def start(guarded=False):
    """Start the server once, on free ports; return its `host:port`.

    It listens on every interface and has no setting against that.

    Args:
        guarded: whether it asks for a password.
    """
    from milvus import MilvusServer, MilvusServerConfig

    folder = tempfile.TemporaryDirectory(prefix="milvus-")
    config = MilvusServerConfig()
    names = [name for name in config.configurable_items if name.endswith("_port")]
    server = MilvusServer(config, data_dir=folder.name)
    server.config.update(**dict(zip(names, free_ports(len(names)), strict=True)))
    # Milliseconds that a strongly consistent read waits for.
    server.config.set("proxy.timeTickInterval", 50)
    server.config.set("authorization_enabled", guarded)
    server.webservice_port = free_ports(1)[0]
    # Its embedded etcd would take 2379 and 2380, which another server may have.
    etcd = Path(folder.name, "etcd.yaml")
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    etcd.write_text(
        f"listen-client-urls: {client}\nadvertise-client-urls: {client}\n"
        f"listen-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\n"
        f"initial-cluster: default={peer}\n"
    )
    os.environ["ETCD_CONFIG_PATH"] = str(etcd)
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    server.start()
    return f"127.0.0.1:{server.listen_port}"


def new_address():
    """Return the address of a collection that does not exist yet."""
    return f"milvus://{start()}/test_{uuid.uuid4().hex}"
