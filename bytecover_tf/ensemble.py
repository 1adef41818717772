"""The command line that joins encoders; the model is `models.ensemble.Ensemble`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Join encoders; return the exit status."""
    parser = cli.parser("ensemble", DESCRIPTION)
    parser.add_argument(
        "members",
        nargs="+",
        metavar="ENCODER",
        help="two or more encoders that read the same features: names of encoders that "
        "come with the package, run directories of train or .keras files",
    )
    parser.add_argument(
        "--shares",
        nargs="+",
        type=cli.positive_float,
        metavar="SHARE",
        help="how much the similarity of each counts, such as 2 1 (default: equally)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the .keras file to write",
    )
    options = parser.parse_args(arguments)
    cli.require_extra("train", "tensorflow", "keras", "librosa")

    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.data.provenance import Provenance
    from bytecover_tf.encoders.model_file import encoder_file, load_single, save_model
    from bytecover_tf.errors import ConfigError
    from bytecover_tf.models.ensemble import Ensemble

    if options.out.suffix != ".keras":
        raise ConfigError(f"--out {options.out}: the name must end in .keras")
    if len(options.members) < 2:
        raise ConfigError("an ensemble needs two encoders or more, not one")
    shares = options.shares
    if shares and len(shares) != len(options.members):
        raise ConfigError(
            f"--shares must be {len(options.members)} numbers, one for each "
            f"encoder, not {' '.join(f'{share:g}' for share in shares)}"
        )
    paths = [encoder_file(member) for member in options.members]
    models, infos = zip(*map(load_single, paths), strict=True)
    frontends = [Frontend.from_dict(info["frontend"]) for info in infos]
    for path, frontend in zip(paths, frontends, strict=True):
        frontends[0].check_same(frontend, str(path))
    model = Ensemble([model.encoder() for model in models], shares)
    model.build((None, frontends[0].n_bins, None, 1))
    seen = [info["trained_on"] for info in infos if info.get("trained_on")]
    merged = Provenance().merge(*map(Provenance.from_dict, seen))
    facts = {"members": infos, "trained_on": merged.to_dict() if seen else None}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_model(model, options.out, frontends[0], facts)
    print(f"{len(models)} encoders, {model.dim} values; written: {options.out}")
    return cli.OK


DESCRIPTION = """\
Join trained encoders into one that finds more, at the cost of all of them.

Their embeddings are put side by side. The similarity of two recordings becomes the mean
of the members' similarities, weighted by --shares. Join encoders that make different
mistakes, because they were trained separately, on other data, or on another input.
Nothing is trained. You can evaluate, index, calibrate and export the result like any
other encoder, but you cannot train it further.

examples:
  python -m bytecover_tf.ensemble runs/first runs/second --out both.keras
  python -m bytecover_tf.ensemble bytecover-small runs/second --shares 2 1 \\
      --out weighted.keras
"""


if __name__ == "__main__":
    cli.run(main)
