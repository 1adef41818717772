import keras
import numpy as np
import pytest
from keras import ops

from bytecover_tf.losses import batch_hard_triplet, pairwise_euclidean


def loop(embeddings, works, margin, distance="euclidean"):
    """Batch-hard triplet loss, anchor by anchor."""
    losses = []
    for a, anchor in enumerate(embeddings):
        positives, negatives = [], []
        for b, other in enumerate(embeddings):
            apart = ((anchor - other) ** 2).sum()
            if distance == "euclidean":
                apart = np.sqrt(apart)
            if works[a] != works[b]:
                negatives.append(apart)
            elif a != b:
                positives.append(apart)
        if positives and negatives:
            losses.append(max(max(positives) - min(negatives) + margin, 0.0))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize(
    "works",
    [
        [0, 0, 1, 1, 2, 2],
        [0, 0, 0, 1, 1, 2],  # work 2 has one version: no positive
        [5, 3, 5, 3, 5, 3],
        [0, 1, 2, 3, 4, 5],  # no positive at all
        [7, 7, 7, 7, 7, 7],  # no negative at all
    ],
)
@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("distance", ["euclidean", "squared"])
def test_equals_a_plain_loop(works, margin, distance, rng):
    embeddings = rng.normal(size=(6, 8)).astype(np.float32)
    loss = float(batch_hard_triplet(embeddings, np.array(works), margin, distance))
    expected = loop(embeddings, works, margin, distance)
    assert loss == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_pairwise_distances_equal_a_plain_loop(rng):
    embeddings = rng.normal(size=(5, 30)).astype(np.float32)
    expected = [[np.linalg.norm(a - b) for b in embeddings] for a in embeddings]
    distances = np.asarray(pairwise_euclidean(embeddings))
    np.testing.assert_allclose(distances, expected, atol=1e-5)
    assert (np.diag(distances) == 0).all()


def test_far_from_the_origin_equal_pairs_have_distance_zero(rng):
    point = rng.normal(100.0, 1.0, 2048).astype(np.float32)
    distances = np.asarray(pairwise_euclidean(np.stack([point, point, -point])))
    assert distances[0, 1] == 0
    assert distances[0, 2] == pytest.approx(2 * np.linalg.norm(point), rel=1e-5)


def gradient(embeddings, works, margin=0.3):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    x = tf.constant(embeddings)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = batch_hard_triplet(x, works, margin)
    return tape.gradient(loss, x).numpy()


def test_gradient_equals_finite_differences(rng):
    embeddings = rng.normal(size=(6, 3)).astype(np.float32)
    works = np.array([0, 0, 0, 1, 1, 2])
    analytic = gradient(embeddings, works)
    step = 1e-3
    for i, j in np.ndindex(*embeddings.shape):
        up, down = embeddings.astype(float), embeddings.astype(float)
        up[i, j] += step
        down[i, j] -= step
        slope = (loop(up, works, 0.3) - loop(down, works, 0.3)) / (2 * step)
        assert analytic[i, j] == pytest.approx(slope, abs=2e-3)


def test_gradient_is_finite_where_all_embeddings_are_equal():
    embeddings = np.ones((4, 8), np.float32)
    assert np.isfinite(gradient(embeddings, np.array([0, 0, 1, 1]))).all()


def test_gradient_is_zero_without_a_valid_anchor(rng):
    embeddings = rng.normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(gradient(embeddings, np.array([0, 1, 2])), 0)


def test_half_precision_input_is_computed_in_float32(rng):
    embeddings = rng.normal(0, 50, (4, 2048)).astype(np.float16)  # squares overflow
    loss = batch_hard_triplet(ops.convert_to_tensor(embeddings), np.array([0, 0, 1, 1]))
    assert np.isfinite(float(loss))
