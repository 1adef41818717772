import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from bytecover_tf.errors import DataError, EncoderError
from bytecover_tf.matching import calibration
from bytecover_tf.matching.calibration import (
    Calibration,
    Pairs,
    calibration_beside,
    choose_calibration,
    default_calibration,
    read_calibration,
)
from bytecover_tf.matching.fitting import Labels, fit, quality, reliability, trials

ENCODER = "e" * 64


def simulated(rng, queries=400, strangers=50, versions=1, hidden=0.0):
    """Scores of normal distribution, N(0, 1) of strangers and N(2, 1) of versions.

    Their likelihood ratio is known: exp(2 x - 2). The similarity says nothing. A share
    of the versions is hidden: N(0, 1) too.
    """
    query = np.repeat(np.arange(queries), strangers + versions)
    is_version = np.tile(np.arange(strangers + versions) < versions, queries)
    is_seen = is_version & (rng.random(len(query)) >= hidden)
    score = rng.standard_normal(len(query)) + 2 * is_seen
    among = strangers + 1
    # The shorter one of the two is, the lower are the scores, of versions too.
    disparity = rng.choice([0.0, 2.0], len(query))
    similarity = rng.standard_normal(len(query))
    pairs = Pairs(score - disparity, similarity, disparity, among)
    return pairs, Labels(query, is_version)


def pairs(score, among):
    """Return a pair of recordings of one length without embeddings."""
    return Pairs(np.array([score]), np.array([np.nan]), np.zeros(1), among)


@pytest.mark.parametrize("versions", [1, 5])
def test_fit_finds_the_likelihood_ratio(rng, versions):
    fitted = fit(*simulated(rng, versions=versions), "simulation")
    assert fitted.score == pytest.approx(2, abs=0.2)
    assert fitted.bias == pytest.approx(-2, abs=0.4)
    assert fitted.disparity == pytest.approx(2, abs=0.3)
    assert fitted.hidden < 0.1
    assert (fitted.similarity, fitted.encoder) == (0, "")


def test_pairs_may_be_of_libraries_of_several_sizes(rng):
    """The chance that a stranger looks alike is that of each library."""
    parts = [simulated(rng, 400, strangers) for strangers in (20, 300)]
    names = ("score", "similarity", "disparity")
    several = Pairs(
        *(np.concatenate([getattr(one, name) for one, _ in parts]) for name in names),
        np.concatenate([np.full(len(one.score), one.among) for one, _ in parts]),
    )
    labels = Labels(
        np.concatenate([labels.query + 400 * n for n, (_, labels) in enumerate(parts)]),
        np.concatenate([labels.is_version for _, labels in parts]),
    )
    fitted = fit(several, labels, "simulation")
    assert fitted.bias == pytest.approx(-2, abs=0.4)
    assert fitted.origin["recordings"] == 301
    as_one = fit(replace(several, among=21), labels, "simulation")
    assert as_one.bias < fitted.bias - 0.5


@pytest.mark.parametrize("queries", [30, 100, 201])
def test_no_more_queries_than_stated_raise_an_alarm(queries, rng):
    pairs, labels = simulated(rng, queries)
    fitted = fit(pairs, labels, "drawn")
    alarms, _ = labels.strangers(fitted.probability(pairs))
    assert (alarms >= fitted.version).mean() <= 0.01
    # It is the least such bound.
    reached = (alarms >= np.nextafter(fitted.unsure, 0)).sum()
    assert (alarms >= fitted.unsure).mean() <= 0.05 < reached / len(alarms)


def test_hidden_versions_do_not_make_strangers_likely(rng):
    pairs, labels = simulated(rng, 2000, hidden=0.5)
    fitted = fit(pairs, labels, "simulation")
    assert fitted.hidden == pytest.approx(0.5, abs=0.1)
    assert fitted.score == pytest.approx(2, abs=0.3)
    # Two by themselves, at any score.
    alone = replace(pairs, among=1)
    truth = 0.5 + 0.5 * np.exp(2 * (pairs.score + pairs.disparity) - 2)
    np.testing.assert_allclose(
        fitted.probability(alone), truth / (1 + truth), atol=0.06
    )


