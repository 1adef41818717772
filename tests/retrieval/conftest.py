import milvus_server
import pytest
from catalogue_rows import IDENTITY

from bytecover_tf.retrieval import open_catalogue


@pytest.fixture
def catalogue(address):
    with open_catalogue(address, IDENTITY, create=True) as made:
        yield made


@pytest.fixture(
    params=["lance", pytest.param("milvus", marks=pytest.mark.milvus)],
)
def address(request, tmp_path):
    if request.param == "lance":
        pytest.importorskip("lancedb")
        return str(tmp_path / "catalogue")
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus")
    return milvus_server.new_address()
