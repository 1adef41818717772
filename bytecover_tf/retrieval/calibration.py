"""How sure: from similarity and alignment to the probability of a version.

The log-odds that a query and a recording are versions of one work are linear in what
was measured of the two (logistic regression), less the logarithm of the number of
recordings that the query was compared with: among more strangers, a chance
resemblance is more likely.

    log-odds = bias + a * score / cube root of the seconds + b * similarity
               - log(recordings in the catalogue)

The seconds are those of the shorter of the two: the longer strangers are, the better
some stretch of theirs matches. The fit is weighted as if each query had one version in
the catalogue; one of fewer than a hundred recordings is searched as if it had a
hundred. Two recordings alone are a catalogue of one: before they are heard, they are as
likely versions as not.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.errors import DataError, EncoderError
from bytecover_tf.feature_store import write_atomically
from bytecover_tf.pretrained import locate

FILE_NAME = "calibration.json"
"""Beside an encoder, the calibration that was fitted with it."""

# Shares of the queries without a version for which the verdict is wrong all the same.
VERSION_ALARMS = 0.01
UNSURE_ALARMS = 0.05
# What is called a version is more likely one than not.
_LIKELY = 0.5

_FORMAT = 1
# Scores of strangers grow like this power of the seconds. On the anthems at 10 to 70
# seconds it does as well as a fitted term in the length, and unlike that one it holds
# for four minutes, measured on medleys of the tunes.
_GROWTH = 1 / 3
# On standardised measurements; against infinite weights of few pairs.
_RIDGE = 1e-3
_BINS = 10


@dataclass(frozen=True)
class Pairs:
    """What was measured of queries and recordings of a catalogue.

    Attributes:
        score: (n,), of the alignment.
        seconds: (n,), length of the shorter of query and recording.
        similarity: (n,), cosine of the embeddings.
        among: number of recordings in the catalogue.
    """

    score: np.ndarray
    seconds: np.ndarray
    similarity: np.ndarray
    among: int

    @property
    def evidence(self) -> np.ndarray:
        """Scores that are comparable between lengths: (n,)."""
        return self.score / self.seconds**_GROWTH


@dataclass(frozen=True)
class Calibration:
    """Turns what was measured of pairs into probabilities.

    Attributes:
        bias: log-odds where all else is 0.
        score: weight of the alignment's score over the cube root of the seconds.
        similarity: weight of the cosine; 0 without an encoder.
        version: probability from which the verdict on a query is `version`, at least
            0.5; of the queries of the fit, taken without their versions, at most 1 %
            reached it.
        unsure: probability below which the verdict is `none`; 5 % reached it.
        encoder: SHA-256 of the encoder whose similarities it weighs; empty if it
            disregards them and so fits any.
        origin: what it was fitted on, and how well it does.
    """

    bias: float
    score: float
    similarity: float = 0.0
    version: float = 1.0
    unsure: float = 1.0
    encoder: str = ""
    origin: dict[str, Any] = field(default_factory=dict)

    def probability(self, pairs: Pairs) -> np.ndarray:
        """Return the probability that each pair is one of versions: (n,)."""
        log_odds = self.bias + self.score * pairs.evidence
        if self.encoder:
            log_odds = log_odds + self.similarity * pairs.similarity
        return _sigmoid(log_odds - np.log(pairs.among))

    def verdict(self, probability: float) -> str:
        """Return `version`, `unsure` or `none` by a query's best match."""
        if probability >= self.version:
            return "version"
        return "unsure" if probability >= self.unsure else "none"

    def __str__(self) -> str:
        basis = "similarity and alignment" if self.encoder else "alignment alone"
        data, date = (self.origin.get(name, "?") for name in ("data", "date"))
        return f"probabilities by {basis}, fitted on {data}, {date}"

    def save(self, path: Path) -> None:
        """Write the calibration as JSON."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1)
        write_atomically(path, text + "\n")

    @classmethod
    def from_json(cls, text: str, name: str) -> Calibration:
        """Build a calibration from what `save` wrote.

        Raises:
            EncoderError: the text is something else.
        """
        try:
            values = json.loads(text)
            if values.pop("format") != _FORMAT:
                raise ValueError(f"expected format {_FORMAT}")
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EncoderError(f"{name}: not a calibration ({error!s})") from None


def default_calibration() -> Calibration:
    """Return the calibration that comes with the package, for alignment alone."""
    file = resources.files("bytecover_tf.retrieval") / FILE_NAME
    return Calibration.from_json(file.read_text(), FILE_NAME)


def read_calibration(path: str | Path, encoder: str) -> Calibration:
    """Return the calibration in a file.

    Args:
        path: JSON that `Calibration.save` wrote.
        encoder: SHA-256 of the encoder whose similarities it will weigh.

    Raises:
        EncoderError: there is none, or it was fitted with another encoder.
    """
    try:
        found = Calibration.from_json(Path(path).read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"{path}: no calibration ({error})") from None
    if found.encoder not in ("", encoder):
        raise EncoderError(
            f"{path}: fitted with the encoder of SHA-256 {found.encoder[:12]}, not "
            f"with {encoder[:12]}; fit it anew with bytecover_tf.calibrate"
        )
    return found


def calibration_beside(encoder_path: str | Path) -> Path:
    """Return where an encoder's own calibration lies, if it has one.

    Args:
        encoder_path: what `load_encoder` takes.
    """
    path = locate(encoder_path)
    return (path if path.is_dir() else path.parent) / FILE_NAME


def choose_calibration(
    encoder: str, encoder_path: str | Path, path: str | Path | None = None
) -> Calibration:
    """Return the calibration for an encoder.

    Args:
        encoder: its SHA-256; empty if none is used.
        encoder_path: what `load_encoder` takes.
        path: a calibration's file. By default the one beside the encoder; if there
            is none, or it was fitted with another encoder, the package's own.

    Raises:
        EncoderError: there is no calibration in `path`, or it is of another encoder.
    """
    if path is not None:
        return read_calibration(path, encoder)
    if not encoder:
        return default_calibration()
    try:
        return read_calibration(calibration_beside(encoder_path), encoder)
    except EncoderError:
        return default_calibration()


@dataclass(frozen=True)
class Labels:
    """What is known of the pairs that a calibration is fitted or measured on.

    Attributes:
        query: int (n,), which query each pair is of; every query with all of its
            candidates but itself.
        is_version: bool (n,), whether the two perform the same work.
    """

    query: np.ndarray
    is_version: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Return 1 for strangers, and so much for versions that each query has one."""
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


