import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.descriptor import FieldDescriptor

from export import protos

pytest.importorskip("tensorflow_serving")
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
)

REAL = {
    "Dim": tensor_shape_pb2.TensorShapeProto.Dim,
    "TensorShapeProto": tensor_shape_pb2.TensorShapeProto,
    "TensorProto": tensor_pb2.TensorProto,
    "TensorInfo": meta_graph_pb2.TensorInfo,
    "SignatureDef": meta_graph_pb2.SignatureDef,
    "SignatureDefMap": get_model_metadata_pb2.SignatureDefMap,
    "ModelSpec": model_pb2.ModelSpec,
    "PredictRequest": predict_pb2.PredictRequest,
    "PredictResponse": predict_pb2.PredictResponse,
    "PredictLog": prediction_log_pb2.PredictLog,
    "PredictionLog": prediction_log_pb2.PredictionLog,
    "Any": type(get_model_metadata_pb2.GetModelMetadataResponse().metadata["x"]),
    "GetModelMetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelMetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
}


def assert_same(ours, real):
    """Compare a field as both packages declare it, maps down to their values."""
    assert (ours.number, ours.type) == (real.number, real.type)
    if ours.type != FieldDescriptor.TYPE_MESSAGE:
        return
    entry = ours.message_type.GetOptions().map_entry
    assert real.message_type.GetOptions().map_entry == entry
    if entry:
        for name in ("key", "value"):
            assert_same(
                ours.message_type.fields_by_name[name],
                real.message_type.fields_by_name[name],
            )
    else:
        assert ours.message_type.name == real.message_type.name


@pytest.mark.parametrize("name", protos.MESSAGES)
def test_every_field_is_the_published_one(name):
    fields = REAL[name].DESCRIPTOR.fields_by_name
    ours = protos._CLASSES[name].DESCRIPTOR.fields
    assert {field.name for field in ours} == set(protos.MESSAGES[name])
    for field in ours:
        assert_same(field, fields[field.name])


def test_data_types_are_the_published_ones():
    for name, number in protos.DATA_TYPES.items():
        assert types_pb2.DataType.Value(name) == number


def test_a_request_is_read_by_the_real_package(rng):
    array = rng.standard_normal((3, 84, 7)).astype(np.float32)
    request = predict_pb2.PredictRequest.FromString(
        protos.predict_request("m", "s", "x", array[:, ::-1], "y").SerializeToString()
    )
    assert (request.model_spec.name, request.model_spec.signature_name) == ("m", "s")
    assert list(request.output_filter) == ["y"]
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["x"]), array[:, ::-1])


@pytest.mark.parametrize("field", ["tensor_content", "float_val"])
def test_an_answer_of_the_real_package_is_read(field, rng):
    array = rng.standard_normal((2, 5)).astype(np.float32)
    real = predict_pb2.PredictResponse()
    real.outputs["y"].CopyFrom(tf.make_tensor_proto(array))
    if field == "float_val":
        real.outputs["y"].ClearField("tensor_content")
        real.outputs["y"].float_val.extend(array.ravel().tolist())
    response = protos.PredictResponse.FromString(real.SerializeToString())
    np.testing.assert_array_equal(protos.to_array(response.outputs["y"]), array)


def test_another_type_or_a_short_tensor_is_refused():
    for real in (tf.make_tensor_proto([1.0], tf.float64), tf.make_tensor_proto([1.0])):
        real.tensor_shape.dim[0].size = 2
        tensor = protos._CLASSES["TensorProto"].FromString(real.SerializeToString())
        with pytest.raises(ValueError, match="data type 2|cannot reshape"):
            protos.to_array(tensor)
