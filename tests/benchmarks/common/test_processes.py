import multiprocessing
import time

import numpy as np
import pytest

from benchmarks.common.processes import measured

_SIZE = 80_000_000


def fill(count):
    array = np.ones(count, np.uint8)
    time.sleep(0.5)  # long enough to be looked at
    return int(array[-1])


def fill_in_children(count):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return sum(pool.map(fill, [count, count], chunksize=1))


def fail():
    raise ValueError("on purpose")


def test_result_and_peak_of_a_process():
    small, large = measured(fill, 1), measured(fill, _SIZE)
    assert large.result == 1
    assert large.peak - small.peak > 0.9 * _SIZE


def test_children_count():
    small, large = measured(fill_in_children, 1), measured(fill_in_children, _SIZE)
    assert large.result == 2
    assert large.peak - small.peak > 1.5 * _SIZE


def test_failure_is_raised():
    with pytest.raises(RuntimeError, match="fail failed"):
        measured(fail)
