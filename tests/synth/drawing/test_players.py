import numpy as np
import pytest
from random_tunes import performance

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.synth.drawing import players
from bytecover_tf.synth.drawing.spectral import draw_features
from bytecover_tf.synth.playing.accompany import CLOSED_HAT, KICK, SNARE


@pytest.mark.parametrize("place", [30.0, 41.3, 52.5])
def test_a_sinusoid_leaves_what_the_transform_leaves(place):
    frontend = Frontend(pool=1, normalization="none")
    frequency = frontend.fmin * 2 ** (place / 12)
    tone = np.sin(2 * np.pi * frequency * np.arange(4 * 22050) / 22050)
    middle = frontend.features(tone.astype(np.float32))[:, 60:110].mean(axis=1)
    drawn = np.sqrt(players.response(np.array([place]), frontend)[0])
    np.testing.assert_allclose(drawn / drawn.max(), middle / middle.max(), atol=0.05)


@pytest.mark.parametrize("octave", [12, 36])
def test_a_response_is_the_transform_of_a_hann_window(octave, rng):
    frontend = Frontend(n_bins=7 * octave, bins_per_octave=octave, pool=5)
    at = np.array([*rng.uniform(-9, frontend.n_bins + 9, 20), 0.0, 40.0])
    quality = 1 / (2 ** (1 / octave) - 1)
    window = np.hanning(4097)
    times = np.linspace(-0.5, 0.5, 4097)
    for place, found in zip(at, players.response(at, frontend), strict=True):
        for number in range(frontend.n_bins):
            # Cycles within the window that the sinusoid is away from the bin.
            away = (2 ** ((place - number) / octave) - 1) * quality
            part = window @ np.cos(2 * np.pi * away * times) / window.sum()
            expected = part**2 if abs(away) < 3 else 0
            assert found[number] == pytest.approx(expected, abs=1e-5)


def test_a_singer_changes_the_vowel_from_note_to_note(monkeypatch):
    # The same pitch again and again; what differs is the sound of each note.
    tune = performance([57] * 40, length=1.0)
    differing = {}
    for share in (0.0, 1.0):
        monkeypatch.setattr(players, "SUNG", share)
        spread = []
        for seed in range(8):
            rng = np.random.default_rng(seed)
            features = draw_features(tune, Frontend(pool=10), rng)
            partials = np.log(features[33 + np.array([0, 12, 19, 24, 28])] + 1e-4)
            # Louder and softer together is no other sound.
            spread.append((partials - partials.mean(axis=0)).std(axis=1).mean())
        differing[share] = np.median(spread)
    assert differing[1.0] > 1.5 * differing[0.0]


def test_a_bass_sounds_an_octave_lower_as_well():
    below = {}
    for role in ("melody", "bass"):
        decibels = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            energy = draw_features(performance([45] * 20, role=role), Frontend(), rng)
            low, note = energy[[9, 21]].mean(axis=1)
            decibels.append(20 * np.log10(low / note))
        below[role] = np.median(decibels)
    assert below["bass"] > below["melody"] + 6


def test_what_is_moved_beyond_the_edge_is_gone():
    spectra = np.arange(1.0, 6.0)[None]
    np.testing.assert_array_equal(players._moved(spectra, 2), [[0, 0, 1, 2, 3]])
    np.testing.assert_array_equal(players._moved(spectra, -2), [[3, 4, 5, 0, 0]])


def test_formants_lie_within_those_of_men_and_children():
    frontend = Frontend()
    hertz = frontend.fmin * 2 ** (np.arange(84) / 12)
    for seed in range(5):
        vowels = players._vowels(frontend, np.random.default_rng(seed))
        for decibels, formants in zip(vowels, players.FORMANTS, strict=True):
            assert 8 * 0.9 < np.ptp(decibels) <= 20
            first = hertz[np.argmax(decibels[hertz < 1.4 * formants[0]])]
            assert 0.9 * formants[0] < first < 1.4 * formants[0]


def test_a_singer_slides_into_near_notes_only():
    pitches = np.array([60, 64, 64, 60, 80, 79])
    starts = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 6.0])
    lengths = np.ones(6)
    slid = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        note, pitch, start, length = players._slide(pitches, starts, lengths, rng)
        slid |= set(note[6:])
        for i in range(6):
            order = np.argsort(start[note == i])
            steps, begins, lasts = (x[note == i][order] for x in (pitch, start, length))
            # The slide and the rest of the note follow each other in its time.
            np.testing.assert_allclose(lasts.sum(), lengths[i])
            np.testing.assert_allclose(begins[0], starts[i])
            np.testing.assert_allclose(begins[1:], (begins + lasts)[:-1])
            assert steps[-1] == pitches[i]
            assert lasts[-1] >= lengths[i] / 2
            if len(steps) > 1:
                way = np.array([pitches[i - 1], *steps])
                np.testing.assert_allclose(np.diff(way, n=2), 0, atol=1e-9)
    # Not the first, not the same pitch again, no leap, none after a gap.
    assert slid == {1, 3}


def test_drums_sound_where_they_do():
    frontend = Frontend()
    hertz = frontend.fmin * 2 ** (np.arange(84) / 12)
    pitches = np.array([KICK, SNARE, CLOSED_HAT])
    for seed in range(10):
        rng = np.random.default_rng(seed)
        (kick, snare, hat), decays = players._drums(pitches, frontend, rng)
        assert hertz[kick.argmax()] < 110
        assert 140 < hertz[snare.argmax()] < 650
        assert hat.argmax() == 83
        assert kick.sum() / kick.max() < snare.sum() / snare.max()
        assert decays.max() <= 0.2


def test_an_overdriven_amplifier_evens_out_and_fills():
    energy = np.zeros((84, 40))
    energy[[30, 42], :20] = 1.0
    energy[[30, 42], 20:30] = 1e-3
    for seed in range(10):
        driven = players.overdrive(energy, np.random.default_rng(seed))
        loud, soft, silent = driven[:, :20], driven[:, 20:30], driven[:, 30:]
        assert 10 < 10 * np.log10(soft.sum() / loud.sum()) + 30 < 30
        assert (driven[36, :30] > 0).all()
        assert loud[30, 0] > 2 * loud[36, 0]
        assert (silent == 0).all()
