"""Fits a calibration to labelled pairs, and says how well it fits."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

import numpy as np

from bytecover_tf.errors import DataError
from bytecover_tf.files import JsonObject
from bytecover_tf.matching.calibration import Calibration, Pairs, sigmoid
from bytecover_tf.metrics import exceeded_by

# How many of the queries without a version may get a wrong verdict.
VERSION_ALARMS = 0.01
UNSURE_ALARMS = 0.05
# A verdict of `version` means that a version is more likely than not.
_LIKELY = 0.5

# Regularisation, on standardised measurements: few pairs could give infinite weights.
_RIDGE = 1e-3
# Bounds on the log-odds that a version is hidden.
_HIDDEN = (-10.0, 3.0)
_BINS = 10


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
        np.broadcast_to(-np.log(pairs.among), pairs.score.shape),
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
    version = max(_bound(alarms, VERSION_ALARMS), _LIKELY)
    fitted = replace(fitted, version=version, unsure=_bound(alarms, UNSURE_ALARMS))
    origin = {
        "data": data,
        "date": datetime.date.today().isoformat(),
        "recordings": int(np.max(pairs.among)),
        **quality(fitted, pairs, labels),
    }
    return replace(fitted, origin=origin)


def _bound(values: np.ndarray, share: float) -> float:
    """Return the least bound that at most a share of the values reaches."""
    return float(np.nextafter(exceeded_by(values, share), np.inf))


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
    measured: np.ndarray, is_version: np.ndarray, counts: np.ndarray, offset: np.ndarray
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
        hidden, weights = sigmoid(values[0]), values[2:]
        likeness = values[1] + scaled @ weights
        ratio = np.logaddexp(np.log(hidden), likeness)
        log_odds = ratio + offset
        surprise = np.logaddexp(0, np.where(is_version, -log_odds, log_odds))
        error = counts * (sigmoid(log_odds) - is_version)
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
    return np.array([sigmoid(found[0]), found[1] - weights @ mean, *weights])
