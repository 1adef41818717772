import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile

from bytecover_tf.audio import live
from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.audio.live import iter_live
from bytecover_tf.errors import AudioError

RATE = 22050


class Radio(BaseHTTPRequestHandler):
    """Sends a file to whoever connects, all of it or a part."""

    def __init__(self, content, parts, asked, *arguments):
        self._content, self._parts, self._asked = content, parts, asked
        super().__init__(*arguments)

    def do_GET(self):
        self._asked.append(self.headers.get("Range"))
        if len(self._asked) > len(self._parts):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "audio/x-wav")
        content = self._content[: self._parts[len(self._asked) - 1]]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def radio():
    """A function that serves a file; returns its address and what was asked for."""
    servers = []

    def serve(content, parts):
        asked = []
        handler = partial(Radio, content, parts, asked)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/live", asked

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def wav(music, tmp_path):
    path = tmp_path / "tune.wav"
    soundfile.write(path, music(6), RATE)
    return path


def test_a_stream_is_heard_as_the_file_is(radio, wav):
    address, _ = radio(wav.read_bytes(), [None])
    found = np.concatenate(list(iter_live(address, attempts=1)))
    np.testing.assert_allclose(found, load_audio(wav), atol=1e-6)


def test_a_stream_that_ends_is_opened_again(radio, wav):
    content = wav.read_bytes()
    address, asked = radio(content, [len(content) // 2, None])
    told = []
    blocks = iter_live(address, attempts=2, warn=told.append)
    found = []
    with pytest.raises(AudioError, match="404|Not Found"):
        found.extend(blocks)
    assert len(asked) >= 3
    seconds = sum(map(len, found)) / RATE
    assert seconds == pytest.approx(9, abs=0.1)
    assert "again in 1 s" in told[0]


def test_a_file_ends_and_one_that_is_followed_does_not(wav, music):
    assert sum(map(len, iter_live(str(wav)))) == 6 * RATE

    growing = wav.with_name("growing.mp3")
    soundfile.write(growing, music(20), RATE)
    content = growing.read_bytes()
    growing.write_bytes(content[: len(content) // 2])
    blocks = iter_live(str(growing), follow=True)
    heard = 0
    for block in blocks:
        heard += len(block)
        if heard > 6 * RATE:
            break
    with growing.open("ab") as file:
        file.write(content[len(content) // 2 :])
    for block in blocks:
        heard += len(block)
        if heard > 15 * RATE:
            break
    assert heard > 15 * RATE
    blocks.close()


def test_a_writer_may_pause(wav, music, monkeypatch):
    monkeypatch.setattr(live, "_TIMEOUT", 0.5)
    growing = wav.with_name("growing.mp3")
    soundfile.write(growing, music(20), RATE)
    content = growing.read_bytes()
    growing.write_bytes(content[: len(content) // 2])

    def go_on():
        with growing.open("ab") as file:
            file.write(content[len(content) // 2 :])

    writer = threading.Timer(2, go_on)
    writer.start()
    told, found = [], []
    blocks = iter_live(str(growing), follow=True, warn=told.append)
    while sum(map(len, found)) < 16 * RATE:
        found.append(next(blocks))
    blocks.close()
    writer.join()
    assert not told
    heard = np.concatenate(found)
    np.testing.assert_allclose(heard, load_audio(growing)[: len(heard)], atol=1e-4)


@pytest.mark.parametrize("follow", [False, True])
def test_the_thread_ends_with_the_iterator(wav, follow):
    before = set(threading.enumerate())
    blocks = iter_live(str(wav), follow=follow)
    next(blocks)
    blocks.close()
    until = time.monotonic() + 5
    while set(threading.enumerate()) - before:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / "bad.mp3").write_bytes(b"bad")
    with pytest.raises(AudioError, match=r"bad\.mp3"):
        list(iter_live(str(tmp_path / "bad.mp3"), attempts=1))
    with pytest.raises(AudioError, match="missing"):
        list(iter_live(str(tmp_path / "missing"), attempts=1))
