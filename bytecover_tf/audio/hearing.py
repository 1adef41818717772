"""Hearing: a small network that tells which notes a recording plays.

The network runs in ONNX Runtime. It reads a constant-Q transform of 36 bins an octave.
Four times a second it says of each semitone how likely a note sounds, how likely one
begins, and how likely it is the melody. Alignment compares the chroma of these notes,
which depends far less on instruments and rooms than the transform does. The network is
`models.note_network`; `docs/hearing.md` says what it was taught.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bytecover_tf.audio.chroma import (
    HEARD,
    chroma_of_cqt,
    chroma_of_notes,
    note_means,
    seconds_per_frame,
)
from bytecover_tf.audio.constant_q import Transform
from bytecover_tf.audio.streaming import Average
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.files import check_listed
from bytecover_tf.memory import returning_run

if TYPE_CHECKING:
    import onnxruntime

_WEIGHTS = Path(__file__).parents[1] / "weights"
_SHIPPED = _WEIGHTS / "hearing" / "hearing.onnx"

# By the SHA-256 of a network that was exported anew, that of its first file, which is
# what catalogues name. Both hear the same but for rounding.
_KNOWN_AS = {
    "f625c449b444fa67ca024cc9b9893fc77da98d7b9728842433d427905adaf827": (
        "cd219948385914f77e8cf19542c1dd1798235a98c40064df947afe5d58d64574"
    ),
}

METADATA = "bytecover-hearing"
"""The entry in a network's metadata that says what it reads."""

# How many frames of the transform the network reads at once, and how many frames on
# each side influence its output for one. Both are multiples of four: the network halves
# the rate, and chroma halves it once more.
_CHUNK = 1024
_CONTEXT = 64


BLOCK = 4
"""How many frames of the transform become one of the notes that encoders read."""

LONGEST_CLIP = 15.0
"""A recording that lasts less, in seconds, is a clip, and aligned from two beginnings:
where its few frames of chroma begin is chance. From 20 s on that finds hardly more
(benchmarks/experiments.md)."""


@dataclass(frozen=True)
class Heard:
    """What was heard in a recording, for an encoder that reads notes.

    Attributes:
        notes: float32 (3, 84, ceil(frames / 4)): of each four frames of the transform,
            how likely a semitone sounds, begins, and is the melody.
        network: checksum of the network that heard them.
    """

    notes: np.ndarray
    network: str


