"""Networks as files that other programs run: SavedModel, ONNX and LiteRT.

python -m export --encoder RUN_OR_FILE --out DIR
python -m export --hearing FILE --out DIR
"""

import os

from bytecover_tf.errors import ConfigError
from bytecover_tf.extras import require_extra

FORMATS = ("saved_model", "onnx", "tflite")
DEFAULT_FORMATS = ("saved_model", "onnx")
INPUTS = ("features", "waveform")
PRECISIONS = ("float32", "float16", "int8")


def require_export() -> None:
    """Make sure that what exports is installed.

    Raises:
        ConfigError: it is not, or Keras is to use another backend than TensorFlow.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise ConfigError(
            f"exporting takes TensorFlow, but KERAS_BACKEND is {backend}; unset it"
        )
    require_extra("export", "tensorflow", "keras", "librosa", "tf2onnx", "sympy")
