"""Versions of works, each determined by its score and a seed, and the file of them."""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bytecover_tf.errors import DataError
from bytecover_tf.files import write_atomically
from bytecover_tf.synth.playing.arrange import arrange
from bytecover_tf.synth.playing.performance import Performance
from bytecover_tf.synth.playing.style import Style, draw_style
from bytecover_tf.synth.scores.score import Score, score_from_dict
from bytecover_tf.synth.scores.works import Work

SHORTEST_SECONDS, LONGEST_SECONDS = 45.0, 120.0
_TRIES = 1000


@dataclass(frozen=True)
class Version:
    """A version to be played; these fields determine everything about it."""

    id: str
    work: str
    split: str
    score: Score
    seed: int


def list_versions(works: Sequence[Work], versions: int, seed: int) -> list[Version]:
    """Versions of all works; a work's scores take turns."""
    return [
        Version(
            id=f"{work.id}-{number}",
            work=work.id,
            split=work.split,
            score=work.scores[number % len(work.scores)],
            seed=zlib.crc32(f"{seed}/{work.id}-{number}".encode()),
        )
        for work in works
        for number in range(versions)
    ]


def arranged(version: Version) -> tuple[Performance, Style, np.random.Generator]:
    """Arrange a version.

    Returns:
        The performance, its style, and the generator of the further random choices.

    Raises:
        DataError: the score is too short or too long for any.
    """
    rng = np.random.default_rng(version.seed)
    for _ in range(_TRIES):
        style = draw_style(version.score, rng)
        performance = arrange(version.score, style, rng)
        if SHORTEST_SECONDS <= performance.duration <= LONGEST_SECONDS - 5:
            return performance, style, rng
    raise DataError(
        f"{version.score.title}: none of {_TRIES} arrangements lasts "
        f"{SHORTEST_SECONDS:.0f} to {LONGEST_SECONDS - 5:.0f} s"
    )


def write_versions(path: Path, versions: Sequence[Version]) -> None:
    """Write versions with their scores, compressed: a line for each score.

    Args:
        path: the file, `*.jsonl.xz`.
        versions: in any order.
    """
    by_score: dict[tuple[str, Score], list[Version]] = {}
    for version in versions:
        by_score.setdefault((version.work, version.score), []).append(version)
    lines = [
        json.dumps(
            {
                "work": work,
                "split": own[0].split,
                "versions": {version.id: version.seed for version in own},
                "score": asdict(score),
            },
            separators=(",", ":"),
        )
        for (work, score), own in by_score.items()
    ]
    content = "".join(f"{line}\n" for line in lines).encode()
    write_atomically(path, lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def read_versions(path: Path) -> list[Version]:
    """Read what `write_versions` wrote, the versions of each score together.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        lines = lzma.decompress(path.read_bytes()).splitlines()
        return [
            Version(id, fields["work"], fields["split"], score, seed)
            for fields in map(json.loads, lines)
            for score in [score_from_dict(fields["score"])]
            for id, seed in fields["versions"].items()
        ]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file of scores") from None
    except (lzma.LZMAError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error!r})") from None
