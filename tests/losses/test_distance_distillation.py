import keras
import numpy as np
import pytest

from bytecover_tf.losses import distance_distillation


def loop(embeddings, targets):
    """The loss, one pair of two recordings at a time."""
    differences = [
        abs(
            np.sum((embeddings[a] - embeddings[b]) ** 2)
            - np.sum((targets[a] - targets[b]) ** 2)
        )
        for a in range(len(embeddings))
        for b in range(len(embeddings))
        if a != b
    ]
    return np.mean(differences)


@pytest.mark.parametrize("batch", [2, 5, 12])
def test_equals_a_plain_loop_between_spaces_of_any_size(rng, batch):
    embeddings = rng.normal(size=(batch, 4)).astype(np.float32)
    targets = rng.normal(size=(batch, 30)).astype(np.float32)
    found = float(distance_distillation(embeddings, targets))
    assert found == pytest.approx(loop(embeddings, targets), rel=1e-4)


def test_equals_torch(rng):
    """Scaled by the roots of their sizes, as Re-MOVE divides squared distances."""
    torch = pytest.importorskip("torch")
    student, teacher = rng.normal(size=(6, 8)), rng.normal(size=(6, 20))
    ours = torch.cdist(*[torch.tensor(student)] * 2) ** 2 / 8
    theirs = torch.cdist(*[torch.tensor(teacher)] * 2) ** 2 / 20
    apart = ~torch.eye(6, dtype=bool)
    expected = torch.nn.functional.l1_loss(ours[apart], theirs[apart])
    found = distance_distillation(student / 8**0.5, teacher / 20**0.5)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_turned_and_moved_embeddings_cost_nothing(rng):
    targets = rng.normal(size=(7, 5))
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    moved = np.pad(targets @ turn + 3.0, ((0, 0), (0, 4)))
    assert float(distance_distillation(moved, targets)) == pytest.approx(0, abs=1e-4)
    assert float(distance_distillation(2 * moved, targets)) > 1


def test_a_single_recording_costs_nothing():
    assert float(distance_distillation(np.ones((1, 3)), np.zeros((1, 3)))) == 0


def test_gradients_bring_the_distances_together(rng):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    targets = tf.constant(rng.normal(size=(8, 12)), tf.float32)
    embeddings = tf.Variable(rng.normal(size=(8, 6)), dtype=tf.float32)
    optimizer = keras.optimizers.Adam(0.05)
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = distance_distillation(embeddings, targets)
        gradient = tape.gradient(loss, embeddings)
        assert np.isfinite(gradient.numpy()).all()
        optimizer.apply([gradient], [embeddings])
        losses.append(float(loss))
    assert losses[-1] < 0.3 * losses[0]
