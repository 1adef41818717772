from dataclasses import replace

import numpy as np
import pytest

from bytecover_tf.synth.playing.accompany import CLOSED_HAT
from bytecover_tf.synth.playing.arrange import arrange
from bytecover_tf.synth.playing.style import LEADS, Style, draw_style
from bytecover_tf.synth.scores.note import Note
from bytecover_tf.synth.scores.score import make_score

PITCHES = [60, 62, 64, 65, 67, 69, 71, 72]


@pytest.fixture
def score():
    """Four sections of eight bars, each with a melody of its own."""
    rng = np.random.default_rng(0)
    melody = [Note(float(i), 1.0, int(rng.choice(PITCHES))) for i in range(128)]
    bass = [Note(4.0 * i, 4.0, 48) for i in range(32)]
    return make_score(
        "Four", "tests", melody, [4.0 * i for i in range(33)], parts=[bass]
    )


def play(score, style):
    return arrange(score, style, np.random.default_rng(1))


def pitches(performance):
    return [note.pitch for note in performance.parts[0].notes]


def test_equal_seeds_give_equal_performances(score):
    def version(seed):
        rng = np.random.default_rng(seed)
        return arrange(score, draw_style(score, rng), rng)

    assert version(3) == version(3)
    assert version(3) != version(4)


def test_plain_style_plays_the_score(score):
    performance = play(score, Style(tempo=120.0, order=(0, 1, 2, 3)))
    assert len(performance.parts) == 1
    played = [(n.start, n.pitch) for n in performance.parts[0].notes]
    assert played == [(n.onset / 2, n.pitch) for n in score.melody]
    assert performance.sections == ((0, 0.0), (1, 16.0), (2, 32.0), (3, 48.0))


@pytest.mark.parametrize("shift", [-6, -1, 5])
def test_key_shift_moves_melody_chords_and_written_parts_but_not_drums(score, shift):
    style = Style(layers=(("block", 0), ("bass", 32), ("drums", 0)), written=(48,))
    before, after = play(score, style), play(score, replace(style, key_shift=shift))
    for old, new in zip(before.parts, after.parts, strict=True):
        moved = 0 if old.role == "drums" else shift
        # Notes that start together may change order only in their velocities.
        assert sorted((n.start, n.pitch + moved) for n in old.notes) == sorted(
            (n.start, n.pitch) for n in new.notes
        )


def test_tempo_scales_all_times(score):
    slow = play(score, Style(tempo=60.0, layers=(("arpeggio", 24),)))
    fast = play(score, Style(tempo=90.0, layers=(("arpeggio", 24),)))
    assert fast.duration * 1.5 == pytest.approx(slow.duration, rel=1e-3)
    for a, b in zip(slow.parts[1].notes, fast.parts[1].notes, strict=True):
        assert b.start * 1.5 == pytest.approx(a.start)


def test_reordered_sections_keep_their_notes(score):
    straight = pitches(play(score, Style(order=(0, 1, 2, 3))))
    turned = pitches(play(score, Style(order=(2, 0, 0, 3))))
    blocks = [straight[32 * i : 32 * (i + 1)] for i in range(4)]
    assert turned == blocks[2] + blocks[0] + blocks[0] + blocks[3]


def test_intro_has_accompaniment_only(score):
    style = Style(tempo=60.0, intro_bars=2, layers=(("block", 0),))
    performance = play(score, style)
    assert performance.sections == ((0, 8.0),)
    melody, chords = performance.parts
    assert melody.notes[0].start == 8.0
    assert chords.notes[0].start == 0.0


def test_simplification_drops_only_short_off_beat_notes():
    melody = [Note(0.5 * i, 0.5, PITCHES[i % 8]) for i in range(64)]
    score = make_score("Eighths", "tests", melody, [4.0 * i for i in range(9)])
    performance = play(score, Style(tempo=60.0, simplify=1.0))
    played = [(n.start, n.pitch) for n in performance.parts[0].notes]
    assert played == [(n.onset, n.pitch) for n in melody[::2]]


def test_ornaments_put_a_short_note_of_the_key_before(score):
    plain = play(score, Style(tempo=60.0))
    graced = play(score, Style(tempo=60.0, ornaments=1.0))
    notes = graced.parts[0].notes
    assert [n.pitch for n in notes[1::2]] == pitches(plain)
    steps = {(n.pitch - score.tonic) % 12 for n in notes[::2]}
    assert steps <= {0, 2, 4, 5, 7, 9, 11}


