import math
from dataclasses import replace

import numba
import numpy as np
import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.matching import compiling
from bytecover_tf.matching.alignment import (
    Alignment,
    align,
    align_many,
    look_at_many,
)
from bytecover_tf.matching.best_paths import _STRIP


def melody(frames, seed):
    """Chroma that changes as music does: notes of some frames, and a bit of noise."""
    rng = np.random.default_rng(seed)
    chroma = rng.random((12, frames)) * 40
    t = 0
    while t < frames:
        length = rng.integers(1, 5)
        for pitch in rng.choice(12, 2, replace=False):
            chroma[pitch, t : t + length] += 200
        t += length
    return chroma.astype(np.uint8)


def stretched(chroma, factor):
    count = round(chroma.shape[1] * factor)
    return chroma[
        :, np.minimum(np.arange(count) / factor, chroma.shape[1] - 1).astype(int)
    ]


def overlap(found, truly):
    """Intersection over union of two stretches."""
    intersection = min(found[1], truly[1]) - max(found[0], truly[0])
    return intersection / (max(found[1], truly[1]) - min(found[0], truly[0]))


def parts_of(*chromas):
    """One chroma of several parts, as long as the shortest."""
    frames = min(chroma.shape[1] for chroma in chromas)
    return np.concatenate([chroma[:, :frames] for chroma in chromas])


