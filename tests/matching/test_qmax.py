from functools import cache

import numpy as np
import pytest

from bytecover_tf.matching.qmax import cross_recurrence, qmax


def reference_qmax(recurrence, onset, extension):
    """The recursion of the paper's section 3.3, from the end."""

    @cache
    def q(i, j):
        if min(i, j) < 2:
            return 0
        before = [(i - 1, j - 1), (i - 2, j - 1), (i - 1, j - 2)]
        if recurrence[i, j]:
            return max(q(*cell) for cell in before) + 1
        costs = [onset if recurrence[cell] else extension for cell in before]
        return max(
            0, *(q(*cell) - cost for cell, cost in zip(before, costs, strict=True))
        )

    return max(q(i, j) for i, j in np.ndindex(recurrence.shape))


@pytest.mark.parametrize("costs", [(0.5, 0.5), (5, 0.5), (0.3, 0.7)])
def test_qmax_equals_the_plain_recursion(costs, rng):
    recurrence = rng.random((30, 40)) < 0.2
    recurrence[np.arange(5, 25), np.arange(10, 30)] = True
    recurrence[15:17] = False
    assert qmax(recurrence, *costs) == pytest.approx(
        reference_qmax(recurrence, *costs), abs=1e-9
    )


def test_a_diagonal_counts_its_cells():
    assert qmax(np.eye(12, 20, dtype=bool)) == 10
    gap = np.eye(12, dtype=bool)
    gap[5, 5] = False
    assert qmax(gap) == 8.5
    assert qmax(np.zeros((3, 4), bool)) == 0


def test_cross_recurrence_equals_plain_loops(rng):
    query, reference = rng.random((12, 40)), rng.random((12, 50))
    reference[:, 20:40] = np.roll(query[:, 10:30], 4, axis=0)
    reference[4] += 1.0
    query[0] += 1.0
    found = cross_recurrence(query, reference, stack=3, nearest=0.1)
    raised = np.roll(query, 4, axis=0)
    distance = np.zeros((38, 48))
    for i in range(38):
        for j in range(48):
            difference = raised[:, i : i + 3] - reference[:, j : j + 3]
            distance[i, j] = np.sqrt((difference**2).sum())
    for i in range(38):
        for j in range(48):
            near_in_row = (distance[i] < distance[i, j]).sum() <= 0.1 * 47
            near_in_column = (distance[:, j] < distance[i, j]).sum() <= 0.1 * 37
            assert found[i, j] == (near_in_row and near_in_column)
