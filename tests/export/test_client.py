import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import grpc
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.encoder import Encoder
from bytecover_tf.errors import ConfigError, EncoderError, FrontendMismatch
from export import transport
from export.client import ServingClient
from export.serving import write_serving_files
from export.transport import _to_json

pytest.importorskip("tensorflow_serving")
from prediction_service import Server
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

FRONTEND = Frontend(n_bins=48, fmin=130.8127826502993, pool=20)
DIM = 16
MAX_BATCH = 4
PROTOCOLS = ["grpc", "rest"]


class Toy(tf.Module):
    """A network whose embedding depends on every frame and on the length.

    The transform is the constant-Q transform by its definition: one filter per bin
    over the whole recording, at every hop.
    """

    def __init__(self):
        super().__init__()
        import librosa

        filters, lengths = librosa.filters.wavelet(
            freqs=FRONTEND.fmin * 2 ** (np.arange(48) / 12),
            sr=FRONTEND.sample_rate,
            window=FRONTEND.window,
        )
        filters = filters * np.sqrt(lengths)[:, None]
        stacked = np.stack([filters.real, filters.imag], axis=1).reshape(96, -1)
        self.filters = tf.constant(stacked.T[:, None], tf.float32)
        rng = np.random.default_rng(3)
        self.matrix = tf.constant(rng.standard_normal((3 * 48, DIM)), tf.float32)

    def embed(self, x):
        steps = tf.reduce_sum(tf.abs(x[..., 1:] - x[..., :-1]), -1)
        steps /= tf.cast(tf.shape(x)[-1], tf.float32)
        parts = [tf.reduce_mean(x, -1), tf.reduce_max(x, -1), 3 * steps]
        return tf.math.l2_normalize(tf.concat(parts, -1) @ self.matrix, -1)

    def transform(self, waveform):
        half = self.filters.shape[0] // 2
        padded = tf.pad(waveform, [[0, 0], [half, half]])[..., None]
        parts = tf.nn.conv1d(padded, self.filters, FRONTEND.hop_length, "VALID")
        pairs = tf.reshape(parts, [tf.shape(parts)[0], -1, 48, 2])
        magnitudes = tf.transpose(tf.norm(pairs, axis=-1), [0, 2, 1])
        frames = tf.shape(magnitudes)[2] // FRONTEND.pool
        whole = magnitudes[..., : frames * FRONTEND.pool]
        blocks = tf.reshape(whole, [-1, 48, frames, FRONTEND.pool])
        pooled = tf.reduce_mean(blocks, -1)
        return pooled / tf.reduce_max(pooled, axis=[1, 2], keepdims=True)

    @tf.function
    def from_features(self, features):
        return {"embedding": self.embed(features)}

    @tf.function
    def from_waveform(self, waveform):
        return {"embedding": self.embed(self.transform(waveform))}

    @tf.function
    def in_double(self, features):
        return {"embedding": self.embed(tf.cast(features, tf.float32))}


def spec(name, *shape, dtype=tf.float32):
    return tf.TensorSpec([None, *shape], dtype, name)


@pytest.fixture(scope="module")
def toy():
    return Toy()


@pytest.fixture(scope="module")
def root(toy, tmp_path_factory):
    """A server's directory: the encoder, and others that are not quite one."""
    root = tmp_path_factory.mktemp("models")
    features = toy.from_features.get_concrete_function(spec("features", 48, None))
    waveform = toy.from_waveform.get_concrete_function(spec("waveform", None))
    double = toy.in_double.get_concrete_function(
        spec("features", 48, None, dtype=tf.float64)
    )
    models = {
        "bytecover": {"serving_default": waveform, "features": features},
        "waveform_only": {"serving_default": waveform},
        "double": {"features": double},
    }
    for name, signatures in models.items():
        tf.saved_model.save(toy, root / name / "1", signatures)
    return root


@pytest.fixture(scope="module")
def server(root):
    server = Server(root, MAX_BATCH)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _calm(request):
    if "server" in request.fixturenames:
        request.getfixturevalue("server").reset()


@pytest.fixture(params=PROTOCOLS)
def address(server, request):
    return server.address(request.param)


@pytest.fixture
def client(address):
    return ServingClient(address, FRONTEND, max_batch=MAX_BATCH)


@pytest.fixture(scope="module")
def local(toy):
    """The same network in this process."""

    class Network:
        frontend = FRONTEND
        dim = DIM

        def __call__(self, features):
            return toy.from_features(tf.constant(features[..., 0]))["embedding"].numpy()

    return Encoder(Network())


@pytest.fixture
def features(rng):
    arrays = [rng.random((48, n)).astype(np.float32) for n in (9, 9, 30, 1, 9)]
    return [array / array.max() for array in arrays]


