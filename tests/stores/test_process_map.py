import os
import signal
import subprocess
import sys
import time

import pytest

from bytecover_tf.cores import usable_cores
from bytecover_tf.errors import WorkerError
from bytecover_tf.stores.process_map import ProcessMap

# A command that reads two files for ever, each in a process that says who it is.
FOR_EVER = """
import os, signal, sys, time
from bytecover_tf import cli
from bytecover_tf.stores.process_map import ProcessMap

# It is ignored by what a shell starts in the background, and by all that this starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

def read(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

def main(arguments):
    for item in ProcessMap(read, 2).map(sys.argv[1:]):
        pass

if __name__ == "__main__":
    cli.run(main, continues=True)
"""


@pytest.fixture
def reading(tmp_path):
    """The main process, and the numbers of the two that it started."""
    script = tmp_path / "forever.py"
    script.write_text(FOR_EVER)
    (tmp_path / "temporary").mkdir()
    files = [tmp_path / "1", tmp_path / "2"]
    main = subprocess.Popen(
        [sys.executable, script, *files],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TMPDIR": str(tmp_path / "temporary"),
        },
    )
    try:
        wait_until(lambda: all(file.exists() and file.read_text() for file in files))
        yield main, [int(file.read_text()) for file in files]
    finally:
        main.kill()
        main.communicate()


def wait_until(is_so, seconds=120):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_processes_end_with_a_main_process_that_is_killed(reading, tmp_path):
    main, workers = reading
    assert all(map(runs, workers))
    temporary = tmp_path / "temporary"
    assert len(os.listdir(temporary)) == 1
    main.kill()
    wait_until(lambda: not any(map(runs, workers)))
    assert os.listdir(temporary) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_an_interrupt_is_one_line(reading):
    main, workers = reading
    os.killpg(main.pid, signal.SIGINT)  # as a terminal does
    _, said = main.communicate(timeout=120)
    assert said == "interrupted; run the same command again to continue\n"
    assert main.returncode == 2
    wait_until(lambda: not any(map(runs, workers)))


class Unreadable:
    """What cannot be sent to another process as it was here."""

    def __reduce__(self):
        return os._exit, (1,)

    def __call__(self, path):
        return path


def test_processes_that_cannot_start_are_not_blamed_on_files():
    with pytest.raises(WorkerError, match="end as soon as they are started"):
        list(ProcessMap(Unreadable(), 1).map(["a.mp3", "b.mp3"]))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity")
def test_cores_that_others_have_do_not_count():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from bytecover_tf.cores import usable_cores; print(usable_cores())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "1"
    assert 1 <= usable_cores() <= os.cpu_count()


@pytest.mark.parametrize("chosen", [None, "3"])
def test_each_process_computes_on_one_thread_unless_told_otherwise(monkeypatch, chosen):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if chosen:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", chosen)
    # The path is what each process looks up.
    found = dict(ProcessMap(os.getenv, 1).map(["OPENBLAS_NUM_THREADS"]))
    assert found == {"OPENBLAS_NUM_THREADS": chosen or "1"}
    assert os.environ.get("OPENBLAS_NUM_THREADS") == chosen