def test_the_formula_is_what_is_computed():
    fitted = Calibration(-1.0, 2.0, 3.0, 0.25, 4.0, encoder=ENCODER)
    assert fitted.formula == (
        "log(0.25 + exp(-1.00 + 2.00 score + 4.00 similarity + 3.00 log(longer / "
        "shorter))) - log(recordings)"
    )
    disparity = Pairs.disparity_of(np.array([60.0, 10.0]), np.array([30.0, 20.0]))
    pairs = Pairs(np.full(2, 0.5), np.full(2, 0.1), disparity, 10)
    log_odds = np.log(0.25 + np.exp(-1 + 1 + 0.4 + 3 * np.log(2))) - np.log(10)
    np.testing.assert_allclose(fitted.probability(pairs), 1 / (1 + np.exp(-log_odds)))


def test_a_ratio_of_lengths_beyond_the_fit_counts_as_its_largest(rng):
    pairs, labels = simulated(rng)
    fitted = fit(pairs, labels, "simulation")
    assert fitted.widest == pairs.disparity.max()
    far, edge = (
        replace(pairs, disparity=np.full_like(pairs.disparity, fitted.widest + more))
        for more in (5.0, 0.0)
    )
    np.testing.assert_array_equal(fitted.probability(far), fitted.probability(edge))


def test_similarity_is_weighed_where_it_tells_versions(rng):
    pairs, labels = simulated(rng)
    noise = fit(pairs, labels, "simulation", ENCODER)
    assert abs(noise.similarity) < 0.2
    against = replace(pairs, similarity=pairs.similarity - labels.is_version)
    assert fit(against, labels, "simulation", ENCODER).similarity == 0
    useful = replace(pairs, similarity=pairs.similarity + 2 * labels.is_version)
    fitted = fit(useful, labels, "simulation", ENCODER)
    assert fitted.similarity == pytest.approx(2, abs=0.3)
    both = quality(fitted, useful, labels)["found"]
    assert both > 1.3 * quality(noise, pairs, labels)["found"]


def test_probabilities_are_right_on_other_data(rng):
    fitted = fit(*simulated(rng), "simulation")
    pairs, labels = simulated(rng, 2000)
    bins = reliability(fitted.probability(pairs), labels.is_version, labels.weights)
    for mean, share, weight in bins:
        assert share == pytest.approx(mean, abs=0.03 + 1 / np.sqrt(weight))
    figures = quality(fitted, pairs, labels)
    for alarms, name, found in (
        (0.01, "false_versions", "found"),
        (0.05, "false_alarms", "noticed"),
    ):
        # The best of fifty strangers is below this with the probability asked for.
        threshold = norm.ppf((1 - alarms) ** (1 / 50))
        assert figures[name] == pytest.approx(alarms, abs=0.03)
        assert figures[found] == pytest.approx(norm.sf(threshold - 2), abs=0.05)


def test_more_strangers_make_a_match_less_probable():
    calibration = Calibration(-1.0, 2.0)
    few, many = (calibration.probability(pairs(3.0, among))[0] for among in (1, 1000))
    assert few == pytest.approx(1 / (1 + np.exp(-5)))
    assert many == pytest.approx(1 / (1 + 1000 * np.exp(-5)))


def test_quality_by_hand():
    # Query 0: two versions, the best stranger between them; query 1: none.
    probability = np.array([0.95, 0.25, 0.45, 0.05, 0.65])
    labels = Labels(np.array([0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 0], bool))
    np.testing.assert_array_equal(labels.weights, [0.5, 0.5, 1, 1, 1])
    best, is_right, weights = trials(probability, labels)
    np.testing.assert_array_equal(best, [0.95, 0.45, 0.45, 0.65])
    np.testing.assert_array_equal(is_right, [True, False, False, False])
    np.testing.assert_array_equal(weights, [0.5, 0.5, 1, 1])
    np.testing.assert_allclose(
        reliability(best, is_right, weights),
        [[0.45, 0, 1.5], [0.65, 0, 1], [0.95, 1, 0.5]],
    )
    log_odds = np.log(probability / (1 - probability))
    calibration = Calibration(0.0, 1.0, version=0.9, unsure=0.4)
    figures = quality(calibration, Pairs(log_odds, log_odds, np.zeros(5), 1), labels)
    assert figures["calibration_error"] == pytest.approx(
        (0.45 * 1.5 + 0.65 + 0.05 * 0.5) / 3
    )
    assert figures["brier"] == pytest.approx(
        (0.5 * 0.05**2 + 1.5 * 0.45**2 + 0.65**2) / 3
    )
    assert (figures["found"], figures["noticed"]) == (0.5, 0.5)
    assert (figures["false_versions"], figures["false_alarms"]) == (0, 1)
    assert [calibration.verdict(p) for p in (0.95, 0.9, 0.5, 0.1)] == [
        *("version", "version", "unsure", "none")
    ]


