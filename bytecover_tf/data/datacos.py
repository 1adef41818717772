"""Da-TACOS, the benchmark subset: 1000 works with 13 versions and 2000 noise works.

Yesiler et al., "Da-TACOS: a dataset for cover song identification and
understanding", ISMIR 2019; metadata at github.com/MTG/da-tacos. The audio is not
published.

    da-tacos_benchmark_subset_metadata.json    here or in da-tacos_metadata/, as
        unpacked: {"W_163992": {"P_547131": {"work_id": "W_163992", "perf_id":
        "P_547131", "perf_title": ..., "perf_artist": ..., ...}, ...}, ...}
    audio/    recordings, `.npy` features, or the published features of pitch classes
              (`stores.published_features`), in subfolders or not, named
              <performance id>.<ext>, such as P_547131.mp3 or W_163992/P_547131.h5; or,
              of features that were published one by one, P_547131_crema.h5
"""

import json
import logging
import re
import unicodedata
from collections import Counter
from pathlib import Path

from bytecover_tf.data import files, shs100k
from bytecover_tf.data.track import Track
from bytecover_tf.errors import DataError
from bytecover_tf.files import JsonObject

_METADATA = "da-tacos_benchmark_subset_metadata.json"
_CLIQUE_SIZES = Counter({13: 1000, 1: 2000})

_OF_ONE_FEATURE = re.compile(r"(.+?)_(?:crema|hpcp|(?:chroma_)?cens)")

_log = logging.getLogger(__name__)


def load(root: Path, audio: Path | None = None) -> list[Track]:
    """Read the benchmark's tracks.

    Performances without a file are left out; how many is logged.

    Args:
        root: the folder with the metadata.
        audio: the folder with the recordings or features; `root/audio` by default.

    Returns:
        Tracks of the split `test` with the performance's id and the work's id as
        label. A performance that is the only one of its work in the metadata is a
        `reference`, any other is `both`: 13 000 queries against 15 000 references.

    Raises:
        DataError: if the metadata is missing or malformed, or no performance has a
            file.
    """
    root = files.existing_folder(root)
    audio = root / "audio" if audio is None else Path(audio)
    cliques = _read_metadata(root)
    found = files.recordings_by(_performance, audio, published=True)
    tracks = [
        Track(
            performance,
            work,
            str(found[files.composed(performance)]),
            role="both" if len(clique) > 1 else "reference",
        )
        for work, clique in cliques.items()
        for performance in clique
        if files.composed(performance) in found
    ]
    if not tracks:
        raise DataError(
            f"{audio}: expected files named by performance id, such as P_547131.mp3, "
            f"found none that {_METADATA} names"
        )
    if missing := sum(map(len, cliques.values())) - len(tracks):
        _log.warning(
            "Da-TACOS: %d performances have no file in %s and are left out",
            missing,
            audio,
        )
    if Counter(map(len, cliques.values())) != _CLIQUE_SIZES:
        _log.warning("Da-TACOS: expected 1000 works of 13 and 2000 of 1, found others")
    return tracks


def without_overlap(
    train: list[Track], shs100k_root: Path, datacos_root: Path
) -> list[Track]:
    """Remove from SHS100K training the recordings that the benchmark contains.

    The two publications share no identifier: Da-TACOS gives the work's and the
    performance's number at Second Hand Songs, SHS100K numbers sets and versions in
    its own way and adds a YouTube id. Both do copy title and performer from Second
    Hand Songs, down to its numbering of artists with the same name, as in "Jimmie
    Rodgers [1]"; recordings that agree in both, letter case and spacing aside, are
    taken to be the same. An artist who recorded a title twice loses both. The
    ByteCover paper counts 8373 common recordings (section 3.1).

    Args:
        train: tracks of `shs100k.load` or `shs100k2.load`.
        shs100k_root: the folder with SHS100K's `list`.
        datacos_root: the folder with the benchmark's metadata.

    Returns:
        The tracks of `train` that remain, in their order. Works are not removed, so
        other recordings of the benchmark's works may be among them, as in the paper.

    Raises:
        DataError: if a list is missing or malformed, or a track is not in SHS100K.
    """
    benchmark = set()
    for clique in _read_metadata(datacos_root).values():
        for performance, entry in clique.items():
            try:
                benchmark.add(_name(entry["perf_title"], entry["perf_artist"]))
            except (KeyError, TypeError) as error:
                raise DataError(
                    f"{_METADATA}: key {performance!r}: expected the texts "
                    "'perf_title' and 'perf_artist'"
                ) from error
    listed = shs100k.read_list(shs100k_root)
    remaining = []
    for track in train:
        if track.id not in listed:
            raise DataError(
                f"track {track.id!r} is not in {Path(shs100k_root) / 'list'}; expected "
                "tracks of SHS100K"
            )
        if _name(listed[track.id].title, listed[track.id].performer) not in benchmark:
            remaining.append(track)
    _log.info(
        "Da-TACOS contains %d of %d training recordings, which are left out",
        len(train) - len(remaining),
        len(train),
    )
    return remaining


def _name(title: str, performer: str) -> tuple[str, str]:
    return _plain(title), _plain(performer)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _performance(path: Path) -> str:
    """Return the performance's id that a file is named by."""
    named = _OF_ONE_FEATURE.fullmatch(path.stem)
    is_published = path.suffix.lower() == files.PUBLISHED
    return named[1] if named and is_published else path.stem


def _read_metadata(root: Path) -> dict[str, dict[str, JsonObject]]:
    """Return {work id: {performance id: entry}}."""
    path = Path(root) / _METADATA
    if not path.is_file():
        path = Path(root) / "da-tacos_metadata" / _METADATA
    try:
        cliques = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"{root}: expected {_METADATA} here or in da-tacos_metadata"
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: expected JSON ({error})") from error
    if not isinstance(cliques, dict) or not cliques:
        raise DataError(f"{path}: expected an object with works as keys")
    work_of: dict[str, str] = {}
    for work, clique in cliques.items():
        if not isinstance(clique, dict) or not clique:
            raise DataError(
                f"{path}: key {work!r}: expected an object with performances as keys"
            )
        for performance, entry in clique.items():
            where = f"{path}: key {work!r}, {performance!r}"
            if not isinstance(entry, dict):
                raise DataError(f"{where}: expected an object")
            if entry.get("work_id", work) != work:
                raise DataError(f"{where}: its 'work_id' is {entry['work_id']!r}")
            if entry.get("perf_id", performance) != performance:
                raise DataError(f"{where}: its 'perf_id' is {entry['perf_id']!r}")
            if work_of.setdefault(performance, work) != work:
                raise DataError(f"{where}: it is in {work_of[performance]!r} already")
    return cliques
