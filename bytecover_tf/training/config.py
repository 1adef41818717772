"""The settings that define an experiment.

An experiment is a Python file with a `config`, in `bytecover_tf/configs` or
anywhere else. Such a file is code and is run only when its name is given.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import ConfigError
from bytecover_tf.files import JsonObject
from bytecover_tf.models.architecture import LEAST_ROWS, Architecture
from bytecover_tf.models.objective import Objective
from bytecover_tf.settings import (
    can_be_none,
    check_choices,
    check_counts,
    check_not_negative,
    check_positive,
    check_probabilities,
    take,
)
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.note_augment import NoteAugment

# Besides those of the network and of its losses, the settings that a checkpoint keeps.
_FIXED = ("frontend", "optimizer", "weight_decay", "precision", "steps_per_epoch")


@dataclass(frozen=True)
class Config(Objective, Architecture):
    """All settings of a training run; the defaults are the paper's.

    The settings of `Architecture` and `Objective` are among them, so that each has one
    name wherever it is given: `Config(width=24)`, `--set width=24`.

    Attributes:
        frontend: parameters of the features.
        score_share: share of the crops for which the backbone reads the score itself.
            It starts at 1 and falls to this value over `easy_steps`.
        easy_steps: steps in which training with scores goes from easy to hard.
        triplet_from_epoch: first epoch, counted from 0, in which the triplet loss
            takes part.
        works_per_batch: P.
        versions_per_work: K.
        weighting: `work` visits works equally often, `size` by their recordings.
        crop_frames: lengths of training crops in frames, one drawn for each batch.
        augment: random changes to crops.
        hear_once: with `heard`, whether to hear whole recordings before training and
            crop what was heard, so that no step hears anew. Crops are then changed by
            `note_augment` in place of `augment`.
        note_augment: random changes to crops of what was heard.
        optimizer: `adam`, or `adamw` with `weight_decay`.
        learning_rate: its highest value.
        weight_decay: weight decay of `adamw`.
        warmup_steps: steps over which the learning rate grows from 0.
        decay: `none`, or `cosine` down to 0 at the last step.
        precision: `float32`, `mixed_float16` or `mixed_bfloat16`.
        steps_per_epoch: steps between two validations and checkpoints.
        epochs: number of such epochs.

    Raises:
        ConfigError: a value is impossible.
    """

    frontend: Frontend = field(default_factory=Frontend)
    score_share: float = 0.15
    easy_steps: int = 0
    triplet_from_epoch: int = 0
    works_per_batch: int = 8
    versions_per_work: int = 4
    weighting: Literal["work", "size"] = "work"
    # 93, 139 and 186 s, the crops of the second author's earlier system.
    crop_frames: tuple[int, ...] = (40, 60, 80)
    augment: Augment = field(default_factory=Augment)
    hear_once: bool = False
    note_augment: NoteAugment = field(default_factory=NoteAugment)
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 4e-4
    weight_decay: float = 0.0
    warmup_steps: int = 0
    decay: Literal["none", "cosine"] = "none"
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    steps_per_epoch: int = 1000
    epochs: int = 100

    def __post_init__(self) -> None:
        Architecture.__post_init__(self)
        Objective.__post_init__(self)
        check_choices(self)
        check_positive(
            self,
            *("works_per_batch", "versions_per_work", "learning_rate"),
            *("steps_per_epoch", "epochs"),
        )
        check_counts(self, "crop_frames")
        check_probabilities(self, "", "score_share")
        check_not_negative(
            self,
            "",
            *("easy_steps", "triplet_from_epoch", "weight_decay", "warmup_steps"),
        )
        if self.windows > min(self.crop_frames):
            raise ConfigError(
                f"windows={self.windows} needs crop_frames of at least as many frames, "
                f"not {min(self.crop_frames)}"
            )
        if self.hear_once and self.heard is None:
            raise ConfigError("hear_once needs heard, the network that hears")
        if self.weight_decay and self.optimizer != "adamw":
            raise ConfigError(
                f"weight_decay={self.weight_decay} needs optimizer=adamw, not "
                f"{self.optimizer}"
            )
        octave, bins = self.frontend.bins_per_octave, self.frontend.n_bins
        reading = {
            "heard and semitones need": self.bins_per_octave != 12,
            "pitch_classes needs": self.pitch_classes,
            "salience needs": self.salience is not None,
            f"network={self.network!r} needs": self.network in ("move", "kicnn"),
        }
        needing = [name for name, is_so in reading.items() if is_so]
        if needing and (octave != self.bins_per_octave or bins % octave):
            raise ConfigError(
                f"{needing[0]} whole octaves of {self.bins_per_octave} bins, not "
                f"{bins} bins, {octave} an octave"
            )
        rows, least = self.rows(bins), LEAST_ROWS.get(self.network, 1)
        if rows < least:
            raise ConfigError(
                f"network={self.network!r} needs at least {least} bins, not {rows}"
            )

    @property
    def architecture(self) -> Architecture:
        """What the network computes."""
        return take(Architecture, vars(self))

    @property
    def objective(self) -> Objective:
        """What the network is trained by."""
        return take(Objective, vars(self))

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.steps_per_epoch * self.epochs

    def check_continues(self, begun: Config, name: str | Path) -> None:
        """Check that a training which began with other settings can go on with these.

        How long it lasts, its rate and its batches may change. A checkpoint holds the
        network, its losses and its optimiser as they are.

        Args:
            begun: the settings that it began with.
            name: what the error calls it.

        Raises:
            ConfigError: it cannot.
        """
        others = [item.name for item in dataclasses.fields(Objective)]
        changed = [
            *self.architecture.differences(begun.architecture),
            *(
                setting
                for setting in (*others, *_FIXED)
                if getattr(self, setting) != getattr(begun, setting)
            ),
        ]
        if changed:
            raise ConfigError(
                f"{name}: a training that has begun cannot change "
                f"{', '.join(changed)}; begin another, with --init if it is to have "
                "the weights of this one"
            )

    def to_dict(self) -> JsonObject:
        """Return all settings, nested as they are, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: JsonObject) -> Config:
        """Build a config from `to_dict`'s result, also after a turn through JSON.

        Raises:
            ConfigError: a name is unknown or a value impossible.
        """
        return _changed(cls(), settings)


