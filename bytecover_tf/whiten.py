"""The command line of whitening; the work is in `bytecover_tf.encoders.whitening`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bytecover_tf import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Whiten an encoder; return the exit status."""
    parser = cli.parser("whiten", DESCRIPTION)
    cli.add_encoder_argument(parser, "; an export alone will not do", required=True)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the .keras file to write",
    )
    parser.add_argument(
        "--dim",
        type=cli.positive_int,
        metavar="N",
        help="number of values to keep of an embedding, the best ones (default: all)",
    )
    parser.add_argument(
        "--shrinkage",
        type=float,
        default=0.25,
        help="between 0 and 1; the fewer recordings, the more",
    )
    cli.add_data_arguments(parser, default=None)
    options = parser.parse_args(arguments)
    cli.require_extra("train", "tensorflow", "keras", "librosa", "scipy")

    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.data.features import default_store, open_features
    from bytecover_tf.data.provenance import Provenance
    from bytecover_tf.encoders.encoder import Encoder
    from bytecover_tf.encoders.model_file import encoder_file, load_single, save_model
    from bytecover_tf.encoders.runtimes import KerasNetwork
    from bytecover_tf.encoders.whitening import (
        check_network,
        check_shrinkage,
        discriminants,
        embed_tracks,
        whitened,
    )
    from bytecover_tf.errors import ConfigError
    from bytecover_tf.evaluation.protocol import (
        check_unseen,
        choose_split,
        describe,
        evaluate_tracks,
    )

    if options.out.suffix != ".keras":
        raise ConfigError(f"--out {options.out}: the name must end in .keras")
    check_shrinkage(options.shrinkage)
    model, info = load_single(encoder_file(options.encoder))
    check_network(model)
    frontend = Frontend.from_dict(info["frontend"])
    if options.dim is not None and not 1 <= options.dim <= model.dim:
        raise ConfigError(f"--dim must be 1 to {model.dim}, not {options.dim}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    tracks = cli.read_tracks(options)
    wanted = [
        track
        for split in ("train", "validation")
        for track in choose_split(tracks, split)
    ]
    usable, store = open_features(
        wanted,
        options.features or default_store(options.data, options.data_root, frontend),
        frontend,
        options.workers,
        options.source_pool,
        options.allow_truncated,
    )
    train, validation = (
        choose_split(usable, split) for split in ("train", "validation")
    )
    before = Encoder(KerasNetwork(model, frontend), info)
    check_unseen(before, options.data, validation, store)

    embeddings = embed_tracks(before, train, store)
    matrix = discriminants(
        embeddings, [track.work for track in train], options.shrinkage
    )
    result = whitened(model, matrix[:, : options.dim])
    after = Encoder(KerasNetwork(result, frontend))
    for name, encoder in (("before", before), ("whitened", after)):
        figures = evaluate_tracks(encoder, validation, store).metrics
        print(f"{name}, {encoder.dim} values, validation works: {describe(figures)}")
    facts = {
        **info,
        "config": {**info.get("config", {}), "embedding_dim": after.dim},
        "validation": figures,
        "trained_on": Provenance.of(options.data, train, store)
        .merge(Provenance.from_dict(info.get("trained_on")))
        .to_dict(),
        "whitening": {
            "data": options.data,
            "recordings": len(train),
            "shrinkage": options.shrinkage,
        },
    }
    save_model(result, options.out, frontend, facts)
    print(f"written: {options.out}")
    return cli.OK if len(usable) == len(wanted) else cli.SOME_FAILED


DESCRIPTION = """\
Add a last linear map to a trained encoder, and shorten its embeddings.

Linear discriminant analysis fits the map on the recordings of a data set's train split:
directions in which versions of a work differ count less afterwards. The map becomes
part of the network. The command shows MAP on the validation split without and with it.
Nothing is trained; the command only embeds all these recordings.

examples:
  python -m bytecover_tf.whiten --encoder runs/packed-small --data packed \\
      --data-root drawn --dim 384 --out whitened.keras
"""


if __name__ == "__main__":
    cli.run(main)
