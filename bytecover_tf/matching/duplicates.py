"""Which recordings of a catalogue are one performance, kept more than once.

Other encodings, masters and edits of a performance are duplicates. Versions are not:
other people play them, or the same people play again. Files with the same content are
one recording of a catalogue, so they are not found here; `index` names them.
"""

from __future__ import annotations

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Verdicts
from bytecover_tf.matching.grouping import Group, compared_pairs, connect
from bytecover_tf.matching.identification import CANDIDATES
from bytecover_tf.matching.kept_alignments import KeptAlignments


def find_duplicates(
    catalogue: Catalogue,
    calibration: Calibration,
    threshold: float,
    candidates: int = CANDIDATES,
    workers: int | None = None,
    verdicts: Verdicts | None = None,
    kept: KeptAlignments | None = None,
) -> list[Group]:
    """Find recordings of the same performance.

    Args:
        catalogue: to be searched.
        calibration: gives the probabilities of versions.
        threshold: the least probability of one performance at which two recordings are
            linked.
        candidates: how many recordings to compare each with.
        workers: threads; by default one per core.
        verdicts: what people have decided about pairs; what they kept apart is not a
            duplicate.
        kept: alignments of earlier runs; by default all is aligned.

    Returns:
        The groups by the first path of each. The longest recording of a group comes
        first; among equally long ones, the largest file.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    known = {recording.id: recording for recording in catalogue.recordings()}
    rejected = verdicts.rejected if verdicts else set()
    links = [
        link
        for link in compared_pairs(
            catalogue, calibration, known, candidates, workers, kept
        )
        if link.same_performance >= threshold
        and not link.is_part
        and link.pair not in rejected
    ]
    links.sort(key=lambda link: -link.same_performance)
    groups = connect(known.values(), links)
    for group in groups:
        group.recordings.sort(key=_worth)
    return groups


def _worth(recording: Recording) -> tuple[int, int, str]:
    return -round(recording.duration), -recording.size, recording.path
