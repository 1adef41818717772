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

import datetime
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bytecover_tf.encoders.pretrained import locate
from bytecover_tf.errors import DataError, EncoderError
from bytecover_tf.files import JsonObject, json_object, write_atomically

if TYPE_CHECKING:
    from bytecover_tf.catalogues.identity import Identity
    from bytecover_tf.matching.alignment import Alignment

FILE_NAMES = ("calibration.json", "calibration-notes.json")

LEAST = 100
"""At least so many recordings are assumed in a catalogue. Among few strangers, even a
score that many strangers reach could be the best, and would look like a version."""

# How many of the queries without a version may get a wrong verdict.
VERSION_ALARMS = 0.01
UNSURE_ALARMS = 0.05
# A verdict of `version` means that a version is more likely than not.
_LIKELY = 0.5

_FORMAT = 2
_CHECKSUM = "sha256"
# No measurement has a weight like that.
_LARGEST = 1e9
# Regularisation, on standardised measurements: few pairs could give infinite weights.
_RIDGE = 1e-3
# Bounds on the log-odds that a version is hidden.
_HIDDEN = (-10.0, 3.0)
_BINS = 10


@dataclass(frozen=True)
class Pairs:
    """Measurements of pairs: a query, and a recording of a catalogue.

    Attributes:
        score: (n,), of the alignment.
        similarity: (n,), cosine of the embeddings.
        disparity: (n,), logarithm of the longer duration over the shorter one, of
            query and recording.
        among: number of recordings in the catalogue.
    """

    score: np.ndarray
    similarity: np.ndarray
    disparity: np.ndarray
    among: int

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
        return _sigmoid(log_odds - np.log(pairs.among))

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


@dataclass(frozen=True)
class Labels:
    """The labels of the pairs that a calibration is fitted or measured on.

    Attributes:
        query: int (n,), the query of each pair. Each query appears with all of its
            candidates except itself.
        is_version: bool (n,), whether the two perform the same work.
    """

    query: np.ndarray
    is_version: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Return weights: 1 for a stranger, 1 in all for the versions of a query."""
        _, query = np.unique(self.query, return_inverse=True)
        versions = np.bincount(query, self.is_version)[query]
        return np.where(self.is_version, 1 / np.maximum(versions, 1), 1)

    def strangers(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each query's most probable stranger.

        Args:
            probability: (n,), above 0.

        Returns:
            The greatest probability of each query (queries,), and the same for each
            pair (n,).
        """
        _, query = np.unique(self.query, return_inverse=True)
        best = np.zeros(query.max() + 1)
        np.maximum.at(best, query, np.where(self.is_version, 0, probability))
        return best, best[query]


def fit(
    pairs: Pairs, labels: Labels, data: str, encoder: str = "", parts: int = 1
) -> Calibration:
    """Fit a calibration on labelled pairs.

    Args:
        pairs: what was measured.
        labels: what is known.
        data: names where the pairs come from.
        encoder: SHA-256 of what made the similarities; empty disregards them.
        parts: of the chroma that was aligned.

    Raises:
        DataError: there are no versions among the pairs, or only versions.
    """
    if labels.is_version.all() or not labels.is_version.any():
        raise DataError(f"{data}: a calibration needs both versions and strangers")
    columns = [pairs.score, pairs.disparity]
    if encoder:
        columns.append(pairs.similarity)
    hidden, bias, score, disparity, *others = _regress(
        np.stack(columns, axis=1),
        labels.is_version,
        labels.weights,
        -np.log(pairs.among),
    ).tolist()
    similarity = others[0] if encoder else 0.0
    widest = float(pairs.disparity.max())
    fitted = Calibration(
        bias,
        score,
        disparity,
        hidden,
        similarity,
        widest,
        encoder=encoder,
        parts=parts,
    )
    alarms, _ = labels.strangers(fitted.probability(pairs))
    version, unsure = np.quantile(alarms, [1 - VERSION_ALARMS, 1 - UNSURE_ALARMS])
    version = max(version, _LIKELY)
    fitted = replace(fitted, version=float(version), unsure=float(unsure))
    origin = {
        "data": data,
        "date": datetime.date.today().isoformat(),
        "recordings": int(pairs.among),
        **quality(fitted, pairs, labels),
    }
    return replace(fitted, origin=origin)


