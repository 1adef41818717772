"""The best path through the similarities of two recordings' frames, and its place.

What the path and the similarities are, `bytecover_tf.matching.alignment` says; here are
the loops. They take spectra: a frame's Fourier transform over pitch class, real and
imaginary part of the frequencies 1 to 5 and the real one of 6, for each part.

A transposition turns the pitch classes on their ring, so the similarities of all
twelve follow from one product of spectra: 21 multiplications a part and cell in place
of 144. Where a path runs is then asked in one transposition only, where 11 do.

The reference is taken in strips of columns that fit into the processor's nearest
cache. Each loop over a strip's columns has no branches and no steps within its row, so
that the compiler has eight columns done at once. For that it must see that what a loop
writes is not what it reads: a loop has few arrays, and what belongs together lies in
one row, at distances known when it compiles.

The loops are compiled with numba, which librosa brings, on their first use (seconds),
and kept in its cache if there is one. Importing this module imports numba.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bytecover_tf.matching.compiling import compiled

# The most that a cell counts against one.
_FLOOR = -3.0
# The share that a cell counts which a step to the side leaves out.
_SKIPPED = 0.5
# The least variance that similarities are taken to have.
_LEAST_VARIANCE = 1e-6

# Values of a spectrum.
_DEPTH = 11
# Columns of a strip, and with those beside it that the diagonals need.
_STRIP = 88
_WIDE = _STRIP + 8
# Columns with two of the strip to the left before them.
_JOINED = _STRIP + 2

_HALF = np.float32(1 / 2)
_HEIGHT = np.float32(np.sqrt(3) / 2)

_compiled = partial(compiled, fastmath=True)


@_compiled
def best_scores(query, reference, threshold, reach):
    """Return the score of the best path in each transposition, from 0 to 11.

    Takes spectra (n, parts, 11) and (parts, 11, m), and memory that is linear in both.
    Similarities are averaged over the frames up to `reach`, 0 or 1, before and after.
    """
    count, length = len(query), reference.shape[2]
    strips = -(-length // _STRIP)
    spectra = np.empty((len(reference), _DEPTH * _WIDE), np.float32)
    products = np.empty((3, _DEPTH * _WIDE), np.float32)
    similarity = np.empty(12 * _STRIP, np.float32)
    in_query = np.zeros((2, 12, count), np.float32)
    in_reference = np.zeros((strips, 2, 12, _STRIP), np.float32)
    for strip in range(strips):
        width = _cut(reference, strip, spectra)
        for i in range(count):
            _turn(i, query, spectra, products, similarity, reach)
            _tally(similarity, width, i, in_query, in_reference[strip])
        _standardize(in_reference[strip], count)
        _void(in_reference[strip], width)
    _standardize(in_query, length)
    # Of each transposition, scores that end in this row and in the two before, and
    # what the cells of this row and the last count.
    scores = np.empty((3, 12, _JOINED), np.float32)
    weights = np.empty((2, 12, _JOINED), np.float32)
    edges = np.zeros((count, 3, 12), np.float32)
    highest = np.zeros((12, _STRIP), np.float32)
    for strip in range(strips):
        _cut(reference, strip, spectra)
        scores[:] = 0
        weights[:] = 0
        for i in range(count):
            _turn(i, query, spectra, products, similarity, reach)
            now, then = weights[i % 2], weights[1 - i % 2]
            reached, last = scores[i % 3], scores[(i + 2) % 3]
            before = scores[(i + 1) % 3]
            _weigh(similarity, i, in_query, in_reference[strip], threshold, now)
            _join(edges[i], reached, now)
            _advance(reached, last, before, now, then)
            _part(edges[i], reached, now)
            _raise(highest, reached)
    best = np.zeros(12, np.float32)
    for s in range(12):
        best[s] = highest[s].max()
    return best


@_compiled
def best_places(query, reference, threshold):
    """Return where the best path runs.

    Takes spectra (n, parts, 11) of the query, in the reference's key, and
    (parts, 11, m) of the reference. Returns the first frame and the one after the last
    in the query and in the reference.
    """
    count, length = len(query), reference.shape[2]
    strips = -(-length // _STRIP)
    spectra = np.empty((len(reference), _DEPTH * _WIDE), np.float32)
    products = np.empty((3, _WIDE), np.float32)
    similarity = np.empty(_STRIP, np.float32)
    in_query = np.zeros((2, 1, count), np.float32)
    in_reference = np.zeros((strips, 2, 1, _STRIP), np.float32)
    for strip in range(strips):
        width = _cut(reference, strip, spectra)
        for i in range(count):
            _correlate(i, query, spectra, products, similarity)
            _tally(similarity, width, i, in_query, in_reference[strip])
        _standardize(in_reference[strip], count)
        _void(in_reference[strip], width)
    _standardize(in_query, length)
    scores = np.empty((3, 1, _JOINED), np.float32)
    weights = np.empty((2, 1, _JOINED), np.float32)
    edges = np.zeros((count, 3, 1), np.float32)
    # Of each path that ends in this row and in the two before, the row and the column
    # of its first cell.
    starts = np.zeros((3, 2 * _JOINED), np.int32)
    start_edges = np.zeros((count, 2, 2), np.int32)
    best = np.float32(0)
    places = (0, 0, 0, 0)
    for strip in range(strips):
        _cut(reference, strip, spectra)
        scores[:] = 0
        weights[:] = 0
        first = strip * _STRIP
        for i in range(count):
            _correlate(i, query, spectra, products, similarity)
            now, then = weights[i % 2], weights[1 - i % 2]
            reached, last = scores[i % 3], scores[(i + 2) % 3]
            before = scores[(i + 1) % 3]
            _weigh(similarity, i, in_query, in_reference[strip], threshold, now)
            _join(edges[i], reached, now)
            _advance(reached, last, before, now, then)
            _part(edges[i], reached, now)
            here, start_last = starts[i % 3], starts[(i + 2) % 3]
            start_before = starts[(i + 1) % 3]
            for k in range(2):
                here[k], here[_JOINED + k] = start_edges[i, 0, k], start_edges[i, 1, k]
            _begin(i, first, here, start_last, start_before, last, before, now, then)
            for k in range(2):
                start_edges[i, 0, k] = here[_STRIP + k]
                start_edges[i, 1, k] = here[_JOINED + _STRIP + k]
            for j in range(_STRIP):
                if reached[0, j + 2] > best:
                    best = reached[0, j + 2]
                    places = (here[j + 2], i + 1, here[_JOINED + j + 2], first + j + 1)
    return places


@_compiled
def _cut(reference, strip, spectra):
    """Copy a strip of spectra, with a column before and some after it.

    Returns how many columns the strip has. Where the reference has none, they are 0.
    """
    length = reference.shape[2]
    first = strip * _STRIP - 1
    start, stop = max(first, 0), min(first + _WIDE, length)
    spectra[:] = 0
    for part in range(len(spectra)):
        for k in range(_DEPTH):
            at = k * _WIDE - first
            spectra[part, at + start : at + stop] = reference[part, k, start:stop]
    return min(_STRIP, length - strip * _STRIP)


@_compiled
def _turn(i, query, spectra, products, similarity, reach):
    """Fill in the similarities (12 * strip) of row i in all keys; i goes up from 0.

    `products` (3, 11 * wide) keeps what the query's frames i - 1, i and i + 1 give.
    """
    last, here, coming = products[(i + 2) % 3], products[i % 3], products[(i + 1) % 3]
    if i == 0 or reach == 0:
        last[:] = 0
        here[:] = 0
        _multiply(query[i], spectra, here)
    coming[:] = 0
    if i + 1 < len(query) and reach > 0:
        _multiply(query[i + 1], spectra, coming)
    _to_keys(last, here, coming, similarity)


@_compiled
def _multiply(frame, spectra, product):
    """Add the cross spectra (11 * wide) of a frame (parts, 11)."""
    for part in range(len(spectra)):
        for k in range(0, 10, 2):
            real, imaginary = frame[part, k], frame[part, k + 1]
            for j in range(_WIDE):
                other = spectra[part, k * _WIDE + j]
                another = spectra[part, (k + 1) * _WIDE + j]
                product[k * _WIDE + j] += real * other + imaginary * another
                product[(k + 1) * _WIDE + j] += real * another - imaginary * other
        for j in range(_WIDE):
            product[10 * _WIDE + j] += frame[part, 10] * spectra[part, 10 * _WIDE + j]


@_compiled
def _to_keys(last, here, coming, similarity):
    """Transform cross spectra, averaged along the diagonals, into twelve similarities.

    The inverse Fourier transform of twelve points as one of three times one of four:
    half a turn on, the even frequencies are the same and the odd ones change their
    sign; a quarter on, so it is among the even ones.
    """
    third = np.float32(1 / 3)
    for j in range(_STRIP):
        r1 = third * (
            last[0 * _WIDE + j] + here[0 * _WIDE + j + 1] + coming[0 * _WIDE + j + 2]
        )
        i1 = third * (
            last[1 * _WIDE + j] + here[1 * _WIDE + j + 1] + coming[1 * _WIDE + j + 2]
        )
        r2 = third * (
            last[2 * _WIDE + j] + here[2 * _WIDE + j + 1] + coming[2 * _WIDE + j + 2]
        )
        i2 = third * (
            last[3 * _WIDE + j] + here[3 * _WIDE + j + 1] + coming[3 * _WIDE + j + 2]
        )
        r3 = third * (
            last[4 * _WIDE + j] + here[4 * _WIDE + j + 1] + coming[4 * _WIDE + j + 2]
        )
        i3 = third * (
            last[5 * _WIDE + j] + here[5 * _WIDE + j + 1] + coming[5 * _WIDE + j + 2]
        )
        r4 = third * (
            last[6 * _WIDE + j] + here[6 * _WIDE + j + 1] + coming[6 * _WIDE + j + 2]
        )
        i4 = third * (
            last[7 * _WIDE + j] + here[7 * _WIDE + j + 1] + coming[7 * _WIDE + j + 2]
        )
        r5 = third * (
            last[8 * _WIDE + j] + here[8 * _WIDE + j + 1] + coming[8 * _WIDE + j + 2]
        )
        i5 = third * (
            last[9 * _WIDE + j] + here[9 * _WIDE + j + 1] + coming[9 * _WIDE + j + 2]
        )
        r6 = third * (
            last[10 * _WIDE + j] + here[10 * _WIDE + j + 1] + coming[10 * _WIDE + j + 2]
        )
        twice_0, twice_1 = r4, -_HALF * r4 - _HEIGHT * i4
        twice_2 = -_HALF * r4 + _HEIGHT * i4
        once_0, once_1 = r2 + r6, _HALF * r2 - _HEIGHT * i2 - r6
        once_2 = -_HALF * r2 - _HEIGHT * i2 + r6
        even_0, even_3 = twice_0 + once_0, twice_0 - once_0
        even_1, even_4 = twice_1 + once_1, twice_1 - once_1
        even_2, even_5 = twice_2 + once_2, twice_2 - once_2
        cosine_0, sine_3 = r1 + r3 + r5, i1 - i3 + i5
        cosine_1, sine_1 = _HEIGHT * (r1 - r5), _HALF * (i1 + i5) + i3
        cosine_2, sine_2 = _HALF * (r1 + r5) - r3, _HEIGHT * (i1 - i5)
        odd_1, odd_5 = cosine_1 - sine_1, -cosine_1 - sine_1
        odd_2, odd_4 = cosine_2 - sine_2, -cosine_2 - sine_2
        similarity[0 * _STRIP + j] = even_0 + cosine_0
        similarity[1 * _STRIP + j] = even_1 + odd_1
        similarity[2 * _STRIP + j] = even_2 + odd_2
        similarity[3 * _STRIP + j] = even_3 - sine_3
        similarity[4 * _STRIP + j] = even_4 + odd_4
        similarity[5 * _STRIP + j] = even_5 + odd_5
        similarity[6 * _STRIP + j] = even_0 - cosine_0
        similarity[7 * _STRIP + j] = even_1 - odd_1
        similarity[8 * _STRIP + j] = even_2 - odd_2
        similarity[9 * _STRIP + j] = even_3 + sine_3
        similarity[10 * _STRIP + j] = even_4 - odd_4
        similarity[11 * _STRIP + j] = even_5 - odd_5


@_compiled
def _correlate(i, query, spectra, products, similarity):
    """Fill in the similarities (strip) of row i in one key; i goes up from 0.

    `products` (3, wide) keeps the correlations of the query's frames i - 1, i, i + 1.
    """
    last, here, coming = products[(i + 2) % 3], products[i % 3], products[(i + 1) % 3]
    if i == 0:
        last[:] = 0
        here[:] = 0
        _add_products(query[0], spectra, here)
    coming[:] = 0
    if i + 1 < len(query):
        _add_products(query[i + 1], spectra, coming)
    for j in range(_STRIP):
        similarity[j] = (last[j] + here[j + 1] + coming[j + 2]) / np.float32(3)


@_compiled
def _add_products(frame, spectra, product):
    """Add a frame's (parts, 11) products with the columns of a strip."""
    for part in range(len(spectra)):
        values = frame[part]
        for j in range(_WIDE):
            product[j] += (
                values[0] * spectra[part, 0 * _WIDE + j]
                + values[1] * spectra[part, 1 * _WIDE + j]
                + values[2] * spectra[part, 2 * _WIDE + j]
                + values[3] * spectra[part, 3 * _WIDE + j]
                + values[4] * spectra[part, 4 * _WIDE + j]
                + values[5] * spectra[part, 5 * _WIDE + j]
                + values[6] * spectra[part, 6 * _WIDE + j]
                + values[7] * spectra[part, 7 * _WIDE + j]
                + values[8] * spectra[part, 8 * _WIDE + j]
                + values[9] * spectra[part, 9 * _WIDE + j]
                + values[10] * spectra[part, 10 * _WIDE + j]
            )


