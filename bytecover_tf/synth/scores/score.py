"""Scores: a melody, its accompaniment and the harmony, in beats.

Scores are read with music21 (extra `synth`) from ABC and MusicXML. Beats are
quarter notes throughout, pitches are MIDI numbers, pitch classes count from
C = 0.
"""

import bisect
import functools
import io
import itertools
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bytecover_tf.errors import DataError
from bytecover_tf.files import JsonObject
from bytecover_tf.synth.scores.harmony import Chord, estimate_key, infer_chords
from bytecover_tf.synth.scores.note import Note

SECTION_BARS = 8
SHORTEST_MELODY = 24
SUNG_SHARE = 0.4


@dataclass(frozen=True)
class Score:
    """A composition without its repeats.

    Attributes:
        title: title as printed in the source.
        collection: the book or archive it comes from.
        melody: notes in order of onset, one at a time.
        parts: the accompanying parts, if the source has any.
        chords: harmony that covers the score from its first to its last bar.
        bars: onsets of the bars, then the end of the last one. Bars may differ
            in length (an upbeat is a short bar).
        sections: (first bar, bar after the last) of each section with a melody.
        beat: length of the counted beat in quarter notes (1.5 in 6/8).
        tonic: pitch class of the key.
        minor: whether the key is minor.
    """

    title: str
    collection: str
    melody: tuple[Note, ...]
    parts: tuple[tuple[Note, ...], ...]
    chords: tuple[Chord, ...]
    bars: tuple[float, ...]
    sections: tuple[tuple[int, int], ...]
    beat: float
    tonic: int
    minor: bool


def make_score(
    title: str,
    collection: str,
    melody: Iterable[Note],
    bars: Sequence[float],
    parts: Sequence[Sequence[Note]] = (),
    section_starts: Iterable[int] = (0,),
    beat: float = 1.0,
    sharps: int | None = None,
) -> Score:
    """Build a score, and find its key, harmony and sections.

    Args:
        title: name of the piece.
        collection: where it comes from.
        melody: its notes; of notes that start together the highest is kept,
            and each note ends at the latest where the next one starts.
        bars: bar lines in beats, `len(bars) - 1` bars.
        parts: accompanying parts.
        section_starts: bars at which the source marks a new section. Sections
            without marks are cut after 8 bars.
        beat: length of the counted beat in quarter notes.
        sharps: sharps of the key signature (flats negative), or None without one.

    Returns:
        The score. Sections in which the melody hardly sounds are left out.

    Raises:
        DataError: the melody is too short to be recognised.
    """
    melody = _one_voice(melody)
    if len(melody) < SHORTEST_MELODY:
        raise DataError(
            f"{collection}: {title!r} has {len(melody)} melody notes, "
            f"expected {SHORTEST_MELODY} or more"
        )
    sections = tuple(
        section
        for section in _cut_sections(section_starts, len(bars) - 1)
        if _sung_share(melody, bars[section[0]], bars[section[1]]) >= SUNG_SHARE
    )
    if not sections:
        raise DataError(f"{collection}: {title!r} has no section with a melody")
    sounding = [*melody, *(note for part in parts for note in part)]
    tonic, minor = estimate_key(sounding, sharps)
    return Score(
        title=title,
        collection=collection,
        melody=melody,
        parts=tuple(tuple(sorted(part, key=_order)) for part in parts if part),
        chords=infer_chords(sounding, bars, tonic, minor),
        bars=tuple(bars),
        sections=sections,
        beat=beat,
        tonic=tonic,
        minor=minor,
    )


def score_from_dict(fields: JsonObject) -> Score:
    """Rebuild a score from `dataclasses.asdict(score)`, also by way of JSON."""

    def notes(items: list[JsonObject]) -> tuple[Note, ...]:
        return tuple(Note(**item) for item in items)

    return Score(
        **{
            **fields,
            "melody": notes(fields["melody"]),
            "parts": tuple(notes(part) for part in fields["parts"]),
            "chords": tuple(Chord(**chord) for chord in fields["chords"]),
            "bars": tuple(fields["bars"]),
            "sections": tuple((a, b) for a, b in fields["sections"]),
        }
    )


def split_abc(text: str) -> list[str]:
    """Split an ABC file into its tunes, each beginning with its `X:` line."""
    starts = [match.start() for match in re.finditer(r"^X:", text, flags=re.M)]
    ends = [*starts[1:], len(text)]
    return [text[a:b].strip() for a, b in zip(starts, ends, strict=True)]


def read_abc(tune: str, collection: str) -> Score:
    """Read one tune in ABC notation.

    Args:
        tune: text with header and body.
        collection: where it comes from.

    Raises:
        DataError: the notation cannot be read or holds too little melody.
    """
    title = re.search(r"^T:[ \t]*(.+)$", tune, flags=re.M)
    name = title.group(1).strip() if title else "untitled"
    return _read(tune, "abc", name, collection)


def read_musicxml(data: bytes, title: str, collection: str) -> Score:
    """Read a piece in MusicXML whose first part is the melody.

    Args:
        data: content of an `.mxl` archive or of a plain `.xml` file.
        title: name of the piece.
        collection: where it comes from.

    Raises:
        DataError: the file cannot be read or holds too little melody.
    """
    try:
        if data[:2] == b"PK":
            data = _unpack_mxl(data)
        text = data.decode("utf-8")
    except (zipfile.BadZipFile, StopIteration, UnicodeDecodeError) as error:
        raise DataError(f"{collection}: {title!r} is not MusicXML: {error}") from error
    return _read(text, "musicxml", title, collection)


