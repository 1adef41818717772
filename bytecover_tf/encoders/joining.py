"""Several encoders joined into one, with the facts that its file keeps of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.provenance import Provenance
from bytecover_tf.encoders.model_file import encoder_file, load_single
from bytecover_tf.errors import ConfigError
from bytecover_tf.models.ensemble import Ensemble


def join(
    members: Sequence[str], shares: Sequence[float] | None = None
) -> tuple[Ensemble, Frontend, dict[str, Any]]:
    """Join trained encoders into one.

    Args:
        members: two or more encoders that read the same features: names that come
            with the package, run directories or `.keras` files.
        shares: how much the similarity of each counts; None for all alike.

    Returns:
        The ensemble, the frontend that its members share, and the facts about it, as
        `save_model` takes them.

    Raises:
        ConfigError: there are fewer than two members, or not one share for each.
        EncoderError: a member cannot be read, or is an ensemble itself.
        FrontendMismatch: they read different features; the message names the file.
    """
    if len(members) < 2:
        raise ConfigError("an ensemble needs two encoders or more, not one")
    if shares and len(shares) != len(members):
        raise ConfigError(
            f"--shares must be {len(members)} numbers, one for each "
            f"encoder, not {' '.join(f'{share:g}' for share in shares)}"
        )
    paths = [encoder_file(member) for member in members]
    models, infos = zip(*map(load_single, paths), strict=True)
    frontends = [Frontend.from_dict(info["frontend"]) for info in infos]
    for path, frontend in zip(paths, frontends, strict=True):
        frontends[0].check_same(frontend, str(path))
    joined = Ensemble([model.encoder() for model in models], shares)
    joined.build((None, frontends[0].n_bins, None, 1))
    seen = [info["trained_on"] for info in infos if info.get("trained_on")]
    merged = Provenance().merge(*map(Provenance.from_dict, seen))
    trained_on = merged.to_dict() if seen else None
    return joined, frontends[0], {"members": infos, "trained_on": trained_on}
