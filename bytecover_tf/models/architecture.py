"""What a network computes, without its weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from bytecover_tf.errors import ConfigError
from bytecover_tf.settings import check_choices, check_counts, check_positive

LEAST_ROWS = {"cqtnet": 38, "tppnet": 49}
"""Bins that the kernels of a network reach over, where they are not padded."""


@dataclass(frozen=True)
class Architecture:
    """The settings of an embedding network; the defaults are the paper's.

    The settings from `input_power` on describe the layers in front of the backbone, see
    `models.front`.

    Attributes:
        network: `resnet`, ByteCover's own, or one that the paper compares it with:
            `cqtnet`, `kicnn`, `move`, `tppnet`. For these, `blocks`, `ibn` and
            `pooling` mean nothing.
        blocks: bottlenecks in each stage of the backbone.
        width: channels of the backbone's stem, or of another network's first layer.
        ibn: False gives the plain ResNet.
        pooling: `gem` or `average` over the map.
        kernel_frames: frames of the first kernel of `move`, with which its dilations
            grow and shrink; None for the published 180 of 0.093 s each.
        bnneck: False makes f_c the same vector as f_t.
        embedding_dim: size after a projection, or None for `32 * width` (paper,
            table 2), or for what another network has as published.
        input_power: exponent applied to the features; 0.5 compresses loud bins, 1 is
            the paper's plain amplitude.
        salience: channels of a layer that learns to hear notes from scores, which the
            data must have; None, as in the paper, for none.
        pitch_classes: whether the backbone reads the 12 pitch classes on a ring, in
            place of the paper's 84 bins; embeddings are then the same in every key.
        registers: number of registers of pitch classes, folded by a layer that learns
            nothing; None, as in the paper, for none.
        heard: filters of a trained network that hears notes in 36 bins an octave, for
            the backbone to read in place of what `salience` would hear. None for none.
        semitones: for features of 36 bins an octave, how many of their frames a
            network of 12 bins averages into one; None for features of 12 bins.

    Raises:
        ConfigError: a value is impossible.
    """

    network: Literal["resnet", "cqtnet", "kicnn", "move", "tppnet"] = "resnet"
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    ibn: bool = True
    pooling: Literal["gem", "average"] = "gem"
    kernel_frames: int | None = None
    bnneck: bool = True
    embedding_dim: int | None = None
    input_power: float = 1.0
    salience: int | None = None
    pitch_classes: bool = False
    registers: int | None = None
    heard: int | None = None
    semitones: int | None = None

    def __post_init__(self) -> None:
        # JSON has lists.
        object.__setattr__(self, "blocks", tuple(self.blocks))
        check_choices(self)
        check_positive(self, "width", "input_power")
        check_counts(self, "blocks", 4)
        sizes = ("kernel_frames", "embedding_dim", "salience", "registers", "heard",
                 "semitones")  # fmt: skip
        check_positive(
            self, *(name for name in sizes if getattr(self, name) is not None)
        )
        if self.kernel_frames is not None and self.network != "move":
            raise ConfigError("kernel_frames needs network=move")
        if self.registers is not None and (
            not self.pitch_classes or self.salience is not None
        ):
            raise ConfigError("registers needs pitch_classes=True and salience=None")
        others = (self.salience, self.registers, self.semitones)
        if self.heard is not None and (
            not self.pitch_classes or self.input_power != 1 or any(others)
        ):
            raise ConfigError(
                "heard needs pitch_classes=True, input_power=1 and no other layer "
                "(salience, registers, semitones) in front"
            )

    @property
    def bins_per_octave(self) -> int:
        """Of the features that the network reads."""
        return 12 if self.heard is None and self.semitones is None else 36

    def rows(self, n_bins: int) -> int:
        """Return the height of the map that the backbone reads.

        Args:
            n_bins: bins of the features.
        """
        if self.pitch_classes:
            return 12
        return n_bins if self.semitones is None else n_bins // 3

    def differences(self, other: Architecture) -> dict[str, tuple[Any, Any]]:
        """Return the settings that differ: this one's value and the other's."""
        pairs = {
            field.name: (getattr(self, field.name), getattr(other, field.name))
            for field in fields(Architecture)
        }
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
