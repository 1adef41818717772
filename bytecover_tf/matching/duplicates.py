"""Which recordings of a catalogue are one performance, kept more than once.

Other encodings, masters and edits of a performance are duplicates; versions, which
other people play or the same people play again, are not. Files with the same content
are one recording of a catalogue, so that they are not found here; `index` names them.
"""

from __future__ import annotations

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.matching.calibration import Calibration
from bytecover_tf.matching.decisions import Verdicts
from bytecover_tf.matching.grouping import Group, compared_pairs, connect
from bytecover_tf.matching.identification import CANDIDATES


def find_duplicates(
    catalogue: Catalogue,
    calibration: Calibration,
    threshold: float,
    candidates: int = CANDIDATES,
    workers: int | None = None,
    verdicts: Verdicts | None = None,
) -> list[Group]:
    """Find recordings of the same performance.

    Args:
        catalogue: to be searched.
        calibration: gives the probabilities of versions.
        threshold: two recordings are linked from this probability on that they are
            one performance.
        candidates: how many recordings to compare each with.
        workers: threads; by default one a core.
        verdicts: what persons have said about pairs; what they kept apart is no
            duplicate.

    Returns:
        The groups by the first path of each. The longest recording of a group comes
        first, and of those that last as long, the largest file.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    known = {recording.id: recording for recording in catalogue.recordings()}
    rejected = verdicts.rejected if verdicts else set()
    links = [
        link
        for link in compared_pairs(catalogue, calibration, known, candidates, workers)
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
