"""A last linear map that gives less weight to differences between versions of a work.

After training, some directions in which versions differ count as much as those that
tell works apart. Linear discriminant analysis of the embeddings of labelled recordings
finds a map after which versions of a work differ equally in all directions. It orders
the directions by how well they separate works, so that the last ones can be left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import ops

from bytecover_tf.errors import ConfigError, DataError, EncoderError
from bytecover_tf.layers.batch_norm import affine
from bytecover_tf.models.bytecover import ByteCover


def check_network(model: ByteCover) -> None:
    """Refuse a model that `whitened` cannot take.

    Raises:
        EncoderError: the model is one of the other networks.
    """
    network = model.architecture.network
    if network != "resnet":
        raise EncoderError(
            f"a {network} has no projection that could be whitened; expected "
            "ByteCover's own network"
        )


def check_shrinkage(shrinkage: float) -> None:
    """Refuse a value that `discriminants` cannot take.

    Raises:
        ConfigError: it is out of range.
    """
    if not 0 < shrinkage < 1:
        raise ConfigError(f"shrinkage must be between 0 and 1, not {shrinkage}")


def discriminants(
    embeddings: np.ndarray, works: Sequence[str], shrinkage: float = 0.25
) -> np.ndarray:
    """Return the map that whitens the differences between versions.

    Args:
        embeddings: (recordings, dim), unit norm.
        works: works of the recordings; those with a single version are skipped.
        shrinkage: above 0 and below 1, how far the covariance within works is drawn
            towards that of equal, independent directions.

    Returns:
        float32 (dim, dim); the first column separates works best.

    Raises:
        ConfigError: `shrinkage` is out of range.
        DataError: fewer than two works have versions.

    Reference:
        - Hatch et al., "Within-class covariance normalization for SVM-based speaker
          recognition", Interspeech 2006
    """
    from scipy import linalg

    check_shrinkage(shrinkage)
    _, label, count = np.unique(
        np.asarray(works), return_inverse=True, return_counts=True
    )
    several = count > 1
    if np.sum(several) < 2:
        raise DataError(
            "whitening needs two or more works with several versions; found "
            f"{np.sum(several)} among {len(count)} works"
        )
    chosen = several[label]
    vectors, label = embeddings[chosen].astype(np.float64), label[chosen]
    totals = np.zeros((len(count), vectors.shape[1]))
    np.add.at(totals, label, vectors)
    means = totals / count[:, None]
    within = _covariance(vectors - means[label], len(vectors) - int(several.sum()))
    centred = means[several] - means[several].mean(axis=0)
    # The means of a few versions still contain some of the differences within works.
    rest = np.mean(1 / count[several]) * within
    between = _covariance(centred, len(centred) - 1) - rest
    dim = len(within)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / dim * np.eye(dim)
    # The solutions have unit length in the metric of the covariance within works.
    _, solutions = linalg.eigh(between, within)
    return solutions[:, ::-1].astype(np.float32)


def _covariance(differences: np.ndarray, freedom: int) -> np.ndarray:
    return differences.T @ differences / freedom


def whitened(model: ByteCover, matrix: np.ndarray) -> ByteCover:
    """Return an encoder that embeds as the model does, followed by a linear map.

    The map, the neck's statistics and an earlier projection become one projection
    before a new neck, which leaves it as it is.

    Args:
        model: a model of ByteCover's own network.
        matrix: (dim, dim of the result).

    Raises:
        EncoderError: the model is one of the other networks.
    """
    check_network(model)
    result = model.fresh(embedding_dim=matrix.shape[1])
    result.take_weights(model, ("heard", "salience", "backbone", "pool"))
    kernel, bias = np.eye(model.dim), np.zeros(model.dim)
    if model.projection is not None:
        kernel, bias = map(ops.convert_to_numpy, model.projection.weights)
    if model.neck is not None:
        scale, shift = affine(model.neck.batch_norm)
        kernel, bias = kernel * scale, bias * scale + shift
    result.projection.set_weights([kernel @ matrix, bias @ matrix])
    return result
