"""Calls that begin early, their results in order, and processes that are killed."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bytecover_tf.cores import begun_early, processes
from bytecover_tf.errors import WorkerError


def test_results_come_in_order(rng):
    waits = rng.uniform(0, 0.01, 40)

    def late(number):
        time.sleep(waits[number])
        return 2 * number

    with ThreadPoolExecutor(4) as pool:
        found = list(begun_early(pool, late, range(40), 6))
    assert found == [2 * number for number in range(40)]


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_no_more_begin_than_asked_for(ahead):
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        results = begun_early(pool, lambda number: number, items(), ahead)
        assert taken == []
        for number, result in enumerate(results):
            assert result == number
            assert len(taken) == min(number + ahead + 1, 20)


def test_an_error_comes_in_its_turn():
    with ThreadPoolExecutor(2) as pool:
        results = begun_early(pool, lambda number: 1 / number, [1, 0, 2], 2)
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)


def _die(_number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_an_error_in_words():
    with (
        pytest.raises(WorkerError, match="a process was killed; .* for 2 at once"),
        processes(2) as pool,
    ):
        list(pool.map(_die, range(4)))