def _unpack_mxl(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        score = next(
            n for n in names if n.endswith("xml") and not n.startswith("META-INF")
        )
        return archive.read(score)


def _read(text: str, notation: str, title: str, collection: str) -> Score:
    import music21

    try:
        stream = music21.converter.parseData(text, format=notation)
        return _from_stream(stream, title, collection)
    except DataError:
        raise
    except Exception as error:
        # music21 raises whatever its parsers stumble over.
        raise DataError(
            f"{collection}: {title!r} cannot be read as {notation}: {error!r}"
        ) from error


def _from_stream(stream: Any, title: str, collection: str) -> Score:
    import music21

    parts = list(stream.parts)
    if not parts:
        raise DataError(f"{collection}: {title!r} has no part")
    measures = list(parts[0].getElementsByClass(music21.stream.Measure))
    if not measures:
        raise DataError(f"{collection}: {title!r} has no bars")
    dropped = _first_endings(parts[0])
    offsets = [float(measure.offset) for measure in measures]
    end = offsets[-1] + float(measures[-1].duration.quarterLength)
    lengths = [b - a for a, b in zip(offsets, [*offsets[1:], end], strict=True)]
    kept = [
        i for i, m in enumerate(measures) if id(m) not in dropped and lengths[i] > 0
    ]
    bars = [0.0]
    for i in kept:
        bars.append(bars[-1] + lengths[i])
    shift = {i: bars[k] - offsets[i] for k, i in enumerate(kept)}
    meters = parts[0].recurse().getElementsByClass(music21.meter.TimeSignature)
    signatures = parts[0].recurse().getElementsByClass(music21.key.KeySignature)
    signature = signatures.first()
    voices = [_notes(part, offsets, shift) for part in parts]
    starts = [
        k
        for k, i in enumerate(kept)
        if k == 0
        or _divides(measures[kept[k - 1]].rightBarline, measures[i].leftBarline)
    ]
    return make_score(
        title,
        collection,
        voices[0],
        bars,
        parts=voices[1:],
        section_starts=starts,
        beat=_beat(meters.first()),
        sharps=None if signature is None else signature.sharps,
    )


def _notes(part: Any, offsets: list[float], shift: dict[int, float]) -> list[Note]:
    import music21

    notes = []
    for element in part.flatten().stripTies().notes:
        if isinstance(element, music21.harmony.Harmony) or not element.quarterLength:
            continue
        onset = float(element.offset)
        measure = bisect.bisect_right(offsets, onset + 1e-6) - 1
        if measure in shift:
            for pitch in element.pitches:
                notes.append(
                    Note(
                        round(onset + shift[measure], 4),
                        round(float(element.quarterLength), 4),
                        int(pitch.midi),
                    )
                )
    return notes


def _first_endings(part: Any) -> set[int]:
    """Ids of the measures under a first ending that a later ending replaces."""
    import music21

    brackets = list(part.recurse().getElementsByClass(music21.spanner.RepeatBracket))
    return {
        id(measure)
        for bracket, following in itertools.pairwise(brackets)
        if str(bracket.number).startswith("1")
        and not str(following.number).startswith("1")
        for measure in bracket.getSpannedElements()
    }


def _divides(*lines: Any) -> bool:
    """Whether one of the bar lines is a double bar or a repeat sign."""
    return any(
        line is not None
        and (line.type in ("double", "final") or hasattr(line, "direction"))
        for line in lines
    )


def _beat(meter: Any) -> float:
    if meter is None:
        return 1.0
    compound = meter.numerator % 3 == 0 and meter.numerator > 3
    return (12.0 if compound else 4.0) / meter.denominator


def _order(note: Note) -> tuple[float, int]:
    return note.onset, note.pitch


def _one_voice(notes: Iterable[Note]) -> tuple[Note, ...]:
    highest: dict[float, Note] = {}
    for note in notes:
        other = highest.get(note.onset)
        if other is None or note.pitch > other.pitch:
            highest[note.onset] = note
    line = [highest[onset] for onset in sorted(highest)]
    ends = [*(note.onset for note in line[1:]), float("inf")]
    return tuple(
        Note(note.onset, min(note.duration, end - note.onset), note.pitch)
        for note, end in zip(line, ends, strict=True)
    )


def _cut_sections(starts: Iterable[int], bars: int) -> list[tuple[int, int]]:
    marks = sorted({0, *(s for s in starts if 0 < s < bars)})
    sections: list[tuple[int, int]] = []
    for a, b in zip(marks, [*marks[1:], bars], strict=True):
        # A remainder of less than half a section stays with the one before it.
        cuts = list(range(a, max(a + 1, b - SECTION_BARS // 2 + 1), SECTION_BARS))
        pieces = list(zip(cuts, [*cuts[1:], b], strict=True))
        if (
            sections
            and b - a < SECTION_BARS // 2
            and b - sections[-1][0] < SECTION_BARS + SECTION_BARS // 2
        ):
            sections[-1] = (sections[-1][0], b)
        else:
            sections.extend(pieces)
    return sections


def _sung_share(melody: Sequence[Note], start: float, end: float) -> float:
    sung = sum(max(0.0, min(note.end, end) - max(note.onset, start)) for note in melody)
    return sung / (end - start)


@functools.lru_cache(maxsize=1)
def _chorale_titles() -> dict[str, str]:
    from music21.corpus import chorales

    return {
        bwv: entry["title"] for bwv, entry in chorales.ChoraleListRKBWV().byBWV.items()
    }


def chorale_title(bwv: str) -> str:
    """Title of a Bach chorale by its BWV number, as listed by music21.

    Args:
        bwv: for instance `"153.1"`.

    Returns:
        The hymn's first line, or `BWV` and the number where none is listed.
    """
    return _chorale_titles().get(bwv, f"BWV {bwv}")
