import sys

import pytest

from benchmarks.speed.startup import seconds_to_first_line


def test_a_process_that_answers_is_measured():
    assert seconds_to_first_line([sys.executable, "-c", "print('answer')"]) > 0


@pytest.mark.parametrize("code", ["pass", "print(1); raise SystemExit('no reason')"])
def test_a_process_that_fails_is_not(code):
    with pytest.raises(RuntimeError, match="printed nothing|no reason"):
        seconds_to_first_line([sys.executable, "-c", code])
