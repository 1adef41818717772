"""Several encoders made into one, with the facts that its file keeps of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from keras import ops

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.encoders.model_file import encoder_file, load_model, load_single
from bytecover_tf.encoders.notes import reading_notes
from bytecover_tf.errors import ConfigError
from bytecover_tf.files import JsonObject
from bytecover_tf.layers.semitones import BINS_PER_SEMITONE
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.ensemble import Ensemble

_NOTES = "notes:"


def join(
    members: Sequence[str], shares: Sequence[float] | None = None
) -> tuple[Ensemble, Frontend, JsonObject]:
    """Join trained encoders into one.

    An ensemble among them is taken apart: its members join one by one and divide its
    share. If some encoders read 36 bins an octave, those that read 12 get the same
    features through a layer that folds them.

    Args:
        members: two or more encoders that read the same features: names that come
            with the package, run directories or `.keras` files. With `notes:` before
            it, one that has a salience layer reads in place of that what the package's
            ears hear.
        shares: how much the similarity of each counts; None for all alike.

    Returns:
        The ensemble, the frontend that its members share, and the facts about it, as
        `save_model` takes them.

    Raises:
        ConfigError: there are fewer than two members, or not one share for each, or
            one of `notes:` has no salience layer.
        EncoderError: a member cannot be read.
        FrontendMismatch: they read different features; the message names the file.
    """
    paths = _checked(members, shares)
    found, frontends, infos = zip(*map(_member, members, paths), strict=True)
    finest = max(frontends, key=lambda frontend: frontend.bins_per_octave)
    models: list[ByteCover] = []
    parts: list[float] = []
    for path, model, frontend, share in zip(
        paths, found, frontends, shares or [1.0] * len(paths), strict=True
    ):
        frames = _frames_folded(frontend, finest)
        if frames is None:
            finest.check_same(frontend, str(path))
        inner = model.members if isinstance(model, Ensemble) else [model]
        models += [
            one.encoder() if frames is None else _folding(one, finest, frames)
            for one in inner
        ]
        weights = model.shares if isinstance(model, Ensemble) else [1.0]
        parts += [share * weight / sum(weights) for weight in weights]
    joined = Ensemble(models, parts)
    joined.build((None, finest.n_bins, None, 1))
    kept = [one for info in infos for one in info.get("members") or [info]]
    return joined, finest, {"members": kept, "trained_on": _trained_on(infos)}


def average(
    members: Sequence[str], shares: Sequence[float] | None = None
) -> tuple[ByteCover, Frontend, JsonObject]:
    """Return an encoder with the mean of others' weights, at the cost of one.

    The others should have been trained on from the same weights, or be these; else
    their weights have nothing to do with each other. Often the mean of an encoder and
    what it became in training is the more robust (Wortsman et al., "Robust fine-tuning
    of zero-shot models", CVPR 2022, and "Model soups", ICML 2022).

    Args:
        members: two or more, as `join` takes them; none is an ensemble.
        shares: how much the weights of each count; None for all alike.

    Returns:
        The encoder, its frontend, and the facts about it, as `save_model` takes them.

    Raises:
        ConfigError: as of `join`; or their architectures differ.
        EncoderError: a member cannot be read, or is an ensemble.
        FrontendMismatch: they read different features; the message names the file.
    """
    paths = _checked(members, shares)
    models, frontends, infos = zip(
        *(_member(name, path, True) for name, path in zip(members, paths, strict=True)),
        strict=True,
    )
    mean: ByteCover | None = None
    parts = np.array(shares or [1.0] * len(paths))
    for path, model, frontend in zip(paths, models, frontends, strict=True):
        frontends[0].check_same(frontend, str(path))
        mean = mean or model.encoder()
        differences = mean.architecture.differences(model.architecture)
        if differences:
            raise ConfigError(
                f"{path}: has another architecture than {paths[0]} "
                f"({', '.join(differences)}), so their weights have no mean"
            )
    assert mean is not None
    for weight, *each in zip(
        mean.variables, *(model.variables for model in models), strict=True
    ):
        values = [ops.convert_to_numpy(one) for one in each]
        weight.assign(np.average(values, axis=0, weights=parts))
    facts = {"averaged": list(infos), "trained_on": _trained_on(infos)}
    return mean, frontends[0], facts


def _checked(members: Sequence[str], shares: Sequence[float] | None) -> list[Path]:
    """Return the encoders' files, if there are enough of them and of shares."""
    if len(members) < 2:
        raise ConfigError("expected two encoders or more, not one")
    if shares and len(shares) != len(members):
        raise ConfigError(
            f"--shares must be {len(members)} numbers, one for each "
            f"encoder, not {' '.join(f'{share:g}' for share in shares)}"
        )
    return [encoder_file(member.removeprefix(_NOTES)) for member in members]


def _trained_on(infos: Sequence[JsonObject]) -> JsonObject:
    """Return what any of the encoders was trained on."""
    return Provenance().merge(*map(Provenance.recorded_in, infos)).to_dict()


def _member(
    name: str, path: Path, single: bool = False
) -> tuple[ByteCover | Ensemble, Frontend, JsonObject]:
    """Return an encoder, its frontend and what was recorded with it.

    Args:
        name: as `join` takes it.
        path: its file.
        single: whether to refuse an ensemble.
    """
    is_single = single or name.startswith(_NOTES)
    model, info = (load_single if is_single else load_model)(path)
    frontend = Frontend.from_dict(info["frontend"])
    if name.startswith(_NOTES):
        model, frontend = reading_notes(model, frontend, name)
    return model, frontend, info


def _frames_folded(frontend: Frontend, finest: Frontend) -> int | None:
    """Return how many of the finest frames fold into one; None if they do not."""
    folded = replace(
        finest,
        bins_per_octave=finest.bins_per_octave // BINS_PER_SEMITONE,
        n_bins=finest.n_bins // BINS_PER_SEMITONE,
        pool=frontend.pool,
        estimated=False,
    )
    is_whole = frontend.pool % finest.pool == 0
    return frontend.pool // finest.pool if is_whole and folded == frontend else None


def _folding(model: ByteCover, finest: Frontend, frames: int) -> ByteCover:
    """Return a copy that folds finer features into those that the model reads."""
    copy = ByteCover(replace(model.architecture, semitones=frames))
    copy.build((None, finest.n_bins, None, 1))
    copy.take_weights(model)
    return copy
