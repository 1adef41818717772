import pytest

from bytecover_tf.cli.tables import clock


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0:00"), (83.2, "1:23"), (3723, "1:02:03")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text
