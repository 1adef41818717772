import keras
import numpy as np
import pytest

from bytecover_tf.losses import supervised_contrastive


def loop(embeddings, works, temperature):
    """The loss, anchor by anchor and version by version."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    losses = []
    for a in range(len(works)):
        others = [b for b in range(len(works)) if b != a]
        versions = [b for b in others if works[b] == works[a]]
        scores = {b: unit[a] @ unit[b] / temperature for b in others}
        total = np.log(np.sum(np.exp(list(scores.values()))))
        if versions:
            losses.append(np.mean([total - scores[b] for b in versions]))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize(
    "works",
    [
        [0, 0, 1, 1, 2, 2],
        [0, 0, 0, 1, 1, 2],  # work 2 has one version: no anchor
        [0, 1, 2, 3, 4, 5],  # no anchor at all
        [7, 7, 7, 7, 7, 7],  # nothing to tell apart
    ],
)
@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_equals_a_plain_loop(works, temperature, rng):
    embeddings = rng.normal(size=(6, 8)).astype(np.float32)
    loss = float(supervised_contrastive(embeddings, np.array(works), temperature))
    assert loss == pytest.approx(loop(embeddings, works, temperature), rel=1e-4)


def test_the_length_of_an_embedding_does_not_matter(rng):
    embeddings = rng.normal(size=(6, 8)).astype(np.float32)
    works = np.array([0, 0, 1, 1, 2, 2])
    longer = embeddings * rng.uniform(0.1, 10, (6, 1)).astype(np.float32)
    assert float(supervised_contrastive(longer, works)) == pytest.approx(
        float(supervised_contrastive(embeddings, works)), rel=1e-4
    )


def test_descending_it_brings_versions_together(rng):
    works = np.repeat(np.arange(4), 3)
    embeddings = keras.Variable(rng.normal(size=(12, 8)).astype(np.float32))
    optimizer = keras.optimizers.SGD(0.5)
    import tensorflow as tf

    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = supervised_contrastive(embeddings, works)
        optimizer.apply([tape.gradient(loss, embeddings.value)], [embeddings])
    unit = np.asarray(embeddings)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    similarity = unit @ unit.T
    same = works[:, None] == works
    assert similarity[same].min() > similarity[~same].max() + 0.3
