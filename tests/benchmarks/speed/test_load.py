import socket
import threading
from types import SimpleNamespace

import pytest

from benchmarks.speed.load import Answer, Server, ask_together, form

BUSY = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nbusy"


@pytest.fixture
def server(request, tmp_path):
    """A server that reads no upload, says something and closes the connection."""
    place = socket.create_server(("127.0.0.1", 0))

    def answer():
        while True:
            try:
                connection, _ = place.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(request.param)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(2**16):
                    pass

    thread = threading.Thread(target=answer)
    thread.start()
    said = f"serving 1 recordings at http://127.0.0.1:{place.getsockname()[1]}\n"
    output = SimpleNamespace(readline=lambda: said)
    yield Server(SimpleNamespace(stdout=output), tmp_path)
    place.shutdown(socket.SHUT_RDWR)
    place.close()
    thread.join()


@pytest.mark.parametrize(
    ("server", "status"), [(BUSY, 429), (b"", 0)], indirect=["server"]
)
def test_what_each_client_gets_is_told(server, status, tmp_path):
    file = tmp_path / "a.wav"
    file.write_bytes(bytes(2**20))
    answers, seconds = ask_together(server, [form(file)], 3, rounds=2)
    assert [one.status for one in answers] == [status] * 6
    assert all(0 < one.seconds <= seconds for one in answers)


def test_no_request_is_begun_once_time_is_up():
    asked = []

    def identify(upload):
        asked.append(upload)
        return Answer(200, 0.0)

    answers, _ = ask_together(
        SimpleNamespace(identify=identify), [b"a", b"b"], 1, rounds=3
    )
    assert len(answers) == 3
    assert asked == [b"a", b"b", b"a"]
    answers, _ = ask_together(SimpleNamespace(identify=identify), [b"a"], 2, 0.0)
    assert answers == []
