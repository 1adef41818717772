"""What was done to a catalogue and what is in it, on standard output."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bytecover_tf.cli.tables import print_columns
from bytecover_tf.terminal import clock, counted, csv_cell, show, show_json, warn

if TYPE_CHECKING:
    from bytecover_tf.catalogues import Catalogue, Recording
    from bytecover_tf.catalogues.catalogue import IndexQuality, Verification
    from bytecover_tf.catalogues.indexing import IndexingReport


def print_indexing(report: IndexingReport, pruned: int, catalogue: Catalogue) -> None:
    """Print what an indexing did; what failed or is odd goes to standard error."""
    for reason in report.failed.values():
        warn(f"skipped: {reason}")
    for copy, original in report.copies.items():
        warn(f"copy: {copy} is the same as {original}")
    for path, problem in report.malformed.items():
        warn(f"malformed: {path}: {problem}")
    counts = {
        "added": report.added,
        "changed": report.changed,
        "moved": report.moved,
        "of another work": report.renamed,
        "with other tags": report.retagged,
        "kept in the work that you decided": report.kept,
        "removed": pruned,
        "already there": report.present,
        "left out as copies": len(report.copies),
        "failed": len(report.failed),
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    count = counted(catalogue.count(), "recording", "recordings")
    show(f"{catalogue.address}: {told or 'nothing to do'}; {count}")


def print_quality(index: IndexQuality | None) -> None:
    """Print how good an approximate index is, if there is one."""
    if index is None:
        return
    print(f"approximate index over {index.rows} rows: recall@10 {index.recall:.3f}")
    if not index.is_good:
        warn("warning: a search misses more than 1 of 100 of the nearest embeddings")


def print_info(catalogue: Catalogue) -> None:
    """Print what a catalogue holds and which encoder made it."""
    identity = catalogue.identity
    recordings = list(catalogue.recordings())
    works = {recording.work for recording in recordings}
    known = {
        name: sum(bool(getattr(recording, name)) for recording in recordings)
        for name in ("isrc", "iswc", "musicbrainz_recording", "musicbrainz_work")
    }
    print(f"catalogue:  {catalogue.address}")
    print(f"recordings: {len(recordings)} of {len(works)} works")
    print(f"known by:   {', '.join(f'{name} {n}' for name, n in known.items())}")
    show(f"encoder:    {identity.encoder_path} (SHA-256 {identity.encoder})")
    print(f"embeddings: {identity.dim} values, {identity.segmenting}")
    print(f"frontend:   {identity.frontend.to_json()}")


def print_verification(address: str, found: Verification) -> None:
    """Print how a catalogue agrees with the files."""
    problems = {
        "missing": found.missing,
        "unreadable": found.unreadable,
        "changed": found.changed,
        "not indexed": found.unindexed,
        "damaged": found.damaged,
    }
    for problem, files in problems.items():
        for file in files:
            show(f"{problem}: {file}")
    counts = ", ".join(f"{len(files)} {name}" for name, files in problems.items())
    count = counted(found.recordings, "recording", "recordings")
    print(f"{address}: {count}, {counts}")


def list_as_table(recordings: Sequence[Recording]) -> None:
    """Print a line per recording, and how many there are.

    A work without a name is shown where several of the recordings are of it.
    """
    head = ("id", "recording", "work", "year", "isrc", "length", "file")
    of_work = Counter(recording.work for recording in recordings)
    rows = [
        (
            recording.id,
            recording.label,
            recording.work
            if recording.has_named_work or of_work[recording.work] > 1
            else "",
            recording.year,
            recording.isrc + ("?" if "isrc" in recording.malformed else ""),
            clock(recording.duration),
            recording.path,
        )
        for recording in recordings
    ]
    if rows:
        print_columns([head, *rows])
    print(counted(len(rows), "recording", "recordings"))


def list_as_json(recordings: Sequence[Recording]) -> None:
    """Print a JSON object per recording and line."""
    for recording in recordings:
        show_json(recording.to_dict())


def list_as_csv(recordings: Sequence[Recording]) -> None:
    """Print a line of CSV per recording under a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, recording in enumerate(recordings):
        row = recording.to_dict()
        row["malformed"] = " ".join(row["malformed"])
        if not number:
            writer.writerow(row)
        writer.writerow(map(csv_cell, row.values()))
    sys.stdout.flush()
