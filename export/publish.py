"""Put a trained encoder into the package, so that `load_encoder` knows it by name.

    python -m export.publish --encoder RUN --name bytecover-small --card CARD.md

The weights are rounded to float16, which halves the files, then exported and compared
as `python -m export` does. `encoder.keras` leaves its kernels to the ONNX file. The
result replaces the encoder of that name and the checksums in `bytecover_tf/weights`.
`--encoder NAME --name NAME` exports an encoder of the package anew; it keeps the
checksum by which catalogues know it, and what was fitted to it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bytecover_tf import cli
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.encoders import pretrained
from bytecover_tf.encoders.model_file import (
    encoder_file,
    load_model,
    save_beside_graph,
    save_model,
)
from bytecover_tf.errors import ConfigError
from bytecover_tf.files import (
    SUMS,
    JsonObject,
    content_hash,
    replacing,
    write_atomically,
)
from bytecover_tf.matching.calibration import FILE_NAMES
from export import require_export


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m export.publish",
        description=__doc__,
        formatter_class=cli.HelpFormatter,
    )
    parser.add_argument(
        "--encoder",
        required=True,
        metavar="RUN_OR_FILE",
        help="a run directory of train, or an encoder.keras",
    )
    parser.add_argument(
        "--name", required=True, help="name to publish it under; begins with bytecover-"
    )
    parser.add_argument(
        "--card",
        required=True,
        type=Path,
        help="Markdown file that tells users about it",
    )
    options = parser.parse_args(arguments)
    require_export()
    publish(options.encoder, options.name, options.card)
    return cli.OK


def publish(encoder: str | Path, name: str, card: Path) -> Path:
    """Write `weights/NAME` and return it.

    Args:
        encoder: a run directory or an `encoder.keras`.
        name: name of the folder.
        card: Markdown, copied beside the weights.

    Raises:
        ConfigError: the name is not such a name, or there is no card.
        EncoderError: there is no encoder.
        ParityError: its export differs from it.
    """
    from export.bundle import export
    from export.companions import LICENCE

    if not re.fullmatch(r"bytecover-[a-z0-9-]+", name):
        raise ConfigError(
            f"{name!r} is no name for an encoder of the package; expected bytecover- "
            "and lower-case letters, digits or hyphens"
        )
    if not card.is_file():
        raise ConfigError(f"{card}: there is no such file; expected the encoder's card")
    source, folder = encoder_file(encoder), pretrained.WEIGHTS / name
    with tempfile.TemporaryDirectory() as beside:
        if encoder != name:
            rounded = Path(beside, "encoder.keras")
            _write_rounded(source, rounded)
            source = rounded
        bundle = Path(beside, name)
        manifest = export(
            source,
            bundle,
            ("onnx",),
            ("features",),
            report=print,
            licence=LICENCE,
            shipped=True,
        )
        (graph,) = manifest["files"]
        shared = bundle / "encoder.keras"
        save_beside_graph(source, shared, bundle / graph["path"])
        _deflate(shared)
        shutil.copy(card, bundle / "README.md")
        if encoder != name:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
    files = sorted(
        path
        for path in pretrained.WEIGHTS.glob("*/*")
        # What may be written anew without the weights has no checksum.
        if path.name not in ("README.md", *FILE_NAMES)
    )
    lines = [f"{content_hash(p)}  {p.parent.name}/{p.name}\n" for p in files]
    write_atomically(pretrained.WEIGHTS / SUMS, "".join(lines))
    return folder


def _write_rounded(source: Path, path: Path) -> None:
    """Write an encoder with weights that float16 holds and facts for everybody."""
    model, info = load_model(source)
    for variable in model.variables:
        value = np.asarray(variable)
        variable.assign(value.astype(np.float16).astype(value.dtype))
    info = _public(info)
    save_model(model, path, Frontend.from_dict(info["frontend"]), info)


def _public(info: JsonObject) -> JsonObject:
    """Return facts without what only the machine that made the encoder has."""
    info = dict(info)
    if info.get("trained_on"):
        # The training recordings are drawn and nobody else has them.
        sets = Provenance.from_dict(info["trained_on"]).works
        nothing = dict.fromkeys(sets, frozenset[str]())
        info["trained_on"] = Provenance(nothing, is_whole=False).to_dict()
    for name in ("init", "teacher"):
        if info.get(name):
            info[name] = {"path": Path(info[name]["path"]).name, "trained_on": None}
    for name in ("members", "averaged"):
        if name in info:
            info[name] = [_public(part) for part in info[name]]
    return info


def _deflate(path: Path) -> None:
    """Compress the members of an archive, which Keras only stores."""
    with (
        replacing(path) as beside,
        zipfile.ZipFile(path) as stored,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as written,
    ):
        for member in stored.namelist():
            written.writestr(member, stored.read(member))


if __name__ == "__main__":
    cli.run(main)
