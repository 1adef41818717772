"""Checkpoints written before network and training were classes of their own.

They hold a single model, a `ByteCover`, with the settings of network and losses in one
list and the weights of both.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from bytecover_tf.files import JsonObject
from bytecover_tf.models.objective import Objective
from bytecover_tf.settings import take


def upgrade(saved: JsonObject, weights: Path) -> None:
    """Turn a former checkpoint into one of a `Learner`, in place.

    Args:
        saved: its `config.json`.
        weights: its HDF5 file of weights.
    """
    import h5py

    settings = saved["config"]
    saved["config"] = {
        "network": {**saved, "build_config": None, "compile_config": None},
        "objective": asdict(take(Objective, settings)),
        "num_works": settings["num_works"],
    }
    with h5py.File(weights, "r+") as file:
        file.create_group("network")
        # The layers after the backbone are the only others.
        for name in {"backbone", "layers"} & set(file):
            file.move(name, f"network/{name}")
        # Keras looks for it among the layers of the new model.
        file.move("network", "layers/byte_cover")
