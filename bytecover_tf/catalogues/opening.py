"""Opening a catalogue, alone or with the encoder that made it.

The address chooses the kind: a folder holds an embedded LanceDB table,
`milvus://host:port/collection` names a collection on a server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bytecover_tf.audio.hearing import DEFAULT_HEARING, Hearing, named_hearing
from bytecover_tf.catalogues.catalogue import Catalogue, CatalogueMissing
from bytecover_tf.catalogues.identity import Identity
from bytecover_tf.catalogues.segments import Segmenting
from bytecover_tf.encoders.encoder import Encoder, load_encoder
from bytecover_tf.encoders.model_file import encoder_checksum
from bytecover_tf.encoders.pretrained import FINDS_MOST
from bytecover_tf.errors import ByteCoverError, CatalogueError
from bytecover_tf.terminal import warn, without_password


def open_catalogue(
    address: str | Path, identity: Identity | None = None, create: bool = False
) -> Catalogue:
    """Open a catalogue, or make one.

    Args:
        address: a folder, or `milvus://host:port/collection`.
        identity: of the encoder that will search or add; None accepts the catalogue's
            own.
        create: whether to make a catalogue of this identity if there is none.

    Raises:
        CatalogueMissing: there is no catalogue.
        CatalogueError: it cannot be opened, or was made with another encoder.
        FrontendMismatch: it was made with another frontend.
    """
    address = str(address)
    catalogue: Catalogue
    made_as = identity if create else None
    if address.startswith("milvus://"):
        from bytecover_tf.catalogues.milvus import MilvusCatalogue

        catalogue = MilvusCatalogue(address, made_as)
    elif "://" in address:
        raise CatalogueError(
            f"{without_password(address)}: expected a folder or milvus://host:port/collection"
        )
    else:
        from bytecover_tf.catalogues.lance import LanceCatalogue

        catalogue = LanceCatalogue(address, made_as)
    if identity is not None:
        identity.check_same(catalogue.identity, catalogue.address)
    return catalogue


def open_with_encoder(
    address: str | Path,
    encoder: str | Path | None = None,
    hearing: Hearing | None = None,
) -> tuple[Catalogue, Encoder]:
    """Open a catalogue together with the encoder that made it.

    Args:
        address: as `open_catalogue` takes it.
        encoder: what `load_encoder` takes; by default from where it was when the
            catalogue was made.
        hearing: the network that heard the notes; by default likewise.

    Raises:
        CatalogueError: there is no catalogue, or another encoder made it, or another
            network heard its notes.
        EncoderError: the encoder or the network that hears notes is missing.
    """
    catalogue = open_catalogue(address)
    try:
        if hearing is not None:
            identity = catalogue.identity.with_hearing(hearing, catalogue.address)
            catalogue.identity = identity
        return catalogue, encoder_of(catalogue, encoder)
    except ByteCoverError:
        catalogue.close()
        raise


def open_to_index(
    address: str | Path,
    encoder: str | Path | None = None,
    segmenting: Segmenting | None = None,
    hearing: str | None = None,
) -> tuple[Catalogue, Callable[[], Encoder]]:
    """Open a catalogue, or make it, together with what loads its encoder.

    Loading an encoder is slow, so it is put off if the checksum already shows that the
    encoder made the catalogue.

    Args:
        address: as `open_catalogue` takes it.
        encoder: what `load_encoder` takes; by default from where it was when the
            catalogue was made, or `bytecover-base` for a new one.
        segmenting: windows that are embedded too; None for those of the catalogue, or
            for none in a new one.
        hearing: file of a network that hears the notes, or `none`; None for that of
            the catalogue, or of the package for a new one.

    Raises:
        CatalogueError: the catalogue was made with something else.
        EncoderError: there is no encoder.
    """
    try:
        catalogue = open_catalogue(address)
    except CatalogueMissing:
        path = encoder or FINDS_MOST
        loaded = load_encoder(path)
        heard_by = named_hearing(hearing) if hearing else DEFAULT_HEARING
        identity = Identity.of(loaded, path, segmenting, heard_by)
        return open_catalogue(address, identity, create=True), lambda: loaded
    found = catalogue.identity
    if hearing:
        found = found.with_hearing(named_hearing(hearing), catalogue.address)
        catalogue.identity = found
    elif not found.hearing:
        warn(
            f"{catalogue.address}: made without hearing notes, which finds fewer "
            "versions; index the files into a new catalogue to find more"
        )
    path = encoder or found.encoder_path
    if encoder_checksum(path) == found.encoder and segmenting is None:
        return catalogue, lambda: load_encoder(path)
    loaded = encoder_of(catalogue, path, segmenting)
    return catalogue, lambda: loaded


def encoder_of(
    catalogue: Catalogue,
    encoder: str | Path | None = None,
    segmenting: Segmenting | None = None,
) -> Encoder:
    """Load the encoder that made a catalogue.

    Args:
        catalogue: what it made.
        encoder: what `load_encoder` takes; by default from where it was when the
            catalogue was made.
        segmenting: what the catalogue must hold; by default what it does.

    Raises:
        CatalogueError: another encoder made it, or it has other segments.
        EncoderError: there is no encoder.
    """
    found = catalogue.identity
    path = encoder or found.encoder_path
    loaded = load_encoder(path)
    identity = Identity.of(loaded, path, segmenting or found.segmenting, None)
    # The network that hears notes is looked for when something is to be heard.
    identity = replace(identity, hearing=found.hearing)
    identity.check_same(found, catalogue.address)
    return loaded
