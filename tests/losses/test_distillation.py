import keras
import numpy as np
import pytest

from bytecover_tf.losses import distillation
from bytecover_tf.losses.distillation import ATTRACTION


def loop(embeddings, targets, works, temperature):
    """The loss, recording by recording and target by target."""
    cosines = [
        [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in targets]
        for a in embeddings
    ]
    contrasts = []
    for a, row in enumerate(cosines):
        total = np.log(sum(np.exp(s / temperature) for s in row))
        own = [s / temperature for b, s in enumerate(row) if works[b] == works[a]]
        contrasts.append(total - np.mean(own))
    return np.mean(contrasts) - ATTRACTION * np.mean(np.diag(cosines))


@pytest.mark.parametrize("works", [[0, 0, 1, 1, 2], [0, 1, 2, 3, 4], [3] * 5])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_equals_a_plain_loop(works, temperature, rng):
    embeddings, targets = rng.normal(size=(2, 5, 8)).astype(np.float32)
    loss = float(distillation(embeddings, targets, np.array(works), temperature))
    assert loss == pytest.approx(
        loop(embeddings, targets, works, temperature), rel=1e-4
    )


def test_a_teacher_that_is_followed_costs_least(rng):
    targets = rng.normal(size=(5, 8)).astype(np.float32)
    works = np.arange(5)
    followed = float(distillation(3.0 * targets, targets, works))
    assert followed < float(distillation(np.roll(targets, 1, axis=0), targets, works))
    # The direction that all targets share is not enough.
    shared = np.tile(targets.mean(axis=0), (5, 1))
    assert followed < float(distillation(shared, targets, works))


def test_gradients_lead_to_the_targets(rng):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    # As a teacher embeds: versions of a work close together.
    centres = np.repeat(rng.normal(size=(3, 8)), 2, axis=0)
    targets = centres + 0.3 * rng.normal(size=(6, 8))
    targets = tf.constant(targets.astype(np.float32))
    embeddings = tf.Variable(rng.normal(size=(6, 8)).astype(np.float32))
    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = distillation(embeddings, targets, np.arange(6) // 2)
        embeddings.assign_sub(0.1 * tape.gradient(loss, embeddings))
    unit = tf.math.l2_normalize(embeddings, 1) * tf.math.l2_normalize(targets, 1)
    assert tf.reduce_sum(unit, 1).numpy().min() > 0.8
