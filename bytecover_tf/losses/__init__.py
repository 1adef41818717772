"""Losses on embeddings, on any Keras backend."""

from bytecover_tf.losses.contrastive import supervised_contrastive
from bytecover_tf.losses.distance_distillation import distance_distillation
from bytecover_tf.losses.distances import pairwise_euclidean
from bytecover_tf.losses.distillation import distillation
from bytecover_tf.losses.normalized_softmax import cosine_logits
from bytecover_tf.losses.triplet import batch_hard_triplet
from bytecover_tf.losses.windows import window_similarities

__all__ = [
    "batch_hard_triplet",
    "cosine_logits",
    "distance_distillation",
    "distillation",
    "pairwise_euclidean",
    "supervised_contrastive",
    "window_similarities",
]