@_compiled
def _tally(similarity, width, i, in_query, in_reference):
    """Add a row, and its squares, to the sums of frame i and of all columns."""
    for s in range(in_reference.shape[1]):
        total = np.float32(0)
        square = np.float32(0)
        for j in range(width):
            value = similarity[s * _STRIP + j]
            total += value
            square += value * value
            in_reference[0, s, j] += value
            in_reference[1, s, j] += value * value
        in_query[0, s, i] += total
        in_query[1, s, i] += square


@_compiled
def _standardize(sums, count):
    """Turn sums and sums of squares into factors and shifts for mean 0, variance 1."""
    for s in range(sums.shape[1]):
        for j in range(sums.shape[2]):
            mean = sums[0, s, j] / np.float32(count)
            variance = sums[1, s, j] / np.float32(count) - mean * mean
            factor = 1 / np.sqrt(max(variance, np.float32(_LEAST_VARIANCE)))
            sums[0, s, j] = factor
            sums[1, s, j] = factor * mean


@_compiled
def _void(in_reference, width):
    """Have the columns beyond the reference's end count as little as can be."""
    in_reference[0, :, width:] = 0
    in_reference[1, :, width:] = -_FLOOR


@_compiled
def _weigh(similarity, i, in_query, in_reference, threshold, weights):
    """Fill in what the cells of row i count."""
    for s in range(len(weights)):
        factor, shift = in_query[0, s, i], in_query[1, s, i] + threshold
        for j in range(_STRIP):
            value = similarity[s * _STRIP + j]
            among_column = value * in_reference[0, s, j] - in_reference[1, s, j]
            excess = min(value * factor - shift, among_column - threshold)
            weights[s, j + 2] = max(excess, np.float32(_FLOOR))


