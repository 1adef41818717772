"""Write a performance as a standard MIDI file (format 0)."""

from bytecover_tf.synth.playing.performance import Performance

TICKS_PER_QUARTER = 480
# The tempo that a file without tempo event has: 120 quarter notes a minute.
TICKS_PER_SECOND = 2 * TICKS_PER_QUARTER
DRUM_CHANNEL = 9
BEND_RANGE_CENTS = 200
# Set programs before the first note.
FIRST_TICK = 10


def midi_bytes(performance: Performance) -> bytes:
    """Encode a performance.

    Args:
        performance: at most 15 parts besides drums.

    Returns:
        The content of a `.mid` file; a channel per part, tuning as pitch bend.

    Raises:
        ValueError: there are more parts than channels.
    """
    channels = iter([c for c in range(16) if c != DRUM_CHANNEL])
    # (tick, order within the tick, message): notes end before others start.
    events: list[tuple[int, int, bytes]] = []
    bend = round(8192 + 8192 * performance.cents / BEND_RANGE_CENTS)
    for part in performance.parts:
        channel = DRUM_CHANNEL if part.role == "drums" else next(channels, None)
        if channel is None:
            raise ValueError(f"{len(performance.parts)} parts, expected 15 or fewer")
        if channel != DRUM_CHANNEL:
            events.append((0, 0, bytes([0xE0 | channel, bend & 0x7F, bend >> 7])))
        events.append((0, 0, bytes([0xC0 | channel, part.program])))
        for note in part.notes:
            start = FIRST_TICK + round(note.start * TICKS_PER_SECOND)
            end = start + max(1, round(note.duration * TICKS_PER_SECOND))
            on = bytes([0x90 | channel, note.pitch, note.velocity])
            off = bytes([0x80 | channel, note.pitch, 0])
            events += [(start, 2, on), (end, 1, off)]
    track = bytearray()
    now = 0
    for tick, _, message in sorted(events):
        track += _variable_length(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    header = (6).to_bytes(4, "big") + bytes([0, 0, 0, 1])
    division = TICKS_PER_QUARTER.to_bytes(2, "big")
    return b"MThd" + header + division + b"MTrk" + len(track).to_bytes(4, "big") + track


def _variable_length(value: int) -> bytes:
    """Seven bits a byte, all but the last with the high bit set."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | value & 0x7F)
    return bytes(reversed(digits))