def override(config: Config, assignments: Sequence[str]) -> Config:
    """Return a config with some settings changed.

    Args:
        config: what to start from.
        assignments: texts such as `epochs=3`, `crop_frames=(20, 30)` or
            `augment.noise=0.5`; values are Python literals or plain words.

    Raises:
        ConfigError: a text is not an assignment, a name unknown or a value impossible.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r}: expected key=value")
        *parts, last = name.strip().split(".")
        inner = changes
        for part in parts:
            if not isinstance(inner.setdefault(part, {}), dict):
                raise ConfigError(f"{name.strip()}: {part} has no parts")
            inner = inner[part]
        inner[last] = _value(text)
    return _changed(config, changes)


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def _changed(settings: Any, changes: dict[str, Any], prefix: str = "") -> Any:
    """Return dataclass `settings` with some values changed; a dictionary changes parts.

    All change at once, as some settings are possible only together.
    """
    known = [item.name for item in dataclasses.fields(settings)]
    new = {}
    for key, value in changes.items():
        name = prefix + key
        if key not in known:
            raise ConfigError(
                f"{name}: unknown setting; expected one of {', '.join(known)}"
            )
        old = getattr(settings, key)
        if isinstance(value, dict):
            if not dataclasses.is_dataclass(old):
                raise ConfigError(f"{name}: {key} has no parts")
            value = _changed(old, value, f"{name}.")
        elif dataclasses.is_dataclass(old):
            part = dataclasses.fields(old)[0].name
            raise ConfigError(f"{name}: has parts to change, such as {name}.{part}")
        elif isinstance(old, tuple):
            value = _as_tuple(value, name)
            whole = get_args(get_type_hints(type(settings))[key])[0] is int
            if whole and not all(isinstance(one, int) for one in value):
                raise ConfigError(f"{name}: expected whole numbers, not {value!r}")
        elif value is None and can_be_none(settings, key):
            pass
        elif not _fits(value, like := _example(settings, key) if old is None else old):
            raise ConfigError(f"{name}: expected a value like {like!r}, not {value!r}")
        new[key] = value
    return dataclasses.replace(settings, **new)


def _example(settings: Any, key: str) -> object:
    """Return a value of the kind of a setting that is None."""
    kinds = get_args(get_type_hints(type(settings))[key])
    return next(kind() for kind in kinds if kind is not type(None))


def _as_tuple(value: object, name: str) -> tuple[object, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(isinstance(item, (int, float)) for item in values):
        raise ConfigError(f"{name}: expected numbers, not {value!r}")
    return values


def _fits(value: object, old: object) -> bool:
    """Whether `value` is of the same kind as the setting's present value."""
    if isinstance(old, bool) or isinstance(value, bool):
        return isinstance(old, bool) and isinstance(value, bool)
    if isinstance(old, str):
        return isinstance(value, str)
    if isinstance(old, int):
        return isinstance(value, int)
    return isinstance(value, (int, float))
