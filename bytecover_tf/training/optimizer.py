"""The optimiser of a training and its learning rate."""

from __future__ import annotations

import keras

from bytecover_tf.training.config import Config


def make_optimizer(config: Config) -> keras.optimizers.Optimizer:
    """Return the optimiser that the settings name."""
    rate = learning_rate(config)
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
    return keras.optimizers.Adam(rate)


def learning_rate(config: Config) -> keras.optimizers.schedules.CosineDecay:
    """Return the learning rate by step: a warm-up, then constant or a cosine."""
    warmup = config.warmup_steps
    # With equal start and end, the cosine is a constant after the warm-up.
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        max(config.total_steps - warmup, 1),
        alpha=0.0 if config.decay == "cosine" else 1.0,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
