"""Processes that die, hang or take too much, and the requests that they were at."""

import multiprocessing
import os
import signal
import time
from functools import partial
from types import SimpleNamespace

import pytest

from bytecover_tf.errors import AudioError
from bytecover_tf.server.pool import Pool, Task, TooLarge, TooSlow, WorkerLost

LIMIT = 60


class Engine:
    """Does what a test asks it to."""

    def process(self, emit):
        return os.getpid()

    def die(self, emit):
        emit({"stage": "begun"})
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self, emit):
        emit({"stage": "begun"})
        time.sleep(LIMIT)

    def swell(self, emit):
        held = bytearray(600 * 2**20)
        time.sleep(LIMIT)
        return len(held)

    def refuse(self, emit):
        raise AudioError("that is no music")


@pytest.fixture
def pool():
    made = Pool(Engine, 1, 500 * 2**20)
    made.start()
    yield made
    made.close()


def ask(pool, name, seconds=LIMIT, **how):
    return pool.submit(Task(name, {}, seconds, **how)).result


def test_a_process_that_dies_is_replaced_and_its_task_fails(pool):
    first = ask(pool, "process").result(LIMIT)
    with pytest.raises(WorkerLost):
        ask(pool, "die").result(LIMIT)
    assert ask(pool, "process").result(LIMIT) != first
    assert pool.restarts == 1


def test_a_process_that_is_killed_from_outside_is_replaced(pool):
    task = pool.submit(Task("hang", {}, LIMIT))
    while not task.result.running():
        time.sleep(0.01)
    os.kill(pool.process_ids[0], signal.SIGKILL)
    with pytest.raises(WorkerLost):
        task.result.result(LIMIT)
    assert ask(pool, "process").result(LIMIT)


def test_a_process_that_dies_without_a_task_costs_no_task(pool):
    first = ask(pool, "process").result(LIMIT)
    os.kill(first, signal.SIGKILL)
    time.sleep(0.2)
    assert ask(pool, "process").result(LIMIT) != first
    assert pool.restarts == 1


def test_a_task_may_not_take_too_long(pool):
    with pytest.raises(TooSlow, match="longer than the 1 s it may take$"):
        ask(pool, "hang", seconds=1).result(LIMIT)
    with pytest.raises(TooSlow, match="it may take; begin it again to continue$"):
        ask(pool, "hang", seconds=1, continues=True).result(LIMIT)
    assert ask(pool, "process").result(LIMIT)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no Linux")
def test_a_task_may_not_take_too_much_memory(pool):
    with pytest.raises(TooLarge, match="more memory"):
        ask(pool, "swell").result(LIMIT)
    assert ask(pool, "process").result(LIMIT)


def test_an_error_of_a_task_leaves_its_process(pool):
    first = ask(pool, "process").result(LIMIT)
    with pytest.raises(AudioError, match="that is no music"):
        ask(pool, "refuse").result(LIMIT)
    assert ask(pool, "process").result(LIMIT) == first


def test_what_is_given_up_is_not_begun_or_is_ended(pool):
    at_work = pool.submit(Task("hang", {}, LIMIT))
    waiting = pool.submit(Task("die", {}, LIMIT))
    waiting.give_up()
    assert waiting.result.cancelled()
    at_work.give_up()
    # The one that waited would have killed this process.
    assert ask(pool, "process").result(LIMIT)
    assert pool.restarts <= 1


def test_a_listener_that_fails_costs_its_task_alone(pool):
    def fail(event):
        raise RuntimeError("Event loop is closed")

    task = pool.submit(Task("hang", {}, LIMIT, on_event=fail))
    with pytest.raises(WorkerLost, match="cannot be told: Event loop is closed"):
        task.result.result(LIMIT)
    assert ask(pool, "process").result(LIMIT)


def test_a_closed_pool_takes_nothing(pool):
    task = pool.submit(Task("hang", {}, LIMIT))
    pool.close()
    with pytest.raises(WorkerLost, match="stopping"):
        task.result.result(LIMIT)
    with pytest.raises(WorkerLost, match="stopping"):
        ask(pool, "process")


def test_a_process_that_cannot_be_started_fails_one_task(pool, monkeypatch):
    os.kill(ask(pool, "process").result(LIMIT), signal.SIGKILL)
    time.sleep(0.2)
    context = multiprocessing.get_context("spawn")

    def refuse():
        monkeypatch.undo()
        raise OSError(24, "Too many open files")

    with_none = SimpleNamespace(Pipe=refuse, Process=context.Process)
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: with_none)
    with pytest.raises(WorkerLost, match="started: Too many open files"):
        ask(pool, "process").result(LIMIT)
    assert ask(pool, "process").result(LIMIT)


class Absent:
    """An engine that cannot be made once its file is gone."""

    def __init__(self, path):
        if not os.path.exists(path):
            raise AudioError(f"{path}: no such file")

    def process(self, emit):
        return os.getpid()

    def die(self, emit):
        os.kill(os.getpid(), signal.SIGKILL)


def test_nothing_waits_while_no_process_can_be_started(tmp_path):
    path = tmp_path / "encoder"
    path.touch()
    pool = Pool(partial(Absent, path), 1, 500 * 2**20)
    pool.start()
    try:
        path.unlink()
        asked = [ask(pool, name) for name in ("die", "process", "process")]
        for one in asked:
            with pytest.raises(WorkerLost, match="has died|no such file"):
                one.result(LIMIT)
        with pytest.raises(WorkerLost, match="no such file"):
            ask(pool, "process")
        path.touch()
        until = time.monotonic() + LIMIT
        while not pool.ready:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert ask(pool, "process").result(LIMIT)
    finally:
        pool.close()
