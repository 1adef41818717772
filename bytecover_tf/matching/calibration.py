"""Calibration: from similarity and alignment to the probability of a version.

The log-odds that a query and a recording are versions of one work are

    log(u + exp(bias + a * score + b * similarity + c * log(longer / shorter)))
    - log(recordings in the catalogue)

Some versions resemble each other no more than strangers do. Their share is u, so the
first term never falls below log(u). For the others, the odds grow with score and
similarity as in logistic regression. `longer` and `shorter` are the durations of the
two: a short query matches little of a long recording, which lowers all scores. A ratio
larger than any in the fit counts as the largest one there. The last term is there
because a chance resemblance is more likely among more recordings.

The fit is weighted as if each query had exactly one version in the catalogue. A
catalogue of fewer than a hundred recordings counts as one of a hundred. When two
recordings are compared by themselves, the catalogue has one recording: before they are
heard, they are as likely to be versions as not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bytecover_tf.encoders.pretrained import locate
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.files import json_object, write_atomically

if TYPE_CHECKING:
    from bytecover_tf.catalogues.identity import Identity
    from bytecover_tf.matching.alignment import Alignment

FILE_NAMES = ("calibration.json", "calibration-notes.json")

LEAST = 100
"""At least so many recordings are assumed in a catalogue. Among few strangers, even a
score that many strangers reach could be the best, and would look like a version."""

_FORMAT = 2
_CHECKSUM = "sha256"
# No measurement has a weight like that.
_LARGEST = 1e9


@dataclass(frozen=True)
class Pairs:
    """Measurements of pairs: a query, and a recording of a catalogue.

    Attributes:
        score: (n,), of the alignment.
        similarity: (n,), cosine of the embeddings.
        disparity: (n,), logarithm of the longer duration over the shorter one, of
            query and recording.
        among: number of recordings in the catalogue; (n,) if pairs are of several.
    """

    score: np.ndarray
    similarity: np.ndarray
    disparity: np.ndarray
    among: int | np.ndarray

    @classmethod
    def of(
        cls,
        query: np.ndarray,
        references: Sequence[np.ndarray],
        alignments: Sequence[Alignment],
        similarity: np.ndarray,
        among: int,
    ) -> Pairs:
        """Gather the measurements of a query and N recordings.

        Args:
            query: chroma (12, n).
            references: chroma (12, m) of each recording.
            alignments: of the query with each.
            similarity: (N,), cosine of its embedding to the query's.
            among: number of recordings in the catalogue.
        """
        lengths = np.array([chroma.shape[1] for chroma in references])
        return cls(
            np.array([alignment.score for alignment in alignments]),
            similarity,
            cls.disparity_of(query.shape[1], lengths),
            among,
        )

    @staticmethod
    def disparity_of(query: np.ndarray, recording: np.ndarray) -> np.ndarray:
        """Return the disparity of two lengths in the same unit; arrays broadcast."""
        return np.abs(np.log(query) - np.log(recording))


@dataclass(frozen=True)
class Calibration:
    """Turns the measurements of pairs into probabilities.

    Attributes:
        bias: log-odds where all else is 0.
        score: weight of the alignment's score.
        disparity: weight of the lengths' disparity.
        hidden: share of the versions that resemble no more than strangers do.
        similarity: weight of the cosine; 0 without an encoder.
        widest: the largest disparity in the fit; larger ones count as this one.
        version: a query gets the verdict `version` from this probability on, at least
            0.5. Without their versions, at most 1 % of the queries in the fit reached
            it.
        unsure: below this probability the verdict is `none`; likewise at most 5 %
            reached it.
        encoder: SHA-256 of the encoder whose similarities it weighs; empty if it
            ignores similarities and so works with any encoder.
        parts: number of parts of the chroma that was aligned; 1 for the transform
            alone.
        origin: what it was fitted on, and how well it fits.
    """

    bias: float
    score: float
    disparity: float = 0.0
    hidden: float = 0.0
    similarity: float = 0.0
    widest: float = math.inf
    version: float = 1.0
    unsure: float = 1.0
    encoder: str = ""
    parts: int = 1
    origin: dict[str, Any] = field(default_factory=dict)

    def probability(self, pairs: Pairs) -> np.ndarray:
        """Return the probability of each pair being versions: (n,)."""
        disparity = np.minimum(pairs.disparity, self.widest)
        likeness = self.bias + self.score * pairs.score + self.disparity * disparity
        if self.encoder:
            likeness = likeness + self.similarity * pairs.similarity
        with np.errstate(divide="ignore"):  # none may be hidden
            log_odds = np.logaddexp(np.log(self.hidden), likeness)
        return sigmoid(log_odds - np.log(pairs.among))

    @property
    def formula(self) -> str:
        """The log-odds as a report gives them."""
        similarity = f" + {self.similarity:.2f} similarity" if self.encoder else ""
        return (
            f"log({self.hidden:.2f} + exp({self.bias:.2f} + {self.score:.2f} score"
            f"{similarity} + {self.disparity:.2f} log(longer / shorter))) "
            "- log(recordings)"
        )

    def verdict(self, probability: float) -> str:
        """Return the verdict by a query's best match: `version`, `unsure` or `none`."""
        if probability >= self.version:
            return "version"
        return "unsure" if probability >= self.unsure else "none"

    def __str__(self) -> str:
        basis = "similarity and alignment" if self.encoder else "alignment alone"
        data, date = (self.origin.get(name, "?") for name in ("data", "date"))
        return f"probabilities by {basis}, fitted on {data}, {date}"

    def _check(self) -> None:
        """Refuse values of other types, and those that give no probability.

        Raises:
            TypeError, ValueError: there is such a value.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            kind = {"str": str, "dict[str, Any]": dict}.get(
                str(item.type), (int, float)
            )
            if not isinstance(value, kind) or value != value:
                raise TypeError(f"{item.name} is {value!r}")
        for name in ("bias", "score", "disparity", "hidden", "similarity"):
            if not abs(getattr(self, name)) < _LARGEST:
                raise ValueError(f"{name} is {getattr(self, name)!r:.40}")
        for name in ("hidden", "widest", "version", "unsure"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)!r:.40}, less than 0")

    def save(self, path: Path) -> None:
        """Write the calibration as JSON, with a checksum of all that it says."""
        values = {"format": _FORMAT, **asdict(self)}
        text = json.dumps({**values, _CHECKSUM: _checksum(values)}, indent=1)
        write_atomically(path, text + "\n")

    @classmethod
    def from_json(cls, text: str, name: str) -> Calibration:
        """Build a calibration from what `save` wrote.

        Raises:
            EncoderError: the text is something else.
        """
        try:
            values = json_object(text, "the text", EncoderError)
            # Older versions wrote none.
            expected = values.pop(_CHECKSUM, None)
            if expected not in (None, _checksum(values)):
                raise ValueError(
                    f"damaged, or changed by hand; if so, remove {_CHECKSUM!r}"
                )
            if values.pop("format") != _FORMAT:
                raise ValueError(f"expected format {_FORMAT}")
            found = cls(**values)
            found._check()
            return found
        except (EncoderError, ValueError, KeyError, TypeError) as error:
            raise EncoderError(f"{name}: not a calibration ({error!s})") from None


def _checksum(values: Mapping[str, object]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_name(parts: int) -> str:
    """Return the file name of a calibration for chroma of so many parts."""
    return FILE_NAMES[parts > 1]


def default_calibration(parts: int = 1) -> Calibration:
    """Return the calibration that comes with the package, for alignment alone.

    Args:
        parts: of the chroma that is aligned.
    """
    name = file_name(parts)
    file = resources.files("bytecover_tf.matching") / name
    return Calibration.from_json(file.read_text(), name)


def read_calibration(path: str | Path, encoder: str, parts: int = 1) -> Calibration:
    """Return the calibration in a file.

    Args:
        path: JSON that `Calibration.save` wrote.
        encoder: SHA-256 of the encoder whose similarities it will weigh.
        parts: of the chroma that is aligned.

    Raises:
        EncoderError: there is none, or it was fitted with another encoder or on other
            chroma.
    """
    found = _read(path)
    if found.encoder not in ("", encoder):
        raise EncoderError(
            f"{path}: fitted with the encoder of SHA-256 {found.encoder[:12]}, not "
            f"with {encoder[:12]}; fit it anew with bytecover_tf.calibrate"
        )
    if found.parts != parts:
        raise EncoderError(
            f"{path}: fitted on chroma of {found.parts} parts, not {parts}; fit it "
            "anew with bytecover_tf.calibrate"
        )
    return found


def _read(path: str | Path) -> Calibration:
    try:
        return Calibration.from_json(Path(path).read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path}: no calibration ({error})") from None


def calibration_beside(encoder_path: str | Path, parts: int = 1) -> Path:
    """Return where an encoder's own calibration lies, if it has one.

    Args:
        encoder_path: what `load_encoder` takes.
        parts: of the chroma that is aligned.
    """
    path = locate(encoder_path)
    return (path if path.is_dir() else path.parent) / file_name(parts)


def check_own(path: Path, encoder: str) -> None:
    """Refuse to write over the calibration of another encoder.

    Args:
        path: where a calibration is to be written.
        encoder: SHA-256 of the encoder that it is for.

    Raises:
        ConfigError: there is one of another encoder, or of this one as it was before.
    """
    try:
        there = _read(path).encoder
    except EncoderError:  # nothing that could be used
        return
    if there not in ("", encoder):
        raise ConfigError(
            f"{path}: was fitted with the encoder of SHA-256 {there[:12]}, not with "
            f"{encoder[:12]}; to write over it, name it with --out"
        )


def choose_calibration(
    encoder: str,
    encoder_path: str | Path,
    path: str | Path | None = None,
    parts: int = 1,
) -> Calibration:
    """Return the calibration for an encoder.

    Args:
        encoder: its SHA-256; empty if none is used.
        encoder_path: what `load_encoder` takes.
        path: a calibration's file. By default the one beside the encoder; if there
            is none, or it was fitted with another encoder, the package's own.
        parts: of the chroma that is aligned.

    Raises:
        EncoderError: there is no calibration in `path`, or it is of another encoder or
            other chroma; or the one beside the encoder is damaged.
    """
    if path is not None:
        return read_calibration(path, encoder, parts)
    if not encoder:
        return default_calibration(parts)
    beside = calibration_beside(encoder_path, parts)
    if not beside.exists():
        return default_calibration(parts)
    found = _read(beside)
    is_its_own = found.encoder in ("", encoder) and found.parts == parts
    return found if is_its_own else default_calibration(parts)


def calibration_for(
    identity: Identity,
    path: str | Path | None = None,
    encoder_path: str | Path | None = None,
) -> Calibration:
    """Return the calibration for a catalogue, as `choose_calibration` does.

    Args:
        identity: of the catalogue.
        path: a calibration's file, if one is named.
        encoder_path: where the encoder of the catalogue is, if no longer where it was.

    Raises:
        EncoderError: see `choose_calibration`.
    """
    return choose_calibration(
        identity.encoder, encoder_path or identity.encoder_path, path, identity.parts
    )


_Real = TypeVar("_Real", np.float64, np.ndarray)


def sigmoid(log_odds: _Real) -> _Real:
    """Return the probabilities of log-odds."""
    # As scipy.special.expit, which takes longer to import than to open a catalogue.
    return np.exp(-np.logaddexp(0, -log_odds))
