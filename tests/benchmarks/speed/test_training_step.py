import pytest

from benchmarks.speed import training_step
from benchmarks.speed.training_step import Batch, PyTorch, TensorFlow

pytest.importorskip("torch")


def test_both_frameworks_take_the_same_steps():
    batch = Batch(8, 20)
    losses = []
    for kind in (TensorFlow, PyTorch):
        system = kind(batch, (1, 1, 1, 1), 4)
        system.start()
        losses.append([system.step() for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0][0] != losses[0][-1]


def test_profile_names_operations():
    system = TensorFlow(Batch(8, 20), (1, 1, 1, 1), 4)
    training_step.begin(system)
    seconds = training_step.profile(system)
    assert any("Conv2DBackpropFilter" in kind for kind in seconds)
    assert "Conv2D" in training_step.profile_table(seconds)
