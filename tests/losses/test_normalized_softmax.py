import numpy as np
import pytest

from bytecover_tf.losses import cosine_logits


def test_equals_torch(rng):
    torch = pytest.importorskip("torch")
    embeddings, proxies = rng.normal(size=(5, 8)), rng.normal(size=(8, 3))
    cosines = torch.nn.functional.cosine_similarity(
        torch.tensor(embeddings)[:, None], torch.tensor(proxies).T[None], dim=-1
    )
    np.testing.assert_allclose(
        cosine_logits(embeddings, proxies), cosines / 0.05, rtol=1e-4, atol=1e-4
    )


def test_by_hand_whatever_the_norms():
    embeddings = np.array([[3.0, 0.0], [0.0, 0.2]])
    proxies = np.array([[5.0, 1.0], [0.0, 1.0]])
    expected = np.array([[1, 0.5**0.5], [0, 0.5**0.5]]) / 0.1
    found = cosine_logits(embeddings, proxies, temperature=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
