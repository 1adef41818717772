import pytest

from bytecover_tf.training import remaining
from bytecover_tf.training.remaining import Remaining, describe_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 minutes"), (3000, "50 minutes"),
     (5400, "1.5 hours")],
)  # fmt: skip
def test_durations_are_easy_to_read(seconds, text):
    assert describe_seconds(seconds) == text


def test_a_resumed_training_counts_only_its_own_epochs(monkeypatch, capsys):
    clock = iter([0.0, 0.0, 100.0, 200.0])
    monkeypatch.setattr(remaining.time, "monotonic", lambda: next(clock))
    callback = Remaining(done=6, epochs=8, steps_per_epoch=2)
    callback.on_train_begin()
    for epoch in (6, 7):
        for batch in range(2):
            callback.on_train_batch_end(batch)
        callback.on_epoch_end(epoch, {"loss": 1.5})
    callback.on_train_end()
    assert capsys.readouterr().out.splitlines() == [
        "epoch 7 of 8: loss 1.50, 2 minutes left",
        "epoch 8 of 8: loss 1.50, 0 s left",
    ]
