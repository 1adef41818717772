import numpy as np
import pytest

from bytecover_tf.encoders.encoder import load_encoder
from export.client import ServingClient

pytest.importorskip("tensorflow_serving")
from prediction_service import Server


@pytest.fixture
def server(bundle, tmp_path):
    (tmp_path / "bytecover").symlink_to(bundle / "saved_model")
    server = Server(tmp_path, 8)
    yield server
    server.stop()


def test_a_bundle_is_served(server, bundle, encoder_path, music):
    waveforms = [music(9, 1), music(5, 2)]
    expected = load_encoder(encoder_path).embed_waveforms(waveforms)
    for protocol in ("grpc", "rest"):
        client = ServingClient(server.address(protocol), bundle)
        client.check_frontend()
        np.testing.assert_allclose(
            client.embed_waveforms(waveforms), expected, atol=1e-4
        )
        client = ServingClient(server.address(protocol), bundle, send="waveform")
        result = client.embed_waveforms(waveforms)
        assert (np.sum(result * expected, axis=1) >= 0.9999).all()
