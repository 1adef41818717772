"""Trained models as files: a `.keras` archive that also records how it was made.

Beside Keras's own members the archive holds `bytecover.json` with the frontend,
the versions of the libraries, and whatever the trainer knows (settings, metrics,
state). One file is one artifact: it is written beside its place and then renamed,
so a reader sees the old one or the new one.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.encoders.former_checkpoint import upgrade
from bytecover_tf.encoders.pretrained import DEFAULT, locate
from bytecover_tf.encoders.probe import PROBE, answer, check
from bytecover_tf.encoders.shared_kernels import leave_out, put_back
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.extras import require_extra
from bytecover_tf.files import JsonObject, content_hash, json_object, replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bytecover_tf.models.bytecover import ByteCover
    from bytecover_tf.models.ensemble import Ensemble
    from bytecover_tf.models.learner import Learner
    from bytecover_tf.models.note_network import NoteNetwork

_FORMAT = 1
_MEMBER = "bytecover.json"
# Entries of a file that leaves its kernels to an ONNX file: where they are, and the
# checksum that the encoder is known by.
_KERNELS, _CHECKSUM = "kernels", "encoder_sha256"
_NETWORK, _LEARNER = "bytecover_tf>ByteCover", "bytecover_tf>Learner"
_ENCODERS = (_NETWORK, _LEARNER, "bytecover_tf>Ensemble")
_HEARING = ("bytecover_tf>NoteNetwork",)
_KERAS_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}


def save_model(
    model: ByteCover | Learner | Ensemble | NoteNetwork,
    path: Path,
    frontend: Frontend,
    info: JsonObject,
) -> None:
    """Write a model, its optimiser's state included if it was compiled.

    Args:
        model: the model to save.
        path: a name that ends in `.keras`; an older file is replaced.
        frontend: parameters of the features that the model reads.
        info: further facts, ready for JSON; those that `read_info` returned of
            another file may be among them.

    Raises:
        OSError: it cannot be written; what stood there is as it was.
    """
    record = {
        **info,
        "format": _FORMAT,
        "frontend": frontend.to_dict(),
        "versions": versions("bytecover_tf", "keras", _backend(), "librosa"),
        PROBE: answer(_network(model), frontend.n_bins),
    }
    _write(model, path, record)


def save_beside_graph(source: Path, path: Path, graph: Path) -> None:
    """Copy an encoder into a file that leaves its kernels to an ONNX file.

    It is known by the checksum of the file that it is copied from.

    Args:
        source: the encoder's `.keras` file.
        path: the copy; an older file is replaced.
        graph: the ONNX file in the same folder, exported from the encoder with its
            weights as float16.

    Raises:
        EncoderError: `source` cannot be loaded.
        OSError: the copy cannot be written; what stood there is as it was.
    """
    model, info = load_model(source)
    record = {
        **info,
        PROBE: answer(_network(model), Frontend.from_dict(info["frontend"]).n_bins),
        _CHECKSUM: encoder_checksum(source),
        _KERNELS: leave_out(model.variables, graph),
    }
    _write(model, path, record)


def _write(model: Any, path: Path, record: JsonObject) -> None:
    with replacing(path) as beside:
        model.save(beside)
        with zipfile.ZipFile(beside, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_MEMBER, json.dumps(record, indent=1))


def encoder_file(path: str | Path) -> Path:
    """Return the `.keras` file of an encoder.

    Args:
        path: a name of `pretrained_names`, or a run directory; any other path is
            returned as it is.
    """
    path = locate(path)
    return path / "encoder.keras" if path.is_dir() else path


def encoder_checksum(path: str | Path) -> str | None:
    """Return what an encoder is known by: the SHA-256 of its `.keras` file.

    Args:
        path: what `load_encoder` takes; for other forms than a `.keras` file or a run
            directory the result is None.

    Raises:
        EncoderError: the file cannot be read.
    """
    path = encoder_file(path)
    if not (path.suffix == ".keras" and path.is_file()):
        return None
    return read_info(path).get(_CHECKSUM) or content_hash(path)


def graph_with_kernels(path: Path) -> Path | None:
    """Return the ONNX file that a `.keras` file leaves its kernels to, if it does.

    Args:
        path: an encoder's `.keras` file.

    Raises:
        EncoderError: it cannot be read.
    """
    kernels = read_info(path).get(_KERNELS)
    return path.with_name(kernels["file"]) if kernels else None


def versions(*modules: str) -> dict[str, str]:
    """Return the version of each module by its name."""
    return {name: import_module(name).__version__ for name in modules}


def _backend() -> str:
    import keras

    return keras.backend.backend()


def read_info(path: Path, kinds: Sequence[str] = _ENCODERS) -> JsonObject:
    """Return what `save_model` recorded, without loading the model.

    Args:
        path: a file that `save_model` wrote.
        kinds: names of classes that the model may have; by default encoders.

    Raises:
        EncoderError: the file is missing or was not written by `save_model`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if names != _KERAS_MEMBERS | {_MEMBER}:
                raise EncoderError(
                    f"{path}: not a model of this package; expected an archive of "
                    f"{', '.join(sorted(_KERAS_MEMBERS | {_MEMBER}))}, "
                    f"found {', '.join(sorted(names)) or 'nothing'}"
                )
            record, config = (
                json_object(archive.read(member), f"{path}: {member}", EncoderError)
                for member in (_MEMBER, "config.json")
            )
    except FileNotFoundError:
        raise EncoderError(f"{path}: no such file") from None
    except EncoderError:
        raise
    # Damage shows as many kinds of errors.
    except Exception as error:
        raise EncoderError(f"{path}: not a readable .keras archive ({error})") from None
    kind = config.get("registered_name")
    if kind not in kinds:
        expected = " or ".join(name.split(">")[-1] for name in kinds)
        raise EncoderError(f"{path}: holds a {kind}, expected a {expected}")
    if record.get("format") != _FORMAT:
        raise EncoderError(
            f"{path}: format {record.get('format')}; this version reads {_FORMAT}"
        )
    try:
        Frontend.from_dict(record["frontend"])
    except (ConfigError, KeyError, TypeError) as error:
        raise EncoderError(f"{path}: {_MEMBER}: damaged ({error})") from None
    return record


