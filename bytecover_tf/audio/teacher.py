"""Basic Pitch as a teacher: which notes sound in a recording, and where they begin.

Only labelling needs it; inference does not. We read the weights of an installed
`basic_pitch` package but do not import its code, which would need TensorFlow and most
of the package's requirements.

Reference:
    Bittner et al., "A lightweight instrument-agnostic model for polyphonic note
    transcription and multipitch estimation", ICASSP 2022
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bytecover_tf.errors import ConfigError

SAMPLE_RATE = 22050
HOP = 256
"""Samples between two frames."""
PITCHES = 88
"""Number of pitches, from A0 (MIDI note 21) up."""
INSTALL = "pip install --no-deps basic-pitch==0.4.0"
"""Without its dependencies, which ask for another TensorFlow and NumPy."""

# The network reads windows of 172 frames. The outer 15 on each side lack context and
# are dropped, which leaves 142.
_WINDOW = 43844
_EDGE = 15
_KEPT = 142
_INPUT = "serving_default_input_2:0"
_OUTPUTS = ("StatefulPartitionedCall:1", "StatefulPartitionedCall:2")
# Windows that are run together; more do not make it faster.
_BATCH = 8


def teacher_file() -> Path:
    """Return the ONNX file of the installed `basic_pitch` package.

    Raises:
        ConfigError: the package or the file is not there. The message says how to
            install it.
    """
    spec = find_spec("basic_pitch")
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        raise ConfigError(f"the teacher needs Basic Pitch; {INSTALL}")
    path = Path(places[0], "saved_models", "icassp_2022", "nmp.onnx")
    if not path.is_file():
        raise ConfigError(f"{path}: expected the teacher's network; {INSTALL}")
    return path


class Teacher:
    """Hears the notes of recordings.

    Basic Pitch's own program moves its windows by 36 164 samples and keeps 142 frames
    of 256 samples of each: its frames run late, by a second after 200, and it corrects
    the times of notes afterwards. Here a window moves by exactly the frames that are
    kept, so frame `i` is centred on sample `256 i` however long the recording is.

    Args:
        path: the ONNX file; by default that of the installed package.
        threads: number of threads for one operation; by default one per core.

    Raises:
        ConfigError: there is no teacher, or the file holds another network.
    """

    def __init__(self, path: Path | None = None, threads: int | None = None) -> None:
        import onnxruntime

        path = path or teacher_file()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its classes share no root of their own
            raise ConfigError(f"{path}: cannot be loaded ({error})") from None
        names = {item.name for item in self._session.get_outputs()}
        if not names.issuperset(_OUTPUTS):
            raise ConfigError(
                f"{path}: has the outputs {', '.join(sorted(names))}; expected those "
                f"of Basic Pitch 0.4.0; {INSTALL}"
            )

    def listen(
        self, samples: np.ndarray, frames: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how likely each pitch sounds, and begins, in each frame.

        Args:
            samples: float array (samples,) at `SAMPLE_RATE`, not empty.
            frames: how many to return; by default those centred on a sample that is
                there. Silence follows the last sample.

        Returns:
            Probabilities of notes and of onsets, float32 (`PITCHES`, frames) each;
            frame `i` is centred on sample `HOP * i`.
        """
        if frames is None:
            frames = -(-len(samples) // HOP)
        count = -(-frames // _KEPT)
        padded = np.zeros((count - 1) * _KEPT * HOP + _WINDOW, np.float32)
        heard = samples[: len(padded) - _EDGE * HOP]
        padded[_EDGE * HOP :][: len(heard)] = heard
        windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)
        windows = windows[:: _KEPT * HOP]
        kept: list[list[np.ndarray]] = [[] for _ in _OUTPUTS]
        for start in range(0, count, _BATCH):
            batch = np.ascontiguousarray(windows[start : start + _BATCH, :, None])
            outputs = self._session.run(_OUTPUTS, {_INPUT: batch})
            for part, output in zip(kept, outputs, strict=True):
                part.append(output[:, _EDGE : _EDGE + _KEPT].reshape(-1, PITCHES))
        notes, onsets = (np.concatenate(part)[:frames].T for part in kept)
        return notes, onsets
