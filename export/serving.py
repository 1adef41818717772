"""What a TensorFlow Serving server reads beside a SavedModel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from export import protos

# Most rows in one request, to a server that batches and from our client.
MAX_BATCH = 8

_MODELS = """\
# tensorflow_model_server --model_config_file=models.config
# The base path holds one directory per version; the highest number is served.
model_config_list {{
  config {{
    name: "{model}"
    base_path: "/models/{model}"
    model_platform: "tensorflow"
  }}
}}
"""

_BATCHING = f"""\
# tensorflow_model_server --enable_batching --batching_parameters_file=...
# Only for servers whose requests all have the same number of frames (or samples):
# requests that wait together are joined into one batch, and if their lengths
# differ, all of them fail with FAILED_PRECONDITION. That message suggests
# pad_variable_length_inputs. Leave it off: padding changes the statistics of a
# recording and so the results, without an error.

# A request with more rows is refused with INVALID_ARGUMENT.
max_batch_size {{ value: {MAX_BATCH} }}
# How long a request waits for others.
batch_timeout_micros {{ value: 2000 }}
# One batch already uses all cores.
num_batch_threads {{ value: 2 }}
# Beyond this many waiting batches, requests fail with UNAVAILABLE.
max_enqueued_batches {{ value: 64 }}
# allowed_batch_sizes is left out: rows to fill up a batch are computed in vain.
"""


def write_serving_files(
    bundle: Path,
    warmup: Mapping[str, Iterable[np.ndarray]],
    model: str = "bytecover",
    output: str = "embedding",
) -> list[Path]:
    """Write a server's configuration and warm-up requests into a bundle.

    A server runs the warm-up requests before it reports the model as available, so
    that no user's request pays for the first run's set-up.

    Args:
        bundle: directory with the model in `saved_model/1`.
        warmup: by signature name (`features` with arrays (84, frames),
            `serving_default` with arrays (samples,)), real inputs to send one by
            one.
        model: name under which to serve it.
        output: name of the output that they ask for.

    Returns:
        The files written: `models.config`, `batching_parameters.txt` and
        `saved_model/1/assets.extra/tf_serving_warmup_requests`, a TFRecord file of
        `PredictionLog`
        (https://www.tensorflow.org/tfx/serving/saved_model_warmup).
    """
    import tensorflow as tf

    models = bundle / "models.config"
    models.write_text(_MODELS.format(model=model))
    batching = bundle / "batching_parameters.txt"
    batching.write_text(_BATCHING)
    requests = bundle / "saved_model/1/assets.extra/tf_serving_warmup_requests"
    requests.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(requests)) as writer:
        for signature, arrays in warmup.items():
            for array in arrays:
                writer.write(_log(model, signature, array, output).SerializeToString())
    return [models, batching, requests]


def _log(
    model: str, signature: str, array: np.ndarray, output: str
) -> protos.PredictionLog:
    name = "waveform" if signature == "serving_default" else signature
    log = protos.PredictionLog()
    log.predict_log.request.CopyFrom(
        protos.predict_request(model, signature, name, array[None], output)
    )
    return log