def refused(address, **changes):
    with pytest.raises(EncoderError) as error:
        ServingClient(address, FRONTEND, **changes)
    assert address in str(error.value)
    return str(error.value)


# -- embeddings ---------------------------------------------------------------------


def test_the_same_embeddings_as_in_memory(client, local, features, music, tmp_path):
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    waveforms = [music(7, 1), music(3, 2)]
    for path, samples in zip(paths, waveforms, strict=True):
        soundfile.write(path, samples, 22050, subtype="FLOAT")
    assert client.dim == DIM
    for method, inputs in (
        ("embed_features", features),
        ("embed_waveforms", waveforms),
        ("embed_audio", paths),
    ):
        ours = getattr(client, method)(inputs)
        reference = getattr(local, method)(inputs)
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, reference, atol=1e-6)
        assert not client.errors


def test_waveforms_sent_as_they_are(address, toy, server, music, tmp_path):
    client = ServingClient(address, FRONTEND, send="waveform")
    waveforms = [music(2, 1), music(3.3, 2)]
    soundfile.write(tmp_path / "a.wav", waveforms[0], 22050, subtype="FLOAT")
    result = client.embed_waveforms(waveforms)
    assert server.requests() == [("serving_default", 1)] * 2
    for row, samples in zip(result, waveforms, strict=True):
        reference = toy.from_waveform(tf.constant(samples[None]))["embedding"]
        np.testing.assert_allclose(row, reference[0], atol=1e-6)
    row = client.embed_audio([tmp_path / "a.wav"])
    np.testing.assert_allclose(row, result[:1], atol=1e-6)
    assert client.embed_waveforms([]).shape == (0, DIM)


def test_a_long_waveform_is_embedded_by_its_parts(
    address, toy, server, music, monkeypatch
):
    monkeypatch.setattr("export.client.LONGEST_WORK", 5.0)
    monkeypatch.setattr("export.client.PART", 2.0)
    samples = music(7, 1)
    samples[2 * 22050 : 4 * 22050] = 0  # a pause says nothing
    client = ServingClient(address, FRONTEND, send="waveform")
    (found,) = client.embed_waveforms([samples])
    assert server.requests() == [("serving_default", 1)] * 3
    total = np.zeros(DIM)
    for start in (0, 4, 5):
        part = samples[start * 22050 :][: 2 * 22050]
        vector = toy.from_waveform(tf.constant(part[None]))["embedding"].numpy()[0]
        total += vector / np.linalg.norm(vector)
    np.testing.assert_allclose(found, total / np.linalg.norm(total), atol=1e-6)


def test_batches_are_split_to_the_limit(client, local, server, rng):
    features = list(rng.random((11, 48, 5)))
    result = client.embed_features(features)
    assert [rows for _, rows in server.requests()] == [4, 4, 3]
    np.testing.assert_allclose(result, local.embed_features(features), atol=1e-6)


def test_warm_up_requests_are_accepted(server, local, music, tmp_path):
    features = FRONTEND.features(music(4))
    (tmp_path / "saved_model/1").mkdir(parents=True)
    inputs = {"features": [features], "serving_default": [music(4)]}
    path = write_serving_files(tmp_path, inputs)[-1]
    target = server.address("grpc").removeprefix("grpc://")
    with grpc.insecure_channel(target) as channel:
        stub = PredictionServiceStub(channel)
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = PredictionLog.FromString(record).predict_log.request
            response = stub.Predict(request, timeout=10)
            np.testing.assert_allclose(
                tf.make_ndarray(response.outputs["embedding"]),
                local.embed_features([features]),
                atol=0.01,  # the toy's transform is not librosa's
            )
    assert server.requests() == [("features", 1), ("serving_default", 1)]


def test_float32_survives_json(rng):
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)].reshape(1, -1)[:, :190_000]
    text = _to_json(values)
    np.testing.assert_array_equal(np.array(json.loads(text), np.float32), values)
    assert len(text) < 0.75 * len(json.dumps(values.tolist()))


# -- bad input ----------------------------------------------------------------------


@pytest.mark.parametrize("send", ["features", "waveform"])
def test_bad_files_are_reported_and_not_sent(address, server, music, tmp_path, send):
    client = ServingClient(address, FRONTEND, send=send)
    soundfile.write(tmp_path / "good.wav", music(3), 22050)
    soundfile.write(tmp_path / "short.wav", music(0.3), 22050)
    soundfile.write(tmp_path / "silent.wav", np.zeros(44100), 22050)
    (tmp_path / "text.mp3").write_text("no music")
    names = ["text.mp3", "good.wav", "short.wav", "silent.wav", "missing.wav"]
    result = client.embed_audio([tmp_path / name for name in names])
    assert np.isfinite(result).all(axis=1).tolist() == [
        name == "good.wav" for name in names
    ]
    assert sorted(client.errors) == [0, 2, 3, 4]
    for index, message in client.errors.items():
        assert names[index] in message
    assert "0.44 s are needed" in client.errors[2]
    assert [rows for _, rows in server.requests()] == [1]


