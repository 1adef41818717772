"""Recordings as features with the notes that sound in them, in one folder.

    recordings.csv      one line a recording: what it is
    features/ID.npz     its features and notes on one grid of 0.1161 s

    cqt12   uint8 (84, T)   |CQT| of `FRONTENDS["cqt12"]`, 12 bins an octave
    cqt36   uint8 (252, T)  |CQT| of `FRONTENDS["cqt36"]`, 36 bins an octave
    scale   float32 (2, 2)  k and m of each: amplitude = k expm1(m code / 255), where k
                            is a tenth of the recording's mean amplitude
    notes   uint8 (88, T)   probability x 255 that a pitch sounds, from A0 up
    onsets  uint8 (88, T)   likewise that a note begins
    melody  uint8 (88, T)   1 where the melody has that pitch

A recording has notes and onsets, its melody, or all three.

A recording's features are on disk before the line that names it, and both files are
replaced as a whole, so a writer killed at any moment leaves a valid store.
"""

from __future__ import annotations

import csv
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import StoreError
from bytecover_tf.files import Closing, lock, replacing, write_atomically

FRONTENDS = {
    "cqt12": Frontend(pool=5),
    "cqt36": Frontend(pool=5, bins_per_octave=36, n_bins=252),
}
"""Parameters of the two transforms."""
PITCHES = 88
HEARD_PITCHES = slice(3, 87)
"""The pitches that the network hears, C1 to B7, among the labelled ones, A0 to C8."""

_ROWS = {name: frontend.n_bins for name, frontend in FRONTENDS.items()}
_LABELS = ("notes", "onsets", "melody")
_LIST = "recordings.csv"
_FOLDER = "features"
_ID = re.compile(r"[0-9A-Za-z_-]+")
_SPARED = 20


@dataclass(frozen=True)
class LabelledRecording:
    """Facts about a recording: one line of `recordings.csv`.

    Attributes:
        id: names its file; letters, digits, `-` and `_`.
        set: the collection that it comes from.
        role: what it is for, such as `train` or `dev`.
        work: label of the composition.
        kind: `full`, or the part of it that was recorded, such as `melody`.
        seconds: its length.
        source: where it was found.
        name: of its file.
    """

    id: str
    set: str
    role: str
    work: str
    kind: str
    seconds: float
    source: str
    name: str

    @property
    def is_spared(self) -> bool:
        """Whether it may be held out: one in twenty is, chosen by its id."""
        return zlib.crc32(self.id.encode()) % _SPARED == 0


_COLUMNS = [field.name for field in fields(LabelledRecording)]


@dataclass(frozen=True)
class LabelledFeatures:
    """The arrays of one recording as they are stored; see the module's docstring.

    Attributes:
        cqt12: uint8 (84, T).
        cqt36: uint8 (252, T).
        scale: float32 (2, 2).
        notes: uint8 (88, T), or None if the melody alone is labelled.
        onsets: likewise.
        melody: uint8 (88, T), or None if it is not known.
    """

    cqt12: np.ndarray
    cqt36: np.ndarray
    scale: np.ndarray
    notes: np.ndarray | None = None
    onsets: np.ndarray | None = None
    melody: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        cqt12: np.ndarray,
        cqt36: np.ndarray,
        notes: np.ndarray | None = None,
        onsets: np.ndarray | None = None,
        melody: np.ndarray | None = None,
        name: str = "recording",
    ) -> LabelledFeatures:
        """Code amplitudes and probabilities in bytes.

        Args:
            cqt12: amplitudes (84, T) of `FRONTENDS["cqt12"]`.
            cqt36: amplitudes (252, T) of `FRONTENDS["cqt36"]`.
            notes: probabilities (88, T), or None if the melody alone is labelled.
            onsets: likewise.
            melody: 0 or 1 (88, T), if it is known.
            name: what an error message calls the recording.

        Raises:
            StoreError: an array has the wrong shape or values that are not finite or
                out of range, a transform is silent, or nothing is labelled.
        """
        given = {"notes": notes, "onsets": onsets, "melody": melody}
        labels = {key: values for key, values in given.items() if values is not None}
        arrays = {"cqt12": cqt12, "cqt36": cqt36, **labels}
        _check_labels(arrays, name)
        for key, values in arrays.items():
            if not np.isfinite(values).all():
                raise StoreError(f"{name}: {key} has values that are not finite")
            highest = math.inf if key in _ROWS else 1
            if values.size and (values.min() < 0 or values.max() > highest):
                raise StoreError(
                    f"{name}: {key} has values from {values.min():g} to "
                    f"{values.max():g}; expected 0 to {highest:g}"
                )
        _check_shapes(arrays, name)
        coded = {key: _code(arrays[key], f"{name}: {key}") for key in _ROWS}
        return cls(
            **{key: codes for key, (codes, _) in coded.items()},
            scale=np.array([scale for _, scale in coded.values()], np.float32),
            **{
                key: np.rint(values * (1 if key == "melody" else 255)).astype(np.uint8)
                for key, values in labels.items()
            },
        )

    def amplitudes(self, name: str) -> np.ndarray:
        """Return a transform's amplitudes.

        Args:
            name: `cqt12` or `cqt36`.

        Returns:
            float32 (n_bins, T).
        """
        k, m = self.scale[list(_ROWS).index(name)]
        return k * np.expm1(m / 255 * getattr(self, name))