@dataclass(frozen=True)
class Hearing:
    """A network that hears notes.

    The object is cheap to send to another process; each process opens the network on
    first use.

    Attributes:
        path: an `.onnx` file that `python -m export --hearing` wrote.
        expected: checksum that the network must have; empty to accept any.

    Raises:
        EncoderError: on each use, if there is no such file, or it is something else.
    """

    path: str = str(_SHIPPED)
    expected: str = field(default="", compare=False)

    @property
    def checksum(self) -> str:
        """What the network is known by: the SHA-256 of the file it first came in.

        Raises:
            EncoderError: there is no such file, or it is not the expected one.
        """
        with self._explained():
            return self._checked(Path(self.path).read_bytes())

    @property
    def _network(self) -> _Network:
        with self._explained():
            status = os.stat(self.path)
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            return _opened(self, self.expected, stamp)

    def _checked(self, content: bytes) -> str:
        """Return what the file's content is known by, if that is expected."""
        if self.path == str(_SHIPPED):
            name = _SHIPPED.relative_to(_WEIGHTS).as_posix()
            check_listed(_WEIGHTS, name, EncoderError)
        digest = hashlib.sha256(content).hexdigest()
        found = _KNOWN_AS.get(digest, digest)
        if self.expected not in ("", found):
            raise EncoderError(
                f"{self.path}: another network than before (SHA-256 {found[:12]}, "
                f"not {self.expected[:12]})"
            )
        return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EncoderError(
                f"{self.path}: no network that hears notes ({error.strerror})"
            ) from None

    @property
    def transform(self) -> Transform:
        """Parameters of the transform that it reads."""
        return self._network.transform

    @property
    def pool(self) -> int:
        """How many frames of the transform are averaged into one frame of input."""
        return self._network.pool

    def check_rate(self, transform: Transform) -> None:
        """Refuse a transform whose chroma is not in step with what it hears.

        Args:
            transform: of the features.

        Raises:
            ConfigError: another sample rate, or frames of chroma of another length.
        """
        mine = self.transform
        if transform.sample_rate != mine.sample_rate or seconds_per_frame(
            transform
        ) != seconds_per_frame(mine):
            raise ConfigError(
                f"notes are heard at {mine.sample_rate} Hz with a hop of "
                f"{mine.hop_length} samples, not at {transform.sample_rate} Hz with "
                f"{transform.hop_length}; use this frontend with hearing 'none'"
            )

    @property
    def average(self) -> Average:
        """The average that a `StreamedTransform` computes for `hear`."""
        return Average(self.transform, self.pool, estimated=True)

    def hear(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return which notes sound.

        Args:
            magnitudes: |CQT| (n_bins, frames) of `transform`, averaged over `pool`
                frames.

        Returns:
            float32 (3, 84, frames // 2): how likely each semitone from C1 up sounds,
            begins, and is the melody, 0 to 1.
        """
        return _gathered(self._heard(magnitudes), magnitudes.shape[1] // 2)

    def hear_means(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the means of each two frames of what `hear` returns.

        They are taken chunk by chunk: what is heard in hours takes much memory.

        Args:
            magnitudes: as `hear` takes them.

        Returns:
            float32 (3, 84, frames // 4).
        """
        means = map(note_means, self._heard(magnitudes))
        return _gathered(means, magnitudes.shape[1] // BLOCK)

    def for_encoder(self, magnitudes: np.ndarray, notes: np.ndarray) -> Heard:
        """Return what was heard as an encoder reads it, with silence up to its end.

        Args:
            magnitudes: as `hear` takes them.
            notes: what `hear_means` returned of them.
        """
        missing = -magnitudes.shape[1] % BLOCK
        if missing:
            # The end sounds another way where the recording does not stop with it.
            whole = magnitudes.shape[1] // BLOCK
            kept = max(whole - _CONTEXT // BLOCK, 0)
            first = max(kept - _CONTEXT // BLOCK, 0)
            end = magnitudes[:, first * BLOCK :] / _mean(magnitudes)
            ended = note_means(self._run(np.pad(end, ((0, 0), (0, missing)))))
            notes = np.concatenate(
                [notes[..., :kept], ended[..., kept - first :]], axis=-1
            )
        return Heard(notes, self._network.checksum)

    def _run(self, relative: np.ndarray) -> np.ndarray:
        """Return what is heard in amplitudes relative to the recording's mean."""
        inputs = {"magnitudes": relative[None]}
        (heard,) = self._network.session.run(None, inputs, returning_run())
        return heard[0]

    def chroma(
        self, magnitudes: np.ndarray, notes: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the chroma of the heard notes, followed by that of the transform.

        Args:
            magnitudes: as `hear` takes them.
            notes: what `hear_means` returned of them, if it is known.

        Returns:
            uint8 (12 * HEARD_PARTS, n).
        """
        # Unnamed, so that the notes of hours are gone before the transform is folded.
        heard = chroma_of_notes(self.hear_means(magnitudes) if notes is None else notes)
        plain = chroma_of_cqt(magnitudes, self.pool, self.transform)
        frames = min(heard.shape[1], plain.shape[1])
        return np.concatenate([heard[:, :frames], plain[:, :frames]])

    def listen(
        self, magnitudes: np.ndarray, for_encoder: bool = False
    ) -> tuple[np.ndarray, Heard | None, np.ndarray | None]:
        """Hear a recording once, for all that its notes are needed for.

        Args:
            magnitudes: as `hear` takes them.
            for_encoder: whether an encoder reads the notes.

        Returns:
            What `chroma` returns; what `for_encoder` does, or None; and of a clip the
            chroma of frames that begin half a frame later, else None.
        """
        later = None
        seconds = magnitudes.shape[1] / BLOCK * seconds_per_frame(self.transform)
        if seconds < LONGEST_CLIP:
            halves = self.hear(magnitudes)
            notes = note_means(halves)
            moved = note_means(halves[..., 1:])
            later = self.chroma(magnitudes[:, BLOCK // 2 :], moved)
        elif for_encoder:
            notes = self.hear_means(magnitudes)
        else:
            return self.chroma(magnitudes), None, None
        heard = self.for_encoder(magnitudes, notes) if for_encoder else None
        return self.chroma(magnitudes, notes), heard, later

    def _heard(self, magnitudes: np.ndarray) -> Iterator[np.ndarray]:
        """Yield what `hear` returns, (3, 84, _CHUNK // 2) at a time."""
        frames = magnitudes.shape[1] // 2 * 2
        mean = _mean(magnitudes)
        for start in range(0, frames, _CHUNK):
            before = max(start - _CONTEXT, 0)
            end = min(start + _CHUNK, frames)
            # Hours take much memory, and so are not copied as a whole.
            chunk = magnitudes[:, before : min(end + _CONTEXT, frames)]
            some = self._run(np.divide(chunk, mean, order="C"))
            lead = (start - before) // 2
            yield some[:, :, lead : lead + (end - start) // 2]


def _gathered(parts: Iterable[np.ndarray], frames: int) -> np.ndarray:
    """Return parts (3, 84, n) as one array of so many frames."""
    gathered = np.empty((len(HEARD), 84, frames), np.float32)
    first = 0
    for part in parts:
        end = first + part.shape[2]
        gathered[:, :, first:end] = part
        first = end
    return gathered


def _mean(magnitudes: np.ndarray) -> np.float32:
    """Return the mean of a recording, or 1 for silence."""
    mean = magnitudes.mean(dtype=np.float64) if magnitudes.size else 0
    return np.float32(mean or 1)


DEFAULT_HEARING = Hearing()
"""The network that comes with the package."""


def named_hearing(name: str) -> Hearing | None:
    """Return the network that a file holds; None for `none`."""
    return None if name == "none" else Hearing(name)


def hearing_for(transform: Transform, paths: Iterable[str]) -> Hearing | None:
    """Return the package's network if it can hear these files, or None.

    Args:
        transform: of the features that are read along with them.
        paths: the files. The network needs audio; it cannot hear `.npy` files.
    """
    if any(path.lower().endswith(".npy") for path in paths):
        return None
    try:
        DEFAULT_HEARING.check_rate(transform)
    except ConfigError:
        return None
    return DEFAULT_HEARING


@dataclass(frozen=True)
class _Network:
    checksum: str
    session: onnxruntime.InferenceSession
    transform: Transform
    pool: int


@lru_cache(maxsize=4)
def _opened(hearing: Hearing, _expected: str, _stamp: tuple[int, ...]) -> _Network:
    """Open a network once, and again when its file has changed."""
    import onnxruntime

    path = hearing.path
    content = Path(path).read_bytes()
    checksum = hearing._checked(content)
    options = onnxruntime.SessionOptions()
    # Files are read in parallel already.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        record = session.get_modelmeta().custom_metadata_map[METADATA]
        facts = json.loads(record)
        frontend = facts["frontend"]
        names = [field.name for field in fields(Transform)]
        transform = Transform(**{name: frontend[name] for name in names})
        return _Network(checksum, session, transform, frontend["pool"])
    except Exception as error:  # ONNX Runtime's classes share no root of their own
        raise EncoderError(
            f"{path}: not a network that hears notes ({error})"
        ) from None