def raised(chroma, semitones):
    parts = np.split(chroma, len(chroma) // 12)
    return np.concatenate([np.roll(part, semitones, axis=0) for part in parts])


# How much the parts count, by what versions may share: harmony, or the melody.
WAYS = {5: [(0.3, 0.3, 0.1, 0, 0.3), (0.05, 0.05, 0.25, 0.25, 0.4)]}


def ways(parts):
    return WAYS.get(parts, [parts * [1 / parts]])


def correlations(query, reference, weights):
    """The weighted mean over the parts of each two frames' correlation, (n, m)."""

    def unit(part):
        centred = part - part.mean(axis=0)
        norm = np.sqrt((centred**2).sum(axis=0))
        return centred / np.where(norm > 0.1, norm, np.inf)

    parts = len(query) // 12
    return sum(
        weight * unit(one).T @ unit(other)
        for weight, one, other in zip(
            weights,
            np.split(query.astype(float), parts),
            np.split(reference.astype(float), parts),
            strict=True,
        )
    )


def reference_path(query, reference, threshold, shares, reach=1):
    """The best path without transposition, in plain loops with a trace back."""
    alike = correlations(query, reference, shares)
    n, m = alike.shape
    similarity = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            for d in range(-reach, reach + 1):
                if 0 <= i + d < n and 0 <= j + d < m:
                    similarity[i, j] += alike[i + d, j + d] / (2 * reach + 1)
    weights = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            row, column = similarity[i], similarity[:, j]
            among_row = (similarity[i, j] - row.mean()) / max(row.std(), 1e-3)
            among_column = (similarity[i, j] - column.mean()) / max(column.std(), 1e-3)
            weights[i, j] = max(min(among_row, among_column) - threshold, -3)
    scores = np.zeros((n, m))
    came_from = {}
    for i in range(n):
        for j in range(m):
            options = [(0, None)]
            if i >= 1 and j >= 1:
                options.append((scores[i - 1, j - 1], (i - 1, j - 1)))
            if j >= 1:
                skipped = 0.5 * weights[i, j - 1]
                score = scores[i - 1, j - 2] if i >= 1 and j >= 2 else 0
                options.append((score + skipped, (i - 1, j - 2)))
            if i >= 1:
                skipped = 0.5 * weights[i - 1, j]
                score = scores[i - 2, j - 1] if i >= 2 and j >= 1 else 0
                options.append((score + skipped, (i - 2, j - 1)))
            best, place = max(options, key=lambda option: option[0])
            scores[i, j] = max(best + weights[i, j], 0)
            came_from[i, j] = place
    end = np.unravel_index(np.argmax(scores), scores.shape)
    start = end
    while True:
        place = came_from[start]
        if place is None or min(place) < 0 or scores[place] == 0:
            break
        start = place
    return scores.max(), (start[0], end[0] + 1, start[1], end[1] + 1)


@pytest.mark.parametrize(
    ("seed", "parts", "length", "start"),
    [
        (0, 1, 50, 15),
        (1, 1, 50, 15),
        (2, 2, 50, 15),
        (3, 5, 50, 15),
        # Where strips of columns meet, and where they end with the recording.
        (4, 1, _STRIP + 1, _STRIP - 19),
        (5, 3, 2 * _STRIP, _STRIP - 10),
        (6, 5, 2 * _STRIP + 30, 2 * _STRIP - 7),
    ],
)
def test_scores_and_places_equal_plain_loops(seed, parts, length, start):
    query = parts_of(*(melody(40, seed + 10 * part) for part in range(parts)))
    seeds = [seed + 10 * part + 5 for part in range(parts)]
    reference = parts_of(*(melody(length, seed) for seed in seeds))
    reference[:, start : start + 20] = raised(query[:, 10:30], 4)
    found = align(query, reference)
    expected = max(
        (reference_alignment(query, reference, weights) for weights in ways(parts)),
        key=lambda one: one.score,
    )
    assert found.score == pytest.approx(expected.score, rel=1e-3)
    assert replace(found, score=expected.score) == expected


def reference_alignment(query, reference, weights):
    """The alignment by one way to weigh the parts."""
    score, transposition = reference_key(query, reference, 1.1, weights)
    turned = raised(query, transposition)
    _, places = reference_path(turned, reference, 1.4, weights)
    return Alignment(score, transposition, *places)


def reference_key(query, reference, threshold, weights, reach=1):
    """The score of the best key, and that key."""
    best = {
        key: reference_path(raised(query, key), reference, threshold, weights, reach)[0]
        for key in range(-5, 7)
    }
    transposition = max(best, key=lambda semitones: best[semitones])
    score = best.pop(transposition)
    chance = np.mean(list(best.values()))
    size = (query.shape[1] * reference.shape[1]) ** 0.25
    return (score - chance) / size, transposition


@pytest.mark.parametrize("parts", [1, 5])
def test_a_coarse_look_equals_plain_loops_over_means(parts):
    query = parts_of(*(melody(91, seed) for seed in range(parts)))
    references = [
        parts_of(*(melody(length, 9 + seed) for seed in range(parts)))
        for length in (60, 3 * _STRIP + 40)
    ]
    references[1][:, 200:260] = raised(query[:, 20:80], 4)

    def coarse(chroma):
        count = chroma.shape[1] // 3
        return np.stack(
            [chroma[:, 3 * t : 3 * t + 3].mean(axis=1) for t in range(count)], axis=1
        )

    expected = [
        max(
            reference_key(coarse(query), coarse(one), 0.9, weights, reach=0)[0]
            for weights in ways(parts)
        )
        for one in references
    ]
    assert look_at_many(query, references) == pytest.approx(expected, rel=1e-3)
    assert expected[1] > 2 * expected[0]


def test_versions_may_share_harmony_or_melody():
    """What they share is found, whatever the other parts play."""
    for shared in ((0, 1, 4), (2, 3, 4)):
        query = parts_of(*(melody(80, seed) for seed in range(30, 35)))
        reference = parts_of(*(melody(80, seed) for seed in range(40, 45)))
        stranger = align(query, reference)
        for part in shared:
            rows = slice(12 * part, 12 * part + 12)
            reference[rows] = raised(query[rows], 3)
        found = align(query, reference)
        assert found.transposition == 3
        assert found.score > 3 * stranger.score


@pytest.mark.parametrize("factor", [0.8, 0.9, 1, 1.1, 1.25])
@pytest.mark.parametrize("semitones", [-5, 0, 3, 6])
def test_a_planted_version_is_found_where_it_is(factor, semitones):
    piece = melody(150, seed=1)
    inside = stretched(np.roll(piece[:, 30:130], semitones, axis=0), factor)
    reference = np.concatenate([melody(80, 2), inside, melody(90, 3)], axis=1)
    found = align(piece, reference)
    assert found.transposition == semitones
    assert overlap((found.query_start, found.query_end), (30, 130)) > 0.75
    truly = (80, 80 + inside.shape[1])
    assert overlap((found.reference_start, found.reference_end), truly) > 0.75
    assert found.tempo_ratio == pytest.approx(factor, rel=0.15)
    unrelated = align(piece, melody(reference.shape[1], 4))
    assert found.score > 2 * unrelated.score


def test_a_cut_piece_is_found_in_the_whole():
    whole = melody(400, seed=5)
    found = align(whole[:, 220:280], whole)
    assert found.reference_start == pytest.approx(220, abs=2)
    assert found.reference_end == pytest.approx(280, abs=2)
    assert (found.query_start, found.query_end) == pytest.approx((0, 60), abs=2)
    others = [align(melody(60, seed), whole).score for seed in range(50, 60)]
    assert found.score > 2 * max(others)


def test_query_and_reference_may_change_places():
    query, reference = melody(120, 6), melody(150, 7)
    reference[:, 40:120] = np.roll(query[:, 20:100], 5, axis=0)
    there, back = align(query, reference), align(reference, query)
    assert back.score == pytest.approx(there.score, rel=1e-4)
    assert (there.transposition, back.transposition) == (5, -5)
    assert back.query_start == pytest.approx(there.reference_start, abs=2)
    assert back.reference_end == pytest.approx(there.query_end, abs=2)
    assert back.tempo_ratio == pytest.approx(1 / there.tempo_ratio, rel=0.05)


def test_longer_unrelated_music_does_not_score_higher():
    query = melody(120, 8)
    short = np.mean([align(query, melody(60, seed)).score for seed in range(20, 40)])
    long = np.mean([align(query, melody(600, seed)).score for seed in range(20, 40)])
    planted = np.concatenate([melody(240, 9), query, melody(240, 10)], axis=1)
    assert long < short + 0.2 * (align(query, planted).score - short)


def test_many_equal_one_by_one():
    query = melody(50, 11)
    references = [melody(length, length) for length in (0, 1, 30, 80, 51)]
    assert align_many(query, references, workers=3) == [
        align(query, reference) for reference in references
    ]
    assert align_many(query, []) == []


@pytest.mark.parametrize(
    ("query", "reference"),
    [
        (np.zeros((12, 0)), melody(20, 1)),
        (melody(20, 1), np.zeros((12, 0))),
        (np.zeros((12, 30)), melody(20, 1)),
        (melody(20, 1), np.full((12, 30), 7)),
        (melody(1, 1), melody(1, 2)),
    ],
)
def test_nothing_matches_what_is_empty_or_silent(query, reference):
    found = align(query.astype(np.uint8), reference.astype(np.uint8))
    assert found.score == 0
    assert (found.query_end, found.reference_end) == (0, 0)
    assert math.isnan(found.tempo_ratio)


def test_silence_within_music_is_passed_over():
    query = melody(80, 12)
    reference = query.copy()
    reference[:, 30:34] = 0
    found = align(query, reference)
    assert (found.query_start, found.query_end) == pytest.approx((0, 80), abs=2)
    assert math.isfinite(found.score)


def test_other_shapes_are_refused():
    with pytest.raises(DataError, match=r"\(12, n\).*\(80, 10\)"):
        align(np.zeros((80, 10), np.uint8), melody(10, 1))
    with pytest.raises(DataError, match="3 in the query and 1 in the reference"):
        align(np.zeros((36, 10), np.uint8), melody(10, 1))
    for many in (align_many, look_at_many):
        with pytest.raises(DataError, match=r"\(12,\)"):
            many(melody(10, 1), [np.zeros(12, np.uint8)])


def test_without_a_place_for_a_cache_it_is_compiled_all_the_same(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiling, "_Cache", refuse)
    double = compiling.compiled(lambda x: 2 * x, fastmath=True)
    assert double(21) == 42


def compile_with_cache_in(folder, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
    return compiling.compiled(lambda x: 3 * x)


def test_what_is_compiled_is_kept(tmp_path, monkeypatch):
    assert compile_with_cache_in(tmp_path, monkeypatch)(14) == 42
    again = compile_with_cache_in(tmp_path, monkeypatch)
    assert again(14) == 42
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_full_disk_at_the_cache_ends_nothing(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    triple = compile_with_cache_in(tmp_path, monkeypatch)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        assert triple(14) == 42
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.rglob("*.nb?"))


def test_a_damaged_cache_is_made_anew(tmp_path, monkeypatch):
    assert compile_with_cache_in(tmp_path, monkeypatch)(14) == 42
    (index,) = tmp_path.rglob("*.nbi")
    for damage in (b"", b"damaged"):
        index.write_bytes(damage)
        assert compile_with_cache_in(tmp_path, monkeypatch)(14) == 42
    again = compile_with_cache_in(tmp_path, monkeypatch)
    assert again(14) == 42
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_silent_part_neither_helps_nor_harms_the_key():
    query = parts_of(melody(60, 21), np.zeros((12, 60), np.uint8))
    found = align(query, raised(query, 5))
    assert found.transposition == 5
    alone = align(query[:12], raised(query[:12], 5))
    assert (found.query_start, found.query_end) == (alone.query_start, alone.query_end)
