"""What defines an experiment.

An experiment is a Python file with a `config`, in `bytecover_tf/configs` or
anywhere else. Such a file is code and is run only when its name is given.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import ConfigError
from bytecover_tf.training.augment import Augment

# Settings that None switches off.
_OPTIONAL = ("embedding_dim", "margin", "registers", "salience", "temperature")


@dataclass(frozen=True)
class Config:
    """All settings of a training run; the defaults are the paper's.

    Attributes:
        frontend: parameters of the features.
        network: `resnet`, ByteCover's own, or one that the paper compares it with:
            `cqtnet`, `kicnn`, `move`, `tppnet`. For these, `blocks`, `ibn` and
            `pooling` mean nothing.
        blocks: bottlenecks in each stage of the backbone.
        width: channels of the backbone's stem, or of another network's first layer.
        ibn: False gives the plain ResNet.
        pooling: `gem` or `average`.
        bnneck: False makes f_c the same vector as f_t.
        embedding_dim: size after a projection, or None for `32 * width`, or for
            what another network has as published.
        input_power: exponent applied to the features.
        salience: channels of a layer before the backbone that learns to hear notes
            from scores, which the data must have; None, as in the paper, for none.
        pitch_classes: whether the backbone reads the 12 pitch classes, in place of the
            paper's 84 bins; embeddings are then the same in every key.
        registers: number of registers of these, folded by a layer that learns nothing;
            None, as in the paper, for none.
        score_share: share of the crops of which the backbone reads the score itself,
            reached after `easy_steps`; before, there are more.
        easy_steps: steps in which training with scores goes from easy to hard.
        temperature: None for the paper's two losses, or that of a contrastive loss.
        mining: when a batch is spread over several devices, `global` takes triplets
            or contrasts from the whole batch, `replica` from each device's share.
        classification: False trains by the triplet loss alone.
        margin: margin of the triplet loss, or None for classification alone.
        triplet_from_epoch: first epoch, counted from 0, in which the triplet loss
            takes part.
        label_smoothing: share of the target spread over all works.
        works_per_batch: P.
        versions_per_work: K.
        weighting: `work` visits works equally often, `size` by their recordings.
        crop_frames: lengths of training crops in frames, one drawn for each batch.
        augment: random changes to crops.
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
    network: Literal["resnet", "cqtnet", "kicnn", "move", "tppnet"] = "resnet"
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    ibn: bool = True
    pooling: Literal["gem", "average"] = "gem"
    bnneck: bool = True
    embedding_dim: int | None = None
    input_power: float = 1.0
    salience: int | None = None
    pitch_classes: bool = False
    registers: int | None = None
    score_share: float = 0.15
    easy_steps: int = 0
    temperature: float | None = None
    mining: Literal["global", "replica"] = "global"
    classification: bool = True
    margin: float | None = 0.3
    triplet_from_epoch: int = 0
    label_smoothing: float = 0.0
    works_per_batch: int = 8
    versions_per_work: int = 4
    weighting: Literal["work", "size"] = "work"
    # 93, 139 and 186 s, the crops of the second author's earlier system.
    crop_frames: tuple[int, ...] = (40, 60, 80)
    augment: Augment = field(default_factory=Augment)
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 4e-4
    weight_decay: float = 0.0
    warmup_steps: int = 0
    decay: Literal["none", "cosine"] = "none"
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    steps_per_epoch: int = 1000
    epochs: int = 100

    def __post_init__(self) -> None:
        choices = {
            "network": ("resnet", "cqtnet", "kicnn", "move", "tppnet"),
            "pooling": ("gem", "average"),
            "mining": ("global", "replica"),
            "weighting": ("work", "size"),
            "optimizer": ("adam", "adamw"),
            "decay": ("none", "cosine"),
            "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} must be one of {', '.join(allowed)}, "
                    f"not {getattr(self, name)!r}"
                )
        positive = ("width", "works_per_batch", "versions_per_work", "learning_rate",
                    "input_power", "steps_per_epoch", "epochs")  # fmt: skip
        for name in positive:
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, not {getattr(self, name)}")
        if not self.classification and self.margin is None and self.temperature is None:
            raise ConfigError(
                "classification=False needs a margin or a temperature to train by"
            )
        for name, count in (("blocks", 4), ("crop_frames", None)):
            values = getattr(self, name)
            if not values or min(values) < 1 or (count and len(values) != count):
                raise ConfigError(
                    f"{name} must be {count or 'some'} positive numbers, not {values}"
                )
        if self.registers is not None and (
            not self.pitch_classes or self.salience is not None
        ):
            raise ConfigError("registers needs pitch_classes=True and salience=None")
        octave, bins = self.frontend.bins_per_octave, self.frontend.n_bins
        if self.pitch_classes and (octave != 12 or bins % 12):
            raise ConfigError(
                "pitch_classes needs whole octaves of 12 bins, not "
                f"{bins} bins, {octave} an octave"
            )

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.steps_per_epoch * self.epochs

    def model_arguments(self) -> dict[str, Any]:
        """Return the arguments of `ByteCover`, its number of works excepted."""
        names = ("network", "blocks", "width", "ibn", "pooling", "bnneck",
                 "embedding_dim", "classification", "margin", "label_smoothing",
                 "input_power", "salience", "pitch_classes", "registers",
                 "temperature", "mining")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, nested as they are, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Config:
        """Build a config from `to_dict`'s result, also after a turn through JSON.

        Raises:
            ConfigError: a name is unknown or a value impossible.
        """
        config = cls()
        for name, value in _flat(settings):
            config = _replaced(config, name.split("."), value, name)
        return config


def override(config: Config, assignments: Sequence[str]) -> Config:
    """Return a config with some settings changed.

    Args:
        config: what to start from.
        assignments: texts such as `epochs=3`, `crop_frames=(20, 30)` or
            `augment.noise=0.5`; values are Python literals or plain words.

    Raises:
        ConfigError: a text is no assignment, a name unknown or a value impossible.
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r}: expected key=value")
        config = _replaced(config, name.strip().split("."), _value(text), name.strip())
    return config


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def _flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs = []
    for name, value in settings.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, value))
    return pairs


def _replaced(settings: Any, path: list[str], value: Any, name: str) -> Any:
    """Return dataclass `settings` with the value at `path` changed."""
    first, *rest = path
    if first not in {item.name for item in dataclasses.fields(settings)}:
        known = ", ".join(item.name for item in dataclasses.fields(settings))
        raise ConfigError(f"{name}: unknown setting; expected one of {known}")
    old = getattr(settings, first)
    if rest:
        if not dataclasses.is_dataclass(old):
            raise ConfigError(f"{name}: {first} has no parts")
        value = _replaced(old, rest, value, name)
    elif isinstance(old, tuple):
        value = _as_tuple(value, name)
    elif not (value is None and first in _OPTIONAL) and not _fits(value, old):
        raise ConfigError(f"{name}: expected a value like {old!r}, not {value!r}")
    return dataclasses.replace(settings, **{first: value})


def _as_tuple(value: Any, name: str) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(isinstance(item, (int, float)) for item in values):
        raise ConfigError(f"{name}: expected numbers, not {value!r}")
    return values


def _fits(value: Any, old: Any) -> bool:
    """Whether `value` is of the kind that the setting has now."""
    if isinstance(old, bool) or isinstance(value, bool):
        return isinstance(old, bool) and isinstance(value, bool)
    if isinstance(old, str):
        return isinstance(value, str)
    if isinstance(old, int):
        return isinstance(value, int)
    return isinstance(value, (int, float))
