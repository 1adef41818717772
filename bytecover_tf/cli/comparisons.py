"""A comparison of two recordings on standard output."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from bytecover_tf.cli.tables import place
from bytecover_tf.files import JsonObject
from bytecover_tf.terminal import show, show_json

if TYPE_CHECKING:
    from bytecover_tf.matching.identification import Match, Query


def print_comparison(first: Query, match: Match, as_json: bool) -> str:
    """Print how two recordings compare.

    Args:
        first: one of them.
        match: of the first with the second.
        as_json: whether to print a JSON object instead of text.

    Returns:
        What was found, in two lines.
    """
    facts = _facts(first, match)
    lines = _lines(facts, match)
    if as_json:
        show_json(facts)
    else:
        for line in (f"A: {first.name}", f"B: {facts['recording']}", *lines):
            show(line)
    return "\n".join(lines)


def _facts(first: Query, match: Match) -> JsonObject:
    from bytecover_tf.catalogues.tags import read_tags

    known = match.to_dict()
    measured = (
        *("similarity", "probability", "score", "same_recording", "transposition"),
        *("tempo_ratio", "relation", "relation_probability"),
        *("query_start", "query_end", "recording_start", "recording_end"),
    )
    return {
        "query": first.name,
        "recording": known["recording"],
        **{name: known[name] for name in measured},
        "query_tags": asdict(read_tags(first.name)),
        "recording_tags": asdict(read_tags(known["recording"])),
    }


def _figures(facts: JsonObject) -> str:
    names = ("probability", "score", "similarity")
    return ", ".join(f"{name} {facts[name]:.2f}" for name in names)


def _lines(facts: JsonObject, match: Match) -> tuple[str, str]:
    where, key, tempo = place(match)
    if match.is_same:
        found = "the same recording"
    elif match.tempo_ratio is None:
        found = "nothing matches"
    else:
        found = f"A {where} B; B relative to A: key {key}, tempo {tempo}"
        if match.relation:
            kind = match.relation
            found += f"; {kind.kind} (probability {kind.probability:.2f})"
    return _figures(facts), found
