"""The sound of a performance's players, in constant-Q bins.

A note becomes harmonics in their bins. Spectrum and decay are drawn at random, as those
of an instrument or of a singer, who changes the vowel from note to note and slides
between some notes. Drums are bands of noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.synth.drawing.bin_effects import curve
from bytecover_tf.synth.playing.accompany import CLOSED_HAT, KICK, SNARE
from bytecover_tf.synth.playing.performance import Part

HARMONICS = np.arange(1, 17)
# How many decibels each role is quieter than the lead.
ROLE_DECIBELS = {"melody": 2.0, "doubling": -3.0, "drums": 0.0}
ACCOMPANIMENT_DECIBELS = 0.0
# Semitones: the largest standard deviation of a player's pitches.
MISTUNED = 0.2
# The share of melodies that are sung.
SUNG = 0.4
# Hertz of the first formants of i, e, a, o, u, men's means: Peterson and Barney,
# "Control methods used in a study of the vowels", 1952, table II.
FORMANTS = np.array(
    [
        [270, 2290, 3010],
        [530, 1840, 2480],
        [730, 1090, 2440],
        [570, 840, 2410],
        [300, 870, 2240],
    ]
)
FORMANT_SEMITONES = 3.0
# Seconds that a consonant may take from the beginning of a note.
CONSONANT = 0.12
# Singers slide into a note that is at most this many semitones away, for so many
# seconds and in so many steps. After a longer gap they start a note without sliding.
SLIDE_SEMITONES, SLIDE_SECONDS, SLIDE_STEPS, SLIDE_GAP = 7, (0.05, 0.25), 3, 0.15
# The share of players whose pitches waver.
WAVERING = 0.6
# How many pitches are told apart within a semitone.
PITCHES_A_SEMITONE = 4
# The share of players through an overdriven amplifier, if they may have one.
OVERDRIVEN = 0.15
ELECTRIC = ("melody", "doubling", "strum", "block", "arpeggio")
# Of each drum: hertz of its middle, semitones of its width, decibels, seconds.
DRUMS = {
    KICK: ((40.0, 100.0), (3.0, 10.0), (-4.0, 8.0), (0.05, 0.2)),
    SNARE: ((150.0, 600.0), (12.0, 36.0), (-18.0, -4.0), (0.04, 0.15)),
    CLOSED_HAT: ((4000.0, 9000.0), (8.0, 24.0), (-18.0, -2.0), (0.01, 0.08)),
}
# Some bass players double an octave lower, at this level in decibels.
BASS_OCTAVE = (-12.0, 6.0)


@dataclass
class Sounds:
    """The sounds that one player makes of a part.

    Attributes:
        starts: starts of the sounds, in seconds.
        lengths: lengths of the sounds, in seconds.
        energies: energies of the sounds, over that of a lead's fundamental.
        kinds: row of `spectra` and `decays` of each sound.
        spectra: energies (kinds, n_bins), over the fundamental's.
        decays: seconds in which an amplitude falls to 1/e.
    """

    starts: np.ndarray
    lengths: np.ndarray
    energies: np.ndarray
    kinds: np.ndarray
    spectra: np.ndarray
    decays: np.ndarray


def play(
    part: Part, cents: float, frontend: Frontend, rng: np.random.Generator
) -> Sounds:
    """Draw a player at random and return the sounds of a part.

    Args:
        part: what is played, a note at least.
        cents: tuning above concert pitch.
        frontend: whose bins are filled.
        rng: source of the player.
    """
    level = ROLE_DECIBELS.get(part.role, ACCOMPANIMENT_DECIBELS) + rng.normal(0.0, 5.0)
    pitches = np.array([note.pitch for note in part.notes])
    starts = np.array([note.start for note in part.notes])
    lengths = np.array([note.duration for note in part.notes])
    loudness = np.array([note.velocity / 100 for note in part.notes]) ** 4
    energies = loudness * 10 ** (level / 10)
    if part.role == "drums":
        used, kinds = np.unique(pitches, return_inverse=True)
        return Sounds(starts, lengths, energies, kinds, *_drums(used, frontend, rng))
    # Struck and plucked strings decay; winds, bowed strings and voices do not.
    decay = rng.uniform(0.3, 2.0) if rng.random() < 0.5 else np.inf
    vowels = np.zeros(len(pitches), int)
    bodies = np.zeros((1, frontend.n_bins))
    if part.role == "melody" and rng.random() < SUNG:
        decay, bodies = np.inf, _vowels(frontend, rng)
        vowels = rng.integers(len(bodies), size=len(pitches))
        consonants = np.minimum(rng.uniform(0.0, CONSONANT, len(starts)), lengths)
        starts, lengths = starts + consonants, lengths - consonants
        note, pitches, starts, lengths = _slide(pitches, starts, lengths, rng)
        vowels, energies = vowels[note], energies[note]
    # A player makes the same sound for the same pitch and vowel every time.
    both = np.rint(PITCHES_A_SEMITONE * pitches).astype(int) * len(bodies) + vowels
    both, kinds = np.unique(both, return_inverse=True)
    used, vowels = np.divmod(both, len(bodies))
    # Few singers and players hit a pitch as a piano does.
    off = rng.normal(0.0, rng.uniform(0.0, MISTUNED), len(used))
    used = used / PITCHES_A_SEMITONE + cents / 100 + off
    spectra = _note_spectra(used, bodies[vowels], frontend, rng)
    if part.role == "bass" and rng.random() < 0.7:
        lower = _moved(spectra, -frontend.bins_per_octave)
        spectra += 10 ** (rng.uniform(*BASS_OCTAVE) / 10) * lower
    decays = np.full(len(used), decay)
    return Sounds(starts, lengths, energies, kinds, spectra, decays)


def overdrive(energy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one player's energy after an overdriven amplifier.

    Soft notes become as loud as loud ones, and sums and differences of the partials
    fill the spectrum around them.
    """
    from scipy import ndimage

    level = energy.sum(axis=0)
    heard = level > 1e-6 * level.max()
    gain = np.ones_like(level)
    gain[heard] = (level[heard].mean() / level[heard]) ** rng.uniform(0.4, 0.9)
    energy = energy * gain
    around = ndimage.gaussian_filter1d(energy, rng.uniform(3.0, 8.0), axis=0)
    return energy + rng.uniform(0.02, 0.3) * around


