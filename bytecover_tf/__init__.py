"""Cover song identification with ByteCover in Keras and TensorFlow.

Public names are imported when first used, so that importing the package, or
asking a command for help, does not load TensorFlow.
"""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# On processors without AVX-512, TensorFlow leaves oneDNN's faster convolutions off
# unless asked before it is loaded; see benchmarks/results/training.md.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_PUBLIC = {
    "ByteCover": "bytecover_tf.models.bytecover",
    "ByteCoverError": "bytecover_tf.errors",
    "Catalogue": "bytecover_tf.catalogues",
    "Config": "bytecover_tf.training.config",
    "FeatureStore": "bytecover_tf.stores.feature_store",
    "Frontend": "bytecover_tf.audio.frontend",
    "ResNetIBN": "bytecover_tf.models.resnet_ibn",
    "Track": "bytecover_tf.data.track",
    "load_audio": "bytecover_tf.audio.decoding",
    "load_dataset": "bytecover_tf.data",
    "load_encoder": "bytecover_tf.encoders.encoder",
    "open_catalogue": "bytecover_tf.catalogues",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