@pytest.mark.parametrize("send", ["features", "waveform"])
def test_bad_arrays_are_reported_and_not_sent(address, server, music, send):
    client = ServingClient(address, FRONTEND, send=send)
    nan = music(3)
    nan[1000] = np.nan
    bad = [nan, music(0.3), np.zeros(44100, np.float32), np.ones((2, 44100)), "no"]
    assert np.isnan(client.embed_waveforms(bad)).all()
    assert sorted(client.errors) == [0, 1, 2, 3, 4]
    bad = [np.full((48, 5), np.nan), np.zeros((48, 5)), np.ones((84, 5)), np.ones(48)]
    assert np.isnan(client.embed_features(bad)).all()
    assert sorted(client.errors) == [0, 1, 2, 3]
    assert server.requests() == []


# -- a server in trouble ------------------------------------------------------------


def test_unavailable_is_tried_again(client, local, server, features):
    server.plan(unavailable=2)
    result = client.embed_features(features[:1])
    np.testing.assert_allclose(result, local.embed_features(features[:1]), atol=1e-6)
    assert len(server.requests()) == 3


def test_unavailable_for_good(address, server, features):
    client = ServingClient(address, FRONTEND, retries=1)
    server.plan(unavailable=100)
    with pytest.raises(EncoderError, match="unavailable after 2 tries .*queue is full"):
        client.embed_features(features)
    assert len(server.requests()) == 2


def test_a_refused_request_is_not_repeated(address, server, rng):
    client = ServingClient(address, FRONTEND, max_batch=MAX_BATCH + 1)
    with pytest.raises(EncoderError, match="INVALID|400.*size 5 is larger than .* 4"):
        client.embed_features(list(rng.random((5, 48, 5))))
    assert len(server.requests()) == 1


def test_a_deadline_names_the_server(address, server, features):
    client = ServingClient(address, FRONTEND, timeout=0.4)
    server.plan(delay=1.5)
    with pytest.raises(EncoderError) as error:
        client.embed_features(features)
    assert address in str(error.value)
    assert "no answer within 0.4 s" in str(error.value)
    assert len(server.requests()) == 1


def test_the_deadline_includes_the_retries(address, server, features):
    client = ServingClient(address, FRONTEND, timeout=0.4, retries=1000)
    server.plan(unavailable=1000)
    with pytest.raises(EncoderError, match="unavailable"):
        client.embed_features(features)
    assert 1 < len(server.requests()) < 10


def test_no_server_at_the_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    for scheme in ("grpc", "http"):
        message = refused(f"{scheme}://127.0.0.1:{port}", retries=2)
        assert "unavailable after 3 tries" in message


def test_another_kind_of_server(server):
    message = refused(server.address("rest") + "/elsewhere")
    assert "400 Bad Request: Malformed request" in message


# -- another model ------------------------------------------------------------------


def test_a_model_that_the_server_does_not_have(address):
    message = refused(address, model="nope")
    assert "'nope'" in message
    assert "Servable not found for request: Latest(nope)" in message


def test_a_model_without_the_signature(address):
    message = refused(address, model="waveform_only")
    assert "no signature 'features'; found" in message
    assert "'serving_default'" in message
    ServingClient(address, FRONTEND, model="waveform_only", send="waveform")


def test_a_model_of_another_type(address):
    message = refused(address, model="double")
    assert "is features: DT_DOUBLE (-1, 48, -1) -> embedding: DT_FLOAT" in message
    assert "expected features: DT_FLOAT (-1, 48, -1)" in message


def test_a_model_of_another_frontend(address):
    with pytest.raises(FrontendMismatch, match="takes 48 frequency bins.* has 84"):
        ServingClient(address, Frontend())
    ServingClient(address, FRONTEND).check_frontend()
    other = Frontend(**{**FRONTEND.to_dict(), "pool": 40})
    with pytest.raises(FrontendMismatch, match="another frontend than this client"):
        ServingClient(address, other).check_frontend()


# -- arguments ----------------------------------------------------------------------


def test_the_frontend_of_a_bundle(server, tmp_path):
    address = server.address("grpc")
    manifest = tmp_path / "manifest.json"
    with pytest.raises(EncoderError, match="manifest.json: expected the manifest"):
        ServingClient(address, tmp_path)
    manifest.write_text(json.dumps({"frontend": FRONTEND.to_dict()}))
    assert ServingClient(address, tmp_path).frontend == FRONTEND
    assert ServingClient(address, str(manifest)).frontend == FRONTEND


