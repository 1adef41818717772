import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bytecover_tf.cli.webhook import Webhook


@pytest.fixture
def listener():
    """A server that keeps what is posted to it, and its address."""
    posted, asked = [], []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            kind = self.headers["Content-Type"]
            posted.append((kind, json.loads(self.rfile.read(length))))
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response({"/bad": 500, "/moved": 302}.get(self.path, 204))
            if self.path == "/moved":
                self.send_header("Location", "/hook")
            self.end_headers()

        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", posted, asked
    server.shutdown()
    server.server_close()


def test_a_value_is_posted(listener):
    address, posted, _ = listener
    assert Webhook(f"{address}/hook").post({"work": "é", "at": 1.5}) == ""
    assert posted == [("application/json", {"work": "é", "at": 1.5})]


def test_why_it_failed_is_told(listener):
    address, *_ = listener
    assert "500" in Webhook(f"{address}/bad").post({})
    secret = address.replace("://", "://name:word@").rsplit(":", 1)[0] + ":1/"
    reason = Webhook(secret).post({})
    assert reason
    assert "word" not in reason


def test_where_an_address_leads_is_told(listener):
    address, posted, _ = listener
    reason = Webhook(f"{address}/moved").post({})
    assert "302" in reason
    assert reason.endswith("it leads to /hook")
    assert len(posted) == 1


def test_a_host_that_no_name_can_be_is_told():
    assert "http://a..b/hook" in Webhook("http://a..b/hook").post({})


def test_a_name_and_a_password_are_sent_and_any_path_is_taken(listener):
    address, _, asked = listener
    address = address.replace("://", "://name:p%40ss@")
    assert Webhook(f"{address}/höok?a=1&b=x y").post({}) == ""
    assert asked == [("/h%C3%B6ok?a=1&b=x%20y", "Basic bmFtZTpwQHNz")]


@pytest.mark.parametrize(
    "address",
    ["http://name:word@host:port/", "http://name:word@[bad/", "name:word@host/hook"],
)
def test_no_address_tells_a_password(address):
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        Webhook(address)
    assert "word" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "hook", "http://", "http://name@", ""]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(argparse.ArgumentTypeError, match="http"):
        Webhook(address)
