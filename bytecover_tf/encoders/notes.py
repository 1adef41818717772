"""Networks that read notes, with the network that hears them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.model_file import load_hearing_model
from bytecover_tf.encoders.pretrained import WEIGHTS
from bytecover_tf.errors import ConfigError
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE
from bytecover_tf.models.bytecover import PARTS, ByteCover
from bytecover_tf.models.ensemble import Ensemble
from bytecover_tf.models.heard_notes import FRAMES
from bytecover_tf.models.note_network import NoteNetwork


def take_hearing(model: ByteCover) -> None:
    """Give a network that reads heard notes the ears that come with the package.

    Args:
        model: one that reads something else is left alone.

    Raises:
        ConfigError: its `heard` is not the size of these.
        EncoderError: they cannot be read.
    """
    if model.heard is None:
        return
    hearing = _package_ears()
    if hearing.filters != model.heard.filters:
        raise ConfigError(
            f"heard={model.heard.filters}: expected {hearing.filters}, the filters of "
            "the network that comes with the package"
        )
    model.heard.network.set_weights(hearing.get_weights())


def hears_as_the_package(model: ByteCover | Ensemble) -> bool:
    """Return whether one network of an encoder reads notes, by the package's ears.

    Weights that were rounded to float16 count as the same.

    Args:
        model: the encoder.
    """
    members = model.members if isinstance(model, Ensemble) else [model]
    heard = [one.heard for one in members if one.heard is not None]
    if len(heard) != 1:
        return False
    ears, package = (
        network.get_weights() for network in (heard[0].network, _package_ears())
    )
    return len(ears) == len(package) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=1e-3, atol=1e-6)
        for one, other in zip(ears, package, strict=True)
    )


def reading_notes(
    model: ByteCover, frontend: Frontend, where: str
) -> tuple[ByteCover, Frontend]:
    """Return a copy that reads what the ears that come with the package hear.

    They stand in place of its salience layer, which learned to hear from scores what
    they have learned from real music.

    Args:
        model: a network with a salience layer.
        frontend: its frontend.
        where: its file, for messages.

    Returns:
        The copy and its frontend, of 36 bins an octave.

    Raises:
        ConfigError: the model has no salience layer, or reads other frames.
    """
    if model.salience is None or frontend.pool % FRAMES:
        raise ConfigError(
            f"{where}: cannot read heard notes; expected a network with `salience` and "
            f"a pool of a multiple of {FRAMES}"
        )
    fine = replace(
        frontend,
        n_bins=BINS_PER_SEMITONE * frontend.n_bins,
        bins_per_octave=BINS_PER_SEMITONE * frontend.bins_per_octave,
        pool=frontend.pool // FRAMES,
        estimated=True,
    )
    ears = _package_ears()
    settings = replace(
        model.architecture, input_power=1.0, salience=None, heard=ears.filters
    )
    copy = ByteCover(settings)
    copy.build((None, fine.n_bins, None, 1))
    assert copy.heard is not None
    copy.heard.network.set_weights(ears.get_weights())
    copy.take_weights(model, [part for part in PARTS if part != "heard"])
    return copy, fine


def _package_ears() -> NoteNetwork:
    model, _ = load_hearing_model(WEIGHTS / "hearing" / "hearing.keras")
    return model