def _slide(
    pitches: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Let some notes slide in from the note before.

    Returns:
        The note that each sound is of, and the sounds' pitches, starts and lengths.
    """
    intervals = np.diff(pitches, prepend=pitches[0])
    gaps = starts - np.concatenate([starts[:1], (starts + lengths)[:-1]])
    near = (np.abs(intervals) <= SLIDE_SEMITONES) & (np.abs(gaps) < SLIDE_GAP)
    slides = near & (intervals != 0) & (rng.random(len(pitches)) < rng.random())
    taken = np.minimum(rng.uniform(*SLIDE_SECONDS, len(pitches)), lengths / 2) * slides
    (sliding,) = np.nonzero(slides)
    note, place = np.repeat(sliding, SLIDE_STEPS), np.arange(SLIDE_STEPS)
    place = np.tile(place, len(sliding))
    away = intervals[note] * (1 - (place + 1) / (SLIDE_STEPS + 1))
    part = taken[note] / SLIDE_STEPS
    return (
        np.concatenate([np.arange(len(pitches)), note]),
        np.concatenate([pitches, pitches[note] - away]),
        np.concatenate([starts + taken, starts[note] + place * part]),
        np.concatenate([lengths - taken, part]),
    )


def _vowels(frontend: Frontend, rng: np.random.Generator) -> np.ndarray:
    """Return by how many decibels each of a singer's vowels shapes the bins."""
    # From a man to a child, whose formants are a third higher.
    hertz = FORMANTS * rng.uniform(0.95, 1.35)
    octave = frontend.bins_per_octave
    places = octave * np.log2(hertz / frontend.fmin)
    away = (np.arange(frontend.n_bins) - places[..., None]) * 12 / octave
    peaks = np.exp(-((away / FORMANT_SEMITONES) ** 2) / 2)
    # Subtract as much between the formants as is added at them.
    return rng.uniform(8.0, 20.0) * (peaks.max(axis=1) - 0.5)


def _note_spectra(
    pitches: np.ndarray,
    bodies: np.ndarray,
    frontend: Frontend,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return one player's energies (pitches, n_bins).

    Args:
        pitches: pitches of the notes.
        bodies: decibels (pitches, n_bins) that the player's own spectrum gets.
        frontend: parameters of the features.
        rng: source of the spectrum.
    """
    slope = rng.uniform(2.0, 12.0)  # decibels an octave
    decibels = -slope * np.log2(HARMONICS) + rng.normal(0.0, 4.0, len(HARMONICS))
    if rng.random() < 0.15:  # a closed pipe
        decibels[1::2] -= rng.uniform(6.0, 25.0)
    octave = frontend.bins_per_octave
    lowest = 69 + 12 * np.log2(frontend.fmin / 440)
    at = (pitches[:, None] - lowest) * octave / 12 + octave * np.log2(HARMONICS)
    body = np.interp(at, *curve(frontend.n_bins, 6, 5.0, rng))
    nearest = np.clip(np.rint(at).astype(int), 0, frontend.n_bins - 1)
    body += np.take_along_axis(bodies, nearest, axis=1)
    energies = 10 ** ((decibels + body) / 10)
    # Vibrato, and the spread of many players on one part; keys and strings have none.
    wobble = rng.uniform(0.0, 0.5) * octave / 12 if rng.random() < WAVERING else 0.0
    responses = sum(
        response(at + offset, frontend) for offset in (-wobble, 0.0, wobble)
    )
    single = np.einsum("ph,phk->pk", energies, responses) / 3
    # An organ's stops or an orchestra's desks double a part in octaves.
    doubled = single.copy()
    for shift in (-octave, octave, 2 * octave):
        if rng.random() < 0.5:
            doubled += 10 ** (rng.uniform(-25.0, 0.0) / 10) * _moved(single, shift)
    return doubled


def _moved(spectra: np.ndarray, bins: int) -> np.ndarray:
    """Return spectra (pitches, n_bins) some bins higher, or lower if negative."""
    moved = np.roll(spectra, bins, axis=1)
    moved[:, slice(bins) if bins > 0 else slice(bins, None)] = 0
    return moved


def response(at: np.ndarray, frontend: Frontend) -> np.ndarray:
    """Return the energy that sinusoids at fractional bins leave in each bin.

    Args:
        at: bins of the sinusoids, of any shape.
        frontend: parameters of the features.

    Returns:
        Float array (*at.shape, n_bins), of energies up to 1.
    """
    octave, bins = frontend.bins_per_octave, frontend.n_bins
    quality = 1 / (2 ** (1 / octave) - 1)
    # The transform of a Hann window has nearly all of its energy within three widths.
    # What is beyond the lowest or the highest bin goes into one more at either end.
    below, above = (octave * np.log2(1 + side / quality) for side in (-3, 3))
    first = np.ceil(at - above).astype(int)
    near = first[..., None] + np.arange(int(above - below) + 1)
    x = np.clip((2 ** ((at[..., None] - near) / octave) - 1) * quality, -3.0, 3.0)
    half = np.abs(np.abs(x) - 1) < 1e-6
    shape = np.where(half, 0.5, np.sinc(x) / np.where(half, 1.0, 1 - x**2))
    energies = np.zeros((*at.shape, bins + 2))
    np.put_along_axis(energies, np.clip(near, -1, bins) + 1, shape**2, axis=-1)
    return energies[..., 1:-1]


def _drums(
    pitches: np.ndarray, frontend: Frontend, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return energies (pitches, n_bins) of drums, each a band of noise, and decays."""
    spectra, decays = [], []
    semitones = np.arange(frontend.n_bins) * 12 / frontend.bins_per_octave
    for pitch in pitches:
        middle, width, decibels, seconds = (rng.uniform(*r) for r in DRUMS[int(pitch)])
        away = semitones - 12 * np.log2(middle / frontend.fmin)
        spectra.append(10 ** (decibels / 10) * np.exp(-((away / width) ** 2)))
        decays.append(seconds)
    return np.array(spectra), np.array(decays)