@_compiled
def _join(edge, reached, weights):
    """Put before a row what the strip to the left has left of it."""
    for s in range(len(reached)):
        reached[s, 0], reached[s, 1], weights[s, 1] = edge[0, s], edge[1, s], edge[2, s]


@_compiled
def _part(edge, reached, weights):
    """Keep the end of a row for the strip to the right."""
    for s in range(len(reached)):
        edge[0, s], edge[1, s] = reached[s, _STRIP], reached[s, _STRIP + 1]
        edge[2, s] = weights[s, _STRIP + 1]


@_compiled
def _advance(reached, last, before, now, then):
    """Fill in the scores that end in a row's cells, from those of the two before.

    All have two columns of the strip to the left in front.
    """
    for s in range(len(reached)):
        for j in range(_STRIP):
            across = last[s, j] + np.float32(_SKIPPED) * now[s, j + 1]
            down = before[s, j + 1] + np.float32(_SKIPPED) * then[s, j + 2]
            score = max(last[s, j + 1], max(across, down)) + now[s, j + 2]
            reached[s, j + 2] = max(score, np.float32(0))


@_compiled
def _raise(highest, reached):
    """Raise each column's maximum to what this row has reached.

    By adding the excess: a store on a condition is slow on some processors.
    """
    for s in range(len(highest)):
        for j in range(_STRIP):
            excess = reached[s, j + 2] - highest[s, j]
            highest[s, j] += max(excess, np.float32(0))


@_compiled
def _begin(i, first, here, start_last, start_before, last, before, now, then):
    """Fill in where the paths that end in a row's cells start, as `_advance` goes."""
    for j in range(_STRIP):
        straight, aside, above = last[0, j + 1], last[0, j], before[0, j + 1]
        row, column = start_last[j + 1], start_last[_JOINED + j + 1]
        aside_row, aside_column = start_last[j], start_last[_JOINED + j]
        above_row, above_column = start_before[j + 1], start_before[_JOINED + j + 1]
        across = aside + np.float32(_SKIPPED) * now[0, j + 1]
        down = above + np.float32(_SKIPPED) * then[0, j + 2]
        best = max(straight, across)
        goes_across, goes_down = across > straight, down > best
        previous = aside if goes_across else straight
        row = aside_row if goes_across else row
        column = aside_column if goes_across else column
        previous = above if goes_down else previous
        row = above_row if goes_down else row
        column = above_column if goes_down else column
        here[j + 2] = row if previous > 0 else np.int32(i)
        here[_JOINED + j + 2] = column if previous > 0 else np.int32(first + j)