def fit(pairs: Pairs, labels: Labels, data: str, encoder: str = "") -> Calibration:
    """Fit a calibration on labelled pairs.

    Args:
        pairs: what was measured.
        labels: what is known.
        data: names where the pairs come from.
        encoder: SHA-256 of what made the similarities; empty disregards them.

    Raises:
        DataError: there are no versions among the pairs, or only versions.
    """
    if labels.is_version.all() or not labels.is_version.any():
        raise DataError(f"{data}: a calibration needs both versions and strangers")
    columns = [pairs.evidence]
    if encoder:
        columns.append(pairs.similarity)
    weights = _regress(
        np.stack(columns, axis=1),
        labels.is_version,
        labels.weights,
        -np.log(pairs.among),
    )
    fitted = replace(Calibration(*weights.tolist()), encoder=encoder)
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


def quality(calibration: Calibration, pairs: Pairs, labels: Labels) -> dict[str, Any]:
    """Measure a calibration on labelled pairs.

    Each query is asked once without its versions, and once with one of them; where
    there are several, with each in turn, all of these together counting once.

    Returns:
        Of all: `calibration_error`, the expected calibration error of the best match
        in ten bins, its `brier` score, and the bins themselves (`reliability`). With
        a version: the share of queries whose version gets the verdict `version`
        (`found`) or at least `unsure` (`noticed`). Without: the share of queries that
        get these verdicts all the same (`false_versions`, `false_alarms`).
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
    """Return how often what had some probability was right, in ten bins.

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
    """Return bias and weights of a logistic regression on columns (n, m): (1 + m,).

    No weight is negative: what is more alike cannot speak against a version.
    """
    from scipy.optimize import minimize

    mean, scale = measured.mean(axis=0), measured.std(axis=0)
    scaled = (measured - mean) / np.where(scale > 0, scale, 1)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        log_odds = weights[0] + scaled @ weights[1:] + offset
        surprise = np.logaddexp(0, np.where(is_version, -log_odds, log_odds))
        error = counts * (_sigmoid(log_odds) - is_version)
        penalty = _RIDGE * weights[1:]
        gradient = np.array([error.sum(), *error @ scaled + penalty])
        return counts @ surprise + weights[1:] @ penalty / 2, gradient

    bounds = [(None, None)] + [(0, None)] * measured.shape[1]
    start = np.zeros(len(bounds))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights = found.x[1:] / np.where(scale > 0, scale, 1)
    return np.array([found.x[0] - weights @ mean, *weights])


def _sigmoid(log_odds: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(log_odds)
