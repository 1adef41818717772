"""Networks as inference runs them: batch normalisation folded into convolutions.

At inference a batch normalisation is a fixed scale and shift of each channel, so it can
be multiplied into the convolution before it; what remains of an IBN layer is the
instance normalisation of its first channels. The classifier is left out, and the
embedding has unit norm. Everything is written in `keras.ops`. The networks that
ByteCover is compared with are run as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from bytecover_tf.layers.batch_norm import affine
from bytecover_tf.layers.gem import GeM
from bytecover_tf.layers.ring import convolve_in_time, pad_ring
from bytecover_tf.layers.salience import Salience, stack_harmonics
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE
from bytecover_tf.layers.tensor import Tensor
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble, side_by_side
from bytecover_tf.models.heard_notes import HeardNotes
from bytecover_tf.models.note_network import KNEE, NoteNetwork
from bytecover_tf.models.resnet_ibn import Bottleneck

Step = Callable[[Tensor], Tensor]


def inference_network(model: ByteCover | Ensemble) -> Step:
    """Return the function from features to embeddings.

    Args:
        model: a trained model; its weights are copied as constants.

    Returns:
        A function of features (batch, bins, frames) that returns unit-norm f_c
        (batch, dim), both float32; NaN for features that are silent or not finite.
    """
    network = _network(model)

    def guarded(features: Tensor) -> Tensor:
        level = ops.expand_dims(ops.mean(features, axis=(1, 2)), -1)
        return _where_usable(level, network(features))

    return guarded


def hearing_network(model: NoteNetwork) -> Step:
    """Return the function from features to what is heard.

    As `audio.hearing.Hearing.hear`, it divides by the mean of the whole recording, and
    drops a last odd frame.

    Args:
        model: a trained model; its weights are copied as constants.

    Returns:
        A function of features (batch, 3 * semitones, frames) that returns probabilities
        (batch, 3, semitones, frames // 2), both float32; NaN for features that are
        silent or not finite.
    """
    notes = _notes(model)

    def network(features: Tensor) -> Tensor:
        level = ops.mean(features, axis=(1, 2), keepdims=True)
        frames = ops.shape(features)[2] // 2 * 2
        logits = notes(ops.expand_dims((features / level)[:, :, :frames], -1))
        heard = ops.transpose(ops.sigmoid(logits), (0, 3, 1, 2))
        return _where_usable(level[..., None], heard)

    return network


def _where_usable(level: Tensor, found: Tensor) -> Tensor:
    """Return NaN where a recording's mean amplitude is zero or not finite."""
    # No runtime can be relied on to carry NaN through a maximum or a power.
    is_usable = ops.logical_and(level > 0, level < np.inf)
    return ops.where(is_usable, found, np.float32(np.nan))


def _network(model: ByteCover | Ensemble) -> Step:
    if isinstance(model, Ensemble):
        members = [_network(member) for member in model.members]
        return lambda features: _unit_norm(
            side_by_side([member(features) for member in members], model.shares)
        )
    if model.architecture.network != "resnet":
        return _as_it_is(model)
    backbone = model.backbone
    front = [_front_layer(layer) for layer in model.front()]
    ring = backbone.ring
    stem = _convolution(backbone.stem_conv, affine(backbone.stem_norm), ring)
    blocks = [_bottleneck(block) for block in backbone.bottlenecks]
    head = _head(model)

    def network(features: Tensor) -> Tensor:
        x = ops.expand_dims(features, -1)
        for layer in front:
            x = layer(x)
        x = ops.relu(stem(x))
        x = _pad(x, 0 if ring else 1, 1)
        x = ops.max_pool(x, backbone.pool.pool_size, strides=backbone.pool.strides)
        for block in blocks:
            x = block(x)
        return head(x)

    return network


def _front_layer(layer: Any) -> Step:
    if isinstance(layer, Salience):
        return _salience(layer)
    return _heard(layer) if isinstance(layer, HeardNotes) else layer


def _as_it_is(model: ByteCover) -> Step:
    weights = [
        [ops.convert_to_numpy(variable) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]

    def network(features: Tensor) -> Tensor:
        output, _ = model.stateless_call(
            *weights, ops.expand_dims(features, -1), training=False
        )
        return _unit_norm(output["f_c"])

    return network


def _unit_norm(x: Tensor) -> Tensor:
    # By the largest value first: in half precision, the squares would overflow.
    x = x / ops.max(ops.abs(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))


def _salience(layer: Salience) -> Step:
    hidden = [
        _convolution(convolution, affine(norm))
        for convolution, norm in zip(layer.convolutions, layer.norms, strict=True)
    ]
    squeeze, excite = _dense(layer.squeeze), _dense(layer.excite)
    last = layer.output_conv
    output = _convolution(last, (np.ones(2), _float64(last.bias)))

    def run(x: Tensor) -> Tensor:
        x = stack_harmonics(ops.squeeze(x, -1))
        for number, convolution in enumerate(hidden):
            y = ops.relu(convolution(x))
            if number:
                x = x + y
            else:
                means = ops.mean(y, axis=(1, 2))
                gains = 2.0 * ops.sigmoid(excite(ops.relu(squeeze(means))))
                x = y * gains[:, None, None, :]
        return ops.sigmoid(output(x))

    return run


def _notes(model: NoteNetwork) -> Step:
    """Return the function from relative amplitudes to logits."""
    hidden = [
        _same(convolution, affine(norm))
        for convolution, norm in zip(model.convolutions, model.norms, strict=True)
    ]
    added = [convolution.name.startswith("added") for convolution in model.convolutions]
    output = _same(model.heard, (np.ones(3), _float64(model.heard.bias)))

    def run(x: Tensor) -> Tensor:
        x = ops.log(1.0 + ops.squeeze(x, -1) / KNEE)
        x = stack_harmonics(x, BINS_PER_SEMITONE)
        for convolution, is_added in zip(hidden, added, strict=True):
            y = ops.relu(convolution(x))
            x = x + y if is_added else y
        return output(x)

    return run


def _heard(layer: HeardNotes) -> Step:
    notes = _notes(layer.network)
    return lambda x: layer.as_map(notes(layer.relative(x)))


def _dense(layer: Any) -> Step:
    kernel, bias = _float32(layer.kernel), _float32(layer.bias)
    return lambda x: ops.matmul(x, kernel) + bias


def _bottleneck(block: Bottleneck) -> Step:
    conv1, norm1 = _first(block)
    conv2 = _convolution(block.conv2, affine(block.norm2), block.ring)
    conv3 = _convolution(block.conv3, affine(block.norm3))
    shortcut = (
        None
        if block.shortcut is None
        else _convolution(block.shortcut, affine(block.shortcut_norm))
    )

    def run(x: Tensor) -> Tensor:
        y = ops.relu(norm1(conv1(x)))
        y = conv3(ops.relu(conv2(y)))
        return ops.relu(y + (x if shortcut is None else shortcut(x)))

    return run


def _first(block: Bottleneck) -> tuple[Step, Step]:
    """Return a block's first convolution and what is left of its normalisation."""
    if not block.ibn:
        return _convolution(block.conv1, affine(block.norm1)), lambda x: x
    instance = block.norm1.instance_norm
    scale, shift = affine(block.norm1.batch_norm)
    split = block.filters - len(scale)
    untouched = (
        np.concatenate([np.ones(split), scale]),
        np.concatenate([np.zeros(split), shift]),
    )
    gamma, beta = _float32(instance.gamma), _float32(instance.beta)

    def norm(x: Tensor) -> Tensor:
        first, rest = x[..., :split], x[..., split:]
        mean = ops.mean(first, axis=(1, 2), keepdims=True)
        centred = first - mean
        variance = ops.mean(ops.square(centred), axis=(1, 2), keepdims=True)
        scale = gamma * ops.rsqrt(variance + instance.epsilon)
        return ops.concatenate([centred * scale + beta, rest], axis=-1)

    return _convolution(block.conv1, untouched), norm


def _head(model: ByteCover) -> Step:
    pool = model.pool
    p = float(_float64(pool.p)) if isinstance(pool, GeM) else None
    scale, shift = (
        (np.ones(model.dim), np.zeros(model.dim))
        if model.neck is None
        else affine(model.neck.batch_norm)
    )
    # A projection is linear, so the neck folds into it.
    kernel, bias = None, shift
    if model.projection is not None:
        kernel = _folded(model.projection.kernel, scale)
        bias = _float64(model.projection.bias) * scale + shift
        scale = np.ones(model.dim)
    scale, bias = scale.astype(np.float32), bias.astype(np.float32)

    def run(x: Tensor) -> Tensor:
        if p is not None:
            x = ops.power(ops.maximum(x, pool.epsilon), p)
            x = ops.power(ops.mean(x, axis=(1, 2)), 1 / p)
        else:
            x = ops.mean(x, axis=(1, 2))
        x = x * scale if kernel is None else ops.matmul(x, kernel)
        return _unit_norm(x + bias)

    return run


def _convolution(
    layer: Any, affine: tuple[np.ndarray, np.ndarray], ring: bool = False
) -> Step:
    """Return a convolution of padded maps; on a ring the bins go round."""
    scale, shift = affine
    kernel = _folded(layer.kernel, scale)
    bias = shift.astype(np.float32)
    pad = pad_ring if ring else _pad
    bins, frames = (size // 2 for size in kernel.shape[:2])

    def convolve(x: Tensor) -> Tensor:
        return ops.conv(x, kernel, strides=layer.strides)

    def run(x: Tensor) -> Tensor:
        x = pad(x, bins, frames)
        if ring and layer.strides[1] > 1:
            return convolve_in_time(convolve, x, layer.strides[1]) + bias
        return convolve(x) + bias

    return run


def _same(layer: Any, affine: tuple[np.ndarray, np.ndarray]) -> Step:
    """Return a convolution that pads as Keras's `same` does."""
    scale, shift = affine
    kernel, bias = _folded(layer.kernel, scale), shift.astype(np.float32)
    return lambda x: ops.conv(x, kernel, strides=layer.strides, padding="same") + bias


def _folded(kernel: Tensor, scale: np.ndarray) -> np.ndarray:
    # In float32 throughout, so that `export.compact` can take it apart again.
    return _float32(kernel) * scale.astype(np.float32)


def _pad(x: Tensor, bins: int, frames: int) -> Tensor:
    if not bins and not frames:
        return x
    return ops.pad(x, [[0, 0], [bins, bins], [frames, frames], [0, 0]])


def _float64(variable: Tensor) -> np.ndarray:
    return ops.convert_to_numpy(variable).astype(np.float64)


def _float32(value: Tensor) -> np.ndarray:
    return ops.convert_to_numpy(value).astype(np.float32)
