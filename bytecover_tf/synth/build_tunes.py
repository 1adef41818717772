"""Build the embedded data set `tunes`: versions of public-domain music.

    python -m bytecover_tf.synth.build_tunes --lieder openscore_lieder.zip
        --work-dir WORK --out bytecover_tf/data/tunes

Scores are read once and gathered into works. Versions of test works are arranged,
rendered and turned into features at pool 20, all of which is kept in the working
folder. Then the features are packed into a store. Of the other works the scores are
packed, from which `data.drawn_tunes` draws features and notes when they are first
wanted: a training needs notes, and the package should stay small. A run that was killed
continues where it stopped.
"""

import hashlib
import json
import re
import shutil
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bytecover_tf import cli
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.cores import processes
from bytecover_tf.data.tunes import SCORES, STORE
from bytecover_tf.errors import ByteCoverError
from bytecover_tf.files import write_atomically
from bytecover_tf.stores.feature_store import FeatureStoreWriter, compress_store
from bytecover_tf.synth.playing.versions import (
    Version,
    list_versions,
    write_versions,
)
from bytecover_tf.synth.scores.corpora import LIEDER
from bytecover_tf.synth.scores.library import read_scores
from bytecover_tf.synth.scores.score import Score
from bytecover_tf.synth.scores.variants import group_works, plain_title
from bytecover_tf.synth.scores.works import Work, source_rows, track_row, write_csv
from bytecover_tf.synth.sound.perform import perform
from bytecover_tf.synth.sound.render import SAMPLE_RATE

RENDER_POOL = 20
# Of each mantissa, so that the set is half as large; values change by 1.6 % at most.
DROPPED_BITS = 5
LIEDER_SAMPLE = 300
SPLITS = (("train", 0.7), ("validation", 0.1), ("test", 0.2))
# Share of works by the collection of their first score.
SHARES = {
    "O'Neill's Music of Ireland": 0.29,
    "Ryan's Mammoth Collection": 0.17,
    "Aird's Airs": 0.15,
    "Northumbrian Minstrelsy": 0.05,
    "Bach chorales": 0.12,
    LIEDER: 0.22,
}
EXCERPT_WORKS, EXCERPT_VERSIONS, EXCERPT_SECONDS = 4, 4, 17.0
# Recordings that we distribute use only soundfonts under the MIT licence.
MIT_SOUNDFONTS = ("FluidR3_GM", "FluidR3Mono_GM", "MuseScore_General_Lite")
PROCESSES = 2


