import csv
import io
import json
import os
import subprocess
import sys

import pytest

from bytecover_tf import cli
from bytecover_tf.cli.tables import print_columns
from bytecover_tf.terminal import (
    clock,
    counted,
    csv_cell,
    printable,
    show,
    show_json,
    without_password,
)

TITLE = "one\ntwo\x1b[2J\x07\x9b31m\u202egnp"


def test_control_characters_are_written_out(capsys):
    assert printable(TITLE) == r"one\ntwo\x1b[2J\x07\x9b31m\u202egnp"
    assert printable("Café \U0001f3b5 東京 ok") == "Café \U0001f3b5 東京 ok"
    show(TITLE)
    print_columns([("0.9", TITLE)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert not set("\x1b\x07\x9b\u202e") & set("".join(lines))


@pytest.mark.parametrize("codec", ["utf-8", "latin-1", "cp1252", "ascii"])
def test_json_is_json_in_any_encoding(codec, monkeypatch):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=codec, errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    value = {"query": "Café \U0001f3b5", "title": TITLE, "path": "caf\udce9.mp3"}
    show_json(value)
    (line,) = raw.getvalue().decode(codec).splitlines()
    assert json.loads(line) == value
    assert not {"\x9b", "\u202e"} & set(line)


def test_one_is_counted_in_the_singular():
    files = [counted(n, "file has", "files have") for n in (0, 1, 2)]
    assert files == ["0 files have", "1 file has", "2 files have"]


def test_a_spreadsheet_calculates_nothing():
    values = ["=1+1", "+1", "-1", "@sum", "\t=1", -5, 0.5, "", None, "a=b", "/x"]
    found = [csv_cell(value) for value in values]
    assert found == ["'=1+1", "'+1", "'-1", "'@sum", r"\t=1", *values[5:]]
    text = io.StringIO()
    csv.writer(text).writerow([*found, csv_cell(TITLE)])
    assert not text.getvalue().startswith("=")
    # A match is a line, whatever its title.
    assert len(text.getvalue().splitlines()) == 1
    assert "\x1b" not in text.getvalue()


CLOSED = """
import os, sys
for number in map(int, sys.argv[2:]):
    os.close(number)
os.execv(sys.executable, [sys.executable, "-c", '''
import sys
from bytecover_tf import cli
def main(arguments):
    print("said")
    cli.warn("warned")
    with open(sys.argv[1], "w") as file:
        file.write("done")
    return 0
cli.run(main)
''', sys.argv[1]])
"""


ASKING = CLOSED.replace('print("said")', 'print("said", sys.stdin.isatty())')


def test_a_command_that_asks_runs_without_input(tmp_path):
    command = [sys.executable, "-c", ASKING, str(tmp_path / "out"), "0"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "said False\n"), run.stderr


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_a_closed_stream_ends_no_command(tmp_path, closed):
    out = tmp_path / "out"
    command = [sys.executable, "-c", CLOSED, str(out), *map(str, closed)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert out.read_text() == "done"
    assert ("said" in run.stdout) == (1 not in closed)
    assert ("warned" in run.stderr) == (2 not in closed)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_path_may_begin_with_a_dash(place):
    parser = cli.parser("test", "")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--top", type=int)
    options = ["--top", "3"]
    given = [*options, "a", "--", "-b", "c"]
    if place == "after":
        given = ["a", *options, "--", "-b", "c"]
    found = cli.parse_paths(parser, given)
    assert found.top == 3
    assert [os.path.normpath(path) for path in found.paths] == ["a", "-b", "c"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "0:00"), (83.2, "1:23"), (89.9999999, "1:30"), (3723, "1:02:03")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("milvus://root:secret@host:19530/x", "milvus://host:19530/x"),
        ("rtsp://me:a@b/c#d@host/live", "rtsp://host/live"),
        ("http://token@host", "http://host"),
        ("milvus://me:pa ss\n@host:19530/x", "milvus://host:19530/x"),
        ("http://radio.example/live@128k", "http://radio.example/live@128k"),
        ("http://radio.example:8000/live@128k", "http://radio.example:8000/live@128k"),
        ("http://radio.example?user=me@home", "http://radio.example?user=me@home"),
        ("/music/a@b", "/music/a@b"),
    ],
)
def test_passwords_are_left_out_of_addresses(address, shown):
    assert without_password(address) == shown
