"""Questions for a person: are these two recordings versions of one work?

`group` fills the queue with links that joined nothing, see `grouping.OpenLink`;
`review` holds what can be answered.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

from bytecover_tf.catalogues.catalogue import Catalogue
from bytecover_tf.catalogues.rows import Recording
from bytecover_tf.errors import DataError
from bytecover_tf.files import JsonObject, json_object, write_atomically
from bytecover_tf.matching.alignment import align
from bytecover_tf.matching.decisions import (
    Pair,
    Places,
    Record,
    Verdicts,
    current_ids,
    pair_of,
)
from bytecover_tf.matching.grouping import OpenLink
from bytecover_tf.matching.picture import (
    Pictured,
    picture_frontend,
    plot_comparison,
)
from bytecover_tf.stores.extraction import Reader

_EVIDENCE = (
    *("similarity", "probability", "score", "transposition", "tempo_ratio"),
    *("query_start", "query_end", "recording_start", "recording_end"),
)


@dataclass(frozen=True)
class Question:
    """A link to be decided about.

    Attributes:
        number: names the question; the same in every run of `group` that finds it
            again at once.
        first: one recording.
        second: the other.
        reason: why a person has to decide, see `grouping.OpenLink`.
        evidence: what was measured: `similarity`, `probability`, `score`,
            `transposition` and `tempo_ratio` from the first to the second, and where
            they match, in seconds: `query_start` and `query_end` in the first,
            `recording_start` and `recording_end` in the second.
        verdict: `accept`, `reject`, or empty while it is open.
    """

    number: int
    first: Recording
    second: Recording
    reason: str
    evidence: Mapping[str, Any]
    verdict: str = ""

    @property
    def pair(self) -> Pair:
        """The ids of the two, in order."""
        return pair_of(self.first.id, self.second.id)

    def to_dict(self) -> JsonObject:
        """Return the question as a JSON object."""
        return {
            "number": self.number,
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "reason": self.reason,
            **self.evidence,
            "verdict": self.verdict,
        }


def keep_queue(record: Record, links: Iterable[OpenLink]) -> int:
    """Put links into the queue, in place of those of an earlier run.

    A pair that was in it keeps its number.

    Args:
        record: the decisions about the catalogue; the queue lies beside them.
        links: what `find_groups` left open, the most probable first.

    Returns:
        The number of links.

    Raises:
        DataError: there is a file that is not a queue.
    """
    with record.alone():
        before = _read_queue(record)
        following: int = before["next"]
        links = list(links)
        linked = {
            one.id: one
            for each in links
            for one in (each.link.recording, each.link.match.recording)
        }
        now = current_ids(map(_places, before["links"]), linked)
        numbers: dict[Pair, int] = {
            pair_of(*(now.get(name, name) for name in entry["pair"])): entry["number"]
            for entry in before["links"]
        }
        entries = []
        for each in links:
            number = numbers.get(each.link.pair, following)
            following = max(following, number + 1)
            facts = each.link.match.to_dict()
            entries.append(
                {
                    "number": number,
                    "pair": each.link.pair,
                    "first": each.link.recording.id,
                    "second": each.link.match.recording.id,
                    "reason": each.reason,
                    "evidence": {name: facts[name] for name in _EVIDENCE},
                    "places": {
                        one.id: (one.path, one.duration)
                        for one in (each.link.recording, each.link.match.recording)
                    },
                }
            )
        text = json.dumps({"next": following, "links": entries}, indent=1)
        write_atomically(_queue_path(record), text + "\n")
    return len(entries)


def queue(
    catalogue: Catalogue, record: Record | None = None, with_decided: bool = False
) -> list[Question]:
    """Return the questions in the queue.

    Of several links between the same two works, one is open; to answer it answers the
    others.

    Args:
        catalogue: what the questions are about.
        record: the decisions about it; by default those in its folder.
        with_decided: whether to return also what a person has decided.

    Returns:
        The open ones, the most probable first. Questions about recordings that are gone
        are left out.

    Raises:
        DataError: the queue or the record of decisions is something else.
        ConfigError: the catalogue is on a server and no record is given.
    """
    record = record or Record(catalogue)
    entries = _read_queue(record)["links"]
    decisions = record.read()
    if not entries:
        return []
    recordings = {each.id: each for each in catalogue.recordings()}
    verdicts = Verdicts(decisions, recordings.values())
    answered = {
        frozenset(recordings[name].work for name in pair)
        for pair in verdicts.rejected
        if all(name in recordings for name in pair)
    }
    now = current_ids(map(_places, entries), recordings)
    questions = []
    for entry in entries:
        names = (now.get(entry[side], entry[side]) for side in ("first", "second"))
        first, second = map(recordings.get, names)
        if first is None or second is None:
            continue
        verdict = verdicts.of(first.id, second.id)
        works = frozenset({first.work, second.work})
        if verdict:
            if not with_decided:
                continue
        elif len(works) == 1 or works in answered:
            continue
        else:
            answered.add(works)
        facts = (entry["number"], first, second, entry["reason"], entry["evidence"])
        questions.append(Question(*facts, verdict))
    return questions


def known_pairs(
    catalogue: Catalogue, record: Record | None
) -> tuple[set[Pair], set[Pair]]:
    """Return what a calibration learns from a review.

    Args:
        catalogue: what the questions are about.
        record: the decisions about it; None if there are none.

    Returns:
        The pairs that are versions by a person's word, and those of works that may be
        the same, as a question is open.
    """
    if record is None:
        return set(), set()
    by_work: dict[str, list[str]] = defaultdict(list)
    for recording in catalogue.recordings():
        by_work[recording.work].append(recording.id)
    # The answer to a question tells of all versions of the two works.
    asked = {
        pair_of(*names)
        for each in queue(catalogue, record)
        for names in product(by_work[each.first.work], by_work[each.second.work])
    }
    return record.verdicts().accepted, asked


def find_question(
    catalogue: Catalogue, number: int, record: Record | None = None
) -> Question:
    """Return a question by its number, decided or not.

    Raises:
        DataError: there is none.
    """
    for question in queue(catalogue, record, with_decided=True):
        if question.number == number:
            return question
    raise DataError(
        f"{catalogue.address}: expected the number of a question in the queue, found "
        f"{number}"
    )


def draw(catalogue: Catalogue, question: Question, path: Path) -> None:
    """Draw where the two recordings of a question match.

    Args:
        catalogue: holds their chroma.
        question: one of its queue.
        path: a file to write; its ending names the format.

    Raises:
        AudioError: the file of a recording cannot be read.
        DataError: a recording is no longer in the catalogue.
    """
    fine = picture_frontend(catalogue.identity.frontend)
    chroma = catalogue.chroma(question.pair)
    pictured = []
    for recording in (question.first, question.second):
        if recording.id not in chroma:
            raise DataError(f"{recording.path}: no longer in {catalogue.address}")
        # `index` has taken what is there of it.
        read = Reader(fine, allow_truncated=True).read(recording.path)
        assert read.features is not None
        pictured.append(
            Pictured(recording.label, read.features, fine, chroma[recording.id])
        )
    first, second = pictured
    title = f"{question.number}: probability {question.evidence['probability']:.2f}"
    alignment = align(first.chroma, second.chroma)
    plot_comparison(first, second, alignment, title, path)


def _queue_path(record: Record) -> Path:
    return record.path.with_name(f"{record.path.stem}-queue.json")


def _read_queue(record: Record) -> JsonObject:
    path = _queue_path(record)
    if not path.exists():
        return {"next": 1, "links": []}
    values = json_object(path.read_bytes(), path, DataError)
    try:
        entries = values["links"]
        is_queue = isinstance(values["next"], int) and all(map(_is_entry, entries))
    except (TypeError, KeyError, ValueError, OverflowError):
        is_queue = False
    if not is_queue:
        raise DataError(
            f"{path}: expected a queue of questions, found something else; remove the "
            "file, and `group` writes another"
        )
    return values


def _places(entry: JsonObject) -> Places:
    """Return where the recordings of an entry were; older queues do not say."""
    return entry.get("places", {})


def _is_entry(entry: Any) -> bool:
    """Tell whether this is an entry of the queue, as `keep_queue` writes it."""
    one, other = entry["pair"]
    names = (one, other, entry["first"], entry["second"], entry["reason"])
    facts = {name: entry["evidence"][name] for name in _EVIDENCE}
    if facts["tempo_ratio"] is None:
        del facts["tempo_ratio"]
    for path, seconds in _places(entry).values():
        str(path), float(seconds)
    return (
        isinstance(entry["number"], int)
        and isinstance(facts["transposition"], int)
        and all(isinstance(name, str) for name in names)
        and all(map(isfinite, facts.values()))
    )
