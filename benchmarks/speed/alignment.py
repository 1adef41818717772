"""How fast is the alignment of two recordings, and how fast could it be?

    python -m benchmarks.speed.alignment [--repeats N]

Aligns recordings of four minutes in one thread. Beside it, in turns, one matrix product
gives the correlations of their frames in all twelve keys, which is the least that a
plain alignment does; and a large product shows the peak of the processor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.common.report import command_of, table, write_section
from bytecover_tf.audio.chroma import CHROMA_HZ, HEARD_PARTS, PITCH_CLASSES
from bytecover_tf.matching.alignment import align, align_many
from bytecover_tf.matching.qmax import cross_recurrence, qmax
from bytecover_tf.matching.screening import align_likely

PARTS = (1, 3, HEARD_PARTS)
FRAMES = round(240 * CHROMA_HZ)
CANDIDATES = 100
LARGE = 1024


def milliseconds(
    calls: list[Callable[[], object]], repeats: int, clock: Callable[[], float]
) -> list[float]:
    """Return the median time of each of several calls, made in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()  # it may compile
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            start = clock()
            call()
            taken.append(1000 * (clock() - start))
    return [median(taken) for taken in times]


def products(parts: int) -> int:
    """Return how many additions and multiplications the similarities take, twice.

    Cross spectra serve twice for the scores; 11 products a part serve twice for places.
    """
    return 2 * 2 * FRAMES**2 * parts * (21 + 11)


def of_a_pair(parts: int, repeats: int) -> list[str]:
    """Time a pair of recordings whose chroma has so many parts."""
    rng = np.random.default_rng(parts)
    rows = PITCH_CLASSES * parts
    query, reference = rng.integers(0, 256, (2, rows, FRAMES)).astype(np.uint8)
    keys = rng.random((PITCH_CLASSES * FRAMES, rows), np.float32)
    frames = rng.random((rows, FRAMES), np.float32)
    large = rng.random((LARGE, LARGE), np.float32)
    with threadpool_limits(1):
        pair, product, full = milliseconds(
            [
                lambda: align(query, reference),
                lambda: keys @ frames,
                lambda: large @ large,
            ],
            repeats,
            time.thread_time,
        )
    peak = 2 * LARGE**3 / full
    share = products(parts) / pair / peak
    return [
        f"{parts}",
        f"{pair:.1f}",
        f"{product:.1f}",
        f"{pair / product:.1f}",
        f"{share:.0%}",
    ]


def many(repeats: int) -> list[list[str]]:
    """Time what a query takes that has one version among the candidates, and Qmax."""
    rng = np.random.default_rng(0)
    shape = (CANDIDATES + 1, PITCH_CLASSES * HEARD_PARTS, FRAMES)
    query, *references = rng.integers(0, 256, shape).astype(np.uint8)
    plain, other = query[:PITCH_CLASSES], references[0][:PITCH_CLASSES]
    references[-1] = query
    alike = np.zeros(CANDIDATES)
    aligned, likely, published = milliseconds(
        [
            lambda: align_many(query, references),
            lambda: align_likely(query, references, alike),
            lambda: qmax(cross_recurrence(plain, other)),
        ],
        repeats,
        time.process_time,
    )
    return [
        [f"{CANDIDATES} candidates, {HEARD_PARTS} parts", f"{aligned:.0f}"],
        ["the same, the likely ones as `identify` does", f"{likely:.0f}"],
        ["Qmax of a pair, one part", f"{published:.1f}"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    pairs = [of_a_pair(parts, options.repeats) for parts in PARTS]
    titles = [
        "parts",
        "a pair, ms",
        "product of twelve keys, ms",
        "ratio",
        "share of the peak",
    ]
    body = "\n\n".join(
        [
            "Processor time. Two recordings of four minutes in one thread, and "
            "one matrix product of their frames in all twelve keys. The last column "
            "counts the products of the alignment alone, against a matrix product of "
            f"{LARGE} x {LARGE}.",
            table(titles, pairs),
            table(
                ["recordings of four minutes", "ms"], many(max(options.repeats // 3, 1))
            ),
        ]
    )
    command = command_of("speed.alignment", parser, options)
    write_section("alignment", "Speed of alignment", command, body)


if __name__ == "__main__":
    main()