def test_swing_delays_off_beats_only():
    melody = [Note(0.5 * i, 0.5, PITCHES[i % 8]) for i in range(64)]
    score = make_score("Eighths", "tests", melody, [4.0 * i for i in range(9)])
    notes = play(score, Style(tempo=60.0, swing=0.3)).parts[0].notes
    assert [n.start for n in notes[::2]] == [float(i) for i in range(32)]
    assert [n.start - i for i, n in enumerate(notes[1::2])] == pytest.approx(
        [0.65] * 32
    )


def test_styles_stay_within_their_ranges(score):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        style = draw_style(score, rng)
        assert -6 <= style.key_shift <= 6
        assert 50.0 <= style.tempo <= 150.0
        assert set(style.order) <= {0, 1, 2, 3}
        assert not (style.layers and style.written)
        performance = arrange(score, style, rng)
        assert 35.0 < performance.duration < 130.0
        low, high = LEADS[style.lead]
        inside = [low <= pitch <= high for pitch in pitches(performance)]
        assert np.mean(inside) > 0.8
        for part in performance.parts:
            ends: dict[int, float] = {}
            for note in part.notes:
                assert note.start >= ends.get(note.pitch, 0.0)
                ends[note.pitch] = note.start + note.duration


def test_other_chords_leave_the_melody_and_come_again_with_the_section(score):
    style = Style(layers=(("pad", 48),), order=(0, 0))
    plain, other = play(score, style), play(score, replace(style, reharmonise=1.0))
    assert pitches(other) == pitches(plain)
    chords = [note.pitch for note in other.parts[1].notes]
    assert chords != [note.pitch for note in plain.parts[1].notes]
    half = len(chords) // 2
    assert chords[:half] == chords[half:]


def test_fuller_chords_leave_the_melody_and_come_again_with_the_section(score):
    style = Style(layers=(("pad", 48),), order=(0, 0))
    plain, fuller = play(score, style), play(score, replace(style, extended=1.0))
    assert pitches(fuller) == pitches(plain)
    chords, triads = (
        [(round(note.start, 6), note.pitch % 12) for note in p.parts[1].notes]
        for p in (fuller, plain)
    )
    assert set(triads) < set(chords)
    assert len(chords) == len(triads) * 4 // 3
    half = len(chords) // 2
    assert [p for _, p in chords[:half]] == [p for _, p in chords[half:]]


def test_players_are_silent_for_whole_sections(score):
    style = Style(order=(0, 1, 0, 1), layers=(("block", 0), ("bass", 32)))
    whole = arrange(score, style, np.random.default_rng(0))
    rests = 0
    for seed in range(10):
        resting = arrange(score, replace(style, rests=0.5), np.random.default_rng(seed))
        starts = [start for _, start in resting.sections]
        ends = [*starts[1:], np.inf]
        for part, full in zip(resting.parts, whole.parts, strict=True):
            for start, end in zip(starts, ends, strict=True):
                heard = [n.pitch for n in part.notes if start <= n.start < end]
                assert heard in (
                    [],
                    [n.pitch for n in full.notes if start <= n.start < end],
                )
                rests += not heard
        assert len(resting.parts[0].notes) == len(whole.parts[0].notes)
    # Two of the three players, half of the time.
    assert 20 < rests < 60


def test_a_free_melody_leaves_the_accompaniment(score):
    style = Style(layers=(("bass", 32),))
    strict = arrange(score, style, np.random.default_rng(0))
    free = arrange(score, replace(style, freedom=0.15), np.random.default_rng(0))
    late = [
        a.start - b.start
        for a, b in zip(free.parts[0].notes, strict.parts[0].notes, strict=True)
    ]
    beat = score.beat * 60 / style.tempo
    assert 0.03 * beat < np.std(late) <= 0.4 * beat
    assert np.abs(late).max() <= 0.4 * beat + 1e-6
    np.testing.assert_allclose(
        [n.start for n in free.parts[1].notes], [n.start for n in strict.parts[1].notes]
    )


def test_a_groove_is_what_the_drums_play(score):
    style = Style(layers=(("drums", 0), ("bass", 32)))
    plain, disco = play(score, style), play(score, replace(style, groove="disco"))
    assert [part.role for part in disco.parts] == ["melody", "drums", "bass"]
    hats = [
        [note.start for note in performance.parts[1].notes if note.pitch == CLOSED_HAT]
        for performance in (plain, disco)
    ]
    # On the off-beats alone, half of them.
    assert hats[1] == hats[0][1::2]
