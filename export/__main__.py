"""The command line of export; the work is in `export.bundle`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from bytecover_tf import cli
from bytecover_tf.encoders.pretrained import DEFAULT
from bytecover_tf.errors import ConfigError
from export import DEFAULT_FORMATS, FORMATS, INPUTS, PRECISIONS, require_export


def main(arguments: Sequence[str] | None = None) -> int:
    """Export an encoder, or a network that hears notes; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description=DESCRIPTION,
        formatter_class=cli.HelpFormatter,
    )
    exported = parser.add_mutually_exclusive_group()
    exported.add_argument(
        "--encoder",
        default=DEFAULT,
        metavar="NAME|PATH",
        help="the encoder to export: the name of one that comes with the package, a "
        "run directory of train, or an encoder.keras (default: %(default)s)",
    )
    exported.add_argument(
        "--hearing",
        type=Path,
        metavar="FILE",
        help="a hearing.keras of train_hearing to export in place of an encoder",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the folder to make; with --hearing, a name that ends in .onnx makes the "
        "one file that `index --hearing` reads instead",
    )
    for name, choices, default, help in (
        ("--formats", FORMATS, DEFAULT_FORMATS, "formats to write"),
        ("--inputs", INPUTS, INPUTS, "inputs that it takes"),
        (
            "--precision",
            PRECISIONS,
            ("float32",),
            "precisions of ONNX and LiteRT; the latter has no float16",
        ),
    ):
        parser.add_argument(
            name,
            type=_several(choices),
            default=",".join(default),
            metavar="LIST",
            help=f"{help}, one or more of {','.join(choices)}",
        )
    parser.add_argument(
        "--licence",
        default="",
        metavar="SPDX",
        help="its licence, such as CC-BY-4.0, for the manifest and the files",
    )
    options = parser.parse_args(arguments)
    require_export()
    if "tflite" in options.formats:
        cli.require_extra("export", "ai_edge_litert")

    if options.hearing and options.out.suffix == ".onnx":
        defaults = parser.parse_args(["--out", str(options.out)])
        for name in ("formats", "inputs", "precision", "licence"):
            if getattr(options, name) != getattr(defaults, name):
                raise ConfigError(
                    f"--{name} is for folders; {options.out} would be the one file "
                    "that `index --hearing` reads"
                )
        from export.hearing import export_hearing_file

        difference = export_hearing_file(options.hearing, options.out)
        print(f"written: {options.out}, within {difference:.1e} of the model")
        return cli.OK

    asked = (options.out, options.formats, options.inputs, options.precision)
    if options.hearing:
        from export.hearing_bundle import export_hearing_bundle

        export_hearing_bundle(options.hearing, *asked, print, options.licence)
        print(f"written: {options.out}")
        return cli.OK

    from export.bundle import export

    export(options.encoder, *asked, print, options.licence)
    print(f"written: {options.out}")
    print(f'use it: bytecover_tf.load_encoder("{options.out}")')
    return cli.OK


def _several(choices: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(text.split(",")))
        for name in chosen:
            if name not in choices:
                raise argparse.ArgumentTypeError(
                    f"{name!r} is none of {', '.join(choices)}"
                )
        return chosen

    return parse


DESCRIPTION = """\
Write an encoder as files that run without this package: SavedModel, ONNX, LiteRT.
--hearing writes the network that hears notes instead.

Each file is run beside the model on music, at several lengths and batch sizes. If one
differs by more than the tolerance, nothing is written. manifest.json in the
folder has the features' parameters, checksums and the measured differences.

  saved_model/1             TensorFlow, TensorFlow Serving; float32
  encoder.tflite            LiteRT, with both signatures, if --formats has tflite
  encoder_features.onnx     pooled constant-Q features in, embedding out
  encoder_waveform.onnx     mono samples at the encoder's rate in, embedding out
  hearing_*                 the same with --hearing; probabilities of notes out

float16 halves an ONNX file and is meant for GPUs. int8 makes it two to four times
smaller and, on processors with VNNI, faster; the command measures how much MAP this
costs on the embedded data set, with the ONNX file that reads features.

examples:
  python -m export --encoder runs/tunes-quick --out bundle --precision float32,int8
  python -m export --hearing runs/hearing/hearing.keras --out notes
  python -m export --hearing runs/hearing/hearing.keras --out hearing.onnx
"""


if __name__ == "__main__":
    cli.run(main)