def select_works(scores: Sequence[Score], count: int, seed: int) -> list[Work]:
    """Choose works that are certainly different, and split them.

    Works with several scores come first, up to half of a collection's share.

    Args:
        scores: all that was read.
        count: number of works.
        seed: draws the choice and the split.

    Returns:
        Works in order of their label, each in one split.
    """
    by_collection: dict[str, list[list[int]]] = defaultdict(list)
    for members in group_works(scores):
        by_collection[scores[members[0]].collection].append(members)
    rng = np.random.default_rng(seed)
    works: dict[str, Work] = {}
    for collection, share in SHARES.items():
        groups = by_collection[collection]
        groups = [groups[i] for i in rng.permutation(len(groups))]
        quota = round(share * count)
        several = [group for group in groups if len(group) > 1][: quota // 2]
        chosen = several + [group for group in groups if group not in several]
        for group, split in zip(
            [chosen[i] for i in rng.permutation(min(quota, len(chosen)))],
            _splits(min(quota, len(chosen))),
            strict=True,
        ):
            label = _label(scores[group[0]].title, works)
            works[label] = Work(label, split, tuple(scores[i] for i in group))
    return [works[label] for label in sorted(works)]


def _splits(count: int) -> list[str]:
    ends = np.round(np.cumsum([share for _, share in SPLITS]) * count)
    return [
        SPLITS[int(np.searchsorted(ends, i, side="right"))][0] for i in range(count)
    ]


def _label(title: str, taken: Iterable[str]) -> str:
    label = re.sub(r" +", "-", plain_title(title))[:40].strip("-") or "untitled"
    number, unique = 1, label
    while unique in taken:
        number += 1
        unique = f"{label}-{number}"
    return unique


def make_features(work_dir: Path, version: Version) -> str | None:
    """Write a version's features and facts into the working folder.

    Args:
        work_dir: gets `pool20/<id>.npy`, the |CQT| of shape (84, T) averaged
            over 20 frames, and `facts/<id>.json`.
        version: what to render; nothing is done if both files are there.

    Returns:
        The error, or None.
    """
    facts_path = _facts_path(work_dir, version)
    if facts_path.exists():
        return None
    try:
        performance, style, soundfont, samples = perform(version)
        frontend = Frontend(pool=RENDER_POOL, normalization="none")
        features = frontend.features(samples, version.id)
    except ByteCoverError as error:
        return f"{version.id}: {error}"
    np.save(work_dir / f"pool{RENDER_POOL}" / f"{version.id}.npy", features)
    facts = {
        "key": hashlib.sha256(samples.tobytes()).hexdigest(),
        "seconds": round(len(samples) / SAMPLE_RATE, 2),
        "soundfont": soundfont,
        "sections": performance.sections,
        "style": asdict(style),
    }
    write_atomically(facts_path, json.dumps(facts))
    return None


def pack(
    versions: Sequence[Version], works: Sequence[Work], work_dir: Path, out: Path
) -> None:
    """Write the data set: the store, the scores, `tracks.csv` and `sources.csv`.

    Args:
        versions: those of test works without features in the working folder are left
            out.
        works: what the versions perform.
        work_dir: holds the features at pool 20.
        out: the data set's folder.
    """
    tested = [
        version
        for version in versions
        if version.split == "test" and _facts_path(work_dir, version).exists()
    ]
    drawn = [version for version in versions if version.split != "test"]
    out.mkdir(parents=True, exist_ok=True)
    pack_store(tested, work_dir, out / STORE.name)
    write_versions(out / SCORES.name, drawn)
    done = {*tested, *drawn}
    write_csv(
        out / "tracks.csv",
        [
            track_row(v.id, v.work, v.split, v.score.title)
            for v in versions
            if v in done
        ],
    )
    write_csv(out / "sources.csv", source_rows(works))


def pack_store(versions: Sequence[Version], work_dir: Path, store: Path) -> None:
    """Write a store of rendered versions, in place of an earlier one.

    Args:
        versions: they have features in the working folder.
        work_dir: holds the features.
        store: its folder.
    """
    beside = store.with_name(f"{store.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    with FeatureStoreWriter(beside, Frontend(pool=RENDER_POOL)) as writer:
        for version in tqdm(versions, desc=store.name):
            cqt = np.load(work_dir / f"pool{RENDER_POOL}" / f"{version.id}.npy")
            features = writer.frontend.from_cqt(cqt, RENDER_POOL, version.id)
            facts = json.loads(_facts_path(work_dir, version).read_text())
            writer.add(version.id, facts["key"], features)
    (beside / "lock").unlink(missing_ok=True)
    compress_store(beside, DROPPED_BITS)
    shutil.rmtree(store, ignore_errors=True)
    beside.rename(store)


def write_excerpts(versions: Sequence[Version], out: Path) -> None:
    """Write `audio/<id>.ogg`: some seconds of four versions of four test works.

    Every excerpt begins where the version first plays the work's first section.
    """
    import soundfile

    by_work: dict[str, list[Version]] = defaultdict(list)
    for version in versions:
        if version.split == "test":
            by_work[version.work].append(version)
    folder = out / "audio"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = 0
    for label in sorted(by_work, key=lambda work: zlib.crc32(work.encode())):
        excerpts = {}
        for version in by_work[label][:EXCERPT_VERSIONS]:
            performance, _, soundfont, samples = perform(version)
            starts = [start for i, start in performance.sections if i == 0]
            if soundfont not in MIT_SOUNDFONTS or not starts:
                break
            first = int(starts[0] * SAMPLE_RATE)
            excerpts[version.id] = samples[
                first : first + int(EXCERPT_SECONDS * SAMPLE_RATE)
            ]
        else:
            for name, samples in excerpts.items():
                path = folder / f"{name}.ogg"
                soundfile.write(path, samples, SAMPLE_RATE, subtype="VORBIS")
            written += 1
        if written == EXCERPT_WORKS:
            return


def _facts_path(work_dir: Path, version: Version) -> Path:
    return work_dir / "facts" / f"{version.id}.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 if some versions could not be made."""
    parser = cli.parser("synth.build_tunes", __doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the data set"
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        required=True,
        help="folder for intermediate files, kept between runs",
    )
    parser.add_argument(
        "--lieder", type=Path, required=True, help="the archive openscore_lieder.zip"
    )
    parser.add_argument(
        "--works", type=cli.positive_int, default=400, help="number of works"
    )
    parser.add_argument(
        "--versions",
        type=cli.positive_int,
        default=5,
        help="number of versions of each work",
    )
    cli.add_seed_argument(parser)
    options = parser.parse_args(arguments)
    cli.require_extra("synth", "music21")

    for name in (f"pool{RENDER_POOL}", "facts"):
        (options.work_dir / name).mkdir(parents=True, exist_ok=True)
    scores = read_scores(
        options.work_dir / "scores.jsonl",
        {LIEDER: options.lieder},
        PROCESSES,
        {LIEDER: LIEDER_SAMPLE},
        options.seed,
    )
    works = select_works(scores, options.works, options.seed)
    versions = list_versions(works, options.versions, options.seed)
    tested = [version for version in versions if version.split == "test"]
    failed = 0
    with processes(PROCESSES) as pool:
        results = pool.map(
            partial(make_features, options.work_dir), tested, chunksize=8
        )
        for error in tqdm(results, total=len(tested), desc="rendered"):
            if error:
                failed += 1
                tqdm.write(f"failed: {error}")
    pack(versions, works, options.work_dir, options.out)
    write_excerpts(versions, options.out)
    print(f"{len(works)} works, {len(versions) - failed} versions, {failed} failed")
    return cli.SOME_FAILED if failed else cli.OK


if __name__ == "__main__":
    cli.run(main, continues=True)