def load_model(path: Path) -> tuple[ByteCover | Ensemble, JsonObject]:
    """Return a network and what was recorded with it.

    Args:
        path: a file that `save_model` wrote; of a training, its network is returned.
            Nothing in it can run code.

    Raises:
        EncoderError: the file is missing, damaged or of another kind, or the model
            does not give the embedding that was recorded with it.
    """
    record = read_info(path)
    # They are facts about this file, not about the encoder.
    kernels, _ = record.pop(_KERNELS, None), record.pop(_CHECKSUM, None)
    require_extra("train", "keras")
    # The classes must be registered before Keras meets their names.
    import_module("bytecover_tf.models.ensemble")
    from bytecover_tf.models.learner import Learner

    def load(file: Path) -> Any:
        model = _whole(file)
        if kernels:
            put_back(model.variables, kernels, file)
        return model

    model = _load(path, record, load)
    return model.network if isinstance(model, Learner) else model, record


def load_hearing_model(
    path: Path, training: bool = False
) -> tuple[NoteNetwork, JsonObject]:
    """Return a network that hears notes and what was recorded with it.

    Args:
        path: a file that `save_model` wrote.
        training: whether to restore the optimiser as well.

    Raises:
        EncoderError: the file is missing, damaged or of another kind.
    """
    record = read_info(path, _HEARING)
    require_extra("train", "keras")
    import_module("bytecover_tf.models.note_network")
    return _load(path, record, lambda file: _whole(file, training)), record


def _load(path: Path, record: JsonObject, load: Callable[[Path], Any]) -> Any:
    """Load a file, and check that the model answers the probe as recorded."""
    try:
        model = load(path)
    except EncoderError:
        raise
    except Exception as error:  # of Keras, of zipfile, of HDF5
        raise EncoderError(f"{path}: cannot be loaded ({error})") from None
    if not model.built:
        raise EncoderError(f"{path}: damaged; it does not say how it is built")
    check(_network(model), Frontend.from_dict(record["frontend"]).n_bins, record, path)
    return model


def _whole(path: Path, training: bool = False) -> Any:
    """Return the model of a file; in training, with the optimiser's state."""
    import keras

    return keras.saving.load_model(path, compile=training, safe_mode=True)


def _network(
    model: ByteCover | Learner | Ensemble | NoteNetwork,
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the part of the output that a probe compares: f_c, or the heard notes."""
    import keras

    def embed(features: np.ndarray) -> np.ndarray:
        found = model(features)
        if isinstance(found, dict):
            return keras.ops.convert_to_numpy(found["f_c"])
        notes = (
            keras.ops.convert_to_numpy(found).mean(axis=2).reshape(len(features), -1)
        )
        # All are unlikely: what differs between them tells networks apart.
        return notes - notes.mean(axis=1, keepdims=True)

    return embed


def load_single(path: Path) -> tuple[ByteCover, JsonObject]:
    """Return a network that can be trained, and what was recorded with it.

    Args:
        path: a file that `save_model` wrote.

    Raises:
        EncoderError: as of `load_model`, or it is an ensemble.
    """
    model, record = load_model(path)
    from bytecover_tf.models.ensemble import Ensemble

    if isinstance(model, Ensemble):
        raise EncoderError(
            f"{path}: is an ensemble of {len(model.members)}; expected a single "
            f"encoder, such as {DEFAULT}"
        )
    return model, record


def load_learner(
    path: Path, teacher: ByteCover | None = None
) -> tuple[Learner, JsonObject]:
    """Return a training as it was left, and what was recorded with it.

    Args:
        path: a checkpoint that `save_model` wrote.
        teacher: that of the training, which is not saved with it.

    Raises:
        EncoderError: as of `load_model`, or it is not a training checkpoint.
    """
    record = read_info(path, (_LEARNER, _NETWORK))
    return _load(path, record, lambda file: _continued(file, teacher)), record


def _continued(path: Path, teacher: ByteCover | None) -> Learner:
    from bytecover_tf.models.learner import Learner

    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        saved = json.loads(archive.read("config.json"))
        weights = Path(archive.extract("model.weights.h5", folder))
        if saved["registered_name"] == _NETWORK:
            upgrade(saved, weights)
        model = Learner.from_config(saved["config"], teacher=teacher)
        model.build_from_config(saved["build_config"])
        model.compile_from_config(saved["compile_config"])
        model.load_weights(weights)
    return model
