"""A real server on loopback, asked as a page or a program asks it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from catalogue_rows import recording

from bytecover_tf.data import tunes
from bytecover_tf.errors import ConfigError

for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    pytest.importorskip(package)

pytest.importorskip("lancedb")

from starlette.datastructures import Headers  # noqa: E402

from bytecover_tf.server.access import Guard, read_token  # noqa: E402
from bytecover_tf.server.library import Library  # noqa: E402

LIMIT = 120.0


class Server:
    """A server, and ways to ask it."""

    def __init__(self, catalogue, *options, **environment):
        command = [sys.executable, "-m", "bytecover_tf.serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--catalogue", str(catalogue), "--workers", "1", *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.said = self.process.stdout.readline()
        self.address = self.said.split()[-1] if "http" in self.said else ""

    def ask(self, path, method=None, body=None, **headers):
        """Return status and answer."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.address + path, body, names, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def send(self, path, **files):
        """Send files as a form."""
        parts = [
            b"--x\r\nContent-Disposition: form-data; "
            + f'name="{name}"; filename="{file.name}"\r\n\r\n'.encode()
            + file.read_bytes()
            for name, file in files.items()
        ]
        body = b"\r\n".join([*parts, b"--x--\r\n"])
        form = "multipart/form-data; boundary=x"
        return self.ask(path, "POST", body, Content_Type=form)

    def follow(self, status, text):
        """Return a job that was begun, once it is done."""
        assert status == 202, text
        name = json.loads(text)["id"]
        deadline = time.monotonic() + LIMIT
        while (job := json.loads(self.ask(f"/api/jobs/{name}")[1]))["state"] in (
            *("waiting", "running"),
        ):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert job["state"] == "done", job
        return job

    def stop(self):
        """Return the exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """The recordings that come with the package but the last, in a catalogue."""
    from bytecover_tf import index

    folder = tmp_path_factory.mktemp("music")
    for file in tunes.audio_files()[:-1]:
        (folder / file.name).write_bytes(file.read_bytes())
    address = folder.parent / "served.catalogue"
    assert index.main(["--catalogue", str(address), str(folder)]) == 0
    return address


@pytest.fixture(scope="module")
def server(catalogue):
    found = Server(catalogue)
    assert "serving 15 recordings at http://127.0.0.1:" in found.said
    yield found
    assert found.stop() == 0


@pytest.fixture(scope="module")
def query():
    return tunes.audio_files()[-1]


def test_it_is_alive_ready_and_measured(server):
    assert server.ask("/health") == (200, '{"status":"ok"}')
    assert json.loads(server.ask("/ready")[1]) == {"workers": 1}
    assert 'route="/health"' in server.ask("/metrics")[1]
    described = json.loads(server.ask("/api/openapi.json")[1])
    assert {"/api/identify", "/api/setlist", "/api/review"} <= set(described["paths"])


def test_an_upload_is_identified(server, query):
    status, text = server.send("/api/identify", file=query)
    answer = json.loads(text)
    assert status == 200
    assert answer["verdict"] == "version"
    work = query.name.rsplit("-", 1)[0]
    assert Path(answer["matches"][0]["recording"]).name.startswith(work)


def test_two_uploads_are_compared(server, query):
    status, text = server.send("/api/compare", first=query, second=query)
    assert status == 200
    answer = json.loads(text)
    assert answer["same_recording"] is True
    assert answer["seconds"] == [pytest.approx(answer["query_end"], abs=5)] * 2


def test_an_uploaded_set_is_divided_in_a_job(server, query):
    job = server.follow(*server.send("/api/setlist", file=query))
    assert job["result"]["songs"]
    assert server.ask(f"/api/jobs/{job['id']}", "DELETE")[0] == 204
    assert server.ask(f"/api/jobs/{job['id']}")[0] == 404


def test_the_library_is_listed_and_searched(server, query):
    everything = json.loads(server.ask("/api/works")[1])
    assert everything["recordings"] == 15
    work = query.name.rsplit("-", 1)[0]
    found = json.loads(server.ask(f"/api/works?text={work}")[1])
    assert 0 < found["recordings"] < 15
    one = found["works"][0]["recordings"][0]["id"]
    assert json.loads(server.ask(f"/api/recordings/{one}")[1])["id"] == one
    assert server.ask("/api/recordings/unknown")[0] == 404
    assert server.ask("/api/review") == (200, "[]")


def test_versions_in_the_library_are_looked_for_in_a_job(server, catalogue):
    body = json.dumps({"merge": False}).encode()
    asked = {"Content_Type": "application/json"}
    job = server.follow(*server.ask("/api/review/search", "POST", body, **asked))
    assert job["result"]["groups"] > 0
    assert job["result"]["changed"] == 0
    assert job["progress"] == {"done": 15, "of": 15}
    assert (catalogue / "alignments.sqlite").exists()


def test_bad_requests_say_what_was_expected(server, tmp_path):
    text = tmp_path / "words.txt"
    text.write_text("no music")
    status, answer = server.send("/api/identify", file=text)
    assert status == 422
    assert "words.txt: cannot be decoded" in json.loads(answer)["error"]
    # A path is read only in folders that the server was told to allow.
    form = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n%s\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    status, answer = server.ask(
        "/api/identify", "POST", form % b"/etc/passwd", Content_Type=kind
    )
    assert status == 403
    assert "not in a folder given with --allow" in answer
    for host in ("[", "other.example"):
        assert server.ask("/api/works", Host=host)[0] == 403
    for origin in ("http://[", "http://other.example"):
        asked = {"Origin": origin}
        assert server.ask("/api/review/undo", "POST", b"{}", **asked)[0] == 403
    kind = {"Content_Type": "application/json"}
    blank = b'{"ids": ["a", "b"], "work": "  "}'
    assert server.ask("/api/works/merge", "POST", blank, **kind)[0] == 422


def test_a_page_may_ask_through_a_proxy(server):
    """One that asks for this machine, whatever the browser asked for."""
    asked = {"Origin": "https://music.example", "Sec-Fetch-Site": "same-origin"}
    status, answer = server.ask("/api/review/undo", "POST", b"{}", **asked)
    assert (status, "no decision to undo" in answer) == (422, True)
    asked["Sec-Fetch-Site"] = "cross-site"
    assert server.ask("/api/review/undo", "POST", b"{}", **asked)[0] == 403


def test_the_page_loads_nothing_from_elsewhere(server):
    status, page = server.ask("/")
    assert status == 200
    assert "http://" not in page
    assert "https://" not in page


def test_what_is_too_large_is_refused_and_a_token_is_asked_for(catalogue, query):
    server = Server(
        catalogue, "--max-upload", "1", BYTECOVER_TOKEN="0123456789abcdef-token"
    )
    try:
        assert server.ask("/health")[0] == 200
        assert server.ask("/api/works")[0] == 401
        bearer = {"Authorization": "Bearer 0123456789abcdef-token"}
        assert server.ask("/api/works", **bearer)[0] == 200
        form = {"Content_Type": "multipart/form-data; boundary=x"}
        body = b"--x" + 2 * 2**20 * b"0"
        assert server.ask("/api/identify", "POST", body, **bearer, **form)[0] == 413
        # What is read whole may be less, above all without the token.
        token = b'{"token": "%s"}' % (2**20 * b"0")
        kind = {"Content_Type": "application/json"}
        for more in ({}, {"Transfer_Encoding": "chunked"}):
            sent = iter([token]) if more else token
            status, text = server.ask("/api/session", "POST", sent, **kind, **more)
            assert (status, "1 MiB" in text) == (413, True)
    finally:
        assert server.stop() == 0


def test_others_can_ask_only_with_a_token(catalogue, capfd):
    environment = {k: v for k, v in os.environ.items() if k != "BYTECOVER_TOKEN"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bytecover_tf.serve"),
            *("--catalogue", str(catalogue), "--host", "0.0.0.0"),
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 2
    assert "needs a token" in done.stderr


def test_a_server_that_is_told_to_stop_while_it_starts_stops(catalogue):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bytecover_tf.serve", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--catalogue", str(catalogue), "--workers", "1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        end = time.monotonic() + LIMIT
        # It listens before its worker is ready.
        while time.monotonic() < end and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_cookies_of_other_servers_do_not_matter():
    guard = Guard(None, "0123456789abcdef-token", True)
    ours = f"{guard.cookie_name}={guard.cookie}"
    another = Guard(None, "another-0123456789-token", True)
    assert another.cookie_name != guard.cookie_name
    theirs = f"{another.cookie_name}={another.cookie}"
    for others in ('prefs={"a":1}', "theme=dark mode", "x", "=y", theirs):
        for cookie in (f"{others}; {ours}", f"{ours}; {others}"):
            assert guard._is_known(Headers({"cookie": cookie}))
        assert not guard._is_known(Headers({"cookie": others}))


@pytest.mark.parametrize(
    "token", [bytes(range(128, 160)), "größtes-geheimnis".encode()]
)
def test_a_token_that_no_header_can_hold_is_refused(token, tmp_path):
    (tmp_path / "token").write_bytes(token)
    with pytest.raises(ConfigError, match="token: expected a token of printable ASCII"):
        read_token(tmp_path / "token")


def test_what_changes_while_the_catalogue_is_read_is_seen():
    class Changing:
        """Of two recordings one is taken out while they are read."""

        def recordings(self):
            yield recording(0)
            if not self.is_changed:
                self.is_changed = True
                yield recording(1)
                library.forget()

        is_changed = False

    library = Library(Changing())
    assert library.count == 2
    assert library.count == 1
    gone = recording(1)
    assert library.versions(gone) == [gone]
