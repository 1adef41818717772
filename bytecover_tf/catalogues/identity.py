"""What a catalogue was made with: encoder, segments, network that hears notes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bytecover_tf.audio.chroma import HEARD_PARTS
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Hearing
from bytecover_tf.catalogues.segments import Segmenting
from bytecover_tf.encoders.model_file import encoder_checksum
from bytecover_tf.encoders.pretrained import lasting
from bytecover_tf.errors import CatalogueError, EncoderError

if TYPE_CHECKING:
    from bytecover_tf.encoders.encoder import Encoder


# Format 1 had no chroma, format 2 the transform's chroma alone. Raise the number when
# chroma is computed in another way.
_FORMAT = 3
_READ = (2, 3)
_KEEPING = "to keep works and decisions, see docs/encoders.md"


@dataclass(frozen=True)
class Identity:
    """What two catalogues must share for their embeddings to be comparable.

    Attributes:
        encoder: what `encoder_checksum` returns of the encoder's `.keras` file, even
            if an export of it made the embeddings.
        frontend: parameters of the features that the encoder reads.
        dim: size of an embedding.
        segmenting: which segments have an embedding of their own.
        hearing: `Hearing.checksum` of the network that heard the notes; empty if the
            chroma is that of the transform alone.
        encoder_path: the encoder's path or name when the catalogue was made; shown to
            the user, not compared.
        hearing_path: likewise the path of the network that heard the notes; empty for
            the package's own.
    """

    encoder: str
    frontend: Frontend
    dim: int
    segmenting: Segmenting = field(default_factory=Segmenting)
    hearing: str = ""
    encoder_path: str = field(default="", compare=False)
    hearing_path: str = field(default="", compare=False)

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        path: str | Path,
        segmenting: Segmenting | None = None,
        hearing: Hearing | None = DEFAULT_HEARING,
    ) -> Identity:
        """Return the identity of a catalogue that an encoder makes.

        Args:
            encoder: as `load_encoder` returned it.
            path: what `load_encoder` was given.
            segmenting: which segments are embedded; by default whole recordings.
            hearing: the network that hears the notes; None for chroma of
                the transform alone.

        Raises:
            EncoderError: an export does not say which encoder it was made from, the
                encoder reads waveforms only, or the network that hears notes is
                missing.
            ConfigError: the network does not hear at the rate of the features.
        """
        if encoder.reads_samples:
            raise EncoderError(
                f"{path}: reads waveforms only; a catalogue needs one that reads "
                "features, such as `python -m export --inputs features` makes"
            )
        checksum = encoder.info.get("encoder_sha256") or encoder_checksum(path)
        if checksum is None:
            raise EncoderError(f"{path}: does not say which encoder it was made from")
        heard_by, heard_at = _hearing_facts(hearing)
        if hearing is not None:
            hearing.check_rate(encoder.frontend)
        return cls(
            checksum,
            encoder.frontend,
            encoder.dim,
            segmenting or Segmenting(),
            heard_by,
            lasting(path),
            heard_at,
        )

    @property
    def parts(self) -> int:
        """How many parts of twelve pitch classes the chroma has."""
        return HEARD_PARTS if self.hearing else 1

    def load_hearing(self, where: str) -> Hearing | None:
        """Return the network that heard the notes, or None if none did.

        Args:
            where: names the catalogue.

        Raises:
            CatalogueError: the network is another one, or gone.
        """
        if not self.hearing:
            return None
        hearing = Hearing(self.hearing_path) if self.hearing_path else DEFAULT_HEARING
        try:
            found = hearing.checksum
        except EncoderError as error:
            advice = "; give its new path with --hearing" if self.hearing_path else ""
            raise CatalogueError(f"{where}: {error}{advice}") from None
        if found != self.hearing:
            raise CatalogueError(
                f"{where}: its notes were heard by another network (SHA-256 "
                f"{self.hearing[:12]}) than {hearing.path} ({found[:12]}); give "
                "the path of the former with --hearing, or index the files into a new "
                "catalogue"
            )
        # The file may be replaced while it is in use.
        return replace(hearing, expected=found)

    def with_hearing(self, hearing: Hearing | None, where: str) -> Identity:
        """Return the identity of a catalogue whose hearing network was moved.

        Args:
            hearing: the network where it is now; None for a catalogue without.
            where: names the catalogue.

        Raises:
            CatalogueError: its notes were heard by another network.
            EncoderError: there is no network.
        """
        heard_by, heard_at = _hearing_facts(hearing)
        found = replace(self, hearing=heard_by, hearing_path=heard_at)
        found.check_same(self, where)
        return found

    def to_json(self) -> str:
        """Return the identity as JSON."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> Identity:
        """Build an identity from `to_json`'s result.

        Args:
            text: JSON.
            where: names the catalogue.

        Raises:
            CatalogueError: a catalogue of another format, such as one without chroma.
            ValueError, KeyError, TypeError, ConfigError: the text is something else.
        """
        values = json.loads(text)
        found = values.pop("format", 1)
        if found not in _READ:
            raise CatalogueError(
                f"{where}: a catalogue of format {found}, this version reads "
                f"{' and '.join(map(str, _READ))}; index the files into a new catalogue"
            )
        frontend = Frontend.from_dict(values.pop("frontend"))
        segmenting = Segmenting(**values.pop("segmenting"))
        for name, value in values.items():
            if not isinstance(value, int if name == "dim" else str):
                raise TypeError(f"{name} is {value!r:.40}")
        return cls(**values, frontend=frontend, segmenting=segmenting)

    def check_same(self, found: Identity, where: str) -> None:
        """Refuse the identity of a catalogue that is not this one.

        Args:
            found: what the catalogue was made with.
            where: names the catalogue.

        Raises:
            CatalogueError: it was made with another encoder, other segments, or
                another hearing network.
            FrontendMismatch: its features were made with another frontend.
        """
        advice = "use what it was made with, or make another catalogue"
        if (self.encoder, self.dim) != (found.encoder, found.dim):
            if self.encoder_path == found.encoder_path:
                raise CatalogueError(
                    f"{where}: made with another version of the encoder "
                    f"{found._encoder_name} than this one (SHA-256 "
                    f"{self.encoder[:12]}); index the files into a new catalogue; "
                    f"{_KEEPING}"
                )
            raise CatalogueError(
                f"{where}: made with the encoder {found._encoder_name}, "
                f"not with {self._encoder_name}; {advice}; {_KEEPING}"
            )
        if self.segmenting != found.segmenting:
            raise CatalogueError(
                f"{where}: holds {found.segmenting}, not {self.segmenting}; {advice}"
            )
        if self.hearing != found.hearing:
            raise CatalogueError(
                f"{where}: {found._hearing_name}, not {self._hearing_name}; {advice}"
            )
        self.frontend.check_same(found.frontend, where)

    @property
    def _hearing_name(self) -> str:
        if not self.hearing:
            return "made without hearing notes"
        return f"made with the hearing network of SHA-256 {self.hearing[:12]}"

    @property
    def _encoder_name(self) -> str:
        return f"{self.encoder_path} (SHA-256 {self.encoder[:12]}, dim {self.dim})"


def _hearing_facts(hearing: Hearing | None) -> tuple[str, str]:
    """Return a hearing network's checksum, and its path unless it is the package's."""
    if hearing is None:
        return "", ""
    is_shipped = hearing == DEFAULT_HEARING
    return hearing.checksum, "" if is_shipped else os.path.abspath(hearing.path)
