"""A catalogue of recordings, and an encoder that made it, to be measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bytecover_tf.catalogues.finding import find_files
from bytecover_tf.catalogues.indexing import index_files
from bytecover_tf.catalogues.opening import open_to_index


def fill_catalogue(
    address: str | Path, sources: Iterable[str | Path], encoder: str | None = None
) -> None:
    """Put recordings into a catalogue, as the command `index` does.

    Args:
        address: of the catalogue, which is made if there is none.
        sources: folders and files.
        encoder: what `load_encoder` takes; by default as `open_to_index` chooses it.

    Raises:
        RuntimeError: a file cannot be indexed.
    """
    catalogue, load = open_to_index(address, encoder)
    with catalogue:
        report = index_files(catalogue, load, find_files(sources).paths)
        if report.failed:
            raise RuntimeError(
                f"cannot be indexed: {'; '.join(report.failed.values())}"
            )
        catalogue.optimize()


def write_encoder(path: Path) -> None:
    """Write an untrained network of the paper's size as ONNX."""
    from bytecover_tf.audio.frontend import Frontend
    from bytecover_tf.models.bytecover import ByteCover
    from export import onnx_graphs
    from export.graphs import Graphs

    model, frontend = ByteCover(), Frontend()
    model.build((None, 84, None, 1))
    facts = {
        "frontend": frontend.to_dict(),
        "dim": model.dim,
        "encoder_sha256": "untrained",
    }
    graph = onnx_graphs.convert(Graphs(model, frontend).network)
    onnx_graphs.write(graph, path, facts)
