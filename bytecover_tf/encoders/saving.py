"""Copies an encoder into a folder of its own, to be passed on or loaded from there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bytecover_tf.encoders.model_file import graph_with_kernels
from bytecover_tf.encoders.runtimes import MANIFEST
from bytecover_tf.errors import EncoderError
from bytecover_tf.files import json_object

_KERAS = "encoder.keras"
# Where the files lie until all are there.
_PART = ".encoder.part"
# What belongs to an encoder, if it lies beside the file.
_BESIDE = ("calibration.json", "calibration-notes.json", "README.md", "LICENSE")


def copy_encoder(source: Path, folder: Path) -> None:
    """Make a folder that `load_encoder` reads as the same encoder.

    Of a training run it holds the trained encoder alone, of a bundle everything.

    Args:
        source: what the encoder was loaded from, with its name resolved.
        folder: must not exist, or be empty.

    Raises:
        EncoderError: `folder` holds something, or a folder cannot hold this encoder.
        OSError: it cannot be written. No new folder is left.
    """
    is_there = folder.exists()
    if is_there and not (folder.is_dir() and {*folder.iterdir()} <= {folder / _PART}):
        raise EncoderError(
            f"{folder}: is not empty; an encoder needs a folder of its own"
        )
    folder = folder.resolve()
    # A folder that is there may be a file system of its own, such as a container's
    # volume; nothing can be moved into it from outside.
    beside = folder / _PART if is_there else folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if (source / MANIFEST).is_file():
            shutil.copytree(source, beside)
        else:
            beside.mkdir(parents=True)
            for file, name in _files(source).items():
                shutil.copy(file, beside / name)
        if is_there:  # somebody may be in it, so that it has to stay
            for path in beside.iterdir():
                os.replace(path, folder / path.name)
        else:
            os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _files(source: Path) -> dict[Path, str]:
    """Return the files to copy and what to call them."""
    if source.is_dir():
        source = source / _KERAS
    if source.suffix == ".keras":
        found = {source: _KERAS}
        if graph := graph_with_kernels(source):
            found[graph] = graph.name
    else:
        manifest = source.with_name(MANIFEST)
        if not manifest.is_file():
            raise EncoderError(
                f"{source}: {MANIFEST} is not beside it; copy the file itself, or save "
                "the encoder that it was exported from"
            )
        listed = json_object(manifest.read_bytes(), manifest, EncoderError)["files"]
        if source.name not in [item["path"] for item in listed]:
            raise EncoderError(f"{source}: is not listed in {manifest}")
        found = {source: source.name, manifest: MANIFEST}
    for name in _BESIDE:
        if (file := source.with_name(name)).is_file():
            found[file] = name
    return found