def quality(calibration: Calibration, pairs: Pairs, labels: Labels) -> JsonObject:
    """Measure a calibration on labelled pairs.

    Each query is asked twice: without its versions, and with one of them. If it has
    several versions, each takes a turn, and these trials together count once.

    Returns:
        Over all trials: `calibration_error`, the expected calibration error of the best
        match in ten bins; its `brier` score; and the bins themselves (`reliability`).
        Over the trials with a version: the share of queries whose version gets the
        verdict `version` (`found`) or at least `unsure` (`noticed`). Over the trials
        without: the share that gets these verdicts nevertheless (`false_versions`,
        `false_alarms`).
    """
    probability = calibration.probability(pairs)
    best, is_right, weights = trials(probability, labels)
    bins = reliability(best, is_right, weights)
    mean, right, count = bins.T
    strangers, _ = labels.strangers(probability)
    versions = labels.is_version

    def share(threshold: float) -> float:
        reached = probability[versions] >= threshold
        return float(np.average(reached, weights=labels.weights[versions]))

    return {
        "queries": len(strangers),
        "versions": int(versions.sum()),
        "pairs": len(versions),
        "calibration_error": float(np.average(np.abs(mean - right), weights=count)),
        "brier": float(np.average((best - is_right) ** 2, weights=weights)),
        "found": share(calibration.version),
        "noticed": share(calibration.unsure),
        "false_versions": float(np.mean(strangers >= calibration.version)),
        "false_alarms": float(np.mean(strangers >= calibration.unsure)),
        "reliability": bins.round(4).tolist(),
    }


def trials(
    probability: np.ndarray, labels: Labels
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best match of each query with a version, and without one.

    Args:
        probability: (n,), of each pair.
        labels: of the pairs.

    Returns:
        Probability of the best match, whether it is a version, and how much the trial
        counts: (trials,) each.
    """
    strangers, stranger = labels.strangers(probability)
    versions = labels.is_version
    best = np.maximum(probability, stranger)[versions]
    is_right = (probability > stranger)[versions]
    return (
        np.concatenate([best, strangers]),
        np.concatenate([is_right, np.zeros(len(strangers), bool)]),
        np.concatenate([labels.weights[versions], np.ones(len(strangers))]),
    )


def reliability(
    probability: np.ndarray, is_right: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return how often each probability was right, in ten bins.

    Args:
        probability: (n,).
        is_right: bool (n,).
        weights: (n,).

    Returns:
        Mean probability, share that is right, and weight, of each bin that is not
        empty: (bins, 3).
    """
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    total = np.bincount(bins, weights)
    mean = np.bincount(bins, weights * probability)
    right = np.bincount(bins, weights * is_right)
    used = total > 0
    return np.stack([mean[used], right[used], total[used]], axis=1) / np.stack(
        [total[used], total[used], np.ones(used.sum())], axis=1
    )


def _regress(
    measured: np.ndarray, is_version: np.ndarray, counts: np.ndarray, offset: float
) -> np.ndarray:
    """Fit a logistic regression on columns (n, m), with a share of hidden versions.

    No weight is negative: more likeness can never count against a version.

    Returns:
        The share, bias and weights (2 + m,).
    """
    from scipy.optimize import minimize

    mean, scale = measured.mean(axis=0), measured.std(axis=0)
    scale[scale == 0] = 1
    scaled = (measured - mean) / scale

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        hidden, weights = _sigmoid(values[0]), values[2:]
        likeness = values[1] + scaled @ weights
        ratio = np.logaddexp(np.log(hidden), likeness)
        log_odds = ratio + offset
        surprise = np.logaddexp(0, np.where(is_version, -log_odds, log_odds))
        error = counts * (_sigmoid(log_odds) - is_version)
        seen = error * np.exp(likeness - ratio)
        unseen = (error * np.exp(-ratio)).sum() * hidden * (1 - hidden)
        penalty = _RIDGE * weights
        gradient = np.array([unseen, seen.sum(), *seen @ scaled + penalty])
        return counts @ surprise + weights @ penalty / 2, gradient

    free = [_HIDDEN, (None, None)]
    bounds = free + [(0, None)] * measured.shape[1]
    start = np.array([-1.0, 0.0, *np.ones(measured.shape[1])])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[2:] / scale
    return np.array([_sigmoid(found[0]), found[1] - weights @ mean, *weights])


_Real = TypeVar("_Real", np.float64, np.ndarray)


def _sigmoid(log_odds: _Real) -> _Real:
    # As scipy.special.expit, which takes longer to import than to open a catalogue.
    return np.exp(-np.logaddexp(0, -log_odds))