@pytest.mark.parametrize(
    ("address", "changes"),
    [
        ("127.0.0.1:8500", {}),
        ("ftp://127.0.0.1", {}),
        ("http://127.0.0.1:85x0", {}),
        ("http://[::1", {}),
        ("http://127.0.0.1:1", {"authorization": "Bearer gr\u00f6\u00dfer"}),
        ("grpc://127.0.0.1:1", {"authorization": "Bearer a\nb"}),
        ("grpc://127.0.0.1:1", {"send": "audio"}),
        ("grpc://127.0.0.1:1", {"timeout": 0}),
        ("grpc://127.0.0.1:1", {"timeout": float("inf")}),
        ("http://127.0.0.1:1", {"timeout": 1e7}),
        ("grpc://127.0.0.1:1", {"retries": -1}),
        ("grpc://127.0.0.1:1", {"max_batch": 0}),
    ],
)
def test_impossible_arguments(address, changes):
    with pytest.raises(ConfigError) as error:
        ServingClient(address, FRONTEND, **changes)
    assert "Bearer" not in str(error.value)


def test_the_client_needs_no_tensorflow():
    code = "import sys, export.client; print('tensorflow' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.stdout.strip() == "False"


def answering(*parts, pause=0.0, times=1):
    """Serve answers to whoever connects; return the address and what was asked."""
    asked = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, suppress(OSError):
            for _ in range(times):
                connection, _ = listener.accept()
                with connection:
                    asked.append(connection.recv(65536).decode())
                    for part in parts:
                        connection.sendall(part)
                        time.sleep(pause)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}", asked


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize("start", [b"", HEAD], ids=["headers", "body"])
def test_a_server_that_answers_byte_by_byte_has_a_deadline(start):
    parts = [start + b"HTTP/1.1 200 OK\r\nX: "] + 200 * [b" "]
    address, _ = answering(*parts, pause=0.1)
    with pytest.raises(EncoderError, match="no answer within 1 s"):
        ServingClient(f"http://{address}", FRONTEND, timeout=1)


def test_an_answer_without_end_is_not_read(monkeypatch):
    monkeypatch.setattr(transport, "_MOST_BYTES", 2**20)
    address, _ = answering(HEAD, *(40 * [2**16 * b"1"]))
    with pytest.raises(EncoderError, match="longer than 1 MiB"):
        ServingClient(f"http://{address}", FRONTEND)


def test_an_answer_of_brackets_is_no_traceback():
    address, _ = answering(HEAD + 100_000 * b"[")
    with pytest.raises(EncoderError, match=address):
        ServingClient(f"http://{address}", FRONTEND)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",
    ],
    ids=["length", "chunks"],
)
def test_an_answer_that_is_cut_off_is_asked_for_again(answer):
    address, asked = answering(answer, times=3)
    with pytest.raises(EncoderError, match="unavailable after 3 tries"):
        ServingClient(f"http://{address}", FRONTEND, retries=2)
    assert len(asked) == 3


@pytest.mark.parametrize("way", ["address", "argument", "environment"])
def test_a_password_is_sent_and_never_shown(way, monkeypatch):
    address, asked = answering(HEAD + b"{}")
    login, options = "", {}
    if way == "address":
        login = "me:se%40cret@"
    elif way == "argument":
        options["authorization"] = "Basic bWU6c2VAY3JldA=="
    else:
        name = "BYTECOVER_SERVING_AUTHORIZATION"
        monkeypatch.setenv(name, "Basic bWU6c2VAY3JldA==")
    with pytest.raises(EncoderError) as caught:
        ServingClient(f"http://{login}{address}", FRONTEND, **options)
    assert "Authorization: Basic bWU6c2VAY3JldA==\r\n" in asked[0]
    assert f"http://{address}" in str(caught.value)
    assert "cret" not in str(caught.value)
    for wrong in ("ftp://me:secret@host", "me:secret@host:8500", "me:s/e c@ret@host"):
        with pytest.raises(ConfigError) as caught:
            ServingClient(wrong, FRONTEND)
        assert str(caught.value).startswith(("ftp://host ", "host"))
    with pytest.raises(EncoderError, match=r"^http://127\.0\.0\.1:1 "):
        ServingClient("http://me:pa ss@127.0.0.1:1", FRONTEND, retries=0)


def test_an_embedding_of_zeros_is_refused(client, features, monkeypatch):
    zeros = np.zeros((1, DIM), np.float32)
    monkeypatch.setattr(client._served._server, "predict", lambda *_: zeros)
    with pytest.raises(EncoderError, match="an embedding of zeros"):
        client.embed_features(features[:1])


# -- last, so that the server need not start again -------------------------------


def test_a_server_that_dies_while_it_answers(server, features):
    clients = [ServingClient(server.address(p), FRONTEND) for p in PROTOCOLS]
    server.plan(die=True)
    for client in clients:
        with pytest.raises(EncoderError, match="unavailable after 5 tries"):
            client.embed_features(features)
