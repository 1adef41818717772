import music21
import pytest

from bytecover_tf.synth.playing.midi import midi_bytes
from bytecover_tf.synth.playing.performance import Part, Performance, PlayedNote

MELODY = (PlayedNote(0.0, 0.5, 60, 90), PlayedNote(0.5, 0.25, 64, 80))
DRUMS = (PlayedNote(0.0, 0.1, 36, 70),)


def read(content):
    """(channel, type, time in seconds, parameters) of every channel event."""
    file = music21.midi.MidiFile()
    file.readstr(content)
    (track,) = file.tracks
    now, events = 0, []
    for event in track.events:
        if event.isDeltaTime():
            now += event.time
        elif event.channel is not None:
            seconds = (now - 10) / (2 * file.ticksPerQuarterNote)
            events.append((event, event.type.name, seconds))
    return events


def test_an_independent_reader_finds_notes_programs_and_tuning():
    parts = (Part("melody", 73, MELODY), Part("drums", 0, DRUMS))
    events = read(midi_bytes(Performance(parts, (), 0.75, 25.0)))
    notes = [
        (e.channel, e.pitch, e.velocity, time)
        for e, name, time in events
        if name == "NOTE_ON"
    ]
    assert sorted(notes) == [(1, 60, 90, 0.0), (1, 64, 80, 0.5), (10, 36, 70, 0.0)]
    ends = [(e.pitch, time) for e, name, time in events if name == "NOTE_OFF"]
    assert dict(ends) == {60: 0.5, 64: 0.75, 36: 0.1}
    programs = {e.channel: e.data for e, name, _ in events if name == "PROGRAM_CHANGE"}
    assert programs == {1: 73, 10: 0}
    (bend,) = (e for e, name, _ in events if name == "PITCH_BEND")
    low, high = bend.parameter1, bend.parameter2
    # 25 cents of a range of 200 are an eighth of 8192 steps.
    assert (high << 7 | low) - 8192 == 1024


def test_drums_keep_channel_ten_however_many_parts():
    parts = tuple(Part("melody", i, MELODY) for i in range(15))
    events = read(midi_bytes(Performance(parts, (), 0.75, 0.0)))
    assert {e.channel for e, _, _ in events} == set(range(1, 17)) - {10}
    with pytest.raises(ValueError, match="16 parts"):
        midi_bytes(Performance((*parts, parts[0]), (), 0.75, 0.0))


def test_long_gaps_are_encoded():
    notes = (PlayedNote(0.0, 0.5, 60, 90), PlayedNote(100.0, 0.5, 62, 90))
    events = read(midi_bytes(Performance((Part("melody", 0, notes),), (), 100.5, 0.0)))
    starts = [time for _, name, time in events if name == "NOTE_ON"]
    assert starts == [0.0, 100.0]
