import re

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from export.serving import MAX_BATCH, write_serving_files

pytest.importorskip("tensorflow_serving")
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig


@pytest.fixture
def warmup(rng):
    return {
        "features": [rng.random((84, n)).astype(np.float32) for n in (5, 26)],
        "serving_default": [rng.standard_normal(60_000).astype(np.float32)],
    }


@pytest.fixture
def bundle(tmp_path, warmup):
    (tmp_path / "saved_model/1").mkdir(parents=True)
    (tmp_path / "files").write_text(
        "\n".join(map(str, write_serving_files(tmp_path, warmup, "covers")))
    )
    return tmp_path


def test_the_returned_files_exist(bundle):
    assert sorted((bundle / "files").read_text().split("\n")) == sorted(
        str(path)
        for path in bundle.rglob("*")
        if path.is_file() and path.name != "files"
    )


def test_warm_up_requests_hold_the_arrays(bundle, warmup):
    path = bundle / "saved_model/1/assets.extra/tf_serving_warmup_requests"
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    found = [PredictionLog.FromString(record).predict_log.request for record in records]
    expected = [
        (signature, name, array)
        for signature, name in (
            ("features", "features"),
            ("serving_default", "waveform"),
        )
        for array in warmup[signature]
    ]
    assert len(found) == len(expected) == 3
    for request, (signature, name, array) in zip(found, expected, strict=True):
        assert request.model_spec.name == "covers"
        assert request.model_spec.signature_name == signature
        assert list(request.inputs) == [name]
        np.testing.assert_array_equal(tf.make_ndarray(request.inputs[name])[0], array)


def test_the_model_list_is_what_the_server_reads(bundle):
    text = (bundle / "models.config").read_text()
    (config,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert (config.name, config.base_path) == ("covers", "/models/covers")
    assert config.model_platform == "tensorflow"


def test_batching_never_pads(bundle):
    text = (bundle / "batching_parameters.txt").read_text()
    settings = dict(re.findall(r"^(\w+) \{ value: (\d+) \}$", text, flags=re.MULTILINE))
    # Every line is a comment or one of the wrapped integers of BatchingParameters
    # (tensorflow_serving/servables/tensorflow/session_bundle_config.proto).
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) == len(settings)
    assert set(settings) == {
        "max_batch_size",
        "batch_timeout_micros",
        "num_batch_threads",
        "max_enqueued_batches",
    }
    assert int(settings["max_batch_size"]) == MAX_BATCH