class LabelledStore:
    """Read access to labelled recordings.

    Args:
        path: the folder.

    Raises:
        StoreError: the folder is not a store of this kind, or its list is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / _LIST).is_file():
            raise StoreError(
                f"{self.path}: no labelled recordings ({_LIST} is missing)"
            )
        self._recordings = _read_list(self.path / _LIST)

    def __len__(self) -> int:
        return len(self._recordings)

    def __iter__(self) -> Iterator[LabelledRecording]:
        return iter(self._recordings.values())

    def features(self, recording: LabelledRecording) -> LabelledFeatures:
        """Return the arrays of a recording.

        Raises:
            StoreError: its file is missing or damaged, an array has the wrong type or
                shape or is not finite, or nothing is labelled. The message names the
                file.
        """
        path = _file(self.path, recording.id)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
        except FileNotFoundError:
            raise StoreError(f"{path}: is missing, but {_LIST} names it") from None
        except Exception as error:  # a parser of any input
            raise StoreError(f"{path}: is damaged ({error})") from None
        try:
            features = LabelledFeatures(**arrays)
        except TypeError as error:
            raise StoreError(
                f"{path}: expected cqt12, cqt36, scale and labels, found "
                f"{', '.join(sorted(arrays)) or 'nothing'} ({error})"
            ) from None
        _check_stored(arrays, str(path))
        return features


class LabelledStoreWriter(Closing):
    """Adds recordings to a store; makes the store if there is none.

    Use as a context manager. One writer at a time: a lock file keeps others out.

    Args:
        path: the folder.

    Raises:
        StoreError: another process is writing, or the list is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        (self.path / _FOLDER).mkdir(parents=True, exist_ok=True)
        try:
            self._lock = lock(self.path / "lock")
        except BlockingIOError:
            raise StoreError(
                f"{self.path}: another process is writing to this store"
            ) from None
        found = self.path / _LIST
        try:
            self._recordings = _read_list(found) if found.exists() else {}
        except StoreError:
            self._lock.close()
            raise

    def __contains__(self, id: str) -> bool:
        return id in self._recordings

    def find(self, id: str) -> LabelledRecording | None:
        """Return what the store says of a recording; None if it does not have it."""
        return self._recordings.get(id)

    def __len__(self) -> int:
        return len(self._recordings)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all recordings in the store."""
        return frozenset(self._recordings)

    def add(self, recording: LabelledRecording, features: LabelledFeatures) -> None:
        """Add a recording, or replace the one with its id; on return it is on disk.

        Raises:
            StoreError: the id cannot name a file, the length is not finite, or an
                array has the wrong type or shape or is not finite.
            OSError: it cannot be written; the store is unchanged.
        """
        self.add_all([(recording, features)])

    def add_all(
        self, pairs: Sequence[tuple[LabelledRecording, LabelledFeatures]]
    ) -> None:
        """Add recordings as `add` does, but write the list only once.

        Raises:
            StoreError: as of `add`, before anything is written.
            OSError: one cannot be written; the recordings already in the list are
                unchanged.
        """
        stored = []
        for recording, features in pairs:
            _check_recording(recording, recording.name)
            arrays = {
                key: value for key, value in vars(features).items() if value is not None
            }
            _check_stored(arrays, recording.name)
            stored.append((recording, arrays))
        recordings = dict(self._recordings)
        for recording, arrays in stored:
            with replacing(_file(self.path, recording.id)) as path:
                np.savez_compressed(path, **arrays)
            recordings[recording.id] = recording
        text = io.StringIO()
        # Python 3.11 leaves a carriage return in a name without quotes.
        lines = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        lines.writerow(_COLUMNS)
        lines.writerows(
            [_text(value) for value in astuple(row)] for row in recordings.values()
        )
        # Keep the name as the system gave it: it need not be valid UTF-8.
        content = text.getvalue().encode(errors="surrogateescape")
        write_atomically(self.path / _LIST, content)
        self._recordings = recordings

    def close(self) -> None:
        """Release the lock."""
        self._lock.close()


def _file(folder: Path, id: str) -> Path:
    return folder / _FOLDER / f"{id}.npz"


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}"


def _code(amplitudes: np.ndarray, name: str) -> tuple[np.ndarray, tuple[float, float]]:
    """Return logarithmic codes (bins, T) of amplitudes, and their k and m."""
    k = float(amplitudes.mean(dtype=np.float64)) / 10
    if not k > 0:
        raise StoreError(f"{name} is silent")
    m = math.log1p(float(amplitudes.max()) / k)
    return np.rint(255 / m * np.log1p(amplitudes / k)).astype(np.uint8), (k, m)


def _check_shapes(arrays: dict[str, np.ndarray], name: str) -> None:
    count = arrays["cqt12"].shape[-1] if arrays["cqt12"].ndim == 2 else 0
    for key, values in arrays.items():
        expected = (_ROWS.get(key, PITCHES), count)
        if values.shape != expected or not count:
            raise StoreError(
                f"{name}: {key} has shape {values.shape}; expected "
                f"({expected[0]}, T), T the same for all and at least 1"
            )


def _check_labels(arrays: dict[str, np.ndarray], name: str) -> None:
    if ("notes" in arrays) != ("onsets" in arrays) or not arrays.keys() & set(_LABELS):
        found = [key for key in _LABELS if key in arrays]
        raise StoreError(
            f"{name}: {' and '.join(found) or 'nothing'} labelled; expected notes and "
            "onsets, the melody, or all three"
        )


def _check_stored(arrays: dict[str, np.ndarray], name: str) -> None:
    _check_labels(arrays, name)
    scale = arrays["scale"]
    if scale.shape != (2, 2) or not np.isfinite(scale).all():
        raise StoreError(
            f"{name}: scale is not four finite numbers (2, 2) but {scale.tolist()}"
        )
    bytes_ = {key: values for key, values in arrays.items() if key != "scale"}
    for key, values in bytes_.items():
        if values.dtype != np.uint8:
            raise StoreError(f"{name}: {key} is {values.dtype}; expected uint8")
    _check_shapes(bytes_, name)


def _check_recording(recording: LabelledRecording, name: str) -> None:
    if not _ID.fullmatch(recording.id):
        raise StoreError(
            f"{name}: id {recording.id!r}; expected letters, digits, - and _"
        )
    if not (math.isfinite(recording.seconds) and recording.seconds >= 0):
        raise StoreError(
            f"{name}: seconds {recording.seconds}; expected a finite length"
        )


def _read_list(path: Path) -> dict[str, LabelledRecording]:
    """Return the recordings by id, in the order of the list."""
    recordings: dict[str, LabelledRecording] = {}
    # Spreadsheets put a byte order mark before the header.
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if header != _COLUMNS:
            raise StoreError(
                f"{path}: has the columns {','.join(header)}; expected "
                + ",".join(_COLUMNS)
            )
        for row in lines:
            where = f"{path}:{lines.line_num}"
            if len(row) != len(_COLUMNS):
                raise StoreError(
                    f"{where}: has {len(row)} columns; expected {len(_COLUMNS)}"
                )
            values = dict(zip(_COLUMNS, row, strict=True))
            try:
                seconds = float(values.pop("seconds"))
            except ValueError as error:
                raise StoreError(f"{where}: seconds: {error}") from None
            recording = LabelledRecording(seconds=seconds, **values)
            _check_recording(recording, where)
            if recording.id in recordings:
                raise StoreError(f"{where}: {recording.id} is there twice")
            recordings[recording.id] = recording
    return recordings
