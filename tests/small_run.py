"""A small training run, and what it is given."""

import numpy as np

from bytecover_tf.data.provenance import Provenance
from bytecover_tf.encoders.model_file import save_model
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.training.config import Config, override

SMALL = override(
    Config(),
    [
        "blocks=(1, 1, 1, 1)",
        "width=4",
        "works_per_batch=4",
        "versions_per_work=3",
        "crop_frames=(16,)",
        "augment.transpose=0.5",
        "learning_rate=1e-3",
        "warmup_steps=3",
        "decay=cosine",
        "steps_per_epoch=6",
        "epochs=4",
    ],
)


def manifest(tracks, store, folder):
    lines = ["id,work,path,split"]
    for track in tracks:
        path = folder / f"{track.id}.npy"
        np.save(path, store.features(track.path))
        lines.append(f"{track.id},{track.work},{path.name},{track.split}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder / "manifest.csv"


def given_encoder(path, store, tracks):
    """An encoder with weights of its own, as if it had been trained on the tracks."""
    model = ByteCover(SMALL.architecture)
    model.build((None, 84, None, 1))
    seen = Provenance.of("small", tracks, store).to_dict()
    save_model(model, path, store.frontend, {"trained_on": seen})
    return path
