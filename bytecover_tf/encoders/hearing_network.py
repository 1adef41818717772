"""An exported encoder that reads notes, run on what the package's network hears.

Its graph hears the notes itself, with a copy of the network that `audio.hearing` runs.
A recording is heard for its chroma anyway, and to hear it again takes longer than the
rest of the encoder does. So the graph is cut behind the copy and reads what was heard.
What nobody has heard yet is heard here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from bytecover_tf.audio.chroma import note_means
from bytecover_tf.audio.hearing import BLOCK, Hearing
from bytecover_tf.encoders.graph_cut import cut
from bytecover_tf.encoders.runtimes import OnnxNetwork, onnx_session
from bytecover_tf.errors import EncoderError
from bytecover_tf.memory import returning_run

_TINY = 1e-12


class HearingNetwork(OnnxNetwork):
    """A graph from features and notes.

    Args:
        path: a graph from features that `python -m export` wrote.
        notes: its tensor (batch, 3, semitones, ceil(frames / 4)) of heard notes.
        hearing: the network that hears them.
        providers: as of `OnnxNetwork`.
        threads: as of `OnnxNetwork`.

    Attributes:
        hearing: `Hearing.checksum` of the network that hears the notes.

    Raises:
        EncoderError: as of `OnnxNetwork`, or the graph has no such tensor; or the
            network that hears cannot be read.
    """

    def __init__(
        self,
        path: Path,
        notes: str,
        hearing: Hearing,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self._notes, self._further = notes, (notes,)
        super().__init__(path, providers, threads)
        self.hearing = hearing.checksum
        self._open_ears = partial(onnx_session, hearing.path, providers, threads)

    @cached_property
    def _ears(self) -> Any:
        """The network that hears, opened on first use: most notes are heard before."""
        return self._open_ears()

    def _graph(self, path: str | Path) -> bytes:
        try:
            return cut(Path(path).read_bytes(), self._notes)
        except (OSError, ValueError) as error:
            raise EncoderError(f"{path}: cannot be loaded ({error})") from None

    def __call__(
        self, features: np.ndarray, notes: np.ndarray | None = None
    ) -> np.ndarray:
        """Return f_c (batch, dim).

        Args:
            features: (batch, n_bins, frames, 1).
            notes: float32 (batch, 3, semitones, ceil(frames / 4)) that were heard in
                them, as `Heard.notes`; None to hear them now.

        Raises:
            ValueError: the notes are of another length than the features.
        """
        values = np.ascontiguousarray(features[..., 0], np.float32)
        if notes is None:
            notes = self._hear(values)
        blocks = -(-values.shape[2] // BLOCK)
        if notes.shape[3] != blocks:
            raise ValueError(
                f"`notes` must be of {blocks} frames, as the features are. "
                f"Received: notes.shape={notes.shape}"
            )
        return self._run({self.source: values, self._notes: notes})

    def _hear(self, features: np.ndarray) -> np.ndarray:
        mean = features.mean(axis=(1, 2), keepdims=True)
        silence = -features.shape[2] % BLOCK
        relative = np.pad(features / (mean + _TINY), ((0, 0), (0, 0), (0, silence)))
        (heard,) = self._ears.run(None, {"magnitudes": relative}, returning_run())
        return note_means(heard)
