"""Starting from a trained encoder: its weights, or the encoder as a teacher."""

from __future__ import annotations

from pathlib import Path

from bytecover_tf.audio.chroma import PITCH_CLASSES
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.encoders.encoder import Encoder, KerasNetwork
from bytecover_tf.encoders.model_file import (
    encoder_file,
    load_model,
    load_single,
)
from bytecover_tf.encoders.notes import reading_notes
from bytecover_tf.errors import ConfigError
from bytecover_tf.evaluation.protocol import check_unseen
from bytecover_tf.files import JsonObject
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.training.config import Config
from bytecover_tf.training.splits import Splits

# Settings of other networks, and those of what follows MOVE's convolutions.
_BESIDE_MOVE = {"blocks", "ibn", "pooling", "bnneck", "embedding_dim"}


def take_weights(
    model: ByteCover, init: Path, splits: Splits, store: FeatureStore, data: str
) -> JsonObject:
    """Copy an encoder's weights; return what to record about it.

    An ensemble provides the member that fits. A network that reads heard notes takes
    those of one that has a salience layer in place of them, too.

    Args:
        model: the network to be trained.
        init: a run directory, a `.keras` file or the name of an encoder.
        splits: hold the works that the encoder must not have been trained on.
        store: the features that the network reads.
        data: name of the data set.

    Raises:
        ConfigError: no member has the architecture of the model.
        DataError: the encoder was trained on unseen works.
        EncoderError: it cannot be read.
        FrontendMismatch: it reads other features.
    """
    path = encoder_file(init)
    found, info = load_model(path)
    frontend = Frontend.from_dict(info["frontend"])
    sources = found.members if isinstance(found, Ensemble) else [found]
    if model.heard is not None and frontend.bins_per_octave == PITCH_CLASSES:
        fitting = [one for one in sources if one.salience is not None] or sources
        both = [reading_notes(one, frontend, str(path)) for one in fitting]
        sources = [one for one, _ in both]
        frontend = both[0][1]
    frontend.check_same(store.frontend, str(store.path))
    source = min(
        sources, key=lambda one: len(one.architecture.differences(model.architecture))
    )
    differences = source.architecture.differences(model.architecture)
    if differences:
        raise ConfigError(
            f"{path}: its weights do not fit, the architecture is another ("
            + "; ".join(
                f"{name}: {theirs} in {path}, {ours} in the settings"
                for name, (theirs, ours) in differences.items()
            )
            + "); to train on from it, add "
            + " ".join(
                f"--set '{name}={theirs}'" for name, (theirs, _) in differences.items()
            )
        )
    model.take_weights(source)
    return _unseen(model, info, init, splits, store, data)


def load_teacher(
    path: Path, config: Config, splits: Splits, store: FeatureStore, data: str
) -> tuple[ByteCover, JsonObject]:
    """Return a teacher that fits the settings, and what to record about it.

    Args:
        path: a run directory, a `.keras` file or the name of an encoder.
        config: all settings.
        splits: hold the works that the teacher must not have been trained on.
        store: the features that the network reads.
        data: name of the data set.

    Raises:
        ConfigError: a teacher of scores reads none; one of scores or of wholes embeds
            in another number of values; or one of distances is another network.
        DataError: it was trained on unseen works.
        EncoderError: it cannot be read.
        FrontendMismatch: it reads other features.
    """
    file = encoder_file(path)
    teacher, info = load_single(file)
    reads = Frontend.from_dict(info["frontend"])
    reads.check_same(store.frontend, f"{file} cannot read {store.path}")
    origin = _unseen(teacher, info, path, splits, store, data)
    if config.teaching == "distances":
        _check_extractor(teacher, file, config)
        return teacher, origin
    if config.teaching == "scores" and teacher.salience is None:
        raise ConfigError(
            f"{file}: cannot read scores, which a teacher must (no salience)"
        )
    wanted = ByteCover(config.architecture).dim
    if teacher.dim != wanted:
        raise ConfigError(
            f"{file}: embeds in {teacher.dim} values, the settings in {wanted}; to "
            f"learn from it, add --set embedding_dim={teacher.dim}"
        )
    return teacher, origin


def _check_extractor(teacher: ByteCover, file: Path, config: Config) -> None:
    """Make sure that the network can start from a teacher of distances.

    Raises:
        ConfigError: the teacher is another network than MOVE; or it has another
            architecture, sizes of embeddings aside, and is to be started from.
    """
    if {teacher.architecture.network, config.network} != {"move"}:
        raise ConfigError(
            f"{file}: teaching=distances needs network=move in the teacher and in the "
            f"settings, not {teacher.architecture.network} and {config.network}"
        )
    different = {
        name: pair
        for name, pair in teacher.architecture.differences(config.architecture).items()
        if name not in _BESIDE_MOVE
    }
    if different and config.reconfigure:
        raise ConfigError(
            f"{file}: reconfigure=True needs its architecture; add "
            + " ".join(f"--set '{name}={one}'" for name, (one, _) in different.items())
        )


def _unseen(
    model: ByteCover,
    info: JsonObject,
    path: Path,
    splits: Splits,
    store: FeatureStore,
    data: str,
) -> JsonObject:
    """Refuse an encoder that knows unseen works; return what to record about it."""
    encoder = Encoder(KerasNetwork(model, store.frontend), info)
    unseen = splits.unseen_tracks
    check_unseen(encoder, data, unseen, store.content(track.path for track in unseen))
    return {
        "path": str(path),
        "trained_on": Provenance.recorded_in(info).to_dict(),
    }