def test_a_fit_needs_both_kinds(rng):
    pairs, labels = simulated(rng, 3)
    for all_same in (np.zeros_like(labels.is_version), np.ones_like(labels.is_version)):
        with pytest.raises(DataError, match="music: .* both versions and strangers"):
            fit(pairs, Labels(labels.query, all_same), "music")


def test_the_default_is_for_alignment_alone():
    default = default_calibration()
    assert default.encoder == ""
    assert default.score > 0
    assert 0 < default.unsure < default.version < 1
    assert default.origin["calibration_error"] < 0.1
    assert default.probability(pairs(9.0, 100))[0] > default.version


def test_files(tmp_path, rng):
    fitted = fit(*simulated(rng, 20), "simulation", ENCODER)
    path = tmp_path / "calibration.json"
    fitted.save(path)
    assert read_calibration(path, ENCODER) == fitted
    assert fitted.origin == json.loads(json.dumps(fitted.origin))
    assert "similarity and alignment, fitted on simulation" in str(fitted)
    with pytest.raises(EncoderError, match=r"json: .*eeeeeeeeeeee, not with ffff"):
        read_calibration(path, "f" * 64)
    with pytest.raises(EncoderError, match="none: no calibration"):
        read_calibration(tmp_path / "none", ENCODER)
    for text in ("", "[]", "{}", '{"format": 1}', '{"format": 2, "bias": 1, "x": 2}'):
        path.write_text(text)
        with pytest.raises(EncoderError, match=r"json: not a calibration"):
            read_calibration(path, ENCODER)


def test_damage_is_told(tmp_path, rng):
    fitted = fit(*simulated(rng, 20), "simulation", ENCODER)
    path = tmp_path / "calibration.json"
    fitted.save(path)
    values = json.loads(path.read_text())
    assert len(values["sha256"]) == 64
    values["score"] += 0.001
    path.write_text(json.dumps(values))
    for read in (
        lambda: read_calibration(path, ENCODER),
        # That of the encoder is not passed over for a worse one.
        lambda: choose_calibration(ENCODER, tmp_path),
        lambda: choose_calibration(ENCODER, tmp_path, path),
    ):
        with pytest.raises(EncoderError, match=r"calibration\.json: .*damaged, or"):
            read()
    # As older versions wrote it, or as somebody wants it.
    del values["sha256"]
    path.write_text(json.dumps(values))
    assert read_calibration(path, ENCODER).score == values["score"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", -1.0),
        ("hidden", np.inf),
        ("bias", np.inf),
        ("bias", 10**400),
        ("score", -np.inf),
        ("widest", -1),
        ("version", -1),
    ],
)
def test_what_gives_no_probability_is_refused(tmp_path, name, value):
    path = tmp_path / "calibration.json"
    Calibration(-6.0, 5.0).save(path)
    values = json.loads(path.read_text())
    del values["sha256"]
    path.write_text(json.dumps({**values, name: value}))
    with pytest.raises(EncoderError, match=rf"json: not a calibration \({name} is"):
        read_calibration(path, ENCODER)


def test_those_of_the_package_have_a_checksum():
    package = Path(calibration.__file__).parents[1]
    files = list(package.rglob("calibration*.json"))
    assert len(files) == 6
    for file in files:
        assert "sha256" in json.loads(file.read_text())
        Calibration.from_json(file.read_text(), file.name)


def test_an_encoder_finds_its_own(tmp_path, rng):
    assert calibration_beside(tmp_path) == tmp_path / "calibration.json"
    beside = calibration_beside(tmp_path / "encoder.keras")
    assert beside == tmp_path / "calibration.json"
    assert choose_calibration(ENCODER, tmp_path) == default_calibration()
    fitted = fit(*simulated(rng, 20), "simulation", ENCODER)
    fitted.save(beside)
    assert choose_calibration(ENCODER, tmp_path) == fitted
    # That of another encoder is of no use, unless it was asked for.
    assert choose_calibration("f" * 64, tmp_path) == default_calibration()
    assert choose_calibration("", tmp_path) == default_calibration()
    with pytest.raises(EncoderError, match="fitted with the encoder"):
        choose_calibration("f" * 64, tmp_path, beside)
