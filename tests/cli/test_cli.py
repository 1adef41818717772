import inspect
import os
import subprocess
import sys
from importlib import import_module

import pytest

from bytecover_tf import __main__ as bytecover
from bytecover_tf import __version__, cli
from bytecover_tf.errors import ConfigError, DataError


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_lists_every_command(capsys):
    assert bytecover.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in bytecover.COMMANDS:
        assert f"\n  {name} " in text


def test_version(capsys):
    assert bytecover.main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_an_unknown_command_is_wrong_usage(capsys):
    assert bytecover.main(["sing"]) == 2
    assert "no command 'sing'" in capsys.readouterr().err


@pytest.mark.parametrize("name", bytecover.COMMANDS)
def test_modules_run_and_their_help_needs_no_tensorflow(name):
    code = (
        "import sys, runpy; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('bytecover_tf.{name}', run_name='__main__')\n"
        "except SystemExit as e: assert e.code == 0\n"
        "assert not {'tensorflow', 'keras', 'librosa'} & set(sys.modules)"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    assert f"python -m bytecover_tf.{name}" in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error():
    code = (
        "import sys\n"
        "from bytecover_tf import cli\n"
        "cli.run(lambda _: [print('line') for _ in range(100_000)] and 0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == cli.SOME_FAILED


def test_a_process_ends_without_looking_for_garbage():
    code = (
        "import atexit, gc\n"
        # What is registered first runs last.
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
        "from bytecover_tf import cli\n"
        "cli.run(lambda _: print(gc.get_freeze_count()) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.stdout.split() == ["0", "True"]
    assert result.returncode == 0


def test_importing_the_package_is_light():
    code = (
        "import sys, bytecover_tf\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "assert bytecover_tf.Frontend().pool == 100\n"
        "assert 'load_encoder' in dir(bytecover_tf)\n"
        "try: bytecover_tf.nothing\n"
        "except AttributeError: pass\n"
        "else: raise AssertionError"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr


def test_errors_are_one_line_and_status_2(capsys):
    def fail(_arguments):
        raise DataError("list.csv:3: expected a work")

    assert cli.run_safely(fail, []) == 2
    assert capsys.readouterr().err == "error: list.csv:3: expected a work\n"


def test_a_full_disk_is_told_in_the_systems_words(capsys):
    def fail(_arguments):
        raise OSError(28, "No space left on device", "/store/features.f16")

    assert cli.run_safely(fail, []) == 2
    err = capsys.readouterr().err
    assert "No space left on device" in err
    assert "/store/features.f16" in err


def test_interruption_says_how_to_go_on(capsys):
    def interrupt(_arguments):
        raise KeyboardInterrupt

    assert cli.run_safely(interrupt, [], continues=True) == 2
    assert "run the same command again" in capsys.readouterr().err
    assert cli.run_safely(interrupt, []) == 2
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("name", bytecover.COMMANDS)
def test_both_ways_to_run_a_command_know_whether_it_continues(
    name, monkeypatch, capsys
):
    def interrupt(_arguments):
        raise KeyboardInterrupt

    module = import_module(f"bytecover_tf.{name}")
    continues = "cli.run(main, continues=True)" in inspect.getsource(module)
    monkeypatch.setattr(module, "main", interrupt)
    assert bytecover.main([name]) == 2
    assert ("run the same command again" in capsys.readouterr().err) == continues


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["train", "--resume"], "--run-dir"),
        (["train", "--data", "folder"], "expected the path"),
        (["train", "--config", "nothing"], "unknown config"),
        (["evaluate", "--encoder", "/none"], "no such file"),
        (["features", "--data", "folder", "--data-root", "/none"], "/none"),
    ],
)
def test_wrong_use_is_explained(arguments, reason, capsys):
    assert bytecover.main(arguments) == 2
    assert reason in capsys.readouterr().err


def test_names_that_are_not_utf8_are_printed(tmp_path):
    code = "from bytecover_tf import cli\ncli.run(lambda _: print('a\\udcff.mp3') or 0)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == b"a\\udcff.mp3\n"


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("draw", "music21"),
        ("listen", "mido"),
        ("build_tunes", "music21"),
        ("rerecord", "pedalboard"),
    ],
)
def test_a_command_without_its_extra_says_what_to_install(
    command, package, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, package, None)
    module = import_module(f"bytecover_tf.synth.{command}")
    required = {
        "build_tunes": ("--work-dir", tmp_path / "work", "--lieder", tmp_path),
        "rerecord": ("--recordings", tmp_path),
    }
    arguments = ["--out", tmp_path / "out", *required.get(command, ())]
    with pytest.raises(
        ConfigError, match=rf"needs {package}; pip install 'bytecover_tf\[synth\]'"
    ):
        module.main([str(argument) for argument in arguments])
    assert not (tmp_path / "out").exists()
