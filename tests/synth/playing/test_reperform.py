import numpy as np
import pytest

from bytecover_tf.errors import DataError
from bytecover_tf.synth.playing.reperform import FEWEST_NOTES, reperform
from bytecover_tf.synth.playing.transcribe import Transcription

SEEDS = range(60)


def toy(melody=0.9, count=24, length=0.5):
    """A rising melody, a rising bass of twice its notes' length, and two held tones."""
    seconds = count * length
    notes = [(60 + i % 32, i * length, (i + 1) * length, melody) for i in range(count)]
    for i in range(count // 2):
        notes.append((36 + i % 16, 2 * i * length, 2 * (i + 1) * length, 0))
    notes += [(pitch, 0, seconds, 0) for pitch in (55, 57)]
    pitches, starts, ends, melodies = np.array(notes, float).T
    return Transcription(
        pitches.astype(int), starts, ends, np.full(len(notes), 0.7), melodies
    )


def part(performance, role):
    return next((one for one in performance.parts if one.role == role), None)


def line(notes):
    """Seconds for a semitone of a rising line, its first pitch, and the worst error."""
    pitches, starts = np.array([(n.pitch, n.start) for n in notes], float).T
    slope, offset = np.polyfit(pitches, starts, 1)
    worst = np.abs(np.polyval([slope, offset], pitches) - starts).max()
    return slope, round(-offset / slope), worst


@pytest.mark.parametrize("melody", [0.9, 0.0])
def test_melody_and_bass_are_those_heard_in_another_key_and_tempo(melody):
    keys, tempos, octaves, fewer = set(), [], set(), 0
    for seed in SEEDS:
        performance = reperform(toy(melody), np.random.default_rng(seed))
        first = performance.parts[0]
        assert first.role == "melody"
        fewer += len(first.notes) < 24
        slope, lowest, worst = line(first.notes)
        assert worst < 0.1
        tempos.append(0.5 / slope)
        shift = lowest - 60
        key = (shift + 6) % 12 - 6
        keys.add(key)
        octaves.add((shift - key) // 12)
        bass = part(performance, "bass")
        if bass:
            slope, lowest, worst = line(bass.notes)
            assert worst < 0.1
            assert slope == pytest.approx(1 / tempos[-1], rel=0.03)
            assert (lowest - 36 - key) % 12 == 0
    assert len(keys) > 5
    # A key six semitones off counts as either side's.
    assert octaves <= {-1, 0, 1, 2}
    assert 0.6 < min(tempos) < 0.9
    assert 1.1 < max(tempos) < 1.6
    assert 5 < fewer < 40


def test_what_accompanies_the_melody_was_heard():
    roles = set()
    for seed in SEEDS:
        performance = reperform(toy(), np.random.default_rng(seed))
        roles.update(one.role for one in performance.parts)
        shift = line(performance.parts[0].notes)[1] - 60
        written = part(performance, "written")
        if written:
            classes = {(note.pitch - shift) % 12 for note in written.notes}
            assert classes <= {55 % 12, 57 % 12}
        for note in (n for one in performance.parts for n in one.notes):
            assert 0 <= note.start < performance.duration
            assert note.duration >= 0.03
            assert 20 <= note.velocity <= 120
    assert roles == {"melody", "doubling", "written", "bass", "drums",
                     "block", "pad", "strum", "arpeggio"}  # fmt: skip


def test_chords_are_of_what_sounds_most():
    held = toy()
    chords = 0
    for seed in SEEDS:
        performance = reperform(held, np.random.default_rng(seed))
        shift = line(performance.parts[0].notes)[1] - 60
        for role in ("block", "pad"):
            if one := part(performance, role):
                classes = [(note.pitch - shift) % 12 for note in one.notes]
                # The held tones last longest within any beat.
                assert np.isin(classes, [55 % 12, 57 % 12]).mean() > 0.4
                chords += 1
    assert chords > 3


def test_some_leave_seconds_out_and_some_begin_in_the_middle():
    whole = toy(count=32, length=1.0)
    turned = shortened = 0
    for seed in SEEDS:
        notes = reperform(whole, np.random.default_rng(seed)).parts[0].notes
        steps = np.diff([note.pitch for note in notes])
        assert np.count_nonzero(steps < 0) <= 1
        turned += bool((steps < 0).any())
        shortened += bool((steps > 5).any())
    assert turned > 4
    assert shortened > 4


def test_long_recordings_are_performed_in_part():
    whole = toy(count=160, length=1.5)
    durations = [
        reperform(whole, np.random.default_rng(seed)).duration for seed in range(20)
    ]
    # 85 seconds at the slowest tempo, and the end of the last note.
    assert max(durations) < 86 / 0.65 + 1
    assert len(set(np.round(durations))) > 10


def test_equal_generators_give_equal_performances():
    first, again, other = (
        reperform(toy(), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_too_little_is_refused():
    heard = toy()
    few = heard.where(np.arange(len(heard)) < FEWEST_NOTES - 1)
    with pytest.raises(DataError, match="19 notes are heard .* expected 20"):
        reperform(few, np.random.default_rng(0))
    low = toy(melody=0.0)
    low.pitches[:] -= 40
    with pytest.raises(DataError, match="no melody"):
        reperform(low, np.random.default_rng(0))
